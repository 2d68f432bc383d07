//! The history opened by others: DuckDB and deltalake read the folder of a stopped plant and count what our SQL counted.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value as Json, json};

use crate::client::Request;
use crate::plant::{Plant, ran, skip};

/// Reads `sys.argv[1]` by the partner `sys.argv[2]`, values as docs/spec/lake.md says; prints per signal: count, sum, first and last time in microseconds.
pub(crate) const READERS: &str = r#"
import json, os, sys, importlib.metadata as metadata
import duckdb, deltalake
lake, partner = sys.argv[1], sys.argv[2]
connection = duckdb.connect()
if partner == "duckdb":
    files = metadata.files("duckdb-ext-delta")
    extension = next(file for file in files if str(file).endswith(".duckdb_extension"))
    connection.execute(f"load '{extension.locate()}'")
    source = f"delta_scan('{lake}')"
else:
    history = deltalake.DeltaTable(lake).to_pyarrow_table()
    source = "history"
rows = connection.sql(f"""
    SELECT signal, count(*), sum(coalesce(float, scaled / pow(10, coalesce(scale, 0)))), epoch_us(min(time)), epoch_us(max(time)), count(quality)
    FROM {source} GROUP BY signal ORDER BY signal
""").fetchall()
print(json.dumps(rows))
# Not through the end of the interpreter: threads of the readers' own pools are at times still there, and it aborts.
sys.stdout.flush()
os._exit(0)
"#;

/// The interpreter that has the partners' packages.
pub(crate) fn python(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TIDEMILL_PARTNERS").map(PathBuf::from);
    let python = folder.map(|folder| folder.join("python/bin/python")).filter(|python| python.is_file());
    if python.is_none() {
        skip(test, "TIDEMILL_PARTNERS names no folder with python/bin/python; `cargo xtask test` makes it");
    }
    python
}

/// What our own SQL says, in the partners' words.
fn by_us(plant: &Plant) -> Json {
    plant.sql(
        "SELECT signal, count(*), sum(value), CAST(min(time) AS BIGINT) / 1000, CAST(max(time) AS BIGINT) / 1000, count(quality)
         FROM samples GROUP BY signal ORDER BY signal",
    )
}

#[test]
fn others_read_the_history_of_a_stopped_plant_and_agree() {
    let Some(python) = python("others_read_the_history_of_a_stopped_plant") else { return };
    let plant = Plant::start();
    let token = plant.token("press", &["write:#"]);
    let write = |plant: &Plant, from: i64, to: i64| {
        let lines: String = (from..to)
            .map(|index| {
                let time = 1_772_323_200_000_000_000 + index * 21_600_000_000_000;
                format!(
                    "line/s{} value={},state=\"up\",parts={index}i {time}\n",
                    index % 7,
                    index as f64 / 4.0
                )
            })
            .collect();
        plant.post("/api/v1/write").token(&token).body("text/plain", lines).send().expect(204);
    };
    // Over many days, and more of the same days after a restart.
    write(&plant, 0, 600);
    plant.ok(&["write", "line/none", "0", "--quality", "bad", "--time", "2026-03-01T00:00:00Z"]);
    let plant = plant.stop().start();
    write(&plant, 300, 900);
    plant.ok(&[
        "signals",
        "delete",
        "line/s3",
        "--from",
        "2026-03-01T00:00:00Z",
        "--to",
        "2026-03-20T00:00:00Z",
        "--reason",
        "x",
    ]);
    let ours = by_us(&plant);
    assert_eq!(ours.as_array().map(Vec::len), Some(7 * 3 + 1), "{ours}");
    let home = plant.stop();
    let lake = home.plant().join("data/lake/samples").display().to_string();
    for partner in ["duckdb", "deltalake"] {
        let mut command = Command::new(&python);
        command.args(["-c", READERS, &lake, partner]);
        let theirs: Json = ran(command).expect(0).json();
        let pairs: Vec<_> =
            ours.as_array().into_iter().flatten().zip(theirs.as_array().into_iter().flatten()).collect();
        for (ours, theirs) in &pairs {
            assert_eq!(comparable(ours), comparable(theirs), "{partner}");
        }
        assert_eq!(theirs.as_array().map(Vec::len), Some(pairs.len()), "{partner}: {theirs}");
    }
}

