//! Room: the segment kept ready, the reserve that samples cannot use, how much the disk has left, and which segments
//! may go.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tidemill_core::{HoldAction, Seq};
use tidemill_ground::{Disk, Open};

use crate::cursor::Held;
use crate::fill::Filler;
use crate::front::Refusal;
use crate::log::Shared;
use crate::segment::{Blank, Segment};
use crate::settings::Settings;
use crate::writer::Writer;

/// How often the disk is asked for its room, and holds are looked at.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// A cursor of an earlier run is left alone for so long: its owner first has to come and say how much it holds. After
/// that it belongs to nobody any more.
const CLAIM_WITHIN: Duration = Duration::from_secs(600);
/// The next segments. The first is always kept ready; the others are segments that were done with, kept while there is
/// plenty of room: a flush frees several at once, and what is written over them syncs faster than what is new.
const SPARES: [&str; 4] = ["spare", "spare.2", "spare.3", "spare.4"];
/// Room for so many segments is plenty.
const PLENTY_SEGMENTS: u64 = 16;
const RESERVE: &str = "reserve";
const LENT: &str = "reserve.flush";
/// The log is idle when nothing was committed for so long; then what was never written of the next segment is filled, a
/// piece each time. A busy log fills it as fast as it uses the open one up, so that it is whole when it is needed.
const FILL_AFTER: Duration = Duration::from_millis(100);
const FILL_EVERY: Duration = Duration::from_millis(20);

/// Room kept ready.
pub(crate) struct Reserves {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment_bytes: u64,
    pub(crate) filler: Filler,
    spares: [Option<Blank>; SPARES.len()],
    /// The next segment when there is no room for any.
    reserve: Option<Blank>,
    /// Whether the open segment was made of the reserve.
    pub(crate) emergency: bool,
    /// Whether less was free than must stay free, when it was last looked.
    full: bool,
    pub(crate) check_at: Duration,
    pub(crate) trim_now: bool,
    /// A spare was just taken.
    taken: bool,
    /// Segments got the names of spares, and the disk may not know it yet: until it does, a power cut brings them back,
    /// and nothing may be written to them.
    unsynced: bool,
    /// When the next piece is filled; none when all is.
    fill_at: Option<Duration>,
    free_bytes: u64,
}

