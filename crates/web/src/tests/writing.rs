//! Writes: what is kept, what is refused and where, and that a refused request leaves nothing.

use std::io::Write;

use expect_test::expect;

use super::House;
use crate::Settings;

#[tokio::test]
async fn line_protocol_is_kept_and_named() {
    let house = House::new();
    let body = "acme/leeds/press/st3 temperature=20.5 1000\r\n\
                # a comment\n\n\
                plant/t value=1i 1000\n\
                cpu,host=edge1,cpu=cpu0 idle=3,user=4u,on=t,\"x\"=\"a\\\"b\" -5\n";
    assert_eq!(house.write("/api/v1/write", body).await, "204 ");
    expect![[r#"
        acme/leeds/press/st3/temperature = 20.5 (float) at 1000 Good
        plant/t = 1 (integer) at 1000 Good
        cpu/cpu=cpu0,host=edge1/idle = 3 (float) at -5 Good
        cpu/cpu=cpu0,host=edge1/user = 4 (unsigned) at -5 Good
        cpu/cpu=cpu0,host=edge1/on = true (boolean) at -5 Good
        cpu/cpu=cpu0,host=edge1/"x" = a"b (text) at -5 Good
    "#]]
    .assert_eq(&house.plant.shown());
    let cpu = house.plant.state().signals[2].clone();
    assert_eq!(cpu.meta.tags.get("host").map(|value| &**value), Some("edge1"));
}

/// Editors put one before a text; it moves no column.
/// What a whole request is refused for, by whichever door and for whatever reason, says what became of the rest.
#[tokio::test]
async fn partial_keeps_the_good_and_lists_the_bad() {
    let house = House::new();
    let answer = house.send("POST /api/v1/write?partial=true", &[], "a f=1 1\nb\nc f=x 2\nd f=2 3\n").await;
    expect![[r#"{"kept":2,"refused":2,"problems":[{"line":2,"column":2,"code":"bad-line","detail":"the line has no field: write measurement field=value"},{"line":3,"column":5,"code":"bad-value","detail":"'x' is no field value: write 1.5, 3i, 3u, true or \"text\"; NaN and infinities have no form here"}]}"#]]
        .assert_eq(&answer.text());
    assert_eq!(answer.status, 200);
    assert_eq!(house.plant.shown(), "a/f = 1 (float) at 1 Good\nd/f = 2 (float) at 3 Good\n");
}

#[tokio::test]
async fn times_in_every_unit_and_none() {
    let house = House::new();
    for (unit, time) in [("ns", "1"), ("us", "2"), ("ms", "3"), ("s", "4")] {
        let uri = format!("/api/v1/write?precision={unit}");
        assert_eq!(house.write(&uri, format!("a {unit}=1 {time}")).await, "204 ");
    }
    assert_eq!(house.write("/api/v1/write", "a none=1,too=2\na none=3").await, "204 ");
    expect![[r#"
        a/ns = 1 (float) at 1 Good
        a/us = 1 (float) at 2000 Good
        a/ms = 1 (float) at 3000000 Good
        a/s = 1 (float) at 4000000000 Good
        a/none = 1 (float) at 5000000 Good
        a/too = 2 (float) at 5000000 Good
        a/none = 3 (float) at 5000001 Good
    "#]]
    .assert_eq(&house.plant.shown());
    let answer = house.write("/api/v1/write?precision=s", "a f=1 1700000000000").await;
    assert!(
        answer.starts_with("400 bad-time 1:7 the time 1700000000000 in the given unit is outside"),
        "{answer}"
    );
    assert!(house.write("/api/v1/write?precision=h", "a f=1").await.starts_with("400 bad-parameter"));
}

#[tokio::test]
async fn far_times_are_refused_where_the_plant_says_so() {
    let limits = crate::Settings {
        ahead_max_ns: Some(1_000),
        behind_max_ns: Some(1_000),
        ..crate::Settings::default()
    };
    let house = House::with(limits);
    let now = tidemill_ground::SimClock::START_NS;
    assert_eq!(house.write("/api/v1/write", format!("a f=1 {}\na f=2", now + 900)).await, "204 ");
    let ahead = house.write("/api/v1/write", format!("a f=1 {now}\na f=2 {}", now + 2_000)).await;
    assert!(ahead.starts_with("400 bad-time 2:1 ") && ahead.contains("limits.future"), "{ahead}");
    let body = format!(r#"{{"signal":"a/f","time":{},"value":5}}"#, now - 2_000);
    let behind = house.write("/api/v1/write?format=json", body).await;
    assert!(behind.contains("bad-time") && behind.contains("limits.past"), "{behind}");
}

/// What retention would take away again at once is refused at the door, and counted.
#[tokio::test]
async fn what_is_older_than_what_is_kept_is_refused() {
    let house = House::with(crate::Settings { keep_max_ns: Some(1_000), ..crate::Settings::default() });
    let now = tidemill_ground::SimClock::START_NS;
    assert_eq!(house.write("/api/v1/write", format!("a f=1 {}", now - 900)).await, "204 ");
    let told = house.write("/api/v1/write", format!("a f=1 {now}\na f=2 {}", now - 2_000)).await;
    assert!(told.starts_with("400 bad-time 2:1 ") && told.contains("storage.keep"), "{told}");
    let told = house.write("/write", format!("a f=3 {now}\na f=2 {}", now - 2_000)).await;
    assert!(told.starts_with("400 ") && told.contains("dropped=1"), "{told}");
    let metrics = house.get("/metrics").await.text();
    for line in ["tidemill_limit_refused_total{limit=\"keep\"} 2", "tidemill_limit_max{limit=\"keep\"} 1e-6"]
    {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn json_samples() {
    let house = House::new();
    let body = r#"[
        {"signal":"a/float","time":"1970-01-01T00:00:00.000000001Z","value":5},
        {"signal":"a/int","time":2,"value":9007199254740993,"kind":"integer"},
        {"signal":"a/uint","time":3,"value":18446744073709551615,"kind":"unsigned"},
        {"signal":"a/huge","time":4,"value":18446744073709551616},
        {"signal":"a/bool","time":5,"value":true,"quality":"uncertain"},
        {"signal":"a/text","time":6,"value":"gr\u00fcn","quality":64},
        {"signal":"a/empty","time":7,"value":""},
        {"signal":"a/doc","time":8,"value":{"b":[1,{"c":null}]}},
        {"signal":"a/null","time":9,"value":null},
        {"signal":"a/lost","time":10,"value":null,"quality":"Bad_NoCommunication"},
        {"signal":"a/bytes","time":11,"value":"0x00ff","kind":"bytes"},
        {"signal":"a/stamped","value":1,"unit":"bar"}
    ]"#;
    let json = [("content-type", "application/json")];
    assert_eq!(house.send("POST /api/v1/write", &json, body).await.brief(), "204 ");
    expect![[r#"
        a/float = 5 (float) at 1 Good
        a/int = 9007199254740993 (integer) at 2 Good
        a/uint = 18446744073709551615 (unsigned) at 3 Good
        a/huge = 18446744073709552000 (float) at 4 Good
        a/bool = true (boolean) at 5 Uncertain
        a/text = grün (text) at 6 Uncertain
        a/empty =  (text) at 7 Good
        a/doc = {"b":[1,{"c":null}]} (json) at 8 Good
        a/null = - (none) at 9 Bad
        a/lost = - (none) at 10 Bad_NoCommunication
        a/bytes = 0x00ff (bytes) at 11 Good
        a/stamped = 1 (float) at 1000000 Good
    "#]]
    .assert_eq(&house.plant.shown());
    let unit = house.plant.state().signals[11].meta.unit.clone();
    assert_eq!(&*unit, "bar");
}

/// Else 100 psi would stand as 100 bar.
#[tokio::test]
async fn a_sample_in_another_unit_than_its_signal_is_refused() {
    let house = House::new();
    let mut told = String::new();
    for (query, lines) in [
        ("", r#"{"signal":"a/p","time":1,"value":1,"unit":"bar"}"#),
        ("", r#"{"signal":"a/p","time":2,"value":2,"unit":"psi"}"#),
        ("", r#"{"signal":"a/p","time":2,"value":2,"unit":"barg"}"#),
        ("", r#"{"signal":"a/p","time":3,"value":3}"#),
        // New in one request: nothing of it is kept, or the good.
        (
            "",
            "{\"signal\":\"a/q\",\"time\":1,\"value\":1}\n{\"signal\":\"a/q\",\"time\":2,\"value\":2,\"unit\":\"bar\"}\n{\"signal\":\"a/q\",\"time\":3,\"value\":3,\"unit\":\"psi\"}",
        ),
        (
            "?partial=true",
            "{\"signal\":\"a/q\",\"time\":1,\"value\":1,\"unit\":\"bar\"}\n{\"signal\":\"a/q\",\"time\":2,\"value\":2,\"unit\":\"psi\"}",
        ),
        // Without a unit so far: the first that is kept says it, and what is refused says nothing.
        ("", r#"{"signal":"a/r","time":1,"value":1}"#),
        (
            "",
            "{\"signal\":\"a/r\",\"time\":2,\"value\":1,\"unit\":\"bar\"}\n{\"signal\":\"a/r\",\"time\":3,\"value\":1,\"unit\":\"psi\"}",
        ),
        (
            "?partial=true",
            "{\"signal\":\"a/r\",\"time\":2,\"value\":1e999,\"unit\":\"psi\"}\n{\"signal\":\"a/r\",\"time\":3,\"value\":2,\"unit\":\"°C\"}",
        ),
        ("", r#"{"signal":"a/r","time":4,"value":1,"unit":"bar"}"#),
        ("", r#"{"signal":"a/r","time":4,"value":1,"unit":"degC"}"#),
    ] {
        let target = format!("POST /api/v1/write{query}");
        let answer = house.send(&target, &[("content-type", "application/x-ndjson")], lines).await;
        let brief = if answer.status == 200 { answer.text() } else { answer.brief() };
        told += &format!("{brief}\n");
    }
    let long = format!(r#"{{"signal":"a/s","time":1,"value":1,"unit":"{}"}}"#, "x".repeat(129));
    told += &house.send("POST /api/v1/write", &[("content-type", "application/json")], long).await.brief();
    expect![[r#"
        204 
        400 bad-unit 1:43 the unit is 'psi', and that of a/p is 'bar': convert the value, or change the unit of the signal
        204 
        204 
        400 bad-unit 3:43 the unit is 'psi', and that of a/q is 'bar': convert the value, or change the unit of the signal
        {"kept":1,"refused":1,"problems":[{"line":2,"column":43,"code":"bad-unit","detail":"the unit is 'psi', and that of a/q is 'bar': convert the value, or change the unit of the signal"}]}
        204 
        400 bad-unit 2:43 the unit is 'psi', and that of a/r is 'bar': convert the value, or change the unit of the signal
        {"kept":1,"refused":1,"problems":[{"line":1,"column":47,"code":"bad-unit","detail":"the unit is 'psi', and that of a/r is '°C': convert the value, or change the unit of the signal"}]}
        400 bad-unit 1:43 the unit is 'bar', and that of a/r is '°C': convert the value, or change the unit of the signal
        204 
        400 bad-unit 1:43 the unit has 129 bytes and at most 128 are kept: shorten it, or leave it out"#]].assert_eq(&told);
    expect![[r#"
        a/p = 1 (float) at 1 Good
        a/p = 2 (float) at 2 Good
        a/p = 3 (float) at 3 Good
        a/q = 1 (float) at 1 Good
        a/r = 1 (float) at 1 Good
        a/r = 2 (float) at 3 Good
        a/r = 1 (float) at 4 Good
    "#]]
    .assert_eq(&house.plant.shown());
    let state = house.plant.state();
    let units: Vec<_> =
        state.signals.iter().map(|signal| (signal.path.as_str(), &*signal.meta.unit)).collect();
    assert_eq!(units, [("a/p", "bar"), ("a/q", "bar"), ("a/r", "°C")]);
}

#[tokio::test]
async fn columns_go_to_the_historian() {
    let house = House::new();
    let arrow = [("content-type", "application/vnd.apache.arrow.stream")];
    let body = "columns 0\nacme/a 5 x\nacme/b - y";
    assert_eq!(house.send("POST /api/v1/write?mode=replace", &arrow, body).await.brief(), "204 ");
    assert_eq!(house.plant.shown(), "acme/a = x (text) at 5 Good\nacme/b = y (text) at 1000000 Good\n");
    assert_eq!(house.send("POST /api/v1/write", &arrow, "x").await.brief(), "400 bad-arrow this is no arrow");
    assert!(house.plant.state().published[0].flags.has(tidemill_core::Flags::REPLACE));
    let thrift = [("content-type", "application/x-thrift")];
    assert!(
        house.send("POST /api/v1/write", &thrift, "").await.brief().starts_with("415 unsupported-format")
    );
}

/// A sample has the same limits by whatever door it comes.
#[tokio::test]
async fn samples_in_columns_have_the_limits_of_all_samples() {
    let settings = Settings {
        text_sample_bytes: 4,
        ahead_max_ns: Some(1_000),
        behind_max_ns: Some(1_000),
        ..Settings::default()
    };
    let house = House::with(settings);
    house.plant.clock.set_wall(5_000);
    let table = [
        ("a 5000 four", "204 "),
        (
            "a 5000 fives",
            "400 bad-value 2:3 the text has 5 bytes and limits.text_sample_bytes is 4: shorten it, or raise the limit",
        ),
        (
            "a 6001 four",
            "400 bad-time 2:2 1970-01-01T00:00:00.000006001Z is further ahead of the clock than limits.future allows: check the sender's clock and unit, or raise the limit",
        ),
        (
            "a 3999 four",
            "400 bad-time 2:2 1970-01-01T00:00:00.000003999Z is further behind the clock than limits.past allows: check the sender's clock and unit, or raise the limit",
        ),
        (
            "a//b 5000 four",
            "400 bad-path 2:1 'a//b' has an empty segment: remove the doubled, leading or trailing '/'",
        ),
    ];
    for (line, expected) in table {
        house.plant.state().published.clear();
        let answer =
            house.write("/api/v1/write?format=arrow", format!("columns 0\ngood 5000 x\n{line}")).await;
        assert_eq!(answer, expected, "{line}");
        assert_eq!(house.plant.state().published.is_empty(), expected != "204 ", "all or nothing: {line}");
    }
    let far = House::new();
    let body = format!("columns 0\na {} x\na -1 x", i64::MAX);
    assert_eq!(far.write("/api/v1/write?format=parquet", body).await, "204 ");
    let counted = far.get("/metrics").await.text();
    for direction in ["past", "future"] {
        let line = format!("tidemill_http_far_times_total{{direction=\"{direction}\"}} 1\n");
        assert!(counted.contains(&line), "{direction} is counted");
    }
}

/// What columns become is counted before they are unpacked, and their samples are published in turns where they do not
/// all have room.
#[tokio::test]
async fn columns_stay_within_the_memory_of_requests() {
    let bodies_bytes_max = 16 << 20;
    let house = House::with(Settings { bodies_bytes_max, ..Settings::default() });
    let write = |body: String| async { house.write("/api/v1/write?format=parquet", body).await };
    let told = write(format!("columns {}\na 1 x", 16 << 20)).await;
    assert!(told.starts_with("413 too-large the request needs 17039360 bytes"), "{told}");
    assert_eq!(write(format!("columns {}\na 1 x", 8 << 20)).await, "204 ");
    house.plant.state().published.clear();
    let rows = 300_000;
    let lines: String = (0..rows).map(|row| format!("a {row} x\n")).collect();
    assert_eq!(write(format!("columns 0\n{lines}")).await, "204 ");
    let state = house.plant.state();
    let times: Vec<i64> = state.published.iter().flat_map(|batch| batch.rows().map(|row| row.time)).collect();
    assert!(
        times == (0..rows).collect::<Vec<_>>(),
        "each once, in order, in {} batches",
        state.published.len()
    );
    assert_eq!(state.published.len(), 5);
}

#[tokio::test]
async fn large_requests_become_batches_in_order() {
    let house = House::new();
    let body: String = (0..70_000).map(|n| format!("a f={n},g=1 {n}\n")).collect();
    assert_eq!(house.write("/api/v1/write", body).await, "204 ");
    let state = house.plant.state();
    let sizes: Vec<usize> = state.published.iter().map(|batch| batch.len()).collect();
    assert_eq!(sizes, [65_536, 65_536, 8_928]);
    assert_eq!(state.published[1].time[0], 32_768, "a line is never cut in two");
    assert_eq!(state.binds, 2, "each name is bound once");
}

#[tokio::test]
async fn bindings_are_remembered_until_the_epoch_changes() {
    let house = House::new();
    for _ in 0..3 {
        assert_eq!(house.write("/api/v1/write", "a f=1").await, "204 ");
    }
    assert_eq!(house.plant.state().binds, 2, "as new, then as known");
    house.plant.epoch.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(house.write("/api/v1/write", "a f=1").await, "204 ");
    assert_eq!(house.plant.state().binds, 3);
}

#[tokio::test]
async fn a_policy_that_changes_under_a_request_is_followed() {
    let house = House::new();
    house.plant.state().conflicts = 1;
    assert_eq!(house.write("/api/v1/write", "a f=1 1").await, "204 ");
    assert_eq!(house.plant.shown(), "a/f = 1 (float) at 1 Good\n");
    house.plant.state().conflicts = 9;
    assert_eq!(house.write("/api/v1/write", "a f=1 1").await, "409 conflict bind again");
}

#[tokio::test]
async fn busy_says_when_to_come_again_and_later_parts_wait() {
    let house = House::new();
    house.plant.state().busy = 1;
    let answer = house.send("POST /api/v1/write", &[], "a f=1 1").await;
    assert_eq!(answer.brief(), "503 busy the disk is slow");
    assert_eq!(answer.header("retry-after"), "1");
    house.plant.state().not_durable = true;
    let answer = house.send("POST /api/v1/write", &[], "a f=1 1").await;
    assert!(answer.brief().starts_with("503 not-durable"), "{}", answer.brief());
}

#[tokio::test]
async fn an_idempotency_key_keeps_a_request_once() {
    let house = House::new();
    let body: String = (0..70_000).map(|n| format!("a f={n}\n")).collect();
    let key = [("idempotency-key", "one")];
    for _ in 0..2 {
        assert_eq!(house.send("POST /api/v1/write", &key, body.clone()).await.brief(), "204 ");
    }
    assert_eq!(house.plant.state().published.len(), 2);
    assert_eq!(house.send("POST /api/v1/write", &key, "a f=1").await.brief(), "204 ");
    assert_eq!(house.plant.state().published.len(), 3, "another body under the same key is another request");
    let long = "k".repeat(256);
    let answer = house.send("POST /api/v1/write", &[("idempotency-key", &long)], "a f=1").await;
    assert!(answer.brief().starts_with("400 bad-parameter"));
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn compressed_bodies_and_bombs() {
    let house = House::with(Settings { body_bytes_max: 1 << 20, ..Settings::default() });
    let body = "a f=1 1\n".repeat(1000);
    let zstd = |body: &[u8]| zstd::encode_all(body, 3).unwrap();
    let send = async |coding: &str, body: Vec<u8>| {
        house.send("POST /api/v1/write", &[("content-encoding", coding)], body).await.brief()
    };
    assert_eq!(send("gzip", gzip(body.as_bytes())).await, "204 ");
    assert_eq!(send("zstd", zstd(body.as_bytes())).await, "204 ");
    assert_eq!(send("identity", body.clone().into_bytes()).await, "204 ");
    let zeros = vec![b'\n'; 200 << 20];
    let too_large = "413 too-large the request body has more than 1048576 bytes after decompression";
    assert_eq!(send("gzip", gzip(&zeros)).await, too_large);
    assert_eq!(send("zstd", zstd(&zeros)).await, too_large);
    assert_eq!(send("identity", vec![b'\n'; 2 << 20]).await, too_large);
    for coding in ["gzip", "zstd"] {
        let mut cut = if coding == "gzip" { gzip(body.as_bytes()) } else { zstd(body.as_bytes()) };
        cut.truncate(cut.len() - 3);
        assert!(send(coding, cut).await.starts_with("400 bad-encoding"), "{coding}");
        assert!(send(coding, b"no such thing".to_vec()).await.starts_with("400 bad-encoding"), "{coding}");
    }
    assert!(send("br", Vec::new()).await.starts_with("415 unsupported-format"));
    let wide = zstd::stream::raw::CParameter::WindowLog(27);
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.set_parameter(wide).unwrap();
    encoder.write_all(&vec![b'\n'; 100 << 10]).unwrap();
    assert!(send("zstd", encoder.finish().unwrap()).await.starts_with("400 bad-encoding"));
}

#[tokio::test]
async fn gzip_members_are_joined_and_bounded() {
    let house = House::new();
    let send = async |body: Vec<u8>| {
        house.send("POST /api/v1/write", &[("content-encoding", "gzip")], body).await.brief()
    };
    let members: Vec<u8> = (1..=1_000).flat_map(|time| gzip(format!("a f=1 {time}\n").as_bytes())).collect();
    assert_eq!(send(members.clone()).await, "204 ");
    assert_eq!(house.plant.shown().lines().count(), 1_000);
    let more = [members, gzip(b"")].concat();
    assert_eq!(send(more).await, "400 bad-encoding the gzip body has more than 1000 members");
    // Eight megabytes of members with nothing in them.
    let refused = send(gzip(b"").repeat(400_000)).await;
    assert_eq!(refused, "400 bad-encoding the gzip body has more than 1000 members");
}

#[tokio::test]
async fn others_have_their_turn_while_a_body_is_decompressed() {
    let house = House::new();
    let zeros = vec![b'\n'; 32 << 20];
    for (coding, body) in [("gzip", gzip(&zeros)), ("zstd", zstd::encode_all(&*zeros, 3).unwrap())] {
        let mut turns = 0;
        let headers = [("content-encoding", coding)];
        let sending = house.send("POST /api/v1/write", &headers, body);
        let counting = async {
            loop {
                turns += 1;
                tokio::task::yield_now().await;
            }
        };
        let answer = tokio::select! {
            biased;
            answer = sending => answer,
            () = counting => unreachable!(),
        };
        assert_eq!(answer.brief(), "204 ", "{coding}");
        assert!(turns > 20, "{coding}: {turns}");
    }
}

#[tokio::test]
async fn all_requests_together_hold_no_more_than_they_may() {
    let house = House::with(Settings { bodies_bytes_max: 8 << 20, ..Settings::default() });
    let alone = house.send("POST /api/v1/write", &[], vec![b'\n'; 9 << 20]).await;
    assert!(alone.brief().starts_with("413 too-large"), "{}", alone.brief());
    let dense = "a f=1\n".repeat(1_000_000);
    let batches = house.send("POST /api/v1/write", &[], dense).await;
    assert!(batches.brief().starts_with("413 too-large the request needs"), "{}", batches.brief());
    // While another request holds its body, a second one is told to come again.
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<Result<Vec<u8>, std::io::Error>>();
    let pieces =
        futures_util::stream::unfold(receiver, async |mut pieces| Some((pieces.recv().await?, pieces)));
    sender.send(Ok(vec![b'\n'; 900 << 10])).unwrap();
    let slow = house.send("POST /api/v1/write", &[], axum::body::Body::from_stream(pieces));
    let second = async {
        let answer = house.send("POST /api/v1/write", &[], vec![b'\n'; 7_500 << 10]).await;
        drop(sender);
        answer
    };
    let (slow, second) = tokio::join!(slow, second);
    assert_eq!(slow.brief(), "204 ");
    assert!(second.brief().starts_with("503 busy"), "{}", second.brief());
    assert_eq!(second.header("retry-after"), "1");
    assert_eq!(house.write("/api/v1/write", "a f=1").await, "204 ", "what was held is given back");
}

#[tokio::test]
async fn a_body_whose_batches_do_not_fit_beside_it_is_published_in_turns() {
    // Room for the body and little more than one batch of the eight that it makes.
    let house = House::with(Settings { bodies_bytes_max: 16 << 20, ..Settings::default() });
    let line = |n: usize| format!("new/a f={n},g=1 {n}\nnew/b{} f={n} {n}\n", n % 7);
    let good: String = (0..150_000).map(line).collect();
    assert!(good.len() > 5 << 20 && good.len() < 9 << 20, "{}", good.len());
    assert_eq!(
        house.write("/api/v1/write", format!("{good}late f=oh\n")).await.split(' ').next(),
        Some("400")
    );
    assert_eq!(
        house.plant.state().published.len(),
        0,
        "it is checked to its end before anything is published"
    );
    // What begins and does not get to its end is no refusal: something was kept.
    (house.plant.state().conflicts, house.plant.state().conflicts_after) = (9, 1);
    let told = house.write("/api/v1/write", good.clone()).await;
    assert!(told.starts_with("503 not-durable only the beginning"), "{told}");
    assert_eq!(house.plant.state().published.len(), 1);
    house.plant.state().published.clear();
    (house.plant.state().conflicts, house.plant.state().conflicts_after) = (2, 0);
    assert_eq!(house.write("/api/v1/write", good).await, "204 ");
    let state = house.plant.state();
    let rows = || state.published.iter().flat_map(|batch| batch.rows());
    assert_eq!((state.published.len(), rows().count()), (7, 450_000));
    let times: Vec<i64> = rows().map(|row| row.time).collect();
    let expected: Vec<i64> = (0..150_000).flat_map(|n| [n, n, n]).collect();
    assert!(times == expected, "each once, in order");
    assert_eq!(state.signals.len(), 9);
}

#[tokio::test]
async fn templates_name_and_never_merge() {
    let templates = r#"
        [[template]]
        match = { measurement = "cpu" }
        path = "{host}/{measurement}/{cpu}/{field}"
        [[template]]
        match = { region = "!", host = "*" }
        path = "{host}/{field}"
    "#;
    let house =
        House::with(Settings { templates: toml::from_str(templates).unwrap(), ..Settings::default() });
    let body = "cpu,host=e1,cpu=cpu0 idle=1 1\n\
                cpu,host=e1,cpu=cpu0,rack=7 idle=2 1\n\
                cpu,host=e1 idle=3 1\n\
                mem,host=e1 free=4 1\n\
                disk,host=e1 free=5 1\n\
                disk,host=e1,region=eu free=6 1\n";
    assert_eq!(house.write("/api/v1/write", body).await, "204 ");
    expect![[r#"
        e1/cpu/cpu0/idle = 1 (float) at 1 Good
        cpu/cpu=cpu0,host=e1,rack=7/idle = 2 (float) at 1 Good
        cpu/host=e1/idle = 3 (float) at 1 Good
        e1/free = 4 (float) at 1 Good
        disk/host=e1/free = 5 (float) at 1 Good
        disk/host=e1,region=eu/free = 6 (float) at 1 Good
    "#]]
    .assert_eq(&house.plant.shown());
    // Whoever had the name first keeps it: also when the bindings are forgotten and the others come first.
    house.plant.epoch.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    house.plant.state().published.clear();
    assert_eq!(house.write("/api/v1/write", "disk,host=e1 free=5 1\nmem,host=e1 free=4 1").await, "204 ");
    assert_eq!(
        house.plant.shown(),
        "disk/host=e1/free = 5 (float) at 1 Good\ne1/free = 4 (float) at 1 Good\n"
    );
    // A default name that a template gave to another series is not written by this one.
    let answer = house.write("/api/v1/write", "e1 free=7 1").await;
    assert_eq!(answer, "409 exists 1:4 the name e1/free was given by a template to another series");
    // Who may not write there is told the same of a name that is taken and of one that is not.
    for name in ["e1/free", "e1/none"] {
        let line = format!("e1 {}=7 1", &name[3..]);
        let network = super::from("10.0.0.9:50000", "10.0.0.1:8443");
        let answer =
            house.send_by(network, "POST /api/v1/write", &[("authorization", "Bearer press")], line).await;
        let told = answer.text();
        assert!(told.contains(&format!("token:press may not write {name}")), "{told}");
        assert!(!told.contains("mem") && !told.contains("template"), "{told}");
    }
}

/// A bare number on a signal of integers is one where it is written as one, at every door; elsewhere it is a float.
#[tokio::test]
async fn bare_numbers_become_what_their_signal_says() {
    let house = House::new();
    assert_eq!(house.write("/api/v1/write", "n/a f=1i,g=1 1").await, "204 ");
    let edit = house.send(
        "PATCH /api/v1/signals?signal=n/a/f",
        &[("content-type", "application/json")],
        r#"{"number":"integer"}"#,
    );
    assert_eq!(edit.await.status, 204);
    house.plant.state().published.clear();
    let numbers = ["3", "-3", "3.0", "3e0", "9007199254740993", "18446744073709551616"];
    for (time, number) in numbers.iter().enumerate() {
        let line = format!("n/a f={number},g={number} {time}");
        assert_eq!(house.write("/api/v1/write", line).await, "204 ");
        for name in ["f", "g"] {
            let sample = format!(r#"{{"signal":"n/a/{name}","time":{time},"value":{number}}}"#);
            let answer = house.write("/api/v1/write?format=ndjson", sample).await;
            assert_eq!(answer, "204 ");
        }
    }
    let shown = house.plant.shown();
    let lines: Vec<&str> = shown.lines().collect();
    let by_number: Vec<&[&str]> = lines.chunks(4).collect();
    for all in &by_number {
        assert_eq!(all[..2], all[2..], "every door says the same");
    }
    expect![[r#"
        n/a/f = 3 (integer) at 0 Good
        n/a/g = 3 (float) at 0 Good
        n/a/f = -3 (integer) at 1 Good
        n/a/g = -3 (float) at 1 Good
        n/a/f = 3 (float) at 2 Good
        n/a/g = 3 (float) at 2 Good
        n/a/f = 3 (float) at 3 Good
        n/a/g = 3 (float) at 3 Good
        n/a/f = 9007199254740993 (integer) at 4 Good
        n/a/g = 9007199254740992 (float) at 4 Good
        n/a/f = 18446744073709552000 (float) at 5 Good
        n/a/g = 18446744073709552000 (float) at 5 Good
    "#]]
    .assert_eq(&by_number.iter().map(|all| format!("{}\n{}\n", all[0], all[1])).collect::<String>());
}
