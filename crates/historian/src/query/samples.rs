//! The table `samples`: everything acknowledged, within the reader's scope. Filters on signal and time choose what is
//! scanned; rows come sorted by signal and time. What is not here: retrieval modes ([`super::modes`]).

use std::sync::{Arc, Mutex, PoisonError};

use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use tidemill_core::{Bus, ReadScope};

use super::columns::{SAMPLES, SIGNAL, Shape, TIME};
use super::errors::from_store;
use super::names::Names;
use super::pool::ScanAccount;
use super::push::{self, Times};
use super::relation::{BatchIterator, Open, Partitions, Relation, Request};
use tidemill_lake::{Scan, ScanSpec, View};

/// About how many rows a batch of a scan has: large enough that a batch's own cost vanishes, small enough that its
/// columns stay in the second-level cache.
pub(crate) const BATCH_ROWS: usize = 32_768;

/// The table.
pub(crate) struct Samples {
    pub(crate) view: Arc<dyn View>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) scope: ReadScope,
    /// How many threads may scan for one query.
    pub(crate) partitions: usize,
}

impl Relation for Samples {
    fn schema(&self) -> SchemaRef {
        SAMPLES.clone()
    }

    fn path_column(&self) -> Option<&'static str> {
        Some("signal")
    }

    fn described(&self) -> (&'static str, Vec<&'static str>) {
        (
            super::system::SAMPLES_ARE,
            super::columns::SAMPLE_COLUMNS.iter().map(|column| column.description).collect(),
        )
    }

    fn takes(&self, filter: &Expr) -> TableProviderFilterPushDown {
        match push::times(filter, "time").is_some() || push::is_about_signal(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        }
    }

    fn scan(&self, request: Request<'_>) -> Result<Partitions> {
        let (names, times) = push::select(request.session, self.bus.as_ref(), &self.scope, request.filters)?;
        let names = Arc::new(names);
        let ordering = by_signal_and_time(&request.wanted);
        if names.len() == 0 || times.is_empty() {
            let nothing: Open = Box::new(|| Ok(Box::new(std::iter::empty())));
            return Ok(Partitions { open: vec![nothing], ordering });
        }
        let account = ScanAccount::of(&request.session.runtime_env().memory_pool);
        let spec = ScanSpec { account: Some(account), ..spec(&names, times, Shape::needs(&request.wanted)) };
        let count = self.partitions.min(names.len());
        let scans = Arc::new(Scans::new(self.view.clone(), spec, count));
        let open = (0..count)
            .map(|number| -> Open {
                let (scans, names) = (scans.clone(), names.clone());
                let (bus, wanted) = (self.bus.clone(), request.wanted.clone());
                Box::new(move || {
                    let mut shape = Shape::new(wanted.clone(), names.clone(), bus.clone())?;
                    let batches = scans.take(number);
                    Ok(Box::new(batches.map(move |batch| {
                        let batch = batch.map_err(from_store)?;
                        shape.batch(&batch).map_err(DataFusionError::from)
                    })) as BatchIterator)
                })
            })
            .collect();
        Ok(Partitions { open, ordering })
    }
}

/// What to ask the store for; who asks says to whom it is told what the scan holds.
pub(crate) fn spec(names: &Names, times: Times, columns: tidemill_lake::Columns) -> ScanSpec {
    ScanSpec {
        signals: Some(names.ids()),
        from: times.from,
        last: times.last,
        columns,
        batch_rows: BATCH_ROWS,
        account: None,
    }
}

/// Rows come by path, then time, as far as both are among the columns wanted.
pub(crate) fn by_signal_and_time(wanted: &[usize]) -> Option<LexOrdering> {
    let place = |column: usize| wanted.iter().position(|wanted| *wanted == column);
    ordering(&[("signal", place(SIGNAL)), ("time", place(TIME))])
}

/// Rows come by these columns, as far as they stand somewhere without a break.
pub(crate) fn ordering(columns: &[(&str, Option<usize>)]) -> Option<LexOrdering> {
    let up = SortOptions { descending: false, nulls_first: false };
    let sorts = columns.iter().map_while(|(name, place)| {
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(name, (*place)?));
        Some(PhysicalSortExpr::new(column, up))
    });
    LexOrdering::new(sorts)
}

/// The scans of one table in one plan. The store divides them; each partition takes its own. A partition that is
/// executed once more (a plan may do that) scans again.
pub(crate) struct Scans {
    view: Arc<dyn View>,
    spec: ScanSpec,
    count: usize,
    waiting: Mutex<Option<Vec<Option<Scan>>>>,
}

impl Scans {
    pub(crate) fn new(view: Arc<dyn View>, spec: ScanSpec, count: usize) -> Scans {
        Scans { view, spec, count, waiting: Mutex::new(None) }
    }

    /// Blocking.
    pub(crate) fn take(&self, number: usize) -> Scan {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = waiting.get_or_insert_with(|| self.divide()).get_mut(number).map(Option::take);
        drop(waiting);
        match taken {
            Some(Some(scan)) => scan,
            Some(None) => self.divide().into_iter().nth(number).flatten().unwrap_or_else(nothing),
            None => nothing(),
        }
    }

    fn divide(&self) -> Vec<Option<Scan>> {
        self.view.scan(&self.spec, self.count).into_iter().map(Some).collect()
    }
}

fn nothing() -> Scan {
    Box::new(std::iter::empty())
}
