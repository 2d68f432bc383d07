//! Tables as JSON: one object with columns and rows, or one object a line. NaN and the infinities are strings, as in
//! JavaScript's spelling, because JSON has no numbers for them.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::TableEncoder;
use crate::cells::{CellKind, CellWriter, Cells, json_string, sql_type};

/// `{"columns": […], "rows": [[…]…]}`
#[derive(Default)]
pub(crate) struct Whole {
    out: Vec<u8>,
    begun: bool,
}

impl TableEncoder for Whole {
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), ArrowError> {
        let mut text = String::from("{\"columns\":[");
        for (number, field) in schema.fields().iter().enumerate() {
            text.push_str(if number == 0 { "{\"name\":" } else { ",{\"name\":" });
            json_string(field.name(), &mut text);
            text.push_str(",\"type\":");
            json_string(&sql_type(field.data_type()), &mut text);
            text.push('}');
        }
        text.push_str("],\"rows\":[");
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn rows(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let begun = std::mem::replace(&mut self.begun, true);
        each(batch, &mut self.out, |row, writers, _, text| {
            text.push_str(if row == 0 && !begun { "\n[" } else { ",\n[" });
            for (number, writer) in writers.iter_mut().enumerate() {
                if number > 0 {
                    text.push(',');
                }
                cell(writer, row, text);
            }
            text.push(']');
        })
    }

    fn end(&mut self) -> Result<(), ArrowError> {
        self.out.extend_from_slice(b"]}\n");
        Ok(())
    }

    fn written(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }
}

/// One object a line.
#[derive(Default)]
pub(crate) struct Lines {
    out: Vec<u8>,
}

impl TableEncoder for Lines {
    fn begin(&mut self, _: &SchemaRef) -> Result<(), ArrowError> {
        Ok(())
    }

    fn rows(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        each(batch, &mut self.out, |row, writers, names, text| {
            for (number, (writer, name)) in writers.iter_mut().zip(names).enumerate() {
                text.push(if number == 0 { '{' } else { ',' });
                text.push_str(name);
                text.push(':');
                cell(writer, row, text);
            }
            text.push_str("}\n");
        })
    }

    fn end(&mut self) -> Result<(), ArrowError> {
        Ok(())
    }

    fn written(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }
}

fn each(
    batch: &RecordBatch,
    out: &mut Vec<u8>,
    mut line: impl FnMut(usize, &mut [CellWriter<'_>], &[String], &mut String),
) -> Result<(), ArrowError> {
    let schema = batch.schema();
    let cells = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| Cells::of(field, column))
        .collect::<Result<Vec<_>, _>>()?;
    let mut writers = cells.iter().map(Cells::writer).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| {
            let mut name = String::new();
            json_string(field.name(), &mut name);
            name
        })
        .collect();
    let mut text = String::new();
    for row in 0..batch.num_rows() {
        line(row, &mut writers, &names, &mut text);
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// A cell as JSON.
pub(crate) fn cell(writer: &mut CellWriter<'_>, row: usize, text: &mut String) {
    let before = text.len();
    match writer.write(row, text) {
        CellKind::Null => text.push_str("null"),
        CellKind::Bare | CellKind::Json => {}
        CellKind::NotFinite | CellKind::Text => {
            let plain = text.split_off(before);
            json_string(&plain, text);
        }
    }
}
