//! How names come into being: all that a request brings, or none of them; and only together with the parcel that first
//! carries their samples. Limits are asked while a request is read, and hold when it is published.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use tidemill_core::{
    Identity, Meta, NewName, Problem, Signal, SignalId, SignalPath, Verb, codes, is_own, ucum,
};

use crate::bind::{NAME_BYTES_MAX, TAGS_MAX, TEXT_BYTES_MAX};
use crate::meters::Refusal;
use crate::namespace::Twin;
use crate::registry::{Entry, Registry, SIGNAL_BYTES};
use crate::shared::Shared;
use crate::writers::Writer;

/// How many near-twins are listed; all are counted.
pub(crate) const TWINS_MAX: usize = 1_000;

/// Names that stand in the registry and in no parcel yet.
#[derive(Default)]
pub(crate) struct Created {
    /// The ids of all names asked for, in order.
    pub(crate) ids: Vec<SignalId>,
    /// Those that were new.
    new: Vec<SignalId>,
}

impl Shared {
    /// Whether one more name may be created, with `new` others of the same request.
    pub(crate) fn check_room(
        &self,
        registry: &Registry,
        writer: &Writer,
        path: &SignalPath,
        new: usize,
    ) -> Result<(), Problem> {
        // The house's own are few, and are told also where all others are refused.
        if is_own(path.as_str()) {
            return Ok(());
        }
        let settings = self.settings.load();
        let new = new as u64;
        let living = registry.counted() as u64 + new;
        if living >= settings.signals_max {
            self.meters.refuse(Refusal::Limit);
            self.meters.signals_refused.add(1);
            let detail = format!(
                "{path} would be signal {} and at most {} are allowed",
                living + 1,
                settings.signals_max
            );
            return Err(Problem::new(&codes::SIGNALS_LIMIT, detail));
        }
        let bytes = registry.bytes() + new * SIGNAL_BYTES;
        if bytes >= settings.registry_bytes {
            self.meters.refuse(Refusal::Limit);
            self.meters.registry_refused.add(1);
            let detail = format!(
                "signals and their names take {bytes} bytes and at most {} may be used",
                settings.registry_bytes
            );
            let hint = "Raise limits.memory, or delete signals that are not needed";
            return Err(Problem::new(&codes::SIGNALS_LIMIT, detail).hint(hint));
        }
        let max = settings.signals_new_per_hour;
        writer.check_new_names(self.clock.monotonic(), max, new).map_err(|wait| {
            self.meters.refuse(Refusal::Rate);
            self.meters.new_refused.add(1);
            let detail = format!("{path} is new, and {} brought {max} new names within an hour", writer.name);
            let wait_s = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            Problem::new(&codes::SIGNALS_RATE, detail).retry_after(wait_s)
        })
    }

    /// Creates one name for good, before any parcel has it.
    pub(crate) fn create_alone(
        &self,
        who: &Identity,
        path: &SignalPath,
        hint: &Meta,
    ) -> Result<Entry, Problem> {
        let writer = self.writer(&who.name)?;
        let mut registry = self.registry_mut();
        if let Some(entry) = registry.find(path.as_str()) {
            // Someone else was faster; the epoch in the grant covers what the authority said of the same path.
            return Ok(entry.clone());
        }
        let id = self.put_new(&mut registry, &writer, path, hint)?;
        self.note_new(&registry, &writer, &[id]);
        let entry = registry.get(id).cloned();
        entry.ok_or_else(|| Problem::new(&codes::INTERNAL, format!("{path} was not registered")))
    }

    /// The ids of names that a request brought as new, where meanwhile all of them exist.
    pub(crate) fn created_before(
        &self,
        registry: &Registry,
        who: &Identity,
        names: &[NewName],
    ) -> Result<Option<Vec<SignalId>>, Problem> {
        let id = |name: &NewName| self.id_if_same(registry, who, name).transpose();
        names
            .iter()
            .map_while(id)
            .collect::<Result<Vec<_>, _>>()
            .map(|ids| (ids.len() == names.len()).then_some(ids))
    }

    /// Creates the names that do not exist: all or none.
    pub(crate) fn create(
        &self,
        registry: &mut Registry,
        who: &Identity,
        writer: &Writer,
        names: &[NewName],
    ) -> Result<Created, Problem> {
        let mut created = Created::default();
        for name in names {
            let id = match self.id_if_same(registry, who, name) {
                Ok(Some(known)) => Ok(known),
                Ok(None) => {
                    self.put_new(registry, writer, &name.path, &name.hint).inspect(|id| created.new.push(*id))
                }
                Err(problem) => Err(problem),
            };
            match id {
                Ok(id) => created.ids.push(id),
                Err(problem) => {
                    self.take_back(registry, writer, &created);
                    return Err(problem);
                }
            }
        }
        Ok(created)
    }

