//! Judges what a plant holds against what was sent to it: nothing acknowledged lost, nothing invented, none twice, no
//! half request, each writer's order kept. Knows requests and rows, not where either came from.

use super::load::{Request, RequestId};
use std::collections::{BTreeMap, HashMap};

/// How many findings are kept in words; all are counted.
const EXAMPLES_MAX: usize = 20;

/// What is known of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Sent, and never answered for certain: all of it or nothing.
    Unknown,
    /// Answered with 204: all of it.
    Acknowledged,
    /// Answered with 204 at a moment when the kernel itself may have told the plant that lost data is on disk: all of it
    /// or nothing, and counted.
    Doubted,
    /// Answered with a refusal that promises that nothing was kept.
    Refused,
}

/// A request as it was sent, with what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub request: Request,
    pub state: State,
    /// What an earlier audit found. What was there stays, and what was not does not come by itself.
    pub seen: Option<bool>,
    /// It was sent again in a later cycle.
    pub again: bool,
}

/// A row as the plant gives it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub signal: String,
    pub time: i64,
    /// As `Value::shown` writes it.
    pub value: String,
    pub quality: i64,
}

/// What is wrong, in numbers of samples and in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    pub lost: u64,
    pub invented: u64,
    pub twice: u64,
    pub half: u64,
    pub disorder: u64,
    /// Whatever else must not be: a refusal without reason, a connection cut by the plant, a stall.
    pub other: u64,
    pub examples: Vec<String>,
}

impl Findings {
    pub(super) fn total(&self) -> u64 {
        self.lost + self.invented + self.twice + self.half + self.disorder + self.other
    }

    pub(super) fn other(&mut self, words: String) {
        self.other += 1;
        self.example(words);
    }

    fn example(&mut self, words: String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(words);
        }
    }

    pub(super) fn add(&mut self, more: Findings) {
        self.lost += more.lost;
        self.invented += more.invented;
        self.twice += more.twice;
        self.half += more.half;
        self.disorder += more.disorder;
        self.other += more.other;
        more.examples.into_iter().for_each(|words| self.example(words));
    }
}

/// What an audit of one cycle found.
pub(super) struct Verdict {
    pub findings: Findings,
    /// For each request, whether it is there.
    pub present: Vec<bool>,
    /// How many rows the cycle has: from now on exactly these.
    pub rows: u64,
}

/// Signal, time (none where the server stamps), value, quality.
type Key = (String, Option<i64>, String, i64);

fn is_stamped(signal: &str) -> bool {
    signal.ends_with("/stamped")
}

/// Judges all requests of a cycle, in the order in which each writer sent them, against all rows of its windows.
pub(super) fn judge(sent: &[Sent], rows: &[Row]) -> Verdict {
    let mut findings = Findings::default();
    let mut actual: HashMap<Key, u64> = HashMap::with_capacity(rows.len());
    for row in rows {
        let time = (!is_stamped(&row.signal)).then_some(row.time);
        *actual.entry((row.signal.clone(), time, row.value.clone(), row.quality)).or_default() += 1;
    }
    let present: Vec<bool> = sent.iter().map(|sent| presence(sent, &actual, &mut findings)).collect();
    for (key, (owner, state)) in expected(sent, &present) {
        match actual.remove(&key) {
            Some(1) => {}
            Some(more) if more > 1 => {
                findings.twice += more - 1;
                findings.example(format!("twice: {key:?} of {owner} stands {more} times"));
            }
            _ if state == State::Acknowledged => {
                findings.lost += 1;
                findings.example(format!("lost: {key:?} of {owner}, which was acknowledged"));
            }
            _ => {
                findings.half += 1;
                findings.example(format!("half: {key:?} of {owner} is missing, its marker is there"));
            }
        }
    }
    blame(sent, &present, actual, &mut findings);
    findings.add(order(rows));
    Verdict { findings, present, rows: rows.len() as u64 }
}

/// A request is there when its marker is. What was acknowledged counts as there: what is missing of it is lost.
fn presence(sent: &Sent, actual: &HashMap<Key, u64>, findings: &mut Findings) -> bool {
    let marker = sent.request.samples.first().map(key_of);
    let there = marker.is_some_and(|marker| actual.contains_key(&marker));
    let id = sent.request.id;
    match (sent.state, there, sent.seen) {
        (State::Refused, true, _) => {
            findings.invented += 1;
            findings.example(format!("invented: {id} was refused, and is there"));
        }
        (State::Unknown | State::Doubted, true, Some(false)) => {
            findings.invented += 1;
            findings
                .example(format!("invented: {id} was absent after a restart, and came without being sent"));
        }
        (State::Unknown | State::Doubted, false, Some(true)) => {
            findings.lost += 1;
            findings.example(format!("lost: {id} was there after a restart, and went"));
        }
        _ => {}
    }
    there || sent.state == State::Acknowledged
}

