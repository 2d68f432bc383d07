//! Where the times of a table stand and how they are written: columns, forms, orders of day and month, time zones. What is
//! read by that stands in `time`.

use jiff::tz::{Offset, TimeZone};

use super::super::civil::{self, DayOrder};
use super::super::columns::Orders;
use super::super::error::Error;
use super::super::plan::Zone;
use super::super::time::{TimeForm, TimeFormat, Unit, zone_name};
use super::super::words::{self, HeaderZone, Meaning};
use super::{Look, Times, ZONE_HINT};

impl Look<'_> {
    /// Where the times are.
    pub(in super::super) fn times(&self) -> Result<Times, Error> {
        if let Some(times) = self.times {
            return Ok(times);
        }
        if self.options.start.is_some() {
            return self.counting();
        }
        let (at, of_day) = self.time_columns()?;
        Ok(Times { at: Some(at), of_day, textual: self.is_textual(at) })
    }

    /// The column with the time, or those with date and time of day.
    pub(super) fn time_columns(&self) -> Result<(usize, Option<usize>), Error> {
        let all = || 0..self.sheet.width();
        let day_time = |date: usize| {
            let named = |at: usize| {
                self.means(at, Meaning::Time) && self.column(at).mostly(self.column(at).packed_times)
            };
            // Of a workbook: the hours of a day are elapsed time too.
            let elapsed = |at: usize| self.means(at, Meaning::Time) && self.column(at).unit() == Some("s");
            all().find(|at| *at != date && (self.column(*at).is_day_time() || named(*at) || elapsed(*at)))
        };
        if let Some(wanted) = &self.options.time {
            let at = self.wanted(wanted)?;
            let digits = self.column(at).is_digit_date() && self.column(at).largest < 1e8;
            let bare_date = self.column(at).is_date() || digits;
            return Ok((at, day_time(at).filter(|_| bare_date)));
        }
        let full: Vec<usize> = all().filter(|at| self.column(*at).is_date_time()).collect();
        let offset = |at: &&usize| self.column(**at).mostly(self.column(**at).offsets);
        let named = |at: &&usize| self.means(**at, Meaning::Time);
        if let Some(at) = full.iter().find(offset).or_else(|| full.iter().find(named)).or(full.first()) {
            return Ok((*at, None));
        }
        let named_digits = |at: &usize| self.means(*at, Meaning::Time) && self.column(*at).is_digit_date();
        let dates: Vec<usize> = all().filter(|at| self.column(*at).is_date() || named_digits(at)).collect();
        if let Some(pair) = dates.iter().find_map(|date| Some((*date, day_time(*date)?))) {
            return Ok((pair.0, Some(pair.1)));
        }
        let number = |at: &usize| {
            self.means(*at, Meaning::Time) && self.column(*at).is_number() && self.counts_in(*at).is_none()
        };
        let epoch = |at: &usize| number(at) && self.column(*at).epochs.unit().is_some();
        if let Some(at) = all().find(epoch).or(dates.first().copied()) {
            return Ok((at, None));
        }
        // Without a header the first column counts if it can only be an epoch of these decades.
        let unnamed = self.sheet.header_line.is_none() && self.column(0).is_number();
        if unnamed && (1e9..5e9).contains(&seconds(self.column(0).largest)) {
            return Ok((0, None));
        }
        // A column that is called time and holds other numbers: what they are is said by `time_form`.
        all().find(number).map(|at| (at, None)).ok_or_else(|| self.no_time())
    }

    pub(super) fn no_time(&self) -> Error {
        if self.columns.iter().all(|column| column.filled == 0) {
            if self.objects {
                let hint = "Write one object a row, with a time in it";
                let what = "JSON without rows: its members are lists and objects without a time";
                return Error::Foreign(self.file.to_owned(), what, hint);
            }
            return Error::NoRows(self.file.to_owned());
        }
        let day_time = (0..self.sheet.width()).find(|at| self.column(*at).is_day_time());
        let relative = |at: &usize| {
            let shown = self.column(*at).no_status.as_ref();
            self.means(*at, Meaning::Time) && shown.is_some_and(|(_, text)| text.starts_with('*'))
        };
        let relative = (0..self.sheet.width()).find(relative);
        let zoned = (0..self.sheet.width()).find(|at| self.column(*at).unknown_zone.is_some());
        let mut hint = "Name the column with --time COLUMN. If its rows are evenly spaced, say when the first was and how far apart they are: --start 2024-01-01T00:00:00Z --step 1m";
        let seen = match day_time {
            _ if let Some(at) = relative => {
                hint = "Export them as absolute times: what `*` meant when the file was written is not in it";
                format!("The column '{}' has times relative to now (*)", self.sheet.shown(at))
            }
            _ if let Some(at) = zoned => {
                hint = ZONE_HINT;
                format!("The column '{}' has {}", self.sheet.shown(at), self.column(at).in_unknown_zone())
            }
            Some(at) => format!("The column '{}' has times of day, and none a date", self.sheet.shown(at)),
            None => format!("Its columns: {}", self.sheet.columns_shown()),
        };
        Error::NoTime { file: self.file.to_owned(), seen, hint }
    }

    /// How the times of a column are written.
    pub(super) fn time_form(&self, times: Times) -> Result<TimeForm, Error> {
        let Times { textual, .. } = times;
        if let Some(start) = self.options.start {
            return self.counted(start, times.at);
        }
        let Some(at) = times.at else { return Err(self.no_time()) };
        let column = self.column(at);
        let told = match self.options.time_format {
            Some(TimeFormat::Epoch(unit)) => return Ok(TimeForm::Epoch(unit)),
            Some(TimeFormat::Excel) => return Ok(TimeForm::Excel),
            Some(TimeFormat::Order(order)) => Some(order),
            None => None,
        };
        if self.counts_in(at).is_some() {
            let what = "durations, which have no date".to_owned();
            return Err(self.column_problem(at, what, "Name another column with --time COLUMN"));
        }
        if !textual && (column.is_number() || (self.times.is_some() && column.numbers > 0)) {
            if let Some((most, few)) = column.epochs.two_sizes() {
                return Err(Error::epoch_sizes(self.file, &self.sheet.shown(at), most, few));
            }
            return column.epochs.unit().map(TimeForm::Epoch).ok_or_else(|| self.no_epoch(at));
        }
        if !textual {
            if column.unknown_zone.is_some() {
                return Err(self.column_problem(at, column.in_unknown_zone(), ZONE_HINT));
            }
            let what = "no times that can be read".to_owned();
            return Err(self.column_problem(
                at,
                what,
                "Name another with --time COLUMN, or its form with --time-format",
            ));
        }
        let order = match told {
            Some(order) => Some(order),
            None => self.order(&column.orders, at)?,
        };
        Ok(TimeForm::Text(order))
    }

    fn no_epoch(&self, at: usize) -> Error {
        // Serial numbers of the years 1954 to 2119.
        if (20_000.0..80_000.0).contains(&self.column(at).largest) {
            let what = "numbers that may be Excel's serial dates".to_owned();
            return self.column_problem(
                at,
                what,
                "Say so with --time-format excel, or format the cells as dates first",
            );
        }
        let what = "numbers too small for times since 1970; they may be elapsed time".to_owned();
        self.column_problem(
            at,
            what,
            "Say when it began: --start 2024-01-01T00:00:00Z, and what one is, --step 1s; or name another column with --time COLUMN",
        )
    }

    fn order(&self, orders: &Orders, at: usize) -> Result<Option<DayOrder>, Error> {
        if let Some((line, text)) = &orders.year_first {
            let Some((other, last)) = &orders.year_last else { return Ok(Some(DayOrder::YearFirst)) };
            let what = format!(
                "dates that can only begin with their year ('{text}', line {line}), and others that can only end with it ('{last}', line {other})"
            );
            return Err(self.column_problem(
                at,
                what,
                "Write them alike, the year first and with four digits",
            ));
        }
        if let Some((line, text)) = orders.open_year() {
            return Err(self.day_or_month(at, *line, text));
        }
        let day_first = orders.day_first.as_ref().or(orders.day_or_year.as_ref());
        // Dates with points are day first: beside others that are month first something changed some of them.
        let any_day_first = day_first.or(orders.dotted.as_ref());
        match (any_day_first, &orders.month_first, &orders.either) {
            (Some(day), Some(month), _) => Err(Error::BothOrders {
                file: self.file.to_owned(),
                day_first: day.1.clone(),
                month_first: month.1.clone(),
            }),
            _ if day_first.is_some() => Ok(Some(DayOrder::DayFirst)),
            (_, Some(_), _) => Ok(Some(DayOrder::MonthFirst)),
            (_, None, Some((line, text))) => Err(self.day_or_month(at, *line, text)),
            // No date needs an order, or each is the same in both readings.
            (_, None, None) => Ok(None),
        }
    }

    fn day_or_month(&self, at: usize, line: u64, text: &str) -> Error {
        let all = [
            (DayOrder::DayFirst, "day first"),
            (DayOrder::MonthFirst, "month first"),
            (DayOrder::YearFirst, "year first"),
        ];
        let may_begin_with_year = civil::parse(text, None).is_some_and(|civil| civil.year_ends.is_some());
        let reading = |(order, words)| {
            let possible = order != DayOrder::YearFirst || may_begin_with_year;
            let date = civil::parse(text, Some(order)).and_then(|civil| civil.date).filter(|_| possible)?;
            Some(format!("{:04}-{:02}-{:02} ({words})", date.0, date.1, date.2))
        };
        let hint = match may_begin_with_year {
            true => "Say which with --time-format dmy, mdy or ymd",
            false => "Say which with --time-format dmy or --time-format mdy",
        };
        let readings = all.into_iter().filter_map(reading).collect::<Vec<_>>().join(" or ");
        Error::DayOrMonth { place: self.place(at, line, text), readings, hint }
    }

    /// The zone of times that do not say it themselves.
    pub(super) fn zone(
        &mut self,
        form: TimeForm,
        (time, time_of_day): (Option<usize>, Option<usize>),
        time_ends: &[usize],
    ) -> Result<Zone, Error> {
        if let Some(zone) = &self.options.timezone {
            return Ok(Zone::Of(zone.clone()));
        }
        let typed = time.and_then(|at| Some((at, self.sheet.zones.get(at).filter(|name| !name.is_empty())?)));
        if let Some((at, name)) = typed {
            let Ok(zone) = TimeZone::get(name) else {
                let what = format!("times in {name}, as its type says, and no such zone is known");
                return Err(self.column_problem(
                    at,
                    what,
                    "Say which with --timezone, such as America/New_York",
                ));
            };
            self.notes.push(format!("times are {name}, as their type says"));
            return Ok(Zone::Of(zone));
        }
        let headers = [time, time_of_day].into_iter().flatten();
        let said = headers.filter_map(|at| Some((at, words::zone_of_header(self.sheet.header(at))?))).next();
        match said {
            Some((at, HeaderZone::Several(_))) if self.column(at).mostly(self.column(at).offsets) => {}
            Some((at, HeaderZone::Several(word))) => {
                let what = format!("times in {word}, as its header says, and such names mean several zones");
                return Err(self.column_problem(
                    at,
                    what,
                    "Say which with --timezone, such as America/New_York",
                ));
            }
            Some((_, HeaderZone::Offset(seconds))) => {
                let offset = Offset::from_seconds(seconds).unwrap_or(Offset::UTC);
                let zone = if seconds == 0 { TimeZone::UTC } else { TimeZone::fixed(offset) };
                self.notes.push(format!("times are {}, as their header says", zone_name(&zone)));
                return Ok(Zone::Of(zone));
            }
            None => {}
        }
        let bare = |at| time_of_day.is_some() || !time_ends.is_empty() || self.column(at).bare > 0;
        let zone = match &self.options.plant_timezone {
            Some(zone) => Zone::Of(zone.clone()),
            None => match form {
                TimeForm::Excel => Zone::OfPlant,
                TimeForm::Elapsed(grid) | TimeForm::Rows(grid) if grid.step.is_of_calendar() => Zone::OfPlant,
                TimeForm::Text(_) if time.is_some_and(bare) => Zone::OfPlant,
                _ => Zone::Needless,
            },
        };
        if let Some(at) = time {
            let column = self.column(at);
            let bare = (column.date_times + column.dates).saturating_sub(column.offsets);
            if column.offsets > 0 && bare > 0 && time_of_day.is_none() {
                let note = format!(
                    "{bare} times have no offset, as others do: they are taken as those of {}",
                    zone.name()
                );
                self.notes.push(note);
            }
        }
        Ok(zone)
    }

    /// Columns whose cells belong behind the time: the half of the day, and the zone.
    pub(super) fn time_ends(&self, times: Times) -> Result<Vec<usize>, Error> {
        let (Some(time), true) = (times.at, times.textual) else { return Ok(Vec::new()) };
        let is_time = |at: usize| at == time || Some(at) == times.of_day;
        let of = |is: &dyn Fn(&Self, usize) -> bool| {
            (0..self.sheet.width()).find(|at| !is_time(*at) && is(self, *at))
        };
        let half = of(&|look, at| look.column(at).mostly(look.column(at).halves));
        let zoned = [Some(time), times.of_day].into_iter().flatten().any(|at| self.column(at).offsets > 0);
        let called = |look: &Self, at: usize| {
            words::is_zone_header(look.sheet.header(at)) && look.column(at).filled > 0
        };
        let zone = of(&called).filter(|_| !zoned && self.options.timezone.is_none());
        if let Some(at) = zone.filter(|at| !self.column(*at).mostly(self.column(*at).zones)) {
            let what = "no zones or offsets that can be read, and the times have none".to_owned();
            let hint = "Write UTC, offsets such as +01:00 or names such as Europe/Berlin there; or say the zone with --timezone";
            return Err(self.column_problem(at, what, hint));
        }
        Ok(half.into_iter().chain(zone).collect())
    }
}

/// A count since 1970 in the unit of its size, as seconds.
fn seconds(count: f64) -> f64 {
    Unit::by_magnitude(count).map_or(0.0, |unit| unit.seconds(count))
}
