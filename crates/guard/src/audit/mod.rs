//! The audit chain: who did what, from where, with what result, in files of its own that people can read and nobody can
//! change unnoticed. The format, and how to check it without this program, stand in docs/spec/audit.md.
//!
//! What lives here: the files, their chain, their mark, their retention. What does not: what is worth an entry (that is
//! for whoever does it), and the table for searching, to which each entry goes as a row through the journal.

mod latest; //    the newest entries, from the files alone
mod line; //      one line and its place in the chain
mod log; //       the queue, and the thread that writes and syncs
mod mark; //      how far the chain has come, for a cut end to be noticed
mod members; //   which files make up the chain, and which are foreign
mod recover; //   where the chain goes on after a start
mod rows; //      the entries' way into the table, each once
mod scan; //      reads files line by line and judges each
mod table; //     the rows for searching
mod verify; //    the whole chain, checked
mod writer; //    files: append, roll, trim

pub use latest::{check_tokens, latest};
pub use rows::missing_entries;
pub use scan::{Finding, What};
pub use table::AUDIT_TABLE;
pub use verify::{Report, Torn, verify};

pub(crate) use line::{hex, unhex};
pub(crate) use log::Log;
pub(crate) use writer::own_entry;

use std::path::{Path, PathBuf};

/// The version of the format that is written here.
pub const VERSION: u64 = 1;
/// The folder of the files, inside the data folder.
pub const FOLDER: &str = "audit";
/// How long the target of an entry may be; longer ones are cut and say so.
pub const TARGET_BYTES_MAX: usize = 1024;
/// How long the detail of an entry may be; a longer one is cut and says so.
pub const DETAIL_BYTES_MAX: usize = 8192;

/// No chain comes so far (a million entries a second for 100,000 years): what states more was not written here.
const SEQ_MAX: u64 = 1 << 62;

fn file_name(first: u64) -> String {
    format!("{first:020}.tma")
}

fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".tma")?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let first: u64 = all_digits.then(|| digits.parse().ok())??;
    (1..SEQ_MAX).contains(&first).then_some(first)
}

/// The mark among the files.
const MARK: &str = "mark";
/// The mark beside their folder.
const BESIDE: &str = "audit.mark";

/// Both marks; the one beside the folder tells of it when it is gone.
pub(crate) fn mark_paths(dir: &Path) -> [PathBuf; 2] {
    [dir.join(MARK), dir.with_file_name(BESIDE)]
}

/// Where files that do not belong to the chain are put.
fn foreign_dir(dir: &Path) -> PathBuf {
    dir.with_file_name("audit.foreign")
}

#[cfg(test)]
mod spec_tests;
#[cfg(test)]
mod tests;
