//! The one writer: a state machine that is stepped by the committing thread, or by a simulation. It takes what waits,
//! writes it as one group, syncs, and tells the waiters and followers. No thread is made here and nothing sleeps.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use tidemill_core::{NotDurable, Seq, is_full};
use tidemill_ground::{Clock, Entropy, File};

use crate::cursor::CursorFile;
use crate::frame::{FRAME_HEAD_BYTES, FrameHead, FrameKind, SEGMENT_HEAD_BYTES, SegmentHead, frame_bytes};
use crate::front::{Entry, Taken, Waiting};
use crate::log::Shared;
use crate::recover::Run;
use crate::reserve::Reserves;
use crate::ring::Hot;
use crate::segment::{Blank, Segment};
use crate::settings::Settings;

/// A group is small if it has fewer parcels than this, and fewer bytes: then a sync costs more than what it makes durable.
const SMALL_GROUP_PARCELS: usize = 16;
const SMALL_GROUP_BYTES: u64 = 64 << 10;
/// Frames are gathered into writes of about this size.
const WRITE_BYTES: usize = 1 << 20;
/// After a failure the disk is tried again after so long, then twice as long, up to the longest.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(5);
/// An idle log says once on the disk how far it is durable, so that damage to the last group is told from a torn tail.
const MARK_AFTER: Duration = Duration::from_secs(1);
/// Cursors are written at most so often: each time costs a sync.
const CURSORS_EVERY: Duration = Duration::from_millis(50);

/// What the writer wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To be stepped again at once.
    Again,
    /// To be stepped when something new waits, or after so long.
    Sleep(Option<Duration>),
    /// Nothing any more: all is written and the log is closed.
    Stopped,
}

/// The segment that is written to.
pub(crate) struct Active {
    segment: Arc<Segment>,
    file: Arc<dyn File>,
    offset: u64,
    /// All of it was written before it became a segment.
    filled: bool,
}

/// Parcels of an earlier run that no mark covers: they are written again before anything else, and seen only then.
pub(crate) struct Tail {
    pub(crate) segment: Arc<Segment>,
    pub(crate) run: Run,
}

/// The writer. See [`crate::Log::open_stepped`].
pub struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) settings: Settings,
    pub(crate) dir: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) active: Option<Active>,
    pub(crate) tail: Option<Tail>,
    pub(crate) cursor_file: CursorFile,
    pub(crate) reserves: Reserves,
    pub(crate) next_id: u32,
    /// All up to here is durable: what the frames' marks say.
    pub(crate) mark: Seq,
    /// The mark that stands on the disk.
    pub(crate) mark_written: Seq,
    pub(crate) buffer: Vec<u8>,
    /// Parcels in the last group that wanted a sync.
    pub(crate) last_group: usize,
    pub(crate) waits: Waits,
    /// Held while the log is open, so that no other process opens it.
    pub(crate) _lock: Arc<dyn File>,
}

/// When what is due, in monotonic time.
#[derive(Default)]
pub(crate) struct Waits {
    pub(crate) opened_at: Duration,
    retry_at: Duration,
    retry_after: Duration,
    pub(crate) trouble: Option<Arc<str>>,
    /// The trouble is that there is no room for a segment.
    pub(crate) full: bool,
    unsynced_since: Option<Duration>,
    committed_at: Duration,
    cursors_at: Duration,
    cursors_retry: Duration,
}

impl Writer {
    /// Does what is due now.
    pub fn step(&mut self) -> Next {
        let now = self.clock.monotonic();
        let waiting = self.shared.front.look();
        if self.active.is_none() && now >= self.waits.retry_at {
            self.reopen(now, None);
        }
        if self.is_due(&waiting, now) {
            self.commit(now);
        }
        if self
            .waits
            .unsynced_since
            .is_some_and(|since| waiting.stopping || now >= since + self.settings.relaxed_window)
        {
            self.sync_relaxed(now);
        }
        self.mark_when_idle(now, waiting.stopping);
        self.write_cursors(now, waiting.stopping);
        self.housekeep(now);
        self.fill_ahead(now, waiting.stopping);
        if waiting.stopping {
            if self.shared.front.waiting().parcels > 0 {
                return Next::Again;
            }
            self.shared.close();
            return Next::Stopped;
        }
        Next::Sleep(self.until_due(&waiting, now))
    }

