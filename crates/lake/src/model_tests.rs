//! The store against a naive model: whatever is written, late, twice, replaced, deleted, flushed, merged, crashed and
//! opened again, a scan gives what a list of all writes gives.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use tidemill_core::*;
use tidemill_ground::SimClock;

use super::fakes::{World, any_value, row_of};
use super::rows::{RowRef, Rows};
use crate::{Columns, SampleSource, ScanSpec};

pub(super) const PATHS: [&str; 4] = ["plant/a", "plant/b/x", "plant/b", "zoo"];
pub(super) const DAY: i64 = 86_400_000_000_000;

/// A list of all samples, by signal and time, in order of arrival.
#[derive(Default, Clone)]
struct Model(BTreeMap<(u32, i64), Vec<(Value, Quality)>>);

fn same(one: &(Value, Quality), other: &(Value, Quality)) -> bool {
    let rows = [one, other].map(|(value, quality)| row_of(0, value.as_ref(), *quality, false));
    rows[0].row(0).same_as(&rows[1].row(0))
}

impl Model {
    fn write(&mut self, signal: u32, time: i64, sample: (Value, Quality), replace: bool) {
        let at = self.0.entry((signal, time)).or_default();
        let known = at.iter().any(|other| same(other, &sample));
        if replace && !(known && at.len() == 1) {
            *at = vec![sample];
        } else if !known {
            at.push(sample);
        }
    }

    fn delete(&mut self, signal: u32, from: i64, last: i64) {
        self.0.retain(|(id, time), _| *id != signal || *time < from || *time > last);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write {
        rows: Vec<(u32, i64, Value, Quality)>,
        replace: bool,
    },
    Delete {
        signal: u32,
        from: i64,
        last: i64,
        flushed: bool,
    },
    Flush,
    Merge,
    Pass(u8),
    Crash,
    /// The power goes after so many operations of the disk, in the midst of the step; then again while it opens.
    CutIn {
        merge: bool,
        operations: u8,
        opening: Option<u8>,
    },
    /// The disk refuses for a while: nothing is lost, and it goes on by itself.
    Trouble {
        merge: bool,
        percent: u8,
    },
}

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => (-3i64..60).prop_map(|second| SimClock::START_NS + second * 1_000_000_000),
        2 => (-40i64..2, 0i64..3).prop_map(|(day, hour)| SimClock::START_NS + day * DAY + hour * 3_600_000_000_007),
        1 => any::<i32>().prop_map(|far| i64::from(far) * 1_000_000_000),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let quality = prop_oneof![5 => Just(Quality::GOOD), 1 => Just(Quality::BAD)];
    let value = prop_oneof![3 => (0u8..4).prop_map(|n| Value::Float(f64::from(n) / 4.0)), 2 => any_value()];
    let row = (1u32..=4, any_time(), value, quality);
    prop_oneof![
        8 => (proptest::collection::vec(row, 0..40), prop::bool::weighted(0.2))
            .prop_map(|(rows, replace)| Step::Write { rows, replace }),
        2 => (1u32..=4, any_time(), 0i64..40 * DAY, any::<bool>()).prop_map(|(signal, from, long, flushed)| {
            Step::Delete { signal, from, last: from.saturating_add(long), flushed }
        }),
        3 => Just(Step::Flush),
        2 => Just(Step::Merge),
        2 => (1u8..40).prop_map(Step::Pass),
        1 => Just(Step::Crash),
        3 => (any::<bool>(), 0u8..60, prop::option::of(0u8..30))
            .prop_map(|(merge, operations, opening)| Step::CutIn { merge, operations, opening }),
        1 => (any::<bool>(), 5u8..40).prop_map(|(merge, percent)| Step::Trouble { merge, percent }),
    ]
}

pub(super) fn parcel(rows: &[(u32, i64, Value, Quality)], replace: bool) -> Parcel {
    let flags = if replace { Flags::REPLACE } else { Flags::default() };
    let mut builder = BatchBuilder::new(SourceId(1), flags);
    for (signal, time, value, quality) in rows {
        builder.push(SignalId::new(*signal).unwrap(), Stamp::At(*time), value.as_ref(), *quality).unwrap();
    }
    Parcel::of_samples(builder.finish(SimClock::START_NS, Flags::default()))
}

pub(super) fn deletion(signal: u32, from: i64, last: i64) -> Parcel {
    let signals = vec![SignalId::new(signal).unwrap()];
    let deletion = Deletion { signals, from, last, who: "ann".into(), reason: "test".into(), when: 5 };
    Parcel { records: vec![deletion.record()], ..Parcel::default() }
}

