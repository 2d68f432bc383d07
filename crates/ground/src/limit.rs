//! Named limits: a bound on something that is held (`Limit`), and on something that flows (`TokenBucket`). Both
//! count what they refuse, so that nothing is turned away silently.

use crate::clock::Clock;
use crate::metrics::{Counter, Gauge, Metrics};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A bound on what may be held at once: bytes waiting, requests running, sessions open. Clones are the same limit.
///
/// Shown as `tidemill_limit_{max,used,high_water,refused_total}` with the label `limit`.
#[derive(Clone, Debug)]
pub struct Limit(Arc<Held>);

/// What is always true of a limit, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitInfo {
    /// The name.
    pub name: &'static str,
    /// The key of the settings that raises it; empty where it is fixed.
    pub key: &'static str,
    /// What it bounds, and what happens beyond.
    pub bounds: &'static str,
}

macro_rules! limits {
    ($($name:literal $key:literal $bounds:literal;)*) => {
        /// Every limit that a plant shows, sorted by name.
        pub static LIMITS: &[LimitInfo] = &[$(LimitInfo { name: $name, key: $key, bounds: $bounds }),*];
    };
}

limits! {
    "buffer_bytes" "limits.memory" "Samples in memory that are not yet in files; beyond it the journal holds what comes";
    "flight_beginning" "" "Connections of Flight SQL by which nobody was identified yet; further ones are closed";
    "flight_calls" "" "Calls of Flight SQL that run; further ones are told to come again";
    "flight_connections" "" "Connections of Flight SQL; further ones are closed";
    "flight_sent_bytes" "" "Bytes that calls of Flight SQL sent and that are held; further calls are told to come again";
    "flight_statements" "" "Prepared statements of Flight SQL; the oldest are forgotten";
    "flight_statements_bytes" "" "Bytes of prepared statements of Flight SQL; the oldest are forgotten";
    "future" "limits.future" "Seconds that a sample may be ahead of the clock; later ones are refused";
    "http_bindings" "" "Names that HTTP remembers with their rights; the oldest are looked up again";
    "http_bodies_bytes" "limits.memory" "Bodies of requests, all together; further requests are told to come again";
    "http_connections" "" "Connections by HTTP; further ones are closed";
    "http_control_connections" "" "Connections of the control socket; further ones are closed";
    "http_handshakes" "" "TLS connections that are being begun; further ones are closed";
    "http_live" "" "Live subscribers; further ones are told to come again";
    "journal_unsynced_bytes" "" "Bytes that wait for the disk; beyond it writers are told to come again";
    "keep" "storage.keep" "Seconds that samples are kept; older ones are refused";
    "last_values_bytes" "limits.memory" "Texts among the last values; longer ones are read from history";
    "past" "limits.past" "Seconds that a sample may be behind the clock; older ones are refused";
    "patterns" "" "Patterns of all subscriptions; further ones are told to come again";
    "postgres_beginning" "" "Connections by the PostgreSQL protocol that have not shown who they are; further ones are closed";
    "postgres_connections" "" "Connections by the PostgreSQL protocol; further ones are closed";
    "queries_bytes" "limits.memory" "Memory of all queries; one that needs more fails";
    "queries_idle" "" "Queries that wait for who reads their answer; the longest waiting ends, if it does for longer than limits.query_time";
    "queries_waiting" "" "Queries that wait for a place; further ones are told to come again";
    "query_rows" "limits.query_rows" "Rows of one answer; a query that gives more fails";
    "query_time" "limits.query_time" "Seconds of one query; one that takes longer is stopped";
    "registry_bytes" "limits.memory" "Memory of signals and their names; new names are refused";
    "signals" "limits.signals" "Signals, without those under tidemill/; new names are refused";
    "signals_new_per_hour" "limits.signals_new_per_hour" "New names of one identity within an hour; further ones are refused";
    "sources" "" "Identities that ever wrote; new ones are refused";
    "text_sample_bytes" "limits.text_sample_bytes" "Bytes of a text; longer ones are refused";
}

const MAX: (&str, &str) = ("tidemill_limit_max", "What may be held at once.");
const USED: (&str, &str) = ("tidemill_limit_used", "What is held now.");

#[derive(Debug)]
struct Held {
    name: &'static str,
    max: AtomicU64,
    used: AtomicU64,
    shown_max: Gauge,
    shown_used: Gauge,
    high_water: Gauge,
    refused: Counter,
}

