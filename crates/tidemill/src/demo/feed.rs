//! Brings the works' values to the plant as any client would: line protocol over HTTP with a token of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value as Json, json};
use tidemill_core::{Problem, Quality, codes, parse_rfc3339};
use tidemill_ground::{Clock, RealClock, Stop};

use super::kit::Step;
use super::works::{Reading, SIGNALS, Works};
use crate::client::{Body, Client, query};
use crate::house::Running;
use crate::progress;

/// Where the works stand in the namespace.
pub(crate) const PREFIX: &str = "works/leeds";
const FILL_STEP_S: i64 = 60;
/// Requests under way at once while history is filled in.
const FILL_REQUESTS: usize = 4;
const FILL_BODY_BYTES: usize = 1 << 20;
const SECOND: i64 = 1_000_000_000;

/// The values of one step, by the order of the signals.
pub(crate) type Values = Vec<(Reading, Quality)>;

/// What was filled in.
pub(crate) struct Filled {
    pub(crate) samples: u64,
    pub(crate) seconds: f64,
}

pub(crate) struct Feed {
    runtime: tokio::runtime::Runtime,
    machines: Client,
    owner: Client,
    clock: RealClock,
    works: Works,
    values: Values,
    /// What was last sent of each signal: states, flags and set-points are sent when they change.
    sent: Vec<Option<(Reading, Quality)>>,
    body: Lines,
    speed: f64,
    /// Up to this time the plant has the works' values already.
    known_to: i64,
}

/// A request in the making.
#[derive(Default)]
struct Lines {
    protocol: String,
    /// Samples that line protocol cannot carry: those that are not good.
    json: Vec<Json>,
    samples: u64,
}

impl Feed {
    /// Makes the machines' token and finds out up to when the plant knows its values.
    pub(crate) fn open(running: &Running, speed: f64) -> Result<Feed, Problem> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| Problem::new(&codes::INTERNAL, error.to_string()))?;
        let owner = Client::Owner(running.plant.clone());
        let (token, known_to) = runtime.block_on(async {
            const NAME: &str = "demo-machines";
            // A demo that starts again makes a new secret: the old one was never kept.
            let _ = owner.call(Method::DELETE, &format!("/api/v1/tokens/{NAME}"), &Json::Null).await;
            let body = json!({ "name": NAME, "allow": [format!("write:{PREFIX}/#")] });
            let answer = owner.call(Method::POST, "/api/v1/tokens", &body).await?;
            let known = owner
                .get(&format!("/api/v1/signals{}", query(&[("match", format!("{PREFIX}/energy/power"))])))
                .await?;
            let last = known.pointer("/0/last/time").and_then(Json::as_str);
            let last = last.and_then(|text| parse_rfc3339(text).ok()).unwrap_or(i64::MIN);
            Ok::<_, Problem>((answer["token"].as_str().unwrap_or_default().to_owned(), last))
        })?;
        let host = running.host.clone();
        Ok(Feed {
            runtime,
            machines: Client::Remote { host, token: Some(token) },
            owner,
            clock: RealClock::new(),
            works: Works::new(1),
            values: Values::new(),
            sent: vec![None; SIGNALS.len()],
            body: Lines::default(),
            speed,
            known_to,
        })
    }

    /// Fills in what is missing of the last days.
    pub(crate) fn fill(&mut self, days: u16, stop: &Stop) -> Result<Filled, Problem> {
        let begun = self.clock.monotonic();
        let now = self.clock.wall() / SECOND * SECOND;
        let steps = i64::from(days) * 86_400 / FILL_STEP_S;
        let bar = progress::bar(steps as u64);
        bar.set_message(format!("filling in {days} days"));
        let mut samples = 0;
        let mut under_way = tokio::task::JoinSet::new();
        for index in 0..steps {
            let time = now - (steps - 1 - index) * FILL_STEP_S * SECOND;
            self.works.step(Step { time, seconds: FILL_STEP_S as f64 }, &mut self.values);
            if time > self.known_to {
                self.add(time);
            }
            if self.body.protocol.len() >= FILL_BODY_BYTES || index + 1 == steps {
                let lines = std::mem::take(&mut self.body);
                samples += lines.samples;
                bar.set_position(index as u64);
                if under_way.len() >= FILL_REQUESTS {
                    self.runtime.block_on(finished(&mut under_way))?;
                }
                under_way.spawn_on(send(self.machines.clone(), lines), self.runtime.handle());
            }
            if stop.requested() {
                break;
            }
        }
        while !under_way.is_empty() {
            self.runtime.block_on(finished(&mut under_way))?;
        }
        bar.finish_and_clear();
        self.describe()?;
        Ok(Filled { samples, seconds: (self.clock.monotonic() - begun).as_secs_f64() })
    }

    /// Says units and descriptions, as an engineer would.
    fn describe(&self) -> Result<(), Problem> {
        self.runtime.block_on(async {
            for signal in SIGNALS {
                let mut body = json!({ "description": signal.description, "stale_after": "30s" });
                if !signal.unit.is_empty() {
                    body["unit"] = signal.unit.into();
                }
                let address =
                    format!("/api/v1/signals{}", query(&[("signal", format!("{PREFIX}/{}", signal.path))]));
                self.owner.call(Method::PATCH, &address, &body).await?;
            }
            Ok(())
        })
    }

    /// Goes on in real time, a step a second, until stopped.
    pub(crate) fn live(&mut self, stop: &Stop, mut seen: impl FnMut(&Values)) -> Result<(), Problem> {
        let mut last = self.clock.wall() / SECOND * SECOND;
        loop {
            let now = self.clock.wall();
            let until = SECOND - now.rem_euclid(SECOND);
            if stop.wait(Duration::from_nanos(until.unsigned_abs())) {
                return Ok(());
            }
            let time = self.clock.wall() / SECOND * SECOND;
            if time <= last {
                continue;
            }
            let seconds = (time - last) as f64 / SECOND as f64 * self.speed;
            last = time;
            self.works.step(Step { time, seconds }, &mut self.values);
            // A heartbeat a quarter of `stale_after` apart keeps what does not change from looking stale.
            if time / SECOND % 8 == 0 {
                self.sent.fill(None);
            }
            self.add(time);
            let lines = std::mem::take(&mut self.body);
            match self.runtime.block_on(send(self.machines.clone(), lines)) {
                Ok(()) => {}
                Err(_) if stop.requested() => return Ok(()),
                // A machine goes on when the plant is busy for a moment.
                Err(problem) => {
                    tracing::warn!(event = "demo.write_failed", code = problem.code.id, "{}", problem.detail)
                }
            }
            seen(&self.values);
        }
    }

    fn add(&mut self, time: i64) {
        for ((signal, value), sent) in SIGNALS.iter().zip(&self.values).zip(&mut self.sent) {
            let by_exception =
                matches!(value.0, Reading::State(_) | Reading::Flag(_)) || signal.path.ends_with("setpoint");
            if by_exception && *sent == Some(*value) {
                continue;
            }
            *sent = Some(*value);
            self.body.add(signal.path, time, value);
        }
    }
}

