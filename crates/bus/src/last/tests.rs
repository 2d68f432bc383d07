//! Last values against a list of all samples ever offered.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidemill_core::{BatchBuilder, Flags, Stamp};

use super::*;
use tidemill_core::Value;

fn of(id: u32) -> SignalId {
    SignalId::new(id).unwrap()
}

fn batch(received: i64, rows: &[(u32, i64, Value)]) -> SampleBatch {
    let mut builder = BatchBuilder::new(SourceId(3), Flags::default());
    for (id, time, value) in rows {
        builder.push(SignalId::new(*id).unwrap(), Stamp::At(*time), value.as_ref(), Quality::GOOD).unwrap();
    }
    builder.finish(received, Flags::default())
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Int),
        Just(Value::None),
        "[a-z]{0,9}".prop_map(|text| Value::Text(text.into())),
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(|bytes| Value::Bytes(bytes.into())),
    ]
}

proptest! {
    #[test]
    fn the_newest_wins_and_of_equals_the_later(
        batches in proptest::collection::vec(proptest::collection::vec((1u32..6, 0i64..5, values()), 0..9), 1..9),
        reread in any::<bool>(),
    ) {
        let (mut last, mut touched) = (LastValues::default(), Touched::default());
        let mut naive: BTreeMap<u32, (i64, Value)> = BTreeMap::new();
        for rows in &batches {
            let batch = batch(0, rows);
            prop_assert_eq!(touched.read(&batch, 6), (0, 0));
            prop_assert_eq!(last.apply(&batch, &touched, 1 << 20), 0);
            for (id, time, value) in rows {
                if naive.get(id).is_none_or(|(known, _)| known <= time) {
                    naive.insert(*id, (*time, value.clone()));
                }
            }
            let mut ids: Vec<u32> = touched.signals().map(SignalId::get).collect();
            for (place, id) in touched.signals().enumerate() {
                prop_assert_eq!(touched.place_of(id), Some(place));
            }
            ids.sort_unstable();
            let mut expected: Vec<u32> = rows.iter().map(|(id, ..)| *id).collect();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(ids, expected);
        }
        if reread {
            let mut bytes = Vec::new();
            for id in 1..6 {
                last.write(SignalId::new(id).unwrap(), &mut bytes);
            }
            last = LastValues::default();
            let mut input = Input(&bytes);
            while !input.0.is_empty() {
                prop_assert!(last.read(&mut input, 6, 1 << 20).is_some());
            }
        }
        let mut texts = 0;
        for id in 1..6 {
            let found = last.get(of(id), 0, 0).map(|last| (last.time, last.value));
            if let Some((_, Value::Text(text))) = &found { texts += text.len() as u64; }
            if let Some((_, Value::Bytes(bytes))) = &found { texts += bytes.len() as u64; }
            prop_assert_eq!(found.as_ref(), naive.get(&id));
        }
        prop_assert_eq!(last.texts_bytes(), texts, "bytes of replaced texts are given back");
    }
}

#[test]
fn the_far_future_is_never_last() {
    let (mut last, mut touched) = (LastValues::default(), Touched::default());
    let rows =
        [(1, AHEAD_MAX_NS + 1, Value::Int(1)), (2, AHEAD_MAX_NS, Value::Int(2)), (9, 0, Value::Int(3))];
    let batch = batch(0, &rows);
    assert_eq!(touched.read(&batch, 3), (1, 1));
    last.apply(&batch, &touched, 0);
    assert_eq!(last.get(of(1), 0, 0), None);
    assert_eq!(last.get(of(2), 0, 0).unwrap().value, Value::Int(2));
    assert_eq!(touched.signals().len(), 2, "subscribers still hear of it");
}

