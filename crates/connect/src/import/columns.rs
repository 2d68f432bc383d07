//! What the cells of a column look like, as counts that take the same room for any number of rows. What follows from
//! them is decided in `layout`.

use hashbrown::HashMap;

use super::cell::{self, Decimal, Spelling};
use super::civil::{self, Civil, Evidence};
use super::time::Unit;
use super::words;

/// Distinct words of one column whose meanings are remembered; words behind them are no status unless they are codes.
const WORDS_MAX: usize = 256;

/// The longest such word, and how much of a cell is kept to be shown.
const WORD_BYTES_MAX: usize = 64;

/// Counts over the cells of one column.
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
    /// Dates, with or without a time of day, that do not say where they are meant.
    pub(super) bare: usize,
    /// The first word behind a time that is no zone which is known here, and its line.
    pub(super) unknown_zone: Option<Place>,
    pub(super) numbers: usize,
    pub(super) largest: f64,
    pub(super) epochs: Epochs,
    pub(super) booleans: usize,
    /// `AM` and `PM`.
    pub(super) halves: usize,
    /// Zones by themselves.
    pub(super) zones: usize,
    /// Words of absence; they say nothing of the kind.
    pub(super) absent: usize,
    /// Infinities, and numbers that no float holds: among numbers they say nothing of the kind either.
    pub(super) infinite: usize,
    pub(super) statuses: usize,
    /// Words that say how good a value is, and hardly anything else.
    qualities: usize,
    /// Numbers without a fraction.
    whole: usize,
    /// The first cell that is no status.
    pub(super) no_status: Option<Place>,
    /// Numbers from 64 to 255: only OPC DA's qualities have them.
    pub(super) da_numbers: usize,
    codes: Codes,
    zeros: usize,
    /// Numbers beyond 16 bits: only OPC UA's codes are so large.
    ua_numbers: usize,
    /// Numbers with a unit behind them, while it is the same one.
    united: usize,
    unit: Option<&'static str>,
    pub(super) orders: Orders,
    pub(super) marks: Marks,
    /// Numbers from 0 or 1, each one more than the one before.
    in_step: bool,
    last: Option<f64>,
    words: HashMap<String, Word>,
}

/// What a word may be.
#[derive(Debug, Clone, Copy)]
struct Word {
    boolean: bool,
    half: bool,
    zone: bool,
    absent: bool,
    infinite: bool,
    status: bool,
    quality: bool,
}

impl Word {
    fn of(text: &str, may_be_status: bool) -> Word {
        Word {
            boolean: cell::boolean(text).is_some(),
            half: words::is_half_of_day(text),
            zone: civil::is_zone(text),
            absent: words::absent(text, true).is_some(),
            infinite: cell::is_infinite(text),
            status: may_be_status && words::status(text).is_some(),
            quality: words::says_quality(text),
        }
    }
}

/// `0x80120000` and `Bad (0x80120000)`, of which a file may have any number.
fn is_code(text: &str) -> bool {
    text.starts_with("0x") || text.ends_with(')')
}

/// Where a question was first met: line and cell.
pub(super) type Place = (u64, String);

/// A cell as it is shown in a question.
fn place(line: u64, text: &str) -> Place {
    (line, text.chars().take(WORD_BYTES_MAX).collect())
}

/// What dates of three numbers say of their order.
#[derive(Debug, Default, Clone)]
pub(super) struct Orders {
    /// With points, which is day first.
    pub(super) dotted: Option<Place>,
    pub(super) day_first: Option<Place>,
    pub(super) month_first: Option<Place>,
    pub(super) either: Option<Place>,
    /// Years of two digits: that can only stand first, and that may.
    pub(super) year_first: Option<Place>,
    pub(super) day_or_year: Option<Place>,
    year_may_be_first: Option<Place>,
    pub(super) year_last: Option<Place>,
    /// The least and the greatest of the first and of the last number of those that may.
    year_ends: Option<[(i16, i16); 2]>,
}

