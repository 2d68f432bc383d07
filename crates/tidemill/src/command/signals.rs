//! `tidemill signals`: names, units, last values; and changing what is known about them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Map, Value as Json, json};
use tidemill_core::{Pattern, Problem, SignalPath, codes, parse_rfc3339};

use super::{CommandResult, Global, Outcome};
use crate::client::query;
use crate::{output, time};

mod load;

/// Lists signals with unit, last value, age, quality and source, or edits them.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  tidemill signals 'acme/leeds/#'\n  tidemill signals set acme/leeds/press/temperature unit=°C description=\"Oil at the pump\"\n  tidemill signals rename acme/leeds/press/temperature acme/leeds/press/oil/temperature"
)]
pub(crate) struct Signals {
    #[command(subcommand)]
    edit: Option<Edit>,
    /// Which signals [default: all but the plant's own figures, tidemill/#]
    pattern: Option<Pattern>,
}

#[derive(Subcommand, Debug)]
enum Edit {
    /// Set what is known about a signal
    #[command(
        after_help = "Keys: unit, ucum, description, number (float or integer), stepped (true, false, auto), owner, stale_after (30s, 0 for never), alias (a further name), tag.NAME\nExample:\n  tidemill signals set acme/leeds/press/temperature unit=°C stale_after=30s"
    )]
    Set {
        /// The signal's path
        path: SignalPath,
        /// KEY=VALUE; an empty value clears
        #[arg(required = true)]
        facts: Vec<String>,
    },
    /// Give a signal another name; it keeps its history, and its old name as an alias
    #[command(after_help = "Example:\n  tidemill signals rename acme/leeds/t1 acme/leeds/press/temperature")]
    Rename {
        /// The signal's path
        path: SignalPath,
        /// The new one
        to: SignalPath,
    },
    /// Take over what another listing of signals says: units, descriptions, tags, names; no samples
    #[command(
        after_help = "FILE is what `tidemill signals --json` printed, of another plant or of this one in earlier days. Signals are found by name,\nand by the names that they had: one that has another name there gets it here. Those that are not here are counted: they\ncome with their samples, by `tidemill import`. Ends with 3 where something was refused.\n\nExample:\n  tidemill signals --json > signals.json\n  tidemill signals load signals.json"
    )]
    Load {
        /// The listing
        file: PathBuf,
    },
    /// Delete a signal with its history, or only its samples of a range
    #[command(
        after_help = "With --from and --to it says how many samples went, and ends with 3 where there was none.\nWhat is written or imported again after that is there again.\n\nExamples:\n  tidemill signals delete acme/leeds/t1 --reason \"wrong name\"\n  tidemill signals delete acme/leeds/t1 --from 2026-03-01 --to 2026-03-02 --reason \"sensor was unplugged\""
    )]
    Delete {
        /// The signal's path
        path: SignalPath,
        /// Only samples from this time, included
        #[arg(long, allow_hyphen_values = true, requires = "to", requires = "reason")]
        from: Option<String>,
        /// Only samples to this time, excluded
        #[arg(long, allow_hyphen_values = true, requires = "from", requires = "reason")]
        to: Option<String>,
        /// Why; audited and kept with what was deleted. Needed with --from and --to
        #[arg(long)]
        reason: Option<String>,
    },
}

