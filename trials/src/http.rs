//! As much of HTTP/1.1 as asking a plant takes: one connection that is kept, one request at a time, bodies by length or
//! in chunks. On the standard library alone, so that what checks the house shares no code with it. No TLS, no redirects.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The longest answer that is read: an audit's pages stay far below.
const ANSWER_BYTES_MAX: usize = 1 << 30;
/// The longest line of an answer's head.
const HEAD_LINE_BYTES_MAX: u64 = 64 << 10;

/// A connection that rested longer is not used again: the server may be closing it.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// One connection, opened when it is first needed and again after it broke.
pub struct Client {
    address: SocketAddr,
    token: String,
    timeout: Duration,
    connection: Option<(BufReader<TcpStream>, Instant)>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status of its first line.
    pub status: u16,
    /// Its body, out of its chunks.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text, for people.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The `code` of a problem document, or empty.
    pub fn code(&self) -> String {
        let document: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        let code = document.and_then(|document| document.get("code")?.as_str().map(str::to_owned));
        code.unwrap_or_default()
    }
}

/// A request's parts beyond method and target.
#[derive(Default)]
pub struct Content<'a> {
    /// `Content-Type`, or empty.
    pub media_type: &'a str,
    /// How the body is packed, or empty.
    pub coding: &'a str,
    /// `Idempotency-Key`, if it has one.
    pub idempotency_key: Option<&'a str>,
    /// What is sent.
    pub body: &'a [u8],
}

impl Client {
    /// Opens nothing yet; an empty token sends none, and `timeout` holds for each read and write.
    pub fn new(address: SocketAddr, token: &str, timeout: Duration) -> Client {
        Client { address, token: token.to_owned(), timeout, connection: None }
    }

    /// `GET`, as [`Client::send`].
    pub fn get(&mut self, target: &str) -> io::Result<Answer> {
        self.send("GET", target, &Content::default())
    }

    /// `POST` of a body of one media type, as [`Client::send`].
    pub fn post(&mut self, target: &str, media_type: &str, body: &[u8]) -> io::Result<Answer> {
        self.send("POST", target, &Content { media_type, body, ..Content::default() })
    }

    /// Sends one request and waits for its answer. After an error the outcome is unknown, and the next request opens a
    /// new connection; nothing is repeated here.
    pub fn send(&mut self, method: &str, target: &str, content: &Content<'_>) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some((connection, used)) if used.elapsed() < IDLE_MAX => connection,
            _ => BufReader::with_capacity(64 << 10, self.open()?),
        };
        let mut request = Vec::with_capacity(content.body.len() + 512);
        write!(request, "{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.address)?;
        if !self.token.is_empty() {
            write!(request, "Authorization: Bearer {}\r\n", self.token)?;
        }
        if !content.media_type.is_empty() {
            write!(request, "Content-Type: {}\r\n", content.media_type)?;
        }
        if !content.coding.is_empty() {
            write!(request, "Content-Encoding: {}\r\n", content.coding)?;
        }
        if let Some(key) = content.idempotency_key {
            write!(request, "Idempotency-Key: {key}\r\n")?;
        }
        write!(request, "Content-Length: {}\r\n\r\n", content.body.len())?;
        request.extend_from_slice(content.body);
        connection.get_mut().write_all(&request)?;
        let (answer, keep) = read_answer(&mut connection)?;
        if keep {
            self.connection = Some((connection, Instant::now()));
        }
        Ok(answer)
    }

    fn open(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, self.timeout)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.timeout))?;
        stream.set_write_timeout(Some(self.timeout))?;
        Ok(stream)
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the answer is no HTTP: {what}"))
}

fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    let read = from.by_ref().take(HEAD_LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    if read == 0 || line.last() != Some(&b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let text = String::from_utf8(line).map_err(|_| broken("a head line is not UTF-8"))?;
    Ok(text.trim_end().to_owned())
}

/// The answer, and whether the connection may be used again.
fn read_answer(from: &mut impl BufRead) -> io::Result<(Answer, bool)> {
    loop {
        let first = read_line(from)?;
        let mut words = first.split(' ');
        if !words.next().is_some_and(|version| version.starts_with("HTTP/1.")) {
            return Err(broken("the first line"));
        }
        let status: u16 =
            words.next().and_then(|word| word.parse().ok()).ok_or_else(|| broken("the status"))?;
        let (mut length, mut chunked, mut keep) = (None, false, true);
        loop {
            let line = read_line(from)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| broken("a header"))?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => {
                    length = Some(value.parse::<usize>().map_err(|_| broken("the length"))?);
                }
                "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
                "connection" => keep = !value.eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
        if (100..200).contains(&status) {
            continue;
        }
        let mut body = Vec::new();
        if chunked {
            read_chunks(from, &mut body)?;
        } else if let Some(length) = length {
            read_exactly(from, length, &mut body)?;
        } else if status != 204 && status != 304 {
            // No length at all: the body ends with the connection.
            from.take(ANSWER_BYTES_MAX as u64).read_to_end(&mut body)?;
            keep = false;
        }
        return Ok((Answer { status, body }, keep));
    }
}

fn read_chunks(from: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let line = read_line(from)?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let length = usize::from_str_radix(digits, 16).map_err(|_| broken("a chunk's length"))?;
        if length == 0 {
            while !read_line(from)?.is_empty() {}
            return Ok(());
        }
        read_exactly(from, length, body)?;
        read_line(from)?;
    }
}

fn read_exactly(from: &mut impl BufRead, length: usize, body: &mut Vec<u8>) -> io::Result<()> {
    if body.len().saturating_add(length) > ANSWER_BYTES_MAX {
        return Err(broken("a body over 1 GiB"));
    }
    let start = body.len();
    body.resize(start + length, 0);
    from.read_exact(body.get_mut(start..).unwrap_or_default())
}

/// Escapes a value for a query string.
pub fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<(Answer, bool)> {
        read_answer(&mut text.as_bytes())
    }

    #[test]
    fn answers_are_read_by_length_by_chunks_and_to_the_end() {
        let table = [
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, "", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", 200, "abc", true),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, "", true),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n",
                200,
                "abc0123456789",
                true,
            ),
            ("HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 503, "x", false),
            ("HTTP/1.1 200 OK\r\n\r\nto the end", 200, "to the end", false),
        ];
        for (text, status, body, keep) in table {
            let (answer, kept) = read(text).expect(text);
            assert_eq!((answer.status, answer.text().as_str(), kept), (status, body, keep), "{text}");
        }
    }

    #[test]
    fn a_cut_answer_is_an_error_and_never_an_acknowledgement() {
        for text in [
            "",
            "HTTP/1.1 204",
            "HTTP/1.1 204 No Content\r\n",
            "HTTP/1.1 204 No Content\r\nDate: now",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
            "SSH-2.0\r\n\r\n",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn problem_codes_are_found() {
        let answer = Answer { status: 507, body: br#"{"code":"disk-full","status":507}"#.to_vec() };
        assert_eq!(answer.code(), "disk-full");
        assert_eq!(Answer { status: 500, body: b"oops".to_vec() }.code(), "");
        assert_eq!(escape("a/b #+é"), "a/b%20%23%2B%C3%A9");
    }
}
