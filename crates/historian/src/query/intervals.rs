//! Intervals by their length, as PostgreSQL compares them: a month is thirty days, a day is 24 hours. DataFusion compares
//! months, then days, then hours, so that 267 times 24 hours are less than a day. Where an interval is compared or ordered by,
//! its length stands instead; where it would be told apart from others as a value, the question is refused. What is not here:
//! what lies between two times while nothing but such is compared, which is a number.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    IntervalUnit,
};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{
    AggregateFunction, InList, InSubquery, ScalarFunction, Sort, WindowFunction, WindowFunctionDefinition,
};
use datafusion::logical_expr::{
    Between, BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use tidemill_core::{Problem, codes};
use tidemill_dialect::{bad, from_problem};

/// In nanoseconds: any interval is shorter than this has digits for.
const LENGTH: DataType = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);
const DAY_NS: i128 = 86_400_000_000_000;
const MONTH_NS: i128 = 30 * DAY_NS;

fn is_interval(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Interval(_)))
}

/// An interval's length, and everything else as it is.
pub(crate) fn by_length(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if !is_interval(&expr, schema) {
        return Ok(Transformed::no(expr));
    }
    let length = Arc::new(ScalarUDF::from(Length(Signature::any(1, Volatility::Immutable))));
    Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(length, vec![expr]))))
}

fn length(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(by_length(expr, schema)?.data)
}

fn lengths(exprs: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    exprs.into_iter().map(|expr| length(expr, schema)).collect()
}

fn order(by: Vec<Sort>, schema: &DFSchema) -> Result<Vec<Sort>> {
    by.into_iter().map(|by| Ok(Sort { expr: length(by.expr, schema)?, ..by })).collect()
}

/// Whether the step orders or joins by its expressions.
pub(crate) fn is_ordered(step: &LogicalPlan) -> bool {
    matches!(step, LogicalPlan::Sort(_) | LogicalPlan::Join(_))
}

/// Refuses a step that tells intervals apart as values: one of several that are equally long would have to stand for all.
///
/// # Errors
/// `bad-sql`.
pub(crate) fn told_apart(step: &LogicalPlan, schema: &DFSchema) -> Result<()> {
    let apart = match step {
        LogicalPlan::Aggregate(groups) => groups.group_expr.iter().any(|key| is_interval(key, schema)),
        LogicalPlan::Distinct(_) => {
            step.schema().fields().iter().any(|field| matches!(field.data_type(), DataType::Interval(_)))
        }
        _ => false,
    };
    if apart { Err(refused("GROUP BY and DISTINCT")) } else { Ok(()) }
}

fn refused(what: &str) -> DataFusionError {
    let problem = Problem::new(&codes::BAD_SQL, format!("{what} of intervals: not supported"));
    from_problem(problem.hint("Take their seconds: extract(epoch FROM …)"))
}

/// A comparison of intervals as one of their lengths.
pub(crate) fn compared(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let is = |expr: &Expr| is_interval(expr, schema);
    Ok(Transformed::yes(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if op.supports_propagation() && is(&left) && is(&right) =>
        {
            let (left, right) = (length(*left, schema)?, length(*right, schema)?);
            Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
        }
        Expr::Between(Between { expr, negated, low, high }) if is(&expr) => {
            let [expr, low, high] = [expr, low, high].map(|side| length(*side, schema));
            Expr::Between(Between::new(Box::new(expr?), negated, Box::new(low?), Box::new(high?)))
        }
        Expr::InList(InList { expr, list, negated }) if is(&expr) => {
            Expr::InList(InList::new(Box::new(length(*expr, schema)?), lengths(list, schema)?, negated))
        }
        Expr::InSubquery(InSubquery { expr, .. }) if is(&expr) => return Err(refused("IN (SELECT …)")),
        Expr::SetComparison(comparison) if is(&comparison.expr) => return Err(refused("ANY and ALL")),
        Expr::Case(mut case) if case.expr.as_ref().is_some_and(|of| is(of)) => {
            case.expr = case.expr.map(|of| length(*of, schema)).transpose()?.map(Box::new);
            for (when, _) in &mut case.when_then_expr {
                **when = length(std::mem::take(when.as_mut()), schema)?;
            }
            Expr::Case(case)
        }
        Expr::ScalarFunction(mut call) if call.args.iter().any(is) => {
            let Some(which) = Which::of(call.name()) else {
                return Ok(Transformed::no(Expr::ScalarFunction(call)));
            };
            let signature = Signature::variadic_any(Volatility::Immutable);
            call.func = Arc::new(ScalarUDF::from(Chosen { which, signature }));
            Expr::ScalarFunction(call)
        }
        Expr::AggregateFunction(call) => return aggregated(call, schema),
        Expr::WindowFunction(call) => return windowed(call, schema),
        other => return Ok(Transformed::no(other)),
    }))
}

