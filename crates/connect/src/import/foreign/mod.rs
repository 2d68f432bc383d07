//! Files whose rows are neither tables, objects nor lines that the plant reads: what other programs dump. Each is turned
//! into one of these as it is read; what its rows mean is then decided as for any other file.

#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod answer;
mod influx;
mod labview;
mod objects;
mod pairs;
mod points;
mod prometheus;
mod turned;
mod twice;

use std::io::{self, BufRead, Read};

use super::error::Error;
use super::lines::{Lines, Otherwise};
use super::plan::Options;
use super::records::{Record, Records, Step};
use super::source::Encoding;

/// A file of another program.
#[derive(Clone, Debug)]
pub(super) struct Foreign {
    /// For people.
    pub(super) name: &'static str,
    kind: Kind,
    encoding: Encoding,
}

#[derive(Clone, Debug)]
enum Kind {
    /// InfluxDB 2: tables with annotations above each. Columns that are tags, as somebody said.
    Annotated(Vec<String>),
    /// InfluxDB 1: what its command line prints as CSV. The columns that are tags.
    Query(Vec<String>),
    /// InfluxDB 1: what it answers as JSON. The columns that are tags.
    Answer(Vec<String>),
    /// Telegraf: an object a metric.
    Telegraf,
    Prometheus,
    /// Rows within another object, or lists by the name of their signal.
    Wrapped,
    /// One row a signal.
    Turned(turned::Turned),
    /// A pair of time and value for each signal, side by side.
    Pairs(pairs::Pairs),
    /// AVEVA (Wonderware) Historian's import files: three lines, then rows without a header.
    Historian(char),
    LabView(char),
}

/// Recognises by the first bytes, which end with a whole line if the file goes on.
pub(super) fn recognise(encoding: Encoding, text: &str, options: &Options) -> Option<Foreign> {
    let found = |name, kind| Some(Foreign { name, kind, encoding });
    if options.transposed {
        return found("one row a signal", Kind::Turned(turned::Turned::of(text)?));
    }
    let first = text.lines().find(|line| !line.trim().is_empty())?.trim();
    let keys = || options.keys.iter().filter(|key| !key.is_empty()).cloned();
    if first.starts_with('{') || first.starts_with('[') {
        if let Some(mut tags) = answer::tags_of(text) {
            tags.extend(keys());
            return found("an answer of InfluxDB", Kind::Answer(tags));
        }
        if objects::is_telegraf(text) {
            return found("Telegraf's metrics in JSON", Kind::Telegraf);
        }
        if first.starts_with("{__name__=") {
            return found("Prometheus' text format", Kind::Prometheus);
        }
        return objects::is_wrapped(text)
            .then_some(())
            .and_then(|()| found("JSON with its rows within", Kind::Wrapped));
    }
    if let Some(separator) = labview::separator(text) {
        return found("a measurement file of LabVIEW", Kind::LabView(separator));
    }
    if influx::is_annotated(text) {
        return found("an annotated CSV of InfluxDB", Kind::Annotated(keys().collect()));
    }
    if let Some(mut tags) = influx::query_tags(text) {
        tags.extend(keys());
        return found("a CSV of InfluxDB's command line", Kind::Query(tags));
    }
    if prometheus::is_one(text) {
        return found("Prometheus' text format", Kind::Prometheus);
    }
    if first.eq_ignore_ascii_case("ascii") || first.eq_ignore_ascii_case("unicode") {
        let separator = text.lines().nth(1).and_then(|line| line.trim_end_matches('\r').chars().next())?;
        return found("a CSV of AVEVA Historian", Kind::Historian(separator));
    }
    if let Some(pairs) = pairs::Pairs::of(text) {
        return found("times and values side by side", Kind::Pairs(pairs));
    }
    turned::Turned::by_header(text).and_then(|turned| found("one row a signal", Kind::Turned(turned)))
}

impl Foreign {
    /// Whether its rows come as line protocol.
    pub(super) fn is_points(&self) -> bool {
        matches!(
            self.kind,
            Kind::Annotated(_) | Kind::Query(_) | Kind::Answer(_) | Kind::Telegraf | Kind::Prometheus
        )
    }

    /// Whether `--key` names columns of it that are tags.
    pub(super) fn takes_keys(&self) -> bool {
        matches!(self.kind, Kind::Annotated(_) | Kind::Query(_) | Kind::Answer(_))
    }

    /// Looks through a file whose rows may lack a tag, or have one that looks like a value.
    pub(super) fn judge(
        &self,
        input: Box<dyn Read + Send>,
        name: &str,
        options: &Options,
    ) -> Result<(), Error> {
        if !self.takes_keys() || options.keys.iter().any(String::is_empty) {
            return Ok(());
        }
        let decoded = self.encoding.decode(input);
        let lines = |decoded| Lines::new(decoded, self.otherwise(), b'\n');
        let with_tags = "with the tags too (SELECT * or GROUP BY *)";
        let (seen, unit, again) = match &self.kind {
            Kind::Query(tags) => (influx::seen_in_query(lines(decoded), tags), "lines", with_tags),
            Kind::Answer(tags) => (answer::seen(decoded, tags), "rows", with_tags),
            Kind::Annotated(keys) => {
                let again = "with the tags too, without drop() and keep() of them";
                (influx::seen_in_tables(lines(decoded), keys), "lines", again)
            }
            _ => return Ok(()),
        };
        let seen = seen.map_err(|error| Error::Io(name.to_owned(), error))?;
        if let Some(wanted) = options.keys.iter().find(|key| !seen.names.contains(*key)) {
            let (file, columns) = (name.to_owned(), seen.names.join(", "));
            return Err(Error::NoColumn { file, wanted: wanted.clone(), columns });
        }
        let Some(missing) = seen.missing else { return Ok(()) };
        let first = match missing.key {
            Some(key) => format!("Name the tags among them with --key {key}"),
            None => format!("A tag is missing: export it again {again}"),
        };
        let (columns, places) = (missing.columns.join(", "), missing.places);
        let hint = format!("{first}; or say with --key '' that they are one signal all the same");
        Err(Error::Split { file: name.to_owned(), columns, unit, places, hint })
    }

