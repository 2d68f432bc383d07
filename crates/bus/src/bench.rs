//! What the benchmark measures that no caller sees by itself: matching a signal against all patterns, and finding the
//! answer again. Not part of the room's promise.

use std::sync::Arc;

use tidemill_core::{Pattern, ReadScope, Seq, Signal, SignalId};

use crate::feed::Mailbox;
use crate::route::{Cache, Router};

/// Subscriptions, and what was worked out about them.
#[derive(Default)]
pub struct Matching {
    router: Router,
    cache: Cache,
}

impl Matching {
    /// Adds one subscription.
    pub fn subscribe(&mut self, patterns: &[Pattern]) {
        let mailbox = Mailbox::new(1, 1, Seq(0));
        // Kept by the router; without a limit it is always added.
        drop(self.router.add(patterns, &ReadScope::everything(), mailbox, true, u64::MAX));
    }

    /// How many hear a signal, worked out and remembered.
    pub fn cold(&mut self, signal: &Arc<Signal>) -> usize {
        let subscribers = self.router.subscribers(&signal.path, &signal.aliases);
        let count = subscribers.len();
        self.cache.remember(signal.id, subscribers);
        count
    }

    /// How many hear a signal, as remembered.
    pub fn cached(&self, id: SignalId) -> usize {
        self.cache.known(id).map_or(0, |place| self.cache.audience(place).len())
    }
}
