//! LabVIEW's measurement files (.lvm, NI's "Specification for the LabVIEW Measurement File"): a header, then any number of
//! segments with a header of their own, whose rows count seconds from when each channel began.

use jiff::SignedDuration;
use jiff::civil::DateTime;

use super::super::civil::{self, Evidence};
use super::super::records::Record;
use super::{ByRecord, as_it_is, row};

/// Seconds from LabVIEW's 1904-01-01 UTC to 1970.
const EPOCH_SECONDS: f64 = 2_082_844_800.0;

/// Counts of at least as many seconds are from 1904, as an absolute `Time_Pref` has them: less is within 30 years of a start.
const ABSOLUTE_SECONDS_MIN: f64 = 1e9;

const END: &str = "***End_of_Header***";

/// What separates the columns, if a text begins as such a file.
pub(super) fn separator(text: &str) -> Option<char> {
    let rest = text.lines().next()?.strip_prefix("LabVIEW Measurement")?;
    let said = text.lines().take(20).find_map(|line| line.strip_prefix("Separator"));
    said.or(Some(rest))
        .and_then(|rest| rest.chars().next())
        .filter(|c| matches!(c, '\t' | ',' | ';'))
        .or(Some('\t'))
}

/// The file as rows of signal, time, value and unit.
#[derive(Clone, Debug, Default)]
pub(super) struct Segments {
    begun: bool,
    in_header: bool,
    decimal_comma: bool,
    /// Whether each channel has a column of its own for its times, and whether there is any.
    many_times: bool,
    no_times: bool,
    /// The day and the time of day of the file, and of each channel.
    file: (String, String),
    dates: Vec<String>,
    times: Vec<String>,
    units: Vec<String>,
    first: Vec<f64>,
    step: Vec<f64>,
    starts: Vec<Option<DateTime>>,
    columns: Vec<String>,
    rows: u64,
}

impl Segments {
    fn number(&self, text: &str) -> Option<f64> {
        if self.decimal_comma { text.replace(',', ".").parse().ok() } else { text.parse().ok() }
    }

    fn column(&self, at: usize) -> &str {
        self.columns.get(at).map_or("", String::as_str)
    }

    fn header(&mut self, record: &Record) {
        let all: Vec<String> =
            record.fields().skip(1).filter(|field| !field.is_empty()).map(str::to_owned).collect();
        let one = all.first().cloned().unwrap_or_default();
        let numbers = || all.iter().map(|text| self.number(text).unwrap_or_default()).collect();
        match record.field(0) {
            "Decimal_Separator" => self.decimal_comma = one == ",",
            "X_Columns" => (self.many_times, self.no_times) = (one == "Multi", one == "No"),
            "Date" if self.columns.is_empty() && self.dates.is_empty() && self.file.0.is_empty() => {
                self.file.0 = one
            }
            "Time" if self.columns.is_empty() && self.times.is_empty() && self.file.1.is_empty() => {
                self.file.1 = one
            }
            "Date" => self.dates = all,
            "Time" => self.times = all,
            "Y_Unit_Label" => self.units = all,
            "X0" => self.first = numbers(),
            "Delta_X" => self.step = numbers(),
            _ => {}
        }
    }

    /// The names of the columns, with which the rows of a segment begin.
    fn begin(&mut self, record: &Record) {
        self.columns = record.fields().map(str::to_owned).collect();
        self.rows = 0;
        let channels = self.columns.len();
        let of = |all: &[String], file: &str, at: usize| {
            all.get(at).or(all.first()).cloned().unwrap_or_else(|| file.to_owned())
        };
        let start = |at: usize| {
            let text = format!("{} {}", of(&self.dates, &self.file.0, at), of(&self.times, &self.file.1, at));
            // The year first, as the specification has it: of other forms it is not known what they mean.
            let civil = civil::parse(&text, None).filter(|civil| civil.evidence == Evidence::Clear)?;
            let (year, month, day) = civil.date?;
            let midnight = DateTime::new(year, month, day, 0, 0, 0, 0).ok()?;
            midnight.checked_add(SignedDuration::from_nanos(civil.nanos?)).ok()
        };
        self.starts = (0..channels).map(start).collect();
    }

