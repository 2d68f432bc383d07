//! One consistent state of samples, and its scans: files of one version, the buffers above them, and deletions that
//! the files do not show yet. What does not live here: tables of records (`tables`).

use std::collections::BTreeSet;
use std::sync::Arc;

use tidemill_core::{Bus, Column, Deletion, Flags, Quality, SampleBatch, SignalId, SourceId};

use super::buffer::Watch;
use super::files::{FileEntry, Version};
use super::frozen::Deletions;
use super::lane::{Held, Lane, Want};
use super::merge_rows::{From, Merge, Place};
use super::read::{Files, Footer};
use super::rows::{self, ReceivedAt, Rows};
use crate::Error;
use crate::{Account, Columns, Scan, ScanBatch, ScanSpec};

/// Signals whose buffered rows are fetched at once.
const FETCH_SIGNALS: usize = 64;

/// Takes deleted rows out of rows in order of time.
pub(crate) fn without(deletions: &[Arc<Deletion>], signal: SignalId, rows: Rows) -> Rows {
    let concerned = deletions.iter().filter(|deletion| deletion.concerns(signal));
    concerned.fold(rows, |rows, deletion| rows.without(deletion.from, deletion.last))
}

/// The times whose rows in files are gone for a signal.
pub(crate) fn gone(deletions: &[Arc<Deletion>], signal: SignalId) -> Vec<(i64, i64)> {
    let concerned = deletions.iter().filter(|deletion| deletion.concerns(signal));
    concerned.map(|deletion| (deletion.from, deletion.last)).collect()
}

/// Everything that a scan reads from.
pub(crate) struct Samples {
    pub(crate) version: Arc<Version>,
    /// In order of arrival.
    pub(crate) buffers: Vec<BufferView>,
    /// Those that the files do not show yet.
    pub(crate) deletions: Deletions,
    pub(crate) files: Arc<Files>,
    pub(crate) bus: Arc<dyn Bus>,
}

/// A buffer, and the deletions that concern it.
pub(crate) struct BufferView {
    pub(crate) watch: Watch,
    pub(crate) deletions: Deletions,
}

impl Samples {
    /// All signals with rows in this time that are not retired, by path.
    fn all_signals(&self, from: i64, last: i64) -> Result<Vec<SignalId>, Error> {
        let mut ids = BTreeSet::new();
        for buffer in &self.buffers {
            ids.extend(buffer.watch.signals(from, last).into_iter().map(|(signal, _, _)| signal));
        }
        for file in self.version.files.iter().filter(|file| file.overlaps(from, last)) {
            let footer = self.files.footer(file)?;
            let entries = footer.directory.entries.iter();
            ids.extend(
                entries.filter(|entry| entry.from <= last && entry.last >= from).map(|entry| entry.signal),
            );
        }
        Ok(self.by_path(ids))
    }

    fn by_path(&self, ids: impl IntoIterator<Item = SignalId>) -> Vec<SignalId> {
        let known = ids.into_iter().filter_map(|id| {
            let (path, _) = self.bus.path(id).filter(|(_, retired)| !retired)?;
            Some((path, id))
        });
        let mut signals: Vec<_> = known.collect();
        signals.sort_unstable();
        signals.into_iter().map(|(_, id)| id).collect()
    }

    /// See [`crate::View::scan`].
    pub(crate) fn scan(self: &Arc<Samples>, spec: &ScanSpec, partitions: usize) -> Vec<Scan> {
        let signals: Vec<SignalId> = match &spec.signals {
            Some(signals) => {
                let served = |id: &SignalId| self.bus.path(*id).is_none_or(|(_, retired)| !retired);
                signals.iter().copied().filter(served).collect()
            }
            None => match self.all_signals(spec.from, spec.last) {
                Ok(signals) => signals,
                Err(error) => return vec![Box::new(std::iter::once(Err(error)))],
            },
        };
        let partition_signals = signals.len().div_ceil(partitions.max(1)).max(1);
        signals
            .chunks(partition_signals)
            .map(|signals| {
                let scan = SamplesScan::new(self.clone(), signals.to_vec(), spec.clone());
                Box::new(scan) as Scan
            })
            .collect()
    }
}

