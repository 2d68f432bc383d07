//! `tidemill` with no command: what it is, what runs here, and the next sensible step.

use std::time::Duration;

use serde_json::Value as Json;

use super::{CommandResult, Global, Outcome};
use crate::client::Client;
use crate::plant::Plant;
use crate::{config, output, plant, vitals};

/// A plant that says nothing within this time is told of as silent: whoever types no command waits for none.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

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
    // What is typed means the same plant only where it is named again.
    let named = global
        .plant
        .as_ref()
        .filter(|named| std::env::var_os("TIDEMILL_PLANT").as_deref() != Some(named.as_os_str()));
    let named = named.map_or_else(String::new, |named| {
        format!(" --plant {}", crate::quoted(&named.display().to_string()))
    });
    let of_stopped =
        vec![(format!("check{named}"), "are its files fine?"), (format!("run{named}"), "run it")];
    let program = crate::program();
    if global.json {
        let plants: Vec<String> = running.iter().map(|plant| plant.folder.display().to_string()).collect();
        let health: Vec<Json> = running.iter().map(|plant| health(plant).unwrap_or_default()).collect();
        output::json(&serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"), "running": plants, "health": health, "this_folder_is_a_plant": here,
            "stopped": stopped.map(|plant| plant.folder.display().to_string()),
        }))?;
        return Ok(Outcome::Done);
    }
    output::line(&format!(
        "Tidemill {}: machine values in, kept, and out again by name and by SQL.\n",
        env!("CARGO_PKG_VERSION")
    ))?;
    let own =
        |words: &[(&str, &'static str)]| words.iter().map(|(word, what)| (word.to_string(), *what)).collect();
    let next: Vec<(String, &str)> = match (running.is_empty(), stopped) {
        (false, stopped) => {
            output::line("Running for this user:")?;
            for plant in &running {
                show(plant)?;
            }
            if let Some(stopped) = stopped {
                output::line(&format!(
                    "\nCommands typed here mean {}; it does not run.",
                    stopped.folder.display()
                ))?;
                of_stopped
            } else {
                own(&[
                    ("signals", "what there is"),
                    ("watch", "values as they come"),
                    ("sql 'SELECT * FROM signals'", "ask in SQL"),
                    ("check", "is all well?"),
                ])
            }
        }
        (true, Some(stopped)) => {
            match here && global.plant.is_none() {
                true => output::line("This folder is a plant; it does not run.")?,
                false => output::line(&format!("{} is a plant; it does not run.", stopped.folder.display()))?,
            }
            of_stopped
        }
        (true, None) => {
            output::line("No plant runs here.")?;
            own(&[
                ("demo", "see a small plant live, with 30 days behind it"),
                ("run", "make a plant in ./plant and run it"),
            ])
        }
    };
    output::line("\nNext:")?;
    for (command, meaning) in next {
        output::line(&format!("  {program} {command:<30} {meaning}"))?;
    }
    output::line(&format!("  {program} {:<30} every command", "--help"))?;
    Ok(Outcome::Done)
}
