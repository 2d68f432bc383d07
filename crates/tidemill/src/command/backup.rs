//! `tidemill backup`: everything that the plant is made of in one file, also while it runs; and whether such a file is whole.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use clap::{Args, Subcommand};
use futures_util::TryStreamExt;
use hyper::Method;
use serde_json::{Value as Json, json};
use tidemill_backup::{Archive, Chain, FOLDERS, Since, Verdict};
use tidemill_core::{Problem, codes};
use tidemill_ground::{Disk, File, Ground, Open, RealDisk, TokenBucket};
use tokio::signal::unix::{SignalKind, signal};

use super::{CommandResult, Global, Outcome};
use crate::client::{Body, Client};
use crate::config::quantity;
use crate::plant::{self, Plant};
use crate::{backup, config, inspect, output, owner, progress};

/// The file is synced in such steps, so that the log of a plant on the same disk does not wait for all of it at once.
const SYNC_BYTES: u64 = 4 << 20;

/// Makes a backup of the plant in FILE: configuration, history, journal, names, tokens, keys, audit. Everything acknowledged
/// before it began is in it; a running plant goes on meanwhile. Or verifies one.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_precedence_over_arg = true,
    after_help = "FILE is a tar archive with a list of SHA-256; docs/spec/backup.md describes it. It holds the hashes of tokens and\nthe plant's keys: it is made for its owner's eyes alone, keep it so. With --since it holds only what OLDER lacks:\nrestoring needs OLDER then. It ends with 3 where a file of the plant could not be read and the rest is in FILE.\n\nExamples:\n  tidemill backup /backups/monday.tdm\n  tidemill backup /backups/tuesday.tdm --since /backups/monday.tdm\n  tidemill backup verify /backups/tuesday.tdm"
)]
pub(crate) struct Backup {
    #[command(subcommand)]
    action: Option<Action>,
    /// The file to make; it must not be there
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// Leave out what this earlier backup holds, or those it builds upon
    #[arg(long, value_name = "OLDER")]
    since: Option<PathBuf>,
    /// Where the backups are that OLDER builds upon, if not beside it: a file or a folder
    #[arg(long, value_name = "PLACE", requires = "since")]
    base: Vec<PathBuf>,
    /// Read at most so many bytes a second, such as 200MB; of a running plant 64MiB unless told otherwise
    #[arg(long, value_name = "SIZE", value_parser = rate)]
    rate: Option<u64>,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Read every byte of a backup, and of those it builds upon, and say what is wrong
    #[command(
        after_help = "Ends with 3 where anything is wrong: damage with its file and byte, a backup that is missing, a table of which a file\nis missing. Damage in one copy of a backup that it builds upon, of which another copy is whole, is a note.\n\nExample:\n  tidemill backup verify /backups/tuesday.tdm --base /vault"
    )]
    Verify(Verify),
}

#[derive(Args, Debug)]
struct Verify {
    /// The backup
    file: PathBuf,
    /// Where the backups are that it builds upon, if not beside it: a file or a folder
    #[arg(long, value_name = "PLACE")]
    base: Vec<PathBuf>,
}

fn rate(text: &str) -> Result<u64, String> {
    quantity::bytes(text).filter(|rate| *rate > 0).ok_or_else(|| "write it like 200MB or 64MiB".to_owned())
}

impl Backup {
    pub(crate) fn execute(self, global: &Global) -> CommandResult {
        match self.action {
            Some(Action::Verify(verify)) => verify.execute(global),
            None => {
                let since = self.since.map(|older| open(&RealDisk, &older, &self.base)).transpose();
                make(self.file.unwrap_or_default(), since?, self.rate, global)
            }
        }
    }
}

/// Opens a backup with all that it builds upon: their ends and lists are looked at, not all their bytes. A pipe or a device is no
/// backup, and opening one may never return.
pub(super) fn open(disk: &RealDisk, file: &Path, bases: &[PathBuf]) -> Result<Chain, Problem> {
    let is_odd =
        |path: &&Path| std::fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir());
    if let Some(path) = std::iter::once(file).chain(bases.iter().map(PathBuf::as_path)).find(is_odd) {
        let detail = format!("{} is no file, but a pipe, a socket or a device", path.display());
        return Err(Problem::new(&codes::FILE_UNREADABLE, detail).hint("Name the file of a backup"));
    }
    Ok(Chain::open(disk, file, bases)?)
}

