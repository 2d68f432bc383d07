//! Time: i64 nanoseconds since 1970-01-01T00:00:00Z (1677 to 2262), and its RFC 3339 spelling. Time zones, relative
//! times and guessed units are the business of the command line and the doors.

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A text that is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not of the form.
    #[error("'{0}' is no RFC 3339 time: write it like 2026-03-01T06:00:00Z or 2026-03-01T06:00:00.25+01:00")]
    Form(String),
    /// Of the form, without an offset.
    #[error("'{0}' has no offset: add Z, or an offset such as +01:00")]
    NoOffset(String),
    /// A second 60 where there is none.
    #[error(
        "'{0}' has a second 60 where none can be: a leap second is 23:59:60 UTC on the last day of a month"
    )]
    LeapSecond(String),
    /// Outside what i64 nanoseconds can hold.
    #[error("'{0}' is outside the years 1677 to 2262 that nanoseconds in 64 bits can hold")]
    Range(String),
}

/// Reads an RFC 3339 time (section 5.6) with an offset; a space may stand for the `T`, and digits beyond the nanosecond
/// are cut. A leap second (`:60`) is taken where one can be, which is at the end of a month in UTC (section 5.7), and is
/// the first second of the next month, as POSIX time counts it.
///
/// # Errors
/// The text is not of the form, has no offset, or lies outside 1677 to 2262.
pub fn parse_rfc3339(text: &str) -> Result<i64, TimeError> {
    let form = || TimeError::Form(text.chars().take(64).collect());
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = bytes.get(from..to)?;
        digits
            .iter()
            .try_fold(0i64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
    };
    let mark = |at: usize, allowed: &[u8]| bytes.get(at).is_some_and(|byte| allowed.contains(byte));
    if !(mark(4, b"-") && mark(7, b"-") && mark(10, b"Tt ") && mark(13, b":") && mark(16, b":")) {
        return Err(form());
    }
    let field = |from, to| number(from, to).ok_or_else(form);
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    if !(1..=12).contains(&month)
        || day < 1
        || day > days_in_month(year, month)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return Err(form());
    }
    let (nanos, rest) = fraction(bytes.get(19..).unwrap_or_default()).ok_or_else(form)?;
    let offset_seconds = match rest {
        b"Z" | b"z" => 0,
        [] => return Err(TimeError::NoOffset(text.to_owned())),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2]
            if [h1, h2, m1, m2].iter().all(|digit| digit.is_ascii_digit()) =>
        {
            let two = |tens: &u8, ones: &u8| i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
            let (hours, minutes) = (two(h1, h2), two(m1, m2));
            if hours > 23 || minutes > 59 {
                return Err(form());
            }
            (hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return Err(form()),
    };
    let seconds =
        days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset_seconds;
    if second == 60 && !begins_month(seconds) {
        return Err(TimeError::LeapSecond(text.chars().take(64).collect()));
    }
    let total = i128::from(seconds) * i128::from(NANOS_PER_SECOND) + i128::from(nanos);
    i64::try_from(total).map_err(|_| TimeError::Range(text.chars().take(64).collect()))
}

/// Whether a month begins with this second since 1970, in UTC.
fn begins_month(seconds: i64) -> bool {
    seconds.rem_euclid(86_400) == 0 && civil_from_days(seconds.div_euclid(86_400)).2 == 1
}

/// Reads `.digits`, if there, as nanoseconds and gives what follows.
fn fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = bytes.strip_prefix(b".") else { return Some((0, bytes)) };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = digits.split_at(count);
    let nanos = (0..9)
        .fold(0i64, |sum, place| sum * 10 + digits.get(place).map_or(0, |digit| i64::from(digit - b'0')));
    (count > 0).then_some((nanos, rest))
}

/// Writes a time as RFC 3339 in UTC with as many digits of the second as are needed, in groups of three:
/// `2026-03-01T06:00:00Z`, `2026-03-01T06:00:00.250Z`.
pub fn format_rfc3339(time: i64, out: &mut String) {
    use std::fmt::Write;
    let (seconds, nanos) = (time.div_euclid(NANOS_PER_SECOND), time.rem_euclid(NANOS_PER_SECOND));
    let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    let written =
        write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}").and_then(|()| {
            match nanos {
                0 => Ok(()),
                n if n % 1_000_000 == 0 => write!(out, ".{:03}", n / 1_000_000),
                n if n % 1_000 == 0 => write!(out, ".{:06}", n / 1_000),
                n => write!(out, ".{n:09}"),
            }
        });
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
    out.push('Z');
}

/// The same as a text of its own.
pub fn rfc3339(time: i64) -> String {
    let mut text = String::new();
    format_rfc3339(time, &mut text);
    text
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar
/// (<https://howardhinnant.github.io/date_algorithms.html#days_from_civil>).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The date of a day since 1970-01-01 (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times() {
        let table = [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"),
            ("2026-03-01 06:00:00.25+01:00", 1_772_341_200_250_000_000, "2026-03-01T05:00:00.250Z"),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000_000, "2017-01-01T00:00:00Z"),
            ("2017-01-01T00:59:60.5+01:00", 1_483_228_800_500_000_000, "2017-01-01T00:00:00.500Z"),
            ("2000-02-29t12:00:00.123456789z", 951_825_600_123_456_789, "2000-02-29T12:00:00.123456789Z"),
            ("1969-12-31T23:59:59.999999999999Z", -1, "1969-12-31T23:59:59.999999999Z"),
            ("1677-09-21T00:12:43.145224192Z", i64::MIN, "1677-09-21T00:12:43.145224192Z"),
            ("2262-04-11T23:47:16.854775807Z", i64::MAX, "2262-04-11T23:47:16.854775807Z"),
        ];
        for (text, time, shown) in table {
            assert_eq!(parse_rfc3339(text), Ok(time), "{text}");
            assert_eq!(rfc3339(time), shown);
        }
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "2026",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+1:00",
            "2026-01-01T00:00:00Zx",
            "２０２６-01-01T00:00:00Z",
            "1500-01-01T00:00:00Z",
        ] {
            assert!(parse_rfc3339(text).is_err(), "{text}");
        }
        for text in [
            "2026-01-01T00:00:60Z",
            "2026-01-01T12:59:60Z",
            "2026-01-02T23:59:60Z",
            "2016-12-31T23:59:60+01:00",
        ] {
            assert!(matches!(parse_rfc3339(text), Err(TimeError::LeapSecond(_))), "{text}");
        }
        assert!(matches!(parse_rfc3339("2026-01-01T00:00:00"), Err(TimeError::NoOffset(_))));
        assert!(matches!(parse_rfc3339("2263-01-01T00:00:00Z"), Err(TimeError::Range(_))));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(time: i64) {
            prop_assert_eq!(parse_rfc3339(&rfc3339(time)), Ok(time));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = parse_rfc3339(&text);
        }
    }
}
