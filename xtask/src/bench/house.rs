//! The whole house from outside: the release binary on a fresh plant, over HTTP. Every figure stands beside a limit or
//! another program measured in the same run. Peers that take line protocol come beside "write" when they are set up.

use super::generate::{LINES, Plant};
use super::process::{Process, quantile, size, syncs};
use crate::binary::{Binary, Running, Start};
use crate::http::Client;
use crate::shell;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 4;
const LONE_WRITES: usize = 300;
const QUESTIONS: usize = 5;
/// Late enough that the load is over when the flush begins, so that one flush has all of it.
const FLUSH_AFTER: &str = "20s";
const SETTLE_MAX: Duration = Duration::from_secs(300);
/// A plant that does less than this share of a core, and changes no file, for so long, has settled.
const QUIET: Duration = Duration::from_secs(5);
const QUIET_SHARE: f64 = 0.02;
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// DuckDB's answer to the same question over the same files, timed without its start.
const DUCKDB: &str = include_str!("duckdb.py");

/// A figure, and what it is to be seen beside.
struct Figure {
    name: &'static str,
    value: String,
    beside: String,
}

fn figure(name: &'static str, value: impl Into<String>, beside: impl Into<String>) -> Figure {
    Figure { name, value: value.into(), beside: beside.into() }
}

/// A plant for measuring; its folder goes when this does.
struct Stand {
    binary: Binary,
    folder: PathBuf,
    start: Start,
}

