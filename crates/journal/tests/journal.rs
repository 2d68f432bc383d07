//! The log through its public door: append, follow, crash and open again, as the other rooms do.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tidemill_core::{
    BatchBuilder, CursorId, Delivery, Durability, Feed, Flags, Hold, HoldAction, Journal, Parcel, Quality,
    Seq, SignalId, SourceId, Stamp, StreamId, ValueRef,
};
use tidemill_ground::Ground;
use tidemill_journal::{Log, Settings};

fn record(text: &str) -> Arc<Parcel> {
    Arc::new(Parcel::of_record(StreamId(9), "k", text.to_owned()))
}

/// What a feed has now.
fn ready(feed: &mut dyn Feed) -> Vec<String> {
    let mut out = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(delivery) = feed.next().as_mut().poll(&mut context) {
        match delivery {
            Delivery::Data { seq, parcel, .. } => {
                let text = String::from_utf8_lossy(&parcel.records[0].value).into_owned();
                out.push(format!("{} {text}", seq.0));
            }
            Delivery::Lagged { missed, to } => out.push(format!("missed {missed} to {}", to.0)),
            Delivery::Closed => {
                out.push("closed".to_owned());
                break;
            }
        }
    }
    out
}

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn what_is_acknowledged_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let settings =
        Settings { free_min_bytes: 0, segment_bytes: 1 << 20, reserve_bytes: 1 << 20, ..Settings::default() };
    let ground = Ground::real();
    let log = Log::open(&ground, dir.path(), settings.clone()).unwrap();
    let mut feed = log.follow(CursorId("engine"), None);
    for number in 1..=3 {
        let commit = log.append(record(&format!("p{number}")), Durability::Commit).unwrap();
        assert_eq!(commit.wait(LIMIT), Some(Ok(Seq(number))));
    }
    assert_eq!(log.durable(), Seq(3));
    assert_eq!(ready(feed.as_mut()), ["1 p1", "2 p2", "3 p3"]);
    log.advance(CursorId("engine"), Seq(2), "note".into()).wait(LIMIT).unwrap().unwrap();
    assert!(Log::open(&Ground::real(), dir.path(), settings.clone()).is_err(), "a second opening is refused");
    log.stop();
    assert_eq!(ready(feed.as_mut()), ["closed"]);
    drop(log);
    let log = Log::open(&Ground::real(), dir.path(), settings).unwrap();
    assert_eq!(log.damage(), []);
    assert_eq!(log.cursor(CursorId("engine")), Some((Seq(2), "note".into())));
    let mut feed = log.follow(CursorId("engine"), None);
    assert_eq!(ready(feed.as_mut()), ["3 p3"]);
    let commit = log.append(record("p4"), Durability::Commit).unwrap();
    assert_eq!(commit.wait(LIMIT), Some(Ok(Seq(4))));
    assert_eq!(ready(feed.as_mut()), ["4 p4"]);
    log.stop();
}

/// Polls on this thread until there is something.
fn block<T>(mut future: std::pin::Pin<Box<dyn Future<Output = T> + Send + '_>>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn many_threads_append_and_a_follower_is_woken_for_each_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    // A ring so small that the follower goes between memory and disk.
    let settings =
        Settings { free_min_bytes: 0, segment_bytes: 1 << 20, ring_bytes_max: 4_000, ..Settings::default() };
    let log = Log::open(&Ground::real(), dir.path(), settings).unwrap();
    const EACH: u64 = 2_000;
    let mut feed = log.follow(CursorId("engine"), None);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let log = log.clone();
            scope.spawn(move || {
                let mut last = None;
                for number in 0..EACH {
                    last =
                        Some(log.append(record(&format!("{thread} {number}")), Durability::Commit).unwrap());
                }
                block(Box::pin(last.unwrap())).unwrap();
            });
        }
        let mut next = [0; 3];
        for expected in 1..=3 * EACH {
            let Delivery::Data { seq, parcel, .. } = block(feed.next()) else { panic!("missed something") };
            assert_eq!(seq, Seq(expected));
            let text = String::from_utf8(parcel.records[0].value.to_vec()).unwrap();
            let (thread, number) = text.split_once(' ').unwrap();
            let next: &mut u64 = &mut next[thread.parse::<usize>().unwrap()];
            assert_eq!(number.parse(), Ok(*next), "the order of each thread's appends");
            *next += 1;
        }
    });
    log.stop();
}

/// Whether a thread of this process reads ahead.
fn reads_ahead() -> bool {
    let name =
        |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
    std::fs::read_dir("/proc/self/task").unwrap().flatten().any(|task| name(task).trim() == "journal-ahead")
}