impl Reserves {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: PathBuf, settings: &Settings) -> Reserves {
        Reserves {
            disk,
            dir,
            segment_bytes: settings.segment_bytes,
            filler: Filler::default(),
            spares: Default::default(),
            reserve: None,
            emergency: false,
            full: false,
            check_at: Duration::ZERO,
            trim_now: false,
            taken: false,
            // An earlier process may have been killed right after it gave the names.
            unsynced: true,
            fill_at: None,
            free_bytes: u64::MAX,
        }
    }

    fn make(&self, name: &str) -> io::Result<Blank> {
        Blank::make(self.disk.as_ref(), self.dir.join(name), self.segment_bytes)
    }

    fn sync_names(&mut self) -> io::Result<()> {
        if self.unsynced {
            self.disk.sync_dir(&self.dir)?;
            self.unsynced = false;
        }
        Ok(())
    }

    /// A file for the next segment; the reserve when there is no other.
    pub(crate) fn blank(&mut self) -> io::Result<Blank> {
        self.sync_names()?;
        self.filler.settle();
        self.drop_failed();
        let ready = self.spares.iter_mut().find_map(Option::take);
        let common = ready.map_or_else(|| self.make(SPARES[0]), Ok);
        self.emergency = common.is_err();
        self.taken = true;
        // After a restart on a full disk the reserve of the last run is there, with its room.
        common.or_else(|error| self.reserve.take().or_else(|| self.make(RESERVE).ok()).ok_or(error))
    }

    /// A file whose sync failed is of no use any more. Another one is made at the next look.
    fn drop_failed(&mut self) {
        let Some(path) = self.filler.failed() else { return };
        for slot in &mut self.spares {
            drop(slot.take_if(|blank| blank.path == path).map(|blank| self.disk.remove(&blank.path)));
        }
    }

    /// Whether a next segment is ready.
    fn has_spare(&self) -> bool {
        self.spares.iter().any(Option::is_some)
    }

    /// Room beyond what must stay free.
    fn room_bytes(&self, settings: &Settings) -> u64 {
        self.free_bytes.saturating_sub(settings.free_min_bytes)
    }

    /// Asks how much room the disk has.
    pub(crate) fn measure(&mut self) {
        if let Ok(space) = self.disk.space(&self.dir) {
            self.free_bytes = space.free_bytes;
        }
    }

    /// Fills up what was used. The reserve comes first: it is for the worst case.
    fn fill(&mut self, shared: &Shared, settings: &Settings) {
        let room = self.free_bytes > settings.room_needed_bytes();
        if self.reserve.is_none() && (room || self.emergency) {
            self.reserve = self.make(RESERVE).ok();
        }
        // What was lent is a flush's to write into.
        if !self.has_spare() && room && !shared.is_reserve_lent() {
            self.spares[0] = self.make(SPARES[0]).ok();
            self.fill_at = Some(Duration::ZERO);
        }
        self.keep_or_give_back(settings);
        let lent = self.dir.join(LENT);
        let wanted = settings.reserve_bytes > 0 && room && !shared.is_reserve_lent();
        if wanted && !self.disk.exists(&lent).unwrap_or(true) {
            // Without it a flush on a full disk has to wait for room, which the refusal of samples tells.
            let _ =
                self.disk.open(&lent, Open::CreateNew).and_then(|file| file.allocate(settings.reserve_bytes));
        }
    }

    /// Spares beyond the first are kept while there is plenty of room.
    fn keep_or_give_back(&mut self, settings: &Settings) {
        if self.has_plenty(settings) {
            return self.adopt();
        }
        for (slot, name) in self.spares.iter_mut().zip(SPARES).skip(1) {
            let path = self.dir.join(name);
            let held = slot.take().is_some();
            if held {
                self.filler.settle();
            }
            if held || self.disk.exists(&path).unwrap_or(false) {
                // What cannot be removed now is tried again at the next look.
                let _ = self.disk.remove(&path);
            }
        }
    }

    fn has_plenty(&self, settings: &Settings) -> bool {
        self.room_bytes(settings) > PLENTY_SEGMENTS.saturating_mul(self.segment_bytes)
    }

    /// Where a segment that nobody needs goes: it becomes a spare if one is wanted, or is removed.
    /// While a flush has the reserve the disk is full, and what it let go of is the room for what it writes next.
    fn retire(&mut self, segment: &Segment, shared: &Shared, settings: &Settings) -> io::Result<()> {
        let slots = match (shared.is_reserve_lent(), self.has_plenty(settings)) {
            (true, _) => 0,
            (false, true) => SPARES.len(),
            (false, false) => 1,
        };
        let free = |(slot, name): &(&Option<Blank>, &str)| {
            slot.is_none() && matches!(self.disk.exists(&self.dir.join(name)), Ok(false))
        };
        // One in which nothing can be read may lie where the disk is bad.
        let wanted = self.spares.iter().zip(SPARES).take(slots).find(free).filter(|_| segment.tag != 0);
        match wanted {
            Some((_, name)) => self.disk.rename(&segment.path, &self.dir.join(name))?,
            None => self.disk.remove(&segment.path)?,
        }
        self.unsynced = true;
        Ok(())
    }

    /// Takes in what was retired, now or by an earlier run, once the disk knows its names.
    fn adopt(&mut self) {
        if self.sync_names().is_err() {
            return;
        }
        for (slot, name) in self.spares.iter_mut().zip(SPARES).filter(|(slot, _)| slot.is_none()) {
            let path = self.dir.join(name);
            if self.disk.exists(&path).unwrap_or(false) {
                *slot = Blank::make(self.disk.as_ref(), path, self.segment_bytes).ok();
                self.fill_at = Some(Duration::ZERO);
            }
        }
    }

    /// When the next piece of zeros is due for an idle log.
    pub(crate) fn fill_at(&self, committed_at: Duration) -> Option<Duration> {
        Some(self.fill_at?.max(committed_at.saturating_add(FILL_AFTER)))
    }

    /// Writes zeros where the spares were never written: a piece, and more while the next segment is behind `used`, what the
    /// open one has used up. A segment made of such a file syncs as fast as one that is written over, and depends on no
    /// metadata to be found again (docs/adr/0002-aborted-disk.md).
    pub(crate) fn fill_ahead(&mut self, now: Duration, used: u64) {
        self.fill_at = None;
        self.drop_failed();
        let mut next = true;
        for slot in &mut self.spares {
            let Some(blank) = slot.as_ref() else { continue };
            let pieces = if std::mem::take(&mut next) { used } else { 0 };
            match self.filler.fill(blank, self.segment_bytes, pieces) {
                Ok(false) => continue,
                Ok(true) => {}
                // As in `drop_failed`.
                Err(_) => drop(slot.take().map(|blank| self.disk.remove(&blank.path))),
            }
            self.fill_at = Some(now.saturating_add(FILL_EVERY));
            return;
        }
    }

    /// Whether the next segment has fewer bytes written than it should when the open one is used up to here.
    pub(crate) fn is_behind(&self, used: u64) -> bool {
        let due = self.filler.due(used).min(self.segment_bytes);
        self.fill_at.is_some() && self.spares.iter().flatten().next().is_some_and(|next| !next.is_filled(due))
    }

    /// Whether the next segment is one that is written over, and there is plenty of room for another.
    pub(crate) fn is_filled(&self, settings: &Settings) -> bool {
        let filled = |next: &Blank| next.is_filled(self.segment_bytes);
        self.has_plenty(settings) && self.spares.iter().flatten().next().is_some_and(filled)
    }
}

