//! Room: the segment kept ready, the reserve that samples cannot use, how much the disk has left, and which segments
//! may go.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tidemill_core::{HoldAction, Seq};
use tidemill_ground::{Disk, Open};

use crate::cursor::Held;
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
const SPARE: &str = "spare";
const RESERVE: &str = "reserve";
const LENT: &str = "reserve.flush";

/// Room kept ready.
pub(crate) struct Reserves {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment_bytes: u64,
    /// The next segment.
    spare: Option<Blank>,
    /// The next segment when there is no room for any.
    reserve: Option<Blank>,
    /// Whether the open segment was made of the reserve.
    pub(crate) emergency: bool,
    pub(crate) check_at: Duration,
    pub(crate) trim_now: bool,
    /// The spare segment was just taken.
    taken: bool,
    free_bytes: u64,
}

impl Reserves {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: PathBuf, settings: &Settings) -> Reserves {
        Reserves {
            disk,
            dir,
            segment_bytes: settings.segment_bytes,
            spare: None,
            reserve: None,
            emergency: false,
            check_at: Duration::ZERO,
            trim_now: false,
            taken: false,
            free_bytes: u64::MAX,
        }
    }

    fn make(&self, name: &str) -> io::Result<Blank> {
        Blank::make(self.disk.as_ref(), self.dir.join(name), self.segment_bytes)
    }

    /// A file for the next segment; the reserve when there is no other.
    pub(crate) fn blank(&mut self) -> io::Result<Blank> {
        let common = self.spare.take().map_or_else(|| self.make(SPARE), Ok);
        self.emergency = common.is_err();
        self.taken = true;
        // After a restart on a full disk the reserve of the last run is there, with its room.
        common.or_else(|error| self.reserve.take().or_else(|| self.make(RESERVE).ok()).ok_or(error))
    }

    /// Asks how much room the disk has.
    pub(crate) fn measure(&mut self) {
        if let Ok(space) = self.disk.space(&self.dir) {
            self.free_bytes = space.free_bytes;
        }
    }

    /// Fills up what was used. The reserve comes first: it is for the worst case.
    fn fill(&mut self, shared: &Shared, settings: &Settings) {
        let room = self.free_bytes.saturating_sub(settings.free_min_bytes) > self.segment_bytes;
        if self.reserve.is_none() && (room || self.emergency) {
            self.reserve = self.make(RESERVE).ok();
        }
        if self.spare.is_none() && room {
            self.spare = self.make(SPARE).ok();
        }
        let lent = self.dir.join(LENT);
        let wanted = settings.reserve_bytes > 0 && room && !shared.is_reserve_lent();
        if wanted && !self.disk.exists(&lent).unwrap_or(true) {
            // Without it a flush on a full disk has to wait for room, which the refusal of samples tells.
            let _ =
                self.disk.open(&lent, Open::CreateNew).and_then(|file| file.allocate(settings.reserve_bytes));
        }
    }
}

impl Shared {
    /// Gives the room of the flush reserve back to the file system.
    pub(crate) fn lend(&self) -> io::Result<()> {
        self.lent.store(true, std::sync::atomic::Ordering::Release);
        match self.disk.remove(&self.dir.join(LENT)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

impl Writer {
    /// What needs doing now and then: room, holds, trimming, and what is refused because of them.
    pub(crate) fn housekeep(&mut self, now: Duration) {
        // A segment was just begun: the next one's room is looked for at once, and then only now and then.
        let low = self.reserves.spare.is_none()
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
            if self.reserves.emergency && self.reserves.spare.is_some() && self.active.is_some() {
                self.leave_reserve(now);
            }
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
        let low = self.reserves.spare.is_none() && left < self.settings.unsynced_bytes_max;
        if self.reserves.emergency || low {
            let needed_bytes = self.settings.free_min_bytes + self.settings.segment_bytes;
            return Some(Refusal::DiskFull { free_bytes, needed_bytes, records_too: false });
        }
        held.map(Refusal::Held)
    }

    /// Why nothing at all can be taken while no segment is open.
    pub(crate) fn no_segment(&self) -> Refusal {
        if self.waits.full {
            let needed_bytes = self.settings.free_min_bytes + self.settings.segment_bytes;
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

    /// Removes segments that nobody needs.
    fn trim(&mut self) {
        let Some(done) = self.shared.cursors.done() else { return };
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
            match self.shared.disk.remove(&oldest.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => break,
                _ => {}
            }
            self.shared.segments.with(|all| all.retain(|one| !Arc::ptr_eq(one, &oldest)));
            removed = true;
        }
        if removed {
            // If the names come back after a power cut they are removed again: the cursors are durable.
            let _ = self.shared.disk.sync_dir(&self.dir);
            self.shared.forget_damage(done);
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
