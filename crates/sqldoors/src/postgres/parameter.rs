//! Values of parameters as clients send them, as text that the history reads.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

use std::fmt::Write;

use tidemill_core::TypeNumber;

use crate::Error;

const DATE: TypeNumber = 1082;
/// A date as ISO 8601 writes it.
const DATE_LENGTH: usize = "2026-07-01".len();
/// PostgreSQL counts times from 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;
const DAY_MICROS: i64 = 86_400_000_000;
/// The most items of an array.
const ITEMS_MAX: i32 = 100_000;

/// A value's text.
///
/// # Errors
/// Its bytes are no value of that type, or the type is not read in binary here.
pub(crate) fn text(kind: TypeNumber, bytes: &[u8]) -> Result<String, Error> {
    let wrong =
        || Error::Parameter(format!("a parameter's {} bytes are no value of type {kind}", bytes.len()));
    Ok(match kind {
        16 => match bytes {
            [0] => "f".to_owned(),
            [1] => "t".to_owned(),
            _ => return Err(wrong()),
        },
        20 | 21 | 23 | 26 => whole(kind, bytes).ok_or_else(wrong)?.to_string(),
        700 => f32::from_be_bytes(bytes.try_into().map_err(|_| wrong())?).to_string(),
        701 => f64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?).to_string(),
        17 => bytes.iter().fold("\\x".to_owned(), |mut text, byte| {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        }),
        DATE => date(whole(23, bytes).ok_or_else(wrong)?).ok_or_else(wrong)?,
        1083 => clock(whole(20, bytes).filter(|time| (0..=DAY_MICROS).contains(time)).ok_or_else(wrong)?),
        1114 | 1184 => {
            let micros = whole(20, bytes).ok_or_else(wrong)?;
            let day = date(micros.div_euclid(DAY_MICROS)).ok_or_else(wrong)?;
            let zone = if kind == 1184 { "+00:00" } else { "" };
            format!("{day} {}{zone}", clock(micros.rem_euclid(DAY_MICROS)))
        }
        1186 => interval(bytes).ok_or_else(wrong)?,
        1700 => numeric(bytes).ok_or_else(wrong)?,
        2950 => uuid(bytes).ok_or_else(wrong)?,
        3802 => match bytes {
            [1, json @ ..] => utf8(json)?,
            _ => return Err(wrong()),
        },
        0 | 18 | 19 | 25 | 114 | 142 | 705 | 1042 | 1043 => utf8(bytes)?,
        // Arrays tell the type of their items.
        kind if is_array(kind) => array(bytes)?,
        _ => return Err(Error::Unsupported(format!("a parameter of type {kind} in binary"))),
    })
}

/// The text of a value that was sent as text.
///
/// # Errors
/// It is not UTF-8.
pub(crate) fn written(kind: TypeNumber, bytes: Vec<u8>) -> Result<String, Error> {
    let mut text = String::from_utf8(bytes).map_err(|_| Error::NotUtf8)?;
    // A date may have a time of day and a zone behind it, which say nothing: JDBC sends `2026-07-01 +02`.
    if kind == DATE
        && let Some(end) = text.find([' ', 'T']).filter(|end| *end == DATE_LENGTH)
    {
        text.truncate(end);
    }
    Ok(text)
}

/// The array types of what is read here.
fn is_array(kind: TypeNumber) -> bool {
    const ARRAYS: [TypeNumber; 22] = [
        199, 1000, 1001, 1002, 1003, 1005, 1007, 1009, 1014, 1015, 1016, 1021, 1022, 1028, 1115, 1182, 1183,
        1185, 1187, 1231, 2951, 3807,
    ];
    ARRAYS.contains(&kind)
}

fn utf8(bytes: &[u8]) -> Result<String, Error> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Error::NotUtf8)
}

fn whole(kind: TypeNumber, bytes: &[u8]) -> Option<i64> {
    Some(match kind {
        21 => i64::from(i16::from_be_bytes(bytes.try_into().ok()?)),
        23 => i64::from(i32::from_be_bytes(bytes.try_into().ok()?)),
        26 => i64::from(u32::from_be_bytes(bytes.try_into().ok()?)),
        _ => i64::from_be_bytes(bytes.try_into().ok()?),
    })
}

