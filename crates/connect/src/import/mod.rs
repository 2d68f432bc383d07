//! Reading other people's files: what a file is gets recognised, its rows become samples, its bad rows get a reason.
//! What does not live here: the command line, the progress bar, and the client that sends what is read.
//!
//! Invariants
//! - Nothing that can be read in two ways is guessed: day and month, decimal comma and thousands are asked for.
//! - What a row means does not depend on how far behind the beginning it stands: all rows are looked through first.
//! - A file of any size is read in bounded memory; a bad row never stops the others and is never lost.
//! - The same file gives the same samples every time, so that importing twice changes nothing.

mod columns;
mod encode;
mod ends;
mod error;
mod foreign;
mod heads;
mod json;
mod layout;
mod lineprotocol;
mod lines;
mod members;
mod names;
mod plan;
mod reader;
mod recognise;
mod records;
mod rejected;
mod sheet;
mod source;
mod survey;
mod watch;
mod workbook;
mod xml;
mod zip;

// What one text says, by names that the files here share.
use tidemill_notation::{cell, civil, steps, time, words};

#[cfg(test)]
use reader::{Batch, Sample, Signal};
#[cfg(test)]
use recognise::HEAD_BYTES;
#[cfg(test)]
mod tests;

pub use cell::Decimal;
pub use encode::{CONTENT_TYPE, QUERY, encode};
pub use lineprotocol::Context;
pub use names::stem_of;
pub use plan::{Options, Typed};
pub use reader::{Joined, Part, Piece, Reader, Summary};
pub use recognise::open;
pub use rejected::{Originals, Reject, rejected_name};
pub use source::Open;
pub use steps::Step;
pub use time::{LocalTimes, TimeFormat, instant_of};
pub use workbook::{Workbook, is_workbook};
pub use zip::{MAGIC as ZIP_MAGIC, Member as Packed, members as packed};

/// Names that one file may bring; the plant has a limit of its own.
const SIGNALS_MAX: usize = 100_000;

/// Recognises and reads any bytes as a file, for the fuzz targets: gives how many samples and rejects there were.
pub fn exercise(bytes: &[u8]) -> (usize, usize) {
    if bytes.starts_with(ZIP_MAGIC) {
        return (workbook::exercise(bytes), 0);
    }
    let options = Options { prefix: Some("fuzz".to_owned()), ..Options::new(jiff::tz::TimeZone::UTC) };
    let owned = bytes.to_vec();
    let opened = open(
        Box::new(move || Ok(Box::new(std::io::Cursor::new(owned.clone())))),
        "fuzz.csv",
        &options,
        &mut |_| {},
    );
    let Ok(mut reader) = opened else { return (0, 0) };
    let (mut samples, mut rejects) = (0, 0);
    let mut body = Vec::new();
    while let Ok(Some(part)) = reader.next_part() {
        if let Part::Samples(batch) = part {
            body.clear();
            encode(&batch, reader.signals(), &mut body);
            samples += batch.samples.len();
            rejects += batch.rejects.len();
        }
    }
    (samples, rejects)
}
