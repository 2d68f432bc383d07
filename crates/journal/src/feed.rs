//! A follower: takes parcels from the ring while it keeps up, from the disk when it is behind, in one order.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use tidemill_core::{Boxed, Delivery, Feed, Rows, Seq};

use crate::ahead::{Ahead, Told};
use crate::log::Shared;
use crate::reader::{Reader, Refused, Step};
use crate::ring::{Found, Place};

/// Parcels taken from the ring under one lock.
const TAKE_PARCELS: usize = 64;

pub(crate) struct Follower {
    shared: Arc<Shared>,
    number: u64,
    place: Place,
    ready: VecDeque<Delivery>,
    reader: Reader,
    /// Whether a thread may read ahead.
    threaded: bool,
    /// What came last was read from the disk, not taken from the ring.
    behind: bool,
    ahead: Option<Ahead>,
}

impl Follower {
    pub(crate) fn new(shared: Arc<Shared>, after: Seq, threaded: bool) -> Follower {
        let reader = Reader::new(shared.disk.clone(), shared.gauges.clone());
        let (number, place) = shared.ring.enter(after);
        let ready = VecDeque::new();
        Follower { shared, number, place, ready, reader, threaded, behind: false, ahead: None }
    }

    fn poll(&mut self, waker: Option<&Waker>) -> Option<Delivery> {
        let mut hot = VecDeque::new();
        loop {
            if let Some(delivery) = self.ready.pop_front() {
                return Some(delivery);
            }
            match self.shared.ring.after(self.place, TAKE_PARCELS, self.number, waker, &mut hot) {
                Found::Hot(place) => self.take_hot(place, &mut hot),
                Found::Nothing => return None,
                Found::Closed => return Some(Delivery::Closed),
                Found::Behind(gone) => {
                    let Ok(Told { steps, upto: mut seq }) = self.read() else {
                        self.shared.ring.wait(self.number, waker);
                        return None;
                    };
                    if seq == self.place.seq {
                        // Nothing of what left the ring is on the disk any more.
                        seq = gone;
                        let missed = self.shared.segments.committed(Seq(self.place.seq.0 + 1), gone);
                        self.ready.extend((missed > 0).then_some(Delivery::Lagged { missed, to: gone }));
                    }
                    self.ready.extend(steps.into_iter().map(delivery));
                    self.place = Place { seq, position: None, ..self.place };
                }
            }
        }
    }

    /// The next parcels from the disk. Who asks for the second time without having caught up is read ahead for.
    fn read(&mut self) -> Result<Told, Refused> {
        let after = self.place.seq;
        if self.ahead.is_none() && self.behind && self.threaded {
            self.ahead = Ahead::begin(&self.shared, after);
        }
        if let Some(told) = self.ahead.as_ref().and_then(Ahead::next) {
            return Ok(told);
        }
        (self.ahead, self.behind) = (None, false);
        let mut steps = VecDeque::new();
        let upto = self.reader.read(&self.shared.segments, after, &mut steps)?;
        self.behind = upto > after;
        Ok(Told { steps, upto })
    }

    fn take_hot(&mut self, place: Place, hot: &mut VecDeque<crate::ring::Hot>) {
        (self.ahead, self.behind) = (None, false);
        let mut last = self.place.seq;
        for hot in hot.drain(..) {
            if hot.logged {
                // Between two parcels of the ring nothing but void numbers is missing; between the disk and the ring
                // there may be damage.
                if self.place.position.is_none() && hot.seq.0 > last.0 + 1 {
                    let missed = self.shared.segments.committed(Seq(last.0 + 1), Seq(hot.seq.0 - 1));
                    let to = Seq(hot.seq.0 - 1);
                    self.ready.extend((missed > 0).then_some(Delivery::Lagged { missed, to }));
                }
                last = hot.seq;
            }
            self.ready.push_back(Delivery::Data { seq: hot.seq, parcel: hot.parcel, rows: Rows::All });
        }
        self.place = place;
    }
}

fn delivery(step: Step) -> Delivery {
    match step {
        Step::Parcel(seq, parcel) => Delivery::Data { seq, parcel, rows: Rows::All },
        Step::Missed(missed, to) => Delivery::Lagged { missed, to },
    }
}

impl Feed for Follower {
    fn next(&mut self) -> Boxed<'_, Delivery> {
        Box::pin(poll_fn(|context| match self.poll(Some(context.waker())) {
            Some(delivery) => Poll::Ready(delivery),
            None => Poll::Pending,
        }))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.ring.forget(self.number);
    }
}
