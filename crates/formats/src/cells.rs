//! One cell of a table as text, for JSON and CSV alike: times as RFC 3339, floats shortest and exact, integers whole.
//! What is not here: separators, headers, quoting of CSV.

use std::fmt::Write;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int64Array, StringViewArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType, UInt64Type,
};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::sync::Arc;
use tidemill_core::format_rfc3339;

/// A column whose cells can be written.
pub(crate) enum Cells {
    Null,
    Bool(BooleanArray),
    Int(Int64Array),
    UInt(UInt64Array),
    Float(Float64Array),
    Single(Float32Array),
    Text(StringViewArray),
    /// With whether a `Z` belongs to it.
    Time(TimestampNanosecondArray, bool),
    /// Lists, structs, maps: as JSON.
    Nested(ArrayRef, Arc<Field>),
    /// Dates, intervals, decimals, bytes: as their text.
    Other(ArrayRef),
}

/// What a cell is, for who decides about quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CellKind {
    /// NULL: nothing was written.
    Null,
    /// A number, a truth value: the same in JSON and CSV.
    Bare,
    /// NaN and the infinities, which JSON has no numbers for.
    NotFinite,
    /// Needs quotes.
    Text,
    /// Is JSON already.
    Json,
}

impl Cells {
    /// Of a column; numbers of all widths become the widest.
    pub(crate) fn of(field: &Arc<Field>, column: &ArrayRef) -> Result<Cells, ArrowError> {
        Ok(match column.data_type() {
            DataType::Null => Cells::Null,
            DataType::Boolean => Cells::Bool(column.as_boolean().clone()),
            kind if kind.is_signed_integer() => {
                Cells::Int(cast(column, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            kind if kind.is_unsigned_integer() => {
                Cells::UInt(cast(column, &DataType::UInt64)?.as_primitive::<UInt64Type>().clone())
            }
            DataType::Float64 => Cells::Float(column.as_primitive::<Float64Type>().clone()),
            DataType::Float32 | DataType::Float16 => {
                Cells::Single(cast(column, &DataType::Float32)?.as_primitive::<Float32Type>().clone())
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Cells::Text(cast(column, &DataType::Utf8View)?.as_string_view().clone())
            }
            DataType::Timestamp(_, zone) => {
                let kind = DataType::Timestamp(TimeUnit::Nanosecond, zone.clone());
                let strict = CastOptions { safe: false, ..CastOptions::default() };
                match cast_with_options(column, &kind, &strict) {
                    Ok(times) => {
                        Cells::Time(times.as_primitive::<TimestampNanosecondType>().clone(), zone.is_some())
                    }
                    // Years that nanoseconds cannot hold.
                    Err(_) => Cells::Other(column.clone()),
                }
            }
            DataType::Dictionary(_, value) => Cells::of(field, &cast(column, value)?)?,
            kind if kind.is_nested() => Cells::Nested(column.clone(), field.clone()),
            _ => Cells::Other(column.clone()),
        })
    }

    /// Writes the cells one after the other, each between what `around` does before and after it.
    pub(crate) fn writer(&self) -> Result<CellWriter<'_>, ArrowError> {
        Ok(match self {
            Cells::Nested(column, field) => {
                CellWriter::Nested(make_encoder(field, column.as_ref(), nested_options())?)
            }
            Cells::Other(column) => {
                CellWriter::Other(ArrayFormatter::try_new(column.as_ref(), &OTHER)?, column)
            }
            plain => CellWriter::Plain(plain),
        })
    }
}

const OTHER: FormatOptions<'static> = FormatOptions::new();

fn nested_options() -> &'static EncoderOptions {
    static OPTIONS: std::sync::LazyLock<EncoderOptions> = std::sync::LazyLock::new(EncoderOptions::default);
    &OPTIONS
}

/// Writes cells of one column.
pub(crate) enum CellWriter<'a> {
    Plain(&'a Cells),
    Nested(NullableEncoder<'a>),
    Other(ArrayFormatter<'a>, &'a ArrayRef),
}

impl CellWriter<'_> {
    /// Appends a cell's text and says what it is.
    pub(crate) fn write(&mut self, row: usize, out: &mut String) -> CellKind {
        match self {
            CellWriter::Plain(cells) => plain(cells, row, out).unwrap_or(CellKind::Null),
            CellWriter::Nested(encoder) => {
                if encoder.is_null(row) {
                    return CellKind::Null;
                }
                let mut bytes = Vec::new();
                encoder.encode(row, &mut bytes);
                out.push_str(&String::from_utf8_lossy(&bytes));
                CellKind::Json
            }
            CellWriter::Other(formatter, column) => {
                if column.is_null(row) {
                    return CellKind::Null;
                }
                if sql_type(column.data_type()) == BYTES {
                    out.push_str("0x");
                }
                append(out, format_args!("{}", formatter.value(row)));
                CellKind::Text
            }
        }
    }
}

/// None where the cell is NULL.
fn plain(cells: &Cells, row: usize, out: &mut String) -> Option<CellKind> {
    fn at<A: Array>(array: &A, row: usize) -> Option<&A> {
        array.is_valid(row).then_some(array)
    }
    match cells {
        Cells::Bool(column) => append(out, format_args!("{}", at(column, row)?.value(row))),
        Cells::Int(column) => append(out, format_args!("{}", at(column, row)?.value(row))),
        Cells::UInt(column) => append(out, format_args!("{}", at(column, row)?.value(row))),
        Cells::Float(column) => return Some(float(at(column, row)?.value(row), out)),
        Cells::Single(column) => {
            let value = at(column, row)?.value(row);
            if !value.is_finite() {
                return Some(float(f64::from(value), out));
            }
            append(out, format_args!("{value:?}"));
        }
        Cells::Time(column, zoned) => {
            format_rfc3339(at(column, row)?.value(row), out);
            if !zoned {
                out.pop();
            }
            return Some(CellKind::Text);
        }
        Cells::Text(column) => {
            out.push_str(at(column, row)?.value(row));
            return Some(CellKind::Text);
        }
        Cells::Null | Cells::Nested(..) | Cells::Other(..) => return None,
    }
    Some(CellKind::Bare)
}

/// The shortest text that reads back as the same float, always recognisable as one: `20.0`, `1e300`, `NaN`.
pub(crate) fn float(value: f64, out: &mut String) -> CellKind {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    } else {
        append(out, format_args!("{value:?}"));
        return CellKind::Bare;
    }
    CellKind::NotFinite
}