impl Signals {
    pub(crate) async fn execute(self, global: &Global) -> CommandResult {
        let client = global.client()?;
        let mut outcome = Outcome::Done;
        let (answer, done) = match self.edit {
            None => {
                let is_whole = self.pattern.is_some();
                let pattern = self.pattern.unwrap_or_else(Pattern::everything);
                let answer = client
                    .get(&format!("/api/v1/signals{}", query(&[("match", pattern.to_string())])))
                    .await?;
                if !global.json {
                    list(&answer, is_whole)?;
                    return Ok(Outcome::Done);
                }
                (answer, Json::Null)
            }
            Some(Edit::Set { path, facts }) => {
                let body = edit_of(&facts)?;
                let answer = client.call(Method::PATCH, &address(&path), &body).await?;
                (answer, json!({ "signal": path.as_str(), "done": "set" }))
            }
            Some(Edit::Load { file }) => return load::load(&client, &file, global.json).await,
            Some(Edit::Rename { path, to }) => {
                let body = json!({ "rename": to.as_str() });
                let answer = client.call(Method::PATCH, &address(&path), &body).await?;
                (answer, json!({ "signal": to.as_str(), "was": path.as_str(), "done": "renamed" }))
            }
            Some(Edit::Delete { path, from, to, reason }) => {
                let mut pairs = vec![("signal", path.to_string())];
                pairs.extend(reason.map(|reason| ("reason", reason)));
                let is_range = from.is_some();
                for (name, text) in [("from", from), ("to", to)] {
                    let Some(text) = text else { continue };
                    let at = time::parse(&text, super::now(), &global.zone_of(&[&text]).await?)?;
                    pairs.push((name, tidemill_core::rfc3339(at)));
                }
                let address = format!("/api/v1/signals{}", query(&pairs));
                let answer = client.call(Method::DELETE, &address, &Json::Null).await?;
                let mut done = json!({ "signal": path.as_str(), "done": "deleted" });
                if is_range {
                    let count = answer["samples"].as_u64();
                    done["samples"] = count.into();
                    if !global.json {
                        output::note(&match count {
                            None => "deleted; how many samples could not be counted".to_owned(),
                            Some(0) => format!("{path} has no samples in this time: nothing was deleted"),
                            Some(1) => "1 sample deleted".to_owned(),
                            Some(count) => format!("{count} samples deleted"),
                        });
                    }
                    if count == Some(0) {
                        outcome = Outcome::Found;
                    }
                }
                (Json::Null, done)
            }
        };
        if global.json {
            output::json(if answer.is_null() { &done } else { &answer })?;
        }
        Ok(outcome)
    }
}

/// Where a signal is edited.
fn address(path: &SignalPath) -> String {
    format!("/api/v1/signals{}", query(&[("signal", path.to_string())]))
}

fn edit_of(facts: &[String]) -> Result<Json, Problem> {
    const KEYS: [&str; 8] =
        ["unit", "ucum", "description", "number", "stepped", "owner", "stale_after", "alias"];
    let mut body = json!({});
    let mut tags = Map::new();
    for fact in facts {
        let bad = |what: String, mend: &str| Problem::new(&codes::BAD_PARAMETER, what).hint(mend);
        let (key, value) = fact
            .split_once('=')
            .ok_or_else(|| bad(format!("'{fact}' is no KEY=VALUE"), "Write it like unit=°C"))?;
        match (key, value) {
            (key, value) if key.starts_with("tag.") => {
                tags.insert(key.trim_start_matches("tag.").to_owned(), value.into());
            }
            ("stale_after", "0" | "") => body[key] = "0s".into(),
            ("stepped", "true" | "false") => body[key] = (value == "true").into(),
            ("stepped", "auto" | "") => body[key] = Json::Null,
            ("stepped", _) => {
                return Err(bad(format!("stepped={value} cannot be used"), "Use true, false or auto"));
            }
            (key, value) if KEYS.contains(&key) => body[key] = value.into(),
            (key, _) => {
                let near = tidemill_core::nearest(key, KEYS);
                let mend = near.map_or_else(
                    || format!("Use one of {}, tag.NAME", KEYS.join(", ")),
                    |near| format!("Did you mean {near}?"),
                );
                return Err(bad(format!("there is no key '{key}'"), &mend));
            }
        }
    }
    if !tags.is_empty() {
        body["tags"] = Json::Object(tags);
    }
    Ok(body)
}

/// Unless the whole was asked for, the plant's own figures are only counted: they are more than what a new plant holds.
fn list(answer: &Json, is_whole: bool) -> Result<(), Problem> {
    let now = super::now();
    let mut own = 0;
    let rows: Vec<Vec<String>> = answer
        .as_array()
        .into_iter()
        .flatten()
        .filter(|signal| {
            let is_left = !is_whole && super::is_own(&signal["signal"]);
            own += usize::from(is_left);
            !is_left
        })
        .map(|signal| {
            let text = |name: &str| output::cell(signal.get(name).unwrap_or(&Json::Null));
            let last =
                |name: &str| output::cell(signal.pointer(&format!("/last/{name}")).unwrap_or(&Json::Null));
            let age = parse_rfc3339(&last("time")).map_or_else(|_| String::new(), |at| time::age(now - at));
            vec![
                text("signal"),
                last("value"),
                text("unit"),
                age,
                last("quality"),
                last("source"),
                text("description"),
            ]
        })
        .collect();
    output::table(&["signal", "value", "unit", "age", "quality", "source", "description"], &rows)?;
    output::note(&format!("{} signal{}", rows.len(), if rows.len() == 1 { "" } else { "s" }));
    if own > 0 {
        output::note(&format!("and {own} of the plant itself: `{} signals 'tidemill/#'`", crate::program()));
    }
    Ok(())
}
