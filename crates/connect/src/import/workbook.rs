//! Excel's workbooks (ECMA-376, .xlsx): the sheets, and the rows of one as CSV, read as they stream out of the archive.
//! Formulas come as the values that Excel saved; charts and colours are left out. What the rows mean is decided as for CSV.

#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::io::{self, BufReader, Read, Seek};

use jiff::civil::DateTime;

use super::foreign::{made, row};
use super::xml::{Event, Tag, Xml};
use super::zip::{self, Member};

/// All texts of a workbook stand in one table, which is held.
const TEXTS_BYTES_MAX: usize = 64 << 20;
/// What Excel itself can hold.
const COLUMNS_MAX: usize = 16_384;
const SHEETS_MAX: usize = 1_000;
/// The longest text of a cell, as Excel has it.
const CELL_BYTES_MAX: usize = 4 * 32_767;
const STYLES_MAX: usize = 65_536;

/// A workbook whose sheets are read.
#[derive(Clone)]
pub struct Workbook {
    members: Vec<Member>,
    /// The sheets' names and members, in the order of their tabs.
    sheets: Vec<(String, Member)>,
    texts: std::sync::Arc<Vec<String>>,
    /// For each style of cells how it shows a number as a time.
    styles: Vec<Shown>,
    /// Days are counted from 1904.
    from_1904: bool,
}

/// A part of the archive as XML.
type Part = Xml<BufReader<Box<dyn Read + Send>>>;

/// How a number is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Number,
    DateTime,
    /// A day alone.
    Date,
    /// A time of day.
    DayTime,
    /// Elapsed time, which goes on beyond a day.
    Elapsed,
    Percent,
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the workbook is damaged: {what}"))
}

/// Whether an archive is a workbook.
pub fn is_workbook(members: &[Member]) -> bool {
    members.iter().any(|member| member.name == "xl/workbook.xml")
}

impl Workbook {
    /// Reads the list of sheets, the texts and the styles.
    ///
    /// # Errors
    /// It is damaged, or its texts take more than 64 MiB.
    pub fn open<R: Read + Seek + Send + 'static>(
        members: Vec<Member>,
        reopen: &mut dyn FnMut() -> io::Result<R>,
    ) -> io::Result<Workbook> {
        let mut book = Workbook {
            members,
            sheets: Vec::new(),
            texts: std::sync::Arc::default(),
            styles: Vec::new(),
            from_1904: false,
        };
        let mut targets = Vec::new();
        if let Some(xml) = book.part("xl/_rels/workbook.xml.rels", reopen)? {
            tags(xml, |tag| {
                if let (true, Some(id), Some(target)) =
                    (tag.name == "Relationship", tag.attribute("Id"), tag.attribute("Target"))
                {
                    let target =
                        target.strip_prefix('/').map_or_else(|| format!("xl/{target}"), str::to_owned);
                    targets.push((id.to_owned(), target));
                }
            })?;
        }
        let mut named = Vec::new();
        let workbook =
            book.part("xl/workbook.xml", reopen)?.ok_or_else(|| bad("xl/workbook.xml is missing"))?;
        let mut from_1904 = false;
        tags(workbook, |tag| match tag.name.as_str() {
            "workbookPr" => from_1904 = matches!(tag.attribute("date1904"), Some("1" | "true")),
            "sheet" if named.len() < SHEETS_MAX => {
                let text = |found: Option<&str>| found.unwrap_or_default().to_owned();
                named.push((text(tag.attribute("name")), text(tag.attribute_of_any("id"))));
            }
            _ => {}
        })?;
        book.from_1904 = from_1904;
        for (name, id) in named {
            let target = targets.iter().find(|(own, _)| *own == id).map(|(_, target)| target.as_str());
            // Sheets of charts have no rows.
            let member = book.members.iter().find(|member| Some(member.name.as_str()) == target);
            book.sheets.extend(
                member
                    .filter(|member| member.name.contains("worksheets/"))
                    .map(|member| (name, member.clone())),
            );
        }
        if let Some(xml) = book.part("xl/styles.xml", reopen)? {
            book.styles = styles(xml)?;
        }
        if let Some(xml) = book.part("xl/sharedStrings.xml", reopen)? {
            book.texts = std::sync::Arc::new(texts(xml)?);
        }
        Ok(book)
    }

    /// The names of its sheets.
    pub fn sheets(&self) -> impl Iterator<Item = &str> {
        self.sheets.iter().map(|(name, _)| name.as_str())
    }

    fn part<R: Read + Seek + Send + 'static>(
        &self,
        name: &str,
        reopen: &mut dyn FnMut() -> io::Result<R>,
    ) -> io::Result<Option<Part>> {
        let Some(member) = self.members.iter().find(|member| member.name == name) else { return Ok(None) };
        Ok(Some(Xml::new(BufReader::new(member.open(reopen()?)?))))
    }

    /// The rows of a sheet as CSV.
    ///
    /// # Errors
    /// There is none of that name, or the archive is damaged.
    pub fn rows<R: Read + Seek + Send + 'static>(
        &self,
        sheet: &str,
        input: R,
    ) -> io::Result<Box<dyn Read + Send>> {
        let (_, member) =
            self.sheets.iter().find(|(name, _)| name == sheet).ok_or_else(|| bad("the sheet is missing"))?;
        let xml = Xml::new(BufReader::new(member.open(input)?));
        let mut rows = Rows { xml, book: self.clone(), cells: Vec::new(), width: 0, next_row: 1 };
        Ok(made(move |out| rows.next(out)))
    }
}

