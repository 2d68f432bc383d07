//! What a query takes and gives, told before it runs, and parameters as other programs send them.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, DictionaryArray,
    DurationMillisecondArray, Float32Array, Int16Array, ListArray, NullArray, RecordBatch, StringArray,
    TimestampMillisecondArray, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Float64Type, Int8Type, SchemaRef, i256};
use arrow::ipc::reader::StreamReader;
use bytes::Bytes;
use expect_test::expect;
use tidemill_core::{Format, ReadScope, SqlQuery, Value};

use super::fake::*;
use super::small::{engine_of, plant};
use crate::query::formats::of_table;
use crate::query::{Engine, values};

fn told(stream: &Bytes) -> String {
    let schema = StreamReader::try_new(stream.as_ref(), None).unwrap().schema();
    let fields = schema.fields().iter();
    let field = |null| if null { "?" } else { "" };
    let fields =
        fields.map(|each| format!("{} {}{}", each.name(), each.data_type(), field(each.is_nullable())));
    fields.collect::<Vec<_>>().join(", ")
}

fn shape(engine: &Engine, text: &str, parameters: Vec<Value>) -> String {
    let query = SqlQuery { text: text.to_owned(), parameters };
    match engine.block_on(engine.sql_shape(&ReadScope::everything(), query, BUDGET)).unwrap() {
        Ok(shape) => format!("{} <- {}", told(&shape.columns), told(&shape.parameters)),
        Err(problem) => problem.to_string(),
    }
}

