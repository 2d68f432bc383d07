//! The store when things go wrong or come at once: commits that fail, files and logs that are damaged, tables that cannot be
//! opened, deletions beside flushes and merges. What holds in any order of events is the model's matter (`model_tests`).

use std::sync::Arc;
use std::time::Duration;

use tidemill_core::*;
use tidemill_ground::{Disk, Ground, SimClock};

use super::damage_tests::{damage_table, event, told};
use super::fakes::{JournalDoor, TestBus, TestJournal, World};
use super::model_tests::{DAY, PATHS, count, deletion, everything, float, parcel};
use crate::{SampleSource, ScanSpec, Settings, Store};

fn corrected(world: &World) -> usize {
    let batches = world.store.view().scan_table(super::CORRECTIONS, i64::MIN, i64::MAX);
    batches.map(|batch| batch.unwrap().num_rows()).sum()
}

/// The record of corrections commits after the samples; each of the two may fail by itself, and what the first one said of
/// its corrections must not be lost by the second.
#[test]
fn corrections_outlive_commits_that_fail() {
    use tidemill_ground::Operation;
    for crash in [false, true] {
        let mut world = World::new(2, &PATHS);
        let disk = world.simulation.disk.clone();
        let refused = std::io::ErrorKind::Other;
        world.write(parcel(&[float(1, 0, 20.5), float(1, 1, 21.5)], false));
        world.flush().unwrap();
        // Entries of a log come by a rename: the first is of the samples, the second of the corrections.
        world.write(parcel(&[float(1, 0, 20.75)], true));
        disk.fail_after(Operation::Rename, 1, refused);
        world.flush().unwrap_err();
        assert_eq!(corrected(&world), 0);
        world.write(parcel(&[float(1, 1, 21.75)], true));
        disk.fail_next(Operation::Rename, refused);
        world.flush().unwrap_err();
        if crash {
            disk.crash();
            world.reopen(3).unwrap();
            assert_eq!(corrected(&world), 1, "the commit that named them was made");
        }
        world.flush().unwrap();
        assert_eq!(corrected(&world), 2);
        world.reopen(4).unwrap();
        assert_eq!(corrected(&world), 2);
        assert_eq!(count(&world, &everything()).unwrap(), 2);
    }
}

#[test]
fn the_first_and_the_last_time_there_is_outlive_a_flush_and_a_restart() {
    let mut world = World::new(3, &PATHS);
    let times = [i64::MIN, i64::MIN + 1, 0, i64::MAX - 1, i64::MAX];
    let samples: Vec<_> = times.into_iter().map(|time| (1, time, Value::Float(0.5), Quality::GOOD)).collect();
    world.write(parcel(&samples, false));
    for reopened in [false, true] {
        assert_eq!(count(&world, &everything()).unwrap(), times.len());
        world.flush().unwrap();
        if reopened {
            world.reopen(4).unwrap();
        }
        assert_eq!(count(&world, &everything()).unwrap(), times.len());
    }
}

/// Days of history of many signals, each day in two files: merges are due.
fn many_signals(signals: u32, days: i64, rows: i64) -> World {
    let paths: Vec<String> = (0..signals).map(|n| format!("plant/{n:04}")).collect();
    let world = World::new(11, &paths.iter().map(String::as_str).collect::<Vec<_>>());
    for day in 0..days {
        for half in 0..2 {
            let all = (1..=signals).flat_map(|signal| (0..rows).map(move |row| (signal, row)));
            let at = |row| SimClock::START_NS + day * DAY + (row * 2 + half) * 1_000_000_000;
            let samples: Vec<_> =
                all.map(|(signal, row)| (signal, at(row), Value::Float(0.5), Quality::GOOD)).collect();
            world.write(parcel(&samples, false));
            world.flush().unwrap();
        }
        world.simulation.clock.advance(Duration::from_secs(86_400));
    }
    world.simulation.clock.advance(Duration::from_secs(86_400));
    world
}

