//! Writing: a whole request is read, checked and bound before any of it is published, and its new names are created by
//! what is published; it is acknowledged once all of it is durable.

pub(crate) mod agents;
pub(crate) mod bindings;
pub(crate) mod collect;
pub(crate) mod namer;
mod publish;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, header};
use serde::Serialize;
use tidemill_core::{
    BATCH_HEAP_BYTES_MAX, BATCH_ROWS_MAX, Bus, Commit, Flags, Format, Identity, MetaEdit, Problem,
    SignalPath, codes,
};
use tidemill_ground::{Limit, Permit};
use utoipa::ToSchema;

use self::collect::{Collected, Collector, Terms, Window};
pub(crate) use self::publish::{Once, publish};
use crate::answer::{Answer, Refusal, json, nothing};
use crate::body::{self, BodyLimits, Whole};
use crate::caller::Caller;
use crate::error::Refused;
use crate::line::origin::Origin;
use crate::params::Params;
use crate::samples::{self, Layout};
use crate::times::TimeUnit;
use crate::{Web, line, remote};

/// Bodies up to this size are read where they arrive; larger ones on a thread of their own, so that other requests are
/// not kept waiting. 64 KiB of line protocol take about 0.2 ms.
const INLINE_BYTES_MAX: u64 = 64 << 10;

/// What a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    Lines,
    Samples(Layout),
    Columns(Format),
    /// Prometheus remote write 1.0.
    Remote,
}

/// The parameters of a write.
const KNOWN: [&str; 6] = ["precision", "partial", "mode", "format", "db", "rp"];

/// What a partial write kept and refused.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PartialWrite {
    /// Samples that are durable now.
    kept: u64,
    /// Lines of which something was refused, or samples that were.
    refused: u64,
    /// The first 100 of them.
    problems: Vec<RefusedLine>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefusedLine {
    line: u64,
    column: u64,
    code: &'static str,
    detail: String,
}

/// Writes samples.
///
/// As JSON a sample is `{"signal", "time", "value", "quality", "kind", "unit"}`: `signal` and `value` are needed, and a
/// `unit` that is not the signal's refuses the sample (`bad-unit`); a signal without one gets it.
///
/// 204 once all of them are durable. Otherwise nothing of the request was kept, unless `partial=true`; after a 5xx the
/// outcome is unknown, and repeating is safe where samples carry times or the request an `Idempotency-Key`.
/// Of Prometheus remote write the good samples are kept and the others counted in a 400 `partial-write`; what can be
/// kept later is a 5xx.
#[utoipa::path(
    post, path = "/api/v1/write", tag = "samples",
    params(
        ("precision" = Option<String>, Query, description = "What a number of time counts in text: ns (default), us, ms, s. In columns it is ns"),
        ("partial" = Option<bool>, Query, description = "Keep the good lines and list the bad"),
        ("format" = Option<String>, Query, description = "line, json, ndjson, arrow, parquet, prometheus; wins over Content-Type"),
        ("db" = Option<String>, Query, description = "Of line protocol and remote write: the database, for templates with {db}"),
        ("rp" = Option<String>, Query, description = "The same: the retention policy, for {rp}"),
        ("mode" = Option<String>, Query, description = "replace: overwrite what stands at the same signal and time"),
        ("Idempotency-Key" = Option<String>, Header, description = "A repeated request with the same key and body is kept once"),
    ),
    request_body(content(
        (String = "text/plain"), (serde_json::Value = "application/json"), (String = "application/x-ndjson"),
        (Vec<u8> = "application/vnd.apache.arrow.stream"), (Vec<u8> = "application/vnd.apache.parquet"),
        (Vec<u8> = "application/x-protobuf"),
    )),
    responses(
        (status = 204, description = "Durable"),
        (status = 200, description = "partial=true, and some lines were refused", body = PartialWrite),
    )
)]
pub(crate) async fn write(
    State(web): State<Web>,
    caller: Result<Caller, Refusal>,
    request: Request,
) -> Answer {
    let partial = Params::of(request.uri(), &KNOWN).and_then(|params| params.flag("partial"));
    let answered = match caller {
        Ok(caller) => answer(&web, &caller, request).await,
        Err(refusal) => Err(refusal.0),
    };
    answered.map_err(|problem| {
        let says_itself = partial == Ok(true) || problem.code == &codes::PARTIAL_WRITE;
        Refusal(if says_itself { problem } else { nothing_kept(problem) })
    })
}

