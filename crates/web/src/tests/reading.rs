//! Reads, SQL, signals, probes, and what holds for every answer.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use expect_test::expect;

use super::{House, from};

async fn filled() -> House {
    let house = House::new();
    let body = "acme/a f=1.5 1000000000\nacme/b n=7i,s=\"x,\\\"y\" 2000000000\nother f=2 3000000000";
    assert_eq!(house.write("/api/v1/write", body).await, "204 ");
    house
}

const ALL: &str = "from=1970-01-01T00:00:00Z&to=1970-01-02T00:00:00Z";

#[tokio::test]
async fn samples_in_every_spelling() {
    let house = filled().await;
    let read = async |query: &str| house.get(&format!("/api/v1/read?{query}")).await.text();
    expect![[r#"
        [{"signal":"acme/a/f","time":"1970-01-01T00:00:01Z","value":1.5,"quality":"Good"},
        {"signal":"acme/b/n","time":"1970-01-01T00:00:02Z","value":7,"quality":"Good","kind":"integer"},
        {"signal":"acme/b/s","time":"1970-01-01T00:00:02Z","value":"x,\"y","quality":"Good"}]
    "#]]
    .assert_eq(&read(&format!("signal=acme/**&{ALL}")).await);
    expect![[r#"
        {"signal":"acme/a/f","time":1000,"value":1.5,"quality":"Good"}
    "#]]
    .assert_eq(&read(&format!("signal=acme/+/f&format=ndjson&time=ms&{ALL}")).await);
    expect![[r#"
        signal,time,value,kind,quality
        acme/b/n,2,7,integer,Good
        acme/b/s,2,"x,""y",text,Good
        other/f,3,2.0,float,Good
    "#]]
    .assert_eq(
        &read(&format!("signal=acme/b/*&signal=other/f&format=csv&time=s&{ALL}")).await.replace('\r', ""),
    );
    assert_eq!(read(&format!("signal=**&format=parquet&{ALL}")).await, "Parquet");
    assert_eq!(read(&format!("signal=none&{ALL}")).await, "[]\n");
}

#[tokio::test]
async fn what_is_read_can_be_written_again() {
    let house = filled().await;
    let read = house.get(&format!("/api/v1/read?signal=**&{ALL}")).await.text();
    let before = house.plant.shown();
    house.plant.state().published.clear();
    let json = [("content-type", "application/json")];
    assert_eq!(house.send("POST /api/v1/write", &json, read).await.brief(), "204 ");
    assert_eq!(house.plant.shown(), before);
}

#[tokio::test]
async fn a_read_sees_only_its_scope() {
    let house = filled().await;
    let press = [("authorization", "Bearer press")];
    let line = format!("GET /api/v1/read?signal=**&format=csv&{ALL}");
    let answer = house.send_by(from("10.0.0.9:5", "10.0.0.1:8443"), &line, &press, "").await;
    assert!(answer.text().contains("acme/a/f") && !answer.text().contains("other"), "{}", answer.text());
    let answer = house.send_by(from("10.0.0.9:5", "10.0.0.1:8443"), "GET /api/v1/signals", &press, "").await;
    assert!(answer.text().contains("acme/a/f") && !answer.text().contains("other"), "{}", answer.text());
}

#[tokio::test]
async fn questions_reach_the_historian() {
    let house = House::new();
    let start = tidemill_ground::SimClock::START_NS;
    let table = [
        ("signal=a", start - 3_600_000_000_000, start, "Raw"),
        ("signal=a&from=-2h&to=now-1h", start - 7_200_000_000_000, start - 3_600_000_000_000, "Raw"),
        ("signal=a&from=1&to=2&unit=s&points=1200", 1_000_000_000, 2_000_000_000, "Points { points: 1200 }"),
        ("signal=a&to=2026-01-01T02:00:00+01:00&mode=last", start, start + 3_600_000_000_000, "Last"),
    ];
    for (query, from, to, mode) in table {
        assert_eq!(house.get(&format!("/api/v1/read?{query}")).await.status, 200, "{query}");
        let asked = house.plant.state().queries.pop().unwrap();
        assert!(asked.contains(&format!("from: {from}, to: {to}, mode: {mode}")), "{query}: {asked}");
    }
    let refused = [
        ("", "bad-parameter"),
        ("signal=a//b", "bad-pattern"),
        ("signal=a&form=-1h", "bad-parameter"),
        ("signal=a&from=yesterday", "bad-time"),
        ("signal=a&from=1700000000", "bad-time"),
        ("signal=a&from=now&to=-1h", "bad-parameter"),
        ("signal=a&points=0", "bad-parameter"),
        ("signal=a&points=9&mode=last", "bad-parameter"),
        ("signal=a&every=1m", "bad-parameter"),
        ("signal=a&format=xml", "unsupported-format"),
        ("signal=a&time=x", "bad-parameter"),
        ("signal=%ff", "bad-encoding"),
    ];
    for (query, code) in refused {
        let answer = house.get(&format!("/api/v1/read?{query}")).await;
        assert_eq!(answer.json()["code"], code, "{query}");
    }
}

#[tokio::test]
async fn sql() {
    let house = House::new();
    let json = [("content-type", "application/json")];
    let ask = async |body: &str| house.send("POST /api/v1/sql", &json, body.to_owned()).await;
    let answer = ask(r#"{"query":"select $1","parameters":[1,2.5,"x",null,true]}"#).await;
    assert_eq!(answer.text(), "select $1 [Int(1), Float(2.5), Text(\"x\"), None, Bool(true)] Json false");
    let answer =
        ask(r#"{"query":"select $1","parameters":[18446744073709551615,-9223372036854775808]}"#).await;
    assert_eq!(answer.text(), "select $1 [UInt(18446744073709551615), Int(-9223372036854775808)] Json false");
    assert_eq!(ask(r#"{"query":"slow"}"#).await.brief(), "422 query-time it took too long");
    assert!(ask(r#"{"query":"breaks"}"#).await.body.is_err(), "a broken answer must not look whole");
    assert!(ask(r#"{"sql":"x"}"#).await.brief().starts_with("400 bad-json 1:6"));
    let csv = house.send("POST /api/v1/sql", &[json[0], ("accept", "text/csv")], r#"{"query":"q"}"#).await;
    assert_eq!(
        (csv.header("content-type"), csv.text().as_str()),
        ("text/csv; charset=utf-8", "q [] Csv false")
    );
    assert_eq!(house.send("POST /api/v1/sql", &[], "{}").await.status, 415);
}

#[tokio::test]
async fn answers_are_compressed_when_asked() {
    let house = House::new();
    for (accept, coding) in [("gzip, zstd", "zstd"), ("gzip", "gzip"), ("zstd;q=0, gzip", "gzip"), ("br", "")]
    {
        let headers = [("content-type", "application/json"), ("accept-encoding", accept)];
        let answer = house.send("POST /api/v1/sql", &headers, r#"{"query":"long"}"#).await;
        assert_eq!(answer.header("content-encoding"), coding, "{accept}");
        let body = answer.body.unwrap();
        let plain = match coding {
            "zstd" => zstd::decode_all(&*body).unwrap(),
            "gzip" => {
                let mut plain = Vec::new();
                std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*body), &mut plain).unwrap();
                plain
            }
            _ => body,
        };
        assert_eq!(plain.len(), 200_000);
        assert!(plain.starts_with(b"xxx") && plain.ends_with(b"yyy"));
    }
}

#[tokio::test]
async fn signals_are_listed_edited_renamed_deleted() {
    let house = filled().await;
    expect![[r#"
        [{"signal":"acme/b/n","unit":null,"ucum":null,"description":null,"number":"float","owner":null,"creator":"token:root","stale_after":null,"created":0,"stepped":null,"aliases":[],"tags":{},"last":{"source":"token:press","time":2000,"value":7,"quality":"Good","kind":"integer"}}]
    "#]]
    .assert_eq(&house.get("/api/v1/signals?match=acme/b/n&time=ms").await.text());
    assert_eq!(house.get("/api/v1/signals?after=acme/a/f&limit=1").await.json()[0]["signal"], "acme/b/n");

    let json = [("content-type", "application/json")];
    let edit = r#"{"unit":"°C","description":"oil","stale_after":"5m","number":"integer","stepped":true,"tags":{"k":"v"},"rename":"acme/oil"}"#;
    // The name stands in the address, as that of every call; in the body it changes nothing.
    let nameless = house.send("PATCH /api/v1/signals", &json, r#"{"signal":"acme/a/f"}"#).await;
    assert_eq!(nameless.brief(), "400 bad-parameter signal= is missing in the address");
    assert_eq!(house.send("PATCH /api/v1/signals?signal=acme/a/f", &json, edit).await.brief(), "204 ");
    let signal = &house.get("/api/v1/signals?match=acme/oil").await.json()[0];
    assert_eq!((&signal["unit"], &signal["stale_after"]), (&"°C".into(), &"5m".into()));
    assert_eq!((&signal["aliases"][0], &signal["tags"]["k"]), (&"acme/a/f".into(), &"v".into()));
    assert_eq!(signal["stepped"], true);
    let by_kind = house.send("PATCH /api/v1/signals?signal=acme/oil", &json, r#"{"stepped":null}"#).await;
    assert_eq!(by_kind.status, 204);
    assert!(house.get("/api/v1/signals?match=acme/oil").await.json()[0]["stepped"].is_null());

    let bad = house.send("PATCH /api/v1/signals?signal=acme/oil", &json, r#"{"stale_after":"soon"}"#).await;
    assert!(bad.brief().starts_with("400 bad-time"));
    let range = "DELETE /api/v1/signals?signal=acme/oil&from=1&to=2&unit=s";
    assert!(house.send(range, &[], "").await.brief().starts_with("400 bad-parameter"), "a reason is needed");
    assert_eq!(
        house.send(&format!("{range}&reason=wrong+sensor"), &[], "").await.brief(),
        "200 {\"samples\":7}"
    );
    let amended = house.plant.state().amended.clone();
    let expected = tidemill_core::Amend::Delete { from: 1_000_000_000, to: 2_000_000_000 };
    assert_eq!(amended, [(expected, "wrong sensor".to_owned())]);
    assert_eq!(house.send("DELETE /api/v1/signals?signal=acme/oil", &[], "").await.status, 204);
    let last = house.plant.state().amended.last().cloned();
    assert_eq!(last, Some((tidemill_core::Amend::Retire, String::new())), "its samples go with it");
    assert_eq!(house.send("DELETE /api/v1/signals?signal=acme/oil", &[], "").await.status, 404);
    expect![[r#"
        token:root signal.rename acme/a/f intended
        token:root signal.rename acme/a/f done
        token:root signal.edit acme/oil intended
        token:root signal.edit acme/oil done
        token:root samples.delete acme/oil intended
        token:root samples.delete acme/oil done
        token:root signal.delete acme/oil intended
        token:root signal.delete acme/oil done"#]]
    .assert_eq(&house.plant.state().audited.join("\n"));
}

#[tokio::test]
async fn what_a_listing_gives_can_be_sent_back() {
    let house = filled().await;
    let listed = async || house.get("/api/v1/signals?match=acme/a/f").await.json()[0].clone();
    let patch = async |body: &str| {
        let json = [("content-type", "application/json")];
        house.send("PATCH /api/v1/signals?signal=acme/a/f", &json, body.to_owned()).await.brief()
    };
    let facts = r#"{"unit":"bar","ucum":"bar","description":"oil","stale_after":"1h30m","owner":"token:press","stepped":true,"tags":{"k":"v"}}"#;
    for facts in ["{}", facts] {
        assert_eq!(patch(facts).await, "204 ");
        let before = listed().await;
        assert_eq!(patch(&before.to_string()).await, "204 ");
        assert_eq!(listed().await, before);
    }
    let mut other = listed().await;
    other["unit"] = "°C".into();
    assert_eq!(patch(&other.to_string()).await, "204 ");
    assert_ne!(listed().await["ucum"], "bar", "the code of a unit is not that of the unit before");
    assert_eq!(patch(r#"{"tags":null}"#).await, "204 ");
    assert_eq!(listed().await["tags"]["k"], "v", "null changes nothing");
    let null =
        r#"{"unit":null,"ucum":null,"description":null,"owner":null,"stale_after":null,"tags":{"k":null}}"#;
    assert_eq!(patch(null).await, "204 ");
    let signal = listed().await;
    for member in ["unit", "ucum", "description", "owner", "stale_after"] {
        assert!(signal[member].is_null(), "{member}: {signal}");
    }
    for (body, code) in [
        (r#"{"signal":"acme/other"}"#, "400 bad-parameter"),
        (r#"{"aliases":["acme/other"]}"#, "400 bad-parameter"),
        (r#"{"stale_after":300}"#, "400 bad-json"),
        (r#"{"tags":{"k":"v","a":null,"\u006b":"w"}}"#, "400 bad-json 1:39 the tag 'k' stands twice"),
        (r#"{"unit":"bar","unit":"bar"}"#, "400 bad-json 1:20 duplicate field `unit`"),
        (r#"{"tags":["k","v"]}"#, "400 bad-json"),
        (r#"["bar",null,null,null,null,null,null,null,null,null]"#, "400 bad-json"),
        (" [] ", "400 bad-json"),
        ("7", "400 bad-json"),
        ("", "400 bad-json"),
    ] {
        let told = patch(body).await;
        assert!(told.starts_with(code) && !told.contains("struct"), "{body}: {told}");
    }
    let json = [("content-type", "application/json")];
    assert!(
        house.send("POST /api/v1/sql", &json, r#"["select 1",[]]"#).await.brief().starts_with("400 bad-json")
    );
}

#[tokio::test]
async fn a_rename_needs_the_right_at_both_ends() {
    let house = filled().await;
    let one = super::fakes::rights(&["configure:acme/#", "read:#"]);
    house.plant.state().tokens.insert("config".into(), ("config".into(), one));
    let headers = [("content-type", "application/json"), ("authorization", "Bearer config")];
    let send = async |body: &'static str| {
        let line = "PATCH /api/v1/signals?signal=acme/a/f";
        house.send_by(from("10.0.0.9:5", "10.0.0.1:8443"), line, &headers, body).await.status.as_u16()
    };
    assert_eq!(send(r#"{"rename":"other/a"}"#).await, 403);
    assert_eq!(send(r#"{"alias":"other/a"}"#).await, 403);
    assert_eq!(send(r#"{"rename":"acme/z"}"#).await, 204);
    let audited = house.plant.state().audited.clone();
    let refused = "token:config access.refused PATCH /api/v1/signals refused";
    assert_eq!(audited.iter().filter(|line| *line == refused).count(), 2, "{audited:?}");
}

/// An earlier name may tell of a part of the plant that is none of the reader's; what was listed can be sent back.
#[tokio::test]
async fn further_names_outside_the_scope_are_not_listed() {
    let house = filled().await;
    let rights = super::fakes::rights(&["configure:#", "read:acme/a/#"]);
    house.plant.state().tokens.insert("part".into(), ("part".into(), rights));
    let json = [("content-type", "application/json"), ("authorization", "Bearer part")];
    let far = || from("10.0.0.9:5", "10.0.0.1:8443");
    for (name, new) in [("acme/a/f", "other/hidden"), ("other/hidden", "acme/a/now")] {
        let (line, body) =
            (format!("PATCH /api/v1/signals?signal={name}"), format!("{{\"rename\":\"{new}\"}}"));
        assert_eq!(house.send_by(far(), &line, &json, body).await.brief(), "204 ");
    }
    let listed = house.send_by(far(), "GET /api/v1/signals?match=acme/a/now", &json, "").await.text();
    assert!(listed.contains(r#""aliases":["acme/a/f"]"#), "{listed}");
    let back = listed.trim().trim_start_matches('[').trim_end_matches(']').to_owned();
    let line = "PATCH /api/v1/signals?signal=acme/a/now";
    assert_eq!(house.send_by(far(), line, &json, back).await.brief(), "204 ");
}

#[tokio::test]
async fn probes_page_and_description() {
    let house = House::new();
    let far = || from("10.0.0.9:5", "10.0.0.1:8443");
    assert_eq!(house.send_by(far(), "GET /health/live", &[], "").await.status, 200);
    assert_eq!(house.send_by(far(), "GET /health/ready", &[], "").await.status, 200);
    house.plant.ready.store(false, Ordering::SeqCst);
    assert_eq!(house.send_by(far(), "GET /health/ready", &[], "").await.brief(), "503 stopping it stops");
    // A call is answered by what it asks: what can be done is done.
    assert_eq!(house.write("/api/v1/write", "a f=1").await, "204 ");
    house.plant.ready.store(true, Ordering::SeqCst);

    let metrics = house.send_by(from("127.0.0.1:5", "127.0.0.1:8440"), "GET /metrics", &[], "").await;
    assert!(metrics.text().contains("tidemill_limit_max{limit=\"http_bodies_bytes\"}"), "{}", metrics.text());
    assert!(metrics.text().ends_with("# EOF\n"));
    assert_eq!(house.send_by(far(), "GET /metrics", &[], "").await.status, 401);
    assert_eq!(house.get("/metrics").await.status, 200);

    let page = house.send_by(far(), "GET /", &[], "").await;
    assert!(page.text().contains("Tidemill") && !page.text().contains("://"), "{}", page.text());
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    let api = house.send_by(far(), "GET /api/v1/openapi.json", &[], "").await.json();
    assert_eq!(api["info"]["version"], "0.0.0");
    assert_eq!(api["paths"]["/api/v1/write"]["post"]["operationId"], "write");
}

/// What is described is served, and what is served under /api is described.
#[tokio::test]
async fn description_and_addresses_agree() {
    let house = House::new();
    let api = house.get("/api/v1/openapi.json").await.json();
    let described = api["paths"].as_object().unwrap();
    for (path, methods) in described {
        for method in methods.as_object().unwrap().keys() {
            let line = format!("{} {}", method.to_uppercase(), path.replace("{name}", "x"));
            let status = house.send(&line, &[], "").await.status;
            assert!(status != 405, "{line} is described and not served");
        }
    }
    let source = include_str!("../openapi.rs");
    for line in source.lines().filter(|line| line.trim_start().starts_with(".route(\"/api")) {
        let path = line.split('"').nth(1).unwrap();
        assert!(
            described.contains_key(path) || path.ends_with("openapi.json"),
            "{path} is served and not described"
        );
    }
}

/// How a token is shown stands at each call that asks for one, and at no other.
#[tokio::test]
async fn every_call_says_who_may_call() {
    let api = House::new().get("/api/v1/openapi.json").await.json();
    let schemes = &api["components"]["securitySchemes"];
    assert_eq!(
        (&schemes["bearer"]["scheme"], &schemes["basic"]["scheme"]),
        (&"bearer".into(), &"basic".into())
    );
    let mut told = String::new();
    for (path, methods) in api["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let ways = serde_json::to_string(&operation["security"]).unwrap();
            if ways != r#"[{"bearer":[]},{"basic":[]}]"# {
                told += &format!("{method} {path} {ways}\n");
            }
            let refuses = operation["responses"]["401"].is_object();
            assert_eq!(refuses, ways != "[]", "{method} {path}");
        }
    }
    expect![[r#"
        get /api/v1/ca.pem []
        get /health []
        get /health/live []
        get /health/ready []
        get /metrics [{"bearer":[]},{"basic":[]},{}]
        get /ping []
        get /ready []
    "#]]
    .assert_eq(&told);
}

/// What each call refuses is said once for each, and with the codes that clients rely on.
#[tokio::test]
async fn every_call_says_what_it_refuses() {
    let house = House::new();
    let api = house.get("/api/v1/openapi.json").await.json();
    for (path, methods) in api["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(
                crate::refusals::of(method, path).is_some(),
                "{method} {path} does not say what it refuses"
            );
            assert!(operation["responses"]["500"].is_object() && operation["responses"]["default"].is_null());
            let influx = operation["tags"][0] == "influxdb";
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let what = format!("{method} {path} {status}");
                let own = if influx { Vec::new() } else { crate::refusals::of(method, path).unwrap() };
                let all = own.iter().chain(crate::refusals::EVERYWHERE);
                let expected: BTreeSet<&str> =
                    all.filter(|code| code.status.to_string() == *status).map(|code| code.id).collect();
                let listed = super::known_codes(answer);
                assert_eq!(listed.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected, "{what}");
                // Each is told in words as well; what InfluxDB's clients are told has no codes of ours.
                let told = answer["description"].as_str().unwrap();
                assert!(listed.iter().all(|code| told.contains(&format!("`{code}`: "))), "{what}: {told}");
                let counted = told.matches("`: ").count();
                assert!(influx || counted == listed.len(), "{what}: {counted} told, {listed:?}");
                let has_body = !["101", "204"].contains(&status.as_str());
                assert_eq!(answer["content"].is_object(), has_body, "{what}");
            }
        }
    }
    let write = &api["paths"]["/api/v1/write"]["post"];
    let statuses: Vec<&str> = write["responses"].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = "200 204 400 401 403 408 409 413 414 415 429 431 500 503 507";
    assert_eq!(statuses.join(" "), expected);
    let full = &write["responses"]["507"];
    let codes =
        &full["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"];
    assert_eq!(codes, &serde_json::json!(["disk-full"]));
    let query = &api["paths"]["/api/v1/sql"]["post"]["responses"]["422"];
    let told = query["description"].as_str().unwrap();
    assert!(told.contains("`query-rows`: ") && told.contains("`query-time`: "), "{told}");
    for (path, method, name) in
        [("/api/v1/write", "post", "format"), ("/write", "post", "p"), ("/query", "get", "u")]
    {
        let params = api["paths"][path][method]["parameters"].as_array().unwrap();
        assert!(params.iter().any(|param| param["name"] == name), "{method} {path} has no {name}");
    }
}

#[tokio::test]
async fn every_answer_binds_browsers_and_has_a_number() {
    let house = House::new();
    for line in ["GET /", "GET /nothing", "PUT /api/v1/write", "GET /health/live"] {
        let answer = house.send(line, &[], "").await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{line}");
        assert_eq!(answer.header("cache-control"), "no-store", "{line}");
        assert!(!answer.header("x-request-id").is_empty(), "{line}");
    }
    assert_eq!(house.get("/nothing").await.brief(), "404 not-found there is nothing at this address");
    let other = house.send("PUT /api/v1/write", &[], "").await;
    assert_eq!(other.brief(), "405 method-not-allowed this address does not take that method");
    expect![[r#"{"type":"/problems/not-found","title":"there is no such thing","status":404,"code":"not-found","detail":"there is nothing at this address","hint":"Check the name; `tidemill signals` lists what there is"}"#]]
        .assert_eq(&house.get("/nothing").await.text());
}

#[tokio::test]
async fn a_panic_is_a_problem_document() {
    let house = House::new();
    let json = [("content-type", "application/json")];
    let answer = house.send("POST /api/v1/sql", &json, r#"{"query":"panic"}"#).await;
    assert!(answer.brief().starts_with("500 internal request"), "{}", answer.brief());
    assert!(!answer.text().contains("as asked"), "what a panic says stays inside");
}
