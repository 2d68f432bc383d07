//! A folder from a backup: everything is checked while it is written, to a folder beside the one that is wanted, or in it where
//! it is there; that gets its name when all of it is on disk. A process that ends on the way leaves no plant.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidemill_ground::{Disk, Entry, File, Open, create_dirs};

use crate::manifest::ROOT_FILE;
use crate::{Chain, Error, FOLDERS, Finding, Hash};

/// Where a restored plant says so until its next start has written it to the audit.
pub const RESTORED: &str = "data/restored.json";
/// A large file is synced in such steps, so that other writers of the disk are not held up.
const SYNC_BYTES: u64 = 8 << 20;
/// Stands in a folder while it is being written, locked by who writes it, and says that it may be cleared: no other is.
const UNFINISHED: &str = "restoring";
/// What stands in it is shorter.
const CLAIM_BYTES_MAX: u64 = 64 << 10;
/// The folder that is written in one that is there.
const WITHIN: &str = ".restoring";

/// What [`RESTORED`] says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restored {
    /// The version of this file's format.
    #[serde(rename = "tidemill-restored")]
    pub format: u32,
    /// The hash of the backup's manifest.
    pub backup: Hash,
    /// When the backup was made, RFC 3339.
    pub taken: String,
    /// When it was restored, RFC 3339.
    pub restored: String,
    /// Who did, as the system knows them.
    pub by: String,
}

/// Makes `folder` from a backup. It must not be there, or be empty. `seen` is told of bytes as they are written. Gives the damage
/// that was met in one copy of a base and not in another.
///
/// # Errors
/// Damage, a folder that is not empty, a disk that refuses or is too small: then nothing is at `folder` that was not before.
pub fn restore(
    disk: &dyn Disk,
    chain: &Chain,
    folder: &Path,
    about: &Restored,
    seen: &mut dyn FnMut(u64),
) -> Result<Vec<Finding>, Error> {
    let target = Target::of(disk, folder)?;
    let mut claim = Claim::take(disk, &target.partial, about)?;
    let written = target
        .clear(disk, folder, &claim)
        .and_then(|()| check_room(disk, chain, target.above))
        .and_then(|()| write_all(disk, chain, &target.partial, about, seen));
    let finished = written.and_then(|damaged| {
        claim.check(disk, chain)?;
        target.finish(disk, folder, &mut claim).map(|()| damaged)
    });
    // Where it met what is not its own, that stays as it is.
    if finished.as_ref().is_err_and(|error| !matches!(error, Error::Disturbed { .. })) {
        // The first error is what matters, and the next restore clears it as well.
        let _ = clear_partial(disk, &target.partial);
    }
    finished
}

/// Whether a restore into a folder that was there is at work, or was cut off: what stands there is no plant yet.
pub fn is_unfinished(disk: &dyn Disk, folder: &Path) -> bool {
    disk.exists(&folder.join(WITHIN).join(UNFINISHED)).unwrap_or(false)
        && !disk.exists(&folder.join(ROOT_FILE)).unwrap_or(true)
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Error + 'a {
    move |source| Error::Disk { what, path: path.to_owned(), source }
}

/// Whether nothing of anybody is in a folder. What a new file system brings along, `lost+found`, is nobody's.
///
/// # Errors
/// It cannot be looked into, or is not there.
pub fn is_vacant(disk: &dyn Disk, folder: &Path) -> io::Result<bool> {
    let entries = disk.list(folder)?;
    Ok(entries.iter().all(|entry| entry.is_dir && is_lost_and_found(disk, folder, &entry.name)))
}

fn is_lost_and_found(disk: &dyn Disk, folder: &Path, name: &str) -> bool {
    name == "lost+found"
        && match disk.list(&folder.join(name)) {
            Ok(entries) => entries.is_empty(),
            // It is the system's own.
            Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
        }
}

/// Where a plant is written until it is whole.
struct Target<'a> {
    partial: PathBuf,
    /// What is there before, for the room on its disk.
    above: &'a Path,
    /// In the folder itself, which is there: it may be a mounted disk, a link, or all that this user may write to.
    is_within: bool,
}

