//! From what stands in a time column to nanoseconds UTC: epochs, Excel's serial numbers, and local times through a
//! time zone with its gaps and repeated hours.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use tidemill_core::rfc3339;

use crate::civil::{self, Civil, DayOrder};
use crate::steps::Grid;

/// Signals of one file whose repeated hours are told apart.
const RUNS_MAX: usize = 100_000;

/// What `--time-format` may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFormat {
    /// Dates of three numbers: the day first, the month, or a year of two digits.
    Order(DayOrder),
    /// Numbers since 1970-01-01 UTC.
    Epoch(Unit),
    /// Days since 1899-12-30, as Excel counts them, in local time.
    Excel,
}

impl TimeFormat {
    /// The words for `--time-format`.
    pub const NAMES: &'static [(&'static str, TimeFormat)] = &[
        ("dmy", TimeFormat::Order(DayOrder::DayFirst)),
        ("mdy", TimeFormat::Order(DayOrder::MonthFirst)),
        ("ymd", TimeFormat::Order(DayOrder::YearFirst)),
        ("s", TimeFormat::Epoch(Unit::Seconds)),
        ("ms", TimeFormat::Epoch(Unit::Millis)),
        ("us", TimeFormat::Epoch(Unit::Micros)),
        ("ns", TimeFormat::Epoch(Unit::Nanos)),
        ("excel", TimeFormat::Excel),
    ];

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<TimeFormat> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
    }
}

/// The unit of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 1 s.
    Seconds,
    /// 10⁻³ s.
    Millis,
    /// 10⁻⁶ s.
    Micros,
    /// 10⁻⁹ s.
    Nanos,
}

impl Unit {
    /// From the longest to the shortest.
    pub const ALL: [Unit; 4] = [Unit::Seconds, Unit::Millis, Unit::Micros, Unit::Nanos];

    /// The unit that makes a count of this size a time between 1973 and 5138. Smaller counts are none: 8 digits are a
    /// date, and fewer are elapsed seconds.
    pub fn by_magnitude(most: f64) -> Option<Unit> {
        match most {
            _ if most < 1e8 => None,
            _ if most < 1e11 => Some(Unit::Seconds),
            _ if most < 1e14 => Some(Unit::Millis),
            _ if most < 1e17 => Some(Unit::Micros),
            _ if most < 1e19 => Some(Unit::Nanos),
            _ => None,
        }
    }

    /// The unit as `precision` has it.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Seconds => "s",
            Unit::Millis => "ms",
            Unit::Micros => "us",
            Unit::Nanos => "ns",
        }
    }

    /// A count of it in seconds.
    pub fn seconds(self, count: f64) -> f64 {
        match self {
            Unit::Seconds => count,
            Unit::Millis => count / 1e3,
            Unit::Micros => count / 1e6,
            Unit::Nanos => count / 1e9,
        }
    }

    fn decimals(self) -> usize {
        match self {
            Unit::Seconds => 9,
            Unit::Millis => 6,
            Unit::Micros => 3,
            Unit::Nanos => 0,
        }
    }
}

/// How the time column of a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeForm {
    /// Dates and times of day; the order is that of dates which need one.
    Text(Option<DayOrder>),
    /// Counts since 1970-01-01 UTC.
    Epoch(Unit),
    /// Days since 1899-12-30.
    Excel,
    /// A column counts from a start.
    Elapsed(Grid),
    /// No column tells: each row is a step behind the one before.
    Rows(Grid),
}

/// Why a time cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum TimeFault {
    #[error("there is no time")]
    Missing,
    #[error("'{0}' is no time of the form that this file has")]
    Form(String),
    #[error("'{0}' is outside the years 1677 to 2262")]
    Range(String),
    #[error(
        "'{0}' has a second 60 where none can be: a leap second is 23:59:60 UTC on the last day of a month"
    )]
    LeapSecond(String),
    #[error("'{text}' does not exist in {zone}: the clocks went forward over it")]
    Gap { text: String, zone: String },
    #[error("'{0}' has no offset, and no time zone is known for it")]
    NoZone(String),
}

