//! Reading the log from its segments: in sequence for a follower that is behind, or one parcel. Holds no lock while it
//! reads. What cannot be read is told as missed, never guessed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tidemill_core::{Damaged, Parcel, Seq};
use tidemill_ground::{Disk, File, Open};

use crate::decode::decode;
use crate::frame::{FRAME_ALIGN, FRAME_HEAD_BYTES, FrameHead, FrameKind, find_head};
use crate::gauges::Gauges;
use crate::segment::Segment;
use crate::window::Window;

/// Bytes of frames that one call reads at most, beyond its first parcel.
const READ_AHEAD_BYTES: u64 = 1 << 20;

/// The segments there are, in order; the last is written to.
#[derive(Default)]
pub(crate) struct Segments(Mutex<Vec<Arc<Segment>>>);

impl Segments {
    pub(crate) fn new(segments: Vec<Arc<Segment>>) -> Segments {
        Segments(Mutex::new(segments))
    }

    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Vec<Arc<Segment>>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The first segment that serves something after this place, and whether numbers are void.
    fn after(&self, seq: Seq) -> Option<Arc<Segment>> {
        self.with(|segments| segments.iter().find(|one| !one.is_empty() && one.last() > seq).cloned())
    }

    /// How many of these numbers were ever committed.
    pub(crate) fn committed(&self, first: Seq, last: Seq) -> u64 {
        if last < first {
            return 0;
        }
        let void: u64 = self.with(|segments| {
            let overlap = |one: &Arc<Segment>| {
                let (from, to) = (one.void.0.max(first).0, one.void.1.0.min(last.0 + 1));
                to.saturating_sub(from)
            };
            segments.iter().map(overlap).sum()
        });
        (last.0 - first.0 + 1).saturating_sub(void)
    }

    pub(crate) fn first(&self) -> Option<Seq> {
        self.with(|segments| segments.iter().find(|one| !one.is_empty()).map(|one| one.first))
    }
}

/// What reading gives.
pub(crate) enum Step {
    /// A parcel.
    Parcel(Seq, Arc<Parcel>),
    /// So many parcels that were committed cannot be had; it goes on after this one.
    Missed(u64, Seq),
}

/// A place in the segments.
pub(crate) struct Reader {
    disk: Arc<dyn Disk>,
    gauges: Arc<Gauges>,
    open: Option<(Arc<Segment>, Arc<dyn File>)>,
    /// Where the frame after `at` begins, if that is known.
    next: Option<(Seq, u64)>,
    buffer: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(disk: Arc<dyn Disk>, gauges: Arc<Gauges>) -> Reader {
        Reader { disk, gauges, open: None, next: None, buffer: Vec::new() }
    }

    /// Reads on after `seq`, at least one step if there is any, and says up to where all was told.
    pub(crate) fn read(&mut self, segments: &Segments, seq: Seq, out: &mut VecDeque<Step>) -> Seq {
        let Some(segment) = segments.after(seq) else { return seq };
        let mut at = seq;
        if segment.first.0 > seq.0 + 1 {
            at = Seq(segment.first.0 - 1);
            miss(segments, Seq(seq.0 + 1), at, out);
        }
        let (last, end) = (segment.last(), segment.end());
        let Some(file) = self.file(&segment) else {
            miss(segments, Seq(at.0 + 1), last, out);
            return last;
        };
        let mut offset = match self.next {
            Some((known, offset)) if known == at => offset,
            _ => segment.offset_before(Seq(at.0 + 1)),
        };
        let start = offset;
        let mut window = Window::with_buffer(file.as_ref(), end, std::mem::take(&mut self.buffer));
        while at < last && (offset - start < READ_AHEAD_BYTES || out.is_empty()) {
            match next_frame(&mut window, &segment, offset, &self.gauges) {
                Some((head, parcel, after)) => {
                    offset = after;
                    if head.seq <= at || head.seq > last {
                        continue;
                    }
                    let Some(parcel) = parcel else { continue };
                    miss(segments, Seq(at.0 + 1), Seq(head.seq.0 - 1), out);
                    at = head.seq;
                    out.push_back(Step::Parcel(at, Arc::new(parcel)));
                }
                None => {
                    miss(segments, Seq(at.0 + 1), last, out);
                    at = last;
                }
            }
        }
        self.buffer = window.into_buffer();
        self.next = (at < last).then_some((at, offset));
        at
    }

