//! What an Arrow stream becomes when it is unpacked, from the heads of its messages: each compressed buffer says its
//! length, and where such a length could lie (LZ4 frames are unpacked to their end, whatever it says) its blocks are
//! counted. The walk goes exactly as far as the decoder may.

use std::ops::Range;

use arrow::ipc::{BodyCompression, CompressionType, Message, RecordBatch, root_as_message};
use tidemill_core::Problem;

use super::{stream_in_file, too_large, unreadable};

/// The longest head of a message that is read: a description of its columns.
const HEAD_BYTES_MAX: usize = 1 << 20;
/// Before each message of today's streams.
const CONTINUATION: [u8; 4] = [0xFF; 4];
/// The length of a buffer that is not compressed although others are.
const NOT_COMPRESSED: i64 = -1;
/// Where an LZ4 frame begins.
const LZ4_MAGIC: [u8; 4] = [0x04, 0x22, 0x4D, 0x18];

/// The messages of a stream, or of the stream in a file.
pub(super) struct Messages {
    /// Where they stand in the body.
    pub(super) place: Range<usize>,
    pub(super) rows: usize,
    /// What all of them become.
    pub(super) unpacked_bytes: usize,
    /// What the dictionaries and the largest batch become: so much is held at once.
    pub(super) at_once_bytes: usize,
}

impl Messages {
    pub(super) fn of(body: &[u8]) -> Result<Messages, Problem> {
        let start = stream_in_file(body);
        let from = start.unwrap_or_default();
        let mut walk = Walk { rest: body.get(from..).unwrap_or_default() };
        let (mut rows, mut dictionaries_bytes, mut batches_bytes, mut largest_bytes) =
            (0usize, 0usize, 0usize, 0);
        let mut end = from;
        loop {
            let next = walk.next();
            // A file has a foot behind its stream, which need not have an end of its own.
            let next = if start.is_some() && end > from { next.unwrap_or_default() } else { next? };
            let Some((message, bytes)) = next else { break };
            end = body.len() - walk.rest.len();
            if let Some(batch) = message.header_as_record_batch() {
                rows = rows.saturating_add(usize::try_from(batch.length()).unwrap_or(usize::MAX));
                let becomes = unpacked_bytes(batch, bytes)?;
                batches_bytes = batches_bytes.saturating_add(becomes);
                largest_bytes = becomes.max(largest_bytes);
            }
            if let Some(dictionary) = message.header_as_dictionary_batch().and_then(|batch| batch.data()) {
                dictionaries_bytes = dictionaries_bytes.saturating_add(unpacked_bytes(dictionary, bytes)?);
            }
        }
        let end = if start.is_some() { end } else { body.len() };
        Ok(Messages {
            place: from..end,
            rows,
            unpacked_bytes: dictionaries_bytes.saturating_add(batches_bytes),
            at_once_bytes: dictionaries_bytes.saturating_add(largest_bytes),
        })
    }
}

struct Walk<'a> {
    rest: &'a [u8],
}

impl<'a> Walk<'a> {
    /// The next message with its bytes; none at the end of the stream.
    fn next(&mut self) -> Result<Option<(Message<'a>, &'a [u8])>, Problem> {
        let cut = || unreadable("it ends within a message");
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut head = self.take(4).ok_or_else(cut)?;
        if head == CONTINUATION {
            head = self.take(4).ok_or_else(cut)?;
        }
        let len = head.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        if len == 0 {
            return match self.rest {
                [] => Ok(None),
                _ => Err(unreadable("something follows its end")),
            };
        }
        let head = self.take(usize::try_from(len).unwrap_or(usize::MAX)).ok_or_else(cut)?;
        if head.len() > HEAD_BYTES_MAX {
            return Err(too_large(&format!("a message whose head has more than {HEAD_BYTES_MAX} bytes")));
        }
        let message = root_as_message(head).map_err(|error| unreadable(&error.to_string()))?;
        let bytes =
            usize::try_from(message.bodyLength()).ok().and_then(|len| self.take(len)).ok_or_else(cut)?;
        Ok(Some((message, bytes)))
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }
}

/// What the buffers of a batch become; nothing where they are used as they lie in the body.
fn unpacked_bytes(batch: RecordBatch<'_>, bytes: &[u8]) -> Result<usize, Problem> {
    let Some(codec) = batch.compression().as_ref().map(BodyCompression::codec) else { return Ok(0) };
    let mut total = 0usize;
    for buffer in batch.buffers().into_iter().flatten() {
        let place = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let found = place.and_then(|(from, len)| bytes.get(from..from.checked_add(len)?));
        let found = found.ok_or_else(|| unreadable("a buffer lies outside its message"))?;
        if found.is_empty() {
            continue;
        }
        let (said, packed) = found.split_first_chunk().ok_or_else(|| unreadable("a buffer is cut"))?;
        let said = i64::from_le_bytes(*said);
        if said == NOT_COMPRESSED {
            continue;
        }
        let said = usize::try_from(said).map_err(|_| unreadable("a buffer has a length below zero"))?;
        let becomes = match codec {
            CompressionType::LZ4_FRAME => {
                let frames = lz4_bytes_max(packed).ok_or_else(|| unreadable("a buffer is no LZ4 frame"))?;
                said.max(frames)
            }
            _ => said,
        };
        total = total.saturating_add(becomes);
    }
    Ok(total)
}

/// What LZ4 frames become at most: each block fills at most the size that the frame's head says (LZ4 Frame Format 1.6.4).
/// None where a frame cannot be read.
fn lz4_bytes_max(mut packed: &[u8]) -> Option<usize> {
    let mut total = 0usize;
    // Zeros may fill up to the next buffer.
    while packed.iter().any(|byte| *byte != 0) {
        packed = packed.strip_prefix(&LZ4_MAGIC)?;
        let (flags, block_size) = (*packed.first()?, *packed.get(1)?);
        let block_bytes = 1usize << (8 + 2 * u32::from(block_size >> 4 & 7));
        let has = |bit: u8| usize::from(flags >> bit & 1);
        // Flags and block size, the content's size, a dictionary's id, the head's checksum.
        packed = packed.get(2 + 8 * has(3) + 4 * has(0) + 1..)?;
        loop {
            let (size, rest) = packed.split_first_chunk()?;
            let size = u32::from_le_bytes(*size);
            packed = rest;
            if size == 0 {
                break;
            }
            // The highest bit says that a block is stored as it is; a checksum may follow each.
            let stored = usize::try_from(size & 0x7FFF_FFFF).ok()?;
            packed = packed.get(stored.checked_add(4 * has(4))?..)?;
            total = total.saturating_add(block_bytes);
        }
        packed = packed.get(4 * has(2)..)?;
    }
    Some(total)
}
