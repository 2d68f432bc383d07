//! Samples in columns: how they travel through the house. A batch is built once at a door, made durable, and shared
//! by everyone behind one `Arc`. What does not live here: how a batch looks on disk (journal) or in files (historian).

use bytes::Bytes;

use crate::quality::Quality;
use crate::signal::{SignalId, SourceId};
use crate::value::{Kind, ValueRef};

/// The most rows a batch holds. A larger request becomes several batches, in order.
pub const BATCH_ROWS_MAX: usize = 65_536;
/// The most bytes of text, JSON and bytes that a batch holds; above it a new batch begins. One value must fit.
pub const BATCH_HEAP_BYTES_MAX: usize = 4 << 20;

/// A column that is one value for all rows, or one each.
#[derive(Clone, Debug, PartialEq)]
pub enum Column<T> {
    /// The same for every row.
    Same(T),
    /// One for each row.
    Each(Vec<T>),
}

impl<T: Copy + PartialEq> Column<T> {
    /// The value of a row. Rows beyond the end have the first row's value.
    pub fn at(&self, row: usize) -> Option<T> {
        match self {
            Column::Same(value) => Some(*value),
            Column::Each(values) => values.get(row).copied(),
        }
    }

    fn push(&mut self, value: T, rows_before: usize) {
        match self {
            Column::Each(values) => values.push(value),
            Column::Same(same) if rows_before == 0 => *same = value,
            Column::Same(same) if *same == value => {}
            Column::Same(same) => {
                let mut values = Vec::with_capacity((rows_before + 1).next_power_of_two());
                values.resize(rows_before, *same);
                values.push(value);
                *self = Column::Each(values);
            }
        }
    }
}

/// What holds for a whole batch. Bits are frozen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// Replay of recorded samples: alarms do not move. A newer time is still the last value.
    pub const REPLAY: Flags = Flags(1);
    /// History brought in later.
    pub const BACKFILL: Flags = Flags(2);
    /// Overwrites what stands at the same signal and time.
    pub const REPLACE: Flags = Flags(4);
    /// The clock was set back by more than a second just before the server stamped this batch.
    pub const CLOCK_STEP: Flags = Flags(8);

    /// Whether all bits of `other` are set.
    pub fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// With the bits of `other` too.
    #[must_use]
    pub fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// Samples in arrival order, in columns. All columns have the same number of rows; the builder and the journal's
/// decoder see to it ([`SampleBatch::is_sound`]).
#[derive(Clone, Debug, PartialEq)]
pub struct SampleBatch {
    /// Who wrote.
    pub source: SourceId,
    /// When the server received it, ns UTC; strictly increasing from batch to batch.
    pub received: i64,
    /// What holds for all rows.
    pub flags: Flags,
    /// Whose sample each row is.
    pub signal: Vec<SignalId>,
    /// The source's time, ns UTC.
    pub time: Vec<i64>,
    /// What each value is.
    pub kind: Column<Kind>,
    /// How good each value is.
    pub quality: Column<Quality>,
    /// f64, i64, u64 or bool bits; for text, JSON and bytes the offset in `heap` << 32 | the length.
    pub bits: Vec<u64>,
    /// The bytes of text, JSON and bytes values. Text and JSON are UTF-8.
    pub heap: Bytes,
}

/// One row of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the columns of SampleBatch")]
pub struct Row<'a> {
    pub signal: SignalId,
    pub time: i64,
    pub value: ValueRef<'a>,
    pub quality: Quality,
}

impl SampleBatch {
    /// How many samples.
    pub fn len(&self) -> usize {
        self.signal.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.signal.is_empty()
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        self.len() * 20 + self.heap.len() + size_of::<Self>()
    }

    /// The value of a row; `None` where the row does not exist or its heap reference is not sound.
    pub fn value(&self, row: usize) -> ValueRef<'_> {
        self.try_value(row).unwrap_or(ValueRef::None)
    }

    fn try_value(&self, row: usize) -> Option<ValueRef<'_>> {
        let bits = *self.bits.get(row)?;
        let kind = self.kind.at(row)?;
        if !kind.is_heap() {
            return Some(match kind {
                Kind::Float => ValueRef::Float(f64::from_bits(bits)),
                Kind::Int => ValueRef::Int(bits.cast_signed()),
                Kind::UInt => ValueRef::UInt(bits),
                Kind::Bool => ValueRef::Bool(bits != 0),
                _ => ValueRef::None,
            });
        }
        let (offset, len) = (usize::try_from(bits >> 32).ok()?, usize::try_from(bits & 0xFFFF_FFFF).ok()?);
        let bytes = self.heap.get(offset..offset.checked_add(len)?)?;
        Some(match kind {
            Kind::Text => ValueRef::Text(std::str::from_utf8(bytes).ok()?),
            Kind::Json => ValueRef::Json(std::str::from_utf8(bytes).ok()?),
            _ => ValueRef::Bytes(bytes),
        })
    }

    /// A whole row.
    pub fn row(&self, row: usize) -> Option<Row<'_>> {
        Some(Row {
            signal: *self.signal.get(row)?,
            time: *self.time.get(row)?,
            value: self.value(row),
            quality: self.quality.at(row)?,
        })
    }

    /// All rows in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).filter_map(|row| self.row(row))
    }

    /// Whether all columns have the same length and every heap value lies within the heap and is what it says. Asked
    /// once of a batch that was read from disk.
    pub fn is_sound(&self) -> bool {
        let rows = self.len();
        let fits = |len: Option<usize>| len.is_none_or(|len| len == rows);
        let each = |column: &Column<Kind>| match column {
            Column::Same(_) => None,
            Column::Each(values) => Some(values.len()),
        };
        let qualities = match &self.quality {
            Column::Same(_) => None,
            Column::Each(values) => Some(values.len()),
        };
        self.time.len() == rows
            && self.bits.len() == rows
            && fits(each(&self.kind))
            && fits(qualities)
            && (0..rows).all(|row| self.try_value(row).is_some())
    }
}

