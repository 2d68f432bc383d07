//! Dates and times of day as people and machines write them, taken apart without a time zone. Which instant they
//! mean is decided in `time`.

use std::sync::LazyLock;

use jiff::tz::TimeZone;

use crate::words;

/// What stands first in a date such as 03/04/2024, or 24/03/04.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::enum_variant_names, reason = "people say day first, month first, year first")]
pub enum DayOrder {
    /// 3 April.
    DayFirst,
    /// 4 March.
    MonthFirst,
    /// The year, where it has two digits: 4 March 2024.
    YearFirst,
}

/// A date of three numbers whose order needs to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The form leaves no doubt.
    Clear,
    /// Points stand between its numbers: the day first.
    Dotted,
    /// The first number cannot be a month.
    DayFirst,
    /// The first number cannot be a month; it may be a day or a year of two digits.
    DayOrYear,
    /// The first number can only be a year of two digits.
    YearFirst,
    /// The second number cannot be a month.
    MonthFirst,
    /// Both readings are dates, the same one.
    Same,
    /// Both readings are dates, and different ones.
    Either,
}

/// What a text says of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year, month, day: a date of the Gregorian calendar.
    pub date: Option<(i16, i8, i8)>,
    /// Nanoseconds since midnight; up to and with 24:00:00 and a leap second.
    pub nanos: Option<i64>,
    /// The second was written as 60.
    pub leap: bool,
    /// Seconds east of UTC, where they are written.
    pub offset_seconds: Option<i32>,
    /// Whether it says itself where it is meant: by an offset, or by a zone's name ([`zone_of`]).
    pub zoned: bool,
    /// What it says of the order of its numbers.
    pub evidence: Evidence,
    /// The first and the last number of a date that may begin with a year of two digits.
    pub year_ends: Option<(i16, i16)>,
}

impl Civil {
    fn of_day(nanos: i64, leap: bool, offset_seconds: Option<i32>) -> Civil {
        let zoned = offset_seconds.is_some();
        let (date, nanos, evidence) = (None, Some(nanos), Evidence::Clear);
        Civil { date, nanos, leap, offset_seconds, zoned, evidence, year_ends: None }
    }
}

/// Reads a date, a time of day, or both. Without an `order` a date that needs one is read day first, and its evidence
/// says so.
pub fn parse(text: &str, order: Option<DayOrder>) -> Option<Civil> {
    let text = text.trim();
    iso(text.as_bytes()).or_else(|| of_any_form(text, order))
}

fn of_any_form(text: &str, order: Option<DayOrder>) -> Option<Civil> {
    if text.len() > 64 || !words::may_begin_time(text) {
        return None;
    }
    if let Some((before, _)) = named_zone(text) {
        return parse(before, order).map(|civil| Civil { zoned: true, ..civil });
    }
    let text = without_weekday(text);
    if let Some(regular) = year_last(text) {
        return parse(&regular, order);
    }
    let mut at = Cursor { text };
    let Some(Dated { date, evidence, year_ends }) = date(&mut at, order) else {
        let mut at = Cursor { text };
        let (nanos, leap) = time_of_day(&mut at)?;
        return Some(Civil::of_day(nanos, leap, offset(&mut at)?));
    };
    if !is_date(date) {
        return None;
    }
    let day = Civil {
        date: Some(date),
        nanos: None,
        leap: false,
        offset_seconds: None,
        zoned: false,
        evidence,
        year_ends,
    };
    if at.text.is_empty() {
        return Some(day);
    }
    // 2024013112 and 202401311200, as weather services write them.
    if let (true, Some(nanos)) = (matches!(text.len(), 10 | 12), packed_minutes(at.text)) {
        return Some(Civil { nanos: Some(nanos), ..day });
    }
    // 20240131120000 has no mark between the two.
    let packed = at.run_of_digits() == 6;
    let joined = at.skip_any(&['T', 't', '_', ':']) || at.skip(',') | at.skip_spaces();
    if !joined && !packed {
        return None;
    }
    at.skip_spaces();
    let (nanos, leap) = time_of_day(&mut at)?;
    let offset_seconds = offset(&mut at)?;
    Some(Civil { nanos: Some(nanos), leap, offset_seconds, zoned: offset_seconds.is_some(), ..day })
}

