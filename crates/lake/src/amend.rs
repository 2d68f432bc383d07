//! Deleting: a record in the journal, so that it has its place in the order of things and is done again after a crash.
//! Everything that arrived before it goes, what comes later stays. What does not live here: taking rows out of files (`flush`).

use std::time::Duration;

use tidemill_core::{
    Commit, Deletion, Durability, Grant, Identity, MetaEdit, NotDurable, Parcel, Problem, Seq, SignalId,
};

use super::Store;
use crate::Error;
use crate::SampleSource;

/// How long everything acknowledged before may take to be applied.
const APPLY_WAIT: Duration = Duration::from_secs(60);

impl Store {
    /// Deletes the samples of signals from `from` to `last`, both included. Returns when files and views are without
    /// them. Blocks.
    ///
    /// # Errors
    /// Flushes fail, or no record can be kept of it: nothing is deleted. It takes long: [`Error::Unfinished`], and it goes on.
    pub fn delete(
        &self,
        who: &str,
        signals: &[SignalId],
        (from, last): (i64, i64),
        reason: &str,
    ) -> Result<Seq, Error> {
        self.may_delete()?;
        let mut signals = signals.to_vec();
        signals.sort_unstable();
        let (who, reason) = (who.to_owned(), reason.to_owned());
        let deletion = Deletion { signals, from, last, who, reason, when: self.clock.wall() };
        let parcel = Parcel { records: vec![deletion.record()], ..Parcel::default() };
        let commit = self.journal.append(parcel.into(), Durability::Commit);
        let seq = self.durable(commit.map_err(|busy| Error::Journal(Problem::from(busy)))?)?;
        self.done(seq)
    }

    /// Deletes a signal with all of its samples. Returns when files and views are without them. Blocks.
    pub fn retire(&self, who: &Identity, grant: &Grant, reason: &str) -> Result<Seq, Error> {
        self.may_delete()?;
        // The bus alone writes of names: the record of the deletion goes in the same parcel.
        let retire = MetaEdit { retire: Some(reason.into()), ..MetaEdit::default() };
        let commit = self.bus.edit(who, grant, retire).map_err(Error::Told)?;
        let seq = self.durable(commit)?;
        self.done(seq)
    }

    fn may_delete(&self) -> Result<(), Error> {
        // Nothing is deleted without a record of it.
        self.corrections.closed().map_or(Ok(()), Err)?;
        // It could not be done before flushes succeed again.
        self.lock().failing()
    }

    fn durable(&self, commit: Commit) -> Result<Seq, Error> {
        let outcome = commit.wait(APPLY_WAIT).unwrap_or(Err(NotDurable::Stopping));
        outcome.map_err(|error| Error::Journal(Problem::from(error)))
    }

    fn done(&self, seq: Seq) -> Result<Seq, Error> {
        if !self.wait_applied(seq, APPLY_WAIT) {
            return Err(Error::Unfinished { what: "the deletion", waited: APPLY_WAIT });
        }
        // Questions are without it from now on, whatever becomes of the flush.
        self.flush_now().map_err(|why| Error::Recorded { what: "the deletion", why: why.into() })?;
        Ok(seq)
    }
}
