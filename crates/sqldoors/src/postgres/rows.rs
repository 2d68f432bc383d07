//! Rows on their way: pieces of finished messages from the history, walked message by message and passed on, as many as
//! were asked for. What is not here: what is in a row.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bytes::{Bytes, BytesMut};
use tidemill_core::{Chunks, ReadGrant, WireValue};

use super::copy::{self, BINARY_BEGINS, BINARY_ENDS};
use super::copy_options::{CopyForm, ForceQuote};
use super::reply::Out;
use super::session::{Ended, Portal, Session};
use crate::Error;

/// A query that runs: what came of it and was not passed on yet.
pub(crate) struct Running {
    chunks: Box<dyn Chunks>,
    grant: ReadGrant,
    rest: Bytes,
    begun: bool,
    /// No row was passed on yet.
    first: bool,
    /// Which columns of CSV are quoted, needed or not; one that is not told is not.
    quoted: Vec<bool>,
}

/// What becomes of rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Into<'a> {
    /// As they are; with their columns before them or not.
    Rows {
        /// Whether the columns are told.
        described: bool,
    },
    /// Data of COPY.
    Copy(&'a CopyForm),
}

/// The length of the first message, if bytes begin with one.
fn message(bytes: &[u8]) -> Option<usize> {
    let length = super::message::length(bytes.get(1..)?)?;
    Some(length.saturating_add(1)).filter(|length| *length <= bytes.len())
}

/// A `RowDescription` with other formats.
pub(crate) fn with_formats(columns: &Bytes, binary: &[bool]) -> Bytes {
    let mut made = BytesMut::from(columns.as_ref());
    let mut place = 7;
    let mut number = 0;
    while let Some(end) = made.get(place..).and_then(|rest| rest.iter().position(|byte| *byte == 0)) {
        let wanted = match binary {
            [] => false,
            [all] => *all,
            each => each.get(number).copied().unwrap_or_default(),
        };
        // Behind the name: table, column, type, length, modifier, and the format in two bytes.
        let format = place.saturating_add(end).saturating_add(17);
        if let Some(room) = made.get_mut(format..format.saturating_add(2)) {
            room.copy_from_slice(&u16::from(wanted).to_be_bytes());
        }
        place = format.saturating_add(2);
        number = number.saturating_add(1);
    }
    made.freeze()
}

/// The names of a `RowDescription`'s columns.
fn names(columns: &[u8]) -> Vec<&[u8]> {
    let mut names = Vec::new();
    let mut rest = columns.get(7..).unwrap_or_default();
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        names.push(rest.get(..end).unwrap_or_default());
        rest = rest.get(end.saturating_add(19)..).unwrap_or_default();
    }
    names
}

impl Session {
    /// Begins to run a query.
    async fn begin(
        &mut self,
        text: &str,
        (values, binary): (Vec<WireValue>, Vec<bool>),
        grant: ReadGrant,
    ) -> Result<Running, Ended> {
        let budget = self.budget();
        let query = self.asked(text, values, binary);
        let history = self.house.doors.history.clone();
        self.house.postgres.queries.add(1);
        let answer = history.wire(grant.scope(), query, budget);
        let chunks = self.until_cancelled(answer).await??;
        Ok(Running { chunks, grant, rest: Bytes::new(), begun: false, first: true, quoted: Vec::new() })
    }

    /// Passes rows of a portal on, at most so many (0: all); how many there were. What is left stays in the portal.
    pub(crate) async fn rows(
        &mut self,
        text: &str,
        portal: &mut Portal,
        rows_max: u32,
        into: Into<'_>,
        grant: ReadGrant,
    ) -> Result<u64, Ended> {
        if portal.done {
            return Ok(0);
        }
        let mut running = match portal.running.take() {
            Some(running) => running,
            None => self.begin(text, (portal.values.clone(), portal.binary.clone()), grant).await?,
        };
        let mut rows = 0;
        loop {
            if running.rest.is_empty() {
                let next = running.chunks.next();
                match self.until_cancelled(next).await? {
                    Some(piece) => running.rest = piece?,
                    None => {
                        portal.done = true;
                        return Ok(rows);
                    }
                }
            }
            self.still_admitted(&mut running.grant).await?;
            if !running.begun {
                self.columns(&mut running, portal, into)?;
                running.begun = true;
            }
            let left = if rows_max == 0 { u64::MAX } else { u64::from(rows_max).saturating_sub(rows) };
            if left == 0 {
                // Whether there is more is known only when it is asked for: the portal is told as not yet done.
                portal.running = Some(running);
                return Ok(rows);
            }
            rows = rows.saturating_add(self.forward(&mut running, left, into).await?);
        }
    }

