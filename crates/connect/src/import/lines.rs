//! Lines with their numbers, of bounded length, from a stream of UTF-8. What a line holds is the business of others.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use super::source::is_no_windows_1252;

/// The longest line, and the longest record that runs over several lines.
pub(super) const RECORD_BYTES_MAX: usize = 1 << 20;

/// How much of a line that cannot be read is kept for the list of rejects.
pub(super) const REJECT_BYTES_MAX: usize = 4 << 10;

/// What some writers put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One line.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: u64,
    pub(super) text: String,
    /// Whether a carriage return stood before the line's end.
    pub(super) carriage: bool,
    pub(super) fault: Option<LineFault>,
}

/// Why a line cannot be read as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineFault {
    #[error("the line has more than {} bytes", RECORD_BYTES_MAX)]
    TooLong,
    #[error("the line is not UTF-8, as the others are")]
    NotUtf8,
    #[error("the line holds bytes that are no characters of the file's encoding")]
    NotDecoded,
    #[error("a quote is open in it that is not closed within {} bytes", RECORD_BYTES_MAX)]
    Open,
}

/// What becomes of a line that is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Otherwise {
    /// It is Windows-1252.
    Windows1252,
    /// It is damaged.
    Fault,
    /// The stream was decoded before: a replacement character is the trace of damage.
    Decoded,
}

/// The lines of a stream.
pub(super) struct Lines {
    input: Box<dyn BufRead + Send>,
    otherwise: Otherwise,
    end: u8,
    number: u64,
    back: VecDeque<Line>,
    bytes: Vec<u8>,
    /// The room of a line that is no longer needed.
    spare: Vec<u8>,
    /// Up to this line the end of a quote was looked for in vain: one that is open within goes on as that did.
    pub(super) open_until: u64,
}

impl Lines {
    /// `end` is what ends a line: a line feed, or a carriage return where there are no line feeds.
    pub(super) fn new(input: Box<dyn BufRead + Send>, otherwise: Otherwise, end: u8) -> Lines {
        let (back, bytes, spare) = (VecDeque::new(), Vec::new(), Vec::new());
        Lines { input, otherwise, end, number: 0, back, bytes, spare, open_until: 0 }
    }

    /// Takes the room of a line that is no longer needed, for the next one.
    pub(super) fn take_back(&mut self, text: String) {
        self.spare = text.into_bytes();
    }

    /// The next line; none at the end.
    pub(super) fn next_line(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.back.pop_front() {
            return Ok(Some(line));
        }
        self.bytes.clear();
        let Some(too_long) = self.fill()? else { return Ok(None) };
        self.number += 1;
        let mut bytes = std::mem::replace(&mut self.bytes, std::mem::take(&mut self.spare));
        // Where files were put together a mark stands before a later line too.
        if bytes.starts_with(BYTE_ORDER_MARK) {
            bytes.drain(..BYTE_ORDER_MARK.len());
        }
        let mut line = Line { number: self.number, ..Line::default() };
        if too_long {
            line.fault = Some(LineFault::TooLong);
            bytes.truncate(REJECT_BYTES_MAX);
        }
        line.carriage = bytes.ends_with(b"\r");
        if line.carriage {
            bytes.pop();
        }
        match String::from_utf8(bytes) {
            Ok(text) => {
                if self.otherwise == Otherwise::Decoded && text.contains('\u{fffd}') {
                    line.fault = line.fault.or(Some(LineFault::NotDecoded));
                }
                line.text = text;
            }
            Err(error) => {
                let bytes = error.as_bytes();
                if self.otherwise == Otherwise::Windows1252 && !is_no_windows_1252(bytes) {
                    line.text = encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned();
                } else {
                    line.text = String::from_utf8_lossy(bytes).into_owned();
                    line.fault = line.fault.or(Some(LineFault::NotUtf8));
                }
            }
        }
        Ok(Some(line))
    }

    /// Gives lines back, to be read again in their order.
    pub(super) fn give_back(&mut self, lines: impl DoubleEndedIterator<Item = Line>) {
        for line in lines.rev() {
            self.back.push_front(line);
        }
    }

    /// Fills `bytes` with one line without its end, and says whether it was cut. None at the end of the stream.
    fn fill(&mut self) -> io::Result<Option<bool>> {
        let mut any = false;
        let mut too_long = false;
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                return Ok(any.then_some(too_long));
            }
            any = true;
            let at = memchr::memchr(self.end, buffer);
            let part = buffer.get(..at.unwrap_or(buffer.len())).unwrap_or_default();
            if self.bytes.len() + part.len() > RECORD_BYTES_MAX {
                too_long = true;
            } else if !too_long {
                self.bytes.extend_from_slice(part);
            }
            let used = at.map_or(buffer.len(), |at| at + 1);
            self.input.consume(used);
            if at.is_some() {
                return Ok(Some(too_long));
            }
        }
    }
}
