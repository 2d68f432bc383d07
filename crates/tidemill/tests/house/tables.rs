//! Tables of typed columns (Parquet, Arrow) that other programs write: a column a signal, as data frames are saved. What
//! our own exports look like when they come back is tested in `importing`.

use std::process::Command;

use serde_json::{Value as Json, json};

use crate::importing::{by_plain_splitting, data, in_the_plant};
use crate::partners::python;
use crate::plant::{Plant, files_below, ran};

/// A frame as pandas saves it: the index is a column of its own, and its times have no zone.
const FRAME: &str = r#"
SELECT CAST(t AS TIMESTAMP) AS "__index_level_0__", CAST(a AS DOUBLE) AS "Temp (°C)", CAST(s AS BIGINT) AS "Temp_status",
       CAST(n AS INTEGER) AS parts, b AS run, arrow_cast(w, 'Dictionary(Int32, Utf8)') AS state,
       CAST(d AS DECIMAL(10, 2)) AS dose, arrow_cast(f, 'Float32') AS flow
FROM (VALUES ('2026-03-01T06:00:00', 1.5, 192, 7, true, 'up', 1.25, 0.1),
             ('2026-03-01T06:00:01', NULL, 0, NULL, NULL, NULL, NULL, NULL),
             ('2026-03-01T06:00:02.000000001', 2.5, 64, -3, false, '12', 0.5, 'NaN'),
             ('2026-03-01T06:00:03', 3.5, NULL, NULL, NULL, '', NULL, NULL)) AS v(t, a, s, n, b, w, d, f)
"#;

