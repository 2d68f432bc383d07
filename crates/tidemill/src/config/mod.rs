//! The plant's configuration: files that people edit, checked as a whole, every problem with file and line, why, and
//! the mend. The table of keys is in [`keys`]; what the house does with them is wired in `house.rs`.

pub(crate) mod keys;
pub(crate) mod quantity;
pub(crate) mod read;
mod template;
pub(crate) mod templates;
#[cfg(test)]
mod tests;
mod zones;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidemill_guard::tls::Name;
use tidemill_guard::{Cidr, Zone};

pub(crate) use read::{load, nearest};
pub(crate) use template::{new_plant_file, reference_page};

/// A problem in a file: where, what, why, and the mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) file: PathBuf,
    /// From 1; 0 for the file as a whole.
    pub(crate) line: usize,
    pub(crate) what: String,
    pub(crate) mend: String,
    /// Whether the plant can run with it.
    pub(crate) warning: bool,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", self.file.display())?;
        if self.line > 0 {
            write!(out, ":{}", self.line)?;
        }
        write!(out, ": {}. {}", self.what, self.mend)
    }
}

/// A mend as a sentence: rooms write theirs behind a colon.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Where a face listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    pub(crate) zone: Option<String>,
    /// What it says of TLS itself, if anything.
    pub(crate) tls: Option<bool>,
}

/// How much of something must stay free.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Share {
    Fraction(f64),
    Bytes(u64),
}

/// Everything that tidemill.toml says, typed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    pub(crate) plant_name: String,
    pub(crate) timezone: String,
    pub(crate) http_listen: Vec<Listener>,
    pub(crate) postgres_listen: Vec<Listener>,
    pub(crate) flight_listen: Vec<Listener>,
    /// The owner's certificate and its key, where both are named.
    pub(crate) tls_own: Option<(PathBuf, PathBuf)>,
    /// Names of this machine beside those that it knows.
    pub(crate) tls_names: Vec<Name>,
    pub(crate) trusted_proxies: Vec<Cidr>,
    pub(crate) commit_window: Duration,
    pub(crate) relaxed: bool,
    /// `None` is forever.
    pub(crate) keep: Option<Duration>,
    pub(crate) free_min: Share,
    pub(crate) flush_after: Duration,
    /// The same while memory holds much beside the files.
    pub(crate) flush_young_after: Duration,
    /// Floats stay floats in history files, also where they are decimals.
    pub(crate) values_open: bool,
    pub(crate) merge_every: Duration,
    /// `None` is auto.
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) signals: u64,
    pub(crate) signals_new_per_hour: u64,
    pub(crate) text_sample_bytes: u64,
    pub(crate) query_time: Duration,
    /// `None` is off.
    pub(crate) slow_query: Option<Duration>,
    pub(crate) query_rows: u64,
    pub(crate) future: Option<Duration>,
    pub(crate) past: Option<Duration>,
    /// `None` is off.
    pub(crate) figures_every: Option<Duration>,
    pub(crate) zones: Vec<Zone>,
}

impl Config {
    /// Every face that listens, by the key that says where.
    pub(crate) fn listeners(&self) -> [(&'static str, &[Listener]); 3] {
        [
            ("http.listen", &self.http_listen),
            ("postgres.listen", &self.postgres_listen),
            ("flight.listen", &self.flight_listen),
        ]
    }

    /// Whether a listener speaks TLS: beyond loopback each does whose zone is not plain.
    pub(crate) fn encrypts(&self, listener: &Listener) -> bool {
        let plain = listener.address.ip().is_loopback() || self.is_plain(listener);
        listener.tls.unwrap_or(!plain)
    }

    /// Whether a listener's zone is plain.
    fn is_plain(&self, listener: &Listener) -> bool {
        self.zones.iter().any(|zone| zone.plain && Some(&zone.name) == listener.zone.as_ref())
    }
}

/// The variables of the environment that are text; others are not ours.
pub(crate) fn environment() -> HashMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The name of the file that makes a folder a plant.
pub(crate) const PLANT_FILE: &str = "tidemill.toml";

/// Whether a folder is a plant.
pub(crate) fn is_plant(folder: &Path) -> bool {
    folder.join(PLANT_FILE).is_file()
}
