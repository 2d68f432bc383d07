//! Last values after a log lost its end, as one that answers before it syncs does at a power cut: the snapshot is synced and may
//! have values that nothing else has any more. What does not live here: that the end is lost (the journal).

use std::task::{Context, Poll, Waker};

use tidemill_core::{Deletion, Delivery, Journal, NANOS_PER_SECOND, Seq};

use super::{EMPTY, LastValues, Touched, set};
use crate::shared::CURSOR;

/// What was lost came within a second or little more before the power went, and the newest value of the snapshot not before it.
const LOST_WITHIN_NS: i64 = 60 * NANOS_PER_SECOND;
/// So many parcels from the end of the log are read for what came before it; behind them history is asked.
const PARCELS_MAX: u64 = 1 << 16;

impl LastValues {
    /// Forgets what may be lost, and takes what the log has instead. `end`: no signal has a number from here on.
    pub(crate) fn end_with(&mut self, journal: &dyn Journal, end: u32, texts_bytes_max: u64) {
        let known = self.kind.iter().zip(&self.received).filter(|(kind, _)| **kind != EMPTY);
        let Some(newest) = known.map(|(_, received)| *received).max() else { return };
        let since = newest.saturating_sub(LOST_WITHIN_NS);
        for at in 0..self.kind.len() {
            if self.received.get(at).is_some_and(|received| *received >= since) {
                self.release(at);
                set(&mut self.kind, at, EMPTY);
            }
        }
        let last = journal.durable();
        let first = journal.first().0.saturating_sub(1).max(last.0.saturating_sub(PARCELS_MAX));
        let mut feed = journal.follow(CURSOR, Some(Seq(first)));
        let mut touched = Touched::default();
        let mut at = Seq(first);
        // All of it is there: a feed that has nothing now cannot read its disk, and then history is asked.
        while at < last
            && let Poll::Ready(delivery) = feed.next().as_mut().poll(&mut Context::from_waker(Waker::noop()))
        {
            match delivery {
                Delivery::Data { seq, parcel, .. } => {
                    parcel
                        .records
                        .iter()
                        .filter_map(Deletion::of)
                        .for_each(|deletion| self.delete(&deletion));
                    if let Some(batch) = parcel.samples.as_deref() {
                        touched.read(batch, end);
                        self.apply(batch, &touched, texts_bytes_max);
                    }
                    at = seq;
                }
                Delivery::Lagged { to, .. } => at = to,
                Delivery::Closed => return,
            }
        }
    }
}
