//! The lake: samples and records in open files, from the journal through a buffer in memory, and consistent scans of all
//! of it.
//!
//! What lives here: Parquet files under a Delta log of our own writing, merging, corrections, the tables that other
//! engines declare; one file an idea, as listed below. What does not: answers to questions (the historian, the only room
//! that knows this one), names and rights (the bus), durability before the files (the journal), DataFusion.
//!
//! Invariants
//! - Every commit of the table is exact by itself: another reader subtracts nothing.
//! - The commit of a flush carries the place in the journal up to which it is complete: after a crash the rest is
//!   applied again, and nothing twice.
//! - A view is one version of the files and the buffers above it, taken in one moment.
//! - Files are synced before the commit that names them, the commit before the journal lets go.
//! - Damage is reported by file and range and never served as data; what does not need it is served.

mod amend; //      deleting a stretch of time
mod apply; //      what the journal brings
mod bits; //       numbers packed to their spread
mod buffer; //     what is in memory
mod checked; //    bytes of a file and their sums
mod chunk; //      sealed pieces of it
mod columns; //    rows to columns of files and back
mod commit; //     a change becomes part of the table
mod copy; //       files held while they are copied
mod damage; //     files that cannot be read
mod decimal; //    floats that are decimals
mod delta; //      the table's log
mod directory; //  where each signal is in a file
mod error; //      what can go wrong
mod files; //      files as one version
mod flush; //      from the buffer to files
mod frozen; //     what grows, and what is being flushed
mod groups; //     the rows of a batch by signal
mod inspect; //    files looked at byte by byte
mod lane; //       rows of one file, decoded as they are wanted
mod merge; //      fewer and larger files
mod merge_rows; // rows of one signal from several places
mod meters; //     what is counted
mod names; //      names that stand in files
mod open; //       from a folder to a store
mod pages; //      where a file has rows of a time
mod pair; //       work that two threads share
mod pieces; //     a flush on a full disk
mod read; //       files opened, and their footers
mod rewrite; //    files without what goes
mod rounds; //     when to flush, and one flush
mod rows; //       rows of one signal
mod run; //        the threads
mod runs; //       columns that repeat, in a file
mod scan; //       where this room meets the historian
mod schema; //     what stands in a file
mod settings; //   what can be set
mod sink; //       where bytes of a file go
mod source; //     what queries see of it
mod sources; //    what a flush writes
mod tables; //     tables that engines declare
mod vacuum; //     what nobody needs any more
mod view; //       one consistent state
mod write; //      one file

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod fakes;
#[cfg(test)]
mod foreign_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod trouble_tests;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidemill_core::{Bus, CursorId, Deletion, Journal, Problem, Seq, StreamId};
use tidemill_ground::{Clock, Disk, Entropy};

use buffer::Fill;
pub use commit::CORRECTIONS;
pub use copy::{Copy, TableCopy, tables};
use damage::DamagedFiles;
use delta::{Add, Log};
pub use error::Error;
use files::{FileEntry, Version, Window};
use frozen::{Active, Frozen};
pub use inspect::inspect;
use meters::Meters;
use read::Files;
pub use scan::*;
pub use settings::Settings;
use tables::{Table, TableVersion};
use view::Samples;
use write::Place;

/// The historian's place in the journal.
pub(crate) const CURSOR: CursorId = CursorId("historian");
/// The journal may hold so many times what makes a flush due, before it refuses more.
const JOURNAL_HELD: u64 = 3;

/// What has been applied, and where it is.
pub(crate) struct State {
    pub(crate) version: Arc<Version>,
    active: Active,
    pub(crate) frozen: Option<Arc<Frozen>>,
    pub(crate) applied: Seq,
    /// The least place that someone waits for.
    awaited: Seq,
    /// What the log had when its following began. Up to there all time goes into making it visible: nothing is flushed that
    /// memory does not ask for.
    replay_end: Seq,
    /// Parcels up to here are in the files of samples.
    flushed: Seq,
    tables: BTreeMap<StreamId, (Arc<Table>, TableVersion)>,
    /// Files that left the table and may still be read by a view.
    leaving: Vec<Arc<FileEntry>>,
    /// When the first row came into `active`.
    active_since: Option<Duration>,
    /// Bytes of the journal that are in files and held for records that wait for their table.
    held_bytes: u64,
    /// Files are being rewritten for a deletion, or for samples that replace others: merges pause.
    rewriting: bool,
    /// Deletions on their way, and who wants to know what each of them takes.
    counting: Vec<(Deletion, SyncSender<Arc<Samples>>)>,
    /// Flushes that were asked for, and those that are done.
    asked: u64,
    done: u64,
    /// Why the last flush failed, if it did.
    failure: Option<Problem>,
    failures: u64,
    /// The journal will not be followed any further: what is there is to be flushed, then the store is done.
    followed: bool,
}

impl State {
    /// Layers that wait for a flush behind the one that is frozen.
    fn waiting_deletions(&self) -> usize {
        if self.frozen.is_some() { self.active.closed.len() } else { 0 }
    }

    fn is_replayed(&self) -> bool {
        self.applied >= self.replay_end
    }

    /// Why nothing comes into files at the moment.
    fn failing(&self) -> Result<(), Error> {
        self.failure.clone().map_or(Ok(()), |failure| Err(Error::Told(failure)))
    }
}

/// Samples and tables on disk and in memory.
pub struct Store {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    bus: Arc<dyn Bus>,
    journal: Arc<dyn Journal>,
    settings: Settings,
    place: Place,
    files: Arc<Files>,
    lake: std::path::PathBuf,
    log: Mutex<Log>,
    corrections: Arc<Table>,
    state: Mutex<State>,
    changed: Condvar,
    damaged: Arc<DamagedFiles>,
    /// Files of the record of corrections whose commit failed after that of the samples: the next commit brings them.
    unrecorded: Mutex<Vec<Add>>,
    /// Held by a flush from its picture of the table to its commit, and by whatever else takes files out of the table, for its
    /// commit: no flush finds that what it rewrote is gone.
    flushing: Mutex<()>,
    /// So many copies of the files are being made: none is removed meanwhile.
    copies: AtomicUsize,
    pub(crate) meters: Meters,
}

impl Store {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is one assignment after the work that can fail.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How full the buffers are, for back pressure and metrics.
    pub(crate) fn fill(&self) -> Fill {
        let state = self.lock();
        state.active.fill() + state.frozen.as_ref().map(|frozen| frozen.fill()).unwrap_or_default()
    }

    fn file_name(&self, window: Window) -> String {
        format!(
            "{}-{}d-{:016x}.parquet",
            files::day_name(window.first_day),
            window.days,
            self.entropy.number()
        )
    }

    fn table_file_name(&self) -> String {
        let day = self.clock.wall().div_euclid(files::DAY_NS);
        format!("{}-{:016x}.parquet", files::day_name(day), self.entropy.number())
    }

    /// The order of the next flush: above that of all files before it.
    fn next_order(&self, version: &Version) -> u64 {
        version.files.iter().map(|file| file.order).max().unwrap_or(0) + 1
    }
}
