//! Tables as CSV (RFC 4180): a header, lines that end in a line feed, NULL as nothing and an empty text as `""`.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::TableEncoder;
use crate::cells::{CellKind, Cells};

/// A table as CSV.
#[derive(Default)]
pub(crate) struct Csv {
    out: Vec<u8>,
}

impl TableEncoder for Csv {
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), ArrowError> {
        let mut text = String::new();
        for (number, field) in schema.fields().iter().enumerate() {
            if number > 0 {
                text.push(',');
            }
            quote(field.name(), &mut text);
        }
        text.push('\n');
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn rows(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns());
        let cells = columns.map(|(field, column)| Cells::of(field, column)).collect::<Result<Vec<_>, _>>()?;
        let mut writers = cells.iter().map(Cells::writer).collect::<Result<Vec<_>, _>>()?;
        let (mut text, mut plain) = (String::new(), String::new());
        for row in 0..batch.num_rows() {
            for (number, writer) in writers.iter_mut().enumerate() {
                if number > 0 {
                    text.push(',');
                }
                plain.clear();
                match writer.write(row, &mut plain) {
                    CellKind::Null => {}
                    CellKind::Text | CellKind::Json => quote(&plain, &mut text),
                    CellKind::Bare | CellKind::NotFinite => text.push_str(&plain),
                }
            }
            text.push('\n');
        }
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn end(&mut self) -> Result<(), ArrowError> {
        Ok(())
    }

    fn written(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }
}

/// A field, in quotes where it must be.
pub(crate) fn quote(field: &str, out: &mut String) {
    let special = |c: char| matches!(c, '"' | ',' | ';' | '\n' | '\r' | '\t');
    if !field.is_empty() && !field.contains(special) && field.trim() == field {
        out.push_str(field);
        return;
    }
    out.push('"');
    for (number, part) in field.split('"').enumerate() {
        if number > 0 {
            out.push_str("\"\"");
        }
        out.push_str(part);
    }
    out.push('"');
}
