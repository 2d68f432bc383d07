//! Signals: what is known about them and their last values; editing, renaming, deleting. Every change is audited before
//! it is made.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Request, State};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use tidemill_core::{
    Amend, AuditEntry, AuditResult, Boxed, Chunks, Grant, LastValue, Meta, MetaEdit, NumberKind, Pattern,
    Problem, ReadScope, Row, Signal, SignalId, SignalPath, Verb, codes, format_duration, parse_duration,
    rfc3339,
};
use utoipa::ToSchema;

use crate::Web;
use crate::answer::{Answer, json, nothing};
use crate::caller::Caller;
use crate::params::{Params, pattern};
use crate::read::stream_typed;
use crate::samples::encode;
use crate::shapes::SignalFacts;
use crate::sql::read_json;
use crate::times::TimeStyle;

/// Signals described at a time; an answer is made piece by piece.
const PIECE_SIGNALS: usize = 1_000;

/// Lists signals with what is known about them and their last values, sorted by name.
#[utoipa::path(
    get, path = "/api/v1/signals", tag = "signals",
    params(
        ("match" = Option<String>, Query, description = "A pattern; default everything"),
        ("after" = Option<String>, Query, description = "Only names after this one, for paging"),
        ("limit" = Option<usize>, Query, description = "At most so many"),
        ("time" = Option<String>, Query, description = "How times are written: rfc3339 (default), ns, us, ms, s"),
    ),
    responses(
        (status = 200, description = "An array of {signal, unit, description, …, last: {time, value, quality, source}}", body = Vec<SignalFacts>),
    )
)]
pub(crate) async fn list(State(web): State<Web>, caller: Caller, request: Request) -> Answer {
    let params = Params::of(request.uri(), &["match", "after", "limit", "time"])?;
    let wanted = params.one("match")?.map_or_else(|| Ok(Pattern::everything()), pattern)?;
    let style =
        params.choice("time", TimeStyle::Rfc3339, "rfc3339, ns, us, ms or s", TimeStyle::from_name)?;
    let limit = params.number("limit")?.unwrap_or(usize::MAX);
    let scope = caller.grant.scope().clone();
    let mut signals = web.doors().bus.describe(&scope, &wanted);
    if let Some(after) = params.one("after")? {
        signals.retain(|signal| signal.path.as_str() > after);
    }
    signals.truncate(limit);
    let listing = Listing { web, scope, signals, style, next: 0, done: false };
    stream_typed(Box::new(listing), "application/json", caller, request.headers()).await
}

struct Listing {
    web: Web,
    scope: ReadScope,
    signals: Vec<Arc<Signal>>,
    style: TimeStyle,
    next: usize,
    done: bool,
}

/// The further names that the reader may know of.
fn known_aliases<'a>(scope: &'a ReadScope, signal: &'a Signal) -> impl Iterator<Item = &'a str> {
    signal.aliases.iter().filter(|alias| scope.allows(alias)).map(SignalPath::as_str)
}

impl Chunks for Listing {
    fn next(&mut self) -> Boxed<'_, Option<Result<Bytes, Problem>>> {
        Box::pin(std::future::ready(self.piece().map(Ok)))
    }
}

impl Listing {
    fn piece(&mut self) -> Option<Bytes> {
        if self.done {
            return None;
        }
        let mut out = String::from(if self.next == 0 { "[" } else { "" });
        let end = (self.next + PIECE_SIGNALS).min(self.signals.len());
        let some = self.signals.get(self.next..end).unwrap_or_default();
        let ids: Vec<SignalId> = some.iter().map(|signal| signal.id).collect();
        let mut values = Vec::new();
        self.web.doors().bus.last(&self.scope, &ids, &mut values);
        let values: BTreeMap<SignalId, LastValue> =
            values.into_iter().map(|value| (value.id, value)).collect();
        for signal in some {
            if self.next > 0 {
                out.push_str(",\n");
            }
            self.next += 1;
            self.write(signal, values.get(&signal.id), &mut out);
        }
        if self.next >= self.signals.len() {
            self.done = true;
            out.push_str("]\n");
        }
        Some(Bytes::from(out))
    }

