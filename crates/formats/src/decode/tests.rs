//! Bodies as other programs write them, wrong ones, and hostile ones.

mod checksums;
mod contradictions;
mod far_times;
mod local_times;

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use bytes::Bytes;
use expect_test::expect;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use tidemill_core::{ColumnSample, Format, Problem, SampleSink, codes};

use super::{ColumnFile, Naming, decode, measure};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
        .unwrap()
}

fn stream(batch: &RecordBatch) -> Bytes {
    let mut body = Vec::new();
    let mut writer = StreamWriter::try_new(&mut body, batch.schema_ref()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    body.into()
}

fn file(batch: &RecordBatch) -> Bytes {
    let mut body = Vec::new();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap()))
        .build();
    let mut writer = ArrowWriter::try_new(&mut body, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    body.into()
}

/// Keeps what comes as text.
#[derive(Default)]
struct Kept(Vec<String>);

impl SampleSink for Kept {
    fn sample(&mut self, sample: &ColumnSample<'_>) -> Result<(), (&'static str, Problem)> {
        if sample.signal.starts_with("closed/") {
            return Err(("signal", Problem::new(&codes::FORBIDDEN, "it is closed")));
        }
        let time = sample.time.map_or("now".to_owned(), |time| time.to_string());
        self.0.push(format!("{} {time} {:?} {}", sample.signal, sample.value, sample.quality));
        Ok(())
    }
}

/// What a body is taken for, or why it is not.
fn show(format: Format, body: Bytes) -> String {
    let measured = measure(format, &body);
    let mut kept = Kept::default();
    match decode(format, body, &mut kept) {
        Ok(()) => {
            assert_eq!(measured.unwrap().rows, kept.0.len() as u64, "so many were announced");
            kept.0.join("\n")
        }
        Err(problem) => problem.to_string(),
    }
}

fn names(names: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(names.to_vec()))
}

fn times(times: &[i64]) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from(times.to_vec()).with_timezone("UTC"))
}

