//! Files of others: CSV in every dialect, JSON lines, line protocol. Recognised, read, and written as a request; the reader
//! belongs to the binary, which is no library: its files are built into this one as they stand.

#[allow(dead_code, unused_imports, unreachable_pub, clippy::all, reason = "the binary uses the rest")]
#[path = "../../crates/tidemill/src/import/mod.rs"]
mod reader;

pub(crate) fn run(data: &[u8]) {
    reader::exercise(data);
}
