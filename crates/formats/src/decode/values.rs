//! Rows of parameters out of an Arrow stream: few and small, each cell one value. What is not here: samples, and what a
//! query makes of the values.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Float64Type, Int64Type, UInt64Type};
use bytes::Bytes;
use serde_json::json;
use tidemill_core::{Format, Problem, Value, codes, rfc3339};

use super::column::{self, Texts};
use super::{Plan, guarded, messages, too_large, wrong};

/// The most rows.
const ROWS_MAX: usize = 10_000;
/// What all values together, and the columns that they are taken from, may hold.
const BYTES_MAX: usize = 16 << 20;

/// The rows of a body; see [`tidemill_core::History::sql_values`].
pub fn values(format: Format, body: Bytes) -> Result<Vec<Vec<Value>>, Problem> {
    if format != Format::Arrow {
        let detail = format!("parameters are not taken as {}", format.media_type());
        return Err(Problem::new(&codes::UNSUPPORTED_FORMAT, detail));
    }
    guarded(move || {
        let plan = messages::Messages::of(&body)?;
        if plan.rows > ROWS_MAX || plan.unpacked_bytes > BYTES_MAX {
            return Err(too_large(&format!("more than {ROWS_MAX} rows or {BYTES_MAX} bytes of parameters")));
        }
        let mut batches = Plan::Arrow(plan).batches(body)?;
        let (mut rows, mut bytes) = (Vec::new(), 0usize);
        while let Some(batch) = batches.next()? {
            let mut columns = Vec::with_capacity(batch.num_columns());
            for column in batch.columns() {
                columns.push(cells(column, &mut bytes)?.into_iter());
            }
            for _ in 0..batch.num_rows() {
                rows.push(columns.iter_mut().map(|column| column.next().unwrap_or_default()).collect());
            }
        }
        Ok(rows)
    })
}

/// The cells of a column. A text may stand in a dictionary once and in the column often: each is counted.
fn cells(array: &ArrayRef, bytes: &mut usize) -> Result<Vec<Value>, Problem> {
    let as_type = |kind: &DataType| cast(array, kind).map_err(|error| wrong(&error));
    Ok(match array.data_type() {
        DataType::Null => vec![Value::None; array.len()],
        DataType::Boolean => array.as_boolean().iter().map(|value| some(value, Value::Bool)).collect(),
        kind if kind.is_signed_integer() => {
            let numbers = as_type(&DataType::Int64)?;
            numbers.as_primitive::<Int64Type>().iter().map(|value| some(value, Value::Int)).collect()
        }
        kind if kind.is_unsigned_integer() => {
            let numbers = as_type(&DataType::UInt64)?;
            numbers.as_primitive::<UInt64Type>().iter().map(|value| some(value, Value::UInt)).collect()
        }
        DataType::Decimal32(digits, scale)
        | DataType::Decimal64(digits, scale)
        | DataType::Decimal128(digits, scale)
        | DataType::Decimal256(digits, scale) => decimals(array, (*digits, *scale), bytes)?,
        DataType::Duration(unit) => {
            let unit = unit.to_string();
            let typed =
                |count: i64| Value::Json(json!({ "duration": count, "unit": unit }).to_string().into());
            let counts = as_type(&DataType::Int64)?;
            counts.as_primitive::<Int64Type>().iter().map(|count| some(count, typed)).collect()
        }
        kind if kind.is_floating() => {
            let numbers = as_type(&DataType::Float64)?;
            numbers.as_primitive::<Float64Type>().iter().map(|value| some(value, Value::Float)).collect()
        }
        DataType::Timestamp(_, _) => {
            let times = column::times(array).map_err(|(_, problem)| problem)?;
            times.into_iter().map(|time| some(time, |time| Value::Text(rfc3339(time).into()))).collect()
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            let binary = as_type(&DataType::Binary)?;
            count(bytes, binary.get_array_memory_size())?;
            binary
                .as_binary::<i32>()
                .iter()
                .map(|value| some(value, |value| Value::Bytes(value.into())))
                .collect()
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(_, _) => {
            texts(array, bytes)?
        }
        DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) => {
            texts(&as_type(&DataType::Utf8)?, bytes)?
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            let lists = as_type(&DataType::List(item.clone()))?;
            let lists = lists.as_list::<i32>();
            count(bytes, lists.get_array_memory_size())?;
            let mut list = |items: ArrayRef| -> Result<Value, Problem> {
                let items = cells(&items, bytes)?;
                Ok(Value::Json(list_of(&items)?.into()))
            };
            lists.iter().map(|items| items.map_or(Ok(Value::None), &mut list)).collect::<Result<_, _>>()?
        }
        other => {
            let detail = format!("a parameter has the type {other}, which no parameter can have");
            return Err(Problem::new(&codes::BAD_ARROW, detail));
        }
    })
}

