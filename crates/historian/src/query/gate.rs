//! Gates around the operators that repeat rows (joins, windows, unnesting): a long value that is repeated for each row of
//! a batch is memory that no pool is asked for. Rows enter in batches of bounded length and with values of bounded
//! width, what leaves is charged for as long as it lives, and each batch asks whether the query may go on, and waits while
//! nobody takes its answer. What is not here: operators that hold rows, which ask the pool themselves.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use tidemill_formats::largest;

use super::meter::{Meter, bytes_of, is_of_any_length, too_much};

/// Operators that give each row at most once, or ask the pool for what they repeat. Whatever is not named here has gates.
const HARMLESS: [&str; 22] = [
    "AggregateExec",
    "AnalyzeExec",
    "CoalesceBatchesExec",
    "CoalescePartitionsExec",
    "CooperativeExec",
    "DataSourceExec",
    "EmptyExec",
    "ExplainExec",
    "FilterExec",
    "GlobalLimitExec",
    "InterleaveExec",
    "LocalLimitExec",
    "PartialSortExec",
    "PlaceholderRowExec",
    "ProjectionExec",
    "RecursiveQueryExec",
    "RepartitionExec",
    "ScalarSubqueryExec",
    "SortExec",
    "SortPreservingMergeExec",
    "StreamingTableExec",
    "UnionExec",
];

/// Operators that make rows out of nothing. Scans look after their pace themselves.
const ENDLESS: [&str; 2] = ["LazyMemoryExec", "WorkTableExec"];

/// Puts the gates in.
pub(crate) fn gated(plan: Arc<dyn ExecutionPlan>, meter: &Arc<Meter>) -> Result<Arc<dyn ExecutionPlan>> {
    let gated = plan.transform_up(|operator| {
        let name = operator.name();
        if ENDLESS.contains(&name) {
            return Ok(Transformed::yes(Gate::before(operator, Way::From, meter)));
        }
        if HARMLESS.contains(&name) || operator.children().is_empty() {
            return Ok(Transformed::no(operator));
        }
        let way = match name {
            "UnnestExec" => Way::IntoLists,
            "WindowAggExec" => Way::IntoAll,
            _ => Way::Into,
        };
        let children = operator.children().into_iter().map(|child| Gate::before(child.clone(), way, meter));
        let children: Vec<_> = children.collect();
        let operator = operator.replace_children(children, recomputed())?;
        Ok(Transformed::yes(Gate::before(operator, Way::OutOf, meter)))
    });
    Ok(gated?.data)
}

fn recomputed() -> ReplaceChildrenOptions {
    ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute)
}

/// What a gate looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Rows that may be repeated for each row of a batch.
    Into,
    /// The same, all of them held until the end.
    IntoAll,
    /// Rows that are repeated for each item of their lists.
    IntoLists,
    /// Rows that were made.
    OutOf,
    /// Rows that come from no other operator.
    From,
}

/// An operator that changes nothing.
#[derive(Debug)]
struct Gate {
    inner: Arc<dyn ExecutionPlan>,
    way: Way,
    meter: Arc<Meter>,
}

impl Gate {
    fn before(inner: Arc<dyn ExecutionPlan>, way: Way, meter: &Arc<Meter>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Gate { inner, way, meter: meter.clone() })
    }
}

impl DisplayAs for Gate {
    fn fmt_as(&self, _: DisplayFormatType, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Gate")
    }
}

impl ExecutionPlan for Gate {
    fn name(&self) -> &'static str {
        "Gate"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.inner.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.inner]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(inner), true) => Ok(Gate::before(inner, self.way, &self.meter)),
            _ => internal_err!("a gate stands above one operator"),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, recomputed())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (way, meter) = (self.way, self.meter.clone());
        let rows_max = context.session_config().batch_size();
        let held = MemoryConsumer::new("gate").register(context.memory_pool());
        let inner = self.inner.execute(partition, context)?;
        let schema = inner.schema();
        let pace = meter.pace.clone();
        // While nobody takes the answer nothing works for it.
        let inner = inner.and_then(move |batch| {
            let pace = pace.clone();
            async move {
                pace.until_taken().await;
                Ok(batch)
            }
        });
        let watched = inner.and_then(move |batch| {
            std::future::ready(pass(&batch, way, rows_max, &meter, &held).map(|()| batch))
        });
        // An operator that repeats makes at least as many rows as it was given at once.
        let bounded = watched.map_ok(move |batch| {
            let rows = batch.num_rows();
            let slices: Vec<_> = match way {
                Way::OutOf | Way::From => vec![Ok(batch)],
                _ => (0..rows)
                    .step_by(rows_max)
                    .map(|from| Ok(batch.slice(from, rows_max.min(rows - from))))
                    .collect(),
            };
            stream::iter(slices)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, bounded.try_flatten().fuse())))
    }
}

/// Lets a batch pass, or says why not.
fn pass(
    batch: &RecordBatch,
    way: Way,
    rows_max: usize,
    meter: &Meter,
    held: &MemoryReservation,
) -> Result<()> {
    meter.go_on()?;
    let long = || batch.columns().iter().filter(|column| is_of_any_length(column.data_type()));
    let wide = || long().map(|column| largest(column)).sum::<usize>();
    match way {
        Way::Into => {
            meter.borrow(wide().saturating_mul(rows_max), "a long value that is joined to many rows")?;
        }
        Way::IntoLists => {
            let lists = long().filter(|column| matches!(column.data_type(), DataType::List(_)));
            let items = lists.map(|list| list.as_list::<i32>().values().len()).max().unwrap_or_default();
            meter.borrow(wide().saturating_mul(items), "a long value beside a list")?;
        }
        Way::IntoAll => {
            // A window may give a value of any of its rows to all of them.
            let bytes: usize = batch.columns().iter().map(|column| bytes_of(column)).sum();
            let repeated = wide().saturating_mul(batch.num_rows());
            held.try_grow(bytes.saturating_add(repeated)).map_err(|_| too_much("a window"))?;
        }
        Way::From => {}
        Way::OutOf => {
            for column in long() {
                meter.charge(column, bytes_of(column), "joining")?;
            }
        }
    }
    Ok(())
}
