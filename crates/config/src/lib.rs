//! The plant's folder and what its files say: where it is, who runs it, and tidemill.toml, checked as a whole, every problem
//! with file and line, why, and the mend. The table of keys is in [`keys`]; what each room is then told stands in the binary,
//! which knows the rooms.
//!
//! **Invariants**: a key stands in one table, from which come the file of a new plant, the messages, the variables and the page
//! of reference; all problems are told at once; no room is opened here, and nothing below `data/` is read.

pub mod keys;
pub mod plant;
pub mod read;
mod template;
pub mod templates;
#[cfg(test)]
mod tests;
pub mod variables;
mod zones;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidemill_guard::tls::Name;
use tidemill_guard::{Cidr, Zone};

pub use read::load;
pub use template::{new_plant_file, reference_page};
pub use tidemill_core::quantity;

/// A problem in a file: where, what, why, and the mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file, or the variable where the environment says it.
    pub file: PathBuf,
    /// From 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong, without an end.
    pub what: String,
    /// What to do about it, as a sentence without its end.
    pub mend: String,
    /// Whether the plant can run with it.
    pub warning: bool,
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
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Where a face listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: SocketAddr,
    /// The zone whose addresses alone it serves.
    pub zone: Option<String>,
    /// What it says of TLS itself, if anything.
    pub tls: Option<bool>,
}

/// How much of something must stay free.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Share {
    /// Of the disk, from 0 to 1.
    Fraction(f64),
    /// As such.
    Bytes(u64),
}

/// Everything that tidemill.toml says, typed.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `plant.name`.
    pub plant_name: String,
    /// `plant.timezone`.
    pub timezone: String,
    /// `http.listen`.
    pub http_listen: Vec<Listener>,
    /// `postgres.listen`.
    pub postgres_listen: Vec<Listener>,
    /// `flight.listen`.
    pub flight_listen: Vec<Listener>,
    /// The owner's certificate and its key, where both are named.
    pub tls_own: Option<(PathBuf, PathBuf)>,
    /// Names of this machine beside those that it knows.
    pub tls_names: Vec<Name>,
    /// `http.trusted_proxies`.
    pub trusted_proxies: Vec<Cidr>,
    /// `storage.commit_window`.
    pub commit_window: Duration,
    /// Whether `storage.durability` is relaxed.
    pub relaxed: bool,
    /// `None` is forever.
    pub keep: Option<Duration>,
    /// `storage.free_min`.
    pub free_min: Share,
    /// `storage.flush_after`.
    pub flush_after: Duration,
    /// The same while memory holds much beside the files.
    pub flush_young_after: Duration,
    /// Floats stay floats in history files, also where they are decimals.
    pub values_open: bool,
    /// `storage.merge_every`.
    pub merge_every: Duration,
    /// `None` is auto.
    pub memory_bytes: Option<u64>,
    /// `limits.signals`.
    pub signals: u64,
    /// `limits.signals_new_per_hour`.
    pub signals_new_per_hour: u64,
    /// `limits.text_sample_bytes`.
    pub text_sample_bytes: u64,
    /// `limits.query_time`.
    pub query_time: Duration,
    /// `None` is off.
    pub slow_query: Option<Duration>,
    /// `limits.query_rows`.
    pub query_rows: u64,
    /// `limits.future`; `None` is off.
    pub future: Option<Duration>,
    /// `limits.past`; `None` is off.
    pub past: Option<Duration>,
    /// `None` is off.
    pub figures_every: Option<Duration>,
    /// `None` is off.
    pub backup_age: Option<Duration>,
    /// Every `[zone.NAME]`.
    pub zones: Vec<Zone>,
}

impl Config {
    /// Every face that listens, by the key that says where.
    pub fn listeners(&self) -> [(&'static str, &[Listener]); 3] {
        [
            ("http.listen", &self.http_listen),
            ("postgres.listen", &self.postgres_listen),
            ("flight.listen", &self.flight_listen),
        ]
    }

    /// Whether a listener speaks TLS: beyond loopback each does whose zone is not plain.
    pub fn encrypts(&self, listener: &Listener) -> bool {
        let plain = listener.address.ip().is_loopback() || self.is_plain(listener);
        listener.tls.unwrap_or(!plain)
    }

    /// Whether a listener's zone is plain.
    fn is_plain(&self, listener: &Listener) -> bool {
        self.zones.iter().any(|zone| zone.plain && Some(&zone.name) == listener.zone.as_ref())
    }
}

/// The variables of the environment that are text; others are not ours.
pub fn environment() -> HashMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The name of the file that makes a folder a plant.
pub const PLANT_FILE: &str = "tidemill.toml";

/// Whether a folder is a plant.
pub fn is_plant(folder: &Path) -> bool {
    folder.join(PLANT_FILE).is_file()
}
