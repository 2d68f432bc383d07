//! Groups are what a map would make of the same rows, and impossible ids cost nothing.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

proptest! {
    #[test]
    fn as_a_map_does(batches in prop::collection::vec(prop::collection::vec(1u32..40, 0..60), 1..4)) {
        let mut groups = Groups::default();
        for batch in batches {
            let signals: Vec<SignalId> = batch.iter().filter_map(|id| SignalId::new(*id)).collect();
            prop_assert_eq!(groups.divide(&signals), 0);
            let mut expected: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
            for (row, signal) in signals.iter().enumerate() {
                expected.entry(signal.index()).or_default().push(row as u32);
            }
            let told: BTreeMap<usize, Vec<u32>> =
                groups.iter().map(|(index, rows)| (index, rows.to_vec())).collect();
            prop_assert_eq!(told, expected);
        }
    }
}

#[test]
fn an_impossible_id_takes_no_memory_and_is_counted() {
    let ids = [1, u32::MAX, 2, ID_MAX + 1, 1];
    let signals: Vec<SignalId> = ids.iter().filter_map(|id| SignalId::new(*id)).collect();
    let mut groups = Groups::default();
    assert_eq!(groups.divide(&signals), 2);
    let told: Vec<(usize, Vec<u32>)> = groups.iter().map(|(index, rows)| (index, rows.to_vec())).collect();
    assert_eq!(told, [(0, vec![0, 4]), (1, vec![2])]);
    assert!(groups.place.len() <= 4);
}
