//! What the house counts: one registry of counters, gauges and histograms, shown as OpenMetrics text and as rows for
//! the `sys.*` tables. Nothing is pushed anywhere, and no time is kept here.
//!
//! An instrument is got once and then costs an atomic addition. The number of series is bounded: beyond it, and for a
//! name that is not legal or already of another kind, the caller gets an instrument that works but is not shown, and
//! `tidemill_metrics_refused_total` says so.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many series one registry shows unless told otherwise. A scrape of them is about 1 MB.
pub const SERIES_MAX: usize = 10_000;

/// Buckets for how long something took: 100 µs, about one write to a fast disk, to 30 s, when every client has given up.
pub const SECONDS: &[f64] =
    &[1e-4, 2.5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 1.0, 5.0, 30.0];

/// How every name begins, so that a scrape of many programs tells ours apart. Rooms may leave it out.
const PREFIX: &str = "tidemill_";

fn full_name(name: &str) -> Cow<'_, str> {
    if name.starts_with(PREFIX) { name.into() } else { format!("{PREFIX}{name}").into() }
}

/// Pairs of name and value that tell series of one name apart.
pub type Labels<'a> = &'a [(&'static str, &'a str)];

/// The registry. Clones are the same registry.
#[derive(Clone)]
pub struct Metrics(Arc<Registry>);

struct Registry {
    series_max: usize,
    families: Mutex<Families>,
    refused: Counter,
}

#[derive(Default)]
struct Families {
    by_name: BTreeMap<String, Family>,
    series: usize,
}

struct Family {
    help: String,
    kind: Kind,
    series: BTreeMap<Vec<(&'static str, String)>, Cell>,
}

/// What kind of number a series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How often values fell into which bucket.
    Histogram,
}

#[derive(Clone)]
enum Cell {
    Counter(Counter),
    Gauge(Gauge),
    Watched(Arc<dyn Fn() -> f64 + Send + Sync>),
    Histogram(Histogram),
}

impl Cell {
    fn kind(&self) -> Kind {
        match self {
            Cell::Counter(_) => Kind::Counter,
            Cell::Gauge(_) | Cell::Watched(_) => Kind::Gauge,
            Cell::Histogram(_) => Kind::Histogram,
        }
    }
}

/// A number that only grows. Clones are the same number.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds `n`; past the end it begins again at zero, as OpenMetrics expects.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The sum so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down. Clones are the same number.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds `n`, which may be negative.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Raises it to `value` if it is lower.
    pub fn raise(&self, value: i64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }

    /// Its value now.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often values fell into fixed buckets. Clones are the same histogram.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    /// Upper bounds, inclusive, ascending; the last bucket, without a bound, is the extra one in `counts`.
    bounds: Vec<f64>,
    counts: Vec<AtomicU64>,
    sum_bits: AtomicU64,
}

impl Histogram {
    fn new(bounds: &[f64]) -> Histogram {
        let mut bounds: Vec<f64> = bounds.iter().copied().filter(|bound| bound.is_finite()).collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram(Arc::new(Buckets { bounds, counts, sum_bits: AtomicU64::new(0) }))
    }

    /// Counts one value. Not a number is not counted: it would make the sum useless for ever.
    pub fn observe(&self, value: f64) {
        if value.is_nan() {
            return;
        }
        let bucket = self.0.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.0.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        // An error of the closure cannot happen: it always gives a new value.
        let _ = self.0.sum_bits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
            Some((f64::from_bits(bits) + value).to_bits())
        });
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.0.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// The sum of the values counted.
    pub fn sum(&self) -> f64 {
        f64::from_bits(self.0.sum_bits.load(Ordering::Relaxed))
    }
}

/// One number of one series at one moment, as a row of `sys.metrics`. A histogram gives one row a bucket (`_bucket`,
/// label `le`, counts so far), and `_count` and `_sum`; a counter's name ends in `_total`.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The name, with the ending that OpenMetrics wants.
    pub name: String,
    /// What kind of series the number belongs to.
    pub kind: Kind,
    /// Labels in the order given.
    pub labels: Vec<(String, String)>,
    /// The number.
    pub value: f64,
    /// What is counted, in words.
    pub help: String,
}

