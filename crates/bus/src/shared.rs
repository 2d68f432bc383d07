//! What the parts of the namespace share, in which order its locks are taken, and how the state gets into its file.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tidemill_core::{Authority, CursorId, Journal, Problem, Seq, SignalId, SourceId, codes};
use tidemill_ground::{Clock, Disk, Ground};

use crate::defined::Defined;
use crate::delivery::Ending;
use crate::error::Error;
use crate::last::LastValues;
use crate::meters::Meters;
use crate::namespace::{CommandHandler, Twin};
use crate::once::Once;
use crate::recover::Lost;
use crate::registry::Registry;
use crate::reserve::Reserve;
use crate::route::Router;
use crate::settings::Settings;
use crate::snapshot;
use crate::stamp::Stamper;
use crate::writers::{Unsynced, Writer, Writers};

/// The bus's cursor in the log: up to here the snapshot knows everything.
pub(crate) const CURSOR: CursorId = CursorId("registry");
/// How many signals are written to the snapshot under one hold of a lock.
const SNAPSHOT_CHUNK: usize = 4_096;
/// How many identities may ever have written: each keeps its number for ever.
pub(crate) const SOURCES_MAX: u32 = 65_536;
/// No sooner than this after one snapshot, also a failed one, comes the next.
pub(crate) const SNAPSHOT_LOOK: Duration = Duration::from_secs(1);
/// After so long one is due that costs little beside what it spares a start: the parcels since the last take so many times the
/// memory of all signals, of which a snapshot takes about half, and at least so many bytes.
const SNAPSHOT_CHEAP_AFTER: Duration = Duration::from_secs(10);
const SNAPSHOT_CHEAP_TIMES: u64 = 8;
const SNAPSHOT_CHEAP_BYTES: u64 = 4 << 20;

/// What is stamped and appended in order.
pub(crate) struct Order {
    pub(crate) stamper: Stamper,
    pub(crate) unsynced: Unsynced,
}

/// How far the log was taken in.
#[derive(Default)]
pub(crate) struct Progress {
    applied: AtomicU64,
    state: Mutex<Ended>,
    changed: Condvar,
}

#[derive(Default)]
pub(crate) struct Ended {
    pub(crate) ended: bool,
    pub(crate) failure: Option<Error>,
    waiting: usize,
}

impl Progress {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Ended> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn applied(&self) -> Seq {
        Seq(self.applied.load(Ordering::Acquire))
    }

    pub(crate) fn reach(&self, seq: Seq) {
        self.applied.fetch_max(seq.0, Ordering::AcqRel);
        // The lock is the barrier for one who has looked and is about to wait.
        if self.lock().waiting > 0 {
            self.changed.notify_all();
        }
    }

    pub(crate) fn end(&self, failure: Option<Error>) {
        let mut state = self.lock();
        state.ended = true;
        state.failure = failure;
        self.changed.notify_all();
    }

    /// Waits until `seq` was taken in; false after `limit` or when nothing more comes.
    pub(crate) fn wait(&self, seq: Seq, limit: Duration) -> bool {
        if self.applied() >= seq {
            return true;
        }
        let mut state = self.lock();
        state.waiting += 1;
        let pending = |state: &mut Ended| self.applied() < seq && !state.ended;
        let (mut state, _) =
            self.changed.wait_timeout_while(state, limit, pending).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        drop(state);
        self.applied() >= seq
    }

    pub(crate) fn wait_for_end(&self) -> Option<Error> {
        let mut state = self.lock();
        state.waiting += 1;
        let mut state =
            self.changed.wait_while(state, |state| !state.ended).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state.failure.take()
    }
}

/// What the parts of the namespace share.
///
/// Order of locks: `once`, `registry`, `writers`, `reserve`, `order`, `last`. The log is called under the first five,
/// never under `last`; nothing of the log calls back while it holds locks of its own.
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) authority: Arc<dyn Authority>,
    pub(crate) settings: ArcSwap<Settings>,
    registry: RwLock<Registry>,
    reserve: Mutex<Reserve>,
    pub(crate) signals_defined: Defined,
    pub(crate) sources_defined: Defined,
    /// How many edits changed owner, name, kind or unit.
    pub(crate) edits: AtomicU64,
    writers: RwLock<Writers>,
    order: Mutex<Order>,
    once: Mutex<Once>,
    last: RwLock<LastValues>,
    /// Definitions that may be lost.
    pub(crate) lost: Lost,
    pub(crate) router: Router,
    pub(crate) progress: Progress,
    pub(crate) ending: Ending,
    pub(crate) bytes_since_snapshot: AtomicU64,
    snapshots: Mutex<Duration>,
    pub(crate) twins: Mutex<VecDeque<Twin>>,
    pub(crate) handlers: RwLock<HashMap<Arc<str>, Arc<dyn CommandHandler>>>,
    pub(crate) meters: Meters,
}

