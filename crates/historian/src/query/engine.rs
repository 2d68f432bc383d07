//! The front door of queries: what is asked is admitted, given a consistent view that holds everything acknowledged
//! before, planned, run and spelled. The parts stand in the other files of this folder.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use datafusion::catalog::TableFunctionImpl;
use datafusion::common::DataFusionError;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::execute_stream;
use futures_util::StreamExt;
use tidemill_core::{
    Batches, Boxed, Budget, Bus, Chunks, Facts, Format, Journal, Problem, ReadMode, ReadQuery, ReadScope,
    SampleBatch, SqlQuery, SqlShape, TableSpec, codes,
};
use tidemill_dialect::statement;
use tidemill_ground::{Clock, Limit, Metrics};
use tokio::runtime::{Handle, Runtime};

use super::errors::{Tables, internal, to_problem};
use super::formats::{Exported, PIECE_BYTES, TableEncoder, of_table, slices};
use super::ledger::{self, Ledger, Question};
use super::meter::{Meter, bytes_of};
use super::names::Names;
use super::pace::{Idle, Pace, Within};
use super::planning::{self, Planned};
use super::pool::{Pool, ScanAccount, Shared};
use super::read_function::{READ, Read};
use super::relation::Relation;
use super::run::{Admission, Sink, Threads, panicked, run};
use super::samples::Samples;
use super::session::{Given, session};
use super::shape::Shape;
use super::signals::Signals;
use super::{modes, session as sessions};
use tidemill_lake::{SampleSource, View};

/// The stack of a query's threads: plans are trees, and a tree that is dropped uses the stack for its depth. Only what is
/// touched takes memory.
const STACK_BYTES: usize = 32 << 20;

/// How many threads may scan at once, of all queries.
const SCAN_THREADS_MAX: usize = 64;

/// What the wiring decides.
#[derive(Clone)]
pub(crate) struct Settings {
    /// How many queries run at once; the others wait in order of arrival.
    pub(crate) concurrent: usize,
    /// How many may wait; beyond it `busy`.
    pub(crate) waiting_max: usize,
    /// How long an answer may wait for who reads it.
    pub(crate) idle_time_max: Duration,
    /// How much memory all queries have together.
    pub(crate) memory_bytes: u64,
    /// How many threads work for one query.
    pub(crate) partitions: usize,
    /// From here on a query is slow, and told so; none is without it.
    pub(crate) slow: Option<Duration>,
    /// For `now()` and for waiting.
    pub(crate) clock: Arc<dyn Clock>,
    /// Where queries are counted.
    pub(crate) metrics: Metrics,
}

/// A table that an engine declared.
#[derive(Clone)]
pub(crate) struct Declared {
    pub(crate) spec: &'static TableSpec,
    pub(crate) facts: Option<Arc<dyn Facts>>,
}

/// Answers questions.
pub(crate) struct Engine {
    pub(super) inner: Arc<Inner>,
    /// Queries compute on these threads and never on those of the doors.
    runtime: Option<Runtime>,
    /// Looks at the time; a thread of its own, since an expression may keep those that compute for long.
    watching: Option<Runtime>,
}

pub(crate) struct Inner {
    pub(crate) source: Arc<dyn SampleSource>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) settings: Settings,
    pub(crate) base: SessionState,
    pub(crate) admission: Arc<Admission>,
    /// For samples as they are, whose answers take as long as their readers.
    pub(crate) streaming: Arc<Admission>,
    pub(crate) memory: Arc<Shared>,
    pub(crate) declared: RwLock<Vec<Declared>>,
}