    /// Takes the columns that an answer begins with.
    fn columns(&mut self, running: &mut Running, portal: &Portal, into: Into<'_>) -> Result<(), Ended> {
        let length = message(&running.rest).unwrap_or_default();
        let columns = running.rest.split_to(length);
        if portal.columns.as_ref().is_some_and(|told| *told != columns) {
            let changed = "the columns of the statement are no longer what they were when it was prepared";
            return Err(Error::Unsupported(changed.to_owned()).into());
        }
        match into {
            Into::Rows { described: true } => self.writer.out.0.extend_from_slice(&columns),
            Into::Rows { described: false } => {}
            Into::Copy(form) => {
                running.quoted = quoted(form, &names(&columns))?;
                copy_begins(form, &columns, &mut self.writer.out);
            }
        }
        Ok(())
    }

    /// Passes on at most so many rows of a piece; how many there were.
    async fn forward(&mut self, running: &mut Running, left: u64, into: Into<'_>) -> Result<u64, Ended> {
        let (mut rows, mut end) = (0_u64, 0_usize);
        while rows < left {
            let rest = running.rest.get(end..).unwrap_or_default();
            let Some(length) = message(rest) else { break };
            if let Into::Copy(form) = into {
                // Readers expect what the data begins with together with the first row.
                let first = std::mem::take(&mut running.first) && *form == CopyForm::Binary;
                let mut data = if first { BINARY_BEGINS.to_vec() } else { Vec::new() };
                copy::row(form, &running.quoted, rest.get(5..length).unwrap_or_default(), &mut data);
                self.writer.out.copy(&data);
                self.writer.send_much().await?;
            }
            end = end.saturating_add(length);
            rows = rows.saturating_add(1);
        }
        if end == 0 {
            // Nothing that is a message: no history does that.
            running.rest.clear();
            return Ok(0);
        }
        let passed = running.rest.split_to(end);
        if matches!(into, Into::Rows { .. }) {
            self.writer.pass(&passed).await?;
        }
        Ok(rows)
    }
}

/// Which columns of these names are quoted, needed or not.
fn quoted(form: &CopyForm, names: &[&[u8]]) -> Result<Vec<bool>, Error> {
    let CopyForm::Csv(options) = form else { return Ok(Vec::new()) };
    match &options.force_quote {
        ForceQuote::All => Ok(vec![true; names.len()]),
        ForceQuote::Columns(wanted) => {
            if let Some(unknown) = wanted.iter().find(|name| !names.contains(&name.as_bytes())) {
                let what =
                    format!("COPY with FORCE_QUOTE of the column {unknown}, which the answer has not,");
                return Err(Error::Unsupported(what));
            }
            Ok(names.iter().map(|name| wanted.iter().any(|wanted| wanted.as_bytes() == *name)).collect())
        }
    }
}

fn copy_begins(form: &CopyForm, columns: &[u8], out: &mut Out) {
    let names = names(columns);
    out.copy_begins(u16::try_from(names.len()).unwrap_or(u16::MAX), *form == CopyForm::Binary);
    match form {
        CopyForm::Text(options) | CopyForm::Csv(options) if options.header => {
            let mut line = Vec::new();
            copy::line(form, &[], names.iter().map(|name| Some(*name)), &mut line);
            out.copy(&line);
        }
        CopyForm::Text(_) | CopyForm::Csv(_) | CopyForm::Binary => {}
    }
}

/// Ends data of COPY, of so many rows.
pub(crate) fn copy_ends(form: &CopyForm, rows: u64, out: &mut Out) {
    if *form == CopyForm::Binary {
        if rows == 0 {
            out.copy(BINARY_BEGINS);
        }
        out.copy(BINARY_ENDS);
    }
    out.copy_ends();
}
