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
    /// The fields one after the other, without quotes; of a record without any they stand in `raw`.
    text: String,
    fields: Vec<Field>,
    has_quotes: bool,
}

/// Where a field stands.
#[derive(Debug, Default, Clone, Copy)]
struct Field {
    start: usize,
    end: usize,
    /// Whether it stood in quotes: then its blanks belong to it.
    quoted: bool,
}

/// How far a record was taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Apart {
    Whole,
    /// A quote is open at its end.
    Open,
}

impl Record {
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// A field, without blanks around it unless they stand in quotes; empty beyond the last.
    pub(super) fn field(&self, index: usize) -> &str {
        self.fields.get(index).map_or("", |field| self.trimmed(*field))
    }

    /// A field with all its blanks.
    pub(super) fn exact(&self, index: usize) -> &str {
        self.fields.get(index).map_or("", |field| self.whole(*field))
    }

    fn trimmed(&self, field: Field) -> &str {
        if field.quoted { self.whole(field) } else { self.whole(field).trim() }
    }

    fn whole(&self, field: Field) -> &str {
        let text = if self.has_quotes { &self.text } else { &self.raw };
        text.get(field.start..field.end).unwrap_or_default()
    }

    /// Whether a field stands in quotes.
    pub(super) fn is_quoted(&self, index: usize) -> bool {
        self.fields.get(index).is_some_and(|field| field.quoted)
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| self.trimmed(*field))
    }

    /// Nothing but separators and blanks.
    pub(super) fn is_blank(&self) -> bool {
        self.fields.iter().all(|field| self.whole(*field).trim().is_empty())
    }

    /// Takes one line apart; what is behind a quote that is open at its end is left out.
    pub(super) fn split(&mut self, line: u64, raw: &str, separator: char) {
        if self.take(line, raw.to_owned(), separator) == Apart::Open {
            self.fields.pop();
        }
    }

    /// Takes the first line of a record apart.
    fn take(&mut self, line: u64, raw: String, separator: char) -> Apart {
        self.line = line;
        self.raw = raw;
        self.text.clear();
        self.fields.clear();
        let mark = u8::try_from(separator).ok().filter(|_| separator.is_ascii() && separator != BLANKS);
        self.has_quotes = mark.is_none() || self.raw.contains('"');
        if let (Some(mark), false) = (mark, self.has_quotes) {
            let mut start = 0;
            for end in memchr::memchr_iter(mark, self.raw.as_bytes()) {
                self.fields.push(Field { start, end, quoted: false });
                start = end + 1;
            }
            self.fields.push(Field { start, end: self.raw.len(), quoted: false });
            return Apart::Whole;
        }
        let raw = std::mem::take(&mut self.raw);
        // A run of blanks is one separator, and none at the ends of a line.
        let apart = self.parts(if separator == BLANKS { raw.trim() } else { &raw }, separator);
        self.raw = raw;
        apart
    }

    /// Goes on with a record whose last field is open.
    fn go_on(&mut self, more: &str, separator: char) -> Apart {
        self.raw.push_str(more);
        match self.quoted(more, separator) {
            None => Apart::Open,
            Some(after) => self.ended(after, separator),
        }
    }

    /// Takes what is left of a record apart.
    fn parts(&mut self, mut rest: &str, separator: char) -> Apart {
        loop {
            let quoted = rest.trim_start_matches(|c: char| c == ' ' || (c == '\t' && separator != '\t'));
            let inside = quoted.strip_prefix('"');
            let start = self.text.len();
            self.fields.push(Field { start, end: start, quoted: inside.is_some() });
            let after = match inside {
                Some(inside) => match self.quoted(inside, separator) {
                    Some(after) => after,
                    None => return Apart::Open,
                },
                None => self.unquoted(rest, separator),
            };
            match self.behind(after, separator) {
                Some(next) => rest = next,
                None => return Apart::Whole,
            }
        }
    }

    /// Ends a field that was open, and takes what follows it apart.
    fn ended(&mut self, after: Option<&str>, separator: char) -> Apart {
        match self.behind(after, separator) {
            Some(next) => self.parts(next, separator),
            None => Apart::Whole,
        }
    }

    /// Ends the last field, and gives what follows.
    fn behind<'a>(&mut self, after: Option<&'a str>, separator: char) -> Option<&'a str> {
        let end = self.text.len();
        if let Some(field) = self.fields.last_mut() {
            field.end = end;
        }
        after.map(|next| if separator == BLANKS { next.trim_start() } else { next })
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
            let Some((part, after)) = rest.split_once('"') else {
                self.text.push_str(rest);
                return None;
            };
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
            self.lines.take_back(std::mem::take(&mut record.raw));
            let Some(line) = self.lines.next_line()? else { return Ok(Step::End) };
            if let Some(fault) = line.fault {
                return Ok(fault_of(line, fault.to_string()));
            }
            if line.text.trim().is_empty() || super::rejected::is_remark(&line.text) {
                continue;
            }
            let (number, before) = (line.number, line.carriage);
            match record.take(number, line.text, self.separator) {
                Apart::Whole => return Ok(Step::Record),
                Apart::Open => return self.over_lines(record, before),
            }
        }
    }

    /// A record whose quote is open at the end of its first line.
    fn over_lines(&mut self, record: &mut Record, carriage: bool) -> io::Result<Step> {
        let (first, first_bytes) = (record.line, record.raw.len());
        let mut before = carriage;
        let mut open_until = first;
        let mut more: Vec<Line> = Vec::new();
        while first > self.lines.open_until && more.len() < RECORD_LINES_MAX {
            let Some(next) = self.lines.next_line()? else { break };
            if next.fault.is_some() || record.raw.len() + next.text.len() + 1 > RECORD_BYTES_MAX {
                more.push(next);
                break;
            }
            // A carriage return inside the quotes belongs to the text.
            record.go_on(if before { "\r\n" } else { "\n" }, self.separator);
            before = next.carriage;
            if record.go_on(&next.text, self.separator) == Apart::Whole {
                return Ok(Step::Record);
            }
            open_until = next.number;
            more.push(next);
        }
        // Only the first line is lost: the quote may be a slip, and what follows good rows.
        self.lines.open_until = self.lines.open_until.max(open_until);
        self.lines.give_back(more.into_iter());
        record.raw.truncate(first_bytes);
        let raw = std::mem::take(&mut record.raw);
        Ok(Step::Fault { line: first, raw, reason: "a quote is opened and not closed".to_owned() })
    }
}

fn fault_of(line: Line, reason: String) -> Step {
    Step::Fault { line: line.number, raw: line.text, reason }
}
