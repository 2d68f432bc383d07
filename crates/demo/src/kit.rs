//! The small kit that the demo's machines are made of: a clock with shifts, seeded noise, first-order lags, counters.
//! Everything is a function of the seed and the steps taken, so that the same seed gives the same plant.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// One step of the plant's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// The end of the step on the plant's own clocks: seconds since 1970-01-01 as its time zone counts them.
    pub(crate) local_s: i64,
    /// How long the step is, in seconds.
    pub(crate) seconds: f64,
}

/// When the first shift of a day begins, and how long each of the three is.
const FIRST_SHIFT_HOUR: f64 = 6.0;
const SHIFT_HOURS: f64 = 8.0;

impl Step {
    /// The step that ends at this time, ns UTC, in this time zone.
    pub(crate) fn at(time: i64, seconds: f64, zone: &TimeZone) -> Step {
        let utc_s = time.div_euclid(1_000_000_000);
        let offset_s = Timestamp::from_second(utc_s).map_or(0, |at| zone.to_offset(at).seconds());
        Step { local_s: utc_s + i64::from(offset_s), seconds }
    }

    /// The hour of the day, 0 to 24.
    pub(crate) fn hour(self) -> f64 {
        self.local_s.rem_euclid(86_400) as f64 / 3_600.0
    }

    /// 0 is Monday, 6 is Sunday.
    fn weekday(self) -> i64 {
        (self.local_s.div_euclid(86_400) + 3).rem_euclid(7)
    }

    fn hours_into_shift(self) -> f64 {
        (self.hour() - FIRST_SHIFT_HOUR).rem_euclid(SHIFT_HOURS)
    }

    /// Whether the night shift works.
    pub(crate) fn is_night(self) -> bool {
        (self.hour() - FIRST_SHIFT_HOUR).rem_euclid(24.0) >= 2.0 * SHIFT_HOURS
    }

    /// Whether those are at work who work by day: Monday to Friday from 6 to 22, Saturday from 6 to 14.
    pub(crate) fn is_day_work(self) -> bool {
        let end = match self.weekday() {
            0..=4 => 22.0,
            5 => 14.0,
            _ => return false,
        };
        (FIRST_SHIFT_HOUR..end).contains(&self.hour())
    }

    /// Whether a press is manned: around the clock, every day. At the begin of a shift each in turn gets its tool for ten
    /// minutes; later each in turn stands for its half hour's break, so that the line never stands as a whole. Station 2 is
    /// maintained on Sundays from 8 to 12.
    pub(crate) fn is_manned(self, station: usize) -> bool {
        let (into_shift, turn) = (self.hours_into_shift(), station as f64);
        let change_over = (turn / 6.0..(turn + 1.0) / 6.0).contains(&into_shift);
        let on_break = (3.0 + turn / 2.0..3.5 + turn / 2.0).contains(&into_shift);
        let maintained = station == 1 && self.weekday() == 6 && (8.0..12.0).contains(&self.hour());
        !(change_over || on_break || maintained)
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
        one.follow(80.0, Step { local_s: 0, seconds: 300.0 });
        (0..300).for_each(|_| {
            many.follow(80.0, Step { local_s: 0, seconds: 1.0 });
        });
        assert!((one.value - many.value).abs() < 1e-9);
    }

    #[test]
    fn shifts() {
        let at = |day: i64, hour: f64| Step { local_s: day * 86_400 + (hour * 3_600.0) as i64, seconds: 1.0 };
        // 1970-01-01 was a Thursday.
        assert!(at(0, 7.0).is_day_work() && !at(0, 5.0).is_day_work());
        assert!(at(2, 7.0).is_day_work() && !at(2, 15.0).is_day_work() && !at(3, 10.0).is_day_work());
        assert!(at(0, 23.0).is_night() && at(0, 5.9).is_night() && !at(0, 6.0).is_night());
        assert!(!at(3, 9.0).is_manned(1) && at(3, 8.0).is_manned(0) && at(2, 9.0).is_manned(1));
    }

    #[test]
    fn at_any_minute_of_a_week_at_most_two_of_four_presses_stand() {
        for minute in 0..7 * 1_440 {
            let step = Step { local_s: minute * 60, seconds: 60.0 };
            let manned = (0..4).filter(|station| step.is_manned(*station)).count();
            assert!(manned >= 2, "{manned} at minute {minute}");
        }
    }

    #[test]
    fn the_hour_is_that_of_the_plants_time_zone() {
        // 2026-07-01T00:30:00Z
        let time = 1_782_865_800_000_000_000;
        for (zone, hour) in
            [("UTC", 0.5), ("Europe/Berlin", 2.5), ("Asia/Kolkata", 6.0), ("America/New_York", 20.5)]
        {
            let zone = TimeZone::get(zone).expect("the database of time zones is compiled in");
            assert_eq!(Step::at(time, 1.0, &zone).hour(), hour, "{zone:?}");
        }
    }
}
