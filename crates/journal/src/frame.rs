//! The heads of segments and frames, and their checksums. docs/spec/journal.md is the same in words. What a payload
//! says is `encode` and `decode`; what to believe of a whole file is `recover`.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use tidemill_core::{Parcel, Seq};

use crate::encode;

/// The version of the segment format. A segment with a higher one is refused.
pub const FORMAT: u32 = 1;
/// Bytes of a segment's head.
pub const SEGMENT_HEAD_BYTES: usize = 64;
/// Bytes of a frame's head.
pub const FRAME_HEAD_BYTES: usize = 40;
/// Frames begin at multiples of this.
pub const FRAME_ALIGN: usize = 8;

/// The highest place in the log: what a head says beyond is no place, however right its checksum. Counting can then go on
/// from any head without an overflow; a log that takes a billion parcels a second gets there after 146 years.
pub const SEQ_MAX: u64 = 1 << 62;

const SEGMENT_MAGIC: [u8; 8] = *b"TIDELOG\n";
const FRAME_MAGIC: [u8; 3] = *b"TMF";

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// One parcel.
    Parcel = 1,
    /// Nothing but a durable mark: `seq` is that of the last parcel before it.
    Mark = 2,
}

/// The head of a segment: what the log knew when the segment was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentHead {
    /// Its number and, in the high half, random bits: a frame inside a payload cannot pass for one of the segment.
    pub tag: u64,
    /// Earlier segments count up to this parcel; what they hold beyond is void.
    pub kept: Seq,
    /// Parcels up to this one were durable when this segment got its name; those after `kept` stand in it.
    pub durable: Seq,
    /// The first parcel that was appended after the opening. Numbers between `durable` and this are void.
    pub next: Seq,
    /// When it was opened, ns UTC.
    pub opened: i64,
    /// So many numbers right behind `kept` are void too; what stands in the segment from before begins after them.
    pub skipped: u32,
    /// The file had bytes before it became this segment: those behind the last frame mean nothing.
    pub reused: bool,
    /// What is in it was acknowledged before it was synced: after a power cut the log may have ended later than it does.
    pub relaxed: bool,
}

/// Bits of the word at 12.
const REUSED: u32 = 1;
const RELAXED: u32 = 2;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// What it is.
    pub kind: FrameKind,
    /// Bytes of payload.
    pub payload_bytes: u32,
    /// The segment's tag.
    pub tag: u64,
    /// The parcel's place in the log.
    pub seq: Seq,
    /// The last parcel known to be durable when this frame was written.
    pub durable: Seq,
    /// CRC32C of the payload.
    pub payload_crc: u32,
}

/// Why bytes are no segment head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHead {
    /// They are something else, or damaged.
    Damaged,
    /// A later program wrote it, in this format.
    Newer(u32),
}

impl SegmentHead {
    /// Its bytes.
    pub fn to_bytes(&self) -> [u8; SEGMENT_HEAD_BYTES] {
        let mut out = [0; SEGMENT_HEAD_BYTES];
        put(&mut out, 0, &SEGMENT_MAGIC);
        put(&mut out, 8, &FORMAT.to_le_bytes());
        let bits = if self.reused { REUSED } else { 0 } | if self.relaxed { RELAXED } else { 0 };
        put(&mut out, 12, &bits.to_le_bytes());
        put(&mut out, 16, &self.tag.to_le_bytes());
        put(&mut out, 24, &self.kept.0.to_le_bytes());
        put(&mut out, 32, &self.durable.0.to_le_bytes());
        put(&mut out, 40, &self.next.0.to_le_bytes());
        put(&mut out, 48, &self.opened.to_le_bytes());
        put(&mut out, 56, &self.skipped.to_le_bytes());
        let crc = crc32c::crc32c(out.get(..60).unwrap_or_default());
        put(&mut out, 60, &crc.to_le_bytes());
        out
    }

    /// Reads it.
    ///
    /// # Errors
    /// It is none, or of a later format.
    pub fn parse(bytes: &[u8]) -> Result<SegmentHead, BadHead> {
        let sound = bytes.get(..60).is_some_and(|head| u32_at(bytes, 60) == Some(crc32c::crc32c(head)));
        if !sound || !bytes.starts_with(&SEGMENT_MAGIC) {
            return Err(BadHead::Damaged);
        }
        let read = || {
            Some(SegmentHead {
                tag: u64_at(bytes, 16)?,
                kept: Seq(u64_at(bytes, 24)?),
                durable: Seq(u64_at(bytes, 32)?),
                next: Seq(u64_at(bytes, 40)?),
                opened: u64_at(bytes, 48)?.cast_signed(),
                skipped: u32_at(bytes, 56)?,
                reused: u32_at(bytes, 12)? & REUSED != 0,
                relaxed: u32_at(bytes, 12)? & RELAXED != 0,
            })
        };
        match u32_at(bytes, 8) {
            Some(FORMAT) => read()
                .filter(|head| [head.kept, head.durable, head.next].iter().all(|seq| seq.0 <= SEQ_MAX))
                .ok_or(BadHead::Damaged),
            // Later formats keep the first twelve bytes and a checksum at 60, so that they can be told from damage.
            Some(later) if later > FORMAT => Err(BadHead::Newer(later)),
            _ => Err(BadHead::Damaged),
        }
    }