fn make(file: PathBuf, older: Option<Chain>, rate: Option<u64>, global: &Global) -> CommandResult {
    let disk = RealDisk;
    check_place(&disk, &file, global)?;
    let partial = partial(&file);
    let stopped = stopped(global)?;
    let made = match &stopped {
        Some(plant) => of_stopped(plant, older, rate, &partial),
        None => super::client_side(of_running(&global.client()?, older, rate, &partial)),
    };
    let archive = made.and_then(|()| finish(&disk, &partial, &file)).inspect_err(|_| {
        // The first error is what matters, and the next backup clears it as well.
        let _ = disk.remove(&partial);
    })?;
    if let Some(plant) = &stopped
        && let Err(error) = backup::note_made(&disk, plant, &archive)
    {
        output::note(&format!("the plant will not count it for the warning backup-old: {error}"));
    }
    told(&file, &archive, global.json)
}

/// A file that is there is never replaced, and none is made where the next backup would take it in.
fn check_place(disk: &RealDisk, file: &Path, global: &Global) -> Result<(), Problem> {
    if file == Path::new("-") {
        let detail =
            "a backup is not written to standard output: it is looked at again before it gets its name";
        return Err(Problem::new(&codes::BAD_PARAMETER, detail)
            .hint("Name a file. Of a running plant, POST /api/v1/backup sends its bytes as they are made"));
    }
    if disk.exists(file).unwrap_or(false) {
        return Err(Problem::new(&codes::EXISTS, format!("{} is there already", file.display()))
            .hint("Choose another name: a backup is never written over"));
    }
    if file.file_name().is_none() {
        return Err(Problem::new(&codes::BAD_PARAMETER, format!("{} names no file", file.display())));
    }
    let Ok(plant) = plant::meant(global.plant.as_deref()) else { return Ok(()) };
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let place = real(&std::path::absolute(folder_of(file)).unwrap_or_else(|_| file.to_owned()));
    let inside = FOLDERS.iter().any(|folder| place.starts_with(real(&plant.folder).join(folder)));
    if global.url.is_none() && inside {
        let detail = format!("{} lies among the files that are backed up", file.display());
        return Err(
            Problem::new(&codes::BAD_PARAMETER, detail).hint("Choose a place outside, best on another disk")
        );
    }
    Ok(())
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn partial(file: &Path) -> PathBuf {
    folder_of(file).join(format!(".{}.part", file.file_name().unwrap_or_default().to_string_lossy()))
}

/// The plant that is meant, if it does not run: then its files are read.
fn stopped(global: &Global) -> Result<Option<Plant>, Problem> {
    if global.url.is_some() {
        return Ok(None);
    }
    Ok(Some(plant::meant(global.plant.as_deref())?).filter(|plant| !plant.is_running()))
}

fn of_stopped(plant: &Plant, older: Option<Chain>, rate: Option<u64>, partial: &Path) -> Result<(), Problem> {
    let _lock = plant.lock()?;
    // A plant that never ran had none.
    owner::give(&plant.folder, &plant.lock_file());
    let ground = Ground::real();
    let config = config::load(&plant.file(), &config::environment()).ok();
    let capture = backup::of_stopped(&ground, plant, config.as_ref());
    let since =
        older.map(|older| Since { manifest: older.own().manifest().clone(), hash: older.own().hash() });
    let bucket = rate.map(|rate| TokenBucket::new(ground.clock.clone(), rate, SYNC_BYTES));
    let pace = |bytes| {
        if let Some(bucket) = &bucket {
            std::thread::sleep(bucket.take(bytes));
        }
    };
    backup::pack(ground.disk.as_ref(), capture, since, Out::new(partial)?, &pace)?.0.end()
}

async fn of_running(
    client: &Client,
    older: Option<Chain>,
    rate: Option<u64>,
    partial: &Path,
) -> Result<(), Problem> {
    let path = rate.map_or_else(|| "/api/v1/backup".to_owned(), |rate| format!("/api/v1/backup?rate={rate}"));
    let body = older.map_or_else(|| b"{}".to_vec(), |older| older.own().manifest_bytes());
    let reply = client.send(
        Method::POST,
        &path,
        &[("content-type", "application/json")],
        Body::from(Bytes::from(body)),
    );
    let mut out = Out::new(partial)?;
    // Heard from before the first byte is there.
    let mut interrupt = signal(SignalKind::interrupt())
        .map_err(|error| Problem::new(&codes::INTERNAL, format!("signals cannot be received: {error}")))?;
    let taken = async {
        let mut pieces = reply.await?.pieces();
        while let Some(piece) = pieces.try_next().await? {
            out.write_all(&piece).map_err(|error| unwritable(partial, &error))?;
        }
        out.end()
    };
    tokio::select! {
        taken = taken => taken,
        _ = interrupt.recv() => {
            let _ = RealDisk.remove(partial);
            // 128 + SIGINT, as shells say it.
            std::process::exit(130);
        }
    }
}

fn unwritable(file: &Path, error: &io::Error) -> Problem {
    let detail = format!("{} cannot be written: {error}", file.display());
    Problem::new(codes::FILE_UNWRITABLE.or_full(error), detail)
}

/// The file under the name that it has until it is whole.
struct Out {
    path: PathBuf,
    file: Arc<dyn File>,
    at: u64,
    synced: u64,
    progress: indicatif::ProgressBar,
}

impl Out {
    fn new(path: &Path) -> Result<Out, Problem> {
        // What an interrupted backup left.
        let _ = RealDisk.remove(path);
        let file = RealDisk.open(path, Open::CreateNew).map_err(|error| unwritable(path, &error))?;
        let progress = progress::bytes("backed up");
        Ok(Out { path: path.to_owned(), file, at: 0, synced: 0, progress })
    }

    /// All of it is on disk.
    fn end(self) -> Result<(), Problem> {
        self.progress.finish_and_clear();
        self.file.sync_all().map_err(|error| unwritable(&self.path, &error))
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        self.progress.inc(bytes.len() as u64);
        if self.at - self.synced >= SYNC_BYTES {
            self.file.sync_data()?;
            self.synced = self.at;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Looks that it ends as it should, and gives it its name.
fn finish(disk: &RealDisk, partial: &Path, file: &Path) -> Result<Archive, Problem> {
    Archive::open(disk, partial)?;
    disk.rename(partial, file)
        .and_then(|()| disk.sync_dir(folder_of(file)))
        .map_err(|error| unwritable(file, &error))?;
    Ok(Archive::open(disk, file)?)
}

fn told(file: &Path, archive: &Archive, json: bool) -> CommandResult {
    let (manifest, bytes) = (archive.manifest(), archive.bytes());
    let bases = manifest.bases();
    let outcome = if manifest.notes.is_empty() { Outcome::Done } else { Outcome::Found };
    if json {
        let bases: Vec<String> = bases.iter().map(ToString::to_string).collect();
        output::verdict_json(&json!({
            "file": file, "bytes": bytes, "sha256": archive.hash().to_string(), "taken": manifest.taken,
            "files": manifest.files.len(), "plant_bytes": manifest.plant_bytes(), "journal": manifest.journal,
            "bases": bases, "notes": manifest.notes,
        }))?;
        return Ok(outcome);
    }
    let upon = match bases.len() {
        0 => String::new(),
        1 => ", the rest in 1 earlier backup".to_owned(),
        count => format!(", the rest in {count} earlier backups"),
    };
    let mut lines = vec![format!(
        "{}: {} files of {}, {}{upon}",
        file.display(),
        manifest.files.len(),
        manifest.plant,
        quantity::show_bytes(bytes)
    )];
    lines.extend(manifest.notes.iter().map(|note| format!("warning: {note}")));
    lines.push(format!("SHA-256 of its list: {}", archive.hash()));
    output::verdict(&lines.join("\n"))?;
    let named = crate::quoted(&file.to_string_lossy());
    output::note(&format!("verify it with `{} backup verify {named}`", crate::program()));
    Ok(outcome)
}

impl Verify {
    fn execute(self, global: &Global) -> CommandResult {
        let disk = RealDisk;
        let chain = match open(&disk, &self.file, &self.base) {
            Ok(chain) => chain,
            // Looked and found: the file is no whole backup, or not all of one.
            Err(problem) => {
                let found = [&codes::BACKUP_DAMAGED, &codes::BACKUP_BASE, &codes::NEWER_FORMAT];
                if !found.contains(&problem.code) {
                    return Err(problem);
                }
                let entry =
                    json!({ "code": problem.code.id, "problem": problem.detail, "mend": problem.mend() });
                return told_verified(
                    &self.file,
                    Json::Null,
                    vec![(problem.detail.clone(), entry)],
                    global.json,
                );
            }
        };
        let bar = progress::bar(chain.bytes_to_verify());
        let verdict = chain.verify(&mut |bytes| bar.inc(bytes));
        bar.finish_and_clear();
        let Verdict { findings, findings_more, notes: mut of_copies, notes_more } = verdict?;
        if notes_more > 0 {
            of_copies.push(format!("and {notes_more} more of this kind"));
        }
        let mut found: Vec<(String, Json)> = findings
            .into_iter()
            .map(|finding| {
                let entry = json!({
                    "code": codes::BACKUP_DAMAGED.id, "problem": finding.to_string(), "file": finding.file,
                    "path": finding.path, "at": finding.at,
                });
                (finding.to_string(), entry)
            })
            .collect();
        if findings_more > 0 {
            let what = format!("and {findings_more} more of this kind");
            found.push((what.clone(), json!({ "code": codes::BACKUP_DAMAGED.id, "problem": what })));
        }
        // A table can be judged where every byte of its log is what it was.
        if found.is_empty() {
            let tables = inspect::tables_of(&chain)?;
            found.extend(tables.into_iter().map(|what| {
                let entry = json!({ "code": codes::DAMAGED.id, "problem": what });
                (what, entry)
            }));
        }
        let manifest = chain.own().manifest();
        let about = json!({
            "plant": manifest.plant, "taken": manifest.taken, "program": manifest.program,
            "files": manifest.files.len(), "bytes": manifest.plant_bytes(), "journal": manifest.journal,
            "sha256": chain.own().hash().to_string(), "bases": chain.bases().map(Archive::path).collect::<Vec<_>>(),
            "notes": manifest.notes.iter().chain(&of_copies).collect::<Vec<_>>(),
        });
        told_verified(&self.file, about, found, global.json)
    }
}

/// Says what was found, and ends so.
fn told_verified(file: &Path, about: Json, found: Vec<(String, Json)>, json: bool) -> CommandResult {
    let outcome = if found.is_empty() { Outcome::Done } else { Outcome::Found };
    if json {
        let problems: Vec<Json> = found.into_iter().map(|(_, entry)| entry).collect();
        output::verdict_json(
            &json!({ "intact": problems.is_empty(), "backup": about, "problems": problems }),
        )?;
        return Ok(outcome);
    }
    let mut lines: Vec<String> = found.into_iter().map(|(text, _)| format!("problem: {text}")).collect();
    if lines.is_empty() {
        let bytes = quantity::show_bytes(about["bytes"].as_u64().unwrap_or_default());
        lines.push(format!(
            "{}: whole. {} files, {bytes}, of {}, taken {}",
            file.display(),
            output::cell(&about["files"]),
            output::cell(&about["plant"]),
            output::cell(&about["taken"])
        ));
    }
    let notes = about["notes"].as_array().into_iter().flatten();
    lines.extend(notes.map(|note| format!("note: {}", output::cell(note))));
    output::verdict(&lines.join("\n"))?;
    Ok(outcome)
}
