//! What can go wrong in the namespace apart from the problems that the contract itself names.

use std::io;
use std::path::PathBuf;

use tidemill_core::{Problem, codes};

/// Why the namespace could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the registry could not be read or written.
    #[error(
        "the registry's file {file} could not be {action}: {source}. Check the disk, and who owns the data folder"
    )]
    File {
        /// Which file.
        file: PathBuf,
        /// What was tried: `read`, `written`.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the registry is not what was written.
    #[error("the registry's file {file} is damaged: {what}. Restore it from a backup; nothing was changed")]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// What does not hold.
        what: &'static str,
    },
    /// The log was told that a snapshot covers more of it than the snapshot that is there.
    #[error(
        "the registry's file {file} {found}, but the journal says that names up to parcel {needed} are kept in it, and lets \
         that part of itself go: numbers of signals would be given out twice. Restore data/bus from a backup that is at \
         least as young. Nothing was changed"
    )]
    Missing {
        /// Which file.
        file: PathBuf,
        /// What is there instead: `is missing`, `ends at parcel 5`.
        found: String,
        /// How far it must reach.
        needed: u64,
    },
    /// A file or record comes from a later version.
    #[error("{what} has format {found}, and this version reads formats up to {known}")]
    Newer {
        /// The file or record.
        what: String,
        /// Its format.
        found: u32,
        /// The newest known.
        known: u32,
    },
    /// The log did not give what it said it has.
    #[error(
        "the journal stopped at parcel {at} of {of} while the registry was read back from it: look at what `tidemill check` \
         says of the journal"
    )]
    Replay {
        /// The last parcel that came.
        at: u64,
        /// The last durable one.
        of: u64,
    },
    /// The thread that follows the log could not be started.
    #[error(transparent)]
    Start(#[from] tidemill_ground::Error),
    /// There are no more numbers for signals or sources.
    #[error("all {max} numbers for {what} are used: numbers are never used twice, so a new plant is needed")]
    Exhausted {
        /// Signals or sources.
        what: &'static str,
        /// How many there are.
        max: u32,
    },
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let code = match &error {
            Error::File { source, .. } => codes::NOT_DURABLE.or_full(source),
            Error::Damaged { .. } | Error::Missing { .. } | Error::Replay { .. } => &codes::DAMAGED,
            Error::Newer { .. } => &codes::NEWER_FORMAT,
            Error::Start(_) => &codes::STOPPING,
            Error::Exhausted { .. } => &codes::SIGNALS_LIMIT,
        };
        Problem::new(code, error.to_string())
    }
}
