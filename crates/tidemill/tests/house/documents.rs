//! What is written down is what is: pages made from the code, the description of the API, and every command of the pages
//! that users follow. How a page is read and walked stands in `documents/`.

mod pages;
mod walk;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::client::{Request, connect};
use crate::plant::{Home, Plant};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The pages that `tidemill reference` prints and `cargo xtask generate` writes.
const GENERATED: [&str; 9] =
    ["configuration", "problems", "names", "command-line", "functions", "api", "events", "health", "metrics"];

#[test]
fn the_reference_pages_are_what_the_code_says() {
    let home = Home::new();
    for page in GENERATED {
        let path = root().join(format!("docs/reference/{page}.md"));
        let stands = std::fs::read_to_string(&path).unwrap_or_default();
        let said = home.run(&["reference", page]).expect(0).out;
        assert!(stands == said, "{} is not what the code says: run `cargo xtask generate`", path.display());
    }
}

#[test]
fn the_api_describes_every_address_and_serves_what_it_describes() {
    let plant = Plant::start();
    let token = plant.token("all", &["read:#", "write:#", "configure:#", "administer:#"]);
    let description = plant.get("/api/v1/openapi.json").send().expect(200).json();
    assert!(
        description["openapi"].as_str().is_some_and(|version| version.starts_with("3.")),
        "{description}"
    );
    let described: BTreeSet<(String, String)> = description["paths"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(path, calls)| {
            calls.as_object().into_iter().flatten().map(|(method, _)| (method.to_uppercase(), path.clone()))
        })
        .collect();
    // The table of docs and surface.
    for (method, path) in [
        ("POST", "/api/v1/write"),
        ("GET", "/api/v1/read"),
        ("POST", "/api/v1/sql"),
        ("GET", "/api/v1/signals"),
        ("PATCH", "/api/v1/signals"),
        ("DELETE", "/api/v1/signals"),
        ("GET", "/api/v1/live"),
        ("POST", "/api/v2/write"),
        ("POST", "/write"),
        ("POST", "/query"),
        ("POST", "/api/v3/write_lp"),
        ("GET", "/ping"),
        ("GET", "/health"),
        ("GET", "/ready"),
        ("GET", "/health/live"),
        ("GET", "/health/ready"),
        ("GET", "/metrics"),
        ("GET", "/api/v1/tokens"),
        ("POST", "/api/v1/tokens"),
        ("DELETE", "/api/v1/tokens/{name}"),
        ("POST", "/api/v1/tokens/{name}/rotate"),
        ("GET", "/api/v1/access"),
        ("GET", "/api/v1/audit"),
        ("POST", "/api/v1/audit/verify"),
        ("POST", "/api/v1/reload"),
        ("GET", "/api/v1/check"),
        ("GET", "/api/v1/why"),
        ("POST", "/api/v1/backup"),
    ] {
        assert!(
            described.contains(&(method.to_owned(), path.to_owned())),
            "{method} {path} is not described"
        );
    }
    for (method, path) in &described {
        let method = ["GET", "POST", "PATCH", "DELETE"]
            .into_iter()
            .find(|known| known == method)
            .expect("a known method");
        let answer = Request::new(plant.address, method, &path.replace("{name}", "nobody"))
            .token(&token)
            .body("application/json", "{}")
            .send();
        let unserved = answer.status == 405 || answer.text().contains("nothing at this address");
        assert!(!unserved && answer.status < 500, "{method} {path}: {} {}", answer.status, answer.text());
    }
    plant.get("/api/v1/nowhere").token(&token).send().expect_problem(404, "not-found");
    plant.get("/api/v1/write").token(&token).send().expect_problem(405, "method-not-allowed");
    // Every problem code that the API may tell has its line in the page.
    let page = std::fs::read_to_string(root().join("docs/reference/problems.md")).unwrap_or_default();
    for code in ["not-found", "method-not-allowed", "forbidden", "unauthenticated", "bad-line", "disk-full"] {
        assert!(page.contains(&format!("| `{code}` |")), "{code} has no line in problems.md");
    }
}

