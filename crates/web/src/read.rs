//! Reading samples: which, from when to when, how many, in which spelling.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use futures_util::{StreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use tidemill_core::{
    Batches, Bus, Chunks, Format, Pattern, Problem, ReadMode, ReadQuery, SampleBatch, SignalId, SignalPath,
    codes,
};

use crate::Web;
use crate::answer::{self, Answer, bytes_of};
use crate::caller::Caller;
use crate::params::{Params, pattern};
use crate::samples::encode;
use crate::shapes::Sample;
use crate::times::TimeStyle;

/// The most patterns of one request.
const PATTERNS_MAX: usize = 1_000;

const KNOWN: &[&str] =
    &["signal", "from", "to", "unit", "mode", "every", "points", "limit", "format", "time"];

/// Reads samples, sorted by name and time.
#[utoipa::path(
    get, path = "/api/v1/read", tag = "samples",
    params(
        ("signal" = Vec<String>, Query, description = "Name or pattern (* one level, ** the rest); may stand many times"),
        ("from" = Option<String>, Query, description = "RFC 3339, -1h, now, or a number with unit=; included. Default -1h"),
        ("to" = Option<String>, Query, description = "The same; excluded. Default now"),
        ("unit" = Option<String>, Query, description = "What a number in from and to counts: ns, us, ms, s"),
        ("mode" = Option<String>, Query, description = "raw (default); last: the last sample before `to`, whatever its age"),
        ("points" = Option<u32>, Query, description = "Decimate to so many pixels: at most six samples each (first, smallest, largest, last, where a gap begins and ends), no extreme is lost"),
        ("limit" = Option<u64>, Query, description = "At most so many rows of each signal, the oldest first"),
        ("format" = Option<String>, Query, description = "json (default), ndjson, csv, arrow, parquet; wins over Accept"),
        ("time" = Option<String>, Query, description = "How times are written in json, ndjson, csv: rfc3339 (default), ns, us, ms, s"),
    ),
    responses(
        (status = 200, description = "An array of {signal, time, value, quality} objects, or the other format", body = Vec<Sample>),
    )
)]
pub(crate) async fn read(State(web): State<Web>, caller: Caller, request: Request) -> Answer {
    let params = Params::of(request.uri(), KNOWN)?;
    let query = query_of(&params, web.doors().clock.wall())?;
    let format = format_of(&params, request.headers(), Format::Json)?;
    let style =
        params.choice("time", TimeStyle::Rfc3339, "rfc3339, ns, us, ms or s", TimeStyle::from_name)?;
    let doors = web.doors();
    let (scope, budget) = (caller.grant.scope(), web.settings().query);
    if matches!(format, Format::Arrow | Format::Parquet) {
        let chunks = doors.history.export(scope, query, format, budget).await?;
        return stream_chunks(chunks, format, caller, request.headers()).await;
    }
    let batches = doors.history.read(scope, query, budget).await?;
    let encoder = Encoder { format, style, bus: doors.bus.clone(), names: HashMap::new(), rows: 0 };
    let chunks = Encoded { batches, encoder, state: Stage::Before };
    stream_chunks(Box::new(chunks), format, caller, request.headers()).await
}

fn query_of(params: &Params, now: i64) -> Result<ReadQuery, Problem> {
    let patterns: Vec<Pattern> = params.all("signal").map(pattern).collect::<Result<_, _>>()?;
    if patterns.is_empty() || patterns.len() > PATTERNS_MAX {
        let detail =
            format!("signal= stands {} times: name 1 to {PATTERNS_MAX} signals or patterns", patterns.len());
        return Err(Problem::new(&codes::BAD_PARAMETER, detail));
    }
    if params.one("every")?.is_some() {
        let detail = "every= needs a mode that computes a value for each interval, and there is none yet";
        return Err(Problem::new(&codes::BAD_PARAMETER, detail).hint("Use points=, or SQL with date_bin"));
    }
    let points: Option<u32> = params.number("points")?;
    let mode = match (params.one("mode")?, points) {
        (None | Some("raw"), None) => ReadMode::Raw,
        (None | Some("points"), Some(points)) if points > 0 => ReadMode::Points { points },
        (Some("last"), None) => ReadMode::Last,
        (mode, points) => {
            let points = points.map(|points| format!(" with points={points}")).unwrap_or_default();
            let mode: String = mode.unwrap_or("raw").chars().take(40).collect();
            let detail =
                format!("mode={mode}{points} is not known: use mode=raw, mode=last, or points=N from 1");
            return Err(Problem::new(&codes::BAD_PARAMETER, detail));
        }
    };
    let to = params.time("to", now)?.unwrap_or(now);
    const HOUR_NS: i64 = 3_600_000_000_000;
    let from = params.time("from", now)?.unwrap_or(to.saturating_sub(HOUR_NS));
    if from > to {
        return Err(Problem::new(&codes::BAD_PARAMETER, "from= is later than to="));
    }
    Ok(ReadQuery { patterns, from, to, mode, limit: params.number("limit")? })
}

/// `format=`, else what `Accept` names first and we have, else the default.
pub(crate) fn format_of(params: &Params, headers: &HeaderMap, default: Format) -> Result<Format, Problem> {
    if let Some(name) = params.one("format")? {
        return Format::from_name(name).ok_or_else(|| {
            let name: String = name.chars().take(40).collect();
            let detail = format!("format={name} is not known: use json, ndjson, csv, arrow or parquet");
            Problem::new(&codes::UNSUPPORTED_FORMAT, detail)
        });
    }
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    let bare =
        |media_type: &str| media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let wanted = accepted.split(',').map(bare);
    let found = wanted.into_iter().find_map(|wanted| match wanted.as_str() {
        "*/*" | "application/*" | "text/html" => Some(default),
        wanted => Format::ALL.into_iter().find(|format| bare(format.media_type()) == wanted),
    });
    Ok(found.unwrap_or(default))
}

