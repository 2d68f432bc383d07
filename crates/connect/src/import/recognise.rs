//! What kind of file it is, from its first bytes; and how its rows are read, from all of them (`survey`).

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tidemill_core::{Problem, SignalPath};

use super::columns::Epochs;
use super::ends::Ended;
use super::error::Error;
use super::foreign::{self, Foreign};
use super::layout::{Look, Times};
use super::lineprotocol;
use super::lines::{Lines, Otherwise};
use super::members;
use super::names;
use super::plan::{Content, Format, Options, Plan, Written};
use super::reader::Reader;
use super::rejected;
use super::sheet::{self, Sheet};
use super::source::{self, Encoding, Open, Source};
use super::survey::{self, Table};
use super::time::{TimeFormat, Unit};

/// How much of a file is looked at before it is read.
pub(super) const HEAD_BYTES: usize = 1 << 20;

/// What is known by its first bytes, and what to do about it.
const FOREIGN: &[(&[u8], &str, &str)] = &[
    (
        b"PK\x03\x04",
        "an Excel workbook or a ZIP archive",
        "Save the sheet as CSV UTF-8, or unpack the archive first",
    ),
    (b"\xD0\xCF\x11\xE0", "an old Excel workbook", "Save the sheet as CSV"),
    (b"\x28\xB5\x2F\xFD", "compressed with zstd twice", "Unpack it first: zstd -d FILE"),
    (b"\x1F\x8B", "compressed with gzip twice", "Unpack it first: gzip -d FILE"),
    (b"BZh", "compressed with bzip2", "Unpack it first: bzip2 -d FILE"),
    (b"\xFD7zXZ", "compressed with xz", "Unpack it first: xz -d FILE"),
    (b"SQLite format 3", "an SQLite database", "Export its table as CSV"),
    (b"\x89HDF", "an HDF5 file", "Export it as CSV or Parquet"),
    // As they are, the command line reads them; these were packed.
    (b"ARROW1", "a packed Arrow file", "Unpack it first: gzip -d FILE, or zstd -d FILE"),
    (b"PAR1", "a packed Parquet file", "Unpack it first: gzip -d FILE, or zstd -d FILE"),
    (b"%PDF", "a PDF document", "Export the table itself as CSV"),
    (b"<?xml", "an XML document", "Export it as CSV"),
    (b"<!DOCTYPE", "a web page", "Download the file itself"),
    (b"<html", "a web page", "Download the file itself"),
    (b"<table", "a table of a web page", "Open it in a spreadsheet and save the sheet as CSV"),
    (b"[[", "JSON whose rows are lists without names", "Write one object a row, with a time in it"),
];

/// What the first bytes show: how the file is written. What its rows hold is said by all of them.
struct Draft {
    written: Written,
    content: DraftContent,
}

enum DraftContent {
    Table(Box<Sheet>, Times),
    Objects,
    Points(Option<SignalPath>),
    Nothing,
}

/// Recognises a file and begins to read it. How it is written is seen in its first bytes; then all its rows are looked
/// through before one is read: a row of the end may say what those of the beginning mean. `looked` is told how many
/// bytes were looked through so far.
///
/// # Errors
/// It is no file that can be read, or something must be asked; the hint names the option that answers. Or the file cannot
/// be read.
pub fn open(
    source: Open,
    name: &str,
    options: &Options,
    looked: &mut dyn FnMut(u64),
) -> Result<Reader, Problem> {
    let mut source = Source::new(source);
    let bytes = Arc::clone(&source.bytes);
    let io = |error| Error::Io(name.to_owned(), error);
    let mut head = source::head(&mut *source.read().map_err(io)?, HEAD_BYTES).map_err(io)?;
    if options.typed.is_none()
        && known(&head).is_none()
        && let Ok((encoding, text)) = text(&head, name)
        && let Some(foreign) = foreign::recognise(encoding, rejected::first_row(&text), options)
    {
        foreign.judge(source.read().map_err(io)?, name, options)?;
        source.foreign = Some(foreign);
        head = source::head(&mut *source.read().map_err(io)?, HEAD_BYTES).map_err(io)?;
    }
    let draft = draft(&head, name, options, source.foreign.as_ref()).map_err(|error| match error {
        Error::Empty(name) if source.ended.is_cut() => Error::Cut(name, 0),
        other => other,
    })?;
    let input = source.read().map_err(io)?;
    let mut step = || looked(bytes.load(Ordering::Relaxed));
    let mut plan = draft.plan(input, name, options, &mut step)?;
    plan.ended = source.ended.clone();
    plan.foreign = source.foreign.as_ref().map(|foreign| foreign.name);
    let input = source.read().map_err(io)?;
    Reader::new(plan, name, input, bytes).map_err(Problem::from)
}

