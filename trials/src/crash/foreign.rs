//! The audit by others: DuckDB and deltalake read the files of a stopped plant. What DuckDB sees is judged like what the plant
//! says itself, sample by sample; deltalake must see the same, by sums of hashes. The reading is `foreign.py`; the partners are set up by `partners`.

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

/// The rows of the load as two others find them.
pub(super) struct Totals {
    /// As DuckDB and deltalake count them.
    pub counts: [u64; 2],
    /// Signals of which they differ in number of rows, sum of times, or sum of hashes over all columns of each row.
    pub differing: u64,
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

    /// Compares what DuckDB and deltalake find of a stopped plant.
    pub(super) fn totals(&self, lake: &Path) -> Result<Totals, String> {
        let said = self.script(&[lake])?;
        let figures: Vec<u64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        match figures.as_slice() {
            [duckdb, deltalake, differing] => {
                Ok(Totals { counts: [*duckdb, *deltalake], differing: *differing })
            }
            _ => Err(format!("foreign.py said: {said}")),
        }
    }

    /// Reads the cycles of a stopped plant with DuckDB: the rows of each.
    pub(super) fn read(
        &self,
        lake: &Path,
        plan: &Plan,
        cycles: Range<u32>,
    ) -> Result<HashMap<u32, Vec<Row>>, String> {
        let ranges: String = cycles
            .clone()
            .flat_map(|cycle| plan.windows(cycle))
            .map(|(from, to)| format!("{from},{to}\n"))
            .collect();
        let ranges = self.write("ranges.csv", &ranges)?;
        let out = self.folder.join("foreign.json");
        self.script(&[lake, &ranges, &out])?;
        let text = std::fs::read_to_string(&out).map_err(|error| format!("{}: {error}", out.display()))?;
        let mut seen = HashMap::new();
        for line in text.lines() {
            let row = audit::object_row(line).ok_or_else(|| format!("foreign.py wrote: {line}"))?;
            if let Some(cycle) = plan.cycle_of(&row, &cycles) {
                seen.entry(cycle).or_insert_with(Vec::new).push(row);
            }
        }
        Ok(seen)
    }

    fn script(&self, arguments: &[&Path]) -> Result<String, String> {
        let script = self.write("foreign.py", SCRIPT)?;
        let mut python = shell::program(&self.python.to_string_lossy());
        python.arg(script).args(arguments);
        shell::capture(python)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).map(|()| path).map_err(|error| format!("{name}: {error}"))
    }
}
