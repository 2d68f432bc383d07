//! Bytes to a parcel. The bytes come from a disk, which may have changed them: nothing here panics, and no allocation is
//! larger than what the bytes left can hold. The way there is `encode`.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::sync::Arc;

use bytes::Bytes;
use tidemill_core::{
    BATCH_ROWS_MAX, Column, Flags, Kind, Message, OriginId, Parcel, ProducerId, Quality, Record, SampleBatch,
    SignalId, SourceId, StreamId,
};

use crate::encode::{BLOCK_ROWS, PAYLOAD_VERSION, each, part};

/// Why bytes are no parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A later program wrote it.
    #[error("the parcel has format {0}, this program reads up to {PAYLOAD_VERSION}: use a newer program")]
    Newer(u8),
    /// The bytes end too early.
    #[error("the parcel ends within its {0}")]
    Short(&'static str),
    /// A number is outside what it may be.
    #[error("the parcel's {0} cannot be")]
    Impossible(&'static str),
    /// Bytes follow after the end.
    #[error("{0} bytes follow after the parcel's end")]
    Long(usize),
}

/// Reads the payload of a frame.
///
/// # Errors
/// The bytes are no parcel.
pub fn decode(payload: &[u8]) -> Result<Parcel, Malformed> {
    let mut input = Input { left: payload };
    let version = input.byte("version")?;
    if version != PAYLOAD_VERSION {
        return Err(Malformed::Newer(version));
    }
    let parts = input.byte("parts")?;
    if parts & !part::ALL != 0 {
        return Err(Malformed::Impossible("parts"));
    }
    let mut parcel = Parcel::default();
    if parts & part::ONCE != 0 {
        parcel.once = Some((ProducerId(input.fixed("producer")?), input.fixed("producer's number")?));
    }
    if parts & part::SAMPLES != 0 {
        parcel.samples = Some(Arc::new(samples(&mut input)?));
    }
    if parts & part::MESSAGES != 0 {
        parcel.messages = messages(&mut input)?;
    }
    if parts & part::RECORDS != 0 {
        parcel.records = records(&mut input)?;
    }
    if input.left.is_empty() { Ok(parcel) } else { Err(Malformed::Long(input.left.len())) }
}

fn samples(input: &mut Input<'_>) -> Result<SampleBatch, Malformed> {
    let rows = input.count("rows")?;
    // A block of rows takes at least one byte in each of three columns.
    if rows > BATCH_ROWS_MAX || rows.div_ceil(BLOCK_ROWS).saturating_mul(3) > input.left.len() {
        return Err(Malformed::Impossible("number of rows"));
    }
    let source = SourceId(input.number_u32("source")?);
    let received = input.fixed("time of receipt")?.cast_signed();
    let flags = Flags(input.byte("flags")?);
    let columns = input.byte("columns")?;
    if columns & !each::ALL != 0 {
        return Err(Malformed::Impossible("columns"));
    }
    let mut id = 0_i64;
    let signal = input.unpack(rows, "signals", SignalId::FIRST, |step| {
        id = id.wrapping_add(unzigzag(step));
        u32::try_from(id).ok().and_then(SignalId::new)
    })?;
    let mut at = received;
    let time = input.unpack(rows, "times", 0, |step| {
        at = at.wrapping_add(unzigzag(step));
        Some(at)
    })?;
    let known = |number: &u8| Kind::from_number(*number).ok_or(Malformed::Impossible("kind"));
    let kind = if columns & each::KIND == 0 {
        Column::Same(known(&input.byte("kind")?)?)
    } else {
        Column::Each(input.take(rows, "kinds")?.iter().map(known).collect::<Result<_, _>>()?)
    };
    let quality = if columns & each::QUALITY == 0 {
        Column::Same(Quality(input.number_u32("quality")?))
    } else {
        Column::Each(
            input.unpack(rows, "qualities", Quality::GOOD, |code| u32::try_from(code).ok().map(Quality))?,
        )
    };
    let bits = input.unpack(rows, "values", 0, Some)?;
    let heap = input.bytes("texts")?;
    let has_text = match &kind {
        Column::Same(kind) => kind.is_heap(),
        Column::Each(kinds) => kinds.iter().any(|kind| kind.is_heap()),
    };
    let batch = SampleBatch { source, received, flags, signal, time, kind, quality, bits, heap };
    // The columns have one length by the way they are read; only what refers to the heap is still open.
    if !has_text || batch.is_sound() { Ok(batch) } else { Err(Malformed::Impossible("texts")) }
}

fn messages(input: &mut Input<'_>) -> Result<Vec<Message>, Malformed> {
    let count = input.count_of("messages", 5)?;
    let mut messages = Vec::with_capacity(count);
    for _ in 0..count {
        let flags = input.byte("message flags")?;
        messages.push(Message {
            retain: flags & 1 != 0,
            qos: flags >> 1,
            origin: OriginId(input.number_u32("origin")?),
            topic: input.bytes("topic")?,
            payload: input.bytes("message")?,
            properties: input.bytes("properties")?,
        });
    }
    Ok(messages)
}

fn records(input: &mut Input<'_>) -> Result<Vec<Record>, Malformed> {
    let count = input.count_of("records", 3)?;
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        let stream = u16::try_from(input.varint("stream")?).map_err(|_| Malformed::Impossible("stream"))?;
        records.push(Record {
            stream: StreamId(stream),
            key: input.bytes("key")?,
            value: input.bytes("record")?,
        });
    }
    Ok(records)
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ (value & 1).cast_signed().wrapping_neg()
}

