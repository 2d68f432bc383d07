//! A plant in memory: a registry, samples and declared tables behind the traits that queries see. What is not here: any
//! of the code under test.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::RecordBatch;
use bytes::Bytes;
use tidemill_core::*;
use tidemill_ground::{Metrics, SimClock};

use crate::query::{Engine, Settings};
use tidemill_lake::{FileFact, SampleSource, Scan, ScanBatch, ScanSpec, TableScan, View};

/// 2026-01-01T00:00:00Z.
pub(crate) const T0: i64 = 1_767_225_600_000_000_000;
pub(crate) const SECOND: i64 = 1_000_000_000;

#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) signal: SignalId,
    pub(crate) time: i64,
    pub(crate) value: Value,
    pub(crate) quality: Quality,
    pub(crate) received: Option<i64>,
    pub(crate) source: SourceId,
}

#[derive(Default)]
struct State {
    signals: Vec<Arc<Signal>>,
    samples: Arc<Vec<Stored>>,
    records: BTreeMap<&'static str, RecordBatch>,
}

/// Registry, store and log in one.
#[derive(Default)]
pub(crate) struct Plant {
    state: Mutex<State>,
    pub(crate) durable: AtomicU64,
    pub(crate) applied: AtomicU64,
    /// How many rows a scan gives at once; 0 for as many as are asked for.
    pub(crate) batch_rows: AtomicU64,
    /// The scan gives its first batch again and again.
    pub(crate) endless: AtomicBool,
    /// The scan panics.
    pub(crate) panics: AtomicBool,
    pub(crate) scanned_rows: Arc<AtomicU64>,
    pub(crate) scanning: Arc<AtomicU64>,
}

impl Plant {
    pub(crate) fn signal_with(&self, path: &str, edit: impl FnOnce(&mut Signal)) -> SignalId {
        let mut state = self.state.lock().unwrap();
        let id = SignalId::new(state.signals.len() as u32 + 1).unwrap();
        let mut signal = Signal {
            id,
            path: SignalPath::new(path).unwrap(),
            aliases: Vec::new(),
            meta: Meta::default(),
            creator: "token:test".into(),
            created: T0,
            retired: false,
        };
        edit(&mut signal);
        state.signals.push(Arc::new(signal));
        id
    }

    pub(crate) fn id(&self, path: &str) -> SignalId {
        let known = self.state.lock().unwrap().signals.iter().find(|s| s.path.as_str() == path).map(|s| s.id);
        known.unwrap_or_else(|| self.signal_with(path, |_| {}))
    }

    pub(crate) fn put(&self, path: &str, time: i64, value: Value) {
        self.put_with(path, time, value, Quality::GOOD, None);
    }

    pub(crate) fn put_with(
        &self,
        path: &str,
        time: i64,
        value: Value,
        quality: Quality,
        received: Option<i64>,
    ) {
        let signal = self.id(path);
        let mut state = self.state.lock().unwrap();
        let stored = Stored { signal, time, value, quality, received, source: SourceId(1) };
        Arc::make_mut(&mut state.samples).push(stored);
    }

    pub(crate) fn put_all(&self, stored: impl IntoIterator<Item = Stored>) {
        let mut state = self.state.lock().unwrap();
        Arc::make_mut(&mut state.samples).extend(stored);
    }

    pub(crate) fn records(&self, table: &'static str, batch: RecordBatch) {
        self.state.lock().unwrap().records.insert(table, batch);
    }

    pub(crate) fn samples(&self) -> Arc<Vec<Stored>> {
        self.state.lock().unwrap().samples.clone()
    }

    pub(crate) fn signals(&self) -> Vec<Arc<Signal>> {
        self.state.lock().unwrap().signals.clone()
    }
}

impl SampleSource for Plant {
    fn view(&self) -> Arc<dyn View> {
        let state = self.state.lock().unwrap();
        let mut order: Vec<(SignalPath, SignalId)> =
            state.signals.iter().filter(|s| !s.retired).map(|s| (s.path.clone(), s.id)).collect();
        order.sort();
        Arc::new(Snapshot {
            samples: state.samples.clone(),
            order: order.into_iter().map(|(_, id)| id).collect(),
            records: state.records.clone(),
            batch_rows: self.batch_rows.load(Ordering::Relaxed) as usize,
            endless: self.endless.load(Ordering::Relaxed),
            panics: self.panics.load(Ordering::Relaxed),
            scanned_rows: self.scanned_rows.clone(),
            scanning: self.scanning.clone(),
        })
    }

    fn applied(&self) -> Seq {
        Seq(self.applied.load(Ordering::SeqCst))
    }

    fn wait_applied(&self, seq: Seq, _: Duration) -> bool {
        self.applied() >= seq
    }
}

