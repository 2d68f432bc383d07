//! What no good client sends, on real sockets: odd heads, bodies that do not end, floods. Every refusal is a problem
//! document unless the bytes were no HTTP at all, and the door answers the next client as before.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::serving::{ask, serve};
use super::*;
use crate::Settings;

/// Long enough for a busy machine; waiting that long is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// The status of each answer in a stream of them, with the code of problem documents; a body that does not belong to
/// its head would show as an answer that is none.
fn statuses(mut answers: &str) -> Vec<String> {
    let mut found = Vec::new();
    while !answers.is_empty() {
        let (head, rest) = answers.split_once("\r\n\r\n").unwrap_or((answers, ""));
        let status = head
            .strip_prefix("HTTP/1.1 ")
            .or_else(|| head.strip_prefix("HTTP/1.0 "))
            .unwrap_or("none")
            .get(..3)
            .unwrap_or_default()
            .to_owned();
        let lower = head.to_ascii_lowercase();
        let len = lower.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        // Only the last answer of a connection comes in chunks here.
        let otherwise = if lower.contains("chunked") { rest.len() } else { 0 };
        let (body, after) = rest.split_at(len.map_or(otherwise, |len| len.parse().unwrap()).min(rest.len()));
        let code = match lower.contains("application/problem+json") {
            true => {
                let document: serde_json::Value = serde_json::from_str(body).expect(body);
                for member in ["type", "title", "detail", "hint"] {
                    assert!(document[member].as_str().is_some_and(|text| !text.is_empty()), "{body}");
                }
                assert_eq!(document["status"].to_string(), status, "{body}");
                format!(" {}", document["code"].as_str().unwrap())
            }
            false => String::new(),
        };
        found.push(status + &code);
        answers = after;
    }
    found
}

/// The answers to raw bytes, until the door closes.
async fn raw(address: std::net::SocketAddr, bytes: &[u8]) -> Vec<String> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A door that has answered already may not take the rest.
    let _ = stream.write_all(bytes).await;
    let mut answers = Vec::new();
    let read = tokio::time::timeout(PATIENCE / 6, stream.read_to_end(&mut answers)).await;
    if read.is_err() {
        return vec!["it hangs".into()];
    }
    statuses(&String::from_utf8_lossy(&answers))
}

const HEAD: &str = "Host: localhost\r\nAuthorization: Bearer all\r\nConnection: close\r\n";

