//! The plant's own figures as signals under `tidemill/`, written by the house alone and kept like any other: one table of
//! paths, units and where each comes from. Only what changed is written, rounded to three digits, so that a year of it costs
//! little. What does not live here: looking.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tidemill_core::{
    Bus, Commit, Durability, Flags, Identity, Meta, Problem, Publish, Quality, ReadScope, SignalPath, Stamp,
    Value, Verb, codes,
};

use crate::conditions::SYNCS;
use crate::seen::{Buckets, Numbers, Seen, between, quantile};

/// A figure is written again when it differs by this share from what was written last.
const DEADBAND: f64 = 0.05;
/// So many digits of a figure are kept behind the first.
const DIGITS: usize = 2;
/// How often a write is tried that others' changes made void.
const TRIES: usize = 3;
/// What stands before every path.
const ROOT: &str = "tidemill";

/// Where a figure comes from.
enum From {
    /// A metric, as it is.
    Gauge(&'static str),
    /// By how much a metric grows in a second, all its series together.
    Rate(&'static str),
    /// Of all values of a histogram since the figure before, the one that one in a hundred exceeds.
    Slowest(&'static str),
    /// A figure for each value of a metric's label.
    Each(&'static str),
    /// What is held of each limit, in percent.
    Limits,
    /// Something that was seen.
    Of(fn(&Seen) -> Option<f64>),
    /// By how much that grows in a second.
    RateOf(fn(&Seen) -> Option<f64>),
}

struct Figure {
    path: &'static str,
    /// UCUM.
    unit: &'static str,
    description: &'static str,
    from: From,
    /// A difference up to this is none, so that writing figures is no reason to write figures.
    least: f64,
}

const fn figure(
    path: &'static str,
    unit: &'static str,
    least: f64,
    from: From,
    description: &'static str,
) -> Figure {
    Figure { path, unit, description, from, least }
}

static FIGURES: &[Figure] = &[
    figure(
        "samples/rate",
        "{samples}/s",
        10.0,
        From::Rate("tidemill_bus_samples_total"),
        "Samples made durable a second",
    ),
    figure(
        "samples/buffered",
        "{samples}",
        1e4,
        From::Gauge("tidemill_historian_buffer_rows"),
        "Samples in memory that are not yet in files",
    ),
    figure(
        "samples/refused",
        "{samples}/s",
        0.0,
        From::Rate("tidemill_http_lines_refused_total"),
        "Lines and samples that HTTP refused a second",
    ),
    figure(
        "signals",
        "{signals}",
        0.0,
        From::Gauge("tidemill_bus_signals"),
        "Signals there are, those under tidemill/ too",
    ),
    figure(
        "journal/bytes",
        "By",
        1e6,
        From::Gauge("tidemill_journal_segment_bytes"),
        "Bytes that the journal holds",
    ),
    figure(
        "journal/written",
        "By/s",
        4000.0,
        From::Rate("tidemill_journal_bytes_total"),
        "Bytes written to the journal a second",
    ),
    figure(
        "journal/sync",
        "s",
        0.001,
        From::Slowest(SYNCS),
        "How long the slowest of a hundred syncs takes at least",
    ),
    figure(
        "journal/acknowledge",
        "s",
        0.001,
        From::Slowest("tidemill_journal_acknowledge_seconds"),
        "How long the slowest of a hundred acknowledgements takes at least",
    ),
    figure(
        "lag/bus",
        "{parcels}",
        10.0,
        From::Gauge("tidemill_bus_lag_parcels"),
        "Parcels that last values and subscribers do not have yet",
    ),
    figure(
        "lag/historian",
        "{parcels}",
        10.0,
        From::Gauge("tidemill_historian_lag_parcels"),
        "Parcels that queries do not see yet",
    ),
    figure(
        "lag/files",
        "{parcels}",
        1000.0,
        From::Each("tidemill_journal_cursor_lag_parcels"),
        "Parcels that an engine has not put into files of its own yet",
    ),
    figure("history/files", "{files}", 2.0, From::Gauge("tidemill_historian_files"), "Files of samples"),
    figure(
        "history/written",
        "By/s",
        1000.0,
        From::Rate("tidemill_historian_written_bytes_total"),
        "Bytes written to history files a second, merges included",
    ),
    figure(
        "memory/resident",
        "By",
        4e6,
        From::Of(|seen| bytes(seen.machine.resident_bytes)),
        "Memory of the process",
    ),
    figure(
        "memory/swapped",
        "By",
        1e6,
        From::Of(|seen| bytes(seen.machine.swapped_bytes)),
        "Memory of the process that is swapped out",
    ),
    figure(
        "memory/free",
        "By",
        6e7,
        From::Of(|seen| bytes(seen.machine.available_bytes)),
        "Memory that the machine has left",
    ),
    figure(
        "processor",
        "%",
        5.0,
        From::RateOf(|seen| seen.machine.processor_seconds.map(|seconds| seconds * 100.0)),
        "Processor time, in percent of one core",
    ),
    figure(
        "disk/free",
        "By",
        6e7,
        From::Of(|seen| seen.space.map(|space| space.free_bytes as f64)),
        "Room left on the disk",
    ),
    figure(
        "files/open",
        "{files}",
        4.0,
        From::Of(|seen| bytes(seen.machine.open_files)),
        "Files and connections that are open",
    ),
    figure(
        "http/requests",
        "{requests}/s",
        1.0,
        From::Rate("tidemill_http_requests_total"),
        "Requests by HTTP a second",
    ),
    figure(
        "http/slow",
        "s",
        0.005,
        From::Slowest("tidemill_http_request_seconds"),
        "How long the slowest of a hundred requests takes at least, to the first byte of its answer",
    ),
    figure("queries/rate", "{queries}/s", 0.5, From::Rate("tidemill_queries_total"), "Queries a second"),
    figure(
        "queries/running",
        "{queries}",
        0.0,
        From::Gauge("tidemill_queries_running"),
        "Queries that run now",
    ),
    figure(
        "queries/slow",
        "{queries}",
        0.0,
        From::Gauge("tidemill_queries_slow_total"),
        "Queries since the start that took longer than limits.slow_query",
    ),
    figure("limits", "%", 1.0, From::Limits, "What is held of a limit"),
];

fn bytes(number: Option<u64>) -> Option<f64> {
    number.map(|number| number as f64)
}

/// What is to be written: a path below `tidemill/`, with its unit, description and value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) path: String,
    pub(crate) unit: &'static str,
    pub(crate) description: String,
    pub(crate) value: Value,
}

/// The figures as they were last taken and written.
#[derive(Default)]
pub(crate) struct Figures {
    before: Option<(Duration, Seen)>,
    written: BTreeMap<String, f64>,
}

impl Figures {
    /// The figures that changed since they were written.
    pub(crate) fn changed(&mut self, seen: &Seen) -> Vec<Row> {
        let before = self.before.replace((seen.monotonic, seen.clone()));
        let mut rows = Vec::new();
        for figure in FIGURES {
            for (name, value) in figure.values(seen, before.as_ref()) {
                let value = rounded(value);
                let path =
                    if name.is_empty() { figure.path.to_owned() } else { format!("{}/{name}", figure.path) };
                // What hangs on a name begins when there is something to tell.
                let first = name.is_empty() || value > figure.least;
                let changed =
                    self.written.get(&path).map_or(first, |written| differs(*written, value, figure.least));
                if changed {
                    let description = if name.is_empty() {
                        figure.description.to_owned()
                    } else {
                        format!("{}: {name}", figure.description)
                    };
                    rows.push(Row { path, unit: figure.unit, description, value: Value::Float(value) });
                }
            }
        }
        rows
    }

    /// They are written.
    pub(crate) fn written(&mut self, rows: &[Row]) {
        for row in rows {
            if let Value::Float(value) = row.value {
                self.written.insert(row.path.clone(), value);
            }
        }
    }
}

impl Figure {
    /// The values now, each with what is added to the path.
    fn values(&self, seen: &Seen, before: Option<&(Duration, Seen)>) -> Vec<(String, f64)> {
        let numbers = &seen.numbers;
        let one = |value: Option<f64>| value.map(|value| (String::new(), value)).into_iter().collect();
        let rate = |of: &dyn Fn(&Seen) -> Option<f64>| {
            let (at, before) = before?;
            let seconds = seen.monotonic.saturating_sub(*at).as_secs_f64();
            Some((of(seen)? - of(before)?).max(0.0) / seconds.max(1e-3))
        };
        match &self.from {
            From::Gauge(name) => one(numbers.get(name)),
            From::Rate(name) => one(rate(&|seen| seen.numbers.sum(name))),
            From::Slowest(name) => one(slowest(numbers, before.map(|(_, seen)| &seen.numbers), name)),
            From::Each(name) => {
                numbers.labelled(name).map(|(label, value)| (label.to_owned(), value)).collect()
            }
            From::Limits => shares(numbers),
            From::Of(of) => one(of(seen)),
            From::RateOf(of) => one(rate(of)),
        }
    }
}

fn slowest(now: &Numbers, before: Option<&Numbers>, name: &str) -> Option<f64> {
    let earlier: Buckets = before?.buckets(name);
    let now = Some(now.buckets(name)).filter(|now| !now.is_empty())?;
    // Nothing happened: nothing was slow.
    Some(quantile(&between(&earlier, &now), 0.99).unwrap_or(0.0))
}

/// Of what is held; bounds on single questions hold nothing.
fn shares(numbers: &Numbers) -> Vec<(String, f64)> {
    let used = |name: &str| numbers.of_label("tidemill_limit_used", name).unwrap_or(0.0);
    let held = numbers
        .labelled("tidemill_limit_max")
        .filter(|(name, most)| *most > 0.0 && !crate::conditions::OF_THE_ASKER.contains(name));
    held.map(|(name, most)| (name.to_owned(), used(name) / most * 100.0)).collect()
}

/// To so many significant digits: what lies behind is noise, and costs room. By way of text, so that decimals stay decimals.
fn rounded(value: f64) -> f64 {
    if !value.is_finite() {
        return 0.0;
    }
    format!("{value:.DIGITS$e}").parse().unwrap_or(0.0)
}

fn differs(written: f64, value: f64, least: f64) -> bool {
    (value - written).abs() > least.max(written.abs() * DEADBAND) || (value == 0.0 && written != 0.0)
}

/// Writes rows as samples of now. They ride with the next commit, and force one of their own after a quarter of a second.
///
/// # Errors
/// Why they could not be written: what was to be told is told the next time.
pub(crate) fn write(bus: &Arc<dyn Bus>, who: &Identity, rows: &[Row]) -> Result<(), Problem> {
    if rows.is_empty() {
        return Ok(());
    }
    publish(bus, who, rows, Stamp::Server(0), Durability::Ride).map(drop)
}

fn publish(
    bus: &Arc<dyn Bus>,
    who: &Identity,
    rows: &[Row],
    stamp: Stamp,
    durability: Durability,
) -> Result<Commit, Problem> {
    for left in (0..TRIES).rev() {
        let epoch = bus.epoch();
        let mut batch = bus.batch(who, Flags::default())?;
        for row in rows {
            let path = SignalPath::new(&format!("{ROOT}/{}", row.path))?;
            let hint = Meta {
                unit: row.unit.into(),
                unit_ucum: row.unit.into(),
                description: row.description.as_str().into(),
                // It holds until it is written anew.
                stepped: Some(true),
                ..Meta::default()
            };
            let grant = bus.bind(who, Verb::Write, &path, &hint)?;
            let full = batch.push(grant.id, stamp, row.value.as_ref(), Quality::GOOD);
            full.map_err(|error| Problem::new(&codes::INTERNAL, error.to_string()))?;
        }
        let publish = Publish { samples: Some(batch), ..Publish::default() };
        match bus.publish(who, epoch, publish, durability) {
            Err(problem) if problem.code == &codes::CONFLICT && left > 0 => {}
            published => return published,
        }
    }
    Err(Problem::new(&codes::CONFLICT, "rights changed again and again while figures were written"))
}

/// Bytes of each backup: it is the time of its newest sample that says when the last one was made, also after a restart.
const BACKUP: &str = "backup/size";
const BACKUP_MEANS: &str = "Bytes of a backup that was made whole, when it was";

/// Writes that a backup was made; at that time, or now.
pub(crate) fn write_backup(
    bus: &Arc<dyn Bus>,
    who: &Identity,
    bytes: u64,
    made_ns: Option<i64>,
) -> Result<Commit, Problem> {
    let value = Value::Float(bytes as f64);
    let row = Row { path: BACKUP.to_owned(), unit: "By", description: BACKUP_MEANS.to_owned(), value };
    publish(bus, who, &[row], made_ns.map_or(Stamp::Server(0), Stamp::At), Durability::Commit)
}

/// When the last backup was made, ns UTC.
pub(crate) fn backup_made(bus: &dyn Bus) -> Option<i64> {
    let signal = bus.find(&SignalPath::new(&format!("{ROOT}/{BACKUP}")).ok()?)?;
    let mut last = Vec::new();
    bus.last(&ReadScope::everything(), &[signal.id], &mut last);
    last.first().map(|last| last.time)
}

/// The part of docs/reference/metrics.md that lists the figures.
pub(crate) fn table() -> String {
    let mut out = String::from("| signal | unit | is |\n|---|---|---|\n");
    for Figure { path, unit, description, from, .. } in FIGURES {
        let more = match from {
            From::Each(_) | From::Limits => "/NAME",
            _ => "",
        };
        let _ = writeln!(out, "| `{ROOT}/{path}{more}` | `{unit}` | {description} |");
    }
    let _ = writeln!(out, "| `{ROOT}/{BACKUP}` | `By` | {BACKUP_MEANS} |");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_are_kept() {
        for (value, kept) in [
            (0.0, 0.0),
            (1234.0, 1230.0),
            (0.012_345, 0.0123),
            (99.96, 100.0),
            (-5.0, -5.0),
            (99_712_345.0, 99_700_000.0),
            (7.0, 7.0),
            (123_456_789.0, 123_000_000.0),
        ] {
            assert_eq!(rounded(value), kept);
        }
        assert_eq!(rounded(f64::NAN), 0.0);
    }

    #[test]
    fn only_what_changed_is_written() {
        let mut figures = Figures::default();
        let seen = |second: u64, signals: f64, samples: f64| Seen {
            monotonic: Duration::from_secs(second),
            numbers: Numbers::default().with("tidemill_bus_signals", "", signals).with(
                "tidemill_bus_samples_total",
                "",
                samples,
            ),
            ..Seen::default()
        };
        let mut paths = |seen: &Seen| {
            let rows = figures.changed(seen);
            figures.written(&rows);
            rows.iter().map(|row| format!("{}={}", row.path, row.value)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(paths(&seen(0, 100.0, 0.0)), "signals=100");
        assert_eq!(
            paths(&seen(10, 104.0, 0.0)),
            "samples/rate=0",
            "a rate takes two looks; five percent are nothing"
        );
        assert_eq!(paths(&seen(15, 104.0, 40.0)), "", "eight a second are what figures are themselves");
        assert_eq!(paths(&seen(25, 106.0, 1_040.0)), "samples/rate=100 signals=106");
        assert_eq!(paths(&seen(35, 106.0, 2_050.0)), "");
        assert_eq!(paths(&seen(45, 106.0, 2_050.0)), "samples/rate=0");
    }

    #[test]
    fn paths_and_units_are_sound() {
        let mut seen = std::collections::BTreeSet::new();
        for figure in FIGURES {
            assert!(SignalPath::new(&format!("{ROOT}/{}", figure.path)).is_ok() && seen.insert(figure.path));
            assert!(!figure.unit.is_empty() && !figure.description.is_empty(), "{}", figure.path);
        }
    }
}