#[test]
fn a_deletion_among_many_signals_writes_each_file_once_whatever_merges_do() {
    for round in 0..6 {
        let world = many_signals(100, 3, 10);
        let files = world.store.view().files().len() as u64;
        assert_eq!(files, 6);
        std::thread::scope(|scope| {
            let merging = scope.spawn(|| {
                loop {
                    match world.store.merge_step(&|| false) {
                        Ok(true) | Err(crate::Error::Conflict) => {}
                        other => break other.unwrap(),
                    }
                }
            });
            world.write(deletion(1 + round * 7, i64::MIN, i64::MAX));
            // Load goes on.
            world.write(parcel(&[float(2, 900_000, 1.0)], false));
            world.flush().unwrap();
            merging.join().unwrap();
        });
        assert!(world.store.meters.files_rewritten.get() <= files, "files were written again and again");
        assert_eq!(count(&world, &everything()).unwrap(), 99 * 3 * 20 + 1);
        assert_eq!(corrected(&world), 3 * 20);
        let rows: u64 = world.store.view().files().iter().map(|file| file.rows).sum();
        assert_eq!(rows, 99 * 3 * 20 + 1);
    }
}

#[test]
fn a_merge_whose_file_was_rewritten_ends_early_and_is_done_again() {
    let world = many_signals(20, 2, 5);
    let deleted = std::cell::Cell::new(false);
    let merged = world.store.merge_step(&|| {
        if !deleted.replace(true) {
            world.write(deletion(3, i64::MIN, i64::MAX));
            world.flush().unwrap();
        }
        false
    });
    assert!(matches!(merged, Err(crate::Error::Conflict)), "{merged:?}");
    assert_eq!(world.store.meters.files_rewritten.get(), 4);
    while world.store.merge_step(&|| false).unwrap() {}
    assert_eq!(world.store.view().files().len(), 2);
    assert_eq!(count(&world, &everything()).unwrap(), 19 * 2 * 10);
}

#[test]
fn who_waits_for_a_flush_is_told_when_it_takes_long() {
    let world = World::new(2, &PATHS);
    world.write(parcel(&[float(1, 0, 20.5)], false));
    let told = Problem::from(world.store.flush_within(Duration::ZERO).unwrap_err());
    assert_eq!(told.code.id, "unfinished");
    world.flush().unwrap();
    world.store.flush_within(Duration::ZERO).unwrap_err();
}

#[test]
fn a_full_disk_is_cleared_with_the_room_that_is_kept_for_it() {
    let world = World::new(2, &PATHS);
    let disk = world.simulation.disk.clone();
    world.write(parcel(&[float(1, 0, 20.5)], false));
    world.flush().unwrap();
    let space = disk.space(std::path::Path::new(super::fakes::LAKE)).unwrap();
    let used = space.total_bytes - space.free_bytes;
    disk.set_capacity(used);
    world.write(parcel(&[float(1, 1, 21.5)], false));
    let refused = |error: crate::Error| Problem::from(error).code.id;
    assert_eq!(refused(world.flush().unwrap_err()), "disk-full");
    // A deletion would wait behind the flush, and every question behind the deletion.
    let written = world.journal.parcels.lock().unwrap().len();
    let signals = [SignalId::new(1).unwrap()];
    assert_eq!(refused(world.store.delete("who", &signals, (0, i64::MAX), "why").unwrap_err()), "disk-full");
    assert_eq!(world.journal.parcels.lock().unwrap().len(), written, "nothing was recorded");
    assert_eq!(count(&world, &everything()).unwrap(), 2);
    *world.journal.reserve.lock().unwrap() = Some((disk.clone(), [used + (1 << 20), used]));
    world.flush().unwrap();
    assert_eq!(
        disk.space(std::path::Path::new(super::fakes::LAKE)).unwrap().total_bytes,
        used,
        "it was given back"
    );
    assert_eq!(count(&world, &everything()).unwrap(), 2);
}

