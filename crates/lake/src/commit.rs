//! Makes a change part of the table: one commit for all of its files, then the picture that new views get. The record
//! of corrections rides with it: the commit names the corrections' file, so that a crash between the two commits is
//! mended at the next start. What does not live here: what changes (flush, merge, rewrite, retention).

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use tidemill_core::{ColumnKind, Seq, StreamId, TableSpec, Value, ValueRef, column};

use super::Store;
use super::delta::{APP_ID, Action, Add, CommitInfo, Remove, Txn, timestamp_ms};
use super::files::FileEntry;
use super::rows::{RowRef, Rows};
use super::tables::TableRow;
use crate::Error;

/// In the commit's parameters: files of the record of corrections that belong to it, as JSON.
pub(crate) const CORRECTIONS_KEY: &str = "tidemill.corrections";

/// Rows of corrections in memory at most: a deletion may concern millions.
const CORRECTIONS_ROWS_MAX: usize = 65_536;

/// Files of corrections that wait for a table that is closed. Every commit names them; beyond it the oldest are given up.
const UNRECORDED_FILES_MAX: usize = if cfg!(test) { 4 } else { 256 };

/// What comes and what goes.
#[derive(Default)]
pub(crate) struct Change {
    pub(crate) added: Vec<FileEntry>,
    pub(crate) removed: Vec<Arc<FileEntry>>,
    /// Rows of the record of corrections that are not written yet, …
    rows: Vec<TableRow>,
    /// … and the files of those that are.
    corrections: Vec<Add>,
}

/// Samples that are no longer what they were.
pub(crate) struct Correction {
    pub(crate) when: i64,
    pub(crate) path: Arc<str>,
    pub(crate) old: Rows,
    pub(crate) action: &'static str,
    /// The row that took the place of `old`.
    pub(crate) by: Option<Rows>,
    pub(crate) who: String,
    pub(crate) reason: String,
}

/// The record of corrections.
pub static CORRECTIONS: &TableSpec = &TableSpec {
    name: "corrections",
    description: "Samples that were replaced or deleted, as they were before",
    stream: Some(StreamId::CORRECTIONS),
    columns: &[
        column("corrected", ColumnKind::Time, "When it was replaced or deleted"),
        column("signal", ColumnKind::Text, "Whose sample it was"),
        column("time", ColumnKind::Time, "The sample's time"),
        column("action", ColumnKind::Text, "replace or delete"),
        column("kind", ColumnKind::Text, "What the old value was"),
        column("value", ColumnKind::Text, "The old value as text, exact"),
        column("quality", ColumnKind::Int, "The old quality"),
        column("new_value", ColumnKind::Text, "What took its place"),
        column("who", ColumnKind::Text, "Who did it"),
        column("reason", ColumnKind::Text, "Why, as they said"),
    ],
    path_columns: &["signal"],
};

impl Change {
    /// Files that go, with nothing in their place.
    pub(crate) fn removing(removed: Vec<Arc<FileEntry>>) -> Change {
        Change { removed, ..Change::default() }
    }

    /// Takes in what another change brings.
    pub(crate) fn absorb(&mut self, other: Change) {
        self.added.extend(other.added);
        self.removed.extend(other.removed);
        self.rows.extend(other.rows);
        self.corrections.extend(other.corrections);
    }

    fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.rows.is_empty()
            && self.corrections.is_empty()
    }

    fn corrects(&self) -> bool {
        !self.corrections.is_empty()
    }
}

impl Correction {
    fn rows(&self) -> impl Iterator<Item = TableRow> {
        let text = |text: &str| Value::Text(text.into());
        (0..self.old.len()).map(move |row| {
            let old = self.old.row(row);
            vec![
                Value::Int(self.when),
                Value::Text(self.path.clone()),
                Value::Int(old.time),
                text(self.action),
                text(old.kind.name()),
                Value::Text(spelled(&old).into()),
                Value::Int(i64::from(old.quality.0)),
                self.by.as_ref().map_or(Value::None, |by| Value::Text(spelled(&by.row(0)).into())),
                text(&self.who),
                text(&self.reason),
            ]
        })
    }
}

/// A value as text from which it can be had again.
fn spelled(row: &RowRef<'_>) -> String {
    use tidemill_core::Kind;
    let utf8 = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    let value = match row.kind {
        Kind::None => return String::new(),
        Kind::Float => ValueRef::Float(f64::from_bits(row.bits)),
        Kind::Int => ValueRef::Int(row.bits.cast_signed()),
        Kind::UInt => ValueRef::UInt(row.bits),
        Kind::Bool => ValueRef::Bool(row.bits != 0),
        Kind::Text => ValueRef::Text(utf8(row.bytes)),
        Kind::Json => ValueRef::Json(utf8(row.bytes)),
        Kind::Bytes => ValueRef::Bytes(row.bytes),
    };
    value.to_string()
}

