//! What a copy of the lake holds, and what it lets go.

use tidemill_core::{Quality, Seq, Value};
use tidemill_ground::Open;

use super::*;
use crate::fakes::{LAKE, World};
use crate::model_tests::parcel;

fn copied(world: &World, copy: &Copy) {
    // As a backup does it: what the copy names, and nothing else.
    let disk = &world.ground.disk;
    for table in &copy.tables {
        let (from, to) = (Path::new(LAKE).join(&table.folder), Path::new("/copy").join(&table.folder));
        let logged = table.log.iter().map(|name| format!("_delta_log/{name}"));
        for name in logged.chain(table.files.iter().map(|(name, _)| name.clone())) {
            let bytes = tidemill_ground::read(&**disk, &from.join(&name)).expect("it is held");
            tidemill_ground::create_dirs(&**disk, to.join(&name).parent().expect("a folder")).expect("room");
            let file = disk.open(&to.join(&name), Open::CreateNew).expect("room");
            file.write_at(&bytes, 0).expect("room");
        }
        if let Some(bytes) = &table.last_checkpoint {
            let file = disk.open(&to.join("_delta_log/_last_checkpoint"), Open::CreateNew).expect("room");
            file.write_at(bytes, 0).expect("room");
        }
    }
}

#[test]
fn a_copy_is_one_version_however_the_table_goes_on() {
    let world = World::new(3, &["a", "b"]);
    let mut last = Seq(0);
    // Beyond a checkpoint.
    for number in 0..6 {
        last = world.write(parcel(&[(1, number, Value::Float(0.5), Quality::GOOD)], false));
        world.flush().expect("room");
    }
    let copy = world.store.hold_for_copy();
    // The table's files are all replaced, and what was replaced would go at once.
    world.write(parcel(&[(2, 99, Value::Float(9.0), Quality::GOOD)], false));
    world.flush().expect("room");
    while world.store.merge_step(&|| false).expect("room") {}
    world.store.clean().expect("nothing is removed");
    copied(&world, &copy);
    let found = tables(&world.ground.disk, Path::new("/copy"));
    let found: Vec<TableCopy> = found.into_iter().collect::<Result<_, _>>().expect("whole logs");
    assert_eq!(found, copy.tables);
    assert_eq!(found.first().map(|table| table.applied), Some(last.0));
    assert!(found.first().is_some_and(|table| table.last_checkpoint.is_some() && table.log.len() < 6));
    drop(copy);
    let names = || world.ground.disk.list(&Path::new(LAKE).join("samples")).expect("a folder").len();
    let before = names();
    world.store.clean().expect("what was held goes");
    assert!(names() < before, "{before}");
}
