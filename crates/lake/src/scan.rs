//! Where the lake and the historian meet: the lake gives consistent views and scans them; the historian turns scans into
//! answers. What does not live here: anything that either of them does.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use tidemill_core::{Column, ColumnKind, SampleBatch, Seq, SignalId, SourceId, TableSpec};

use crate::Error;

/// The store, as the historian sees it.
pub trait SampleSource: Send + Sync {
    /// A consistent view of everything applied so far: one version of the table and the buffer above it. It stays
    /// whole while flushes and merges go on; files it needs are not removed before it is dropped.
    fn view(&self) -> Arc<dyn View>;
    /// Up to where the log is in what a new view shows.
    fn applied(&self) -> Seq;
    /// Blocks until `applied` has reached `seq`, or the deadline passed (`false`).
    fn wait_applied(&self, seq: Seq, deadline: std::time::Duration) -> bool;
}

/// One consistent state.
pub trait View: Send + Sync {
    /// Scans samples: at most `partitions` scans over disjoint ranges of signals, each sorted by path and time, then
    /// arrival; together everything that was asked for, identical samples once.
    fn scan(&self, spec: &ScanSpec, partitions: usize) -> Vec<Scan>;
    /// The rows of a declared table as Arrow batches in the columns of its spec, newest files last.
    fn scan_table(&self, table: &'static TableSpec, from: i64, last: i64) -> TableScan;
    /// The files of this version, for `sys.files`.
    fn files(&self) -> Vec<FileFact>;
    /// How much memory it keeps that the store has given up since.
    fn kept_bytes(&self) -> usize;
}

/// Blocking; drive it from a thread that may block.
pub type Scan = Box<dyn Iterator<Item = Result<ScanBatch, Error>> + Send>;
/// Blocking; drive it from a thread that may block.
pub type TableScan = Box<dyn Iterator<Item = Result<arrow::array::RecordBatch, Error>> + Send>;

/// What to scan.
#[derive(Clone, Debug)]
pub struct ScanSpec {
    /// Which signals, in the order in which they are wanted (by path); none for all that are not retired.
    pub signals: Option<Arc<[SignalId]>>,
    /// From this time, included.
    pub from: i64,
    /// To this time, included.
    pub last: i64,
    /// Which columns are needed; the others come empty or constant.
    pub columns: Columns,
    /// About how many rows a batch should have.
    pub batch_rows: usize,
    /// Where it is told how much memory the scan holds; none where nobody asks.
    pub account: Option<Arc<dyn Account>>,
}

/// Where a scan says how much memory it holds: files that it is in the midst of, and the plan of which of them it needs.
/// What it has given away is not its own any more.
pub trait Account: std::fmt::Debug + Send + Sync {
    /// So many bytes more; `false` where that is too much, and then the scan ends with [`Error::Memory`] and has taken
    /// nothing.
    fn grow(&self, bytes: usize) -> bool;
    /// So many bytes less.
    fn shrink(&self, bytes: usize);
}

/// Which columns a scan must fill. `signal` and the number of rows are always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The time of the sample.
    pub time: bool,
    /// Its value and the kind of it.
    pub value: bool,
    /// Its quality.
    pub quality: bool,
    /// When it was received.
    pub received: bool,
    /// Who wrote it.
    pub source: bool,
}

impl Columns {
    /// Every column.
    pub const ALL: Columns = Columns { time: true, value: true, quality: true, received: true, source: true };
}

/// Samples of a scan: sorted by path, time, arrival. Columns that were not asked for are empty vectors, or the same
/// for every row.
#[derive(Clone, Debug)]
pub struct ScanBatch {
    /// The samples; its own `received`, `source` and `flags` mean nothing here.
    pub samples: SampleBatch,
    /// The receive time, where it differs from the sample's time by more than a second.
    pub received: Column<Option<i64>>,
    /// Who wrote.
    pub source: Column<SourceId>,
}

/// A file of the table.
#[derive(Clone, Debug)]
pub struct FileFact {
    /// Its path below the table's folder.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// How many samples it holds.
    pub rows: u64,
    /// The first time in it, in nanoseconds since 1970.
    pub from: i64,
    /// The last time in it.
    pub last: i64,
    /// `flush`, `day` or `window`.
    pub level: &'static str,
}

/// The columns in which rows of a declared table come, from the store and from facts alike.
pub fn table_schema(table: &TableSpec) -> SchemaRef {
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
