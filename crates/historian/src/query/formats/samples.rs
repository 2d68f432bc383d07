//! Samples in each format, so that what is written reads back as the same samples: CSV and the binary formats carry the
//! kind of every value, JSON where it would not be guessed right.

use std::sync::Arc;

use arrow::error::ArrowError;
use tidemill_core::{Bus, Column, Format, Quality, Row, SampleBatch, ValueRef, format_rfc3339};

use super::csv::quote;
use super::{TableEncoder, of_table};
use crate::query::cells::{CellKind, float, json_string};
use crate::query::columns::{EXPORT, Shape};
use crate::query::names::Names;
use tidemill_lake::ScanBatch;

/// Writes samples.
pub(crate) trait SampleEncoder: Send {
    fn begin(&mut self) -> Result<(), ArrowError>;
    /// Rows of signals that are not among the names are left out.
    fn rows(&mut self, batch: &SampleBatch) -> Result<(), ArrowError>;
    fn end(&mut self) -> Result<(), ArrowError>;
    /// What has been written since the last call.
    fn written(&mut self) -> &mut Vec<u8>;
}

/// The encoder of a format, for these signals.
pub(crate) fn of_samples(
    format: Format,
    names: Arc<Names>,
    bus: Arc<dyn Bus>,
) -> Result<Box<dyn SampleEncoder>, ArrowError> {
    let text = |style| Box::new(Text { style, names: names.clone(), out: Vec::new(), begun: false });
    Ok(match format {
        Format::Json => text(Style::Array),
        Format::JsonLines => text(Style::Lines),
        Format::Csv => text(Style::Csv),
        Format::Arrow | Format::Parquet => {
            Box::new(Binary { shape: Shape::new(EXPORT.to_vec(), names, bus)?, encoder: of_table(format) })
        }
    })
}

struct Binary {
    shape: Shape,
    encoder: Box<dyn TableEncoder>,
}

impl SampleEncoder for Binary {
    fn begin(&mut self) -> Result<(), ArrowError> {
        self.encoder.begin(self.shape.schema())
    }

    fn rows(&mut self, batch: &SampleBatch) -> Result<(), ArrowError> {
        let batch = ScanBatch {
            samples: batch.clone(),
            received: Column::Same(None),
            source: Column::Same(Default::default()),
        };
        self.encoder.rows(&self.shape.batch(&batch)?)
    }

    fn end(&mut self) -> Result<(), ArrowError> {
        self.encoder.end()
    }

    fn written(&mut self) -> &mut Vec<u8> {
        self.encoder.written()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Array,
    Lines,
    Csv,
}

struct Text {
    style: Style,
    names: Arc<Names>,
    out: Vec<u8>,
    begun: bool,
}

impl SampleEncoder for Text {
    fn begin(&mut self) -> Result<(), ArrowError> {
        self.out.extend_from_slice(match self.style {
            Style::Array => b"[",
            Style::Lines => b"",
            Style::Csv => b"signal,time,value,kind,quality\n",
        });
        Ok(())
    }

    fn rows(&mut self, batch: &SampleBatch) -> Result<(), ArrowError> {
        let mut text = String::with_capacity(batch.len() * 64);
        for row in batch.rows() {
            let Some(path) = self.names.path(row.signal) else { continue };
            match self.style {
                Style::Csv => csv_line(path.as_str(), &row, &mut text),
                Style::Lines => {
                    json_object(path.as_str(), &row, &mut text);
                    text.push('\n');
                }
                Style::Array => {
                    text.push_str(if std::mem::replace(&mut self.begun, true) { ",\n" } else { "\n" });
                    json_object(path.as_str(), &row, &mut text);
                }
            }
        }
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn end(&mut self) -> Result<(), ArrowError> {
        if self.style == Style::Array {
            self.out.extend_from_slice(b"\n]\n");
        }
        Ok(())
    }

    fn written(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }
}

/// A quality in a spelling that [`Quality::parse`] reads back to the same bits.
fn quality_text(quality: Quality) -> String {
    let name = quality.name();
    match Quality::NAMED.iter().any(|(code, known)| *code == quality && *known == name) {
        true => name.to_owned(),
        false => format!("0x{:08X}", quality.0),
    }
}

fn csv_line(path: &str, row: &Row<'_>, text: &mut String) {
    quote(path, text);
    text.push(',');
    format_rfc3339(row.time, text);
    text.push(',');
    match row.value {
        ValueRef::None => {}
        ValueRef::Float(value) => {
            float(value, text);
        }
        ValueRef::Text(value) | ValueRef::Json(value) => quote(value, text),
        value => text.push_str(&value.to_string()),
    }
    text.push(',');
    text.push_str(row.value.kind().name());
    text.push(',');
    text.push_str(&quality_text(row.quality));
    text.push('\n');
}

/// `kind` is written where a reader that takes a number for a float and a string for text would be wrong.
fn json_object(path: &str, row: &Row<'_>, text: &mut String) {
    text.push_str("{\"signal\":");
    json_string(path, text);
    text.push_str(",\"time\":\"");
    format_rfc3339(row.time, text);
    text.push_str("\",\"value\":");
    let plain = json_value(row.value, text);
    text.push_str(",\"quality\":\"");
    text.push_str(&quality_text(row.quality));
    text.push('"');
    if !plain {
        text.push_str(",\"kind\":\"");
        text.push_str(row.value.kind().name());
        text.push('"');
    }
    text.push('}');
}

/// Whether the kind can be told from the value alone.
fn json_value(value: ValueRef<'_>, text: &mut String) -> bool {
    match value {
        ValueRef::None => text.push_str("null"),
        ValueRef::Bool(value) => text.push_str(if value { "true" } else { "false" }),
        ValueRef::Text(value) => json_string(value, text),
        ValueRef::Float(value) => {
            let mut digits = String::new();
            if float(value, &mut digits) == CellKind::NotFinite {
                json_string(&digits, text);
                return false;
            }
            text.push_str(&digits);
        }
        ValueRef::Json(document) if is_inline(document) => {
            text.push_str(document);
            return false;
        }
        ValueRef::Json(document) => {
            json_string(document, text);
            return false;
        }
        value @ ValueRef::Bytes(_) => {
            json_string(&value.to_string(), text);
            return false;
        }
        number => {
            text.push_str(&number.to_string());
            return false;
        }
    }
    true
}

/// Objects and arrays stand as they are; what else is kind `json` stands as a string that holds the document, so that
/// both can be told apart.
fn is_inline(document: &str) -> bool {
    document.starts_with(['{', '['])
        && !document.contains(['\n', '\r'])
        && serde_json::from_str::<serde::de::IgnoredAny>(document).is_ok()
}
