//! What can be set about the store. What does not live here: how these come from `tidemill.toml` (the binary).

use std::time::Duration;

use super::JOURNAL_HELD;

/// What can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes of samples in memory: one half grows while the other is flushed.
    pub buffer_bytes: u64,
    /// Bytes of memory for one merge of files.
    pub merge_bytes: u64,
    /// Bytes of memory for all queries together.
    pub queries_bytes: u64,
    /// Bytes of memory for footers of files.
    pub footers_bytes: u64,
    /// A sample is in files at the latest so long after it came.
    pub flush_after: Duration,
    /// Or so long after it came, where memory holds at least a quarter of what the files hold: readers of the files need not
    /// wait for the first rows of a young table, nor for a large import.
    pub flush_young_after: Duration,
    /// A flush is due when the journal holds so many bytes for it, so that a restart stays short. Counted as parcels take
    /// in memory: packed in the log, samples take some two thirds of that.
    pub journal_bytes: u64,
    /// How long samples are kept; none for ever.
    pub keep: Option<Duration>,
    /// Keeps floats as floats in files, also where they are decimals: larger, and without a second column to look at.
    pub values_open: bool,
    /// How long a file that left the table stays on disk for readers of earlier versions.
    pub vacuum_after: Duration,
    /// After the end of a day so long is waited for late samples before its files are merged.
    pub merge_after: Duration,
    /// How often it is looked whether files should be merged.
    pub merge_every: Duration,
    /// Bytes a second that flushes and merges may write.
    pub write_bytes_per_s: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            buffer_bytes: 224 << 20,
            merge_bytes: 128 << 20,
            queries_bytes: 384 << 20,
            footers_bytes: 48 << 20,
            flush_after: Duration::from_secs(3_600),
            flush_young_after: Duration::from_secs(10),
            journal_bytes: 1_600 << 20,
            keep: None,
            values_open: false,
            vacuum_after: Duration::from_secs(86_400),
            merge_after: Duration::from_secs(3_600),
            merge_every: Duration::from_secs(20),
            write_bytes_per_s: 64 << 20,
        }
    }
}

impl Settings {
    /// So many bytes the journal may hold for the lake before new values are refused.
    pub fn journal_bytes_max(&self) -> u64 {
        self.journal_bytes.saturating_mul(JOURNAL_HELD)
    }

    /// Bytes for the open pieces of one buffer.
    pub(crate) fn open_bytes(&self) -> usize {
        usize::try_from(self.buffer_bytes / 6).unwrap_or(usize::MAX)
    }
}
