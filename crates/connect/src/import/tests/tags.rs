//! Rows of InfluxDB that lack a tag, in each form in which it writes them.

use expect_test::expect;

use super::*;

/// Of an export without its tags the values of different things would be one signal.
#[test]
fn points_of_influxdb_that_lack_a_tag_are_asked_for() {
    let told = |name: &str, text: &str, keys: &[&str]| {
        let options = with(|options| options.keys = keys.iter().map(|key| (*key).to_owned()).collect());
        match open_bytes(name, text.as_bytes(), &options) {
            Ok(_) => "read".to_owned(),
            Err(problem) => format!("{}. {}", problem.detail, problem.hint),
        }
    };
    // SELECT usage FROM cpu, of two hosts.
    let one = "name,time,usage\ncpu,1700000000000000000,1.5\ncpu,1700000000000000000,2.5\n";
    expect!["rows of q.csv that have one time differ in 'usage' (lines 2 and 3), so that values of different things would be one signal. A tag is missing: export it again with the tags too (SELECT * or GROUP BY *); or say with --key '' that they are one signal all the same"]
        .assert_eq(&told("q.csv", one, &[]));
    assert_eq!(told("q.csv", one, &[""]), "read");
    // What stands twice is one point, and what another query selects of it too.
    let same = format!("{}name,time,idle\ncpu,1700000000000000000,7\n", one.replace("2.5", "1.5"));
    assert_eq!(told("q.csv", &same, &[]), "read");
    // Neither do rows of which each has what the other lacks.
    let apart = "name,time,a,b\ncpu,1700000000000000000,1.5,\ncpu,1700000000000000000,,7.5\n";
    assert_eq!(told("q.csv", apart, &[]), "read");
    // What completes a point is of it: a third row differs from what either has.
    for third in ["1.5,8.5", ",8.5"] {
        let more = format!("{apart}cpu,1700000001000000000,1,2\ncpu,1700000000000000000,{third}\n");
        assert!(told("q.csv", &more, &[]).contains("differ in 'b' (lines 3 and 5)"), "{third}");
    }
    // A number is the same however it is written; of the largest each digit counts.
    let written = |one: &str, two: &str| {
        let text = format!("name,time,a\ncpu,1700000000000000000,{one}\ncpu,1700000000000000000,{two}\n");
        told("q.csv", &text, &[])
    };
    for (one, two) in
        [("1", "1.0"), ("0.5", ".50"), ("-0", "0"), ("1e3", "1000"), ("1e17", "100000000000000000")]
    {
        assert_eq!(written(one, two), "read", "{one} {two}");
    }
    for (one, two) in [("1", "1.1"), ("9007199254740992", "9007199254740993"), ("true", "1")] {
        assert!(written(one, two).contains("differ in 'a'"), "{one} {two}");
    }
    // Only the tag differs.
    let still = |second: &str| {
        let rows = |time: u64| format!("m,{time}0000000000,1,20.5\nm,{time}0000000000,{second},20.5\n");
        format!("name,time,unit,temp\n{}{}", rows(170_000_000), rows(170_000_001))
    };
    assert!(told("q.csv", &still("2"), &[]).contains("differ in 'unit' (lines 2 and 3)"));
    assert!(told("q.csv", &still("2"), &[]).contains("--key unit"));
    assert_eq!(told("q.csv", &still("2"), &["unit"]), "read");
    assert_eq!(told("q.csv", &still("1"), &[]), "read");
    expect!["q.csv has no column 'slave'. Its columns: name, time, unit, temp. Name a column as the header spells it, or by its number from 1"]
        .assert_eq(&told("q.csv", &still("2"), &["slave"]));
    // The tag is the last of many columns.
    let mut wide = String::from("name,time");
    (0..40).for_each(|at| wide.push_str(&format!(",v{at}")));
    wide.push_str(",slave\n");
    for time in 0..5 {
        for slave in [3, 4] {
            let values: String = (0..40)
                .map(|at| format!(",{}", if at % 2 == 0 { slave * 100 + time * 7 + at } else { at }))
                .collect();
            wide.push_str(&format!("m,{}{values},{slave}\n", 1_700_000_000_000_000_000_i64 + time));
        }
    }
    assert!(
        told("q.csv", &wide, &[]).contains("Name the tags among them with --key slave;"),
        "{}",
        told("q.csv", &wide, &[])
    );
    assert_eq!(told("q.csv", &wide, &["slave"]), "read");

    let answer = "{\"results\":[{\"series\":[{\"name\":\"cpu\",\"columns\":[\"time\",\"usage\"],\
        \"values\":[[1700000000000,1.5],[1700000000000,2.5]]}]}]}\n";
    expect!["rows of q.json that have one time differ in 'usage' (rows 1 and 2), so that values of different things would be one signal. A tag is missing: export it again with the tags too (SELECT * or GROUP BY *); or say with --key '' that they are one signal all the same"]
        .assert_eq(&told("q.json", answer, &[]));
    assert_eq!(told("q.json", answer, &[""]), "read");
    assert!(told("q.json", answer, &["host"]).contains("has no column 'host'. Its columns: time, usage."));
    let tagged = answer.replace("],[1700000000000,2.5]]}", "]]},{\"name\":\"cpu\",\"tags\":{\"host\":\"b\"},\"columns\":[\"time\",\"usage\"],\"values\":[[1700000000000,2.5]]}");
    assert_eq!(told("q.json", &tagged, &[]), "read");
    let numbered =
        answer.replace("\"usage\"", "\"unit\",\"usage\"").replace(",1.5", ",1,1.5").replace(",2.5", ",2,2.5");
    check_with(
        "q.json",
        numbered.as_bytes(),
        &with(|options| options.keys = vec!["unit".to_owned()]),
        expect![[r#"
        text/plain; charset=utf-8 ?precision=ns
        cpu,unit=1 usage=1.5 1700000000000000000
        cpu,unit=2 usage=2.5 1700000000000000000
    "#]],
    );

    let annotated = "#datatype,string,long,dateTime:RFC3339,double,string,string\n#group,false,false,false,false,true,true\n\
        #default,_result,,,,,\n,result,table,_time,_value,_field,_measurement\n\
        ,,0,2024-01-01T00:00:00Z,1.5,usage,cpu\n,,0,2024-01-01T00:00:00Z,7,idle,cpu\n,,0,2024-01-01T00:00:00Z,2.5,usage,cpu\n";
    expect!["rows of q.csv that have one time differ in 'usage' (lines 5 and 7), so that values of different things would be one signal. A tag is missing: export it again with the tags too, without drop() and keep() of them; or say with --key '' that they are one signal all the same"]
        .assert_eq(&told("q.csv", annotated, &[]));
    assert_eq!(told("q.csv", annotated, &[""]), "read");
    assert_eq!(told("q.csv", &annotated.replace("2.5,usage", "1.5,usage"), &[]), "read");
}
