//! Which path a series' field gets, and that two series never share one: a template's name belongs to the series that
//! had it first, for ever (the registry keeps which one that was); others keep their default names and are listed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tidemill_core::{Bus, Grant, Identity, Meta, NewNames, Problem, SignalPath, codes};
use tidemill_ground::{Counter, Metrics};

use crate::error::Error;
use crate::line::name::Series;
use crate::line::template::{Named, Templates};

/// Under which tag the registry keeps the default name of the series that owns a template's name.
pub const SERIES_TAG: &str = "line-protocol.series";

/// How many series that keep their default names are listed; all are counted.
const KEPT_MAX: usize = 256;

/// A series that keeps its default name though a template is meant for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultKept {
    /// The default name, which is used.
    pub name: String,
    /// Why the template's is not.
    pub why: String,
}

impl std::fmt::Display for DefaultKept {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "the series {} keeps its default name: {}", self.name, self.why)
    }
}

/// Names series and binds them.
pub(crate) struct Namer {
    /// Default name → why.
    kept: Mutex<BTreeMap<String, String>>,
    merged_count: Counter,
}

impl Namer {
    pub(crate) fn new(metrics: &Metrics) -> Namer {
        let help = "Series that keep their default name because a template would merge them with another.";
        Namer { kept: Mutex::default(), merged_count: metrics.counter("tidemill_http_series_merged", help) }
    }

    /// Series that keep their default names, as far as they are remembered.
    pub(crate) fn default_kept(&self) -> Vec<DefaultKept> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().map(|(name, why)| DefaultKept { name: name.clone(), why: why.clone() }).collect()
    }

    /// Binds a field of a series for writing.
    pub(crate) fn bind(
        &self,
        asked: &mut Asked<'_>,
        templates: &Templates,
        series: &Series,
        extra_tags: &[(Arc<str>, Arc<str>)],
        field: &str,
    ) -> Result<Grant, Error> {
        let default = series.path(field)?;
        let hint = |own: Option<&SignalPath>| {
            let mut tags = series.tags.clone();
            for (key, value) in extra_tags {
                // A tag of the line itself is the better fact.
                tags.entry(key.clone()).or_insert_with(|| value.clone());
            }
            if let Some(default) = own {
                tags.insert(SERIES_TAG.into(), default.shared().clone());
            }
            Arc::new(Meta { tags, ..Meta::default() })
        };
        if templates.is_empty() {
            return Ok(asked.bind(&default, || hint(None))?);
        }
        match templates.name(series, field) {
            Named::Path(path) if path != default => {
                let other = match asked.owner_of(&path) {
                    Owner::Series(owner) if *owner != *default.as_str() => owner.to_string(),
                    Owner::Other => "a signal that no series writes".to_owned(),
                    _ => return Ok(asked.bind(&path, || hint(Some(&default)))?),
                };
                self.merged_count.add(1);
                self.note(&default, format!("its template names it {path}, which is already {other}"));
            }
            Named::Nothing(why) => self.note(&default, why),
            Named::Path(_) | Named::Default => {}
        }
        let owner = asked.owner_of(&default);
        // Asked first: whose a name is, or that there is one, is not for who may not write it.
        let grant = asked.bind(&default, || hint(None))?;
        match owner {
            // Which series it is, its tags say to who may read them.
            Owner::Series(owner) if *owner != *default.as_str() => {
                let detail = format!("the name {default} was given by a template to another series");
                let hint = format!(
                    "The signal's tag {SERIES_TAG} says to which; change the template in \
                     connections/line-protocol.toml, or the measurement"
                );
                Err(Problem::new(&codes::EXISTS, detail).hint(hint).into())
            }
            _ => Ok(grant),
        }
    }

    fn note(&self, default: &SignalPath, why: String) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX || kept.contains_key(default.as_str()) {
            kept.insert(default.to_string(), why);
        }
    }
}

/// Of whom names are asked: the bus for an identity, and the names that the request itself brings. Where two requests
/// bring one name for two series at once, the bus refuses the second, which is then read again.
pub(crate) struct Asked<'a> {
    pub(crate) bus: &'a dyn Bus,
    pub(crate) who: &'a Identity,
    pub(crate) names: &'a mut NewNames,
}

/// Whose a name is.
enum Owner {
    Nobody,
    Series(Arc<str>),
    Other,
}

impl Asked<'_> {
    fn bind(&mut self, path: &SignalPath, hint: impl FnOnce() -> Arc<Meta>) -> Result<Grant, Problem> {
        self.names.bind(self.bus, self.who, path, hint)
    }

    fn owner_of(&self, path: &SignalPath) -> Owner {
        let of = |meta: &Meta| meta.tags.get(SERIES_TAG).cloned().map_or(Owner::Other, Owner::Series);
        match self.names.get(path) {
            Some(name) => of(&name.hint),
            None => self.bus.find(path).map_or(Owner::Nobody, |signal| of(&signal.meta)),
        }
    }
}
