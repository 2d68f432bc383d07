//! Declared tables that are damaged, or cannot be read: what is told of them, what is kept, and what goes on.

use std::time::Duration;

use tidemill_core::*;

use super::fakes::World;
use super::model_tests::{EVENTS, PATHS, count, everything, float, parcel, table};
use crate::SampleSource;

/// Damages the newest entry of a table's log.
pub(crate) fn damage_table(world: &World, table: &str) -> std::path::PathBuf {
    let dir = std::path::PathBuf::from(super::fakes::LAKE).join("tables").join(table).join("_delta_log");
    let entries = tidemill_ground::Disk::list(&world.simulation.disk, &dir).unwrap();
    let newest = entries.into_iter().map(|entry| entry.name).max().unwrap();
    let path = dir.join(newest);
    world.simulation.disk.flip_bit(&path, 3, 1).unwrap();
    path
}

pub(crate) fn event(n: u64) -> Parcel {
    let json = format!("{{\"at\": {n}, \"what\": \"event {n}\", \"count\": {n}}}");
    Parcel::of_record(StreamId(77), Vec::new(), json.into_bytes())
}

/// What SQL on a table is told.
pub(crate) fn told(world: &World, spec: &'static TableSpec) -> Problem {
    let mut scan = world.store.view().scan_table(spec, i64::MIN, i64::MAX);
    Problem::from(scan.next().unwrap().unwrap_err())
}

#[test]
fn a_damaged_table_is_closed_and_the_plant_goes_on() {
    let mut world = World::new(2, &PATHS);
    world.store.declare(&world.ground, &EVENTS);
    world.write(event(0));
    world.write(parcel(&[float(1, 0, 1.0)], false));
    world.flush().unwrap();
    let path = damage_table(&world, "events");
    world.reopen(3).unwrap();
    world.store.declare(&world.ground, &EVENTS);
    let problem = told(&world, &EVENTS);
    assert_eq!(problem.code.id, "damaged");
    assert!(problem.detail.contains("restore data/lake/tables/events from a backup"), "{problem}");
    assert_eq!(world.store.closed_tables().len(), 1);
    assert_eq!(world.store.check_files().len(), 1);

    // Samples come and go; records wait in the journal, over flushes, failures of the disk, and restarts.
    for n in 1..4 {
        world.write(event(n));
        world.write(parcel(&[float(1, n as i64, 1.0)], false));
        world.simulation.disk.fail_next(tidemill_ground::Operation::Rename, std::io::ErrorKind::Other);
        world.flush().unwrap_err();
        world.flush().unwrap();
        world.reopen(3 + n).unwrap();
        world.store.declare(&world.ground, &EVENTS);
    }
    assert_eq!(count(&world, &everything()).unwrap(), 4);
    assert!(world.store.merge_step(&|| false).is_ok());
    assert!(world.store.clean().is_ok());
    told(&world, &EVENTS);

    // Mended, it has all of them, once.
    world.simulation.disk.flip_bit(&path, 3, 1).unwrap();
    world.reopen(9).unwrap();
    world.store.declare(&world.ground, &EVENTS);
    assert!(world.store.closed_tables().is_empty());
    let rows = table(&world, &EVENTS).lines().filter(|line| line.contains("event")).count();
    assert_eq!(rows, 4);
    world.flush().unwrap();
    world.reopen(10).unwrap();
    assert!(world.journal.after_cursor().len() <= 3, "the journal is let go again");
}

