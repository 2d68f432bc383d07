//! Times and the numbers and texts that they are made of, where DataFusion would lose something unseen: seconds that are no time,
//! a clock that its format names in part, the last digits of the seconds since 1970, and the parts of what lies between two
//! times. What is not here: periods in which a time lies ([`super::earliest`]).

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, TimestampNanosecondArray};
use arrow::compute::kernels::cast_utils::IntervalUnit;
use arrow::datatypes::{
    DataType, Float64Type, Int32Type, Int64Type, IntervalMonthDayNano, TimeUnit, TimestampNanosecondType,
};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};
use tidemill_core::{Problem, codes};
use tidemill_dialect::spans::split;
use tidemill_dialect::{bad, from_problem};

/// From seconds since 1970, or from a text in a format.
pub(crate) const TO_TIMESTAMP: &str = "to_timestamp";

const SECOND_NANOS: i64 = 1_000_000_000;
const MINUTE_NANOS: i64 = 60 * SECOND_NANOS;
const HOUR_NANOS: i64 = 60 * MINUTE_NANOS;
const DAY_NANOS: i64 = 24 * HOUR_NANOS;

/// Tells a time by a format.
pub(crate) const TO_CHAR: &str = "to_char";

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

/// Calls `to_char`. What lies between two times has no patterns in DataFusion, which would leave them out.
pub(crate) fn told(function: &ScalarUDF, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
    const FORMATS: [&str; 2] = ["pretty", "iso8601"];
    let between = call.args.first().map(ColumnarValue::data_type);
    if matches!(between, Some(DataType::Duration(_) | DataType::Interval(_))) {
        let format = match call.args.get(1) {
            Some(ColumnarValue::Scalar(format)) => format.try_as_str().flatten(),
            _ => None,
        };
        if !format.is_some_and(|format| FORMATS.iter().any(|known| known.eq_ignore_ascii_case(format))) {
            let problem = Problem::new(
                &codes::BAD_SQL,
                "to_char tells times by patterns, not what lies between two times",
            );
            return Err(from_problem(
                problem.hint("Take its parts, extract(hour FROM …), or cast it to TEXT"),
            ));
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

/// Calls `date_part`: the seconds since 1970 of a time without nanoseconds are the nearest number to them, and what lies between
/// two times has parts of its own.
pub(crate) fn part(function: &ScalarUDF, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
    let (Some(ColumnarValue::Scalar(part)), Some(of)) = (call.args.first(), call.args.get(1)) else {
        return function.invoke_with_args(call);
    };
    let Some(part) = part.try_as_str().flatten().map(|part| part.trim_matches(['\'', '"']).to_lowercase())
    else {
        return function.invoke_with_args(call);
    };
    let scalar = matches!(of, ColumnarValue::Scalar(_));
    let column = of.to_array(if scalar { 1 } else { call.number_rows })?;
    let made = match column.data_type() {
        DataType::Duration(_) | DataType::Interval(_) => part_between(&part, &column)?,
        DataType::Timestamp(TimeUnit::Nanosecond, _) if part == "epoch" => {
            seconds_since_1970(column.as_primitive::<TimestampNanosecondType>())
        }
        _ => return function.invoke_with_args(call),
    };
    Ok(match scalar {
        true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
        false => ColumnarValue::Array(made),
    })
}

fn seconds_since_1970(times: &TimestampNanosecondArray) -> ArrayRef {
    let seconds: Float64Array = times.unary(|nanos| match nanos % 1_000 {
        0 => (nanos / 1_000) as f64 / 1e6,
        _ => nanos as f64 / 1e9,
    });
    Arc::new(seconds)
}

/// A part of what lies between two times, as PostgreSQL's `interval_part_common` has it: of a difference in days and the rest,
/// of an interval in months, days and the rest. DataFusion takes no days out of a difference, and loses decimals.
fn part_between(part: &str, column: &ArrayRef) -> Result<ArrayRef> {
    if part == "epoch" {
        let between = split(column)?;
        let seconds: Float64Array = between.unary(seconds_of);
        return Ok(Arc::new(seconds));
    }
    let unit = IntervalUnit::from_str(part).ok();
    let of: fn(IntervalMonthDayNano) -> i64 = match unit {
        Some(IntervalUnit::Year) => |between| i64::from(between.months / 12),
        Some(IntervalUnit::Month) => |between| i64::from(between.months % 12),
        Some(IntervalUnit::Week) => |between| i64::from(between.days / 7),
        Some(IntervalUnit::Day) => |between| i64::from(between.days),
        Some(IntervalUnit::Hour) => |between| between.nanoseconds / HOUR_NANOS,
        Some(IntervalUnit::Minute) => |between| between.nanoseconds % HOUR_NANOS / MINUTE_NANOS,
        Some(IntervalUnit::Second) => |between| between.nanoseconds % MINUTE_NANOS / SECOND_NANOS,
        Some(IntervalUnit::Millisecond) => |between| between.nanoseconds % MINUTE_NANOS / 1_000_000,
        Some(IntervalUnit::Microsecond) => |between| between.nanoseconds % MINUTE_NANOS / 1_000,
        Some(IntervalUnit::Nanosecond) => |between| between.nanoseconds % MINUTE_NANOS,
        None if matches!(part, "quarter" | "qtr") => |between| i64::from(between.months % 12 / 3 + 1),
        _ => return Err(bad(format!("what lies between two times has no '{part}'; it has days, hours, …"))),
    };
    let between = split(column)?;
    if matches!(unit, Some(IntervalUnit::Nanosecond)) {
        return Ok(Arc::new(between.unary::<_, Int64Type>(of)));
    }
    // Hours are the most that there can be: two and a half million in 64 bits of nanoseconds.
    Ok(Arc::new(between.unary::<_, Int32Type>(|between| i32::try_from(of(between)).unwrap_or(i32::MAX))))
}

/// A year has 365¼ days, and each month beyond whole years thirty. Whole numbers as long as they last, so that the seconds are
/// the nearest number to them.
fn seconds_of(between: IntervalMonthDayNano) -> f64 {
    const YEAR_SECONDS: i64 = 31_557_600;
    let IntervalMonthDayNano { months, days, nanoseconds } = between;
    let days = i64::from(months % 12) * 30 + i64::from(days);
    let seconds = i64::from(months / 12) * YEAR_SECONDS + days * (DAY_NANOS / SECOND_NANOS);
    let nanos = i128::from(seconds) * i128::from(SECOND_NANOS) + i128::from(nanoseconds);
    match nanos % 1_000 {
        0 => (nanos / 1_000) as f64 / 1e6,
        _ => nanos as f64 / 1e9,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::IntervalMonthDayNanoArray;
    use arrow::compute::{CastOptions, cast_with_options};

    use super::*;

    /// Expected values are those of PostgreSQL 15.
    #[test]
    fn parts_of_what_lies_between_two_times() {
        let seconds = |nanos: i64| {
            Arc::new(arrow::array::DurationNanosecondArray::from(vec![Some(nanos), None])) as ArrayRef
        };
        let interval = |months: i32, days: i32, nanos: i64| {
            let one = IntervalMonthDayNano::new(months, days, nanos);
            Arc::new(IntervalMonthDayNanoArray::from(vec![Some(one), None])) as ArrayRef
        };
        // 2 days 01:30:05.75, the same backwards, 3.5 s, and a century.
        let difference = seconds(178_205_750_000_000);
        for (column, part, expected) in [
            (&difference, "epoch", 178_205.75),
            (&difference, "day", 2.0),
            (&difference, "hour", 1.0),
            (&difference, "minutes", 30.0),
            (&difference, "second", 5.0),
            (&difference, "milliseconds", 5_750.0),
            (&difference, "microsecond", 5_750_000.0),
            (&difference, "nanosecond", 5_750_000_000.0),
            (&difference, "month", 0.0),
            (&seconds(-178_205_750_000_000), "epoch", -178_205.75),
            (&seconds(-178_205_750_000_000), "milliseconds", -5_750.0),
            (&seconds(-178_205_750_000_000), "hour", -1.0),
            (&seconds(3_500_000_000), "epoch", 3.5),
            (&seconds(3_155_760_000_000_000_000), "epoch", 3_155_760_000.0),
            (&seconds(3_155_760_000_000_000_000), "day", 36_525.0),
            (&interval(0, 0, 5_750_000_000), "microseconds", 5_750_000.0),
            (&interval(14, 3, 0), "epoch", 37_000_800.0),
            (&interval(14, 3, 0), "year", 1.0),
            (&interval(14, 3, 0), "month", 2.0),
            (&interval(0, 0, 36 * HOUR_NANOS), "hour", 36.0),
            (&interval(0, 0, 36 * HOUR_NANOS), "day", 0.0),
        ] {
            let made = part_between(part, column).expect("a part");
            let made =
                cast_with_options(&made, &DataType::Float64, &CastOptions::default()).expect("numbers");
            let made: Vec<Option<f64>> = made.as_primitive::<Float64Type>().iter().collect();
            assert_eq!(made, [Some(expected), None], "{part} of {column:?}");
        }
        assert!(part_between("dow", &difference).is_err());
    }
}
