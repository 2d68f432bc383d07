//! What people have: benchmarks without times, folders, archives, workbooks, what comes through a pipe; each counted and
//! summed by plain splitting. And imports that are cut off.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use super::data;
use crate::plant::{Home, Plant};

/// A text as it is or out of its gzip.
fn text_of(path: &Path) -> String {
    let bytes = std::fs::read(path).expect("it can be read");
    let mut text = String::new();
    if bytes.starts_with(&[0x1F, 0x8B]) {
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("it unpacks");
    } else {
        text = String::from_utf8_lossy(&bytes).into_owned();
    }
    text
}

/// Numbers between separators, without a number of lines at the head and columns at the left: how many, and their sum.
fn counted(path: &Path, separator: Option<char>, (lines, columns): (usize, usize)) -> (u64, f64) {
    let (mut count, mut sum) = (0, 0.0);
    for line in text_of(path).lines().skip(lines) {
        let cells: Vec<&str> = match separator {
            Some(separator) => line.split(separator).collect(),
            None => line.split_whitespace().collect(),
        };
        for cell in cells.into_iter().skip(columns) {
            if let Ok(number) = cell.trim_matches('"').parse::<f64>() {
                count += 1;
                sum += number;
            }
        }
    }
    (count, sum)
}

/// File, options, how it is split by another hand, and the least and the greatest time.
type Case = (&'static str, &'static [&'static str], Option<char>, (usize, usize), [&'static str; 2]);

const WITHOUT_TIMES: &[Case] = &[
    (
        "cmapss/train_FD001.txt",
        &["--key", "1", "--time", "2", "--start", "2020-01-01T00:00:00Z", "--step", "1h"],
        None,
        (0, 2),
        ["2020-01-01T01:00:00Z", "2020-01-16T02:00:00Z"],
    ),
    (
        "tep/d00.dat.gz",
        &["--transposed", "--start", "2020-01-01T00:00:00Z", "--step", "3m"],
        None,
        (0, 0),
        ["2020-01-01T00:00:00Z", "2020-01-02T00:57:00Z"],
    ),
    (
        "tep/d01_te.dat.gz",
        &["--start", "2020-01-01T00:00:00Z", "--step", "3m"],
        None,
        (0, 0),
        ["2020-01-01T00:00:00Z", "2020-01-02T23:57:00Z"],
    ),
    (
        "m4/Weekly-test.csv.gz",
        &["--transposed", "--start", "2020-01-01T00:00:00Z", "--step", "1w"],
        Some(','),
        (1, 1),
        ["2020-01-01T00:00:00Z", "2020-03-25T00:00:00Z"],
    ),
    (
        "demand/hospital.csv.gz",
        &["--start", "2000-01-01T00:00:00Z", "--step", "1mo"],
        Some(','),
        (1, 0),
        ["2000-01-01T00:00:00Z", "2006-12-01T00:00:00Z"],
    ),
];

#[test]
fn benchmarks_without_times_go_in_with_a_start_and_a_step() {
    let Some(folder) = data("benchmarks_without_times", "") else { return };
    let plant = Plant::start();
    for (index, (file, options, separator, beside, ends)) in WITHOUT_TIMES.iter().enumerate() {
        let (path, prefix) = (folder.join(file), format!("case{index}"));
        let (count, sum) = counted(&path, *separator, *beside);
        let name = path.display().to_string();
        let mut words = vec!["import", &name, "--prefix", &prefix, "--timezone", "UTC", "--json"];
        words.extend_from_slice(options);
        let ran = plant.run(&words).expect(0).json();
        assert_eq!((ran["samples"].as_u64(), &ran["rejected"]), (Some(count), &json!(0)), "{file}: {ran}");
        let rows = plant.sql(&format!(
            "SELECT count(*), sum(value), min(time), max(time) FROM samples WHERE matches(signal, '{prefix}/#')"
        ));
        assert_eq!(rows[0][0], count, "{file}");
        let told = rows[0][1].as_f64().expect("a sum");
        assert!((told - sum).abs() <= sum.abs() * 1e-9, "{file}: {told}, and by hand {sum}");
        assert_eq!([&rows[0][2], &rows[0][3]], ends.map(|end| json!(end)).each_ref(), "{file}");
    }
}

