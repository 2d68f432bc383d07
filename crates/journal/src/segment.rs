//! Segments: their names, what is known of each, and how one comes into being. A segment gets its name only once its head
//! is on the disk, so that a name always means a head.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tidemill_core::Seq;
use tidemill_ground::{Disk, File, Open};

use crate::frame::{SEGMENT_HEAD_BYTES, SegmentHead};

/// A reader that looks for a parcel starts at most so many bytes before it.
pub(crate) const INDEX_EVERY_BYTES: u64 = 64 << 10;

/// Zeros are written in such pieces: what is appended to an idle log meanwhile waits for the sync of one of them at most.
pub(crate) const FILL_BYTES: usize = 256 << 10;

const ENDING: &str = ".segment";

/// The file name of a segment.
pub(crate) fn name_of(id: u32) -> String {
    format!("{id:010}{ENDING}")
}

/// The number in a segment's file name.
pub(crate) fn id_in(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(ENDING)?;
    (digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// What is known of a segment; readers and the writer share it.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) id: u32,
    pub(crate) path: PathBuf,
    /// What its frames carry; 0 where nothing in it can be read.
    pub(crate) tag: u64,
    /// The first parcel it serves.
    pub(crate) first: Seq,
    /// Numbers that were never committed: from the first up to, but not including, the second.
    pub(crate) void: [(Seq, Seq); 2],
    /// When it was opened, ns UTC.
    pub(crate) opened: i64,
    /// The last parcel it serves.
    last: AtomicU64,
    /// Where what it serves ends.
    end: AtomicU64,
    index: Mutex<Vec<(Seq, u64)>>,
}

impl Segment {
    pub(crate) fn new(
        path: PathBuf,
        id: u32,
        head: &SegmentHead,
        first: Seq,
        last: Seq,
        end: u64,
    ) -> Segment {
        Segment {
            id,
            path,
            tag: head.tag,
            first,
            void: head.void(),
            opened: head.opened,
            last: AtomicU64::new(last.0),
            end: AtomicU64::new(end),
            index: Mutex::default(),
        }
    }

    pub(crate) fn name(&self) -> String {
        name_of(self.id)
    }

    pub(crate) fn last(&self) -> Seq {
        Seq(self.last.load(Ordering::Acquire))
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Serves up to here from now on.
    pub(crate) fn serve(&self, last: Seq, end: u64) {
        self.end.store(end, Ordering::Release);
        self.last.store(last.0, Ordering::Release);
    }

    /// Whether it serves any parcel.
    pub(crate) fn is_empty(&self) -> bool {
        self.last() < self.first
    }

    /// Notes where a parcel begins, if the last place noted is far enough back.
    pub(crate) fn note(&self, seq: Seq, offset: u64) {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if index.last().is_none_or(|(_, last)| offset >= last.saturating_add(INDEX_EVERY_BYTES)) {
            index.push((seq, offset));
        }
    }

    pub(crate) fn set_index(&self, index: Vec<(Seq, u64)>) {
        *self.index.lock().unwrap_or_else(PoisonError::into_inner) = index;
    }

    /// Where to begin to look for a parcel.
    pub(crate) fn offset_before(&self, seq: Seq) -> u64 {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let after = index.partition_point(|(noted, _)| *noted <= seq);
        after
            .checked_sub(1)
            .and_then(|at| index.get(at))
            .map_or(SEGMENT_HEAD_BYTES as u64, |(_, offset)| *offset)
    }
}

/// A file with room reserved, that will be a segment. Its length is how far it was written before: what is written there
/// again takes its old place on the disk, so that a sync has no new metadata to wait for.
#[derive(Clone)]
pub(crate) struct Blank {
    pub(crate) file: Arc<dyn File>,
    pub(crate) path: PathBuf,
}

impl Blank {
    /// Makes one under a name of its own, or takes the file that stands there.
    pub(crate) fn make(disk: &dyn Disk, path: PathBuf, bytes: u64) -> io::Result<Blank> {
        let file = disk.open(&path, Open::CreateOrOpen)?;
        if file.len()? > bytes {
            file.set_len(bytes)?;
        }
        // Where room cannot be reserved the log works as well, but can meet a full disk at any write.
        match file.allocate(bytes) {
            Ok(_) => Ok(Blank { file, path }),
            Err(error) => {
                drop(file);
                // What was reserved so far is given back; a failure to do so changes nothing for the caller.
                let _ = disk.remove(&path);
                Err(error)
            }
        }
    }

    /// Writes zeros where it was never written, durably: one piece, and more until `least` bytes are; whether anything was
    /// missing. After an error the file must not become a segment.
    pub(crate) fn fill(&self, bytes: u64, least: u64) -> io::Result<bool> {
        let len = self.file.len()?;
        let mut at = len;
        while at < bytes && (at == len || at < least) {
            let count = FILL_BYTES.min(usize::try_from(bytes - at).unwrap_or(usize::MAX));
            self.file.write_at(&vec![0; count], at)?;
            at += count as u64;
        }
        if at > len {
            self.file.sync_data()?;
        }
        Ok(at > len)
    }

    /// Whether all of it was written before.
    pub(crate) fn is_filled(&self, bytes: u64) -> bool {
        self.file.len().is_ok_and(|len| len >= bytes)
    }

    /// Gives it its head, `frames` that belong right behind it, and its name, all durable.
    pub(crate) fn become_segment(
        self,
        disk: &dyn Disk,
        dir: &Path,
        head: SegmentHead,
        frames: &[u8],
    ) -> io::Result<(Arc<dyn File>, PathBuf)> {
        let head = SegmentHead { reused: !self.file.is_empty()?, ..head };
        if !frames.is_empty() {
            self.file.write_at(frames, SEGMENT_HEAD_BYTES as u64)?;
        }
        self.file.write_at(&head.to_bytes(), 0)?;
        self.file.sync_all()?;
        let path = dir.join(name_of(head.id()));
        disk.rename(&self.path, &path)?;
        disk.sync_dir(dir)?;
        Ok((self.file, path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for id in [0, 1, 4_294_967_295] {
            assert_eq!(id_in(&name_of(id)), Some(id));
        }
        for name in
            ["", "1.segment", "0000000001.segment.new", "spare", "99999999999.segment", "+000000001.segment"]
        {
            assert_eq!(id_in(name), None, "{name}");
        }
    }
}
