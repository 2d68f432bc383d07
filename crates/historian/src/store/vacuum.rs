//! Removes files that left a table long enough ago, and those that no commit ever named. What does not live here:
//! which files leave (merge, rewrite, retention).

use std::path::Path;
use std::time::Duration;

use tidemill_ground::Disk;

use super::Store;
use super::delta::Log;
use super::files::FileEntry;
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
    /// What is wrong with the files of the samples, and with declared tables; and how many files could not be read within
    /// the time for that, the oldest, which were only looked at.
    pub(crate) fn check_files(&self, read_for: Duration) -> (Vec<Error>, usize) {
        let until = self.clock.monotonic().saturating_add(read_for);
        let version = self.lock().version.clone();
        let (mut found, mut unread) = (Vec::new(), 0);
        for file in version.files.iter().rev() {
            if let Some(error) = misplaced(&*self.disk, &self.place.dir, file) {
                found.push(error);
            } else if self.clock.monotonic() >= until {
                unread += 1;
            } else {
                found.extend(self.files.verify(file).err());
            }
        }
        found.extend(self.closed_tables());
        (found, unread)
    }

    /// The first file of the samples that is missing or has another size, if there is one: one look a file.
    pub(crate) fn first_misplaced(&self) -> Option<Error> {
        let version = self.lock().version.clone();
        version.files.iter().find_map(|file| misplaced(&*self.disk, &self.place.dir, file))
    }

    /// The declared tables that could not be opened, each with why.
    pub(crate) fn closed_tables(&self) -> Vec<Error> {
        self.lock().tables.values().filter_map(|(table, _)| table.closed()).collect()
    }
}

fn misplaced(disk: &dyn Disk, dir: &Path, file: &FileEntry) -> Option<Error> {
    let (name, bytes) = (file.name(), file.add.size);
    let damaged = |detail: String| Error::Damaged { file: name.to_owned(), from: 0, to: bytes, detail };
    match disk.len(&dir.join(name)) {
        Ok(len) if len == bytes => None,
        Ok(len) => Some(damaged(format!("it has {len} bytes instead of {bytes}"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Some(damaged("it is missing".to_owned()))
        }
        Err(source) => Some(Error::Disk { what: "looked at", path: dir.join(name), source }),
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
