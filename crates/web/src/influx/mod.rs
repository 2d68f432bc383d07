//! The doors of InfluxDB's clients and of Telegraf: versions 1, 2 and 3 of its write calls, and what clients ask before
//! they write. Good lines are kept and bad ones counted, samples replace what stands at the same time, and errors look
//! as each version's clients expect. There are no databases: a database, bucket, policy or organisation is a tag of the
//! signal, and a part of its name where a template says so.

mod form;
pub(crate) mod query;
mod statement;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use tidemill_core::{Flags, Problem, codes};
use utoipa::ToSchema;

use crate::Web;
use crate::answer::{Refusal, Why, json, nothing, with_json};
use crate::caller::Caller;
use crate::line::origin::Origin;
use crate::params::Params;
use crate::times::TimeUnit;
use crate::write::collect::Terms;
use crate::write::{Spelling, Written, agents, nothing_kept, read_body, write_whole};

/// What clients that ask for a version are told: the protocol of InfluxDB 1.8, and who speaks it.
const VERSION: &str = "1.8.10-tidemill";

/// Whose manners.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
    Three,
}

/// Writes line protocol as InfluxDB 1 does.
#[utoipa::path(post, path = "/write", tag = "influxdb", operation_id = "influx_write_1",
    params(("db" = Option<String>, Query), ("u" = Option<String>, Query, description = "Anything; with it the token may stand in p"), ("p" = Option<String>, Query, description = "The token"), ("rp" = Option<String>, Query), ("precision" = Option<String>, Query, description = "n, ns, u, us, ms, s, m, h; default ns")),
    responses((status = 204, description = "Durable"), (status = 400, description = "partial write: … dropped=N: the other lines are durable", body = Complaint)))]
pub(crate) async fn write_1(
    web: State<Web>,
    caller: Result<Caller, Refusal>,
    request: Request,
) -> Response<Body> {
    write(Version::One, web, caller, request).await
}

/// Writes line protocol as InfluxDB 2 does.
#[utoipa::path(post, path = "/api/v2/write", tag = "influxdb", operation_id = "influx_write_2",
    params(("bucket" = Option<String>, Query), ("org" = Option<String>, Query), ("precision" = Option<String>, Query, description = "ns, us, ms, s; default ns")),
    responses((status = 204, description = "Durable"), (status = 400, description = "partial write: … dropped=N: the other lines are durable", body = ComplaintWithCode)))]
pub(crate) async fn write_2(
    web: State<Web>,
    caller: Result<Caller, Refusal>,
    request: Request,
) -> Response<Body> {
    write(Version::Two, web, caller, request).await
}

/// Writes line protocol as InfluxDB 3 does.
#[utoipa::path(post, path = "/api/v3/write_lp", tag = "influxdb", operation_id = "influx_write_3",
    params(("db" = Option<String>, Query), ("precision" = Option<String>, Query, description = "nanosecond, microsecond, millisecond, second; default nanosecond; auto is refused"), ("accept_partial" = Option<bool>, Query)),
    responses((status = 204, description = "Durable"), (status = 400, description = "partial write: … dropped=N: the other lines are durable", body = Complaint)))]
pub(crate) async fn write_3(
    web: State<Web>,
    caller: Result<Caller, Refusal>,
    request: Request,
) -> Response<Body> {
    write(Version::Three, web, caller, request).await
}

async fn write(
    version: Version,
    State(web): State<Web>,
    caller: Result<Caller, Refusal>,
    request: Request,
) -> Response<Body> {
    let written = match caller {
        Ok(caller) => write_lines(version, &web, &caller, request).await,
        Err(Refusal(problem)) => Err(problem),
    };
    match agents::settled(written) {
        Ok(written) if written.refused_count == 0 => nothing(),
        Ok(written) => partial(version, written),
        Err(problem) => error(version, &problem),
    }
}

