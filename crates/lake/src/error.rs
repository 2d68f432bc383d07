//! What can go wrong in this room. Each variant says what failed, on what, and what to do; at the edge it becomes a
//! [`Problem`] with a stable code. What does not live here: wording for doors, which is `core`'s.

use std::path::PathBuf;

use tidemill_core::{Problem, codes};

/// A failure of the historian.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder of the lake could not be read or written.
    #[error("{} could not be {what}: {source}. See that the disk is well and has room; it is tried again by itself", path.display())]
    Disk {
        /// What was tried: `read`, `written`, `opened`, …
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why the disk refused.
        source: std::io::Error,
    },
    /// A file's bytes are not what was written.
    #[error("{file} is damaged in bytes {from}..{to} ({detail})")]
    Damaged {
        /// The file, relative to the lake.
        file: String,
        /// The first byte that is not to be believed.
        from: u64,
        /// The first byte after them.
        to: u64,
        /// What shows it.
        detail: String,
    },
    /// The table's log cannot be understood.
    #[error(
        "the table log entry {file} cannot be understood: {detail}. Restore it from a backup; nothing was changed"
    )]
    Log {
        /// The file, relative to the lake.
        file: String,
        /// Why not.
        detail: String,
    },
    /// A declared table could not be opened; the plant runs without it.
    #[error(
        "the table {table} is closed since the start: {why}. Stop the plant, restore data/lake/tables/{table} from a backup, \
         and start again; until then its new records wait, as long as there is room for them"
    )]
    Closed {
        /// The table.
        table: &'static str,
        /// Why it could not be opened.
        why: String,
    },
    /// A newer version wrote this.
    #[error("{file} has format {found}, and this version reads formats up to {known}")]
    NewerFormat {
        /// The file, relative to the lake.
        file: String,
        /// Its format.
        found: u64,
        /// What is known here.
        known: u64,
    },
    /// Files changed under a rewrite; it is done again.
    #[error("the table changed while it was rewritten; the work is done again by itself")]
    Conflict,
    /// Arrow or Parquet refused to encode or decode, or the disk beneath them to take what they write.
    #[error("{}", told(what, file, source))]
    Format {
        /// What was tried: `encoded` or `decoded`.
        what: &'static str,
        /// The file, relative to the lake.
        file: String,
        /// Why.
        source: parquet::errors::ParquetError,
    },
    /// The journal could not take or give what the historian needs.
    #[error("the journal did not take it: {0}")]
    Journal(Problem),
    /// The plant is stopping, or the work was given up because its asker left.
    #[error("the plant is stopping")]
    Stopping,
    /// It was not done in the time that its caller waits.
    #[error(
        "{what} is not done after {} s: it is recorded and goes on by itself, and nothing is to be sent again",
        waited.as_secs()
    )]
    Unfinished {
        /// What goes on.
        what: &'static str,
        /// How long was waited.
        waited: std::time::Duration,
    },
    /// It stands in the log, and could not be brought into files.
    #[error("{what} is recorded and goes on by itself; it is not in files yet: {why}")]
    Recorded {
        /// What goes on.
        what: &'static str,
        /// Why not yet.
        why: Box<Error>,
    },
    /// A thread could not be started.
    #[error(transparent)]
    Ground(#[from] tidemill_ground::Error),
    /// A scan holds more memory than its asker allows.
    #[error(
        "the rows come from more files at once than there is memory for: ask for less time or fewer signals, or wait \
         until the files are merged"
    )]
    Memory,
    /// Something that is already in the words of a door: bad SQL, a limit of a query.
    #[error("{0}")]
    Told(Problem),
}

/// What the disk refuses to read is told by what reads ([`crate::read::Footer::failed`]): one of its errors that comes by way
/// of Parquet is a write that failed, also where rows of one file were copied into another.
fn told(what: &str, file: &str, source: &parquet::errors::ParquetError) -> String {
    let made = if what == "decoded" { "what is made of " } else { "" };
    match disk_refusal(source) {
        Some(refusal) => {
            format!(
                "{made}{file} could not be written: {refusal}. See that the disk is well and has room; it is tried again by itself"
            )
        }
        None => format!("{file} could not be {what}: {source}"),
    }
}

fn disk_refusal(error: &parquet::errors::ParquetError) -> Option<&std::io::Error> {
    match error {
        parquet::errors::ParquetError::External(source) => source.downcast_ref(),
        _ => None,
    }
}

impl Error {
    /// What the disk said, where it was the disk that refused.
    fn refusal(&self) -> Option<&std::io::Error> {
        match self {
            Error::Disk { source, .. } => Some(source),
            Error::Format { source, .. } => disk_refusal(source),
            _ => None,
        }
    }

    /// Whether it failed for want of room.
    pub(crate) fn is_full(&self) -> bool {
        self.refusal().is_some_and(|refusal| *codes::INTERNAL.or_full(refusal) == codes::DISK_FULL)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let code = match &error {
            Error::Told(problem) | Error::Journal(problem) => return problem.clone(),
            Error::Damaged { .. } | Error::Log { .. } | Error::Closed { .. } => &codes::DAMAGED,
            Error::NewerFormat { .. } => &codes::NEWER_FORMAT,
            Error::Stopping | Error::Ground(_) => &codes::STOPPING,
            Error::Conflict => &codes::CONFLICT,
            Error::Memory => &codes::QUERY_MEMORY,
            Error::Unfinished { .. } | Error::Recorded { .. } => &codes::UNFINISHED,
            Error::Disk { .. } | Error::Format { .. } => {
                error.refusal().map_or(&codes::INTERNAL, |refusal| codes::INTERNAL.or_full(refusal))
            }
        };
        Problem::new(code, error.to_string())
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Error {
        Error::Told(problem)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use parquet::errors::ParquetError;

    use super::*;

    #[test]
    fn a_write_that_failed_is_called_one() {
        let full = || ParquetError::External(Box::new(std::io::Error::from(std::io::ErrorKind::StorageFull)));
        let odd = || ParquetError::General("an odd page".into());
        let cases = [("encoded", full()), ("decoded", full()), ("encoded", odd()), ("decoded", odd())];
        let told = cases.map(|(what, source)| {
            let problem = Problem::from(Error::Format { what, file: "samples/1.parquet".into(), source });
            format!("{}: {}\n", problem.code.id, problem.detail)
        });
        expect![[r#"
            disk-full: samples/1.parquet could not be written: no storage space. See that the disk is well and has room; it is tried again by itself
            disk-full: what is made of samples/1.parquet could not be written: no storage space. See that the disk is well and has room; it is tried again by itself
            internal: samples/1.parquet could not be encoded: Parquet error: an odd page
            internal: samples/1.parquet could not be decoded: Parquet error: an odd page
        "#]]
        .assert_eq(&told.concat());
    }
}
