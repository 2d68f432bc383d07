//! What is still true after a crash at the wrong moment.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidemill_core::{Busy, Journal, LagPolicy, Start};
use tidemill_ground::replace;

use super::*;
use crate::snapshot;

#[test]
fn everything_is_read_back_from_the_log_or_the_snapshot() {
    let plant = Plant::new();
    plant.write("a/b", 5, 1);
    plant.wait(plant.edit("a/b", MetaEdit { unit: Some("bar".into()), ..MetaEdit::default() }).unwrap());
    let before = plant.bus.find(&path("a/b")).unwrap();
    let plant = plant.crash();
    assert_eq!(plant.bus.find(&path("a/b")).unwrap(), before);
    assert_eq!(plant.last_int("a/b"), Some(1));
    plant.bus.snapshot().unwrap();
    plant.write("a/c", 6, 2);
    let plant = plant.crash();
    assert_eq!(plant.paths("#"), ["a/b", "a/c"]);
    assert_eq!((plant.last_int("a/b"), plant.last_int("a/c")), (Some(1), Some(2)));
    let plant = plant.restart();
    assert_eq!(plant.bus.find(&path("a/b")).unwrap(), before);
    assert_eq!((plant.last_int("a/b"), plant.last_int("a/c")), (Some(1), Some(2)));
    let last = plant.last("a/c").unwrap();
    assert_eq!(&*plant.bus.source(last.source), "token:a");
}

#[test]
fn the_cursor_allows_to_trim_what_the_snapshot_covers() {
    let plant = Plant::new();
    let seq = plant.write("a", 1, 1);
    assert!(plant.last_int("a").is_some());
    plant.bus.snapshot().unwrap();
    assert_eq!(plant.journal.cursor(crate::shared::CURSOR).unwrap().0, seq);
}

#[test]
fn a_lost_number_never_comes_back() {
    let plant = Plant::new();
    let kept = plant.bind("kept").id;
    plant.write("kept", 1, 1);
    plant.journal.hold_commits();
    let lost = plant.bind("lost");
    let commit = plant.publish(&[(lost, Stamp::At(1), Value::Int(1))]).unwrap();
    let plant = plant.crash();
    assert_eq!(commit.wait(Duration::ZERO), None);
    assert!(plant.bus.find(&path("lost")).is_none());
    let other = plant.bind("other").id;
    assert!(other > lost.id, "{other:?} must not be or precede {:?}", lost.id);
    assert_eq!(plant.bind("kept").id, kept);
    let again = plant.bind("lost").id;
    let plant = plant.restart();
    assert!(plant.bind("one more").id > again);
}

#[test]
fn numbers_survive_a_log_that_begins_anew() {
    let plant = Plant::new();
    plant.write("a", 1, 1);
    let id = plant.bind("a").id;
    let Plant { bus, world, authority, .. } = plant;
    drop(bus);
    let journal = Arc::new(FakeJournal::default());
    let bus = open(&world.ground(2), &journal, &authority, &Settings::default()).unwrap();
    assert!(bus.find(&path("a")).is_none());
    assert!(bus.bind(&identity("token:a"), Verb::Write, &path("b"), &Meta::default()).unwrap().id > id);
}

