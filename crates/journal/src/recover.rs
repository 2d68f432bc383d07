//! What to believe of the files after a crash. Reads every segment once, checks every checksum, decodes nothing, changes
//! nothing. The rules are those of docs/spec/journal.md, "What is believed".
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::io;
use std::ops::Range;

use tidemill_core::{Damaged, Seq};
use tidemill_ground::File;

use crate::frame::{
    BadHead, FRAME_ALIGN, FRAME_HEAD_BYTES, FrameHead, FrameKind, SEGMENT_HEAD_BYTES, SegmentHead, find_head,
    id_of,
};
use crate::segment::{INDEX_EVERY_BYTES, name_of};
use crate::window::Window;

/// Whole frames one after the other, with numbers one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: Seq,
    pub(crate) last: Seq,
    pub(crate) bytes: Range<u64>,
}

/// What stands in one segment.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) id: u32,
    pub(crate) head: Option<SegmentHead>,
    /// What its frames say of a head that is not sound.
    inferred: Option<SegmentHead>,
    pub(crate) tag: u64,
    pub(crate) runs: Vec<Run>,
    /// The highest durable mark in it.
    pub(crate) mark: Seq,
    /// The mark of its first frame.
    first_mark: Option<Seq>,
    /// The highest number in any sound head, whether or not its payload is sound.
    pub(crate) highest: Seq,
    pub(crate) len: u64,
    /// Where what was written to it ends: in a reused file behind the last sound head and what belongs to it.
    pub(crate) end: u64,
    pub(crate) index: Vec<(Seq, u64)>,
    /// Bytes that the disk would not read.
    pub(crate) unreadable: u64,
}

/// The segment is of a later format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Newer(pub(crate) u32);

/// Reads a whole segment. A file that cannot be read is a segment in which nothing stands.
pub(crate) fn scan(id: u32, file: &dyn File) -> Result<Scan, Newer> {
    let len = file.len().unwrap_or(0);
    let mut window = Window::new(file, len);
    let head = match window.get(0, SEGMENT_HEAD_BYTES).map(SegmentHead::parse) {
        Ok(Ok(head)) if head.id() == id => Some(head),
        Ok(Err(BadHead::Newer(format))) => return Err(Newer(format)),
        _ => None,
    };
    let start = SEGMENT_HEAD_BYTES as u64;
    // Without its head, the segment's first frame says what its frames carry.
    let first = window.get(start, FRAME_HEAD_BYTES).ok().and_then(FrameHead::parse);
    let first = first.filter(|frame| head.is_none() && id_of(frame.tag) == id);
    let tag = head.map(|head| head.tag).or(first.map(|frame| frame.tag)).unwrap_or(0);
    let mark = head.map_or(Seq(0), |head| head.durable);
    let highest = head.map_or(Seq(0), |head| Seq(head.next.0.saturating_sub(1).max(head.durable.0)));
    let mut scan = Scan {
        id,
        head,
        inferred: first.map(|frame| SegmentHead::of_first(&frame)),
        tag,
        runs: Vec::new(),
        mark,
        first_mark: None,
        highest,
        len,
        // Where no head says that the file was new, it is taken for one that had bytes before.
        end: if head.is_some_and(|head| !head.reused) { len } else { len.min(start) },
        index: Vec::new(),
        unreadable: 0,
    };
    if tag != 0 {
        scan.walk(&mut window, start);
    }
    Ok(scan)
}

impl Scan {
    fn walk(&mut self, window: &mut Window<'_>, start: u64) {
        let mut offset = start;
        while offset < self.len {
            match self.frame(window, offset) {
                Ok(Some(next)) => offset = next,
                Ok(None) => match self.search(window, offset) {
                    Some(found) => offset = found,
                    None => return,
                },
                Err(_) => {
                    let step = UNREADABLE_BYTES.min(self.len.saturating_sub(offset));
                    self.unreadable = self.unreadable.saturating_add(step);
                    offset = offset.saturating_add(UNREADABLE_BYTES);
                }
            }
        }
    }

