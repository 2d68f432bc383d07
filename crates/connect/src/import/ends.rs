//! How files end that were not finished: in zeros, where a logger took its room beforehand, and in the middle of a packed
//! stream, of which the whole lines are real. What is told of it stands in `plan` and `reader`.

#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::lines::RECORD_BYTES_MAX;

const BUFFER_BYTES: usize = 64 << 10;

/// How a file ends: known once it was read to there, by whichever pass.
#[derive(Clone, Debug, Default)]
pub(super) struct Ended(Arc<(AtomicU64, AtomicU64)>);

impl Ended {
    /// Zeros that were passed over at its end.
    pub(super) fn zeros(&self) -> u64 {
        self.0.0.load(Ordering::Relaxed)
    }

    /// Whether its packed stream breaks off.
    pub(super) fn is_cut(&self) -> bool {
        self.0.1.load(Ordering::Relaxed) > 0
    }
}

/// A stream without the zeros at its end.
pub(super) struct WithoutZeros<R> {
    source: R,
    ended: Ended,
    /// Zeros that were read and are given if anything follows.
    held: u64,
    /// What is to be given behind them.
    buffer: Vec<u8>,
    at: usize,
    /// How many zeros belong to the last character: one in UTF-16, the smaller byte first.
    natural: Option<u64>,
}

impl<R: Read> WithoutZeros<R> {
    pub(super) fn new(source: R, ended: Ended) -> WithoutZeros<R> {
        WithoutZeros { source, ended, held: 0, buffer: Vec::new(), at: 0, natural: None }
    }

    /// Reads on; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.resize(BUFFER_BYTES, 0);
        self.at = 0;
        let count = loop {
            match self.source.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.buffer.truncate(count);
        if let (None, [first, second, ..]) = (self.natural, self.buffer.as_slice()) {
            let is_utf16_le = [*first, *second] == [0xFF, 0xFE] || (*first != 0 && *second == 0);
            self.natural = Some(u64::from(is_utf16_le));
        }
        Ok(count > 0)
    }
}

impl<R: Read> Read for WithoutZeros<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let zeros = rest.iter().take_while(|byte| **byte == 0).count();
            if zeros < rest.len() {
                if self.held > 0 {
                    let count = out.len().min(usize::try_from(self.held).unwrap_or(out.len()));
                    out.iter_mut().take(count).for_each(|byte| *byte = 0);
                    self.held -= count as u64;
                    return Ok(count);
                }
                if zeros == 0 {
                    // Up to the zeros at its end.
                    let end = rest.len() - rest.iter().rev().take_while(|byte| **byte == 0).count();
                    let count = Read::read(&mut rest.get(..end).unwrap_or_default(), out)?;
                    self.at += count;
                    return Ok(count);
                }
            }
            self.held += zeros as u64;
            self.at += zeros;
            if self.at >= self.buffer.len() && !self.fill()? {
                let natural = self.natural.replace(0).unwrap_or(0).min(self.held);
                self.ended.0.0.fetch_max(self.held - natural, Ordering::Relaxed);
                if let (1, Some(first)) = (natural, out.first_mut()) {
                    (*first, self.held) = (0, self.held - 1);
                    return Ok(1);
                }
                return Ok(0);
            }
        }
    }
}

/// The whole lines of a packed stream, also of one that breaks off: what stands behind its last line end may be half of it.
pub(super) struct WholeLines<R> {
    source: R,
    ended: Ended,
    buffer: Vec<u8>,
    at: usize,
    /// Up to where it is given: behind the last line end that was read.
    end: usize,
    over: bool,
}

impl<R: Read> WholeLines<R> {
    pub(super) fn new(source: R, ended: Ended) -> WholeLines<R> {
        WholeLines { source, ended, buffer: Vec::new(), at: 0, end: 0, over: false }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let before = self.buffer.len();
        self.buffer.resize(before + BUFFER_BYTES, 0);
        let read = self.source.read(self.buffer.get_mut(before..).unwrap_or_default());
        self.buffer.truncate(before + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => {
                self.over = true;
                self.end = self.buffer.len();
            }
            Ok(_) => {
                let line = self.buffer.iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
                // A longer line is none that is read.
                let long = (self.buffer.len() > RECORD_BYTES_MAX).then_some(self.buffer.len());
                self.end = line.map(|at| at + 1).or(long).unwrap_or(0);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.end = 0,
            // What was given before are whole lines: the rest is left.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.over = true;
                self.end = 0;
                self.ended.0.1.store(1, Ordering::Relaxed);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl<R: Read> Read for WholeLines<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.end && !self.over {
            self.fill()?;
        }
        let count = Read::read(&mut self.buffer.get(self.at..self.end).unwrap_or_default(), out)?;
        self.at += count;
        Ok(count)
    }
}
