//! The files of the table as one immutable version: what each holds and where it stands in time. What does not live
//! here: bytes of files (`read`, `write`), the log that makes versions durable (`delta`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::delta::{Add, TableState, timestamp_ms};
use super::write::Written;
use crate::FileFact;

/// Nanoseconds of a day.
pub(crate) const DAY_NS: i64 = 86_400_000_000_000;
/// The longest window of time that a file spans, in days. A power of two.
pub(crate) const WINDOW_DAYS_MAX: i64 = 32;

/// A day as it stands in file names: `20261122`.
pub(crate) fn day_name(day: i64) -> String {
    let text = tidemill_core::rfc3339(day.saturating_mul(DAY_NS));
    text.split('T').next().unwrap_or_default().replace('-', "")
}

/// How a file came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Written from the buffer, not merged yet.
    Flush,
    /// Everything of a window, merged.
    Merged,
}

/// A stretch of UTC days: `days` is a power of two, and the first day is a multiple of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Window {
    pub(crate) first_day: i64,
    pub(crate) days: i64,
}

impl Window {
    /// The window of that many days which holds a time.
    pub(crate) fn of(time: i64, days: i64) -> Window {
        let day = time.div_euclid(DAY_NS);
        Window { first_day: day - day.rem_euclid(days), days }
    }

    /// The first time in it.
    pub(crate) fn from(self) -> i64 {
        self.first_day.saturating_mul(DAY_NS)
    }

    /// The last time in it; of the last window the last time there is.
    pub(crate) fn last(self) -> i64 {
        self.first_day.saturating_add(self.days).checked_mul(DAY_NS).map_or(i64::MAX, |end| end - 1)
    }

    /// The window of twice the length that holds this one.
    pub(crate) fn parent(self) -> Window {
        let days = self.days * 2;
        Window { first_day: self.first_day - self.first_day.rem_euclid(days), days }
    }

    pub(crate) fn holds(self, other: Window) -> bool {
        self.first_day <= other.first_day && other.first_day + other.days <= self.first_day + self.days
    }
}

/// A file of the table.
#[derive(Clone, Debug)]
pub(crate) struct FileEntry {
    pub(crate) add: Add,
    pub(crate) rows: u64,
    pub(crate) from: i64,
    pub(crate) last: i64,
    pub(crate) window: Window,
    pub(crate) level: Level,
    /// Rows of files with a lower number arrived earlier; it is the version of the flush that brought them.
    pub(crate) order: u64,
    /// (where the tail begins, its CRC32C).
    pub(crate) tail: Option<(u64, u32)>,
}

impl FileEntry {
    pub(crate) fn name(&self) -> &str {
        &self.add.path
    }

    pub(crate) fn overlaps(&self, from: i64, last: i64) -> bool {
        self.from <= last && self.last >= from
    }

    /// A file that was just written, ready for a commit.
    pub(crate) fn of(written: &Written, window: Window, level: Level, order: u64, wall: i64) -> FileEntry {
        let tags = BTreeMap::from([
            ("tidemill.from".to_owned(), written.from.to_string()),
            ("tidemill.last".to_owned(), written.last.to_string()),
            ("tidemill.rows".to_owned(), written.rows.to_string()),
            ("tidemill.window".to_owned(), format!("{},{}", window.first_day, window.days)),
            ("tidemill.level".to_owned(), if level == Level::Flush { "flush" } else { "merged" }.to_owned()),
            ("tidemill.order".to_owned(), order.to_string()),
            ("tidemill.tail".to_owned(), format!("{},{}", written.tail.0, written.tail.1)),
        ]);
        let add = Add {
            path: written.name.clone(),
            partition_values: BTreeMap::new(),
            size: written.bytes,
            modification_time: timestamp_ms(wall),
            data_change: level == Level::Flush,
            stats: Some(stats(written)),
            tags: Some(tags),
        };
        FileEntry {
            add,
            rows: written.rows,
            from: written.from,
            last: written.last,
            window,
            level,
            order,
            tail: Some(written.tail),
        }
    }

    fn from_log(add: &Add) -> Option<FileEntry> {
        let tags = add.tags.as_ref()?;
        let tag = |name: &str| tags.get(&format!("tidemill.{name}")).map(String::as_str);
        let (first_day, days) = tag("window")?.split_once(',')?;
        let (tail_at, tail_sum) = tag("tail")?.split_once(',')?;
        Some(FileEntry {
            add: add.clone(),
            rows: tag("rows")?.parse().ok()?,
            from: tag("from")?.parse().ok()?,
            last: tag("last")?.parse().ok()?,
            window: Window { first_day: first_day.parse().ok()?, days: days.parse().ok()? },
            level: if tag("level")? == "flush" { Level::Flush } else { Level::Merged },
            order: tag("order")?.parse().ok()?,
            tail: Some((tail_at.parse().ok()?, tail_sum.parse().ok()?)),
        })
    }

    pub(crate) fn fact(&self) -> FileFact {
        FileFact {
            name: self.name().to_owned(),
            bytes: self.add.size,
            rows: self.rows,
            from: self.from,
            last: self.last,
            level: match (self.level, self.window.days) {
                (Level::Flush, _) => "flush",
                (Level::Merged, 1) => "day",
                (Level::Merged, _) => "window",
            },
        }
    }
}

/// What other readers skip files by (protocol, "Per-file Statistics"). Times are cut to milliseconds there, so the
/// last one is rounded up.
fn stats(written: &Written) -> String {
    let time = |ms: i64| tidemill_core::rfc3339(ms.saturating_mul(1_000_000));
    let last_ms = written.last.div_euclid(1_000_000).saturating_add(1);
    serde_json::json!({
        "numRecords": written.rows,
        "minValues": { "signal": written.first_path, "time": time(written.from.div_euclid(1_000_000)) },
        "maxValues": { "signal": written.last_path, "time": time(last_ms) },
    })
    .to_string()
}

/// One version of the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Version {
    /// In order of arrival.
    pub(crate) files: Vec<Arc<FileEntry>>,
}

impl Version {
    /// The version that the log describes. Err: the file whose entry says too little.
    pub(crate) fn of(state: &TableState) -> Result<Version, String> {
        let files: Result<Vec<_>, String> = state
            .files
            .values()
            .map(|add| FileEntry::from_log(add).map(Arc::new).ok_or_else(|| add.path.clone()))
            .collect();
        let mut version = Version { files: files? };
        version.sort();
        Ok(version)
    }

    fn sort(&mut self) {
        self.files.sort_by(|one, other| (one.order, one.name()).cmp(&(other.order, other.name())));
    }

    /// The version after some files came and some went.
    pub(crate) fn with(&self, added: Vec<FileEntry>, removed: &[String]) -> Version {
        let stays = |file: &&Arc<FileEntry>| !removed.iter().any(|name| name == file.name());
        let mut version = Version { files: self.files.iter().filter(stays).cloned().collect() };
        version.files.extend(added.into_iter().map(Arc::new));
        version.sort();
        version
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.name() == name)
    }
}
