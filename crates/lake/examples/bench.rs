//! Measures the store: what a sample costs from the journal into the buffer and from there into files, how many bytes
//! it takes, how fast a restart applies what is not in files, and what deleting costs. Journal and registry are the least
//! that does.
//!
//! `cargo run --release -p tidemill-lake --example bench [millions of samples]`; CSV files are looked for in
//! `TIDEMILL_DATA`, else in `../shared/data`.
#![allow(clippy::print_stdout, reason = "figures are what it is for")]
#![allow(clippy::unwrap_used, reason = "a measurement that fails is to stop")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tidemill_core::*;
use tidemill_ground::Ground;
use tidemill_lake::{SampleSource, Settings, Store};

const PARCEL_ROWS: usize = 5_000;
const SECOND: i64 = 1_000_000_000;
/// 2026-11-01 00:00 UTC.
const START: i64 = 1_793_491_200 * SECOND;

/// A log in memory: what is there from the start, and what deletions add.
#[derive(Clone)]
struct Log(Arc<Mutex<Parcels>>);

struct Parcels {
    all: Vec<Arc<Parcel>>,
    cursor: Option<Seq>,
    wakers: Vec<Waker>,
}

struct LogFeed(Log, usize);

impl Feed for LogFeed {
    fn next(&mut self) -> Boxed<'_, Delivery> {
        Box::pin(std::future::poll_fn(|context| {
            let mut parcels = self.0.0.lock().unwrap();
            let Some(parcel) = parcels.all.get(self.1).cloned() else {
                parcels.wakers.push(context.waker().clone());
                return Poll::Pending;
            };
            self.1 += 1;
            Poll::Ready(Delivery::Data { seq: Seq(self.1 as u64), parcel, rows: Rows::All })
        }))
    }
}

impl stub::JournalStub for Log {
    fn append(&self, parcel: Arc<Parcel>, _: Durability) -> Result<Commit, Busy> {
        let mut parcels = self.0.lock().unwrap();
        parcels.all.push(parcel);
        let commit = Commit::ready(Seq(parcels.all.len() as u64));
        parcels.wakers.drain(..).for_each(Waker::wake);
        Ok(commit)
    }
    fn durable(&self) -> Seq {
        Seq(self.0.lock().unwrap().all.len() as u64)
    }
    fn follow(&self, _: CursorId, _: Option<Seq>) -> Box<dyn Feed> {
        let from = self.0.lock().unwrap().cursor.unwrap_or_default();
        Box::new(LogFeed(self.clone(), from.0 as usize))
    }
    fn advance(&self, _: CursorId, upto: Seq, _: Bytes) -> Commit {
        self.0.lock().unwrap().cursor = Some(upto);
        Commit::ready(upto)
    }
}

/// Names made of numbers.
struct Names;

impl stub::BusStub for Names {
    fn signal(&self, id: SignalId) -> Option<Arc<Signal>> {
        let path = format!("plant/line{}/machine{}/signal{}", id.get() % 7, id.get() / 7, id.get());
        Some(Arc::new(Signal {
            id,
            path: SignalPath::new(&path).ok()?,
            aliases: Vec::new(),
            meta: Meta::default(),
            creator: "bench".into(),
            created: 0,
            retired: false,
        }))
    }
}

/// A plant: 2,000 signals a second, a share of each kind, 1 % bad.
fn plant(samples: usize) -> Vec<Arc<Parcel>> {
    let mut random = 1u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut levels = vec![50.0f64; 2_000];
    rows_to_parcels((0..samples).map(move |n| {
        let (signal, second) = (n % 2_000, (n / 2_000) as i64);
        let noise = (next() % 2_001) as f64 / 1_000.0 - 1.0;
        let level = levels.get_mut(signal).unwrap();
        *level += noise * 0.05;
        let value = match signal % 20 {
            0..12 => Value::Float((*level * 100.0).round() / 100.0),
            12..15 => Value::Float(*level + noise),
            15..18 => Value::Int(second * 3 + signal as i64),
            18 => Value::Bool(*level > 50.0),
            _ => Value::Text(if *level > 50.0 { "running" } else { "idle" }.into()),
        };
        let quality = if next() % 100 == 0 { Quality::BAD } else { Quality::GOOD };
        (signal as u32 + 1, START + second * SECOND, value, quality)
    }))
}

fn rows_to_parcels(rows: impl Iterator<Item = (u32, i64, Value, Quality)>) -> Vec<Arc<Parcel>> {
    let mut parcels = Vec::new();
    let mut builder = BatchBuilder::new(SourceId(1), Flags::default());
    for (signal, time, value, quality) in rows {
        if builder.len() == PARCEL_ROWS {
            let full = std::mem::replace(&mut builder, BatchBuilder::new(SourceId(1), Flags::default()));
            parcels.push(Arc::new(Parcel::of_samples(full.finish(time, Flags::default()))));
        }
        builder.push(SignalId::new(signal).unwrap(), Stamp::At(time), value.as_ref(), quality).unwrap();
    }
    parcels.push(Arc::new(Parcel::of_samples(builder.finish(START, Flags::default()))));
    parcels
}

