//! What the namespace counts, by the names under which `/metrics` and `sys.metrics` show it.

use tidemill_ground::{Counter, Limit, Metrics};

/// Why a name was not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Forbidden,
    NotOwner,
    Limit,
    Rate,
}

/// The counters of the bus.
pub(crate) struct Meters {
    refused: [Counter; 4],
    pub(crate) names_new: Counter,
    pub(crate) near_twins: Counter,
    pub(crate) hints_cut: Counter,
    pub(crate) samples: Counter,
    pub(crate) parcels: Counter,
    pub(crate) conflicts: Counter,
    pub(crate) share_refused: Counter,
    pub(crate) repeats: Counter,
    pub(crate) clock_steps: Counter,
    pub(crate) future_samples: Counter,
    /// By the names of their limits in `sys.limits`.
    pub(crate) signals_refused: Counter,
    pub(crate) new_refused: Counter,
    pub(crate) registry_refused: Counter,
    pub(crate) sources_refused: Counter,
    pub(crate) patterns_refused: Counter,
    pub(crate) last_refused: Counter,
    pub(crate) unknown_ids: Counter,
    pub(crate) unreadable: Counter,
    pub(crate) missed: Counter,
    pub(crate) deliveries: Counter,
    pub(crate) dropped: Counter,
    pub(crate) matches: Counter,
    pub(crate) late_reads: Counter,
    pub(crate) snapshots_failed: Counter,
}

impl Meters {
    pub(crate) fn new(metrics: &Metrics) -> Meters {
        let refused = |reason| {
            let help = "Bindings refused, by reason.";
            metrics.counter_with("tidemill_bus_names_refused", help, &[("reason", reason)])
        };
        let count = |name: &str, help: &str| metrics.counter(&format!("tidemill_bus_{name}"), help);
        Meters {
            refused: ["forbidden", "not-owner", "signals-limit", "signals-rate"].map(refused),
            names_new: count("names_new", "Signals that were new."),
            near_twins: count("near_twins", "New names that differ from an older one in case only."),
            hints_cut: count(
                "hints_cut",
                "Facts about new signals left out because they were too long or too many.",
            ),
            samples: count("samples", "Samples committed."),
            parcels: count("parcels", "Parcels committed, and parcels that were only live."),
            conflicts: count(
                "conflicts",
                "Publishes refused because rights or names changed since their binding.",
            ),
            share_refused: count(
                "share_refused",
                "Publishes refused because one identity had its share waiting.",
            ),
            repeats: count("repeats", "Publishes that came before and changed nothing."),
            clock_steps: count(
                "clock_steps",
                "Batches before which the clock went back by more than a second.",
            ),
            future_samples: count("future_samples", "Samples too far ahead of the clock to be a last value."),
            signals_refused: Limit::refusals(metrics, "signals"),
            new_refused: Limit::refusals(metrics, "signals_new_per_hour"),
            registry_refused: Limit::refusals(metrics, "registry_bytes"),
            sources_refused: Limit::refusals(metrics, "sources"),
            patterns_refused: Limit::refusals(metrics, "patterns"),
            last_refused: Limit::refusals(metrics, "last_values_bytes"),
            unknown_ids: count("unknown_ids", "Samples in the log whose signal is not known: report it."),
            unreadable: count(
                "definitions_unreadable",
                "Definitions in the log that cannot be read: report it.",
            ),
            missed: count(
                "parcels_missed",
                "Parcels that the log could not give back: see the journal's damage.",
            ),
            deliveries: count("deliveries", "Parcels handed to subscribers."),
            dropped: count("deliveries_dropped", "Parcels dropped because their subscriber was too slow."),
            matches: count(
                "matches",
                "Signals matched against the patterns; all others came from the cache.",
            ),
            late_reads: count(
                "reads_late",
                "Reads of last values that did not wait to the end for what was durable.",
            ),
            snapshots_failed: count(
                "snapshots_failed",
                "Snapshots of the registry that could not be written.",
            ),
        }
    }

    pub(crate) fn refuse(&self, why: Refusal) {
        if let Some(counter) = self.refused.get(why as usize) {
            counter.add(1);
        }
    }
}
