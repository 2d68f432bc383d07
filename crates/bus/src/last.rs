//! Last values, in columns by id: 34 bytes a signal, and the bytes of texts. Of the samples of a signal the one with the
//! newest time is the last; of several with that time, the one that came last. Samples far ahead of the clock are
//! history of the future, never a last value: that a signal has some is kept, for history must then be asked. So is one
//! that only a later sample shows to be far ahead, because the clock ran ahead when it came and was set right since.

use tidemill_core::{
    Deletion, Kind, LastValue, NANOS_PER_SECOND, Quality, SampleBatch, SignalId, SourceId, ValueRef,
};

use crate::record::{Input, put_bytes};

/// How far ahead of its receipt a sample may be and still be a last value.
pub(crate) const AHEAD_MAX_NS: i64 = 600 * NANOS_PER_SECOND;

/// Beside the kind in a snapshot: the signal has samples far ahead.
const AHEAD: u8 = 0x80;
/// There was no sample.
const EMPTY: u8 = u8::MAX;
/// There was one whose bytes had no room: its time is kept, so that no older one passes for the last.
const NO_ROOM: u8 = u8::MAX - 1;

/// Which signals a batch is about, and the newest row of each. A scratch that is used again for each batch.
#[derive(Default)]
pub(crate) struct Touched {
    /// By id: which batch was the last to touch it, and at which place of `newest`.
    marks: Vec<(u32, u32)>,
    batch: u32,
    newest: Vec<Newest>,
}

impl Touched {
    /// Reads a batch once. Gives how many samples are too far ahead, and how many have an id that is not below `end`.
    pub(crate) fn read(&mut self, batch: &SampleBatch, end: u32) -> (u64, u64) {
        self.newest.clear();
        self.batch = self.batch.wrapping_add(1);
        if self.batch == 0 {
            self.marks.fill((0, 0));
            self.batch = 1;
        }
        let latest = batch.received.saturating_add(AHEAD_MAX_NS);
        let (mut ahead, mut unknown) = (0, 0);
        for ((row, id), time) in (0u32..).zip(&batch.signal).zip(&batch.time) {
            if id.get() >= end {
                unknown += 1;
                continue;
            }
            let place = self.place(*id);
            let Some(newest) = self.newest.get_mut(place) else { continue };
            if *time > latest {
                ahead += 1;
                newest.ahead = true;
                continue;
            }
            let time_of = |row: u32| batch.time.get(row as usize).copied();
            if newest.row.is_none_or(|newest| time_of(newest) <= Some(*time)) {
                newest.row = Some(row);
            }
        }
        (ahead, unknown)
    }

    fn place(&mut self, id: SignalId) -> usize {
        if self.marks.len() <= id.index() {
            self.marks.resize(id.index() + 1, (0, 0));
        }
        let Some(mark) = self.marks.get_mut(id.index()) else { return usize::MAX };
        if mark.0 != self.batch {
            *mark = (self.batch, u32::try_from(self.newest.len()).unwrap_or(u32::MAX));
            self.newest.push(Newest { id, row: None, ahead: false });
        }
        mark.1 as usize
    }

    /// The signals, in the order of their first rows.
    pub(crate) fn signals(&self) -> impl ExactSizeIterator<Item = SignalId> {
        self.newest.iter().map(|newest| newest.id)
    }

    /// At which place of [`Touched::signals`] a signal of this batch stands.
    pub(crate) fn place_of(&self, id: SignalId) -> Option<usize> {
        self.marks.get(id.index()).filter(|mark| mark.0 == self.batch).map(|mark| mark.1 as usize)
    }
}

/// What a batch brings of a signal.
struct Newest {
    id: SignalId,
    /// Its newest row that may be a last value.
    row: Option<u32>,
    /// Whether it has rows too far ahead.
    ahead: bool,
}

/// The last value of each signal.
#[derive(Default)]
pub(crate) struct LastValues {
    time: Vec<i64>,
    received: Vec<i64>,
    /// As in a batch; for text, JSON and bytes the place in `texts`.
    bits: Vec<u64>,
    quality: Vec<u32>,
    source: Vec<u32>,
    kind: Vec<u8>,
    ahead: Vec<bool>,
    texts: Vec<Box<[u8]>>,
    free: Vec<usize>,
    texts_bytes: u64,
}

impl LastValues {
    /// Takes the newest rows of a batch. Gives how many had no room within `texts_bytes_max`.
    pub(crate) fn apply(&mut self, batch: &SampleBatch, touched: &Touched, texts_bytes_max: u64) -> u64 {
        let mut refused = 0;
        for Newest { id, row, ahead } in &touched.newest {
            if *ahead {
                self.note_ahead(*id);
            }
            let Some(row) = row.and_then(|row| batch.row(row as usize)) else { continue };
            let sample = Sample {
                time: row.time,
                received: batch.received,
                quality: row.quality,
                source: batch.source,
                value: row.value,
            };
            refused += u64::from(!self.offer(*id, &sample, texts_bytes_max));
        }
        refused
    }

