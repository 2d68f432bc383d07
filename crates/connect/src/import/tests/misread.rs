//! Files of which another reading would be taken without a word: each is asked for, refused, or read as it is meant.

use expect_test::expect;

use super::*;

/// What comes of each of several files: its first line, or the question.
fn check_each(files: &[(&str, &str)], expected: Expect) {
    let mut out = String::new();
    for (what, text) in files {
        let read = shown("t.csv", text.as_bytes(), &prefix("p"));
        writeln!(out, "{what}: {}", read.lines().next().unwrap_or("nothing")).unwrap();
    }
    expected.assert_eq(&out);
}

#[test]
fn zones_beside_the_times_count() {
    check_each(
        &[
            (
                "HOBO",
                "\"#\",\"Date Time, GMT+01:00\",\"Temp\"\n1,01/31/24 10:00:00 AM,4.5\n2,01/31/24 10:15:00 AM,4.6\n",
            ),
            ("MEZ", "Zeit (MEZ);kW\n01.07.2024 12:00;1,5\n"),
            ("UTC-5", "Time (UTC-5);kW\n01.07.2024 12:00;1,5\n"),
            ("UTC", "Time [UTC];kW\n01.07.2024 12:00;1,5\n"),
            ("of somewhere", "MTU (CET/CEST);kW\n01.07.2024 12:00;1,5\n"),
            ("of several", "Time (EST);kW\n01.07.2024 12:00;1,5\n"),
            ("with offsets", "Time (EST);kW\n2024-07-01 12:00-05:00;1,5\n"),
            ("a column", "time,tz,a\n2024-07-01 12:00,UTC,1.5\n2024-07-01 12:15,UTC,1.6\n"),
            ("offsets", "Date,Time,UTC Offset,a\n2024-07-01,12:00,-05:00,1\n2024-07-01,12:15,-05:00,1\n"),
            ("numbers", "time,tz,a\n2024-07-01 12:00,1,1.5\n2024-07-01 12:15,1,1.6\n"),
            ("halves", "Date,Time,AM/PM,a\n2024-07-01,12:00,AM,1.5\n2024-07-01,01:15,PM,1.6\n"),
            ("name", "time,a\n2024-07-01 12:00 America/New_York,1\n"),
            ("bracket", "time,a\n2024-07-01T12:00:00[Asia/Tokyo],1\n"),
            ("gap", "time,a\n2024-03-10 02:30 America/New_York,1\n2024-03-10 03:30 America/New_York,1\n"),
            ("no zone", "time,a\n2024-07-01 12:00 Europe/Nowhere,1\n"),
        ],
        expect![[r#"
            HOBO: 2024-01-31T09:00:00Z p/Temp float 4.5
            MEZ: 2024-07-01T11:00:00Z p/kW float 1.5
            UTC-5: 2024-07-01T17:00:00Z p/kW float 1.5
            UTC: 2024-07-01T12:00:00Z p/kW float 1.5
            of somewhere: 2024-07-01T10:00:00Z p/kW float 1.5
            of several: bad-import: the column 'Time (EST)' of t.csv has times in EST, as its header says, and such names mean several zones. Say which with --timezone, such as America/New_York
            with offsets: 2024-07-01T17:00:00Z p/kW float 1.5
            a column: 2024-07-01T12:00:00Z p/a float 1.5
            offsets: 2024-07-01T17:00:00Z p/a float 1
            numbers: bad-import: the column 'tz' of t.csv has no zones or offsets that can be read, and the times have none. Write UTC, offsets such as +01:00 or names such as Europe/Berlin there; or say the zone with --timezone
            halves: 2024-06-30T22:00:00Z p/a float 1.5
            name: 2024-07-01T16:00:00Z p/a float 1
            bracket: 2024-07-01T03:00:00Z p/a float 1
            gap: 2024-03-10T07:30:00Z p/a float 1
            no zone: bad-import: t.csv has no column with times. Its columns: time, a. Name the column with --time COLUMN. If its rows are evenly spaced, say when the first was and how far apart they are: --start 2024-01-01T00:00:00Z --step 1m
        "#]],
    );
    let mixed = "time,a\n2024-01-01T00:00:00Z,1\n2024-01-01T00:00:01,2\n2024-01-01T00:00:02+01:00,3\n";
    check_plan(
        mixed,
        expect![[r#"
        CSV, UTF-8, separated by ',', header in line 1
        time: time, Europe/Berlin where no offset is given
        p/a: a, numbers with decimal point
        note: 1 times have no offset, as others do: they are taken as those of Europe/Berlin
    "#]],
    );
    check_with(
        "t.jsonl",
        b"{\"time\":\"2024-07-01 12:00\",\"timezone\":\"America/New_York\",\"a\":1}\n{\"time\":\"2024-07-01 12:01\",\"timezone\":\"\",\"a\":1}\n",
        &prefix("p"),
        expect![[r#"
            2024-07-01T16:00:00Z p/a float 1
            rejected line 2, column 'timezone': it is empty, and says how the time is meant
        "#]],
    );
}

#[test]
fn years_of_two_digits_may_stand_first() {
    let days = |form: &dyn Fn(u32) -> String| {
        (1..=28).fold("time,a\n".to_owned(), |text, day| text + &form(day) + " 12:00,1\n")
    };
    check_each(
        &[
            ("year first", &days(&|day| format!("24/02/{day:02}"))),
            ("day first", &days(&|day| format!("{day:02}/02/24"))),
            ("one day", "time,a\n24-02-03 10:00,1\n24-02-03 10:01,2\n"),
            ("only a year", "time,a\n99/12/31 10:00,1\n99/12/30 10:00,2\n"),
            ("month first", "time,a\n07/01/24 12:00,1\n07/13/24 12:00,2\n"),
            ("with points", "time;a\n24.02.03 12:00;1\n"),
            ("both", "time,a\n99/12/31 10:00,1\n31/12/1999 10:00,2\n"),
            ("by Excel", "time;a\n01.02.2024 00:00;1\n1/13/2024 00:00;1\n"),
        ],
        expect![[r#"
            year first: bad-import: '24/02/01 12:00' in t.csv (line 2, column 'time') may be 2001-02-24 (day first) or 2024-02-01 (year first), and no row of the file decides it. Say which with --time-format dmy, mdy or ymd
            day first: 2024-02-01T11:00:00Z p/a float 1
            one day: bad-import: '24-02-03 10:00' in t.csv (line 2, column 'time') may be 2003-02-24 (day first) or 2024-02-03 (year first), and no row of the file decides it. Say which with --time-format dmy, mdy or ymd
            only a year: 1999-12-31T09:00:00Z p/a float 1
            month first: 2024-07-01T10:00:00Z p/a float 1
            with points: 2003-02-24T11:00:00Z p/a float 1
            both: bad-import: the column 'time' of t.csv has dates that can only begin with their year ('99/12/31 10:00', line 2), and others that can only end with it ('31/12/1999 10:00', line 3). Write them alike, the year first and with four digits
            by Excel: bad-import: t.csv has dates that can only be day first ('01.02.2024 00:00') and others that can only be month first ('1/13/2024 00:00'). Say which with --time-format dmy or --time-format mdy; rows of the other order are then rejected
        "#]],
    );
    let year_first = with(|options| {
        (options.prefix, options.time_format) = (Some("p".to_owned()), TimeFormat::from_name("ymd"));
    });
    check_with(
        "t.csv",
        b"time,a\n24-02-03 10:00,1\n",
        &year_first,
        expect![[r#"
        2024-02-03T09:00:00Z p/a float 1
    "#]],
    );
}

#[test]
fn packed_dates_are_no_counts() {
    check_each(
        &[
            ("hours", "time,a\n2024010110,1\n2024010111,2\n"),
            ("minutes", "time,a\n202401011030,1\n202401011031,2\n"),
            ("seconds since 1970", "time,a\n2024000110,1\n2024000111,2\n"),
            ("two units", "time,a\n1719828000,1\n1719828001,1\n1719828000000,2\n1719828001000,2\n"),
        ],
        expect![[r#"
            hours: 2024-01-01T09:00:00Z p/a float 1
            minutes: 2024-01-01T09:30:00Z p/a float 1
            seconds since 1970: 2034-02-19T22:15:10Z p/a float 1
            two units: bad-import: the column 'time' of t.csv has numbers of two sizes: some are like '1719828000' (line 2), and others like '1719828000000' (line 4). Say the unit of them all with --time-format s, ms, us or ns
        "#]],
    );
}

#[test]
fn numbers_that_may_be_another() {
    check_each(
        &[
            ("thousands", "time;a\n2024-07-01 12:00;1.234\n2024-07-01 12:01;21.456\n"),
            ("tabs", "Zeit\ta\n01.07.2024 12:00\t1.234\n"),
            ("below one", "time;a\n2024-07-01 12:00;1.234\n2024-07-01 12:01;0.456\n"),
            ("no groups", "time;a\n2024-07-01 12:00;1.234\n2024-07-01 12:01;1234\n"),
            ("commas separate", "time,a\n2024-07-01 12:00,1.234\n"),
            ("other commas", "time;a;b\n2024-07-01 12:00;1.234;0,5\n"),
        ],
        expect![[r#"
            thousands: bad-import: '1.234' in t.csv (line 2, column 'a') may be 1234 (thousands) or 1.234 (decimal point), and no row of the file decides it. Say which with --decimal comma or --decimal point
            tabs: bad-import: '1.234' in t.csv (line 2, column 'a') may be 1234 (thousands) or 1.234 (decimal point), and no row of the file decides it. Say which with --decimal comma or --decimal point
            below one: 2024-07-01T10:00:00Z p/a float 1.234
            no groups: 2024-07-01T10:00:00Z p/a float 1.234
            commas separate: 2024-07-01T10:00:00Z p/a float 1.234
            other commas: 2024-07-01T10:00:00Z p/a float 1234
        "#]],
    );
    check(
        "time,a\n2024-07-01 12:00,12.5%\n2024-07-01 12:01,0 %\n2024-07-01 12:02,0.145\n",
        expect![[r#"
        2024-07-01T10:00:00Z p/a float 12.5 %
        2024-07-01T10:01:00Z p/a float 0 %
        rejected line 4, column 'a': '0.145' has no %, as the others have
    "#]],
    );
    check(
        "tag,time,value,unit\nT,2024-07-01 12:00,20.5,\nT,2024-07-01 12:01,20.6,°C\nT,2024-07-01 12:02,68.9,°F\n",
        expect![[r#"
            2024-07-01T10:00:00Z p/T float 20.5 °C
            2024-07-01T10:01:00Z p/T float 20.6 °C
            rejected line 4, column 'unit': the unit is '°F', and that of p/T is '°C'
        "#]],
    );
}

#[test]
fn characters_of_elsewhere_are_told() {
    let japanese = b"\x8E\x9E\x8D\x8F,a\n2024/07/01 12:00,1\n";
    check_with(
        "t.csv",
        japanese,
        &prefix("p"),
        expect![[r#"
        bad-import: t.csv is written in characters that are neither UTF-8 nor Windows-1252, and cannot be read as it is. Convert it first, by the name of its encoding: iconv -f SHIFT_JIS -t UTF-8 (or GB18030, CP850)
    "#]],
    );
    let late = [b"time,a\n".as_slice(), &b"2024-07-01 12:00,1\n".repeat(60_000), b"2024-07-01 12:01,\x81\n"]
        .concat();
    assert!(shown("t.csv", &late, &prefix("p")).contains("rejected line 60002"), "a late one");
}

/// A file of several things, with the columns of `--key`.
fn check_keyed(name: &str, text: &str, keys: &[&str], expected: Expect) {
    let keyed = with(|options| {
        options.prefix = Some("p".to_owned());
        options.keys = keys.iter().map(|key| (*key).to_owned()).collect();
    });
    check_with(name, text.as_bytes(), &keyed, expected);
}

#[test]
fn things_are_not_merged_in_silence() {
    let rows = |cells: &[&str]| cells.join("\n") + "\n";
    let (one, two) = ("2024-07-01 12:00", "2024-07-01 12:01");
    let numbered: String = (0..40).map(|at| format!("{at},{one},{at}\n")).collect();
    let coded: String = (0..60).map(|at| format!("c{at}x,{one},{at}\n")).collect();
    let sorted: String = ["a", "b"]
        .iter()
        .flat_map(|device| {
            (0..50).map(move |minute| format!("{device},2024-07-01 12:{minute:02},{device}{minute}.5\n"))
        })
        .map(|row| row.replace("a5", "15"))
        .collect();
    check_each(
        &[
            ("text", &rows(&["time,device,a", &format!("{one},x,1"), &format!("{one},y,2")])),
            ("alike", &rows(&["time,device,a", &format!("{one},x,1"), &format!("{one},y,1")])),
            (
                "number",
                &rows(&[
                    "time,device,a",
                    &format!("{one},1,1"),
                    &format!("{one},2,2"),
                    &format!("{two},1,3"),
                ]),
            ),
            ("a counter", &format!("id,time,a\n{numbered}")),
            ("a code a row", &format!("id,time,a\n{coded}")),
            ("by device", &format!("device,time,a\n{sorted}")),
            ("narrow", &rows(&["time,device,tag,value", &format!("{one},x,t,1"), &format!("{one},y,t,2")])),
            ("parameters", &rows(&["time,parameter,value", &format!("{one},x,1"), &format!("{one},y,2")])),
        ],
        expect![[r#"
            text: bad-import: rows of t.csv that have one time differ in 'device' (lines 2 and 3), so that values of different things would be one signal. Put it into the names with --key device; or say with --key '' that they are one signal all the same
            alike: 2024-07-01T10:00:00Z p/device text x
            number: bad-import: rows of t.csv that have one time differ in 'device' (lines 2 and 3), so that values of different things would be one signal. Put it into the names with --key device; or say with --key '' that they are one signal all the same
            a counter: 2024-07-01T10:00:00Z p/id float 0
            a code a row: 2024-07-01T10:00:00Z p/id text c0x
            by device: bad-import: rows of t.csv that have one time differ in 'device' (lines 2 and 52), so that values of different things would be one signal. Put it into the names with --key device; or say with --key '' that they are one signal all the same
            narrow: bad-import: rows of t.csv that have one time differ in 'device' (lines 2 and 3), so that values of different things would be one signal. Put it into the names with --key device; or say with --key '' that they are one signal all the same
            parameters: 2024-07-01T10:00:00Z p/x float 1
        "#]],
    );
    check_plan(
        &rows(&[
            "time,device,part,a",
            &format!("{one},x,1a,1"),
            &format!("{one},x,2a,2"),
            &format!("{two},y,1a,2"),
        ]),
        expect![[r#"
            CSV, UTF-8, separated by ',', header in line 1
            time: time, Europe/Berlin where no offset is given
            p/device: device, text
            p/part: part, text
            p/a: a, numbers with decimal point
            note: rows of one time differ in part (lines 2 and 3): --key part puts it into the names
            note: device may say what each row is about: --key device puts it into the names
        "#]],
    );
    let narrow = rows(&["time,device,tag,value", &format!("{one},x,t,1"), &format!("{one},y,t,2")]);
    check_keyed(
        "t.csv",
        &narrow,
        &["device"],
        expect![[r#"
        2024-07-01T10:00:00Z p/x/t float 1
        2024-07-01T10:00:00Z p/y/t float 2
    "#]],
    );
    check_keyed(
        "t.csv",
        &narrow,
        &[""],
        expect![[r#"
        2024-07-01T10:00:00Z p/t float 1
        2024-07-01T10:00:00Z p/t float 2
    "#]],
    );
}

/// What each file is told of, besides how it is read.
fn check_notes(files: &[(&str, &str)], expected: Expect) {
    let mut shown = String::new();
    for (name, text) in files {
        let described = match open_bytes(name, text.as_bytes(), &prefix("p")) {
            Ok(reader) => reader.plan().describe(),
            Err(problem) => problem.to_string(),
        };
        let told = described.lines().filter(|line| line.contains("note:") || line.contains("one signal"));
        writeln!(
            shown,
            "{}{}",
            text.lines().next().unwrap(),
            told.fold(":".to_owned(), |all, line| all + "\n    " + line.trim())
        )
        .unwrap();
    }
    expected.assert_eq(&shown);
}

#[test]
fn numbers_that_tell_rows_of_one_time_apart_are_told_of() {
    let of = |header: &str, rows: &dyn Fn(u32) -> [String; 2]| {
        let rows = (0..30)
            .flat_map(|minute| rows(minute).map(|cells| format!("2024-07-01 12:{minute:02},{cells}\n")));
        format!("time,{header}\n{}", rows.collect::<String>())
    };
    let pumps = of("pump,flow", &|at| [1, 2].map(|pump| format!("{pump},{}", at * 7 % 20 + pump)));
    let floats = of("machine_no,flow", &|at| [1, 2].map(|machine| format!("{machine},{}.5", at + machine)));
    let one_value = of("flow", &|at| [1, 2].map(|flow| (at % 3 + flow).to_string()));
    // Both rows may have the same state: that does not tell them apart.
    let state = of("state,flow", &|at| [0, 1].map(|row| format!("{},{}.5", row * at % 2, at + row)));
    let repeated: String = (0..120)
        .map(|at| format!("2024-10-27 {:02}:{:02},{},{at}.5\n", at / 60 + 1, at % 60, at % 9))
        .collect();
    let repeated = format!("time,mode,flow\n{repeated}2024-10-27 02:59,4,7.5\n");
    let objects: String = pumps
        .lines()
        .skip(1)
        .map(|row| {
            let [time, pump, flow] = row.split(',').collect::<Vec<_>>()[..] else { panic!("three cells") };
            format!("{{\"time\":\"{time}\",\"pump\":{pump},\"flow\":{flow}}}\n")
        })
        .collect();
    check_notes(
        &[
            ("t.csv", &pumps),
            ("t.csv", &floats),
            ("t.csv", &one_value),
            ("t.csv", &state),
            ("t.csv", &repeated),
            ("t.jsonl", &objects),
        ],
        expect![[r#"
            time,pump,flow:
                note: rows of one time differ in pump (lines 2 and 3): --key pump puts it into the names
            time,machine_no,flow:
                note: rows of one time differ in machine_no (lines 2 and 3): --key machine_no puts it into the names
            time,flow:
            time,state,flow:
            time,mode,flow:
            {"time":"2024-07-01 12:00","pump":1,"flow":1}:
                note: rows of one time differ in pump (lines 1 and 2): --key pump puts it into the names
        "#]],
    );
}

#[test]
fn devices_within_members_are_not_merged_in_silence() {
    let of = |member: &str| {
        [("a", 1), ("b", 2), ("a", 3)]
            .iter()
            .zip(["12:00", "12:00", "12:01"])
            .map(|((device, value), time)| {
                let device = member.replace('?', device);
                format!("{{\"time\":\"2024-07-01 {time}\",{device},\"v\":{value}}}\n")
            })
            .collect::<String>()
    };
    let files = ["\"tags\":{\"host\":\"?\"}", "\"device\":{\"id\":\"?\"}", "\"pump\":\"?\""].map(of);
    check_notes(
        &files.each_ref().map(|text| ("t.jsonl", text.as_str())),
        expect![[r#"
        {"time":"2024-07-01 12:00","tags":{"host":"a"},"v":1}:
            bad-import: rows of t.jsonl that have one time differ in 'tags/host' (lines 1 and 2), so that values of different things would be one signal. Put it into the names with --key tags/host; or say with --key '' that they are one signal all the same
        {"time":"2024-07-01 12:00","device":{"id":"a"},"v":1}:
            bad-import: rows of t.jsonl that have one time differ in 'device/id' (lines 1 and 2), so that values of different things would be one signal. Put it into the names with --key device/id; or say with --key '' that they are one signal all the same
        {"time":"2024-07-01 12:00","pump":"a","v":1}:
            note: rows of one time differ in pump (lines 1 and 2): --key pump puts it into the names
    "#]],
    );
    check_keyed(
        "t.jsonl",
        &files[0],
        &["tags/host"],
        expect![[r#"
        2024-07-01T10:00:00Z p/a float 1
        2024-07-01T10:00:00Z p/b float 2
        2024-07-01T10:01:00Z p/a float 3
    "#]],
    );
}

#[test]
fn keys_of_objects() {
    let wide = "{\"time\":\"2024-07-01T12:00:00Z\",\"device\":\"x\",\"a\":1,\"b\":{\"c\":2}}\n\
                {\"time\":\"2024-07-01T12:00:00Z\",\"device\":\"y\",\"a\":3,\"b\":{\"c\":4}}\n\
                {\"time\":\"2024-07-01T12:00:00Z\",\"a\":3}\n";
    for keys in [&[] as &[&str], &["device"], &["nothing"], &[""]] {
        let expected = match keys {
            [] => expect![[r#"
                bad-import: rows of t.jsonl that have one time differ in 'device' (lines 1 and 2), so that values of different things would be one signal. Put it into the names with --key device; or say with --key '' that they are one signal all the same
            "#]],
            ["device"] => expect![[r#"
                2024-07-01T12:00:00Z p/x/a float 1
                2024-07-01T12:00:00Z p/x/b/c float 2
                2024-07-01T12:00:00Z p/y/a float 3
                2024-07-01T12:00:00Z p/y/b/c float 4
                rejected line 3, column 'device': there is no name
            "#]],
            ["nothing"] => expect![[r#"
                bad-import: t.jsonl has no column 'nothing'. Its columns: time, device, a, b/c. Name a column as the header spells it, or by its number from 1
            "#]],
            _ => expect![[r#"
                2024-07-01T12:00:00Z p/device text x
                2024-07-01T12:00:00Z p/a float 1
                2024-07-01T12:00:00Z p/b/c float 2
                2024-07-01T12:00:00Z p/device text y
                2024-07-01T12:00:00Z p/a float 3
                2024-07-01T12:00:00Z p/b/c float 4
                2024-07-01T12:00:00Z p/a float 3
            "#]],
        };
        check_keyed("t.jsonl", wide, keys, expected);
    }
    let narrow = "{\"time\":\"2024-07-01T12:00:00Z\",\"of\":{\"line\":\"x y\"},\"signal\":\"a\",\"value\":1}\n\
                  {\"time\":\"2024-07-01T12:00:00Z\",\"of\":{\"line\":7},\"signal\":\"a\",\"value\":2}\n";
    check_keyed(
        "t.jsonl",
        narrow,
        &["of/line"],
        expect![[r#"
        2024-07-01T12:00:00Z p/x y/a float 1
        2024-07-01T12:00:00Z p/7/a float 2
    "#]],
    );
    let value = "[{\"time\":\"2024-07-01T12:00:00Z\",\"room\":1,\"value\":1},{\"time\":\"2024-07-01T12:00:00Z\",\"room\":2,\"value\":2}]";
    check_keyed(
        "t.json",
        value,
        &["room"],
        expect![[r#"
        2024-07-01T12:00:00Z p/1 float 1
        2024-07-01T12:00:00Z p/2 float 2
    "#]],
    );
    check_keyed(
        "t.lp",
        "m a=1 1719828000000000000\n",
        &["room"],
        expect![[r#"
        bad-import: --key says nothing of t.lp: each of its lines says itself what it is. Import it without that option
    "#]],
    );
}

#[test]
fn topics_with_the_same_members_are_not_one() {
    check_with(
        "t.jsonl",
        b"{\"tst\":\"2024-07-01T12:00:00Z\",\"topic\":\"x\",\"payload\":\"{\\\"a\\\":1}\"}\n{\"tst\":\"2024-07-01T12:00:00Z\",\"topic\":\"y\",\"payload\":\"{\\\"a\\\":2}\"}\n",
        &prefix("p"),
        expect![[r#"
            2024-07-01T12:00:00Z p/x/a float 1
            2024-07-01T12:00:00Z p/y/a float 2
        "#]],
    );
}