/// Days from 2000-01-01 (Hinnant, "chrono-compatible low-level date algorithms"); none outside the years 1 to 9999.
fn date(days: i64) -> Option<String> {
    const LONGEST: i64 = 4_000_000;
    let days = Some(days).filter(|days| (-LONGEST..LONGEST).contains(days))?;
    let shifted = days.checked_add(EPOCH_DAYS)?.checked_add(719_468)?;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let leaps = of_era.checked_div(1_460)?.checked_sub(of_era.checked_div(36_524)?)?;
    let leaps = leaps.checked_add(of_era.checked_div(146_096)?)?;
    let year_of_era = of_era.checked_sub(leaps)?.checked_div(365)?;
    let before = year_of_era.checked_mul(365)?.checked_add(year_of_era.checked_div(4)?)?;
    let of_year = of_era.checked_sub(before.checked_sub(year_of_era.checked_div(100)?)?)?;
    let month = of_year.checked_mul(5)?.checked_add(2)?.checked_div(153)?;
    let day = of_year.checked_sub(month.checked_mul(153)?.checked_add(2)?.checked_div(5)?)?.checked_add(1)?;
    let month = if month < 10 { month.checked_add(3)? } else { month.checked_sub(9)? };
    let year = era.checked_mul(400)?.checked_add(year_of_era)?.checked_add(i64::from(month <= 2))?;
    (1..=9_999).contains(&year).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// Microseconds of a day.
fn clock(micros: i64) -> String {
    let part =
        |unit: i64, of: i64| micros.checked_div(unit).unwrap_or_default().checked_rem(of).unwrap_or_default();
    let (hours, minutes) = (part(3_600_000_000, 25), part(60_000_000, 60));
    let (seconds, rest) = (part(1_000_000, 60), part(1, 1_000_000));
    format!("{hours:02}:{minutes:02}:{seconds:02}.{rest:06}")
}

fn interval(bytes: &[u8]) -> Option<String> {
    let micros = i64::from_be_bytes(bytes.get(..8)?.try_into().ok()?);
    let days = i32::from_be_bytes(bytes.get(8..12)?.try_into().ok()?);
    let months = i32::from_be_bytes(bytes.get(12..)?.try_into().ok()?);
    let seconds = micros.checked_div(1_000_000)?;
    let rest = micros.checked_rem(1_000_000)?.checked_mul(1_000)?;
    Some(format!("{months} months {days} days {seconds} seconds {rest} nanoseconds"))
}

/// Groups of four decimal digits with a weight (the number's type in PostgreSQL's `numeric.c`).
fn numeric(bytes: &[u8]) -> Option<String> {
    const DIGITS_MAX: usize = 1_000;
    let mut words = bytes.chunks(2).map(|pair| pair.try_into().ok().map(u16::from_be_bytes));
    let mut word = || words.next().flatten();
    let (count, weight, sign, scale) = (word()?, word()?.cast_signed(), word()?, usize::from(word()?));
    match sign {
        0 | 0x4000 => {}
        0xC000 => return Some("NaN".to_owned()),
        0xD000 => return Some("Infinity".to_owned()),
        0xF000 => return Some("-Infinity".to_owned()),
        _ => return None,
    }
    let groups: Vec<u16> =
        (0..count).map(|_| word().filter(|group| *group < 10_000)).collect::<Option<_>>()?;
    let group =
        |place: i64| usize::try_from(place).ok().and_then(|place| groups.get(place)).copied().unwrap_or(0);
    let whole_groups = i64::from(weight).checked_add(1)?.max(0);
    let decimal_groups = scale.checked_add(3)?.checked_div(4)?;
    if usize::try_from(whole_groups).ok()?.checked_add(decimal_groups)? > DIGITS_MAX {
        return None;
    }
    let mut text = String::from(if sign == 0x4000 { "-" } else { "" });
    let whole: String = (0..whole_groups).map(|place| format!("{:04}", group(place))).collect();
    let whole = whole.trim_start_matches('0');
    text.push_str(if whole.is_empty() { "0" } else { whole });
    if scale > 0 {
        // The first group behind the point stands at the weight's next place.
        let first = i64::from(weight).checked_add(1)?;
        let decimals: String = (0..i64::try_from(decimal_groups).ok()?)
            .map(|place| {
                let at =
                    if first < 0 { place.saturating_add(first) } else { place.saturating_add(whole_groups) };
                format!("{:04}", group(at))
            })
            .collect();
        text.push('.');
        text.push_str(decimals.get(..scale)?);
    }
    Some(text)
}

fn uuid(bytes: &[u8]) -> Option<String> {
    let number = u128::from_be_bytes(bytes.try_into().ok()?);
    let digits = format!("{number:032x}");
    let part = |from: usize, to: usize| digits.get(from..to);
    Some([part(0, 8)?, part(8, 12)?, part(12, 16)?, part(16, 20)?, part(20, 32)?].join("-"))
}

/// An array of one dimension.
fn array(bytes: &[u8]) -> Result<String, Error> {
    let wrong = || Error::Parameter("a parameter is no array of one dimension".to_owned());
    let word = |place: usize| -> Option<i32> {
        let end = place.checked_add(4)?;
        Some(i32::from_be_bytes(bytes.get(place..end)?.try_into().ok()?))
    };
    let (dimensions, item) = (word(0).ok_or_else(wrong)?, word(8).ok_or_else(wrong)?);
    match dimensions {
        0 => return Ok("{}".to_owned()),
        1 => {}
        _ => return Err(wrong()),
    }
    let item = TypeNumber::try_from(item).map_err(|_| wrong())?;
    let count = word(12).filter(|count| (0..=ITEMS_MAX).contains(count)).ok_or_else(wrong)?;
    let mut place = 20_usize;
    let mut out = "{".to_owned();
    for number in 0..count {
        let length = word(place).ok_or_else(wrong)?;
        place = place.checked_add(4).ok_or_else(wrong)?;
        if number > 0 {
            out.push(',');
        }
        let Ok(length) = usize::try_from(length) else {
            out.push_str("NULL");
            continue;
        };
        let end = place.checked_add(length).ok_or_else(wrong)?;
        if is_array(item) {
            return Err(wrong());
        }
        let value = text(item, bytes.get(place..end).ok_or_else(wrong)?)?;
        out.push('"');
        for letter in value.chars() {
            if matches!(letter, '"' | '\\') {
                out.push('\\');
            }
            out.push(letter);
        }
        out.push('"');
        place = end;
    }
    if place != bytes.len() {
        return Err(wrong());
    }
    out.push('}');
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_types() {
        let words = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
        let table: Vec<(TypeNumber, Vec<u8>, &str)> = vec![
            (16, vec![1], "t"),
            (21, vec![0xFF, 0xFE], "-2"),
            (20, 5_i64.to_be_bytes().into(), "5"),
            (26, 4_000_000_000_u32.to_be_bytes().into(), "4000000000"),
            (701, 20.5_f64.to_be_bytes().into(), "20.5"),
            (701, f64::NAN.to_be_bytes().into(), "NaN"),
            (17, vec![1, 255], "\\x01ff"),
            (1082, 0_i32.to_be_bytes().into(), "2000-01-01"),
            (1082, (-1_i32).to_be_bytes().into(), "1999-12-31"),
            (1184, 1_000_000_i64.to_be_bytes().into(), "2000-01-01 00:00:01.000000+00:00"),
            (1114, (-1_i64).to_be_bytes().into(), "1999-12-31 23:59:59.999999"),
            (1083, 3_600_000_001_i64.to_be_bytes().into(), "01:00:00.000001"),
            (1700, words(&[2, 1, 0, 0, 1, 2345]), "12345"),
            (1700, words(&[2, 0, 0x4000, 1, 1, 5000]), "-1.5"),
            (1700, words(&[1, 0xFFFF, 0, 2, 500]), "0.05"),
            (1700, words(&[1, 0xFFFE, 0, 6, 1200]), "0.000012"),
            (1700, words(&[0, 0, 0, 0]), "0"),
            (1700, words(&[1, 2, 0, 0, 7]), "700000000"),
            (2950, vec![0x12; 16], "12121212-1212-1212-1212-121212121212"),
            (3802, b"\x01{}".to_vec(), "{}"),
            (25, "ä".as_bytes().into(), "ä"),
        ];
        for (kind, bytes, expected) in &table {
            assert_eq!(text(*kind, bytes).expect(expected), *expected);
        }
        let array: Vec<u8> = [1_i32, 1, 25, 2, 1, 1]
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .chain(*b"\"")
            .chain((-1_i32).to_be_bytes())
            .collect();
        assert_eq!(text(1009, &array).unwrap(), r#"{"\"",NULL}"#);
    }

    #[test]
    fn a_date_is_a_date_whatever_stands_behind_it() {
        for (kind, text, expected) in [
            (1082, "2026-07-01 +02", "2026-07-01"),
            (1082, "2026-07-01T10:00:00Z", "2026-07-01"),
            (1082, "2026-07-01", "2026-07-01"),
            (1082, "1 July 2026", "1 July 2026"),
            (25, "2026-07-01 +02", "2026-07-01 +02"),
            (0, "2026-07-01 ä", "2026-07-01 ä"),
        ] {
            assert_eq!(written(kind, text.as_bytes().to_vec()).unwrap(), expected);
        }
        assert!(written(1082, vec![0xFF]).is_err());
    }

    #[test]
    fn what_is_no_value_is_refused() {
        let deep: Vec<u8> = [1_i32, 0, 1009, 1, 1, 20].iter().flat_map(|word| word.to_be_bytes()).collect();
        for (kind, bytes) in [
            (16, &[2][..]),
            (23, &[1, 2, 3]),
            (1082, &[0x7F; 4]),
            (1184, &[0x7F; 8]),
            (1700, &[0, 9, 0, 0, 0, 0, 0, 0]),
            (1700, &[0, 0, 0x7F, 0xFF, 0, 0, 0, 0]),
            (1700, &[1]),
            (25, &[0xFF]),
            (1009, &[0; 4]),
            (1009, &deep),
            (600, &[0; 16]),
            (1186, &[0; 3]),
        ] {
            assert!(text(kind, bytes).is_err(), "{kind} {bytes:?}");
        }
    }
}
