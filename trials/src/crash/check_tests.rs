//! The checker must be able to fail: each kind of damage is done to a good record by hand, and must be found as what it
//! is and as nothing else.

use super::check::{Findings, Row, Sent, State, ends_early, judge, order, ties};
use super::load::{NANOS_PER_SECOND, Plan, RequestId, Value};

const PLAN: Plan = Plan { seed: 3, origin: 1_700_000_000 * NANOS_PER_SECOND };
const REQUESTS: u32 = 60;

fn sent() -> Vec<Sent> {
    let id = |writer, number| RequestId { cycle: 4, writer, number };
    (0..2)
        .flat_map(|writer| (0..REQUESTS).map(move |number| id(writer, number)))
        .map(|id| Sent { request: PLAN.request(id), state: State::Acknowledged, seen: None, again: false })
        .collect()
}

/// What a plant without fault holds after these requests: the rules once more, by the simplest means.
fn rows(sent: &[Sent]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut clock = PLAN.origin * 2;
    for sent in sent {
        for sample in &sent.request.samples {
            clock += 1;
            let row = Row {
                signal: sample.signal.clone(),
                time: sample.time.unwrap_or(clock),
                value: sample.value.shown(),
                quality: sample.quality_code(),
            };
            if sent.request.replace {
                rows.retain(|other| (&other.signal, other.time) != (&row.signal, row.time));
            }
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
    }
    rows
}

fn position(rows: &[Row], signal_ends: &str) -> usize {
    rows.iter().position(|row| row.signal.ends_with(signal_ends)).expect(signal_ends)
}

/// The request that a row belongs to, which is not its marker.
fn a_large_one(sent: &[Sent]) -> usize {
    sent.iter().position(|sent| sent.request.samples.len() > 10 && !sent.request.replace).expect("one")
}

#[test]
fn a_good_record_passes_also_with_requests_that_went_unanswered() {
    let mut sent = sent();
    let good = judge(&sent, &rows(&sent));
    assert_eq!(good.findings, Findings::default());
    assert!(good.present.iter().all(|present| *present));

    let half = sent.len() / 2;
    let kept = rows(&sent[..half]);
    sent[half..].iter_mut().for_each(|sent| sent.state = State::Unknown);
    let verdict = judge(&sent, &kept);
    assert_eq!(
        verdict.findings,
        Findings::default(),
        "absent as a whole is no fault where nothing was answered"
    );
    assert_eq!(verdict.present.iter().filter(|present| **present).count(), half);
    assert_eq!(verdict.rows, kept.len() as u64);
}

#[test]
fn of_a_relaxed_log_the_end_may_be_gone_and_nothing_in_its_midst() {
    let mut sent = sent();
    let doubted = |number: u32| number >= REQUESTS - 10;
    sent.iter_mut()
        .filter(|sent| doubted(sent.request.id.number))
        .for_each(|sent| sent.state = State::Doubted);
    let without = |sent: &[Sent], gone: &dyn Fn(RequestId) -> bool| {
        let kept: Vec<Sent> = sent.iter().filter(|sent| !gone(sent.request.id)).cloned().collect();
        let verdict = judge(sent, &rows(&kept));
        let mut findings = verdict.findings;
        findings.add(ends_early(sent, &verdict.present));
        findings
    };
    assert_eq!(without(&sent, &|_| false), Findings::default());
    assert_eq!(without(&sent, &|id| id.number >= REQUESTS - 10 + id.writer), Findings::default());
    let midst = without(&sent, &|id| id.writer == 1 && id.number == REQUESTS - 3);
    assert_eq!((midst.disorder, midst.total()), (2, 2), "{:?}", midst.examples);
    let last = |id: RequestId| id.writer == 1 && id.number == REQUESTS - 1;
    sent.iter_mut().filter(|sent| last(sent.request.id)).for_each(|sent| sent.again = true);
    let again = without(&sent, &|id| !last(id) && id.number >= REQUESTS - 5);
    assert_eq!(again, Findings::default(), "what was sent again came later");
    let early = without(&sent, &|id| id.number >= REQUESTS - 11);
    assert!(early.lost > 0 && early.lost == early.total(), "{:?}", early.examples);
}

#[test]
fn a_lost_request_is_found() {
    let sent = sent();
    let victim = a_large_one(&sent);
    let count = sent[victim].request.samples.len() as u64;
    let mut without = sent.clone();
    without.remove(victim);
    let found = judge(&sent, &rows(&without)).findings;
    assert_eq!((found.lost, found.total()), (count, count), "{:?}", found.examples);
}

#[test]
fn one_lost_sample_of_an_acknowledged_request_is_found() {
    let sent = sent();
    let mut rows = rows(&sent);
    rows.remove(position(&rows, "/marker"));
    let found = judge(&sent, &rows).findings;
    assert_eq!((found.lost, found.total()), (1, 1), "{:?}", found.examples);
}

#[test]
fn an_invented_sample_is_found() {
    let sent = sent();
    let mut rows = rows(&sent);
    let mut changed = rows[position(&rows, "/decimal1")].clone();
    changed.time += 1;
    rows.push(changed);
    let found = judge(&sent, &rows).findings;
    assert_eq!((found.invented, found.total()), (1, 1), "{:?}", found.examples);
}

#[test]
fn a_changed_value_or_quality_is_lost_and_invented() {
    let sent = sent();
    let good = rows(&sent);
    let at = position(&good, "/float2");
    let change: [fn(&mut Row); 2] =
        [|row| row.value = Value::Float(0.123).shown(), |row| row.quality ^= 0x4000_0000];
    for change in change {
        let mut rows = good.clone();
        change(&mut rows[at]);
        let found = judge(&sent, &rows).findings;
        assert_eq!((found.lost, found.invented, found.total()), (1, 1, 2), "{:?}", found.examples);
    }
}

#[test]
fn a_doubled_sample_is_found() {
    let sent = sent();
    for signal in ["/marker", "/stamped", "/shared", "/text0"] {
        let mut rows = rows(&sent);
        let row = rows[position(&rows, signal)].clone();
        rows.push(Row { time: row.time + i64::from(signal == "/stamped"), ..row });
        let found = judge(&sent, &rows).findings;
        assert_eq!((found.twice, found.lost, found.invented), (1, 0, 0), "{signal}: {:?}", found.examples);
    }
}

#[test]
fn half_a_request_is_found_with_and_without_its_marker() {
    let mut sent = sent();
    let victim = a_large_one(&sent);
    let marker = sent[victim].request.samples[0].clone();
    sent[victim].state = State::Unknown;
    let good = rows(&sent);

    let mut without_one = good.clone();
    let inside = sent[victim].request.samples.last().expect("large").clone();
    without_one.retain(|row| (row.signal.as_str(), Some(row.time)) != (inside.signal.as_str(), inside.time));
    let found = judge(&sent, &without_one).findings;
    assert_eq!((found.half, found.total()), (1, 1), "{:?}", found.examples);

    let mut without_marker = good.clone();
    without_marker
        .retain(|row| (row.signal.as_str(), Some(row.time)) != (marker.signal.as_str(), marker.time));
    let found = judge(&sent, &without_marker).findings;
    assert_eq!(found.half, sent[victim].request.samples.len() as u64 - 1, "{:?}", found.examples);
    assert_eq!(found.total(), found.half);
}

#[test]
fn a_refused_request_that_is_there_and_a_late_ghost_are_invented() {
    for (state, seen) in [(State::Refused, None), (State::Unknown, Some(false))] {
        let mut sent = sent();
        let rows = rows(&sent);
        sent[5].state = state;
        sent[5].seen = seen;
        let found = judge(&sent, &rows).findings;
        assert_eq!((found.invented, found.total()), (1, 1), "{:?}", found.examples);
    }
    let mut sent = sent();
    let victim = a_large_one(&sent);
    sent[victim].state = State::Unknown;
    sent[victim].seen = Some(true);
    let mut without = sent.clone();
    without.remove(victim);
    assert_eq!(judge(&sent, &rows(&without)).findings.lost, 1, "what a restart showed must stay");
}

#[test]
fn a_value_that_was_overwritten_must_be_gone() {
    let sent = sent();
    let mut rows = rows(&sent);
    let replaced = position(&rows, "/replaced");
    let old = Row { value: Value::Float(0.0625).shown(), ..rows[replaced].clone() };
    rows.push(old);
    let found = judge(&sent, &rows).findings;
    assert_eq!((found.invented, found.total()), (1, 1), "{:?}", found.examples);
}

#[test]
fn stamps_that_fall_and_ties_out_of_order_are_found() {
    let row = |time, number: f64| Row {
        signal: "crash/w0/stamped".into(),
        time,
        value: Value::Float(number).shown(),
        quality: 0,
    };
    assert_eq!(order(&[row(2, 11.0), row(1, 10.0), row(3, 12.0)]).disorder, 0);
    assert_eq!(order(&[row(1, 11.0), row(2, 10.0)]).disorder, 1);
    assert_eq!(order(&[row(1, 10.0), row(1, 11.0)]).disorder, 1, "stamps rise strictly");
    assert_eq!(ties(&[row(1, 1.0), row(1, 2.0), row(2, 0.5)]).disorder, 0);
    assert_eq!(ties(&[row(1, 2.0), row(1, 1.0)]).disorder, 1);
    assert_eq!(ties(&[row(2, 1.0), row(1, 2.0)]).disorder, 1);
}
