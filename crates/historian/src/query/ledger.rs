//! Which questions run and which were slow: who asked, what, since when, and what it took. Rows of `sys.queries`, and a line
//! of the log for each slow one. What does not live here: what a question may cost ([`super::run`]).

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tidemill_core::{ReadQuery, ReadScope, Value};
use tidemill_dialect::outline;
use tidemill_ground::{Clock, Counter, Histogram, Metrics, SECONDS};
use tidemill_lake::View;

use super::pool::Pool;

/// So many slow questions are remembered, the newest.
pub(crate) const SLOW_MAX: usize = 100;
/// The longest text of a question that is kept.
pub(crate) const TEXT_BYTES_MAX: usize = 1_000;

tokio::task_local! {
    /// The question that a task, or a thread that works for it, is about.
    static CURRENT: Arc<Entry>;
}

/// Runs a task for a question.
pub(crate) async fn about<T>(entry: Arc<Entry>, work: impl Future<Output = T>) -> T {
    CURRENT.scope(entry, work).await
}

/// Work for a thread of its own, about the question of this task.
pub(crate) fn carried<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let current = CURRENT.try_with(Clone::clone).ok();
    move || match current {
        Some(entry) => CURRENT.sync_scope(entry, work),
        None => work(),
    }
}

/// The question of this task has so many rows more.
pub(crate) fn count_rows(rows: usize) {
    // Outside of a question nothing is counted.
    let _ = CURRENT.try_with(|entry| entry.rows.fetch_add(rows as u64, Ordering::Relaxed));
}

/// The question of this task holds its memory there.
pub(crate) fn holds_in(pool: &Arc<Pool>) {
    // A question has one pool; what a second holds would only be less exact.
    let _ = CURRENT.try_with(|entry| entry.pool.set(pool.clone()).is_ok());
}

/// The question of this task is about what is seen there.
pub(crate) fn looks_at(view: &Arc<dyn View>) {
    // Later views of the same question are for single parts of it.
    let _ = CURRENT.try_with(|entry| entry.view.set(Arc::downgrade(view)).is_ok());
}

/// What is asked, and by whom.
#[derive(Default)]
pub(crate) struct Question {
    who: Arc<str>,
    door: &'static str,
    kind: &'static str,
    text: String,
    is_sql: bool,
}

impl Question {
    /// One in SQL; its parameters are not kept.
    pub(crate) fn sql(scope: &ReadScope, kind: &'static str, text: &str) -> Question {
        let (who, door) = scope.asked_by();
        Question { who, door, kind, text: cut(text), is_sql: true }
    }

    /// One for samples.
    pub(crate) fn samples(scope: &ReadScope, kind: &'static str, query: &ReadQuery) -> Question {
        let patterns: Vec<&str> = query.patterns.iter().map(|pattern| pattern.as_str()).take(16).collect();
        let more = query.patterns.len().saturating_sub(patterns.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let text =
            format!("{}{more} from {} to {}, {:?}", patterns.join(" "), query.from, query.to, query.mode);
        Question { is_sql: false, ..Question::sql(scope, kind, &text) }
    }

    /// For the log, which others read too: statements without their literals.
    fn logged(&self) -> Cow<'_, str> {
        match self.is_sql {
            true => outline(&self.text).unwrap_or_default().into(),
            false => self.text.as_str().into(),
        }
    }
}

fn cut(text: &str) -> String {
    let kept = text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or_default();
    if kept.len() < text.len() { format!("{kept}…") } else { kept.to_owned() }
}

/// One question, while it runs and after.
pub(crate) struct Entry {
    number: u64,
    question: Arc<Question>,
    began_ns: i64,
    began: Duration,
    clock: Arc<dyn Clock>,
    course: Mutex<Course>,
    rows: AtomicU64,
    bytes: AtomicU64,
    pool: OnceLock<Arc<Pool>>,
    view: OnceLock<Weak<dyn View>>,
}

/// What a question does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// It waits for a place.
    #[default]
    Waiting,
    /// It has one.
    Running,
    /// It gave its place up, for nobody takes its answer.
    Idle,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Running => "running",
            State::Idle => "idle",
        }
    }
}

#[derive(Default)]
struct Course {
    state: State,
    /// How long it waited for whoever reads the answer, and since when it does: that is no slowness of the query.
    waited: Duration,
    waits_since: Option<Duration>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Entry({})", self.number)
    }
}

impl Entry {
    /// Its number since the start of the plant.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Where it holds its memory, once it does.
    pub(crate) fn pool(&self) -> Option<Arc<Pool>> {
        self.pool.get().cloned()
    }

    /// What its view keeps in memory that the store has given up since.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.view.get().and_then(Weak::upgrade).map_or(0, |view| view.kept_bytes())
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is(&self, state: State) {
        self.course().state = state;
    }

    /// Its reader keeps it waiting from here on.
    pub(crate) fn waits(&self) {
        self.course().waits_since = Some(self.clock.monotonic());
    }

    /// Its reader came back.
    pub(crate) fn goes_on(&self) {
        let mut course = self.course();
        if let Some(since) = course.waits_since.take() {
            course.waited += self.clock.monotonic().saturating_sub(since);
        }
    }

