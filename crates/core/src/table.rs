//! Tables that engines declare: records that are not samples (audit entries, event frames, alarms), kept by the
//! historian and shown in SQL. And facts: what an engine can say of itself right now, shown as `sys.*`.

use crate::parcel::StreamId;
use crate::value::Value;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Nanoseconds UTC; SQL TIMESTAMP(ns, UTC).
    Time,
    /// SQL DOUBLE.
    Float,
    /// SQL BIGINT.
    Int,
    /// SQL BOOLEAN.
    Bool,
    /// SQL TEXT.
    Text,
}

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "plain words")]
pub struct ColumnSpec {
    pub name: &'static str,
    pub kind: ColumnKind,
    pub description: &'static str,
}

/// A column, in one line of a table's list.
pub const fn column(name: &'static str, kind: ColumnKind, description: &'static str) -> ColumnSpec {
    ColumnSpec { name, kind, description }
}

/// A table. Records of its stream have a JSON object as value, one member a column; an absent member is NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSpec {
    /// Its name in SQL; `sys.` is put before it.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub description: &'static str,
    /// Whose records are its rows; none for facts.
    pub stream: Option<StreamId>,
    /// The columns; the first of kind Time is what it is sorted and cut by.
    pub columns: &'static [ColumnSpec],
    /// The columns that hold a signal's path: of a row the reader may know all of them, or does not see it. Without one, only
    /// those who may administer see the table.
    pub path_columns: &'static [&'static str],
}

/// What an engine can say of itself right now.
pub trait Facts: Send + Sync {
    /// The rows, in the order of the table's columns.
    fn rows(&self) -> Vec<Vec<Value>>;
}