impl Limit {
    /// A limit named as in the settings or in the code that it protects. Two of one name share their counters.
    pub fn new(metrics: &Metrics, name: &'static str, max: u64) -> Limit {
        let labels = [("limit", name)];
        let held = Held {
            name,
            max: AtomicU64::new(max),
            used: AtomicU64::new(0),
            shown_max: metrics.gauge_with(MAX.0, MAX.1, &labels),
            shown_used: metrics.gauge_with(USED.0, USED.1, &labels),
            high_water: metrics.gauge_with(
                "tidemill_limit_high_water",
                "The most that was ever held.",
                &labels,
            ),
            refused: Limit::refusals(metrics, name),
        };
        held.shown_max.set(signed(max));
        Limit(Arc::new(held))
    }

    /// Shows a bound that a room keeps by itself beside the others: what is held, and what may be.
    pub fn show(
        metrics: &Metrics,
        name: &'static str,
        used: impl Fn() -> f64 + Send + Sync + 'static,
        max: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        metrics.watch(MAX.0, MAX.1, &[("limit", name)], max);
        metrics.watch(USED.0, USED.1, &[("limit", name)], used);
    }

    /// Counts what a bound refused that a room keeps by itself ([`Limit::show`]).
    pub fn refusals(metrics: &Metrics, name: &'static str) -> Counter {
        metrics.counter_with("tidemill_limit_refused", "How often more was asked for.", &[("limit", name)])
    }

    /// Takes `n`, given back when the permit is dropped; or nothing at all, and counts the refusal.
    pub fn try_take(&self, n: u64) -> Option<Permit> {
        self.0.take(n).then(|| Permit { held: self.0.clone(), amount: n })
    }

    /// The name.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// What may be held at once.
    pub fn max(&self) -> u64 {
        self.0.max.load(Ordering::Relaxed)
    }

    /// Sets another bound, as when settings are read again. What is held above it stays until given back.
    pub fn set_max(&self, max: u64) {
        self.0.max.store(max, Ordering::Relaxed);
        self.0.shown_max.set(signed(max));
    }

    /// What is held now.
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// The most that was ever held.
    pub fn high_water(&self) -> u64 {
        self.0.high_water.get().unsigned_abs()
    }

    /// How often more was asked for than was free.
    pub fn refused(&self) -> u64 {
        self.0.refused.get()
    }
}

impl Held {
    fn take(&self, n: u64) -> bool {
        let max = self.max.load(Ordering::Relaxed);
        let taken = self.used.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |used| {
            used.checked_add(n).filter(|after| *after <= max)
        });
        match taken {
            Ok(before) => {
                self.shown_used.add(signed(n));
                self.high_water.raise(signed(before + n));
                true
            }
            Err(_) => {
                self.refused.add(1);
                false
            }
        }
    }

    fn give_back(&self, n: u64) {
        self.used.fetch_sub(n, Ordering::AcqRel);
        self.shown_used.add(-signed(n));
    }
}

/// A share of a [`Limit`], given back when dropped.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once protects nothing"]
pub struct Permit {
    held: Arc<Held>,
    amount: u64,
}

impl Permit {
    /// How much it holds.
    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// Takes `n` more, or nothing at all and counts the refusal.
    pub fn try_grow(&mut self, n: u64) -> bool {
        let grown = self.held.take(n);
        if grown {
            self.amount += n;
        }
        grown
    }

    /// Gives `n` back, or all it holds if that is less.
    pub fn shrink(&mut self, n: u64) {
        let n = n.min(self.amount);
        self.amount -= n;
        self.held.give_back(n);
    }

    /// Cuts `n` off (or all it holds, if that is less) as a permit of its own.
    pub fn split(&mut self, n: u64) -> Permit {
        let amount = n.min(self.amount);
        self.amount -= amount;
        Permit { held: self.held.clone(), amount }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.held.give_back(self.amount);
    }
}

/// A bound on what may pass in a second: on average `rate_per_second`, at once at most `burst`.
pub struct TokenBucket {
    clock: Arc<dyn Clock>,
    rate_per_second: u64,
    burst: u64,
    state: Mutex<Level>,
}

struct Level {
    /// Tokens × nanoseconds, so that no fraction of a token is ever lost to rounding. Negative is debt.
    level: i128,
    at: Duration,
}

const SECOND_NS: i128 = 1_000_000_000;

impl TokenBucket {
    /// A full bucket. A rate of 0 never refills.
    pub fn new(clock: Arc<dyn Clock>, rate_per_second: u64, burst: u64) -> TokenBucket {
        let state = Mutex::new(Level { level: i128::from(burst) * SECOND_NS, at: clock.monotonic() });
        TokenBucket { clock, rate_per_second, burst, state }
    }

    /// Takes `n` tokens, or none and says after how long they will be there ([`Duration::MAX`]: never, because `n`
    /// is more than the burst).
    pub fn try_take(&self, n: u64) -> Result<(), Duration> {
        if n > self.burst {
            return Err(Duration::MAX);
        }
        let mut state = self.refilled();
        let after = state.level - i128::from(n) * SECOND_NS;
        if after < 0 {
            return Err(self.time_for(-after));
        }
        state.level = after;
        Ok(())
    }