/// The columns of numbers of all CSV files below a folder, a signal each, a second apart.
fn files(dir: &Path) -> Vec<Arc<Parcel>> {
    let mut rows = Vec::new();
    let mut signals = 0u32;
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "csv") {
                let text = std::fs::read(&path).unwrap();
                let text = String::from_utf8_lossy(&text);
                let separator =
                    if text.lines().next().is_some_and(|line| line.contains(';')) { ';' } else { ',' };
                let mut width = 0;
                for (line, cells) in text.lines().skip(1).take(200_000).enumerate() {
                    for (column, cell) in cells.split(separator).enumerate() {
                        width = width.max(column as u32 + 1);
                        if let Ok(value) = cell.trim().parse::<f64>() {
                            let time = START + line as i64 * SECOND;
                            rows.push((
                                signals + column as u32 + 1,
                                time,
                                Value::Float(value),
                                Quality::GOOD,
                            ));
                        }
                    }
                }
                signals += width;
            }
        }
    }
    rows_to_parcels(rows.into_iter())
}

/// CPU seconds of this process.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: f64 = after.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn measure(name: &str, parcels: Vec<Arc<Parcel>>) {
    let samples: usize = parcels.iter().map(|parcel| parcel.samples.as_ref().unwrap().len()).sum();
    let dir = tempfile::tempdir().unwrap();
    let parcels = Parcels { all: parcels, cursor: None, wakers: Vec::new() };
    let log = Arc::new(Log(Arc::new(Mutex::new(parcels))));
    let ground = Ground::real();
    let settings = Settings {
        buffer_bytes: 2 << 30,
        journal_bytes: u64::MAX,
        write_bytes_per_s: 1 << 40,
        ..Settings::default()
    };
    let per = |seconds: f64| seconds * 1e9 / samples as f64;

    let (wall, before) = (ground.clock.monotonic(), cpu());
    let store = Store::open(&ground, dir.path(), log.clone(), Arc::new(Names), settings).unwrap();
    store.start(&ground).unwrap();
    assert!(store.wait_applied(log.durable(), Duration::from_secs(600)));
    let applied = (ground.clock.monotonic() - wall, cpu() - before);
    let buffer = ground.metrics.snapshot().into_iter().find(|reading| {
        reading.name == "tidemill_limit_used"
            && reading.labels.iter().any(|(_, limit)| limit == "buffer_bytes")
    });
    let buffer = buffer.map_or(0.0, |reading| reading.value);

    let (wall, before) = (ground.clock.monotonic(), cpu());
    store.flush_now().unwrap();
    let flushed = (ground.clock.monotonic() - wall, cpu() - before);
    let lake: PathBuf = dir.path().join("samples");
    let bytes: u64 =
        std::fs::read_dir(lake).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    println!("{name}: {samples} samples");
    println!(
        "  apply  {:6.1} ns CPU a sample, {:.1} M samples/s",
        per(applied.1),
        samples as f64 / applied.0.as_secs_f64() / 1e6
    );
    println!("  buffer {:6.2} bytes a sample", buffer / samples as f64);
    println!(
        "  flush  {:6.1} ns CPU a sample, {:.1} M samples/s",
        per(flushed.1),
        samples as f64 / flushed.0.as_secs_f64() / 1e6
    );
    println!("  files  {:6.2} bytes a sample", bytes as f64 / samples as f64);
    if samples > 1_000_000 {
        measure_deletions(&ground, &store);
    }
    ground.tasks.shutdown(Duration::from_secs(60));
}

/// A signal that stands in one row group or two, and in the same file an hour of one signal of ten, which stand in all of them: the
/// second is what the first costs where nothing is copied.
fn measure_deletions(ground: &Ground, store: &Store) {
    let all: Vec<_> = (1..=200).filter_map(|n| SignalId::new(n * 10)).collect();
    let one = [SignalId::new(77).unwrap()];
    let delete = |what: &str, signals: &[SignalId], time: (i64, i64)| {
        let (wall, before) = (ground.clock.monotonic(), cpu());
        store.delete("bench", signals, time, "measured").unwrap();
        let (wall, used) = (ground.clock.monotonic() - wall, cpu() - before);
        println!("  delete {:6.2} s, {used:.2} s CPU: {what}", wall.as_secs_f64());
    };
    delete("one signal of 2,000", &one, (i64::MIN, i64::MAX));
    delete("a second of every tenth signal", &all, (START + 9 * SECOND, START + 10 * SECOND - 1));
}

fn main() {
    let millions: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10);
    measure("generated plant", plant(millions * 1_000_000));
    let data =
        std::env::var_os("TIDEMILL_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    for set in ["nab", "skab", "cmapss", "tep"] {
        if data.join(set).is_dir() {
            measure(set, files(&data.join(set)));
        }
    }
}
