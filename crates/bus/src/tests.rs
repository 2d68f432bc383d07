//! The namespace as a whole, over a log in memory and a simulated disk and clock.

mod crash;
mod create;
mod edits;
mod feeds;
mod names;
mod recover;
mod values;

use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tidemill_core::{
    Bus, Commit, Delivery, Durability, Feed, Flags, Grant, Identity, LastValue, Meta, MetaEdit, Pattern,
    Problem, Publish, Quality, ReadScope, Seq, Signal, SignalId, SignalPath, Stamp, Value, Verb,
};
use tidemill_ground::{Ground, Simulation};

use crate::fakes::{FakeAuthority, FakeJournal, identity};
use crate::{Namespace, Settings};

/// A plant of one room: the namespace, and what it stands on.
struct Plant {
    ground: Ground,
    world: Simulation,
    journal: Arc<FakeJournal>,
    authority: Arc<FakeAuthority>,
    bus: Arc<Namespace>,
    who: Identity,
    settings: Settings,
}

impl Plant {
    fn new() -> Plant {
        Plant::with(Settings::default())
    }

    fn with(settings: Settings) -> Plant {
        let (ground, world) = Ground::simulated(1);
        let journal = Arc::new(FakeJournal::default());
        let authority = Arc::new(FakeAuthority::default());
        let bus = open(&ground, &journal, &authority, &settings).unwrap();
        Plant { ground, world, journal, authority, bus, who: identity("token:a"), settings }
    }

    /// The same plant after a crash: what was not committed is gone, memory too.
    fn crash(self) -> Plant {
        let Plant { world, journal, authority, bus, who, settings, .. } = self;
        drop(bus);
        world.disk.crash();
        let (ground, journal) = (world.ground(2), Arc::new(journal.after_crash()));
        let bus = open(&ground, &journal, &authority, &settings).unwrap();
        Plant { ground, world, journal, authority, bus, who, settings }
    }

    /// The same plant after an orderly stop.
    fn restart(self) -> Plant {
        self.bus.stop().unwrap();
        self.crash()
    }

    fn try_bind(&self, verb: Verb, name: &str) -> Result<Grant, Problem> {
        self.bus.bind(&self.who, verb, &path(name), &Meta::default())
    }

    fn bind(&self, name: &str) -> Grant {
        self.try_bind(Verb::Write, name).unwrap()
    }

    fn publish(&self, rows: &[(Grant, Stamp, Value)]) -> Result<Commit, Problem> {
        self.publish_as(Durability::Commit, None, rows)
    }

    fn publish_as(
        &self,
        durability: Durability,
        once: Option<(tidemill_core::ProducerId, u64)>,
        rows: &[(Grant, Stamp, Value)],
    ) -> Result<Commit, Problem> {
        let epoch = rows.first().map_or(self.bus.epoch(), |(grant, ..)| grant.epoch);
        let mut samples = self.bus.batch(&self.who, Flags::default()).unwrap();
        for (grant, time, value) in rows {
            samples.push(grant.id, *time, value.as_ref(), Quality::GOOD).unwrap();
        }
        let publish = Publish { samples: Some(samples), once, ..Publish::default() };
        self.bus.publish(&self.who, epoch, publish, durability)
    }

    fn write(&self, name: &str, time: i64, value: i64) -> Seq {
        let grant = self.bind(name);
        self.wait(self.publish(&[(grant, Stamp::At(time), Value::Int(value))]).unwrap())
    }

    fn wait(&self, commit: Commit) -> Seq {
        commit.wait(Duration::from_secs(60)).expect("resolved within a minute").expect("durable")
    }

    fn last(&self, name: &str) -> Option<LastValue> {
        let id = self.bus.find(&path(name))?.id;
        let mut out = Vec::new();
        self.bus.last(&ReadScope::everything(), &[id], &mut out);
        out.pop()
    }

    fn last_int(&self, name: &str) -> Option<i64> {
        match self.last(name)?.value {
            Value::Int(value) => Some(value),
            _ => None,
        }
    }

    fn edit(&self, name: &str, edit: MetaEdit) -> Result<Commit, Problem> {
        let grant = self.try_bind(Verb::Configure, name)?;
        self.bus.edit(&self.who, &grant, edit)
    }

    fn paths(&self, pattern: &str) -> Vec<String> {
        let pattern = Pattern::new(pattern).unwrap();
        let found = self.bus.describe(&ReadScope::everything(), &pattern);
        found.iter().map(|signal| signal.path.to_string()).collect()
    }

    fn counted(&self, name: &str) -> f64 {
        let readings = self.ground.metrics.snapshot();
        readings.iter().filter(|reading| reading.name == name).map(|reading| reading.value).sum()
    }
}

fn open(
    ground: &Ground,
    journal: &Arc<FakeJournal>,
    authority: &Arc<FakeAuthority>,
    settings: &Settings,
) -> Result<Arc<Namespace>, crate::Error> {
    Namespace::open(ground, Path::new("/data/bus"), journal.clone(), authority.clone(), settings.clone())
}

fn path(text: &str) -> SignalPath {
    SignalPath::new(text).unwrap()
}

fn code(outcome: Result<impl Sized, Problem>) -> &'static str {
    outcome.err().map_or("ok", |problem| problem.code.id)
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The next delivery, waited for.
fn next(feed: &mut dyn Feed) -> Delivery {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = feed.next();
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(delivery) => return delivery,
            Poll::Pending => std::thread::park_timeout(Duration::from_secs(60)),
        }
    }
}

/// The delivery that is there, if any.
fn ready(feed: &mut dyn Feed) -> Option<Delivery> {
    match feed.next().as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(delivery) => Some(delivery),
        Poll::Pending => None,
    }
}

/// A delivery in words: place, and `path=value` of the rows that are meant.
fn shown(bus: &Namespace, delivery: Delivery) -> String {
    match delivery {
        Delivery::Closed => "closed".into(),
        Delivery::Lagged { missed, to } => format!("missed {missed} to {}", to.0),
        Delivery::Data { seq, parcel, rows } => {
            let batch = parcel.samples.clone().unwrap();
            let rows: Vec<usize> = match rows {
                tidemill_core::Rows::All => (0..batch.len()).collect(),
                tidemill_core::Rows::Some(rows) => rows.iter().map(|row| *row as usize).collect(),
            };
            let row = |row: usize| {
                let row = batch.row(row).unwrap();
                format!("{}={}", bus.signal(row.signal).unwrap().path, row.value)
            };
            format!("{}: {}", seq.0, rows.into_iter().map(row).collect::<Vec<_>>().join(" "))
        }
    }
}

fn signal(bus: &Namespace, id: SignalId) -> Arc<Signal> {
    bus.signal(id).unwrap()
}
