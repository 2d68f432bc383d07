//! Live values by WebSocket: subscriptions by pattern, within the caller's scope, bounded per client. A slow client
//! never slows the plant: what it cannot take is dropped for it alone, and it is told how much.
//!
//! The protocol stands in docs/reference/http.md. Text frames are JSON; samples come as binary frames ([`frame`]), or
//! as JSON with `?format=json`.

mod frame;
mod out;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Request, State};
use futures_util::StreamExt;
use futures_util::stream::SplitStream;
use serde::Deserialize;
use tidemill_core::{
    Delivery, Feed, LagPolicy, Parcel, Pattern, Problem, Row, Rows, Seq, SignalId, Start, codes,
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};
use utoipa::ToSchema;

use self::out::{Gathered, Out};
use crate::Web;
use crate::answer::{Answer, document};
use crate::caller::{Caller, Standing};
use crate::params::{Params, pattern};
use crate::sql::object;
use crate::times::TimeStyle;

/// The largest message a client may send.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// The most patterns of one subscription.
const PATTERNS_MAX: usize = 256;
/// Parcels that wait for one slow client; older ones are dropped and it is told.
const PARCELS_MAX: usize = 256;
/// The most rows of one frame.
const FRAME_ROWS_MAX: usize = 16_384;
/// How long a frame waits for company: 20 ms are not seen, and 50 frames a second are enough for any chart.
const GATHER: Duration = Duration::from_millis(20);
/// How often the connection is probed, and how often the rights are looked at when nothing comes.
const TICK: Duration = Duration::from_secs(1);
/// A client that says nothing for so long, pongs included, is gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// One subscription lasts at least so long before the next begins: each describes all its signals anew.
const SUBSCRIPTION_MIN: Duration = Duration::from_millis(50);
/// How long a client may take to answer that its socket is closed.
const CLOSE_MAX: Duration = Duration::from_secs(1);
/// How long a socket lasts once the plant stops: what is being sent, the closing frame and its answer in all. Only
/// requests are worth the drain; whoever does not read would use up all of it.
const STOP_MAX: Duration = Duration::from_millis(250);
/// How many ticks between pings.
const PING_TICKS: u32 = 20;
/// How long one frame may take to be sent.
const SEND_MAX: Duration = Duration::from_secs(30);

/// The first message, and any later one that changes the subscription.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subscribe {
    /// Patterns; none to pause.
    subscribe: Vec<String>,
    /// Go on after this place, as an earlier frame told it; absent for: from now, last values first.
    #[serde(default)]
    since: Option<u64>,
}

/// Live values over a WebSocket.
///
/// The client sends `{"subscribe": ["acme/**"], "since": 123}`; see docs/reference/http.md for what comes back.
#[utoipa::path(
    get, path = "/api/v1/live", tag = "samples",
    params(
        ("format" = Option<String>, Query, description = "json: samples as JSON text frames; default binary frames"),
        ("time" = Option<String>, Query, description = "How times are written in JSON: rfc3339 (default), ns, us, ms, s"),
        ("signal" = Vec<String>, Query, description = "Patterns to begin with, instead of a first message"),
    ),
    responses(
        (status = 101, description = "The socket; the client's messages are a `Subscribe` each"),
    )
)]
pub(crate) async fn live(
    State(web): State<Web>,
    caller: Caller,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: Request,
) -> Answer {
    let params = Params::of(request.uri(), &["format", "time", "signal"])?;
    let json = params.choice("format", false, "json or binary", |text| match text {
        "json" => Some(true),
        "binary" => Some(false),
        _ => None,
    })?;
    let style =
        params.choice("time", TimeStyle::Rfc3339, "rfc3339, ns, us, ms or s", TimeStyle::from_name)?;
    let patterns: Vec<Pattern> = params.all("signal").map(pattern).collect::<Result<_, _>>()?;
    check_count(patterns.len())?;
    let upgrade = upgrade.map_err(|_| {
        Problem::new(&codes::BAD_PARAMETER, "this address is a WebSocket: connect with ws:// or wss://")
    })?;
    let permit = web.0.limits.live.try_take(1).ok_or_else(|| {
        Problem::new(&codes::BUSY, "as many live subscribers as are allowed are connected").retry_after(10)
    })?;
    let upgrade = upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(MESSAGE_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let (sink, stream) = socket.split();
        let out = Out::new(sink, json, style);
        let session = Session::new(web, caller, out);
        session.run(stream, patterns).await;
        drop(permit);
    }))
}

fn check_count(patterns: usize) -> Result<(), Problem> {
    if patterns <= PATTERNS_MAX {
        return Ok(());
    }
    let detail =
        format!("{patterns} patterns are more than the {PATTERNS_MAX} that one subscription may have");
    Err(Problem::new(&codes::BAD_PARAMETER, detail))
}

