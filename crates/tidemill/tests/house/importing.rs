//! Files in, and the same files out again: real measurements as their makers publish them, read a second time by plain
//! splitting of lines; every kind of value there and back through each export; rows that cannot be read.

mod ends;
mod people;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::plant::{Home, Plant, files_below, skip};

/// What an independent reader finds: per column, the distinct (seconds since 1970, bits of the value).
pub(crate) type Found = BTreeMap<String, BTreeSet<(i64, u64)>>;

/// Where the files stand: `TIDEMILL_DATA`, else beside the checkout.
pub(crate) fn data(test: &str, part: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("TIDEMILL_DATA").map_or_else(beside, PathBuf::from).join(part);
    if folder.is_dir() {
        return Some(folder);
    }
    skip(test, &format!("{} is not there (TIDEMILL_DATA names another folder)", folder.display()));
    None
}

/// `2014-02-19 10:50:00`, as UTC: days since 1970 by the civil calendar, counted from March.
fn seconds(text: &str) -> i64 {
    let numbers: Vec<i64> =
        text.split(['-', ' ', ':', 'T']).map(|part| part.parse().expect("a number")).collect();
    let [year, month, day, hour, minute, second] = numbers[..] else { panic!("no time: {text}") };
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    days * 86_400 + hour * 3_600 + minute * 60 + second
}

pub(crate) fn by_plain_splitting(file: &Path, separator: char) -> Found {
    let text = std::fs::read_to_string(file).expect("the file is text");
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().expect("a header").split(separator).skip(1).collect();
    let mut found = Found::new();
    for line in lines {
        let mut cells = line.split(separator);
        let time = seconds(cells.next().expect("a time"));
        for (name, cell) in names.iter().zip(cells) {
            let value: f64 = cell.parse().expect("a number");
            found.entry((*name).to_owned()).or_default().insert((time, value.to_bits()));
        }
    }
    found
}

/// What the plant has below a name, from its own export.
pub(crate) fn in_the_plant(plant: &Plant, pattern: &str, prefix: &str) -> Found {
    let text = plant.ok(&["read", pattern, "--from", "1970-01-01", "--format", "csv"]);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("signal,time,value,kind,quality"));
    let mut found = Found::new();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let name = cells[0].trim_start_matches(prefix).trim_start_matches('/');
        let name = if name.is_empty() { "value" } else { name };
        let time = seconds(cells[1].trim_end_matches('Z'));
        let value: f64 = cells[2].parse().expect("a number");
        assert!(found.entry(name.to_owned()).or_default().insert((time, value.to_bits())), "twice: {line}");
    }
    found
}

/// Imports a file under a name and compares; if wanted, also after a second time.
fn check(plant: &Plant, file: &Path, (option, separator): (&str, char), again: bool) {
    let (folder, stem) = (file.parent().and_then(Path::file_name), file.file_stem());
    let name = [folder, stem].map(|part| part.expect("a name").to_string_lossy().replace(' ', "-")).join("/");
    let path = file.display().to_string();
    let expected = by_plain_splitting(file, separator);
    let ran = plant.run(&["import", &path, option, &name, "--json"]).expect(0).json();
    assert_eq!(ran["rejected"], 0, "{ran}");
    assert_eq!(ran["signals"], expected.len(), "{ran}");
    let pattern = if option == "--signal" { name.clone() } else { format!("{name}/#") };
    assert!(
        in_the_plant(plant, &pattern, &name) == expected,
        "{path} came out otherwise than it stands there"
    );
    if !again {
        return;
    }
    plant.run(&["import", &path, option, &name]).expect(0);
    // Counted and summed by SQL after the second time.
    let rows = plant.sql(&format!(
        "SELECT signal, count(*), sum(value), min(time), max(time) FROM samples WHERE matches(signal, '{pattern}') GROUP BY signal"
    ));
    let rows = rows.as_array().expect("rows");
    assert_eq!(rows.len(), expected.len());
    for row in rows {
        let signal = row[0].as_str().expect("a name").trim_start_matches(&name).trim_start_matches('/');
        let samples = &expected[if signal.is_empty() { "value" } else { signal }];
        assert_eq!(row[1], samples.len(), "{row}: importing twice changed something");
        let sum: f64 = samples.iter().map(|(_, bits)| f64::from_bits(*bits)).sum();
        let told = row[2].as_f64().expect("a sum");
        assert!((told - sum).abs() <= sum.abs() * 1e-9, "{row}: the sum is {sum}");
        let ends = [samples.first(), samples.last()].map(|end| end.expect("not empty").0);
        let told =
            [&row[3], &row[4]].map(|time| seconds(time.as_str().expect("a time").trim_end_matches('Z')));
        assert_eq!(told, ends, "{row}");
    }
}

