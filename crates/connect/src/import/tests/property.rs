//! What is written in any dialect is read as it was; what is sent reads back to the same bits; nothing panics.

use proptest::prelude::*;
use tidemill_core::{Value, rfc3339};

use super::*;

/// How one file is written.
#[derive(Debug, Clone)]
struct Dialect {
    separator: char,
    comma: bool,
    quoted: bool,
    line_end: &'static str,
    encoding: u8,
    /// RFC 3339, German, month first, epoch in ms.
    time: u8,
    units: bool,
}

fn dialect() -> impl Strategy<Value = Dialect> {
    let separator = prop::sample::select(vec![',', ';', '\t', '|']);
    let line_end = prop::sample::select(vec!["\n", "\r\n"]);
    (separator, any::<bool>(), any::<bool>(), line_end, 0..5u8, 0..4u8, any::<bool>()).prop_map(
        |(separator, comma, quoted, line_end, encoding, time, units)| {
            // A comma that separates cannot be a decimal mark, unless numbers are quoted.
            let quoted = quoted || (comma && separator == ',');
            Dialect { separator, comma, quoted, line_end, encoding, time, units }
        },
    )
}

impl Dialect {
    fn time(&self, millis: i64) -> String {
        let time = jiff::Timestamp::from_millisecond(millis).unwrap().to_zoned(TimeZone::UTC);
        match self.time {
            0 => time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            1 => time.strftime("%d.%m.%Y %H:%M:%S%.3f").to_string(),
            2 => time.strftime("%m/%d/%Y %I:%M:%S%.3f %p").to_string(),
            _ => millis.to_string(),
        }
    }

    fn number(&self, value: f64) -> String {
        let text = format!("{value}");
        if self.comma { text.replace('.', ",") } else { text }
    }

    fn row(&self, cells: &[String]) -> String {
        let cell = |text: &String| {
            if self.quoted { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.clone() }
        };
        let row = cells.iter().map(cell).collect::<Vec<_>>().join(&self.separator.to_string());
        row + self.line_end
    }

    fn bytes(&self, text: &str) -> Vec<u8> {
        match self.encoding {
            0 => text.as_bytes().to_vec(),
            1 => [b"\xEF\xBB\xBF", text.as_bytes()].concat(),
            2 => [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect(),
            3 => [0xFE, 0xFF].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect(),
            _ => encoding_rs::WINDOWS_1252.encode(text).0.into_owned(),
        }
    }
}

/// Milliseconds from 1981 to 2065, and finite values of every size that people write out.
fn rows() -> impl Strategy<Value = Vec<(i64, f64, f64)>> {
    let value = prop_oneof![-1e6..1e6f64, any::<i32>().prop_map(|int| f64::from(int) / 128.0), -1.0..1.0f64];
    prop::collection::vec((360_000_000_000..3_000_000_000_000i64, value.clone(), value), 1..30)
}

/// Values of every kind.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::None),
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(Value::Float),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::UInt),
        any::<bool>().prop_map(Value::Bool),
        "[ a-zäN,;\"\\r\\n\\t#]{0,12}".prop_map(|text| Value::Text(text.into())),
        Just(Value::Json("{\"a\": [1, null]}".into())),
        prop::collection::vec(any::<u8>(), 0..4).prop_map(|bytes| Value::Bytes(bytes.into())),
    ]
}

fn samples_of(bytes: &[u8]) -> Vec<Sample> {
    let options = Options { prefix: Some("p".to_owned()), ..Options::new(TimeZone::UTC) };
    let mut reader = open_bytes("t.csv", bytes, &options).unwrap();
    let mut out = Vec::new();
    while let Some(part) = reader.next_part().unwrap() {
        let Part::Samples(batch) = part else { panic!("a table") };
        assert_eq!(batch.rejects, []);
        out.extend(batch.samples);
    }
    out
}