    /// Takes `n` tokens in any case, and says how long to wait before going on: for work that is only to be spread,
    /// such as the writes of a merge.
    #[must_use = "the wait is the whole effect"]
    pub fn take(&self, n: u64) -> Duration {
        let mut state = self.refilled();
        state.level = state.level.saturating_sub(i128::from(n) * SECOND_NS);
        self.time_for(-state.level)
    }

    fn refilled(&self) -> std::sync::MutexGuard<'_, Level> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock: two callers must not refill for the same time.
        let now = self.clock.monotonic();
        let passed_ns = i128::try_from(now.saturating_sub(state.at).as_nanos()).unwrap_or(i128::MAX);
        let gained = passed_ns.saturating_mul(i128::from(self.rate_per_second));
        state.level = state.level.saturating_add(gained).min(i128::from(self.burst) * SECOND_NS);
        state.at = now;
        state
    }

    /// How long it takes until so many token-nanoseconds have come in.
    fn time_for(&self, missing: i128) -> Duration {
        if missing <= 0 {
            return Duration::ZERO;
        }
        let rate = i128::from(self.rate_per_second);
        match missing.checked_add(rate - 1).and_then(|sum| sum.checked_div(rate)) {
            Some(wait_ns) => Duration::from_nanos(u64::try_from(wait_ns).unwrap_or(u64::MAX)),
            None => Duration::MAX,
        }
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimClock;

    #[test]
    fn a_limit_holds_and_counts() {
        let metrics = Metrics::new();
        let limit = Limit::new(&metrics, "bytes", 100);
        let mut first = limit.try_take(60).unwrap();
        assert!(limit.try_take(41).is_none());
        let rest = limit.try_take(40).unwrap();
        assert!(!first.try_grow(1));
        drop(rest);
        assert!(first.try_grow(10));
        let half = first.split(30);
        first.shrink(500);
        assert_eq!((first.amount(), half.amount(), limit.used()), (0, 30, 30));
        drop(half);
        assert_eq!((limit.used(), limit.high_water(), limit.refused()), (0, 100, 2));
        limit.set_max(5);
        assert!(limit.try_take(6).is_none());
        assert!(limit.try_take(u64::MAX).is_none());
        assert!(metrics.render().contains("tidemill_limit_refused_total{limit=\"bytes\"} 4\n"));
        assert!(metrics.render().contains("tidemill_limit_used{limit=\"bytes\"} 0\n"));
        assert!(metrics.render().contains("tidemill_limit_max{limit=\"bytes\"} 5\n"));
    }

    #[test]
    fn threads_never_get_more_than_the_limit() {
        let limit = Limit::new(&Metrics::new(), "slots", 3);
        let over = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        if let Some(_permit) = limit.try_take(1) {
                            over.fetch_add(u64::from(limit.used() > 3), Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!((over.into_inner(), limit.used()), (0, 0));
        assert!(limit.high_water() <= 3);
    }

    #[test]
    fn a_bucket_refills_at_its_rate_and_no_further_than_its_burst() {
        let clock = Arc::new(SimClock::default());
        let bucket = TokenBucket::new(clock.clone(), 10, 5);
        assert_eq!(bucket.try_take(5), Ok(()));
        assert_eq!(bucket.try_take(1), Err(Duration::from_millis(100)));
        clock.advance(Duration::from_millis(99));
        assert_eq!(bucket.try_take(1), Err(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(bucket.try_take(1), Ok(()));
        clock.step_wall(-3_600_000_000_000); // the wall's steps must not matter
        clock.advance(Duration::from_secs(3600));
        assert_eq!(bucket.try_take(6), Err(Duration::MAX));
        assert_eq!(bucket.try_take(5), Ok(()));
        assert_eq!(bucket.try_take(5), Err(Duration::from_millis(500)));
    }

    #[test]
    fn spread_work_runs_into_debt_and_waits_for_it() {
        let clock = Arc::new(SimClock::default());
        let bucket = TokenBucket::new(clock.clone(), 1_000, 100);
        assert_eq!(bucket.take(100), Duration::ZERO);
        assert_eq!(bucket.take(250), Duration::from_millis(250));
        assert_eq!(bucket.take(250), Duration::from_millis(500));
        clock.advance(Duration::from_millis(500));
        assert_eq!(bucket.take(1), Duration::from_millis(1));
    }

    #[test]
    fn a_rate_of_nothing_never_refills() {
        let bucket = TokenBucket::new(Arc::new(SimClock::default()), 0, 1);
        assert_eq!(bucket.try_take(1), Ok(()));
        assert_eq!(bucket.try_take(1), Err(Duration::MAX));
    }
}
