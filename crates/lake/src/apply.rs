//! What the journal brings: a parcel's samples go to the buffer that grows, its records wait beside it, a deletion begins a
//! new layer. What does not live here: where parcels come from (`run`), and what becomes of a frozen buffer (`rounds`).

use std::sync::{Arc, PoisonError};

use tidemill_core::{Deletion, Parcel, Seq, StreamId};

use super::frozen::{Active, Frozen, LAYERS_MAX};
use super::{State, Store};

impl Store {
    /// Adds a committed parcel; `seq` must be above all before it.
    pub fn apply(&self, seq: Seq, parcel: &Parcel) {
        let deletion = parcel.records.iter().find_map(Deletion::of);
        let mut state = self.lock();
        if deletion.is_some() {
            // Questions see it at once, also while no flush succeeds. So many wait for one, and are done in one.
            let many = |state: &mut State| state.waiting_deletions() >= LAYERS_MAX;
            state = self.changed.wait_while(state, many).unwrap_or_else(PoisonError::into_inner);
        }
        if seq > state.flushed {
            if let Some(batch) = parcel.samples.as_ref().filter(|batch| !batch.is_empty()) {
                let dropped = state.active.buffer.apply(batch);
                self.meters.applied.add(batch.len() as u64);
                self.meters.impossible.add(dropped);
            }
            if let Some(deletion) = deletion {
                if let Some(at) = state.counting.iter().position(|(one, _)| *one == deletion) {
                    let before = self.samples_of(&state);
                    // Whoever waits no longer has been told so.
                    let _ = state.counting.swap_remove(at).1.try_send(before);
                }
                state.active.delete(seq, deletion);
            }
        }
        for record in parcel
            .records
            .iter()
            .filter(|record| !matches!(record.stream, StreamId::REGISTRY | StreamId::CORRECTIONS))
        {
            let done = state.tables.get(&record.stream).is_some_and(|(_, version)| seq <= version.applied);
            if !done {
                state.active.add_record(record.stream, seq, record.value.clone());
            }
        }
        state.active.journal_bytes += parcel.bytes() as u64;
        if state.active_since.is_none() && !state.active.is_empty() {
            state.active_since = Some(self.clock.monotonic());
        }
        if self.reach(&mut state, seq) || state.frozen.is_some() || self.flush_presses(&state) {
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Nothing comes any more of what has this place or an earlier one: whoever waits for it waits no longer.
    pub(crate) fn applied_upto(&self, seq: Seq) {
        if self.reach(&mut self.lock(), seq) {
            self.changed.notify_all();
        }
    }

    /// Whoever waits is not woken for each parcel: at a restart that would cost as much as the rows.
    fn reach(&self, state: &mut State, seq: Seq) -> bool {
        state.applied = state.applied.max(seq);
        let reached = state.applied >= state.awaited;
        if reached {
            state.awaited = Seq(u64::MAX);
        }
        reached
    }

    /// Begins a new buffer; the old one is to be flushed.
    pub(crate) fn freeze(&self, state: &mut State) {
        assert!(state.frozen.is_none(), "what is frozen is flushed before more is");
        let active = std::mem::replace(&mut state.active, Active::new(self.settings.open_bytes()));
        state.active_since = None;
        state.frozen = Some(Arc::new(Frozen {
            layers: active.layers(state.applied),
            records: active.records,
            upto: state.applied,
            journal_bytes: active.journal_bytes,
            covers: state.asked,
            begun: false,
        }));
    }
}