/// Deletions are in the log and nothing can be written: questions see them at once, and what came behind them. Then all of
/// them are one rewrite of each file.
#[test]
fn deletions_wait_for_a_full_disk_and_questions_do_not() {
    let world = World::new(2, &PATHS);
    let disk = world.simulation.disk.clone();
    world.write(parcel(&[float(1, 0, 1.0), float(2, 0, 1.0), float(3, 0, 1.0), float(4, 0, 1.0)], false));
    world.flush().unwrap();
    let space = disk.space(std::path::Path::new(super::fakes::LAKE)).unwrap();
    disk.set_capacity(space.total_bytes - space.free_bytes);
    world.write(parcel(&[float(1, 1, 1.0)], false));
    world.flush().unwrap_err();
    for signal in 1..4 {
        world.write(parcel(&[float(signal, 2, 1.0)], false));
        world.write(deletion(signal, i64::MIN, i64::MAX));
        // The same sample as one that is deleted came again: it is new.
        world.write(parcel(&[float(signal, 0, 1.0)], false));
        world.flush().unwrap_err();
        assert_eq!(count(&world, &everything()).unwrap(), 4);
    }
    disk.set_capacity(u64::MAX);
    world.flush().unwrap();
    assert_eq!(world.store.meters.files_rewritten.get(), 2, "two files, each once");
    assert_eq!(count(&world, &everything()).unwrap(), 4);
    assert_eq!(world.store.view().files().iter().map(|file| file.rows).sum::<u64>(), 4);
    assert_eq!(corrected(&world), 3 + 1 + 3);
}

/// It is in the log: whoever asked is told that it goes on, not that it failed, and a restart does not undo it.
#[test]
fn a_deletion_that_finds_no_room_is_recorded_and_goes_on() {
    let mut world = World::new(2, &PATHS);
    let disk = world.simulation.disk.clone();
    world.write(parcel(&[float(1, 0, 1.0), float(2, 0, 1.0)], false));
    world.flush().unwrap();
    let space = disk.space(std::path::Path::new(super::fakes::LAKE)).unwrap();
    disk.set_capacity(space.total_bytes - space.free_bytes);
    let signal = SignalId::new(1).unwrap();
    let told = std::thread::scope(|scope| {
        let asks = scope.spawn(|| world.store.delete("ann", &[signal], (i64::MIN, i64::MAX), "a test"));
        while !asks.is_finished() {
            for (seq, parcel) in world.journal.after_cursor() {
                if seq > world.store.applied() {
                    world.store.apply(seq, &parcel);
                }
            }
            let _ = world.store.flush_step();
            std::thread::sleep(Duration::from_millis(1));
        }
        asks.join().unwrap()
    });
    let told = Problem::from(told.unwrap_err());
    assert_eq!(told.code.id, "unfinished", "{}", told.detail);
    assert!(told.detail.contains("could not be written"), "{}", told.detail);
    assert_eq!(count(&world, &everything()).unwrap(), 1, "questions are without it");
    disk.set_capacity(u64::MAX);
    world.reopen(3).unwrap();
    world.flush().unwrap();
    assert_eq!((count(&world, &everything()).unwrap(), corrected(&world)), (1, 1));
}

/// Text that does not compress.
fn noise(n: u64) -> Value {
    let word =
        |k: u64| format!("{:016x}", (n * 40 + k + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29));
    Value::Text((0..40).map(word).collect::<String>().into())
}