#[test]
fn the_numenta_benchmark_goes_in_with_no_option_but_a_name() {
    let Some(folder) = data("the_numenta_benchmark", "nab/data") else { return };
    let plant = Plant::start();
    let files = files_below(&folder, "csv");
    assert!(!files.is_empty());
    for file in &files {
        check(&plant, file, ("--signal", ','), true);
    }
    // The clock that went back: different values at one time are all kept.
    if let Some(file) = files.iter().find(|file| file.ends_with("machine_temperature_system_failure.csv")) {
        let found = by_plain_splitting(file, ',');
        let times: BTreeSet<i64> = found["value"].iter().map(|(time, _)| *time).collect();
        assert_eq!(found["value"].len() - times.len(), 12);
    }
}

#[test]
fn the_skoltech_benchmark_goes_in_with_no_option_but_a_name() {
    let Some(folder) = data("the_skoltech_benchmark", "skab/data") else { return };
    let plant = Plant::start();
    let files = files_below(&folder, "csv");
    assert!(!files.is_empty());
    for (index, file) in files.iter().enumerate() {
        // A second time costs as much as the first: some of these files are like all of them.
        check(&plant, file, ("--prefix", ';'), index % 5 == 0);
    }
}

/// How many floats stand before or behind all else: what a file holds may not be told by its first rows.
const LONG: usize = 2_500;

