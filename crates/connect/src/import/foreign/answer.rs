//! What InfluxDB answers to `/query` as JSON (version 1, and what later ones answer there): rows without names, below their
//! columns, in series, in results, in any number of documents one after the other. Row by row, whatever their number.

use std::io::{self, BufRead, Read};

use serde_json::Value as Json;

use super::super::lines::RECORD_BYTES_MAX;
use super::points::{Point, instant, quoted};
use super::twice::{Seen, Twice};
use super::{as_it_is, made};

/// How many rows of the beginning say which columns are tags.
const ROWS_MAX: usize = 200;

/// Whether a text begins as an answer; then the columns that are tags: those in which a text stands.
pub(super) fn tags_of(text: &str) -> Option<Vec<String>> {
    let begin: String = text.chars().filter(|c| !c.is_whitespace()).take(12).collect();
    if !begin.starts_with("{\"results\":[") {
        return None;
    }
    let mut scan = Scan::new(Box::new(io::Cursor::new(text.as_bytes().to_vec())));
    let (mut tags, mut rows): (Vec<String>, usize) = (Vec::new(), 0);
    while let Ok(Some(row)) = scan.next_row() {
        let Some(cells) = scan.cells(&row) else { continue };
        for (name, cell) in cells {
            if name != "time" && cell.is_string() && !tags.contains(&name) {
                tags.push(name);
            }
        }
        rows += 1;
        if rows >= ROWS_MAX {
            break;
        }
    }
    (rows > 0).then_some(tags)
}

/// Looks for rows that cannot both be points; they are counted from 1.
pub(super) fn seen(input: Box<dyn BufRead + Send>, tags: &[String]) -> io::Result<Seen> {
    let (mut scan, mut seen, mut twice) = (Scan::new(input), Seen::default(), Twice::default());
    let mut number = 0;
    while let Some(row) = scan.next_row()? {
        number += 1;
        let Some(cells) = scan.cells(&row) else { continue };
        let Some(series) = scan.series() else { continue };
        // What another statement selects of the same points has other columns.
        let is_own = |name: &str| name == "time" || tags.iter().any(|tag| tag == name);
        let own: Vec<_> =
            cells.iter().filter(|(name, _)| is_own(name)).map(|(_, cell)| cell.to_string()).collect();
        let own = twice.hash((&series.name, &series.tags, &series.columns, own));
        for (name, _) in &series.tags {
            seen.column(name);
        }
        let others: Vec<(usize, String)> = cells
            .iter()
            .map(|(name, cell)| (seen.column(name), name, cell))
            .filter(|(_, name, cell)| !is_own(name) && !cell.is_null())
            .map(|(at, _, cell)| (at, cell.to_string()))
            .collect();
        twice.add(number, own, others.iter().map(|(at, cell)| (*at, cell.as_str())));
    }
    seen.missing = twice.missing(&seen.names);
    Ok(seen)
}

/// The rows as line protocol.
pub(super) fn points(input: Box<dyn BufRead + Send>, tags: &[String]) -> Box<dyn Read + Send> {
    let mut scan = Scan::new(input);
    let tags = tags.to_vec();
    made(move |out| {
        let Some(row) = scan.next_row()? else { return Ok(false) };
        if !scan.point(&row, &tags, out) {
            as_it_is(&row, out);
        }
        Ok(true)
    })
}

/// What is open where a series has its members, and where its rows stand.
const SERIES: &[u8] = b"{[{[{";
const ROWS: &[u8] = b"{[{[{[";

/// Goes through the documents, and holds what the series at hand says of its rows.
struct Scan {
    input: Box<dyn BufRead + Send>,
    /// Brackets that are open, from the outside in.
    open: Vec<u8>,
    /// The members of the series besides its rows, as JSON.
    series: Vec<u8>,
    /// The name of the member that comes, and whether it is one of the series.
    name: String,
    known: Option<Series>,
}

struct Series {
    name: String,
    tags: Vec<(String, String)>,
    columns: Vec<String>,
}

impl Scan {
    fn new(input: Box<dyn BufRead + Send>) -> Scan {
        Scan { input, open: Vec::new(), series: Vec::new(), name: String::new(), known: None }
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.input.fill_buf()?.first().copied();
        self.input.consume(usize::from(byte.is_some()));
        Ok(byte)
    }

