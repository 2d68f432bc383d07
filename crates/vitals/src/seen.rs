//! What one look at the plant and its machine finds: plain numbers, so that conditions can be tested without either. What does
//! not live here: where they come from ([`crate::Look`]), and what they mean (`conditions.rs`).

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use tidemill_ground::{Kind, Machine, Reading, Space};

/// Everything that was found.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The time by the wall, UTC.
    pub wall_ns: i64,
    /// The time since the start.
    pub monotonic: Duration,
    /// Of the machine and this process.
    pub machine: Machine,
    /// Of the disk below the data.
    pub space: Option<Space>,
    /// Below this new values are refused.
    pub free_min_bytes: u64,
    /// What `settings::tight` says.
    pub tight: Option<String>,
    /// Files that can still be made, and how many there can be at all.
    pub inodes: Option<(u64, u64)>,
    /// The share of its life that the flash memory has behind it.
    pub flash_worn: Option<f64>,
    /// Why new values are refused, and what to do.
    pub refusing: Option<(String, String)>,
    /// Why history cannot be written.
    pub flush_failing: Option<String>,
    /// Of the journal, where something may be lost.
    pub damage: Vec<String>,
    /// Why history cannot be read.
    pub unreadable: Option<String>,
    /// Why the audit cannot be written.
    pub audit_failure: Option<String>,
    /// Name, when it expires, whether it was ever used.
    pub tokens: Vec<Token>,
    /// Certificates that need their owner.
    pub certificates: Vec<Certificate>,
    /// Why saved settings are not in force.
    pub configuration_refused: Option<String>,
    /// Settings that wait for a restart.
    pub restart: Vec<String>,
    /// What `limits.memory` is.
    pub memory_bytes_max: Option<u64>,
    /// When the last backup was made whole.
    pub backup_made_ns: Option<i64>,
    /// So old it may become; none: as old as it likes.
    pub backup_age_max: Option<Duration>,
    /// Where lines of the log are written; none: to standard error alone.
    pub log_file: Option<PathBuf>,
    /// What the journal may hold before values are refused.
    pub journal_bytes_max: u64,
    /// Every metric.
    pub numbers: Numbers,
}

/// What is the matter with a certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Its file.
    pub on: String,
    /// What is the matter.
    pub what: String,
    /// What to do.
    pub mend: String,
    /// Whether all still works.
    pub works: bool,
}

/// A token that expires.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub made_ns: i64,
    /// When it expires.
    pub expires_ns: i64,
    /// Whether it was ever used.
    pub used: bool,
}

/// The metrics at one moment, by name and the value of their only label, where they have one.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    plain: BTreeMap<String, f64>,
    labelled: BTreeMap<String, BTreeMap<String, f64>>,
    /// Buckets of the histograms, by their bounds.
    buckets: BTreeMap<String, Buckets>,
}

/// Upper bounds in seconds and how often a value was not above them, ascending.
pub type Buckets = Vec<(f64, f64)>;

impl Numbers {
    /// Of what the registry shows.
    pub fn of(readings: Vec<Reading>) -> Numbers {
        let mut numbers = Numbers::default();
        for reading in readings {
            let label = reading.labels.last().map(|(name, value)| (name.clone(), value.clone()));
            match (reading.kind, label) {
                (Kind::Histogram, Some((name, bound))) if name == "le" => {
                    let bound = bound.parse().unwrap_or(f64::INFINITY);
                    let name = reading.name.trim_end_matches("_bucket").to_owned();
                    numbers.buckets.entry(name).or_default().push((bound, reading.value));
                }
                (_, Some((_, value))) => {
                    numbers.labelled.entry(reading.name).or_default().insert(value, reading.value);
                }
                (_, None) => {
                    numbers.plain.insert(reading.name, reading.value);
                }
            }
        }
        numbers
    }

