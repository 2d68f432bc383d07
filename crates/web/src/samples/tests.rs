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
    /// What the metadata of every signal says of numbers.
    number: NumberKind,
}

impl Take for Kept {
    fn sample(&mut self, sample: &Sample<'_>) -> Result<(), Fault> {
        let value = sample.value(self.number)?.as_ref().to_value();
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
        any::<f64>().prop_map(|value| Value::Float(if value.is_nan() { f64::NAN } else { value })),
        proptest::sample::select(vec![
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            -0.0,
            9.007_199_254_740_993e15
        ])
        .prop_map(Value::Float),
        Just(Value::None),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::UInt),
        any::<bool>().prop_map(Value::Bool),
        "\\PC{0,9}|[\u{0}-\u{1f}\"\\\\]{0,4}".prop_map(|text| Value::Text(text.into())),
        "\\PC{0,9}".prop_map(|text| Value::Text(text.into())),
        proptest::sample::select(DOCUMENTS.to_vec()).prop_map(|text| Value::Json(text.into())),
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(|bytes| Value::Bytes(bytes.into())),
    ]
}

/// Documents of every form; some no reader of ours takes in their place, and all come back as they are.
const DOCUMENTS: &[&str] = &[
    "{\"a\":[1,2]}",
    "[]",
    "5",
    "1.50e3",
    "18446744073709551616",
    "\"text\"",
    "\"\\u0041\\\"\"",
    "true",
    "null",
    " 7 ",
    "{\n \"a\": 1\n}",
    "{\"a\":1,\"a\":2}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
];

/// Equal to the last bit, which also tells zeros apart and not NaN from itself.
fn same(one: &tidemill_core::Value, other: &tidemill_core::Value) -> bool {
    use tidemill_core::Value::Float;
    match (one, other) {
        (Float(one), Float(other)) => one.to_bits() == other.to_bits(),
        _ => one == other,
    }
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
    fn what_is_encoded_is_decoded(value in values(), time: i64, code: u32, name in "[a-cä\" ]{1,5}", integer: bool) {
        // No value is ever good.
        let code = if value == tidemill_core::Value::None { code | 0x8000_0000 } else { code };
        let quality = Quality(code);
        let row = Row { signal: SignalId::new(1).unwrap(), time, value: value.as_ref(), quality };
        let mut text = String::new();
        encode::write_sample(&name, &row, TimeStyle::Rfc3339, &mut text);
        let number = if integer { NumberKind::Integer } else { NumberKind::Float };
        for (layout, body) in [(Layout::JsonLines, text.clone()), (Layout::Json, format!("[{text}]"))] {
            let mut kept = Kept { number, ..Kept::default() };
            decode(body.as_bytes(), layout, &mut kept);
            prop_assert_eq!(&kept.refused, &Vec::<String>::new(), "{}", text);
            let [(signal, read_time, read, read_quality)] = kept.samples.as_slice() else { panic!("{text}") };
            prop_assert_eq!((signal, *read_time, *read_quality), (&name, Some(time), quality), "{}", text);
            prop_assert!(same(read, &value), "{}", text);
        }
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
fn floats_keep_their_sign_and_are_no_integers() {
    let table =
        [(-0.0, "-0.0"), (0.0, "0.0"), (-1.0, "-1.0"), (1.5, "1.5"), (1e300, "1e300"), (5e-324, "5e-324")];
    for (value, text) in table {
        let mut out = String::new();
        encode::write_float(value, &mut out);
        assert_eq!(out, text);
        let read: f64 = serde_json::from_str::<serde_json::Value>(&out).unwrap().as_f64().unwrap();
        assert_eq!(read.to_bits(), value.to_bits(), "{text}");
    }
}

#[test]
fn values_that_json_has_no_form_for() {
    let table = [
        (r#""NaN","kind":"float""#, "Float(NaN)"),
        (r#""-Infinity","kind":"float""#, "Float(-inf)"),
        (r#""NaN""#, "Text(\"NaN\")"),
        (
            r#""nan","kind":"float""#,
            "the value is not of the kind 'float': write a number, \"NaN\", \"Infinity\" or \"-Infinity\"",
        ),
        (r#"9007199254740993,"kind":"integer""#, "Int(9007199254740993)"),
        (r#"18446744073709551615,"kind":"unsigned""#, "UInt(18446744073709551615)"),
        (r#"9007199254740993"#, "Float(9007199254740992.0)"),
        (r#"5,"kind":"json""#, "Json(\"5\")"),
        (r#"[1, 2],"kind":"json""#, "Json(\"[1, 2]\")"),
        (r#"[1, 2]"#, "Json(\"[1, 2]\")"),
        (r#""5","kind":"json""#, "Json(\"5\")"),
        (r#""\"five\"","kind":"json""#, "Json(\"\\\"five\\\"\")"),
        (r#""null","kind":"json""#, "Json(\"null\")"),
        (r#"null,"kind":"json""#, "None"),
        (r#"null,"kind":"none""#, "None"),
        (
            r#""five","kind":"json""#,
            "the value is not of the kind 'json': the string holds no JSON document; a document that is a text is \"\\\"text\\\"\"",
        ),
        (r#""0x00fF","kind":"bytes""#, "Bytes([0, 255])"),
        (r#""0x","kind":"bytes""#, "Bytes([])"),
        (
            r#""00ff","kind":"bytes""#,
            "the value is not of the kind 'bytes': bytes are written as \"0x\" and pairs of hex digits",
        ),
    ];
    for (value, expected) in table {
        let mut kept = Kept::default();
        decode(format!("{{\"signal\":\"a\",\"value\":{value}}}").as_bytes(), Layout::Json, &mut kept);
        let got = match kept.samples.first() {
            Some((_, _, value, _)) => format!("{value:?}"),
            None => kept.refused.join("; "),
        };
        assert_eq!(got, expected, "{value}");
    }
}
