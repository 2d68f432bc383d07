//! Opens the lake: reads the table's log, finishes what a crash left half done, tidies, and opens or begins the tables that
//! engines declare. What does not live here: what happens once it is open.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tidemill_core::{Bus, Hold, HoldAction, Journal, Seq, SourceId, StreamId, TableSpec};
use tidemill_ground::{Disk, Ground, TokenBucket, create_dirs};

use super::commit::CORRECTIONS;
use super::delta::{self, Add, Log, MetaData, TableState};
use super::files::Version;
use super::frozen::Active;
use super::meters::Meters;
use super::read::Files;
use super::tables::{self, Table};
use super::write::Place;
use super::{CURSOR, Settings, State, Store, schema, vacuum};
use crate::Error;

impl Store {
    /// Opens the lake in a folder, or begins it. Nothing is applied yet.
    ///
    /// # Errors
    /// A log that cannot be read, a format that is newer, a disk that refuses: nothing was changed.
    pub fn open(
        ground: &Ground,
        dir: &Path,
        journal: Arc<dyn Journal>,
        bus: Arc<dyn Bus>,
        settings: Settings,
    ) -> Result<Arc<Store>, Error> {
        let (disk, samples_dir) = (ground.disk.clone(), dir.join("samples"));
        let Found { log, version, corrections, unrecorded } = recover(ground, dir, &samples_dir, &*journal)?;
        let meters = Meters::new(&ground.metrics);
        let files = Arc::new(Files::new(
            disk.clone(),
            samples_dir.clone(),
            "samples",
            settings.footers_bytes as usize,
            &ground.metrics,
        ));
        let (names, kept, damaged) = (bus.clone(), files.clone(), files.damaged());
        damaged.keep_in(&disk, dir);
        let source = move |id: SourceId| {
            Some(names.source(id)).filter(|name| !name.is_empty()).unwrap_or_else(|| kept.source(id))
        };
        let place = Place {
            disk: disk.clone(),
            dir: samples_dir,
            name: "samples",
            source: Arc::new(source),
            pace: pace(ground, settings.write_bytes_per_s),
            open_values: settings.values_open,
        };
        // What is not in files is in the journal only: it may not go before, whatever is refused meanwhile.
        let bytes_max = settings.journal_bytes_max();
        journal.hold(CURSOR, Hold { bytes_max, age_max: Duration::MAX, beyond: HoldAction::Refuse });
        let state = State::begun(&settings, version, Seq(log.state.applied), &corrections);
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
            damaged,
            unrecorded: Mutex::new(unrecorded),
            flushing: Mutex::new(()),
            copies: AtomicUsize::new(0),
            meters,
        });
        Meters::watch(&ground.metrics, &store);
        if store.bus.lacks_names() || store.journal.lost().is_some() {
            store.recover_names();
        }
        Ok(store)
    }

    /// Declares a table; records that came before it are its rows too. One that is damaged is declared closed.
    pub fn declare(&self, ground: &Ground, spec: &'static TableSpec) {
        let Some(stream) = spec.stream else { return };
        if self.lock().tables.contains_key(&stream) {
            return;
        }
        let table = open_table(ground, &self.lake, spec);
        tidy(&table);
        let version = table.version();
        self.lock().tables.entry(stream).or_insert((table, version));
    }
}

impl State {
    /// What is known before anything is applied: the files hold all up to `flushed`.
    fn begun(settings: &Settings, version: Version, flushed: Seq, corrections: &Arc<Table>) -> State {
        State {
            version: Arc::new(version),
            active: Active::new(settings.open_bytes()),
            frozen: None,
            applied: flushed,
            awaited: Seq(u64::MAX),
            replay_end: Seq(0),
            flushed,
            tables: BTreeMap::from([(StreamId::CORRECTIONS, (corrections.clone(), corrections.version()))]),
            leaving: Vec::new(),
            counting: Vec::new(),
            active_since: None,
            held_bytes: 0,
            rewriting: false,
            asked: 0,
            done: 0,
            failure: None,
            failures: 0,
            followed: false,
        }
    }
}

/// What a lake holds when it is opened.
pub(super) struct Found {
    log: Log,
    pub(super) version: Version,
    pub(super) corrections: Arc<Table>,
    /// Corrections that wait, because their table is closed.
    unrecorded: Vec<Add>,
}

/// Reads the samples' table and its record of corrections, finishes what a crash left half done, and tidies.
pub(super) fn recover(
    ground: &Ground,
    dir: &Path,
    samples_dir: &Path,
    journal: &dyn Journal,
) -> Result<Found, Error> {
    let log = samples_log(ground, samples_dir)?;
    // Before anything is tidied: files that a damaged log does not name are what it is mended with.
    check_journal(journal, Seq(log.state.applied))?;
    let version = Version::of(&log.state).map_err(foreign)?;
    let corrections = open_corrections(ground, dir, Seq(log.state.applied));
    let unrecorded = finish_corrections(&*ground.disk, &log, &corrections, ground.clock.wall())?;
    vacuum::remove_orphans(&*ground.disk, samples_dir, &log)?;
    if unrecorded.is_empty() {
        tidy(&corrections);
    }
    Ok(Found { log, version, corrections, unrecorded })
}

/// What is said of a file of the samples' table whose entry says too little.
pub(super) fn foreign(file: String) -> Error {
    Error::Log { file: "samples".into(), detail: format!("{file} was not added by Tidemill") }
}

