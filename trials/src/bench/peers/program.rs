//! The programs that are measured side by side, as data: how each is started, where it takes lines, how it is asked the
//! same questions, and how its answers are counted. Driving them is the matter of [`super`].

use super::load::{DENSE_ID, FAST_ID, Load};
use crate::http::{Answer, Client, escape};
use crate::{binary::Binary, partners};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// Pixels of a chart.
const PIXELS: i64 = 1_200;
/// From when no program has a sample.
const BEFORE: &str = "2024-01-01T00:00:00Z";

/// What is asked of everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// The last value of every signal.
    Last,
    /// One signal as it is, for an hour.
    Hour,
    /// One dense signal for a year, as 1,200 pixels need it: first, smallest, largest, last.
    Year,
    /// Count and mean of everything.
    All,
}

pub(super) const QUESTIONS: [Question; 4] = [Question::Last, Question::Hour, Question::Year, Question::All];

impl Question {
    pub(super) fn goal(self) -> &'static str {
        match self {
            Question::Last => "goal 8",
            Question::Hour => "goal 10",
            Question::Year => "goal 60",
            Question::All => "goal 2 of DuckDB on the same files",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Question::Last => "q1 last value of all signals",
            Question::Hour => "q2 one signal, raw hour",
            Question::Year => "q3 one signal, year at 1,200 px",
            Question::All => "count and mean of everything",
        }
    }

    /// The least and the most that a right answer counts.
    pub(super) fn right(self, load: &Load) -> (u64, u64) {
        match self {
            Question::Last => (load.signals as u64, load.signals as u64),
            Question::Hour => (load.fast_hour, load.fast_hour),
            // Buckets or samples: four to six a pixel, where there are so many.
            Question::Year => (load.dense.min(1_100), 6 * PIXELS as u64 + 6),
            Question::All => (load.samples, load.samples),
        }
    }
}

/// A request.
pub(super) struct Asked {
    pub target: String,
    /// A posted body, JSON; none is a GET.
    pub body: Option<String>,
}

/// A program that takes line protocol by HTTP.
pub(super) struct Program {
    pub name: &'static str,
    /// Started on a folder and an address.
    pub command: fn(&Binary, &Path, SocketAddr) -> Result<Command, String>,
    /// Answers with success once it serves.
    pub ready: &'static str,
    pub write: &'static str,
    /// Asked for once everything is written; makes it write to disk what it would write later.
    pub flush: &'static [&'static str],
    pub asked: fn(Question, &Load) -> Asked,
    /// What an answer counts: series, samples, buckets or the number said.
    pub counted: fn(Question, &Answer) -> Option<u64>,
}

pub(super) static PROGRAMS: [Program; 3] = [
    Program {
        name: "Tidemill",
        command: tidemill,
        ready: "/health/ready",
        write: "/api/v1/write",
        flush: &[],
        asked: ask_tidemill,
        counted: count_tidemill,
    },
    Program {
        name: "VictoriaMetrics",
        command: victoria,
        ready: "/health",
        write: "/write",
        flush: &["/internal/force_flush"],
        asked: ask_victoria,
        counted: count_victoria,
    },
    Program {
        name: "InfluxDB 1",
        command: influx,
        ready: "/ping",
        write: "/write?db=bench",
        flush: &[],
        asked: ask_influx,
        counted: count_influx,
    },
];

/// What a program wants to be told before it takes lines.
pub(super) fn prepare(program: &Program, client: &mut Client) -> Result<(), String> {
    if program.write.contains("db=") {
        let answer = client.get("/query?q=CREATE%20DATABASE%20bench").map_err(|error| error.to_string())?;
        if answer.status != 200 {
            return Err(answer.text());
        }
    }
    Ok(())
}

