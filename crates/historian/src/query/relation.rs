//! Between DataFusion and things that can be scanned: one provider, one partition stream, for all tables of the house.
//! Scans block, so each runs on a thread for blocking work and hands over by a bounded channel; who drops the stream
//! stops the scan at its next batch. What is not here: what any table holds.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

/// How many batches a scan may be ahead of who reads it.
const AHEAD_BATCHES_MAX: usize = 2;

/// Blocking.
pub(crate) type BatchIterator = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;
/// Opens a partition; called on a thread that may block, each time the partition is executed.
pub(crate) type Open = Box<dyn Fn() -> Result<BatchIterator> + Send + Sync>;

/// What is to be scanned, as DataFusion asks it.
pub(crate) struct Request<'a> {
    pub(crate) session: &'a dyn Session,
    /// The columns wanted, in order.
    pub(crate) wanted: Vec<usize>,
    /// What holds for the rows wanted, as far as the table said that it takes it.
    pub(crate) filters: &'a [Expr],
}

/// How it will be scanned.
pub(crate) struct Partitions {
    pub(crate) open: Vec<Open>,
    pub(crate) ordering: Option<LexOrdering>,
}

/// Something with rows.
pub(crate) trait Relation: Send + Sync + 'static {
    fn schema(&self) -> SchemaRef;
    /// The column of the signal's path as it is now, if there is one.
    fn path_column(&self) -> Option<&'static str> {
        None
    }
    /// What it is, and what each of its columns holds; for catalogues.
    fn described(&self) -> (&'static str, Vec<&'static str>) {
        ("", Vec::new())
    }
    /// What `scan` will do with this filter.
    fn takes(&self, filter: &Expr) -> TableProviderFilterPushDown;
    fn scan(&self, request: Request<'_>) -> Result<Partitions>;
}

/// A relation as a table.
pub(crate) struct Table(pub(crate) Arc<dyn Relation>);

impl fmt::Debug for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Table")
    }
}

/// What `async_trait` makes of `scan`, written out: one trait is not worth a macro crate.
type Planned<'a> = Pin<Box<dyn Future<Output = Result<Arc<dyn ExecutionPlan>>> + Send + 'a>>;

impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn scan<'table, 'session, 'projection, 'filters, 'all>(
        &'table self,
        session: &'session dyn Session,
        projection: Option<&'projection Vec<usize>>,
        filters: &'filters [Expr],
        limit: Option<usize>,
    ) -> Planned<'all>
    where
        'table: 'all,
        'session: 'all,
        'projection: 'all,
        'filters: 'all,
        Self: 'all,
    {
        Box::pin(async move {
            let all = self.0.schema();
            let wanted = projection.cloned().unwrap_or_else(|| (0..all.fields().len()).collect());
            let schema = Arc::new(all.project(&wanted)?);
            let partitions = self.0.scan(Request { session, wanted, filters })?;
            let streams = partitions
                .open
                .into_iter()
                .map(|open| -> Arc<dyn PartitionStream> {
                    Arc::new(Blocking { schema: schema.clone(), open: Arc::new(open) })
                })
                .collect();
            let plan = StreamingTableExec::try_new(schema, streams, None, partitions.ordering, false, limit)?;
            Ok(Arc::new(plan) as Arc<dyn ExecutionPlan>)
        })
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters.iter().map(|filter| self.0.takes(filter)).collect())
    }
}

struct Blocking {
    schema: SchemaRef,
    open: Arc<Open>,
}

impl fmt::Debug for Blocking {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Blocking")
    }
}

impl PartitionStream for Blocking {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema.clone(), AHEAD_BATCHES_MAX);
        let (sender, open) = (builder.tx(), self.open.clone());
        builder.spawn_blocking(move || {
            for batch in open()? {
                let failed = batch.is_err();
                if sender.blocking_send(batch).is_err() || failed {
                    break;
                }
            }
            Ok(())
        });
        builder.build()
    }
}
