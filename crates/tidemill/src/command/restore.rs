//! `tidemill restore`: a plant from a backup, checked while it is written, in a folder that was not there before, or in an empty one.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use tidemill_backup::{FOLDERS, Restored};
use tidemill_core::{Problem, codes, rfc3339};
use tidemill_ground::RealDisk;

use super::{CommandResult, Global, Outcome};
use crate::config::quantity;
use crate::plant::Plant;
use crate::{config, inspect, output, owner, progress};

/// So much damage of copies is told piece by piece.
const LISTED_MAX: usize = 100;

/// Makes the plant of a backup again, in a folder that is new or empty; then checks it as `check` does.
#[derive(Args, Debug)]
#[command(
    after_help = "Every byte is checked while it is written; where anything is wrong no plant is made. Tokens, names and the audit are those\nof the moment of the backup: what was done later, such as revoking a token, is to be done again. The next `run` writes\nto the audit that the plant was restored. Do not run it beside the plant that it was made from.\n\nExamples:\n  tidemill restore /backups/monday.tdm --plant ./plant\n  tidemill restore /backups/tuesday.tdm --plant ./plant --base /vault"
)]
pub(crate) struct Restore {
    /// The backup
    file: PathBuf,
    /// Where the backups are that it builds upon, if not beside it: a file or a folder
    #[arg(long, value_name = "PLACE")]
    base: Vec<PathBuf>,
}

impl Restore {
    pub(crate) fn execute(self, global: &Global) -> CommandResult {
        let folder = global.plant.as_ref().filter(|_| global.url.is_none()).ok_or_else(|| {
            Problem::new(&codes::BAD_PARAMETER, "it is not said where the plant is to be made")
                .hint("Name a folder of this machine that is new or empty: --plant DIR")
        })?;
        let (disk, plant) = (RealDisk, Plant::at(folder));
        check_place(&plant.folder)?;
        let chain = super::backup::open(&disk, &self.file, &self.base)?;
        let manifest = chain.own().manifest();
        let about = Restored {
            format: 1,
            backup: chain.own().hash(),
            taken: manifest.taken.clone(),
            restored: rfc3339(super::now()),
            by: format!("user number {}", rustix::process::getuid().as_raw()),
        };
        let was_cut_off = tidemill_backup::is_unfinished(&disk, &plant.folder);
        let bar = progress::bar(manifest.plant_bytes());
        let made =
            tidemill_backup::restore(&disk, &chain, &plant.folder, &about, &mut |bytes| bar.inc(bytes));
        bar.finish_and_clear();
        let damaged = made.map_err(|error| {
            let is_barred = matches!(&error, tidemill_backup::Error::Disk { what: "made", source, .. }
                if source.kind() == std::io::ErrorKind::PermissionDenied);
            let problem = Problem::from(error);
            match is_barred {
                true => problem.hint(format!(
                    "Make {} as one who may and give it to this user, then restore again: an empty folder stays, and the plant is made in it",
                    plant.folder.display()
                )),
                false => problem,
            }
        })?;
        if was_cut_off {
            output::note(
                "an earlier restore into this folder was cut off: what it had left was cleared first",
            );
        }
        let mut findings = match config::load(&plant.file(), &config::environment()) {
            Ok(_) => Vec::new(),
            Err(findings) => findings,
        };
        findings.extend(config::templates::check(&plant.folder));
        findings.extend(inspect::data(&plant));
        let of_copies = damaged
            .iter()
            .take(LISTED_MAX)
            .map(|finding| format!("{finding}; another copy of it is whole, and was taken"));
        let more = damaged.len().saturating_sub(LISTED_MAX);
        let more = (more > 0).then(|| format!("and {more} more of this kind"));
        let passed_over =
            chain.passed_over().iter().map(|what| format!("{what}; another copy of it was taken"));
        let notes: Vec<String> =
            manifest.notes.iter().cloned().chain(passed_over).chain(of_copies).chain(more).collect();
        let (files, bytes) = (manifest.files.len(), manifest.plant_bytes());
        if global.json {
            let found: Vec<_> = findings
                .iter()
                .map(|finding| json!({ "file": finding.file, "problem": finding.what, "mend": finding.mend, "warning": finding.warning }))
                .collect();
            output::verdict_json(&json!({
                "plant": plant.folder, "taken": manifest.taken, "files": files, "bytes": bytes,
                "notes": notes, "problems": found,
            }))?;
        } else {
            let mut lines = vec![format!(
                "{}: {files} files, {}, as of {}",
                plant.folder.display(),
                quantity::show_bytes(bytes),
                manifest.taken
            )];
            lines.extend(notes.iter().map(|note| format!("note: {note}")));
            lines.extend(findings.iter().map(|finding| format!("problem: {finding}")));
            output::verdict(&lines.join("\n"))?;
            let folder = crate::quoted(&folder.to_string_lossy());
            if let Some(user) = owner::other(&plant.folder) {
                output::note(&format!(
                    "{folder} belongs to {user}, and what was restored in it to root: give it to {user} before it runs, with `chown -R {user}: {folder}`"
                ));
            }
            output::note(&format!("start it with `{} run --plant {folder}`", crate::program()));
        }
        Ok(if findings.is_empty() { Outcome::Done } else { Outcome::Found })
    }
}

/// A link to nothing cannot become a plant, and a plant in a plant would be backed up with it.
fn check_place(folder: &Path) -> Result<(), Problem> {
    if folder.is_symlink() && !folder.exists() {
        let detail = format!("{} is a link that leads nowhere", folder.display());
        return Err(Problem::new(&codes::NOT_EMPTY, detail)
            .hint("Make the folder that it leads to, or name another one"));
    }
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let above = folder.ancestors().find_map(|path| Some(real(path)?.join(folder.strip_prefix(path).ok()?)));
    let place = above.unwrap_or_else(|| folder.to_owned());
    let holds = |plant: &&Path| {
        config::is_plant(plant) && FOLDERS.iter().any(|folder| place.starts_with(plant.join(folder)))
    };
    match place.ancestors().skip(1).find(holds) {
        Some(plant) => {
            let detail =
                format!("{} lies among the files of the plant {}", folder.display(), plant.display());
            Err(Problem::new(&codes::BAD_PARAMETER, detail).hint("Name a folder outside of any plant"))
        }
        None => Ok(()),
    }
}
