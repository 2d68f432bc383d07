//! Answers compressed on the way out: zstd or gzip, as the client says, piece by piece.

use std::io::Write;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, Response, StatusCode, header};
use flate2::write::GzEncoder;
use futures_util::{StreamExt, stream};
use zstd::stream::write::Encoder as ZstdEncoder;

/// Smaller answers are not worth it.
const BYTES_MIN: u64 = 1024;

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(ZstdEncoder<'static, Vec<u8>>),
}

impl Encoder {
    fn of(coding: &str) -> Option<Encoder> {
        match coding {
            "zstd" => ZstdEncoder::new(Vec::new(), 1).ok().map(Encoder::Zstd),
            _ => Some(Encoder::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::fast()))),
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Encoder::Gzip(encoder) => encoder.write_all(bytes).map(|()| std::mem::take(encoder.get_mut())),
            Encoder::Zstd(encoder) => encoder.write_all(bytes).map(|()| std::mem::take(encoder.get_mut())),
        }
    }

    fn finish(self) -> std::io::Result<Vec<u8>> {
        match self {
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Zstd(encoder) => encoder.finish(),
        }
    }
}

/// The answer, compressed if the client takes that and it is worth it.
pub(crate) fn compressed(response: Response<Body>, accepted: Option<&HeaderValue>) -> Response<Body> {
    let Some(coding) = accepted.and_then(|value| value.to_str().ok()).and_then(choose) else {
        return response;
    };
    let media_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_text = media_type.is_some_and(|media_type| {
        media_type.contains("json") || media_type.starts_with("text/") || media_type.contains("arrow")
    });
    // A compressed stream has no place for trailers, which some answers need to tell their end.
    let trailing = response.headers().contains_key(header::TRAILER);
    let small = response.body().size_hint().exact().is_some_and(|bytes| bytes < BYTES_MIN);
    if !is_text || small || trailing || response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let Some(encoder) = Encoder::of(coding) else { return response };
    let (mut parts, body) = response.into_parts();
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    parts.headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from_stream(encode(body, encoder)))
}

fn encode(body: Body, encoder: Encoder) -> impl stream::Stream<Item = Result<Bytes, axum::BoxError>> {
    let pieces = body.into_data_stream();
    stream::unfold((pieces, Some(encoder)), async |(mut pieces, encoder)| {
        let mut encoder = encoder?;
        loop {
            let out = match pieces.next().await {
                Some(Ok(piece)) => encoder.feed(&piece),
                Some(Err(error)) => return Some((Err(error.into()), (pieces, None))),
                None => {
                    let last = encoder.finish().map(Bytes::from).map_err(Into::into);
                    return Some((last, (pieces, None)));
                }
            };
            match out {
                Ok(out) if out.is_empty() => {}
                Ok(out) => return Some((Ok(Bytes::from(out)), (pieces, Some(encoder)))),
                Err(error) => return Some((Err(error.into()), (pieces, None))),
            }
        }
    })
}

/// zstd before gzip, if the client takes them (RFC 9110, 12.5.3; a weight of 0 is a no).
fn choose(accepted: &str) -> Option<&'static str> {
    let takes = |coding: &str| {
        accepted.split(',').any(|part| {
            let mut pieces = part.split(';').map(str::trim);
            let name = pieces.next().unwrap_or_default();
            let refused = pieces.any(|piece| piece.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)));
            name.eq_ignore_ascii_case(coding) && !refused
        })
    };
    ["zstd", "gzip"].into_iter().find(|coding| takes(coding))
}
