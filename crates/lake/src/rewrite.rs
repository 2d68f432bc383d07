//! Files from which rows go are written anew: row groups that have none of them are copied byte for byte, the others decoded and
//! encoded again. What does not live here: which rows go (`flush`), the bytes of a file (`write`), its reading (`read`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use tidemill_core::{Deletion, SignalId};

use super::Store;
use super::commit::Change;
use super::directory::Entry;
use super::files::{FileEntry, Version};
use super::flush::Output;
use super::lane::{Lane, Want};
use super::read::{Files, Footer};
use super::rows::Rows;
use super::sources::deleted;
use crate::Columns;
use crate::Error;

const EVERYTHING: (i64, i64) = (i64::MIN, i64::MAX);

/// Single times of signals.
type Times = BTreeMap<SignalId, BTreeSet<i64>>;

/// Rows of files that were replaced, by file.
#[derive(Default)]
pub(crate) struct Gone(BTreeMap<String, Times>);

impl Gone {
    pub(crate) fn add(&mut self, file: &FileEntry, signal: SignalId, time: i64) {
        self.0.entry(file.name().to_owned()).or_default().entry(signal).or_default().insert(time);
    }
}

/// What goes from one file.
struct Going<'a> {
    times: Option<&'a Times>,
    deletions: &'a [Arc<Deletion>],
}

impl Going<'_> {
    /// The stretches of time in which rows of an entry may go.
    fn stretches(&self, entry: &Entry) -> Vec<(i64, i64)> {
        let times = self.times.and_then(|times| times.get(&entry.signal));
        let single = times.and_then(|times| Some((*times.first()?, *times.last()?)));
        let deletions = self.deletions.iter().filter(|deletion| deletion.concerns(entry.signal));
        let all = single.into_iter().chain(deletions.map(|deletion| (deletion.from, deletion.last)));
        all.filter(|(from, last)| entry.from <= *last && entry.last >= *from).collect()
    }
}

/// The rows of a file by row group.
struct Layout<'a> {
    footer: &'a Arc<Footer>,
    groups: Vec<Range<u64>>,
    /// In the order of the file.
    entries: Vec<Entry>,
}

impl Layout<'_> {
    fn of(footer: &Arc<Footer>) -> Layout<'_> {
        let mut entries = footer.directory.entries.clone();
        entries.sort_by_key(|entry| entry.first_row);
        Layout { footer, groups: footer.groups(), entries }
    }

    /// The part of each signal in a row group.
    fn parts(&self, group: &Range<u64>) -> Vec<Entry> {
        let first = self.entries.partition_point(|entry| entry.first_row + entry.rows <= group.start);
        let part = |entry: &Entry| {
            let first_row = entry.first_row.max(group.start);
            let end = (entry.first_row + entry.rows).min(group.end);
            (first_row < end).then(|| Entry { first_row, rows: end - first_row, ..*entry })
        };
        self.entries.get(first..).unwrap_or_default().iter().map_while(part).collect()
    }

    /// Which row groups may have rows that go, or cannot be copied.
    fn touched(&self, going: &Going<'_>) -> Vec<bool> {
        let unknown = |index| self.footer.paths_of_group(index).is_none();
        let mut touched: Vec<bool> = (0..self.groups.len()).map(unknown).collect();
        for entry in &self.entries {
            for (from, last) in going.stretches(entry) {
                let mut want = Want::of(0, entry);
                self.footer.narrow(&mut want, from, last);
                let (start, end) = (want.first_row, want.first_row + want.rows);
                let inside = |group: &Range<u64>| group.start < end && group.end > start;
                self.groups.iter().zip(&mut touched).for_each(|(group, touched)| *touched |= inside(group));
            }
        }
        touched
    }
}

impl Store {
    /// Writes the files from which rows go anew.
    pub(crate) fn rewrite(
        &self,
        gone: &Gone,
        deletions: &[Arc<Deletion>],
        version: &Version,
        change: &mut Change,
    ) -> Result<(), Error> {
        for file in &version.files {
            let times = gone.0.get(file.name());
            let deleting = deletions.iter().any(|deletion| file.overlaps(deletion.from, deletion.last));
            if times.is_none() && !deleting {
                continue;
            }
            let footer = self.files.footer(file).inspect_err(|error| self.damaged.note(error));
            if footer.is_err() && self.damaged.has(file) {
                continue;
            }
            let footer = footer?;
            let going = Going { times, deletions };
            if footer.directory.entries.iter().all(|entry| going.stretches(entry).is_empty()) {
                continue;
            }
            self.lock().rewriting = true;
            self.unless_damaged(change, |part| self.rewrite_file(file, &footer, &going, part))?;
        }
        Ok(())
    }