#[test]
fn the_probes_and_counters_answer() {
    let plant = Plant::start();
    plant.ok(&["write", "a/b", "1"]);
    let metrics = plant.get("/metrics").send().expect(200);
    assert!(metrics.text().trim_end().ends_with("# EOF"), "not OpenMetrics: {}", metrics.text());
    for line in metrics.text().lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit(' ').next().and_then(|word| word.parse::<f64>().ok());
        assert!(value.is_some(), "{line}");
    }
    let names = metrics.text();
    let foreign: Vec<&str> =
        names.lines().filter(|line| !line.starts_with('#') && !line.starts_with("tidemill_")).collect();
    assert_eq!(foreign, [""; 0], "every name begins alike");
    // Every room shows its limits: what is held and what may be.
    let limits =
        plant.sql("SELECT name FROM sys.limits WHERE max > 0 AND used >= 0 AND refused = 0 ORDER BY name");
    let expected = [
        "buffer_bytes",
        "future",
        "http_bindings",
        "http_bodies_bytes",
        "http_connections",
        "http_control_connections",
        "http_live",
        "journal_unsynced_bytes",
        "keep",
        "last_values_bytes",
        "past",
        "patterns",
        "queries_bytes",
        "queries_idle",
        "queries_waiting",
        "query_rows",
        "query_time",
        "registry_bytes",
        "signals",
        "signals_new_per_hour",
        "sources",
        "text_sample_bytes",
    ];
    for name in expected {
        assert!(limits.to_string().contains(&format!("[\"{name}\"]")), "{name}: {limits}");
    }
    assert_eq!(
        plant.sql("SELECT used, max FROM sys.limits WHERE name = 'signals'"),
        serde_json::json!([[1.0, 100_000.0]])
    );
    // What is refused is counted where the bound stands, in the table as in the metrics.
    let token = plant.token("long", &["write:#"]);
    let long = format!("a text=\"{}\"", "x".repeat(2_000));
    plant.post("/api/v1/write").token(&token).body("text/plain", long).send().expect(400);
    assert_eq!(
        plant.sql("SELECT refused, max FROM sys.limits WHERE name = 'text_sample_bytes'"),
        serde_json::json!([[1.0, 1024.0]])
    );
    let metrics = plant.get("/metrics").send().expect(200);
    assert!(metrics.text().contains("tidemill_limit_refused_total{limit=\"text_sample_bytes\"} 1"));
}

/// Walks these pages one after the other, and says which of their blocks were not run, and why.
fn walked(pages: &[PathBuf]) {
    let (mut tally, mut wrong) = (walk::Tally::default(), Vec::new());
    for path in pages {
        // Whatever is wrong on a page was said by then; the others are walked all the same.
        match std::panic::catch_unwind(|| walk::walk(&pages::Page::read(&root(), path))) {
            Ok(one) => {
                tally.run += one.run;
                tally.skipped.extend(one.skipped);
            }
            Err(_) => wrong.push(path),
        }
    }
    let mut told = format!("documentation: {} blocks run, {} not", tally.run, tally.skipped.len());
    for place in &tally.skipped {
        told.push_str("\n  not run: ");
        told.push_str(place);
    }
    let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{told}\n"));
    assert!(wrong.is_empty(), "these pages are not what happens: {wrong:?}");
}

/// Which walk a page belongs to: each page to one.
fn part(path: &Path) -> &'static str {
    match path.to_str().unwrap_or_default() {
        // Records of what was decided, formats for programmers, and figures: nothing in them is to be followed.
        path if ["docs/adr/", "docs/spec/"].iter().any(|folder| path.starts_with(folder)) => "none",
        "docs/benchmarks.md" | "docs/next.md" => "none",
        // What the program prints about itself.
        path if GENERATED.iter().any(|page| path == format!("docs/reference/{page}.md")) => "none",
        path if path.starts_with("docs/tutorials/") => "tutorials",
        path if path.starts_with("docs/howto/") => "howto",
        _ => "others",
    }
}

fn pages_of(wanted: &str) -> Vec<PathBuf> {
    let found: Vec<PathBuf> = pages::all(&root()).into_iter().filter(|path| part(path) == wanted).collect();
    assert!(found.len() > 1, "{wanted}: {found:?}");
    found
}

#[test]
fn every_command_of_the_tutorials_runs_and_shows_what_stands_there() {
    walked(&pages_of("tutorials"));
}

#[test]
fn every_command_of_the_howtos_runs_and_shows_what_stands_there() {
    walked(&pages_of("howto"));
}

#[test]
fn every_command_of_the_other_pages_runs_and_shows_what_stands_there() {
    walked(&pages_of("others"));
}

