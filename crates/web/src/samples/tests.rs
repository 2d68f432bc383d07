//! The reader of JSON against another reader, and that nothing panics.

use std::ops::ControlFlow;

use proptest::prelude::*;
use tidemill_core::{NumberKind, Quality, Row, SignalId};

use super::decode::{Layout, Sample, Take, decode};
use super::json::{Member, Reader};
use super::{JSON_DEPTH_MAX, encode};
use crate::error::{Fault, Refused};
use crate::times::{TimeStyle, TimeUnit};

/// Whether our reader takes the whole text as one value.
fn reads(text: &str) -> bool {
    let mut reader = Reader::new(text, 0);
    let read = reader.value(0).is_ok();
    reader.skip_space();
    read && reader.peek().is_none()
}

#[test]
fn grammar() {
    let table = [
        ("0", true),
        ("-0.5e+10", true),
        ("01", false),
        ("1.", false),
        (".5", false),
        ("+1", false),
        ("1e", false),
        ("\"\\u00e9\\ud83d\\ude00\\n\"", true),
        ("\"\\ud83d\"", false),
        ("\"\\udc00\"", false),
        ("\"\\x\"", false),
        ("\"\t\"", false),
        ("[1,]", false),
        ("[,1]", false),
        ("{\"a\":1,}", false),
        ("{\"a\" 1}", false),
        ("{a:1}", false),
        ("[[], {}, null, true, false]", true),
        ("nul", false),
        ("", false),
        ("{\"a\":1,\"a\":2}", false),
        ("{\"a\":1,\"\\u0061\":2}", false),
    ];
    for (text, expected) in table {
        assert_eq!(reads(text), expected, "{text}");
    }
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(reads(&nested(JSON_DEPTH_MAX)));
    assert!(!reads(&nested(JSON_DEPTH_MAX + 1)));
    assert!(!reads(&"[".repeat(1_000_000)));
}

/// Remembers what it was given.
#[derive(Default)]
struct Kept {
    samples: Vec<(String, Option<i64>, tidemill_core::Value, Quality)>,
    refused: Vec<String>,
}

impl Take for Kept {
    fn sample(&mut self, sample: &Sample<'_>) -> Result<(), Fault> {
        let value = sample.value(NumberKind::Float)?.as_ref().to_value();
        let quality = sample.quality()?;
        self.samples.push((sample.signal.to_string(), sample.time(TimeUnit::Nanoseconds)?, value, quality));
        Ok(())
    }

    fn bad(&mut self, refused: Refused) -> ControlFlow<()> {
        self.refused.push(refused.error.to_string());
        ControlFlow::Continue(())
    }
}

fn values() -> impl Strategy<Value = tidemill_core::Value> {
    use tidemill_core::Value;
    prop_oneof![
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(Value::Float),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::UInt),
        any::<bool>().prop_map(Value::Bool),
        "\\PC{0,9}|[\u{0}-\u{1f}\"\\\\]{0,4}".prop_map(|text| Value::Text(text.into())),
        Just(Value::Json("{\"a\":[1,2]}".into())),
        Just(Value::Json("5".into())),
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(|bytes| Value::Bytes(bytes.into())),
    ]
}

/// Texts that are JSON, or nearly.
fn texts() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{0,3})?([eE][+-]?[0-9]{0,3})?",
        "\"[a-c\\\\\"nu0-9dA-F\u{e9}\u{1}]{0,8}\"",
        Just("true".to_owned()),
        Just("null".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(" ,"))),
            proptest::collection::vec(inner, 0..4).prop_map(|all| {
                let members = all.iter().enumerate().map(|(index, value)| format!("\"k{index}\": {value}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn agrees_with_another_reader(text in texts()) {
        // Numbers beyond f64 are refused there by size, here by what they are meant for.
        if let Err(error) = serde_json::from_str::<serde_json::Value>(&text)
            && error.to_string().contains("out of range")
        {
            return Ok(());
        }
        prop_assert_eq!(reads(&text), serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
    }

    #[test]
    fn strings_are_read_alike(text in "\\PC{0,20}|[\u{0}-\u{1f}\"\\\\]{0,9}") {
        let written = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(Reader::new(&written, 0).value(0).unwrap(), Member::Text(text.as_str().into()));
        let mut ours = String::new();
        encode::write_text(&text, &mut ours);
        prop_assert_eq!(serde_json::from_str::<String>(&ours).unwrap(), text);
    }

    #[test]
    fn what_is_encoded_is_decoded(value in values(), time: i64, code: u32, name in "[a-cä\" ]{1,5}") {
        let quality = Quality(code);
        let row = Row { signal: SignalId::new(1).unwrap(), time, value: value.as_ref(), quality };
        let mut text = String::new();
        encode::write_sample(&name, &row, TimeStyle::Rfc3339, &mut text);
        let mut kept = Kept::default();
        decode(text.as_bytes(), Layout::JsonLines, &mut kept);
        prop_assert_eq!(&kept.refused, &Vec::<String>::new(), "{}", text);
        prop_assert_eq!(&kept.samples, &vec![(name, Some(time), value, quality)], "{}", text);
    }

    #[test]
    fn no_bytes_panic(body in proptest::collection::vec(prop_oneof![Just(b'{'), Just(b'"'), Just(b':'), Just(b','), Just(b'['), Just(b'\\'), any::<u8>()], 0..80)) {
        decode(&body, Layout::Json, &mut Kept::default());
        decode(&body, Layout::JsonLines, &mut Kept::default());
    }

    #[test]
    fn no_text_panics(text in texts()) {
        let sample = format!("[{{\"signal\":\"a\",\"time\":{text},\"value\":{text},\"quality\":{text},\"kind\":\"float\"}}]");
        decode(sample.as_bytes(), Layout::Json, &mut Kept::default());
    }
}

#[test]
fn floats_keep_their_sign_and_no_needless_point() {
    for (value, text) in [(-0.0, "-0.0"), (0.0, "0"), (-1.0, "-1"), (1.5, "1.5"), (-10.0, "-10")] {
        let mut out = String::new();
        super::encode::write_float(value, &mut out);
        assert_eq!(out, text);
        let read: f64 = serde_json::from_str::<serde_json::Value>(&out).unwrap().as_f64().unwrap();
        assert_eq!((read, read.is_sign_negative()), (value, value.is_sign_negative()), "{text}");
    }
}
