//! Where appends meet the committing thread: a queue behind one short lock. What is refused is refused here; nothing
//! here touches the disk.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidemill_core::{Busy, Commit, CommitGroup, Durability, Parcel, Seq};
use tidemill_ground::Clock;

use crate::frame;
use crate::gauges::{Gauges, Reason};
use crate::settings::Settings;

/// Buffers kept for the next appends, and the largest that is worth keeping.
const POOL_BUFFERS_MAX: usize = 64;
const POOL_BUFFER_BYTES_MAX: usize = 256 << 10;
/// Parcels that may wait at once: each costs memory beyond its bytes.
pub(crate) const WAITING_PARCELS_MAX: usize = 1 << 17;

/// One parcel on its way.
pub(crate) struct Entry {
    pub(crate) seq: Seq,
    /// Its payload; `None` for one that is not in the log.
    pub(crate) payload: Option<Payload>,
    pub(crate) parcel: Arc<Parcel>,
    /// When it was taken, where somebody waits for its commit.
    pub(crate) since: Option<Duration>,
}

pub(crate) struct Payload {
    pub(crate) bytes: Vec<u8>,
    pub(crate) crc: u32,
}

/// Why new parcels are refused, beyond there being too many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// All of them.
    Unwritable(Arc<str>),
    /// Those with samples; all of them where there is no room for any segment.
    DiskFull { free_bytes: u64, needed_bytes: u64, records_too: bool },
    /// Those with samples: a cursor may not lose anything.
    Held(Arc<str>),
}

impl Refusal {
    fn is_of_records(&self) -> bool {
        matches!(self, Refusal::Unwritable(_) | Refusal::DiskFull { records_too: true, .. })
    }

    fn reason(&self) -> Reason {
        match self {
            Refusal::Unwritable(_) => Reason::Unwritable,
            Refusal::DiskFull { .. } => Reason::DiskFull,
            Refusal::Held(_) => Reason::Held,
        }
    }

    fn told(&self) -> Busy {
        match self {
            Refusal::Unwritable(why) | Refusal::Held(why) => Busy::Unwritable(why.clone()),
            Refusal::DiskFull { free_bytes, needed_bytes, .. } => {
                Busy::DiskFull { free_bytes: *free_bytes, needed_bytes: *needed_bytes }
            }
        }
    }
}

#[derive(Default)]
struct Queue {
    entries: Vec<Entry>,
    group: CommitGroup,
    /// Bytes in `entries`, and in the group that is on its way to the disk.
    waiting_bytes: u64,
    in_flight_bytes: u64,
    in_flight_parcels: usize,
    next: u64,
    /// Appends that want a sync now.
    commits: usize,
    /// Appends that are to be in the log.
    logged: usize,
    oldest_ride: Option<Duration>,
    refusal: Option<Refusal>,
    stopping: bool,
    /// Something came since [`Front::look`]: an append, or one who calls for something else.
    news: bool,
    asleep: bool,
}

impl Queue {
    fn waiting(&self) -> Waiting {
        Waiting {
            parcels: self.entries.len(),
            commits: self.commits,
            logged: self.logged,
            bytes: self.waiting_bytes,
            oldest_ride: self.oldest_ride,
            stopping: self.stopping,
        }
    }
}

/// What one commit takes.
pub(crate) struct Taken {
    pub(crate) entries: Vec<Entry>,
    pub(crate) group: CommitGroup,
}

/// What waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) parcels: usize,
    pub(crate) commits: usize,
    pub(crate) logged: usize,
    pub(crate) bytes: u64,
    pub(crate) oldest_ride: Option<Duration>,
    pub(crate) stopping: bool,
}

pub(crate) struct Front {
    queue: Mutex<Queue>,
    work: Condvar,
    pool: Mutex<Vec<Vec<u8>>>,
    /// Whether there is a refusal, so that no work is done for a parcel that will be refused.
    refusing: AtomicBool,
    clock: Arc<dyn Clock>,
    gauges: Arc<Gauges>,
    unsynced_bytes_max: u64,
    frame_bytes_max: u64,
}

