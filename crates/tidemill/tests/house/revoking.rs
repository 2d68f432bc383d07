//! Rights that end while something goes on: cursors, portals, COPY, streams of Flight and answers by HTTP end with them,
//! and say why. Who may what is tested in `rights`; live sockets are in `web`.

use std::io::Read;
use std::net::TcpStream;
use std::process::Command;

use expect_test::expect;

use crate::partners::python;
use crate::plant::{Plant, ran};

/// `argv`: the addresses of PostgreSQL's door and of Flight SQL's, a token, the program, the plant, its process.
const BEGIN: &str = r#"
import os, re, signal, subprocess, sys
import psycopg, asyncpg, asyncio, pyarrow.flight as fl
(host, port), flight, token, tidemill, plant, process = sys.argv[1].split(":"), *sys.argv[2:]
# More than the buffers between the two ends hold.
MANY = "SELECT value, value * 0.5 AS half, repeat('x', 100) AS text FROM generate_series(1, 3000000)"
def failing(work):
    try:
        work()
    except Exception as error:
        text = " ".join(str(error).split())
        return type(error).__name__ + ": " + re.sub(r"(\. gRPC client debug context| Client context).*$", "", text)
    return "nothing failed"
def connect(user="anna"):
    return psycopg.connect(host=host, port=port, user=user, password=token, dbname="press")
def varint(n):
    out = b""
    while n > 127: out += bytes([n & 127 | 128]); n >>= 7
    return out + bytes([n])
def field(number, value):
    return bytes([number << 3 | 2]) + varint(len(value)) + value
client = fl.FlightClient(flight)
def ticket(query, options=fl.FlightCallOptions()):
    url = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    command = field(1, url) + field(2, field(1, query.encode()))
    return client.get_flight_info(fl.FlightDescriptor.for_command(command), options).endpoints[0].ticket
def to_its_end(reader):
    while True: reader.read_chunk()
"#;

const LISTEN: &str = "[postgres]\nlisten = [\"127.0.0.1:0\"]\n[flight]\nlisten = [\"127.0.0.1:0\"]\n";

/// What a script prints.
fn run(test: &str, plant: &Plant, token: &str, script: &str) -> Option<String> {
    let python = python(test)?;
    let words = || plant.process.lines_so_far().iter().flat_map(|line| line.split_whitespace());
    let postgres = words().find_map(|word| word.strip_prefix("postgresql://")).expect("it listens");
    let flight = words().find(|word| word.starts_with("grpc://")).expect("it listens");
    let mut command = Command::new(python);
    command.args(["-c", &format!("{BEGIN}{script}"), postgres, flight, token]);
    command.arg(env!("CARGO_BIN_EXE_tidemill")).arg(plant.home.plant()).arg(plant.process.id().to_string());
    Some(ran(command).expect(0).out)
}

