//! Reads a recognised file in batches: samples, and the rows that are none with the reason. What is sent where is the
//! business of the command line.

mod cells;
mod objects;
mod pieces;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::tz::TimeZone;
use tidemill_core::{Escape, Kind, Problem, Quality, SignalPath, Value};

use super::SIGNALS_MAX;
use super::cell;
use super::error::Error;
use super::json::Objects;
use super::layout::{Keyed, Layout, Narrow, Shape, StatusNumbers, Wide};
use super::lineprotocol::Context;
use super::lines::Lines;
use super::names;
use super::plan::{Content, Plan, Zone};
use super::records::{Record, Records, Step};
use super::rejected::{Originals, Reject};
use super::sheet::is_of_head;
use super::time::{Clock, Run};
use cells::{absent_by_row, is_missing, quality, short, with_quality};

/// Samples in one batch.
const BATCH_ROWS_MAX: usize = 10_000;

/// Bytes of text in one batch, and of one piece of line protocol.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// How the names begin under which WinCC writes when it began and ended.
const WINCC_MARK: &str = "$RT_";

/// A signal of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Its name in the plant.
    pub path: SignalPath,
    /// As the file writes it; empty where it says none.
    pub unit: String,
}

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// An index into [`Reader::signals`].
    pub signal: u32,
    /// Nanoseconds since 1970 UTC.
    pub time: i64,
    /// What was measured.
    pub value: Value,
    /// How good it is.
    pub quality: Quality,
    /// The row among the part's [`Originals`].
    pub row: u32,
}

/// What was read at one go: at most 10,000 samples, or one row more.
#[derive(Debug, Default)]
pub struct Batch {
    /// In the order of the file.
    pub samples: Vec<Sample>,
    /// The rows that gave none, and why.
    pub rejects: Vec<Reject>,
    /// The rows that gave samples.
    pub originals: Originals,
    pub(super) bytes: usize,
}

/// A piece of a file that is sent as it is.
#[derive(Debug)]
pub struct Piece {
    /// Its bytes.
    pub body: Vec<u8>,
    /// What they are, for the request that carries them.
    pub content_type: &'static str,
    /// The query that goes with it, such as `precision=ms`; may be empty.
    pub query: String,
    /// The row of the file for each line of the body, among the originals.
    pub rows: Vec<u32>,
    /// How many samples its lines are: one for each field.
    pub samples: u64,
    /// The rows that are not in it, and why.
    pub rejects: Vec<Reject>,
    /// The rows that are, and from where they are.
    pub originals: Originals,
}

/// What the reader gives.
#[derive(Debug)]
pub enum Part {
    /// Samples.
    Samples(Batch),
    /// Lines that the plant reads as they are.
    Piece(Piece),
}

/// What was seen of a file so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Rows with something in them, the header not counted.
    pub rows: u64,
    /// Samples read, or passed on within lines.
    pub samples: u64,
    /// Rows of which at least one value was not read.
    pub rejected: u64,
    /// Cells without a value, for which there is no sample.
    pub empty_cells: u64,
    /// Bare numbers that were kept as integers, because no float holds them.
    pub whole_numbers: u64,
    /// Rows in an hour that the clocks repeat.
    pub repeated_hour: u64,
    /// Those of them that were taken as the second pass.
    pub second_pass: u64,
}

/// Two names of a file that are one signal: a character that no name holds, and what it is escaped as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// As the file writes them, the one that came first before the other.
    pub names: [String; 2],
    /// The signal.
    pub path: SignalPath,
}

/// Of so many it is told.
const JOINED_MAX: usize = 5;

/// Reads a file, part by part.
pub struct Reader {
    plan: Plan,
    name: String,
    input: Input,
    signals: Vec<Signal>,
    by_name: HashMap<String, u32>,
    by_path: HashMap<SignalPath, u32>,
    joined: Vec<Joined>,
    /// Of a table with keys: by the key, its number and those of its signals.
    by_key: HashMap<String, (usize, Arc<[u32]>)>,
    clock: Clock,
    runs: Vec<Run>,
    bytes: Arc<AtomicU64>,
    summary: Summary,
    /// The last quality that was read: most rows have the same.
    last_quality: Option<(String, Quality)>,
    /// Of line protocol: from where the next points are.
    context: Context,
    ended: bool,
}

