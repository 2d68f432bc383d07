//! What is in a backup: the list of its files, each with its length, its hash and its place, and what is known of the plant at
//! that moment. It comes from a file that anybody may have made: everything in it is checked before it is used.
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tidemill_core::parse_rfc3339;

use crate::Hash;
use crate::block::{self, MEMBER_BYTES_MAX, padding};

/// The version of this format.
pub const FORMAT: u32 = 1;
/// The longest manifest: some 300,000 files.
pub const MANIFEST_BYTES_MAX: usize = 64 << 20;
/// What is packed is packed in pieces of so many bytes, each a zstd frame and a member of its own.
pub(crate) const PIECE_BYTES: u64 = 4 << 20;
/// The largest a piece can become.
pub(crate) const PACKED_BYTES_MAX: u64 = PIECE_BYTES + (1 << 18);

/// The only file beside the folders.
pub(crate) const ROOT_FILE: &str = "tidemill.toml";
/// The folders of a plant that are in a backup.
pub const FOLDERS: &[&str] =
    &["access", "alarms", "connections", "data", "displays", "flows", "goals", "model"];
/// A path has at most so many bytes, and each of its names so many.
const PATH_BYTES_MAX: usize = 2_048;
const NAME_BYTES_MAX: usize = 255;
/// Notes and names of plants are for people.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// Name of the first member, which tells people what this is.
pub(crate) const README: &str = "tidemill-backup.txt";
/// Name of the manifest.
pub(crate) const MANIFEST: &str = "tidemill-backup.json";
/// Name of the last member, which says where the manifest is.
pub(crate) const END: &str = "tidemill-backup.end";

/// What the first member says.
pub(crate) const README_TEXT: &str = "\
This is a backup of a Tidemill plant, format 1.

    tidemill backup verify FILE            checks every byte of it
    tidemill restore FILE --plant DIR      makes the plant again

Without Tidemill: unpack it with tar, then join and unpack what ends in .zst:
NAME.zst, or NAME.0001.zst, NAME.0002.zst and so on, one after the other, as
in `cat NAME.*.zst | zstd -d > NAME`. tidemill-backup.json says of each file
its length and SHA-256, and in which earlier backup it is if not in this one.
It holds the keys and the hashes of tokens of the plant: keep it to yourself.
";

/// What is known of the plant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Its name.
    pub plant: String,
    /// The version of the program that makes the backup.
    pub program: String,
    /// When, RFC 3339.
    pub taken: String,
    /// Whether the plant went on meanwhile.
    pub running: bool,
    /// Everything in the journal up to this parcel is in the backup, where that is known.
    pub journal: Option<u64>,
    /// The tables of the lake.
    pub tables: Vec<TableFacts>,
}

/// A table of the lake as it is in the backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableFacts {
    /// Its folder below `data/lake`.
    pub name: String,
    /// The version of its log.
    pub version: u64,
    /// Up to where the journal is in it.
    pub journal: u64,
}

/// The list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the format.
    #[serde(rename = "tidemill-backup")]
    pub format: u32,
    /// The plant's name.
    pub plant: String,
    /// The version of the program that made it.
    pub program: String,
    /// When it was begun, RFC 3339.
    pub taken: String,
    /// Whether the plant went on meanwhile.
    pub running: bool,
    /// Everything in the journal up to this parcel is in it, where that is known.
    pub journal: Option<u64>,
    /// The tables of the lake.
    pub tables: Vec<TableFacts>,
    /// What could not be read, one sentence each.
    pub notes: Vec<String>,
    /// The files, those that are in this backup in the order in which they stand there.
    pub files: Vec<FileEntry>,
}

/// One file of the plant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Below the plant's folder, with `/`.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Of its bytes.
    pub sha256: Hash,
    /// Where its bytes are.
    #[serde(flatten)]
    pub place: Place,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Place {
    /// In the backup whose manifest has this hash.
    Base {
        /// Of its manifest.
        base: Hash,
    },
    /// In this one.
    Here {
        /// Where its first member begins.
        at: u64,
        /// Where each member is a zstd frame, the hash of all frames together: one can be unpacked whatever stands in its unused
        /// bits, and yet is not what was written.
        zstd: Option<Hash>,
        /// Bytes of each member's content.
        members: Vec<u64>,
    },
}

impl Place {
    /// The bytes of the file that a member holds; the last may hold fewer.
    pub(crate) fn piece_bytes(zstd: bool) -> u64 {
        if zstd { PIECE_BYTES } else { MEMBER_BYTES_MAX }
    }
}

impl FileEntry {
    /// The name of one of its members.
    pub(crate) fn member_name(&self, number: usize, count: usize, zstd: bool) -> String {
        let ending = if zstd { ".zst" } else { "" };
        match count {
            1 => format!("{}{ending}", self.path),
            _ => format!("{}.{:04}{ending}", self.path, number.saturating_add(1)),
        }
    }

