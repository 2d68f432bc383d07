//! What was asked for, and what was recognised: enough to read the file, and to tell a user before anything is sent.

use std::borrow::Cow;
use std::fmt::Write;
use std::io::Read;

use jiff::tz::TimeZone;
use tidemill_core::{Kind, SignalPath, rfc3339};

use super::cell::{CellKind, Decimal};
use super::ends::Ended;
use super::error::Error;
use super::json::{Elements, JsonPlan, Objects};
use super::layout::{Layout, Shape};
use super::lines::{Lines, Otherwise};
use super::names;
use super::records::Records;
use super::source::Encoding;
use super::steps::{Grid, Step};
use super::time::{TimeForm, TimeFormat, Unit, zone_name};

/// What the command line says, and what a file of columns says of itself.
#[derive(Debug, Clone)]
pub struct Options {
    /// `--signal`: the path of a file's one column of values.
    pub signal: Option<String>,
    /// `--prefix`: what stands before the names of the file.
    pub prefix: Option<String>,
    /// What stands before the names of a file's columns where no prefix is given; none: the file's own name.
    pub stem: Option<String>,
    /// Whether the same prefix is given to several files.
    pub several: bool,
    /// Another file of the same import whose names would be the same by what stands before them.
    pub twin: Option<String>,
    /// `--time`: the column with times, by header or number from 1.
    pub time: Option<String>,
    /// `--value`: the one column to take, by header or number from 1.
    pub value: Option<String>,
    /// `--timezone`: for times without an offset, also where a header says UTC.
    pub timezone: Option<TimeZone>,
    /// The plant's time zone: for times without an offset of which nothing else is said. None: it is asked for where the
    /// file needs it ([`Reader::needs_zone`](super::Reader::needs_zone)).
    pub plant_timezone: Option<TimeZone>,
    /// `--time-format`.
    pub time_format: Option<TimeFormat>,
    /// `--decimal`.
    pub decimal: Option<Decimal>,
    /// `--start`: the time of the first row, in ns UTC, where rows have none of their own.
    pub start: Option<i64>,
    /// `--step`: how far apart rows are.
    pub step: Option<Step>,
    /// `--key`: columns whose cells stand in the names, by header or number from 1.
    pub keys: Vec<String>,
    /// `--transposed`: one row is one signal, its name first.
    pub transposed: bool,
    /// Where the file has typed columns.
    pub typed: Option<Typed>,
}

/// A table of typed columns, given as CSV with a header and commas.
#[derive(Debug, Clone)]
pub struct Typed {
    /// What the file is, for people.
    pub format: &'static str,
    /// What the columns hold, where their types say so.
    pub kinds: Vec<Option<Kind>>,
    /// In what they count, where they are durations.
    pub units: Vec<Option<&'static str>>,
}

impl Options {
    /// What stands before the names of a file's columns.
    pub(super) fn base(&self, file: &str) -> Result<SignalPath, Error> {
        self.judge_twin(file)?;
        match (&self.prefix, &self.stem) {
            (Some(prefix), _) => names::stated("--prefix", prefix),
            (None, Some(stem)) => names::stated("the file's name", stem),
            (None, None) => names::stem(file),
        }
    }

    /// The path that `--signal` gives.
    pub(super) fn stated_signal(&self, file: &str, signal: &str) -> Result<SignalPath, Error> {
        self.judge_twin(file)?;
        names::stated("--signal", signal)
    }

    fn judge_twin(&self, file: &str) -> Result<(), Error> {
        let twin = self.twin.clone();
        twin.map_or(Ok(()), |other| Err(Error::Twins(file.to_owned(), other)))
    }

    /// An option that is given and means something to tables and objects alone; `--key` also to some others.
    pub(super) fn of_tables(&self, takes_keys: bool) -> Option<&'static str> {
        let given = [
            (!self.keys.is_empty() && !takes_keys, "--key"),
            (self.time.is_some(), "--time"),
            (self.value.is_some(), "--value"),
            (self.decimal.is_some(), "--decimal"),
            (self.start.is_some(), "--start"),
        ];
        given.into_iter().find(|(given, _)| *given).map(|(_, option)| option)
    }

    /// Nothing said.
    pub fn new(plant_timezone: impl Into<Option<TimeZone>>) -> Options {
        Options {
            signal: None,
            prefix: None,
            stem: None,
            several: false,
            twin: None,
            time: None,
            value: None,
            timezone: None,
            plant_timezone: plant_timezone.into(),
            time_format: None,
            decimal: None,
            start: None,
            step: None,
            keys: Vec::new(),
            transposed: false,
            typed: None,
        }
    }
}

