//! `tidemill audit`: who did what, and whether the record of it is whole.

use clap::{Args, Subcommand};
use hyper::Method;

use super::{CommandResult, Global, Outcome, sql};
use crate::output;

/// Shows the audit log, newest first, or verifies its chain.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tidemill audit\n  tidemill audit --limit 500 --json\n  tidemill audit verify"
)]
pub(crate) struct Audit {
    #[command(subcommand)]
    action: Option<Action>,
    /// How many entries
    #[arg(long, default_value_t = 50)]
    limit: u32,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Find any entry that was changed, removed, moved or repeated
    #[command(after_help = "Example:\n  tidemill audit verify")]
    Verify,
}

impl Audit {
    pub(crate) async fn execute(self, global: &Global) -> CommandResult {
        let client = global.client()?;
        if self.action.is_some() {
            let answer = client.call(Method::POST, "/api/v1/audit/verify", &serde_json::Value::Null).await?;
            let intact = answer["intact"].as_bool().unwrap_or(false);
            if global.json {
                output::line(&answer.to_string());
            } else {
                let entries = output::cell(&answer["entries"]);
                output::line(&format!(
                    "{entries} entries: {}",
                    if intact { "the chain is intact" } else { "the chain is broken" }
                ));
                for finding in answer["problems"].as_array().into_iter().flatten() {
                    output::line(&format!("  {}", output::cell(finding)));
                }
            }
            return Ok(if intact { Outcome::Done } else { Outcome::Found });
        }
        let answer = client.get(&format!("/api/v1/audit?limit={}", self.limit)).await?;
        if global.json {
            output::line(&answer.to_string());
        } else {
            // The hash of each line is for machines: --json has it.
            sql::print_table(&answer, &["hash"]);
        }
        Ok(Outcome::Done)
    }
}
