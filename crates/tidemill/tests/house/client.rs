//! A small HTTP client on std alone, so that what the plant sends is seen as it is and not as a library mends it.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value as Json;

/// A request in the making.
pub(crate) struct Request {
    address: SocketAddr,
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    source: Option<IpAddr>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(address: SocketAddr, method: &'static str, path: &str) -> Request {
        Request {
            address,
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            source: None,
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn token(self, token: &str) -> Request {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, media_type: &str, body: impl AsRef<[u8]>) -> Request {
        self.body = body.as_ref().to_vec();
        self.header("Content-Type", media_type)
    }

    /// From this address of the machine.
    pub(crate) fn from(mut self, source: IpAddr) -> Request {
        self.source = Some(source);
        self
    }

    /// Sends it over a connection of its own. Panics if no whole answer comes.
    pub(crate) fn send(self) -> Answer {
        self.try_send().expect("the plant answers")
    }

    /// The same; none if the connection was closed without an answer.
    pub(crate) fn try_send(self) -> Option<Answer> {
        let mut stream = connect(self.address, self.source);
        let mut all = Vec::new();
        // A connection that is closed at once may take nothing, or be reset.
        let ended = self.write_to(&mut stream).and_then(|()| stream.read_to_end(&mut all));
        if all.is_empty() {
            return None;
        }
        ended.expect("the answer is read");
        Some(parse(&all))
    }

    /// Writes it to a connection that goes on.
    pub(crate) fn write_to(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket takes a timeout");
        let mut head =
            format!("{} {} HTTP/1.1\r\nContent-Length: {}\r\n", self.method, self.path, self.body.len());
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("connection")) {
            head.push_str("Connection: close\r\n");
        }
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str(&format!("Host: {}\r\n", self.address));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        // The plant may answer and close before it has read a body that it refuses.
        let _ = stream.write_all(&self.body);
        Ok(())
    }
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The status, asserted with the whole answer in the message.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// A problem document with this code, whole: status, detail and a hint.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, code: &str) -> Json {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.text());
        let document = answer.json();
        assert_eq!(document["code"], code, "{document}");
        assert_eq!(document["status"], status, "{document}");
        for member in ["title", "detail", "hint"] {
            assert!(
                document[member].as_str().is_some_and(|text| !text.is_empty()),
                "no {member}: {document}"
            );
        }
        document
    }
}

/// A connection from an address of this machine that the test chooses.
pub(crate) fn connect(address: SocketAddr, source: Option<IpAddr>) -> TcpStream {
    let Some(source) = source else {
        return TcpStream::connect(address).expect("the plant accepts connections");
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(source, 0))?;
        socket.connect(address).await?.into_std()
    });
    let stream = stream.expect("the plant accepts connections");
    stream.set_nonblocking(false).expect("a socket can wait");
    stream
}

fn parse(all: &[u8]) -> Answer {
    let end = all.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(all)));
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|word| word.parse().ok());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut answer =
        Answer { status: status.expect("a status line"), headers, body: all[end + 4..].to_vec() };
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = unchunked(&answer.body);
    }
    answer
}

/// The body of chunks; panics where the last one is missing: such an answer was cut.
fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").expect("a chunk's size");
        let size =
            usize::from_str_radix(&String::from_utf8_lossy(&rest[..end]), 16).expect("a hexadecimal size");
        let from = end + 2;
        if size == 0 {
            return body;
        }
        body.extend_from_slice(rest.get(from..from + size).expect("a whole chunk"));
        rest = &rest[from + size + 2..];
    }
}