/// The snapshot is synced, and a log that answers before it syncs may lose what the snapshot has.
#[test]
fn a_log_that_lost_its_end_keeps_nobody_from_starting_and_hides_no_loss() {
    let plant = Plant::new();
    let kept = plant.write("a", 1, 1);
    let (grant, once) = (plant.bind("a"), Some((tidemill_core::ProducerId(1), 1)));
    let row = [(grant, Stamp::At(2), Value::Int(2))];
    let lost = plant.wait(plant.publish_as(Durability::Commit, once, &row).unwrap());
    assert_eq!(plant.last_int("a"), Some(2));
    plant.bus.snapshot().unwrap();
    plant.journal.lose_end(kept);
    let plant = plant.crash();
    // Stopped at once and begun again: nothing came in between.
    assert_eq!(plant.last_int("a"), Some(1), "the last value that there is");
    let plant = plant.restart().restart();
    assert_eq!((plant.journal.durable(), plant.last_int("a")), (kept, Some(1)));
    // What is only live is no number of the log's, and comes all the same.
    let newest = LagPolicy::Latest { parcels_max: 8 };
    let everything = ReadScope::everything();
    let mut feed = plant.bus.subscribe(&everything, &[Pattern::everything()], newest, Start::Now).unwrap();
    let row = [(plant.bind("a"), Stamp::At(3), Value::Int(3))];
    drop(plant.publish_as(Durability::Live, None, &row).unwrap());
    assert_eq!(shown(&plant.bus, next(feed.as_mut())), format!("{}: a=3", lost.0));
    // The producer had no answer and comes again.
    let row = [(plant.bind("a"), Stamp::At(2), Value::Int(2))];
    let again = plant.wait(plant.publish_as(Durability::Commit, once, &row).unwrap());
    assert!(again > lost && plant.journal.parcels().iter().any(|(seq, _)| *seq == again));
    let repeated = plant.wait(plant.publish_as(Durability::Commit, once, &row).unwrap());
    assert_eq!(repeated, again);
    let plant = plant.restart().crash();
    let row = [(plant.bind("a"), Stamp::At(2), Value::Int(2))];
    assert_eq!(plant.wait(plant.publish_as(Durability::Commit, once, &row).unwrap()), again);
}

#[test]
fn a_definition_goes_with_every_parcel_until_one_is_durable() {
    let plant = Plant::new();
    let grant = plant.bind("a");
    let rows = [(grant, Stamp::At(1), Value::Int(1))];
    let definitions = |plant: &Plant| plant.journal.parcels().last().unwrap().1.records.len();

    plant.journal.refuse(Some(Busy::Unsynced { waiting_bytes: 1, max_bytes: 1 }));
    assert_eq!(code(plant.publish(&rows)), "busy");
    plant.journal.refuse(None);

    plant.journal.hold_commits();
    let lost = plant.publish(&rows).unwrap();
    plant.journal.fail();
    assert!(lost.wait(Duration::from_secs(60)).unwrap().is_err());

    plant.journal.hold_commits();
    let (one, other) = (plant.publish(&rows).unwrap(), plant.publish(&rows).unwrap());
    plant.journal.commit();
    plant.wait(one);
    plant.wait(other);
    assert_eq!(definitions(&plant), 2, "the signal and its source, again");
    assert!(plant.last_int("a").is_some(), "waits until both are taken in");
    plant.wait(plant.publish(&rows).unwrap());
    assert_eq!(definitions(&plant), 0);
    let plant = plant.crash();
    assert_eq!(plant.last_int("a"), Some(1));
    plant.write("a", 2, 2);
    assert_eq!(definitions(&plant), 0, "still known to be durable");
}

#[test]
fn a_lost_edit_goes_with_the_next_samples() {
    let plant = Plant::new();
    plant.write("a", 1, 1);
    assert!(plant.last_int("a").is_some());
    plant.journal.hold_commits();
    let lost = plant.edit("a", MetaEdit { unit: Some("bar".into()), ..MetaEdit::default() }).unwrap();
    plant.journal.fail();
    assert!(lost.wait(Duration::from_secs(60)).unwrap().is_err());
    plant.write("a", 2, 2);
    assert_eq!(&*plant.crash().bus.find(&path("a")).unwrap().meta.unit, "bar");
}

#[test]
fn a_name_whose_first_holder_was_deleted_in_vain() {
    let plant = Plant::new();
    plant.write("a", 1, 1);
    plant.journal.hold_commits();
    drop(plant.edit("a", MetaEdit { retire: Some("old".into()), ..MetaEdit::default() }).unwrap());
    plant.journal.fail();
    plant.write("a", 2, 2);
    let id = plant.bind("a").id;
    let plant = plant.crash();
    assert_eq!(plant.bind("a").id, id);
    assert_eq!(plant.last_int("a"), Some(2));
    assert_eq!(plant.paths("#"), ["a"]);
}

