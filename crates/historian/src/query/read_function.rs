//! The table function `read(pattern, from, to, mode, every)`: the retrieval modes in SQL. What is not here: the modes
//! themselves ([`super::modes`]).

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use tidemill_core::{Bus, Column, Pattern, ReadMode, ReadQuery, ReadScope, parse_rfc3339};
use tidemill_dialect::{bad, from_problem};

use super::columns::{EXPORT, SAMPLES, Shape};
use super::modes;
use super::names::Names;
use super::pool::ScanAccount;
use super::relation::{BatchIterator, Open, Partitions, Relation, Request, Table};
use super::samples::by_signal_and_time;
use tidemill_lake::{ScanBatch, View};

/// Its name.
pub(crate) const READ: &str = "read";

/// How it is called and what it gives.
pub(crate) const READ_IS: (&str, &str) = (
    "read(pattern, from, to, mode, every)",
    "in FROM: the samples of the signals of a pattern, in a retrieval mode",
);

/// The modes, with what the reference page says of them.
pub(crate) const MODES: [(&str, &str); 3] = [
    ("raw", "the samples as they are, from `from` (included) to `to` (excluded); the default"),
    (
        "points",
        "at most six a pixel: first, smallest, largest, last, and where a gap begins and ends; `every` is how many pixels there are",
    ),
    ("last", "of each signal the last sample at or before `to`, whatever its age"),
];

/// What to do where a value of each interval is wanted.
const BINS: &str = "For a value of each interval, group by date_bin(INTERVAL '1 minute', time)";

/// The function.
pub(crate) struct Read {
    pub(crate) view: Arc<dyn View>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) scope: ReadScope,
}

impl std::fmt::Debug for Read {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(READ)
    }
}

impl TableFunctionImpl for Read {
    fn call_with_args(&self, call: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let query = question(call.exprs())?;
        modes::check(&query).map_err(from_problem)?;
        let names = Arc::new(Names::of_patterns(self.bus.as_ref(), &self.scope, &query.patterns));
        let rows = Retrieved {
            view: self.view.clone(),
            bus: self.bus.clone(),
            scope: self.scope.clone(),
            names,
            query,
        };
        Ok(Arc::new(Table(Arc::new(rows))))
    }
}

fn question(arguments: &[Expr]) -> Result<ReadQuery> {
    let usage = || bad("read needs a pattern, and then as needed: from, to, mode, every");
    if arguments.is_empty() || arguments.len() > 5 {
        return Err(usage());
    }
    // Parameters that stand open, for what an answer would look like: no sample is meant yet.
    let pixels_open = match arguments {
        [.., mode, pixels] if arguments.len() == 5 => {
            is_null(pixels) && text_of(mode).is_ok_and(|mode| mode == "points")
        }
        _ => false,
    };
    if arguments.iter().any(is_open) || arguments.first().is_some_and(is_null) || pixels_open {
        let (from, to) = (i64::MIN, i64::MAX);
        return Ok(ReadQuery { patterns: Vec::new(), from, to, mode: ReadMode::Raw, limit: None });
    }
    let text = |number: usize| arguments.get(number).map(text_of).transpose();
    let pattern = text(0)?.ok_or_else(usage)?;
    let pattern = Pattern::new(&pattern).map_err(|error| from_problem(error.into()))?;
    let time = |number: usize, otherwise: i64| {
        arguments.get(number).map_or(Ok(otherwise), |part| time_of(part, otherwise))
    };
    let (from, to) = (time(1, i64::MIN)?, time(2, i64::MAX)?);
    let mode_text = match arguments.get(3) {
        Some(Expr::Literal(value, _)) if value.is_null() => None,
        _ => text(3)?,
    };
    let every = arguments.get(4).filter(|part| !matches!(part, Expr::Literal(value, _) if value.is_null()));
    let mode = match (mode_text.as_deref().unwrap_or("raw"), every) {
        ("raw", None) => ReadMode::Raw,
        ("last", None) => ReadMode::Last,
        ("points", Some(count)) => ReadMode::Points { points: count_of(count)? },
        ("points", None) => {
            return Err(bad("the mode 'points' needs its fifth argument: how many pixels there are"));
        }
        (mode @ ("raw" | "last"), Some(_)) => {
            return Err(bad(format!(
                "the mode '{mode}' takes no fifth argument: only 'points' has pixels. {BINS}"
            )));
        }
        (other, _) => {
            let names: Vec<&str> = MODES.iter().map(|(name, _)| *name).collect();
            return Err(bad(format!("'{other}' is no mode: there are {}. {BINS}", names.join(", "))));
        }
    };
    Ok(ReadQuery { patterns: vec![pattern], from, to, mode, limit: None })
}