    fn note_ahead(&mut self, id: SignalId) {
        if self.kind.len() <= id.index() {
            self.grow(id.index() + 1);
        }
        set(&mut self.ahead, id.index(), true);
    }

    /// Takes a sample unless it is older. False: it is newer and had no room.
    fn offer(&mut self, id: SignalId, sample: &Sample<'_>, texts_bytes_max: u64) -> bool {
        let at = id.index();
        if self.kind.len() <= at {
            self.grow(at + 1);
        }
        let Some(&kind) = self.kind.get(at) else { return false };
        if let Some(time) = self.time.get(at).copied().filter(|_| kind != EMPTY) {
            let ahead = time > sample.received.saturating_add(AHEAD_MAX_NS);
            if time > sample.time && !ahead {
                return true;
            }
            if ahead {
                self.note_ahead(id);
            }
        }
        self.release(at);
        let (kind, bits) = match sample.value {
            ValueRef::Text(text) | ValueRef::Json(text) => {
                self.keep(sample, text.as_bytes(), texts_bytes_max)
            }
            ValueRef::Bytes(bytes) => self.keep(sample, bytes, texts_bytes_max),
            ValueRef::None => (Kind::None as u8, 0),
            ValueRef::Float(value) => (Kind::Float as u8, value.to_bits()),
            ValueRef::Int(value) => (Kind::Int as u8, value.cast_unsigned()),
            ValueRef::UInt(value) => (Kind::UInt as u8, value),
            ValueRef::Bool(value) => (Kind::Bool as u8, u64::from(value)),
        };
        set(&mut self.time, at, sample.time);
        set(&mut self.received, at, sample.received);
        set(&mut self.bits, at, bits);
        set(&mut self.quality, at, sample.quality.0);
        set(&mut self.source, at, sample.source.0);
        set(&mut self.kind, at, kind);
        kind != NO_ROOM
    }

    fn grow(&mut self, len: usize) {
        self.time.resize(len, 0);
        self.received.resize(len, 0);
        self.bits.resize(len, 0);
        self.quality.resize(len, 0);
        self.source.resize(len, 0);
        self.kind.resize(len, EMPTY);
        self.ahead.resize(len, false);
    }

    fn keep(&mut self, sample: &Sample<'_>, bytes: &[u8], max: u64) -> (u8, u64) {
        if self.texts_bytes + bytes.len() as u64 > max {
            return (NO_ROOM, 0);
        }
        self.texts_bytes += bytes.len() as u64;
        let place = self.free.pop().unwrap_or_else(|| {
            self.texts.push(Box::default());
            self.texts.len() - 1
        });
        if let Some(slot) = self.texts.get_mut(place) {
            *slot = bytes.into();
        }
        (sample.value.kind() as u8, place as u64)
    }

    /// Frees the bytes of what stood here.
    fn release(&mut self, at: usize) {
        let kind = self.kind.get(at).copied().and_then(Kind::from_number);
        let place = self.bits.get(at).and_then(|bits| usize::try_from(*bits).ok());
        let (Some(true), Some(place)) = (kind.map(Kind::is_heap), place) else { return };
        if let Some(slot) = self.texts.get_mut(place) {
            self.texts_bytes -= slot.len() as u64;
            *slot = Box::default();
            self.free.push(place);
        }
    }

    /// Forgets the value of a signal that was deleted.
    pub(crate) fn forget(&mut self, id: SignalId) {
        self.release(id.index());
        set(&mut self.kind, id.index(), EMPTY);
        set(&mut self.ahead, id.index(), false);
    }

    /// Forgets the values that go with a deletion. What came before them is in history, which is asked by who finds none here.
    pub(crate) fn delete(&mut self, deletion: &Deletion) {
        for id in &deletion.signals {
            let time = self.sample(*id).map(|sample| sample.time);
            if time.is_some_and(|time| (deletion.from..=deletion.last).contains(&time)) {
                self.release(id.index());
                set(&mut self.kind, id.index(), EMPTY);
            }
        }
    }

    fn is_ahead(&self, id: SignalId) -> bool {
        self.ahead.get(id.index()).copied().unwrap_or_default()
    }

