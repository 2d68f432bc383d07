//! How tables are spelled in each format. Everything is written piece by piece in bounded memory. What is not here: what the
//! rows are, and how bytes are read back (`decode`).

mod binary;
mod csv;
mod json;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use tidemill_core::Format;

use crate::width::largest;

/// A piece is handed over when it has grown to this.
pub const PIECE_BYTES: usize = 256 << 10;
/// How many rows are written before the size of the piece is looked at.
const STEP_ROWS: usize = 2_048;

/// How long the rows written at once may be; more than ordinary rows ever are.
const SLICE_BYTES: usize = 4 << 20;

/// Writes a table.
pub trait TableEncoder: Send {
    /// Before all rows.
    ///
    /// # Errors
    /// A type that the format has no place for.
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), ArrowError>;
    /// Some rows.
    ///
    /// # Errors
    /// A value that the format has no place for.
    fn rows(&mut self, batch: &RecordBatch) -> Result<(), ArrowError>;
    /// After all rows.
    ///
    /// # Errors
    /// What was to be written at the end cannot be.
    fn end(&mut self) -> Result<(), ArrowError>;
    /// What has been written since the last call.
    fn written(&mut self) -> &mut Vec<u8>;
}

/// The encoder of a format.
pub fn of_table(format: Format) -> Box<dyn TableEncoder> {
    match format {
        Format::Json => Box::new(json::Whole::default()),
        Format::JsonLines => Box::new(json::Lines::default()),
        Format::Csv => Box::new(csv::Csv::default()),
        Format::Arrow => Box::new(binary::ArrowStream::default()),
        Format::Parquet => Box::new(binary::ParquetFile::default()),
    }
}

/// The batch in slices of at most some thousand rows, and of fewer where rows are so long that these would be a large piece.
pub fn slices(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> + '_ {
    let rows = batch.num_rows();
    let widest: usize = batch.columns().iter().map(|column| largest(column)).sum();
    let step = (SLICE_BYTES / widest.max(1)).clamp(1, STEP_ROWS);
    (0..rows).step_by(step).map(move |from| batch.slice(from, step.min(rows - from)))
}
