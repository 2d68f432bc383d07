//! Samples as the body of `POST /api/v1/write`: one JSON object a line, times as nanoseconds, floats in the shortest
//! form that reads back to the same bits. What is implied is left out: the kind of a float, a boolean and a text, and
//! the quality of a good value. A signal's unit goes with each of its samples.

use std::io::Write;

use tidemill_core::{Quality, Value};

use super::cell::NOT_FINITE;
use super::reader::{Batch, Signal};

/// What the body is.
pub const CONTENT_TYPE: &str = "application/x-ndjson";

/// The query that goes with it: the unit of the times.
pub const QUERY: &str = "precision=ns";

/// Appends a batch.
pub fn encode(batch: &Batch, signals: &[Signal], out: &mut Vec<u8>) {
    for sample in &batch.samples {
        // An index that the reader gave has its signal.
        let Some(signal) = signals.get(sample.signal as usize) else { continue };
        out.extend_from_slice(b"{\"signal\":");
        text(signal.path.as_str(), out);
        out.extend_from_slice(b",\"time\":");
        display(&sample.time, out);
        value(&sample.value, out);
        if sample.quality != Quality::GOOD {
            // The code itself: names leave out the info bits.
            out.extend_from_slice(b",\"quality\":\"0x");
            let written = write!(out, "{:08X}", sample.quality.0);
            debug_assert!(written.is_ok(), "writing to a Vec cannot fail");
            out.push(b'"');
        }
        // With each: a sample is refused for its own unit, not for that of another.
        if !signal.unit.is_empty() {
            out.extend_from_slice(b",\"unit\":");
            text(&signal.unit, out);
        }
        out.extend_from_slice(b"}\n");
    }
}

fn value(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"value\":");
    let kind = match value {
        Value::None => {
            out.extend_from_slice(b"null");
            None
        }
        Value::Float(float) if float.is_finite() => {
            float_digits(*float, out);
            None
        }
        Value::Float(float) => {
            let name = NOT_FINITE.iter().find(|(_, other)| float == other || other.is_nan());
            text(name.map_or("NaN", |(name, _)| name), out);
            Some("float")
        }
        Value::Bool(bool) => {
            display(bool, out);
            None
        }
        Value::Text(string) => {
            text(string, out);
            None
        }
        Value::Int(int) => {
            display(int, out);
            Some("integer")
        }
        Value::UInt(uint) => {
            display(uint, out);
            Some("unsigned")
        }
        Value::Json(document) => {
            // Within a string it stays as it is, whatever stands in it.
            text(document, out);
            Some("json")
        }
        Value::Bytes(_) => {
            text(&value.to_string(), out);
            Some("bytes")
        }
    };
    if let Some(kind) = kind {
        out.extend_from_slice(b",\"kind\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.push(b'"');
    }
}

/// The shortest digits that read back to the same bits. `Display` would write 1e300 with 300 zeros; up to 64 bits whole
/// digits let a signal of integers take the number as one.
fn float_digits(float: f64, out: &mut Vec<u8>) {
    let plain = float == 0.0 || (1e-5..1e19).contains(&float.abs());
    let written = if plain { write!(out, "{float}") } else { write!(out, "{float:e}") };
    debug_assert!(written.is_ok(), "writing to a Vec cannot fail");
}

fn display(value: &dyn std::fmt::Display, out: &mut Vec<u8>) {
    let written = write!(out, "{value}");
    debug_assert!(written.is_ok(), "writing to a Vec cannot fail");
}

fn text(text: &str, out: &mut Vec<u8>) {
    let written = serde_json::to_writer(out, text);
    debug_assert!(written.is_ok(), "writing a text to a Vec cannot fail");
}
