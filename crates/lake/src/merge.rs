//! Fewer and larger files: a day when it is over, then small neighbours into windows of up to 32 days, so that a
//! sample is written once more after its flush, and a second time only where a day is small. One merge at a time, in
//! bounded memory, never in the way of an append. Also retention and cleaning. What does not live here: the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::Store;
use super::commit::Change;
use super::delta::timestamp_ms;
use super::files::{FileEntry, Level, Version, WINDOW_DAYS_MAX, Window};
use super::flush::Output;
use super::merge_rows::{From, Merge, Place};
use super::run::LOOK_EVERY;
use super::tables::Table;
use super::vacuum;
use super::view::{Lanes, Sought};
use crate::Columns;
use crate::Error;

/// A window with less than this is merged with its neighbours.
const SMALL_BYTES: u64 = 16 << 20;
/// Small windows are merged until their files have about this.
const WINDOW_BYTES_MAX: u64 = 256 << 20;
/// Late samples are merged into what stands when they are an eighth of it, or when so many flushes brought some, …
const LATE_SHARE: u64 = 8;
const LATE_FLUSHES_MAX: usize = 9;
/// … or when none came for so long.
const LATE_QUIET_MS: i64 = 86_400_000;

/// Files that become one set.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) window: Window,
    pub(crate) files: Vec<Arc<FileEntry>>,
}

/// The next merge that is due: of the windows whose files lie in most layers, the newest. The newest alone would leave the others
/// waiting for as long as late samples come.
pub(crate) fn plan(version: &Version, wall: i64, merge_after_ns: i64) -> Option<Plan> {
    let mut windows: BTreeMap<Window, Vec<Arc<FileEntry>>> = BTreeMap::new();
    for file in &version.files {
        windows.entry(file.window).or_default().push(file.clone());
    }
    let closed = |window: Window| window.last().saturating_add(merge_after_ns) < wall;
    let layered = windows
        .iter()
        .filter(|(window, files)| closed(**window) && due(files, wall))
        .max_by_key(|(window, files)| (layers(files), **window));
    if let Some((window, files)) = layered {
        return Some(whole(version, Plan { window: *window, files: files.clone() }));
    }
    neighbours(&windows, &closed).map(|plan| whole(version, plan))
}

/// How many flushes or merges made these files.
fn layers(files: &[Arc<FileEntry>]) -> usize {
    files.iter().map(|file| file.order).collect::<BTreeSet<_>>().len()
}

fn bytes<'a>(files: impl IntoIterator<Item = &'a Arc<FileEntry>>) -> u64 {
    files.into_iter().map(|file| file.add.size).sum()
}

/// Whether the files of a closed window are to be merged now.
fn due(files: &[Arc<FileEntry>], wall: i64) -> bool {
    if layers(files) < 2 {
        return false;
    }
    let (flushed, merged): (Vec<_>, Vec<_>) = files.iter().partition(|file| file.level == Level::Flush);
    let newest = flushed.iter().map(|file| file.add.modification_time).max().unwrap_or(i64::MIN);
    merged.is_empty()
        || bytes(flushed.iter().copied()) * LATE_SHARE >= bytes(merged.iter().copied())
        || layers(files) >= LATE_FLUSHES_MAX
        || newest.saturating_add(LATE_QUIET_MS) < timestamp_ms(wall)
}

/// The largest window whose small days become one set of files.
fn neighbours(
    windows: &BTreeMap<Window, Vec<Arc<FileEntry>>>,
    closed: &dyn Fn(Window) -> bool,
) -> Option<Plan> {
    for window in windows.keys().rev() {
        let mut outer = *window;
        let mut best = None;
        while outer.days < WINDOW_DAYS_MAX {
            outer = outer.parent();
            let inside: Vec<_> = windows.iter().filter(|(inner, _)| outer.holds(**inner)).collect();
            let small =
                inside.iter().all(|(_, files)| layers(files) == 1 && bytes(files.iter()) < SMALL_BYTES);
            let all = bytes(inside.iter().flat_map(|(_, files)| files.iter()));
            if !small || all > WINDOW_BYTES_MAX {
                break;
            }
            if closed(outer) && inside.len() > 1 {
                best = Some((outer, inside));
            }
        }
        // Only what cannot grow any further is merged, so that no day is written more than once more: the largest
        // window must be closed, or the next larger one be too large.
        let Some((outer, inside)) = best else { continue };
        let next = outer.parent();
        let beyond = windows.iter().filter(|(inner, _)| next.holds(**inner));
        let stuck = beyond.clone().any(|(_, files)| layers(files) > 1 || bytes(files.iter()) >= SMALL_BYTES)
            || bytes(beyond.flat_map(|(_, files)| files.iter())) > WINDOW_BYTES_MAX;
        if outer.days == WINDOW_DAYS_MAX || (closed(next) && stuck) {
            let files = inside.into_iter().flat_map(|(_, files)| files.iter().cloned()).collect();
            return Some(Plan { window: outer, files });
        }
    }
    None
}

