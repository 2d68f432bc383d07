//! The lines of a log entry, in the words of the protocol.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Who we are in `txn` actions.
pub(crate) const APP_ID: &str = "tidemill";

/// One line. Lines that are not known (from a later protocol) are refused by the protocol's version, not here.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Action {
    Protocol(Protocol),
    MetaData(Box<MetaData>),
    Txn(Txn),
    Add(Box<Add>),
    Remove(Remove),
    CommitInfo(CommitInfo),
}

/// What a reader and a writer must know.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Protocol {
    pub(crate) min_reader_version: u32,
    pub(crate) min_writer_version: u32,
}

impl Protocol {
    pub(crate) const OURS: Protocol = Protocol { min_reader_version: 1, min_writer_version: 2 };
}

/// What the table is.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MetaData {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    pub(crate) format: Format,
    pub(crate) schema_string: String,
    pub(crate) partition_columns: Vec<String>,
    #[serde(default)]
    pub(crate) configuration: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) created_time: Option<i64>,
}

/// How files are spelled: Parquet.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub(crate) struct Format {
    pub(crate) provider: String,
    #[serde(default)]
    pub(crate) options: BTreeMap<String, String>,
}

/// Up to where the journal is in the table.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Txn {
    pub(crate) app_id: String,
    pub(crate) version: u64,
    #[serde(default)]
    pub(crate) last_updated: Option<i64>,
}

/// A file that belongs to the table from now on.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Add {
    pub(crate) path: String,
    pub(crate) partition_values: BTreeMap<String, String>,
    pub(crate) size: u64,
    pub(crate) modification_time: i64,
    pub(crate) data_change: bool,
    #[serde(default)]
    pub(crate) stats: Option<String>,
    #[serde(default)]
    pub(crate) tags: Option<BTreeMap<String, String>>,
}

/// A file that no longer does. It stays on disk for a while, for those who still read the version before.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Remove {
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) deletion_timestamp: Option<i64>,
    pub(crate) data_change: bool,
}

/// What was done, for people and `DESCRIBE HISTORY`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommitInfo {
    #[serde(default)]
    pub(crate) timestamp: i64,
    #[serde(default)]
    pub(crate) operation: String,
    #[serde(default)]
    pub(crate) operation_parameters: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    pub(crate) engine_info: Option<String>,
}

/// Milliseconds, as the protocol counts time.
pub(crate) fn timestamp_ms(wall_ns: i64) -> i64 {
    wall_ns.div_euclid(1_000_000)
}
