//! Deleting: a record in the journal, so that it has its place in the order of things and is done again after a crash.
//! Everything that arrived before it goes, what comes later stays. What does not live here: taking rows out of files (`flush`).

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use tidemill_core::{
    Amended, Commit, Deletion, Durability, Grant, Identity, MetaEdit, NotDurable, Parcel, Problem, Seq,
    SignalId,
};

use super::Store;
use super::view::Samples;
use crate::{Columns, Error, SampleSource, ScanSpec};

/// How long everything acknowledged before may take to be applied.
const APPLY_WAIT: Duration = Duration::from_secs(60);

impl Store {
    /// Deletes the samples of signals from `from` to `last`, both included, and says how many. Returns when files and views
    /// are without them. Blocks.
    ///
    /// # Errors
    /// Flushes fail, or no record can be kept of it: nothing is deleted. It takes long: [`Error::Unfinished`], and it goes on.
    pub fn delete(
        &self,
        who: &str,
        signals: &[SignalId],
        (from, last): (i64, i64),
        reason: &str,
    ) -> Result<Amended, Error> {
        self.may_delete()?;
        let mut signals = signals.to_vec();
        signals.sort_unstable();
        let (who, reason) = (who.to_owned(), reason.to_owned());
        let deletion = Deletion { signals, from, last, who, reason, when: self.clock.wall() };
        // They are counted in what its place in the journal finds: not sooner, and whatever the caller may read.
        let (tell, before) = sync_channel(1);
        self.lock().counting.push((deletion.clone(), tell));
        let seq = self.append(&deletion);
        self.lock().counting.retain(|(one, _)| *one != deletion);
        let seq = seq?;
        let samples = before.try_recv().ok().and_then(|before| count(&before, &deletion));
        self.flush_deletion()?;
        Ok(Amended { seq, samples })
    }

    /// Returns when it is applied.
    fn append(&self, deletion: &Deletion) -> Result<Seq, Error> {
        let parcel = Parcel { records: vec![deletion.record()], ..Parcel::default() };
        let commit = self.journal.append(parcel.into(), Durability::Commit);
        self.applied_of(commit.map_err(|busy| Error::Journal(Problem::from(busy)))?)
    }

    /// Deletes a signal with all of its samples. Returns when files and views are without them. Blocks.
    pub fn retire(&self, who: &Identity, grant: &Grant, reason: &str) -> Result<Amended, Error> {
        self.may_delete()?;
        // The bus alone writes of names: the record of the deletion goes in the same parcel.
        let retire = MetaEdit { retire: Some(reason.into()), ..MetaEdit::default() };
        let commit = self.bus.edit(who, grant, retire).map_err(Error::Told)?;
        let seq = self.applied_of(commit)?;
        self.flush_deletion()?;
        Ok(Amended { seq, samples: None })
    }

    fn may_delete(&self) -> Result<(), Error> {
        // Nothing is deleted without a record of it.
        self.corrections.closed().map_or(Ok(()), Err)?;
        // It could not be done before flushes succeed again.
        self.lock().failing()
    }

    fn applied_of(&self, commit: Commit) -> Result<Seq, Error> {
        let outcome = commit.wait(APPLY_WAIT).unwrap_or(Err(NotDurable::Stopping));
        let seq = outcome.map_err(|error| Error::Journal(Problem::from(error)))?;
        if !self.wait_applied(seq, APPLY_WAIT) {
            return Err(Error::Unfinished { what: "the deletion", waited: APPLY_WAIT });
        }
        Ok(seq)
    }

    fn flush_deletion(&self) -> Result<(), Error> {
        // Questions are without it from now on, whatever becomes of the flush.
        self.flush_now().map_err(|why| Error::Recorded { what: "the deletion", why: why.into() })
    }
}

/// How many samples a deletion finds; none where they cannot be read, which keeps nobody from deleting them.
fn count(before: &Arc<Samples>, deletion: &Deletion) -> Option<u64> {
    let columns = Columns { time: true, value: false, quality: false, received: false, source: false };
    let spec = ScanSpec {
        signals: Some(deletion.signals.clone().into()),
        from: deletion.from,
        last: deletion.last,
        columns,
        batch_rows: 16_384,
        account: None,
    };
    let mut batches = before.scan(&spec, 1).into_iter().flatten();
    batches.try_fold(0, |sum, batch| Some(sum + batch.ok()?.samples.len() as u64))
}
