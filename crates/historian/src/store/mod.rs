//! The storage half: from the journal through the buffer to files, and consistent scans of all of it.
//!
//! What lives here: one file an idea, as listed below. What does not: answers to questions (`query`), names and rights
//! (the bus).
//!
//! Invariants
//! - The commit of a flush carries the place in the journal up to which it is complete: after a crash the rest is
//!   applied again, and nothing twice.
//! - A view is one version of the files and the buffers above it, taken in one moment.
//! - Files are synced before the commit that names them, the commit before the journal lets go.

mod amend; //      deleting a stretch of time
mod bits; //       numbers packed to their spread
mod buffer; //     what is in memory
mod chunk; //      sealed pieces of it
mod columns; //    rows to columns of files and back
mod commit; //     a change becomes part of the table
mod decimal; //    floats that are decimals
mod delta; //      the table's log
mod directory; //  where each signal is in a file
mod files; //      files as one version
mod flush; //      from the buffer to files
mod frozen; //     what grows, and what is being flushed
mod merge; //      fewer and larger files
mod merge_rows; // rows of one signal from several places
mod meters; //     what is counted
mod read; //       files, checked and pruned
mod rows; //       rows of one signal
mod run; //        the threads
mod schema; //     what stands in a file
mod settings; //   what can be set
mod sink; //       where bytes of a file go
mod tables; //     tables that engines declare
mod vacuum; //     what nobody needs any more
mod view; //       one consistent state
mod write; //      one file

#[cfg(test)]
mod foreign_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidemill_core::{
    Bus, CursorId, Hold, HoldAction, Journal, Parcel, Seq, SignalId, SourceId, StreamId, TableSpec,
};
use tidemill_ground::{Clock, Disk, Entropy, Ground, TokenBucket, create_dirs};

use crate::Error;
use crate::scan::{FileFact, SampleSource, Scan, ScanSpec, TableScan, View};
use buffer::Fill;
pub(crate) use commit::CORRECTIONS;
use delta::{Add, Log, MetaData};
use files::{FileEntry, Version, Window};
use frozen::{Active, Frozen, Records};
use meters::Meters;
use read::Files;
pub use settings::Settings;
use tables::{Table, TableRow, TableVersion, row_of};
use view::{BufferView, Deletion, Samples};
use write::Place;

/// The historian's place in the journal.
pub(crate) const CURSOR: CursorId = CursorId("historian");
/// The journal may hold so many times what makes a flush due, before it refuses more.
const JOURNAL_HELD: u64 = 4;
/// A file that could not be read so often is taken for damaged: one bad sector must not stop all flushes.
const UNREADABLE_MAX: u32 = 20;
/// Records of tables that nobody has declared are kept for so many; beyond it they are counted and dropped.
const UNDECLARED_RECORDS_MAX: usize = 10_000;

/// What has been applied, and where it is.
pub(crate) struct State {
    pub(crate) version: Arc<Version>,
    active: Active,
    pub(crate) frozen: Option<Arc<Frozen>>,
    pub(crate) applied: Seq,
    /// Parcels up to here are in the files of samples.
    flushed: Seq,
    tables: BTreeMap<StreamId, (Arc<Table>, TableVersion)>,
    /// Files that left the table and may still be read by a view.
    leaving: Vec<Arc<FileEntry>>,
    /// When the first row came into `active`.
    active_since: Option<Duration>,
    /// Flushes that were asked for, and those that are done.
    asked: u64,
    done: u64,
    /// Why the last flush failed, if it did.
    failure: Option<String>,
    failures: u64,
    /// The journal will not be followed any further: what is there is to be flushed, then the store is done.
    followed: bool,
}

/// Samples and tables on disk and in memory.
pub(crate) struct Store {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    bus: Arc<dyn Bus>,
    journal: Arc<dyn Journal>,
    settings: Settings,
    place: Place,
    files: Arc<Files>,
    lake: std::path::PathBuf,
    log: Mutex<Log>,
    corrections: Arc<Table>,
    state: Mutex<State>,
    changed: Condvar,
    /// Files in which damage was found, and how often others could not be read: left out of merges and of what late samples are compared with.
    damaged: Mutex<BTreeMap<String, u32>>,
    /// Files of the record of corrections whose commit failed after that of the samples: the next commit brings them.
    unrecorded: Mutex<Vec<Add>>,
    /// One flush at a time; and merges give way to a flush that rewrites.
    flushing: Mutex<()>,
    pub(crate) meters: Meters,
}

