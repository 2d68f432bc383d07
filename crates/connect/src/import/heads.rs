//! Rows between the names of a table and what it holds, as writers put them there who say of themselves what they are: those of
//! a data logger, and rows of types. Rows of units that people write are known in `sheet`.

use super::records::Record;

/// What stands in such rows.
#[derive(Debug, Default)]
pub(super) struct Below {
    /// How many rows it is.
    pub(super) rows: usize,
    /// One a column.
    pub(super) units: Option<Vec<String>>,
    /// The zones of columns with times; empty texts for others.
    pub(super) zones: Vec<String>,
}

/// Whether a table is one of Campbell Scientific's TOA5 (LoggerNet's manual, "TOA5"): a line about the logger, then names, units
/// and how each value was made (`Smp`, `Avg`).
pub(super) fn is_of_logger(records: &[Record], width: usize) -> bool {
    let mut head = records.iter();
    head.next().is_some_and(|record| record.field(0) == "TOA5")
        && head.by_ref().take(3).filter(|record| record.len() == width).count() == 3
}

/// The rows below the names of a logger's table.
pub(super) fn of_logger(rows: &[Record]) -> Below {
    let units = rows.first().map(|row| row.fields().map(|unit| unit.trim().to_owned()).collect());
    Below { rows: 2, units, zones: Vec::new() }
}

/// A row of types, as ClickHouse's `CSVWithNamesAndTypes` and `TabSeparatedWithNamesAndTypes` have it.
pub(super) fn of_types(row: &Record) -> Option<Below> {
    row.fields().all(is_type).then(|| Below { rows: 1, units: None, zones: row.fields().map(zone).collect() })
}

/// Types that stand alone, and those of which more is said in brackets.
const PLAIN: &str = "Int8 Int16 Int32 Int64 Int128 Int256 UInt8 UInt16 UInt32 UInt64 UInt128 UInt256 Float32 Float64 BFloat16 \
    String Bool UUID Date Date32 DateTime IPv4 IPv6";
const TOLD: &str = "DateTime DateTime64 Decimal Decimal32 Decimal64 Decimal128 Decimal256 FixedString Enum8 Enum16 Array \
    Tuple Map";

/// The type itself, of one that may also be missing or is packed.
fn bare(text: &str) -> &str {
    let mut text = text.trim();
    while let Some(("Nullable" | "LowCardinality", rest)) = text.split_once('(')
        && let Some(inner) = rest.strip_suffix(')')
    {
        text = inner;
    }
    text
}

fn is_type(text: &str) -> bool {
    let is_one = |all: &str, name: &str| all.split(' ').any(|one| one == name);
    match bare(text).split_once('(') {
        None => is_one(PLAIN, bare(text)),
        Some((name, rest)) => is_one(TOLD, name) && rest.len() > 1 && rest.ends_with(')'),
    }
}

/// `Europe/Berlin` of `DateTime64(3, 'Europe/Berlin')`. Tables with tabs have a backslash before each quote.
fn zone(text: &str) -> String {
    let text = bare(text);
    let named = text.starts_with("DateTime").then(|| text.split('\'').nth(1)).flatten();
    named.unwrap_or_default().trim_end_matches('\\').to_owned()
}
