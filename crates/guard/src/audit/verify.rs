//! Checks the whole chain, from the oldest file to the mark. Works on the files alone: also for a plant that does not
//! run, and for a copy of its folder.

use std::path::{Path, PathBuf};

use tidemill_ground::{Disk, read};

use super::line::{Hash, Header, split};
use super::mark::{self, Mark};
use super::scan::{Ending, Finding, Scanner, What};
use super::{FOLDER, file_name, first_of};
use crate::error::Error;

/// What a check of the chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How many files there are.
    pub files: usize,
    /// How many entries could be read.
    pub entries: u64,
    /// The first entry; 0 if there is none.
    pub first: u64,
    /// The last entry; 0 if there is none.
    pub last: u64,
    /// The hash of the last line, in hexadecimal: write it down elsewhere, and a chain that was written anew is found.
    pub hash: String,
    /// What is wrong, at most 1000 of them.
    pub findings: Vec<Finding>,
    /// How many more findings there are.
    pub findings_more: u64,
    /// A write at the very end that was cut off, as by a crash; the next start removes and records it.
    pub torn: Option<Torn>,
}

/// Bytes at the end of the last file that are no entry and that the mark does not vouch for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// In which file.
    pub file: String,
    /// From which byte.
    pub from: u64,
    /// How many.
    pub bytes: u64,
}

impl Report {
    /// Whether nothing was found.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Checks the chain in `data_dir`.
///
/// # Errors
/// A file cannot be read at all, or was written by a newer version.
pub fn verify(disk: &dyn Disk, data_dir: &Path) -> Result<Report, Error> {
    verify_until(disk, &data_dir.join(FOLDER), || None)
}

/// Checks the chain up to a place that is known to be durable, while entries are added behind it.
pub(crate) fn verify_until(
    disk: &dyn Disk,
    dir: &Path,
    until: impl Fn() -> Option<(u64, u64)>,
) -> Result<Report, Error> {
    let read_mark = || mark::read(disk, dir).map_err(Error::disk("reading", dir));
    // Read before the files: entries that come in between are then beyond the mark, not missing.
    let mut mark = read_mark()?;
    let mut end = until();
    if mark == Mark::Absent && end.is_some_and(|(first, _)| first > 0) {
        // The chain may have begun in between. Its mark is written before `until` tells of its first entry: one that is
        // absent now as well is missing.
        mark = read_mark()?;
        end = until();
    }
    let until = end;
    let (mut files, strays) = files(disk, dir)?;
    if let Some((last, _)) = until {
        files.retain(|first| *first <= last);
    }
    let mut bytes = Vec::with_capacity(2);
    let mut check = Check::new(mark, &strays);
    for (index, first) in files.iter().enumerate() {
        if bytes.is_empty() {
            bytes.push(file_bytes(disk, dir, *first)?);
        }
        if let Some(next) = files.get(index + 1) {
            bytes.push(file_bytes(disk, dir, *next)?);
        } else if let (Some((_, len)), Some(last)) = (until, bytes.first_mut()) {
            last.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        }
        let next = files.get(index + 1).copied().zip(bytes.get(1).map(Vec::as_slice));
        check.file(*first, bytes.first().map_or(&[], Vec::as_slice), next);
        bytes.remove(0);
    }
    Ok(report(check.scanner, mark, files.len(), check.torn))
}

/// Checks files that are in memory.
#[cfg(test)]
pub(crate) fn verify_bytes(mark: Mark, files: &[(u64, Vec<u8>)], strays: &[String]) -> Report {
    let mut check = Check::new(mark, strays);
    for (index, (first, bytes)) in files.iter().enumerate() {
        let next = files.get(index + 1).map(|(first, bytes)| (*first, bytes.as_slice()));
        check.file(*first, bytes, next);
    }
    report(check.scanner, mark, files.len(), check.torn)
}

/// A check on its way from file to file.
struct Check {
    scanner: Scanner,
    torn: Option<Torn>,
}

impl Check {
    fn new(mark: Mark, strays: &[String]) -> Check {
        let mut scanner = Scanner::new(mark);
        strays.iter().for_each(|name| scanner.find(name, 0, What::Stray));
        Check { scanner, torn: None }
    }

