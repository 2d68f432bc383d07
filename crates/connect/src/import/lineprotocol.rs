//! InfluxDB line protocol, only as far as passing its lines on needs: is it one, and where is its time. The plant's
//! own parser judges the rest.

use std::io;

use super::lines::{Line, LineFault, Lines, RECORD_BYTES_MAX};

/// A line that is line protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    Time(i64),
    None,
}

/// Whether a line is no point and says nothing of one: a remark, or what `influx_inspect export` writes above its points.
pub(super) fn is_aside(line: &str) -> bool {
    line.is_empty() || line.starts_with('#') || line.starts_with("CREATE DATABASE ")
}

/// From where the points behind them are, as the remarks of `influx_inspect export` say.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Context {
    database: String,
    policy: String,
}

const DATABASE: &str = "# CONTEXT-DATABASE:";
const POLICY: &str = "# CONTEXT-RETENTION-POLICY:";

impl Context {
    /// Takes a remark; whether what follows is from elsewhere than what was before.
    pub(super) fn take(&mut self, line: &str) -> bool {
        let mut other = self.clone();
        if let Some(database) = line.strip_prefix(DATABASE) {
            other = Context { database: database.trim().to_owned(), policy: String::new() };
        } else if let Some(policy) = line.strip_prefix(POLICY) {
            other.policy = policy.trim().to_owned();
        }
        let differs = other != *self;
        *self = other;
        differs
    }

    /// What the request says that carries them.
    pub fn terms(&self) -> Vec<(&'static str, String)> {
        let all = [("db", self.database.clone()), ("rp", self.policy.clone())];
        all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }

    /// The remarks; nothing where nothing is said.
    pub fn remarks(&self) -> String {
        let line = |(head, name): (&str, &String)| match name.is_empty() {
            true => String::new(),
            false => format!("{head}{name}\n"),
        };
        [(DATABASE, &self.database), (POLICY, &self.policy)].map(line).concat()
    }
}

/// Looks at one line; none if it is no line protocol.
pub(super) fn look(line: &str) -> Option<Stamp> {
    counted(line).map(|(stamp, _)| stamp)
}

/// The same with the number of its fields, each of which becomes a sample.
pub(super) fn counted(line: &str) -> Option<(Stamp, u64)> {
    let line = line.trim();
    let series = end_of(line, false)?;
    let (name, rest) = line.split_at(series);
    if name.is_empty() || name.starts_with([',', '"', '{', '[']) {
        return None;
    }
    let rest = rest.trim_start();
    let (fields, time) = rest.split_at(end_of(rest, true).unwrap_or(rest.len()));
    let (mut text, mut count) = (fields, 0);
    while !text.is_empty() {
        let end = field_end(text);
        if !is_field(text.get(..end)?) {
            return None;
        }
        text = text.get(end + 1..).unwrap_or_default();
        count += 1;
    }
    if fields.is_empty() || fields.ends_with(',') {
        return None;
    }
    let stamp = match time.trim() {
        "" => Stamp::None,
        time => Stamp::Time(time.parse().ok()?),
    };
    Some((stamp, count))
}

/// Where the first blank stands that is neither escaped nor, among fields, inside quotes.
fn end_of(text: &str, quotes: bool) -> Option<usize> {
    scan(text, quotes, ' ')
}

fn field_end(text: &str) -> usize {
    scan(text, true, ',').unwrap_or(text.len())
}

fn scan(text: &str, quotes: bool, wanted: char) -> Option<usize> {
    let mut quoting = Quoting::default();
    for (at, character) in text.char_indices() {
        if character == wanted && !quoting.is_open && !quoting.escaped && (character != '"' || !quotes) {
            return Some(at);
        }
        quoting.step(character, quotes);
    }
    None
}

fn is_field(text: &str) -> bool {
    let Some(at) = scan(text, false, '=') else { return false };
    let (key, value) = (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
    let string = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
    let number = || value.strip_suffix(['i', 'u']).unwrap_or(value).parse::<f64>().is_ok();
    let boolean = || {
        matches!(value, "t" | "T" | "f" | "F")
            || value.eq_ignore_ascii_case("true")
            || value.eq_ignore_ascii_case("false")
    };
    !key.is_empty() && (string || number() || boolean())
}

/// Whether a text field's quote is open behind what was seen so far, and whether a backslash stands before what follows.
#[derive(Default)]
struct Quoting {
    is_open: bool,
    escaped: bool,
    /// A text begins directly behind `=`: in a key a quote is a character like others.
    behind_equals: bool,
}

impl Quoting {
    /// Behind a line.
    fn of(line: &str) -> Quoting {
        let (line, mut quoting) = (line.trim_start(), Quoting::default());
        if let Some(series) = end_of(line, false) {
            quoting.go_on(line.get(series..).unwrap_or_default());
        }
        quoting
    }

    fn go_on(&mut self, text: &str) {
        text.chars().for_each(|character| self.step(character, true));
    }

    fn step(&mut self, character: char, quotes: bool) {
        let behind_equals = std::mem::take(&mut self.behind_equals);
        match character {
            _ if self.escaped => self.escaped = false,
            '\\' => self.escaped = true,
            '"' if quotes && (self.is_open || behind_equals) => self.is_open = !self.is_open,
            '=' => self.behind_equals = true,
            _ => {}
        }
    }
}

/// The next line, with those behind it that belong to its text.
pub(super) fn next_line(lines: &mut Lines) -> io::Result<Option<Line>> {
    let Some(line) = lines.next_line()? else { return Ok(None) };
    if line.fault.is_none() && !is_aside(line.text.trim()) {
        let quoting = Quoting::of(&line.text);
        if quoting.is_open {
            return joined(lines, line, quoting).map(Some);
        }
    }
    Ok(Some(line))
}

/// A line of line protocol that goes on behind its line feed. Where its text does not end, none of its lines is a point, whatever
/// it looks like: InfluxDB keeps no text of more than 64 KiB.
fn joined(lines: &mut Lines, mut first: Line, mut quoting: Quoting) -> io::Result<Line> {
    let mut more: Vec<Line> = Vec::new();
    let mut bytes = first.text.len();
    let mut fault = LineFault::Open;
    while bytes < RECORD_BYTES_MAX {
        let Some(next) = lines.next_line()? else { break };
        bytes += next.text.len() + 1;
        for part in ["\n", &next.text] {
            quoting.go_on(part);
        }
        more.push(next);
        if !quoting.is_open {
            let is_long = bytes > RECORD_BYTES_MAX;
            let found = more.iter().find_map(|line| line.fault).or(is_long.then_some(LineFault::Open));
            let Some(found) = found else {
                let all = std::iter::once(&first).chain(&more).map(|line| line.text.as_str());
                let text = all.collect::<Vec<_>>().join("\n");
                return Ok(Line { number: first.number, text, ..Default::default() });
            };
            fault = found;
            break;
        }
    }
    for line in std::iter::once(&mut first).chain(&mut more) {
        line.fault = line.fault.or(Some(fault));
    }
    lines.give_back(more.into_iter());
    Ok(first)
}

/// A path as the beginning of a measurement.
pub(super) fn escaped(path: &str) -> String {
    path.replace('\\', "\\\\").replace(',', "\\,").replace(' ', "\\ ")
}
