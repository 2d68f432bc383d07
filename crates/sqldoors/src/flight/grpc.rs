//! gRPC over HTTP/2, as much as Flight needs: messages framed by five bytes, a status in the trailers, what a call shows
//! about who it is. What is not here: HTTP/2 itself (hyper) and what the messages mean.
//! Source: grpc/doc/PROTOCOL-HTTP2.md; google.rpc.Status and ErrorInfo for details.

use std::convert::Infallible;
use std::time::Duration;

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response};
use tidemill_core::{Code, Credential, Problem, codes};
use tidemill_ground::{Limit, Permit};

use super::wire::Writer;
use crate::Error;

/// What a call answers.
pub(super) type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;
/// Messages of an answer, each in pieces that follow each other on the wire.
pub(super) type Pieces = BoxStream<'static, Result<Vec<Bytes>, Error>>;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const ENCODINGS: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// A word of Flight's first way of saying who one is.
const AUTH_TOKEN: HeaderName = HeaderName::from_static("auth-token-bin");

/// The mark of compression, and the length.
pub(super) const PREFIX_BYTES: usize = 5;
/// Headers of gRPC have no padding, those of HTTP have it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// How long the next piece of a call's messages may take.
const PIECE_TIME_MAX: Duration = Duration::from_secs(30);
/// The longest message of a status: clients take 8 KiB of headers, some of them less, and it stands there twice.
const MESSAGE_BYTES_MAX: usize = 1_024;

const RESOURCE_EXHAUSTED: u8 = 8;
const UNIMPLEMENTED: u8 = 12;

/// gRPC's number for a code (google.rpc.Code).
fn number(code: &'static Code) -> u8 {
    let by_code = [
        (&codes::QUERY_TIME, 4),
        (&codes::EXISTS, 6),
        (&codes::CONFLICT, 10),
        (&codes::RIGHTS_CHANGED, 10),
        (&codes::UNFINISHED, 4),
        (&codes::DAMAGED, 15),
        (&codes::DISK_FULL, RESOURCE_EXHAUSTED),
    ];
    if let Some((_, number)) = by_code.iter().find(|(known, _)| known.id == code.id) {
        return *number;
    }
    match code.status {
        401 => 16,
        403 => 7,
        404 => 5,
        405 | 415 => UNIMPLEMENTED,
        413 | 422 | 429 | 431 => RESOURCE_EXHAUSTED,
        400..=499 => 3,
        503 => 14,
        _ => 13,
    }
}

/// The status of a call that went wrong, or of one that did not.
fn status(outcome: Option<Error>) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    let Some(error) = outcome else {
        trailers.insert(STATUS, HeaderValue::from_static("0"));
        return trailers;
    };
    let number = match &error {
        Error::Cancelled => 1,
        Error::ReadOnly(_) | Error::Unsupported(_) => UNIMPLEMENTED,
        error => number(error.code()),
    };
    let problem = error.into_problem();
    let text = cut(&problem.to_string());
    let info = Writer::new()
        .bytes(1, problem.code.id.as_bytes())
        .bytes(2, b"tidemill")
        .message(3, &Writer::new().bytes(1, b"hint").bytes(2, cut(problem.mend()).as_bytes()).done())
        .done();
    let details = Writer::new().bytes(1, b"type.googleapis.com/google.rpc.ErrorInfo").bytes(2, &info).done();
    let status =
        Writer::new().number(1, u64::from(number)).bytes(2, text.as_bytes()).bytes(3, &details).done();
    trailers.insert(STATUS, HeaderValue::from(u16::from(number)));
    // Both are plain ASCII by their spelling.
    let values = [(MESSAGE, percent(&text)), (DETAILS, BASE64.encode(status))];
    for (name, value) in values {
        if let Ok(value) = HeaderValue::try_from(value) {
            trailers.insert(name, value);
        }
    }
    trailers
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(MESSAGE_BYTES_MAX);
    text.get(..end).unwrap_or_default().to_owned()
}

/// Printable ASCII as it is, everything else as `%XX`.
fn percent(text: &str) -> String {
    let mut spelled = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => spelled.push(char::from(byte)),
            _ => spelled.push_str(&format!("%{byte:02X}")),
        }
    }
    spelled
}

