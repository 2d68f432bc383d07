//! A log and an authority in memory, for tests and the benchmark: the contract's rules without a disk. What a disk can
//! do to a log (hold it up, fail it, lose what was not synced) is done by hand.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use bytes::Bytes;
use tidemill_core::{
    AuditEntry, Authority, Boxed, Busy, Commit, CommitGroup, Credential, CursorId, Damaged, Decision,
    Delivery, Durability, Epoch, Feed, Hold, Identity, IdentityKind, Journal, NotDurable, Parcel, Pattern,
    Peer, Problem, ReadScope, Rows, Seq, SignalPath, Verb, codes,
};

/// A log in memory.
#[derive(Default)]
pub(crate) struct FakeJournal(Arc<Mutex<Log>>);

#[derive(Default)]
struct Log {
    /// In the order of `append`, live ones included.
    items: Vec<Item>,
    /// So many of `items` are committed.
    committed: usize,
    seq: u64,
    durable: u64,
    held: bool,
    refusing: Option<Busy>,
    group: CommitGroup,
    cursors: HashMap<CursorId, (Seq, Bytes)>,
    wakers: Vec<Waker>,
    /// Parcels before this place are gone from memory (a benchmark keeps none).
    first: usize,
    keep: Option<usize>,
    /// Where it ended after a power cut, and goes on; and what an engine knew of.
    lost_after: Option<(Seq, Seq)>,
    recalled: Seq,
}

struct Item {
    seq: Seq,
    parcel: Option<Arc<Parcel>>,
    durability: Durability,
    /// It was there, and cannot be read any more.
    lost: bool,
}

impl FakeJournal {
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nothing is committed until [`FakeJournal::commit`].
    pub(crate) fn hold_commits(&self) {
        self.lock().held = true;
    }

    /// Commits what waits, and everything after it at once.
    pub(crate) fn commit(&self) {
        let mut log = self.lock();
        log.held = false;
        log.settle();
    }

    /// The disk fails: what waits is lost and its waiters are told; later appends go on.
    pub(crate) fn fail(&self) {
        let mut log = self.lock();
        log.held = false;
        let committed = log.committed;
        log.items.iter_mut().skip(committed).for_each(|item| item.parcel = None);
        let group = std::mem::take(&mut log.group);
        log.committed = log.items.len();
        drop(log);
        group.resolve(Err(NotDurable::Disk("no such luck".into())));
    }

    /// A parcel that was durable cannot be read any more.
    #[allow(dead_code, reason = "for tests; the benchmark shares this file")]
    pub(crate) fn lose(&self, seq: Seq) {
        let mut log = self.lock();
        let of_it = log.items.iter_mut().filter(|item| item.seq == seq);
        of_it.for_each(|item| (item.parcel, item.lost) = (None, true));
    }

    /// A power cut took what came after this place, as of a log that answers before it syncs: it goes on far above.
    #[allow(dead_code, reason = "for tests; the benchmark shares this file")]
    pub(crate) fn lose_end(&self, last: Seq) {
        const FAR: u64 = 1_000;
        let mut log = self.lock();
        log.items.retain(|item| item.seq <= last);
        (log.committed, log.durable) = (log.items.len(), last.0);
        log.seq += FAR;
        log.lost_after = Some((last, Seq(log.seq)));
    }

    /// Refuses appends, or takes them again.
    pub(crate) fn refuse(&self, busy: Option<Busy>) {
        self.lock().refusing = busy;
    }

    /// Keeps only so many parcels in memory.
    #[allow(dead_code, reason = "for the benchmark, which shares this file")]
    pub(crate) fn keep(&self, parcels: usize) {
        self.lock().keep = Some(parcels);
    }

    /// What is there after a crash: what was committed and in the log.
    pub(crate) fn after_crash(&self) -> FakeJournal {
        let log = self.lock();
        let survives =
            |item: &&Item| item.durability != Durability::Live && (item.parcel.is_some() || item.lost);
        let items: Vec<Item> = log
            .items
            .get(..log.committed)
            .unwrap_or_default()
            .iter()
            .filter(survives)
            .map(|item| Item { parcel: item.parcel.clone(), ..*item })
            .collect();
        let committed = items.len();
        let next = Log {
            items,
            committed,
            seq: log.seq,
            durable: log.durable,
            cursors: log.cursors.clone(),
            lost_after: log.lost_after,
            ..Log::default()
        };
        FakeJournal(Arc::new(Mutex::new(next)))
    }

    /// Every committed parcel with its place.
    pub(crate) fn parcels(&self) -> Vec<(Seq, Arc<Parcel>)> {
        let log = self.lock();
        let committed = log.items.get(..log.committed).unwrap_or_default();
        committed.iter().filter_map(|item| Some((item.seq, item.parcel.clone()?))).collect()
    }
}

