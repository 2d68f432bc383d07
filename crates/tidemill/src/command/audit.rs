//! `tidemill audit`: who did what, and whether the record of it is whole.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value as Json, json};
use tidemill_core::{Problem, codes};
use tidemill_ground::RealDisk;
use tidemill_guard::{AUDIT_TABLE, audit};
use tidemill_web::AuditReport;

use super::{CommandResult, Global, Outcome, sql};
use crate::client::Client;
use crate::output;
use crate::plant::{self, Plant};

/// Shows the audit log, newest first, or verifies its chain. Of a plant that does not run, from its files.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tidemill audit\n  tidemill audit --limit 500 --json\n  tidemill audit verify"
)]
pub(crate) struct Audit {
    #[command(subcommand)]
    action: Option<Action>,
    /// How many entries
    #[arg(long, default_value_t = 50, allow_hyphen_values = true)]
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
        let stopped = stopped(global)?;
        if self.action.is_some() {
            let answer = match &stopped {
                Some(plant) => verify(plant)?,
                None => global.client()?.call(Method::POST, "/api/v1/audit/verify", &Json::Null).await?,
            };
            let intact = answer["intact"].as_bool().unwrap_or(false);
            if global.json {
                output::verdict_json(&answer)?;
            } else {
                let (entries, findings) = (output::cell(&answer["entries"]), answer["problems"].as_array());
                let chain = if intact { "intact" } else { "broken" };
                let mut lines = vec![format!("{entries} entries: the chain is {chain}")];
                let findings = findings.into_iter().flatten().map(output::cell);
                lines.extend(findings.map(|finding| format!("  {finding}")));
                let (last, hash) = (output::cell(&answer["last"]), output::cell(&answer["hash"]));
                lines.push(format!("entry {last}, hash {hash}"));
                output::verdict(&lines.join("\n"))?;
            }
            return Ok(if intact { Outcome::Done } else { Outcome::Found });
        }
        let answer = match &stopped {
            Some(plant) => latest(plant, self.limit)?,
            None => running(&global.client()?, self.limit).await?,
        };
        if global.json {
            output::json(&answer)?;
        } else {
            // The hash of each line is for machines: --json has it.
            sql::print_table(&answer, &["hash"])?;
        }
        Ok(Outcome::Done)
    }
}

/// The plant that is meant, if it does not run: then its files are read, by whoever may.
fn stopped(global: &Global) -> Result<Option<Plant>, Problem> {
    if global.url.is_some() {
        return Ok(None);
    }
    Ok(Some(plant::meant(global.plant.as_deref())?).filter(|plant| !plant.is_running()))
}

/// The table of a running plant. Where that cannot be read its owner reads the files it is made of.
async fn running(client: &Client, limit: u32) -> Result<Json, Problem> {
    let asked = client.get(&format!("/api/v1/audit?limit={limit}")).await;
    match (asked, client) {
        (Err(problem), Client::Owner(plant))
            if [&codes::DAMAGED, &codes::NEWER_FORMAT].contains(&problem.code) =>
        {
            output::note(&format!("the entries come from the audit files themselves: {}", problem.detail));
            latest(plant, limit)
        }
        (asked, _) => asked,
    }
}

fn verify(plant: &Plant) -> Result<Json, Problem> {
    let report = told(audit::verify(&RealDisk, &plant.data().join("guard"))?);
    serde_json::to_value(report).map_err(|error| Problem::new(&codes::INTERNAL, error.to_string()))
}

/// What a check found, as every door tells it.
pub(crate) fn told(report: audit::Report) -> AuditReport {
    let problems = report.findings.iter().map(ToString::to_string).collect();
    let (intact, entries) = (report.is_sound(), report.entries);
    AuditReport { intact, entries, last: report.last, hash: report.hash, problems }
}

fn latest(plant: &Plant, limit: u32) -> Result<Json, Problem> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let rows = audit::latest(&RealDisk, &plant.data().join("guard"), limit)?;
    let columns: Vec<Json> =
        AUDIT_TABLE.columns.iter().map(|column| json!({ "name": column.name })).collect();
    Ok(json!({ "columns": columns, "rows": rows }))
}
