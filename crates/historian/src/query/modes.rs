//! Retrieval modes: from sorted scans to the samples that are meant. `raw` is the scan, `points` goes through
//! [`super::plot`], `last` looks backward in growing steps. All block and stream. What is not here: formats, SQL.

use std::sync::Arc;

use bytes::Bytes;
use tidemill_core::{
    BATCH_ROWS_MAX, BatchBuilder, Bus, Column, Flags, LastValue, Problem, Quality, ReadMode, ReadQuery,
    ReadScope, SampleBatch, SignalId, SourceId, Stamp, Value, ValueRef, codes,
};

use super::names::Names;
use super::plot::{Pixels, Plot};
use super::push::Times;
use super::samples::spec;
use tidemill_lake::{Account, Columns, Scan, ScanSpec, View};

/// The most pixels that one question may ask for.
pub(crate) const POINTS_MAX: u32 = 100_000;

/// How far back the last sample before a time is sought, step by step; then everywhere.
const STEPS_BACK_NS: [i64; 4] =
    [3_600_000_000_000, 86_400_000_000_000, 30 * 86_400_000_000_000, 366 * 86_400_000_000_000];

/// What samples look like to those who read them: neither who wrote nor when it was received.
const NEEDED: Columns = Columns { time: true, value: true, quality: true, received: false, source: false };

/// A sample on its own.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) signal: SignalId,
    pub(crate) time: i64,
    pub(crate) value: KeptValue,
    pub(crate) quality: Quality,
}

/// A value that shares the bytes of the batch it came from.
#[derive(Clone, Debug)]
pub(crate) enum KeptValue {
    /// Of any kind that fits into 64 bits; nothing is allocated for it.
    Number(Value),
    Text(Bytes),
    Json(Bytes),
    Bytes(Bytes),
}

impl Kept {
    /// A row of a batch.
    pub(crate) fn of(batch: &SampleBatch, row: usize) -> Option<Kept> {
        let found = batch.row(row)?;
        let share = |bytes: &[u8]| batch.heap.slice_ref(bytes);
        let value = match found.value {
            ValueRef::Text(text) => KeptValue::Text(share(text.as_bytes())),
            ValueRef::Json(text) => KeptValue::Json(share(text.as_bytes())),
            ValueRef::Bytes(bytes) => KeptValue::Bytes(share(bytes)),
            number => KeptValue::Number(number.to_value()),
        };
        Some(Kept { signal: found.signal, time: found.time, value, quality: found.quality })
    }

    fn value(&self) -> ValueRef<'_> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        match &self.value {
            KeptValue::Number(value) => value.as_ref(),
            KeptValue::Text(bytes) => ValueRef::Text(text(bytes)),
            KeptValue::Json(bytes) => ValueRef::Json(text(bytes)),
            KeptValue::Bytes(bytes) => ValueRef::Bytes(bytes),
        }
    }
}

/// Single samples as batches.
fn batches(kept: &[Kept]) -> Vec<SampleBatch> {
    let empty = || BatchBuilder::new(SourceId::default(), Flags::default());
    let mut done = Vec::new();
    let mut builder = empty();
    builder.reserve(kept.len());
    for sample in kept {
        let push = |builder: &mut BatchBuilder| {
            builder.push(sample.signal, Stamp::At(sample.time), sample.value(), sample.quality)
        };
        if push(&mut builder).is_err() {
            done.push(std::mem::replace(&mut builder, empty()).finish(0, Flags::default()));
            // A value that was kept once fits into an empty batch.
            let _ = push(&mut builder);
        }
    }
    if !builder.is_empty() {
        done.push(builder.finish(0, Flags::default()));
    }
    done
}

/// Samples that were asked for, batch by batch. Blocking.
pub(crate) type Samples = Box<dyn Iterator<Item = Result<SampleBatch, Problem>> + Send>;

/// Checks a question before anything is scanned.
pub(crate) fn check(query: &ReadQuery) -> Result<(), Problem> {
    match query.mode {
        ReadMode::Last => Ok(()),
        _ if query.from > query.last() => {
            Err(Problem::new(&codes::BAD_PARAMETER, "'from' is not before 'to'")
                .hint("Swap them, or ask for more time"))
        }
        ReadMode::Points { points } if points == 0 || points > POINTS_MAX => {
            let detail = format!("points={points} is outside 1 to {POINTS_MAX}");
            Err(Problem::new(&codes::BAD_PARAMETER, detail)
                .hint("Ask for about as many as the chart is wide"))
        }
        _ => Ok(()),
    }
}

/// What is asked for, of these signals, in their order. The question was checked. What its scans hold is told to the
/// account.
pub(crate) fn read(
    view: &Arc<dyn View>,
    bus: &dyn Bus,
    scope: &ReadScope,
    names: &Names,
    query: &ReadQuery,
    account: &Arc<dyn Account>,
) -> Samples {
    let times = Times { from: query.from, last: query.last() };
    let spec = |times| ScanSpec { account: Some(account.clone()), ..spec(names, times, NEEDED) };
    match query.mode {
        _ if names.len() == 0 => Box::new(std::iter::empty()),
        ReadMode::Raw => raw(view, &spec(times)),
        ReadMode::Points { points } => {
            let pixels = Pixels::new(query.from, query.to, points);
            Box::new(Plotted {
                scan: raw(view, &spec(times)),
                plot: Some(Plot::new(pixels)),
                ready: Vec::new(),
            })
        }
        ReadMode::Last => match last(view, bus, scope, names, query.to, spec) {
            Ok(kept) => Box::new(batches(&kept).into_iter().map(Ok)),
            Err(problem) => Box::new(std::iter::once(Err(problem))),
        },
    }
}