impl Engine {
    /// An engine over a store.
    ///
    /// # Errors
    /// `internal`: the system gives no threads.
    pub(crate) fn new(
        source: Arc<dyn SampleSource>,
        bus: Arc<dyn Bus>,
        journal: Arc<dyn Journal>,
        settings: Settings,
    ) -> Result<Engine, Problem> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(settings.partitions)
            .max_blocking_threads(SCAN_THREADS_MAX)
            .thread_stack_size(STACK_BYTES)
            .thread_name("query")
            .enable_time()
            .build()
            .map_err(|error| internal(&error.to_string()))?;
        let watching = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("query-time")
            .enable_time()
            .build()
            .map_err(|error| internal(&error.to_string()))?;
        let idle = Idle::new(&settings.metrics, settings.concurrent, settings.idle_time_max);
        let bytes_max = usize::try_from(settings.memory_bytes).unwrap_or(usize::MAX);
        let memory = Arc::new(Shared::new(bytes_max, idle.clone()));
        let held = memory.clone();
        #[expect(clippy::cast_precision_loss, reason = "a gauge needs no last byte")]
        let watched = move || held.used() as f64;
        #[expect(clippy::cast_precision_loss, reason = "a gauge needs no last byte")]
        let bytes_max = settings.memory_bytes as f64;
        Limit::show(&settings.metrics, "queries_bytes", watched, move || bytes_max);
        let ledger = Ledger::new(settings.clock.clone(), &settings.metrics, settings.slow);
        let (concurrent, waiting_max) = (settings.concurrent, settings.waiting_max);
        let admission = Admission::new(&settings.metrics, concurrent, waiting_max, (ledger, idle));
        let inner = Inner {
            source,
            bus,
            journal,
            base: sessions::base(settings.partitions),
            streaming: Arc::new(admission.beside(settings.concurrent)),
            admission: Arc::new(admission),
            memory,
            declared: RwLock::default(),
            settings,
        };
        Ok(Engine { inner: Arc::new(inner), runtime: Some(runtime), watching: Some(watching) })
    }

    pub(super) fn threads(&self) -> Option<Threads> {
        let (work, watch) = (self.runtime.as_ref()?, self.watching.as_ref()?);
        Some(Threads { work: work.handle().clone(), watch: watch.handle().clone() })
    }

    /// Waits on this thread, which is none of a runtime.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.runtime.as_ref().map(|runtime| runtime.block_on(work))
    }

    /// How much memory all queries hold now.
    #[cfg(test)]
    pub(crate) fn memory_used(&self) -> usize {
        self.inner.memory.used()
    }

    /// From now on a query is slow that takes longer.
    pub(crate) fn set_slow(&self, slow: Option<Duration>) {
        self.inner.admission.ledger.set_slow(slow);
    }

    /// Declares a table; a second one of that name replaces the first.
    pub(crate) fn table(&self, spec: &'static TableSpec, facts: Option<Arc<dyn Facts>>) {
        let mut declared = self.inner.declared.write().unwrap_or_else(PoisonError::into_inner);
        declared.retain(|table| table.spec.name != spec.name);
        declared.push(Declared { spec, facts });
    }

    /// Samples in columns; see [`tidemill_core::History::read`].
    pub(crate) fn read<'a>(
        &'a self,
        scope: &ReadScope,
        query: ReadQuery,
        budget: Budget,
    ) -> Boxed<'a, Result<Box<dyn Batches>, Problem>> {
        let (inner, scope, threads) = (self.inner.clone(), scope.clone(), self.threads());
        Box::pin(async move {
            modes::check(&query)?;
            let threads = threads.ok_or_else(stopped)?;
            let (admission, within) = inner.terms(&query);
            let admission = admission.asked(Question::samples(&scope, "read", &query));
            let answer = run(threads, admission, budget, within, move |sink| async move {
                let view = inner.clone().view(budget.time).await?;
                on_a_thread(move || {
                    let names = Names::of_patterns(inner.bus.as_ref(), &scope, &query.patterns);
                    retrieve(&inner, &scope, &names, &query, &view, budget, |batch| {
                        Ok(!sink.is_stopped() && (batch.is_empty() || sink.send_blocking(batch)))
                    })?;
                    Ok(())
                })
                .await
            })
            .await?;
            Ok(Box::new(answer) as Box<dyn Batches>)
        })
    }

    /// Samples as bytes; see [`tidemill_core::History::export`].
    pub(crate) fn export<'a>(
        &'a self,
        scope: &ReadScope,
        query: ReadQuery,
        format: Format,
        budget: Budget,
    ) -> Boxed<'a, Result<Box<dyn Chunks>, Problem>> {
        let (inner, scope, threads) = (self.inner.clone(), scope.clone(), self.threads());
        Box::pin(async move {
            modes::check(&query)?;
            let threads = threads.ok_or_else(stopped)?;
            let (admission, within) = inner.terms(&query);
            let admission = admission.asked(Question::samples(&scope, "export", &query));
            let answer = run(threads, admission, budget, within, move |sink| async move {
                let view = inner.clone().view(budget.time).await?;
                on_a_thread(move || inner.spell(&scope, &query, format, &view, budget, &sink)).await
            })
            .await?;
            Ok(Box::new(answer) as Box<dyn Chunks>)
        })
    }

    /// SQL as bytes; see [`tidemill_core::History::sql`].
    pub(crate) fn sql<'a>(
        &'a self,
        scope: &ReadScope,
        query: SqlQuery,
        format: Format,
        budget: Budget,
    ) -> Boxed<'a, Result<Box<dyn Chunks>, Problem>> {
        let (inner, scope) = (self.inner.clone(), scope.clone());
        let threads = self.threads();
        Box::pin(async move {
            let threads = threads.ok_or_else(stopped)?;
            let admission = inner.admission.asked(Question::sql(&scope, "sql", &query.text));
            let answer = run(threads, admission, budget, Within::All, move |sink| async move {
                let view = inner.clone().view(budget.time).await?;
                inner.answer(scope, query, format, budget, view, sink).await
            })
            .await?;
            Ok(Box::new(answer) as Box<dyn Chunks>)
        })
    }

    /// What a query takes and gives; see [`tidemill_core::History::sql_shape`].
    pub(crate) fn sql_shape<'a>(
        &'a self,
        scope: &ReadScope,
        query: SqlQuery,
        budget: Budget,
    ) -> Boxed<'a, Result<SqlShape, Problem>> {
        let (inner, scope, threads) = (self.inner.clone(), scope.clone(), self.threads());
        Box::pin(async move {
            let threads = threads.ok_or_else(stopped)?;
            let admission = inner.admission.asked(Question::sql(&scope, "sql", &query.text));
            let mut answer = run(threads, admission, budget, Within::All, move |sink| async move {
                let view = inner.source.view();
                let shape = inner.shape(scope, query, budget, view, &sink).await?;
                sink.send(shape).await;
                Ok(())
            })
            .await?;
            answer.piece().await.unwrap_or_else(|| Err(internal("a query without a shape")))
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for runtime in [self.runtime.take(), self.watching.take()].into_iter().flatten() {
            runtime.shutdown_background();
        }
    }
}

