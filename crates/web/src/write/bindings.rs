//! Which signal a raw series and field (or a JSON sample's path) stands for: remembered per identity, so that naming,
//! rights and limits are asked once and not per sample. Bounded, and forgotten when the bus's epoch changes.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::{DefaultHashBuilder, HashTable};
use tidemill_core::{Grant, NumberKind, SignalId};
use tidemill_ground::{Limit, Permit};

/// Identities whose bindings are kept. Beyond it all are forgotten and learned again.
const IDENTITIES_MAX: usize = 256;
/// Sets of bindings kept for one identity: as many requests of it run at once without learning anew.
const SETS_PER_IDENTITY_MAX: usize = 2;
/// Fields that are looked for one by one; a series with more has an index.
const FIELDS_SCANNED_MAX: usize = 16;

/// The bindings of all identities.
pub(crate) struct Bindings {
    sets: Mutex<HashMap<Arc<str>, Vec<BindingSet>>>,
    limit: Limit,
}

impl Bindings {
    pub(crate) fn new(limit: Limit) -> Bindings {
        Bindings { sets: Mutex::default(), limit }
    }

    /// A set for this identity under this epoch, for one request alone.
    pub(crate) fn borrow(&self, identity: &Arc<str>, epoch: u64) -> BindingSet {
        let kept = self.lock().get_mut(identity).and_then(Vec::pop);
        match kept {
            Some(set) if set.epoch == epoch => set,
            _ => BindingSet::new(epoch, &self.limit),
        }
    }