fn floats(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

#[test]
fn columns_of_every_type() {
    let two = || names(&["a/b", "c"]);
    let dictionary: DictionaryArray<Int32Type> = vec!["a/b", "c"].into_iter().collect();
    let bodies: Vec<(&str, RecordBatch)> = vec![
        ("floats", batch(vec![("signal", two()), ("time", times(&[1, 2])), ("value", floats(&[1.5, -0.0]))])),
        (
            "dictionary of names, milliseconds without a zone",
            batch(vec![
                ("signal", Arc::new(dictionary)),
                ("time", Arc::new(TimestampMillisecondArray::from(vec![1, -2]))),
                ("value", Arc::new(Int16Array::from(vec![Some(7), None]))),
            ]),
        ),
        (
            "integer nanoseconds, unsigned, numbers as quality",
            batch(vec![
                ("signal", two()),
                ("time", Arc::new(Int64Array::from(vec![Some(9), None]))),
                ("value", Arc::new(UInt64Array::from(vec![u64::MAX, 1]))),
                ("quality", Arc::new(UInt32Array::from(vec![Some(0x8031_0000), None]))),
            ]),
        ),
        (
            "texts as times, truth, words as quality",
            batch(vec![
                ("signal", Arc::new(StringViewArray::from(vec!["a/b", "c"]))),
                ("time", names(&["1970-01-01T00:00:00.000000001Z", "1970-01-01T01:00:00+01:00"])),
                ("value", Arc::new(BooleanArray::from(vec![true, false]))),
                ("quality", names(&["good", "Bad_NoData"])),
            ]),
        ),
        (
            "text and bytes by kind",
            batch(vec![
                ("signal", two()),
                ("time", times(&[1, 2])),
                ("value", names(&["{}", "0x00ff"])),
                ("kind", names(&["json", "bytes"])),
            ]),
        ),
        (
            "binary",
            batch(vec![
                ("signal", two()),
                ("time", times(&[1, 2])),
                ("value", Arc::new(BinaryArray::from(vec![&[1u8, 2][..], &[]]))),
            ]),
        ),
        (
            "single floats",
            batch(vec![
                ("signal", two()),
                ("time", times(&[1, 2])),
                ("value", Arc::new(Float32Array::from(vec![0.1, f32::NAN]))),
            ]),
        ),
        (
            "nothing at all",
            batch(vec![("signal", two()), ("time", times(&[1, 2])), ("value", Arc::new(NullArray::new(2)))]),
        ),
        (
            "an export's columns without a kind",
            batch(vec![
                ("signal", two()),
                ("time", times(&[1, 2])),
                ("value", Arc::new(Float64Array::from(vec![None, None::<f64>]))),
                ("integer", Arc::new(Int64Array::from(vec![Some(5), None]))),
                ("text", Arc::new(StringArray::from(vec![None, Some("on")]))),
            ]),
        ),
        ("no rows", batch(vec![("signal", names(&[])), ("time", times(&[])), ("value", floats(&[]))])),
    ];
    let mut shown = String::new();
    for (what, body) in bodies {
        let from_stream = show(Format::Arrow, stream(&body));
        shown += &format!("> {what}\n{from_stream}\n\n");
        if !what.contains("nothing") {
            assert_eq!(show(Format::Parquet, file(&body)), from_stream, "{what}");
        }
    }
    expect![[r#"
        > floats
        a/b 1 Float(1.5) Good
        c 2 Float(-0.0) Good

        > dictionary of names, milliseconds without a zone
        a/b 1000000 Int(7) Good
        c -2000000 None Bad

        > integer nanoseconds, unsigned, numbers as quality
        a/b 9 UInt(18446744073709551615) Bad_NoCommunication
        c now UInt(1) Good

        > texts as times, truth, words as quality
        a/b 1 Bool(true) Good
        c 0 Bool(false) Bad_NoData

        > text and bytes by kind
        a/b 1 Json("{}") Good
        c 2 Bytes([0, 255]) Good

        > binary
        a/b 1 Bytes([1, 2]) Good
        c 2 Bytes([]) Good

        > single floats
        a/b 1 Float(0.10000000149011612) Good
        c 2 Float(NaN) Good

        > nothing at all
        a/b 1 None Bad
        c 2 None Bad

        > an export's columns without a kind
        a/b 1 Int(5) Good
        c 2 Text("on") Good

        > no rows


    "#]]
    .assert_eq(&shown);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let good =
        || vec![("signal", names(&["a", "b"])), ("time", times(&[1, 2])), ("value", floats(&[1.0, 2.0]))];
    let with = |name: &'static str, column: ArrayRef| {
        let mut columns = good();
        columns.retain(|(other, _)| *other != name);
        columns.push((name, column));
        stream(&batch(columns))
    };
    let without = |name: &str| {
        let mut columns = good();
        columns.retain(|(other, _)| *other != name);
        stream(&batch(columns))
    };
    let twice = |name: &'static str| {
        let mut columns = good();
        columns.extend([(name, floats(&[3.0, 4.0])), (name, floats(&[5.0, 6.0]))]);
        batch(columns)
    };
    let empty_name: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    let mut cut = stream(&batch(good())).to_vec();
    cut.truncate(cut.len() / 2);
    let bodies: Vec<(&str, Format, Bytes)> = vec![
        ("no signal", Format::Arrow, without("signal")),
        ("no time", Format::Arrow, without("time")),
        ("no value", Format::Arrow, without("value")),
        ("no path", Format::Arrow, with("signal", empty_name)),
        ("numbers for names", Format::Arrow, with("signal", floats(&[1.0, 2.0]))),
        ("a bad time", Format::Arrow, with("time", names(&["1970-01-01T00:00:00Z", "soon"]))),
        (
            "a time without a zone",
            Format::Arrow,
            with("time", names(&["1970-01-01T00:00:00Z", "1970-01-01T00:00:00"])),
        ),
        (
            "a time too far",
            Format::Arrow,
            with("time", Arc::new(TimestampSecondArray::from(vec![0, i64::MAX / 1000]))),
        ),
        ("times as floats", Format::Arrow, with("time", floats(&[1.0, 2.0]))),
        ("a bad quality", Format::Arrow, with("quality", names(&["good", "fine"]))),
        ("a quality below zero", Format::Arrow, with("quality", Arc::new(Int64Array::from(vec![0, -1])))),
        ("an unknown kind", Format::Arrow, with("kind", names(&["float", "complex"]))),
        ("a kind that does not fit", Format::Arrow, with("kind", names(&["float", "text"]))),
        ("an integer with a fraction", Format::Arrow, with("kind", names(&["float", "integer"]))),
        ("an unknown column", Format::Arrow, with("vlaue", floats(&[1.0, 2.0]))),
        ("two columns of one name", Format::Arrow, stream(&twice("value"))),
        ("the same in Parquet", Format::Parquet, file(&twice("time"))),
        ("the same among what is ignored", Format::Arrow, stream(&twice("source"))),
        (
            "a wide table",
            Format::Parquet,
            file(&batch(vec![("time", times(&[1])), ("temperature", floats(&[1.0]))])),
        ),
        ("a type that has no place", Format::Arrow, with("value", Arc::new(Date32Array::from(vec![1, 2])))),
        ("no right", Format::Arrow, with("signal", names(&["a", "closed/b"]))),
        ("cut", Format::Arrow, cut.into()),
        ("nothing", Format::Arrow, Bytes::new()),
        ("nothing", Format::Parquet, Bytes::new()),
        ("text", Format::Arrow, Bytes::from_static(b"signal,time,value\na,1,2\n")),
        ("text", Format::Parquet, Bytes::from_static(b"signal,time,value\na,1,2\n")),
        ("an Arrow file", Format::Arrow, Bytes::from_static(b"ARROW1\0\0")),
        ("CSV", Format::Csv, Bytes::from_static(b"a")),
    ];
    let mut shown = String::new();
    for (what, format, body) in bodies {
        shown += &format!("{what}: {}\n", show(format, body));
    }
    expect![[r#"
        no signal: bad-arrow: there is no column 'signal' among: time, value. Send columns signal, time, value and optionally quality
        no time: bad-arrow: there is no column 'time' among: signal, value. Send columns signal, time, value and optionally quality
        no value: bad-arrow: there is no column 'value' among: signal, time. Send columns signal, time, value and optionally quality
        no path: bad-path: the signal has no name (line 2, column 3). Write 1 to 16 segments joined by '/'; see docs/reference/names.md
        numbers for names: bad-arrow: the column 'signal' has the type Float64, which it cannot have. Send columns signal, time, value and optionally quality
        a bad time: bad-time: 'soon' is no RFC 3339 time: write it like 2026-03-01T06:00:00Z or 2026-03-01T06:00:00.25+01:00 (line 2, column 3). Write RFC 3339 with an offset, or a number in the stated unit
        a time without a zone: bad-time: '1970-01-01T00:00:00' has no offset: add Z, or an offset such as +01:00 (line 2, column 3). Write RFC 3339 with an offset, or a number in the stated unit
        a time too far: bad-time: the time lies outside the years 1677 to 2262 that nanoseconds in 64 bits can hold (line 2, column 3). Write RFC 3339 with an offset, or a number in the stated unit
        times as floats: bad-arrow: the column 'time' has the type Float64, which it cannot have (line 1, column 3). Send columns signal, time, value and optionally quality
        a bad quality: bad-quality: 'fine' is no quality: use good, uncertain, bad, a name such as Bad_NoCommunication, an OPC UA code (0x80310000), or OPC DA's 0, 64, 192 (line 2, column 4). Use good, uncertain, bad or an OPC UA status code
        a quality below zero: bad-quality: the quality is no 32-bit status code (line 2, column 4). Use good, uncertain, bad or an OPC UA status code
        an unknown kind: bad-value: 'complex' is no kind of value (line 2, column 3). Send a finite number, true or false, text, or a JSON document
        a kind that does not fit: bad-value: there is no value of kind text here (line 2, column 3). Leave out the column kind, or put integers into `integer` and text into `text`
        an integer with a fraction: bad-value: there is no value of kind integer here (line 2, column 3). Leave out the column kind, or put integers into `integer` and text into `text`
        an unknown column: bad-arrow: the column 'vlaue' is not known. Did you mean 'value'?
        two columns of one name: bad-arrow: the column 'value' stands twice. Rename one of both, or leave it out
        the same in Parquet: bad-arrow: the column 'time' stands twice. Rename one of both, or leave it out
        the same among what is ignored: bad-arrow: the column 'source' stands twice. Rename one of both, or leave it out
        a wide table: bad-arrow: the column 'temperature' is not known. There may be: signal, time, value, integer, text, quality, kind. A wide table needs its columns as rows
        a type that has no place: bad-arrow: the column 'value' has the type Date32, which it cannot have. Send columns signal, time, value and optionally quality
        no right: forbidden: it is closed (line 2, column 3). `tidemill access why WHO VERB PATH` says which rule decides
        cut: bad-arrow: the data cannot be read: it ends within a message. Fetch or send it again, whole; if it stays so, write it anew
        nothing: bad-arrow: the data cannot be read: it is empty. Fetch or send it again, whole; if it stays so, write it anew
        nothing: bad-arrow: the data cannot be read: EOF: Parquet file too small. Size is 0 but need 8. Fetch or send it again, whole; if it stays so, write it anew
        text: bad-arrow: the data cannot be read: it ends within a message. Fetch or send it again, whole; if it stays so, write it anew
        text: bad-arrow: the data cannot be read: Parquet error: Invalid Parquet file. Corrupt footer. Fetch or send it again, whole; if it stays so, write it anew
        an Arrow file: bad-arrow: the data cannot be read: it is empty. Fetch or send it again, whole; if it stays so, write it anew
        CSV: unsupported-format: text/csv; charset=utf-8 is not decoded here. See /api/v1/openapi.json for the formats of this call
    "#]].assert_eq(&shown);
}

#[test]
fn little_that_unpacks_to_much_is_refused() {
    // 36 MB of one letter in a few kilobytes.
    let large = "x".repeat(6 << 20);
    let columns = vec![
        ("signal", names(&["a"; 6])),
        ("time", times(&[1, 2, 3, 4, 5, 6])),
        ("value", Arc::new(StringArray::from(vec![large.as_str(); 6])) as ArrayRef),
    ];
    let mut body = Vec::new();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap()))
        .build();
    let batch = batch(columns);
    let mut writer = ArrowWriter::try_new(&mut body, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    assert!(body.len() < 1 << 20, "{}", body.len());
    assert!(show(Format::Parquet, body.into()).starts_with("too-large"));
    // The same value two thousand times costs nothing as columns and too much as samples.
    let text = "y".repeat(64 << 10);
    let keys = Int32Array::from(vec![0; 2_000]);
    let repeated = DictionaryArray::new(keys, Arc::new(StringArray::from(vec![text.as_str()])) as ArrayRef);
    let schema = Schema::new(vec![
        Field::new("signal", DataType::Utf8, false),
        Field::new("time", DataType::Int64, false),
        Field::new("value", repeated.data_type().clone(), false),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["a"; 2_000])),
        Arc::new(Int64Array::from((0..2_000).collect::<Vec<i64>>())),
        Arc::new(repeated),
    ];
    let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
    assert!(show(Format::Arrow, stream(&batch)).starts_with("too-large"));
    assert!(show(Format::Parquet, file(&batch)).starts_with("too-large"));
}

fn packed(batch: &RecordBatch, codec: CompressionType, file: bool) -> Vec<u8> {
    let options = || IpcWriteOptions::default().try_with_compression(Some(codec)).unwrap();
    let (mut body, schema) = (Vec::new(), batch.schema_ref());
    if file {
        let mut writer = FileWriter::try_new_with_options(&mut body, schema, options()).unwrap();
        writer.write(batch).unwrap();
        writer.finish().unwrap();
    } else {
        let mut writer = StreamWriter::try_new_with_options(&mut body, schema, options()).unwrap();
        writer.write(batch).unwrap();
        writer.finish().unwrap();
    }
    body
}

/// Feather, which is an Arrow file, is packed with LZ4 unless its writer is told otherwise.
#[test]
fn arrow_that_is_packed_inside() {
    let rows = 20_000;
    let dictionary: DictionaryArray<Int32Type> = (0..rows).map(|row| ["a/b", "c"][row % 2]).collect();
    let all = batch(vec![
        ("signal", Arc::new(dictionary)),
        ("time", times(&(0..rows as i64).collect::<Vec<_>>())),
        ("value", floats(&(0..rows).map(|row| row as f64).collect::<Vec<_>>())),
    ]);
    let plain = show(Format::Arrow, stream(&all));
    assert_eq!(plain.lines().count(), rows);
    for codec in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        for file in [false, true] {
            let body: Bytes = packed(&all, codec, file).into();
            assert!(body.len() < stream(&all).len(), "it is packed");
            let measure = measure(Format::Arrow, &body).unwrap();
            assert_eq!(measure.rows, rows as u64);
            let columns_bytes = rows as u64 * 20;
            let known = columns_bytes..columns_bytes + (1 << 20);
            assert!(known.contains(&measure.unpacked_bytes), "{codec:?}: {}", measure.unpacked_bytes);
            assert!(show(Format::Arrow, body) == plain, "{codec:?}");
        }
    }
}

