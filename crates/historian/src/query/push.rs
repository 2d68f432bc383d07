//! From filters to what a scan can leave out: a range of times, and which signals. A predicate that looks at nothing but
//! the path is worked out once for each signal instead of once for each row. What is taken here is taken wholly;
//! everything else stays a filter above the scan.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::catalog::Session;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, exec_datafusion_err, internal_err};
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, Like, Operator, Volatility};
use tidemill_core::{Bus, Pattern, ReadScope, SignalPath};

use super::names::Names;

/// Times from the first to the second, both included; empty when they cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) from: i64,
    pub(crate) last: i64,
}

impl Times {
    pub(crate) const ALL: Times = Times { from: i64::MIN, last: i64::MAX };
    const NONE: Times = Times { from: i64::MAX, last: i64::MIN };

    pub(crate) fn and(self, other: Times) -> Times {
        Times { from: self.from.max(other.from), last: self.last.min(other.last) }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.from > self.last
    }
}

/// Whether the filter is about the column `signal` alone, in a way that the paths alone decide.
pub(crate) fn is_about_signal(filter: &Expr) -> bool {
    let mut only = true;
    let mut seen = false;
    let walked = filter.apply(|part| {
        let fits = match part {
            Expr::Column(column) => {
                seen = true;
                column.name == "signal"
            }
            Expr::ScalarFunction(call) => call.func.signature().volatility == Volatility::Immutable,
            Expr::Cast(Cast { field, .. }) => is_text(field.data_type()),
            Expr::Literal(..)
            | Expr::BinaryExpr(_)
            | Expr::Like(_)
            | Expr::SimilarTo(_)
            | Expr::InList(_)
            | Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_) => true,
            _ => false,
        };
        only &= fits;
        Ok(if only { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    walked.is_ok() && only && seen
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The times that a filter about that column of times alone leaves; none for any other filter.
pub(crate) fn times(filter: &Expr, column: &str) -> Option<Times> {
    let is_time = |part: &Expr| is_time(part, column);
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            Some(times(left, column)?.and(times(right, column)?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            match (is_time(left.as_ref()), is_time(right.as_ref())) {
                (true, false) => compared(*op, instant(right)?),
                (false, true) => compared(op.swap()?, instant(left)?),
                _ => None,
            }
        }
        Expr::Between(Between { expr, negated: false, low, high }) if is_time(expr) => {
            Some(Times { from: instant(low)?, last: instant(high)? })
        }
        _ => None,
    }
}

fn compared(op: Operator, at: i64) -> Option<Times> {
    Some(match op {
        Operator::Eq => Times { from: at, last: at },
        Operator::Gt => at.checked_add(1).map_or(Times::NONE, |from| Times { from, ..Times::ALL }),
        Operator::GtEq => Times { from: at, ..Times::ALL },
        Operator::Lt => at.checked_sub(1).map_or(Times::NONE, |last| Times { last, ..Times::ALL }),
        Operator::LtEq => Times { last: at, ..Times::ALL },
        _ => return None,
    })
}

fn is_time(part: &Expr, wanted: &str) -> bool {
    match part {
        Expr::Column(column) => column.name == wanted,
        // Another spelling of UTC is the same instant.
        Expr::Cast(Cast { expr, field }) => {
            matches!(field.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, Some(_)))
                && is_time(expr, wanted)
        }
        _ => false,
    }
}

fn instant(part: &Expr) -> Option<i64> {
    match part {
        Expr::Literal(ScalarValue::TimestampNanosecond(Some(at), Some(_)), _) => Some(*at),
        _ => None,
    }
}

/// What the filters taken mean together.
pub(crate) fn select(
    session: &dyn Session,
    bus: &dyn Bus,
    scope: &ReadScope,
    filters: &[Expr],
) -> Result<(Names, Times)> {
    let (mut left, mut never) = (Times::ALL, false);
    let mut about_signal = Vec::new();
    for filter in filters {
        match (times(filter, "time"), filter) {
            (Some(some), _) => left = left.and(some),
            (None, filter) if is_about_signal(filter) => about_signal.push(filter.clone()),
            // What was taken may have become simpler since: `signal NOT IN ('a', NULL)` is true nowhere.
            (None, Expr::Literal(ScalarValue::Boolean(Some(true)), _)) => {}
            (None, Expr::Literal(ScalarValue::Boolean(_) | ScalarValue::Null, _)) => never = true,
            (None, other) => return internal_err!("the condition {other} was taken and is not known"),
        }
    }
    let candidates = about_signal.iter().find_map(candidates);
    let names = match candidates {
        _ if never => return Ok((Names::of_patterns(bus, scope, &[]), left)),
        Some(patterns) => Names::of_patterns(bus, scope, &patterns),
        None => Names::of_patterns(bus, scope, &[Pattern::everything()]),
    };
    Ok((narrow(session, scope, names, about_signal)?, left))
}

/// Keeps the names for which every filter holds.
fn narrow(session: &dyn Session, scope: &ReadScope, names: Names, filters: Vec<Expr>) -> Result<Names> {
    let Some(filter) = filters.into_iter().reduce(Expr::and) else { return Ok(names) };
    let schema = Schema::new(vec![Field::new("signal", DataType::Utf8View, false)]);
    // The filter may name its column by the alias that the query gave to the table.
    let unqualified = filter.transform(|part| {
        Ok(match part {
            Expr::Column(column) => {
                datafusion::common::tree_node::Transformed::yes(Expr::Column(Column::from_name(column.name)))
            }
            other => datafusion::common::tree_node::Transformed::no(other),
        })
    })?;
    let predicate = session.create_physical_expr(unqualified.data, &DFSchema::try_from(schema.clone())?)?;
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(names.paths().clone())])?;
    let kept = predicate.evaluate(&batch)?.into_array(names.len())?;
    let kept = kept
        .as_any()
        .downcast_ref::<BooleanArray>()
        .ok_or_else(|| exec_datafusion_err!("a condition on signal must be true or false"))?
        .clone();
    Ok(names.retain(scope, |place| kept.is_valid(place) && kept.value(place)))
}

/// Patterns outside of which the filter is surely false, if it says so in a simple way.
fn candidates(filter: &Expr) -> Option<Vec<Pattern>> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let text =
                if is_signal(left) { text(right)? } else { is_signal(right).then(|| text(left))?? };
            Some(exactly(text))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            candidates(left).or_else(|| candidates(right))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let mut both = candidates(left)?;
            both.extend(candidates(right)?);
            Some(both)
        }
        Expr::InList(list) if !list.negated && is_signal(&list.expr) => Some(
            list.list.iter().map(text).collect::<Option<Vec<_>>>()?.into_iter().flat_map(exactly).collect(),
        ),
        Expr::Like(Like { negated: false, expr, pattern, case_insensitive: false, .. })
            if is_signal(expr) =>
        {
            let text = text(pattern)?;
            let sure = text.split(['%', '_', '\\']).next()?;
            let (above, _) = sure.rsplit_once('/')?;
            Some(vec![Pattern::new(&format!("{above}/#")).ok()?])
        }
        Expr::ScalarFunction(call) if call.name() == super::functions::MATCHES => {
            match call.args.as_slice() {
                [signal, pattern] if is_signal(signal) => Some(vec![Pattern::new(text(pattern)?).ok()?]),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A text that is no path names no signal.
fn exactly(text: &str) -> Vec<Pattern> {
    SignalPath::new(text).map(|path| Pattern::exactly(&path)).into_iter().collect()
}

fn is_signal(part: &Expr) -> bool {
    match part {
        Expr::Column(column) => column.name == "signal",
        Expr::Cast(Cast { expr, field }) => is_text(field.data_type()) && is_signal(expr),
        _ => false,
    }
}

fn text(part: &Expr) -> Option<&str> {
    match part {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}
