//! What the cells of a row say of how good its value is, and whether there is one.

use tidemill_core::{Kind, Quality};

use super::super::cell::{self, CellKind};
use super::super::layout::{Layout, Narrow, StatusNumbers};
use super::super::records::Record;
use super::super::words;

/// A word that may be a state's name, where the row says that it is none: beside a bad quality, as PI writes its system
/// states, and Home Assistant's two words for an entity that is away.
pub(super) fn absent_by_row(
    layout: &Layout,
    narrow: &Narrow,
    text: &str,
    stated: Option<Quality>,
) -> Option<Quality> {
    let bad = stated.is_some_and(Quality::is_bad);
    let away = || {
        let entities = layout.headers.get(narrow.signal).is_some_and(|header| header == "entity_id");
        entities && matches!(text, "unavailable" | "unknown")
    };
    if narrow.cell.is_stated() || !(bad || away()) {
        return None;
    }
    words::absent(text, true)
}

/// Whether a cell holds nothing. Where there are types, a text that is there and empty stands in quotes.
pub(super) fn is_missing(record: &Record, index: usize, kind: CellKind) -> bool {
    let there = kind == CellKind::Stated(Kind::Text) && record.is_quoted(index);
    !there && record.field(index).trim().is_empty()
}

/// A quality as the file writes it: what its numbers mean depends on the column.
pub(super) fn quality(text: &str, numbers: StatusNumbers) -> Option<Quality> {
    let text = text.trim();
    let number: Option<i64> = text.strip_suffix(".0").unwrap_or(text).parse().ok();
    match number {
        Some(1) if numbers == StatusNumbers::Validity => Some(Quality::GOOD),
        Some(0) if numbers == StatusNumbers::Status => Some(Quality::GOOD),
        Some(0..=63) => Some(Quality::BAD),
        // PI's system states are negative.
        Some(number) if number < 0 => Some(Quality::BAD),
        // Of OPC DA's 16 bits the upper eight are the vendor's; no code of OPC UA is so small.
        Some(number @ 256..=65_535) => u32::try_from(number & 0xFF).ok().map(Quality::from_number),
        Some(number) => u32::try_from(number).ok().map(Quality::from_number),
        None => words::status(text),
    }
}

/// A word of absence says more than a status that is good.
pub(super) fn with_quality((value, own): cell::Read, stated: Option<Quality>) -> cell::Read {
    match stated {
        // `Bad` beside `I/O Timeout` says less than the word.
        Some(stated) if own.is_good() || (stated.is_bad() && stated != Quality::BAD) => (value, stated),
        _ => (value, own),
    }
}

pub(super) fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