/// What is always true of the series of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyInfo {
    /// The name, without the endings that OpenMetrics adds.
    pub name: String,
    /// What kind of numbers.
    pub kind: Kind,
    /// The names of labels, without those of buckets.
    pub labels: Vec<&'static str>,
    /// What is counted, in words.
    pub help: String,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl Metrics {
    /// An empty registry for [`SERIES_MAX`] series.
    pub fn new() -> Metrics {
        Metrics::with_series_max(SERIES_MAX)
    }

    /// An empty registry for `series_max` series, of which it uses one itself.
    pub fn with_series_max(series_max: usize) -> Metrics {
        let metrics = Metrics(Arc::new(Registry {
            series_max,
            families: Mutex::default(),
            refused: Counter::default(),
        }));
        let refused = metrics.0.refused.clone();
        metrics.cell(
            "tidemill_metrics_refused",
            "Instruments that are not shown: too many series, an illegal name, or a name of another kind.",
            &[],
            Cell::Counter(refused),
        );
        metrics
    }

    /// The counter of this name. `_total` is added where it is shown.
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        self.counter_with(name, help, &[])
    }

    /// The counter of this name and these labels.
    pub fn counter_with(&self, name: &str, help: &str, labels: Labels<'_>) -> Counter {
        let fresh = Counter::default();
        let name = name.strip_suffix("_total").unwrap_or(name);
        match self.cell(name, help, labels, Cell::Counter(fresh.clone())) {
            Some(Cell::Counter(counter)) => counter,
            _ => fresh,
        }
    }

    /// Shows a counter that is counted elsewhere. The first of a name stays.
    pub fn show(&self, name: &str, help: &str, counter: &Counter) {
        self.cell(name, help, &[], Cell::Counter(counter.clone()));
    }

    /// The gauge of this name.
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.gauge_with(name, help, &[])
    }

    /// The gauge of this name and these labels.
    pub fn gauge_with(&self, name: &str, help: &str, labels: Labels<'_>) -> Gauge {
        let fresh = Gauge::default();
        match self.cell(name, help, labels, Cell::Gauge(fresh.clone())) {
            Some(Cell::Gauge(gauge)) => gauge,
            _ => fresh,
        }
    }

    /// A gauge that is asked when somebody looks: for what is known anyway, such as the length of a queue. The first
    /// of a name and labels stays.
    pub fn watch(
        &self,
        name: &str,
        help: &str,
        labels: Labels<'_>,
        ask: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.cell(name, help, labels, Cell::Watched(Arc::new(ask)));
    }

    /// The histogram of this name; `buckets` are upper bounds, inclusive. The last bucket has none and is added.
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.histogram_with(name, help, buckets, &[])
    }

    /// The histogram of this name and these labels.
    pub fn histogram_with(&self, name: &str, help: &str, buckets: &[f64], labels: Labels<'_>) -> Histogram {
        let fresh = Histogram::new(buckets);
        match self.cell(name, help, labels, Cell::Histogram(fresh.clone())) {
            Some(Cell::Histogram(histogram)) => histogram,
            _ => fresh,
        }
    }

    /// The cell that stands under this name and these labels, after `fresh` was put there if none did. `None`: refused.
    fn cell(&self, name: &str, help: &str, labels: Labels<'_>, fresh: Cell) -> Option<Cell> {
        let legal = is_name(name) && labels.iter().all(|(label, _)| is_label(label));
        let name = &*full_name(name);
        let mut families = self.families_locked();
        let full = families.series >= self.0.series_max;
        let standing = families.by_name.get(name);
        let key: Vec<_> = labels.iter().map(|(label, value)| (*label, (*value).to_owned())).collect();
        if let Some(cell) = standing.and_then(|family| family.series.get(&key))
            && cell.kind() == fresh.kind()
        {
            return Some(cell.clone());
        }
        if !legal || full || standing.is_some_and(|family| family.kind != fresh.kind()) {
            self.0.refused.add(1);
            return None;
        }
        families.series += 1;
        let family = families.by_name.entry(name.to_owned()).or_insert_with(|| Family {
            help: help.to_owned(),
            kind: fresh.kind(),
            series: BTreeMap::new(),
        });
        family.series.insert(key, fresh.clone());
        Some(fresh)
    }

    fn families_locked(&self) -> MutexGuard<'_, Families> {
        self.0.families.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every number now, sorted by name and labels.
    pub fn snapshot(&self) -> Vec<Reading> {
        let mut readings = Vec::new();
        self.visit(|family, series| {
            series.visit(family, |name, labels, value| {
                readings.push(Reading {
                    name: name.to_owned(),
                    kind: family.kind,
                    labels: labels.iter().map(|(label, value)| (label.to_string(), value.clone())).collect(),
                    value: value.number(),
                    help: family.help.clone(),
                });
            });
        });
        readings
    }

    /// What is counted, by name.
    pub fn families(&self) -> Vec<FamilyInfo> {
        let families = self.families_locked();
        let info = |(name, family): (&String, &Family)| FamilyInfo {
            name: name.clone(),
            kind: family.kind,
            labels: family.series.keys().next().into_iter().flatten().map(|(label, _)| *label).collect(),
            help: family.help.clone(),
        };
        families.by_name.iter().map(info).collect()
    }

    /// The OpenMetrics 1.0 text: `application/openmetrics-text; version=1.0.0; charset=utf-8`.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let mut last = String::new();
        self.visit(|family, series| {
            if last != family.name {
                last.clone_from(&family.name);
                let kind = match family.kind {
                    Kind::Counter => "counter",
                    Kind::Gauge => "gauge",
                    Kind::Histogram => "histogram",
                };
                text.push_str(&format!("# TYPE {last} {kind}\n# HELP {last} {}\n", Escaped(&family.help)));
            }
            series.visit(family, |name, labels, value| write_line(&mut text, name, labels, value));
        });
        text.push_str("# EOF\n");
        text
    }

    /// Visits copies, not the registry itself, so that a watched gauge may ask for anything, also for an instrument.
    fn visit(&self, mut visitor: impl FnMut(&Head, &Series)) {
        let copies: Vec<(Head, Vec<Series>)> = {
            let families = self.families_locked();
            let copy = |(name, family): (&String, &Family)| {
                let head = Head { name: name.clone(), help: family.help.clone(), kind: family.kind };
                let series = family.series.iter();
                (
                    head,
                    series
                        .map(|(labels, cell)| Series { labels: labels.clone(), cell: cell.clone() })
                        .collect(),
                )
            };
            families.by_name.iter().map(copy).collect()
        };
        for (head, series) in &copies {
            series.iter().for_each(|series| visitor(head, series));
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("series", &self.families_locked().series).finish_non_exhaustive()
    }
}