/// Numbers as floats: the one prints 1, the other 1.0. The sums are of quarters, and exact.
fn comparable(row: &Json) -> Json {
    row.as_array()
        .into_iter()
        .flatten()
        .map(|cell| cell.as_f64().map_or(cell.clone(), |number| json!(number)))
        .collect()
}

/// `storage.values`: with "open" a reader finds every float in its own column, and has nothing to compute.
#[test]
fn open_values_are_floats_for_others() {
    const KINDS: &str = r#"
import json, os, sys, deltalake
history = deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table()
print(json.dumps([history["float"].to_pylist(), history["scaled"].to_pylist()]))
sys.stdout.flush()
os._exit(0) # as above
"#;
    let Some(python) = python("open_values_are_floats_for_others") else { return };
    for (values, columns) in [("compact", json!([[null], [205]])), ("open", json!([[20.5], [null]]))] {
        let plant = Plant::start_with(&format!("[storage]\nvalues = \"{values}\"\n"));
        plant.ok(&["write", "t", "20.5"]);
        let home = plant.stop();
        let lake = home.plant().join("data/lake/samples").display().to_string();
        let mut command = Command::new(&python);
        command.args(["-c", KINDS, &lake]);
        assert_eq!(ran(command).expect(0).json(), columns, "{values}");
    }
}

/// Whether a partner's module is there; if not, the test is skipped by name.
pub(crate) fn has(python: &PathBuf, module: &str, test: &str) -> bool {
    let mut look = Command::new(python);
    look.args(["-c", &format!("import {module}")]);
    let found = ran(look).code == Some(0);
    if !found {
        skip(test, &format!("{module} is not installed"));
    }
    found
}

#[test]
fn the_description_of_the_api_is_one_to_others() {
    let test = "the_description_of_the_api_is_one_to_others";
    let Some(python) = python(test).filter(|python| has(python, "openapi_spec_validator", test)) else {
        return;
    };
    let plant = Plant::start();
    let described = plant.get("/api/v1/openapi.json").send().expect(200);
    let read = "import json, sys; from openapi_spec_validator import validate; validate(json.load(open(sys.argv[1])))";
    let validated = |file: PathBuf| {
        let mut command = Command::new(&python);
        command.args(["-c", read]).arg(file);
        ran(command).code
    };
    assert_eq!(validated(plant.home.file("openapi.json", &described.body)), Some(0));
    // What stands here can fail: a reference that leads nowhere is found.
    let broken = described.text().replace("schemas/ProblemDocument", "schemas/Nobody");
    assert_ne!(validated(plant.home.file("broken.json", broken.as_bytes())), Some(0));
}

/// Reads a file as OpenMetrics, strictly; prints how many families and samples there are, by kind.
const SCRAPER: &str = r#"
import collections, json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
kinds, names = collections.Counter(), set()
for family in text_string_to_metric_families(open(sys.argv[1], newline='').read()):
    kinds[family.type] += 1
    assert family.name.startswith("tidemill_"), family.name
    assert family.documentation, family.name
    assert family.name not in names, family.name
    names.add(family.name)
    assert family.samples, family.name
print(json.dumps(kinds))
"#;

