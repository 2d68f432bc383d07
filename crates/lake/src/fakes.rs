//! What tests of this room share: a journal that survives crashes, a registry, and rows by chance.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use tidemill_core::*;
use tidemill_ground::{Ground, SimDisk, Simulation};

use super::rows::{ReceivedAt, RowRef, Rows};
use super::{Settings, Store};

/// Values of every kind, with those that are easily lost.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (-9_999i64..9_999, 0u8..4).prop_map(|(n, scale)| Value::Float(n as f64 / 10f64.powi(scale.into()))),
        2 => any::<f64>().prop_map(Value::Float),
        1 => prop_oneof![Just(-0.0), Just(f64::NAN), Just(f64::INFINITY), Just(5e-324)].prop_map(Value::Float),
        1 => any::<i64>().prop_map(Value::Int),
        1 => any::<u64>().prop_map(Value::UInt),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => "[a-zäß°]{0,5}".prop_map(|text| Value::Text(text.into())),
        1 => Just(Value::Json("{\"a\":[1]}".into())),
        1 => proptest::collection::vec(any::<u8>(), 0..5).prop_map(|bytes| Value::Bytes(bytes.into())),
        1 => Just(Value::None),
    ]
}

pub(crate) fn row_of(time: i64, value: ValueRef<'_>, quality: Quality, replace: bool) -> Rows {
    let (kind, bits, bytes): (Kind, u64, &[u8]) = match value {
        ValueRef::None => (Kind::None, 0, &[]),
        ValueRef::Float(value) => (Kind::Float, value.to_bits(), &[]),
        ValueRef::Int(value) => (Kind::Int, value.cast_unsigned(), &[]),
        ValueRef::UInt(value) => (Kind::UInt, value, &[]),
        ValueRef::Bool(value) => (Kind::Bool, u64::from(value), &[]),
        ValueRef::Text(text) => (Kind::Text, 0, text.as_bytes()),
        ValueRef::Json(text) => (Kind::Json, 0, text.as_bytes()),
        ValueRef::Bytes(bytes) => (Kind::Bytes, 0, bytes),
    };
    let mut rows = Rows::default();
    let (received, source) = (None, SourceId(1));
    rows.push(&RowRef { time, kind, bits, quality, received, source, replace, bytes });
    rows
}

/// Rows of one signal by chance, in any order.
pub(crate) fn any_rows() -> impl Strategy<Value = Rows> {
    let quality = prop_oneof![4 => Just(Quality::GOOD), 1 => any::<u32>().prop_map(Quality)];
    let time = prop_oneof![3 => (0i64..50).prop_map(|second| second * 1_000_000_000), 1 => any::<i64>()];
    proptest::collection::vec((time, any_value(), quality, any::<Option<i32>>(), any::<bool>()), 1..80)
        .prop_map(|list| {
            let mut rows = Rows::default();
            for (time, value, quality, received, replace) in list {
                let one = row_of(time, value.as_ref(), quality, replace);
                let received = received.map(|at| ReceivedAt::of_micros(i64::from(at)));
                rows.push(&RowRef { received, ..one.row(0) });
            }
            rows
        })
}

pub(crate) fn same_rows(one: &Rows, other: &Rows) -> Result<(), TestCaseError> {
    prop_assert_eq!(one.len(), other.len());
    for row in 0..one.len() {
        let (a, b) = (one.row(row), other.row(row));
        prop_assert!(a.same_as(&b), "{:?} is not {:?}", a, b);
        prop_assert_eq!((a.received, a.source, a.replace), (b.received, b.source, b.replace));
    }
    Ok(())
}

/// A journal in memory that outlives the process of a simulation. What `advance` was told is lost in a crash, now
/// and then, as its contract allows.
#[derive(Default)]
pub(crate) struct TestJournal {
    pub(crate) parcels: Mutex<BTreeMap<Seq, Arc<Parcel>>>,
    pub(crate) cursor: Mutex<Option<Seq>>,
    /// No number before this one is given again.
    pub(crate) begins: Mutex<Seq>,
    /// These cannot be read any more.
    pub(crate) lost: Mutex<BTreeSet<Seq>>,
    /// The disk, and how large it is with and without the room that is kept for a flush.
    pub(crate) reserve: Mutex<Option<(SimDisk, [u64; 2])>>,
    /// Samples are refused for want of room.
    pub(crate) full: AtomicBool,
    wakers: Mutex<Vec<std::task::Waker>>,
}