    /// As if they had never been asked for. The caller held the registry all the while, so nobody saw them; their
    /// numbers stand nowhere and are given out again.
    pub(crate) fn take_back(&self, registry: &mut Registry, writer: &Writer, created: &Created) {
        let Some(first) = created.new.first() else { return };
        created.new.iter().rev().for_each(|id| registry.forget(*id));
        writer.give_back_new_names(created.new.len() as u64);
        self.reserve().take_back(first.get());
    }

    /// Counts names that are there to stay, and lists those that look like others.
    pub(crate) fn note_created(&self, registry: &Registry, writer: &Writer, created: &Created) {
        self.note_new(registry, writer, &created.new);
    }

    fn note_new(&self, registry: &Registry, writer: &Writer, new: &[SignalId]) {
        self.meters.names_new.add(new.len() as u64);
        for entry in new.iter().filter_map(|id| registry.get(*id)) {
            let older = registry.twin(&entry.path).filter(|twin| twin.id < entry.id);
            let Some(older) = older else { continue };
            self.meters.near_twins.add(1);
            let mut twins = self.twins.lock().unwrap_or_else(PoisonError::into_inner);
            if twins.len() >= TWINS_MAX {
                twins.pop_front();
            }
            let (path, like) = (entry.path.clone(), older.path.clone());
            twins.push_back(Twin { path, like, by: writer.name.clone() });
        }
    }

    /// The listed near-twins of which both still have those names.
    pub(crate) fn near_twins(&self) -> Vec<Twin> {
        let registry = self.registry();
        let stands =
            |path: &SignalPath| registry.find(path.as_str()).is_some_and(|entry| entry.path == *path);
        let twins = self.twins.lock().unwrap_or_else(PoisonError::into_inner);
        twins.iter().filter(|twin| stands(&twin.path) && stands(&twin.like)).cloned().collect()
    }

    /// The id of a name that was new when its request was read, if it exists now. It is the same only with the same
    /// metadata: a door may have named another series so, and must ask again.
    fn id_if_same(
        &self,
        registry: &Registry,
        who: &Identity,
        name: &NewName,
    ) -> Result<Option<SignalId>, Problem> {
        let Some(entry) = registry.find(name.path.as_str()) else { return Ok(None) };
        self.check_owner(who, Verb::Write, entry)?;
        if is_same(entry, &name.hint) {
            return Ok(Some(entry.id));
        }
        self.meters.conflicts.add(1);
        let detail = format!("{} was created by someone else while the request was read", name.path);
        Err(Problem::new(&codes::CONFLICT, detail).hint("Bind the signals again, then repeat"))
    }

    fn put_new(
        &self,
        registry: &mut Registry,
        writer: &Writer,
        path: &SignalPath,
        hint: &Meta,
    ) -> Result<SignalId, Problem> {
        self.check_room(registry, writer, path, 0)?;
        let number = self.reserve().next_signal()?;
        let Some(id) = SignalId::new(number) else {
            return Err(Problem::new(&codes::INTERNAL, "the reserve gave number 0"));
        };
        writer.count_new_name();
        let meta = self.first_meta(hint);
        let (creator, created) = (writer.name.clone(), self.clock.wall());
        let signal =
            Signal { id, path: path.clone(), aliases: Vec::new(), meta, creator, created, retired: false };
        registry.put(1, signal);
        Ok(id)
    }

    /// The first metadata of a new signal: what a device says of it, cut to what may be kept. A hint is no reason to
    /// refuse a value.
    fn first_meta(&self, hint: &Meta) -> Meta {
        let cut = |text: &Arc<str>, max: usize| {
            let fits = text.len() <= max;
            self.meters.hints_cut.add(u64::from(!fits));
            if fits { text.clone() } else { Arc::default() }
        };
        let tags: BTreeMap<_, _> =
            kept_tags(hint).map(|(name, value)| (name.clone(), value.clone())).collect();
        self.meters.hints_cut.add((hint.tags.len() - tags.len()) as u64);
        let unit = cut(&hint.unit, NAME_BYTES_MAX);
        let unit_ucum = match cut(&hint.unit_ucum, NAME_BYTES_MAX) {
            given if given.is_empty() => ucum(&unit).unwrap_or_default().into(),
            given => given,
        };
        Meta {
            unit,
            unit_ucum,
            description: cut(&hint.description, TEXT_BYTES_MAX),
            owner: cut(&hint.owner, NAME_BYTES_MAX),
            stale_after_ns: hint.stale_after_ns.max(0),
            tags,
            ..hint.clone()
        }
    }
}

fn kept_tags(hint: &Meta) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
    hint.tags
        .iter()
        .filter(|(name, value)| name.len() <= NAME_BYTES_MAX && value.len() <= TEXT_BYTES_MAX)
        .take(TAGS_MAX)
}

fn is_same(entry: &Entry, hint: &Meta) -> bool {
    let (unit, meta) = (&hint.unit, &entry.about.meta);
    let same_unit = unit.is_empty() || unit.len() > NAME_BYTES_MAX || meta.has_unit(unit);
    let tags = kept_tags(hint).map(|(name, value)| (&**name, &**value));
    same_unit && meta.number == hint.number && entry.tags().eq(tags)
}
