//! Values as PostgreSQL writes them, in text and in binary: numbers, times, intervals, arrays. What is not here: messages
//! ([`super::rows`]), and reading what clients sent (their door).

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, Float32Array, Float64Array, Int64Array,
    IntervalMonthDayNanoArray, ListArray, StringViewArray,
};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    IntervalUnit, TimeUnit, TimestampNanosecondType,
};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, make_encoder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use tidemill_core::{TypeNumber, civil_from_days};

use super::{procedures, types};

/// PostgreSQL counts from 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;
const DAY_MICROS: i64 = 86_400_000_000;
const DAY_NANOS: i64 = 1_000 * DAY_MICROS;
const EPOCH_MICROS: i64 = EPOCH_DAYS * DAY_MICROS;

/// A column whose cells can be written.
pub(crate) struct Cells {
    kind: TypeNumber,
    values: Values,
}

enum Values {
    Null,
    Bool(BooleanArray),
    Int(Int64Array),
    Single(Float32Array),
    Double(Float64Array),
    Text(StringViewArray),
    Bytes(BinaryViewArray),
    /// Days for a date, otherwise microseconds.
    Time(Int64Array),
    Interval(IntervalMonthDayNanoArray),
    /// Numbers that only their text holds.
    Numeric(ArrayRef),
    List(ListArray, Box<Cells>),
    Json(ArrayRef, Arc<Field>),
    /// What PostgreSQL has no type for, as its text.
    Other(ArrayRef),
}

impl Cells {
    pub(crate) fn of(field: &Arc<Field>, column: &ArrayRef) -> Result<Cells, ArrowError> {
        let kind = types::of_field(field);
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let whole = |column: &ArrayRef, kind: &DataType| -> Result<Int64Array, ArrowError> {
            let numbers = cast(&cast_with_options(column, kind, &strict)?, &DataType::Int64)?;
            Ok(numbers.as_primitive::<Int64Type>().clone())
        };
        let values = match column.data_type() {
            DataType::Null => Values::Null,
            DataType::Boolean => Values::Bool(column.as_boolean().clone()),
            DataType::UInt64 => Values::Numeric(column.clone()),
            kind if kind.is_integer() => Values::Int(whole(column, &DataType::Int64)?),
            DataType::Float64 => Values::Double(column.as_primitive::<Float64Type>().clone()),
            DataType::Float32 | DataType::Float16 => {
                Values::Single(cast(column, &DataType::Float32)?.as_primitive::<Float32Type>().clone())
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Values::Text(cast(column, &DataType::Utf8View)?.as_string_view().clone())
            }
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => {
                Values::Bytes(cast(column, &DataType::BinaryView)?.as_binary_view().clone())
            }
            DataType::Date32 | DataType::Date64 => {
                Values::Time(whole(&cast(column, &DataType::Date32)?, &DataType::Int32)?)
            }
            DataType::Time32(_) | DataType::Time64(_) => {
                Values::Time(whole(column, &DataType::Time64(TimeUnit::Microsecond))?)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                let times = column.as_primitive::<TimestampNanosecondType>();
                Values::Time(times.unary(|time| time.div_euclid(1_000)))
            }
            DataType::Timestamp(_, zone) => {
                Values::Time(whole(column, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?)
            }
            DataType::Interval(_) | DataType::Duration(_) => Values::Interval(intervals(column)?),
            kind if kind.is_decimal() => Values::Numeric(column.clone()),
            DataType::Dictionary(_, value) => return Cells::of(field, &cast(column, value)?),
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)
                if kind != types::JSON =>
            {
                let lists = cast(column, &DataType::List(item.clone()))?.as_list::<i32>().clone();
                let items = Cells::of(item, lists.values())?;
                Values::List(lists, Box::new(items))
            }
            kind if kind.is_nested() => Values::Json(column.clone(), field.clone()),
            _ => Values::Other(column.clone()),
        };
        Ok(Cells { kind, values })
    }

