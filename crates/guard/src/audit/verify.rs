//! Checks the whole chain, from the oldest file to the mark. Works on the files alone: also for a plant that does not
//! run, and for a copy of its folder.

use std::path::{Path, PathBuf};

use tidemill_ground::{Disk, Open, read};

use super::line::{Hash, Header, split};
use super::mark::{Mark, Marks};
use super::members::{Members, candidates, members};
use super::scan::{Ending, Finding, Scanner, What};
use super::{BESIDE, FOLDER, MARK, file_name, first_of};
use crate::error::Error;
use crate::store;

/// No file of the chain becomes so large: it is closed at 4 MiB, behind one group of entries.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// The first line of a file has some 230 bytes; that of a newer version may have more.
const HEAD_BYTES: u64 = 4096;
/// No line is longer: target and detail are cut, and no byte takes more than six when it is escaped.
const TAIL_BYTES: u64 = 64 << 10;

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

/// How far a chain that is being written is durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Durable {
    /// The file that is written; 0 before the first of all.
    pub(crate) first: u64,
    /// How many of its bytes are durable.
    pub(crate) bytes: u64,
    /// The last durable entry.
    pub(crate) seq: u64,
    /// Whether entries are on their way to the disk, or were and failed: they may have begun a file.
    pub(crate) writing: bool,
}

impl Durable {
    /// Whether this chain cannot have made the file.
    fn is_foreign(&self, first: u64) -> bool {
        first > self.first && !(self.writing && first == self.seq + 1)
    }
}

/// Checks the chain up to a place that is known to be durable, while entries are added behind it.
pub(crate) fn verify_until(
    disk: &dyn Disk,
    dir: &Path,
    until: impl Fn() -> Option<Durable>,
) -> Result<Report, Error> {
    // Looked for first: the entry of a token is durable before the token is.
    let tokens = has_tokens(disk, dir)?;
    // Read before the files: entries that come in between are then beyond the mark, not missing.
    let mut marks = Marks::read(disk, dir)?;
    let mut end = until();
    if marks.inside == Mark::Absent && end.is_some_and(|end| end.first > 0) {
        // The chain may have begun in between. Its mark is written before `until` tells of its first entry: one that is
        // absent now as well is missing.
        marks = Marks::read(disk, dir)?;
        end = until();
    }
    let listed = files(disk, dir)?;
    let strays = listed.strays.clone();
    let Members { chain, foreign } = match end {
        None => members(disk, dir, marks, listed)?,
        Some(end) => {
            let Members { mut chain, mut foreign } = candidates(disk, dir, marks, listed)?;
            // Asked again: a file may have been begun before they were listed.
            let now = until().unwrap_or(end);
            foreign.extend(chain.iter().filter(|first| now.is_foreign(**first)));
            chain.retain(|first| *first <= end.first);
            Members { chain, foreign }
        }
    };
    let mut bytes = Vec::with_capacity(2);
    let mut check = Check::new(marks, &strays, &foreign);
    for (index, first) in chain.iter().enumerate() {
        if bytes.is_empty() {
            bytes.push(file_bytes(disk, dir, *first)?);
        }
        if let Some(next) = chain.get(index + 1) {
            bytes.push(file_bytes(disk, dir, *next)?);
        } else if let (Some(end), Some(last)) = (end, bytes.first_mut()) {
            last.truncate(usize::try_from(end.bytes).unwrap_or(usize::MAX));
        }
        let next = chain.get(index + 1).copied().zip(bytes.get(1).map(Vec::as_slice));
        check.file(*first, bytes.first().map_or(&[], Vec::as_slice), next);
        bytes.remove(0);
    }
    if tokens && chain.is_empty() && marks.newest().is_none() {
        check.scanner.find(FOLDER, 0, What::Gone);
    }
    Ok(report(check.scanner, marks, chain.len(), check.torn))
}

/// Whether there are tokens beside the folder of the audit: the making of each is recorded there first.
pub(crate) fn has_tokens(disk: &dyn Disk, dir: &Path) -> Result<bool, Error> {
    let path = dir.with_file_name(store::FILE);
    disk.exists(&path).map_err(Error::disk("reading", &path))
}

/// Checks files that are in memory.
#[cfg(test)]
pub(crate) fn verify_bytes(marks: Marks, files: &[(u64, Vec<u8>)]) -> Report {
    let mut check = Check::new(marks, &[], &[]);
    for (index, (first, bytes)) in files.iter().enumerate() {
        let next = files.get(index + 1).map(|(first, bytes)| (*first, bytes.as_slice()));
        check.file(*first, bytes, next);
    }
    report(check.scanner, marks, files.len(), check.torn)
}

/// A check on its way from file to file.
struct Check {
    scanner: Scanner,
    torn: Option<Torn>,
}