/// Says of a refusal that it refused the whole request. After a 5xx the outcome is unknown.
pub(crate) fn nothing_kept(problem: Problem) -> Problem {
    if problem.code.status >= 500 {
        return problem;
    }
    let hint = format!("Nothing of the request was kept. {}", problem.mend());
    problem.hint(hint)
}

async fn answer(web: &Web, caller: &Caller, request: Request) -> Result<Response<Body>, Problem> {
    let params = Params::of(request.uri(), &KNOWN)?;
    let unit = params.choice("precision", TimeUnit::Nanoseconds, "ns, us, ms or s", TimeUnit::from_name)?;
    let flags = params
        .choice("mode", Flags::default(), "replace", |text| (text == "replace").then_some(Flags::REPLACE))?;
    let spelling = spelling(params.one("format")?, request.headers())?;
    let by_agent = spelling == Spelling::Remote;
    let partial = params.flag("partial")? || by_agent;
    let mut origin = Origin::default();
    for name in ["db", "rp"] {
        origin.add(name, params.one(name)?.unwrap_or_default());
    }
    if origin != Origin::default() && !matches!(spelling, Spelling::Lines | Spelling::Remote) {
        let detail = "db= and rp= say where series of line protocol and of remote write are from; here names are whole";
        return Err(Problem::new(&codes::BAD_PARAMETER, detail).hint("Leave them away"));
    }
    let terms = Terms { unit, flags, partial, by_agent, partial_by: "?partial=true", origin };
    if matches!(spelling, Spelling::Columns(_) | Spelling::Remote) && unit != TimeUnit::Nanoseconds {
        let detail = "precision= says what numbers in text count; in columns whole numbers of `time` are nanoseconds, \
                      in remote write milliseconds";
        return Err(Problem::new(&codes::BAD_PARAMETER, detail)
            .hint("Leave precision= away, or send timestamps: their type says the unit"));
    }
    let (parts, body) = request.into_parts();
    let whole = read_body(web, &parts.headers, body).await;
    let whole = if by_agent { whole.map_err(agents::refused)? } else { whole? };
    let once = Once::of(&parts.headers, &caller.identity, &whole.bytes)?;
    let written = write_whole(web, &caller.identity, spelling, terms, whole, once).await;
    if by_agent {
        return agents::remote_written(agents::settled(written)?);
    }
    let written = written?;
    Ok(match written.refused_count {
        0 => nothing(),
        refused => json(&PartialWrite { kept: written.kept, refused, problems: listed(written) }),
    })
}

fn listed(written: Written) -> Vec<RefusedLine> {
    let line = |refused: Refused| {
        let (line, column) = (refused.line, refused.column);
        let problem = refused.error.into_problem();
        RefusedLine { line, column, code: problem.code.id, detail: problem.detail }
    };
    written.refused.into_iter().map(line).collect()
}

pub(crate) async fn read_body(web: &Web, headers: &HeaderMap, body: Body) -> Result<Whole, Problem> {
    let settings = web.settings();
    let limits = BodyLimits {
        bytes_max: settings
            .body_bytes_max
            .min(usize::try_from(web.0.limits.bodies.max()).unwrap_or(usize::MAX)),
        idle_max: settings.idle_max,
        time_max: settings.body_time_max,
    };
    let narrowed = limits.bytes_max < settings.body_bytes_max;
    body::read(headers, body, &web.0.limits.bodies, limits).await.map_err(|problem| {
        match narrowed && problem.code == &codes::TOO_LARGE {
            true => problem.hint("Send it in parts, or raise limits.memory: the doors' share of it is less than the largest body"),
            false => problem,
        }
    })
}