    fn rewrite_file(
        &self,
        file: &Arc<FileEntry>,
        footer: &Arc<Footer>,
        going: &Going<'_>,
        change: &mut Change,
    ) -> Result<(), Error> {
        if self.damaged.has(file) {
            return Ok(());
        }
        let layout = Layout::of(footer);
        let touched = layout.touched(going);
        let again = layout.groups.iter().zip(&touched).filter(|(_, touched)| **touched);
        let parts: Vec<Entry> = again.flat_map(|(group, _)| layout.parts(group)).collect();
        let signals = parts.iter().map(|part| part.signal);
        let paths = self.paths_of(signals, std::slice::from_ref(file), &|_, error| Err(error))?;
        let wants = parts.iter().enumerate().map(|(position, entry)| Want::of(position, entry)).collect();
        let mut lane = Lane::new(&self.files, file, footer, wants, EVERYTHING);
        let mut output = Output::new(self, file.window, file.level, file.order);
        for (index, (group, touched)) in layout.groups.iter().zip(touched).enumerate() {
            let mut parts = layout.parts(group);
            if touched {
                for (id, path) in parts.iter().filter_map(|part| paths.get_key_value(&part.signal)) {
                    self.rewrite_part((*id, path), &mut lane, going, &mut output, change)?;
                }
                continue;
            }
            for part in &mut parts {
                let entry = footer.directory.find(part.signal);
                if let Some(entry) = entry.filter(|entry| !going.stretches(entry).is_empty()) {
                    // Other rows of it go: its first and last time become those of what stays.
                    (part.from, part.last) = span(&self.files, (file, footer), entry, part)?;
                }
            }
            output.copy(footer, index, &parts)?;
            self.meters.groups_copied.add(1);
        }
        change.added.extend(output.finish()?);
        change.removed.push(file.clone());
        self.meters.files_rewritten.add(1);
        Ok(())
    }

    /// Writes what stays of the next part that the lane reads.
    fn rewrite_part(
        &self,
        (signal, path): (SignalId, &Arc<str>),
        lane: &mut Lane,
        going: &Going<'_>,
        output: &mut Output<'_>,
        change: &mut Change,
    ) -> Result<(), Error> {
        while let Some(mut rows) = lane.next()? {
            if let Some(times) = going.times.and_then(|times| times.get(&signal)) {
                rows = drop_times(&rows, times);
            }
            for deletion in going.deletions.iter().filter(|deletion| deletion.concerns(signal)) {
                let old = rows.clone().cut(deletion.from, deletion.last);
                if !old.is_empty() {
                    self.correct(change, &deleted(path, old, deletion))?;
                    rows = rows.without(deletion.from, deletion.last);
                }
            }
            output.add(signal, path, &rows)?;
        }
        Ok(())
    }
}

/// The times of the first and the last row of a part of an entry.
fn span(
    files: &Arc<Files>,
    (file, footer): (&Arc<FileEntry>, &Footer),
    entry: &Entry,
    part: &Entry,
) -> Result<(i64, i64), Error> {
    let columns = Columns { time: true, value: false, quality: false, received: false, source: false };
    let time_at = |row: u64| {
        let want = Want::of(0, &Entry { first_row: row, rows: 1, ..*entry });
        let mut lane = Lane::new(files, file, footer, vec![want], EVERYTHING);
        (lane.columns, lane.batch_rows) = (columns, 1);
        Ok::<_, Error>(lane.next()?.and_then(|rows| rows.time.first().copied()))
    };
    let (end, entry_end) = (part.first_row + part.rows, entry.first_row + entry.rows);
    let from = if part.first_row == entry.first_row { None } else { time_at(part.first_row)? };
    let last = if end == entry_end { None } else { time_at(end - 1)? };
    Ok((from.unwrap_or(entry.from), last.unwrap_or(entry.last)))
}

fn drop_times(rows: &Rows, times: &BTreeSet<i64>) -> Rows {
    let mut kept = Rows::default();
    let stays = |row: &usize| rows.time.get(*row).is_some_and(|time| !times.contains(time));
    (0..rows.len()).filter(stays).for_each(|row| kept.push(&rows.row(row)));
    kept
}