/// Everything a scan gives, signal by signal.
fn scanned(world: &World, spec: &ScanSpec, partitions: usize) -> Vec<(u32, Rows)> {
    let mut out: Vec<(u32, Rows)> = Vec::new();
    for scan in world.store.view().scan(spec, partitions) {
        for batch in scan {
            let batch = batch.unwrap();
            for row in batch.samples.rows() {
                if out.last().map(|(id, _)| *id) != Some(row.signal.get()) {
                    out.push((row.signal.get(), Rows::default()));
                }
                let one = row_of(row.time, row.value, row.quality, false);
                out.last_mut().unwrap().1.push(&RowRef { ..one.row(0) });
            }
        }
    }
    out
}

pub(super) fn count(world: &World, spec: &ScanSpec) -> Result<usize, crate::Error> {
    let scans = world.store.view().scan(spec, 1);
    scans.into_iter().flatten().map(|batch| batch.map(|batch| batch.samples.len())).sum()
}

pub(super) fn everything() -> ScanSpec {
    ScanSpec {
        signals: None,
        from: i64::MIN,
        last: i64::MAX,
        columns: Columns::ALL,
        batch_rows: 7,
        account: None,
    }
}

fn check(world: &World, model: &Model) -> Result<(), TestCaseError> {
    let by_path: Vec<u32> = vec![1, 3, 2, 4]; // plant/a, plant/b, plant/b/x, zoo
    for partitions in [1, 3] {
        let got = scanned(world, &everything(), partitions);
        let order: Vec<u32> = got.iter().map(|(id, _)| *id).collect();
        let expected: Vec<u32> =
            by_path.iter().copied().filter(|id| model.0.keys().any(|(signal, _)| signal == id)).collect();
        prop_assert_eq!(order, expected);
        for (id, rows) in &got {
            let expected: Vec<(i64, &(Value, Quality))> = model
                .0
                .range((*id, i64::MIN)..=(*id, i64::MAX))
                .flat_map(|((_, time), samples)| samples.iter().map(|sample| (*time, sample)))
                .collect();
            prop_assert_eq!(rows.len(), expected.len(), "rows of signal {}", id);
            for (row, (time, (value, quality))) in expected.into_iter().enumerate() {
                let wanted = row_of(time, value.as_ref(), *quality, false);
                prop_assert!(
                    rows.row(row).same_as(&wanted.row(0)),
                    "{:?} is not {:?}",
                    rows.row(row),
                    wanted.row(0)
                );
            }
        }
    }
    // A part of the time of one signal, by itself.
    let (from, last) = (SimClock::START_NS, SimClock::START_NS + 20_000_000_000);
    let signals = Some(vec![SignalId::new(2).unwrap()].into());
    let part = scanned(world, &ScanSpec { signals, from, last, ..everything() }, 2);
    let rows: usize = model.0.range((2, from)..=(2, last)).map(|(_, samples)| samples.len()).sum();
    prop_assert_eq!(part.iter().map(|(_, rows)| rows.len()).sum::<usize>(), rows);
    Ok(())
}

/// The files alone, as every other reader has them, are exact: no row stands in two of them.
fn check_files(world: &World, model: &Model) -> Result<(), TestCaseError> {
    let rows: u64 = world.store.view().files().iter().map(|file| file.rows).sum();
    let expected: usize = model.0.values().map(Vec::len).sum();
    prop_assert_eq!(rows, expected as u64, "rows of all files");
    Ok(())
}

fn flush_or_merge(world: &World, merge: bool) -> Result<(), crate::Error> {
    world.flush()?;
    if merge {
        while world.store.merge_step(&|| false)? {}
        world.store.clean()?;
    }
    Ok(())
}

