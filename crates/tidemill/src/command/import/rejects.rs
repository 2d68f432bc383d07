//! FILE.rejected: the rows that did not go in, beside their file. It ends with a line that says what was written: a list that
//! somebody changed since, or made, is nobody's to write over or to remove.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use tidemill_connect::import::Reject;
use tidemill_core::{Problem, codes};

use super::resume::Hash;
use crate::output;

/// How the last line begins. An import passes over it, as over every remark.
const END: &str = "#rejected end: ";
/// The longest last line.
const END_BYTES_MAX: u64 = 128;
/// How many changed lists of one file are kept beside it.
const KEPT_MAX: u32 = 1_000;

/// FILE.rejected, made when the first row is rejected.
pub(super) struct Rejects {
    pub(super) path: PathBuf,
    file: Option<File>,
    /// Remarks that say of which database the next rows are, and whether they stand in the file.
    context: (String, bool),
}

impl Rejects {
    pub(super) fn new(path: PathBuf) -> Rejects {
        Rejects { path, file: None, context: (String::new(), true) }
    }

    /// What is rejected next is from elsewhere: imported again, it is to go there.
    pub(super) fn set_context(&mut self, remarks: String) {
        if self.context.0 != remarks {
            self.context = (remarks, false);
        }
    }

    /// Goes on behind what an import that was cut off had kept.
    pub(super) fn go_on(&mut self, bytes: u64) -> io::Result<()> {
        let file = File::options().append(true).open(&self.path)?;
        alone(&file)?;
        if file.metadata()?.len() < bytes {
            return Err(io::Error::other("it is shorter than it was"));
        }
        file.set_len(bytes)?;
        self.file = Some(file);
        Ok(())
    }

    pub(super) fn bytes(&self) -> u64 {
        self.file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len())
    }

    pub(super) fn write(&mut self, head: Option<&str>, rejects: &[Reject]) -> Result<(), Problem> {
        if rejects.is_empty() {
            return Ok(());
        }
        let failed = |error: io::Error| unwritable(&self.path, &error);
        let mut text = Vec::new();
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                if let Some(head) = head {
                    text.extend_from_slice(head.as_bytes());
                    text.push(b'\n');
                }
                if let Ok(there) = File::open(&self.path) {
                    alone(&there).map_err(failed)?;
                }
                make_room(&self.path).map_err(failed)?;
                let file = File::options().append(true).create(true).open(&self.path).map_err(failed)?;
                alone(&file).and_then(|()| file.set_len(0)).map_err(failed)?;
                self.file.insert(file)
            }
        };
        if !std::mem::replace(&mut self.context.1, true) {
            text.extend_from_slice(self.context.0.as_bytes());
        }
        rejects.iter().for_each(|reject| reject.write(&mut text));
        file.write_all(&text).map_err(failed)
    }

    /// The import is at its end: the list says so; without one, that of an earlier import is gone.
    pub(super) fn finish(&mut self) -> Result<(), Problem> {
        if self.end()? {
            return Ok(());
        }
        let shown = self.path.display();
        match is_as_written(&self.path) {
            Some(true) if std::fs::remove_file(&self.path).is_ok() => {
                output::note(&format!(
                    "{shown} of an earlier import is removed: no row was rejected this time"
                ));
            }
            Some(false) if is_list(&self.path) => {
                let what = match last_line(&self.path).is_ok_and(|last| last.starts_with(END)) {
                    true => "was changed since",
                    false => "has no end, as that was cut off or the list was changed",
                };
                output::note(&format!("{shown} is of an earlier import and {what}: it stays"));
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes the last line, where there is a list.
    pub(super) fn end(&mut self) -> Result<bool, Problem> {
        let failed = |error: io::Error| unwritable(&self.path, &error);
        let Some(file) = &mut self.file else { return Ok(false) };
        let hash = hash_of(&self.path, u64::MAX).map_err(failed)?;
        writeln!(file, "{END}{hash:016x}").map_err(failed).map(|()| true)
    }
}

/// Two imports of one file would mix their lists.
fn alone(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another import of the file is writing it")),
        // Where a file system has no locks nobody can tell.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Problem {
    Problem::new(&codes::FILE_UNWRITABLE, format!("{} cannot be written: {error}", path.display()))
        .hint("Rejected rows are kept there: import again from a folder that you may write to; what is kept is kept once")
}

/// Whether a list is as an import left it. None: there is no file.
fn is_as_written(path: &Path) -> Option<bool> {
    let bytes = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?.len();
    let judged = || -> io::Result<bool> {
        let last = last_line(path)?;
        let Some(hash) = last.strip_prefix(END).and_then(|hash| hash.strip_suffix('\n')) else {
            return Ok(false);
        };
        let before = bytes.saturating_sub(last.len() as u64);
        Ok(u64::from_str_radix(hash, 16).ok() == Some(hash_of(path, before)?))
    };
    Some(judged().unwrap_or(false))
}

/// The last line with its end, as far as one that an import wrote may be long.
fn last_line(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    file.seek(SeekFrom::Start(bytes.saturating_sub(END_BYTES_MAX)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let end = String::from_utf8_lossy(&end);
    Ok(end.split_inclusive('\n').next_back().unwrap_or_default().to_owned())
}

/// Whether a file begins as a list of rejects does, whoever changed it since.
fn is_list(path: &Path) -> bool {
    let mut begin = Vec::new();
    let read = File::open(path).and_then(|file| file.take(64 << 10).read_to_end(&mut begin));
    read.is_ok() && String::from_utf8_lossy(&begin).lines().any(|line| line.starts_with("#rejected "))
}

fn hash_of(path: &Path, bytes: u64) -> io::Result<u64> {
    let mut file = File::open(path)?.take(bytes);
    let (mut hash, mut buffer) = (Hash::default(), vec![0; 64 << 10]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.0),
            count => hash.add(buffer.get(..count).unwrap_or_default()),
        }
    }
}

/// What stands there and is no list as an import left it is put aside.
#[expect(
    clippy::disallowed_methods,
    reason = "a list beside the user's file, which a power cut may leave under its old name"
)]
fn make_room(path: &Path) -> io::Result<()> {
    if is_as_written(path) != Some(false) || std::fs::metadata(path)?.len() == 0 {
        return Ok(());
    }
    let other = |number: u32| PathBuf::from(format!("{}.old{number}", path.display()));
    let free = (1..=KEPT_MAX).map(other).find(|other| !other.exists());
    let free = free.ok_or_else(|| io::Error::other("there are 1,000 older ones beside it"))?;
    std::fs::rename(path, &free)?;
    output::note(&format!("{} was there and is kept as {}", path.display(), free.display()));
    Ok(())
}
