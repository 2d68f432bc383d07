//! `tidemill check`: every file and the environment, each problem with file and line, why, and the mend.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value as Json, json};
use tidemill_core::{Problem, codes};
use tidemill_ground::{Disk, MemoryPlan, RealDisk};

use super::{CommandResult, Global, Outcome};
use crate::client::Client;
use crate::config::{self, Config, Finding};
use crate::plant::{self, Plant};
use crate::{inspect, output, settings};

/// A plant may read gigabytes before it says what it finds, but meanwhile it says within this time that it lives.
const LIFE_WITHIN: Duration = Duration::from_secs(10);
/// How often it is asked whether it lives.
const LIFE_EVERY: Duration = Duration::from_secs(1);

/// Checks the plant's files, what it keeps, and its surroundings; changes nothing. Ends with 3 if anything is wrong.
#[derive(Args, Debug)]
#[command(
    after_help = "It changes nothing. Of the history the newest 4 GiB are read byte by byte; of older files names and sizes\nare looked at. With --url the plant there says what it finds.\n\nExamples:\n  tidemill check --plant ./plant\n  tidemill check --url http://127.0.0.1:8440 --token TOKEN"
)]
pub(crate) struct Check {}

impl Check {
    pub(crate) fn execute(self, global: &Global) -> CommandResult {
        if global.url.is_some() {
            let client = global.client()?;
            let told = super::client_side(told(&client))?;
            let findings = told.ok_or_else(|| {
                let detail = format!("{} does not answer within {} s", client.url(), LIFE_WITHIN.as_secs());
                Problem::new(&codes::NOT_RUNNING, detail).hint("See on that machine what holds it up")
            })?;
            report(&client.url(), &findings, global.json)?;
            return Ok(outcome(&findings));
        }
        let plant = plant::meant(global.plant.as_deref())?;
        let environment = config::environment();
        let kept = if plant.is_running() {
            let told = super::client_side(told(&Client::Owner(plant.clone())))?;
            told.unwrap_or_else(|| vec![silent(&plant)])
        } else {
            let idle = config::variables::idle(&environment);
            idle.into_iter().chain(inspect::data(&plant)).collect()
        };
        let refusing = kept.iter().any(|finding| finding.what.contains("new values are refused"));
        let mut findings = match config::load(&plant.file(), &environment) {
            Ok(config) => surroundings(&plant, &config, refusing),
            Err(findings) => findings,
        };
        findings.extend(open_to_others(&plant));
        findings.extend(config::templates::check(&plant.folder));
        findings.extend(kept);
        report(&plant.folder.display().to_string(), &findings, global.json)?;
        Ok(outcome(&findings))
    }
}

fn outcome(findings: &[Finding]) -> Outcome {
    if findings.is_empty() { Outcome::Done } else { Outcome::Found }
}

/// Tells what is wrong with the plant of that name.
fn report(plant: &str, findings: &[Finding], json: bool) -> Result<(), Problem> {
    if json {
        let list: Vec<Json> = findings
            .iter()
            .map(|finding| {
                json!({ "file": finding.file, "line": finding.line, "problem": finding.what, "mend": finding.mend, "warning": finding.warning })
            })
            .collect();
        return output::verdict_json(&Json::Array(list));
    }
    let told = findings.iter().map(|finding| {
        let how = if finding.warning { "warning:" } else { "problem:" };
        format!("{how} {finding}")
    });
    match findings.is_empty() {
        true => output::verdict(&format!("{plant}: all is well")),
        false => output::verdict(&told.collect::<Vec<_>>().join("\n")),
    }
}

/// What is not in the file and can still be wrong. `refusing`: the plant runs, and says itself that it takes no values.
fn surroundings(plant: &Plant, config: &Config, refusing: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |file: PathBuf, what: String, mend: &str, warning: bool| {
        findings.push(Finding { file, line: 0, what, mend: mend.to_owned(), warning });
    };
    let data = plant.data();
    match RealDisk.space(if data.is_dir() { &data } else { &plant.folder }) {
        Err(error) => {
            find(data, format!("it cannot be looked at: {error}"), "Check the folder's owner", false)
        }
        Ok(space) => {
            let free = config::quantity::show_bytes(space.free_bytes);
            let low = space.free_bytes < settings::free_min_bytes(&space, config);
            // A running plant says itself what holds now.
            if low && !plant.is_running() {
                find(
                    data,
                    format!("the disk has {free} free, less than storage.free_min: new values are refused"),
                    "Free some space; writing then goes on by itself",
                    false,
                );
            } else if low {
                // What the plant says itself is enough.
                if !refusing {
                    find(
                        plant.file(),
                        format!(
                            "the disk has {free} free, less than storage.free_min as it was saved: from the next start new \
                             values are refused"
                        ),
                        "Free some space, or lower storage.free_min, before it is started again",
                        true,
                    );
                }
            } else if let Some(what) = settings::tight(&RealDisk, plant, &space, config) {
                find(data, what, settings::TIGHT_MEND, true);
            }
        }
    }
    if let Err(error) = MemoryPlan::divide(config.memory_bytes.unwrap_or_else(tidemill_ground::available)) {
        find(plant.file(), error.to_string(), "Raise limits.memory", false);
    }
    if !plant.is_running() {
        // Of the memory that a running plant has, it knows itself.
        if let Some((what, mend)) = settings::cramped(&tidemill_ground::machine()) {
            find(plant.file(), what, &mend, true);
        }
        if let Some((on, problem)) = plant.refusal() {
            find(on, format!("the plant cannot be run: {}", problem.detail), problem.mend(), false);
        }
        for (key, listeners) in config.listeners() {
            for listener in listeners {
                let Err(error) = TcpListener::bind(listener.address) else { continue };
                if error.kind() != std::io::ErrorKind::AddrInUse {
                    continue;
                }
                let holder = crate::doors::holder_of(listener.address);
                let holder = holder.map(|holder| format!(", {holder}")).unwrap_or_default();
                let what = format!("another program listens on {}{holder}", listener.address);
                // Without HTTP a plant does not run; without another door it does.
                let warning = key != "http.listen";
                find(plant.file(), what, &format!("Stop it, or change {key}"), warning);
            }
        }
    }
    findings
}