pub(super) fn stopped() -> Problem {
    Problem::new(&codes::STOPPING, "no more queries are taken")
}

/// Runs what blocks.
async fn on_a_thread(work: impl FnOnce() -> Result<(), Problem> + Send + 'static) -> Result<(), Problem> {
    match tokio::task::spawn_blocking(ledger::carried(work)).await {
        Ok(outcome) => outcome,
        Err(failure) => Err(panicked(failure)),
    }
}

/// Gives the samples asked for to `each`, until it wants no more; false then.
fn retrieve(
    inner: &Inner,
    scope: &ReadScope,
    names: &Names,
    query: &ReadQuery,
    view: &Arc<dyn View>,
    budget: Budget,
    mut each: impl FnMut(SampleBatch) -> Result<bool, Problem>,
) -> Result<bool, Problem> {
    let mut rows = 0u64;
    let account = ScanAccount::of(&inner.pool(budget));
    for batch in modes::read(view, inner.bus.as_ref(), scope, names, query, &account) {
        let mut batch = batch?;
        let left = query.limit.map(|limit| limit.saturating_sub(rows));
        if let Some(left) =
            left.and_then(|left| usize::try_from(left).ok()).filter(|left| *left < batch.len())
        {
            batch = modes::first_rows(&batch, left);
        }
        rows = rows.saturating_add(batch.len() as u64);
        ledger::count_rows(batch.len());
        // Samples as they are stream in bounded memory, however many there are.
        if query.mode != ReadMode::Raw && rows > budget.rows {
            return Err(too_many_rows(budget));
        }
        if !each(batch)? {
            return Ok(false);
        }
        if query.limit.is_some_and(|limit| rows >= limit) {
            break;
        }
    }
    Ok(true)
}

fn too_many_rows(budget: Budget) -> Problem {
    Problem::new(&codes::QUERY_ROWS, format!("the answer has more than the {} rows allowed", budget.rows))
}

impl Inner {
    /// Which places a question for samples takes, and what its time limits.
    fn terms(&self, query: &ReadQuery) -> (Arc<Admission>, Within) {
        match query.mode {
            ReadMode::Raw => (self.streaming.clone(), Within::Steps),
            _ => (self.admission.clone(), Within::All),
        }
    }

