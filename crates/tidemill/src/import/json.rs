//! JSON lines and JSON arrays: cutting them into objects without holding the whole, and taking one object apart with
//! its numbers as they are written.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead};

use jiff::tz::TimeZone;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use tidemill_core::SignalPath;

use super::columns::Column;
use super::error::Error;
use super::layout::{Look, StatusNumbers};
use super::lines::{Line, Lines, RECORD_BYTES_MAX};
use super::names;
use super::plan::Options;
use super::sheet::Sheet;
use super::time::TimeForm;
use super::words::{self, Meaning};

/// How deep members are followed; deeper ones are kept as JSON documents.
const DEPTH_MAX: usize = 8;

/// How many members an object may have in all.
const MEMBERS_MAX: usize = 10_000;

/// The longest name that is looked at: a longer one makes no path.
const NAME_BYTES_MAX: usize = 512;

/// How many members are looked at as columns, besides those whose names mean something.
const COLUMNS_MAX: usize = 1000;

/// How objects become samples.
#[derive(Debug, Clone)]
pub(super) struct JsonPlan {
    pub(super) time: String,
    pub(super) time_of_day: Option<String>,
    pub(super) form: TimeForm,
    pub(super) zone: TimeZone,
    /// What numbers mean that are qualities.
    pub(super) numbers: StatusNumbers,
    pub(super) shape: JsonShape,
    pub(super) notes: Vec<String>,
}

/// One object a sample, or one member a signal.
#[derive(Debug, Clone)]
pub(super) enum JsonShape {
    Narrow {
        prefix: Option<SignalPath>,
        signal: String,
        value: String,
        quality: Option<String>,
        kind: Option<String>,
        unit: Option<String>,
    },
    Wide {
        prefix: SignalPath,
        /// The one member that is taken, and under which path.
        only: Option<(String, SignalPath)>,
        /// The members with the quality of others, by the name of those; and the one with that of all the rest.
        qualities: HashMap<String, String>,
        quality: Option<String>,
        /// Members that are no values: times, qualities.
        left_out: HashSet<String>,
    },
}

/// One scalar of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    /// Names from the outside in.
    pub(super) name: Vec<String>,
    pub(super) value: Scalar,
}

/// A scalar as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    /// An array, or an object too deep: its JSON.
    Document(String),
}

impl Scalar {
    /// The text of a string or number; empty for others.
    pub(super) fn text(&self) -> &str {
        match self {
            Scalar::Number(text) | Scalar::Text(text) => text,
            Scalar::Bool(true) => "true",
            Scalar::Bool(false) => "false",
            Scalar::Null | Scalar::Document(_) => "",
        }
    }
}

/// The members of one object, from the outside in. The value of a sample is one, also where it is an object itself:
/// that is the outer member `value` of this name, or, before it is known, that of `{"signal", "value", …}`.
pub(super) fn members(text: &str, value: Option<&str>) -> Result<Vec<Member>, String> {
    let mut out = Vec::new();
    walk(text, value, &mut Vec::new(), &mut out)?;
    for (index, member) in out.iter().enumerate() {
        // A few members are compared fast enough; many are rare.
        if out.iter().take(index.min(64)).any(|other| other.name == member.name) {
            return Err(format!("the member '{}' stands twice", member.name.join("/")));
        }
    }
    Ok(out)
}

fn walk(
    text: &str,
    value: Option<&str>,
    path: &mut Vec<String>,
    out: &mut Vec<Member>,
) -> Result<(), String> {
    let object: Object<'_> =
        serde_json::from_str(text).map_err(|error| format!("it is no JSON object: {error}"))?;
    let is_sample = path.is_empty() && object.0.iter().any(|(name, _)| name == "signal");
    let one = value.filter(|_| path.is_empty()).or(is_sample.then_some("value"));
    for (name, raw) in object.0 {
        let is_one = one == Some(name.as_str());
        if out.len() >= MEMBERS_MAX {
            return Err(format!("the object has more than {MEMBERS_MAX} members"));
        }
        path.push(name);
        let raw = raw.get();
        let value = match raw.as_bytes().first() {
            Some(b'{') if path.len() < DEPTH_MAX && !is_one => {
                walk(raw, value, path, out)?;
                path.pop();
                continue;
            }
            Some(b'{' | b'[') => Scalar::Document(raw.to_owned()),
            Some(b'"') => Scalar::Text(serde_json::from_str(raw).map_err(|error| error.to_string())?),
            Some(b't') => Scalar::Bool(true),
            Some(b'f') => Scalar::Bool(false),
            Some(b'n') => Scalar::Null,
            _ => Scalar::Number(raw.to_owned()),
        };
        out.push(Member { name: path.clone(), value });
        path.pop();
    }
    Ok(())
}

