//! One JSON object taken apart into its scalars, with its numbers as they are written. What they mean, and how a file is
//! cut into objects, is decided in `json`.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// How deep members are followed; deeper ones are kept as JSON documents.
const DEPTH_MAX: usize = 8;

/// How deep a document's lists and objects may stand in each other: more than any writer means, and as JSON readers bear.
const DOCUMENT_DEPTH_MAX: usize = 128;

/// How many members an object may have in all.
pub(super) const MEMBERS_MAX: usize = 10_000;

/// So many members are looked through for one that stands twice; of more the names are remembered.
const FEW_MEMBERS: usize = 64;

/// One scalar of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member<'a> {
    /// The names of the members that it lies within, from the outside in.
    pub(super) within: Vec<Cow<'a, str>>,
    pub(super) name: Cow<'a, str>,
    pub(super) value: Scalar<'a>,
}

impl Member<'_> {
    /// Whether it is a member of the object itself, of that name.
    pub(super) fn is_outer(&self, name: &str) -> bool {
        self.within.is_empty() && self.name == name
    }

    /// Whether it is called so with all its names.
    pub(super) fn is(&self, full_name: &str) -> bool {
        full_name.ends_with(&*self.name) && self.full_name() == full_name
    }

    /// All its names, from the outside in.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.within.iter().chain([&self.name]).map(AsRef::as_ref)
    }

    /// The same as one.
    pub(super) fn full_name(&self) -> Cow<'_, str> {
        if self.within.is_empty() {
            return Cow::Borrowed(&self.name);
        }
        self.names().collect::<Vec<_>>().join("/").into()
    }
}

/// A scalar as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(Cow<'a, str>),
    /// An array, or an object too deep: its JSON.
    Document(&'a str),
}

impl Scalar<'_> {
    /// The same, or the JSON of a document.
    pub(super) fn shown(&self) -> &str {
        match self {
            Scalar::Document(json) => json,
            other => other.text(),
        }
    }

    /// The text of a string or number; empty for others.
    pub(super) fn text(&self) -> &str {
        match self {
            Scalar::Number(text) => text,
            Scalar::Text(text) => text,
            Scalar::Bool(true) => "true",
            Scalar::Bool(false) => "false",
            Scalar::Null | Scalar::Document(_) => "",
        }
    }
}

/// The members of one object, from the outside in. Those called `whole` are one each, also where they are objects
/// themselves: the value of a sample, and a quality. Before it is known which they are, the value of
/// `{"signal", "value", …}` is one. Nothing is copied that need not be: every object of a file is taken apart twice.
pub(super) fn members<'a>(text: &'a str, whole: &[&str]) -> Result<Vec<Member<'a>>, String> {
    let mut out = Vec::new();
    walk(text, whole, &mut Vec::new(), &mut out)?;
    // A few names are compared fast enough.
    let mut names = HashSet::new();
    for (index, member) in out.iter().enumerate() {
        let same = |other: &Member<'_>| other.name == member.name && other.within == member.within;
        let twice = match out.len() {
            0..=FEW_MEMBERS => out.iter().take(index).any(same),
            _ => !names.insert((&member.within, &member.name)),
        };
        if twice {
            return Err(format!("the member '{}' stands twice", member.full_name()));
        }
    }
    drop(names);
    Ok(out)
}

/// Whether a text is one JSON object, whatever its members are.
pub(super) fn is_object(text: &str) -> bool {
    text.starts_with('{') && serde_json::from_str::<&RawValue>(text).is_ok()
}

/// Looks through a document for an object in which a member stands twice: of these nobody knows which counts.
pub(super) fn judge_document(json: &str) -> Result<(), String> {
    judge_within(json, DOCUMENT_DEPTH_MAX)
}

fn judge_within(json: &str, depth: usize) -> Result<(), String> {
    let deeper = || {
        let deep = || format!("lists and objects stand more than {DOCUMENT_DEPTH_MAX} deep in each other");
        depth.checked_sub(1).ok_or_else(deep)
    };
    match json.trim_start().as_bytes().first() {
        Some(b'{') => {
            let object: Object<'_> = serde_json::from_str(json).map_err(|error| error.to_string())?;
            let mut names = HashSet::new();
            for (name, value) in &object.0 {
                if !names.insert(name) {
                    return Err(format!("the member '{name}' stands twice"));
                }
                judge_within(value.get(), deeper()?)?;
            }
            Ok(())
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(json).map_err(|error| error.to_string())?;
            elements.iter().try_for_each(|element| judge_within(element.get(), deeper()?))
        }
        _ => Ok(()),
    }
}

fn walk<'a>(
    text: &'a str,
    whole: &[&str],
    within: &mut Vec<Cow<'a, str>>,
    out: &mut Vec<Member<'a>>,
) -> Result<(), String> {
    let object: Object<'a> =
        serde_json::from_str(text).map_err(|error| format!("it is no JSON object: {error}"))?;
    let is_sample = within.is_empty() && object.0.iter().any(|(name, _)| name == "signal");
    let is_value = |name: &str| is_sample && whole.is_empty() && name == "value";
    for (name, raw) in object.0 {
        if out.len() >= MEMBERS_MAX {
            return Err(format!("the object has more than {MEMBERS_MAX} members"));
        }
        let raw = raw.get();
        let value = match raw.as_bytes().first() {
            Some(b'{')
                if within.len() + 1 < DEPTH_MAX
                    && !is_value(&name)
                    && !whole.iter().any(|whole| is_called(whole, within, &name)) =>
            {
                within.push(name);
                walk(raw, whole, within, out)?;
                within.pop();
                continue;
            }
            Some(b'{' | b'[') => Scalar::Document(raw),
            Some(b'"') => Scalar::Text(string(raw)?),
            Some(b't') => Scalar::Bool(true),
            Some(b'f') => Scalar::Bool(false),
            Some(b'n') => Scalar::Null,
            _ => Scalar::Number(raw),
        };
        out.push(Member { within: within.clone(), name, value });
    }
    Ok(())
}

/// Whether a member of others is called so with all its names.
fn is_called(full_name: &str, within: &[Cow<'_, str>], name: &str) -> bool {
    let around = full_name.strip_suffix(name);
    around.is_some_and(|around| {
        let names =
            within.iter().try_fold(around, |rest, name| rest.strip_prefix(&**name)?.strip_prefix('/'));
        names == Some("")
    })
}

/// A string that was seen to be one. Without escapes it is what stands between its quotes.
fn string(raw: &str) -> Result<Cow<'_, str>, String> {
    match raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).filter(|text| !text.contains('\\')) {
        Some(text) => Ok(Cow::Borrowed(text)),
        None => serde_json::from_str(raw).map(Cow::Owned).map_err(|error| error.to_string()),
    }
}

/// Members in their order, numbers as they are written: `serde_json::Value` would round them.
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object<'de>, M::Error> {
                let mut out = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    out.push((name, value));
                }
                Ok(Object(out))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The name of a member: only one with escapes is copied.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
