//! Reads the segments of a log as recovery would, without opening it: for fuzzing, and for looking at a plant that does not
//! run. Changes nothing.
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

use crate::decode::{Malformed, decode};
use crate::frame::{FRAME_HEAD_BYTES, FrameHead, FrameKind};
use crate::recover::{Run, believe, scan};
use crate::window::Window;

/// What stands in the segments of a log.
#[derive(Debug, Default)]
pub struct Examined {
    /// Parcels that the segments' own marks say should be there and are not.
    pub damage: Vec<Damaged>,
    /// The highest mark seen: what is whole up to here is served.
    pub durable: Seq,
    /// Whole parcels above the mark, which an opening would write again: the segment's place, and the run.
    tail: Option<(usize, Run)>,
    served: Vec<Vec<Run>>,
}

/// A later program wrote a segment; then nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newer {
    /// The segment.
    pub id: u32,
    /// Its format.
    pub format: u32,
}

/// Reads segments by their numbers, in order.
///
/// # Errors
/// One is of a later format.
pub fn examine(segments: &[(u32, &dyn File)]) -> Result<Examined, Newer> {
    let mut scans = Vec::with_capacity(segments.len());
    for (id, file) in segments {
        scans.push(scan(*id, *file).map_err(|newer| Newer { id: *id, format: newer.0 })?);
    }
    let belief = believe(&scans, None);
    Ok(Examined { damage: belief.damage, durable: belief.durable, tail: belief.tail, served: belief.served })
}

impl Examined {
    /// The parcels that are served, and behind them those above the mark, of the segments that were examined. Some may be
    /// whole and cannot be read all the same: a later program wrote them, or none of ours.
    pub fn parcels(&self, segments: &[(u32, &dyn File)]) -> Vec<(Seq, Result<Parcel, Malformed>)> {
        let mut out = Vec::new();
        let served =
            self.served.iter().enumerate().flat_map(|(place, runs)| runs.iter().map(move |run| (place, run)));
        for (place, run) in served.chain(self.tail.iter().map(|(place, run)| (*place, run))) {
            if let Some((_, file)) = segments.get(place) {
                // What a disk refuses to read is not there.
                let _ = read(*file, run, &mut out);
            }
        }
        out
    }
}

fn read(file: &dyn File, run: &Run, out: &mut Vec<(Seq, Result<Parcel, Malformed>)>) -> io::Result<()> {
    let mut window = Window::new(file, run.bytes.end);
    let mut offset = run.bytes.start;
    while let Some(head) = FrameHead::parse(window.get(offset, FRAME_HEAD_BYTES)?) {
        if head.kind == FrameKind::Parcel && run.first <= head.seq && head.seq <= run.last {
            let payload_at = offset.saturating_add(FRAME_HEAD_BYTES as u64);
            out.push((head.seq, decode(window.get(payload_at, head.payload_bytes as usize)?)));
        }
        offset = offset.saturating_add(head.frame_bytes());
    }
    Ok(())
}

/// Bytes in memory as a file that can only be read.
pub struct Memory<'a>(pub &'a [u8]);

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
