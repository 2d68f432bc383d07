//! Times as PostgreSQL's users write them: without seconds, with offsets of hours alone, in the patterns of `to_char`, and
//! `AT TIME ZONE`. What is not here: how times are told ([`super::values`]).

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{
    ArrayRef, AsArray, IntervalMonthDayNanoArray, StringViewArray, TimestampNanosecondArray,
    temporal_conversions,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, FieldRef, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
    TimeUnit, TimestampNanosecondType,
};
use arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr as PlanExpr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, cast as cast_to,
};
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value as Literal};

use super::dialect::{calling, text};
use crate::error::{bad, does_not_fit};

/// `time AT TIME ZONE zone`.
pub(crate) const AT_ZONE: &str = "tidemill_at_zone";
const UTC: &str = "UTC";

/// What is written out as text.
fn written(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Literal::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        Expr::Nested(inner) => written(inner),
        _ => None,
    }
}

/// Whether this is one of these words, written out.
pub(crate) fn is_text(expr: &Expr, words: &[&str]) -> bool {
    written(expr).is_some_and(|text| words.iter().any(|word| text.eq_ignore_ascii_case(word)))
}

/// Whether this is a number, written out.
pub(crate) fn constant_number(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(value.value, Literal::Number(..)),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } | Expr::Nested(expr) => constant_number(expr),
        _ => false,
    }
}

/// Patterns of `to_char` and what the planner calls them, longer ones first where one begins another.
const PATTERNS: [(&str, &str); 27] = [
    ("YYYY", "%Y"),
    ("IYYY", "%G"),
    ("YY", "%y"),
    ("FMMonth", "%B"),
    ("Month", ""),
    ("Mon", "%b"),
    ("MM", "%m"),
    ("MI", "%M"),
    ("MS", "%3f"),
    ("US", "%6f"),
    ("DDD", "%j"),
    ("DD", "%d"),
    ("FMDay", "%A"),
    ("Day", ""),
    ("Dy", "%a"),
    ("IW", "%V"),
    ("ID", "%u"),
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("HH", "%I"),
    ("SSSS", ""),
    ("SS", "%S"),
    ("AM", "%p"),
    ("PM", "%p"),
    ("am", "%P"),
    ("pm", "%P"),
    ("TZ", "%Z"),
];

/// A text and its format with what PostgreSQL takes for granted: the planner leaves the clock out where a part of it is missing.
pub(crate) fn completed(value: Expr, format: &Expr) -> (Expr, Expr) {
    let Some(written) = written(format) else { return (value, format.clone()) };
    let has = |patterns: &[&str]| patterns.iter().any(|pattern| written.contains(pattern));
    let halves = has(&["%I"]);
    let clock = halves || has(&["%H", "%M", "%S", "%3f", "%6f"]);
    let missing = [
        (!halves && !has(&["%H"]), " %H", " 00"),
        (halves && !has(&["%p", "%P"]), " %p", " AM"),
        (!has(&["%M"]), " %M", " 00"),
        (!has(&["%S"]), " %S", " 00"),
    ];
    let (mut patterns, mut texts) = (written.to_owned(), String::new());
    for (_, pattern, given) in missing.into_iter().filter(|(missing, ..)| clock && *missing) {
        patterns.push_str(pattern);
        texts.push_str(given);
    }
    if texts.is_empty() {
        return (value, format.clone());
    }
    let value = Expr::BinaryOp {
        left: Box::new(Expr::Nested(Box::new(value))),
        op: BinaryOperator::StringConcat,
        right: Box::new(text(&texts)),
    };
    (value, text(&patterns))
}

/// A format of `to_char` and its like in the planner's words; none where it is in those already, or not written out. One that
/// cannot be said becomes a call of what does not exist, by name.
pub(crate) fn format(format: &Expr) -> Option<Expr> {
    let format = written(format).filter(|format| !format.contains('%'))?;
    Some(match translated(format) {
        Some(same) => text(&same),
        None => calling(&format!("to_char with the format {format}"), Vec::new()),
    })
}

