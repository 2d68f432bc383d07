//! Rows of one signal in columns: the common coin of buffer, files and merges. What does not live here: whose rows
//! they are, and any order beyond "as they arrived" or "by time".

use std::num::NonZeroI64;
use std::ops::Range;

use tidemill_core::{Column, Kind, Quality, SampleBatch, SourceId};

/// By how many places a row may be late on average to be moved there one by one.
const MOVES_MAX: usize = 8;

/// When a row was received, in whole microseconds, for the files keep no more. It takes eight bytes also where it may be
/// missing: the first microsecond of 1970 stands for the one before it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReceivedAt(NonZeroI64);

const FIRST: NonZeroI64 = NonZeroI64::new(1).expect("one is not zero");

impl ReceivedAt {
    pub(crate) fn of_micros(micros: i64) -> ReceivedAt {
        ReceivedAt(NonZeroI64::new(micros).unwrap_or(FIRST))
    }

    pub(crate) fn of_nanos(nanos: i64) -> ReceivedAt {
        ReceivedAt::of_micros(nanos.div_euclid(1_000))
    }

    pub(crate) fn micros(self) -> i64 {
        self.0.get()
    }

    pub(crate) fn nanos(self) -> i64 {
        self.micros().saturating_mul(1_000)
    }
}

/// Rows of one signal.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub(crate) time: Vec<i64>,
    pub(crate) kind: Column<Kind>,
    /// As in [`SampleBatch::bits`].
    pub(crate) bits: Vec<u64>,
    pub(crate) quality: Column<Quality>,
    pub(crate) received: Column<Option<ReceivedAt>>,
    pub(crate) source: Column<SourceId>,
    /// Whether the row overwrites what stands at its time. Never set on rows of files.
    pub(crate) replace: Column<bool>,
    pub(crate) heap: Vec<u8>,
}

/// One row, with its text or bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowRef<'a> {
    pub(crate) time: i64,
    pub(crate) kind: Kind,
    pub(crate) bits: u64,
    pub(crate) quality: Quality,
    pub(crate) received: Option<ReceivedAt>,
    pub(crate) source: SourceId,
    pub(crate) replace: bool,
    /// The value's bytes where its kind lives in the heap.
    pub(crate) bytes: &'a [u8],
}

impl RowRef<'_> {
    /// Whether both are the same sample: who brought it and when does not matter.
    pub(crate) fn same_as(&self, other: &RowRef<'_>) -> bool {
        self.time == other.time
            && self.kind == other.kind
            && self.quality == other.quality
            && if self.kind.is_heap() { self.bytes == other.bytes } else { self.bits == other.bits }
    }
}

impl Default for Rows {
    fn default() -> Rows {
        Rows {
            time: Vec::new(),
            kind: Column::Same(Kind::Float),
            bits: Vec::new(),
            quality: Column::Same(Quality::GOOD),
            received: Column::Same(None),
            source: Column::Same(SourceId(0)),
            replace: Column::Same(false),
            heap: Vec::new(),
        }
    }
}

/// The value of a row, or the type's default beyond the end.
pub(crate) fn at<T: Copy + PartialEq + Default>(column: &Column<T>, row: usize) -> T {
    column.at(row).unwrap_or_default()
}

/// Adds a value to a column that has `before` rows.
pub(crate) fn push<T: Copy + PartialEq>(column: &mut Column<T>, value: T, before: usize) {
    match column {
        Column::Each(values) => values.push(value),
        Column::Same(same) if before == 0 => *same = value,
        Column::Same(same) if *same == value => {}
        Column::Same(same) => {
            let mut values = Vec::with_capacity((before + 1).next_power_of_two());
            values.resize(before, *same);
            values.push(value);
            *column = Column::Each(values);
        }
    }
}

/// Adds the rows `range` of another column to one that has `before` rows.
pub(crate) fn extend<T: Copy + PartialEq>(
    column: &mut Column<T>,
    before: usize,
    other: &Column<T>,
    range: Range<usize>,
) {
    match (&mut *column, other) {
        (Column::Same(same), Column::Same(value)) if before == 0 => *same = *value,
        (Column::Same(same), Column::Same(value)) if same == value => {}
        (Column::Each(values), Column::Same(value)) => values.resize(values.len() + range.len(), *value),
        (Column::Each(values), Column::Each(more)) => {
            values.extend_from_slice(more.get(range).unwrap_or_default());
        }
        (Column::Same(same), Column::Same(value)) => {
            let mut values = Vec::with_capacity(before + range.len());
            values.resize(before, *same);
            values.resize(before + range.len(), *value);
            *column = Column::Each(values);
        }
        (Column::Same(same), Column::Each(more)) => {
            let more = more.get(range.clone()).unwrap_or_default();
            // Others may differ; what is added here is mostly one value again.
            if let Some(first) = more.first().filter(|first| more.iter().all(|value| value == *first)) {
                return extend(column, before, &Column::Same(*first), range);
            }
            let mut values = Vec::with_capacity(before + range.len());
            values.resize(before, *same);
            values.extend_from_slice(more);
            *column = Column::Each(values);
        }
    }
}