/// What says that it becomes little, or nothing that could be, is not unpacked to see.
#[test]
fn packed_arrow_that_lies_about_its_size_is_refused() {
    let large = "x".repeat(40 << 20);
    let bomb = batch(vec![
        ("signal", names(&["a"])),
        ("time", times(&[1])),
        ("value", Arc::new(StringArray::from(vec![large.as_str()])) as ArrayRef),
    ]);
    for codec in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        let honest = packed(&bomb, codec, false);
        assert!(honest.len() < 1 << 20, "{}", honest.len());
        assert!(show(Format::Arrow, honest.clone().into()).starts_with("too-large"), "{codec:?}");
        let said = (large.len() as u64).to_le_bytes();
        let place = honest.windows(8).rposition(|bytes| bytes == said).unwrap();
        for (lie, expected) in [(8u64, codec), (1 << 62, codec), (u64::MAX - 8, codec)].map(|(lie, codec)| {
            // ZSTD is unpacked into what was said; LZ4 to its end, so that what it becomes is counted.
            let counted = codec == CompressionType::LZ4_FRAME;
            (lie, if lie > 1 << 62 || (lie == 8 && !counted) { "bad-arrow" } else { "too-large" })
        }) {
            let mut body = honest.clone();
            body[place..place + 8].copy_from_slice(&lie.to_le_bytes());
            let told = show(Format::Arrow, body.into());
            assert!(told.starts_with(expected), "{codec:?} {lie}: {told}");
        }
    }
}