    /// The next row as JSON.
    fn next_row(&mut self) -> io::Result<Option<String>> {
        let mut row: Vec<u8> = Vec::new();
        while let Some(byte) = self.byte()? {
            let in_row = self.open.len() > ROWS.len();
            let closes = matches!(byte, b'}' | b']');
            match byte {
                b'{' | b'[' => {
                    if self.open.len() >= 64 {
                        return Err(io::Error::other("its JSON is nested more than 64 deep"));
                    }
                    if self.open == ROWS && self.name == "values" {
                        row.clear();
                    }
                    if self.open == b"{[{[" {
                        (self.known, self.series) = (None, Vec::new());
                    }
                    self.open.push(byte);
                }
                b'}' | b']' => drop(self.open.pop()),
                _ => {}
            }
            let text = if byte == b'"' { Some(self.text()?) } else { None };
            let is_values = self.name == "values" && self.open.len() > SERIES.len();
            if is_values || (in_row && self.name == "values") {
                push(&mut row, byte, text.as_deref());
                if closes && self.open == ROWS {
                    return Ok(Some(String::from_utf8_lossy(&row).into_owned()));
                }
            } else if self.open.starts_with(SERIES) {
                push(&mut self.series, byte, text.as_deref());
            }
            if let Some(text) = text.filter(|_| self.open == SERIES) {
                self.name = String::from_utf8_lossy(&text).into_owned();
            }
        }
        Ok(None)
    }

    /// The rest of a text up to its closing quote, as it is written.
    fn text(&mut self) -> io::Result<Vec<u8>> {
        let (mut text, mut escaped) = (Vec::new(), false);
        while let Some(byte) = self.byte()? {
            if byte == b'"' && !escaped {
                break;
            }
            escaped = byte == b'\\' && !escaped;
            if text.len() < RECORD_BYTES_MAX {
                text.push(byte);
            }
        }
        Ok(text)
    }

    /// What stands before the rows of the series at hand.
    fn series(&mut self) -> Option<&Series> {
        if self.known.is_none() {
            let text = String::from_utf8_lossy(&self.series);
            // Its rows were left out, and it is not at its end.
            let text = text.trim_end().trim_end_matches("\"values\":").trim_end().trim_end_matches(',');
            let series: Json = serde_json::from_str(&format!("{text}}}")).ok()?;
            let string = |json: &Json| json.as_str().unwrap_or_default().to_owned();
            let tags = series.get("tags").and_then(Json::as_object);
            self.known = Some(Series {
                name: series.get("name").map(string)?,
                tags: tags.into_iter().flatten().map(|(name, value)| (name.clone(), string(value))).collect(),
                columns: series.get("columns")?.as_array()?.iter().map(string).collect(),
            });
        }
        self.known.as_ref()
    }

    fn cells(&mut self, row: &str) -> Option<Vec<(String, Json)>> {
        let values: Vec<Json> = serde_json::from_str(row).ok()?;
        let series = self.series()?;
        (values.len() == series.columns.len()).then(|| series.columns.iter().cloned().zip(values).collect())
    }

    /// Appends a row as a point; false if it is none. A row of nothing but NULL is no sample.
    fn point(&mut self, row: &str, tags: &[String], out: &mut Vec<u8>) -> bool {
        let Some(cells) = self.cells(row) else { return false };
        let Some(series) = self.series() else { return false };
        let mut point = Point { measurement: &series.name, tags: Vec::new(), fields: Vec::new(), time: None };
        point.tags.extend(series.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        // One that is a tag as somebody said is written as it stands there.
        let is_tag = |name: &String| name != "time" && tags.contains(name);
        let spelled: Vec<String> = cells
            .iter()
            .map(
                |(name, cell)| {
                    if is_tag(name) && !cell.is_string() { cell.to_string() } else { String::new() }
                },
            )
            .collect();
        for ((name, cell), spelled) in cells.iter().zip(&spelled) {
            match cell {
                Json::Null => {}
                Json::String(time) if name == "time" => point.time = instant(time),
                Json::Number(time) if name == "time" => point.time = instant(&time.to_string()),
                Json::String(text) if tags.contains(name) => point.tags.push((name, text)),
                Json::String(text) => point.fields.push((name, quoted(text))),
                Json::Number(_) | Json::Bool(_) if is_tag(name) => point.tags.push((name, spelled)),
                Json::Number(number) => point.fields.push((name, number.to_string())),
                Json::Bool(bool) => point.fields.push((name, bool.to_string())),
                Json::Array(_) | Json::Object(_) => return false,
            }
        }
        point.write(out) || (point.time.is_some() && point.fields.is_empty())
    }
}

fn push(into: &mut Vec<u8>, byte: u8, text: Option<&[u8]>) {
    if into.len() < RECORD_BYTES_MAX {
        into.push(byte);
        if let Some(text) = text {
            into.extend_from_slice(text);
            into.push(b'"');
        }
    }
}
