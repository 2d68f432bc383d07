//! A backup opened: what its end says, the manifest, and the content of its files. Every head is made anew from the manifest
//! and compared with what stands there; what differs is damage, and named.
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidemill_ground::{Disk, File, Open, read_exact_at};

use crate::block::{self, BLOCK_BYTES, ZEROS_BYTES, padding};
use crate::hash::Hasher;
use crate::manifest::{
    END, FORMAT, FileEntry, MANIFEST, MANIFEST_BYTES_MAX, Manifest, PIECE_BYTES, Place, member, readme,
};
use crate::pack::end_text;
use crate::{Error, Finding, Hash};

/// Head, content and the zeros behind them.
const END_BYTES: u64 = 2 * BLOCK_BYTES + ZEROS_BYTES;
/// Read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// What takes the bytes of a file.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Error>;

/// A backup whose end, manifest and beginning are sound.
pub struct Archive {
    path: PathBuf,
    file: Arc<dyn File>,
    bytes: u64,
    manifest: Manifest,
    hash: Hash,
}

impl Archive {
    /// Opens one and reads its manifest.
    ///
    /// # Errors
    /// It cannot be read, does not end as a backup does, is of a later format, or its manifest is damaged.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Archive, Error> {
        let unreadable = |source| Error::Disk { what: "read", path: path.to_owned(), source };
        let file = disk.open(path, Open::Read).map_err(unreadable)?;
        let bytes = file.len().map_err(unreadable)?;
        let (at, length, hash) = end(file.as_ref(), path, bytes)?;
        let damaged = |at, what: String| {
            Error::Damaged(Finding { file: path.to_owned(), path: String::new(), at, what })
        };
        let head_bytes = BLOCK_BYTES;
        let whole =
            at.checked_add(head_bytes).and_then(|sum| sum.checked_add(length)?.checked_add(padding(length)));
        let fits = length <= MANIFEST_BYTES_MAX as u64 && whole == bytes.checked_sub(END_BYTES);
        if !fits {
            return Err(damaged(
                bytes.saturating_sub(END_BYTES),
                "its end says of the manifest what cannot be".into(),
            ));
        }
        let mut text = vec![0; usize::try_from(length).unwrap_or_default()];
        read_exact_at(file.as_ref(), &mut text, at.saturating_add(head_bytes)).map_err(unreadable)?;
        if Hash::of(&text) != hash {
            return Err(damaged(at, "its manifest is not the one that was written".into()));
        }
        let manifest = Manifest::parse(&text).map_err(|what| damaged(at, what))?;
        if manifest.end() != Ok(at) {
            return Err(damaged(at, "its manifest is not where its files end".into()));
        }
        let archive = Archive { path: path.to_owned(), file, bytes, manifest, hash };
        let time_s = archive.manifest.time_s();
        archive.same("", 0, &readme(time_s))?;
        archive.same("", at, &member(MANIFEST, &text, time_s))?;
        let last = end_text(at, length, hash);
        let mut last = member(END, last.as_bytes(), time_s);
        last.resize(END_BYTES as usize, 0);
        archive.same("", bytes.saturating_sub(END_BYTES), &last)?;
        Ok(archive)
    }

    /// The hash that a file's end names, where it ends as a backup does: by it those that build upon it know it.
    pub(crate) fn hash_at_end(disk: &dyn Disk, path: &Path) -> Option<Hash> {
        let file = disk.open(path, Open::Read).ok()?;
        let bytes = file.len().ok()?;
        end(file.as_ref(), path, bytes).ok().map(|(_, _, hash)| hash)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is in it.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its own name for those that build upon it.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The manifest's bytes, as they stand in it.
    pub fn manifest_bytes(&self) -> Vec<u8> {
        self.manifest.to_bytes()
    }

    fn damaged(&self, path: &str, at: u64, what: &str) -> Error {
        Error::Damaged(Finding { file: self.path.clone(), path: path.to_owned(), at, what: what.to_owned() })
    }

    /// What a disk does not give is damage like a flipped bit: another copy may be whole.
    fn read(&self, path: &str, buffer: &mut [u8], at: u64) -> Result<(), Error> {
        read_exact_at(self.file.as_ref(), buffer, at)
            .map_err(|error| self.damaged(path, at, &format!("it cannot be read: {error}")))
    }

    /// Whether these bytes stand there.
    fn same(&self, path: &str, at: u64, wanted: &[u8]) -> Result<(), Error> {
        let mut found = vec![0; wanted.len()];
        self.read(path, &mut found, at)?;
        match found.iter().zip(wanted).position(|(found, wanted)| found != wanted) {
            None => Ok(()),
            Some(place) => {
                let at = at.saturating_add(place as u64);
                Err(self.damaged(path, at, "what stands there is not what was written"))
            }
        }
    }

    /// Gives the bytes of a file that is in this backup, piece by piece, and checks everything about it. What was given
    /// before an error may be wrong.
    ///
    /// # Errors
    /// Damage, or what the taker says.
    pub(crate) fn content(&self, file: &FileEntry, sink: Sink<'_>) -> Result<(), Error> {
        let Place::Here { at, zstd, members } = &file.place else {
            return Err(self.damaged(&file.path, 0, "it is in another backup"));
        };
        let (mut next, mut left) = (*at, file.bytes);
        let (mut hasher, mut frames) = (Hasher::default(), Hasher::default());
        let mut sink = |bytes: &[u8]| {
            hasher.update(bytes);
            sink(bytes)
        };
        for (number, stored) in members.iter().enumerate() {
            let head = block::head(
                &file.member_name(number, members.len(), zstd.is_some()),
                *stored,
                self.manifest.time_s(),
            );
            self.same(&file.path, next, &head)?;
            next = next.saturating_add(head.len() as u64);
            let raw = left.min(Place::piece_bytes(zstd.is_some()));
            left = left.saturating_sub(raw);
            if zstd.is_some() {
                sink(&self.unpacked(file, next, *stored, raw, &mut frames)?)?;
            } else {
                self.as_is(&file.path, next, raw, &mut sink)?;
            }
            next = next.saturating_add(*stored);
            let zeros = padding(next);
            self.same(&file.path, next, &vec![0; zeros as usize])?;
            next = next.saturating_add(zeros);
        }
        if hasher.end() != file.sha256 || zstd.is_some_and(|zstd| zstd != frames.end()) {
            return Err(self.damaged(&file.path, *at, "its content is not what was written (SHA-256)"));
        }
        Ok(())
    }

    fn unpacked(
        &self,
        file: &FileEntry,
        at: u64,
        stored: u64,
        raw: u64,
        frames: &mut Hasher,
    ) -> Result<Vec<u8>, Error> {
        let mut packed = vec![0; usize::try_from(stored).unwrap_or_default()];
        self.read(&file.path, &mut packed, at)?;
        frames.update(&packed);
        let room = usize::try_from(raw.min(PIECE_BYTES)).unwrap_or_default();
        let unpacked = zstd::bulk::decompress(&packed, room).unwrap_or_default();
        if unpacked.len() as u64 != raw {
            return Err(self.damaged(&file.path, at, "it cannot be unpacked to what it was"));
        }
        Ok(unpacked)
    }

    fn as_is(&self, path: &str, at: u64, raw: u64, sink: Sink<'_>) -> Result<(), Error> {
        let mut buffer = vec![0; CHUNK_BYTES.min(usize::try_from(raw).unwrap_or(CHUNK_BYTES))];
        let mut done = 0;
        while done < raw {
            let count = usize::try_from(raw.saturating_sub(done)).unwrap_or(CHUNK_BYTES).min(buffer.len());
            let chunk = buffer.get_mut(..count).unwrap_or_default();
            self.read(path, chunk, at.saturating_add(done))?;
            sink(chunk)?;
            done = done.saturating_add(count as u64);
        }
        Ok(())
    }
}