#[test]
fn a_query_is_told_before_it_runs() {
    let engine = engine_of(&plant());
    let mut shown = String::new();
    for text in [
        "SELECT signal, time, value FROM samples",
        "SELECT count(*), max(time) FROM samples WHERE signal = $1 AND time > $2 AND value < $3",
        "SELECT value * $2 FROM samples WHERE signal LIKE $1",
        "SELECT $1",
        "SELECT date_bin($1, time) FROM samples LIMIT $2",
        "SHOW TABLES",
        "SELECT wrong FROM samples WHERE signal = $1",
        "SELECT 1 WHERE $0 = 1",
        "DELETE FROM samples WHERE signal = $1",
    ] {
        shown += &format!("> {text}\n{}\n", shape(&engine, text, Vec::new()));
    }
    shown += &shape(&engine, "SELECT $1 AS one, $2 AS two", vec![Value::Float(1.0), Value::Text("x".into())]);
    expect![[r#"
        > SELECT signal, time, value FROM samples
        signal Utf8, time Timestamp(ns, "UTC"), value Float64? <- 
        > SELECT count(*), max(time) FROM samples WHERE signal = $1 AND time > $2 AND value < $3
        count(*) Int64, max(time) Timestamp(ns, "UTC")? <- $1 Utf8?, $2 Timestamp(ns, "UTC")?, $3 Float64?
        > SELECT value * $2 FROM samples WHERE signal LIKE $1
        value * $2 Float64? <- $1 Utf8?, $2 Float64?
        > SELECT $1
        $1 Null? <- $1 Utf8?
        > SELECT date_bin($1, time) FROM samples LIMIT $2
        date_bin($1, time) Timestamp(ns, "UTC")? <- $1 Utf8?, $2 Utf8?
        > SHOW TABLES
        table_catalog Utf8, table_schema Utf8, table_name Utf8, table_type Utf8 <- 
        > SELECT wrong FROM samples WHERE signal = $1
        bad-sql: there is no column 'wrong' (line 1, column 8). There are: signal, time, value, integer, text, quality, received, kind, source
        > SELECT 1 WHERE $0 = 1
        bad-sql: '$0' is no parameter: write $1, $2, … up to $1000. See docs/reference/sql.md for tables and functions
        > DELETE FROM samples WHERE signal = $1
        bad-sql: DELETE is not allowed: this door only reads. Use SELECT, EXPLAIN, DESCRIBE or SHOW TABLES; values are written by /api/v1/write
        one Float64, two Utf8 <- "#]].assert_eq(&shown);
}

/// The answer begins with the very bytes that were told.
#[test]
fn what_is_told_is_what_comes() {
    let engine = engine_of(&plant());
    for text in [
        "SELECT * FROM samples",
        "SELECT * FROM signals",
        "SELECT count(*) AS n FROM sys.doors",
        "EXPLAIN SELECT 1",
    ] {
        let query = SqlQuery { text: text.to_owned(), parameters: Vec::new() };
        let everything = ReadScope::everything();
        let shape = engine.block_on(engine.sql_shape(&everything, query.clone(), BUDGET)).unwrap().unwrap();
        let first = engine.block_on(async {
            let mut chunks = engine.sql(&everything, query, Format::Arrow, BUDGET).await.unwrap();
            chunks.next().await.unwrap().unwrap()
        });
        assert!(first.unwrap().starts_with(&shape.columns), "{text}");
    }
}

fn stream(columns: Vec<(&str, ArrayRef)>) -> Bytes {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut encoder = of_table(Format::Arrow);
    let schema: SchemaRef = batch.schema();
    encoder.begin(&schema).unwrap();
    encoder.rows(&batch).unwrap();
    encoder.end().unwrap();
    Bytes::from(std::mem::take(encoder.written()))
}

#[test]
fn parameters_of_every_type() {
    let day = Date32Array::from(vec![Some(20_454), None]);
    let dictionary: DictionaryArray<Int8Type> = vec![Some("b"), None].into_iter().collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("1", Arc::new(NullArray::new(2))),
        ("2", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("3", Arc::new(Int16Array::from(vec![Some(-5), None]))),
        ("4", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
        ("5", Arc::new(Float32Array::from(vec![Some(0.5), None]))),
        ("6", Arc::new(Decimal128Array::from(vec![Some(125), None]).with_precision_and_scale(5, 2).unwrap())),
        ("7", Arc::new(StringArray::from(vec![Some("a"), None]))),
        ("8", Arc::new(dictionary)),
        ("9", Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\x01\xff"), None]))),
        (
            "10",
            Arc::new(
                TimestampMillisecondArray::from(vec![Some(T0 / 1_000_000), None])
                    .with_timezone("Europe/Berlin"),
            ),
        ),
        ("11", Arc::new(day)),
    ];
    let rows = values(Format::Arrow, stream(columns)).unwrap();
    let shown: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
    expect![[r#"
        [None, Bool(true), Int(-5), UInt(18446744073709551615), Float(0.5), Json("{\"decimal\":\"1.25\",\"digits\":5}"), Text("a"), Text("b"), Bytes([1, 255]), Text("2026-01-01T00:00:00Z"), Text("2026-01-01")]
        [None, None, None, None, None, None, None, None, None, None, None]"#]].assert_eq(&shown.join("\n"));
}

/// Of several rows too, whose answers must have the same columns.
#[test]
fn decimals_and_durations_stay_what_they_are() {
    let decimals = |units: Vec<Option<i128>>| {
        Decimal128Array::from(units).with_precision_and_scale(10, 2).expect("as many digits")
    };
    let item = Arc::new(Field::new("item", DataType::Decimal128(10, 2), true));
    let offsets = OffsetBuffer::from_lengths([2, 1]);
    let items = Arc::new(decimals(vec![Some(1_250), None, Some(100)]));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("1", Arc::new(decimals(vec![Some(1_250), Some(-5)]))),
        ("2", Arc::new(DurationMillisecondArray::from(vec![1_500, -1]))),
        ("3", Arc::new(ListArray::new(item, offsets, items, None))),
    ];
    let rows = values(Format::Arrow, stream(columns)).unwrap();
    let engine = engine_of(&plant());
    for (row, expected) in
        rows.into_iter().zip(["a,later,among\n12.50,true,true\n", "a,later,among\n-0.05,false,false\n"])
    {
        let told = shape(&engine, "SELECT $1 AS a, $2 AS b", row.clone());
        assert!(told.starts_with("a Decimal128(10, 2)") && told.contains("b Duration(ms)"), "{told}");
        let text = "SELECT $1 AS a, TIMESTAMP '2026-01-01T00:00:00Z' + $2 > TIMESTAMP '2026-01-01T00:00:01Z' AS later, $1 = ANY($3) AS among";
        let answer = sql_bytes(&engine, &ReadScope::everything(), text, row, Format::Csv).unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), expected);
    }
    let wide = Decimal256Array::from(vec![Some(i256::ONE)]).with_precision_and_scale(50, 2).unwrap();
    let problem = values(Format::Arrow, stream(vec![("1", Arc::new(wide))])).unwrap_err().to_string();
    assert!(problem.contains("a decimal of 50 digits"), "{problem}");
}

#[test]
fn parameters_that_are_none_are_refused() {
    let list = ListArray::from_iter_primitive::<Float64Type, _, _>([Some([Some(f64::NAN)])]);
    let many = StringArray::from_iter_values(["x".repeat(1 << 20)].iter().cycle().take(20));
    let mut cut = stream(vec![("1", Arc::new(BooleanArray::from(vec![true])))]).to_vec();
    cut.truncate(cut.len() - 20);
    let table = [
        (stream(vec![("1", Arc::new(list))]), "a float that is no number"),
        (stream(vec![("1", Arc::new(many))]), "more than 16777216 bytes of parameters"),
        (stream(vec![("1", Arc::new(BooleanArray::from(vec![true; 10_001])))]), "more than 10000 rows"),
        (Bytes::from(cut), "it ends within a message"),
        (Bytes::new(), "it is empty"),
        (Bytes::from_static(b"nonsense that is no stream"), "it ends within a message"),
    ];
    for (body, why) in table {
        let problem = values(Format::Arrow, body).unwrap_err().to_string();
        assert!(problem.contains(why), "{problem}");
    }
    assert_eq!(values(Format::Csv, Bytes::new()).unwrap_err().code.id, "unsupported-format");
}