/// Texts that repeat the one before in full: as long as their page each, and a byte in it.
#[test]
fn texts_that_share_their_bytes_are_counted_as_what_they_become() {
    let long = "y".repeat(1 << 20);
    let rows = 40;
    let same = batch(vec![
        ("signal", names(&vec!["a"; rows])),
        ("time", times(&(0..rows as i64).collect::<Vec<_>>())),
        ("value", Arc::new(StringArray::from(vec![long.as_str(); rows])) as ArrayRef),
    ]);
    let mut body = Vec::new();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_column_encoding("value".into(), Encoding::DELTA_BYTE_ARRAY)
        .build();
    let mut writer = ArrowWriter::try_new(&mut body, same.schema(), Some(properties)).unwrap();
    writer.write(&same).unwrap();
    writer.close().unwrap();
    assert!(body.len() < 3 << 20, "{}", body.len());
    let told = measure(Format::Parquet, &body.into()).unwrap_err();
    assert_eq!(told.code, &codes::TOO_LARGE, "{told}");
}

fn bodies() -> Vec<(Format, Vec<u8>)> {
    let dictionary: DictionaryArray<Int32Type> = vec!["a/b", "c", "a/b"].into_iter().collect();
    let batch = batch(vec![
        ("signal", Arc::new(dictionary)),
        ("time", times(&[1, 2, 3])),
        (
            "value",
            Arc::new(StringViewArray::from(vec![Some("a text that is longer than twelve"), None, Some("x")])),
        ),
        ("integer", Arc::new(Int64Array::from(vec![None, Some(7), None]))),
        ("quality", names(&["good", "bad", "good"])),
    ]);
    vec![(Format::Arrow, stream(&batch).to_vec()), (Format::Parquet, file(&batch).to_vec())]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn no_broken_body_breaks_anything(
        which in 0..2usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let (format, mut body) = bodies().swap_remove(which);
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        let _ = show(format, body.into());
    }
}

