//! `date_trunc` of the earliest times: the minute or the year in which nanoseconds in 64 bits begin (1677-09-21) itself begins
//! before them. One such sample must neither fail a question nor come out in the year 2262, where arithmetic that wraps
//! puts it: its period is NULL, as it is for `date_bin`. And conditions on years that are not whole within them. What is not
//! here: every later time, which is DataFusion's.

use std::sync::Arc;

use arrow::array::{AsArray, TimestampNanosecondArray};
use arrow::datatypes::TimestampNanosecondType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF};

/// The function that is meant.
pub(crate) const DATE_TRUNC: &str = "date_trunc";

/// The function that gives a part of a time, such as its year.
pub(crate) const DATE_PART: &str = "date_part";

/// Whether a year begins and ends within time. DataFusion turns a condition on the year into one on the time, and of any
/// other year into one on a time that wrapped around.
pub(crate) fn is_whole_year(year: &Expr) -> bool {
    matches!(year, Expr::Literal(ScalarValue::Int32(Some(1678..=2261)), _))
}

/// From here on every period has begun within time, in every zone: the longest is a year.
const EARLY: i64 = i64::MIN + 400 * 86_400 * 1_000_000_000;

/// Calls `date_trunc`.
pub(crate) fn truncated(function: &ScalarUDF, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
    match call.args.get(1) {
        Some(ColumnarValue::Scalar(ScalarValue::TimestampNanosecond(Some(at), zone))) if *at < EARLY => {
            let (at, zone) = (*at, zone.clone());
            let later = ScalarValue::TimestampNanosecond(Some(EARLY), zone.clone());
            // What is wrong with the call is said first.
            function.invoke_with_args(with(&call, ColumnarValue::Scalar(later)))?;
            Ok(ColumnarValue::Scalar(ScalarValue::TimestampNanosecond(one(function, &call, at, &zone), zone)))
        }
        Some(ColumnarValue::Array(array)) => {
            let Some(times) = array
                .as_primitive_opt::<TimestampNanosecondType>()
                .filter(|times| times.values().iter().any(|at| *at < EARLY))
                .cloned()
            else {
                return function.invoke_with_args(call);
            };
            some(function, &call, &times)
        }
        _ => function.invoke_with_args(call),
    }
}

/// A column with early times in it.
fn some(
    function: &ScalarUDF,
    call: &ScalarFunctionArgs,
    times: &TimestampNanosecondArray,
) -> Result<ColumnarValue> {
    let zone = times.timezone().map(Arc::from);
    let later: TimestampNanosecondArray =
        times.unary::<_, TimestampNanosecondType>(|at| at.max(EARLY)).with_timezone_opt(zone.clone());
    let made = function.invoke_with_args(with(call, ColumnarValue::Array(Arc::new(later))))?;
    let made = made.into_array(times.len())?;
    let made = made.as_primitive::<TimestampNanosecondType>();
    let of = |(at, made): (Option<i64>, Option<i64>)| match at {
        Some(at) if at < EARLY => one(function, call, at, &zone),
        _ => made,
    };
    let all: TimestampNanosecondArray = times.iter().zip(made).map(of).collect();
    Ok(ColumnarValue::Array(Arc::new(all.with_timezone_opt(zone))))
}

/// The beginning of the period of one time; none where it lies before all times.
fn one(function: &ScalarUDF, call: &ScalarFunctionArgs, at: i64, zone: &Option<Arc<str>>) -> Option<i64> {
    let period = match call.args.first() {
        Some(ColumnarValue::Scalar(period)) => period.try_as_str().flatten().unwrap_or_default(),
        _ => "",
    };
    // Of these DataFusion rounds a single time before 1970 up.
    let unit = match period.to_lowercase().as_str() {
        "microsecond" => 1_000,
        "millisecond" => 1_000_000,
        _ => 1,
    };
    if unit > 1 {
        return at.checked_sub(at.rem_euclid(unit));
    }
    let single = ColumnarValue::Scalar(ScalarValue::TimestampNanosecond(Some(at), zone.clone()));
    match function.invoke_with_args(ScalarFunctionArgs { number_rows: 1, ..with(call, single) }) {
        Ok(ColumnarValue::Scalar(ScalarValue::TimestampNanosecond(begin, _))) => begin,
        _ => None,
    }
}

/// The call with another time.
fn with(call: &ScalarFunctionArgs, time: ColumnarValue) -> ScalarFunctionArgs {
    let args = call.args.first().cloned().into_iter().chain([time]).collect();
    ScalarFunctionArgs { args, ..call.clone() }
}
