//! Which signals a query may see and means, with their paths as one Arrow column that every batch takes from. What is
//! not here: how filters become this list ([`super::push`]), or who grants the scope (guard).

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray, UInt32Array};
use arrow::compute::take;
use arrow::error::ArrowError;
use hashbrown::HashMap;
use tidemill_core::{Bus, Pattern, ReadScope, Signal, SignalId, SignalPath};

/// Signals sorted by path, cut to the scope they were made with. Rows of others are not shown.
#[derive(Debug)]
pub(crate) struct Names {
    signals: Vec<Arc<Signal>>,
    /// The paths in the same order. Views instead of a dictionary: grouping and comparing know them natively, and a
    /// batch costs 16 bytes a row whatever the number of signals.
    paths: StringViewArray,
    place: HashMap<SignalId, u32>,
}

impl Names {
    /// Everything of these patterns that the scope allows. A pattern without a wildcard may be an earlier name too.
    pub(crate) fn of_patterns(bus: &dyn Bus, scope: &ReadScope, patterns: &[Pattern]) -> Names {
        let mut signals = Vec::new();
        for pattern in patterns {
            match pattern.as_path() {
                Some(path) => signals.extend(find(bus, scope, &path)),
                None => signals.extend(bus.describe(scope, pattern)),
            }
        }
        Names::new(scope, signals)
    }

    /// Sorts, drops what stands twice and what the scope does not allow (the bus has cut it already; this is the last
    /// door before the data).
    pub(crate) fn new(scope: &ReadScope, mut signals: Vec<Arc<Signal>>) -> Names {
        signals.retain(|signal| !signal.retired && scope.allows(&signal.path));
        if !signals.is_sorted_by(|one, other| one.path < other.path) {
            signals.sort_unstable_by(|one, other| one.path.cmp(&other.path));
            signals.dedup_by(|one, other| one.id == other.id);
        }
        let paths = StringViewArray::from_iter_values(signals.iter().map(|signal| signal.path.as_str()));
        let place = (0u32..).zip(&signals).map(|(place, signal)| (signal.id, place)).collect();
        Names { signals, paths, place }
    }

    /// Keeps those whose place `keep` says so.
    pub(crate) fn retain(self, scope: &ReadScope, mut keep: impl FnMut(usize) -> bool) -> Names {
        let mut place = 0;
        let mut signals = self.signals;
        signals.retain(|_| {
            place += 1;
            keep(place - 1)
        });
        Names::new(scope, signals)
    }

    pub(crate) fn signals(&self) -> &[Arc<Signal>] {
        &self.signals
    }

    pub(crate) fn len(&self) -> usize {
        self.signals.len()
    }

    /// The ids in order of path.
    pub(crate) fn ids(&self) -> Arc<[SignalId]> {
        self.signals.iter().map(|signal| signal.id).collect()
    }

    pub(crate) fn paths(&self) -> &StringViewArray {
        &self.paths
    }

    /// Where a signal stands; none where it may not be seen.
    pub(crate) fn place(&self, id: SignalId) -> Option<u32> {
        self.place.get(&id).copied()
    }

    /// The column of paths for these places.
    pub(crate) fn column(&self, places: Vec<u32>) -> Result<ArrayRef, ArrowError> {
        take(&self.paths, &UInt32Array::from(places), None)
    }
}

/// The living signal of a path or of an earlier name, if it may be seen under the name that it has now.
pub(crate) fn find(bus: &dyn Bus, scope: &ReadScope, path: &SignalPath) -> Option<Arc<Signal>> {
    bus.find(path).filter(|signal| !signal.retired && scope.allows(&signal.path))
}
