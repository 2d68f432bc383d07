//! Durations as people write them: `2ms`, `1.5h`, `1h30m`, `90d`, `5y`. Where a sign is allowed, and what it then means,
//! is the business of those who ask.

use std::time::Duration;

/// Each unit by its name and its other spellings, largest first. A year is 365 days.
const UNITS: [(&[&str], u64); 9] = [
    (&["y"], 365 * 86_400_000_000_000),
    (&["w"], 7 * 86_400_000_000_000),
    (&["d"], 86_400_000_000_000),
    (&["h"], 3_600_000_000_000),
    (&["m", "min"], 60_000_000_000),
    (&["s"], 1_000_000_000),
    (&["ms"], 1_000_000),
    (&["us", "µs"], 1_000),
    (&["ns"], 1),
];

/// The longest number, in digits before the point: as many as 64 bits have.
const WHOLE_DIGITS_MAX: usize = 20;

/// Reads decimal numbers with units, one after the other: they are added. Digits beyond the nanosecond are cut. `None`: not
/// of the form, or longer than 64 bits of seconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total: i128 = 0;
    loop {
        let (number, after) = split(rest, |letter| letter.is_ascii_digit() || letter == '.')?;
        let (unit, after) = split(after.trim_start(), char::is_alphabetic)?;
        let (_, unit_ns) = UNITS.iter().find(|(names, _)| names.contains(&unit))?;
        total = total.checked_add(decimal_units(number, *unit_ns)?)?;
        rest = after.trim_start();
        if rest.is_empty() {
            break;
        }
    }
    let seconds = u64::try_from(total / 1_000_000_000).ok()?;
    let nanos = u32::try_from(total % 1_000_000_000).ok()?;
    Some(Duration::new(seconds, nanos))
}

/// The letters at the beginning that are meant, and what follows.
fn split(text: &str, meant: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    text.split_at_checked(text.find(|letter| !meant(letter)).unwrap_or(text.len()))
}

/// Digits, with or without a point and more digits, times the size of their unit; digits beyond whole ones are cut.
/// `None`: not of the form, or out of range.
pub fn decimal_units(digits: &str, unit: u64) -> Option<i128> {
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (digits, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > WHOLE_DIGITS_MAX || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let mut place = i128::from(unit);
    let mut total = whole.parse::<i128>().ok()?.checked_mul(place)?;
    for digit in fraction.bytes() {
        place /= 10;
        total = total.checked_add(i128::from(digit.saturating_sub(b'0')).checked_mul(place)?)?;
    }
    Some(total)
}

/// Writes a duration so that [`parse_duration`] reads the same: `5m`, `1h30m`, `1s500ms`; `0s` for none. Weeks and years
/// are written as days.
pub fn format_duration(duration: Duration) -> String {
    use std::fmt::Write;
    let mut rest = duration.as_nanos();
    let mut text = String::new();
    for (names, unit_ns) in UNITS.iter().skip(2) {
        let (count, unit_ns) = (rest / u128::from(*unit_ns), u128::from(*unit_ns));
        if let (1.., Some(name)) = (count, names.first()) {
            let written = write!(text, "{count}{name}");
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
            rest %= unit_ns;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Says roughly how long something is, for sentences: "about 3 hours", "about a day", "less than a minute".
pub fn roughly(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    for (name, one, unit_s) in [("day", "a", 86_400.0), ("hour", "an", 3_600.0), ("minute", "a", 60.0)] {
        let count = seconds / unit_s;
        if count >= 1.5 {
            return format!("about {count:.0} {name}s");
        }
        if count >= 0.75 {
            return format!("about {one} {name}");
        }
    }
    "less than a minute".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_people_write_them() {
        let table = [
            ("2ms", Some(2_000_000)),
            ("1.5 h", Some(5_400_000_000_000)),
            ("1h30m", Some(5_400_000_000_000)),
            (" 1d 12h ", Some(129_600_000_000_000)),
            ("5µs", Some(5_000)),
            ("5min", Some(300_000_000_000)),
            ("10y", Some(10 * 365 * 86_400_000_000_000)),
            ("1.0000000019s", Some(1_000_000_001)),
            ("0s", Some(0)),
            ("400y", Some(400 * 365 * 86_400_000_000_000)),
            ("", None),
            ("5", None),
            ("ms", None),
            ("-1s", None),
            ("1.s", None),
            (".5s", None),
            ("1e3s", None),
            ("..s", None),
            ("2 parsecs", None),
            ("1h30", None),
            ("999999999999999999999y", None),
            ("99999999999999999999y", None),
        ];
        for (text, nanos) in table {
            assert_eq!(parse_duration(text).map(|duration| duration.as_nanos()), nanos, "{text}");
        }
        let table = [(0, "0s"), (300, "5m"), (5_400, "1h30m"), (31_536_000, "365d"), (90_061, "1d1h1m1s")];
        for (seconds, text) in table {
            assert_eq!(format_duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(format_duration(Duration::from_millis(1_500)), "1s500ms");
    }

    #[test]
    fn roughly_as_one_says() {
        for (seconds, text) in [
            (0, "less than a minute"),
            (44, "less than a minute"),
            (45, "about a minute"),
            (600, "about 10 minutes"),
            (2_700, "about an hour"),
            (5_400, "about 2 hours"),
            (10_900, "about 3 hours"),
            (64_800, "about a day"),
            (129_600, "about 2 days"),
            (40 * 86_400, "about 40 days"),
        ] {
            assert_eq!(roughly(Duration::from_secs(seconds)), text, "{seconds}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds: u64, nanos in 0u32..1_000_000_000) {
            let duration = Duration::new(seconds, nanos);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
        }

        #[test]
        fn no_text_panics(text in "([0-9.]{0,25} ?(y|w|d|h|m|s|ns|µs|\\PC)?){0,4}") {
            let _ = parse_duration(&text);
        }
    }
}
