//! What a write is refused for: where it is wrong, what became of the rest, and what to do.

use expect_test::expect;

use super::{House, from};

#[tokio::test]
async fn the_first_bad_line_is_named_and_nothing_is_kept() {
    let house = House::new();
    let table = [
        ("a f=1\nb f=\n", "400 bad-line 2:5 the field 'f' has no value: write 1.5, 3i, 3u, true or \"text\""),
        (
            "ä,t=ü f=1 x",
            "400 bad-time 1:11 'x' is no timestamp: write a whole number in the unit of precision=",
        ),
        (
            "a f=NaN",
            "400 bad-value 1:5 'NaN' is no field value: write 1.5, 3i, 3u, true or \"text\"; NaN and infinities have no form here",
        ),
        ("a f=1e400", "400 bad-value 1:5 '1e400' does not fit a 64-bit float"),
        ("a f=1,f=2", "400 bad-line 1:7 the field 'f' stands twice: a line has each field once"),
        ("a,t=1,t=2 f=1", "400 bad-line 1:7 the tag 't' stands twice: a line has each tag once"),
    ];
    for (body, expected) in table {
        assert_eq!(house.write("/api/v1/write", body).await, expected, "{body}");
    }
    let long = format!("a f=1\na f=\"{}\"", "x".repeat(1025));
    let answer = house.write("/api/v1/write", long).await;
    assert_eq!(
        answer,
        "400 bad-value 2:3 the text of the field 'f' has 1025 bytes and limits.text_sample_bytes is 1024: shorten it, or raise the limit"
    );
    assert_eq!(house.plant.shown(), "");
}

#[tokio::test]
async fn a_byte_order_mark_belongs_to_nothing() {
    let house = House::new();
    let sample = r#"{"signal":"a","value":1,"time":1}"#;
    for (format, body) in [
        ("json", sample.to_owned()),
        ("json", format!("[{sample}]")),
        ("ndjson", format!("{sample}\n{sample}")),
    ] {
        let line = format!("POST /api/v1/write?format={format}");
        assert_eq!(house.send(&line, &[], format!("\u{feff}{body}")).await.brief(), "204 ", "{body}");
        let broken = body.replacen("\"time\":1", "\"time\":true", 1);
        let told = house.send(&line, &[], broken.clone()).await.brief();
        assert!(told.starts_with("400 bad-json 1:3"), "{told}");
        assert_eq!(house.send(&line, &[], format!("\u{feff}{broken}")).await.brief(), told, "{body}");
    }
    assert_eq!(house.plant.shown().lines().count(), 4);
}

