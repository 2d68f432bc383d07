//! Going back (docs/upgrade.md): what a plant was given after its backup goes through a file into the plant that is made of that
//! backup: every kind of value, to the last bit, and what is known of signals. The page itself is walked in `documents`.

use serde_json::{Value as Json, json};

use crate::formats::{golden, restored};
use crate::plant::{Home, Plant, Process};

/// Samples of every kind, of times long ago and of one time; and a signal that is new.
const SINCE: &str = r#"{"signal":"since/float","time":"2026-03-05T00:00:00.000000001Z","value":0.1}
{"signal":"since/float","time":"2026-03-05T00:00:00.000000001Z","value":0.2}
{"signal":"since/float","time":"2026-03-05T00:00:00.000000001Z","value":0.1,"quality":"Uncertain"}
{"signal":"since/float","time":"1969-07-20T20:17:40Z","value":-1e300}
{"signal":"since/special","time":"2026-03-05T00:00:00Z","value":-0.0}
{"signal":"since/special","time":"2026-03-05T00:00:01Z","value":"NaN","kind":"float"}
{"signal":"since/special","time":"2026-03-05T00:00:02Z","value":"-Infinity","kind":"float"}
{"signal":"since/integer","time":"2026-03-05T00:00:00Z","value":-9007199254740993,"kind":"integer"}
{"signal":"since/unsigned","time":"2026-03-05T00:00:00Z","value":18446744073709551615,"kind":"unsigned"}
{"signal":"since/flag","time":"2026-03-05T00:00:00Z","value":true}
{"signal":"since/text","time":"2026-03-05T00:00:00Z","value":"a,\"b\"\nc; ü","quality":"0x408F0000"}
{"signal":"since/text","time":"2026-03-05T00:00:01Z","value":"","kind":"text"}
{"signal":"since/text","time":"2026-03-05T00:00:02Z","value":"12.5","kind":"text"}
{"signal":"since/json","time":"2026-03-05T00:00:00Z","value":{"a":[1,null,"ü"]},"kind":"json"}
{"signal":"since/json","time":"2026-03-05T00:00:01Z","value":"7","kind":"json"}
{"signal":"since/bytes","time":"2026-03-05T00:00:00Z","value":"0x00ff7f","kind":"bytes"}
{"signal":"since/bytes","time":"2026-03-05T00:00:01Z","value":"0x","kind":"bytes"}
{"signal":"since/none","time":"2026-03-05T00:00:00Z","value":null,"quality":"BadNoCommunication"}
{"signal":"kinds/float","time":"2026-03-05T00:00:00Z","value":4.5}
"#;

/// All that stands there, and how it came, but for the plant's own figures.
fn everything(plant: &Plant) -> Json {
    let samples = plant.ok(&["read", "#", "--all", "--format", "csv"]);
    let samples: Vec<&str> = samples.lines().filter(|line| !line.starts_with("tidemill/")).collect();
    let signals = plant.sql(
        "SELECT signal, unit, description, number, stepped, owner, stale_after, tags FROM signals \
         WHERE signal NOT LIKE 'tidemill/%' ORDER BY 1",
    );
    json!({ "samples": samples, "signals": signals })
}

fn start_with_figures(home: Home) -> Plant {
    let mut command = home.command(&["run", "--plant", "plant"]);
    command.env("TIDEMILL_HEALTH_FIGURES", "2s");
    let process = Process::spawn(command);
    Plant::ready(home, process)
}