struct Head {
    name: String,
    help: String,
    kind: Kind,
}

type OwnedLabels = [(&'static str, String)];

struct Series {
    labels: Vec<(&'static str, String)>,
    cell: Cell,
}

#[derive(Clone, Copy)]
enum Number {
    Whole(u64),
    Signed(i64),
    Real(f64),
}

impl Number {
    fn number(self) -> f64 {
        match self {
            Number::Whole(value) => value as f64,
            Number::Signed(value) => value as f64,
            Number::Real(value) => value,
        }
    }
}

impl Series {
    fn visit(&self, head: &Head, mut visitor: impl FnMut(&str, &OwnedLabels, Number)) {
        let name = &head.name;
        match &self.cell {
            Cell::Counter(counter) => {
                visitor(&format!("{name}_total"), &self.labels, Number::Whole(counter.get()));
            }
            Cell::Gauge(gauge) => visitor(name, &self.labels, Number::Signed(gauge.get())),
            Cell::Watched(ask) => visitor(name, &self.labels, Number::Real(ask())),
            Cell::Histogram(histogram) => {
                let bounds = histogram.0.bounds.iter().copied().chain([f64::INFINITY]);
                let mut so_far = 0;
                for (bound, count) in bounds.zip(&histogram.0.counts) {
                    // Added up here and not read again, so that the buckets agree with `_count` while others count on.
                    so_far += count.load(Ordering::Relaxed);
                    let mut labels = self.labels.clone();
                    labels.push(("le", Real(bound).to_string()));
                    visitor(&format!("{name}_bucket"), &labels, Number::Whole(so_far));
                }
                visitor(&format!("{name}_count"), &self.labels, Number::Whole(so_far));
                visitor(&format!("{name}_sum"), &self.labels, Number::Real(histogram.sum()));
            }
        }
    }
}

fn write_line(text: &mut String, name: &str, labels: &OwnedLabels, value: Number) {
    text.push_str(name);
    for (index, (label, value)) in labels.iter().enumerate() {
        let before = if index == 0 { '{' } else { ',' };
        text.push_str(&format!("{before}{label}=\"{}\"", Escaped(value)));
    }
    if !labels.is_empty() {
        text.push('}');
    }
    match value {
        Number::Whole(value) => text.push_str(&format!(" {value}\n")),
        Number::Signed(value) => text.push_str(&format!(" {value}\n")),
        Number::Real(value) => text.push_str(&format!(" {}\n", Real(value))),
    }
}

/// A number as OpenMetrics writes it: `1.0`, `+Inf`, `NaN`.
struct Real(f64);

impl fmt::Display for Real {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_nan() {
            f.write_str("NaN")
        } else if self.0.is_infinite() {
            f.write_str(if self.0 > 0.0 { "+Inf" } else { "-Inf" })
        } else {
            write!(f, "{:?}", self.0)
        }
    }
}

/// OpenMetrics escapes the same three in label values and in help.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            c => write!(f, "{c}"),
        })
    }
}

fn is_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty() && name.chars().all(legal)
}

fn is_label(name: &str) -> bool {
    is_name(name) && !name.contains(':') && name != "le"
}

#[cfg(test)]
mod tests;
