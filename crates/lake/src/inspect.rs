//! Looks whether the files of the samples and of declared tables are what their logs say, byte by byte, with or without a
//! plant that runs.
//! Changes nothing. What does not live here: how a damaged file is left out (`damage`).

use std::path::Path;
use std::sync::Arc;

use tidemill_core::{Journal, Problem, TableSpec};
use tidemill_ground::Ground;

use super::Store;
use super::files::FileEntry;
use super::open::{open_table, recover};
use super::read::Files;
use super::tables::Table;
use crate::Error;

/// So many bytes are read, the newest files first, and those in which damage was met; of other ones names and sizes are looked
/// at. At 500 MB/s that is 8 s.
const READ_BYTES_MAX: u64 = 4 << 30;

/// What is wrong with the history in `dir` of a plant that does not run: why it would not open, which tables would be closed,
/// which files are not what was written. It is opened as [`Store::open`] does it, which tidies: `ground` has a disk that
/// forgets. None there is nothing wrong.
pub fn inspect(
    ground: &Ground,
    dir: &Path,
    journal: &dyn Journal,
    declared: &[&'static TableSpec],
) -> Vec<Error> {
    let samples_dir = dir.join("samples");
    let mut found = Vec::new();
    match recover(ground, dir, &samples_dir, journal) {
        Ok(lake) => {
            let files = Files::new(ground.disk.clone(), samples_dir, "samples", 0, &ground.metrics);
            files.damaged().keep_in(&ground.disk, dir);
            found.extend(check(&files, lake.version.files));
            found.extend(lake.corrections.check());
        }
        Err(error) => found.push(error),
    }
    found.extend(declared.iter().flat_map(|spec| open_table(ground, dir, spec).check()));
    found
}

impl Store {
    /// What is wrong with the files of the samples, and with declared tables.
    pub fn check_files(&self) -> Vec<Error> {
        let mut found = check(&self.files, self.lock().version.files.clone());
        let tables: Vec<Arc<Table>> = self.lock().tables.values().map(|(table, _)| table.clone()).collect();
        let of_tables: Vec<Error> = tables.iter().flat_map(|table| table.check()).collect();
        of_tables.iter().for_each(|error| self.damaged.met(error));
        found.extend(of_tables);
        found
    }

    /// Whether all files of the samples are there and as long as they should be, and no read met damage in one. See
    /// [`Store::look_again`].
    ///
    /// # Errors
    /// What is wrong with the first that is not.
    pub fn check_places(&self) -> Result<(), Problem> {
        let files = self.lock().version.files.clone();
        files.iter().try_for_each(|entry| self.files.present(entry))?;
        self.damaged.first(false)
    }

    /// Whether no read met damage in a file of a declared table.
    ///
    /// # Errors
    /// What is wrong with the first that is damaged.
    pub fn check_tables(&self) -> Result<(), Problem> {
        self.damaged.first(true)
    }
}

fn check(files: &Files, mut entries: Vec<Arc<FileEntry>>) -> Vec<Error> {
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.last));
    let damaged = files.damaged();
    let mut left_bytes = READ_BYTES_MAX;
    let look = |entry: &Arc<FileEntry>| {
        let rest = left_bytes.checked_sub(entry.add.size);
        left_bytes = rest.unwrap_or(left_bytes);
        if rest.is_some() || damaged.has(entry) { files.verify(entry) } else { files.present(entry) }
    };
    entries.iter().map(look).filter_map(Result::err).collect()
}
