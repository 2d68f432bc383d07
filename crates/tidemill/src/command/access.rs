//! `tidemill access`: who may do what, and which rule says so.

use clap::{Args, Subcommand};
use tidemill_core::{Problem, SignalPath, Verb, codes};

use super::{CommandResult, Global, Outcome};
use crate::client::query;
use crate::output;

/// Explains and lists rights.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tidemill access why press-line write acme/leeds/press/temperature\n  tidemill access list"
)]
pub(crate) struct Access {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// May they, and which rule says so
    #[command(after_help = "Example:\n  tidemill access why press-line write acme/leeds/press/temperature")]
    Why {
        /// A token's name, zone:NAME, or owner
        who: String,
        /// read, write, command, configure or administer
        #[arg(value_parser = verb)]
        verb: Verb,
        /// The signal's path
        path: SignalPath,
    },
    /// Everyone with rights
    #[command(after_help = "Example:\n  tidemill access list")]
    List,
}

fn verb(text: &str) -> Result<Verb, Problem> {
    Verb::from_name(text).ok_or_else(|| {
        Problem::new(&codes::BAD_PARAMETER, format!("there is no verb '{text}'"))
            .hint("Use read, write, command, configure or administer")
    })
}

impl Access {
    pub(crate) async fn execute(self, global: &Global) -> CommandResult {
        let client = global.client()?;
        match self.action {
            Action::Why { who, verb, path } => {
                let pairs = [("who", who.clone()), ("verb", verb.to_string()), ("path", path.to_string())];
                let answer = client.get(&format!("/api/v1/access{}", query(&pairs))).await?;
                let allowed = answer["allowed"].as_bool().unwrap_or(false);
                if global.json {
                    output::json(&answer)?;
                } else {
                    let now = answer["name_now"].as_str().map(|name| format!(" (the name now: {name})"));
                    output::line(&format!(
                        "{}: {}{}",
                        if allowed { "yes" } else { "no" },
                        output::cell(&answer["rule"]),
                        now.unwrap_or_default()
                    ))?;
                }
                Ok(if allowed { Outcome::Done } else { Outcome::Found })
            }
            Action::List => {
                let answer = client.get("/api/v1/access").await?;
                if global.json {
                    output::json(&answer)?;
                } else {
                    let rows: Vec<Vec<String>> = answer
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(|rule| {
                            vec![
                                output::cell(&rule["who"]),
                                output::cell(&rule["right"]),
                                output::cell(&rule["from"]),
                            ]
                        })
                        .collect();
                    output::table(&["who", "right", "note"], &rows)?;
                }
                Ok(Outcome::Done)
            }
        }
    }
}