fn translated(format: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        if let Some((pattern, same)) = PATTERNS.iter().find(|(pattern, _)| rest.starts_with(pattern)) {
            // What is filled up with blanks, or counts seconds of the day, has no word.
            if same.is_empty() {
                return None;
            }
            out.push_str(same);
            rest = rest.get(pattern.len()..)?;
        } else if let Some(quoted) = rest.strip_prefix('"') {
            let (words, after) = quoted.split_once('"')?;
            out.push_str(words);
            rest = after;
        } else if first.is_alphabetic() && !(first == 'T' && out.ends_with("%d")) {
            return None;
        } else {
            out.push(first);
            rest = rest.get(first.len_utf8()..)?;
        }
    }
    Some(out)
}

/// A time as RFC 3339 would have it, where it lacks seconds, or minutes of its offset; for a time without a zone, without
/// the offset. None where nothing is to be mended.
pub(crate) fn mended(written: &str, zoned: bool) -> Option<String> {
    let (date, rest) = written.trim().split_at_checked(10)?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_date = date.split('-').map(str::len).eq([4, 2, 2]) && date.split('-').all(digits);
    let rest = rest.strip_prefix(['T', ' '])?.trim_start();
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(rest.len());
    let (clock, offset) = rest.split_at_checked(end)?;
    let clock = match clock.len() {
        2 => format!("{clock}:00:00"),
        5 => format!("{clock}:00"),
        _ => clock.to_owned(),
    };
    let offset = offset.trim();
    let offset = match (offset.get(..1), offset.get(1..)) {
        _ if offset.is_empty() => String::new(),
        _ if abbreviated(offset).is_some() => abbreviated(offset)?.to_owned(),
        _ if offset.eq_ignore_ascii_case("z") || offset.eq_ignore_ascii_case("utc") => "Z".to_owned(),
        (Some(sign @ ("+" | "-")), Some(size)) => match size.len() {
            2 if digits(size) => format!("{sign}{size}:00"),
            4 if digits(size) => format!("{sign}{}:{}", &size[..2], &size[2..]),
            5 => offset.to_owned(),
            _ => return None,
        },
        // A zone by its name; what is none is for the planner to refuse.
        _ if !zoned && offset.parse::<Tz>().is_ok() => String::new(),
        _ => return None,
    };
    let offset = if zoned { offset } else { String::new() };
    let mended = format!("{date}T{clock}{offset}");
    (is_date && mended != written).then_some(mended)
}

/// What PostgreSQL knows as abbreviations: each is one offset in summer and in winter, also where a zone has that name.
const ABBREVIATIONS: [(&str, &str); 19] = [
    ("GMT", "+00:00"),
    ("WET", "+00:00"),
    ("WEST", "+01:00"),
    ("BST", "+01:00"),
    ("CET", "+01:00"),
    ("CEST", "+02:00"),
    ("MET", "+01:00"),
    ("MEST", "+02:00"),
    ("EET", "+02:00"),
    ("EEST", "+03:00"),
    ("EST", "-05:00"),
    ("EDT", "-04:00"),
    ("CST", "-06:00"),
    ("CDT", "-05:00"),
    ("MST", "-07:00"),
    ("MDT", "-06:00"),
    ("PST", "-08:00"),
    ("PDT", "-07:00"),
    ("HST", "-10:00"),
];

fn abbreviated(zone: &str) -> Option<&'static str> {
    let same = |(name, _): &&(&str, &str)| name.eq_ignore_ascii_case(zone);
    ABBREVIATIONS.iter().find(same).map(|(_, offset)| *offset)
}

/// `AT TIME ZONE`: what clocks in a zone show at a time, or the time at which they show that.
pub(crate) fn at_zone() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(AtZone(Signature::any(2, Volatility::Immutable))))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AtZone(Signature);

