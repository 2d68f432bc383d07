//! Looks at the data folder of a plant that does not run: its rooms are opened as `house` opens them, over a disk that
//! forgets what is written, so that what would keep the plant from running, or would be lost, is found by the code that would
//! meet it. A running plant says itself what is wrong (`admin.rs`).

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidemill_backup::Chain;
use tidemill_bus::Namespace;
use tidemill_core::{Journal, Problem, codes};
use tidemill_ground::{Disk, Ground, MemoryPlan, Open, RealDisk, Shadow};
use tidemill_guard::Guard;
use tidemill_journal::Log;

use crate::config::{self, Config, Finding, sentence};
use crate::plant::Plant;
use crate::{settings, vitals};

/// What a start may write before it is done: the end of the log once more, the registry once, small files. Beyond it the
/// disk is full, which keeps no room from opening.
const WRITES_BYTES_MAX: u64 = 512 << 20;
/// Nothing is kept, so that nobody need be waited for long.
const END_WITHIN: Duration = Duration::from_secs(10);

/// What is wrong with what the plant keeps.
pub(crate) fn data(plant: &Plant) -> Vec<Finding> {
    let shadow = Shadow::over(Arc::new(RealDisk), WRITES_BYTES_MAX);
    let ground = Ground { disk: Arc::new(shadow), ..Ground::real() };
    let mut findings = rooms(&ground, plant);
    ground.tasks.shutdown(END_WITHIN);
    // What two rooms meet in one file is one thing: the first says on which.
    let mut told = HashSet::new();
    findings.retain(|finding| told.insert(finding.what.clone()));
    findings
}

fn rooms(ground: &Ground, plant: &Plant) -> Vec<Finding> {
    let data = plant.data();
    let guard = data.join("guard");
    let Some((config, memory)) = settings_of(plant) else { return audit(&guard, None) };

    let journal = data.join("journal");
    let log = match Log::open(ground, &journal, settings::journal(ground, plant, &config, &memory)) {
        Ok(log) => log,
        Err(error) => {
            // All other rooms stand on it.
            let mut findings = audit(&guard, None);
            findings.push(found(&journal, Problem::from(error)));
            return findings;
        }
    };
    let mut findings = audit(&guard, Some(log.as_ref()));
    let mut refused = |file: &Path, problem: Problem| findings.push(found(file, problem));
    let guarded =
        |folder: &str| Guard::open(ground, &data.join(folder), log.clone(), settings::guard(plant, &config));
    // With an empty one in its place, which only the shadow has, the other rooms are looked at all the same.
    let guard = guarded("guard").or_else(|error| {
        refused(&data.join("guard"), Problem::from(error));
        guarded("guard.none")
    });
    let mut concerns = Vec::new();
    match guard {
        Ok(guard) => {
            concerns = told(&guard);
            concerns.extend(vitals::at_rest(&data, &guard, ground.clock.wall()));
            let folder = data.join("bus");
            match Namespace::open(ground, &folder, log.clone(), guard, settings::bus(&config, &memory)) {
                // Dropped: it ends as at a crash, for what it would write is for nobody.
                Ok(_) => {}
                Err(error) => refused(&folder, error.into()),
            }
        }
        Err(error) => refused(&data.join("guard"), error.into()),
    }
    findings.extend(concerns);
    let lake = data.join("lake");
    let declared = [&tidemill_guard::AUDIT_TABLE];
    for error in tidemill_historian::inspect(ground, &lake, log.as_ref(), &declared) {
        findings.push(found(&lake, error.into()));
    }
    let damage = log.damage();
    findings.extend(damage.iter().map(|damage| found(&journal.join(&damage.segment), damaged(damage))));
    if let Some(lost) = log.lost().filter(|_| log.is_relaxed()) {
        let (what, mend) = lost_end(lost);
        findings.push(Finding { file: journal, line: 0, what, mend: mend.to_owned(), warning: true });
    }
    findings
}

/// What is to be known of the certificates.
fn told(guard: &Guard) -> Vec<Finding> {
    let concerns = guard.tls().concerns().into_iter();
    let finding = |concern: tidemill_guard::tls::Concern| Finding {
        file: concern.on.into(),
        line: 0,
        what: concern.problem,
        mend: sentence(&concern.mend),
        warning: concern.warning,
    };
    concerns.map(finding).collect()
}

/// The plant's settings, or the defaults where they cannot be read, which is told elsewhere.
pub(crate) fn settings_of(plant: &Plant) -> Option<(Config, MemoryPlan)> {
    let config = config::load(&plant.file(), &config::environment())
        .or_else(|_| config::read::check_text(&plant.file(), "", &Default::default()))
        .ok()?;
    let available = tidemill_ground::available();
    let memory = MemoryPlan::divide(config.memory_bytes.unwrap_or(available))
        .or_else(|_| MemoryPlan::divide(available.max(1 << 30)));
    Some((config, memory.ok()?))
}