/// The room that is kept holds a piece of what waits, not all of it: each piece lets the journal give room for the next. Whatever
/// happens between two of them, every question has the same answer, and everything is in files once.
#[test]
fn what_is_larger_than_the_reserve_is_flushed_in_pieces() {
    for crash_after in [None, Some(2), Some(5)] {
        let mut world = World::new(2, &PATHS);
        let disk = world.simulation.disk.clone();
        world.write(parcel(&[float(1, 0, 20.5)], false));
        world.flush().unwrap();
        let lake = std::path::Path::new(super::fakes::LAKE);
        let mut expected = 1;
        for n in 0..60u64 {
            let time = SimClock::START_NS + n as i64 * 1_000_000_000;
            world.write(parcel(
                &[(2 + n as u32 % 3, time, noise(n), Quality::GOOD), float(1, n as i64, 1.0)],
                n % 7 == 3,
            ));
            expected += 2;
            if n == 20 || n == 40 {
                let before = count(&world, &everything()).unwrap();
                world.write(deletion(2, i64::MIN, i64::MAX));
                expected -= before - count(&world, &everything()).unwrap();
            }
        }
        assert_eq!(count(&world, &everything()).unwrap(), expected);
        let space = disk.space(lake).unwrap();
        let used = space.total_bytes - space.free_bytes;
        disk.set_capacity(used);
        let gives = |world: &World, pieces: u64| {
            *world.journal.reserve.lock().unwrap() = Some((disk.clone(), [used + pieces * 20_000, used]));
        };
        gives(&world, 1);
        if let Some(pieces) = crash_after {
            gives(&world, pieces);
            world.flush().unwrap_err();
            assert!(world.store.meters.pieces.get() > 0, "some are in files");
            assert_eq!(count(&world, &everything()).unwrap(), expected);
            disk.crash();
            world.reopen(9).unwrap();
        }
        let mut rounds = 0;
        while world.flush().is_err() {
            rounds += 1;
            assert_eq!(count(&world, &everything()).unwrap(), expected, "round {rounds}");
            assert!(rounds < 100);
            // The journal gave a segment back.
            gives(&world, 1 + rounds);
        }
        assert!(rounds > 2 && world.store.meters.pieces.get() > 2);
        assert_eq!(count(&world, &everything()).unwrap(), expected);
        let rows: u64 = world.store.view().files().iter().map(|file| file.rows).sum();
        assert_eq!(rows, expected as u64, "all of it, once");
        world.reopen(10).unwrap();
        assert_eq!(count(&world, &everything()).unwrap(), expected);
    }
}

#[test]
fn without_its_record_of_corrections_a_plant_replaces_and_does_not_delete() {
    let mut world = World::new(2, &PATHS);
    world.write(parcel(&[float(1, 0, 20.5)], false));
    world.flush().unwrap();
    let path = damage_table(&world, "corrections");
    world.reopen(3).unwrap();
    let signal = SignalId::new(1).unwrap();
    let refused = world.store.delete("ann", &[signal], (i64::MIN, i64::MAX), "test").unwrap_err();
    assert_eq!(Problem::from(refused).code.id, "damaged");
    for n in 0u8..3 {
        world.write(parcel(&[float(1, 0, f64::from(n))], true));
        world.flush().unwrap();
        world.reopen(20 + u64::from(n)).unwrap();
    }
    told(&world, super::CORRECTIONS);
    assert_eq!(count(&world, &everything()).unwrap(), 1);
    world.simulation.disk.flip_bit(&path, 3, 1).unwrap();
    world.reopen(5).unwrap();
    assert_eq!(corrected(&world), 3, "what waited beside the table is in it");

    // So many wait, and no more: seven, and the three that the damaged entry had taken in.
    let path = damage_table(&world, "corrections");
    world.reopen(6).unwrap();
    for n in 10u8..17 {
        world.write(parcel(&[float(1, 0, f64::from(n))], true));
        world.flush().unwrap();
    }
    assert_eq!(world.store.meters.unrecorded.get(), 6);
    world.simulation.disk.flip_bit(&path, 3, 1).unwrap();
    world.reopen(7).unwrap();
    assert_eq!(corrected(&world), 3 + 5, "what the last commit names");
}

#[test]
fn records_that_nobody_declared_do_not_keep_a_stop_waiting() {
    let world = World::new(2, &PATHS);
    let (seq, _) = world.journal.put(event(0));
    world.store.start(&world.ground).unwrap();
    assert!(world.store.wait_applied(seq, Duration::from_secs(20)));
    let report = world.ground.tasks.shutdown(Duration::from_secs(20));
    assert!(report.late.is_empty(), "{:?}", report.late);
}

