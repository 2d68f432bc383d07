//! Plant names for foreign series: `path = "{host}/{measurement}/{cpu}/{field}"` from connections/line-protocol.toml.
//! Here: what a template is and what it makes of a series; those that come with the program are in [`super::preset`]. That two series never meet in one name is seen to by the
//! binding (`write::namer`).

use std::collections::BTreeMap;

use tidemill_core::SignalPath;

use super::name::{Series, measurement_into, segment_into};
use super::preset::Preset;

/// Templates of one file, first match wins: the file's own, then those of its presets.
#[derive(Clone, Debug, Default, serde::Deserialize)]
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
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Tag name, `measurement` or `field` → the value it must have; `*` for any that is there, `!` for none, `ns=*` for
    /// any that begins so.
    #[serde(default, rename = "match")]
    pub conditions: BTreeMap<String, String>,
    /// The name, with `{measurement}`, `{field}` and `{tag}` in it; of `{tag:path}` the slashes separate.
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
    /// A tag whose slashes separate.
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
        let example = shape.render(|_| Some("x"), "x", "x");
        match example.map(|path| SignalPath::new(&path)) {
            Ok(Err(error)) => Err(format!("'{text}' makes no legal name: {error}")),
            _ => Ok(shape),
        }
    }
}

impl Shape {
    /// The name; else the tag that is not there.
    fn render<'a>(
        &'a self,
        tag: impl Fn(&'a str) -> Option<&'a str>,
        measurement: &str,
        field: &str,
    ) -> Result<String, &'a str> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Name(name) if name == "measurement" => measurement_into(measurement, &mut out),
                Piece::Name(name) if name == "field" => segment_into(field, &mut out),
                Piece::Name(name) => segment_into(tag(name).ok_or(name.as_str())?, &mut out),
                // As topics are taken: a slash at an end separates nothing.
                Piece::Path(name) => {
                    let value = tag(name).ok_or(name.as_str())?;
                    let inner = value.strip_prefix('/').unwrap_or(value);
                    measurement_into(inner.strip_suffix('/').unwrap_or(inner), &mut out);
                }
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

    /// What the first fitting template calls a field of a series.
    pub fn name(&self, series: &Series, field: &str) -> Named {
        let Some(template) = self.all().find(|template| template.fits(series, field)) else {
            return Named::Default;
        };
        let tag = |name: &str| series.tags.get(name).map(|value| &**value);
        match template.path.render(tag, &series.measurement, field) {
            Ok(path) => match SignalPath::new(&path) {
                Ok(path) => Named::Path(path),
                Err(error) => Named::Nothing(format!("its template makes no legal name: {error}")),
            },
            Err(tag) => Named::Nothing(format!("its template wants the tag {tag}, which it has not")),
        }
    }
}

impl Template {
    fn fits(&self, series: &Series, field: &str) -> bool {
        self.conditions.iter().all(|(name, wanted)| {
            let value = match name.as_str() {
                "measurement" => Some(series.measurement.as_str()),
                "field" => Some(field),
                tag => series.tags.get(tag).map(|value| &**value),
            };
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