impl Log {
    fn settle(&mut self) {
        self.committed = self.items.len();
        let logged = self.items.iter().rfind(|item| item.durability != Durability::Live);
        self.durable = logged.map_or(self.durable, |item| item.seq.0);
        std::mem::take(&mut self.group).resolve(Ok(()));
        if let Some(keep) = self.keep {
            while self.first.saturating_add(keep) < self.committed {
                if let Some(item) = self.items.get_mut(self.first) {
                    item.parcel = None;
                }
                self.first += 1;
            }
        }
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

impl Journal for FakeJournal {
    fn append(&self, parcel: Arc<Parcel>, durability: Durability) -> Result<Commit, Busy> {
        let mut log = self.lock();
        if let Some(busy) = &log.refusing {
            return Err(busy.clone());
        }
        if durability != Durability::Live {
            log.seq += 1;
        }
        let seq = match durability {
            // What is only live has the place of the parcel before it.
            Durability::Live => log.items.last().map_or(Seq(log.durable), |item| item.seq),
            Durability::Commit | Durability::Ride => Seq(log.seq),
        };
        log.items.push(Item { seq, parcel: Some(parcel), durability, lost: false });
        if durability == Durability::Live && log.committed + 1 < log.items.len() {
            return Ok(Commit::ready(seq));
        }
        let waiter = log.group.waiter(seq);
        if !log.held || durability == Durability::Live {
            log.settle();
        }
        Ok(waiter)
    }

    fn durable(&self) -> Seq {
        Seq(self.lock().durable)
    }

    fn follow(&self, _cursor: CursorId, from: Option<Seq>) -> Box<dyn Feed> {
        let from = from.unwrap_or_default();
        let place = self.lock().items.partition_point(|item| item.seq <= from);
        Box::new(FakeFeed { log: self.0.clone(), place })
    }

    fn read<'a>(&'a self, seq: Seq) -> Boxed<'a, Result<Arc<Parcel>, Damaged>> {
        let found = self.parcels().into_iter().find(|(at, _)| *at == seq).map(|(_, parcel)| parcel);
        let lost = Damaged { segment: "memory".into(), from: 0, to: 0, first: seq, last: seq };
        Box::pin(std::future::ready(found.ok_or(lost)))
    }

    fn advance(&self, cursor: CursorId, upto: Seq, note: Bytes) -> Commit {
        let mut log = self.lock();
        let place = log.cursors.get(&cursor).map_or(upto, |(place, _)| upto.max(*place));
        log.cursors.insert(cursor, (place, note));
        drop(log);
        Commit::ready(upto)
    }

    fn cursor(&self, cursor: CursorId) -> Option<(Seq, Bytes)> {
        self.lock().cursors.get(&cursor).cloned()
    }

    fn hold(&self, _cursor: CursorId, _limit: Hold) {}

    fn first(&self) -> Seq {
        Seq(1)
    }

    fn is_past(&self, place: Seq) -> bool {
        let mut log = self.lock();
        let given = log.lost_after.is_some_and(|(_, begins)| place <= begins);
        if given {
            log.recalled = log.recalled.max(place);
        }
        given || place.0 <= log.durable
    }

    fn lost(&self) -> Option<(Seq, Seq)> {
        let log = self.lock();
        let (ended, begins) = log.lost_after?;
        // What came since the opening is not lost.
        (log.recalled > ended && log.recalled <= begins).then(|| (Seq(ended.0 + 1), log.recalled))
    }

    fn epoch(&self) -> Epoch {
        Epoch(1)
    }

    fn damage(&self) -> Vec<Damaged> {
        Vec::new()
    }
}

struct FakeFeed {
    log: Arc<Mutex<Log>>,
    place: usize,
}

impl Feed for FakeFeed {
    fn next(&mut self) -> Boxed<'_, Delivery> {
        Box::pin(poll_fn(|context| {
            let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
            while self.place < log.committed {
                let Some(item) = log.items.get(self.place) else { break };
                self.place += 1;
                if let Some(parcel) = item.parcel.clone() {
                    return Poll::Ready(Delivery::Data { seq: item.seq, parcel, rows: Rows::All });
                }
                if item.lost {
                    return Poll::Ready(Delivery::Lagged { missed: 1, to: item.seq });
                }
            }
            log.wakers.push(context.waker().clone());
            Poll::Pending
        }))
    }
}

/// An authority that allows everything but what it was told to deny.
#[derive(Default)]
pub(crate) struct FakeAuthority {
    denied: Mutex<Vec<(String, Verb, Pattern)>>,
    epoch: AtomicU64,
}

impl FakeAuthority {
    /// Denies, and moves the epoch.
    pub(crate) fn deny(&self, who: &str, verb: Verb, pattern: &str) {
        let Ok(pattern) = Pattern::new(pattern) else { return };
        self.denied.lock().unwrap_or_else(PoisonError::into_inner).push((who.to_owned(), verb, pattern));
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }
}

impl Authority for FakeAuthority {
    fn identify<'a>(&'a self, _: Credential, _: Peer) -> Boxed<'a, Result<Identity, Problem>> {
        Box::pin(std::future::ready(Err(Problem::new(&codes::UNAUTHENTICATED, "nobody is known here"))))
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    fn decide(&self, who: &Identity, verb: Verb, path: &SignalPath) -> Decision {
        let denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        let rule = denied
            .iter()
            .find(|(name, what, pattern)| *name == *who.name && *what == verb && pattern.matches(path));
        match rule {
            Some((name, _, pattern)) => {
                Decision { allowed: false, rule: format!("{name} denies {verb}:{pattern}") }
            }
            None => Decision { allowed: true, rule: "all is allowed".into() },
        }
    }

    fn decide_all(&self, who: &Identity, verb: Verb, pattern: &Pattern) -> Decision {
        let path = pattern.as_path();
        let allowed = path.is_none_or(|path| self.decide(who, verb, &path).allowed);
        Decision { allowed, rule: String::new() }
    }

    fn scope(&self, _: &Identity) -> ReadScope {
        ReadScope::everything()
    }

    fn audit(&self, _: AuditEntry) -> Result<Commit, Problem> {
        Ok(Commit::ready(Seq(0)))
    }
}

/// Someone with a token.
pub(crate) fn identity(name: &str) -> Identity {
    Identity { name: name.into(), kind: IdentityKind::Token, peer: Peer::default() }
}
