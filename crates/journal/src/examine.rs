//! Reads the bytes of one segment as recovery and a follower would, without a disk: for fuzzing, and for looking at a file
//! that came from elsewhere. Changes nothing.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::io;

use tidemill_core::{Damaged, Parcel, Seq};
use tidemill_ground::File;

use crate::decode::decode;
use crate::frame::{FRAME_HEAD_BYTES, FrameHead, FrameKind};
use crate::recover::{believe, scan};

/// What stands in a segment.
#[derive(Debug, Default)]
pub struct Examined {
    /// Whole parcels, in order.
    pub parcels: Vec<(Seq, Parcel)>,
    /// Whole frames whose parcel cannot be read all the same: written by a later program, or never by this one.
    pub unknown: Vec<Seq>,
    /// Parcels that the segment's own marks say should be there and are not.
    pub damage: Vec<Damaged>,
    /// Whether a later program wrote it; then nothing else is said.
    pub newer: Option<u32>,
}

/// Reads a segment with this number from memory.
pub fn examine(id: u32, bytes: &[u8]) -> Examined {
    let mut examined = Examined::default();
    let scan = match scan(id, &Memory(bytes)) {
        Ok(scan) => scan,
        Err(newer) => {
            examined.newer = Some(newer.0);
            return examined;
        }
    };
    for run in &scan.runs {
        let mut left =
            usize::try_from(run.bytes.start).ok().and_then(|start| bytes.get(start..)).unwrap_or_default();
        let mut last = Seq(0);
        while last < run.last
            && let Some(head) = FrameHead::parse(left)
        {
            if head.kind == FrameKind::Parcel {
                last = head.seq;
                let payload =
                    left.get(FRAME_HEAD_BYTES..).and_then(|rest| rest.get(..head.payload_bytes as usize));
                match payload.map(decode) {
                    Some(Ok(parcel)) => examined.parcels.push((head.seq, parcel)),
                    _ => examined.unknown.push(head.seq),
                }
            }
            left =
                usize::try_from(head.frame_bytes()).ok().and_then(|len| left.get(len..)).unwrap_or_default();
        }
    }
    examined.damage = believe(&[scan], Seq(0)).damage;
    examined
}

/// Bytes in memory as a file that can only be read.
pub(crate) struct Memory<'a>(pub(crate) &'a [u8]);

fn read_only<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl File for Memory<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let from = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let count = from.len().min(buf.len());
        buf.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        Ok(count)
    }

    fn write_at(&self, _buf: &[u8], _offset: u64) -> io::Result<()> {
        read_only()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        read_only()
    }

    fn allocate(&self, _len: u64) -> io::Result<bool> {
        Ok(false)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }

    fn try_lock(&self) -> io::Result<bool> {
        Ok(false)
    }
}
