//! A backup as it is made: bytes go out in order and never come back, so that it can be sent while it is read. The manifest
//! stands at the end, because only then is known what is in it.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::io::{self, Write};

use zstd::bulk::Compressor;

use crate::block::{self, ZEROS_BYTES, padding};
use crate::hash::Hasher;
use crate::manifest::{
    About, END, FORMAT, FileEntry, MANIFEST, MANIFEST_BYTES_MAX, Manifest, PIECE_BYTES, Place, member, readme,
};
use crate::{Error, Hash};

/// Read and sent at a time.
const CHUNK_BYTES: usize = 256 << 10;
/// The journal and tables' logs shrink to a third at a cost that nobody feels; what is slower hardly gains.
const LEVEL: i32 = 1;
/// What a note says behind the path of a file whose bytes in the backup are not those that it should have.
const UNREAD: &str = " could not be read from byte ";
const AS_IT_STANDS: &str = " is in the backup as it stands: ";
/// A file that is smaller takes a block of the archive anyhow.
const WORTH_BYTES: u64 = block::BLOCK_BYTES;

/// An earlier backup that this one builds upon: what it holds is left out.
pub struct Since {
    /// Its manifest, …
    pub manifest: Manifest,
    /// … and what its bytes hash to.
    pub hash: Hash,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Bytes of the archive.
    pub bytes: u64,
    /// Of the manifest: the backup's own name for those that build upon it.
    pub hash: Hash,
    /// What could not be read, one sentence each.
    pub notes: Vec<String>,
    /// Files of the plant, and how many of them are in earlier backups.
    pub files: u64,
    /// Of these in earlier backups.
    pub files_before: u64,
}

/// Packs files one after the other.
pub struct Packer<W: Write> {
    out: W,
    at: u64,
    time_s: u64,
    manifest: Manifest,
    before: HashMap<String, FileEntry>,
    /// Of these what the earlier backup has damaged, or with zeros in it.
    doubted: HashSet<String>,
    compressor: Compressor<'static>,
}

/// Reads from a file, as [`tidemill_ground::File::read_at`] does.
pub(crate) type ReadAt<'a> = &'a dyn Fn(&mut [u8], u64) -> io::Result<usize>;

impl<W: Write> Packer<W> {
    /// Begins with what tells people what this is.
    ///
    /// # Errors
    /// Nobody takes its bytes.
    pub fn begin(out: W, about: About, since: Option<Since>) -> Result<Packer<W>, Error> {
        let manifest = Manifest::begun(about);
        let time_s = manifest.time_s();
        let doubted = since.as_ref().map(|since| noted(&since.manifest.notes)).unwrap_or_default();
        let before = since.map(entries_before).unwrap_or_default();
        let compressor = Compressor::new(LEVEL).map_err(Error::Out)?;
        let mut packer = Packer { out, at: 0, time_s, manifest, before, doubted, compressor };
        packer.put(&readme(time_s))?;
        Ok(packer)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).map_err(Error::Out)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn pad(&mut self) -> Result<(), Error> {
        let zeros = [0; block::BLOCK_BYTES as usize];
        self.put(zeros.get(..padding(self.at) as usize).unwrap_or_default())
    }

    /// Says what could not be read.
    pub fn note(&mut self, what: String) {
        self.manifest.notes.push(what);
    }

    /// Says that a file that was added is damaged in the plant.
    pub fn note_damage(&mut self, path: &str, damage: &dyn Display) {
        self.note(format!("{path}{AS_IT_STANDS}{damage}"));
    }

    /// Adds a file of so many bytes. `unchanging`: no other file ever had its name, so that one of that name and length in an
    /// earlier backup is it, and need not be read unless a note there doubts it. Where it cannot be read, or ends early, zeros stand in the place of what is
    /// missing, and a note says so: the rest of the plant is worth having.
    ///
    /// # Errors
    /// Nobody takes its bytes.
    pub fn add(&mut self, path: &str, bytes: u64, unchanging: bool, read: ReadAt<'_>) -> Result<(), Error> {
        let before = self.before.get(path).filter(|before| before.bytes == bytes).cloned();
        if let Some(before) = &before {
            let known = unchanging && !self.doubted.contains(path);
            // What fails here fails again below, and is told there.
            if known || hash(read, bytes).is_ok_and(|hash| hash == before.sha256) {
                self.manifest.files.push(before.clone());
                return Ok(());
            }
        }
        let zstd = !path.ends_with(".parquet") && bytes > WORTH_BYTES;
        let mut file = FileEntry {
            path: path.to_owned(),
            bytes,
            sha256: Hash::of(b""),
            place: Place::Here { at: self.at, zstd: None, members: Vec::new() },
        };
        let piece_bytes = Place::piece_bytes(zstd);
        let count = usize::try_from(bytes.div_ceil(piece_bytes).max(1)).unwrap_or(usize::MAX);
        let mut source = Source { read, at: 0, hasher: Hasher::default(), failed: None };
        let (mut stored, mut frames) = (Vec::with_capacity(count), Hasher::default());
        for number in 0..count {
            let raw = piece_bytes.min(bytes - source.at);
            let name = file.member_name(number, count, zstd);
            stored.push(if zstd {
                self.packed(&name, raw, &mut source, &mut frames)?
            } else {
                self.as_is(&name, raw, &mut source)?
            });
        }
        if let Some((at, error)) = source.failed {
            self.note(format!("{path}{UNREAD}{at} on, zeros stand there instead: {error}"));
        }
        file.sha256 = source.hasher.end();
        if let Place::Here { members, zstd: packed, .. } = &mut file.place {
            *members = stored;
            *packed = zstd.then(|| frames.end());
        }
        self.manifest.files.push(file);
        Ok(())
    }