/// The pieces as an answer. The first piece is awaited, so that what goes wrong at once is still a problem document;
/// later trouble is told by a client's wish in a trailer (`TE: trailers`), else breaks the connection, which no client
/// takes for a whole answer. What its caller may no longer have is such trouble.
pub(crate) async fn stream_chunks(
    chunks: Box<dyn Chunks>,
    format: Format,
    caller: Caller,
    headers: &HeaderMap,
) -> Answer {
    stream_typed(chunks, format.media_type(), caller, headers).await
}

/// The same for bytes of any type.
pub(crate) async fn stream_typed(
    mut chunks: Box<dyn Chunks>,
    media_type: &'static str,
    caller: Caller,
    headers: &HeaderMap,
) -> Answer {
    let first = match chunks.next().await {
        None => return Ok(bytes_of(StatusCode::OK, media_type, Body::empty())),
        Some(first) => first?,
    };
    let rest = stream::unfold(Some((chunks, caller)), async |rest| {
        let (mut chunks, mut caller) = rest?;
        let piece = chunks.next().await?;
        match caller.check().await.and(piece) {
            Ok(piece) => Some((Ok(piece), Some((chunks, caller)))),
            Err(problem) => {
                tracing::warn!(
                    event = "http.answer_broken",
                    code = problem.code.id,
                    detail = logged(&problem)
                );
                Some((Err(problem), None))
            }
        }
    });
    let all = stream::once(std::future::ready(Ok(first))).chain(rest);
    if !takes_trailers(headers) {
        return Ok(bytes_of(StatusCode::OK, media_type, Body::from_stream(all)));
    }
    let frames = all.map(|piece| Ok::<_, Infallible>(piece.map_or_else(trailer, Frame::data)));
    let mut response = bytes_of(StatusCode::OK, media_type, Body::new(StreamBody::new(frames)));
    response.headers_mut().insert(header::TRAILER, HeaderValue::from_static(PROBLEM_TRAILER));
    Ok(response)
}

/// What the log may say of a problem: where the query is at fault, the detail may quote its values, or those of samples.
fn logged(problem: &Problem) -> &str {
    if problem.code.status >= 500 { &problem.detail } else { "" }
}

/// The trailer in which an answer that was begun says what went wrong: a problem document.
const PROBLEM_TRAILER: &str = "tidemill-problem";

fn takes_trailers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::TE).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case("trailers"))
}

fn trailer(problem: Problem) -> Frame<Bytes> {
    let document = serde_json::to_vec(&answer::document(&problem)).unwrap_or_default();
    let mut trailers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(&document) {
        trailers.insert(PROBLEM_TRAILER, value);
    }
    Frame::trailers(trailers)
}

/// Where an encoded answer stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Before,
    Within,
    Done,
}

struct Encoded {
    batches: Box<dyn Batches>,
    encoder: Encoder,
    state: Stage,
}

impl Chunks for Encoded {
    fn next(&mut self) -> tidemill_core::Boxed<'_, Option<Result<Bytes, Problem>>> {
        Box::pin(async {
            if self.state == Stage::Done {
                return None;
            }
            let mut out = String::new();
            if self.state == Stage::Before {
                out.push_str(self.encoder.head());
                self.state = Stage::Within;
            }
            match self.batches.next().await {
                Some(Ok(batch)) => self.encoder.batch(&batch, &mut out),
                Some(Err(problem)) => {
                    self.state = Stage::Done;
                    return Some(Err(problem));
                }
                None => {
                    self.state = Stage::Done;
                    out.push_str(self.encoder.foot());
                }
            }
            Some(Ok(Bytes::from(out)))
        })
    }
}

struct Encoder {
    format: Format,
    style: TimeStyle,
    bus: Arc<dyn Bus>,
    names: HashMap<SignalId, Option<SignalPath>>,
    rows: u64,
}

impl Encoder {
    fn head(&self) -> &'static str {
        match self.format {
            Format::Json => "[",
            Format::Csv => "signal,time,value,kind,quality\r\n",
            _ => "",
        }
    }

    fn foot(&self) -> &'static str {
        if self.format == Format::Json { "]\n" } else { "" }
    }

    fn batch(&mut self, batch: &SampleBatch, out: &mut String) {
        out.reserve(batch.len() * 80);
        for row in batch.rows() {
            let bus = &self.bus;
            let name =
                self.names.entry(row.signal).or_insert_with(|| bus.path(row.signal).map(|(path, _)| path));
            let Some(name) = name.as_ref().map(SignalPath::as_str) else { continue };
            if self.format == Format::Csv {
                encode::write_csv(name, &row, self.style, out);
                continue;
            }
            if self.format == Format::Json && self.rows > 0 {
                out.push_str(",\n");
            }
            encode::write_sample(name, &row, self.style, out);
            if self.format == Format::JsonLines {
                out.push('\n');
            }
            self.rows += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use tidemill_core::codes;

    use super::*;

    #[test]
    fn the_log_quotes_no_values() {
        for (code, told) in [(&codes::BAD_SQL, ""), (&codes::QUERY_ROWS, ""), (&codes::DAMAGED, "the detail")]
        {
            assert_eq!(logged(&Problem::new(code, "the detail")), told, "{}", code.id);
        }
    }
}
