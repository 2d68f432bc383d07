//! `tidemill token`: access for devices and programs.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value as Json, json};
use tidemill_core::{Problem, codes, parse_duration};

use super::{CommandResult, Global, Outcome};
use crate::client::query;
use crate::{output, time};

/// Makes, lists, ends and renews tokens.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tidemill token create press-line --allow 'write:acme/leeds/press/#'\n  tidemill token create dashboard --allow 'read:#' --expires 90d\n  tidemill token rotate press-line"
)]
pub(crate) struct Token {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Make a token; it is printed once
    #[command(after_help = "Example:\n  tidemill token create press-line --allow 'write:acme/leeds/press/#'")]
    Create {
        /// The token's name
        name: String,
        /// One or more of VERB:PATTERN, where the verb is read, write, command, configure or administer
        #[arg(long = "allow", required = true, num_args = 1.., value_name = "VERB:PATTERN")]
        allow: Vec<String>,
        /// When it ends, e.g. 90d [default: never; its age is shown]
        #[arg(long, allow_hyphen_values = true)]
        expires: Option<String>,
    },
    /// List tokens
    #[command(after_help = "Example:\n  tidemill token list")]
    List,
    /// End a token at once
    #[command(after_help = "Example:\n  tidemill token revoke press-line")]
    Revoke {
        /// The token's name
        name: String,
    },
    /// Make a new secret; the old one works on for a while
    #[command(after_help = "Example:\n  tidemill token rotate press-line --overlap 1d")]
    Rotate {
        /// The token's name
        name: String,
        /// How long the old secret works on
        #[arg(long, default_value = "1d", allow_hyphen_values = true)]
        overlap: String,
    },
}

impl Token {
    pub(crate) async fn execute(self, global: &Global) -> CommandResult {
        let client = global.client()?;
        let mut lost = String::new();
        let (answer, secret) = match self.action {
            Action::Create { name, allow, expires } => {
                let mut body = json!({ "name": name, "allow": allow });
                if let Some(text) = expires {
                    body["expires_s"] = seconds(&text)?.into();
                }
                lost = format!(
                    "Nobody has seen it, and the token stands: revoke it with `{} token revoke {name}`, and make another",
                    crate::program()
                );
                (client.call(Method::POST, "/api/v1/tokens", &body).await?, true)
            }
            Action::List => {
                let answer = client.get("/api/v1/tokens").await?;
                if !global.json {
                    list(&answer)?;
                    return Ok(Outcome::Done);
                }
                (answer, false)
            }
            Action::Revoke { name } => {
                client.call(Method::DELETE, &format!("/api/v1/tokens/{name}"), &Json::Null).await?;
                (json!({ "name": name, "done": "revoked" }), false)
            }
            Action::Rotate { name, overlap } => {
                seconds(&overlap)?;
                lost = format!(
                    "Nobody has seen it; the old one works for {overlap} more, and not beyond another rotation: make another \
                     token, then revoke this one with `{} token revoke {name}`",
                    crate::program()
                );
                let path = format!("/api/v1/tokens/{name}/rotate{}", query(&[("overlap", overlap)]));
                (client.call(Method::POST, &path, &Json::Null).await?, true)
            }
        };
        if !secret {
            if global.json {
                output::json(&answer)?;
            }
            return Ok(Outcome::Done);
        }
        let printed = if global.json {
            output::try_json(&answer)
        } else {
            output::try_line(&output::cell(&answer["token"]))
        };
        // Also where nobody reads any more: what is lost here cannot be asked for again.
        printed.map_err(|error| {
            let mut problem = output::unwritable(&error).hint(lost);
            problem.detail = format!("the new secret could not be shown: {}", problem.detail);
            problem
        })?;
        if !global.json {
            output::note("This is shown once: keep it now. Only its hash is stored.");
        }
        Ok(Outcome::Done)
    }
}

fn seconds(text: &str) -> Result<u64, Problem> {
    let bad = |what: String| Problem::new(&codes::BAD_PARAMETER, what).hint("Write it like 90d, 12h, 1y");
    if text.strip_prefix('-').and_then(parse_duration).is_some() {
        return Err(bad(format!("'{text}' is in the past")));
    }
    let duration = parse_duration(text).ok_or_else(|| bad(format!("'{text}' is no duration")))?;
    match duration.as_secs() {
        0 => Err(bad(format!("'{text}' is over at once: it must be a second at least"))),
        seconds => Ok(seconds),
    }
}

fn list(answer: &Json) -> Result<(), Problem> {
    let now = super::now();
    let rows: Vec<Vec<String>> = answer
        .as_array()
        .into_iter()
        .flatten()
        .map(|token| {
            let text = |name: &str| output::cell(token.get(name).unwrap_or(&Json::Null));
            let since = |name: &str| {
                tidemill_core::parse_rfc3339(&text(name))
                    .map_or_else(|_| "never".to_owned(), |at| time::age(now - at))
            };
            let allow = token["allow"]
                .as_array()
                .into_iter()
                .flatten()
                .map(output::cell)
                .collect::<Vec<_>>()
                .join(" ");
            let expires = if text("expires").is_empty() { "never".to_owned() } else { text("expires") };
            vec![text("name"), since("created"), since("last_used"), expires, allow]
        })
        .collect();
    output::table(&["name", "age", "last used", "expires", "allow"], &rows)
}
