//! Intervals as PostgreSQL's users write them: in units, as a clock, as ISO 8601 has it, and as seconds alone. What is not here:
//! how intervals are told ([`super::values`]), and how they are multiplied ([`super::times`]).

use std::ops::RangeInclusive;

use arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::{DataFusionError, Result};

use crate::error::bad;

const SECOND_NANOS: i64 = 1_000_000_000;
const DAY_NANOS: i64 = 86_400 * SECOND_NANOS;
/// Of which parts of months become days, as in PostgreSQL.
const MONTH_DAYS: f64 = 30.0;

/// What a number counts.
#[derive(Clone, Copy)]
enum Unit {
    Months(i32),
    Days(i32),
    Nanos(i64),
}

#[rustfmt::skip]
const UNITS: [(&[&str], Unit); 13] = [
    (&["y", "yr", "yrs", "year", "years"], Unit::Months(12)),
    (&["mon", "mons", "month", "months"], Unit::Months(1)),
    (&["dec", "decs", "decade", "decades"], Unit::Months(120)),
    (&["c", "cent", "century", "centuries"], Unit::Months(1_200)),
    (&["mil", "mils", "millennium", "millennia"], Unit::Months(12_000)),
    (&["w", "week", "weeks"], Unit::Days(7)),
    (&["d", "day", "days"], Unit::Days(1)),
    (&["h", "hr", "hrs", "hour", "hours"], Unit::Nanos(3_600 * SECOND_NANOS)),
    (&["m", "min", "mins", "minute", "minutes"], Unit::Nanos(60 * SECOND_NANOS)),
    (&["s", "sec", "secs", "second", "seconds"], Unit::Nanos(SECOND_NANOS)),
    (&["ms", "msec", "msecs", "msecond", "mseconds", "millisecond", "milliseconds"], Unit::Nanos(1_000_000)),
    (&["us", "usec", "usecs", "usecond", "useconds", "microsecond", "microseconds"], Unit::Nanos(1_000)),
    // Times have nanoseconds here, and PostgreSQL's none.
    (&["ns", "nanosecond", "nanoseconds"], Unit::Nanos(1)),
];

/// Where in [`UNITS`] they stand.
const MONTHS: usize = 1;
const DAYS: usize = 6;
const HOURS: usize = 7;
const SECONDS: usize = 9;
const MICROSECONDS: usize = 11;

/// Which units were given: none may be given twice.
#[derive(Default)]
struct Given(u16);

impl Given {
    fn note(&mut self, units: RangeInclusive<usize>) -> Option<()> {
        let given = units.fold(0, |given, unit| given | 1 << unit);
        let first = self.0 & given == 0;
        self.0 |= given;
        first.then_some(())
    }
}

/// In months, days and nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parts {
    months: i32,
    days: i32,
    nanos: i64,
}

/// An interval in words that the planner reads.
///
/// # Errors
/// It is none in PostgreSQL.
pub(crate) fn said(text: &str) -> Result<String> {
    let Parts { months, days, nanos } = read(text).ok_or_else(|| none(text))?;
    Ok(format!("{months} months {days} days {nanos} nanoseconds"))
}

/// An interval.
///
/// # Errors
/// It is none in PostgreSQL.
pub(crate) fn interval(text: &str) -> Result<IntervalMonthDayNano> {
    let Parts { months, days, nanos } = read(text).ok_or_else(|| none(text))?;
    Ok(IntervalMonthDayNano::new(months, days, nanos))
}

fn none(text: &str) -> DataFusionError {
    let shown: String = text.chars().take(40).collect();
    bad(format!("'{shown}' is no interval, such as '1 day 02:30:00'"))
}

fn read(text: &str) -> Option<Parts> {
    let text = text.trim();
    if let Some(iso) = text.strip_prefix('P') {
        return iso_interval(iso);
    }
    let lower = text.to_ascii_lowercase();
    let mut words = words(&lower)?;
    let ago = words.last() == Some(&"ago");
    if ago {
        words.pop();
    }
    let mut parts = Parts::default();
    // From the end: the unit of a number stands behind it. The last one counts seconds without one, and one before a clock days.
    let mut unit = (!ago).then_some((SECONDS, Unit::Nanos(SECOND_NANOS)));
    let (mut counted, mut wanting) = (false, false);
    let mut given = Given::default();
    for word in words.into_iter().rev() {
        let names_unit = word.starts_with(|first: char| first.is_ascii_alphabetic());
        if wanting && (names_unit || word.contains(':')) {
            return None;
        }
        wanting = names_unit;
        if names_unit {
            let place = UNITS.iter().position(|(names, _)| names.contains(&word))?;
            unit = UNITS.get(place).map(|(_, unit)| (place, *unit));
        } else if word.contains(':') {
            parts.add(Unit::Nanos(1), clock(word)?)?;
            given.note(HOURS..=MICROSECONDS)?;
            (unit, counted) = (Some((DAYS, Unit::Days(1))), true);
        } else if let Some((years, months)) = years_and_months(word) {
            parts.add(Unit::Months(12), years)?;
            parts.add(Unit::Months(1), months)?;
            given.note(MONTHS..=MONTHS)?;
            (unit, counted) = (None, true);
        } else {
            let ((place, unit), amount) = (unit.take()?, Amount::of(word)?);
            // Decimals of a second are its milliseconds and microseconds too.
            let last = if place == SECONDS && amount.part != 0.0 { MICROSECONDS } else { place };
            given.note(place..=last)?;
            parts.add(unit, amount)?;
            counted = true;
        }
    }
    if ago {
        parts = Parts {
            months: parts.months.checked_neg()?,
            days: parts.days.checked_neg()?,
            nanos: parts.nanos.checked_neg()?,
        };
    }
    (counted && !wanting).then_some(parts)
}

