//! Whose a plant is, where root does something to it: what root writes there its owner could not read. What does not live here:
//! who may do what in a plant (the room `guard`).

use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

/// The user whose folder it is, where root asks and it is not root's: by name, else as `sudo -u` takes a number.
pub(crate) fn other(folder: &Path) -> Option<String> {
    let owner = std::fs::metadata(folder).ok()?.uid();
    let is_other = rustix::process::geteuid().is_root() && owner != 0;
    is_other.then(|| name(owner).unwrap_or_else(|| format!("'#{owner}'")))
}

/// As passwd(5) has it: `name:password:number:…`.
fn name(number: u32) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let mut fields = users.lines().map(|line| line.split(':'));
    fields.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    })
}

/// Gives a file that root wrote into a folder to the folder's owner.
pub(crate) fn give(folder: &Path, file: &Path) {
    if rustix::process::geteuid().is_root()
        && let Ok(about) = std::fs::metadata(folder)
    {
        // Where it cannot be given, its owner is told when it cannot be read.
        let _ = chown(file, Some(about.uid()), Some(about.gid()));
    }
}