#[test]
fn a_page_that_is_not_what_happens_is_found() {
    let home = crate::plant::Home::new();
    for (text, is_right) in [
        ("```console\n$ echo a; X=b\na\n$ echo $X\nb\n```", true),
        ("```console\n$ echo a\nb\n```", false),
        ("```console\n$ true\nb\n```", false),
        ("```console\n$ echo a\n```", false),
        ("```console\n$ false\n```", false),
        ("<!-- test: exit 1 -->\n```console\n$ false\n```", true),
        ("```sh\nfalse\ntrue\n```", false),
        ("```\nlook\n```", false),
        ("```text\nlook\n```", false),
        ("<!-- test: skip -->\n```text\nlook\n```", false),
        ("<!-- test: skip, a drawing -->\n```text\nlook\n```", true),
        ("<!-- test: skip, a drawing -->\n\nNo block.", false),
        ("```toml\n[storage]\nkeep = \"5y\"\n```", true),
        ("```toml\n[storage]\nkep = \"5y\"\n```", false),
        ("```json\n{\"a\": 1}\n```", true),
        ("```json\n{a: 1}\n```", false),
    ] {
        home.file("page.md", text);
        let folder = home.path("");
        let walked =
            std::panic::catch_unwind(|| walk::walk(&pages::Page::read(&folder, Path::new("page.md"))));
        assert_eq!(walked.is_ok(), is_right, "{text}");
    }
}

#[test]
fn every_page_that_is_named_is_there() {
    let others = ["ARCHITECTURE.md", "SECURITY.md", "STYLE.md", "CHANGELOG.md"].map(PathBuf::from);
    for page in pages::all(&root()).into_iter().chain(others) {
        let path = root().join(&page);
        let page = page.display();
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {error}"));
        let folder = path.parent().expect("a folder");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            let foreign = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            assert!(foreign || folder.join(target).exists(), "{page} names {target}, which is not there");
        }
    }
}

/// Connects to `live` as any WebSocket client does, and gives the socket behind the answer's head.
fn live(plant: &Plant, token: &str) -> BufReader<TcpStream> {
    let mut socket = connect(plant.address, None);
    let upgrade = plant.get("/api/v1/live?signal=a/b").token(token).header("Connection", "Upgrade");
    let upgrade = upgrade.header("Upgrade", "websocket").header("Sec-WebSocket-Version", "13");
    let asked = upgrade.header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==").write_to(&mut socket);
    asked.expect("the plant takes a request");
    let mut socket = BufReader::new(socket);
    let mut line = String::new();
    socket.read_line(&mut line).expect("an answer");
    assert!(line.starts_with("HTTP/1.1 101 "), "{line}");
    while line != "\r\n" {
        line.clear();
        socket.read_line(&mut line).expect("a line of the head");
    }
    socket
}

/// The code and the reason of the frame that closes (RFC 6455, 5.5.1), after whatever comes before it.
fn closing(mut socket: BufReader<TcpStream>) -> (u16, String) {
    loop {
        let mut head = [0; 2];
        socket.read_exact(&mut head).expect("a frame: the connection must not end without one that closes");
        let mut length = usize::from(head[1] & 0x7f);
        if length == 126 {
            let mut long = [0; 2];
            socket.read_exact(&mut long).expect("the length of a frame");
            length = usize::from(u16::from_be_bytes(long));
        }
        let mut payload = vec![0; length];
        socket.read_exact(&mut payload).expect("a whole frame");
        if head[0] & 0x0f == 8 {
            let (code, reason) = payload.split_at(2);
            return (u16::from_be_bytes([code[0], code[1]]), String::from_utf8_lossy(reason).into_owned());
        }
    }
}

#[test]
fn a_live_socket_is_told_why_it_ends() {
    let plant = Plant::start();
    plant.ok(&["write", "a/b", "1"]);
    let (gone, kept) = (plant.token("gone", &["read:#"]), plant.token("kept", &["read:#"]));
    let (revoked, stopped) = (live(&plant, &gone), live(&plant, &kept));
    plant.ok(&["token", "revoke", "gone"]);
    assert_eq!(closing(revoked), (1008, "the token is no longer valid".to_owned()));
    plant.process.signal(Signal::TERM);
    assert_eq!(closing(stopped), (1012, "the plant is stopping".to_owned()));
    plant.stop();
}