    /// What one question may hold.
    fn pool(&self, budget: Budget) -> Arc<dyn MemoryPool> {
        let bytes_max = usize::try_from(budget.memory_bytes).unwrap_or(usize::MAX);
        let pool = Arc::new(Pool::new(bytes_max, self.memory.clone()));
        ledger::holds_in(&pool);
        pool
    }

    /// Samples as bytes. Blocking.
    fn spell(
        &self,
        scope: &ReadScope,
        query: &ReadQuery,
        format: Format,
        view: &Arc<dyn View>,
        budget: Budget,
        sink: &Sink<Bytes>,
    ) -> Result<(), Problem> {
        let wrong =
            |error| to_problem(&DataFusionError::ArrowError(Box::new(error), None), &Tables::default());
        let names = Arc::new(Names::of_patterns(self.bus.as_ref(), scope, &query.patterns));
        let mut exported = Exported::new(names.clone(), self.bus.clone()).map_err(wrong)?;
        let mut encoder = of_table(format);
        encoder.begin(exported.schema()).map_err(wrong)?;
        let wanted = retrieve(self, scope, &names, query, view, budget, |batch| {
            let rows = exported.rows(&batch).map_err(wrong)?;
            encoder.rows(&rows).map_err(wrong)?;
            let written = encoder.written();
            if written.len() < PIECE_BYTES {
                return Ok(!sink.is_stopped());
            }
            Ok(sink.send_blocking(Bytes::from(std::mem::take(written))))
        })?;
        if wanted {
            encoder.end().map_err(wrong)?;
            let written = std::mem::take(encoder.written());
            if !written.is_empty() {
                sink.send_blocking(Bytes::from(written));
            }
        }
        Ok(())
    }

    /// A view that holds everything acknowledged before now.
    pub(crate) async fn view(self: Arc<Self>, time: Duration) -> Result<Arc<dyn View>, Problem> {
        let wanted = self.journal.durable();
        if self.source.applied() < wanted {
            let waiting = self.clone();
            let waited = tokio::task::spawn_blocking(move || waiting.source.wait_applied(wanted, time));
            if !waited.await.map_err(|error| internal(&error.to_string()))? {
                let detail = "what was written last could not be read in time";
                return Err(Problem::new(&codes::QUERY_TIME, detail));
            }
        }
        let view = self.source.view();
        ledger::looks_at(&view);
        Ok(view)
    }

    async fn answer(
        self: Arc<Self>,
        scope: ReadScope,
        query: SqlQuery,
        format: Format,
        budget: Budget,
        view: Arc<dyn View>,
        sink: Sink<Bytes>,
    ) -> Result<(), Problem> {
        let asked = Asked::of(&self, &scope, &view, budget, sink.pace())?;
        let told = |error| asked.told(&error);
        let statement = statement::read(&query.text, &query.parameters).map_err(told)?;
        // Planning computes and blocks: not on the threads on which others' answers come forward.
        let (planner, state, place) = (asked.meter.clone(), asked.state.clone(), sink.pace());
        let handle = Handle::current();
        let work = move || {
            let _place = place;
            let names = (self.bus.as_ref(), &scope);
            handle.block_on(planning::plan(&state, statement, &planner, names))
        };
        let planned = tokio::task::spawn_blocking(work).await.map_err(panicked)?;
        let plan = planned.map_err(told)?;
        asked.stream(plan, of_table(format), budget, &sink).await
    }

    async fn shape(
        self: Arc<Self>,
        scope: ReadScope,
        query: SqlQuery,
        budget: Budget,
        view: Arc<dyn View>,
        sink: &Sink<SqlShape>,
    ) -> Result<SqlShape, Problem> {
        let asked = Asked::of(&self, &scope, &view, budget, sink.pace())?;
        let (place, handle) = (sink.pace(), Handle::current());
        let work = move || {
            let _place = place;
            let names = (self.bus.as_ref(), &scope);
            let shape = handle.block_on(Shape::of(&asked.state, &query, &asked.meter, names));
            shape.map_err(|error| asked.told(&error))?.spelled()
        };
        tokio::task::spawn_blocking(work).await.map_err(panicked)?
    }

