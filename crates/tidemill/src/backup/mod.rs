//! Backups of this plant: which files belong to it, at what moment, and how their bytes leave. What does not live here: the
//! format (the crate `backup`), and what the rooms do so that their files hold still.

mod capture; // which files, at one moment
mod keeper; //  a backup of a running plant, through its doors

use std::cell::Cell;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tidemill_backup::{Archive, Done, Error, Hash, Manifest, Packer, RESTORED, Restored, Since};
use tidemill_core::{
    AuditEntry, AuditResult, Authority, Bus, Identity, IdentityKind, Peer, Problem, codes, parse_rfc3339,
};
use tidemill_ground::{Disk, File, Ground, Open};

use crate::owner;
use crate::plant::Plant;

pub(crate) use capture::{Capture, of_stopped};
pub(crate) use keeper::Backups;

use capture::{Item, Source};

/// Where the history is.
const LAKE: &str = "data/lake/";
/// Where a plant that stood still says which backups were made of it, until its next start has told its history and its audit.
const MADE: &str = "data/backup-made.json";
/// So many of them are kept: the newest.
const MADE_MAX: usize = 1_000;
/// How long a start waits until it is in the audit that the plant was restored, or that a backup was made of it.
const RECORDED_WITHIN: std::time::Duration = std::time::Duration::from_secs(30);

/// The earlier backup that a manifest tells of.
pub(crate) fn since(manifest: &[u8]) -> Result<Since, Problem> {
    let parsed = Manifest::parse(manifest).map_err(|why| Problem::new(&codes::BACKUP_DAMAGED, why))?;
    Ok(Since { manifest: parsed, hash: Hash::of(manifest) })
}

/// What every format of [`RESTORED`] says.
#[derive(Deserialize)]
struct Format {
    #[serde(rename = "tidemill-restored")]
    format: u64,
}

/// Writes to the audit that the plant was restored, if it was and nobody wrote it yet. An audit that cannot be written keeps
/// no plant from running: the next start tries again.
pub(crate) fn record_restore(
    ground: &Ground,
    plant: &Plant,
    authority: &dyn Authority,
) -> Result<(), Problem> {
    let path = plant.folder.join(RESTORED);
    let disk = ground.disk.as_ref();
    let Ok(bytes) = tidemill_ground::read(disk, &path) else { return Ok(()) };
    // First of all, for a later format may have other members.
    if let Ok(Format { format }) = serde_json::from_slice(&bytes)
        && format > 1
    {
        let detail = format!("{} is of format {format}, and this program knows format 1", path.display());
        return Err(Problem::new(&codes::NEWER_FORMAT, detail));
    }
    let told = match serde_json::from_slice::<Restored>(&bytes) {
        Ok(told) => json!({
            "backup": told.backup.to_string(), "taken": told.taken, "restored": told.restored, "by": told.by,
        }),
        Err(error) => json!({ "unreadable": error.to_string() }),
    };
    let peer = Peer { door: "house", address: None };
    let entry = AuditEntry {
        who: Identity { name: "house:restore".into(), kind: IdentityKind::House, peer },
        action: "plant.restore",
        target: "plant".to_owned(),
        result: AuditResult::Done,
        detail: told.to_string(),
    };
    match authority.audit(entry)?.wait(RECORDED_WITHIN) {
        Some(Ok(_)) => {
            tracing::info!(event = "plant.restored", detail = %told, "the plant was restored from a backup");
            // What stays is written to the audit once more.
            let _ = disk.remove(&path);
        }
        Some(Err(error)) => tracing::warn!(event = "plant.restored", %error, "not in the audit yet"),
        None => tracing::warn!(event = "plant.restored", "not in the audit yet"),
    }
    Ok(())
}

/// What [`MADE`] says.
#[derive(Serialize, Deserialize)]
struct Made {
    /// The version of this file's format.
    #[serde(rename = "tidemill-backup-made")]
    format: u32,
    /// In the order in which they were made.
    backups: Vec<MadeOne>,
}

#[derive(Serialize, Deserialize)]
struct MadeOne {
    taken: String,
    sha256: String,
    bytes: u64,
    /// Who made it, as the system knows them.
    by: String,
}

impl Made {
    fn read(disk: &dyn Disk, path: &Path) -> Option<Made> {
        let bytes = tidemill_ground::read(disk, path).ok()?;
        serde_json::from_slice(&bytes).ok().filter(|made: &Made| made.format == 1)
    }
}

/// Notes in the plant's folder that a backup was made while it stood still: it counts for the warning of old backups.
pub(crate) fn note_made(disk: &dyn Disk, plant: &Plant, archive: &Archive) -> std::io::Result<()> {
    if !disk.exists(&plant.data())? {
        // One that never ran has no history either.
        return Ok(());
    }
    let path = plant.folder.join(MADE);
    let mut made = Made::read(disk, &path).unwrap_or(Made { format: 1, backups: Vec::new() });
    let (taken, sha256) = (archive.manifest().taken.clone(), archive.hash().to_string());
    let by = format!("user number {}", rustix::process::getuid().as_raw());
    made.backups.push(MadeOne { taken, sha256, bytes: archive.bytes(), by });
    made.backups.drain(..made.backups.len().saturating_sub(MADE_MAX));
    let text = serde_json::to_vec(&made).map_err(std::io::Error::other)?;
    tidemill_ground::replace(disk, &path, &text)?;
    owner::give(&plant.folder, &path);
    Ok(())
}