    /// When a channel was so many seconds behind its start.
    fn time(&self, channel: usize, count: f64) -> Option<String> {
        if count >= ABSOLUTE_SECONDS_MIN {
            let seconds = SignedDuration::try_from_secs_f64(count - EPOCH_SECONDS).ok()?;
            let instant = jiff::Timestamp::UNIX_EPOCH.checked_add(seconds).ok()?;
            return Some(instant.round(jiff::Unit::Microsecond).ok()?.to_string());
        }
        // A float of seconds holds no more than these.
        let behind = SignedDuration::try_from_secs_f64((count * 1e9).round() / 1e9).ok()?;
        let start = self.starts.get(channel).copied().flatten()?;
        Some(start.checked_add(behind).ok()?.to_string())
    }

    fn row(&mut self, record: &Record, out: &mut Vec<u8>) {
        let shared = if self.no_times {
            None
        } else {
            match self.number(record.field(0)) {
                Some(count) => Some(count),
                None if self.many_times => None,
                None => return as_it_is(&record.raw, out),
            }
        };
        let row_number = self.rows;
        self.rows += 1;
        let width = if self.many_times { 2 } else { 1 };
        let skipped = if self.no_times && self.column(0) != "X_Value" { 0 } else { 1 };
        let comment = self.columns.len().checked_sub(1).filter(|last| self.column(*last) == "Comment");
        let values = (skipped..comment.unwrap_or(self.columns.len())).step_by(width).enumerate();
        let values = values.map(|(channel, at)| (channel, at, at.saturating_sub(1)));
        // A remark on a row has the time of its first channel.
        for (channel, at, time_at) in values.chain(comment.map(|at| (0, at, 0))) {
            let (name, text) = (self.column(at), record.field(at));
            if text.is_empty() {
                continue;
            }
            let of = |all: &[f64]| all.get(channel).or(all.first()).copied().unwrap_or_default();
            let count = match shared {
                Some(count) if !self.many_times => count,
                _ if self.no_times => {
                    #[allow(clippy::cast_precision_loss, reason = "below 2^53 rows")]
                    let row_number = row_number as f64;
                    of(&self.first) + row_number * of(&self.step)
                }
                _ => match self.number(record.field(time_at)) {
                    Some(count) => count,
                    None => return as_it_is(&record.raw, out),
                },
            };
            let time = self.time(channel, count).unwrap_or_default();
            let is_remark = Some(at) == comment;
            let has_comma = self.decimal_comma && !is_remark;
            let value = if has_comma { text.replace(',', ".") } else { text.to_owned() };
            let unit = self.units.get(channel).filter(|_| !is_remark).map_or("", String::as_str);
            row([name, &time, &value, unit], out);
        }
    }
}

impl ByRecord for Segments {
    fn record(&mut self, record: &Record, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            self.in_header = true;
            out.extend_from_slice(b"signal,time,value,unit\n");
        }
        match record.field(0) {
            END => self.in_header = false,
            "LabVIEW Measurement" => {
                *self = Segments { begun: true, in_header: true, ..Segments::default() };
            }
            "Channels" => {
                let (file, decimal_comma) = (self.file.clone(), self.decimal_comma);
                let (many_times, no_times) = (self.many_times, self.no_times);
                let kept =
                    Segments { begun: true, in_header: true, file, decimal_comma, ..Segments::default() };
                *self = Segments { many_times, no_times, ..kept };
            }
            _ if self.in_header => self.header(record),
            _ if self.columns.is_empty() => self.begin(record),
            _ => self.row(record, out),
        }
    }
}
