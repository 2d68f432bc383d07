//! Work that two threads share: this one, and a second that is kept for the next time, for beginning a thread costs as much
//! as dividing thousands of rows. What does not live here: what the work is.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::vec::IntoIter;

/// So many things are taken at once.
const TAKEN: usize = 64;

/// What is done with a thing, by what is known of all. Its numbers are added up.
pub(crate) type Deed<C, T> = fn(&C, &mut T) -> isize;

/// Two threads, the second of which begins when it is first needed and ends with this.
pub(crate) struct Pair<C, T> {
    deed: Deed<C, T>,
    second: Option<Second<C, T>>,
}

struct Second<C, T> {
    work: SyncSender<Arc<Work<C, T>>>,
    done: Receiver<()>,
}

struct Work<C, T> {
    deed: Deed<C, T>,
    known: C,
    left: Mutex<IntoIter<T>>,
    done: Mutex<(Vec<T>, isize)>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // After a panic nobody looks at what was done.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<C, T> Work<C, T> {
    fn run(&self) {
        loop {
            let mut taken: Vec<T> = lock(&self.left).by_ref().take(TAKEN).collect();
            if taken.is_empty() {
                return;
            }
            let sum: isize = taken.iter_mut().map(|thing| (self.deed)(&self.known, thing)).sum();
            let mut done = lock(&self.done);
            done.0.append(&mut taken);
            done.1 += sum;
        }
    }
}

impl<C: Send + Sync + 'static, T: Send + 'static> Pair<C, T> {
    pub(crate) fn new(deed: Deed<C, T>) -> Pair<C, T> {
        Pair { deed, second: None }
    }

    /// Does it with all things; gives back what was given, the things in any order, and the sum of the numbers.
    pub(crate) fn for_all(&mut self, known: C, things: Vec<T>) -> (C, Vec<T>, isize) {
        if self.second.is_none() {
            self.second = Second::begin();
        }
        let done = Mutex::new((Vec::with_capacity(things.len()), 0));
        let mut work = Arc::new(Work { deed: self.deed, known, left: Mutex::new(things.into_iter()), done });
        // Without a second thread this one does it all.
        let shared = self.second.as_ref().filter(|second| second.work.send(work.clone()).is_ok());
        work.run();
        if let Some(second) = shared {
            assert!(second.done.recv().is_ok(), "the second thread has told on standard error why it ended");
        }
        loop {
            match Arc::try_unwrap(work) {
                Ok(Work { known, done, .. }) => {
                    let (things, sum) = done.into_inner().unwrap_or_else(PoisonError::into_inner);
                    return (known, things, sum);
                }
                Err(shared) => work = shared,
            }
        }
    }
}

impl<C: Send + Sync + 'static, T: Send + 'static> Second<C, T> {
    fn begin() -> Option<Second<C, T>> {
        let (work, things) = sync_channel::<Arc<Work<C, T>>>(1);
        let (tell, done) = sync_channel(1);
        let run = move || {
            while let Ok(work) = things.recv() {
                work.run();
                drop(work);
                if tell.send(()).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("historian-apply".into()).spawn(run).ok()?;
        Some(Second { work, done })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thing_is_done_once_and_comes_back() {
        let mut pair: Pair<isize, (usize, isize)> = Pair::new(|by, thing| {
            thing.1 += by;
            thing.1
        });
        for round in 1..=50 {
            let things: Vec<_> = (0..1_000 + round).map(|number| (number, number as isize)).collect();
            let expected: isize = things.iter().map(|thing| thing.1 + 7).sum();
            let (by, mut things, sum) = pair.for_all(7, things);
            assert_eq!((by, sum), (7, expected));
            things.sort_unstable();
            let all = things.iter().enumerate().all(|(at, thing)| *thing == (at, at as isize + 7));
            assert!(all && things.len() == 1_000 + round, "{} things", things.len());
        }
    }

    #[test]
    fn a_panic_of_either_thread_reaches_who_asked() {
        let mut pair: Pair<(), usize> = Pair::new(|(), thing| {
            assert!(*thing != 900, "as it must");
            0
        });
        let all = std::panic::AssertUnwindSafe(|| pair.for_all((), (0..1_000).collect()));
        assert!(std::panic::catch_unwind(all).is_err());
    }
}
