//! The threads: one applies the journal, one flushes, one merges and cleans. No async runtime. What does not live
//! here: what they do, which can be called step by step in tests.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use tidemill_core::{Delivery, Seq};
use tidemill_ground::{Ground, Phase, Stop};

use super::{CURSOR, Store};
use crate::Error;

/// How often time is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long after a failed flush the next attempt is made.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Looking more often than this would only cost.
const MERGE_EVERY_MIN: Duration = Duration::from_millis(10);
/// How long a stopping historian goes on applying what is durable already.
const DRAIN_MAX: Duration = Duration::from_secs(10);

struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Waits for a future on this thread, or until `give_up` says so (asked when woken, and now and then).
pub(crate) fn wait<T>(future: impl Future<Output = T>, give_up: &dyn Fn() -> bool) -> Option<T> {
    let mut future = pin!(future);
    let unpark = Arc::new(Unpark { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(unpark.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Some(value);
        }
        while !unpark.woken.swap(false, Ordering::AcqRel) {
            if give_up() {
                return None;
            }
            thread::park_timeout(LOOK_EVERY);
        }
    }
}

impl Store {
    /// Starts the threads.
    ///
    /// # Errors
    /// A thread could not be started.
    pub fn start(self: &Arc<Store>, ground: &Ground) -> Result<(), Error> {
        let store = self.clone();
        ground.tasks.spawn("historian-apply", Phase::Engines, move |stop| store.follow(&stop))?;
        let store = self.clone();
        ground.tasks.spawn("historian-flush", Phase::Engines, move |_stop| store.flush_loop())?;
        let store = self.clone();
        ground.tasks.spawn("historian-merge", Phase::Engines, move |stop| store.merge_loop(&stop))?;
        Ok(())
    }

    /// Applies the journal until told to stop, and then what was durable at that moment.
    fn follow(&self, stop: &Stop) {
        self.lock().replay_end = self.journal.durable();
        let mut feed = self.journal.follow(CURSOR, None);
        let me = thread::current();
        stop.on_stop(move || me.unpark());
        let mut last = Seq(0);
        let mut drained: Option<(Seq, Duration)> = None;
        loop {
            if stop.requested() && drained.is_none() {
                drained = Some((self.journal.durable(), self.clock.monotonic()));
            }
            if drained.is_some_and(|(upto, _)| self.lock().applied >= upto) || self.late(drained) {
                break;
            }
            let since = drained;
            let give_up = || match since {
                None => stop.requested(),
                Some((upto, _)) => self.lock().applied >= upto || self.late(since),
            };
            match wait(feed.next(), &give_up) {
                // What was only live has the place of the durable parcel before it, and is not kept.
                Some(Delivery::Data { seq, parcel, .. }) if seq > last => {
                    last = seq;
                    self.make_room(stop);
                    self.apply(seq, &parcel);
                }
                Some(Delivery::Data { .. }) => {}
                Some(Delivery::Lagged { missed, to }) => {
                    tracing::error!(
                        event = "journal.cut",
                        missed,
                        to = to.0,
                        "the journal no longer has parcels that were not in files"
                    );
                    self.meters.missed.add(missed);
                    last = last.max(to);
                    self.applied_upto(to);
                }
                Some(Delivery::Closed) => break,
                None => {}
            }
        }
        let mut state = self.lock();
        state.followed = true;
        drop(state);
        self.changed.notify_all();
    }

    fn late(&self, drained: Option<(Seq, Duration)>) -> bool {
        drained.is_some_and(|(_, since)| self.clock.monotonic().saturating_sub(since) > DRAIN_MAX)
    }

    /// Waits while both halves of the buffer are full: the journal holds what comes meanwhile.
    fn make_room(&self, stop: &Stop) {
        let half = self.settings.buffer_bytes / 2;
        let mut state = self.lock();
        let mut waited = false;
        loop {
            if (state.active.fill().bytes as u64) < half || stop.requested() {
                return;
            }
            if state.frozen.is_none() {
                self.freeze(&mut state);
                self.changed.notify_all();
                return;
            }
            if !waited {
                waited = true;
                self.meters.buffer_full.add(1);
            }
            state = self.changed.wait_timeout(state, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn flush_loop(&self) {
        let mut retry_at = Duration::ZERO;
        let mut asked_last = false;
        loop {
            let state = self.lock();
            let idle = |state: &mut super::State| {
                let due = state.frozen.is_some() || self.flush_due(state);
                let may = self.clock.monotonic() >= retry_at;
                !(due && may || state.followed)
            };
            let (mut state, _) = self
                .changed
                .wait_timeout_while(state, LOOK_EVERY, idle)
                .unwrap_or_else(PoisonError::into_inner);
            let ending = state.followed;
            if ending && !asked_last && !state.active.is_empty() {
                // Once: records that wait for a table that is closed are there again after it.
                asked_last = true;
                state.asked = state.asked.max(state.done + 1);
            }
            drop(state);
            if self.clock.monotonic() < retry_at && !ending {
                continue;
            }
            match self.flush_step() {
                Ok(true) => {}
                Ok(false) if ending => break,
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(event = "flush.failed", %error, "the flush failed; the journal keeps what it would have written");
                    if ending {
                        break;
                    }
                    retry_at = self.clock.monotonic() + RETRY_AFTER;
                }
            }
        }
    }

    fn merge_loop(&self, stop: &Stop) {
        while !stop.wait(self.settings.merge_every.max(MERGE_EVERY_MIN)) {
            loop {
                match self.merge_step(&|| stop.requested()) {
                    Ok(true) if !stop.requested() => {}
                    Ok(_) | Err(Error::Stopping | Error::Conflict) => break,
                    Err(error) => {
                        tracing::error!(event = "merge.failed", %error, "a merge of files failed; it is tried again");
                        self.meters.merge_failures.add(1);
                        break;
                    }
                }
            }
            if let Err(error) = self.clean() {
                tracing::warn!(event = "vacuum.failed", %error, "old files could not be removed; it is tried again");
            }
        }
    }
}
