//! The small kit that the demo's machines are made of: a clock with shifts, seeded noise, first-order lags, counters.
//! Everything is a function of the seed and the steps taken, so that the same seed gives the same plant.

/// One step of the plant's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// The time at the end of the step, ns UTC.
    pub(crate) time: i64,
    /// How long the step is, in seconds.
    pub(crate) seconds: f64,
}

impl Step {
    fn second_of_day(self) -> f64 {
        (self.time.div_euclid(1_000_000_000)).rem_euclid(86_400) as f64
    }

    /// The hour of the day, 0 to 24.
    pub(crate) fn hour(self) -> f64 {
        self.second_of_day() / 3_600.0
    }

    /// Whether a shift works: Monday to Friday from 6 to 22, Saturday from 6 to 14 (UTC), with two breaks of half an
    /// hour a shift.
    pub(crate) fn is_shift(self) -> bool {
        let day = (self.time.div_euclid(86_400_000_000_000) + 3).rem_euclid(7);
        let end = match day {
            0..=4 => 22.0,
            5 => 14.0,
            _ => return false,
        };
        let hour = self.hour();
        let into_shift = (hour - 6.0).rem_euclid(8.0);
        let on_break = (2.5..3.0).contains(&into_shift) || (5.5..6.0).contains(&into_shift);
        (6.0..end).contains(&hour) && !on_break
    }

    /// −1 at 3 in the night, +1 at 15 in the afternoon.
    pub(crate) fn day_wave(self) -> f64 {
        (std::f64::consts::TAU * (self.hour() - 9.0) / 24.0).sin()
    }
}

/// Seeded noise (splitmix64, <https://prng.di.unimi.it/splitmix64.c>). Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    /// 0 to 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About normal around 0: the sum of twelve uniform numbers, less six.
    pub(crate) fn normal(&mut self, deviation: f64) -> f64 {
        ((0..12).map(|_| self.uniform()).sum::<f64>() - 6.0) * deviation
    }

    /// True so many times an hour.
    pub(crate) fn happens(&mut self, per_hour: f64, step: Step) -> bool {
        self.uniform() < 1.0 - (-per_hour * step.seconds / 3_600.0).exp()
    }
}

/// A quantity that follows its target with a time constant: exact for any length of step.
#[derive(Clone, Debug)]
pub(crate) struct Lag {
    pub(crate) value: f64,
    time_constant_s: f64,
}

impl Lag {
    pub(crate) fn new(value: f64, time_constant_s: f64) -> Lag {
        Lag { value, time_constant_s }
    }

    pub(crate) fn follow(&mut self, target: f64, step: Step) -> f64 {
        self.value += (target - self.value) * (1.0 - (-step.seconds / self.time_constant_s).exp());
        self.value
    }
}

/// Rounds as a sensor does.
pub(crate) fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_does_not_mind_the_length_of_its_steps() {
        let (mut one, mut many) = (Lag::new(20.0, 600.0), Lag::new(20.0, 600.0));
        one.follow(80.0, Step { time: 0, seconds: 300.0 });
        (0..300).for_each(|_| {
            many.follow(80.0, Step { time: 0, seconds: 1.0 });
        });
        assert!((one.value - many.value).abs() < 1e-9);
    }

    #[test]
    fn shifts() {
        let at = |day: i64, hour: f64| Step {
            time: day * 86_400_000_000_000 + (hour * 3.6e12) as i64,
            seconds: 1.0,
        };
        // 1970-01-01 was a Thursday.
        assert!(at(0, 7.0).is_shift() && !at(0, 5.0).is_shift() && !at(0, 8.7).is_shift());
        assert!(at(2, 7.0).is_shift() && !at(2, 15.0).is_shift() && !at(3, 10.0).is_shift());
    }
}