/// A deletion begins a buffer of its own, and waits for that until what is frozen is in files. Whoever else would freeze may not
/// come between its looking and its freezing: here someone tries to whenever it holds the state.
#[test]
fn a_deletion_and_a_flush_do_not_take_each_others_place() {
    for round in 0..50 {
        let world = World::new(round, &PATHS);
        world.write(parcel(&[float(1, 0, 1.0), float(2, 0, 1.0)], false));
        world.store.freeze(&mut world.store.lock());
        world.write(parcel(&[float(1, 1, 1.0)], false));
        std::thread::scope(|scope| {
            let deleting = scope.spawn(|| world.write(deletion(1, i64::MIN, i64::MAX)));
            world.store.flush_step().unwrap();
            while !deleting.is_finished() {
                if world.store.state.try_lock().is_err() {
                    let mut state = world.store.lock();
                    if state.frozen.is_none() {
                        world.store.freeze(&mut state);
                    }
                    break;
                }
                std::hint::spin_loop();
            }
            while !deleting.is_finished() {
                world.store.flush_step().unwrap();
            }
            deleting.join().expect("the deletion has its buffer");
        });
        world.flush().unwrap();
        assert_eq!(count(&world, &everything()).unwrap(), 1);
        assert_eq!(corrected(&world), 2);
    }
}

#[test]
fn a_table_and_a_journal_that_do_not_know_each_other_are_not_opened() {
    let samples = std::path::PathBuf::from(super::fakes::LAKE).join("samples");
    for (lost_entry, told) in [(true, "entries at its end are missing"), (false, "data/journal is missing")] {
        let mut world = World::new(2, &PATHS);
        for second in 0..2 {
            world.write(parcel(&[float(1, second, 1.0)], false));
            world.flush().unwrap();
        }
        let disk = world.simulation.disk.clone();
        let files = || tidemill_ground::Disk::list(&disk, &samples).unwrap().len();
        let before = files();
        if lost_entry {
            let newest = samples.join(format!("_delta_log/{:020}.json", 2));
            tidemill_ground::Disk::remove(&disk, &newest).unwrap();
        } else {
            world.journal.parcels.lock().unwrap().clear();
            *world.journal.cursor.lock().unwrap() = None;
        }
        let error = world.reopen(3).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        assert_eq!(Problem::from(error).code.id, "damaged");
        assert_eq!(files(), before, "what the log does not name any more is what it is mended with");
    }
}

/// Row groups without a deleted row are the same bytes in the new file, and everything about them is right: rows, times, names for
/// other readers, checksums, the page index.
#[test]
fn row_groups_that_lose_nothing_are_copied() {
    let mut world = World::new(5, &["b/1", "b/2", "b/3", "b/4"]);
    let of_signal = |signal| (0..800).map(move |n| float(signal, n, f64::from(signal)));
    world.write(parcel(&(1..=4).flat_map(of_signal).collect::<Vec<_>>(), false));
    world.flush().unwrap();
    let second = |n: i64| SimClock::START_NS + n * 1_000_000_000;
    world.bus.set(3, "a/renamed", false);
    // All of one group of thirteen, in the midst of its signal.
    world.write(deletion(2, second(224), second(479)));
    world.flush().unwrap();
    let meters = &world.store.meters;
    assert_eq!((meters.files_rewritten.get(), corrected(&world)), (1, 256));
    assert_eq!(meters.groups_copied.get(), 12);
    // From the first row on, so that what stays of the signal begins in a group that is copied; and to the last.
    world.write(deletion(1, i64::MIN, second(255)));
    world.write(deletion(4, second(720), i64::MAX));
    world.flush().unwrap();
    assert!(world.store.meters.groups_copied.get() > 12 + 8);
    let expected = 3_200 - 256 - 256 - 80;
    for seed in 6..8 {
        assert_eq!(count(&world, &everything()).unwrap(), expected);
        let cut = ScanSpec { from: second(300), last: second(301), ..everything() };
        assert_eq!(count(&world, &cut).unwrap(), 3 * 2);
        let version = world.store.lock().version.clone();
        let [file] = &version.files[..] else { panic!("{} files", version.files.len()) };
        assert_eq!((file.rows, file.from, file.last), (expected as u64, second(0), second(799)));
        world.store.files.verify(file).unwrap();
        let footer = world.store.files.footer(file).unwrap();
        let entry = |id| *footer.directory.find(SignalId::new(id).unwrap()).unwrap();
        assert_eq!((entry(1).from, entry(1).last, entry(1).rows), (second(256), second(799), 544));
        assert_eq!((entry(4).from, entry(4).last, entry(4).rows), (second(0), second(719), 720));
        let stats = file.add.stats.clone().unwrap();
        assert!(stats.contains("\"signal\":\"b/1\"") && stats.contains("\"signal\":\"b/4\""), "{stats}");
        world.reopen(seed).unwrap();
    }
}

