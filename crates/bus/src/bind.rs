//! From a path to a grant: the authority decides, the registry gives the id, the owner is checked. Dear once; doors keep
//! the grant until the epoch changes. How a name comes into being stands in `create`.

use tidemill_core::{Grant, Identity, Meta, Problem, SignalPath, UNIT_BYTES_MAX, Verb, codes};

use crate::meters::Refusal;
use crate::registry::Entry;
use crate::shared::Shared;

/// The longest unit, owner, or name of a tag, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = UNIT_BYTES_MAX;
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
        // Taken first: whatever changes while this decides makes the grant fall.
        let epoch = self.epoch();
        if let Some(grant) = self.known(epoch, who, verb, path)? {
            return Ok(grant);
        }
        if verb != Verb::Write {
            return Err(Problem::new(&codes::NOT_FOUND, format!("there is no signal {path}")));
        }
        let entry = self.create_alone(who, path, hint)?;
        self.check_owner(who, verb, &entry)?;
        Ok(Grant { id: entry.id, verb, epoch, number: entry.about.meta.number })
    }

    /// A grant to write; none where the name does not exist and may be created, with `new` others.
    pub(crate) fn resolve(
        &self,
        who: &Identity,
        path: &SignalPath,
        new: usize,
    ) -> Result<Option<Grant>, Problem> {
        let known = self.known(self.epoch(), who, Verb::Write, path)?;
        if known.is_none() {
            let writer = self.writer(&who.name)?;
            self.check_room(&self.registry(), &writer, path, new)?;
        }
        Ok(known)
    }

    /// The grant to a signal that exists, if they may.
    fn known(
        &self,
        epoch: u64,
        who: &Identity,
        verb: Verb,
        path: &SignalPath,
    ) -> Result<Option<Grant>, Problem> {
        self.stopping()?;
        let known = self.registry().find(path.as_str()).cloned();
        // Rights hold for the signal's present name: a rename moves it into other hands.
        let decided = known.as_ref().map_or(path, |entry| &entry.path);
        let may = |verb| self.authority.decide(who, verb, decided).allowed;
        if decided != path {
            let hidden = !may(verb) && !may(Verb::Read);
            // And for the name that is used: a further name is no way around what holds for itself. Reading is asked of
            // the present name everywhere.
            if hidden || verb != Verb::Read {
                self.decide(who, verb, path, path)?;
            }
            if hidden {
                self.refuse_hidden(who, verb, path)?;
                return Ok(None);
            }
        }
        self.decide(who, verb, decided, path)?;
        let Some(entry) = known else { return Ok(None) };
        self.check_owner(who, verb, &entry)?;
        Ok(Some(Grant { id: entry.id, verb, epoch, number: entry.about.meta.number }))
    }

    /// Who uses a further name of a signal that they may not see hears what a name hears that stands for nothing. Only
    /// to write it cannot be let through: then it is taken, by whatever.
    fn refuse_hidden(&self, who: &Identity, verb: Verb, path: &SignalPath) -> Result<(), Problem> {
        if verb != Verb::Write {
            return Ok(());
        }
        self.meters.refuse(Refusal::Forbidden);
        let detail = format!("{} may not write {path}: the name is taken", who.name);
        Err(Problem::new(&codes::FORBIDDEN, detail))
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
        // The present name is told by neither the rule nor a right that names it.
        let why = match path == shown {
            true => decision.rule,
            false => format!("it is a further name of a signal that they may not {verb}"),
        };
        Err(Problem::new(&codes::FORBIDDEN, format!("{} may not {verb} {shown}: {why}", who.name)))
    }

    pub(crate) fn check_owner(&self, who: &Identity, verb: Verb, entry: &Entry) -> Result<(), Problem> {
        let owner = &entry.about.meta.owner;
        if verb != Verb::Write || owner.is_empty() || *owner == who.name {
            return Ok(());
        }
        self.meters.refuse(Refusal::NotOwner);
        Err(Problem::new(
            &codes::NOT_OWNER,
            format!("{} is written by {owner} alone, not by {}", entry.path, who.name),
        ))
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
