//! Who writes zeros into the next segment: a thread beside the committing one, for each piece makes the file grow, and its sync
//! waits for the file system's own journal as no sync of the log does. Without a thread, as in simulations, who asks does it.
//! What does not live here: how much is due, and when (`reserve`).

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tidemill_ground::{Error, Phase, Tasks};

use crate::segment::Blank;

/// Fills blanks.
#[derive(Default)]
pub(crate) struct Filler {
    desk: Option<Arc<Desk>>,
    /// How far ahead of what is asked for its thread goes on.
    ahead_bytes: u64,
}

#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    job: Option<Job>,
    /// A piece is being written.
    working: bool,
    /// The file that could not be written to.
    failed: Option<PathBuf>,
    stopped: bool,
}

/// A blank of so many bytes that is to be written at least up to here.
#[derive(Clone)]
struct Job {
    blank: Blank,
    bytes: u64,
    upto: u64,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, waits: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        self.changed.wait_while(self.lock(), |state| waits(state)).unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes piece after piece until it is told to stop.
    fn work(&self) {
        let _end = End(self);
        loop {
            let mut state = self.wait_while(|state| state.job.is_none() && !state.stopped);
            let Some(job) = state.job.clone().filter(|_| !state.stopped) else { return };
            if job.blank.is_filled(job.upto) {
                state.job = None;
                drop(state);
                self.changed.notify_all();
                continue;
            }
            state.working = true;
            drop(state);
            let failed = job.blank.fill(job.bytes, 0).is_err();
            let mut state = self.lock();
            state.working = false;
            if failed {
                (state.job, state.failed) = (None, Some(job.blank.path));
            }
            drop(state);
            self.changed.notify_all();
        }
    }
}

/// Says that nothing is written any more, also after a panic: nobody waits for it for ever.
struct End<'a>(&'a Desk);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        (state.working, state.stopped) = (false, true);
        drop(state);
        self.0.changed.notify_all();
    }
}

impl Filler {
    /// One with a thread of its own.
    pub(crate) fn start(tasks: &Tasks, ahead_bytes: u64) -> Result<Filler, Error> {
        let desk = Arc::new(Desk::default());
        let (worker, stopped) = (desk.clone(), desk.clone());
        tasks.spawn("journal-fill", Phase::Log, move |stop| {
            stop.on_stop(move || {
                stopped.lock().stopped = true;
                stopped.changed.notify_all();
            });
            worker.work();
        })?;
        Ok(Filler { desk: Some(desk), ahead_bytes })
    }

    /// Up to where the next segment should be written when the open one is used up to here.
    pub(crate) fn due(&self, used: u64) -> u64 {
        // Little use, as of a new plant at rest, asks for little.
        used.saturating_add(self.ahead_bytes.min(used))
    }

    /// Writes zeros into a blank of so many bytes up to `used`, and a piece more; whether anything was missing. A thread goes on
    /// by itself, and only what it is behind with is waited for. After an error the file must not become a segment.
    pub(crate) fn fill(&self, blank: &Blank, bytes: u64, used: u64) -> io::Result<bool> {
        let Some(desk) = &self.desk else { return blank.fill(bytes, used) };
        if !blank.is_filled(bytes.min(used)) {
            self.settle();
            return blank.fill(bytes, used);
        }
        if blank.is_filled(bytes) {
            return Ok(false);
        }
        let upto = bytes.min(self.due(used).max(blank.file.len()?.saturating_add(1)));
        let mut state = desk.lock();
        state.job = (!state.stopped).then(|| Job { blank: blank.clone(), bytes, upto });
        let goes_on = state.job.is_some();
        drop(state);
        desk.changed.notify_all();
        Ok(goes_on)
    }

    /// Ends what is under way: afterwards nobody writes to any blank.
    pub(crate) fn settle(&self) {
        if let Some(desk) = &self.desk {
            desk.lock().job = None;
            desk.changed.notify_all();
            drop(desk.wait_while(|state| state.working));
        }
    }

