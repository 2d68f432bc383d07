//! The shapes of answers that are written piece by piece, or by the historian: for the description alone. The test of
//! the house holds real answers against them.

#![allow(dead_code, reason = "a shape is described and never filled")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// A sample.
#[derive(ToSchema)]
pub(crate) struct Sample {
    /// The signal's present name.
    signal: String,
    time: TimeShown,
    /// Null is no value. NaN and the infinities are strings, bytes are hexadecimal digits behind `0x`.
    value: serde_json::Value,
    /// The name of an OPC UA status code, or the code as `0x` with eight digits.
    quality: String,
    #[schema(nullable = false)]
    kind: Option<KindShown>,
}

/// A time: RFC 3339, or with `time=` a whole number.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum TimeShown {
    Text(String),
    Number(i64),
}

/// What a value is, where its JSON type does not tell it.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KindShown {
    Float,
    Integer,
    Unsigned,
    Json,
    Bytes,
}

/// What is known about a signal. What is not known is null.
#[derive(ToSchema)]
pub(crate) struct SignalFacts {
    /// Its present name.
    signal: String,
    /// As it is shown.
    #[schema(required = true)]
    unit: Option<String>,
    /// The same as a UCUM code.
    #[schema(required = true)]
    ucum: Option<String>,
    /// A sentence for people.
    #[schema(required = true)]
    description: Option<String>,
    /// What a bare number becomes: `float` or `integer`.
    number: String,
    /// The only identity that may write.
    #[schema(required = true)]
    owner: Option<String>,
    /// Who wrote it first.
    #[schema(required = true)]
    creator: Option<String>,
    /// When a value grows stale, such as `5m`.
    #[schema(required = true)]
    stale_after: Option<String>,
    created: TimeShown,
    /// Whether a value holds until the next; null for: by kind.
    #[schema(required = true)]
    stepped: Option<bool>,
    /// Further names that the caller may read.
    aliases: Vec<String>,
    tags: BTreeMap<String, String>,
    #[schema(required = true)]
    last: Option<LastSample>,
}

/// A signal's last value.
#[derive(ToSchema)]
pub(crate) struct LastSample {
    /// Who wrote it.
    source: String,
    time: TimeShown,
    /// As that of a sample.
    value: serde_json::Value,
    /// As that of a sample.
    quality: String,
    #[schema(nullable = false)]
    kind: Option<KindShown>,
}

/// A table.
#[derive(ToSchema)]
pub(crate) struct Table {
    columns: Vec<TableColumn>,
    /// Each with as many cells as there are columns.
    rows: Vec<Vec<serde_json::Value>>,
}

/// A column of a table.
#[derive(ToSchema)]
pub(crate) struct TableColumn {
    name: String,
    /// Its type in SQL.
    r#type: String,
}