#[test]
fn damaged_and_newer_files_are_refused() {
    let plant = Plant::new();
    plant.write("a", 1, 1);
    plant.bus.stop().unwrap();
    let file = Path::new("/data/bus").join(snapshot::FILE_NAME);
    let disk = plant.ground.disk.as_ref();
    let good = tidemill_ground::read(disk, &file).unwrap();
    let reopen = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        replace(disk, &file, &bytes).unwrap();
        open(&plant.world.ground(3), &plant.journal, &plant.authority, &plant.settings)
            .err()
            .map(|error| Problem::from(error).code.id)
    };
    assert_eq!(reopen(4, 9), Some("newer-format"));
    assert_eq!(reopen(good.len() - 1, !good[good.len() - 1]), Some("damaged"));
    assert_eq!(reopen(4, good[4]), None);
}

#[test]
fn a_snapshot_that_the_log_relies_on_is_not_made_up() {
    let plant = Plant::new();
    plant.write("a", 1, 1);
    assert!(plant.last_int("a").is_some());
    plant.bus.snapshot().unwrap();
    let file = Path::new("/data/bus").join(snapshot::FILE_NAME);
    let disk = plant.ground.disk.clone();
    let older = tidemill_ground::read(disk.as_ref(), &file).unwrap();
    plant.write("b", 2, 2);
    plant.bus.stop().unwrap();
    let youngest = tidemill_ground::read(disk.as_ref(), &file).unwrap();
    let reopen = || {
        open(&plant.world.ground(3), &plant.journal, &plant.authority, &plant.settings)
            .map(|bus| bus.describe(&ReadScope::everything(), &Pattern::new("#").unwrap()).len())
            .map_err(|error| error.to_string())
    };
    let rest = "but the journal says that names up to parcel 2 are kept in it, and lets that part of itself go: numbers of \
                signals would be given out twice. Restore data/bus from a backup that is at least as young. Nothing was \
                changed";
    disk.remove(&file).unwrap();
    assert_eq!(reopen(), Err(format!("the registry's file /data/bus/registry.tms is missing, {rest}")));
    disk.remove(&Path::new("/data/bus").join("registry.ids")).unwrap();
    assert_eq!(reopen(), Err(format!("the registry's file /data/bus/registry.tms is missing, {rest}")));
    replace(disk.as_ref(), &file, &older).unwrap();
    assert_eq!(reopen(), Err(format!("the registry's file /data/bus/registry.tms ends at parcel 1, {rest}")));
    replace(disk.as_ref(), &file, &youngest).unwrap();
    assert_eq!(reopen(), Ok(2));
}

#[test]
fn the_cursor_moves_only_behind_a_durable_snapshot() {
    use tidemill_core::Journal;
    use tidemill_ground::sim::Operation;
    let plant = Plant::new();
    plant.write("a", 1, 1);
    assert!(plant.last_int("a").is_some());
    for operation in [Operation::Write, Operation::Sync, Operation::Rename, Operation::SyncDir] {
        plant.world.disk.fail_next(operation, std::io::ErrorKind::Other);
        assert!(plant.bus.snapshot().is_err(), "{operation:?}");
        assert_eq!(plant.journal.cursor(crate::shared::CURSOR), None, "{operation:?}");
    }
    // As after a crash between the snapshot and the cursor's step: the snapshot may be ahead of the cursor.
    let before = plant.journal.after_crash();
    plant.bus.snapshot().unwrap();
    let Plant { bus, world, authority, settings, .. } = plant;
    drop(bus);
    world.disk.crash();
    let bus = open(&world.ground(2), &Arc::new(before), &authority, &settings).unwrap();
    assert!(bus.find(&path("a")).is_some());
}