    /// The file that could not be written to, once.
    pub(crate) fn failed(&self) -> Option<PathBuf> {
        self.desk.as_ref()?.lock().failed.take()
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        if let Some(desk) = &self.desk {
            desk.lock().stopped = true;
            desk.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::FILL_BYTES;
    use tidemill_ground::{File, Ground};

    /// A file whose syncs wait at a gate, and fail where that is broken.
    #[derive(Default)]
    struct Gated {
        len: Mutex<u64>,
        gate: Mutex<Gate>,
        moved: Condvar,
    }

    #[derive(Default)]
    struct Gate {
        waiting: u32,
        open: bool,
        broken: bool,
    }

    impl Gated {
        fn set(&self, open: bool, broken: bool) {
            let mut gate = self.gate.lock().unwrap();
            (gate.open, gate.broken) = (open, broken);
            self.moved.notify_all();
        }

        fn wait_for_sync(&self) {
            drop(self.moved.wait_while(self.gate.lock().unwrap(), |gate| gate.waiting == 0).unwrap());
        }
    }

    impl File for Gated {
        fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
            Ok(0)
        }
        fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
            *self.len.lock().unwrap() = offset + bytes.len() as u64;
            Ok(())
        }
        fn len(&self) -> io::Result<u64> {
            Ok(*self.len.lock().unwrap())
        }
        fn set_len(&self, _: u64) -> io::Result<()> {
            Ok(())
        }
        fn allocate(&self, _: u64) -> io::Result<bool> {
            Ok(false)
        }
        fn sync_data(&self) -> io::Result<()> {
            let mut gate = self.gate.lock().unwrap();
            gate.waiting += 1;
            self.moved.notify_all();
            let mut gate = self.moved.wait_while(gate, |gate| !gate.open).unwrap();
            gate.waiting -= 1;
            if gate.broken { Err(io::Error::other("broken")) } else { Ok(()) }
        }
        fn sync_all(&self) -> io::Result<()> {
            self.sync_data()
        }
        fn try_lock(&self) -> io::Result<bool> {
            Ok(true)
        }
    }

    const MIB: u64 = 1 << 20;

    #[test]
    fn nobody_waits_for_zeros_but_who_takes_the_file_or_is_ahead_of_them() {
        let file = Arc::new(Gated::default());
        let blank = Blank { file: file.clone(), path: "spare".into() };
        let ground = Ground::real();
        let filler = Filler::start(&ground.tasks, 2 * MIB).unwrap();
        // A piece is on its way, and its sync hangs: who asked goes on.
        assert!(filler.fill(&blank, 64 * MIB, 0).unwrap());
        file.wait_for_sync();
        assert!(filler.fill(&blank, 64 * MIB, 1_000).unwrap());
        file.set(true, false);
        // More was used than is written: that is waited for, and the thread goes on from there.
        assert!(filler.fill(&blank, 64 * MIB, 4 * MIB).unwrap());
        assert!(blank.is_filled(4 * MIB));
        assert!(filler.fill(&blank, 64 * MIB, 4 * MIB).unwrap());
        let desk = filler.desk.as_ref().unwrap();
        drop(desk.wait_while(|state| state.job.is_some()));
        assert_eq!(file.len().unwrap(), 6 * MIB, "as far ahead as it may go");
        // Who takes the file waits for the piece under way, and there is none after it.
        file.set(false, false);
        assert!(filler.fill(&blank, 64 * MIB, 5 * MIB).unwrap());
        file.wait_for_sync();
        std::thread::scope(|scope| {
            let settled = scope.spawn(|| filler.settle());
            // It waits by now: a gate that opened before would let the thread go on to the end.
            drop(desk.wait_while(|state| state.job.is_some()));
            file.set(true, false);
            settled.join().unwrap();
        });
        assert_eq!(file.len().unwrap(), 6 * MIB + FILL_BYTES as u64, "the piece that was under way");
        assert!(desk.lock().job.is_none());
        assert_eq!(filler.failed(), None);
    }

    #[test]
    fn a_file_that_cannot_be_synced_is_named_once() {
        let file = Arc::new(Gated::default());
        file.set(true, true);
        let blank = Blank { file, path: "spare.2".into() };
        let ground = Ground::real();
        let filler = Filler::start(&ground.tasks, 2 * MIB).unwrap();
        assert!(filler.fill(&blank, 64 * MIB, 0).unwrap());
        drop(filler.desk.as_ref().unwrap().wait_while(|state| state.failed.is_none()));
        assert_eq!((filler.failed(), filler.failed()), (Some("spare.2".into()), None));
    }
}