/// Takes in files that arrived between those of the plan and reach into their time: different values at one time
/// stay in order of arrival.
fn whole(version: &Version, mut plan: Plan) -> Plan {
    loop {
        let first = plan.files.iter().map(|file| file.order).min().unwrap_or(0);
        let last = plan.files.iter().map(|file| file.order).max().unwrap_or(0);
        let (from, to) = (
            plan.files.iter().map(|file| file.from).min().unwrap_or(i64::MAX),
            plan.files.iter().map(|file| file.last).max().unwrap_or(i64::MIN),
        );
        let between = version.files.iter().find(|file| {
            let known = plan.files.iter().any(|other| other.name() == file.name());
            !known && file.order > first && file.order < last && file.overlaps(from, to)
        });
        let Some(file) = between else {
            plan.files.sort_by(|one, other| (one.order, one.name()).cmp(&(other.order, other.name())));
            return plan;
        };
        while !plan.window.holds(file.window) {
            plan.window = plan.window.parent();
        }
        plan.files.push(file.clone());
    }
}

impl Store {
    /// Does one merge that is due. Says whether there was one.
    pub(crate) fn merge_step(&self, give_up: &dyn Fn() -> bool) -> Result<bool, Error> {
        if self.retire_old()? {
            return Ok(true);
        }
        let mut version = (*self.lock().version).clone();
        version.files.retain(|file| !self.damaged.has(file));
        let merge_after = i64::try_from(self.settings.merge_after.as_nanos()).unwrap_or(i64::MAX);
        let Some(plan) = plan(&version, self.clock.wall(), merge_after) else {
            return self.merge_tables();
        };
        tracing::debug!(event = "merge.began", files = plan.files.len());
        let outcome = self.merge_planned(plan, give_up);
        tracing::debug!(event = "merge.ended", good = outcome.is_ok());
        outcome.map(|()| true)
    }

    fn merge_planned(&self, plan: Plan, give_up: &dyn Fn() -> bool) -> Result<(), Error> {
        let added = self.merge_files(&plan, give_up).inspect_err(|error| self.damaged.note(error))?;
        let mut change = Change::removing(plan.files);
        change.added = added;
        self.commit_aside(change, "OPTIMIZE")?;
        self.meters.merges.add(1);
        Ok(())
    }

    fn merge_files(&self, plan: &Plan, give_up: &dyn Fn() -> bool) -> Result<Vec<FileEntry>, Error> {
        let mut ids = BTreeSet::new();
        for file in &plan.files {
            ids.extend(self.files.footer(file)?.directory.entries.iter().map(|entry| entry.signal));
        }
        let paths = self.paths_of(ids, &plan.files, &|_, error| Err(error))?;
        let mut signals: Vec<_> = paths.into_iter().map(|(id, path)| (path, id)).collect();
        signals.sort();
        let ids: Vec<_> = signals.iter().map(|(_, id)| *id).collect();
        let everything = (i64::MIN, i64::MAX);
        // One batch of each file is in memory, about 100 bytes a row with its pages.
        let share = self.settings.merge_bytes / (plan.files.len().max(1) as u64 * 200);
        let batch_rows = usize::try_from(share).unwrap_or(usize::MAX).clamp(256, 8_192);
        let all = |_: &[Vec<(usize, i64, i64)>]| Columns::ALL;
        let sought = Sought {
            files: &self.files,
            chosen: &plan.files,
            signals: &ids,
            time: everything,
            batch_rows,
            account: None,
        };
        let mut lanes = Lanes::open(&sought, &|_| Some(everything), &all)?;
        let order = plan.files.iter().map(|file| file.order).max().unwrap_or(0);
        let mut output = Output::new(self, plan.window, Level::Merged, order);
        for (position, (path, signal)) in signals.iter().enumerate() {
            self.give_way(plan, give_up)?;
            let places = lanes.of(position).iter().map(|(lane, min, max)| Place {
                min: *min,
                max: *max,
                from: From::Lane(*lane),
                emit: true,
                exact: true,
            });
            let mut merge = Merge::new(places.collect(), everything.0, everything.1);
            while let Some(rows) = merge.next(&mut lanes.lanes)? {
                output.add(*signal, path, &rows)?;
            }
        }
        output.finish()
    }