    fn write(&self, signal: &Signal, last: Option<&LastValue>, out: &mut String) {
        let meta = &signal.meta;
        // What is not known is null, as in SQL and as an edit takes it.
        let mut member = |name: &str, text: &str| {
            out.push_str(if name == "signal" { "{\"" } else { ",\"" });
            out.push_str(name);
            out.push_str("\":");
            if text.is_empty() { out.push_str("null") } else { encode::write_text(text, out) }
        };
        member("signal", signal.path.as_str());
        member("unit", &meta.unit);
        member("ucum", &meta.unit_ucum);
        member("description", &meta.description);
        member("number", if meta.number == NumberKind::Integer { "integer" } else { "float" });
        member("owner", &meta.owner);
        member("creator", &signal.creator);
        member("stale_after", &stale_after(meta.stale_after_ns));
        out.push_str(",\"created\":");
        self.style.write_json(signal.created, out);
        out.push_str(",\"stepped\":");
        out.push_str(meta.stepped.map_or("null", |stepped| if stepped { "true" } else { "false" }));
        out.push_str(",\"aliases\":");
        list_into(known_aliases(&self.scope, signal), out);
        out.push_str(",\"tags\":{");
        for (index, (key, value)) in meta.tags.iter().enumerate() {
            out.push_str(if index > 0 { "," } else { "" });
            encode::write_text(key, out);
            out.push(':');
            encode::write_text(value, out);
        }
        out.push_str("},\"last\":");
        match last {
            None => out.push_str("null"),
            Some(last) => {
                out.push_str("{\"source\":");
                encode::write_text(&self.web.doors().bus.source(last.source), out);
                let (value, quality) = (last.value.as_ref(), last.quality);
                let row = Row { signal: last.id, time: last.time, value, quality };
                encode::write_members(&row, self.style, out);
                out.push('}');
            }
        }
        out.push('}');
    }
}

/// As an edit takes it; empty for never.
fn stale_after(nanos: i64) -> String {
    match u64::try_from(nanos) {
        Ok(nanos @ 1..) => format_duration(Duration::from_nanos(nanos)),
        _ => String::new(),
    }
}

fn list_into<'a>(texts: impl Iterator<Item = &'a str>, out: &mut String) {
    out.push('[');
    for (index, text) in texts.enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        encode::write_text(text, out);
    }
    out.push(']');
}

/// What to change; what is absent stays. What a listing gave can be sent back as it is.
#[derive(Debug, Deserialize, serde::Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignalEdit {
    /// As it is to be shown; null or empty for none.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    unit: Option<Option<String>>,
    /// The same as a UCUM code.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    ucum: Option<Option<String>>,
    /// A sentence for people.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
    /// What a bare number becomes: `float` or `integer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    /// Whether a value holds until the next; null for: by kind.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<bool>)]
    stepped: Option<Option<bool>>,
    /// The only identity that may write; null or empty for anyone with the right.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    owner: Option<Option<String>>,
    /// When a value grows stale, such as `5m`; null or `0s` for never.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    stale_after: Option<Option<String>>,
    /// Added or replaced; null or an empty value removes.
    #[serde(default, deserialize_with = "each_once", skip_serializing_if = "Option::is_none")]
    tags: Option<BTreeMap<String, Option<String>>>,
    /// A new name; the old one stays as an alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    rename: Option<String>,
    /// A further name.
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
    /// Only as a listing gave it: `rename` gives another name.
    #[serde(skip_serializing)]
    signal: Option<String>,
    /// Only as a listing gave them: `alias` adds one.
    #[serde(skip_serializing)]
    aliases: Option<Vec<String>>,
    /// Not looked at: it changes by itself.
    #[serde(skip_serializing)]
    #[allow(dead_code, reason = "taken, so that a listing can be sent back")]
    #[schema(value_type = Option<Object>)]
    last: Option<serde::de::IgnoredAny>,
    /// Not looked at: it never changes.
    #[serde(skip_serializing)]
    #[allow(dead_code, reason = "taken, so that a listing can be sent back")]
    creator: Option<String>,
    /// Not looked at: it never changes.
    #[serde(skip_serializing)]
    #[allow(dead_code, reason = "taken, so that a listing can be sent back")]
    #[schema(value_type = Option<Object>)]
    created: Option<serde::de::IgnoredAny>,
}

impl SignalEdit {
    /// Refuses what would change names in a way that an edit cannot.
    fn check_names(&self, present: &Signal, scope: &ReadScope) -> Result<(), Problem> {
        let read_only = |member: &str, instead: &str| {
            let detail = format!("'{member}' is not what the signal has, and is not changed this way");
            Problem::new(&codes::BAD_PARAMETER, detail).hint(instead)
        };
        if self.signal.as_ref().is_some_and(|name| name != present.path.as_str()) {
            return Err(read_only("signal", "Give it another name with 'rename'"));
        }
        let same = |names: &Vec<String>| names.iter().map(String::as_str).eq(known_aliases(scope, present));
        if self.aliases.as_ref().is_some_and(|names| !same(names)) {
            return Err(read_only("aliases", "Add a further name with 'alias'"));
        }
        Ok(())
    }

