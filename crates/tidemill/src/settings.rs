//! From the configuration to what each room is told.

use std::sync::Arc;
use std::time::Duration;

use tidemill_core::{Budget, Problem, codes};
use tidemill_ground::{Disk, Ground, MemoryPlan, Space};

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
    // What the journal has already need not be free.
    let journal = plant.data().join("journal");
    let entries = disk.list(&journal).unwrap_or_default();
    let held_bytes: u64 = entries.iter().filter_map(|entry| disk.len(&journal.join(&entry.name)).ok()).sum();
    let wanted_bytes = (2 * segment_bytes + reserve_bytes).saturating_sub(held_bytes);
    let needed_bytes = free_min_bytes(space, config).saturating_add(wanted_bytes);
    (space.free_bytes < needed_bytes).then(|| {
        let show = quantity::show_bytes;
        format!(
            "the disk has {} free, and the journal with its reserve wants {}: new values may soon be refused",
            show(space.free_bytes),
            show(needed_bytes)
        )
    })
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
        ..tidemill_guard::Settings::default()
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
    let mut settings = tidemill_historian::Settings::default();
    let store = &mut settings.store;
    store.buffer_bytes = memory.buffer;
    store.merge_bytes = memory.merge;
    store.queries_bytes = memory.queries;
    store.footers_bytes = memory.footers;
    store.flush_after = config.flush_after;
    store.merge_every = config.merge_every;
    store.keep = config.keep;
    store.values_open = config.values_open;
    settings
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
        query: Budget { time: config.query_time, memory_bytes: memory.queries, rows: config.query_rows },
        drain: Duration::from_secs(5),
        templates,
        ..tidemill_web::Settings::default()
    })
}