struct Snapshot {
    samples: Arc<Vec<Stored>>,
    order: Vec<SignalId>,
    records: BTreeMap<&'static str, RecordBatch>,
    batch_rows: usize,
    endless: bool,
    panics: bool,
    scanned_rows: Arc<AtomicU64>,
    scanning: Arc<AtomicU64>,
}

/// What a scan says that it holds.
pub(crate) const SCAN_BYTES: usize = 1 << 16;

/// Counts scans that are open.
struct Open(Arc<AtomicU64>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl View for Snapshot {
    fn kept_bytes(&self) -> usize {
        0
    }

    fn scan(&self, spec: &ScanSpec, partitions: usize) -> Vec<Scan> {
        assert!(!self.panics, "the store was told to panic");
        if spec.account.as_ref().is_some_and(|account| !account.grow(SCAN_BYTES)) {
            return vec![Box::new(std::iter::once(Err(tidemill_lake::Error::Memory)))];
        }
        let wanted: Vec<SignalId> =
            spec.signals.as_ref().map_or_else(|| self.order.clone(), |ids| ids.to_vec());
        let batch_rows = if self.batch_rows == 0 { spec.batch_rows } else { self.batch_rows };
        let parts = wanted.chunks(wanted.len().div_ceil(partitions).max(1));
        let scan = |ids: &[SignalId]| -> Scan {
            self.scanning.fetch_add(1, Ordering::SeqCst);
            let open = Open(self.scanning.clone());
            let mut rows = Vec::new();
            for id in ids {
                let mine = self
                    .samples
                    .iter()
                    .filter(|s| s.signal == *id && (spec.from..=spec.last).contains(&s.time));
                let start = rows.len();
                rows.extend(mine.cloned());
                rows[start..].sort_by_key(|stored: &Stored| stored.time);
            }
            let columns = spec.columns;
            let batches: Vec<ScanBatch> = rows.chunks(batch_rows).map(|rows| batch(rows, columns)).collect();
            let scanned = self.scanned_rows.clone();
            let count = move |batch: ScanBatch| {
                let _open = &open;
                scanned.fetch_add(batch.samples.len() as u64, Ordering::SeqCst);
                Ok(batch)
            };
            match self.endless {
                true => Box::new(batches.into_iter().cycle().map(count)),
                false => Box::new(batches.into_iter().map(count)),
            }
        };
        parts.map(scan).collect()
    }

    fn scan_table(&self, table: &'static TableSpec, _: i64, _: i64) -> TableScan {
        Box::new(self.records.get(table.name).cloned().into_iter().map(Ok))
    }

    fn files(&self) -> Vec<FileFact> {
        vec![FileFact {
            name: "2026-01-01.parquet".into(),
            bytes: 4096,
            rows: 7,
            from: T0,
            last: T0 + SECOND,
            level: "day",
        }]
    }
}

/// Columns that were not asked for stay empty, as the store may leave them.
fn batch(rows: &[Stored], columns: tidemill_lake::Columns) -> ScanBatch {
    let mut builder = BatchBuilder::new(SourceId::default(), Flags::default());
    for stored in rows {
        builder.push(stored.signal, Stamp::At(stored.time), stored.value.as_ref(), stored.quality).unwrap();
    }
    let mut samples = builder.finish(0, Flags::default());
    if !columns.time {
        samples.time.clear();
    }
    if !columns.value {
        samples.bits.clear();
        samples.kind = Column::Same(Kind::None);
        samples.heap = Bytes::new();
    }
    if !columns.quality {
        samples.quality = Column::Same(Quality::GOOD);
    }
    ScanBatch {
        samples,
        received: Column::Each(rows.iter().map(|stored| stored.received).collect()),
        source: Column::Each(rows.iter().map(|stored| stored.source).collect()),
    }
}

impl stub::BusStub for Plant {
    fn bind(&self, _: &Identity, verb: Verb, path: &SignalPath, _: &Meta) -> Result<Grant, Problem> {
        Ok(Grant { id: self.id(path.as_str()), verb, epoch: 1, number: NumberKind::Float })
    }
    fn resolve(&self, _: &Identity, path: &SignalPath, _: usize) -> Result<Option<Grant>, Problem> {
        let known = self.signals().into_iter().find(|signal| signal.path == *path);
        let number = NumberKind::Float;
        Ok(known.map(|signal| Grant { id: signal.id, verb: Verb::Write, epoch: 1, number }))
    }
    fn publish(&self, publish: Publish) -> Result<Commit, Problem> {
        let mut samples = publish.samples.unwrap();
        let ids: Vec<SignalId> = publish.names.iter().map(|name| self.id(name.path.as_str())).collect();
        assert!(samples.settle(&ids), "every new name is brought");
        let batch = samples.finish(T0, Flags::default());
        let stored: Vec<Stored> = batch
            .rows()
            .map(|row| Stored {
                signal: row.signal,
                time: row.time,
                value: row.value.to_value(),
                quality: row.quality,
                received: None,
                source: SourceId(1),
            })
            .collect();
        self.put_all(stored);
        Ok(Commit::ready(Seq(0)))
    }
    fn last(&self, scope: &ReadScope, ids: &[SignalId], out: &mut Vec<LastValue>) {
        let state = self.state.lock().unwrap();
        for id in ids {
            let signal = state.signals.iter().find(|signal| signal.id == *id).unwrap();
            let last = state.samples.iter().filter(|s| s.signal == *id).max_by_key(|s| s.time);
            if let (true, Some(last)) = (scope.allows(&signal.path), last) {
                out.push(LastValue {
                    id: *id,
                    time: last.time,
                    value: last.value.clone(),
                    quality: last.quality,
                    received: last.received.unwrap_or(last.time),
                    source: last.source,
                    ahead: false,
                });
            }
        }
    }
    fn describe(&self, scope: &ReadScope, pattern: &Pattern) -> Vec<Arc<Signal>> {
        let mut found = self.signals();
        found.retain(|s| !s.retired && scope.allows(&s.path) && pattern.matches(&s.path));
        found.sort_by(|one, other| one.path.cmp(&other.path));
        found
    }
    fn signal(&self, id: SignalId) -> Option<Arc<Signal>> {
        self.signals().into_iter().find(|s| s.id == id)
    }
    fn find(&self, path: &SignalPath) -> Option<Arc<Signal>> {
        self.signals().into_iter().find(|s| s.path == *path || s.aliases.contains(path))
    }
}

impl stub::JournalStub for Plant {
    fn append(&self, _: Arc<Parcel>, _: Durability) -> Result<Commit, Busy> {
        Ok(Commit::ready(Seq(0)))
    }
    fn durable(&self) -> Seq {
        Seq(self.durable.load(Ordering::SeqCst))
    }
}

pub(crate) const BUDGET: Budget =
    Budget { time: Duration::from_secs(60), memory_bytes: 64 << 20, rows: 1_000_000 };

pub(crate) fn settings() -> Settings {
    Settings {
        concurrent: 4,
        waiting_max: 16,
        idle_time_max: Duration::from_secs(60),
        memory_bytes: 256 << 20,
        partitions: 2,
        slow: None,
        clock: Arc::new(SimClock::new(T0 + 3600 * SECOND)),
        metrics: Metrics::new(),
    }
}

pub(crate) fn engine_with(plant: &Arc<Plant>, settings: Settings) -> Engine {
    Engine::new(plant.clone(), plant.clone(), plant.clone(), settings).unwrap()
}

pub(crate) fn engine(plant: &Arc<Plant>) -> Engine {
    engine_with(plant, settings())
}

/// Waits on this thread.
pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

pub(crate) async fn collect(mut chunks: Box<dyn Chunks>) -> Result<Vec<u8>, Problem> {
    let mut all = Vec::new();
    while let Some(chunk) = chunks.next().await {
        all.extend_from_slice(&chunk?);
    }
    Ok(all)
}

pub(crate) fn sql_bytes(
    engine: &Engine,
    scope: &ReadScope,
    text: &str,
    parameters: Vec<Value>,
    format: Format,
) -> Result<Vec<u8>, Problem> {
    let query = SqlQuery { text: text.into(), parameters };
    wait(async { collect(engine.sql(scope, query, format, BUDGET).await?).await })
}

/// The answer as CSV, or the problem as a user would see it.
pub(crate) fn ask(engine: &Engine, scope: &ReadScope, text: &str) -> String {
    match sql_bytes(engine, scope, text, Vec::new(), Format::Csv) {
        Ok(bytes) => String::from_utf8(bytes).unwrap(),
        Err(problem) => problem.to_string(),
    }
}

/// Samples as they are exported.
pub(crate) fn export(engine: &Engine, query: ReadQuery, format: Format) -> Bytes {
    let everything = ReadScope::everything();
    wait(async { collect(engine.export(&everything, query, format, BUDGET).await?).await }).unwrap().into()
}

/// The same, read back: name, time, value, kind and quality of each.
pub(crate) fn exported(engine: &Engine, query: ReadQuery, format: Format) -> Vec<String> {
    #[derive(Default)]
    struct Lines(Vec<String>);
    impl SampleSink for Lines {
        fn sample(&mut self, sample: &ColumnSample<'_>) -> Result<(), (&'static str, Problem)> {
            let value = match sample.value {
                ValueRef::None => String::new(),
                ValueRef::Float(value) => format!("{value:?}"),
                ValueRef::Text(text) | ValueRef::Json(text) => text.to_owned(),
                value => value.to_string(),
            };
            let (time, kind) = (rfc3339(sample.time.unwrap()), sample.value.kind().name());
            self.0.push(format!("{},{time},{value},{kind},{}", sample.signal, sample.quality.name()));
            Ok(())
        }
    }
    let mut lines = Lines::default();
    crate::query::decode(format, export(engine, query, format), &mut lines).unwrap();
    lines.0
}
