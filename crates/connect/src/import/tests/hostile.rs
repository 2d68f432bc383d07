//! Files that are written to hurt, or that broke on their way: each is read as it was meant, or refused with what to do, and
//! in a time that its length bounds.

use std::fmt::Write as _;

use expect_test::expect;

use super::*;

/// What a user reads who imports it, the advice with it.
fn refused(name: &str, bytes: &[u8]) -> String {
    match open_bytes(name, bytes, &prefix("p")) {
        Ok(_) => "read".to_owned(),
        Err(problem) => format!("{}. {}", problem.detail, problem.hint),
    }
}

/// How many samples and rejects there are.
fn counts(name: &str, text: &str) -> (usize, usize) {
    let mut reader = open_bytes(name, text.as_bytes(), &prefix("p")).unwrap();
    let mut all = (0, 0);
    while let Some(part) = reader.next_part().unwrap() {
        let (samples, rejects) = match part {
            Part::Samples(batch) => (batch.samples.len(), batch.rejects.len()),
            Part::Piece(piece) => (usize::try_from(piece.samples).unwrap(), piece.rejects.len()),
        };
        all = (all.0 + samples, all.1 + rejects);
    }
    all
}

/// With a look at each of 2,000 further lines these would take hours.
#[test]
fn quotes_that_are_never_closed_cost_no_more_than_their_lines() {
    let good = |count: usize| "2024-01-02 03:04:05,1,x\n".repeat(count);
    let open = "a\",\"\n".repeat(20_000);
    assert_eq!(counts("t.csv", &format!("time,a,b\n{}{open}", good(500))), (1_000, 20_000));
    // One slip costs its own row.
    let slip = format!("time,a,b\n{}2024-01-02 03:04:06,1,\"x\n{}", good(5), good(5_000));
    assert_eq!(counts("t.csv", &slip), (2 * 5_005, 1));
    // A field that runs over lines is read behind it all the same.
    let runs = format!("{slip}2024-01-02 03:04:07,1,\"two\nlines, \"\"both\"\"\nof it\"\n");
    assert_eq!(counts("t.csv", &runs), (2 * 5_006, 1));
    let points = "m f=1 1704164645000000000\n".repeat(500) + &"m f=\"a\" \"\n".repeat(20_000);
    assert_eq!(counts("t.lp", &points).0, 500);
}

/// A stack trace, or a file that was pasted into a message: its lines are no points, however many they are.
#[test]
fn a_line_in_a_long_text_is_no_point() {
    let log = |lines: usize| format!("log msg=\"begin\n{}", "fake v=99 1704164645000000000\n".repeat(lines));
    let good = "m f=1 1704164645000000000\n";
    for lines in [1, 199, 200, 201, 5_000] {
        let closed = format!("{}end\",n=1i 1704164645000000000\n{}", log(lines), good.repeat(3));
        assert_eq!(counts("t.lp", &format!("{good}{closed}")), (6, 0), "{lines}");
    }
    // Without an end it may be a text of any length.
    assert_eq!(counts("t.lp", &format!("{}{}", good.repeat(500), log(300))), (500, 301));
    let mut reader =
        open_bytes("t.lp", format!("{}{}", good.repeat(500), log(1)).as_bytes(), &prefix("p")).unwrap();
    let Some(Part::Piece(piece)) = reader.next_part().unwrap() else { panic!("lines") };
    assert_eq!(piece.rejects[1].reason, "a quote is open in it that is not closed within 1048576 bytes");
    // Behind what a text may have at most, lines are points again.
    let (all, rejected) = counts("t.lp", &format!("{}{}", good.repeat(500), log(40_000)));
    assert_eq!(all + rejected, 40_501);
    assert!((34_000..37_000).contains(&rejected), "{rejected}");
}

