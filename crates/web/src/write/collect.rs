//! Fills batches: takes lines and JSON samples, binds them, and keeps what belongs together in one batch. Publishes
//! nothing and creates no names: the new ones go along with the batches.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use tidemill_core::{
    BATCH_HEAP_BYTES_MAX, BATCH_ROWS_MAX, BatchBuilder, Bus, Code, ColumnSample, Flags, Identity, Meta,
    NANOS_PER_SECOND, NewNames, Problem, Publish, Quality, SampleSink, SignalId, SignalPath, SourceId, Stamp,
    UNIT_BYTES_MAX, ValueRef, codes, rfc3339, same_unit,
};
use tidemill_ground::{Clock, Counter, Limit, Metrics};

use super::bindings::{Binding, BindingSet, Bindings, Found};
use super::namer::{Asked, Namer};
use super::{ROW_BYTES, agents};
use crate::Settings;
use crate::error::{Error, Fault, Refused, excerpt};
use crate::line::name::{Series, field_name};
use crate::line::origin::Origin;
use crate::line::{self, Field, FieldValue, Line};
use crate::remote::{self, Labels};
use crate::samples::{Sample, Take};
use crate::times::TimeUnit;

/// How many refused lines of a partial write are listed; all are counted.
pub(crate) const REFUSED_LISTED_MAX: usize = 100;
/// How many signals get their first unit at once; the others follow when the request is read again.
const FIRST_UNITS_MAX: usize = 10_000;
/// Later than this after now a time is counted as far in the future.
const FUTURE_FAR_NS: i64 = 86_400 * NANOS_PER_SECOND;
/// Before 1990 a time is counted as far in the past: most often its unit is wrong.
const PAST_FAR_NS: i64 = 631_152_000 * NANOS_PER_SECOND;

/// What a request says about all its samples.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) unit: TimeUnit,
    pub(crate) flags: Flags,
    /// Keep the good, list the bad.
    pub(crate) partial: bool,
    /// What passes by itself is no fault of its line: the request is to come again.
    pub(crate) by_agent: bool,
    /// How a client asks for the good to be kept.
    pub(crate) partial_by: &'static str,
    /// Database, bucket, organisation.
    pub(crate) origin: Origin,
}

impl Terms {
    /// Whether what is refused with this code is to come again.
    fn put_off(&self, code: &'static Code) -> bool {
        self.by_agent && self.partial && agents::passes(code)
    }
}

/// Which of a body's batches are kept when it is read: it is always read and checked to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// The first part.
    pub(crate) from: usize,
    /// As many as have room, and at least one.
    pub(crate) bytes_max: u64,
}

/// What became of a body.
pub(crate) struct Collected {
    pub(crate) epoch: u64,
    /// Those of the window, in order.
    pub(crate) parts: Vec<Publish>,
    /// Whether these are the last.
    pub(crate) complete: bool,
    /// About what they take in memory, and the new names among them.
    pub(crate) parts_bytes: u64,
    pub(crate) kept: u64,
    /// The first [`REFUSED_LISTED_MAX`].
    pub(crate) refused: Vec<Refused>,
    /// Those that are to come again among them.
    pub(crate) refused_count: u64,
    /// Signals without a unit and the one that the request says; where there are any, they get it first.
    pub(crate) first_units: Vec<(SignalPath, Arc<str>)>,
    /// Why the request is to come again as it is, though the parts are to be kept.
    pub(crate) later: Option<Problem>,
    /// Why the request cannot be taken, whatever its lines are: nothing of it is published.
    pub(crate) failed: Option<Problem>,
}

/// What filling batches needs from the house.
pub(crate) struct Desk {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) bindings: Bindings,
    pub(crate) namer: Namer,
    /// Samples with times far in the past, far in the future.
    far_times: [Counter; 2],
    refused: SamplesRefused,
}

/// What bounds on a sample refused, by the names of their keys.
struct SamplesRefused {
    future: Counter,
    past: Counter,
    keep: Counter,
    text: Counter,
}

