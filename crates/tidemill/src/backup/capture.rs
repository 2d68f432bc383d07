//! Which files are the plant, at one moment. Of a running plant the order matters: first how far the engines were, then what
//! they have in files, at last the journal, so that what the files lack is always in the log. What does not live here: how
//! long each room holds its files still.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tidemill_backup::{About, FOLDERS, RESTORED, TableFacts, is_legal};
use tidemill_core::{Journal, Problem, Seq, codes, rfc3339};
use tidemill_ground::{Disk, File, Ground, Open, Shadow};
use tidemill_guard::Guard;
use tidemill_historian::{Historian, TableCopy};
use tidemill_journal::Log;

use crate::config::{Config, PLANT_FILE};
use crate::inspect;
use crate::plant::Plant;
use crate::settings;

/// Folders within each other: more is a link that leads back.
const DEPTH_MAX: usize = 16;
/// What the log of a plant that does not run may write while it is looked at.
const SHADOW_BYTES_MAX: u64 = 512 << 20;

/// Where a file's bytes are.
pub(crate) enum Source {
    Bytes(Vec<u8>),
    /// A file that is replaced as a whole, as it was when it was opened; so many bytes.
    Open(Arc<dyn File>, u64),
    /// At most so many bytes, where that is known.
    Place(PathBuf, Option<u64>),
}

/// A file of the plant.
pub(crate) struct Item {
    pub(crate) path: String,
    pub(crate) source: Source,
    /// No other file ever has its name.
    pub(crate) unchanging: bool,
}

/// The plant at one moment.
pub(crate) struct Capture {
    pub(crate) about: About,
    pub(crate) journal: Vec<Item>,
    /// What holds the journal's files.
    pub(crate) held: Option<tidemill_journal::Copy>,
    pub(crate) others: Vec<Item>,
    /// What holds the lake's files, where it goes on, and knows what is in them.
    pub(crate) lake: tidemill_historian::Copy,
    pub(crate) notes: Vec<String>,
}

/// The rooms that go on meanwhile.
pub(crate) struct Rooms<'a> {
    pub(crate) guard: &'a Guard,
    pub(crate) journal: &'a Log,
    pub(crate) historian: &'a Historian,
}

/// Of a plant that runs.
pub(crate) fn of_running(
    ground: &Ground,
    plant: &Plant,
    name: &str,
    rooms: &Rooms<'_>,
) -> Result<Capture, Problem> {
    let disk = ground.disk.as_ref();
    let mut taking = Taking::new(disk, plant);
    let held = rooms.journal.hold_for_copy();
    let lake = rooms.historian.hold_for_copy();
    // Replaced as a whole: what is open now stays as it is.
    taking.take_open("data/bus/registry.tms")?;
    let (segments, durable) = held.segments();
    // Behind the log: it must not know of entries that the audit lacks.
    for file in rooms.guard.copy()? {
        let path = format!("data/guard/{}", file.path);
        match file.bytes {
            Some(bytes) => taking.take(path, Source::Bytes(bytes)),
            None => taking.take_place(path, None, false),
        }
    }
    // Numbers that the log knows are below it.
    taking.take_open("data/bus/registry.ids")?;
    let mut journal = Taking::new(disk, plant);
    journal.take("data/journal/cursors".to_owned(), Source::Bytes(held.cursors().to_vec()));
    for segment in segments {
        journal.take_place(format!("data/journal/{}", segment.name), segment.bytes, false);
    }
    taking.done.push("data/guard/audit".to_owned());
    taking.seen.extend(journal.seen.iter().cloned());
    taking.skip_segments = true;
    taking.take_rest(&lake.tables);
    let about = about(ground, name, true, Some(durable), &lake.tables);
    let notes = taking.notes;
    Ok(Capture { about, journal: journal.items, held: Some(held), others: taking.items, lake, notes })
}

/// Of a plant that does not run, and that this process holds.
pub(crate) fn of_stopped(ground: &Ground, plant: &Plant, config: Option<&Config>) -> Capture {
    let mut taking = Taking::new(ground.disk.as_ref(), plant);
    let (lake, failed) = tidemill_historian::Copy::of_stopped(ground, &plant.data().join("lake"));
    let told = failed.iter().map(|error| format!("a table is in the backup as it stands: {error}"));
    taking.notes.extend(told);
    let durable = durable(ground, plant).map_err(|error| taking.notes.push(error)).ok();
    taking.take_rest(&lake.tables);
    let (journal, others) = taking.items.into_iter().partition(|item| item.path.starts_with("data/journal/"));
    let folder = plant.folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = config.map(|config| config.plant_name.clone()).or(folder).unwrap_or_default();
    let about = about(ground, &name, false, durable, &lake.tables);
    Capture { about, journal, held: None, others, lake, notes: taking.notes }
}

/// The last parcel of a log that nobody has open, or why that cannot be known.
fn durable(ground: &Ground, plant: &Plant) -> Result<Seq, String> {
    let shadow = Shadow::over(ground.disk.clone(), SHADOW_BYTES_MAX);
    let ground = Ground { disk: Arc::new(shadow), ..Ground::real() };
    let (config, memory) = inspect::settings_of(plant).ok_or("the plant's settings cannot be read")?;
    let settings = settings::journal(&ground, plant, &config, &memory);
    let log = Log::open(&ground, &plant.data().join("journal"), settings);
    let durable =
        log.map(|log| log.durable()).map_err(|error| format!("the journal cannot be opened: {error}"));
    ground.tasks.shutdown(Duration::from_secs(10));
    durable
}