    /// What the first frame of a segment says of its head, where that is damaged.
    pub(crate) fn of_first(frame: &FrameHead) -> SegmentHead {
        let next = if frame.kind == FrameKind::Parcel { frame.seq } else { Seq(0) };
        let (kept, durable) = (frame.durable, frame.durable);
        let (opened, skipped, reused, relaxed) = (0, 0, true, false);
        SegmentHead { tag: frame.tag, kept, durable, next, opened, skipped, reused, relaxed }
    }

    /// The first number that may stand in the segment.
    pub fn first(&self) -> Seq {
        let copied = Seq(self.kept.0.saturating_add(1).saturating_add(u64::from(self.skipped)));
        if self.durable > self.kept { copied } else { self.next }
    }

    /// The numbers that this head declares void: from the first up to, but not including, the second.
    pub fn void(&self) -> [(Seq, Seq); 2] {
        let after = |seq: Seq| Seq(seq.0.saturating_add(1));
        let first = self.first();
        [(after(self.kept), first), (after(self.durable).max(first), self.next)]
    }

    /// The number of the segment.
    pub fn id(&self) -> u32 {
        id_of(self.tag)
    }
}

/// The number of the segment that a tag belongs to.
pub(crate) fn id_of(tag: u64) -> u32 {
    (tag & u64::from(u32::MAX)) as u32
}

impl FrameHead {
    /// Its bytes.
    pub fn to_bytes(&self) -> [u8; FRAME_HEAD_BYTES] {
        let mut out = [0; FRAME_HEAD_BYTES];
        put(&mut out, 0, &FRAME_MAGIC);
        put(&mut out, 3, &[self.kind as u8]);
        put(&mut out, 4, &self.payload_bytes.to_le_bytes());
        put(&mut out, 8, &self.tag.to_le_bytes());
        put(&mut out, 16, &self.seq.0.to_le_bytes());
        put(&mut out, 24, &self.durable.0.to_le_bytes());
        put(&mut out, 32, &self.payload_crc.to_le_bytes());
        let crc = crc32c::crc32c(out.get(..36).unwrap_or_default());
        put(&mut out, 36, &crc.to_le_bytes());
        out
    }

    /// Reads it; `None` when it is none.
    pub fn parse(bytes: &[u8]) -> Option<FrameHead> {
        if !bytes.starts_with(&FRAME_MAGIC) || u32_at(bytes, 36)? != crc32c::crc32c(bytes.get(..36)?) {
            return None;
        }
        let kind = match bytes.get(3)? {
            1 => FrameKind::Parcel,
            2 => FrameKind::Mark,
            _ => return None,
        };
        let head = FrameHead {
            kind,
            payload_bytes: u32_at(bytes, 4)?,
            tag: u64_at(bytes, 8)?,
            seq: Seq(u64_at(bytes, 16)?),
            durable: Seq(u64_at(bytes, 24)?),
            payload_crc: u32_at(bytes, 32)?,
        };
        (head.seq.0 <= SEQ_MAX && head.durable.0 <= SEQ_MAX).then_some(head)
    }

    /// Bytes of the whole frame with its padding.
    pub fn frame_bytes(&self) -> u64 {
        frame_bytes(u64::from(self.payload_bytes))
    }
}

/// Bytes of a frame with this much payload.
pub(crate) fn frame_bytes(payload_bytes: u64) -> u64 {
    payload_bytes.saturating_add(FRAME_HEAD_BYTES as u64).next_multiple_of(FRAME_ALIGN as u64)
}

/// A parcel's payload with its checksum, as a frame carries it.
pub fn encode(parcel: &Parcel, out: &mut Vec<u8>) -> u32 {
    let start = out.len();
    encode::parcel(parcel, out);
    crc32c::crc32c(out.get(start..).unwrap_or_default())
}

/// Where the next frame may begin at or after `offset`, for one who lost the way: the first aligned head with this tag.
pub(crate) fn find_head(bytes: &[u8], tag: u64) -> Option<usize> {
    let (places, _) = bytes.as_chunks::<FRAME_ALIGN>();
    places.iter().enumerate().filter(|(_, start)| start.starts_with(&FRAME_MAGIC)).find_map(|(index, _)| {
        let offset = index.saturating_mul(FRAME_ALIGN);
        FrameHead::parse(bytes.get(offset..)?).filter(|head| head.tag == tag).map(|_| offset)
    })
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    out.iter_mut().skip(at).zip(bytes).for_each(|(to, from)| *to = *from);
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}