impl Store {
    /// Commits a change; `upto` is how far the journal is in the table then, where that changes. `shown` runs at the
    /// moment when new views see the change.
    ///
    /// # Errors
    /// [`Error::Conflict`]: a file that goes was gone already; nothing was changed.
    pub(crate) fn commit(
        &self,
        mut change: Change,
        upto: Option<Seq>,
        operation: &str,
        shown: impl FnOnce(&mut super::State),
    ) -> Result<(), Error> {
        let moves = upto.is_some_and(|seq| seq > self.lock().flushed);
        if change.is_empty() && !moves {
            shown(&mut self.lock());
            return Ok(());
        }
        // Where only the place in the journal moves (rows that were all known already, a deletion in the buffer alone), the
        // commit says just that: the journal's cursor is never beyond what the table says it holds.
        let wall = self.clock.wall();
        let dir = &self.place.dir;
        let synced = self.disk.sync_dir(dir);
        synced.map_err(|source| Error::Disk { what: "synced", path: dir.clone(), source })?;
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.lock().version.clone();
        if let Some(gone) = change.removed.iter().find(|file| !version.has(file.name())) {
            tracing::debug!(
                event = "merge.conflict",
                file = gone.name(),
                "the table changed under a rewrite"
            );
            self.discard(&change);
            return Err(Error::Conflict);
        }
        self.write_corrections(&mut change).inspect_err(|_| self.discard(&change))?;
        let rewrites = change.corrects();
        let waiting = std::mem::take(&mut *self.unrecorded());
        let earlier = ..waiting.len();
        change.corrections.splice(0..0, waiting);
        let actions = actions(&change, rewrites, upto, operation, wall);
        if let Err(error) = actions.and_then(|actions| log.commit(actions)) {
            // Those of an earlier commit stand as they did: that commit names them.
            self.unrecorded().extend(change.corrections.drain(earlier));
            if !log.may_have_next() {
                self.discard(&change);
            }
            return Err(error);
        }
        let removed: Vec<String> = change.removed.iter().map(|file| file.name().to_owned()).collect();
        {
            let mut state = self.lock();
            let next = Arc::new(state.version.with(change.added, &removed));
            state.version = next;
            state.leaving.extend(change.removed);
            shown(&mut state);
        }
        self.record(change.corrections)?;
        log.tidy()
    }

    /// Makes files part of the record of corrections. Those that cannot be now are named by the next commit again, and the next
    /// start finds them there.
    fn record(&self, files: Vec<Add>) -> Result<(), Error> {
        if files.is_empty() {
            return Ok(());
        }
        let done = match self.corrections.closed() {
            Some(_) => None,
            None => Some(self.commit_table(&self.corrections, files.clone(), None)),
        };
        if let Some(Ok(())) = done {
            return Ok(());
        }
        let mut waiting = self.unrecorded();
        waiting.extend(files);
        let too_many = waiting.len().saturating_sub(UNRECORDED_FILES_MAX);
        for file in waiting.drain(..too_many) {
            tracing::error!(
                event = "corrections.given_up",
                file = file.path,
                "corrections are given up: too many wait for their table"
            );
            // It stays on disk: whether the closed table holds it already, nobody knows.
            self.meters.unrecorded.add(1);
        }
        done.unwrap_or(Ok(()))
    }

    fn unrecorded(&self) -> MutexGuard<'_, Vec<Add>> {
        self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to the record of corrections that a change brings.
    pub(crate) fn correct(&self, change: &mut Change, correction: &Correction) -> Result<(), Error> {
        change.rows.extend(correction.rows());
        if change.rows.len() >= CORRECTIONS_ROWS_MAX { self.write_corrections(change) } else { Ok(()) }
    }

    fn write_corrections(&self, change: &mut Change) -> Result<(), Error> {
        let rows = std::mem::take(&mut change.rows);
        self.meters.corrected.add(rows.len() as u64);
        let files = self.corrections.write(&rows, &|| self.table_file_name(), self.clock.wall())?;
        change.corrections.extend(files);
        Ok(())
    }

    /// Removes files that were written for a change that did not come to be.
    pub(crate) fn discard(&self, change: &Change) {
        let samples = change.added.iter().map(|file| self.place.dir.join(file.name()));
        let corrections = change.corrections.iter().map(|file| self.corrections.path_of(file));
        for path in samples.chain(corrections) {
            // They are no part of a table; what stays is removed at the next start.
            let _ = self.disk.remove(&path);
        }
    }
}

fn actions(
    change: &Change,
    rewrites: bool,
    upto: Option<Seq>,
    operation: &str,
    wall: i64,
) -> Result<Vec<Action>, Error> {
    let mut parameters = BTreeMap::new();
    if change.corrects() {
        let json = serde_json::to_string(&change.corrections)
            .map_err(|error| Error::Log { file: "samples".into(), detail: error.to_string() })?;
        parameters.insert(CORRECTIONS_KEY.to_owned(), json.into());
    }
    let mut actions = vec![Action::CommitInfo(CommitInfo {
        timestamp: timestamp_ms(wall),
        operation: operation.into(),
        operation_parameters: parameters,
        engine_info: Some(concat!("tidemill/", env!("CARGO_PKG_VERSION")).into()),
    })];
    actions.extend(upto.map(|seq| {
        Action::Txn(Txn { app_id: APP_ID.into(), version: seq.0, last_updated: Some(timestamp_ms(wall)) })
    }));
    actions.extend(change.removed.iter().map(|file| {
        Action::Remove(Remove {
            path: file.name().to_owned(),
            deletion_timestamp: Some(timestamp_ms(wall)),
            data_change: rewrites || operation == "DELETE",
        })
    }));
    actions.extend(change.added.iter().map(|file| {
        let mut add = file.add.clone();
        add.data_change = add.data_change || rewrites;
        Action::Add(Box::new(add))
    }));
    Ok(actions)
}
