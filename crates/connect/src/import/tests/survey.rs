//! What only rows far behind the beginning of a file say holds for all of its rows.

use expect_test::expect;

use super::*;

/// Rows before those that say it: more than a sample of a file would hold.
const MANY: usize = 3000;

/// The last lines that a file gives, behind all those of its first rows.
fn check_end(name: &str, text: &str, options: &Options, lines: usize, expected: Expect) {
    let read = shown(name, text.as_bytes(), options);
    let all: Vec<&str> = read.lines().collect();
    let end = all[all.len().saturating_sub(lines)..].join("\n") + "\n";
    expected.assert_eq(&format!("{} lines, of which\n{end}", all.len()));
}

fn objects(first: &str, last: &[&str]) -> String {
    format!("{}{}\n", format!("{first}\n").repeat(MANY), last.join("\n"))
}

#[test]
fn members_that_come_late_count() {
    let text = objects(
        r#"{"signal":"a","time":1704153600,"value":1}"#,
        &[
            r#"{"signal":"a","time":1704153601,"value":7,"kind":"integer"}"#,
            r#"{"signal":"a","time":1704153602,"value":2,"quality":"Bad"}"#,
            r#"{"signal":"b","time":1704153603,"value":"0x00ff","kind":"bytes"}"#,
            r#"{"signal":"b","time":1704153604,"value":"NaN","kind":"float","unit":"bar"}"#,
            r#"{"signal":"b","time":1704153605,"vale":5}"#,
        ],
    );
    check_end(
        "t.ndjson",
        &text,
        &options(),
        5,
        expect![[r#"
            3005 lines, of which
            2024-01-02T00:00:01Z a integer 7
            2024-01-02T00:00:02Z a float 2 Bad
            2024-01-02T00:00:03Z b bytes 0x00ff bar
            2024-01-02T00:00:04Z b float NaN bar
            rejected line 3005, column 'value': there is no value
        "#]],
    );
    let plan = open_bytes("t.ndjson", text.as_bytes(), &options()).unwrap().plan().describe();
    assert!(plan.contains("note: vale is left out"), "{plan}");
    // The same as an array in one line.
    let array = format!("[{}]", text.trim_end().replace('\n', ","));
    let lines =
        |name: &str, text: &str| shown(name, text.as_bytes(), &options()).replace("line 3005", "line 1");
    assert_eq!(lines("t.json", &array), lines("t.ndjson", &text));
}

#[test]
fn values_that_come_late_are_signals_too() {
    let text = objects(r#"{"time":1704153600,"value":1}"#, &[r#"{"time":1704153601,"value":2,"b":{"c":3}}"#]);
    check_end(
        "t.jsonl",
        &text,
        &options(),
        2,
        expect![[r#"
        3002 lines, of which
        2024-01-02T00:00:01Z t/value float 2
        2024-01-02T00:00:01Z t/b/c float 3
    "#]],
    );
    check_end(
        "t.jsonl",
        &text,
        &signal("acme/x"),
        1,
        expect![[r#"
        1 lines, of which
        bad-import: t.jsonl has 2 columns with values, and --signal names one: value, b/c. Name one with --value COLUMN, or give --prefix PATH to import them all
    "#]],
    );
}

#[test]
fn qualities_that_come_late_count() {
    let text = objects(
        r#"{"time":1704153600,"Temp":1,"b":{"c":1}}"#,
        &[
            r#"{"time":1704153601,"Temp":2,"Temp_status":"Bad_SensorFailure","b":{"c":2}}"#,
            r#"{"time":1704153602,"Temp":3,"quality":"Uncertain","b":{"c":3}}"#,
            r#"{"time":1704153603,"Temp":null,"Temp_status":"Good","b":{"c":4}}"#,
            r#"{"time":1704153604,"Temp":5,"Temp_status":"odd","b":{"c":5}}"#,
        ],
    );
    let text = text + &"{\"time\":1704153605,\"Temp_status\":\"Good\"}\n".repeat(20);
    let mut read = shown("t.jsonl", text.as_bytes(), &options());
    read.drain(..read.find("2024-01-02T00:00:01Z").unwrap());
    expect![[r#"
        2024-01-02T00:00:01Z t/Temp float 2 Bad_SensorFailure
        2024-01-02T00:00:01Z t/b/c float 2
        2024-01-02T00:00:02Z t/Temp float 3 Uncertain
        2024-01-02T00:00:02Z t/b/c float 3 Uncertain
        2024-01-02T00:00:03Z t/Temp none - Bad
        2024-01-02T00:00:03Z t/b/c float 4
        2024-01-02T00:00:04Z t/b/c float 5
        rejected line 3004, column 'Temp_status': 'odd' is no quality
    "#]]
    .assert_eq(&read);
}

#[test]
fn qualities_within_members_are_those_of_the_values_beside_them() {
    let text = objects(
        r#"{"time":1704153600,"Temp":1,"a":{"value":1,"quality":192}}"#,
        &[
            r#"{"time":1704153601,"Temp":2,"a":{"value":2,"quality":64},"b":{"c":2,"c_status":"Bad_SensorFailure","d":2}}"#,
            r#"{"time":1704153602,"Temp":3,"a":{"value":3,"quality":0,"deep":{"er":3}},"quality":"Uncertain","b":{"c":3,"d":3}}"#,
            r#"{"time":1704153603,"Temp":4,"a":{"value":null,"quality":null},"b":{"c":4,"c_status":"odd","d":4}}"#,
            r#"{"time":1704153604,"Temp":5,"a":{"quality":"Good"},"wine":{"quality":"ripe"},"lone":{"quality":"Good"}}"#,
        ],
    );
    let text = text + &"{\"time\":1704153605,\"b\":{\"c_status\":\"Good\"}}\n".repeat(20);
    let mut read = shown("t.jsonl", text.as_bytes(), &options());
    read.drain(..read.find("2024-01-02T00:00:01Z").unwrap());
    expect![[r#"
        2024-01-02T00:00:01Z t/Temp float 2
        2024-01-02T00:00:01Z t/a/value float 2 Uncertain
        2024-01-02T00:00:01Z t/b/c float 2 Bad_SensorFailure
        2024-01-02T00:00:01Z t/b/d float 2
        2024-01-02T00:00:02Z t/Temp float 3 Uncertain
        2024-01-02T00:00:02Z t/a/value float 3 Bad
        2024-01-02T00:00:02Z t/a/deep/er float 3 Bad
        2024-01-02T00:00:02Z t/b/c float 3 Uncertain
        2024-01-02T00:00:02Z t/b/d float 3 Uncertain
        2024-01-02T00:00:03Z t/Temp float 4
        2024-01-02T00:00:03Z t/a/value none - Bad
        2024-01-02T00:00:03Z t/b/d float 4
        2024-01-02T00:00:04Z t/Temp float 5
        2024-01-02T00:00:04Z t/wine/quality text ripe
        2024-01-02T00:00:04Z t/lone/quality text Good
        rejected line 3003, column 'b/c_status': 'odd' is no quality
    "#]]
    .assert_eq(&read);
}

#[test]
fn a_member_that_stands_twice_is_told_also_among_many() {
    for (first, again, count) in [(0, 1, 2), (0, 99, 100), (98, 99, 100)] {
        let mut names: Vec<String> = (0..count).map(|name| format!("m{name}")).collect();
        names[again] = names[first].clone();
        let members: Vec<String> = names.iter().map(|name| format!("\"{name}\":1")).collect();
        let text = format!(
            "{{\"time\":1704153600,\"a\":1}}\n{{\"time\":1704153601,\"b\":{{{}}}}}\n",
            members.join(",")
        );
        let read = shown("t.jsonl", text.as_bytes(), &options());
        let told = format!("rejected line 2: the member 'b/m{first}' stands twice\n");
        assert!(read.ends_with(&told) && read.lines().count() == 2, "{read}");
    }
}

/// A few events among measurements do not make a file one of events.
#[test]
fn a_few_objects_with_a_name_do_not_make_the_others_nameless() {
    let text =
        objects(r#"{"time":1704153600,"a":1}"#, &[r#"{"time":1704153601,"name":"door","state":"open"}"#]);
    check_end(
        "t.jsonl",
        &text,
        &options(),
        2,
        expect![[r#"
        3002 lines, of which
        2024-01-02T00:00:01Z t/name text door
        2024-01-02T00:00:01Z t/state text open
    "#]],
    );
}

#[test]
fn a_decimal_mark_that_comes_late_is_no_guess() {
    let ones = "2024-01-02T00:00:00Z;1\n".repeat(MANY);
    let text = format!("time;a\n{ones}2024-01-02T00:00:01Z;1,234\n");
    check_end(
        "t.csv",
        &text,
        &prefix("p"),
        1,
        expect![[r#"
        1 lines, of which
        bad-import: '1,234' in t.csv (line 3002, column 'a') may be 1.234 (decimal comma) or 1234 (thousands), and no row of the file decides it. Say which with --decimal comma or --decimal point
    "#]],
    );
    check_end(
        "t.csv",
        &format!("{text}2024-01-02T00:00:02Z;1,5\n"),
        &prefix("p"),
        2,
        expect![[r#"
        3002 lines, of which
        2024-01-02T00:00:01Z p/a float 1.234
        2024-01-02T00:00:02Z p/a float 1.5
    "#]],
    );
    check_end(
        "t.csv",
        &format!("{text}2024-01-02T00:00:02Z;1,234.5\n"),
        &prefix("p"),
        2,
        expect![[r#"
        3002 lines, of which
        2024-01-02T00:00:01Z p/a float 1234
        2024-01-02T00:00:02Z p/a float 1234.5
    "#]],
    );
    // One row a sample; and a text of JSON is no question at all.
    let ones = "a;2024-01-02T00:00:00Z;1\n".repeat(MANY);
    let text = format!("tag;time;value\n{ones}a;2024-01-02T00:00:01Z;1,234\n");
    assert!(shown("t.csv", text.as_bytes(), &prefix("p")).starts_with("bad-import: '1,234'"));
    check_with(
        "t.jsonl",
        b"{\"time\":1704153600,\"a\":\"1,234\"}\n",
        &options(),
        expect![[r#"
        2024-01-02T00:00:00Z t/a text 1,234
    "#]],
    );
}

#[test]
fn words_that_come_late_decide_the_kind() {
    let ones = "2024-01-02T00:00:00Z,1\n".repeat(MANY);
    let words = "2024-01-02T00:00:01Z,idle\n".repeat(MANY / 2);
    check_end(
        "t.csv",
        &format!("time,a\n{ones}{words}"),
        &prefix("p"),
        1,
        expect![[r#"
        4500 lines, of which
        2024-01-02T00:00:01Z p/a text idle
    "#]],
    );
}

#[test]
fn the_largest_number_of_all_says_the_unit_of_times() {
    // A clock that was not set when the file begins.
    let begin = "9000000000,1\n".repeat(MANY);
    let rest = "1704153600000,2\n".repeat(MANY);
    let both = "1970-04-15T04:00:00Z p/a float 1\n".repeat(MANY)
        + &"2024-01-02T00:00:00Z p/a float 2\n".repeat(MANY);
    assert_eq!(shown("t.csv", format!("time,a\n{begin}{rest}").as_bytes(), &prefix("p")), both);
    let begin = "{\"time\":9000000000,\"a\":1}\n".repeat(MANY);
    let rest = "{\"time\":1704153600000,\"a\":2}\n".repeat(MANY);
    assert_eq!(shown("p.jsonl", format!("{begin}{rest}").as_bytes(), &options()), both);
    let points = format!("{}{}", "m a=1 9000000000\n".repeat(MANY), "m a=2 1704153600000\n".repeat(MANY));
    assert!(
        shown("t.lp", points.as_bytes(), &options()).starts_with("text/plain; charset=utf-8 ?precision=ms\n")
    );
    // A few larger ones may be faults.
    let few = format!("time,a\n{}1704153600000,2\n", "1704153600,1\n".repeat(MANY));
    check_end(
        "t.csv",
        &few,
        &prefix("p"),
        1,
        expect![[r#"
            1 lines, of which
            bad-import: the column 'time' of t.csv has numbers of two sizes: some are like '1704153600' (line 2), and others like '1704153600000' (line 3002). Say the unit of them all with --time-format s, ms, us or ns
        "#]],
    );
    let points = format!("{}m a=2 1704153600000\n", "m a=1 1704153600\n".repeat(MANY));
    assert!(shown("t.lp", points.as_bytes(), &options()).contains("numbers of two sizes"));
}

#[test]
fn dates_that_come_late_are_of_both_orders() {
    let text =
        format!("time,a\n13/04/2024 06:00,1\n{}04/13/2024 06:00,2\n", "03/03/2024 06:00,1\n".repeat(MANY));
    assert!(shown("t.csv", text.as_bytes(), &prefix("p")).contains("others that can only be month first"));
}

#[test]
fn what_no_float_holds_is_rejected_and_no_text() {
    let numbers = "2024-01-02T00:00:00Z,1\n".repeat(4);
    let infinite = ["inf", "-Infinity", "1e999", "-1e400", "9e99999"]
        .map(|text| format!("2024-01-02T00:00:01Z,{text}\n"))
        .concat();
    check_end(
        "t.csv",
        &format!("time,a\n{numbers}{infinite}"),
        &prefix("p"),
        6,
        expect![[r#"
        9 lines, of which
        2024-01-02T00:00:00Z p/a float 1
        rejected line 6, column 'a': 'inf' is no finite number
        rejected line 7, column 'a': '-Infinity' is no finite number
        rejected line 8, column 'a': '1e999' is no finite number
        rejected line 9, column 'a': '-1e400' is no finite number
        rejected line 10, column 'a': '9e99999' is no finite number
    "#]],
    );
    check(
        "tag,time,value\na,2024-01-02T00:00:00Z,1e999\nb,2024-01-02T00:00:00Z,on\nb,2024-01-02T00:00:00Z,inf\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/b boolean true
        rejected line 2, column 'value': '1e999' is no finite number
        rejected line 4, column 'value': 'inf' is no finite number
    "#]],
    );
    // A column of words is one of text.
    check(
        "time,a\n2024-01-02T00:00:00Z,warn\n2024-01-02T00:00:01Z,inf\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a text warn
        2024-01-02T00:00:01Z p/a text inf
    "#]],
    );
}

#[test]
fn a_quality_column_without_a_value_is_told() {
    let plan =
        open_bytes("t.csv", b"time,quality,status,a\n2024-01-02T00:00:00Z,Good,Good,1\n", &prefix("p"))
            .unwrap();
    let plan = plan.plan().describe();
    assert!(plan.contains("note: quality belongs to no value, and is left out"), "{plan}");
}
