//! Request bodies: read piece by piece, decompressed on the way, bounded in size after decompression, in time, and in
//! what all requests together may hold.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, header};
use flate2::write::GzDecoder;
use http_body_util::BodyExt;
use std::io::Write;
use tidemill_core::{Problem, codes};
use tidemill_ground::{Limit, Permit};
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, Operation};

/// The largest window of a zstd body: 8 MiB, as RFC 9659 demands of the `zstd` content coding.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// How many members a gzip body may have. Whoever joins files has some; each costs the setting up of a decoder, however
/// empty it is.
const GZIP_MEMBERS_MAX: usize = 1_000;
/// A snappy body becomes at most so many times its bytes (a copy of 64 bytes takes three): one that claims more lies, and no
/// room is made for it.
const SNAPPY_RATIO_MAX: u64 = 22;
/// A snappy body of more than this is unpacked on a thread of its own: it cannot be done in steps.
const SNAPPY_INLINE_BYTES_MAX: usize = 256 << 10;
/// After so many steps of decompression others get their turn: a step makes at most 64 KiB.
const STEPS_PER_TURN: usize = 16;
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
    let reading = read_into(body, decoder, limit, limits.idle_max);
    tokio::time::timeout(limits.time_max, reading).await.map_err(|_| too_slow())?
}

async fn read_into(
    mut body: Body,
    mut decoder: Decoder,
    limit: &Limit,
    idle_max: Duration,
) -> Result<Whole, Problem> {
    let mut is_empty = true;
    loop {
        let frame = tokio::time::timeout(idle_max, body.frame()).await.map_err(|_| too_slow())?;
        match frame {
            // Clients probe with no body at all and name their coding all the same.
            None if is_empty => {
                return limit.try_take(0).map(|permit| Whole { bytes: Vec::new(), permit }).ok_or_else(busy);
            }
            None => return finish(decoder).await,
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    is_empty &= data.is_empty();
                    feed(&mut decoder, &data).await?;
                }
            }
            Some(Err(_)) => return Err(bad_encoding("the connection broke before the body was complete")),
        }
    }
}

async fn finish(decoder: Decoder) -> Result<Whole, Problem> {
    match decoder {
        Decoder::Snappy(packed) if packed.whole.bytes.len() > SNAPPY_INLINE_BYTES_MAX => {
            let lost =
                |_| Problem::new(&codes::INTERNAL, "unpacking the request failed; nothing of it was kept");
            tokio::task::spawn_blocking(move || unsnapped(packed)).await.map_err(lost)?
        }
        decoder => decoder.finish(),
    }
}

/// What a snappy block (<https://github.com/google/snappy/blob/main/format_description.txt>) holds: its length comes first.
fn unsnapped(packed: Bounded) -> Result<Whole, Problem> {
    let Bounded { whole: Whole { bytes, mut permit }, bytes_max, .. } = packed;
    let len = snap::raw::decompress_len(&bytes).map_err(|_| not_snappy())?;
    if len > bytes_max {
        return Err(too_large(bytes_max));
    }
    if len as u64 > (bytes.len() as u64).saturating_mul(SNAPPY_RATIO_MAX) {
        return Err(not_snappy());
    }
    if !permit.try_grow(len as u64) {
        return Err(busy());
    }
    let unpacked = snap::raw::Decoder::new().decompress_vec(&bytes).map_err(|_| not_snappy())?;
    permit.shrink(bytes.len() as u64);
    Ok(Whole { bytes: unpacked, permit })
}

fn not_snappy() -> Problem {
    bad_encoding("the body is not snappy's block format, or is cut off")
}