    /// The next file, with the one after it, if there is one.
    fn file(&mut self, first: u64, bytes: &[u8], next: Option<(u64, &[u8])>) {
        let ending = next.map_or(Ending::Last, |(first, bytes)| ending_before(bytes, first));
        let end = self.scanner.file(first, bytes, ending);
        if end.torn {
            let bytes = bytes.len() as u64 - end.sound_bytes;
            self.torn = Some(Torn { file: file_name(first), from: end.sound_bytes, bytes });
        }
    }
}

fn report(mut scanner: Scanner, mark: Mark, files: usize, torn: Option<Torn>) -> Report {
    let first = scanner.beginning.map_or(0, |(first, _)| first);
    if let Some((first, prev)) = scanner.beginning {
        let removed =
            scanner.trims.iter().any(|(through, hash)| *through + 1 == first && *hash == prev.to_string());
        if !removed && (first != 1 || prev != Hash::ZERO) {
            scanner.find(&file_name(first), 1, What::Beginning(first));
        }
    }
    let end = scanner.end;
    match mark {
        Mark::At(mark) if mark.seq > end.seq => {
            scanner.find("mark", 0, What::EndMissing(end.seq + 1, mark.seq));
        }
        Mark::Unreadable => scanner.find("mark", 0, What::MarkUnreadable),
        Mark::Absent if end.seq > 0 => scanner.find("mark", 0, What::MarkMissing),
        _ => {}
    }
    Report {
        files,
        entries: scanner.entries,
        first,
        last: end.seq,
        hash: end.hash.to_string(),
        findings: scanner.findings,
        findings_more: scanner.findings_more,
        torn,
    }
}

/// The audit files by their first entry, in order, and what else lies there.
pub(crate) fn files(disk: &dyn Disk, dir: &Path) -> Result<(Vec<u64>, Vec<String>), Error> {
    if !disk.exists(dir).map_err(Error::disk("reading", dir))? {
        return Ok((Vec::new(), Vec::new()));
    }
    let entries = disk.list(dir).map_err(Error::disk("listing", dir))?;
    let names = entries.into_iter().map(|entry| entry.name).filter(|name| name != "mark");
    let (files, strays): (Vec<String>, Vec<String>) = names.partition(|name| first_of(name).is_some());
    let mut files: Vec<u64> = files.iter().filter_map(|name| first_of(name)).collect();
    files.sort_unstable();
    Ok((files, strays))
}

pub(crate) fn file_bytes(disk: &dyn Disk, dir: &Path, first: u64) -> Result<Vec<u8>, Error> {
    let path: PathBuf = dir.join(file_name(first));
    let bytes = read(disk, &path).map_err(Error::disk("reading", &path))?;
    refuse_newer(&path, &bytes)?;
    Ok(bytes)
}

/// A file of a newer version is not judged by rules that it does not follow.
fn refuse_newer(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let digits = bytes.strip_prefix(b"{\"tidemill-audit\":").unwrap_or_default();
    let end = digits.iter().position(|byte| *byte == b',').unwrap_or(0);
    let version = digits.get(..end).and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u64>().ok());
    match version {
        Some(found) if found > super::VERSION && header_is_whole(bytes) => {
            Err(Error::Newer { path: path.to_owned(), found, known: super::VERSION })
        }
        _ => Ok(()),
    }
}

/// A flipped digit must not pass for a newer version. The chain's hash has the same form in every version.
fn header_is_whole(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some((body, hash)) = split(line) else { return false };
    let marker = b"\"prev\":\"";
    let Some(at) = body.windows(marker.len()).position(|window| window == marker) else { return false };
    let digits = body.get(at + marker.len()..at + marker.len() + 64).unwrap_or_default();
    std::str::from_utf8(digits)
        .ok()
        .and_then(Hash::parse)
        .is_some_and(|prev| Hash::after(&prev, body) == hash)
}

/// What the file after it says about how a file may end.
pub(crate) fn ending_before(next: &[u8], next_first: u64) -> Ending {
    let line = next.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let header = split(line).and_then(|(body, hash)| {
        let header = Header::parse(body)?;
        (Hash::after(&header.prev()?, body) == hash).then_some(header)
    });
    match header {
        Some(header) if header.reopened && header.first == next_first => Ending::VoidAfter(next_first - 1),
        _ => Ending::Followed,
    }
}
