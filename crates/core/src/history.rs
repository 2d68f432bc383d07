//! The trait of the historian: reading what was acknowledged, as samples or as bytes of a format.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::authority::{Identity, ReadScope};
use crate::batch::SampleBatch;
use crate::bus::Grant;
use crate::commit::Boxed;
use crate::parcel::Seq;
use crate::pattern::Pattern;
use crate::problem::{Problem, codes};
use crate::quality::Quality;
use crate::table::{Facts, TableSpec};
use crate::value::{Value, ValueRef};
use crate::wire::{WireQuery, WireShape};

/// How samples are retrieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMode {
    /// As they are.
    Raw,
    /// At most six a pixel, in order of time: first, smallest, largest and last, so that no extreme is lost; and where
    /// a gap begins and ends, samples without a good value.
    Points {
        /// How many pixels between `from` and `to`.
        points: u32,
    },
    /// The last sample at or before `to`, whatever its age.
    Last,
}

/// A question for samples.
#[derive(Clone, Debug)]
pub struct ReadQuery {
    /// Which signals.
    pub patterns: Vec<Pattern>,
    /// From this time, included, ns UTC.
    pub from: i64,
    /// To this time, excluded; but nothing lies behind the last time that there is, and `i64::MAX` includes it.
    pub to: i64,
    /// How.
    pub mode: ReadMode,
    /// At most so many rows, the oldest of each signal first; none for the budget's.
    pub limit: Option<u64>,
}

impl ReadQuery {
    /// The last time that is included. What has no end ends at `i64::MAX`, and takes the sample there too.
    pub fn last(&self) -> i64 {
        if self.to == i64::MAX { i64::MAX } else { self.to.saturating_sub(1) }
    }
}

/// A query in SQL.
#[derive(Clone, Debug)]
pub struct SqlQuery {
    /// DataFusion's dialect.
    pub text: String,
    /// For `$1`, `$2`, …
    pub parameters: Vec<Value>,
}

/// What a query takes and gives, each as an Arrow IPC stream without rows.
#[derive(Clone, Debug)]
pub struct SqlShape {
    /// Its columns, as the answer in [`Format::Arrow`] begins.
    pub columns: Bytes,
    /// Its parameters `$1`, `$2`, … in order, as far as their types can be told; where parameters were given with the query, none.
    pub parameters: Bytes,
}

/// How bytes are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `{"columns": […], "rows": [[…]…]}`.
    Json,
    /// One JSON object a line.
    JsonLines,
    /// RFC 4180 with a header.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
    /// An Apache Parquet file.
    Parquet,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 5] =
        [Format::Json, Format::JsonLines, Format::Csv, Format::Arrow, Format::Parquet];

    /// As it is written in `format=`.
    pub fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::JsonLines => "ndjson",
            Format::Csv => "csv",
            Format::Arrow => "arrow",
            Format::Parquet => "parquet",
        }
    }

    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::JsonLines => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8",
            Format::Arrow => "application/vnd.apache.arrow.stream",
            Format::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Format> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// What one query may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Wall time.
    pub time: Duration,
    /// Memory of the plan's working state.
    pub memory_bytes: u64,
    /// Rows of the answer.
    pub rows: u64,
}

/// Samples, batch by batch, sorted by path and time.
pub trait Batches: Send {
    /// The next batch; `None` at the end.
    fn next(&mut self) -> Boxed<'_, Option<Result<SampleBatch, Problem>>>;
}

/// Bytes of a format, piece by piece.
pub trait Chunks: Send {
    /// The next piece; `None` at the end.
    fn next(&mut self) -> Boxed<'_, Option<Result<Bytes, Problem>>>;
}

/// A correction of history.
#[derive(Clone, Debug, PartialEq)]
pub enum Amend {
    /// Deletes the samples of the granted signals from `from` (included) to `to` (excluded).
    Delete {
        /// ns UTC.
        from: i64,
        /// ns UTC.
        to: i64,
    },
    /// Deletes the one granted signal: its name and all of its samples, in one parcel.
    Retire,
}

/// How a correction of history ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amended {
    /// Its place in the journal.
    pub seq: Seq,
    /// How many samples it took, of those that had arrived before it; none where they could not be counted, or were not.
    pub samples: Option<u64>,
}

/// A sample of a body of columns.
#[derive(Clone, Copy, Debug)]
pub struct ColumnSample<'a> {
    /// The name as it was written; not yet known to be one.
    pub signal: &'a str,
    /// In ns UTC; none where the server is to stamp.
    pub time: Option<i64>,
    /// The value, of the kind that its columns say.
    pub value: ValueRef<'a>,
    /// Never good without a value.
    pub quality: Quality,
}