#[test]
fn who_is_far_behind_is_read_ahead_for_and_gets_everything_once() {
    const BEHIND: u64 = 2_000;
    const MEANWHILE: u64 = 500;
    let dir = tempfile::tempdir().unwrap();
    let settings =
        Settings { free_min_bytes: 0, segment_bytes: 1 << 20, ring_bytes_max: 4_000, ..Settings::default() };
    let log = Log::open(&Ground::real(), dir.path(), settings).unwrap();
    let mut feed = log.follow(CursorId("engine"), None);
    let long = "x".repeat(5_000);
    let append = |number| log.append(record(&format!("{number} {long}")), Durability::Commit).unwrap();
    for commit in (1..=BEHIND).map(append).collect::<Vec<_>>() {
        block(Box::pin(commit)).unwrap();
    }
    let mut seen_ahead = false;
    for expected in 1..=BEHIND + MEANWHILE {
        if expected <= MEANWHILE {
            drop(append(BEHIND + expected));
        }
        let Delivery::Data { seq, parcel, .. } = block(feed.next()) else { panic!("missed something") };
        assert_eq!(seq, Seq(expected));
        assert!(parcel.records[0].value.starts_with(format!("{expected} x").as_bytes()));
        seen_ahead |= reads_ahead();
    }
    assert!(seen_ahead, "nobody read ahead");
    // Who goes away half way leaves no thread behind.
    let mut feed = log.follow(CursorId("engine"), Some(Seq(0)));
    while !reads_ahead() {
        assert!(matches!(block(feed.next()), Delivery::Data { .. }));
    }
    drop(feed);
    let gone = (0..1_000).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        !reads_ahead()
    });
    assert!(gone, "it reads on for nobody");
    log.stop();
}

mod scenes;
mod simulation;

/// How many crash cycles an ordinary run does; `TIDEMILL_SIM_CYCLES` asks for more.
fn cycles() -> u64 {
    std::env::var("TIDEMILL_SIM_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(1000)
}

#[test]
fn a_thousand_crashes_lose_and_invent_nothing() {
    let mut total = 0;
    let (mut damaged, mut failed, mut refused) = (0, 0, 0);
    for seed in 1..=10 {
        let report = simulation::run(seed, cycles() / 10, false);
        assert_eq!(report.wrong, None, "{report:?}");
        total += report.acknowledged;
        damaged += report.damaged;
        failed += report.failed;
        refused += report.refused;
    }
    assert!(total > cycles() * 5, "too little was acknowledged to mean anything: {total}");
    assert!(
        damaged > 0 && failed > 0 && refused > 0,
        "not every fault happened: {damaged} {failed} {refused}"
    );
}

#[test]
fn the_same_seed_does_the_same_twice() {
    for seed in 100..124 {
        assert_eq!(simulation::run(seed, 6, false), simulation::run(seed, 6, false));
    }
    assert_ne!(simulation::run(1, 6, false).trace, simulation::run(2, 6, false).trace);
}

#[test]
fn without_syncs_acknowledged_parcels_are_lost() {
    let lost = (1..=5).filter(|seed| {
        let wrong = simulation::run(*seed, 100, true).wrong.unwrap_or_default();
        wrong.contains("acknowledged and is lost")
            || wrong.contains("damage is reported")
            || wrong.contains("cursor")
    });
    assert_eq!(lost.count(), 5, "a disk that lies about syncs must be noticed");
}

#[test]
fn many_crashes_do_not_fill_the_disk_with_reserves() {
    const SEGMENT_BYTES: u64 = 1 << 20;
    let (_, simulation) = Ground::simulated(1);
    simulation.disk.set_capacity(8 * SEGMENT_BYTES);
    let settings = Settings {
        free_min_bytes: SEGMENT_BYTES,
        segment_bytes: SEGMENT_BYTES,
        reserve_bytes: SEGMENT_BYTES,
        ..Settings::default()
    };
    for life in 1..=20 {
        let ground = simulation.ground(life);
        let (log, mut writer) =
            Log::open_stepped(&ground, std::path::Path::new("/log"), settings.clone()).unwrap();
        let all = Hold { bytes_max: u64::MAX, age_max: Duration::MAX, beyond: HoldAction::Refuse };
        log.hold(CursorId("engine"), all);
        let mut builder = BatchBuilder::new(SourceId(1), Flags::default());
        builder.push(SignalId::new(1).unwrap(), Stamp::At(0), ValueRef::Bool(true), Quality::GOOD).unwrap();
        let samples = Some(Arc::new(builder.finish(0, Flags::default())));
        let parcel = Arc::new(Parcel { samples, ..Parcel::default() });
        let commit = log.append(parcel, Durability::Commit);
        let commit = commit.unwrap_or_else(|busy| panic!("in life {life} there is room: {busy}"));
        for _ in 0..100 {
            writer.step();
        }
        assert!(matches!(commit.wait(LIMIT), Some(Ok(_))), "life {life}");
        simulation.disk.crash();
    }
}
