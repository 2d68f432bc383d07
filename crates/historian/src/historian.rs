//! The room as others get it: the store and the query engine behind the one trait of `core`. What does not live here:
//! anything that either of them does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidemill_core::{
    Amend, Amended, Batches, Boxed, Budget, Bus, Chunks, ColumnMeasure, Facts, Format, Grant, History,
    Identity, Journal, Problem, ReadQuery, ReadScope, SampleSink, Seq, SqlQuery, SqlShape, TableSpec, Value,
    Verb, WireQuery, WireShape, codes,
};
use tidemill_ground::Ground;
use tidemill_lake::{CORRECTIONS, Copy, Error, SampleSource, Settings as LakeSettings, Store};

use crate::query;

/// What can be set about the historian.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Buffer, files and merges.
    pub store: LakeSettings,
    /// How many queries run at once; the others wait.
    pub queries: usize,
    /// How many queries may wait; beyond it they are told to come again.
    pub queries_waiting_max: usize,
    /// How many threads work for one query.
    pub query_threads: usize,
    /// A query that takes longer is slow: it is logged, and stands in `sys.queries`. None: none is.
    pub slow_query: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            store: LakeSettings::default(),
            queries: 4,
            queries_waiting_max: 64,
            query_threads: 2,
            slow_query: Some(Duration::from_secs(5)),
        }
    }
}

/// The historian of a plant.
pub struct Historian {
    ground: Ground,
    store: Arc<Store>,
    engine: query::Engine,
}

impl Historian {
    /// Opens the lake in `dir`, or begins it, and starts to follow the journal. It stops with the engines of
    /// [`tidemill_ground::Tasks`]: then it applies what is durable, and flushes.
    ///
    /// # Errors
    /// A log that cannot be read, a format that is newer, a disk that refuses: nothing was changed.
    pub fn open(
        ground: &Ground,
        dir: &Path,
        journal: Arc<dyn Journal>,
        bus: Arc<dyn Bus>,
        settings: Settings,
    ) -> Result<Arc<Historian>, Error> {
        let queries = query::Settings {
            concurrent: settings.queries,
            waiting_max: settings.queries_waiting_max,
            idle_time_max: query::IDLE_TIME_MAX,
            memory_bytes: settings.store.queries_bytes,
            partitions: settings.query_threads.max(1),
            slow: settings.slow_query,
            clock: ground.clock.clone(),
            metrics: ground.metrics.clone(),
        };
        let store = Store::open(ground, dir, journal.clone(), bus.clone(), settings.store)?;
        let source: Arc<dyn SampleSource> = store.clone();
        let engine = query::Engine::new(source, bus, journal, queries)?;
        engine.table(CORRECTIONS, None);
        store.start(ground)?;
        Ok(Arc::new(Historian { ground: ground.clone(), store, engine }))
    }

    /// Puts everything applied so far into files. Blocks.
    ///
    /// # Errors
    /// Why the files could not be written. The journal keeps what they lack, and it is tried again.
    pub fn flush_now(&self) -> Result<(), Error> {
        self.store.flush_now()
    }

    /// What is wrong with the files of the table, as far as their names and sizes tell, and which declared tables are closed;
    /// what files hold is checked when it is read. Touches the disk, one look a file.
    pub fn check(&self) -> Vec<Error> {
        self.store.check_files()
    }

    /// Whether all files of the samples are there and as long as they should be, one look a file, and no read met damage in
    /// one.
    ///
    /// # Errors
    /// What is wrong with the first that is not.
    pub fn check_places(&self) -> Result<(), Problem> {
        self.store.check_places()
    }

    /// Whether no read met damage in a file of a declared table.
    ///
    /// # Errors
    /// What is wrong with the first that is damaged.
    pub fn check_tables(&self) -> Result<(), Problem> {
        self.store.check_tables()
    }

    /// Looks again at files in which a read met damage, and forgets those that are whole or gone. Reads one that was put back.
    pub fn look_again(&self) {
        self.store.look_again();
    }

    /// Begins a copy of the files as they are now; what is younger is in the journal. See [`struct@Copy`].
    pub fn hold_for_copy(&self) -> Copy {
        self.store.hold_for_copy()
    }

    /// Why the last flush failed, if it did; it is tried again.
    pub fn flush_failure(&self) -> Option<Problem> {
        self.store.flush_failure()
    }

    /// From now on a query is slow that takes longer; none: none is.
    pub fn set_slow_query(&self, slow: Option<Duration>) {
        self.engine.set_slow(slow);
    }

    /// Blocks until queries see everything up to `seq`, or so long (`false`).
    pub fn wait_applied(&self, seq: Seq, deadline: Duration) -> bool {
        self.store.wait_applied(seq, deadline)
    }
}

