//! Tables in which one row is one signal: its name first, then its values, below their times or one step apart.

use super::super::cell;
use super::super::civil;
use super::super::records::{BLANKS, Record};
use super::{ByRecord, row};

/// Columns of which the header must tell times.
const COLUMNS_MIN: usize = 2;

/// Rows that are turned into rows of signal, time and value.
#[derive(Clone, Debug)]
pub(super) struct Turned {
    pub(super) separator: char,
    /// What stands above the values: times, or nothing but names.
    header: Option<Vec<String>>,
    has_times: bool,
    /// Whether each row begins with its name.
    named: bool,
    begun: bool,
    rows: u64,
}

impl Turned {
    /// As it is asked for.
    pub(super) fn of(text: &str) -> Option<Turned> {
        Turned::read(text, true)
    }

    /// If the header holds times.
    pub(super) fn by_header(text: &str) -> Option<Turned> {
        Turned::read(text, false).filter(|turned| turned.has_times)
    }

    fn read(text: &str, asked: bool) -> Option<Turned> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let (first, second) = (lines.next()?, lines.next());
        let mut record = Record::default();
        let candidates: &[char] = if asked { &['\t', ';', '|', ',', BLANKS] } else { &['\t', ';', '|', ','] };
        let separator = *candidates.iter().find(|separator| {
            record.split(1, first, **separator);
            record.len() > COLUMNS_MIN
        })?;
        let cells: Vec<String> = record.fields().map(str::to_owned).collect();
        let values = || cells.iter().skip(1).filter(|cell| !cell.is_empty());
        let is_time = |cell: &&String| civil::parse(cell, None).is_some_and(|civil| civil.date.is_some());
        let has_times = values().all(|cell| is_time(&cell)) && values().count() >= COLUMNS_MIN;
        let is_number = |cell: &str| cell::spelling(cell).is_some();
        let is_header = has_times || !values().any(|cell| is_number(cell));
        record.split(1, if is_header { second? } else { first }, separator);
        let named = !is_number(record.field(0));
        if has_times && (!named || !record.fields().skip(1).any(is_number)) {
            return None;
        }
        let header = is_header.then_some(cells);
        Some(Turned { separator, header, has_times, named, begun: false, rows: 0 })
    }
}

impl ByRecord for Turned {
    fn record(&mut self, record: &Record, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            out.extend_from_slice(b"signal,time,value\n");
            if self.header.is_some() {
                return;
            }
        }
        self.rows += 1;
        let number = format!("row {}", self.rows);
        let (name, first) = if self.named { (record.field(0), 1) } else { (number.as_str(), 0) };
        for at in first..record.len() {
            let value = record.field(at);
            if value.is_empty() || value == "NA" {
                continue;
            }
            let count = (at - first).to_string();
            let time = match &self.header {
                Some(header) if self.has_times => header.get(at).map_or("", String::as_str),
                _ => &count,
            };
            row([name, time, value], out);
        }
    }
}