    fn is_null(&self, row: usize) -> bool {
        match &self.values {
            Values::Null => true,
            Values::Bool(column) => column.is_null(row),
            Values::Int(column) | Values::Time(column) => column.is_null(row),
            Values::Single(column) => column.is_null(row),
            Values::Double(column) => column.is_null(row),
            Values::Text(column) => column.is_null(row),
            Values::Bytes(column) => column.is_null(row),
            Values::Interval(column) => column.is_null(row),
            Values::List(column, _) => column.is_null(row),
            Values::Numeric(column) | Values::Json(column, _) | Values::Other(column) => column.is_null(row),
        }
    }

    /// Appends a cell; false where it is NULL, and nothing is.
    pub(crate) fn write(&self, row: usize, binary: bool, out: &mut Vec<u8>) -> Result<bool, ArrowError> {
        if self.is_null(row) {
            return Ok(false);
        }
        match (&self.values, binary) {
            (Values::Null, _) => return Ok(false),
            (Values::Bool(column), false) => out.push(if column.value(row) { b't' } else { b'f' }),
            (Values::Bool(column), true) => out.push(u8::from(column.value(row))),
            (Values::Int(column), false) if self.kind == types::REGPROC => function(column.value(row), out),
            (Values::Int(column), false) => text(out, format_args!("{}", column.value(row))),
            (Values::Int(column), true) => self.whole(column.value(row), out),
            (Values::Single(column), false) => {
                float(f64::from(column.value(row)), &column.value(row), PLAIN_SINGLE, out)
            }
            (Values::Single(column), true) => out.extend(column.value(row).to_be_bytes()),
            // No exponent, and no bytes of a float.
            (Values::Double(column), false) if self.kind == types::NUMERIC => {
                out.extend(plain(column.value(row)).as_bytes());
            }
            (Values::Double(column), true) if self.kind == types::NUMERIC => {
                numeric_bytes(&plain(column.value(row)), out);
            }
            (Values::Double(column), false) => {
                float(column.value(row), &column.value(row), PLAIN_DOUBLE, out)
            }
            (Values::Double(column), true) => out.extend(column.value(row).to_be_bytes()),
            // Nothing is one byte too.
            (Values::Text(column), true) if self.kind == types::CHAR && column.value(row).is_empty() => {
                out.push(0);
            }
            (Values::Text(column), _) => out.extend(column.value(row).as_bytes()),
            (Values::Bytes(column), false) => hexadecimal(column.value(row), out),
            (Values::Bytes(column), true) => out.extend(column.value(row)),
            (Values::Time(column), false) => self.time_text(column.value(row), out),
            (Values::Time(column), true) => self.time_bytes(column.value(row), out),
            (Values::Interval(column), false) => interval_text(column.value(row), out),
            (Values::Interval(column), true) => interval_bytes(column.value(row), out),
            (Values::Numeric(column), false) => out.extend(shown(column, row)?.as_bytes()),
            (Values::Numeric(column), true) => numeric_bytes(&shown(column, row)?, out),
            (Values::List(column, items), binary) => list(column, items, row, binary, out)?,
            (Values::Json(column, field), _) => {
                make_encoder(field, column.as_ref(), &EncoderOptions::default())?.encode(row, out);
            }
            (Values::Other(column), _) => out.extend(shown(column, row)?.as_bytes()),
        }
        Ok(true)
    }

    /// A whole number in as many bytes as its type has.
    fn whole(&self, value: i64, out: &mut Vec<u8>) {
        let bytes = value.to_be_bytes();
        let length = usize::try_from(types::length(self.kind)).unwrap_or(bytes.len());
        out.extend(bytes.iter().skip(bytes.len().saturating_sub(length)));
    }

    fn time_text(&self, value: i64, out: &mut Vec<u8>) {
        match self.kind {
            types::DATE => date(value, out),
            types::TIME => clock(value, out),
            kind => {
                date(value.div_euclid(DAY_MICROS), out);
                out.push(b' ');
                clock(value.rem_euclid(DAY_MICROS), out);
                if kind == types::TIMESTAMPTZ {
                    out.extend(b"+00");
                }
            }
        }
    }

