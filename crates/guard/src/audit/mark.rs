//! The mark: how far the chain has come, in a file of its own, so that entries cut off at the end are missed; and a second
//! one beside the folder, so that the folder itself is. Two slots of 4096 bytes are written in turn, so that a torn write
//! leaves the other one.

use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use tidemill_ground::{Disk, File, Open};

use super::line::{Chain, Hash, hex};
use super::mark_paths;
use crate::error::Error;

/// One slot. Nothing smaller than a page is torn on any disk, so a slot is torn alone.
const SLOT_BYTES: usize = 4096;

#[derive(Deserialize)]
struct Slot {
    version: u64,
    seq: u64,
    hash: String,
    check: String,
}

/// The open mark file.
pub(crate) struct MarkFile {
    file: Arc<dyn File>,
    turn: u64,
}

impl MarkFile {
    /// Opens the file, and makes it if there is none.
    pub(crate) fn open(disk: &dyn Disk, path: &Path) -> io::Result<MarkFile> {
        let new = !disk.exists(path)?;
        if !new && !is_file(disk, path)? {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let file = disk.open(path, Open::CreateOrOpen)?;
        if new {
            file.sync_all()?;
            path.parent().map_or(Ok(()), |dir| disk.sync_dir(dir))?;
        }
        // The first write goes over the older slot: the newer one must stand until the next is whole.
        let newest = slots(&file_bytes(file.as_ref())?);
        let turn = newest.iter().enumerate().max_by_key(|(_, chain)| chain.map(|chain| chain.seq));
        Ok(MarkFile { turn: turn.map_or(0, |(index, _)| index as u64 + 1), file })
    }

    /// Writes the mark into the older slot. Not durable until [`MarkFile::sync`].
    pub(crate) fn write(&mut self, chain: Chain) -> io::Result<()> {
        let mut bytes = slot_text(chain).into_bytes();
        bytes.resize(SLOT_BYTES - 1, b' ');
        bytes.push(b'\n');
        self.file.write_at(&bytes, self.turn % 2 * SLOT_BYTES as u64)?;
        self.turn += 1;
        Ok(())
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// What one mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// There is no mark file, or an empty one.
    Absent,
    /// There is one, and neither slot can be read.
    Unreadable,
    /// So far the chain had come at least.
    At(Chain),
}

/// What both marks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    /// The one among the files of the chain.
    pub(crate) inside: Mark,
    /// The one beside their folder.
    pub(crate) beside: Mark,
}

impl Marks {
    /// What is known of a chain whose marks are not.
    pub(crate) const NONE: Marks = Marks { inside: Mark::Absent, beside: Mark::Absent };

    /// Reads both.
    pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Marks, Error> {
        let [inside, beside] = mark_paths(dir);
        let read = |path: &Path| read(disk, path).map_err(Error::disk("reading", path));
        Ok(Marks { inside: read(&inside)?, beside: read(&beside)? })
    }

    fn chains(self) -> impl Iterator<Item = Chain> {
        // The last of equals wins in `newest`: the one inside.
        [self.beside, self.inside].into_iter().filter_map(|mark| match mark {
            Mark::At(chain) => Some(chain),
            Mark::Absent | Mark::Unreadable => None,
        })
    }

    /// So far the chain had come at least, if that is known.
    pub(crate) fn newest(self) -> Option<Chain> {
        self.chains().max_by_key(|chain| chain.seq)
    }

    /// The last entry that they vouch for.
    pub(crate) fn seq(self) -> u64 {
        self.newest().map_or(0, |chain| chain.seq)
    }

    /// Whether one of them remembers another entry of this number.
    pub(crate) fn contradict(self, entry: Chain) -> bool {
        self.chains().any(|chain| chain.seq == entry.seq && chain.hash != entry.hash)
    }
}

fn read(disk: &dyn Disk, path: &Path) -> io::Result<Mark> {
    if !disk.exists(path)? {
        return Ok(Mark::Absent);
    }
    if !is_file(disk, path)? {
        return Ok(Mark::Unreadable);
    }
    let bytes = file_bytes(disk.open(path, Open::Read)?.as_ref())?;
    if bytes.is_empty() {
        return Ok(Mark::Absent);
    }
    let newest = slots(&bytes).into_iter().flatten().max_by_key(|chain| chain.seq);
    Ok(newest.map_or(Mark::Unreadable, Mark::At))
}

/// Whether it is a file at all: to open a pipe may never return.
fn is_file(disk: &dyn Disk, path: &Path) -> io::Result<bool> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Ok(false) };
    Ok(disk.list(dir)?.iter().any(|entry| entry.is_file && *entry.name == *name.to_string_lossy()))
}

fn file_bytes(file: &dyn File) -> io::Result<Vec<u8>> {
    let len = file.len()?.min(2 * SLOT_BYTES as u64);
    let mut bytes = vec![0; len as usize];
    tidemill_ground::read_exact_at(file, &mut bytes, 0)?;
    Ok(bytes)
}

fn slots(bytes: &[u8]) -> [Option<Chain>; 2] {
    [0, SLOT_BYTES].map(|from| {
        let bytes = bytes.get(from..)?;
        let end = bytes.iter().position(|byte| *byte == b'}')? + 1;
        let slot: Slot = serde_json::from_slice(bytes.get(..end)?).ok()?;
        let chain = Chain { seq: slot.seq, hash: Hash::parse(&slot.hash)? };
        (slot.version == super::VERSION && slot.seq < super::SEQ_MAX && slot.check == check(chain))
            .then_some(chain)
    })
}

fn slot_text(chain: Chain) -> String {
    format!(
        "{{\"version\":{},\"seq\":{},\"hash\":\"{}\",\"check\":\"{}\"}}",
        super::VERSION,
        chain.seq,
        chain.hash,
        check(chain)
    )
}

/// Against torn writes and flipped bits, not against people: whoever can write the mark can write the check.
fn check(chain: Chain) -> String {
    let sum: [u8; 32] = Sha256::digest(format!("{} {}", chain.seq, chain.hash).as_bytes()).into();
    hex(sum.get(..4).unwrap_or_default())
}
