//! From the configuration to what each room is told.

use std::sync::Arc;
use std::time::Duration;

use tidemill_core::{Budget, Problem, codes};
use tidemill_ground::{Disk, Ground, Machine, MemoryPlan, Space};

use crate::config::{self, Config, Share, quantity};
use crate::plant::Plant;

/// The largest batch must fit into a segment.
const SEGMENT_BYTES_MIN: u64 = 8 << 20;

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn bad(what: String, mend: &str) -> Problem {
    Problem::new(&codes::BAD_CONFIGURATION, what).hint(mend)
}

/// How much must stay free of this disk.
pub(crate) fn free_min_bytes(space: &Space, config: &Config) -> u64 {
    match config.free_min {
        Share::Bytes(bytes) => bytes,
        Share::Fraction(share) => (space.total_bytes as f64 * share) as u64,
    }
}

/// Bytes of a segment and of the reserve. On a small disk the log takes small steps: two segments and the reserve are at
/// most a tenth of it.
fn steps(space: &Space) -> (u64, u64) {
    let usual = tidemill_journal::Settings::default();
    (
        usual.segment_bytes.min((space.total_bytes / 32).max(SEGMENT_BYTES_MIN)),
        usual.reserve_bytes.min(space.total_bytes / 32),
    )
}

pub(crate) const TIGHT_MEND: &str = "Give the plant a larger disk, or free some space";

/// Says so where the log's segments and its reserve do not fit above what must stay free: the reserve is what a full disk
/// is cleared with.
pub(crate) fn tight(disk: &dyn Disk, plant: &Plant, space: &Space, config: &Config) -> Option<String> {
    let (segment_bytes, reserve_bytes) = steps(space);
    let free_min_bytes = free_min_bytes(space, config);
    let log =
        tidemill_journal::Settings { segment_bytes, reserve_bytes, free_min_bytes, ..Default::default() };
    let needed_bytes = log.room_wanted_bytes(disk, &plant.data().join("journal"));
    (space.free_bytes < needed_bytes).then(|| {
        let show = quantity::show_bytes;
        format!(
            "the disk has {} free, and the journal with its reserve wants {}: new values may soon be refused",
            show(space.free_bytes),
            show(needed_bytes)
        )
    })
}

/// Says so where even the least plan of memory is more than half of what this process may have: the rest of it is for the program
/// itself, its stacks and what the allocator loses.
pub(crate) fn cramped(machine: &Machine) -> Option<(String, String)> {
    let container = machine.group_bytes_max.filter(|most| machine.memory_bytes.is_none_or(|all| *most < all));
    let all_bytes = container.or(machine.memory_bytes)?;
    let (show, least_bytes) = (quantity::show_bytes, MemoryPlan::LEAST_BYTES);
    (all_bytes < 2 * least_bytes).then(|| {
        let whose = if container.is_some() { "its container" } else { "this machine" };
        let what = format!(
            "{whose} has {} of memory, and a plant works with {} at least, more than half of it: the system may end the plant \
             under load",
            show(all_bytes),
            show(least_bytes)
        );
        (what, format!("Give {whose} {} or more", show(2 * least_bytes)))
    })
}

/// Tells at the start what is small here.
pub(crate) fn tell_cramped() {
    if let Some((what, mend)) = cramped(&tidemill_ground::machine()) {
        tracing::warn!(event = "plant.memory_small", mend, "{what}");
    }
}

pub(crate) fn journal(
    ground: &Ground,
    plant: &Plant,
    config: &Config,
    memory: &MemoryPlan,
) -> tidemill_journal::Settings {
    let unknown = Space { total_bytes: u64::MAX, free_bytes: u64::MAX };
    let space = ground.disk.space(&plant.folder).unwrap_or(unknown);
    if let Some(what) = tight(ground.disk.as_ref(), plant, &space, config) {
        tracing::warn!(event = "plant.disk_small", mend = TIGHT_MEND, "{what}");
    }
    let usual = tidemill_journal::Settings::default();
    let (segment_bytes, reserve_bytes) = steps(&space);
    tidemill_journal::Settings {
        commit_window: config.commit_window,
        relaxed: config.relaxed,
        free_min_bytes: free_min_bytes(&space, config),
        segment_bytes,
        reserve_bytes,
        // The other half is for what waits and for reading ahead.
        ring_bytes_max: usize::try_from(memory.journal / 2).unwrap_or(usize::MAX),
        ..usual
    }
}