    /// Takes the frame at this place, and says where the next one begins; `None` where no frame is.
    fn frame(&mut self, window: &mut Window<'_>, offset: u64) -> io::Result<Option<u64>> {
        let head =
            FrameHead::parse(window.get(offset, FRAME_HEAD_BYTES)?).filter(|head| head.tag == self.tag);
        let Some(head) = head else { return Ok(None) };
        // A torn tail may lack the padding, and a length may be a lie.
        let next = offset.saturating_add(head.frame_bytes()).min(self.len);
        self.end = self.end.max(next);
        self.mark = self.mark.max(head.durable);
        self.first_mark.get_or_insert(head.durable);
        if head.kind == FrameKind::Mark {
            if let Some(run) = self.runs.last_mut().filter(|run| run.bytes.end == offset) {
                run.bytes.end = next;
            }
            return Ok(Some(next));
        }
        let repeated = self.highest_parcel().is_some_and(|highest| head.seq <= highest);
        self.highest = self.highest.max(head.seq);
        let payload_at = offset.saturating_add(FRAME_HEAD_BYTES as u64);
        let payload_bytes = usize::try_from(head.payload_bytes).unwrap_or(usize::MAX);
        if payload_at.saturating_add(u64::from(head.payload_bytes)) > self.len {
            return Ok(None);
        }
        let sound = crc32c::crc32c(window.get(payload_at, payload_bytes)?) == head.payload_crc;
        if sound && !repeated {
            self.keep(head.seq, offset, next);
        }
        Ok(Some(next))
    }

    fn highest_parcel(&self) -> Option<Seq> {
        self.runs.last().map(|run| run.last)
    }

    fn keep(&mut self, seq: Seq, offset: u64, next: u64) {
        if self.index.last().is_none_or(|(_, at)| offset >= at.saturating_add(INDEX_EVERY_BYTES)) {
            self.index.push((seq, offset));
        }
        self.infer_jump(seq, offset);
        match self.runs.last_mut() {
            Some(run) if run.bytes.end == offset && run.last.0.checked_add(1) == Some(seq.0) => {
                run.last = seq;
                run.bytes.end = next;
            }
            _ => self.runs.push(Run { first: seq, last: seq, bytes: offset..next }),
        }
    }

    /// Numbers that leap where nothing stands between leap at the opening, as the head would say.
    fn infer_jump(&mut self, seq: Seq, offset: u64) {
        let (Some(head), Some(run)) = (&mut self.inferred, self.runs.last()) else { return };
        if head.durable == head.kept && run.bytes.end == offset && after(run.last) < seq {
            let skipped = head.next.0.saturating_sub(head.kept.0).saturating_sub(1);
            head.skipped = u32::try_from(skipped).unwrap_or(u32::MAX);
            (head.durable, head.next) = (run.last, seq);
        }
    }

    /// Its head, or what its frames say of it.
    pub(crate) fn best_head(&self) -> Option<SegmentHead> {
        self.head.or(self.inferred)
    }

    /// Whether something stands in it without a sound head. A segment gets its name only once its head is on the disk.
    pub(crate) fn is_beheaded(&self) -> bool {
        self.head.is_none() && self.len >= SEGMENT_HEAD_BYTES as u64
    }

    /// The next place after `offset` where a head of this segment stands.
    fn search(&mut self, window: &mut Window<'_>, offset: u64) -> Option<u64> {
        let mut from = offset.saturating_add(FRAME_ALIGN as u64);
        while from < self.len {
            let want = SEARCH_BYTES.min(usize::try_from(self.len.saturating_sub(from)).unwrap_or(usize::MAX));
            match window.get(from, want) {
                Ok(bytes) => {
                    if let Some(found) = find_head(bytes, self.tag) {
                        return from.checked_add(found as u64);
                    }
                }
                Err(_) => self.unreadable = self.unreadable.saturating_add(want as u64),
            }
            // A head may begin just before the end of what was searched.
            let step = want.saturating_sub(FRAME_HEAD_BYTES).next_multiple_of(FRAME_ALIGN).max(FRAME_ALIGN);
            from = from.saturating_add(step as u64);
        }
        None
    }

    /// Up to where earlier segments count.
    fn kept(&self) -> Option<Seq> {
        self.head.map(|head| head.kept).or(self.first_mark)
    }

    /// The first number that belongs here.
    fn start(&self) -> Option<Seq> {
        self.head.map(|head| head.first())
    }
}

/// After a read error the scan goes on so much further.
const UNREADABLE_BYTES: u64 = 4096;
const SEARCH_BYTES: usize = 256 << 10;

fn after(seq: Seq) -> Seq {
    Seq(seq.0.saturating_add(1))
}

fn before(seq: Seq) -> Seq {
    Seq(seq.0.saturating_sub(1))
}

