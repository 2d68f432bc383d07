//! What is divided among signals at once, in between and on two threads is what came, in order of arrival, and what it
//! takes is in the account.

use super::*;
use tidemill_core::{BatchBuilder, Flags, Quality, SourceId, Stamp, ValueRef};

const SIGNALS: u32 = 300;

/// Batches of a row a signal, whose times repeat and go back; the value is the number of the row.
fn batch(number: u32, replace: bool) -> Arc<SampleBatch> {
    let flags = if replace { Flags::REPLACE } else { Flags::default() };
    let mut builder = BatchBuilder::new(SourceId(number % 3), flags);
    for id in 1..=SIGNALS {
        let time = Stamp::At(i64::from(number / 7 * 5) - i64::from(number % 4));
        let text = number.to_string();
        // Some signals have text, now and then.
        let value = match (id % 11, number % 5) {
            (0, 0) => ValueRef::Text(&text),
            _ => ValueRef::Int(i64::from(number)),
        };
        builder.push(SignalId::new(id).unwrap(), time, value, Quality(number % 2)).unwrap();
    }
    Arc::new(builder.finish(i64::from(number) * 10_000_000, Flags::default()))
}

/// All rows that a picture has of a signal, by time and arrival.
fn all(watch: &Watch, id: u32) -> Rows {
    let pieces = watch.pieces(&[SignalId::new(id).unwrap()]).remove(0);
    let mut rows = Rows::default();
    for chunk in &pieces.chunks {
        let chunk = chunk.open();
        rows.extend(&chunk, 0..chunk.len());
    }
    rows.extend(&pieces.open, 0..pieces.open.len());
    rows.sort();
    rows
}

#[test]
fn rows_stay_in_order_of_arrival_however_they_are_divided() {
    // Few bytes for open pieces, so that many are sealed; more rows than wait at once, so that both threads have some.
    let (together, alone) = (Arc::new(Buffer::new(300 * 1_600)), Arc::new(Buffer::new(usize::MAX)));
    let mut before = None;
    for number in 0..500 {
        let batch = batch(number, number % 3 == 0);
        assert_eq!((together.apply(&batch), alone.apply(&batch)), (0, 0));
        // Whoever looks has what came divided at once.
        drop(alone.watch());
        if number == 333 {
            before = Some((together.watch(), all(&together.watch(), 11)));
        }
    }
    let (one, other) = (together.watch(), alone.watch());
    for id in 1..=SIGNALS {
        let (one, other) = (all(&one, id), all(&other, id));
        assert_eq!(one.len(), 500);
        crate::fakes::same_rows(&one, &other).unwrap();
    }
    let (watch, rows) = before.unwrap();
    crate::fakes::same_rows(&all(&watch, 11), &rows).unwrap();
    assert_eq!((rows.len(), together.fill().rows), (334, 150_000));
}

#[test]
fn the_account_is_what_signals_hold_and_what_waits() {
    let buffer = Arc::new(Buffer::new(300 * 1_600));
    for number in 0..400 {
        let before = buffer.fill().bytes;
        let batch = batch(number, false);
        buffer.apply(&batch);
        assert!(buffer.fill().bytes > before || buffer.lock().waiting.is_empty());
        if number % 50 == 49 {
            drop(buffer.watch());
            let inner = buffer.lock();
            let held: usize = inner
                .signals
                .iter()
                .flatten()
                .map(|of| {
                    let sealed: usize = of.sealed().iter().map(|chunk| chunk.bytes()).sum();
                    size_of::<SignalRows>() + of.bytes() + sealed
                })
                .sum();
            assert_eq!(inner.bytes, held);
        }
    }
}
