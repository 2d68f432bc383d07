//! Plant names for foreign series: `path = "{host}/{measurement}/{cpu}/{field}"` from connections/line-protocol.toml.
//! Here: what a template is and what it makes of a series. That two series never meet in one name is seen to by the
//! binding (`write::namer`).

use std::collections::BTreeMap;

use tidemill_core::SignalPath;

use super::name::{Series, measurement_into, segment_into};

/// Templates of one file, first match wins.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Templates {
    /// In the order of the file.
    #[serde(default)]
    pub template: Vec<Template>,
}

/// One template.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Tag name, `measurement` or `field` → the value it must have; `*` for any that is there, `!` for none.
    #[serde(default, rename = "match")]
    pub conditions: BTreeMap<String, String>,
    /// The name, with `{measurement}`, `{field}` and `{tag}` in it.
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
            pieces.push(Piece::Name(name.to_owned()));
            rest = tail;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        let shape = Shape { pieces };
        let example = shape.render(|_| Some("x"), "x", "x");
        match example.map(|path| SignalPath::new(&path)) {
            Some(Err(error)) => Err(format!("'{text}' makes no legal name: {error}")),
            _ => Ok(shape),
        }
    }
}

impl Shape {
    fn render<'a>(
        &'a self,
        tag: impl Fn(&'a str) -> Option<&'a str>,
        measurement: &str,
        field: &str,
    ) -> Option<String> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Name(name) if name == "measurement" => measurement_into(measurement, &mut out),
                Piece::Name(name) if name == "field" => segment_into(field, &mut out),
                Piece::Name(name) => segment_into(tag(name)?, &mut out),
            }
        }
        Some(out)
    }
}

impl Templates {
    /// The name that the first fitting template gives; none where no template fits or all its names are not there.
    pub fn path(&self, series: &Series, field: &str) -> Option<SignalPath> {
        let template = self.template.iter().find(|template| template.fits(series, field))?;
        let tag = |name: &str| series.tags.get(name).map(|value| &**value);
        let path = template.path.render(tag, &series.measurement, field)?;
        SignalPath::new(&path).ok()
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
                wanted => value == Some(wanted),
            }
        })
    }
}
