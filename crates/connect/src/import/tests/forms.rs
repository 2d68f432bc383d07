//! Forms of time and of files: dates as the world writes them, epochs, local hours that are missing or stand twice,
//! JSON, line protocol, packed files.

use std::io::Write as _;

use expect_test::expect;

use super::*;

/// One time a line, each in a file of its own.
fn check_times(times: &[&str], expected: Expect) {
    let mut out = String::new();
    for time in times {
        let text = format!("time;a\n{time};1\n");
        let read = shown("t.csv", text.as_bytes(), &prefix("p"));
        let line = read.lines().next().unwrap_or("nothing");
        writeln!(out, "{time} -> {}", line.strip_suffix(" p/a float 1").unwrap_or(line)).unwrap();
    }
    expected.assert_eq(&out);
}

#[test]
fn times() {
    check_times(
        &[
            "2024-01-31T12:00:00Z",
            "2024-01-31T12:00:00+05:30",
            "2024-01-31 12:00:00.123456789 +0100",
            "2024-01-31 12:00",
            "2024-01-31 12:00:00,25",
            "2024/01/31 12:00:00",
            "2024-1-31 6:05",
            "20240131T120000Z",
            "20240131T120000.5",
            "20240131 1200",
            "20240131120000",
            "31.01.2024 12:00:00",
            "31.1.24 12:00",
            "31.01.2024 12:00 Uhr",
            "31.01.2024 24:00",
            "31.01.2024",
            "31/01/2024 12:00",
            "01/31/2024 12:00 PM",
            "1/31/2024 12:00:00 AM",
            "31-Jan-24 12:00:00.5",
            "31. Januar 2024 12:00",
            "Jan 31, 2024 12:00:00 PM",
            "31 déc. 2024 12:00",
            "2024-01-31 12:00:00 UTC",
            "2024-07-31 12:00:00 MESZ",
            "2024-01-31T12:00:00+01:00[Europe/Berlin]",
            "1706702400",
            "1706702400.25",
            "1706702400123",
            "1706702400123456",
            "1706702400123456789",
            "2016-12-31T23:59:60Z",
            "2016-12-31T12:59:60Z",
            "1500-01-01 00:00:00",
            "2024-02-30 00:00:00",
            "12:00:00",
            "45322.5",
            "17.25",
            "CST 2024-01-31",
            "2024-01-31 12:00:00 EST",
            "31.01.2024 12:00 IST",
        ],
        expect![[r#"
            2024-01-31T12:00:00Z -> 2024-01-31T12:00:00Z
            2024-01-31T12:00:00+05:30 -> 2024-01-31T06:30:00Z
            2024-01-31 12:00:00.123456789 +0100 -> 2024-01-31T11:00:00.123456789Z
            2024-01-31 12:00 -> 2024-01-31T11:00:00Z
            2024-01-31 12:00:00,25 -> 2024-01-31T11:00:00.250Z
            2024/01/31 12:00:00 -> 2024-01-31T11:00:00Z
            2024-1-31 6:05 -> 2024-01-31T05:05:00Z
            20240131T120000Z -> 2024-01-31T12:00:00Z
            20240131T120000.5 -> 2024-01-31T11:00:00.500Z
            20240131 1200 -> 2024-01-31T11:00:00Z
            20240131120000 -> 2024-01-31T11:00:00Z
            31.01.2024 12:00:00 -> 2024-01-31T11:00:00Z
            31.1.24 12:00 -> 2024-01-31T11:00:00Z
            31.01.2024 12:00 Uhr -> 2024-01-31T11:00:00Z
            31.01.2024 24:00 -> 2024-01-31T23:00:00Z
            31.01.2024 -> 2024-01-30T23:00:00Z
            31/01/2024 12:00 -> 2024-01-31T11:00:00Z
            01/31/2024 12:00 PM -> 2024-01-31T11:00:00Z
            1/31/2024 12:00:00 AM -> 2024-01-30T23:00:00Z
            31-Jan-24 12:00:00.5 -> 2024-01-31T11:00:00.500Z
            31. Januar 2024 12:00 -> 2024-01-31T11:00:00Z
            Jan 31, 2024 12:00:00 PM -> 2024-01-31T11:00:00Z
            31 déc. 2024 12:00 -> 2024-12-31T11:00:00Z
            2024-01-31 12:00:00 UTC -> 2024-01-31T12:00:00Z
            2024-07-31 12:00:00 MESZ -> 2024-07-31T10:00:00Z
            2024-01-31T12:00:00+01:00[Europe/Berlin] -> 2024-01-31T11:00:00Z
            1706702400 -> 2024-01-31T12:00:00Z
            1706702400.25 -> 2024-01-31T12:00:00.250Z
            1706702400123 -> 2024-01-31T12:00:00.123Z
            1706702400123456 -> 2024-01-31T12:00:00.123456Z
            1706702400123456789 -> 2024-01-31T12:00:00.123456789Z
            2016-12-31T23:59:60Z -> 2017-01-01T00:00:00Z
            2016-12-31T12:59:60Z -> rejected line 2, column 'time': '2016-12-31T12:59:60Z' has a second 60 where none can be: a leap second is 23:59:60 UTC on the last day of a month
            1500-01-01 00:00:00 -> rejected line 2, column 'time': '1500-01-01 00:00:00' is outside the years 1677 to 2262
            2024-02-30 00:00:00 -> bad-import: t.csv has no column with times. Its columns: time, a. Name the column with --time COLUMN. If its rows are evenly spaced, say when the first was and how far apart they are: --start 2024-01-01T00:00:00Z --step 1m
            12:00:00 -> bad-import: t.csv has no column with times. The column 'time' has times of day, and none a date. Name the column with --time COLUMN. If its rows are evenly spaced, say when the first was and how far apart they are: --start 2024-01-01T00:00:00Z --step 1m
            45322.5 -> bad-import: the column 'time' of t.csv has numbers that may be Excel's serial dates. Say so with --time-format excel, or format the cells as dates first
            17.25 -> bad-import: the column 'time' of t.csv has numbers too small for times since 1970; they may be elapsed time. Say when it began: --start 2024-01-01T00:00:00Z, and what one is, --step 1s; or name another column with --time COLUMN
            CST 2024-01-31 -> bad-import: t.csv has no column with times. Its columns: time, a. Name the column with --time COLUMN. If its rows are evenly spaced, say when the first was and how far apart they are: --start 2024-01-01T00:00:00Z --step 1m
            2024-01-31 12:00:00 EST -> bad-import: t.csv has no column with times. The column 'time' has times that end in 'EST' (line 2), which is no zone that is known here: such names mean several. Write offsets such as -05:00 in their place, or take the word away and say the zone with --timezone America/New_York
            31.01.2024 12:00 IST -> bad-import: t.csv has no column with times. The column 'time' has times that end in 'IST' (line 2), which is no zone that is known here: such names mean several. Write offsets such as -05:00 in their place, or take the word away and say the zone with --timezone America/New_York
        "#]],
    );
}

#[test]
fn the_column_with_the_time() {
    check(
        "Datum;Uhrzeit;a\n31.01.2024;12:00:05;1\n01.02.2024;00:00;2\n",
        expect![[r#"
        2024-01-31T11:00:05Z p/a float 1
        2024-01-31T23:00:00Z p/a float 2
    "#]],
    );
    check(
        "Date,Time,a\n20240131,120000,1\n20240131,120001,2\n",
        expect![[r#"
        2024-01-31T11:00:00Z p/a float 1
        2024-01-31T11:00:01Z p/a float 2
    "#]],
    );
    check(
        "a,when\n1,2024-01-31 12:00\n",
        expect![[r#"
        2024-01-31T11:00:00Z p/a float 1
    "#]],
    );
    check(
        "Timestamp (UTC);a\n2024-07-31 12:00;1\n",
        expect![[r#"
        2024-07-31T12:00:00Z p/a float 1
    "#]],
    );
    check(
        "local time,time utc,a\n2024-07-31 12:00:00,2024-07-31T10:00:00Z,1\n",
        expect![[r#"
        2024-07-31T10:00:00Z p/a float 1
    "#]],
    );
    check(
        "time,a\n2024-01-31 12:00,1\n,2\nsoon,3\n2024-01-31 12:01,4\n2024-01-31 12:02,5\n2024-01-31 12:03,5\n2024-01-31 12:04,5\n2024-01-31 12:05,5\n2024-01-31 12:06,5\n2024-01-31 12:07,5\n2024-01-31 12:08,5\n",
        expect![[r#"
        2024-01-31T11:00:00Z p/a float 1
        2024-01-31T11:01:00Z p/a float 4
        2024-01-31T11:02:00Z p/a float 5
        2024-01-31T11:03:00Z p/a float 5
        2024-01-31T11:04:00Z p/a float 5
        2024-01-31T11:05:00Z p/a float 5
        2024-01-31T11:06:00Z p/a float 5
        2024-01-31T11:07:00Z p/a float 5
        2024-01-31T11:08:00Z p/a float 5
        rejected line 3, column 'time': there is no time
        rejected line 4, column 'time': 'soon' is no time of the form that this file has
    "#]],
    );
    let wanted =
        with(|options| (options.time, options.prefix) = (Some("End".to_owned()), Some("p".to_owned())));
    check_with(
        "t.csv",
        b"start,end,a\n2024-01-31 12:00,2024-01-31 13:00,1\n",
        &wanted,
        expect![[r#"
        2024-01-31T12:00:00Z p/a float 1
    "#]],
    );
    let excel = with(|options| {
        (options.time_format, options.prefix) = (Some(TimeFormat::Excel), Some("p".to_owned()))
    });
    check_with(
        "t.csv",
        b"time;a\n45322,5;1\n45322,50001;2\n",
        &excel,
        expect![[r#"
        2024-01-31T11:00:00Z p/a float 1
        2024-01-31T11:00:00.864Z p/a float 2
    "#]],
    );
    let number = with(|options| {
        (options.time, options.value, options.prefix) =
            (Some("2".to_owned()), Some("3".to_owned()), Some("p".to_owned()))
    });
    check_with(
        "t.csv",
        b"x,1706702400,7,8\nx,1706702401,9,8\n",
        &number,
        expect![[r#"
        2024-01-31T12:00:00Z p/column 3 float 7
        2024-01-31T12:00:01Z p/column 3 float 9
    "#]],
    );
}

#[test]
fn hours_that_are_missing_or_stand_twice() {
    check(
        "time,a\n2024-03-31 01:59,1\n2024-03-31 02:30,2\n2024-03-31 03:00,3\n",
        expect![[r#"
        2024-03-31T00:59:00Z p/a float 1
        2024-03-31T01:00:00Z p/a float 3
        rejected line 3, column 'time': '2024-03-31 02:30' does not exist in Europe/Berlin: the clocks went forward over it
    "#]],
    );
    // In order: what goes back is the second pass.
    check(
        "time,a\n2024-10-27 01:30,0\n2024-10-27 02:00,1\n2024-10-27 02:30,2\n2024-10-27 02:00,3\n2024-10-27 02:30,4\n2024-10-27 03:00,5\n",
        expect![[r#"
        2024-10-26T23:30:00Z p/a float 0
        2024-10-27T00:00:00Z p/a float 1
        2024-10-27T00:30:00Z p/a float 2
        2024-10-27T01:00:00Z p/a float 3
        2024-10-27T01:30:00Z p/a float 4
        2024-10-27T02:00:00Z p/a float 5
    "#]],
    );
    // Hourly: the same hour again, where no time ever stood twice before.
    check(
        "time,a\n2024-10-27 01:00,0\n2024-10-27 02:00,1\n2024-10-27 02:00,2\n2024-10-27 03:00,3\n",
        expect![[r#"
        2024-10-26T23:00:00Z p/a float 0
        2024-10-27T00:00:00Z p/a float 1
        2024-10-27T01:00:00Z p/a float 2
        2024-10-27T02:00:00Z p/a float 3
    "#]],
    );
    // Where times do stand twice it proves nothing.
    check(
        "time,a\n2024-10-27 01:00,0\n2024-10-27 01:00,0\n2024-10-27 01:30,0\n2024-10-27 02:00,1\n2024-10-27 02:00,2\n2024-10-27 03:00,3\n",
        expect![[r#"
        2024-10-26T23:00:00Z p/a float 0
        2024-10-26T23:00:00Z p/a float 0
        2024-10-26T23:30:00Z p/a float 0
        2024-10-27T00:00:00Z p/a float 1
        2024-10-27T00:00:00Z p/a float 2
        2024-10-27T02:00:00Z p/a float 3
    "#]],
    );
    // The newest first.
    check(
        "time,a\n2024-10-27 03:00,5\n2024-10-27 02:59,4\n2024-10-27 02:30,4\n2024-10-27 02:00,3\n2024-10-27 02:30,2\n2024-10-27 02:00,1\n2024-10-27 01:30,0\n",
        expect![[r#"
        2024-10-27T02:00:00Z p/a float 5
        2024-10-27T01:59:00Z p/a float 4
        2024-10-27T01:30:00Z p/a float 4
        2024-10-27T01:00:00Z p/a float 3
        2024-10-27T00:30:00Z p/a float 2
        2024-10-27T00:00:00Z p/a float 1
        2024-10-26T23:30:00Z p/a float 0
    "#]],
    );
    // Each signal for itself.
    check(
        "tag,time,value\na,2024-10-27 02:30,1\nb,2024-10-27 02:10,1\na,2024-10-27 02:10,2\nb,2024-10-27 02:20,2\n",
        expect![[r#"
        2024-10-27T00:30:00Z p/a float 1
        2024-10-27T00:10:00Z p/b float 1
        2024-10-27T01:10:00Z p/a float 2
        2024-10-27T00:20:00Z p/b float 2
    "#]],
    );
}

#[test]
fn json() {
    check_with("t.jsonl", b"{\"time\":\"2024-01-02T00:00:00Z\",\"a\":1.5,\"b\":{\"c\":true,\"d/e\":\"x\"},\"f\":null,\"g\":[1,2]}\n\n{\"time\":\"2024-01-02T00:00:01Z\",\"a\":0.30000000000000004}\n{\"time\":\n{\"a\":1}\n{\"time\":\"2024-01-02T00:00:02Z\",\"a\":1,\"a\":2}\n", &options(), expect![[r#"
        2024-01-02T00:00:00Z t/a float 1.5
        2024-01-02T00:00:00Z t/b/c boolean true
        2024-01-02T00:00:00Z t/b/d%2Fe text x
        2024-01-02T00:00:00Z t/f none - Bad
        2024-01-02T00:00:00Z t/g json [1,2]
        2024-01-02T00:00:01Z t/a float 0.30000000000000004
        rejected line 4: it is no JSON object: EOF while parsing a value at line 1 column 8
        rejected line 5, column 'time': there is no time
        rejected line 6: the member 'a' stands twice
    "#]]);
    check_with(
        "t.json",
        b"[{\"ts\":1704153600000,\"value\":1},\n{\"ts\":1704153601000,\"value\":2}]",
        &options(),
        expect![[r#"
        2024-01-02T00:00:00Z t float 1
        2024-01-02T00:00:01Z t float 2
    "#]],
    );
    check_with("t.json", b"[\n  {\n    \"signal\": \"acme/a\",\n    \"time\": \"2024-01-02T00:00:00Z\",\n    \"value\": 1,\n    \"quality\": \"Good\"\n  },\n  {\"signal\": \"acme/a\", \"time\": \"2024-01-02T00:00:01Z\", \"value\": null, \"quality\": \"Bad_NoCommunication\"}\n]\n", &options(), expect![[r#"
        2024-01-02T00:00:00Z acme/a float 1
        2024-01-02T00:00:01Z acme/a none - Bad_NoCommunication
    "#]]);
    check_with("t.ndjson", b"{\"signal\":\"acme/n\",\"time\":\"2024-01-02T00:00:00Z\",\"value\":9007199254740993,\"kind\":\"integer\"}\n{\"signal\":\"acme/n\",\"time\":\"2024-01-02T00:00:00Z\",\"value\":\"x\",\"kind\":\"integer\"}\n", &options(), expect![[r#"
        2024-01-02T00:00:00Z acme/n integer 9007199254740993
        rejected line 2, column 'value': 'x' is no integer
    "#]]);
    check_with(
        "t.jsonl",
        b"{\"Datum\":\"31.01.2024\",\"Uhrzeit\":\"12:00:00\",\"v\":1}\n",
        &signal("acme/x"),
        expect![[r#"
        2024-01-31T11:00:00Z acme/x float 1
    "#]],
    );
}

#[test]
fn line_protocol() {
    let text = b"# comment\ncpu,host=edge\\ 1 idle=3,note=\"a b,c\" 1704153600000000000\nm value=1\nm value=2 1704153600000000001\nnon sense\nm s=\"two\nlines\" 1704153600000000002\nm a=1i,b=t,c=2u 1704153600000000003\nm value=4 1704153600000000004\nm value=5 1704153600000000005\n";
    check_with(
        "t.lp",
        text,
        &options(),
        expect![[r#"
            text/plain; charset=utf-8 ?precision=ns
            cpu,host=edge\ 1 idle=3,note="a b,c" 1704153600000000000
            m value=2 1704153600000000001
            m s="two
            lines" 1704153600000000002
            m a=1i,b=t,c=2u 1704153600000000003
            m value=4 1704153600000000004
            m value=5 1704153600000000005
            rejected line 3: there is no time
            rejected line 5: it is no line protocol
        "#]],
    );
    check_with(
        "t.lp",
        b"m value=1 1704153600\nm,a=b value=2 1704153601\n",
        &prefix("acme/leeds plant"),
        expect![[r#"
        text/plain; charset=utf-8 ?precision=s
        acme/leeds\ plant/m value=1 1704153600
        acme/leeds\ plant/m,a=b value=2 1704153601
    "#]],
    );
}

#[test]
fn packed_and_whole_files() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"time,value\n2024-01-02T00:00:00Z,1\n").unwrap();
    let packed = packed.finish().unwrap();
    check_with(
        "oven.csv.gz",
        &packed,
        &options(),
        expect![[r#"
        2024-01-02T00:00:00Z oven float 1
    "#]],
    );
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"PAR1....PAR1").unwrap();
    check_with(
        "t.parquet.gz",
        &packed.finish().unwrap(),
        &options(),
        expect![[r#"
            bad-import: t.parquet.gz is a packed Parquet file, and cannot be read as it is. Unpack it first: gzip -d FILE, or zstd -d FILE
        "#]],
    );
}

#[test]
fn a_header_alone_is_no_rows() {
    for text in
        ["time,value\n", "signal,time,value,kind,quality\n", "Zeit;\u{d6}l;Luft\r\n", "[]\n", " [ \n] "]
    {
        assert_eq!(shown("t.csv", text.as_bytes(), &options()), "", "{text}");
    }
    // One line that is no header of times is no table.
    assert!(shown("t.csv", b"a,b\n", &options()).starts_with("bad-import"));
}

#[test]
fn whole_numbers_that_no_float_holds_are_kept() {
    let rows = "2024-01-02T00:00:00Z,9007199254740993\n2024-01-02T00:00:01Z,9007199254740992\n\
                2024-01-02T00:00:02Z,-9223372036854775807\n2024-01-02T00:00:03Z,18446744073709551615\n\
                2024-01-02T00:00:04Z,99999999999999999999\n";
    check(
        &format!("time,a\n{rows}"),
        expect![[r#"
            2024-01-02T00:00:00Z p/a integer 9007199254740993
            2024-01-02T00:00:01Z p/a float 9007199254740992
            2024-01-02T00:00:02Z p/a integer -9223372036854775807
            2024-01-02T00:00:03Z p/a unsigned 18446744073709551615
            2024-01-02T00:00:04Z p/a float 100000000000000000000
        "#]],
    );
    let mut reader = open_bytes("t.csv", format!("time,a\n{rows}").as_bytes(), &options()).unwrap();
    while reader.next_part().unwrap().is_some() {}
    assert_eq!(reader.summary().whole_numbers, 3);
    let line = "{\"signal\":\"a\",\"time\":\"2024-01-02T00:00:00Z\",\"value\":9007199254740993}\n";
    check(
        line,
        expect![[r#"
            2024-01-02T00:00:00Z p/a integer 9007199254740993
        "#]],
    );
}

#[test]
fn names_without_an_option() {
    let text = b"time,a\n2024-01-02T00:00:00Z,1\n";
    for (name, path) in [
        ("/data/oven 3.csv", "oven 3/a"),
        ("C:\\logs\\oven.2024.csv", "oven.2024/a"),
        ("oven.csv.rejected", "oven/a"),
        ("50%.csv", "50%25/a"),
        (".csv", ".csv/a"),
    ] {
        assert_eq!(shown(name, text, &options()), format!("2024-01-02T00:00:00Z {path} float 1\n"), "{name}");
    }
}

#[test]
fn line_protocol_whose_texts_have_lines() {
    check_with(
        "t.lp",
        b"m,t=a v=1 1704067200000000000\nm v=2 1704067200000000001\nm v=\"x\ny\" 1704067200000000001\n",
        &prefix("p"),
        expect![[r#"
            text/plain; charset=utf-8 ?precision=ns
            p/m,t=a v=1 1704067200000000000
            p/m v=2 1704067200000000001
            p/m v="x
            y" 1704067200000000001
        "#]],
    );
    let record = |at: u32| {
        format!(
            "log,host=a msg=\"no {at}\n  in x, line 1\n  in y\",code=1i {}\n",
            1_704_067_200_000_000_000 + u64::from(at)
        )
    };
    let records: String = (0..100).map(record).collect();
    let head = "# DDL, of \"x\nCREATE DATABASE plant WITH NAME autogen\n# CONTEXT-DATABASE:plant\n";
    for text in [records.clone(), format!("{head}{records}")] {
        let read = shown("t.lp", text.as_bytes(), &prefix("p"));
        assert!(!read.contains("rejected"), "{}", &read[..300]);
        assert_eq!(read.matches("\n  in y\",code=1i ").count(), 100, "{}", &read[..300]);
    }
}

#[test]
fn a_mark_of_the_encoding_before_objects() {
    let object = "{\"time\":\"2024-01-02T00:00:00Z\",\"a\":1}";
    for text in [format!("[{object}]"), format!("[\n{object}\n]"), format!("{object}\n")] {
        let marked = shown("t.json", format!("\u{feff}{text}").as_bytes(), &prefix("p"));
        assert_eq!(marked, "2024-01-02T00:00:00Z p/a float 1\n", "{text}");
    }
}
