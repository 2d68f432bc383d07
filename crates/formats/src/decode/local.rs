//! Times of a file that say no offset become instants: what the clocks of a time zone make of them is said by who imports
//! the file. What is not here: time zones, and bodies at the doors, where such times are UTC or refused.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, TimestampNanosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType};
use tidemill_core::{Problem, TimeError, parse_rfc3339};

use super::column::{OUTSIDE, Texts};
use super::wrong;

/// Rows without a time, and why.
pub(super) type Untimed = Vec<(usize, String)>;

/// Whether the type of a column leaves open which zone its times are of. A day is its midnight.
pub(super) fn is_open(kind: &DataType) -> bool {
    matches!(kind, DataType::Timestamp(_, None) | DataType::Date32 | DataType::Date64)
}

/// The instants of times that say no offset, where there are any: `read` is given a row and the nanoseconds since 1970
/// that a clock showed. In a file a row without a time has none: it would get another with each import.
pub(super) fn instants(
    times: &ArrayRef,
    read: &mut dyn FnMut(usize, i64) -> Result<i64, String>,
) -> Result<(Option<ArrayRef>, Untimed), Problem> {
    let mut untimed = Vec::new();
    let missing = times.logical_nulls();
    let mut column = |instant: &mut dyn FnMut(usize) -> Result<i64, String>| {
        let mut row_time = |row| {
            let is_missing = missing.as_ref().is_some_and(|nulls| nulls.is_null(row));
            let found = if is_missing { Err("there is no time".to_owned()) } else { instant(row) };
            found.map_err(|reason| untimed.push((row, reason))).ok()
        };
        (0..times.len()).map(&mut row_time).collect::<TimestampNanosecondArray>()
    };
    let found = if is_open(times.data_type()) {
        let shown = match times.data_type() {
            // From days to nanoseconds in one step would overflow.
            DataType::Date32 => cast(times, &DataType::Timestamp(TimeUnit::Second, None)),
            DataType::Date64 => cast(times, &DataType::Timestamp(TimeUnit::Millisecond, None)),
            _ => Ok(times.clone()),
        };
        let shown = shown.and_then(|times| cast(&times, &DataType::Timestamp(TimeUnit::Nanosecond, None)));
        let shown = shown.map_err(|error| wrong(&error))?;
        let shown = shown.as_primitive::<TimestampNanosecondType>();
        // What does not fit was made NULL by the cast.
        let fits = |row| shown.is_valid(row).then(|| shown.value(row)).ok_or_else(|| OUTSIDE.to_owned());
        Some(column(&mut |row| read(row, fits(row)?)))
    } else if let Ok(texts) = Texts::of("time", times) {
        let told = |error: TimeError| error.to_string();
        Some(column(&mut |row| match parse_rfc3339(texts.at(row).unwrap_or_default()) {
            Err(TimeError::NoOffset(text)) => read(row, parse_rfc3339(&format!("{text}Z")).map_err(told)?),
            known => known.map_err(told),
        }))
    } else {
        column(&mut |_| Ok(0));
        None
    };
    Ok((found.map(|times| Arc::new(times.with_timezone("UTC")) as ArrayRef), untimed))
}