/// Members in their order, numbers as they are written: `serde_json::Value` would round them.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object<'de>, M::Error> {
                let mut out = Vec::new();
                while let Some(member) = map.next_entry()? {
                    out.push(member);
                }
                Ok(Object(out))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// What all objects of a file have, in room that does not grow with their number.
#[derive(Default)]
pub(super) struct Seen {
    /// The outer members that are looked at.
    names: Vec<String>,
    columns: Vec<Column>,
    /// The others: within a member, or too many.
    others: Vec<String>,
    /// Where each name stands: among the columns, or nowhere.
    places: HashMap<String, Option<usize>>,
    any: bool,
}

impl Seen {
    /// Adds an object.
    pub(super) fn add(&mut self, line: u64, members: &[Member]) {
        self.any = true;
        for member in members {
            let joined;
            let name = match member.name.as_slice() {
                [name] => name,
                many => {
                    joined = many.join("/");
                    &joined
                }
            };
            let place = match self.places.get(name) {
                Some(place) => *place,
                None => self.place(name, member.name.len() == 1),
            };
            if let Some(column) = place.and_then(|place| self.columns.get_mut(place)) {
                column.add(line, member.value.text());
            }
        }
    }

    /// A place for a name that was not seen before.
    fn place(&mut self, name: &str, outer: bool) -> Option<usize> {
        if self.places.len() >= MEMBERS_MAX || name.len() > NAME_BYTES_MAX {
            return None;
        }
        let known = words::meaning(name).is_some() || words::quality_of(name).is_some();
        let place = (outer && (known || self.names.len() < COLUMNS_MAX)).then_some(self.names.len());
        if place.is_some() {
            self.names.push(name.to_owned());
            self.columns.push(Column::default());
        } else {
            self.others.push(name.to_owned());
        }
        self.places.insert(name.to_owned(), place);
        place
    }

    /// Decides how the objects are read.
    pub(super) fn plan(self, file: &str, options: &Options) -> Result<JsonPlan, Error> {
        if !self.any {
            return Err(Error::Unknown(file.to_owned()));
        }
        let sheet = Sheet::of_members(self.names);
        let look = Look::new(file, &sheet, options, self.columns).members()?;
        let name = |at: usize| sheet.header(at).to_owned();
        let opt = |at: Option<usize>| at.map(name);
        let (time, time_of_day) = (name(look.time), opt(look.time_of_day));
        let shape = match look.narrow {
            Some(narrow) => JsonShape::Narrow {
                prefix: narrow.prefix,
                signal: name(narrow.signal),
                value: name(narrow.value),
                quality: opt(narrow.quality),
                kind: opt(narrow.kind),
                unit: opt(narrow.unit),
            },
            None => {
                let aside = look.left_out.into_iter().map(name).chain(time_of_day.clone());
                let left_out: HashSet<String> = aside.chain([time.clone()]).collect();
                let all = sheet.header.iter().chain(&self.others);
                let names = all.filter(|name| !left_out.contains(*name)).cloned().collect();
                let (prefix, only) = wide(file, names, options)?;
                let qualities = look.qualities.iter().map(|(of, at)| (name(*of), name(*at))).collect();
                JsonShape::Wide { prefix, only, qualities, quality: opt(look.quality), left_out }
            }
        };
        let (form, zone, numbers, notes) = (look.form, look.zone, look.numbers, look.notes);
        Ok(JsonPlan { time, time_of_day, form, zone, numbers, shape, notes })
    }
}

/// What stands before the names of the members; or the one that is taken, and its path.
type Wide = (SignalPath, Option<(String, SignalPath)>);