fn run(steps: &[Step], seed: u64) -> Result<(), TestCaseError> {
    // Every life draws its own numbers: two of one seed would give two files one name.
    let life = |index: usize, part: u64| (seed << 8) + 3 * index as u64 + part;
    let mut world = World::new(life(0, 0), &PATHS);
    let mut model = Model::default();
    for (index, step) in steps.iter().enumerate() {
        match step {
            Step::Write { rows, replace } => {
                world.write(parcel(rows, *replace));
                for (signal, time, value, quality) in rows {
                    model.write(*signal, *time, (value.clone(), *quality), *replace);
                }
                model.0.retain(|_, samples| !samples.is_empty());
            }
            Step::Delete { signal, from, last, flushed } => {
                if *flushed || world.store.lock().waiting_deletions() >= super::frozen::LAYERS_MAX {
                    world.flush().unwrap();
                    check_files(&world, &model)?;
                }
                world.write(deletion(*signal, *from, *last));
                model.delete(*signal, *from, *last);
            }
            Step::Flush => {
                world.flush().unwrap();
                check_files(&world, &model)?;
            }
            Step::Merge => {
                flush_or_merge(&world, true).unwrap();
                check_files(&world, &model)?;
            }
            Step::CutIn { merge, operations, opening } => {
                let disk = world.simulation.disk.clone();
                disk.cut_power_after(u64::from(*operations));
                let _ = flush_or_merge(&world, *merge);
                disk.crash();
                if let Some(operations) = opening {
                    disk.cut_power_after(u64::from(*operations));
                    let _ = world.reopen(life(index, 1));
                    disk.crash();
                }
                world.reopen(life(index, 2)).unwrap();
            }
            Step::Trouble { merge, percent } => {
                world.simulation.disk.set_error_probability(f64::from(*percent) / 100.0);
                let _ = flush_or_merge(&world, *merge);
                world.simulation.disk.set_error_probability(0.0);
            }
            Step::Pass(days) => {
                world.simulation.clock.advance(Duration::from_secs(u64::from(*days) * 86_400))
            }
            Step::Crash => {
                world.simulation.disk.crash();
                world.reopen(life(index, 1)).unwrap();
            }
        }
        check(&world, &model)?;
    }
    Ok(())
}

proptest! {
    // A case is a whole life of a plant; PROPTEST_CASES=10000 makes a night of it.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 12, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_scan_gives_what_was_written(steps in proptest::collection::vec(any_step(), 1..25), seed in any::<u32>()) {
        run(&steps, seed.into())?;
    }
}

#[test]
fn damage_is_named_and_never_served() {
    let mut world = World::new(3, &PATHS);
    let mut model = Model::default();
    let rows: Vec<_> = (0..3_000)
        .map(|n| {
            (
                n % 4 + 1,
                SimClock::START_NS + i64::from(n) * 1_000_000_000,
                Value::Float(f64::from(n).sin()),
                Quality::GOOD,
            )
        })
        .collect();
    for part in rows.chunks(1_500) {
        world.write(parcel(part, false));
        world.flush().unwrap();
        world.simulation.clock.advance(Duration::from_secs(86_400));
    }
    for (signal, time, value, quality) in &rows {
        model.write(*signal, *time, (value.clone(), *quality), false);
    }
    check(&world, &model).unwrap();
    let files = world.store.view().files();
    assert_eq!(files.len(), 2);
    let path = std::path::PathBuf::from(super::fakes::LAKE).join("samples").join(&files[0].name);
    let mut found = 0;
    for offset in (0..files[0].bytes).step_by(97) {
        world.simulation.disk.flip_bit(&path, offset, (offset % 8) as u8).unwrap();
        world.reopen(5).unwrap();
        let wrong = world.store.check_files();
        assert!(
            matches!(&wrong[..], [crate::Error::Damaged { file, from, to, .. }]
                if file.ends_with(&files[0].name) && *from <= offset && offset < *to),
            "a flipped bit at {offset} was not found: {wrong:?}"
        );
        match count(&world, &everything()) {
            Err(crate::Error::Damaged { file, from, to, .. }) => {
                assert!(
                    file.ends_with(&files[0].name) && from <= offset && offset < to,
                    "{file} {from} {to} {offset}"
                );
                found += 1;
            }
            other => panic!("a flipped bit at {offset} was served: {other:?}"),
        }
        let second = ScanSpec { from: files[1].from, last: files[1].last, ..everything() };
        assert_eq!(
            count(&world, &second).unwrap() as u64,
            files[1].rows,
            "what does not need the damage is served"
        );
        world.simulation.disk.flip_bit(&path, offset, (offset % 8) as u8).unwrap();
    }
    assert!(found > 100, "{found}");
    world.reopen(6).unwrap();
    assert!(world.store.check_files().is_empty());
    check(&world, &model).unwrap();
}

/// The control that shows that the test can fail: a disk that syncs nothing.
#[test]
fn without_syncs_something_is_lost() {
    let mut lost = 0;
    for seed in 0..20 {
        let mut world = World::new(seed, &PATHS);
        world.simulation.disk.set_sync_lies(true);
        for n in 0..6 {
            world.write(parcel(&[(1, SimClock::START_NS + n, Value::Float(0.5), Quality::GOOD)], false));
            world.flush().unwrap();
        }
        world.simulation.disk.crash();
        let opened = world.reopen(seed + 1);
        lost += u32::from(opened.is_err() || !matches!(count(&world, &everything()), Ok(6)));
    }
    assert!(lost > 0, "no crash lost anything although nothing was synced");
}

