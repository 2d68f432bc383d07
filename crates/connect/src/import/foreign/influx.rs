//! What InfluxDB writes besides line protocol: annotated CSV (version 2, also with csv2lp's annotations), and the CSV of
//! the command line (version 1).

use std::io;

use super::super::cell;
use super::super::lines::Lines;
use super::super::records::{Record, Records, Step};
use super::points::{Point, by_form, instant, quoted};
use super::twice::{Missing, Seen, Twice};
use super::{ByRecord, as_it_is};

/// How many of the first lines are looked at.
const LINES_MAX: usize = 200;

/// Whether one of the first lines is an annotation, or a header with InfluxDB's own names.
pub(super) fn is_annotated(text: &str) -> bool {
    text.lines().take(10).any(|line| {
        ["#datatype", "#group", "#default"].iter().any(|word| line.starts_with(word))
            || (line.contains(",_field") && line.contains("_measurement"))
    })
}

/// The tables of a file, one after the other.
#[derive(Default)]
pub(super) struct Tables {
    types: Vec<String>,
    groups: Vec<bool>,
    defaults: Vec<String>,
    header: Vec<String>,
    /// Whether annotations were read, and no header since.
    annotating: bool,
    /// Columns that are tags, as somebody said.
    keys: Vec<String>,
}

/// What a column of a table is.
#[derive(PartialEq)]
enum Role {
    Measurement,
    Time,
    FieldName,
    Value,
    Tag,
    Field,
    Ignored,
}

impl Tables {
    fn role(&self, at: usize) -> Role {
        let name = self.header.get(at).map_or("", String::as_str);
        let kind =
            self.types.get(at).map_or("", |kind| kind.split([':', '|', ' ']).next().unwrap_or_default());
        match (name, kind) {
            ("_measurement", _) | (_, "measurement") => Role::Measurement,
            ("_time", _) | (_, "time") => Role::Time,
            ("_field", _) => Role::FieldName,
            ("_value", _) => Role::Value,
            ("" | "result" | "table" | "_start" | "_stop", _) | (_, "ignore" | "ignored") => Role::Ignored,
            (_, "tag") => Role::Tag,
            _ if self.keys.iter().any(|key| key == name) => Role::Tag,
            // Of a written table the one column with times is the point's.
            (_, "dateTime") if !self.header.iter().any(|name| name == "_time") => Role::Time,
            _ if self.groups.get(at).copied().unwrap_or_default() => Role::Tag,
            // A header without annotations: what is not InfluxDB's own is a tag beside `_value`.
            _ if self.header.iter().any(|name| name == "_value") => Role::Tag,
            _ => Role::Field,
        }
    }

    fn value(&self, at: usize, text: &str) -> String {
        match self.types.get(at).map_or("", |kind| kind.split([':', '|']).next().unwrap_or_default()) {
            "long" => format!("{text}i"),
            "unsignedLong" => format!("{text}u"),
            "double" | "boolean" => text.to_owned(),
            "" | "field" => by_form(text),
            _ => quoted(text),
        }
    }

    fn point<'a>(&'a self, record: &'a Record) -> Option<Point<'a>> {
        let mut point = Point { measurement: "", tags: Vec::new(), fields: Vec::new(), time: None };
        let (mut field, mut value) = ("value", None);
        for at in 0..self.header.len() {
            let own = record.field(at);
            let text = if own.is_empty() { self.defaults.get(at).map_or("", String::as_str) } else { own };
            match self.role(at) {
                _ if text.is_empty() => {}
                Role::Measurement => point.measurement = text,
                Role::Time => point.time = Some(instant(text)?),
                Role::FieldName => field = text,
                Role::Value => value = Some(self.value(at, text)),
                Role::Tag => point.tags.push((self.header.get(at)?, text)),
                Role::Field => point.fields.push((self.header.get(at)?, self.value(at, text))),
                Role::Ignored => {}
            }
        }
        point.fields.extend(value.map(|value| (field, value)));
        Some(point)
    }
}

impl Tables {
    pub(super) fn new(keys: &[String]) -> Tables {
        Tables { keys: keys.to_vec(), ..Tables::default() }
    }

    /// Takes a record that is above rows; false if it is one of them.
    fn takes(&mut self, record: &Record) -> bool {
        let cells = || record.fields().map(str::to_owned);
        if let Some(annotation) = record.field(0).strip_prefix('#') {
            if !std::mem::replace(&mut self.annotating, true) {
                *self =
                    Tables { annotating: true, keys: std::mem::take(&mut self.keys), ..Tables::default() };
            }
            // csv2lp leaves out the empty first column: `#datatype measurement,tag,…`.
            let (word, first) =
                annotation.split_once(' ').map_or((annotation, None), |(word, first)| (word, Some(first)));
            let rest = cells().skip(1);
            let all: Vec<String> = first
                .map(|first| first.trim().to_owned())
                .or(Some(String::new()))
                .into_iter()
                .chain(rest)
                .collect();
            match word {
                "datatype" => self.types = all,
                "group" => self.groups = all.iter().map(|cell| cell == "true").collect(),
                "default" => self.defaults = all,
                _ => {}
            }
            return true;
        }
        let again = record.fields().any(|field| field == "_value" || field == "_measurement");
        let is_head = std::mem::take(&mut self.annotating) || self.header.is_empty() || again;
        if is_head {
            self.header = cells().collect();
        }
        is_head
    }
}

