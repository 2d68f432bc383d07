//! Rows without times of their own, columns between blanks, rows that say what they are about.

use expect_test::expect;

use super::*;

fn counted(step: Option<&str>, set: impl FnOnce(&mut Options)) -> Options {
    with(|options| {
        options.prefix = Some("p".to_owned());
        options.start = Some(1_704_067_200_000_000_000);
        options.step = step.map(|step| Step::parse(step).unwrap());
        set(options);
    })
}

fn check_counted(text: &str, options: &Options, expected: Expect) {
    check_with("t.csv", text.as_bytes(), options, expected);
}

#[test]
fn rows_are_counted_from_a_start() {
    let options = counted(Some("3m"), |_| {});
    check_counted(
        "a,b [bar]\n1,2\n3,x\n5\n7,8\n",
        &options,
        expect![[r#"
        2024-01-01T00:00:00Z p/a float 1
        2024-01-01T00:00:00Z p/b float 2 bar
        2024-01-01T00:03:00Z p/a float 3
        2024-01-01T00:03:00Z p/b text x bar
        2024-01-01T00:09:00Z p/a float 7
        2024-01-01T00:09:00Z p/b float 8 bar
        rejected line 4: the row has 1 fields, and 2 are needed
    "#]],
    );
    // Steps of the calendar, in the zone.
    check_counted(
        "TH3\n27\n16\n9\n",
        &counted(Some("1mo"), |_| {}),
        expect![[r#"
        2024-01-01T00:00:00Z p/TH3 float 27
        2024-02-01T00:00:00Z p/TH3 float 16
        2024-03-01T00:00:00Z p/TH3 float 9
    "#]],
    );
    check_counted(
        "1.5\n2.5\n",
        &counted(Some("0.5s"), |_| {}),
        expect![[r#"
        2024-01-01T00:00:00Z p/column 1 float 1.5
        2024-01-01T00:00:00.500Z p/column 1 float 2.5
    "#]],
    );
}

#[test]
fn a_column_counts_from_a_start() {
    let none = |_: &mut Options| {};
    check_counted(
        "Time (s),Force [N]\n0.01,2.5\n1e1,3\n-1,0\n",
        &counted(None, none),
        expect![[r#"
        2024-01-01T00:00:00.010Z p/Force float 2.5 N
        2024-01-01T00:00:10Z p/Force float 3 N
        2023-12-31T23:59:59Z p/Force float 0 N
    "#]],
    );
    check_counted(
        "cycle,a\n1,5\n2,6\n",
        &counted(Some("1h"), |options| options.time = Some("cycle".to_owned())),
        expect![[r#"
        2024-01-01T01:00:00Z p/a float 5
        2024-01-01T02:00:00Z p/a float 6
    "#]],
    );
    check_counted(
        "time,a\n1,5\n2,6\n",
        &counted(None, none),
        expect![[r#"
        bad-import: the column 'time' of t.csv has numbers, and nothing says of what. Say what one is with --step, such as 1s, 1h or 1d
    "#]],
    );
    check_counted(
        "Time (s),a\n1,5\n2,6\n",
        &counted(Some("1h"), none),
        expect![[r#"
        bad-import: the column 'Time (s)' of t.csv has the unit 1s in its header, and 1h is asked for. Leave --step away: the header says it
    "#]],
    );
    check_counted(
        "a,b\n1,5\n2,6\n",
        &counted(None, none),
        expect![[r#"
        bad-import: t.csv has no column that counts from the start. Say how far apart its rows are: --step 3m, 1d, 1mo
    "#]],
    );
    check_counted(
        "time,a\n2024-01-01 00:00,5\n2024-01-01 00:01,6\n",
        &counted(None, none),
        expect![[r#"
        bad-import: the column 'time' of t.csv has times of its own. Leave --start away: it is for rows without times
    "#]],
    );
}

#[test]
fn keys_stand_in_the_names() {
    let keyed =
        |keys: &[&str]| with(|options| options.keys = keys.iter().map(|key| (*key).to_owned()).collect());
    let text =
        "date,store,item,sales\n2013-01-01,1,1,13\n2013-01-01,1,2,14\n2013-01-02,2,1,15\n2013-01-02,,1,15\n";
    check_with(
        "demand.csv",
        text.as_bytes(),
        &keyed(&["store", "item"]),
        expect![[r#"
        2012-12-31T23:00:00Z demand/1/1/sales float 13
        2012-12-31T23:00:00Z demand/1/2/sales float 14
        2013-01-01T23:00:00Z demand/2/1/sales float 15
        rejected line 5, column 'store': there is no name
    "#]],
    );
    let text = "time,device,temp [°C],value\n2024-01-01 00:00,a/b,1,2\n2024-01-01 00:00,c,3,x\n";
    check_with(
        "d.csv",
        text.as_bytes(),
        &keyed(&["device"]),
        expect![[r#"
        2023-12-31T23:00:00Z d/a%2Fb/temp float 1 °C
        2023-12-31T23:00:00Z d/a%2Fb/value float 2
        2023-12-31T23:00:00Z d/c/temp float 3 °C
        2023-12-31T23:00:00Z d/c/value text x
    "#]],
    );
    // Each unit is counted by itself.
    let units = "1 1.5 2\n1 1.6 3\n2 1.7 4\n";
    let options = counted(Some("1d"), |options| options.keys = vec!["1".to_owned()]);
    check_counted(
        units,
        &options,
        expect![[r#"
        2024-01-01T00:00:00Z p/1/column 2 float 1.5
        2024-01-01T00:00:00Z p/1/column 3 float 2
        2024-01-02T00:00:00Z p/1/column 2 float 1.6
        2024-01-02T00:00:00Z p/1/column 3 float 3
        2024-01-01T00:00:00Z p/2/column 2 float 1.7
        2024-01-01T00:00:00Z p/2/column 3 float 4
    "#]],
    );
    check_with(
        "d.csv",
        b"time,tag,line,value\n2024-01-01 00:00,a,l1,2\n",
        &keyed(&["line"]),
        expect![[r#"
        2023-12-31T23:00:00Z l1/a float 2
    "#]],
    );
}

#[test]
fn columns_between_blanks() {
    check(
        "  2024-01-01  00:00:00   1.5000000e+00\t7\n  2024-01-01  00:00:01   2.5  8  \n",
        expect![[r#"
        2023-12-31T23:00:00Z p/column 3 float 1.5
        2023-12-31T23:00:00Z p/column 4 float 7
        2023-12-31T23:00:01Z p/column 3 float 2.5
        2023-12-31T23:00:01Z p/column 4 float 8
    "#]],
    );
    check(
        "time  temp  state\n2024-01-01T00:00:00Z  1.5  \"a b\"\n2024-01-01T00:00:01Z  2.5  c\n",
        expect![[r#"
        2024-01-01T00:00:00Z p/temp float 1.5
        2024-01-01T00:00:00Z p/state text a b
        2024-01-01T00:00:01Z p/temp float 2.5
        2024-01-01T00:00:01Z p/state text c
    "#]],
    );
    let text = "   0.0000000e+00   1.0000000e+00\n   1.0000000e-02   2.5000000e+00\n";
    check_counted(
        text,
        &counted(Some("1s"), |options| options.time = Some("1".to_owned())),
        expect![[r#"
        2024-01-01T00:00:00Z p/column 2 float 1
        2024-01-01T00:00:00.010Z p/column 2 float 2.5
    "#]],
    );
}