/// What is left to read. Shared with the file of cursors.
pub(crate) struct Input<'a> {
    pub(crate) left: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, left) = self.left.split_at_checked(count).ok_or(Malformed::Short(what))?;
        self.left = left;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self, what: &'static str) -> Result<u8, Malformed> {
        let (first, left) = self.left.split_first().ok_or(Malformed::Short(what))?;
        self.left = left;
        Ok(*first)
    }

    pub(crate) fn fixed(&mut self, what: &'static str) -> Result<u64, Malformed> {
        let (first, left) = self.left.split_first_chunk::<8>().ok_or(Malformed::Short(what))?;
        self.left = left;
        Ok(u64::from_le_bytes(*first))
    }

    pub(crate) fn varint(&mut self, what: &'static str) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7F);
            let placed = bits.wrapping_shl(shift);
            if placed.wrapping_shr(shift) != bits {
                return Err(Malformed::Impossible(what));
            }
            value |= placed;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed::Impossible(what))
    }

    fn number_u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        u32::try_from(self.varint(what)?).map_err(|_| Malformed::Impossible(what))
    }

    fn count(&mut self, what: &'static str) -> Result<usize, Malformed> {
        usize::try_from(self.varint(what)?).map_err(|_| Malformed::Impossible(what))
    }

    /// How many things of at least `least` bytes follow; no more than there are bytes for.
    pub(crate) fn count_of(&mut self, what: &'static str, least: usize) -> Result<usize, Malformed> {
        let count = self.count(what)?;
        if count.saturating_mul(least) > self.left.len() { Err(Malformed::Short(what)) } else { Ok(count) }
    }

    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<Bytes, Malformed> {
        let len = self.count(what)?;
        self.take(len, what).map(Bytes::copy_from_slice)
    }

    /// Reads a column of blocks, as `encode::pack` wrote it. `blank` stands where there is no value until all is refused.
    fn unpack<T: Copy>(
        &mut self,
        rows: usize,
        what: &'static str,
        blank: T,
        mut value: impl FnMut(u64) -> Option<T>,
    ) -> Result<Vec<T>, Malformed> {
        let mut sound = true;
        let mut value = |bits| {
            value(bits).unwrap_or_else(|| {
                sound = false;
                blank
            })
        };
        let mut column = Vec::with_capacity(rows);
        let mut left = rows;
        while left > 0 {
            let count = left.min(BLOCK_ROWS);
            left = left.saturating_sub(count);
            let head = self.byte(what)?;
            let (skip, width) = (head >> 4, head & 15);
            if skip.saturating_add(width) > 8 {
                return Err(Malformed::Impossible(what));
            }
            let shift = u32::from(skip).saturating_mul(8);
            let bytes = self.take(count.saturating_mul(usize::from(width)), what)?;
            match width {
                0 => column.extend((0..count).map(|_| value(0))),
                1 => column.extend(read::<1>(bytes, shift).map(&mut value)),
                2 => column.extend(read::<2>(bytes, shift).map(&mut value)),
                3 => column.extend(read::<3>(bytes, shift).map(&mut value)),
                4 => column.extend(read::<4>(bytes, shift).map(&mut value)),
                5 => column.extend(read::<5>(bytes, shift).map(&mut value)),
                6 => column.extend(read::<6>(bytes, shift).map(&mut value)),
                7 => column.extend(read::<7>(bytes, shift).map(&mut value)),
                _ => column.extend(read::<8>(bytes, shift).map(&mut value)),
            }
        }
        if sound { Ok(column) } else { Err(Malformed::Impossible(what)) }
    }
}

/// Numbers of so many bytes each, moved up by `shift` bits. The length of what comes is known, so that a column grows once.
fn read<const WIDTH: usize>(bytes: &[u8], shift: u32) -> impl Iterator<Item = u64> {
    let (values, _) = bytes.as_chunks::<WIDTH>();
    values.iter().map(move |bytes| {
        let mut whole = [0; 8];
        whole.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        u64::from_le_bytes(whole).wrapping_shl(shift)
    })
}
