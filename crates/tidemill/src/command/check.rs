//! `tidemill check`: every file and the environment, each problem with file and line, why, and the mend.

use std::net::TcpListener;

use clap::Args;
use serde_json::{Value as Json, json};
use tidemill_core::Problem;
use tidemill_ground::{Disk, Ground, MemoryPlan, RealDisk};

use super::{CommandResult, Global, Outcome};
use crate::client::Client;
use crate::config::quantity::show_bytes;
use crate::config::{self, Config, Finding};
use crate::plant::{self, Plant};
use crate::{output, settings};

/// Checks the plant's files and its surroundings. Ends with 3 if anything is wrong.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  tidemill check --plant ./plant")]
pub(crate) struct Check {}

impl Check {
    pub(crate) fn execute(self, global: &Global) -> CommandResult {
        let plant = plant::meant(global.plant.as_deref())?;
        let mut findings = match config::load(&plant.file(), &config::environment()) {
            Ok(config) => surroundings(&plant, &config),
            Err(findings) => findings,
        };
        findings.extend(config::templates::check(&plant.folder));
        if plant.is_running() {
            findings.extend(super::client_side(running(&plant))?);
        }
        report(&plant, &findings, global.json);
        Ok(if findings.is_empty() { Outcome::Done } else { Outcome::Found })
    }
}

fn report(plant: &Plant, findings: &[Finding], json: bool) {
    if json {
        let list: Vec<Json> = findings
            .iter()
            .map(|finding| {
                json!({ "file": finding.file, "line": finding.line, "problem": finding.what, "mend": finding.mend, "warning": finding.warning })
            })
            .collect();
        output::json(&Json::Array(list));
        return;
    }
    for finding in findings {
        output::line(&format!("{} {finding}", if finding.warning { "warning:" } else { "problem:" }));
    }
    if findings.is_empty() {
        output::line(&format!("{}: all is well", plant.folder.display()));
    }
}

/// What is not in the file and can still be wrong.
fn surroundings(plant: &Plant, config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |file: std::path::PathBuf, what: String, mend: &str, warning: bool| {
        findings.push(Finding { file, line: 0, what, mend: mend.to_owned(), warning });
    };
    let data = plant.data();
    let memory = MemoryPlan::divide(config.memory_bytes.unwrap_or_else(tidemill_ground::available));
    match RealDisk.space(if data.is_dir() { &data } else { &plant.folder }) {
        Err(error) => {
            find(data, format!("it cannot be looked at: {error}"), "Check the folder's owner", false)
        }
        Ok(space) => {
            // The log's own rule. A plant too small for any log is told below.
            let log = memory.as_ref().map(|memory| settings::journal(&Ground::real(), plant, config, memory));
            if let Some(what) = log.ok().and_then(|log| short_of_room(space.free_bytes, &log)) {
                find(data, what, "Free some space; writing then goes on by itself", false);
            }
        }
    }
    if let Ok(meta) = std::fs::metadata(&plant.folder) {
        use std::os::unix::fs::PermissionsExt;
        if meta.permissions().mode() & 0o022 != 0 {
            find(
                plant.folder.clone(),
                "others may write in this folder, and so change this plant's settings".to_owned(),
                "chmod go-w it",
                false,
            );
        }
    }
    if let Err(error) = &memory {
        find(plant.file(), error.to_string(), "Raise limits.memory", false);
    }
    if !plant.is_running() {
        for listener in &config.http_listen {
            if let Err(error) = TcpListener::bind(listener.address)
                && error.kind() == std::io::ErrorKind::AddrInUse
            {
                find(
                    plant.file(),
                    format!("another program listens on {}", listener.address),
                    "Stop it, or change http.listen",
                    false,
                );
            }
        }
    }
    findings
}

/// What a disk without enough room for the log means for new values.
fn short_of_room(free_bytes: u64, log: &tidemill_journal::Settings) -> Option<String> {
    let (free, least) = (show_bytes(free_bytes), show_bytes(log.free_min_bytes));
    if free_bytes < log.free_min_bytes {
        return Some(format!(
            "the disk has {free} free, less than storage.free_min ({least}): new values are refused"
        ));
    }
    let segment = show_bytes(log.segment_bytes);
    (free_bytes <= log.room_needed_bytes()).then(|| {
        format!(
            "the disk has {free} free, less than storage.free_min ({least}) and the next piece of the log ({segment}) \
             together: new values are refused as soon as the piece that is being written is full"
        )
    })
}

/// What the running plant says of itself.
async fn running(plant: &Plant) -> Result<Vec<Finding>, Problem> {
    let client = Client::Owner(plant.clone());
    let answer = client.get("/api/v1/check").await?;
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let findings = answer.as_array().into_iter().flatten().map(|entry| Finding {
        file: text(&entry["on"]).into(),
        line: 0,
        what: text(&entry["problem"]),
        mend: text(&entry["mend"]),
        warning: entry["warning"].as_bool().unwrap_or(false),
    });
    Ok(findings.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_judged_by_the_rule_of_the_log() {
        let log = tidemill_journal::Settings {
            free_min_bytes: 100 << 20,
            segment_bytes: 64 << 20,
            ..tidemill_journal::Settings::default()
        };
        let told = |free_mib: u64| short_of_room(free_mib << 20, &log).unwrap_or_default();
        assert!(
            told(99).ends_with("less than storage.free_min (100 MiB): new values are refused"),
            "{}",
            told(99)
        );
        assert!(told(100).contains("as soon as the piece that is being written is full"), "{}", told(100));
        assert!(told(164).contains("next piece of the log (64.0 MiB)"), "{}", told(164));
        assert_eq!(told(165), "");
    }
}