/// Takes a piece in, with pauses: few bytes may become very many.
async fn feed(decoder: &mut Decoder, mut rest: &[u8]) -> Result<(), Problem> {
    let mut steps = 0;
    loop {
        let Step { taken, complete } = decoder.step(rest)?;
        rest = rest.get(taken..).unwrap_or_default();
        if rest.is_empty() && complete {
            return Ok(());
        }
        steps += 1;
        if steps % STEPS_PER_TURN == 0 {
            tokio::task::yield_now().await;
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
    Problem::new(&codes::TOO_SLOW, detail)
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

/// What one step of decompression did.
struct Step {
    /// So many bytes were read.
    taken: usize,
    /// All that these make has come out.
    complete: bool,
}

/// The members of a gzip body, one after the other (RFC 1952, 2.2).
struct Gzip {
    /// None once it has failed.
    member: Option<GzDecoder<Bounded>>,
    members: usize,
}

impl Gzip {
    fn new(out: Bounded) -> Gzip {
        Gzip { member: Some(GzDecoder::new(out)), members: 1 }
    }

    /// Reads some of the bytes and makes at most one buffer of them.
    fn step(&mut self, data: &[u8]) -> Result<Step, Problem> {
        let member = self.member.as_mut().ok_or_else(not_gzip)?;
        let taken = member.write(data).map_err(|_| why(member))?;
        if taken == 0 && !data.is_empty() {
            // This member is at its end and another one follows.
            if self.members >= GZIP_MEMBERS_MAX {
                let detail = format!("the gzip body has more than {GZIP_MEMBERS_MAX} members");
                return Err(bad_encoding(&detail));
            }
            self.members += 1;
            self.member = Some(GzDecoder::new(self.end()?));
        }
        Ok(Step { taken, complete: true })
    }

    fn end(&mut self) -> Result<Bounded, Problem> {
        let mut member = self.member.take().ok_or_else(not_gzip)?;
        member.try_finish().map_err(|_| why(&mut member))?;
        member.finish().map_err(|_| not_gzip())
    }
}

fn why(member: &mut GzDecoder<Bounded>) -> Problem {
    member.get_mut().problem.take().unwrap_or_else(not_gzip)
}

enum Decoder {
    Plain(Bounded),
    Gzip(Box<Gzip>),
    Zstd {
        decoder: ZstdDecoder<'static>,
        out: Bounded,
        buffer: Vec<u8>,
        complete: bool,
    },
    /// The packed bytes: it is unpacked as a whole.
    Snappy(Bounded),
}

impl Decoder {
    fn of(headers: &HeaderMap, out: Bounded) -> Result<Decoder, Problem> {
        let coding = headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase());
        match coding.as_deref() {
            None | Some(b"" | b"identity") => Ok(Decoder::Plain(out)),
            Some(b"gzip" | b"x-gzip") => Ok(Decoder::Gzip(Box::new(Gzip::new(out)))),
            Some(b"zstd") => {
                let decoder = ZstdDecoder::new().and_then(|mut decoder| {
                    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
                    Ok(decoder)
                });
                let decoder = decoder.map_err(|_| bad_encoding("zstd cannot be read here"))?;
                Ok(Decoder::Zstd { decoder, out, buffer: vec![0; 64 << 10], complete: true })
            }
            Some(b"snappy") => Ok(Decoder::Snappy(out)),
            Some(_) => {
                let detail = "the body's Content-Encoding is not known: gzip, zstd, snappy and identity are";
                Err(Problem::new(&codes::UNSUPPORTED_FORMAT, detail))
            }
        }
    }

    fn step(&mut self, data: &[u8]) -> Result<Step, Problem> {
        match self {
            Decoder::Plain(out) | Decoder::Snappy(out) => {
                out.push(data)?;
                Ok(Step { taken: data.len(), complete: true })
            }
            Decoder::Gzip(gzip) => gzip.step(data),
            Decoder::Zstd { decoder, out, buffer, complete } => {
                let status = decoder
                    .run_on_buffers(data, buffer)
                    .map_err(|_| bad_encoding("the body is not zstd with a window of at most 8 MiB"))?;
                out.push(buffer.get(..status.bytes_written).unwrap_or_default())?;
                if status.bytes_read > 0 || status.bytes_written > 0 {
                    *complete = status.remaining == 0;
                }
                // A buffer that was not filled: all there is has come out.
                Ok(Step { taken: status.bytes_read, complete: status.bytes_written < buffer.len() })
            }
        }
    }

    fn finish(self) -> Result<Whole, Problem> {
        match self {
            Decoder::Plain(out) => Ok(out.whole),
            Decoder::Gzip(mut gzip) => Ok(gzip.end()?.whole),
            Decoder::Zstd { out, complete: true, .. } => Ok(out.whole),
            Decoder::Snappy(packed) => unsnapped(packed),
            Decoder::Zstd { .. } => Err(bad_encoding("the zstd body ends before its frame is complete")),
        }
    }
}

fn not_gzip() -> Problem {
    bad_encoding("the body is not gzip, or is cut off")
}
