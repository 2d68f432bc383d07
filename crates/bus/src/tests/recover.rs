//! Signals whose definitions went with a parcel that cannot be read: they come back by their numbers, under the names that
//! others kept.

use tidemill_core::{KeptNames, SourceId};

use super::*;
use crate::shared::CURSOR;

/// A plant whose first parcel, with the definitions of `names` and of their source, is lost in a crash; a second one has a
/// value of each.
fn without_definitions(names: &[&str]) -> Plant {
    let plant = Plant::new();
    let rows = |value: i64| -> Vec<(Grant, Stamp, Value)> {
        names.iter().map(|name| (plant.bind(name), Stamp::At(value), Value::Int(value))).collect()
    };
    let first = plant.wait(plant.publish(&rows(1)).unwrap());
    // Once it was seen committed, no later parcel carries the definitions.
    assert_eq!(plant.last_int(names[0]), Some(1));
    plant.wait(plant.publish(&rows(2)).unwrap());
    assert_eq!(plant.journal.parcels()[1].1.records, []);
    plant.journal.lose(first);
    plant.crash()
}

fn kept(names: &[(u32, &str)]) -> KeptNames {
    let signals = names.iter().map(|(id, name)| (SignalId::new(*id).unwrap(), Some((*name).into())));
    KeptNames { signals: signals.collect(), sources: vec![(SourceId(1), "token:a".into())] }
}

/// What came back, as a table: number, name, and the name that was kept.
fn recover(plant: &Plant, kept: KeptNames) -> Vec<String> {
    let recovered = plant.bus.recover(kept).into_iter();
    let told = recovered.map(|one| {
        format!("{} {} {}", one.signal.id.get(), one.signal.path, one.kept.as_deref().unwrap_or("-"))
    });
    told.collect()
}

#[test]
fn a_signal_whose_definition_is_lost_comes_back_under_the_name_that_was_kept() {
    let plant = without_definitions(&["a/b", "a/c"]);
    assert!(plant.bus.lacks_names());
    assert_eq!(plant.paths("#"), [""; 0]);
    assert_eq!(recover(&plant, kept(&[(1, "a/b")])), ["1 a/b a/b", "2 tidemill/unknown/2 -"]);
    assert!(!plant.bus.lacks_names());
    assert_eq!((plant.last_int("a/b"), plant.last_int("tidemill/unknown/2")), (Some(2), Some(2)));
    assert_eq!(&*plant.bus.source(plant.last("a/b").unwrap().source), "token:a");
    // It is a signal as any other: it has its number, and can have its name again.
    assert_eq!(plant.bind("a/b").id.get(), 1);
    let named = MetaEdit { rename: Some(path("a/c")), ..MetaEdit::default() };
    plant.wait(plant.edit("tidemill/unknown/2", named).unwrap());
    assert!(plant.bind("a/new").id.get() > 2);
    for edit in [
        MetaEdit { rename: Some(path("tidemill/unknown/9")), ..MetaEdit::default() },
        MetaEdit { alias: Some(path("tidemill/unknown/9")), ..MetaEdit::default() },
    ] {
        let refused = plant.edit("a/b", edit).err().expect("it is refused");
        assert_eq!(refused.code, &tidemill_core::codes::FORBIDDEN, "{refused}");
    }
    plant.write("a/b", 3, 3);
    // Without a snapshot the log has it, though its damage is there as before; with one the damage is done with.
    let plant = plant.crash();
    assert_eq!(plant.paths("#"), ["a/b", "a/c"]);
    assert!(plant.bus.lacks_names());
    assert_eq!(recover(&plant, kept(&[(1, "a/b"), (2, "a/c")])), [""; 0]);
    let plant = plant.restart();
    assert!(!plant.bus.lacks_names());
    assert_eq!(plant.paths("#"), ["a/b", "a/c"]);
    assert_eq!((plant.last_int("a/b"), plant.last_int("a/c")), (Some(3), Some(2)));
}

#[test]
fn a_name_that_another_signal_has_meanwhile_stays_with_that_one() {
    let plant = without_definitions(&["a/b"]);
    let other = plant.bind("a/b").id;
    plant.write("a/b", 5, 5);
    assert_eq!(
        recover(&plant, kept(&[(1, "a/b"), (7, "no/../path")])),
        ["1 tidemill/unknown/1 a/b", "7 tidemill/unknown/7 no/../path"]
    );
    assert_eq!(plant.bind("a/b").id, other);
    assert_eq!((plant.last_int("a/b"), plant.last_int("tidemill/unknown/1")), (Some(5), Some(2)));
    assert_eq!(recover(&plant, kept(&[(1, "a/b"), (7, "x")])), [""; 0], "what is known stays as it is");
}

#[test]
fn until_names_are_back_nothing_says_that_the_damage_is_done_with() {
    use tidemill_core::Journal;
    let plant = without_definitions(&["a/b"]);
    let plant = plant.restart();
    assert_eq!(plant.journal.cursor(CURSOR), None);
    assert!(plant.bus.lacks_names());
    // A log that is full refuses the definition: it goes with the snapshot.
    plant.journal.refuse(Some(tidemill_core::Busy::Stopping));
    assert_eq!(recover(&plant, kept(&[(1, "a/b")])), ["1 a/b a/b"]);
    let plant = plant.restart();
    assert!(plant.journal.cursor(CURSOR).is_some() && !plant.bus.lacks_names());
    assert_eq!((plant.paths("#"), plant.last_int("a/b")), (vec!["a/b".to_owned()], Some(2)));
}

#[test]
fn an_id_that_is_known_to_files_alone_is_never_given_again() {
    let plant = without_definitions(&["a/b"]);
    recover(&plant, kept(&[(5_000, "from/files")]));
    assert!(plant.bind("new").id.get() > 5_000);
    let plant = plant.restart();
    assert_eq!(plant.bus.find(&path("from/files")).unwrap().id.get(), 5_000);
    assert!(plant.bind("newer").id.get() > 5_000);
}
