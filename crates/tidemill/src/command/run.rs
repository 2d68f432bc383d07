//! `tidemill run`: runs the plant in the foreground.

use std::path::Path;

use clap::Args;
use tidemill_core::{Problem, codes};
use tidemill_ground::RealDisk;

use super::{CommandResult, Global, Outcome};
use crate::plant::{self, Plant};
use crate::{config, house, log, output, owner, service};

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
    refuse_to_run_for_another(&plant)?;
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
        if tidemill_backup::is_unfinished(&RealDisk, folder) {
            let detail = format!("a restore into {} is at work, or was cut off", folder.display());
            return Err(Problem::new(&codes::NO_PLANT, detail).hint(
                "Wait for it; if none is at work, give the same `tidemill restore` again: it clears what was left",
            ));
        }
        if tidemill_backup::is_vacant(&RealDisk, folder).is_ok_and(|vacant| !vacant) {
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

/// Root may write everywhere, and what it leaves in the plant of another user the service of that user cannot read.
fn refuse_to_run_for_another(plant: &Plant) -> Result<(), Problem> {
    let Some(user) = owner::other(&plant.folder) else { return Ok(()) };
    let folder = plant.folder.display().to_string();
    let detail = format!(
        "{folder} belongs to the user {user}, and root would leave files there that {user} cannot read"
    );
    Err(Problem::new(&codes::FILE_UNWRITABLE, detail).hint(format!(
        "Run it as that user: `sudo -u {user} {} run --plant {}`; a service is started with systemctl",
        crate::program(),
        crate::quoted(&folder)
    )))
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
