//! Which rows of a batch belong to which signal. A batch mixes signals as a machine sends them; put together by signal, the
//! rows of one are added in one go, and what is known of it is fetched from memory once and not for each row.
//! What does not live here: what is done with them.

use tidemill_core::SignalId;

/// Ids above this are not believed: the index would need more memory than the buffer has.
const ID_MAX: u32 = 1 << 24;
/// A signal that has no rows in this batch.
const NONE: u32 = u32::MAX;

/// The rows of a batch by signal, in order of arrival within each.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// Where each signal stands in `all`, by its index; [`NONE`] between batches.
    place: Vec<u32>,
    all: Vec<Group>,
    /// The numbers of the rows, group after group.
    rows: Vec<u32>,
}

#[derive(Debug)]
struct Group {
    /// Of the signal.
    index: usize,
    /// How many rows it has; then, where the next one goes; then, the end of its rows.
    end: u32,
}

impl Groups {
    /// Divides the rows of a batch. Says how many are left out because their signal is impossible.
    pub(crate) fn divide(&mut self, signals: &[SignalId]) -> u64 {
        self.all.clear();
        let mut left_out = 0;
        for signal in signals {
            if signal.get() > ID_MAX {
                left_out += 1;
                continue;
            }
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
        let mut begin = 0;
        for group in &mut self.all {
            begin += std::mem::replace(&mut group.end, begin);
        }
        self.rows.clear();
        self.rows.resize(begin as usize, 0);
        for (row, signal) in signals.iter().enumerate() {
            let place = self.place.get(signal.index()).copied().unwrap_or(NONE);
            let Some(group) = self.all.get_mut(place as usize) else { continue };
            if let Some(slot) = self.rows.get_mut(group.end as usize) {
                *slot = row as u32;
                group.end += 1;
            }
        }
        for group in &self.all {
            if let Some(place) = self.place.get_mut(group.index) {
                *place = NONE;
            }
        }
        left_out
    }

    /// The index of each signal with the numbers of its rows.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &[u32])> {
        let mut begin = 0;
        self.all.iter().map(move |group| {
            let range = std::mem::replace(&mut begin, group.end as usize)..group.end as usize;
            (group.index, self.rows.get(range).unwrap_or_default())
        })
    }
}

#[cfg(test)]
mod tests;