fn wide(file: &str, mut names: Vec<String>, options: &Options) -> Result<Wide, Error> {
    if let Some(wanted) = &options.value {
        if !names.contains(wanted) {
            let columns = names.join(", ");
            return Err(Error::NoColumn { file: file.to_owned(), wanted: wanted.clone(), columns });
        }
        names = vec![wanted.clone()];
    }
    if names.is_empty() {
        return Err(Error::NoValue { file: file.to_owned() });
    }
    let prefix = match &options.prefix {
        Some(prefix) => names::stated("--prefix", prefix)?,
        None => names::stem(file)?,
    };
    let only = match (&options.signal, names.as_slice()) {
        (Some(signal), [name]) => Some((name.clone(), names::stated("--signal", signal)?)),
        (Some(_), many) => {
            let columns = many.len();
            return Err(Error::ManyValues { file: file.to_owned(), columns, names: many.join(", ") });
        }
        (None, [name]) if words::meaning(name) == Some(Meaning::Value) => {
            Some((name.clone(), prefix.clone()))
        }
        (None, [name]) if options.value.is_some() => {
            let path = names::narrow(Some(&prefix), name).map_err(Error::Path)?;
            Some((name.clone(), path))
        }
        _ => None,
    };
    Ok((prefix, only))
}

/// The objects of a file.
pub(super) enum Objects {
    /// One a line.
    Lines(Lines),
    /// One after the other, in an array or not.
    Elements(Elements),
}

impl Objects {
    pub(super) fn next_object(&mut self) -> io::Result<Option<Line>> {
        match self {
            Objects::Lines(lines) => lines.next_line(),
            Objects::Elements(elements) => elements.next_element(),
        }
    }
}

/// Cuts a stream into its outermost objects.
pub(super) struct Elements {
    input: Box<dyn BufRead + Send>,
    line: u64,
    ended: bool,
}

impl Elements {
    pub(super) fn new(input: Box<dyn BufRead + Send>) -> Elements {
        Elements { input, line: 1, ended: false }
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.input.fill_buf()?.first().copied();
        self.input.consume(usize::from(byte.is_some()));
        self.line += u64::from(byte == Some(b'\n'));
        Ok(byte)
    }

    fn next_element(&mut self) -> io::Result<Option<Line>> {
        let mut stray: Vec<u8> = Vec::new();
        loop {
            if self.ended {
                return Ok(None);
            }
            let line = self.line;
            match self.byte()? {
                None => self.ended = true,
                Some(b'{') if stray.is_empty() => return self.object(line).map(Some),
                // A remark that a list of rejects left, or a stray text: up to the end of the line.
                Some(b'\n') if !stray.is_empty() => {
                    let text = String::from_utf8_lossy(&stray).into_owned();
                    return Ok(Some(Line { number: line, text, ..Line::default() }));
                }
                Some(b'[' | b']' | b',' | b' ' | b'\t' | b'\r' | b'\n') if stray.is_empty() => {}
                Some(byte) if stray.len() < RECORD_BYTES_MAX => stray.push(byte),
                Some(_) => {}
            }
            if self.ended && !stray.is_empty() {
                let text = String::from_utf8_lossy(&stray).into_owned();
                return Ok(Some(Line { number: line, text, ..Line::default() }));
            }
        }
    }

    fn object(&mut self, number: u64) -> io::Result<Line> {
        let mut bytes = vec![b'{'];
        let (mut depth, mut quoted, mut escaped, mut too_long) = (1, false, false, false);
        while depth > 0 {
            let Some(byte) = self.byte()? else {
                self.ended = true;
                break;
            };
            if bytes.len() < RECORD_BYTES_MAX {
                bytes.push(byte)
            } else {
                too_long = true
            }
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'{' | b'[' if !quoted => depth += 1,
                b'}' | b']' if !quoted => depth -= 1,
                _ => {}
            }
        }
        if too_long {
            bytes.truncate(super::lines::REJECT_BYTES_MAX);
        }
        let fault = too_long.then_some(super::lines::LineFault::TooLong);
        Ok(match String::from_utf8(bytes) {
            Ok(text) => Line { number, text, fault, ..Line::default() },
            Err(error) => {
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                Line {
                    number,
                    text,
                    fault: fault.or(Some(super::lines::LineFault::NotUtf8)),
                    ..Line::default()
                }
            }
        })
    }
}