pub(super) fn float(signal: u32, second: i64, value: f64) -> (u32, i64, Value, Quality) {
    (signal, SimClock::START_NS + second * 1_000_000_000, Value::Float(value), Quality::GOOD)
}

#[test]
fn new_samples_are_kept_beside_a_damaged_file() {
    let mut world = World::new(8, &PATHS);
    world.write(parcel(&[float(1, 0, 1.0), float(1, 9, 1.0)], false));
    world.flush().unwrap();
    let path = std::path::PathBuf::from(super::fakes::LAKE)
        .join("samples")
        .join(&world.store.view().files()[0].name);
    world.simulation.disk.flip_bit(&path, 40, 1).unwrap();
    world.reopen(9).unwrap();
    world.write(parcel(&[float(1, 5, 2.0), float(2, 5, 2.0)], false));
    world.flush().unwrap();
    let second = ScanSpec { signals: Some(vec![SignalId::new(2).unwrap()].into()), ..everything() };
    assert_eq!(count(&world, &second).unwrap(), 1);
    assert!(count(&world, &everything()).is_err());
    world.simulation.disk.flip_bit(&path, 40, 1).unwrap();
    world.reopen(10).unwrap();
    assert_eq!(count(&world, &everything()).unwrap(), 4, "the file is whole again, and all is there");
}

#[test]
fn a_renamed_signal_keeps_its_history_and_a_retired_one_is_gone() {
    let mut world = World::new(1, &PATHS);
    world.write(parcel(&[float(1, 0, 1.0), float(2, 0, 2.0), float(4, 0, 4.0)], false));
    world.flush().unwrap();
    world.bus.set(1, "zzz/renamed", false);
    world.write(parcel(&[float(1, 1, 1.5), float(2, 1, 2.5)], false));
    // What the bus holds at once, also before it is durable …
    world.bus.set(2, "plant/b/x", true);
    let ids = |world: &World| {
        scanned(world, &everything(), 1).iter().map(|(id, rows)| (*id, rows.len())).collect::<Vec<_>>()
    };
    assert_eq!(ids(&world), [(4, 1), (1, 2)], "by the new name, without the retired one");
    let retired = ScanSpec { signals: Some(vec![SignalId::new(2).unwrap()].into()), ..everything() };
    assert_eq!(count(&world, &retired).unwrap(), 0);
    world.flush().unwrap();
    let rows = |world: &World| world.store.view().files().iter().map(|file| file.rows).sum::<u64>();
    assert_eq!(rows(&world), 5, "its rows wait for what is durable");
    // … and what stands in the log beside it.
    world.write(deletion(2, i64::MIN, i64::MAX));
    world.flush().unwrap();
    assert_eq!((rows(&world), table(&world, super::CORRECTIONS).matches("plant/b/x").count()), (3, 2));
    world.simulation.clock.advance(Duration::from_secs(3 * 86_400));
    while world.store.merge_step(&|| false).unwrap() {}
    assert_eq!(ids(&world), [(4, 1), (1, 2)]);
    assert_eq!(rows(&world), 3);
    world.reopen(4).unwrap();
    assert_eq!(ids(&world), [(4, 1), (1, 2)]);
}

pub(super) static EVENTS: TableSpec = TableSpec {
    name: "events",
    description: "for this test",
    stream: Some(StreamId(77)),
    columns: &[
        ColumnSpec { name: "at", kind: ColumnKind::Time, description: "" },
        ColumnSpec { name: "what", kind: ColumnKind::Text, description: "" },
        ColumnSpec { name: "count", kind: ColumnKind::Int, description: "" },
    ],
    path_columns: &[],
};

pub(super) fn table(world: &World, spec: &'static TableSpec) -> String {
    let batches: Vec<_> =
        world.store.view().scan_table(spec, i64::MIN, i64::MAX).map(Result::unwrap).collect();
    arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string()
}

