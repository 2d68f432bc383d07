//! Reading the log from its segments: in sequence for a follower that is behind, or one parcel. Holds no lock while it
//! reads. What cannot be read is told as missed, never guessed.

use std::collections::VecDeque;
use std::io;
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
/// How often a follower tries what the disk refuses to read, twice a second, before it goes on behind it.
const REFUSALS_MAX: u32 = 20;
/// What is then given up at once.
const UNREADABLE_BYTES: u64 = 4096;

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
        // Several segments may tell of the same void numbers, later ones never of earlier numbers.
        let (mut void, mut told) = (0, first.0);
        self.with(|segments| {
            for (from, to) in segments.iter().flat_map(|one| one.void) {
                let (from, to) = (from.0.max(told), to.0.min(last.0.saturating_add(1)));
                void += to.saturating_sub(from);
                told = told.max(to);
            }
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

/// A read that the disk refused: to be tried again later.
pub(crate) struct Refused;

/// A place in the segments.
pub(crate) struct Reader {
    disk: Arc<dyn Disk>,
    gauges: Arc<Gauges>,
    open: Option<(Arc<Segment>, Arc<dyn File>)>,
    /// Where the frame after `at` begins, if that is known.
    next: Option<(Seq, u64)>,
    buffer: Vec<u8>,
    /// How often the disk refused, one after the other.
    refusals: u32,
}

impl Reader {
    pub(crate) fn new(disk: Arc<dyn Disk>, gauges: Arc<Gauges>) -> Reader {
        Reader { disk, gauges, open: None, next: None, buffer: Vec::new(), refusals: 0 }
    }

    /// Reads on after `seq`, at least one step if there is any, and says up to where all was told. What the disk refuses
    /// to read is refused here [`REFUSALS_MAX`] times, then it is missed.
    pub(crate) fn read(
        &mut self,
        segments: &Segments,
        seq: Seq,
        out: &mut VecDeque<Step>,
    ) -> Result<Seq, Refused> {
        let Some(segment) = segments.after(seq) else { return Ok(seq) };
        let mut at = seq;
        if segment.first.0 > seq.0 + 1 {
            at = Seq(segment.first.0 - 1);
            miss(segments, Seq(seq.0 + 1), at, out);
        }
        let (last, end) = (segment.last(), segment.end());
        let Some(file) = self.file(&segment) else {
            self.refused()?;
            miss(segments, Seq(at.0 + 1), last, out);
            return Ok(last);
        };
        let mut offset = match self.next {
            Some((known, offset)) if known == at => offset,
            _ => segment.offset_before(Seq(at.0 + 1)),
        };
        let start = offset;
        let mut window = Window::with_buffer(file.as_ref(), end, std::mem::take(&mut self.buffer));
        while at < last && (offset - start < READ_AHEAD_BYTES || out.is_empty()) {
            match next_frame(&mut window, &segment, &mut offset, &self.gauges) {
                Ok(Some((seq, parcel))) if at < seq && seq <= last => {
                    miss(segments, Seq(at.0 + 1), Seq(seq.0 - 1), out);
                    at = seq;
                    out.push_back(Step::Parcel(at, Arc::new(parcel)));
                }
                Ok(Some(_)) => {}
                Ok(None) => {
                    miss(segments, Seq(at.0 + 1), last, out);
                    at = last;
                }
                Err(_) if !out.is_empty() => break,
                Err(_) => {
                    self.refused()?;
                    offset += UNREADABLE_BYTES;
                }
            }
        }
        self.refusals = 0;
        self.buffer = window.into_buffer();
        self.next = (at < last).then_some((at, offset));
        Ok(at)
    }

    fn refused(&mut self) -> Result<(), Refused> {
        self.gauges.read_failures.add(1);
        self.refusals += 1;
        if self.refusals <= REFUSALS_MAX { Err(Refused) } else { Ok(()) }
    }

    /// One parcel.
    pub(crate) fn read_one(&mut self, segments: &Segments, seq: Seq) -> Result<Arc<Parcel>, Damaged> {
        let mut steps = VecDeque::new();
        let before = Seq(seq.0.saturating_sub(1));
        let segment = segments.after(before);
        self.next = None;
        // For one parcel nobody waits: what cannot be read now is told as damaged.
        let _ = self.read(segments, before, &mut steps);
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
            Err(_) => None,
        }
    }
}

fn miss(segments: &Segments, first: Seq, last: Seq, out: &mut VecDeque<Step>) {
    let count = segments.committed(first, last);
    if count > 0 {
        out.push_back(Step::Missed(count, last));
    }
}

/// The next whole parcel at or after this place, which moves behind it. `None`: there is none.
fn next_frame(
    window: &mut Window<'_>,
    segment: &Segment,
    offset: &mut u64,
    gauges: &Gauges,
) -> io::Result<Option<(Seq, Parcel)>> {
    while *offset < segment.end() {
        let head =
            FrameHead::parse(window.get(*offset, FRAME_HEAD_BYTES)?).filter(|head| head.tag == segment.tag);
        let Some(head) = head else {
            *offset += search(window, *offset, segment.tag)?;
            continue;
        };
        if head.kind == FrameKind::Parcel {
            let payload = window.get(*offset + FRAME_HEAD_BYTES as u64, head.payload_bytes as usize)?;
            let sound =
                payload.len() == head.payload_bytes as usize && crc32c::crc32c(payload) == head.payload_crc;
            if let Some(parcel) = sound.then(|| decode(payload).ok()).flatten() {
                *offset += head.frame_bytes();
                return Ok(Some((head.seq, parcel)));
            }
            gauges.read_failures.add(1);
        }
        *offset += head.frame_bytes();
    }
    Ok(None)
}

/// How far on the next head may be.
fn search(window: &mut Window<'_>, offset: u64, tag: u64) -> io::Result<u64> {
    let bytes = window.get(offset, UNREADABLE_BYTES as usize)?;
    // A head may begin just before the end of what was searched.
    let all = bytes.len().saturating_sub(FRAME_HEAD_BYTES).max(FRAME_ALIGN).next_multiple_of(FRAME_ALIGN);
    Ok(find_head(bytes, tag).unwrap_or(all) as u64)
}