/// Numbers, clocks and names, which may stand together: `1d2h`.
fn words(text: &str) -> Option<Vec<&str>> {
    let mut words = Vec::new();
    for mut rest in text.split_whitespace().filter(|word| *word != "@") {
        while let Some(first) = rest.chars().next() {
            let letter = |c: char| c.is_ascii_alphabetic();
            let number = |c: char| c.is_ascii_digit() || matches!(c, '.' | ':' | '-' | '+');
            let end = match first {
                first if letter(first) => rest.find(|c| !letter(c)),
                first if number(first) => rest.find(|c| !number(c)),
                _ => return None,
            };
            let (word, behind) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
            words.push(word);
            rest = behind;
        }
    }
    Some(words)
}

/// A number as it is written: its whole part, and what stands behind the point, both with its sign.
#[derive(Clone, Copy)]
struct Amount {
    whole: i64,
    part: f64,
}

impl Amount {
    fn of(word: &str) -> Option<Amount> {
        let (sign, digits) = match word.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, word.strip_prefix('+').unwrap_or(word)),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let all = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() && part.is_empty() || !all(whole) || !all(part) {
            return None;
        }
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let part: f64 = if part.is_empty() { 0.0 } else { format!("0.{part}").parse().ok()? };
        Some(Amount { whole: whole * sign, part: part * sign as f64 })
    }

    fn nanos(nanos: i64) -> Amount {
        Amount { whole: nanos, part: 0.0 }
    }
}

impl Parts {
    /// Parts of years become months, those of months days, and those of days hours.
    fn add(&mut self, unit: Unit, amount: Amount) -> Option<()> {
        let whole = |factor: i32| i32::try_from(amount.whole.checked_mul(i64::from(factor))?).ok();
        match unit {
            Unit::Months(1) => {
                self.months = self.months.checked_add(whole(1)?)?;
                self.add_days(amount.part * MONTH_DAYS)
            }
            Unit::Months(months) => {
                let part = (amount.part * f64::from(months)).round() as i32;
                self.months = self.months.checked_add(whole(months)?)?.checked_add(part)?;
                Some(())
            }
            Unit::Days(days) => {
                self.days = self.days.checked_add(whole(days)?)?;
                self.add_days(amount.part * f64::from(days))
            }
            Unit::Nanos(nanos) => {
                let part = (amount.part * nanos as f64).round() as i64;
                let whole = amount.whole.checked_mul(nanos)?;
                self.nanos = self.nanos.checked_add(whole)?.checked_add(part)?;
                Some(())
            }
        }
    }

    /// Of less than a hundred days.
    fn add_days(&mut self, days: f64) -> Option<()> {
        self.days = self.days.checked_add(days.trunc() as i32)?;
        self.nanos = self.nanos.checked_add((days.fract() * DAY_NANOS as f64).round() as i64)?;
        Some(())
    }
}

/// `1-2` is a year and two months.
fn years_and_months(word: &str) -> Option<(Amount, Amount)> {
    let sign = if word.starts_with('-') { -1 } else { 1 };
    let (years, months) = word.strip_prefix(['-', '+']).unwrap_or(word).split_once('-')?;
    let number = |text: &str| text.parse::<u16>().ok().map(i64::from);
    let (years, months) = (number(years)?, number(months).filter(|months| *months < 12)?);
    Some((Amount::nanos(sign * years), Amount::nanos(sign * months)))
}