/// Why a session ends.
enum End {
    /// The client is gone, or does not take what it is sent.
    Gone,
    /// We close it, and say why.
    Closed(u16, &'static str),
}

struct Session {
    web: Web,
    caller: Caller,
    patterns: Vec<Pattern>,
    /// When the next subscription may begin.
    next: Instant,
    feed: Option<Box<dyn Feed>>,
    /// Up to where the client has been served.
    seq: Seq,
    out: Out,
}

impl Session {
    fn new(web: Web, caller: Caller, out: Out) -> Session {
        let (patterns, next) = (Vec::new(), Instant::now());
        Session { web, caller, patterns, next, feed: None, seq: Seq(0), out }
    }

    /// Until it has ended, or the plant has stopped for so long that it is dropped wherever it stands.
    async fn run(self, stream: SplitStream<WebSocket>, patterns: Vec<Pattern>) {
        let mut standing = self.caller.standing.clone();
        let overdue = async {
            until_stopped(&mut standing).await;
            sleep(STOP_MAX).await;
        };
        tokio::select! {
            () = self.run_to_its_end(stream, patterns) => {}
            () = overdue => {}
        }
    }

    async fn run_to_its_end(mut self, mut stream: SplitStream<WebSocket>, patterns: Vec<Pattern>) {
        let ended = self.serve(&mut stream, patterns).await;
        let said = match ended {
            Err(End::Closed(code, reason)) => {
                let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
                self.out.send(close).await
            }
            // Whoever closed is answered.
            Ok(()) | Err(End::Gone) => self.out.close().await,
        };
        if said.is_ok() {
            // A socket that goes while something of the client's lies unread is reset, and the client never learns why.
            let heard = async { while let Some(Ok(_)) = stream.next().await {} };
            let _ = timeout(CLOSE_MAX, heard).await;
        }
    }

    async fn serve(
        &mut self,
        stream: &mut SplitStream<WebSocket>,
        patterns: Vec<Pattern>,
    ) -> Result<(), End> {
        if !patterns.is_empty() {
            self.begin(patterns, None).await?;
        }
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut ticks, mut heard) = (0u32, Instant::now());
        let mut standing = self.caller.standing.clone();
        loop {
            tokio::select! {
                () = until_stopped(&mut standing) => {
                    return Err(End::Closed(close_code::RESTART, "the plant is stopping"));
                }
                message = stream.next() => {
                    heard = Instant::now();
                    self.heard(message).await?;
                }
                delivery = next_of(&mut self.feed) => {
                    // What came by the rights before is not passed on: the subscription that began anew has its part of it.
                    if !self.check_rights().await? {
                        self.forward(delivery).await?;
                    }
                }
                _ = tick.tick() => {
                    self.check_rights().await?;
                    ticks = ticks.wrapping_add(1);
                    if heard.elapsed() > SILENCE_MAX {
                        return Err(End::Closed(close_code::POLICY, "nothing was heard for a minute"));
                    }
                    if ticks % PING_TICKS == 0 {
                        self.out.send(Message::Ping(axum::body::Bytes::new())).await?;
                    }
                }
            }
        }
    }

