//! The entries' way into the table: each becomes a row by the journal, once, also where the process was killed between the
//! file and the journal. A cursor of the journal notes up to which entry that is done; behind its place the next start
//! finds which rows came through nevertheless, and hands on the others. What does not live here: what a row is (`table`).

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tidemill_core::{Commit, CursorId, Delivery, Durability, Journal, Parcel, Record, Seq, StreamId};
use tidemill_ground::{Counter, Disk};

use super::line::{seq_of, split};
use super::mark::Marks;
use super::members::{Members, members};
use super::table;
use super::verify::{Report, file_bytes, files};
use crate::error::Error;

/// Up to where the journal has every row.
pub(crate) const CURSOR: CursorId = CursorId("audit");
/// How many rows may wait for a journal that is busy. What goes over it is missing in the table until the next start, not
/// in the files.
const ROWS_WAITING_MAX: usize = 16_384;
/// How many rows go to the journal at once.
const ROWS_PER_PARCEL: usize = 256;
/// How long the first note of all may take: from then on a killed process is told from one that never had a cursor.
const NOTE_WAIT: Duration = Duration::from_secs(2);

/// An entry as a row of the table.
pub(crate) struct Row {
    pub(crate) seq: u64,
    pub(crate) json: Vec<u8>,
}

/// Rows that the journal took, not known to be durable.
struct Given {
    last: u64,
    count: u64,
    commit: Commit,
}

/// Every row up to entry `seq` is in the journal up to `place`, and none of a later one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Note {
    seq: u64,
    place: Seq,
}

impl Note {
    fn bytes(self) -> Bytes {
        [self.seq.to_be_bytes(), self.place.0.to_be_bytes()].concat().into()
    }

    fn read(bytes: &[u8]) -> Option<Note> {
        let (seq, place) = bytes.split_first_chunk()?;
        Some(Note { seq: u64::from_be_bytes(*seq), place: Seq(u64::from_be_bytes(*place.first_chunk()?)) })
    }
}

/// The last entry of which an earlier life noted that its row is through; 0 if none did.
pub(crate) fn handed_on(journal: &dyn Journal) -> u64 {
    let note = journal.cursor(CURSOR).and_then(|(_, note)| Note::read(&note));
    note.map(|note| note.seq).filter(|seq| *seq < super::SEQ_MAX).unwrap_or(0)
}

/// The entries, from the first to the last, that the journal knows of and that a check did not find: where the whole folder is
/// gone, nothing in it tells.
pub fn missing_entries(report: &Report, journal: &dyn Journal) -> Option<(u64, u64)> {
    let last = handed_on(journal);
    (report.last < last).then_some((report.last + 1, last))
}

/// The rows on their way.
pub(crate) struct Rows {
    journal: Arc<dyn Journal>,
    missing: Counter,
    waiting: VecDeque<Row>,
    given: VecDeque<Given>,
    /// How far all is through, and what of that the cursor says.
    now: Note,
    noted: Option<Note>,
    /// Of the rows that an earlier life left: the newest, and the entry up to which all is through once that one is.
    catching_up: Option<(u64, u64)>,
    /// Whether a row may not have come through: the cursor then stays where it is, and the next start looks.
    doubt: bool,
}

impl Rows {
    pub(crate) fn new(journal: Arc<dyn Journal>, missing: Counter) -> Rows {
        Rows {
            journal,
            missing,
            waiting: VecDeque::new(),
            given: VecDeque::new(),
            now: Note::default(),
            noted: None,
            catching_up: None,
            doubt: false,
        }
    }

    /// Hands on what an earlier life left: the chain ends with entry `last`.
    pub(crate) fn begin(&mut self, disk: &dyn Disk, dir: &Path, last: u64) {
        let first = self.journal.cursor(CURSOR).is_none();
        let owed = self.owed(last, self.journal.durable());
        let rows = if owed.missing.is_empty() { Ok(Vec::new()) } else { rows_of(disk, dir, &owed.missing) };
        let rows = rows.unwrap_or_else(|error| {
            tracing::warn!(event = "audit.rows_unread", %error, "entries that are not in the table sys.audit could not be read");
            Vec::new()
        });
        if !rows.is_empty() {
            tracing::info!(
                event = "audit.rows_handed_on",
                entries = rows.len(),
                "entries that the table sys.audit did not have are handed on"
            );
        }
        self.missing.add(owed.missing.len().saturating_sub(rows.len()) as u64 + owed.unknown);
        self.catching_up = rows.last().map(|row| (row.seq, last));
        self.now = if rows.is_empty() { Note { seq: last, ..owed.note } } else { owed.note };
        self.give(rows);
        let noted = self.settle();
        if let (Some(noted), true) = (noted, first) {
            let _ = noted.wait(NOTE_WAIT);
        }
    }

    fn owed(&self, last: u64, end: Seq) -> Owed {
        let all = |note| Owed { note, missing: BTreeSet::new(), unknown: 0 };
        let Some((place, note)) = self.journal.cursor(CURSOR) else {
            // A journal of an earlier version, or another journal: the newest row that it has tells how far the table is.
            let begin = Seq(self.journal.first().0.saturating_sub(1));
            let found = if last == 0 { None } else { self.found(begin, end) };
            let seq = found.as_ref().and_then(|found| found.last().copied()).unwrap_or(last).min(last);
            return Owed { missing: (seq + 1..=last).collect(), ..all(Note { seq, place: begin }) };
        };
        let note = Note::read(&note).unwrap_or(Note { seq: last, place });
        if note.seq >= last {
            return all(Note { seq: last, place });
        }
        match self.found(place, end) {
            Some(found) if note.place == place => Owed {
                missing: (note.seq + 1..=last).filter(|seq| !found.contains(seq)).collect(),
                ..all(note)
            },
            // The journal moved the cursor on, or cannot be read: a row that was taken already must not be given twice.
            found => {
                let found = found.map_or(0, |found| found.range(note.seq + 1..=last).count() as u64);
                Owed { unknown: (last - note.seq).saturating_sub(found), ..all(Note { seq: last, place }) }
            }
        }
    }