/// Fewer rows at once would only cost.
const BATCH_ROWS_MIN: usize = 256;
/// Rows that the lanes of one scan hold decoded, all together.
const LANES_ROWS: usize = 1 << 20;
/// What it says about one signal in one file, in a plan.
const PLANNED_BYTES: usize = size_of::<Want>() + size_of::<Reach>();

/// The lanes of a scan, and which of them has rows of which signal.
pub(crate) struct Lanes {
    pub(crate) lanes: Vec<Lane>,
    /// By signal: lanes in order of arrival, with the times of its first and last row there.
    by_position: Vec<Vec<Reach>>,
    _held: Held,
}

/// Rows of a signal in a lane: which lane, from when, until when.
pub(crate) type Reach = (usize, i64, i64);

/// What lanes are made for.
pub(crate) struct Sought<'a> {
    pub(crate) files: &'a Arc<Files>,
    pub(crate) chosen: &'a [Arc<FileEntry>],
    pub(crate) signals: &'a [SignalId],
    pub(crate) time: (i64, i64),
    /// Rows that a lane decodes at once, at most.
    pub(crate) batch_rows: usize,
    pub(crate) account: Option<&'a Arc<dyn Account>>,
}

impl Lanes {
    /// Lanes for these signals over these files, for rows in a time; of a signal only where it may have rows in the
    /// time that `time_of` gives for it. `columns` tells which are needed, by what overlaps.
    pub(crate) fn open(
        sought: &Sought<'_>,
        time_of: &dyn Fn(usize) -> Option<(i64, i64)>,
        columns: &dyn Fn(&[Vec<Reach>]) -> Columns,
    ) -> Result<Lanes, Error> {
        let Sought { files, signals, time, .. } = *sought;
        let mut held = Held::told_to(sought.account);
        let mut planned = 0;
        let mut lanes: Vec<Lane> = Vec::new();
        // Where no file is read, as in the flush of what is new, a hundred thousand signals need no places.
        let places = if sought.chosen.is_empty() { 0 } else { signals.len() };
        let mut by_position = vec![Vec::new(); places];
        // Lanes that begin, less those that are done, by the signal at which they do.
        let mut begin = vec![0isize; places + 1];
        for file in sought.chosen {
            let footer = files.footer(file)?;
            for wants in runs(&footer, signals, time_of) {
                for want in &wants {
                    if let Some(reaches) = by_position.get_mut(want.position) {
                        reaches.push((lanes.len(), want.from.max(time.0), want.last.min(time.1)));
                    }
                }
                planned += size_of::<Lane>() + wants.len() * PLANNED_BYTES;
                for (want, by) in [
                    (wants.first().map(|want| want.position), 1),
                    (wants.last().map(|want| want.position + 1), -1),
                ] {
                    if let Some(count) = want.and_then(|position| begin.get_mut(position)) {
                        *count += by;
                    }
                }
                lanes.push(Lane::new(files, file, &footer, wants, time));
            }
            held.set(planned)?;
        }
        let columns = columns(&by_position);
        let mut open = 0;
        let at_once = begin
            .iter()
            .map(|by| {
                open += by;
                open
            })
            .max()
            .unwrap_or(0);
        let share = (LANES_ROWS / at_once.max(1).unsigned_abs()).max(BATCH_ROWS_MIN);
        for lane in &mut lanes {
            (lane.columns, lane.batch_rows) = (columns, sought.batch_rows.min(share));
            lane.held = Held::told_to(sought.account);
        }
        Ok(Lanes { lanes, by_position, _held: held })
    }

    /// The lanes that have rows of a signal.
    pub(crate) fn of(&self, position: usize) -> &[Reach] {
        self.by_position.get(position).map_or(&[], Vec::as_slice)
    }
}

/// What a file has of these signals, in the order of the file. A signal that was renamed stands where its old name was: it
/// begins a run of its own.
fn runs(
    footer: &Footer,
    signals: &[SignalId],
    time_of: &dyn Fn(usize) -> Option<(i64, i64)>,
) -> Vec<Vec<Want>> {
    let mut runs: Vec<Vec<Want>> = Vec::new();
    for (position, signal) in signals.iter().enumerate() {
        let Some((from, last)) = time_of(position) else { continue };
        let Some(entry) = footer.directory.find(*signal) else { continue };
        if entry.from > last || entry.last < from {
            continue;
        }
        let want = Want::of(position, entry);
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|before| before.first_row < want.first_row) => run.push(want),
            _ => runs.push(vec![want]),
        }
    }
    runs
}