#[test]
fn what_runs_ends_with_its_token() {
    const SCRIPT: &str = r#"
named, copying, done = connect(), connect(), connect()
cursor = named.cursor(name="c")
cursor.execute("SELECT value FROM samples WHERE signal = 'acme/press' ORDER BY time")
print("named:", cursor.fetchmany(2))
done.execute("DECLARE d CURSOR FOR SELECT 1")
print("done:", done.execute("FETCH ALL FROM d").fetchall())
copy = copying.cursor().copy("COPY (" + MANY + ") TO STDOUT")
rows = copy.__enter__()
print("copy:", len(rows.read()) > 0)
options = fl.FlightCallOptions(headers=[(b"authorization", b"Bearer " + token.encode())])
before = ticket("SELECT 1", options)
reader = client.do_get(ticket(MANY, options), options)
print("flight:", reader.read_chunk().data.num_rows > 0)
async def portal():
    con = await asyncpg.connect(host=host, port=port, user="anna", password=token, database="press")
    await con.transaction().start()
    cursor = await con.cursor("SELECT value FROM samples WHERE signal = 'acme/press' ORDER BY time")
    print("portal:", [row[0] for row in await cursor.fetch(2)])
    subprocess.run([tidemill, "token", "revoke", "reader", "--plant", plant], check=True, stdout=subprocess.DEVNULL)
    await cursor.fetch(2)
print("portal:", failing(lambda: asyncio.run(portal())))
print("named:", failing(lambda: cursor.fetchmany(2)), named.closed)
print("done:", failing(lambda: done.execute("FETCH ALL FROM d")), done.closed)
def rest():
    while rows.read(): pass
print("copy:", failing(rest))
print("flight:", failing(lambda: to_its_end(reader)))
print("ticket:", failing(lambda: to_its_end(client.do_get(before, options))))
"#;
    let plant = Plant::with_two_lines(LISTEN, 20);
    let token = plant.token("reader", &["read:#"]);
    let Some(told) = run("what_runs_ends_with_its_token", &plant, &token, SCRIPT) else { return };
    expect![[r#"
        named: [(0.0,), (0.25,)]
        done: [(1,)]
        copy: True
        flight: True
        portal: [0.0, 0.25]
        portal: ConnectionDoesNotExistError: connection was closed in the middle of operation: password authentication failed for user "anna"
        named: InvalidPassword: password authentication failed for user "anna" DETAIL: code unauthenticated HINT: The password is a token; the user name is anything. `tidemill token create` makes one True
        done: InvalidPassword: password authentication failed for user "anna" DETAIL: code unauthenticated HINT: The password is a token; the user name is anything. `tidemill token create` makes one True
        copy: InvalidPassword: password authentication failed for user "anna" DETAIL: code unauthenticated HINT: The password is a token; the user name is anything. `tidemill token create` makes one
        flight: FlightUnauthenticatedError: Flight returned unauthenticated error, with message: unauthenticated: what was shown gives no access here. Send Authorization: Bearer TOKEN; `tidemill token create` makes one
        ticket: FlightUnauthenticatedError: Flight returned unauthenticated error, with message: unauthenticated: what was shown gives no access here. Send Authorization: Bearer TOKEN; `tidemill token create` makes one
    "#]].assert_eq(&told);
}

/// Less or other rights than when it began: it ends too, and what is asked anew is cut to them.
#[test]
fn what_runs_ends_when_something_else_may_be_read() {
    const SCRIPT: &str = r#"
con, other = connect("anonymous"), connect("anonymous")
other.autocommit = True
COUNT = "SELECT count(DISTINCT signal) FROM samples"
cursor = con.cursor(name="c")
cursor.execute("SELECT signal FROM samples ORDER BY signal DESC")
print("before:", cursor.fetchmany(1), other.execute(COUNT).fetchall())
before = ticket(COUNT)
reader = client.do_get(ticket(MANY))
print("flight:", reader.read_chunk().data.num_rows > 0)
settings = plant + "/tidemill.toml"
text = open(settings).read()
def allow(rights, sign):
    open(settings, "w").write(text.replace('"read:#"', rights))
    os.kill(int(process), signal.SIGHUP)
    while sign not in subprocess.run([tidemill, "access", "list", "--plant", plant], check=True, capture_output=True, text=True).stdout: pass
# Something else changes, and nothing ends.
allow('"read:#", "write:acme/#"', "write:acme/#")
print("the same:", cursor.fetchmany(1), reader.read_chunk().data.num_rows > 0)
allow('"read:acme/#"', "read:acme/#")
print("after:", failing(lambda: cursor.fetchmany(1)), con.closed)
con.rollback()
print("anew:", con.execute("SELECT DISTINCT signal FROM samples ORDER BY 1").fetchall())
print("flight:", failing(lambda: to_its_end(reader)))
print("ticket:", client.do_get(before).read_all().to_pylist())
"#;
    let zone = "[zone.here]\ncidr = [\"127.0.0.1\"]\nanonymous = [\"read:#\"]\n";
    let plant = Plant::with_two_lines(&format!("{LISTEN}{zone}"), 20);
    let Some(told) = run("what_runs_ends_when_something_else_may_be_read", &plant, "", SCRIPT) else {
        return;
    };
    expect![[r#"
        before: [('beta/mill',)] [(3,)]
        flight: True
        the same: [('beta/mill',)] True
        after: SerializationFailure: what you may read has changed since this answer began DETAIL: code rights-changed HINT: Ask again from the beginning: the answer is then what you may read now False
        anew: [('acme/press',), ('acme/press/state',)]
        flight: FlightInternalError: gRPC returned aborted error, with message: rights-changed: what you may read has changed since this answer began. Ask again from the beginning: the answer is then what you may read now
        ticket: [{'count(DISTINCT signal)': 2}]
    "#]].assert_eq(&told);
}

#[test]
fn an_answer_by_http_ends_with_its_token() {
    let plant = Plant::start();
    for (name, trailers) in [("one", false), ("other", true)] {
        let token = plant.token(name, &["read:#"]);
        let query = r#"{"query": "SELECT value, repeat('x', 100) AS text FROM generate_series(1, 3000000)"}"#;
        let mut request = plant.post("/api/v1/sql?format=csv").token(&token).body("application/json", query);
        if trailers {
            request = request.header("TE", "trailers");
        }
        let mut stream = TcpStream::connect(plant.address).expect("it listens");
        request.write_to(&mut stream).expect("it is sent");
        let mut head = [0; 1_000];
        stream.read_exact(&mut head).expect("it has begun");
        assert!(head.starts_with(b"HTTP/1.1 200 "));
        plant.ok(&["token", "revoke", name]);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        let end = String::from_utf8_lossy(rest.get(rest.len().saturating_sub(600)..).unwrap_or_default());
        assert!(rest.len() < 200_000_000, "{} bytes came", rest.len());
        assert_eq!(end.contains("tidemill-problem: {"), trailers, "{end}");
        assert_eq!(end.contains("\"code\":\"unauthenticated\""), trailers, "{end}");
        // No client takes it for a whole answer.
        assert_eq!(end.ends_with("\r\n\r\n"), trailers, "{end}");
    }
}
