//! The whole house from outside: the release binary on a fresh plant, over HTTP. Every figure stands beside a limit or
//! another program measured in the same run. Peers that take line protocol come beside "write" when they are set up.
//! What the clients cost is not in any figure: processor time and memory are those of the server process alone.

use super::figure::{self, Figure, figure, medians};
use super::generate::{LINES, Plant};
use super::process::{Process, quantile, syncs};
use super::stand::{ANSWER_MAX, CONNECTIONS, Stand, WRITE, asked, ms, pour, write};
use crate::binary::Binary;
use crate::http::Client;
use crate::{partners, shell};
use std::path::Path;
use std::time::{Duration, Instant};

/// Each figure is the median of so many runs, each on a plant of its own.
const RUNS: usize = 3;
const LONE_WRITES: usize = 300;
const QUESTIONS: usize = 5;
/// Late enough that the load is over when the flush begins, so that one flush has all of it.
pub(super) const SETTINGS: &[(&str, &str)] = &[("TIDEMILL_STORAGE_FLUSH_AFTER", "20s")];

/// DuckDB's answer to the same question over the same files, timed without its start.
const DUCKDB: &str = include_str!("duckdb.py");

pub(super) fn run(binary: &Binary, samples: u64) -> Result<(), String> {
    println!("making {samples} samples");
    let bodies = Plant::new().bodies(samples, LINES);
    let mut runs = Vec::with_capacity(RUNS);
    for number in 1..=RUNS {
        println!("run {number} of {RUNS}: writing, and waiting until everything is in files");
        runs.push(written(binary, &bodies, samples)?);
    }
    println!(
        "\n{samples} samples; {CONNECTIONS} connections, {LINES} lines a request; median of {RUNS} (lowest to highest)"
    );
    figure::print(&medians(&runs));
    Ok(())
}

fn written(binary: &Binary, bodies: &[Vec<u8>], samples: u64) -> Result<Vec<Figure>, String> {
    let stand = Stand::new(binary, SETTINGS)?;
    let (running, first_ready) = stand.run()?;
    let (process, address) = (Process(running.id()), running.address);
    let token = stand.token()?;
    let mut client = Client::new(address, &token, ANSWER_MAX);
    let mut figures = Vec::new();
    lone(&stand, &mut client, &mut figures)?;
    // A new plant fills its first segments with zeros, once in its life.
    stand.settle(&running, &mut client)?;
    let cpu_before = process.cpu()?;
    let written_before = process.written_bytes()?;

    let began = Instant::now();
    let acknowledged = pour(bodies, WRITE, &|| Client::new(address, &token, ANSWER_MAX))?;
    let took = began.elapsed();
    let cpu_acknowledged = process.cpu()?;
    stand.settle(&running, &mut client)?;
    let cpu = |until: Duration| (until - cpu_before).as_secs_f64() * 1e6 / samples as f64;
    let each = |bytes: u64| bytes as f64 / samples as f64;
    let mib = (process.memory_peak_bytes()? >> 20) as f64;
    figures.extend([
        figure("acknowledged samples/s", samples as f64 / took.as_secs_f64(), "", ""),
        figure("CPU/sample until acknowledged", cpu(cpu_acknowledged), "µs", "floor of one thread: 0.12"),
        figure("CPU/sample with flush, settled", cpu(process.cpu()?), "µs", "goal 0.75"),
        figure("acknowledgement p50", ms(quantile(&acknowledged, 0.5)), "ms", "goal 6"),
        figure("acknowledgement p99", ms(quantile(&acknowledged, 0.99)), "ms", "goal 40"),
        figure("memory at its peak", mib, "MiB", "goal 600 MB"),
        figure("bytes/sample of samples' files", each(stand.samples_bytes()), "B", "goal 3.5"),
        figure("bytes/sample of the whole lake", each(stand.lake_bytes()), "B", "goal 3.8"),
        figure(
            "bytes/sample written to disk",
            each(process.written_bytes()? - written_before),
            "B",
            "goal 26",
        ),
        figure(
            "written once by a new plant",
            (written_before >> 20) as f64,
            "MiB",
            "zeros of its first segments",
        ),
    ]);
    questions(&stand, &mut client, samples, &mut figures)?;
    let stopped = running.stop()?;
    let (running, ready) = stand.run()?;
    running.stop()?;
    figures.push(figure("start to ready, new plant", ms(first_ready), "ms", ""));
    figures.push(figure("start to ready, with this data", ms(ready), "ms", "goal 300"));
    figures.push(figure("SIGTERM to end", ms(stopped), "ms", ""));
    Ok(figures)
}

/// One sample at a time on one connection, beside what the disk takes for the same in the same minute.
fn lone(stand: &Stand, client: &mut Client, figures: &mut Vec<Figure>) -> Result<(), String> {
    let mut times = Vec::with_capacity(LONE_WRITES);
    let mut probes = syncs(&stand.folder, LONE_WRITES / 2)?;
    for number in 0..LONE_WRITES {
        let line = format!("bench/lone value={number}\n");
        times.push(write(client, WRITE, line.as_bytes())?);
    }
    probes.extend(syncs(&stand.folder, LONE_WRITES / 2)?);
    times.sort_unstable();
    probes.sort_unstable();
    let (mine, disk) = (quantile(&times, 0.5), quantile(&probes, 0.5));
    let times_disk = mine.as_secs_f64() / disk.as_secs_f64();
    let beside =
        format!("{times_disk:.2} fdatasync of {:.2} ms; journal's goal 1.1, HTTP comes on top", ms(disk));
    figures.push(figure("a lone write, p50", ms(mine), "ms", beside));
    Ok(())
}

/// Count and mean over everything, by SQL here and by DuckDB on the same files.
fn questions(
    stand: &Stand,
    client: &mut Client,
    samples: u64,
    figures: &mut Vec<Figure>,
) -> Result<(), String> {
    let mut times = Vec::new();
    for _ in 0..QUESTIONS {
        let began = Instant::now();
        let row = asked(client, "SELECT count(*), avg(value) FROM samples WHERE signal <> 'bench/lone'")?;
        times.push(began.elapsed());
        if row.first().and_then(serde_json::Value::as_u64) != Some(samples) {
            return Err(format!("SQL counts {row:?} of {samples} samples"));
        }
    }
    times.sort_unstable();
    let mine = quantile(&times, 0.5);
    let beside = match duckdb(&stand.lake(), samples) {
        Ok(theirs) => {
            format!("DuckDB {:.0} ms: {:.2} of it", ms(theirs), mine.as_secs_f64() / theirs.as_secs_f64())
        }
        Err(why) => format!("DuckDB not measured: {why}"),
    };
    figures.push(figure("SQL count and mean of all", ms(mine), "ms", beside));
    Ok(())
}

/// How long DuckDB takes for the count and the mean of the table in a lake.
pub(super) fn duckdb(lake: &Path, samples: u64) -> Result<Duration, String> {
    let mut command = shell::program(&partners::interpreter().to_string_lossy());
    command.args(["-c", DUCKDB]).arg(lake.join("samples")).arg(QUESTIONS.to_string());
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
