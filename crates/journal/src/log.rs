//! The log as the house uses it: opening, the traits of `core`, the committing thread, and stopping.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use bytes::Bytes;
use tidemill_core::{
    Boxed, Busy, Commit, CursorId, Damaged, Durability, Epoch, Feed, Hold, Journal, Parcel, Seq,
};
use tidemill_ground::{Disk, Entry, File, Ground, Open, Phase, Space};

use crate::copy::Copies;
use crate::cursor::{CursorFile, Cursors};
use crate::damage::Damage;
use crate::error::Error;
use crate::examine::Memory;
use crate::feed::Follower;
use crate::fill::Filler;
use crate::frame::{FORMAT, SEQ_MAX};
use crate::front::Front;
use crate::gauges::Gauges;
use crate::reader::{Reader, Segments};
use crate::recover::{self, Belief, Scan};
use crate::reserve::Reserves;
use crate::ring::Ring;
use crate::segment::{Segment, id_in, name_of};
use crate::settings::Settings;
use crate::writer::{Next, Tail, Waits, Writer};

/// Everything that appenders, followers and the writer share.
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    settings: Settings,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) front: Front,
    pub(crate) ring: Ring,
    pub(crate) segments: Segments,
    pub(crate) cursors: Cursors,
    pub(crate) lent: AtomicBool,
    pub(crate) copies: Copies,
    damage: Mutex<Damage>,
    cut_bytes: u64,
    epoch: Epoch,
    /// The highest number that the files knew of at the opening, and the first that was given since.
    ended: Seq,
    begins: Seq,
    /// Whether what it opened was acknowledged before it was synced.
    relaxed: bool,
    /// The highest number that an engine knew of.
    recalled: AtomicU64,
    stopped: Mutex<bool>,
    stop: Condvar,
}

impl Shared {
    pub(crate) fn is_reserve_lent(&self) -> bool {
        self.lent.load(Ordering::Acquire)
    }

    /// See [`Journal::is_past`].
    fn is_past(&self, place: Seq) -> bool {
        if place >= self.begins {
            return place <= self.ring.durable();
        }
        self.recalled.fetch_max(place.0, Ordering::AcqRel);
        let lost = self.lost().map_or(0, |(first, last)| last.0 - first.0 + 1);
        self.gauges.lost_parcels.set(i64::try_from(lost).unwrap_or(i64::MAX));
        true
    }

    /// The last parcel that is there up to a place: none comes between the end of what was opened and what began with it, so
    /// who knows of more, which the log lost, waits for nothing there.
    fn there(&self, place: Seq) -> Seq {
        if place < self.begins { place.min(self.ended) } else { place }
    }

    fn lost(&self) -> Option<(Seq, Seq)> {
        let last = Seq(self.recalled.load(Ordering::Acquire));
        (last > self.ended).then(|| (Seq(self.ended.0 + 1), last))
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        self.ring.close();
        self.cursors.close();
    }

    /// What cannot be read, or could not be and was gone past.
    pub(crate) fn damage(&self) -> Vec<Damaged> {
        let damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner).all();
        self.gauges.damage_ranges.set(damage.len() as i64);
        damage
    }

    fn first(&self) -> Seq {
        self.segments.first().unwrap_or_else(|| Seq(self.ring.durable().0 + 1))
    }

    fn show_segments(&self) {
        let (count, bytes) =
            self.segments.with(|all| (all.len(), all.iter().map(|one| one.end()).sum::<u64>()));
        self.gauges.segments.set(count as i64);
        self.gauges.segment_bytes.set(bytes as i64);
    }
}

/// The durable append log in one folder.
///
/// Whoever must not lose anything says so before it follows: [`Journal::hold`] makes its cursor, durably, and from then on
/// nothing after the cursor's place is trimmed within the hold's limits. A cursor that only followed or advanced holds
/// back at most [`crate::settings::HOLD_BYTES_MAX`] and is then moved forward. Reading from disk happens on the thread
/// that polls, and on one that reads ahead for a follower that stays behind.
pub struct Log {
    shared: Arc<Shared>,
    /// Whether a committing thread will say when it is done.
    threaded: bool,
}

impl Log {
    /// Opens the log in this folder, which is made if it is not there, and starts the committing thread.
    ///
    /// # Errors
    /// Another process has it, a file is of a later format, or the folder cannot be used at all. Damage and a full disk
    /// are no errors: see [`Journal::damage`] and `Busy`.
    pub fn open(ground: &Ground, dir: &Path, settings: Settings) -> Result<Arc<Log>, Error> {
        let ahead_bytes = settings.unsynced_bytes_max;
        let mut writer = open(ground, dir, settings)?;
        // What one group may take of the open segment, the next one has before.
        writer.reserves.filler = Filler::start(&ground.tasks, ahead_bytes)?;
        let shared = writer.shared.clone();
        let log = Arc::new(Log { shared: shared.clone(), threaded: true });
        ground.tasks.spawn("journal", Phase::Log, move |stop| {
            let front = shared.clone();
            stop.on_stop(move || front.front.stop());
            let ended = Ended(shared);
            writer.run();
            drop(writer);
            drop(ended);
        })?;
        Ok(log)
    }

