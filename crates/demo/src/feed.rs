//! Brings the works' values to the plant as any client would: line protocol over HTTP with a token of its own.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};
use tidemill_core::{Problem, Quality, codes, parse_rfc3339};
use tidemill_ground::{Clock, RealClock, Stop};

use crate::kit::Step;
use crate::works::{Reading, SIGNALS, Works};

/// Where the works stand in the namespace.
pub const PREFIX: &str = "works/leeds";
/// Up to its newest value everything is known: while history is filled in, its values are sent only after all others of their
/// time, and of the times before, were acknowledged. Whatever ends a fill, the next one goes on where a hole would begin.
const WATERMARK: &str = "energy/power";
const FILL_STEP_S: i64 = 60;
/// The works are lived through again from their first value, so that what is sent twice is equal; not from further back than
/// the longest `--days`.
const RELIVED_DAYS_MAX: i64 = 365;
/// Requests under way at once while history is filled in.
const FILL_REQUESTS: usize = 4;
const FILL_BODY_BYTES: usize = 1 << 20;
const SECOND: i64 = 1_000_000_000;

/// The values of one step, by the order of the signals.
pub type Values = Vec<(Reading, Quality)>;

/// What was filled in.
pub struct Filled {
    /// How many, acknowledged.
    pub samples: u64,
    /// How long it took.
    pub seconds: f64,
}

/// The public door of a plant, as whoever is behind it: a user has the same.
pub trait Door: Clone + Send + Sync + 'static {
    /// Sends JSON by a method of HTTP; the answer in JSON, null where there is none.
    ///
    /// # Errors
    /// What the plant refuses, or that it does not answer.
    fn call(
        &self,
        method: &'static str,
        target: &str,
        body: &Json,
    ) -> impl Future<Output = Result<Json, Problem>> + Send;

    /// Writes samples, durable when it returns.
    ///
    /// # Errors
    /// As of [`Door::call`]; one that says after how long it may be repeated is repeated.
    fn write(
        &self,
        media_type: &'static str,
        body: Bytes,
    ) -> impl Future<Output = Result<(), Problem>> + Send;
}

/// The works on their way into the plant.
pub struct Feed<D> {
    runtime: tokio::runtime::Runtime,
    machines: D,
    owner: D,
    clock: RealClock,
    /// The plant's: its shifts change by it.
    zone: TimeZone,
    works: Works,
    values: Values,
    /// What was last sent of each signal: states, flags and set-points are sent when they change.
    sent: Vec<Option<(Reading, Quality)>>,
    body: Lines,
    speed: f64,
    known: Known,
}

/// What the plant has of the works already.
#[derive(Clone, Copy, Default)]
struct Known {
    /// The first step that was ever filled in.
    from: Option<i64>,
    /// Up to this time nothing is missing.
    to: Option<i64>,
}

/// A request in the making.
#[derive(Default)]
struct Lines {
    protocol: String,
    /// Samples that line protocol cannot carry: those that are not good.
    json: Vec<Json>,
    samples: u64,
    /// Lines of the watermark: they are held back until what is above is acknowledged.
    watermark: String,
}

/// A request under way, and the lines that may follow it.
struct Sent {
    task: tokio::task::JoinHandle<Result<(), Problem>>,
    watermark: String,
}

