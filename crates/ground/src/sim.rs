//! A disk in memory that loses, tears and breaks whatever a real one may. For the tests of every room; nothing of the
//! running house uses it. It keeps no time: no operation waits.
//!
//! # Rules
//!
//! **In memory and on the media.** Every file and folder exists twice: as processes see it (the page cache), and as it
//! stands on the media. A power cut ([`SimDisk::crash`]) leaves the media and nothing else.
//!
//! **Bytes of files.**
//! 1. A write changes the cache. [`File::sync_data`] and [`File::sync_all`] put bytes, length and reservation onto the
//!    media, where they survive everything but a flipped bit.
//! 2. At a power cut each sector (512 bytes; or 4096, see [`SimDisk::tear_pages`]) written since the last sync holds
//!    the synced bytes, the newest, or any version between; each by itself, so that a write may be there in part, also
//!    only its end. No sector ever holds bytes that were not written there.
//! 3. The length is the synced one, the newest, or any between the shortest and the longest since. It may arrive
//!    without the bytes: those then read as zeros. What was cut off may come back, or read as zeros.
//! 4. A failed sync puts some sectors onto the media and forgets that the others were written. The cache still shows
//!    them, and the next sync succeeds without writing them; a crash takes them (as Linux does). Only writing them
//!    again helps.
//!
//! **Names.**
//! 5. Making, renaming and removing change the folder in memory. [`Disk::sync_dir`] puts the changes in that folder onto
//!    the media. Syncing a file does not make its name durable, nor does syncing a folder its own name in its parent.
//! 6. At a power cut each change of names that was not synced is there or not, in any combination, with these bounds:
//!    what happened to one file, one folder or one name happened in order; a file moves into another folder only after
//!    what happened to folders before; a folder is moved or removed only after every change before. A rename is there
//!    wholly or not at all, and syncing either of its two folders makes it durable. The name of a file may be there
//!    without its bytes.
//! 7. A failed [`Disk::sync_dir`] does nothing, and may be tried again.
//!
//! **Room.** Pages of 4096 bytes; holes are free, reserved pages are not, names and empty files are. A write that does
//! not fit writes the pages that do, then fails. A file without a name takes room while somebody has it open. A
//! reservation is durable with the next sync of its file.
//!
//! **Processes.** After [`SimDisk::crash`] and [`SimDisk::kill`] every file that was open fails at every call. A kill
//! loses nothing that was written: the operating system lives on.
//!
//! **The same again.** One seed and the same calls in the same order give the same bytes, errors and [`Trace`].

mod content;
mod state;
mod tree;

use crate::disk::{Disk, Entry, File, Open, Space};
use crate::entropy::{Random, mix};
use state::{Planned, State, digest};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tree::{Node, NodeId};

/// A disk in memory. Clones are the same disk; see the rules at the head of this module.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

/// What a disk is asked to do, for planning faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`Disk::open`]
    Open,
    /// [`Disk::list`]
    List,
    /// [`Disk::create_dir_all`]
    CreateDir,
    /// [`Disk::rename`]
    Rename,
    /// [`Disk::remove`]
    Remove,
    /// [`Disk::remove_dir`]
    RemoveDir,
    /// [`Disk::sync_dir`]
    SyncDir,
    /// [`Disk::space`], [`Disk::exists`], [`Disk::len`], [`File::len`], [`File::try_lock`]
    Ask,
    /// [`File::read_at`]
    Read,
    /// [`File::write_at`]
    Write,
    /// [`File::set_len`]
    SetLen,
    /// [`File::allocate`]
    Allocate,
    /// [`File::sync_data`], [`File::sync_all`]
    Sync,
}

/// What was asked of the disk so far, in two numbers: equal for equal runs, different for different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// How many operations there were.
    pub operations: u64,
    /// A hash of all of them: names, offsets, bytes written, errors, crashes.
    pub hash: u64,
}

