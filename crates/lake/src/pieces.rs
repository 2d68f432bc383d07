//! A flush on a full disk: piece by piece, each of what a short part of the journal brought, so that it fits into the room that is
//! kept for this, and lets the journal give room back for the next. What does not live here: one flush (`rounds`).

use std::sync::Arc;
use std::time::Duration;

use tidemill_core::{Delivery, Seq};

use super::frozen::{Active, Deletions, Frozen, Layer, Records};
use super::run::wait;
use super::{CURSOR, Store};
use crate::Error;

/// Bytes of the journal that make a piece: what does not compress takes as much room in files. A small disk keeps a few
/// times as much.
const PIECE_BYTES: u64 = if cfg!(test) { 4_000 } else { 2 << 20 };
/// A piece that finds no room is tried again with half as much of the journal, and not below this: then room must come first.
const PIECE_BYTES_MIN: u64 = PIECE_BYTES / 32;
/// The journal has what it brought already: this is for one that cannot be read.
const READ_WAIT_MAX: Duration = Duration::from_secs(60);

impl Store {
    /// A full disk is cleared by what lets the journal go: it keeps some room for that.
    pub(crate) fn flush_into_reserve(&self, frozen: &Arc<Frozen>, error: Error) -> Result<(), Error> {
        if !error.is_full() {
            return Err(error);
        }
        let lent = self.journal.lend_reserve();
        tracing::warn!(event = "flush.reserve", lent, "the disk is full: a flush is made in pieces");
        let outcome = self.flush_in_pieces(frozen);
        self.journal.return_reserve();
        outcome
    }

    /// Flushes what is frozen as the journal brought it, from the place up to which files hold everything.
    pub(crate) fn flush_in_pieces(&self, frozen: &Arc<Frozen>) -> Result<(), Error> {
        let waiting = self.flush_tables(frozen)?;
        let mut piece_bytes = PIECE_BYTES;
        loop {
            let from = self.lock().flushed;
            if from >= frozen.upto {
                return Ok(());
            }
            let piece = self.piece(frozen, from, piece_bytes)?;
            match self.flush_samples(frozen, &piece, waiting.clone()) {
                Ok(()) => {
                    self.meters.pieces.add(1);
                    // The journal may have given room meanwhile.
                    piece_bytes = (piece_bytes * 2).min(PIECE_BYTES);
                }
                Err(error) if error.is_full() && piece_bytes > PIECE_BYTES_MIN => {
                    piece_bytes = (piece_bytes.min(piece.journal_bytes) / 2).max(PIECE_BYTES_MIN);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What the journal brought behind a place: so much, and no more than one layer.
    fn piece(&self, frozen: &Frozen, from: Seq, bytes: u64) -> Result<Frozen, Error> {
        let layer = frozen.layers.iter().find(|layer| layer.upto > from);
        let end = layer.map_or(frozen.upto, |layer| layer.upto);
        let active = Active::new(self.settings.open_bytes());
        let (mut upto, mut journal_bytes) = (from, 0);
        let mut feed = self.journal.follow(CURSOR, Some(from));
        let deadline = self.clock.monotonic() + READ_WAIT_MAX;
        let give_up = || self.clock.monotonic() > deadline;
        while upto < end && journal_bytes < bytes {
            match wait(feed.next(), &give_up) {
                Some(Delivery::Data { seq, .. }) if seq > end => upto = end,
                Some(Delivery::Data { seq, parcel, .. }) if seq > upto => {
                    if let Some(batch) = &parcel.samples {
                        active.buffer.apply(batch);
                    }
                    (upto, journal_bytes) = (seq, journal_bytes + parcel.bytes() as u64);
                }
                // What was only live is not kept.
                Some(Delivery::Data { .. }) => {}
                _ => {
                    return Err(Error::Unfinished {
                        what: "reading the journal again",
                        waited: READ_WAIT_MAX,
                    });
                }
            }
        }
        let deletions = layer.filter(|layer| upto == layer.upto).map(|layer| layer.deletions.clone());
        let deletions = deletions.unwrap_or_else(Deletions::new);
        let layers = vec![Layer { buffer: active.buffer, deletions, upto }];
        Ok(Frozen { layers, records: Records::new(), upto, journal_bytes, covers: 0, begun: false })
    }
}