macro_rules! locks {
    ($($(#[$doc:meta])* $name:ident $field:ident $method:ident $guard:ident $of:ty;)*) => {
        impl Shared {
            $($(#[$doc])* pub(crate) fn $name(&self) -> $guard<'_, $of> {
                // A panic elsewhere leaves each of these as it was before or after a step, never between.
                self.$field.$method().unwrap_or_else(PoisonError::into_inner)
            })*
        }
    };
}

locks! {
    registry registry read RwLockReadGuard Registry;
    registry_mut registry write RwLockWriteGuard Registry;
    writers writers read RwLockReadGuard Writers;
    writers_mut writers write RwLockWriteGuard Writers;
    order order lock MutexGuard Order;
    once once lock MutexGuard Once;
    last last read RwLockReadGuard LastValues;
    last_mut last write RwLockWriteGuard LastValues;
}

impl Shared {
    /// Over what was found in the snapshot; the log is followed after `from`.
    pub(crate) fn new(
        ground: &Ground,
        dir: &Path,
        journal: Arc<dyn Journal>,
        authority: Arc<dyn Authority>,
        settings: Settings,
        state: snapshot::State,
        from: Seq,
    ) -> Result<Shared, Error> {
        let snapshot::State { stamper, registry, once: known, last, .. } = state;
        let (signals_defined, sources_defined) = (Defined::default(), Defined::default());
        registry.entries(0).for_each(|entry| signals_defined.set(entry.id.get(), true));
        registry.sources().for_each(|(id, _)| sources_defined.set(id.0, true));
        let mut once = Once::default();
        known.into_iter().for_each(|(key, seq)| once.done(key, seq));
        let disk = ground.disk.clone();
        let reserve = Reserve::open(disk.clone(), dir, registry.signals_end(), registry.sources_end())?;
        let order = Order { stamper: stamper.unwrap_or(Stamper::NEW), unsynced: Unsynced::default() };
        let progress = Progress::default();
        progress.reach(from);
        Ok(Shared {
            clock: ground.clock.clone(),
            disk,
            dir: dir.to_owned(),
            journal,
            authority,
            settings: ArcSwap::from_pointee(settings),
            registry: RwLock::new(registry),
            reserve: Mutex::new(reserve),
            signals_defined,
            sources_defined,
            edits: AtomicU64::new(0),
            writers: RwLock::default(),
            order: Mutex::new(order),
            once: Mutex::new(once),
            last: RwLock::new(last),
            lost: Lost::default(),
            router: Router::default(),
            progress,
            ending: Ending::default(),
            bytes_since_snapshot: AtomicU64::new(0),
            snapshots: Mutex::new(ground.clock.monotonic()),
            twins: Mutex::default(),
            handlers: RwLock::default(),
            meters: Meters::new(&ground.metrics),
        })
    }

    /// The epoch of grants: both parts only grow, so their sum is new whenever one of them is.
    pub(crate) fn epoch(&self) -> u64 {
        self.authority.epoch().saturating_add(self.edits.load(Ordering::Acquire))
    }

    pub(crate) fn stopping(&self) -> Result<(), Problem> {
        if self.ending.requested() {
            return Err(Problem::new(&codes::STOPPING, "the namespace is stopping").retry_after(1));
        }
        Ok(())
    }

    /// The writer of this name; a new one gets a number.
    pub(crate) fn writer(&self, name: &Arc<str>) -> Result<Arc<Writer>, Problem> {
        if let Some(writer) = self.writers().0.get(name) {
            return Ok(writer.clone());
        }
        let mut registry = self.registry_mut();
        let mut writers = self.writers_mut();
        if let Some(writer) = writers.0.get(name) {
            return Ok(writer.clone());
        }
        let source = match registry.source_id(name) {
            Some(source) => source,
            None if registry.sources_end() > SOURCES_MAX => {
                self.meters.sources_refused.add(1);
                let detail =
                    format!("{name} would be one more than the {SOURCES_MAX} sources that a plant may have");
                return Err(
                    Problem::new(&codes::SIGNALS_LIMIT, detail).hint("Write with names that stay the same")
                );
            }
            None => {
                let number = self.reserve().next_source()?;
                registry.put_source(SourceId(number), name.clone());
                SourceId(number)
            }
        };
        let writer = Arc::new(Writer::new(name.clone(), source));
        writers.0.insert(name.clone(), writer.clone());
        Ok(writer)
    }

    pub(crate) fn reserve(&self) -> MutexGuard<'_, Reserve> {
        self.reserve.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers go on after all that was read back from the log.
    pub(crate) fn end_of_replay(&self) {
        let registry = self.registry();
        self.reserve().known(registry.signals_end(), registry.sources_end());
    }

    /// Writes the state to its file and lets the log before it go.
    pub(crate) fn snapshot(&self) -> Result<(), Error> {
        let mut last_at = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.write_snapshot();
        // Also after a failure: the next try is not before the next time one is due.
        *last_at = self.clock.monotonic();
        if outcome.is_err() {
            self.meters.snapshots_failed.add(1);
        }
        let covered = outcome?;
        // The cursor is only a permission to trim: if it is lost, the log is read from an earlier place.
        drop(self.journal.advance(CURSOR, covered, Bytes::new()));
        Ok(())
    }

    fn write_snapshot(&self) -> Result<Seq, Error> {
        // Read first: everything up to here is in what is read after it.
        let covered = self.progress.applied();
        let bytes_before = self.bytes_since_snapshot.swap(0, Ordering::Relaxed);
        let mut file = snapshot::Builder::new(covered, self.order().stamper);
        file.list();
        self.registry().sources().for_each(|(id, name)| file.source(id, name));
        file.list();
        let mut from = 0;
        while from + 1 < self.registry().signals_end() as usize {
            let registry = self.registry();
            let chunk = registry.entries(from).take_while(|entry| entry.id.index() < from + SNAPSHOT_CHUNK);
            chunk.for_each(|entry| file.signal(entry));
            from += SNAPSHOT_CHUNK;
        }
        file.list();
        let once = self.once().entries();
        once.into_iter().for_each(|entry| file.once(entry));
        file.list();
        let mut from = 0;
        while from < self.last().len() {
            let last = self.last();
            let ids =
                (from + 1..).take(SNAPSHOT_CHUNK).filter_map(|id| SignalId::new(u32::try_from(id).ok()?));
            ids.for_each(|id| file.last(&last, id));
            from += SNAPSHOT_CHUNK;
        }
        match file.write(self.disk.as_ref(), &self.dir) {
            Ok(_) => Ok(covered),
            Err(error) => {
                self.bytes_since_snapshot.fetch_add(bytes_before, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    pub(crate) fn snapshot_is_due(&self) -> bool {
        let bytes = self.bytes_since_snapshot.load(Ordering::Relaxed);
        let last_at = *self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let age = self.clock.monotonic().saturating_sub(last_at);
        let settings = self.settings.load();
        // Once a snapshot covers the damage, nothing says any more that names are to be looked for.
        if self.lost.is_noted() {
            return false;
        }
        bytes > 0 && is_due(age, bytes, self.registry().bytes(), &settings)
    }

    /// The orderly end of the thread that follows.
    pub(crate) fn finish(&self) {
        if !self.lost.is_noted() && self.snapshot().is_ok() {
            // What was reserved and not used is only lost numbers if this fails.
            let _ = self.reserve().give_back();
        }
    }
}

/// Whether a snapshot is due so long after the last one, with so many bytes of parcels since.
fn is_due(age: Duration, bytes: u64, registry_bytes: u64, settings: &Settings) -> bool {
    let cheap = registry_bytes.saturating_mul(SNAPSHOT_CHEAP_TIMES).max(SNAPSHOT_CHEAP_BYTES);
    // A failed one is tried again once a look-out later, not at once.
    age >= settings.snapshot_interval
        || (age >= SNAPSHOT_LOOK && bytes >= settings.snapshot_bytes)
        || (age >= SNAPSHOT_CHEAP_AFTER && bytes >= cheap)
}

/// Says that the thread which follows has ended, also when it panicked: nobody waits for it for ever.
pub(crate) struct EndGuard(pub(crate) Arc<Shared>);

impl EndGuard {
    pub(crate) fn with(self, failure: Option<Error>) {
        self.0.progress.end(failure);
    }
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.router.all().iter().for_each(|subscriber| subscriber.mailbox.close());
        if !self.0.progress.lock().ended {
            self.0.progress.end(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_reads_little_of_the_log_where_that_costs_little() {
        let settings = Settings::default();
        let (small, large) = (600 << 10, 50 << 20);
        for (age_s, mib, registry_bytes, expected) in [
            (1, 63, small, false),
            (1, 64, small, true),
            (9, 63, small, false),
            (10, 4, small, false),
            (10, 5, small, true),
            (10, 4, 0, true),
            (10, 3, 0, false),
            (599, 63, large, false),
            (10, 64, large, true),
            (600, 1, large, true),
        ] {
            let due = is_due(Duration::from_secs(age_s), mib << 20, registry_bytes, &settings);
            assert_eq!(due, expected, "{age_s} s and {mib} MiB, {registry_bytes} bytes of signals");
        }
    }
}