/// What the first bytes say that is not read.
fn known(head: &[u8]) -> Option<&'static (&'static [u8], &'static str, &'static str)> {
    FOREIGN.iter().find(|(magic, ..)| head.starts_with(magic))
}

fn draft(head: &[u8], name: &str, options: &Options, foreign: Option<&Foreign>) -> Result<Draft, Error> {
    if let Some(typed) = &options.typed {
        return typed_draft(head, typed.format, name, options);
    }
    if let Some((_, what, mend)) = known(head) {
        return Err(Error::Foreign(name.to_owned(), what, mend));
    }
    let (encoding, text) = text(head, name)?;
    let line_end = if !text.contains('\n') && text.contains('\r') { b'\r' } else { b'\n' };
    let begin = rejected::first_row(&text);
    let (format, content) = if begin.strip_prefix('[').is_some_and(|rest| rest.trim() == "]") {
        (Format::JsonArray, DraftContent::Nothing)
    } else if begin.starts_with('{') || is_array(begin) {
        let one_a_line = begin.lines().next().is_some_and(members::is_object);
        (if one_a_line { Format::JsonLines } else { Format::JsonArray }, DraftContent::Objects)
    } else if foreign.is_some_and(Foreign::is_points) || is_line_protocol(&text) {
        if options.signal.is_some() {
            return Err(Error::Named(name.to_owned()));
        }
        if let Some(option) = options.of_tables(foreign.is_some_and(Foreign::takes_keys)) {
            return Err(Error::Useless { file: name.to_owned(), option });
        }
        let prefix = options.prefix.as_deref().map(|prefix| names::stated("--prefix", prefix)).transpose()?;
        (Format::LineProtocol, DraftContent::Points(prefix))
    } else {
        (Format::Csv, table(&text, line_end, head.len() < HEAD_BYTES, name, options)?)
    };
    Ok(Draft { written: Written { format, encoding, line_end }, content })
}

impl Draft {
    /// Looks through the whole file and decides.
    fn plan(
        self,
        input: Box<dyn std::io::Read + Send>,
        name: &str,
        options: &Options,
        step: &mut dyn FnMut(),
    ) -> Result<Plan, Error> {
        let io = |error| Error::Io(name.to_owned(), error);
        let content = match self.content {
            DraftContent::Table(sheet, times) => {
                let mut records = self.written.records(input, sheet.separator);
                let mut watch = Look::new(name, &sheet, options, sheet.columns()).watch(times);
                let seen = survey::table(&mut records, &sheet, times, &mut watch, step).map_err(io)?;
                let columns = match seen {
                    Table::Columns(columns) => columns,
                    Table::Second(line) => return Err(Error::TwoHeaders(name.to_owned(), line)),
                };
                let look = Look::new(name, &sheet, options, columns).with_times(times).with_watch(watch);
                Content::Table(Box::new(look.layout()?))
            }
            DraftContent::Objects => {
                let seen = survey::objects(&mut self.written.objects(input), options, step).map_err(io)?;
                Content::Json(Box::new(seen.plan(name, options)?))
            }
            DraftContent::Points(prefix) => {
                let unit = match options.time_format {
                    Some(TimeFormat::Epoch(unit)) => unit,
                    _ => {
                        let times = survey::points(&mut self.written.lines(input), step).map_err(io)?;
                        points_unit(name, &times)?
                    }
                };
                Content::LineProtocol { unit, prefix }
            }
            DraftContent::Nothing => Content::Nothing,
        };
        Ok(Plan { written: self.written, content, foreign: None, ended: Ended::default() })
    }
}