#[tokio::test]
async fn every_refusal_says_that_nothing_was_kept() {
    let house = House::new();
    house.plant.state().tokens.insert("reader".into(), ("reader".into(), super::fakes::rights(&["read:#"])));
    let (line, json) = ("format=line", "format=json");
    let value = |value: &str| format!(r#"{{"signal":"a","value":{value}}}"#);
    let table = [
        (line, "b".to_owned(), "bad-line"),
        (line, "b f=x".to_owned(), "bad-value"),
        (line, "b f=1 soon".to_owned(), "bad-time"),
        (line, "b f=1 99999999999999999999".to_owned(), "bad-time"),
        (json, "{".to_owned(), "bad-json"),
        (json, value("1e400"), "bad-value"),
        (json, value("1,\"time\":\"soon\""), "bad-time"),
        (json, value("1,\"quality\":\"fine\""), "bad-quality"),
        (json, value("1").replace("\"a\"", "\"a//b\""), "bad-path"),
        ("format=arrow", "x".to_owned(), "bad-arrow"),
        ("format=arrow&precision=s", "columns 0\na 1 x".to_owned(), "bad-parameter"),
        ("format=parquet&precision=ms", "columns 0\na 1 x".to_owned(), "bad-parameter"),
        ("format=arrow&precision=ns", "x".to_owned(), "bad-arrow"),
        ("format=xml", String::new(), "unsupported-format"),
        ("presicion=s", String::new(), "bad-parameter"),
    ];
    let mut told = String::new();
    let mut tell = |query: &str, answer: super::Answered, code: &str| {
        let problem = answer.json();
        assert_eq!(problem["code"], code, "{query}: {problem}");
        told += &format!("{query} {code}: {}\n", problem["hint"].as_str().unwrap());
    };
    for (query, body, code) in &table {
        tell(query, house.send(&format!("POST /api/v1/write?{query}"), &[], body.clone()).await, code);
    }
    let far = || from("10.0.0.9:5", "10.0.0.1:8443");
    tell("no token", house.send_by(far(), "POST /api/v1/write", &[], "a f=1").await, "unauthenticated");
    let reader = [("authorization", "Bearer reader")];
    tell("no right", house.send_by(far(), "POST /api/v1/write", &reader, "a f=1").await, "forbidden");
    // Where good lines would be kept, or nobody knows, nothing is said of it.
    house.plant.state().busy = 1;
    tell("busy", house.send("POST /api/v1/write", &[], "a f=1").await, "busy");
    let partial = "POST /api/v1/write?partial=true&presicion=s";
    tell("partial", house.send(partial, &[], "a f=1").await, "bad-parameter");
    let partial = "POST /api/v1/write?partial=true&format=arrow";
    tell("partial", house.send(partial, &[], "x").await, "bad-arrow");
    expect![[r#"
        format=line bad-line: Nothing of the request was kept. Mend the line: docs/reference/line-protocol.md says how it is written. Or send ?partial=true to keep the good lines
        format=line bad-value: Nothing of the request was kept. Send a finite number, true or false, text, or a JSON document. Or send ?partial=true to keep the good lines
        format=line bad-time: Nothing of the request was kept. Write a number of nanoseconds, or say with precision= what it counts (us, ms, s). Or send ?partial=true to keep the good lines
        format=line bad-time: Nothing of the request was kept. Write a number of nanoseconds, or say with precision= what it counts (us, ms, s). Or send ?partial=true to keep the good lines
        format=json bad-json: Nothing of the request was kept. Send {"signal", "time", "value", "quality"} objects, in an array or one a line
        format=json bad-value: Nothing of the request was kept. Send a finite number, true or false, text, or a JSON document
        format=json bad-time: Nothing of the request was kept. Write RFC 3339 with an offset, or a number in the stated unit
        format=json bad-quality: Nothing of the request was kept. Use good, uncertain, bad or an OPC UA status code
        format=json bad-path: Nothing of the request was kept. Write 1 to 16 segments joined by '/'; see docs/reference/names.md
        format=arrow bad-arrow: Nothing of the request was kept. Send columns signal, time, value and optionally quality
        format=arrow&precision=s bad-parameter: Nothing of the request was kept. Leave precision= away, or send timestamps: their type says the unit
        format=parquet&precision=ms bad-parameter: Nothing of the request was kept. Leave precision= away, or send timestamps: their type says the unit
        format=arrow&precision=ns bad-arrow: Nothing of the request was kept. Send columns signal, time, value and optionally quality
        format=xml unsupported-format: Nothing of the request was kept. See /api/v1/openapi.json for the formats of this call
        presicion=s bad-parameter: Nothing of the request was kept. See /api/v1/openapi.json for this call's parameters
        no token unauthenticated: Nothing of the request was kept. Send Authorization: Bearer TOKEN; `tidemill token create` makes one
        no right forbidden: Nothing of the request was kept. `tidemill access why WHO VERB PATH` says which rule decides. Or send ?partial=true to keep the good lines
        busy busy: Repeat after the time in Retry-After
        partial bad-parameter: Nothing of the request was kept. See /api/v1/openapi.json for this call's parameters
        partial bad-arrow: Send columns signal, time, value and optionally quality
    "#]].assert_eq(&told);
    assert_eq!(house.plant.shown(), "");
}

#[tokio::test]
async fn json_is_refused_with_its_place() {
    let house = House::new();
    let deep = format!("{{\"signal\":\"a\",\"value\":{}1{}}}", "[".repeat(33), "]".repeat(33));
    let table = [
        (r#"{"signal":"a","value":1e400}"#, "400 bad-value 1:23 '1e400' does not fit a 64-bit float"),
        (
            r#"{"signal":"a","value":NaN}"#,
            "400 bad-json 1:23 the JSON cannot be read: expected a value; NaN and infinities are written \"NaN\", \"Infinity\", \"-Infinity\" with \"kind\": \"float\"",
        ),
        (
            r#"{"signal":"a","value":1,"value":2}"#,
            "400 bad-json 1:25 the member 'value' stands twice in one object",
        ),
        (
            r#"{"signal":"a","value":{"x":1,"x":2}}"#,
            "400 bad-json 1:30 the member 'x' stands twice in one object",
        ),
        (
            r#"{"signal":"a","vale":1}"#,
            "400 bad-json 1:15 a sample has no member 'vale': known are signal, time, value, quality, kind, unit",
        ),
        (r#"{"value":1}"#, "400 bad-json 1:1 the sample has no 'signal'"),
        (r#"{"signal":"a"}"#, "400 bad-json 1:1 the sample has no 'value'"),
        (
            "[{\"signal\":\"a\",\"value\":1},\n {\"signal\":\"a//b\",\"value\":1}]",
            "400 bad-path 2:12 'a//b' has an empty segment: remove the doubled, leading or trailing '/'",
        ),
        (
            r#"{"signal":"a","value":1,"time":"2026-01-01T00:00:00"}"#,
            "400 bad-time 1:32 '2026-01-01T00:00:00' has no offset: add Z, or an offset such as +01:00",
        ),
        (
            r#"{"signal":"a","value":1,"quality":"fine"}"#,
            "400 bad-quality 1:35 'fine' is no quality: use good, uncertain, bad, a name such as Bad_NoCommunication, an OPC UA code (0x80310000), or OPC DA's 0, 64, 192",
        ),
        (
            r#"{"signal":"a","value":1.5,"kind":"integer"}"#,
            "400 bad-value 1:23 the value is not of the kind 'integer': it is no whole number within 64 bits",
        ),
        (r#"{"signal":7,"value":1}"#, "400 bad-json 1:11 'signal' must be a string"),
        (
            r#"{"signal":"a","value":1,"kind":"complex"}"#,
            "400 bad-json 1:32 'kind' must be float, integer, unsigned, boolean, text, json or bytes",
        ),
        (&deep, "400 bad-json 1:54 the JSON is nested deeper than 32 levels"),
        (
            r#"{"signal":"a","value":1} {"#,
            "400 bad-json 1:26 the JSON cannot be read: something follows the object: samples go in an array, or one a line as application/x-ndjson",
        ),
    ];
    for (body, expected) in table {
        let answer = house.send("POST /api/v1/write?format=json", &[], body.to_owned()).await;
        assert_eq!(answer.brief(), expected, "{body}");
    }
    let invalid = house.send("POST /api/v1/write?format=json", &[], b"{\"signal\":\"a\xff\"}".to_vec()).await;
    assert_eq!(invalid.brief(), "400 bad-encoding 1:13 the text is not UTF-8");
    assert_eq!(house.plant.shown(), "");
}

#[tokio::test]
async fn json_lines_stand_alone() {
    let house = House::new();
    let body =
        "{\"signal\":\"a\",\"value\":1,\"time\":1}\n{broken\n\n{\"signal\":\"b\",\"value\":2,\"time\":2}";
    let lines = [("content-type", "application/x-ndjson; charset=utf-8")];
    let whole = house.send("POST /api/v1/write", &lines, body).await;
    assert_eq!(
        whole.brief(),
        "400 bad-json 2:2 the JSON cannot be read: expected a member's name in double quotes"
    );
    assert_eq!(house.plant.shown(), "");
    let partial = house.send("POST /api/v1/write?partial=true", &lines, body).await;
    assert_eq!((partial.json()["kept"].as_u64(), partial.json()["refused"].as_u64()), (Some(2), Some(1)));
}