    /// A listing that is sent back with another unit still has the code of the unit before: it follows the unit.
    fn forget_old_code(&mut self, present: &Meta) {
        let said = |member: &Option<Option<String>>| member.clone().map(Option::unwrap_or_default);
        let other_unit = said(&self.unit).is_some_and(|unit| unit != *present.unit);
        if other_unit && said(&self.ucum).is_some_and(|code| code == *present.unit_ucum) {
            self.ucum = None;
        }
    }
}

/// A member that is there, also if it is null.
fn present<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// Tags, none of which stands twice: the map alone would keep the last and say nothing.
fn each_once<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, Option<String>>>, D::Error> {
    struct Tags(BTreeMap<String, Option<String>>);
    struct Read;
    impl<'de> Visitor<'de> for Read {
        type Value = Tags;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("an object of tags")
        }

        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Tags, M::Error> {
            let mut tags = BTreeMap::new();
            while let Some((key, value)) = map.next_entry::<String, _>()? {
                if tags.contains_key(&key) {
                    return Err(M::Error::custom(format_args!("the tag '{key:.40}' stands twice")));
                }
                tags.insert(key, value);
            }
            Ok(Tags(tags))
        }
    }
    impl<'de> Deserialize<'de> for Tags {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Tags, D::Error> {
            deserializer.deserialize_map(Read)
        }
    }
    Ok(Option::<Tags>::deserialize(deserializer)?.map(|Tags(tags)| tags))
}

/// Changes what is known about a signal, or its name.
#[utoipa::path(
    patch, path = "/api/v1/signals", tag = "signals",
    params(("signal" = String, Query, description = "Its name")),
    request_body = SignalEdit,
    responses((status = 204, description = "Durable")),
)]
pub(crate) async fn edit(State(web): State<Web>, caller: Caller, request: Request) -> Answer {
    let params = Params::of(request.uri(), &["signal"])?;
    let path = params.path("signal")?;
    let mut wanted: SignalEdit = read_json(&web, request).await?;
    let detail = serde_json::to_string(&wanted).unwrap_or_default();
    let action = if wanted.rename.is_some() { "signal.rename" } else { "signal.edit" };
    let change = Change { web: &web, caller: &caller, action, target: path.to_string(), detail };
    let grant = change.granted(&path)?;
    if let Some(present) = web.doors().bus.signal(grant.id) {
        wanted.check_names(&present, caller.grant.scope())?;
        wanted.forget_old_code(&present.meta);
    }
    let edit = edit_of(wanted)?;
    if let Some(new) = &edit.rename {
        // A rename makes a name in another branch: it needs the right there too.
        change.may_configure(new)?;
    }
    if let Some(alias) = &edit.alias {
        change.may_configure(alias)?;
    }
    change.intend().await?;
    let done = match web.doors().bus.edit(&caller.identity, &grant, edit) {
        Ok(commit) => commit.await.map(drop).map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    change.conclude(done).await?;
    Ok(nothing())
}

fn edit_of(wanted: SignalEdit) -> Result<MetaEdit, Problem> {
    let path = |text: Option<String>| text.map(|text| SignalPath::new(&text)).transpose();
    let number = wanted.number.map(|text| match text.as_str() {
        "float" => Ok(NumberKind::Float),
        "integer" => Ok(NumberKind::Integer),
        _ => Err(Problem::new(&codes::BAD_PARAMETER, "'number' must be float or integer")),
    });
    let stale_after_ns = wanted.stale_after.map(|text| {
        let Some(text) = text else { return Ok(0) };
        let nanos = parse_duration(&text).and_then(|duration| i64::try_from(duration.as_nanos()).ok());
        nanos.ok_or_else(|| {
            Problem::new(&codes::BAD_TIME, "'stale_after' must be a duration such as 30s, 5m, 1h")
        })
    });
    // Null clears, as an empty text does.
    let text = |text: Option<Option<String>>| text.map(|text| Arc::from(text.unwrap_or_default()));
    let tags = wanted.tags.unwrap_or_default().into_iter();
    Ok(MetaEdit {
        unit: text(wanted.unit),
        unit_ucum: text(wanted.ucum),
        description: text(wanted.description),
        number: number.transpose()?,
        stepped: wanted.stepped,
        owner: text(wanted.owner),
        stale_after_ns: stale_after_ns.transpose()?,
        tags: tags.map(|(key, value)| (key.into(), value.unwrap_or_default().into())).collect(),
        rename: path(wanted.rename)?,
        alias: path(wanted.alias)?,
        retire: None,
    })
}

/// What was deleted of a range.
#[derive(Serialize, ToSchema)]
pub(crate) struct Deleted {
    /// Null where they could not be counted.
    samples: Option<u64>,
}

/// Deletes a signal with all of its samples, or with `from` and `to` its samples in between.
#[utoipa::path(
    delete, path = "/api/v1/signals", tag = "signals",
    params(
        ("signal" = String, Query, description = "Its name"),
        ("from" = Option<String>, Query, description = "Delete samples from this time, included"),
        ("to" = Option<String>, Query, description = "Delete samples to this time, excluded"),
        ("unit" = Option<String>, Query, description = "What a number in from and to counts"),
        ("reason" = Option<String>, Query, description = "Why; audited. Needed when samples are deleted"),
    ),
    responses(
        (status = 200, description = "Of a range: durable, and how many samples it took", body = Deleted),
        (status = 204, description = "Of a signal: durable"),
    ),
)]
pub(crate) async fn delete(State(web): State<Web>, caller: Caller, request: Request) -> Answer {
    let params = Params::of(request.uri(), &["signal", "from", "to", "unit", "reason"])?;
    let path = params.path("signal")?;
    let now = web.doors().clock.wall();
    let range = match (params.time("from", now)?, params.time("to", now)?) {
        (None, None) => None,
        (Some(from), Some(to)) if from < to => Some((from, to)),
        _ => {
            let detail = "to delete samples give from= and a later to=; to delete the signal give neither";
            return Err(Problem::new(&codes::BAD_PARAMETER, detail).into());
        }
    };
    let reason = params.one("reason")?.unwrap_or_default();
    if range.is_some() && reason.trim().is_empty() {
        return Err(Problem::new(
            &codes::BAD_PARAMETER,
            "deleting samples needs a reason=: it is kept with them",
        )
        .into());
    }
    let action = if range.is_some() { "samples.delete" } else { "signal.delete" };
    let range_json = range.map(|(from, to)| [rfc3339(from), rfc3339(to)]);
    let detail = serde_json::json!({ "reason": reason, "range": range_json }).to_string();
    let change = Change { web: &web, caller: &caller, action, target: path.to_string(), detail };
    let grant = change.granted(&path)?;
    change.intend().await?;
    let amend = match range {
        Some((from, to)) => Amend::Delete { from, to },
        None => Amend::Retire,
    };
    let done = web.doors().history.amend(&caller.identity, &[grant], amend, reason).await;
    let samples = done.as_ref().map_or(None, |amended| amended.samples);
    change.conclude(done.map(drop)).await?;
    Ok(range.map_or_else(nothing, |_| json(&Deleted { samples })))
}