    /// Opens the log without a thread: whoever holds the writer steps it. For simulations.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_stepped(
        ground: &Ground,
        dir: &Path,
        settings: Settings,
    ) -> Result<(Arc<Log>, Writer), Error> {
        let writer = open(ground, dir, settings)?;
        Ok((Arc::new(Log { shared: writer.shared.clone(), threaded: false }), writer))
    }

    /// Writes and syncs what waits, then closes: appends are refused, followers get `Closed`. Returns when it is done; at
    /// once where no thread commits, for then it is done by the steps that follow.
    pub fn stop(&self) {
        self.shared.front.stop();
        let stopped = self.shared.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.shared.stop.wait_while(stopped, |stopped| !*stopped && self.threaded));
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Why samples would be refused now, if they would: for who asks how the plant is, before anybody writes.
    pub fn refuses_samples(&self) -> Option<Busy> {
        self.shared.front.refuses_samples()
    }

    /// How many bytes behind the last whole parcel were cut when the log was opened: the rest of a write that a crash
    /// interrupted. Nothing of them was ever acknowledged.
    pub fn cut_bytes(&self) -> u64 {
        self.shared.cut_bytes
    }

    /// The parcels, from the first to the last, that were in the log once, as a cursor or an engine knows, and are not any
    /// more. A relaxed log loses its end at a power cut; one that is not loses nothing unless its files were exchanged.
    pub fn lost(&self) -> Option<(Seq, Seq)> {
        self.shared.lost()
    }

    /// Whether what it opened was acknowledged before it was synced: then what is lost went at a power cut, else by damage.
    pub fn is_relaxed(&self) -> bool {
        self.shared.relaxed
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shared.front.stop();
    }
}

/// Tells who waits for the end, also when the writer panicked.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.close();
        *self.0.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.stop.notify_all();
    }
}

impl Journal for Log {
    fn append(&self, parcel: Arc<Parcel>, durability: Durability) -> Result<Commit, Busy> {
        self.shared.front.append(parcel, durability)
    }

    fn durable(&self) -> Seq {
        self.shared.ring.durable()
    }

    fn follow(&self, cursor: CursorId, from: Option<Seq>) -> Box<dyn Feed> {
        let begin = Seq(self.shared.first().0.saturating_sub(1));
        let saved = self.shared.cursors.get(cursor.0).map(|saved| saved.place);
        let after = self.shared.there(from.or(saved).unwrap_or(begin));
        // A new one that asks for what is gone is told so, and waits for nothing before what is there.
        if self.shared.cursors.register(cursor.0, after.max(begin), None) {
            self.shared.front.call();
        }
        Box::new(Follower::new(self.shared.clone(), after, self.threaded))
    }

    fn read<'a>(&'a self, seq: Seq) -> Boxed<'a, Result<Arc<Parcel>, Damaged>> {
        Box::pin(async move {
            match self.shared.ring.find(seq) {
                Some(parcel) => Ok(parcel),
                None => {
                    let mut reader = Reader::new(self.shared.disk.clone(), self.shared.gauges.clone());
                    reader.read_one(&self.shared.segments, seq).map_err(|error| {
                        let known =
                            self.damage().into_iter().find(|range| range.first <= seq && seq <= range.last);
                        known.unwrap_or(error)
                    })
                }
            }
        })
    }

    fn advance(&self, cursor: CursorId, upto: Seq, note: Bytes) -> Commit {
        let begin = Seq(self.shared.first().0.saturating_sub(1));
        let commit = self.shared.cursors.advance(cursor.0, upto.min(self.durable()), note, begin);
        self.shared.front.call();
        commit
    }

    fn cursor(&self, cursor: CursorId) -> Option<(Seq, Bytes)> {
        self.shared
            .cursors
            .get(cursor.0)
            .filter(|saved| saved.advanced)
            .map(|saved| (saved.place, saved.note))
    }

    fn hold(&self, cursor: CursorId, limit: Hold) {
        let begin = Seq(self.shared.first().0.saturating_sub(1));
        if self.shared.cursors.register(cursor.0, begin, Some(limit)) {
            self.shared.front.call();
        }
    }

    fn first(&self) -> Seq {
        self.shared.first()
    }

    fn is_past(&self, place: Seq) -> bool {
        self.shared.is_past(place)
    }

    fn lost(&self) -> Option<(Seq, Seq)> {
        self.shared.lost()
    }

    fn is_relaxed(&self) -> bool {
        self.shared.relaxed
    }

    fn lend_reserve(&self) -> bool {
        self.shared.lend()
    }

    fn return_reserve(&self) {
        self.shared.lent.store(false, Ordering::Release);
    }

    fn wants_room(&self) -> bool {
        let Shared { disk, dir, settings, .. } = &*self.shared;
        let low = |space: Space| space.free_bytes < settings.room_wanted_bytes(&**disk, dir);
        matches!(self.refuses_samples(), Some(Busy::DiskFull { .. })) || disk.space(dir).is_ok_and(low)
    }

    fn epoch(&self) -> Epoch {
        self.shared.epoch
    }

    fn damage(&self) -> Vec<Damaged> {
        self.shared.damage()
    }
}

