//! `tidemill` with no command: what it is, what runs here, and the next sensible step.

use super::{CommandResult, Global, Outcome};
use crate::{config, output, plant};

pub(crate) fn status(global: &Global) -> CommandResult {
    let running = plant::running();
    let here = config::is_plant(std::path::Path::new("."));
    let program = crate::program();
    if global.json {
        let plants: Vec<String> = running.iter().map(|plant| plant.folder.display().to_string()).collect();
        output::json(
            &serde_json::json!({ "version": env!("CARGO_PKG_VERSION"), "running": plants, "this_folder_is_a_plant": here }),
        )?;
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
                output::line(&format!("  {}", plant.folder.display()))?;
            }
            &[
                ("signals", "what there is"),
                ("watch", "values as they come"),
                ("sql 'SELECT * FROM signals'", "ask in SQL"),
                ("check", "is all well?"),
            ]
        }
        (true, true) => {
            output::line("This folder is a plant; it does not run.")?;
            &[("check", "are its files fine?"), ("run", "run it")]
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