    #[cfg(test)]
    pub(crate) fn with(mut self, name: &str, label: &str, value: f64) -> Numbers {
        if label.is_empty() {
            self.plain.insert(name.to_owned(), value);
        } else {
            self.labelled.entry(name.to_owned()).or_default().insert(label.to_owned(), value);
        }
        self
    }

    #[cfg(test)]
    pub(crate) fn with_buckets(mut self, name: &str, buckets: Buckets) -> Numbers {
        self.buckets.insert(name.to_owned(), buckets);
        self
    }

    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.plain.get(name).copied()
    }

    /// All series of a name with one label, added up.
    pub(crate) fn sum(&self, name: &str) -> Option<f64> {
        self.get(name).or_else(|| Some(self.labelled.get(name)?.values().sum()))
    }

    pub(crate) fn labelled(&self, name: &str) -> impl Iterator<Item = (&str, f64)> {
        self.labelled.get(name).into_iter().flatten().map(|(label, value)| (label.as_str(), *value))
    }

    pub(crate) fn of_label(&self, name: &str, label: &str) -> Option<f64> {
        self.labelled.get(name)?.get(label).copied()
    }

    pub(crate) fn buckets(&self, name: &str) -> Buckets {
        self.buckets.get(name).cloned().unwrap_or_default()
    }
}

/// What lies between two readings of the same histogram.
pub(crate) fn between(before: &Buckets, after: &Buckets) -> Buckets {
    let earlier =
        |bound: f64| before.iter().find(|(other, _)| *other == bound).map_or(0.0, |(_, count)| *count);
    after.iter().map(|(bound, count)| (*bound, (count - earlier(*bound)).max(0.0))).collect()
}

/// How many values there are.
pub(crate) fn count(buckets: &Buckets) -> f64 {
    buckets.last().map_or(0.0, |(_, count)| *count)
}

/// The upper bound of the bucket in which the share lies; none of none. Beyond the last bound, that bound.
pub(crate) fn quantile(buckets: &Buckets, share: f64) -> Option<f64> {
    let wanted = count(buckets) * share;
    if count(buckets) <= 0.0 {
        return None;
    }
    let within = buckets.iter().find(|(_, so_far)| *so_far >= wanted).map(|(bound, _)| *bound)?;
    let last = buckets.iter().map(|(bound, _)| *bound).rfind(|bound| bound.is_finite())?;
    Some(within.min(last))
}

/// Values at some distance in time from each other, the oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Past<T> {
    every: Duration,
    count_max: usize,
    kept: VecDeque<(Duration, T)>,
}

impl<T> Past<T> {
    pub(crate) fn new(every: Duration, count_max: usize) -> Past<T> {
        Past { every, count_max, kept: VecDeque::new() }
    }

    pub(crate) fn put(&mut self, at: Duration, value: T) {
        if self.kept.back().is_some_and(|(last, _)| at.saturating_sub(*last) < self.every) {
            return;
        }
        if self.kept.len() >= self.count_max {
            self.kept.pop_front();
        }
        self.kept.push_back((at, value));
    }

    pub(crate) fn oldest(&self) -> Option<&(Duration, T)> {
        self.kept.front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_bound_of_what_lies_between() {
        let before = vec![(0.001, 10.0), (0.01, 90.0), (f64::INFINITY, 100.0)];
        let after = vec![(0.001, 10.0), (0.01, 190.0), (f64::INFINITY, 201.0)];
        assert_eq!(quantile(&before, 0.99), Some(0.01), "beyond the last bound it is the last bound");
        assert_eq!(quantile(&between(&before, &after), 0.5), Some(0.01));
        assert_eq!(quantile(&before, 0.05), Some(0.001));
        assert_eq!(quantile(&between(&before, &before), 0.5), None);
    }

    #[test]
    fn the_past_is_bounded_and_has_its_distances() {
        let mut past = Past::new(Duration::from_secs(60), 3);
        for second in 0..600 {
            past.put(Duration::from_secs(second), second);
        }
        assert_eq!(past.oldest(), Some(&(Duration::from_secs(420), 420)));
    }
}