impl Shared {
    /// Gives the room of the flush reserve back to the file system. Says whether there was any.
    pub(crate) fn lend(&self) -> bool {
        self.lent.store(true, std::sync::atomic::Ordering::Release);
        self.disk.remove(&self.dir.join(LENT)).is_ok()
    }
}

impl Writer {
    /// What needs doing now and then: room, holds, trimming, and what is refused because of them.
    pub(crate) fn housekeep(&mut self, now: Duration) {
        // A segment was just begun: the next one's room is looked for at once, and then only now and then.
        let low = !self.reserves.has_spare()
            && self.active.is_some()
            && !self.reserves.emergency
            && std::mem::take(&mut self.reserves.taken);
        if now < self.reserves.check_at && !self.reserves.trim_now && !low {
            return;
        }
        if now >= self.reserves.check_at || low {
            self.reserves.check_at = now + CHECK_EVERY;
            self.shared.ring.wake_stalled();
            self.reserves.measure();
            self.reserves.fill(&self.shared, &self.settings);
            if self.reserves.emergency && self.reserves.has_spare() && self.active.is_some() {
                self.leave_reserve(now);
            }
        }
        // What copies hold when the disk becomes full is needed. One that begins on a full disk holds nothing that grows, for nothing
        // is written then, and may be what helps: a backup to another disk.
        let is_full = self.reserves.free_bytes < self.settings.free_min_bytes;
        let becomes_full = !std::mem::replace(&mut self.reserves.full, is_full) && is_full;
        if (self.reserves.emergency || becomes_full) && self.shared.copies.give_up() {
            self.reserves.trim_now = true;
        }
        let held = self.look_at_holds(now);
        if std::mem::take(&mut self.reserves.trim_now) {
            self.trim();
        }
        self.shared.cursors.show_lag(self.shared.ring.durable());
        let refusal = self.refusal(held);
        self.shared.front.refuse(refusal);
    }

