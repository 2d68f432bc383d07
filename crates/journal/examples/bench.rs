//! What the log does on this machine, each figure beside the limit that it is measured against, in one run:
//! `cargo run --release -p tidemill-journal --example bench`. Writes about 2 GB below `target/`.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a program for a terminal that measures"
)]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidemill_core::{
    BatchBuilder, Commit, CursorId, Durability, Flags, Hold, HoldAction, Journal, Parcel, Quality, SignalId,
    SourceId, Stamp, StreamId, ValueRef,
};
use tidemill_ground::{Disk, File, Ground, Open, RealDisk};
use tidemill_journal::{Log, Settings, decode, frame};

const LIMIT: Duration = Duration::from_secs(60);
const START: i64 = 1_767_225_600_000_000_000;

fn main() {
    let parent = std::env::var("BENCH_DIR")
        .unwrap_or_else(|_| std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned()));
    std::fs::create_dir_all(&parent).expect("a folder to write to");
    let dir = tempfile::tempdir_in(parent).expect("a folder to write to");
    codec();
    let steady = Steady::new(dir.path());
    lone(dir.path(), &steady);
    RealDisk.remove(&dir.path().join("plain-new")).expect("removed");
    RealDisk.remove(&dir.path().join("plain-reused")).expect("removed");
    groups(dir.path(), &steady);
    steady.log.stop();
    opening(dir.path());
    loads(dir.path());
}

fn settings() -> Settings {
    Settings { free_min_bytes: 0, ..Settings::default() }
}

/// Rows of a small plant: a scan of signals each second, values with two decimals.
fn batch(rows: u32, salt: u32) -> Parcel {
    let mut builder = BatchBuilder::new(SourceId(1), Flags::default());
    for row in 0..rows {
        let signal = SignalId::new(1 + row % 100).expect("not 0");
        let value = f64::from((row * 7919 + salt * 104_729) % 10_000) / 100.0;
        let time = START + i64::from(row / 100) * 1_000_000_000 + i64::from(row % 100) * 1_000;
        builder.push(signal, Stamp::At(time), ValueRef::Float(value), Quality::GOOD).expect("room");
    }
    Parcel::of_samples(builder.finish(START, Flags::default()))
}

fn codec() {
    for rows in [1, 10, 1000] {
        let parcel = batch(rows, 1);
        let turns = 2_000_000 / rows;
        let mut bytes = Vec::new();
        let per_row = |began: Instant| began.elapsed().as_nanos() as f64 / f64::from(turns * rows);
        let began = Instant::now();
        for _ in 0..turns {
            bytes.clear();
            black_box(frame::encode(black_box(&parcel), &mut bytes));
        }
        let encode = per_row(began);
        let began = Instant::now();
        for _ in 0..turns {
            black_box(decode(black_box(&bytes)).expect("sound"));
        }
        let decode = per_row(began);
        let size = bytes.len() as f64 / f64::from(rows);
        println!(
            "codec, {rows} rows: encode with checksum {encode:.1} ns a sample, decode {decode:.1}, {size:.1} bytes"
        );
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1e6
}

fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort();
    times.get(times.len() * percent / 100).copied().unwrap_or_default().as_secs_f64() * 1e3
}

/// What an append is compared with: the same bytes written and synced by hand, in files like those of the log.
struct Plain {
    dir: std::path::PathBuf,
    file: Arc<dyn File>,
    offset: u64,
    /// Written over again and again; otherwise each one is new, with its room reserved.
    reused: bool,
}

impl Plain {
    fn new(dir: &Path, reused: bool) -> Plain {
        let name = if reused { "plain-reused" } else { "plain-new" };
        let mut plain = Plain { dir: dir.join(name), file: create(&dir.join(name)), offset: 0, reused };
        if reused {
            let zeros = vec![0; 1 << 20];
            for at in 0..SEGMENT_BYTES >> 20 {
                plain.file.write_at(&zeros, at << 20).expect("written");
            }
        }
        plain.begin();
        plain
    }

