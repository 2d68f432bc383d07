//! What is counted here, by name: samples, flushes, merges, files. What the numbers mean for a user is their help text.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tidemill_ground::{Counter, Histogram, Metrics};

use super::Store;

/// Counters of the store.
pub(crate) struct Meters {
    pub(crate) applied: Counter,
    pub(crate) impossible: Counter,
    pub(crate) undeclared: Counter,
    pub(crate) missed: Counter,
    pub(crate) rows_written: Counter,
    pub(crate) bytes_written: Counter,
    pub(crate) files_rewritten: Counter,
    pub(crate) groups_copied: Counter,
    pub(crate) pieces: Counter,
    pub(crate) corrected: Counter,
    pub(crate) unrecorded: Counter,
    pub(crate) flush_failures: Counter,
    pub(crate) merges: Counter,
    pub(crate) merge_failures: Counter,
    pub(crate) vacuumed: Counter,
    flush_seconds: Histogram,
}

impl Meters {
    pub(crate) fn new(metrics: &Metrics) -> Meters {
        let counter = |name, help| metrics.counter(name, help);
        Meters {
            applied: counter("historian_samples_applied", "Samples taken from the journal into the buffer."),
            impossible: counter(
                "historian_samples_impossible",
                "Samples whose signal number cannot be; not kept.",
            ),
            undeclared: counter(
                "historian_records_undeclared",
                "Records given up because nobody declared their table, or it is closed, and too many waited.",
            ),
            missed: counter(
                "historian_parcels_missed",
                "Parcels the journal let go before they were in files.",
            ),
            rows_written: counter("historian_rows_written", "Rows written to files, by flushes and merges."),
            bytes_written: counter(
                "historian_written_bytes",
                "Bytes written to files, by flushes and merges.",
            ),
            files_rewritten: counter(
                "historian_files_rewritten",
                "Files written anew because samples in them were replaced or deleted.",
            ),
            groups_copied: counter(
                "historian_groups_copied",
                "Row groups of such files that were copied as they stand.",
            ),
            pieces: counter("historian_pieces", "Pieces of flushes that a full disk made necessary."),
            corrected: counter(
                "historian_corrections",
                "Samples that were replaced or deleted and recorded so.",
            ),
            unrecorded: counter(
                "historian_corrections_unrecorded",
                "Files of corrections given up because their table is closed and too many waited.",
            ),
            flush_failures: counter("historian_flush_failures", "Flushes that failed; they are tried again."),
            merges: counter("historian_merges", "Merges of files."),
            merge_failures: counter("historian_merge_failures", "Merges that failed; they are tried again."),
            vacuumed: counter(
                "historian_files_removed",
                "Files removed from disk after they left the table.",
            ),
            flush_seconds: metrics.histogram(
                "historian_flush_seconds",
                "How long a flush took.",
                &[0.05, 0.2, 1.0, 5.0, 20.0, 60.0],
            ),
        }
    }

    pub(crate) fn flushed(&self, took: Duration) {
        self.flush_seconds.observe(took.as_secs_f64());
    }

    /// What is asked when the metrics are read.
    pub(crate) fn watch(metrics: &Metrics, store: &Arc<Store>) {
        let watch = |name: &str, help: &str, ask: fn(&Store) -> f64| {
            let store: Weak<Store> = Arc::downgrade(store);
            metrics.watch(name, help, &[], move || store.upgrade().map_or(0.0, |store| ask(&store)));
        };
        watch(
            "historian_buffer_bytes",
            "Bytes of samples that are in memory and not yet in files.",
            |store| store.fill().bytes as f64,
        );
        watch("historian_buffer_rows", "Samples that are in memory and not yet in files.", |store| {
            store.fill().rows as f64
        });
        watch(
            "historian_tables_closed",
            "Declared tables that could not be opened; `tidemill check` names them.",
            |store| store.closed_tables().len() as f64,
        );
        watch("historian_files", "Files of samples.", |store| store.lock().version.files.len() as f64);
        watch("historian_lag_parcels", "Durable parcels that queries do not see yet.", |store| {
            store.journal.durable().0.saturating_sub(store.lock().applied.0) as f64
        });
    }
}
