//! From headers, tags and file names to legal paths, and the units that headers carry.

use std::collections::{HashMap, HashSet};

use tidemill_core::{Escape, SignalPath};

use super::error::Error;
use super::words;

/// A header's name and unit: `Temp (°C)`, `Temp [bar]`, `Temp / °C`.
pub(super) fn name_and_unit(header: &str) -> (&str, &str) {
    let header = header.trim();
    for (open, close) in [('[', ']'), ('(', ')')] {
        let Some((name, rest)) = header.strip_suffix(close).and_then(|text| split_bracket(text, open, close))
        else {
            continue;
        };
        let (name, unit) = (name.trim(), rest.trim());
        // Square brackets hold units; round ones also remarks such as (left) or (avg).
        let bare = !unit.is_empty() && unit.chars().count() <= 16 && !unit.contains(char::is_whitespace);
        if !name.is_empty() && (words::is_unit(unit) || (open == '[' && bare)) {
            return (name, unit);
        }
    }
    for mark in [" / ", " in ", ", "] {
        if let Some((name, unit)) = header.rsplit_once(mark) {
            // A letter may be anything: `Valve in A`.
            let sure = words::is_unit(unit) && (unit.chars().count() > 1 || matches!(unit, "%" | "°" | "Ω"));
            if sure && !name.trim().is_empty() {
                return (name.trim(), unit);
            }
        }
    }
    (header, "")
}

/// Splits at the bracket that the end of the text closes: `Level (dB(A)` gives `Level` and `dB(A`.
fn split_bracket(text: &str, open: char, close: char) -> Option<(&str, &str)> {
    let mut depth = 1;
    for (at, character) in text.char_indices().rev() {
        depth += i32::from(character == close) - i32::from(character == open);
        if depth == 0 {
            return Some((text.get(..at)?, text.get(at + open.len_utf8()..)?));
        }
    }
    None
}

/// The names of a wide file's columns with their units, each once: a repeated name keeps its unit's brackets, and if
/// that does not tell them apart, gets a number.
pub(super) fn distinct(headers: &[(usize, String)]) -> Vec<(String, String)> {
    let split: Vec<(&str, &str)> = headers.iter().map(|(_, header)| name_and_unit(header)).collect();
    let (mut names, mut whole): (HashMap<&str, usize>, HashMap<&str, usize>) = Default::default();
    for ((name, _), (_, header)) in split.iter().zip(headers) {
        *names.entry(name).or_default() += 1;
        *whole.entry(header).or_default() += 1;
    }
    // What each name was numbered to, so that many of one are not counted again from 2.
    let (mut taken, mut numbered): (HashSet<String>, HashMap<String, usize>) = Default::default();
    let mut out = Vec::with_capacity(headers.len());
    for (at, (index, header)) in headers.iter().enumerate() {
        let (name, unit) = split.get(at).copied().unwrap_or_default();
        let shared = names.get(name).is_some_and(|count| *count > 1);
        let told_apart = whole.get(header.as_str()) == Some(&1);
        let base = match (name.is_empty(), shared && told_apart) {
            (true, _) => format!("column {}", index + 1),
            (false, true) => header.trim().to_owned(),
            (false, false) => name.to_owned(),
        };
        let mut unique = base.clone();
        while !taken.insert(unique.clone()) {
            let count = numbered.entry(base.clone()).or_insert(1);
            *count += 1;
            unique = format!("{base} {count}");
        }
        out.push((unique, unit.to_owned()));
    }
    out
}

/// The path that an option gives.
pub(super) fn stated(option: &str, text: &str) -> Result<SignalPath, Error> {
    SignalPath::new(text.trim_matches('/'))
        .map_err(|error| Error::Path(format!("{option} '{text}': {error}")))
}

/// A file's name without folder and endings, as one segment of a path.
pub fn stem_of(file: &str) -> String {
    let stem = bare(file);
    Escape::segment(stem.trim()).into_owned()
}

/// A file's name without folder and endings, as one segment.
pub(super) fn stem(file: &str) -> Result<SignalPath, Error> {
    SignalPath::new(&stem_of(file)).map_err(|error| Error::Path(format!("the file's name: {error}")))
}

fn bare(file: &str) -> &str {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let mut stem = name;
    for ending in [".rejected", ".gz", ".zst"] {
        stem = stem.strip_suffix(ending).unwrap_or(stem);
    }
    stem.rsplit_once('.').map_or(stem, |(stem, _)| if stem.is_empty() { name } else { stem })
}

/// A column's name below a prefix.
pub(super) fn below(prefix: &SignalPath, name: &str) -> Result<SignalPath, String> {
    SignalPath::new(&format!("{prefix}/{}", Escape::segment(name))).map_err(|error| error.to_string())
}

/// A name without what stands around it and is no part of it.
pub(super) fn bare_narrow(name: &str) -> &str {
    name.trim_matches(|character: char| character == '/' || character.is_whitespace())
}

/// The path that a row names: slashes separate segments, a leading or trailing one is dropped. A legal path stays as it
/// is, so that our own exports come back under their names; else its segments are escaped.
pub(super) fn narrow(prefix: Option<&SignalPath>, name: &str) -> Result<SignalPath, String> {
    let name = bare_narrow(name);
    if name.is_empty() {
        return Err("there is no name".to_owned());
    }
    let whole = |name: &str| match prefix {
        Some(prefix) => SignalPath::new(&format!("{prefix}/{name}")),
        None => SignalPath::new(name),
    };
    whole(name).or_else(|_| {
        let segments: Vec<_> = name.split('/').map(|segment| Escape::segment(segment.trim())).collect();
        whole(&segments.join("/")).map_err(|error| error.to_string())
    })
}