/// `format=` wins over `Content-Type`.
fn spelling(format: Option<&str>, headers: &HeaderMap) -> Result<Spelling, Problem> {
    let unsupported = |what: &str| {
        let detail = format!(
            "{what} cannot be written: send text/plain (line protocol), application/json, application/x-ndjson, \
             {}, {} or application/x-protobuf (Prometheus remote write 1.0)",
            Format::Arrow.media_type(),
            Format::Parquet.media_type()
        );
        Problem::new(&codes::UNSUPPORTED_FORMAT, detail)
    };
    let value =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("text/plain");
    // Version 2 names itself in a parameter. Read as version 1 it holds nothing, and would be taken for kept.
    let is_other_protobuf = value.contains("proto=") && !value.contains("prometheus.WriteRequest");
    if let Some(format) = format {
        return match format {
            "line" => Ok(Spelling::Lines),
            "json" => Ok(Spelling::Samples(Layout::Json)),
            "ndjson" => Ok(Spelling::Samples(Layout::JsonLines)),
            "arrow" => Ok(Spelling::Columns(Format::Arrow)),
            "parquet" => Ok(Spelling::Columns(Format::Parquet)),
            "prometheus" if is_other_protobuf => Err(unsupported("this kind of protobuf")),
            "prometheus" => Ok(Spelling::Remote),
            other => Err(unsupported(&other.chars().take(40).collect::<String>())),
        };
    }
    let media_type = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media_type.as_str() {
        "" | "text/plain" | "application/octet-stream" | "application/x-www-form-urlencoded" => {
            Ok(Spelling::Lines)
        }
        "application/json" => Ok(Spelling::Samples(Layout::Json)),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
            Ok(Spelling::Samples(Layout::JsonLines))
        }
        "application/vnd.apache.arrow.stream" => Ok(Spelling::Columns(Format::Arrow)),
        "application/vnd.apache.parquet" => Ok(Spelling::Columns(Format::Parquet)),
        "application/x-protobuf" if is_other_protobuf => Err(unsupported("this kind of protobuf")),
        "application/x-protobuf" => Ok(Spelling::Remote),
        other => Err(unsupported(&other.chars().take(60).collect::<String>())),
    }
}

/// What was written.
pub(crate) struct Written {
    pub(crate) kept: u64,
    /// The first of the lines or samples of which something was refused, and how many there are.
    pub(crate) refused: Vec<Refused>,
    pub(crate) refused_count: u64,
    /// Why the request is to come again as it is, though much of it is kept.
    pub(crate) later: Option<Problem>,
}

/// How often a request is bound again because the policy or the registry changed under it.
const EPOCHS_TRIED_MAX: u32 = 3;

/// Checks, binds, publishes, and waits until all of it is durable.
pub(crate) async fn write_whole(
    web: &Web,
    who: &Identity,
    spelling: Spelling,
    terms: Terms,
    whole: Whole,
    once: Option<Once>,
) -> Result<Written, Problem> {
    let Whole { bytes, mut permit } = whole;
    let body = Bytes::from(bytes);
    let body_bytes = body.len() as u64;
    // A short body of columns may hold many samples.
    let (batches_bytes, long_bytes) = match spelling {
        Spelling::Columns(format) => {
            let all_bytes = unpacked(web, format, &body, &mut permit).await?;
            (all_bytes, all_bytes.max(body_bytes))
        }
        Spelling::Remote => (body_bytes.saturating_mul(BATCH_BYTES_A_REMOTE_BYTE), body_bytes),
        _ => (body_bytes.saturating_mul(BATCH_BYTES_A_BODY_BYTE), body_bytes),
    };
    let mut commits = Vec::new();
    let task = Task { spelling, terms, body, batches_bytes, long_bytes, once };
    let written = write_in_turns(web, who, &task, permit, &mut commits).await;
    written.map_err(|problem| match commits.is_empty() || problem.code.status >= 500 {
        true => problem,
        // A refusal would say that nothing was kept.
        false => {
            let detail = format!("only the beginning of the request may have been kept: {}", problem.detail);
            Problem::new(&codes::NOT_DURABLE, detail)
        }
    })
}

/// A body that was read and what is to become of it.
struct Task {
    spelling: Spelling,
    terms: Terms,
    body: Bytes,
    /// What its batches take at most.
    batches_bytes: u64,
    /// By what it is decided where it is read.
    long_bytes: u64,
    once: Option<Once>,
}