    fn refusal(&self, held: Option<Arc<str>>) -> Option<Refusal> {
        let free_bytes = self.reserves.free_bytes;
        let Some(left) = self.room_left() else { return Some(self.no_segment()) };
        if free_bytes < self.settings.free_min_bytes {
            let needed_bytes = self.settings.free_min_bytes;
            return Some(Refusal::DiskFull { free_bytes, needed_bytes, records_too: false });
        }
        // What was taken already must still fit into this segment.
        let low = !self.reserves.has_spare() && left < self.settings.unsynced_bytes_max;
        if self.reserves.emergency || low {
            let needed_bytes = self.settings.room_needed_bytes();
            return Some(Refusal::DiskFull { free_bytes, needed_bytes, records_too: false });
        }
        held.map(Refusal::Held)
    }

    /// Why nothing at all can be taken while no segment is open.
    pub(crate) fn no_segment(&self) -> Refusal {
        if self.waits.full {
            let needed_bytes = self.settings.room_needed_bytes();
            let free_bytes = self.reserves.free_bytes;
            return Refusal::DiskFull { free_bytes, needed_bytes, records_too: true };
        }
        Refusal::Unwritable(self.waits.trouble.clone().unwrap_or_else(|| "no segment is open".into()))
    }

    /// Moves cursors that hold back too much, or says why nothing more may come.
    fn look_at_holds(&mut self, monotonic: Duration) -> Option<Arc<str>> {
        let all_claimed = monotonic >= self.waits.opened_at + CLAIM_WITHIN;
        let segments = self.shared.segments.with(|all| all.clone());
        let now = self.clock.wall();
        let mut refused = None;
        for held in self.shared.cursors.held().into_iter().filter(|held| held.claimed || all_claimed) {
            let Some(to) = beyond(&held, &segments, now) else { continue };
            match held.hold.beyond {
                HoldAction::Cut => self.shared.cursors.cut(&held.name, to),
                HoldAction::Refuse => {
                    refused = Some(format!("{} is too far behind and may lose nothing", held.name).into());
                }
            }
        }
        refused
    }

    /// Lets segments go that nobody needs.
    fn trim(&mut self) {
        let Some(done) = self.shared.cursors.done() else { return };
        let done = self.shared.copies.trimmed_to(done);
        let mut removed = false;
        loop {
            let oldest = self.shared.segments.with(|all| match all.as_slice() {
                [oldest, next, ..] if next.first.0 <= done.0.saturating_add(1) => Some(oldest.clone()),
                _ => None,
            });
            // The tail stands only there until it was written again.
            let wanted = |tail: &crate::writer::Tail, one: &Arc<Segment>| Arc::ptr_eq(&tail.segment, one);
            let Some(oldest) = oldest.filter(|one| self.tail.as_ref().is_none_or(|tail| !wanted(tail, one)))
            else {
                break;
            };
            match self.reserves.retire(&oldest, &self.shared, &self.settings) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => break,
                _ => {}
            }
            self.shared.segments.with(|all| all.retain(|one| !Arc::ptr_eq(one, &oldest)));
            removed = true;
        }
        if removed {
            // If the names of removed ones come back after a power cut they are removed again: the cursors are durable.
            self.reserves.adopt();
        }
    }
}

/// Where a cursor must at least be for its hold to be within its limits; `None` when it is.
fn beyond(held: &Held, segments: &[Arc<Segment>], now: i64) -> Option<Seq> {
    let mut bytes: u64 = segments.iter().filter(|one| one.last() > held.place).map(|one| one.end()).sum();
    let mut to = None;
    for pair in segments.windows(2) {
        let [one, next] = pair else { continue };
        if one.is_empty() || one.last() <= held.place {
            continue;
        }
        // What a segment holds is as old as the opening of the next one, at least.
        let age_ns = now.saturating_sub(next.opened).max(0).unsigned_abs();
        let too_old = u128::from(age_ns) > held.hold.age_max.as_nanos();
        if bytes <= held.hold.bytes_max && !too_old {
            break;
        }
        bytes = bytes.saturating_sub(one.end());
        to = Some(one.last());
    }
    to
}
