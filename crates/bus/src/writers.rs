//! Those who write: the number of each source, what of it waits for the disk, and how many new names it brought.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidemill_core::{Seq, SourceId};

/// New names are counted in windows of this length, which begin with the first new name.
const NEW_NAMES_WINDOW: Duration = Duration::from_secs(3600);

/// A parcel that was not seen committed for so long counts as lost: its bytes no longer weigh on its writer.
const UNSYNCED_AGE_MAX: Duration = Duration::from_secs(10);

/// Someone who writes.
pub(crate) struct Writer {
    pub(crate) name: Arc<str>,
    pub(crate) source: SourceId,
    unsynced_bytes: AtomicU64,
    new_names: Mutex<Option<Window>>,
}

struct Window {
    since: Duration,
    count: u64,
}

impl Writer {
    pub(crate) fn new(name: Arc<str>, source: SourceId) -> Writer {
        Writer { name, source, unsynced_bytes: AtomicU64::new(0), new_names: Mutex::default() }
    }

    /// How much waits for the disk.
    pub(crate) fn unsynced_bytes(&self) -> u64 {
        self.unsynced_bytes.load(Ordering::Relaxed)
    }

    /// Whether a new name may come, after so many others that are not counted yet; or for how long none may.
    pub(crate) fn check_new_names(&self, now: Duration, max: u64, others: u64) -> Result<(), Duration> {
        let mut window = self.new_names.lock().unwrap_or_else(PoisonError::into_inner);
        let current = match window.as_mut() {
            Some(current) if now.saturating_sub(current.since) < NEW_NAMES_WINDOW => current,
            _ => window.insert(Window { since: now, count: 0 }),
        };
        if current.count.saturating_add(others) >= max {
            return Err(NEW_NAMES_WINDOW.saturating_sub(now.saturating_sub(current.since)));
        }
        Ok(())
    }

    /// Counts a new name that was allowed.
    pub(crate) fn count_new_name(&self) {
        if let Some(window) = self.new_names.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            window.count = window.count.saturating_add(1);
        }
    }

    /// Names that were counted and then not created.
    pub(crate) fn give_back_new_names(&self, names: u64) {
        if let Some(window) = self.new_names.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            window.count = window.count.saturating_sub(names);
        }
    }
}

/// All writers by name. There are as many as sources in the registry, which limits them.
#[derive(Default)]
pub(crate) struct Writers(pub(crate) HashMap<Arc<str>, Arc<Writer>>);

/// What was appended and not yet seen committed, in the order of the log.
#[derive(Default)]
pub(crate) struct Unsynced(VecDeque<Waiting>);

struct Waiting {
    seq: Seq,
    bytes: u64,
    writer: Arc<Writer>,
    since: Duration,
}

impl Unsynced {
    pub(crate) fn push(&mut self, seq: Seq, bytes: u64, writer: &Arc<Writer>, now: Duration) {
        writer.unsynced_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.0.push_back(Waiting { seq, bytes, writer: writer.clone(), since: now });
    }

    /// Gives back what is committed up to here, and what is so old that its commit must have failed.
    pub(crate) fn release(&mut self, committed: Seq, now: Duration) {
        let done = |waiting: &Waiting| {
            waiting.seq <= committed || now.saturating_sub(waiting.since) > UNSYNCED_AGE_MAX
        };
        while let Some(waiting) = self.0.pop_front_if(|waiting| done(waiting)) {
            waiting.writer.unsynced_bytes.fetch_sub(waiting.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_names_come_back_after_an_hour() {
        let writer = Writer::new("token:a".into(), SourceId(1));
        let minute = Duration::from_secs(60);
        let take = |now| writer.check_new_names(now, 2, 0).inspect(|()| writer.count_new_name());
        assert_eq!(take(minute), Ok(()));
        assert_eq!(
            writer.check_new_names(minute, 2, 1),
            Err(60 * minute),
            "with another that is not counted yet"
        );
        assert_eq!(take(2 * minute), Ok(()));
        assert_eq!(take(31 * minute), Err(30 * minute));
        writer.give_back_new_names(1);
        assert_eq!(take(31 * minute), Ok(()));
        assert_eq!(take(61 * minute), Ok(()));
    }

    #[test]
    fn shares_come_back_with_the_commit_or_after_ten_seconds() {
        let (one, other) =
            (Arc::new(Writer::new("a".into(), SourceId(1))), Arc::new(Writer::new("b".into(), SourceId(2))));
        let mut unsynced = Unsynced::default();
        let second = Duration::from_secs(1);
        unsynced.push(Seq(1), 10, &one, second);
        unsynced.push(Seq(2), 20, &other, second);
        unsynced.push(Seq(3), 30, &one, 2 * second);
        unsynced.release(Seq(1), second);
        assert_eq!((one.unsynced_bytes(), other.unsynced_bytes()), (30, 20));
        unsynced.release(Seq(1), 11 * second + Duration::from_millis(1));
        assert_eq!((one.unsynced_bytes(), other.unsynced_bytes()), (30, 0));
        unsynced.release(Seq(9), 12 * second);
        assert_eq!(one.unsynced_bytes(), 0);
    }
}
