//! Files that cannot be read: found damaged, or refused by the disk for long. They stay as they are, and what is new goes
//! into files of its own. What does not live here: how damage is found (`read`).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::files::FileEntry;
use crate::Error;

/// A file that could not be read so often is taken for damaged: one bad sector must not stop all flushes.
const UNREADABLE_MAX: u32 = 20;

/// Files in which damage was found, and how often others could not be read: left out of merges and of what late samples are
/// compared with.
#[derive(Default)]
pub(crate) struct DamagedFiles(Mutex<BTreeMap<String, u32>>);

impl DamagedFiles {
    /// Notes a file in which damage was found, or that cannot be read for long. Says whether that is new: then the work
    /// is done again without it.
    pub(crate) fn note(&self, error: &Error) -> bool {
        let (name, unreadable) = match error {
            Error::Damaged { file, .. } => (file.rsplit('/').next().map(str::to_owned), false),
            Error::Disk { what: "read" | "opened", path, .. } => {
                (path.file_name().map(|name| name.to_string_lossy().into_owned()), true)
            }
            _ => (None, false),
        };
        let Some(name) = name else { return false };
        let mut damaged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = damaged.entry(name).or_default();
        if *failures >= UNREADABLE_MAX {
            return false;
        }
        *failures = if unreadable { *failures + 1 } else { UNREADABLE_MAX };
        let new = *failures == UNREADABLE_MAX;
        if new {
            tracing::error!(event = "file.damaged", %error, "a damaged file stays as it is; what is new goes into files of its own");
        }
        new
    }

    pub(crate) fn has(&self, file: &FileEntry) -> bool {
        let damaged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        damaged.get(file.name()).is_some_and(|failures| *failures >= UNREADABLE_MAX)
    }
}
