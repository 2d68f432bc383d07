//! What holds for every request: a number, an access log without secrets, refusal of foreign hosts and origins, headers
//! that bind browsers, answers compressed where the client wants that, and a problem document instead of a panic.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse;
use futures_util::FutureExt;
use tidemill_core::{AuditEntry, AuditResult, Code, Problem, codes};

use crate::Web;
use crate::answer::{Refusal, Why};
use crate::caller::{Connection, Seen, check_host_and_origin};
use crate::compress::compressed;
use crate::refusals;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The router with all that.
pub(crate) fn wrap(web: &Web, router: Router<Web>) -> Router<Web> {
    router
        .fallback(async || Refusal(Problem::new(&codes::NOT_FOUND, "there is nothing at this address")))
        .method_not_allowed_fallback(async || {
            Refusal(Problem::new(&codes::NOT_ALLOWED, "this address does not take that method"))
        })
        .layer(from_fn_with_state(web.clone(), around))
}

async fn around(State(web): State<Web>, mut request: Request, next: Next) -> Response<Body> {
    let started = web.doors().clock.monotonic();
    let number = web.0.requests.fetch_add(1, Ordering::Relaxed) + 1;
    let seen = Seen::default();
    request.extensions_mut().insert(seen.clone());
    let method = request.method().clone();
    // The pattern, not the address: addresses may hold names that a log should not collect without end.
    let route =
        request.extensions().get::<MatchedPath>().map_or("-".to_owned(), |path| path.as_str().to_owned());
    let accepted = request.headers().get(header::ACCEPT_ENCODING).cloned();
    let mut response = match admitted(&web, &request) {
        Err(problem) => Refusal(problem).into_response(),
        Ok(()) => match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            Err(_) => {
                web.0.counters.panics.add(1);
                tracing::error!(event = "http.panic", request = number, %method, route);
                let detail = format!("request {number} failed by a defect of the program");
                Refusal(Problem::new(&codes::INTERNAL, detail)).into_response()
            }
        },
    };
    if response.status() == StatusCode::FORBIDDEN {
        audit_refusal(&web, &seen, format!("{method} {route}"), &response);
    }
    check_described(method.as_str(), &route, &response);
    secure(&mut response);
    response.headers_mut().insert(REQUEST_ID, HeaderValue::from(number));
    let took = web.doors().clock.monotonic().saturating_sub(started);
    let (status, who) = (response.status().as_u16(), seen.name());
    web.0.counters.answered.count(status, took);
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    if response.status().is_server_error() {
        tracing::warn!(event = "http.request", request = number, %method, route, status, who, took_us);
    } else {
        tracing::debug!(event = "http.request", request = number, %method, route, status, who, took_us);
    }
    compressed(response, accepted.as_ref())
}

/// Nothing is answered that the description does not list: held against it while the program is built for tests.
fn check_described(method: &str, route: &str, response: &Response<Body>) {
    if let Some(code) = response.extensions().get::<&'static Code>() {
        let (status, code) = (response.status(), *code);
        debug_assert!(refusals::lists(method, route, code), "{method} {route} answered {status} {}", code.id);
    }
}

/// Who asked for what they may not is kept; the guard sums up a flood. It is not waited for: nothing depends on it.
fn audit_refusal(web: &Web, seen: &Seen, target: String, response: &Response<Body>) {
    let Some(who) = seen.identity() else { return };
    let why = response.extensions().get::<Why>().map_or("", |why| &*why.0);
    let entry = AuditEntry {
        who: who.clone(),
        action: "access.refused",
        target,
        result: AuditResult::Refused,
        detail: serde_json::json!({ "why": why }).to_string(),
    };
    if let Err(problem) = web.doors().authority.audit(entry) {
        tracing::warn!(event = "audit.refusal_lost", code = problem.code.id);
    }
}

/// The longest address of a request (hundreds of names fit), and the most bytes of its headers. Beyond 64 KiB, or 100 headers, the connection
/// itself ends with a bare status: nothing is read that far.
const ADDRESS_BYTES_MAX: usize = 32 << 10;
const HEAD_BYTES_MAX: usize = 16 << 10;

fn check_head(request: &Request) -> Result<(), Problem> {
    let uri = request.uri();
    let address_bytes = uri.path_and_query().map_or(0, |address| address.as_str().len());
    if address_bytes > ADDRESS_BYTES_MAX {
        let detail = format!("the address has {address_bytes} bytes; at most {ADDRESS_BYTES_MAX} are read");
        return Err(Problem::new(&codes::ADDRESS_TOO_LONG, detail));
    }
    let sizes = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let head_bytes: usize = sizes.sum();
    if head_bytes > HEAD_BYTES_MAX {
        let detail = format!("the headers have {head_bytes} bytes; at most {HEAD_BYTES_MAX} are read");
        return Err(Problem::new(&codes::HEAD_TOO_LARGE, detail));
    }
    Ok(())
}

fn admitted(web: &Web, request: &Request) -> Result<(), Problem> {
    check_head(request)?;
    let unknown = Connection::Unknown;
    let connection = request.extensions().get::<Connection>().unwrap_or(&unknown);
    let path = request.uri().path();
    let (version, method) = (request.version(), request.method());
    check_host_and_origin(connection, version, method, path, request.headers(), &web.settings())
}

/// Headers for browsers: nothing here is framed, guessed, cached or sent elsewhere.
fn secure(response: &mut Response<Body>) {
    let all = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    if upgrade {
        return;
    }
    for (name, value) in all {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
}
