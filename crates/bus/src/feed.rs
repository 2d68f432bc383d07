//! What a subscriber holds: a bounded mailbox of the newest parcels, or its own reading of the log, or first the one and
//! then the other. Whoever does not come for his mail loses the oldest of it, is told how much, and holds up nobody.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use tidemill_core::{Boxed, Delivery, Feed, Parcel, PatternTrie, Rows, SampleBatch, Seq};

use crate::route::Subscriber;
use crate::shared::Shared;

/// Where a parcel stands in the log, or behind which parcel of the log it was only live.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) seq: Seq,
    pub(crate) live: bool,
}

/// The newest parcels for one subscriber.
pub(crate) struct Mailbox {
    state: Mutex<Mail>,
    parcels_max: usize,
    bytes_max: u64,
    after: Seq,
    dropped: AtomicU64,
    delivered: AtomicU64,
}

#[derive(Default)]
struct Mail {
    waiting: VecDeque<Letter>,
    bytes: u64,
    missed: u64,
    missed_to: Seq,
    closed: bool,
    waker: Option<Waker>,
}

struct Letter {
    seq: Seq,
    parcel: Arc<Parcel>,
    rows: Rows,
    bytes: u64,
}

impl Mailbox {
    pub(crate) fn new(parcels_max: usize, bytes_max: u64, after: Seq) -> Mailbox {
        Mailbox {
            state: Mutex::default(),
            parcels_max: parcels_max.max(1),
            bytes_max,
            after,
            dropped: AtomicU64::new(0),
            delivered: AtomicU64::new(after.0),
        }
    }

    /// Takes nothing up to this place.
    pub(crate) fn begin_after(&mut self, seq: Seq) {
        self.after = self.after.max(seq);
    }

    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a parcel in; gives how many older ones had to go.
    pub(crate) fn put(&self, place: Place, parcel: &Arc<Parcel>, rows: Rows, bytes: u64) -> u64 {
        let Place { seq, live } = place;
        let mut mail = self.lock();
        // Asked for after a place that the bus had not come to yet. A live parcel stands behind the durable one whose
        // place it has.
        if seq < self.after || (seq == self.after && !live) {
            return 0;
        }
        mail.waiting.push_back(Letter { seq, parcel: parcel.clone(), rows, bytes });
        mail.bytes += bytes;
        let mut dropped = 0;
        while mail.waiting.len() > self.parcels_max || (mail.bytes > self.bytes_max && mail.waiting.len() > 1)
        {
            let Some(oldest) = mail.waiting.pop_front() else { break };
            mail.bytes -= oldest.bytes;
            mail.missed += 1;
            mail.missed_to = oldest.seq;
            dropped += 1;
        }
        self.dropped.fetch_add(dropped, Ordering::Relaxed);
        let waker = mail.waker.take();
        drop(mail);
        waker.into_iter().for_each(Waker::wake);
        dropped
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        let mut mail = self.lock();
        mail.closed = true;
        let waker = mail.waker.take();
        drop(mail);
        waker.into_iter().for_each(Waker::wake);
    }

    fn take(&self, waker: &Waker) -> Poll<Delivery> {
        let mut mail = self.lock();
        if mail.missed > 0 {
            let missed = std::mem::take(&mut mail.missed);
            return Poll::Ready(Delivery::Lagged { missed, to: mail.missed_to });
        }
        if let Some(letter) = mail.waiting.pop_front() {
            mail.bytes -= letter.bytes;
            let Letter { seq, parcel, rows, .. } = letter;
            return Poll::Ready(Delivery::Data { seq, parcel, rows });
        }
        if mail.closed {
            return Poll::Ready(Delivery::Closed);
        }
        mail.waker = Some(waker.clone());
        Poll::Pending
    }

    fn came_to(&self, seq: Seq) {
        self.delivered.store(seq.0, Ordering::Relaxed);
    }

    /// How many parcels wait, and how many bytes they have.
    pub(crate) fn waiting(&self) -> (usize, u64) {
        let mail = self.lock();
        (mail.waiting.len(), mail.bytes)
    }

    /// How many parcels were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The last place that was handed to the subscriber.
    pub(crate) fn delivered(&self) -> Seq {
        Seq(self.delivered.load(Ordering::Relaxed))
    }
}

