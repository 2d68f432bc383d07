//! What stands beside a file behind an import, files that break off, and rows about several things.

use std::io::Write as _;

use serde_json::json;

use crate::plant::Plant;

/// A list of rejects is gone once its rows went in; what somebody changed or made is nobody's to remove or to write over.
#[test]
fn a_list_of_rejects_is_that_of_the_last_import() {
    let plant = Plant::start();
    let good = "time,a\n2026-03-01 00:00,1\n2026-03-01 00:02,1\n2026-03-01 00:03,1\n2026-03-01 00:04,1\n";
    let bad = &format!("{good}2026-03-01 00:01,x\n");
    let list = plant.home.path("oven.csv.rejected");
    let import = |text: &str, code: i32| {
        let file = plant.home.file("oven.csv", text).display().to_string();
        plant.run(&["import", &file, "--signal", "oven"]).expect(code)
    };
    import(bad, 3);
    let first = std::fs::read_to_string(&list).expect("it is written");
    import(bad, 3);
    assert_eq!(std::fs::read_to_string(&list).expect("it is written"), first, "the same rows, the same list");
    let ran = import(good, 0);
    assert!(!list.exists() && ran.err.contains("of an earlier import is removed"), "{}", ran.err);
    // Mended by hand: it stays, and the next list stands beside it.
    import(bad, 3);
    let mended = first.replace("00:01,x", "00:01,2");
    std::fs::write(&list, &mended).expect("written");
    let ran = import(good, 0);
    assert!(ran.err.contains("was changed since: it stays"), "{}", ran.err);
    assert_eq!(std::fs::read_to_string(&list).expect("it is there"), mended);
    let ran = import(bad, 3);
    assert!(ran.err.contains("is kept as"), "{}", ran.err);
    assert_eq!(std::fs::read_to_string(plant.home.path("oven.csv.rejected.old1")).expect("kept"), mended);
    // One that is no list at all.
    std::fs::write(&list, "my notes\n").expect("written");
    import(good, 0);
    assert_eq!(std::fs::read_to_string(&list).expect("it is there"), "my notes\n");
    let mended = plant.home.file("mended.csv", mended).display().to_string();
    plant.run(&["import", &mended, "--signal", "oven"]).expect(0);
    assert_eq!(plant.sql("SELECT count(*), sum(value) FROM samples"), json!([[5, 6.0]]));
}

/// What stands before the end of a packed file that breaks off goes in, and the whole file goes in behind it.
#[test]
fn of_a_file_that_breaks_off_the_whole_rows_go_in() {
    let plant = Plant::start();
    let row =
        |at: u32| format!("2026-03-01 {:02}:{:02}:{:02},{}\n", at / 3_600, at / 60 % 60, at % 60, at * 37);
    let text = "time,a\n".to_owned() + &(0..40_000).map(row).collect::<String>();
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(text.as_bytes()).expect("packed");
    let packed = packer.finish().expect("packed");
    let file = plant.home.path("oven.csv.gz");
    let import = || plant.run(&["import", &file.display().to_string(), "--signal", "oven"]);
    let found = || plant.sql("SELECT count(*), sum(value) FROM samples")[0].clone();
    std::fs::write(&file, &packed[..packed.len() / 2]).expect("written");
    let ran = import().expect_problem("import-cut");
    let count = found()[0].as_u64().expect("a number");
    assert!((5_000..35_000).contains(&count), "{count}");
    assert!(ran.err.contains(&format!("{count} samples")), "{}", ran.err);
    assert_eq!(found()[1], json!((0..count).sum::<u64>() as f64 * 37.0), "rows that are none");
    std::fs::write(&file, &packed).expect("written");
    import().expect(0);
    assert_eq!(found(), json!([40_000, (0..40_000u64).sum::<u64>() as f64 * 37.0]));
}

/// Rows of one time and of several devices are one signal only where that is said, whatever the format.
#[test]
fn devices_in_columns_are_not_merged_in_silence() {
    let plant = Plant::start();
    let query = "SELECT * FROM (VALUES (TIMESTAMP '2026-03-01T00:00:00Z', KIND1, 1.5), (TIMESTAMP '2026-03-01T00:00:00Z', KIND2, 2.5), \
                 (TIMESTAMP '2026-03-01T00:01:00Z', KIND1, 3.5)) AS t(time, device, a)";
    for (form, one, two) in [("text", "'x'", "'y'"), ("number", "7", "8")] {
        for ending in ["parquet", "arrow", "csv"] {
            let file = plant.home.path(&format!("{form}.{ending}")).display().to_string();
            plant
                .run(&["sql", &query.replace("KIND1", one).replace("KIND2", two), "--output", &file])
                .expect(0);
            let prefix = format!("{form}-{ending}");
            let asked = plant.run(&["import", &file, "--prefix", &prefix]).expect_problem("bad-import");
            assert!(asked.err.contains("--key device"), "{}", asked.err);
            plant.run(&["import", &file, "--prefix", &prefix, "--key", "device"]).expect(0);
            let (one, two) = (one.trim_matches('\''), two.trim_matches('\''));
            let rows = plant.sql(&format!(
                "SELECT signal, count(*), sum(value) FROM samples WHERE matches(signal, '{prefix}/#') GROUP BY signal ORDER BY signal"
            ));
            let expected =
                json!([[format!("{prefix}/{one}/a"), 2, 5.0], [format!("{prefix}/{two}/a"), 1, 2.5]]);
            assert_eq!(rows, expected, "{prefix}");
        }
    }
    // A file of samples: the key is not passed over either.
    let file = plant.home.path("samples.parquet").display().to_string();
    plant
        .run(&[
            "sql",
            "SELECT signal, time, value, kind FROM samples WHERE matches(signal, 'text-csv/#')",
            "--output",
            &file,
        ])
        .expect(0);
    plant.run(&["import", &file, "--prefix", "keyed", "--key", "kind"]).expect(0);
    let names =
        plant.sql("SELECT DISTINCT signal FROM samples WHERE matches(signal, 'keyed/#') ORDER BY signal");
    assert_eq!(names, json!([["keyed/float/text-csv/x/a"], ["keyed/float/text-csv/y/a"]]));
}
