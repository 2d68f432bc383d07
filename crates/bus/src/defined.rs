//! Which definitions are known to be durable: a bit for each id, read for each row of a publish without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

/// A bit for each number from 1. Set and cleared under the registry's lock, read without any.
#[derive(Default)]
pub(crate) struct Defined {
    words: ArcSwap<Vec<AtomicU64>>,
}

impl Defined {
    /// Notes whether the definition of this number is durable. The caller holds the registry's lock.
    pub(crate) fn set(&self, number: u32, defined: bool) {
        let (word, bit) = place(number);
        if word >= self.words.load().len() {
            if !defined {
                return;
            }
            self.grow(word);
        }
        if let Some(word) = self.words.load().get(word) {
            if defined {
                word.fetch_or(bit, Ordering::AcqRel);
            } else {
                word.fetch_and(!bit, Ordering::AcqRel);
            }
        }
    }

    fn grow(&self, word: usize) {
        let words = self.words.load();
        let len = (word + 1).next_power_of_two();
        let grown =
            (0..len).map(|at| AtomicU64::new(words.get(at).map_or(0, |old| old.load(Ordering::Acquire))));
        self.words.store(Arc::new(grown.collect()));
    }

    /// Those of the numbers that are not durable, each once where it repeats itself in a row.
    pub(crate) fn missing(&self, numbers: impl Iterator<Item = u32>) -> Vec<u32> {
        let words = self.words.load();
        let mut missing = Vec::new();
        let mut previous = 0;
        for number in numbers {
            if number == previous {
                continue;
            }
            previous = number;
            let (word, bit) = place(number);
            if words.get(word).is_none_or(|word| word.load(Ordering::Relaxed) & bit == 0) {
                missing.push(number);
            }
        }
        missing
    }
}

fn place(number: u32) -> (usize, u64) {
    let index = (number as usize).wrapping_sub(1);
    (index / 64, 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_a_set_does(steps in proptest::collection::vec((1u32..500, any::<bool>()), 0..100)) {
            let defined = Defined::default();
            let mut set = std::collections::BTreeSet::new();
            for (number, on) in steps {
                defined.set(number, on);
                if on { set.insert(number); } else { set.remove(&number); }
            }
            let expected: Vec<u32> = (1..600).filter(|number| !set.contains(number)).collect();
            prop_assert_eq!(defined.missing((1..600).flat_map(|number| [number, number])), expected);
        }
    }
}
