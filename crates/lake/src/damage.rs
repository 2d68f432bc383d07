//! Files that cannot be read: found damaged by whoever read them, or refused by the disk for long. They stay as they are, what
//! is new goes into files of its own, and the plant tells of them until they are whole again or gone, also after a restart.
//! What does not live here: how damage is found (`read`, `tables`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemill_core::{Problem, codes};
use tidemill_ground::{Counter, Disk, Metrics, read, replace};

use super::Store;
use super::files::FileEntry;
use super::tables::Table;
use crate::Error;

/// A file that could not be read so often is taken for damaged: one bad sector must not stop all flushes.
const UNREADABLE_MAX: u32 = 20;
/// What the disk refused for long is read again after so long, then after twice as long each time: a disk may take its time over
/// each bad sector.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// Beside the tables: which files are damaged, so that the next start need not wait until somebody reads them.
const NOTES: &str = "damage.json";
const NOTES_FORMAT: u32 = 1;
/// So many are written down. Where there are more, those are mended first.
const NOTES_MAX: usize = 1_000;

/// Files in which damage was found, and how often others could not be read: left out of merges and of what late samples are
/// compared with. There are no more than the tables have files.
pub(crate) struct DamagedFiles {
    /// By name, which no two files of a lake share.
    files: Mutex<BTreeMap<String, Unreadable>>,
    reads: Counter,
    notes: Mutex<Option<Notes>>,
}

#[derive(Default)]
struct Unreadable {
    failures: u32,
    /// What was found last.
    why: String,
    /// It belongs to a declared table, not to the samples.
    declared: bool,
    /// The bytes that are not to be believed, where it is known which.
    bytes: Option<(u64, u64)>,
    /// Of what the disk refused: when it is read again, and after how long.
    again: Option<(Duration, Duration)>,
}

impl Unreadable {
    fn is_known(&self) -> bool {
        self.failures >= UNREADABLE_MAX
    }
}

/// Where it is written down what is damaged.
struct Notes {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// The file has all that is known.
    written: bool,
}

/// What stands in [`NOTES`].
#[derive(Serialize, Deserialize)]
struct Noted {
    #[serde(rename = "tidemill-lake-damage")]
    format: u32,
    files: Vec<NotedFile>,
}

#[derive(Serialize, Deserialize)]
struct NotedFile {
    name: String,
    declared: bool,
    from: u64,
    to: u64,
    why: String,
}

/// The file that an error is about, and whether it belongs to a declared table.
fn file_of(error: &Error) -> Option<(String, bool)> {
    let path: &Path = match error {
        Error::Damaged { file, .. } => Path::new(file),
        Error::Disk { what: "read" | "opened", path, .. } => path,
        _ => return None,
    };
    let name = path.file_name()?.to_string_lossy().into_owned();
    let declared = path.parent().and_then(Path::file_name).is_some_and(|folder| folder != "samples");
    Some((name, declared))
}

