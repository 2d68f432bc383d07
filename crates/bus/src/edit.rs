//! Changes to what is known of a signal. An edit holds for everyone here at once; its commit says when it also holds
//! after a crash. Until then, every parcel with samples of the signal carries its state along.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tidemill_core::{
    Commit, Deletion, Durability, Grant, Identity, Meta, MetaEdit, Parcel, Problem, Signal, SignalPath,
    UNKNOWN, Verb, codes, ucum,
};

use crate::bind::{ALIASES_MAX, NAME_BYTES_MAX, TAGS_MAX, TEXT_BYTES_MAX};
use crate::record::signal_record;
use crate::registry::{Registry, retired};
use crate::shared::Shared;

impl Shared {
    pub(crate) fn edit(&self, who: &Identity, grant: &Grant, edit: MetaEdit) -> Result<Commit, Problem> {
        self.stopping()?;
        let first_unit = grant.verb == Verb::Write && is_unit_alone(&edit);
        self.current(grant, if first_unit { Verb::Write } else { Verb::Configure })?;
        check_sizes(&edit)?;
        // A name given to a signal is also a name taken from others: it needs the right there as well. And it must be
        // readable: else the answer would tell whether there is something that the caller may not see.
        for path in edit.rename.iter().chain(&edit.alias) {
            not_unknown(path)?;
            self.decide(who, Verb::Configure, path, path)?;
            self.decide(who, Verb::Read, path, path)?;
        }
        let mut registry = self.registry_mut();
        let entry = registry.get(grant.id).filter(|entry| !entry.retired).cloned();
        let entry = entry.ok_or_else(|| Problem::new(&codes::NOT_FOUND, "the signal was deleted"))?;
        let before = entry.signal();
        if first_unit && !before.meta.unit.is_empty() {
            let detail = format!("{} has got a unit from someone else meanwhile", before.path);
            return Err(Problem::new(&codes::CONFLICT, detail).hint("Bind the signal again, then repeat"));
        }
        let deleted = edit.retire.as_ref().map(|reason| Deletion {
            signals: vec![before.id],
            from: i64::MIN,
            last: i64::MAX,
            who: who.name.to_string(),
            reason: reason.to_string(),
            when: self.clock.wall(),
        });
        let after = edited(&registry, &before, edit)?;
        if after == before {
            return Ok(Commit::ready(self.journal.durable()));
        }
        let revision = entry.revision.saturating_add(1);
        let mut records = vec![signal_record(revision, &after)];
        records.extend(deleted.map(|deletion| deletion.record()));
        let parcel = Arc::new(Parcel { records, ..Parcel::default() });
        // Under the registry's lock, so that the order of edits in the log is their order here; and under that of publishes,
        // so that none of what was bound before a change of names is behind it in the log.
        let order = self.order();
        let commit = self.journal.append(parcel, Durability::Commit)?;
        let renamed = after.path != before.path || after.aliases != before.aliases || after.retired;
        let regranted = renamed
            || after.meta.owner != before.meta.owner
            || after.meta.number != before.meta.number
            // No grant depends on it; whoever shows values asks for units when the epoch is another.
            || after.meta.unit != before.meta.unit;
        // Cleared before the new state is seen, so that no parcel is thought to be covered by the old definition.
        self.signals_defined.set(grant.id.get(), false);
        let gone = after.retired;
        registry.put(revision, after);
        if regranted {
            self.edits.fetch_add(1, Ordering::AcqRel);
        }
        drop(order);
        if renamed {
            self.router.changed();
        }
        if gone {
            self.last_mut().forget(grant.id);
        }
        Ok(commit)
    }
}

/// Who may write a signal may say its first unit, as who brings a new one does.
fn is_unit_alone(edit: &MetaEdit) -> bool {
    edit.unit.is_some() && *edit == MetaEdit { unit: edit.unit.clone(), ..MetaEdit::default() }
}