fn file_with(batch: &RecordBatch, compression: Compression, group_rows: usize) -> Vec<u8> {
    let mut body = Vec::new();
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(group_rows))
        .build();
    let mut writer = ArrowWriter::try_new(&mut body, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    body
}

#[test]
fn parquet_as_others_compress_it() {
    let rows = batch(vec![
        ("signal", names(&["a", "a"])),
        ("time", times(&[1, 2])),
        ("value", floats(&[1.5, -0.0])),
    ]);
    let kinds = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ];
    for kind in kinds {
        let shown = show(Format::Parquet, file_with(&rows, kind, 1_000).into());
        assert_eq!(shown, "a 1 Float(1.5) Good\na 2 Float(-0.0) Good", "{kind}");
    }
}

fn arrow_file(batches: &[RecordBatch]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut writer = arrow::ipc::writer::FileWriter::try_new(&mut body, batches[0].schema_ref()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    drop(writer);
    body
}

#[test]
fn a_file_of_columns_comes_in_parts() {
    let rows = 100_000;
    let signals: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("s/{}", row % 7))));
    let received = times(&vec![0; rows]);
    let all = batch(vec![
        ("signal", signals),
        ("received", received),
        ("time", times(&(0..rows as i64).collect::<Vec<_>>())),
        ("value", floats(&(0..rows).map(|row| row as f64).collect::<Vec<_>>())),
    ]);
    let mut compressed = stream(&all).to_vec();
    compressed.truncate(compressed.len() - 8);
    let bodies = [
        ("parquet", file_with(&all, Compression::SNAPPY, 10_000)),
        ("stream", stream(&all).to_vec()),
        ("stream without its end", compressed),
        ("packed stream", packed(&all, CompressionType::ZSTD, false)),
        ("packed file", packed(&all, CompressionType::LZ4_FRAME, true)),
        ("file", arrow_file(&[all.slice(0, 60_000), all.slice(60_000, 40_000)])),
    ];
    for (what, body) in bodies {
        assert!(ColumnFile::is_one(&body[..8]), "{what}");
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &body).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let naming = Naming { prefix: Some("p".to_owned()), signal: None };
        let mut columns = ColumnFile::open(file, naming).unwrap();
        let mut next = 0;
        while let Some(part) = columns.next_part().unwrap_or_else(|problem| panic!("{what}: {problem}")) {
            assert!(part.len() <= 40_960, "{what}: {} rows at once", part.len());
            let shown = show(Format::Arrow, part.body(1, 3).unwrap());
            let line = |row: usize| format!("p/s/{} {row} Float({:?}) Good", row % 7, row as f64);
            assert_eq!(shown, format!("{}\n{}", line(next + 1), line(next + 2)), "{what}");
            next += part.len();
        }
        assert_eq!((next, columns.signals()), (rows, 7), "{what}");
        assert!((1..=columns.bytes()).contains(&columns.position()), "{what}");
    }
}