    /// One parcel.
    pub(crate) fn read_one(&mut self, segments: &Segments, seq: Seq) -> Result<Arc<Parcel>, Damaged> {
        let mut steps = VecDeque::new();
        let before = Seq(seq.0.saturating_sub(1));
        let segment = segments.after(before);
        self.next = None;
        self.read(segments, before, &mut steps);
        match steps.pop_front() {
            Some(Step::Parcel(found, parcel)) if found == seq => Ok(parcel),
            _ => Err(Damaged {
                segment: segment.as_ref().map_or_else(|| "(none)".to_owned(), |segment| segment.name()),
                from: segment.as_ref().map_or(0, |segment| segment.offset_before(seq)),
                to: segment.as_ref().map_or(0, |segment| segment.end()),
                first: seq,
                last: seq,
            }),
        }
    }

    fn file(&mut self, segment: &Arc<Segment>) -> Option<Arc<dyn File>> {
        if let Some((open, file)) = &self.open
            && Arc::ptr_eq(open, segment)
        {
            return Some(file.clone());
        }
        self.next = None;
        self.open = None;
        match self.disk.open(&segment.path, Open::Read) {
            Ok(file) => {
                self.open = Some((segment.clone(), file.clone()));
                Some(file)
            }
            Err(_) => {
                self.gauges.read_failures.add(1);
                None
            }
        }
    }
}

fn miss(segments: &Segments, first: Seq, last: Seq, out: &mut VecDeque<Step>) {
    let count = segments.committed(first, last);
    if count > 0 {
        out.push_back(Step::Missed(count, last));
    }
}

/// The next frame at or after this place; its parcel only if it is whole. `None`: there is none.
fn next_frame(
    window: &mut Window<'_>,
    segment: &Segment,
    offset: u64,
    gauges: &Gauges,
) -> Option<(FrameHead, Option<Parcel>, u64)> {
    let mut offset = offset;
    let head = loop {
        if offset >= segment.end() {
            return None;
        }
        let bytes = read(window, offset, FRAME_HEAD_BYTES, gauges)?;
        match FrameHead::parse(bytes).filter(|head| head.tag == segment.tag) {
            Some(head) => break head,
            None => {
                let bytes = read(window, offset, READ_AHEAD_BYTES as usize, gauges)?;
                let len = bytes.len();
                offset += match find_head(bytes, segment.tag) {
                    Some(found) => found as u64,
                    // A head may begin just before the end of what was searched.
                    None => {
                        len.saturating_sub(FRAME_HEAD_BYTES).max(FRAME_ALIGN).next_multiple_of(FRAME_ALIGN)
                            as u64
                    }
                };
            }
        }
    };
    let after = offset + head.frame_bytes();
    if head.kind == FrameKind::Mark {
        return Some((head, None, after));
    }
    let payload = read(window, offset + FRAME_HEAD_BYTES as u64, head.payload_bytes as usize, gauges)?;
    let sound = payload.len() == head.payload_bytes as usize && crc32c::crc32c(payload) == head.payload_crc;
    let parcel = if sound { decode(payload).ok() } else { None };
    if parcel.is_none() {
        gauges.read_failures.add(1);
    }
    Some((head, parcel, after))
}

fn read<'w>(window: &'w mut Window<'_>, offset: u64, count: usize, gauges: &Gauges) -> Option<&'w [u8]> {
    match window.get(offset, count) {
        Ok(bytes) => Some(bytes),
        Err(_) => {
            gauges.read_failures.add(1);
            None
        }
    }
}