/// Reads the times of one file.
#[derive(Debug)]
pub struct Clock {
    form: TimeForm,
    /// None: no time is expected to need one.
    zone: Option<TimeZone>,
    /// The zone that a time named last.
    named: Option<(String, TimeZone)>,
    /// Rows in the hour that the clocks repeat.
    pub repeated: u64,
    /// How many rows of that hour were taken as its second pass.
    pub second_pass: u64,
}

/// Where a run of rows stands, so that the repeated hour can be told apart. One a signal in the narrow form.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run {
    last: Option<i64>,
    descending: Option<bool>,
    repeats: bool,
    /// How many rows there were.
    rows: u64,
}

impl Run {
    /// Passes over a row that cannot be read: those behind it keep their times.
    pub fn skip(&mut self) {
        self.rows += 1;
    }

    fn step(&mut self, time: i64) {
        if let Some(last) = self.last {
            if time == last {
                self.repeats = true;
            } else if self.descending.is_none() {
                self.descending = Some(time < last);
            }
        }
        self.last = Some(time);
    }

    /// Which pass through the repeated hour a row belongs to: the one that keeps the rows in order. `true`: the second.
    fn second_pass(&self, earlier: i64, later: i64) -> bool {
        let Some(last) = self.last else { return false };
        if self.descending.unwrap_or(later < last) {
            return later < last || (later == last && self.repeats);
        }
        // A time that has just been goes on in the second pass where no other time ever stood twice.
        let again = earlier == last && self.descending.is_some() && !self.repeats;
        later >= last && (earlier < last || again)
    }
}

impl Clock {
    /// Of times in this form; those that do not say where they are meant are of this zone, and without one refused.
    pub fn new(form: TimeForm, zone: impl Into<Option<TimeZone>>) -> Clock {
        Clock { form, zone: zone.into(), named: None, repeated: 0, second_pass: 0 }
    }

    /// Says the zone of times that do not say it themselves.
    pub fn set_zone(&mut self, zone: TimeZone) {
        self.zone = Some(zone);
    }

    /// The instant that a cell means, with the time of day from a second column where there is one.
    ///
    /// # Errors
    /// Why it means none.
    pub fn read(&mut self, text: &str, time_of_day: Option<&str>, run: &mut Run) -> Result<i64, TimeFault> {
        if let TimeForm::Rows(grid) = self.form {
            let row = run.rows;
            run.rows += 1;
            return grid.at(&row.to_string(), self.zone.as_ref());
        }
        if text.is_empty() {
            return Err(TimeFault::Missing);
        }
        let time = match self.form {
            TimeForm::Epoch(unit) => epoch(text, unit)?,
            TimeForm::Elapsed(grid) | TimeForm::Rows(grid) => grid.at(text, self.zone.as_ref())?,
            TimeForm::Excel => {
                let local = excel(text).ok_or_else(|| form(text))?;
                self.local(text, local, None, run)?
            }
            TimeForm::Text(order) => {
                let mut civil = civil::parse(text, order).ok_or_else(|| form(text))?;
                let (Some(date), nanos) = (civil.date, civil.nanos) else { return Err(form(text)) };
                let mut spoken = Cow::Borrowed(text);
                let mut nanos = nanos.unwrap_or_default();
                if let Some(second) = time_of_day {
                    (nanos, civil) = day_time(second, &civil)?;
                    spoken = format!("{text} {second}").into();
                }
                let (seconds, rest) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
                let midnight = DateTime::new(date.0, date.1, date.2, 0, 0, 0, 0).map_err(|_| form(text))?;
                let local = midnight
                    .checked_add(jiff::SignedDuration::new(seconds, i32::try_from(rest).unwrap_or(0)));
                let local = local.map_err(|_| range(text))?;
                let named = civil.zoned && civil.offset_seconds.is_none();
                let zone = if named { self.named_zone(time_of_day.unwrap_or(text)) } else { None };
                let time = match zone {
                    Some(zone) => self.in_zone(&zone, &spoken, local, run)?,
                    None => self.local(&spoken, local, civil.offset_seconds, run)?,
                };
                if civil.leap && !begins_month(time) {
                    return Err(TimeFault::LeapSecond(spoken.chars().take(40).collect()));
                }
                time
            }
        };
        run.step(time);
        Ok(time)
    }

