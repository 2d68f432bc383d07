//! Where the chain goes on after a start: the end of the last file, once a write that a crash cut off is removed. What
//! was removed or found damaged becomes an entry itself.

use std::path::Path;

use tidemill_ground::{Disk, Open};

use super::file_name;
use super::line::Chain;
use super::mark::{self, Mark};
use super::scan::{Ending, Scanner};
use super::verify::{file_bytes, files};
use crate::error::Error;

/// Where the chain goes on.
pub(crate) struct Recovered {
    /// The last entry, and the hash of the last line.
    pub(crate) chain: Chain,
    /// The file to go on in: its first entry, and how many bytes it has. None: the next entry begins a new one.
    pub(crate) file: Option<(u64, u64)>,
    /// What was mended or found, as action and detail of entries to write.
    pub(crate) notes: Vec<(&'static str, serde_json::Value)>,
}

/// Looks at the end of the chain, and mends a torn one. What the mark vouches for is never cut.
pub(crate) fn recover(disk: &dyn Disk, dir: &Path) -> Result<Recovered, Error> {
    tidemill_ground::create_dirs(disk, dir).map_err(Error::disk("making", dir))?;
    let mark = mark::read(disk, dir).map_err(Error::disk("reading", dir))?;
    let (mut all, _) = files(disk, dir)?;
    let mut notes = Vec::new();
    while let Some(first) = all.pop() {
        let bytes = file_bytes(disk, dir, first)?;
        let mut scanner = Scanner::new(mark);
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
        return Ok(go_on(mark, &scanner, first, &end, notes));
    }
    let chain = if let Mark::At(chain) = mark { chain } else { Chain::EMPTY };
    if chain.seq > 0 {
        notes.push(("audit.damage", serde_json::json!({ "missing_from": 1, "missing_to": chain.seq })));
    }
    Ok(Recovered { chain, file: None, notes })
}

fn go_on(
    mark: Mark,
    scanner: &Scanner,
    first: u64,
    end: &super::scan::FileEnd,
    mut notes: Vec<(&'static str, serde_json::Value)>,
) -> Recovered {
    let file = end.header.as_ref().map(|_| (first, end.sound_bytes));
    match mark {
        // Entries that were durable are gone: the chain goes on behind the last that is known of, in a new file, so
        // that the gap stays visible.
        Mark::At(mark) if mark.seq > scanner.end.seq => {
            notes.push((
                "audit.damage",
                serde_json::json!({ "missing_from": scanner.end.seq + 1, "missing_to": mark.seq }),
            ));
            Recovered { chain: mark, file: None, notes }
        }
        _ => Recovered { chain: scanner.end, file, notes },
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
