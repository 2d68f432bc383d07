//! What is exported comes back: every kind, every quality and absent values, by every format and every door that takes
//! it, to the last bit.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::plant::Plant;

/// How many samples go round.
const SAMPLES: usize = 400;

/// A value and its kind as an NDJSON export spells them: `5,"quality":…,"kind":"integer"` in two halves.
fn values() -> impl Strategy<Value = (String, &'static str)> {
    let text = |text: String| serde_json::Value::from(text).to_string();
    let float = |value: f64| match value {
        value if value.is_nan() => ("\"NaN\"".to_owned(), "float"),
        value if value.is_infinite() => {
            ((if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" }).to_owned(), "float")
        }
        value => (serde_json::Value::from(value).to_string().replace("e+", "e"), ""),
    };
    let inline = ["{\"a\":[1,2.50,null],\"b\":{}}", "[]", "{ \"spaced\" : true }"];
    let held =
        ["5", "1.50e3", "\"text\"", "\"\\u0041\"", "true", "null", " 7 ", "{\n\"a\":1}", "{\"a\":1,\"a\":2}"];
    prop_oneof![
        any::<f64>().prop_map(float),
        proptest::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 20.0, 1e300])
            .prop_map(float),
        any::<i64>().prop_map(|value| (value.to_string(), "integer")),
        any::<u64>().prop_map(|value| (value.to_string(), "unsigned")),
        any::<bool>().prop_map(|value| (value.to_string(), "")),
        "\\PC{0,12}|[ \t\r\n\"',;\\\\]{0,4}| NaN|null|0x00|true|1".prop_map(move |value| (text(value), "")),
        proptest::sample::select(inline.to_vec()).prop_map(|document| (document.to_owned(), "")),
        proptest::sample::select(held.to_vec()).prop_map(move |document| (text(document.to_owned()), "json")),
        proptest::collection::vec(any::<u8>(), 0..6).prop_map(|bytes| {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            (format!("\"0x{digits}\""), "bytes")
        }),
        Just(("null".to_owned(), "none")),
    ]
}

fn qualities() -> impl Strategy<Value = String> {
    let named = ["Good", "Uncertain_LastUsableValue", "Bad_NoCommunication"].map(str::to_owned).to_vec();
    // Info bits in codes of all three classes, so that none has a name.
    let coded = (0_u32..3, 1_u32..0xFFFF).prop_map(|(class, low)| format!("0x{:08X}", class << 30 | low));
    prop_oneof![proptest::sample::select(named), coded]
}

/// Any time there is, and both ends; or one of a few, where samples meet.
fn times() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        proptest::sample::select(vec![i64::MIN, i64::MAX, i64::MAX - 1, 0, -1]),
        1_700_000_000_000_000_000..1_700_000_000_000_000_050_i64,
    ]
}

/// Names in the order in which exports have them.
const NAMES: [&str; 5] = ["mixed/- -", "mixed/1", "mixed/Süd, \"3\";x", "mixed/a=b 'c'", "mixed/true"];

/// Lines as an export writes them, in its order.
fn lines() -> Vec<String> {
    let sample = (0..NAMES.len(), times(), values(), qualities());
    let tree = proptest::collection::vec(sample, SAMPLES).new_tree(&mut TestRunner::default());
    let samples = tree.expect("samples are made").current();
    let mut lines: Vec<(usize, i64, usize, String)> = Vec::new();
    for (number, (name, time, (value, kind), quality)) in samples.into_iter().enumerate() {
        // No value is ever good.
        let good = quality == "Good" || quality.starts_with("0x0000");
        let quality = if kind == "none" && good { "Bad".to_owned() } else { quality };
        let kind = match kind {
            "" | "none" => String::new(),
            kind => format!(",\"kind\":\"{kind}\""),
        };
        let spelled = tidemill_core::rfc3339(time);
        let signal = serde_json::Value::from(NAMES[name]);
        let line = format!(
            "{{\"signal\":{signal},\"time\":\"{spelled}\",\"value\":{value},\"quality\":\"{quality}\"{kind}}}"
        );
        // What is written twice is kept once.
        if !lines.iter().any(|(.., known)| *known == line) {
            lines.push((name, time, number, line));
        }
    }
    lines.sort();
    lines.into_iter().map(|(.., line)| line).collect()
}