/// What a remark says holds for what is behind the text, not for what stands above it.
#[test]
fn a_remark_within_a_text_that_never_ends() {
    let good = |value: u32, count: usize| format!("m f={value} 1704164645000000000\n").repeat(count);
    let text = format!(
        "# CONTEXT-DATABASE:one\n{}m f=\"open\n# CONTEXT-DATABASE:two\n# CONTEXT-DATABASE:three\n{}",
        good(1, 3),
        good(2, 50_000)
    );
    let mut reader = open_bytes("t.lp", text.as_bytes(), &prefix("p")).unwrap();
    let (mut lines, mut rejected) = (std::collections::BTreeMap::new(), 0);
    while let Some(Part::Piece(piece)) = reader.next_part().unwrap() {
        rejected += piece.rejects.len();
        let body = String::from_utf8(piece.body).unwrap();
        for line in body.lines() {
            let value = line.split(['=', ' ']).nth(2).unwrap().to_owned();
            *lines.entry((piece.originals.context.remarks(), value)).or_insert(0) += 1;
        }
    }
    let of = |database: &str, value: &str| (format!("# CONTEXT-DATABASE:{database}\n"), value.to_owned());
    assert_eq!(lines[&of("one", "1")], 3);
    assert_eq!(lines.len(), 2, "{lines:?}");
    // One line that is open, two remarks, and what is behind them up to 1 MiB.
    assert_eq!(lines[&of("three", "2")] + 3 + rejected, 50_000 + 3 + 3);
    assert!(rejected > 40_000, "{rejected}");
}

/// Only directly behind `=` of a field a quote begins a text.
#[test]
fn quotes_in_keys_and_tags_begin_no_text() {
    let good = "m f=1 1704164645000000000\n".repeat(3);
    for line in [
        "m a\"b=1 1704164645000000000",
        "m f=1,a\"=2i 1704164645000000000",
        "m,t=\"x f=1 1704164645000000000",
        "m,t=\"x\"y,u=5\" f=1 1704164645000000000",
        "  m,t=\"x f=1 1704164645000000000",
        "m\"n f=1 1704164645000000000",
        "m,t=a\\ \"b f=1 1704164645000000000",
    ] {
        let fields = if line.contains(",a\"") { 2 } else { 1 };
        assert_eq!(counts("t.lp", &format!("{line}\n{good}")), (fields + 3, 0), "{line}");
    }
    // A text behind such a key, with a blank, a comma and a line's end in it.
    let text = format!("m,t=\"x a\"b=\"one, \ntwo=\",c=2 1704164645000000000\n{good}");
    assert_eq!(counts("t.lp", &text), (5, 0));
}

#[test]
fn a_million_columns_are_refused_and_many_of_one_name_are_numbered() {
    let wide = |columns: usize| {
        format!("time{}\n2024-01-02 03:04:05{}\n", ",a".repeat(columns), ",1".repeat(columns))
    };
    expect!["t.csv is a table of more than 10,000 columns, and cannot be read as it is. Cut it into files of fewer columns, each with the times, or write one row a value"]
        .assert_eq(&refused("t.csv", wide(250_000).as_bytes()));
    let reader = open_bytes("t.csv", wide(4_000).as_bytes(), &prefix("p")).unwrap();
    let names: Vec<&str> = reader.signals().iter().map(|signal| signal.path.as_str()).collect();
    assert_eq!(names[..3], ["p/a", "p/a 2", "p/a 3"]);
    assert_eq!(names.last(), Some(&"p/a 4000"));
}