impl<D: Door> Feed<D> {
    /// Makes the machines' token, by which `as_machines` opens their door, and finds out up to when the plant knows its values.
    /// The works live in the plant's time zone, and so many times faster.
    ///
    /// # Errors
    /// What the owner's door refuses.
    pub fn open(
        owner: D,
        as_machines: impl FnOnce(String) -> D,
        zone: TimeZone,
        speed: f64,
    ) -> Result<Feed<D>, Problem> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| Problem::new(&codes::INTERNAL, error.to_string()))?;
        let (token, known) = runtime.block_on(async {
            const NAME: &str = "demo-machines";
            // A demo that starts again makes a new secret: the old one was never kept.
            let _ = owner.call("DELETE", &format!("/api/v1/tokens/{NAME}"), &Json::Null).await;
            let body = json!({ "name": NAME, "allow": [format!("write:{PREFIX}/#")] });
            let answer = owner.call("POST", "/api/v1/tokens", &body).await?;
            let known = known(&owner).await?;
            Ok::<_, Problem>((answer["token"].as_str().unwrap_or_default().to_owned(), known))
        })?;
        Ok(Feed {
            runtime,
            machines: as_machines(token),
            owner,
            clock: RealClock::new(),
            zone,
            works: Works::new(1),
            values: Values::new(),
            sent: vec![None; SIGNALS.len()],
            body: Lines::default(),
            speed,
            known,
        })
    }

    /// Fills in what is missing of the last days, up to now; `told` hears how many steps of how many are done.
    ///
    /// # Errors
    /// What the machines' door refuses.
    pub fn fill(&mut self, days: u16, stop: &Stop, told: impl Fn(u64, u64)) -> Result<Filled, Problem> {
        let begun = self.clock.monotonic();
        let first = self.first_step(i64::from(days));
        let steps = (self.clock.wall() - first) / (FILL_STEP_S * SECOND);
        let mut samples = 0;
        let mut under_way = VecDeque::new();
        let mut time = first;
        while time <= self.clock.wall() && !stop.requested() {
            self.works.step(Step::at(time, FILL_STEP_S as f64, &self.zone), &mut self.values);
            if self.known.to.is_none_or(|known| time > known) {
                self.add(time);
            }
            // The first step goes alone, in one piece with its watermark: it says where the works begin.
            if self.known.to.is_none() && time == first {
                let watermark = std::mem::take(&mut self.body.watermark);
                self.body.protocol.push_str(&watermark);
                samples += self.dispatch(&mut under_way);
                self.acknowledged(&mut under_way, 0)?;
            } else if self.body.protocol.len() >= FILL_BODY_BYTES {
                self.acknowledged(&mut under_way, FILL_REQUESTS - 1)?;
                samples += self.dispatch(&mut under_way);
                told(((time - first) / (FILL_STEP_S * SECOND)).unsigned_abs(), steps.unsigned_abs());
            }
            time += FILL_STEP_S * SECOND;
        }
        samples += self.dispatch(&mut under_way);
        self.acknowledged(&mut under_way, 0)?;
        self.describe()?;
        Ok(Filled { samples, seconds: (self.clock.monotonic() - begun).as_secs_f64() })
    }

    /// The works' first step, on whole minutes of the epoch unless an earlier fill began elsewhere.
    fn first_step(&self, days: i64) -> i64 {
        let step = FILL_STEP_S * SECOND;
        let days_back = |days: i64| self.clock.wall() - days * 86_400 * SECOND;
        match self.known.from {
            None => (days_back(days).div_euclid(step) + 1) * step,
            Some(first) => {
                let skipped = (days_back(RELIVED_DAYS_MAX) - first).max(0) / step;
                first + skipped * step
            }
        }
    }

    /// Sends what was gathered, beside what is under way; gives how many samples that are.
    fn dispatch(&mut self, under_way: &mut VecDeque<Sent>) -> u64 {
        let mut lines = std::mem::take(&mut self.body);
        let samples = std::mem::take(&mut lines.samples);
        let watermark = std::mem::take(&mut lines.watermark);
        let task = self.runtime.spawn(send(self.machines.clone(), lines));
        under_way.push_back(Sent { task, watermark });
        samples
    }

    /// Waits until at most so many requests are under way, the oldest first, and sends what each held back.
    fn acknowledged(&mut self, under_way: &mut VecDeque<Sent>, left: usize) -> Result<(), Problem> {
        while under_way.len() > left {
            let Some(oldest) = under_way.pop_front() else { break };
            let outcome = self.runtime.block_on(oldest.task);
            outcome.map_err(|error| Problem::new(&codes::INTERNAL, error.to_string()))??;
            let after = Lines { protocol: oldest.watermark, ..Lines::default() };
            self.runtime.block_on(send(self.machines.clone(), after))?;
        }
        Ok(())
    }

    /// Says units and descriptions, as an engineer would.
    fn describe(&self) -> Result<(), Problem> {
        self.runtime.block_on(async {
            for signal in SIGNALS {
                let mut body = json!({ "description": signal.description, "stale_after": "30s" });
                if !signal.unit.is_empty() {
                    body["unit"] = signal.unit.into();
                }
                // The names are ours and have nothing to escape.
                let target = format!("/api/v1/signals?signal={PREFIX}/{}", signal.path);
                self.owner.call("PATCH", &target, &body).await?;
            }
            Ok(())
        })
    }

    /// Goes on in real time, a step a second, until stopped.
    ///
    /// # Errors
    /// None now: a door that is busy or gone for a moment is logged.
    pub fn live(&mut self, stop: &Stop, mut seen: impl FnMut(&Values)) -> Result<(), Problem> {
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
            self.works.step(Step::at(time, seconds, &self.zone), &mut self.values);
            // A heartbeat a quarter of `stale_after` apart keeps what does not change from looking stale.
            if time / SECOND % 8 == 0 {
                self.sent.fill(None);
            }
            self.add(time);
            let mut lines = std::mem::take(&mut self.body);
            lines.protocol.push_str(&std::mem::take(&mut lines.watermark));
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

/// Asks the plant what it has of the works.
async fn known(owner: &impl Door) -> Result<Known, Problem> {
    let signal = format!("{PREFIX}/{WATERMARK}");
    // Text in SQL: the name is ours and has no quote.
    let question = format!("SELECT min(time), max(time) FROM samples WHERE signal = '{signal}'");
    let answer = owner.call("POST", "/api/v1/sql", &json!({ "query": question })).await?;
    let time =
        |place: &str| answer.pointer(place).and_then(Json::as_str).and_then(|text| parse_rfc3339(text).ok());
    Ok(Known { from: time("/rows/0/0"), to: time("/rows/0/1") })
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
            let stamp = tidemill_core::rfc3339(time);
            self.json.push(json!({ "signal": format!("{PREFIX}/{path}"), "time": stamp, "value": value, "quality": quality.name() }));
            return;
        }
        let lines = if path == WATERMARK { &mut self.watermark } else { &mut self.protocol };
        // Writing to a String cannot fail.
        let _ = match reading {
            Reading::Number(number) => writeln!(lines, "{PREFIX}/{path} value={number} {time}"),
            Reading::Count(count) => writeln!(lines, "{PREFIX}/{path} value={count}i {time}"),
            Reading::Flag(flag) => writeln!(lines, "{PREFIX}/{path} value={flag} {time}"),
            Reading::State(state) => writeln!(lines, "{PREFIX}/{path} value=\"{state}\" {time}"),
        };
    }
}

/// Sends; where the plant says that it is busy, waits as told and sends again.
async fn send(machines: impl Door, lines: Lines) -> Result<(), Problem> {
    // The watermark stands in the lines, so they go last.
    let mut bodies = Vec::new();
    if !lines.json.is_empty() {
        bodies.push(("application/json", Bytes::from(Json::Array(lines.json).to_string())));
    }
    if !lines.protocol.is_empty() {
        bodies.push(("text/plain", Bytes::from(lines.protocol)));
    }
    for (media_type, body) in bodies {
        let mut tries = 0;
        loop {
            match machines.write(media_type, body.clone()).await {
                Ok(()) => break,
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
