//! A sample of a table as one separator shows it: where its header is, how wide it is, its first rows. What the
//! columns mean is decided in `layout`.

use std::collections::BTreeMap;

use super::cell;
use super::civil;
use super::columns::Column;
use super::error::Error;
use super::heads::{self, Below};
use super::lines::{Lines, Otherwise};
use super::members::MEMBERS_MAX;
use super::records::{BLANKS, Record, Records, Step};
use super::words::{self, Meaning};

/// How many records are looked at.
const SAMPLE_ROWS_MAX: usize = 2000;

/// How many columns a table may have, as many as an object may have members.
const COLUMNS_MAX: usize = MEMBERS_MAX;

/// Separators, the rarer in text first: a `;` that cuts all rows alike is no accident, a `,` may be a decimal comma.
const SEPARATORS: [char; 4] = ['\t', ';', '|', ','];

/// The first rows of a table.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) separator: char,
    /// As many as there are columns; empty texts where there is no header.
    pub(super) header: Vec<String>,
    /// The header's line and text, with the rows that belong to it; none without a header.
    pub(super) header_line: Option<(u64, String)>,
    /// A row of units below the header.
    pub(super) units: Option<Vec<String>>,
    /// The zones that types of columns say; empty texts for others.
    pub(super) zones: Vec<String>,
    pub(super) rows: Vec<Record>,
    /// Rows begin behind this line.
    pub(super) skip_lines: u64,
    /// Lines above the header.
    pub(super) preamble: usize,
}

/// The readings of a text as a table, the most trusted first. The text ends with a whole line.
pub(super) fn sheets(file: &str, text: &str, line_end: u8, counted: bool) -> Result<Vec<Sheet>, Error> {
    let stated = text.lines().next().and_then(stated_separator);
    let candidates: Vec<char> = stated.map_or_else(|| SEPARATORS.to_vec(), |separator| vec![separator]);
    let mut found: Vec<(bool, usize, Vec<Record>)> = Vec::new();
    let mut separators = Vec::new();
    let mut too_wide = false;
    for separator in candidates {
        let records = sample(text, line_end, separator, stated.is_some());
        let Some((width, share)) = width_of(&records) else { continue };
        if width > COLUMNS_MAX {
            too_wide = true;
            continue;
        }
        if width >= 2 {
            found.push((share >= 90, share, records));
            separators.push((separator, width));
        }
    }
    // Blanks stand in texts too: only where nothing else separates the rows alike.
    if stated.is_none() && !found.iter().any(|(sure, ..)| *sure) {
        let records = sample(text, line_end, BLANKS, false);
        let numbers =
            records.iter().filter(|record| record.fields().any(|field| cell::spelling(field).is_some()));
        let are_words = numbers.count() * 2 < records.len();
        let (fit, wide) = match width_of(&records).filter(|(_, share)| *share >= 90 && !are_words) {
            Some((width, _)) if width > COLUMNS_MAX => (None, true),
            other => (other.filter(|(width, _)| *width >= 2), false),
        };
        too_wide |= wide;
        match (fit, found.is_empty()) {
            (Some((width, share)), _) => {
                found.push((true, share, records));
                separators.push((BLANKS, width));
            }
            // One number a row, where rows need no times.
            (None, true) if counted => {
                found.push((true, 100, sample(text, line_end, '\t', false)));
                separators.push(('\t', 1));
            }
            (None, _) => {}
        }
    }
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by_key(|&at| {
        found.get(at).map(|(sure, share, _)| (!sure, if *sure { 0 } else { 100 - share }))
    });
    let mut sheets = Vec::new();
    let mut fault = None;
    for at in order {
        let (Some((_, _, records)), Some((separator, width))) = (found.get_mut(at), separators.get(at))
        else {
            continue;
        };
        match Sheet::new(file, *separator, *width, std::mem::take(records)) {
            Ok(sheet) => sheets.push(sheet),
            Err(error) => fault = fault.or(Some(error)),
        }
    }
    match (sheets.is_empty(), fault) {
        (true, Some(error)) => Err(error),
        (true, None) if too_wide => {
            let what = "a table of more than 10,000 columns";
            let hint = "Cut it into files of fewer columns, each with the times, or write one row a value";
            Err(Error::Foreign(file.to_owned(), what, hint))
        }
        (true, None) => Err(Error::Unknown(file.to_owned())),
        (false, _) => Ok(sheets),
    }
}