/// One of everything that a value can be, and a long signal of floats.
fn everything(long: &str) -> String {
    let mut samples = Vec::new();
    let mut add = |signal: &str, time: &str, rest: serde_json::Value| {
        let mut sample = json!({ "signal": signal, "time": time });
        for (name, value) in rest.as_object().into_iter().flatten() {
            sample[name] = value.clone();
        }
        samples.push(sample);
    };
    for second in 0..LONG {
        let time = format!("2026-03-01T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60);
        add(long, &time, json!({ "value": second }));
    }
    let floats = [0.1, -0.0, 0.0, 5e-324, f64::MAX, f64::MIN, 1.0 / 3.0, 1e21, 10844.0];
    for (index, value) in floats.into_iter().enumerate() {
        add("all/float", &format!("2026-03-01T00:00:{index:02}.000000001Z"), json!({ "value": value }));
    }
    for (index, value) in [i64::MIN, -1, 0, 9_007_199_254_740_993, i64::MAX].into_iter().enumerate() {
        add(
            "all/integer",
            &format!("2026-03-01T00:00:{index:02}Z"),
            json!({ "value": value, "kind": "integer" }),
        );
    }
    add("all/unsigned", "2026-03-01T00:00:00Z", json!({ "value": u64::MAX, "kind": "unsigned" }));
    add("all/boolean", "1969-12-31T23:59:59.999999999Z", json!({ "value": true }));
    add("all/boolean", "2026-03-01T00:00:01Z", json!({ "value": false, "quality": "Uncertain" }));
    let texts = [
        "",
        "up",
        "5",
        "NaN",
        "true",
        "a,b;c",
        "say \"no\"",
        "two\nlines",
        " edges ",
        "null",
        "Größe µ 温度",
        "=1+1",
        "2026-03-01",
    ];
    for (index, text) in texts.into_iter().enumerate() {
        add("all/text", &format!("2026-03-01T00:01:{index:02}Z"), json!({ "value": text }));
    }
    add("all/document", "2026-03-01T00:00:00Z", json!({ "value": { "a": [1, 2.50, null], "b": "x,\"y\"" } }));
    add("all/bytes", "2026-03-01T00:00:00Z", json!({ "value": "0x00ff", "kind": "bytes" }));
    add("all/nothing", "2026-03-01T00:00:00Z", json!({ "value": null, "quality": "Bad_NoCommunication" }));
    add("all/code", "2026-03-01T00:00:00Z", json!({ "value": 1.5, "quality": "0x80310000" }));
    for value in [3.0, 1.0, 2.0] {
        add("all/one time", "2026-03-01T00:00:00Z", json!({ "value": value }));
    }
    add("Werk Süd/Ofen, 3/\"T\"", "2026-03-01T00:00:00Z", json!({ "value": 20.5 }));
    add("a=b;c", "2026-03-01T00:00:00Z", json!({ "value": 20.5 }));
    serde_json::Value::from(samples).to_string()
}

#[test]
fn what_is_exported_imports_to_the_same_bit_for_bit() {
    what_is_exported_comes_back("zz/long");
}

/// Each kind but floats, and each quality but Good, is first met behind thousands of rows.
#[test]
fn what_is_rare_in_a_long_export_comes_back_too() {
    what_is_exported_comes_back("0/long");
}

fn what_is_exported_comes_back(long: &str) {
    let plant = Plant::start();
    let token = plant.token("all", &["write:#"]);
    plant.post("/api/v1/write").token(&token).body("application/json", everything(long)).send().expect(204);
    let words = |file: &str| ["read", "#", "--from", "1960-01-01", "--output", file].map(str::to_owned);
    let export = |plant: &Plant, file: &str| {
        let path = plant.home.path(file);
        let words = words(&path.display().to_string());
        plant.run(&words.each_ref().map(String::as_str)).expect(0);
        path
    };
    let same = std::fs::read_to_string(export(&plant, "same.ndjson")).expect("it is written");
    assert_eq!(same.lines().count(), LONG + 39);
    for file in ["x.csv", "x.parquet", "x.arrow", "x.ndjson", "x.json"] {
        let path = export(&plant, file);
        let other = Plant::start();
        let ran = other.run(&["import", &path.display().to_string()]).expect(0);
        let came = std::fs::read_to_string(export(&other, "same.ndjson")).expect("it is written");
        let pairs: Vec<_> = same.lines().zip(came.lines()).filter(|(one, two)| one != two).collect();
        assert_eq!(same.lines().count(), came.lines().count(), "{file}: {} {}", ran.out, ran.err);
        assert!(pairs.is_empty(), "{file}: {pairs:#?}");
        // And into the plant it came from, it changes nothing.
        plant.run(&["import", &path.display().to_string()]).expect(0);
        assert_eq!(
            std::fs::read_to_string(export(&plant, "again.ndjson")).expect("it is written"),
            same,
            "{file}"
        );
    }
}

#[test]
fn rows_that_cannot_be_read_are_set_aside_and_go_in_once_mended() {
    let plant = Plant::start();
    let mut text = String::from("Zeit;Öl (°C);Luft\n");
    for second in 0..60 {
        let oil = if second == 30 { "x".to_owned() } else { format!("{second},5") };
        let time = if second == 45 { "gestern".to_owned() } else { format!("2024-01-02T00:00:{second:02}Z") };
        text.push_str(&format!("{time};{oil};3,5\n"));
    }
    let file = plant.home.file("oven.csv", &text);
    let path = file.display().to_string();
    let dry = plant.run(&["import", &path, "--prefix", "oven", "--dry-run"]).expect(3);
    assert!(dry.out.contains("would be written"), "{}", dry.out);
    assert_eq!(plant.sql("SELECT count(*) FROM samples"), json!([[0]]), "a dry run wrote something");
    let ran = plant.run(&["import", &path, "--prefix", "oven"]).expect(3);
    assert!(ran.out.contains("oven.csv.rejected"), "{}", ran.out);
    assert_eq!(plant.sql("SELECT count(*) FROM samples"), json!([[59 + 58]]));
    let rejected = std::fs::read_to_string(plant.home.path("oven.csv.rejected")).expect("it is written");
    for part in ["Zeit;Öl (°C);Luft", "line 32", "'x'", "gestern;45,5;3,5", "line 47"] {
        assert!(rejected.contains(part), "no {part}: {rejected}");
    }
    let mended = rejected.replace(";x;", ";30,5;").replace("gestern", "2024-01-02T00:00:45Z");
    let mended = plant.home.file("oven.csv.rejected", mended).display().to_string();
    plant.run(&["import", &mended, "--prefix", "oven"]).expect(0);
    let rows = plant.sql("SELECT signal, count(*), sum(value) FROM samples GROUP BY signal ORDER BY signal");
    let sum = (0..60).map(|second| f64::from(second) + 0.5).sum::<f64>();
    assert_eq!(rows, json!([["oven/Luft", 60, 210.0], ["oven/Öl", 60, sum]]));
    let unit = plant.run(&["signals", "oven/Öl", "--json"]).expect(0).json()[0]["unit"].clone();
    assert_eq!(unit, "°C");
}

/// What the plant refuses is set aside as the file has it, once a row, so that it can be mended and imported as the first.
#[test]
fn rows_that_the_plant_refuses_are_set_aside_in_the_form_of_their_file() {
    let plant = Plant::start_with("[plant]\nname = \"p\"\n[limits]\nfuture = \"1d\"\n");
    let forms = [
        (
            "wide.csv",
            "time;a;b\n2026-03-01T00:00:00Z;1,5;2,5\n2200-03-01T00:00:00Z;3,5;4,5\n",
            "time;a;b\n#…\n2200-03-01T00:00:00Z;3,5;4,5\n",
        ),
        (
            "lines.ndjson",
            "{\"time\":\"2026-03-01T00:00:00Z\",\"a\":1.5,\"b\":2.5}\n{\"time\":\"2200-03-01T00:00:00Z\",\"a\":3.5,\"b\":4.5}\n",
            "#…\n{\"time\":\"2200-03-01T00:00:00Z\",\"a\":3.5,\"b\":4.5}\n",
        ),
        (
            "array.json",
            "[{\"time\":\"2026-03-01T00:00:00Z\",\"a\":1.5,\"b\":2.5}, {\"time\": \"2200-03-01T00:00:00Z\",\n \"a\": 3.5, \"b\": 4.5}]",
            "#…\n{\"time\": \"2200-03-01T00:00:00Z\",\n \"a\": 3.5, \"b\": 4.5}\n",
        ),
        (
            "points.lp",
            "m a=1.5 1772323200000000000\nm b=2.5 1772323200000000000\nm a=3.5,b=4.5 7263216000000000000\n",
            "#…\nm a=3.5,b=4.5 7263216000000000000\n",
        ),
    ];
    for (name, text, set_aside) in forms {
        let (prefix, file) = (name.replace('.', "-"), plant.home.file(name, text).display().to_string());
        let ran = plant.run(&["import", &file, "--prefix", &prefix, "--json"]).expect(3).json();
        assert_eq!(ran["rejected"], 1, "{name}: {ran}");
        let rejected = std::fs::read_to_string(format!("{file}.rejected")).expect("it is written");
        let remark = rejected.lines().find(|line| line.starts_with('#')).expect("a remark");
        assert!(remark.contains("2200-03-01"), "{name}: {remark}");
        let (rows, _) = rejected.split_once("#rejected end: ").expect("it says that it ends");
        assert_eq!(rows.replace(remark, "#…"), set_aside, "{name}");
        let mended = rejected.replace("2200-03", "2026-04").replace("7263216000", "1775001600");
        let mended = plant.home.file(&format!("{name}.rejected"), mended).display().to_string();
        plant.run(&["import", &mended, "--prefix", &prefix]).expect(0);
        let query = "SELECT count(*), sum(value) FROM samples WHERE matches(signal, '$')";
        assert_eq!(plant.sql(&query.replace('$', &format!("{prefix}/#"))), json!([[4, 12.0]]), "{name}");
    }
}

#[test]
fn rows_of_columns_that_are_refused_are_set_aside_and_the_others_go_in() {
    let plant = Plant::start();
    let token = plant.token("all", &["write:#"]);
    let body: String = (0..9)
        .map(|second| {
            format!("{{\"signal\":\"a\",\"time\":\"2026-03-01T00:00:0{second}Z\",\"value\":\"{second}\"}}\n")
        })
        .collect();
    plant.post("/api/v1/write").token(&token).body("application/x-ndjson", body).send().expect(204);
    // Text that is called a JSON document where it is none, in the rows 4 and 9.
    let query = "SELECT signal, time, value, text, CASE WHEN text IN ('3', '8') THEN 'boolean' ELSE kind END AS kind \
                 FROM samples ORDER BY time";
    for file in ["x.parquet", "x.arrow"] {
        let path = plant.home.path(file).display().to_string();
        plant.run(&["sql", query, "--output", &path]).expect(0);
        let other = Plant::start();
        let dry = other.run(&["import", &path, "--prefix", "b", "--dry-run"]).expect(0);
        assert!(dry.out.contains("9 rows, 9 samples would be written"), "{}", dry.out);
        let ran = other.run(&["import", &path, "--prefix", "b", "--json"]).expect(3).json();
        assert_eq!(
            [&ran["rows"], &ran["samples"], &ran["rejected"], &ran["signals"]],
            [&json!(9), &json!(7), &json!(2), &json!(1)],
            "{ran}"
        );
        assert_eq!(other.sql("SELECT signal, count(*) FROM samples GROUP BY signal"), json!([["b/a", 7]]));
        let rejected =
            std::fs::read_to_string(plant.home.path(&format!("{file}.rejected"))).expect("it is written");
        for part in ["line 4", "line 9", "\"text\":\"3\""] {
            assert!(rejected.contains(part), "no {part}: {rejected}");
        }
    }
}

/// Whoever reads that it ended is told how much of the file is there.
#[test]
fn an_import_that_cannot_set_rows_aside_says_what_is_kept() {
    let plant = Plant::start();
    let text = "time,value\n2026-03-01 00:00:00,1\n2026-03-01 00:00:01,2\n2026-03-01 00:00:02,x\n2026-03-01 00:00:03,4\n2026-03-01 00:00:04,5\n2026-03-01 00:00:05,6\n";
    let file = plant.home.file("oven.csv", text).display().to_string();
    std::fs::create_dir(plant.home.path("oven.csv.rejected")).expect("a folder in the way");
    let ran = plant.run(&["import", &file]).expect_problem("file-unwritable");
    assert!(ran.err.contains("; 5 samples of the file are written and durable"), "{}", ran.err);
    assert_eq!(plant.sql("SELECT count(*) FROM samples"), json!([[5]]));
}

/// What stands where the answer is to go is somebody's: a link stays a link, a pipe gets the bytes, rights are not widened.
#[test]
fn an_answer_goes_where_output_leads() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let plant = Plant::start();
    let float = "0.9925434121760651";
    plant.run(&["write", "a", float]).expect(0);
    let path = |name: &str| plant.home.path(name).display().to_string();
    let save = |name: &str| plant.run(&["read", "a", "--output", &path(name)]);
    let target = plant.home.file("target.csv", "old");
    std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o640)).expect("it is ours");
    symlink(&target, path("link.csv")).expect("a link");
    save("link.csv").expect(0);
    assert!(std::fs::symlink_metadata(path("link.csv")).expect("it is there").is_symlink());
    assert!(std::fs::read_to_string(&target).expect("a file").contains(float));
    assert_eq!(std::fs::metadata(&target).expect("a file").permissions().mode() & 0o777, 0o640);
    let made = std::process::Command::new("mkfifo").arg(path("pipe.csv")).status().expect("mkfifo");
    assert!(made.success());
    let pipe = path("pipe.csv");
    let reads = std::thread::spawn(move || std::fs::read_to_string(pipe));
    save("pipe.csv").expect(0);
    assert!(reads.join().expect("no panic").expect("a pipe").contains(float));
    let ran = plant.run(&["read", "a", "--output", &path("x.csv.gz")]).expect(2);
    assert!(ran.err.contains(".gz") && !plant.home.path("x.csv.gz").exists(), "{}", ran.err);
    // Wherever a float is shown or asked for, it is the one that was written.
    for words in [&["read", "a"][..], &["signals", "a"], &["sql", "SELECT value FROM samples"]] {
        let shown = plant.run(words).expect(0).out;
        assert!(shown.contains(float), "{words:?}: {shown}");
    }
    let token = plant.token("all", &["read:#"]);
    let query =
        format!("{{\"query\":\"SELECT count(*) FROM samples WHERE value = $1\",\"parameters\":[{float}]}}");
    let found = plant.post("/api/v1/sql").token(&token).body("application/json", query).send().expect(200);
    assert!(found.text().contains("[1]"), "{}", found.text());
}

