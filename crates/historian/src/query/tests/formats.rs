//! How answers are spelled, and that samples written out read back as the same samples.

use std::sync::Arc;

use bytes::Bytes;
use expect_test::expect;
use proptest::prelude::*;
use tidemill_core::{
    ColumnSample, Format, Pattern, Problem, Quality, ReadMode, ReadQuery, ReadScope, SampleSink, Value,
    ValueRef,
};

use super::fake::*;
use super::small::{engine_of, plant};

fn everything() -> ReadQuery {
    ReadQuery {
        patterns: vec![Pattern::everything()],
        from: i64::MIN,
        to: i64::MAX,
        mode: ReadMode::Raw,
        limit: None,
    }
}

/// A plant with what is hard to spell.
fn odd_plant() -> Arc<Plant> {
    let plant = plant();
    for (second, value) in
        [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2]
            .into_iter()
            .enumerate()
    {
        plant.put("odd/float", T0 + second as i64, Value::Float(value));
    }
    for (second, word) in ["", " ", "a\nb", "\u{1}", "=1+1", "NaN", "true", "1"].into_iter().enumerate() {
        plant.put("odd/text, \"with\" all", T0 + second as i64, Value::Text(word.into()));
    }
    plant.put("odd/json", T0, Value::Json("\"word\"".into()));
    plant.put("odd/json", T0 + 1, Value::Json("{\"a\":\n1}".into()));
    plant.put("odd/bytes", T0, Value::Bytes([].as_slice().into()));
    plant.put_with("odd/quality", T0, Value::Float(1.0), Quality(0x8012_0003), None);
    plant.put_with("odd/quality", T0 + 1, Value::Float(1.0), Quality(0x0000_0400), None);
    plant
}

