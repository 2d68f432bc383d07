//! From a frozen buffer to files: one file (or a few) per window of time, sorted by path and time, without what the
//! table has already. What replaces or deletes rewrites the files it touches, in the same commit. What does not live
//! here: that rewriting (`rewrite`), when to flush (`run`), the commit (`commit`), merging for its own sake (`merge`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidemill_core::{Deletion, SignalId};

use super::Store;
use super::commit::{Change, Correction};
use super::directory::Entry;
use super::files::{DAY_NS, FileEntry, Level, Version, WINDOW_DAYS_MAX, Window};
use super::frozen::Frozen;
use super::lane::BATCH_ROWS;
use super::merge_rows::{From, Killed, Merge, Place};
use super::read::Footer;
use super::rewrite::Gone;
use super::rows::{ReceivedAt, Rows};
use super::sources::{Source, Sources};
use super::view::{self, Lanes, Sought, places_of};
use super::write::{FileWriter, Written};
use crate::Columns;
use crate::Error;

/// A file is closed at about this size, at the end of a signal.
pub(crate) const FILE_BYTES_MAX: u64 = 128 << 20;
/// A flush writes into at most so many windows; if times are spread wider, the windows are longer.
const WINDOWS_MAX: usize = 256;
/// Bytes a row takes in a file, for planning.
const ROW_BYTES: u64 = 4;

/// Divides days into windows: recent days stand alone; older ones share a window as long as its file stays small, so
/// that years of slow data do not make thousands of files.
fn plan(days: &BTreeMap<i64, u64>, today: i64) -> Vec<Window> {
    let mut days_max = WINDOW_DAYS_MAX;
    loop {
        let mut windows: Vec<Window> = Vec::new();
        for day in days.keys() {
            if windows.last().is_some_and(|window| *day < window.first_day + window.days) {
                continue;
            }
            let mut length = days_max;
            let window = loop {
                let window = Window::of(day.saturating_mul(DAY_NS), length);
                let end = window.first_day + window.days;
                let rows: u64 = days.range(window.first_day..end).map(|(_, rows)| rows).sum();
                // Two windows of one flush never overlap: the days before this one are taken.
                let free =
                    windows.last().is_none_or(|before| before.first_day + before.days <= window.first_day);
                let old = end < today || days_max > WINDOW_DAYS_MAX;
                if length == 1 || (free && old && rows * ROW_BYTES <= FILE_BYTES_MAX) {
                    break window;
                }
                length /= 2;
            };
            windows.push(window);
        }
        if windows.len() <= WINDOWS_MAX || days_max >= 1 << 20 {
            return windows;
        }
        days_max *= 2;
    }
}

impl Store {
    /// Writes everything that a frozen buffer brings to files that are not yet part of the table.
    /// On an error `change` says what was written.
    pub(crate) fn write_flush(
        &self,
        frozen: &Frozen,
        version: &Version,
        change: &mut Change,
    ) -> Result<(), Error> {
        let sources = self.sources(frozen, version, change)?;
        let today = self.clock.wall().div_euclid(DAY_NS);
        let order = self.next_order(version);
        let deletions = frozen.deletions();
        let mut gone = Gone::default();
        for window in plan(&sources.days(), today) {
            self.unless_damaged(change, |part| {
                self.flush_window(&sources, window, version, order, (&deletions, &mut gone), part)
            })?;
        }
        self.rewrite(&gone, &deletions, version, change)
    }

    /// Does a part of a change. A file in which damage is found can neither be compared with nor rewritten: the part is
    /// done again without it, so that new samples are kept whatever became of old ones.
    pub(crate) fn unless_damaged(
        &self,
        change: &mut Change,
        mut work: impl FnMut(&mut Change) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut left_out = BTreeSet::new();
        loop {
            let mut part = Change::default();
            match work(&mut part) {
                Ok(()) => {
                    change.absorb(part);
                    return Ok(());
                }
                Err(error) => {
                    self.discard(&part);
                    self.damaged.note(&error);
                    // Once for each file: what fails in one that is left out has another reason.
                    if !self.damaged.left_out(&error).is_some_and(|file| left_out.insert(file)) {
                        return Err(error);
                    }
                }
            }
        }
    }

    fn flush_window(
        &self,
        sources: &Sources,
        window: Window,
        version: &Version,
        order: u64,
        (deletions, gone): (&[Arc<Deletion>], &mut Gone),
        change: &mut Change,
    ) -> Result<(), Error> {
        let of_window: Vec<(&Source, (i64, i64))> =
            sources.all.iter().filter_map(|source| Some((source, sources.span(source, window)?))).collect();
        let (from, last) = of_window
            .iter()
            .fold((i64::MAX, i64::MIN), |(from, last), (_, (min, max))| (from.min(*min), last.max(*max)));
        let older: Vec<_> = version
            .files
            .iter()
            .filter(|file| file.overlaps(from, last) && !self.damaged.has(file))
            .cloned()
            .collect();
        let signals: Vec<SignalId> = of_window.iter().map(|(source, _)| source.signal).collect();
        let time_of = |position: usize| of_window.get(position).map(|(_, span)| *span);
        let all = |_: &[Vec<(usize, i64, i64)>]| Columns::ALL;
        let sought = Sought {
            files: &self.files,
            chosen: &older,
            signals: &signals,
            time: (from, last),
            batch_rows: BATCH_ROWS,
            account: None,
        };
        let mut lanes = Lanes::open(&sought, &time_of, &all)?;
        let mut output = Output::new(self, window, Level::Flush, order);
        for (position, (source, _)) in of_window.iter().enumerate() {
            let in_files = lanes.of(position).iter().map(|(lane, min, max)| Place {
                min: *min,
                max: *max,
                from: From::Lane(*lane),
                emit: false,
                exact: true,
            });
            let mut places: Vec<Place> = in_files.collect();
            places.extend(places_of(
                sources.pieces(source),
                source.signal,
                &[],
                window.from(),
                window.last(),
            ));
            let mut merge = Merge::new(places, window.from(), window.last());
            merge.killed = Some(Vec::new());
            // What a deletion takes from files says nothing about samples that came after it.
            merge.gone = view::gone(deletions, source.signal);
            while let Some(rows) = merge.next(&mut lanes.lanes)? {
                output.add(source.signal, &source.path, &rows)?;
            }
            for killed in merge.killed.into_iter().flatten() {
                let file = killed.lane.and_then(|lane| lanes.lanes.get(lane)).map(|lane| &lane.file);
                if let (Some(file), Some(time)) = (file, killed.old.time.first()) {
                    gone.add(file, source.signal, *time);
                }
                self.correct(change, &self.replaced(&source.path, &killed))?;
            }
        }
        change.added.extend(output.finish()?);
        Ok(())
    }

