//! One round of flushing: when it is due, what it does from the frozen buffer to the journal's cursor, and waiting for one.
//! What does not live here: what stands in the files (`flush`), and the thread (`run`).

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tidemill_core::{Problem, Seq, codes};

use super::commit::Change;
use super::delta::Add;
use super::frozen::{Frozen, Records};
use super::tables::{Table, TableRow, row_of};
use super::{CURSOR, State, Store};
use crate::Error;

/// Records that wait for one table at most; beyond it the oldest are counted and given up.
const WAITING_RECORDS_MAX: usize = 10_000;
/// A flush need not wait for its hour where memory holds this share of the rows in files: the number of such flushes grows with
/// the logarithm of the rows only.
const YOUNG_SHARE: u64 = 4;
/// How long a caller waits for a flush. One that rewrites much of a large table takes longer, and goes on without them.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(60);

impl Store {
    /// Whether a flush is due.
    pub(crate) fn flush_due(&self, state: &State) -> bool {
        self.flush_presses(state) || self.flush_has_waited(state)
    }

    /// Whether a parcel may have made a flush due: full, asked for, something is deleted, or much of the journal waits for it.
    /// Asked for each parcel.
    pub(crate) fn flush_presses(&self, state: &State) -> bool {
        let full = state.active.fill().bytes as u64 >= self.settings.buffer_bytes / 2;
        let deletes = !state.active.closed.is_empty();
        let much = state.is_replayed() && state.active.journal_bytes >= self.settings.journal_bytes;
        full || deletes || much || state.asked > state.done
    }

    /// Whether time has made it due. Asked now and then: it looks at every file.
    fn flush_has_waited(&self, state: &State) -> bool {
        let Some(since) = state.active_since.filter(|_| state.is_replayed()) else { return false };
        let waited = self.clock.monotonic().saturating_sub(since);
        let young = || {
            let rows = state.active.fill().rows;
            let in_files: u64 = state.version.files.iter().map(|file| file.rows).sum();
            rows > 0 && rows.saturating_mul(YOUNG_SHARE) >= in_files
        };
        waited >= self.settings.flush_after || (waited >= self.settings.flush_young_after && young())
    }

    /// Flushes what is frozen, or what is due. Says whether there was anything to do.
    ///
    /// # Errors
    /// What was frozen stays, and is flushed at the next call.
    pub fn flush_step(&self) -> Result<bool, Error> {
        let _one = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        let frozen = {
            let mut state = self.lock();
            if state.frozen.is_none() && self.flush_due(&state) {
                self.freeze(&mut state);
            }
            state.frozen.clone()
        };
        let Some(frozen) = frozen else { return Ok(false) };
        self.lock().rewriting = !frozen.deletions().is_empty();
        // Who kills a plant from outside sees by these events what it hit.
        tracing::debug!(event = "flush.began");
        let outcome = self.flush_frozen(&frozen).or_else(|error| self.flush_into_reserve(&frozen, error));
        tracing::debug!(event = "flush.ended", good = outcome.is_ok());
        let mut state = self.lock();
        state.rewriting = false;
        match &outcome {
            Ok(()) => {
                state.done = state.done.max(frozen.covers);
                state.failure = None;
            }
            Err(error) => {
                let code = if error.is_full() { &codes::DISK_FULL } else { &codes::NOT_DURABLE };
                state.failure = Some(Problem::new(code, format!("the flush failed: {error}")));
                state.failures += 1;
                self.meters.flush_failures.add(1);
            }
        }
        drop(state);
        self.changed.notify_all();
        outcome.map(|()| true)
    }

    /// Why the last flush failed, if it did; it is tried again.
    pub fn flush_failure(&self) -> Option<Problem> {
        self.lock().failure.clone()
    }

    fn flush_frozen(&self, frozen: &Arc<Frozen>) -> Result<(), Error> {
        if frozen.begun {
            return self.flush_in_pieces(frozen);
        }
        let waiting = self.flush_tables(frozen)?;
        self.flush_samples(frozen, frozen, waiting)
    }

    /// Writes the records of declared tables. Gives those that no open table takes.
    pub(crate) fn flush_tables(&self, frozen: &Frozen) -> Result<Records, Error> {
        let mut waiting = Records::new();
        for (stream, records) in &frozen.records {
            let table = self.lock().tables.get(stream).cloned();
            match table {
                Some((table, version)) if table.closed().is_none() => {
                    self.flush_records(&table, version.applied, records, frozen.upto)?;
                }
                _ => {
                    waiting.insert(*stream, records.clone());
                }
            }
        }
        Ok(waiting)
    }

