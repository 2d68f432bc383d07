//! Times as people type them: RFC 3339 (without an offset: the plant's time zone), a date, epoch numbers whose unit is
//! told by their magnitude, or relative to now (`-1h`, `now`).

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use tidemill_connect::import::instant_of;
use tidemill_core::{Problem, TimeError, codes, parse_duration, parse_rfc3339};

/// The time zone of that name; `system` is the machine's.
pub(crate) fn zone(name: &str) -> Result<TimeZone, Problem> {
    if name == "system" {
        return Ok(TimeZone::system());
    }
    TimeZone::get(name).map_err(|_| {
        Problem::new(&codes::BAD_TIME, format!("there is no time zone '{name}'"))
            .hint("Use an IANA name such as Europe/Berlin")
    })
}

/// A time as it was typed.
enum Typed {
    /// In ns UTC.
    Instant(i64),
    /// What clocks show.
    Local(DateTime),
}

/// Whether a time means another instant in another zone. What is no time means none.
pub(crate) fn is_local(text: &str, now: i64) -> bool {
    matches!(read(text, now), Ok(Typed::Local(_)))
}

/// Reads a time, in ns UTC. A local time that the clocks skip is as much later, one that they show twice is the first: an
/// end of a range may be either.
pub(crate) fn parse(text: &str, now: i64, zone: &TimeZone) -> Result<i64, Problem> {
    match read(text, now)? {
        Typed::Instant(time) => Ok(time),
        Typed::Local(local) => {
            let instant = zone.to_ambiguous_timestamp(local).compatible().map_err(|_| beyond(text))?;
            i64::try_from(instant.as_nanosecond()).map_err(|_| beyond(text))
        }
    }
}

/// Reads the time of a sample, in ns UTC. Local times mean what they mean in files: one that the clocks skip is none, one
/// that they show twice is the first, and a note says so.
pub(crate) fn of_sample(text: &str, now: i64, zone: &TimeZone) -> Result<(i64, Option<String>), Problem> {
    let local = match read(text, now)? {
        Typed::Instant(time) => return Ok((time, None)),
        Typed::Local(local) => local,
    };
    parse(text, now, zone)?;
    let (time, twice) = instant_of(text.trim(), local, zone).map_err(|why| {
        let offset = "Write the time with its offset, such as 2026-03-01T06:00:00+01:00";
        Problem::new(&codes::BAD_TIME, why).hint(offset)
    })?;
    let taken = show(time, zone);
    let note =
        format!("is shown twice by the clocks; it is taken as {taken}: with an offset it is said which");
    Ok((time, twice.then_some(note)))
}

fn beyond(text: &str) -> Problem {
    let show = |time| show(time, &TimeZone::UTC);
    Problem::new(&codes::BAD_TIME, format!("'{text}' lies beyond the times that can be kept")).hint(format!(
        "Times go from {} to {}",
        show(i64::MIN),
        show(i64::MAX)
    ))
}

fn read(text: &str, now: i64) -> Result<Typed, Problem> {
    let bad = || {
        Problem::new(&codes::BAD_TIME, format!("'{text}' is no time"))
            .hint("Write 2026-03-01T06:00:00Z, 2026-03-01 06:00, 2026-03-01, -1h, now, or an epoch number")
    };
    let beyond = || beyond(text);
    let trimmed = text.trim();
    if trimmed == "now" {
        return Ok(Typed::Instant(now));
    }
    if let Some(back) = trimmed.strip_prefix('-').and_then(parse_duration) {
        let back = i64::try_from(back.as_nanos()).ok();
        return back.and_then(|back| now.checked_sub(back)).map(Typed::Instant).ok_or_else(beyond);
    }
    if let Some(ahead) = trimmed.strip_prefix('+').and_then(parse_duration) {
        let ahead = i64::try_from(ahead.as_nanos()).ok();
        return ahead.and_then(|ahead| now.checked_add(ahead)).map(Typed::Instant).ok_or_else(beyond);
    }
    if let Ok(number) = trimmed.parse::<i64>() {
        return epoch(number).map(Typed::Instant).ok_or_else(beyond);
    }
    match parse_rfc3339(trimmed) {
        Ok(time) => return Ok(Typed::Instant(time)),
        Err(TimeError::Range(_)) => return Err(beyond()),
        Err(error @ TimeError::LeapSecond(_)) => return Err(error.into()),
        Err(_) => {}
    }
    if trimmed.contains(":60") {
        // Where the clock stands at a leap second is known only with an offset; jiff would take it as second 59.
        return Err(TimeError::LeapSecond(trimmed.to_owned()).into());
    }
    let local: DateTime = trimmed
        .parse::<DateTime>()
        .or_else(|_| trimmed.parse::<Date>().map(|date| date.at(0, 0, 0, 0)))
        .map_err(|_| bad())?;
    Ok(Typed::Local(local))
}

