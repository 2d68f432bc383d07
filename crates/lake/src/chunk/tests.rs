//! Chunks sealed and opened, and the room they take.

use super::*;
use crate::fakes::{any_rows, same_rows};
use proptest::prelude::*;

proptest! {
    #[test]
    fn what_is_sealed_comes_back(mut rows in any_rows(), late in any::<bool>()) {
        if late {
            let arrived = (0..rows.len() as i64).map(|row| Some(ReceivedAt::of_micros(row * row - 50)));
            rows.received = Column::Each(arrived.collect());
        }
        let mut expected = rows.clone();
        let unique = expected.sort();
        let chunk = Chunk::seal(&mut rows);
        prop_assert_eq!(chunk.unique, unique);
        same_rows(&chunk.open(), &expected)?;
    }
}

#[test]
fn rounded_values_take_little_room() {
    let mut rows = Rows::default();
    for second in 0..CHUNK_ROWS_MAX as i64 {
        rows.time.push(second * 1_000_000_000);
        rows.bits.push(((2000 + second % 37) as f64 / 100.0).to_bits());
    }
    let chunk = Chunk::seal(&mut rows);
    assert!(chunk.bytes() < 2 * CHUNK_ROWS_MAX, "{}", chunk.bytes());
}

#[test]
fn rows_of_old_times_that_came_one_by_one_take_little_room() {
    let mut rows = Rows { received: Column::Each(Vec::new()), ..Rows::default() };
    for second in 0..CHUNK_ROWS_MAX as i64 {
        rows.time.push(second * 1_000_000_000);
        rows.bits.push(7.0f64.to_bits());
        if let Column::Each(received) = &mut rows.received {
            received.push(Some(ReceivedAt::of_micros(i64::MAX / 2_000 + second * 300 + second % 7)));
        }
    }
    let chunk = Chunk::seal(&mut rows);
    assert!(chunk.bytes() < 2 * CHUNK_ROWS_MAX, "{}", chunk.bytes());
}
