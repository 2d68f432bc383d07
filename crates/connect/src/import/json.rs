//! JSON lines and JSON arrays: cutting them into objects without holding the whole, and what their members are. One
//! object is taken apart in `members`.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{self, BufRead};

use tidemill_core::SignalPath;

use super::cell::{self, Decimal};
use super::columns::Column;
use super::error::Error;
use super::layout::{Look, StatusNumbers, is_quality_of_all};
use super::lines::{Line, Lines, RECORD_BYTES_MAX};
use super::members::{MEMBERS_MAX, Member, Scalar};
use super::names;
use super::plan::{Options, Zone};
use super::sheet::Sheet;
use super::time::TimeForm;
use super::watch::{Role, Watch};
use super::words::{self, Meaning};

/// The longest name that is looked at: a longer one makes no path.
const NAME_BYTES_MAX: usize = 512;

/// How many members are looked at as columns, besides those whose names mean something.
const COLUMNS_MAX: usize = 1000;

/// How objects become samples.
#[derive(Debug, Clone)]
pub(super) struct JsonPlan {
    /// None: the objects are counted.
    pub(super) time: Option<String>,
    pub(super) time_of_day: Option<String>,
    /// Members that belong behind the time: AM or PM, a zone.
    pub(super) time_ends: Vec<String>,
    pub(super) form: TimeForm,
    pub(super) zone: Zone,
    /// What numbers mean that are qualities.
    pub(super) numbers: StatusNumbers,
    /// Members that stand in the names, with all their names, behind the prefix.
    pub(super) keys: Vec<String>,
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
        /// Qualities within members.
        within: Within,
        /// Qualities that are objects, in some rows at least: nobody knows which of their members counts.
        no_qualities: Vec<String>,
        /// Members that are no values: times, qualities.
        left_out: HashSet<String>,
    },
}

/// The members within others that hold qualities.
#[derive(Debug, Clone)]
pub(super) struct Within {
    /// By the name of the one value that they tell of, or of the member in which all values are meant.
    names: HashMap<String, String>,
    /// What numbers mean in them.
    pub(super) numbers: StatusNumbers,
}

impl Within {
    /// Those of members that are qualities and tell of a value. Of those that do and are none a note says so.
    fn of(found: Vec<(String, Column)>, others: &[String], notes: &mut Vec<String>) -> Within {
        let status: HashMap<&str, &Column> = found
            .iter()
            .filter(|(name, column)| {
                let last = name.rsplit('/').next().unwrap_or(name);
                match words::quality_of(last) {
                    Some(_) => column.says_quality(),
                    None => is_quality_of_all(last, column),
                }
            })
            .map(|(name, column)| (&**name, column))
            .collect();
        let numbers = StatusNumbers::of(&mut status.iter().map(|(name, column)| (*name, *column)));
        let values = others.iter().filter(|name| !status.contains_key(name.as_str()));
        let values: HashSet<&str> =
            values.flat_map(|name| names_around(name).chain([name.as_str()])).collect();
        let mut names = HashMap::new();
        for (name, column) in &found {
            let told = told_of(name);
            let others =
                values.contains(&*told) && others.iter().any(|other| other != name && tells(&told, other));
            match status.contains_key(name.as_str()) {
                true if values.contains(&*told) => {
                    // Of two the first.
                    names.entry(told).or_insert_with(|| name.clone());
                }
                false if others && column.filled > 0 => {
                    notes.push(format!("{name} holds no quality that is known, and is a signal of its own"))
                }
                _ => {}
            }
        }
        Within { names, numbers }
    }

    /// The member with the quality of another: its own, else that of the nearest member around it.
    pub(super) fn quality_of(&self, member: &Member<'_>, is_there: impl Fn(&str) -> bool) -> Option<&str> {
        if self.names.is_empty() {
            return None;
        }
        let full_name = member.full_name();
        let around = std::iter::once(&*full_name).chain(names_around(&full_name));
        let near = around.filter_map(|name| self.names.get(name));
        near.map(String::as_str).find(|at| is_there(at))
    }
}

