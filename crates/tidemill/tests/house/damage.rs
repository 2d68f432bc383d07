//! A lake that was damaged while the plant stood still: what is whole goes on, and `check`, the log and SQL name what is not and
//! what to put back.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::plant::{Home, Plant, files_below};

/// A plant with history in files and an entry in its audit table, stopped.
fn stopped() -> Home {
    let plant = Plant::start();
    plant.ok(&["write", "press/temperature", "20.5"]);
    plant.token("press", &["write:press/#"]);
    plant.stop()
}

fn lake(home: &Home) -> PathBuf {
    home.plant().join("data/lake")
}

fn cut(path: &Path) -> Vec<u8> {
    let whole = std::fs::read(path).expect("a file of the lake");
    std::fs::write(path, &whole[..whole.len() / 2]).expect("it can be written");
    whole
}

/// What `check` finds of the lake.
#[track_caller]
fn findings(plant: &Plant) -> Vec<Json> {
    let all = plant.run(&["check", "--json"]).expect(3).json();
    let all = all.as_array().expect("a list of findings").clone();
    all.into_iter().filter(|finding| finding.to_string().contains("data/lake")).collect()
}

#[test]
fn a_plant_starts_without_a_table_whose_log_is_damaged() {
    let home = stopped();
    let entries = files_below(&lake(&home).join("tables/audit/_delta_log"), "json");
    let entry = entries.last().expect("the audit table has entries");
    let whole = cut(entry);
    let plant = home.start();
    let found = findings(&plant);
    assert_eq!(found.len(), 1, "{found:?}");
    for part in ["tables/audit", "cut off", "backup"] {
        assert!(found[0].to_string().contains(part), "no {part}: {}", found[0]);
    }
    let told = plant.run(&["sql", "SELECT * FROM sys.audit"]).expect_problem("damaged");
    assert!(told.err.contains("data/lake/tables/audit"), "{}", told.err);
    // The rest of the plant goes on, audited changes included.
    plant.ok(&["write", "press/temperature", "21.5"]);
    plant.token("press2", &["write:press/#"]);
    assert_eq!(plant.sql("SELECT count(*) FROM samples WHERE signal LIKE 'press/%'")[0][0], 2);
    let home = plant.stop();
    std::fs::write(entry, whole).expect("it can be written");
    let plant = home.start();
    plant.ok(&["check"]);
    let tokens = plant.sql("SELECT count(*) FROM sys.audit WHERE action LIKE 'token%'");
    assert_eq!(tokens[0][0], 4, "an intent and an outcome each, what happened meanwhile included");
}

#[test]
fn check_names_each_file_of_samples_that_is_missing_or_cut() {
    let home = stopped();
    let plant = home.start();
    plant.ok(&["write", "press/pressure", "3.5"]);
    let home = plant.stop();
    let files = files_below(&lake(&home).join("samples"), "parquet");
    let [first, second] = files.as_slice() else { panic!("{files:?}") };
    cut(first);
    std::fs::remove_file(second).expect("it is there");
    let plant = home.start();
    let found = findings(&plant);
    assert_eq!(found.len(), 2, "{found:?}");
    for (file, part) in [(first, "bytes instead of"), (second, "missing")] {
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        let of = found.iter().find(|finding| finding.to_string().contains(name)).expect("its file is named");
        assert!(of.to_string().contains(part), "{of}");
    }
    plant.run(&["sql", "SELECT * FROM samples"]).expect_problem("damaged");
    plant.ok(&["write", "press/temperature", "22.5"]);
}