    fn replaced(&self, path: &Arc<str>, killed: &Killed) -> Correction {
        let by = killed.by.row(0);
        Correction {
            when: by.received.map_or(by.time, ReceivedAt::nanos),
            path: path.clone(),
            old: killed.old.clone(),
            action: "replace",
            by: Some(killed.by.clone()),
            who: self.bus.source(by.source).to_string(),
            reason: String::new(),
        }
    }
}

/// Files of one window that are being written: the next one begins where one has become large.
pub(crate) struct Output<'a> {
    store: &'a Store,
    window: Window,
    level: Level,
    order: u64,
    writer: Option<FileWriter>,
    signal: Option<SignalId>,
    written: Vec<Written>,
}

impl<'a> Output<'a> {
    pub(crate) fn new(store: &'a Store, window: Window, level: Level, order: u64) -> Output<'a> {
        Output { store, window, level, order, writer: None, signal: None, written: Vec::new() }
    }

    pub(crate) fn add(&mut self, signal: SignalId, path: &Arc<str>, rows: &Rows) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        if self.signal != Some(signal)
            && self.writer.as_ref().is_some_and(|file| file.bytes() >= FILE_BYTES_MAX)
        {
            self.close()?;
        }
        let begins = self.signal.replace(signal) != Some(signal);
        let writer = self.writer()?;
        if begins {
            writer.begin(signal, path);
        }
        writer.add(rows)
    }

    /// Adds a row group of another file as it stands; `parts` are the rows of signals in it.
    pub(crate) fn copy(&mut self, footer: &Footer, group: usize, parts: &[Entry]) -> Result<(), Error> {
        // Whatever comes next is begun again.
        self.signal = None;
        self.writer()?.copy(footer, group, parts)
    }

    fn writer(&mut self) -> Result<&mut FileWriter, Error> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => FileWriter::create(&self.store.place, self.store.file_name(self.window))?,
        };
        Ok(self.writer.insert(writer))
    }

    fn close(&mut self) -> Result<(), Error> {
        self.signal = None;
        if let Some(writer) = self.writer.take() {
            let (rows, name) = (writer.rows(), writer.name().to_owned());
            let written = writer.finish().inspect_err(|_| {
                let _ = self.store.disk.remove(&self.store.place.dir.join(name));
            })?;
            self.store.meters.rows_written.add(rows);
            self.store.meters.bytes_written.add(written.bytes);
            self.written.push(written);
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Vec<FileEntry>, Error> {
        self.close()?;
        let wall = self.store.clock.wall();
        let written = std::mem::take(&mut self.written);
        let entry = |written: &Written| FileEntry::of(written, self.window, self.level, self.order, wall);
        Ok(written.iter().map(entry).collect())
    }
}

/// What was not finished is not wanted: a full disk must not be filled with leftovers.
impl Drop for Output<'_> {
    fn drop(&mut self) {
        let unfinished = self.writer.take().map(|writer| writer.name().to_owned());
        for name in self.written.iter().map(|file| file.name.clone()).chain(unfinished) {
            let _ = self.store.disk.remove(&self.store.place.dir.join(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_hold_all_days_and_never_overlap() {
        let today = 20_000;
        let years: BTreeMap<i64, u64> = (16_000..=today).map(|day| (day, 24 * 50)).collect();
        let windows = plan(&years, today);
        assert!(windows.len() < 140, "{} windows for eleven years of slow data", windows.len());
        let fast: BTreeMap<i64, u64> = (19_900..today).map(|day| (day, 40_000_000)).collect();
        assert_eq!(plan(&fast, today).len(), 100, "a day with much data stands alone");
        let wide: BTreeMap<i64, u64> = (-50_000..50_000).step_by(7).map(|day| (day, 1)).collect();
        assert!(plan(&wide, today).len() <= WINDOWS_MAX);
        for days in [&years, &fast, &wide] {
            let windows = plan(days, today);
            for pair in windows.windows(2) {
                assert!(pair[0].last() < pair[1].from(), "{pair:?}");
            }
            for day in days.keys() {
                let time = day * DAY_NS;
                assert!(windows.iter().any(|window| window.from() <= time && window.last() >= time));
            }
        }
        assert_eq!(plan(&BTreeMap::from([(today, 5)]), today), [Window { first_day: today, days: 1 }]);
    }
}
