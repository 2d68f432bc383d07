//! What is in memory and not yet in files: per signal an open piece that rows are added to and sealed chunks behind
//! it. Indexed by signal id, for a hash a row would cost more than the row. Batches are kept as they came until there
//! are many rows, or someone looks: divided among their signals together, they cost a third of what each costs alone.
//!
//! A watch is a cheap consistent picture: it copies nothing when it begins. The first time a signal changes under a
//! watch, the buffer notes how long the signal was; since rows are only ever added, that is enough to read the old
//! state. What does not live here: files, order across signals, deleting (that begins a new buffer).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidemill_core::{SampleBatch, SignalId};

use super::chunk::{CHUNK_ROWS_MAX, Chunk};
use super::groups::{Groups, impossible};
use super::pair::Pair;
use super::rows::Rows;

mod open;

use open::Open;

/// Chunks of fewer rows than this pack badly; open pieces are not sealed below it.
const CHUNK_ROWS_MIN: usize = 64;
/// What a row of an open piece takes: time and value; the other columns are mostly the same for all rows.
const ROW_BYTES: usize = 16;
/// Batches that wait are divided when they have so many rows (a column of them stays in the processor's cache), are so
/// many, or take so many bytes.
const WAITING_ROWS_MAX: usize = 65_536;
const WAITING_BATCHES_MAX: usize = 4_096;
const WAITING_BYTES_MAX: usize = 8 << 20;
/// So many rows are worth a second thread.
const TOGETHER_ROWS_MIN: usize = 16_384;

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
    /// All, with what waits.
    rows: u64,
    bytes: usize,
    /// Rows at which an open piece is sealed.
    seal_rows: usize,
    /// What came and is not divided, in order of arrival.
    waiting: Vec<Arc<SampleBatch>>,
    waiting_rows: usize,
    waiting_bytes: usize,
    /// Kept for its room.
    groups: Groups,
    together: Pair<Known, Share>,
}

/// There is one for each of a hundred thousand signals.
struct SignalRows {
    open: Open,
    /// What most signals do not have.
    behind: Option<Box<Behind>>,
    min: i64,
    max: i64,
    /// The epoch of the last note.
    touched: u64,
}

#[derive(Default)]
struct Behind {
    sealed: Vec<Arc<Chunk>>,
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
            self.chunks.push(Arc::new(Chunk::seal(&mut self.open)));
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
            seal_rows: CHUNK_ROWS_MAX,
            waiting: Vec::new(),
            waiting_rows: 0,
            waiting_bytes: 0,
            groups: Groups::default(),
            together: Pair::new(give),
        };
        Buffer { inner: Mutex::new(inner), open_bytes_max }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while rows were divided may have left some of them nowhere: nothing is read or flushed from here any
        // more, and a restart takes them from the log again.
        self.inner
            .lock()
            .unwrap_or_else(|_| panic!("samples in memory are not whole after a panic: restart the plant"))
    }

    /// Adds a batch, all rows at once for whoever watches. Says how many rows had an impossible id.
    pub(crate) fn apply(&self, batch: &Arc<SampleBatch>) -> u64 {
        let mut inner = self.lock();
        inner.rows += batch.len() as u64;
        inner.bytes += batch.bytes();
        inner.waiting_rows += batch.len();
        inner.waiting_bytes += batch.bytes();
        inner.waiting.push(batch.clone());
        if inner.waiting_rows >= WAITING_ROWS_MAX
            || inner.waiting_bytes >= WAITING_BYTES_MAX
            || inner.waiting.len() >= WAITING_BATCHES_MAX
        {
            inner.divide(self.open_bytes_max);
        }
        impossible(&batch.signal)
    }

    /// A consistent picture from now on.
    pub(crate) fn watch(self: &Arc<Buffer>) -> Watch {
        let mut inner = self.lock();
        // What came before belongs to the picture.
        inner.divide(self.open_bytes_max);
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
    /// Gives the rows that wait to their signals.
    fn divide(&mut self, open_bytes_max: usize) {
        if self.waiting.is_empty() {
            return;
        }
        let mut groups = std::mem::take(&mut self.groups);
        groups.gather(&self.waiting);
        self.waiting.clear();
        self.waiting_rows = 0;
        self.bytes = self.bytes.saturating_sub(std::mem::take(&mut self.waiting_bytes));
        let oldest = self.watched.keys().next().copied();
        let mut shares = Vec::new();
        for (index, rows) in groups.iter() {
            if index >= self.signals.len() {
                self.signals.resize_with((index + 1).next_power_of_two(), || None);
            }
            let Some(slot) = self.signals.get_mut(index) else { continue };
            let of = slot.take().unwrap_or_else(|| {
                self.active += 1;
                let of = SignalRows::new(self.epoch, oldest.is_some());
                self.bytes += size_of::<SignalRows>() + of.bytes();
                Box::new(of)
            });
            shares.push(Share { index, of, rows });
        }
        let mut known = Known { groups, epoch: self.epoch, oldest, seal_rows: self.seal_rows };
        let grown;
        if known.groups.rows.len() < TOGETHER_ROWS_MIN {
            grown = shares.iter_mut().map(|share| give(&known, share)).sum();
        } else {
            // Sealing takes half of the time, and after a restart everybody waits for it.
            (known, shares, grown) = self.together.for_all(known, shares);
        }
        self.bytes = self.bytes.saturating_add_signed(grown);
        for share in shares {
            if let Some(slot) = self.signals.get_mut(share.index) {
                *slot = Some(share.of);
            }
        }
        self.groups = known.groups;
        let open_rows_max = open_bytes_max / ROW_BYTES;
        self.seal_rows = (open_rows_max / self.active.max(1)).clamp(CHUNK_ROWS_MIN, CHUNK_ROWS_MAX);
    }
}

