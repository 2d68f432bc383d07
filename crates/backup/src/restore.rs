//! A folder from a backup: everything is checked while it is written, to a folder beside the one that is wanted, or in it where
//! it is there; that gets its name when all of it is on disk. A process that ends on the way leaves no plant.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tidemill_ground::{Disk, Entry, Open, create_dirs};

use crate::{Chain, Error, Finding, Hash};

/// Where a restored plant says so until its next start has written it to the audit.
pub const RESTORED: &str = "data/restored.json";
/// A large file is synced in such steps, so that other writers of the disk are not held up.
const SYNC_BYTES: u64 = 8 << 20;
/// Stands in a folder while it is being written, and says that it may be cleared: no other is.
const UNFINISHED: &str = "restoring";
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
    check_room(disk, chain, target.above)?;
    clear_unfinished(disk, &target.partial)?;
    let written = write_all(disk, chain, &target.partial, about, seen)
        .and_then(|damaged| target.finish(disk, folder).map(|()| damaged));
    if written.is_err() {
        // The first error is what matters, and the next restore clears it as well.
        let _ = clear(disk, &target.partial, true);
    }
    written
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
                let ours = |entry: &Entry| {
                    entry.is_dir && (entry.name == WITHIN || is_lost_and_found(disk, folder, &entry.name))
                };
                match entries.iter().all(ours) {
                    true => Ok(Target { partial: folder.join(WITHIN), above: folder, is_within: true }),
                    false => Err(Error::NotEmpty { path: folder.to_owned() }),
                }
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

    /// Gives the plant its name, when all of it is on disk.
    fn finish(&self, disk: &dyn Disk, folder: &Path) -> Result<(), Error> {
        let unfinished = self.partial.join(UNFINISHED);
        let partial = self.partial.as_path();
        if self.is_within {
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
    let unfinished = partial.join(UNFINISHED);
    create_dirs(disk, partial).map_err(failed("made", partial))?;
    disk.open(&unfinished, Open::CreateNew).map_err(failed("made", &unfinished))?;
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

/// Removes what an earlier restore left.
fn clear_unfinished(disk: &dyn Disk, partial: &Path) -> Result<(), Error> {
    let entries = match disk.list(partial) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed("looked into", partial))?,
    };
    if !entries.is_empty() && !entries.iter().any(|entry| entry.name == UNFINISHED) {
        return Err(Error::NotEmpty { path: partial.to_owned() });
    }
    // The file that allows it goes last: a process that ends meanwhile leaves it to the next.
    for entry in entries.iter().filter(|entry| entry.name != UNFINISHED) {
        clear(disk, &partial.join(&entry.name), entry.is_dir)?;
    }
    clear(disk, partial, true)
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