    /// Has room for so much more. Not part of what is measured.
    fn ready(&mut self, bytes: u64) {
        if self.offset + bytes > SEGMENT_BYTES {
            if !self.reused {
                RealDisk.remove(&self.dir).expect("removed");
                self.file = create(&self.dir);
            }
            self.begin();
        }
    }

    fn begin(&mut self) {
        self.file.allocate(SEGMENT_BYTES).expect("room");
        self.file.sync_all().expect("synced");
        self.offset = 0;
    }

    fn append(&mut self, bytes: &[u8]) {
        self.file.write_at(bytes, self.offset).expect("written");
        self.file.sync_data().expect("synced");
        self.offset += bytes.len() as u64;
    }
}

fn create(path: &Path) -> Arc<dyn File> {
    RealDisk.open(path, Open::CreateNew).expect("opens")
}

const SEGMENT_BYTES: u64 = 64 << 20;

/// A log in the state in which it spends its life: its engine keeps up, so that segments are written over.
struct Steady {
    ground: Ground,
    log: Arc<Log>,
}

const ENGINE: CursorId = CursorId("engine");

impl Steady {
    fn new(dir: &Path) -> Steady {
        let ground = Ground::real();
        let log = Log::open(&ground, &dir.join("steady"), settings()).expect("opens");
        let hold = Hold { bytes_max: u64::MAX, age_max: Duration::MAX, beyond: HoldAction::Refuse };
        log.hold(ENGINE, hold);
        let steady = Steady { ground, log };
        let parcels = parcels_of(1000);
        for _ in 0..14 {
            steady.fill(&parcels, TURN_BYTES);
            steady.advance();
        }
        steady
    }

    /// Appends so many bytes, as fast as they are taken, and waits until all are durable.
    fn fill(&self, parcels: &[Arc<Parcel>], bytes: u64) -> u64 {
        let mut encoded = Vec::new();
        frame::encode(&parcels[0], &mut encoded);
        let wanted = bytes / (encoded.len() as u64 + 40);
        let mut oldest: Option<Commit> = None;
        for number in 0..wanted {
            let commit = loop {
                match self.log.append(parcels[number as usize % parcels.len()].clone(), Durability::Commit) {
                    Ok(commit) => break commit,
                    // Whoever is refused waits for one that is on its way, and goes on.
                    Err(_) => match oldest.take() {
                        Some(commit) => drop(commit.wait(LIMIT).expect("in time").expect("durable")),
                        None => std::thread::yield_now(),
                    },
                }
            };
            if number + 1 == wanted {
                commit.wait(LIMIT).expect("in time").expect("durable");
            } else {
                oldest = oldest.or(Some(commit));
            }
        }
        wanted
    }

    /// The engine is done with all of it: segments come free. Not part of what is measured.
    fn advance(&self) {
        let done = self.log.advance(ENGINE, self.log.durable(), Bytes::new());
        done.wait(LIMIT).expect("in time").expect("durable");
    }

    fn reading(&self, name: &str) -> f64 {
        reading(&self.ground, name)
    }
}

fn parcels_of(rows: u32) -> Vec<Arc<Parcel>> {
    (0..64).map(|salt| Arc::new(batch(rows, salt))).collect()
}

