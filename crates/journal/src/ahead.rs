//! Reads the log ahead of a follower that is far behind, on a thread of its own: while the follower works on some
//! parcels, the next are read, checked and decoded. A restart is that case. What does not live here: reading itself
//! (`reader`), and when it is worth a thread (`feed`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use tidemill_core::Seq;

use crate::log::Shared;
use crate::reader::{Reader, Step};

/// How many reads wait for the follower at most.
const WAITING_READS: usize = 2;

/// What one read gave.
pub(crate) struct Told {
    pub(crate) steps: VecDeque<Step>,
    /// Up to where all is told.
    pub(crate) upto: Seq,
}

/// A thread that reads ahead. It ends when this is dropped, at the end of the log, and at what the disk refuses.
pub(crate) struct Ahead(Receiver<Told>);

impl Ahead {
    /// Begins after this parcel. `None`: there is no thread to be had.
    pub(crate) fn begin(shared: &Arc<Shared>, after: Seq) -> Option<Ahead> {
        let (sender, receiver) = sync_channel(WAITING_READS);
        let shared = shared.clone();
        let read = move || {
            let mut reader = Reader::new(shared.disk.clone(), shared.gauges.clone());
            let mut at = after;
            loop {
                let mut steps = VecDeque::new();
                match reader.read(&shared.segments, at, &mut steps) {
                    Ok(upto) if upto > at => at = upto,
                    _ => return,
                }
                if sender.send(Told { steps, upto: at }).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("journal-ahead".into()).spawn(read).ok()?;
        Some(Ahead(receiver))
    }

    /// What was read next. `None`: it ended, and the follower reads on by itself.
    pub(crate) fn next(&self) -> Option<Told> {
        self.0.recv().ok()
    }
}