proptest! {
    #[test]
    fn what_is_written_is_read(dialect in dialect(), rows in rows()) {
        let unit = if dialect.units { " [°C]" } else { "" };
        let mut text = dialect.row(&["Zeit".to_owned(), format!("Öl{unit}"), "Luft".to_owned()]);
        // One row that leaves no doubt about the marks.
        let sure = (1_700_000_000_123i64, 0.5, 0.25);
        let all: Vec<_> = std::iter::once(sure).chain(rows).collect();
        for (time, first, second) in &all {
            text += &dialect.row(&[dialect.time(*time), dialect.number(*first), dialect.number(*second)]);
        }
        let read = samples_of(&dialect.bytes(&text));
        let expected: Vec<(u32, i64, u64)> = all
            .iter()
            .flat_map(|(time, first, second)| [(0, time * 1_000_000, first.to_bits()), (1, time * 1_000_000, second.to_bits())])
            .collect();
        let got: Vec<(u32, i64, u64)> = read
            .iter()
            .map(|sample| match sample.value {
                Value::Float(value) => (sample.signal, sample.time, value.to_bits()),
                ref other => panic!("{other:?}"),
            })
            .collect();
        prop_assert_eq!(got, expected, "{}", text);
    }

    #[test]
    fn what_is_sent_reads_back_to_the_same_bits(bits: u64, time: i64, text in "\\PC{0,20}", code: u32) {
        let float = f64::from_bits(bits);
        prop_assume!(float.is_finite());
        let path = tidemill_core::SignalPath::new("acme/\"x\"").unwrap();
        let signals = [Signal { path, unit: String::new() }];
        let quality = Quality(code);
        let sample = |value| Sample { signal: 0, time, value, quality, row: 0 };
        let batch = Batch { samples: vec![sample(Value::Float(float)), sample(Value::Text(text.as_str().into()))], ..Batch::default() };
        let mut body = Vec::new();
        encode(&batch, &signals, &mut body);
        let body = String::from_utf8(body).unwrap();
        let lines: Vec<std::collections::HashMap<String, &serde_json::value::RawValue>> =
            body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(lines[0]["value"].get().parse::<f64>().unwrap().to_bits(), bits);
        prop_assert_eq!(lines[0]["time"].get().parse::<i64>().unwrap(), time);
        prop_assert_eq!(serde_json::from_str::<String>(lines[1]["value"].get()).unwrap(), text);
        prop_assert_eq!(serde_json::from_str::<String>(lines[0]["signal"].get()).unwrap(), "acme/\"x\"");
        let sent = lines[0].get("quality").map_or(Ok(Quality::GOOD), |raw| Quality::parse(&serde_json::from_str::<String>(raw.get()).unwrap()));
        prop_assert_eq!(sent.unwrap(), quality);
    }

    #[test]
    fn our_own_exports_come_back(rows in prop::collection::vec((any::<i64>(), value(), any::<u32>()), 1..20)) {
        let mut csv = "signal,time,value,kind,quality\r\n".to_owned();
        for (time, value, quality) in &rows {
            let stamp = rfc3339(*time);
            let text = if *value == Value::None { String::new() } else { value.to_string() };
            let quoted = text.is_empty() && *value != Value::None || text.contains([',', '"', '\r', '\n']);
            let text = if quoted { format!("\"{}\"", text.replace('"', "\"\"")) } else { text };
            csv += &format!("acme/x,{stamp},{text},{},{}\r\n", value.as_ref().kind().name(), Quality(*quality));
        }
        let read: Vec<_> = samples_of(csv.as_bytes()).into_iter().map(|sample| (sample.time, sample.value, sample.quality.0)).collect();
        prop_assert_eq!(read, rows, "{}", csv);
    }

    #[test]
    fn epochs_keep_every_nanosecond(time in 1_000_000_000_000_000_000..2_000_000_000_000_000_000i64) {
        let seconds = format!("time,a\n{}.{:09},1\n", time / 1_000_000_000, time % 1_000_000_000);
        let nanos = format!("time,a\n{time},1\n");
        prop_assert_eq!(samples_of(seconds.as_bytes())[0].time, time);
        prop_assert_eq!(samples_of(nanos.as_bytes())[0].time, time);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        exercise(&bytes);
    }

    #[test]
    fn no_text_panics(text in "([ -~äµ\n\r\t;,\"|{}\\[\\]0-9.:/-]|time|a|NaN|2024-01-02|T00:00:00Z|,|;|\n|value=|=1 |\\\\){0,120}") {
        exercise(text.as_bytes());
        let table = format!("time,a,b\n2024-01-02T00:00:00Z,1,x\n{text}\n");
        exercise(table.as_bytes());
        exercise(format!("{{\"time\":1704153600,\"a\":1}}\n{text}").as_bytes());
        exercise(format!("m,a=b c=1 1704153600\n{text}").as_bytes());
    }
}