fn tags<R: io::BufRead>(mut xml: Xml<R>, mut each: impl FnMut(&Tag)) -> io::Result<()> {
    loop {
        match xml.next()? {
            Event::Open(tag) => each(&tag),
            Event::End => return Ok(()),
            Event::Close(_) | Event::Text(_) => {}
        }
    }
}

fn texts<R: io::BufRead>(mut xml: Xml<R>) -> io::Result<Vec<String>> {
    let (mut texts, mut bytes) = (Vec::new(), 0);
    let (mut within, mut phonetic) = (false, false);
    loop {
        match xml.next()? {
            Event::Open(tag) if tag.name == "si" => texts.push(String::new()),
            Event::Open(tag) if tag.name == "t" => within = !phonetic,
            Event::Open(tag) if tag.name == "rPh" => phonetic = true,
            Event::Close(name) if name == "t" => within = false,
            Event::Close(name) if name == "rPh" => phonetic = false,
            Event::Text(text) if within => {
                bytes += text.len();
                if let Some(last) = texts.last_mut() {
                    last.push_str(&text);
                }
            }
            Event::End => return Ok(texts),
            _ => {}
        }
        if bytes + texts.len() * size_of::<String>() > TEXTS_BYTES_MAX {
            return Err(bad("its texts take more than 64 MiB; save the sheet as CSV"));
        }
    }
}

fn styles<R: io::BufRead>(mut xml: Xml<R>) -> io::Result<Vec<Shown>> {
    let (mut own, mut styles, mut of_cells) = (Vec::new(), Vec::new(), false);
    loop {
        match xml.next()? {
            Event::Open(tag) => {
                let number = |name| tag.attribute(name).and_then(|number| number.parse::<u32>().ok());
                match tag.name.as_str() {
                    "numFmt" if own.len() < STYLES_MAX => {
                        own.push((
                            number("numFmtId").unwrap_or(0),
                            shown(tag.attribute("formatCode").unwrap_or_default()),
                        ));
                    }
                    "cellXfs" => of_cells = true,
                    "xf" if of_cells && styles.len() < STYLES_MAX => {
                        let id = number("numFmtId").unwrap_or(0);
                        let custom = own.iter().find(|(known, _)| *known == id).map(|(_, shown)| *shown);
                        // The numbers that mean dates and times everywhere (ECMA-376, 18.8.30).
                        styles.push(custom.unwrap_or(match id {
                            14..=17 | 27..=31 | 36 | 50..=54 | 57 | 58 => Shown::Date,
                            22 | 32..=35 | 55 | 56 => Shown::DateTime,
                            18..=21 | 45 | 47 => Shown::DayTime,
                            46 => Shown::Elapsed,
                            9 | 10 => Shown::Percent,
                            _ => Shown::Number,
                        }));
                    }
                    _ => {}
                }
            }
            Event::Close(name) if name == "cellXfs" => of_cells = false,
            Event::End => return Ok(styles),
            Event::Close(_) | Event::Text(_) => {}
        }
    }
}