/// Tells the history and the audit of the backups that were made while the plant stood still. Where that fails the next start
/// tries again: the same sample twice is one.
pub(crate) fn record_made(ground: &Ground, plant: &Plant, authority: &dyn Authority, bus: &Arc<dyn Bus>) {
    let path = plant.folder.join(MADE);
    let disk = ground.disk.as_ref();
    let Some(made) = Made::read(disk, &path) else { return };
    match made.backups.iter().try_for_each(|made| record_one(made, authority, bus)) {
        // What stays is told once more.
        Ok(()) => drop(disk.remove(&path)),
        Err(Some(problem)) => {
            tracing::warn!(event = "figures.unwritten", code = problem.code.id, "{}", problem.detail);
        }
        Err(None) => {}
    }
}

/// Fails without a problem where it takes too long.
fn record_one(made: &MadeOne, authority: &dyn Authority, bus: &Arc<dyn Bus>) -> Result<(), Option<Problem>> {
    let Ok(made_ns) = parse_rfc3339(&made.taken) else { return Ok(()) };
    let written = tidemill_vitals::write_backup(bus, made.bytes, Some(made_ns));
    let peer = Peer { door: "house", address: None };
    let detail = json!({ "taken": made.taken, "sha256": made.sha256, "bytes": made.bytes, "by": made.by });
    let audited = authority.audit(AuditEntry {
        who: Identity { name: "house:backup".into(), kind: IdentityKind::House, peer },
        action: "backup.take",
        target: "plant".to_owned(),
        result: AuditResult::Done,
        detail: detail.to_string(),
    });
    let (written, audited) = (written.map_err(Some)?, audited.map_err(Some)?);
    let through = written.wait(RECORDED_WITHIN).is_some_and(|written| written.is_ok())
        && audited.wait(RECORDED_WITHIN).is_some_and(|audited| audited.is_ok());
    if through { Ok(()) } else { Err(None) }
}

/// Waits after so many bytes were read, so that all together stay below a rate.
pub(crate) type Pace<'a> = &'a dyn Fn(u64);

/// Packs what was captured, the journal first, so that it is soon held no more.
pub(crate) fn pack<W: Write>(
    disk: &dyn Disk,
    capture: Capture,
    since: Option<Since>,
    out: W,
    pace: Pace<'_>,
) -> Result<(W, Done), Problem> {
    let Capture { about, journal, held, others, lake, notes } = capture;
    let mut packer = Packer::begin(out, about, since)?;
    notes.into_iter().for_each(|note| packer.note(note));
    for item in journal {
        add(disk, &mut packer, item, pace)?;
    }
    if held.is_some_and(|held| !held.is_held()) {
        let detail = "the disk became so full that the journal could not be held for the backup";
        return Err(Problem::new(&codes::DISK_FULL, detail).hint("Free space, then make the backup again"));
    }
    for item in others {
        let path = item.path.clone();
        let was_read = add(disk, &mut packer, item, pace)?;
        // Just read, it is still in memory; what an earlier backup has was whole there or told there.
        let of_lake = path.strip_prefix(LAKE).filter(|_| was_read);
        let whole = of_lake.map_or(Ok(()), |path| lake.verify(path));
        if let Err(damage @ tidemill_historian::Error::Damaged { .. }) = whole {
            packer.note_damage(&path, &damage);
        }
    }
    drop(lake);
    Ok(packer.finish()?)
}

/// Adds a file. Says whether its bytes were read from the place where they lie.
fn add<W: Write>(disk: &dyn Disk, packer: &mut Packer<W>, item: Item, pace: Pace<'_>) -> Result<bool, Error> {
    let Item { path, source, unchanging } = item;
    let (file, wanted): (Arc<dyn File>, Option<u64>) = match source {
        Source::Bytes(bytes) => {
            let read = |buffer: &mut [u8], at: u64| {
                let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
                let count = rest.len().min(buffer.len());
                buffer.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                Ok(count)
            };
            return packer.add(&path, bytes.len() as u64, unchanging, &read).map(|()| false);
        }
        Source::Open(file, bytes) => (file, Some(bytes)),
        Source::Place(place, bytes) => match disk.open(&place, Open::Read) {
            Ok(file) => (file, bytes),
            Err(error) => {
                packer.note(format!("{path} is not in the backup: it cannot be opened: {error}"));
                return Ok(false);
            }
        },
    };
    let there = match file.len() {
        Ok(there) => there,
        Err(error) => {
            packer.note(format!("{path} is not in the backup: it cannot be looked at: {error}"));
            return Ok(false);
        }
    };
    let bytes = wanted.map_or(there, |wanted| wanted.min(there));
    if let Some(wanted) = wanted.filter(|wanted| *wanted > there) {
        packer.note(format!("{path} has {there} bytes, and should have {wanted}"));
    }
    let was_read = Cell::new(false);
    packer.add(&path, bytes, unchanging && wanted == Some(bytes), &|buffer, at| {
        was_read.set(true);
        let count = file.read_at(buffer, at)?;
        pace(count as u64);
        Ok(count)
    })?;
    Ok(was_read.get())
}