/// `2024-01-31 12:00:00`, with `T`, a fraction and `Z` or an offset: the form of most files, read without looking at any
/// other. What is not whole and right goes the long way.
fn iso(text: &[u8]) -> Option<Civil> {
    let (start, rest) = text.split_first_chunk::<19>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b' ' | b'T', h1, h2, b':', n1, n2, b':', s1, s2] =
        *start
    else {
        return None;
    };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i16::from(byte - b'0'));
    let two = |tens: u8, ones: u8| Some(digit(tens)? * 10 + digit(ones)?);
    let (year, month, day) = (two(y1, y2)? * 100 + two(y3, y4)?, two(m1, m2)?, two(d1, d2)?);
    let (hour, minute, second) = (two(h1, h2)?, two(n1, n2)?, two(s1, s2)?);
    let (mut rest, mut fraction) = (rest, 0i64);
    if let [b'.', digits @ ..] = rest {
        let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, behind) = digits.split_at(count);
        (1..=32).contains(&count).then_some(())?;
        fraction = (0..9)
            .fold(0, |sum, place| sum * 10 + digits.get(place).map_or(0, |digit| i64::from(*digit - b'0')));
        rest = behind;
    }
    let offset_seconds = match *rest {
        [] => None,
        [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
            (hours < 24 && minutes < 60).then_some(())?;
            let seconds = i32::from(hours) * 3600 + i32::from(minutes) * 60;
            Some(if sign == b'-' { -seconds } else { seconds })
        }
        _ => return None,
    };
    let date = ymd(year, month, day).filter(|date| is_date(*date))?;
    (hour < 24 && minute < 60 && second < 60).then_some(())?;
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    let day = Civil::of_day(seconds * SECOND + fraction, false, offset_seconds);
    Some(Civil { date: Some(date), ..day })
}

/// `10` and `1030` behind a date of eight digits.
fn packed_minutes(digits: &str) -> Option<i64> {
    let two = |at| digits.get(at..at + 2)?.parse::<i64>().ok();
    let minute = if digits.len() == 4 { two(2)? } else { 0 };
    let hour = two(0)?;
    (hour < 24 && minute < 60).then_some((hour * 60 + minute) * 60 * SECOND)
}

/// A time and the name of a zone behind it, which has a slash: `… Europe/Berlin`, `…[Europe/Berlin]`. An offset before the
/// name says more.
fn named_zone(text: &str) -> Option<(&str, &str)> {
    let (before, name) = match text.strip_suffix(']') {
        Some(text) => text.rsplit_once('[')?,
        None => text.rsplit_once(' ')?,
    };
    let before = before.trim_end();
    let is_name = name.contains('/') && name.starts_with(|c: char| c.is_ascii_alphabetic());
    let has_offset = || parse(before, None).is_none_or(|civil| civil.nanos.is_none() || civil.zoned);
    (is_name && zone_named(name).is_some() && !has_offset()).then_some((before, name))
}

/// The zone of a name with a slash. To ask for one that is none costs more than all else that a text is looked at for.
fn zone_named(name: &str) -> Option<TimeZone> {
    static REGIONS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let names = jiff::tz::db().available().map(|name| name.as_str().to_owned());
        let mut regions: Vec<String> =
            names.filter_map(|name| Some(name.split_once('/')?.0.to_owned())).collect();
        regions.sort_unstable();
        regions.dedup();
        regions
    });
    let (region, _) = name.split_once('/')?;
    REGIONS.iter().any(|known| known.eq_ignore_ascii_case(region)).then(|| TimeZone::get(name).ok())?
}

/// The zone whose name stands behind a time.
pub fn zone_of(text: &str) -> Option<TimeZone> {
    named_zone(text.trim()).and_then(|(_, name)| zone_named(name))
}

/// Whether a text says a zone by itself, as a column of them does: `UTC`, `+01:00`, `Europe/Berlin`.
pub fn is_zone(text: &str) -> bool {
    offset(&mut Cursor { text }).flatten().is_some() || zone_named(text).is_some()
}

/// `Mon, 01 Jan 2024 10:00:00 GMT` without its first word.
fn without_weekday(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphabetic()).unwrap_or(0);
    let (word, rest) = text.split_at(end);
    if word.is_empty() || !words::is_weekday(word) {
        return text;
    }
    rest.trim_start_matches(['.', ',', ' '])
}