#[test]
fn a_file_of_columns_that_is_damaged_or_none_says_so() {
    let rows = batch(vec![("signal", names(&["a"])), ("time", times(&[1])), ("value", floats(&[1.5]))]);
    let open = |body: &[u8], signal: Option<&str>| {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, body).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let naming = Naming { prefix: None, signal: signal.map(str::to_owned) };
        let read = || -> Result<usize, tidemill_core::Problem> {
            let mut columns = ColumnFile::open(file.try_clone().unwrap(), naming.clone())?;
            let mut count = 0;
            while let Some(part) = columns.next_part()? {
                count += part.len();
            }
            Ok(count)
        };
        read().map_or_else(|problem| problem.to_string(), |count| format!("{count} rows"))
    };
    let twice = [stream(&rows), stream(&rows)].concat();
    let wide = batch(vec![("time", times(&[1])), ("oven", floats(&[1.5]))]);
    let unnamed = batch(vec![("time", times(&[1])), ("value", floats(&[1.5]))]);
    let file = file_with(&rows, Compression::SNAPPY, 10);
    let shown = [
        open(&file[..file.len() / 2], None),
        open(&stream(&rows)[..200], None),
        open(&twice, None),
        open(&file_with(&wide, Compression::SNAPPY, 10), None),
        open(&file_with(&unnamed, Compression::SNAPPY, 10), Some("a/b")),
        open(&file, Some("a/b")),
    ]
    .join("\n");
    expect![[r#"
        bad-arrow: the data cannot be read: Parquet error: Invalid Parquet file. Corrupt footer. Fetch or send it again, whole; if it stays so, write it anew
        bad-arrow: the data cannot be read: Ipc error: Unexpected End of Stream. Fetch or send it again, whole; if it stays so, write it anew
        bad-arrow: the data cannot be read: Ipc error: Unexpected EOS. Fetch or send it again, whole; if it stays so, write it anew
        bad-arrow: the column 'oven' is not known. There may be: signal, time, value, integer, text, quality, kind. A wide table needs its columns as rows
        1 rows
        bad-import: each row names its signal, so that --signal cannot. Use --prefix PATH to put something before the names"#]].assert_eq(&shown);
}

/// Whoever sends bytes over which a library panics is told that they are unreadable, and nothing else is said of it.
#[test]
fn a_panic_of_a_library_is_a_refusal_that_is_counted() {
    let (ground, _) = tidemill_ground::Ground::simulated(1);
    let counted = || {
        let metrics = ground.metrics.snapshot();
        let of = |reading: &tidemill_ground::Reading| reading.name == "tidemill_panics_caught_total";
        metrics.into_iter().find(of).map(|reading| reading.value).unwrap_or_default()
    };
    let before = counted();
    let problem = super::guarded(|| -> Result<(), Problem> { panic!("index out of bounds") }).unwrap_err();
    assert_eq!(problem.code.id, "bad-arrow");
    assert_eq!(problem.detail, "the data cannot be read: its parts contradict each other");
    assert!(counted() > before);
}
