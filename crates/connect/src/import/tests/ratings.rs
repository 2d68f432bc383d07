//! Which numbers called a quality are codes, and which rate something else.

use expect_test::expect;

use super::qualities::{rows, summed};
use super::*;

/// Columns called quality that rate something, and codes that do not.
#[test]
fn a_rating_is_no_status() {
    let mut all = String::new();
    for (header, numbers) in [
        ("quality", "5,6,7,3,8"),
        ("quality", "97,88,80,100"),
        ("quality", "12,255,200,193,77,131,99,45"),
        ("quality", "1,0"),
        ("quality", "16,16,16,17"),
        ("quality", "64,64,86"),
        ("quality", "85,86"),
        ("signal_quality", "97,98"),
        ("status", "0,1,2"),
        ("status", "0,0,0,0,0,0,0,0,0,0,0,0,1"),
        ("valid", "1,0"),
        ("quality", "192,0,24"),
        ("quality", "0,24"),
        ("quality", "195,3,25"),
        ("quality", "0,2147483648"),
        ("status", "-254,0"),
    ] {
        let words: Vec<(&str, usize)> = numbers.split(',').map(|number| (number, 1)).collect();
        for (form, head, row) in [
            ("wide", format!("time,a,b,{header}\n"), "1704153600,1,,WORD\n".to_owned()),
            ("one", format!("time,a,{header}\n"), "1704153600,1,WORD\n".to_owned()),
            ("narrow", format!("tag,time,value,{header}\n"), "a,1704153600,1,WORD\n".to_owned()),
            (
                "object",
                String::new(),
                format!("{{\"time\":1704153600,\"m\":{{\"a\":1,\"{header}\":WORD}}}}\n"),
            ),
        ] {
            let name = if form == "object" { "t.jsonl" } else { "t.csv" };
            let read = summed(name, &rows(&head, &row, &words)).replace("2024-01-02T00:00:00Z ", "");
            writeln!(all, "-- {header} {numbers}, {form}").unwrap();
            let told = |line: &&str| line.contains(" x ") || line.starts_with("note");
            read.lines().filter(told).for_each(|line| writeln!(all, "{line}").unwrap());
        }
    }
    expect![[r#"
        -- quality 5,6,7,3,8, wide
        note: quality holds no quality that is known, and is a signal of its own
        5 x p/a float 1
        1 x p/quality float 5
        1 x p/quality float 6
        1 x p/quality float 7
        1 x p/quality float 3
        1 x p/quality float 8
        -- quality 5,6,7,3,8, one
        note: quality holds no quality that is known, and is a signal of its own
        5 x p/a float 1
        1 x p/quality float 5
        1 x p/quality float 6
        1 x p/quality float 7
        1 x p/quality float 3
        1 x p/quality float 8
        -- quality 5,6,7,3,8, narrow
        1 x bad-import: the column 'quality' of t.csv has numbers that are hardly codes of a quality. Write Good, Uncertain or Bad there, or give it another name: it is then left out
        -- quality 5,6,7,3,8, object
        note: m/quality holds no quality that is known, and is a signal of its own
        5 x p/m/a float 1
        1 x p/m/quality float 5
        1 x p/m/quality float 6
        1 x p/m/quality float 7
        1 x p/m/quality float 3
        1 x p/m/quality float 8
        -- quality 97,88,80,100, wide
        note: quality holds no quality that is known, and is a signal of its own
        4 x p/a float 1
        1 x p/quality float 97
        1 x p/quality float 88
        1 x p/quality float 80
        1 x p/quality float 100
        -- quality 97,88,80,100, one
        note: quality holds no quality that is known, and is a signal of its own
        4 x p/a float 1
        1 x p/quality float 97
        1 x p/quality float 88
        1 x p/quality float 80
        1 x p/quality float 100
        -- quality 97,88,80,100, narrow
        1 x bad-import: the column 'quality' of t.csv has numbers that are hardly codes of a quality. Write Good, Uncertain or Bad there, or give it another name: it is then left out
        -- quality 97,88,80,100, object
        note: m/quality holds no quality that is known, and is a signal of its own
        4 x p/m/a float 1
        1 x p/m/quality float 97
        1 x p/m/quality float 88
        1 x p/m/quality float 80
        1 x p/m/quality float 100
        -- quality 12,255,200,193,77,131,99,45, wide
        note: quality holds no quality that is known, and is a signal of its own
        8 x p/a float 1
        1 x p/quality float 12
        1 x p/quality float 255
        1 x p/quality float 200
        1 x p/quality float 193
        1 x p/quality float 77
        1 x p/quality float 131
        1 x p/quality float 99
        1 x p/quality float 45
        -- quality 12,255,200,193,77,131,99,45, one
        note: quality holds no quality that is known, and is a signal of its own
        8 x p/a float 1
        1 x p/quality float 12
        1 x p/quality float 255
        1 x p/quality float 200
        1 x p/quality float 193
        1 x p/quality float 77
        1 x p/quality float 131
        1 x p/quality float 99
        1 x p/quality float 45
        -- quality 12,255,200,193,77,131,99,45, narrow
        1 x bad-import: the column 'quality' of t.csv has numbers that are hardly codes of a quality. Write Good, Uncertain or Bad there, or give it another name: it is then left out
        -- quality 12,255,200,193,77,131,99,45, object
        note: m/quality holds no quality that is known, and is a signal of its own
        8 x p/m/a float 1
        1 x p/m/quality float 12
        1 x p/m/quality float 255
        1 x p/m/quality float 200
        1 x p/m/quality float 193
        1 x p/m/quality float 77
        1 x p/m/quality float 131
        1 x p/m/quality float 99
        1 x p/m/quality float 45
        -- quality 1,0, wide
        note: quality holds no quality that is known, and is a signal of its own
        2 x p/a float 1
        1 x p/quality float 1
        1 x p/quality float 0
        -- quality 1,0, one
        note: quality holds no quality that is known, and is a signal of its own
        2 x p/a float 1
        1 x p/quality float 1
        1 x p/quality float 0
        -- quality 1,0, narrow
        1 x bad-import: the column 'quality' of t.csv has numbers that are hardly codes of a quality. Write Good, Uncertain or Bad there, or give it another name: it is then left out
        -- quality 1,0, object
        note: m/quality holds no quality that is known, and is a signal of its own
        2 x p/m/a float 1
        1 x p/m/quality float 1
        1 x p/m/quality float 0
        -- quality 16,16,16,17, wide
        4 x p/a float 1 Bad
        4 x p/b none - Bad
        -- quality 16,16,16,17, one
        4 x p/a float 1 Bad
        -- quality 16,16,16,17, narrow
        4 x p/a float 1 Bad
        -- quality 16,16,16,17, object
        4 x p/m/a float 1 Bad
        -- quality 64,64,86, wide
        3 x p/a float 1 Uncertain
        -- quality 64,64,86, one
        3 x p/a float 1 Uncertain
        -- quality 64,64,86, narrow
        3 x p/a float 1 Uncertain
        -- quality 64,64,86, object
        3 x p/m/a float 1 Uncertain
        -- quality 85,86, wide
        2 x p/a float 1 Uncertain
        -- quality 85,86, one
        2 x p/a float 1 Uncertain
        -- quality 85,86, narrow
        2 x p/a float 1 Uncertain
        -- quality 85,86, object
        2 x p/m/a float 1 Uncertain
        -- signal_quality 97,98, wide
        2 x p/a float 1
        1 x p/signal_quality float 97
        1 x p/signal_quality float 98
        -- signal_quality 97,98, one
        2 x p/a float 1
        1 x p/signal_quality float 97
        1 x p/signal_quality float 98
        -- signal_quality 97,98, narrow
        note: signal_quality is left out
        2 x p/a float 1
        -- signal_quality 97,98, object
        2 x p/m/a float 1
        1 x p/m/signal_quality float 97
        1 x p/m/signal_quality float 98
        -- status 0,1,2, wide
        note: status holds no quality that is known, and is a signal of its own
        3 x p/a float 1
        1 x p/status float 0
        1 x p/status float 1
        1 x p/status float 2
        -- status 0,1,2, one
        1 x p/a float 1
        2 x p/a float 1 Bad
        -- status 0,1,2, narrow
        1 x p/a float 1
        2 x p/a float 1 Bad
        -- status 0,1,2, object
        note: m/status holds no quality that is known, and is a signal of its own
        3 x p/m/a float 1
        1 x p/m/status float 0
        1 x p/m/status float 1
        1 x p/m/status float 2
        -- status 0,0,0,0,0,0,0,0,0,0,0,0,1, wide
        12 x p/a float 1
        1 x p/a float 1 Bad
        1 x p/b none - Bad
        -- status 0,0,0,0,0,0,0,0,0,0,0,0,1, one
        12 x p/a float 1
        1 x p/a float 1 Bad
        -- status 0,0,0,0,0,0,0,0,0,0,0,0,1, narrow
        12 x p/a float 1
        1 x p/a float 1 Bad
        -- status 0,0,0,0,0,0,0,0,0,0,0,0,1, object
        12 x p/m/a float 1
        1 x p/m/a float 1 Bad
        -- valid 1,0, wide
        1 x p/a float 1
        1 x p/a float 1 Bad
        1 x p/b none - Bad
        -- valid 1,0, one
        1 x p/a float 1
        1 x p/a float 1 Bad
        -- valid 1,0, narrow
        1 x p/a float 1
        1 x p/a float 1 Bad
        -- valid 1,0, object
        1 x p/m/a float 1
        1 x p/m/a float 1 Bad
        -- quality 192,0,24, wide
        1 x p/a float 1
        2 x p/a float 1 Bad
        2 x p/b none - Bad
        -- quality 192,0,24, one
        1 x p/a float 1
        2 x p/a float 1 Bad
        -- quality 192,0,24, narrow
        1 x p/a float 1
        2 x p/a float 1 Bad
        -- quality 192,0,24, object
        1 x p/m/a float 1
        2 x p/m/a float 1 Bad
        -- quality 0,24, wide
        2 x p/a float 1 Bad
        2 x p/b none - Bad
        -- quality 0,24, one
        2 x p/a float 1 Bad
        -- quality 0,24, narrow
        2 x p/a float 1 Bad
        -- quality 0,24, object
        2 x p/m/a float 1 Bad
        -- quality 195,3,25, wide
        1 x p/a float 1
        2 x p/a float 1 Bad
        2 x p/b none - Bad
        -- quality 195,3,25, one
        1 x p/a float 1
        2 x p/a float 1 Bad
        -- quality 195,3,25, narrow
        1 x p/a float 1
        2 x p/a float 1 Bad
        -- quality 195,3,25, object
        1 x p/m/a float 1
        2 x p/m/a float 1 Bad
        -- quality 0,2147483648, wide
        1 x p/a float 1
        1 x p/a float 1 Bad
        1 x p/b none - Bad
        -- quality 0,2147483648, one
        1 x p/a float 1
        1 x p/a float 1 Bad
        -- quality 0,2147483648, narrow
        1 x p/a float 1
        1 x p/a float 1 Bad
        -- quality 0,2147483648, object
        1 x p/m/a float 1
        1 x p/m/a float 1 Bad
        -- status -254,0, wide
        1 x p/a float 1 Bad
        1 x p/b none - Bad
        1 x p/a float 1
        -- status -254,0, one
        1 x p/a float 1 Bad
        1 x p/a float 1
        -- status -254,0, narrow
        1 x p/a float 1 Bad
        1 x p/a float 1
        -- status -254,0, object
        1 x p/m/a float 1 Bad
        1 x p/m/a float 1
    "#]].assert_eq(&all);
}

/// Who asks for one column gets its quality, or is asked.
#[test]
fn one_column_comes_with_its_quality() {
    let mut all = String::new();
    for (header, numbers) in [("quality", ["16", "17"]), ("quality", ["5", "7"]), ("status", ["0", "1"])] {
        for one in [
            Options { value: Some("a".to_owned()), ..prefix("p") },
            Options { value: Some(header.to_owned()), ..prefix("p") },
            Options { signal: Some("s/t".to_owned()), prefix: None, ..prefix("p") },
        ] {
            let text = format!("time,a,{header}\n1704153600,1,{}\n1704153601,2,{}\n", numbers[0], numbers[1]);
            let asked = one.value.as_deref().unwrap_or("--signal");
            writeln!(
                all,
                "-- {header} {}: {asked}\n{}",
                numbers.join(" "),
                shown("t.csv", text.as_bytes(), &one)
            )
            .unwrap();
        }
    }
    expect![[r#"
        -- quality 16 17: a
        2024-01-02T00:00:00Z p/a float 1 Bad
        2024-01-02T00:00:01Z p/a float 2 Bad

        -- quality 16 17: quality
        2024-01-02T00:00:00Z p/quality float 16
        2024-01-02T00:00:01Z p/quality float 17

        -- quality 16 17: --signal
        2024-01-02T00:00:00Z s/t float 1 Bad
        2024-01-02T00:00:01Z s/t float 2 Bad

        -- quality 5 7: a
        bad-import: the column 'quality' of t.csv has numbers that are hardly codes of a quality. Write Good, Uncertain or Bad there, or give it another name: it is then left out

        -- quality 5 7: quality
        2024-01-02T00:00:00Z p/quality float 5
        2024-01-02T00:00:01Z p/quality float 7

        -- quality 5 7: --signal
        bad-import: the column 'quality' of t.csv has numbers that are hardly codes of a quality. Write Good, Uncertain or Bad there, or give it another name: it is then left out

        -- status 0 1: a
        2024-01-02T00:00:00Z p/a float 1
        2024-01-02T00:00:01Z p/a float 2 Bad

        -- status 0 1: status
        2024-01-02T00:00:00Z p/status float 0
        2024-01-02T00:00:01Z p/status float 1

        -- status 0 1: --signal
        2024-01-02T00:00:00Z s/t float 1
        2024-01-02T00:00:01Z s/t float 2 Bad

    "#]].assert_eq(&all);
}
