//! From what the columns hold to what each is: times, values, names, quality, units. Where two readings are possible
//! the user is asked; where a column is left out, a note says so.

mod counted;
mod keys;
mod qualities;
mod times;

use tidemill_core::{Escape, SignalPath};

use super::cell::{self, CellKind, Decimal};
use super::columns::{Column, Marks, few};
use super::error::Error;
use super::names;
use super::plan::{Options, Zone};
use super::reader::Signal;
use super::records::Record;
use super::sheet::Sheet;
use super::time::TimeForm;
use super::watch::Watch;
use super::words::{self, Meaning};

pub(super) use qualities::is_quality_of_all;

const ZONE_HINT: &str = "Write offsets such as -05:00 in their place, or take the word away and say the zone with --timezone America/New_York";

/// How a table is read.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) separator: char,
    pub(super) headers: Vec<String>,
    pub(super) header_line: Option<(u64, String)>,
    pub(super) skip_lines: u64,
    /// The column with the time, or with its date.
    /// None: the rows are counted.
    pub(super) time: Option<usize>,
    pub(super) time_of_day: Option<usize>,
    /// Columns whose cells belong behind the time: AM or PM, a zone.
    pub(super) time_ends: Vec<usize>,
    pub(super) form: TimeForm,
    pub(super) zone: Zone,
    /// Columns whose cells stand in the names.
    pub(super) keyed: Option<Keyed>,
    pub(super) shape: Shape,
    /// Fields that a row has at least.
    pub(super) fields_min: usize,
    /// What numbers in its quality columns mean.
    pub(super) numbers: StatusNumbers,
    /// Of the wide form; the narrow form finds its own.
    pub(super) signals: Vec<Signal>,
    pub(super) notes: Vec<String>,
}

/// What the numbers of a quality column mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StatusNumbers {
    /// OPC DA: 0 bad, 64 uncertain, 192 good.
    OpcDa,
    /// PI and OPC UA: 0 good, others not.
    Status,
    /// WinCC: 1 valid, 0 not.
    Validity,
}

/// Wide: one column a signal. Narrow: one row a sample.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    Wide { columns: Vec<Wide> },
    Narrow(Narrow),
}

/// A column of values.
#[derive(Debug, Clone)]
pub(super) struct Wide {
    pub(super) index: usize,
    pub(super) signal: usize,
    pub(super) kind: CellKind,
    pub(super) quality: Option<usize>,
}

/// Columns whose cells stand in the names, between the prefix and what else there is.
#[derive(Debug, Clone)]
pub(super) struct Keyed {
    pub(super) prefix: SignalPath,
    pub(super) columns: Vec<usize>,
    /// Of the wide form: what stands behind, one a column of values; empty where nothing does.
    pub(super) names: Vec<String>,
}

impl Keyed {
    /// The cells of a row as segments. The error is the column of an empty one.
    pub(super) fn of(&self, record: &Record) -> Result<String, usize> {
        let mut key = String::new();
        for at in &self.columns {
            let cell = record.field(*at);
            if cell.is_empty() {
                return Err(*at);
            }
            if !key.is_empty() {
                key.push('/');
            }
            key.push_str(&Escape::segment(cell));
        }
        Ok(key)
    }
}

/// The columns of the narrow form.
#[derive(Debug, Clone)]
pub(super) struct Narrow {
    pub(super) prefix: Option<SignalPath>,
    pub(super) signal: usize,
    pub(super) value: usize,
    pub(super) quality: Option<usize>,
    pub(super) kind: Option<usize>,
    pub(super) unit: Option<usize>,
    /// In what the values count, where their type says so.
    pub(super) counts_in: Option<&'static str>,
    pub(super) cell: CellKind,
}

/// What the members of objects are.
pub(super) struct Members {
    pub(super) time: Option<usize>,
    pub(super) time_of_day: Option<usize>,
    pub(super) time_ends: Vec<usize>,
    pub(super) form: TimeForm,
    pub(super) zone: Zone,
    pub(super) narrow: Option<Narrow>,
    /// Of the wide form: members and those with their quality, and the one that holds that of all others.
    pub(super) qualities: Vec<(usize, usize)>,
    pub(super) quality: Option<usize>,
    pub(super) left_out: Vec<usize>,
    pub(super) numbers: StatusNumbers,
    pub(super) notes: Vec<String>,
}

