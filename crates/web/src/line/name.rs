//! What a field of a line is called: measurement / all tags as one segment `key=value,key=value` sorted by key / field.
//! Two tag sets never share a name: what a segment cannot hold, and `=` and `,` inside a measurement, a tag or a field,
//! are percent-escaped; a segment over [`SEGMENT_BYTES_MAX`] bytes ends in a hash that no unescaped text can look like.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tidemill_core::{Escape, PATH_SEGMENTS_MAX, SignalPath};

use crate::error::{Error, Fault, excerpt};

/// The longest segment made of foreign text; a longer one is cut and ends in `%~` and 128 bits of its SHA-256.
pub const SEGMENT_BYTES_MAX: usize = 200;

const HASH_BYTES: usize = 16;

/// A series, taken apart: names and values without their escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// The measurement.
    pub measurement: String,
    /// The tags by name.
    pub tags: BTreeMap<Arc<str>, Arc<str>>,
}

impl Series {
    /// Takes raw series bytes apart.
    ///
    /// # Errors
    /// A tag without a name or value, a tag that stands twice, bytes that are not UTF-8; with the place in `raw`.
    pub fn parse(raw: &[u8]) -> Result<Series, Fault> {
        let text = std::str::from_utf8(raw)
            .map_err(|error| Fault { at: error.valid_up_to(), error: Error::NotUtf8 })?;
        let mut parts = split(text, ',');
        let first = parts.next().unwrap_or_default();
        let measurement = unescape(first, &[',', ' ']);
        if measurement.is_empty() {
            return Err(Fault { at: 0, error: Error::NoMeasurement });
        }
        let mut tags = BTreeMap::new();
        let mut next = first.len().saturating_add(1);
        for part in parts {
            let at = next;
            next = at.saturating_add(part.len()).saturating_add(1);
            let fault = |error| Fault { at, error };
            let mut halves = split(part, '=');
            let key = unescape(halves.next().unwrap_or_default(), &[',', ' ', '=']);
            let value = unescape(halves.next().unwrap_or_default(), &[',', ' ', '=']);
            if key.is_empty() {
                return Err(fault(Error::NoTagKey));
            }
            if value.is_empty() {
                return Err(fault(Error::NoTagValue(excerpt(key.as_bytes()))));
            }
            if halves.next().is_some() {
                return Err(fault(Error::TagEquals(excerpt(key.as_bytes()))));
            }
            if tags.insert(key.clone().into(), value.into()).is_some() {
                return Err(fault(Error::TagTwice(excerpt(key.as_bytes()))));
            }
        }
        Ok(Series { measurement, tags })
    }

    /// The default name of a field (without its escapes) of this series.
    ///
    /// # Errors
    /// The whole name is longer or deeper than a path may be.
    pub fn path(&self, field: &str) -> Result<SignalPath, Error> {
        let mut name = String::new();
        measurement_into(&self.measurement, &mut name);
        if !self.tags.is_empty() {
            let mut tags = String::new();
            for (key, value) in &self.tags {
                if !tags.is_empty() {
                    tags.push(',');
                }
                escape_into(key, &mut tags);
                tags.push('=');
                escape_into(value, &mut tags);
            }
            name.push('/');
            name.push_str(&shorten(tags));
        }
        if field != "value" {
            name.push('/');
            segment_into(field, &mut name);
        }
        SignalPath::new(&name).map_err(|error| Error::from(tidemill_core::Problem::from(error)))
    }
}

/// A field's raw key without its escapes.
///
/// # Errors
/// It is not UTF-8.
pub fn field_name(raw: &[u8]) -> Result<String, Error> {
    let text = std::str::from_utf8(raw).map_err(|_| Error::NotUtf8)?;
    Ok(unescape(text, &[',', ' ', '=']))
}

/// Appends one segment made of foreign text, also safe as a part of a path that a template makes.
pub(super) fn segment_into(text: &str, out: &mut String) {
    let mut segment = String::with_capacity(text.len());
    escape_into(text, &mut segment);
    out.push_str(&shorten(segment));
}

/// A measurement may be a path: its slashes separate, unless that would leave an empty segment.
pub(super) fn measurement_into(measurement: &str, out: &mut String) {
    let is_path = measurement.split('/').all(|segment| !segment.is_empty());
    if !is_path || measurement.split('/').count() > PATH_SEGMENTS_MAX {
        segment_into(measurement, out);
        return;
    }
    for (index, segment) in measurement.split('/').enumerate() {
        if index > 0 {
            out.push('/');
        }
        segment_into(segment, out);
    }
}

/// Escapes a piece of a segment, `,` and `=` included: they have a meaning between tags.
fn escape_into(text: &str, out: &mut String) {
    for character in Escape::segment(text).chars() {
        match character {
            ',' => out.push_str("%2C"),
            '=' => out.push_str("%3D"),
            other => out.push(other),
        }
    }
}

/// Cuts a segment that is too long. `%~` comes from no escaping, so that a cut name is never another's whole name.
fn shorten(segment: String) -> String {
    use std::fmt::Write;
    if segment.len() <= SEGMENT_BYTES_MAX {
        return segment;
    }
    let mut end = SEGMENT_BYTES_MAX.saturating_sub(HASH_BYTES.saturating_mul(2)).saturating_sub(2);
    while !segment.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let head = segment.get(..end).unwrap_or_default();
    // Not in the middle of an escape.
    let tail = end.saturating_sub(2);
    let head = match head.get(tail..).and_then(|last| last.find('%')) {
        Some(index) => head.get(..tail.saturating_add(index)).unwrap_or_default(),
        None => head,
    };
    let mut short = format!("{head}%~");
    for byte in Sha256::digest(segment.as_bytes()).iter().take(HASH_BYTES) {
        let written = write!(short, "{byte:02x}");
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
    short
}

/// Splits at a delimiter that has no backslash right before it.
fn split(text: &str, delimiter: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let whole = rest?;
        let mut previous = ' ';
        for (index, character) in whole.char_indices() {
            if character == delimiter && previous != '\\' {
                rest = whole.get(index.saturating_add(character.len_utf8())..);
                return whole.get(..index);
            }
            previous = character;
        }
        rest = None;
        Some(whole)
    })
}

/// Without the backslashes before the given characters; other backslashes stand for themselves.
fn unescape(text: &str, escapable: &[char]) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match characters.peek() {
            Some(next) if character == '\\' && escapable.contains(next) => {
                out.push(*next);
                characters.next();
            }
            _ => out.push(character),
        }
    }
    out
}
