//! Server time: strictly increasing stamps over a clock that may step, also across restarts.

use tidemill_core::{Flags, NANOS_PER_SECOND, SampleBatch};

/// A backward step of the clock of more than this is followed and marked; less is bridged by going on a nanosecond at
/// a time (surface.md, "Paths, patterns, rights").
const STEP_NS: i64 = NANOS_PER_SECOND;

/// How far beyond `received` the stamps of one batch reach when they are read back from the log, where a stamp cannot
/// be told from a source's time: room for ten million rows without a time in one request.
const STAMPS_SPAN_NS: i64 = 10_000_000;

/// The last stamp given, and the highest the clock showed since it last stepped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamper {
    last: i64,
    wall: i64,
}

impl Stamper {
    /// Before the first stamp.
    pub(crate) const NEW: Stamper = Stamper { last: i64::MIN, wall: i64::MIN };

    /// The stamp of a batch that stamps its rows up to `received + span`.
    pub(crate) fn next(&mut self, now: i64, span: u32) -> (i64, Flags) {
        let stepped = now < self.wall.saturating_sub(STEP_NS);
        let (received, flags) = if stepped {
            self.wall = now;
            (now, Flags::CLOCK_STEP)
        } else {
            self.wall = self.wall.max(now);
            (now.max(self.last.saturating_add(1)), Flags::default())
        };
        self.last = received.saturating_add(i64::from(span));
        (received, flags)
    }

    /// Goes on after a batch that was found in the log.
    pub(crate) fn seen(&mut self, batch: &SampleBatch) {
        let end = batch.received.saturating_add(STAMPS_SPAN_NS);
        let stamps = batch.time.iter().copied().filter(|time| (batch.received..=end).contains(time));
        let last = stamps.max().unwrap_or(batch.received);
        if batch.flags.has(Flags::CLOCK_STEP) {
            *self = Stamper { last, wall: batch.received };
        } else {
            self.last = self.last.max(last);
            self.wall = self.wall.max(batch.received);
        }
    }

    /// For the snapshot: the last stamp and the clock.
    pub(crate) fn parts(self) -> (i64, i64) {
        (self.last, self.wall)
    }

    /// As it was in a snapshot.
    pub(crate) fn from_parts(last: i64, wall: i64) -> Stamper {
        Stamper { last, wall }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = NANOS_PER_SECOND;

    #[test]
    fn follows_steps_of_more_than_a_second() {
        let mut stamper = Stamper::NEW;
        let table = [
            (100 * SECOND, 0, 100 * SECOND, false),
            (100 * SECOND, 5, 100 * SECOND + 1, false),
            (100 * SECOND, 0, 100 * SECOND + 7, false),
            (99 * SECOND, 0, 100 * SECOND + 8, false),
            (99 * SECOND - 1, 0, 99 * SECOND - 1, true),
            (99 * SECOND - 1, 0, 99 * SECOND, false),
            (200 * SECOND, u32::MAX, 200 * SECOND, false),
            (200 * SECOND + 1, 0, 200 * SECOND + i64::from(u32::MAX) + 1, false),
        ];
        for (row, (now, span, received, step)) in table.into_iter().enumerate() {
            let flags = if step { Flags::CLOCK_STEP } else { Flags::default() };
            assert_eq!(stamper.next(now, span), (received, flags), "row {row}");
        }
    }

    proptest! {
        #[test]
        fn grows_unless_it_says_so(steps in proptest::collection::vec((-3 * SECOND..3 * SECOND, 0u32..9), 1..50)) {
            let mut stamper = Stamper::NEW;
            let (mut now, mut last) = (1_000 * SECOND, i64::MIN);
            for (step, span) in steps {
                now += step;
                let (received, flags) = stamper.next(now, span);
                prop_assert!(received > last || flags.has(Flags::CLOCK_STEP));
                last = received + i64::from(span);
            }
        }
    }
}