/// What is no time series says so, and what would make it one.
#[test]
fn what_is_no_time_series_is_refused_with_the_reason() {
    let Some(folder) = data("what_is_no_time_series", "") else { return };
    let plant = Plant::start();
    let refused = [
        ("ai4i/ai4i2020.csv", "--start"),
        ("jsplib/instances/ft06", "--start"),
        ("jsplib/instances_with_bks.csv", "--start"),
        ("cmapss/readme.txt", "no common number of fields"),
        ("nab/labels/combined_windows.json", "JSON without rows"),
    ];
    for (file, part) in refused {
        let ran =
            plant.run(&["import", &folder.join(file).display().to_string()]).expect_problem("bad-import");
        assert!(ran.err.contains(part), "{file}: {}", ran.err);
    }
    assert_eq!(plant.sql("SELECT count(*) FROM samples"), json!([[0]]));
}

#[test]
fn folders_archives_workbooks_and_pipes() {
    let plant = Plant::start();
    let folder = plant.home.path("archive");
    std::fs::create_dir_all(folder.join("Werk Süd")).expect("a folder");
    let rows =
        |value: f64| format!("time,value\n2024-01-01T00:00:00Z,{value}\n2024-01-01T00:01:00Z,{value}\n");
    for (name, text) in
        [("a.csv", rows(1.0)), ("Werk Süd/b.csv", rows(2.0)), ("README.md", "words".to_owned())]
    {
        std::fs::write(folder.join(name), text).expect("a file");
    }
    let path = folder.display().to_string();
    // One prefix for files of one column each would make one signal of them.
    let ran = plant.run(&["import", &path, "--prefix", "x"]).expect(1);
    assert!(ran.err.contains("{file}") && ran.err.contains("README.md"), "{}", ran.err);
    plant.run(&["import", &path, "--prefix", "x/{folder}/{file}"]).expect(0);
    plant.run(&["import", &path]).expect(0);
    let signals = "SELECT signal, count(*) FROM samples GROUP BY signal ORDER BY signal";
    assert_eq!(plant.sql(signals), json!([["Werk Süd/b", 2], ["a", 2], ["x/Werk Süd/b", 2], ["x/a", 2]]));

    let book = plant
        .home
        .file("oven.xlsx", include_bytes!("../../../../connect/src/import/tests/fixtures/xlsxwriter.xlsx"));
    let book = book.display().to_string();
    let ran = plant.run(&["import", &book]).expect_problem("bad-import");
    assert!(ran.err.contains("--sheet") && ran.err.contains("Daten"), "{}", ran.err);
    plant.run(&["import", &book, "--sheet", "Daten", "--timezone", "UTC"]).expect(0);
    let rows = plant.sql("SELECT count(*), sum(value), min(time) FROM samples WHERE signal = 'oven'");
    assert_eq!(rows, json!([[5, 12.5, "2024-06-01T12:00:00.250Z"]]));

    let mut import = plant.home.command(&["import", "-", "--signal", "piped"]);
    let mut process = import.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    process
        .stdin
        .take()
        .expect("a pipe")
        .write_all(b"time,value\n2024-01-01T00:00:00Z,7\n")
        .expect("it reads");
    assert!(process.wait().expect("it ends").success());
    assert_eq!(plant.sql("SELECT sum(value) FROM samples WHERE signal = 'piped'"), json!([[7.0]]));
}

const LONG: u64 = 600_000;

/// A file that takes a while, with a bad row near its beginning.
fn long_file(home: &Home) -> String {
    let mut text = String::from("time,value\n");
    for row in 0..LONG {
        let value = if row == 100 { "x".to_owned() } else { row.to_string() };
        text.push_str(&format!("{},{value}\n", 1_704_067_200 + row));
    }
    home.file("long.csv", text).display().to_string()
}

