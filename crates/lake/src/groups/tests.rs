//! Gathered rows are what a map would make of the same batches, row by row, and impossible ids cost nothing.

use super::*;
use crate::fakes::{any_value, same_rows};
use crate::rows::RowRef;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tidemill_core::{BatchBuilder, Quality, SourceId, Stamp, Value};

/// Rows of few signals at few times: what repeats, and what replaces, is what order decides about.
fn batches() -> impl Strategy<Value = Vec<Arc<SampleBatch>>> {
    let row = (1u32..9, 0i64..4, any_value(), 0u32..3);
    // Floats and nothing else, all good, is what most batches are.
    let plain = (1u32..9, 0i64..4, any::<f64>().prop_map(Value::Float), Just(0u32));
    let rows = prop_oneof![prop::collection::vec(row, 0..30), prop::collection::vec(plain, 0..30)];
    let batch = (rows, 0i64..3, 0u32..3, any::<bool>());
    let built = batch.prop_map(|(rows, received, source, replace)| {
        let flags = if replace { Flags::REPLACE } else { Flags::default() };
        let mut builder = BatchBuilder::new(SourceId(source), flags);
        for (id, time, value, quality) in &rows {
            let signal = SignalId::new(*id).unwrap();
            builder.push(signal, Stamp::At(*time), value.as_ref(), Quality(*quality)).unwrap();
        }
        Arc::new(builder.finish(received * 1_500_000_000, Flags::default()))
    });
    prop::collection::vec(built, 1..6)
}

/// One row of a batch as it is kept, found the slow way.
fn push(rows: &mut Rows, batch: &SampleBatch, row: usize) {
    let (kind, value) = (at(&batch.kind, row), batch.value(row));
    let bytes = match &value {
        tidemill_core::ValueRef::Text(text) | tidemill_core::ValueRef::Json(text) => text.as_bytes(),
        tidemill_core::ValueRef::Bytes(bytes) => bytes,
        _ => &[],
    };
    rows.push(&RowRef {
        time: batch.time[row],
        kind,
        bits: batch.bits[row],
        quality: at(&batch.quality, row),
        received: received_of(batch)(batch.time[row]),
        source: batch.source,
        replace: batch.flags.has(Flags::REPLACE),
        bytes,
    });
}

proptest! {
    #[test]
    fn as_a_map_does(gatherings in prop::collection::vec(batches(), 1..3)) {
        let mut groups = Groups::default();
        for batches in gatherings {
            groups.gather(&batches);
            let mut expected: BTreeMap<usize, Rows> = BTreeMap::new();
            for batch in &batches {
                for (row, signal) in batch.signal.iter().enumerate() {
                    push(expected.entry(signal.index()).or_default(), batch, row);
                }
            }
            let told: BTreeMap<usize, Rows> =
                groups.iter().map(|(index, rows)| (index, groups.rows.slice(rows))).collect();
            prop_assert_eq!(told.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
            for (told, expected) in told.values().zip(expected.values()) {
                same_rows(told, expected)?;
            }
        }
    }
}

#[test]
fn an_impossible_id_takes_no_memory_and_is_counted() {
    let mut builder = BatchBuilder::new(SourceId(0), Flags::default());
    for (time, id) in [1, u32::MAX, 2, ID_MAX + 1, 1].into_iter().enumerate() {
        let value = Value::Int(i64::from(id));
        builder
            .push(SignalId::new(id).unwrap(), Stamp::At(time as i64), value.as_ref(), Quality::GOOD)
            .unwrap();
    }
    let batch = Arc::new(builder.finish(0, Flags::default()));
    assert_eq!(impossible(&batch.signal), 2);
    let mut groups = Groups::default();
    groups.gather(&[batch]);
    let told: Vec<(usize, Vec<i64>)> =
        groups.iter().map(|(index, rows)| (index, groups.rows.time[rows].to_vec())).collect();
    assert_eq!(told, [(0, vec![0, 4]), (1, vec![2])]);
    assert!(groups.place.len() <= 4);
}