impl Target<'_> {
    fn of<'a>(disk: &dyn Disk, folder: &'a Path) -> Result<Target<'a>, Error> {
        match disk.list(folder) {
            Ok(entries) => {
                let target = Target { partial: folder.join(WITHIN), above: folder, is_within: true };
                let said = Said::read(disk, &target.partial.join(UNFINISHED));
                target.moved(disk, folder, &entries, &said).map(|_| target)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
                let above = parent.unwrap_or(Path::new("."));
                create_dirs(disk, above).map_err(failed("made", above))?;
                let name = folder.file_name().unwrap_or_default().to_string_lossy();
                Ok(Target { partial: above.join(format!(".{name}.restoring")), above, is_within: false })
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                Err(Error::NotEmpty { path: folder.to_owned() })
            }
            Err(error) => Err(failed("looked into", folder)(error)),
        }
    }

    /// What a restore that was cut off had moved to its place, where nothing else is there.
    fn moved<'a>(
        &self,
        disk: &dyn Disk,
        folder: &Path,
        entries: &'a [Entry],
        said: &Said,
    ) -> Result<Vec<&'a Entry>, Error> {
        let others = |entry: &&Entry| {
            !entry.is_dir || (entry.name != WITHIN && !is_lost_and_found(disk, folder, &entry.name))
        };
        let others: Vec<&Entry> = entries.iter().filter(others).collect();
        // What still waits to be moved is not what stands there. The file by which a folder is a plant goes last.
        let is_moved = |entry: &&Entry| {
            FOLDERS.contains(&entry.name.as_str())
                && said.moves.contains(&entry.name)
                && disk.exists(&self.partial.join(&entry.name)).is_ok_and(|waits| !waits)
        };
        match others.iter().all(is_moved) {
            true => Ok(others),
            false => Err(Error::NotEmpty { path: folder.to_owned() }),
        }
    }

    /// Removes what an earlier restore left. What says that it may goes last: a process that ends meanwhile leaves it to the next.
    fn clear(&self, disk: &dyn Disk, folder: &Path, claim: &Claim) -> Result<(), Error> {
        if self.is_within {
            let entries = disk.list(folder).map_err(failed("looked into", folder))?;
            for entry in self.moved(disk, folder, &entries, &claim.said)? {
                clear(disk, &folder.join(&entry.name), entry.is_dir)?;
            }
        }
        clear_within(disk, &self.partial)
    }

    /// Gives the plant its name, when all of it is on disk.
    fn finish(&self, disk: &dyn Disk, folder: &Path, claim: &mut Claim) -> Result<(), Error> {
        let unfinished = self.partial.join(UNFINISHED);
        let partial = self.partial.as_path();
        if self.is_within {
            let entries = disk.list(partial).map_err(failed("looked into", partial))?;
            claim.said.moves = entries.into_iter().map(|entry| entry.name).collect();
            claim.say()?;
            let mut moved = Vec::new();
            self.move_up(disk, folder, &mut moved).inspect_err(|_| {
                // The first error is what matters.
                moved.iter().for_each(|(path, is_dir)| drop(clear(disk, path, *is_dir)));
            })?;
            // The plant is there: what stays of this is in nobody's way.
            let _ = disk.remove(&unfinished).and_then(|()| disk.remove_dir(partial));
            return Ok(());
        }
        disk.remove(&unfinished).map_err(failed("removed", &unfinished))?;
        disk.sync_dir(partial).map_err(failed("synced", partial))?;
        disk.rename(partial, folder).map_err(failed("renamed", partial))?;
        disk.sync_dir(self.above).map_err(failed("synced", self.above))
    }

    /// The file by which a folder is a plant goes last.
    fn move_up(&self, disk: &dyn Disk, folder: &Path, moved: &mut Vec<(PathBuf, bool)>) -> Result<(), Error> {
        let entries = disk.list(&self.partial).map_err(failed("looked into", &self.partial))?;
        for is_dir in [true, false] {
            for entry in entries.iter().filter(|entry| entry.is_dir == is_dir && entry.name != UNFINISHED) {
                let (from, to) = (self.partial.join(&entry.name), folder.join(&entry.name));
                if disk.exists(&to).map_err(failed("looked at", &to))? {
                    return Err(Error::NotEmpty { path: to });
                }
                disk.rename(&from, &to).map_err(failed("renamed", &from))?;
                moved.push((to, is_dir));
            }
            disk.sync_dir(folder).map_err(failed("synced", folder))?;
        }
        Ok(())
    }
}

