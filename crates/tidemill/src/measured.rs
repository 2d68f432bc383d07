//! docs/reference/metrics.md: what `/metrics` shows, found by opening the rooms on a disk in memory and asking the registry. What
//! does not live here: counting.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use tidemill_core::{Problem, codes};
use tidemill_ground::{Ground, Kind, Metrics, create_dirs};

use crate::plant::Plant;
use crate::saved::Saved;
use crate::{config, house, vitals};

/// With a listener beyond loopback, so that certificates are there to be counted.
const SETTINGS: &str = "[http]\nlisten = [\"127.0.0.1:8440\", \"0.0.0.0:8443\"]";
/// Nobody else uses these rooms.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// What rooms that were just opened count.
fn counted() -> Result<Metrics, Problem> {
    let (ground, _) = Ground::simulated(1);
    let plant = Plant::at(Path::new("/there-is-no-such-plant"));
    let failed = |what: String| Problem::new(&codes::INTERNAL, what);
    create_dirs(ground.disk.as_ref(), &plant.data()).map_err(|error| failed(error.to_string()))?;
    let config = config::read::check_text(&plant.file(), SETTINGS, &HashMap::new());
    let config = config.map_err(|findings| failed(format!("{findings:?}")))?;
    let rooms = house::open(&ground, &plant, &config, Saved::new(&plant));
    // They are asked once they have ended, which leaves every name.
    drop(rooms?);
    ground.tasks.shutdown(STOP_WITHIN);
    Ok(ground.metrics)
}

/// The page.
///
/// # Errors
/// The rooms do not open, which they do.
pub(crate) fn page() -> Result<String, Problem> {
    let mut out = String::from(
        "# Metrics\n\n`/metrics` gives OpenMetrics 1.0 text (Prometheus, Telegraf, Grafana Agent): from this machine without a token, from elsewhere \
         with one. The\nsame numbers are rows of `sys.metrics`. Names do not change without a word in the changelog; a counter's series ends in `_total`, a \
         histogram has\n`_bucket`, `_count` and `_sum`.\n\n| name | kind | labels | counts |\n|---|---|---|---|\n",
    );
    for family in counted()?.families() {
        let (name, help) = (family.name, family.help.replace('|', "\\|"));
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(out, "| `{name}` | {kind} | {} | {help} |", labels.join(" "));
    }
    out.push_str(
        "\n## The plant's own figures\n\nThe most useful of them are signals under `tidemill/`, written by the plant alone every `health.figures` (10 s): kept, \
         charted and asked for\nlike any other, by whoever may read `tidemill/#`. Only what changed by a twentieth is written, with three digits. They do not \
         count against\n`limits.signals`.\n\n",
    );
    out.push_str(&vitals::figures_table());
    out.push_str(
        "| `tidemill/health` | `1` | How the plant is: 0 well, 1 with warnings, 2 something is lost or refused now |\n\
         | `tidemill/health/CODE` | | Whether a warning stands: docs/reference/health.md |\n",
    );
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tidemill_ground::LIMITS;

    #[test]
    fn every_limit_says_what_it_bounds() {
        let readings = super::counted().expect("the rooms open").snapshot();
        let of_limits = readings.iter().filter(|reading| reading.name.starts_with("tidemill_limit_"));
        let shown: BTreeSet<&str> =
            of_limits.flat_map(|reading| reading.labels.iter().map(|(_, name)| name.as_str())).collect();
        let known: BTreeSet<&str> = LIMITS.iter().map(|limit| limit.name).collect();
        assert_eq!(known, shown);
        assert!(LIMITS.is_sorted_by_key(|limit| limit.name));
    }

    #[test]
    fn every_metric_is_explained() {
        let page = super::page().expect("the rooms open");
        for part in [
            "| `tidemill_journal_acknowledge_seconds` | histogram |",
            "| `tidemill_queries` | counter | `outcome` |",
            "tidemill/memory/resident",
        ] {
            assert!(page.contains(part), "no {part} in:\n{page}");
        }
        for line in page.lines().filter(|line| line.starts_with("| `tidemill_")) {
            assert!(
                line.split(" | ").last().is_some_and(|help| help.trim_end_matches(" |").len() > 10),
                "{line}"
            );
        }
    }
}
