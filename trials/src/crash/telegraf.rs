//! `crash --telegraf`: agents as Telegraf runs them, with batches of a thousand metrics, five tags, gzip and buffers that hold
//! what is not acknowledged, while the plant is killed twice. At the end every metric that was collected is there, once, and
//! no agent was told anything upon which Telegraf drops data. What Telegraf does with an answer stands in [`told`].

use super::Options;
use super::audit::Auditor;
use super::check::Findings;
use super::foreign::Foreign;
use super::load::NANOS_PER_SECOND;
use super::place::make_folder;
use crate::binary::{Binary, Running, Start};
use crate::dice::Dice;
use crate::http::{Answer, Client, Content};
use crate::shell;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Agents at once; every other one uses the output for InfluxDB 2.
const AGENTS: u64 = 4;
/// Metrics that an agent collects at once, and the most it sends at once (`metric_batch_size`).
const METRICS: u64 = 1_000;
/// `interval` and `flush_interval`.
const INTERVAL: Duration = Duration::from_secs(1);
/// `metric_buffer_limit`: an agent that has more drops the oldest.
const BUFFER_MAX: usize = 200_000;
/// `timeout`.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long agents may take to send what they hold once nothing is collected any more.
const DRAIN_MAX: Duration = Duration::from_secs(120);
/// How often the plant is killed.
const KILLS: u32 = 2;
/// How long it then stays away, at least and at most.
const AWAY_MS: (u64, u64) = (500, 6_000);
/// A kill waits so long for a request that is under way.
const UNDER_WAY_MAX: Duration = Duration::from_secs(10);
/// The measurements; each metric has one.
const MEASUREMENTS: [&str; 4] = ["cpu", "disk", "modbus", "opcua"];
/// Fields of each metric: a float and an integer.
const FIELDS: u64 = 2;
/// By these words in a 5xx Telegraf's output for InfluxDB 1 drops a batch.
const DROPPED_BY_WORDS: [&str; 5] = [
    "hinted handoff queue not empty",
    "partial write",
    "points beyond retention policy",
    "retention policy not found",
    "unable to parse",
];
/// How long the flush of the last samples may take before the lake is read by others.
const SETTLE_MAX: Duration = Duration::from_secs(90);

/// One metric: when it was collected, and which it is.
#[derive(Clone, Copy)]
struct Metric {
    tick: u64,
    index: u64,
}

/// What an agent makes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Done,
    /// It keeps the batch and sends it again.
    Again,
    /// It drops the batch.
    Drop,
}

/// As outputs.influxdb (version 1) and outputs.influxdb_v2 judge an answer.
fn told(version: u64, answer: &Answer) -> Told {
    let status = answer.status;
    if status == 204 || version == 2 && (200..=208).contains(&status) {
        return Told::Done;
    }
    let json: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    match version {
        // What is no JSON is not understood, and kept.
        1 if json.is_none() && !answer.body.is_empty() => Told::Again,
        1 if (400..500).contains(&status) => Told::Drop,
        1 if DROPPED_BY_WORDS.iter().any(|words| answer.text().contains(words)) => Told::Drop,
        2 if (400..500).contains(&status) && ![401, 403, 413, 429].contains(&status) => Told::Drop,
        _ => Told::Again,
    }
}

/// What all agents and the one who kills share.
struct Stage {
    address: Mutex<SocketAddr>,
    token: String,
    /// When the first metrics are from, ns UTC.
    origin: i64,
    under_way: AtomicU64,
    is_over: AtomicBool,
}