impl Writer {
    /// Steps until the log is stopped.
    fn run(&mut self) {
        loop {
            if let Some(pause) = self.pause() {
                self.shared.front.linger(pause);
            }
            match self.step() {
                Next::Again => {}
                Next::Stopped => return,
                Next::Sleep(limit) => {
                    self.shared.show_segments();
                    self.shared.front.sleep(limit);
                }
            }
        }
    }
}

fn open(ground: &Ground, dir: &Path, settings: Settings) -> Result<Writer, Error> {
    let failed = |what| move |source| Error::Io { dir: dir.to_owned(), what, source };
    let disk = ground.disk.clone();
    tidemill_ground::create_dirs(disk.as_ref(), dir).map_err(failed("making the folder"))?;
    let lock = lock(disk.as_ref(), dir)?;
    let (cursor_file, read) = CursorFile::open(&disk, dir).map_err(failed("reading the cursors"))?;
    if let Some(format) = read.newer {
        return Err(Error::Newer { file: dir.join("cursors"), format, known: FORMAT });
    }
    let entries = disk.list(dir).map_err(failed("listing the segments"))?;
    let scans = scan_all(disk.as_ref(), dir, &entries)?;
    let highest_place = read.cursors.values().map(|cursor| cursor.place).max().unwrap_or_default();
    let mut belief = recover::believe(&scans, read.done());
    let relaxed = is_relaxed(&scans, &settings);
    if !relaxed {
        belief.find_lost_end(&scans, read.done(), highest_place);
    }
    let beheaded = belief.beheaded(&scans);
    let mut damage = Damage::open(&disk, dir)?;
    give_back(disk.as_ref(), dir, &scans, &belief);
    let gauges = Arc::new(Gauges::new(&ground.metrics));
    gauges.cut_bytes.set(belief.cut_bytes as i64);
    let (segments, tail) = segments_of(dir, &scans, &belief);
    damage.found(belief.damage, highest_place);
    if read.lost {
        damage.found_in("cursors");
    }
    beheaded.iter().for_each(|name| damage.found_in(name));
    damage.keep();
    let last = tail.as_ref().map_or(belief.durable, |tail| tail.run.last);
    let ended = belief.highest.max(last);
    let unsure = relaxed || scans.last().is_some_and(Scan::is_beheaded);
    let next = first_number(unsure, ended.max(highest_place));
    let next_id = scans.last().map_or(1, |scan| scan.id.saturating_add(1));
    let shared = Arc::new(Shared {
        disk: disk.clone(),
        dir: dir.to_owned(),
        settings: settings.clone(),
        front: Front::new(&settings, ground.clock.clone(), gauges.clone(), next),
        ring: Ring::new(settings.ring_bytes_max, belief.durable, gauges.live_missed.clone()),
        segments: Segments::new(segments),
        cursors: Cursors::new(read.cursors, gauges.clone()),
        lent: AtomicBool::new(false),
        copies: Copies::default(),
        damage: Mutex::new(damage),
        cut_bytes: belief.cut_bytes,
        epoch: Epoch(u64::from(next_id)),
        ended,
        begins: next,
        relaxed,
        recalled: AtomicU64::new(0),
        stopped: Mutex::new(false),
        stop: Condvar::new(),
        gauges,
    });
    shared.is_past(highest_place);
    shared.damage();
    let mut writer = Writer {
        reserves: Reserves::new(disk, dir.to_owned(), &settings),
        settings,
        dir: dir.to_owned(),
        clock: ground.clock.clone(),
        entropy: ground.entropy.clone(),
        active: None,
        tail,
        cursor_file,
        next_id,
        mark: belief.durable,
        mark_written: belief.durable,
        buffer: Vec::new(),
        last_group: 0,
        waits: Waits::default(),
        shared,
        _lock: lock,
    };
    let now = writer.clock.monotonic();
    writer.waits.opened_at = now;
    writer.reopen(now, None);
    writer.housekeep(now);
    writer.shared.show_segments();
    Ok(writer)
}