enum Input {
    Table(Records),
    Objects(Objects),
    Lines(Lines),
    Nothing,
}

/// Why a row or a cell is no sample: the column, if one is to blame, and the reason.
type Fault = (Option<String>, String);

impl Reader {
    pub(super) fn new(
        plan: Plan,
        name: &str,
        input: Box<dyn io::Read + Send>,
        bytes: Arc<AtomicU64>,
    ) -> Result<Reader, Error> {
        let (input, signals, clock) = match &plan.content {
            Content::Table(layout) => (
                Input::Table(plan.written.records(input, layout.separator)),
                if layout.keyed.is_some() { Vec::new() } else { layout.signals.clone() },
                Clock::new(layout.form, layout.zone.known()),
            ),
            Content::Json(json) => (
                Input::Objects(plan.written.objects(input)),
                Vec::new(),
                Clock::new(json.form, json.zone.known()),
            ),
            Content::LineProtocol { unit, .. } => {
                let clock = Clock::new(super::time::TimeForm::Epoch(*unit), TimeZone::UTC);
                (Input::Lines(plan.written.lines(input)), Vec::new(), clock)
            }
            Content::Nothing => {
                let clock = Clock::new(super::time::TimeForm::Text(None), TimeZone::UTC);
                (Input::Nothing, Vec::new(), clock)
            }
        };
        Ok(Reader {
            plan,
            name: name.to_owned(),
            input,
            signals,
            by_name: HashMap::new(),
            by_path: HashMap::new(),
            joined: Vec::new(),
            by_key: HashMap::new(),
            clock,
            runs: vec![Run::default()],
            bytes,
            summary: Summary::default(),
            last_quality: None,
            context: Context::default(),
            ended: false,
        })
    }

    /// What was recognised.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether times in it have no offset and nothing says where they are meant but the plant, which was not asked.
    pub fn needs_zone(&mut self) -> bool {
        matches!(self.plan.zone(), Some(Zone::OfPlant))
    }

    /// Says the plant's time zone, before the first part is read.
    pub fn set_zone(&mut self, zone: TimeZone) {
        self.clock.set_zone(zone.clone());
        if let Some(own) = self.plan.zone() {
            *own = Zone::Of(zone);
        }
    }

    /// The signals found so far; more may come with each part, none goes.
    pub fn signals(&self) -> &[Signal] {
        &self.signals
    }

    /// Names of the file that are one signal with another, the first few.
    pub fn joined(&self) -> &[Joined] {
        &self.joined
    }