fn tidemill(binary: &Binary, folder: &Path, address: SocketAddr) -> Result<Command, String> {
    let mut command = Command::new(&binary.path);
    command.arg("--plant").arg(folder.join("plant")).arg("run");
    command.env("TIDEMILL_HTTP_LISTEN", format!("[\"{address}\"]"));
    // Samples are counted: no own figures of the plant beside them.
    command.env("TIDEMILL_HEALTH_FIGURES", "off");
    // More than a plant takes, and more within an hour, unless it is told to.
    command.env("TIDEMILL_LIMITS_SIGNALS", "1000000");
    command.env("TIDEMILL_LIMITS_SIGNALS_NEW_PER_HOUR", "1000000");
    // As the others: what was written is in files within a minute.
    command.env("TIDEMILL_STORAGE_FLUSH_AFTER", "20s");
    Ok(command)
}

fn victoria(_: &Binary, folder: &Path, address: SocketAddr) -> Result<Command, String> {
    let mut command = partners::program("victoria-metrics")?;
    command.arg(format!("-storageDataPath={}", folder.join("data").display()));
    command.arg(format!("-httpListenAddr={address}")).arg("-retentionPeriod=100y");
    Ok(command)
}

fn influx(_: &Binary, folder: &Path, address: SocketAddr) -> Result<Command, String> {
    let mut command = partners::program("influxd")?;
    command.arg("run");
    let at = |name: &str| folder.join("data").join(name);
    for (name, value) in [
        ("META_DIR", at("meta").display().to_string()),
        ("DATA_DIR", at("data").display().to_string()),
        ("DATA_WAL_DIR", at("wal").display().to_string()),
        ("HTTP_BIND_ADDRESS", address.to_string()),
        ("BIND_ADDRESS", "127.0.0.1:0".to_owned()),
        ("HTTP_LOG_ENABLED", "false".to_owned()),
        ("HTTP_MAX_BODY_SIZE", "0".to_owned()),
        ("REPORTING_DISABLED", "true".to_owned()),
        ("MONITOR_STORE_ENABLED", "false".to_owned()),
        ("DATA_CACHE_SNAPSHOT_WRITE_COLD_DURATION", "20s".to_owned()),
        ("DATA_COMPACT_FULL_WRITE_COLD_DURATION", "60s".to_owned()),
    ] {
        command.env(format!("INFLUXDB_{name}"), value);
    }
    Ok(command)
}

fn get(target: String) -> Asked {
    Asked { target, body: None }
}

