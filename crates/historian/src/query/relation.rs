//! Between DataFusion and things that can be scanned: one provider, one partition stream, for all tables of the house.
//! Scans block, so each runs on a thread for blocking work and hands over by a bounded channel; while nobody takes the
//! answer it holds no thread, and who drops the stream stops the scan at its next batch. What is not here: what any table holds.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;

use super::meter::Meter;
use super::pace::Pace;

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

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema.clone(), AHEAD_BATCHES_MAX);
        let pace = Meter::of(context.session_config().options()).map(|meter| meter.pace.clone());
        builder.spawn(scan(self.open.clone(), builder.tx(), pace));
        builder.build()
    }
}

/// Where a scan was left: what it has yet, and the batch that was not taken.
type Left = (BatchIterator, Option<Result<RecordBatch>>);

/// Scans on a thread; while nobody takes the query's answer, on none.
async fn scan(open: Arc<Open>, sender: Sender<Result<RecordBatch>>, pace: Option<Arc<Pace>>) -> Result<()> {
    let mut batches = None;
    loop {
        let (again, to, asked) = (open.clone(), sender.clone(), pace.clone());
        let scanning = SpawnedTask::spawn_blocking(move || {
            let batches = batches.map_or_else(|| again(), Ok)?;
            Ok(forward(batches, &to, asked.as_deref()))
        });
        let scanned: Result<_> =
            scanning.join_unwind().await.map_err(|error| exec_datafusion_err!("{error}"))?;
        let Some((left, batch)) = scanned? else { return Ok(()) };
        if let Some(pace) = &pace {
            pace.until_taken().await;
        }
        if let Some(batch) = batch {
            let failed = batch.is_err();
            if sender.send(batch).await.is_err() || failed {
                return Ok(());
            }
        }
        batches = Some(left);
    }
}

/// Hands batches over until the query's answer is idle; none is left at the end. Blocking.
fn forward(
    mut batches: BatchIterator,
    sender: &Sender<Result<RecordBatch>>,
    pace: Option<&Pace>,
) -> Option<Left> {
    loop {
        if pace.is_some_and(Pace::rests) {
            return Some((batches, None));
        }
        let batch = batches.next()?;
        let failed = batch.is_err();
        let room = Handle::current().block_on(async {
            let idle = async {
                match pace {
                    Some(pace) => pace.until_idle().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                room = sender.reserve() => Some(room),
                () = idle => None,
            }
        });
        match room {
            Some(Ok(room)) => room.send(batch),
            Some(Err(_)) => return None,
            None => return Some((batches, Some(batch))),
        }
        if failed {
            return None;
        }
    }
}
