//! Publishing: stamps, shares, publishes by number, last values.

use tidemill_core::{Busy, NANOS_PER_SECOND, ProducerId, SourceId};

use super::*;

#[test]
fn what_was_acknowledged_is_read() {
    let plant = Plant::new();
    for round in 0..200 {
        plant.write("a", round, round);
        assert_eq!(plant.last_int("a"), Some(round));
    }
    let last = plant.last("a").unwrap();
    assert_eq!((&*plant.bus.source(last.source), last.time, last.quality), ("token:a", 199, Quality::GOOD));
    assert_eq!(&*plant.bus.source(SourceId(0)), "");
    assert_eq!(plant.counted("tidemill_bus_reads_late_total"), 0.0);
}

#[test]
fn what_is_not_committed_is_not_read() {
    let plant = Plant::new();
    plant.write("a", 1, 1);
    plant.journal.hold_commits();
    let grant = plant.bind("a");
    let commit = plant.publish(&[(grant, Stamp::At(2), Value::Int(2))]).unwrap();
    assert_eq!(commit.wait(Duration::ZERO), None);
    assert_eq!(plant.last_int("a"), Some(1));
    plant.journal.commit();
    plant.wait(commit);
    assert_eq!(plant.last_int("a"), Some(2));
}

#[test]
fn scopes_cut_last_values() {
    let plant = Plant::new();
    let ids: Vec<SignalId> = ["a/x", "b/x"]
        .iter()
        .map(|name| {
            plant.write(name, 1, 1);
            plant.bind(name).id
        })
        .collect();
    let scope = ReadScope::of(&[Pattern::new("a/#").unwrap()], 1, false);
    let mut out = Vec::new();
    plant.bus.last(&scope, &ids, &mut out);
    assert_eq!(out.iter().map(|last| last.id).collect::<Vec<_>>(), [ids[0]]);
    assert_eq!(plant.bus.describe(&scope, &Pattern::everything()).len(), 1);
}

#[test]
fn rows_without_time_are_stamped_once_in_order() {
    let plant = Plant::new();
    let now = tidemill_ground::SimClock::START_NS;
    let stamps = |plant: &Plant| -> Vec<i64> {
        let (_, parcel) = plant.journal.parcels().pop().unwrap();
        parcel.samples.as_ref().unwrap().time.clone()
    };
    let publish = |plant: &Plant, numbers: &[u32]| {
        let grant = plant.bind("a");
        let rows: Vec<_> =
            numbers.iter().map(|number| (grant, Stamp::Server(*number), Value::Int(1))).collect();
        plant.wait(plant.publish(&rows).unwrap());
        stamps(plant)
    };
    assert_eq!(publish(&plant, &[0, 0, 5]), [now, now, now + 5]);
    assert_eq!(publish(&plant, &[0, 1]), [now + 6, now + 7]);
    let plant = plant.crash();
    assert_eq!(publish(&plant, &[0]), [now + 8], "found again in the log");
    let plant = plant.restart();
    assert_eq!(publish(&plant, &[0]), [now + 9], "found again in the snapshot");
    plant.world.clock.step_wall(-NANOS_PER_SECOND / 2);
    assert_eq!(publish(&plant, &[0]), [now + 10], "a small step back is bridged");
    plant.world.clock.step_wall(-NANOS_PER_SECOND * 10);
    let stepped = plant.world.clock.clone();
    let plant = plant.crash();
    let wall = tidemill_ground::Clock::wall(stepped.as_ref());
    assert_eq!(publish(&plant, &[0]), [wall], "a large one is followed, also after a restart");
    let (_, parcel) = plant.journal.parcels().pop().unwrap();
    assert!(parcel.samples.as_ref().unwrap().flags.has(Flags::CLOCK_STEP));
    assert_eq!(publish(&plant, &[0]), [wall + 1]);
    assert_eq!(plant.counted("tidemill_bus_clock_steps_total"), 1.0);
}

#[test]
fn a_refused_append_takes_no_stamp_and_hides_no_step() {
    let plant = Plant::new();
    plant.write("a", 1, 1);
    plant.world.clock.step_wall(-NANOS_PER_SECOND * 10);
    let grant = plant.bind("a");
    plant.journal.refuse(Some(Busy::Unsynced { waiting_bytes: 1, max_bytes: 1 }));
    assert_eq!(code(plant.publish(&[(grant, Stamp::Server(0), Value::Int(1))])), "busy");
    plant.journal.refuse(None);
    plant.wait(plant.publish(&[(grant, Stamp::Server(0), Value::Int(1))]).unwrap());
    let (_, parcel) = plant.journal.parcels().pop().unwrap();
    assert!(parcel.samples.as_ref().unwrap().flags.has(Flags::CLOCK_STEP));
}