fn of_zone(zone: Option<&str>) -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, zone.map(Into::into))
}

impl ScalarUDFImpl for AtZone {
    fn name(&self) -> &str {
        AT_ZONE
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments.first() {
            Some(DataType::Timestamp(_, Some(_)) | DataType::Utf8 | DataType::Utf8View) => Ok(of_zone(None)),
            Some(DataType::Timestamp(_, None) | DataType::Date32 | DataType::Null) => Ok(of_zone(Some(UTC))),
            _ => Err(bad("AT TIME ZONE stands behind a time")),
        }
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let kinds: Vec<DataType> = call.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(Field::new(AT_ZONE, self.return_type(&kinds)?, true)))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [times, ColumnarValue::Scalar(zone)] = call.args.as_slice() else {
            return Err(bad("the zone behind AT TIME ZONE is to be written out"));
        };
        let zone = zone.try_as_str().flatten().ok_or_else(|| bad("AT TIME ZONE needs the name of a zone"))?;
        let known = abbreviated(zone).map_or_else(|| turned(zone), str::to_owned);
        let known: Tz = known.parse().map_err(|_| bad(format!("there is no time zone '{zone}'")))?;
        let scalar = matches!(times, ColumnarValue::Scalar(_));
        let times = times.to_array(if scalar { 1 } else { call.number_rows })?;
        let made = if self.return_type(&[times.data_type().clone()])? == of_zone(None) {
            let instants = cast(&cast(&times, &of_zone(Some(UTC)))?, &of_zone(None))?;
            let instants = instants.as_primitive::<TimestampNanosecondType>();
            let shown = |instant: i64| {
                shown_at(instant, known).ok_or_else(|| does_not_fit(format!("a time in the zone {zone}")))
            };
            let shown = instants.iter().map(|instant| instant.map(shown).transpose());
            Arc::new(shown.collect::<Result<TimestampNanosecondArray>>()?) as _
        } else {
            let clocks = cast(&times, &of_zone(None))?;
            let clocks = clocks.as_primitive::<TimestampNanosecondType>();
            let meant = |clock: i64| {
                instant_of(clock, known).ok_or_else(|| does_not_fit(format!("a time of the zone {zone}")))
            };
            let meant = clocks.iter().map(|clock| clock.map(meant).transpose());
            Arc::new(meant.collect::<Result<TimestampNanosecondArray>>()?.with_timezone(UTC)) as _
        };
        Ok(match scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(made),
        })
    }
}

/// An offset that is written as a zone has the sign of POSIX: what is positive lies to the west.
fn turned(zone: &str) -> String {
    match (zone.strip_prefix('+'), zone.strip_prefix('-')) {
        (Some(west), _) => format!("-{west}"),
        (_, Some(east)) => format!("+{east}"),
        _ => zone.to_owned(),
    }
}

/// What clocks in a zone show at a time, both in nanoseconds since 1970; none where it is no time.
fn shown_at(instant: i64, zone: Tz) -> Option<i64> {
    temporal_conversions::as_datetime_with_timezone::<TimestampNanosecondType>(instant, zone)?
        .naive_local()
        .and_utc()
        .timestamp_nanos_opt()
}

/// When clocks in a zone show a time. What they show twice is the later one, and what they skip is counted on from before, as in
/// PostgreSQL's `DetermineTimeZoneOffset`.
fn instant_of(clock: i64, zone: Tz) -> Option<i64> {
    // No zone skips more, and none changes twice within it.
    const DAY_NANOS: i64 = 86_400_000_000_000;
    let offset = |near: i64| shown_at(near, zone)?.checked_sub(near);
    // The first and last days of all times have no neighbour.
    let before = clock.checked_sub(offset(clock.saturating_sub(DAY_NANOS))?)?;
    let after = clock.checked_sub(offset(clock.saturating_add(DAY_NANOS)).unwrap_or_default());
    match after {
        Some(after) if shown_at(after, zone) == Some(clock) => Some(after),
        _ => Some(before),
    }
}

