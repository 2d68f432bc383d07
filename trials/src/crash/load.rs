//! What the writers send, decided by seed, cycle, writer and number alone: what was sent need not be remembered, it is
//! made again when it is checked. Sending is `writer`, judging is `check`.

use super::check::Row;
use crate::dice::Dice;
use std::fmt::Write;
use std::ops::Range;

pub(super) const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// Every sample of a cycle has its time in one of the cycle's two windows, each this long.
pub(super) const WINDOW_NS: i64 = 60 * NANOS_PER_SECOND;
/// How far the requests of one writer are apart in a window.
const STEP_NS: i64 = 20_000_000;
/// So many requests of one writer fit into a window.
pub(super) const REQUESTS_MAX: u32 = (WINDOW_NS / STEP_NS) as u32;
/// Late data goes this far back, spread over as many days as there are in a week.
const LATE_NS: i64 = 40 * 86_400 * NANOS_PER_SECOND;
/// Samples of a request on average, for planning.
pub(super) const REQUEST_SAMPLES: u64 = 68;
/// Samples of one request are this far apart, less than a step even where there are 500.
const SAMPLE_NS: i64 = 10_000;

/// The OPC UA codes that the words of the write door mean.
const QUALITIES: [(&str, i64); 3] = [("good", 0), ("uncertain", 0x4000_0000), ("bad", 0x8000_0000)];

/// Which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct RequestId {
    pub cycle: u32,
    pub writer: u32,
    /// Its place among the requests of its writer in its cycle.
    pub number: u32,
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "c{}/w{}/r{}", self.cycle, self.writer, self.number)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// No value, only a quality.
    None,
    Float(f64),
    Int(i64),
    Bool(bool),
    Text(String),
}

impl Value {
    /// How it comes back in the columns `value`, `integer` and `text`, as one word to compare by.
    pub(super) fn shown(&self) -> String {
        match self {
            Value::None => "none".into(),
            Value::Float(value) => shown_number(*value),
            Value::Int(value) => format!("integer {value}"),
            Value::Bool(value) => shown_number(f64::from(u8::from(*value))),
            Value::Text(text) => format!("text {text}"),
        }
    }
}

/// A number of the column `value`, by its bits: nearly right is wrong.
pub(super) fn shown_number(value: f64) -> String {
    format!("number {value:?}")
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub signal: String,
    /// None where the server is to stamp it.
    pub time: Option<i64>,
    pub value: Value,
    /// Index into the qualities.
    quality: usize,
}

impl Sample {
    fn good(signal: String, time: Option<i64>, value: Value) -> Sample {
        Sample { signal, time, value, quality: 0 }
    }

    pub(super) fn quality_code(&self) -> i64 {
        QUALITIES.get(self.quality).map_or(0, |(_, code)| *code)
    }

    fn quality_word(&self) -> &'static str {
        QUALITIES.get(self.quality).map_or("good", |(word, _)| word)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    Lines,
    Json,
    JsonLines,
}

/// One request, whole.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    pub id: RequestId,
    pub spelling: Spelling,
    /// It overwrites what stands at the same signal and time.
    pub replace: bool,
    /// The first is its marker: there whenever anything of the request is.
    pub samples: Vec<Sample>,
}

/// What decides a run's requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub seed: u64,
    /// Where the window of cycle 0 begins, ns UTC, in the past.
    pub origin: i64,
}

/// The signals of all writers begin with this.
pub(super) const ROOT: &str = "crash";

impl Plan {
    /// The two windows of a cycle: on time, and late.
    pub(super) fn windows(&self, cycle: u32) -> [(i64, i64); 2] {
        let cycle = i64::from(cycle);
        let on_time = self.origin + cycle * WINDOW_NS;
        let late = on_time - LATE_NS + cycle % 7 * 86_400 * NANOS_PER_SECOND;
        [(on_time, on_time + WINDOW_NS), (late, late + WINDOW_NS)]
    }

    /// The number that a stamped sample carries: from the cycle, and rising from request to request of a writer.
    fn stamped_number(id: RequestId) -> i64 {
        Plan::stamped_numbers(id.cycle).start + i64::from(id.number)
    }

    /// The cycle among these to which a row belongs: by its number where the server stamped it, else by its time.
    pub(super) fn cycle_of(&self, row: &Row, cycles: &Range<u32>) -> Option<u32> {
        let number = if row.signal.ends_with("/stamped") { row.value.strip_prefix("number ") } else { None };
        if let Some(number) = number.and_then(|number| number.parse::<f64>().ok()) {
            return cycles.clone().find(|cycle| Plan::stamped_numbers(*cycle).contains(&(number as i64)));
        }
        let inside = |(from, to): (i64, i64)| (from..to).contains(&row.time);
        cycles.clone().find(|cycle| self.windows(*cycle).into_iter().any(inside))
    }

