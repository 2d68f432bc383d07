//! Publishes that carry their producer's own number: a repeated one resolves with the first one's place and changes
//! nothing. Known are the last [`ONCE_MAX`] of them, also after a restart, as far as snapshot and log reach.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tidemill_core::{Commit, CommitGroup, ProducerId, Seq};

/// How many are known: a minute of a thousand requests a second.
pub(crate) const ONCE_MAX: usize = 65_536;

pub(crate) type Key = (ProducerId, u64);

enum State {
    /// On its way to the disk.
    Flight(Arc<Flight>),
    /// Durable there.
    Done(Seq),
}

/// The commit of a publish that others may come to wait for. The journal's own waiter is one; this passes its outcome
/// on, on the thread that resolves it.
struct Flight {
    seq: Seq,
    inner: Mutex<Option<Commit>>,
    group: CommitGroup,
}

impl Flight {
    fn poll(self: &Arc<Self>) {
        let waker = Waker::from(self.clone());
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(commit) = inner.as_mut() else { return };
        if let Poll::Ready(outcome) = Pin::new(commit).poll(&mut Context::from_waker(&waker)) {
            *inner = None;
            drop(inner);
            self.group.resolve(outcome.map(|_| ()));
        }
    }

    fn waiter(&self) -> Commit {
        self.group.waiter(self.seq)
    }
}

impl Wake for Flight {
    fn wake(self: Arc<Self>) {
        self.poll();
    }
}

/// The publishes known by their producer's number.
#[derive(Default)]
pub(crate) struct Once {
    known: HashMap<Key, State>,
    order: VecDeque<Key>,
}

impl Once {
    /// The first one's commit, if this came before and was not lost.
    pub(crate) fn repeated(&mut self, key: Key) -> Option<Commit> {
        match self.known.get(&key)? {
            State::Done(seq) => Some(Commit::ready(*seq)),
            State::Flight(flight) => match flight.waiter().wait(Duration::ZERO) {
                Some(Err(_)) => {
                    self.known.remove(&key);
                    None
                }
                _ => Some(flight.waiter()),
            },
        }
    }

    /// Notes a publish that was just appended, and gives the commit to wait for instead of the journal's.
    pub(crate) fn begin(&mut self, key: Key, commit: Commit) -> Commit {
        let (seq, group) = (commit.seq(), CommitGroup::default());
        let flight = Arc::new(Flight { seq, inner: Mutex::new(Some(commit)), group });
        flight.poll();
        let waiter = flight.waiter();
        self.note(key, State::Flight(flight));
        waiter
    }

    /// Notes a publish that was seen committed.
    pub(crate) fn done(&mut self, key: Key, seq: Seq) {
        match self.known.get(&key) {
            Some(State::Done(_)) => {}
            _ => self.note(key, State::Done(seq)),
        }
    }

    fn note(&mut self, key: Key, state: State) {
        if self.known.insert(key, state).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > ONCE_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }

    /// Those that are durable, oldest first.
    pub(crate) fn entries(&self) -> Vec<(Key, Seq)> {
        let durable = |key: &Key| match self.known.get(key) {
            Some(State::Done(seq)) => Some((*key, *seq)),
            _ => None,
        };
        self.order.iter().filter_map(durable).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_core::NotDurable;

    fn key(number: u64) -> Key {
        (ProducerId(7), number)
    }

    #[test]
    fn a_repeat_waits_with_the_first() {
        let (mut once, group) = (Once::default(), CommitGroup::default());
        let first = once.begin(key(1), group.waiter(Seq(5)));
        let repeat = once.repeated(key(1)).unwrap();
        assert!(once.repeated(key(2)).is_none());
        assert_eq!(repeat.wait(Duration::ZERO), None);
        group.resolve(Ok(()));
        assert_eq!(first.wait(Duration::ZERO), Some(Ok(Seq(5))));
        assert_eq!(repeat.wait(Duration::ZERO), Some(Ok(Seq(5))));
        once.done(key(1), Seq(5));
        assert_eq!(once.repeated(key(1)).unwrap().wait(Duration::ZERO), Some(Ok(Seq(5))));
        assert_eq!(once.entries(), [(key(1), Seq(5))]);
    }

    #[test]
    fn a_lost_one_may_be_repeated() {
        let (mut once, group) = (Once::default(), CommitGroup::default());
        let first = once.begin(key(1), group.waiter(Seq(5)));
        group.resolve(Err(NotDurable::Stopping));
        assert_eq!(first.wait(Duration::ZERO), Some(Err(NotDurable::Stopping)));
        assert!(once.repeated(key(1)).is_none());
        let second = once.begin(key(1), Commit::ready(Seq(6)));
        assert_eq!(second.wait(Duration::ZERO), Some(Ok(Seq(6))));
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut once = Once::default();
        (0..=ONCE_MAX as u64).for_each(|number| once.done(key(number), Seq(number + 1)));
        assert!(once.repeated(key(0)).is_none());
        assert!(once.repeated(key(1)).is_some());
        assert_eq!(once.known.len(), ONCE_MAX);
    }
}