#[test]
fn an_answer_that_breaks_in_its_middle_says_why() {
    let plant = Plant::start_with("[plant]\nname = \"p\"\n[limits]\nquery_rows = 100000\n");
    let path = plant.home.path("x.csv");
    let words = ["sql", "SELECT * FROM generate_series(1, 200000)", "--output", &path.display().to_string()];
    let ran = plant.run(&words).expect_problem("query-rows");
    assert!(ran.err.contains("100000"), "{}", ran.err);
    assert!(!path.exists());
    // Samples as they are have no such limit.
    let token = plant.token("all", &["write:#", "read:#"]);
    let lines = |from: u64| (from..from + 60_000).map(|n| format!("m value={n} {n}\n")).collect::<String>();
    for from in [0, 60_000] {
        plant.post("/api/v1/write").token(&token).body("text/plain", lines(from)).send().expect(204);
    }
    let file = plant.home.path("x.parquet").display().to_string();
    plant.run(&["read", "#", "--from", "1970-01-01", "--output", &file]).expect(0);
    let again = Plant::start();
    let ran = again.run(&["import", &file, "--json"]).expect(0).json();
    assert_eq!([&ran["rows"], &ran["samples"]], [&json!(120_000), &json!(120_000)], "{ran}");
}

#[test]
fn what_can_be_read_in_two_ways_is_asked_not_guessed() {
    let plant = Plant::start();
    let file = plant
        .home
        .file("t.csv", "time,value\n03/04/2024 06:00,1\n05/04/2024 06:00,2\n")
        .display()
        .to_string();
    let asked = plant.run(&["import", &file, "--signal", "t"]).expect_problem("bad-import");
    for part in ["dmy", "mdy", "2024-04-03", "2024-03-04"] {
        assert!(asked.err.contains(part), "no {part}: {}", asked.err);
    }
    assert_eq!(plant.sql("SELECT count(*) FROM samples"), json!([[0]]));
    plant.run(&["import", &file, "--signal", "t", "--time-format", "mdy"]).expect(0);
    let times = plant.sql("SELECT time FROM samples ORDER BY time");
    assert_eq!(times, json!([["2024-03-04T06:00:00Z"], ["2024-05-04T06:00:00Z"]]));
    plant.run(&["import", "nowhere.csv"]).expect_problem("not-found");
}

