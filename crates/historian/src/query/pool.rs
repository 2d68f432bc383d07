//! How much memory a query may have: its own budget, and a part of what all queries have together. Beyond either it is
//! told no, and fails with `query-memory`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use tidemill_lake::Account;

use super::pace::Idle;

/// One query's pool.
#[derive(Debug)]
pub(crate) struct Pool {
    used: AtomicUsize,
    /// The most that was held at once.
    peak: AtomicUsize,
    bytes_max: usize,
    all: Arc<Shared>,
}

/// What all queries have together.
#[derive(Debug)]
pub(crate) struct Shared {
    used: AtomicUsize,
    bytes_max: usize,
    /// Answers that nobody takes, which give way where memory is short.
    idle: Arc<Idle>,
}

impl Shared {
    pub(crate) fn new(bytes_max: usize, idle: Arc<Idle>) -> Shared {
        Shared { used: AtomicUsize::new(0), bytes_max, idle }
    }

    /// How much is held now.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl Pool {
    pub(crate) fn new(bytes_max: usize, all: Arc<Shared>) -> Pool {
        Pool { used: AtomicUsize::new(0), peak: AtomicUsize::new(0), bytes_max, all }
    }

    /// The most that was held at once.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    fn raise(&self) {
        self.peak.fetch_max(self.used.load(Ordering::Relaxed), Ordering::Relaxed);
        // Before all is taken, so that what gives way is given back by then.
        if self.all.used() > self.all.bytes_max / 4 * 3 {
            self.all.idle.press();
        }
    }
}

fn take(used: &AtomicUsize, bytes: usize, bytes_max: usize) -> bool {
    let grown = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= bytes_max);
    used.fetch_update(Ordering::AcqRel, Ordering::Relaxed, grown).is_ok()
}

impl MemoryPool for Pool {
    fn name(&self) -> &str {
        "query"
    }

    fn grow(&self, _: &MemoryReservation, additional: usize) {
        self.used.fetch_add(additional, Ordering::AcqRel);
        self.all.used.fetch_add(additional, Ordering::AcqRel);
        self.raise();
    }

    fn shrink(&self, _: &MemoryReservation, shrink: usize) {
        self.used.fetch_sub(shrink, Ordering::AcqRel);
        self.all.used.fetch_sub(shrink, Ordering::AcqRel);
    }

    fn try_grow(&self, _: &MemoryReservation, additional: usize) -> Result<()> {
        let refused = || DataFusionError::ResourcesExhausted(format!("{additional} bytes more"));
        if !take(&self.used, additional, self.bytes_max) {
            return Err(refused());
        }
        if !take(&self.all.used, additional, self.all.bytes_max) {
            self.used.fetch_sub(additional, Ordering::AcqRel);
            self.all.idle.press();
            return Err(refused());
        }
        self.raise();
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes_max)
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "query({} of {} bytes)", self.reserved(), self.bytes_max)
    }
}

/// What the scans of one table hold in a query's pool. It is given back at the latest with the plan.
#[derive(Debug)]
pub(crate) struct ScanAccount(MemoryReservation);

impl ScanAccount {
    pub(crate) fn of(pool: &Arc<dyn MemoryPool>) -> Arc<dyn Account> {
        Arc::new(ScanAccount(MemoryConsumer::new("scan").register(pool)))
    }
}

impl Account for ScanAccount {
    fn grow(&self, bytes: usize) -> bool {
        self.0.try_grow(bytes).is_ok()
    }

    fn shrink(&self, bytes: usize) {
        self.0.shrink(bytes);
    }
}