impl TestJournal {
    pub(crate) fn put(&self, parcel: Parcel) -> (Seq, Arc<Parcel>) {
        let mut parcels = self.parcels.lock().unwrap();
        let next = Seq(parcels.keys().next_back().map_or(0, |seq| seq.0) + 1);
        let seq = next.max(*self.begins.lock().unwrap());
        let parcel = Arc::new(parcel);
        parcels.insert(seq, parcel.clone());
        drop(parcels);
        self.wakers.lock().unwrap().drain(..).for_each(std::task::Waker::wake);
        (seq, parcel)
    }

    /// What a historian applies after a start.
    pub(crate) fn after_cursor(&self) -> Vec<(Seq, Arc<Parcel>)> {
        let from = self.cursor.lock().unwrap().unwrap_or_default();
        let parcels = self.parcels.lock().unwrap();
        parcels.range(Seq(from.0 + 1)..).map(|(seq, parcel)| (*seq, parcel.clone())).collect()
    }
}

struct TestFeed(Arc<TestJournal>, Seq);

impl Feed for TestFeed {
    fn next(&mut self) -> Boxed<'_, Delivery> {
        Box::pin(std::future::poll_fn(|context| {
            let parcels = self.0.parcels.lock().unwrap();
            let found = parcels.range(Seq(self.1.0 + 1)..).next().map(|(seq, parcel)| (*seq, parcel.clone()));
            match found {
                Some((seq, parcel)) => {
                    self.1 = seq;
                    if self.0.lost.lock().unwrap().contains(&seq) {
                        return Poll::Ready(Delivery::Lagged { missed: 1, to: seq });
                    }
                    Poll::Ready(Delivery::Data { seq, parcel, rows: tidemill_core::Rows::All })
                }
                None => {
                    self.0.wakers.lock().unwrap().push(context.waker().clone());
                    Poll::Pending
                }
            }
        }))
    }
}

/// The journal as the historian gets it.
pub(crate) struct JournalDoor(pub(crate) Arc<TestJournal>);

impl stub::JournalStub for JournalDoor {
    fn wants_room(&self) -> bool {
        self.0.full.load(Ordering::Acquire)
    }
    fn append(&self, parcel: Arc<Parcel>, _: Durability) -> Result<Commit, Busy> {
        Ok(Commit::ready(self.0.put((*parcel).clone()).0))
    }
    fn durable(&self) -> Seq {
        self.0.parcels.lock().unwrap().keys().next_back().copied().unwrap_or_default()
    }
    fn follow(&self, _: CursorId, from: Option<Seq>) -> Box<dyn Feed> {
        let from = from.or(*self.0.cursor.lock().unwrap()).unwrap_or_default();
        Box::new(TestFeed(self.0.clone(), from))
    }
    fn advance(&self, _: CursorId, upto: Seq, _: Bytes) -> Commit {
        if !upto.0.is_multiple_of(3) {
            *self.0.cursor.lock().unwrap() = Some(upto);
        }
        Commit::ready(upto)
    }
    fn cursor(&self, _: CursorId) -> Option<(Seq, Bytes)> {
        self.0.cursor.lock().unwrap().map(|seq| (seq, Bytes::new()))
    }
    fn lend_reserve(&self) -> bool {
        let reserve = self.0.reserve.lock().unwrap();
        reserve.as_ref().is_some_and(|(disk, [with, _])| {
            disk.set_capacity(*with);
            true
        })
    }
    fn return_reserve(&self) {
        if let Some((disk, [_, without])) = &*self.0.reserve.lock().unwrap() {
            disk.set_capacity(*without);
        }
    }
    fn is_past(&self, place: Seq) -> bool {
        place < *self.0.begins.lock().unwrap() || place <= stub::JournalStub::durable(self)
    }
}

/// A registry of signals by number, and whether it lost some of what it knew; all else is refused.
#[derive(Default)]
pub(crate) struct TestBus(pub(crate) Mutex<BTreeMap<SignalId, Arc<Signal>>>, pub(crate) Mutex<Lost>);

