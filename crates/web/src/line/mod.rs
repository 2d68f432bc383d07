//! Line protocol, as InfluxDB 1.8 and 2 read it: bounded, without copies, never panicking. Here: bytes to lines. Names
//! ([`name`]), templates ([`template`]) and what happens to the samples are decided by others.
//!
//! Decided where the field is vague: a delimiter is escaped by the byte right before it; a field or tag that stands
//! twice in a line is refused; `\r\n` ends a line as `\n` does; a text may hold line breaks.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

pub mod name;
pub mod origin;
pub mod preset;
mod scan;
pub mod template;

use std::ops::ControlFlow;

use crate::error::{Fault, Refused, column};
use crate::times::TimeUnit;

/// The most fields of one line. They share one time, so they belong in one batch.
pub const FIELDS_MAX: usize = 16_384;

/// One line. Keys are raw: as they stand in the body, with their escapes.
#[derive(Debug)]
pub struct Line<'a, 'f> {
    /// Measurement and tags, up to the first space that is not escaped.
    pub series: &'a [u8],
    /// Where the series begins in the body.
    pub at: usize,
    /// At least one.
    pub fields: &'f [Field<'a>],
    /// ns UTC, if the line has a time.
    pub time: Option<i64>,
}

/// One field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    /// Its raw name.
    pub key: &'a [u8],
    /// Where the name begins in the body.
    pub at: usize,
    /// Its value.
    pub value: FieldValue<'a>,
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "plain words")]
pub enum FieldValue<'a> {
    /// A number without a suffix: what it becomes is the signal's to say, which may want it as it was written.
    Float {
        value: f64,
        written: &'a str,
    },
    Int(i64),
    UInt(u64),
    Bool(bool),
    /// UTF-8 between the quotes, with its escapes if `escaped`: see [`unescape_text`].
    Text {
        raw: &'a str,
        escaped: bool,
    },
}

/// Who takes the lines.
pub trait Sink {
    /// A line that could be read.
    ///
    /// # Errors
    /// The line is refused, at this offset of the body; [`Sink::bad`] hears of it next.
    fn line(&mut self, line: &Line<'_, '_>) -> Result<(), Fault>;
    /// A line that was refused: go on with the next, or stop.
    fn bad(&mut self, refused: Refused) -> ControlFlow<()>;
}

/// Takes everything and keeps nothing: for measuring and fuzzing the parser alone.
#[derive(Debug, Default)]
pub struct Nothing {
    /// Fields seen.
    pub fields: u64,
    /// Lines refused.
    pub refused: u64,
}

impl Sink for Nothing {
    fn line(&mut self, line: &Line<'_, '_>) -> Result<(), Fault> {
        let fields = u64::try_from(line.fields.len()).unwrap_or(u64::MAX);
        self.fields = self.fields.saturating_add(fields);
        Ok(())
    }

    fn bad(&mut self, _: Refused) -> ControlFlow<()> {
        self.refused = self.refused.saturating_add(1);
        ControlFlow::Continue(())
    }
}

/// Reads all lines of a body, or up to where the sink stops.
pub fn parse(body: &[u8], unit: TimeUnit, sink: &mut impl Sink) {
    let mut scanner = scan::Scanner::new(body);
    let mut fields = Vec::new();
    while scanner.find_next_line() {
        fields.clear();
        let (line, line_start) = (scanner.line, scanner.line_start);
        let read = scanner.read_line(unit, &mut fields);
        if read.is_err() {
            scanner.skip_rest_of_line();
        }
        let taken =
            read.and_then(|(series, at, time)| sink.line(&Line { series, at, fields: &fields, time }));
        if let Err(Fault { at, error }) = taken {
            let refused = Refused { line, column: column(body, line_start, at), error };
            if sink.bad(refused).is_break() {
                return;
            }
        }
    }
}

/// A text field without its escapes: `\"` and `\\` are escapes, other backslashes stand for themselves.
pub fn unescape_text(raw: &str, out: &mut String) {
    let mut characters = raw.chars().peekable();
    while let Some(character) = characters.next() {
        match characters.peek() {
            Some(&next @ ('"' | '\\')) if character == '\\' => {
                out.push(next);
                characters.next();
            }
            _ => out.push(character),
        }
    }
}

#[cfg(test)]
mod tests;