/// `sep=;`, the first line that Excel obeys.
fn stated_separator(line: &str) -> Option<char> {
    let mut rest = line.trim_end().trim_matches('"').strip_prefix("sep=")?.chars();
    let separator = rest.next()?;
    rest.next().is_none().then_some(separator)
}

fn sample(text: &str, line_end: u8, separator: char, skip_first: bool) -> Vec<Record> {
    let bytes = std::io::Cursor::new(text.as_bytes().to_vec());
    let mut records = Records::new(Lines::new(Box::new(bytes), Otherwise::Fault, line_end), separator);
    let mut out = Vec::new();
    let mut record = Record::default();
    while out.len() < SAMPLE_ROWS_MAX {
        match records.read(&mut record) {
            Ok(Step::Record) if skip_first && record.line == 1 => {}
            Ok(Step::Record) => out.push(record.clone()),
            Ok(Step::Fault { .. }) => {}
            Ok(Step::End) | Err(_) => break,
        }
    }
    out
}

/// The number of fields of the table, and how many records in a hundred have it: those of a header with a word for
/// time, if there is one and rows fit it; else those of most records.
fn width_of(records: &[Record]) -> Option<(usize, usize)> {
    const PREAMBLE_MAX: usize = 50;
    let word = |record: &Record| record.fields().any(is_time_word);
    let header = records
        .iter()
        .take(PREAMBLE_MAX)
        .position(|record| record.len() > 1 && word(record) && looks_like_header(record));
    let fitting = header.and_then(|at| {
        let width = records.get(at)?.len();
        let rows = records.get(at + 1..).unwrap_or_default();
        let fit = rows.iter().filter(|record| record.len() == width).count();
        (fit > 0 && fit * 10 >= rows.len()).then_some((width, (fit + 1) * 100 / (rows.len() + 1)))
    });
    fitting.or_else(|| common_width(records))
}

/// What a column of times is called, without a zone and numbers behind: `Date Time, GMT+01:00`, `Messzeit 2`.
/// Nothing of `Date: 2024-01-31`.
fn bare(field: &str) -> String {
    let field = field.split(['(', '[']).next().unwrap_or_default();
    let is_told = |(before, after): (&str, &str)| {
        let is_word = before.trim_end().ends_with(char::is_alphabetic);
        is_word && !after.trim().is_empty() && words::zone_of_header(after).is_none()
    };
    if field.split_once(':').is_some_and(is_told) {
        return String::new();
    }
    field
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| words::zone_of_header(word).is_none())
        .flat_map(str::chars)
        .flat_map(char::to_lowercase)
        .collect()
}

/// What tells columns of times apart that are called alike: their zone, numbers, and what stands in brackets.
fn zone(field: &str) -> (Option<words::HeaderZone<'_>>, Vec<String>) {
    let (name, remark) = field.split_at(field.find(['(', '[']).unwrap_or(field.len()));
    let words = name.split(|c: char| !c.is_alphanumeric());
    let numbers = words.filter(|word| word.contains(|c: char| c.is_ascii_digit()));
    let remark = remark.trim_matches(['(', ')', '[', ']']).trim();
    (words::zone_of_header(field), numbers.chain([remark]).map(str::to_lowercase).collect())
}

fn is_time_word(field: &str) -> bool {
    words::meaning(field.trim_start_matches('#')) == Some(Meaning::Time)
}

/// The number of fields that most records have, and how many in a hundred have it.
fn common_width(records: &[Record]) -> Option<(usize, usize)> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for record in records {
        *counts.entry(record.len()).or_default() += 1;
    }
    // Of equally frequent widths the greater: a preamble's lines are short.
    let (width, count) = counts.into_iter().max_by_key(|(width, count)| (*count, *width))?;
    let from = records.iter().position(|record| record.len() == width).unwrap_or_default();
    Some((width, count * 100 / (records.len() - from).max(1)))
}

