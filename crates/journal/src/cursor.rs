//! Cursors: how far each engine is done, what it noted, and how much of the log it may hold back. They have a small file
//! of their own with two slots that are written in turn, each with one write and one sync: no room is needed, so that a
//! cursor can advance on a full disk, and a torn write leaves the older slot. Records in the log would have to be carried
//! from every trimmed segment into the next, and could not be written when the log cannot.
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tidemill_core::{Commit, CommitGroup, Hold, HoldAction, NotDurable, Seq};
use tidemill_ground::{Counter, Disk, File, Gauge, Open};

use crate::decode::{Input, Malformed};
use crate::encode;
use crate::gauges::Gauges;
use crate::settings::{CURSOR_NAME_BYTES_MAX, CURSORS_MAX, HOLD_BYTES_MAX, NOTE_BYTES_MAX};

const FILE: &str = "cursors";
const MAGIC: [u8; 8] = *b"TIDECUR\n";
const FORMAT: u32 = 1;
const HEAD_BYTES: usize = 32;
/// All names, notes and places fit: 64 × (64 + 2048 + 16) is 136 KiB.
const SLOT_BYTES: usize = 256 << 10;

/// How far one engine is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) place: Seq,
    pub(crate) note: Bytes,
    /// Whether it ever advanced, or only holds.
    pub(crate) advanced: bool,
}

struct Cursor {
    now: Saved,
    /// The place that a crash would leave it at: what comes after must not be trimmed.
    durable: Seq,
    hold: Hold,
    /// Its owner has come since the opening, and has said what it needs.
    claimed: bool,
    lag: Gauge,
    cut: Counter,
}

#[derive(Default)]
struct Table {
    cursors: BTreeMap<String, Cursor>,
    dirty: bool,
    group: CommitGroup,
}

/// The cursors in memory.
pub(crate) struct Cursors {
    table: Mutex<Table>,
    gauges: Arc<Gauges>,
}

/// What the hold of one cursor asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) name: String,
    pub(crate) place: Seq,
    pub(crate) hold: Hold,
    pub(crate) claimed: bool,
}

