//! Checkpoints of the log, written and read again as another reader of Delta tables would.

use std::collections::BTreeMap;

use super::super::action::{Add, Format, MetaData, Protocol, Remove, Txn};
use super::*;

#[test]
fn actions_come_back() {
    let tags = BTreeMap::from([("tidemill.order".to_owned(), "7".to_owned())]);
    let add = Add {
        path: "a.parquet".into(),
        partition_values: BTreeMap::new(),
        size: 7,
        modification_time: 9,
        data_change: true,
        stats: Some("{\"numRecords\":1}".into()),
        tags: Some(tags.clone()),
    };
    let meta = MetaData {
        id: "x".into(),
        name: None,
        format: Format { provider: "parquet".into(), options: BTreeMap::new() },
        schema_string: "{}".into(),
        partition_columns: Vec::new(),
        configuration: tags,
        created_time: Some(1),
    };
    let actions = vec![
        Action::Protocol(Protocol::OURS),
        Action::MetaData(Box::new(meta)),
        Action::Txn(Txn { app_id: "tidemill".into(), version: 12, last_updated: None }),
        Action::Add(Box::new(add)),
        Action::Remove(Remove { path: "b".into(), deletion_timestamp: Some(4), data_change: false }),
    ];
    assert_eq!(decode(encode(&actions).unwrap()).unwrap(), actions);
}