/// An answer that is a status and nothing else.
pub(super) fn refused(error: Error) -> Reply {
    // The headers end the stream, or clients look for trailers.
    let mut reply = Response::new(Empty::new().boxed_unsync());
    let headers = reply.headers_mut();
    headers.extend(status(Some(error)));
    headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
    headers.insert(ENCODINGS, HeaderValue::from_static("identity"));
    reply
}

/// A message with its prefix.
pub(super) fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(message.len() + PREFIX_BYTES);
    framed.extend_from_slice(&prefix(message.len()));
    framed.extend_from_slice(message);
    framed.freeze()
}

/// What stands before a message of this length.
pub(super) fn prefix(length: usize) -> [u8; PREFIX_BYTES] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [0, a, b, c, d]
}

/// An answer of these messages.
pub(super) fn answer(messages: impl IntoIterator<Item = Vec<u8>>) -> Reply {
    let framed: Vec<_> = messages.into_iter().map(|message| Ok(vec![framed(&message)])).collect();
    streamed(stream::iter(framed).boxed())
}

/// An answer of messages that come by and by; the first error ends it.
pub(super) fn streamed(pieces: Pieces) -> Reply {
    let frames = stream::unfold(Some(pieces), async |pieces| {
        let mut pieces = pieces?;
        let (frames, more) = match pieces.next().await {
            Some(Ok(bytes)) => (bytes.into_iter().map(Frame::data).collect(), Some(pieces)),
            Some(Err(error)) => (vec![Frame::trailers(status(Some(error)))], None),
            None => (vec![Frame::trailers(status(None))], None),
        };
        Some((stream::iter(frames.into_iter().map(Ok)), more))
    });
    let mut reply = Response::new(StreamBody::new(frames.flatten()).boxed_unsync());
    reply.headers_mut().insert(header::CONTENT_TYPE, MEDIA_TYPE);
    reply
}

/// An answer that holds something until it is taken or dropped.
pub(super) fn holding(reply: Reply, held: impl Send + 'static) -> Reply {
    reply.map(|body| {
        let held = move |frame| {
            let _held = &held;
            frame
        };
        body.map_frame(held).boxed_unsync()
    })
}

/// Whether a request is a call by gRPC.
pub(super) fn is_call(request: &Request<Incoming>) -> bool {
    let media_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    request.method() == Method::POST
        && media_type.is_some_and(|media_type| media_type.starts_with(b"application/grpc"))
}

/// The messages of a call, each of bounded length, all of them counted while they are held.
pub(super) struct Messages {
    body: Incoming,
    buffer: BytesMut,
    bytes_max: usize,
    held: Permit,
}

impl Messages {
    /// # Errors
    /// There is no room for one more call that sends.
    pub(super) fn of(body: Incoming, bytes_max: usize, held: &Limit) -> Result<Messages, Error> {
        let held = held.try_take(0).ok_or_else(busy)?;
        Ok(Messages { body, buffer: BytesMut::new(), bytes_max, held })
    }

    /// The next message; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(message) = self.whole()? {
                return Ok(Some(message));
            }
            let frame = tokio::time::timeout(PIECE_TIME_MAX, self.body.frame()).await;
            let frame =
                match frame.map_err(|_| Error::Protocol("the rest of a message did not come in time"))? {
                    None if self.buffer.is_empty() => return Ok(None),
                    None => return Err(Error::Protocol("a call ends within a message")),
                    Some(frame) => frame.map_err(|_| Error::Protocol("the call was broken off"))?,
                };
            if let Ok(data) = frame.into_data() {
                if !self.held.try_grow(data.len() as u64) {
                    return Err(busy());
                }
                self.buffer.extend_from_slice(&data);
            }
        }
    }

    /// The only message of a call, or its first.
    pub(super) async fn one(&mut self) -> Result<Bytes, Error> {
        self.next().await?.ok_or(Error::Protocol("a call without a message"))
    }

    fn whole(&mut self) -> Result<Option<Bytes>, Error> {
        let Some([compressed, length @ ..]) = self.buffer.first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if *compressed != 0 {
            return Err(Error::Unsupported("compression of messages".to_owned()));
        }
        if length > self.bytes_max {
            let (bytes, bytes_max) = (length as u64, self.bytes_max as u64);
            return Err(Error::TooLarge { bytes, bytes_max });
        }
        if self.buffer.len() - PREFIX_BYTES < length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX_BYTES);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

fn busy() -> Error {
    let detail = "the doors hold as much of other calls as they may";
    Problem::new(&codes::BUSY, detail).hint("Repeat in a moment").retry_after(1).into()
}

