//! From a path to a grant: the authority decides, the registry gives the id, limits and owner are checked. Dear once;
//! doors keep the grant until the epoch changes.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use tidemill_core::{Grant, Identity, Meta, Problem, Signal, SignalId, SignalPath, Verb, codes};

use crate::meters::Refusal;
use crate::namespace::Twin;
use crate::registry::Registry;
use crate::shared::Shared;
use crate::units::ucum;

/// How many near-twins are listed; all are counted.
pub(crate) const TWINS_MAX: usize = 1_000;

/// The longest unit, owner, or name of a tag, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 128;
/// The longest description or value of a tag, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 1_024;
/// The most tags and the most aliases of a signal.
pub(crate) const TAGS_MAX: usize = 32;
pub(crate) const ALIASES_MAX: usize = 32;

impl Shared {
    pub(crate) fn bind(
        &self,
        who: &Identity,
        verb: Verb,
        path: &SignalPath,
        hint: &Meta,
    ) -> Result<Grant, Problem> {
        self.stopping()?;
        // Taken first: whatever changes while this decides makes the grant fall.
        let epoch = self.epoch();
        let known = self.registry().find(path.as_str()).map(|entry| entry.signal.clone());
        // Rights hold for the signal's present name: a rename moves it into other hands.
        let decided = known.as_ref().map_or(path, |signal| &signal.path);
        self.decide(who, verb, decided, path)?;
        let signal = match known {
            Some(signal) => signal,
            None if verb == Verb::Write => self.register(who, path, hint)?,
            None => return Err(Problem::new(&codes::NOT_FOUND, format!("there is no signal {path}"))),
        };
        self.check_owner(who, verb, &signal)?;
        Ok(Grant { id: signal.id, verb, epoch, number: signal.meta.number })
    }

    /// Whether the authority lets them; `shown` is the name that they used.
    pub(crate) fn decide(
        &self,
        who: &Identity,
        verb: Verb,
        path: &SignalPath,
        shown: &SignalPath,
    ) -> Result<(), Problem> {
        let decision = self.authority.decide(who, verb, path);
        if decision.allowed {
            return Ok(());
        }
        self.meters.refuse(Refusal::Forbidden);
        // Who may not see the present name must not learn it from the rule, nor from a right that names it.
        let why = match path == shown {
            true => decision.rule,
            false => format!("it is a further name of a signal that they may not {verb}"),
        };
        Err(Problem::new(&codes::FORBIDDEN, format!("{} may not {verb} {shown}: {why}", who.name)))
    }

    fn check_owner(&self, who: &Identity, verb: Verb, signal: &Signal) -> Result<(), Problem> {
        let owner = &signal.meta.owner;
        if verb != Verb::Write || owner.is_empty() || *owner == who.name {
            return Ok(());
        }
        self.meters.refuse(Refusal::NotOwner);
        Err(Problem::new(
            &codes::NOT_OWNER,
            format!("{} is written by {owner} alone, not by {}", signal.path, who.name),
        ))
    }

    fn register(&self, who: &Identity, path: &SignalPath, hint: &Meta) -> Result<Arc<Signal>, Problem> {
        let settings = self.settings.load_full();
        let writer = self.writer(&who.name)?;
        let mut registry = self.registry_mut();
        if let Some(entry) = registry.find(path.as_str()) {
            // Someone else was faster; the epoch in the grant covers what the authority said of the same path.
            return Ok(entry.signal.clone());
        }
        if registry.living() as u64 >= settings.signals_max {
            self.meters.refuse(Refusal::Limit);
            let detail = format!(
                "{path} would be signal {} and at most {} are allowed",
                registry.living() + 1,
                settings.signals_max
            );
            return Err(Problem::new(&codes::SIGNALS_LIMIT, detail));
        }
        if registry.bytes() >= settings.registry_bytes {
            self.meters.refuse(Refusal::Limit);
            let detail = format!(
                "signals and their names take {} bytes and at most {} may be used",
                registry.bytes(),
                settings.registry_bytes
            );
            let hint = "Raise limits.memory, or delete signals that are not needed";
            return Err(Problem::new(&codes::SIGNALS_LIMIT, detail).hint(hint));
        }
        if let Err(wait) = writer.take_new_name(self.clock.monotonic(), settings.signals_new_per_hour) {
            self.meters.refuse(Refusal::Rate);
            let detail = format!(
                "{path} is new, and {} brought {} new names within an hour",
                who.name, settings.signals_new_per_hour
            );
            let wait_s = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            return Err(Problem::new(&codes::SIGNALS_RATE, detail).retry_after(wait_s));
        }
        let number = self.reserve().next_signal().inspect_err(|_| writer.give_back_new_name())?;
        let Some(id) = SignalId::new(number) else {
            return Err(Problem::new(&codes::INTERNAL, "the reserve gave number 0"));
        };
        self.note_twin(&registry, path, &writer.name);
        let meta = self.first_meta(hint);
        let (creator, created) = (writer.name.clone(), self.clock.wall());
        let signal =
            Signal { id, path: path.clone(), aliases: Vec::new(), meta, creator, created, retired: false };
        registry.put(1, signal);
        self.meters.names_new.add(1);
        let entry = registry.get(id).map(|entry| entry.signal.clone());
        entry.ok_or_else(|| Problem::new(&codes::INTERNAL, format!("signal {number} was not registered")))
    }

    fn note_twin(&self, registry: &Registry, path: &SignalPath, by: &Arc<str>) {
        let Some(entry) = registry.twin(path) else { return };
        self.meters.near_twins.add(1);
        let mut twins = self.twins.lock().unwrap_or_else(PoisonError::into_inner);
        if twins.len() >= TWINS_MAX {
            twins.pop_front();
        }
        twins.push_back(Twin { path: path.clone(), like: entry.signal.path.clone(), by: by.clone() });
    }

    /// The first metadata of a new signal: what a device says of it, cut to what may be kept. A hint is no reason to
    /// refuse a value.
    fn first_meta(&self, hint: &Meta) -> Meta {
        let cut = |text: &Arc<str>, max: usize| {
            let fits = text.len() <= max;
            self.meters.hints_cut.add(u64::from(!fits));
            if fits { text.clone() } else { Arc::default() }
        };
        let tags: BTreeMap<_, _> = hint
            .tags
            .iter()
            .filter(|(name, value)| name.len() <= NAME_BYTES_MAX && value.len() <= TEXT_BYTES_MAX)
            .take(TAGS_MAX)
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
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

    /// Whether a grant is for this verb and still holds.
    pub(crate) fn current(&self, grant: &Grant, verb: Verb) -> Result<(), Problem> {
        if grant.verb != verb {
            let detail = format!("a grant to {} is none to {verb}", grant.verb);
            return Err(Problem::new(&codes::FORBIDDEN, detail));
        }
        self.check_epoch(grant.epoch)
    }

    pub(crate) fn check_epoch(&self, epoch: u64) -> Result<(), Problem> {
        if epoch == self.epoch() {
            return Ok(());
        }
        self.meters.conflicts.add(1);
        let detail = "rights or names changed since the signals were bound";
        Err(Problem::new(&codes::CONFLICT, detail).hint("Bind the signals again, then repeat"))
    }
}