#[test]
fn what_came_after_a_backup_goes_through_a_file_into_the_plant_before() {
    let backup = golden().pop().expect("there is one");
    let plant = start_with_figures(restored(&backup));
    let token = plant.token("since", &["write:#"]);
    plant.post("/api/v1/write").token(&token).body("application/x-ndjson", SINCE).send().expect(204);
    plant.ok(&[
        "signals",
        "set",
        "since/float",
        "unit=m³/h",
        "description=flow",
        "tag.line=1",
        "stale_after=5m",
    ]);
    plant.ok(&["signals", "set", "since/integer", "number=integer", "stepped=true", "owner=token:since"]);
    plant.ok(&["signals", "set", "press/line=1/temperature", "unit=K", "tag.line=one"]);
    plant.ok(&["signals", "rename", "kinds/float", "kinds/number"]);
    // The plant writes of itself at its pace.
    let figures = || plant.sql("SELECT count(*) > 20 FROM samples WHERE signal LIKE 'tidemill/%'");
    while figures() != json!([[true]]) {
        std::thread::yield_now();
    }
    let (before, listing) = (everything(&plant), plant.home.path("signals.json").display().to_string());
    plant.home.file("signals.json", plant.ok(&["signals", "--json"]));
    let formats = ["parquet", "arrow", "csv", "ndjson", "json"];
    let files = formats.map(|format| plant.home.path(&format!("since.{format}")).display().to_string());
    for file in &files {
        plant.ok(&["read", "#", "--all", "--output", file]);
    }
    let _new = plant.stop();

    for file in &files {
        let old = restored(&backup).start();
        // Names that were given since are known before the samples come, and new signals after them.
        assert!(old.run(&["signals", "load", &listing]).expect(0).err.contains("are not here"));
        // What has an owner takes no import until it has none.
        let disown = |name: &str| old.ok(&["signals", "set", name, "owner="]);
        disown("kinds/equal");
        let told = old.ok(&["import", file]);
        assert!(
            told.contains("of a plant's own figures (tidemill/#) left out") && told.contains(" 0 rejected"),
            "{told}"
        );
        assert!(!std::path::Path::new(&format!("{file}.rejected")).exists());
        let again = old.ok(&["signals", "load", &listing]);
        assert!(again.contains("signals changed"), "{again}");
        assert_eq!(everything(&old), before, "{file}");
        // Once more changes nothing.
        disown("kinds/equal");
        disown("since/integer");
        old.ok(&["import", file]);
        assert!(old.ok(&["signals", "load", &listing]).contains(": 2 signals changed"));
        assert_eq!(everything(&old), before, "{file}");
        let told = old.run(&["import", file, "--dry-run", "--json"]).expect(0).json();
        assert!(told["own_figures"].as_u64() > Some(20) && told["rejected"] == 0, "{told}");
        old.stop();
    }
}

#[test]
fn a_file_of_nothing_but_figures_says_why_nothing_came() {
    let plant = start_with_figures(Home::new());
    let figures = || plant.sql("SELECT count(*) > 20 FROM samples WHERE signal LIKE 'tidemill/%'");
    while figures() != json!([[true]]) {
        std::thread::yield_now();
    }
    let file = plant.home.path("own.parquet").display().to_string();
    plant.ok(&["read", "tidemill/#", "--output", &file]);
    let told = plant.run(&["import", &file]).expect(3).out;
    assert!(told.contains("0 samples written") && told.contains("left out"), "{told}");
    // Under another name they are values like any others.
    let told = plant.ok(&["import", &file, "--prefix", "other"]);
    assert!(!told.contains("left out") && told.contains(" 0 rejected"), "{told}");
    assert_eq!(
        plant.sql("SELECT count(*) > 20 FROM samples WHERE signal LIKE 'other/tidemill/%'"),
        json!([[true]])
    );
}

#[test]
fn a_listing_that_is_none_is_refused_and_what_a_signal_may_not_have_is_told() {
    let plant = Plant::start();
    plant.ok(&["write", "a/b", "1"]);
    for (name, text, code) in [
        ("none.json", "", "bad-json"),
        ("object.json", "{}", "bad-json"),
        ("nameless.json", "[{\"unit\":\"bar\"}]", "bad-json"),
        ("there.json", "", "not-found"),
    ] {
        let file = match code {
            "not-found" => plant.home.path(name),
            _ => plant.home.file(name, text),
        };
        plant.run(&["signals", "load", &file.display().to_string()]).expect_problem(code);
    }
    let file = plant.home.file(
        "bad.json",
        r#"[{"signal":"a/b","unit":"bar","stale_after":"soon"},{"signal":"a/c","unit":"bar"}]"#,
    );
    let told = plant.run(&["signals", "load", &file.display().to_string(), "--json"]).expect(3).json();
    assert_eq!((&told["changed"], &told["missing"]), (&json!(0), &json!(["a/c"])), "{told}");
    assert!(told["refused"][0]["problem"].as_str().is_some_and(|why| why.contains("stale_after")), "{told}");
}