/// A signal, and where its rows are among those that are divided.
struct Share {
    index: usize,
    of: Box<SignalRows>,
    rows: Range<usize>,
}

/// What those who divide rows know.
struct Known {
    groups: Groups,
    epoch: u64,
    oldest: Option<u64>,
    seal_rows: usize,
}

/// Gives a signal its rows. Says how much more memory it takes than before.
fn give(known: &Known, share: &mut Share) -> isize {
    let before = share.of.bytes();
    if share.of.touched < known.epoch {
        share.of.note(known.epoch, known.oldest);
    }
    let sealed = share.of.add(&known.groups.rows, share.rows.clone(), known.seal_rows);
    (sealed + share.of.bytes()).cast_signed() - before.cast_signed()
}

impl SignalRows {
    fn new(epoch: u64, watched: bool) -> SignalRows {
        // A watch that began before the first row sees an empty signal.
        let note = Note { epoch, sealed: 0, open: 0, raw: None };
        let behind = watched.then(|| Box::new(Behind { sealed: Vec::new(), notes: vec![note] }));
        SignalRows { open: Open::default(), behind, min: i64::MAX, max: i64::MIN, touched: epoch }
    }

    fn sealed(&self) -> &[Arc<Chunk>] {
        self.behind.as_ref().map_or(&[], |behind| &behind.sealed)
    }

    /// How much memory it takes beside itself and its chunks.
    fn bytes(&self) -> usize {
        self.open.bytes() + self.behind.as_ref().map_or(0, |_| size_of::<Behind>())
    }

    /// Adds these of the rows that were gathered. Says how many bytes the chunks take that were sealed of it.
    fn add(&mut self, gathered: &Rows, range: Range<usize>, seal_rows: usize) -> usize {
        for time in gathered.time.get(range.clone()).unwrap_or_default() {
            self.min = self.min.min(*time);
            self.max = self.max.max(*time);
        }
        let (mut sealed, mut begin) = (0, range.start);
        while begin < range.end {
            let room = seal_rows.saturating_sub(self.open.len()).max(1);
            let end = range.end.min(begin + room);
            self.open.extend(gathered, begin..end);
            if self.open.len() >= seal_rows {
                sealed += self.seal();
            }
            begin = end;
        }
        sealed
    }

    /// Notes how long the signal is, for those who watch since before `epoch`.
    fn note(&mut self, epoch: u64, oldest: Option<u64>) {
        self.touched = epoch;
        let Some(oldest) = oldest else {
            if let Some(behind) = &mut self.behind {
                behind.notes.clear();
            }
            return;
        };
        let open = self.open.len();
        let behind = self.behind.get_or_insert_default();
        behind.notes.retain(|note| note.epoch >= oldest);
        behind.notes.push(Note { epoch, sealed: behind.sealed.len(), open, raw: None });
    }

    /// Seals the open piece; says how many bytes the chunk takes.
    fn seal(&mut self) -> usize {
        let rows = self.open.many();
        let Behind { sealed, notes } = &mut **self.behind.get_or_insert_default();
        let index = sealed.len();
        if notes.iter().any(|note| note.sealed == index && note.open > 0) {
            let raw = Arc::new(rows.clone());
            let open = notes.iter_mut().filter(|note| note.sealed == index);
            open.for_each(|note| note.raw = Some(raw.clone()));
        }
        let chunk = Arc::new(Chunk::seal(rows));
        let bytes = chunk.bytes();
        sealed.push(chunk);
        bytes
    }

    fn at(&self, epoch: u64) -> Pieces {
        let note =
            self.behind.as_ref().and_then(|behind| behind.notes.iter().find(|note| note.epoch >= epoch));
        let Some(note) = note else {
            return Pieces { chunks: self.sealed().to_vec(), open: self.open.first(self.open.len()) };
        };
        let open = match &note.raw {
            Some(raw) => raw.slice(0..note.open),
            None => self.open.first(note.open),
        };
        Pieces { chunks: self.sealed().get(..note.sealed).unwrap_or_default().to_vec(), open }
    }
}

/// A consistent picture of a buffer. It ends when dropped.
pub(crate) struct Watch {
    buffer: Arc<Buffer>,
    epoch: u64,
}

impl Watch {
    /// Its part of what watches alone keep in memory; nothing while the store has the buffer yet.
    pub(crate) fn kept_bytes(&self) -> usize {
        let inner = self.buffer.lock();
        let watches: usize = inner.watched.values().sum();
        if Arc::strong_count(&self.buffer) > watches { 0 } else { inner.bytes / watches.max(1) }
    }

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
        // Also after a panic, for this may be its unwinding.
        let mut inner = self.buffer.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = inner.watched.get_mut(&self.epoch) {
            *count -= 1;
            if *count == 0 {
                inner.watched.remove(&self.epoch);
            }
        }
    }
}

#[cfg(test)]
mod tests;