impl Desk {
    pub(crate) fn new(bus: Arc<dyn Bus>, clock: Arc<dyn Clock>, metrics: &Metrics, bindings: Limit) -> Desk {
        let far = |direction| {
            let help = "Samples written with a time before 1990 (past) or more than a day ahead (future).";
            metrics.counter_with("tidemill_http_far_times", help, &[("direction", direction)])
        };
        let far_times = [far("past"), far("future")];
        let refused = SamplesRefused {
            future: Limit::refusals(metrics, "future"),
            past: Limit::refusals(metrics, "past"),
            keep: Limit::refusals(metrics, "keep"),
            text: Limit::refusals(metrics, "text_sample_bytes"),
        };
        Desk { bus, clock, bindings: Bindings::new(bindings), namer: Namer::new(metrics), far_times, refused }
    }
}

/// Whether the other fields of the line can be kept without the one that is refused.
fn is_of_one_field(error: &Error) -> bool {
    matches!(error, Error::FieldTooLong { .. } | Error::Problem(_)) && error.code().status < 500
}

/// Fills batches for one request.
pub(crate) struct Collector<'a> {
    desk: &'a Desk,
    settings: &'a Settings,
    who: &'a Identity,
    terms: &'a Terms,
    epoch: u64,
    set: BindingSet,
    names: NewNames,
    /// Units of signals that have none, by samples that are kept.
    first_units: BTreeMap<SignalId, (SignalPath, Arc<str>)>,
    /// The sample at hand says the first unit of this signal.
    says_unit: Option<(SignalId, SignalPath)>,
    /// So many of `names` belong to lines that are kept.
    names_kept: usize,
    window: Window,
    /// How many parts were filled, kept or not.
    filled: usize,
    full: Vec<BatchBuilder>,
    full_bytes: u64,
    /// Parts after the window.
    left_out: bool,
    batch: BatchBuilder,
    batch_heap_bytes: usize,
    body_bytes: usize,
    /// The number of the next sample or line without a time in this batch.
    stamp: u32,
    /// Whether any has none: sent again, it would be another.
    is_stamped: bool,
    /// Bindings of the line at hand, none for a field that is left out.
    line_bindings: Vec<Option<Binding>>,
    text: String,
    now: i64,
    far: [u64; 2],
    kept: u64,
    refused: Vec<Refused>,
    refused_count: u64,
    later: Option<Problem>,
    failed: Option<Problem>,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(
        desk: &'a Desk,
        settings: &'a Settings,
        who: &'a Identity,
        terms: &'a Terms,
        body_bytes: usize,
        window: Window,
    ) -> Result<Collector<'a>, Problem> {
        let mut batch = desk.bus.batch(who, terms.flags)?;
        // Bounded by the largest batch; the shortest usual sample is one of many fields of a line.
        batch.reserve(body_bytes / 16);
        let epoch = desk.bus.epoch();
        Ok(Collector {
            desk,
            settings,
            who,
            terms,
            epoch,
            set: desk.bindings.borrow(&who.name, &terms.origin, epoch),
            names: NewNames::default(),
            first_units: BTreeMap::new(),
            says_unit: None,
            names_kept: 0,
            window,
            filled: 0,
            full: Vec::new(),
            full_bytes: 0,
            left_out: false,
            batch,
            body_bytes,
            batch_heap_bytes: 0,
            stamp: 0,
            is_stamped: false,
            line_bindings: Vec::new(),
            text: String::new(),
            now: desk.clock.wall(),
            far: [0; 2],
            kept: 0,
            refused: Vec::new(),
            refused_count: 0,
            later: None,
            failed: None,
        })
    }

    pub(crate) fn finish(mut self) -> Collected {
        if !self.batch.is_empty() {
            let last = std::mem::replace(&mut self.batch, BatchBuilder::new(SourceId(0), Flags::default()));
            self.keep(last);
        }
        if self.window.from == 0 {
            for (counter, count) in self.desk.far_times.iter().zip(self.far) {
                counter.add(count);
            }
        }
        self.set.forget_new();
        self.desk.bindings.give_back(&self.who.name, self.set);
        let (names_bytes, names) = (self.names.bytes(), self.names.into_list());
        let parts_bytes = self.full_bytes.saturating_add(names_bytes);
        let publish = |batch| Publish { samples: Some(batch), names: names.clone(), ..Publish::default() };
        Collected {
            epoch: self.epoch,
            parts: self.full.into_iter().map(publish).collect(),
            complete: !self.left_out,
            parts_bytes,
            kept: self.kept,
            first_units: self.first_units.into_values().collect(),
            refused: self.refused,
            refused_count: self.refused_count,
            failed: self.failed.or_else(|| self.later.take_if(|_| self.is_stamped)),
            later: self.later,
        }
    }

    /// Makes sure that so many rows with so many bytes go into one batch.
    fn make_room(&mut self, rows: usize, heap_bytes: usize) -> Result<(), Error> {
        if heap_bytes > BATCH_HEAP_BYTES_MAX {
            return Err(Error::TextTooLong { bytes: heap_bytes, bytes_max: BATCH_HEAP_BYTES_MAX });
        }
        let fits = self.batch.len() + rows <= BATCH_ROWS_MAX
            && (self.batch_heap_bytes == 0 || self.batch_heap_bytes + heap_bytes <= BATCH_HEAP_BYTES_MAX);
        if !fits {
            let mut next = self.desk.bus.batch(self.who, self.terms.flags)?;
            next.reserve(self.body_bytes / 16);
            let full = std::mem::replace(&mut self.batch, next);
            self.keep(full);
            self.batch_heap_bytes = 0;
            self.stamp = 0;
        }
        self.batch_heap_bytes += heap_bytes;
        Ok(())
    }

    /// Keeps a full batch that lies in the window.
    fn keep(&mut self, batch: BatchBuilder) {
        let bytes = batch.len() as u64 * ROW_BYTES + self.batch_heap_bytes as u64;
        let before = self.filled < self.window.from;
        self.filled += 1;
        if before {
            return;
        }
        self.left_out |=
            !self.full.is_empty() && self.full_bytes.saturating_add(bytes) > self.window.bytes_max;
        if !self.left_out {
            self.full_bytes += bytes;
            self.full.push(batch);
        }
    }

    fn stamp_of(&mut self, time: Option<i64>) -> Stamp {
        match time {
            Some(time) => {
                self.far[0] += u64::from(time < PAST_FAR_NS);
                self.far[1] += u64::from(time > self.now.saturating_add(FUTURE_FAR_NS));
                Stamp::At(time)
            }
            None => {
                self.stamp += 1;
                self.is_stamped = true;
                Stamp::Server(self.stamp - 1)
            }
        }
    }

    /// Far times are taken and counted, unless the plant has a limit.
    fn check_time(&self, time: i64) -> Result<(), Error> {
        let ahead = self.settings.ahead_max_ns.is_some_and(|max| time > self.now.saturating_add(max));
        let behind = |max: Option<i64>| max.is_some_and(|max| time < self.now.saturating_sub(max));
        let counters = &self.desk.refused;
        let (counter, direction, limit) = if ahead {
            (&counters.future, "ahead of", "limits.future")
        } else if behind(self.settings.behind_max_ns) {
            (&counters.past, "behind", "limits.past")
        } else if behind(self.settings.keep_max_ns) {
            (&counters.keep, "behind", "storage.keep")
        } else {
            return Ok(());
        };
        counter.add(1);
        Err(Error::FarTime { time: rfc3339(time), direction, limit })
    }

    fn check_text(&self, bytes: usize) -> Result<(), Error> {
        let bytes_max = self.settings.text_sample_bytes;
        if bytes > bytes_max {
            self.desk.refused.text.add(1);
            return Err(Error::TextTooLong { bytes, bytes_max });
        }
        Ok(())
    }

    /// Binds the fields of a line into `line_bindings`; gives the bytes of their texts, and why one of them is left out: where
    /// a request may be kept in part, a text that is too long takes no numbers with it.
    fn bind_line(&mut self, line: &Line<'_, '_>) -> Result<(usize, Option<Fault>), Fault> {
        let series = self.set.begin(line.series);
        let (mut parsed, mut heap_bytes) = (None, 0);
        let mut left_out: Option<Fault> = None;
        self.line_bindings.clear();
        for (position, field) in line.fields.iter().enumerate() {
            let names_before = self.names.len();
            match self.bind_field(line, field, (series, position), &mut parsed) {
                Ok(binding) => {
                    if let FieldValue::Text { raw, .. } = field.value {
                        heap_bytes += raw.len();
                    }
                    self.line_bindings.push(Some(binding));
                }
                Err(fault) if self.terms.partial && is_of_one_field(&fault.error) => {
                    self.names.truncate(names_before);
                    self.line_bindings.push(None);
                    // What is to come again is told before what never can be kept.
                    let comes_again = |fault: &Fault| self.terms.put_off(fault.error.code());
                    if left_out.as_ref().is_none_or(|other| comes_again(&fault) && !comes_again(other)) {
                        left_out = Some(fault);
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok((heap_bytes, left_out))
    }

    /// Binds a field, whose series and position [`BindingSet`] knows.
    fn bind_field(
        &mut self,
        line: &Line<'_, '_>,
        field: &Field<'_>,
        (series, position): (usize, usize),
        parsed: &mut Option<Series>,
    ) -> Result<Binding, Fault> {
        let fault = |error| Fault { at: field.at, error };
        let found = self.set.find(series, position, field.key);
        if let Found::Twice = found {
            return Err(fault(Error::FieldTwice(excerpt(field.key))));
        }
        if let FieldValue::Text { raw, .. } = field.value {
            self.check_text(raw.len()).map_err(|error| fault(error.of_field(field.key)))?;
        }
        if let Found::Binding(binding) = found {
            return Ok(binding);
        }
        let named = match parsed {
            Some(named) => named,
            None => parsed.insert(Series::parse(line.series).map_err(|fault| fault.within(line.at))?),
        };
        let name = field_name(field.key).map_err(fault)?;
        let desk = self.desk;
        let mut asked = Asked { bus: &*desk.bus, who: self.who, names: &mut self.names };
        let (templates, origin) = (&self.settings.templates, &self.terms.origin);
        let grant = desk.namer.bind(&mut asked, templates, named, origin, &name).map_err(fault)?;
        self.set.learn(series, field.key, grant.into());
        Ok(grant.into())
    }

    fn push(
        &mut self,
        binding: Binding,
        stamp: Stamp,
        value: ValueRef<'_>,
        quality: Quality,
    ) -> Result<(), Error> {
        // There is room: make_room saw to it; a refusal here would be one value larger than a whole batch.
        self.batch
            .push(binding.id, stamp, value, quality)
            .map_err(|_| Error::TextTooLong { bytes: self.batch_heap_bytes, bytes_max: BATCH_HEAP_BYTES_MAX })
    }

    fn note(&mut self, refused: Refused) -> ControlFlow<()> {
        if refused.error.code().status >= 500 {
            // No fault of this line's: as one that is refused in part its sender would drop it.
            self.failed = Some(refused.error.into_problem());
            return ControlFlow::Break(());
        }
        self.refused_count += 1;
        let put_off = self.terms.put_off(refused.error.code());
        if self.names.len() > self.names_kept {
            // Names that only the refused line brings.
            self.set.undo_line();
            self.names.truncate(self.names_kept);
        }
        if put_off {
            self.later.get_or_insert_with(|| refused.error.into_problem());
        } else if self.refused.len() < REFUSED_LISTED_MAX {
            self.refused.push(refused);
        }
        if self.terms.partial { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Binds a path for samples of this unit, or of none that is said.
    fn bind_path(&mut self, signal: &str, unit: &str) -> Result<Binding, Error> {
        // No field of line protocol has an empty name, or one with a line break: so a path is no series, and each unit of it
        // is judged once.
        let mut key = std::mem::take(&mut self.text);
        key.clear();
        if !unit.is_empty() {
            key.push('\n');
            key.push_str(unit);
        }
        let bound = self.bind_key(signal, unit, key.as_bytes());
        self.text = key;
        bound
    }

    fn bind_key(&mut self, signal: &str, unit: &str, key: &[u8]) -> Result<Binding, Error> {
        self.says_unit = None;
        let series = self.set.begin(signal.as_bytes());
        if let Found::Binding(binding) = self.set.find(series, 0, key) {
            return Ok(binding);
        }
        let path = SignalPath::new(signal).map_err(Problem::from)?;
        let hint = || Arc::new(Meta { unit: unit.into(), ..Meta::default() });
        if unit.len() > UNIT_BYTES_MAX {
            return Err(Error::UnitTooLong { bytes: unit.len(), bytes_max: UNIT_BYTES_MAX });
        }
        let grant = self.names.bind(&*self.desk.bus, self.who, &path, hint)?;
        // One that the signal is still to get is asked for again with the next request.
        if self.judge_unit(&path, grant.id, unit)? {
            self.set.learn(series, key, grant.into());
        }
        Ok(grant.into())
    }

    /// Whether the unit that a sample says is its signal's; not yet where the signal has none.
    fn judge_unit(&mut self, path: &SignalPath, id: SignalId, unit: &str) -> Result<bool, Error> {
        if unit.is_empty() {
            return Ok(true);
        }
        let other = |known: &str| Error::OtherUnit {
            signal: path.to_string(),
            said: excerpt(unit.as_bytes()),
            unit: known.to_owned(),
        };
        if let Some((_, first)) = self.first_units.get(&id) {
            return if same_unit(first, unit) { Ok(false) } else { Err(other(first)) };
        }
        let meta = match self.names.of_id(id) {
            Some(name) => Some(name.hint.clone()),
            None => self.desk.bus.signal(id).map(|signal| Arc::new(signal.meta.clone())),
        };
        match meta {
            Some(meta) if meta.unit.is_empty() => {
                self.says_unit = Some((id, path.clone()));
                Ok(false)
            }
            Some(meta) if !meta.has_unit(unit) => Err(other(&meta.unit)),
            _ => Ok(true),
        }
    }

    /// Once a sample is kept that says the first unit of its signal.
    fn keep_unit(&mut self, unit: &str) {
        let Some((id, path)) = self.says_unit.take() else { return };
        if id.provisional_place().is_some() {
            self.names.say_unit(id, unit);
        } else if self.first_units.len() < FIRST_UNITS_MAX {
            self.first_units.insert(id, (path, unit.into()));
        }
    }

    fn keep_sample(
        &mut self,
        binding: Binding,
        time: Option<i64>,
        value: ValueRef<'_>,
        quality: Quality,
    ) -> Result<(), Error> {
        let heap_bytes = match value {
            ValueRef::Text(text) | ValueRef::Json(text) => text.len(),
            ValueRef::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        self.check_text(heap_bytes)?;
        self.make_room(1, heap_bytes)?;
        let stamp = self.stamp_of(time);
        self.push(binding, stamp, value, quality)?;
        self.kept += 1;
        self.names_kept = self.names.len();
        Ok(())
    }
}

impl line::Sink for Collector<'_> {
    fn line(&mut self, line: &Line<'_, '_>) -> Result<(), Fault> {
        let fault = |error| Fault { at: line.at, error };
        if let Some(time) = line.time {
            self.check_time(time).map_err(fault)?;
        }
        let (heap_bytes, left_out) = self.bind_line(line)?;
        let bindings = std::mem::take(&mut self.line_bindings);
        let rows = bindings.iter().flatten().count();
        if rows == 0 {
            return left_out.map_or(Ok(()), Err);
        }
        self.make_room(rows, heap_bytes).map_err(fault)?;
        let stamp = self.stamp_of(line.time);
        for (field, binding) in line.fields.iter().zip(&bindings) {
            let Some(binding) = binding else { continue };
            let value = match field.value {
                FieldValue::Float { value, written } => binding.number.value(written, value),
                FieldValue::Int(value) => ValueRef::Int(value),
                FieldValue::UInt(value) => ValueRef::UInt(value),
                FieldValue::Bool(value) => ValueRef::Bool(value),
                FieldValue::Text { raw, escaped: false } => ValueRef::Text(raw),
                FieldValue::Text { raw, escaped: true } => {
                    let mut text = std::mem::take(&mut self.text);
                    text.clear();
                    line::unescape_text(raw, &mut text);
                    let pushed = self.push(*binding, stamp, ValueRef::Text(&text), Quality::GOOD);
                    self.text = text;
                    pushed.map_err(fault)?;
                    continue;
                }
            };
            self.push(*binding, stamp, value, Quality::GOOD).map_err(fault)?;
        }
        self.kept += rows as u64;
        self.names_kept = self.names.len();
        self.line_bindings = bindings;
        left_out.map_or(Ok(()), Err)
    }

    fn bad(&mut self, refused: Refused) -> ControlFlow<()> {
        self.note(refused)
    }
}

impl remote::Sink for Collector<'_> {
    type Bound = Binding;

    fn check(&mut self, time: i64) -> Result<(), Error> {
        self.check_time(time)
    }

    fn bind(&mut self, labels: &Labels<'_, '_>) -> Result<Binding, Error> {
        // The key begins with a length: no path and no series of line protocol looks like that.
        let known = self.set.begin(labels.key);
        if let Found::Binding(binding) = self.set.find(known, 0, b"") {
            return Ok(binding);
        }
        let mut asked = Asked { bus: &*self.desk.bus, who: self.who, names: &mut self.names };
        let (templates, origin) = (&self.settings.templates, &self.terms.origin);
        let grant = self.desk.namer.bind(&mut asked, templates, &labels.series()?, origin, "value")?;
        self.set.learn(known, b"", grant.into());
        Ok(grant.into())
    }

    fn sample(&mut self, series: Binding, time: i64, value: f64) -> Result<(), Error> {
        if value.to_bits() == remote::STALE_BITS {
            return self.keep_sample(series, Some(time), ValueRef::None, Quality::BAD_NO_COMMUNICATION);
        }
        self.keep_sample(series, Some(time), series.number.of_float(value), Quality::GOOD)
    }

    fn bad(&mut self, refused: Refused) -> ControlFlow<()> {
        self.note(refused)
    }
}

impl Take for Collector<'_> {
    fn sample(&mut self, sample: &Sample<'_>) -> Result<(), Fault> {
        let places = &sample.places;
        let fault = |at| move |error| Fault { at, error };
        let time = sample.time(self.terms.unit)?;
        let quality = sample.quality()?;
        if let Some(time) = time {
            self.check_time(time).map_err(fault(places.time))?;
        }
        let unit = sample.unit.as_deref().unwrap_or_default().trim();
        let binding = self.bind_path(&sample.signal, unit).map_err(|error| {
            let of_unit = error.code() == &codes::BAD_UNIT;
            Fault { at: if of_unit { places.unit } else { places.signal }, error }
        })?;
        let value = sample.value(binding.number)?;
        self.keep_sample(binding, time, value.as_ref(), quality).map_err(fault(places.value))?;
        self.keep_unit(unit);
        Ok(())
    }

    fn bad(&mut self, refused: Refused) -> ControlFlow<()> {
        self.note(refused)
    }
}

impl SampleSink for Collector<'_> {
    fn sample(&mut self, sample: &ColumnSample<'_>) -> Result<(), (&'static str, Problem)> {
        let of = |column| move |error: Error| (column, error.into_problem());
        if let Some(time) = sample.time {
            self.check_time(time).map_err(of("time"))?;
        }
        let binding = self.bind_path(sample.signal, "").map_err(of("signal"))?;
        self.keep_sample(binding, sample.time, sample.value, sample.quality).map_err(of("value"))
    }
}
