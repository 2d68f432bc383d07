//! Samples as JSON text and as CSV: one spelling for `read`, `live` and `signals`.

use std::fmt::Write;

use tidemill_core::{Quality, Row, ValueRef};

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

/// A value as JSON: numbers exact and shortest, documents as they are, bytes as `"0x…"`. What JSON has no form for
/// (NaN and infinities, which other doors may have let in) is text.
pub(crate) fn write_value(value: ValueRef<'_>, out: &mut String) {
    match value {
        ValueRef::None => out.push_str("null"),
        ValueRef::Float(value) if value.is_finite() => write_float(value, out),
        ValueRef::Float(value) => push(out, format_args!("\"{value}\"")),
        ValueRef::Int(value) => out.push_str(itoa::Buffer::new().format(value)),
        ValueRef::UInt(value) => out.push_str(itoa::Buffer::new().format(value)),
        ValueRef::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        ValueRef::Text(text) => write_text(text, out),
        ValueRef::Json(text) => out.push_str(text),
        ValueRef::Bytes(_) => push(out, format_args!("\"{value}\"")),
    }
}

/// The shortest text that reads back as the same float; whole numbers without a needless `.0`. Zero below zero keeps it:
/// many parsers take `-0` for the integer, which has no sign.
pub(crate) fn write_float(value: f64, out: &mut String) {
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(value);
    out.push_str(text.strip_suffix(".0").filter(|whole| *whole != "-0").unwrap_or(text));
}

/// `,"time":…,"value":…,"quality":"…"` and, where the JSON type does not tell it, `,"kind":"…"`.
pub(crate) fn write_members(row: &Row<'_>, style: TimeStyle, out: &mut String) {
    out.push_str(",\"time\":");
    style.write_json(row.time, out);
    out.push_str(",\"value\":");
    write_value(row.value, out);
    out.push_str(",\"quality\":");
    write_quality(row.quality, out);
    let told = match row.value {
        ValueRef::Int(_) | ValueRef::UInt(_) | ValueRef::Bytes(_) => false,
        ValueRef::Json(text) => text.starts_with(['{', '[']),
        _ => true,
    };
    if !told {
        push(out, format_args!(",\"kind\":\"{}\"", row.value.kind().name()));
    }
}

/// A quality as a JSON string that [`Quality::parse`] reads back: its name, or its number in hex.
pub(crate) fn write_quality(quality: Quality, out: &mut String) {
    if Quality::NAMED.iter().any(|(code, _)| *code == quality) {
        push(out, format_args!("\"{}\"", quality.name()));
    } else {
        push(out, format_args!("\"0x{:08X}\"", quality.0));
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
        ValueRef::Float(value) if value.is_finite() => write_float(value, out),
        other => push(out, format_args!("{other}")),
    }
    push(out, format_args!(",{},{}\r\n", row.value.kind().name(), row.quality));
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