/// A scan of some signals, one after the other.
struct SamplesScan {
    view: Arc<Samples>,
    signals: Vec<SignalId>,
    spec: ScanSpec,
    lanes: Option<Lanes>,
    position: usize,
    /// Buffered rows of the next signals, last first.
    fetched: Vec<Vec<Place>>,
    merge: Option<Merge>,
    out: Gather,
    done: bool,
}

impl SamplesScan {
    fn new(view: Arc<Samples>, signals: Vec<SignalId>, spec: ScanSpec) -> SamplesScan {
        SamplesScan {
            view,
            signals,
            spec,
            lanes: None,
            position: 0,
            fetched: Vec::new(),
            merge: None,
            out: Gather::default(),
            done: false,
        }
    }

    fn open(&mut self) -> Result<(), Error> {
        let (from, last) = (self.spec.from, self.spec.last);
        let chosen: Vec<_> =
            self.view.version.files.iter().filter(|file| file.overlaps(from, last)).cloned().collect();
        // Identical samples of places that overlap can only be told by all that makes them identical.
        let mut buffered: Vec<(SignalId, i64, i64)> = Vec::new();
        for buffer in &self.view.buffers {
            buffered.extend(buffer.watch.signals(from, last));
        }
        buffered.sort_unstable();
        let (signals, wanted) = (&self.signals, self.spec.columns);
        let columns = |lanes: &[Vec<Reach>]| {
            let overlap = lanes.iter().enumerate().any(|(position, lanes)| {
                let signal = signals.get(position).copied();
                let start = buffered.partition_point(|(other, _, _)| Some(*other) < signal);
                let of = buffered.iter().skip(start).take_while(|(other, _, _)| Some(*other) == signal);
                let mut spans: Vec<(i64, i64)> = lanes.iter().map(|(_, min, max)| (*min, *max)).collect();
                spans.extend(of.map(|(_, min, max)| (*min, *max)));
                spans.sort_unstable();
                spans.windows(2).any(|pair| matches!(pair, [one, next] if one.1 >= next.0))
            });
            let all = overlap;
            Columns { value: wanted.value || all, quality: wanted.quality || all, ..wanted }
        };
        let sought = Sought {
            files: &self.view.files,
            chosen: &chosen,
            signals,
            time: (from, last),
            batch_rows: self.spec.batch_rows.clamp(BATCH_ROWS_MIN, 16_384),
            account: self.spec.account.as_ref(),
        };
        self.lanes = Some(Lanes::open(&sought, &|_| Some((from, last)), &columns)?);
        Ok(())
    }

    /// Buffered places of the next signals.
    fn fetch(&mut self) {
        let signals = self.signals.get(self.position..).unwrap_or_default();
        let signals = signals.get(..FETCH_SIGNALS.min(signals.len())).unwrap_or_default();
        let mut fetched: Vec<Vec<Place>> = signals.iter().map(|_| Vec::new()).collect();
        for buffer in &self.view.buffers {
            for ((signal, pieces), places) in
                signals.iter().zip(buffer.watch.pieces(signals)).zip(&mut fetched)
            {
                places.extend(places_of(pieces, *signal, &buffer.deletions, self.spec.from, self.spec.last));
            }
        }
        fetched.reverse();
        self.fetched = fetched;
    }

    /// Begins the next signal; false at the end.
    fn begin(&mut self) -> bool {
        let Some(lanes) = &self.lanes else { return false };
        if self.position >= self.signals.len() {
            return false;
        }
        let in_files = lanes.of(self.position).iter().map(|(lane, min, max)| Place {
            min: *min,
            max: *max,
            from: From::Lane(*lane),
            emit: true,
            exact: true,
        });
        let mut places: Vec<Place> = in_files.collect();
        if self.fetched.is_empty() {
            self.fetch();
        }
        places.extend(self.fetched.pop().unwrap_or_default());
        let mut merge = Merge::new(places, self.spec.from, self.spec.last);
        let signal = self.signals.get(self.position).copied();
        merge.gone = signal.map(|signal| gone(&self.view.deletions, signal)).unwrap_or_default();
        self.merge = Some(merge);
        self.position += 1;
        true
    }

