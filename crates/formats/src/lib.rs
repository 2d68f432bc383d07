//! Tables as bytes and bytes as samples: CSV, JSON, Arrow streams and Parquet files written, the last two read. What does not
//! live here: questions, names, rights, and whatever is between a table and a sample on the way out.
//!
//! **Invariants**
//! - What is written is written piece by piece, in bounded memory.
//! - A body is measured by its head before anything of it is unpacked, and never trusted.
//! - Arrow and Parquet, and no DataFusion: only the historian knows this crate.

mod cells;
mod decode;
mod encode;
mod width;

pub use cells::{json_string, sql_type};
pub use decode::{ColumnFile, ColumnText, Naming, Part, Untimed, decode, measure, values};
pub use encode::{PIECE_BYTES, TableEncoder, of_table, slices};
pub use width::{largest, view_length};
