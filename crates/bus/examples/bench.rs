//! Measures the namespace: memory and binding of 100,000 signals, publishing, delivery, matching at 100,000 patterns. Run
//! with `cargo run --release -p tidemill-bus --example bench`, and with `-- tags` for signals with two tags each (memory
//! that was freed would flatter a second plant in one process). The log is one in memory, so that what is measured is
//! the bus alone; each figure stands beside its limit.

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../src/fakes.rs"]
mod fakes;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fakes::{FakeAuthority, FakeJournal, identity};
use tidemill_bus::bench::Matching;
use tidemill_bus::{Namespace, Settings};
use tidemill_core::{
    Bus, Commit, Durability, Feed, Flags, Grant, Identity, LagPolicy, Meta, Pattern, Publish, Quality,
    ReadScope, Signal, SignalId, SignalPath, Stamp, Start, ValueRef, Verb,
};
use tidemill_ground::{Clock, Ground, RealClock};

const SIGNALS: usize = 100_000;
const PATTERNS: usize = 100_000;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Fallible<()> {
    let clock = RealClock::new();
    let mut bench = Bench { clock, out: std::io::stdout() };
    if std::env::args().any(|argument| argument == "tags") {
        return bench.plant(true);
    }
    bench.plant(false)?;
    bench.matching()
}

struct Bench {
    clock: RealClock,
    out: std::io::Stdout,
}

impl Bench {
    fn say(&mut self, what: &str, figure: f64, unit: &str, limit: &str) -> Fallible<()> {
        Ok(writeln!(self.out, "{what:<58} {figure:>10.1} {unit:<10} {limit}")?)
    }

    /// Nanoseconds of this thread's processor time for each of `count` things: other programs do not count.
    fn time(&self, count: usize, work: impl FnOnce() -> Fallible<()>) -> Fallible<f64> {
        let before = thread_cpu_ns()?;
        work()?;
        Ok((thread_cpu_ns()? - before) as f64 / count as f64)
    }

    /// Nanoseconds that passed for each of `count` things.
    fn passed(&self, count: usize, work: impl FnOnce() -> Fallible<()>) -> Fallible<f64> {
        let before = self.clock.monotonic();
        work()?;
        Ok((self.clock.monotonic() - before).as_nanos() as f64 / count as f64)
    }

    fn plant(&mut self, tags: bool) -> Fallible<()> {
        let (ground, _) = Ground::simulated(1);
        let journal = Arc::new(FakeJournal::default());
        journal.keep(2);
        let settings = Settings { signals_new_per_hour: u64::MAX, ..Settings::default() };
        let authority = Arc::new(FakeAuthority::default());
        let before = resident_bytes()?;
        let bus = Namespace::open(&ground, Path::new("/bus"), journal.clone(), authority, settings)?;
        let who = identity("token:bench");
        let kind = if tags { "with unit and 2 tags" } else { "with unit" };

        let mut grants = Vec::with_capacity(SIGNALS);
        let bind = self.time(SIGNALS, || {
            for number in 0..SIGNALS {
                grants.push(bus.bind(&who, Verb::Write, &path(number)?, &hint(number, tags))?);
            }
            Ok(())
        })?;
        for grants in grants.chunks(1_000) {
            publish(&bus, &who, grants, 1)?;
            settle(&bus);
        }
        let bytes = resident_bytes()?.saturating_sub(before);
        self.say(
            &format!("memory, {SIGNALS} signals {kind} and last value"),
            bytes as f64 / 1e6,
            "MB",
            "limit 60",
        )?;
        self.say(&format!("bind, new name {kind}"), bind, "ns", "")?;
        if tags {
            bus.stop()?;
            return Ok(());
        }
        let paths: Vec<SignalPath> = (0..SIGNALS).map(path).collect::<Fallible<_>>()?;
        let known = self.time(SIGNALS, || {
            for path in &paths {
                bus.bind(&who, Verb::Write, path, &Meta::default())?;
            }
            Ok(())
        })?;
        self.say("bind, known name, with the authority's decision", known, "ns", "")?;
        journal.keep(usize::MAX);
        self.traffic(&bus, &who, &grants)?;
        let snapshot = self.passed(1, || Ok(bus.snapshot()?))?;
        self.say("snapshot of all", snapshot / 1e6, "ms", "")?;
        bus.stop()?;
        Ok(())
    }