/// What a number does to an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scale {
    Times,
    By,
}

/// An interval, so many times, or in so many parts.
pub(crate) fn scaled(scale: Scale, interval: PlanExpr, number: PlanExpr) -> PlanExpr {
    let signature = Signature::any(2, Volatility::Immutable);
    let scaled = Arc::new(ScalarUDF::from(Scaled { scale, signature }));
    let sides = vec![cast_to(interval, INTERVAL), cast_to(number, DataType::Float64)];
    PlanExpr::ScalarFunction(ScalarFunction::new_udf(scaled, sides))
}

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Scaled {
    scale: Scale,
    signature: Signature,
}

impl ScalarUDFImpl for Scaled {
    fn name(&self) -> &str {
        match self.scale {
            Scale::Times => "tidemill_multiplied",
            Scale::By => "tidemill_divided",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = call.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let [intervals, times] = call.args.as_slice() else { return Err(bad("a value is missing")) };
        let rows = if scalar { 1 } else { call.number_rows };
        let (intervals, times) = (intervals.to_array(rows)?, times.to_array(rows)?);
        let each = intervals
            .as_primitive::<IntervalMonthDayNanoType>()
            .iter()
            .zip(times.as_primitive::<Float64Type>().iter());
        let made = each.map(|(interval, times)| {
            let Some((interval, times)) = interval.zip(times) else { return Ok(None) };
            let made = match self.scale {
                Scale::Times => changed(interval, |part| part * times),
                Scale::By if times == 0.0 => return Err(ArrowError::DivideByZero.into()),
                Scale::By => changed(interval, |part| part / times),
            };
            made.map(Some).ok_or_else(|| does_not_fit("an interval"))
        });
        let made: ArrayRef = Arc::new(made.collect::<Result<IntervalMonthDayNanoArray>>()?);
        Ok(match scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(made),
        })
    }
}

/// Parts of months become days of which a month has thirty, parts of days become hours: PostgreSQL's `interval_mul` and
/// `interval_div`, which round to microseconds before they look for whole days.
fn changed(interval: IntervalMonthDayNano, by: impl Fn(f64) -> f64) -> Option<IntervalMonthDayNano> {
    const MONTH_DAYS: f64 = 30.0;
    const DAY_SECONDS: f64 = 86_400.0;
    const MICROSECONDS: f64 = 1e6;
    let rounded = |value: f64| (value * MICROSECONDS).round_ties_even() / MICROSECONDS;
    let fits = |value: f64, most: f64| (value.abs() < most).then_some(value);
    let (months, days) = (by(f64::from(interval.months)), by(f64::from(interval.days)));
    let (months, days) = (fits(months, 2_147_483_648.0)?, fits(days, 2_147_483_648.0)?);
    let more_days = rounded(months.fract() * MONTH_DAYS);
    let mut seconds = rounded((days.fract() + more_days.fract()) * DAY_SECONDS);
    let mut whole_days = days.trunc() + more_days.trunc();
    if seconds.abs() >= DAY_SECONDS {
        let carried = (seconds / DAY_SECONDS).trunc();
        whole_days += carried;
        seconds -= carried * DAY_SECONDS;
    }
    let micros = (by(interval.nanoseconds as f64 / 1_000.0) + seconds * MICROSECONDS).round_ties_even();
    Some(IntervalMonthDayNano::new(
        months as i32,
        fits(whole_days, 2_147_483_648.0)? as i32,
        (fits(micros, 9.2e15)? as i64).checked_mul(1_000)?,
    ))
}