async fn write_lines(
    version: Version,
    web: &Web,
    caller: &Caller,
    request: Request,
) -> Result<Written, Problem> {
    // Clients send parameters of their own here, some of later versions: what is not known is not asked for.
    let params = Params::parse(request.uri().query().unwrap_or_default())?;
    let known =
        "ns, us, ms, s (version 1 also n, u, m, h; version 3 second … nanosecond); it is never guessed";
    let unit = params.choice("precision", TimeUnit::Nanoseconds, known, |text| unit_of(version, text))?;
    let mut origin = Origin::default();
    for name in Origin::NAMES {
        origin.add(name, params.one(name)?.unwrap_or_default());
    }
    let partial = version != Version::Three || params.one("accept_partial")? != Some("false");
    let partial_by = "?accept_partial=true";
    let terms = Terms { unit, flags: Flags::REPLACE, partial, by_agent: true, partial_by, origin };
    let (parts, body) = request.into_parts();
    let whole = read_body(web, &parts.headers, body).await?;
    let written = write_whole(web, &caller.identity, Spelling::Lines, terms, whole, None).await;
    if partial { written } else { written.map_err(nothing_kept) }
}

fn unit_of(version: Version, text: &str) -> Option<TimeUnit> {
    match (version, text) {
        (_, "") => Some(TimeUnit::Nanoseconds),
        (Version::One, "n") | (Version::Three, "nanosecond") => Some(TimeUnit::Nanoseconds),
        (Version::One, "u" | "µ") | (Version::Three, "microsecond") => Some(TimeUnit::Microseconds),
        (Version::Three, "millisecond") => Some(TimeUnit::Milliseconds),
        (Version::Three, "second") => Some(TimeUnit::Seconds),
        (Version::One, "m") => Some(TimeUnit::Minutes),
        (Version::One, "h") => Some(TimeUnit::Hours),
        (_, text) => TimeUnit::from_name(text),
    }
}

/// Some lines were refused; the others are durable.
fn partial(version: Version, written: Written) -> Response<Body> {
    let dropped = written.refused_count;
    let kept = written.kept;
    let mut lines = written.refused.into_iter().map(|refused| (refused.line, refused.into_problem()));
    let Some((line, first)) = lines.next() else { return nothing() };
    // By these words clients of version 3 know that the rest of the answer is theirs.
    let third = if version == Version::Three { "partial write of line protocol occurred; " } else { "" };
    let message = format!("partial write: {third}line {line}: {} dropped={dropped}", first.detail);
    // Nothing was allowed: that is a refusal, not a partial success.
    let status = if kept == 0 && first.code == &codes::FORBIDDEN {
        StatusCode::FORBIDDEN
    } else {
        StatusCode::BAD_REQUEST
    };
    let mut response = shaped(version, status, "invalid", &message);
    let why = Why(first.detail.as_str().into());
    if version == Version::Three {
        let data = std::iter::once((line, first))
            .chain(lines)
            .map(|(line, problem)| ComplaintLine { line_number: line, error_message: problem.detail });
        response = with_json(status, &Complaint { error: &message, data: data.collect() });
    }
    response.extensions_mut().insert(why);
    response
}

fn error(version: Version, problem: &Problem) -> Response<Body> {
    let status = StatusCode::from_u16(problem.code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let code = match problem.code.status {
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not found",
        413 => "request too large",
        429 => "too many requests",
        503 => "unavailable",
        500.. => "internal error",
        _ => "invalid",
    };
    let message = format!("{}. {}", problem.detail, problem.mend());
    let mut response = match (version, problem.place) {
        (Version::Three, Some((line, _))) => {
            let error = format!("parsing failed for write_lp endpoint: line {line}: {message}");
            let data = vec![ComplaintLine { line_number: line, error_message: problem.detail.clone() }];
            with_json(status, &Complaint { error: &error, data })
        }
        _ => shaped(version, status, code, &message),
    };
    response.extensions_mut().insert(problem.code);
    response.extensions_mut().insert(Why(problem.detail.as_str().into()));
    if let Some(seconds) = problem.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// What versions 1 and 3 are told.
#[derive(Serialize, ToSchema)]
pub(crate) struct Complaint<'a> {
    /// What failed, on what, and what to do.
    error: &'a str,
    /// Version 3: each line that was refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    data: Vec<ComplaintLine>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ComplaintLine {
    line_number: u64,
    error_message: String,
}

/// What version 2 is told.
#[derive(Serialize, ToSchema)]
pub(crate) struct ComplaintWithCode<'a> {
    /// InfluxDB's word for it.
    code: &'a str,
    /// What failed, on what, and what to do.
    message: &'a str,
}

