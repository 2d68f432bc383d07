//! Time comes in here and nowhere else, so that a simulation can set it, stop it, and step it backward.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Two times: the wall's, which may be wrong and may jump, and one that only ever grows.
pub trait Clock: Send + Sync + 'static {
    /// Nanoseconds since 1970-01-01 00:00 UTC, leap seconds not counted. May step, also backward.
    fn wall(&self) -> i64;
    /// Time since some fixed moment; never goes back. For intervals and timeouts.
    fn monotonic(&self) -> Duration;
}

/// The clock of this machine.
#[derive(Clone, Copy, Debug)]
pub struct RealClock {
    started: Instant,
}

impl RealClock {
    /// A clock whose monotonic time begins now.
    #[expect(clippy::disallowed_methods, reason = "this is ground::Clock itself")]
    pub fn new() -> RealClock {
        RealClock { started: Instant::now() }
    }
}

impl Default for RealClock {
    fn default() -> RealClock {
        RealClock::new()
    }
}

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is ground::Clock itself")]
    fn wall(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => nanoseconds(since),
            // A machine without a battery clock may well begin before 1970.
            Err(before) => -nanoseconds(before.duration()),
        }
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until told otherwise.
#[derive(Debug)]
pub struct SimClock {
    wall_ns: AtomicI64,
    monotonic_ns: AtomicU64,
}

impl SimClock {
    /// 2026-01-01 00:00 UTC: where simulated time begins when nothing else is asked for.
    pub const START_NS: i64 = 1_767_225_600_000_000_000;

    /// A clock whose wall shows `wall_ns`, and whose monotonic time is zero.
    pub fn new(wall_ns: i64) -> SimClock {
        SimClock { wall_ns: AtomicI64::new(wall_ns), monotonic_ns: AtomicU64::new(0) }
    }

    /// Lets time pass: both clocks go forward.
    pub fn advance(&self, by: Duration) {
        let by = nanoseconds(by);
        self.wall_ns.fetch_add(by, Ordering::SeqCst);
        self.monotonic_ns.fetch_add(by.unsigned_abs(), Ordering::SeqCst);
    }

    /// Steps the wall by so many nanoseconds, also backward. Monotonic time does not notice.
    pub fn step_wall(&self, by_ns: i64) {
        self.wall_ns.fetch_add(by_ns, Ordering::SeqCst);
    }

    /// Sets the wall. Monotonic time does not notice.
    pub fn set_wall(&self, wall_ns: i64) {
        self.wall_ns.store(wall_ns, Ordering::SeqCst);
    }
}

impl Default for SimClock {
    fn default() -> SimClock {
        SimClock::new(SimClock::START_NS)
    }
}

impl Clock for SimClock {
    fn wall(&self) -> i64 {
        self.wall_ns.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.monotonic_ns.load(Ordering::SeqCst))
    }
}

/// Whole nanoseconds, held at the end of what fits: the year 2262.
fn nanoseconds(of: Duration) -> i64 {
    i64::try_from(of.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_steps_and_monotonic_time_does_not() {
        let clock = SimClock::new(1_000);
        clock.advance(Duration::from_nanos(500));
        clock.step_wall(-1_400);
        assert_eq!((clock.wall(), clock.monotonic()), (100, Duration::from_nanos(500)));
        clock.set_wall(-7);
        assert_eq!((clock.wall(), clock.monotonic()), (-7, Duration::from_nanos(500)));
    }

    #[test]
    fn the_real_clock_is_of_this_century_and_grows() {
        let clock = RealClock::new();
        let before = clock.monotonic();
        assert!(clock.wall() > SimClock::START_NS, "the machine's clock is before 2026");
        assert!(clock.monotonic() >= before);
    }

    #[test]
    fn durations_beyond_2262_are_held() {
        assert_eq!(nanoseconds(Duration::MAX), i64::MAX);
    }
}
