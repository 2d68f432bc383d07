//! Chance that can be repeated: one generator from a seed (splitmix64, Steele, Lea and Flood 2014), so that a failure
//! comes back with its seed. Not for secrets.

/// A stream of numbers that its seed decides.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From a seed and what tells this stream from others of the same seed.
    pub fn of(seed: u64, parts: &[u64]) -> Dice {
        let mut dice = Dice(seed);
        for part in parts {
            dice.0 ^= part.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            dice.0 = dice.draw();
        }
        dice
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below `end`; 0 for an empty range.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw().checked_rem(end).unwrap_or(0)
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Whether it happens, one time in `times`.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// From 0 to below 1.
    pub fn share(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_stream_twice_and_parts_give_others() {
        let eight = |mut dice: Dice| (0..8).map(|_| dice.draw()).collect::<Vec<_>>();
        assert_eq!(eight(Dice::of(7, &[1, 2])), eight(Dice::of(7, &[1, 2])));
        assert_ne!(eight(Dice::of(7, &[1, 2])), eight(Dice::of(7, &[2, 1])));
        assert_ne!(eight(Dice::of(7, &[1, 2])), eight(Dice::of(8, &[1, 2])));
        let mut dice = Dice::of(1, &[]);
        for _ in 0..1000 {
            assert!((3..=5).contains(&dice.between(3, 5)));
            assert!((0.0..1.0).contains(&dice.share()));
        }
        assert_eq!(dice.below(0), 0);
    }
}