async fn write_in_turns(
    web: &Web,
    who: &Identity,
    task: &Task,
    mut permit: Permit,
    commits: &mut Vec<Commit>,
) -> Result<Written, Problem> {
    let Task { spelling, terms, body, batches_bytes, long_bytes, once } = task;
    let held_bytes = permit.amount();
    let mut tried = 1;
    let mut refused_before = None;
    let mut units_said = 0;
    loop {
        let room_bytes = room(&web.0.limits.bodies, &mut permit, *batches_bytes)?;
        let window = Window { from: commits.len(), bytes_max: room_bytes };
        let collected =
            read_aside(*long_bytes, collecting(web, who, *spelling, terms, body.clone(), window)).await?;
        let Collected { epoch, parts, parts_bytes, kept, refused, refused_count, later, .. } = collected;
        let Collected { failed, complete, first_units, .. } = collected;
        if let Some(problem) = failed {
            return Err(problem);
        }
        if refused_before.is_none() {
            web.0.counters.refused_lines.add(refused_count);
        }
        if !terms.partial && !refused.is_empty() && commits.is_empty() {
            return Err(first_of(refused, *spelling, terms));
        }
        if !commits.is_empty() && refused_before != Some(refused_count) {
            let detail = "rights changed in the middle of the request; only its beginning was kept";
            return Err(Problem::new(&codes::NOT_DURABLE, detail));
        }
        refused_before = Some(refused_count);
        if !first_units.is_empty() && commits.is_empty() && units_said < UNITS_SAID_MAX {
            units_said += 1;
            drop(parts);
            permit.shrink(permit.amount().saturating_sub(held_bytes));
            say_units(&*web.0.doors.bus, who, first_units).await?;
            continue;
        }
        hold(&web.0.limits.bodies, &mut permit, held_bytes.saturating_add(parts_bytes))?;
        match publish(&*web.0.doors.bus, who, epoch, parts, *once, commits).await {
            Ok(()) if complete => {}
            // The next parts are read from the body again: it is held, they would not all have room beside it.
            Ok(()) => {
                permit.shrink(permit.amount().saturating_sub(held_bytes));
                continue;
            }
            // Others took the last names meanwhile: read again, it is known for which lines there are none.
            Err(problem) if tried < EPOCHS_TRIED_MAX && is_read_again(&problem, terms.partial) => {
                tried += 1;
                // The batches of this attempt are gone.
                permit.shrink(permit.amount().saturating_sub(held_bytes));
                continue;
            }
            Err(problem) => return Err(problem),
        }
        for commit in commits {
            commit.await?;
        }
        web.0.counters.samples.add(kept);
        return Ok(Written { kept, refused, refused_count, later });
    }
}

/// How often a request is read again because signals got their first units from it.
const UNITS_SAID_MAX: u32 = 100;

/// Gives signals their first units. One that got another meanwhile keeps it: the request is read again.
async fn say_units(bus: &dyn Bus, who: &Identity, units: Vec<(SignalPath, Arc<str>)>) -> Result<(), Problem> {
    let mut commits = Vec::new();
    for (path, unit) in units {
        // Each change of a unit ends the grants before it.
        let Some(grant) = bus.resolve(who, &path, 0)? else { continue };
        let edit = MetaEdit { unit: Some(unit), ..MetaEdit::default() };
        match bus.edit(who, &grant, edit) {
            Ok(commit) => commits.push(commit),
            Err(problem) if problem.code == &codes::CONFLICT => {}
            Err(problem) => return Err(problem),
        }
    }
    for commit in commits {
        commit.await?;
    }
    Ok(())
}

fn is_read_again(problem: &Problem, partial: bool) -> bool {
    let no_names = [&codes::SIGNALS_LIMIT, &codes::SIGNALS_RATE].contains(&problem.code);
    problem.code == &codes::CONFLICT || partial && no_names
}

/// The line or sample for which a request is refused.
fn first_of(mut refused: Vec<Refused>, spelling: Spelling, terms: &Terms) -> Problem {
    let problem = refused.swap_remove(0).into_problem();
    if spelling != Spelling::Lines {
        return problem;
    }
    let hint = format!("{}. Or send {} to keep the good lines", problem.mend(), terms.partial_by);
    problem.hint(hint)
}

