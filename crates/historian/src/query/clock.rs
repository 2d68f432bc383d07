//! Times and the numbers and texts that they are made of, where DataFusion would lose something unseen: seconds that are no time,
//! a clock that its format names in part, and the last digits of the seconds since 1970. What is not here: periods in which a
//! time lies ([`super::earliest`]).

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{Float64Type, TimestampNanosecondType};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};
use tidemill_core::{Problem, codes};
use tidemill_dialect::{bad, from_problem};

/// From seconds since 1970, or from a text in a format.
pub(crate) const TO_TIMESTAMP: &str = "to_timestamp";

/// What nanoseconds in 64 bits hold.
const SECONDS_MAX: f64 = 9_223_372_036.0;

/// Calls `to_timestamp`.
pub(crate) fn time(function: &ScalarUDF, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
    let fits = |seconds: f64| seconds.abs() <= SECONDS_MAX;
    let wrong = match call.args.first() {
        Some(ColumnarValue::Scalar(ScalarValue::Float64(seconds))) => seconds.filter(|one| !fits(*one)),
        Some(ColumnarValue::Array(seconds)) => seconds
            .as_primitive_opt::<Float64Type>()
            .and_then(|seconds| seconds.iter().flatten().find(|one| !fits(*one))),
        _ => None,
    };
    if let Some(wrong) = wrong {
        let problem = Problem::new(&codes::BAD_SQL, format!("{wrong:?} seconds since 1970 are no time"));
        return Err(from_problem(problem.hint("Times lie between 1677-09-21 and 2262-04-11")));
    }
    for format in call.args.iter().skip(1) {
        if let ColumnarValue::Scalar(format) = format
            && let Some(format) = format.try_as_str().flatten()
        {
            whole(format)?;
        }
    }
    function.invoke_with_args(call)
}

/// Refuses a format that names a part of the clock, and not enough to tell the time by: DataFusion would leave it out.
fn whole(format: &str) -> Result<()> {
    let has = |patterns: &[&str]| patterns.iter().any(|pattern| format.contains(pattern));
    let named = has(&["%H", "%k", "%I", "%l", "%M", "%S"]);
    let hours = has(&["%H", "%k"]) || has(&["%I", "%l"]) && has(&["%p", "%P"]);
    let spelled = has(&["%T", "%R", "%X", "%r", "%c", "%s", "%+"]);
    if !named || spelled || hours && has(&["%M"]) {
        return Ok(());
    }
    Err(bad(format!("the format '{format}' has a part of the clock, but not its hours and minutes")))
}

/// Calls `date_part`: the seconds since 1970 of a time without nanoseconds are the nearest number to them.
pub(crate) fn part(function: &ScalarUDF, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
    let (Some(ColumnarValue::Scalar(part)), Some(of)) = (call.args.first(), call.args.get(1)) else {
        return function.invoke_with_args(call);
    };
    let epoch = part.try_as_str().flatten().is_some_and(|part| part.eq_ignore_ascii_case("epoch"));
    let scalar = matches!(of, ColumnarValue::Scalar(_));
    let times = of.to_array(if scalar { 1 } else { call.number_rows })?;
    let Some(times) = times.as_primitive_opt::<TimestampNanosecondType>().filter(|_| epoch) else {
        return function.invoke_with_args(call);
    };
    let seconds: Float64Array = times.unary(|nanos| match nanos % 1_000 {
        0 => (nanos / 1_000) as f64 / 1e6,
        _ => nanos as f64 / 1e9,
    });
    let seconds: ArrayRef = Arc::new(seconds);
    Ok(match scalar {
        true => ColumnarValue::Scalar(ScalarValue::try_from_array(&seconds, 0)?),
        false => ColumnarValue::Array(seconds),
    })
}