    fn packed(
        &mut self,
        name: &str,
        raw: u64,
        source: &mut Source<'_>,
        frames: &mut Hasher,
    ) -> Result<u64, Error> {
        let mut piece = vec![0; raw as usize];
        source.fill(&mut piece);
        let packed = self.compressor.compress(&piece).map_err(Error::Out)?;
        let head = block::head(name, packed.len() as u64, self.time_s);
        self.put(&head)?;
        self.put(&packed)?;
        frames.update(&packed);
        self.pad()?;
        Ok(packed.len() as u64)
    }

    fn as_is(&mut self, name: &str, raw: u64, source: &mut Source<'_>) -> Result<u64, Error> {
        self.put(&block::head(name, raw, self.time_s))?;
        let mut buffer = vec![0; CHUNK_BYTES.min(usize::try_from(raw).unwrap_or(CHUNK_BYTES))];
        let mut left = raw;
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(buffer.len());
            let chunk = buffer.get_mut(..count).unwrap_or_default();
            source.fill(chunk);
            self.put(chunk)?;
            left -= count as u64;
        }
        self.pad()?;
        Ok(raw)
    }

    /// Ends with the manifest and where it is.
    ///
    /// # Errors
    /// Nobody takes its bytes, or there are too many files.
    pub fn finish(mut self) -> Result<(W, Done), Error> {
        let manifest = self.manifest.to_bytes();
        if manifest.len() > MANIFEST_BYTES_MAX {
            return Err(Error::TooMany { max: MANIFEST_BYTES_MAX });
        }
        let (at, hash) = (self.at, Hash::of(&manifest));
        self.put(&member(MANIFEST, &manifest, self.time_s))?;
        let end = end_text(at, manifest.len() as u64, hash);
        self.put(&member(END, end.as_bytes(), self.time_s))?;
        self.put(&[0; ZEROS_BYTES as usize])?;
        self.out.flush().map_err(Error::Out)?;
        let before = self.manifest.files.iter().filter(|file| matches!(file.place, Place::Base { .. }));
        let done = Done {
            bytes: self.at,
            hash,
            files_before: before.count() as u64,
            files: self.manifest.files.len() as u64,
            notes: self.manifest.notes,
        };
        Ok((self.out, done))
    }
}

/// What the last member says.
pub(crate) fn end_text(at: u64, bytes: u64, hash: Hash) -> String {
    format!("tidemill-backup {FORMAT}\nmanifest {at} {bytes} {hash}\n")
}

/// The files of an earlier backup, each with the backup in which its bytes are.
fn entries_before(since: Since) -> HashMap<String, FileEntry> {
    let resolved = |mut file: FileEntry| {
        if matches!(file.place, Place::Here { .. }) {
            file.place = Place::Base { base: since.hash };
        }
        (file.path.clone(), file)
    };
    since.manifest.files.into_iter().map(resolved).collect()
}

/// The paths that notes begin with, of files that are damaged in the backup. A path may have blanks.
fn noted(notes: &[String]) -> HashSet<String> {
    let path = |note: &String| {
        let mut blanks = note.match_indices(' ').map(|(at, _)| note.split_at(at));
        let damaged = |rest: &str| rest.starts_with(UNREAD) || rest.starts_with(AS_IT_STANDS);
        blanks.find_map(|(path, rest)| damaged(rest).then(|| path.to_owned()))
    };
    notes.iter().filter_map(path).collect()
}

/// A file while it is read, from its beginning to its end.
struct Source<'a> {
    read: ReadAt<'a>,
    at: u64,
    hasher: Hasher,
    /// From where on it could not be read, and why.
    failed: Option<(u64, io::Error)>,
}

impl Source<'_> {
    fn fill(&mut self, buffer: &mut [u8]) {
        let mut done = 0;
        while self.failed.is_none() && done < buffer.len() {
            let rest = buffer.get_mut(done..).unwrap_or_default();
            match (self.read)(rest, self.at + done as u64) {
                Ok(0) => self.failed = Some((self.at + done as u64, io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => done += count.min(rest.len()),
                Err(error) => self.failed = Some((self.at + done as u64, error)),
            }
        }
        buffer.get_mut(done..).unwrap_or_default().fill(0);
        self.at += buffer.len() as u64;
        self.hasher.update(buffer);
    }
}

/// Of a file of so many bytes.
fn hash(read: ReadAt<'_>, bytes: u64) -> io::Result<Hash> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; CHUNK_BYTES.min(PIECE_BYTES as usize)];
    let mut at = 0;
    while at < bytes {
        let wanted = usize::try_from(bytes - at).unwrap_or(CHUNK_BYTES).min(buffer.len());
        let count = read(buffer.get_mut(..wanted).unwrap_or_default(), at)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
        at += count as u64;
    }
    Ok(hasher.end())
}