#[test]
fn a_damaged_file_of_a_table_is_told_until_it_is_whole_also_after_a_restart() {
    let mut world = World::new(2, &PATHS);
    world.store.declare(&world.ground, &EVENTS);
    world.write(event(0));
    world.flush().unwrap();
    let dir = std::path::PathBuf::from(super::fakes::LAKE).join("tables/events");
    let names = world.ground.disk.list(&dir).unwrap();
    let file = names.into_iter().find(|entry| entry.name.ends_with(".parquet")).unwrap().name;
    let path = dir.join(&file);
    assert!(world.store.check_tables().is_ok());
    world.simulation.disk.flip_bit(&path, 40, 1).unwrap();
    told(&world, &EVENTS);
    assert!(world.store.check_tables().unwrap_err().detail.contains(&file));
    assert!(world.store.check_places().is_ok(), "samples are well");
    for seed in 3..5 {
        world.store.look_again();
        assert!(world.store.check_tables().is_err(), "it is no better");
        world.reopen(seed).unwrap();
        world.store.declare(&world.ground, &EVENTS);
        assert!(world.store.check_tables().is_err(), "a restart mends nothing");
    }
    // What is new is merged without it.
    for n in 1..40 {
        world.write(event(n));
        world.flush().unwrap();
    }
    while world.store.merge_step(&|| false).unwrap() {}
    let entries = world.ground.disk.list(&dir).unwrap();
    assert!(entries.iter().any(|entry| entry.name == file));
    world.simulation.disk.flip_bit(&path, 40, 1).unwrap();
    world.store.look_again();
    assert!(world.store.check_tables().is_ok());
    world.reopen(9).unwrap();
    world.store.declare(&world.ground, &EVENTS);
    assert!(world.store.check_tables().is_ok(), "and it was forgotten on disk too");
    assert_eq!(table(&world, &EVENTS).lines().filter(|line| line.contains("event")).count(), 40);
}

#[test]
fn what_the_disk_refused_for_long_is_told_until_it_can_be_read_or_is_gone() {
    let world = World::new(2, &PATHS);
    world.write(parcel(&[float(1, 0, 1.0)], false));
    world.flush().unwrap();
    let file = world.store.lock().version.files[0].clone();
    let path = world.store.place.dir.join(file.name());
    let refused = || {
        let source = std::io::Error::other("a bad sector");
        crate::Error::Disk { what: "read", path: path.clone(), source }
    };
    (0..20).for_each(|_| world.store.damaged.note(&refused()));
    assert!(world.store.check_places().unwrap_err().detail.contains("a bad sector"));
    world.store.look_again();
    assert!(world.store.check_places().is_err(), "a disk that may take long over it is not asked at once");
    let advance = |seconds| world.simulation.clock.advance(Duration::from_secs(seconds));
    world.simulation.disk.fail_next(tidemill_ground::Operation::Read, std::io::ErrorKind::Other);
    advance(61);
    world.store.look_again();
    advance(61);
    world.store.look_again();
    assert!(world.store.check_places().is_err(), "each time it waits longer");
    advance(61);
    world.store.look_again();
    assert!(world.store.check_places().is_ok());
    // So it is where it is known which of its bytes are bad.
    let damaged =
        || crate::Error::Damaged { file: path.display().to_string(), from: 4, to: 8, detail: "bad".into() };
    world.store.damaged.note(&damaged());
    world.simulation.disk.fail_next(tidemill_ground::Operation::Read, std::io::ErrorKind::Other);
    world.store.look_again();
    world.store.look_again();
    assert!(world.store.check_places().is_err(), "the disk refused, and is not asked at once");
    advance(61);
    world.store.look_again();
    assert!(world.store.check_places().is_ok());
}

#[test]
fn what_waits_for_a_closed_table_does_not_hold_the_journal_for_ever() {
    let mut world = World::new(2, &PATHS);
    world.settings.journal_bytes = 1_000;
    world.store.declare(&world.ground, &EVENTS);
    world.write(event(0));
    world.flush().unwrap();
    damage_table(&world, "events");
    world.reopen(3).unwrap();
    world.store.declare(&world.ground, &EVENTS);
    world.write(event(1));
    let given_up = |world: &World| world.store.meters.undeclared.get();
    let mut rounds = 0;
    while given_up(&world) == 0 {
        world.write(parcel(&[float(1, rounds, 1.0)], false));
        world.flush().unwrap();
        rounds += 1;
        assert!(rounds < 100, "it is held for ever");
    }
    assert!(rounds > 2, "{rounds}");
    for round in 100..103 {
        world.write(parcel(&[float(1, round, 1.0)], false));
        world.flush().unwrap();
    }
    assert_eq!(given_up(&world), 1);
    assert!(world.journal.after_cursor().len() < 3);
}
