//! How a query runs: admitted in order of arrival, on threads of its own, within its time, stopped when nobody listens,
//! and with a panic turned into a problem. What is not here: what it computes.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use tidemill_core::{Batches, Boxed, Budget, Chunks, Code, Problem, SampleBatch, codes};
use tidemill_ground::{Counter, Gauge, Limit, Metrics};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::errors::internal;
use super::ledger::{self, Ledger, Question, Record};
use super::pace::{Idle, Pace, Within};

/// How many pieces of an answer may wait for its reader.
const PIECES_AHEAD_MAX: usize = 2;

/// Who may run, and who waits: first come, first served.
pub(crate) struct Admission {
    places: Arc<Semaphore>,
    waiting: Limit,
    idle: Arc<Idle>,
    running: Gauge,
    done: Counter,
    failed: Counter,
    cancelled: Counter,
    /// Why queries were ended, by the codes of the bounds.
    ended: Arc<[(&'static Code, Counter)]>,
    pub(crate) ledger: Arc<Ledger>,
    question: Arc<Question>,
}

impl Admission {
    pub(crate) fn new(
        metrics: &Metrics,
        concurrent: usize,
        waiting_max: usize,
        (ledger, idle): (Arc<Ledger>, Arc<Idle>),
    ) -> Admission {
        let outcome =
            |name| metrics.counter_with("tidemill_queries", "How queries ended.", &[("outcome", name)]);
        Admission {
            places: Arc::new(Semaphore::new(concurrent)),
            waiting: Limit::new(metrics, "queries_waiting", u64::try_from(waiting_max).unwrap_or(u64::MAX)),
            idle,
            running: metrics.gauge("tidemill_queries_running", "How many queries run now."),
            done: outcome("done"),
            failed: outcome("failed"),
            cancelled: outcome("cancelled"),
            ended: [
                (&codes::QUERY_TIME, "query_time"),
                (&codes::QUERY_ROWS, "query_rows"),
                (&codes::QUERY_MEMORY, "queries_bytes"),
            ]
            .map(|(code, name)| (code, Limit::refusals(metrics, name)))
            .into(),
            ledger,
            question: Arc::default(),
        }
    }

    /// Counts a query that failed, also with the bound that ended it.
    fn failed(&self, problem: &Problem) {
        self.failed.add(1);
        let bound = self.ended.iter().find(|(code, _)| code.id == problem.code.id);
        if let Some((_, refused)) = bound {
            refused.add(1);
        }
    }

    /// Places of their own, counted with the others: who is slow to take a stream keeps no query waiting.
    pub(crate) fn beside(&self, concurrent: usize) -> Admission {
        Admission {
            places: Arc::new(Semaphore::new(concurrent)),
            waiting: self.waiting.clone(),
            idle: self.idle.clone(),
            running: self.running.clone(),
            done: self.done.clone(),
            failed: self.failed.clone(),
            cancelled: self.cancelled.clone(),
            ended: self.ended.clone(),
            ledger: self.ledger.clone(),
            question: self.question.clone(),
        }
    }

    /// The same places, for this question.
    pub(crate) fn asked(&self, question: Question) -> Arc<Admission> {
        Arc::new(Admission { question: Arc::new(question), places: self.places.clone(), ..self.beside(0) })
    }

    fn pace(&self, within: Within, budget: Budget, record: &Record) -> Pace {
        let (places, running, idle) = (self.places.clone(), self.running.clone(), self.idle.clone());
        Pace::new((within, budget.time), places, running, idle, record.entry())
    }

    async fn enter(&self, pace: &Pace) -> Result<(), Problem> {
        let Some(_waiting) = self.waiting.try_take(1) else {
            let detail = format!("{} queries wait already", self.waiting.max());
            return Err(Problem::new(&codes::BUSY, detail).hint("Repeat in a moment").retry_after(1));
        };
        pace.enter().await
    }
}

/// Where the pieces of an answer go.
pub(crate) struct Sink<T> {
    sender: mpsc::Sender<Result<T, Problem>>,
    pace: Arc<Pace>,
}

impl<T: 'static> Sink<T> {
    /// Hands a piece over; false when nobody wants more. Who takes it may take their time.
    pub(crate) async fn send(&self, piece: T) -> bool {
        let bytes = bytes_of(&piece);
        let sent = match self.sender.try_send(Ok(piece)) {
            Ok(()) => true,
            Err(TrySendError::Closed(_)) => false,
            Err(TrySendError::Full(piece)) => {
                self.pace.waits();
                self.sender.send(piece).await.is_ok() && self.pace.goes_on().await
            }
        };
        self.pace.gave(bytes);
        sent
    }

    /// The same for a thread that may block.
    pub(crate) fn send_blocking(&self, piece: T) -> bool {
        // A reader that takes nothing must not keep the thread when the query is stopped.
        !self.is_stopped()
            && Handle::current().block_on(async {
                tokio::select! {
                    biased;
                    sent = self.send(piece) => sent,
                    () = self.pace.until_stopped() => false,
                }
            })
    }

    /// What work that cannot be dropped, only told to stop, asks whether it may go on. It keeps the query's place with it.
    pub(crate) fn pace(&self) -> Arc<Pace> {
        self.pace.clone()
    }

    /// Whether to stop: time is up, or nobody listens. For loops that give nothing for long.
    pub(crate) fn is_stopped(&self) -> bool {
        self.pace.is_stopped() || self.sender.is_closed()
    }
}

/// How large a piece of an answer is, where it is bytes.
fn bytes_of<T: 'static>(piece: &T) -> usize {
    let piece: &dyn Any = piece;
    piece.downcast_ref::<Bytes>().map_or(0, Bytes::len)
}