#[test]
fn times_without_an_offset_are_in_the_time_zone_of_the_plant() {
    let plant = Plant::start_with("[plant]\nname = \"p\"\ntimezone = \"Asia/Tokyo\"\n");
    let file = plant.home.file("t.csv", "time,value\n2024-03-04 06:00:00,1\n").display().to_string();
    plant.run(&["import", &file, "--signal", "t"]).expect(0);
    plant.ok(&["write", "t", "2", "--time", "2024-03-05 06:00"]);
    let times = plant.sql("SELECT time FROM samples ORDER BY time");
    assert_eq!(times, json!([["2024-03-03T21:00:00Z"], ["2024-03-04T21:00:00Z"]]));
    let read = plant.ok(&["read", "t", "--from", "2024-03-05 05:00", "--to", "2024-03-05 07:00"]);
    assert!(read.contains("2024-03-05 06:00:00+09:00"), "{read}");
    assert!(!read.contains("2024-03-04 06:00:00"), "{read}");
}

/// What the types of a narrow file leave open is told by the file or by an option, as in text; none is left unsaid.
#[test]
fn options_for_columns_are_followed_or_refused() {
    let plant = Plant::start_with("[plant]\nname = \"p\"\ntimezone = \"Asia/Tokyo\"\n");
    plant.ok(&["write", "a", "2", "--time", "2024-03-05T06:00:00Z"]);
    for file in ["x.parquet", "x.arrow"] {
        let path = plant.home.path(file).display().to_string();
        let import = |columns: &str, more: &[&str]| {
            plant
                .run(&[
                    "sql",
                    &format!("SELECT {columns} FROM samples WHERE signal = 'a'"),
                    "--output",
                    &path,
                ])
                .expect(0);
            plant.run(&[&["import", &path, "--prefix", file], more].concat())
        };
        let kept = || {
            plant.sql(&format!(
                "SELECT time, quality_name(quality) FROM samples WHERE signal = '{file}/a' ORDER BY time"
            ))
        };
        import("signal, 1705320000 AS time, value", &[]).expect(0);
        import("signal, 5320000 AS time, value", &[]).expect_problem("bad-import");
        import("signal, 5320000 AS time, value", &["--time-format", "s"]).expect(0);
        import("signal, time, value", &["--decimal", "comma"]).expect_problem("bad-import");
        import("signal, time, value, text", &["--time-format", "s"]).expect_problem("bad-import");
        let day = import("signal, DATE '2024-03-06' AS time, value", &["--dry-run"]).expect(0);
        assert!(day.err.contains("times in Asia/Tokyo where no offset is given"), "{}", day.err);
        import("signal, DATE '2024-03-06' AS time, value", &[]).expect(0);
        import("signal, TIMESTAMP '2024-03-07T00:00:00Z' AS time, value, CAST(0 AS BIGINT) AS quality", &[])
            .expect_problem("bad-import");
        import("signal, TIMESTAMP '2024-03-08T00:00:00Z' AS time, value, CAST(64 AS BIGINT) AS quality", &[])
            .expect(0);
        assert_eq!(
            kept(),
            json!([
                ["1970-03-03T13:46:40Z", "Good"],
                ["2024-01-15T12:00:00Z", "Good"],
                ["2024-03-05T15:00:00Z", "Good"],
                ["2024-03-07T15:00:00Z", "Uncertain"]
            ]),
            "{file}"
        );
    }
}