impl Stage {
    fn address(&self) -> SocketAddr {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of an agent's metrics.
#[derive(Default)]
struct Report {
    ticks: u64,
    acknowledged: u64,
    again: u64,
    dropped: u64,
    faults: Vec<String>,
}

struct Agent<'a> {
    stage: &'a Stage,
    number: u64,
    client: Client,
    connected: SocketAddr,
    buffer: VecDeque<Metric>,
    report: Report,
}

impl<'a> Agent<'a> {
    fn new(stage: &'a Stage, number: u64) -> Agent<'a> {
        let connected = stage.address();
        let client = Client::new(connected, &stage.token, ANSWER_MAX);
        Agent { stage, number, client, connected, buffer: VecDeque::new(), report: Report::default() }
    }

    fn version(&self) -> u64 {
        1 + self.number % 2
    }

    /// Collects and sends until it is over, then sends what is left.
    fn work(mut self) -> Report {
        let began = Instant::now();
        while !self.stage.is_over.load(Ordering::SeqCst) {
            let tick = self.report.ticks;
            self.report.ticks += 1;
            self.buffer.extend((0..METRICS).map(|index| Metric { tick, index }));
            while self.buffer.len() > BUFFER_MAX {
                self.buffer.pop_front();
                self.report.dropped += 1;
            }
            self.flush();
            let next = INTERVAL * u32::try_from(self.report.ticks).unwrap_or(u32::MAX);
            std::thread::sleep(next.saturating_sub(began.elapsed()));
        }
        let until = Instant::now() + DRAIN_MAX;
        while !self.buffer.is_empty() && Instant::now() < until {
            self.flush();
            std::thread::sleep(INTERVAL / 4);
        }
        if !self.buffer.is_empty() {
            self.report.faults.push(format!(
                "agent {} still holds {} metrics",
                self.number,
                self.buffer.len()
            ));
        }
        self.report
    }

    /// Sends the oldest metrics batch by batch, until one is not taken.
    fn flush(&mut self) {
        while !self.buffer.is_empty() {
            let batch = self.buffer.len().min(METRICS as usize);
            match self.send(batch) {
                Told::Done => self.report.acknowledged += batch as u64,
                Told::Again => {
                    self.report.again += 1;
                    return;
                }
                Told::Drop => self.report.dropped += batch as u64,
            }
            self.buffer.drain(..batch);
        }
    }

    fn send(&mut self, batch: usize) -> Told {
        if self.connected != self.stage.address() {
            self.connected = self.stage.address();
            self.client = Client::new(self.connected, &self.stage.token, ANSWER_MAX);
        }
        let Ok(body) = gzip(&self.lines(batch)) else { return Told::Again };
        let target = match self.version() {
            1 => "/write?consistency=any&db=telegraf",
            _ => "/api/v2/write?bucket=telegraf&org=acme",
        };
        let content = Content {
            media_type: "text/plain; charset=utf-8",
            coding: "gzip",
            body: &body,
            ..Content::default()
        };
        self.stage.under_way.fetch_add(1, Ordering::SeqCst);
        let answer = self.client.send("POST", target, &content);
        self.stage.under_way.fetch_sub(1, Ordering::SeqCst);
        // Refused, cut or too slow: it is kept.
        let Ok(answer) = answer else { return Told::Again };
        let told = told(self.version(), &answer);
        if told == Told::Drop {
            let words = format!("agent {} was told {}: {}", self.number, answer.status, answer.text());
            self.report.faults.push(words);
        }
        told
    }

    fn lines(&self, batch: usize) -> String {
        let mut out = String::new();
        for metric in self.buffer.iter().take(batch) {
            let measurement = MEASUREMENTS[(metric.index % MEASUREMENTS.len() as u64) as usize];
            let time = self.stage.origin + metric.tick as i64 * NANOS_PER_SECOND;
            let written = writeln!(
                out,
                "crash/{measurement},dc=leeds,host=edge{},rack=r3,site=acme,unit=u{} load={}.25,parts={}i {time}",
                self.number, metric.index, metric.tick, metric.tick
            );
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
        }
        out
    }
}

fn gzip(text: &str) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}

/// One run of so many seconds. The error says what was found.
pub(super) fn run(binary: &Binary, options: &Options, seconds: u64, folder: &Path) -> Result<(), String> {
    let folder = folder.join("telegraf");
    make_folder(&folder)?;
    let start = Start {
        plant: folder.join("plant"),
        log: folder.join("plant.log"),
        settings: [("TIDEMILL_STORAGE_FLUSH_AFTER", "10s"), ("TIDEMILL_LIMITS_QUERY_TIME", "150s")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
    };
    let mut running = started(binary, &start)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(|error| error.to_string())?;
    let stage = Stage {
        address: Mutex::new(running.address),
        token: binary.token(&start.plant, "telegraf")?,
        origin: i64::try_from(now.as_secs()).map_err(|error| error.to_string())? * NANOS_PER_SECOND,
        under_way: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
    };
    let (reports, ended) = std::thread::scope(|scope| {
        let agents: Vec<_> = (0..AGENTS)
            .map(|number| {
                let agent = Agent::new(&stage, number);
                scope.spawn(move || agent.work())
            })
            .collect();
        let ended =
            kill_now_and_then(binary, &start, &stage, running, Duration::from_secs(seconds), options.seed);
        stage.is_over.store(true, Ordering::SeqCst);
        let reports: Vec<Report> = agents.into_iter().filter_map(|agent| agent.join().ok()).collect();
        (reports, ended)
    });
    running = ended?;
    let mut findings = Findings::default();
    let mut auditor = Auditor::new(running.address, &stage.token);
    for (number, report) in (0_u64..).zip(&reports) {
        report.faults.iter().for_each(|fault| findings.other(fault.clone()));
        audit(&mut auditor, &stage, number, report.ticks, &mut findings)?;
    }
    if reports.len() as u64 != AGENTS {
        findings.other("an agent of the harness panicked".into());
    }
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    let samples = sum(|report| report.ticks) * METRICS * FIELDS;
    let counted = auditor.count()?;
    running.stop()?;
    let others = by_others(binary, &start, &folder, counted, &mut findings)?;
    println!(
        "telegraf: {seconds} s, {AGENTS} agents, killed {KILLS} times, seed {}: {} metrics collected, {} acknowledged, sent again {} times, dropped {}; \
         {samples} samples, SQL counts {counted}; DuckDB and deltalake: {others}; lost {}, twice {}, other {}",
        options.seed,
        sum(|report| report.ticks) * METRICS,
        sum(|report| report.acknowledged),
        sum(|report| report.again),
        sum(|report| report.dropped),
        findings.lost,
        findings.twice,
        findings.other,
    );
    if sum(|report| report.again) == 0 {
        findings.other("no batch was ever sent again: the kills hit nothing".into());
    }
    findings.examples.iter().for_each(|words| println!("telegraf: {words}"));
    if findings.total() == 0 { Ok(()) } else { Err(format!("{} findings", findings.total())) }
}

fn started(binary: &Binary, start: &Start) -> Result<Running, String> {
    let mut running = binary.start(start)?;
    running
        .wait_ready()
        .map_err(|error| format!("the plant does not start: {error}; see {}", start.log.display()))?;
    Ok(running)
}

/// Kills the plant with requests under way, at moments spread over the time, and starts it again after a while.
fn kill_now_and_then(
    binary: &Binary,
    start: &Start,
    stage: &Stage,
    mut running: Running,
    length: Duration,
    seed: u64,
) -> Result<Running, String> {
    let (began, mut dice) = (Instant::now(), Dice::of(seed, &[u64::MAX, 7]));
    for kill in 0..KILLS {
        let share = (f64::from(kill) + 0.5 + dice.share() / 2.0) / f64::from(KILLS + 1);
        std::thread::sleep(length.mul_f64(share).saturating_sub(began.elapsed()));
        let waited = Instant::now();
        while stage.under_way.load(Ordering::SeqCst) == 0 && waited.elapsed() < UNDER_WAY_MAX {
            std::thread::sleep(Duration::from_millis(1));
        }
        running.kill();
        std::thread::sleep(Duration::from_millis(dice.between(AWAY_MS.0, AWAY_MS.1)));
        running = started(binary, start)?;
        *stage.address.lock().unwrap_or_else(PoisonError::into_inner) = running.address;
        println!("telegraf: killed after {}, and back", shell::spoken(began.elapsed()));
    }
    std::thread::sleep(length.saturating_sub(began.elapsed()));
    Ok(running)
}

/// Every metric that an agent collected is there, once, with its value: of each signal as many samples as there were ticks, each
/// at a time of its own, and each value that of its time.
fn audit(
    auditor: &mut Auditor,
    stage: &Stage,
    number: u64,
    ticks: u64,
    findings: &mut Findings,
) -> Result<(), String> {
    let tick = format!("(CAST(time AS BIGINT) - {}) / {NANOS_PER_SECOND}", stage.origin);
    let last = stage.origin + (ticks as i64 - 1) * NANOS_PER_SECOND;
    let query = format!(
        "SELECT signal, count(*), count(DISTINCT time), sum(CASE WHEN time < to_timestamp_nanos({origin}) OR time > to_timestamp_nanos({last}) OR \
         value <> {tick} + CASE WHEN signal LIKE '%/load' THEN 0.25 ELSE 0 END THEN 1 ELSE 0 END) \
         FROM samples WHERE signal LIKE 'crash/%,host=edge{number},%' GROUP BY signal",
        origin = stage.origin,
    );
    let rows = auditor.sql(&query)?;
    if rows.len() as u64 != METRICS * FIELDS {
        findings.other(format!("agent {number} has {} signals, not {}", rows.len(), METRICS * FIELDS));
    }
    for row in rows {
        let [signal, rest @ ..] = row.as_slice() else { continue };
        let figures: Vec<u64> = rest.iter().filter_map(|cell| cell.parse().ok()).collect();
        let [count, times, wrong] = figures[..] else { return Err(format!("{query}: {row:?}")) };
        findings.twice += count - times.min(count);
        findings.lost += ticks.saturating_sub(times);
        if count != ticks || times != ticks || wrong > 0 {
            findings.other(format!(
                "{signal} has {count} samples at {times} times, not {ticks}; {wrong} are wrong"
            ));
        }
    }
    Ok(())
}

/// What those who know only its files find of the stopped plant.
fn by_others(
    binary: &Binary,
    start: &Start,
    folder: &Path,
    counted: u64,
    findings: &mut Findings,
) -> Result<String, String> {
    let foreign = match Foreign::find(folder) {
        Ok(foreign) => foreign,
        Err(missing) if shell::is_ci() => return Err(format!("the audit by others is missing {missing}")),
        Err(missing) => return Ok(format!("skipped for want of {missing}")),
    };
    let (lake, began) = (start.plant.join("data/lake/samples"), Instant::now());
    let mut start = start.clone();
    start.settings.push(("TIDEMILL_STORAGE_FLUSH_AFTER".into(), "300ms".into()));
    loop {
        let totals = foreign.totals(&lake)?;
        if totals.counts == [counted; 2] && totals.differing == 0 {
            return Ok("agree".into());
        }
        if began.elapsed() > SETTLE_MAX {
            findings.other(format!("DuckDB and deltalake count {:?}, SQL {counted}", totals.counts));
            return Ok("DISAGREE".into());
        }
        // What the log still holds is flushed by the next run of the plant.
        let running = started(binary, &start)?;
        std::thread::sleep(Duration::from_secs(3));
        running.stop()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_judged_as_telegraf_does() {
        let json = r#"{"error":"x","code":"y"}"#;
        let table = [
            (1, 204, "", Told::Done),
            (2, 200, "", Told::Done),
            (1, 200, json, Told::Again),
            (1, 400, json, Told::Drop),
            (1, 401, "not JSON", Told::Again),
            (1, 413, json, Told::Drop),
            (1, 429, json, Told::Drop),
            (1, 503, json, Told::Again),
            (1, 503, r#"{"error":"partial write: 1"}"#, Told::Drop),
            (2, 400, json, Told::Drop),
            (2, 401, json, Told::Again),
            (2, 409, json, Told::Drop),
            (2, 429, json, Told::Again),
            (2, 507, json, Told::Again),
        ];
        for (version, status, body, expected) in table {
            let answer = Answer { status, body: body.as_bytes().to_vec() };
            assert_eq!(told(version, &answer), expected, "{version} {status} {body}");
        }
    }
}