/// What of the log is believed.
#[derive(Debug, Default)]
pub(crate) struct Belief {
    /// Runs to serve, by segment in the order of the scans.
    pub(crate) served: Vec<Vec<Run>>,
    /// The highest durable mark seen.
    pub(crate) durable: Seq,
    /// Whole parcels above the mark: the segment's place in the order of the scans, and the run. Must be written again
    /// before anything else is.
    pub(crate) tail: Option<(usize, Run)>,
    /// The highest number seen anywhere.
    pub(crate) highest: Seq,
    pub(crate) damage: Vec<Damaged>,
    /// Bytes above the mark that are no whole parcels.
    pub(crate) cut_bytes: u64,
}

/// Decides what to believe. `scans` in the order of their numbers; `done`: the engines need nothing up to here, and everything
/// after it, where that is known.
pub(crate) fn believe(scans: &[Scan], done: Option<Seq>) -> Belief {
    let durable = scans.iter().map(|scan| scan.mark).max().unwrap_or_default();
    let highest = scans.iter().map(|scan| scan.highest.max(scan.mark)).max().unwrap_or_default();
    let mut belief = Belief { durable, highest, ..Belief::default() };
    let mut cap = Seq(u64::MAX);
    let mut served: Vec<Vec<Run>> = Vec::with_capacity(scans.len());
    for scan in scans.iter().rev() {
        served.push(scan.runs.iter().filter_map(|run| capped(run, cap)).collect());
        cap = scan.kept().map_or(cap, |kept| kept.min(cap));
    }
    served.reverse();
    belief.served = served;
    belief.split_tail(scans);
    belief.find_damage(scans, done);
    belief
}

fn capped(run: &Run, cap: Seq) -> Option<Run> {
    (run.first <= cap).then(|| Run { last: run.last.min(cap), ..run.clone() })
}

impl Belief {
    /// Above the mark, what is whole up to the first break is the tail; the rest is cut.
    fn split_tail(&mut self, scans: &[Scan]) {
        let mut wanted = after(self.durable);
        for head in scans.iter().filter_map(Scan::best_head) {
            for (from, to) in head.void() {
                if from <= wanted && wanted < to {
                    wanted = to;
                }
            }
        }
        for (place, runs) in self.served.iter_mut().enumerate() {
            for run in runs.iter_mut().filter(|run| run.last > self.durable) {
                if run.first <= wanted && wanted <= run.last && self.tail.is_none() {
                    self.tail = Some((place, Run { first: wanted, ..run.clone() }));
                }
                run.last = run.last.min(self.durable);
            }
            runs.retain(|run| run.first <= run.last);
        }
        let end = self.tail.as_ref().map(|(place, run)| (*place, run.bytes.end));
        if let Some(last) = scans.last() {
            let from = match end {
                Some((place, end)) if place.saturating_add(1) == scans.len() => end,
                Some(_) => last.end,
                None => last
                    .runs
                    .iter()
                    .filter(|run| run.first <= self.durable)
                    .map(|run| run.bytes.end)
                    .max()
                    .unwrap_or(last.end.min(SEGMENT_HEAD_BYTES as u64)),
            };
            self.cut_bytes = last.end.saturating_sub(from);
        }
    }

    /// Numbers up to the mark that nobody has and that an engine has not done with.
    fn find_damage(&mut self, scans: &[Scan], done: Option<Seq>) {
        let Some(first) = scans.first() else { return };
        let wanted = after(done.unwrap_or_default());
        let mut expected = first.start().unwrap_or(wanted);
        if done.is_some() {
            // Nothing goes before every engine has done with it: what comes before the first segment was in one that is gone.
            self.gap(scans, wanted, before(expected));
        }
        let runs: Vec<Run> = self.served.iter().flatten().cloned().collect();
        for run in runs {
            self.gap(scans, expected, before(run.first));
            expected = expected.max(after(run.last));
        }
        self.gap(scans, expected, self.durable);
        self.damage.retain(|range| range.last >= wanted);
    }

    /// A log that was synced before it answered ends before the place that a cursor had reached: what told of more is damaged or
    /// gone. Tells what an engine still needs of it.
    pub(crate) fn find_lost_end(&mut self, scans: &[Scan], done: Option<Seq>, reached: Seq) {
        if reached <= self.highest {
            return;
        }
        // Up to there everything is with the engines, or told: one that writes its own place down must not go back behind it.
        if self.tail.is_none() {
            self.durable = reached;
        }
        self.gap(scans, after(self.highest.max(done.unwrap_or_default())), reached);
    }

