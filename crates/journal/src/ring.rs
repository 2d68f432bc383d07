//! Committed parcels in memory, for followers that keep up. What all of them have taken goes but for a short tail; a slow
//! follower finds its place gone and reads the disk.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tidemill_core::{Parcel, Seq};
use tidemill_ground::Counter;

/// This part of the room is kept also when all followers have taken it, for those who come back.
const TAIL_PART: usize = 8;

/// A committed parcel, or one that is not in the log and comes after `seq`.
#[derive(Clone)]
pub(crate) struct Hot {
    pub(crate) seq: Seq,
    pub(crate) logged: bool,
    pub(crate) parcel: Arc<Parcel>,
}

/// Where a follower stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The last parcel delivered.
    pub(crate) seq: Seq,
    /// The next position in the ring, where the follower was there before.
    pub(crate) position: Option<u64>,
    /// Parcels before it that were never in the log.
    pub(crate) live: u64,
}

/// What the ring has for a follower.
pub(crate) enum Found {
    /// These, and where they end.
    Hot(Place),
    /// Nothing new: it will be woken.
    Nothing,
    /// Its place is gone, or was never here: up to this parcel the disk has it.
    Behind(Seq),
    /// No more will come.
    Closed,
}

#[derive(Default)]
struct State {
    entries: VecDeque<(Hot, usize)>,
    bytes: usize,
    /// The position of the first entry.
    start: u64,
    /// The last parcel that is no longer here.
    gone: Seq,
    wakers: BTreeMap<u64, Waker>,
    /// From which position on each follower may still want what is here.
    wanted: BTreeMap<u64, u64>,
    closed: bool,
    /// A follower waits for the disk.
    stalled: bool,
    live_gone: u64,
}

pub(crate) struct Ring {
    state: Mutex<State>,
    durable: AtomicU64,
    bytes_max: usize,
    followers: AtomicU64,
    live_missed: Counter,
}

impl Ring {
    /// An empty one: all up to `durable` is on the disk alone.
    pub(crate) fn new(bytes_max: usize, durable: Seq, live_missed: Counter) -> Ring {
        let state = State { gone: durable, ..State::default() };
        Ring {
            state: Mutex::new(state),
            durable: AtomicU64::new(durable.0),
            bytes_max,
            followers: AtomicU64::new(0),
            live_missed,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn durable(&self) -> Seq {
        Seq(self.durable.load(Ordering::Acquire))
    }

    /// A number for a new follower, under which it is woken, and its place after this parcel.
    pub(crate) fn enter(&self, after: Seq) -> (u64, Place) {
        let number = self.followers.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        let start = state.start;
        state.wanted.insert(number, start);
        let live = state.live_gone + state.entries.iter().filter(|(hot, _)| !hot.logged).count() as u64;
        // It misses nothing that came before it did.
        (number, Place { seq: after, position: None, live })
    }

    pub(crate) fn forget(&self, follower: u64) {
        let mut state = self.lock();
        state.wakers.remove(&follower);
        state.wanted.remove(&follower);
    }

    /// Shows committed parcels, in order, and gives those to wake who wait for them.
    #[must_use = "followers would sleep over it"]
    pub(crate) fn publish(&self, parcels: impl Iterator<Item = Hot>) -> BTreeMap<u64, Waker> {
        // Dropped when others may look again.
        let mut taken = Vec::new();
        let mut state = self.lock();
        let mut durable = self.durable();
        for hot in parcels {
            let bytes = hot.parcel.bytes();
            durable = durable.max(hot.seq);
            state.bytes += bytes;
            state.entries.push_back((hot, bytes));
        }
        let wanted = state.wanted.values().copied().min().unwrap_or(u64::MAX);
        let tail = self.bytes_max / TAIL_PART;
        while state.entries.len() > 1
            && (state.bytes > self.bytes_max || (state.bytes > tail && state.start < wanted))
        {
            let Some((hot, bytes)) = state.entries.pop_front() else { break };
            state.bytes -= bytes;
            state.start += 1;
            state.gone = state.gone.max(hot.seq);
            state.live_gone += u64::from(!hot.logged);
            taken.push(hot);
        }
        self.durable.store(durable.0, Ordering::Release);
        std::mem::take(&mut state.wakers)
    }

    /// Lets followers see what the disk has up to here. Nothing in the ring comes after it.
    pub(crate) fn show_disk(&self, upto: Seq) {
        let mut state = self.lock();
        state.gone = state.gone.max(upto);
        // Who stands in the ring already is sent to the disk: no parcel before `upto` was ever here.
        state.start += state.entries.len() as u64 + 1;
        state.live_gone += state.entries.drain(..).filter(|(hot, _)| !hot.logged).count() as u64;
        state.bytes = 0;
        self.durable.fetch_max(upto.0, Ordering::AcqRel);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_values().for_each(Waker::wake);
    }

    /// Wakes a follower with the next parcel, or when the writer looks after the log.
    pub(crate) fn wait(&self, follower: u64, waker: Option<&Waker>) {
        let mut state = self.lock();
        state.stalled = true;
        state.wakers.extend(waker.map(|waker| (follower, waker.clone())));
    }

    /// Lets followers try again that could not read.
    pub(crate) fn wake_stalled(&self) {
        let mut state = self.lock();
        if !std::mem::take(&mut state.stalled) {
            return;
        }
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_values().for_each(Waker::wake);
    }

    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_values().for_each(Waker::wake);
    }

    /// Gives a follower at most `count` parcels after its place.
    pub(crate) fn after(
        &self,
        place: Place,
        count: usize,
        follower: u64,
        waker: Option<&Waker>,
        out: &mut VecDeque<Hot>,
    ) -> Found {
        let mut state = self.lock();
        let (mut position, mut live) = match place.position {
            Some(position) if position >= state.start => (position, place.live),
            // It was here, but too slow; or it comes from the disk and finds the next parcel here.
            _ if place.seq >= state.gone => {
                let before =
                    |(hot, _): &(Hot, usize)| hot.seq < place.seq || (hot.seq == place.seq && hot.logged);
                let skipped = state.entries.partition_point(before);
                let live = state.live_gone
                    + state.entries.iter().take(skipped).filter(|(hot, _)| !hot.logged).count() as u64;
                self.live_missed.add(live.saturating_sub(place.live));
                (state.start + skipped as u64, live)
            }
            _ => {
                // When it has read the disk up to here, the rest is to be here.
                let start = state.start;
                state.wanted.insert(follower, start);
                return Found::Behind(state.gone);
            }
        };
        let from = usize::try_from(position - state.start).unwrap_or(usize::MAX);
        let mut seq = place.seq;
        for (hot, _) in state.entries.iter().skip(from).take(count) {
            position += 1;
            live += u64::from(!hot.logged);
            // One that begins later than the log's end has no need of what came before.
            if hot.seq > place.seq || !hot.logged {
                seq = seq.max(hot.seq);
                out.push_back(hot.clone());
            }
        }
        state.wanted.insert(follower, position);
        if !out.is_empty() {
            return Found::Hot(Place { seq, position: Some(position), live });
        }
        if state.closed {
            return Found::Closed;
        }
        if let Some(waker) = waker {
            state.wakers.insert(follower, waker.clone());
        }
        Found::Nothing
    }

    /// One parcel, if it is here.
    pub(crate) fn find(&self, seq: Seq) -> Option<Arc<Parcel>> {
        let state = self.lock();
        let at = state.entries.partition_point(|(hot, _)| hot.seq < seq);
        state
            .entries
            .iter()
            .skip(at)
            .find(|(hot, _)| hot.logged && hot.seq == seq)
            .map(|(hot, _)| hot.parcel.clone())
    }
}

#[cfg(test)]
mod tests {
    use tidemill_core::StreamId;