fn permute<T: Copy + Default>(values: &[T], order: &[u32]) -> Vec<T> {
    order.iter().map(|row| values.get(*row as usize).copied().unwrap_or_default()).collect()
}

/// Moves the last row of `range` before the others.
fn move_back<T>(values: &mut [T], range: Range<usize>) {
    if let Some(values) = values.get_mut(range) {
        values.rotate_right(1);
    }
}

fn move_column_back<T>(column: &mut Column<T>, range: Range<usize>) {
    if let Column::Each(values) = column {
        move_back(values, range);
    }
}

fn permute_column<T: Copy + Default>(column: &mut Column<T>, order: &[u32]) {
    if let Column::Each(values) = column {
        *values = permute(values, order);
    }
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.time.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    pub(crate) fn row(&self, row: usize) -> RowRef<'_> {
        let kind = at(&self.kind, row);
        let bits = self.bits.get(row).copied().unwrap_or_default();
        RowRef {
            time: self.time.get(row).copied().unwrap_or_default(),
            kind,
            bits,
            quality: at(&self.quality, row),
            received: self.received.at(row).flatten(),
            source: at(&self.source, row),
            replace: at(&self.replace, row),
            bytes: if kind.is_heap() { self.heap_of(bits) } else { &[] },
        }
    }

    fn heap_of(&self, bits: u64) -> &[u8] {
        let (offset, len) = ((bits >> 32) as usize, (bits & 0xFFFF_FFFF) as usize);
        self.heap.get(offset..offset + len).unwrap_or_default()
    }

    /// Removes all; the room of what each row mostly has of its own is kept, that of texts is not: it may be large.
    pub(crate) fn clear(&mut self) {
        let old = std::mem::take(self);
        (self.time, self.bits, self.received) = (old.time, old.bits, old.received);
        self.time.clear();
        self.bits.clear();
        if let Column::Each(received) = &mut self.received {
            received.clear();
        }
    }

    /// Adds one row, its bytes copied. Text that repeats the row before shares its bytes, as states do.
    pub(crate) fn push(&mut self, row: &RowRef<'_>) {
        let before = self.len();
        let bits = if row.kind.is_heap() { self.keep(row.bytes) } else { row.bits };
        self.time.push(row.time);
        self.bits.push(bits);
        push(&mut self.kind, row.kind, before);
        push(&mut self.quality, row.quality, before);
        push(&mut self.received, row.received, before);
        push(&mut self.source, row.source, before);
        push(&mut self.replace, row.replace, before);
    }

    fn keep(&mut self, bytes: &[u8]) -> u64 {
        let start = self.heap.len().saturating_sub(bytes.len());
        let offset = if self.heap.get(start..) == Some(bytes) { start } else { self.heap.len() };
        if offset == self.heap.len() {
            self.heap.extend_from_slice(bytes);
        }
        (offset as u64) << 32 | bytes.len() as u64
    }

    /// Adds the rows `range` of others.
    pub(crate) fn extend(&mut self, other: &Rows, range: Range<usize>) {
        let (before, range) = (self.len(), range.start.min(other.len())..range.end.min(other.len()));
        let heap = match &other.kind {
            Column::Same(kind) => kind.is_heap(),
            Column::Each(kinds) => {
                kinds.get(range.clone()).unwrap_or_default().iter().any(|kind| kind.is_heap())
            }
        };
        if heap {
            range.for_each(|row| self.push(&other.row(row)));
            return;
        }
        self.time.extend_from_slice(other.time.get(range.clone()).unwrap_or_default());
        self.bits.extend_from_slice(other.bits.get(range.clone()).unwrap_or_default());
        extend(&mut self.kind, before, &other.kind, range.clone());
        extend(&mut self.quality, before, &other.quality, range.clone());
        extend(&mut self.received, before, &other.received, range.clone());
        extend(&mut self.source, before, &other.source, range.clone());
        extend(&mut self.replace, before, &other.replace, range);
    }

    /// How much memory it takes, with the room that is kept for more.
    pub(crate) fn bytes(&self) -> usize {
        fn of<T>(column: &Column<T>) -> usize {
            match column {
                Column::Same(_) => 0,
                Column::Each(values) => values.capacity() * size_of::<T>(),
            }
        }
        (self.time.capacity() + self.bits.capacity()) * 8
            + of(&self.kind)
            + of(&self.quality)
            + of(&self.received)
            + of(&self.source)
            + of(&self.replace)
            + self.heap.capacity()
    }

    /// The rows of `range` alone.
    pub(crate) fn slice(&self, range: Range<usize>) -> Rows {
        let mut rows = Rows::default();
        rows.extend(self, range);
        rows
    }

    /// Keeps only what lies within `from..=last`. The rows must be in order of time.
    pub(crate) fn cut(self, from: i64, last: i64) -> Rows {
        let start = self.time.partition_point(|time| *time < from);
        let end = self.time.partition_point(|time| *time <= last);
        if start == 0 && end == self.len() { self } else { self.slice(start..end.max(start)) }
    }

    /// Without what lies within `from..=last`. The rows must be in order of time.
    pub(crate) fn without(self, from: i64, last: i64) -> Rows {
        let start = self.time.partition_point(|time| *time < from);
        let end = self.time.partition_point(|time| *time <= last).max(start);
        if start == end {
            return self;
        }
        let mut rows = self.slice(0..start);
        rows.extend(&self, end..self.len());
        rows
    }

    /// Sorts by time; rows of one time stay in order of arrival. Says whether no time stands twice.
    pub(crate) fn sort(&mut self) -> bool {
        if !self.settle() {
            // With the row behind the time no two are equal, and equal times stay in order.
            let mut places: Vec<(i64, u32)> = self.time.iter().copied().zip(0..).collect();
            places.sort_unstable();
            let order: Vec<u32> = places.iter().map(|(_, row)| *row).collect();
            self.time = permute(&self.time, &order);
            self.bits = permute(&self.bits, &order);
            permute_column(&mut self.kind, &order);
            permute_column(&mut self.quality, &order);
            permute_column(&mut self.received, &order);
            permute_column(&mut self.source, &order);
            permute_column(&mut self.replace, &order);
        }
        self.time.is_sorted_by(|one, next| one < next)
    }

    /// Sorts what is nearly in order, as rows are that came over several connections: each that is late is moved back to its
    /// place. Ends early, and says so, where that takes more than sorting would.
    fn settle(&mut self) -> bool {
        let mut moves = self.len() * MOVES_MAX;
        let mut latest = i64::MIN;
        for row in 0..self.len() {
            let time = self.time[row];
            if time >= latest {
                latest = time;
                continue;
            }
            let later =
                self.time[..row].iter().rev().take_while(|before| **before > time).take(moves).count();
            moves -= later;
            if moves == 0 {
                return false;
            }
            let range = row - later..row + 1;
            move_back(&mut self.time, range.clone());
            move_back(&mut self.bits, range.clone());
            move_column_back(&mut self.kind, range.clone());
            move_column_back(&mut self.quality, range.clone());
            move_column_back(&mut self.received, range.clone());
            move_column_back(&mut self.source, range.clone());
            move_column_back(&mut self.replace, range);
        }
        true
    }

    /// Moves rows with heap offsets into place behind `base` bytes of another heap.
    pub(crate) fn bits_behind(&self, base: usize) -> impl Iterator<Item = u64> {
        let shift = (base as u64) << 32;
        self.bits.iter().enumerate().map(move |(row, bits)| {
            if base > 0 && at(&self.kind, row).is_heap() { bits + shift } else { *bits }
        })
    }
}