/// Readers of the files see the first rows of a table soon, and those of a large import; what is little waits its hour.
#[test]
fn a_young_table_is_in_files_soon_and_a_grown_one_in_its_hour() {
    let world = World::new(1, &PATHS);
    let advance = |seconds| world.simulation.clock.advance(Duration::from_secs(seconds));
    let write = |from: i64, rows: i64| {
        let rows: Vec<_> = (from..from + rows).map(|second| float(1, second, 1.0)).collect();
        world.write(parcel(&rows, false));
    };
    let step = || world.store.flush_step().unwrap();
    write(0, 1);
    assert!(!step(), "not for every sample");
    advance(11);
    assert!(step(), "the first");
    write(10, 99);
    advance(11);
    assert!(step(), "many more than there were");
    write(200, 24);
    advance(11);
    assert!(!step(), "less than a quarter");
    write(300, 1);
    assert!(step(), "a quarter");
    write(400, 1);
    advance(3_500);
    assert!(!step());
    advance(101);
    assert!(step(), "the hour is over");
}

#[test]
fn what_cannot_be_read_at_the_end_of_the_log_keeps_nobody_waiting() {
    let (ground, dir) = (Ground::real(), tempfile::tempdir().unwrap());
    let journal = Arc::new(TestJournal::default());
    for second in 0..3 {
        journal.put(parcel(&[float(1, second, 1.0)], false));
    }
    journal.lost.lock().unwrap().insert(Seq(3));
    let door = Arc::new(JournalDoor(journal));
    let settings = Settings { flush_young_after: Duration::from_millis(100), ..Settings::default() };
    let store = Store::open(&ground, dir.path(), door, TestBus::with(&PATHS), settings).unwrap();
    store.start(&ground).unwrap();
    assert!(store.wait_applied(Seq(3), Duration::from_secs(20)), "a question would wait for ever");
    // The log is replayed, so that what it had goes into files in its time.
    let in_files = (0..2_000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        store.view().files().iter().map(|file| file.rows).sum::<u64>() == 2
    });
    assert!(in_files);
    assert_eq!(store.meters.missed.get(), 1);
    assert!(ground.tasks.shutdown(Duration::from_secs(20)).is_clean());
}

#[test]
fn what_retention_removes_is_counted() {
    let mut world = World::new(1, &PATHS);
    world.settings.keep = Some(Duration::from_secs(30 * 86_400));
    world.reopen(2).unwrap();
    world.write(parcel(&[float(1, -9_000_000, 1.0), float(2, -9_000_001, 1.0), float(1, 0, 1.0)], false));
    world.flush().unwrap();
    while world.store.merge_step(&|| false).unwrap() {}
    assert_eq!(count(&world, &everything()).unwrap(), 1);
    assert_eq!(world.store.meters.retired.get(), 2);
}

/// Counts what a scan holds, as it says.
#[derive(Debug, Default)]
struct Counted {
    now: std::sync::atomic::AtomicUsize,
    most: std::sync::atomic::AtomicUsize,
    bytes_max: usize,
}