impl Orders {
    fn add(&mut self, civil: &Civil, line: u64, text: &str) {
        if let Some((first, last)) = civil.year_ends {
            self.year_may_be_first.get_or_insert_with(|| place(line, text));
            let ends = self.year_ends.get_or_insert([(first, first), (last, last)]);
            for (end, number) in ends.iter_mut().zip([first, last]) {
                *end = (end.0.min(number), end.1.max(number));
            }
        } else {
            if civil.evidence != Evidence::Clear {
                self.year_last.get_or_insert_with(|| place(line, text));
            }
        }
        let at = match civil.evidence {
            Evidence::Clear | Evidence::Same => return,
            Evidence::Dotted => &mut self.dotted,
            Evidence::YearFirst => &mut self.year_first,
            Evidence::DayOrYear => &mut self.day_or_year,
            Evidence::DayFirst => &mut self.day_first,
            Evidence::MonthFirst => &mut self.month_first,
            Evidence::Either => &mut self.either,
        };
        at.get_or_insert_with(|| place(line, text));
    }

    /// A date that begins or ends with its year, if none says which: not by a number that only one can be, nor by the first
    /// changing more than the last, as days do within a year.
    pub(super) fn open_year(&self) -> Option<&Place> {
        let spread = |(least, most): (i16, i16)| most - least;
        let days_first = self.year_ends.is_some_and(|[first, last]| spread(first) > spread(last));
        self.year_may_be_first.as_ref().filter(|_| self.year_last.is_none() && !days_first)
    }
}

/// What numbers say of their decimal mark.
#[derive(Debug, Default, Clone)]
pub(super) struct Marks {
    pub(super) points: usize,
    pub(super) commas: usize,
    /// `1,234`, and `1.234`: decimals or thousands.
    pub(super) open: Option<Place>,
    pub(super) open_point: Option<Place>,
    /// Whether thousands stand without a mark.
    pub(super) plain_thousands: bool,
}

