//! A plant for measuring: the binary on a fresh folder on the disk of the checkout, load over several connections, and
//! the moment when it has settled. What is measured is the matter of each bench.

use super::process::{Process, size};
use crate::binary::{Binary, Running, Start};
use crate::http::{Answer, Client};
use crate::shell;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(super) const CONNECTIONS: usize = 4;
/// Where Tidemill takes lines.
pub(super) const WRITE: &str = "/api/v1/write";
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(120);
const SETTLE_MAX: Duration = Duration::from_secs(300);
/// A plant that does less than this share of a core, and changes no file, for so long, has settled.
const QUIET: Duration = Duration::from_secs(5);
const QUIET_SHARE: f64 = 0.02;
/// How long a client waits that is told to slow down.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// Its folder goes when this does.
pub(super) struct Stand {
    pub binary: Binary,
    pub folder: PathBuf,
    pub start: Start,
}

/// A new folder on the disk of the checkout; whoever asks removes it.
pub(super) fn scratch() -> Result<PathBuf, String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("bench-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
    // Not the folder for temporary files, which may be memory: syncs must be real.
    let folder = shell::root().join("target").join(name);
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

impl Drop for Stand {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Stand {
    pub(super) fn new(binary: &Binary, settings: &[(&str, &str)]) -> Result<Stand, String> {
        let folder = scratch()?;
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let start = Start { plant: folder.join("plant"), log: folder.join("log"), settings };
        Ok(Stand { binary: binary.clone(), folder, start })
    }

    pub(super) fn run(&self) -> Result<(Running, Duration), String> {
        let mut running = self.binary.start(&self.start)?;
        let ready = running.wait_ready()?;
        Ok((running, ready))
    }

    pub(super) fn token(&self) -> Result<String, String> {
        self.binary.token(&self.start.plant, "bench")
    }

    pub(super) fn lake(&self) -> PathBuf {
        self.start.plant.join("data/lake")
    }

    /// Bytes of the files of samples; the table's log is counted apart.
    pub(super) fn samples_bytes(&self) -> u64 {
        size(&self.lake().join("samples"), &|path| path.extension().is_some_and(|end| end == "parquet"))
    }

    /// Bytes of the whole lake.
    pub(super) fn lake_bytes(&self) -> u64 {
        size(&self.lake(), &|_| true)
    }

    /// Entries of the table's log.
    pub(super) fn commits(&self) -> usize {
        let entries = std::fs::read_dir(self.lake().join("samples/_delta_log"));
        let is_entry = |path: PathBuf| path.extension().is_some_and(|end| end == "json");
        entries.map_or(0, |entries| entries.flatten().filter(|entry| is_entry(entry.path())).count())
    }

    /// Bytes of the log.
    pub(super) fn journal_bytes(&self) -> u64 {
        let is_segment = |path: &Path| path.extension().is_some_and(|end| end == "segment");
        size(&self.start.plant.join("data/journal"), &is_segment)
    }

    /// Waits until nothing is left in memory that belongs into files, and the plant rests: it neither computes nor writes.
    pub(super) fn settle(&self, running: &Running, client: &mut Client) -> Result<(), String> {
        let process = Process(running.id());
        let began = Instant::now();
        let look = || Ok::<_, String>((process.cpu()?, process.written_bytes()?));
        let mut before = look()?;
        while began.elapsed() < SETTLE_MAX {
            std::thread::sleep(QUIET);
            let after = look()?;
            let busy = (after.0 - before.0).as_secs_f64() / QUIET.as_secs_f64();
            if busy < QUIET_SHARE
                && after.1 == before.1
                && metric(client, "tidemill_historian_buffer_rows")? == 0.0
            {
                return Ok(());
            }
            before = after;
        }
        Err(format!("the plant did not come to rest within {}", shell::spoken(SETTLE_MAX)))
    }
}

/// A number of the plant's own metrics.
pub(super) fn metric(client: &mut Client, name: &str) -> Result<f64, String> {
    let text = client.get("/metrics").map_err(|error| format!("/metrics: {error}"))?.text();
    let number = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    number.ok_or_else(|| format!("/metrics has no {name}"))
}

/// The first row of an answer to SQL.
pub(super) fn asked(client: &mut Client, query: &str) -> Result<Vec<serde_json::Value>, String> {
    let body = serde_json::json!({ "query": query }).to_string();
    let answer = client.post("/api/v1/sql", "application/json", body.as_bytes());
    let said = answer.map_err(|error| format!("{query}: {error}"))?.text();
    let document: serde_json::Value =
        serde_json::from_str(&said).map_err(|error| format!("{said}: {error}"))?;
    let row = document.pointer("/rows/0").and_then(serde_json::Value::as_array);
    row.cloned().ok_or_else(|| format!("{query}: {said}"))
}

pub(super) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// All bodies over all connections; the time to each acknowledgement, sorted.
pub(super) fn pour(
    bodies: &[Vec<u8>],
    target: &str,
    client: &(dyn Fn() -> Client + Sync),
) -> Result<Vec<Duration>, String> {
    let next = AtomicUsize::new(0);
    let times = Mutex::new(Vec::with_capacity(bodies.len()));
    let work = || {
        let mut client = client();
        let mut mine = Vec::new();
        while let Some(body) = bodies.get(next.fetch_add(1, Ordering::SeqCst)) {
            mine.push(write(&mut client, target, body)?);
        }
        if let Ok(mut times) = times.lock() {
            times.extend(mine);
        }
        Ok(())
    };
    let outcomes: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a connection panicked".into())))
            .collect()
    });
    outcomes.into_iter().collect::<Result<(), String>>()?;
    let mut times = times.into_inner().unwrap_or_default();
    times.sort_unstable();
    Ok(times)
}

/// Writes lines until they are acknowledged; how long the request took that was. Told to slow down, the wait is the
/// load's, and the repeat is measured anew.
pub(super) fn write(client: &mut Client, target: &str, lines: &[u8]) -> Result<Duration, String> {
    let first = Instant::now();
    loop {
        let began = Instant::now();
        let answer = client.post(target, "text/plain", lines).map_err(|error| error.to_string())?;
        match answer {
            Answer { status: 204, .. } => return Ok(began.elapsed()),
            Answer { status: 429 | 503, .. } if first.elapsed() < SETTLE_MAX => {
                std::thread::sleep(RETRY_AFTER)
            }
            other => return Err(format!("{} {}", other.status, other.text())),
        }
    }
}