impl Lines {
    fn add(&mut self, path: &str, time: i64, (reading, quality): &(Reading, Quality)) {
        self.samples += 1;
        if !quality.is_good() {
            let value = match reading {
                Reading::Number(number) => json!(number),
                Reading::Count(count) => json!(count),
                Reading::Flag(flag) => json!(flag),
                Reading::State(state) => json!(state),
            };
            let mut stamp = String::new();
            tidemill_core::format_rfc3339(time, &mut stamp);
            self.json.push(json!({ "signal": format!("{PREFIX}/{path}"), "time": stamp, "value": value, "quality": quality.name() }));
            return;
        }
        // Writing to a String cannot fail.
        let _ = match reading {
            Reading::Number(number) => writeln!(self.protocol, "{PREFIX}/{path} value={number} {time}"),
            Reading::Count(count) => writeln!(self.protocol, "{PREFIX}/{path} value={count}i {time}"),
            Reading::Flag(flag) => writeln!(self.protocol, "{PREFIX}/{path} value={flag} {time}"),
            Reading::State(state) => writeln!(self.protocol, "{PREFIX}/{path} value=\"{state}\" {time}"),
        };
    }
}

async fn finished(under_way: &mut tokio::task::JoinSet<Result<(), Problem>>) -> Result<(), Problem> {
    match under_way.join_next().await {
        None => Ok(()),
        Some(Ok(outcome)) => outcome,
        Some(Err(error)) => Err(Problem::new(&codes::INTERNAL, error.to_string())),
    }
}

/// Sends; where the plant says that it is busy, waits as told and sends again.
async fn send(client: Client, lines: Lines) -> Result<(), Problem> {
    let mut bodies: BTreeMap<&str, Bytes> = BTreeMap::new();
    if !lines.protocol.is_empty() {
        bodies.insert("text/plain", Bytes::from(lines.protocol));
    }
    if !lines.json.is_empty() {
        bodies.insert("application/json", Bytes::from(Json::Array(lines.json).to_string()));
    }
    for (media_type, body) in bodies {
        let mut tries = 0;
        loop {
            let headers = [("content-type", media_type)];
            match client.send(Method::POST, "/api/v1/write", &headers, Body::from(body.clone())).await {
                Ok(_) => break,
                Err(problem) if problem.retry_after_s.is_some() && tries < 30 => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(problem) => return Err(problem),
            }
        }
    }
    Ok(())
}

/// Shared by the screen.
pub(crate) fn show(reading: &Reading) -> Arc<str> {
    match reading {
        Reading::Number(number) => number.to_string().into(),
        Reading::Count(count) => count.to_string().into(),
        Reading::Flag(flag) => if *flag { "on" } else { "off" }.into(),
        Reading::State(state) => (*state).into(),
    }
}