impl DamagedFiles {
    pub(crate) fn new(metrics: &Metrics) -> DamagedFiles {
        let reads =
            metrics.counter("historian_damage", "Reads that met a damaged file; the damage was not served.");
        DamagedFiles { files: Mutex::default(), reads, notes: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Unreadable>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what an earlier life wrote down in this folder, and writes down there what is found from now on.
    pub(crate) fn keep_in(&self, disk: &Arc<dyn Disk>, lake: &Path) {
        let path = lake.join(NOTES);
        let noted: Option<Noted> =
            read(&**disk, &path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        // A later version's are left to it: what is damaged is found again by whoever reads it.
        if noted.as_ref().is_some_and(|noted| noted.format > NOTES_FORMAT) {
            return;
        }
        let mut files = self.lock();
        for NotedFile { name, declared, from, to, why } in noted.into_iter().flat_map(|noted| noted.files) {
            let bytes = Some((from, to));
            let file = Unreadable { failures: UNREADABLE_MAX, why, declared, bytes, again: None };
            files.insert(name, file);
        }
        drop(files);
        let notes = Notes { disk: disk.clone(), path, written: true };
        *self.notes.lock().unwrap_or_else(PoisonError::into_inner) = Some(notes);
    }

    /// Writes down what is known; where the disk refuses, it is tried again. `changed`: there is something new.
    fn write_down(&self, changed: bool) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(notes) = notes.as_mut().filter(|notes| changed || !notes.written) else { return };
        let noted = |(name, file): (&String, &Unreadable)| {
            let (from, to) = file.bytes?;
            let (name, why) = (name.clone(), file.why.clone());
            Some(NotedFile { name, declared: file.declared, from, to, why })
        };
        let files: Vec<NotedFile> = self.lock().iter().filter_map(noted).take(NOTES_MAX).collect();
        notes.written = if files.is_empty() {
            !matches!(notes.disk.exists(&notes.path), Ok(true)) || notes.disk.remove(&notes.path).is_ok()
        } else {
            let text = serde_json::to_vec(&Noted { format: NOTES_FORMAT, files }).unwrap_or_default();
            replace(&*notes.disk, &notes.path, &text).is_ok()
        };
    }

    /// Counts a read that met damage, and notes the file.
    pub(crate) fn met(&self, error: &Error) {
        if matches!(error, Error::Damaged { .. }) {
            self.reads.add(1);
            self.note(error);
        }
    }

    /// Notes a file in which damage was found, or that cannot be read for long.
    pub(crate) fn note(&self, error: &Error) {
        let Some((name, declared)) = file_of(error) else { return };
        let mut files = self.lock();
        let file = files.entry(name).or_default();
        let (known, located) = (file.is_known(), file.bytes.is_some());
        (file.why, file.declared) = (error.to_string(), declared);
        file.failures = file.failures.saturating_add(1);
        if let Error::Damaged { from, to, .. } = error {
            file.failures = UNREADABLE_MAX;
            file.bytes = Some((*from, *to));
        }
        let found = !known && file.is_known();
        // Where it has several damaged places, any of them will do.
        let changed = found || (!located && file.bytes.is_some());
        drop(files);
        if found {
            tracing::error!(event = "file.damaged", %error, "a damaged file stays as it is; what is new goes into files of its own");
        }
        self.write_down(changed);
    }

    pub(crate) fn has(&self, file: &FileEntry) -> bool {
        self.has_name(file.name())
    }

    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.lock().get(name).is_some_and(Unreadable::is_known)
    }

    /// The file that an error is about, if it is left out from now on.
    pub(crate) fn left_out(&self, error: &Error) -> Option<String> {
        file_of(error).map(|(name, _)| name).filter(|name| self.has_name(name))
    }

    /// What is wrong with the first of them among the samples, or in declared tables.
    pub(crate) fn first(&self, declared: bool) -> Result<(), Problem> {
        let files = self.lock();
        let damaged = files.values().find(|file| file.is_known() && file.declared == declared);
        damaged.map_or(Ok(()), |file| Err(Problem::new(&codes::DAMAGED, file.why.clone())))
    }

    /// Those that may be looked at again now, and the bytes that were not to be believed: none where the disk refused.
    fn due(&self, now: Duration) -> Vec<(String, (u64, u64))> {
        let is_due = |file: &mut Unreadable| match (file.bytes, file.again) {
            (_, Some((at, _))) => now >= at,
            (Some(_), None) => true,
            (None, None) => {
                file.again = file.is_known().then_some((now + AGAIN_AFTER, AGAIN_AFTER));
                false
            }
        };
        let mut files = self.lock();
        let due = files
            .iter_mut()
            .filter_map(|(name, file)| is_due(file).then(|| (name.clone(), file.bytes.unwrap_or_default())));
        due.collect()
    }

    /// It is not whole yet. One that can be read is looked at again soon, for somebody may be putting it back; what the disk refuses,
    /// later each time.
    fn wait(&self, name: &str, now: Duration, error: &Error) {
        if let Some(file) = self.lock().get_mut(name) {
            let after = file.again.map_or(AGAIN_AFTER, |(_, after)| (after * 2).min(AGAIN_AFTER_MAX));
            file.again = matches!(error, Error::Disk { .. }).then_some((now + after, after));
        }
    }

    fn forget(&self, name: &str) {
        self.lock().remove(name);
        self.write_down(true);
    }

    /// Forgets those of which nothing is left in the tables.
    fn keep_only(&self, there: &dyn Fn(&str) -> bool) {
        let mut files = self.lock();
        let before = files.len();
        files.retain(|name, _| there(name));
        let changed = files.len() < before;
        drop(files);
        self.write_down(changed);
    }
}

impl Store {
    /// Looks again at files in which damage was found, and forgets those that are whole or gone: the bytes that were not to be
    /// believed first, the others only where these are well. What the disk refused for long is read seldom, and ever less often.
    pub fn look_again(&self) {
        let (version, tables) = {
            let state = self.lock();
            let tables: Vec<Arc<Table>> = state.tables.values().map(|(table, _)| table.clone()).collect();
            (state.version.clone(), tables)
        };
        let declared = |name: &str| {
            tables.iter().find_map(|table| {
                let file = table.version().files.into_iter().find(|file| file.path == name)?;
                Some((table, file))
            })
        };
        self.damaged.keep_only(&|name| version.has(name) || declared(name).is_some());
        let now = self.clock.monotonic();
        for (name, bytes) in self.damaged.due(now) {
            let entry = version.files.iter().find(|file| file.name() == name);
            let again = match (entry, declared(&name)) {
                (Some(entry), _) => self.files.look_again(entry, bytes),
                (None, Some((table, file))) => table.verify(&file),
                (None, None) => Ok(()),
            };
            match again {
                Ok(()) => {
                    // Whoever has it open may have what it was.
                    self.files.forget(&name);
                    self.damaged.forget(&name);
                }
                Err(error) => {
                    self.damaged.note(&error);
                    self.damaged.wait(&name, now, &error);
                }
            }
        }
    }
}