/// One append alone, in units of a write with fdatasync of as many bytes; taken in turns, so that the disk's moods hit all.
fn lone(dir: &Path, steady: &Steady) {
    let mut plain = [Plain::new(dir, false), Plain::new(dir, true)];
    let parcel = Arc::new(batch(1, 1));
    let bytes = vec![7; 72];
    let (mut log_times, mut sync_times) = (Vec::new(), [Vec::new(), Vec::new()]);
    let (sum, count) = ("tidemill_journal_sync_seconds_sum", "tidemill_journal_sync_seconds_count");
    let before = (steady.reading(sum), steady.reading(count));
    for _ in 0..500 {
        let began = Instant::now();
        let commit = steady.log.append(parcel.clone(), Durability::Commit).expect("taken");
        commit.wait(LIMIT).expect("in time").expect("durable");
        log_times.push(began.elapsed());
        for (plain, times) in plain.iter_mut().zip(&mut sync_times) {
            plain.ready(bytes.len() as u64);
            let began = Instant::now();
            plain.append(&bytes);
            times.push(began.elapsed());
        }
    }
    let inside = (steady.reading(sum) - before.0) / (steady.reading(count) - before.1) * 1e6;
    let [new, reused] = sync_times;
    let ratio = |other: &[Duration]| {
        let pairs = log_times.iter().zip(other);
        middle(pairs.map(|(log, other)| log.as_secs_f64() / other.as_secs_f64()).collect())
    };
    let ratios = (ratio(&new), ratio(&reused));
    let mean = log_times.iter().sum::<Duration>().as_secs_f64() / log_times.len() as f64 * 1e6;
    println!(
        "lone append: {:.0} µs, {:.2} of one write with fdatasync ({:.0} µs; {:.2} where the file is written over, {:.0} µs); \
         mean {mean:.0} µs, of which its own fdatasync {inside:.0} µs",
        median(log_times),
        ratios.0,
        median(new),
        ratios.1,
        median(reused),
    );
}

