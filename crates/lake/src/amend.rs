//! Deleting a stretch of time: a record in the journal, so that it has its place in the order of things and is done
//! again after a crash. Everything that arrived before it goes, what comes later stays. What does not live here:
//! taking rows out of files (`flush`).

use std::time::Duration;

use bytes::Bytes;
use tidemill_core::{Durability, Parcel, Problem, Seq, SignalId, StreamId};

use super::Store;
use super::view::Deletion;
use crate::Error;
use crate::SampleSource;

/// The key of a deletion's record.
const DELETE: &[u8] = b"delete";
/// How long everything acknowledged before may take to be applied.
const APPLY_WAIT: Duration = Duration::from_secs(60);

impl Store {
    /// What a parcel deletes.
    pub(crate) fn deletion_of(&self, parcel: &Parcel) -> Option<Deletion> {
        let records = parcel.records.iter();
        let mut deletes =
            records.filter(|record| record.stream == StreamId::CORRECTIONS && record.key == DELETE);
        let json: serde_json::Value = serde_json::from_slice(&deletes.next()?.value).ok()?;
        let text =
            |name: &str| json.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        let number = |name: &str| json.get(name).and_then(serde_json::Value::as_i64);
        let ids = json.get("signals")?.as_array()?.iter();
        let mut signals: Vec<SignalId> =
            ids.filter_map(|id| SignalId::new(u32::try_from(id.as_u64()?).ok()?)).collect();
        signals.sort_unstable();
        Some(Deletion {
            signals,
            from: number("from")?,
            last: number("last")?,
            who: text("who"),
            reason: text("reason"),
            when: number("when")?,
        })
    }

    /// Deletes the samples of signals from `from` to `last`, both included. Returns when files and views are without
    /// them. Blocks.
    ///
    /// # Errors
    /// Flushes fail, or no record can be kept of it: nothing is deleted. It takes long: [`Error::Unfinished`], and it goes on.
    pub fn delete(
        &self,
        who: &str,
        signals: &[SignalId],
        from: i64,
        last: i64,
        reason: &str,
    ) -> Result<Seq, Error> {
        // Nothing is deleted without a record of it.
        self.corrections.closed().map_or(Ok(()), Err)?;
        // It would wait in the log behind a flush that fails, and every question behind it.
        self.lock().failing()?;
        let ids: Vec<u32> = signals.iter().map(|signal| signal.get()).collect();
        let json = serde_json::json!({
            "signals": ids, "from": from, "last": last, "who": who, "reason": reason, "when": self.clock.wall(),
        });
        let parcel = Parcel::of_record(StreamId::CORRECTIONS, DELETE, Bytes::from(json.to_string()));
        let commit = self
            .journal
            .append(parcel.into(), Durability::Commit)
            .map_err(|busy| Error::Journal(Problem::from(busy)))?;
        let seq = commit
            .wait(APPLY_WAIT)
            .unwrap_or(Err(tidemill_core::NotDurable::Stopping))
            .map_err(|error| Error::Journal(Problem::from(error)))?;
        if !self.wait_applied(seq, APPLY_WAIT) {
            return Err(Error::Unfinished { what: "the deletion", waited: APPLY_WAIT });
        }
        self.flush_now()?;
        Ok(seq)
    }
}