    use super::*;

    const BYTES_MAX: usize = 80_000;

    fn ring() -> Ring {
        Ring::new(BYTES_MAX, Seq(0), Counter::default())
    }

    /// A thousand bytes and what a parcel takes beside them.
    fn publish(ring: &Ring, seq: u64) {
        let parcel = Arc::new(Parcel::of_record(StreamId(9), "k", vec![0; 1_000]));
        drop(ring.publish(std::iter::once(Hot { seq: Seq(seq), logged: true, parcel })));
    }

    fn held(ring: &Ring) -> usize {
        ring.lock().bytes
    }

    /// Takes all that is there for a follower; says how many that were, or that it must read the disk first.
    fn take(ring: &Ring, number: u64, place: &mut Place) -> Result<usize, Seq> {
        let mut count = 0;
        loop {
            let mut out = VecDeque::new();
            match ring.after(*place, 64, number, None, &mut out) {
                Found::Hot(next) => *place = next,
                Found::Behind(gone) => return Err(gone),
                Found::Nothing | Found::Closed => return Ok(count),
            }
            count += out.len();
        }
    }

    #[test]
    fn what_all_followers_have_taken_goes_but_for_a_short_tail() {
        let ring = ring();
        let (quick, mut quick_place) = ring.enter(Seq(0));
        let (slow, mut slow_place) = ring.enter(Seq(0));
        for seq in 1..=60 {
            publish(&ring, seq);
            assert_eq!(take(&ring, quick, &mut quick_place), Ok(1));
        }
        assert!(held(&ring) > 60_000, "the slow one has taken nothing: {}", held(&ring));
        assert_eq!(take(&ring, slow, &mut slow_place), Ok(60));
        publish(&ring, 61);
        let tail = 8_000..=BYTES_MAX / TAIL_PART;
        assert!(tail.contains(&held(&ring)), "{}", held(&ring));
        assert_eq!(
            (take(&ring, quick, &mut quick_place), take(&ring, slow, &mut slow_place)),
            (Ok(1), Ok(1))
        );
        // One that takes nothing holds no more than there is room for, and nothing when it has gone.
        (62..=200).for_each(|seq| publish(&ring, seq));
        assert!((70_000..=BYTES_MAX).contains(&held(&ring)), "{}", held(&ring));
        assert_eq!(take(&ring, quick, &mut quick_place).map_err(|gone| gone.0 > 100), Err(true));
        ring.forget(slow);
        ring.forget(quick);
        publish(&ring, 201);
        assert!(tail.contains(&held(&ring)), "{}", held(&ring));
    }

    #[test]
    fn what_comes_while_a_follower_reads_the_disk_stays_here() {
        let ring = ring();
        (1..=50).for_each(|seq| publish(&ring, seq));
        let (number, mut place) = ring.enter(Seq(0));
        let Err(gone) = take(&ring, number, &mut place) else { panic!("nobody wanted the first") };
        (51..=90).for_each(|seq| publish(&ring, seq));
        place = Place { seq: gone, position: None, ..place };
        assert_eq!(take(&ring, number, &mut place), Ok(90 - gone.0 as usize));
    }
}
