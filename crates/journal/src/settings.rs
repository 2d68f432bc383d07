//! What an owner or the house may set, with the reasons for what it is otherwise.

use std::path::Path;
use std::time::Duration;

use tidemill_ground::Disk;

/// How many notes' worth of cursors the log keeps: engines have one each.
pub const CURSORS_MAX: usize = 64;
/// Bytes of a cursor's note.
pub const NOTE_BYTES_MAX: usize = 2048;
/// Bytes of a cursor's name.
pub const CURSOR_NAME_BYTES_MAX: usize = 64;
/// Ranges of damage that are told one by one; beyond, they are counted.
pub const DAMAGE_RANGES_MAX: usize = 1000;
/// Where nothing else was asked for, a cursor holds back so much of the log and is then moved forward.
pub const HOLD_BYTES_MAX: u64 = 1 << 30;

/// How the log behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The longest that a group waits for more company before it is synced. A lone append never waits.
    pub commit_window: Duration,
    /// The longest that a [`tidemill_core::Durability::Ride`] waits for somebody else's sync before it gets its own.
    pub ride_window: Duration,
    /// How much may wait for one sync; beyond it an append is refused as busy. 16 MiB is 0.1 s of the slowest disk worth
    /// using (an SD card, 140 MB/s in sequence).
    pub unsynced_bytes_max: u64,
    /// How large a segment grows. Smaller ones give room back sooner, larger ones cost fewer files.
    pub segment_bytes: u64,
    /// Below so much free room, parcels with samples are refused. It heals by itself.
    pub free_min_bytes: u64,
    /// Room kept aside that [`Journal::lend_reserve`](tidemill_core::Journal::lend_reserve) gives back to the file system, so that a flush can be written on a
    /// full disk. 0: none.
    pub reserve_bytes: u64,
    /// Acknowledge after the write and sync once in `relaxed_window`. **What it can lose**: at a power cut or a crash of the
    /// operating system, what was acknowledged within that window; at a kill of the process alone, nothing.
    pub relaxed: bool,
    /// How often a relaxed log syncs.
    pub relaxed_window: Duration,
    /// Memory for committed parcels that followers read without touching the disk.
    pub ring_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            commit_window: Duration::from_millis(2),
            ride_window: Duration::from_millis(250),
            unsynced_bytes_max: 16 << 20,
            segment_bytes: 64 << 20,
            free_min_bytes: 64 << 20,
            reserve_bytes: 32 << 20,
            relaxed: false,
            relaxed_window: Duration::from_secs(1),
            ring_bytes_max: 32 << 20,
        }
    }
}

impl Settings {
    /// How much must be free for writing to go on and on: what stays free, and room for the next segment. Below it,
    /// samples are taken until the segments that are ready are used up; below `free_min_bytes`, none are.
    pub fn room_needed_bytes(&self) -> u64 {
        self.free_min_bytes.saturating_add(self.segment_bytes)
    }

    /// How much must be free for the disk not to be low: what stays free, and two segments and the reserve, without what the
    /// log's folder holds already, but never less than the next segment. The reserve is what a full disk is cleared with.
    pub fn room_wanted_bytes(&self, disk: &dyn Disk, dir: &Path) -> u64 {
        let entries = disk.list(dir).unwrap_or_default();
        let held_bytes: u64 = entries.iter().filter_map(|entry| disk.len(&dir.join(&entry.name)).ok()).sum();
        let steps_bytes = self.segment_bytes.saturating_mul(2).saturating_add(self.reserve_bytes);
        self.room_needed_bytes()
            .max(self.free_min_bytes.saturating_add(steps_bytes.saturating_sub(held_bytes)))
    }

    /// Bytes of the largest frame: it must fit into what may wait, and into a segment.
    pub(crate) fn frame_bytes_max(&self) -> u64 {
        self.unsynced_bytes_max.min(self.segment_bytes)
    }
}
