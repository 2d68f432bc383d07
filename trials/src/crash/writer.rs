//! One writer: a thread that sends its requests one after the other until the plant goes away, and keeps what it was
//! told. Many of them at once are the load; what they send is `load`.

use super::check::State;
use super::ledger::Ledger;
use super::live::Live;
use super::load::{Plan, REQUESTS_MAX, Request, RequestId};
use crate::dice::Dice;
use crate::http::{Client, Content};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// An answer that takes longer is a stall. Above the longest pause of the pause variant.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(20);
/// How long a writer waits before it repeats what was refused for now.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// What all writers of a cycle share.
pub(super) struct Shift<'a> {
    pub plan: Plan,
    pub cycle: u32,
    pub address: SocketAddr,
    pub token: &'a str,
    pub ledger: &'a Ledger,
    pub live: &'a Live,
    /// How long a writer rests between its requests until the rush before the strike.
    pub rest: Duration,
}

/// What one writer was told.
#[derive(Default)]
pub(super) struct Report {
    /// Of each request of this cycle, in order, and when.
    pub states: Vec<(State, Instant)>,
    /// What became of the request of an earlier cycle that was sent again.
    pub repeated: Option<(RequestId, State, Instant)>,
    pub acknowledged_samples: u64,
    /// What a healthy plant does not do.
    pub faults: Vec<String>,
}

enum Told {
    Yes,
    /// Refused for good.
    No,
    /// Refused for now, or the outcome is unknown; the plant is there.
    Later,
    /// The plant is gone.
    Gone,
}

pub(super) struct Writer<'a> {
    shift: &'a Shift<'a>,
    client: Client,
    dice: Dice,
    report: Report,
    /// Until then nothing that is refused for now is given up.
    patient_until: Option<Instant>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(shift: &'a Shift<'a>, writer: u32) -> Writer<'a> {
        Writer {
            shift,
            client: Client::new(shift.address, shift.token, ANSWER_MAX),
            dice: Dice::of(shift.plan.seed, &[shift.cycle.into(), writer.into(), u64::MAX]),
            report: Report::default(),
            patient_until: None,
        }
    }

    /// Repeats what is refused for now for so long, instead of giving it up after a while.
    pub(super) fn patient(mut self, time: Duration) -> Writer<'a> {
        self.patient_until = Some(Instant::now() + time);
        self
    }

    /// Sends `first` again if there is one, then new requests until the plant goes or `requests_max` are sent.
    pub(super) fn work(mut self, writer: u32, first: Option<RequestId>, requests_max: u32) -> Report {
        if let Some(id) = first {
            let state = self.deliver(&self.shift.plan.request(id));
            self.report.repeated = state.map(|(state, at)| (id, state, at));
            if self.is_over() {
                return self.report;
            }
        }
        for number in 0..requests_max.min(REQUESTS_MAX) {
            let id = RequestId { cycle: self.shift.cycle, writer, number };
            let request = self.shift.plan.request(id);
            let Some(state) = self.deliver(&request) else { break };
            self.report.states.push(state);
            if self.is_over() {
                break;
            }
            self.shift.live.rest(self.shift.rest);
        }
        self.report
    }

    fn is_over(&self) -> bool {
        self.shift.live.ending.load(Ordering::SeqCst)
    }

    /// Sends a request until it is answered for certain, or given up; says when. `None`: it was never sent.
    fn deliver(&mut self, request: &Request) -> Option<(State, Instant)> {
        if self.is_over() {
            return None;
        }
        loop {
            let told = self.send(request);
            let at = Instant::now();
            let state = match told {
                Told::Yes => self.acknowledged(request),
                Told::No => State::Refused,
                Told::Gone => State::Unknown,
                Told::Later if self.is_over() || self.gives_up() => State::Unknown,
                Told::Later => {
                    std::thread::sleep(RETRY_AFTER);
                    continue;
                }
            };
            return Some((state, at));
        }
    }

    fn gives_up(&mut self) -> bool {
        match self.patient_until {
            Some(until) => Instant::now() > until,
            None => self.dice.one_in(8),
        }
    }

    fn acknowledged(&mut self, request: &Request) -> State {
        if self.shift.live.doubtful.load(Ordering::SeqCst) {
            return State::Doubted;
        }
        if let Err(error) = self.shift.ledger.acknowledged(request.id) {
            self.report.faults.push(format!("the ledger: {error}"));
            return State::Unknown;
        }
        self.report.acknowledged_samples += request.samples.len() as u64;
        self.shift.live.acknowledged.fetch_add(1, Ordering::SeqCst);
        if self.dice.one_in(10) {
            // As a client does that lost the answer: it must be accepted and change nothing.
            self.send(request);
        }
        State::Acknowledged
    }

    fn send(&mut self, request: &Request) -> Told {
        let body = request.body();
        let key = request.idempotency_key();
        let content = Content {
            media_type: request.media_type(),
            idempotency_key: key.as_deref(),
            body: body.as_bytes(),
            ..Content::default()
        };
        self.shift.live.in_flight.fetch_add(1, Ordering::SeqCst);
        let answer = self.client.send("POST", request.target(), &content);
        self.shift.live.in_flight.fetch_sub(1, Ordering::SeqCst);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                if !self.is_over() {
                    let slow = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
                    let what = if slow { "no answer in time" } else { "the plant cut the connection" };
                    self.report.faults.push(format!("{what}: {}: {error}", request.id));
                }
                return Told::Gone;
            }
        };
        if answer.status == 204 {
            return Told::Yes;
        }
        let code = answer.code();
        let name = if code.is_empty() { format!("status {}", answer.status) } else { code };
        self.shift.live.refusal(name);
        match answer.status {
            429 | 500.. => Told::Later,
            _ => {
                self.report.faults.push(format!("{} was refused: {}", request.id, answer.text()));
                Told::No
            }
        }
    }
}
