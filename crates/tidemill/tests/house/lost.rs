//! Parcels of the journal that cannot be read after a kill: what stands elsewhere is read on, under the names that the files of
//! history keep, and the damage is told until someone takes note.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use crate::plant::{Home, Plant, files_below};

const COUNTS: &str =
    "SELECT signal, count(*), sum(value) FROM samples WHERE signal NOT LIKE 'filler/%' GROUP BY 1 ORDER BY 1";

fn segments(home: &Home) -> Vec<PathBuf> {
    files_below(&home.plant().join("data/journal"), "segment")
}

fn write(plant: &Plant, signal: &str, value: &str, minute: u32) {
    plant.ok(&["write", signal, value, "--time", &format!("2026-03-01T00:{minute:02}:00Z")]);
}

/// Deletes what a signal has in these minutes; by then all that came before is in files.
fn delete(plant: &Plant, signal: &str, from: u32, to: u32) {
    let time = |minute| format!("2026-03-01T00:{minute:02}:00Z");
    plant.ok(&["signals", "delete", signal, "--from", &time(from), "--to", &time(to), "--reason", "test"]);
}

/// The names that the log of the table says its files begin and end with.
fn names_in_files(home: &Home) -> Vec<String> {
    let mut names = Vec::new();
    for entry in files_below(&home.plant().join("data/lake/samples/_delta_log"), "json") {
        let text = std::fs::read_to_string(entry).expect("an entry of the table's log");
        for add in text.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok()) {
            let stats =
                add["add"]["stats"].as_str().and_then(|stats| serde_json::from_str::<Json>(stats).ok());
            for bound in ["minValues", "maxValues"] {
                names.extend(
                    stats.as_ref().and_then(|stats| stats[bound]["signal"].as_str()).map(str::to_owned),
                );
            }
        }
    }
    names.sort();
    names.dedup();
    names
}

/// What `check` finds of the journal.
#[track_caller]
fn damage(plant: &Plant) -> Vec<String> {
    let found = plant.run(&["check", "--json"]).json();
    let all =
        found.as_array().expect("a list of findings").iter().map(|finding| finding["problem"].to_string());
    all.filter(|problem| problem.contains("of the journal")).collect()
}

#[test]
fn a_flipped_bit_in_a_definition_hides_no_signal_and_takes_no_name_from_files() {
    let plant = Plant::start();
    write(&plant, "press/oil", "1", 1);
    write(&plant, "press/oil", "2", 2);
    write(&plant, "filler/a", "3", 3);
    delete(&plant, "filler/a", 3, 4);
    write(&plant, "press/oil", "4", 4);
    let home = plant.kill();
    let segment = segments(&home).remove(0);
    let mut bytes = std::fs::read(&segment).expect("a segment");
    let name = b"press/oil";
    let at =
        bytes.windows(name.len()).position(|part| part == name).expect("its definition stands in the log");
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).expect("it can be written");

    let plant = home.start();
    assert_eq!(plant.sql(COUNTS), json!([["press/oil", 3, 7.0]]));
    let found = damage(&plant);
    assert!(found.len() == 1 && found[0].contains("is damaged in bytes"), "{found:?}");
    let told = plant.get("/health/ready").send().expect_problem(503, "damaged");
    assert!(told["hint"].as_str().is_some_and(|hint| hint.contains("data/journal/damage")), "{told}");
    // It goes on under its old number and name, and files that are written anew keep that.
    write(&plant, "press/oil", "8", 5);
    delete(&plant, "press/oil", 2, 3);
    let home = plant.stop();
    assert_eq!(names_in_files(&home), ["press/oil"]);

    // A stop does not make it well; taking note of it does.
    let plant = home.start();
    assert_eq!(plant.sql(COUNTS), json!([["press/oil", 3, 13.0]]));
    assert_eq!(damage(&plant), found);
    let ranges = "SELECT value FROM sys.metrics WHERE name = 'tidemill_journal_damage_ranges'";
    assert_eq!(plant.sql(ranges), json!([[1.0]]));
    let home = plant.stop();
    std::fs::remove_file(home.plant().join("data/journal/damage")).expect("the record of the damage");
    let plant = home.start();
    assert_eq!(damage(&plant), [""; 0]);
    plant.get("/health/ready").send().expect(200);
    assert_eq!(plant.sql(COUNTS), json!([["press/oil", 3, 13.0]]));
}