    async fn heard(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Binary(_))) => {
                return Err(End::Closed(close_code::UNSUPPORTED, "send JSON text messages"));
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
        };
        let read =
            object::<Subscribe>(text.as_bytes(), "Send {\"subscribe\": [\"acme/**\"]}").and_then(|wanted| {
                check_count(wanted.subscribe.len())?;
                let patterns =
                    wanted.subscribe.iter().map(|text| Pattern::new(text)).collect::<Result<_, _>>()?;
                Ok((patterns, wanted.since))
            });
        match read {
            Ok((patterns, since)) => self.begin(patterns, since).await,
            Err(problem) => self.tell(&problem).await,
        }
    }

    async fn tell(&mut self, problem: &Problem) -> Result<(), End> {
        let text = serde_json::json!({ "problem": document(problem) }).to_string();
        self.out.send(Message::text(text)).await
    }

    /// Begins a subscription: with last values first, or after a place.
    async fn begin(&mut self, patterns: Vec<Pattern>, since: Option<u64>) -> Result<(), End> {
        tokio::time::sleep_until(self.next).await;
        self.next = Instant::now() + SUBSCRIPTION_MIN;
        let bus = self.web.doors().bus.clone();
        let start = since.map_or(Start::Now, |seq| Start::After(Seq(seq)));
        let lag = LagPolicy::Latest { parcels_max: PARCELS_MAX };
        // Subscribed before the last values are read: between the two nothing is lost, and what comes twice is equal.
        let subscribed = match patterns.is_empty() {
            true => Ok(None),
            false => bus.subscribe(self.caller.grant.scope(), &patterns, lag, start).map(Some),
        };
        match subscribed {
            Ok(feed) => {
                // Whoever goes on after the last values goes on from here.
                self.seq = feed.as_ref().map_or(self.seq, |feed| feed.place());
                self.feed = feed;
            }
            Err(problem) => return self.tell(&problem).await,
        }
        self.patterns = patterns;
        // The log does not reach where the client was: nobody knows what it missed.
        let begun_anew = self.feed.is_some() && since.is_some_and(|since| self.seq < Seq(since));
        if begun_anew {
            self.tell_lagged(None).await?;
        }
        if since.is_none() || begun_anew {
            self.send_last_values().await?;
        }
        Ok(())
    }

    /// So many parcels were missed, if that is known, and it goes on from here.
    async fn tell_lagged(&mut self, missed: Option<u64>) -> Result<(), End> {
        let text = serde_json::json!({ "lagged": { "missed": missed, "seq": self.seq.0 } }).to_string();
        self.out.send(Message::text(text)).await
    }

    async fn send_last_values(&mut self) -> Result<(), End> {
        let bus = self.web.doors().bus.clone();
        let scope = self.caller.grant.scope().clone();
        let described = self.patterns.iter().flat_map(|pattern| bus.describe(&scope, pattern));
        // By an earlier or a further name too, as what follows.
        let named = self.patterns.iter().filter_map(|pattern| bus.find(&pattern.as_path()?));
        let named = named.filter(|signal| !signal.retired && scope.allows(&signal.path));
        let ids: BTreeSet<SignalId> = described.chain(named).map(|signal| signal.id).collect();
        let ids: Vec<SignalId> = ids.into_iter().collect();
        for some in ids.chunks(FRAME_ROWS_MAX) {
            let mut values = Vec::new();
            bus.last(&scope, some, &mut values);
            let mut gathered = Gathered::new(true);
            for value in &values {
                let (last, quality) = (value.value.as_ref(), value.quality);
                gathered.push(&Row { signal: value.id, time: value.time, value: last, quality });
            }
            self.send_rows(self.seq, gathered).await?;
        }
        Ok(())
    }

    async fn send_rows(&mut self, seq: Seq, gathered: Gathered) -> Result<(), End> {
        self.out.send_rows(&*self.web.doors().bus, self.caller.grant.scope(), seq, gathered).await
    }

    /// Sends a delivery, and with it what else comes within [`GATHER`].
    async fn forward(&mut self, first: Delivery) -> Result<(), End> {
        let until = Instant::now() + GATHER;
        let mut gathered = Gathered::new(false);
        let mut delivery = first;
        loop {
            match delivery {
                Delivery::Data { seq, parcel, rows } => {
                    self.seq = seq;
                    for row in rows_of(&parcel, &rows) {
                        if !gathered.push(&row) {
                            self.send_rows(seq, gathered.take()).await?;
                            gathered.push(&row);
                        }
                    }
                }
                Delivery::Lagged { missed, to } => {
                    self.web.0.counters.live_lagged.add(missed);
                    self.send_rows(self.seq, gathered.take()).await?;
                    self.seq = to;
                    self.tell_lagged(Some(missed)).await?;
                }
                Delivery::Closed => {
                    return Err(End::Closed(close_code::RESTART, "the plant is stopping"));
                }
            }
            match timeout_at(until, next_of(&mut self.feed)).await {
                Ok(next) if gathered.len() < FRAME_ROWS_MAX => delivery = next,
                Ok(next) => {
                    self.send_rows(self.seq, gathered.take()).await?;
                    delivery = next;
                }
                Err(_) => break,
            }
        }
        self.send_rows(self.seq, gathered).await
    }

    /// After a change of the listener's zone: whose address it no longer serves goes. After a change of policy: who was
    /// let in is asked for again, and sees what may be seen now; whether the subscription began anew for it.
    async fn check_rights(&mut self) -> Result<bool, End> {
        if self.caller.standing.as_ref().is_some_and(|standing| !standing.holds()) {
            return Err(End::Closed(close_code::POLICY, "this listener no longer serves your address"));
        }
        match self.caller.grant.renew().await {
            Ok(false) => return Ok(false),
            Ok(true) => {}
            Err(_) => return Err(End::Closed(close_code::POLICY, "the token is no longer valid")),
        }
        let (patterns, since) = (std::mem::take(&mut self.patterns), self.seq.0);
        // A place is known once something came; before that there is nothing to miss.
        self.begin(patterns, (since > 0).then_some(since)).await?;
        Ok(true)
    }
}

async fn until_stopped(standing: &mut Option<Standing>) {
    match standing {
        Some(standing) => standing.until_stopped().await,
        None => std::future::pending().await,
    }
}

async fn next_of(feed: &mut Option<Box<dyn Feed>>) -> Delivery {
    match feed {
        Some(feed) => feed.next().await,
        None => std::future::pending().await,
    }
}

fn rows_of<'a>(parcel: &'a Arc<Parcel>, rows: &'a Rows) -> impl Iterator<Item = Row<'a>> {
    let batch = parcel.samples.as_deref();
    let all = match rows {
        Rows::All => 0..batch.map_or(0, |batch| batch.len()),
        Rows::Some(_) => 0..0,
    };
    let some = match rows {
        Rows::All => [].iter(),
        Rows::Some(rows) => rows.iter(),
    };
    let numbers = all.chain(some.map(|row| *row as usize));
    numbers.filter_map(move |row| batch.and_then(|batch| batch.row(row)))
}
