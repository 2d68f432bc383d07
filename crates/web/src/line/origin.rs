//! Where InfluxDB's clients say that lines belong: database or bucket, retention policy, organisation. Nothing is kept apart by
//! them unless a template names it ([`super::template`]); they are kept as tags of new signals, by which a second database that writes to
//! one of them is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::name::Series;
use crate::error::excerpt;

/// The policy of calls that say none, as `SHOW RETENTION POLICIES` tells.
const POLICY: &str = "autogen";
/// Before the name of a tag that the line has itself.
const BESIDE: &str = "line-protocol.";

type Tags = BTreeMap<Arc<str>, Arc<str>>;

/// What a call says of all its lines, by the names of its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin(Vec<(Arc<str>, Arc<str>)>);

impl Origin {
    /// What is said in a call.
    pub const NAMES: [&str; 4] = ["db", "bucket", "rp", "org"];

    /// Takes what a call says. An empty text says nothing, and the policy of calls that say none is no other.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        if !value.is_empty() && (name, value) != ("rp", POLICY) {
            self.0.push((name.into(), value.into()));
        }
    }

    /// Of these names: a database is a bucket, and the other way round.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let said = |name: &str| self.0.iter().find(|(known, _)| **known == *name).map(|(_, value)| &**value);
        match name {
            "db" => said("db").or_else(|| said("bucket")),
            "bucket" => said("bucket").or_else(|| said("db")),
            "rp" => said("rp").or_else(|| self.get("db").map(|_| POLICY)),
            "org" => said("org"),
            _ => None,
        }
    }

    /// Adds it to the tags of a new signal; a tag of the line itself stays.
    pub(crate) fn keep(&self, tags: &mut Tags) {
        for (name, value) in &self.0 {
            let beside = tags.contains_key(name).then(|| format!("{BESIDE}{name}").into());
            tags.insert(beside.unwrap_or_else(|| name.clone()), value.clone());
        }
    }

    /// What a signal that this series has was written from first, and where this call is from, if they are two databases or
    /// policies. Of a signal that another door made first it is not known.
    pub(crate) fn other_than(&self, first: &Tags, series: &Series) -> Option<(String, String)> {
        let kept = |name: &str| match first.get(&*format!("{BESIDE}{name}")) {
            None if !series.tags.contains_key(name) => first.get(name).map(|value| &**value),
            beside => beside.map(|value| &**value),
        };
        let before = (kept("db").or_else(|| kept("bucket"))?, kept("rp").unwrap_or(POLICY));
        let now = (self.get("db")?, self.get("rp")?);
        let shown = |(database, policy): (&str, &str)| match policy {
            POLICY => excerpt(database.as_bytes()),
            policy => format!("{} ({})", excerpt(database.as_bytes()), excerpt(policy.as_bytes())),
        };
        (before != now).then(|| (shown(before), shown(now)))
    }
}

/// The databases and buckets that a signal's tags tell of.
pub(crate) fn databases(tags: &Tags) -> impl Iterator<Item = &Arc<str>> {
    ["db", "bucket"]
        .into_iter()
        .filter_map(|name| tags.get(&*format!("{BESIDE}{name}")).or_else(|| tags.get(name)))
}
