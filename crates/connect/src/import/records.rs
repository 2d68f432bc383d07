//! Records of the CSV family (RFC 4180, and what writers make of it): fields between separators, quotes, records that
//! run over several lines. What a field means is the business of others.

use std::io;

use super::lines::{Line, Lines, RECORD_BYTES_MAX};

/// How many lines a quoted field may run over.
const RECORD_LINES_MAX: usize = 2000;

/// Separates by runs of blanks and tabs.
pub(super) const BLANKS: char = ' ';

/// One record, used again for the next.
#[derive(Debug, Default, Clone)]
pub(super) struct Record {
    /// The number of its first line.
    pub(super) line: u64,
    /// As it stands in the file, without the last line end.
    pub(super) raw: String,
    /// The fields one after the other, without quotes.
    text: String,
    ends: Vec<usize>,
    /// Whether a field stood in quotes: then its blanks belong to it.
    quoted: Vec<bool>,
}

impl Record {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// A field, without blanks around it unless they stand in quotes; empty beyond the last.
    pub(super) fn field(&self, index: usize) -> &str {
        if self.is_quoted(index) { self.exact(index) } else { self.exact(index).trim() }
    }

    /// A field with all its blanks.
    pub(super) fn exact(&self, index: usize) -> &str {
        let start = if index == 0 { Some(0) } else { self.ends.get(index - 1).copied() };
        let end = self.ends.get(index).copied();
        start.zip(end).and_then(|(start, end)| self.text.get(start..end)).unwrap_or_default()
    }

    /// Whether a field stands in quotes.
    pub(super) fn is_quoted(&self, index: usize) -> bool {
        self.quoted.get(index).copied().unwrap_or_default()
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|index| self.field(index))
    }

    /// Nothing but separators and blanks.
    pub(super) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Takes one record apart; false if a quote is open at its end.
    pub(super) fn split(&mut self, line: u64, raw: &str, separator: char) -> bool {
        self.line = line;
        self.raw.clear();
        self.raw.push_str(raw);
        self.text.clear();
        self.ends.clear();
        self.quoted.clear();
        let mut rest = raw;
        if separator == BLANKS {
            // A run of blanks is one separator, and none at the ends of a line.
            rest = raw.trim();
        }
        loop {
            let quoted = rest.trim_start_matches(|c: char| c == ' ' || (c == '\t' && separator != '\t'));
            let inside = quoted.strip_prefix('"');
            self.quoted.push(inside.is_some());
            let after = match inside {
                Some(inside) => match self.quoted(inside, separator) {
                    Some(after) => after,
                    None => return false,
                },
                None => self.unquoted(rest, separator),
            };
            self.ends.push(self.text.len());
            match after.map(|next| if separator == BLANKS { next.trim_start() } else { next }) {
                Some(next) => rest = next,
                None => return true,
            }
        }
    }

    /// Up to the separator, and what follows it.
    fn unquoted<'a>(&mut self, rest: &'a str, separator: char) -> Option<&'a str> {
        let cut = if separator == BLANKS { rest.split_once([' ', '\t']) } else { rest.split_once(separator) };
        let (field, after) = match cut {
            Some((field, after)) => (field, Some(after)),
            None => (rest, None),
        };
        self.text.push_str(field);
        after
    }

    /// What follows an opening quote, up to the separator. None: the quote is not closed.
    #[allow(clippy::option_option, reason = "the end of the record is not an open quote")]
    fn quoted<'a>(&mut self, mut rest: &'a str, separator: char) -> Option<Option<&'a str>> {
        loop {
            let (part, after) = rest.split_once('"')?;
            self.text.push_str(part);
            if let Some(more) = after.strip_prefix('"') {
                self.text.push('"');
                rest = more;
                continue;
            }
            // What stands between the closing quote and the separator belongs to the field.
            let cut =
                if separator == BLANKS { after.split_once([' ', '\t']) } else { after.split_once(separator) };
            let (junk, next) = match cut {
                Some((junk, next)) => (junk, Some(next)),
                None => (after, None),
            };
            self.text.push_str(junk.trim());
            return Some(next);
        }
    }
}

/// What comes next in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The record is filled.
    Record,
    /// A line that cannot be read: its number, its text as far as it is kept, and why.
    Fault {
        line: u64,
        raw: String,
        reason: String,
    },
    End,
}

/// Reads the records of a file.
pub(super) struct Records {
    lines: Lines,
    separator: char,
}

impl Records {
    pub(super) fn new(lines: Lines, separator: char) -> Records {
        Records { lines, separator }
    }

    /// Reads the next record. Blank lines and lines that a list of rejects left as remarks are passed over.
    pub(super) fn read(&mut self, record: &mut Record) -> io::Result<Step> {
        loop {
            let Some(line) = self.lines.next_line()? else { return Ok(Step::End) };
            if let Some(fault) = line.fault {
                return Ok(fault_of(line, fault.to_string()));
            }
            if line.text.trim().is_empty() || super::rejected::is_remark(&line.text) {
                continue;
            }
            if record.split(line.number, &line.text, self.separator) {
                return Ok(Step::Record);
            }
            return self.over_lines(line, record);
        }
    }

    /// A record whose quote is open at the end of its first line.
    fn over_lines(&mut self, first: Line, record: &mut Record) -> io::Result<Step> {
        let mut raw = first.text.clone();
        let mut before = first.carriage;
        let mut more: Vec<Line> = Vec::new();
        while more.len() < RECORD_LINES_MAX {
            let Some(next) = self.lines.next_line()? else { break };
            let bytes = raw.len() + next.text.len() + 1;
            let closing = next.text.contains('"');
            let usable = next.fault.is_none() && bytes <= RECORD_BYTES_MAX;
            if usable {
                // A carriage return inside the quotes belongs to the text.
                raw.push_str(if before { "\r\n" } else { "\n" });
                raw.push_str(&next.text);
                before = next.carriage;
            }
            more.push(next);
            if !usable {
                break;
            }
            if closing && record.split(first.number, &raw, self.separator) {
                return Ok(Step::Record);
            }
        }
        // Only the first line is lost: the quote may be a slip, and what follows good rows.
        self.lines.give_back(more.into_iter());
        Ok(fault_of(first, "a quote is opened and not closed".to_owned()))
    }
}

fn fault_of(line: Line, reason: String) -> Step {
    Step::Fault { line: line.number, raw: line.text, reason }
}