/// Of a table of typed columns: how it is written is known, what its columns are is not.
fn typed_draft(head: &[u8], what: &'static str, name: &str, options: &Options) -> Result<Draft, Error> {
    let (_, text) = text(head, name)?;
    let sheet = Sheet::typed(&text).ok_or_else(|| Error::Unknown(name.to_owned()))?;
    let content = match sheet.rows.is_empty() {
        true if head.len() >= HEAD_BYTES => {
            let hint = "Write its columns to several files";
            return Err(Error::Foreign(name.to_owned(), "a table whose rows are longer than 1 MiB", hint));
        }
        true => DraftContent::Nothing,
        false => {
            let times = Look::new(name, &sheet, options, sheet.columns()).times()?;
            DraftContent::Table(Box::new(sheet), times)
        }
    };
    let format = Format::Columns(what);
    Ok(Draft { written: Written { format, encoding: Encoding::Utf8, line_end: b'\n' }, content })
}

/// The head as text, up to its last whole line if the file goes on.
fn text(head: &[u8], name: &str) -> Result<(Encoding, String), Error> {
    let encoding = Encoding::recognise(head);
    if encoding == Encoding::Windows1252 && source::is_no_windows_1252(head) {
        let hint =
            "Convert it first, by the name of its encoding: iconv -f SHIFT_JIS -t UTF-8 (or GB18030, CP850)";
        let what = "written in characters that are neither UTF-8 nor Windows-1252";
        return Err(Error::Foreign(name.to_owned(), what, hint));
    }
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

/// Whether most of the first lines are line protocol.
fn is_line_protocol(text: &str) -> bool {
    const LINES: usize = 200;
    let mut lines = Lines::new(Box::new(Cursor::new(text.to_owned())), Otherwise::Fault, b'\n');
    let (mut all, mut good) = (0, 0);
    while all < LINES
        && let Ok(Some(line)) = lineprotocol::next_line(&mut lines)
    {
        if !lineprotocol::is_aside(line.text.trim()) {
            all += 1;
            good += usize::from(lineprotocol::look(&line.text).is_some());
        }
    }
    good > 0 && good * 10 >= all * 6
}

/// The unit of the times of line protocol.
fn points_unit(name: &str, times: &Epochs) -> Result<Unit, Error> {
    if let Some((most, few)) = times.two_sizes() {
        return Err(Error::epoch_sizes(name, "time", most, few));
    }
    // Without any time each line is rejected.
    let unit = if times.any() { times.unit() } else { Some(Unit::Nanos) };
    unit.ok_or_else(|| Error::Column {
        file: name.to_owned(),
        column: "time".to_owned(),
        what: "numbers too small for times since 1970".to_owned(),
        hint: "Say their unit with --time-format s, ms, us or ns",
    })
}

/// The first reading as a table in which times are found.
fn table(
    text: &str,
    line_end: u8,
    is_whole: bool,
    name: &str,
    options: &Options,
) -> Result<DraftContent, Error> {
    let mut first = None;
    for sheet in sheet::sheets(name, text, line_end, options.start.is_some())? {
        if sheet.is_header_alone() {
            let mut below = text.split(char::from(line_end)).skip(sheet.lines_above());
            let is_empty = |line: &str| line.trim().is_empty() || rejected::is_remark(line);
            return match is_whole && below.all(is_empty) {
                true => Ok(DraftContent::Nothing),
                false if is_whole => Err(Error::Foreign(
                    name.to_owned(),
                    "a header above rows of which none can be read",
                    "Look for a quote in them that is not closed, or for characters of another encoding",
                )),
                false => Err(Error::Foreign(
                    name.to_owned(),
                    "a header without rows in the first MiB behind it",
                    "Take out the empty lines below the header, or what makes its rows longer than 1 MiB",
                )),
            };
        }
        let look = || Look::new(name, &sheet, options, sheet.columns());
        match (look().layout(), look().times()) {
            // A question about a reading that fits is better than another reading; all rows may answer it.
            (Err(error), Ok(times)) if error.is_question() => {
                return Ok(DraftContent::Table(Box::new(sheet), times));
            }
            (Ok(_), Ok(times)) => return Ok(DraftContent::Table(Box::new(sheet), times)),
            (Err(error), _) | (Ok(_), Err(error)) if !error.is_unrecognised() => return Err(error),
            (Err(error), _) | (Ok(_), Err(error)) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or_else(|| Error::Unknown(name.to_owned())))
}