    fn traffic(&mut self, bus: &Arc<Namespace>, who: &Identity, grants: &[Grant]) -> Fallible<()> {
        let rounds = 5;
        for (what, stalled) in [("nobody listens", 0), ("100 stalled subscribers", 100)] {
            let all = [Pattern::everything()];
            let lag = LagPolicy::Latest { parcels_max: 1_000 };
            let subscribe = || bus.subscribe(&ReadScope::everything(), &all, lag, Start::Now);
            let feeds: Vec<Box<dyn Feed>> = (0..stalled).map(|_| subscribe()).collect::<Result<_, _>>()?;
            // Who hears what is worked out with the first sample of each signal.
            publish(bus, who, grants, 1)?;
            settle(bus);
            let mut publishing = 0.0;
            let whole = self.passed(rounds * grants.len(), || {
                for round in 0..rounds {
                    publishing +=
                        self.time(rounds * grants.len(), || publish(bus, who, grants, round as i64 + 2))?;
                }
                settle(bus);
                Ok(())
            })?;
            self.say(&format!("push and publish, a sample, {what}"), publishing, "ns", "")?;
            self.say(&format!("the same until taken in, time passed, {what}"), whole, "ns", "")?;
            drop(feeds);
        }
        let one = grants.get(..1).unwrap_or_default();
        let alone =
            self.time(100_000, || (0..100_000).try_for_each(|round| publish(bus, who, one, round + 100)))?;
        self.say("publish of one sample alone", alone, "ns", "")
    }

    fn matching(&mut self) -> Fallible<()> {
        let mut matching = Matching::default();
        for number in 0..PATTERNS {
            matching.subscribe(&[pattern(number)?]);
        }
        let signals: Vec<Arc<Signal>> =
            (0..SIGNALS).map(|number| signal(number).map(Arc::new)).collect::<Fallible<_>>()?;
        let mut found = 0;
        let cold = self.time(SIGNALS, || {
            found = signals.iter().map(|signal| matching.cold(signal)).sum();
            Ok(())
        })?;
        let mut again = 0;
        let cached = self.passed(SIGNALS, || {
            again = signals.iter().map(|signal| matching.cached(signal.id)).sum();
            Ok(())
        })?;
        if found != again || found == 0 {
            return Err(format!("cold found {found} and cached {again}").into());
        }
        self.say(
            &format!("match cold, {PATTERNS} patterns, {:.1} hits", found as f64 / SIGNALS as f64),
            cold,
            "ns",
            "limit 5000",
        )?;
        self.say("match cached", cached, "ns", "limit 300")
    }
}

/// A path as plants have them, in an order that is not sorted.
fn path(number: usize) -> Fallible<SignalPath> {
    let mixed = number * 7_919 % SIGNALS;
    let (area, line, asset, point) = (mixed % 5, mixed / 5 % 20, mixed / 100 % 50, mixed / 5_000);
    Ok(SignalPath::new(&format!(
        "acme/leeds/area-{area}/line-{line:02}/press-{asset:03}/temperature_{point:02}"
    ))?)
}

fn hint(number: usize, tags: bool) -> Meta {
    let unit = ["°C", "bar", "m³/h", "mm/s", "kWh"].get(number % 5).copied().unwrap_or_default();
    let tag = |name: &str, value: String| (Arc::from(name), Arc::from(value));
    let tags = if tags {
        vec![tag("host", format!("edge{}", number % 50)), tag("line", format!("{}", number % 20))]
    } else {
        Vec::new()
    };
    Meta { unit: unit.into(), tags: tags.into_iter().collect(), ..Meta::default() }
}

fn signal(number: usize) -> Fallible<Signal> {
    let id = u32::try_from(number + 1).ok().and_then(SignalId::new).ok_or("too many signals")?;
    let (path, meta) = (path(number)?, Meta::default());
    Ok(Signal { id, path, aliases: Vec::new(), meta, creator: Arc::default(), created: 0, retired: false })
}

/// Most subscribe to one signal, many to an asset, some to a kind of signal anywhere.
fn pattern(number: usize) -> Fallible<Pattern> {
    let exact = path(number)?;
    let text = exact.as_str();
    let (asset, point) = text.rsplit_once('/').ok_or("a path without segments")?;
    Ok(match number % 10 {
        0..7 => Pattern::exactly(&exact),
        7 => Pattern::new(&format!("{asset}/#"))?,
        8 => Pattern::new(&format!("{asset}/+"))?,
        _ => Pattern::new(&format!(
            "acme/leeds/+/line-{:02}/press-{:03}/{point}",
            number % 20,
            number / 20 % 50
        ))?,
    })
}

fn publish(bus: &Namespace, who: &Identity, grants: &[Grant], time: i64) -> Fallible<()> {
    for grants in grants.chunks(1_000) {
        let Some(first) = grants.first() else { continue };
        let mut samples = bus.batch(who, Flags::default())?;
        samples.reserve(grants.len());
        for grant in grants {
            samples.push(grant.id, Stamp::At(time), ValueRef::Float(20.5), Quality::GOOD)?;
        }
        let publish = Publish { samples: Some(samples), ..Publish::default() };
        let commit: Commit = bus.publish(who, first.epoch, publish, Durability::Commit)?;
        commit.wait(Duration::from_secs(1)).ok_or("not committed")??;
    }
    Ok(())
}

/// Waits until all that is durable was taken in.
fn settle(bus: &Namespace) {
    bus.last(&ReadScope::everything(), &[], &mut Vec::new());
}

fn thread_cpu_ns() -> Fallible<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().ok_or("no processor time")?.parse()?)
}

fn resident_bytes() -> Fallible<u64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text.split(' ').nth(1).ok_or("no resident pages")?.parse()?;
    Ok(pages * 4_096)
}