/// Who takes the samples of a body of columns.
pub trait SampleSink {
    /// The next sample.
    ///
    /// # Errors
    /// The column it is about, and why nothing more is taken.
    fn sample(&mut self, sample: &ColumnSample<'_>) -> Result<(), (&'static str, Problem)>;
}

/// What a body of columns takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColumnMeasure {
    /// How many samples it holds at most.
    pub rows: u64,
    /// So many bytes are held at once beside the body while it is decoded, at most.
    pub unpacked_bytes: u64,
}

/// The historian.
///
/// Contract: a query sees everything that was acknowledged before it began, and nothing outside its scope.
pub trait History: Send + Sync {
    /// Up to where the log is in what queries see.
    fn applied(&self) -> Seq;
    /// Samples in columns, for engines.
    fn read<'a>(
        &'a self,
        scope: &ReadScope,
        query: ReadQuery,
        budget: Budget,
    ) -> Boxed<'a, Result<Box<dyn Batches>, Problem>>;
    /// Samples as bytes, for doors and exports: columns signal, time, value, kind, quality.
    fn export<'a>(
        &'a self,
        scope: &ReadScope,
        query: ReadQuery,
        format: Format,
        budget: Budget,
    ) -> Boxed<'a, Result<Box<dyn Chunks>, Problem>>;
    /// SQL as bytes.
    fn sql<'a>(
        &'a self,
        scope: &ReadScope,
        query: SqlQuery,
        format: Format,
        budget: Budget,
    ) -> Boxed<'a, Result<Box<dyn Chunks>, Problem>>;
    /// What a statement of PostgreSQL's clients takes and gives; it is not run, and only the types of its parameters matter.
    fn wire_shape<'a>(
        &'a self,
        _scope: &ReadScope,
        _query: WireQuery,
        _budget: Budget,
    ) -> Boxed<'a, Result<WireShape, Problem>> {
        Box::pin(async { Err(unspoken()) })
    }
    /// The answer to a statement of PostgreSQL's clients: whole messages, a `RowDescription` and then a `DataRow` for each row.
    fn wire<'a>(
        &'a self,
        _scope: &ReadScope,
        _query: WireQuery,
        _budget: Budget,
    ) -> Boxed<'a, Result<Box<dyn Chunks>, Problem>> {
        Box::pin(async { Err(unspoken()) })
    }
    /// What a query in SQL takes and gives; it is not run. Parameters may be left out.
    fn sql_shape<'a>(
        &'a self,
        _scope: &ReadScope,
        _query: SqlQuery,
        _budget: Budget,
    ) -> Boxed<'a, Result<SqlShape, Problem>> {
        Box::pin(async { Err(unknown_shape()) })
    }
    /// Rows of parameters for [`History::sql`] in a format; times become text in RFC 3339. Of bounded size, as the body is.
    fn sql_values(&self, _format: Format, _body: Bytes) -> Result<Vec<Vec<Value>>, Problem> {
        Err(unknown_shape())
    }
    /// What an Arrow stream or a Parquet file will take when it is decoded, from its heads alone: nothing is unpacked.
    fn measure(&self, format: Format, body: &Bytes) -> Result<ColumnMeasure, Problem>;
    /// The samples of an Arrow stream or a Parquet file in their order, a few thousand rows at a time. Names are not asked
    /// for, and limits of the doors are the sink's.
    /// Columns: signal, time, value, and optionally quality and kind.
    fn decode(&self, format: Format, body: Bytes, sink: &mut dyn SampleSink) -> Result<(), Problem>;
    /// Corrects history; recorded with old values, who and why.
    fn amend<'a>(
        &'a self,
        who: &Identity,
        grants: &[Grant],
        amend: Amend,
        reason: &str,
    ) -> Boxed<'a, Result<Amended, Problem>>;
    /// Declares a table: of records (with a stream) or of facts.
    fn table(&self, table: &'static TableSpec, facts: Option<Arc<dyn Facts>>);
}

fn unspoken() -> Problem {
    Problem::new(&codes::UNSUPPORTED_FORMAT, "this history does not answer PostgreSQL's clients")
}

fn unknown_shape() -> Problem {
    Problem::new(&crate::problem::codes::UNSUPPORTED_FORMAT, "this history does not describe queries")
}