fn is_called_quality(name: &str) -> bool {
    words::meaning(name) == Some(Meaning::Quality) || words::quality_of(name).is_some()
}

/// What a member tells of that is called a quality: the value of that name, or the member in which all are meant, which
/// is the whole object where it is empty.
fn told_of(name: &str) -> String {
    let (around, last) = name.rsplit_once('/').unwrap_or(("", name));
    match words::quality_of(last) {
        Some(base) if around.is_empty() => base.to_owned(),
        Some(base) => format!("{around}/{base}"),
        None => around.to_owned(),
    }
}

/// Whether a quality of that name or member tells of a value.
fn tells(told: &str, value: &str) -> bool {
    told.is_empty() || value.strip_prefix(told).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The names of the members around one, from the nearest outwards.
fn names_around(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').rev().filter_map(|(at, _)| name.get(..at))
}

/// Where what a member holds is counted.
#[derive(Clone, Copy)]
enum Place {
    Column(usize),
    Quality(usize),
    /// Within a member that is called a quality.
    Held(usize),
    /// Within a member, and it may say what the object is about: counted nowhere, but watched.
    Watched(usize),
    Nowhere,
}

/// A member that is called a quality and is an object.
struct Holder {
    name: String,
    outer: bool,
    /// Whether a text in it says how good a value is.
    says_quality: bool,
}

impl Holder {
    /// The outermost member around one that is called a quality.
    fn of(member: &Member<'_>) -> Option<Holder> {
        let at = member.within.iter().position(|name| is_called_quality(name))?;
        let name = member.within.get(..=at)?.join("/");
        Some(Holder { name, outer: at == 0, says_quality: false })
    }

    fn holds(&self, name: &str) -> bool {
        name.strip_prefix(&*self.name).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// What all objects of a file have, in room that does not grow with their number.
#[derive(Default)]
pub(super) struct Seen {
    /// The outer members that are looked at.
    names: Vec<String>,
    columns: Vec<Column>,
    /// Those within members that are called a quality.
    qualities: Vec<(String, Column)>,
    holders: Vec<Holder>,
    /// The others: within a member, or too many.
    others: Vec<String>,
    /// Where each name stands.
    places: HashMap<String, Place>,
    any: bool,
    watch: Watch,
    /// The names of those that make an object one of its time: the time and the keys.
    own: Vec<String>,
    /// Whether a member was met that names signals.
    named: bool,
}

impl Seen {
    pub(super) fn new(options: &Options) -> Seen {
        let own = options.keys.iter().chain(&options.time).cloned().collect();
        Seen { own, ..Seen::default() }
    }

    /// Adds an object.
    pub(super) fn add(&mut self, line: u64, members: &[Member<'_>]) {
        self.any = true;
        self.add_members(line, members);
        let cell = |member: &Member<'_>| match self.places.get(&*member.full_name()) {
            Some(Place::Column(at) | Place::Watched(at)) => *at,
            _ => usize::MAX,
        };
        let cells: Vec<(usize, &str)> =
            members.iter().map(|member| (cell(member), member.value.shown())).collect();
        self.watch.add(line, cells.into_iter());
    }

    fn add_members(&mut self, line: u64, members: &[Member<'_>]) {
        let is_value = |member: &Member<'_>| {
            member.within.is_empty() && words::meaning(&member.name) == Some(Meaning::Value)
        };
        let is_new = |member: &Member<'_>| !self.places.contains_key(&*member.full_name());
        let has_value = members.iter().any(is_new) && members.iter().any(is_value);
        for member in members {
            let name = member.full_name();
            let place = match self.places.get(&*name) {
                Some(place) => *place,
                None => self.place(&name, member, has_value),
            };
            let column = match place {
                Place::Column(at) => self.columns.get_mut(at),
                Place::Quality(at) => self.qualities.get_mut(at).map(|(_, column)| column),
                Place::Held(at) => {
                    if let Some(holder) = self.holders.get_mut(at).filter(|holder| !holder.says_quality) {
                        holder.says_quality = words::says_quality(member.value.shown());
                    }
                    None
                }
                Place::Watched(_) | Place::Nowhere => None,
            };
            if let Some(column) = column {
                column.add(line, member.value.text());
                if let Scalar::Document(json) = member.value
                    && is_called_quality(&member.name)
                {
                    column.add_document(line, json);
                }
            }
        }
    }

    /// A place for a name that was not seen before.
    fn place(&mut self, name: &str, member: &Member<'_>, has_value: bool) -> Place {
        if self.places.len() >= MEMBERS_MAX || name.len() > NAME_BYTES_MAX {
            return Place::Nowhere;
        }
        let of_quality = words::quality_of(&member.name).is_some();
        let meaning = words::meaning(&member.name);
        let known = of_quality || meaning.is_some();
        let place = match member.within.is_empty() {
            false if let Some(holder) = Holder::of(member) => {
                let at = self.holders.iter().position(|other| other.name == holder.name);
                Place::Held(at.unwrap_or_else(|| {
                    self.holders.push(holder);
                    self.holders.len() - 1
                }))
            }
            true if known || self.names.len() < COLUMNS_MAX => Place::Column(self.names.len()),
            false if of_quality || meaning == Some(Meaning::Quality) => Place::Quality(self.qualities.len()),
            false if words::is_key(&member.name) || self.is_own(name) => {
                Place::Watched(MEMBERS_MAX + self.others.len())
            }
            _ => Place::Nowhere,
        };
        match place {
            Place::Column(at) => {
                let is_signal =
                    meaning == Some(Meaning::Signal) && !matches!(member.value, Scalar::Number(_));
                let names_it = is_signal && has_value && !self.named;
                self.named |= names_it;
                let role = match &member.value {
                    _ if meaning == Some(Meaning::Time) || names_it || self.is_own(name) => Role::Own,
                    _ if words::is_key(name) => Role::Key,
                    _ if known => Role::Value,
                    Scalar::Text(text) if cell::number(text, Decimal::Point).is_none() => Role::Key,
                    Scalar::Number(text) if text.parse::<i64>().is_ok() => Role::Number,
                    _ => Role::Value,
                };
                self.watch.set(at, role);
                self.names.push(name.to_owned());
                self.columns.push(Column::default());
            }
            Place::Quality(_) => {
                self.qualities.push((name.to_owned(), Column::default()));
                self.others.push(name.to_owned());
            }
            Place::Held(_) | Place::Nowhere => self.others.push(name.to_owned()),
            Place::Watched(at) => {
                self.watch.set(at, if self.is_own(name) { Role::Own } else { Role::Key });
                self.others.push(name.to_owned());
            }
        }
        self.places.insert(name.to_owned(), place);
        place
    }

    /// Whether it makes an object one of its time.
    fn is_own(&self, name: &str) -> bool {
        self.own.iter().any(|own| own == name)
    }

    /// Decides how the objects are read.
    pub(super) fn plan(self, file: &str, options: &Options) -> Result<JsonPlan, Error> {
        if !self.any {
            return Err(Error::Unknown(file.to_owned()));
        }
        let sheet = Sheet::of_members(self.names);
        let keys = keys_of(file, &sheet, &self.others, options)?;
        let mut look = Look::new(file, &sheet, options, self.columns)
            .with_watch(self.watch)
            .with_others(&self.others)
            .members()?;
        let name = |at: usize| sheet.header(at).to_owned();
        let opt = |at: Option<usize>| at.map(name);
        let (time, time_of_day) = (opt(look.time), opt(look.time_of_day));
        let time_ends = look.time_ends.iter().map(|at| name(*at)).collect();
        let shape = match look.narrow {
            Some(narrow) => {
                let object =
                    self.holders.iter().find(|holder| holder.outer).map(|holder| holder.name.clone());
                let (value, quality) = (name(narrow.value), opt(narrow.quality).or(object));
                let aside = self.others.iter().filter_map(|other| other.split('/').next());
                let known = |name: &&str| *name != value && Some(*name) != quality.as_deref();
                let aside: BTreeSet<&str> = aside.filter(known).collect();
                look.notes.extend(aside.iter().map(|name| format!("{name} is left out")));
                JsonShape::Narrow {
                    prefix: narrow.prefix,
                    signal: name(narrow.signal),
                    value,
                    quality,
                    kind: opt(narrow.kind),
                    unit: opt(narrow.unit),
                }
            }
            None => {
                let aside = look.left_out.into_iter().map(name).chain(time_of_day.clone());
                let within = Within::of(self.qualities, &self.others, &mut look.notes);
                let aside =
                    aside.chain(time.clone()).chain(within.names.values().cloned()).chain(keys.clone());
                let left_out: HashSet<String> = aside.collect();
                let all = sheet.header.iter().chain(&self.others);
                let tells_of_any = |holder: &&Holder| {
                    let told = told_of(&holder.name);
                    let mut values =
                        all.clone().filter(|name| !left_out.contains(*name) && !holder.holds(name));
                    values.any(|name| tells(&told, name))
                };
                let (odd, unknown): (Vec<&Holder>, Vec<_>) =
                    self.holders.iter().filter(tells_of_any).partition(|holder| holder.says_quality);
                let told = |holder: &&Holder| {
                    let name = &holder.name;
                    format!("{name} holds no quality that is known, and its members are signals of their own")
                };
                look.notes.extend(unknown.iter().map(told));
                let is_value =
                    |name: &&String| !left_out.contains(*name) && !odd.iter().any(|odd| odd.holds(name));
                let names = all.clone().filter(is_value).cloned().collect();
                let no_qualities = odd.iter().map(|odd| odd.name.clone()).collect();
                let (prefix, only) = wide(file, names, options, &keys)?;
                let qualities = look.qualities.iter().map(|(of, at)| (name(*of), name(*at))).collect();
                JsonShape::Wide {
                    prefix,
                    only,
                    qualities,
                    quality: opt(look.quality),
                    within,
                    no_qualities,
                    left_out,
                }
            }
        };
        let (form, zone, numbers, notes) = (look.form, look.zone, look.numbers, look.notes);
        Ok(JsonPlan { time, time_of_day, time_ends, form, zone, numbers, keys, shape, notes })
    }
}

/// The members of `--key`, by all their names.
fn keys_of(file: &str, sheet: &Sheet, others: &[String], options: &Options) -> Result<Vec<String>, Error> {
    if options.keys.iter().any(|key| !key.is_empty()) && options.signal.is_some() {
        return Err(Error::Named(file.to_owned()));
    }
    let full_name = |key: &String| {
        let within = || others.iter().find(|other| *other == key).cloned();
        sheet.find(key).map(|at| sheet.header(at).to_owned()).or_else(within).ok_or_else(|| Error::NoColumn {
            file: file.to_owned(),
            wanted: key.clone(),
            columns: sheet.header.iter().chain(others).cloned().collect::<Vec<_>>().join(", "),
        })
    };
    options.keys.iter().filter(|key| !key.is_empty()).map(full_name).collect()
}

/// What stands before the names of the members; or the one that is taken, and its path.
type Wide = (SignalPath, Option<(String, SignalPath)>);

fn wide(file: &str, mut names: Vec<String>, options: &Options, keys: &[String]) -> Result<Wide, Error> {
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
    let prefix = options.base(file)?;
    let only = match (&options.signal, names.as_slice()) {
        (Some(signal), [name]) => Some((name.clone(), options.stated_signal(file, signal)?)),
        (Some(_), many) => {
            let columns = many.len();
            return Err(Error::ManyValues { file: file.to_owned(), columns, names: many.join(", ") });
        }
        (None, [name]) if words::meaning(name) == Some(Meaning::Value) => {
            if options.several && options.prefix.is_some() && keys.is_empty() {
                return Err(Error::Merged(file.to_owned()));
            }
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

    pub(super) fn next_element(&mut self) -> io::Result<Option<Line>> {
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
            // A mark of UTF-8.
            if stray == b"\xEF\xBB\xBF" {
                stray.clear();
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
