//! What becomes an interval: the time between two others in days and the rest, as PostgreSQL has it, and texts as it reads them,
//! whether they are written out or stand in a column. The planner keeps no days apart, and takes a number alone for months. What is
//! not here: how intervals are told, compared and multiplied.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, DurationNanosecondType, Field, FieldRef, IntervalMonthDayNano, IntervalMonthDayNanoType,
    IntervalUnit, TimeUnit,
};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use crate::error::bad;
use crate::postgres::interval;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const DAY_NANOS: i64 = 86_400_000_000_000;

/// A cast to an interval as what it means.
///
/// # Errors
/// None in fact.
pub fn cast(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::Cast(Cast { expr: inner, field }) = expr else { return Ok(Transformed::no(expr)) };
    let from = inner.get_type(schema);
    let differs = from.is_ok_and(|from| from.is_string() || matches!(from, DataType::Duration(_)));
    if !differs || *field.data_type() != INTERVAL {
        return Ok(Transformed::no(Expr::Cast(Cast { expr: inner, field })));
    }
    let made = Arc::new(ScalarUDF::from(Interval(Signature::any(1, Volatility::Immutable))));
    Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(made, vec![*inner]))))
}

/// A column of intervals, or of what lies between two times, in months, days and nanoseconds.
///
/// # Errors
/// It is neither, or does not fit.
pub fn split(column: &ArrayRef) -> Result<IntervalMonthDayNanoArray> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    if let DataType::Duration(_) = column.data_type() {
        let nanos = cast_with_options(column, &DataType::Duration(TimeUnit::Nanosecond), &strict)?;
        let days = |nanos: i64| i32::try_from(nanos / DAY_NANOS).unwrap_or(i32::MAX);
        return Ok(nanos
            .as_primitive::<DurationNanosecondType>()
            .unary(|nanos| IntervalMonthDayNano::new(0, days(nanos), nanos % DAY_NANOS)));
    }
    let whole = cast_with_options(column, &INTERVAL, &strict)?;
    Ok(whole.as_primitive::<IntervalMonthDayNanoType>().clone())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Interval(Signature);

impl ScalarUDFImpl for Interval {
    fn name(&self) -> &str {
        "tidemill_interval"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let nullable = call.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), INTERVAL, nullable)))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(given) = call.args.first() else { return Err(bad("a value is missing")) };
        let scalar = matches!(given, ColumnarValue::Scalar(_));
        let column = given.to_array(if scalar { 1 } else { call.number_rows })?;
        let made = if column.data_type().is_string() {
            let texts = arrow::compute::cast(&column, &DataType::Utf8View)?;
            let texts = texts.as_string_view();
            texts.iter().map(|text| text.map(interval).transpose()).collect::<Result<_>>()?
        } else {
            split(&column)?
        };
        let made: ArrayRef = Arc::new(made);
        Ok(match scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(made),
        })
    }
}
