//! The historian: everything that was acknowledged, kept in open files and found again.
//!
//! What lives here: the buffer in memory, Parquet files under a Delta log of our own writing, merging, corrections,
//! retrieval modes, SQL, and the tables that other engines declare. What does not: names and rights (the bus and the
//! authority answer), durability before the files (that is the journal), any protocol (the faces).
//!
//! Invariants
//! - A query sees everything acknowledged before it began, and only what its scope allows.
//! - Every commit of the table is exact by itself: another reader subtracts nothing.
//! - A sample that was acknowledged is in the table once, also after kill -9 at any point.
//! - Damage is reported by file and range and never served as data; what does not need it is served.
//! - The only room with arrow, parquet and datafusion.

mod error;
mod historian; // both halves behind the trait of core
mod query; // from scans to answers
mod scan; //  where the two halves meet
mod store; // from the journal to files, and scans of both

pub use error::Error;
pub use historian::{Historian, Settings};
pub use query::{ColumnFile, Naming, Part, fuzz};
pub use store::{Settings as StoreSettings, inspect};