/// An epoch number in the unit that its magnitude tells: seconds until the year 5138, then ms, µs, ns.
fn epoch(number: i64) -> Option<i64> {
    let factor = match number.unsigned_abs() {
        0..=99_999_999_999 => 1_000_000_000,
        100_000_000_000..=99_999_999_999_999 => 1_000_000,
        100_000_000_000_000..=99_999_999_999_999_999 => 1_000,
        _ => 1,
    };
    number.checked_mul(factor)
}

/// A time in the zone, for tables: `2026-03-01 07:00:00.250+01:00`.
pub(crate) fn show(time: i64, zone: &TimeZone) -> String {
    let Ok(instant) = jiff::Timestamp::from_nanosecond(i128::from(time)) else { return time.to_string() };
    let zoned = instant.to_zoned(zone.clone());
    let nanos = zoned.subsec_nanosecond();
    let form = match nanos {
        0 => "%Y-%m-%d %H:%M:%S%:z",
        n if n % 1_000_000 == 0 => "%Y-%m-%d %H:%M:%S%.3f%:z",
        _ => "%Y-%m-%d %H:%M:%S%.f%:z",
    };
    zoned.strftime(form).to_string()
}

/// An age for people: `3 s`, `5 min`, `2 h`, `4 d`, `12 y`.
pub(crate) fn age(nanos: i64) -> String {
    let seconds = nanos / 1_000_000_000;
    match seconds {
        ..0 => "ahead".to_owned(),
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        172_801..=63_071_999 => format!("{} d", seconds / 86_400),
        _ => format!("{} y", seconds / 31_536_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_samples_are_those_that_clocks_showed() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let table = [
            ("2026-03-29T01:59:59", "2026-03-29 01:59:59+01:00", ""),
            ("2026-03-29T02:30:00+01:00", "2026-03-29 03:30:00+02:00", ""),
            ("2026-10-25 02:30", "2026-10-25 02:30:00+02:00", "is shown twice by the clocks"),
            ("2026-10-25T02:30:00+01:00", "2026-10-25 02:30:00+01:00", ""),
            ("2026-10-25 03:00", "2026-10-25 03:00:00+01:00", ""),
            ("2262-04-12", "2262-04-12 00:00:00+02:00", ""),
        ];
        for (text, shown, told) in table {
            let (time, note) = of_sample(text, 0, &berlin).unwrap();
            assert_eq!(show(time, &berlin), shown, "{text}");
            assert_eq!(note.is_some(), !told.is_empty(), "{text}: {note:?}");
            assert!(note.unwrap_or_default().contains(told), "{text}");
            // The ends of a range take the same, and more.
            assert_eq!(parse(text, 0, &berlin).unwrap(), time, "{text}");
        }
        let problem = of_sample("2026-03-29T02:30:00", 0, &berlin).unwrap_err();
        assert_eq!(
            problem.detail,
            "'2026-03-29T02:30:00' does not exist in Europe/Berlin: the clocks went forward over it"
        );
        assert_eq!(
            show(parse("2026-03-29T02:30:00", 0, &berlin).unwrap(), &berlin),
            "2026-03-29 03:30:00+02:00"
        );
        for beyond in ["9999-12-31 23:59", "2262-04-13"] {
            assert!(of_sample(beyond, 0, &berlin).unwrap_err().detail.contains("beyond"), "{beyond}");
        }
    }

    #[test]
    fn as_people_type_them() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let now = 1_772_341_200_000_000_000;
        let table = [
            ("now", now),
            ("-1h", now - 3_600_000_000_000),
            ("+500ms", now + 500_000_000),
            ("2026-03-01T06:00:00+01:00", 1_772_341_200_000_000_000),
            ("2026-03-01 06:00", 1_772_341_200_000_000_000),
            ("2026-03-01T06:00:00.5", 1_772_341_200_500_000_000),
            ("2026-03-01", 1_772_319_600_000_000_000),
            ("1772341200", now),
            ("1772341200000", now),
            ("1772341200000000", now),
            ("1772341200000000000", now),
        ];
        for (text, time) in table {
            assert_eq!(parse(text, now, &berlin).unwrap(), time, "{text}");
        }
        for text in
            ["", "yesterday", "-1", "2026-02-30", "12:00", "2026-03-01 06:00:60", "2026-03-01T06:00:60Z"]
        {
            // "-1" is an epoch number: one second before 1970.
            assert_eq!(parse(text, now, &berlin).is_ok(), text == "-1", "{text}");
        }
        for text in [
            "2262-04-13",
            "2262-04-12T00:00:00Z",
            "1677-09-21",
            "9999-12-31 23:59",
            "-400y",
            "+400y",
            "99999999999",
        ] {
            let problem = parse(text, now, &berlin).unwrap_err();
            assert!(problem.detail.contains("beyond"), "{problem}");
            let range =
                "Times go from 1677-09-21 00:12:43.145224192+00:00 to 2262-04-11 23:47:16.854775807+00:00";
            assert_eq!(problem.mend(), range);
        }
        assert_eq!(show(now, &berlin), "2026-03-01 06:00:00+01:00");
        assert_eq!(age(7_300_000_000_000), "2 h");
        assert_eq!(age(400_000_000_000_000_000), "12 y");
    }
}
