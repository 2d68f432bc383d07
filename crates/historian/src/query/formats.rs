//! Samples as they are exported: as tables in Arrow and Parquet, which carry the kind of every value, so that what is written reads
//! back as the same samples. What is not here: the text formats of samples, which are the doors'.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use tidemill_core::{Bus, Column, SampleBatch};
pub(crate) use tidemill_formats::{PIECE_BYTES, TableEncoder, of_table, slices};
use tidemill_lake::ScanBatch;

use super::columns::{EXPORT, Shape};
use super::names::Names;

/// Samples of some signals as rows of the table that is exported.
pub(crate) struct Exported(Shape);

impl Exported {
    pub(crate) fn new(names: Arc<Names>, bus: Arc<dyn Bus>) -> Result<Exported, ArrowError> {
        Ok(Exported(Shape::new(EXPORT.to_vec(), names, bus)?))
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        self.0.schema()
    }

    /// Rows of signals that are not among the names are left out.
    pub(crate) fn rows(&mut self, batch: &SampleBatch) -> Result<RecordBatch, ArrowError> {
        self.0.batch(&ScanBatch {
            samples: batch.clone(),
            received: Column::Same(None),
            source: Column::Same(Default::default()),
        })
    }
}
