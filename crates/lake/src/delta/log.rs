//! Reading the log at start, adding a commit durably, and removing what nobody needs any more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidemill_ground::{Disk, create_dirs, read, replace};

use super::action::{APP_ID, Action, Add, MetaData, Protocol, Remove, Txn};
use super::checkpoint;
use crate::commit::CORRECTIONS_KEY;
use crate::{Error, TableCopy};

/// After so many commits the log so far is written as one file. Tests come to it sooner.
const CHECKPOINT_EVERY: u64 = if cfg!(test) { 4 } else { 100 };
/// So many commits are kept behind a checkpoint, for readers that look at earlier versions.
const KEPT_COMMITS: u64 = 3 * CHECKPOINT_EVERY;

/// The state that all commits together make.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableState {
    /// The version of the last commit.
    pub(crate) version: u64,
    pub(crate) meta: Option<MetaData>,
    /// Up to where the journal is in the table.
    pub(crate) applied: u64,
    pub(crate) files: BTreeMap<String, Add>,
    /// Files that left the table and may still be on disk.
    pub(crate) removed: BTreeMap<String, Remove>,
    /// What the last commit says of its corrections.
    pub(crate) corrections: Option<String>,
}

impl TableState {
    /// Err: the version of the protocol that it asks for, and that is not known here.
    fn apply(&mut self, action: Action) -> Result<(), u32> {
        match action {
            Action::Protocol(protocol) => {
                let (reader, writer) = (protocol.min_reader_version, protocol.min_writer_version);
                if reader > Protocol::OURS.min_reader_version || writer > Protocol::OURS.min_writer_version {
                    return Err(reader.max(writer));
                }
            }
            Action::MetaData(meta) => self.meta = Some(*meta),
            Action::Txn(txn) if txn.app_id == APP_ID => self.applied = txn.version,
            Action::Add(add) => {
                self.removed.remove(&add.path);
                self.files.insert(add.path.clone(), *add);
            }
            Action::Remove(remove) => {
                self.files.remove(&remove.path);
                self.removed.insert(remove.path.clone(), remove);
            }
            Action::CommitInfo(info) => {
                let corrections = info.operation_parameters.get(CORRECTIONS_KEY);
                self.corrections = corrections.and_then(|json| json.as_str()).map(str::to_owned);
            }
            Action::Txn(_) => {}
        }
        Ok(())
    }

    /// The actions that make this state, for a checkpoint.
    fn actions(&self) -> Vec<Action> {
        let mut actions = vec![Action::Protocol(Protocol::OURS)];
        actions.extend(self.meta.clone().map(|meta| Action::MetaData(Box::new(meta))));
        actions.push(Action::Txn(Txn { app_id: APP_ID.into(), version: self.applied, last_updated: None }));
        actions.extend(self.files.values().cloned().map(|add| Action::Add(Box::new(add))));
        actions.extend(self.removed.values().cloned().map(Action::Remove));
        actions
    }
}

/// The log of one table. One process writes it, one thread at a time.
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    /// The table's folder.
    dir: PathBuf,
    /// For messages: the folder relative to the lake.
    name: String,
    pub(crate) state: TableState,
}