    fn sample(&self, id: SignalId) -> Option<Sample<'_>> {
        let at = id.index();
        let kind = Kind::from_number(*self.kind.get(at)?)?;
        let bits = *self.bits.get(at)?;
        let bytes = || self.texts.get(usize::try_from(bits).ok()?).map(|bytes| &**bytes);
        let value = match kind {
            Kind::None => ValueRef::None,
            Kind::Float => ValueRef::Float(f64::from_bits(bits)),
            Kind::Int => ValueRef::Int(bits.cast_signed()),
            Kind::UInt => ValueRef::UInt(bits),
            Kind::Bool => ValueRef::Bool(bits != 0),
            Kind::Text => ValueRef::Text(std::str::from_utf8(bytes()?).ok()?),
            Kind::Json => ValueRef::Json(std::str::from_utf8(bytes()?).ok()?),
            Kind::Bytes => ValueRef::Bytes(bytes()?),
        };
        Some(Sample {
            time: *self.time.get(at)?,
            received: *self.received.get(at)?,
            quality: Quality(*self.quality.get(at)?),
            source: SourceId(*self.source.get(at)?),
            value,
        })
    }

    /// The last value as it reads at `now`. A good value whose source has been silent for longer than `stale_after`
    /// reads as Uncertain_LastUsableValue; the age counts from the sample's time or its receipt, whichever is older, so
    /// that a source whose clock is ahead does not look alive for ever.
    pub(crate) fn get(&self, id: SignalId, stale_after: i64, now: i64) -> Option<LastValue> {
        let Sample { time, received, quality, source, value } = self.sample(id)?;
        let stale = stale_after > 0 && now.saturating_sub(time.min(received)) > stale_after;
        let quality = if stale && quality.is_good() { Quality::UNCERTAIN_LAST_USABLE_VALUE } else { quality };
        let ahead = self.is_ahead(id);
        Some(LastValue { id, time, value: value.to_value(), quality, received, source, ahead })
    }

    /// How many ids there is room for.
    pub(crate) fn len(&self) -> usize {
        self.kind.len()
    }

    /// Bytes of texts.
    pub(crate) fn texts_bytes(&self) -> u64 {
        self.texts_bytes
    }

    /// Writes the value of a signal, if there is one. Says whether it did.
    pub(crate) fn write(&self, id: SignalId, out: &mut Vec<u8>) -> bool {
        let Some(sample) = self.sample(id) else { return false };
        out.extend_from_slice(&id.get().to_le_bytes());
        out.extend_from_slice(&sample.time.to_le_bytes());
        out.extend_from_slice(&sample.received.to_le_bytes());
        out.extend_from_slice(&sample.quality.0.to_le_bytes());
        out.extend_from_slice(&sample.source.0.to_le_bytes());
        out.push(sample.value.kind() as u8 | if self.is_ahead(id) { AHEAD } else { 0 });
        match sample.value {
            ValueRef::Text(text) | ValueRef::Json(text) => put_bytes(out, text.as_bytes()),
            ValueRef::Bytes(bytes) => put_bytes(out, bytes),
            _ => {
                let bits = self.bits.get(id.index()).copied().unwrap_or_default();
                out.extend_from_slice(&bits.to_le_bytes());
            }
        }
        true
    }

    /// Reads what [`LastValues::write`] wrote, for an id below `end`.
    pub(crate) fn read(&mut self, input: &mut Input<'_>, end: u32, texts_bytes_max: u64) -> Option<()> {
        let id = SignalId::new(input.u32()?).filter(|id| id.get() < end)?;
        let (time, received) = (input.i64()?, input.i64()?);
        let (quality, source) = (Quality(input.u32()?), SourceId(input.u32()?));
        let kind = input.u8()?;
        if kind & AHEAD != 0 {
            self.note_ahead(id);
        }
        let value = match Kind::from_number(kind & !AHEAD)? {
            Kind::Text => ValueRef::Text(input.text()?),
            Kind::Json => ValueRef::Json(input.text()?),
            Kind::Bytes => ValueRef::Bytes(input.bytes()?),
            Kind::None => input.u64().map(|_| ValueRef::None)?,
            Kind::Float => ValueRef::Float(f64::from_bits(input.u64()?)),
            Kind::Int => ValueRef::Int(input.u64()?.cast_signed()),
            Kind::UInt => ValueRef::UInt(input.u64()?),
            Kind::Bool => ValueRef::Bool(input.u64()? != 0),
        };
        self.offer(id, &Sample { time, received, quality, source, value }, texts_bytes_max);
        Some(())
    }
}

struct Sample<'a> {
    time: i64,
    received: i64,
    quality: Quality,
    source: SourceId,
    value: ValueRef<'a>,
}

fn set<T>(column: &mut [T], at: usize, value: T) {
    if let Some(slot) = column.get_mut(at) {
        *slot = value;
    }
}

mod lost; // what a log without its end leaves of them

#[cfg(test)]
mod tests;
