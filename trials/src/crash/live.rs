//! What writers and the one who strikes see of each other while a cycle runs: who is under way, what was refused, when
//! calm becomes rush. Neither what is sent nor how it is struck is decided here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

#[derive(Default)]
pub(super) struct Live {
    /// Set before the plant is killed or stopped: from then on a broken connection is no fault of the plant.
    pub ending: AtomicBool,
    /// Set before the kernel is made to lose data of calls under way: what is acknowledged from then on is in doubt.
    pub doubtful: AtomicBool,
    pub acknowledged: AtomicU64,
    /// Requests that were sent and not answered yet.
    pub in_flight: AtomicU64,
    pub refused: Mutex<BTreeMap<String, u64>>,
    rushing: Mutex<bool>,
    rush_begins: Condvar,
}

impl Live {
    pub(super) fn refusal(&self, code: String) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(code).or_default() += 1;
    }

    pub(super) fn refused_with(&self, code: &str) -> u64 {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.iter().filter(|(known, _)| code.is_empty() || *known == code).map(|(_, count)| count).sum()
    }

    /// From now on nobody rests: every writer has a request under way.
    pub(super) fn rush(&self) {
        *self.rushing.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.rush_begins.notify_all();
    }

    /// Waits so long, or until the rush begins.
    pub(super) fn rest(&self, time: Duration) {
        if time.is_zero() {
            return;
        }
        let rushing = self.rushing.lock().unwrap_or_else(PoisonError::into_inner);
        // Poisoned or timed out: either way the rest is over.
        drop(self.rush_begins.wait_timeout_while(rushing, time, |rushing| !*rushing));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_rest_ends_when_the_rush_begins_and_there_is_none_after() {
        let live = Live::default();
        let began = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| live.rest(Duration::from_secs(600)));
            live.rush();
        });
        live.rest(Duration::from_secs(600));
        assert!(began.elapsed() < Duration::from_secs(60));
        live.refusal("busy".into());
        assert_eq!((live.refused_with(""), live.refused_with("busy"), live.refused_with("full")), (1, 1, 0));
    }
}
