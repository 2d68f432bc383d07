//! Signals and sources whose definitions went with parcels that cannot be read. Samples of them are in other parcels and in
//! the files of history, so they come back before anybody asks, under the names that history keeps. What does not live here:
//! which names those are (the keeper of history), and that something is damaged (the journal).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tidemill_core::{Durability, KeptNames, Meta, Parcel, Record, Recovered, Signal, SignalId, SignalPath};

use crate::record::{signal_record, source_record};
use crate::registry::Registry;
use crate::shared::Shared;

/// Definitions in one parcel: far below what the log takes at once.
const PARCEL_RECORDS: usize = 1_024;
/// Who is told to have made a signal that came back: who did is lost.
const CREATOR: &str = "house:recovery";

/// Whether definitions may be lost, and whose samples came without one.
#[derive(Default)]
pub(crate) struct Lost {
    noted: AtomicBool,
    nameless: Mutex<BTreeSet<SignalId>>,
}

impl Lost {
    /// A parcel, or a definition in one, could not be read.
    pub(crate) fn note(&self) {
        self.noted.store(true, Ordering::Release);
    }

    /// Samples came whose signals nobody knows. There are no more of them than numbers were given.
    pub(crate) fn note_nameless(&self, ids: BTreeSet<SignalId>) {
        self.nameless.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
        self.note();
    }

    /// Whether names are to be asked for. Until they are given no snapshot is written: it would let that go by which this is
    /// known.
    pub(crate) fn is_noted(&self) -> bool {
        self.noted.load(Ordering::Acquire)
    }

    fn take(&self) -> BTreeSet<SignalId> {
        std::mem::take(&mut *self.nameless.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    /// See [`tidemill_core::Bus::recover`].
    pub(crate) fn recover(&self, kept: KeptNames) -> Vec<Recovered> {
        let mut names: BTreeMap<SignalId, Option<Arc<str>>> =
            self.lost.take().into_iter().map(|id| (id, None)).collect();
        names.extend(kept.signals);
        let mut registry = self.registry_mut();
        let mut records = Vec::new();
        for (id, name) in kept.sources {
            if registry.source(id).is_none() {
                registry.put_source(id, name.clone());
                records.push(source_record(id, &name));
            }
        }
        let mut recovered = Vec::new();
        for (id, kept) in names {
            if let Some(signal) = self.put_recovered(&mut registry, id, kept.as_deref()) {
                records.push(signal_record(1, &signal));
                recovered.push(Recovered { signal, kept });
            }
        }
        self.reserve().known(registry.signals_end(), registry.sources_end());
        self.append_definitions(records);
        self.lost.noted.store(false, Ordering::Release);
        drop(registry);
        if !recovered.is_empty() {
            self.router.changed();
        }
        recovered
    }

    /// Puts a signal in force that is not known, under the name that it had where that is free.
    fn put_recovered(
        &self,
        registry: &mut Registry,
        id: SignalId,
        kept: Option<&str>,
    ) -> Option<Arc<Signal>> {
        if registry.get(id).is_some() {
            return None;
        }
        let free = kept
            .and_then(|name| SignalPath::new(name).ok())
            .filter(|path| registry.find(path.as_str()).is_none());
        let path = free.or_else(|| SignalPath::new(&id.unknown_name()).ok())?;
        let (creator, created) = (CREATOR.into(), self.clock.wall());
        let signal =
            Signal { id, path, aliases: Vec::new(), meta: Meta::default(), creator, created, retired: false };
        registry.put(1, signal);
        registry.get(id).map(|entry| Arc::new(entry.signal()))
    }

    /// Makes definitions durable. Where the log refuses, they go along with the next samples of their signals, and with the
    /// next snapshot. The caller holds the registry, so that no edit comes before them.
    fn append_definitions(&self, mut records: Vec<Record>) {
        while !records.is_empty() {
            let rest = records.split_off(records.len().min(PARCEL_RECORDS));
            let parcel = Parcel { records: std::mem::replace(&mut records, rest), ..Parcel::default() };
            if self.journal.append(Arc::new(parcel), Durability::Commit).is_err() {
                return;
            }
        }
    }
}