#[tokio::test]
async fn odd_requests_get_plain_answers() {
    let plant = Plant::new();
    let idle_max = Duration::from_millis(500);
    let (address, _ground) = serve(&plant.web_with(Settings { idle_max, ..Settings::default() })).await;
    let write =
        |headers: &str, body: &str| format!("POST /api/v1/write HTTP/1.1\r\n{HEAD}{headers}\r\n{body}");
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\n{HEAD}\r\n");
    let table = [
        // Bytes that are no HTTP: a bare status, and the connection ends.
        ("not HTTP".into(), "no http at all\r\n\r\n".into(), "400"),
        ("TLS".into(), "\u{16}\u{3}\u{1}\u{2}\r\n\r\n".into(), "400"),
        ("HTTP/2".into(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), ""),
        // Lengths that contradict each other: never two meanings of one stream.
        ("two lengths".into(), write("Content-Length: 8\r\nContent-Length: 3\r\n", "a f=1 1\n"), "400"),
        ("one length twice".into(), write("Content-Length: 7\r\nContent-Length: 7\r\n", "a f=1 1"), "204"),
        ("a negative length".into(), write("Content-Length: -1\r\n", ""), "400"),
        ("a length with a sign".into(), write("Content-Length: +7\r\n", "a f=1 1"), "400"),
        (
            "length and chunks".into(),
            write("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "7\r\na f=1 1\r\n0\r\n\r\n"),
            "204",
        ),
        ("chunks not last".into(), write("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), "400"),
        // Chunks.
        (
            "chunks".into(),
            write(
                "Transfer-Encoding: chunked\r\n",
                "3\r\na f\r\n4;ext=\"1\";b\r\n=1 1\r\n0\r\nTrailer: x\r\n\r\n",
            ),
            "204",
        ),
        (
            "a chunk that lies".into(),
            write("Transfer-Encoding: chunked\r\n", "zz\r\na f\r\n0\r\n\r\n"),
            "400 bad-encoding",
        ),
        (
            "a chunk without end".into(),
            write("Transfer-Encoding: chunked\r\n", "ffffffffffffffffff\r\n"),
            "400 bad-encoding",
        ),
        (
            "an endless extension".into(),
            write("Transfer-Encoding: chunked\r\n", &format!("1;{}\r\na", "x".repeat(100_000))),
            "400 bad-encoding",
        ),
        // Methods.
        ("HEAD".into(), format!("HEAD /health/live HTTP/1.1\r\n{HEAD}\r\n"), "200"),
        ("OPTIONS".into(), format!("OPTIONS /api/v1/write HTTP/1.1\r\n{HEAD}\r\n"), "405 method-not-allowed"),
        ("OPTIONS *".into(), format!("OPTIONS * HTTP/1.1\r\n{HEAD}\r\n"), "404 not-found"),
        ("TRACE".into(), format!("TRACE /api/v1/write HTTP/1.1\r\n{HEAD}\r\n"), "405 method-not-allowed"),
        (
            "an unknown method".into(),
            format!("BREW /api/v1/write HTTP/1.1\r\n{HEAD}\r\n"),
            "405 method-not-allowed",
        ),
        ("CONNECT".into(), format!("CONNECT evil:1 HTTP/1.1\r\n{HEAD}\r\n"), "404 not-found"),
        // Addresses.
        ("no such address".into(), get("/api/v2/none"), "404 not-found"),
        ("a proxy's form".into(), get("http://localhost/api/v1/signals"), "200"),
        ("a path with escapes".into(), get("/api/v1/%73ignals"), "404 not-found"),
        ("a climbing path".into(), get("/api/../../etc/passwd"), "404 not-found"),
        ("a climbing path, escaped".into(), get("/%2e%2e/%2e%2e/etc/passwd"), "404 not-found"),
        ("bad escapes stand for themselves".into(), get("/api/v1/read?signal=%zz%f"), "200"),
        ("a name that is not UTF-8".into(), get("/api/v1/read?signal=%ff"), "400"),
        ("a control character in a name".into(), get("/api/v1/read?signal=a%00b"), "400"),
        ("an unknown parameter".into(), get("/api/v1/read?signals=a"), "400 bad-parameter"),
        (
            "a long address".into(),
            get(&format!("/api/v1/read?signal={}", "x".repeat(40_000))),
            "414 address-too-long",
        ),
        // Heads.
        (
            "large headers".into(),
            get("/health/live")
                .replace("Connection", &format!("X-Large: {}\r\nConnection", "x".repeat(20_000))),
            "431 head-too-large",
        ),
        (
            "larger headers".into(),
            get("/health/live")
                .replace("Connection", &format!("X-Large: {}\r\nConnection", "x".repeat(200_000))),
            "431",
        ),
        (
            "many headers".into(),
            get("/health/live").replace("Connection", &format!("{}Connection", "X-Many: 1\r\n".repeat(200))),
            "431",
        ),
        (
            "no host".into(),
            "GET /api/v1/signals HTTP/1.1\r\nConnection: close\r\n\r\n".into(),
            "400 bad-host",
        ),
        (
            "two hosts".into(),
            get("/health/live").replace("Host:", "Host: localhost\r\nHost:"),
            "400 bad-host",
        ),
        ("no host, as of old".into(), "GET /health/live HTTP/1.0\r\n\r\n".into(), "200"),
        (
            "a foreign host".into(),
            get("/api/v1/signals").replace("localhost", "evil.example"),
            "403 forbidden",
        ),
        // Spellings and encodings.
        (
            "an unknown content type".into(),
            write("Content-Type: image/png\r\nContent-Length: 1\r\n", "x"),
            "415 unsupported-format",
        ),
        ("an odd content type".into(), write("Content-Type: ;;;=\u{1}\r\nContent-Length: 1\r\n", "x"), "400"),
        (
            "an unknown encoding".into(),
            write("Content-Encoding: br\r\nContent-Length: 1\r\n", "x"),
            "415 unsupported-format",
        ),
        (
            "two encodings".into(),
            write("Content-Encoding: gzip, gzip\r\nContent-Length: 1\r\n", "x"),
            "415 unsupported-format",
        ),
        ("no text".into(), write("Content-Length: 2\r\n", "\u{7f}"), "408 too-slow"),
        ("too large by its length".into(), write("Content-Length: 99999999999\r\n", ""), "413 too-large"),
        ("a format nobody has".into(), get("/api/v1/read?signal=a&format=yaml"), "415 unsupported-format"),
        // Waiting for a word that need not come.
        ("expect".into(), write("Content-Length: 7\r\nExpect: 100-continue\r\n", "a f=1 1"), "100 204"),
        (
            "expect, too large".into(),
            write("Content-Length: 99999999999\r\nExpect: 100-continue\r\n", ""),
            "413 too-large",
        ),
    ];
    let mut wrong = Vec::new();
    for (what, request, expected) in table {
        let (what, request): (String, String) = (what, request);
        let got = raw(address, request.as_bytes()).await.join(" ");
        if got != expected && !(expected == "400" && got.starts_with("400 ")) {
            wrong.push(format!("{what}: {got}, expected {expected}"));
        }
        let next = ask(TcpStream::connect(address).await.unwrap(), PROBE).await;
        assert!(next.starts_with("HTTP/1.1 200"), "after {what}: {next}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

const PROBE: &str = "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let house = House::new();
    let answer = house.send("DELETE /api/v1/write", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let plant = Plant::new();
    let (address, _ground) = serve(&plant.web()).await;
    let head = "Host: localhost\r\nAuthorization: Bearer all\r\n";
    let write = |n: usize| {
        let body = format!("a f={n} {n}");
        format!("POST /api/v1/write HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    let mut all: String = (0..100).map(write).collect();
    all += &format!("POST /api/v1/write HTTP/1.1\r\n{head}Content-Length: 2\r\nConnection: close\r\n\r\nxx");
    let answers = raw(address, all.as_bytes()).await;
    assert_eq!(answers.len(), 101);
    assert!(answers[..100].iter().all(|status| status == "204"), "{answers:?}");
    assert_eq!(answers[100], "400 bad-line");
    let times: Vec<i64> = plant.state().published.iter().flat_map(|batch| batch.time.clone()).collect();
    assert_eq!(times, (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_body_that_drips_is_given_up() {
    let plant = Plant::new();
    let settings = Settings {
        idle_max: Duration::from_millis(200),
        body_time_max: Duration::from_millis(600),
        ..Settings::default()
    };
    let (address, _ground) = serve(&plant.web_with(settings)).await;
    let head = format!("POST /api/v1/write HTTP/1.1\r\n{HEAD}Content-Length: 1000\r\n\r\n");
    // Nothing after the head.
    assert_eq!(raw(address, head.as_bytes()).await, ["408 too-slow"]);
    // A byte at a time, each in time: the whole takes too long.
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let drip = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut answer)).await.expect("it ends");
    drip.abort();
    assert_eq!(statuses(&String::from_utf8_lossy(&answer)), ["408 too-slow"]);
    assert_eq!(plant.shown(), "");
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_holds_nobody() {
    let plant = Plant::new();
    let (address, _ground) = serve(&plant.web()).await;
    let mut deaf = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let ask = "GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(50);
        let _ = tokio::time::timeout(Duration::from_millis(200), stream.write_all(ask.as_bytes())).await;
        deaf.push(stream);
    }
    assert!(ask(TcpStream::connect(address).await.unwrap(), PROBE).await.starts_with("HTTP/1.1 200"));
}

/// A WebSocket frame as a client may not, or may, send it: first byte, masked or not, payload.
fn frame(first: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
    let mask = if masked { 0x80 } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(mask | len as u8),
        len @ 126..65_536 => {
            frame.push(mask | 126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frame.push(mask | 127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    if masked {
        // A mask of zeros leaves the payload as it is.
        frame.extend_from_slice(&[0; 4]);
    }
    frame.extend_from_slice(payload);
    frame
}

async fn socket(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "GET /api/v1/live?format=json HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer all\r\nConnection: Upgrade\r\n\
                Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    stream
}

#[tokio::test]
async fn frames_that_break_the_protocol_end_their_socket_alone() {
    let plant = Plant::new();
    let (address, _ground) = serve(&plant.web()).await;
    let lying = [0x81, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0].to_vec();
    let table = [
        ("a frame of 2^63 bytes", lying),
        ("a message beyond 64 KiB", frame(0x81, true, &[b' '; 65_537])),
        (
            "a message of many fragments beyond 64 KiB",
            [
                frame(0x01, true, &[b' '; 30_000]),
                frame(0x00, true, &[b' '; 30_000]),
                frame(0x80, true, &[b' '; 30_000]),
            ]
            .concat(),
        ),
        ("a ping in fragments", frame(0x09, true, b"x")),
        ("a ping beyond 125 bytes", frame(0x89, true, &[b'x'; 126])),
        ("a frame without mask", frame(0x81, false, b"{}")),
        ("reserved bits", frame(0xF1, true, b"{}")),
        ("an unknown kind of frame", frame(0x83, true, b"{}")),
        ("a continuation of nothing", frame(0x80, true, b"{}")),
        ("text that is not UTF-8", frame(0x81, true, &[0xFF, 0xFE])),
        ("a binary message", frame(0x82, true, b"x")),
        ("a close with an odd code", frame(0x88, true, &[0, 1])),
        ("HTTP once more", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
    ];
    for (what, bytes) in table {
        let mut good = socket(address).await;
        let mut bad = socket(address).await;
        let _ = bad.write_all(&bytes).await;
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, bad.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{what}: the socket stays open");
        good.write_all(&frame(0x89, true, b"still there")).await.unwrap();
        let mut pong = [0; 13];
        good.read_exact(&mut pong).await.unwrap();
        assert_eq!(&pong[2..], b"still there", "{what}");
    }
}

#[tokio::test]
async fn a_flood_of_subscriptions_is_slowed_down() {
    let plant = Plant::new();
    let (address, _ground) = serve(&plant.web()).await;
    let mut flood = socket(address).await;
    let subscribe = frame(0x81, true, br##"{"subscribe":["#"]}"##);
    let _ = tokio::time::timeout(Duration::from_secs(1), flood.write_all(&subscribe.repeat(10_000))).await;
    assert!(plant.state().feeds.len() < 50, "{}", plant.state().feeds.len());
    assert!(ask(TcpStream::connect(address).await.unwrap(), PROBE).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_subscriber_that_never_reads_holds_nobody() {
    let plant = Plant::new();
    let house = House::of(plant.clone(), plant.web().router());
    assert_eq!(house.write("/api/v1/write", "a f=1 1").await, "204 ");
    let (address, _ground) = serve(&plant.web()).await;
    let subscribe = frame(0x81, true, br##"{"subscribe":["#"]}"##);
    let (mut deaf, mut other) = (socket(address).await, socket(address).await);
    for socket in [&mut deaf, &mut other] {
        socket.write_all(&subscribe).await.unwrap();
        // What the signal is: the subscription stands.
        assert_eq!(socket.read_u8().await.unwrap(), 0x81);
    }
    let text = "x".repeat(60_000);
    for round in 0..200 {
        let mut batch =
            tidemill_core::BatchBuilder::new(tidemill_core::SourceId(1), tidemill_core::Flags::default());
        let (id, time) = (tidemill_core::SignalId::new(1).unwrap(), tidemill_core::Stamp::At(round));
        batch.push(id, time, tidemill_core::ValueRef::Text(&text), tidemill_core::Quality::GOOD).unwrap();
        plant.deliver(2 + round as u64, batch.finish(0, tidemill_core::Flags::default()));
    }
    let mut read = 0;
    let mut piece = vec![0; 1 << 16];
    while read < 10_000_000 {
        read += tokio::time::timeout(PATIENCE, other.read(&mut piece)).await.expect("it is served").unwrap();
    }
}
