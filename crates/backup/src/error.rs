//! What can go wrong with a backup, and where.

use std::fmt;
use std::io;
use std::path::PathBuf;

use tidemill_core::{Problem, codes};

use crate::Hash;

/// Something in a backup that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The backup.
    pub file: PathBuf,
    /// Which file of the plant; empty where it is the backup itself.
    pub path: String,
    /// At which byte of the backup.
    pub at: u64,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} is damaged at byte {}", self.file.display(), self.at)?;
        if !self.path.is_empty() {
            write!(out, ", in {}", self.path)?;
        }
        write!(out, ": {}", self.what)
    }
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A disk refused.
    #[error("{path} cannot be {what}: {source}")]
    Disk {
        /// What was tried, such as "read".
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The file of the backup cannot be written, or nobody takes its bytes.
    #[error("the backup cannot be written: {0}")]
    Out(io::Error),
    /// It does not end as a backup does.
    #[error("{file} is no whole backup: {why}")]
    NotWhole {
        /// The file.
        file: PathBuf,
        /// What it lacks.
        why: String,
    },
    /// A later version made it.
    #[error("{file} is a backup of format {found}, and this program knows format {known}")]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u64,
        /// The latest known here.
        known: u32,
    },
    /// Not as it was written.
    #[error("{0}")]
    Damaged(Finding),
    /// A backup that this one builds upon was not found.
    #[error("{file} builds upon the backup {base}, which is in none of {looked}")]
    NoBase {
        /// The file.
        file: PathBuf,
        /// The hash of the base's manifest.
        base: Hash,
        /// Where it was looked for.
        looked: String,
    },
    /// The base does not hold what it should.
    #[error("{file} builds upon {base} for {path}, which that does not hold")]
    WrongBase {
        /// The file.
        file: PathBuf,
        /// The base.
        base: PathBuf,
        /// What it should hold.
        path: String,
    },
    /// There is something where the plant would go.
    #[error("{path} is there and not empty")]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// Two would take away what the other writes.
    #[error("another restore into this folder is at work, in {path}")]
    AtWork {
        /// What it writes.
        path: PathBuf,
    },
    /// What was written is not there any more.
    #[error("another program changed {path} while the plant was being restored")]
    Disturbed {
        /// What is missing, or of another length.
        path: PathBuf,
    },
    /// There is too little room.
    #[error("the plant takes {needed_bytes} bytes, and the disk of {path} has {free_bytes} free")]
    NoRoom {
        /// Where it would go.
        path: PathBuf,
        /// Bytes of all files.
        needed_bytes: u64,
        /// Bytes free.
        free_bytes: u64,
    },
    /// There are more files than a manifest may name.
    #[error("the plant has so many files that their list has more than {max} bytes")]
    TooMany {
        /// The limit.
        max: usize,
    },
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let text = error.to_string();
        match error {
            Error::Disk { what: "written" | "made" | "synced" | "renamed" | "removed", source, .. } => {
                Problem::new(codes::FILE_UNWRITABLE.or_full(&source), text)
            }
            Error::Out(source) => Problem::new(codes::FILE_UNWRITABLE.or_full(&source), text),
            Error::Disk { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Problem::new(&codes::FILE_UNREADABLE, text)
                    .hint("Look at the name and the folder: no such file is there")
            }
            Error::Disk { .. } => Problem::new(&codes::FILE_UNREADABLE, text),
            Error::Newer { .. } => Problem::new(&codes::NEWER_FORMAT, text)
                .hint("Use the version that made it, or a later one; nothing was changed"),
            Error::NotWhole { .. } | Error::Damaged(_) => Problem::new(&codes::BACKUP_DAMAGED, text),
            Error::NoBase { .. } | Error::WrongBase { .. } => Problem::new(&codes::BACKUP_BASE, text),
            Error::NotEmpty { .. } => Problem::new(&codes::NOT_EMPTY, text),
            Error::AtWork { .. } => {
                Problem::new(&codes::BUSY, text).hint("Wait until it is at its end, or name another folder")
            }
            Error::Disturbed { .. } => Problem::new(&codes::FILE_UNREADABLE, text)
                .hint("No plant was made: restore again when nothing else works in that folder"),
            Error::NoRoom { .. } => Problem::new(&codes::DISK_FULL, text)
                .hint("Free that much, or restore to another disk; nothing was changed"),
            Error::TooMany { .. } => Problem::new(&codes::TOO_LARGE, text)
                .hint("Let days be merged (storage.merge_every), or keep fewer"),
        }
    }
}