impl Drop for Stand {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Stand {
    fn new(binary: Binary) -> Result<Stand, String> {
        // Not the folder for temporary files, which may be memory: syncs must be real.
        let folder = shell::root().join("target").join(format!("bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let settings = vec![("TIDEMILL_STORAGE_FLUSH_AFTER".to_owned(), FLUSH_AFTER.to_owned())];
        let start = Start { plant: folder.join("plant"), log: folder.join("log"), settings };
        Ok(Stand { binary, folder, start })
    }

    fn run(&self) -> Result<(Running, Duration), String> {
        let mut running = self.binary.start(&self.start)?;
        let ready = running.wait_ready()?;
        Ok((running, ready))
    }

    fn lake(&self) -> PathBuf {
        self.start.plant.join("data/lake")
    }

    /// Waits until everything is in files and the plant rests.
    fn settle(&self, process: Process) -> Result<(), String> {
        let began = Instant::now();
        let look = || Ok::<_, String>((process.cpu()?, size(&self.lake(), &|_| true)));
        let mut before = look()?;
        while began.elapsed() < SETTLE_MAX {
            std::thread::sleep(QUIET);
            let after = look()?;
            let busy = (after.0 - before.0).as_secs_f64() / QUIET.as_secs_f64();
            if busy < QUIET_SHARE && after.1 == before.1 && samples_bytes(&self.lake()) > 0 {
                return Ok(());
            }
            before = after;
        }
        Err(format!("the plant did not come to rest within {}", shell::spoken(SETTLE_MAX)))
    }
}

/// Bytes of the files of samples; the table's log is counted apart.
fn samples_bytes(lake: &Path) -> u64 {
    size(&lake.join("samples"), &|path| path.extension().is_some_and(|end| end == "parquet"))
}

pub(super) fn run(binary: Binary, samples: u64, import: Option<&str>) -> Result<(), String> {
    let figures = match import {
        Some(folder) => imported(binary, Path::new(folder))?,
        None => written(binary, samples)?,
    };
    println!();
    for Figure { name, value, beside } in figures {
        println!("{name:<34} {value:>22}   {beside}");
    }
    Ok(())
}

fn written(binary: Binary, samples: u64) -> Result<Vec<Figure>, String> {
    let stand = Stand::new(binary)?;
    println!("making {samples} samples");
    let bodies = Plant::new().bodies(samples);
    let (running, first_ready) = stand.run()?;
    let (process, address) = (Process(running.id()), running.address);
    let token = stand.binary.token(&stand.start.plant, "bench")?;
    let mut figures = Vec::new();
    lone(&stand, &mut Client::new(address, &token, ANSWER_MAX), &mut figures)?;
    let cpu_before = process.cpu()?;
    let written_before = process.written_bytes()?;

    println!("writing");
    let began = Instant::now();
    let acknowledged = pour(&bodies, &|| Client::new(address, &token, ANSWER_MAX))?;
    let took = began.elapsed();
    let cpu_acknowledged = process.cpu()?;
    println!("waiting for the flush");
    stand.settle(process)?;
    let cpu = |until: Duration| (until - cpu_before).as_secs_f64() * 1e6 / samples as f64;
    let each = |bytes: u64| format!("{:.2}", bytes as f64 / samples as f64);
    let rate = samples as f64 / took.as_secs_f64();
    figures.extend([
        figure(
            "acknowledged samples/s",
            format!("{rate:.0}"),
            format!("{CONNECTIONS} connections, {LINES} lines a request"),
        ),
        figure(
            "CPU µs/sample until acknowledged",
            format!("{:.3}", cpu(cpu_acknowledged)),
            "floor of one thread: 0.12",
        ),
        figure("CPU µs/sample with flush", format!("{:.3}", cpu(process.cpu()?)), "goal 0.75"),
        figure(
            "acknowledgement p50 / p99",
            format!("{:.1} / {:.1} ms", ms(quantile(&acknowledged, 0.5)), ms(quantile(&acknowledged, 0.99))),
            "goal 6 / 40 ms",
        ),
        figure("memory at its peak", format!("{} MiB", process.memory_peak_bytes()? >> 20), "goal 600 MB"),
        figure("bytes/sample of samples' files", each(samples_bytes(&stand.lake())), "goal 3.5"),
        figure("bytes/sample of the whole lake", each(size(&stand.lake(), &|_| true)), "goal 3.8"),
        figure("written bytes/sample", each(process.written_bytes()? - written_before), "goal 26"),
    ]);
    questions(&stand, &mut Client::new(address, &token, ANSWER_MAX), samples, &mut figures)?;
    let stopped = running.stop()?;
    let (running, ready) = stand.run()?;
    running.stop()?;
    figures.push(figure("start to ready, new plant", format!("{:.0} ms", ms(first_ready)), ""));
    figures.push(figure("start to ready, with this data", format!("{:.0} ms", ms(ready)), "goal 300 ms"));
    figures.push(figure("SIGTERM to end", format!("{:.0} ms", ms(stopped)), ""));
    Ok(figures)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// All bodies over all connections; the time to each acknowledgement, sorted.
fn pour(bodies: &[Vec<u8>], client: &(dyn Fn() -> Client + Sync)) -> Result<Vec<Duration>, String> {
    let next = AtomicUsize::new(0);
    let times = Mutex::new(Vec::with_capacity(bodies.len()));
    let work = || {
        let mut client = client();
        let mut mine = Vec::new();
        while let Some(body) = bodies.get(next.fetch_add(1, Ordering::SeqCst)) {
            loop {
                let began = Instant::now();
                let answer =
                    client.post("/api/v1/write", "text/plain", body).map_err(|error| error.to_string())?;
                match answer.status {
                    204 => mine.push(began.elapsed()),
                    // Told to slow down: the wait is the load's, the repeat is measured anew.
                    429 | 503 => {
                        std::thread::sleep(Duration::from_millis(20));
                        continue;
                    }
                    _ => return Err(format!("{} {}", answer.status, answer.text())),
                }
                break;
            }
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

/// One sample at a time on one connection, beside what the disk takes for the same in the same minute.
fn lone(stand: &Stand, client: &mut Client, figures: &mut Vec<Figure>) -> Result<(), String> {
    let mut times = Vec::with_capacity(LONE_WRITES);
    let mut probes = syncs(&stand.folder, LONE_WRITES / 2)?;
    for number in 0..LONE_WRITES {
        let line = format!("bench/lone value={number}\n");
        let began = Instant::now();
        let answer =
            client.post("/api/v1/write", "text/plain", line.as_bytes()).map_err(|error| error.to_string())?;
        if answer.status != 204 {
            return Err(format!("{} {}", answer.status, answer.text()));
        }
        times.push(began.elapsed());
    }
    probes.extend(syncs(&stand.folder, LONE_WRITES / 2)?);
    times.sort_unstable();
    probes.sort_unstable();
    let (mine, disk) = (quantile(&times, 0.5), quantile(&probes, 0.5));
    figures.push(figure(
        "a lone write, p50",
        format!("{:.2} ms", ms(mine)),
        format!(
            "{:.2} fdatasync of {:.2} ms; journal's goal 1.1, HTTP comes on top",
            mine.as_secs_f64() / disk.as_secs_f64(),
            ms(disk)
        ),
    ));
    Ok(())
}

/// Count and mean over everything, by SQL here and by DuckDB on the same files.
fn questions(
    stand: &Stand,
    client: &mut Client,
    samples: u64,
    figures: &mut Vec<Figure>,
) -> Result<(), String> {
    let query = "SELECT count(*), avg(value) FROM samples WHERE signal <> 'bench/lone'";
    let body = serde_json::json!({ "query": query }).to_string();
    let mut times = Vec::new();
    let mut said = String::new();
    for _ in 0..QUESTIONS {
        let began = Instant::now();
        let answer = client
            .post("/api/v1/sql", "application/json", body.as_bytes())
            .map_err(|error| error.to_string())?;
        times.push(began.elapsed());
        said = answer.text();
    }
    let document: serde_json::Value =
        serde_json::from_str(&said).map_err(|error| format!("{said}: {error}"))?;
    let counted = document.pointer("/rows/0/0").and_then(serde_json::Value::as_u64);
    if counted != Some(samples) {
        return Err(format!("SQL counts {counted:?} of {samples} samples: {said}"));
    }
    times.sort_unstable();
    let mine = quantile(&times, 0.5);
    let beside = match duckdb(stand, samples) {
        Ok(theirs) => {
            format!("DuckDB {:.0} ms: {:.2} of it", ms(theirs), mine.as_secs_f64() / theirs.as_secs_f64())
        }
        Err(why) => format!("DuckDB not measured: {why}"),
    };
    figures.push(figure("SQL count and mean of all", format!("{:.0} ms", ms(mine)), beside));
    Ok(())
}

fn duckdb(stand: &Stand, samples: u64) -> Result<Duration, String> {
    let partners = std::env::var_os("TIDEMILL_PARTNERS").map(PathBuf::from);
    let python = partners.unwrap_or_else(|| shell::root().join(".partners")).join("python/bin/python");
    let mut command = shell::program(&python.to_string_lossy());
    command.args(["-c", DUCKDB]).arg(stand.lake().join("samples")).arg(QUESTIONS.to_string());
    let said =
        shell::capture(command).map_err(|error| error.lines().last().unwrap_or_default().to_owned())?;
    let mut words = said.split_whitespace();
    let (count, seconds) = (words.next(), words.next());
    if count.and_then(|count| count.parse().ok()) != Some(samples) {
        return Err(format!("it counts {count:?} of {samples} samples"));
    }
    let seconds = seconds.and_then(|seconds| seconds.parse().ok()).ok_or("it gave no time")?;
    Ok(Duration::from_secs_f64(seconds))
}

/// CSV files of others: how long `import` takes, and how large they become.
fn imported(binary: Binary, folder: &Path) -> Result<Vec<Figure>, String> {
    let files = csv_files(folder);
    let csv_bytes: u64 = files.iter().filter_map(|path| path.metadata().ok()).map(|about| about.len()).sum();
    let stand = Stand::new(binary)?;
    let (running, _) = stand.run()?;
    let process = Process(running.id());
    let token = stand.binary.token(&stand.start.plant, "bench")?;
    let began = Instant::now();
    for file in &files {
        let name = file.strip_prefix(folder).unwrap_or(file).with_extension("");
        let name: String =
            name.to_string_lossy().chars().map(|c| if "+#*".contains(c) { '_' } else { c }).collect();
        let mut import = shell::program(&stand.binary.path.to_string_lossy());
        import.arg("--plant").arg(&stand.start.plant).arg("import").arg(file).args(["--prefix", &name]);
        if let Err(error) = shell::capture(import) {
            println!("{}: {error}", file.display());
        }
    }
    let took = began.elapsed();
    stand.settle(process)?;
    let mut client = Client::new(running.address, &token, ANSWER_MAX);
    let body = br#"{"query": "SELECT count(*) FROM samples"}"#;
    let answer =
        client.post("/api/v1/sql", "application/json", body).map_err(|error| error.to_string())?.text();
    let document: serde_json::Value =
        serde_json::from_str(&answer).map_err(|error| format!("{answer}: {error}"))?;
    let samples = document.pointer("/rows/0/0").and_then(serde_json::Value::as_u64).unwrap_or(0).max(1);
    running.stop()?;
    let each = |bytes: u64| format!("{:.2}", bytes as f64 / samples as f64);
    Ok(vec![
        figure("files / samples", format!("{} / {samples}", files.len()), shell::spoken(took)),
        figure("bytes/sample of the CSV", each(csv_bytes), ""),
        figure("bytes/sample of samples' files", each(samples_bytes(&stand.lake())), ""),
        figure("bytes/sample of the whole lake", each(size(&stand.lake(), &|_| true)), ""),
    ])
}

fn csv_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            files.extend(csv_files(&path));
        } else if path.extension().is_some_and(|end| end == "csv") {
            files.push(path);
        }
    }
    files.sort();
    files
}