    /// How long to let more company come before the next group is written. Only when the last group was small but not
    /// lone: one who waits for each acknowledgement before the next append is never kept waiting. Measured with
    /// `--example bench` at 2,000 and 10,000 single records a second: 2 ms more of waiting brings the median wait down
    /// (6.3 to 2.6 ms and 5.7 to 2.7 ms where a sync takes about 2 ms), because fewer syncs queue up.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let waiting = self.shared.front.waiting();
        let small = (2..SMALL_GROUP_PARCELS).contains(&self.last_group) && waiting.bytes < SMALL_GROUP_BYTES;
        let pause = self.settings.commit_window;
        (small && waiting.commits > 0 && !waiting.stopping && !pause.is_zero()).then_some(pause)
    }

    fn is_due(&self, waiting: &Waiting, now: Duration) -> bool {
        let riding = waiting.oldest_ride.is_some_and(|since| now >= since + self.settings.ride_window);
        waiting.commits > 0
            || riding
            || (waiting.parcels > 0 && (waiting.logged == 0 || waiting.stopping || self.active.is_none()))
            || waiting.bytes >= self.settings.unsynced_bytes_max / 2
            || waiting.parcels >= crate::front::WAITING_PARCELS_MAX / 2
    }

    /// `waiting` is what the step saw: what came since ends the sleep by itself.
    fn until_due(&self, waiting: &Waiting, now: Duration) -> Option<Duration> {
        let ride = waiting.oldest_ride.map(|since| since + self.settings.ride_window);
        let relaxed = self.waits.unsynced_since.map(|since| since + self.settings.relaxed_window);
        let retry = self.active.is_none().then_some(self.waits.retry_at);
        let marked = self.mark_written >= self.mark || self.settings.relaxed || self.active.is_none();
        let mark = (!marked).then_some(self.waits.committed_at + MARK_AFTER);
        let cursors =
            self.shared.cursors.is_changed().then_some(self.waits.cursors_at.max(self.waits.cursors_retry));
        let keep = Some(self.reserves.check_at);
        let fill = self.reserves.fill_at(self.waits.committed_at);
        [ride, relaxed, retry, mark, cursors, keep, fill]
            .into_iter()
            .flatten()
            .min()
            .map(|at| at.saturating_sub(now))
    }

    /// Takes what waits and makes it durable as one group.
    fn commit(&mut self, now: Duration) {
        let Taken { entries, group } = self.shared.front.take();
        let logged: Vec<&Entry> = entries.iter().filter(|entry| entry.payload.is_some()).collect();
        self.last_group = logged.len();
        let outcome = if logged.is_empty() { Ok(()) } else { self.write(&logged, now) };
        // What is answered can be read from then on; those who follow are woken after those who wait for the answer.
        let followers = match outcome {
            Ok(()) => {
                let followers = self.publish(&entries, |_| true);
                group.resolve(Ok(()));
                let acknowledged = self.clock.monotonic();
                for since in entries.iter().filter_map(|entry| entry.since) {
                    let took = acknowledged.saturating_sub(since);
                    self.shared.gauges.acknowledge_seconds.observe(took.as_secs_f64());
                }
                self.waits.committed_at = now;
                followers
            }
            Err(why) => {
                group.resolve(Err(why));
                self.publish(&entries, |entry| entry.payload.is_none())
            }
        };
        followers.into_values().for_each(Waker::wake);
        self.shared.front.settle();
        self.shared
            .front
            .recycle(entries.into_iter().filter_map(|entry| entry.payload).map(|payload| payload.bytes));
    }

    /// Shows parcels to followers. One that is not in the log has the place of the durable one before it.
    fn publish(&self, entries: &[Entry], which: impl Fn(&Entry) -> bool) -> BTreeMap<u64, Waker> {
        let mut last = self.shared.ring.durable();
        self.shared.ring.publish(entries.iter().filter(|entry| which(entry)).map(|entry| {
            let logged = entry.payload.is_some();
            last = if logged { entry.seq } else { last };
            Hot { seq: last, logged, parcel: entry.parcel.clone() }
        }))
    }

    /// Writes a group and syncs it. After an error nothing of it counts, and the segment is never written again.
    fn write(&mut self, entries: &[&Entry], now: Duration) -> Result<(), NotDurable> {
        let bytes: u64 = entries.iter().map(|entry| frame_bytes(payload_bytes(entry))).sum();
        let full = |active: &Active| {
            active.offset > SEGMENT_HEAD_BYTES as u64 && active.offset + bytes > self.settings.segment_bytes
        };
        if self.active.as_ref().is_some_and(full) {
            self.rotate(now, entries.first().map(|entry| entry.seq));
        }
        let Some(mut active) = self.active.take() else {
            let why = self.waits.trouble.clone().unwrap_or_else(|| "no segment is open".into());
            return Err(if self.waits.full { NotDurable::Full(why) } else { NotDurable::Disk(why) });
        };
        match self.write_group(&mut active, entries, now) {
            Ok(()) => {
                self.active = Some(active);
                Ok(())
            }
            Err(error) => {
                self.abandon(now, &error.to_string().into());
                Err(NotDurable::of(&error))
            }
        }
    }

    fn write_group(&mut self, active: &mut Active, entries: &[&Entry], now: Duration) -> std::io::Result<()> {
        let gauges = self.shared.gauges.clone();
        let mut offset = active.offset;
        let mut last = self.mark;
        self.buffer.clear();
        for entry in entries {
            let Some(payload) = &entry.payload else { continue };
            active.segment.note(entry.seq, offset + self.buffer.len() as u64);
            let head = FrameHead {
                kind: FrameKind::Parcel,
                payload_bytes: payload.bytes.len() as u32,
                tag: active.segment.tag,
                seq: entry.seq,
                durable: self.mark,
                payload_crc: payload.crc,
            };
            append_frame(&mut self.buffer, &head, &payload.bytes);
            last = entry.seq;
            if self.buffer.len() >= WRITE_BYTES {
                self.flush_buffer(active, &mut offset)?;
            }
        }
        self.flush_buffer(active, &mut offset)?;
        // The mark in these frames is on the disk once they are.
        let marked = self.mark;
        if self.settings.relaxed {
            self.waits.unsynced_since.get_or_insert(now);
        } else {
            self.sync(active)?;
            self.mark = last;
            self.mark_written = marked;
        }
        gauges.groups.add(1);
        gauges.group_parcels.observe(entries.len() as f64);
        gauges.bytes.add(offset - active.offset);
        active.offset = offset;
        active.segment.serve(last, offset);
        Ok(())
    }

    fn flush_buffer(&mut self, active: &Active, offset: &mut u64) -> std::io::Result<()> {
        let written = active.file.write_at(&self.buffer, *offset);
        if written.is_err() {
            self.shared.gauges.write_failures.add(1);
        }
        *offset += self.buffer.len() as u64;
        self.buffer.clear();
        written
    }

    fn sync(&self, active: &Active) -> std::io::Result<()> {
        let began = self.clock.monotonic();
        let synced = active.file.sync_data();
        self.shared.gauges.sync_seconds.observe((self.clock.monotonic() - began).as_secs_f64());
        if synced.is_err() {
            self.shared.gauges.sync_failures.add(1);
        }
        synced
    }

    /// Makes durable what a relaxed log has acknowledged.
    fn sync_relaxed(&mut self, now: Duration) {
        let Some(active) = self.active.take() else {
            self.waits.unsynced_since = None;
            return;
        };
        match self.sync(&active) {
            Ok(()) => {
                self.mark = active.segment.last().max(self.mark);
                self.active = Some(active);
                self.waits.unsynced_since = None;
            }
            Err(error) => self.abandon(now, &error.to_string().into()),
        }
    }

    /// Says on the disk how far the log is durable, when there is nothing else to write.
    fn mark_when_idle(&mut self, now: Duration, stopping: bool) {
        let idle = now >= self.waits.committed_at + MARK_AFTER;
        if self.mark_written >= self.mark || !(idle || stopping) || self.waits.unsynced_since.is_some() {
            return;
        }
        let Some(mut active) = self.active.take() else { return };
        let head = FrameHead {
            kind: FrameKind::Mark,
            payload_bytes: 0,
            tag: active.segment.tag,
            seq: self.mark,
            durable: self.mark,
            payload_crc: 0,
        };
        self.buffer.clear();
        append_frame(&mut self.buffer, &head, &[]);
        let mut offset = active.offset;
        match self.flush_buffer(&active, &mut offset).and_then(|()| self.sync(&active)) {
            Ok(()) => {
                active.offset = offset;
                self.mark_written = self.mark;
                active.segment.serve(active.segment.last(), offset);
                self.active = Some(active);
            }
            Err(error) => self.abandon(now, &error.to_string().into()),
        }
    }

    /// Goes over to a new segment. The old one is whole on the disk before that.
    fn rotate(&mut self, now: Duration, next: Option<Seq>) {
        if self.waits.unsynced_since.is_some() {
            self.sync_relaxed(now);
        }
        if self.active.take().is_some() {
            self.reopen(now, next);
        }
    }

    /// Gives the segment up and opens another, or refuses until one can be opened.
    fn abandon(&mut self, now: Duration, why: &Arc<str>) {
        self.active = None;
        self.waits.unsynced_since = None;
        self.waits.trouble = Some(why.clone());
        self.reopen(now, None);
    }

    /// Opens a segment. `next` is the first parcel that will stand in it, if that was taken from the queue already.
    pub(crate) fn reopen(&mut self, now: Duration, next: Option<Seq>) {
        match self.open_segment(next) {
            Ok(active) => {
                self.active = Some(active);
                self.waits.trouble = None;
                self.waits.retry_after = Duration::ZERO;
            }
            Err(error) => {
                let longer = (self.waits.retry_after * 2).clamp(RETRY_FIRST, RETRY_LONGEST);
                self.waits.retry_after = longer;
                self.waits.retry_at = now + longer;
                self.waits.full = is_full(&error);
                self.waits.trouble = Some(error.to_string().into());
                self.reserves.measure();
                let refusal = self.no_segment();
                self.shared.front.refuse(Some(refusal));
            }
        }
    }

    fn open_segment(&mut self, next: Option<Seq>) -> std::io::Result<Active> {
        let disk = self.shared.disk.clone();
        let frames = self.tail.as_ref().map_or(Ok(Vec::new()), |tail| self.read_tail(tail))?;
        // A relaxed log has served more than what is synced.
        let last = |all: &mut Vec<Arc<Segment>>| {
            all.iter().filter(|one| !one.is_empty()).map(|one| one.last()).max()
        };
        let served = self.shared.segments.with(last);
        let kept = served.unwrap_or(self.mark).max(self.mark);
        let id = self.next_id;
        self.next_id = id.saturating_add(1);
        let tag = self.entropy.number() << 32 | u64::from(id);
        let durable = self.tail.as_ref().map_or(kept, |tail| tail.run.last);
        let skipped =
            self.tail.as_ref().map_or(0, |tail| tail.run.first.0.saturating_sub(kept.0.saturating_add(1)));
        let head = SegmentHead {
            tag,
            kept,
            durable,
            next: next.unwrap_or_else(|| self.shared.front.next_to_write()),
            opened: self.clock.wall(),
            skipped: u32::try_from(skipped).unwrap_or(u32::MAX),
            reused: false,
            relaxed: self.settings.relaxed,
        };
        let frames = retag(&frames, tag, kept);
        let blank: Blank = self.reserves.blank()?;
        let filled = blank.is_filled(self.settings.segment_bytes);
        let (file, path) = blank.become_segment(disk.as_ref(), &self.dir, head, &frames)?;
        let (first, last) = match &self.tail {
            Some(tail) => (tail.run.first, tail.run.last),
            None => (head.next, Seq(head.next.0.saturating_sub(1))),
        };
        let end = SEGMENT_HEAD_BYTES as u64 + frames.len() as u64;
        let segment = Arc::new(Segment::new(path, id, &head, first, last, end));
        self.mark = self.mark.max(durable);
        self.mark_written = self.mark;
        self.shared.segments.with(|all| all.push(segment.clone()));
        if let Some(tail) = self.tail.take() {
            self.shared.ring.show_disk(tail.run.last);
        }
        Ok(Active { segment, file, offset: end, filled })
    }

    fn read_tail(&self, tail: &Tail) -> std::io::Result<Vec<u8>> {
        let file = self.shared.disk.open(&tail.segment.path, tidemill_ground::Open::Read)?;
        let len = tail.run.bytes.end - tail.run.bytes.start;
        let mut bytes = vec![0; len as usize];
        tidemill_ground::read_exact_at(file.as_ref(), &mut bytes, tail.run.bytes.start)?;
        // Frames of the run that the mark covers stay where they are.
        let mut at = 0;
        while let Some(head) = bytes.get(at..).and_then(FrameHead::parse) {
            if head.kind == FrameKind::Parcel && head.seq >= tail.run.first {
                break;
            }
            at += head.frame_bytes() as usize;
        }
        Ok(bytes.split_off(at.min(bytes.len())))
    }

    /// Makes the next segment one that is written over: when idle, or when it falls behind the open one.
    fn fill_ahead(&mut self, now: Duration, stopping: bool) {
        let used = self.active.as_ref().map_or(0, |active| active.offset);
        let idle = self.reserves.fill_at(self.waits.committed_at).is_some_and(|at| now >= at);
        if !stopping && (idle || self.reserves.is_behind(used)) {
            self.reserves.fill_ahead(now, used);
        }
        // The first segment of a log had nothing before it, and one that was begun in haste may have had little.
        if idle
            && self.reserves.is_filled(&self.settings)
            && self.active.as_ref().is_some_and(|active| !active.filled)
        {
            self.rotate(now, None);
            self.reserves.trim_now = true;
        }
    }

    fn write_cursors(&mut self, now: Duration, stopping: bool) {
        if !stopping && now < self.waits.cursors_at.max(self.waits.cursors_retry) {
            return;
        }
        let Some((saved, group)) = self.shared.cursors.take_changed() else { return };
        self.waits.cursors_at = now + CURSORS_EVERY;
        match self.cursor_file.write(&saved) {
            Ok(()) => {
                self.shared.cursors.written(&saved);
                group.resolve(Ok(()));
                self.waits.cursors_retry = Duration::ZERO;
                self.reserves.trim_now = true;
            }
            Err(error) => {
                self.shared.cursors.not_written();
                self.waits.cursors_retry = now + RETRY_FIRST;
                group.resolve(Err(NotDurable::of(&error)));
            }
        }
    }

    /// Bytes that the open segment still takes; `None` when none is open.
    pub(crate) fn room_left(&self) -> Option<u64> {
        self.active.as_ref().map(|active| self.settings.segment_bytes.saturating_sub(active.offset))
    }

    /// Leaves a segment that was made of the reserve, now that there is room for a common one.
    pub(crate) fn leave_reserve(&mut self, now: Duration) {
        self.rotate(now, None);
    }
}

fn payload_bytes(entry: &Entry) -> u64 {
    entry.payload.as_ref().map_or(0, |payload| payload.bytes.len() as u64)
}

fn append_frame(buffer: &mut Vec<u8>, head: &FrameHead, payload: &[u8]) {
    let start = buffer.len();
    buffer.extend_from_slice(&head.to_bytes());
    buffer.extend_from_slice(payload);
    buffer.resize(start + head.frame_bytes() as usize, 0);
}

/// The same parcels as frames of another segment. Their mark is where earlier segments end: should that segment's head be
/// damaged, its first frame says so. Mark frames are left out: the new head says more.
fn retag(frames: &[u8], tag: u64, durable: Seq) -> Vec<u8> {
    let mut out = Vec::with_capacity(frames.len());
    let mut at = 0;
    while let Some(head) = frames.get(at..).and_then(FrameHead::parse) {
        let payload = at + FRAME_HEAD_BYTES;
        if let Some(payload) = frames.get(payload..payload + head.payload_bytes as usize)
            && head.kind == FrameKind::Parcel
        {
            append_frame(&mut out, &FrameHead { tag, durable, ..head }, payload);
        }
        at += head.frame_bytes() as usize;
    }
    out
}
