//! How files end that a logger or a transfer did not finish, and what workbooks show of numbers.

use std::io::Write as _;

use expect_test::expect;

use super::*;

/// The plan, how many samples there were, and how it ended.
fn ended(name: &str, bytes: &[u8]) -> String {
    let mut reader = open_bytes(name, bytes, &prefix("p")).unwrap();
    let mut out = reader
        .plan()
        .describe()
        .lines()
        .filter(|line| line.starts_with("note"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut samples = 0;
    let end = loop {
        match reader.next_part() {
            Ok(Some(Part::Samples(batch))) => {
                samples += batch.samples.len();
                batch
                    .rejects
                    .iter()
                    .for_each(|reject| write!(out, "\nrejected {}", reject.remark()).unwrap());
            }
            Ok(Some(Part::Piece(_))) => {}
            Ok(None) => break "its end".to_owned(),
            Err(problem) => break problem.to_string(),
        }
    };
    write!(out, "\n{samples} samples up to {end}\n").unwrap();
    out
}

fn rows(count: u32) -> String {
    let row =
        |at: u32| format!("2024-01-01 {:02}:{:02}:{:02},{}.5\n", at / 3600, at / 60 % 60, at % 60, at * 37);
    (0..count).fold("time,a\n".to_owned(), |text, at| text + &row(at))
}

#[test]
fn zeros_at_the_end_are_room_that_was_not_used() {
    let plain = rows(60).into_bytes();
    let zeros = |count| vec![0; count];
    let wide: Vec<u8> =
        "\u{feff}time,a\n2024-01-01 00:00,1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> =
        "\u{feff}time,a\n2024-01-01 00:00,1\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let mut out = String::new();
    for (what, bytes) in [
        ("few", [plain.as_slice(), &zeros(1)].concat()),
        ("many", [plain.as_slice(), &zeros(3 << 20)].concat()),
        ("UTF-16 LE", [wide.as_slice(), &zeros(4096)].concat()),
        ("UTF-16 LE alone", wide),
        ("UTF-16 BE", [big.as_slice(), &zeros(4096)].concat()),
        ("not at the end", [plain.as_slice(), b"2024-01-02 00:00,\0\0\n2024-01-02 00:01,7\n"].concat()),
    ] {
        writeln!(out, "{what}: {}", ended("t.csv", &bytes).trim()).unwrap();
    }
    expect![[r#"
        few: note: 1 zero bytes at its end are passed over
        60 samples up to its end
        many: note: 3145728 zero bytes at its end are passed over
        60 samples up to its end
        UTF-16 LE: note: 4096 zero bytes at its end are passed over
        1 samples up to its end
        UTF-16 LE alone: 1 samples up to its end
        UTF-16 BE: note: 4096 zero bytes at its end are passed over
        1 samples up to its end
        not at the end: rejected line 62, column 'a': '  ' is no finite number
        61 samples up to its end
    "#]]
    .assert_eq(&out);
}

#[test]
fn files_that_were_put_together_have_more_than_one_mark() {
    let mark = "\u{feff}";
    let text = format!(
        "{mark}time,a\n2024-01-01 00:00,1\n{mark}time,a\n2024-01-01 00:01,2\n{mark}2024-01-01 00:02,3\n"
    );
    check_with(
        "t.csv",
        text.as_bytes(),
        &prefix("p"),
        expect![[r#"
        2023-12-31T23:00:00Z p/a float 1
        2023-12-31T23:01:00Z p/a float 2
        2023-12-31T23:02:00Z p/a float 3
    "#]],
    );
}

#[test]
fn of_a_packed_stream_that_breaks_off_the_whole_lines_count() {
    let text = rows(40_000);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
    let mut out = String::new();
    for (what, bytes) in [("gzip", &gzip), ("zstd", &zstd)] {
        assert!(ended("t.csv", bytes).ends_with("40000 samples up to its end\n"), "{what}");
        // Wherever it breaks off, what is read is the beginning of what stands there.
        for cut in (bytes.len() / 3..bytes.len()).step_by(bytes.len() / 7) {
            let mut reader = open_bytes("t.csv", &bytes[..cut], &prefix("p")).unwrap();
            let mut values = Vec::new();
            let problem = loop {
                match reader.next_part() {
                    Ok(Some(Part::Samples(batch))) => {
                        values.extend(batch.samples.into_iter().map(|sample| sample.value))
                    }
                    Ok(_) => panic!("{what} at {cut} has an end"),
                    Err(problem) => break problem,
                }
            };
            assert_eq!(problem.code, &tidemill_core::codes::IMPORT_CUT);
            let expected = (0..values.len()).map(|at| tidemill_core::Value::Float(at as f64 * 37.0 + 0.5));
            assert!(values.iter().cloned().eq(expected), "{what} at {cut}");
        }
        assert!(
            ended("t.csv", &bytes[..bytes.len() / 2]).contains("note: its packed stream breaks off"),
            "{what}"
        );
        let begin = open_bytes("t.csv", &bytes[..30], &prefix("p")).err().unwrap();
        writeln!(out, "{what}: {begin}").unwrap();
    }
    expect![[r#"
        gzip: import-cut: t.csv breaks off: its packed stream has no end. The 0 rows before that were read. Fetch the whole file and import it in the same way: what is there already is not doubled
        zstd: import-cut: t.csv breaks off: its packed stream has no end. The 0 rows before that were read. Fetch the whole file and import it in the same way: what is there already is not doubled
    "#]].assert_eq(&out);
}
