//! How a query runs: admitted in order of arrival, on threads of its own, within its time, stopped when nobody listens,
//! and with a panic turned into a problem. What is not here: what it computes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tidemill_core::{Batches, Boxed, Budget, Chunks, Problem, SampleBatch, codes};
use tidemill_ground::{Counter, Gauge, Limit, Metrics};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::errors::internal;

/// How many pieces of an answer may wait for its reader.
const PIECES_AHEAD_MAX: usize = 2;

/// Who may run, and who waits: first come, first served.
pub(crate) struct Admission {
    places: Arc<Semaphore>,
    waiting: Limit,
    running: Gauge,
    done: Counter,
    failed: Counter,
    cancelled: Counter,
}

impl Admission {
    pub(crate) fn new(metrics: &Metrics, concurrent: usize, waiting_max: usize) -> Admission {
        let outcome =
            |name| metrics.counter_with("tidemill_queries", "How queries ended.", &[("outcome", name)]);
        Admission {
            places: Arc::new(Semaphore::new(concurrent)),
            waiting: Limit::new(metrics, "queries_waiting", u64::try_from(waiting_max).unwrap_or(u64::MAX)),
            running: metrics.gauge("tidemill_queries_running", "How many queries run now."),
            done: outcome("done"),
            failed: outcome("failed"),
            cancelled: outcome("cancelled"),
        }
    }

    async fn enter(&self) -> Result<Place, Problem> {
        let Some(_waiting) = self.waiting.try_take(1) else {
            let detail = format!("{} queries wait already", self.waiting.max());
            return Err(Problem::new(&codes::BUSY, detail).hint("Repeat in a moment").retry_after(1));
        };
        let place = self.places.clone().acquire_owned().await;
        let place = place.map_err(|_| Problem::new(&codes::STOPPING, "no more queries are taken"))?;
        self.running.add(1);
        Ok(Place { _place: place, running: self.running.clone() })
    }
}

/// A place among those that run, held until the work has really ended.
pub(crate) struct Place {
    _place: OwnedSemaphorePermit,
    running: Gauge,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.running.add(-1);
    }
}

/// Where the pieces of an answer go.
pub(crate) struct Sink<T> {
    sender: mpsc::Sender<Result<T, Problem>>,
    stopped: Arc<AtomicBool>,
    place: Arc<Place>,
}

impl<T> Sink<T> {
    /// Hands a piece over; false when nobody wants more.
    pub(crate) async fn send(&self, piece: T) -> bool {
        self.sender.send(Ok(piece)).await.is_ok()
    }

    /// The same for a thread that may block.
    pub(crate) fn send_blocking(&self, piece: T) -> bool {
        !self.is_stopped() && self.sender.blocking_send(Ok(piece)).is_ok()
    }

    /// Keeps the query's place for work that cannot be dropped, only told to stop.
    pub(crate) fn place(&self) -> Arc<Place> {
        self.place.clone()
    }

    /// The sign that says so to what cannot wait: it is set when time is up or nobody listens.
    pub(crate) fn stopped(&self) -> Arc<AtomicBool> {
        self.stopped.clone()
    }

    /// Whether to stop: time is up, or nobody listens. For loops that give nothing for long.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.sender.is_closed()
    }
}

/// What is read of an answer, piece by piece. Dropping it stops the query.
pub(crate) struct Answer<T> {
    first: Option<T>,
    receiver: mpsc::Receiver<Result<T, Problem>>,
    ended: bool,
}

impl<T: Send> Answer<T> {
    async fn piece(&mut self) -> Option<Result<T, Problem>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        if self.ended {
            return None;
        }
        let piece = self.receiver.recv().await;
        self.ended = !matches!(piece, Some(Ok(_)));
        piece
    }
}

impl Chunks for Answer<Bytes> {
    fn next(&mut self) -> Boxed<'_, Option<Result<Bytes, Problem>>> {
        Box::pin(self.piece())
    }
}

impl Batches for Answer<SampleBatch> {
    fn next(&mut self) -> Boxed<'_, Option<Result<SampleBatch, Problem>>> {
        Box::pin(self.piece())
    }
}

/// Where queries compute, and where their time is watched.
pub(crate) struct Threads {
    pub(crate) work: Handle,
    pub(crate) watch: Handle,
}

/// Runs `work` and waits for its first piece, so that what fails at once is an error and not a broken answer.
pub(crate) async fn run<T, Work, Running>(
    threads: Threads,
    admission: Arc<Admission>,
    budget: Budget,
    work: Work,
) -> Result<Answer<T>, Problem>
where
    T: Send + 'static,
    Work: FnOnce(Sink<T>) -> Running + Send + 'static,
    Running: Future<Output = Result<(), Problem>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD_MAX);
    let stopped = Arc::new(AtomicBool::new(false));
    let entering = admission.clone();
    let (to_work, flag) = (sender.clone(), stopped.clone());
    let working = async move {
        let place = entering.enter().await?;
        work(Sink { sender: to_work, stopped: flag, place: Arc::new(place) }).await
    };
    let task = Stopping { task: threads.work.spawn(working), stopped };
    threads.watch.spawn(watch(task, sender, admission, budget.time));
    let mut answer = Answer { first: None, receiver, ended: false };
    match answer.piece().await {
        Some(Ok(first)) => answer.first = Some(first),
        Some(Err(problem)) => return Err(problem),
        None => {}
    }
    Ok(answer)
}

/// Waits for the work, its time, or for the reader to go away; whichever is first.
async fn watch<T: Send + 'static>(
    mut task: Stopping,
    sender: mpsc::Sender<Result<T, Problem>>,
    admission: Arc<Admission>,
    time: Duration,
) {
    let outcome = tokio::select! {
        biased;
        ended = &mut task.task => ended.unwrap_or_else(|failure| Err(panicked(failure))),
        () = tokio::time::sleep(time) => {
            let detail = format!("the query was stopped after {time:?}");
            Err(Problem::new(&codes::QUERY_TIME, detail))
        }
        () = sender.closed() => {
            admission.cancelled.add(1);
            return;
        }
    };
    // The work is stopped before the reader is told, who may be slow to listen.
    drop(task);
    match outcome {
        Ok(()) => admission.done.add(1),
        Err(problem) => {
            admission.failed.add(1);
            // A reader that has gone away needs no problem.
            let _ = sender.send(Err(problem)).await;
        }
    }
}

pub(crate) fn panicked(failure: tokio::task::JoinError) -> Problem {
    let what = match failure.try_into_panic() {
        Ok(panic) => match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => {
                panic.downcast::<&'static str>().map_or("a panic".to_owned(), |text| (*text).to_owned())
            }
        },
        Err(_) => return Problem::new(&codes::STOPPING, "queries are being stopped"),
    };
    internal(&what)
}

/// A task that ends when this is dropped.
struct Stopping {
    task: JoinHandle<Result<(), Problem>>,
    stopped: Arc<AtomicBool>,
}

impl Drop for Stopping {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.task.abort();
    }
}
