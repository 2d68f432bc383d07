//! The newest entries, read from the files alone: for a plant that does not run, or whose table of the audit is damaged; and
//! whether any of them tells of tokens whose file is missing. What does not live here: whether they are sound (`verify`).

use std::path::Path;

use serde_json::Value;
use tidemill_ground::Disk;

use super::line::{seq_of, split};
use super::mark::Marks;
use super::members::{Members, members};
use super::verify::{file_bytes, files, has_tokens};
use super::{AUDIT_TABLE, FOLDER};
use crate::error::Error;
use crate::store;

/// At most so many entries, the newest first, each a value for every column of [`AUDIT_TABLE`]. Lines that are none are
/// left out: [`super::verify()`] names them.
///
/// # Errors
/// A file cannot be read at all, or was written by a newer version.
pub fn latest(disk: &dyn Disk, data_dir: &Path, count: usize) -> Result<Vec<Vec<Value>>, Error> {
    let dir = data_dir.join(FOLDER);
    let Members { chain, .. } = members(disk, &dir, Marks::read(disk, &dir)?, files(disk, &dir)?)?;
    let (mut rows, mut before) = (Vec::new(), u64::MAX);
    for first in chain.into_iter().rev() {
        let bytes = file_bytes(disk, &dir, first)?;
        for line in bytes.rsplit(|byte| *byte == b'\n') {
            if rows.len() >= count {
                return Ok(rows);
            }
            // What stands behind the entry that the next file begins with was never durable.
            let seq = split(line).and_then(|(body, _)| seq_of(body)).filter(|seq| *seq < before);
            if let Some((seq, row)) = seq.and_then(|seq| Some((seq, row_of(line)?))) {
                before = seq;
                rows.push(row);
            }
        }
    }
    Ok(rows)
}

/// Whether the file of the tokens is there, or none was ever made as far as the entries tell.
///
/// # Errors
/// It is missing; or a file cannot be read at all, or was written by a newer version.
pub fn check_tokens(disk: &dyn Disk, data_dir: &Path) -> Result<(), Error> {
    let dir = data_dir.join(FOLDER);
    if has_tokens(disk, &dir)? {
        return Ok(());
    }
    let Members { chain, .. } = members(disk, &dir, Marks::read(disk, &dir)?, files(disk, &dir)?)?;
    for first in chain {
        if file_bytes(disk, &dir, first)?.split(|byte| *byte == b'\n').any(makes_token) {
            return Err(Error::TokensMissing { path: data_dir.join(store::FILE) });
        }
    }
    Ok(())
}

/// Whether a line says that a token was made: the file was on the disk before it.
fn makes_token(line: &[u8]) -> bool {
    const CREATE: &str = "token.create";
    // Looked for before parsing: a chain has millions of entries.
    line.windows(CREATE.len()).any(|window| window == CREATE.as_bytes())
        && serde_json::from_slice::<Value>(line)
            .is_ok_and(|entry| entry["action"] == CREATE && entry["result"] == "done")
}

fn row_of(line: &[u8]) -> Option<Vec<Value>> {
    let entry: Value = serde_json::from_slice(line).ok()?;
    let cell = |name: &str| match entry.get(name) {
        Some(detail) if name == "detail" => Value::from(detail.to_string()),
        Some(value) => value.clone(),
        None => Value::Null,
    };
    Some(AUDIT_TABLE.columns.iter().map(|column| cell(column.name)).collect())
}