/// Decimals with all their digits, and how many they may have: as JSON has no type for them, they tell it.
fn decimals(array: &ArrayRef, (digits, scale): (u8, i8), bytes: &mut usize) -> Result<Vec<Value>, Problem> {
    let digits = digits.saturating_add(scale.min(0).unsigned_abs());
    if digits > DECIMAL128_MAX_PRECISION {
        let detail = format!("a parameter is a decimal of {digits} digits");
        return Err(Problem::new(&codes::BAD_ARROW, detail)
            .hint(format!("Send decimals of at most {DECIMAL128_MAX_PRECISION} digits, or text")));
    }
    let shown = cast(array, &DataType::Utf8).map_err(|error| wrong(&error))?;
    count(bytes, shown.get_array_memory_size())?;
    let typed = |text: &str| Value::Json(json!({ "decimal": text, "digits": digits }).to_string().into());
    Ok(shown.as_string::<i32>().iter().map(|text| some(text, typed)).collect())
}

fn texts(array: &ArrayRef, bytes: &mut usize) -> Result<Vec<Value>, Problem> {
    let texts = Texts::of("parameter", array)?;
    let mut values = Vec::with_capacity(array.len());
    for row in 0..array.len() {
        let text = texts.at(row);
        count(bytes, text.map_or(0, str::len))?;
        values.push(some(text, |text| Value::Text(text.into())));
    }
    Ok(values)
}

/// A list as JSON has it.
fn list_of(items: &[Value]) -> Result<String, Problem> {
    let one = |item: &Value| match item {
        Value::None => Ok("null".to_owned()),
        Value::Float(value) if !value.is_finite() => Err(no_list("a float that is no number")),
        // With a point, so that it stays a float.
        Value::Float(value) => Ok(format!("{value:?}")),
        Value::Text(text) => Ok(serde_json::Value::from(text.as_ref()).to_string()),
        Value::Int(_) | Value::UInt(_) | Value::Bool(_) => Ok(item.as_ref().to_string()),
        // What tells its type.
        Value::Json(text) if text.starts_with('{') => Ok(text.to_string()),
        Value::Json(_) | Value::Bytes(_) => Err(no_list("lists or bytes")),
    };
    Ok(format!("[{}]", items.iter().map(one).collect::<Result<Vec<_>, _>>()?.join(",")))
}

fn no_list(what: &str) -> Problem {
    Problem::new(&codes::BAD_ARROW, format!("a list of parameters holds {what}, which none can hold"))
}

fn count(bytes: &mut usize, more: usize) -> Result<(), Problem> {
    *bytes = bytes.saturating_add(more);
    if *bytes > BYTES_MAX {
        return Err(too_large(&format!("more than {BYTES_MAX} bytes of parameters")));
    }
    Ok(())
}

fn some<T>(value: Option<T>, made: impl FnOnce(T) -> Value) -> Value {
    value.map_or(Value::None, made)
}