/// The feed of one subscription.
pub(crate) struct Subscription {
    shared: Arc<Shared>,
    subscriber: Arc<Subscriber>,
    log: Option<Log>,
}

/// The log, read for one subscription: up to a place, or for ever.
pub(crate) struct Log {
    pub(crate) feed: Box<dyn Feed>,
    pub(crate) until: Option<Seq>,
    pub(crate) selector: Selector,
}

impl Subscription {
    pub(crate) fn new(shared: Arc<Shared>, subscriber: Arc<Subscriber>, log: Option<Log>) -> Subscription {
        Subscription { shared, subscriber, log }
    }

    async fn read_log(&mut self) -> Option<Delivery> {
        let Log { feed, until, selector } = self.log.as_mut()?;
        let delivery = feed.next().await;
        let (seq, found) = match delivery {
            Delivery::Closed => return Some(Delivery::Closed),
            Delivery::Lagged { missed, to } => {
                self.shared.meters.dropped.add(missed);
                (to, Some(Delivery::Lagged { missed, to }))
            }
            Delivery::Data { seq, parcel, .. } => {
                let beyond = until.is_some_and(|until| seq > until);
                let rows = if beyond { None } else { selector.rows(&self.shared, &self.subscriber, &parcel) };
                (seq, rows.map(|rows| Delivery::Data { seq, parcel, rows }))
            }
        };
        if until.is_some_and(|until| seq >= until) {
            self.log = None;
        }
        found
    }

    async fn read_mailbox(&mut self) -> Delivery {
        poll_fn(|context| self.subscriber.mailbox.take(context.waker())).await
    }
}

impl Feed for Subscription {
    fn next(&mut self) -> Boxed<'_, Delivery> {
        Box::pin(async move {
            let delivery = loop {
                if self.log.is_none() {
                    break self.read_mailbox().await;
                }
                if let Some(delivery) = self.read_log().await {
                    break delivery;
                }
            };
            if let Delivery::Data { seq, .. } | Delivery::Lagged { to: seq, .. } = &delivery {
                self.subscriber.mailbox.came_to(*seq);
            }
            delivery
        })
    }

    fn place(&self) -> Seq {
        self.subscriber.mailbox.delivered()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.router.remove(&self.subscriber);
    }
}

/// Which rows of a parcel one subscription means, for a subscription that reads the log itself.
#[derive(Default)]
pub(crate) struct Selector {
    trie: PatternTrie<()>,
    generation: u64,
    /// By id: 0 for not known, 1 for no, 2 for yes.
    known: Vec<u8>,
}

impl Selector {
    pub(crate) fn of(subscriber: &Subscriber) -> Selector {
        let mut selector = Selector::default();
        subscriber.patterns.iter().for_each(|pattern| selector.trie.insert(pattern, ()));
        selector
    }

    fn rows(&mut self, shared: &Shared, subscriber: &Subscriber, parcel: &Parcel) -> Option<Rows> {
        let batch = parcel.samples.as_deref()?;
        let generation = shared.router.generation();
        if self.generation != generation {
            self.generation = generation;
            self.known.fill(0);
        }
        self.learn(shared, subscriber, batch);
        let wanted = |id: usize| self.known.get(id) == Some(&2);
        let rows: Vec<u32> =
            (0u32..).zip(&batch.signal).filter(|(_, id)| wanted(id.index())).map(|(row, _)| row).collect();
        match rows.len() {
            0 => None,
            all if all == batch.len() => Some(Rows::All),
            _ => Some(Rows::Some(rows)),
        }
    }

    fn learn(&mut self, shared: &Shared, subscriber: &Subscriber, batch: &SampleBatch) {
        let mut registry = None;
        for id in &batch.signal {
            if self.known.get(id.index()).is_some_and(|known| *known != 0) {
                continue;
            }
            let registry = registry.get_or_insert_with(|| shared.registry());
            let Some(entry) = registry.get(*id) else { continue };
            let named =
                std::iter::once(&entry.path).chain(&entry.about.aliases).any(|path| self.trie.any(path));
            let yes = named && subscriber.scope.allows(&entry.path);
            if self.known.len() <= id.index() {
                self.known.resize(id.index() + 1, 0);
            }
            if let Some(slot) = self.known.get_mut(id.index()) {
                *slot = if yes { 2 } else { 1 };
            }
        }
    }
}