/// What is read of an answer, piece by piece. Dropping it stops the query.
pub(crate) struct Answer<T> {
    first: Option<T>,
    receiver: mpsc::Receiver<Result<T, Problem>>,
    ended: bool,
}

impl<T: Send> Answer<T> {
    /// The next piece; none at the end.
    pub(crate) async fn piece(&mut self) -> Option<Result<T, Problem>> {
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
    within: Within,
    work: Work,
) -> Result<Answer<T>, Problem>
where
    T: Send + 'static,
    Work: FnOnce(Sink<T>) -> Running + Send + 'static,
    Running: Future<Output = Result<(), Problem>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD_MAX);
    let record = admission.ledger.begin(admission.question.clone());
    let pace = Arc::new(admission.pace(within, budget, &record));
    let (entering, to_work, keeping) = (admission.clone(), sender.clone(), pace.clone());
    let entry = record.entry();
    let working = async move {
        entering.enter(&keeping).await?;
        ledger::about(entry, work(Sink { sender: to_work, pace: keeping })).await
    };
    let task = Stopping { task: threads.work.spawn(working), pace };
    threads.watch.spawn(supervise(task, sender, (admission, record)));
    let mut answer = Answer { first: None, receiver, ended: false };
    match answer.piece().await {
        Some(Ok(first)) => answer.first = Some(first),
        Some(Err(problem)) => return Err(problem),
        None => {}
    }
    Ok(answer)
}

/// Waits for the work, the end of its time, or for the reader to go away; whichever is first.
async fn supervise<T: Send + 'static>(
    mut task: Stopping,
    sender: mpsc::Sender<Result<T, Problem>>,
    (admission, mut record): (Arc<Admission>, Record),
) {
    let pace = task.pace.clone();
    let outcome = tokio::select! {
        biased;
        ended = &mut task.task => ended.unwrap_or_else(|failure| Err(panicked(failure))),
        problem = pace.over() => Err(problem),
        () = sender.closed() => {
            admission.cancelled.add(1);
            return;
        }
    };
    // The work is stopped before the reader is told, who may be slow to listen.
    drop((task, pace));
    match outcome {
        Ok(()) => {
            admission.done.add(1);
            record.ended("done");
        }
        Err(problem) => {
            admission.failed(&problem);
            record.ended(problem.code.id);
            // It has ended, however long its reader takes to hear of it.
            drop(record);
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
    pace: Arc<Pace>,
}

impl Drop for Stopping {
    fn drop(&mut self) {
        self.pace.stop();
        self.task.abort();
    }
}
