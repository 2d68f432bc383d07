//! Tidemill beside the programs that people would use instead: the same load over HTTP, the same questions, one program after
//! the other on the same machine. Processor time, memory and bytes are those of the server process alone. DuckDB and
//! chdb, which serve nobody, are asked the same questions over the same samples in tables of their own.

mod load;
mod program;
mod small;

use self::load::Load;
use self::program::{PROGRAMS, Program, QUESTIONS, Question};
use super::figure::{Figure, beside, figure, medians};
use super::process::{Process, quantile, size};
use super::stand::{ANSWER_MAX, CONNECTIONS, asked, ms, pour, scratch};
use crate::binary::{Binary, free_address};
use crate::http::{Answer, Client};
use crate::{partners, shell};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const ASKED: usize = 5;
/// A program that does less than this share of a core for so long has settled. Longer than each of them waits before it
/// writes to disk what is in memory.
const REST: Duration = Duration::from_secs(30);
const REST_SHARE: f64 = 0.02;
const SETTLE_MAX: Duration = Duration::from_secs(600);
const READY_MAX: Duration = Duration::from_secs(60);
/// How many requests are acknowledged before the kill that asks what became of them.
const KILLED_AFTER: usize = 10;

/// DuckDB and chdb in tables of their own, timed without their start.
const EMBEDDED: &str = include_str!("embedded.py");

/// How many samples are sent unless it is said.
pub(super) const SAMPLES: u64 = load::SAMPLES;

pub(super) fn run(binary: &Binary, samples: u64, times: u64) -> Result<(), String> {
    partners::for_bench()?;
    println!("making about {samples} samples");
    let load = Load::of(samples);
    let mut runs: Vec<Vec<Vec<Figure>>> = PROGRAMS.iter().map(|_| Vec::new()).collect();
    let mut embedded: Vec<Vec<Vec<Figure>>> = EMBEDDED_NAMES.iter().map(|_| Vec::new()).collect();
    for number in 1..=times {
        for (program, runs) in PROGRAMS.iter().zip(&mut runs) {
            println!("run {number} of {times}: {}", program.name);
            let mut figures = small::measured(program, binary)?;
            figures.extend(lost(program, binary, &load)?);
            let served = measured(program, binary, &load, &mut figures)?;
            runs.push(figures);
            if program.name == "Tidemill" {
                println!("run {number} of {times}: {}", EMBEDDED_NAMES.join(" and "));
                for (figures, runs) in embedded_beside(binary, &served, &load)?.into_iter().zip(&mut embedded)
                {
                    runs.push(figures);
                }
            }
        }
    }
    println!(
        "\n{} samples of {} signals; {CONNECTIONS} connections, 5,000 lines a request; medians of {times} (lowest to highest)",
        load.samples, load.signals
    );
    let names = PROGRAMS.iter().map(|program| program.name).chain(EMBEDDED_NAMES.iter().copied());
    let all: Vec<(&str, Vec<Figure>)> =
        names.zip(runs.iter().chain(&embedded).map(|runs| medians(runs))).collect();
    beside(&all);
    Ok(())
}

