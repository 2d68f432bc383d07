//! What is written down is what is: pages made from the code, the description of the API, and every command of the README.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::client::{Request, connect};
use crate::partners;
use crate::plant::{Home, PATIENCE, Plant, ran, skip};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_reference_pages_are_what_the_code_says() {
    let home = Home::new();
    for page in ["configuration", "problems", "names", "command-line"] {
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

/// The lines of a page's blocks in this language, in their order.
fn block_lines<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(fence.as_str())
        .skip(1)
        .filter_map(|rest| rest.split("\n```").next())
        .flat_map(str::lines)
        .collect()
}

/// Asks DuckDB what the README asks, where its history is, until there are rows.
const ASK: &str = r#"
import os, sys, importlib.metadata as metadata
import duckdb
connection = duckdb.connect()
files = metadata.files("duckdb-ext-delta")
extension = next(file for file in files if str(file).endswith(".duckdb_extension"))
connection.execute(f"load '{extension.locate()}'")
rows = connection.sql(sys.argv[1]).fetchall()
print(len(rows))
sys.stdout.flush()
os._exit(0)
"#;

/// Every command of the README, in its order and as printed, in one folder, beside a demo that runs. Three stand for what a test
/// cannot do: the built binary is put where the first command builds it, the tests are not run within the tests, and the address
/// is another one where this machine may have a plant on the usual.
#[test]
fn every_command_of_the_readme_runs_as_printed_and_in_order() {
    let text = std::fs::read_to_string(root().join("README.md")).expect("there is a README");
    let home = Home::new();
    std::fs::create_dir_all(home.path("target/release")).expect("a folder");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tidemill"), home.path("target/release/tidemill"))
        .expect("a link");
    let (mut demo, mut plant, mut script) = (None, None, Vec::new());
    for line in block_lines(&text, "sh") {
        let command = line.split(" # ").next().unwrap_or_default().trim();
        if let Some(words) = command.strip_prefix("cargo run --release -- ") {
            let words: Vec<&str> = words.split_whitespace().chain(["--headless", "--days", "1"]).collect();
            let mut command = home.command(&words);
            command.env("TMPDIR", home.path(""));
            let mut process = crate::plant::Process::spawn(command);
            process.line("DEMO plant ready");
            demo = Some(process);
        } else if command == "cargo xtask test" {
            assert!(root().join(".cargo/config.toml").is_file(), "there is no `cargo xtask`");
        } else if let Some(words) = command.strip_prefix("./target/release/tidemill run") {
            let words: Vec<&str> = std::iter::once("run").chain(words.split_whitespace()).collect();
            plant = Some(crate::plant::Process::spawn(home.command(&words)));
        } else {
            script.push(line);
        }
    }
    assert!(
        demo.is_some() && script.iter().filter(|line| line.starts_with("tidemill ")).count() >= 5,
        "{script:?}"
    );
    let plant = Plant::ready(home, plant.expect("the README starts a plant"));
    let mut look = Command::new("sh");
    look.args(["-c", "command -v curl"]);
    let has_curl = ran(look).code == Some(0);
    if !has_curl {
        skip("the README's curl", "curl is not installed");
        script.retain(|line| !line.starts_with("curl "));
    }
    let script = script.join("\n").replace("127.0.0.1:8440", &plant.address.to_string());
    let file = plant.home.file("readme.sh", format!("set -eu\n{script}\n"));
    let mut command = Command::new("sh");
    command.arg(file).current_dir(plant.home.path("")).env_clear();
    let like = plant.home.command(&[]);
    command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = ran(command).expect(0);
    assert!(!has_curl || ran.out.contains("204 No Content"), "{}\n{}", ran.out, ran.err);
    let signals = plant.ok(&["signals"]);
    for signal in ["vibration", "temperature"].into_iter().chain(has_curl.then_some("pressure")) {
        assert!(signals.contains(&format!("acme/leeds/press/{signal}")), "{signal}: {signals}");
    }
    asked_in_duckdb(&plant, &block_lines(&text, "sql").join("\n"));
}

/// The files of a running plant have its first samples soon: long before `storage.flush_after`.
fn asked_in_duckdb(plant: &Plant, query: &str) {
    assert!(query.contains("delta_scan('plant/data/lake/samples')"), "{query}");
    let Some(python) = partners::python("the README's DuckDB") else { return };
    let until = std::time::Instant::now() + PATIENCE;
    loop {
        let mut command = Command::new(&python);
        command.args(["-c", ASK, query]).current_dir(plant.home.path(""));
        let rows = ran(command).expect(0).out;
        if rows.trim() != "0" {
            return;
        }
        assert!(std::time::Instant::now() < until, "the history stays empty for others");
    }
}

#[test]
fn every_page_that_is_named_is_there() {
    for page in ["README.md", "ARCHITECTURE.md", "SECURITY.md", "STYLE.md", "docs/adr/README.md"] {
        let path = root().join(page);
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
