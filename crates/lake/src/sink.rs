//! Where the bytes of a file go: written in order, synced every few megabytes so that no single sync stalls the log,
//! and summed up by blocks so that damage is found later. What does not live here: what the bytes mean.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidemill_ground::{Disk, File, Open};

use crate::Error;

/// A checksum for so many bytes of data: a page of 128 KiB needs three of them read.
pub(crate) const BLOCK_BYTES: usize = 64 << 10;
/// Bytes between two syncs.
const SYNC_BYTES: u64 = 4 << 20;
const WRITE_BYTES: usize = 256 << 10;

/// A file that is being written.
pub(crate) struct Sink {
    file: Arc<dyn File>,
    path: PathBuf,
    written: u64,
    synced: u64,
    pending: Vec<u8>,
    /// CRC32C of each whole block so far.
    blocks: Vec<u32>,
    /// CRC32C of the bytes since the last block, or since the data ended.
    running: u32,
    filled: usize,
    /// Where the data ended and the tail (directory and footer) begins.
    data_end: Option<u64>,
    /// Called with the number of bytes before each sync; waits, to spread big writes.
    pace: Arc<dyn Fn(u64) + Send + Sync>,
}

impl Sink {
    pub(crate) fn create(
        disk: &dyn Disk,
        path: &Path,
        pace: Arc<dyn Fn(u64) + Send + Sync>,
    ) -> Result<Sink, Error> {
        let file = disk.open(path, Open::CreateNew).map_err(|source| Error::Disk {
            what: "made",
            path: path.into(),
            source,
        })?;
        Ok(Sink {
            file,
            path: path.into(),
            written: 0,
            synced: 0,
            pending: Vec::with_capacity(WRITE_BYTES),
            blocks: Vec::new(),
            running: 0,
            filled: 0,
            data_end: None,
            pace,
        })
    }

    /// The data is complete: what comes now is the tail. Gives the checksums of the data's blocks, the last one of a
    /// part of a block.
    pub(crate) fn end_data(&mut self) -> Vec<u32> {
        if self.filled > 0 {
            self.blocks.push(self.running);
        }
        (self.running, self.filled) = (0, 0);
        self.data_end = Some(self.written + self.pending.len() as u64);
        std::mem::take(&mut self.blocks)
    }

    /// Syncs the whole file. Gives (bytes, where the tail begins, checksum of the tail).
    pub(crate) fn finish(mut self) -> Result<(u64, u64, u32), Error> {
        let done = self.push_out().and_then(|()| self.file.sync_all());
        done.map_err(|source| Error::Disk { what: "written", path: self.path.clone(), source })?;
        Ok((self.written, self.data_end.unwrap_or(self.written), self.running))
    }

    fn push_out(&mut self) -> io::Result<()> {
        self.file.write_at(&self.pending, self.written)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        if self.written - self.synced >= SYNC_BYTES {
            (self.pace)(self.written - self.synced);
            self.file.sync_data()?;
            self.synced = self.written;
        }
        Ok(())
    }

    fn sum(&mut self, mut bytes: &[u8]) {
        if self.data_end.is_some() {
            self.running = crc32c::crc32c_append(self.running, bytes);
            return;
        }
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.filled));
            self.running = crc32c::crc32c_append(self.running, now);
            self.filled += now.len();
            if self.filled == BLOCK_BYTES {
                self.blocks.push(self.running);
                (self.running, self.filled) = (0, 0);
            }
            bytes = rest;
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sum(bytes);
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= WRITE_BYTES {
            self.push_out()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
