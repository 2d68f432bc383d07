//! Values in by HTTP: what is acknowledged survives a kill -9 once and whole, in every spelling; what is refused is
//! named by line and column, and nothing of it was kept.

use std::io::Write;

use serde_json::json;

use crate::client::Request;
use crate::plant::{Home, Plant, Process};

/// 2026-03-01T00:00:00Z in seconds.
const MARCH: i64 = 1_772_323_200;

fn at(seconds: i64) -> String {
    format!("{}000000000", MARCH + seconds)
}

#[test]
fn what_was_acknowledged_is_there_once_after_kill_minus_nine() {
    let plant = Plant::start();
    let token = plant.token("press", &["write:acme/#", "read:acme/#"]);
    let lines = format!(
        "acme/press temperature=20.5,running=true,state=\"up\",parts=7i {}\nacme/press pressure=6.1",
        at(0)
    );
    plant.post("/api/v1/write").token(&token).body("text/plain", lines).send().expect(204);
    let uncertain = json!([{ "signal": "acme/press/level", "time": "2026-03-01T00:00:01Z", "value": 3.5, "quality": "Uncertain_LastUsableValue" },
                           { "signal": "acme/press/level", "time": "2026-03-01T00:00:02Z", "value": null, "quality": "Bad_NoCommunication" }]);
    plant
        .post("/api/v1/write")
        .token(&token)
        .body("application/json", uncertain.to_string())
        .send()
        .expect(204);
    plant.ok(&[
        "write",
        "acme/press/level",
        "-5",
        "--time",
        "2026-03-01T00:00:03Z",
        "--quality",
        "uncertain",
    ]);
    let before = plant.ok(&["read", "#", "--from", "2026-01-01", "--format", "csv"]);
    let plant = plant.kill_and_restart();
    assert_eq!(plant.ok(&["read", "#", "--from", "2026-01-01", "--format", "csv"]), before);

    let rows = plant.sql("SELECT signal, value, integer, text, quality FROM samples ORDER BY signal, time");
    assert_eq!(
        rows,
        json!([
            ["acme/press/level", 3.5, null, null, 0x4090_0000_u32],
            ["acme/press/level", null, null, null, 0x8031_0000_u32],
            ["acme/press/level", -5.0, null, null, 0x4000_0000_u32],
            ["acme/press/parts", 7.0, 7, null, 0],
            ["acme/press/pressure", 6.1, null, null, 0],
            ["acme/press/running", 1.0, null, null, 0],
            ["acme/press/state", null, null, "up", 0],
            ["acme/press/temperature", 20.5, null, null, 0],
        ])
    );
    // The token survives too, and reads the same by HTTP.
    let read = plant
        .get("/api/v1/read?signal=acme/press/level&from=2026-02-01T00:00:00Z")
        .token(&token)
        .send()
        .expect(200);
    let read = read.json();
    assert_eq!(
        read[0],
        json!({ "signal": "acme/press/level", "time": "2026-03-01T00:00:01Z", "value": 3.5, "quality": "Uncertain_LastUsableValue" })
    );
    assert_eq!(read[1]["quality"], "Bad_NoCommunication");
    assert_eq!(read.as_array().map(Vec::len), Some(3));
    // A third time changes nothing.
    let plant = plant.kill_and_restart();
    assert_eq!(plant.ok(&["read", "#", "--from", "2026-01-01", "--format", "csv"]), before);
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

#[test]
fn every_spelling_says_the_same() {
    let plant = Plant::start();
    let token = plant.token("press", &["write:#", "read:#"]);
    let row = |signal: &str| json!({ "signal": signal, "time": "2026-03-01T00:00:00Z", "value": 1.5 });
    let lines = |name: &str| format!("{name} value=1.5 {}\n{name} value=2.5 {}\n", at(0), at(1));
    let objects = |name: &str| {
        [
            row(name),
            json!({ "signal": name, "time": "2026-03-01T00:00:01Z", "value": 2.5, "quality": "Good" }),
        ]
    };
    let array = serde_json::Value::from(objects("json").to_vec()).to_string();
    let ndjson = objects("ndjson").map(|object| object.to_string()).join("\n");
    let send = |media_type: &str, encoding: Option<&str>, body: Vec<u8>| {
        let mut request = plant.post("/api/v1/write").token(&token).body(media_type, body);
        if let Some(encoding) = encoding {
            request = request.header("Content-Encoding", encoding);
        }
        request.send().expect(204);
    };
    send("text/plain", None, lines("line").into_bytes());
    send("application/json", None, array.into_bytes());
    send("application/x-ndjson", None, ndjson.into_bytes());
    send("text/plain; charset=utf-8", Some("gzip"), gzip(lines("gzip").as_bytes()));
    send("text/plain", Some("zstd"), zstd::encode_all(lines("zstd").as_bytes(), 3).expect("memory takes it"));
    // What the plant exports can be sent again, to this plant or another.
    let other = Plant::start();
    let foreign = other.token("press", &["write:#"]);
    for (format, media_type) in [
        ("arrow", "application/vnd.apache.arrow.stream"),
        ("parquet", "application/vnd.apache.parquet"),
        ("json", "application/json"),
        ("ndjson", "application/x-ndjson"),
    ] {
        let path = format!(
            "/api/v1/read?signal=**&from=2026-02-28T00:00:00Z&to=2026-03-02T00:00:00Z&format={format}"
        );
        let export = plant.get(&path).token(&token).send().expect(200);
        assert_eq!(
            export.header("content-type").map(|text| text.split(';').next().unwrap_or_default()),
            Some(media_type)
        );
        plant.post("/api/v1/write").token(&token).body(media_type, &export.body).send().expect(204);
        other.post("/api/v1/write").token(&foreign).body(media_type, &export.body).send().expect(204);
    }
    for plant in [&plant, &other] {
        let rows =
            plant.sql("SELECT signal, count(*), sum(value) FROM samples GROUP BY signal ORDER BY signal");
        let expected: Vec<_> =
            ["gzip", "json", "line", "ndjson", "zstd"].iter().map(|name| json!([name, 2, 4.0])).collect();
        assert_eq!(rows, json!(expected));
    }
}

#[test]
fn a_refused_request_names_line_and_column_and_keeps_nothing() {
    let plant = Plant::start();
    let token = plant.token("press", &["write:acme/#", "read:#"]);
    let cases = [
        ("text/plain", "acme/a value=1 1\nacme/b value=oops 1\n", "bad-value", 2, 14),
        ("text/plain", "acme/a value=1 1\nacme/b\n", "bad-line", 2, 7),
        (
            "application/json",
            r#"[{"signal":"acme/a","value":1},{"signal":"acme//b","value":1}]"#,
            "bad-path",
            1,
            42,
        ),
        (
            "application/json",
            r#"[{"signal":"acme/a","value":1},{"signal":"acme/b","vale":1}]"#,
            "bad-json",
            1,
            51,
        ),
        (
            "application/x-ndjson",
            "{\"signal\":\"acme/a\",\"value\":1}\n{\"signal\":\"acme/a\",\"value\":1,\"time\":\"noon\"}",
            "bad-time",
            2,
            37,
        ),
        (
            "application/json",
            r#"[{"signal":"acme/a","value":1},{"signal":"acme/b","value":NaN}]"#,
            "bad-json",
            1,
            59,
        ),
    ];
    let mut told = Vec::new();
    for (media_type, body, code, ..) in cases {
        let request = plant.post("/api/v1/write").token(&token).body(media_type, body);
        let document = request.send().expect_problem(400, code);
        let hint = document["hint"].as_str().unwrap_or_default();
        assert!(hint.starts_with("Nothing of the request was kept. "), "{document}");
        told.push((body, document["line"].as_u64(), document["column"].as_u64()));
    }
    assert_eq!(told, cases.map(|(_, body, _, line, column)| (body, Some(line), Some(column))));
    let not_utf8 = plant
        .post("/api/v1/write")
        .token(&token)
        .body("text/plain", b"acme/a value=1 1\nacme/\xff value=1 1\n");
    assert_eq!(not_utf8.send().expect_problem(400, "bad-encoding")["line"], 2);
    plant
        .post("/api/v1/write")
        .token(&token)
        .body("text/csv", "a,b")
        .send()
        .expect_problem(415, "unsupported-format");
    let broken = plant
        .post("/api/v1/write")
        .token(&token)
        .header("Content-Encoding", "gzip")
        .body("text/plain", "no gzip");
    broken.send().expect_problem(400, "bad-encoding");
    let outside =
        plant.post("/api/v1/write").token(&token).body("text/plain", "acme/a value=1 1\nother/b value=1 1\n");
    let outside = outside.send().expect_problem(403, "forbidden");
    assert_eq!(outside["line"], 2, "{outside}");
    assert_eq!(
        plant.sql("SELECT count(*) FROM samples"),
        json!([[0]]),
        "something of a refused request was kept"
    );
    assert_eq!(plant.sql("SELECT signal FROM signals"), json!([]), "a refused request created a name");
}

#[test]
fn what_is_refused_creates_no_names_at_any_door() {
    let plant = Plant::start();
    // An Arrow stream of two names, of which the token may write one.
    let both = plant.token("both", &["write:#", "read:#"]);
    let lines = format!("acme/a value=1 {0}\nother/b value=1 {0}\n", at(0));
    plant.post("/api/v1/write").token(&both).body("text/plain", lines).send().expect(204);
    let stream = plant.get("/api/v1/read?signal=**&from=2026-02-28T00:00:00Z&format=arrow");
    let stream = stream.token(&both).send().expect(200).body;
    let arrow = "application/vnd.apache.arrow.stream";
    let fresh = Plant::start();
    let token = fresh.token("press", &["write:acme/#", "configure:#", "read:#"]);
    let post = |media_type: &str, body: Vec<u8>| {
        fresh.post("/api/v1/write").token(&token).body(media_type, body).send()
    };
    post(arrow, stream.clone()).expect_problem(403, "forbidden");
    post(arrow, stream[..stream.len() / 2].to_vec()).expect_problem(400, "bad-arrow");
    let many: String = (0..20_000).map(|n| format!("acme/n{n} value=1\n")).collect();
    post("text/plain", many.into_bytes()).expect_problem(429, "signals-rate");
    let edit = r#"{"unit":"bar"}"#;
    let patch = Request::new(fresh.address, "PATCH", "/api/v1/signals?signal=acme/none");
    patch.token(&token).body("application/json", edit).send().expect_problem(404, "not-found");
    for refused in [&["write", "acme/x", "1", "--quality", "fine"][..], &["write", "acme//x", "1"]] {
        assert_ne!(fresh.run(refused).code, Some(0), "{refused:?}");
    }
    assert_eq!(fresh.sql("SELECT signal FROM signals"), json!([]));
    // Nothing of the hour's share is gone: exactly as many names as it allows go in.
    let all: String = (0..10_000).map(|n| format!("acme/n{n} value=1\n")).collect();
    post("text/plain", all.into_bytes()).expect(204);
    assert_eq!(fresh.sql("SELECT count(*) FROM signals"), json!([[10_000]]));
    post("text/plain", b"acme/n0 value=2\nacme/more value=1\n".to_vec()).expect_problem(429, "signals-rate");
    let fresh = fresh.kill_and_restart();
    assert_eq!(fresh.sql("SELECT count(*) FROM signals"), json!([[10_000]]));
}

#[test]
fn partial_keeps_the_good_and_lists_the_bad() {
    let plant = Plant::start();
    let token = plant.token("press", &["write:acme/#"]);
    let body = "acme/a value=1 1\nacme/b value=oops 1\nother/c value=1 1\nacme/d value=4 1\n";
    let answer = plant
        .post("/api/v1/write?partial=true")
        .token(&token)
        .body("text/plain", body)
        .send()
        .expect(200)
        .json();
    assert_eq!((&answer["kept"], &answer["refused"]), (&json!(2), &json!(2)), "{answer}");
    assert_eq!(answer["problems"][0]["line"], 2);
    assert_eq!(answer["problems"][0]["code"], "bad-value");
    assert_eq!(answer["problems"][1]["line"], 3);
    assert_eq!(answer["problems"][1]["code"], "forbidden");
    for table in ["samples", "signals"] {
        let rows = plant.sql(&format!("SELECT signal FROM {table} ORDER BY signal"));
        assert_eq!(rows, json!([["acme/a"], ["acme/d"]]), "{table}");
    }
}

#[test]
fn a_repeated_request_is_kept_once_by_its_key_also_after_a_restart() {
    let plant = Plant::start();
    let token = plant.token("press", &["write:acme/#"]);
    // Without a time the server stamps: only the key makes a repetition the same.
    let send = |plant: &Plant, key: &str, body: &str| {
        plant
            .post("/api/v1/write")
            .token(&token)
            .header("Idempotency-Key", key)
            .body("text/plain", body)
            .send()
            .expect(204);
    };
    send(&plant, "one", "acme/a value=1");
    send(&plant, "one", "acme/a value=1");
    send(&plant, "two", "acme/a value=1");
    send(&plant, "one", "acme/a value=2");
    assert_eq!(plant.sql("SELECT count(*) FROM samples"), json!([[3]]));
    let plant = plant.kill_and_restart();
    send(&plant, "one", "acme/a value=1");
    assert_eq!(plant.sql("SELECT count(*) FROM samples"), json!([[3]]), "the key was forgotten by a restart");
}

/// A time without an offset means the same on the command line and in a file.
#[test]
fn local_times_mean_what_they_mean_in_files() {
    let plant = Plant::start_with("[plant]\ntimezone = \"Europe/Berlin\"\n");
    for (name, time, kept, told) in [
        ("gap", "2026-03-29T02:30:00", None, "does not exist in Europe/Berlin"),
        ("fold", "2026-10-25T02:30:00", Some("2026-10-25T00:30:00Z"), "shown twice by the clocks"),
        ("plain", "2026-10-25T03:30:00", Some("2026-10-25T02:30:00Z"), ""),
    ] {
        let file = plant.home.file("t.csv", format!("time,value\n{time},1\n")).display().to_string();
        let imported = plant.run(&["import", &file, "--signal", &format!("file/{name}")]);
        let written = plant.run(&["write", &format!("line/{name}"), "1", "--time", time]);
        let written = if kept.is_some() { written.expect(0) } else { written.expect_usage("bad-time") };
        assert_eq!(imported.code, Some(if kept.is_some() { 0 } else { 3 }), "{}", imported.err);
        assert!(written.err.contains(told) && written.err.is_empty() == told.is_empty(), "{}", written.err);
        for door in ["file", "line"] {
            let query = format!("SELECT time FROM samples WHERE signal = '{door}/{name}'");
            let wanted = kept.map_or_else(|| json!([]), |time| json!([[time]]));
            assert_eq!(plant.sql(&query), wanted, "{door}/{name}");
        }
    }
}

#[test]
fn equal_samples_are_one_different_ones_stay_and_replace_overwrites() {
    let plant = Plant::start();
    let token = plant.token("press", &["write:acme/#"]);
    let send = |path: &str, body: String| {
        plant.post(path).token(&token).body("text/plain", body).send().expect(204);
    };
    let values = || plant.sql("SELECT value FROM samples WHERE signal = 'acme/a'");
    for value in [1, 2, 1, 3] {
        send("/api/v1/write", format!("acme/a value={value} {}", at(0)));
    }
    assert_eq!(values(), json!([[1.0], [2.0], [3.0]]), "in order of arrival, identical ones once");
    send("/api/v1/write?mode=replace", format!("acme/a value=9 {}", at(0)));
    assert_eq!(values(), json!([[9.0]]));
    let read = plant.ok(&["read", "acme/a", "--from", "2026-01-01", "--format", "csv"]);
    assert_eq!(read.lines().count(), 2, "{read}");
    plant
        .post("/api/v1/write?mode=append")
        .token(&token)
        .body("text/plain", "acme/a value=1")
        .send()
        .expect_problem(400, "bad-parameter");
}

#[test]
fn the_doors_of_influxdb_take_what_its_clients_send() {
    let plant = Plant::start();
    let token = plant.token("telegraf", &["write:cpu/#", "write:mem/#", "read:#"]);
    let ping = plant.get("/ping").send().expect(204);
    assert!(ping.header("x-influxdb-version").is_some());
    let password = base64(format!("telegraf:{token}").as_bytes());
    let post = |path: &str, authorization: &str, body: &str| {
        plant.post(path).header("Authorization", authorization).body("text/plain", body).send()
    };
    let line = |seconds: i64| format!("cpu,host=edge1,cpu=cpu0 idle=3 {}", MARCH + seconds);
    post("/write?db=telegraf&precision=s", &format!("Basic {password}"), &line(0)).expect(204);
    post("/api/v2/write?org=o&bucket=b&precision=s", &format!("Token {token}"), &line(1)).expect(204);
    post("/api/v3/write_lp?db=d&precision=second", &format!("Bearer {token}"), &line(2)).expect(204);
    post("/api/v2/write?bucket=b&precision=s", &format!("Token {token}"), "").expect(204);
    let partial = post(
        "/write?db=telegraf&precision=s",
        &format!("Basic {password}"),
        &format!("{}\nmem used=x\n", line(3)),
    )
    .expect(400);
    assert!(
        partial.text().contains("partial write: ") && partial.text().contains("dropped=1"),
        "{}",
        partial.text()
    );
    let rows = plant.sql("SELECT signal, count(*), sum(value) FROM samples GROUP BY signal");
    assert_eq!(rows, json!([["cpu/cpu=cpu0,host=edge1/idle", 4, 12.0]]));
    let databases = plant.get("/query?q=SHOW%20DATABASES").token(&token).send().expect(200).json();
    assert!(databases.to_string().contains("telegraf"), "{databases}");
    plant.post("/query?q=CREATE%20DATABASE%20x").token(&token).send().expect(200);
    // The tags are kept as metadata.
    let tags = plant.run(&["signals", "--json"]).expect(0).json()[0]["tags"].clone();
    assert_eq!((&tags["host"], &tags["cpu"]), (&json!("edge1"), &json!("cpu0")), "{tags}");
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits =
            three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for index in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * index)) as usize & 63];
            text.push(if index <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[test]
fn units_and_names_are_kept_as_they_were_sent() {
    let plant = Plant::start();
    let token = plant.token("press", &["write:#", "read:#"]);
    for path in ["Werk Süd/Ofen 3/Temp. (max)", "a=b,c/d;e", "日本/温度", "x"] {
        let body = json!([{ "signal": path, "value": 1.25, "time": "2026-03-01T00:00:00Z" }]).to_string();
        plant.post("/api/v1/write").token(&token).body("application/json", body).send().expect(204);
        let read = plant.run(&["read", path, "--from", "2026-01-01", "--json"]).expect(0).json();
        assert_eq!(read[0]["signal"], path, "{read}");
        assert_eq!(plant.sql(&format!("SELECT value FROM samples WHERE signal = '{path}'")), json!([[1.25]]));
    }
    for unit in ["°C", "bar", "m³/h", "psi", "%"] {
        plant.ok(&["signals", "set", "x", &format!("unit={unit}")]);
        let signal = plant.run(&["signals", "x", "--json"]).expect(0).json()[0].clone();
        assert_eq!(signal["unit"], unit, "{signal}");
        assert!(signal["ucum"].as_str().is_some_and(|code| !code.is_empty()), "no UCUM code: {signal}");
    }
}

#[test]
fn the_largest_body_goes_in_on_a_machine_of_two_gibibytes() {
    // Mostly remarks, so that the test is about size and not about a million samples.
    let remark = format!("# {}\n", "x".repeat(1_021));
    let mut body = remark.repeat((64 << 10) - 1).into_bytes();
    body.extend_from_slice(b"acme/a value=1 1\n");
    assert!(body.len() <= 64 << 20);
    // As all plants of these tests: 256 MiB.
    let small = Plant::start();
    let token = small.token("press", &["write:acme/#"]);
    let document = small
        .post("/api/v1/write")
        .token(&token)
        .body("text/plain", &body)
        .send()
        .expect_problem(413, "too-large");
    assert!(document["hint"].as_str().is_some_and(|hint| hint.contains("limits.memory")), "{document}");
    let home = Home::new();
    let mut command = home.command(&["run", "--plant", "plant"]);
    command.env("TIDEMILL_LIMITS_MEMORY", "480MiB");
    let plant = Plant::ready(home, Process::spawn(command));
    let token = plant.token("press", &["write:acme/#"]);
    plant.post("/api/v1/write").token(&token).body("text/plain", &body).send().expect(204);
    assert_eq!(plant.sql("SELECT count(*) FROM samples"), json!([[1]]));
    body.extend_from_slice(remark.as_bytes());
    plant
        .post("/api/v1/write")
        .token(&token)
        .body("text/plain", &body)
        .send()
        .expect_problem(413, "too-large");
}

/// Else 100 psi would stand as 100 bar, by a request or out of a file.
#[test]
fn values_in_another_unit_than_their_signal_are_refused_by_every_door() {
    let plant = Plant::start();
    let token = plant.token("press", &["write:j/#"]);
    let send = |body: &str| plant.post("/api/v1/write").token(&token).body("application/json", body).send();
    send(r#"{"signal":"j/unit","time":1,"value":1}"#).expect(204);
    // Who may write says the unit where there is none; said again, and spelled otherwise, it is the same.
    for _ in 0..2 {
        send(r#"{"signal":"j/unit","time":2,"value":2,"unit":"bar"}"#).expect(204);
    }
    send(r#"{"signal":"j/unit","time":3,"value":3,"unit":"barg"}"#).expect(204);
    let psi = r#"{"signal":"j/unit","time":4,"value":100,"unit":"psi"}"#;
    let both = psi.replace("psi", "bar");
    for body in [psi.to_owned(), format!("[{both},{psi}]")] {
        let document = send(&body).expect_problem(400, "bad-unit");
        let detail = document["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("'psi'") && detail.contains("'bar'"), "{document}");
    }
    for (name, text) in [
        (
            "column.csv",
            "signal,time,value,unit\nj/unit,2026-01-01T00:00:00Z,100,psi\nj/unit,2026-01-01T00:00:01Z,101,psi\n",
        ),
        ("header.csv", "time,j/unit (psi)\n2026-01-01T00:00:00Z,100\n2026-01-01T00:00:01Z,101\n"),
        (
            "lines.jsonl",
            "{\"signal\":\"j/unit\",\"time\":\"2026-01-01T00:00:00Z\",\"value\":100,\"unit\":\"psi\"}\n{\"signal\":\"j/unit\",\"time\":\"2026-01-01T00:00:01Z\",\"value\":101,\"unit\":\"psi\"}\n",
        ),
    ] {
        plant.home.file(name, text);
        let path = plant.home.path(name).display().to_string();
        let prefix: &[&str] = if name == "header.csv" { &["--signal", "j/unit"] } else { &[] };
        let told = plant.run_as(&token, &[&["import", &path], prefix].concat()).expect(3).out;
        assert!(told.contains("0 samples written and durable, 2 rejected"), "{name}: {told}");
        let rejected =
            std::fs::read_to_string(plant.home.path(&format!("{name}.rejected"))).expect("it is written");
        assert!(rejected.contains("'psi'") && rejected.contains("'bar'"), "{name}: {rejected}");
    }
    let rows = plant.sql("SELECT value FROM samples WHERE signal = 'j/unit' ORDER BY time");
    assert_eq!(rows, json!([[1.0], [2.0], [3.0]]));
    assert_eq!(plant.sql("SELECT unit FROM signals WHERE signal = 'j/unit'"), json!([["bar"]]));
}

#[test]
fn times_without_an_offset_are_the_plants_wherever_they_are_typed() {
    // The command line of the tests lives in UTC.
    let plant = Plant::start_with("[plant]\ntimezone = \"Europe/Berlin\"");
    let (writer, reader) = (plant.token("writer", &["write:#"]), plant.token("reader", &["read:#"]));
    plant.run_as(&writer, &["write", "a/b", "1", "--time", "2026-07-01 12:00"]).expect(0);
    plant.home.file("day.csv", "time,value\n2026-07-01 13:00:00,2\n");
    let told = plant.run_as(&writer, &["import", "day.csv", "--signal", "a/b"]).expect(0).err;
    assert!(told.contains("Europe/Berlin"), "{told}");
    let times = plant.sql("SELECT time FROM samples ORDER BY time");
    assert_eq!(times, json!([["2026-07-01T10:00:00Z"], ["2026-07-01T11:00:00Z"]]));
    let hour = ["read", "a/b", "--from", "2026-07-01 12:30", "--to", "2026-07-01 13:30"];
    let read = plant.run_as(&reader, &hour).expect(0).out;
    assert!(read.contains("13:00:00+02:00") && !read.contains("12:00:00"), "{read}");
}