/// What stands in [`UNFINISHED`].
#[derive(Debug, Default, Serialize, Deserialize)]
struct Said {
    /// Which restore holds it.
    by: String,
    /// What is moved up, once all of it is written.
    moves: Vec<String>,
}

impl Said {
    /// Nothing where it cannot be read: an earlier version wrote nothing, and a power cut may leave nothing.
    fn read(disk: &dyn Disk, path: &Path) -> Said {
        let is_short = disk.len(path).is_ok_and(|bytes| bytes <= CLAIM_BYTES_MAX);
        let bytes = if is_short { tidemill_ground::read(disk, path).ok() } else { None };
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }
}

/// A folder that one restore alone writes, by the lock on the file [`UNFINISHED`] in it.
struct Claim {
    partial: PathBuf,
    file: Arc<dyn File>,
    said: Said,
}

impl Claim {
    fn take(disk: &dyn Disk, partial: &Path, about: &Restored) -> Result<Claim, Error> {
        let path = partial.join(UNFINISHED);
        let entries = match disk.list(partial) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(failed("looked into", partial))?,
        };
        let is_marked = entries.iter().any(|entry| entry.name == UNFINISHED);
        if !entries.is_empty() && !is_marked {
            return Err(Error::NotEmpty { path: partial.to_owned() });
        }
        let (at_work, how) = (
            || Error::AtWork { path: partial.to_owned() },
            if is_marked { Open::ReadWrite } else { Open::CreateNew },
        );
        create_dirs(disk, partial).map_err(failed("made", partial)).inspect_err(|_| {
            // It is empty, or another's.
            let _ = disk.remove_dir(partial);
        })?;
        let file = match disk.open(&path, how) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {
                return Err(at_work());
            }
            other => other.map_err(failed("made", &path))?,
        };
        // Where a file system has no locks nobody can tell; what is missing is seen at the end.
        if file.try_lock().is_ok_and(|ours| !ours) {
            return Err(at_work());
        }
        let moves = Said::read(disk, &path).moves;
        let by = format!("{} {} {:p}", about.restored, std::process::id(), Arc::as_ptr(&file));
        let claim = Claim { partial: partial.to_owned(), file, said: Said { by, moves } };
        // Its name is to stand before what it speaks of.
        let said = claim.say().and_then(|()| disk.sync_dir(partial).map_err(failed("synced", partial)));
        said.inspect_err(|_| {
            if !is_marked {
                let _ = clear(disk, partial, true);
            }
        })?;
        // Another may have ended between, and taken the file away that was opened.
        let alone = || disk.list(partial).is_ok_and(|entries| is_marked || entries.len() == 1);
        match claim.stands(disk) && alone() {
            true => Ok(claim),
            false => Err(at_work()),
        }
    }

    /// Writes down what is said.
    fn say(&self) -> Result<(), Error> {
        let path = self.partial.join(UNFINISHED);
        let text = serde_json::to_vec(&self.said).unwrap_or_default();
        let written = self.file.set_len(text.len() as u64);
        let written = written.and_then(|()| self.file.write_at(&text, 0));
        written.and_then(|()| self.file.sync_all()).map_err(failed("written", &path))
    }

    /// Whether the file that is locked is the one that stands there.
    fn stands(&self, disk: &dyn Disk) -> bool {
        Said::read(disk, &self.partial.join(UNFINISHED)).by == self.said.by
    }

    /// Whether nobody took anything away, which a lock does not keep all others from.
    fn check(&self, disk: &dyn Disk, chain: &Chain) -> Result<(), Error> {
        let disturbed = |path: PathBuf| Err(Error::Disturbed { path });
        if !self.stands(disk) {
            return disturbed(self.partial.join(UNFINISHED));
        }
        let files = chain.own().manifest().files.iter();
        let missing = files
            .map(|file| (self.partial.join(&file.path), file.bytes))
            .find(|(path, bytes)| !disk.len(path).is_ok_and(|there| there == *bytes));
        missing.map_or(Ok(()), |(path, _)| disturbed(path))
    }
}