/// How long the client waits for the call, if it says so (`grpc-timeout`: at most eight digits and a unit).
///
/// # Errors
/// It is written otherwise.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Error> {
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
    let read = || {
        let (count, unit) = value.to_str().ok()?.split_at_checked(value.len().checked_sub(1)?)?;
        let count: u64 = count.parse().ok().filter(|_| count.len() <= 8 && !count.starts_with('+'))?;
        Some(match unit {
            "H" => Duration::from_secs(count * 3_600),
            "M" => Duration::from_secs(count * 60),
            "S" => Duration::from_secs(count),
            "m" => Duration::from_millis(count),
            "u" => Duration::from_micros(count),
            "n" => Duration::from_nanos(count),
            _ => return None,
        })
    };
    read().map(Some).ok_or(Error::Protocol("the header grpc-timeout is no time"))
}

/// What a call shows: `Bearer TOKEN`, basic with the token as password, or what Flight's first handshake gave.
pub(super) fn credential(headers: &HeaderMap) -> Credential {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let scheme = shown.and_then(|shown| shown.split_once(' '));
    let token = match scheme {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token.trim().to_owned()),
        Some((scheme, pair)) if scheme.eq_ignore_ascii_case("basic") => Some(password(pair.trim())),
        Some(_) => Some(String::new()),
        None => headers
            .get(AUTH_TOKEN)
            .and_then(|token| String::from_utf8(BASE64.decode(token.as_bytes()).ok()?).ok()),
    };
    token.map_or(Credential::None, Credential::Token)
}

/// The password of `user:password` in base64; empty, and so no token, where it cannot be read.
fn password(pair: &str) -> String {
    let pair = BASE64.decode(pair).ok().and_then(|pair| String::from_utf8(pair).ok());
    pair.and_then(|pair| Some(pair.split_once(':')?.1.to_owned())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_tells_code_and_hint() {
        let problem = Problem::new(&codes::BAD_SQL, "there is no table 'mühle'").hint("Did you mean 'mill'?");
        let shown = status(Some(problem.into()));
        let text = |name| shown.get(name).unwrap().to_str().unwrap();
        expect_test::expect!["bad-sql: there is no table 'm%C3%BChle'. Did you mean 'mill'?"]
            .assert_eq(text(MESSAGE));
        assert_eq!(text(STATUS), "3");
        let details = BASE64.decode(text(DETAILS)).unwrap();
        let details = String::from_utf8_lossy(&details);
        assert!(details.contains("google.rpc.ErrorInfo") && details.contains("hint"), "{details:?}");
    }

    #[test]
    fn every_code_has_a_number() {
        for code in codes::ALL {
            assert!((3..=16).contains(&number(code)), "{}", code.id);
        }
        assert_eq!(status(Some(Error::ReadOnly("INSERT".to_owned()))).get(STATUS).unwrap(), "12");
    }

    #[test]
    fn how_long_a_client_waits() {
        let table = [
            ("1S", Some(1_000_000)),
            ("99999999H", Some(359_999_996_400_000_000)),
            ("500m", Some(500_000)),
            ("0u", Some(0)),
            ("7000n", Some(7)),
            ("123456789S", None),
            ("+1S", None),
            ("S", None),
            ("1", None),
            ("1ü", None),
            ("", None),
        ];
        for (value, expected_us) in table {
            let mut headers = HeaderMap::new();
            headers.insert(TIMEOUT, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            let told = timeout(&headers).ok().flatten().map(|time| time.as_micros());
            assert_eq!(told, expected_us, "{value}");
        }
        assert_eq!(timeout(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn what_a_call_shows() {
        let table = [
            ("authorization", "Bearer secret", Some("secret")),
            ("authorization", "bearer secret", Some("secret")),
            ("authorization", "Basic YW5uYTpzZWNyZXQ=", Some("secret")),
            ("authorization", "Basic YW5uYTpzZWNyZXQ", Some("secret")),
            ("authorization", "Basic ???", Some("")),
            ("authorization", "Digest x", Some("")),
            ("auth-token-bin", "c2VjcmV0", Some("secret")),
            ("cookie", "x", None),
        ];
        for (name, value, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            let token = match credential(&headers) {
                Credential::Token(token) => Some(token),
                _ => None,
            };
            assert_eq!(token.as_deref(), expected, "{name}: {value}");
        }
    }
}
