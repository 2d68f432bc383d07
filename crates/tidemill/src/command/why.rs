//! `tidemill why`: where a value came from.

use clap::Args;
use serde_json::Value as Json;
use tidemill_core::{SignalPath, parse_rfc3339, rfc3339};

use super::{CommandResult, Global, Outcome};
use crate::client::query;
use crate::{output, time};

/// The facts that are times; people read them in the plant's zone, as `read` shows them.
const TIMES: [&str; 3] = ["time", "received", "known since"];

/// Says where a value came from: source, time, rule, what it was made of.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tidemill why acme/leeds/press/temperature\n  tidemill why acme/leeds/press/temperature --at '2026-03-01 06:00'"
)]
pub(crate) struct Why {
    /// The signal's path
    path: SignalPath,
    /// The value at this time [default: the last one]
    #[arg(long, allow_hyphen_values = true)]
    at: Option<String>,
}

impl Why {
    pub(crate) async fn execute(self, global: &Global) -> CommandResult {
        let mut pairs = vec![("signal", self.path.to_string())];
        if let Some(text) = &self.at {
            pairs.push(("at", rfc3339(time::parse(text, super::now(), &global.zone_of(&[text]).await?)?)));
        }
        let answer = global.client()?.get(&format!("/api/v1/why{}", query(&pairs))).await?;
        if global.json {
            output::json(&answer)?;
        } else {
            let zone = global.zone().await?;
            let facts = answer["facts"].as_array().into_iter().flatten();
            let row = |fact: &Json| {
                let (name, told) = (output::cell(&fact[0]), output::cell(&fact[1]));
                let instant = parse_rfc3339(&told).ok().filter(|_| TIMES.contains(&name.as_str()));
                vec![name, instant.map_or(told, |instant| time::show(instant, &zone))]
            };
            let rows: Vec<Vec<String>> = facts.map(row).collect();
            output::table(&["signal", self.path.as_str()], &rows)?;
        }
        Ok(Outcome::Done)
    }
}
