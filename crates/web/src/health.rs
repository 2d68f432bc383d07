//! Probes, metrics, and the page that says what this is.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use tidemill_core::{Pattern, Problem, Verb, codes};
use utoipa::ToSchema;

use crate::Web;
use crate::admin::HealthWarning;
use crate::answer::{Answer, ProblemDocument, bytes_of, json, not_ready};
use crate::caller::{Caller, Connection};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a probe is told when all is well.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `live` or `ready`.
    status: &'static str,
}

/// Whether the program runs.
#[utoipa::path(get, path = "/health/live", tag = "health", operation_id = "health_live", responses((status = 200, description = "It runs", body = Health)))]
pub(crate) async fn live() -> Response<Body> {
    json(&Health { status: "live" })
}

/// Whether the plant takes work: values are accepted, and all of history can be read.
#[utoipa::path(
    get, path = "/health/ready", tag = "health", operation_id = "health_ready",
    responses((status = 200, description = "It does", body = Health), (status = 503, description = "It does not; why not is told by the problem, such as disk-full or damaged", body = ProblemDocument, content_type = "application/problem+json")),
)]
pub(crate) async fn ready(State(web): State<Web>) -> Response<Body> {
    match (web.doors().ready)() {
        Ok(()) => json(&Health { status: "ready" }),
        Err(problem) => not_ready(&problem),
    }
}

/// How the plant is.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlantHealth {
    /// `well`, `warning` (something will be wrong) or `problem` (something is lost or refused now).
    status: &'static str,
    /// What is wrong, what is lost now first.
    warnings: Vec<HealthWarning>,
}

/// What the plant warns of, in plain words: for whoever may read all of `tidemill/#`.
#[utoipa::path(get, path = "/api/v1/health", tag = "health", operation_id = "health", responses((status = 200, body = PlantHealth)))]
pub(crate) async fn plant(State(web): State<Web>, caller: Caller) -> Answer {
    let own = Pattern::new("tidemill/#")?;
    let decision = web.doors().authority.decide_all(&caller.identity, Verb::Read, &own);
    if !decision.allowed {
        let detail = format!("this needs the right to read tidemill/#: {}", decision.rule);
        return Err(Problem::new(&codes::FORBIDDEN, detail).into());
    }
    let warnings = web.doors().admin.health();
    let status = match warnings.as_slice() {
        [] => "well",
        all if all.iter().any(|warning| warning.now) => "problem",
        _ => "warning",
    };
    Ok(json(&PlantHealth { status, warnings }))
}

/// Counters and gauges as OpenMetrics text. From this machine or the control socket without a token; from elsewhere
/// for whoever can be identified.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, description = "OpenMetrics text", body = String, content_type = OPENMETRICS)))]
pub(crate) async fn metrics(
    State(web): State<Web>,
    connection: Option<axum::Extension<Connection>>,
    caller: Result<Caller, crate::answer::Refusal>,
) -> Answer {
    let near = match connection.as_deref() {
        Some(Connection::Control { .. }) => true,
        Some(Connection::Network { peer, .. }) => peer.ip().to_canonical().is_loopback(),
        _ => false,
    };
    if !near {
        caller?;
    }
    let text = web.doors().metrics.render();
    Ok(bytes_of(StatusCode::OK, OPENMETRICS, text))
}

/// A plain page: what this is, and where the API is.
pub(crate) async fn page(State(web): State<Web>) -> Response<Body> {
    let plant = &web.doors().plant;
    let (name, version) = (html(&plant.name), html(&plant.version));
    let text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{name} - Tidemill</title></head>\n\
         <body><h1>{name}</h1>\n<p>This is a Tidemill plant, version {version}: every machine value becomes a named, \
         trusted, explainable signal.</p>\n<ul>\n<li>API: <a href=\"/api/v1/openapi.json\">/api/v1/openapi.json</a></li>\n\
         <li>Health: <a href=\"/health/ready\">/health/ready</a>, metrics: <a href=\"/metrics\">/metrics</a></li>\n</ul>\n\
         <p>Write: <code>POST /api/v1/write</code>. Read: <code>GET /api/v1/read?signal=NAME&amp;from=-1h</code>. \
         SQL: <code>POST /api/v1/sql</code>. All with <code>Authorization: Bearer TOKEN</code>.</p>\n</body></html>\n"
    );
    let mut response = bytes_of(StatusCode::OK, "text/html; charset=utf-8", text);
    let policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