/// Both ends of time are asked for, and got.
const EXPORT: &str =
    "/api/v1/read?signal=**&from=1677-09-21T00:12:43.145224192Z&to=2262-04-11T23:47:16.854775807Z";

fn exported(plant: &Plant, token: &str, format: &str) -> Vec<u8> {
    plant.get(&format!("{EXPORT}&format={format}")).token(token).send().expect(200).body
}

#[test]
fn what_is_exported_comes_back_to_the_last_bit() {
    let lines = lines();
    let body = lines.join("\n") + "\n";
    let plant = Plant::start();
    let token = plant.token("all", &["write:#", "read:#", "configure:#"]);
    let send = |plant: &Plant, token: &str, media_type: &str, body: &[u8]| {
        plant.post("/api/v1/write").token(token).body(media_type, body).send().expect(204);
    };
    send(&plant, &token, "application/x-ndjson", body.as_bytes());
    let first = String::from_utf8(exported(&plant, &token, "ndjson")).expect("JSON is UTF-8");
    for (sent, got) in lines.iter().zip(first.lines()) {
        assert_eq!(got, sent);
    }
    assert_eq!(first.lines().count(), lines.len());

    let media_types = [
        ("json", "application/json"),
        ("ndjson", "application/x-ndjson"),
        ("arrow", "application/vnd.apache.arrow.stream"),
        ("parquet", "application/vnd.apache.parquet"),
    ];
    for (format, media_type) in media_types {
        let other = Plant::start();
        let key = other.token("all", &["write:#", "read:#"]);
        send(&other, &key, media_type, &exported(&plant, &token, format));
        let second = String::from_utf8(exported(&other, &key, "ndjson")).expect("JSON is UTF-8");
        for (one, two) in first.lines().zip(second.lines()) {
            assert_eq!(two, one, "by {format}");
        }
        assert_eq!(second.len(), first.len(), "by {format}");
    }
    for format in ["csv", "json", "ndjson", "arrow", "parquet"] {
        let other = Plant::start();
        let file = other.home.file(&format!("export.{format}"), exported(&plant, &token, format));
        other.ok(&["import", file.to_str().expect("a path in UTF-8")]);
        let key = other.token("all", &["read:#"]);
        let second = String::from_utf8(exported(&other, &key, "ndjson")).expect("JSON is UTF-8");
        for (one, two) in first.lines().zip(second.lines()) {
            assert_eq!(two, one, "by importing {format}");
        }
        assert_eq!(second.len(), first.len(), "by importing {format}");
    }
}

#[test]
fn values_by_command_line_have_the_same_spellings() {
    let plant = Plant::start();
    let table = [
        ("float", "NaN", "\"NaN\",\"quality\":\"Good\",\"kind\":\"float\""),
        ("float", "-Infinity", "\"-Infinity\",\"quality\":\"Good\",\"kind\":\"float\""),
        ("json", "\"text\"", "\"\\\"text\\\"\",\"quality\":\"Good\",\"kind\":\"json\""),
        ("json", "[1, 2]", "[1, 2],\"quality\":\"Good\""),
        ("integer", "9007199254740993", "9007199254740993,\"quality\":\"Good\",\"kind\":\"integer\""),
    ];
    let token = plant.token("all", &["read:#"]);
    for (number, (kind, value, expected)) in table.into_iter().enumerate() {
        let time = format!("2026-03-01T00:00:{number:02}Z");
        plant.ok(&["write", "typed", value, "--kind", kind, "--time", &time]);
        let got = String::from_utf8(exported(&plant, &token, "ndjson")).expect("JSON is UTF-8");
        let got = got.lines().last().unwrap_or_default();
        assert_eq!(got, format!("{{\"signal\":\"typed\",\"time\":\"{time}\",\"value\":{expected}}}"));
    }
    for infinite in ["inf", "1e400", "nan"] {
        assert_ne!(plant.run(&["write", "typed", infinite, "--kind", "float"]).code, Some(0), "{infinite}");
    }
}
