//! What is asked and what is refused, and that the option named in the hint answers it.

use expect_test::expect;

use tidemill_core::rfc3339;

use super::*;

#[test]
fn day_or_month() {
    check(
        "time,a\n03/04/2024 06:00,1\n05/06/2024 06:00,2\n",
        expect![[r#"
        bad-import: '03/04/2024 06:00' in t.csv (line 2, column 'time') may be 2024-04-03 (day first) or 2024-03-04 (month first), and no row of the file decides it. Say which with --time-format dmy or --time-format mdy
    "#]],
    );
    let text = b"time,a\n03/04/2024 06:00,1\n";
    for (name, expected) in [
        (
            "dmy",
            expect![[r#"
            2024-04-03T04:00:00Z p/a float 1
        "#]],
        ),
        (
            "mdy",
            expect![[r#"
            2024-03-04T05:00:00Z p/a float 1
        "#]],
        ),
    ] {
        let answer = with(|options| {
            (options.time_format, options.prefix) = (TimeFormat::from_name(name), Some("p".to_owned()))
        });
        check_with("t.csv", text, &answer, expected);
    }
    // A row decides it, also one far behind the head.
    check(
        "time,a\n03/04/2024 06:00,1\n13/04/2024 06:00,2\n",
        expect![[r#"
        2024-04-03T04:00:00Z p/a float 1
        2024-04-13T04:00:00Z p/a float 2
    "#]],
    );
    check(
        "time,a\n03/04/2024 06:00,1\n04/13/2024 06:00,2\n",
        expect![[r#"
        2024-03-04T05:00:00Z p/a float 1
        2024-04-13T04:00:00Z p/a float 2
    "#]],
    );
    let far = format!("time,a\n{}04/13/2024 06:00,2\n", "03/04/2024 06:00,1\n".repeat(60_000));
    assert!(far.len() > HEAD_BYTES);
    let read = shown("t.csv", far.as_bytes(), &prefix("p"));
    assert!(read.starts_with("2024-03-04T05:00:00Z p/a float 1\n"), "{}", &read[..100]);
    // Where both readings are the same nothing is asked.
    check(
        "time,a\n03/03/2024 06:00,1\n04/04/2024 06:00,2\n",
        expect![[r#"
        2024-03-03T05:00:00Z p/a float 1
        2024-04-04T04:00:00Z p/a float 2
    "#]],
    );
    let far = format!("time,a\n{}04/05/2024 06:00,2\n", "03/03/2024 06:00,1\n".repeat(60_000));
    assert!(shown("t.csv", far.as_bytes(), &prefix("p")).starts_with("bad-import"));
    check(
        "time,a\n13/04/2024 06:00,1\n04/13/2024 06:00,2\n",
        expect![[r#"
        bad-import: t.csv has dates that can only be day first ('13/04/2024 06:00') and others that can only be month first ('04/13/2024 06:00'). Say which with --time-format dmy or --time-format mdy; rows of the other order are then rejected
    "#]],
    );
    check_with(
        "t.jsonl",
        b"{\"time\":\"03/04/2024 06:00\",\"a\":1}\n",
        &options(),
        expect![[r#"
        bad-import: '03/04/2024 06:00' in t.jsonl (line 1, column 'time') may be 2024-04-03 (day first) or 2024-03-04 (month first), and no row of the file decides it. Say which with --time-format dmy or --time-format mdy
    "#]],
    );
}

#[test]
fn comma_or_thousands() {
    check(
        "time;a\n2024-01-02T00:00:00Z;1,234\n",
        expect![[r#"
        bad-import: '1,234' in t.csv (line 2, column 'a') may be 1.234 (decimal comma) or 1234 (thousands), and no row of the file decides it. Say which with --decimal comma or --decimal point
    "#]],
    );
    for (name, expected) in [
        (
            "comma",
            expect![[r#"
            2024-01-02T00:00:00Z p/a float 1.234
        "#]],
        ),
        (
            "point",
            expect![[r#"
            2024-01-02T00:00:00Z p/a float 1234
        "#]],
        ),
    ] {
        let decimal = Decimal::from_name(name);
        let answer = with(|options| (options.decimal, options.prefix) = (decimal, Some("p".to_owned())));
        check_with("t.csv", b"time;a\n2024-01-02T00:00:00Z;1,234\n", &answer, expected);
    }
    let far = format!("time;a\n{}2024-01-02T00:00:00Z;0,5\n", "2024-01-02T00:00:00Z;1,234\n".repeat(60_000));
    assert!(
        shown("t.csv", far.as_bytes(), &prefix("p")).starts_with("2024-01-02T00:00:00Z p/a float 1.234\n")
    );
}

#[test]
fn no_time_no_import() {
    check(
        "UDI,Type,Torque [Nm]\n1,M,42.8\n2,L,46.3\n",
        expect![[r#"
            bad-import: t.csv has no column with times. Its columns: UDI, Type, Torque [Nm]. Name the column with --time COLUMN. If its rows are evenly spaced, say when the first was and how far apart they are: --start 2024-01-01T00:00:00Z --step 1m
        "#]],
    );
    check(
        "time,a\n12:00:00,1\n12:00:01,2\n",
        expect![[r#"
            bad-import: t.csv has no column with times. The column 'time' has times of day, and none a date. Name the column with --time COLUMN. If its rows are evenly spaced, say when the first was and how far apart they are: --start 2024-01-01T00:00:00Z --step 1m
        "#]],
    );
    check(
        "time,a\n0.0,1\n0.1,2\n",
        expect![[r#"
            bad-import: the column 'time' of t.csv has numbers too small for times since 1970; they may be elapsed time. Say when it began: --start 2024-01-01T00:00:00Z, and what one is, --step 1s; or name another column with --time COLUMN
        "#]],
    );
    check(
        "time,a\n45322.5,1\n",
        expect![[r#"
        bad-import: the column 'time' of t.csv has numbers that may be Excel's serial dates. Say so with --time-format excel, or format the cells as dates first
    "#]],
    );
    check(
        "time,a\nnow,1\n",
        expect![[r#"
            bad-import: t.csv has no column with times. Its columns: time, a. Name the column with --time COLUMN. If its rows are evenly spaced, say when the first was and how far apart they are: --start 2024-01-01T00:00:00Z --step 1m
        "#]],
    );
    // Named or not, it is told which word is not understood.
    expect![[r#"
        bad-import: the column 'when' of t.csv has times that end in 'PST' (line 2), which is no zone that is known here: such names mean several. Write offsets such as -05:00 in their place, or take the word away and say the zone with --timezone America/New_York
    "#]]
    .assert_eq(&shown(
        "t.csv",
        b"when,a\n2024-01-31 12:00 PST,1\n2024-01-31 12:01 PST,2\n",
        &with(|options| options.time = Some("when".to_owned())),
    ));
    check(
        "a,b\n1,2\n",
        expect![[r#"
            bad-import: t.csv has no column with times. Its columns: a, b. Name the column with --time COLUMN. If its rows are evenly spaced, say when the first was and how far apart they are: --start 2024-01-01T00:00:00Z --step 1m
        "#]],
    );
    check(
        "time\n2024-01-02T00:00:00Z\n",
        expect![[r#"
        bad-import: t.csv is neither CSV, line protocol, JSON, Parquet nor Arrow: its rows have no common number of fields. Export it as CSV with a header, separated by ',' or ';'
    "#]],
    );
    check(
        "just words\nand more of them\n",
        expect![[r#"
            bad-import: t.csv is neither CSV, line protocol, JSON, Parquet nor Arrow: its rows have no common number of fields. Export it as CSV with a header, separated by ',' or ';'
        "#]],
    );
}

#[test]
fn options_that_do_not_fit() {
    let two = b"time,a,b\n2024-01-02T00:00:00Z,1,2\n";
    check_with(
        "t.csv",
        two,
        &signal("acme/x"),
        expect![[r#"
        bad-import: t.csv has 2 columns with values, and --signal names one: a, b. Name one with --value COLUMN, or give --prefix PATH to import them all
    "#]],
    );
    let one =
        with(|options| (options.signal, options.value) = (Some("acme/x".to_owned()), Some("b".to_owned())));
    check_with(
        "t.csv",
        two,
        &one,
        expect![[r#"
        2024-01-02T00:00:00Z acme/x float 2
    "#]],
    );
    check_with(
        "t.csv",
        two,
        &with(|options| options.value = Some("c".to_owned())),
        expect![[r#"
        bad-import: t.csv has no column 'c'. Its columns: time, a, b. Name a column as the header spells it, or by its number from 1
    "#]],
    );
    check_with(
        "t.csv",
        two,
        &with(|options| options.time = Some("b".to_owned())),
        expect![[r#"
            bad-import: the column 'b' of t.csv has numbers too small for times since 1970; they may be elapsed time. Say when it began: --start 2024-01-01T00:00:00Z, and what one is, --step 1s; or name another column with --time COLUMN
        "#]],
    );
    check_with(
        "t.csv",
        two,
        &prefix("a//b"),
        expect![[r#"
        bad-path: --prefix 'a//b': 'a//b' has an empty segment: remove the doubled, leading or trailing '/'. Name it with --signal PATH or --prefix PATH; see docs/reference/names.md
    "#]],
    );
    check_with(
        "t.csv",
        b"tag,time,value\na,2024-01-02T00:00:00Z,1\n",
        &signal("acme/x"),
        expect![[r#"
        bad-import: each row of t.csv names its signal, so that --signal cannot. Use --prefix PATH to put something before the names
    "#]],
    );
    check_with(
        "t.lp",
        b"m value=1 1704153600\n",
        &signal("acme/x"),
        expect![[r#"
        bad-import: each row of t.lp names its signal, so that --signal cannot. Use --prefix PATH to put something before the names
    "#]],
    );
}

#[test]
fn foreign_files() {
    for (bytes, expected) in [
        (
            b"".as_slice(),
            expect![[r#"
            bad-import: t.csv is empty. Check that the export was finished
        "#]],
        ),
        (
            b"PK\x03\x04xxxx",
            expect![[r#"
            bad-import: t.csv is an Excel workbook or a ZIP archive, and cannot be read as it is. Save the sheet as CSV UTF-8, or unpack the archive first
        "#]],
        ),
        (
            b"time,a\n\x00\x01\x02,1\n",
            expect![[r#"
            bad-import: t.csv is not text, and cannot be read as it is. Export it as CSV
        "#]],
        ),
        (
            b"#group,false\n#datatype,string\n,result,table,_time,_value,_field,_measurement\n",
            expect![[r#"
                bad-import: t.csv is empty. Check that the export was finished
            "#]],
        ),
    ] {
        check_with("t.csv", bytes, &options(), expected);
    }
}

#[test]
fn rejects_are_mended_and_imported_again() {
    let good = (10..40).map(|second| format!("2024-01-02T00:00:{second}Z;1,5;2,5\n")).collect::<String>();
    let text = format!("Zeit;Öl;Luft\n{good}2024-01-02T00:00:01Z;x;3,5\n2024-01-02T00:00:02;\"a\nb\";4,5\n");
    let mut reader = open_bytes("t.csv", text.as_bytes(), &prefix("p")).unwrap();
    let mut out = format!("{}\n", reader.rejected_head().unwrap()).into_bytes();
    while let Some(part) = reader.next_part().unwrap() {
        let Part::Samples(batch) = part else { panic!("a table") };
        batch.rejects.iter().for_each(|reject| reject.write(&mut out));
    }
    let rejected = String::from_utf8(out).unwrap();
    expect![[r#"
        Zeit;Öl;Luft
        #rejected line 32, column 'Öl': 'x' is no finite number
        2024-01-02T00:00:01Z;x;3,5
        #rejected line 33, column 'Öl': 'a b' is no finite number
        2024-01-02T00:00:02;"a
        b";4,5
    "#]]
    .assert_eq(&rejected);
    let mended = rejected.replace(";x;", ";1,75;").replace("\"a\nb\"", "2");
    check_with(
        &rejected_name("t.csv"),
        mended.as_bytes(),
        &prefix("p"),
        expect![[r#"
        2024-01-02T00:00:01Z p/Öl float 1.75
        2024-01-02T00:00:01Z p/Luft float 3.5
        2024-01-01T23:00:02Z p/Öl float 2
        2024-01-01T23:00:02Z p/Luft float 4.5
    "#]],
    );
}

#[test]
fn parts_are_bounded() {
    let text = format!("time,a,b\n{}", "2024-01-02T00:00:00Z,1,2\n".repeat(12_000));
    let mut reader = open_bytes("t.csv", text.as_bytes(), &prefix("p")).unwrap();
    let mut sizes = Vec::new();
    while let Some(part) = reader.next_part().unwrap() {
        let Part::Samples(batch) = part else { panic!("a table") };
        sizes.push(batch.samples.len());
    }
    assert_eq!(sizes, [10_000, 10_000, 4_000]);
    assert_eq!(reader.summary().samples, 24_000);
    let long = format!(
        "time,a\n2024-01-02T00:00:00Z,1\n2024-01-02T00:00:01Z,{}\n2024-01-02T00:00:02Z,2\n",
        "9".repeat(3 << 20)
    );
    let read = shown("t.csv", long.as_bytes(), &prefix("p"));
    assert!(read.contains("rejected line 3: the line has more than 1048576 bytes"), "{}", &read[..300]);
    assert!(read.contains("2024-01-02T00:00:02Z p/a float 2\n"));
}

/// The plant is asked for its time zone where a time needs it, and not else.
#[test]
fn a_zone_is_asked_for_where_a_time_has_no_offset() {
    let open = |text: &str, set: fn(&mut Options)| {
        let mut options = Options { prefix: Some("p".to_owned()), ..Options::new(None) };
        set(&mut options);
        open_bytes("t.csv", text.as_bytes(), &options).unwrap()
    };
    let first = |reader: &mut Reader| match reader.next_part().unwrap() {
        Some(Part::Samples(batch)) => {
            let times: Vec<String> = batch.samples.iter().map(|sample| rfc3339(sample.time)).collect();
            let reasons = batch.rejects.iter().map(Reject::remark);
            times.into_iter().chain(reasons).collect::<Vec<_>>().join("; ")
        }
        other => panic!("{other:?}"),
    };
    let none = |_: &mut Options| {};
    let mut zoned = open("time,a\n2024-01-02 03:04:05Z,1\n2024-01-02T03:04:06+01:00,2\n", none);
    assert!(!zoned.needs_zone());
    assert_eq!(zoned.plan().describe().lines().nth(1), Some("time: time, each with its offset"));
    assert_eq!(first(&mut zoned), "2024-01-02T03:04:05Z; 2024-01-02T02:04:06Z");

    let bare = "time,a\n2024-01-02 03:04:05Z,1\n2024-01-02 03:04:06,2\n";
    let mut told = open(bare, none);
    assert!(told.needs_zone());
    told.set_zone(TimeZone::get("Asia/Tokyo").unwrap());
    assert!(told.plan().describe().contains("time: time, Asia/Tokyo where no offset is given"));
    assert_eq!(first(&mut told), "2024-01-02T03:04:05Z; 2024-01-01T18:04:06Z");
    // Nothing is guessed for whoever does not say it.
    let untold = "2024-01-02T03:04:05Z; line 3, column 'time': '2024-01-02 03:04:06' has no offset, and no time zone is known for it";
    assert_eq!(first(&mut open(bare, none)), untold);

    let numbers = "time,a\n1704164645,1\n1704164646,2\n";
    assert!(!open(numbers, none).needs_zone());
    let days = "time,a\n45293.5,1\n45293.6,2\n";
    assert!(open(days, |options| options.time_format = Some(TimeFormat::Excel)).needs_zone());
    let counted = |step: &'static str| {
        let mut reader = open(
            "a,b\n1,2\n3,4\n",
            match step {
                "1m" => |options| (options.start, options.step) = (Some(0), Step::parse("1m")),
                _ => |options| (options.start, options.step) = (Some(0), Step::parse("1d")),
            },
        );
        reader.needs_zone()
    };
    assert_eq!((counted("1m"), counted("1d")), (false, true));
    assert!(!open("m a=1 1704164645000000000\n", none).needs_zone());
}

/// Two files of one name in different folders would be one signal.
#[test]
fn files_of_one_name_are_told_apart_by_the_user() {
    let twin = |set: fn(&mut Options)| {
        with(|options| {
            options.twin = Some("d2/temp.csv".to_owned());
            set(options);
        })
    };
    let text = b"time,value\n2024-01-01T00:00:00Z,1\n";
    let asked = "bad-import: d1/temp.csv and d2/temp.csv would have their values in the same signals: their names are those of the files, and are alike. Tell them apart by their folders: --prefix 'PATH/{folder}/{file}'; or, if they are of one thing, import one after the other\n";
    assert_eq!(shown("d1/temp.csv", text, &twin(|_| {})), asked);
    assert_eq!(
        shown("d1/temp.csv", text, &twin(|options| options.signal = Some("x/temp".to_owned()))),
        asked
    );
    let object = br#"{"time":"2024-01-01T00:00:00Z","v":1}"#;
    assert_eq!(shown("d1/temp.csv", object, &twin(|_| {})), asked);
    // Rows that name their signals do not take the file's name.
    let named = b"time,signal,value\n2024-01-01T00:00:00Z,a,1\n";
    assert!(shown("d1/temp.csv", named, &twin(|_| {})).starts_with("2024-01-01T00:00:00Z a float 1"));
}
