//! The trait of the durable append log: embedded segments, or a replicated stream when they are outgrown.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::bus::Feed;
use crate::commit::{Boxed, Commit};
use crate::parcel::{Durability, Parcel, Seq};
use crate::quantity::show_bytes;

/// A named reader of the log whose place is durable. Engines have one each: tens, not thousands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CursorId(pub &'static str);

/// One writer of ids and cursors: a later opening of the log has a higher one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// Why an append was not taken. Nothing of it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// More waits for the disk than may wait.
    #[error("{waiting_bytes} bytes wait for the disk and at most {max_bytes} may: send again in a moment")]
    Unsynced {
        /// How much waits.
        waiting_bytes: u64,
        /// How much may.
        max_bytes: u64,
    },
    /// One identity has more waiting than its share. (Told by the bus.)
    #[error(
        "{who} has {waiting_bytes} bytes waiting for the disk, more than its share of {max_bytes}: wait for acknowledgements"
    )]
    Share {
        /// Who.
        who: Arc<str>,
        /// How much waits.
        waiting_bytes: u64,
        /// How much may.
        max_bytes: u64,
    },
    /// Less disk space is free than writing takes.
    #[error(
        "the disk has {} free, and writing takes {}, for storage.free_min and the log{}",
        show_bytes(*free_bytes),
        show_bytes(*needed_bytes),
        more_bytes(*free_bytes, *needed_bytes)
    )]
    DiskFull {
        /// How much is free.
        free_bytes: u64,
        /// How much must be free for writing to go on: what stays free, and the next piece of the log.
        needed_bytes: u64,
    },
    /// The disk refuses to write.
    #[error("the journal cannot be written: {0}. It is tried again by itself")]
    Unwritable(Arc<str>),
    /// The plant is stopping.
    #[error("the plant is stopping")]
    Stopping,
    /// One parcel is larger than a segment takes.
    #[error(
        "one parcel of {bytes} bytes is more than the {max_bytes} that a segment takes: send it in parts"
    )]
    TooLarge {
        /// How large.
        bytes: u64,
        /// How large it may be.
        max_bytes: u64,
    },
}

/// Near the bound both show alike, and what is lacking tells.
fn more_bytes(free: u64, needed: u64) -> String {
    let lacking = needed.checked_sub(free).filter(|lacking| *lacking > 0);
    lacking.map_or_else(String::new, |lacking| format!(": {} more must be free", show_bytes(lacking)))
}

/// The file in the log's folder that tells of damage, until someone removes it.
pub const DAMAGE_FILE: &str = "damage";

/// A part of the log that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The segment's file name.
    pub segment: String,
    /// The first damaged byte.
    pub from: u64,
    /// The first byte after the damage; where it is the first one, the file is missing.
    pub to: u64,
    /// The first parcel that cannot be read; 0 where the file holds none.
    pub first: Seq,
    /// The last parcel that cannot be read.
    pub last: Seq,
}

impl Damaged {
    /// Whether something that was acknowledged may be lost by it.
    pub fn may_lose(&self) -> bool {
        self.first > Seq(0) || self.segment == DAMAGE_FILE
    }
}

impl std::error::Error for Damaged {}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damaged { segment, from, to, first: Seq(first), last: Seq(last) } = self;
        if *first == 0 && segment == DAMAGE_FILE {
            return write!(
                f,
                "the journal's file {segment} could not be read: what it told of, and nobody may have taken note of, is not known \
                 any more. Look for it in the log of the program, then remove data/journal/damage, and it is told no longer"
            );
        }
        if *first == 0 && segment.ends_with(".segment") {
            return write!(
                f,
                "segment {segment} of the journal is damaged in its head. What stands in it was read without, as far as it is needed, \
                 and nothing that was acknowledged is known to be missing. See that the disk is well"
            );
        }
        if *first == 0 {
            let made_anew = "It is made anew; nothing that was acknowledged was in it";
            return write!(f, "the journal's file {segment} is damaged. {made_anew}");
        }
        if from == to {
            write!(f, "segment {segment} of the journal is missing")?;
        } else {
            write!(f, "segment {segment} of the journal is damaged in bytes {from}..{to}")?;
        }
        write!(f, ": parcels {first} to {last} cannot be read. The rest is served. {DAMAGE_MEND}")
    }
}

