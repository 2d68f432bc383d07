//! What kind of file it is, from its first bytes; and where those leave a question open, the rest of the file is
//! looked through before the user is asked.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tidemill_core::Problem;

use super::cell::{self, Decimal};
use super::civil::{self, DayOrder};
use super::columns::{Marks, Orders};
use super::error::Error;
use super::json::{self, Elements, Objects};
use super::layout::{Layout, Look, Shape};
use super::lineprotocol::{self, Stamp};
use super::lines::{Lines, Otherwise};
use super::names;
use super::plan::{Content, Format, Options, Plan};
use super::reader::Reader;
use super::records::{Record, Records, Step};
use super::rejected;
use super::sheet::{self, Sheet};
use super::source::{self, Encoding, Open};
use super::time::{TimeFormat, Unit};

/// How much of a file is looked at before it is read.
pub(crate) const HEAD_BYTES: usize = 1 << 20;

/// What is known by its first bytes, and what to do about it.
const FOREIGN: &[(&[u8], &str, &str)] = &[
    (
        b"PK\x03\x04",
        "an Excel workbook or a ZIP archive",
        "Save the sheet as CSV UTF-8, or unpack the archive first",
    ),
    (b"\xD0\xCF\x11\xE0", "an old Excel workbook", "Save the sheet as CSV"),
    (b"\x28\xB5\x2F\xFD", "compressed with zstd", "Unpack it first: zstd -d FILE"),
    (b"\x1F\x8B", "compressed with gzip twice", "Unpack it first: gzip -d FILE"),
    (b"BZh", "compressed with bzip2", "Unpack it first: bzip2 -d FILE"),
    (b"\xFD7zXZ", "compressed with xz", "Unpack it first: xz -d FILE"),
    (b"SQLite format 3", "an SQLite database", "Export its table as CSV"),
    (b"\x89HDF", "an HDF5 file", "Export it as CSV or Parquet"),
    // As they are, the command line reads them; these were packed.
    (b"ARROW1", "an Arrow file in gzip", "Unpack it first: gzip -d FILE"),
    (b"PAR1", "a Parquet file in gzip", "Unpack it first: gzip -d FILE"),
    (b"%PDF", "a PDF document", "Export the table itself as CSV"),
    (b"<?xml", "an XML document", "Export it as CSV"),
    (b"<!DOCTYPE", "a web page", "Download the file itself"),
    (b"<html", "a web page", "Download the file itself"),
];

/// Recognises a file by its first bytes, at most [`HEAD_BYTES`]; if there are fewer they are the whole file.
///
/// # Errors
/// It is no file that can be read, or something must be asked; the hint names the option that answers.
#[cfg(test)]
pub(crate) fn recognise(head: &[u8], name: &str, options: &Options) -> Result<Plan, Problem> {
    plan(head, name, options).map_err(Problem::from)
}