    /// What stands beside `sys.*`.
    fn public(&self, scope: &ReadScope, view: &Arc<dyn View>) -> Vec<(&'static str, Arc<dyn Relation>)> {
        let samples = Samples {
            view: view.clone(),
            bus: self.bus.clone(),
            scope: scope.clone(),
            partitions: self.settings.partitions,
        };
        let signals = Signals { bus: self.bus.clone(), scope: scope.clone() };
        vec![("samples", Arc::new(samples)), ("signals", Arc::new(signals))]
    }

    fn functions(
        &self,
        scope: &ReadScope,
        view: &Arc<dyn View>,
    ) -> Vec<(&'static str, Arc<dyn TableFunctionImpl>)> {
        let read = Read { view: view.clone(), bus: self.bus.clone(), scope: scope.clone() };
        vec![(READ, Arc::new(read))]
    }

    fn session(
        &self,
        scope: &ReadScope,
        view: &Arc<dyn View>,
        system: Vec<(String, Arc<dyn Relation>)>,
        pool: Arc<dyn MemoryPool>,
        meter: Arc<Meter>,
    ) -> Result<SessionState, DataFusionError> {
        session(
            &self.base,
            Given {
                public: self.public(scope, view),
                system,
                functions: self.functions(scope, view),
                pool,
                meter,
                now: self.settings.clock.wall(),
            },
        )
    }
}

/// A question in SQL before it is read: what it may see, and who looks after what it takes.
pub(super) struct Asked {
    pub(super) state: SessionState,
    pub(super) meter: Arc<Meter>,
    /// For messages about those that are not there.
    tables: Tables,
}

impl Asked {
    pub(super) fn of(
        inner: &Inner,
        scope: &ReadScope,
        view: &Arc<dyn View>,
        budget: Budget,
        pace: Arc<Pace>,
    ) -> Result<Asked, Problem> {
        let system = inner.system(scope, view);
        let open = ["samples".to_owned(), "signals".to_owned()]
            .into_iter()
            .chain(system.iter().map(|(name, _)| format!("sys.{name}")))
            .collect();
        let tables = Tables { open, closed: inner.closed(scope) };
        let pool = inner.pool(budget);
        let meter = Meter::new(&pool, pace);
        let state = inner.session(scope, view, system, pool, meter.clone());
        let state = state.map_err(|error| to_problem(&error, &tables))?;
        Ok(Asked { state, meter, tables })
    }

    pub(super) fn told(&self, error: &DataFusionError) -> Problem {
        to_problem(error, &self.tables)
    }

    /// Runs what was planned, and spells what comes.
    pub(super) async fn stream(
        &self,
        planned: Planned,
        mut encoder: Box<dyn TableEncoder>,
        budget: Budget,
        sink: &Sink<Bytes>,
    ) -> Result<(), Problem> {
        let (told, meter) = (|error| self.told(&error), &self.meter);
        let mut stream = execute_stream(planned.plan, self.state.task_ctx()).map_err(told)?;
        let wrong =
            |error| to_problem(&DataFusionError::ArrowError(Box::new(error), None), &Tables::default());
        encoder.begin(&planned.columns).map_err(wrong)?;
        let mut rows = 0u64;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(told)?;
            rows = rows.saturating_add(batch.num_rows() as u64);
            ledger::count_rows(batch.num_rows());
            if rows > budget.rows {
                return Err(too_many_rows(budget));
            }
            for slice in slices(&batch) {
                // A column may stand in a row many times; spelled, each of them takes its room.
                let bytes = slice.columns().iter().map(|column| bytes_of(column)).sum();
                let spelling = meter.borrow(bytes, "the answer").map_err(told)?;
                encoder.rows(&slice).map_err(wrong)?;
                drop(spelling);
                if !hand_over(encoder.as_mut(), sink, PIECE_BYTES).await {
                    return Ok(());
                }
            }
        }
        encoder.end().map_err(wrong)?;
        hand_over(encoder.as_mut(), sink, 1).await;
        Ok(())
    }
}

/// Sends what was written once it is worth sending; false when nobody wants more.
pub(super) async fn hand_over(
    encoder: &mut dyn TableEncoder,
    sink: &Sink<Bytes>,
    least_bytes: usize,
) -> bool {
    let written = encoder.written();
    if written.len() < least_bytes {
        return true;
    }
    let piece = Bytes::from(std::mem::take(written));
    sink.send(piece).await
}
