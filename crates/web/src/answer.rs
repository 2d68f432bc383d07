//! How answers look: RFC 9457 problem documents, and JSON.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use tidemill_core::{Problem, codes};
use utoipa::ToSchema;

use crate::error::{Error, Refused};

/// What a handler gives up with; becomes a problem document.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) Problem);

pub(crate) type Answer = Result<Response<Body>, Refusal>;

impl<T: Into<Problem>> From<T> for Refusal {
    fn from(problem: T) -> Refusal {
        Refusal(problem.into())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        error.into_problem()
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        refused.into_problem()
    }
}

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemDocument<'a> {
    /// A relative address that names the code.
    r#type: String,
    /// What the code means.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// The stable code.
    code: &'a str,
    /// What failed, on what.
    detail: &'a str,
    /// What to do next.
    hint: &'a str,
    /// The first place in the request, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// The column there, in characters from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u64>,
    /// Seconds to wait before repeating.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
}

/// What a probe is told: it knows 503 alone, whatever status the problem has elsewhere.
pub(crate) fn not_ready(problem: &Problem) -> Response<Body> {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let mut response = with_json(status, &ProblemDocument { status: status.as_u16(), ..document(problem) });
    let media_type = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}

pub(crate) fn document(problem: &Problem) -> ProblemDocument<'_> {
    ProblemDocument {
        r#type: format!("/problems/{}", problem.code.id),
        title: problem.code.title,
        status: problem.code.status,
        code: problem.code.id,
        detail: &problem.detail,
        hint: problem.mend(),
        line: problem.place.map(|(line, _)| line),
        column: problem.place.map(|(_, column)| column),
        retry_after: problem.retry_after_s,
    }
}

/// Why it was refused, for the audit, which takes it of answers with 403.
#[derive(Clone)]
pub(crate) struct Why(pub(crate) std::sync::Arc<str>);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        let problem = self.0;
        let status = StatusCode::from_u16(problem.code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = with_json(status, &document(&problem));
        response.extensions_mut().insert(problem.code);
        if status == StatusCode::FORBIDDEN {
            response.extensions_mut().insert(Why(problem.detail.as_str().into()));
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = problem.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if problem.code == &codes::UNAUTHENTICATED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tidemill\""));
        }
        response
    }
}

/// A JSON answer.
pub(crate) fn json(value: &impl Serialize) -> Response<Body> {
    with_json(StatusCode::OK, value)
}

pub(crate) fn with_json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    // Every type given here is a plain struct of ours: it always has a JSON form.
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes_of(status, "application/json", bytes)
}

/// An answer with these bytes.
pub(crate) fn bytes_of(
    status: StatusCode,
    media_type: &'static str,
    bytes: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(bytes.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// 204.
pub(crate) fn nothing() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