    fn step(&mut self) -> Result<Option<ScanBatch>, Error> {
        if self.lanes.is_none() {
            self.open()?;
        }
        loop {
            if self.out.len() >= self.spec.batch_rows.max(1) {
                return Ok(Some(self.out.take(self.spec.columns)));
            }
            if self.merge.is_none() && !self.begin() {
                return Ok((self.out.len() > 0).then(|| self.out.take(self.spec.columns)));
            }
            let (Some(merge), Some(lanes)) = (&mut self.merge, &mut self.lanes) else { return Ok(None) };
            match merge.next(&mut lanes.lanes)? {
                None => self.merge = None,
                Some(rows) => {
                    let Some(signal) = self.signals.get(self.position - 1).copied() else { return Ok(None) };
                    self.out.add(signal, rows);
                }
            }
        }
    }
}

/// What a buffer has of a signal, as places.
pub(crate) fn places_of(
    pieces: super::buffer::Pieces,
    signal: SignalId,
    deletions: &[Arc<Deletion>],
    from: i64,
    last: i64,
) -> Vec<Place> {
    let deleted = deletions.iter().any(|deletion| deletion.concerns(signal));
    let mut places = Vec::new();
    for chunk in pieces.chunks.into_iter().filter(|chunk| chunk.min <= last && chunk.max >= from) {
        let (min, max, exact) = (chunk.min, chunk.max, chunk.unique);
        let from =
            if deleted { From::Rows(without(deletions, signal, chunk.open())) } else { From::Chunk(chunk) };
        places.push(Place { min, max, from, emit: true, exact });
    }
    let mut open = pieces.open;
    let exact = open.sort();
    if let (Some(min), Some(max)) = (open.time.first().copied(), open.time.last().copied())
        && min <= last
        && max >= from
    {
        let open = if deleted { without(deletions, signal, open) } else { open };
        places.push(Place { min, max, from: From::Rows(open), emit: true, exact });
    }
    places
}

impl Iterator for SamplesScan {
    type Item = Result<ScanBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.step().transpose();
        self.done = !matches!(step, Some(Ok(_)));
        step
    }
}

/// Gathers rows of several signals into one batch.
#[derive(Default)]
struct Gather {
    signal: Vec<SignalId>,
    rows: Rows,
}

impl Gather {
    fn len(&self) -> usize {
        self.signal.len()
    }

    fn add(&mut self, signal: SignalId, rows: Rows) {
        if rows.is_empty() {
            return;
        }
        let before = self.signal.len();
        self.signal.resize(before + rows.len(), signal);
        if before == 0 {
            self.rows = rows;
            return;
        }
        let into = &mut self.rows;
        let base = into.heap.len();
        let bits: Vec<u64> = rows.bits_behind(base).collect();
        into.bits.extend(bits);
        into.time.extend_from_slice(&rows.time);
        rows::extend(&mut into.kind, before, &rows.kind, 0..rows.len());
        rows::extend(&mut into.quality, before, &rows.quality, 0..rows.len());
        rows::extend(&mut into.received, before, &rows.received, 0..rows.len());
        rows::extend(&mut into.source, before, &rows.source, 0..rows.len());
        into.heap.extend_from_slice(&rows.heap);
    }

    fn take(&mut self, columns: Columns) -> ScanBatch {
        let signal = std::mem::take(&mut self.signal);
        let rows = std::mem::take(&mut self.rows);
        let value = columns.value;
        ScanBatch {
            samples: SampleBatch {
                source: SourceId(0),
                received: 0,
                flags: Flags::default(),
                signal,
                time: rows.time,
                kind: if value { rows.kind } else { Column::Same(tidemill_core::Kind::None) },
                quality: if columns.quality { rows.quality } else { Column::Same(Quality::GOOD) },
                bits: if value { rows.bits } else { Vec::new() },
                heap: if value { rows.heap.into() } else { bytes::Bytes::new() },
            },
            received: if columns.received { nanos_of(rows.received) } else { Column::Same(None) },
            source: if columns.source { rows.source } else { Column::Same(SourceId(0)) },
        }
    }
}

fn nanos_of(received: Column<Option<ReceivedAt>>) -> Column<Option<i64>> {
    let nanos = |received: Option<ReceivedAt>| received.map(ReceivedAt::nanos);
    match received {
        Column::Same(same) => Column::Same(nanos(same)),
        Column::Each(each) => Column::Each(each.into_iter().map(nanos).collect()),
    }
}
