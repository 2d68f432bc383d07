//! What a copy of the lake needs: which files make a table, as its log says, of a table that goes on and of one that nobody
//! has open. Whoever copies reads the files. What does not live here: how files are written, or mended.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tidemill_ground::{Disk, Ground};

use super::Store;
use super::delta::{Add, Log};
use super::files::Version;
use super::open::{check_format, foreign};
use super::read::Files;
use super::tables::sound_bytes;
use crate::Error;

/// The folder of the samples.
const SAMPLES: &str = "samples";

/// One table as it is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableCopy {
    /// Its folder below the lake.
    pub folder: String,
    /// The version of its log.
    pub version: u64,
    /// Up to where the journal is in it.
    pub applied: u64,
    /// Its files and their bytes. No other file ever has the name of one.
    pub files: Vec<(String, u64)>,
    /// The entries and checkpoints of its log that make this version.
    pub log: Vec<String>,
    /// What stands in `_last_checkpoint`.
    pub last_checkpoint: Option<Vec<u8>>,
}

/// Keeps every file that a table has or had, until it is dropped. Of a lake that nobody has open nothing need be kept.
pub struct Copy {
    store: Option<Arc<Store>>,
    disk: Arc<dyn Disk>,
    lake: PathBuf,
    files: Arc<Files>,
    /// Those of the samples, so that no file is taken for one that nobody reads.
    version: Arc<Version>,
    /// Files of declared tables, each with its folder.
    declared: Vec<(String, Add)>,
    /// The tables that can be understood. What stands in the folder of another is worth having as it is.
    pub tables: Vec<TableCopy>,
}

impl Store {
    /// Begins a copy of the tables as they are now.
    pub fn hold_for_copy(self: &Arc<Store>) -> Copy {
        self.copies.fetch_add(1, Ordering::AcqRel);
        let (mut tables, mut files) = (Vec::new(), Vec::new());
        let version = {
            let log = self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let samples = log.copy("samples");
            // Files of corrections that no table names yet are named by the last commit of samples alone.
            let waiting = log.state.corrections.as_deref().and_then(|json| serde_json::from_str(json).ok());
            let waiting: Vec<Add> = waiting.unwrap_or_default();
            tables.extend(samples.ok());
            let state = self.lock();
            let declared: Vec<_> = state.tables.values().map(|(table, _)| table.clone()).collect();
            let version = state.version.clone();
            drop(state);
            for table in declared {
                let Ok(mut copy) = table.copy() else { continue };
                let of_table = table.version().files.into_iter();
                files.extend(of_table.map(|file| (copy.folder.clone(), file)));
                if Arc::ptr_eq(&table, &self.corrections) {
                    let named = waiting.iter().filter(|file| !table.knows(&file.path));
                    copy.files.extend(named.map(|file| (file.path.clone(), file.size)));
                }
                tables.push(copy);
            }
            version
        };
        Copy {
            store: Some(self.clone()),
            disk: self.disk.clone(),
            lake: self.lake.clone(),
            files: self.files.clone(),
            version,
            declared: files,
            tables,
        }
    }
}

impl Copy {
    /// What a copy needs of a lake that nobody has open, and why tables are not among it that cannot be understood.
    pub fn of_stopped(ground: &Ground, lake: &Path) -> (Copy, Vec<Error>) {
        let (mut tables, mut declared, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        let mut version = Version::default();
        for folder in folders(&*ground.disk, lake) {
            let copied = table(&ground.disk, lake, &folder).and_then(|log| {
                let Some(log) = log else { return Ok(()) };
                tables.push(log.copy(&folder)?);
                if folder == SAMPLES {
                    version = Version::of(&log.state).map_err(foreign)?;
                } else {
                    declared.extend(log.state.files.values().map(|file| (folder.clone(), file.clone())));
                }
                Ok(())
            });
            failed.extend(copied.err());
        }
        let files = Files::new(ground.disk.clone(), lake.join(SAMPLES), SAMPLES, 0, &ground.metrics);
        let (disk, lake, version) = (ground.disk.clone(), lake.to_owned(), Arc::new(version));
        (Copy { store: None, disk, lake, files: Arc::new(files), version, declared, tables }, failed)
    }

    /// Reads a file of a table, `samples/NAME` or `tables/TABLE/NAME`, and checks every byte of it. Of a file that is none of
    /// theirs nothing is known.
    ///
    /// # Errors
    /// It is damaged, or the disk refuses.
    pub fn verify(&self, path: &str) -> Result<(), Error> {
        let Some((folder, name)) = path.rsplit_once('/') else { return Ok(()) };
        if folder == SAMPLES {
            let entry = self.version.files.iter().find(|file| file.name() == name);
            return entry.map_or(Ok(()), |entry| self.files.verify(entry));
        }
        let file = self.declared.iter().find(|(of, file)| of == folder && file.path == name);
        let sound = file.map(|(_, file)| sound_bytes(&*self.disk, &self.lake.join(folder), folder, file));
        sound.map_or(Ok(()), |sound| sound.map(drop).inspect_err(|error| self.files.damaged().met(error)))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Some(store) = &self.store {
            store.copies.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// The tables of a lake that nobody has open, and why those are not among them that cannot be understood. Changes nothing.
pub fn tables(disk: &Arc<dyn Disk>, lake: &Path) -> Vec<Result<TableCopy, Error>> {
    let copy = |folder: String| {
        let copied = table(disk, lake, &folder).and_then(|log| log.map(|log| log.copy(&folder)).transpose());
        copied.transpose()
    };
    folders(&**disk, lake).filter_map(copy).collect()
}

fn folders(disk: &dyn Disk, lake: &Path) -> impl Iterator<Item = String> + use<> {
    let names = disk.list(&lake.join("tables")).unwrap_or_default();
    let declared =
        names.into_iter().filter(|entry| entry.is_dir).map(|entry| format!("tables/{}", entry.name));
    [SAMPLES.to_owned()].into_iter().chain(declared)
}

fn table(disk: &Arc<dyn Disk>, lake: &Path, folder: &str) -> Result<Option<Log>, Error> {
    let Some(log) = Log::look(disk.clone(), &lake.join(folder), folder)? else { return Ok(None) };
    check_format(&log.state, folder)?;
    Ok(Some(log))
}

#[cfg(test)]
mod tests;