pub(crate) fn guard(plant: &Plant, config: &Config) -> tidemill_guard::Settings {
    tidemill_guard::Settings {
        zones: config.zones.clone(),
        trusted_proxies: config.trusted_proxies.clone(),
        owner_uid: Some(plant.owner()),
        tls: tls(plant, config),
        ..tidemill_guard::Settings::default()
    }
}

/// What listeners show: the machine's own name goes first.
pub(crate) fn tls(plant: &Plant, config: &Config) -> tidemill_guard::tls::Settings {
    let listeners = config.listeners().into_iter().flat_map(|(_, listeners)| listeners);
    let machine = rustix::system::uname().nodename().to_string_lossy().parse().ok();
    let own = config.tls_own.as_ref().map(|(certificate, key)| tidemill_guard::tls::Own {
        certificate: plant.folder.join(certificate),
        key: plant.folder.join(key),
    });
    tidemill_guard::tls::Settings {
        plant: config.plant_name.clone(),
        listeners: listeners
            .filter(|listener| config.encrypts(listener))
            .map(|listener| listener.address.ip())
            .collect(),
        names: machine.into_iter().chain(config.tls_names.iter().cloned()).collect(),
        own,
    }
}

pub(crate) fn bus(config: &Config, memory: &MemoryPlan) -> tidemill_bus::Settings {
    tidemill_bus::Settings {
        signals_max: config.signals,
        signals_new_per_hour: config.signals_new_per_hour,
        last_values_bytes: memory.last_values,
        registry_bytes: memory.registry,
        ..tidemill_bus::Settings::default()
    }
}

pub(crate) fn historian(config: &Config, memory: &MemoryPlan) -> tidemill_historian::Settings {
    let mut settings = tidemill_historian::Settings {
        slow_query: config.slow_query,
        ..tidemill_historian::Settings::default()
    };
    let store = &mut settings.store;
    store.buffer_bytes = memory.buffer;
    store.merge_bytes = memory.merge;
    store.queries_bytes = memory.queries;
    store.footers_bytes = memory.footers;
    store.flush_after = config.flush_after;
    store.flush_young_after = config.flush_young_after;
    store.merge_every = config.merge_every;
    store.keep = config.keep;
    store.values_open = config.values_open;
    settings
}

/// What one query may cost, whichever the door.
fn query(config: &Config, memory: &MemoryPlan) -> Budget {
    Budget { time: config.query_time, memory_bytes: memory.queries, rows: config.query_rows }
}

pub(crate) fn sql(config: &Config, memory: &MemoryPlan) -> tidemill_sqldoors::Settings {
    tidemill_sqldoors::Settings { query: query(config, memory), ..tidemill_sqldoors::Settings::default() }
}