    pub(crate) fn give_back(&self, identity: &Arc<str>, set: BindingSet) {
        let mut sets = self.lock();
        if sets.len() >= IDENTITIES_MAX && !sets.contains_key(identity) {
            sets.clear();
        }
        let kept = sets.entry(identity.clone()).or_default();
        if kept.len() < SETS_PER_IDENTITY_MAX {
            kept.push(set);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, Vec<BindingSet>>> {
        // Nothing here is half done when a thread panics.
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one field of one series stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding {
    pub(crate) id: SignalId,
    pub(crate) number: NumberKind,
}

impl From<Grant> for Binding {
    fn from(grant: Grant) -> Binding {
        Binding { id: grant.id, number: grant.number }
    }
}

struct Field {
    key: Box<[u8]>,
    binding: Binding,
    /// The line that used it last: a second use in one line is a field that stands twice.
    line: u64,
}

struct Series {
    key: Box<[u8]>,
    fields: Vec<Field>,
    /// Where each field stands; none where they are few.
    #[expect(
        clippy::box_collection,
        reason = "a pointer in each of 100,000 series, and a map in hardly any"
    )]
    index: Option<Box<HashMap<Box<[u8]>, usize>>>,
}

/// The first name that one line brings and that does not exist yet; those after it belong to the line too.
#[derive(Clone, Copy)]
struct New {
    line: u64,
    series: usize,
    /// Among the fields of its series.
    place: usize,
}

impl Series {
    /// Takes fields into the index. Nearly all series have few fields; it is made once it pays.
    fn index_from(&mut self, place: usize) {
        if self.fields.len() > FIELDS_SCANNED_MAX {
            let from = if self.index.is_none() { 0 } else { place };
            let new = self.fields.iter().enumerate().skip(from);
            self.index.get_or_insert_default().extend(new.map(|(place, field)| (field.key.clone(), place)));
        }
    }
}

/// What a look-up found.
#[derive(Debug)]
pub(crate) enum Found {
    Binding(Binding),
    Twice,
    Unknown,
}

/// The bindings one request works with.
pub(crate) struct BindingSet {
    epoch: u64,
    hasher: DefaultHashBuilder,
    table: HashTable<usize>,
    series: Vec<Series>,
    permit: Option<Permit>,
    full: bool,
    line: u64,
    /// Where the names of a line that do not exist yet begin.
    new: Option<New>,
    /// Series with fields whose names do not exist yet.
    unsure: Vec<usize>,
}

impl BindingSet {
    pub(crate) fn new(epoch: u64, limit: &Limit) -> BindingSet {
        BindingSet {
            epoch,
            hasher: DefaultHashBuilder::default(),
            table: HashTable::new(),
            series: Vec::new(),
            permit: limit.try_take(0),
            full: false,
            line: 0,
            new: None,
            unsure: Vec::new(),
        }
    }

    /// Begins a line (or sample) of this series; the number is for [`BindingSet::find`] and [`BindingSet::learn`]
    /// until the next call.
    pub(crate) fn begin(&mut self, series: &[u8]) -> usize {
        if self.full {
            self.forget();
        }
        self.line = self.line.wrapping_add(1);
        let hash = self.hasher.hash_one(series);
        let same = |index: &usize| self.series.get(*index).is_some_and(|known| *known.key == *series);
        if let Some(index) = self.table.find(hash, same) {
            return *index;
        }
        let index = self.series.len();
        self.series.push(Series { key: series.into(), fields: Vec::new(), index: None });
        let (hasher, all) = (&self.hasher, &self.series);
        let hash_of = |index: &usize| all.get(*index).map_or(0, |known| hasher.hash_one(&*known.key));
        self.table.insert_unique(hash, index, hash_of);
        self.take_room();
        index
    }

    /// The binding of a field; `position` is where it stands in its line, which is most often where it stood before.
    pub(crate) fn find(&mut self, series: usize, position: usize, key: &[u8]) -> Found {
        let line = self.line;
        let Some(series) = self.series.get_mut(series) else { return Found::Unknown };
        let expected = series.fields.get(position).is_some_and(|field| *field.key == *key);
        let place = if expected {
            Some(position)
        } else if series.fields.len() > FIELDS_SCANNED_MAX {
            series.index.as_ref().and_then(|index| index.get(key).copied())
        } else {
            series.fields.iter().position(|field| *field.key == *key)
        };
        match place.and_then(|place| series.fields.get_mut(place)) {
            Some(field) if field.line == line => Found::Twice,
            Some(field) => {
                field.line = line;
                Found::Binding(field.binding)
            }
            None => Found::Unknown,
        }
    }

    /// Remembers a binding.
    pub(crate) fn learn(&mut self, series: usize, key: &[u8], binding: Binding) {
        let line = self.line;
        let is_new = binding.id.provisional_place().is_some();
        let Some(known) = self.series.get_mut(series) else { return };
        if is_new && self.new.is_none_or(|new| new.line != line) {
            self.new = Some(New { line, series, place: known.fields.len() });
            self.unsure.push(series);
        }
        // Most series have one field, and there are many of them.
        if known.fields.is_empty() {
            known.fields.reserve_exact(1);
        }
        known.fields.push(Field { key: key.into(), binding, line });
        known.index_from(known.fields.len() - 1);
        self.take_room();
    }

    /// Forgets what was learned from the first new name of this line on: the line was refused.
    pub(crate) fn undo_line(&mut self) {
        let Some(new) = self.new.take_if(|new| new.line == self.line) else { return };
        let Some(series) = self.series.get_mut(new.series) else { return };
        let before = series.fields.len();
        series.fields.truncate(new.place);
        series.index = None;
        series.index_from(0);
        self.give_room(before.saturating_sub(new.place));
    }

    /// Forgets all names that did not exist: what was published is learned with the next request, and what was refused
    /// is not there.
    pub(crate) fn forget_new(&mut self) {
        self.new = None;
        let mut unsure = std::mem::take(&mut self.unsure);
        unsure.sort_unstable();
        unsure.dedup();
        let mut forgotten = 0;
        for series in unsure {
            let Some(series) = self.series.get_mut(series) else { continue };
            let before = series.fields.len();
            series.fields.retain(|field| field.binding.id.provisional_place().is_none());
            forgotten += before - series.fields.len();
            series.index = None;
            series.index_from(0);
        }
        self.give_room(forgotten);
    }

    fn give_room(&mut self, fields: usize) {
        if let Some(permit) = &mut self.permit {
            permit.shrink(fields as u64);
        }
    }

    fn take_room(&mut self) {
        self.full |= !self.permit.as_mut().is_some_and(|permit| permit.try_grow(1));
    }

    /// Begins anew: only between lines, for a line holds numbers of its series.
    fn forget(&mut self) {
        self.table.clear();
        self.series.clear();
        self.new = None;
        self.unsure.clear();
        self.full = false;
        if let Some(permit) = &mut self.permit {
            permit.shrink(u64::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_ground::Metrics;

    #[test]
    fn fields_are_found_after_a_line_that_was_refused() {
        let limit = Limit::new(&Metrics::default(), "bindings", 1_000);
        let mut set = BindingSet::new(1, &limit);
        let name = |number: u32| format!("f{number}").into_bytes();
        let learn = |set: &mut BindingSet, numbers: std::ops::Range<u32>, new: bool| {
            let series = set.begin(b"m");
            for number in numbers {
                let known = SignalId::new(number + 1);
                let id = if new { SignalId::provisional(number as usize) } else { known };
                set.learn(series, &name(number), Binding { id: id.unwrap(), number: NumberKind::Float });
            }
        };
        learn(&mut set, 0..10, false);
        learn(&mut set, 20..30, true);
        set.undo_line();
        learn(&mut set, 10..20, false);
        let series = set.begin(b"m");
        for number in 0..20 {
            // Not where it stood before.
            let found = set.find(series, 99, &name(number));
            assert!(matches!(found, Found::Binding(binding) if binding.id.get() == number + 1), "{found:?}");
        }
        assert!(matches!(set.find(series, 99, &name(25)), Found::Unknown));
        assert!(size_of::<Series>() <= 48, "there is one for each of a hundred thousand signals");
    }
}
