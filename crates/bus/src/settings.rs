//! The limits of the namespace, as `tidemill.toml` and the division of memory give them. They may change while it runs.

use std::time::Duration;

/// What may be held. [`crate::Namespace::update`] puts new ones in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many living signals there may be (`limits.signals`).
    pub signals_max: u64,
    /// How many new names one identity may bring within an hour (`limits.signals_new_per_hour`).
    pub signals_new_per_hour: u64,
    /// About how much memory signals and their names may take; above it new names are refused as above `signals_max`.
    pub registry_bytes: u64,
    /// Bytes of text, JSON and bytes values among the last values. The columns themselves are bounded by `signals_max`.
    pub last_values_bytes: u64,
    /// Bytes that one identity may have waiting for the disk, asked before a parcel is taken. Half of what the journal
    /// lets wait in all: one flood leaves room for the others.
    pub identity_unsynced_bytes: u64,
    /// Bytes of parcels that may wait for one subscriber; the oldest are dropped and it is told how many.
    pub subscriber_bytes: u64,
    /// Patterns of all subscriptions together.
    pub patterns_max: u64,
    /// The registry is written to its own file after so many bytes of parcels, so that a start reads little of the log.
    pub snapshot_bytes: u64,
    /// And after this time, if anything happened.
    pub snapshot_interval: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            signals_max: 100_000,
            signals_new_per_hour: 10_000,
            registry_bytes: 64 << 20,
            last_values_bytes: 32 << 20,
            identity_unsynced_bytes: 8 << 20,
            subscriber_bytes: 8 << 20,
            patterns_max: 200_000,
            snapshot_bytes: 64 << 20,
            snapshot_interval: Duration::from_secs(600),
        }
    }
}
