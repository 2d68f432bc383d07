//! The one thread that follows the log: what is committed becomes known (definitions, last values, publishes by number)
//! and is put before subscribers. At a start the same thread reads back what came after the snapshot.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use tidemill_core::{Deletion, Delivery, Feed, Parcel, Rows, SampleBatch, Seq, SignalId, StreamId};

use crate::error::Error;
use crate::feed::Place;
use crate::last::Touched;
use crate::record::{Definition, read_record};
use crate::route::{Cache, Subscriber};
use crate::shared::Shared;

/// Wakes a thread that waits for its feed.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// How the thread that follows is told to end.
#[derive(Default)]
pub(crate) struct Ending {
    requested: AtomicBool,
    orderly: AtomicBool,
    thread: std::sync::OnceLock<Thread>,
}

impl Ending {
    /// Asks for the end; an orderly one closes feeds and writes the state, the other is as a crash.
    pub(crate) fn request(&self, orderly: bool) {
        self.orderly.fetch_or(orderly, Ordering::AcqRel);
        self.requested.store(true, Ordering::Release);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    pub(crate) fn is_orderly(&self) -> bool {
        self.orderly.load(Ordering::Acquire)
    }

    pub(crate) fn requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// The next delivery. `None`: it is to end, and all that was ready has come.
    fn next(&self, feed: &mut dyn Feed) -> Option<Delivery> {
        let thread = std::thread::current();
        let _ = self.thread.set(thread.clone());
        let waker = Waker::from(Arc::new(Unpark(thread)));
        let mut context = Context::from_waker(&waker);
        let mut next = feed.next();
        loop {
            // Asked before the feed is, so that what was committed before the request still comes.
            let ending = self.requested();
            match next.as_mut().poll(&mut context) {
                Poll::Ready(delivery) => return Some(delivery),
                Poll::Pending if ending => return None,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

/// Follows until told to end.
pub(crate) struct Follower {
    shared: Arc<Shared>,
    touched: Touched,
    cache: Cache,
    last: Seq,
    /// What comes up to here was there before this start: server stamps go on after it.
    replay_to: Seq,
    /// No signal has a number from here on that was given before this start.
    reserved_end: u32,
    plan: Plan,
}

/// Scratch: which subscribers get which rows of one parcel.
#[derive(Default)]
struct Plan {
    /// For each touched signal, the place of its audience.
    places: Vec<usize>,
    /// For each place in use, how many signals have it.
    counts: HashMap<usize, usize>,
}

impl Follower {
    pub(crate) fn new(shared: Arc<Shared>, replay_to: Seq) -> Follower {
        let last = shared.progress.applied();
        let (touched, cache, plan) = (Touched::default(), Cache::default(), Plan::default());
        let reserved_end = shared.reserve().signals_end();
        Follower { shared, touched, cache, last, replay_to, reserved_end, plan }
    }

    /// Runs until the end is requested, the log is closed, or a record of a later version is met.
    pub(crate) fn run(&mut self, feed: &mut dyn Feed) -> Result<(), Error> {
        let shared = self.shared.clone();
        while let Some(delivery) = shared.ending.next(feed) {
            match delivery {
                Delivery::Data { seq, parcel, .. } => {
                    // What is only live stands behind the end of the log, which may have lost what is known here.
                    let seq = seq.max(self.last);
                    self.learn(seq, &parcel)?;
                    shared.progress.reach(seq);
                    self.release(seq);
                    // What is only live has the place of the durable parcel before it.
                    let live = std::mem::replace(&mut self.last, seq) == seq;
                    self.hand_out(Place { seq, live }, &parcel);
                }
                Delivery::Lagged { missed, to } => {
                    shared.meters.missed.add(missed);
                    // What came since this start is known without the log.
                    if self.last < self.replay_to {
                        shared.lost.note();
                    }
                    self.last = to;
                    shared.progress.reach(to);
                    self.release(to);
                }
                Delivery::Closed => break,
            }
        }
        Ok(())
    }

    fn learn(&mut self, seq: Seq, parcel: &Parcel) -> Result<(), Error> {
        let shared = &self.shared;
        shared.meters.parcels.add(1);
        shared.bytes_since_snapshot.fetch_add(parcel.bytes() as u64, Ordering::Relaxed);
        for record in parcel.records.iter().filter(|record| record.stream == StreamId::REGISTRY) {
            match read_record(record)? {
                Some(definition) => shared.learn(definition),
                None => {
                    shared.meters.unreadable.add(1);
                    shared.lost.note();
                }
            }
        }
        for deletion in parcel.records.iter().filter_map(Deletion::of) {
            shared.last_mut().delete(&deletion);
        }
        if let Some(key) = parcel.once {
            shared.once().done(key, seq);
        }
        if let Some(batch) = parcel.samples.as_deref() {
            self.learn_samples(seq, batch);
        }
        Ok(())
    }

    fn learn_samples(&mut self, seq: Seq, batch: &SampleBatch) {
        let shared = &self.shared;
        let registry = shared.registry();
        // An id whose definition is lost was reserved before it was given: its values wait for its name.
        let end = registry.signals_end().max(self.reserved_end);
        let (ahead, beyond) = self.touched.read(batch, end);
        let mut nameless: BTreeSet<SignalId> =
            self.touched.signals().filter(|id| registry.get(*id).is_none()).collect();
        drop(registry);
        if beyond > 0 {
            nameless.extend(batch.signal.iter().filter(|id| id.get() >= end));
        }
        if !nameless.is_empty() {
            let unknown = batch.signal.iter().filter(|id| nameless.contains(id)).count();
            shared.meters.unknown_ids.add(unknown as u64);
            if seq <= self.replay_to {
                shared.lost.note_nameless(nameless);
            }
        }
        shared.meters.samples.add(batch.len() as u64);
        shared.meters.future_samples.add(ahead);
        let texts_bytes_max = shared.settings.load().last_values_bytes;
        let refused = shared.last_mut().apply(batch, &self.touched, texts_bytes_max);
        shared.meters.last_refused.add(refused);
        if seq <= self.replay_to {
            shared.order().stamper.seen(batch);
        }
    }

    fn release(&self, seq: Seq) {
        let now = self.shared.clock.monotonic();
        self.shared.order().unsynced.release(seq, now);
    }

    fn hand_out(&mut self, place: Place, parcel: &Arc<Parcel>) {
        let generation = self.shared.router.begin(place.seq);
        self.cache.renew(generation);
        let Some(batch) = parcel.samples.as_deref() else { return };
        if !self.shared.router.has_routed() {
            return;
        }
        self.place();
        let bytes = parcel.bytes() as u64;
        let (mut deliveries, mut dropped) = (0, 0);
        let mut put = |subscriber: &Subscriber, rows: Rows| {
            deliveries += 1;
            dropped += subscriber.mailbox.put(place, parcel, rows, bytes);
        };
        let Follower { cache, plan, touched, .. } = self;
        match plan.counts.len() {
            0 => {}
            1 if plan.places.iter().all(|place| *place != usize::MAX) => {
                let place = plan.places.first().copied().unwrap_or(usize::MAX);
                cache.audience(place).iter().for_each(|subscriber| put(subscriber, Rows::All));
            }
            _ => mixed(cache, plan, touched, batch, put),
        }
        self.shared.meters.deliveries.add(deliveries);
        self.shared.meters.dropped.add(dropped);
    }

    /// Finds the audience of each touched signal.
    fn place(&mut self) {
        let Follower { shared, cache, plan, touched, .. } = self;
        plan.places.clear();
        plan.counts.clear();
        for id in touched.signals() {
            let place = match cache.known(id) {
                Some(place) => place,
                None => {
                    let entry = shared.registry().get(id).cloned();
                    match entry {
                        Some(entry) => {
                            shared.meters.matches.add(1);
                            cache.remember(id, shared.router.subscribers(&entry.path, &entry.about.aliases))
                        }
                        None => usize::MAX,
                    }
                }
            };
            plan.places.push(place);
            if place != usize::MAX {
                *plan.counts.entry(place).or_default() += 1;
            }
        }
    }
}

/// Signals of one batch have different audiences: rows are gathered for those who do not get all of them.
fn mixed(
    cache: &Cache,
    plan: &Plan,
    touched: &Touched,
    batch: &SampleBatch,
    mut put: impl FnMut(&Subscriber, Rows),
) {
    let mut shares: Vec<(&Arc<Subscriber>, usize, Vec<u32>)> = Vec::new();
    let mut share_of: HashMap<u64, usize> = HashMap::new();
    let mut shares_of_place: HashMap<usize, Vec<usize>> = HashMap::new();
    for (&place, &count) in &plan.counts {
        let members = shares_of_place.entry(place).or_default();
        for subscriber in cache.audience(place) {
            let share = *share_of.entry(subscriber.number).or_insert_with(|| {
                shares.push((subscriber, 0, Vec::new()));
                shares.len() - 1
            });
            members.push(share);
            if let Some((_, signals, _)) = shares.get_mut(share) {
                *signals += count;
            }
        }
    }
    let all = plan.places.len();
    // Those who get everything need no list.
    for members in shares_of_place.values_mut() {
        members.retain(|share| shares.get(*share).is_some_and(|(_, signals, _)| *signals < all));
    }
    for (row, id) in (0u32..).zip(&batch.signal) {
        let place = touched.place_of(*id).and_then(|at| plan.places.get(at));
        for share in place.and_then(|place| shares_of_place.get(place)).into_iter().flatten() {
            if let Some((_, _, rows)) = shares.get_mut(*share) {
                rows.push(row);
            }
        }
    }
    for (subscriber, signals, rows) in shares {
        put(subscriber, if signals == all { Rows::All } else { Rows::Some(rows) });
    }
}

impl Shared {
    /// Takes in a definition that is durable.
    fn learn(&self, definition: Definition) {
        match definition {
            Definition::Source { id, name } => {
                let mut registry = self.registry_mut();
                registry.put_source(id, name);
                self.sources_defined.set(id.0, true);
            }
            Definition::Signal { revision, signal } => {
                let id = signal.id;
                let mut registry = self.registry_mut();
                let retired = signal.retired;
                if registry.put(revision, signal) {
                    self.router.changed();
                    if retired {
                        self.last_mut().forget(id);
                    }
                }
                let current = registry.get(id).is_some_and(|entry| entry.revision == revision);
                if current {
                    self.signals_defined.set(id.get(), true);
                }
            }
        }
    }
}
