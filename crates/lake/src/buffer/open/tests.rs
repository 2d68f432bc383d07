//! The open rows of a signal, and the memory they take.

use super::*;
use crate::fakes::{any_rows, same_rows};
use proptest::prelude::*;

#[test]
fn a_signal_with_few_rows_takes_little_memory() {
    assert!(size_of::<Open>() <= 32, "{} bytes", size_of::<Open>());
    let mut gathered = Rows::default();
    for row in 0..6 {
        gathered.time.push(row);
        gathered.bits.push(7.5f64.to_bits());
    }
    let mut open = Open::default();
    open.extend(&gathered, 0..1);
    open.extend(&gathered, 1..3);
    assert_eq!((open.len(), open.bytes()), (3, 3 * 24), "time, value and receipt");
}

proptest! {
    #[test]
    fn few_rows_are_what_many_would_be(
        mut rows in any_rows(),
        alike in any::<bool>(),
        steps in proptest::collection::vec(0usize..6, 1..12),
    ) {
        if alike {
            let (quality, source) = (Column::Same(Quality(5)), Column::Same(SourceId(3)));
            rows = Rows { kind: Column::Same(Kind::Int), quality, source, replace: Column::Same(true), ..rows };
        }
        let (mut open, mut expected, mut begin) = (Open::default(), Rows::default(), 0);
        for step in steps {
            let range = begin..rows.len().min(begin + step);
            begin = range.end;
            open.extend(&rows, range.clone());
            expected.extend(&rows, range);
            prop_assert_eq!(open.len(), expected.len());
            same_rows(&open.first(open.len()), &expected)?;
            same_rows(&open.first(open.len() / 2), &expected.slice(0..expected.len() / 2))?;
        }
        same_rows(open.many(), &expected)?;
    }
}