/// `Jan 1 10:00:00 CET 2024`, as Java and C write it, with the year where others have it.
fn year_last(text: &str) -> Option<String> {
    text.starts_with(char::is_alphabetic).then_some(())?;
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (month, day, time, zone, year) = match words.as_slice() {
        [month, day, time, year] => (month, day, time, "", year),
        [month, day, time, zone, year] => (month, day, time, *zone, year),
        _ => return None,
    };
    let is_year = year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit());
    (is_year && time.contains(':')).then(|| format!("{month} {day} {year} {time} {zone}"))
}

struct Cursor<'a> {
    text: &'a str,
}

impl<'a> Cursor<'a> {
    fn skip(&mut self, character: char) -> bool {
        let rest = self.text.strip_prefix(character);
        self.text = rest.unwrap_or(self.text);
        rest.is_some()
    }

    fn skip_any(&mut self, characters: &[char]) -> bool {
        characters.iter().any(|character| self.skip(*character))
    }

    fn skip_spaces(&mut self) -> bool {
        let before = self.text.len();
        self.text = self.text.trim_start();
        self.text.len() < before
    }

    /// The digits that stand here, at most `most` of them.
    fn digits(&mut self, most: usize) -> &'a str {
        let count = self.text.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.text.split_at(count);
        self.text = rest;
        digits
    }

    fn run_of_digits(&self) -> usize {
        self.text.bytes().take_while(u8::is_ascii_digit).count()
    }

    fn letters(&mut self) -> &'a str {
        let end = self.text.find(|character: char| !character.is_alphabetic()).unwrap_or(self.text.len());
        let (letters, rest) = self.text.split_at(end);
        self.text = rest;
        letters
    }
}

fn number(digits: &str) -> Option<i16> {
    digits.parse().ok()
}

type Date = (i16, i8, i8);

struct Dated {
    date: Date,
    evidence: Evidence,
    year_ends: Option<(i16, i16)>,
}

impl Dated {
    fn clear(date: Date) -> Dated {
        Dated { date, evidence: Evidence::Clear, year_ends: None }
    }
}

/// The years of dates of ten and twelve digits: other numbers of that size are counts since 1970.
const PACKED_YEARS: std::ops::RangeInclusive<i16> = 1900..=2100;

fn date(at: &mut Cursor<'_>, order: Option<DayOrder>) -> Option<Dated> {
    match at.run_of_digits() {
        // ISO 8601 basic: 20240131, 20240131T120000, 20240131120000.
        length @ (8 | 10 | 12 | 14) => {
            let (year, month, day) = (number(at.digits(4))?, number(at.digits(2))?, number(at.digits(2))?);
            (matches!(length, 8 | 14) || PACKED_YEARS.contains(&year)).then_some(())?;
            Some(Dated::clear(ymd(year, month, day)?))
        }
        4 => {
            let year = number(at.digits(4))?;
            let mark = separator(at)?;
            let month = number(at.digits(2))?;
            (separator(at)? == mark).then_some(())?;
            let day = number(at.digits(2))?;
            Some(Dated::clear(ymd(year, month, day)?))
        }
        1 | 2 => day_and_month(at, order),
        0 => month_name_first(at),
        _ => None,
    }
}

fn ymd(year: i16, month: i16, day: i16) -> Option<Date> {
    Some((year, i8::try_from(month).ok()?, i8::try_from(day).ok()?))
}

fn separator(at: &mut Cursor<'_>) -> Option<char> {
    ['-', '/', '.'].into_iter().find(|mark| at.skip(*mark))
}