    /// So many bytes of the answer more.
    pub(crate) fn handed_over(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn took(&self) -> Duration {
        let course = self.course();
        let until = course.waits_since.unwrap_or_else(|| self.clock.monotonic());
        until.saturating_sub(self.began).saturating_sub(course.waited)
    }

    fn memory_bytes(&self) -> u64 {
        self.pool.get().map_or(0, |pool| pool.peak() as u64)
    }

    fn row(&self, state: &'static str, outcome: &'static str, took: Duration) -> Vec<Value> {
        let text = |text: &str| Value::Text(text.into());
        let number = |number: &AtomicU64| Value::UInt(number.load(Ordering::Relaxed));
        vec![
            Value::UInt(self.number),
            text(state),
            text(&self.question.who),
            text(self.question.door),
            text(self.question.kind),
            text(&self.question.text),
            Value::Int(self.began_ns),
            Value::Float(took.as_secs_f64()),
            number(&self.rows),
            number(&self.bytes),
            Value::UInt(self.memory_bytes()),
            if outcome.is_empty() { Value::None } else { text(outcome) },
        ]
    }
}

#[derive(Default)]
struct Kept {
    running: BTreeMap<u64, Arc<Entry>>,
    slow: VecDeque<Vec<Value>>,
}

/// All questions that run, and the last slow ones.
pub(crate) struct Ledger {
    clock: Arc<dyn Clock>,
    next: AtomicU64,
    /// From here on a question is slow; `u64::MAX`: none is.
    slow_ns: AtomicU64,
    kept: Mutex<Kept>,
    seconds: Histogram,
    slow: Counter,
}

impl Ledger {
    pub(crate) fn new(clock: Arc<dyn Clock>, metrics: &Metrics, slow: Option<Duration>) -> Arc<Ledger> {
        let ledger = Ledger {
            clock,
            next: AtomicU64::new(1),
            slow_ns: AtomicU64::new(u64::MAX),
            kept: Mutex::default(),
            seconds: metrics.histogram(
                "tidemill_query_seconds",
                "How long queries took, without the time in which nobody took their answer.",
                SECONDS,
            ),
            slow: metrics
                .counter("tidemill_queries_slow", "Queries that took longer than limits.slow_query."),
        };
        ledger.set_slow(slow);
        Arc::new(ledger)
    }

    /// From now on a question is slow that takes longer; none: no question is.
    pub(crate) fn set_slow(&self, slow: Option<Duration>) {
        let slow_ns = slow.and_then(|slow| u64::try_from(slow.as_nanos()).ok());
        self.slow_ns.store(slow_ns.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A question that begins. It ends when what this gives is dropped.
    pub(crate) fn begin(self: &Arc<Ledger>, question: Arc<Question>) -> Record {
        let entry = Arc::new(Entry {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            question,
            began_ns: self.clock.wall(),
            began: self.clock.monotonic(),
            clock: self.clock.clone(),
            course: Mutex::default(),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            pool: OnceLock::new(),
            view: OnceLock::new(),
        });
        // As many as may wait, run and be idle: admission bounds it.
        self.lock().running.insert(entry.number, entry.clone());
        Record { ledger: self.clone(), entry, outcome: "cancelled" }
    }

    /// Rows of `sys.queries`: those that run, the oldest first, then the slow ones, the newest first.
    pub(crate) fn rows(&self) -> Vec<Vec<Value>> {
        let kept = self.lock();
        let running = kept.running.values().map(|entry| {
            let state = entry.course().state;
            entry.row(state.name(), "", entry.took())
        });
        running.chain(kept.slow.iter().rev().cloned()).collect()
    }

    fn end(&self, entry: &Entry, outcome: &'static str) {
        let took = entry.took();
        self.seconds.observe(took.as_secs_f64());
        let mut kept = self.lock();
        kept.running.remove(&entry.number);
        if u64::try_from(took.as_nanos()).unwrap_or(u64::MAX) < self.slow_ns.load(Ordering::Relaxed) {
            return;
        }
        if kept.slow.len() >= SLOW_MAX {
            kept.slow.pop_front();
        }
        kept.slow.push_back(entry.row("slow", outcome, took));
        drop(kept);
        self.slow.add(1);
        tracing::warn!(
            event = "query.slow",
            who = &*entry.question.who,
            door = entry.question.door,
            kind = entry.question.kind,
            seconds = took.as_secs_f64(),
            rows = entry.rows.load(Ordering::Relaxed),
            bytes = entry.bytes.load(Ordering::Relaxed),
            memory_bytes = entry.memory_bytes(),
            outcome,
            text = &*entry.question.logged(),
        );
    }
}

/// A question that runs.
pub(crate) struct Record {
    ledger: Arc<Ledger>,
    entry: Arc<Entry>,
    outcome: &'static str,
}

impl Record {
    pub(crate) fn entry(&self) -> Arc<Entry> {
        self.entry.clone()
    }

    /// How it ended: `done`, or the code of what ended it.
    pub(crate) fn ended(&mut self, outcome: &'static str) {
        self.outcome = outcome;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.ledger.end(&self.entry, self.outcome);
    }
}
