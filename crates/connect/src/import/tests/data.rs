//! Real files, where they are at hand: every row arrives, counted by an independent reading.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::*;

/// The folder with the data sets, or none with a line that says so; a failure where nothing may be missing.
fn folder(set: &str) -> Option<PathBuf> {
    let root = std::env::var_os("TIDEMILL_DATA").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let folder = root.join(set).join("data");
    if !folder.is_dir() {
        let why =
            format!("{} is not here; TIDEMILL_DATA names the folder of the data sets", folder.display());
        assert!(std::env::var("TIDEMILL_STRICT").as_deref() != Ok("1"), "{why}");
        // Not the captured output of a test: what was left out is to be seen.
        std::io::Write::write_all(&mut std::io::stderr(), format!("skipped: {why}\n").as_bytes()).unwrap();
        return None;
    }
    Some(folder)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "csv") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Reads a file as the command line does; the times are UTC so that no hour is missing.
fn read(path: &Path, set: impl FnOnce(&mut Options)) -> (Vec<Sample>, usize, Vec<Reject>, Summary) {
    let mut options = Options::new(TimeZone::UTC);
    set(&mut options);
    let owned = path.to_owned();
    let source = Box::new(move || Ok(Box::new(File::open(&owned)?) as Box<dyn std::io::Read + Send>));
    let mut reader =
        open(source, path.file_name().unwrap().to_str().unwrap(), &options, &mut |_| {}).unwrap();
    let (mut samples, mut rejects) = (Vec::new(), Vec::new());
    while let Some(part) = reader.next_part().unwrap() {
        let Part::Samples(batch) = part else { panic!("{} is a table", path.display()) };
        samples.extend(batch.samples);
        rejects.extend(batch.rejects);
    }
    assert_eq!(reader.bytes_read(), path.metadata().unwrap().len());
    (samples, reader.signals().len(), rejects, reader.summary())
}

/// Lines cut at a separator, with nothing of this module: cells as their text.
fn plainly(path: &Path, separator: char) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().skip(1).map(|line| line.split(separator).map(str::to_owned).collect()).collect()
}

/// `2013-12-02 21:15:00` in UTC, by counting days.
fn nanos(text: &str) -> i64 {
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let years: i64 = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum();
    let days = years + lengths[..usize::try_from(month - 1).unwrap()].iter().sum::<i64>() + day - 1;
    (((days * 24 + number(11, 13)) * 60 + number(14, 16)) * 60 + number(17, 19)) * 1_000_000_000
}

fn bits(sample: &Sample) -> u64 {
    let tidemill_core::Value::Float(value) = sample.value else { panic!("{sample:?} is no float") };
    value.to_bits()
}

#[test]
fn nab_goes_in_with_a_name() {
    let Some(folder) = folder("nab") else { return };
    let files = files(&folder);
    assert_eq!(files.len(), 7);
    for file in files {
        let (samples, signals, rejects, summary) =
            read(&file, |options| options.signal = Some("acme/x".to_owned()));
        let rows = plainly(&file, ',');
        assert_eq!((samples.len(), signals, rejects.len()), (rows.len(), 1, 0), "{}", file.display());
        assert_eq!((summary.rows, summary.samples), (rows.len() as u64, rows.len() as u64));
        let ours: BTreeSet<_> = samples.iter().map(|sample| (sample.time, bits(sample))).collect();
        let theirs: BTreeSet<_> =
            rows.iter().map(|row| (nanos(&row[0]), row[1].parse::<f64>().unwrap().to_bits())).collect();
        assert_eq!(ours, theirs, "{}", file.display());
        let in_order = samples.iter().zip(&rows).all(|(sample, row)| sample.time == nanos(&row[0]));
        assert!(in_order, "{}", file.display());
    }
}

#[test]
fn repeated_times_of_the_machine_temperature_are_kept() {
    let Some(folder) = folder("nab") else { return };
    let file = folder.join("realKnownCause/machine_temperature_system_failure.csv");
    let (samples, ..) = read(&file, |options| options.signal = Some("acme/x".to_owned()));
    let times: BTreeSet<_> = samples.iter().map(|sample| sample.time).collect();
    let pairs: BTreeSet<_> = samples.iter().map(|sample| (sample.time, bits(sample))).collect();
    assert_eq!((samples.len(), pairs.len(), times.len()), (22_695, 22_695, 22_683));
}

#[test]
fn skab_goes_in_with_a_prefix() {
    let Some(folder) = folder("skab") else { return };
    let files = files(&folder);
    assert_eq!(files.len(), 17);
    for file in files {
        let (samples, signals, rejects, _) =
            read(&file, |options| options.prefix = Some("acme/skab/0".to_owned()));
        let rows = plainly(&file, ';');
        let columns = rows[0].len() - 1;
        assert_eq!(
            (samples.len(), signals, rejects.len()),
            (rows.len() * columns, columns, 0),
            "{}",
            file.display()
        );
        for (samples, row) in samples.chunks(columns).zip(&rows) {
            for (sample, cell) in samples.iter().zip(&row[1..]) {
                assert_eq!(
                    (sample.time, bits(sample)),
                    (nanos(&row[0]), cell.trim().parse::<f64>().unwrap().to_bits())
                );
            }
        }
    }
}