impl Log {
    /// Reads the log of a table, or begins one with `meta` as version 0.
    ///
    /// # Errors
    /// A log that cannot be read whole is never guessed at: nothing is changed.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        name: &str,
        meta: impl FnOnce() -> MetaData,
    ) -> Result<Log, Error> {
        let log_dir = dir.join("_delta_log");
        create_dirs(&*disk, &log_dir).map_err(|source| Error::Disk {
            what: "made",
            path: log_dir.clone(),
            source,
        })?;
        let mut log = Log { disk, dir: dir.into(), name: name.into(), state: TableState::default() };
        let names = log.names()?;
        if names.is_empty() {
            // Files of a table whose log is gone are not taken for leftovers.
            let entries = log.disk.list(dir).map_err(|source| log.disk_error("listed", "..", source))?;
            if let Some(file) = entries.iter().find(|entry| entry.name.ends_with(".parquet")) {
                return Err(log.broken("", format!("it is empty, and there are files such as {}", file.name)));
            }
            let first = [Action::Protocol(Protocol::OURS), Action::MetaData(Box::new(meta()))];
            log.write_entry(0, &first)?;
            first
                .into_iter()
                .try_for_each(|action| log.state.apply(action))
                .map_err(|found| log.newer(found))?;
            return Ok(log);
        }
        log.replay(&names)?;
        Ok(log)
    }

    /// What the log of a table says that nobody has open; none where there is none. Nothing is changed.
    pub(crate) fn look(disk: Arc<dyn Disk>, dir: &Path, name: &str) -> Result<Option<Log>, Error> {
        let mut log = Log { disk, dir: dir.into(), name: name.into(), state: TableState::default() };
        if matches!(log.disk.exists(&log.log_dir()), Ok(false)) {
            return Ok(None);
        }
        let names = log.names()?;
        if names.is_empty() {
            return Ok(None);
        }
        log.replay(&names)?;
        Ok(Some(log))
    }

    /// Which files make this version.
    pub(crate) fn copy(&self, folder: &str) -> Result<TableCopy, Error> {
        let names = self.names()?;
        let mine = || names.iter().filter(|(version, _, _)| *version <= self.state.version);
        // What comes before a checkpoint is of use to nobody who has that.
        let from = mine().filter(|(_, checkpoint, _)| *checkpoint).map(|(version, _, _)| *version).max();
        let log = mine().filter(|(version, _, _)| Some(*version) >= from).map(|(_, _, name)| name.clone());
        Ok(TableCopy {
            folder: folder.to_owned(),
            version: self.state.version,
            applied: self.state.applied,
            files: self.state.files.values().map(|file| (file.path.clone(), file.size)).collect(),
            log: log.collect(),
            last_checkpoint: from.and_then(|_| self.read("_last_checkpoint").ok()),
        })
    }

    fn log_dir(&self) -> PathBuf {
        self.dir.join("_delta_log")
    }

    fn newer(&self, found: u32) -> Error {
        let known = Protocol::OURS.min_writer_version;
        let file = format!("the table {}, by Delta's protocol,", self.name);
        Error::NewerFormat { file, found: found.into(), known: known.into() }
    }

    fn broken(&self, file: &str, detail: impl Into<String>) -> Error {
        Error::Log { file: format!("{}/_delta_log/{file}", self.name), detail: detail.into() }
    }

    fn disk_error(&self, what: &'static str, file: &str, source: std::io::Error) -> Error {
        Error::Disk { what, path: self.log_dir().join(file), source }
    }

    /// (version, whether a checkpoint, name) of all that belongs to the log, sorted.
    fn names(&self) -> Result<Vec<(u64, bool, String)>, Error> {
        let entries =
            self.disk.list(&self.log_dir()).map_err(|source| self.disk_error("listed", "", source))?;
        let parse = |name: &str| {
            let (number, kind) = name.split_once('.')?;
            let version = (number.len() == 20).then(|| number.parse().ok())??;
            match kind {
                "json" => Some((version, false)),
                "checkpoint.parquet" => Some((version, true)),
                _ => None,
            }
        };
        let mut names: Vec<_> = entries
            .into_iter()
            .filter_map(|entry| {
                parse(&entry.name).map(|(version, checkpoint)| (version, checkpoint, entry.name))
            })
            .collect();
        names.sort();
        Ok(names)
    }

    fn replay(&mut self, names: &[(u64, bool, String)]) -> Result<(), Error> {
        let mut next = 0;
        if let Some((version, _, name)) = names.iter().rfind(|(_, checkpoint, _)| *checkpoint) {
            let bytes = self.read(name)?;
            for action in checkpoint::decode(bytes).map_err(|detail| self.broken(name, detail))? {
                self.state.apply(action).map_err(|found| self.newer(found))?;
            }
            self.state.version = *version;
            next = version + 1;
            // What the last commit says of its corrections stands in its entry only.
            let entry = names.iter().find(|(of, checkpoint, _)| of == version && !checkpoint);
            for action in entry.map_or(Ok(Vec::new()), |(_, _, name)| self.entry(name))? {
                if matches!(action, Action::CommitInfo(_)) {
                    self.state.apply(action).map_err(|found| self.newer(found))?;
                }
            }
        }
        let first = next;
        for (version, _, name) in
            names.iter().filter(|(version, checkpoint, _)| !checkpoint && *version >= first)
        {
            if *version != next {
                return Err(self.broken(name, format!("entry {next} before it is missing")));
            }
            for action in self.entry(name)? {
                self.state.apply(action).map_err(|found| self.newer(found))?;
            }
            self.state.version = *version;
            next = version + 1;
        }
        if self.state.meta.is_none() {
            return Err(self.broken("", "it does not say what the table is (no metaData action)"));
        }
        Ok(())
    }

    /// The actions of an entry.
    fn entry(&self, name: &str) -> Result<Vec<Action>, Error> {
        let bytes = self.read(name)?;
        let text = std::str::from_utf8(&bytes).map_err(|error| self.broken(name, error.to_string()))?;
        // An entry comes whole by a rename, and ends with a line feed: anything else was done to it later.
        if !text.ends_with('\n') {
            return Err(self.broken(name, format!("it has {} bytes and is cut off", bytes.len())));
        }
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines
            .map(|line| serde_json::from_str(line).map_err(|error| self.broken(name, error.to_string())))
            .collect()
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        read(&*self.disk, &self.log_dir().join(name)).map_err(|source| self.disk_error("read", name, source))
    }

    /// Adds a commit. Files it adds must be synced, and so must their folder. After an error the state is as before,
    /// and the commit is on disk whole or not at all; the next one of this process takes the same number.
    pub(crate) fn commit(&mut self, actions: Vec<Action>) -> Result<u64, Error> {
        let version = self.state.version + 1;
        self.write_entry(version, &actions)?;
        self.state.version = version;
        for action in actions {
            self.state.apply(action).map_err(|found| self.newer(found))?;
        }
        Ok(version)
    }

    fn write_entry(&self, version: u64, actions: &[Action]) -> Result<(), Error> {
        let name = format!("{version:020}.json");
        let mut bytes = Vec::new();
        for action in actions {
            serde_json::to_writer(&mut bytes, action)
                .map_err(|error| self.broken(&name, error.to_string()))?;
            bytes.push(b'\n');
        }
        replace(&*self.disk, &self.log_dir().join(&name), &bytes)
            .map_err(|source| self.disk_error("written", &name, source))
    }

    /// Writes a checkpoint when it is time, and removes entries that are far behind it.
    pub(crate) fn tidy(&mut self) -> Result<(), Error> {
        let version = self.state.version;
        if version == 0 || !version.is_multiple_of(CHECKPOINT_EVERY) {
            return Ok(());
        }
        let name = format!("{version:020}.checkpoint.parquet");
        let actions = self.state.actions();
        let bytes = checkpoint::encode(&actions).map_err(|detail| self.broken(&name, detail))?;
        replace(&*self.disk, &self.log_dir().join(&name), &bytes)
            .map_err(|source| self.disk_error("written", &name, source))?;
        let last = format!("{{\"version\":{version},\"size\":{}}}", actions.len());
        replace(&*self.disk, &self.log_dir().join("_last_checkpoint"), last.as_bytes())
            .map_err(|source| self.disk_error("written", "_last_checkpoint", source))?;
        // The newest checkpoint stands; everything up to an older one may go, oldest first.
        let keep_from = version.saturating_sub(KEPT_COMMITS);
        for (_, _, name) in self.names()?.into_iter().filter(|(version, _, _)| *version < keep_from) {
            self.disk
                .remove(&self.log_dir().join(&name))
                .map_err(|source| self.disk_error("removed", &name, source))?;
        }
        self.disk.sync_dir(&self.log_dir()).map_err(|source| self.disk_error("synced", "", source))
    }

    /// Whether the entry after the last one is on disk: after a failed commit, that its outcome is unknown.
    pub(crate) fn may_have_next(&self) -> bool {
        let name = format!("{:020}.json", self.state.version + 1);
        !matches!(self.disk.exists(&self.log_dir().join(name)), Ok(false))
    }

    /// Forgets a removed file that is gone from disk.
    pub(crate) fn forget(&mut self, path: &str) {
        self.state.removed.remove(path);
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