impl SimDisk {
    /// An empty disk of 1 TiB without faults.
    pub fn new(seed: u64) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(State::new(seed))))
    }

    /// The power goes, and comes back. Planned faults are forgotten; chances, capacity and modes stay.
    pub fn crash(&self) {
        let mut state = self.lock();
        state.crash();
        state.trace.hash = mix(!state.trace.hash);
    }

    /// The disk as a power cut at this moment would leave it, while this one goes on. Another `salt` shows another of
    /// the possible outcomes.
    pub fn fork_after_crash(&self, salt: u64) -> SimDisk {
        let mut state = self.lock().clone();
        state.random = Random::new(mix(state.trace.hash ^ mix(salt)));
        state.crash();
        SimDisk(Arc::new(Mutex::new(state)))
    }

    /// The process is killed, and everything written is still there: only open files and locks are gone.
    pub fn kill(&self) {
        self.lock().kill();
    }

    /// So many more operations go through; then every one fails until [`SimDisk::crash`] or [`SimDisk::kill`].
    pub fn cut_power_after(&self, operations: u64) {
        self.lock().faults.power_left = Some(operations);
    }

    /// The next operation of this kind fails so. Further calls plan the ones after it.
    pub fn fail_next(&self, operation: Operation, kind: ErrorKind) {
        self.fail_after(operation, 0, kind);
    }

    /// After `skip` operations of this kind the next one fails so. A failed write may have written a part; for a
    /// failed sync see rule 4.
    pub fn fail_after(&self, operation: Operation, skip: u64, kind: ErrorKind) {
        let mut state = self.lock();
        let earlier =
            state.faults.planned.iter().filter(|plan| plan.operation == operation && plan.skip <= skip);
        let skip = skip + earlier.count() as u64;
        state.faults.planned.push(Planned { operation, skip, kind });
    }

    /// Each operation fails with this chance (0.0 to 1.0).
    pub fn set_error_probability(&self, chance: f64) {
        self.lock().faults.error_chance = chance;
    }

    /// Each read gives fewer bytes than it could with this chance, at least one.
    pub fn set_short_read_probability(&self, chance: f64) {
        self.lock().faults.short_read_chance = chance;
    }

    /// Bytes of room. Less than what is used means: full.
    pub fn set_capacity(&self, bytes: u64) {
        self.lock().capacity = bytes;
    }

    /// Whether every change is refused with `ReadOnlyFilesystem`, as after a remount.
    pub fn set_read_only(&self, read_only: bool) {
        self.lock().faults.read_only = read_only;
    }

    /// Whether every sync says `Ok` and does nothing: the control that shows that a test of durability can fail.
    pub fn set_sync_lies(&self, lies: bool) {
        self.lock().faults.sync_lies = lies;
    }

    /// Whether a power cut tears at 4096 bytes and not at 512.
    pub fn tear_pages(&self, pages: bool) {
        self.lock().faults.tear_pages = pages;
    }

    /// Flips one bit (0 to 7) of a file, in memory and on the media.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) -> io::Result<()> {
        let mut state = self.lock();
        let id = state.tree.find(path)?;
        let room = state.tree.room_of(id);
        let flipped = state.tree.content_mut(id)?.flip(offset, bit);
        // A flipped bit in a hole is a page that was not there before.
        state.used += state.tree.room_of(id) - room;
        if flipped { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    /// Flips so many bits at random places of a file, and says where: offset and bit. No place comes twice in a row,
    /// but may come again. Nothing happens to an empty file.
    pub fn flip_random_bits(&self, path: &Path, count: usize) -> io::Result<Vec<(u64, u8)>> {
        let places: Vec<(u64, u8)> = {
            let mut state = self.lock();
            let len = state.content(path)?.len();
            let count = if len == 0 { 0 } else { count };
            (0..count).map(|_| (state.random.below(len), state.random.below(8) as u8)).collect()
        };
        places.iter().try_for_each(|(offset, bit)| self.flip_bit(path, *offset, *bit))?;
        Ok(places)
    }

    /// What was asked so far.
    pub fn trace(&self) -> Trace {
        self.lock().trace
    }

    /// Keeps the last `lines_max` operations as text from now on, to find where two runs part.
    pub fn keep_log(&self, lines_max: usize) {
        self.lock().log_lines_max = lines_max;
    }

    /// The operations kept: number, operation, name, two numbers (offset and length, where it has them), outcome.
    pub fn log(&self) -> Vec<String> {
        self.lock().log.iter().cloned().collect()
    }

    #[cfg(test)]
    pub(crate) fn room_is_right(&self) -> bool {
        self.lock().room_is_right()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One operation, with the fault it is to meet.
    fn run<T>(
        &self,
        operation: Operation,
        name: &str,
        numbers: [u64; 2],
        work: impl FnOnce(&mut State, Option<io::Error>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.lock();
        let result = match state.power() {
            Ok(()) => {
                let fault = state.fault(operation);
                work(&mut state, fault)
            }
            Err(error) => Err(error),
        };
        state.note(operation, name, numbers, result.as_ref().err().map(io::Error::kind));
        result
    }

    /// One operation on a path, which a fault keeps from doing anything.
    fn on<T>(
        &self,
        operation: Operation,
        path: &Path,
        work: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        self.run(operation, &path.to_string_lossy(), [0, 0], |state, fault| {
            fault.map_or_else(|| work(state), Err)
        })
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let (id, life) = self.on(Operation::Open, path, |state| Ok((state.open(path, how)?, state.life)))?;
        let name = path.to_string_lossy().into_owned();
        let holds_lock = AtomicBool::new(false);
        Ok(Arc::new(SimFile { disk: self.clone(), id, life, name, writes: how.writes(), holds_lock }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.on(Operation::List, dir, |state| state.list(dir))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.on(Operation::CreateDir, dir, |state| state.create_dir_all(dir))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let target = digest(to.to_string_lossy().as_bytes());
        self.run(Operation::Rename, &from.to_string_lossy(), [target, 0], |state, fault| {
            fault.map_or_else(|| state.rename(from, to), Err)
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.on(Operation::Remove, path, |state| state.remove(path, false))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.on(Operation::RemoveDir, dir, |state| state.remove(dir, true))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.on(Operation::SyncDir, dir, |state| state.sync_dir(dir))
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.on(Operation::Ask, path, |state| {
            state.tree.find(path)?;
            Ok(Space { free_bytes: state.free(), total_bytes: state.capacity })
        })
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.on(Operation::Ask, path, |state| match state.tree.find(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        })
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        self.on(Operation::Ask, path, |state| state.len(path))
    }
}

struct SimFile {
    disk: SimDisk,
    id: NodeId,
    life: u64,
    name: String,
    writes: bool,
    holds_lock: AtomicBool,
}

impl SimFile {
    fn run<T>(
        &self,
        operation: Operation,
        numbers: [u64; 2],
        work: impl FnOnce(&mut State, Option<io::Error>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.disk.run(operation, &self.name, numbers, |state, fault| {
            if state.life != self.life {
                return Err(io::Error::other("simulated: this file was opened before the crash"));
            }
            let writes = matches!(operation, Operation::Write | Operation::SetLen | Operation::Allocate);
            if writes && !self.writes {
                return Err(io::Error::other("simulated: this file was opened only to be read"));
            }
            work(state, fault)
        })
    }

    fn on<T>(
        &self,
        operation: Operation,
        number: u64,
        work: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        self.run(operation, [number, 0], |state, fault| fault.map_or_else(|| work(state), Err))
    }
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.run(Operation::Read, [offset, buf.len() as u64], |state, fault| {
            if let Some(error) = fault {
                return Err(error);
            }
            let chance = state.faults.short_read_chance;
            let short = buf.len() > 1 && chance > 0.0 && state.random.chance(chance);
            let count = if short { 1 + state.random.below(buf.len() as u64 - 1) as usize } else { buf.len() };
            Ok(state.tree.content_mut(self.id)?.read(&mut buf[..count], offset))
        })
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.run(Operation::Write, [offset, digest(buf)], |state, fault| {
            state.write(self.id, buf, offset, fault)
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.on(Operation::Ask, 0, |state| Ok(state.tree.content_mut(self.id)?.len()))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.on(Operation::SetLen, len, |state| state.set_len(self.id, len))
    }

    fn allocate(&self, len: u64) -> io::Result<bool> {
        self.on(Operation::Allocate, len, |state| state.allocate(self.id, len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.run(Operation::Sync, [0, 0], |state, fault| state.sync(self.id, fault))
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.on(Operation::Ask, 1, |state| {
            let Node::File { locked, .. } = state.tree.node_mut(self.id)? else {
                return Err(ErrorKind::IsADirectory.into());
            };
            if *locked {
                return Ok(self.holds_lock.load(Ordering::SeqCst));
            }
            *locked = true;
            self.holds_lock.store(true, Ordering::SeqCst);
            Ok(true)
        })
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.disk.lock();
        if state.life == self.life {
            state.close(self.id, self.holds_lock.load(Ordering::SeqCst));
        }
    }
}

#[cfg(test)]
mod tests;