/// What a format code shows: letters of dates and times outside of quotes, brackets and escapes.
fn shown(code: &str) -> Shown {
    let (mut letters, mut characters, mut quoted) = (String::new(), code.chars(), false);
    let mut elapsed = false;
    while let Some(character) = characters.next() {
        match character {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '\\' | '_' | '*' => drop(characters.next()),
            '[' => {
                let inside: String = characters.by_ref().take_while(|c| *c != ']').collect();
                // Elapsed hours, minutes, seconds; others are colours and countries.
                if matches!(inside.to_ascii_lowercase().as_str(), "h" | "hh" | "m" | "mm" | "s" | "ss") {
                    elapsed = true;
                }
            }
            ';' => break,
            other => letters.push(other.to_ascii_lowercase()),
        }
    }
    let letters = letters.replace("general", "");
    if elapsed {
        return Shown::Elapsed;
    }
    match (letters.contains(['y', 'd']), letters.contains(['h', 's'])) {
        _ if letters.contains('%') => Shown::Percent,
        (true, true) => Shown::DateTime,
        (true, false) => Shown::Date,
        (false, true) => Shown::DayTime,
        (false, false) if letters.contains('m') => Shown::Date,
        (false, false) => Shown::Number,
    }
}

struct Rows {
    xml: Part,
    book: Workbook,
    cells: Vec<String>,
    /// The widest row so far: empty cells at the end of a row are left out.
    width: usize,
    next_row: u64,
}

