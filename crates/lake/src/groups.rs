//! Rows of several batches put together by signal. Batches mix signals as a machine sends them, with a row or two of each;
//! put together, the rows of one are added in one go, and what is known of it is fetched from memory once and not for each
//! row. What does not live here: what is done with them, and how many batches are waited for (`buffer`).

use std::ops::Range;
use std::sync::Arc;

use tidemill_core::{Column, Flags, Kind, SampleBatch, SignalId};

use super::rows::{Rows, at, received_of};

/// Ids above this are not believed: the index would need more memory than the buffer has.
const ID_MAX: u32 = 1 << 24;
/// A signal that has no rows in these batches; a row that is left out.
const NONE: u32 = u32::MAX;

/// The rows of batches by signal, in order of arrival within each.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// Where each signal stands in `all`, by its index; [`NONE`] between two gatherings.
    place: Vec<u32>,
    all: Vec<Group>,
    /// Where each row of the batches stands in `rows`.
    to: Vec<u32>,
    /// Group after group.
    pub(crate) rows: Rows,
}

#[derive(Debug)]
struct Group {
    /// Of the signal.
    index: usize,
    /// How many rows it has; then, where the next one goes; then, the end of its rows.
    end: u32,
}

fn same<T: Copy>(column: &Column<T>) -> Option<T> {
    match column {
        Column::Same(value) => Some(*value),
        Column::Each(_) => None,
    }
}

fn room<T>(column: Column<T>) -> Vec<T> {
    match column {
        Column::Same(_) => Vec::new(),
        Column::Each(values) => values,
    }
}

/// Whether all values are numbers, whose bits stay as they are.
fn is_plain(batch: &SampleBatch) -> bool {
    matches!(batch.kind, Column::Same(Kind::Float | Kind::Int | Kind::UInt))
}

/// How many rows are left out because their signal is impossible.
pub(crate) fn impossible(signals: &[SignalId]) -> u64 {
    signals.iter().filter(|signal| signal.get() > ID_MAX).count() as u64
}

impl Groups {
    /// Puts the rows of the batches in place of what was here.
    pub(crate) fn gather(&mut self, batches: &[Arc<SampleBatch>]) {
        let signals = || batches.iter().flat_map(|batch| batch.signal.iter().copied());
        self.count(signals());
        let rows = self.divide(signals());
        let scatter = Scatter { batches, to: &self.to, rows };
        // What was gathered before leaves its room.
        let old = std::mem::take(&mut self.rows);
        self.rows.time = scatter.each(old.time, |batch| batch.time.iter().copied());
        self.rows.kind = scatter.column(
            old.kind,
            |batch| same(&batch.kind),
            |batch| (0..batch.len()).map(|row| at(&batch.kind, row)),
        );
        self.rows.bits = if batches.iter().all(|batch| is_plain(batch)) {
            scatter.each(old.bits, |batch| batch.bits.iter().copied())
        } else {
            let mut begin = 0;
            scatter.each(old.bits, |batch| {
                let base = begin << 32;
                begin += batch.heap.len() as u64;
                batch.bits.iter().enumerate().map(move |(row, bits)| match at(&batch.kind, row) {
                    Kind::None => 0,
                    Kind::Bool => u64::from(*bits != 0),
                    kind if kind.is_heap() => bits.wrapping_add(base),
                    _ => *bits,
                })
            })
        };
        self.rows.heap = old.heap;
        self.rows.heap.clear();
        batches.iter().for_each(|batch| self.rows.heap.extend_from_slice(&batch.heap));
        self.rows.quality = scatter.column(
            old.quality,
            |batch| same(&batch.quality),
            |batch| (0..batch.len()).map(|row| at(&batch.quality, row)),
        );
        let told = |batch: &SampleBatch| {
            let received = received_of(batch);
            batch.time.iter().all(|time| received(*time).is_none()).then_some(None)
        };
        self.rows.received = scatter.column(old.received, told, |batch| {
            let received = received_of(batch);
            batch.time.iter().map(move |time| received(*time))
        });
        self.rows.source = scatter.column(
            old.source,
            |batch| Some(batch.source),
            |batch| std::iter::repeat_n(batch.source, batch.len()),
        );
        let replace = |batch: &SampleBatch| batch.flags.has(Flags::REPLACE);
        self.rows.replace = scatter.column(
            old.replace,
            |batch| Some(replace(batch)),
            |batch| std::iter::repeat_n(replace(batch), batch.len()),
        );
    }

    /// Counts the rows of each signal.
    fn count(&mut self, signals: impl Iterator<Item = SignalId>) {
        self.all.clear();
        for signal in signals.filter(|signal| signal.get() <= ID_MAX) {
            let index = signal.index();
            if index >= self.place.len() {
                self.place.resize((index + 1).next_power_of_two(), NONE);
            }
            let Some(place) = self.place.get_mut(index) else { continue };
            match self.all.get_mut(*place as usize) {
                Some(group) => group.end += 1,
                None => {
                    *place = self.all.len() as u32;
                    self.all.push(Group { index, end: 1 });
                }
            }
        }
    }

    /// Finds where each row goes; says how many there are.
    fn divide(&mut self, signals: impl Iterator<Item = SignalId>) -> usize {
        let mut begin = 0;
        for group in &mut self.all {
            begin += std::mem::replace(&mut group.end, begin);
        }
        self.to.clear();
        for signal in signals {
            let place = self.place.get(signal.index()).copied().unwrap_or(NONE);
            self.to.push(self.all.get_mut(place as usize).map_or(NONE, |group| {
                group.end += 1;
                group.end - 1
            }));
        }
        for group in &self.all {
            if let Some(place) = self.place.get_mut(group.index) {
                *place = NONE;
            }
        }
        begin as usize
    }

    /// The index of each signal, and where its rows are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        let mut begin = 0;
        self.all.iter().map(move |group| {
            let end = group.end as usize;
            (group.index, std::mem::replace(&mut begin, end)..end)
        })
    }
}

/// Brings the columns of batches into another order, one after the other: what is written to then stays in the processor.
struct Scatter<'a> {
    batches: &'a [Arc<SampleBatch>],
    to: &'a [u32],
    rows: usize,
}

impl<'a> Scatter<'a> {
    /// A column of one value a row, in the room of `out`.
    fn each<T: Copy + Default, I: Iterator<Item = T>>(
        &self,
        mut out: Vec<T>,
        mut of: impl FnMut(&'a SampleBatch) -> I,
    ) -> Vec<T> {
        out.clear();
        out.resize(self.rows, T::default());
        let mut left = self.to;
        for batch in self.batches {
            let (to, rest) = left.split_at_checked(batch.len()).unwrap_or((left, &[]));
            left = rest;
            for (to, value) in to.iter().zip(of(batch)) {
                if let Some(slot) = out.get_mut(*to as usize) {
                    *slot = value;
                }
            }
        }
        out
    }

    /// A column that is one value for all where `same` says of all batches that they have the same one, otherwise in the
    /// room of `out`.
    fn column<T: Copy + Default + PartialEq, I: Iterator<Item = T>>(
        &self,
        out: Column<T>,
        same: impl Fn(&SampleBatch) -> Option<T>,
        of: impl FnMut(&'a SampleBatch) -> I,
    ) -> Column<T> {
        let first = self.batches.first().and_then(|batch| same(batch));
        match first {
            Some(value) if self.batches.iter().all(|batch| same(batch) == first) => Column::Same(value),
            _ => Column::Each(self.each(room(out), of)),
        }
    }
}

#[cfg(test)]
mod tests;
