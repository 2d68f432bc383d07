//! The one division of `limits.memory`. Every room gets its share from here and keeps to it; nobody reads the size of
//! the machine on his own. What is not counted: the program itself, its stacks, and what the allocator loses.

use crate::error::Error;
use std::path::{Path, PathBuf};

const MIB: u64 = 1 << 20;

/// What `limits.memory = "auto"` never goes beyond: a plant of 100,000 signals fits, and the machine has other work.
pub const AUTO_BYTES_MAX: u64 = 1 << 30;

/// What the machine is taken to have where it does not say (no `/proc/meminfo`).
const UNKNOWN_MACHINE_BYTES: u64 = 1 << 30;

/// Who may hold how many bytes. Each room has a least share without which it does not work, and a part of the rest:
///
/// | room          | least  | of the rest | at 1 GiB | what for, and why so much |
/// |---------------|--------|-------------|----------|---------------------------|
/// | `journal`     | 32 MiB |  8/224      |  64 MiB  | 16 MiB not yet synced while the next 16 MiB gather; the rest keeps new parcels hot for those who follow |
/// | `buffer`      | 16 MiB | 52/224      | 224 MiB  | samples not yet in files, about 3 bytes each when sealed: the larger, the fewer and longer the files |
/// | `queries`     | 32 MiB | 68/224      | 304 MiB  | sorting and grouping in SQL; beyond it they spill to disk |
/// | `merge`       | 16 MiB | 28/224      | 128 MiB  | one merge of files at a time, a row group of each in memory |
/// | `footers`     |  4 MiB | 11/224      |  48 MiB  | footers and page indexes of the files read last |
/// | `last_values` |  4 MiB |  7/224      |  32 MiB  | the last value of each signal, about 100 bytes, and its text |
/// | `registry`    |  8 MiB | 14/224      |  64 MiB  | paths, ids, units and patterns, about 600 bytes a signal |
/// | `doors`       | 16 MiB | 36/224      | 160 MiB  | requests and answers on their way: from 480 MiB in all on, a body of 64 MiB fits with a batch beside it |
/// | all           | 128 MiB | 224/224    | 1 GiB    | |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Bytes for the journal's groups and hot tail.
    pub journal: u64,
    /// Bytes for samples that are not yet in files.
    pub buffer: u64,
    /// Bytes for queries, all together.
    pub queries: u64,
    /// Bytes for merging files.
    pub merge: u64,
    /// Bytes for footers and page indexes of files.
    pub footers: u64,
    /// Bytes for last values.
    pub last_values: u64,
    /// Bytes for the registry of signals and subscriptions.
    pub registry: u64,
    /// Bytes for requests and answers.
    pub doors: u64,
}

/// Least share in MiB and part of the rest, in the order of the fields.
const SHARES: [(u64, u64); 8] = [(32, 8), (16, 52), (32, 68), (16, 28), (4, 11), (4, 7), (8, 14), (16, 36)];

impl MemoryPlan {
    /// The least total that works.
    pub const LEAST_BYTES: u64 = 128 * MIB;

    /// Divides `total_bytes`, to the last byte.
    pub fn divide(total_bytes: u64) -> Result<MemoryPlan, Error> {
        let Some(rest) = total_bytes.checked_sub(MemoryPlan::LEAST_BYTES) else {
            return Err(Error::Memory {
                given_mib: total_bytes / MIB,
                least_mib: MemoryPlan::LEAST_BYTES / MIB,
            });
        };
        let parts: u64 = SHARES.iter().map(|(_, part)| part).sum();
        let share = |(least_mib, part): (u64, u64)| {
            // In 128 bits, for the product of a large rest may not fit in 64.
            let of_rest = u128::from(rest) * u128::from(part) / u128::from(parts);
            least_mib * MIB + u64::try_from(of_rest).unwrap_or(u64::MAX)
        };
        let [journal, buffer, queries, merge, footers, last_values, registry, doors] = SHARES.map(share);
        let mut plan = MemoryPlan { journal, buffer, queries, merge, footers, last_values, registry, doors };
        // What rounding left over, a few bytes, goes where it is least noticed.
        plan.queries += total_bytes - plan.total();
        Ok(plan)
    }

    /// The sum of all shares.
    pub fn total(&self) -> u64 {
        self.shares().iter().map(|(_, bytes)| bytes).sum()
    }

    /// Every share by name, for `sys.*` and for the log at start.
    pub fn shares(&self) -> [(&'static str, u64); 8] {
        [
            ("journal", self.journal),
            ("buffer", self.buffer),
            ("queries", self.queries),
            ("merge", self.merge),
            ("footers", self.footers),
            ("last_values", self.last_values),
            ("registry", self.registry),
            ("doors", self.doors),
        ]
    }
}

/// What `limits.memory = "auto"` means here: a quarter of the machine or of the container, whichever is smaller, at
/// most [`AUTO_BYTES_MAX`], and what a plant needs at least on a small one.
pub fn available() -> u64 {
    available_under(Path::new("/"))
}

/// The same for a machine whose `/proc` and `/sys` stand under `root`.
fn available_under(root: &Path) -> u64 {
    let machine = machine_bytes(root).unwrap_or(UNKNOWN_MACHINE_BYTES);
    let smaller = group_bytes_under(root).map_or(machine, |container| container.min(machine));
    (smaller / 4).clamp(MemoryPlan::LEAST_BYTES, AUTO_BYTES_MAX)
}

fn machine_bytes(root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The smallest limit of the control group that this process is in and of those above it; version 1 and 2.
pub(crate) fn group_bytes_under(root: &Path) -> Option<u64> {
    let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut limits = Vec::new();
    for line in groups.lines() {
        // hierarchy-ID:controller-list:path, cgroups(7)
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let (mount, file) = if controllers.is_empty() {
            ("sys/fs/cgroup", "memory.max")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
        } else {
            continue;
        };
        limits.extend(limits_up_from(&root.join(mount), path, file));
    }
    limits.into_iter().min()
}

/// Limits in the group's folder and every one above it up to the mount. Inside a container the path is often one of
/// the host that does not exist here; the mount itself is then the container's own group.
fn limits_up_from(mount: &Path, path: &str, file: &str) -> Vec<u64> {
    let inside: PathBuf =
        Path::new(path).components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect();
    inside
        .ancestors()
        .filter_map(|group| std::fs::read_to_string(mount.join(group).join(file)).ok())
        // "max" is no limit; version 1 says it with a number near 2^63, which the machine's size then cuts.
        .filter_map(|text| text.trim().parse().ok())
        .collect()
}

#[cfg(test)]
mod tests;
