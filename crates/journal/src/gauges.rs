//! What the log counts, for `/metrics` and `sys.metrics`.

use tidemill_ground::{Counter, Gauge, Histogram, Limit, Metrics};

/// The bound on what waits for the disk, as `sys.limits` names it.
const UNSYNCED: &str = "journal_unsynced_bytes";

/// The log's own numbers.
pub(crate) struct Gauges {
    pub(crate) appends: Counter,
    pub(crate) bytes: Counter,
    pub(crate) groups: Counter,
    pub(crate) group_parcels: Histogram,
    pub(crate) sync_seconds: Histogram,
    pub(crate) acknowledge_seconds: Histogram,
    pub(crate) sync_failures: Counter,
    pub(crate) write_failures: Counter,
    pub(crate) unsynced_bytes: Gauge,
    pub(crate) segments: Gauge,
    pub(crate) segment_bytes: Gauge,
    pub(crate) damage_ranges: Gauge,
    pub(crate) cut_bytes: Gauge,
    pub(crate) lost_parcels: Gauge,
    pub(crate) live_missed: Counter,
    pub(crate) read_failures: Counter,
    refused: [Counter; Reason::ALL.len()],
    unsynced_refused: Counter,
    metrics: Metrics,
}

/// Why an append was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Unsynced,
    DiskFull,
    Unwritable,
    Held,
    Stopping,
    TooLarge,
    Unsound,
}

impl Reason {
    const ALL: [(Reason, &'static str); 7] = [
        (Reason::Unsynced, "unsynced"),
        (Reason::DiskFull, "disk-full"),
        (Reason::Unwritable, "unwritable"),
        (Reason::Held, "held"),
        (Reason::Stopping, "stopping"),
        (Reason::TooLarge, "too-large"),
        (Reason::Unsound, "unsound"),
    ];
}

impl Gauges {
    pub(crate) fn new(metrics: &Metrics) -> Gauges {
        let refused = Reason::ALL.map(|(_, reason)| {
            metrics.counter_with("journal_refused", "Appends that were not taken.", &[("reason", reason)])
        });
        Gauges {
            appends: metrics.counter("journal_appends", "Parcels taken."),
            bytes: metrics.counter("journal_bytes", "Bytes written to segments."),
            groups: metrics.counter("journal_groups", "Groups made durable."),
            group_parcels: metrics.histogram(
                "journal_group_parcels",
                "Parcels in a group.",
                &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0, 4096.0],
            ),
            sync_seconds: metrics.histogram(
                "journal_sync_seconds",
                "How long the disk took to make a group durable.",
                &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0],
            ),
            acknowledge_seconds: metrics.histogram(
                "journal_acknowledge_seconds",
                "How long parcels waited from being taken to being acknowledged as durable.",
                &[0.000_5, 0.001, 0.002, 0.003, 0.004, 0.006, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0],
            ),
            sync_failures: metrics.counter("journal_sync_failures", "Syncs that the disk refused."),
            write_failures: metrics.counter("journal_write_failures", "Writes that the disk refused."),
            unsynced_bytes: metrics.gauge("journal_unsynced_bytes", "Bytes that wait for the disk."),
            segments: metrics.gauge("journal_segments", "Segments kept."),
            segment_bytes: metrics.gauge("journal_segment_bytes", "Bytes in the segments kept."),
            damage_ranges: metrics.gauge("journal_damage_ranges", "Ranges of the log that cannot be read."),
            lost_parcels: metrics.gauge(
                "journal_lost_parcels",
                "Parcels that engines know of and the log lost, as a relaxed one may at a power cut.",
            ),
            cut_bytes: metrics.gauge(
                "journal_cut_bytes",
                "Bytes above the durable mark that were no whole parcels at the opening.",
            ),
            live_missed: metrics
                .counter("journal_live_missed", "Parcels not in the log that a follower was too slow for."),
            read_failures: metrics.counter("journal_read_failures", "Reads that the disk refused."),
            refused,
            unsynced_refused: Limit::refusals(metrics, UNSYNCED),
            metrics: metrics.clone(),
        }
    }

    /// Shows the bound on what waits for the disk among the limits of the house.
    pub(crate) fn show_limit(&self, unsynced_bytes_max: u64) {
        let waiting = self.unsynced_bytes.clone();
        Limit::show(&self.metrics, UNSYNCED, move || waiting.get() as f64, move || unsynced_bytes_max as f64);
    }

    pub(crate) fn refused(&self, reason: Reason) {
        self.unsynced_refused.add(u64::from(reason == Reason::Unsynced));
        for ((known, _), counter) in Reason::ALL.iter().zip(&self.refused) {
            if *known == reason {
                counter.add(1);
            }
        }
    }

    pub(crate) fn cursor_lag(&self, cursor: &str) -> Gauge {
        self.metrics.gauge_with(
            "journal_cursor_lag_parcels",
            "Parcels that a cursor has not yet done with.",
            &[("cursor", cursor)],
        )
    }

    pub(crate) fn cursor_cut(&self, cursor: &str) -> Counter {
        self.metrics.counter_with(
            "journal_cursor_cut_parcels",
            "Parcels that a cursor was moved past because it held back more than it may.",
            &[("cursor", cursor)],
        )
    }
}
