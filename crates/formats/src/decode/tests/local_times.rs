//! Times of a file that say no offset, in every type that a column of times may have: what becomes of them, and which rows
//! are set aside because they have none.

use super::*;

#[test]
fn times_of_a_file_that_say_no_offset_are_made_instants() {
    let three = || ("signal", names(&["a", "b", "a"]));
    let value = || ("value", floats(&[1.0, 2.0, 3.0]));
    let of = |times: ArrayRef| batch(vec![three(), ("time", times), value()]);
    let texts = |text: &[Option<&str>]| Arc::new(StringArray::from(text.to_vec())) as ArrayRef;
    let words: DictionaryArray<Int32Type> =
        ["1970-01-01 00:00:05", "x", "1970-01-01T00:00:07Z"].into_iter().collect();
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("seconds", file(&of(Arc::new(TimestampSecondArray::from(vec![Some(5), None, Some(13)])))).to_vec()),
        ("too far", stream(&of(Arc::new(TimestampSecondArray::from(vec![5, i64::MAX, 7])))).to_vec()),
        ("with a zone", file(&of(times(&[5, 6, 7]))).to_vec()),
        (
            "nanoseconds",
            stream(&of(Arc::new(Int64Array::from(vec![Some(1 << 60), None, Some(-1 << 60)])))).to_vec(),
        ),
        ("days", file(&of(Arc::new(Date32Array::from(vec![Some(1), None, Some(2)])))).to_vec()),
        ("dates", stream(&of(Arc::new(Date64Array::from(vec![86_400_000, i64::MAX, 0])))).to_vec()),
        (
            "texts",
            stream(&of(texts(&[Some("1970-01-01T00:00:05"), None, Some("1970-01-01T00:00:07+00:00")])))
                .to_vec(),
        ),
        ("words", stream(&of(Arc::new(words))).to_vec()),
    ];
    let mut shown = String::new();
    for (what, body) in files {
        let mut source = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut source, &body).unwrap();
        std::io::Seek::rewind(&mut source).unwrap();
        let mut columns =
            ColumnFile::open(source, Naming { prefix: Some("p".to_owned()), signal: None }).unwrap();
        shown += &format!("> {what}, local: {}\n", columns.has_local_times().unwrap());
        let mut part = columns.next_part().unwrap().unwrap();
        let untimed = part.localize(&mut |signal, shown| match shown {
            13_000_000_000 => Err("unlucky".to_owned()),
            _ => Ok(shown + if signal == "p/a" { 1 } else { 2 }),
        });
        for untimed in untimed.unwrap() {
            shown += &format!("  {} {} {}\n", untimed.row, untimed.reason, untimed.line);
        }
        for (row, line) in show(Format::Arrow, part.body(0, 9).unwrap()).lines().enumerate() {
            shown += &format!("{} {line}\n", part.place(row));
        }
        shown += &format!("{}\n", part.line(0).unwrap());
    }
    expect![[r#"
        > seconds, local: true
          1 there is no time {"signal":"p/b","time":null,"value":2.0}
          2 unlucky {"signal":"p/a","time":"1970-01-01T00:00:13","value":3.0}
        0 p/a 5000000001 Float(1.0) Good
        {"signal":"p/a","time":"1970-01-01T00:00:05","value":1.0}
        > too far, local: true
          1 the time lies outside the years 1677 to 2262 that nanoseconds in 64 bits can hold {"signal":"p/b","time":"ERROR: Cast error: Failed to convert 9223372036854775807 to datetime for Timestamp(s)","value":2.0}
        0 p/a 5000000001 Float(1.0) Good
        2 p/a 7000000001 Float(3.0) Good
        {"signal":"p/a","time":"1970-01-01T00:00:05","value":1.0}
        > with a zone, local: false
        0 p/a 5 Float(1.0) Good
        1 p/b 6 Float(2.0) Good
        2 p/a 7 Float(3.0) Good
        {"signal":"p/a","time":"1970-01-01T00:00:00.000000005Z","value":1.0}
        > nanoseconds, local: false
          1 there is no time {"signal":"p/b","time":null,"value":2.0}
        0 p/a 1152921504606846976 Float(1.0) Good
        2 p/a -1152921504606846976 Float(3.0) Good
        {"signal":"p/a","time":1152921504606846976,"value":1.0}
        > days, local: true
          1 there is no time {"signal":"p/b","time":null,"value":2.0}
        0 p/a 86400000000001 Float(1.0) Good
        2 p/a 172800000000001 Float(3.0) Good
        {"signal":"p/a","time":"1970-01-02","value":1.0}
        > dates, local: true
          1 the time lies outside the years 1677 to 2262 that nanoseconds in 64 bits can hold {"signal":"p/b","time":"ERROR: Cast error: Failed to convert 9223372036854775807 to temporal for Date64","value":2.0}
        0 p/a 86400000000001 Float(1.0) Good
        2 p/a 1 Float(3.0) Good
        {"signal":"p/a","time":"1970-01-02T00:00:00","value":1.0}
        > texts, local: true
          1 there is no time {"signal":"p/b","time":null,"value":2.0}
        0 p/a 5000000001 Float(1.0) Good
        2 p/a 7000000000 Float(3.0) Good
        {"signal":"p/a","time":"1970-01-01T00:00:05","value":1.0}
        > words, local: true
          1 'x' is no RFC 3339 time: write it like 2026-03-01T06:00:00Z or 2026-03-01T06:00:00.25+01:00 {"signal":"p/b","time":"x","value":2.0}
        0 p/a 5000000001 Float(1.0) Good
        2 p/a 7000000000 Float(3.0) Good
        {"signal":"p/a","time":"1970-01-01 00:00:05","value":1.0}
    "#]].assert_eq(&shown);
}