/// A text that is to become a time, mended where it lacks something.
pub(crate) fn mending(text: PlanExpr, zoned: bool) -> PlanExpr {
    let signature = Signature::any(1, Volatility::Immutable);
    let mending = Arc::new(ScalarUDF::from(Mending { zoned, signature }));
    PlanExpr::ScalarFunction(ScalarFunction::new_udf(mending, vec![text]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Mending {
    zoned: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Mending {
    fn name(&self) -> &str {
        if self.zoned { "tidemill_mended_timestamptz" } else { "tidemill_mended_timestamp" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(given) = call.args.first() else { return Err(bad("a value is missing")) };
        let scalar = matches!(given, ColumnarValue::Scalar(_));
        let texts = cast(&given.to_array(if scalar { 1 } else { call.number_rows })?, &DataType::Utf8View)?;
        let mend = |text: &str| mended(text, self.zoned).unwrap_or_else(|| text.to_owned());
        let made = texts.as_string_view().iter().map(|text| text.map(mend)).collect::<StringViewArray>();
        let made: ArrayRef = Arc::new(made);
        Ok(match scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(made),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_mended_where_they_lack_something() {
        for (written, zoned, expected) in [
            ("2026-01-02 03:04", true, Some("2026-01-02T03:04:00")),
            ("2026-01-02 03:04+02", true, Some("2026-01-02T03:04:00+02:00")),
            ("2026-01-02 03:04:05.25 -0530", true, Some("2026-01-02T03:04:05.25-05:30")),
            ("2026-01-02T03:04:05Z", true, None),
            ("2026-01-02T03:04:05Z", false, Some("2026-01-02T03:04:05")),
            ("2026-01-02 03 UTC", true, Some("2026-01-02T03:00:00Z")),
            ("2026-01-02", true, None),
            ("2026/01/02 03:04", true, None),
            ("2026-07-02 03:04 CET", true, Some("2026-07-02T03:04:00+01:00")),
            ("2026-07-02 03:04 Europe/Berlin", true, None),
            ("2026-07-02 03:04:05 Europe/Berlin", false, Some("2026-07-02T03:04:05")),
            ("2026-01-02 10:00:00 PM", false, None),
            ("2026-01-02 10:00:00 BC", false, None),
            ("2026-01-02 10:00:00,5", false, None),
            ("2026-01-02 10:00:00 XYZ", false, None),
            ("2026-01-02 10:00:00 +02", false, Some("2026-01-02T10:00:00")),
            ("ärger um 03:04", true, None),
        ] {
            assert_eq!(mended(written, zoned).as_deref(), expected, "{written}");
        }
    }

    #[test]
    fn clocks_that_are_turned_show_the_standard_time() {
        let berlin: Tz = "Europe/Berlin".parse().expect("a zone");
        let hour = 3_600_000_000_000_i64;
        // Beginning of 2026-03-29 and of 2026-10-25, when Berlin turns its clocks.
        let (spring, autumn) = (492_984 * hour, 498_024 * hour);
        for (clock, instant) in [
            (spring + hour, spring),
            (spring + 2 * hour, spring + hour),
            (spring + 3 * hour, spring + hour),
            (autumn + hour, autumn - hour),
            (autumn + 2 * hour, autumn + hour),
            (autumn + 3 * hour, autumn + 2 * hour),
        ] {
            assert_eq!(instant_of(clock, berlin), Some(instant), "{clock}");
        }
    }

    #[test]
    fn patterns_are_said_in_the_planners_words() {
        for (format, expected) in [
            ("YYYY-MM-DD HH24:MI:SS.MS", Some("%Y-%m-%d %H:%M:%S.%3f")),
            ("YYYY-MM-DDTHH24:MI", Some("%Y-%m-%dT%H:%M")),
            ("\"week\" IW, Dy", Some("week %V, %a")),
            ("HH12:MI AM", Some("%I:%M %p")),
            ("Month", None),
            ("SSSS", None),
            ("J", None),
        ] {
            assert_eq!(translated(format).as_deref(), expected, "{format}");
        }
    }
}
