//! Where the two halves of this room meet: the store gives consistent views and scans them; the query side turns scans
//! into answers. Neither knows more of the other than this page.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use tidemill_core::{Column, ColumnKind, SampleBatch, Seq, SignalId, SourceId, TableSpec};

use crate::Error;

/// The store, as the query side sees it.
pub(crate) trait SampleSource: Send + Sync {
    /// A consistent view of everything applied so far: one version of the table and the buffer above it. It stays
    /// whole while flushes and merges go on; files it needs are not removed before it is dropped.
    fn view(&self) -> Arc<dyn View>;
    /// Up to where the log is in what a new view shows.
    fn applied(&self) -> Seq;
    /// Blocks until `applied` has reached `seq`, or the deadline passed (`false`).
    fn wait_applied(&self, seq: Seq, deadline: std::time::Duration) -> bool;
}

/// One consistent state.
pub(crate) trait View: Send + Sync {
    /// Scans samples: at most `partitions` scans over disjoint ranges of signals, each sorted by path and time, then
    /// arrival; together everything that was asked for, identical samples once.
    fn scan(&self, spec: &ScanSpec, partitions: usize) -> Vec<Scan>;
    /// The rows of a declared table as Arrow batches in the columns of its spec, newest files last.
    fn scan_table(&self, table: &'static TableSpec, from: i64, last: i64) -> TableScan;
    /// The files of this version, for `sys.files`.
    fn files(&self) -> Vec<FileFact>;
}

/// Blocking; drive it from a thread that may block.
pub(crate) type Scan = Box<dyn Iterator<Item = Result<ScanBatch, Error>> + Send>;
/// Blocking; drive it from a thread that may block.
pub(crate) type TableScan = Box<dyn Iterator<Item = Result<arrow::array::RecordBatch, Error>> + Send>;

/// What to scan.
#[derive(Clone, Debug)]
pub(crate) struct ScanSpec {
    /// Which signals, in the order in which they are wanted (by path); none for all that are not retired.
    pub(crate) signals: Option<Arc<[SignalId]>>,
    /// From this time, included.
    pub(crate) from: i64,
    /// To this time, included.
    pub(crate) last: i64,
    /// Which columns are needed; the others come empty or constant.
    pub(crate) columns: Columns,
    /// About how many rows a batch should have.
    pub(crate) batch_rows: usize,
}

/// Which columns a scan must fill. `signal` and the number of rows are always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) time: bool,
    pub(crate) value: bool,
    pub(crate) quality: bool,
    pub(crate) received: bool,
    pub(crate) source: bool,
}

impl Columns {
    pub(crate) const ALL: Columns =
        Columns { time: true, value: true, quality: true, received: true, source: true };
}

/// Samples of a scan: sorted by path, time, arrival. Columns that were not asked for are empty vectors, or the same
/// for every row.
#[derive(Clone, Debug)]
pub(crate) struct ScanBatch {
    /// The samples; its own `received`, `source` and `flags` mean nothing here.
    pub(crate) samples: SampleBatch,
    /// The receive time, where it differs from the sample's time by more than a second.
    pub(crate) received: Column<Option<i64>>,
    /// Who wrote.
    pub(crate) source: Column<SourceId>,
}

/// A file of the table.
#[derive(Clone, Debug)]
pub(crate) struct FileFact {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) from: i64,
    pub(crate) last: i64,
    /// `flush`, `day` or `window`.
    pub(crate) level: &'static str,
}

/// The columns in which rows of a declared table come, from the store and from facts alike.
pub(crate) fn table_schema(table: &TableSpec) -> SchemaRef {
    let kind = |kind: ColumnKind| match kind {
        ColumnKind::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        ColumnKind::Float => DataType::Float64,
        ColumnKind::Int => DataType::Int64,
        ColumnKind::Bool => DataType::Boolean,
        ColumnKind::Text => DataType::Utf8,
    };
    let fields = table.columns.iter().map(|column| Field::new(column.name, kind(column.kind), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