impl Cursors {
    pub(crate) fn new(saved: BTreeMap<String, Saved>, gauges: Arc<Gauges>) -> Cursors {
        let cursors = Cursors { table: Mutex::default(), gauges };
        let mut table = cursors.lock();
        // They are written again at once: a sync that failed in an earlier life may have left in memory what the disk does
        // not have, and nothing is trimmed on the strength of that.
        table.dirty = !saved.is_empty();
        for (name, saved) in saved {
            let cursor = cursors.make(&name, saved, Seq(0));
            table.cursors.insert(name, cursor);
        }
        drop(table);
        cursors
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, name: &str, now: Saved, durable: Seq) -> Cursor {
        let hold = Hold { bytes_max: HOLD_BYTES_MAX, age_max: Duration::MAX, beyond: HoldAction::Cut };
        let (lag, cut) = (self.gauges.cursor_lag(name), self.gauges.cursor_cut(name));
        Cursor { now, durable, hold, claimed: false, lag, cut }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Saved> {
        self.lock().cursors.get(name).map(|cursor| cursor.now.clone())
    }

    /// Makes sure that there is a cursor of this name, at `place` if it is new.
    pub(crate) fn register(&self, name: &str, place: Seq, hold: Option<Hold>) -> bool {
        self.register_in(&mut self.lock(), name, place, hold)
    }

    fn register_in(&self, table: &mut Table, name: &str, place: Seq, hold: Option<Hold>) -> bool {
        if let Some(cursor) = table.cursors.get_mut(name) {
            cursor.hold = hold.unwrap_or(cursor.hold);
            cursor.claimed = true;
            return true;
        }
        if table.cursors.len() >= CURSORS_MAX || name.len() > CURSOR_NAME_BYTES_MAX {
            return false;
        }
        let saved = Saved { place, note: Bytes::new(), advanced: false };
        // Nothing before `place` is there, so it is as good as durable.
        let mut cursor = self.make(name, saved, place);
        cursor.hold = hold.unwrap_or(cursor.hold);
        cursor.claimed = true;
        table.cursors.insert(name.to_owned(), cursor);
        table.dirty = true;
        true
    }

    /// All up to `upto` is done with. Before a new cursor there is nothing up to `begin`.
    pub(crate) fn advance(&self, name: &str, upto: Seq, note: Bytes, begin: Seq) -> Commit {
        let refuse = |why: String| {
            let group = CommitGroup::default();
            group.resolve(Err(NotDurable::Disk(why.into())));
            group.waiter(upto)
        };
        if note.len() > NOTE_BYTES_MAX {
            return refuse(format!(
                "the note of cursor {name} has {} bytes, at most {NOTE_BYTES_MAX} are kept",
                note.len()
            ));
        }
        // In one step: a place that it never had must not come into the file.
        let mut table = self.lock();
        if !self.register_in(&mut table, name, begin, None) {
            return refuse(format!("there are {CURSORS_MAX} cursors and no room for {name}"));
        }
        if let Some(cursor) = table.cursors.get_mut(name) {
            cursor.now = Saved { place: upto.max(cursor.now.place), note, advanced: true };
        }
        table.dirty = true;
        table.group.waiter(upto)
    }

    /// What is to be written, if anything changed since the last time.
    pub(crate) fn take_changed(&self) -> Option<(BTreeMap<String, Saved>, CommitGroup)> {
        let mut table = self.lock();
        if !std::mem::take(&mut table.dirty) {
            return None;
        }
        let group = std::mem::take(&mut table.group);
        Some((table.cursors.iter().map(|(name, cursor)| (name.clone(), cursor.now.clone())).collect(), group))
    }

    pub(crate) fn is_changed(&self) -> bool {
        self.lock().dirty
    }

    /// The file as it would be written now, empty where there is no cursor; and up to where all are done.
    pub(crate) fn image(&self) -> (Vec<u8>, Seq) {
        let table = self.lock();
        let saved: BTreeMap<String, Saved> =
            table.cursors.iter().map(|(name, cursor)| (name.clone(), cursor.now.clone())).collect();
        let done = saved.values().map(|saved| saved.place).min().unwrap_or_default();
        // An even generation stands in the first slot.
        let bytes = if saved.is_empty() { Vec::new() } else { slot_bytes(2, &saved) };
        (bytes, done)
    }

    /// These places are on the disk.
    pub(crate) fn written(&self, saved: &BTreeMap<String, Saved>) {
        let mut table = self.lock();
        for (name, saved) in saved {
            if let Some(cursor) = table.cursors.get_mut(name) {
                cursor.durable = cursor.durable.max(saved.place);
            }
        }
    }

    /// They could not be written: the next write has them all again.
    pub(crate) fn not_written(&self) {
        self.lock().dirty = true;
    }

    /// All up to here may be trimmed; `None` while nobody reads the log.
    pub(crate) fn done(&self) -> Option<Seq> {
        self.lock().cursors.values().map(|cursor| cursor.durable).min()
    }

    pub(crate) fn held(&self) -> Vec<Held> {
        let table = self.lock();
        let held = |(name, cursor): (&String, &Cursor)| Held {
            name: name.clone(),
            place: cursor.now.place,
            hold: cursor.hold,
            claimed: cursor.claimed,
        };
        table.cursors.iter().map(held).collect()
    }

    /// Moves a cursor forward against its owner's will.
    pub(crate) fn cut(&self, name: &str, to: Seq) {
        let mut table = self.lock();
        let Some(cursor) = table.cursors.get_mut(name) else { return };
        if to > cursor.now.place {
            cursor.cut.add(to.0.saturating_sub(cursor.now.place.0));
            cursor.now.place = to;
            table.dirty = true;
        }
    }

    pub(crate) fn show_lag(&self, durable: Seq) {
        for cursor in self.lock().cursors.values() {
            cursor.lag.set(i64::try_from(durable.0.saturating_sub(cursor.now.place.0)).unwrap_or(i64::MAX));
        }
    }

    /// The log ends: nobody waits any longer.
    pub(crate) fn close(&self) {
        self.lock().group.resolve(Err(NotDurable::Stopping));
    }
}

/// The cursors' file.
pub(crate) struct CursorFile {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    file: Option<Arc<dyn File>>,
    generation: u64,
}

/// What stood in the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) cursors: BTreeMap<String, Saved>,
    /// There is a file but no slot of it can be read.
    pub(crate) lost: bool,
    /// A slot that was written cannot be read: cursors may have been further than the other one says.
    doubtful: bool,
    /// A later program wrote it, in this format.
    pub(crate) newer: Option<u32>,
}