/// The time of a sample that is being built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// The source's.
    At(i64),
    /// None in the payload: the bus stamps it, once. Rows with the same number get the same stamp (the members of one
    /// message), a higher number a later one (the lines of one request).
    Server(u32),
}

/// The batch has no room for this row: finish it and begin the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch is full: finish it and begin the next")]
pub struct BatchFull;

/// Builds a batch. [`crate::Bus::batch`] gives one with its source set.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    batch: SampleBatch,
    heap: Vec<u8>,
    /// (row, number) of rows that the bus must stamp.
    stamps: Vec<(u32, u32)>,
}

impl BatchBuilder {
    /// An empty batch.
    pub fn new(source: SourceId, flags: Flags) -> BatchBuilder {
        let batch = SampleBatch {
            source,
            received: 0,
            flags,
            signal: Vec::new(),
            time: Vec::new(),
            kind: Column::Same(Kind::Float),
            quality: Column::Same(Quality::GOOD),
            bits: Vec::new(),
            heap: Bytes::new(),
        };
        BatchBuilder { batch, heap: Vec::new(), stamps: Vec::new() }
    }

    /// Makes room for about that many rows.
    pub fn reserve(&mut self, rows: usize) {
        let rows = rows.min(BATCH_ROWS_MAX);
        self.batch.signal.reserve(rows);
        self.batch.time.reserve(rows);
        self.batch.bits.reserve(rows);
    }