impl Sheet {
    fn new(file: &str, separator: char, width: usize, mut records: Vec<Record>) -> Result<Sheet, Error> {
        let is_of_logger = heads::is_of_logger(&records, width);
        let first =
            records.iter().position(|record| record.len() == width && !record.is_blank()).unwrap_or_default();
        let header_at = if is_of_logger { Some(1) } else { header_at(file, &records, first, width)? };
        let mut header = vec![String::new(); width];
        let mut header_line = None;
        let mut skip_lines = 0;
        let mut begin = first;
        if let Some(record) = header_at.and_then(|at| records.get(at)) {
            for (index, name) in header.iter_mut().enumerate() {
                record.field(index).trim().clone_into(name);
            }
            if let Some(name) = header.first_mut() {
                *name = name.trim_start_matches('#').trim_start().to_owned();
            }
            header_line = Some((record.line, record.raw.clone()));
            skip_lines = record.line + record.raw.matches('\n').count() as u64;
            begin = header_at.map_or(first, |at| at + 1);
        }
        let preamble = if is_of_logger { 0 } else { header_at.unwrap_or_default() };
        let above: Vec<Record> = records.drain(..begin.min(records.len())).collect();
        let below = match records.first() {
            _ if header_line.is_none() => Below::default(),
            _ if is_of_logger => heads::of_logger(&records),
            Some(row) if row.len() == width => heads::of_types(row).unwrap_or_default(),
            _ => Below::default(),
        };
        if let (Some((_, head)), Some(last)) = (&mut header_line, below.rows.checked_sub(1)) {
            skip_lines = records.get(last).map_or(skip_lines, |row| row.line);
            let about = above.first().filter(|_| is_of_logger).map(|row| row.raw.clone());
            let below = records.drain(..below.rows.min(records.len())).map(|row| row.raw);
            *head =
                about.into_iter().chain([std::mem::take(head)]).chain(below).collect::<Vec<_>>().join("\n");
        }
        if let Some((_, head)) = &header_line {
            records.retain(|record| !is_of_head(head, &record.raw));
        }
        let mut units = below.units;
        if header_line.is_some() && units.is_none() && records.first().is_some_and(is_unit_row) {
            let row = records.remove(0);
            skip_lines = row.line;
            if let Some((_, head)) = &mut header_line {
                *head = format!("{head}\n{}", row.raw);
            }
            units = Some(
                row.fields()
                    .map(|field| field.trim_matches(['[', ']', '(', ')']).trim().to_owned())
                    .collect(),
            );
        }
        let zones = below.zones;
        Ok(Sheet { separator, header, header_line, units, zones, rows: records, skip_lines, preamble })
    }

    /// A table whose first record is known to be its header, and whose columns commas separate. None: it has none.
    pub(super) fn typed(text: &str) -> Option<Sheet> {
        let mut records = sample(text, b'\n', ',', false).into_iter();
        let first = records.next()?;
        Some(Sheet {
            separator: ',',
            header: first.fields().map(str::to_owned).collect(),
            skip_lines: first.line + first.raw.matches('\n').count() as u64,
            header_line: Some((first.line, first.raw)),
            units: None,
            zones: Vec::new(),
            rows: records.collect(),
            preamble: 0,
        })
    }

    /// The members of objects as a header.
    pub(super) fn of_members(names: Vec<String>) -> Sheet {
        Sheet {
            separator: ',',
            header: names,
            header_line: Some((0, String::new())),
            units: None,
            zones: Vec::new(),
            rows: Vec::new(),
            skip_lines: 0,
            preamble: 0,
        }
    }

    /// What the sampled rows hold.
    pub(super) fn columns(&self) -> Vec<Column> {
        let mut columns = vec![Column::default(); self.width()];
        self.rows.iter().for_each(|row| Self::add(&mut columns, row));
        columns
    }

    /// Adds a row to what its columns hold.
    pub(super) fn add(columns: &mut [Column], row: &Record) {
        for (column, field) in columns.iter_mut().zip(row.fields()) {
            column.add(row.line, field);
        }
    }

    /// How many lines the header ends behind.
    pub(super) fn lines_above(&self) -> usize {
        usize::try_from(self.skip_lines).unwrap_or(usize::MAX)
    }

    /// A header with a word for time, and nothing below it.
    pub(super) fn is_header_alone(&self) -> bool {
        self.rows.is_empty()
            && self.header_line.is_some()
            && self.header.iter().any(|name| is_time_word(name))
    }