/// What to do about damage: engines go on behind it, so that a segment that is put back later is not read any more.
const DAMAGE_MEND: &str = "Put back data/ as a whole from a backup that has them, or go on without: remove data/journal/damage, \
     and it is told no longer";

/// What happens to a hold beyond its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldAction {
    /// The cursor is moved forward and its owner is told what it missed.
    Cut,
    /// New samples are refused until the owner has caught up: nothing may be lost.
    Refuse,
}

/// How much of the log a cursor may hold back from being trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// At most so many bytes.
    pub bytes_max: u64,
    /// At most so old.
    pub age_max: Duration,
    /// What happens beyond.
    pub beyond: HoldAction,
}

/// The durable append log.
///
/// Contract: an append whose commit resolved with `Ok` survives kill -9 and power loss. A commit that resolved with an
/// error, or never: outcome unknown, whole or absent. Order is the order of `append` calls.
pub trait Journal: Send + Sync {
    /// Appends, without blocking. For [`Durability::Live`] nothing is written and the commit is ready at once; the
    /// parcel is still delivered to followers, in order.
    ///
    /// # Errors
    /// [`Busy`]: nothing was taken.
    fn append(&self, parcel: Arc<Parcel>, durability: Durability) -> Result<Commit, Busy>;
    /// The last durable place.
    fn durable(&self) -> Seq;
    /// Committed parcels after the cursor's place (after `from`, where given), the same `Arc` while they are hot, from
    /// disk when the reader is behind. A new cursor begins before the first parcel that is still there.
    fn follow(&self, cursor: CursorId, from: Option<Seq>) -> Box<dyn Feed>;
    /// One parcel.
    fn read<'a>(&'a self, seq: Seq) -> Boxed<'a, Result<Arc<Parcel>, Damaged>>;
    /// Moves a cursor: all up to and including `upto` is done with. `note` is kept with it.
    fn advance(&self, cursor: CursorId, upto: Seq, note: Bytes) -> Commit;
    /// Where a cursor is, with its note; none if it never advanced.
    fn cursor(&self, cursor: CursorId) -> Option<(Seq, Bytes)>;
    /// How much a cursor may hold back.
    fn hold(&self, cursor: CursorId, limit: Hold);
    /// The first place that can still be read.
    fn first(&self) -> Seq;
    /// Whether no number up to `place` is ever given again. An engine asks at its opening with the last place that its own
    /// files know of: where the answer is no, it must not follow this log, for it would take new parcels for known ones. A
    /// log that ends before `place` and goes on above it lost its end, as a relaxed one may at a power cut, and tells so.
    fn is_past(&self, place: Seq) -> bool {
        place <= self.durable()
    }
    /// Gives the room that is kept for a full disk to the engine that is about to write what lets the log be trimmed. Says
    /// whether there was any. [`Journal::return_reserve`] when that is done.
    fn lend_reserve(&self) -> bool {
        false
    }
    /// The lent room is to be reserved again as soon as there is enough.
    fn return_reserve(&self) {}
    /// Whether the disk is low, or samples are refused for want of room: what can be removed is to be removed now.
    fn wants_room(&self) -> bool {
        false
    }
    /// Which opening of the log this is.
    fn epoch(&self) -> Epoch;
    /// The parcels, from the first to the last, that were in the log once, as an engine knows, and are not any more: see
    /// [`Journal::is_past`].
    fn lost(&self) -> Option<(Seq, Seq)> {
        None
    }
    /// Whether what is in the log was acknowledged before it was synced. What such a log has [lost](Journal::lost) went at a
    /// power cut; any other loses its end by damage alone, which [`Journal::damage`] tells.
    fn is_relaxed(&self) -> bool {
        false
    }
    /// What could not be read when the log was opened, or earlier, until someone took note.
    fn damage(&self) -> Vec<Damaged>;
}