#[test]
fn received_grows_along_the_log_whoever_writes() {
    let plant = Plant::new();
    let grant = plant.bind("a");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                (0..200)
                    .for_each(|_| drop(plant.publish(&[(grant, Stamp::Server(0), Value::Int(1))]).unwrap()))
            });
        }
    });
    let received: Vec<i64> =
        plant.journal.parcels().iter().map(|(_, parcel)| parcel.samples.as_ref().unwrap().received).collect();
    assert_eq!(received.len(), 800);
    assert!(received.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn a_share_is_given_back_with_the_commit() {
    let plant = Plant::with(Settings { identity_unsynced_bytes: 1_000, ..Settings::default() });
    let grant = plant.bind("a");
    plant.journal.hold_commits();
    let rows = [(grant, Stamp::At(1), Value::Int(1))];
    let mut taken = 0;
    let refused = loop {
        match plant.publish(&rows) {
            Ok(_) => taken += 1,
            Err(problem) => break problem,
        }
        assert!(taken < 100, "no share is kept");
    };
    assert_eq!(refused.code.id, "share-exceeded");
    assert!(taken > 1);
    let mut other = plant;
    other.who = identity("token:b");
    assert_eq!(code(other.publish(&rows)), "ok", "another has a share of its own");
    other.who = identity("token:a");
    other.journal.commit();
    assert_eq!(code(other.publish(&rows)), "ok");
}

#[test]
fn a_share_lost_with_a_failed_disk_comes_back() {
    let plant = Plant::with(Settings { identity_unsynced_bytes: 1, ..Settings::default() });
    let grant = plant.bind("a");
    plant.journal.hold_commits();
    let rows = [(grant, Stamp::At(1), Value::Int(1))];
    let lost = plant.publish(&rows).unwrap();
    plant.journal.fail();
    assert!(lost.wait(Duration::from_secs(60)).unwrap().is_err());
    assert_eq!(code(plant.publish(&rows)), "share-exceeded");
    plant.world.clock.advance(Duration::from_secs(11));
    assert_eq!(code(plant.publish(&rows)), "ok");
}

#[test]
fn a_repeated_publish_changes_nothing() {
    let plant = Plant::new();
    let once = Some((ProducerId(1), 7));
    let publish = |plant: &Plant, value| {
        let grant = plant.bind("a");
        plant.publish_as(Durability::Commit, once, &[(grant, Stamp::Server(0), Value::Int(value))]).unwrap()
    };
    plant.journal.hold_commits();
    let (first, repeat) = (publish(&plant, 1), publish(&plant, 2));
    plant.journal.commit();
    let place = plant.wait(first);
    assert_eq!(plant.wait(repeat), place);
    assert_eq!(plant.wait(publish(&plant, 3)), place);
    assert_eq!(plant.last_int("a"), Some(1));
    let plant = plant.crash();
    assert_eq!(plant.wait(publish(&plant, 4)), place, "found again in the log");
    let plant = plant.restart();
    assert_eq!(plant.wait(publish(&plant, 5)), place, "found again in the snapshot");
    assert_eq!(plant.last_int("a"), Some(1));
    assert_eq!(plant.counted("tidemill_bus_repeats_total"), 1.0);
}

#[test]
fn a_lost_publish_may_be_repeated() {
    let plant = Plant::new();
    let grant = plant.bind("a");
    let once = Some((ProducerId(1), 7));
    let rows = [(grant, Stamp::Server(0), Value::Int(1))];
    plant.journal.hold_commits();
    let lost = plant.publish_as(Durability::Commit, once, &rows).unwrap();
    plant.journal.fail();
    assert!(lost.wait(Duration::from_secs(60)).unwrap().is_err());
    plant.wait(plant.publish_as(Durability::Commit, once, &rows).unwrap());
    assert_eq!(plant.last_int("a"), Some(1));
}

#[test]
fn live_values_are_routed_and_not_in_the_log() {
    let plant = Plant::new();
    plant.write("a", 1, 1);
    let grant = plant.bind("a");
    let mut feed = plant
        .bus
        .subscribe(
            &ReadScope::everything(),
            &[Pattern::everything()],
            tidemill_core::LagPolicy::Latest { parcels_max: 9 },
            tidemill_core::Start::Now,
        )
        .unwrap();
    plant.wait(plant.publish_as(Durability::Live, None, &[(grant, Stamp::At(2), Value::Int(2))]).unwrap());
    assert_eq!(shown(&plant.bus, next(feed.as_mut())), "1: a=2");
    assert_eq!(plant.last_int("a"), Some(2));
    drop(feed);
    assert_eq!(plant.crash().last_int("a"), Some(1));
}

/// What a log line is written to.
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_clock_that_went_back_is_told_once_and_leaves_no_last_value_ahead() {
    let plant = Plant::new();
    let (hour, second) = (3_600 * NANOS_PER_SECOND, NANOS_PER_SECOND);
    let write = |value: i64| {
        let rows = [(plant.bind("a"), Stamp::Server(0), Value::Int(value))];
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        tracing::subscriber::with_default(log, || plant.wait(plant.publish(&rows).unwrap()));
        let told = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let last = plant.last("a").map(|last| (last.value, last.ahead));
        (told, last.unwrap())
    };
    let table = [
        // How the clock steps before it, whether that is told, the last value then, whether samples are ahead.
        (0, None, 0, false),
        (hour, None, 1, false),
        (-hour - second / 2, Some("back_s=3600.5"), 2, true),
        (0, None, 3, true),
        (-second, None, 4, true),
        // So little ahead is no forecast: the newest time is the last one until it is passed.
        (-30 * second, Some("back_s=31"), 4, true),
        (60 * second, None, 6, true),
    ];
    for (value, (step, told, expected, ahead)) in (0_i64..).zip(table) {
        plant.world.clock.step_wall(step);
        let (line, last) = write(value);
        assert_eq!(line.lines().count(), usize::from(told.is_some()), "{line}");
        assert!(line.contains(told.map_or("", |_| "clock.stepped_back")), "{line}");
        assert!(line.contains(told.unwrap_or_default()), "{line}");
        assert_eq!(last, (Value::Int(expected), ahead));
    }
    assert_eq!(plant.counted("tidemill_bus_clock_steps_total"), 2.0);
}
