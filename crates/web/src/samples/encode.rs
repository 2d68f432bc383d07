//! Samples as JSON text and as CSV: one spelling for `read`, `live` and `signals`.

use std::fmt::Write;

use tidemill_core::{Quality, Row, ValueRef};

use super::NOT_FINITE;
use super::decode::SAMPLE_DEPTH;
use super::json::is_document;
use crate::times::TimeStyle;

/// A JSON string.
pub(crate) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if u32::from(control) < 0x20 => push(out, format_args!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

/// A value as JSON, and whether its kind can be told from it; the spelling is that of docs/reference/formats.md.
fn write_value(value: ValueRef<'_>, out: &mut String) -> bool {
    match value {
        ValueRef::None => out.push_str("null"),
        ValueRef::Float(value) => return write_json_float(value, out),
        ValueRef::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        ValueRef::Text(text) => write_text(text, out),
        ValueRef::Json(text) if is_inline(text) => out.push_str(text),
        ValueRef::Int(value) => {
            out.push_str(itoa::Buffer::new().format(value));
            return false;
        }
        ValueRef::UInt(value) => {
            out.push_str(itoa::Buffer::new().format(value));
            return false;
        }
        ValueRef::Json(text) => {
            write_text(text, out);
            return false;
        }
        ValueRef::Bytes(_) => {
            push(out, format_args!("\"{value}\""));
            return false;
        }
    }
    true
}

/// Objects and arrays that our own reader takes at this place stand as they are. What else is a document stands as a
/// string that holds it: `5` and `"5"` can be told apart so, and a line stays a line.
fn is_inline(document: &str) -> bool {
    document.starts_with(['{', '['])
        && !document.contains(['\n', '\r'])
        && is_document(document, SAMPLE_DEPTH)
}

fn write_json_float(value: f64, out: &mut String) -> bool {
    if value.is_finite() {
        write_float(value, out);
        return true;
    }
    out.push('"');
    write_float(value, out);
    out.push('"');
    false
}

/// The shortest text that reads back as the same float, and never as an integer: `20.0`, `1e300`, `-0.0`, `NaN`.
pub(crate) fn write_float(value: f64, out: &mut String) {
    match NOT_FINITE.iter().find(|(_, other)| value == *other || value.is_nan() && other.is_nan()) {
        Some((name, _)) => out.push_str(name),
        None => out.push_str(ryu::Buffer::new().format_finite(value)),
    }
}

/// `,"time":…,"value":…,"quality":"…"` and, where the JSON type does not tell it, `,"kind":"…"`.
pub(crate) fn write_members(row: &Row<'_>, style: TimeStyle, out: &mut String) {
    out.push_str(",\"time\":");
    style.write_json(row.time, out);
    out.push_str(",\"value\":");
    let told = write_value(row.value, out);
    out.push_str(",\"quality\":\"");
    write_quality(row.quality, out);
    out.push('"');
    if !told {
        push(out, format_args!(",\"kind\":\"{}\"", row.value.kind().name()));
    }
}

/// A quality as [`Quality::parse`] reads it back: its name, or its number in hex.
fn write_quality(quality: Quality, out: &mut String) {
    if Quality::NAMED.iter().any(|(code, _)| *code == quality) {
        out.push_str(quality.name());
    } else {
        push(out, format_args!("0x{:08X}", quality.0));
    }
}

/// A whole sample as a JSON object.
pub(crate) fn write_sample(signal: &str, row: &Row<'_>, style: TimeStyle, out: &mut String) {
    out.push_str("{\"signal\":");
    write_text(signal, out);
    write_members(row, style, out);
    out.push('}');
}

/// A sample as a record of CSV (RFC 4180): signal, time, value, kind, quality. No value is an empty field.
pub(crate) fn write_csv(signal: &str, row: &Row<'_>, style: TimeStyle, out: &mut String) {
    csv_field(signal, out);
    out.push(',');
    match style {
        TimeStyle::Rfc3339 => tidemill_core::format_rfc3339(row.time, out),
        number => number.write_json(row.time, out),
    }
    out.push(',');
    match row.value {
        ValueRef::None => {}
        ValueRef::Text(text) | ValueRef::Json(text) => csv_field(text, out),
        ValueRef::Float(value) => write_float(value, out),
        other => push(out, format_args!("{other}")),
    }
    push(out, format_args!(",{},", row.value.kind().name()));
    write_quality(row.quality, out);
    out.push_str("\r\n");
}

fn csv_field(text: &str, out: &mut String) {
    if !text.is_empty() && !text.contains([',', '"', '\r', '\n']) {
        out.push_str(text);
        return;
    }
    out.push('"');
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}
