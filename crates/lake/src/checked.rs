//! The bytes of a file of samples: every block is checked against its sum before it is believed, and what went wrong is
//! kept with its range, which Parquet's own errors do not carry. What does not live here: what the bytes mean (`read`).

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use tidemill_ground::{File, read_exact_at};

use super::damage::DamagedFiles;
use super::sink::BLOCK_BYTES;

/// Some bytes of a file, from `start` on.
pub(crate) struct Piece {
    pub(crate) start: u64,
    pub(crate) bytes: Bytes,
}

impl Length for Piece {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Piece {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.get_bytes(start, (self.len().saturating_sub(start)) as usize)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let from = start.checked_sub(self.start).map(|from| from as usize);
        let range = from.and_then(|from| Some(from..from.checked_add(length)?));
        let range = range.filter(|range| range.end <= self.bytes.len());
        let outside = || ParquetError::EOF("a column begins where its file does not say".into());
        Ok(self.bytes.slice(range.ok_or_else(outside)?))
    }
}

/// The bytes of a file, checked as they are read.
#[derive(Clone)]
pub(crate) struct Checked(pub(crate) Arc<Bytesource>);

pub(crate) struct Bytesource {
    pub(crate) file: Arc<dyn File>,
    pub(crate) name: String,
    pub(crate) len: u64,
    pub(crate) tail_at: u64,
    pub(crate) tail: Bytes,
    /// CRC32C of each block of the data; the last one may be short.
    pub(crate) blocks: Vec<u32>,
    /// What went wrong last, for the error; Parquet's own errors carry no range.
    pub(crate) trouble: Mutex<Option<Trouble>>,
    /// Where damage is noted.
    pub(crate) damaged: Arc<DamagedFiles>,
}

#[derive(Clone)]
pub(crate) enum Trouble {
    /// Bytes from, to, and what shows it.
    Damage(u64, u64, String),
    /// The disk refused; the bytes may be well.
    Disk(io::ErrorKind, String),
}

impl Bytesource {
    fn damaged(&self, from: u64, to: u64, detail: &str) -> ParquetError {
        self.note(Trouble::Damage(from, to, detail.to_owned()));
        ParquetError::General(format!("damaged in bytes {from}..{to}: {detail}"))
    }

    fn note(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
    }

    /// Checked bytes of a range.
    pub(crate) fn get(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start.saturating_add(length as u64);
        if end > self.len {
            return Err(self.damaged(start, end, "it ends before"));
        }
        if start >= self.tail_at {
            let from = (start - self.tail_at) as usize;
            return Ok(self.tail.slice(from..from + length));
        }
        if end > self.tail_at {
            return Err(self.damaged(start, end, "data and footer overlap"));
        }
        let block = BLOCK_BYTES as u64;
        let (from, to) = (start - start % block, end.next_multiple_of(block).min(self.tail_at));
        let mut bytes = vec![0; (to - from) as usize];
        if let Err(error) = read_exact_at(&*self.file, &mut bytes, from) {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                return Err(self.damaged(from, to, &error.to_string()));
            }
            self.note(Trouble::Disk(error.kind(), error.to_string()));
            return Err(error.into());
        }
        for (index, part) in bytes.chunks(BLOCK_BYTES).enumerate() {
            let at = from + (index * BLOCK_BYTES) as u64;
            if self.blocks.get((at / block) as usize) != Some(&crc32c::crc32c(part)) {
                return Err(self.damaged(at, at + part.len() as u64, "the checksum differs"));
            }
        }
        Ok(Bytes::from(bytes).slice((start - from) as usize..(end - from) as usize))
    }
}

impl Length for Checked {
    fn len(&self) -> u64 {
        self.0.len
    }
}

impl ChunkReader for Checked {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        // Only asked where no page index is: then to the end of the data or of the file.
        let end = if start < self.0.tail_at { self.0.tail_at } else { self.0.len };
        Ok(self.0.get(start, (end.saturating_sub(start)) as usize)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.0.get(start, length)
    }
}