    /// Writes the samples of what is frozen, or of a part from its beginning, and lets the journal go.
    pub(crate) fn flush_samples(
        &self,
        frozen: &Arc<Frozen>,
        part: &Frozen,
        waiting: Records,
    ) -> Result<(), Error> {
        let started = self.clock.monotonic();
        let version = self.lock().version.clone();
        let mut change = Change::default();
        if let Err(error) = self.write_flush(part, &version, &mut change) {
            self.discard(&change);
            return Err(error);
        }
        let operation = if part.deletions().is_empty() { "WRITE" } else { "DELETE" };
        let mut held = waiting.values().filter_map(|records| records.first()).map(|(seq, _)| *seq).min();
        self.commit(change, Some(part.upto), operation, |state| {
            state.flushed = state.flushed.max(part.upto);
            state.frozen = frozen.behind(part.upto).map(Arc::new);
            if state.frozen.is_none() {
                held = self.carry(state, waiting, frozen.journal_bytes);
            }
        })?;
        let upto = held.map_or(part.upto, |seq| Seq(seq.0.saturating_sub(1)).min(part.upto));
        // The journal lets go of what is in files. Its outcome is not awaited: if it is lost, more is applied again
        // after a restart, and skipped.
        drop(self.journal.advance(CURSOR, upto, Bytes::new()));
        self.meters.flushed(self.clock.monotonic().saturating_sub(started));
        Ok(())
    }

    fn flush_records(
        &self,
        table: &Arc<Table>,
        applied: Seq,
        records: &[(Seq, Bytes)],
        upto: Seq,
    ) -> Result<(), Error> {
        let new = records.iter().filter(|(seq, _)| *seq > applied);
        let rows: Vec<TableRow> = new.map(|(_, value)| row_of(table.spec, value)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let files = table.write(&rows, &|| self.table_file_name(), self.clock.wall())?;
        self.commit_table(table, files, Some(upto))
    }

    /// Records that no open table takes go on to the next flush, and the journal is held for them: not more of them than
    /// [`WAITING_RECORDS_MAX`] a table, and not longer than until it holds as many bytes as make a flush due. Gives the first that
    /// waits.
    fn carry(&self, state: &mut State, waiting: Records, journal_bytes: u64) -> Option<Seq> {
        state.held_bytes = if waiting.is_empty() { 0 } else { state.held_bytes + journal_bytes };
        let records_max =
            if state.held_bytes > self.settings.journal_bytes { 0 } else { WAITING_RECORDS_MAX };
        let mut first = None;
        for (stream, records) in waiting {
            let given_up = records.len().saturating_sub(records_max);
            if given_up > 0 {
                tracing::error!(
                    event = "records.given_up",
                    stream = stream.0,
                    given_up,
                    "records are given up: too many wait for a table that is closed or not declared"
                );
                self.meters.undeclared.add(given_up as u64);
            }
            let kept = records.get(given_up..).unwrap_or_default();
            let Some((seq, _)) = kept.first() else { continue };
            first = Some(first.map_or(*seq, |first: Seq| first.min(*seq)));
            let now = state.active.records.entry(stream).or_default();
            *now = Arc::new(kept.iter().chain(now.iter()).cloned().collect());
        }
        if first.is_none() {
            state.held_bytes = 0;
        }
        first
    }

    pub(crate) fn commit_table(
        &self,
        table: &Arc<Table>,
        files: Vec<Add>,
        upto: Option<Seq>,
    ) -> Result<(), Error> {
        table.commit(files, upto, self.clock.wall())?;
        if let Some(stream) = table.spec.stream {
            self.lock().tables.insert(stream, (table.clone(), table.version()));
        }
        Ok(())
    }

    /// Asks for a flush of everything applied so far and waits until it is done.
    ///
    /// # Errors
    /// Why it failed, or [`Error::Unfinished`] after a minute: it goes on.
    pub fn flush_now(&self) -> Result<(), Error> {
        self.flush_within(FLUSH_WAIT_MAX)
    }

    pub(crate) fn flush_within(&self, wait_max: Duration) -> Result<(), Error> {
        let (asked, failures) = {
            let mut state = self.lock();
            state.asked += 1;
            (state.asked, state.failures)
        };
        self.changed.notify_all();
        let state = self.lock();
        let waits = |state: &mut State| state.done < asked && state.failures == failures;
        let (state, waited) =
            self.changed.wait_timeout_while(state, wait_max, waits).unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(Error::Unfinished { what: "writing to files", waited: wait_max });
        }
        if state.done < asked { state.failing() } else { Ok(()) }
    }
}