fn told(plant: &Plant) -> String {
    let rows = plant.sql(
        "SELECT signal, time, kind, coalesce(text, CAST(value AS TEXT)), quality FROM samples ORDER BY signal, time",
    );
    let line = |row: &Json| {
        let cells = row.as_array().into_iter().flatten();
        cells.map(|cell| cell.as_str().map_or(cell.to_string(), str::to_owned)).collect::<Vec<_>>().join(" ")
    };
    rows.as_array().expect("rows").iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_column_a_signal_as_data_frames_are_saved() {
    let maker = Plant::start();
    for file in ["frame.parquet", "frame.arrow"] {
        let path = maker.home.path(file).display().to_string();
        maker.run(&["sql", FRAME, "--output", &path]).expect(0);
        let plant = Plant::start_with("[plant]\nname = \"p\"\ntimezone = \"Asia/Tokyo\"\n");
        let dry = plant.run(&["import", &path, "--dry-run"]).expect(0);
        for part in
            ["time: __index_level_0__", "frame/Temp: Temp (°C), float, in °C, quality from Temp_status"]
        {
            assert!(dry.err.contains(part), "no '{part}': {}", dry.err);
        }
        let ran = plant.run(&["import", &path, "--json"]).expect(0).json();
        assert_eq!(
            [&ran["rows"], &ran["samples"], &ran["signals"], &ran["rejected"], &ran["whole_numbers"]],
            [&json!(4), &json!(15), &json!(6), &json!(0), &json!(0)],
            "{ran}"
        );
        let found = told(&plant);
        expect_test::expect![[r#"
            frame/Temp 2026-02-28T21:00:00Z float 1.5 0
            frame/Temp 2026-02-28T21:00:01Z none null 2147483648
            frame/Temp 2026-02-28T21:00:02.000000001Z float 2.5 1073741824
            frame/Temp 2026-02-28T21:00:03Z float 3.5 0
            frame/dose 2026-02-28T21:00:00Z float 1.25 0
            frame/dose 2026-02-28T21:00:02.000000001Z float 0.5 0
            frame/flow 2026-02-28T21:00:00Z float 0.10000000149011612 0
            frame/flow 2026-02-28T21:00:02.000000001Z float NaN 0
            frame/parts 2026-02-28T21:00:00Z integer 7.0 0
            frame/parts 2026-02-28T21:00:02.000000001Z integer -3.0 0
            frame/run 2026-02-28T21:00:00Z boolean 1.0 0
            frame/run 2026-02-28T21:00:02.000000001Z boolean 0.0 0
            frame/state 2026-02-28T21:00:00Z text up 0
            frame/state 2026-02-28T21:00:02.000000001Z text 12 0
            frame/state 2026-02-28T21:00:03Z text  0"#]]
        .assert_eq(&found);
        plant.run(&["import", &path]).expect(0);
        assert_eq!(told(&plant), found, "{file}: importing twice changed something");
        // What is said on the command line is obeyed as with text.
        let only = ["import", &path, "--value", "parts", "--signal", "count", "--timezone", "UTC"];
        plant.run(&only).expect(0);
        let count = "SELECT time, integer FROM samples WHERE signal = 'count' ORDER BY time";
        let one = json!(["2026-03-01T06:00:00Z", 7]);
        assert_eq!(plant.sql(count)[0], one, "{file}");
        let asked = plant.run(&["import", &path, "--time", "run"]).expect_problem("bad-import");
        assert!(asked.err.contains("no times that can be read"), "{}", asked.err);
    }
}

#[test]
fn bad_rows_of_such_a_table_are_set_aside_and_go_in_once_mended() {
    let plant = Plant::start_with("[plant]\nname = \"p\"\n[limits]\nfuture = \"1d\"\n");
    let query = "SELECT * FROM (VALUES ('2026-03-01 06:00:00', 1.5, 'a,b'), ('gestern', 2.5, 'c'), \
                 ('2200-03-01 06:00:00', 3.5, 'd'), ('2026-03-01 06:00:03', 4.5, NULL)) AS v(time, a, b)";
    for file in ["x.parquet", "x.arrow"] {
        let path = plant.home.path(file).display().to_string();
        plant.run(&["sql", query, "--output", &path]).expect(0);
        let prefix = file.replace('.', "-");
        let ran = plant.run(&["import", &path, "--prefix", &prefix, "--json"]).expect(3).json();
        assert_eq!([&ran["rows"], &ran["rejected"]], [&json!(4), &json!(2)], "{ran}");
        let rejected = std::fs::read_to_string(format!("{path}.rejected")).expect("it is written");
        for part in ["time,a,b\n", "line 3, column 'time'", "\ngestern,2.5,c\n", "line 4", "2200-03-01"] {
            assert!(rejected.contains(part), "no {part}: {rejected}");
        }
        let mended = rejected.replace("gestern", "2026-03-01 06:00:01").replace("2200-", "2026-");
        let mended = plant.home.file(&format!("{file}.rejected"), mended).display().to_string();
        plant.run(&["import", &mended, "--prefix", &prefix]).expect(0);
        let sums = format!(
            "SELECT count(*), sum(value), count(text) FROM samples WHERE matches(signal, '{prefix}/#')"
        );
        assert_eq!(plant.sql(&sums), json!([[7, 12.0, 3]]), "{file}");
    }
}

/// Rows that name their signal under other names than ours, and a file of one signal that has none.
#[test]
fn one_row_a_sample_under_the_names_of_others() {
    let plant = Plant::start();
    let narrow = "SELECT * FROM (VALUES ('FT1/PV', CAST('2026-03-01T06:00:00' AS TIMESTAMP), CAST(7 AS BIGINT)), \
                  ('FT2', CAST('2026-03-01T06:00:00' AS TIMESTAMP), CAST(8 AS BIGINT))) AS v(tag, timestamp, value)";
    let single = "SELECT CAST('2026-03-01T06:00:00' AS TIMESTAMP) AS time, 2.5 AS value";
    for (file, query, prefix) in [("pi.parquet", narrow, Some("pi")), ("oven.arrow", single, None)] {
        let path = plant.home.path(file).display().to_string();
        plant.run(&["sql", query, "--output", &path]).expect(0);
        let mut words = vec!["import", &path, "--timezone", "UTC"];
        words.extend(prefix.iter().flat_map(|prefix| ["--prefix", prefix]));
        plant.run(&words).expect(0);
    }
    expect_test::expect![[r#"
        oven 2026-03-01T06:00:00Z float 2.5 0
        pi/FT1/PV 2026-03-01T06:00:00Z integer 7.0 0
        pi/FT2 2026-03-01T06:00:00Z integer 8.0 0"#]]
    .assert_eq(&told(&plant));
}

/// Times that say no offset are those of the clocks of the plant, or of `--timezone`, also where the columns are ours.
#[test]
fn one_row_a_sample_under_our_names_with_times_of_a_clock() {
    const ROWS: &str = "(VALUES ('2026-03-29T01:59:59.5', 1), ('2026-03-29T02:30:00', 2), ('2026-10-25T02:30:00', 3), \
                        ('2026-10-25T02:40:00', 4), ('2026-10-25T02:30:00', 5), (NULL, 6)) AS v(t, n)";
    let times = [
        ("stamps.parquet", "CAST(t AS TIMESTAMP)"),
        ("stamps.arrow", "CAST(t AS TIMESTAMP)"),
        ("words.arrow", "t"),
        ("instants.parquet", "arrow_cast(t, 'Timestamp(Nanosecond, Some(\"UTC\"))')"),
        ("odd.parquet", "CAST(t AS TIMESTAMP)"),
    ];
    let plant = Plant::start_with("[plant]\nname = \"p\"\ntimezone = \"Asia/Tokyo\"\n");
    let mut shown = String::new();
    for (file, time) in times {
        let path = plant.home.path(file).display().to_string();
        let odd = if file.starts_with("odd") { ", 'x' AS remark" } else { "" };
        let query = format!(
            "SELECT 's' AS signal, {time} AS time, CAST(n AS BIGINT) AS value, arrow_cast(0, 'UInt32') AS quality{odd} FROM {ROWS}"
        );
        plant.run(&["sql", &query, "--output", &path]).expect(0);
        for zone in [None, Some("Europe/Berlin")] {
            let prefix =
                format!("{}/{}", file.replace('.', "-"), if zone.is_some() { "berlin" } else { "plant" });
            let mut words = vec!["import", &path, "--prefix", &prefix];
            words.extend(zone.iter().flat_map(|zone| ["--timezone", zone]));
            let ran = plant.run(&words).expect(3);
            let repeated = ran
                .out
                .contains("3 rows lie in an hour that the clocks repeat; 1 were taken as the second pass");
            assert_eq!(repeated, zone.is_some() && !file.starts_with("instants"), "{file}: {}", ran.out);
            let rejected = std::fs::read_to_string(format!("{path}.rejected")).expect("it is written");
            let remarks: Vec<&str> =
                rejected.lines().filter(|line| line.starts_with("#rejected line")).collect();
            let found = plant.sql(&format!(
                "SELECT time, integer, quality FROM samples WHERE matches(signal, '{prefix}/#') ORDER BY integer"
            ));
            shown += &format!("{prefix} {found}\n  {}\n", remarks.join("\n  "));
        }
    }
    expect_test::expect![[r#"
        stamps-parquet/plant [["2026-03-28T16:59:59.500Z",1,0],["2026-03-28T17:30:00Z",2,0],["2026-10-24T17:30:00Z",3,0],["2026-10-24T17:40:00Z",4,0],["2026-10-24T17:30:00Z",5,0]]
          #rejected line 6, column 'time': there is no time
        stamps-parquet/berlin [["2026-03-29T00:59:59.500Z",1,0],["2026-10-25T00:30:00Z",3,0],["2026-10-25T00:40:00Z",4,0],["2026-10-25T01:30:00Z",5,0]]
          #rejected line 2, column 'time': '2026-03-29T02:30:00' does not exist in Europe/Berlin: the clocks went forward over it
          #rejected line 6, column 'time': there is no time
        stamps-arrow/plant [["2026-03-28T16:59:59.500Z",1,0],["2026-03-28T17:30:00Z",2,0],["2026-10-24T17:30:00Z",3,0],["2026-10-24T17:40:00Z",4,0],["2026-10-24T17:30:00Z",5,0]]
          #rejected line 6, column 'time': there is no time
        stamps-arrow/berlin [["2026-03-29T00:59:59.500Z",1,0],["2026-10-25T00:30:00Z",3,0],["2026-10-25T00:40:00Z",4,0],["2026-10-25T01:30:00Z",5,0]]
          #rejected line 2, column 'time': '2026-03-29T02:30:00' does not exist in Europe/Berlin: the clocks went forward over it
          #rejected line 6, column 'time': there is no time
        words-arrow/plant [["2026-03-28T16:59:59.500Z",1,0],["2026-03-28T17:30:00Z",2,0],["2026-10-24T17:30:00Z",3,0],["2026-10-24T17:40:00Z",4,0],["2026-10-24T17:30:00Z",5,0]]
          #rejected line 6, column 'time': there is no time
        words-arrow/berlin [["2026-03-29T00:59:59.500Z",1,0],["2026-10-25T00:30:00Z",3,0],["2026-10-25T00:40:00Z",4,0],["2026-10-25T01:30:00Z",5,0]]
          #rejected line 2, column 'time': '2026-03-29T02:30:00' does not exist in Europe/Berlin: the clocks went forward over it
          #rejected line 6, column 'time': there is no time
        instants-parquet/plant [["2026-03-29T01:59:59.500Z",1,0],["2026-03-29T02:30:00Z",2,0],["2026-10-25T02:30:00Z",3,0],["2026-10-25T02:40:00Z",4,0],["2026-10-25T02:30:00Z",5,0]]
          #rejected line 6, column 'time': there is no time
        instants-parquet/berlin [["2026-03-29T01:59:59.500Z",1,0],["2026-03-29T02:30:00Z",2,0],["2026-10-25T02:30:00Z",3,0],["2026-10-25T02:40:00Z",4,0],["2026-10-25T02:30:00Z",5,0]]
          #rejected line 6, column 'time': there is no time
        odd-parquet/plant [["2026-03-28T16:59:59.500Z",1,2147483648],["2026-03-28T17:30:00Z",2,2147483648],["2026-10-24T17:30:00Z",3,2147483648],["2026-10-24T17:40:00Z",4,2147483648],["2026-10-24T17:30:00Z",5,2147483648]]
          #rejected line 7, column 'time': there is no time
        odd-parquet/berlin [["2026-03-29T00:59:59.500Z",1,2147483648],["2026-10-25T00:30:00Z",3,2147483648],["2026-10-25T00:40:00Z",4,2147483648],["2026-10-25T01:30:00Z",5,2147483648]]
          #rejected line 3, column 'time': '2026-03-29T02:30:00' does not exist in Europe/Berlin: the clocks went forward over it
          #rejected line 7, column 'time': there is no time
    "#]].assert_eq(&shown);
}

/// A pandas Timedelta is a count of nanoseconds, and says so.
#[test]
fn durations_keep_their_unit() {
    let plant = Plant::start();
    let duration =
        |value: &str, unit: &str| format!("arrow_cast(CAST({value} AS BIGINT), 'Duration({unit})')");
    let wide = format!(
        "SELECT CAST('2026-03-01T06:00:00Z' AS TIMESTAMP) AS stamp, {} AS \"uptime [h]\", {} AS took, 1.5 AS flow",
        duration("9223372036854775807", "Nanosecond"),
        duration("90", "Second"),
    );
    let narrow = format!(
        "SELECT 'up' AS signal, CAST('2026-03-01T06:00:00Z' AS TIMESTAMP) AS time, {} AS value",
        duration("-5", "Millisecond")
    );
    let elapsed = format!("SELECT {} AS time, 1.5 AS flow", duration("10800000000000", "Nanosecond"));
    for ending in ["parquet", "arrow"] {
        for (name, query) in [("wide", &wide), ("narrow", &narrow)] {
            let path = plant.home.path(&format!("{name}.{ending}")).display().to_string();
            plant.run(&["sql", query, "--output", &path]).expect(0);
            plant.run(&["import", &path, "--prefix", &format!("{ending}/{name}")]).expect(0);
        }
        let path = plant.home.path(&format!("elapsed.{ending}")).display().to_string();
        plant.run(&["sql", &elapsed, "--output", &path]).expect(0);
        let asked = plant.run(&["import", &path]).expect_problem("bad-import");
        assert!(asked.err.contains("no column"), "{}", asked.err);
        let asked = plant.run(&["import", &path, "--time", "time"]).expect_problem("bad-import");
        assert!(asked.err.contains("durations, which have no date"), "{}", asked.err);
    }
    let query = "SELECT s.signal, unit, s.kind, coalesce(CAST(integer AS TEXT), CAST(value AS TEXT)) \
                 FROM samples s JOIN signals USING (signal) ORDER BY 1";
    expect_test::expect![[r#"[["arrow/narrow/up","ms","integer","-5"],["arrow/wide/flow",null,"float","1.5"],["arrow/wide/took","s","integer","90"],["arrow/wide/uptime","ns","integer","9223372036854775807"],["parquet/narrow/up","ms","integer","-5"],["parquet/wide/flow",null,"float","1.5"],["parquet/wide/took","s","integer","90"],["parquet/wide/uptime","ns","integer","9223372036854775807"]]"#]].assert_eq(&plant.sql(query).to_string());
}

/// Two columns of one name: either could be meant.
#[test]
fn a_column_that_stands_twice_is_refused() {
    const WRITER: &str = r#"
import sys, pyarrow, pyarrow.feather, pyarrow.parquet
for place, names in enumerate([["signal", "time", "value", "value"], ["time", "oven", "kiln", "oven"]]):
    arrays = [pyarrow.array([0])] * 4 if place else [pyarrow.array(["a"])] + [pyarrow.array([0])] * 3
    table = pyarrow.Table.from_arrays(arrays, names=names)
    pyarrow.parquet.write_table(table, f"{sys.argv[1]}/{place}.parquet")
    pyarrow.feather.write_feather(table, f"{sys.argv[1]}/{place}.arrow", compression="uncompressed")
"#;
    let Some(python) = python("a_column_that_stands_twice_is_refused") else { return };
    let plant = Plant::start();
    let mut writer = Command::new(&python);
    writer.args(["-c", WRITER]).arg(plant.home.path(""));
    ran(writer).expect(0);
    let token = plant.token("all", &["write:#"]);
    for (place, twice) in ["value", "oven"].iter().enumerate() {
        for (ending, media_type) in
            [("parquet", "application/vnd.apache.parquet"), ("arrow", "application/vnd.apache.arrow.stream")]
        {
            let path = plant.home.path(&format!("{place}.{ending}"));
            let said = plant.run(&["import", &path.display().to_string()]).expect_problem("bad-arrow");
            assert!(said.err.contains(&format!("the column '{twice}' stands twice")), "{}", said.err);
            let body = std::fs::read(&path).expect("it was written");
            let said = plant.post("/api/v1/write").token(&token).body(media_type, body).send().expect(400);
            assert!(said.text().contains(&format!("the column '{twice}' stands twice")), "{}", said.text());
        }
    }
    assert_eq!(plant.sql("SELECT count(*) FROM samples"), json!([[0]]));
}

/// The same measurements as text and as others write them in columns: with the times first and named, and as a nameless
/// index at the end.
#[test]
fn the_skoltech_benchmark_comes_out_of_columns_as_out_of_text() {
    const WRITER: &str = r#"
import sys, pyarrow, pyarrow.csv, pyarrow.feather, pyarrow.parquet
text, columns, frame = sys.argv[1:]
table = pyarrow.csv.read_csv(text, parse_options=pyarrow.csv.ParseOptions(delimiter=";"))
assert pyarrow.types.is_timestamp(table.schema.field("datetime").type) and table.schema.field("datetime").type.tz is None
pyarrow.parquet.write_table(table, columns, row_group_size=300)
names = table.column_names
names = names[1:] + names[:1]
table = table.select(names).rename_columns(names[:-1] + ["__index_level_0__"])
pyarrow.feather.write_feather(table, frame)
"#;
    let test = "the_skoltech_benchmark_comes_out_of_columns";
    let (Some(folder), Some(python)) = (data(test, "skab/data"), python(test)) else { return };
    let plant = Plant::start_with("[plant]\nname = \"p\"\ntimezone = \"UTC\"\n");
    for text in files_below(&folder, "csv").iter().step_by(9) {
        let files = ["x.parquet", "x.feather"].map(|name| plant.home.path(name).display().to_string());
        let mut writer = Command::new(&python);
        writer.args(["-c", WRITER]).arg(text).args(&files);
        ran(writer).expect(0);
        let expected = by_plain_splitting(text, ';');
        for (number, file) in files.iter().enumerate() {
            let stem = text.file_stem().expect("a name").to_string_lossy();
            let parent = text.parent().and_then(|folder| folder.file_name()).expect("a folder");
            let prefix = format!("{number}/{}/{stem}", parent.to_string_lossy());
            plant.run(&["import", file, "--prefix", &prefix]).expect(0);
            let found = in_the_plant(&plant, &format!("{prefix}/#"), &prefix);
            assert!(found == expected, "{} came out otherwise than it stands there: {file}", text.display());
        }
    }
}