/// A change that is audited: first what is intended, then how it ended.
struct Change<'a> {
    web: &'a Web,
    caller: &'a Caller,
    action: &'static str,
    target: String,
    detail: String,
}

impl Change<'_> {
    /// The right to configure a signal that exists. Who may not even read it is not told that it does.
    fn granted(&self, path: &SignalPath) -> Result<Grant, Problem> {
        self.web.doors().bus.bind(&self.caller.identity, Verb::Configure, path, &Meta::default())
    }

    fn may_configure(&self, path: &SignalPath) -> Result<(), Problem> {
        let decision = self.web.doors().authority.decide(&self.caller.identity, Verb::Configure, path);
        if decision.allowed {
            return Ok(());
        }
        Err(Problem::new(&codes::FORBIDDEN, format!("you may not configure {path}: {}", decision.rule)))
    }

    async fn intend(&self) -> Result<(), Problem> {
        self.record(AuditResult::Intended).await
    }

    async fn conclude(&self, done: Result<(), Problem>) -> Result<(), Problem> {
        let result = match &done {
            Ok(()) => AuditResult::Done,
            // It stands in the log: only bringing it into files goes on.
            Err(problem) if *problem.code == codes::UNFINISHED => AuditResult::Done,
            Err(_) => AuditResult::Failed,
        };
        let recorded = self.record(result).await;
        done.and(recorded)
    }

    async fn record(&self, result: AuditResult) -> Result<(), Problem> {
        let entry = AuditEntry {
            who: self.caller.identity.clone(),
            action: self.action,
            target: self.target.clone(),
            result,
            detail: self.detail.clone(),
        };
        self.web.doors().authority.audit(entry)?.await?;
        Ok(())
    }
}