/// When the row of this time of a batch was received. It is kept only where it says something: where it is more than a
/// second from the sample's own time.
pub(crate) fn received_of(batch: &SampleBatch) -> impl Fn(i64) -> Option<ReceivedAt> {
    let (received, kept) = (batch.received, ReceivedAt::of_nanos(batch.received));
    move |time| (received.abs_diff(time) > 1_000_000_000).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{any_rows, same_rows};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_in_any_order_are_sorted_and_equal_times_keep_theirs(rows in any_rows(), ordered in any::<bool>(), late in any::<(u8, u8)>()) {
            let mut order: Vec<usize> = (0..rows.len()).collect();
            if ordered {
                // In order but for one: the case that is settled in place.
                order.sort_by_key(|row| rows.time[*row]);
                let row = order.remove(usize::from(late.0) % order.len());
                order.insert(usize::from(late.1) % (order.len() + 1), row);
            }
            let mut sorted = Rows::default();
            order.iter().for_each(|row| sorted.push(&rows.row(*row)));
            let arrived = sorted.clone();
            let mut order: Vec<usize> = (0..rows.len()).collect();
            order.sort_by_key(|row| arrived.time[*row]);
            let mut expected = Rows::default();
            order.iter().for_each(|row| expected.push(&arrived.row(*row)));
            let unique = sorted.sort();
            prop_assert_eq!(unique, expected.time.windows(2).all(|pair| pair[0] < pair[1]));
            same_rows(&sorted, &expected)?;
        }
    }
}
