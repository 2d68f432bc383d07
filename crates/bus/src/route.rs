//! From signals to subscribers: patterns in one trie, and for each signal the list of who is told, worked out once and
//! remembered until subscriptions or names change. What a subscriber does with it is `feed`'s business.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tidemill_core::{Pattern, PatternTrie, ReadScope, Seq, SignalId, SignalPath};

use crate::feed::Mailbox;

/// One subscription.
pub(crate) struct Subscriber {
    pub(crate) number: u64,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) scope: ReadScope,
    pub(crate) mailbox: Mailbox,
    routed: bool,
}

/// All subscriptions.
#[derive(Default)]
pub(crate) struct Router {
    routes: RwLock<Routes>,
    /// Grows when subscriptions or names change: what was remembered before is worked out again.
    generation: AtomicU64,
    /// How many of the subscriptions are told by the one who follows the log.
    routed: AtomicU64,
    /// The last parcel that was handed out. Written under the read lock of `routes`, so that a new subscription knows
    /// exactly where it begins.
    dispatched: AtomicU64,
}

#[derive(Default)]
struct Routes {
    trie: PatternTrie<Arc<Subscriber>>,
    all: BTreeMap<u64, Arc<Subscriber>>,
    patterns: u64,
    last_number: u64,
}

impl Router {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Routes> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Routes> {
        self.routes.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a subscription; `routed`: it is told by the one who follows the log, and does not read the log itself.
    /// Gives it with the last parcel that it is not told; nothing if there would be more than `patterns_max` patterns.
    pub(crate) fn add(
        &self,
        patterns: &[Pattern],
        scope: &ReadScope,
        mut mailbox: Mailbox,
        routed: bool,
        patterns_max: u64,
    ) -> Option<(Arc<Subscriber>, Seq)> {
        let mut routes = self.write();
        let patterns_after = routes.patterns + patterns.len() as u64;
        if patterns_after > patterns_max {
            return None;
        }
        routes.patterns = patterns_after;
        routes.last_number += 1;
        let number = routes.last_number;
        let told_after = Seq(self.dispatched.load(Ordering::Acquire));
        // Of the parcel that is being handed out just now it may be told or not: so it reads that one from the log, and
        // must not get it twice.
        mailbox.begin_after(told_after);
        let subscriber = Arc::new(Subscriber {
            number,
            patterns: patterns.to_vec(),
            scope: scope.clone(),
            mailbox,
            routed,
        });
        routes.all.insert(number, subscriber.clone());
        if routed {
            patterns.iter().for_each(|pattern| routes.trie.insert(pattern, subscriber.clone()));
            self.routed.fetch_add(1, Ordering::AcqRel);
            self.changed();
        }
        Some((subscriber, told_after))
    }

    /// Removes a subscription.
    pub(crate) fn remove(&self, subscriber: &Subscriber) {
        let mut routes = self.write();
        if routes.all.remove(&subscriber.number).is_none() {
            return;
        }
        routes.patterns -= subscriber.patterns.len() as u64;
        if subscriber.routed {
            for pattern in &subscriber.patterns {
                routes.trie.remove(pattern, |other| other.number == subscriber.number);
            }
            self.routed.fetch_sub(1, Ordering::AcqRel);
            self.changed();
        }
    }

    /// Whether anyone is told by the one who follows the log.
    pub(crate) fn has_routed(&self) -> bool {
        self.routed.load(Ordering::Acquire) > 0
    }

    /// Names or subscriptions changed.
    pub(crate) fn changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// All subscriptions, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Subscriber>> {
        self.read().all.values().cloned().collect()
    }

    /// How many patterns there are in all.
    pub(crate) fn patterns(&self) -> u64 {
        self.read().patterns
    }

    /// Says that this parcel is handed out to whoever is subscribed now.
    pub(crate) fn begin(&self, seq: Seq) -> u64 {
        let _routes = self.read();
        self.dispatched.store(seq.0, Ordering::Release);
        self.generation()
    }

    /// Who is told of a signal, by name or alias and within their scopes, in the order of their numbers.
    pub(crate) fn subscribers(&self, path: &SignalPath, aliases: &[SignalPath]) -> Vec<Arc<Subscriber>> {
        let routes = self.read();
        let mut found: Vec<Arc<Subscriber>> = Vec::new();
        for name in std::iter::once(path).chain(aliases) {
            routes.trie.visit(name, |subscriber| {
                found.push(subscriber.clone());
                true
            });
        }
        found.sort_unstable_by_key(|subscriber| subscriber.number);
        found.dedup_by_key(|subscriber| subscriber.number);
        found.retain(|subscriber| subscriber.scope.allows(path));
        found
    }
}

/// A list of subscribers that many signals share.
pub(crate) type Audience = Arc<[Arc<Subscriber>]>;

/// What was worked out, for the one thread that hands out parcels.
#[derive(Default)]
pub(crate) struct Cache {
    generation: u64,
    /// By id: 0 for not known, else one more than the place in `audiences`.
    audience: Vec<u32>,
    audiences: Vec<Audience>,
    by_numbers: HashMap<Vec<u64>, u32>,
}

impl Cache {
    /// Forgets what was worked out under another generation.
    pub(crate) fn renew(&mut self, generation: u64) {
        if self.generation != generation {
            self.generation = generation;
            self.audience.fill(0);
            self.audiences.clear();
            self.by_numbers.clear();
        }
    }

    /// The place of a signal's audience, if it is known.
    pub(crate) fn known(&self, id: SignalId) -> Option<usize> {
        (*self.audience.get(id.index())? as usize).checked_sub(1)
    }

    /// Remembers who is told of a signal, and gives the place.
    pub(crate) fn remember(&mut self, id: SignalId, subscribers: Vec<Arc<Subscriber>>) -> usize {
        let numbers: Vec<u64> = subscribers.iter().map(|subscriber| subscriber.number).collect();
        let audiences = &mut self.audiences;
        let place = *self.by_numbers.entry(numbers).or_insert_with(|| {
            audiences.push(subscribers.into());
            u32::try_from(audiences.len()).unwrap_or(u32::MAX)
        });
        if self.audience.len() <= id.index() {
            self.audience.resize(id.index() + 1, 0);
        }
        if let Some(slot) = self.audience.get_mut(id.index()) {
            *slot = place;
        }
        place as usize - 1
    }

    /// The audience at a place.
    pub(crate) fn audience(&self, place: usize) -> &[Arc<Subscriber>] {
        self.audiences.get(place).map_or(&[], |audience| audience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::Place;
    use tidemill_core::{Parcel, Rows};

    #[test]
    fn what_is_handed_out_while_someone_subscribes_reaches_him_once() {
        let router = Router::default();
        router.begin(Seq(5));
        let (everything, scope) = ([Pattern::everything()], ReadScope::everything());
        let mailbox = Mailbox::new(10, 1 << 20, Seq(2));
        let (subscriber, told_after) = router.add(&everything, &scope, mailbox, true, 10).unwrap();
        assert_eq!(told_after, Seq(5), "he reads the log up to here himself");
        let put = |seq, live| {
            let place = Place { seq: Seq(seq), live };
            subscriber.mailbox.put(place, &Arc::new(Parcel::default()), Rows::All, 1);
            subscriber.mailbox.waiting().0
        };
        assert_eq!((put(5, false), put(5, true), put(6, false)), (0, 1, 2));
    }
}
