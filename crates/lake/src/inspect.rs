//! Looks whether the files of the samples and of declared tables are what their logs say, byte by byte, with or without a
//! plant that runs.
//! Changes nothing. What does not live here: how a damaged file is left out (`damage`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidemill_ground::Ground;

use super::Store;
use super::delta::Add;
use super::files::{FileEntry, Version};
use super::open::{samples_log, table_log};
use super::read::Files;
use super::tables::{self, Table};
use crate::Error;

/// So many bytes are read, the newest files first; of older ones names and sizes are looked at. At 500 MB/s that is 8 s.
const READ_BYTES_MAX: u64 = 4 << 30;

/// What is wrong with the history in `dir` of a plant that does not run. None there is nothing wrong.
pub fn inspect(ground: &Ground, dir: &Path) -> Vec<Error> {
    let mut found = samples(ground, dir.join("samples"));
    let tables = dir.join("tables");
    for entry in ground.disk.list(&tables).unwrap_or_default().iter().filter(|entry| entry.is_dir) {
        found.extend(table(ground, &tables.join(&entry.name), &format!("tables/{}", entry.name)));
    }
    found
}

/// Whether a table was begun: opening a log that is not there would begin one.
fn is_begun(ground: &Ground, dir: &Path) -> bool {
    ground.disk.list(&dir.join("_delta_log")).is_ok_and(|entries| !entries.is_empty())
}

fn table(ground: &Ground, dir: &Path, name: &str) -> Vec<Error> {
    if !is_begun(ground, dir) {
        return Vec::new();
    }
    match table_log(ground, dir, name) {
        Ok(log) => {
            let files: Vec<Add> = log.state.files.values().cloned().collect();
            tables::check(&*ground.disk, dir, name, &files)
        }
        Err(error) => vec![error],
    }
}

fn samples(ground: &Ground, dir: PathBuf) -> Vec<Error> {
    if !is_begun(ground, &dir) {
        return Vec::new();
    }
    let log = match samples_log(ground, &dir) {
        Ok(log) => log,
        Err(error) => return vec![error],
    };
    let version = match Version::of(&log.state) {
        Ok(version) => version,
        Err(file) => {
            let detail = format!("{file} was not added by Tidemill");
            return vec![Error::Log { file: "samples".into(), detail }];
        }
    };
    let files = Files::new(ground.disk.clone(), dir, "samples", 0, &ground.metrics);
    check(&files, version.files)
}

impl Store {
    /// What is wrong with the files of the samples, and with declared tables.
    pub fn check_files(&self) -> Vec<Error> {
        let mut found = check(&self.files, self.lock().version.files.clone());
        let tables: Vec<Arc<Table>> = self.lock().tables.values().map(|(table, _)| table.clone()).collect();
        found.extend(tables.iter().flat_map(|table| table.check()));
        found
    }

    /// Whether all files of the samples are there and as long as they should be.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check_places(&self) -> Result<(), Error> {
        let files = self.lock().version.files.clone();
        files.iter().try_for_each(|entry| self.files.present(entry))
    }
}

fn check(files: &Files, mut entries: Vec<Arc<FileEntry>>) -> Vec<Error> {
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.last));
    let mut left_bytes = READ_BYTES_MAX;
    let look = |entry: &Arc<FileEntry>| {
        let rest = left_bytes.checked_sub(entry.add.size);
        left_bytes = rest.unwrap_or(left_bytes);
        if rest.is_some() { files.verify(entry) } else { files.present(entry) }
    };
    entries.iter().map(look).filter_map(Result::err).collect()
}