    /// Segments without a sound head, but for those of which more is told.
    pub(crate) fn beheaded(&self, scans: &[Scan]) -> Vec<String> {
        let names = scans.iter().filter(|scan| scan.is_beheaded()).map(|scan| name_of(scan.id));
        names.filter(|name| self.damage.iter().all(|range| range.segment != *name)).collect()
    }

    /// Tells of a gap, less the numbers that are void, and says in which file it is.
    fn gap(&mut self, scans: &[Scan], first: Seq, last: Seq) {
        if last < first {
            return;
        }
        let mut pieces = vec![(first, last)];
        for head in scans.iter().filter_map(Scan::best_head) {
            for void in head.void() {
                pieces = pieces.into_iter().flat_map(|piece| without(piece, void)).collect();
            }
        }
        for (first, last) in pieces {
            let (id, bytes) = owner(scans, first, last);
            let (from, to) = (bytes.start, bytes.end.max(bytes.start));
            self.damage.push(Damaged { segment: name_of(id), from, to, first, last });
        }
    }
}

/// The file that these numbers stood in, most likely, and where.
fn owner(scans: &[Scan], first: Seq, last: Seq) -> (u32, Range<u64>) {
    let begins = |scan: &Scan| scan.start().is_some_and(|start| start <= first);
    let earlier = || scans.first().filter(|scan| scan.head.is_some())?.id.checked_sub(1);
    let place = match scans.iter().rposition(begins) {
        Some(place) => place,
        None => match earlier() {
            Some(missing) => return (missing, 0..0),
            None => 0,
        },
    };
    let mut behind = scans.get(place..).unwrap_or_default().iter();
    let Some(mut scan) = behind.next() else { return (0, 0..0) };
    if let Some(next) = behind.next() {
        let ends_well = scan.runs.last().is_some_and(|run| run.bytes.end == scan.end && run.last < first);
        if next.head.is_none() && (ends_well || scan.head.is_none()) {
            scan = next;
        } else if ends_well && let Some(missing) = scan.id.checked_add(1).filter(|id| *id < next.id) {
            return (missing, 0..0);
        }
    }
    let from =
        scan.runs.iter().rfind(|run| run.last < first).map_or(SEGMENT_HEAD_BYTES as u64, |run| run.bytes.end);
    let to = scan.runs.iter().find(|run| run.first > last).map_or(scan.len, |run| run.bytes.start);
    (scan.id, from..to)
}

/// A range of numbers without those from `void.0` up to, but not including, `void.1`.
fn without((first, last): (Seq, Seq), void: (Seq, Seq)) -> Vec<(Seq, Seq)> {
    if void.1 <= void.0 {
        return vec![(first, last)];
    }
    let (low, high) = ((first, last.min(before(void.0))), (first.max(void.1), last));
    [low, high].into_iter().filter(|(first, last)| first <= last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FrameHead;
    use tidemill_ground::{Ground, Open};

    #[test]
    fn a_length_that_lies_leads_nobody_beyond_the_file() {
        let (ground, _) = Ground::simulated(1);
        let (tag, durable) = (1, Seq(0));
        let segment = SegmentHead { tag, next: Seq(1), ..SegmentHead::default() };
        let payload_crc = crc32c::crc32c(b"12345678");
        let parcel =
            FrameHead { kind: FrameKind::Parcel, payload_bytes: 8, tag, seq: Seq(1), durable, payload_crc };
        let mark = FrameHead { kind: FrameKind::Mark, payload_bytes: 3 << 30, ..parcel };
        let bytes = [&segment.to_bytes()[..], &parcel.to_bytes(), b"12345678", &mark.to_bytes()].concat();
        let file = ground.disk.open(std::path::Path::new("/segment"), Open::CreateNew).unwrap();
        file.write_at(&bytes, 0).unwrap();
        let scan = scan(1, file.as_ref()).unwrap_or_else(|newer| panic!("{newer:?}"));
        let run = scan.runs.last().expect("the parcel is sound");
        assert_eq!((run.first, run.last), (Seq(1), Seq(1)));
        assert_eq!((run.bytes.end, scan.end), (bytes.len() as u64, bytes.len() as u64));
    }
}