impl Check {
    fn new(marks: Marks, strays: &[String], foreign: &[u64]) -> Check {
        let mut scanner = Scanner::new(marks);
        strays.iter().for_each(|name| scanner.find(name, 0, What::Stray));
        foreign.iter().for_each(|first| scanner.find(&file_name(*first), 0, What::Foreign));
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

fn report(mut scanner: Scanner, marks: Marks, files: usize, torn: Option<Torn>) -> Report {
    let first = scanner.beginning.map_or(0, |(first, _)| first);
    if let Some((first, prev)) = scanner.beginning {
        let removed =
            scanner.trims.iter().any(|(through, hash)| *through + 1 == first && *hash == prev.to_string());
        if !removed && (first != 1 || prev != Hash::ZERO) {
            scanner.find(&file_name(first), 1, What::Beginning(first));
        }
    }
    let end = scanner.end;
    if let Some(mark) = marks.newest()
        && mark.seq > end.seq
    {
        let name = if marks.inside == Mark::At(mark) { MARK } else { BESIDE };
        scanner.find(name, 0, What::EndMissing(end.seq + 1, mark.seq));
    }
    match marks.inside {
        Mark::Unreadable => scanner.find(MARK, 0, What::MarkUnreadable),
        Mark::Absent if end.seq > 0 => scanner.find(MARK, 0, What::MarkMissing),
        Mark::Absent | Mark::At(_) => {}
    }
    // One that is absent comes with the next entry.
    if marks.beside == Mark::Unreadable {
        scanner.find(BESIDE, 0, What::MarkUnreadable);
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

/// What lies in the folder.
#[derive(Default)]
pub(crate) struct Listed {
    /// The files that bear a number, by it, in order.
    pub(crate) named: Vec<u64>,
    /// What bears a number and cannot be a file of the chain: a folder, a pipe, a file far too large. Never opened.
    pub(crate) odd: Vec<u64>,
    /// What else lies there.
    pub(crate) strays: Vec<String>,
}

pub(crate) fn files(disk: &dyn Disk, dir: &Path) -> Result<Listed, Error> {
    let mut listed = Listed::default();
    if !disk.exists(dir).map_err(Error::disk("reading", dir))? {
        return Ok(listed);
    }
    for entry in disk.list(dir).map_err(Error::disk("listing", dir))? {
        match first_of(&entry.name) {
            Some(first) if entry.is_file && entry.len <= FILE_BYTES_MAX => listed.named.push(first),
            Some(first) => listed.odd.push(first),
            None if entry.name != MARK => listed.strays.push(entry.name),
            None => {}
        }
    }
    listed.named.sort_unstable();
    Ok(listed)
}

/// The bytes of a file that [`files`] named.
pub(crate) fn file_bytes(disk: &dyn Disk, dir: &Path, first: u64) -> Result<Vec<u8>, Error> {
    let path: PathBuf = dir.join(file_name(first));
    read(disk, &path).map_err(Error::disk("reading", &path))
}

/// The first bytes of a file, the first line among them.
pub(crate) fn head_bytes(disk: &dyn Disk, dir: &Path, first: u64) -> Result<Vec<u8>, Error> {
    part(disk, dir, first, |len| (0, len.min(HEAD_BYTES)))
}

/// The last bytes of a file, the last line among them.
pub(crate) fn tail_bytes(disk: &dyn Disk, dir: &Path, first: u64) -> Result<Vec<u8>, Error> {
    part(disk, dir, first, |len| (len.saturating_sub(TAIL_BYTES), len.min(TAIL_BYTES)))
}

/// Some of the bytes of a file: from where, and how many, by how many it has.
fn part(
    disk: &dyn Disk,
    dir: &Path,
    first: u64,
    which: impl FnOnce(u64) -> (u64, u64),
) -> Result<Vec<u8>, Error> {
    let path: PathBuf = dir.join(file_name(first));
    let read = disk.open(&path, Open::Read).and_then(|file| {
        let (from, count) = which(file.len()?);
        let mut bytes = vec![0; count as usize];
        tidemill_ground::read_exact_at(file.as_ref(), &mut bytes, from)?;
        Ok(bytes)
    });
    read.map_err(Error::disk("reading", &path))
}

/// The version of a file that a newer program wrote, and the hash that it says comes before it. It is not judged by rules
/// that it does not follow.
pub(crate) fn newer(bytes: &[u8]) -> Option<(u64, Hash)> {
    let found = said_version(bytes).filter(|found| *found > super::VERSION)?;
    Some((found, whole_prev(bytes)?))
}

/// The version that a first line says, whether or not its hash bears it out.
pub(crate) fn said_version(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.strip_prefix(b"{\"tidemill-audit\":")?;
    let end = digits.iter().position(|byte| *byte == b',')?;
    std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
}

/// What a first line says comes before it. A flipped digit must not pass for a newer version; the chain's hash has the same
/// form in every version.
fn whole_prev(bytes: &[u8]) -> Option<Hash> {
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    let (body, hash) = split(line)?;
    let marker = b"\"prev\":\"";
    let at = body.windows(marker.len()).position(|window| window == marker)? + marker.len();
    let prev = Hash::parse(std::str::from_utf8(body.get(at..at + 64)?).ok()?)?;
    (Hash::after(&prev, body) == hash).then_some(prev)
}

/// What the file after it says about how a file may end.
pub(crate) fn ending_before(next: &[u8], next_first: u64) -> Ending {
    let line = next.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match Header::of(line) {
        Some(header) if header.reopened && header.first == next_first => Ending::VoidAfter(next_first - 1),
        _ => Ending::Followed,
    }
}
