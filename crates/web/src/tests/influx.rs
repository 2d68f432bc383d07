//! What InfluxDB's clients and Telegraf see.

use expect_test::expect;
use tidemill_core::{Flags, Problem, codes};

use super::{House, fakes, from};
use crate::write::agents;

#[tokio::test]
async fn good_lines_are_kept_and_bad_ones_counted() {
    let table = [
        (
            "/write?db=telegraf",
            r#"{"error":"partial write: line 2: the line has no field: write measurement field=value dropped=2"}"#,
        ),
        (
            "/api/v2/write?bucket=b&org=o",
            r#"{"code":"invalid","message":"partial write: line 2: the line has no field: write measurement field=value dropped=2"}"#,
        ),
        (
            "/api/v3/write_lp?db=d",
            r#"{"error":"partial write: partial write of line protocol occurred; line 2: the line has no field: write measurement field=value dropped=2","data":[{"line_number":2,"error_message":"the line has no field: write measurement field=value"},{"line_number":3,"error_message":"'x' is no field value: write 1.5, 3i, 3u, true or \"text\"; NaN and infinities have no form here"}]}"#,
        ),
    ];
    for (uri, expected) in table {
        let house = House::new();
        let answer = house.send(&format!("POST {uri}"), &[], "a f=1 1\nb\nc f=x\nd f=2 2").await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (400, expected), "{uri}");
        assert_eq!(house.plant.shown(), "a/f = 1 (float) at 1 Good\nd/f = 2 (float) at 2 Good\n", "{uri}");
        assert!(house.plant.state().published[0].flags.has(Flags::REPLACE), "{uri}");
        for coding in ["", "gzip", "zstd"] {
            let empty = house.send(&format!("POST {uri}"), &[("content-encoding", coding)], "").await;
            assert_eq!(empty.status, 204, "an empty body, {coding}");
        }
    }
    let house = House::new();
    let whole = house.send("POST /api/v3/write_lp?db=d&accept_partial=false", &[], "a f=1 1\nb").await;
    assert_eq!((whole.status.as_u16(), house.plant.shown().as_str()), (400, ""));
    expect![[r#"{"error":"parsing failed for write_lp endpoint: line 2: the line has no field: write measurement field=value. Nothing of the request was kept. Mend the line: docs/reference/line-protocol.md says how it is written. Or send ?accept_partial=true to keep the good lines","data":[{"line_number":2,"error_message":"the line has no field: write measurement field=value"}]}"#]].assert_eq(&whole.text());
}

#[tokio::test]
async fn databases_and_buckets_are_tags() {
    let house = House::new();
    house.write("/write?db=telegraf&rp=autogen", "cpu,host=a idle=1 1").await;
    house.write("/api/v2/write?bucket=plant&org=acme", "mem,org=own used=1 1").await;
    let tags = |index: usize| format!("{:?}", house.plant.state().signals[index].meta.tags);
    assert_eq!(tags(0), r#"{"db": "telegraf", "host": "a"}"#);
    assert_eq!(
        tags(1),
        r#"{"bucket": "plant", "line-protocol.org": "acme", "org": "own"}"#,
        "a tag of the line stays"
    );
    // What a tag of the line is called like is no database.
    house.write("/write?db=metrics&rp=1y", "pg,db=postgres size=1 1").await;
    assert_eq!(tags(2), r#"{"db": "postgres", "line-protocol.db": "metrics", "rp": "1y"}"#);
    let shown = house.send("POST /query", &[], "q=SHOW+DATABASES").await;
    expect![[r#"{"results":[{"statement_id":0,"series":[{"name":"databases","columns":["name"],"values":[["metrics"],["plant"],["telegraf"]]}]}]}"#]]
        .assert_eq(&shown.text());
}

/// Without a template databases share their series; that one is written from a second is told, once for each signal.
#[tokio::test]
async fn a_second_database_of_a_signal_is_told() {
    let plant = fakes::Plant::new();
    let web = plant.web_with(crate::Settings::default());
    let house = House::of(plant, web.router());
    let told = || {
        let line = |one: crate::Shared| format!("{}: {}, {}\n", one.signal, one.first, one.other);
        web.shared().into_iter().map(line).collect::<String>()
    };
    for (call, line) in [
        ("/write?db=prod", "cpu,host=a idle=1 1"),
        ("/write?db=prod&rp=autogen", "cpu,host=a idle=1 2"),
        ("/api/v2/write?bucket=prod&org=acme", "cpu,host=a idle=1 3"),
        ("/api/v2/write?bucket=prod&org=other", "cpu,host=a idle=1 4"),
        ("/api/v1/write", "cpu,host=a idle=1 5"),
        ("/write?db=staging", "mem used=1 1"),
        ("/api/v1/write", "unknown f=1 1"),
        ("/write?db=prod", "unknown f=1 2"),
        ("/write?db=prod", "pg,db=postgres size=1 1"),
        ("/api/v2/write?bucket=prod", "pg,db=postgres size=1 2"),
    ] {
        assert_eq!(house.write(call, line).await, "204 ", "{call}");
        assert_eq!(told(), "", "{call}");
    }
    for database in ["staging", "staging", "prod&rp=1y"] {
        assert_eq!(
            house
                .write(&format!("/write?db={database}"), "cpu,host=a idle=2 6\npg,db=postgres size=2 3")
                .await,
            "204 "
        );
    }
    assert_eq!(house.write("/api/v2/write?bucket=prod", "mem used=1 1").await, "204 ");
    assert_eq!(
        told(),
        "cpu/host=a/idle: prod, prod (1y)\nmem/used: staging, prod\npg/db=postgres/size: prod, prod (1y)\n"
    );
    let counted = async || {
        let metrics = house.send("GET /metrics", &[], "").await.text();
        metrics
            .lines()
            .find(|line| line.starts_with("tidemill_http_signals_of_two_databases "))
            .unwrap()
            .to_owned()
    };
    assert_eq!(counted().await, "tidemill_http_signals_of_two_databases 3");
    // Apart by a template: both are told no longer.
    let templates = toml::from_str("presets = [\"influxdb-databases\"]").unwrap();
    web.set_settings(crate::Settings { templates, ..crate::Settings::default() });
    house.plant.epoch.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    for database in ["prod", "staging", "prod", "staging", "prod&rp=1y"] {
        assert_eq!(house.write(&format!("/write?db={database}"), "cpu,host=a idle=3 7").await, "204 ");
    }
    assert_eq!(told(), "");
    assert_eq!(counted().await, "tidemill_http_signals_of_two_databases 0");
    let state = house.plant.state();
    let names: Vec<&str> = state.signals.iter().map(|signal| signal.path.as_str()).skip(4).collect();
    assert_eq!(names, ["prod/cpu/host=a/idle", "staging/cpu/host=a/idle", "prod/1y/cpu/host=a/idle"]);
}

/// Where a template names no database, both write one signal still, whichever name it has.
#[tokio::test]
async fn a_template_without_the_database_mixes_and_is_told() {
    let plant = fakes::Plant::new();
    let templates = toml::from_str("[[template]]\npath = \"{host}/{measurement}/{field}\"").unwrap();
    let web = plant.web_with(crate::Settings { templates, ..crate::Settings::default() });
    let house = House::of(plant, web.router());
    // Both in one request of each: the names are new when they are looked at.
    for database in ["prod", "staging"] {
        assert_eq!(
            house.write(&format!("/write?db={database}"), "cpu,host=a idle=1 1\ncpu,host=a idle=2 2").await,
            "204 "
        );
    }
    let shared = web.shared();
    assert_eq!((shared.len(), shared[0].signal.as_str()), (1, "a/cpu/idle"));
}

/// What an import of several databases sends.
#[tokio::test]
async fn the_own_call_takes_a_database_for_lines_alone() {
    let templates = toml::from_str("[[template]]\npath = \"{db}/{rp}/{measurement}/{field}\"").unwrap();
    let house = House::with(crate::Settings { templates, ..crate::Settings::default() });
    assert_eq!(house.write("/api/v1/write?db=a%20b&rp=1y", "cpu,host=a idle=1 1").await, "204 ");
    assert_eq!(house.write("/api/v1/write?db=a%20b", "cpu,host=a idle=1 1").await, "204 ");
    assert_eq!(house.write("/api/v1/write", "cpu,host=a idle=1 1").await, "204 ");
    expect![[r#"
        a b/1y/cpu/idle = 1 (float) at 1 Good
        a b/autogen/cpu/idle = 1 (float) at 1 Good
        cpu/host=a/idle = 1 (float) at 1 Good
    "#]]
    .assert_eq(&house.plant.shown());
    let refused = house.send("POST /api/v1/write?db=a&format=json", &[], r#"{"signal":"a","value":1}"#).await;
    assert_eq!((refused.status.as_u16(), refused.json()["code"].as_str()), (400, Some("bad-parameter")));
}

#[tokio::test]
async fn statements_that_come_before_writing() {
    let keep_max_ns = Some(30 * 86_400_000_000_000 + 61_000_000_000);
    let house = House::with(crate::Settings { keep_max_ns, ..crate::Settings::default() });
    let mut told = String::new();
    for statement in [
        "CREATE DATABASE \"telegraf\"",
        "create database x with duration 7d",
        "CREATE RETENTION POLICY \"one_week\" ON \"x\" DURATION 7d REPLICATION 1",
        "SHOW RETENTION POLICIES ON \"x\";",
        "SHOW DATABASES",
        "SHOW MEASUREMENTS",
        "SELECT * FROM cpu",
        "DROP DATABASE x",
        " ; ",
        "CREATE DATABASE",
        "CREATE DATABASE a; SHOW DATABASES; create database \"b;c\" with duration 1d",
    ] {
        let form = format!("q={}", statement.replace(' ', "+").replace('"', "%22").replace(';', "%3B"));
        let answer = house.send("POST /query?db=x", &[], form).await;
        told += &format!("{} {}\n", answer.status.as_u16(), answer.text());
    }
    expect![[r#"
        200 {"results":[{"statement_id":0}]}
        200 {"results":[{"statement_id":0,"messages":[{"level":"warning","text":"no retention policy is made: how long samples are kept is said by storage.keep in tidemill.toml"}]}]}
        200 {"results":[{"statement_id":0,"messages":[{"level":"warning","text":"no retention policy is made: how long samples are kept is said by storage.keep in tidemill.toml"}]}]}
        200 {"results":[{"statement_id":0,"series":[{"columns":["name","duration","shardGroupDuration","replicaN","default"],"values":[["autogen","720h1m1s","24h0m0s",1,true]]}]}]}
        200 {"results":[{"statement_id":0,"series":[{"name":"databases","columns":["name"],"values":[["telegraf"],["x"]]}]}]}
        400 {"error":"InfluxQL is not spoken here beyond CREATE DATABASE, CREATE RETENTION POLICY, SHOW DATABASES and SHOW RETENTION POLICIES. Ask in SQL: POST /api/v1/sql {\"query\": \"SELECT signal, tags FROM signals\"} says what there is"}
        400 {"error":"InfluxQL is not spoken here beyond CREATE DATABASE, CREATE RETENTION POLICY, SHOW DATABASES and SHOW RETENTION POLICIES. Ask in SQL: POST /api/v1/sql {\"query\": \"SELECT time, value FROM samples WHERE signal = 'cpu/host=edge1/idle'\"}"}
        400 {"error":"InfluxQL is not spoken here beyond CREATE DATABASE, CREATE RETENTION POLICY, SHOW DATABASES and SHOW RETENTION POLICIES. Nothing was changed. `tidemill signals delete` deletes, and storage.keep says how long samples are kept"}
        400 {"error":"the statement is missing. Send it as q="}
        400 {"error":"error parsing query: found EOF, expected identifier at line 1, char 17. None of the statements was run"}
        200 {"results":[{"statement_id":0},{"statement_id":1,"series":[{"name":"databases","columns":["name"],"values":[["a"],["telegraf"],["x"]]}]},{"statement_id":2,"messages":[{"level":"warning","text":"no retention policy is made: how long samples are kept is said by storage.keep in tidemill.toml"}]}]}
    "#]]
    .assert_eq(&told);
    // As `curl -F` sends it.
    let form =
        "--b7\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nCREATE DATABASE \"übung\"\r\n--b7--\r\n";
    let kind = ("content-type", "multipart/form-data; boundary=b7");
    let made = house.send("POST /query", &[kind], form).await;
    assert_eq!((made.status.as_u16(), made.text()), (200, r#"{"results":[{"statement_id":0}]}"#.to_owned()));
    let shown = house.send("GET /query?q=SHOW+DATABASES", &[], "").await.text();
    assert!(shown.contains(r#"[["a"],["b;c"],["telegraf"],["x"],["übung"]]"#), "{shown}");
    // Nobody else is told what was asked for and has no samples.
    let far = || from("10.0.0.9:5", "10.0.0.1:8443");
    let other = house.send_by(far(), "GET /query?q=SHOW+DATABASES&u=x&p=press", &[], "").await.text();
    assert!(other.contains(r#""values":[]"#), "{other}");
    let cut = house.send("POST /query", &[kind], form.trim_end_matches("--b7--\r\n")).await;
    assert_eq!(cut.status.as_u16(), 400, "{}", cut.text());
}

#[tokio::test]
async fn precision_is_honoured_and_never_guessed() {
    let house = House::new();
    let table = [
        ("/write?precision=n", 7),
        ("/write?precision=u", 7_000),
        ("/write?precision=ms", 7_000_000),
        ("/write?precision=s", 7_000_000_000),
        ("/write?precision=m", 420_000_000_000),
        ("/write?precision=h", 25_200_000_000_000),
        ("/api/v2/write?precision=us", 7_000),
        ("/api/v3/write_lp?precision=millisecond", 7_000_000),
        ("/api/v3/write_lp", 7),
    ];
    for (uri, expected) in table {
        house.plant.state().published.clear();
        assert_eq!(house.write(uri, "a f=1 7").await, "204 ", "{uri}");
        assert_eq!(house.plant.state().published[0].time, [expected], "{uri}");
    }
    for uri in ["/api/v3/write_lp?precision=auto", "/api/v2/write?precision=h", "/write?precision=x"] {
        assert_eq!(house.send(&format!("POST {uri}"), &[], "a f=1 7").await.status, 400, "{uri}");
    }
}

#[tokio::test]
async fn who_writes_and_who_may_not() {
    let house = House::new();
    let far = || from("10.0.0.9:5", "10.0.0.1:8443");
    let by_query = house.send_by(far(), "POST /write?u=any&p=press", &[], "acme/a f=1").await;
    assert_eq!(by_query.status, 204);
    let elsewhere = house.send_by(far(), "POST /api/v1/write?u=any&p=press", &[], "acme/a f=1").await;
    assert_eq!(elsewhere.status, 401, "a token in the address is for old clients only");
    let unknown =
        house.send_by(far(), "POST /api/v2/write", &[("authorization", "Token wrong")], "a f=1").await;
    assert_eq!(unknown.status, 401);
    assert!(unknown.text().starts_with(r#"{"code":"unauthorized","message":"the token is not known"#));
    let forbidden = house.send_by(far(), "POST /write", &[("authorization", "Token press")], "b f=1").await;
    assert_eq!(forbidden.status, 403);
    house.plant.state().busy = 1;
    let busy = house.send("POST /write", &[], "a f=1").await;
    assert_eq!((busy.status.as_u16(), busy.header("retry-after")), (503, "1"));
}

#[tokio::test]
async fn what_clients_ask_first() {
    let house = House::new();
    let far = || from("10.0.0.9:5", "10.0.0.1:8443");
    let ping = house.send_by(far(), "GET /ping", &[], "").await;
    assert_eq!((ping.status.as_u16(), ping.header("x-influxdb-version")), (204, "1.8.10-tidemill"));
    assert_eq!(house.send_by(far(), "HEAD /ping", &[], "").await.status, 204);
    let verbose = house.send_by(far(), "GET /ping?verbose=true", &[], "").await;
    assert_eq!(verbose.text(), r#"{"version":"1.8.10-tidemill"}"#);
    let health = house.send_by(far(), "GET /health", &[], "").await;
    assert_eq!(health.json()["status"], "pass");
    let ready = house.send_by(far(), "GET /ready", &[], "").await;
    assert_eq!(ready.text(), r#"{"status":"ready"}"#);
    house.plant.ready.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(house.send_by(far(), "GET /health", &[], "").await.status, 503);
    assert_eq!(house.send_by(far(), "GET /ready", &[], "").await.status, 503);
}

/// What Telegraf's output for InfluxDB 1 looks for in the text of a 5xx, to drop the batch instead of keeping it; and it
/// drops whatever a 4xx refuses, and repeats where the answer is no JSON.
const DROPPED_BY_TELEGRAF: [&str; 5] = [
    "hinted handoff queue not empty",
    "partial write",
    "points beyond retention policy",
    "retention policy not found",
    "unable to parse",
];

const WRITES: [&str; 3] = ["/write?db=telegraf", "/api/v2/write?bucket=b", "/api/v3/write_lp?db=d"];

/// What passes by itself is a 5xx on every door of agents, whatever refuses it, and its text makes nobody drop anything.
#[tokio::test]
async fn what_can_be_kept_later_is_repeated_by_agents() {
    for code in crate::refusals::of("post", "/write").expect("it is described") {
        for uri in WRITES {
            let house = House::new();
            house.plant.state().refusing = vec![code; 9];
            let answer = house.send(&format!("POST {uri}"), &[], "a f=1 1").await;
            let told = agents::refused(Problem::new(code, "not now"));
            assert_eq!(answer.status.as_u16(), told.code.status, "{} at {uri}", code.id);
            let wait = told.retry_after_s.map(|seconds| seconds.to_string()).unwrap_or_default();
            assert_eq!(answer.header("retry-after"), wait, "{} at {uri}", code.id);
            let text = answer.text();
            assert!(answer.json().is_object());
            let dropped = DROPPED_BY_TELEGRAF.iter().any(|part| text.contains(part));
            assert!(!dropped || !answer.status.is_server_error(), "{text}");
        }
    }
}

/// Too many new names in an hour: the lines that need none are kept, and the others come again with them, once.
#[tokio::test]
async fn a_line_whose_name_may_come_later_is_sent_again() {
    let with_times = "known f=1 1\nnew g=2,f=3 2\nbad\nknown f=4 3";
    for uri in WRITES {
        let house = House::new();
        house.write("/write", "known f=0 0\nnew f=0 0").await;
        house.plant.state().unresolved = vec![("new/g", &codes::SIGNALS_RATE)];
        let answer = house.send(&format!("POST {uri}"), &[], with_times).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "60"), "{}", answer.text());
        assert!(!DROPPED_BY_TELEGRAF.iter().any(|part| answer.text().contains(part)), "{}", answer.text());
        expect![[r#"
            known/f = 0 (float) at 0 Good
            new/f = 0 (float) at 0 Good
            known/f = 1 (float) at 1 Good
            new/f = 3 (float) at 2 Good
            known/f = 4 (float) at 3 Good
        "#]]
        .assert_eq(&house.plant.shown());
        house.plant.state().unresolved.clear();
        let again = house.send(&format!("POST {uri}"), &[], with_times).await;
        assert!(again.status == 400 && again.text().contains("dropped=1"), "the bad line: {}", again.text());
        assert!(house.plant.shown().contains("new/g = 2 (float) at 2 Good"));
        // Without times they would be others when they come again.
        let before = house.plant.shown();
        house.plant.state().unresolved = vec![("more/f", &codes::SIGNALS_RATE)];
        let stamped = house.send(&format!("POST {uri}"), &[], "known f=1\nmore f=2 2").await;
        assert_eq!((stamped.status.as_u16(), house.plant.shown()), (503, before));
    }
}

/// InfluxDB drops the whole point, at a length that few reach; here only what cannot be kept is left out.
#[tokio::test]
async fn one_bad_field_takes_no_good_one_with_it() {
    let long = "x".repeat(1025);
    let body = format!("m,t=a n=1,s=\"{long}\",b=true,ok=\"y\" 1\nm,t=a s=\"{long}\" 2\nm,t=a n=2 3");
    for uri in WRITES {
        let house = House::new();
        let answer = house.send(&format!("POST {uri}"), &[], body.clone()).await;
        assert_eq!(answer.status, 400);
        let said = "line 1: the text of the field 's' has 1025 bytes and limits.text_sample_bytes is 1024: shorten it, or raise the limit dropped=2";
        assert!(
            answer.text().contains("partial write: ") && answer.text().contains(said),
            "{}",
            answer.text()
        );
        expect![[r#"
            m/t=a/n = 1 (float) at 1 Good
            m/t=a/b = true (boolean) at 1 Good
            m/t=a/ok = y (text) at 1 Good
            m/t=a/n = 2 (float) at 3 Good
        "#]]
        .assert_eq(&house.plant.shown());
        assert!(!house.plant.state().signals.iter().any(|signal| signal.path.as_str() == "m/t=a/s"));
    }
    let house = House::new();
    let whole = house.send("POST /api/v1/write", &[], body).await;
    assert_eq!((whole.status.as_u16(), house.plant.shown().as_str()), (400, ""), "unless it is asked for");
}

/// A plant that stops while a request is read is no fault of the lines that are left: they are not dropped, all are sent again.
#[tokio::test]
async fn a_plant_that_stops_refuses_whole_requests() {
    let house = House::new();
    house.plant.state().batches_max = Some(1);
    let body: String = (0..70_000).map(|time| format!("a f=1 {time}\n")).collect();
    let answer = house.send("POST /write?db=x", &[], body).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(house.plant.shown(), "");
}

/// Others may take the last names between reading and publishing: the lines that need none are kept all the same.
#[tokio::test]
async fn names_that_ran_out_meanwhile_refuse_lines_and_not_the_request() {
    let house = House::new();
    house.plant.state().refusing = vec![&codes::SIGNALS_LIMIT];
    let answer = house.send("POST /write?db=x", &[], "a f=1 1").await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(house.plant.shown(), "a/f = 1 (float) at 1 Good\n");
}