#[test]
fn a_scraper_of_prometheus_reads_the_metrics() {
    let test = "a_scraper_of_prometheus_reads_the_metrics";
    let module = "prometheus_client.openmetrics.parser";
    let Some(python) = python(test).filter(|python| has(python, module, test)) else { return };
    let plant = Plant::start();
    plant.ok(&["write", "a/b", "1"]);
    plant.ok(&["sql", "SELECT 1"]);
    let scraped = plant.get("/metrics").send().expect(200);
    assert!(
        scraped
            .header("content-type")
            .is_some_and(|media_type| media_type.contains("openmetrics-text; version=1.0.0"))
    );
    let file = plant.home.file("metrics.txt", &scraped.body);
    let mut command = Command::new(&python);
    command.args(["-c", SCRAPER]).arg(file);
    let kinds: Json = ran(command).expect(0).json();
    for kind in ["counter", "gauge", "histogram"] {
        assert!(kinds[kind].as_u64().is_some_and(|count| count > 0), "{kinds}");
    }
}

/// Holds answers against the description: reads `{"api", "answers": [{"call", "path", "status", "media_type", "body"}]}`
/// and prints what is wrong. A member that is not described is wrong too.
const VALIDATOR: &str = r##"
import json, sys
from jsonschema import Draft202012Validator
told = json.load(open(sys.argv[1]))
api, wrong = told["api"], []
def close(schema):
    if isinstance(schema, dict):
        if "properties" in schema: schema.setdefault("additionalProperties", False)
        for name, part in schema.items():
            if name != "allOf": close(part)
    if isinstance(schema, list):
        for part in schema: close(part)
close(api["components"]["schemas"])
for answer in told["answers"]:
    listed = api["paths"][answer["path"]][answer["call"]]["responses"].get(answer["status"])
    where = f'{answer["call"]} {answer["path"]} {answer["status"]}'
    if listed is None: wrong.append(f"{where}: this status is not listed"); continue
    content = listed.get("content", {})
    if not answer["media_type"]:
        if content: wrong.append(f"{where}: no body came")
        continue
    if answer["media_type"] not in content: wrong.append(f'{where}: no {answer["media_type"]}'); continue
    schema = content[answer["media_type"]].get("schema")
    if answer["media_type"] not in ("application/json", "application/problem+json"): continue
    if schema is None: wrong.append(f"{where}: JSON without a schema"); continue
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "components": api["components"]}
    Draft202012Validator.check_schema(whole)
    for error in Draft202012Validator(whole).iter_errors(json.loads(answer["body"])):
        wrong.append(f"{where}: {error.message} at {error.json_path}")
print(json.dumps(wrong))
"##;

/// A call with its body: who, method, address, media type, body, and the status that is expected.
type Call<'a> = (&'a str, &'static str, &'a str, &'static str, &'a str, u16);