#[test]
fn documents_without_a_bottom_are_rejected() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!("{{\"time\":\"2024-01-02T03:04:05Z\",\"a\":{open}{close}}}\n")
    };
    assert_eq!(counts("t.jsonl", &nested(100)), (1, 0));
    check(
        &nested(130),
        expect![[r#"
        rejected line 1, column 'a': lists and objects stand more than 128 deep in each other
    "#]],
    );
    assert_eq!(counts("t.jsonl", &nested(200_000)), (0, 1));
}

/// The values of the second would be those of the first one's columns.
#[test]
fn two_tables_in_one_file_are_not_read_as_one() {
    let two = "time,a\n2024-01-02 03:04:05,1\n2024-01-02 03:04:06,2\n\ntime,b\n2024-01-02 03:04:05,10\n";
    expect!["t.csv holds more than one table: in line 5 another begins below a header of its own. Cut it into one file for each header, and import each"].assert_eq(&refused("t.csv", two.as_bytes()));
    // In another order, and by another word for time.
    let rows =
        |row: &str| (10..60).map(|second| format!("2024-01-02 03:04:{second};{row}\n")).collect::<String>();
    let swapped = format!("time;t;p\n{}time;p;t\n{}", rows("1;2"), rows("2;1"));
    assert!(refused("t.csv", swapped.as_bytes()).contains("in line 52 another begins"));
    assert!(
        refused("t.csv", two.replace("time,b", "Timestamp,Flow").as_bytes())
            .contains("in line 5 another begins")
    );
    // In another zone, by the numbers of its sensors, and by a word with a number behind.
    for (first, second) in [
        ("Time (UTC),a,b", "Time (CET),a,b"),
        (
            "\"Date Time, GMT+01:00\",\"Temp, °C (SEN S/N: 1)\",b",
            "\"Date Time, GMT+02:00\",\"Temp, °C (SEN S/N: 1)\",b",
        ),
        ("\"Date Time, GMT+01:00\",a,b", "\"Date Time, GMT+01:00\",\"Temp, °C (SEN S/N: 2)\",b"),
        ("Time,101,102", "time,201,202"),
        ("Time UTC+1,a,b", "Time UTC,a,b"),
        ("Uhrzeit,a,b", "Messzeit 2,c,d"),
        ("Uhrzeit,a,b", "ZEIT [MEZ],1,2"),
    ] {
        let text = format!("{first}\n{}{second}\n{}", rows("1;2"), rows("3;4")).replace(';', ",");
        assert!(refused("t.csv", text.as_bytes()).contains("in line 52 another begins"), "{second}");
        let again = format!("{first}\n{}{first}\n{}", rows("1;2"), rows("3;4")).replace(';', ",");
        assert_eq!(counts("t.csv", &again), (200, 0), "{first}");
    }
    // A footer, and the same columns by another word for time.
    for (first, behind) in [("time,a,b", "Date: 2024-01-31,Operator: X,\n"), ("Timestamp,a,b", "time,a,b\n")]
    {
        let text = format!("{first}\n{}{behind}", rows("1;2")).replace(';', ",");
        assert_eq!(counts("t.csv", &text), (100, 1), "{behind}");
    }
    // What a footer gives.
    let report = format!(
        "Time (UTC),a,b\n{}Date: 2024-01-31,Operator: X,\nTotal,2,4\nDatum : Mittwoch,x,\n",
        rows("1,2").replace(';', ",")
    );
    let told = shown("t.csv", report.as_bytes(), &prefix("p"));
    assert_eq!(told.lines().filter(|line| line.starts_with("2024-01-02T03:04:")).count(), 100);
    expect![[r#"
        rejected line 52, column 'Time (UTC)': 'Date: 2024-01-31' is no time of the form that this file has
        rejected line 53, column 'Time (UTC)': 'Total' is no time of the form that this file has
        rejected line 54, column 'Time (UTC)': 'Datum : Mittwoch' is no time of the form that this file has
    "#]]
    .assert_eq(&told.lines().skip(100).fold(String::new(), |all, line| all + line + "\n"));
    // In brackets, behind a colon and by its sign a zone is another one all the same.
    for (first, second) in [
        ("Time (HH:MM:SS),a,b", "Zeit (hh:mm:ss),c,d"),
        ("Time:,a,b", "Zeit:,c,d"),
        ("Time (UTC+1),a,b", "Time (UTC-1),a,b"),
        ("Time: UTC,a,b", "Time: CET,a,b"),
        ("Time (Europe/Berlin),a,b", "Time (America/New_York),a,b"),
        ("Time,a,b", "Time (UTC),a,b"),
    ] {
        let text = format!("{first}\n{}{second}\n{}", rows("1;2"), rows("3;4")).replace(';', ",");
        assert!(refused("t.csv", text.as_bytes()).contains("in line 52 another begins"), "{second}");
    }
    // Of the same columns they are one.
    check(
        &two.replace(",b", ",a"),
        expect![[r#"
        2024-01-02T02:04:05Z p/a float 1
        2024-01-02T02:04:06Z p/a float 2
        2024-01-02T02:04:05Z p/a float 10
    "#]],
    );
}

#[test]
fn rows_that_are_not_seen_at_first_are_not_lost_in_silence() {
    let far = format!("time,a\n{}2024-01-02 03:04:05,1\n", "\n".repeat(HEAD_BYTES));
    expect!["t.csv is a header without rows in the first MiB behind it, and cannot be read as it is. Take out the empty lines below the header, or what makes its rows longer than 1 MiB"].assert_eq(&refused("t.csv", far.as_bytes()));
    expect!["t.csv is a header above rows of which none can be read, and cannot be read as it is. Look for a quote in them that is not closed, or for characters of another encoding"].assert_eq(&refused("t.csv", b"time,a\n\"2024-01-02 03:04:05,1\n"));
    let long = format!("time,a\n2024-01-02 03:04:05,{}\n", "x".repeat(2 * HEAD_BYTES));
    expect!["t.csv is a header without rows in the first MiB behind it, and cannot be read as it is. Take out the empty lines below the header, or what makes its rows longer than 1 MiB"].assert_eq(&refused("t.csv", long.as_bytes()));
    assert_eq!(refused("t.csv", b"time,a\n\n  \n"), "read");
}

#[test]
fn what_looks_like_a_file_of_rows_and_is_none_is_told() {
    let files: [(&str, &[u8]); 6] = [
        ("a.json", br#"[["time","a"],["2024-01-02T03:04:05Z",1]]"#),
        ("b.json", br#"{"time":["2024-01-02T03:04:05Z"],"a":[1]}"#),
        ("c.xls", b"<table><tr><td>time</td></tr></table>"),
        ("d.csv", b"time,a\n2024-01-02 03:04:05,x\0y\n2024-01-02 03:04:06,\0\n"),
        ("e.csv", b"time;a\n2024-W01-2;1\n2024-W01-3;2\n"),
        ("f.csv", b"time;a\n2024-02-30 00:00:00;1\n2024-02-31 00:00:00;2\n"),
    ];
    let all = files.iter().fold(String::new(), |mut all, (name, bytes)| {
        writeln!(all, "{}", refused(name, bytes)).unwrap();
        all
    });
    expect![[r#"
        a.json is JSON whose rows are lists without names, and cannot be read as it is. Write one object a row, with a time in it
        b.json is JSON without rows: its members are lists and objects without a time, and cannot be read as it is. Write one object a row, with a time in it
        c.xls is a table of a web page, and cannot be read as it is. Open it in a spreadsheet and save the sheet as CSV
        d.csv is not text, and cannot be read as it is. Export it as CSV
        e.csv has no column with times. Its columns: time, a. Name the column with --time COLUMN. If its rows are evenly spaced, say when the first was and how far apart they are: --start 2024-01-01T00:00:00Z --step 1m
        f.csv has no column with times. Its columns: time, a. Name the column with --time COLUMN. If its rows are evenly spaced, say when the first was and how far apart they are: --start 2024-01-01T00:00:00Z --step 1m
    "#]].assert_eq(&all);
}

#[test]
fn not_a_number_as_the_libraries_of_c_write_it() {
    let words = ["1.5", "-nan", "-nan(ind)", "1.#QNAN", "-1.#IND", "1.#INF", "2.5", "3.5", "4.5", "5.5"];
    let row = |(at, word): (usize, &&str)| format!("2024-01-02 03:04:{at:02},{word}\n");
    let text = String::from("time,a\n") + &words.iter().enumerate().map(row).collect::<String>();
    check(
        &text,
        expect![[r#"
        2024-01-02T02:04:00Z p/a float 1.5
        2024-01-02T02:04:01Z p/a none - Bad_NoData
        2024-01-02T02:04:02Z p/a none - Bad_NoData
        2024-01-02T02:04:03Z p/a none - Bad_NoData
        2024-01-02T02:04:04Z p/a none - Bad_NoData
        2024-01-02T02:04:06Z p/a float 2.5
        2024-01-02T02:04:07Z p/a float 3.5
        2024-01-02T02:04:08Z p/a float 4.5
        2024-01-02T02:04:09Z p/a float 5.5
        rejected line 7, column 'a': '1.#INF' is no finite number
    "#]],
    );
}

#[test]
fn states_with_separators_in_them() {
    check(
        "Tag;Time;Value;Status\n\
        Mode;02-Jan-24 03:04:05;\"Auto; remote\";Good\n\
        Mode;02-Jan-24 03:04:06;\"Manual; \"\"local\"\"\";Good\n\
        Mode;02-Jan-24 03:04:07;I/O Timeout;\"Questionable; Substituted\"\n",
        expect![[r#"
            2024-01-02T02:04:05Z p/Mode text Auto; remote
            2024-01-02T02:04:06Z p/Mode text Manual; "local"
            2024-01-02T02:04:07Z p/Mode none - Bad_Timeout
        "#]],
    );
}
