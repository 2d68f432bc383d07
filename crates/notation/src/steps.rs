//! Rows without times of their own: when the first was, and how far apart they are. Which column counts, if
//! any does, is not decided here.

#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::time::{TimeFault, Unit};

/// How far apart rows are: fixed, or by the calendar of the time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nanoseconds.
    Nanos(i64),
    /// Calendar days, which have 23 or 25 hours where the clocks change.
    Days(i32),
    /// Calendar months.
    Months(i32),
}

const SECOND: i64 = 1_000_000_000;

/// The units of a step, and what one is.
const UNITS: &[(&str, Step)] = &[
    ("ns", Step::Nanos(1)),
    ("us", Step::Nanos(1_000)),
    ("µs", Step::Nanos(1_000)),
    ("ms", Step::Nanos(1_000_000)),
    ("s", Step::Nanos(SECOND)),
    ("sec", Step::Nanos(SECOND)),
    ("m", Step::Nanos(60 * SECOND)),
    ("min", Step::Nanos(60 * SECOND)),
    ("h", Step::Nanos(3_600 * SECOND)),
    ("hr", Step::Nanos(3_600 * SECOND)),
    ("d", Step::Days(1)),
    ("w", Step::Days(7)),
    ("mo", Step::Months(1)),
    ("y", Step::Months(12)),
];

impl Step {
    /// `3m`, `0.5s`, `1d`, `1mo`: a number above 0 and a unit; days and longer are whole.
    pub fn parse(text: &str) -> Option<Step> {
        let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (count, unit) = (text.get(..at)?, text.get(at..)?.trim());
        let (_, one) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let whole = || count.parse::<i32>().ok().filter(|count| *count > 0);
        match one {
            Step::Nanos(nanos) => {
                let billionths = decimal(count)?;
                let nanos = i64::try_from(billionths * i128::from(*nanos) / i128::from(SECOND)).ok()?;
                (nanos > 0).then_some(Step::Nanos(nanos))
            }
            Step::Days(days) => Some(Step::Days(whole()?.checked_mul(*days)?)),
            Step::Months(months) => Some(Step::Months(whole()?.checked_mul(*months)?)),
        }
    }

    /// The unit that a header gives to a column of elapsed time.
    pub fn of_unit(unit: &str) -> Option<Step> {
        let found = UNITS.iter().find(|(name, _)| *name == unit && *name != "m");
        found.map(|(_, step)| *step)
    }

    /// For people.
    pub fn name(self) -> String {
        let largest = |nanos: i64| {
            let fits = UNITS.iter().rev().find_map(|(name, one)| match one {
                Step::Nanos(one) if nanos % one == 0 => Some(format!("{}{name}", nanos / one)),
                _ => None,
            });
            fits.unwrap_or_default()
        };
        match self {
            Step::Nanos(nanos) => largest(nanos).replace("hr", "h").replace("min", "m").replace("sec", "s"),
            Step::Days(days) => format!("{days}d"),
            Step::Months(months) => format!("{months}mo"),
        }
    }
}

impl From<Unit> for Step {
    fn from(unit: Unit) -> Step {
        Step::of_unit(unit.name()).unwrap_or(Step::Nanos(1))
    }
}

impl Step {
    /// Whether it is as long as the days or months of a time zone are.
    pub fn is_of_calendar(self) -> bool {
        !matches!(self, Step::Nanos(_))
    }
}

/// When the first row was, in ns UTC, and how far apart they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// The first row.
    pub start: i64,
    /// From one row to the next.
    pub step: Step,
}

impl Grid {
    /// The time so many steps behind the start. Steps of the calendar are whole.
    ///
    /// # Errors
    /// It is no count, or the time is none that can be kept.
    pub fn at(self, count: &str, zone: Option<&TimeZone>) -> Result<i64, TimeFault> {
        let form = || TimeFault::Form(count.chars().take(40).collect());
        let range = || TimeFault::Range(format!("step {count}").chars().take(40).collect());
        let billionths = decimal(count).ok_or_else(form)?;
        let whole = || {
            let count = billionths / i128::from(SECOND);
            (billionths % i128::from(SECOND) == 0).then_some(count).ok_or_else(form)
        };
        let span = match self.step {
            Step::Nanos(nanos) => {
                let later = billionths.checked_mul(i128::from(nanos)).ok_or_else(range)? / i128::from(SECOND);
                let time = later.checked_add(i128::from(self.start)).ok_or_else(range)?;
                return i64::try_from(time).map_err(|_| range());
            }
            Step::Days(days) => {
                let days = whole()?.checked_mul(i128::from(days)).and_then(|days| i64::try_from(days).ok());
                Span::new().try_days(days.ok_or_else(range)?)
            }
            Step::Months(months) => {
                let months = whole()?.checked_mul(i128::from(months)).and_then(|all| i64::try_from(all).ok());
                Span::new().try_months(months.ok_or_else(range)?)
            }
        };
        let zone =
            zone.ok_or_else(|| TimeFault::NoZone(format!("step {count}").chars().take(40).collect()))?;
        let start = Timestamp::from_nanosecond(i128::from(self.start)).map_err(|_| range())?;
        let later =
            start.to_zoned(zone.clone()).checked_add(span.map_err(|_| range())?).map_err(|_| range())?;
        i64::try_from(later.timestamp().as_nanosecond()).map_err(|_| range())
    }
}

/// A decimal number in billionths, exactly where it is written without an exponent.
fn decimal(text: &str) -> Option<i128> {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = body.split_once(['.', ',']).unwrap_or((body, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.len() > 18 {
        let number: f64 = text.parse().ok()?;
        #[allow(clippy::cast_possible_truncation, reason = "below 1e27")]
        return (number.abs() < 1e18).then_some((number * 1e9).round() as i128);
    }
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let places = (0..9).map(|place| fraction.as_bytes().get(place).copied().unwrap_or(b'0'));
    let sum = whole.bytes().chain(places).fold(0i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
    Some(if text.starts_with('-') { -sum } else { sum })
}
