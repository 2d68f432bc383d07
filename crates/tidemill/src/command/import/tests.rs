//! What a user sees of the progress of an import, as numbers.

use std::io::Write as _;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use tidemill_connect::import::Reject;

use super::*;

/// Columns become text of many times their length: that text is not what the bar counts.
#[test]
fn the_bar_of_packed_columns_shows_the_place_in_the_file() {
    let mut file = tempfile::tempfile().unwrap();
    let mut packer = GzEncoder::new(&mut file, Compression::fast());
    packer.write_all(b"time,value\n").unwrap();
    (0..200_000).for_each(|row| writeln!(packer, "{},{row}", 1_704_067_200 + row).unwrap());
    packer.finish().unwrap();
    let (place, bytes) = (file.try_clone().unwrap(), file.metadata().unwrap().len());
    let unpacked = move || -> std::io::Result<Box<dyn std::io::Read + Send>> {
        let mut again = file.try_clone()?;
        again.rewind()?;
        Ok(Box::new(MultiGzDecoder::new(again)))
    };
    let options = Options { signal: Some("a".to_owned()), ..Options::new(jiff::tz::TimeZone::UTC) };
    let (bar, stop) = (progress::import("x.csv", bytes), Stop::default());
    looked_through(Box::new(unpacked), "x.csv", &options, Some(&place), (&bar, &stop)).unwrap();
    assert!((bytes / 2..=bytes).contains(&bar.bar().position()), "{} of {bytes}", bar.bar().position());
}

/// A text that runs over lines is never cut; each sample of a wide row may be.
#[test]
fn what_is_sent_again_is_cut_between_records() {
    // 60 records of three lines each.
    let rows: Vec<u32> = (0..60).flat_map(|row| [row; 3]).collect();
    assert_eq!(send::hundred(&rows, 0, true), 180);
    assert_eq!(send::hundred(&rows, 0, false), 100);
    assert_eq!(send::hundred(&rows, 100, false), 180);
    // 150 pairs of a record of one line and one of five, as a log's messages between samples.
    let rows: Vec<u32> =
        (0..150).flat_map(|pair| [[pair * 2].as_slice(), &[pair * 2 + 1; 5]].concat()).collect();
    assert_eq!(send::hundred(&rows, 0, true), 300);
    assert_eq!(send::hundred(&rows, 600, true), 900);
}

fn names(items: Vec<Result<Item, Problem>>) -> Vec<Result<String, String>> {
    items.into_iter().map(|item| item.map(|item| item.name).map_err(|problem| problem.to_string())).collect()
}

#[expect(clippy::disallowed_methods, reason = "files of somebody else, which are read")]
#[test]
fn links_in_a_circle_are_followed_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("a")).unwrap();
    std::fs::write(folder.path().join("a/x.csv"), "time,value\n").unwrap();
    std::os::unix::fs::symlink("..", folder.path().join("a/up")).unwrap();
    let found = names(files::items(&[folder.path().to_owned()], None).unwrap());
    assert_eq!(found, [Ok(folder.path().join("a/x.csv").display().to_string())]);
}

#[expect(clippy::disallowed_methods, reason = "files of somebody else, which are read")]
#[test]
fn files_whose_names_would_be_alike_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "time,value\n").unwrap();
        path
    };
    let files =
        [file("d1/temp.csv"), file("d2/temp.csv"), file("d2/other.csv"), file("d2/other.csv.rejected")];
    let items = files::items(&files, None).unwrap();
    let twins = |set: fn(&mut Options)| {
        let mut options = Options::new(None);
        set(&mut options);
        files::twins(&items, &options)
    };
    let shown = |path: &PathBuf| Some(path.display().to_string());
    let both = [shown(&files[1]), shown(&files[0]), None, None];
    assert_eq!(twins(|_| {}), both);
    assert_eq!(twins(|options| options.prefix = Some("x/{file}".to_owned())), both);
    // One name for all files is said by the user; another question is asked there.
    assert_eq!(twins(|options| options.prefix = Some("x".to_owned())), [const { None }; 4]);
}

/// Two imports of one file: the list of the first stays as it is.
#[test]
fn one_import_at_a_time_writes_a_list_of_rejects() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv.rejected");
    let reject = || [Reject { line: 2, column: None, raw: "a,b".to_owned(), reason: "no".to_owned() }];
    let mut first = rejects::Rejects::new(path.clone());
    first.write(Some("time,v"), &reject()).unwrap();
    let mut second = rejects::Rejects::new(path.clone());
    let problem = second.write(Some("time,v"), &reject()).unwrap_err();
    assert!(problem.detail.contains("another import of the file is writing it"), "{problem}");
    first.write(Some("time,v"), &reject()).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap().matches("\na,b\n").count(), 2);
}

/// A list that an import left which was cut off is not one that somebody changed.
#[expect(clippy::disallowed_methods, reason = "a list that somebody changes")]
#[test]
fn a_list_of_rejects_whose_import_was_stopped_is_removed_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv.rejected");
    let reject = || [Reject { line: 2, column: None, raw: "a,b".to_owned(), reason: "no".to_owned() }];
    let stopped = || {
        let mut rejects = rejects::Rejects::new(path.clone());
        rejects.write(Some("time,v"), &reject()).unwrap();
        let bytes = rejects.bytes();
        assert!(rejects.end().unwrap());
        bytes
    };
    stopped();
    rejects::Rejects::new(path.clone()).finish().unwrap();
    assert!(!path.exists(), "nothing was rejected this time");
    // One that goes on takes the end away, and writes its own.
    let bytes = stopped();
    let mut rejects = rejects::Rejects::new(path.clone());
    rejects.go_on(bytes).unwrap();
    rejects.write(None, &reject()).unwrap();
    rejects.finish().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!((text.matches("\na,b\n").count(), text.matches("#rejected end").count()), (2, 1));
    // One that somebody changed stays.
    std::fs::write(&path, format!("{text}a,c\n")).unwrap();
    rejects::Rejects::new(path.clone()).finish().unwrap();
    assert!(path.exists());
}