impl Read {
    /// Up to where all engines are done, where that is sure.
    pub(crate) fn done(&self) -> Option<Seq> {
        let places = self.cursors.values().map(|cursor| cursor.place);
        if self.doubtful { None } else { places.min() }
    }
}

impl CursorFile {
    /// Reads what is there. The file is made with the first write.
    pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path) -> io::Result<(CursorFile, Read)> {
        let path = dir.join(FILE);
        let mut this = CursorFile { disk: disk.clone(), dir: dir.to_owned(), file: None, generation: 0 };
        if !disk.exists(&path)? {
            return Ok((this, Read::default()));
        }
        let file = disk.open(&path, Open::ReadWrite).or_else(|_| disk.open(&path, Open::Read))?;
        let mut read = Read { lost: true, ..Read::default() };
        for slot in 0..2_u64 {
            match read_slot(file.as_ref(), slot) {
                Ok((generation, cursors)) if generation > this.generation => {
                    this.generation = generation;
                    read.cursors = cursors;
                    read.lost = false;
                }
                Err(SlotError::Newer(format)) => read.newer = Some(format),
                Err(SlotError::Damaged) => read.doubtful = true,
                Ok(_) | Err(SlotError::Empty) => {}
            }
        }
        // A damaged file is made anew by the next write.
        this.file = (!read.lost).then_some(file);
        Ok((this, read))
    }

    /// Writes all cursors, durably. After a failure the file is given up, and the next write makes a new one.
    pub(crate) fn write(&mut self, cursors: &BTreeMap<String, Saved>) -> io::Result<()> {
        let generation = self.generation.saturating_add(1);
        let bytes = slot_bytes(generation, cursors);
        self.generation = generation;
        let offset = (generation % 2).saturating_mul(SLOT_BYTES as u64);
        match self.file.take() {
            Some(file) => {
                file.write_at(&bytes, offset)?;
                file.sync_data()?;
                self.file = Some(file);
            }
            None => self.file = Some(self.make(&bytes, offset)?),
        }
        Ok(())
    }

    fn make(&self, bytes: &[u8], offset: u64) -> io::Result<Arc<dyn File>> {
        let (path, fresh) = (self.dir.join(FILE), self.dir.join("cursors.new"));
        if self.disk.exists(&fresh)? {
            self.disk.remove(&fresh)?;
        }
        let file = self.disk.open(&fresh, Open::CreateNew)?;
        file.allocate(2 * SLOT_BYTES as u64)?;
        file.write_at(bytes, offset)?;
        file.sync_all()?;
        self.disk.rename(&fresh, &path)?;
        self.disk.sync_dir(&self.dir)?;
        Ok(file)
    }
}

enum SlotError {
    /// Nothing was ever written to it.
    Empty,
    Damaged,
    Newer(u32),
}

impl From<Malformed> for SlotError {
    fn from(_: Malformed) -> SlotError {
        SlotError::Damaged
    }
}