/// `31.01.2024`, `31/01/24`, `24-01-31`, `1-Jan-24`, `1. Januar 2024`.
fn day_and_month(at: &mut Cursor<'_>, order: Option<DayOrder>) -> Option<Dated> {
    let digits = at.digits(2);
    let first = number(digits)?;
    let mark = separator(at);
    let spaced = at.skip_spaces();
    if at.text.starts_with(char::is_alphabetic) {
        let month = words::month(at.letters())?;
        while at.skip_any(&['-', '/', '.', ',']) || at.skip_spaces() {}
        let year = year(at)?;
        return Some(Dated::clear(ymd(year, month.into(), first)?));
    }
    let mark = mark.filter(|_| !spaced)?;
    let second = number(at.digits(2))?;
    (separator(at)? == mark).then_some(())?;
    let last = at.text.get(..2).filter(|_| at.run_of_digits() == 2).and_then(number);
    let year = year(at)?;
    let begins_with_year =
        last.filter(|last| digits.len() == 2 && (1..=12).contains(&second) && (1..=31).contains(last));
    if let (Some(DayOrder::YearFirst), Some(last)) = (order, last) {
        return Some(Dated::clear(ymd(century(first), second, last)?));
    }
    if mark == '.' && order != Some(DayOrder::MonthFirst) {
        let (date, evidence) = (ymd(year, second, first)?, Evidence::Dotted);
        return Some(Dated { date, evidence, year_ends: None });
    }
    let is_day_first = (1..=31).contains(&first) && second <= 12;
    let is_month_first = (1..=12).contains(&first) && second <= 31;
    let evidence = match (is_day_first, is_month_first, begins_with_year) {
        (false, false, None) => return None,
        (false, false, Some(_)) => Evidence::YearFirst,
        (true, false, Some(_)) => Evidence::DayOrYear,
        (true, false, None) => Evidence::DayFirst,
        (false, true, _) => Evidence::MonthFirst,
        (true, true, _) if first == second => Evidence::Same,
        (true, true, _) => Evidence::Either,
    };
    let month_first = match order {
        Some(order) => order == DayOrder::MonthFirst,
        None => evidence == Evidence::MonthFirst,
    };
    let date = match (evidence, begins_with_year) {
        (Evidence::YearFirst, Some(last)) => ymd(century(first), second, last),
        _ if month_first => ymd(year, first, second),
        _ => ymd(year, second, first),
    };
    Some(Dated { date: date?, evidence, year_ends: begins_with_year.map(|last| (first, last)) })
}

/// `Jan 31, 2024`, `January 31 2024`.
fn month_name_first(at: &mut Cursor<'_>) -> Option<Dated> {
    let month = words::month(at.letters())?;
    while at.skip_any(&['-', '.']) || at.skip_spaces() {}
    let day = number(at.digits(2))?;
    while at.skip_any(&['-', ',']) || at.skip_spaces() {}
    let year = year(at)?;
    Some(Dated::clear(ymd(year, month.into(), day)?))
}

/// Four digits, or two: 69 to 99 are of the last century, 00 to 68 of this (POSIX `%y`).
fn year(at: &mut Cursor<'_>) -> Option<i16> {
    match at.run_of_digits() {
        4 => number(at.digits(4)),
        2 => number(at.digits(2)).map(century),
        _ => None,
    }
}

fn century(year: i16) -> i16 {
    if year < 69 { 2000 + year } else { 1900 + year }
}

fn is_date((year, month, day): Date) -> bool {
    jiff::civil::Date::new(year, month, day).is_ok()
}

const SECOND: i64 = 1_000_000_000;

/// `6:05`, `06:05:09.25`, `06:05:09,25`, `060509`, `6:05 PM`, `6:05 Uhr`, `24:00`. With it,
/// whether the second was written as 60.
fn time_of_day(at: &mut Cursor<'_>) -> Option<(i64, bool)> {
    let packed = at.run_of_digits() >= 4;
    let hour: i64 = at.digits(2).parse().ok()?;
    if !packed {
        (at.skip(':') || at.skip('h')).then_some(())?;
    }
    let two =
        |at: &mut Cursor<'_>| Some(at.digits(2)).filter(|digits| digits.len() == 2)?.parse::<i64>().ok();
    let minute = two(at)?;
    let seconds = if packed { at.run_of_digits() >= 2 } else { at.skip(':') };
    let mut nanos = 0;
    let mut second = 0;
    if seconds {
        second = two(at)?;
        let fraction = at.text.starts_with(['.', ',', ':'])
            && at.text.get(1..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if fraction {
            let mark = at.text.chars().next();
            at.text = at.text.get(1..).unwrap_or_default();
            let digits = at.digits(32);
            // `12:00:00:250` means milliseconds, and a `:` before another count of digits something unknown.
            (mark != Some(':') || digits.len() == 3).then_some(())?;
            nanos = (0..9).fold(0, |sum, place| {
                sum * 10 + digits.as_bytes().get(place).map_or(0, |digit| i64::from(digit - b'0'))
            });
        }
    }
    let hour = half_of_day(at, hour)?;
    let midnight = hour == 24 && minute == 0 && second == 0 && nanos == 0;
    let legal = (hour < 24 || midnight) && minute < 60 && second <= 60;
    legal.then_some(((hour * 3600 + minute * 60 + second) * SECOND + nanos, second == 60))
}

/// Takes `AM`, `PM` or `Uhr`, if there, and gives the hour from 0.
fn half_of_day(at: &mut Cursor<'_>, hour: i64) -> Option<i64> {
    let rest = at.text.trim_start();
    if !rest.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Some(hour);
    }
    let word: String = rest.chars().take(4).collect::<String>().to_ascii_lowercase();
    let forms =
        [("a.m.", Some(false)), ("p.m.", Some(true)), ("uhr", None), ("am", Some(false)), ("pm", Some(true))];
    let Some((form, half)) = forms.into_iter().find(|(form, _)| word.starts_with(form)) else {
        return Some(hour);
    };
    at.text = rest.get(form.len()..)?;
    match half {
        None => Some(hour),
        Some(afternoon) if (1..=12).contains(&hour) => Some(hour % 12 + if afternoon { 12 } else { 0 }),
        Some(_) => None,
    }
}

