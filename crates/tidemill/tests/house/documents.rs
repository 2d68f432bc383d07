//! What is written down is what is: pages made from the code, the description of the API, and every command of the README.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::client::Request;
use crate::plant::{Home, Plant, ran, skip};

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
        "http_bindings",
        "http_bodies_bytes",
        "http_connections",
        "http_control_connections",
        "http_live",
        "journal_unsynced_bytes",
        "last_values_bytes",
        "patterns",
        "registry_bytes",
        "signals",
        "sources",
    ];
    for name in expected {
        assert!(limits.to_string().contains(&format!("[\"{name}\"]")), "{name}: {limits}");
    }
    assert_eq!(
        plant.sql("SELECT used, max FROM sys.limits WHERE name = 'signals'"),
        serde_json::json!([[1.0, 100_000.0]])
    );
}

/// The blocks of shell commands in a page.
fn shell_blocks(text: &str) -> Vec<String> {
    text.split("```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next()).map(str::to_owned).collect()
}

#[test]
fn every_command_of_the_readme_runs() {
    let text = std::fs::read_to_string(root().join("README.md")).expect("there is a README");
    let blocks = shell_blocks(&text);
    let commands: Vec<&str> = blocks.iter().flat_map(|block| block.lines()).collect();
    assert!(commands.iter().filter(|line| line.starts_with("tidemill ")).count() >= 5, "{commands:?}");
    let plant = Plant::start();
    plant.home.file("machine.csv", "time,value\n2026-03-01 00:00:00,1.5\n2026-03-01 00:00:01,1.75\n");
    let mut look = Command::new("sh");
    look.args(["-c", "command -v curl"]);
    let has_curl = ran(look).code == Some(0);
    if !has_curl {
        skip("the README's curl", "curl is not installed");
    }
    let mut script = format!("set -eu\ntidemill() {{ '{}' \"$@\"; }}\n", env!("CARGO_BIN_EXE_tidemill"));
    for line in commands {
        if line.starts_with("cargo ")
            || line.starts_with("alias ")
            || (line.starts_with("curl ") && !has_curl)
        {
            // Building is what this test stands on; the function above is the alias.
            continue;
        }
        let line = line.replace("127.0.0.1:8440", &plant.address.to_string());
        if line.starts_with("tidemill token create") {
            // Who reads the README copies the token.
            script.push_str(&format!("TOKEN=$({line})\n"));
        } else {
            script.push_str(&format!("{line}\n"));
        }
    }
    let file = plant.home.file("readme.sh", &script);
    let mut command = Command::new("sh");
    command.arg(file).current_dir(plant.home.path("")).env_clear().env("TIDEMILL_PLANT", plant.home.plant());
    let like = plant.home.command(&[]);
    command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = ran(command).expect(0);
    assert!(!has_curl || ran.out.contains("204 No Content"), "{}\n{}", ran.out, ran.err);
    let signals = plant.ok(&["signals"]);
    assert!(
        signals.contains("acme/leeds/press/vibration") && signals.contains("acme/leeds/press/temperature"),
        "{signals}"
    );
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