fn middle(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

const TURN_BYTES: u64 = 16 << 20;
const TURNS: usize = 15;

/// Groups and the disk's own appends in short turns: a virtual disk has a budget that wanders, and what came first would else
/// win. The figure is the middle one of the ratios of each turn.
fn groups(dir: &Path, steady: &Steady) {
    let mut plain = [Plain::new(dir, false), Plain::new(dir, true)];
    let bytes: Vec<u8> = (0..256 << 10).map(|at: u32| (at.wrapping_mul(2_654_435) >> 13) as u8).collect();
    let mut plain_speeds = [Vec::new(), Vec::new()];
    let kinds = [1, 100, 1000];
    let parcels = kinds.map(parcels_of);
    let mut speeds = [const { Vec::new() }; 3];
    let mut samples = [const { Vec::new() }; 3];
    let mut sizes = [const { Vec::new() }; 3];
    for _ in 0..TURNS {
        for (plain, speeds) in plain.iter_mut().zip(&mut plain_speeds) {
            plain.ready(TURN_BYTES);
            let began = Instant::now();
            for _ in 0..TURN_BYTES / bytes.len() as u64 {
                plain.append(&bytes);
            }
            speeds.push(TURN_BYTES as f64 / began.elapsed().as_secs_f64() / 1e6);
        }
        for (place, parcels) in parcels.iter().enumerate() {
            let before = (
                steady.reading("tidemill_journal_bytes_total"),
                steady.reading("tidemill_journal_groups_total"),
            );
            let began = Instant::now();
            let appended = steady.fill(parcels, TURN_BYTES);
            let seconds = began.elapsed().as_secs_f64();
            let bytes = steady.reading("tidemill_journal_bytes_total") - before.0;
            speeds[place].push(bytes / seconds / 1e6);
            samples[place].push(appended as f64 * f64::from(kinds[place]) / seconds / 1e6);
            sizes[place].push(bytes / (steady.reading("tidemill_journal_groups_total") - before.1) / 1e3);
            steady.advance();
        }
    }
    for (place, rows) in kinds.iter().enumerate() {
        let ratio = |plain: &[f64]| {
            middle(speeds[place].iter().zip(plain).map(|(log, plain)| log / plain * 100.0).collect())
        };
        println!(
            "group commit, parcels of {rows} rows: {:.0} MB/s, {:.0} % of 256 KiB appends with fdatasync ({:.0} % where the file is \
             written over); {:.2} M samples/s, {:.0} KB a group",
            middle(speeds[place].clone()),
            ratio(&plain_speeds[0]),
            ratio(&plain_speeds[1]),
            middle(samples[place].clone()),
            middle(sizes[place].clone()),
        );
    }
    let [new, reused] = plain_speeds;
    println!(
        "the disk: {:.0} MB/s in appends of 256 KiB with fdatasync each, {:.0} MB/s where the file is written over",
        middle(new),
        middle(reused)
    );
}

fn reading(ground: &Ground, name: &str) -> f64 {
    ground.metrics.snapshot().iter().find(|reading| reading.name == name).map_or(0.0, |reading| reading.value)
}

fn opening(dir: &Path) {
    for rows in [1, 100, 1000] {
        let name = dir.join(format!("opening{rows}"));
        let ground = Ground::real();
        let log = Log::open(&ground, &name, settings()).expect("opens");
        let whole = Steady { ground, log };
        whole.fill(&parcels_of(rows), 160 << 20);
        whole.log.stop();
        drop(whole);
        let bytes: u64 = RealDisk
            .list(&name)
            .expect("listed")
            .iter()
            .filter(|entry| entry.name.ends_with(".segment"))
            .map(|entry| entry.len)
            .sum();
        let began = Instant::now();
        let log = Log::open(&Ground::real(), &name, settings()).expect("opens");
        let seconds = began.elapsed().as_secs_f64();
        assert!(log.damage().is_empty());
        log.stop();
        println!(
            "opening, parcels of {rows} rows: {:.0} MB in {:.0} ms, {:.0} MB/s",
            bytes as f64 / 1e6,
            seconds * 1e3,
            bytes as f64 / seconds / 1e6
        );
    }
}

/// Single records at a steady rate, whatever the log does: how long each waits, and how often the disk is asked.
fn loads(dir: &Path) {
    for (index, (rate, window_ms)) in
        [(200, 0), (200, 2), (2000, 0), (2000, 1), (2000, 2), (10_000, 0), (10_000, 1), (10_000, 2)]
            .into_iter()
            .enumerate()
    {
        let settings = Settings { commit_window: Duration::from_millis(window_ms), ..settings() };
        let ground = Ground::real();
        let log = Log::open(&ground, &dir.join(format!("load{index}")), settings).expect("opens");
        let seconds = 3;
        let (sender, receiver) = std::sync::mpsc::channel::<(Instant, Commit)>();
        let refused = AtomicU64::new(0);
        let mut waits = std::thread::scope(|scope| {
            scope.spawn(|| {
                let sender = sender;
                let began = Instant::now();
                for number in 0..rate * seconds {
                    let due = Duration::from_secs(1) * number / rate;
                    let early = due.saturating_sub(began.elapsed());
                    if !early.is_zero() {
                        std::thread::sleep(early);
                    }
                    let parcel = Parcel::of_record(StreamId(9), "key", number.to_string());
                    match log.append(Arc::new(parcel), Durability::Commit) {
                        Ok(commit) => sender.send((Instant::now(), commit)).expect("heard"),
                        Err(_) => drop(refused.fetch_add(1, Ordering::Relaxed)),
                    }
                }
            });
            let waiter = scope.spawn(move || {
                let mut waits = Vec::new();
                for (began, commit) in receiver {
                    commit.wait(LIMIT).expect("in time").expect("durable");
                    waits.push(began.elapsed());
                }
                waits
            });
            waiter.join().expect("no panic")
        });
        let groups = reading(&ground, "tidemill_journal_groups_total");
        log.stop();
        println!(
            "{rate} records/s, window {window_ms} ms: median {:.2} ms, p99 {:.2} ms, {:.0} syncs/s, {:.1} a group, {} refused",
            percentile(&mut waits, 50),
            percentile(&mut waits, 99),
            groups / f64::from(seconds),
            waits.len() as f64 / groups,
            refused.into_inner(),
        );
    }
}