#[test]
fn samples_read_back_as_they_were() {
    expect![[r#"
        acme/press/count,2026-01-01T00:00:00Z,9007199254740993,integer,Good
        acme/press/count,2026-01-01T00:00:01Z,18446744073709551615,unsigned,Good
        acme/press/raw,2026-01-01T00:00:00Z,0x01ff,bytes,Good
        acme/press/recipe,2026-01-01T00:00:00Z,{"a": [1]},json,Good
        acme/press/running,2026-01-01T00:00:00Z,true,boolean,Good
        acme/press/state,2026-01-01T00:00:00Z,idle, "cold",text,Good
        acme/press/state,2026-01-01T00:00:00Z,warm,text,Good
        acme/press/temperature,2026-01-01T00:00:00Z,20.0,float,Good
        acme/press/temperature,2026-01-01T00:00:01Z,20.5,float,Good
        acme/press/temperature,2026-01-01T00:00:02Z,21.25,float,Good
        acme/press/temperature,2026-01-01T00:00:03Z,,none,Bad_NoCommunication
        acme/press/temperature,2026-01-01T00:01:00Z,19.0,float,Good
        beta/mill/temperature,2026-01-01T00:00:00Z,99.5,float,Good
        odd/bytes,2026-01-01T00:00:00Z,0x,bytes,Good
        odd/float,2026-01-01T00:00:00Z,NaN,float,Good
        odd/float,2026-01-01T00:00:00.000000001Z,inf,float,Good
        odd/float,2026-01-01T00:00:00.000000002Z,-inf,float,Good
        odd/float,2026-01-01T00:00:00.000000003Z,-0.0,float,Good
        odd/float,2026-01-01T00:00:00.000000004Z,5e-324,float,Good
        odd/float,2026-01-01T00:00:00.000000005Z,1.7976931348623157e308,float,Good
        odd/float,2026-01-01T00:00:00.000000006Z,0.30000000000000004,float,Good
        odd/json,2026-01-01T00:00:00Z,"word",json,Good
        odd/json,2026-01-01T00:00:00.000000001Z,{"a":
        1},json,Good
        odd/quality,2026-01-01T00:00:00Z,1.0,float,Bad
        odd/quality,2026-01-01T00:00:00.000000001Z,1.0,float,Good
        odd/text, "with" all,2026-01-01T00:00:00Z,,text,Good
        odd/text, "with" all,2026-01-01T00:00:00.000000001Z, ,text,Good
        odd/text, "with" all,2026-01-01T00:00:00.000000002Z,a
        b,text,Good
        odd/text, "with" all,2026-01-01T00:00:00.000000003Z,,text,Good
        odd/text, "with" all,2026-01-01T00:00:00.000000004Z,=1+1,text,Good
        odd/text, "with" all,2026-01-01T00:00:00.000000005Z,NaN,text,Good
        odd/text, "with" all,2026-01-01T00:00:00.000000006Z,true,text,Good
        odd/text, "with" all,2026-01-01T00:00:00.000000007Z,1,text,Good
    "#]]
    .assert_eq(&(exported(&engine(&odd_plant()), everything(), Format::Arrow).join("\n") + "\n"));
}

#[test]
fn tables_as_json_and_csv() {
    let engine = engine_of(&plant());
    let query = "SELECT * FROM (VALUES (1, 'a', 1.5, true, TIMESTAMP '2026-01-01T00:00:00.5Z', [1, NULL], X'00ff', {'k': 'v'}, CAST('NaN' AS DOUBLE)), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)) AS t(n, word, x, yes, at, list, bytes, parts, odd)";
    for (format, expected) in [
        (
            Format::Json,
            expect![[r#"
        {"columns":[{"name":"n","type":"BIGINT"},{"name":"word","type":"TEXT"},{"name":"x","type":"DOUBLE"},{"name":"yes","type":"BOOLEAN"},{"name":"at","type":"TIMESTAMP"},{"name":"list","type":"BIGINT[]"},{"name":"bytes","type":"BYTEA"},{"name":"parts","type":"STRUCT"},{"name":"odd","type":"DOUBLE"}],"rows":[
        [1,"a",1.5,true,"2026-01-01T00:00:00.500",[1,null],"0x00ff",{"k":"v"},"NaN"],
        [null,null,null,null,null,null,null,null,null]]}
    "#]],
        ),
        (
            Format::JsonLines,
            expect![[r#"
        {"n":1,"word":"a","x":1.5,"yes":true,"at":"2026-01-01T00:00:00.500","list":[1,null],"bytes":"0x00ff","parts":{"k":"v"},"odd":"NaN"}
        {"n":null,"word":null,"x":null,"yes":null,"at":null,"list":null,"bytes":null,"parts":null,"odd":null}
    "#]],
        ),
        (
            Format::Csv,
            expect![[r#"
        n,word,x,yes,at,list,bytes,parts,odd
        1,a,1.5,true,2026-01-01T00:00:00.500,"[1,null]",0x00ff,"{""k"":""v""}",NaN
        ,,,,,,,,
    "#]],
        ),
    ] {
        let answer = sql_bytes(&engine, &ReadScope::everything(), query, Vec::new(), format).unwrap();
        expected.assert_eq(&String::from_utf8(answer).unwrap());
    }
    let none = sql_bytes(
        &engine,
        &ReadScope::everything(),
        "SELECT * FROM samples WHERE false",
        Vec::new(),
        Format::Json,
    );
    let none: serde_json::Value = serde_json::from_slice(&none.unwrap()).unwrap();
    assert_eq!(none["rows"], serde_json::json!([]));
}

#[test]
fn binary_answers_open_elsewhere() {
    let engine = engine_of(&plant());
    let query = "SELECT signal, time, value, array_agg(signal) OVER () AS all_of_them FROM samples ORDER BY signal, time";
    let ask = |format| {
        Bytes::from(sql_bytes(&engine, &ReadScope::everything(), query, Vec::new(), format).unwrap())
    };
    let stream =
        arrow::ipc::reader::StreamReader::try_new(std::io::Cursor::new(ask(Format::Arrow)), None).unwrap();
    let types: Vec<String> =
        stream.schema().fields().iter().map(|field| field.data_type().to_string()).collect();
    expect![[r#"
        Utf8
        Timestamp(ns, "UTC")
        Float64
        List(Utf8)"#]]
    .assert_eq(&types.join("\n"));
    let rows: usize = stream.map(|batch| batch.unwrap().num_rows()).sum();
    let file =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(ask(Format::Parquet)).unwrap();
    assert_eq!(file.metadata().file_metadata().num_rows() as usize, rows);
    assert_eq!(file.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 13);
}

#[test]
fn limits_and_long_answers_come_in_pieces() {
    let plant = Arc::new(Plant::default());
    let id = plant.id("many");
    let stored = (0..200_000i64).map(|n| Stored {
        signal: id,
        time: T0 + n,
        value: Value::Float(n as f64 / 7.0),
        quality: Quality::GOOD,
        received: None,
        source: Default::default(),
    });
    plant.put_all(stored);
    let engine = engine(&plant);
    for format in Format::ALL {
        let sizes = wait(async {
            let mut chunks = engine
                .export(&ReadScope::everything(), everything(), format, BUDGET)
                .await
                .map_err(|p| p.to_string())
                .unwrap();
            let mut sizes = Vec::new();
            while let Some(chunk) = chunks.next().await {
                sizes.push(chunk.unwrap().len());
            }
            sizes
        });
        let largest = sizes.iter().max().copied().unwrap_or_default();
        assert!(sizes.len() > 1 && largest < 6 << 20, "{format:?} {} pieces, largest {largest}", sizes.len());
    }
    let lines =
        |limit| exported(&engine, ReadQuery { limit: Some(limit), ..everything() }, Format::Arrow).len();
    assert_eq!([lines(0), lines(1), lines(40_000)], [0, 1, 40_000]);
}

/// Keeps what comes, bit by bit, as lines.
#[derive(Default)]
struct Lines(Vec<String>);

impl SampleSink for Lines {
    fn sample(&mut self, sample: &ColumnSample<'_>) -> Result<(), (&'static str, Problem)> {
        let time = sample.time.unwrap();
        self.0.push(line(sample.signal, time, sample.value, sample.quality));
        Ok(())
    }
}

fn line(name: &str, time: i64, value: ValueRef<'_>, quality: Quality) -> String {
    let bits = match value {
        ValueRef::Float(value) => format!("{:x}", value.to_bits()),
        value => format!("{value:?}"),
    };
    format!("{name} {time} {:?} {bits} {:x}", value.kind(), quality.0)
}

fn kept(plant: &Plant) -> Vec<String> {
    let signals = plant.signals();
    let mut rows: Vec<String> = plant
        .samples()
        .iter()
        .filter_map(|stored| {
            let signal = signals.iter().find(|signal| signal.id == stored.signal)?;
            (!signal.retired)
                .then(|| line(signal.path.as_str(), stored.time, stored.value.as_ref(), stored.quality))
        })
        .collect();
    rows.sort();
    rows
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::None),
        any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::UInt),
        any::<bool>().prop_map(Value::Bool),
        "\\PC{0,8}".prop_map(|text| Value::Text(text.into())),
        Just(Value::Json("{\"a\":1}".into())),
        proptest::collection::vec(any::<u8>(), 0..6).prop_map(|bytes| Value::Bytes(bytes.into())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_exported_reads_back_bit_by_bit(
        samples in proptest::collection::vec(("[abc]{1,2}", any::<i64>(), values(), any::<u32>()), 0..40),
    ) {
        let plant = Arc::new(Plant::default());
        for (name, time, value, quality) in &samples {
            // No value is ever good; and `to` is excluded: the last nanosecond cannot be asked for.
            let quality = if *value == Value::None { Quality(*quality | 0x8000_0000) } else { Quality(*quality) };
            plant.put_with(name, (*time).min(i64::MAX - 1), value.clone(), quality, None);
        }
        let engine = engine(&plant);
        for format in [Format::Arrow, Format::Parquet] {
            let body = export(&engine, everything(), format);
            let mut back = Lines::default();
            crate::query::decode(format, body, &mut back).unwrap();
            back.0.sort();
            prop_assert_eq!(back.0, kept(&plant), "{:?}", format);
        }
    }
}