/// Whose clocks showed the times that have no offset.
#[derive(Debug, Clone)]
pub(super) enum Zone {
    Of(TimeZone),
    /// The plant's, which is not known yet.
    OfPlant,
    /// No time needs one.
    Needless,
}

impl Zone {
    pub(super) fn known(&self) -> Option<TimeZone> {
        match self {
            Zone::Of(zone) => Some(zone.clone()),
            Zone::OfPlant | Zone::Needless => None,
        }
    }

    /// For people.
    pub(super) fn name(&self) -> Cow<'_, str> {
        match self {
            Zone::Of(zone) => zone_name(zone),
            Zone::OfPlant => "the plant's time zone".into(),
            Zone::Needless => "none".into(),
        }
    }
}

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    /// As people call it.
    Columns(&'static str),
    LineProtocol,
    JsonLines,
    JsonArray,
}

/// How a file is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub(super) format: Format,
    pub(super) encoding: Encoding,
    /// What ends a line: a line feed, or a carriage return alone.
    pub(super) line_end: u8,
}

impl Written {
    pub(super) fn lines(self, input: Box<dyn Read + Send>) -> Lines {
        let otherwise = match self.encoding {
            Encoding::Utf8 => Otherwise::Fault,
            Encoding::Ascii => Otherwise::Windows1252,
            _ => Otherwise::Decoded,
        };
        Lines::new(self.encoding.decode(input), otherwise, self.line_end)
    }

    pub(super) fn records(self, input: Box<dyn Read + Send>, separator: char) -> Records {
        Records::new(self.lines(input), separator)
    }

    pub(super) fn objects(self, input: Box<dyn Read + Send>) -> Objects {
        match self.format {
            Format::JsonArray => Objects::Elements(Elements::new(self.encoding.decode(input))),
            _ => Objects::Lines(self.lines(input)),
        }
    }
}

/// Everything that is needed to read a file.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) written: Written,
    pub(super) content: Content,
    /// What the rows are turned from, for people.
    pub(super) foreign: Option<&'static str>,
    /// How the file ends.
    pub(super) ended: Ended,
}

/// How the content is read.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Table(Box<Layout>),
    Json(Box<JsonPlan>),
    LineProtocol {
        unit: Unit,
        prefix: Option<SignalPath>,
    },
    /// A header, or the brackets of an array, with no rows.
    Nothing,
}

impl Plan {
    /// Whose clocks showed its times, if that matters to it.
    pub(super) fn zone(&mut self) -> Option<&mut Zone> {
        match &mut self.content {
            Content::Table(layout) => Some(&mut layout.zone),
            Content::Json(json) => Some(&mut json.zone),
            Content::LineProtocol { .. } | Content::Nothing => None,
        }
    }

    /// What was recognised, for people: a line for the file, one for its times, one a column.
    pub fn describe(&self) -> String {
        let mut out = self.foreign.map(|foreign| format!("{foreign}, read as ")).unwrap_or_default();
        let written = match &self.content {
            Content::Table(layout) => self.describe_table(layout, &mut out),
            Content::Json(json) => self.describe_objects(json, &mut out),
            Content::LineProtocol { unit, .. } => {
                writeln!(out, "InfluxDB line protocol, {}; times in {}", self.encoding(), unit.name())
            }
            Content::Nothing => writeln!(out, "no rows"),
        };
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
        if self.ended.zeros() > 0 {
            out.push_str(&format!("note: {} zero bytes at its end are passed over\n", self.ended.zeros()));
        }
        if self.ended.is_cut() {
            out.push_str("note: its packed stream breaks off: the lines before that are read\n");
        }
        out
    }

