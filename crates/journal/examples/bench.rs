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

use tidemill_core::{
    BatchBuilder, Commit, Durability, Flags, Journal, Parcel, Quality, SignalId, SourceId, Stamp, StreamId,
    ValueRef,
};
use tidemill_ground::{Disk, Ground, Open, RealDisk};
use tidemill_journal::{Log, Settings, decode, frame};

const LIMIT: Duration = Duration::from_secs(60);
const START: i64 = 1_767_225_600_000_000_000;

fn main() {
    let parent = std::env::var("BENCH_DIR")
        .unwrap_or_else(|_| std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned()));
    std::fs::create_dir_all(&parent).expect("a folder to write to");
    let dir = tempfile::tempdir_in(parent).expect("a folder to write to");
    codec();
    lone(dir.path());
    groups(dir.path());
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

/// One append alone, in units of an fdatasync of the same bytes; taken in turns, so that the disk's moods hit both.
fn lone(dir: &Path) {
    let ground = Ground::real();
    let log = Log::open(&ground, &dir.join("lone"), settings()).expect("opens");
    let file = RealDisk.open(&dir.join("plain"), Open::CreateNew).expect("opens");
    file.allocate(64 << 20).expect("room");
    let parcel = Arc::new(batch(1, 1));
    let bytes = vec![7; 120];
    let (mut log_times, mut sync_times) = (Vec::new(), Vec::new());
    for turn in 0..400_u64 {
        let began = Instant::now();
        log.append(parcel.clone(), Durability::Commit)
            .expect("taken")
            .wait(LIMIT)
            .expect("in time")
            .expect("durable");
        log_times.push(began.elapsed());
        let began = Instant::now();
        file.write_at(&bytes, turn * 120).expect("written");
        file.sync_data().expect("synced");
        sync_times.push(began.elapsed());
    }
    log.stop();
    let inside =
        reading(&ground, "journal_sync_seconds_sum") / reading(&ground, "journal_sync_seconds_count") * 1e6;
    let mean = |times: &[Duration]| times.iter().sum::<Duration>().as_secs_f64() / times.len() as f64 * 1e6;
    println!("lone append: mean {:.0} µs, of which its own fdatasync {inside:.0} µs", mean(&log_times));
    let (log, sync) = (median(log_times), median(sync_times));
    println!("lone append: {log:.0} µs, {:.2} of one write with fdatasync ({sync:.0} µs)", log / sync);
}

fn groups(dir: &Path) {
    let ceiling = ceiling(dir);
    for rows in [1, 100, 1000] {
        let before = ceiling;
        let ground = Ground::real();
        let log = Log::open(&ground, &dir.join(format!("groups{rows}")), settings()).expect("opens");
        let total: u64 = if rows == 1 { 200 << 20 } else { 500 << 20 };
        let parcels: Vec<Arc<Parcel>> = (0..64).map(|salt| Arc::new(batch(rows, salt))).collect();
        let mut encoded = Vec::new();
        frame::encode(&parcels[0], &mut encoded);
        let wanted = total / (encoded.len() as u64 + 40);
        let began = Instant::now();
        let mut last: Option<Commit> = None;
        let mut busy = 0;
        for number in 0..wanted {
            loop {
                match log.append(parcels[number as usize % 64].clone(), Durability::Commit) {
                    Ok(commit) => break last = Some(commit),
                    Err(_) => {
                        busy += 1;
                        if let Some(commit) = last.take() {
                            commit.wait(LIMIT).expect("in time").expect("durable");
                        } else {
                            std::thread::yield_now();
                        }
                    }
                }
            }
        }
        last.expect("some").wait(LIMIT).expect("in time").expect("durable");
        let seconds = began.elapsed().as_secs_f64();
        let bytes = reading(&ground, "journal_bytes_total");
        let groups = reading(&ground, "journal_groups_total");
        log.stop();
        let speed = bytes / seconds / 1e6;
        println!(
            "group commit, parcels of {rows} rows: {speed:.0} MB/s, {:.0} % of the disk's {before:.0} MB/s; {:.2} M samples/s, \
             {:.0} KB a group, {busy} busy",
            speed / before * 100.0,
            wanted as f64 * f64::from(rows) / seconds / 1e6,
            bytes / groups / 1e3,
        );
    }
    let after = self::ceiling(dir);
    println!("the disk again: {after:.0} MB/s");
}

fn reading(ground: &Ground, name: &str) -> f64 {
    ground.metrics.snapshot().iter().find(|reading| reading.name == name).map_or(0.0, |reading| reading.value)
}

/// What the disk gives in appends of 256 KiB, each with fdatasync.
fn ceiling(dir: &Path) -> f64 {
    let path = dir.join("ceiling");
    let file = RealDisk.open(&path, Open::CreateNew).expect("opens");
    let bytes: Vec<u8> = (0..256 << 10).map(|at: u32| (at.wrapping_mul(2_654_435) >> 13) as u8).collect();
    let began = Instant::now();
    let turns = 1200;
    for turn in 0..turns {
        file.write_at(&bytes, turn * bytes.len() as u64).expect("written");
        file.sync_data().expect("synced");
    }
    let speed = (turns * bytes.len() as u64) as f64 / began.elapsed().as_secs_f64() / 1e6;
    RealDisk.remove(&path).expect("removed");
    println!("disk: {speed:.0} MB/s in appends of 256 KiB with fdatasync each");
    speed
}

fn opening(dir: &Path) {
    for rows in [1, 100, 1000] {
        let name = dir.join(format!("groups{rows}"));
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
        let groups = reading(&ground, "journal_groups_total");
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