    fn time_bytes(&self, value: i64, out: &mut Vec<u8>) {
        match self.kind {
            types::DATE => {
                let days = i32::try_from(value - EPOCH_DAYS).unwrap_or(i32::MAX);
                out.extend(days.to_be_bytes());
            }
            types::TIME => out.extend(value.to_be_bytes()),
            _ => out.extend(value.saturating_sub(EPOCH_MICROS).to_be_bytes()),
        }
    }
}

fn text(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = out.write_fmt(text);
}

/// A function by its name, `-` for none; by its number where that is not known.
fn function(number: i64, out: &mut Vec<u8>) {
    match u32::try_from(number).ok().and_then(procedures::by_number) {
        Some(known) => out.extend(known.name.as_bytes()),
        None if number == 0 => out.push(b'-'),
        None => text(out, format_args!("{number}")),
    }
}

/// From where to where floats are written without an exponent.
const PLAIN_DOUBLE: Range<f64> = 1e-4..1e15;
const PLAIN_SINGLE: Range<f64> = 1e-4_f32 as f64..1e6;

/// The shortest text that reads back as the same number, as PostgreSQL writes it: an exponent has a sign and two digits.
fn float(
    value: f64,
    shortest: &(impl std::fmt::Display + std::fmt::LowerExp),
    plain: Range<f64>,
    out: &mut Vec<u8>,
) {
    let size = value.abs();
    if value.is_nan() {
        out.extend(b"NaN");
    } else if value.is_infinite() {
        out.extend::<&[u8]>(if value > 0.0 { b"Infinity" } else { b"-Infinity" });
    } else if value == 0.0 || plain.contains(&size) {
        text(out, format_args!("{shortest}"));
    } else {
        let begin = out.len();
        text(out, format_args!("{shortest:e}"));
        let written = out.split_off(begin);
        let (digits, exponent) =
            written.split_at(written.iter().position(|byte| *byte == b'e').unwrap_or(written.len()));
        let exponent = exponent.strip_prefix(b"e").unwrap_or_default();
        let (sign, exponent) = exponent.strip_prefix(b"-").map_or((b'+', exponent), |rest| (b'-', rest));
        out.extend(digits);
        out.extend([b'e', sign]);
        if exponent.len() < 2 {
            out.push(b'0');
        }
        out.extend(exponent);
    }
}

/// A float as a numeric is written.
fn plain(value: f64) -> String {
    match value {
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        value => format!("{}", value + 0.0),
    }
}

fn hexadecimal(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend(b"\\x");
    for byte in bytes {
        text(out, format_args!("{byte:02x}"));
    }
}

/// Days from 1970 as YYYY-MM-DD.
fn date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(days);
    text(out, format_args!("{year:04}-{month:02}-{day:02}"));
}

/// Microseconds of a day as HH:MM:SS, with as many decimals as there are.
fn clock(micros: i64, out: &mut Vec<u8>) {
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    text(out, format_args!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60));
    fraction(rest.unsigned_abs(), out);
}

fn fraction(micros: u64, out: &mut Vec<u8>) {
    if micros > 0 {
        let digits = format!("{micros:06}");
        text(out, format_args!(".{}", digits.trim_end_matches('0')));
    }
}

