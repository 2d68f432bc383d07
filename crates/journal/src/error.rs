//! Why a log cannot be opened. What happens later is told by `core::Busy` and `core::NotDurable`.

use std::io;
use std::path::PathBuf;

use tidemill_core::{Problem, codes};

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it open.
    #[error(
        "the journal in {dir} is open in another process: stop that one, or use the commands that talk to it"
    )]
    Locked {
        /// The folder.
        dir: PathBuf,
    },
    /// A file was written by a later program.
    #[error("{file} has format {format}, and this version reads formats up to {known}")]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format.
        format: u32,
        /// The highest format known here.
        known: u32,
    },
    /// The folder cannot be used.
    #[error(
        "the journal in {dir} cannot be opened, {what} failed ({source}): check the folder's rights and the disk"
    )]
    Io {
        /// The folder.
        dir: PathBuf,
        /// What was being done.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The commit thread could not be started.
    #[error(transparent)]
    Thread(#[from] tidemill_ground::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let code = match &error {
            Error::Locked { .. } => &codes::PLANT_LOCKED,
            Error::Newer { .. } => &codes::NEWER_FORMAT,
            Error::Io { source, .. } => codes::NOT_DURABLE.or_full(source),
            Error::Thread(_) => &codes::NOT_DURABLE,
        };
        Problem::new(code, error.to_string())
    }
}
