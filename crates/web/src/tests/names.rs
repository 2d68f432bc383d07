//! A request that is refused, at whatever door and for whatever reason, creates no name.

use super::*;

/// The names that stand.
fn stand(house: &House) -> Vec<String> {
    let mut names: Vec<String> =
        house.plant.state().signals.iter().map(|signal| signal.path.to_string()).collect();
    names.sort();
    names
}

const LINES: &str = "text/plain";
const JSON: &str = "application/json";
const JSON_LINES: &str = "application/x-ndjson";
const ARROW: &str = "application/vnd.apache.arrow.stream";

/// Sends a body; the code of the answer and the names that stand.
async fn after(house: &House, token: &str, uri: &str, media: &str, body: &str) -> (String, Vec<String>) {
    let token = format!("Bearer {token}");
    let headers = [("authorization", token.as_str()), ("content-type", media)];
    let from = fakes::from("10.0.0.9:50000", "10.0.0.1:8443");
    let answered = house.send_by(from, &format!("POST {uri}"), &headers, body.to_owned()).await;
    let code = match answered.header("content-type") {
        "application/problem+json" => answered.json()["code"].as_str().unwrap().to_owned(),
        _ => answered.status.as_u16().to_string(),
    };
    (code, stand(house))
}

#[tokio::test]
async fn a_refused_request_creates_no_names() {
    let table = [
        ("all", "/api/v1/write", LINES, "acme/a f=1\nacme/b f=oh\n", "bad-value"),
        ("press", "/api/v1/write", LINES, "acme/a f=1\nother f=1\n", "forbidden"),
        ("press", "/api/v1/write", LINES, "acme/a f=1,g=2,f=3\n", "bad-line"),
        ("all", "/api/v1/write", LINES, "a f=1\nb f=1\nc f=1\nd f=1\n", "signals-limit"),
        ("all", "/api/v1/write", LINES, "a f=1,g=1,h=1,i=1\n", "signals-limit"),
        ("all", "/api/v1/write", JSON, r#"[{"signal":"a","value":1},{"signal":"b"}]"#, "bad-json"),
        ("all", "/api/v1/write", JSON, r#"[{"signal":"a","value":1}"#, "bad-json"),
        ("all", "/api/v1/write", JSON, r#"{"signal":"a","value":1,"kind":"bytes"}"#, "bad-value"),
        (
            "press",
            "/api/v1/write",
            JSON,
            r#"[{"signal":"acme/a","value":1},{"signal":"b","value":1}]"#,
            "forbidden",
        ),
        (
            "all",
            "/api/v1/write",
            JSON_LINES,
            "{\"signal\":\"a\",\"value\":1}\n{\"signal\":\"b\"}\n",
            "bad-json",
        ),
        ("press", "/api/v1/write", ARROW, "columns 0\nacme/columns 5 x", "204"),
        ("press", "/api/v1/write", ARROW, "columns 0\nacme/columns 5 x\nother/columns 5 x", "forbidden"),
        ("all", "/api/v1/write?precision=ms", LINES, "a f=1\nb f=1 99999999999999999\n", "bad-time"),
    ];
    for (token, uri, media, body, code) in table {
        let house = House::new();
        house.plant.state().signals_max = Some(3);
        let names = if code == "204" { vec!["acme/columns".to_owned()] } else { Vec::new() };
        assert_eq!(after(&house, token, uri, media, body).await, (code.to_owned(), names), "{body}");
    }
}

#[tokio::test]
async fn a_request_that_is_too_large_in_memory_creates_no_names() {
    let house = House::with(crate::Settings { bodies_bytes_max: 264 << 10, ..crate::Settings::default() });
    // Its own bytes fit; its names with their samples do not.
    let body: String = (0..100).map(|n| format!("n{n} f=1\n")).collect();
    assert_eq!(after(&house, "all", "/api/v1/write", LINES, &body).await, ("too-large".into(), Vec::new()));
}

#[tokio::test]
async fn a_busy_log_creates_no_names() {
    let house = House::new();
    house.plant.state().busy = 1;
    assert_eq!(after(&house, "all", "/api/v1/write", LINES, "a f=1").await, ("busy".into(), Vec::new()));
    assert_eq!(after(&house, "all", "/api/v1/write", LINES, "a f=1").await.1, ["a/f"]);
}

#[tokio::test]
async fn a_partial_write_creates_the_good_names_alone() {
    let partial = "/api/v1/write?partial=true";
    let table = [
        (
            partial,
            LINES,
            "acme/a f=1\nacme/b f=1,g=oh\nacme/c f=1,g=2,f=3\nacme/d f=1\n",
            "200",
            "acme/a/f acme/d/f",
        ),
        (partial, LINES, "acme/a f=1\nacme/a g=1,f=1,g=2\nacme/a g=3\n", "200", "acme/a/f acme/a/g"),
        (partial, LINES, "other f=1\nacme/a f=1\n", "200", "acme/a/f"),
        (
            partial,
            LINES,
            "acme/a f=1,g=1,h=1,i=1\nacme/b f=1,g=1\nacme/c f=1,g=1\nacme/d f=1\n",
            "200",
            "acme/a/f acme/a/g acme/a/h",
        ),
        (
            partial,
            JSON_LINES,
            "{\"signal\":\"acme/a\",\"value\":1,\"kind\":\"text\"}\n{\"signal\":\"acme/b\",\"value\":1}",
            "200",
            "acme/b",
        ),
        ("/write?db=x", LINES, "acme/a f=1\nacme/b f=oh\n", "400", "acme/a/f"),
    ];
    for (uri, media, body, code, names) in table {
        let house = House::new();
        house.plant.state().signals_max = Some(3);
        let (got, stand) = after(&house, "press", uri, media, body).await;
        assert_eq!((got.as_str(), stand.join(" ").as_str()), (code, names), "{body}");
        // What was learned while reading is of these names alone: the same again changes nothing.
        let (got, stand) = after(&house, "press", uri, media, body).await;
        assert_eq!((got.as_str(), stand.join(" ").as_str()), (code, names), "{body}, again");
        let shown = house.plant.shown();
        assert!(names.split(' ').all(|name| shown.contains(&format!("{name} = "))), "{shown}");
    }
}

#[tokio::test]
async fn more_names_than_bindings_may_be_kept_are_created_once() {
    let settings = crate::Settings { bindings_max: 8, ..crate::Settings::default() };
    let house = House::with(settings);
    let lines = |times: std::ops::Range<usize>| -> String {
        times.flat_map(|time| (0..40).map(move |n| format!("s{n} f={n} {time}\n"))).collect()
    };
    assert_eq!(house.write("/api/v1/write", lines(1..4)).await, "204 ");
    assert_eq!(stand(&house).len(), 40);
    assert_eq!(house.write("/api/v1/write", lines(4..6)).await, "204 ");
    let state = house.plant.state();
    for row in state.published.iter().flat_map(|batch| batch.rows()) {
        let path = &state.signals[row.signal.index()].path;
        assert_eq!(path.as_str(), format!("s{}/f", row.value));
    }
}

/// `tidemill check` tells of every series that a template is meant for and that keeps its default name all the same.
#[tokio::test]
async fn who_keeps_a_default_name_is_told_with_the_reason() {
    let templates = toml::from_str("presets = [\"telegraf-modbus\", \"telegraf-system\"]").unwrap();
    let plant = fakes::Plant::new();
    let web = plant.web_with(crate::Settings { templates, ..crate::Settings::default() });
    let house = House::of(plant, web.router());
    let body = "modbus,host=a,name=press,slave_id=1,type=coil t=1 1\nmodbus,host=b,name=press,slave_id=1,type=coil t=2 1\n\
                mem used=1 1\nweather t=1 1\n";
    assert_eq!(house.write("/write?db=x", body).await, "204 ");
    let told: String = web.default_kept().iter().map(|kept| format!("{kept}\n")).collect();
    expect_test::expect![[r#"
        the series mem/used keeps its default name: its template wants the tag host, which it has not
        the series modbus/host=b,name=press,slave_id=1,type=coil/t keeps its default name: its template names it press/t, which is already modbus/host=a,name=press,slave_id=1,type=coil/t
    "#]]
    .assert_eq(&told);
    assert_eq!(
        stand(&house),
        ["mem/used", "modbus/host=b,name=press,slave_id=1,type=coil/t", "press/t", "weather/t"]
    );
}