    /// Whether a row calls the column of times by a word for them, and any column otherwise than the header does: what is below
    /// is of other things, or in another zone. Numbers in it may be names of sensors.
    pub(super) fn is_another_header(&self, row: &Record, time: Option<usize>) -> bool {
        let Some(time) = time.filter(|at| self.header_line.is_some() && !self.header(*at).is_empty()) else {
            return false;
        };
        let name = |at: usize| row.field(at).trim_start_matches('#').trim();
        let all = || 0..self.width().max(row.len());
        let is_word = || {
            let (word, own) = (bare(name(time)), bare(self.header(time)));
            !word.is_empty()
                && (word == own || is_time_word(&word))
                && civil::parse(name(time), None).is_none()
                && all().any(|at| at != time && !name(at).is_empty())
        };
        // By another word alone, times are of the same table; in another zone they are not.
        let differs = |at: usize| match at == time {
            true => zone(name(at)) != zone(self.header(at)),
            false => !name(at).eq_ignore_ascii_case(self.header(at)),
        };
        (name(time) == self.header(time) || is_word()) && all().any(differs)
    }

    pub(super) fn width(&self) -> usize {
        self.header.len()
    }

    pub(super) fn header(&self, index: usize) -> &str {
        self.header.get(index).map_or("", String::as_str)
    }

    /// How a column is called in messages.
    pub(super) fn shown(&self, index: usize) -> String {
        match self.header(index) {
            "" => format!("column {}", index + 1),
            name => name.to_owned(),
        }
    }

    /// A column by its header, in any case, or by its number from 1.
    pub(super) fn find(&self, wanted: &str) -> Option<usize> {
        let exact = self.header.iter().position(|name| name == wanted);
        let loose = || self.header.iter().position(|name| name.to_lowercase() == wanted.to_lowercase());
        let number = || wanted.parse::<usize>().ok()?.checked_sub(1).filter(|index| *index < self.width());
        exact.or_else(loose).or_else(number)
    }

    pub(super) fn columns_shown(&self) -> String {
        (0..self.width()).map(|index| self.shown(index)).collect::<Vec<_>>().join(", ")
    }
}

/// Whether a row is one of those of a header: it stands again where files were put together.
pub(super) fn is_of_head(head: &str, raw: &str) -> bool {
    head == raw || (head.len() > raw.len() && head.split('\n').any(|line| line == raw))
}

/// Where the header stands among the records, if there is one.
fn header_at(file: &str, records: &[Record], first: usize, width: usize) -> Result<Option<usize>, Error> {
    if records.get(first).is_some_and(looks_like_header) {
        return Ok(Some(first));
    }
    // A header with one separator more or less than the rows: right if the surplus fields are empty.
    let Some(at) = first.checked_sub(1) else { return Ok(None) };
    let Some(before) = records.get(at).filter(|record| record.len() >= 2 && looks_like_header(record)) else {
        return Ok(None);
    };
    let rows = || records.iter().skip(first).filter(|record| record.len() == width);
    if before.len() + 1 == width && rows().all(|record| record.field(width - 1).is_empty()) {
        return Ok(Some(at));
    }
    if before.len() == width + 1 && before.field(width).is_empty() {
        return Ok(Some(at));
    }
    // Each decimal comma makes one field more: it may be any number of them.
    let named = before.fields().any(|field| words::meaning(field) == Some(Meaning::Time));
    if named && before.len() != width {
        return Err(Error::HeaderWidth { file: file.to_owned(), header: before.len(), rows: width });
    }
    Ok(None)
}

/// Names: no times and no numbers, unless a known word for time stands among them.
fn looks_like_header(record: &Record) -> bool {
    let filled = || record.fields().filter(|field| !field.is_empty());
    let is_time =
        |field: &str| civil::parse(field, None).is_some() && !field.bytes().all(|byte| byte.is_ascii_digit());
    if filled().any(is_time) || filled().next().is_none() {
        return false;
    }
    filled().any(is_time_word)
        || filled().all(|field| cell::spelling(field).is_none() && words::absent(field, false).is_none())
}

/// A row below the header that holds units and no number or time.
fn is_unit_row(record: &Record) -> bool {
    let bare = |field: &str| field.trim_matches(['[', ']', '(', ')']).trim().to_owned();
    let units = record.fields().filter(|field| words::is_unit(&bare(field))).count();
    let other = |field: &str| cell::spelling(field).is_some() || civil::parse(field, None).is_some();
    units > 0
        && !record.fields().any(other)
        && record.fields().filter(|field| !field.is_empty()).count() <= units + 1
}
