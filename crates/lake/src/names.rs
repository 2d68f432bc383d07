//! Names that stand in files. The bus knows every signal, unless its definition went with a damaged journal: then files are
//! the last to know, so a rewrite keeps what they say, and a start after damage gives it back to the bus. What does not live
//! here: what becomes of a name that came back (the bus decides).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, DictionaryArray, StringArray};
use arrow::datatypes::Int32Type;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::errors::ParquetError;
use tidemill_core::{KeptNames, SignalId, SourceId, UNKNOWN};

use super::Store;
use super::files::FileEntry;
use super::read::{Files, Footer};
use super::schema::column;
use crate::Error;

type Names = BTreeMap<SignalId, Arc<str>>;

/// A signal, and the name that a file has for it.
type Kept = (SignalId, Option<Arc<str>>);

impl Store {
    /// The paths under which rows of these signals are written, those of retired ones included: their rows go by the deletion
    /// that stands in the log beside that, and not before it is durable. A signal that the bus does not know keeps the name
    /// that it has in these files, and the bus is told of it.
    ///
    /// # Errors
    /// A file that may have the name cannot be read, and `unreadable` does not let that pass.
    pub(crate) fn paths_of(
        &self,
        signals: impl IntoIterator<Item = SignalId>,
        files: &[Arc<FileEntry>],
        unreadable: &dyn Fn(&FileEntry, Error) -> Result<(), Error>,
    ) -> Result<Names, Error> {
        let (mut paths, mut lost) = (Names::new(), BTreeSet::new());
        for id in signals {
            if let Some((path, _)) = self.bus.path(id) {
                paths.insert(id, path.shared().clone());
            } else {
                lost.insert(id);
            }
        }
        if lost.is_empty() {
            return Ok(paths);
        }
        let kept = kept_names(&self.files, files, &|id| lost.contains(&id), unreadable)?;
        let mut names: Names =
            kept.signals.iter().filter_map(|(id, name)| Some((*id, name.clone()?))).collect();
        let signals = lost.iter().map(|id| (*id, names.get(id).cloned())).collect();
        self.recover(KeptNames { signals, ..kept });
        for id in lost {
            let known = self.bus.path(id).map(|(path, _)| path.shared().clone());
            // Acknowledged is acknowledged, whatever became of the name.
            let path = known.or_else(|| names.remove(&id));
            paths.insert(id, path.unwrap_or_else(|| id.unknown_name().into()));
        }
        Ok(paths)
    }

    /// After damage to the journal: gives the bus all names of files that it does not know.
    pub(crate) fn recover_names(&self) {
        let version = self.lock().version.clone();
        let unreadable = |_: &FileEntry, error: Error| {
            // It is told again by whatever needs the file, and its names come back with the first rewrite of it.
            tracing::warn!(event = "names.unread", %error, "names in a file could not be read");
            Ok(())
        };
        let lost = |id: SignalId| self.bus.path(id).is_none();
        self.recover(kept_names(&self.files, &version.files, &lost, &unreadable).unwrap_or_default());
    }

    fn recover(&self, kept: KeptNames) {
        for recovered in self.bus.recover(kept) {
            let signal = &recovered.signal;
            let kept = recovered.kept.as_deref().unwrap_or_default();
            tracing::error!(
                event = "signal.recovered",
                signal = signal.path.as_str(),
                kept,
                "the definition of a signal was lost with a damaged journal; its samples are read under this name. What was said of \
                 it, such as its unit, is to be set again"
            );
        }
    }
}

/// The names that these files have for `wanted` signals, the newest where there are several, and all their sources.
fn kept_names(
    files: &Files,
    entries: &[Arc<FileEntry>],
    wanted: &dyn Fn(SignalId) -> bool,
    unreadable: &dyn Fn(&FileEntry, Error) -> Result<(), Error>,
) -> Result<KeptNames, Error> {
    let mut newest: Vec<&Arc<FileEntry>> = entries.iter().collect();
    newest.sort_by_key(|file| std::cmp::Reverse(file.order));
    let mut names: BTreeMap<SignalId, Option<Arc<str>>> = BTreeMap::new();
    let mut sources: BTreeMap<SourceId, Arc<str>> = BTreeMap::new();
    for file in newest {
        let named = |id: SignalId| names.get(&id).is_some_and(Option::is_some);
        let read = files.footer(file).and_then(|footer| {
            let found = footer.names(&|id| wanted(id) && !named(id))?;
            Ok((footer, found))
        });
        match read {
            Ok((footer, found)) => {
                for (id, name) in found {
                    // That stands for a name, and is none.
                    let name = name.filter(|name| !name.starts_with(UNKNOWN));
                    names.insert(id, name);
                }
                for (number, name) in footer.directory.sources.iter().filter(|(_, name)| !name.is_empty()) {
                    sources.entry(SourceId(*number)).or_insert_with(|| name.as_str().into());
                }
            }
            Err(error) => unreadable(file, error)?,
        }
    }
    Ok(KeptNames { signals: names.into_iter().collect(), sources: sources.into_iter().collect() })
}

impl Footer {
    /// The names of `wanted` signals, as the first row of each has it.
    fn names(&self, wanted: &dyn Fn(SignalId) -> bool) -> Result<Vec<Kept>, Error> {
        let entries = self.directory.entries.iter().filter(|entry| entry.rows > 0 && wanted(entry.signal));
        let mut places: Vec<(u64, SignalId)> = entries.map(|entry| (entry.first_row, entry.signal)).collect();
        if places.is_empty() {
            return Ok(Vec::new());
        }
        places.sort_unstable();
        let rows = places.iter().map(|(row, _)| *row);
        let names = self.names_at(rows).map_err(|source| self.failed(source))?;
        Ok(places.iter().map(|(_, id)| *id).zip(names).collect())
    }

    /// What stands in the column of signals in these rows, which rise.
    fn names_at(&self, rows: impl Iterator<Item = u64>) -> Result<Vec<Option<Arc<str>>>, ParquetError> {
        let all = self.groups().last().map_or(0, |group| group.end) as usize;
        let ranges = rows.map(|row| row as usize..row as usize + 1);
        let reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.source.clone(), self.parquet.clone())
                .with_projection(ProjectionMask::roots(self.parquet.parquet_schema(), [column::SIGNAL]))
                .with_row_selection(RowSelection::from_consecutive_ranges(ranges, all))
                .build()?;
        let mut names = Vec::new();
        for batch in reader {
            let batch = batch?;
            let strange = || ParquetError::General("its column of signals holds no names".into());
            let column =
                batch.column(0).as_any().downcast_ref::<DictionaryArray<Int32Type>>().ok_or_else(strange)?;
            let texts = column.values().as_any().downcast_ref::<StringArray>().ok_or_else(strange)?;
            let text = |key: i32| texts.is_valid(key as usize).then(|| texts.value(key as usize).into());
            names.extend(column.keys().iter().map(|key| key.and_then(text)));
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests;