/// Head: magic, format u32, length of the body u32, generation u64, CRC32C of body u32, CRC32C of the head before it u32.
fn slot_bytes(generation: u64, cursors: &BTreeMap<String, Saved>) -> Vec<u8> {
    let mut body = Vec::new();
    encode::varint(cursors.len() as u64, &mut body);
    for (name, saved) in cursors {
        encode::bytes(name.as_bytes(), &mut body);
        body.push(u8::from(saved.advanced));
        body.extend_from_slice(&saved.place.0.to_le_bytes());
        encode::bytes(&saved.note, &mut body);
    }
    let mut out = Vec::with_capacity(body.len().saturating_add(HEAD_BYTES));
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&generation.to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
    out.extend_from_slice(&body);
    out
}

fn read_slot(file: &dyn File, slot: u64) -> Result<(u64, BTreeMap<String, Saved>), SlotError> {
    let mut bytes = vec![0; SLOT_BYTES];
    let offset = slot.saturating_mul(SLOT_BYTES as u64);
    let mut filled = 0;
    while let Some(left) = bytes.get_mut(filled..).filter(|left| !left.is_empty()) {
        match file.read_at(left, offset.saturating_add(filled as u64)) {
            Ok(0) | Err(_) => break,
            Ok(count) => filled = filled.saturating_add(count),
        }
    }
    bytes.truncate(filled);
    if bytes.iter().all(|byte| *byte == 0) {
        return Err(SlotError::Empty);
    }
    parse_slot(&bytes)
}

fn parse_slot(bytes: &[u8]) -> Result<(u64, BTreeMap<String, Saved>), SlotError> {
    let mut input = Input { left: bytes };
    let head = bytes.get(..HEAD_BYTES.saturating_sub(4)).ok_or(SlotError::Damaged)?;
    if input.take(8, "magic")? != MAGIC {
        return Err(SlotError::Damaged);
    }
    let format = fixed_u32(&mut input)?;
    let len = fixed_u32(&mut input)?;
    let generation = input.fixed("generation")?;
    let body_crc = fixed_u32(&mut input)?;
    if fixed_u32(&mut input)? != crc32c::crc32c(head) {
        return Err(SlotError::Damaged);
    }
    if format != FORMAT {
        return Err(if format > FORMAT { SlotError::Newer(format) } else { SlotError::Damaged });
    }
    let body = input.take(len as usize, "body")?;
    if crc32c::crc32c(body) != body_crc {
        return Err(SlotError::Damaged);
    }
    let mut input = Input { left: body };
    let count = input.count_of("cursors", 11)?;
    let mut cursors = BTreeMap::new();
    for _ in 0..count {
        let name = String::from_utf8(input.bytes("name")?.to_vec()).map_err(|_| SlotError::Damaged)?;
        let advanced = input.byte("state")? != 0;
        let place = Seq(input.fixed("place")?);
        cursors.insert(name, Saved { place, note: input.bytes("note")?, advanced });
    }
    Ok((generation, cursors))
}

fn fixed_u32(input: &mut Input<'_>) -> Result<u32, SlotError> {
    let bytes = input.take(4, "number")?;
    bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)).ok_or(SlotError::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_an_earlier_run_is_claimed_by_its_owner() {
        let gauges = Arc::new(Gauges::new(&tidemill_ground::Metrics::new()));
        let saved = Saved { place: Seq(5), note: Bytes::new(), advanced: true };
        let cursors = Cursors::new([("bus".to_owned(), saved)].into(), gauges);
        let claimed =
            || cursors.held().iter().map(|held| (held.name.clone(), held.claimed)).collect::<Vec<_>>();
        assert_eq!(claimed(), [("bus".to_owned(), false)]);
        cursors.register("bus", Seq(0), None);
        cursors.register("new", Seq(0), None);
        assert_eq!(claimed(), [("bus".to_owned(), true), ("new".to_owned(), true)]);
    }
}