fn ask_tidemill(question: Question, load: &Load) -> Asked {
    let (begin, turn) = load.slow;
    let signal = |id: &str| escape(&format!("sensor/cell=c0,id={id},line=l0"));
    match question {
        Question::Last => get("/api/v1/read?signal=%23&mode=last&format=csv".to_owned()),
        Question::Hour => get(format!(
            "/api/v1/read?signal={}&from={turn}&to={}&unit=s&format=csv&time=ns",
            signal(FAST_ID),
            turn + 3_600
        )),
        Question::Year => get(format!(
            "/api/v1/read?signal={}&from={begin}&to={turn}&unit=s&points={PIXELS}&format=csv&time=ns",
            signal(DENSE_ID)
        )),
        Question::All => Asked {
            target: "/api/v1/sql".to_owned(),
            body: Some(r#"{"query": "SELECT count(*), avg(value) FROM samples"}"#.to_owned()),
        },
    }
}

fn count_tidemill(question: Question, answer: &Answer) -> Option<u64> {
    match question {
        Question::All => json(answer)?.pointer("/rows/0/0")?.as_u64(),
        // Without the header.
        _ => Some(lines(answer).saturating_sub(1)),
    }
}

/// All series; VictoriaMetrics names them by measurement and field.
const EVERYTHING: &str = r#"{__name__=~"sensor_value|counter_value|switch_value"}"#;

fn ask_victoria(question: Question, load: &Load) -> Asked {
    let (begin, turn) = load.slow;
    let window = load.end - begin + 60;
    match question {
        Question::Last => {
            let query = format!("last_over_time({EVERYTHING}[{window}s])");
            get(format!("/api/v1/query?query={}&time={}&nocache=1", escape(&query), load.end))
        }
        Question::Hour => {
            let series = escape(&format!("sensor_value{{id=\"{FAST_ID}\"}}"));
            // The end is included.
            let end = format!("{}.999", turn + 3_599);
            get(format!("/api/v1/export?match[]={series}&start={turn}&end={end}"))
        }
        Question::Year => {
            let step = (turn - begin) / PIXELS;
            // All four in one pass.
            let query = escape(&format!("rollup_candlestick(sensor_value{{id=\"{DENSE_ID}\"}}[{step}s])"));
            get(format!(
                "/api/v1/query_range?query={query}&start={}&end={turn}&step={step}s&nocache=1",
                begin + step
            ))
        }
        Question::All => {
            let both = r#"("count_over_time", "sum_over_time")"#;
            let query = escape(&format!("sum(aggr_over_time({both}, {EVERYTHING}[{window}s])) by (rollup)"));
            get(format!("/api/v1/query?query={query}&time={}&nocache=1", load.end))
        }
    }
}

fn count_victoria(question: Question, answer: &Answer) -> Option<u64> {
    if question == Question::Hour {
        let text = answer.text();
        let series: Value = serde_json::from_str(text.lines().next()?).ok()?;
        return Some(series.pointer("/values")?.as_array()?.len() as u64);
    }
    let document = json(answer)?;
    let series = document.pointer("/data/result")?.as_array()?;
    match question {
        Question::Last => Some(series.len() as u64),
        Question::Year => {
            let buckets = series.iter().filter_map(|one| Some(one.pointer("/values")?.as_array()?.len()));
            (series.len() == 4).then(|| buckets.min().unwrap_or(0) as u64)
        }
        _ => {
            let count =
                series.iter().find(|one| one.pointer("/metric/rollup") == Some(&"count_over_time".into()))?;
            count.pointer("/value/1")?.as_str()?.parse::<f64>().ok().map(|count| count as u64)
        }
    }
}

fn ask_influx(question: Question, load: &Load) -> Asked {
    let (begin, turn) = load.slow;
    let query = match question {
        Question::Last => {
            // Not all in one: it answers for one type of field only.
            format!(
                "SELECT last(value) FROM sensor, counter WHERE time >= '{BEFORE}' GROUP BY *; \
                 SELECT last(value) FROM switch WHERE time >= '{BEFORE}' GROUP BY *"
            )
        }
        Question::Hour => format!(
            "SELECT value FROM sensor WHERE id = '{FAST_ID}' AND time >= {turn}s AND time < {}s",
            turn + 3_600
        ),
        Question::Year => format!(
            "SELECT first(value), min(value), max(value), last(value) FROM sensor WHERE id = '{DENSE_ID}' \
             AND time >= {begin}s AND time < {turn}s GROUP BY time({}s)",
            (turn - begin) / PIXELS
        ),
        Question::All => {
            "SELECT count(value), mean(value) FROM sensor, counter; SELECT count(value) FROM switch".into()
        }
    };
    get(format!("/query?db=bench&q={}", escape(&query)))
}

fn count_influx(question: Question, answer: &Answer) -> Option<u64> {
    let document = json(answer)?;
    let results = document.pointer("/results")?.as_array()?;
    let all = results.iter().filter_map(|result| result.pointer("/series")?.as_array()).flatten();
    match question {
        Question::Last => Some(all.count() as u64),
        Question::All => Some(all.filter_map(|series| series.pointer("/values/0/1")?.as_u64()).sum()),
        _ => {
            Some(all.filter_map(|series| series.pointer("/values")?.as_array()).map(Vec::len).sum::<usize>()
                as u64)
        }
    }
}

fn json(answer: &Answer) -> Option<Value> {
    serde_json::from_slice(&answer.body).ok()
}

fn lines(answer: &Answer) -> u64 {
    answer.body.iter().filter(|byte| **byte == b'\n').count() as u64
}