/// Calls one after the other; every operation that is described is among them, and most of the statuses that a test can bring about.
const CALLS: &[Call<'static>] = &[
    ("all", "POST", "/api/v1/write", "text/plain", "a/b t=1,n=2i,s=\"x\",ok=true 1000000000", 204),
    ("all", "POST", "/api/v1/write?partial=true", "text/plain", "a/b t=1 1\nbroken", 200),
    ("all", "POST", "/api/v1/write", "text/plain", "broken", 400),
    (
        "all",
        "POST",
        "/api/v1/write",
        "application/json",
        r#"[{"signal":"a/none","time":"1970-01-01T00:00:02Z","value":null},{"signal":"a/j","time":"1970-01-01T00:00:02Z","value":{"k":[1]}},{"signal":"a/x","time":"1970-01-01T00:00:02Z","value":"NaN","kind":"float","quality":"0x80AB0000"}]"#,
        204,
    ),
    ("all", "POST", "/api/v1/write", "application/xml", "<a/>", 415),
    ("", "POST", "/api/v1/write", "text/plain", "a t=1", 401),
    ("reader", "POST", "/api/v1/write", "text/plain", "a t=1", 403),
    ("all", "GET", "/api/v1/read?signal=**&from=0&to=9&unit=s", "", "", 200),
    ("all", "GET", "/api/v1/read?signal=**&from=0&to=9&unit=s&time=ns", "", "", 200),
    ("all", "GET", "/api/v1/read?signal=**&from=0&to=9&unit=s&format=ndjson", "", "", 200),
    ("all", "GET", "/api/v1/read?signal=**&from=0&to=9&unit=s&format=csv", "", "", 200),
    ("all", "GET", "/api/v1/read?signal=**&from=0&to=9&unit=s&format=arrow", "", "", 200),
    ("all", "GET", "/api/v1/read?signal=**&from=0&to=9&unit=s&format=parquet", "", "", 200),
    ("all", "GET", "/api/v1/read", "", "", 400),
    ("all", "GET", "/api/v1/read?signal=a&format=xml", "", "", 415),
    ("all", "POST", "/api/v1/sql", "application/json", r#"{"query":"SELECT * FROM samples"}"#, 200),
    (
        "all",
        "POST",
        "/api/v1/sql?format=csv",
        "application/json",
        r#"{"query":"SELECT * FROM samples"}"#,
        200,
    ),
    ("all", "POST", "/api/v1/sql", "application/json", r#"{"query":"nonsense"}"#, 400),
    (
        "all",
        "PATCH",
        "/api/v1/signals?signal=a/b/t",
        "application/json",
        r#"{"unit":"bar","stale_after":"5m","alias":"a/other"}"#,
        204,
    ),
    ("all", "PATCH", "/api/v1/signals?signal=a/nobody", "application/json", "{}", 404),
    ("all", "GET", "/api/v1/signals", "", "", 200),
    ("all", "GET", "/api/v1/signals?time=ms", "", "", 200),
    ("all", "GET", "/api/v1/signals?match=a//b", "", "", 400),
    ("all", "GET", "/api/v1/live", "", "", 400),
    ("all", "GET", "/api/v1/why?signal=a/b/t", "", "", 200),
    ("all", "GET", "/api/v1/why?signal=nobody", "", "", 404),
    ("all", "DELETE", "/api/v1/signals?signal=a/b/n", "", "", 204),
    ("all", "DELETE", "/api/v1/signals?signal=a/b/n", "", "", 404),
    ("all", "POST", "/write?db=plant", "text/plain", "cpu idle=1", 204),
    ("all", "POST", "/write", "text/plain", "broken", 400),
    ("", "POST", "/write", "text/plain", "cpu idle=1", 401),
    ("reader", "POST", "/write", "text/plain", "cpu idle=1", 403),
    ("all", "POST", "/api/v2/write?bucket=plant", "text/plain", "cpu idle=1", 204),
    ("all", "POST", "/api/v2/write", "text/plain", "broken", 400),
    ("reader", "POST", "/api/v2/write", "text/plain", "cpu idle=1", 403),
    ("all", "POST", "/api/v3/write_lp?db=plant", "text/plain", "cpu idle=1", 204),
    ("all", "POST", "/api/v3/write_lp", "text/plain", "broken", 400),
    ("all", "POST", "/query?q=CREATE+DATABASE+x", "text/plain", "", 200),
    ("all", "GET", "/query?q=SHOW+DATABASES", "", "", 200),
    ("all", "GET", "/query?q=SELECT", "", "", 400),
    ("", "GET", "/ping", "", "", 204),
    ("", "GET", "/ping?verbose=true", "", "", 200),
    ("", "GET", "/health", "", "", 200),
    ("", "GET", "/ready", "", "", 200),
    ("", "GET", "/health/live", "", "", 200),
    ("", "GET", "/health/ready", "", "", 200),
    ("", "GET", "/metrics", "", "", 200),
    (
        "all",
        "POST",
        "/api/v1/tokens",
        "application/json",
        r#"{"name":"one","allow":["read:#"],"expires_s":60}"#,
        201,
    ),
    ("all", "POST", "/api/v1/tokens", "application/json", r#"{"name":"one","allow":["read:#"]}"#, 409),
    ("all", "POST", "/api/v1/tokens/one/rotate", "", "", 201),
    ("all", "GET", "/api/v1/tokens", "", "", 200),
    ("reader", "GET", "/api/v1/tokens", "", "", 403),
    ("all", "DELETE", "/api/v1/tokens/one", "", "", 204),
    ("all", "DELETE", "/api/v1/tokens/one", "", "", 404),
    ("all", "GET", "/api/v1/access", "", "", 200),
    ("all", "GET", "/api/v1/access?who=reader&verb=read&path=a/other", "", "", 200),
    ("all", "GET", "/api/v1/access?who=reader", "", "", 400),
    ("all", "GET", "/api/v1/audit", "", "", 200),
    ("all", "GET", "/api/v1/audit?format=ndjson", "", "", 200),
    ("all", "POST", "/api/v1/audit/verify", "", "", 200),
    ("all", "POST", "/api/v1/reload", "", "", 200),
    ("all", "GET", "/api/v1/check", "", "", 200),
    ("all", "GET", "/api/v1/health", "", "", 200),
    ("all", "GET", "/api/v1/plant", "", "", 200),
    ("", "GET", "/api/v1/ca.pem", "", "", 404),
    ("reader", "POST", "/api/v1/backup", "application/json", "{}", 403),
    ("all", "POST", "/api/v1/backup", "application/json", "{}", 200),
];

/// Calls all of them, and gives the answers as the validator reads them.
fn answers_of(plant: &Plant) -> Vec<Json> {
    let all = plant.token("all", &["read:#", "write:#", "configure:#", "administer:#"]);
    let reader = plant.token("reader", &["read:#"]);
    let answer = |&(who, method, address, media_type, body, status): &Call<'_>| {
        let mut request = Request::new(plant.address, method, address);
        if !media_type.is_empty() {
            request = request.body(media_type, body);
        }
        request = match who {
            "all" => request.token(&all),
            "reader" => request.token(&reader),
            _ => request,
        };
        let answer = request.send();
        assert_eq!(answer.status, status, "{method} {address}: {}", answer.text());
        let path = address.split('?').next().unwrap_or_default().replace("/tokens/one", "/tokens/{name}");
        json!({
            "call": method.to_lowercase(), "path": path, "status": status.to_string(),
            "media_type": answer.header("content-type").unwrap_or_default(), "body": answer.text(),
        })
    };
    CALLS.iter().map(answer).collect()
}

/// What a client that was generated from the description is sent is what it was told.
#[test]
fn every_call_answers_as_the_description_says() {
    let test = "every_call_answers_as_the_description_says";
    let plant = Plant::start();
    let described = plant.get("/api/v1/openapi.json").send().expect(200).json();
    let answers = answers_of(&plant);
    for (path, calls) in described["paths"].as_object().into_iter().flatten() {
        for call in calls.as_object().into_iter().flatten().map(|(call, _)| call) {
            let called = answers.iter().any(|answer| answer["path"] == *path && answer["call"] == *call);
            assert!(called, "{call} {path} is described and not called here");
        }
    }
    let Some(python) = python(test).filter(|python| has(python, "jsonschema", test)) else { return };
    let wrong = |described: &Json| {
        let told = json!({ "api": described, "answers": &answers }).to_string();
        let mut command = Command::new(&python);
        command.args(["-c", VALIDATOR]).arg(plant.home.file("answers.json", told));
        ran(command).expect(0).json()
    };
    assert_eq!(wrong(&described), json!([]));
    // What stands here can fail: another type, another code, another media type, another member.
    let other = |text: &str, by: &str| {
        let changed = described.to_string().replace(text, by);
        wrong(&serde_json::from_str(&changed).expect("still JSON"))
    };
    for (text, by) in [
        ("\"type\":\"integer\"", "\"type\":\"string\""),
        ("\"bad-line\"", "\"bad-lines\""),
        ("application/openmetrics-text", "text/plain"),
        ("\"name_now\"", "\"name_then\""),
    ] {
        assert_ne!(other(text, by), json!([]), "{text}");
    }
}
