//! Removes files that left a table long enough ago, and those that no commit ever named. What does not live here:
//! which files leave (merge, rewrite, retention).

use std::path::Path;

use tidemill_ground::Disk;

use super::Store;
use super::delta::Log;
use crate::Error;

/// Removes files that left before a time and may go. Says how many.
pub(crate) fn remove_old(
    disk: &dyn Disk,
    dir: &Path,
    log: &mut Log,
    before_ms: i64,
    may_go: &dyn Fn(&str) -> bool,
) -> Result<u64, Error> {
    let left =
        log.state.removed.values().filter(|file| file.deletion_timestamp.is_none_or(|at| at <= before_ms));
    let names: Vec<String> = left.map(|file| file.path.clone()).filter(|name| may_go(name)).collect();
    let mut count = 0;
    for name in names {
        let path = dir.join(&name);
        match disk.remove(&path) {
            Ok(()) => count += 1,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::Disk { what: "removed", path, source }),
        }
        log.forget(&name);
    }
    Ok(count)
}

impl Store {
    /// The declared tables that could not be opened, each with why.
    pub(crate) fn closed_tables(&self) -> Vec<Error> {
        self.lock().tables.values().filter_map(|(table, _)| table.closed()).collect()
    }
}

/// Removes files that a crash left behind before their commit. Only at start, when nothing is being written, and
/// only after the log was read whole.
pub(crate) fn remove_orphans(disk: &dyn Disk, dir: &Path, log: &Log) -> Result<u64, Error> {
    let failed = |source| Error::Disk { what: "listed", path: dir.into(), source };
    let known = |name: &str| log.state.files.contains_key(name) || log.state.removed.contains_key(name);
    let mut count = 0;
    for entry in disk.list(dir).map_err(failed)? {
        let ours = !entry.is_dir && entry.name.ends_with(".parquet");
        if ours && !known(&entry.name) {
            let path = dir.join(&entry.name);
            disk.remove(&path).map_err(|source| Error::Disk { what: "removed", path, source })?;
            count += 1;
        }
    }
    Ok(count)
}