/// Looks for rows of annotated CSV that cannot both be points: each field of them is one.
pub(super) fn seen_in_tables(lines: Lines, keys: &[String]) -> io::Result<Seen> {
    let mut records = Records::new(lines, ',');
    let (mut record, mut tables) = (Record::default(), Tables::new(keys));
    let (mut seen, mut fields, mut twice) = (Seen::default(), Seen::default(), Twice::default());
    loop {
        match records.read(&mut record)? {
            Step::End => break,
            Step::Fault { .. } => continue,
            Step::Record if tables.takes(&record) => {
                for name in &tables.header {
                    seen.column(name);
                }
                continue;
            }
            Step::Record => {}
        }
        let Some(mut point) = tables.point(&record).filter(|point| point.time.is_some()) else { continue };
        point.tags.sort_unstable();
        for (name, value) in &point.fields {
            let own = twice.hash((point.measurement, &point.tags, point.time, name));
            twice.add(record.line, own, std::iter::once((fields.column(name), value.as_str())));
        }
    }
    // Its fields are no columns that could be tags.
    seen.missing = twice.missing(&fields.names).map(|missing| Missing { key: None, ..missing });
    Ok(seen)
}

impl ByRecord for Tables {
    fn record(&mut self, record: &Record, out: &mut Vec<u8>) {
        if self.takes(record) {
            return;
        }
        let mark = out.len();
        // A field without a value is no sample, as an empty cell is none.
        let is_null = |point: &Point<'_>| !point.measurement.is_empty() && point.time.is_some();
        match self.point(record) {
            Some(point) if point.write(out) || is_null(&point) => {}
            _ => {
                out.truncate(mark);
                as_it_is(&record.raw, out);
            }
        }
    }
}

fn is_head(record: &Record) -> bool {
    record.field(0) == "name"
        && (record.field(1) == "time" || (record.field(1) == "tags" && record.field(2) == "time"))
}

/// The columns that are tags, if the text is such a table: those in which any of the first rows holds a text.
pub(super) fn query_tags(text: &str) -> Option<Vec<String>> {
    let mut record = Record::default();
    let (mut header, mut tags): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let (mut good, mut bad) = (0, 0);
    for line in text.lines().filter(|line| !line.trim().is_empty()).take(LINES_MAX) {
        record.split(1, line, ',');
        if is_head(&record) {
            header = record.fields().map(str::to_owned).collect();
            continue;
        }
        let time = header.iter().position(|name| name == "time")?;
        let is_row = instant(record.field(time)).is_some();
        good += usize::from(is_row);
        bad += usize::from(!is_row);
        for (at, name) in header.iter().enumerate().skip(time + 1) {
            let text = record.field(at);
            if !text.is_empty()
                && !tags.contains(name)
                && cell::spelling(text).is_none()
                && cell::boolean(text).is_none()
            {
                tags.push(name.clone());
            }
        }
    }
    // One value a row by its name is a table like others.
    (good > bad && header.get(2).is_some_and(|name| name != "value")).then_some(tags)
}

/// Looks for rows of the command line's CSV that cannot both be points.
pub(super) fn seen_in_query(lines: Lines, tags: &[String]) -> io::Result<Seen> {
    let mut records = Records::new(lines, ',');
    let (mut record, mut header, mut seen) = (Record::default(), Vec::new(), Seen::default());
    let mut twice = Twice::default();
    let is_own = |name: &str| matches!(name, "name" | "tags" | "time") || tags.iter().any(|tag| tag == name);
    loop {
        let step = records.read(&mut record)?;
        let is_end = matches!(step, Step::End);
        if is_end || matches!(step, Step::Record) && is_head(&record) {
            seen.missing = seen.missing.or_else(|| twice.missing(&header));
            if is_end {
                return Ok(seen);
            }
            header = record.fields().map(str::to_owned).collect();
            for name in &header {
                seen.column(name);
            }
            twice = Twice::default();
        } else if matches!(step, Step::Record) {
            let cells = || header.iter().map(String::as_str).zip(record.fields()).enumerate();
            let own: Vec<_> = cells().filter(|(_, (name, _))| is_own(name)).collect();
            let own = twice.hash(own);
            let others = cells().filter(|(_, (name, _))| !is_own(name));
            twice.add(record.line, own, others.map(|(at, (_, cell))| (at, cell)));
        }
    }
}

/// Rows of the command line's CSV.
pub(super) struct Query {
    tags: Vec<String>,
    header: Vec<String>,
}

impl Query {
    pub(super) fn new(tags: &[String]) -> Query {
        Query { tags: tags.to_vec(), header: Vec::new() }
    }

    fn point<'a>(&'a self, record: &'a Record) -> Option<Point<'a>> {
        let mut point =
            Point { measurement: record.field(0), tags: Vec::new(), fields: Vec::new(), time: None };
        for (at, name) in self.header.iter().enumerate().skip(1) {
            let text = record.field(at);
            match name.as_str() {
                _ if text.is_empty() => {}
                "time" => point.time = Some(instant(text)?),
                "tags" => point.tags.extend(text.split(',').filter_map(|tag| tag.split_once('='))),
                name if self.tags.iter().any(|tag| tag == name) => point.tags.push((name, text)),
                name => point.fields.push((name, by_form(text))),
            }
        }
        Some(point)
    }
}

impl ByRecord for Query {
    fn record(&mut self, record: &Record, out: &mut Vec<u8>) {
        if is_head(record) {
            self.header = record.fields().map(str::to_owned).collect();
            return;
        }
        let mark = out.len();
        match self.point(record) {
            Some(point) if point.write(out) || point.time.is_some() => {}
            _ => {
                out.truncate(mark);
                as_it_is(&record.raw, out);
            }
        }
    }
}
