//! Files that cannot be read: found damaged by whoever read them, or refused by the disk for long. They stay as they are, what
//! is new goes into files of its own, and the plant tells of them until they are whole again or gone. What does not live here:
//! how damage is found (`read`).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tidemill_core::{Problem, codes};
use tidemill_ground::{Counter, Metrics};

use super::Store;
use super::files::FileEntry;
use crate::Error;

/// A file that could not be read so often is taken for damaged: one bad sector must not stop all flushes.
const UNREADABLE_MAX: u32 = 20;

/// Files in which damage was found, and how often others could not be read: left out of merges and of what late samples are
/// compared with. There are no more than the table has files.
pub(crate) struct DamagedFiles {
    files: Mutex<BTreeMap<String, Unreadable>>,
    reads: Counter,
}

#[derive(Default)]
struct Unreadable {
    failures: u32,
    /// What was found last.
    why: String,
    /// The bytes that are not to be believed, where it is known which.
    bytes: Option<(u64, u64)>,
}

/// The file that an error is about.
fn name_of(error: &Error) -> Option<String> {
    match error {
        Error::Damaged { file, .. } => file.rsplit('/').next().map(str::to_owned),
        Error::Disk { what: "read" | "opened", path, .. } => {
            path.file_name().map(|name| name.to_string_lossy().into_owned())
        }
        _ => None,
    }
}

impl DamagedFiles {
    pub(crate) fn new(metrics: &Metrics) -> DamagedFiles {
        let reads =
            metrics.counter("historian_damage", "Reads that met a damaged file; the damage was not served.");
        DamagedFiles { files: Mutex::default(), reads }
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
        let Some(name) = name_of(error) else { return };
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let file = files.entry(name).or_default();
        let known = file.failures >= UNREADABLE_MAX;
        file.why = error.to_string();
        file.failures = file.failures.saturating_add(1);
        if let Error::Damaged { from, to, .. } = error {
            file.failures = UNREADABLE_MAX;
            file.bytes = Some((*from, *to));
        }
        if !known && file.failures >= UNREADABLE_MAX {
            tracing::error!(event = "file.damaged", %error, "a damaged file stays as it is; what is new goes into files of its own");
        }
    }

    pub(crate) fn has(&self, file: &FileEntry) -> bool {
        self.has_name(file.name())
    }

    fn has_name(&self, name: &str) -> bool {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.get(name).is_some_and(|file| file.failures >= UNREADABLE_MAX)
    }

    /// The file that an error is about, if it is left out from now on.
    pub(crate) fn left_out(&self, error: &Error) -> Option<String> {
        name_of(error).filter(|name| self.has_name(name))
    }

    /// What is wrong with the first of them.
    pub(crate) fn first(&self) -> Result<(), Problem> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let damaged = files.values().find(|file| file.failures >= UNREADABLE_MAX);
        damaged.map_or(Ok(()), |file| Err(Problem::new(&codes::DAMAGED, file.why.clone())))
    }
}

impl Store {
    /// Looks again at files in which damage was found, and forgets those that are whole or gone: the bytes that were not to be
    /// believed first, the others only where these are well. What the disk refused for long is left alone until the next start.
    pub fn look_again(&self) {
        let noted: Vec<(String, Option<(u64, u64)>)> = {
            let files = self.damaged.files.lock().unwrap_or_else(PoisonError::into_inner);
            files.iter().map(|(name, file)| (name.clone(), file.bytes)).collect()
        };
        let version = self.lock().version.clone();
        for (name, bytes) in noted {
            let entry = version.files.iter().find(|file| file.name() == name);
            let again = match (entry, bytes) {
                (None, _) => Ok(()),
                (Some(entry), Some(bytes)) => self.files.look_again(entry, bytes),
                (Some(_), None) => continue,
            };
            match again {
                Ok(()) => {
                    // Whoever has it open may have what it was.
                    self.files.forget(&name);
                    self.damaged.files.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
                }
                Err(error) => self.damaged.note(&error),
            }
        }
    }
}