impl Store {
    /// Opens the lake in a folder, or begins it. Nothing is applied yet.
    pub(crate) fn open(
        ground: &Ground,
        dir: &Path,
        journal: Arc<dyn Journal>,
        bus: Arc<dyn Bus>,
        settings: Settings,
    ) -> Result<Arc<Store>, Error> {
        let disk = ground.disk.clone();
        let samples_dir = dir.join("samples");
        let meta = || meta_data("samples", schema::delta(&schema::samples()), BTreeMap::new(), ground);
        let log = Log::open(disk.clone(), &samples_dir, "samples", meta)?;
        check_format(&log, "samples")?;
        // Before anything is tidied: files that a damaged log does not name are what it is mended with.
        check_journal(&*journal, Seq(log.state.applied))?;
        let version = Version::of(&log.state).map_err(|file| Error::Log {
            file: "samples".into(),
            detail: format!("{file} was not added by Tidemill"),
        })?;
        let corrections = open_table(ground, dir, CORRECTIONS)?;
        finish_corrections(&log, &corrections, ground.clock.wall())?;
        vacuum::remove_orphans(&*disk, &samples_dir, &log)?;
        corrections.remove_orphans()?;

        let names = bus.clone();
        let place = Place {
            disk: disk.clone(),
            dir: samples_dir.clone(),
            name: "samples",
            source: Arc::new(move |source: SourceId| names.source(source)),
            pace: pace(ground, settings.write_bytes_per_s),
            open_values: settings.values_open,
        };
        let meters = Meters::new(&ground.metrics);
        let files = Arc::new(Files::new(
            disk.clone(),
            samples_dir,
            "samples",
            settings.footers_bytes as usize,
            &ground.metrics,
        ));
        // What is not in files is in the journal only: it may not go before, whatever is refused meanwhile.
        let bytes_max = settings.journal_bytes.saturating_mul(JOURNAL_HELD);
        journal.hold(CURSOR, Hold { bytes_max, age_max: Duration::MAX, beyond: HoldAction::Refuse });
        let flushed = Seq(log.state.applied);
        // A flush that brought nothing new made no commit, but the journal's cursor went on.
        let done = journal.cursor(CURSOR).map_or(flushed, |(seq, _)| seq.max(flushed));
        let state = State {
            version: Arc::new(version),
            active: Active::new(settings.open_bytes()),
            frozen: None,
            applied: done,
            flushed,
            tables: BTreeMap::from([(StreamId::CORRECTIONS, (corrections.clone(), corrections.version()))]),
            leaving: Vec::new(),
            active_since: None,
            asked: 0,
            done: 0,
            failure: None,
            failures: 0,
            followed: false,
        };
        let store = Arc::new(Store {
            disk,
            clock: ground.clock.clone(),
            entropy: ground.entropy.clone(),
            bus,
            journal,
            settings,
            place,
            files,
            lake: dir.into(),
            log: Mutex::new(log),
            corrections,
            state: Mutex::new(state),
            changed: Condvar::new(),
            damaged: Mutex::default(),
            unrecorded: Mutex::default(),
            flushing: Mutex::new(()),
            meters,
        });
        Meters::watch(&ground.metrics, &store);
        Ok(store)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is one assignment after the work that can fail.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Declares a table; records that came before it are its rows too.
    pub(crate) fn declare(&self, ground: &Ground, spec: &'static TableSpec) -> Result<(), Error> {
        let Some(stream) = spec.stream else { return Ok(()) };
        if self.lock().tables.contains_key(&stream) {
            return Ok(());
        }
        let table = open_table(ground, &self.lake, spec)?;
        table.remove_orphans()?;
        let version = table.version();
        self.lock().tables.entry(stream).or_insert((table, version));
        Ok(())
    }

    /// Adds a committed parcel; `seq` must be above all before it.
    pub(crate) fn apply(&self, seq: Seq, parcel: &Parcel) {
        let deletion = self.deletion_of(parcel);
        let mut state = self.lock();
        if deletion.is_some() {
            // Under one guard with the freeze below: a flush that froze in between would be overwritten.
            let frozen = |state: &mut State| state.frozen.is_some();
            state = self.changed.wait_while(state, frozen).unwrap_or_else(PoisonError::into_inner);
        }
        if seq > state.flushed {
            if let Some(batch) = parcel.samples.as_ref().filter(|batch| !batch.is_empty()) {
                let dropped = state.active.buffer.apply(batch);
                self.meters.applied.add(batch.len() as u64);
                self.meters.impossible.add(dropped);
            }
            if let Some(deletion) = deletion {
                state.applied = seq;
                self.freeze(&mut state, vec![deletion]);
            }
        }
        for record in parcel
            .records
            .iter()
            .filter(|record| !matches!(record.stream, StreamId::REGISTRY | StreamId::CORRECTIONS))
        {
            let done = state.tables.get(&record.stream).is_some_and(|(_, version)| seq <= version.applied);
            if !done {
                state.active.add_record(record.stream, seq, record.value.clone());
            }
        }
        state.active.journal_bytes += parcel.bytes() as u64;
        if state.active_since.is_none() && !state.active.is_empty() {
            state.active_since = Some(self.clock.monotonic());
        }
        state.applied = state.applied.max(seq);
        drop(state);
        self.changed.notify_all();
    }

    /// Begins a new buffer; the old one is to be flushed.
    fn freeze(&self, state: &mut State, deletions: Vec<Deletion>) {
        assert!(state.frozen.is_none(), "what is frozen is flushed before more is");
        let active = std::mem::replace(&mut state.active, Active::new(self.settings.open_bytes()));
        state.active_since = None;
        state.frozen = Some(Arc::new(Frozen {
            buffer: active.buffer,
            records: active.records,
            deletions: Arc::new(deletions),
            upto: state.applied,
            covers: state.asked,
        }));
    }

    /// Whether a flush is due: full, old, asked for, or much of the journal waits for it.
    fn flush_due(&self, state: &State) -> bool {
        let full = state.active.buffer.fill().bytes as u64 >= self.settings.buffer_bytes / 2;
        let old = state
            .active_since
            .is_some_and(|since| self.clock.monotonic().saturating_sub(since) >= self.settings.flush_after);
        full || old || state.asked > state.done || state.active.journal_bytes >= self.settings.journal_bytes
    }

    /// Flushes what is frozen, or what is due. Says whether there was anything to do.
    ///
    /// # Errors
    /// What was frozen stays, and is flushed at the next call.
    pub(crate) fn flush_step(&self) -> Result<bool, Error> {
        let _one = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        let frozen = {
            let mut state = self.lock();
            if state.frozen.is_none() && self.flush_due(&state) {
                self.freeze(&mut state, Vec::new());
            }
            state.frozen.clone()
        };
        let Some(frozen) = frozen else { return Ok(false) };
        // Who kills a plant from outside sees by these events what it hit.
        tracing::debug!(event = "flush.began");
        let outcome = self.flush_frozen(&frozen);
        tracing::debug!(event = "flush.ended", good = outcome.is_ok());
        let mut state = self.lock();
        match &outcome {
            Ok(()) => {
                state.done = state.done.max(frozen.covers);
                state.failure = None;
            }
            Err(error) => {
                state.failure = Some(error.to_string());
                state.failures += 1;
                self.meters.flush_failures.add(1);
            }
        }
        drop(state);
        self.changed.notify_all();
        outcome.map(|()| true)
    }

    fn flush_frozen(&self, frozen: &Arc<Frozen>) -> Result<(), Error> {
        let started = self.clock.monotonic();
        let mut held_back = None;
        for (stream, records) in &frozen.records {
            let table = self.lock().tables.get(stream).cloned();
            let Some((table, version)) = table else {
                held_back = held_back.or(records.first().map(|(seq, _)| *seq));
                self.carry(*stream, records);
                continue;
            };
            let rows: Vec<TableRow> = records
                .iter()
                .filter(|(seq, _)| *seq > version.applied)
                .map(|(_, value)| row_of(table.spec, value))
                .collect();
            if !rows.is_empty() {
                let files = table.write(&rows, &|| self.table_file_name(), self.clock.wall())?;
                self.commit_table(&table, files, Some(frozen.upto))?;
            }
        }
        loop {
            let version = self.lock().version.clone();
            let mut change = commit::Change::default();
            if let Err(error) = self.write_flush(frozen, &version, &mut change) {
                self.discard(&change);
                return Err(error);
            }
            let operation = if frozen.deletions.is_empty() { "WRITE" } else { "DELETE" };
            let done = self.commit(change, Some(frozen.upto), operation, |state| {
                state.frozen = None;
                state.flushed = state.flushed.max(frozen.upto);
            });
            match done {
                Err(Error::Conflict) => {}
                other => break other?,
            }
        }
        let upto = held_back.map_or(frozen.upto, |seq| Seq(seq.0.saturating_sub(1)).min(frozen.upto));
        // The journal lets go of what is in files. Its outcome is not awaited: if it is lost, more is applied again
        // after a restart, and skipped.
        drop(self.journal.advance(CURSOR, upto, bytes::Bytes::new()));
        self.meters.flushed(self.clock.monotonic().saturating_sub(started));
        Ok(())
    }

    /// Records of a stream that nobody has declared go on to the next flush.
    fn carry(&self, stream: StreamId, records: &Arc<Vec<(Seq, bytes::Bytes)>>) {
        let mut state = self.lock();
        let now = state.active.records.entry(stream).or_default();
        let mut all = records.as_ref().clone();
        all.extend(now.iter().cloned());
        if all.len() > UNDECLARED_RECORDS_MAX {
            self.meters.undeclared.add((all.len() - UNDECLARED_RECORDS_MAX) as u64);
            all.drain(..all.len() - UNDECLARED_RECORDS_MAX);
        }
        *now = Arc::new(all);
    }

    fn commit_table(&self, table: &Arc<Table>, files: Vec<Add>, upto: Option<Seq>) -> Result<(), Error> {
        table.commit(files, upto, self.clock.wall())?;
        if let Some(stream) = table.spec.stream {
            self.lock().tables.insert(stream, (table.clone(), table.version()));
        }
        Ok(())
    }

    /// Asks for a flush of everything applied so far and waits until it is done.
    pub(crate) fn flush_now(&self) -> Result<(), Error> {
        let (asked, failures) = {
            let mut state = self.lock();
            state.asked += 1;
            (state.asked, state.failures)
        };
        self.changed.notify_all();
        let state = self.lock();
        let waits = |state: &mut State| state.done < asked && state.failures == failures;
        let state = self.changed.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
        match &state.failure {
            Some(failure) if state.done < asked => Err(Error::Told(tidemill_core::Problem::new(
                &tidemill_core::codes::NOT_DURABLE,
                format!("the flush failed: {failure}"),
            ))),
            _ => Ok(()),
        }
    }

    /// How full the buffers are, for back pressure and metrics.
    pub(crate) fn fill(&self) -> Fill {
        let state = self.lock();
        let (active, frozen) =
            (state.active.buffer.fill(), state.frozen.as_ref().map(|frozen| frozen.buffer.fill()));
        let frozen = frozen.unwrap_or_default();
        Fill { rows: active.rows + frozen.rows, bytes: active.bytes + frozen.bytes }
    }

    /// Notes a file in which damage was found, or that cannot be read for long. Says whether that is new: then the work
    /// is done again without it.
    fn note_damage(&self, error: &Error) -> bool {
        let (name, unreadable) = match error {
            Error::Damaged { file, .. } => (file.rsplit('/').next().map(str::to_owned), false),
            Error::Disk { what: "read" | "opened", path, .. } => {
                (path.file_name().map(|name| name.to_string_lossy().into_owned()), true)
            }
            _ => (None, false),
        };
        let Some(name) = name else { return false };
        let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = damaged.entry(name).or_default();
        if *failures >= UNREADABLE_MAX {
            return false;
        }
        *failures = if unreadable { *failures + 1 } else { UNREADABLE_MAX };
        let new = *failures == UNREADABLE_MAX;
        if new {
            tracing::error!(%error, "a damaged file stays as it is; what is new goes into files of its own");
        }
        new
    }

    fn is_damaged(&self, file: &FileEntry) -> bool {
        let damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        damaged.get(file.name()).is_some_and(|failures| *failures >= UNREADABLE_MAX)
    }

    /// The path under which a signal's rows are written; none where the signal is retired, and its rows go.
    fn path_of(&self, signal: SignalId) -> Option<Arc<str>> {
        match self.bus.signal(signal) {
            Some(signal) if signal.retired => None,
            Some(signal) => Some(signal.path.shared().clone()),
            // Acknowledged is acknowledged, whatever became of the name.
            None => Some(format!("tidemill/unknown/{}", signal.get()).into()),
        }
    }

    fn file_name(&self, window: Window) -> String {
        format!(
            "{}-{}d-{:016x}.parquet",
            files::day_name(window.first_day),
            window.days,
            self.entropy.number()
        )
    }

    fn table_file_name(&self) -> String {
        let day = self.clock.wall().div_euclid(files::DAY_NS);
        format!("{}-{:016x}.parquet", files::day_name(day), self.entropy.number())
    }

    /// The order of the next flush: above that of all files before it.
    fn next_order(&self, version: &Version) -> u64 {
        version.files.iter().map(|file| file.order).max().unwrap_or(0) + 1
    }

    fn samples_view(&self) -> (Arc<Samples>, BTreeMap<StreamId, TableView>) {
        let state = self.lock();
        let mut buffers = Vec::new();
        let mut deletions = Arc::default();
        if let Some(frozen) = &state.frozen {
            buffers.push(BufferView { watch: frozen.buffer.watch(), deletions: true });
            deletions = frozen.deletions.clone();
        }
        buffers.push(BufferView { watch: state.active.buffer.watch(), deletions: false });
        let records = |records: &Records, stream| records.get(stream).cloned();
        let tables = state.tables.iter().map(|(stream, (table, version))| {
            let frozen = state.frozen.as_ref().and_then(|frozen| records(&frozen.records, stream));
            let buffered = frozen.into_iter().chain(records(&state.active.records, stream)).collect();
            (*stream, TableView { table: table.clone(), version: version.clone(), buffered })
        });
        let tables = tables.collect();
        let samples = Samples {
            version: state.version.clone(),
            buffers,
            deletions,
            files: self.files.clone(),
            bus: self.bus.clone(),
        };
        (Arc::new(samples), tables)
    }
}

/// A table in a view.
struct TableView {
    table: Arc<Table>,
    version: TableVersion,
    buffered: Vec<Arc<Vec<(Seq, bytes::Bytes)>>>,
}

struct StoreView {
    samples: Arc<Samples>,
    tables: BTreeMap<StreamId, TableView>,
}

impl View for StoreView {
    fn scan(&self, spec: &ScanSpec, partitions: usize) -> Vec<Scan> {
        self.samples.scan(spec, partitions)
    }

