//! Plant names for foreign series: `path = "{host}/{measurement}/{cpu}/{field}"` from connections/line-protocol.toml.
//! Here: what a template is and what it makes of a series; those that come with the program are in [`super::preset`]. That two series never meet in one name is seen to by the
//! binding (`write::namer`).

use std::collections::BTreeMap;

use tidemill_core::SignalPath;

use super::name::{Series, measurement_into, segment_into};
use super::origin::Origin;
use super::preset::Preset;

/// Templates of one file, first match wins: the file's own, then those of its presets.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Templates {
    /// By name, in the order of the file.
    #[serde(default)]
    pub presets: Vec<Preset>,
    /// In the order of the file.
    #[serde(default)]
    pub template: Vec<Template>,
}

/// What the templates say of a field of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// No template fits: the default name is meant.
    Default,
    /// The name that the first fitting template gives.
    Path(SignalPath),
    /// A template fits and gives no name; why.
    Nothing(String),
}

/// One template.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The name of a tag, or of a word of the call as in `Field` → the value it must have; `*` for any that is there, `!` for
    /// none, `ns=*` for any that begins so.
    #[serde(default, rename = "match")]
    pub conditions: BTreeMap<String, String>,
    /// The name, with `{measurement}`, `{db}`, `{tag}` and so on in it; of `{tag:path}` the slashes separate.
    pub path: Shape,
}

/// The parsed path of a template.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Shape {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(String),
    /// One whose slashes separate.
    Path(String),
}

impl TryFrom<String> for Shape {
    type Error = String;

    fn try_from(text: String) -> Result<Shape, String> {
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        while let Some((head, tail)) = rest.split_once('{') {
            let (name, tail) =
                tail.split_once('}').ok_or_else(|| format!("'{text}' has a '{{' without '}}'"))?;
            if name.is_empty() {
                return Err(format!(
                    "'{text}' has an empty '{{}}': write a tag's name, measurement or field"
                ));
            }
            if !head.is_empty() {
                pieces.push(Piece::Text(head.to_owned()));
            }
            pieces.push(match name.strip_suffix(":path") {
                Some("") | None => Piece::Name(name.to_owned()),
                Some(tag) => Piece::Path(tag.to_owned()),
            });
            rest = tail;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        let shape = Shape { pieces };
        let example = shape.render(|_| Some("x"));
        match example.map(|path| SignalPath::new(&path)) {
            Ok(Err(error)) => Err(format!("'{text}' makes no legal name: {error}")),
            _ => Ok(shape),
        }
    }
}

impl Shape {
    /// The name; else what is not there.
    fn render<'a>(&'a self, value: impl Fn(&'a str) -> Option<&'a str>) -> Result<String, &'a str> {
        let mut out = String::new();
        for piece in &self.pieces {
            let (name, is_path) = match piece {
                Piece::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Piece::Name(name) => (name.as_str(), false),
                Piece::Path(name) => (name.as_str(), true),
            };
            let value = value(name).ok_or(name)?;
            match name {
                "default" => out.push_str(value),
                "measurement" => measurement_into(value, &mut out),
                // As topics are taken: a slash at an end separates nothing.
                _ if is_path => {
                    let inner = value.strip_prefix('/').unwrap_or(value);
                    measurement_into(inner.strip_suffix('/').unwrap_or(inner), &mut out);
                }
                _ => segment_into(value, &mut out),
            }
        }
        Ok(out)
    }
}

impl Templates {
    /// Whether every series has its default name.
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    fn all(&self) -> impl Iterator<Item = &Template> {
        self.template.iter().chain(self.presets.iter().flat_map(|preset| &preset.templates))
    }

    /// What the first fitting template calls a field.
    pub fn name(&self, field: &Field<'_>) -> Named {
        let Some(template) = self.all().find(|template| template.fits(field)) else {
            return Named::Default;
        };
        match template.path.render(|name| field.value(name)) {
            Ok(path) => match SignalPath::new(&path) {
                Ok(path) => Named::Path(path),
                Err(error) => Named::Nothing(format!("its template makes no legal name: {error}")),
            },
            Err(name) if Origin::NAMES.contains(&name) => {
                Named::Nothing(format!("its template wants {{{name}}}, which its call does not say"))
            }
            Err(tag) => Named::Nothing(format!("its template wants the tag {tag}, which it has not")),
        }
    }
}

/// A field of a series, as templates see it.
#[derive(Debug)]
#[allow(missing_docs, reason = "plain words")]
pub struct Field<'a> {
    pub series: &'a Series,
    pub name: &'a str,
    pub origin: &'a Origin,
    /// Its default name.
    pub default: &'a SignalPath,
}

impl Field<'_> {
    /// `measurement`, `field`, the `default` name; what its call says (`db` or `bucket`, `rp`, `org`); else a tag. `db:tag` is a tag
    /// whatever the call says.
    fn value(&self, name: &str) -> Option<&str> {
        let tag = |name: &str| self.series.tags.get(name).map(|value| &**value);
        match name {
            "measurement" => Some(&self.series.measurement),
            "field" => Some(self.name),
            "default" => Some(self.default.as_str()),
            name => match name.strip_suffix(":tag") {
                Some(name) => tag(name),
                None => self.origin.get(name).or_else(|| tag(name)),
            },
        }
    }
}

impl Template {
    fn fits(&self, field: &Field<'_>) -> bool {
        self.conditions.iter().all(|(name, wanted)| {
            let value = field.value(name);
            match wanted.as_str() {
                "*" => value.is_some(),
                "!" => value.is_none(),
                wanted => match wanted.strip_suffix('*') {
                    Some(beginning) => value.is_some_and(|value| value.starts_with(beginning)),
                    None => value == Some(wanted),
                },
            }
        })
    }
}
