//! Damage that is told until someone removes its file: engines go past what cannot be read, and then nothing else would know
//! that it was ever there. The page is docs/spec/journal.md. What does not live here: how damage is found (`recover`).
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidemill_core::{DAMAGE_FILE, Damaged, Seq};
use tidemill_ground::{Disk, read, replace};

use crate::error::Error;
use crate::settings::DAMAGE_RANGES_MAX;

/// Beside the file that is for people: what it was told of, so that a later opening that finds the same knows by the missing
/// file that someone has taken note.
const TOLD: &str = "damage.told";
const TITLE: &str = "tidemill journal damage";
const FORMAT: u32 = 1;

/// What is known of damage, and the files that keep it.
pub(crate) struct Damage {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// What engines needed and did not get, and nobody has taken note of.
    kept: Vec<Damaged>,
    /// What openings up to this one found and told: where it is not in `kept`, someone has taken note.
    told: Vec<Damaged>,
    /// The file has all of `kept`: where it is gone, someone has taken note.
    written: bool,
    told_written: bool,
    /// What is told of this opening only.
    passing: Vec<Damaged>,
}

impl Damage {
    /// What the files in this folder say. Changes nothing.
    pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Damage, Error> {
        let (kept, told) = match load(disk.as_ref(), dir, DAMAGE_FILE)? {
            Loaded::Ranges(kept) => match load(disk.as_ref(), dir, TOLD)? {
                Loaded::Ranges(told) => (kept, told),
                // What may have been noted is told again.
                Loaded::Nonsense(_) => (kept, Vec::new()),
            },
            // It may have told of what nobody took note of: then that is told, and all that is still to be found.
            Loaded::Nonsense(bytes) => (vec![of_file(DAMAGE_FILE, bytes)], Vec::new()),
        };
        Ok(Damage {
            disk: disk.clone(),
            path: dir.join(DAMAGE_FILE),
            kept,
            told,
            written: true,
            told_written: true,
            passing: Vec::new(),
        })
    }

    /// Takes in what an opening found. Nobody has gone past `reached`: what was damaged behind it and is not any more was put
    /// back, and is whole.
    pub(crate) fn found(&mut self, found: Vec<Damaged>, reached: Seq) {
        let overlaps = |one: &Damaged, other: &Damaged| one.first <= other.last && other.first <= one.last;
        self.kept.retain(|kept| kept.first <= reached || found.iter().any(|range| overlaps(kept, range)));
        let noted = std::mem::take(&mut self.told);
        for range in found {
            let known = has(&self.kept, &range) || has(&noted, &range);
            let told = known || self.kept.len() < DAMAGE_RANGES_MAX;
            if !known && told {
                self.kept.push(range.clone());
            }
            if told && self.told.len() < DAMAGE_RANGES_MAX {
                self.told.push(range);
            }
        }
    }

    /// Tells of a file of the log that holds no parcels, until the plant starts again.
    pub(crate) fn found_in(&mut self, name: &str) {
        let bytes = self.disk.len(&self.path.with_file_name(name)).unwrap_or(0);
        self.passing.push(of_file(name, bytes));
    }

    /// Makes the files say what is known. Where the disk refuses, whoever asks for damage tries again.
    pub(crate) fn keep(&mut self) {
        self.written = put(self.disk.as_ref(), &self.path, &self.kept);
        // Only behind it: what stands there alone was taken note of.
        self.told_written =
            self.written && put(self.disk.as_ref(), &self.path.with_file_name(TOLD), &self.told);
    }

    /// All that is to be told now.
    pub(crate) fn all(&mut self) -> Vec<Damaged> {
        if !self.written {
            self.keep();
        }
        let gone = || matches!(self.disk.exists(&self.path), Ok(false));
        if self.written && !self.kept.is_empty() && gone() {
            self.kept.clear();
        }
        if self.written && !self.told_written {
            self.keep();
        }
        self.kept.iter().chain(&self.passing).cloned().collect()
    }
}

/// Whether a range is within one of these.
fn has(ranges: &[Damaged], range: &Damaged) -> bool {
    ranges.iter().any(|known| known.first <= range.first && range.last <= known.last)
}

/// Makes a file say these ranges; none: there is no file.
fn put(disk: &dyn Disk, path: &Path, ranges: &[Damaged]) -> bool {
    let text = if ranges.is_empty() { String::new() } else { text(ranges) };
    if read(disk, path).unwrap_or_default() == text.as_bytes() {
        return true;
    }
    if text.is_empty() { disk.remove(path).is_ok() } else { replace(disk, path, text.as_bytes()).is_ok() }
}

enum Loaded {
    Ranges(Vec<Damaged>),
    /// So many bytes, which tell of nothing.
    Nonsense(u64),
}

fn load(disk: &dyn Disk, dir: &Path, name: &str) -> Result<Loaded, Error> {
    let path = dir.join(name);
    let failed = |source| Error::Io { dir: dir.to_owned(), what: "reading the record of damage", source };
    if !disk.exists(&path).map_err(failed)? {
        return Ok(Loaded::Ranges(Vec::new()));
    }
    let bytes = match read(disk, &path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Loaded::Ranges(Vec::new())),
        other => other.map_err(failed)?,
    };
    match parse(&bytes) {
        Parsed::Ranges(ranges) => Ok(Loaded::Ranges(ranges)),
        Parsed::Newer(format) => Err(Error::Newer { file: path, format, known: FORMAT }),
        Parsed::Nonsense => Ok(Loaded::Nonsense(bytes.len() as u64)),
    }
}

fn of_file(name: &str, bytes: u64) -> Damaged {
    Damaged { segment: name.to_owned(), from: 0, to: bytes, first: Seq(0), last: Seq(0) }
}

fn text(ranges: &[Damaged]) -> String {
    let mut text = format!("{TITLE} {FORMAT}\n");
    for Damaged { segment, from, to, first, last } in ranges {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{segment} {from} {to} {} {}", first.0, last.0);
    }
    text
}

enum Parsed {
    Ranges(Vec<Damaged>),
    Newer(u32),
    Nonsense,
}

fn parse(bytes: &[u8]) -> Parsed {
    let Ok(text) = std::str::from_utf8(bytes) else { return Parsed::Nonsense };
    let mut lines = text.lines();
    let format = lines.next().and_then(|line| line.strip_prefix(TITLE)?.trim_start().parse::<u32>().ok());
    match format {
        Some(FORMAT) => match lines.map(range).collect::<Option<Vec<_>>>() {
            // Without a range there is no file: one that has the title alone was cut.
            Some(ranges) if !ranges.is_empty() => Parsed::Ranges(ranges),
            _ => Parsed::Nonsense,
        },
        Some(later) if later > FORMAT => Parsed::Newer(later),
        _ => Parsed::Nonsense,
    }
}

fn range(line: &str) -> Option<Damaged> {
    let mut words = line.split(' ');
    let segment = words.next()?.to_owned();
    let mut number = || words.next()?.parse::<u64>().ok();
    let (from, to, first, last) = (number()?, number()?, Seq(number()?), Seq(number()?));
    let whole = words.next().is_none()
        && first <= last
        && from <= to
        && (first > Seq(0) || segment == DAMAGE_FILE && last == Seq(0));
    whole.then_some(Damaged { segment, from, to, first, last })
}
