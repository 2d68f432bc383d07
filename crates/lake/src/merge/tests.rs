//! Which merge comes first, and which ones wait for a day that is not over yet.

use super::super::files::DAY_NS;
use super::super::write::Written;
use super::*;

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