/// The longest and the shortest are the first by length; what is only counted is counted by length.
fn aggregated(mut call: AggregateFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let given = call.params.args.first().filter(|given| is_interval(given, schema)).cloned();
    if given.is_none() && !call.params.order_by.iter().any(|by| is_interval(&by.expr, schema)) {
        return Ok(Transformed::no(Expr::AggregateFunction(call)));
    }
    call.params.order_by = order(call.params.order_by, schema)?;
    match (call.func.name(), given) {
        (name @ ("min" | "max"), Some(given)) => {
            let by = Sort::new(length(given, schema)?, name == "min", false);
            call.params.order_by = vec![by];
            call.params.distinct = false;
            call.func = first_value_udaf();
        }
        ("count", Some(_)) => call.params.args = lengths(call.params.args, schema)?,
        _ if call.params.distinct => return Err(refused("DISTINCT")),
        _ => {}
    }
    Ok(Transformed::yes(Expr::AggregateFunction(call)))
}

fn windowed(mut call: Box<WindowFunction>, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let given = call.params.args.iter().any(|given| is_interval(given, schema));
    if let WindowFunctionDefinition::AggregateUDF(of) = &call.fun
        && given
        && (matches!(of.name(), "min" | "max") || call.params.distinct)
    {
        return Err(refused(&format!("{} OVER", of.name())));
    }
    call.params.partition_by = lengths(call.params.partition_by, schema)?;
    call.params.order_by = order(call.params.order_by, schema)?;
    Ok(Transformed::yes(Expr::WindowFunction(call)))
}

fn nanoseconds(of: IntervalMonthDayNano) -> i128 {
    i128::from(of.months) * MONTH_NS + i128::from(of.days) * DAY_NS + i128::from(of.nanoseconds)
}

/// Which of several intervals a function gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Which {
    Greatest,
    Least,
    NullIf,
}

impl Which {
    fn of(function: &str) -> Option<Which> {
        match function {
            "greatest" => Some(Which::Greatest),
            "least" => Some(Which::Least),
            "nullif" => Some(Which::NullIf),
            _ => None,
        }
    }

    /// The first of those that are equally long; NULL counts for nothing.
    fn among(
        self,
        given: impl Iterator<Item = Option<IntervalMonthDayNano>>,
    ) -> Option<IntervalMonthDayNano> {
        if self == Which::NullIf {
            let [value, other] = given.collect::<Vec<_>>().try_into().ok()?;
            return value.filter(|value| other.is_none_or(|other| nanoseconds(*value) != nanoseconds(other)));
        }
        given.flatten().reduce(|best, next| {
            let better = match self {
                Which::Least => nanoseconds(next) < nanoseconds(best),
                _ => nanoseconds(next) > nanoseconds(best),
            };
            if better { next } else { best }
        })
    }
}

/// One of the intervals that it is given, by their length.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Chosen {
    which: Which,
    signature: Signature,
}

impl ScalarUDFImpl for Chosen {
    fn name(&self) -> &str {
        match self.which {
            Which::Greatest => "longest",
            Which::Least => "shortest",
            Which::NullIf => "null_if_as_long",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Interval(IntervalUnit::MonthDayNano))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = call.args.iter().all(|given| matches!(given, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { call.number_rows };
        let columns = call.args.iter().map(|given| {
            let column = cast(&given.to_array(rows)?, &DataType::Interval(IntervalUnit::MonthDayNano))?;
            Ok(column.as_primitive::<IntervalMonthDayNanoType>().clone())
        });
        let columns: Vec<IntervalMonthDayNanoArray> = columns.collect::<Result<_>>()?;
        let one = |row: usize| columns.iter().map(move |of| of.is_valid(row).then(|| of.value(row)));
        let made: IntervalMonthDayNanoArray = (0..rows).map(|row| self.which.among(one(row))).collect();
        let made: ArrayRef = Arc::new(made);
        Ok(match scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(made),
        })
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Length(Signature);

impl ScalarUDFImpl for Length {
    fn name(&self) -> &str {
        "length_of_interval"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(LENGTH)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(given) = call.args.first() else { return Err(bad("a value is missing")) };
        let scalar = matches!(given, ColumnarValue::Scalar(_));
        let intervals = given.to_array(if scalar { 1 } else { call.number_rows })?;
        let intervals = cast(&intervals, &DataType::Interval(IntervalUnit::MonthDayNano))?;
        let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
        let lengths: Decimal128Array = intervals.unary::<_, Decimal128Type>(nanoseconds);
        let lengths = Arc::new(lengths.with_data_type(LENGTH));
        Ok(match scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&(lengths as Arc<dyn Array>), 0)?),
            false => ColumnarValue::Array(lengths),
        })
    }
}
