//! What the sampled cells of a column look like, as counts. What follows from them is decided in `layout`.

use super::cell::{self, Decimal, Spelling};
use super::civil::{self, Evidence};
use super::words;

/// Counts over the sampled cells of one column.
#[derive(Debug, Default, Clone)]
pub(super) struct Column {
    pub(super) filled: usize,
    /// Date and time of day, with marks between their numbers.
    pub(super) date_times: usize,
    pub(super) dates: usize,
    /// 20240131 and 20240131120000: times only where a header says so.
    pub(super) digit_dates: usize,
    /// Times of day with a `:`.
    pub(super) day_times: usize,
    /// Times of day, also 120000.
    pub(super) packed_times: usize,
    pub(super) offsets: usize,
    pub(super) numbers: usize,
    pub(super) largest: f64,
    pub(super) booleans: usize,
    /// Words of absence; they say nothing of the kind.
    pub(super) absent: usize,
    pub(super) statuses: usize,
    /// Numbers from 64 to 255: only OPC DA's qualities have them.
    pub(super) da_numbers: usize,
    pub(super) orders: Orders,
    pub(super) marks: Marks,
    /// Numbers from 0 or 1, each one more than the one before.
    in_step: bool,
    last: Option<f64>,
}

/// Where a question was first met: line and cell.
pub(super) type Place = (u64, String);

/// What dates of three numbers say of their order.
#[derive(Debug, Default, Clone)]
pub(super) struct Orders {
    pub(super) day_first: Option<Place>,
    pub(super) month_first: Option<Place>,
    pub(super) either: Option<Place>,
    pub(super) same: Option<Place>,
}

impl Orders {
    pub(super) fn add(&mut self, evidence: Evidence, line: u64, text: &str) {
        let place = match evidence {
            Evidence::Clear => return,
            Evidence::DayFirst => &mut self.day_first,
            Evidence::MonthFirst => &mut self.month_first,
            Evidence::Either => &mut self.either,
            Evidence::Same => &mut self.same,
        };
        place.get_or_insert_with(|| (line, text.to_owned()));
    }
}

/// What numbers say of their decimal mark.
#[derive(Debug, Default, Clone)]
pub(super) struct Marks {
    pub(super) points: usize,
    pub(super) commas: usize,
    pub(super) open: Option<Place>,
}

impl Marks {
    pub(super) fn add(&mut self, spelling: Spelling, line: u64, text: &str) {
        match spelling {
            Spelling::Plain | Spelling::PointOrGroup => {}
            Spelling::Point => self.points += 1,
            Spelling::Comma => self.commas += 1,
            Spelling::CommaOrGroup => {
                self.open.get_or_insert_with(|| (line, text.to_owned()));
            }
        }
    }

    /// The mark that the numbers show; none if they do not.
    pub(super) fn shown(&self) -> Option<Decimal> {
        match (self.points, self.commas) {
            (0, 0) => None,
            (points, commas) if points >= commas => Some(Decimal::Point),
            _ => Some(Decimal::Comma),
        }
    }
}

impl Column {
    pub(super) fn add(&mut self, line: u64, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        self.filled += 1;
        self.add_time(line, text);
        let number = self.add_number(line, text);
        self.booleans += usize::from(cell::boolean(text).is_some());
        self.absent += usize::from(words::absent(text, true).is_some());
        self.statuses +=
            usize::from(words::status(text).is_some() || number.is_some_and(|n| n.fract() == 0.0));
    }

    fn add_time(&mut self, line: u64, text: &str) {
        let Some(civil) = civil::parse(text, None) else { return };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        self.offsets += usize::from(civil.offset_seconds.is_some());
        match (civil.date.is_some(), civil.nanos.is_some()) {
            (true, _) if digits => self.digit_dates += 1,
            (true, true) => self.date_times += 1,
            (true, false) => self.dates += 1,
            _ => {
                self.packed_times += 1;
                self.day_times += usize::from(text.contains(':'));
            }
        }
        self.orders.add(civil.evidence, line, text);
    }

    fn add_number(&mut self, line: u64, text: &str) -> Option<f64> {
        let spelling = cell::spelling(text)?;
        let decimal = if spelling == Spelling::Comma { Decimal::Comma } else { Decimal::Point };
        let number = cell::number(text, decimal)?;
        self.marks.add(spelling, line, text);
        self.numbers += 1;
        self.largest = self.largest.max(number.abs());
        self.da_numbers += usize::from((64.0..256.0).contains(&number));
        let next = self.last.map_or(number == 0.0 || number == 1.0, |last| number == last + 1.0);
        self.in_step = next && (self.in_step || self.last.is_none());
        self.last = Some(number);
        Some(number)
    }

    /// Whether nearly all cells are such (a bad row must not hide what a column is).
    pub(super) fn mostly(&self, count: usize) -> bool {
        count > 0 && few(self.filled.saturating_sub(count), self.filled)
    }

    /// Whether it counts the rows.
    pub(super) fn counts_up(&self) -> bool {
        self.in_step && self.filled > 1
    }

    pub(super) fn is_date_time(&self) -> bool {
        self.date_times > 0 && self.mostly(self.date_times + self.dates)
    }

    pub(super) fn is_date(&self) -> bool {
        self.dates > 0 && self.date_times == 0 && self.mostly(self.dates)
    }

    pub(super) fn is_digit_date(&self) -> bool {
        self.mostly(self.digit_dates)
    }

    pub(super) fn is_day_time(&self) -> bool {
        self.mostly(self.day_times)
    }

    pub(super) fn is_number(&self) -> bool {
        self.numbers > 0 && self.mostly(self.numbers)
    }

    pub(super) fn is_status(&self) -> bool {
        self.mostly(self.statuses)
    }
}

/// Whether so few cells are otherwise that they are faults: one in ten, or one of a handful.
pub(super) fn few(others: usize, all: usize) -> bool {
    others * 10 <= all || (others == 1 && all >= 4)
}
