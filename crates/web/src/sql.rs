//! SQL over everything the caller may read. What a query means and may cost is the historian's business.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde::Deserialize;
use tidemill_core::{Format, Problem, SqlQuery, Value, codes};
use utoipa::ToSchema;

use crate::Web;
use crate::answer::Answer;
use crate::body::{self, BodyLimits, Whole};
use crate::caller::Caller;
use crate::params::Params;
use crate::read::{format_of, stream_chunks};
use crate::shapes::Table;

/// The longest query, its parameters included.
const BODY_BYTES_MAX: usize = 1 << 20;

/// A query with its parameters.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlRequest {
    /// DataFusion's dialect; tables `samples`, `signals`, `sys.*`.
    query: String,
    /// For `$1`, `$2`, …: null, booleans, numbers, text, and lists of these, as in `signal = ANY($1)`.
    #[serde(default)]
    parameters: Vec<serde_json::Value>,
}

/// Runs a query.
///
/// `{"columns": [{"name", "type"}…], "rows": [[…]…]}`, or the other formats.
#[utoipa::path(
    post, path = "/api/v1/sql", tag = "samples",
    params(("format" = Option<String>, Query, description = "json (default), ndjson, csv, arrow, parquet; wins over Accept")),
    request_body = SqlRequest,
    responses(
        (status = 200, description = "The rows, or the other format", body = Table),
    )
)]
pub(crate) async fn sql(State(web): State<Web>, caller: Caller, request: Request) -> Answer {
    let params = Params::of(request.uri(), &["format"])?;
    let format = format_of(&params, request.headers(), Format::Json)?;
    let headers = request.headers().clone();
    let question: SqlRequest = read_json(&web, request).await?;
    let parameters = question.parameters.into_iter().map(parameter).collect::<Result<_, _>>()?;
    let query = SqlQuery { text: question.query, parameters };
    let doors = web.doors();
    let chunks = doors.history.sql(caller.grant.scope(), query, format, web.settings().query).await?;
    stream_chunks(chunks, format, caller, &headers).await
}

fn parameter(value: serde_json::Value) -> Result<Value, Problem> {
    Ok(match value {
        serde_json::Value::Null => Value::None,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::String(text) => Value::Text(text.into()),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(integer), ..) => Value::Int(integer),
            (None, Some(integer), _) => Value::UInt(integer),
            (None, None, Some(float)) => Value::Float(float),
            (None, None, None) => {
                return Err(Problem::new(&codes::BAD_SQL, "a parameter does not fit 64 bits"));
            }
        },
        other => Value::Json(other.to_string().into()),
    })
}

/// A small JSON body as one of our types.
pub(crate) async fn read_json<T: serde::de::DeserializeOwned>(
    web: &Web,
    request: Request,
) -> Result<T, Problem> {
    let bytes = read_json_bytes(web, request, BODY_BYTES_MAX).await?;
    object(&bytes, "See /api/v1/openapi.json for this call's members")
}

/// The bytes of a body that says that it is JSON.
pub(crate) async fn read_json_bytes(web: &Web, request: Request, bytes_max: usize) -> Result<Bytes, Problem> {
    let (parts, body) = request.into_parts();
    let media_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    // A page of another site can send text/plain without being asked, never application/json.
    if !media_type.is_some_and(|media_type| media_type.to_ascii_lowercase().contains("json")) {
        let detail = "this call takes a JSON object: send Content-Type: application/json";
        return Err(Problem::new(&codes::UNSUPPORTED_FORMAT, detail));
    }
    Ok(read_question(web, &parts.headers, body, bytes_max).await?.bytes.into())
}

/// A body that asks: much shorter than one that is written may be.
pub(crate) async fn read_question(
    web: &Web,
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Whole, Problem> {
    let settings = web.settings();
    let limits = BodyLimits { bytes_max, idle_max: settings.idle_max, time_max: settings.body_time_max };
    body::read(headers, body, &web.0.limits.bodies, limits).await
}

/// A JSON object as one of our types. An array with the members in the order of our code would be read as well, and
/// would mean something else as soon as that order changed: it is refused.
pub(crate) fn object<T: serde::de::DeserializeOwned>(json: &[u8], hint: &str) -> Result<T, Problem> {
    let bad = |why: String, line: usize, column: usize| {
        Problem::new(&codes::BAD_JSON, why).hint(hint).at(line.max(1) as u64, column.max(1) as u64)
    };
    if json.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        return Err(bad("this takes a JSON object, which begins with '{'".to_owned(), 1, 1));
    }
    serde_json::from_slice(json).map_err(|error| bad(error.to_string(), error.line(), error.column()))
}
