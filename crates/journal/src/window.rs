//! Reads a file in sequence through a buffer of bounded size, for those who look at one frame after the other.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::io;

use tidemill_ground::{File, read_exact_at};

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;
/// How often a read is tried before its bytes count as unreadable.
const TRIES: usize = 3;

/// A part of a file in memory.
pub(crate) struct Window<'a> {
    file: &'a dyn File,
    len: u64,
    buffer: Vec<u8>,
    start: u64,
}

impl<'a> Window<'a> {
    /// Over the first `len` bytes.
    pub(crate) fn new(file: &'a dyn File, len: u64) -> Window<'a> {
        Window { file, len, buffer: Vec::new(), start: 0 }
    }

    /// With a buffer that another window gave back.
    pub(crate) fn with_buffer(file: &'a dyn File, len: u64, mut buffer: Vec<u8>) -> Window<'a> {
        buffer.clear();
        Window { file, len, buffer, start: 0 }
    }

    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// `count` bytes at `offset`; fewer where the file ends. Memory is bounded by what the file holds.
    pub(crate) fn get(&mut self, offset: u64, count: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = count.min(left);
        let end = offset.saturating_add(count as u64);
        let have = self.start..self.start.saturating_add(self.buffer.len() as u64);
        if offset < have.start || end > have.end {
            // One bad place must not cost all that would have been read along with it.
            self.fill(offset, count.max(READ_BYTES).min(left)).or_else(|_| self.fill(offset, count))?;
        }
        let from = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        Ok(self.buffer.get(from..from.saturating_add(count)).unwrap_or_default())
    }

    fn fill(&mut self, offset: u64, count: usize) -> io::Result<()> {
        self.start = offset;
        self.buffer.resize(count, 0);
        let mut outcome = Ok(());
        for _ in 0..TRIES {
            outcome = read_exact_at(self.file, &mut self.buffer, offset);
            if outcome.is_ok() {
                return Ok(());
            }
        }
        self.buffer.clear();
        outcome
    }
}