    /// The numbers of the stamped samples of a cycle.
    pub(super) fn stamped_numbers(cycle: u32) -> Range<i64> {
        let start = i64::from(cycle) * 10_000;
        start..start + 10_000
    }

    pub(super) fn request(&self, id: RequestId) -> Request {
        let mut dice = Dice::of(self.seed, &[id.cycle.into(), id.writer.into(), id.number.into()]);
        let [on_time, late] = self.windows(id.cycle).map(|(from, _)| from + i64::from(id.number) * STEP_NS);
        let count = match dice.below(20) {
            0..10 => dice.between(1, 5),
            10..17 => dice.between(10, 80),
            _ => dice.between(200, 500),
        };
        let spelling = match dice.below(5) {
            0..3 => Spelling::Lines,
            3 => Spelling::Json,
            _ => Spelling::JsonLines,
        };
        let own = format!("{ROOT}/w{}", id.writer);
        let marker = Value::Float(f64::from(id.number));
        let mut samples =
            vec![Sample::good(format!("{own}/marker"), Some(on_time + i64::from(id.writer)), marker)];
        let replace = dice.one_in(12);
        if replace {
            replacing(&mut dice, &own, self.windows(id.cycle)[0].0, &mut samples);
            return Request { id, spelling, replace, samples };
        }
        if dice.one_in(4) {
            let value = Value::Float(Plan::stamped_number(id) as f64);
            samples.push(Sample::good(format!("{own}/stamped"), None, value));
        }
        if dice.one_in(6) {
            for place in 0..dice.between(1, 3) {
                let signal = format!("{own}/new/c{}/r{}-{place}", id.cycle, id.number);
                samples.push(Sample::good(
                    signal,
                    Some(on_time),
                    Value::Float(1.0 / f64::from(id.number + 1)),
                ));
            }
        }
        if dice.one_in(5) {
            // One time, different values: all stay, in order of arrival.
            for step in 0..3 {
                let value = Value::Float(f64::from(id.number) + f64::from(step) / 4.0);
                samples.push(Sample::good(format!("{own}/tied"), Some(on_time), value));
            }
        }
        let begin = if dice.one_in(4) { late } else { on_time };
        for place in 0..count {
            let time = begin + (place as i64 + 1) * SAMPLE_NS;
            samples.push(any_sample(&mut dice, &own, time, id, spelling));
        }
        Request { id, spelling, replace, samples }
    }
}

/// A handful of places that are overwritten again and again.
fn replacing(dice: &mut Dice, own: &str, window: i64, samples: &mut Vec<Sample>) {
    for place in 0..dice.between(1, 5) as i64 {
        let value = Value::Float(dice.below(1_000_000) as f64 / 8.0);
        samples.push(Sample::good(format!("{own}/replaced"), Some(window + place * 1_000_003), value));
    }
}

fn any_sample(dice: &mut Dice, own: &str, time: i64, id: RequestId, spelling: Spelling) -> Sample {
    let place = dice.below(4);
    // Most sources give whole milliseconds or microseconds, some give all nine digits.
    let time = if dice.one_in(3) { time + dice.below(1_000) as i64 } else { time };
    let (name, value) = match dice.below(10) {
        0..4 => ("decimal", Value::Float((dice.below(2_000_000) as f64 - 1_000_000.0) / 100.0)),
        4..6 => ("float", Value::Float((dice.share() - 0.5) * 10_f64.powi(dice.below(40) as i32 - 20))),
        6 => ("integer", Value::Int(dice.draw().cast_signed() >> dice.below(60))),
        7 => ("boolean", Value::Bool(dice.one_in(2))),
        8 => ("text", Value::Text(format!("état {} of {id}", dice.below(5)))),
        _ => {
            // All writers meet on one signal, each at times of its own.
            let at = time - time.rem_euclid(SAMPLE_NS) + i64::from(id.writer);
            return Sample::good(format!("{ROOT}/shared"), Some(at), Value::Float(f64::from(id.writer)));
        }
    };
    let mut sample = Sample::good(format!("{own}/{name}{place}"), Some(time), value);
    if spelling != Spelling::Lines {
        sample.quality = dice.below(12) as usize;
        if sample.quality >= QUALITIES.len() {
            sample.quality = 0;
        }
        if sample.quality == 2 && dice.one_in(2) {
            sample.value = Value::None;
        }
    }
    sample
}