    /// Bytes of the file read so far (packed ones, if it is packed).
    pub fn bytes_read(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// What was seen so far.
    pub fn summary(&self) -> Summary {
        Summary { repeated_hour: self.clock.repeated, second_pass: self.clock.second_pass, ..self.summary }
    }

    /// What stands at the head of FILE.rejected, so that it can be imported by itself: the table's header.
    pub fn rejected_head(&self) -> Option<&str> {
        match &self.plan.content {
            Content::Table(layout) => layout.header_line.as_ref().map(|(_, raw)| raw.as_str()),
            _ => None,
        }
    }

    /// The next part; none at the end.
    ///
    /// # Errors
    /// The file cannot be read on.
    pub fn next_part(&mut self) -> Result<Option<Part>, Problem> {
        let part = match &self.plan.content {
            _ if self.ended => Ok(None),
            Content::Table(layout) => {
                // The layout is lent out while rows change the rest of the reader.
                let layout = layout.clone();
                self.rows(&layout).map(|batch| batch.map(Part::Samples))
            }
            Content::Json(json) => {
                let json = json.clone();
                self.objects(&json).map(|batch| batch.map(Part::Samples))
            }
            Content::LineProtocol { unit, prefix } => {
                let (query, prefix) = (format!("precision={}", unit.name()), prefix.clone());
                self.piece(query, prefix.as_ref()).map(|piece| piece.map(Part::Piece))
            }
            Content::Nothing => Ok(None),
        };
        let part = part.map_err(|error| Error::Io(self.name.clone(), error))?;
        self.ended |= part.is_none();
        if part.is_none() && self.plan.ended.is_cut() {
            return Err(Error::Cut(self.name.clone(), self.summary.rows).into());
        }
        Ok(part)
    }

    fn reject(&mut self, rejects: &mut Vec<Reject>, line: u64, raw: &str, (column, reason): Fault) {
        self.summary.rejected += 1;
        rejects.push(Reject { line, column, raw: raw.to_owned(), reason });
    }

    fn rows(&mut self, layout: &Layout) -> io::Result<Option<Batch>> {
        let mut batch = Batch::default();
        let mut record = Record::default();
        while !batch.is_full() {
            let Input::Table(records) = &mut self.input else { break };
            match records.read(&mut record)? {
                Step::End => {
                    self.ended = true;
                    break;
                }
                Step::Fault { line, .. } if line <= layout.skip_lines => {}
                Step::Fault { line, raw, reason } => {
                    self.summary.rows += 1;
                    self.pass_over();
                    self.reject(&mut batch.rejects, line, &raw, (None, reason));
                }
                Step::Record => {
                    // A header stands again where files were put together.
                    let header =
                        layout.header_line.as_ref().is_some_and(|(_, head)| is_of_head(head, &record.raw));
                    if record.line <= layout.skip_lines || record.is_blank() || header {
                        continue;
                    }
                    self.summary.rows += 1;
                    let faults = self.row(layout, &record, &mut batch);
                    batch.keep_original(record.line, &record.raw);
                    if let Some(fault) = one(faults) {
                        self.reject(&mut batch.rejects, record.line, &record.raw, fault);
                    }
                }
            }
        }
        Ok(batch.some())
    }

    /// Reads one row of a table; the faults are those of its cells.
    fn row(&mut self, layout: &Layout, record: &Record, batch: &mut Batch) -> Vec<Fault> {
        if record.len() < layout.fields_min {
            self.pass_over();
            let reason = format!("the row has {} fields, and {} are needed", record.len(), layout.fields_min);
            return vec![(None, reason)];
        }
        if (layout.headers.len()..record.len()).any(|index| !record.field(index).is_empty()) {
            self.pass_over();
            let reason =
                format!("the row has {} fields, and the table {}", record.len(), layout.headers.len());
            return vec![(None, reason)];
        }
        match &layout.shape {
            Shape::Wide { columns } => self.wide_row(layout, columns, record, batch),
            Shape::Narrow(narrow) => {
                self.narrow_row(layout, narrow, record, batch).err().into_iter().collect()
            }
        }
    }

    fn time(&mut self, layout: &Layout, record: &Record, run: usize) -> Result<i64, Fault> {
        while self.runs.len() <= run {
            self.runs.push(Run::default());
        }
        let text = layout.time.map_or("", |index| record.field(index));
        let day = layout.time_of_day.map(|index| record.field(index));
        let ends = layout.time_ends.iter().map(|at| (*at, record.field(*at)));
        let (text, day) =
            with_ends(text, day, ends).map_err(|at| (Some(layout.column(at)), NO_END.to_owned()))?;
        let mut spare = Run::default();
        let run = self.runs.get_mut(run).unwrap_or(&mut spare);
        let time = self.clock.read(&text, day.as_deref(), run);
        time.map_err(|fault| (layout.time.map(|index| layout.column(index)), fault.to_string()))
    }

    fn wide_row(
        &mut self,
        layout: &Layout,
        columns: &[Wide],
        record: &Record,
        batch: &mut Batch,
    ) -> Vec<Fault> {
        let keyed = layout.keyed.as_ref().map(|keyed| self.key(keyed, layout, record)).transpose();
        let time = keyed.and_then(|keyed| {
            let (run, numbers) = keyed.unwrap_or_default();
            Ok((self.time(layout, record, run)?, numbers))
        });
        let (time, numbers) = match time {
            Ok(known) => known,
            Err(fault) => return vec![fault],
        };
        let mut faults = Vec::new();
        for wide in columns {
            let text = record.field(wide.index);
            let stated =
                match wide.quality.map(|at| (at, record.field(at))).filter(|(_, text)| !text.is_empty()) {
                    None => None,
                    Some((at, text)) => match self.quality(text, layout.numbers) {
                        Some(quality) => Some(quality),
                        None => {
                            faults
                                .push((Some(layout.column(at)), format!("'{}' is no quality", short(text))));
                            continue;
                        }
                    },
                };
            let read = match (is_missing(record, wide.index, wide.kind), stated) {
                (true, Some(quality)) if quality.is_bad() => Ok((Value::None, quality)),
                (true, _) => {
                    self.summary.empty_cells += 1;
                    continue;
                }
                (false, stated) => cell::read(text, wide.kind).map(|read| with_quality(read, stated)),
            };
            match read {
                Ok((value, quality)) => {
                    let whole = matches!(value, Value::Int(_) | Value::UInt(_)) && !wide.kind.is_stated();
                    self.summary.whole_numbers += u64::from(whole);
                    let own = numbers.get(wide.signal).copied();
                    let signal = own.or(u32::try_from(wide.signal).ok()).unwrap_or(u32::MAX);
                    self.push(
                        batch,
                        Sample { signal, time, value, quality, row: batch.originals.next_row() },
                    );
                }
                Err(reason) => faults.push((Some(layout.column(wide.index)), reason)),
            }
        }
        faults
    }

    fn narrow_row(
        &mut self,
        layout: &Layout,
        narrow: &Narrow,
        record: &Record,
        batch: &mut Batch,
    ) -> Result<(), Fault> {
        let blame = |at: usize, reason: String| (Some(layout.column(at)), reason);
        if record.field(narrow.signal).starts_with(WINCC_MARK) {
            return Err(blame(narrow.signal, "a mark of WinCC's runtime is no sample".to_owned()));
        }
        let unit = narrow.counts_in.or(narrow.unit.map(|at| record.field(at))).unwrap_or_default();
        let signal = match &layout.keyed {
            None => self.signal(narrow.prefix.as_ref(), record.field(narrow.signal), unit),
            Some(keyed) => {
                let key = keyed.of(record).map_err(|at| blame(at, "there is no name".to_owned()))?;
                self.signal(narrow.prefix.as_ref(), &format!("{key}/{}", record.field(narrow.signal)), unit)
            }
        };
        let signal = signal.map_err(|reason| blame(narrow.signal, reason))?;
        self.judge_unit(signal, unit).map_err(|reason| blame(narrow.unit.unwrap_or(narrow.value), reason))?;
        let time = self.time(layout, record, signal as usize)?;
        let stated =
            match narrow.quality.map(|at| (at, record.field(at))).filter(|(_, text)| !text.is_empty()) {
                None => None,
                Some((at, text)) => {
                    let known = self.quality(text, layout.numbers);
                    Some(known.ok_or_else(|| blame(at, format!("'{}' is no quality", short(text))))?)
                }
            };
        let text =
            if narrow.kind.is_some() { record.exact(narrow.value) } else { record.field(narrow.value) };
        let kind = narrow.kind.map(|at| (at, record.field(at))).filter(|(_, kind)| !kind.is_empty());
        let (value, quality) = match kind {
            Some((at, name)) => {
                let kind = Kind::from_name(name)
                    .ok_or_else(|| blame(at, format!("'{}' is no kind", short(name))))?;
                let value = cell::read_stated(text, kind).map_err(|reason| blame(narrow.value, reason))?;
                let without = if kind == Kind::None { Quality::BAD } else { Quality::GOOD };
                (value, stated.unwrap_or(without))
            }
            None if is_missing(record, narrow.value, narrow.cell) => {
                match stated.filter(|quality| quality.is_bad()) {
                    Some(quality) => (Value::None, quality),
                    None => {
                        self.summary.empty_cells += 1;
                        return Ok(());
                    }
                }
            }
            None if let Some(missing) = absent_by_row(layout, narrow, text, stated) => {
                with_quality((Value::None, missing), stated)
            }
            None => {
                let read = cell::read(text, narrow.cell).map_err(|reason| blame(narrow.value, reason))?;
                self.count_whole(Some(&read).filter(|_| !narrow.cell.is_stated()));
                with_quality(read, stated)
            }
        };
        self.push(batch, Sample { signal, time, value, quality, row: batch.originals.next_row() });
        Ok(())
    }

    /// A row that cannot be read has its place in time all the same.
    fn pass_over(&mut self) {
        if let Some(run) = self.runs.first_mut() {
            run.skip();
        }
    }

    /// The number of the key of a row, and those of its signals, one a column.
    fn key(&mut self, keyed: &Keyed, layout: &Layout, record: &Record) -> Result<(usize, Arc<[u32]>), Fault> {
        let blame = |at: usize| (Some(layout.column(at)), "there is no name".to_owned());
        let key = keyed.of(record).map_err(blame)?;
        if let Some(known) = self.by_key.get(&key) {
            return Ok(known.clone());
        }
        let first = keyed.columns.first().map(|at| layout.column(*at));
        let prefix = names::narrow(Some(&keyed.prefix), &key).map_err(|reason| (first.clone(), reason))?;
        let units = layout.signals.iter().map(|signal| signal.unit.as_str());
        let number = |(name, unit): (&String, &str)| match name.is_empty() {
            true => self.signal(None, prefix.as_str(), unit),
            false => self.signal(None, &format!("{prefix}/{}", Escape::segment(name)), unit),
        };
        let numbers: Result<Arc<[u32]>, String> = keyed.names.iter().zip(units).map(number).collect();
        let known = (self.by_key.len(), numbers.map_err(|reason| (first, reason))?);
        self.by_key.insert(key, known.clone());
        Ok(known)
    }

    /// The number of a signal by the name that the file gives it.
    fn signal(&mut self, prefix: Option<&SignalPath>, name: &str, unit: &str) -> Result<u32, String> {
        match self.by_name.get(name) {
            Some(number) => Ok(*number),
            None => self.new_signal(names::narrow(prefix, name)?, name, unit),
        }
    }

    /// The same where the prefix is not that of all names.
    fn signal_below(&mut self, prefix: &SignalPath, name: &str) -> Result<u32, String> {
        let whole = format!("{prefix}/{name}");
        match self.by_name.get(&whole) {
            Some(number) => Ok(*number),
            None => self.new_signal(names::narrow(Some(prefix), name)?, &whole, ""),
        }
    }

    fn new_signal(&mut self, path: SignalPath, name: &str, unit: &str) -> Result<u32, String> {
        // Two spellings may be one path.
        let known = self.by_path.get(&path).copied();
        if let Some(number) = known {
            self.join(&path, number, name);
        }
        if known.is_none() && self.signals.len() >= SIGNALS_MAX {
            return Err(format!("the file names more than {SIGNALS_MAX} signals"));
        }
        let number = known.or(u32::try_from(self.signals.len()).ok()).unwrap_or(u32::MAX);
        if known.is_none() {
            self.by_path.insert(path.clone(), number);
            self.signals.push(Signal { path, unit: unit.to_owned() });
        }
        if self.by_name.len() < SIGNALS_MAX * 2 {
            self.by_name.insert(name.to_owned(), number);
        }
        Ok(number)
    }

    /// Keeps in mind that another name led to this signal before. Blanks and slashes around a name make no other.
    fn join(&mut self, path: &SignalPath, number: u32, name: &str) {
        // Beyond that not all names are known.
        if self.joined.len() >= JOINED_MAX || self.by_name.len() >= SIGNALS_MAX * 2 {
            return;
        }
        let before: Vec<&String> =
            self.by_name.iter().filter(|(_, of)| **of == number).map(|(before, _)| before).collect();
        if before.iter().any(|before| names::bare_narrow(before) == names::bare_narrow(name)) {
            return;
        }
        if let Some(first) = before.into_iter().min() {
            self.joined.push(Joined { names: [first.clone(), name.to_owned()], path: path.clone() });
        }
    }

    /// The unit of a row: a signal has one, and values in another are not its own.
    fn judge_unit(&mut self, signal: u32, unit: &str) -> Result<(), String> {
        let Some(signal) = self.signals.get_mut(signal as usize) else { return Ok(()) };
        if unit.is_empty() || signal.unit == unit {
            return Ok(());
        }
        if signal.unit.is_empty() {
            unit.clone_into(&mut signal.unit);
            return Ok(());
        }
        Err(format!("the unit is '{}', and that of {} is '{}'", short(unit), signal.path, signal.unit))
    }

    fn quality(&mut self, text: &str, numbers: StatusNumbers) -> Option<Quality> {
        if let Some((last, quality)) = &self.last_quality
            && last == text
        {
            return Some(*quality);
        }
        let quality = quality(text, numbers)?;
        self.last_quality = Some((text.to_owned(), quality));
        Some(quality)
    }

    /// Of what was read from a cell without a kind: only such numbers come as integers.
    fn count_whole(&mut self, read: Option<&cell::Read>) {
        let whole = matches!(read, Some((Value::Int(_) | Value::UInt(_), _)));
        self.summary.whole_numbers += u64::from(whole);
    }

    fn push(&mut self, batch: &mut Batch, sample: Sample) {
        self.summary.samples += 1;
        batch.bytes += match &sample.value {
            Value::Text(text) | Value::Json(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        batch.samples.push(sample);
    }
}

impl Batch {
    fn is_full(&self) -> bool {
        self.samples.len() >= BATCH_ROWS_MAX
            || self.rejects.len() >= BATCH_ROWS_MAX
            || self.bytes + self.originals.bytes() >= BATCH_BYTES_MAX
    }

    /// Keeps a row as it stands in the file, if it gave a sample.
    fn keep_original(&mut self, line: u64, raw: &str) {
        if self.samples.last().is_some_and(|sample| sample.row == self.originals.next_row()) {
            self.originals.add(line, raw);
        }
    }

    fn some(self) -> Option<Batch> {
        (!self.samples.is_empty() || !self.rejects.is_empty()).then_some(self)
    }
}

impl Layout {
    fn column(&self, index: usize) -> String {
        match self.headers.get(index).map(String::as_str) {
            None | Some("") => (index + 1).to_string(),
            Some(name) => name.to_owned(),
        }
    }
}

const NO_END: &str = "it is empty, and says how the time is meant";

/// The text of a time, and that of its time of day, as the file has it.
type TimeTexts<'a> = (Cow<'a, str>, Option<Cow<'a, str>>);

/// A time, and a time of day where it has a column of its own, with what belongs behind. The error is what is empty of that.
fn with_ends<'a, T>(
    time: &'a str,
    day: Option<&'a str>,
    ends: impl Iterator<Item = (T, &'a str)>,
) -> Result<TimeTexts<'a>, T> {
    let (mut time, mut day) = (Cow::Borrowed(time), day.map(Cow::Borrowed));
    for (at, end) in ends {
        if end.is_empty() {
            return Err(at);
        }
        let last = day.as_mut().unwrap_or(&mut time).to_mut();
        last.push(' ');
        last.push_str(end);
    }
    Ok((time, day))
}

/// The faults of a row as one: the row is listed once.
fn one(faults: Vec<Fault>) -> Option<Fault> {
    let mut faults = faults.into_iter();
    let first = faults.next()?;
    let more: Vec<String> = faults.map(|(column, reason)| spoken(column.as_deref(), &reason)).collect();
    if more.is_empty() {
        return Some(first);
    }
    let begin = spoken(first.0.as_deref(), &first.1);
    Some((None, format!("{begin}; {}", more.join("; "))))
}

fn spoken(column: Option<&str>, reason: &str) -> String {
    column.map_or_else(|| reason.to_owned(), |column| format!("column '{column}': {reason}"))
}
