//! Numbers packed to as many bits as their spread needs. What does not live here: what the numbers mean.

/// Numbers of one width, packed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed {
    width: u32,
    words: Box<[u64]>,
}

impl Packed {
    /// Packs numbers, each of which fits into `width` bits.
    pub(crate) fn new(values: impl ExactSizeIterator<Item = u64>, width: u32) -> Packed {
        if width == 0 {
            return Packed::default();
        }
        let mut words = Vec::with_capacity((values.len() * width as usize).div_ceil(64));
        let (mut word, mut filled) = (0u64, 0u32);
        for value in values {
            word |= value << filled;
            filled += width;
            if filled >= 64 {
                words.push(word);
                filled -= 64;
                word = if filled == 0 { 0 } else { value >> (width - filled) };
            }
        }
        if filled > 0 {
            words.push(word);
        }
        Packed { width, words: words.into() }
    }

    /// The first `count` numbers.
    pub(crate) fn iter(&self, count: usize) -> impl Iterator<Item = u64> {
        let width = self.width;
        let mask = if width == 64 { u64::MAX } else { (1u64 << width) - 1 };
        let mut words = self.words.iter().copied();
        let (mut word, mut left) = (0u64, 0u32);
        (0..count).map(move |_| {
            if left >= width {
                let value = word & mask;
                word = if width == 64 { 0 } else { word >> width };
                left -= width;
                return value;
            }
            let low = word;
            word = words.next().unwrap_or_default();
            let value = (low | word << left) & mask;
            let used = width - left;
            word = if used == 64 { 0 } else { word >> used };
            left = 64 - used;
            value
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.words.len() * 8
    }
}

/// Numbers as their differences, less the smallest one: regular steps take no room at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deltas {
    first: i64,
    least: i64,
    rest: Packed,
}

impl Deltas {
    pub(crate) fn new(values: &[i64]) -> Deltas {
        let Some(first) = values.first().copied() else { return Deltas::default() };
        let steps = || values.iter().zip(values.iter().skip(1)).map(|(one, next)| next.wrapping_sub(*one));
        let least = steps().min().unwrap_or_default();
        let spread = steps().fold(0u64, |spread, step| spread | step.wrapping_sub(least).cast_unsigned());
        let rest = Packed::new(
            values
                .iter()
                .zip(values.iter().skip(1))
                .map(|(one, next)| next.wrapping_sub(*one).wrapping_sub(least).cast_unsigned()),
            64 - spread.leading_zeros(),
        );
        Deltas { first, least, rest }
    }

    pub(crate) fn iter(&self, count: usize) -> impl Iterator<Item = i64> {
        let (mut value, least) = (self.first, self.least);
        std::iter::once(self.first)
            .chain(self.rest.iter(count.saturating_sub(1)).map(move |step| {
                value = value.wrapping_add(least).wrapping_add(step.cast_signed());
                value
            }))
            .take(count)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.rest.bytes()
    }
}

/// Numbers as what changes from one to the next, bit by bit, without the bits that never change: for floats that are
/// no decimals.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    first: u64,
    shift: u32,
    rest: Packed,
}

impl Changes {
    pub(crate) fn new(values: &[u64]) -> Changes {
        let Some(first) = values.first().copied() else { return Changes::default() };
        let changed =
            values.iter().zip(values.iter().skip(1)).fold(0u64, |all, (one, next)| all | (one ^ next));
        if changed == 0 {
            return Changes { first, ..Changes::default() };
        }
        let shift = changed.trailing_zeros();
        let rest = Packed::new(
            values.iter().zip(values.iter().skip(1)).map(|(one, next)| (one ^ next) >> shift),
            64 - changed.leading_zeros() - shift,
        );
        Changes { first, shift, rest }
    }

    pub(crate) fn iter(&self, count: usize) -> impl Iterator<Item = u64> {
        let (mut value, shift) = (self.first, self.shift);
        std::iter::once(self.first)
            .chain(self.rest.iter(count.saturating_sub(1)).map(move |change| {
                value ^= change << shift;
                value
            }))
            .take(count)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.rest.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packed_numbers_come_back(width in 0u32..=64, raw in proptest::collection::vec(any::<u64>(), 0..200)) {
            let mask = if width == 64 { u64::MAX } else { (1u64 << width) - 1 };
            let values: Vec<u64> = raw.iter().map(|value| value & mask).collect();
            let packed = Packed::new(values.iter().copied(), width);
            prop_assert_eq!(packed.iter(values.len()).collect::<Vec<_>>(), values);
        }

        #[test]
        fn differences_come_back(values in proptest::collection::vec(prop_oneof![any::<i64>(), -9i64..9], 0..200)) {
            prop_assert_eq!(Deltas::new(&values).iter(values.len()).collect::<Vec<_>>(), values);
        }

        #[test]
        fn changes_come_back(values in proptest::collection::vec(prop_oneof![any::<u64>(), Just(7u64)], 0..200)) {
            prop_assert_eq!(Changes::new(&values).iter(values.len()).collect::<Vec<_>>(), values);
        }
    }

    #[test]
    fn regular_times_take_no_room() {
        let times: Vec<i64> = (0..1024).map(|second| second * 1_000_000_000).collect();
        assert_eq!(Deltas::new(&times).bytes(), 0);
    }
}