    /// Lets go of files that are older than what is kept.
    fn retire_old(&self) -> Result<bool, Error> {
        let Some(keep) = self.settings.keep else { return Ok(false) };
        let keep = i64::try_from(keep.as_nanos()).unwrap_or(i64::MAX);
        let before = self.clock.wall().saturating_sub(keep);
        let version = self.lock().version.clone();
        let removed: Vec<_> = version.files.iter().filter(|file| file.last < before).cloned().collect();
        if removed.is_empty() {
            return Ok(false);
        }
        let (files, samples) = (removed.len(), removed.iter().map(|file| file.rows).sum());
        self.commit_aside(Change::removing(removed), "DELETE")?;
        self.meters.retired.add(samples);
        let since = tidemill_core::rfc3339(before);
        tracing::info!(event = "samples.retired", samples, files, before = since, "older than storage.keep");
        Ok(true)
    }

    /// Commits what takes files out of the table between two flushes, never during one.
    fn commit_aside(&self, change: Change, operation: &str) -> Result<(), Error> {
        let _one = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        self.commit(change, None, operation, |_| {})
    }

    /// Pauses a merge while a flush rewrites files: someone waits for that. The merge ends early if one of its own files was among
    /// them.
    fn give_way(&self, plan: &Plan, give_up: &dyn Fn() -> bool) -> Result<(), Error> {
        let state = loop {
            if give_up() {
                return Err(Error::Stopping);
            }
            let state = self.lock();
            if !state.rewriting {
                break state;
            }
            drop(self.changed.wait_timeout(state, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner));
        };
        let gone = plan.files.iter().any(|file| !state.version.has(file.name()));
        if gone { Err(Error::Conflict) } else { Ok(()) }
    }

    fn open_tables(&self) -> Vec<Arc<Table>> {
        let state = self.lock();
        state
            .tables
            .values()
            .map(|(table, _)| table.clone())
            .filter(|table| table.closed().is_none())
            .collect()
    }

    fn merge_tables(&self) -> Result<bool, Error> {
        let tables = self.open_tables();
        for table in tables {
            let _one = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
            if table.merge(&|| self.table_file_name(), self.clock.wall(), &self.damaged)? {
                if let Some(stream) = table.spec.stream {
                    self.lock().tables.insert(stream, (table.clone(), table.version()));
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes files that left the table long enough ago and that no view reads. While the disk is low, those that left
    /// it at all: they are kept for strangers only, who look at the table's log now and at its files later.
    pub(crate) fn clean(&self) -> Result<(), Error> {
        let vacuum_after = i64::try_from(self.settings.vacuum_after.as_millis()).unwrap_or(i64::MAX);
        let now = timestamp_ms(self.clock.wall());
        let before = now.saturating_sub(vacuum_after);
        let samples_before = if self.journal.wants_room() { now } else { before };
        // From here on no file leaves the table.
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if self.copies.load(Ordering::Acquire) > 0 {
            return Ok(());
        }
        {
            let mut state = self.lock();
            // Only this list still holds them: no view can ask for them any more.
            state.leaving.retain(|file| Arc::strong_count(file) > 1);
        }
        let held: BTreeSet<String> = self.lock().leaving.iter().map(|file| file.name().to_owned()).collect();
        let may_go = |name: &str| {
            let free = !held.contains(name);
            if free {
                self.files.forget(name);
            }
            free
        };
        let count = vacuum::remove_old(&*self.disk, &self.place.dir, &mut log, samples_before, &may_go)?;
        drop(log);
        let mut count = count;
        let tables = self.open_tables();
        for table in tables {
            count += table.vacuum(before)?;
        }
        self.meters.vacuumed.add(count);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
