//! The historian: everything that was acknowledged, kept in open files and found again.
//!
//! What lives here: retrieval modes, SQL, and the lake behind one trait of `core`. What does
//! not: files and what is in memory above them (the lake), names and rights (the bus and the authority answer), durability
//! before the files (that is the journal), any protocol (the faces).
//!
//! Invariants
//! - A query sees everything acknowledged before it began, and only what its scope allows.
//! - With its parts (lake, dialect, formats) the only room with datafusion, arrow and parquet.

mod historian; // the lake and the engine behind the trait of core
mod query; // from scans to answers

pub use historian::{Historian, Settings};
pub use query::{ColumnFile, ColumnText, FunctionNote, Naming, Part, Untimed, functions, fuzz};
pub use tidemill_lake::{Copy, Error, Settings as LakeSettings, TableCopy, inspect, tables};
