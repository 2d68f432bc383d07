//! Long-lived threads with names, and the order in which they stop: first the doors, so that nothing new comes in;
//! then the engines, so that what came in is worked off; the log last, because the engines still write to it.
//!
//! No async runtime lives here: a door that has one runs it inside its task and hooks in with [`Stop::on_stop`].

use crate::error::Error;
use crate::metrics::{Counter, Gauge, Metrics};
use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// How many panics are remembered with their text; all are counted.
pub const PANICS_MAX: usize = 64;

/// When a task is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// First: listeners, connectors, whatever lets samples in.
    Doors,
    /// Then: whatever works on samples.
    Engines,
    /// Last: the journal.
    Log,
}

impl Phase {
    const ALL: [Phase; 3] = [Phase::Doors, Phase::Engines, Phase::Log];
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Doors => "doors",
            Phase::Engines => "engines",
            Phase::Log => "log tasks",
        })
    }
}

/// How a task learns that it is to stop. Clones are the same.
#[derive(Clone, Default)]
pub struct Stop(Arc<Signal>);

#[derive(Default)]
struct Signal {
    state: Mutex<Requested>,
    changed: Condvar,
}

#[derive(Default)]
struct Requested {
    stop: bool,
    callbacks: Vec<Callback>,
}

type Callback = Box<dyn FnOnce() + Send>;
type PanicCallback = Arc<dyn Fn(&Panic) + Send + Sync>;

impl Stop {
    /// Whether the task is to stop.
    pub fn requested(&self) -> bool {
        self.lock().stop
    }

    /// Waits so long, or until the task is to stop. Says whether it is.
    pub fn wait(&self, timeout: Duration) -> bool {
        let waited = self.0.changed.wait_timeout_while(self.lock(), timeout, |state| !state.stop);
        waited.unwrap_or_else(PoisonError::into_inner).0.stop
    }

    /// Waits until the task is to stop.
    pub fn wait_for_stop(&self) {
        drop(self.0.changed.wait_while(self.lock(), |state| !state.stop));
    }

    /// Calls back once when the task is to stop, at once if it already is. It runs on the thread that shuts down, so
    /// it only passes the word on (a channel, a notification).
    pub fn on_stop(&self, callback: impl FnOnce() + Send + 'static) {
        let mut state = self.lock();
        if state.stop {
            drop(state);
            callback();
        } else {
            state.callbacks.push(Box::new(callback));
        }
    }

    /// Tells everyone who holds a clone to stop. Each callback runs by itself: one that panics does not keep the
    /// word from the others.
    fn request(&self) {
        let callbacks = {
            let mut state = self.lock();
            state.stop = true;
            std::mem::take(&mut state.callbacks)
        };
        self.0.changed.notify_all();
        for callback in callbacks {
            let _ = catch_unwind(AssertUnwindSafe(callback));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Requested> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    /// The task.
    pub task: String,
    /// What it said.
    pub message: String,
}

/// How a shutdown went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Tasks that did not end in time, in the order of their phases. They still run.
    pub late: Vec<(Phase, String)>,
    /// Tasks that panicked at any time, the last [`PANICS_MAX`].
    pub panics: Vec<Panic>,
}

impl Report {
    /// Whether every task ended by itself.
    pub fn is_clean(&self) -> bool {
        self.late.is_empty() && self.panics.is_empty()
    }
}

/// The long-lived threads of the house. Clones are the same set. Dropping it stops nothing: see [`Tasks::shutdown`].
#[derive(Clone)]
pub struct Tasks(Arc<House>);

struct House {
    stops: [Stop; Phase::ALL.len()],
    state: Mutex<State>,
    ended: Condvar,
    running: Gauge,
    metrics: Metrics,
}

#[derive(Default)]
struct State {
    tasks: Vec<Task>,
    panics: VecDeque<Panic>,
    on_panic: Option<PanicCallback>,
    next: u64,
}

struct Task {
    id: u64,
    name: String,
    phase: Phase,
    thread: ThreadId,
}

impl Tasks {
    /// An empty set, which counts itself in `metrics`.
    pub fn new(metrics: &Metrics) -> Tasks {
        Tasks(Arc::new(House {
            stops: Default::default(),
            state: Mutex::default(),
            ended: Condvar::new(),
            running: metrics.gauge("tidemill_tasks_running", "Long-lived threads that run now."),
            metrics: metrics.clone(),
        }))
    }