fn append(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String fails only when a Display does, and then the cell stays as far as it came.
    let _ = out.write_fmt(text);
}

/// A JSON string.
pub fn json_string(text: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (place, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1F => "",
            _ => continue,
        };
        out.push_str(text.get(plain..place).unwrap_or_default());
        out.push_str(escape);
        if escape.is_empty() {
            append(out, format_args!("\\u{byte:04x}"));
        }
        plain = place + 1;
    }
    out.push_str(text.get(plain..).unwrap_or_default());
    out.push('"');
}

/// SQL's word for bytes.
const BYTES: &str = "BYTEA";

/// A type in SQL's words.
pub fn sql_type(kind: &DataType) -> String {
    let word = match kind {
        DataType::Null => "NULL",
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INTEGER",
        DataType::Int64 => "BIGINT",
        DataType::UInt8 => "TINYINT UNSIGNED",
        DataType::UInt16 => "SMALLINT UNSIGNED",
        DataType::UInt32 => "INTEGER UNSIGNED",
        DataType::UInt64 => "BIGINT UNSIGNED",
        DataType::Float16 | DataType::Float32 => "REAL",
        DataType::Float64 => "DOUBLE",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "TEXT",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            BYTES
        }
        DataType::Date32 | DataType::Date64 => "DATE",
        DataType::Time32(_) | DataType::Time64(_) => "TIME",
        DataType::Timestamp(_, _) => "TIMESTAMP",
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL",
        DataType::Dictionary(_, value) => return sql_type(value),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            return format!("{}[]", sql_type(item.data_type()));
        }
        DataType::Struct(_) => "STRUCT",
        DataType::Map(..) => "MAP",
        other => return other.to_string(),
    };
    word.to_owned()
}
