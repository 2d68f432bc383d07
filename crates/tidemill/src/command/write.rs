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
    #[arg(long)]
    quality: Option<String>,
    /// What the value is: float, integer, unsigned, boolean, text, json [default: by its form]
    #[arg(long)]
    kind: Option<String>,
}

impl Write {
    pub(crate) async fn execute(self, global: &Global) -> CommandResult {
        let mut sample = json!({ "signal": self.path.as_str() });
        if self.kind.is_none() && looks_like_a_number(&self.value) {
            output::note(&format!(
                "'{}' is kept as text: a number is written like 20.5, without a unit; --kind text says that it is meant",
                self.value
            ));
        }
        let (value, kind) = typed(&self.value, self.kind.as_deref())?;
        sample["value"] = value;
        if let Some(kind) = kind {
            sample["kind"] = kind.name().into();
        }
        if let Some(text) = &self.time {
            let time = time::parse(text, super::now(), &global.zone())?;
            sample["time"] = tidemill_core::rfc3339(time).into();
        }
        if let Some(text) = &self.quality {
            Quality::parse(text)?;
            sample["quality"] = text.as_str().into();
        }
        global.client()?.call(Method::POST, "/api/v1/write", &Json::Array(vec![sample])).await?;
        if global.json {
            output::json(&json!({ "written": 1, "signal": self.path.as_str() }));
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

/// The value as JSON, with a kind where JSON alone would not say it.
fn typed(text: &str, kind: Option<&str>) -> Result<(Json, Option<Kind>), Problem> {
    let bad = |what: &str| Problem::new(&codes::BAD_VALUE, format!("'{text}' is no {what}"));
    let Some(kind) = kind else {
        return Ok(match text {
            "true" | "ON" => (true.into(), None),
            "false" | "OFF" => (false.into(), None),
            _ => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => (number.into(), None),
                _ => (text.into(), None),
            },
        });
    };
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
    Ok((value, Some(kind)))
}