fn edited(registry: &Registry, before: &Signal, edit: MetaEdit) -> Result<Signal, Problem> {
    if edit.retire.is_some() {
        return Ok(retired(before));
    }
    let mut after = before.clone();
    for path in edit.rename.iter().chain(&edit.alias) {
        check_free(registry, before, path)?;
    }
    if let Some(path) = edit.rename.clone()
        && path != after.path
    {
        after.aliases.retain(|alias| *alias != path);
        let old = std::mem::replace(&mut after.path, path);
        after.aliases.push(old);
    }
    if let Some(alias) = edit.alias.clone()
        && alias != after.path
        && !after.aliases.contains(&alias)
    {
        after.aliases.push(alias);
    }
    if after.aliases.len() > ALIASES_MAX {
        let detail = format!("{} would have more than {ALIASES_MAX} further names", before.path);
        return Err(Problem::new(&codes::BAD_PARAMETER, detail).hint("Delete it and begin a new signal"));
    }
    change_meta(&mut after.meta, edit)?;
    Ok(after)
}

/// Names of signals whose own are lost come from their numbers alone.
fn not_unknown(path: &SignalPath) -> Result<(), Problem> {
    if path.as_str().starts_with(UNKNOWN) {
        let detail = format!("{path} stands for a signal whose name is lost: no other signal can have it");
        return Err(Problem::new(&codes::FORBIDDEN, detail));
    }
    Ok(())
}

fn check_free(registry: &Registry, signal: &Signal, path: &SignalPath) -> Result<(), Problem> {
    match registry.find(path.as_str()) {
        Some(entry) if entry.id != signal.id => {
            // Not whose: behind a further name may stand a signal that the caller may not see.
            Err(Problem::new(&codes::EXISTS, format!("the name {path} is taken")))
        }
        _ => Ok(()),
    }
}

fn change_meta(meta: &mut Meta, edit: MetaEdit) -> Result<(), Problem> {
    if let Some(unit) = edit.unit {
        meta.unit_ucum = ucum(&unit).unwrap_or_default().into();
        meta.unit = unit;
    }
    if let Some(unit_ucum) = edit.unit_ucum {
        meta.unit_ucum = unit_ucum;
    }
    if let Some(description) = edit.description {
        meta.description = description;
    }
    if let Some(number) = edit.number {
        meta.number = number;
    }
    if let Some(stepped) = edit.stepped {
        meta.stepped = stepped;
    }
    if let Some(owner) = edit.owner {
        meta.owner = owner;
    }
    if let Some(stale_after_ns) = edit.stale_after_ns {
        meta.stale_after_ns = stale_after_ns.max(0);
    }
    for (name, value) in edit.tags {
        if value.is_empty() {
            meta.tags.remove(&name);
        } else {
            meta.tags.insert(name, value);
        }
    }
    if meta.tags.len() > TAGS_MAX {
        let detail =
            format!("a signal has at most {TAGS_MAX} tags, and this one would have {}", meta.tags.len());
        return Err(Problem::new(&codes::BAD_PARAMETER, detail));
    }
    Ok(())
}

fn check_sizes(edit: &MetaEdit) -> Result<(), Problem> {
    let too_long = |what: &str, len: usize, max: usize| {
        let detail = format!("the {what} has {len} bytes; at most {max} are kept");
        if len > max { Err(Problem::new(&codes::BAD_PARAMETER, detail)) } else { Ok(()) }
    };
    let named = [("unit", &edit.unit), ("UCUM unit", &edit.unit_ucum), ("owner", &edit.owner)];
    for (what, text) in named {
        too_long(what, text.as_ref().map_or(0, |text| text.len()), NAME_BYTES_MAX)?;
    }
    too_long("description", edit.description.as_ref().map_or(0, |text| text.len()), TEXT_BYTES_MAX)?;
    for (name, value) in &edit.tags {
        too_long("name of a tag", name.len(), NAME_BYTES_MAX)?;
        too_long("value of a tag", value.len(), TEXT_BYTES_MAX)?;
    }
    Ok(())
}
