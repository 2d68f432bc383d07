//! What a user meets who imports a file: each case is a file, and what becomes of it.

mod counted;
mod data;
mod dialects;
mod ends;
mod foreign;
mod forms;
mod heads;
mod hostile;
mod misread;
mod property;
mod qualities;
mod questions;
mod ratings;
mod survey;
mod tags;
mod workbook;

use std::fmt::Write;
use std::io::Cursor;

use expect_test::Expect;
use jiff::tz::TimeZone;
use tidemill_core::{Quality, format_rfc3339};

use super::*;

/// Options of a plant in Berlin.
fn options() -> Options {
    Options::new(TimeZone::get("Europe/Berlin").unwrap())
}

fn with(set: impl FnOnce(&mut Options)) -> Options {
    let mut options = options();
    set(&mut options);
    options
}

fn prefix(prefix: &str) -> Options {
    with(|options| options.prefix = Some(prefix.to_owned()))
}

fn signal(signal: &str) -> Options {
    with(|options| options.signal = Some(signal.to_owned()))
}

/// Opens bytes as a file of that name.
fn open_bytes(name: &str, bytes: &[u8], options: &Options) -> Result<Reader, tidemill_core::Problem> {
    let bytes = bytes.to_vec();
    open(Box::new(move || Ok(Box::new(Cursor::new(bytes.clone())))), name, options, &mut |_| {})
}

/// Everything that a reader gives, as a user would want to see it.
fn shown(name: &str, bytes: &[u8], options: &Options) -> String {
    let mut reader = match open_bytes(name, bytes, options) {
        Ok(reader) => reader,
        Err(problem) => return format!("{problem}\n"),
    };
    let mut out = String::new();
    let mut rejects = Vec::new();
    while let Some(part) = reader.next_part().unwrap() {
        match part {
            Part::Samples(batch) => {
                for sample in batch.samples {
                    let signal = &reader.signals()[sample.signal as usize];
                    format_rfc3339(sample.time, &mut out);
                    let kind = sample.value.as_ref().kind().name();
                    write!(out, " {} {kind} {}", signal.path, sample.value).unwrap();
                    let unit =
                        if signal.unit.is_empty() { String::new() } else { format!(" {}", signal.unit) };
                    let quality = if sample.quality == Quality::GOOD {
                        String::new()
                    } else {
                        format!(" {}", sample.quality)
                    };
                    writeln!(out, "{unit}{quality}").unwrap();
                }
                rejects.extend(batch.rejects);
            }
            Part::Piece(piece) => {
                writeln!(out, "{} ?{}", piece.content_type, piece.query).unwrap();
                out.push_str(&piece.originals.context.remarks());
                out.push_str(&String::from_utf8_lossy(&piece.body));
                rejects.extend(piece.rejects);
            }
        }
    }
    for reject in rejects {
        writeln!(out, "rejected {}", reject.remark()).unwrap();
    }
    out
}

fn check_with(name: &str, bytes: &[u8], options: &Options, expected: Expect) {
    expected.assert_eq(&shown(name, bytes, options));
}

/// A table called `t.csv`, below the prefix `p`.
fn check(text: &str, expected: Expect) {
    check_with("t.csv", text.as_bytes(), &prefix("p"), expected);
}

/// What was recognised, before anything is read.
fn check_plan(text: &str, expected: Expect) {
    let described = match open_bytes("t.csv", text.as_bytes(), &prefix("p")) {
        Ok(reader) => reader.plan().describe(),
        Err(problem) => problem.to_string(),
    };
    expected.assert_eq(&described);
}