/// A killed plant finds the same damage again. Nobody but who reads the file knows whether a record that cannot be read told of more.
#[test]
fn who_took_note_of_damage_is_not_told_again_after_a_kill_but_of_a_record_that_cannot_be_read() {
    let plant = Plant::start();
    for minute in 1..5 {
        write(&plant, "press/oil", "1", minute);
    }
    let home = plant.kill();
    let segment = segments(&home).remove(0);
    let mut bytes = std::fs::read(&segment).expect("a segment");
    let name = b"press/oil";
    let at = bytes.windows(name.len()).position(|part| part == name).expect("it stands in the log");
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).expect("it can be written");

    let home = home.start().kill();
    let record = home.plant().join("data/journal/damage");
    std::fs::remove_file(&record).expect("the record of the damage");
    let plant = home.start();
    assert_eq!(damage(&plant), [""; 0]);
    plant.get("/health/ready").send().expect(200);
    let home = plant.stop();

    std::fs::write(&record, "nonsense").expect("it is ours");
    let told = home.run(&["check", "--plant", "plant"]).expect(3).out;
    assert!(told.contains("data/journal/damage: ") && told.contains("could not be read"), "{told}");
    let plant = home.start();
    assert!(plant.run(&["check"]).expect(3).out.contains("could not be read"));
    let plant = plant.stop().start();
    let told = plant.get("/health/ready").send().expect_problem(503, "damaged");
    assert!(told["hint"].as_str().is_some_and(|hint| hint.contains("remove data/journal/damage")), "{told}");
    std::fs::remove_file(&record).expect("the record of the damage");
    plant.run(&["check"]).expect(0);
}

#[test]
fn without_its_oldest_segment_a_plant_reads_what_is_left_and_says_what_is_gone() {
    let plant = Plant::start();
    write(&plant, "old/a", "1", 1);
    write(&plant, "filler/a", "3", 3);
    delete(&plant, "filler/a", 3, 4);
    write(&plant, "new/b", "5", 4);
    // The last parcel of a killed plant stands in the next segment, too.
    write(&plant, "filler/b", "0", 5);
    let plant = plant.kill_and_restart();
    write(&plant, "old/a", "2", 6);
    write(&plant, "new/b", "6", 7);
    let home = plant.kill();
    let all = segments(&home);
    assert!(all.len() > 1, "{all:?}");
    std::fs::remove_file(&all[0]).expect("it is there");

    let plant = home.start();
    let found = damage(&plant);
    assert!(
        found.len() == 1 && found[0].contains("0000000001.segment of the journal is missing"),
        "{found:?}"
    );
    let counts = plant.sql(COUNTS);
    let unknown = counts[1][0].as_str().expect("a name").to_owned();
    assert!(unknown.starts_with("tidemill/unknown/"), "{counts}");
    assert_eq!(counts, json!([["old/a", 2, 3.0], [unknown, 1, 6.0]]));
    // Its owner knows better.
    plant.ok(&["signals", "rename", &unknown, "new/b"]);
    write(&plant, "new/b", "7", 8);
    let plant = plant.kill_and_restart();
    let expected = json!([["new/b", 2, 13.0], ["old/a", 2, 3.0]]);
    assert_eq!(plant.sql(COUNTS), expected);
    let plant = plant.stop().start();
    assert_eq!(plant.sql(COUNTS), expected);
    assert_eq!(damage(&plant), found);
}