/// One file that cannot be read is told and does not keep the others out.
#[test]
fn the_other_files_go_in_all_the_same() {
    let plant = Plant::start();
    let file = |name: &str, text: &str| plant.home.file(name, text).display().to_string();
    let one = file("one.csv", "time,value\n2026-03-01 00:00:00,1\n");
    let header = file("header.csv", "time,value\n");
    let comma = file("comma.csv", "time,value\n2026-03-01 00:00:00,1,5\n2026-03-01 00:00:01,2,5\n");
    let two = file("two.csv", "time,value\n2026-03-01 00:00:00,2\n");
    let ran = plant.run(&["import", &one, &header, "nowhere.csv", &comma, &two]).expect(1);
    assert!(ran.out.contains("header.csv: 0 rows, 0 samples"), "{}", ran.out);
    for part in ["nowhere.csv cannot be read", "separate the columns by ';'"] {
        assert!(ran.err.contains(part), "no '{part}': {}", ran.err);
    }
    assert_eq!(
        plant.sql("SELECT signal, value FROM samples ORDER BY signal"),
        json!([["one", 1.0], ["two", 2.0]])
    );
}

/// Where more lines are refused than one answer names, they are sent again: what stands in a text never becomes a sample.
#[test]
fn texts_that_look_like_points_are_no_samples() {
    let plant = Plant::start();
    let mut text = String::new();
    for number in 0..150 {
        let time = 1_772_323_200_000_000_000_u64 + number;
        // The plant keeps `tidemill/` for itself, so that all of these are refused.
        text.push_str(&format!("tidemill/x v={number} {time}\n"));
        text.push_str(&format!("log2 msg=\"alarm\nfake/press v=99 {time}\n1\n2\nend\",n={number}i {time}\n"));
    }
    let file = plant.home.file("log.lp", &text).display().to_string();
    plant.run(&["import", &file]).expect(3);
    assert_eq!(plant.sql("SELECT count(*) FROM samples WHERE signal LIKE 'fake%'"), json!([[0]]));
    assert_eq!(plant.sql("SELECT count(*) FROM samples WHERE signal = 'log2/n'"), json!([[150]]));
}

