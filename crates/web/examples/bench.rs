//! What a sample costs at the door: parsing alone, and parsing with names, rights and batches. Prints nanoseconds of
//! processor a sample, on one thread. `cargo run --release -p tidemill-web --example bench`
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tidemill_core::stub;
use tidemill_core::{Grant, Identity, Meta, Problem, SignalId, SignalPath, Verb, codes};
use tidemill_web::bench::Door;
use tidemill_web::line::{Nothing, parse};
use tidemill_web::times::TimeUnit;

const LINES: usize = 200_000;
const RUNS: usize = 15;

/// A bus that gives every name an id, and does nothing else.
#[derive(Default)]
struct Names(Mutex<HashMap<SignalPath, u32>>);

impl stub::BusStub for Names {
    fn bind(&self, _: &Identity, verb: Verb, path: &SignalPath, hint: &Meta) -> Result<Grant, Problem> {
        let mut names = self.0.lock().map_err(|_| Problem::new(&codes::INTERNAL, "poisoned"))?;
        let next = names.len() as u32 + 1;
        let id = SignalId::new(*names.entry(path.clone()).or_insert(next));
        id.map(|id| Grant { id, verb, epoch: 1, number: hint.number })
            .ok_or_else(|| Problem::new(&codes::SIGNALS_LIMIT, "too many names"))
    }

    fn resolve(&self, who: &Identity, path: &SignalPath, _: usize) -> Result<Option<Grant>, Problem> {
        stub::BusStub::bind(self, who, Verb::Write, path, &Meta::default()).map(Some)
    }
}

/// Telegraf's way: several tags, ten fields, of 1,200 series.
fn telegraf() -> String {
    let line = |n: usize| {
        let series = format!("cpu,cpu=cpu{},host=edge{},rack=r{}", n % 8, n % 50, n % 3);
        let fields = (0..10).map(|f| format!("usage_{f}={}.{}", (n * 7 + f) % 100, (n * 13 + f) % 1000));
        format!("{series} {} {}\n", fields.collect::<Vec<_>>().join(","), 1_767_225_600_000_000_000 + n)
    };
    (0..LINES / 10).map(line).collect()
}

/// A plant's way: one field a line, of 1,000 signals.
fn plain() -> String {
    let line = |n: usize| {
        let value = (n * 7 % 100_000) as f64 / 100.0;
        format!("acme/leeds/press/st{}/t value={value} {}\n", n % 1000, 1_767_225_600_000_000_000 + n)
    };
    (0..LINES).map(line).collect()
}

/// What this thread had of a processor, ns (Linux: proc(5), schedstat), so that a busy machine matters little.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn main() {
    println!(
        "{:<36}{:>10}{:>14}{:>14}",
        "best of 15 runs, one thread", "parse ns", "with names ns", "bytes/sample"
    );
    for (name, body) in
        [("telegraf: 3 tags, 10 fields a line", telegraf()), ("plain: a path, 1 field a line", plain())]
    {
        let mut seen = Nothing::default();
        parse(body.as_bytes(), TimeUnit::Nanoseconds, &mut seen);
        assert_eq!(seen.refused, 0, "the benchmark's lines are good");
        let samples = seen.fields;
        let best = |run: &dyn Fn() -> u64| {
            let times = (0..RUNS).map(|_| {
                let started = cpu_ns();
                assert_eq!(run(), samples);
                (cpu_ns() - started) as f64 / samples as f64
            });
            times.fold(f64::INFINITY, f64::min)
        };
        let parsed = best(&|| {
            let mut seen = Nothing::default();
            parse(body.as_bytes(), TimeUnit::Nanoseconds, &mut seen);
            seen.fields
        });
        let door = Door::new(Arc::new(Names::default()));
        let bound = best(&|| door.lines(body.as_bytes()).unwrap_or_default());
        let bytes = body.len() as f64 / samples as f64;
        println!("{name:<36}{parsed:>10.1}{bound:>14.1}{bytes:>14.1}");
    }
}
