//! The audit as a table: each entry is a row in SQL, for searching. The files stay the record; a row repeats the hash of
//! its line, so that the two can be compared.

use serde_json::json;
use tidemill_core::{ColumnKind, StreamId, TableSpec, column};

use super::line::{Hash, detail_of};
use super::writer::Pending;

/// The audit, searchable: `sys.audit`. Only who may administer everything sees it.
pub static AUDIT_TABLE: TableSpec = TableSpec {
    name: "audit",
    description: "Who did what, from where, with what result; the files in data/guard/audit are the record, this is for searching.",
    stream: Some(StreamId::AUDIT),
    columns: &[
        column("time", ColumnKind::Time, "When."),
        column("seq", ColumnKind::Int, "The entry's number in the chain, from 1 without gaps."),
        column("who", ColumnKind::Text, "Who, e.g. token:press-line or owner:anna."),
        column("door", ColumnKind::Text, "By which door: http, control, house."),
        column("address", ColumnKind::Text, "From which network address; empty on the control socket."),
        column("action", ColumnKind::Text, "What, as noun.verb."),
        column("target", ColumnKind::Text, "On what: a path, a token's name, a file."),
        column("result", ColumnKind::Text, "intended, done, refused or failed."),
        column("detail", ColumnKind::Text, "Before and after, or the reason, as JSON."),
        column("hash", ColumnKind::Text, "The hash of the entry's line in the chain."),
    ],
    path_columns: &[],
};

/// The row of an entry. Time is RFC 3339, as in the file.
pub(crate) fn row(pending: &Pending, hash: &Hash) -> Vec<u8> {
    let entry = &pending.entry;
    let row = json!({
        "time": tidemill_core::rfc3339(pending.time),
        "seq": pending.seq,
        "who": &*entry.who.name,
        "door": entry.who.peer.door,
        "address": entry.who.peer.address.map(|address| address.to_string()),
        "action": entry.action,
        "target": entry.target,
        "result": entry.result.name(),
        "detail": detail_of(&entry.detail).map(|detail| detail.to_string()),
        "hash": hash.to_string(),
    });
    row.to_string().into_bytes()
}

/// The row of an entry that stands in a file, from its line without the newline.
pub(crate) fn row_of(line: &[u8]) -> Option<Vec<u8>> {
    let mut row: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).ok()?;
    if row.get("address").is_some_and(|address| address == "") {
        row.insert("address".to_owned(), serde_json::Value::Null);
    }
    let detail = row.get("detail").map(ToString::to_string);
    row.insert("detail".to_owned(), detail.into());
    Some(serde_json::Value::Object(row).to_string().into_bytes())
}
