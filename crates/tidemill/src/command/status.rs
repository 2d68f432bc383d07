//! `tidemill` with no command: what it is, what runs here, and the next sensible step.

use std::time::Duration;

use serde_json::Value as Json;

use super::{CommandResult, Global, Outcome};
use crate::client::Client;
use crate::plant::Plant;
use crate::{config, output, plant, vitals};

/// A plant that says nothing within this time is told of as silent: whoever types no command waits for none.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What can be done with a plant that does not run.
const STOPPED: &[(&str, &str)] = &[("check", "are its files fine?"), ("run", "run it")];

/// What a running plant says of its health; none where it does not say.
fn health(plant: &Plant) -> Option<Json> {
    let client = Client::Owner(plant.clone());
    let asked = async { Ok(tokio::time::timeout(ANSWER_WITHIN, client.get("/api/v1/health")).await) };
    super::client_side(asked).ok()?.ok()?.ok()
}

/// Its folder, and how it is.
fn show(plant: &Plant) -> CommandResult {
    let folder = plant.folder.display();
    let Some(health) = health(plant) else {
        output::line(&format!("  {folder}: it does not say how it is; `check` looks"))?;
        return Ok(Outcome::Done);
    };
    let lines = vitals::lines(&health);
    let how = if lines.is_empty() { "all is well".to_owned() } else { format!("{} warning(s)", lines.len()) };
    output::line(&format!("  {folder}: {how}"))?;
    for line in lines {
        output::line(&format!("    {line}"))?;
    }
    Ok(Outcome::Done)
}

pub(crate) fn status(global: &Global) -> CommandResult {
    let running = plant::running();
    let stopped = plant::meant(global.plant.as_deref()).ok().filter(|plant| !plant.is_running());
    let here = config::is_plant(std::path::Path::new("."));
    let program = crate::program();
    if global.json {
        let plants: Vec<String> = running.iter().map(|plant| plant.folder.display().to_string()).collect();
        let health: Vec<Json> = running.iter().map(|plant| health(plant).unwrap_or_default()).collect();
        output::json(&serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"), "running": plants, "health": health, "this_folder_is_a_plant": here,
        }))?;
        return Ok(Outcome::Done);
    }
    output::line(&format!(
        "Tidemill {}: machine values in, kept, and out again by name and by SQL.\n",
        env!("CARGO_PKG_VERSION")
    ))?;
    let next: &[(&str, &str)] = match (running.is_empty(), here) {
        (false, _) => {
            output::line("Running for this user:")?;
            for plant in &running {
                show(plant)?;
            }
            if let Some(stopped) = stopped {
                output::line(&format!(
                    "\nCommands typed here mean {}; it does not run.",
                    stopped.folder.display()
                ))?;
                STOPPED
            } else {
                &[
                    ("signals", "what there is"),
                    ("watch", "values as they come"),
                    ("sql 'SELECT * FROM signals'", "ask in SQL"),
                    ("check", "is all well?"),
                ]
            }
        }
        (true, true) => {
            output::line("This folder is a plant; it does not run.")?;
            STOPPED
        }
        (true, false) => {
            output::line("No plant runs here.")?;
            &[
                ("demo", "see a small plant live, with 30 days behind it"),
                ("run", "make a plant in ./plant and run it"),
            ]
        }
    };
    output::line("\nNext:")?;
    for (command, meaning) in next {
        output::line(&format!("  {program} {command:<30} {meaning}"))?;
    }
    output::line(&format!("  {program} {:<30} every command", "--help"))?;
    Ok(Outcome::Done)
}