impl Front {
    pub(crate) fn new(settings: &Settings, clock: Arc<dyn Clock>, gauges: Arc<Gauges>, next: Seq) -> Front {
        gauges.show_limit(settings.unsynced_bytes_max);
        Front {
            queue: Mutex::new(Queue { next: next.0, ..Queue::default() }),
            work: Condvar::new(),
            pool: Mutex::default(),
            refusing: AtomicBool::new(false),
            clock,
            gauges,
            unsynced_bytes_max: settings.unsynced_bytes_max,
            frame_bytes_max: settings.frame_bytes_max(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a parcel, or refuses it. Encoding and checksum happen before the lock.
    pub(crate) fn append(&self, parcel: Arc<Parcel>, durability: Durability) -> Result<Commit, Busy> {
        if self.refusing.load(Ordering::Acquire) {
            self.admit(&self.lock(), &parcel, durability)?;
        }
        let payload = match durability {
            Durability::Live => None,
            Durability::Commit | Durability::Ride => Some(self.encode(&parcel)?),
        };
        let bytes = match &payload {
            Some(payload) => frame::frame_bytes(payload.bytes.len() as u64),
            None => parcel.bytes() as u64,
        };
        if bytes > self.frame_bytes_max {
            self.gauges.refused(Reason::TooLarge);
            return Err(Busy::TooLarge { bytes, max_bytes: self.frame_bytes_max });
        }
        let now = self.clock.monotonic();
        let ride_since = matches!(durability, Durability::Ride).then_some(now);
        let since = matches!(durability, Durability::Commit).then_some(now);
        let mut queue = self.lock();
        self.admit(&queue, &parcel, durability)?;
        let waiting = queue.waiting_bytes + queue.in_flight_bytes;
        let parcels = queue.entries.len() + queue.in_flight_parcels;
        if waiting + bytes > self.unsynced_bytes_max || parcels >= WAITING_PARCELS_MAX {
            drop(queue);
            self.give_back(payload);
            self.gauges.refused(Reason::Unsynced);
            return Err(Busy::Unsynced { waiting_bytes: waiting, max_bytes: self.unsynced_bytes_max });
        }
        let (seq, commit) = match durability {
            Durability::Live => {
                let seq = Seq(queue.next.saturating_sub(1));
                (seq, Commit::ready(seq))
            }
            Durability::Commit | Durability::Ride => {
                let seq = Seq(queue.next);
                queue.next += 1;
                queue.logged += 1;
                (seq, queue.group.waiter(seq))
            }
        };
        queue.waiting_bytes += bytes;
        queue.commits += usize::from(durability == Durability::Commit);
        queue.oldest_ride = queue.oldest_ride.or(ride_since);
        queue.entries.push(Entry { seq, payload, parcel, since });
        self.wake(queue);
        self.gauges.appends.add(1);
        Ok(commit)
    }

    fn admit(&self, queue: &Queue, parcel: &Parcel, durability: Durability) -> Result<(), Busy> {
        if queue.stopping {
            self.gauges.refused(Reason::Stopping);
            return Err(Busy::Stopping);
        }
        if durability == Durability::Live {
            return Ok(());
        }
        let samples = parcel.samples.is_some() || !parcel.messages.is_empty();
        let Some(refusal) = queue.refusal.as_ref().filter(|refusal| samples || refusal.is_of_records())
        else {
            return Ok(());
        };
        self.gauges.refused(refusal.reason());
        Err(refusal.told())
    }

    /// Why samples would be refused now, if they would.
    pub(crate) fn refuses_samples(&self) -> Option<Busy> {
        let queue = self.lock();
        if queue.stopping { Some(Busy::Stopping) } else { queue.refusal.as_ref().map(Refusal::told) }
    }

    fn encode(&self, parcel: &Parcel) -> Result<Payload, Busy> {
        // A batch that could not be read back must not be acknowledged. Only a defect of the house makes one.
        if parcel.samples.as_ref().is_some_and(|batch| !plausible(batch)) {
            self.gauges.refused(Reason::Unsound);
            return Err(Busy::Unwritable(
                "the batch's columns do not fit each other, which is a defect".into(),
            ));
        }
        let mut bytes = self.pool.try_lock().ok().and_then(|mut pool| pool.pop()).unwrap_or_default();
        bytes.clear();
        let crc = frame::encode(parcel, &mut bytes);
        Ok(Payload { bytes, crc })
    }

    fn give_back(&self, payload: Option<Payload>) {
        self.recycle(payload.into_iter().map(|payload| payload.bytes));
    }

    /// Keeps buffers for the next appends.
    pub(crate) fn recycle(&self, buffers: impl Iterator<Item = Vec<u8>>) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let room = POOL_BUFFERS_MAX.saturating_sub(pool.len());
        pool.extend(buffers.filter(|buffer| buffer.capacity() <= POOL_BUFFER_BYTES_MAX).take(room));
    }

    /// Takes all that waits. It counts as waiting until [`Front::settle`].
    pub(crate) fn take(&self) -> Taken {
        let mut queue = self.lock();
        let entries = std::mem::take(&mut queue.entries);
        let group = std::mem::take(&mut queue.group);
        queue.in_flight_bytes += std::mem::take(&mut queue.waiting_bytes);
        queue.in_flight_parcels += entries.len();
        queue.commits = 0;
        queue.logged = 0;
        queue.oldest_ride = None;
        self.gauges.unsynced_bytes.set(i64::try_from(queue.in_flight_bytes).unwrap_or(i64::MAX));
        Taken { entries, group }
    }

    /// What was taken is on the disk, or given up.
    pub(crate) fn settle(&self) {
        let mut queue = self.lock();
        queue.in_flight_bytes = 0;
        queue.in_flight_parcels = 0;
    }

    pub(crate) fn waiting(&self) -> Waiting {
        self.lock().waiting()
    }

    /// What waits, for one who then decides how long to [`Front::sleep`]: whatever comes after this look ends that sleep,
    /// also when it came before the sleep began. A group that grew while the one before it was synced is due at once.
    pub(crate) fn look(&self) -> Waiting {
        let mut queue = self.lock();
        queue.news = false;
        queue.waiting()
    }

    /// The number that the next parcel written will have.
    pub(crate) fn next_to_write(&self) -> Seq {
        let queue = self.lock();
        queue.entries.iter().find(|entry| entry.payload.is_some()).map_or(Seq(queue.next), |entry| entry.seq)
    }

    pub(crate) fn refuse(&self, refusal: Option<Refusal>) {
        let mut queue = self.lock();
        self.refusing.store(refusal.is_some() || queue.stopping, Ordering::Release);
        queue.refusal = refusal;
    }

    pub(crate) fn stop(&self) {
        let mut queue = self.lock();
        queue.stopping = true;
        self.refusing.store(true, Ordering::Release);
        drop(queue);
        self.work.notify_all();
    }

    /// Calls the committing thread for something else than an append.
    pub(crate) fn call(&self) {
        self.wake(self.lock());
    }

    fn wake(&self, mut queue: MutexGuard<'_, Queue>) {
        queue.news = true;
        let asleep = std::mem::take(&mut queue.asleep);
        drop(queue);
        if asleep {
            self.work.notify_one();
        }
    }

    /// Lets more come for so long, without being woken by each of them.
    pub(crate) fn linger(&self, limit: Duration) {
        let stay = |queue: &mut Queue| !queue.stopping;
        drop(self.work.wait_timeout_while(self.lock(), limit, stay));
    }

    /// Sleeps until something new waits, somebody calls, or the time is over.
    pub(crate) fn sleep(&self, limit: Option<Duration>) {
        let mut queue = self.lock();
        let nothing = |queue: &mut Queue| !queue.news && !queue.stopping;
        queue.asleep = true;
        let mut queue = match limit {
            None => self.work.wait_while(queue, nothing).unwrap_or_else(PoisonError::into_inner),
            Some(limit) => {
                self.work.wait_timeout_while(queue, limit, nothing).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        queue.asleep = false;
    }
}

/// Whether a batch will be sound once it was written and read. Rows without text cost nothing here.
fn plausible(batch: &tidemill_core::SampleBatch) -> bool {
    use tidemill_core::{BATCH_ROWS_MAX, Column};
    let kinds = match &batch.kind {
        Column::Same(kind) if !kind.is_heap() => batch.len(),
        Column::Same(_) => return batch.len() <= BATCH_ROWS_MAX && batch.is_sound(),
        Column::Each(kinds) if kinds.iter().all(|kind| !kind.is_heap()) => kinds.len(),
        Column::Each(_) => return batch.len() <= BATCH_ROWS_MAX && batch.is_sound(),
    };
    let qualities = match &batch.quality {
        Column::Same(_) => batch.len(),
        Column::Each(qualities) => qualities.len(),
    };
    let rows = batch.len();
    rows <= BATCH_ROWS_MAX
        && [kinds, qualities, batch.time.len(), batch.bits.len()].iter().all(|len| *len == rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_ground::Ground;

    /// A front, and how long it sleeps if it may for so long. A condition variable waits in real time.
    fn front() -> (Front, impl Fn(&Front, Duration) -> Duration) {
        let (ground, _) = Ground::simulated(1);
        let gauges = Arc::new(Gauges::new(&ground.metrics));
        let front = Front::new(&Settings::default(), ground.clock.clone(), gauges, Seq(1));
        let asleep = |front: &Front, limit: Duration| {
            let clock = Ground::real().clock;
            let began = clock.monotonic();
            front.sleep(Some(limit));
            clock.monotonic() - began
        };
        (front, asleep)
    }

    #[test]
    fn a_call_wakes_once() {
        let (front, asleep) = front();
        front.call();
        assert!(asleep(&front, Duration::from_secs(60)) < Duration::from_secs(60), "it was called");
        front.look();
        let limit = Duration::from_millis(50);
        assert!(asleep(&front, limit) >= limit, "nobody called since, and nothing was committed");
        assert!(asleep(&front, limit) >= limit);
    }

    #[test]
    fn what_came_while_a_group_was_synced_is_not_slept_over() {
        let (front, asleep) = front();
        let parcel = || Arc::new(Parcel::of_record(tidemill_core::StreamId(9), "k", "v".to_owned()));
        let first = front.append(parcel(), Durability::Commit).unwrap();
        assert_eq!(front.look().commits, 1);
        let taken = front.take();
        let second = front.append(parcel(), Durability::Commit).unwrap();
        taken.group.resolve(Ok(()));
        front.settle();
        assert!(
            asleep(&front, Duration::from_secs(60)) < Duration::from_secs(60),
            "one that came after the look"
        );
        assert_eq!((front.look().commits, first.seq(), second.seq()), (1, Seq(1), Seq(2)));
    }
}
