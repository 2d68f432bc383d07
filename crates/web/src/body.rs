//! Request bodies: read piece by piece, decompressed on the way, bounded in size after decompression, in time, and in
//! what all requests together may hold.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, header};
use flate2::write::MultiGzDecoder;
use http_body_util::BodyExt;
use std::io::Write;
use tidemill_core::{Problem, codes};
use tidemill_ground::{Limit, Permit};
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, Operation};

/// The largest window of a zstd body: 8 MiB, as RFC 9659 demands of the `zstd` content coding.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// By how much the share of the common bound grows at a time.
const PERMIT_STEP_BYTES: u64 = 256 << 10;

/// What a body may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimits {
    pub(crate) bytes_max: usize,
    pub(crate) idle_max: Duration,
    pub(crate) time_max: Duration,
}

/// A whole body, and the share of the common bound that it holds.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) bytes: Vec<u8>,
    pub(crate) permit: Permit,
}

/// Reads a body.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: &Limit,
    limits: BodyLimits,
) -> Result<Whole, Problem> {
    if body.size_hint().lower() > limits.bytes_max as u64 {
        return Err(too_large(limits.bytes_max));
    }
    let permit = limit.try_take(0).ok_or_else(busy)?;
    let whole =
        Bounded { whole: Whole { bytes: Vec::new(), permit }, bytes_max: limits.bytes_max, problem: None };
    let decoder = Decoder::of(headers, whole)?;
    let reading = read_into(body, decoder, limits.idle_max);
    tokio::time::timeout(limits.time_max, reading).await.map_err(|_| too_slow())?
}

async fn read_into(mut body: Body, mut decoder: Decoder, idle_max: Duration) -> Result<Whole, Problem> {
    loop {
        let frame = tokio::time::timeout(idle_max, body.frame()).await.map_err(|_| too_slow())?;
        match frame {
            None => return decoder.finish(),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    decoder.feed(&data)?;
                }
            }
            Some(Err(_)) => return Err(bad_encoding("the connection broke before the body was complete")),
        }
    }
}

fn too_large(bytes_max: usize) -> Problem {
    let detail = format!("the request body has more than {bytes_max} bytes after decompression");
    Problem::new(&codes::TOO_LARGE, detail)
}

fn busy() -> Problem {
    Problem::new(&codes::BUSY, "other requests hold all the memory that request bodies may hold")
        .retry_after(1)
}

fn too_slow() -> Problem {
    let detail = "the request body came too slowly and was given up; nothing of it was kept";
    Problem::new(&codes::BAD_ENCODING, detail).hint("Send smaller requests, or over a better connection")
}

fn bad_encoding(detail: &str) -> Problem {
    Problem::new(&codes::BAD_ENCODING, detail)
}

/// Takes decompressed bytes up to the bounds.
struct Bounded {
    whole: Whole,
    bytes_max: usize,
    /// Why it takes no more.
    problem: Option<Problem>,
}

impl Bounded {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let len = self.whole.bytes.len().saturating_add(bytes.len());
        if len > self.bytes_max {
            return Err(too_large(self.bytes_max));
        }
        let missing = (len as u64).saturating_sub(self.whole.permit.amount());
        if missing > 0 && !self.whole.permit.try_grow(missing.max(PERMIT_STEP_BYTES)) {
            return Err(busy());
        }
        self.whole.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.push(bytes).map_err(|problem| {
            self.problem = Some(problem);
            std::io::Error::other("bound reached")
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

enum Decoder {
    Plain(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
    Zstd { decoder: ZstdDecoder<'static>, out: Bounded, buffer: Vec<u8>, complete: bool },
}

impl Decoder {
    fn of(headers: &HeaderMap, out: Bounded) -> Result<Decoder, Problem> {
        let coding = headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase());
        match coding.as_deref() {
            None | Some(b"" | b"identity") => Ok(Decoder::Plain(out)),
            Some(b"gzip" | b"x-gzip") => Ok(Decoder::Gzip(Box::new(MultiGzDecoder::new(out)))),
            Some(b"zstd") => {
                let decoder = ZstdDecoder::new().and_then(|mut decoder| {
                    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
                    Ok(decoder)
                });
                let decoder = decoder.map_err(|_| bad_encoding("zstd cannot be read here"))?;
                Ok(Decoder::Zstd { decoder, out, buffer: vec![0; 64 << 10], complete: true })
            }
            Some(_) => {
                let detail = "the body's Content-Encoding is not known: gzip, zstd and identity are";
                Err(Problem::new(&codes::UNSUPPORTED_FORMAT, detail))
            }
        }
    }

    fn feed(&mut self, data: &[u8]) -> Result<(), Problem> {
        match self {
            Decoder::Plain(out) => out.push(data),
            Decoder::Gzip(decoder) => match decoder.write_all(data) {
                Ok(()) => Ok(()),
                Err(_) => Err(decoder.get_mut().problem.take().unwrap_or_else(not_gzip)),
            },
            Decoder::Zstd { decoder, out, buffer, complete } => {
                let mut rest = data;
                loop {
                    let status = decoder
                        .run_on_buffers(rest, buffer)
                        .map_err(|_| bad_encoding("the body is not zstd with a window of at most 8 MiB"))?;
                    out.push(buffer.get(..status.bytes_written).unwrap_or_default())?;
                    rest = rest.get(status.bytes_read..).unwrap_or_default();
                    // Nothing left to read and the buffer not filled: all there is has come out.
                    if status.bytes_read > 0 || status.bytes_written > 0 {
                        *complete = status.remaining == 0;
                    }
                    if rest.is_empty() && status.bytes_written < buffer.len() {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn finish(self) -> Result<Whole, Problem> {
        match self {
            Decoder::Plain(out) => Ok(out.whole),
            Decoder::Gzip(mut decoder) => {
                if decoder.try_finish().is_err() {
                    return Err(decoder.get_mut().problem.take().unwrap_or_else(not_gzip));
                }
                decoder.finish().map(|out| out.whole).map_err(|_| not_gzip())
            }
            Decoder::Zstd { out, complete: true, .. } => Ok(out.whole),
            Decoder::Zstd { .. } => Err(bad_encoding("the zstd body ends before its frame is complete")),
        }
    }
}

fn not_gzip() -> Problem {
    bad_encoding("the body is not gzip, or is cut off")
}