    fn local(
        &mut self,
        text: &str,
        local: DateTime,
        offset: Option<i32>,
        run: &Run,
    ) -> Result<i64, TimeFault> {
        if let Some(seconds) = offset {
            return instant(text, local, Offset::from_seconds(seconds).map_err(|_| form(text))?);
        }
        let zone = self.zone.clone().ok_or_else(|| TimeFault::NoZone(text.chars().take(40).collect()))?;
        self.in_zone(&zone, text, local, run)
    }

    /// The zone that a time names.
    fn named_zone(&mut self, text: &str) -> Option<TimeZone> {
        let name = text.rsplit([' ', '[']).next().unwrap_or_default();
        if let Some((last, zone)) = &self.named
            && last == name
        {
            return Some(zone.clone());
        }
        let zone = civil::zone_of(text)?;
        self.named = Some((name.to_owned(), zone.clone()));
        Some(zone)
    }

    fn in_zone(&mut self, zone: &TimeZone, text: &str, local: DateTime, run: &Run) -> Result<i64, TimeFault> {
        let instant = |offset| instant(text, local, offset);
        match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => instant(offset),
            AmbiguousOffset::Gap { .. } => {
                Err(TimeFault::Gap { text: text.to_owned(), zone: zone_name(zone).into_owned() })
            }
            AmbiguousOffset::Fold { before, after } => {
                let (earlier, later) = (instant(before)?, instant(after)?);
                self.repeated += 1;
                let second = run.second_pass(earlier, later);
                self.second_pass += u64::from(second);
                Ok(if second { later } else { earlier })
            }
        }
    }
}

/// Reads the times of a file of columns: the instants at which clocks in its time zone showed them, signal by signal.
pub struct LocalTimes {
    clock: Clock,
    runs: HashMap<String, Run>,
}

impl LocalTimes {
    /// Of clocks in this zone. None: no time is expected to need one.
    pub fn new(zone: Option<TimeZone>) -> LocalTimes {
        LocalTimes { clock: Clock::new(TimeForm::Text(None), zone), runs: HashMap::new() }
    }

    /// The zone, for people.
    pub fn zone(&self) -> Cow<'_, str> {
        self.clock.zone.as_ref().map_or(Cow::Borrowed(""), zone_name)
    }

    /// Rows in the hour that the clocks repeat, and how many of them were taken as the second pass.
    pub fn repeated(&self) -> (u64, u64) {
        (self.clock.repeated, self.clock.second_pass)
    }

    /// The instant at which a clock showed so many nanoseconds since 1970.
    ///
    /// # Errors
    /// Why it never did.
    pub fn instant(&mut self, signal: &str, shown: i64) -> Result<i64, String> {
        let mut spare = Run::default();
        if !self.runs.contains_key(signal) && self.runs.len() < RUNS_MAX {
            self.runs.insert(signal.to_owned(), Run::default());
        }
        let run = self.runs.get_mut(signal).unwrap_or(&mut spare);
        let mut text = rfc3339(shown);
        text.pop();
        let local =
            jiff::Timestamp::from_nanosecond(i128::from(shown)).map(|shown| Offset::UTC.to_datetime(shown));
        let local = local.map_err(|_| range(&text).to_string())?;
        let time = self.clock.local(&text, local, None, run).map_err(|fault| fault.to_string())?;
        run.step(time);
        Ok(time)
    }
}

