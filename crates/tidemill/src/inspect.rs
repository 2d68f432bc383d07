//! Looks at the data folder of a plant that does not run, file by file, and changes nothing. A running plant says itself
//! what is wrong (`admin.rs`).

use std::path::Path;

use tidemill_core::Problem;
use tidemill_ground::{Disk, File, Ground, Open, RealDisk};

use crate::config::{Finding, sentence};
use crate::plant::Plant;

/// What is wrong with what the plant keeps.
pub(crate) fn data(plant: &Plant) -> Vec<Finding> {
    let data = plant.data();
    let disk = RealDisk;
    let mut findings = Vec::new();
    findings.extend(journal(&disk, &data.join("journal")));
    let registry = data.join("bus");
    if let Err(error) = tidemill_bus::inspect(&disk, &registry) {
        findings.push(found(&registry, &error.to_string()));
    }
    for error in tidemill_historian::inspect(&Ground::real(), &data.join("lake")) {
        findings.push(found(&data.join("lake"), &error.to_string()));
    }
    let guard = data.join("guard");
    if let Err(error) = tidemill_guard::inspect(&disk, &guard) {
        findings.push(found(&guard, &Problem::from(error).to_string()));
    }
    let audit = guard.join(tidemill_guard::audit::FOLDER);
    match tidemill_guard::verify(&disk, &guard) {
        Ok(report) => findings.extend(report.findings.iter().map(|finding| {
            found(&audit, &format!("{finding}. Compare with a backup; `tidemill audit verify` says more"))
        })),
        Err(error) => findings.push(found(&audit, &error.to_string())),
    }
    findings
}

fn journal(disk: &dyn Disk, folder: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut segments = Vec::new();
    for entry in disk.list(folder).unwrap_or_default() {
        let Some(number) = entry.name.strip_suffix(".segment").and_then(|name| name.parse().ok()) else {
            continue;
        };
        let path = folder.join(&entry.name);
        match disk.open(&path, Open::Read) {
            Err(error) => findings.push(found(&path, &format!("it cannot be read: {error}"))),
            Ok(file) => segments.push((number, path, file)),
        }
    }
    segments.sort_by_key(|(number, ..)| *number);
    let files: Vec<(u32, &dyn File)> =
        segments.iter().map(|(number, _, file)| (*number, file.as_ref())).collect();
    match tidemill_journal::examine(&files) {
        Ok(examined) => {
            findings.extend(
                examined
                    .damage
                    .iter()
                    .map(|damage| found(&folder.join(&damage.segment), &damage.to_string())),
            );
        }
        Err(newer) => {
            let named = segments.iter().find(|(number, ..)| *number == newer.id);
            let what = format!("a newer version wrote it (format {}). Install that version", newer.format);
            findings.push(found(named.map_or(folder, |(_, path, _)| path), &what));
        }
    }
    findings
}

/// The rooms' messages end with the mend as a sentence of its own.
pub(crate) fn parts(message: &str) -> (String, String) {
    let (what, mend) = message.split_once(". ").unwrap_or((message, ""));
    let mend = if mend.is_empty() { "Restore it from a backup".to_owned() } else { sentence(mend) };
    (what.to_owned(), mend)
}

fn found(file: &Path, message: &str) -> Finding {
    let (what, mend) = parts(message);
    Finding { file: file.to_owned(), line: 0, what, mend, warning: false }
}