/// Starts an import and waits for its note.
fn begun(plant: &Plant, file: &str) -> std::process::Child {
    let mut command: Command = plant.home.command(&["import", file, "--signal", "long"]);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let note = format!("{file}.importing");
    while !Path::new(&note).exists() {
        assert!(process.try_wait().expect("it lives").is_none(), "it was done before it could be cut off");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    process
}

fn went_on(plant: &Plant, file: &str) {
    let ran = plant.run(&["import", file, "--signal", "long"]).expect(3);
    assert!(ran.err.contains("goes on behind them"), "{}", ran.err);
    assert!(ran.out.contains(&format!("{LONG} rows, {} samples", LONG - 1)), "{}", ran.out);
    let sum = (0..LONG).sum::<u64>() - 100;
    assert_eq!(
        plant.sql("SELECT count(*), sum(value) FROM samples WHERE signal = 'long'"),
        json!([[
            LONG - 1,
            f64::from(u32::try_from(sum / 1000).expect("small")) * 1000.0 + (sum % 1000) as f64
        ]])
    );
    let rejected = std::fs::read_to_string(format!("{file}.rejected")).expect("it is written");
    assert_eq!(rejected.matches("#rejected line").count(), 1, "{rejected}");
    assert!(!Path::new(&format!("{file}.importing")).exists());
}

#[test]
fn an_import_that_is_killed_goes_on_where_it_was() {
    let plant = Plant::start();
    let file = long_file(&plant.home);
    let mut process = begun(&plant, &file);
    process.kill().expect("it lives");
    process.wait().expect("it ends");
    went_on(&plant, &file);
}

#[test]
fn an_import_whose_plant_is_killed_goes_on_where_it_was() {
    let plant = Plant::start();
    let file = long_file(&plant.home);
    let process = begun(&plant, &file);
    // It starts again once the import has given up: between two requests it would not notice.
    let home = plant.kill();
    let out = process.wait_with_output().expect("it ends");
    assert_eq!(out.status.code(), Some(1));
    let told = String::from_utf8_lossy(&out.stderr);
    assert!(told.contains("written and durable: the same command again"), "{told}");
    went_on(&home.start(), &file);
}

/// Ctrl-C tells what stands.
#[test]
fn an_import_that_is_stopped_says_what_stands() {
    let plant = Plant::start();
    let file = long_file(&plant.home);
    let process = begun(&plant, &file);
    let id = rustix::process::Pid::from_child(&process);
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("it lives");
    let out = process.wait_with_output().expect("it ends");
    assert_eq!(out.status.code(), Some(130));
    let told = String::from_utf8_lossy(&out.stderr);
    assert!(told.contains("stopped") && told.contains("samples are written and durable"), "{told}");
    went_on(&plant, &file);
}

/// A note of another plant is not believed.
#[test]
fn a_note_of_another_plant_is_not_believed() {
    let plant = Plant::start();
    let file = long_file(&plant.home);
    let mut process = begun(&plant, &file);
    process.kill().expect("it lives");
    process.wait().expect("it ends");
    let other = Plant::start();
    let ran = other.run(&["import", &file, "--signal", "long"]).expect(3);
    assert!(!ran.err.contains("goes on behind them"), "{}", ran.err);
    assert_eq!(other.sql("SELECT count(*) FROM samples"), json!([[LONG - 1]]));
}

/// Counts and sums were added up by hand.
#[test]
fn loggers_and_tables_with_types() {
    let plant = Plant::start();
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../connect/src/import/tests/fixtures");
    for (file, prefix) in [("cr1000.dat", "orchard"), ("clickhouse.csv", "house")] {
        let path = files.join(file).display().to_string();
        let ran = plant.run(&["import", &path, "--prefix", prefix, "--json"]).expect(0).json();
        assert_eq!(ran["rejected"], 0, "{ran}");
    }
    for (signal, count, sum) in [
        ("orchard/BattV_Min", 4, 50.24),
        ("orchard/AirTC_Avg", 3, 22.5),
        ("orchard/SoilT(2)", 3, 32.75),
        ("orchard/Rain_mm_Tot", 4, 1.6),
        ("house/temp", 2, 41.5),
        ("house/pressure", 3, 3004.0),
    ] {
        let rows = plant.sql(&format!(
            "SELECT count(value), sum(value) FROM samples WHERE signal = '{signal}' AND value IS NOT NULL"
        ));
        assert_eq!(rows[0][0], count, "{signal}");
        let told = rows[0][1].as_f64().expect("a sum");
        assert!((told - sum).abs() < 1e-9, "{signal}: {told}");
    }
}