/// `-02:03:04.5`, of which `03:04.5` are minutes and seconds.
fn clock(word: &str) -> Option<Amount> {
    let (sign, rest) = match word.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, word.strip_prefix('+').unwrap_or(word)),
    };
    let parts: Vec<&str> = rest.split(':').collect();
    let (hours, minutes, seconds) = match parts.as_slice() {
        [minutes, seconds] if seconds.contains('.') => ("0", *minutes, *seconds),
        [hours, minutes] => (*hours, *minutes, "0"),
        [hours, minutes, seconds] => (*hours, *minutes, *seconds),
        _ => return None,
    };
    let number = |text: &str| text.parse::<u32>().ok().map(i64::from);
    let (hours, minutes) = (number(hours)?, number(minutes).filter(|minutes| *minutes < 60)?);
    let seconds = Amount::of(seconds).filter(|seconds| (0..=60).contains(&seconds.whole))?;
    let mut clock = Parts::default();
    clock.add(Unit::Nanos(SECOND_NANOS), seconds)?;
    let whole = (hours * 3_600 + minutes * 60).checked_mul(SECOND_NANOS)?;
    Some(Amount::nanos(sign * clock.nanos.checked_add(whole)?))
}

/// What stands behind the `P` of `P1Y2M3DT4H5M6.5S`.
fn iso_interval(text: &str) -> Option<Parts> {
    const DATES: [(char, Unit); 4] =
        [('Y', Unit::Months(12)), ('M', Unit::Months(1)), ('W', Unit::Days(7)), ('D', Unit::Days(1))];
    const TIMES: [(char, Unit); 3] = [
        ('H', Unit::Nanos(3_600 * SECOND_NANOS)),
        ('M', Unit::Nanos(60 * SECOND_NANOS)),
        ('S', Unit::Nanos(SECOND_NANOS)),
    ];
    let (days, times) = text.split_once('T').unwrap_or((text, ""));
    let mut parts = Parts::default();
    let mut counted = false;
    for (mut rest, units) in [(days, &DATES[..]), (times, &TIMES[..])] {
        while !rest.is_empty() {
            let (amount, behind) = rest.split_at_checked(rest.find(|c: char| c.is_ascii_alphabetic())?)?;
            let mut letters = behind.chars();
            let letter = letters.next()?;
            let (_, unit) = units.iter().find(|(known, _)| *known == letter)?;
            parts.add(*unit, Amount::of(amount)?)?;
            counted = true;
            rest = letters.as_str();
        }
    }
    counted.then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values are those of PostgreSQL 15.
    #[test]
    fn intervals_are_read_as_postgresql_reads_them() {
        const SECOND: i64 = SECOND_NANOS;
        for (text, months, days, nanos) in [
            ("30", 0, 0, 30 * SECOND),
            ("-30", 0, 0, -30 * SECOND),
            ("1.5", 0, 0, 3 * SECOND / 2),
            ("1 hour 30", 0, 0, 3_630 * SECOND),
            ("1 hour -30", 0, 0, 3_570 * SECOND),
            ("2 days 1.5", 0, 2, 3 * SECOND / 2),
            ("1 h 2 m 3 s", 0, 0, 3_723 * SECOND),
            ("1d2h", 0, 1, 7_200 * SECOND),
            ("1 day 2:00:00", 0, 1, 7_200 * SECOND),
            ("1 day -00:30", 0, 1, -1_800 * SECOND),
            ("-1 days +02:00:00", 0, -1, 7_200 * SECOND),
            ("3 02:00", 0, 3, 7_200 * SECOND),
            ("1:30.5", 0, 0, 90 * SECOND + SECOND / 2),
            ("1 year 2 mons 3 days 04:05:06.7", 14, 3, 14_706 * SECOND + 700_000_000),
            ("1 day ago", 0, -1, 0),
            ("1-2", 14, 0, 0),
            ("-1-2", -14, 0, 0),
            ("2 weeks", 0, 14, 0),
            ("1.5 weeks", 0, 10, 43_200 * SECOND),
            ("1.5 days", 0, 1, 43_200 * SECOND),
            ("1.5 months", 1, 15, 0),
            ("1.5 years", 18, 0, 0),
            ("1 century", 1_200, 0, 0),
            ("500 ms", 0, 0, SECOND / 2),
            ("5 us", 0, 0, 5_000),
            ("P1Y2M3DT4H5M6.5S", 14, 3, 14_706 * SECOND + SECOND / 2),
            ("PT90M", 0, 0, 5_400 * SECOND),
            ("-00:00:01.5", 0, 0, -3 * SECOND / 2),
        ] {
            assert_eq!(read(text), Some(Parts { months, days, nanos }), "{text}");
        }
        for text in [
            "",
            "1 30",
            "1 hour 30 ago",
            "day 5",
            "1 hour day",
            "1 fortnight",
            "soon",
            "1:x",
            "PX",
            "P",
            "ago",
            "hour",
            "1:75",
            "1e3",
            "1 day 1 day",
            "1 hour 02:00",
            "1 day 2 days 3 hours",
            "1.5 s 20 ms",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