fn intervals(column: &ArrayRef) -> Result<IntervalMonthDayNanoArray, ArrowError> {
    if let DataType::Duration(_) = column.data_type() {
        let nanos = cast(&cast(column, &DataType::Duration(TimeUnit::Nanosecond))?, &DataType::Int64)?;
        let nanos = nanos.as_primitive::<Int64Type>();
        // What lies between two times is told in days and the rest.
        let days = |nanos: i64| i32::try_from(nanos / DAY_NANOS).unwrap_or_default();
        return Ok(nanos.unary(|nanos| IntervalMonthDayNano::new(0, days(nanos), nanos % DAY_NANOS)));
    }
    let whole = cast(column, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    Ok(whole.as_primitive::<IntervalMonthDayNanoType>().clone())
}

/// `1 year 2 mons 3 days 04:05:06.7`, the style that PostgreSQL calls its own.
fn interval_text(value: IntervalMonthDayNano, out: &mut Vec<u8>) {
    let begin = out.len();
    let plural = |count: i32| if count == 1 { "" } else { "s" };
    // What is more than nothing has its sign where the part before it is less.
    let mut below = false;
    for (count, word) in [(value.months / 12, "year"), (value.months % 12, "mon"), (value.days, "day")] {
        if count != 0 {
            let space = if out.len() > begin { " " } else { "" };
            let sign = if below && count > 0 { "+" } else { "" };
            text(out, format_args!("{space}{sign}{count} {word}{}", plural(count)));
            below = count < 0;
        }
    }
    let micros = value.nanoseconds / 1_000;
    if micros != 0 || out.len() == begin {
        let space = if out.len() > begin { " " } else { "" };
        let sign = match micros {
            ..0 => "-",
            _ if below => "+",
            _ => "",
        };
        let size = micros.unsigned_abs();
        let seconds = size / 1_000_000;
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        text(out, format_args!("{space}{sign}{hours:02}:{minutes:02}:{seconds:02}"));
        fraction(size % 1_000_000, out);
    }
}

fn interval_bytes(value: IntervalMonthDayNano, out: &mut Vec<u8>) {
    out.extend((value.nanoseconds / 1_000).to_be_bytes());
    out.extend(value.days.to_be_bytes());
    out.extend(value.months.to_be_bytes());
}

fn shown(column: &ArrayRef, row: usize) -> Result<String, ArrowError> {
    const OPTIONS: FormatOptions<'static> = FormatOptions::new();
    Ok(ArrayFormatter::try_new(column.as_ref(), &OPTIONS)?.value(row).to_string())
}

/// A decimal number in groups of four digits, as PostgreSQL sends it.
fn numeric_bytes(number: &str, out: &mut Vec<u8>) {
    // What is no number has a sign of its own, and no digits.
    if let Some(sign) = match number {
        "NaN" => Some(0xC000_u16),
        "Infinity" => Some(0xD000),
        "-Infinity" => Some(0xF000),
        _ => None,
    } {
        out.extend([0; 4]);
        out.extend(sign.to_be_bytes());
        out.extend([0; 2]);
        return;
    }
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => (0x4000_u16, digits),
        None => (0, number),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    let padded = |text: &str, front: bool| {
        let zeros = "0".repeat((4 - text.len() % 4) % 4);
        if front { zeros + text } else { text.to_owned() + &zeros }
    };
    let all = padded(whole, true) + &padded(decimals, false);
    let groups: Vec<u16> = all
        .as_bytes()
        .chunks(4)
        .map(|group| group.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit.saturating_sub(b'0'))))
        .collect();
    let count = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
    let weight = i16::try_from(whole.len().div_ceil(4)).unwrap_or(i16::MAX) - 1;
    out.extend(count(groups.len()).to_be_bytes());
    out.extend(weight.to_be_bytes());
    out.extend(sign.to_be_bytes());
    out.extend(count(decimals.len()).to_be_bytes());
    groups.iter().for_each(|group| out.extend(group.to_be_bytes()));
}

fn list(
    lists: &ListArray,
    items: &Cells,
    row: usize,
    binary: bool,
    out: &mut Vec<u8>,
) -> Result<(), ArrowError> {
    let bound = |row: usize| {
        usize::try_from(lists.value_offsets().get(row).copied().unwrap_or_default()).unwrap_or_default()
    };
    let range = bound(row)..bound(row + 1);
    if binary {
        return list_bytes(items, range, out);
    }
    out.push(b'{');
    let mut item = Vec::new();
    for place in range.clone() {
        if place > range.start {
            out.push(b',');
        }
        item.clear();
        if items.write(place, false, &mut item)? {
            quoted(&item, out);
        } else {
            out.extend(b"NULL");
        }
    }
    out.push(b'}');
    Ok(())
}

