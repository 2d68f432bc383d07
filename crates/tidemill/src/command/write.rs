//! `tidemill write`: one sample, durable when the command ends.

use clap::Args;
use hyper::Method;
use serde_json::{Value as Json, json};
use tidemill_core::{Kind, Problem, Quality, SignalPath, codes};

use super::{CommandResult, Global, Outcome};
use crate::{output, time};

/// Writes one sample; done means on disk.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tidemill write acme/leeds/press/temperature 20.5\n  tidemill write acme/leeds/press/state running --time -5m --quality uncertain"
)]
pub(crate) struct Write {
    /// The signal's path
    path: SignalPath,
    /// A number, true, false or text
    #[arg(allow_hyphen_values = true)]
    value: String,
    /// When it was so [default: the server stamps it]
    #[arg(long, allow_hyphen_values = true)]
    time: Option<String>,
    /// good, uncertain, bad, or an OPC UA status code
    #[arg(long, allow_hyphen_values = true)]
    quality: Option<String>,
    /// What the value is: float, integer, unsigned, boolean, text, json [default: by its form]
    #[arg(long)]
    kind: Option<String>,
}

impl Write {
    pub(crate) async fn execute(self, global: &Global) -> CommandResult {
        let mut sample = json!({ "signal": self.path.as_str() });
        let (value, kind, note) = match self.kind.as_deref() {
            Some(kind) => stated(&self.value, kind).map(|(value, kind)| (value, Some(kind), None))?,
            None => by_form(&self.value)?,
        };
        if let Some(note) = note {
            output::note(&format!("'{}' {note}", self.value));
        }
        sample["value"] = value;
        if let Some(kind) = kind {
            sample["kind"] = kind.name().into();
        }
        if let Some(text) = &self.time {
            let (time, note) = time::of_sample(text, super::now(), &global.zone_of(&[text]).await?)?;
            if let Some(note) = note {
                output::note(&format!("'{text}' {note}"));
            }
            sample["time"] = tidemill_core::rfc3339(time).into();
        }
        if let Some(text) = &self.quality {
            Quality::parse(text)?;
            sample["quality"] = text.as_str().into();
        }
        global.client()?.call(Method::POST, "/api/v1/write", &Json::Array(vec![sample])).await.map_err(
            |problem| {
                // A place in a body that nobody typed.
                Problem { place: None, ..problem }
            },
        )?;
        if global.json {
            output::json(&json!({ "written": 1, "signal": self.path.as_str() }))?;
        }
        Ok(Outcome::Done)
    }
}

/// `20,5` and `20.5°C`, which are text.
fn looks_like_a_number(text: &str) -> bool {
    let begins = text.trim_start_matches(['-', '+']).starts_with(|first: char| first.is_ascii_digit());
    // Dates and names have more digits behind other signs.
    let one_number =
        text.split(|letter: char| !letter.is_ascii_digit()).filter(|part| !part.is_empty()).count() <= 2;
    begins && one_number && text.parse::<f64>().is_err()
}

/// A value as JSON, the kind that goes with it, and what the user should know of it.
type Typed = (Json, Option<Kind>, Option<&'static str>);

/// Without a kind the form decides, as at the door for JSON (docs/reference/values.md) and in files: what is beyond a
/// float is refused, a whole number that no float holds stays whole.
fn by_form(text: &str) -> Result<Typed, Problem> {
    match text {
        "true" | "ON" => return Ok((true.into(), None, None)),
        "false" | "OFF" => return Ok((false.into(), None, None)),
        _ => {}
    }
    let number: Option<f64> = text.parse().ok();
    let digits = text.contains(|letter: char| letter.is_ascii_digit());
    let Some(nearest) = number.filter(|_| digits) else {
        let note = match number {
            Some(_) => Some("is kept as text: NaN, Infinity and -Infinity are numbers with --kind float"),
            None => looks_like_a_number(text).then_some(
                "is kept as text: a number is written like 20.5, without a unit; --kind text says that it is meant",
            ),
        };
        return Ok((text.into(), None, note));
    };
    if !nearest.is_finite() {
        let problem = Problem::new(&codes::BAD_VALUE, format!("'{text}' is beyond every float"));
        return Err(problem.hint("Write a number up to 1.8e308, or say --kind text to keep it as it is"));
    }
    // Digits go as they are: the signal may be one of integers. But an integer cannot tell -0 from 0.
    let whole = Some(text).filter(|_| nearest != 0.0 || nearest.is_sign_positive());
    let signed = whole.and_then(|text| text.parse::<i64>().ok());
    let unsigned = whole.and_then(|text| text.parse::<u64>().ok());
    let (value, kind, exact) = match (signed, unsigned) {
        (Some(int), _) => (int.into(), Kind::Int, i128::from(int)),
        (None, Some(uint)) => (uint.into(), Kind::UInt, i128::from(uint)),
        (None, None) => return Ok((nearest.into(), None, None)),
    };
    #[expect(clippy::cast_possible_truncation, reason = "whole numbers of 64 bits fit into 128")]
    let lost = nearest as i128 != exact;
    let note = "is kept as an integer: no float holds it; --kind float takes the nearest one";
    Ok((value, lost.then_some(kind), lost.then_some(note)))
}

/// A value of a stated kind as JSON.
fn stated(text: &str, kind: &str) -> Result<(Json, Kind), Problem> {
    let bad = |what: &str| Problem::new(&codes::BAD_VALUE, format!("'{text}' is no {what}"));
    let kind = Kind::from_name(kind).ok_or_else(|| {
        Problem::new(&codes::BAD_VALUE, format!("there is no kind '{kind}'"))
            .hint("Use float, integer, unsigned, boolean, text or json")
    })?;
    let value = match kind {
        Kind::Float => match text {
            "NaN" | "Infinity" | "-Infinity" => text.into(),
            // A number that JSON cannot hold would go as null.
            _ => text
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite())
                .ok_or_else(|| bad("number"))?
                .into(),
        },
        Kind::Int => text.parse::<i64>().map_err(|_| bad("integer"))?.into(),
        Kind::UInt => text.parse::<u64>().map_err(|_| bad("unsigned integer"))?.into(),
        Kind::Bool => text.parse::<bool>().map_err(|_| bad("boolean"))?.into(),
        Kind::Json => {
            // In a string it is kept as it was typed.
            serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|_| bad("JSON document"))?;
            text.into()
        }
        Kind::None => Json::Null,
        Kind::Text | Kind::Bytes => text.into(),
    };
    Ok((value, kind))
}