/// What others than its owner can change of the plant, and the keys that they can read: by the modes of the files, where the
/// folders above let them in.
fn open_to_others(plant: &Plant) -> Vec<Finding> {
    const WRITE: u32 = 0o022;
    const READ: u32 = 0o044;
    let mut findings = Vec::new();
    let mut find = |file: &Path, what: String, mend: &str| {
        findings.push(Finding {
            file: file.to_owned(),
            line: 0,
            what,
            mend: mend.to_owned(),
            warning: false,
        });
    };
    let (data, guard) = (plant.data(), plant.data().join("guard"));
    let within = |folder: &Path| -> Vec<PathBuf> {
        let entries = RealDisk.list(folder).unwrap_or_default();
        entries.iter().map(|entry| folder.join(&entry.name)).collect()
    };
    // Owners of a group, and all others, as far as they came.
    let mut reached = 0o077;
    for (above, places, so) in [
        (None, vec![plant.folder.clone()], "change this plant's settings"),
        (Some(&plant.folder), vec![plant.file()], "change this plant's settings"),
        (Some(&plant.folder), vec![data.clone()], "change what it keeps"),
        (Some(&data), within(&data), "change what it keeps"),
        (Some(&guard), within(&guard), "change who may do what"),
    ] {
        reached &= above.map_or(0o077, |above| passed(mode(above)));
        for place in places {
            let mode = mode(&place) & reached;
            if mode & WRITE != 0 {
                let here = if place.is_dir() { "in this folder" } else { "this file" };
                find(&place, format!("others may write {here}, and so {so}"), "chmod go-w it");
            }
            if mode & READ != 0 && place.extension().is_some_and(|ending| ending == "key") {
                find(
                    &place,
                    "others may read this key, and so show certificates in the plant's name".to_owned(),
                    "chmod go= it. If somebody may have read it, move it and ca.pem away: the next start makes another authority, \
                     which clients must be told to trust",
                );
            }
        }
    }
    findings
}

/// Rights of the owner, of the group and of all others; none where it cannot be seen.
fn mode(path: &Path) -> u32 {
    // A link, such as that to a data folder on another disk, is what it leads to.
    std::fs::metadata(path).map_or(0, |meta| meta.permissions().mode())
}

/// Who comes through a folder of this mode, with all rights of theirs.
fn passed(mode: u32) -> u32 {
    [0o010, 0o001].into_iter().filter(|through| mode & through != 0).map(|through| through * 7).sum()
}

/// What is said of a plant that was stopped by a signal, or hangs.
fn silent(plant: &Plant) -> Finding {
    Finding {
        file: plant.data(),
        line: 0,
        what: format!("the plant holds its lock and does not answer within {} s", LIFE_WITHIN.as_secs()),
        mend: "If it was paused, let it go on (kill -CONT its process); else end that process and start the plant again"
            .to_owned(),
        warning: false,
    }
}

/// Ends once the plant does not say in time that it lives. Any answer says so, a refusal too.
async fn fallen_silent(client: &Client) {
    while tokio::time::timeout(LIFE_WITHIN, client.get("/health/live")).await.is_ok() {
        tokio::time::sleep(LIFE_EVERY).await;
    }
}

/// What a running plant says of itself; none where it does not answer at all.
async fn told(client: &Client) -> Result<Option<Vec<Finding>>, Problem> {
    let answer = tokio::select! {
        answer = client.get("/api/v1/check") => answer?,
        () = fallen_silent(client) => return Ok(None),
    };
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let findings = answer.as_array().into_iter().flatten().map(|entry| Finding {
        file: text(&entry["on"]).into(),
        line: 0,
        what: text(&entry["problem"]),
        mend: text(&entry["mend"]),
        warning: entry["warning"].as_bool().unwrap_or(false),
    });
    Ok(Some(findings.collect()))
}
