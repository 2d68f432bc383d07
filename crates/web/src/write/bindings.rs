//! Which signal a raw series and field (or a JSON sample's path) stands for: remembered per identity, so that naming,
//! rights and limits are asked once and not per sample. Bounded, and forgotten when the bus's epoch changes.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::{DefaultHashBuilder, HashTable};
use tidemill_core::{Grant, NumberKind, SignalId};
use tidemill_ground::{Limit, Permit};

use crate::line::origin::Origin;

/// Identities whose bindings are kept. Beyond it all are forgotten and learned again.
const IDENTITIES_MAX: usize = 256;
/// Sets of bindings kept for one identity and database: as many requests run at once without learning anew.
const SETS_PER_ORIGIN_MAX: usize = 2;
/// Sets of bindings kept for one identity. Beyond it the oldest is learned again.
const SETS_PER_IDENTITY_MAX: usize = 16;
/// Fields that are looked for one by one; a series with more has an index.
const FIELDS_SCANNED_MAX: usize = 16;
/// Bytes of the keys of all series of one set. Beyond it they are forgotten and learned again.
const KEYS_BYTES_MAX: usize = 256 << 20;

/// The bindings of all identities.
pub(crate) struct Bindings {
    sets: Mutex<HashMap<Arc<str>, Vec<BindingSet>>>,
    limit: Limit,
}

impl Bindings {
    pub(crate) fn new(limit: Limit) -> Bindings {
        Bindings { sets: Mutex::default(), limit }
    }

    /// A set for this identity and database under this epoch, for one request alone.
    pub(crate) fn borrow(&self, identity: &Arc<str>, origin: &Origin, epoch: u64) -> BindingSet {
        let kept = self.lock().get_mut(identity).and_then(|sets| {
            let place = sets.iter().rposition(|set| set.origin == *origin)?;
            Some(sets.remove(place))
        });
        match kept {
            Some(set) if set.epoch == epoch => set,
            _ => BindingSet { origin: origin.clone(), ..BindingSet::new(epoch, &self.limit) },
        }
    }

    pub(crate) fn give_back(&self, identity: &Arc<str>, set: BindingSet) {
        let mut sets = self.lock();
        if sets.len() >= IDENTITIES_MAX && !sets.contains_key(identity) {
            sets.clear();
        }
        let kept = sets.entry(identity.clone()).or_default();
        if kept.iter().filter(|other| other.origin == set.origin).count() < SETS_PER_ORIGIN_MAX {
            if kept.len() >= SETS_PER_IDENTITY_MAX {
                kept.remove(0);
            }
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

#[derive(Clone, Copy)]
struct Field {
    /// Its key, by its number among [`Names`].
    name: u32,
    binding: Binding,
    /// The line that used it last: a second use in one line is a field that stands twice.
    line: u64,
}

/// There is one for each of a hundred thousand series.
struct Series {
    /// Where its key begins in [`BindingSet::keys`], and its length.
    key: (u32, u32),
    fields: Fields,
}

/// Nearly all series have one field.
enum Fields {
    None,
    One(Field),
    Many(Box<Many>),
}

struct Many {
    list: Vec<Field>,
    /// Where each name stands; none where they are few.
    index: Option<HashMap<u32, usize>>,
}

impl Series {
    fn key<'a>(&self, keys: &'a [u8]) -> &'a [u8] {
        let (begin, len) = (self.key.0 as usize, self.key.1 as usize);
        keys.get(begin..begin + len).unwrap_or_default()
    }
}

impl Fields {
    fn list(&self) -> &[Field] {
        match self {
            Fields::None => &[],
            Fields::One(field) => std::slice::from_ref(field),
            Fields::Many(many) => &many.list,
        }
    }

    fn list_mut(&mut self) -> &mut [Field] {
        match self {
            Fields::None => &mut [],
            Fields::One(field) => std::slice::from_mut(field),
            Fields::Many(many) => &mut many.list,
        }
    }

    fn index(&self) -> Option<&HashMap<u32, usize>> {
        match self {
            Fields::Many(many) => many.index.as_ref(),
            Fields::None | Fields::One(_) => None,
        }
    }

    fn push(&mut self, field: Field) {
        match self {
            Fields::None => *self = Fields::One(field),
            Fields::One(first) => {
                *self = Fields::Many(Box::new(Many { list: vec![*first, field], index: None }));
            }
            Fields::Many(many) => {
                many.list.push(field);
                many.index_from(many.list.len() - 1);
            }
        }
    }