/// The columns with times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// The time, or its date. None: the rows are counted.
    at: Option<usize>,
    of_day: Option<usize>,
    /// Dates, not numbers.
    textual: bool,
}

impl Times {
    /// The column with the time, or with its date.
    pub(super) fn at(&self) -> Option<usize> {
        self.at
    }
}

/// Looks at what the columns of a table, or the members of objects, hold.
pub(super) struct Look<'a> {
    file: &'a str,
    sheet: &'a Sheet,
    options: &'a Options,
    columns: Vec<Column>,
    meanings: Vec<Option<Meaning>>,
    /// Where the times are, if it is known.
    times: Option<Times>,
    /// Whether the columns are members of objects.
    objects: bool,
    /// What all rows showed of the columns that may say what they are about.
    watch: Watch,
    others: &'a [String],
    notes: Vec<String>,
}

impl<'a> Look<'a> {
    pub(super) fn new(
        file: &'a str,
        sheet: &'a Sheet,
        options: &'a Options,
        columns: Vec<Column>,
    ) -> Look<'a> {
        let meanings = sheet.header.iter().map(|name| words::meaning(name)).collect();
        let mut notes = Vec::new();
        if sheet.preamble > 0 {
            notes.push(format!("{} lines above the table are left out", sheet.preamble));
        }
        Look {
            file,
            sheet,
            options,
            columns,
            meanings,
            times: None,
            objects: false,
            watch: Watch::default(),
            others: &[],
            notes,
        }
    }

    /// Where the times are was decided before: rows behind that are written otherwise are faults.
    pub(super) fn with_times(self, times: Times) -> Look<'a> {
        Look { times: Some(times), ..self }
    }

    /// What all rows showed.
    pub(super) fn with_watch(self, watch: Watch) -> Look<'a> {
        Look { watch, ..self }
    }

    /// With the names of members that are no columns: [`super::members::MEMBERS_MAX`] is the first.
    pub(super) fn with_others(self, others: &'a [String]) -> Look<'a> {
        Look { others, ..self }
    }

    /// Decides.
    pub(super) fn layout(mut self) -> Result<Layout, Error> {
        let times = self.times()?;
        let (time, time_of_day) = (times.at, times.of_day);
        let form = self.time_form(times)?;
        let time_ends = self.time_ends(times)?;
        let zone = self.zone(form, (time, time_of_day), &time_ends)?;
        let keys = self.keys()?;
        let is_rest = |at: &usize| {
            Some(*at) != time && Some(*at) != time_of_day && !keys.contains(at) && !time_ends.contains(at)
        };
        let mut rest: Vec<usize> = (0..self.sheet.width()).filter(is_rest).collect();
        self.leave_out(&mut rest);
        let (shape, signals) = match self.narrow(&rest)? {
            Some(narrow) => (Shape::Narrow(narrow), Vec::new()),
            None => self.wide(rest)?,
        };
        let used: Vec<usize> = match &shape {
            Shape::Wide { columns } => columns.iter().map(|wide| wide.index).collect(),
            Shape::Narrow(narrow) => vec![narrow.signal, narrow.value],
        };
        let most = used
            .into_iter()
            .chain(time)
            .chain(time_of_day)
            .chain(keys.iter().chain(&time_ends).copied())
            .max()
            .unwrap_or_default();
        let numbers = self.numbers(&match &shape {
            Shape::Wide { columns } => columns.iter().filter_map(|wide| wide.quality).collect(),
            Shape::Narrow(narrow) => Vec::from_iter(narrow.quality),
        });
        let signal = match &shape {
            Shape::Wide { .. } => None,
            Shape::Narrow(narrow) => Some(narrow.signal),
        };
        self.judge_keys(&keys.iter().copied().chain(signal).collect::<Vec<_>>())?;
        let keyed = self.keyed(keys, &shape)?;
        Ok(Layout {
            keyed,
            separator: self.sheet.separator,
            headers: self.sheet.header.clone(),
            header_line: self.sheet.header_line.clone(),
            skip_lines: self.sheet.skip_lines,
            time,
            time_of_day,
            time_ends,
            form,
            zone,
            shape,
            fields_min: most + 1,
            numbers,
            signals,
            notes: self.notes,
        })
    }

    /// Decides for objects, whose members are looked at as columns.
    pub(super) fn members(mut self) -> Result<Members, Error> {
        self.objects = true;
        // JSON says itself what is a number: a comma in a text is no decimal mark.
        self.columns.iter_mut().for_each(|column| column.marks = Marks::default());
        let times = self.times()?;
        let (time, time_of_day) = (times.at, times.of_day);
        let form = self.time_form(times)?;
        let time_ends = self.time_ends(times)?;
        let zone = self.zone(form, (time, time_of_day), &time_ends)?;
        let aside: Vec<usize> = time_ends.iter().copied().chain(self.member_keys()).collect();
        let is_value = |at: &usize| Some(*at) != time && Some(*at) != time_of_day && !aside.contains(at);
        let mut rest: Vec<usize> = (0..self.sheet.width()).filter(is_value).collect();
        let all = rest.clone();
        self.leave_out(&mut rest);
        let mut left_out: Vec<usize> = all.into_iter().filter(|at| !rest.contains(at)).collect();
        let narrow = self.narrow(&rest)?;
        let (mut qualities, mut quality) = (Vec::new(), None);
        let mut used: Vec<usize> = narrow.iter().filter_map(|narrow| narrow.quality).collect();
        if narrow.is_none() {
            let (status, values) = self.split(rest)?;
            self.note_other_words(&values);
            let of = |at: &usize| Some((*at, self.quality_for(*at, &values, &status)?));
            qualities = values.iter().filter_map(of).collect();
            used = qualities.iter().map(|(_, status)| *status).collect();
            let bare = |at: &&usize| words::quality_of(self.sheet.header(**at)).is_none();
            let mut all_bare = status.iter().filter(bare);
            quality = all_bare.next().copied().filter(|_| all_bare.next().is_none());
            used.extend(quality);
            left_out.extend(&used);
        }
        let numbers = self.numbers(&used);
        left_out.extend(&aside);
        let signal = narrow.as_ref().map(|narrow| narrow.signal);
        self.judge_keys(&self.member_keys().chain(signal).collect::<Vec<_>>())?;
        let notes = self.notes;
        Ok(Members {
            time,
            time_of_day,
            time_ends,
            form,
            zone,
            narrow,
            qualities,
            quality,
            left_out,
            numbers,
            notes,
        })
    }

    fn column(&self, index: usize) -> &Column {
        // Every index comes from the sheet's own width.
        self.columns.get(index).unwrap_or(&EMPTY)
    }

    fn means(&self, index: usize, meaning: Meaning) -> bool {
        self.meanings.get(index).copied().flatten() == Some(meaning)
    }

    fn wanted(&self, name: &str) -> Result<usize, Error> {
        self.sheet.find(name).ok_or_else(|| Error::NoColumn {
            file: self.file.to_owned(),
            wanted: name.to_owned(),
            columns: self.sheet.columns_shown(),
        })
    }

    fn column_problem(&self, at: usize, what: String, hint: &'static str) -> Error {
        Error::Column { file: self.file.to_owned(), column: self.sheet.shown(at), what, hint }
    }

    fn place(&self, at: usize, line: u64, text: &str) -> String {
        format!("'{text}' in {} (line {line}, column '{}')", self.file, self.sheet.shown(at))
    }

    /// Columns that hold no values of signals.
    fn leave_out(&mut self, rest: &mut Vec<usize>) {
        let mut notes = Vec::new();
        rest.retain(|&at| {
            let (column, header) = (self.column(at), self.sheet.header(at));
            let counter = matches!(header, "" | "Unnamed: 0" | "index" | "__index_level_0__")
                && self.sheet.header_line.is_some()
                && column.counts_up();
            // Campbell's loggers number their records, in a unit for it alone.
            let is_record = header == "RECORD"
                && self.sheet.units.as_ref().and_then(|units| units.get(at)).is_some_and(|unit| unit == "RN");
            let nothing = column.filled == 0 && header.is_empty();
            let times = column.is_date_time() || column.is_date();
            let asked = self.options.value.as_deref().is_some_and(|value| self.sheet.find(value) == Some(at));
            let reason = match () {
                () if asked => return true,
                () if nothing => return false,
                () if counter || is_record => "counts the rows",
                () if times => "holds times too",
                () if self.means(at, Meaning::Aside) => "is no value",
                () => return true,
            };
            notes.push(format!("{} {reason}, and is left out", self.sheet.shown(at)));
            false
        });
        self.notes.append(&mut notes);
    }

    /// The narrow form, if each row names its signal.
    fn narrow(&mut self, rest: &[usize]) -> Result<Option<Narrow>, Error> {
        let text = |at: &usize| self.column(*at).filled > 0 && !self.column(*at).is_number();
        let first = |meaning| rest.iter().copied().find(|at| self.means(*at, meaning));
        let (signal, value, quality) = if self.sheet.header_line.is_some() {
            // Of objects only some may be called so: then the others are wide.
            let names = |at: &usize| !self.objects || self.column(*at).filled * 2 >= self.most_filled();
            let is_signal = |at: &usize| self.means(*at, Meaning::Signal) && text(at) && names(at);
            let Some(signal) = rest.iter().copied().find(is_signal) else {
                return Ok(None);
            };
            let value = match &self.options.value {
                Some(wanted) => Some(self.wanted(wanted)?),
                None => self.one_value(rest)?,
            };
            let Some(value) = value.filter(|value| *value != signal) else { return Ok(None) };
            (signal, value, self.narrow_quality(rest)?)
        } else {
            // Without names the columns must leave no doubt: words for a status, or OPC DA's numbers.
            let sure = |at: &usize| {
                let column = self.column(*at);
                column.says_quality() && (column.numbers == 0 || column.da_numbers > 0)
            };
            match rest {
                _ if self.options.value.is_some() => return Ok(None),
                [signal, value] if text(signal) && !sure(signal) => (*signal, *value, None),
                [signal, value, status] if text(signal) && sure(status) => (*signal, *value, Some(*status)),
                _ => return Ok(None),
            }
        };
        if self.options.signal.is_some() {
            return Err(Error::Named(self.file.to_owned()));
        }
        let (kind, unit) = (first(Meaning::Kind), first(Meaning::Unit));
        let used = [Some(signal), Some(value), quality, kind, unit];
        for at in rest.iter().filter(|at| !used.contains(&Some(**at))) {
            self.notes.push(format!("{} is left out", self.sheet.shown(*at)));
        }
        let prefix =
            self.options.prefix.as_deref().map(|prefix| names::stated("--prefix", prefix)).transpose()?;
        let cell = match (self.stated(value), kind) {
            (Some(stated), _) => stated,
            (None, Some(_)) => CellKind::Any(Decimal::Point),
            (None, None) => CellKind::Any(self.decimal(value, &[value])?),
        };
        let counts_in = self.counts_in(value);
        Ok(Some(Narrow { prefix, signal, value, quality, kind, unit, counts_in, cell }))
    }

    /// The wide form: what is neither time nor quality is a signal.
    fn wide(&mut self, rest: Vec<usize>) -> Result<(Shape, Vec<Signal>), Error> {
        let (status, mut values) = self.split(rest)?;
        if let Some(wanted) = &self.options.value {
            let at = self.wanted(wanted)?;
            values = vec![at];
        }
        if values.is_empty() {
            return Err(Error::NoValue { file: self.file.to_owned() });
        }
        let named: Vec<(usize, String)> =
            values.iter().map(|at| (*at, self.sheet.header(*at).to_owned())).collect();
        let distinct = names::distinct(&named);
        let paths = self.paths(&named, &distinct)?;
        let mut columns: Vec<Wide> = Vec::new();
        let mut signals = Vec::new();
        for (number, ((at, path), (_, unit))) in values.iter().zip(paths).zip(&distinct).enumerate() {
            let below = self.sheet.units.as_ref().and_then(|units| units.get(*at)).cloned();
            let unit = below.filter(|_| unit.is_empty()).unwrap_or_else(|| unit.clone());
            let unit = self.counts_in(*at).map_or(unit, str::to_owned);
            let unit =
                if unit.is_empty() { self.column(*at).unit().unwrap_or_default().to_owned() } else { unit };
            signals.push(Signal { path, unit });
            let quality = self.quality_for(*at, &values, &status);
            columns.push(Wide { index: *at, signal: number, kind: self.kind(*at, &values)?, quality });
        }
        for at in status.iter().filter(|at| columns.iter().all(|wide| wide.quality != Some(**at))) {
            self.notes.push(format!("{} belongs to no value, and is left out", self.sheet.shown(*at)));
        }
        self.note_other_words(&values);
        Ok((Shape::Wide { columns }, signals))
    }

    /// How many rows have something in the column where most have.
    fn most_filled(&self) -> usize {
        self.columns.iter().map(|column| column.filled).max().unwrap_or_default()
    }

    fn paths(
        &self,
        named: &[(usize, String)],
        distinct: &[(String, String)],
    ) -> Result<Vec<SignalPath>, Error> {
        if let Some(signal) = &self.options.signal {
            if let [_] = named {
                return Ok(vec![self.options.stated_signal(self.file, signal)?]);
            }
            let shown = distinct.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(Error::ManyValues { file: self.file.to_owned(), columns: named.len(), names: shown });
        }
        let prefix = self.options.base(self.file)?;
        // As in line protocol: a column that is only called `value` adds nothing to the name.
        if let [(_, header)] = named
            && words::meaning(header) == Some(Meaning::Value)
        {
            if self.options.several && self.options.prefix.is_some() {
                return Err(Error::Merged(self.file.to_owned()));
            }
            return Ok(vec![prefix]);
        }
        let below = |(name, _): &(String, String)| {
            names::below(&prefix, name)
                .map_err(|why| Error::Path(format!("the column '{name}' of {}: {why}", self.file)))
        };
        distinct.iter().map(below).collect()
    }

    /// What the type of a column says that it holds.
    fn stated(&self, at: usize) -> Option<CellKind> {
        let typed = self.options.typed.as_ref()?;
        typed.kinds.get(at).copied().flatten().map(CellKind::Stated)
    }

    /// The unit of a column whose type is a duration. It is no time.
    fn counts_in(&self, at: usize) -> Option<&'static str> {
        self.options.typed.as_ref()?.units.get(at).copied().flatten()
    }

    fn kind(&self, at: usize, values: &[usize]) -> Result<CellKind, Error> {
        if let Some(stated) = self.stated(at) {
            return Ok(stated);
        }
        let column = self.column(at);
        if let Some(unit) = column.unit() {
            return Ok(CellKind::United(self.decimal(at, values)?, unit));
        }
        let infinite = if column.numbers > 0 { column.infinite } else { 0 };
        let present = column.filled.saturating_sub(column.absent + infinite);
        if column.numbers > 0 && few(present.saturating_sub(column.numbers), present) {
            return Ok(CellKind::Float(self.decimal(at, values)?));
        }
        // Numbers with words among them, such as the states of a device that is off: each cell is what it is.
        if column.numbers * 2 >= present && column.numbers > 0 {
            return Ok(CellKind::Any(self.decimal(at, values)?));
        }
        if column.booleans > 0 && column.booleans == present {
            return Ok(CellKind::Bool);
        }
        // Nothing but absence so far: numbers are what is usually missing.
        if present == 0 {
            return Ok(CellKind::Float(self.decimal(at, values)?));
        }
        Ok(CellKind::Text)
    }

    /// The decimal mark of a column: what it shows, else what its neighbours show.
    fn decimal(&self, at: usize, values: &[usize]) -> Result<Decimal, Error> {
        let marks = &self.column(at).marks;
        if let Some(decimal) = self.options.decimal.or_else(|| marks.shown()) {
            return Ok(decimal);
        }
        let mut together = super::columns::Marks::default();
        for other in values.iter().map(|at| &self.column(*at).marks) {
            together.points += other.points;
            together.commas += other.commas;
            together.plain_thousands |= other.plain_thousands;
        }
        let open_point =
            marks.open_point.as_ref().filter(|_| self.has_commas_elsewhere() && !together.plain_thousands);
        match (together.shown(), marks.open.as_ref().or(open_point)) {
            (Some(decimal), _) => Ok(decimal),
            (None, None) => Ok(Decimal::Point),
            (None, Some((line, text))) => {
                let number = |decimal| cell::number(text, decimal).unwrap_or_default().to_string();
                let (comma, point) = (number(Decimal::Comma), number(Decimal::Point));
                let (comma_is, point_is) = match text.contains(',') {
                    true => ("decimal comma", "thousands"),
                    false => ("thousands", "decimal point"),
                };
                let place = self.place(at, *line, text);
                Err(Error::DecimalMark { place, comma, comma_is, point, point_is })
            }
        }
    }

    /// Whether the file is written as where decimals have commas: those leave no comma to separate columns, and dates have
    /// points there.
    fn has_commas_elsewhere(&self) -> bool {
        let dotted = || self.columns.iter().any(|column| column.orders.dotted.is_some());
        match self.sheet.separator {
            ';' => true,
            ',' => false,
            _ => dotted(),
        }
    }
}

static EMPTY: std::sync::LazyLock<Column> = std::sync::LazyLock::new(Column::default);