/// An item of an array as text: quoted where it could be taken for something else.
fn quoted(item: &[u8], out: &mut Vec<u8>) {
    let special = |byte: &u8| matches!(byte, b'{' | b'}' | b',' | b'"' | b'\\') || byte.is_ascii_whitespace();
    if !item.is_empty() && !item.iter().any(special) && !item.eq_ignore_ascii_case(b"null") {
        out.extend(item);
        return;
    }
    out.push(b'"');
    for byte in item {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

fn list_bytes(items: &Cells, range: std::ops::Range<usize>, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    let nulls = range.clone().any(|place| items.is_null(place));
    let dimensions = i32::from(!range.is_empty());
    out.extend(dimensions.to_be_bytes());
    out.extend(i32::from(nulls).to_be_bytes());
    out.extend(items.kind.to_be_bytes());
    if dimensions == 1 {
        out.extend(i32::try_from(range.len()).unwrap_or(i32::MAX).to_be_bytes());
        out.extend(1_i32.to_be_bytes());
    }
    for place in range {
        measured(items, place, true, out)?;
    }
    Ok(())
}

/// A cell behind its length; -1 is NULL.
pub(crate) fn measured(cells: &Cells, row: usize, binary: bool, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    let place = out.len();
    out.extend((-1_i32).to_be_bytes());
    if cells.write(row, binary, out)? {
        let length = out.len().saturating_sub(place).saturating_sub(4);
        let length = i32::try_from(length)
            .map_err(|_| ArrowError::InvalidArgumentError("a value is longer than 2 GiB".to_owned()))?;
        if let Some(room) = out.get_mut(place..place + 4) {
            room.copy_from_slice(&length.to_be_bytes());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn times_and_intervals_as_postgresql_writes_them() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (-106_751, "1677-09-22"),
            (EPOCH_DAYS, "2000-01-01"),
        ] {
            assert_eq!(told(|out| date(days, out)), expected);
        }
        assert_eq!(told(|out| clock(3_661_000_100, out)), "01:01:01.0001");
        for ((months, days, nanos), expected) in [
            ((0, 0, 0), "00:00:00"),
            ((14, 1, 0), "1 year 2 mons 1 day"),
            ((0, -3, 90_000_000_000), "-3 days +00:01:30"),
            ((-14, 2, 1_000_000_000), "-1 years -2 mons +2 days 00:00:01"),
            ((0, 0, -1_500_000_000), "-00:00:01.5"),
            ((0, 0, 360_000_000_000_000), "100:00:00"),
        ] {
            assert_eq!(
                told(|out| interval_text(IntervalMonthDayNano::new(months, days, nanos), out)),
                expected
            );
        }
    }

    #[test]
    fn numbers_as_postgresql_writes_them() {
        for (value, expected) in [
            (20.0, "20"),
            (20.5, "20.5"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (1e300, "1e+300"),
            (1.5e-7, "1.5e-07"),
            (1e15, "1e+15"),
            (0.00001, "1e-05"),
            (0.0001, "0.0001"),
            (123_456_789_012_345.0, "123456789012345"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(told(|out| float(value, &value, PLAIN_DOUBLE, out)), expected);
        }
        for (number, expected) in [
            ("0", vec![0, 0xFFFF, 0, 0]),
            ("12345", vec![2, 1, 0, 0, 1, 2345]),
            ("-1.5", vec![2, 0, 0x4000, 1, 1, 5000]),
            ("18446744073709551615", vec![5, 4, 0, 0, 1844, 6744, 737, 955, 1615]),
            ("0.00012", vec![2, 0xFFFF, 0, 5, 1, 2000]),
        ] {
            let mut out = Vec::new();
            numeric_bytes(number, &mut out);
            let words: Vec<u16> = out.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            assert_eq!(words, expected, "{number}");
        }
    }

    #[test]
    fn items_are_quoted_where_they_must_be() {
        for (item, expected) in [
            ("a", "a"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("null", "\"null\""),
            ("a\"\\", r#""a\"\\""#),
            ("{", "\"{\""),
        ] {
            assert_eq!(told(|out| quoted(item.as_bytes(), out)), expected);
        }
    }
}
