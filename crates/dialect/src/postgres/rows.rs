//! Answers as finished messages: `RowDescription` for the columns, one `DataRow` for each row. What is not here: how single
//! values are written ([`super::values`]).

use arrow::array::RecordBatch;
use arrow::datatypes::{Fields, SchemaRef};
use arrow::error::ArrowError;
use tidemill_core::TypeNumber;

use super::names::shown_name;
use super::types;
use super::values::{Cells, measured};

/// Writes rows for PostgreSQL's clients.
#[derive(Debug, Default)]
pub struct WireRows {
    /// Which columns are wanted in binary, as they were asked for.
    asked: Vec<bool>,
    columns: Fields,
    binary: Vec<bool>,
    written: Vec<u8>,
}

impl WireRows {
    /// For an answer whose columns are wanted in binary where this says so: none, all, or each.
    pub fn new(asked: Vec<bool>) -> WireRows {
        WireRows { asked, ..WireRows::default() }
    }

    /// Tells the columns.
    ///
    /// # Errors
    /// Formats were asked for of another number of columns.
    pub fn begin(&mut self, schema: &SchemaRef) -> Result<(), ArrowError> {
        let columns = schema.fields().len();
        self.binary = match self.asked.as_slice() {
            [] => vec![false; columns],
            [all] => vec![*all; columns],
            each if each.len() == columns => each.to_vec(),
            each => {
                let detail = format!("{} formats were given for {columns} columns", each.len());
                return Err(ArrowError::InvalidArgumentError(detail));
            }
        };
        let columns: Vec<_> =
            schema.fields().iter().map(|field| (field.name().as_str(), types::of_field(field))).collect();
        describe(&columns, &self.binary, &mut self.written);
        self.columns = schema.fields().clone();
        Ok(())
    }

    /// Tells rows.
    ///
    /// # Errors
    /// A value cannot be written.
    pub fn rows(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let columns = self.columns.iter().zip(batch.columns());
        let columns: Vec<Cells> =
            columns.map(|(field, column)| Cells::of(field, column)).collect::<Result<_, _>>()?;
        let count = count(columns.len());
        for row in 0..batch.num_rows() {
            let begin = message(b'D', &mut self.written);
            self.written.extend(count);
            for (cells, binary) in columns.iter().zip(&self.binary) {
                measured(cells, row, *binary, &mut self.written)?;
            }
            close(begin, &mut self.written);
        }
        Ok(())
    }

    /// The messages since the last call.
    pub fn written(&mut self) -> &mut Vec<u8> {
        &mut self.written
    }
}

/// A `RowDescription` of columns, by name and type.
pub(crate) fn describe(columns: &[(&str, TypeNumber)], binary: &[bool], out: &mut Vec<u8>) {
    let begin = message(b'T', out);
    out.extend(count(columns.len()));
    for (number, (name, kind)) in columns.iter().enumerate() {
        out.extend(shown_name(name).bytes().filter(|byte| *byte != 0));
        out.push(0);
        // No table and no place in one: nothing can be changed through an answer.
        out.extend([0; 6]);
        out.extend(kind.to_be_bytes());
        out.extend(types::length(*kind).to_be_bytes());
        out.extend((-1_i32).to_be_bytes());
        out.extend(i16::from(binary.get(number).copied().unwrap_or_default()).to_be_bytes());
    }
    close(begin, out);
}

fn count(count: usize) -> [u8; 2] {
    u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes()
}

/// Begins a message; where its length will stand.
fn message(tag: u8, out: &mut Vec<u8>) -> usize {
    out.push(tag);
    let place = out.len();
    out.extend([0; 4]);
    place
}

fn close(place: usize, out: &mut [u8]) {
    let length = u32::try_from(out.len().saturating_sub(place)).unwrap_or(u32::MAX);
    if let Some(room) = out.get_mut(place..place.saturating_add(4)) {
        room.copy_from_slice(&length.to_be_bytes());
    }
}