impl Request {
    pub(super) fn target(&self) -> &'static str {
        if self.replace { "/api/v1/write?mode=replace" } else { "/api/v1/write" }
    }

    pub(super) fn media_type(&self) -> &'static str {
        match self.spelling {
            Spelling::Lines => "text/plain",
            Spelling::Json => "application/json",
            Spelling::JsonLines => "application/x-ndjson",
        }
    }

    /// Where the server stamps a sample, only a key makes repeating safe.
    pub(super) fn idempotency_key(&self) -> Option<String> {
        self.samples.iter().any(|sample| sample.time.is_none()).then(|| self.id.to_string())
    }

    pub(super) fn body(&self) -> String {
        let mut body = String::with_capacity(self.samples.len() * 64);
        let written = self.samples.iter().enumerate().try_for_each(|(place, sample)| match self.spelling {
            Spelling::Lines => line(sample, &mut body),
            Spelling::Json => {
                body.push_str(if place == 0 { "[" } else { ",\n" });
                object(sample, &mut body)
            }
            Spelling::JsonLines => object(sample, &mut body).map(|()| body.push('\n')),
        });
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
        if self.spelling == Spelling::Json {
            body.push(']');
        }
        body
    }
}

/// Names and texts of this load need no escapes in either spelling.
fn line(sample: &Sample, out: &mut String) -> std::fmt::Result {
    write!(out, "{} value=", sample.signal)?;
    match &sample.value {
        Value::None => {}
        Value::Float(value) => write!(out, "{value:?}")?,
        Value::Int(value) => write!(out, "{value}i")?,
        Value::Bool(value) => write!(out, "{value}")?,
        Value::Text(text) => write!(out, "\"{text}\"")?,
    }
    if let Some(time) = sample.time {
        write!(out, " {time}")?;
    }
    out.push('\n');
    Ok(())
}

fn object(sample: &Sample, out: &mut String) -> std::fmt::Result {
    write!(out, "{{\"signal\":\"{}\",", sample.signal)?;
    match &sample.value {
        Value::None => out.push_str("\"value\":null"),
        Value::Float(value) => write!(out, "\"value\":{value:?}")?,
        Value::Int(value) => write!(out, "\"kind\":\"integer\",\"value\":{value}")?,
        Value::Bool(value) => write!(out, "\"value\":{value}")?,
        Value::Text(text) => write!(out, "\"value\":\"{text}\"")?,
    }
    if let Some(time) = sample.time {
        write!(out, ",\"time\":{time}")?;
    }
    if sample.quality != 0 {
        write!(out, ",\"quality\":\"{}\"", sample.quality_word())?;
    }
    out.push('}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const PLAN: Plan = Plan { seed: 7, origin: 1_700_000_000 * NANOS_PER_SECOND };

    fn requests() -> impl Iterator<Item = Request> {
        (0..3)
            .flat_map(|cycle| {
                (0..3).flat_map(move |writer| (0..200).map(move |number| (cycle, writer, number)))
            })
            .map(|(cycle, writer, number)| PLAN.request(RequestId { cycle, writer, number }))
    }

    #[test]
    fn the_same_request_is_made_twice_and_bodies_are_json_where_they_say_so() {
        for request in requests() {
            assert_eq!(PLAN.request(request.id), request);
            let body = request.body();
            match request.spelling {
                Spelling::Lines => assert_eq!(body.lines().count(), request.samples.len()),
                Spelling::Json => {
                    let array: Vec<serde_json::Value> = serde_json::from_str(&body).expect("an array");
                    assert_eq!(array.len(), request.samples.len());
                }
                Spelling::JsonLines => {
                    let good = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
                    assert!(body.lines().all(good));
                }
            }
        }
    }

    #[test]
    fn the_load_has_everything_that_can_go_wrong() {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        let mut note = |what| *seen.entry(what).or_default() += 1;
        for request in requests() {
            if request.replace {
                note("replace")
            }
            if request.idempotency_key().is_some() {
                note("stamped")
            }
            if request.samples.len() >= 200 {
                note("large")
            }
            if request.samples.iter().any(|sample| sample.signal.contains("/new/")) {
                note("new")
            }
            let windows = PLAN.windows(request.id.cycle);
            for sample in &request.samples {
                match &sample.value {
                    Value::None => note("none"),
                    Value::Float(_) => note("float"),
                    Value::Int(_) => note("integer"),
                    Value::Bool(_) => note("boolean"),
                    Value::Text(_) => note("text"),
                }
                if sample.quality_code() != 0 {
                    note("quality")
                }
                let Some(time) = sample.time else { continue };
                let inside = windows.map(|(from, to)| (from..to).contains(&time));
                assert!(inside[0] != inside[1], "{sample:?} is in one window");
                if inside[1] {
                    note("late")
                }
            }
        }
        for what in [
            "replace", "stamped", "large", "new", "none", "float", "integer", "boolean", "text", "quality",
            "late",
        ] {
            assert!(seen.get(what).is_some_and(|count| *count > 10), "{what}: {seen:?}");
        }
    }

    #[test]
    fn windows_of_different_cycles_do_not_meet() {
        let mut all: Vec<(i64, i64)> = (0..2_000).flat_map(|cycle| PLAN.windows(cycle)).collect();
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[0].1 <= pair[1].0));
    }
}
