//! The audit by others: DuckDB and deltalake read the files of a stopped plant, and what they see is judged like what the
//! plant says itself. The reading is `foreign.py`; the partners are set up by `partners`.

use super::audit;
use super::check::Row;
use super::load::Plan;
use crate::shell;
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

const SCRIPT: &str = include_str!("foreign.py");

/// How many cycles are read at once: bounds the memory of this audit.
pub(super) const CYCLES_AT_ONCE: u32 = 50;

pub(super) struct Foreign {
    python: PathBuf,
    /// For the script and what it writes.
    folder: PathBuf,
}

/// What the others see.
pub(super) struct Seen {
    /// The rows of each cycle asked for.
    pub cycles: HashMap<u32, Vec<Row>>,
    /// All rows of the load as DuckDB and deltalake count them.
    pub counts: [u64; 2],
}

impl Foreign {
    /// The partners, if they are there; else the name of what is missing.
    pub(super) fn find(folder: &Path) -> Result<Foreign, String> {
        let partners = std::env::var_os("TIDEMILL_PARTNERS").map(PathBuf::from);
        let python = partners.unwrap_or_else(|| shell::root().join(".partners")).join("python/bin/python");
        let mut probe = shell::program(&python.to_string_lossy());
        probe.args([
            "-c",
            "import deltalake, duckdb, pyarrow, importlib.metadata as m; m.files('duckdb-ext-delta')[0]",
        ]);
        shell::capture(probe).map_err(|_| {
            "deltalake, duckdb with duckdb-ext-delta, and pyarrow (`cargo xtask test` sets them up)"
                .to_owned()
        })?;
        Ok(Foreign { python, folder: folder.to_owned() })
    }

    /// Reads the cycles of a stopped plant.
    pub(super) fn read(&self, lake: &Path, plan: &Plan, cycles: Range<u32>) -> Result<Seen, String> {
        let write = |name: &str, text: &str| {
            let path = self.folder.join(name);
            std::fs::write(&path, text).map(|()| path).map_err(|error| format!("{name}: {error}"))
        };
        let script = write("foreign.py", SCRIPT)?;
        let ranges: String = cycles
            .clone()
            .flat_map(|cycle| plan.windows(cycle))
            .map(|(from, to)| format!("{from},{to}\n"))
            .collect();
        let ranges = write("ranges.csv", &ranges)?;
        let out = self.folder.join("foreign.json");
        let mut python = shell::program(&self.python.to_string_lossy());
        python.arg(script).arg(lake).arg(ranges).arg(&out);
        let said = shell::capture(python)?;
        let counts: Vec<u64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let counts = counts.try_into().map_err(|_| format!("foreign.py said: {said}"))?;
        let text = std::fs::read_to_string(&out).map_err(|error| format!("{}: {error}", out.display()))?;
        let mut seen = HashMap::new();
        for line in text.lines() {
            let row = audit::object_row(line).ok_or_else(|| format!("foreign.py wrote: {line}"))?;
            if let Some(cycle) = plan.cycle_of(&row, &cycles) {
                seen.entry(cycle).or_insert_with(Vec::new).push(row);
            }
        }
        Ok(Seen { cycles: seen, counts })
    }
}
