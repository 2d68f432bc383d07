//! Which path a series' field gets, and that two series never share one: a template's name belongs to the series that
//! had it first, for ever (the registry keeps which one that was); others keep their default names and are listed. So are signals
//! that are written from two databases of InfluxDB's clients.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tidemill_core::{Bus, Grant, Identity, Meta, NewNames, Problem, SignalPath, codes};
use tidemill_ground::{Counter, Gauge, Metrics};

use crate::error::Error;
use crate::line::name::Series;
use crate::line::origin::Origin;
use crate::line::template::{Field, Named, Templates};

/// Under which tag the registry keeps the default name of the series that owns a template's name.
pub const SERIES_TAG: &str = "line-protocol.series";

/// How many series that keep their default names, and signals of two databases, are listed.
const LISTED_MAX: usize = 256;

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

/// A signal that is written from two databases, buckets or retention policies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "plain words")]
pub struct Shared {
    pub signal: String,
    /// From where its first sample came.
    pub first: String,
    /// From where one came since the templates were read.
    pub other: String,
}

/// Names series and binds them.
pub(crate) struct Namer {
    /// Default name → why.
    kept: Mutex<BTreeMap<String, String>>,
    /// Name → from where its samples come.
    shared: Mutex<BTreeMap<String, (String, String)>>,
    merged_count: Counter,
    shared_count: Gauge,
}

impl Namer {
    pub(crate) fn new(metrics: &Metrics) -> Namer {
        let help = "Series that keep their default name because a template would merge them with another.";
        let merged_count = metrics.counter("tidemill_http_series_merged", help);
        let help = "Signals that were written from two databases, buckets or retention policies since the templates were read; \
                    256 are counted at most.";
        let shared_count = metrics.gauge("tidemill_http_signals_of_two_databases", help);
        Namer { kept: Mutex::default(), shared: Mutex::default(), merged_count, shared_count }
    }

    /// Others hold from now on: what was listed is noted anew where it is still so.
    pub(crate) fn forget(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.shared_count.set(0);
    }

    /// Signals of two databases, as far as they are remembered.
    pub(crate) fn shared(&self) -> Vec<Shared> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        shared.into_iter().map(|(signal, (first, other))| Shared { signal, first, other }).collect()
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
        origin: &Origin,
        field: &str,
    ) -> Result<Grant, Error> {
        let default = series.path(field)?;
        let bind = |asked: &mut Asked<'_>, path: &SignalPath, own: Option<&SignalPath>| {
            let grant = asked.bind(path, || {
                let mut tags = series.tags.clone();
                origin.keep(&mut tags);
                if let Some(default) = own {
                    tags.insert(SERIES_TAG.into(), default.shared().clone());
                }
                Arc::new(Meta { tags, ..Meta::default() })
            })?;
            let two = |meta: &Meta| match meta.tags.get(SERIES_TAG) {
                Some(owner) if **owner != *default.as_str() => None,
                _ => origin.other_than(&meta.tags, series),
            };
            if *origin != Origin::default()
                && let Some(Some(two)) = asked.known(path, two)
            {
                self.note_shared(path, two);
            }
            Ok::<Grant, Problem>(grant)
        };
        if templates.is_empty() {
            return Ok(bind(asked, &default, None)?);
        }
        match templates.name(&Field { series, name: field, origin, default: &default }) {
            Named::Path(path) if path != default => {
                let other = match asked.owner_of(&path) {
                    Owner::Series(owner) if *owner != *default.as_str() => owner.to_string(),
                    Owner::Other => "a signal that no series writes".to_owned(),
                    _ => return Ok(bind(asked, &path, Some(&default))?),
                };
                self.merged_count.add(1);
                self.note(&default, format!("its template names it {path}, which is already {other}"));
            }
            Named::Nothing(why) => self.note(&default, why),
            Named::Path(_) | Named::Default => {}
        }
        let owner = asked.owner_of(&default);
        // Asked first: whose a name is, or that there is one, is not for who may not write it.
        let grant = bind(asked, &default, None)?;
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
        if kept.len() < LISTED_MAX || kept.contains_key(default.as_str()) {
            kept.insert(default.to_string(), why);
        }
    }

    fn note_shared(&self, path: &SignalPath, two: (String, String)) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.len() < LISTED_MAX || shared.contains_key(path.as_str()) {
            shared.insert(path.to_string(), two);
            self.shared_count.set(i64::try_from(shared.len()).unwrap_or(i64::MAX));
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

    /// What is known of a name; nothing of one that nobody has.
    fn known<T>(&self, path: &SignalPath, of: impl FnOnce(&Meta) -> T) -> Option<T> {
        match self.names.get(path) {
            Some(name) => Some(of(&name.hint)),
            None => self.bus.find(path).map(|signal| of(&signal.meta)),
        }
    }

    fn owner_of(&self, path: &SignalPath) -> Owner {
        let of = |meta: &Meta| meta.tags.get(SERIES_TAG).cloned().map_or(Owner::Other, Owner::Series);
        self.known(path, of).unwrap_or(Owner::Nobody)
    }
}