#[test]
fn records_are_rows_at_once_and_once() {
    let mut world = World::new(2, &PATHS);
    let event = |n: i64| {
        let json = format!("{{\"at\": {}, \"what\": \"event {n}\", \"count\": {n}}}", 1_000_000_001 + n);
        Parcel::of_record(StreamId(77), Vec::new(), json.into_bytes())
    };
    world.write(event(0)); // before anybody declared the table
    world.store.declare(&world.ground, &EVENTS);
    world.write(event(1));
    let two = expect_test::expect![[r#"
        +--------------------------------+---------+-------+
        | at                             | what    | count |
        +--------------------------------+---------+-------+
        | 1970-01-01T00:00:01.000000001Z | event 0 | 0     |
        | 1970-01-01T00:00:01.000000002Z | event 1 | 1     |
        +--------------------------------+---------+-------+"#]];
    two.assert_eq(&table(&world, &EVENTS));
    world.flush().unwrap();
    two.assert_eq(&table(&world, &EVENTS));
    for n in 2..50 {
        world.write(event(n));
        if n % 2 == 0 {
            world.flush().unwrap();
        }
        if n % 7 == 0 {
            world.simulation.disk.crash();
            world.reopen(n as u64).unwrap();
            world.store.declare(&world.ground, &EVENTS);
        }
        while world.store.merge_step(&|| false).unwrap() {}
        let rows = table(&world, &EVENTS).lines().filter(|line| line.contains("event")).count();
        assert_eq!(rows as i64, n + 1);
    }
}

#[test]
fn corrections_say_what_was_there() {
    let world = World::new(2, &PATHS);
    world.write(parcel(&[float(1, 0, 20.5), float(1, 1, 21.5)], false));
    world.flush().unwrap();
    world.write(parcel(&[float(1, 0, 20.75), float(1, 1, 21.5)], true));
    world.flush().unwrap();
    world.write(deletion(1, SimClock::START_NS + 1_000_000_000, i64::MAX));
    world.flush().unwrap();
    let columns = ["signal", "time", "action", "value", "new_value", "who", "reason"];
    let batches: Vec<_> = world
        .store
        .view()
        .scan_table(super::CORRECTIONS, i64::MIN, i64::MAX)
        .map(|batch| {
            let batch = batch.unwrap();
            let wanted: Vec<usize> =
                columns.iter().map(|name| batch.schema().index_of(name).unwrap()).collect();
            batch.project(&wanted).unwrap()
        })
        .collect();
    expect_test::expect![[r#"
        +---------+----------------------+---------+-------+-----------+----------+--------+
        | signal  | time                 | action  | value | new_value | who      | reason |
        +---------+----------------------+---------+-------+-----------+----------+--------+
        | plant/a | 2026-01-01T00:00:00Z | replace | 20.5  | 20.75     | source 1 |        |
        | plant/a | 2026-01-01T00:00:01Z | delete  | 21.5  |           | ann      | test   |
        +---------+----------------------+---------+-------+-----------+----------+--------+"#]]
    .assert_eq(&arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string());
}

#[test]
fn a_newer_format_is_refused() {
    let mut world = World::new(2, &PATHS);
    let path =
        std::path::PathBuf::from(super::fakes::LAKE).join("samples/_delta_log/00000000000000000000.json");
    let text = String::from_utf8(tidemill_ground::read(&world.simulation.disk, &path).unwrap()).unwrap();
    let newer = text.replace("\"tidemill.format\":\"1\"", "\"tidemill.format\":\"2\"");
    assert_ne!(newer, text);
    tidemill_ground::replace(&world.simulation.disk, &path, newer.as_bytes()).unwrap();
    let error = world.reopen(3).unwrap_err().to_string();
    expect_test::expect!["the table samples has format 2, and this version reads formats up to 1"]
        .assert_eq(&error);
}

#[test]
fn a_journal_that_ends_before_the_files_do_is_followed_only_above_them() {
    let mut world = World::new(1, &["a"]);
    for second in 0..4 {
        world.write(parcel(&[float(1, second, 1.0)], false));
    }
    world.flush().unwrap();
    world.journal.parcels.lock().unwrap().split_off(&Seq(2));
    let refused = world.reopen(2).unwrap_err().to_string();
    assert!(
        refused.contains("up to 4 and the journal ends at 1") && refused.contains("Put back"),
        "{refused}"
    );
    // As a relaxed one does after a power cut: what is new is no number that the files know.
    *world.journal.begins.lock().unwrap() = Seq(1_000);
    world.reopen(3).unwrap();
    assert_eq!(count(&world, &everything()).unwrap(), 4);
    world.write(parcel(&[float(1, 9, 1.0)], false));
    assert_eq!(count(&world, &everything()).unwrap(), 5);
    world.flush().unwrap();
    world.reopen(4).unwrap();
    assert_eq!(count(&world, &everything()).unwrap(), 5);
}

#[test]
fn a_start_knows_what_a_flush_without_news_has_done() {
    let mut world = World::new(2, &PATHS);
    for _ in 0..2 {
        world.write(parcel(&[float(1, 0, 20.5)], false));
        world.flush().unwrap();
    }
    world.reopen(3).unwrap();
    assert!(world.journal.after_cursor().is_empty());
    assert_eq!(world.store.applied(), Seq(2), "a query would wait for ever");
    assert_eq!(count(&world, &everything()).unwrap(), 1);
}