    fn scan_table(&self, spec: &'static TableSpec, from: i64, last: i64) -> TableScan {
        let Some(view) = spec.stream.and_then(|stream| self.tables.get(&stream)) else {
            return Box::new(std::iter::empty());
        };
        let records = view.buffered.iter().flat_map(|records| records.iter());
        let above = records.filter(|(seq, _)| *seq > view.version.applied);
        let rows = above.map(|(_, value)| row_of(view.table.spec, value)).collect();
        view.table.scan(&view.version, rows, from, last)
    }

    fn files(&self) -> Vec<FileFact> {
        self.samples.version.files.iter().map(|file| file.fact()).collect()
    }
}

impl SampleSource for Store {
    fn view(&self) -> Arc<dyn View> {
        let (samples, tables) = self.samples_view();
        Arc::new(StoreView { samples, tables })
    }

    fn applied(&self) -> Seq {
        self.lock().applied
    }

    fn wait_applied(&self, seq: Seq, deadline: Duration) -> bool {
        let state = self.lock();
        let waited = self.changed.wait_timeout_while(state, deadline, |state| state.applied < seq);
        waited.unwrap_or_else(PoisonError::into_inner).0.applied >= seq
    }
}

fn meta_data(
    name: &str,
    schema_string: String,
    mut configuration: BTreeMap<String, String>,
    ground: &Ground,
) -> MetaData {
    configuration.insert(schema::FORMAT_KEY.into(), schema::FORMAT.to_string());
    let (high, low) = (ground.entropy.number(), ground.entropy.number());
    // A random UUID (RFC 9562, version 4).
    let id = format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xFFFF,
        high & 0xFFF,
        (low >> 48) & 0x3FFF | 0x8000,
        low & 0xFFFF_FFFF_FFFF
    );
    MetaData {
        id,
        name: Some(name.into()),
        format: delta::Format { provider: "parquet".into(), options: BTreeMap::new() },
        schema_string,
        partition_columns: Vec::new(),
        configuration,
        created_time: Some(delta::timestamp_ms(ground.clock.wall())),
    }
}