/// A program that runs on a folder; both go with this.
struct Served {
    program: &'static Program,
    child: Child,
    address: SocketAddr,
    token: String,
    folder: PathBuf,
    ready: Duration,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Served {
    fn start(program: &'static Program, binary: &Binary, folder: &Path) -> Result<Served, String> {
        let address = free_address().map_err(|error| format!("no free port: {error}"))?;
        let log = std::fs::File::create(folder.join("log")).map_err(|error| error.to_string())?;
        let mut command = (program.command)(binary, folder, address)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let began = Instant::now();
        let child = command.spawn().map_err(|error| format!("{}: {error}", program.name))?;
        let (token, folder) = (String::new(), folder.to_path_buf());
        let mut served = Served { program, child, address, token, folder, ready: Duration::ZERO };
        let mut client = served.client();
        while !client.get(program.ready).is_ok_and(|answer| (200..300).contains(&answer.status)) {
            if began.elapsed() > READY_MAX {
                return Err(format!("{} is not ready after {}", program.name, shell::spoken(READY_MAX)));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        served.ready = began.elapsed();
        if program.name == "Tidemill" {
            // One for each start: an older one is never shown again.
            let name = format!("bench-{}", address.port());
            served.token = binary.token(&served.folder.join("plant"), &name)?;
        }
        Ok(served)
    }

    /// Started once more on its folder after `end`.
    fn again(mut self, binary: &Binary, end: fn(&mut Served)) -> Result<Served, String> {
        end(&mut self);
        let folder = std::mem::take(&mut self.folder);
        let program = self.program;
        drop(self);
        Served::start(program, binary, &folder)
    }

    fn kill(&mut self) {
        // An error means that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop, and waits until it did.
    fn stop(&mut self) {
        let mut command = shell::program("kill");
        let asked = command.args(["-TERM", &self.child.id().to_string()]).status();
        if asked.is_ok_and(|asked| asked.success()) {
            let _ = self.child.wait();
        }
    }

    fn client(&self) -> Client {
        Client::new(self.address, &self.token, ANSWER_MAX)
    }

    fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// Waits until the program rests.
    fn settle(&self) -> Result<(), String> {
        let mut client = self.client();
        for target in self.program.flush {
            client.get(target).map_err(|error| error.to_string())?;
        }
        let began = Instant::now();
        let mut before = self.process().cpu()?;
        while began.elapsed() < SETTLE_MAX {
            std::thread::sleep(REST);
            let after = self.process().cpu()?;
            if (after - before).as_secs_f64() < REST.as_secs_f64() * REST_SHARE {
                return Ok(());
            }
            before = after;
        }
        Err(format!("{} did not come to rest within {}", self.program.name, shell::spoken(SETTLE_MAX)))
    }

    /// Asks once; how long it took, and what the answer counts.
    fn ask(&self, client: &mut Client, question: Question, load: &Load) -> Result<(Duration, u64), String> {
        let asked = (self.program.asked)(question, load);
        let began = Instant::now();
        let answer = match &asked.body {
            Some(body) => client.post(&asked.target, "application/json", body.as_bytes()),
            None => client.get(&asked.target),
        };
        let answer = answer.map_err(|error| format!("{}: {error}", self.program.name))?;
        let took = began.elapsed();
        let counted = (answer.status == 200).then(|| (self.program.counted)(question, &answer)).flatten();
        let counted = counted.ok_or_else(|| wrong(self.program.name, question, &answer))?;
        Ok((took, counted))
    }
}

fn wrong(name: &str, question: Question, answer: &Answer) -> String {
    let text: String = answer.text().chars().take(300).collect();
    format!("{name}, {}: {} {text}", question.name(), answer.status)
}

/// What is left of requests that were acknowledged before `kill -9`.
fn lost(program: &'static Program, binary: &Binary, load: &Load) -> Result<[Figure; 1], String> {
    let served = Served::start(program, binary, &scratch()?)?;
    let mut client = served.client();
    program::prepare(program, &mut client)?;
    let bodies = load.bodies.get(..KILLED_AFTER.min(load.bodies.len())).unwrap_or_default();
    pour(bodies, program.write, &|| served.client())?;
    let sent = bodies.iter().flatten().filter(|byte| **byte == b'\n').count() as u64;
    let served = served.again(binary, Served::kill)?;
    let found = match served.ask(&mut served.client(), Question::All, load) {
        Ok((_, found)) => found,
        // Nothing to count is no series at all.
        Err(_) => 0,
    };
    let gone = (sent - found.min(sent)) as f64;
    Ok([figure("acknowledged and gone after kill -9", gone, "", format!("of {sent}"))])
}

fn measured(
    program: &'static Program,
    binary: &Binary,
    load: &Load,
    figures: &mut Vec<Figure>,
) -> Result<Served, String> {
    let served = Served::start(program, binary, &scratch()?)?;
    let (process, samples) = (served.process(), load.samples as f64);
    let mut client = served.client();
    program::prepare(program, &mut client)?;
    // What a new store lays out once is not the samples'.
    served.settle()?;
    let idle = process.memory_bytes()?;
    let (cpu_before, written_before) = (process.cpu()?, process.written_bytes()?);
    let began = Instant::now();
    let acknowledged = pour(&load.bodies, program.write, &|| served.client())?;
    let took = began.elapsed();
    let cpu_acknowledged = process.cpu()?;
    served.settle()?;
    let cpu = |until: Duration| (until - cpu_before).as_secs_f64() * 1e6 / samples;
    let mb = |bytes: u64| bytes as f64 / 1e6;
    figures.extend([
        figure("acknowledged samples/s", samples / took.as_secs_f64(), "", ""),
        figure("CPU/sample until acknowledged", cpu(cpu_acknowledged), "µs", ""),
        figure("CPU/sample with flush and merge", cpu(process.cpu()?), "µs", "goal 0.75"),
        figure("acknowledgement p50", ms(quantile(&acknowledged, 0.5)), "ms", "goal 6"),
        figure("acknowledgement p99", ms(quantile(&acknowledged, 0.99)), "ms", "goal 1/4 VictoriaMetrics"),
        figure("memory, new and idle", mb(idle), "MB", "goal 60"),
        figure("memory at its peak", mb(process.memory_peak_bytes()?), "MB", "goal 600"),
        figure("bytes/sample on disk", on_disk(&served) as f64 / samples, "B", ""),
        figure("bytes/sample written", (process.written_bytes()? - written_before) as f64 / samples, "B", ""),
    ]);
    let settled = match program.name {
        "Tidemill" => table_bytes(&served.folder.join("plant/data/lake"))?,
        // They remove at once what was merged.
        _ => on_disk(&served),
    };
    figures.push(figure("bytes/sample settled", settled as f64 / samples, "B", "goal 3.8"));
    for question in QUESTIONS {
        let mut times = Vec::with_capacity(ASKED);
        for _ in 0..ASKED {
            let (took, counted) = served.ask(&mut client, question, load)?;
            let (least, most) = question.right(load);
            if !(least..=most).contains(&counted) {
                return Err(format!(
                    "{}, {}: it counts {counted}, not {least} to {most}",
                    program.name,
                    question.name()
                ));
            }
            times.push(took);
        }
        times.sort_unstable();
        figures.push(figure(question.name(), ms(quantile(&times, 0.5)), "ms", question.goal()));
    }
    if program.name == "Tidemill" {
        let files = super::house::duckdb(&served.folder.join("plant/data/lake"), load.samples)?;
        figures.push(figure("the same by DuckDB on the same files", ms(files), "ms", ""));
    }
    let served = served.again(binary, Served::kill)?;
    figures.push(figure("start to ready after kill -9", ms(served.ready), "ms", "goal 300"));
    let served = served.again(binary, Served::stop)?;
    figures.push(figure("start to ready after a stop", ms(served.ready), "ms", "goal 300"));
    Ok(served)
}

/// Bytes of all files of samples; without a log that is written over, which is there for any number of samples.
fn on_disk(served: &Served) -> u64 {
    match served.program.name {
        "Tidemill" => size(&served.folder.join("plant/data/lake"), &|_| true),
        _ => size(&served.folder.join("data"), &|_| true),
    }
}

/// Bytes of the files of which the table consists, by deltalake, and of its log; files that were merged stay for a day, for
/// those who still read them.
fn table_bytes(lake: &Path) -> Result<u64, String> {
    let mut command = shell::program(&partners::interpreter().to_string_lossy());
    command.args(["-c", TABLE_BYTES]).arg(lake.join("samples"));
    let said = shell::capture(command)?;
    let bytes: u64 = said.trim().parse().map_err(|_| said)?;
    Ok(bytes + size(lake, &|path| path.extension().is_none_or(|end| end != "parquet")))
}

const TABLE_BYTES: &str = "
import os, sys, deltalake
print(sum(os.path.getsize(file) for file in deltalake.DeltaTable(sys.argv[1]).file_uris()))
";

const EMBEDDED_NAMES: [&str; 2] = ["DuckDB", "chdb"];

/// The same samples, exported, in tables of DuckDB and of chdb.
fn embedded_beside(binary: &Binary, served: &Served, load: &Load) -> Result<Vec<Vec<Figure>>, String> {
    let export = served.folder.join("export.parquet");
    let answer = asked(&mut served.client(), "SELECT count(*) FROM samples")?;
    if answer.first().and_then(serde_json::Value::as_u64) != Some(load.samples) {
        return Err(format!("after a kill SQL counts {answer:?} of {} samples", load.samples));
    }
    let mut command = shell::program(&binary.path.to_string_lossy());
    command.arg("--plant").arg(served.folder.join("plant"));
    command
        .args(["read", "#", "--from", "2000-01-01", "--to", "now", "--format", "parquet", "--output"])
        .arg(&export);
    shell::capture(command)?;
    EMBEDDED_NAMES
        .iter()
        .map(|name| {
            let mut command = shell::program(&partners::interpreter().to_string_lossy());
            command.args(["-c", EMBEDDED, name]).arg(&export).arg(served.folder.join(name));
            command.args([ASKED.to_string(), load.slow.0.to_string(), load.slow.1.to_string()]);
            let said = shell::capture(command)?;
            let numbers: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            let [bytes, rest @ ..] = numbers.as_slice() else { return Err(said) };
            let mut figures = vec![figure("bytes/sample settled", bytes / load.samples as f64, "B", "")];
            for (question, pair) in QUESTIONS.iter().zip(rest.chunks_exact(2)) {
                let (least, most) = question.right(load);
                let (counted, seconds) =
                    (pair.first().copied().unwrap_or(0.0), pair.last().copied().unwrap_or(0.0));
                if !(least..=most).contains(&(counted as u64)) {
                    return Err(format!("{name}, {}: it counts {counted}", question.name()));
                }
                figures.push(figure(question.name(), seconds * 1e3, "ms", ""));
            }
            Ok(figures)
        })
        .collect()
}