/// A relaxed log may have given, before a power cut, numbers of which its files know nothing, and engines may have made what
/// they held durable; so may one whose newest segment lost more than its head. It goes on above all that it can have given since:
/// so much faster than any log is.
const UNSURE_NUMBERS: u64 = 1 << 24;

/// Whether what is in these segments was acknowledged before it was synced; where none has a head that says it, what is set now
/// is what was.
fn is_relaxed(scans: &[Scan], settings: &Settings) -> bool {
    let head = scans.iter().rev().find_map(|scan| scan.head);
    head.map_or(settings.relaxed && !scans.is_empty(), |head| head.relaxed)
}

/// The first number to give where `known` is the highest that is known.
fn first_number(unsure: bool, known: Seq) -> Seq {
    let more = if unsure { UNSURE_NUMBERS } else { 0 };
    Seq(known.0.saturating_add(more).min(SEQ_MAX - 1).max(known.0).saturating_add(1))
}

fn lock(disk: &dyn Disk, dir: &Path) -> Result<Arc<dyn File>, Error> {
    let path = dir.join("lock");
    let failed = |source| Error::Io { dir: dir.to_owned(), what: "locking it", source };
    // On a disk that became read-only the log can still be read.
    let file =
        disk.open(&path, Open::CreateOrOpen).or_else(|error| disk.open(&path, Open::Read).map_err(|_| error));
    let file = file.map_err(failed)?;
    if file.try_lock().map_err(failed)? { Ok(file) } else { Err(Error::Locked { dir: dir.to_owned() }) }
}

fn scan_all(disk: &dyn Disk, dir: &Path, entries: &[Entry]) -> Result<Vec<Scan>, Error> {
    let ids: BTreeMap<u32, &Entry> = entries
        .iter()
        .filter(|entry| !entry.is_dir)
        .filter_map(|entry| Some((id_in(&entry.name)?, entry)))
        .collect();
    let mut scans = Vec::with_capacity(ids.len());
    for (id, entry) in ids {
        let path = dir.join(&entry.name);
        let scan = match disk.open(&path, Open::Read) {
            Ok(file) => recover::scan(id, file.as_ref()),
            Err(_) => recover::scan(id, &Memory(&[])),
        };
        scans.push(scan.map_err(|newer| Error::Newer { file: path, format: newer.0, known: FORMAT })?);
    }
    Ok(scans)
}

/// Gives back the room behind the end of segments that nobody will append to: a plant that crashes often would else fill
/// its disk with reserves. Where anything is damaged every byte stays, for one who looks closer.
fn give_back(disk: &dyn Disk, dir: &Path, scans: &[Scan], belief: &Belief) {
    // One without a sound head may be one that could not be read just now.
    for scan in scans.iter().filter(|scan| scan.head.is_some()) {
        let whole = belief.damage.is_empty() && scan.unreadable == 0;
        // What fails here, as on a disk that is read-only, leaves the file as it is.
        let _ = disk
            .open(&dir.join(name_of(scan.id)), Open::ReadWrite)
            .and_then(|file| file.set_len(if whole { scan.end } else { scan.len }));
    }
}

/// The segments as readers see them, and the tail that must be written again.
fn segments_of(dir: &Path, scans: &[Scan], belief: &Belief) -> (Vec<Arc<Segment>>, Option<Tail>) {
    let mut segments = Vec::with_capacity(scans.len());
    let mut tail = None;
    let mut expected = Seq(1);
    for (place, (scan, runs)) in scans.iter().zip(&belief.served).enumerate() {
        let own_tail = belief.tail.as_ref().filter(|(at, _)| *at == place).map(|(_, run)| run);
        let first = runs.first().or(own_tail).map_or(expected, |run| run.first);
        let (last, end) =
            runs.last().map_or((Seq(first.0.saturating_sub(1)), 0), |run| (run.last, run.bytes.end));
        let mut head = scan.best_head().unwrap_or_default();
        if scan.head.is_none() {
            // As the next one, or just now: what stands before it must not seem too old to be kept.
            let later = scans.iter().skip(place).find_map(|scan| scan.head);
            head.opened = later.map_or(i64::MAX, |head| head.opened);
        }
        let path = dir.join(name_of(scan.id));
        let segment = Arc::new(Segment::new(path, scan.id, &head, first, last, end));
        segment.set_index(scan.index.clone());
        if let Some(run) = own_tail {
            // Not served from here: a sync of it may have failed, and only memory have it.
            tail = Some(Tail { segment: segment.clone(), run: run.clone() });
        }
        expected = Seq(last.0.max(expected.0.saturating_sub(1)) + 1);
        segments.push(segment);
    }
    (segments, tail)
}