/// What a sample takes in a batch: id, time, value, stamp.
pub(crate) const ROW_BYTES: u64 = 28;
/// What the fullest batch takes.
const PART_BYTES_MAX: u64 = BATCH_ROWS_MAX as u64 * ROW_BYTES + BATCH_HEAP_BYTES_MAX as u64;
/// More bytes of batches than this are not held at once for one request.
const WINDOW_BYTES_MAX: u64 = 64 << 20;
/// The shortest field (`,a=1`) makes so many times its bytes.
const BATCH_BYTES_A_BODY_BYTE: u64 = 7;
/// The shortest sample of remote write has two bytes: both its numbers are 0.
const BATCH_BYTES_A_REMOTE_BYTE: u64 = ROW_BYTES / 2;

/// Takes room for what columns become while they are decoded. Gives how many bytes of samples they are at most, as far as
/// their heads tell: texts that stand often are counted when they are there.
async fn unpacked(web: &Web, format: Format, body: &Bytes, permit: &mut Permit) -> Result<u64, Problem> {
    let (history, whole) = (web.doors().history.clone(), body.clone());
    let measure = read_aside(body.len() as u64, move || history.measure(format, &whole)).await?;
    if !permit.try_grow(measure.unpacked_bytes) {
        return Err(no_room(&web.0.limits.bodies, permit.amount().saturating_add(measure.unpacked_bytes)));
    }
    Ok(measure.rows.saturating_mul(ROW_BYTES).saturating_add(measure.unpacked_bytes))
}

/// Takes room for batches beside the body: for all, if there is; for one part at least, where the body makes several.
fn room(limit: &Limit, permit: &mut Permit, all_bytes: u64) -> Result<u64, Problem> {
    let all = all_bytes.min(WINDOW_BYTES_MAX);
    let least = all.min(PART_BYTES_MAX);
    let mut wanted = all;
    loop {
        if permit.try_grow(wanted) {
            return Ok(wanted);
        }
        if wanted <= least {
            return Err(no_room(limit, permit.amount().saturating_add(least)));
        }
        wanted = (wanted / 2).max(least);
    }
}

fn no_room(limit: &Limit, whole: u64) -> Problem {
    if whole > limit.max() {
        // Waiting would not help: it does not fit alone.
        let detail =
            format!("the request needs {whole} bytes of memory and all requests may hold {}", limit.max());
        return Problem::new(&codes::TOO_LARGE, detail).hint("Send it in parts, or raise limits.memory");
    }
    Problem::new(&codes::BUSY, "other requests hold all the memory that requests may hold").retry_after(1)
}

/// Counts what a request really takes against the common bound, its batches and new names among it.
fn hold(limit: &Limit, permit: &mut Permit, wanted: u64) -> Result<(), Problem> {
    permit.shrink(permit.amount().saturating_sub(wanted));
    let missing = wanted.saturating_sub(permit.amount());
    if missing == 0 || permit.try_grow(missing) { Ok(()) } else { Err(no_room(limit, wanted)) }
}

/// Reads where it is called what is short, and on a thread of its own what is not.
async fn read_aside<T: Send + 'static>(
    bytes: u64,
    read: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    if bytes <= INLINE_BYTES_MAX {
        return read();
    }
    let lost = |_| Problem::new(&codes::INTERNAL, "reading the request failed; nothing of it was kept");
    tokio::task::spawn_blocking(read).await.map_err(lost)?
}

fn collecting(
    web: &Web,
    who: &Identity,
    spelling: Spelling,
    terms: &Terms,
    body: Bytes,
    window: Window,
) -> impl FnOnce() -> Result<Collected, Problem> + use<> {
    let (house, who, terms) = (web.0.clone(), who.clone(), terms.clone());
    move || {
        let settings = house.settings();
        let mut collector = Collector::new(&house.desk, &settings, &who, &terms, body.len(), window)?;
        match spelling {
            Spelling::Lines => line::parse(&body, terms.unit, &mut collector),
            Spelling::Samples(layout) => samples::decode(&body, layout, &mut collector),
            Spelling::Columns(format) => house.doors.history.decode(format, body, &mut collector)?,
            Spelling::Remote => remote::parse(&body, &mut collector),
        }
        Ok(collector.finish())
    }
}
