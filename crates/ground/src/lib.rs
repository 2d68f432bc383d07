//! The ground floor: the only door to the outside world. Disk, clock, entropy, tasks and shutdown, named limits,
//! counters, and the one division of memory.
//!
//! What lives here: everything that a simulation must be able to replace, and the simulation itself. What does not:
//! any meaning (that is `core`), any format of a file (each engine's own), any socket (the faces'), any async runtime.
//!
//! Invariants
//! - No other crate of the house reads a clock, makes randomness, or opens, renames or removes a file of the plant.
//! - What [`Disk`] promises of names and bytes is promised by the real, the simulated and the shadow disk alike: property
//!   tests run them side by side.
//! - The simulated disk is never kinder than the written rules: what was not synced may be lost ([`sim`] has the rules).
//! - The same seed and the same calls give the same simulation, to the bit.
//! - Shutdown goes doors, engines, log; nobody waits for ever, and who was late is named.
//! - The shares of memory add up to `limits.memory`.

mod clock; //    wall and monotonic time
mod disk; //     what is asked of a disk; durable patterns
mod entropy; //  random bytes
mod error; //    refusals
mod limit; //    bounds on what is held and what flows
mod machine; //  what the system says of process and machine
mod memory; //   who may hold how much
mod metrics; //  counters, gauges, histograms
mod peers; //    connections by address
mod quiet; //    panics that are caught and not reported
mod real; //     the disk of this machine
mod reserve; //  a descriptor for when there are no more
mod shadow; //   a disk whose writes stay in memory
pub mod sim;
mod tasks; //    threads and the order in which they stop

pub use clock::{Clock, RealClock, SimClock};
pub use disk::{Disk, Entry, File, Open, READ_BYTES_MAX, Space, create_dirs, read, read_exact_at, replace};
pub use entropy::{Entropy, RealEntropy, SeededEntropy};
pub use error::Error;
pub use limit::{LIMITS, Limit, LimitInfo, Permit, TokenBucket};
pub use machine::{Machine, flash_worn, inodes, machine};
pub use memory::{AUTO_BYTES_MAX, MemoryPlan, available};
pub use metrics::{
    Counter, FamilyInfo, Gauge, Histogram, Kind, Labels, Metrics, Reading, SECONDS, SERIES_MAX,
};
pub use peers::{Peers, Share};
pub use quiet::{Caught, quietly};
pub use real::RealDisk;
pub use reserve::Reserve;
pub use shadow::Shadow;
pub use sim::{Operation, SimDisk};
pub use tasks::{PANICS_MAX, Panic, Phase, Report, Stop, Tasks};

use std::sync::Arc;

/// Everything a room needs from the outside world. Clones share all of it.
#[derive(Clone)]
pub struct Ground {
    /// Where bytes are kept.
    pub disk: Arc<dyn Disk>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// What is counted.
    pub metrics: Metrics,
    /// Who runs, and who stops when.
    pub tasks: Tasks,
}

/// The handles by which a test moves a simulated world.
#[derive(Clone)]
pub struct Simulation {
    /// Crashes, fills, breaks.
    pub disk: SimDisk,
    /// Goes on, or back.
    pub clock: Arc<SimClock>,
}

impl Ground {
    /// The real world.
    pub fn real() -> Ground {
        Ground::over(Arc::new(RealDisk), Arc::new(RealClock::new()), Arc::new(RealEntropy))
    }

    /// A world in memory, the same for the same seed: an empty disk, a clock that stands at [`SimClock::START_NS`],
    /// and seeded entropy. Threads and their timeouts stay real.
    pub fn simulated(seed: u64) -> (Ground, Simulation) {
        let simulation = Simulation { disk: SimDisk::new(seed), clock: Arc::new(SimClock::default()) };
        (simulation.ground(seed), simulation)
    }

    fn over(disk: Arc<dyn Disk>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Ground {
        let metrics = Metrics::new();
        let tasks = Tasks::new(&metrics);
        quiet::count_in(&metrics);
        Ground { disk, clock, entropy, metrics, tasks }
    }
}

impl Simulation {
    /// The ground for the next life of the process over this disk and clock, after a crash: fresh counters and
    /// tasks, and entropy of its own seed, for a new process does not repeat the old one's random numbers.
    pub fn ground(&self, seed: u64) -> Ground {
        let entropy = Arc::new(SeededEntropy::new(seed));
        Ground::over(Arc::new(self.disk.clone()), self.clock.clone(), entropy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn one_seed_is_one_world() {
        let world = |seed| {
            let (ground, simulation) = Ground::simulated(seed);
            let number = ground.entropy.number();
            replace(ground.disk.as_ref(), Path::new("/token"), &number.to_le_bytes()).unwrap();
            simulation.clock.step_wall(number as i64 % 1_000);
            simulation.disk.crash();
            let again = simulation.ground(seed + 1);
            let kept = read(again.disk.as_ref(), Path::new("/token")).unwrap();
            (number, kept, again.clock.wall(), again.entropy.number(), simulation.disk.trace())
        };
        assert_eq!(world(1), world(1));
        assert_ne!(world(1), world(2));
        assert_ne!(world(1).0, world(1).3, "the next life has random numbers of its own");
    }

    #[test]
    fn the_real_world_is_there() {
        let ground = Ground::real();
        assert!(ground.disk.exists(Path::new(".")).unwrap());
        assert!(ground.clock.wall() > SimClock::START_NS);
        assert_ne!(ground.entropy.number(), ground.entropy.number());
        assert!(ground.tasks.shutdown(std::time::Duration::from_secs(60)).is_clean());
        assert!(ground.metrics.render().ends_with("# EOF\n"));
    }
}
