//! Times as doors take them: units, numbers, texts.

use super::*;

#[test]
fn numbers_in_every_unit() {
    let table = [
        ("1700000000", TimeUnit::Seconds, Some(1_700_000_000_000_000_000)),
        ("1700000000.25", TimeUnit::Seconds, Some(1_700_000_000_250_000_000)),
        ("-1.5", TimeUnit::Milliseconds, Some(-1_500_000)),
        ("1700000000000", TimeUnit::Milliseconds, Some(1_700_000_000_000_000_000)),
        ("1.9", TimeUnit::Nanoseconds, Some(1)),
        ("0", TimeUnit::Nanoseconds, Some(0)),
        ("9223372036854775807", TimeUnit::Nanoseconds, Some(i64::MAX)),
        ("-9223372036854775808", TimeUnit::Nanoseconds, Some(i64::MIN)),
        ("9223372036854775808", TimeUnit::Nanoseconds, None),
        ("9300000000", TimeUnit::Seconds, None),
        ("1e9", TimeUnit::Seconds, None),
        ("1.", TimeUnit::Seconds, None),
        (".5", TimeUnit::Seconds, None),
        ("", TimeUnit::Seconds, None),
        ("-", TimeUnit::Seconds, None),
    ];
    for (text, unit, expected) in table {
        assert_eq!(parse_number(text, unit), expected, "{text} {unit:?}");
    }
}

#[test]
fn query_times() {
    const NOW: i64 = 1_767_225_600_000_000_000;
    const HOUR: i64 = 3_600_000_000_000;
    let table = [
        ("now", None, Some(NOW)),
        ("-1h", None, Some(NOW - HOUR)),
        ("now-1h30m", None, Some(NOW - HOUR - HOUR / 2)),
        ("+1d", None, Some(NOW + 24 * HOUR)),
        ("2026-01-01T01:00:00+01:00", None, Some(NOW)),
        ("2026-01-01T01:00:00 01:00", None, Some(NOW)),
        ("2026-01-01 00:00:00Z", None, Some(NOW)),
        ("1767225600", Some(TimeUnit::Seconds), Some(NOW)),
        ("-1", Some(TimeUnit::Seconds), Some(-1_000_000_000)),
        ("1767225600", None, None),
        ("2026-01-01T00:00:00", None, None),
        ("-1", None, None),
        ("-1y", None, Some(NOW - 365 * 24 * HOUR)),
        ("now-1.5h", None, Some(NOW - HOUR - HOUR / 2)),
        ("-400y", None, None),
        ("", None, None),
        ("-99999999999w", None, None),
    ];
    for (text, unit, expected) in table {
        assert_eq!(parse_query_time(text, unit, NOW).ok(), expected, "{text}");
    }
}