#[test]
fn a_full_disk_refuses_new_names_and_nothing_else() {
    let plant = Plant::new();
    plant.write("a", 1, 1);
    plant.world.disk.set_capacity(0);
    // The first block of numbers is reserved: use it up.
    let mut refused = None;
    for number in 0..300 {
        refused = plant.try_bind(Verb::Write, &format!("n{number}")).err();
        if refused.is_some() {
            break;
        }
    }
    assert_eq!(refused.map(|problem| problem.code.id), Some("disk-full"));
    plant.write("a", 2, 2);
    assert_eq!(plant.last_int("a"), Some(2));
    plant.world.disk.set_capacity(u64::MAX);
    plant.bind("one more");
}

#[derive(Clone, Debug)]
enum Step {
    Write { name: u8, time: i64, committed: bool },
    Retire { name: u8 },
    Rename { name: u8, to: u8 },
    Snapshot,
    Crash,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0u8..5, 0i64..9, prop::bool::weighted(0.8)).prop_map(|(name, time, committed)| Step::Write { name, time, committed }),
        1 => (0u8..5).prop_map(|name| Step::Retire { name }),
        2 => (0u8..5, 0u8..5).prop_map(|(name, to)| Step::Rename { name, to }),
        1 => Just(Step::Snapshot),
        2 => Just(Step::Crash),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Against a map of names to last samples, and the set of all numbers ever seen.
    #[test]
    fn as_a_map_does_whatever_happens(steps in steps()) {
        let mut plant = Plant::new();
        // What each number was ever called, and what each name and alias stands for now.
        let mut born: BTreeMap<u32, String> = BTreeMap::new();
        let mut names: BTreeMap<String, u32> = BTreeMap::new();
        let mut values: BTreeMap<u32, (i64, i64)> = BTreeMap::new();
        let mut count = 0;
        for step in steps {
            match step {
                Step::Write { name, time, committed } => {
                    let name = format!("n{name}");
                    count += 1;
                    if !committed {
                        plant.journal.hold_commits();
                    }
                    let grant = plant.bind(&name);
                    let id = grant.id.get();
                    match names.get(&name) {
                        Some(known) => prop_assert_eq!(*known, id),
                        None => prop_assert!(!born.contains_key(&id), "number {} was used before", id),
                    }
                    born.entry(id).or_insert_with(|| name.clone());
                    let commit = plant.publish(&[(grant, Stamp::At(time), Value::Int(count))]).unwrap();
                    if committed {
                        plant.wait(commit);
                        names.insert(name, id);
                        if values.get(&id).is_none_or(|(known, _)| *known <= time) {
                            values.insert(id, (time, count));
                        }
                    } else {
                        plant = plant.crash();
                    }
                }
                Step::Retire { name } => {
                    let name = format!("n{name}");
                    let outcome = plant.edit(&name, MetaEdit { retire: Some("old".into()), ..MetaEdit::default() });
                    prop_assert_eq!(outcome.is_ok(), names.contains_key(&name));
                    if let Some(id) = names.get(&name).copied() {
                        plant.wait(outcome.unwrap());
                        names.retain(|_, other| *other != id);
                    }
                }
                Step::Rename { name, to } => {
                    let (name, to) = (format!("n{name}"), format!("n{to}"));
                    let outcome = plant.edit(&name, MetaEdit { rename: Some(path(&to)), ..MetaEdit::default() });
                    match (names.get(&name).copied(), names.get(&to).copied()) {
                        (None, _) => prop_assert_eq!(code(outcome), "not-found"),
                        (Some(id), Some(other)) if id != other => prop_assert_eq!(code(outcome), "exists"),
                        (Some(id), _) => {
                            plant.wait(outcome.unwrap());
                            names.insert(to, id);
                        }
                    }
                }
                Step::Snapshot => plant.bus.snapshot().unwrap(),
                Step::Crash => plant = plant.crash(),
                Step::Restart => plant = plant.restart(),
            }
            for (name, id) in &names {
                let found = plant.bus.find(&path(name));
                prop_assert_eq!(found.map(|signal| signal.id.get()), Some(*id), "{}", name);
                prop_assert_eq!(plant.last_int(name), values.get(id).map(|(_, value)| *value), "{}", name);
            }
        }
    }
}