/// What became of definitions.
#[derive(Default)]
pub(crate) struct Lost {
    /// Nothing is known of any source.
    pub(crate) sources: bool,
    /// The bus asks for names, and takes them.
    pub(crate) asks: bool,
    /// What it was given.
    pub(crate) given: Vec<(u32, Option<Arc<str>>)>,
}

impl TestBus {
    pub(crate) fn with(paths: &[&str]) -> Arc<TestBus> {
        let bus = TestBus::default();
        for (index, path) in paths.iter().enumerate() {
            bus.set(index as u32 + 1, path, false);
        }
        Arc::new(bus)
    }

    pub(crate) fn set(&self, id: u32, path: &str, retired: bool) {
        let id = SignalId::new(id).unwrap();
        let signal = Signal {
            id,
            path: SignalPath::new(path).unwrap(),
            aliases: Vec::new(),
            meta: Meta::default(),
            creator: "test".into(),
            created: 0,
            retired,
        };
        self.0.lock().unwrap().insert(id, Arc::new(signal));
    }
}

impl stub::BusStub for TestBus {
    fn signal(&self, id: SignalId) -> Option<Arc<Signal>> {
        self.0.lock().unwrap().get(&id).cloned()
    }
    fn find(&self, path: &SignalPath) -> Option<Arc<Signal>> {
        self.0.lock().unwrap().values().find(|signal| signal.path == *path).cloned()
    }
    fn source(&self, id: SourceId) -> Arc<str> {
        let lost = self.1.lock().unwrap().sources;
        if lost { "".into() } else { format!("source {}", id.0).into() }
    }
    fn lacks_names(&self) -> bool {
        self.1.lock().unwrap().asks
    }
    fn recover(&self, kept: KeptNames) -> Vec<Recovered> {
        let mut lost = self.1.lock().unwrap();
        lost.given.extend(kept.signals.iter().map(|(id, name)| (id.get(), name.clone())));
        if lost.asks {
            for (id, name) in kept.signals {
                self.set(id.get(), name.as_deref().unwrap_or(&id.unknown_name()), false);
            }
        }
        Vec::new()
    }
}

/// A store in a simulated world, driven step by step.
pub(crate) struct World {
    pub(crate) simulation: Simulation,
    pub(crate) ground: Ground,
    pub(crate) journal: Arc<TestJournal>,
    pub(crate) bus: Arc<TestBus>,
    pub(crate) settings: Settings,
    pub(crate) store: Arc<Store>,
}

pub(crate) const LAKE: &str = "/plant/data/lake";

impl World {
    pub(crate) fn new(seed: u64, paths: &[&str]) -> World {
        let (ground, simulation) = Ground::simulated(seed);
        let journal = Arc::new(TestJournal::default());
        let bus = TestBus::with(paths);
        let settings =
            Settings { vacuum_after: Duration::ZERO, write_bytes_per_s: 1 << 40, ..Settings::default() };
        let store = open(&ground, &journal, &bus, &settings).unwrap();
        World { simulation, ground, journal, bus, settings, store }
    }

    /// Writes a parcel and applies it.
    pub(crate) fn write(&self, parcel: Parcel) -> Seq {
        let (seq, parcel) = self.journal.put(parcel);
        self.store.apply(seq, &parcel);
        seq
    }

    /// Flushes everything.
    pub(crate) fn flush(&self) -> Result<(), crate::Error> {
        self.store.lock().asked += 1;
        while self.store.flush_step()? {}
        Ok(())
    }

    /// The next life of the process, after a crash or a stop.
    pub(crate) fn reopen(&mut self, seed: u64) -> Result<(), crate::Error> {
        self.ground = self.simulation.ground(seed);
        self.store = open(&self.ground, &self.journal, &self.bus, &self.settings)?;
        for (seq, parcel) in self.journal.after_cursor() {
            self.store.apply(seq, &parcel);
        }
        Ok(())
    }
}

fn open(
    ground: &Ground,
    journal: &Arc<TestJournal>,
    bus: &Arc<TestBus>,
    settings: &Settings,
) -> Result<Arc<Store>, crate::Error> {
    let lake = PathBuf::from(LAKE);
    let journal = Arc::new(JournalDoor(journal.clone()));
    Store::open(ground, &lake, journal, bus.clone(), settings.clone())
}