fn raw(view: &Arc<dyn View>, spec: &ScanSpec) -> Samples {
    let scans = view.scan(spec, 1);
    let view = view.clone();
    Box::new(scans.into_iter().flatten().flat_map(move |batch| {
        // The files of a view stay while somebody reads them.
        let _keep = &view;
        match batch {
            Ok(batch) => split(batch.samples).into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(Problem::from(error))],
        }
    }))
}

/// A batch of at most as many rows as a batch may have.
fn split(samples: SampleBatch) -> Vec<SampleBatch> {
    if samples.len() <= BATCH_ROWS_MAX {
        return vec![samples];
    }
    let kept: Vec<Kept> = (0..samples.len()).filter_map(|row| Kept::of(&samples, row)).collect();
    batches(&kept)
}

/// The first so many rows of a batch.
pub(crate) fn first_rows(samples: &SampleBatch, rows: usize) -> SampleBatch {
    let mut first = samples.clone();
    first.signal.truncate(rows);
    first.time.truncate(rows);
    first.bits.truncate(rows);
    if let Column::Each(kinds) = &mut first.kind {
        kinds.truncate(rows);
    }
    if let Column::Each(qualities) = &mut first.quality {
        qualities.truncate(rows);
    }
    first
}

struct Plotted {
    scan: Samples,
    plot: Option<Plot>,
    ready: Vec<SampleBatch>,
}

impl Iterator for Plotted {
    type Item = Result<SampleBatch, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.ready.pop() {
                return Some(Ok(batch));
            }
            let plot = self.plot.as_mut()?;
            match self.scan.next() {
                // An empty batch goes on, so that the caller can see whether it should stop.
                Some(Ok(batch)) => {
                    self.ready = batches(&plot.take(&batch));
                    if self.ready.is_empty() {
                        return Some(Ok(nothing()));
                    }
                }
                Some(Err(problem)) => return Some(Err(problem)),
                None => {
                    self.ready = batches(&plot.finish());
                    self.plot = None;
                }
            }
            self.ready.reverse();
            if self.plot.is_none() && self.ready.is_empty() {
                return None;
            }
        }
    }
}

fn nothing() -> SampleBatch {
    BatchBuilder::new(SourceId::default(), Flags::default()).finish(0, Flags::default())
}

/// The last sample of each signal at or before a time, whatever its age.
fn last(
    view: &Arc<dyn View>,
    bus: &dyn Bus,
    scope: &ReadScope,
    names: &Names,
    at: i64,
    spec: impl Fn(Times) -> ScanSpec,
) -> Result<Vec<Kept>, Problem> {
    let mut known = Vec::with_capacity(names.len());
    bus.last(scope, &names.ids(), &mut known);
    let mut found: Vec<Option<Kept>> = vec![None; names.len()];
    let mut put = |kept: Kept| {
        let place = names.place(kept.signal).and_then(|place| found.get_mut(place as usize));
        if let Some(slot) = place {
            *slot = Some(kept);
        }
    };
    // Who is not known to the bus may still be in files: it is sought, too. So is what may have a newer one there.
    known.into_iter().filter(|last| last.time <= at && !last.ahead).for_each(|last| put(of_last(last)));
    let mut before = at;
    for step in STEPS_BACK_NS.into_iter().map(Some).chain([None]) {
        let wanted: Arc<[SignalId]> = names
            .signals()
            .iter()
            .zip(&found)
            .filter_map(|(signal, found)| found.is_none().then_some(signal.id))
            .collect();
        if wanted.is_empty() {
            break;
        }
        let from = step.map_or(i64::MIN, |step| at.saturating_sub(step));
        let spec = ScanSpec { signals: Some(wanted), ..spec(Times { from, last: before }) };
        seek(view.scan(&spec, 1), |kept| {
            if let Some(slot) = names.place(kept.signal).and_then(|place| found.get_mut(place as usize)) {
                *slot = Some(kept);
            }
        })?;
        if from == i64::MIN {
            break;
        }
        before = from.saturating_sub(1);
    }
    Ok(found.into_iter().flatten().collect())
}

/// The last row of each signal of these scans.
fn seek(scans: Vec<Scan>, mut put: impl FnMut(Kept)) -> Result<(), Problem> {
    for batch in scans.into_iter().flatten() {
        let samples = batch?.samples;
        let mut row = 0;
        for run in samples.signal.chunk_by(|one, other| one == other) {
            row += run.len();
            if let Some(kept) = Kept::of(&samples, row - 1) {
                put(kept);
            }
        }
    }
    Ok(())
}

fn of_last(last: LastValue) -> Kept {
    let value = match &last.value {
        Value::Text(text) => KeptValue::Text(Bytes::copy_from_slice(text.as_bytes())),
        Value::Json(text) => KeptValue::Json(Bytes::copy_from_slice(text.as_bytes())),
        Value::Bytes(bytes) => KeptValue::Bytes(Bytes::copy_from_slice(bytes)),
        _ => KeptValue::Number(last.value.clone()),
    };
    Kept { signal: last.id, time: last.time, value, quality: last.quality }
}
