//! `tidemill run`: runs the plant in the foreground.

use std::path::Path;

use clap::Args;
use tidemill_core::{Problem, codes};

use super::{CommandResult, Global, Outcome};
use crate::plant::{self, Plant};
use crate::{config, house, log, output, service};

/// Runs the plant until SIGTERM or Ctrl-C; saved settings are applied, SIGHUP reads them at once.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tidemill run\n  tidemill run --plant /srv/leeds --log-file /var/log/tidemill.log"
)]
pub(crate) struct Run {
    #[command(flatten)]
    keep: log::Keep,
    /// Make the plant's folder with commented defaults where there is none, and end: for installers
    #[arg(long)]
    init: bool,
}

impl Run {
    pub(crate) fn execute(self, global: &Global) -> CommandResult {
        let plant = wanted(global.plant.as_deref(), self.init)?;
        if self.init {
            return Ok(Outcome::Done);
        }
        log::begin(&self.keep)?;
        house::run(
            &plant,
            house::Options { announce: announce(global.json), any_port: false, companion: None },
        )?;
        Ok(Outcome::Done)
    }
}

/// The plant to run: named, else this folder, else ./plant, which is made. Under a service manager a missing folder
/// is an error: a mistyped path, or a disk that is not mounted, must not become a new plant; an installer says `--init`.
fn wanted(named: Option<&Path>, init: bool) -> Result<Plant, Problem> {
    let folder = match named {
        Some(folder) => folder,
        None if config::is_plant(Path::new(".")) => Path::new("."),
        None => Path::new("plant"),
    };
    let plant = Plant::at(folder);
    if !plant.stands()? {
        if service::is_manager_above() && !init {
            let make = format!(
                "Make it first, as the user of the service: `{} run --init --plant {}`; or mount the disk that holds it",
                crate::program(),
                crate::quoted(&folder.to_string_lossy())
            );
            return Err(
                Problem::new(&codes::NO_PLANT, format!("{} is no plant", folder.display())).hint(make)
            );
        }
        let occupied = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        if occupied {
            return Err(Problem::new(
                &codes::NO_PLANT,
                format!("{} holds other files and no tidemill.toml", folder.display()),
            )
            .hint("Name an empty or a new folder with --plant DIR"));
        }
        plant.make()?;
        output::note(&format!("made a new plant in {}", plant.folder.display()));
    } else {
        plant.make()?;
    }
    Ok(plant)
}

/// The ready line: every address, for people or as JSON.
fn announce(json: bool) -> house::Announce {
    Box::new(move |plant: &plant::Plant, addresses: &[String]| {
        let printed = if json {
            let of = |scheme: &str| -> Vec<&String> {
                addresses.iter().filter(|address| address.starts_with(scheme)).collect()
            };
            output::try_json(&serde_json::json!({
                "ready": true, "plant": plant.folder, "http": of("http"), "postgres": of("postgresql:"), "flight": of("grpc"),
            }))
        } else {
            output::try_line(&format!("ready: {} {}", plant.folder.display(), addresses.join(" ")))
        };
        log::unless_printed(printed);
    })
}