/// Zone names that mean one offset everywhere, in hours. (CST, IST and others mean several and are not read.)
const ZONES: &[(&str, i32)] =
    &[("Z", 0), ("UTC", 0), ("GMT", 0), ("CET", 1), ("CEST", 2), ("MEZ", 1), ("MESZ", 2)];

/// The word behind a date and a time of day that would be read without it: most often a zone that means several offsets.
pub fn unknown_zone(text: &str) -> Option<&str> {
    let text = text.trim();
    let before = text.trim_end_matches(char::is_alphabetic);
    let word = text.get(before.len()..).filter(|word| !word.is_empty())?;
    let civil = parse(before, None)?;
    (civil.date.is_some() && civil.nanos.is_some() && civil.offset_seconds.is_none()).then_some(word)
}

/// What ends a time: nothing, or an offset. `None`: something else.
#[allow(clippy::option_option, reason = "no offset is an answer")]
fn offset(at: &mut Cursor<'_>) -> Option<Option<i32>> {
    at.skip_spaces();
    if at.text.is_empty() {
        return Some(None);
    }
    if at.text.starts_with(char::is_alphabetic) {
        let name = at.letters();
        let hours = ZONES.iter().find(|(zone, _)| zone.eq_ignore_ascii_case(name))?.1;
        // `UTC+02:00`
        if at.text.starts_with(['+', '-']) && hours == 0 {
            return offset(at);
        }
        return end(at).then_some(Some(hours * 3600));
    }
    let sign = if at.skip('+') {
        1
    } else if at.skip('-') || at.skip('\u{2212}') {
        -1
    } else {
        return None;
    };
    let hours: i32 = Some(at.digits(2)).filter(|digits| digits.len() == 2)?.parse().ok()?;
    let marked = at.skip(':');
    let minutes: i32 = match at.digits(2) {
        "" if !marked => 0,
        digits if digits.len() == 2 => digits.parse().ok()?,
        _ => return None,
    };
    (hours < 24 && minutes < 60 && end(at)).then_some(Some(sign * (hours * 3600 + minutes * 60)))
}

/// Whether nothing follows, or only the zone's name in brackets (RFC 9557).
fn end(at: &mut Cursor<'_>) -> bool {
    let rest = at.text.trim();
    rest.is_empty() || (rest.starts_with('[') && rest.ends_with(']'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_short_way_reads_what_the_long_one_does(
            text in "(19|20|00|99)[0-9]{2}-[01][0-9]-[0-3][0-9][ T][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,12})?(Z|[+-][0-2][0-9]:[0-6][0-9])?",
        ) {
            if let Some(civil) = iso(text.as_bytes()) {
                prop_assert_eq!(of_any_form(&text, None), Some(civil));
                prop_assert_eq!(of_any_form(&text, Some(DayOrder::MonthFirst)), Some(civil));
            }
        }
    }

    #[test]
    fn what_is_no_time_by_its_first_letters_is_none_by_any() {
        let texts = ["Good", "unit05/TI0123", "x", "", "(12)", "Temperature 5", "é", "T12:00", "zulu 12:00"];
        for text in texts {
            assert!(!words::may_begin_time(text) || of_any_form(text, None).is_none(), "{text}");
        }
        let times = [
            "5",
            "12:00",
            "Jan 1, 2024",
            "MÄRZ 1 2024",
            "mär 1 2024",
            "août 2 2024",
            "déc 3 2024",
            "Sa 1.1.2024",
        ];
        for text in times {
            assert!(words::may_begin_time(text), "{text}");
        }
    }
}