/// The log of the samples' table, which is begun where there is none.
fn samples_log(ground: &Ground, dir: &Path) -> Result<Log, Error> {
    let meta = || meta_data("samples", schema::delta(&schema::samples()), BTreeMap::new(), ground);
    let log = Log::open(ground.disk.clone(), dir, "samples", meta)?;
    check_format(&log.state, "samples")?;
    Ok(log)
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
    } else if !journal.is_past(flushed) {
        format!(
            "it holds samples up to {} and the journal ends at {}: data/journal is missing or was put back from an older day. Put back data/journal and data/lake as they were at one moment",
            flushed.0,
            journal.durable().0
        )
    } else {
        return Ok(());
    };
    Err(Error::Log { file: "samples".into(), detail })
}

/// Refuses a table of a later format.
pub(super) fn check_format(state: &TableState, file: &str) -> Result<(), Error> {
    let format = state.meta.as_ref().and_then(|meta| meta.configuration.get(schema::FORMAT_KEY));
    match format.and_then(|format| format.parse().ok()) {
        Some(found) if found > schema::FORMAT => {
            Err(Error::NewerFormat { file: format!("the table {file}"), found, known: schema::FORMAT })
        }
        _ => Ok(()),
    }
}

/// Opens or begins a declared table; closed, where its log cannot be read.
pub(super) fn open_table(ground: &Ground, lake: &Path, spec: &'static TableSpec) -> Arc<Table> {
    let dir = lake.join("tables").join(spec.name);
    table_with(ground, open_log(ground, &dir, spec), dir, spec)
}

/// Opens the record of corrections. It was begun before the first samples came into files: where there are some and it is
/// not there, a new one would hide that the old one is gone.
fn open_corrections(ground: &Ground, lake: &Path, flushed: Seq) -> Arc<Table> {
    let dir = lake.join("tables").join(CORRECTIONS.name);
    if flushed == Seq(0) || !matches!(ground.disk.exists(&dir), Ok(false)) {
        return open_table(ground, lake, CORRECTIONS);
    }
    let detail = "its folder is missing (made anew and empty, it begins without what it recorded)".into();
    let gone = Error::Log { file: format!("tables/{}", CORRECTIONS.name), detail };
    table_with(ground, Err(gone), dir, CORRECTIONS)
}

fn table_with(
    ground: &Ground,
    log: Result<Log, Error>,
    dir: PathBuf,
    spec: &'static TableSpec,
) -> Arc<Table> {
    let log = log.inspect_err(|error| {
        tracing::error!(event = "table.closed", table = spec.name, %error, "the table is closed; the plant runs without it");
    });
    Arc::new(Table::new(spec, ground.disk.clone(), dir, log))
}

fn open_log(ground: &Ground, dir: &Path, spec: &'static TableSpec) -> Result<Log, Error> {
    let name = format!("tables/{}", spec.name);
    create_dirs(&*ground.disk, dir).map_err(|source| Error::Disk {
        what: "made",
        path: dir.into(),
        source,
    })?;
    let stream = spec.stream.map_or(0, |stream| stream.0).to_string();
    let configuration = BTreeMap::from([("tidemill.stream".to_owned(), stream)]);
    let schema = schema::delta(&tables::file_schema(spec));
    let log =
        Log::open(ground.disk.clone(), dir, &name, || meta_data(spec.name, schema, configuration, ground))?;
    check_format(&log.state, &name)?;
    Ok(log)
}

/// Removes what a crash left behind; what cannot be removed now is at the next start.
fn tidy(table: &Table) {
    if table.closed().is_none()
        && let Err(error) = table.remove_orphans()
    {
        tracing::warn!(event = "table.leftovers", table = table.spec.name, %error, "leftovers of a crash could not be removed");
    }
}

/// Commits the corrections that the last commit of samples names, if a crash came between the two. Gives those that wait,
/// because their table is closed.
fn finish_corrections(disk: &dyn Disk, log: &Log, corrections: &Table, wall: i64) -> Result<Vec<Add>, Error> {
    let Some(json) = &log.state.corrections else { return Ok(Vec::new()) };
    let files: Vec<Add> = serde_json::from_str(json)
        .map_err(|error| Error::Log { file: "samples".into(), detail: error.to_string() })?;
    let missing = files.into_iter().filter(|file| !corrections.knows(&file.path));
    // A table that was put back from a backup may lack what waited beside it.
    let (there, gone): (Vec<Add>, Vec<Add>) =
        missing.partition(|file| !matches!(disk.exists(&corrections.path_of(file)), Ok(false)));
    for file in gone {
        tracing::error!(
            event = "corrections.missing",
            file = file.path,
            "a file of the record of corrections is missing"
        );
    }
    if corrections.closed().is_none() && !there.is_empty() {
        corrections.commit(there, None, wall)?;
        return Ok(Vec::new());
    }
    Ok(there)
}

/// Waits before each sync of a big write, so that all together stay below the rate.
fn pace(ground: &Ground, bytes_per_s: u64) -> Arc<dyn Fn(u64) + Send + Sync> {
    let bucket = TokenBucket::new(ground.clock.clone(), bytes_per_s, bytes_per_s.max(8 << 20));
    let stop = ground.tasks.stop(tidemill_ground::Phase::Engines);
    Arc::new(move |bytes| {
        stop.wait(bucket.take(bytes));
    })
}
