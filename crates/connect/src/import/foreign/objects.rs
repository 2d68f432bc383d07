//! JSON that is no object a row: Telegraf's metrics, rows within another object (`{"data":[…]}`, the values of a gateway),
//! and lists by the name of their signal, as ThingsBoard exports them.

use std::io::{self, BufRead, Read};

use serde_json::Value as Json;

use super::super::lines::RECORD_BYTES_MAX;
use super::super::words::{self, Meaning};
use super::points::{Point, instant, quoted};
use super::{as_it_is, made};

/// Whether the first object is a metric, or a batch of them.
pub(super) fn is_telegraf(text: &str) -> bool {
    let begin = text.trim_start_matches(|c: char| c.is_whitespace() || c == '[');
    let begin = begin.strip_prefix("{\"metrics\":[").unwrap_or(begin);
    let mut documents = serde_json::Deserializer::from_str(begin).into_iter::<Json>();
    let Some(Ok(Json::Object(first))) = documents.next() else { return false };
    first.get("fields").is_some_and(Json::is_object)
        && first.get("name").is_some_and(Json::is_string)
        && first.get("timestamp").is_some_and(Json::is_number)
}

/// A metric, or a batch of them, as points.
pub(super) fn metric(text: &str, out: &mut Vec<u8>) {
    let Ok(object) = serde_json::from_str::<Json>(text) else { return as_it_is(text, out) };
    let metrics = object.get("metrics").and_then(Json::as_array);
    for metric in metrics.map_or(std::slice::from_ref(&object), Vec::as_slice) {
        let empty = serde_json::Map::new();
        let members = |name: &str| metric.get(name).and_then(Json::as_object).unwrap_or(&empty);
        let value = |value: &Json| match value {
            Json::Number(number) => Some(number.to_string()),
            Json::Bool(bool) => Some(bool.to_string()),
            Json::String(text) => Some(quoted(text)),
            _ => None,
        };
        let point = Point {
            measurement: metric.get("name").and_then(Json::as_str).unwrap_or_default(),
            tags: members("tags")
                .iter()
                .filter_map(|(name, tag)| Some((name.as_str(), tag.as_str()?)))
                .collect(),
            fields: members("fields")
                .iter()
                .filter_map(|(name, field)| Some((name.as_str(), value(field)?)))
                .collect(),
            time: metric.get("timestamp").and_then(|time| instant(&time.to_string())),
        };
        if !point.write(out) {
            as_it_is(&metric.to_string(), out);
        }
    }
}

/// Whether the rows stand in lists within the first object: those of a list have times; and the object around it has none,
/// unless they say themselves what they are about.
pub(super) fn is_wrapped(text: &str) -> bool {
    let mut scan = Scan::new(Box::new(io::Cursor::new(text.as_bytes().to_vec())));
    let means = |names: &[String], meaning| names.iter().any(|name| words::meaning(name) == Some(meaning));
    let Ok(Some((_, first))) = scan.next_row() else { return false };
    let Ok(Json::Object(row)) = serde_json::from_str::<Json>(&first) else { return false };
    let names: Vec<String> = row.keys().cloned().collect();
    let told = means(&names, Meaning::Signal) && means(&names, Meaning::Value);
    // The last is the list's own name.
    let around = scan.around.split_last().map(|(_, around)| around).unwrap_or_default();
    means(&names, Meaning::Time) && (told || !means(around, Meaning::Time))
}

/// The rows of all lists, one a line; those that say not what they are about get the name of their list.
pub(super) fn unwrapped(input: Box<dyn BufRead + Send>) -> Box<dyn Read + Send> {
    let mut scan = Scan::new(input);
    made(move |out| {
        let Some((list, row)) = scan.next_row()? else { return Ok(false) };
        let line = row.replace(['\n', '\r'], " ");
        match serde_json::from_str::<Json>(&line) {
            // ThingsBoard: the name of the list is the signal's, and numbers stand in quotes.
            Ok(Json::Object(members)) if members.len() == 2 => {
                match (members.get("ts"), members.get("value")) {
                    (Some(time), Some(value)) => {
                        let value = match value {
                            Json::String(text) if text.parse::<f64>().is_ok_and(f64::is_finite) => {
                                text.clone()
                            }
                            Json::String(text) if matches!(&**text, "true" | "false") => text.clone(),
                            other => other.to_string(),
                        };
                        let name = Json::String(list);
                        let line = format!("{{\"signal\":{name},\"time\":{time},\"value\":{value}}}\n");
                        out.extend_from_slice(line.as_bytes());
                    }
                    _ => as_it_is(&line, out),
                }
            }
            _ => as_it_is(&line, out),
        }
        Ok(true)
    })
}

/// Finds the objects that stand in lists directly within the outermost objects.
struct Scan {
    input: Box<dyn BufRead + Send>,
    /// Brackets that are open, from the outside in.
    open: Vec<u8>,
    /// The names of the outermost object's members so far.
    around: Vec<String>,
    last_text: String,
}

/// Names of the outermost members that are remembered.
const AROUND_MAX: usize = 100;

impl Scan {
    fn new(input: Box<dyn BufRead + Send>) -> Scan {
        Scan { input, open: Vec::new(), around: Vec::new(), last_text: String::new() }
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.input.fill_buf()?.first().copied();
        self.input.consume(usize::from(byte.is_some()));
        Ok(byte)
    }

    /// The name of the list, and the next object in it.
    fn next_row(&mut self) -> io::Result<Option<(String, String)>> {
        let mut row: Vec<u8> = Vec::new();
        let mut taking = false;
        while let Some(byte) = self.byte()? {
            if taking && row.len() < RECORD_BYTES_MAX {
                row.push(byte);
            }
            match byte {
                b'"' => {
                    let text = self.text(if taking { Some(&mut row) } else { None })?;
                    if self.open == b"{" {
                        self.last_text = text;
                    }
                }
                b':' if self.open == b"{" && self.around.len() < AROUND_MAX => {
                    self.around.push(self.last_text.clone())
                }
                b'{' | b'[' => {
                    if self.open == b"{[" && byte == b'{' {
                        taking = true;
                        row = vec![b'{'];
                    }
                    if self.open.len() >= 128 {
                        return Err(io::Error::other("its JSON is nested more than 128 deep"));
                    }
                    self.open.push(byte);
                }
                b'}' | b']' => {
                    self.open.pop();
                    if taking && self.open == b"{[" {
                        let name = self.around.last().cloned().unwrap_or_default();
                        return Ok(Some((name, String::from_utf8_lossy(&row).into_owned())));
                    }
                    if self.open.is_empty() {
                        self.around.clear();
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// The rest of a text, up to its closing quote.
    fn text(&mut self, mut copy: Option<&mut Vec<u8>>) -> io::Result<String> {
        let (mut text, mut escaped) = (Vec::new(), false);
        while let Some(byte) = self.byte()? {
            if let Some(copy) = copy.as_mut().filter(|copy| copy.len() < RECORD_BYTES_MAX) {
                copy.push(byte);
            }
            match byte {
                b'"' if !escaped => break,
                _ => escaped = byte == b'\\' && !escaped,
            }
            if text.len() < 512 {
                text.push(byte);
            }
        }
        let raw = String::from_utf8_lossy(&text).into_owned();
        Ok(serde_json::from_str(&format!("\"{raw}\"")).unwrap_or(raw))
    }
}
