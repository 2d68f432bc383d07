//! What is in memory and not yet in files: per signal an open piece that rows are added to and sealed chunks behind
//! it. Indexed by signal id, for a hash a row would cost more than the row.
//!
//! A watch is a cheap consistent picture: it copies nothing when it begins. The first time a signal changes under a
//! watch, the buffer notes how long the signal was; since rows are only ever added, that is enough to read the old
//! state. What does not live here: files, order across signals, deleting (that begins a new buffer).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidemill_core::{SampleBatch, SignalId};

use super::chunk::{CHUNK_ROWS_MAX, Chunk};
use super::groups::Groups;
use super::rows::Rows;

/// Chunks of fewer rows than this pack badly; open pieces are not sealed below it.
const CHUNK_ROWS_MIN: usize = 64;
/// What a row of an open piece takes: time and value; the other columns are mostly the same for all rows.
const ROW_BYTES: usize = 16;

/// Samples in memory.
pub(crate) struct Buffer {
    inner: Mutex<Inner>,
    /// How many bytes open pieces may take all together before they are sealed earlier than [`CHUNK_ROWS_MAX`].
    open_bytes_max: usize,
}

struct Inner {
    signals: Vec<Option<Box<SignalRows>>>,
    /// How many of them have rows.
    active: usize,
    /// Grows with every watch.
    epoch: u64,
    /// Epochs that are watched, and by how many.
    watched: BTreeMap<u64, usize>,
    rows: u64,
    bytes: usize,
    min: i64,
    max: i64,
    /// Rows at which an open piece is sealed.
    seal_rows: usize,
    dropped: u64,
    /// Kept between batches for its room.
    groups: Groups,
}

struct SignalRows {
    open: Rows,
    sealed: Vec<Arc<Chunk>>,
    min: i64,
    max: i64,
    /// The epoch of the last note.
    touched: u64,
    notes: Vec<Note>,
}

/// How long a signal was when it first changed after a watch began.
struct Note {
    epoch: u64,
    sealed: usize,
    open: usize,
    /// The open piece as it was, where it has been sealed since.
    raw: Option<Arc<Rows>>,
}

/// What a buffer has of one signal.
#[derive(Default)]
pub(crate) struct Pieces {
    /// In order of arrival.
    pub(crate) chunks: Vec<Arc<Chunk>>,
    /// Not sorted; empty if there is none.
    pub(crate) open: Rows,
}

impl Pieces {
    /// Adds what arrived later.
    pub(crate) fn follow(&mut self, later: Pieces) {
        if !self.open.is_empty() {
            self.chunks.push(Arc::new(Chunk::seal(std::mem::take(&mut self.open))));
        }
        self.chunks.extend(later.chunks);
        self.open = later.open;
    }
}

/// How much is in a buffer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fill {
    pub(crate) rows: u64,
    pub(crate) bytes: usize,
}

impl std::ops::Add for Fill {
    type Output = Fill;

    fn add(self, other: Fill) -> Fill {
        Fill { rows: self.rows + other.rows, bytes: self.bytes + other.bytes }
    }
}

impl Buffer {
    pub(crate) fn new(open_bytes_max: usize) -> Buffer {
        let inner = Inner {
            signals: Vec::new(),
            active: 0,
            epoch: 0,
            watched: BTreeMap::new(),
            rows: 0,
            bytes: 0,
            min: i64::MAX,
            max: i64::MIN,
            seal_rows: CHUNK_ROWS_MAX,
            dropped: 0,
            groups: Groups::default(),
        };
        Buffer { inner: Mutex::new(inner), open_bytes_max }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Rows are added whole or not at all; a panic elsewhere has broken nothing here.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a batch, all rows at once for whoever watches. Says how many rows had an impossible id.
    pub(crate) fn apply(&self, batch: &SampleBatch) -> u64 {
        let mut inner = self.lock();
        inner.apply(batch);
        let open_rows_max = self.open_bytes_max / ROW_BYTES;
        inner.seal_rows = (open_rows_max / inner.active.max(1)).clamp(CHUNK_ROWS_MIN, CHUNK_ROWS_MAX);
        std::mem::take(&mut inner.dropped)
    }

    /// A consistent picture from now on.
    pub(crate) fn watch(self: &Arc<Buffer>) -> Watch {
        let mut inner = self.lock();
        inner.epoch += 1;
        let epoch = inner.epoch;
        *inner.watched.entry(epoch).or_default() += 1;
        drop(inner);
        Watch { buffer: self.clone(), epoch }
    }

    pub(crate) fn fill(&self) -> Fill {
        let inner = self.lock();
        Fill { rows: inner.rows, bytes: inner.bytes }
    }
}

impl Inner {
    fn apply(&mut self, batch: &SampleBatch) {
        let oldest = self.watched.keys().next().copied();
        let (epoch, seal_rows) = (self.epoch, self.seal_rows);
        let mut groups = std::mem::take(&mut self.groups);
        self.dropped += groups.divide(&batch.signal);
        for (index, rows) in groups.iter() {
            if index >= self.signals.len() {
                self.signals.resize_with((index + 1).next_power_of_two(), || None);
            }
            let Some(slot) = self.signals.get_mut(index) else { continue };
            let of = slot.get_or_insert_with(|| {
                self.active += 1;
                self.bytes += size_of::<SignalRows>();
                Box::new(SignalRows::new(epoch))
            });
            if of.touched < epoch {
                of.note(epoch, oldest);
            }
            let mut rest = rows;
            while !rest.is_empty() {
                let room = seal_rows.saturating_sub(of.open.len()).max(1);
                let (now, later) = rest.split_at(room.min(rest.len()));
                let heap_before = of.open.heap.len();
                of.add(batch, now);
                self.bytes += ROW_BYTES * now.len() + of.open.heap.len() - heap_before;
                if of.open.len() >= seal_rows {
                    let open_bytes = of.open.len() * ROW_BYTES + of.open.heap.len();
                    self.bytes = (self.bytes + of.seal()).saturating_sub(open_bytes);
                }
                rest = later;
            }
        }
        self.groups = groups;
        self.rows += batch.len() as u64;
        self.min = batch.time.iter().copied().fold(self.min, i64::min);
        self.max = batch.time.iter().copied().fold(self.max, i64::max);
    }
}

impl SignalRows {
    fn new(epoch: u64) -> SignalRows {
        // A watch that began before the first row sees an empty signal.
        let note = Note { epoch, sealed: 0, open: 0, raw: None };
        let notes = if epoch > 0 { vec![note] } else { Vec::new() };
        SignalRows {
            open: Rows::default(),
            sealed: Vec::new(),
            min: i64::MAX,
            max: i64::MIN,
            touched: epoch,
            notes,
        }
    }

