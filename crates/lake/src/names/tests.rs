//! Names that only files know: rewrites keep them, and a bus that lost them gets them back.

use std::time::Duration;

use tidemill_core::{SignalId, Value};
use tidemill_ground::SimClock;

use super::*;
use crate::fakes::World;
use crate::model_tests::{DAY, deletion, float, parcel};

fn id(number: u32) -> SignalId {
    SignalId::new(number).unwrap()
}

/// What stands in each file, in the order of their names: signals with their names, and sources.
fn told(world: &World) -> String {
    let mut files = world.store.lock().version.files.clone();
    files.sort_by_key(|file| (file.from, file.order));
    let told = files.iter().map(|file| {
        let refuse = |_: &FileEntry, error| Err(error);
        let kept = kept_names(&world.store.files, std::slice::from_ref(file), &|_| true, &refuse).unwrap();
        let signals = kept
            .signals
            .iter()
            .map(|(id, name)| format!("{}={}", id.get(), name.as_deref().unwrap_or("(none)")));
        let sources = kept.sources.iter().map(|(id, name)| format!("by {}={name}", id.0));
        signals.chain(sources).collect::<Vec<_>>().join(", ") + "\n"
    });
    told.collect()
}

/// Two days of two signals, each day in two files; then the bus forgets the first signal and all sources.
fn forgotten() -> World {
    let world = World::new(5, &["plant/a", "plant/b"]);
    for day in 0..2 {
        for half in 0..2 {
            // Several row groups, so that some are copied and others encoded anew.
            let second = |row: i64| day * DAY / 1_000_000_000 + 2 * row + half;
            let rows: Vec<_> =
                (0..400).flat_map(|row| [1, 2].map(|signal| float(signal, second(row), 0.5))).collect();
            world.write(parcel(&rows, false));
            world.flush().unwrap();
        }
        world.simulation.clock.advance(Duration::from_secs(86_400));
    }
    world.simulation.clock.advance(Duration::from_secs(86_400));
    world.bus.0.lock().unwrap().remove(&id(1));
    world.bus.1.lock().unwrap().sources = true;
    world
}

const KEPT: &str = "1=plant/a, 2=plant/b, by 1=source 1\n";

#[test]
fn no_rewrite_takes_a_name_that_only_files_know() {
    let world = forgotten();
    let check_all = |files: usize| assert_eq!(told(&world), KEPT.repeat(files));
    check_all(4);
    // A deletion of some rows of each signal, and rows that replace others.
    for signal in [1, 2] {
        world.write(deletion(signal, SimClock::START_NS, SimClock::START_NS + 9_000_000_000));
    }
    world.flush().unwrap();
    check_all(4);
    world.write(parcel(&[float(1, 700, 0.75), float(2, 701, 0.75)], true));
    world.flush().unwrap();
    check_all(5);
    while world.store.merge_step(&|| false).unwrap() {}
    check_all(3);
    let rows: u64 = world.store.lock().version.files.iter().map(|file| file.rows).sum();
    assert_eq!(rows, 4 * 800 - 2 * 10);
    // The bus was told, and took nothing.
    let lost = world.bus.1.lock().unwrap();
    assert!(lost.given.iter().all(|given| *given == (1, Some("plant/a".into()))), "{:?}", lost.given);
    assert!(!lost.given.is_empty());
}

#[test]
fn a_bus_that_lacks_names_gets_them_from_files_before_anything_is_written() {
    let mut world = forgotten();
    world.bus.0.lock().unwrap().clear();
    world.reopen(6).unwrap();
    assert_eq!(world.bus.1.lock().unwrap().given, [], "nothing is read where nothing is lost");
    world.bus.1.lock().unwrap().asks = true;
    world.reopen(7).unwrap();
    let given = std::mem::take(&mut world.bus.1.lock().unwrap().given);
    assert_eq!(given, [(1, Some("plant/a".into())), (2, Some("plant/b".into()))]);
    let path = |number| world.bus.0.lock().unwrap().get(&id(number)).map(|signal| signal.path.to_string());
    assert_eq!((path(1), path(2)), (Some("plant/a".into()), Some("plant/b".into())));
    // One whose name stands nowhere is there by its number, and gets its own when it has one again.
    world.write(parcel(&[(9, SimClock::START_NS, Value::Int(1), tidemill_core::Quality::GOOD)], false));
    world.flush().unwrap();
    assert_eq!(path(9).as_deref(), Some("tidemill/unknown/9"));
    world.bus.0.lock().unwrap().remove(&id(9));
    world.bus.1.lock().unwrap().given.clear();
    world.reopen(8).unwrap();
    let given = std::mem::take(&mut world.bus.1.lock().unwrap().given);
    assert_eq!(given, [(9, None)], "a name that stands for none is none");
}

#[test]
fn of_several_names_the_newest_counts_and_what_cannot_be_read_is_left_out() {
    let mut world = forgotten();
    world.bus.set(1, "plant/renamed", false);
    world.write(parcel(&[float(1, 900, 1.5)], false));
    world.flush().unwrap();
    world.bus.0.lock().unwrap().clear();
    world.bus.1.lock().unwrap().asks = true;
    let damaged = world.store.lock().version.files.iter().min_by_key(|file| file.order).cloned().unwrap();
    let path = world.store.place.dir.join(damaged.name());
    world.simulation.disk.flip_bit(&path, damaged.add.size - 20, 1).unwrap();
    world.reopen(9).unwrap();
    let given = std::mem::take(&mut world.bus.1.lock().unwrap().given);
    assert_eq!(given, [(1, Some("plant/renamed".into())), (2, Some("plant/b".into()))]);
}
