//! Times as requests spell them: RFC 3339, numbers in a stated unit, and relative to now. Nothing is guessed: a number
//! without a unit is refused. How the command line reads times (zones, magnitude) is its own business.

use tidemill_core::{NANOS_PER_SECOND, decimal_units, format_rfc3339, parse_duration, parse_rfc3339};

use crate::error::{Error, excerpt};

/// What a number of time counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "plain words")]
pub enum TimeUnit {
    #[default]
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    /// InfluxDB 1 alone knows it.
    Minutes,
    /// InfluxDB 1 alone knows it.
    Hours,
}

impl TimeUnit {
    /// All that our own calls know.
    pub const ALL: [TimeUnit; 4] =
        [TimeUnit::Nanoseconds, TimeUnit::Microseconds, TimeUnit::Milliseconds, TimeUnit::Seconds];

    /// As it is written in `precision=` and `time=`.
    pub fn name(self) -> &'static str {
        match self {
            TimeUnit::Nanoseconds => "ns",
            TimeUnit::Microseconds => "us",
            TimeUnit::Milliseconds => "ms",
            TimeUnit::Seconds => "s",
            TimeUnit::Minutes => "m",
            TimeUnit::Hours => "h",
        }
    }

    /// The unit of that name.
    pub fn from_name(name: &str) -> Option<TimeUnit> {
        Self::ALL.into_iter().find(|unit| unit.name() == name)
    }

    /// How many nanoseconds it has.
    pub fn nanoseconds(self) -> i64 {
        match self {
            TimeUnit::Nanoseconds => 1,
            TimeUnit::Microseconds => 1_000,
            TimeUnit::Milliseconds => 1_000_000,
            TimeUnit::Seconds => NANOS_PER_SECOND,
            TimeUnit::Minutes => 60 * NANOS_PER_SECOND,
            TimeUnit::Hours => 3_600 * NANOS_PER_SECOND,
        }
    }
}

/// A decimal number of units as nanoseconds: `1700000000.25` seconds. No exponent; digits beyond the nanosecond are
/// cut. `None`: not of the form, or out of range.
pub fn parse_number(text: &str, unit: TimeUnit) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let total = decimal_units(digits, unit.nanoseconds().unsigned_abs())?;
    i64::try_from(if negative { total.checked_neg()? } else { total }).ok()
}

/// A time of a query: RFC 3339 (also where a `+` became a space in the query string), `now`, `-1h`, `now-1h30m`, or a
/// number if its unit is stated.
///
/// # Errors
/// [`Error::Time`], and what [`parse_rfc3339`] says.
pub fn parse_query_time(text: &str, unit: Option<TimeUnit>, now: i64) -> Result<i64, Error> {
    let unknown = || Error::Time(excerpt(text.as_bytes()));
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("now") {
        return if rest.is_empty() { Ok(now) } else { relative(rest, now).ok_or_else(unknown) };
    }
    if let Some(unit) = unit
        && let Some(time) = parse_number(text, unit)
    {
        return Ok(time);
    }
    if text.starts_with(['-', '+']) || text.starts_with(' ') {
        return relative(text, now).ok_or_else(unknown);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(unknown());
    }
    parse_rfc3339(&mend_offset(text)).map_err(|error| Error::from(tidemill_core::Problem::from(error)))
}

/// Turns the space before an offset back into the `+` that form decoding took away.
fn mend_offset(text: &str) -> std::borrow::Cow<'_, str> {
    match text.rsplit_once(' ') {
        Some((head, offset)) if offset.len() == 5 && head.len() > 16 && offset.get(2..3) == Some(":") => {
            format!("{head}+{offset}").into()
        }
        _ => text.into(),
    }
}

/// `-1h`, `+30s`, `-1h30m` from now.
fn relative(text: &str, now: i64) -> Option<i64> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1, text.get(1..)?),
        b'+' => (1, text.get(1..)?),
        _ => return None,
    };
    let distance = i64::try_from(parse_duration(rest)?.as_nanos()).ok()?;
    now.checked_add(distance.checked_mul(sign)?)
}

/// How times are spelled in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeStyle {
    /// As RFC 3339 text.
    #[default]
    Rfc3339,
    /// As a number of units, whole (rounded down).
    Number(TimeUnit),
}

impl TimeStyle {
    /// The style of that name: `rfc3339`, `ms`, `us`, `ns`, `s`.
    pub fn from_name(name: &str) -> Option<TimeStyle> {
        match name {
            "rfc3339" => Some(TimeStyle::Rfc3339),
            name => TimeUnit::from_name(name).map(TimeStyle::Number),
        }
    }

    /// Writes a time as a JSON value.
    pub fn write_json(self, time: i64, out: &mut String) {
        match self {
            TimeStyle::Rfc3339 => {
                out.push('"');
                format_rfc3339(time, out);
                out.push('"');
            }
            TimeStyle::Number(unit) => {
                let mut buffer = itoa::Buffer::new();
                out.push_str(buffer.format(time.div_euclid(unit.nanoseconds())));
            }
        }
    }
}

#[cfg(test)]
#[path = "times_tests.rs"]
mod tests;