impl crate::Account for Counted {
    fn grow(&self, bytes: usize) -> bool {
        use std::sync::atomic::Ordering::Relaxed;
        let now = self.now.load(Relaxed) + bytes;
        if now > self.bytes_max {
            return false;
        }
        self.now.store(now, Relaxed);
        self.most.fetch_max(now, Relaxed);
        true
    }
    fn shrink(&self, bytes: usize) {
        let before = self.now.fetch_sub(bytes, std::sync::atomic::Ordering::Relaxed);
        assert!(before >= bytes, "more was given back than was held");
    }
}

/// Scans everything with so much memory; gives the rows, or the code of what it was told, and the most that was held.
fn scan_within(world: &World, bytes_max: usize) -> (Result<usize, &'static str>, usize) {
    let counted = std::sync::Arc::new(Counted { bytes_max, ..Counted::default() });
    let spec = ScanSpec { account: Some(counted.clone()), batch_rows: 16_384, ..everything() };
    let rows = count(world, &spec).map_err(|error| Problem::from(error).code.id);
    assert_eq!(counted.now.load(std::sync::atomic::Ordering::Relaxed), 0, "all of it was given back");
    (rows, counted.most.load(std::sync::atomic::Ordering::Relaxed))
}

/// Many small files: a scan holds those that it is in the midst of, says so, and ends where that is too much.
#[test]
fn a_scan_holds_the_files_that_it_is_in_and_no_more_than_it_may() {
    const FILES: u32 = 100;
    let flushed = |signals_of: &dyn Fn(u32) -> Vec<u32>| {
        let paths: Vec<String> = (0..FILES).map(|n| format!("plant/{n:04}")).collect();
        let world = World::new(11, &paths.iter().map(String::as_str).collect::<Vec<_>>());
        for file in 0..FILES {
            let of = signals_of(file);
            let samples: Vec<_> = of
                .into_iter()
                .flat_map(|id| (0..20).map(move |row| float(id, i64::from(file) * 20 + row, 0.5)))
                .collect();
            world.write(parcel(&samples, false));
            world.flush().unwrap();
        }
        assert_eq!(world.store.view().files().len(), FILES as usize);
        world
    };
    // A signal in each file: one file after the other.
    let apart = flushed(&|file| vec![file + 1]);
    let (rows, apart_bytes) = scan_within(&apart, usize::MAX);
    assert_eq!(rows, Ok(FILES as usize * 20));
    // Two signals in all files: the scan comes back to each of them.
    let across = flushed(&|_| vec![1, 2]);
    let (rows, across_bytes) = scan_within(&across, usize::MAX);
    assert_eq!(rows, Ok(FILES as usize * 40));
    let of_file = across_bytes / FILES as usize;
    assert!(apart_bytes < of_file * 20, "{apart_bytes} bytes, where a file takes {of_file}");
    assert_eq!(scan_within(&across, across_bytes).0, Ok(FILES as usize * 40));
    assert_eq!(scan_within(&across, across_bytes / 2).0, Err("query-memory"));
}

/// There is room for less than a piece: it is made smaller until it fits.
#[test]
fn a_piece_that_finds_no_room_is_made_smaller() {
    let world = World::new(2, &PATHS);
    let disk = world.simulation.disk.clone();
    world.write(parcel(&[float(1, 0, 20.5)], false));
    world.flush().unwrap();
    for n in 0..60u64 {
        world.write(parcel(&[(2, SimClock::START_NS + n as i64, noise(n), Quality::GOOD)], false));
    }
    let space = disk.space(std::path::Path::new(super::fakes::LAKE)).unwrap();
    let used = space.total_bytes - space.free_bytes;
    disk.set_capacity(used);
    for room in (1_000..).step_by(500) {
        *world.journal.reserve.lock().unwrap() = Some((disk.clone(), [used + room, used]));
        world.flush().unwrap_err();
        assert_eq!(count(&world, &everything()).unwrap(), 61);
        if world.store.meters.pieces.get() > 0 {
            break;
        }
    }
    let rows: u64 = world.store.view().files().iter().map(|file| file.rows).sum();
    assert!((2..6).contains(&rows), "no whole piece fits, a smaller one does: {rows}");
}