fn about(ground: &Ground, name: &str, running: bool, journal: Option<Seq>, tables: &[TableCopy]) -> About {
    let fact = |table: &TableCopy| TableFacts {
        name: table.folder.clone(),
        version: table.version,
        journal: table.applied,
    };
    About {
        plant: name.to_owned(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        taken: rfc3339(ground.clock.wall()),
        running,
        journal: journal.map(|seq| seq.0),
        tables: tables.iter().map(fact).collect(),
    }
}

/// The list as it grows.
struct Taking<'a> {
    disk: &'a dyn Disk,
    plant: &'a Plant,
    items: Vec<Item>,
    seen: BTreeSet<String>,
    /// Folders of which all that belongs to the plant is listed.
    done: Vec<String>,
    skip_segments: bool,
    notes: Vec<String>,
}

impl<'a> Taking<'a> {
    fn new(disk: &'a dyn Disk, plant: &'a Plant) -> Taking<'a> {
        let (items, seen, done, notes) = (Vec::new(), BTreeSet::new(), Vec::new(), Vec::new());
        Taking { disk, plant, items, seen, done, skip_segments: false, notes }
    }

    fn push(&mut self, path: String, source: Source, unchanging: bool) {
        if !is_legal(&path) {
            self.notes.push(format!("{path:?} is not in the backup: no file of a plant is called that"));
        } else if self.seen.insert(path.clone()) {
            self.items.push(Item { path, source, unchanging });
        }
    }

    fn take(&mut self, path: String, source: Source) {
        self.push(path, source, false);
    }

    fn take_place(&mut self, path: String, bytes: Option<u64>, unchanging: bool) {
        let place = self.plant.folder.join(&path);
        self.push(path, Source::Place(place, bytes), unchanging);
    }

    /// As it is now, whatever takes its place meanwhile.
    fn take_open(&mut self, path: &str) -> Result<(), Problem> {
        let place = self.plant.folder.join(path);
        let opened = self.disk.open(&place, Open::Read).and_then(|file| Ok((file.len()?, file)));
        match opened {
            Ok((bytes, file)) => self.push(path.to_owned(), Source::Open(file, bytes), false),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let detail = format!("{} cannot be read: {error}", place.display());
                return Err(Problem::new(&codes::FILE_UNREADABLE, detail));
            }
        }
        Ok(())
    }

    /// The tables as their logs say, and what else there is. The logs go first: entries are removed some time after others
    /// took their place.
    fn take_rest(&mut self, tables: &[TableCopy]) {
        for table in tables {
            let folder = format!("data/lake/{}", table.folder);
            for name in &table.log {
                self.take_place(format!("{folder}/_delta_log/{name}"), None, false);
            }
            if let Some(bytes) = &table.last_checkpoint {
                self.take(format!("{folder}/_delta_log/_last_checkpoint"), Source::Bytes(bytes.clone()));
            }
            self.done.push(folder);
        }
        self.take_place(PLANT_FILE.to_owned(), None, false);
        let entries = self.disk.list(&self.plant.folder).unwrap_or_default();
        let odd = entries.iter().filter(|entry| !entry.is_dir && !entry.is_file);
        odd.filter(|entry| FOLDERS.contains(&entry.name.as_str()))
            .for_each(|entry| self.note_odd(&entry.name));
        for folder in FOLDERS {
            self.walk(&self.plant.folder.join(folder), folder, 0);
        }
        for table in tables {
            for (name, bytes) in &table.files {
                self.take_place(format!("data/lake/{}/{name}", table.folder), Some(*bytes), true);
            }
        }
        let (certificate, key) = ("data/guard/ca.pem", "data/guard/ca.key");
        if self.seen.contains(certificate) && !self.seen.contains(key) {
            self.notes.push(format!("{key} is missing: what is restored from this backup is refused at its start, unless {certificate} is moved away"));
        }
    }

    fn note_odd(&mut self, path: &str) {
        self.notes.push(format!(
            "{path} is not in the backup: it is no file, but a link that leads nowhere, a pipe, a socket or a device"
        ));
    }

    fn walk(&mut self, folder: &Path, path: &str, depth: usize) {
        if self.done.iter().any(|done| done == path) {
            return;
        }
        if depth > DEPTH_MAX {
            self.notes.push(format!("{path} is not in the backup: its folders lie too deep in each other"));
            return;
        }
        let entries = match self.disk.list(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => {
                self.notes.push(format!("{path} is not in the backup: it cannot be looked into: {error}"));
                return;
            }
        };
        for entry in entries {
            let path = format!("{path}/{}", entry.name);
            if entry.is_dir {
                self.walk(&folder.join(&entry.name), &path, depth + 1);
            } else if !self.is_passing(&path, &entry.name) {
                match entry.is_file {
                    true => self.take_place(path, None, false),
                    false => self.note_odd(&path),
                }
            }
        }
    }

    /// Whether a file belongs to the process that runs, or to one that ended in the middle of something.
    fn is_passing(&self, path: &str, name: &str) -> bool {
        let beside = name.starts_with('.') && (name.ends_with(".new") || name.ends_with(".part"));
        let of_the_journal = path.strip_prefix("data/journal/").is_some_and(|name| {
            matches!(name, "lock" | "cursors.new")
                || name.starts_with("spare")
                || name.starts_with("reserve")
                || (self.skip_segments && name.ends_with(".segment"))
        });
        beside || of_the_journal || matches!(path, "data/lock" | "data/control.sock" | RESTORED | super::MADE)
    }
}