/// The first and the last time of a stretch whose end is excluded.
fn stretch(from: i64, to: i64) -> Result<(i64, i64), Problem> {
    // As in a question: nothing lies behind the last time that there is.
    let last = if to == i64::MAX { Some(to) } else { to.checked_sub(1) };
    let last = last.filter(|last| *last >= from);
    let last =
        last.ok_or_else(|| Problem::new(&codes::BAD_TIME, "the time to delete ends before it begins"))?;
    Ok((from, last))
}

impl History for Historian {
    fn applied(&self) -> Seq {
        self.store.applied()
    }

    fn read<'a>(
        &'a self,
        scope: &ReadScope,
        query: ReadQuery,
        budget: Budget,
    ) -> Boxed<'a, Result<Box<dyn Batches>, Problem>> {
        self.engine.read(scope, query, budget)
    }

    fn export<'a>(
        &'a self,
        scope: &ReadScope,
        query: ReadQuery,
        format: Format,
        budget: Budget,
    ) -> Boxed<'a, Result<Box<dyn Chunks>, Problem>> {
        self.engine.export(scope, query, format, budget)
    }

    fn sql<'a>(
        &'a self,
        scope: &ReadScope,
        query: SqlQuery,
        format: Format,
        budget: Budget,
    ) -> Boxed<'a, Result<Box<dyn Chunks>, Problem>> {
        self.engine.sql(scope, query, format, budget)
    }

    fn sql_shape<'a>(
        &'a self,
        scope: &ReadScope,
        query: SqlQuery,
        budget: Budget,
    ) -> Boxed<'a, Result<SqlShape, Problem>> {
        self.engine.sql_shape(scope, query, budget)
    }

    fn sql_values(&self, format: Format, body: Bytes) -> Result<Vec<Vec<Value>>, Problem> {
        query::values(format, body)
    }

    fn wire_shape<'a>(
        &'a self,
        scope: &ReadScope,
        query: WireQuery,
        budget: Budget,
    ) -> Boxed<'a, Result<WireShape, Problem>> {
        self.engine.wire_shape(scope, query, budget)
    }

    fn wire<'a>(
        &'a self,
        scope: &ReadScope,
        query: WireQuery,
        budget: Budget,
    ) -> Boxed<'a, Result<Box<dyn Chunks>, Problem>> {
        self.engine.wire(scope, query, budget)
    }

    fn measure(&self, format: Format, body: &Bytes) -> Result<ColumnMeasure, Problem> {
        query::measure(format, body)
    }

    fn decode(&self, format: Format, body: Bytes, sink: &mut dyn SampleSink) -> Result<(), Problem> {
        query::decode(format, body, sink)
    }

    fn amend<'a>(
        &'a self,
        who: &Identity,
        grants: &[Grant],
        amend: Amend,
        reason: &str,
    ) -> Boxed<'a, Result<Amended, Problem>> {
        let store = self.store.clone();
        let reason = reason.to_owned();
        let refused = grants.iter().any(|grant| !matches!(grant.verb, Verb::Configure | Verb::Administer));
        let (identity, grants) = (who.clone(), grants.to_vec());
        Box::pin(async move {
            if refused {
                return Err(Problem::new(
                    &codes::FORBIDDEN,
                    "deleting samples needs the right to configure the signal",
                ));
            }
            let work: Box<dyn FnOnce() -> Result<Amended, Error> + Send> = match (amend, grants.as_slice()) {
                (Amend::Retire, [grant]) => {
                    let grant = *grant;
                    Box::new(move || store.retire(&identity, &grant, &reason))
                }
                (Amend::Retire, _) => {
                    return Err(Problem::new(&codes::BAD_PARAMETER, "signals are deleted one by one"));
                }
                (Amend::Delete { from, to }, _) => {
                    let time = stretch(from, to)?;
                    let signals: Vec<_> = grants.iter().map(|grant| grant.id).collect();
                    Box::new(move || store.delete(&identity.name, &signals, time, &reason))
                }
            };
            // It waits for files to be rewritten, which is no work for the thread of a door.
            let (done, outcome) = tokio::sync::oneshot::channel();
            let work = move || {
                let _ = done.send(work());
            };
            let thread = std::thread::Builder::new().name("historian-amend".into()).spawn(work);
            thread.map_err(|error| Problem::new(&codes::INTERNAL, error.to_string()))?;
            outcome.await.map_err(|_| Problem::from(Error::Stopping))?.map_err(Problem::from)
        })
    }

    fn table(&self, table: &'static TableSpec, facts: Option<Arc<dyn Facts>>) {
        self.store.declare(&self.ground, table);
        self.engine.table(table, facts);
    }
}