/// The chain of the audit, entry by entry, as the disk has it, and whether it has what the journal knows of; and the tokens
/// whose making it records.
fn audit(guard: &Path, journal: Option<&dyn Journal>) -> Vec<Finding> {
    let folder = guard.join(tidemill_guard::audit::FOLDER);
    let mut findings: Vec<Finding> = match tidemill_guard::verify(&RealDisk, guard) {
        Ok(report) => {
            let told = report.findings.iter().map(|finding| {
                format!("{finding}. Compare with a backup; `tidemill audit verify` says more")
            });
            let missing =
                journal.and_then(|journal| tidemill_guard::audit::missing_entries(&report, journal));
            let missing = missing.map(|(first, last)| {
                format!(
                    "entries {first} to {last} are missing, which the journal knows of. Put data/guard back from a backup, the \
                     tokens with it"
                )
            });
            told.chain(missing).map(|message| found(&folder, damaged(message))).collect()
        }
        Err(error) => vec![found(&folder, error.into())],
    };
    if let Err(error @ tidemill_guard::Error::TokensMissing { .. }) =
        tidemill_guard::audit::check_tokens(&RealDisk, guard)
    {
        findings.push(found(guard, error.into()));
    }
    findings
}

/// The most that the tables' logs may take in memory while a backup is verified.
const LOGS_BYTES_MAX: u64 = 1 << 30;

/// What is wrong with the tables of a backup whose bytes are sound: a log that is not whole, a file that is not in it. The logs
/// are read from a disk that forgets.
pub(crate) fn tables_of(chain: &Chain) -> Result<Vec<String>, Problem> {
    const LAKE: &str = "data/lake/";
    let shadow: Arc<dyn Disk> = Arc::new(Shadow::over(Arc::new(RealDisk), LOGS_BYTES_MAX));
    // Nothing of this name is there: a restore makes it beside its folder alone.
    let root = Path::new("/.tidemill-backup-verify");
    for file in chain
        .own()
        .manifest()
        .files
        .iter()
        .filter(|file| file.path.strip_prefix(LAKE).is_some_and(|path| path.contains("/_delta_log/")))
    {
        let path = root.join(&file.path);
        let failed = |source| tidemill_backup::Error::Disk { what: "kept", path: path.clone(), source };
        path.parent().map_or(Ok(()), |folder| shadow.create_dir_all(folder)).map_err(failed)?;
        let copy = shadow.open(&path, Open::CreateNew).map_err(failed)?;
        chain.content(file, &mut |at, bytes| copy.write_at(bytes, at).map_err(failed))?;
    }
    let sizes: HashMap<&str, u64> =
        chain.own().manifest().files.iter().map(|file| (file.path.as_str(), file.bytes)).collect();
    let mut found = Vec::new();
    for table in tidemill_historian::tables(&shadow, &root.join(LAKE)) {
        let table = match table {
            Ok(table) => table,
            Err(error) => {
                found.push(error.to_string());
                continue;
            }
        };
        for (name, bytes) in table.files {
            let path = format!("{LAKE}{}/{name}", table.folder);
            match sizes.get(path.as_str()) {
                Some(there) if *there == bytes => {}
                Some(there) => found.push(format!("{path} has {there} bytes, its table says {bytes}")),
                None => found.push(format!("{path} is not in the backup, and its table names it")),
            }
        }
    }
    Ok(found)
}

/// What is said of a relaxed log that lost its end, and what to do.
pub(crate) fn lost_end((first, last): (tidemill_core::Seq, tidemill_core::Seq)) -> (String, &'static str) {
    (
        format!(
            "it lost its end at a power cut: parcels {} to {}, acknowledged and not in it",
            first.0, last.0
        ),
        "What the history files hold is there; write the last second again if it is known elsewhere. With \
         durability = \"disk\" nothing acknowledged is lost",
    )
}

/// What is wrong, and the mend: a sentence of its own at the end of what a room says, else the one of the code.
pub(crate) fn parts(problem: &Problem) -> (String, String) {
    let (what, mend) = problem.detail.split_once(". ").unwrap_or((&problem.detail, ""));
    (what.to_owned(), sentence(if mend.is_empty() { problem.mend() } else { mend }))
}

/// Damage, as a problem.
pub(crate) fn damaged(what: impl Display) -> Problem {
    Problem::new(&codes::DAMAGED, what.to_string())
}

fn found(file: &Path, problem: Problem) -> Finding {
    let (what, mend) = parts(&problem);
    Finding { file: file.to_owned(), line: 0, what, mend, warning: false }
}
