//! What the house asks of a disk: the two traits, and the few durable patterns built on them. No file system is
//! touched here; `real` does that, and `sim` pretends to.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The largest file that [`read`] takes into memory as a whole. Whole files are settings, manifests and table-log
/// entries; anything that grows with the plant is read in pieces through [`File::read_at`].
pub const READ_BYTES_MAX: u64 = 1 << 30;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Open {
    /// Only to be read; it must exist.
    Read,
    /// To be read and written; it must exist.
    ReadWrite,
    /// To be read and written; it must not exist yet.
    CreateNew,
    /// To be read and written; made empty if it does not exist, otherwise opened as it is.
    CreateOrOpen,
}

impl Open {
    /// Whether a file opened so may be written.
    pub fn writes(self) -> bool {
        self != Open::Read
    }
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name inside the folder. A name that is not UTF-8 is shown with replacement characters.
    pub name: String,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Whether it is a file of bytes: no folder, and no pipe or device, whose opening may never return.
    pub is_file: bool,
    /// Bytes of the file; 0 for a folder.
    pub len: u64,
}

/// Room on the file system that holds a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this process may still write.
    pub free_bytes: u64,
    /// Bytes of the whole file system.
    pub total_bytes: u64,
}

/// A disk: names, folders and files.
///
/// What is durable and what is not:
/// - Bytes and length of a file are durable after [`File::sync_data`] or [`File::sync_all`] returned `Ok`.
/// - A name (made, renamed, removed) is durable after [`Disk::sync_dir`] of its folder returned `Ok`. A new folder is
///   a name in its parent: [`create_dirs`] syncs what it makes.
/// - A rename is atomic: after a crash the target is the old file or the new one.
/// - Everything else may be there after a power cut, or not, or in part.
/// - After a failed sync nothing is known about what was written since the last good one, and trying again proves
///   nothing: Linux marks the pages clean. Give the file up and write a new one.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file. Files are made readable and writable by their owner only.
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>>;
    /// What stands in a folder, sorted by name.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// Makes a folder and those above it, for their owner only; nothing happens if it exists. Not durable by
    /// itself: see [`create_dirs`].
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Gives a file or folder another name; an existing file of that name is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes every change of names in this folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Room on the file system that holds this path, which must exist.
    fn space(&self, path: &Path) -> io::Result<Space>;
    /// Whether a file or folder of this name exists.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Bytes of a file; 0 for a folder.
    fn len(&self, path: &Path) -> io::Result<u64>;
}

/// An open file. Several threads may use it at once; where their writes overlap, the outcome is either.
pub trait File: Send + Sync {
    /// Reads at most `buf.len()` bytes from `offset`; fewer is allowed, 0 means the end. See [`read_exact_at`].
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `buf` at `offset`. A gap before it reads as zeros. After an error a part may be written.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;
    /// Bytes in the file.
    fn len(&self) -> io::Result<u64>;
    /// Whether there are no bytes in the file.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts the file, or makes it longer with zeros that take no room. Where it does not become longer, room reserved
    /// behind its end is given back.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Reserves room on the disk for the first `len` bytes, leaving the length as it is, so that writing them later
    /// cannot meet a full disk. `Ok(false)`: this file system cannot reserve, nothing was done.
    fn allocate(&self, len: u64) -> io::Result<bool>;
    /// Makes bytes and length durable.
    fn sync_data(&self) -> io::Result<()>;
    /// Makes bytes, length and the other properties of the file durable.
    fn sync_all(&self) -> io::Result<()>;
    /// Takes the file for this process alone until it is dropped (an advisory lock). `Ok(false)`: another holds it.
    fn try_lock(&self) -> io::Result<bool>;
}

/// Fills `buf` from `offset`, or fails with `UnexpectedEof`.
pub fn read_exact_at(file: &dyn File, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buf.is_empty() {
        let count = file.read_at(buf, offset)?;
        if count == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the file ends at byte {offset}, {} bytes too early", buf.len()),
            ));
        }
        offset += count as u64;
        buf = buf.get_mut(count..).unwrap_or_default();
    }
    Ok(())
}

/// Reads a whole file of at most [`READ_BYTES_MAX`] bytes.
pub fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Open::Read)?;
    let len = file.len()?;
    if len > READ_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!(
                "{} has {len} bytes, more than the {READ_BYTES_MAX} that are read at once",
                path.display()
            ),
        ));
    }
    let mut bytes = vec![0; len as usize];
    read_exact_at(file.as_ref(), &mut bytes, 0)?;
    Ok(bytes)
}

/// Replaces a whole file, durably and at once: after a crash it holds the old bytes or the new ones, and once this
/// returned `Ok`, the new ones. The bytes go to `.NAME.new` in the same folder, which is synced, renamed over the
/// file, and its folder synced. On an error the old file stands; whether the new one would survive a crash is then
/// unknown only if the last step failed.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    // One at a time in this process, because the temporary name is fixed: a crash then leaves at most one of them,
    // which the next call clears, and the same run makes the same names.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);

    let temporary = temporary(path)?;
    let written = write_new(disk, &temporary, bytes).and_then(|()| disk.rename(&temporary, path));
    if let Err(error) = written {
        // Best effort: what matters to the caller is the first error, and the next call clears the file as well.
        let _ = disk.remove(&temporary);
        return Err(error);
    }
    disk.sync_dir(parent(path))
}

fn write_new(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = match disk.open(path, Open::CreateNew) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            disk.remove(path)?;
            disk.open(path, Open::CreateNew)?
        }
        other => other?,
    };
    file.write_at(bytes, 0)?;
    file.sync_all()
}

fn temporary(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{} does not name a file", path.display()))
    })?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    Ok(path.with_file_name(hidden))
}

/// Makes a folder and those above it, and syncs every folder that got a new name, so that all of them survive a
/// power cut once this returned `Ok`.
pub fn create_dirs(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let mut changed = Vec::new();
    let mut at = dir;
    while !at.as_os_str().is_empty() && !disk.exists(at)? {
        at = parent(at);
        changed.push(at);
    }
    disk.create_dir_all(dir)?;
    // From the top down, so that at no moment a durable name hangs below one that is not.
    changed.iter().rev().try_for_each(|dir| disk.sync_dir(dir))
}

/// The folder that a path's name stands in; `.` for a bare name.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        Some(_) => Path::new("."),
        None => path,
    }
}

#[cfg(test)]
mod tests;