#[test]
fn that_there_is_a_future_is_known_also_after_a_restart() {
    let (mut last, mut touched) = (LastValues::default(), Touched::default());
    let rows = [(1, 5, Value::Int(1)), (1, AHEAD_MAX_NS + 1, Value::Int(2)), (2, 5, Value::Int(3))];
    let batch = batch(0, &rows);
    touched.read(&batch, 3);
    last.apply(&batch, &touched, 0);
    let mut snapshot = Vec::new();
    assert!(last.write(SignalId::new(1).unwrap(), &mut snapshot));
    assert!(last.write(SignalId::new(2).unwrap(), &mut snapshot));
    let (mut again, mut input) = (LastValues::default(), Input(&snapshot));
    while !input.0.is_empty() {
        again.read(&mut input, 3, 0).unwrap();
    }
    for values in [&mut last, &mut again] {
        let known = |id| values.get(of(id), 0, 0).map(|last| (last.value, last.ahead));
        assert_eq!((known(1), known(2)), (Some((Value::Int(1), true)), Some((Value::Int(3), false))));
    }
    last.forget(SignalId::new(1).unwrap());
    assert!(!last.is_ahead(SignalId::new(1).unwrap()), "a number is never used again, and yet");
}

/// The clock ran ahead and was set right: what came meanwhile is the last value only until the next sample comes.
#[test]
fn what_a_later_sample_shows_to_be_far_ahead_is_no_longer_last() {
    let hour = 6 * AHEAD_MAX_NS;
    let text = |text: &str| Value::Text(text.into());
    // When it is received, its time, and what is then the last value, and whether there are samples ahead.
    let table = [
        (hour, hour, text("3"), text("3"), false),
        // Not yet far ahead of what comes now.
        (hour - AHEAD_MAX_NS, 7, text("4"), text("3"), false),
        (0, 5, text("5"), text("5"), true),
        (1, 6, Value::Int(6), Value::Int(6), true),
        // Of the past, as ever.
        (2, 4, Value::Int(7), Value::Int(6), true),
        (hour, hour, Value::Int(8), Value::Int(8), true),
        // Also one of the past, when the clock goes back once more: more is not known.
        (0, -9, Value::Int(9), Value::Int(9), true),
    ];
    let (mut last, mut touched) = (LastValues::default(), Touched::default());
    for (row, (received, time, value, expected, ahead)) in table.into_iter().enumerate() {
        let batch = batch(received, &[(1, time, value)]);
        touched.read(&batch, 3);
        assert_eq!(last.apply(&batch, &touched, 1 << 10), 0);
        let found = last.get(of(1), 0, 0).unwrap();
        assert_eq!((found.value, found.ahead), (expected, ahead), "row {row}");
    }
    assert_eq!(last.texts_bytes(), 0, "bytes of replaced texts are given back");
}

#[test]
fn silence_makes_a_good_value_uncertain() {
    let (mut last, mut touched) = (LastValues::default(), Touched::default());
    let batch = batch(100, &[(1, 150, Value::Int(1)), (2, 50, Value::Int(1))]);
    touched.read(&batch, 3);
    last.apply(&batch, &touched, 0);
    let quality = |id, stale_after, now| last.get(of(id), stale_after, now).unwrap().quality;
    assert_eq!(quality(1, 10, 110), Quality::GOOD);
    assert_eq!(quality(1, 10, 111), Quality::UNCERTAIN_LAST_USABLE_VALUE, "a clock ahead hides nothing");
    assert_eq!(quality(2, 60, 110), Quality::GOOD);
    assert_eq!(quality(2, 60, 111), Quality::UNCERTAIN_LAST_USABLE_VALUE);
    assert_eq!(quality(2, 0, i64::MAX), Quality::GOOD);
}

#[test]
fn a_text_without_room_leaves_no_older_value() {
    let (mut last, mut touched) = (LastValues::default(), Touched::default());
    let mut offer = |rows: &[(u32, i64, Value)], max| {
        let batch = batch(0, rows);
        touched.read(&batch, 9);
        let refused = last.apply(&batch, &touched, max);
        (refused, last.get(of(1), 0, 0).map(|last| last.value), last.texts_bytes())
    };
    assert_eq!(offer(&[(1, 1, Value::Text("abcd".into()))], 4), (0, Some(Value::Text("abcd".into())), 4));
    assert_eq!(offer(&[(1, 3, Value::Text("abcde".into()))], 4), (1, None, 0));
    assert_eq!(offer(&[(1, 2, Value::Int(2))], 4), (0, None, 0));
    assert_eq!(offer(&[(1, 3, Value::Int(3))], 4), (0, Some(Value::Int(3)), 0));
}