    /// Adds these rows of a batch.
    fn add(&mut self, batch: &SampleBatch, rows: &[u32]) {
        let before = self.open.len();
        self.open.extend_from_batch(batch, rows);
        for time in self.open.time.get(before..).unwrap_or_default() {
            self.min = self.min.min(*time);
            self.max = self.max.max(*time);
        }
    }

    /// Notes how long the signal is, for those who watch since before `epoch`.
    fn note(&mut self, epoch: u64, oldest: Option<u64>) {
        self.touched = epoch;
        match oldest {
            None => self.notes.clear(),
            Some(oldest) => {
                self.notes.retain(|note| note.epoch >= oldest);
                self.notes.push(Note { epoch, sealed: self.sealed.len(), open: self.open.len(), raw: None });
            }
        }
    }

    /// Seals the open piece; says how many bytes the chunk takes.
    fn seal(&mut self) -> usize {
        let rows = std::mem::take(&mut self.open);
        let index = self.sealed.len();
        if self.notes.iter().any(|note| note.sealed == index && note.open > 0) {
            let raw = Arc::new(rows.clone());
            let open = self.notes.iter_mut().filter(|note| note.sealed == index);
            open.for_each(|note| note.raw = Some(raw.clone()));
        }
        let chunk = Arc::new(Chunk::seal(rows));
        let bytes = chunk.bytes();
        self.sealed.push(chunk);
        bytes
    }

    fn at(&self, epoch: u64) -> Pieces {
        let Some(note) = self.notes.iter().find(|note| note.epoch >= epoch) else {
            return Pieces { chunks: self.sealed.clone(), open: self.open.clone() };
        };
        let open = note.raw.as_deref().unwrap_or(&self.open).slice(0..note.open);
        Pieces { chunks: self.sealed.get(..note.sealed).unwrap_or_default().to_vec(), open }
    }
}

/// A consistent picture of a buffer. It ends when dropped.
pub(crate) struct Watch {
    buffer: Arc<Buffer>,
    epoch: u64,
}

impl Watch {
    /// The signals that may have rows in `from..=last`, with the times of their first and last.
    pub(crate) fn signals(&self, from: i64, last: i64) -> Vec<(SignalId, i64, i64)> {
        let inner = self.buffer.lock();
        let overlaps = |of: &SignalRows| of.min <= last && of.max >= from;
        let all = inner.signals.iter().enumerate().filter_map(|(index, of)| Some((index, of.as_deref()?)));
        all.filter(|(_, of)| overlaps(of))
            .filter_map(|(index, of)| Some((SignalId::new(u32::try_from(index + 1).ok()?)?, of.min, of.max)))
            .collect()
    }

    /// What there is of these signals, in their order.
    pub(crate) fn pieces(&self, signals: &[SignalId]) -> Vec<Pieces> {
        let inner = self.buffer.lock();
        let of = |signal: &SignalId| inner.signals.get(signal.index()).and_then(|of| of.as_deref());
        signals.iter().map(|signal| of(signal).map(|of| of.at(self.epoch)).unwrap_or_default()).collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut inner = self.buffer.lock();
        if let Some(count) = inner.watched.get_mut(&self.epoch) {
            *count -= 1;
            if *count == 0 {
                inner.watched.remove(&self.epoch);
            }
        }
    }
}