    fn otherwise(&self) -> Otherwise {
        match self.encoding {
            Encoding::Utf8 => Otherwise::Fault,
            Encoding::Ascii => Otherwise::Windows1252,
            _ => Otherwise::Decoded,
        }
    }

    /// The stream as rows that are read on.
    pub(super) fn convert(&self, input: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        let otherwise = self.otherwise();
        let decoded = self.encoding.decode(input);
        let lines = |decoded| Lines::new(decoded, otherwise, b'\n');
        match &self.kind {
            Kind::Annotated(keys) => by_record(lines(decoded), ',', influx::Tables::new(keys)),
            Kind::Query(tags) => by_record(lines(decoded), ',', influx::Query::new(tags)),
            Kind::Answer(tags) => answer::points(decoded, tags),
            Kind::LabView(separator) => by_record(lines(decoded), *separator, labview::Segments::default()),
            Kind::Historian(separator) => by_record(lines(decoded), *separator, Historian::default()),
            Kind::Pairs(pairs) => by_record(lines(decoded), pairs.separator, pairs.clone()),
            Kind::Turned(turned) => by_record(lines(decoded), turned.separator, turned.clone()),
            Kind::Prometheus => by_line(lines(decoded), prometheus::line),
            Kind::Telegraf => by_object(decoded, objects::metric),
            Kind::Wrapped => objects::unwrapped(decoded),
        }
    }
}

/// Turns records into what is read on.
trait ByRecord: Send + 'static {
    /// Appends what a record is.
    fn record(&mut self, record: &Record, out: &mut Vec<u8>);
}

/// A stream that is made piece by piece.
struct Made<F> {
    /// Appends the next piece; false at the end.
    next: F,
    out: Vec<u8>,
    at: usize,
}

impl<F: FnMut(&mut Vec<u8>) -> io::Result<bool>> Read for Made<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.out.len() {
            self.out.clear();
            self.at = 0;
            if !(self.next)(&mut self.out)? {
                return Ok(0);
            }
        }
        let count = Read::read(&mut self.out.get(self.at..).unwrap_or_default(), into)?;
        self.at += count;
        Ok(count)
    }
}

pub(super) fn made(
    next: impl FnMut(&mut Vec<u8>) -> io::Result<bool> + Send + 'static,
) -> Box<dyn Read + Send> {
    Box::new(Made { next, out: Vec::new(), at: 0 })
}

/// What cannot be turned stays as it is, and is rejected further on.
fn as_it_is(text: &str, out: &mut Vec<u8>) {
    out.extend(text.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    out.push(b'\n');
}

fn by_record(lines: Lines, separator: char, mut turn: impl ByRecord) -> Box<dyn Read + Send> {
    let mut records = Records::new(lines, separator);
    let mut record = Record::default();
    made(move |out| {
        match records.read(&mut record)? {
            Step::End => return Ok(false),
            Step::Fault { raw, .. } => as_it_is(&raw, out),
            Step::Record => turn.record(&record, out),
        }
        Ok(true)
    })
}

fn by_line(mut lines: Lines, turn: fn(&str, &mut Vec<u8>)) -> Box<dyn Read + Send> {
    made(move |out| {
        let Some(line) = lines.next_line()? else { return Ok(false) };
        turn(&line.text, out);
        Ok(true)
    })
}

fn by_object(input: Box<dyn BufRead + Send>, turn: fn(&str, &mut Vec<u8>)) -> Box<dyn Read + Send> {
    let mut objects = super::json::Objects::Elements(super::json::Elements::new(input));
    made(move |out| {
        let Some(object) = objects.next_object()? else { return Ok(false) };
        turn(&object.text, out);
        Ok(true)
    })
}

/// A cell of CSV.
fn cell(text: &str, out: &mut Vec<u8>) {
    let plain = !text.contains(['"', ',', '\n', '\r']) && text.trim().len() == text.len();
    if plain {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

/// Cells of CSV as a row.
pub(super) fn row<'a>(cells: impl IntoIterator<Item = &'a str>, out: &mut Vec<u8>) {
    for (at, text) in cells.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        cell(text, out);
    }
    out.push(b'\n');
}

/// Rows of tag, operation, date, time, how the time is meant, value and quality below three lines.
#[derive(Default)]
struct Historian {
    begun: bool,
}

impl ByRecord for Historian {
    fn record(&mut self, record: &Record, out: &mut Vec<u8>) {
        if record.line <= 3 {
            return;
        }
        if !std::mem::replace(&mut self.begun, true) {
            out.extend_from_slice(b"tagname,date,time,value,quality\n");
        }
        match record.len() {
            6.. => row([0, 2, 3, 5, 6].map(|at| record.field(at)), out),
            _ => as_it_is(&record.raw, out),
        }
    }
}
