//! The pass over the whole file before its first sample is read: what its columns or members hold, in room that does not
//! grow with the file. What follows from it is decided in `layout`.

use std::io;

use super::columns::{Column, Epochs};
use super::json::{Objects, Seen};
use super::layout::Times;
use super::lineprotocol::{self, Stamp};
use super::lines::Lines;
use super::members;
use super::plan::Options;
use super::records::{Record, Records, Step};
use super::rejected;
use super::sheet::{Sheet, is_of_head};
use super::watch::Watch;

/// After how many rows the progress is told.
const STEP_ROWS: u64 = 10_000;

/// Tells the progress now and then.
struct Pace<'a> {
    rows: u64,
    step: &'a mut dyn FnMut(),
}

impl Pace<'_> {
    fn row(&mut self) {
        self.rows += 1;
        if self.rows.is_multiple_of(STEP_ROWS) {
            (self.step)();
        }
    }
}

/// What was seen of a table.
pub(super) enum Table {
    /// What its columns hold.
    Columns(Vec<Column>),
    /// In this line another table begins below another header.
    Second(u64),
}

/// What the columns of a table hold.
pub(super) fn table(
    records: &mut Records,
    sheet: &Sheet,
    times: Times,
    watch: &mut Watch,
    step: &mut dyn FnMut(),
) -> io::Result<Table> {
    let mut columns = vec![Column::default(); sheet.width()];
    let mut record = Record::default();
    let mut pace = Pace { rows: 0, step };
    loop {
        pace.row();
        match records.read(&mut record)? {
            Step::End => return Ok(Table::Columns(columns)),
            Step::Fault { .. } => {}
            Step::Record => {
                // A header stands again where files were put together.
                let header =
                    sheet.header_line.as_ref().is_some_and(|(_, head)| is_of_head(head, &record.raw));
                if record.line > sheet.skip_lines && !header {
                    if sheet.is_another_header(&record, times.at()) {
                        return Ok(Table::Second(record.line));
                    }
                    Sheet::add(&mut columns, &record);
                    watch.add(record.line, record.fields().enumerate());
                }
            }
        }
    }
}

/// What the members of objects hold.
pub(super) fn objects(objects: &mut Objects, options: &Options, step: &mut dyn FnMut()) -> io::Result<Seen> {
    let mut seen = Seen::new(options);
    let mut pace = Pace { rows: 0, step };
    while let Some(line) = objects.next_object()? {
        pace.row();
        if line.fault.is_none()
            && !rejected::is_remark(&line.text)
            && let Ok(members) = members::members(&line.text, &[])
        {
            seen.add(line.number, &members);
        }
    }
    Ok(seen)
}

/// The times of line protocol.
pub(super) fn points(lines: &mut Lines, step: &mut dyn FnMut()) -> io::Result<Epochs> {
    let mut times = Epochs::default();
    let mut pace = Pace { rows: 0, step };
    while let Some(line) = lineprotocol::next_line(lines)? {
        pace.row();
        let text = line.text.trim();
        if line.fault.is_some() || text.starts_with('#') {
            continue;
        }
        if let Some(Stamp::Time(time)) = lineprotocol::look(text) {
            #[allow(clippy::cast_precision_loss, reason = "only its size matters")]
            times.add(time as f64, line.number, &time.to_string());
        }
    }
    Ok(times)
}