/// A share of an hour passes: nothing that waits for it is set aside, and the import goes on from there.
#[test]
fn more_new_names_than_an_hour_allows_are_not_rejected() {
    let plant = Plant::start();
    let rows: String = (0..12_000).map(|name| format!("n{name},2026-03-01 00:00:00,1\n")).collect();
    let file = plant.home.file("many.csv", format!("signal,time,value\n{rows}")).display().to_string();
    let ran = plant.run(&["import", &file]).expect_problem("signals-rate");
    assert!(ran.err.contains("limits.signals_new_per_hour"), "{}", ran.err);
    assert!(!std::path::Path::new(&format!("{file}.rejected")).exists());
    assert_eq!(plant.sql("SELECT count(*) FROM samples WHERE signal LIKE 'n%'"), json!([[10_000]]));
}

/// The same of columns, which are refused by their first row that is not in order.
#[test]
fn columns_with_more_new_names_than_an_hour_allows_go_on_later() {
    let home = Home::new();
    std::fs::create_dir(home.plant()).expect("a folder in the temporary folder");
    home.file("plant/tidemill.toml", "[limits]\nsignals_new_per_hour = 100");
    let mut plant = home.start();
    let query = "SELECT 'n' || CAST(value AS VARCHAR) AS signal, TIMESTAMP '2026-03-01T00:00:00Z' AS time, 1.5 AS value \
                 FROM generate_series(1, 150)";
    for (file, kept) in [("x.parquet", 100), ("x.arrow", 100)] {
        let path = plant.home.path(file).display().to_string();
        plant.run(&["sql", query, "--output", &path]).expect(0);
        let ran = plant.run(&["import", &path]).expect_problem("signals-rate");
        assert!(ran.err.contains("limits.signals_new_per_hour"), "{}", ran.err);
        assert!(!plant.home.path(&format!("{file}.rejected")).exists());
        assert_eq!(plant.sql("SELECT count(*) FROM samples WHERE signal LIKE 'n%'"), json!([[kept]]));
    }
    plant.home.file("plant/tidemill.toml", "[limits]\nsignals_new_per_hour = 1000");
    plant.process.log_line("configuration.read");
    for file in ["x.parquet", "x.arrow"] {
        plant.run(&["import", &plant.home.path(file).display().to_string()]).expect(0);
        assert_eq!(plant.sql("SELECT count(*) FROM samples WHERE signal LIKE 'n%'"), json!([[150]]));
    }
}