    /// Adds a sample.
    ///
    /// # Errors
    /// [`BatchFull`]: the row was not added.
    pub fn push(
        &mut self,
        signal: SignalId,
        time: Stamp,
        value: ValueRef<'_>,
        quality: Quality,
    ) -> Result<(), BatchFull> {
        let row = self.batch.signal.len();
        if row >= BATCH_ROWS_MAX {
            return Err(BatchFull);
        }
        let bits = match value {
            ValueRef::None => 0,
            // Any that is no number is the same value, whoever made it.
            ValueRef::Float(value) if value.is_nan() => f64::NAN.to_bits(),
            ValueRef::Float(value) => value.to_bits(),
            ValueRef::Int(value) => value.cast_unsigned(),
            ValueRef::UInt(value) => value,
            ValueRef::Bool(value) => u64::from(value),
            ValueRef::Text(text) | ValueRef::Json(text) => self.keep(text.as_bytes())?,
            ValueRef::Bytes(bytes) => self.keep(bytes)?,
        };
        let time = match time {
            Stamp::At(time) => time,
            Stamp::Server(number) => {
                self.stamps.push((u32::try_from(row).unwrap_or(u32::MAX), number));
                0
            }
        };
        self.batch.signal.push(signal);
        self.batch.time.push(time);
        self.batch.bits.push(bits);
        self.batch.kind.push(value.kind(), row);
        self.batch.quality.push(quality, row);
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<u64, BatchFull> {
        let offset = self.heap.len();
        if offset + bytes.len() > BATCH_HEAP_BYTES_MAX && offset > 0 {
            return Err(BatchFull);
        }
        let packed = u32::try_from(offset).ok().zip(u32::try_from(bytes.len()).ok());
        let (offset, len) = packed.ok_or(BatchFull)?;
        self.heap.extend_from_slice(bytes);
        Ok(u64::from(offset) << 32 | u64::from(len))
    }

    /// How many rows so far.
    pub fn len(&self) -> usize {
        self.batch.signal.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// The highest number of a row without a time; `None` when every row has one.
    pub fn last_stamp(&self) -> Option<u32> {
        self.stamps.iter().map(|(_, number)| *number).max()
    }

    /// Whose rows these are, for the bus to check before it stamps.
    pub fn signals(&self) -> &[SignalId] {
        &self.batch.signal
    }

    /// Puts the ids of new names in the place of their provisional ones. Called by the bus; false where a row has a
    /// provisional id without a name.
    #[must_use]
    pub fn settle(&mut self, ids: &[SignalId]) -> bool {
        for signal in &mut self.batch.signal {
            if let Some(place) = signal.provisional_place() {
                let Some(id) = ids.get(place) else { return false };
                *signal = *id;
            }
        }
        true
    }

    /// The finished batch: received then, rows without a time stamped with `received` + their number in nanoseconds.
    /// Called by the bus.
    pub fn finish(mut self, received: i64, more: Flags) -> SampleBatch {
        for (row, number) in &self.stamps {
            if let Some(time) = self.batch.time.get_mut(*row as usize) {
                *time = received.saturating_add(i64::from(*number));
            }
        }
        self.batch.received = received;
        self.batch.flags = self.batch.flags.with(more);
        self.batch.heap = Bytes::from(self.heap);
        self.batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = crate::Value> {
        prop_oneof![
            Just(crate::Value::None),
            any::<f64>().prop_map(crate::Value::Float),
            any::<i64>().prop_map(crate::Value::Int),
            any::<u64>().prop_map(crate::Value::UInt),
            any::<bool>().prop_map(crate::Value::Bool),
            "\\PC{0,12}".prop_map(|text| crate::Value::Text(text.into())),
            Just(crate::Value::Json("{\"a\":1}".into())),
            proptest::collection::vec(any::<u8>(), 0..9).prop_map(|bytes| crate::Value::Bytes(bytes.into())),
        ]
    }

    fn same(one: ValueRef<'_>, other: ValueRef<'_>) -> bool {
        match (one, other) {
            (ValueRef::Float(one), ValueRef::Float(other)) => one.to_bits() == other.to_bits(),
            _ => one == other,
        }
    }

    /// Go, numpy and the processor each have bits of their own for it.
    #[test]
    fn what_is_no_number_is_one_value() {
        let mut builder = BatchBuilder::new(SourceId(7), Flags::default());
        for bits in
            [0x7ff8_0000_0000_0000, 0x7ff8_0000_0000_0001, 0xfff8_0000_0000_0000, 0x7ff0_0000_0000_0001]
        {
            let value = ValueRef::Float(f64::from_bits(bits));
            builder.push(SignalId::new(1).unwrap(), Stamp::At(1), value, Quality::GOOD).unwrap();
        }
        let batch = builder.finish(1_000, Flags::default());
        for row in batch.rows() {
            let ValueRef::Float(value) = row.value else { panic!("{:?}", row.value) };
            assert_eq!(value.to_bits(), 0x7ff8_0000_0000_0000);
        }
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(rows in proptest::collection::vec((1u32..9, any::<Option<i64>>(), values(), any::<u32>()), 0..40)) {
            let mut builder = BatchBuilder::new(SourceId(7), Flags::default());
            for (number, (id, time, value, quality)) in rows.iter().enumerate() {
                let stamp = time.map_or(Stamp::Server(number as u32), Stamp::At);
                builder.push(SignalId::new(*id).unwrap(), stamp, value.as_ref(), Quality(*quality)).unwrap();
            }
            let batch = builder.finish(1_000, Flags::CLOCK_STEP);
            prop_assert!(batch.is_sound());
            prop_assert_eq!(batch.len(), rows.len());
            for (number, (row, (id, time, value, quality))) in batch.rows().zip(&rows).enumerate() {
                prop_assert_eq!(row.signal.get(), *id);
                prop_assert_eq!(row.time, time.unwrap_or(1_000 + number as i64));
                prop_assert!(same(row.value, value.as_ref()));
                prop_assert_eq!(row.quality, Quality(*quality));
            }
        }
    }

    #[test]
    fn bounded() {
        let mut builder = BatchBuilder::new(SourceId(0), Flags::default());
        let id = SignalId::new(1).unwrap();
        for _ in 0..BATCH_ROWS_MAX {
            builder.push(id, Stamp::At(0), ValueRef::Float(1.0), Quality::GOOD).unwrap();
        }
        assert_eq!(builder.push(id, Stamp::At(0), ValueRef::Float(1.0), Quality::GOOD), Err(BatchFull));
        let text = "x".repeat(BATCH_HEAP_BYTES_MAX);
        let mut builder = BatchBuilder::new(SourceId(0), Flags::default());
        builder.push(id, Stamp::At(0), ValueRef::Text(&text), Quality::GOOD).unwrap();
        assert_eq!(builder.push(id, Stamp::At(0), ValueRef::Text("y"), Quality::GOOD), Err(BatchFull));
    }

    #[test]
    fn unsound_batches_are_told() {
        let mut builder = BatchBuilder::new(SourceId(0), Flags::default());
        builder.push(SignalId::new(1).unwrap(), Stamp::At(0), ValueRef::Text("abc"), Quality::GOOD).unwrap();
        let batch = builder.finish(0, Flags::default());
        let mut short = batch.clone();
        short.time.clear();
        let mut outside = batch.clone();
        outside.bits[0] = 2 << 32 | 2;
        let mut binary = batch.clone();
        binary.heap = Bytes::from_static(&[0xFF, 0xFF, 0xFF]);
        assert!(batch.is_sound());
        assert!(!short.is_sound() && !outside.is_sound() && !binary.is_sound());
    }
}