pub(crate) fn web(
    plant: &Plant,
    config: &Config,
    memory: &MemoryPlan,
) -> Result<tidemill_web::Settings, Problem> {
    let proxies = config.trusted_proxies.clone();
    let templates = config::templates::load(&plant.folder).map_err(|findings| {
        let list: Vec<String> = findings.iter().map(ToString::to_string).collect();
        bad(list.join("; "), "docs/reference/line-protocol.md shows how templates are written")
    })?;
    Ok(tidemill_web::Settings {
        trusted_proxy: Arc::new(move |address| proxies.iter().any(|network| network.contains(address))),
        bodies_bytes_max: memory.doors,
        text_sample_bytes: usize::try_from(config.text_sample_bytes).unwrap_or(usize::MAX),
        ahead_max_ns: config.future.map(nanoseconds),
        behind_max_ns: config.past.map(nanoseconds),
        keep_max_ns: config.keep.map(nanoseconds),
        query: query(config, memory),
        drain: Duration::from_secs(5),
        templates,
        ..tidemill_web::Settings::default()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Path;
    use std::sync::{Mutex, PoisonError};

    use tidemill_ground::{Open, create_dirs};

    use super::*;

    const MIB: u64 = 1 << 20;

    fn config() -> Config {
        let read = config::read::check_text(Path::new("tidemill.toml"), "", &HashMap::new());
        read.expect("the defaults are good")
    }

    /// What a log line is written to.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_is_tight_below_what_stays_free_and_what_the_journal_still_wants() {
        // 5 % stay free; two segments and the reserve are 160 MiB, on 1 GiB three times 32 MiB.
        for (total, held, enough) in [
            (100 << 30, 0, (5 << 30) + 160 * MIB),
            (100 << 30, 90 * MIB, (5 << 30) + 70 * MIB),
            // However much it holds: the next segment of 64 MiB.
            (100 << 30, 100 * MIB, (5 << 30) + 64 * MIB),
            (100 << 30, 500 * MIB, (5 << 30) + 64 * MIB),
            (1 << 30, 0, (1_u64 << 30) / 20 + 96 * MIB),
        ] {
            let (ground, _) = Ground::simulated(1);
            let plant = Plant::at(Path::new("/plant"));
            let journal = plant.data().join("journal");
            create_dirs(ground.disk.as_ref(), &journal).expect("an empty disk");
            let file = ground.disk.open(&journal.join("0000000001.segment"), Open::CreateNew);
            file.and_then(|file| file.set_len(held)).expect("a hole takes no room");
            let told = |free_bytes| {
                let space = Space { total_bytes: total, free_bytes };
                tight(ground.disk.as_ref(), &plant, &space, &config())
            };
            assert_eq!(told(enough), None, "{total} {held}");
            let what = told(enough - 1).unwrap_or_else(|| panic!("{total} {held}: nothing is said"));
            assert!(what.contains("the journal with its reserve wants"), "{what}");
        }
    }

    #[test]
    fn memory_is_cramped_where_the_least_plan_is_more_than_half_of_it() {
        let told = |container: Option<u64>, machine: Option<u64>| {
            let bytes = |mib: Option<u64>| mib.map(|mib| mib * MIB);
            let (group_bytes_max, memory_bytes) = (bytes(container), bytes(machine));
            cramped(&Machine { group_bytes_max, memory_bytes, ..Machine::default() })
        };
        for (container, machine) in
            [(None, None), (None, Some(256)), (Some(256), Some(4_096)), (Some(1 << 40), Some(256))]
        {
            assert_eq!(told(container, machine), None, "{container:?} {machine:?}");
        }
        let (what, mend) = told(Some(200), Some(4_096)).expect("it is told");
        assert!(
            what.starts_with("its container has 200 MiB of memory, and a plant works with 128 MiB at least"),
            "{what}"
        );
        assert_eq!(mend, "Give its container 256 MiB or more");
        for container in [None, Some(1 << 40)] {
            let (what, mend) = told(container, Some(255)).expect("it is told");
            assert!(what.starts_with("this machine has 255 MiB of memory"), "{what}");
            assert_eq!(mend, "Give this machine 256 MiB or more");
        }
    }

    #[test]
    fn a_small_disk_is_told_in_the_log_at_the_start() {
        let (config, plant) = (config(), Plant::at(Path::new("/plant")));
        let memory = MemoryPlan::divide(1 << 30).expect("enough");
        for (capacity, warned) in [(10 << 20, true), (100 << 30, false)] {
            let (ground, simulation) = Ground::simulated(1);
            simulation.disk.set_capacity(capacity);
            create_dirs(ground.disk.as_ref(), &plant.folder).expect("an empty disk");
            let lines = Lines::default();
            let writer = lines.clone();
            let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
            tracing::subscriber::with_default(subscriber, || journal(&ground, &plant, &config, &memory));
            let told = lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let told = String::from_utf8_lossy(&told);
            assert_eq!(told.contains("plant.disk_small"), warned, "{capacity}: {told}");
            assert_eq!(told.contains(TIGHT_MEND), warned, "{capacity}: {told}");
        }
    }
}