/// Recognises a file and begins to read it. A question that its first bytes leave open (day or month, decimal comma
/// or thousands) is put to all its rows before it is put to the user.
///
/// # Errors
/// As `recognise`; or the file cannot be read.
pub(crate) fn open(mut source: Open, name: &str, options: &Options) -> Result<Reader, Problem> {
    let bytes = Arc::new(AtomicU64::new(0));
    let io = |error| Problem::from(Error::Io(name.to_owned(), error));
    let mut first = source::unpacked(&mut source, &bytes).map_err(io)?;
    let head = source::head(&mut *first, HEAD_BYTES).map_err(io)?;
    drop(first);
    let mut options = options.clone();
    // Each answer settles one question; there are two that can be open.
    for _ in 0..3 {
        match plan(&head, name, &options) {
            Ok(plan) => {
                let input = source::unpacked(&mut source, &bytes).map_err(io)?;
                return Reader::new(plan, name, input, bytes).map_err(Problem::from);
            }
            Err(error) if error.is_question() => {
                let input = source::unpacked(&mut source, &bytes).map_err(io)?;
                if !answer(&error, &head, name, input, &mut options).map_err(Problem::from)? {
                    return Err(error.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    plan(&head, name, &options)?;
    Err(Error::Unknown(name.to_owned()).into())
}

fn plan(head: &[u8], name: &str, options: &Options) -> Result<Plan, Error> {
    if let Some(typed) = &options.typed {
        return typed_plan(head, typed.format, name, options);
    }
    if let Some((_, what, mend)) = FOREIGN.iter().find(|(magic, ..)| head.starts_with(magic)) {
        return Err(Error::Foreign(name.to_owned(), what, mend));
    }
    let (encoding, text) = text(head, name)?;
    let line_end = if !text.contains('\n') && text.contains('\r') { b'\r' } else { b'\n' };
    let begin = rejected::first_row(&text);
    let (format, content) = if begin.strip_prefix('[').is_some_and(|rest| rest.trim() == "]") {
        (Format::JsonArray, Content::Nothing)
    } else if begin.starts_with('{') || is_array(begin) {
        json_plan(&text, name, options)?
    } else if let Some(unit) = line_protocol_unit(&text, name, options)? {
        if options.signal.is_some() {
            return Err(Error::Named(name.to_owned()));
        }
        let prefix = options.prefix.as_deref().map(|prefix| names::stated("--prefix", prefix)).transpose()?;
        (Format::LineProtocol, Content::LineProtocol { unit, prefix })
    } else {
        (Format::Csv, table(&text, line_end, name, options)?)
    };
    Ok(Plan { format, encoding, line_end, content })
}

/// Of a table of typed columns: how it is written is known, what its columns are is not.
fn typed_plan(head: &[u8], what: &'static str, name: &str, options: &Options) -> Result<Plan, Error> {
    let (_, text) = text(head, name)?;
    let sheet = Sheet::typed(&text).ok_or_else(|| Error::Unknown(name.to_owned()))?;
    let content = match sheet.rows.is_empty() {
        true if head.len() >= HEAD_BYTES => {
            let hint = "Write its columns to several files";
            return Err(Error::Foreign(name.to_owned(), "a table whose rows are longer than 1 MiB", hint));
        }
        true => Content::Nothing,
        false => Content::Table(Box::new(Look::new(name, &sheet, options).layout()?)),
    };
    Ok(Plan { format: Format::Columns(what), encoding: Encoding::Utf8, line_end: b'\n', content })
}

/// The head as text, up to its last whole line if the file goes on.
fn text(head: &[u8], name: &str) -> Result<(Encoding, String), Error> {
    let encoding = Encoding::recognise(head);
    let mut bytes = Vec::new();
    let decoded =
        std::io::Read::read_to_end(&mut encoding.decode(Box::new(Cursor::new(head.to_vec()))), &mut bytes);
    decoded.map_err(|error| Error::Io(name.to_owned(), error))?;
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if let Some(rest) = text.strip_prefix('\u{feff}') {
        text = rest.to_owned();
    }
    if head.len() >= HEAD_BYTES {
        let end = text.rfind(['\n', '\r']).map_or(text.len(), |at| at + 1);
        text.truncate(end);
    }
    if text.trim().is_empty() {
        return Err(Error::Empty(name.to_owned()));
    }
    // A zero here and there may be part of a text; many of them are none.
    if text.bytes().filter(|byte| *byte == 0).count() * 100 > text.len() {
        return Err(Error::Foreign(name.to_owned(), "not text", "Export it as CSV"));
    }
    Ok((encoding, text))
}

fn is_array(text: &str) -> bool {
    text.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with(['{', ']']))
}

fn json_plan(text: &str, name: &str, options: &Options) -> Result<(Format, Content), Error> {
    let input = || Box::new(Cursor::new(text.as_bytes().to_vec()));
    let one_a_line =
        rejected::first_row(text).lines().next().is_some_and(|line| json::members(line, None).is_ok());
    let (format, mut objects) = if one_a_line {
        (Format::JsonLines, Objects::Lines(Lines::new(input(), Otherwise::Fault, b'\n')))
    } else {
        (Format::JsonArray, Objects::Elements(Elements::new(input())))
    };
    let sample = json::sample(&mut objects);
    if sample.is_empty() {
        return Err(Error::Unknown(name.to_owned()));
    }
    Ok((format, Content::Json(Box::new(json::plan(name, &sample, options)?))))
}

/// The unit of the times, if the text is line protocol.
fn line_protocol_unit(text: &str, name: &str, options: &Options) -> Result<Option<Unit>, Error> {
    const LINES: usize = 200;
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).take(LINES);
    let (mut all, mut good, mut largest) = (0, 0, None);
    for line in lines {
        all += 1;
        if let Some(stamp) = lineprotocol::look(line) {
            good += 1;
            if let Stamp::Time(time) = stamp {
                largest = largest.max(Some(time.unsigned_abs()));
            }
        }
    }
    if good == 0 || good * 10 < all * 6 {
        return Ok(None);
    }
    if let Some(TimeFormat::Epoch(unit)) = options.time_format {
        return Ok(Some(unit));
    }
    #[allow(clippy::cast_precision_loss, reason = "only its size matters")]
    let unit = largest.map_or(Some(Unit::Nanos), |largest| Unit::by_magnitude(largest as f64));
    unit.map(Some).ok_or_else(|| Error::TimeColumn {
        file: name.to_owned(),
        column: "time".to_owned(),
        what: "numbers too small for times since 1970".to_owned(),
        hint: "Say their unit with --time-format s, ms, us or ns",
    })
}

/// The layout of the first reading as a table in which times are found.
fn table(text: &str, line_end: u8, name: &str, options: &Options) -> Result<Content, Error> {
    if text.lines().take(10).any(|line| line.contains(",_field") && line.contains("_measurement")) {
        let hint = "Export line protocol instead: influxd inspect export-lp";
        return Err(Error::Foreign(name.to_owned(), "an annotated CSV of InfluxDB", hint));
    }
    let mut first = None;
    for sheet in sheet::sheets(name, text, line_end)? {
        if sheet.is_header_alone() {
            return Ok(Content::Nothing);
        }
        match Look::new(name, &sheet, options).layout() {
            Ok(layout) => return Ok(Content::Table(Box::new(layout))),
            // A question about a reading that fits is better than another reading.
            Err(error) if !error.is_unrecognised() => return Err(error),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or_else(|| Error::Unknown(name.to_owned())))
}

/// Looks through the whole file for a row that answers a question, and sets the option. False: there is none.
fn answer(
    question: &Error,
    head: &[u8],
    name: &str,
    input: Box<dyn std::io::Read + Send>,
    options: &mut Options,
) -> Result<bool, Error> {
    // With any answer the head is recognised; then its columns are known.
    let mut guess = options.clone();
    guess.time_format = guess.time_format.or(Some(TimeFormat::Order(DayOrder::DayFirst)));
    guess.decimal = guess.decimal.or(Some(Decimal::Point));
    let plan = plan(head, name, &guess)?;
    let (mut orders, mut marks) = (Orders::default(), Marks::default());
    match &plan.content {
        Content::Table(layout) => {
            let mut records = plan.records(layout, input);
            let mut record = Record::default();
            loop {
                match records.read(&mut record).map_err(|error| Error::Io(name.to_owned(), error))? {
                    Step::Record if record.line > layout.skip_lines => {
                        gather(&record, layout, &mut orders, &mut marks)
                    }
                    Step::End => break,
                    _ => {}
                }
            }
        }
        Content::Json(json) => {
            let mut objects = plan.objects(input);
            while let Some(line) = objects.next_object().map_err(|error| Error::Io(name.to_owned(), error))? {
                let members = json::members(&line.text, None).unwrap_or_default();
                let time = members.iter().find(|member| member.name == [json.time.as_str()]);
                if let Some(text) = time.map(|member| member.value.text())
                    && let Some(civil) = civil::parse(text, None)
                {
                    orders.add(civil.evidence, line.number, text);
                }
            }
        }
        Content::LineProtocol { .. } | Content::Nothing => {}
    }
    settle(question, name, &orders, &marks, options)
}

/// What one row says of the open questions.
fn gather(record: &Record, layout: &Layout, orders: &mut Orders, marks: &mut Marks) {
    let time = record.field(layout.time);
    if let Some(civil) = civil::parse(time, None) {
        orders.add(civil.evidence, record.line, time);
    }
    let mut number = |index: usize| {
        let text = record.field(index).trim();
        if let Some(spelling) = cell::spelling(text) {
            marks.add(spelling, record.line, text);
        }
    };
    match &layout.shape {
        Shape::Wide { columns } => columns.iter().for_each(|wide| number(wide.index)),
        Shape::Narrow(narrow) => number(narrow.value),
    }
}

fn settle(
    question: &Error,
    name: &str,
    orders: &Orders,
    marks: &Marks,
    options: &mut Options,
) -> Result<bool, Error> {
    if matches!(question, Error::DecimalMark { .. }) {
        options.decimal = marks.shown();
        return Ok(options.decimal.is_some());
    }
    let order = match (&orders.day_first, &orders.month_first, &orders.either) {
        (Some((_, day_first)), Some((_, month_first)), _) => {
            let (day_first, month_first) = (day_first.clone(), month_first.clone());
            return Err(Error::BothOrders { file: name.to_owned(), day_first, month_first });
        }
        (None, Some(_), _) => DayOrder::MonthFirst,
        // Where every date is the same in both readings, either will do.
        (Some(_), None, _) | (None, None, None) => DayOrder::DayFirst,
        (None, None, Some(_)) => return Ok(false),
    };
    options.time_format = Some(TimeFormat::Order(order));
    Ok(true)
}

impl Plan {
    fn lines(&self, input: Box<dyn std::io::Read + Send>) -> Lines {
        let otherwise = match self.encoding {
            Encoding::Utf8 => Otherwise::Fault,
            Encoding::Ascii => Otherwise::Windows1252,
            _ => Otherwise::Decoded,
        };
        Lines::new(self.encoding.decode(input), otherwise, self.line_end)
    }

    pub(super) fn records(&self, layout: &Layout, input: Box<dyn std::io::Read + Send>) -> Records {
        Records::new(self.lines(input), layout.separator)
    }

    pub(super) fn text_lines(&self, input: Box<dyn std::io::Read + Send>) -> Lines {
        self.lines(input)
    }

    pub(super) fn objects(&self, input: Box<dyn std::io::Read + Send>) -> Objects {
        match self.format {
            Format::JsonArray => Objects::Elements(Elements::new(self.encoding.decode(input))),
            _ => Objects::Lines(self.lines(input)),
        }
    }
}