impl Rows {
    /// Appends the next row; false at the end.
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        self.cells.clear();
        let mut cell: Option<(usize, String, Shown)> = None;
        let (mut text, mut taking) = (String::new(), false);
        loop {
            match self.xml.next()? {
                Event::Open(tag) => match tag.name.as_str() {
                    // Rows that Excel leaves out are empty ones: the others keep their numbers.
                    "row" => {
                        let number = tag.attribute("r").and_then(|number| number.parse::<u64>().ok());
                        let skipped =
                            number.unwrap_or(self.next_row).saturating_sub(self.next_row).min(1_048_576);
                        (0..skipped).for_each(|_| out.push(b'\n'));
                        self.next_row = number.unwrap_or(self.next_row) + 1;
                    }
                    "c" => {
                        let at = tag.attribute("r").and_then(column).unwrap_or(self.cells.len());
                        if at >= COLUMNS_MAX {
                            return Err(bad("a cell stands beyond the last column"));
                        }
                        let style = tag.attribute("s").and_then(|number| number.parse::<usize>().ok());
                        let shown = style.and_then(|style| self.book.styles.get(style)).copied();
                        let kind = tag.attribute("t").unwrap_or("n").to_owned();
                        cell = Some((at, kind, shown.unwrap_or(Shown::Number)));
                        text.clear();
                    }
                    "v" | "t" => taking = cell.is_some(),
                    _ => {}
                },
                Event::Text(more) if taking && text.len() < CELL_BYTES_MAX => text.push_str(&more),
                Event::Text(_) => {}
                Event::Close(name) => match name.as_str() {
                    "v" | "t" => taking = false,
                    "c" => {
                        if let Some((at, kind, shown)) = cell.take() {
                            if self.cells.len() <= at {
                                self.cells.resize(at + 1, String::new());
                            }
                            let value = self.value(&kind, shown, &text);
                            if let Some(cell) = self.cells.get_mut(at) {
                                *cell = value;
                            }
                        }
                    }
                    "row" => {
                        self.width = self.width.max(self.cells.len());
                        self.cells.resize(self.width, String::new());
                        row(self.cells.iter().map(String::as_str), out);
                        return Ok(true);
                    }
                    _ => {}
                },
                Event::End => return Ok(false),
            }
        }
    }

    fn value(&self, kind: &str, shown: Shown, text: &str) -> String {
        let number = || text.trim().parse::<f64>().ok();
        match (kind, shown) {
            ("s", _) => text
                .trim()
                .parse()
                .ok()
                .and_then(|at: usize| self.book.texts.get(at).cloned())
                .unwrap_or_default(),
            ("b", _) => if text.trim() == "1" { "true" } else { "false" }.to_owned(),
            ("n", Shown::DateTime | Shown::Date | Shown::DayTime) => {
                number().and_then(|days| self.time(days, shown)).unwrap_or_else(|| text.to_owned())
            }
            // As its CSV has it: of a hundred, with the sign behind.
            ("n", Shown::Percent) => {
                number().map_or_else(|| text.to_owned(), |share| hundredfold(share) + "%")
            }
            // To the millisecond, as times.
            ("n", Shown::Elapsed) => number()
                .map_or_else(|| text.to_owned(), |days| format!("{} s", (days * 86_400_000.0).round() / 1e3)),
            _ => text.to_owned(),
        }
    }

    /// A day number as the clocks showed it, to the millisecond, which is what Excel itself shows.
    fn time(&self, days: f64, shown: Shown) -> Option<String> {
        if !(0.0..2_958_466.0).contains(&days) {
            return None;
        }
        let first = match self.book.from_1904 {
            true => DateTime::new(1904, 1, 1, 0, 0, 0, 0).ok()?,
            // Excel takes 1900 for a leap year: before March its days count from a day later.
            false if days < 60.0 => DateTime::new(1899, 12, 31, 0, 0, 0, 0).ok()?,
            false => DateTime::new(1899, 12, 30, 0, 0, 0, 0).ok()?,
        };
        #[allow(clippy::cast_possible_truncation, reason = "at most 2.6e14")]
        let millis = (days * 86_400_000.0).round() as i64;
        let time = first.checked_add(jiff::SignedDuration::from_millis(millis)).ok()?;
        Some(match shown {
            Shown::DayTime if days < 1.0 => time.time().to_string(),
            // A column of its own may hold the time of day.
            Shown::Date if days.fract() == 0.0 => time.date().to_string(),
            _ => time.to_string(),
        })
    }
}

/// A number a hundred times as large, by its digits: a product would have others.
fn hundredfold(number: f64) -> String {
    let digits = format!("{number:e}");
    let (mantissa, exponent) = digits.split_once('e').unwrap_or((&digits, "0"));
    let exponent = exponent.parse::<i32>().unwrap_or(0) + 2;
    format!("{mantissa}e{exponent}").parse::<f64>().map_or(digits, |number| number.to_string())
}

/// The number from 0 of a cell's column: `AB12` is 27.
fn column(reference: &str) -> Option<usize> {
    let letters = reference.bytes().take_while(u8::is_ascii_alphabetic);
    let number =
        letters.take(4).fold(0, |sum, letter| sum * 26 + usize::from(letter.to_ascii_uppercase() - b'A') + 1);
    number.checked_sub(1)
}

/// Reads any bytes as a workbook, for the fuzz targets: gives how many bytes of rows there were.
pub(super) fn exercise(bytes: &[u8]) -> usize {
    let owned = bytes.to_vec();
    let Ok(members) = zip::members(&mut io::Cursor::new(&owned)) else { return 0 };
    let mut reopen = || Ok(io::Cursor::new(owned.clone()));
    let Ok(book) = Workbook::open(members, &mut reopen) else { return 0 };
    let read = |sheet: &str| {
        let rows = book.rows(sheet, io::Cursor::new(owned.clone())).ok()?;
        let mut out = Vec::new();
        rows.take(1 << 20).read_to_end(&mut out).ok()
    };
    book.sheets().filter_map(read).sum()
}