/// The instant of a single time that clocks in a zone showed, in ns UTC, and whether they show it twice: then it is the
/// first of both, as for the first row of a file.
///
/// # Errors
/// Why they never showed it.
pub fn instant_of(text: &str, local: DateTime, zone: &TimeZone) -> Result<(i64, bool), String> {
    let mut clock = Clock::new(TimeForm::Text(None), zone.clone());
    let time = clock.local(text, local, None, &Run::default()).map_err(|fault| fault.to_string())?;
    Ok((time, clock.repeated > 0))
}

/// A time zone as people are told of it.
pub fn zone_name(zone: &TimeZone) -> Cow<'_, str> {
    match (zone.iana_name(), zone.to_fixed_offset()) {
        (Some(name), _) => name.into(),
        (None, Ok(offset)) => format!("UTC{offset}").into(),
        (None, Err(_)) => "the system's time zone".into(),
    }
}

fn instant(text: &str, local: DateTime, offset: Offset) -> Result<i64, TimeFault> {
    let instant = offset.to_timestamp(local).map_err(|_| range(text))?;
    i64::try_from(instant.as_nanosecond()).map_err(|_| range(text))
}

/// Whether a month begins with this second, in UTC.
fn begins_month(time: i64) -> bool {
    jiff::Timestamp::from_nanosecond(i128::from(time)).is_ok_and(|instant| {
        let utc = Offset::UTC.to_datetime(instant);
        (utc.day(), utc.hour(), utc.minute(), utc.second()) == (1, 0, 0, 0)
    })
}

/// The time of day of a column of its own, and what both columns say together.
fn day_time(text: &str, date: &Civil) -> Result<(i64, Civil), TimeFault> {
    if text.is_empty() {
        return Err(TimeFault::Missing);
    }
    if let Some(nanos) = text.strip_suffix(" s").and_then(|count| epoch(count, Unit::Seconds).ok()) {
        return Ok((nanos, Civil { nanos: Some(nanos), ..*date }));
    }
    let time = civil::parse(text, None).ok_or_else(|| form(text))?;
    // Excel writes a date before the time of day, midnight of 1899-12-30 or of the day itself: only the time counts.
    let nanos = time.nanos.ok_or_else(|| form(text))?;
    let offset_seconds = time.offset_seconds.or(date.offset_seconds);
    Ok((nanos, Civil { offset_seconds, zoned: time.zoned, leap: time.leap, ..*date }))
}

fn form(text: &str) -> TimeFault {
    TimeFault::Form(text.chars().take(40).collect())
}

fn range(text: &str) -> TimeFault {
    TimeFault::Range(text.chars().take(40).collect())
}

/// Reads a decimal count of a unit exactly: a float would lose the nanoseconds.
///
/// # Errors
/// It is no count, or the time is none that can be kept.
pub fn epoch(text: &str, unit: Unit) -> Result<i64, TimeFault> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once(['.', ',']).unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return Err(form(text));
    }
    if whole.len() > 20 {
        return Err(range(text));
    }
    let places = unit.decimals();
    let kept = (0..places).map(|place| fraction.as_bytes().get(place).copied().unwrap_or(b'0'));
    let total = whole.bytes().chain(kept).fold(0i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
    i64::try_from(if negative { -total } else { total }).map_err(|_| range(text))
}

/// Excel's serial number: days since 1899-12-30, to the millisecond, which is what Excel itself shows.
fn excel(text: &str) -> Option<DateTime> {
    let days: f64 = text.replace(',', ".").parse().ok()?;
    if !(0.0..2_958_466.0).contains(&days) {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "at most 2.6e14")]
    let millis = (days * 86_400_000.0).round() as i64;
    DateTime::new(1899, 12, 30, 0, 0, 0, 0).ok()?.checked_add(jiff::SignedDuration::from_millis(millis)).ok()
}