fn check_room(disk: &dyn Disk, chain: &Chain, parent: &Path) -> Result<(), Error> {
    let needed_bytes = chain.own().manifest().plant_bytes();
    match disk.space(parent) {
        Ok(space) if space.free_bytes < needed_bytes => {
            Err(Error::NoRoom { path: parent.to_owned(), needed_bytes, free_bytes: space.free_bytes })
        }
        // Where room cannot be asked for, writing meets the end of it.
        _ => Ok(()),
    }
}

fn write_all(
    disk: &dyn Disk,
    chain: &Chain,
    partial: &Path,
    about: &Restored,
    seen: &mut dyn FnMut(u64),
) -> Result<Vec<Finding>, Error> {
    let mut passed_over = Vec::new();
    let mut folders = BTreeSet::from([partial.to_owned()]);
    for file in &chain.own().manifest().files {
        // Every name in it was checked when the manifest was read.
        let path: PathBuf = partial.join(&file.path);
        note_folders(&mut folders, partial, &path);
        let dir = path.parent().unwrap_or(partial);
        disk.create_dir_all(dir).map_err(failed("made", dir))?;
        let out = disk.open(&path, Open::CreateNew).map_err(failed("made", &path))?;
        let mut unsynced_bytes = 0;
        let damaged = chain.content(file, &mut |at, bytes| {
            out.write_at(bytes, at).map_err(failed("written", &path))?;
            unsynced_bytes += bytes.len() as u64;
            if unsynced_bytes >= SYNC_BYTES {
                out.sync_data().map_err(failed("synced", &path))?;
                unsynced_bytes = 0;
            }
            seen(bytes.len() as u64);
            Ok(())
        })?;
        passed_over.extend(damaged);
        out.sync_all().map_err(failed("synced", &path))?;
    }
    let path = partial.join(RESTORED);
    note_folders(&mut folders, partial, &path);
    let dir = path.parent().unwrap_or(partial);
    disk.create_dir_all(dir).map_err(failed("made", dir))?;
    let text = serde_json::to_vec_pretty(about).unwrap_or_default();
    tidemill_ground::replace(disk, &path, &text).map_err(failed("written", &path))?;
    folders.iter().rev().try_for_each(|folder| disk.sync_dir(folder).map_err(failed("synced", folder)))?;
    Ok(passed_over)
}

/// All folders between, for each is a name that must be synced.
fn note_folders(folders: &mut BTreeSet<PathBuf>, root: &Path, file: &Path) {
    let above = file.ancestors().skip(1).take_while(|folder| *folder != root);
    folders.extend(above.map(Path::to_owned));
}

/// Removes what was written until it was clear that it is no plant.
fn clear_partial(disk: &dyn Disk, partial: &Path) -> Result<(), Error> {
    clear_within(disk, partial)?;
    clear(disk, partial, true)
}

fn clear_within(disk: &dyn Disk, partial: &Path) -> Result<(), Error> {
    let entries = disk.list(partial).map_err(failed("looked into", partial))?;
    let mut written = entries.iter().filter(|entry| entry.name != UNFINISHED);
    written.try_for_each(|entry| clear(disk, &partial.join(&entry.name), entry.is_dir))
}

fn clear(disk: &dyn Disk, path: &Path, is_dir: bool) -> Result<(), Error> {
    if !is_dir {
        return disk.remove(path).map_err(failed("removed", path));
    }
    for entry in disk.list(path).map_err(failed("looked into", path))? {
        clear(disk, &path.join(&entry.name), entry.is_dir)?;
    }
    disk.remove_dir(path).map_err(failed("removed", path))
}