fn shaped(version: Version, status: StatusCode, code: &str, message: &str) -> Response<Body> {
    match version {
        Version::Two => with_json(status, &ComplaintWithCode { code, message }),
        Version::One | Version::Three => with_json(status, &Complaint { error: message, data: Vec::new() }),
    }
}

/// Which version of InfluxDB's protocol is spoken.
#[derive(Serialize, ToSchema)]
pub(crate) struct SpokenVersion {
    version: &'static str,
}

/// Whether it is there; 204, or with `verbose=true` the version.
#[utoipa::path(get, path = "/ping", tag = "influxdb", operation_id = "influx_ping",
    params(("verbose" = Option<bool>, Query, description = "true: 200 with the version")),
    responses((status = 204, description = "It is there"), (status = 200, description = "verbose=true: the version", body = SpokenVersion)))]
pub(crate) async fn ping(request: Request) -> Response<Body> {
    let verbose =
        request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "verbose=true"));
    let mut response = if verbose { json(&SpokenVersion { version: VERSION }) } else { nothing() };
    response.headers_mut().insert("x-influxdb-version", HeaderValue::from_static(VERSION));
    response.headers_mut().insert("x-influxdb-build", HeaderValue::from_static("Tidemill"));
    response
}

/// What InfluxDB 2 is asked for its health.
#[derive(Serialize, ToSchema)]
#[schema(as = InfluxHealth)]
pub(crate) struct Health<'a> {
    name: &'static str,
    /// Why it fails.
    message: String,
    /// `pass` or `fail`.
    status: &'static str,
    /// Always empty.
    #[schema(value_type = Vec<String>)]
    checks: [&'static str; 0],
    version: &'a str,
}

/// Health as InfluxDB 2 gives it.
#[utoipa::path(get, path = "/health", tag = "influxdb", operation_id = "influx_health",
    responses((status = 200, description = "pass", body = Health), (status = 503, description = "fail", body = Health)))]
pub(crate) async fn health(State(web): State<Web>) -> Response<Body> {
    let (status, word, message) = match (web.doors().ready)() {
        Ok(()) => (StatusCode::OK, "pass", "ready for queries and writes".to_owned()),
        Err(problem) => {
            (StatusCode::SERVICE_UNAVAILABLE, "fail", format!("{}. {}", problem.detail, problem.mend()))
        }
    };
    let version = &web.doors().plant.version;
    with_json(status, &Health { name: "tidemill", message, status: word, checks: [], version })
}

/// What InfluxDB 2 is asked before it is written to.
#[derive(Serialize, ToSchema)]
#[schema(as = InfluxReady)]
pub(crate) struct Ready {
    /// `ready`, or why it is not.
    status: String,
}

/// Readiness as InfluxDB 2 gives it.
#[utoipa::path(get, path = "/ready", tag = "influxdb", operation_id = "influx_ready",
    responses((status = 200, description = "ready", body = Ready), (status = 503, description = "Not ready", body = Ready)))]
pub(crate) async fn ready(State(web): State<Web>) -> Response<Body> {
    match (web.doors().ready)() {
        Ok(()) => json(&Ready { status: "ready".into() }),
        Err(problem) => with_json(StatusCode::SERVICE_UNAVAILABLE, &Ready { status: problem.detail }),
    }
}