impl Marks {
    fn add(&mut self, spelling: Spelling, line: u64, text: &str) {
        match spelling {
            Spelling::Plain => self.plain_thousands |= text.trim_start_matches(['-', '+']).len() > 3,
            Spelling::PointOrGroup => {
                self.open_point.get_or_insert_with(|| place(line, text));
            }
            Spelling::Point => self.points += 1,
            Spelling::Comma => self.commas += 1,
            Spelling::CommaOrGroup => {
                self.open.get_or_insert_with(|| place(line, text));
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

/// How many numbers have the size of which unit of the time since 1970, and the first of each.
#[derive(Debug, Default, Clone)]
pub(super) struct Epochs {
    any: bool,
    sizes: [(usize, Option<Place>); Unit::ALL.len()],
    /// Those of each size that are of 2001 to 2103 in their own unit.
    likely: [Option<Place>; Unit::ALL.len()],
}

impl Epochs {
    pub(super) fn add(&mut self, number: f64, line: u64, text: &str) {
        self.any = true;
        let unit = Unit::by_magnitude(number.abs());
        let size = unit.and_then(|unit| Unit::ALL.iter().position(|other| *other == unit));
        if let Some((count, first)) = size.and_then(|size| self.sizes.get_mut(size)) {
            *count += 1;
            first.get_or_insert_with(|| place(line, text));
        }
        if let Some(likely) = size.and_then(|size| self.likely.get_mut(size))
            && likely.is_none()
            && unit.is_some_and(|unit| (1e9..4.2e9).contains(&unit.seconds(number.abs())))
        {
            *likely = Some(place(line, text));
        }
    }

    /// Whether there is any number, of whatever size.
    pub(super) fn any(&self) -> bool {
        self.any
    }

    /// The unit of the largest numbers: a clock that is not set yet begins in 1970 and makes small ones.
    pub(super) fn unit(&self) -> Option<Unit> {
        let largest = self.sizes.iter().rposition(|(count, _)| *count > 0)?;
        Unit::ALL.get(largest).copied()
    }

    /// Two numbers of sizes of which it cannot be said what both are: times of these years in two units, or most, and the few
    /// that are larger by a unit, which may be faults.
    pub(super) fn two_sizes(&self) -> Option<(&Place, &Place)> {
        let mut likely = self.likely.iter().flatten();
        if let (Some(one), Some(other)) = (likely.next(), likely.next()) {
            return Some((one, other));
        }
        let mut seen = self.sizes.iter().filter(|(count, _)| *count > 0);
        let (larger, all) = (seen.next_back()?, self.sizes.iter().map(|(count, _)| count).sum());
        let most = seen.max_by_key(|(count, _)| *count)?;
        few(larger.0, all).then_some((most.1.as_ref()?, larger.1.as_ref()?))
    }
}

impl Column {
    pub(super) fn add(&mut self, line: u64, text: &str) {
        let text = text.trim();
        let Some(first) = text.chars().next() else { return };
        self.filled += 1;
        if let Some((spelling, number)) = cell::bare(text) {
            return self.add_scalar(line, text, spelling, number);
        }
        // The same words come again and again: to tell what one is costs more than to read the row.
        let may_be_number = first.is_ascii_digit();
        if !may_be_number && let Some(word) = self.words.get(text) {
            return self.add_word(*word);
        }
        // Without a digit it is neither a time nor a number, and long texts are no words: most cells of texts are these.
        let has_digit = text.bytes().take(WORD_BYTES_MAX).any(|byte| byte.is_ascii_digit());
        if text.len() > WORD_BYTES_MAX && !has_digit && !is_code(text) {
            self.no_status.get_or_insert_with(|| place(line, text));
            return;
        }
        let is_time = has_digit && first.is_alphanumeric() && self.add_time(line, text);
        // Only digits are a time and a number.
        if is_time && text.contains([':', '-', '/', ' ']) {
            self.no_status.get_or_insert_with(|| place(line, text));
            return;
        }
        if let Some((spelling, number)) = cell::spelled(text) {
            self.add_scalar(line, text, spelling, number);
        } else if !is_time {
            if self.add_united(line, text) {
                return;
            }
            if may_be_number && let Some(word) = self.words.get(text) {
                return self.add_word(*word);
            }
            let keep = self.words.len() < WORDS_MAX && text.len() <= WORD_BYTES_MAX;
            let word = Word::of(text, keep || is_code(text));
            if keep {
                self.words.insert(text.to_owned(), word);
            }
            if !word.status {
                self.no_status.get_or_insert_with(|| place(line, text));
            }
            self.add_word(word);
        }
    }

    fn add_united(&mut self, line: u64, text: &str) -> bool {
        let Some((number, unit)) =
            text.ends_with(|c: char| !c.is_ascii_digit()).then(|| words::united(text)).flatten()
        else {
            return false;
        };
        let Some(spelling) = cell::spelling(number) else { return false };
        self.no_status.get_or_insert_with(|| place(line, text));
        if *self.unit.get_or_insert(unit) == unit {
            self.united += 1;
            self.marks.add(spelling, line, number);
        }
        true
    }

    /// The unit that stands behind its numbers, if nearly all have it and the others none.
    pub(super) fn unit(&self) -> Option<&'static str> {
        let all = self.filled.saturating_sub(self.absent);
        self.unit.filter(|_| {
            self.united > self.numbers && few(all.saturating_sub(self.united + self.numbers), all)
        })
    }

    /// Adds what is no scalar: no status, but it may say one.
    pub(super) fn add_document(&mut self, line: u64, json: &str) {
        self.filled += 1;
        self.qualities += usize::from(words::says_quality(json));
        self.no_status.get_or_insert_with(|| place(line, json));
    }

    fn add_word(&mut self, word: Word) {
        self.booleans += usize::from(word.boolean);
        self.halves += usize::from(word.half);
        self.zones += usize::from(word.zone);
        self.absent += usize::from(word.absent);
        self.infinite += usize::from(word.infinite);
        self.statuses += usize::from(word.status);
        self.qualities += usize::from(word.quality);
    }

    fn add_time(&mut self, line: u64, text: &str) -> bool {
        let Some(civil) = civil::parse(text, None) else {
            if self.unknown_zone.is_none() {
                self.unknown_zone = civil::unknown_zone(text).map(|word| place(line, word));
            }
            return false;
        };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        self.offsets += usize::from(civil.zoned);
        self.bare += usize::from(civil.date.is_some() && !civil.zoned);
        match (civil.date.is_some(), civil.nanos.is_some()) {
            (true, _) if digits => self.digit_dates += 1,
            (true, true) => self.date_times += 1,
            (true, false) => self.dates += 1,
            _ => {
                self.packed_times += 1;
                self.day_times += usize::from(text.contains(':'));
            }
        }
        self.orders.add(&civil, line, text);
        true
    }

    fn add_scalar(&mut self, line: u64, text: &str, spelling: Spelling, number: f64) {
        let whole = number.fract() == 0.0;
        self.statuses += usize::from(whole);
        self.whole += usize::from(whole);
        if !whole {
            self.no_status.get_or_insert_with(|| place(line, text));
        }
        self.marks.add(spelling, line, text);
        self.epochs.add(number, line, text);
        self.numbers += 1;
        self.largest = self.largest.max(number.abs());
        self.da_numbers += usize::from((64.0..256.0).contains(&number));
        self.codes.add(number);
        self.zeros += usize::from(number == 0.0);
        self.ua_numbers += usize::from(number >= 65_536.0);
        let next = self.last.map_or(number == 0.0 || number == 1.0, |last| number == last + 1.0);
        self.in_step = next && (self.in_step || self.last.is_none());
        self.last = Some(number);
    }

    /// What is said of times in a zone that is not known.
    pub(super) fn in_unknown_zone(&self) -> String {
        let (line, word) = self.unknown_zone.clone().unwrap_or_default();
        format!(
            "times that end in '{word}' (line {line}), which is no zone that is known here: such names mean several"
        )
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

    /// Whether it holds whole numbers and nothing else.
    pub(super) fn is_whole(&self) -> bool {
        self.whole > 0 && self.whole == self.numbers && self.numbers == self.filled
    }

    pub(super) fn is_status(&self) -> bool {
        self.mostly(self.statuses)
    }

    /// Whether a column that is called a quality is one, whatever else stands in it: one known word is enough, since
    /// what is taken for something else would leave a value good that is not.
    pub(super) fn says_quality(&self) -> bool {
        let numbers = self.whole > 0 && self.whole == self.numbers && self.whole * 2 >= self.filled;
        self.is_status() || self.qualities > 0 || numbers
    }

    /// Whether its numbers can hardly be codes of a status: none that is good, or by chance, and besides 0 mostly others than
    /// the bad and uncertain ones, or some that no code has.
    pub(super) fn is_rating(&self) -> bool {
        let Codes { certain, likely, small } = self.codes;
        let other = self.numbers - self.zeros;
        let strange = other - (certain + likely + small);
        self.numbers > 0
            && self.numbers + self.absent >= self.filled
            && match certain {
                0 => likely * 2 < other || (strange > 0 && !few(strange, self.numbers)),
                _ => other < strange * 2,
            }
    }

    /// Whether it has codes of OPC UA, and besides them nothing but 0.
    pub(super) fn is_opc_ua(&self) -> bool {
        self.ua_numbers > 0 && self.ua_numbers + self.zeros == self.numbers
    }

    pub(super) fn is_mostly_zero(&self) -> bool {
        self.mostly(self.zeros)
    }
}

/// How many numbers are codes of a status.
#[derive(Debug, Default, Clone)]
struct Codes {
    /// What hardly anything else is: OPC DA's good ones and those with a vendor's byte, OPC UA's, and PI's system states.
    certain: usize,
    /// OPC DA's bad ones without a limit, and the uncertain ones with and without. 0 is anything.
    likely: usize,
    /// OPC DA's bad ones with a limit: all small numbers that are left.
    small: usize,
}

impl Codes {
    fn add(&mut self, number: f64) {
        let whole = number.fract() == 0.0 && (-65_536.0..=f64::from(u32::MAX)).contains(&number);
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 33 bits")]
        match number as i64 {
            _ if !whole => {}
            ..0 | 65_536.. => self.certain += 1,
            0 => {}
            // OPC DA 3.00, section 6.8: two bits of quality, four of what kind, two of a limit.
            code => match (code & 0xFC, code & 0x03) {
                (192 | 216, _) => self.certain += 1,
                (64 | 68 | 80 | 84 | 88, _) | (0..=32, 0) => self.likely += 1,
                (0..=32, _) => self.small += 1,
                _ => {}
            },
        }
    }
}

/// Whether so few cells are otherwise that they are faults: one in ten, or one of a handful.
pub(super) fn few(others: usize, all: usize) -> bool {
    others * 10 <= all || (others == 1 && all >= 4)
}
