//! How connections behind TLS end: whoever is served there learns that it is over, by a `close_notify` (RFC 8446, 6.1),
//! and need not think that somebody cut the line. How they begin is in `encryption`.

use std::process::Command;

use expect_test::expect;

use crate::partners::python;
use crate::plant::{Home, Plant, Process, ran};

const SCRIPT: &str = r#"
import socket, ssl, sys
ca, http, postgres, flight, token = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
context = ssl.create_default_context(cafile=ca)
def begin(port, first=b""):
    tcp = socket.create_connection(("127.0.0.1", port), 60)
    if first:
        tcp.sendall(first)
        assert tcp.recv(1) == b"S"
    return context.wrap_socket(tcp, server_hostname="localhost", suppress_ragged_eofs=False)
def end(tls, *sent):
    """What is said after this, and whether the end is told."""
    try:
        for bytes in sent: tls.sendall(bytes)
        said = b""
        while more := tls.recv(65536): said += more
        return "told"
    except (ssl.SSLEOFError, ConnectionResetError) as error:
        return "cut: " + type(error).__name__
def packet(code, body=b""):
    return (len(body) + 8).to_bytes(4, "big") + code.to_bytes(4, "big") + body
def message(letter, body=b""):
    return letter + (len(body) + 4).to_bytes(4, "big") + body
ENCRYPT = packet(80877103)
start, password = packet(196608, b"user\0anna\0\0"), message(b"p", token.encode() + b"\0")
told = {
    "http, at its wish": end(begin(http), b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    "http, no HTTP": end(begin(http), b"\x00\x01\x02 what is this\r\n\r\n"),
    "http, large head": end(begin(http), b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
    "postgres, cancel": end(begin(postgres, ENCRYPT), packet(80877102, bytes(8))),
    "postgres, terminate": end(begin(postgres, ENCRYPT), start, password, message(b"X")),
    "postgres, terminate at once": end(begin(postgres, ENCRYPT), start, message(b"X")),
    "postgres, wrong password": end(begin(postgres, ENCRYPT), start, message(b"p", b"wrong\0")),
    "postgres, no message": end(begin(postgres, ENCRYPT), start, password, message(b"?", b"what is this")),
    "postgres, no packet": end(begin(postgres, ENCRYPT), b"GET / HTTP/1.1\r\n\r\n"),
    "postgres, too many wishes": end(begin(postgres), *[packet(80877104)] * 5),
    "flight, no HTTP/2": end(begin(flight), b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "flight, broken": end(begin(flight), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100),
}
for name, outcome in told.items(): print(f"{name}: {outcome}")
"#;

#[test]
fn every_end_is_told() {
    let Some(python) = python("every_end_is_told") else { return };
    let home = Home::new();
    std::fs::create_dir(home.plant()).expect("a folder");
    let listen = r#"[{ address = "127.0.0.1:0", tls = true }]"#;
    home.file("plant/tidemill.toml", format!("[postgres]\nlisten = {listen}\n[flight]\nlisten = {listen}\n"));
    let mut command = home.command(&["run", "--plant", "plant"]);
    command.env("TIDEMILL_HTTP_LISTEN", r#"["127.0.0.1:0", { address = "127.0.0.1:0", tls = true }]"#);
    let plant = Plant::ready(home, Process::spawn(command));
    let words: Vec<&str> =
        plant.process.lines_so_far().iter().flat_map(|line| line.split_whitespace()).collect();
    let port = |scheme: &str| {
        let address = words.iter().find_map(|word| word.strip_prefix(scheme)).expect("it listens");
        address.rsplit_once(':').expect("an address has a port").1.to_owned()
    };
    let authority = plant.home.path("ca.pem").display().to_string();
    plant.ok(&["trust", "--output", &authority]);
    let token = plant.token("reader", &["read:#"]);
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT, &authority]);
    command.args([port("https://"), port("postgresql://"), port("grpc+tls://"), token]);
    expect![[r#"
        http, at its wish: told
        http, no HTTP: told
        http, large head: told
        postgres, cancel: told
        postgres, terminate: told
        postgres, terminate at once: told
        postgres, wrong password: told
        postgres, no message: told
        postgres, no packet: told
        postgres, too many wishes: told
        flight, no HTTP/2: told
        flight, broken: told
    "#]]
    .assert_eq(&ran(command).expect(0).out);
}
