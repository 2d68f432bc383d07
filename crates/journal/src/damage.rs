//! Damage that is told until someone removes its file: engines go past what cannot be read, and then nothing else would know
//! that it was ever there. The page is docs/spec/journal.md. What does not live here: how damage is found (`recover`).
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidemill_core::{Damaged, Seq};
use tidemill_ground::{Disk, read, replace};

use crate::error::Error;
use crate::settings::DAMAGE_RANGES_MAX;

const FILE: &str = "damage";
const TITLE: &str = "tidemill journal damage";
const FORMAT: u32 = 1;

/// What is known of damage, and the file that keeps it.
pub(crate) struct Damage {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// What engines needed and did not get, from the file.
    kept: Vec<Damaged>,
    /// The file has all of `kept`: where it is gone, someone has taken note.
    written: bool,
    /// What is told of this opening only.
    passing: Vec<Damaged>,
}

impl Damage {
    /// What the file in this folder says. Changes nothing.
    pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Damage, Error> {
        let path = dir.join(FILE);
        let mut damage = Damage {
            disk: disk.clone(),
            path: path.clone(),
            kept: Vec::new(),
            written: true,
            passing: Vec::new(),
        };
        let failed = |source| Error::Io { dir: dir.to_owned(), what: "reading the record of damage", source };
        if !disk.exists(&path).map_err(failed)? {
            return Ok(damage);
        }
        let bytes = match read(disk.as_ref(), &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(damage),
            other => other.map_err(failed)?,
        };
        match parse(&bytes) {
            Parsed::Ranges(kept) => damage.kept = kept,
            Parsed::Newer(format) => return Err(Error::Newer { file: path, format, known: FORMAT }),
            Parsed::Nonsense => damage.passing.push(of_file(FILE, bytes.len() as u64)),
        }
        Ok(damage)
    }

    /// Takes in what an opening found. Nobody has gone past `reached`: what was damaged behind it and is not any more was put
    /// back, and is whole.
    pub(crate) fn found(&mut self, found: Vec<Damaged>, reached: Seq) {
        let overlaps = |one: &Damaged, other: &Damaged| one.first <= other.last && other.first <= one.last;
        self.kept.retain(|kept| kept.first <= reached || found.iter().any(|range| overlaps(kept, range)));
        for range in found {
            let known = self.kept.iter().any(|kept| kept.first <= range.first && range.last <= kept.last);
            if !known && self.kept.len() < DAMAGE_RANGES_MAX {
                self.kept.push(range);
            }
        }
    }

    /// Tells of a file of the log that holds no parcels, until the plant starts again.
    pub(crate) fn found_in(&mut self, name: &str) {
        let bytes = self.disk.len(&self.path.with_file_name(name)).unwrap_or(0);
        self.passing.push(of_file(name, bytes));
    }

    /// Makes the file say what is known. Where the disk refuses, whoever asks for damage tries again.
    pub(crate) fn keep(&mut self) {
        let text = if self.kept.is_empty() { String::new() } else { text(&self.kept) };
        let there = read(self.disk.as_ref(), &self.path).unwrap_or_default();
        self.written = match (text.is_empty(), there == text.as_bytes()) {
            (_, true) => true,
            (true, false) if !self.passing.is_empty() => true,
            (true, false) => self.disk.remove(&self.path).is_ok(),
            (false, false) => replace(self.disk.as_ref(), &self.path, text.as_bytes()).is_ok(),
        };
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
        self.kept.iter().chain(&self.passing).cloned().collect()
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
        Some(FORMAT) => match lines.map(range).collect() {
            Some(ranges) => Parsed::Ranges(ranges),
            None => Parsed::Nonsense,
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
    words.next().is_none().then_some(Damaged { segment, from, to, first, last })
}