/// What comes but once cannot be looked through; to open it would wait for who never writes.
#[test]
fn a_pipe_is_no_file() {
    let plant = Plant::start();
    let path = plant.home.file("x.csv", "");
    std::fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let ran = plant.run(&["import", &path.display().to_string()]).expect_problem("bad-import");
    assert!(ran.err.contains("tidemill import -"), "{}", ran.err);
}

/// A name that is written as the signal's, and one with a character that no name holds, may be one signal: that is told.
#[test]
fn two_names_that_become_one_signal_are_told() {
    let plant = Plant::start();
    let rows: String = ["a+b", "a%2Bb", "a+b", " a+b ", "c", "d+e"]
        .iter()
        .enumerate()
        .map(|(second, name)| format!("{name},2026-03-01T00:00:0{second}Z,{second}\n"))
        .collect();
    plant.home.file("tags.csv", format!("tag,time,value\n{rows}"));
    let ran = plant.run(&["import", "tags.csv", "--prefix", "line"]).expect(0);
    let told: Vec<&str> = ran.err.lines().filter(|line| line.contains("are one signal")).collect();
    assert_eq!(
        told,
        [
            "note: 'a+b' and 'a%2Bb' are one signal, line/a%2Bb: rename one of them in the file, if they are two"
        ]
    );
    let rows = plant.sql("SELECT signal, count(*) FROM samples GROUP BY signal ORDER BY signal");
    assert_eq!(rows, json!([["line/a%2Bb", 4], ["line/c", 1], ["line/d%2Be", 1]]));
}