    fn encoding(&self) -> &'static str {
        self.written.encoding.name()
    }

    fn describe_objects(&self, json: &JsonPlan, out: &mut String) -> std::fmt::Result {
        let array = self.written.format == Format::JsonArray;
        let form = if array { "a JSON array" } else { "JSON lines" };
        writeln!(out, "{form}, {}; times {}", self.encoding(), spoken_form(json.form, &json.zone))?;
        json.notes.iter().try_for_each(|note| writeln!(out, "note: {note}"))
    }

    fn describe_table(&self, layout: &Layout, out: &mut String) -> std::fmt::Result {
        let separator = match layout.separator {
            '\t' => "tabs".to_owned(),
            ' ' => "blanks".to_owned(),
            separator => format!("'{separator}'"),
        };
        match (self.written.format, &layout.header_line) {
            (Format::Columns(what), _) => writeln!(out, "{what}, read as a table")?,
            (_, header) => {
                write!(out, "CSV, {}, separated by {separator}", self.encoding())?;
                match header {
                    Some((line, _)) => writeln!(out, ", header in line {line}")?,
                    None => writeln!(out, ", no header")?,
                }
            }
        }
        let shown = |index: usize| layout.headers.get(index).filter(|name| !name.is_empty()).cloned();
        let column = |index: usize| shown(index).unwrap_or_else(|| format!("column {}", index + 1));
        write!(out, "time: ")?;
        if let Some(time) = layout.time {
            write!(out, "{}", column(time))?;
            if let Some(second) = layout.time_of_day {
                write!(out, " and {}", column(second))?;
            }
            for end in &layout.time_ends {
                write!(out, " with {}", column(*end))?;
            }
            write!(out, ", ")?;
        }
        writeln!(out, "{}", spoken_form(layout.form, &layout.zone))?;
        match &layout.shape {
            Shape::Wide { columns } => {
                for wide in columns {
                    let Some(signal) = layout.signals.get(wide.signal) else { continue };
                    write!(out, "{}: {}, {}", signal.path, column(wide.index), spoken_kind(wide.kind))?;
                    if !signal.unit.is_empty() {
                        write!(out, ", in {}", signal.unit)?;
                    }
                    if let Some(quality) = wide.quality {
                        write!(out, ", quality from {}", column(quality))?;
                    }
                    writeln!(out)?;
                }
            }
            Shape::Narrow(narrow) => {
                write!(
                    out,
                    "one value a row: signal {}, value {}",
                    column(narrow.signal),
                    column(narrow.value)
                )?;
                let more = [("quality", narrow.quality), ("kind", narrow.kind), ("unit", narrow.unit)];
                for (what, index) in more {
                    if let Some(index) = index {
                        write!(out, ", {what} {}", column(index))?;
                    }
                }
                writeln!(out, "; {}", spoken_kind(narrow.cell))?;
            }
        }
        if let Some(keyed) = &layout.keyed {
            let columns: Vec<String> = keyed.columns.iter().map(|at| column(*at)).collect();
            writeln!(out, "in the names behind the prefix: {}", columns.join(", "))?;
        }
        layout.notes.iter().try_for_each(|note| writeln!(out, "note: {note}"))
    }
}

fn spoken_form(form: TimeForm, zone: &Zone) -> String {
    let zone = match (form, zone) {
        (TimeForm::Text(_), Zone::Needless) => return "each with its offset".to_owned(),
        (_, zone) => zone.name(),
    };
    match form {
        TimeForm::Epoch(unit) => format!("{} since 1970 UTC", unit.name()),
        TimeForm::Elapsed(Grid { start, step }) => {
            format!("counted in {} from {}", step.name(), rfc3339(start))
        }
        TimeForm::Rows(Grid { start, step }) => {
            format!("{} for the first row, each next one {} later", rfc3339(start), step.name())
        }
        TimeForm::Excel => format!("Excel's serial numbers in {zone}"),
        TimeForm::Text(_) => format!("{zone} where no offset is given"),
    }
}

fn spoken_kind(kind: CellKind) -> &'static str {
    match kind {
        CellKind::Float(Decimal::Point) => "numbers with decimal point",
        CellKind::Float(Decimal::Comma) => "numbers with decimal comma",
        CellKind::United(Decimal::Point, _) => "numbers with decimal point and their unit",
        CellKind::United(Decimal::Comma, _) => "numbers with decimal comma and their unit",
        CellKind::Bool => "true or false",
        CellKind::Text => "text",
        CellKind::Any(Decimal::Point) => "values by their form, decimal point",
        CellKind::Any(Decimal::Comma) => "values by their form, decimal comma",
        CellKind::Stated(kind) => kind.name(),
    }
}