    /// Forgets some of them, by their places too. Says how many.
    fn retain(&mut self, keep: impl Fn(usize, &Field) -> bool) -> usize {
        let before = self.list().len();
        match self {
            Fields::One(field) if !keep(0, field) => *self = Fields::None,
            Fields::None | Fields::One(_) => {}
            Fields::Many(many) => {
                let mut place = 0;
                many.list.retain(|field| {
                    place += 1;
                    keep(place - 1, field)
                });
                many.index = None;
                many.index_from(0);
            }
        }
        before - self.list().len()
    }
}

impl Many {
    /// Takes fields into the index. It is made once it pays.
    fn index_from(&mut self, place: usize) {
        if self.list.len() > FIELDS_SCANNED_MAX {
            let from = if self.index.is_none() { 0 } else { place };
            let new = self.list.iter().enumerate().skip(from);
            self.index.get_or_insert_default().extend(new.map(|(place, field)| (field.name, place)));
        }
    }
}

/// Keys of fields, each once: the series of a plant have the same few.
#[derive(Default)]
struct Names {
    list: Vec<Box<[u8]>>,
    table: HashTable<u32>,
}

impl Names {
    fn is(&self, number: u32, key: &[u8]) -> bool {
        self.list.get(number as usize).is_some_and(|known| **known == *key)
    }

    fn find(&self, hasher: &DefaultHashBuilder, key: &[u8]) -> Option<u32> {
        self.table.find(hasher.hash_one(key), |number| self.is(*number, key)).copied()
    }

    /// The number of a key that is not known yet.
    fn add(&mut self, hasher: &DefaultHashBuilder, key: &[u8]) -> u32 {
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(key.into());
        let Names { list, table } = self;
        let hash_of = |number: &u32| list.get(*number as usize).map_or(0, |known| hasher.hash_one(&**known));
        table.insert_unique(hasher.hash_one(key), number, hash_of);
        number
    }

    fn clear(&mut self) {
        self.list.clear();
        self.table.clear();
    }
}

/// The first name that one line brings and that does not exist yet; those after it belong to the line too.
#[derive(Clone, Copy)]
struct New {
    line: u64,
    series: usize,
    /// Among the fields of its series.
    place: usize,
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
    /// From where its lines are: by it they may be named.
    origin: Origin,
    hasher: DefaultHashBuilder,
    /// By the hash of their keys.
    table: HashTable<u32>,
    series: Vec<Series>,
    /// The keys of all series, one behind the other.
    keys: Vec<u8>,
    names: Names,
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
            origin: Origin::default(),
            hasher: DefaultHashBuilder::default(),
            table: HashTable::new(),
            series: Vec::new(),
            keys: Vec::new(),
            names: Names::default(),
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
        if self.full || self.keys.len() + series.len() > KEYS_BYTES_MAX {
            self.forget();
        }
        self.line = self.line.wrapping_add(1);
        let hash = self.hasher.hash_one(series);
        let (keys, all) = (&self.keys, &self.series);
        let same = |index: &u32| all.get(*index as usize).is_some_and(|known| known.key(keys) == series);
        if let Some(index) = self.table.find(hash, same) {
            return *index as usize;
        }
        let index = self.series.len();
        let part = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let key = (part(self.keys.len()), part(series.len()));
        self.keys.extend_from_slice(series);
        self.series.push(Series { key, fields: Fields::None });
        let (hasher, keys, all) = (&self.hasher, &self.keys, &self.series);
        let hash_of =
            |index: &u32| all.get(*index as usize).map_or(0, |known| hasher.hash_one(known.key(keys)));
        self.table.insert_unique(hash, part(index), hash_of);
        self.take_room();
        index
    }

    /// The binding of a field; `position` is where it stands in its line, which is most often where it stood before.
    pub(crate) fn find(&mut self, series: usize, position: usize, key: &[u8]) -> Found {
        let line = self.line;
        let Some(series) = self.series.get_mut(series) else { return Found::Unknown };
        let is = |field: &Field| self.names.is(field.name, key);
        let expected = series.fields.list().get(position).is_some_and(is);
        let place = match series.fields.index() {
            _ if expected => Some(position),
            Some(index) => self.names.find(&self.hasher, key).and_then(|name| index.get(&name).copied()),
            None => series.fields.list().iter().position(is),
        };
        match place.and_then(|place| series.fields.list_mut().get_mut(place)) {
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
        let name = self.names.find(&self.hasher, key).unwrap_or_else(|| {
            // Also of a line that is refused it stays until all is forgotten.
            self.take_room();
            self.names.add(&self.hasher, key)
        });
        let Some(known) = self.series.get_mut(series) else { return };
        if is_new && self.new.is_none_or(|new| new.line != line) {
            self.new = Some(New { line, series, place: known.fields.list().len() });
            self.unsure.push(series);
        }
        known.fields.push(Field { name, binding, line });
        self.take_room();
    }

    /// Forgets what was learned from the first new name of this line on: the line was refused.
    pub(crate) fn undo_line(&mut self) {
        let Some(new) = self.new.take_if(|new| new.line == self.line) else { return };
        let Some(series) = self.series.get_mut(new.series) else { return };
        let forgotten = series.fields.retain(|place, _| place < new.place);
        self.give_room(forgotten);
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
            forgotten += series.fields.retain(|_, field| field.binding.id.provisional_place().is_none());
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
        self.keys.clear();
        self.names.clear();
        self.new = None;
        self.unsure.clear();
        self.full = false;
        if let Some(permit) = &mut self.permit {
            permit.shrink(u64::MAX);
        }
    }
}

#[cfg(test)]
#[path = "bindings_tests.rs"]
mod tests;