/// What a relaxed log lost is its end: of no writer anything is there that was sent behind what is gone, and not again later.
pub(super) fn ends_early(sent: &[Sent], present: &[bool]) -> Findings {
    let mut findings = Findings::default();
    let mut gone: BTreeMap<u32, RequestId> = BTreeMap::new();
    for (sent, present) in sent.iter().zip(present) {
        let id = sent.request.id;
        match (gone.get(&id.writer), *present) {
            (Some(before), true) if !sent.again => {
                findings.disorder += 1;
                findings.example(format!("disorder: {id} is there, and {before} before it is gone"));
            }
            (None, false) if sent.state == State::Doubted => {
                gone.insert(id.writer, id);
            }
            _ => {}
        }
    }
    findings
}

fn key_of(sample: &super::load::Sample) -> Key {
    (sample.signal.clone(), sample.time, sample.value.shown(), sample.quality_code())
}

/// What must stand, each once: identical samples are one, and a replacing request clears the places it writes to.
fn expected(sent: &[Sent], present: &[bool]) -> HashMap<Key, (RequestId, State)> {
    // Signal and time, then value and quality.
    type Place = (String, Option<i64>);
    type Values = BTreeMap<(String, i64), (RequestId, State)>;
    let mut places: HashMap<Place, Values> = HashMap::new();
    for (sent, _) in sent.iter().zip(present).filter(|(_, present)| **present) {
        for sample in &sent.request.samples {
            let (signal, time, value, quality) = key_of(sample);
            let place = places.entry((signal, time)).or_default();
            if sent.request.replace {
                place.clear();
            }
            // A repeat changes nothing: what an acknowledged request asked for stays asked for.
            place.entry((value, quality)).or_insert((sent.request.id, sent.state));
        }
    }
    let flat = places.into_iter().flat_map(|((signal, time), values)| {
        values
            .into_iter()
            .map(move |((value, quality), owner)| ((signal.clone(), time, value, quality), owner))
    });
    flat.collect()
}

/// What is left over belongs to a request that is not there, or to nobody.
fn blame(sent: &[Sent], present: &[bool], left: HashMap<Key, u64>, findings: &mut Findings) {
    if left.is_empty() {
        return;
    }
    let absent = sent.iter().zip(present).filter(|(_, present)| !**present);
    let owners: HashMap<Key, RequestId> = absent
        .flat_map(|(sent, _)| sent.request.samples.iter().map(|sample| (key_of(sample), sent.request.id)))
        .collect();
    for (key, count) in left {
        match owners.get(&key) {
            Some(owner) => {
                findings.half += count;
                findings.example(format!("half: {key:?} of {owner} is there, its marker is not"));
            }
            None => {
                findings.invented += count;
                findings.example(format!("invented: {key:?} was never sent, or was overwritten"));
            }
        }
    }
}

/// Stamps rise with the order in which a writer sent.
pub(super) fn order(rows: &[Row]) -> Findings {
    let mut by_signal: BTreeMap<&str, Vec<(i64, f64)>> = BTreeMap::new();
    for row in rows.iter().filter(|row| is_stamped(&row.signal)) {
        let number = row.value.strip_prefix("number ").and_then(|number| number.parse().ok());
        by_signal.entry(&row.signal).or_default().push((row.time, number.unwrap_or(f64::NAN)));
    }
    let mut findings = Findings::default();
    for (signal, mut stamps) in by_signal {
        stamps.sort_by_key(|(time, _)| *time);
        for pair in stamps.windows(2) {
            let [(time, number), (next_time, next_number)] = pair else { continue };
            if !(time < next_time && number < next_number) {
                findings.disorder += 1;
                findings.example(format!(
                    "disorder: {signal} has {number} at {time} and {next_number} at {next_time}"
                ));
            }
        }
    }
    findings
}

/// Different values at one time come back in order of arrival: the load sends them rising.
pub(super) fn ties(rows: &[Row]) -> Findings {
    let mut findings = Findings::default();
    let number = |row: &Row| row.value.strip_prefix("number ").and_then(|number| number.parse::<f64>().ok());
    for pair in rows.windows(2) {
        let [one, other] = pair else { continue };
        let same = one.signal == other.signal && one.time == other.time;
        if other.time < one.time || same && number(one) >= number(other) {
            findings.disorder += 1;
            findings.example(format!("disorder: {one:?} comes before {other:?}"));
        }
    }
    findings
}
