//! One round of flushing: when it is due, what it does from the frozen buffer to the journal's cursor, and waiting for one.
//! What does not live here: what stands in the files (`flush`), and the thread (`run`).

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tidemill_core::{Seq, StreamId};

use super::commit::Change;
use super::delta::Add;
use super::frozen::Frozen;
use super::tables::{Table, TableRow, row_of};
use super::{CURSOR, State, Store, UNDECLARED_RECORDS_MAX};
use crate::Error;

/// How long a caller waits for a flush. One that rewrites much of a large table takes longer, and goes on without them.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(60);

impl Store {
    /// Whether a flush is due: full, old, asked for, or much of the journal waits for it.
    pub(crate) fn flush_due(&self, state: &State) -> bool {
        let full = state.active.buffer.fill().bytes as u64 >= self.settings.buffer_bytes / 2;
        let old = state
            .active_since
            .is_some_and(|since| self.clock.monotonic().saturating_sub(since) >= self.settings.flush_after);
        full || old || state.asked > state.done || state.active.journal_bytes >= self.settings.journal_bytes
    }

    /// Flushes what is frozen, or what is due. Says whether there was anything to do.
    ///
    /// # Errors
    /// What was frozen stays, and is flushed at the next call.
    pub(crate) fn flush_step(&self) -> Result<bool, Error> {
        let _one = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        let frozen = {
            let mut state = self.lock();
            if state.frozen.is_none() && self.flush_due(&state) {
                self.freeze(&mut state, Vec::new());
            }
            state.frozen.clone()
        };
        let Some(frozen) = frozen else { return Ok(false) };
        self.lock().rewriting = !frozen.deletions.is_empty();
        // Who kills a plant from outside sees by these events what it hit.
        tracing::debug!(event = "flush.began");
        let outcome = self.flush_frozen(&frozen);
        tracing::debug!(event = "flush.ended", good = outcome.is_ok());
        let mut state = self.lock();
        state.rewriting = false;
        match &outcome {
            Ok(()) => {
                state.done = state.done.max(frozen.covers);
                state.failure = None;
            }
            Err(error) => {
                state.failure = Some(error.to_string());
                state.failures += 1;
                self.meters.flush_failures.add(1);
            }
        }
        drop(state);
        self.changed.notify_all();
        outcome.map(|()| true)
    }

    fn flush_frozen(&self, frozen: &Arc<Frozen>) -> Result<(), Error> {
        let started = self.clock.monotonic();
        let mut held_back = None;
        for (stream, records) in &frozen.records {
            let table = self.lock().tables.get(stream).cloned();
            let Some((table, version)) = table else {
                held_back = held_back.or(records.first().map(|(seq, _)| *seq));
                self.carry(*stream, records);
                continue;
            };
            let rows: Vec<TableRow> = records
                .iter()
                .filter(|(seq, _)| *seq > version.applied)
                .map(|(_, value)| row_of(table.spec, value))
                .collect();
            if !rows.is_empty() {
                let files = table.write(&rows, &|| self.table_file_name(), self.clock.wall())?;
                self.commit_table(&table, files, Some(frozen.upto))?;
            }
        }
        let version = self.lock().version.clone();
        let mut change = Change::default();
        if let Err(error) = self.write_flush(frozen, &version, &mut change) {
            self.discard(&change);
            return Err(error);
        }
        let operation = if frozen.deletions.is_empty() { "WRITE" } else { "DELETE" };
        self.commit(change, Some(frozen.upto), operation, |state| {
            state.frozen = None;
            state.flushed = state.flushed.max(frozen.upto);
        })?;
        let upto = held_back.map_or(frozen.upto, |seq| Seq(seq.0.saturating_sub(1)).min(frozen.upto));
        // The journal lets go of what is in files. Its outcome is not awaited: if it is lost, more is applied again
        // after a restart, and skipped.
        drop(self.journal.advance(CURSOR, upto, bytes::Bytes::new()));
        self.meters.flushed(self.clock.monotonic().saturating_sub(started));
        Ok(())
    }

    /// Records of a stream that nobody has declared go on to the next flush.
    fn carry(&self, stream: StreamId, records: &Arc<Vec<(Seq, bytes::Bytes)>>) {
        let mut state = self.lock();
        let now = state.active.records.entry(stream).or_default();
        let mut all = records.as_ref().clone();
        all.extend(now.iter().cloned());
        if all.len() > UNDECLARED_RECORDS_MAX {
            self.meters.undeclared.add((all.len() - UNDECLARED_RECORDS_MAX) as u64);
            all.drain(..all.len() - UNDECLARED_RECORDS_MAX);
        }
        *now = Arc::new(all);
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
    /// Why it failed, or [`Error::Unfinished`] after [`FLUSH_WAIT_MAX`]: it goes on.
    pub(crate) fn flush_now(&self) -> Result<(), Error> {
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
        match &state.failure {
            Some(failure) if state.done < asked => Err(Error::Told(tidemill_core::Problem::new(
                &tidemill_core::codes::NOT_DURABLE,
                format!("the flush failed: {failure}"),
            ))),
            _ => Ok(()),
        }
    }
}
