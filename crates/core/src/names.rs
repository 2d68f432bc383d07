//! The names that a request would create: gathered while it is read, and created by the publish that first carries
//! their samples. What is refused, for whatever reason, creates none. What a name costs and who may have it is the
//! business of the bus.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::authority::{Identity, Verb};
use crate::bus::{Bus, Grant};
use crate::path::SignalPath;
use crate::problem::{Problem, codes};
use crate::signal::{Meta, SignalId};

/// The most names that one request may create, whatever the limits of the bus: so many ids are provisional.
pub const NEW_NAMES_MAX: u32 = 1 << 24;

/// The highest number that a signal can have; those above it are provisional.
pub const SIGNAL_NUMBER_MAX: u32 = u32::MAX - NEW_NAMES_MAX;

/// About what a name takes beside its text while its request is read, and what each of its tags takes; the texts of tags
/// are shared by the names of a series.
const NAME_BYTES: u64 = 256;
const TAG_BYTES: u64 = 48;

impl SignalId {
    /// The id that stands in rows for the name at this place of [`crate::Publish::names`]; none beyond
    /// [`NEW_NAMES_MAX`].
    pub fn provisional(place: usize) -> Option<SignalId> {
        let place = u32::try_from(place).ok().filter(|place| *place < NEW_NAMES_MAX)?;
        NonZeroU32::new(u32::MAX - place).map(SignalId)
    }

    /// The place of the name that it stands for, if it is provisional.
    pub fn provisional_place(self) -> Option<usize> {
        (self.get() > SIGNAL_NUMBER_MAX).then(|| (u32::MAX - self.get()) as usize)
    }
}

/// A name that does not exist yet.
#[derive(Clone, Debug, PartialEq)]
pub struct NewName {
    /// The name.
    pub path: SignalPath,
    /// Its first metadata; shared by the names of one series.
    pub hint: Arc<Meta>,
}

impl NewName {
    fn bytes(&self) -> u64 {
        NAME_BYTES + self.path.as_str().len() as u64 + TAG_BYTES * self.hint.tags.len() as u64
    }
}

/// The new names of one request, each once.
#[derive(Debug, Default)]
pub struct NewNames {
    list: Vec<NewName>,
    places: HashMap<SignalPath, usize>,
    bytes: u64,
}

impl NewNames {
    /// Binds a path for writing. The grant of a name that does not exist yet has a provisional id: it holds for this
    /// request's [`crate::Publish::names`] alone.
    ///
    /// # Errors
    /// Those of [`Bus::resolve`].
    pub fn bind(
        &mut self,
        bus: &dyn Bus,
        who: &Identity,
        path: &SignalPath,
        hint: impl FnOnce() -> Arc<Meta>,
    ) -> Result<Grant, Problem> {
        if let Some(grant) = self.places.get(path).and_then(|place| self.grant(*place, bus)) {
            return Ok(grant);
        }
        if let Some(grant) = bus.resolve(who, path, self.list.len())? {
            return Ok(grant);
        }
        let place = self.list.len();
        let new = NewName { path: path.clone(), hint: hint() };
        self.bytes += new.bytes();
        self.list.push(new);
        self.places.insert(path.clone(), place);
        let too_many = || {
            Problem::new(&codes::TOO_LARGE, format!("one request creates at most {NEW_NAMES_MAX} signals"))
        };
        self.grant(place, bus).ok_or_else(too_many)
    }

    fn grant(&self, place: usize, bus: &dyn Bus) -> Option<Grant> {
        let name = self.list.get(place)?;
        let id = SignalId::provisional(place)?;
        Some(Grant { id, verb: Verb::Write, epoch: bus.epoch(), number: name.hint.number })
    }

    /// What is known of a name that is to be created.
    pub fn get(&self, path: &SignalPath) -> Option<&NewName> {
        self.list.get(*self.places.get(path)?)
    }

    /// What is known of a provisional name.
    pub fn of_id(&self, id: SignalId) -> Option<&NewName> {
        self.list.get(id.provisional_place()?)
    }

    /// Says the unit of a name for which none was said before.
    pub fn say_unit(&mut self, id: SignalId, unit: &str) {
        if let Some(name) = id.provisional_place().and_then(|place| self.list.get_mut(place)) {
            Arc::make_mut(&mut name.hint).unit = unit.into();
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// About how much memory they take.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Forgets all but the first so many: what brought the others was refused.
    pub fn truncate(&mut self, len: usize) {
        for name in self.list.drain(len.min(self.list.len())..) {
            self.bytes = self.bytes.saturating_sub(name.bytes());
            if let Entry::Occupied(place) = self.places.entry(name.path) {
                place.remove();
            }
        }
    }

    /// For [`crate::Publish::names`].
    pub fn into_list(self) -> Arc<[NewName]> {
        self.list.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provisional_ids_are_no_others() {
        for place in [0, 1, NEW_NAMES_MAX as usize - 1] {
            let id = SignalId::provisional(place).unwrap();
            assert!(id.get() > SIGNAL_NUMBER_MAX);
            assert_eq!(id.provisional_place(), Some(place));
        }
        assert_eq!(SignalId::provisional(NEW_NAMES_MAX as usize), None);
        assert_eq!(SignalId::new(SIGNAL_NUMBER_MAX).unwrap().provisional_place(), None);
    }
}