/// Journal and table log must know of each other: what one of them has lost would be lost in silence.
fn check_journal(journal: &dyn Journal, flushed: Seq) -> Result<(), Error> {
    let cursor = journal.cursor(CURSOR).map_or(Seq(0), |(seq, _)| seq);
    let detail = if cursor > flushed {
        format!(
            "it holds samples up to {} and the journal let go of all up to {}: entries at its end are missing",
            flushed.0, cursor.0
        )
    } else if journal.durable() < flushed {
        format!(
            "it holds samples up to {} and the journal ends at {}: data/journal is missing or was put back from an older day",
            flushed.0,
            journal.durable().0
        )
    } else {
        return Ok(());
    };
    Err(Error::Log { file: "samples".into(), detail })
}

/// Refuses a table of a later format.
fn check_format(log: &Log, file: &str) -> Result<(), Error> {
    let format = log.state.meta.as_ref().and_then(|meta| meta.configuration.get(schema::FORMAT_KEY));
    match format.and_then(|format| format.parse().ok()) {
        Some(found) if found > schema::FORMAT => {
            Err(Error::NewerFormat { file: format!("the table {file}"), found, known: schema::FORMAT })
        }
        _ => Ok(()),
    }
}

fn open_table(ground: &Ground, lake: &Path, spec: &'static TableSpec) -> Result<Arc<Table>, Error> {
    let dir = lake.join("tables").join(spec.name);
    let name = format!("tables/{}", spec.name);
    create_dirs(&*ground.disk, &dir).map_err(|source| Error::Disk {
        what: "made",
        path: dir.clone(),
        source,
    })?;
    let stream = spec.stream.map_or(0, |stream| stream.0).to_string();
    let configuration = BTreeMap::from([("tidemill.stream".to_owned(), stream)]);
    let schema = schema::delta(&tables::file_schema(spec));
    let log =
        Log::open(ground.disk.clone(), &dir, &name, || meta_data(spec.name, schema, configuration, ground))?;
    check_format(&log, &name)?;
    Ok(Arc::new(Table::new(spec, ground.disk.clone(), dir, log)))
}

/// Commits the corrections that the last commit of samples names, if a crash came between the two.
fn finish_corrections(log: &Log, corrections: &Table, wall: i64) -> Result<(), Error> {
    let Some(json) = &log.state.corrections else { return Ok(()) };
    let files: Vec<Add> = serde_json::from_str(json)
        .map_err(|error| Error::Log { file: "samples".into(), detail: error.to_string() })?;
    let missing: Vec<Add> = files.into_iter().filter(|file| !corrections.knows(&file.path)).collect();
    if missing.is_empty() { Ok(()) } else { corrections.commit(missing, None, wall) }
}

/// Waits before each sync of a big write, so that all together stay below the rate.
fn pace(ground: &Ground, bytes_per_s: u64) -> Arc<dyn Fn(u64) + Send + Sync> {
    let bucket = TokenBucket::new(ground.clock.clone(), bytes_per_s, bytes_per_s.max(8 << 20));
    let stop = ground.tasks.stop(tidemill_ground::Phase::Engines);
    Arc::new(move |bytes| {
        stop.wait(bucket.take(bytes));
    })
}
