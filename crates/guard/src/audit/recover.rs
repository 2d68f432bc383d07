//! Where the chain goes on after a start: the end of the last file, once a write that a crash cut off is removed. What
//! was removed or found damaged becomes an entry itself.

use std::path::Path;

use tidemill_ground::{Disk, Open};

use super::line::{Chain, Hash};
use super::mark::{Mark, Marks};
use super::members::{Members, members};
use super::scan::{ALL_MISSING, Ending, Scanner, What};
use super::verify::{file_bytes, files, has_tokens};
use super::{file_name, foreign_dir, mark_paths};
use crate::error::Error;

/// How many foreign files an entry names; it tells how many there are.
const FOREIGN_NAMED_MAX: usize = 16;

/// Where the chain goes on.
pub(crate) struct Recovered {
    /// The last entry, and the hash of the last line.
    pub(crate) chain: Chain,
    /// The file to go on in: its first entry, and how many bytes it has. None: the next entry begins a new one.
    pub(crate) file: Option<(u64, u64)>,
    /// What was mended or found, as action and detail of entries to write.
    pub(crate) notes: Vec<(&'static str, serde_json::Value)>,
    /// Files that are no part of the chain, by the number that they bear: to be moved away once that is on record.
    pub(crate) foreign: Vec<u64>,
}

/// Looks at the end of the chain, and mends a torn one. What the mark vouches for is never cut. Entries up to `handed_on` are
/// in the table: where nothing else tells of them, their numbers are not given again.
pub(crate) fn recover(disk: &dyn Disk, dir: &Path, handed_on: u64) -> Result<Recovered, Error> {
    tidemill_ground::create_dirs(disk, dir).map_err(Error::disk("making", dir))?;
    let marks = Marks::read(disk, dir)?;
    let Members { mut chain, foreign } = members(disk, dir, marks, files(disk, dir)?)?;
    let mut notes = Vec::new();
    if !foreign.is_empty() {
        notes.push(damage(foreign_detail(dir, &foreign)));
    }
    while let Some(first) = chain.pop() {
        let bytes = file_bytes(disk, dir, first)?;
        let mut scanner = Scanner::new(marks);
        let end = scanner.file(first, &bytes, Ending::Last);
        if end.torn {
            let lost = bytes.len() as u64 - end.sound_bytes;
            let detail =
                serde_json::json!({ "bytes": lost, "file": file_name(first), "from": end.sound_bytes });
            notes.push(("audit.heal", detail));
            if end.header.is_none() {
                // Not even the first line is whole: nothing in this file was ever acknowledged.
                remove(disk, dir, first)?;
                continue;
            }
            cut(disk, dir, first, end.sound_bytes)?;
        }
        let [inside, _] = mark_paths(dir);
        // A crash cannot take it: it is made before the one beside.
        if marks.beside != Mark::Absent && !disk.exists(&inside).map_err(Error::disk("reading", &inside))? {
            notes.push(damage(serde_json::json!({ "missing": "mark" })));
        }
        return Ok(Recovered { foreign, ..go_on(marks, &scanner, first, &end, notes) });
    }
    let known = marks.newest().unwrap_or(Chain { seq: handed_on, hash: Hash::ZERO });
    if known.seq > 0 {
        notes.push(damage(serde_json::json!({ "missing_from": 1, "missing_to": known.seq })));
    } else if has_tokens(disk, dir)? {
        notes.push(damage(
            serde_json::json!({ "missing": ALL_MISSING, "why": "there are tokens, and no record of their making" }),
        ));
    }
    Ok(Recovered { chain: known, file: None, notes, foreign })
}

/// What is recorded of files that are no part of the chain.
pub(crate) fn foreign_detail(dir: &Path, foreign: &[u64]) -> serde_json::Value {
    let named: Vec<String> = foreign.iter().take(FOREIGN_NAMED_MAX).map(|first| file_name(*first)).collect();
    let to = foreign_dir(dir);
    let to = to.file_name().map(|name| name.to_string_lossy());
    serde_json::json!({ "foreign": named, "files": foreign.len(), "moved_to": to })
}

fn damage(detail: serde_json::Value) -> (&'static str, serde_json::Value) {
    ("audit.damage", detail)
}

fn go_on(
    marks: Marks,
    scanner: &Scanner,
    first: u64,
    end: &super::scan::FileEnd,
    mut notes: Vec<(&'static str, serde_json::Value)>,
) -> Recovered {
    let file = end.header.as_ref().map(|_| (first, end.sound_bytes));
    let rewritten = scanner.findings.iter().find_map(|finding| match finding.what {
        What::Rewritten(seq) => Some(seq),
        _ => None,
    });
    if let Some(seq) = rewritten {
        notes.push(damage(serde_json::json!({ "rewritten": seq })));
    }
    match marks.newest() {
        // Entries that were durable are gone: the chain goes on behind the last that is known of, in a new file, so
        // that the gap stays visible.
        Some(mark) if mark.seq > scanner.end.seq => {
            notes.push(damage(
                serde_json::json!({ "missing_from": scanner.end.seq + 1, "missing_to": mark.seq }),
            ));
            Recovered { chain: mark, file: None, notes, foreign: Vec::new() }
        }
        _ => Recovered { chain: scanner.end, file, notes, foreign: Vec::new() },
    }
}

fn remove(disk: &dyn Disk, dir: &Path, first: u64) -> Result<(), Error> {
    let path = dir.join(file_name(first));
    disk.remove(&path).and_then(|()| disk.sync_dir(dir)).map_err(Error::disk("removing", &path))
}

fn cut(disk: &dyn Disk, dir: &Path, first: u64, bytes: u64) -> Result<(), Error> {
    let path = dir.join(file_name(first));
    let cut = disk.open(&path, Open::ReadWrite).and_then(|file| {
        file.set_len(bytes)?;
        file.sync_all()
    });
    cut.map_err(Error::disk("cutting", &path))
}
