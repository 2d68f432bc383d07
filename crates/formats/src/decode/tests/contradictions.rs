//! Bodies whose columns say different things, or are of types that only the writer's schema names.

use super::*;

#[test]
fn columns_that_contradict_each_other_are_refused() {
    let with = |value: ArrayRef, integer: Option<i64>, kind: Option<&str>, text: Option<&str>| {
        batch(vec![
            ("signal", names(&["a"])),
            ("time", times(&[1])),
            ("value", value),
            ("integer", Arc::new(Int64Array::from(vec![integer]))),
            ("kind", Arc::new(StringArray::from(vec![kind]))),
            ("text", Arc::new(StringArray::from(vec![text]))),
        ])
    };
    const LARGE: i64 = (1 << 53) + 1;
    #[allow(clippy::cast_precision_loss)]
    let nearest = LARGE as f64;
    let float = |value: f64| floats(&[value]);
    let int = |value: i64| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    let nothing = || Arc::new(Float64Array::from(vec![None::<f64>])) as ArrayRef;
    let mut shown = String::new();
    for (what, body) in [
        ("an export's integer", with(float(nearest), Some(LARGE), Some("integer"), None)),
        ("the same without a kind", with(float(nearest), Some(LARGE), None, None)),
        (
            "an export's unsigned",
            with(float(u64::MAX as f64), None, Some("unsigned"), Some("18446744073709551615")),
        ),
        ("an export's text", with(nothing(), None, Some("text"), Some("on"))),
        ("an export's boolean", with(float(1.0), None, Some("boolean"), None)),
        ("an export's nothing", with(nothing(), None, Some("none"), None)),
        ("another integer", with(float(1.5), Some(2), Some("integer"), None)),
        ("another float", with(float(1.5), Some(2), Some("float"), None)),
        ("another without a kind", with(float(1.5), Some(2), None, None)),
        ("another by one", with(int(LARGE), Some(LARGE - 1), Some("integer"), None)),
        ("a value of kind none", with(float(1.0), None, Some("none"), None)),
        ("an integer of kind none", with(nothing(), Some(1), Some("none"), None)),
        ("a number and a text", with(float(1.0), None, Some("text"), Some("on"))),
        ("an integer and a text", with(nothing(), Some(1), Some("text"), Some("on"))),
    ] {
        let from_stream = show(Format::Arrow, stream(&body));
        assert_eq!(show(Format::Parquet, file(&body)), from_stream, "{what}");
        shown += &format!("{what}: {from_stream}\n");
    }
    expect![[r#"
        an export's integer: a 1 Int(9007199254740993) Good
        the same without a kind: a 1 Float(9007199254740992.0) Good
        an export's unsigned: a 1 UInt(18446744073709551615) Good
        an export's text: a 1 Text("on") Good
        an export's boolean: a 1 Bool(true) Good
        an export's nothing: a 1 None Bad
        another integer: bad-arrow: the columns value, integer and kind say different things of one sample (line 1, column 3). Leave out all of them but the one that holds the value
        another float: bad-arrow: the columns value, integer and kind say different things of one sample (line 1, column 3). Leave out all of them but the one that holds the value
        another without a kind: bad-arrow: the columns value, integer and kind say different things of one sample (line 1, column 3). Leave out all of them but the one that holds the value
        another by one: bad-arrow: the columns value, integer and kind say different things of one sample (line 1, column 3). Leave out all of them but the one that holds the value
        a value of kind none: bad-arrow: the columns value, integer and kind say different things of one sample (line 1, column 3). Leave out all of them but the one that holds the value
        an integer of kind none: bad-arrow: the columns value, integer and kind say different things of one sample (line 1, column 3). Leave out all of them but the one that holds the value
        a number and a text: bad-arrow: the columns value, integer and kind say different things of one sample (line 1, column 3). Leave out all of them but the one that holds the value
        an integer and a text: bad-arrow: the columns value, integer and kind say different things of one sample (line 1, column 3). Leave out all of them but the one that holds the value
    "#]].assert_eq(&shown);
}

#[test]
fn parquet_is_what_its_writer_says() {
    let of = |time: ArrayRef, value: ArrayRef| {
        batch(vec![("signal", names(&["a"])), ("time", time), ("value", value)])
    };
    let second = || Arc::new(DurationSecondArray::from(vec![5])) as ArrayRef;
    let mut shown = String::new();
    for body in [
        of(second(), floats(&[1.0])),
        of(times(&[1]), second()),
        of(Arc::new(TimestampSecondArray::from(vec![5])), floats(&[1.0])),
        of(Arc::new(TimestampSecondArray::from(vec![i64::MAX])), floats(&[1.0])),
    ] {
        let from_stream = show(Format::Arrow, stream(&body));
        assert_eq!(show(Format::Parquet, file(&body)), from_stream);
        shown += &format!("{from_stream}\n");
    }
    expect![[r#"
        bad-arrow: the column 'time' has the type Duration(s), which it cannot have (line 1, column 2). Send columns signal, time, value and optionally quality
        bad-arrow: the column 'value' has the type Duration(s), which it cannot have. Send columns signal, time, value and optionally quality
        a 5000000000 Float(1.0) Good
        bad-time: the time lies outside the years 1677 to 2262 that nanoseconds in 64 bits can hold (line 1, column 2). Write RFC 3339 with an offset, or a number in the stated unit
    "#]].assert_eq(&shown);
}

/// OPC DA's 24 is Bad, and as a code of OPC UA it would be Good: nobody means that.
#[test]
fn numbers_of_opc_da_are_no_status_codes() {
    let of = |quality: ArrayRef| {
        let signals = vec!["a"; quality.len()];
        batch(vec![
            ("signal", names(&signals)),
            ("time", times(&vec![1; quality.len()])),
            ("value", floats(&vec![1.0; quality.len()])),
            ("quality", quality),
        ])
    };
    let text = || Arc::new(StringArray::from(vec![None::<&str>])) as ArrayRef;
    let exported = batch(vec![
        ("signal", names(&["a"])),
        ("time", times(&[1])),
        ("value", floats(&[1.0])),
        ("integer", Arc::new(Int64Array::from(vec![None]))),
        ("text", text()),
        ("quality", Arc::new(UInt32Array::from(vec![24]))),
        ("kind", text()),
    ]);
    let mut shown = String::new();
    for (what, body) in [
        ("bad", of(Arc::new(Int64Array::from(vec![0, 24])))),
        ("uncertain", of(Arc::new(UInt32Array::from(vec![64])))),
        ("good", of(Arc::new(UInt8Array::from(vec![Some(0), None, Some(192)])))),
        ("the first", of(Arc::new(Int16Array::from(vec![1])))),
        ("the last", of(Arc::new(Int16Array::from(vec![255])))),
        ("beyond them", of(Arc::new(UInt32Array::from(vec![0, 256, 0x480, 0x8031_0000])))),
        ("as text", of(names(&["0", "24", "64", "192"]))),
        ("what an export has", exported),
    ] {
        let from_stream = show(Format::Arrow, stream(&body));
        assert_eq!(show(Format::Parquet, file(&body)), from_stream, "{what}");
        shown += &format!("{what}: {}\n", from_stream.replace('\n', ", "));
    }
    expect![[r#"
        bad: bad-quality: the quality 24 is no status code of OPC UA that a device sends (line 2, column 4). Write numbers of OPC DA as text ("192"), or use good, uncertain, bad, or status codes of OPC UA, where 0 is Good
        uncertain: bad-quality: the quality 64 is no status code of OPC UA that a device sends (line 1, column 4). Write numbers of OPC DA as text ("192"), or use good, uncertain, bad, or status codes of OPC UA, where 0 is Good
        good: bad-quality: the quality 192 is no status code of OPC UA that a device sends (line 3, column 4). Write numbers of OPC DA as text ("192"), or use good, uncertain, bad, or status codes of OPC UA, where 0 is Good
        the first: bad-quality: the quality 1 is no status code of OPC UA that a device sends (line 1, column 4). Write numbers of OPC DA as text ("192"), or use good, uncertain, bad, or status codes of OPC UA, where 0 is Good
        the last: bad-quality: the quality 255 is no status code of OPC UA that a device sends (line 1, column 4). Write numbers of OPC DA as text ("192"), or use good, uncertain, bad, or status codes of OPC UA, where 0 is Good
        beyond them: a 1 Float(1.0) Good, a 1 Float(1.0) Good (0x00000100), a 1 Float(1.0) Good (0x00000480), a 1 Float(1.0) Bad_NoCommunication
        as text: a 1 Float(1.0) Bad, a 1 Float(1.0) Bad, a 1 Float(1.0) Uncertain, a 1 Float(1.0) Good
        what an export has: a 1 Float(1.0) Good (0x00000018)
    "#]].assert_eq(&shown);
}
