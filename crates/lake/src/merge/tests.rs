//! Which merge comes first, and which ones wait for a day that is not over yet.

use std::path::Path;
use std::time::Duration;

use tidemill_core::{Quality, Value};

use super::super::files::DAY_NS;
use super::super::write::Written;
use super::*;
use crate::SampleSource;
use crate::fakes::{LAKE, World};
use crate::model_tests::parcel;

/// A file of one day, as the flush with this number left it.
fn flushed(day: i64, order: u64) -> FileEntry {
    let (name, from) = (format!("{day}-{order}"), day * DAY_NS);
    let path = String::from("a/b");
    let written = Written {
        name,
        bytes: 100,
        rows: 1,
        from,
        last: from,
        first_path: path.clone(),
        last_path: path,
        tail: (0, 0),
    };
    FileEntry::of(&written, Window { first_day: day, days: 1 }, Level::Flush, order, 0)
}

#[test]
fn a_window_that_waits_long_comes_before_one_that_is_new() {
    let wall = 100 * DAY_NS;
    let first = |files: &[(i64, u64)]| {
        let files = files.iter().map(|(day, order)| flushed(*day, *order)).collect();
        plan(&Version::default().with(files, &[]), wall, 0).map(|plan| plan.window.first_day)
    };
    assert_eq!(first(&[(10, 1), (10, 2), (20, 3), (20, 4)]), Some(20), "the newest of equals");
    assert_eq!(first(&[(10, 1), (10, 2), (10, 3), (20, 4), (20, 5)]), Some(10));
    assert_eq!(first(&[(10, 1), (10, 2), (99, 4), (100, 5), (100, 6)]), Some(10), "today is not over");
}

/// A reader keeps what it reads, and a day is for strangers; who wants room gets the rest at once.
#[test]
fn files_that_left_the_table_go_at_once_while_there_is_no_room() {
    let mut world = World::new(5, &["a"]);
    world.settings.vacuum_after = Duration::from_secs(86_400);
    world.reopen(6).unwrap();
    for time in 0..4 {
        world.write(parcel(&[(1, time, Value::Float(0.5), Quality::GOOD)], false));
        world.flush().unwrap();
    }
    let reader = world.store.view();
    world.simulation.clock.advance(Duration::from_secs(3_600));
    while world.store.merge_step(&|| false).unwrap() {}
    let names = || {
        let all = world.ground.disk.list(&Path::new(LAKE).join("samples")).unwrap();
        all.iter().filter(|entry| entry.name.ends_with(".parquet")).count()
    };
    world.store.clean().unwrap();
    assert_eq!(names(), 5, "four that left, and the one that they became");
    world.journal.full.store(true, Ordering::Release);
    world.store.clean().unwrap();
    assert_eq!(names(), 5, "they are being read");
    drop(reader);
    world.store.clean().unwrap();
    assert_eq!(names(), 1);
}
