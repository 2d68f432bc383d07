//! Waiting for durability: a small std future that many appends of one group share. No runtime is needed to wait or
//! to resolve.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::parcel::Seq;
use crate::problem;

/// A boxed future, as the traits of the house give them.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A publish whose durability could not be confirmed: the outcome is unknown, repeating is safe where samples carry
/// times or the request an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDurable {
    /// The disk refused; nothing of the group counts as written.
    #[error(
        "the journal could not be written: {0}. The outcome is unknown; repeat the write once the disk is well"
    )]
    Disk(Arc<str>),
    /// The disk had no room; nothing of the group counts as written.
    #[error(
        "the journal could not be written, for the disk is full: {0}. Free some space, then repeat the write"
    )]
    Full(Arc<str>),
    /// The plant is stopping.
    #[error("the plant is stopping. The outcome is unknown; repeat the write when it runs again")]
    Stopping,
}

impl NotDurable {
    /// What a disk means that refused: no room is another matter than a broken disk.
    pub fn of(refused: &std::io::Error) -> NotDurable {
        let why = refused.to_string().into();
        if problem::is_full(refused) { NotDurable::Full(why) } else { NotDurable::Disk(why) }
    }
}

#[derive(Default)]
struct State {
    outcome: Option<Result<(), NotDurable>>,
    wakers: Vec<Waker>,
}

/// The appends that one fsync makes durable. The journal resolves it, once.
#[derive(Clone, Default)]
pub struct CommitGroup {
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl CommitGroup {
    /// A waiter for one append of this group; `seq` is what it resolves to.
    pub fn waiter(&self, seq: Seq) -> Commit {
        Commit { seq, group: Some(self.clone()) }
    }

    /// Resolves all waiters, present and future. A second call changes nothing.
    pub fn resolve(&self, outcome: Result<(), NotDurable>) {
        let wakers = {
            let mut state = self.lock();
            if state.outcome.is_some() {
                return;
            }
            state.outcome = Some(outcome);
            std::mem::take(&mut state.wakers)
        };
        self.shared.1.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A waiter that panicked while it registered has broken nothing here.
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves when the append is durable, or when it is known that this cannot be said.
#[must_use = "an acknowledgement must wait for it"]
pub struct Commit {
    seq: Seq,
    group: Option<CommitGroup>,
}

impl Commit {
    /// Already done.
    pub fn ready(seq: Seq) -> Commit {
        Commit { seq, group: None }
    }

    /// The place in the log, known before it is durable. For ordering, never for acknowledging.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Blocks this thread until resolved; `None` after `limit`. For threads that have nothing else to do.
    pub fn wait(&self, limit: Duration) -> Option<Result<Seq, NotDurable>> {
        let Some(group) = &self.group else { return Some(Ok(self.seq)) };
        let state = group.lock();
        let (state, _) = group
            .shared
            .1
            .wait_timeout_while(state, limit, |state| state.outcome.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        state.outcome.clone().map(|outcome| outcome.map(|()| self.seq))
    }
}

impl Future for Commit {
    type Output = Result<Seq, NotDurable>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(group) = &self.group else { return Poll::Ready(Ok(self.seq)) };
        let mut state = group.lock();
        match &state.outcome {
            Some(outcome) => Poll::Ready(outcome.clone().map(|()| self.seq)),
            None => {
                // A task that polls again without being woken is usually the last that polled: comparing with all would cost
                // the square of the group. A double wake is harmless.
                if !state.wakers.last().is_some_and(|waker| waker.will_wake(context.waker())) {
                    state.wakers.push(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_resolution_for_all() {
        let group = CommitGroup::default();
        let (first, second) = (group.waiter(Seq(1)), group.waiter(Seq(2)));
        assert_eq!(first.wait(Duration::ZERO), None);
        let thread = std::thread::spawn(move || second.wait(Duration::from_secs(60)));
        group.resolve(Ok(()));
        group.resolve(Err(NotDurable::Stopping));
        assert_eq!(thread.join().unwrap(), Some(Ok(Seq(2))));
        assert_eq!(first.wait(Duration::ZERO), Some(Ok(Seq(1))));
        assert_eq!(group.waiter(Seq(3)).wait(Duration::ZERO), Some(Ok(Seq(3))));
    }

    #[test]
    fn wakes_a_polled_task() {
        struct Count(std::sync::atomic::AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        }
        let count = Arc::new(Count(0.into()));
        let waker = Waker::from(count.clone());
        let mut context = Context::from_waker(&waker);
        let group = CommitGroup::default();
        let mut commit = group.waiter(Seq(1));
        assert!(Pin::new(&mut commit).poll(&mut context).is_pending());
        assert!(Pin::new(&mut commit).poll(&mut context).is_pending());
        group.resolve(Err(NotDurable::Stopping));
        assert_eq!(count.0.load(std::sync::atomic::Ordering::SeqCst), 1, "one task is woken once");
        assert_eq!(Pin::new(&mut commit).poll(&mut context), Poll::Ready(Err(NotDurable::Stopping)));
    }
}