    /// The rows that the journal has from behind `after` to `end`; none if it cannot be read whole.
    fn found(&self, after: Seq, end: Seq) -> Option<BTreeSet<u64>> {
        let mut found = BTreeSet::new();
        if after >= end {
            return Some(found);
        }
        let mut feed = self.journal.follow(CURSOR, Some(after));
        loop {
            // All up to `end` is durable: a feed that has nothing now cannot read its disk.
            let Poll::Ready(Delivery::Data { seq, parcel, .. }) =
                feed.next().as_mut().poll(&mut Context::from_waker(Waker::noop()))
            else {
                return None;
            };
            let rows = parcel.records.iter().filter(|record| record.stream == StreamId::AUDIT);
            found.extend(rows.filter_map(|row| Some(u64::from_be_bytes(*row.key.first_chunk()?))));
            if seq >= end {
                return Some(found);
            }
        }
    }

    /// Gives rows to the journal, and waits so long for the last. A busy journal gets them later.
    pub(crate) fn hand_on(&mut self, rows: Vec<Row>, wait: Duration) {
        self.give(rows);
        if let (Some(given), false) = (self.given.back(), wait.is_zero()) {
            let _ = given.commit.wait(wait);
        }
        drop(self.settle());
    }

    fn give(&mut self, rows: Vec<Row>) {
        self.waiting.extend(rows);
        let over = self.waiting.len().saturating_sub(ROWS_WAITING_MAX);
        if over > 0 {
            self.waiting.drain(..over);
            self.missing.add(over as u64);
            self.doubt = true;
        }
        let record = |row: &Row| Record {
            stream: StreamId::AUDIT,
            key: Bytes::copy_from_slice(&row.seq.to_be_bytes()),
            value: Bytes::copy_from_slice(&row.json),
        };
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(ROWS_PER_PARCEL);
            let records = self.waiting.iter().take(count).map(record).collect();
            let parcel = Parcel { records, ..Parcel::default() };
            match self.journal.append(Arc::new(parcel), Durability::Commit) {
                Ok(commit) => {
                    let last = self.waiting.drain(..count).next_back().map_or(0, |row| row.seq);
                    self.given.push_back(Given { last, count: count as u64, commit });
                }
                Err(busy) => {
                    tracing::debug!(event = "audit.rows_waiting", %busy, "audit rows wait for the journal");
                    break;
                }
            }
        }
    }

    /// Notes what came through since the last time. Nobody waits for the note: without it the next start reads more.
    fn settle(&mut self) -> Option<Commit> {
        while let Some(given) = self.given.front() {
            match given.commit.wait(Duration::ZERO) {
                None => break,
                Some(Ok(place)) => self.through(given.last, place),
                Some(Err(_)) => {
                    self.missing.add(given.count);
                    self.doubt = true;
                }
            }
            self.given.pop_front();
        }
        let durable = self.journal.durable();
        if self.given.is_empty() && self.waiting.is_empty() {
            self.now.place = durable;
        }
        if self.doubt || self.noted == Some(self.now) || self.now.place > durable {
            return None;
        }
        self.noted = Some(self.now);
        Some(self.journal.advance(CURSOR, self.now.place, self.now.bytes()))
    }

    fn through(&mut self, last: u64, place: Seq) {
        // Rows of later entries may stand before those that an earlier life left: none counts before all do.
        match self.catching_up {
            Some((newest, _)) if last < newest => {}
            Some((_, seq)) => {
                self.now = Note { seq: seq.max(last), place };
                self.catching_up = None;
            }
            None => self.now = Note { seq: last, place },
        }
    }

    /// Nothing more will come. Rows that still wait are handed on by the next start.
    pub(crate) fn end(mut self) {
        drop(self.settle());
        self.missing.add(self.waiting.len() as u64);
    }
}

/// What an earlier life left to do.
struct Owed {
    note: Note,
    /// These entries have no row.
    missing: BTreeSet<u64>,
    /// So many may have none, and nobody can tell.
    unknown: u64,
}

/// The rows of these entries, as far as the files have them.
fn rows_of(disk: &dyn Disk, dir: &Path, seqs: &BTreeSet<u64>) -> Result<Vec<Row>, Error> {
    let Members { chain, .. } = members(disk, dir, Marks::read(disk, dir)?, files(disk, dir)?)?;
    let oldest = seqs.first().copied().unwrap_or(u64::MAX);
    let from = chain.partition_point(|first| *first <= oldest).saturating_sub(1);
    let mut rows = std::collections::BTreeMap::new();
    for first in chain.into_iter().skip(from) {
        // What stands behind the entry that this file begins with was never durable.
        drop(rows.split_off(&first));
        for line in file_bytes(disk, dir, first)?.split(|byte| *byte == b'\n') {
            let seq = split(line).and_then(|(body, _)| seq_of(body)).filter(|seq| seqs.contains(seq));
            rows.extend(seq.and_then(|seq| Some((seq, table::row_of(line)?))));
        }
    }
    Ok(rows.into_iter().map(|(seq, json)| Row { seq, json }).collect())
}