fn is_open(part: &Expr) -> bool {
    match part {
        Expr::Placeholder(_) => true,
        Expr::Cast(cast) => is_open(&cast.expr),
        _ => false,
    }
}

fn is_null(part: &Expr) -> bool {
    match part {
        Expr::Literal(value, _) => value.is_null(),
        Expr::Cast(cast) => is_null(&cast.expr),
        _ => false,
    }
}

fn literal(part: &Expr) -> Result<&ScalarValue> {
    match part {
        Expr::Literal(value, _) => Ok(value),
        other => {
            Err(bad(format!("'{other}' is no constant: the arguments of read are worked out before it runs")))
        }
    }
}

fn text_of(part: &Expr) -> Result<String> {
    let value = literal(part)?;
    value
        .try_as_str()
        .flatten()
        .map(str::to_owned)
        .ok_or_else(|| bad(format!("'{value}' should be text in quotes")))
}

fn time_of(part: &Expr, otherwise: i64) -> Result<i64> {
    let value = literal(part)?;
    if value.is_null() {
        return Ok(otherwise);
    }
    if let Some(text) = value.try_as_str().flatten() {
        return parse_rfc3339(text).map_err(|error| from_problem(error.into()));
    }
    match value.cast_to(&super::columns::time_type()) {
        Ok(ScalarValue::TimestampNanosecond(Some(at), _)) => Ok(at),
        _ => Err(bad(format!(
            "'{value}' is no time: write it like '2026-03-01T06:00:00Z', or now() - INTERVAL '1 hour'"
        ))),
    }
}

fn count_of(part: &Expr) -> Result<u32> {
    let value = literal(part)?;
    match value.cast_to(&arrow::datatypes::DataType::UInt32) {
        Ok(ScalarValue::UInt32(Some(count))) => Ok(count),
        _ => Err(bad(format!("'{value}' is no number of pixels"))),
    }
}

/// The samples that a call means.
struct Retrieved {
    view: Arc<dyn View>,
    bus: Arc<dyn Bus>,
    scope: ReadScope,
    names: Arc<Names>,
    query: ReadQuery,
}

impl Relation for Retrieved {
    fn schema(&self) -> SchemaRef {
        // The columns that an export has: `received` and `source` are of `samples` alone.
        static SCHEMA: std::sync::OnceLock<SchemaRef> = std::sync::OnceLock::new();
        let fields =
            || EXPORT.iter().filter_map(|column| SAMPLES.fields().get(*column).cloned()).collect::<Vec<_>>();
        SCHEMA.get_or_init(|| Arc::new(arrow::datatypes::Schema::new(fields()))).clone()
    }

    fn path_column(&self) -> Option<&'static str> {
        Some("signal")
    }

    fn takes(&self, _: &Expr) -> TableProviderFilterPushDown {
        TableProviderFilterPushDown::Unsupported
    }

    fn scan(&self, request: Request<'_>) -> Result<Partitions> {
        let wanted: Vec<usize> =
            request.wanted.iter().filter_map(|column| EXPORT.get(*column).copied()).collect();
        let ordering = by_signal_and_time(&wanted);
        let (view, bus, scope) = (self.view.clone(), self.bus.clone(), self.scope.clone());
        let (names, query) = (self.names.clone(), self.query.clone());
        let account = ScanAccount::of(&request.session.runtime_env().memory_pool);
        let open: Open = Box::new(move || {
            let mut shape = Shape::new(wanted.clone(), names.clone(), bus.clone())?;
            let samples = modes::read(&view, bus.as_ref(), &scope, &names, &query, &account);
            Ok(Box::new(samples.map(move |batch| {
                let batch = ScanBatch {
                    samples: batch.map_err(from_problem)?,
                    received: Column::Same(None),
                    source: Column::Same(Default::default()),
                };
                shape.batch(&batch).map_err(DataFusionError::from)
            })) as BatchIterator)
        });
        Ok(Partitions { open: vec![open], ordering })
    }
}

/// The columns of what it gives, for the reference page.
#[cfg(test)]
pub(crate) fn columns() -> impl Iterator<Item = &'static super::columns::SampleColumn> {
    EXPORT.iter().filter_map(|column| super::columns::SAMPLE_COLUMNS.get(*column))
}