    /// Runs `work` on a thread of its own until it returns. It is to return soon after its [`Stop`] says so. A panic
    /// in it is caught, counted (`tidemill_task_panics_total`) and reported by name.
    pub fn spawn(
        &self,
        name: &str,
        phase: Phase,
        work: impl FnOnce(Stop) + Send + 'static,
    ) -> Result<(), Error> {
        let stop = self.stop(phase);
        let mut state = self.0.lock();
        if stop.requested() {
            return Err(Error::Stopping { task: name.to_owned(), phase });
        }
        let id = state.next;
        state.next += 1;
        let panics = self.panic_counter(name);
        let house = self.0.clone();
        let named = name.to_owned();
        // The thread cannot report its end before it stands in the list, for the list is locked.
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let outcome = catch_unwind(AssertUnwindSafe(|| work(stop)));
                house.end(id, named, outcome.err(), &panics);
            })
            .map_err(|source| Error::Thread { task: name.to_owned(), source })?;
        state.tasks.push(Task { id, name: name.to_owned(), phase, thread: thread.thread().id() });
        self.0.running.add(1);
        Ok(())
    }

    /// The word to stop of a phase, for what runs elsewhere but wants to know.
    pub fn stop(&self, phase: Phase) -> Stop {
        let [doors, engines, log] = &self.0.stops;
        match phase {
            Phase::Doors => doors.clone(),
            Phase::Engines => engines.clone(),
            Phase::Log => log.clone(),
        }
    }

    /// Called on the thread of every task that panics from now on, after it was counted: the place to decide whether
    /// the house goes on without it.
    pub fn on_panic(&self, callback: impl Fn(&Panic) + Send + Sync + 'static) {
        self.0.lock().on_panic = Some(Arc::new(callback));
    }

    /// Tasks that run now, in the order they were started.
    pub fn running(&self) -> Vec<(Phase, String)> {
        self.0.lock().tasks.iter().map(|task| (task.phase, task.name.clone())).collect()
    }

    /// The last panics, at most [`PANICS_MAX`].
    pub fn panics(&self) -> Vec<Panic> {
        self.0.lock().panics.iter().cloned().collect()
    }

    /// Stops phase by phase and waits for each. The doors may use half of the time, the engines half of what is then
    /// left, the log all the rest: a door that hangs must not cost the journal its last sync. A task that calls this
    /// is itself not waited for.
    pub fn shutdown(&self, within: Duration) -> Report {
        let mut report = Report::default();
        let started = now();
        for phase in Phase::ALL {
            self.stop(phase).request();
            let left = within.saturating_sub(started.elapsed());
            let may_use = if phase == Phase::Log { left } else { left / 2 };
            report.late.extend(self.wait_for(phase, may_use).into_iter().map(|name| (phase, name)));
        }
        report.panics = self.panics();
        report
    }

    /// Waits until no task of this phase is left, and says who still is.
    fn wait_for(&self, phase: Phase, timeout: Duration) -> Vec<String> {
        let own = std::thread::current().id();
        let awaited = |task: &Task| task.phase == phase && task.thread != own;
        let waited = self
            .0
            .ended
            .wait_timeout_while(self.0.lock(), timeout, |state| state.tasks.iter().any(awaited))
            .unwrap_or_else(PoisonError::into_inner);
        waited.0.tasks.iter().filter(|task| awaited(task)).map(|task| task.name.clone()).collect()
    }

    fn panic_counter(&self, name: &str) -> Counter {
        self.0.metrics.counter_with("tidemill_task_panics", "Tasks that panicked.", &[("task", name)])
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tasks").field(&self.running()).finish()
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stop").field(&self.requested()).finish()
    }
}

impl House {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last thing a task's thread does. Its work and all that it held are gone by now, so nobody needs to join it.
    fn end(&self, id: u64, name: String, panic: Option<Box<dyn Any + Send>>, panics: &Counter) {
        if let Some(payload) = panic {
            panics.add(1);
            let panic = Panic { task: name, message: message(payload.as_ref()) };
            let callback = {
                let mut state = self.lock();
                if state.panics.len() == PANICS_MAX {
                    state.panics.pop_front();
                }
                state.panics.push_back(panic.clone());
                state.on_panic.clone()
            };
            if let Some(callback) = callback {
                let _ = catch_unwind(AssertUnwindSafe(|| callback(&panic)));
            }
        }
        self.lock().tasks.retain(|task| task.id != id);
        self.running.add(-1);
        self.ended.notify_all();
    }
}

/// The text of a panic, as the standard hook finds it.
fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message").to_owned()
}

#[expect(clippy::disallowed_methods, reason = "threads end in real time, also under a simulated clock")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