/// Where the manifest is, how long, and its hash, as the end says.
fn end(file: &dyn File, path: &Path, bytes: u64) -> Result<(u64, u64, Hash), Error> {
    let not_whole = |why: &str| Error::NotWhole { file: path.to_owned(), why: why.to_owned() };
    let cut =
        || not_whole("it does not end as one does. It is cut off, was never finished, or is something else");
    let at = bytes.checked_sub(END_BYTES).ok_or_else(cut)?;
    let mut content = vec![0; BLOCK_BYTES as usize];
    read_exact_at(file, &mut content, at.saturating_add(BLOCK_BYTES)).map_err(|source| Error::Disk {
        what: "read",
        path: path.to_owned(),
        source,
    })?;
    let text = content.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = std::str::from_utf8(text).map_err(|_| cut())?;
    let mut lines = text.lines();
    let format = lines.next().and_then(|line| line.strip_prefix("tidemill-backup ")).ok_or_else(cut)?;
    let found: u64 = format.parse().map_err(|_| cut())?;
    if found > u64::from(FORMAT) {
        return Err(Error::Newer { file: path.to_owned(), found, known: FORMAT });
    }
    let mut words = lines.next().and_then(|line| line.strip_prefix("manifest ")).ok_or_else(cut)?.split(' ');
    let mut word = || words.next().ok_or_else(cut);
    let number = |word: &str| word.parse::<u64>().map_err(|_| cut());
    Ok((number(word()?)?, number(word()?)?, word()?.parse().map_err(|_| cut())?))
}