    /// Where what follows it begins, if its members are in this backup and can be.
    fn end(&self, time_s: u64) -> Option<u64> {
        let Place::Here { at, zstd, members } = &self.place else { return None };
        let piece = Place::piece_bytes(zstd.is_some());
        if members.len() as u64 != self.bytes.div_ceil(piece).max(1) {
            return None;
        }
        let (mut end, mut left) = (*at, self.bytes);
        for (number, stored) in members.iter().enumerate() {
            let raw = left.min(piece);
            left = left.saturating_sub(raw);
            let possible = if zstd.is_some() { *stored <= PACKED_BYTES_MAX } else { *stored == raw };
            if !possible {
                return None;
            }
            let head = block::head(&self.member_name(number, members.len(), zstd.is_some()), *stored, time_s);
            end = end.checked_add(head.len() as u64)?.checked_add(*stored)?.checked_add(padding(*stored))?;
        }
        Some(end)
    }
}

impl Manifest {
    pub(crate) fn begun(about: About) -> Manifest {
        let About { plant, program, taken, running, journal, tables } = about;
        let (notes, files) = (Vec::new(), Vec::new());
        Manifest { format: FORMAT, plant, program, taken, running, journal, tables, notes, files }
    }

    /// Reads one, and checks all of it.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, String> {
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(format!("the manifest has more than {MANIFEST_BYTES_MAX} bytes"));
        }
        let manifest: Manifest =
            serde_json::from_slice(bytes).map_err(|error| format!("the manifest cannot be read: {error}"))?;
        manifest.check()?;
        // What is written in another way, or says more, was not written by this format.
        if manifest.to_bytes() != bytes {
            return Err("the manifest is not spelled as this format spells it".to_owned());
        }
        Ok(manifest)
    }

    /// As bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Texts, numbers and lists always serialise.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// What every head says of the time.
    pub(crate) fn time_s(&self) -> u64 {
        let ns = parse_rfc3339(&self.taken).unwrap_or_default();
        u64::try_from(ns / 1_000_000_000).unwrap_or_default()
    }

    /// Bytes of all files of the plant.
    pub fn plant_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.bytes))
    }

    /// The backups that it builds upon.
    pub fn bases(&self) -> BTreeSet<Hash> {
        let base = |file: &FileEntry| match file.place {
            Place::Base { base } => Some(base),
            Place::Here { .. } => None,
        };
        self.files.iter().filter_map(base).collect()
    }

    fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("the manifest is of format {}", self.format));
        }
        parse_rfc3339(&self.taken).map_err(|_| "the manifest has no time".to_owned())?;
        let texts = self.notes.iter().chain([&self.plant, &self.program]);
        if texts.into_iter().any(|text| text.len() > TEXT_BYTES_MAX) {
            return Err("a text in the manifest is too long".to_owned());
        }
        let mut paths = BTreeSet::new();
        for file in &self.files {
            if !is_legal(&file.path) {
                return Err(format!("{:?} is no place in a plant", short(&file.path)));
            }
            if !paths.insert(file.path.as_str()) {
                return Err(format!("{} stands twice", file.path));
            }
        }
        let inside = |path: &str| {
            let mut above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
            above.find(|folder| paths.contains(folder)).map(str::to_owned)
        };
        if let Some(file) = paths.iter().find_map(|path| inside(path)) {
            return Err(format!("{file} is a file and a folder"));
        }
        self.end().map(drop)
    }

    /// Where the manifest's own member begins: each file begins where the one before it ends.
    pub(crate) fn end(&self) -> Result<u64, String> {
        let time_s = self.time_s();
        let mut next = readme(time_s).len() as u64;
        for file in &self.files {
            let Place::Here { at, .. } = file.place else { continue };
            if at != next {
                return Err(format!("{} begins at byte {at}, where byte {next} follows", short(&file.path)));
            }
            next = file
                .end(time_s)
                .ok_or_else(|| format!("{} has members that cannot be", short(&file.path)))?;
        }
        Ok(next)
    }
}

/// A member with its content, as it stands in the archive.
pub(crate) fn member(name: &str, content: &[u8], time_s: u64) -> Vec<u8> {
    let mut out = block::head(name, content.len() as u64, time_s);
    out.extend_from_slice(content);
    let end = (out.len() as u64).saturating_add(padding(out.len() as u64));
    out.resize(usize::try_from(end).unwrap_or(usize::MAX), 0);
    out
}

/// The first member.
pub(crate) fn readme(time_s: u64) -> Vec<u8> {
    member(README, README_TEXT.as_bytes(), time_s)
}

fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

/// Whether a path is a place in a plant that a backup may hold.
pub fn is_legal(path: &str) -> bool {
    if path == ROOT_FILE {
        return true;
    }
    let names: Vec<&str> = path.split('/').collect();
    let name_is_legal = |name: &&str| {
        !name.is_empty()
            && name.len() <= NAME_BYTES_MAX
            && !matches!(*name, "." | "..")
            && !name.chars().any(|c| c.is_control() || c == '\\')
    };
    path.len() <= PATH_BYTES_MAX
        && names.len() > 1
        && names.first().is_some_and(|first| FOLDERS.contains(first))
        && names.iter().all(name_is_legal)
        && path != crate::RESTORED
}
