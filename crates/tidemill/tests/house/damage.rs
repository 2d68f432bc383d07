//! What was damaged while the plant stood still, or put there and taken away: what is whole goes on, and `check`, the log,
//! SQL and `audit verify` name what is not and what to do.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::plant::{Home, Plant, Process, files_below};

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

/// Copies a folder with all that is in it, sockets left out.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a new folder");
    for entry in std::fs::read_dir(from).expect("it is ours").flatten() {
        let (kind, place) = (entry.file_type().expect("it is ours"), to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &place);
        } else if kind.is_file() {
            std::fs::copy(entry.path(), place).expect("room for a copy");
        }
    }
}

fn remove(path: &Path) {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    removed.expect("it is there");
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).expect("it is there");
    bytes[at] ^= 1;
    std::fs::write(path, bytes).expect("it can be written");
}

fn newest(folder: PathBuf, ending: &str) -> PathBuf {
    files_below(&folder, ending).pop().unwrap_or_else(|| panic!("no {ending} in {}", folder.display()))
}

/// What `run` does with a damaged plant.
#[derive(Clone, Copy)]
enum Run {
    /// It refuses, with this code.
    Refuses(&'static str),
    /// It runs, and `check` tells the same of it.
    Tells,
}

/// What is done to the data folder of a stopped plant, what `check` then says, which names the file, and what `run` does.
type Case = (&'static str, fn(&Path), [&'static str; 2], Run);

#[test]
fn check_finds_all_that_keeps_a_plant_from_running_or_loses_something() {
    let (damaged, tells) = (Run::Refuses("damaged"), Run::Tells);
    let cases: [Case; 19] = [
        (
            "ids flipped",
            |data| flip(&data.join("bus/registry.ids"), 9),
            ["registry.ids is damaged", "checksum"],
            damaged,
        ),
        (
            "ids empty",
            |data| std::fs::write(data.join("bus/registry.ids"), "").expect("it is ours"),
            ["registry.ids is damaged", "begin as it should"],
            damaged,
        ),
        (
            "names gone",
            |data| remove(&data.join("bus/registry.tms")),
            ["registry.tms is missing", "backup"],
            damaged,
        ),
        (
            "names flipped",
            |data| flip(&data.join("bus/registry.tms"), 70),
            ["registry.tms is damaged", "backup"],
            damaged,
        ),
        ("bus gone", |data| remove(&data.join("bus")), ["registry.tms is missing", "backup"], damaged),
        (
            "journal gone",
            |data| remove(&data.join("journal")),
            ["data/journal is missing", "data/lake"],
            damaged,
        ),
        (
            "lake gone",
            |data| remove(&data.join("lake")),
            ["data/lake", "entries at its end are missing"],
            damaged,
        ),
        (
            "log of samples gone",
            |data| remove(&data.join("lake/samples/_delta_log")),
            ["samples/_delta_log", "is empty, and there are files"],
            damaged,
        ),
        (
            "last commit gone",
            |data| remove(&newest(data.join("lake/samples/_delta_log"), "json")),
            ["the table log entry samples", "entries at its end are missing"],
            damaged,
        ),
        (
            "last commit cut",
            |data| drop(cut(&newest(data.join("lake/samples/_delta_log"), "json"))),
            ["samples/_delta_log/", "cut off"],
            damaged,
        ),
        (
            "last commit changed",
            |data| flip(&newest(data.join("lake/samples/_delta_log"), "json"), 1),
            ["samples/_delta_log/", "cannot be understood"],
            damaged,
        ),
        (
            "tokens cut",
            |data| drop(cut(&data.join("guard/tokens.json"))),
            ["tokens.json is damaged", "backup"],
            damaged,
        ),
        (
            "tokens gone",
            |data| remove(&data.join("guard/tokens.json")),
            ["tokens.json is missing", "`tidemill token create`"],
            tells,
        ),
        ("guard gone", |data| remove(&data.join("guard")), ["data/guard/audit: ", "entries 1 to "], tells),
        (
            "cursors empty",
            |data| std::fs::write(data.join("journal/cursors"), "").expect("it is ours"),
            ["journal/cursors: ", "cursors is damaged"],
            tells,
        ),
        (
            "segment flipped",
            |data| flip(&newest(data.join("journal"), "segment"), 124),
            [".segment", "is damaged in bytes"],
            tells,
        ),
        (
            "corrections gone",
            |data| remove(&data.join("lake/tables/corrections")),
            ["data/lake/tables/corrections from a backup", "its folder is missing"],
            tells,
        ),
        (
            "audit's table cut",
            |data| drop(cut(&newest(data.join("lake/tables/audit/_delta_log"), "json"))),
            ["tables/audit/_delta_log/", "cut off"],
            tells,
        ),
        (
            "file of samples gone",
            |data| remove(&newest(data.join("lake/samples"), "parquet")),
            [".parquet is damaged", "it is missing"],
            tells,
        ),
    ];
    // Killed, so that the journal holds what stands nowhere else.
    let mut running = stopped().start();
    for value in ["1", "2", "3"] {
        running.ok(&["write", "press/pressure", value]);
    }
    running.process.signal(rustix::process::Signal::KILL);
    running.process.end();
    let mut home = running.home;
    let (plant, whole) = (home.plant(), home.path("whole"));
    copy(&plant, &whole);
    home.run(&["check", "--plant", "plant"]).expect(0);
    for (name, harm, parts, run) in cases {
        remove(&plant);
        copy(&whole, &plant);
        harm(&plant.join("data"));
        let before = files_below(&plant, "segment");
        let checked = home.run(&["check", "--plant", "plant"]);
        let told = checked.out;
        assert_eq!(checked.code, Some(3), "{name}: {told}");
        for part in parts {
            assert!(told.contains(part), "{name}: no '{part}' in {told}");
        }
        for line in told.lines() {
            assert!(
                line.starts_with("problem: ") && line.contains("data/") && line.split(". ").count() > 1,
                "{name}: {line}"
            );
        }
        assert_eq!(files_below(&plant, "segment"), before, "{name}: check changed something");
        match run {
            Run::Refuses(code) => {
                let mut process = Process::spawn(home.command(&["run", "--plant", "plant"]));
                let said = process.log_line(&format!("error [{code}]: "));
                assert!(parts.iter().any(|part| said.contains(part)), "{name}: {said}");
                assert_eq!(process.end().code(), Some(1), "{name}");
            }
            Run::Tells => {
                let running = home.start();
                let told = running.run(&["check"]).expect(3).out;
                assert!(parts.iter().any(|part| told.contains(part)), "{name}: {told}");
                home = running.stop();
            }
        }
    }
    // One that never ran has nothing that could be damaged.
    remove(&plant.join("data"));
    home.run(&["check", "--plant", "plant"]).expect(0);
    assert!(!plant.join("data").exists(), "check made something");
    home.start().ok(&["check"]);
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
    // The rest of the plant goes on, audited changes included, and what was audited is told from the files beneath.
    plant.ok(&["write", "press/temperature", "21.5"]);
    plant.token("press2", &["write:press/#"]);
    let audited = plant.run(&["audit", "--json"]).expect(0);
    assert!(audited.err.contains("audit files") && audited.err.contains("tables/audit"), "{}", audited.err);
    assert!(audited.out.contains("press2") && audited.out.contains("token.create"), "{}", audited.out);
    plant
        .get("/api/v1/audit")
        .token(&plant.token("other", &["administer:#"]))
        .send()
        .expect_problem(500, "damaged");
    assert_eq!(plant.sql("SELECT count(*) FROM samples WHERE signal LIKE 'press/%'")[0][0], 2);
    let home = plant.stop();
    std::fs::write(entry, whole).expect("it can be written");
    let plant = home.start();
    plant.ok(&["check"]);
    let tokens = plant.sql("SELECT count(*) FROM sys.audit WHERE action LIKE 'token%'");
    assert_eq!(tokens[0][0], 6, "an intent and an outcome each, what happened meanwhile included");
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
    let told = plant.get("/health/ready").send().expect_problem(503, "damaged");
    assert!(told["detail"].as_str().is_some_and(|text| text.contains("cannot be read")), "{told}");
}

#[test]
fn check_reads_what_files_hold_and_names_each_with_a_flipped_byte() {
    let home = stopped();
    let files = files_below(&lake(&home).join("samples"), "parquet");
    let mut altered = std::fs::read(&files[0]).expect("a file of the lake");
    altered[40] ^= 1;
    std::fs::write(&files[0], altered).expect("it can be written");
    let plant = home.start();
    let found = findings(&plant);
    let name = files[0].file_name().and_then(|name| name.to_str()).expect("a name");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].to_string().contains(name) && found[0].to_string().contains("checksum"), "{}", found[0]);
}

#[test]
fn a_plant_without_room_says_so_before_anybody_writes() {
    let home = stopped();
    home.file("plant/tidemill.toml", "[storage]\nfree_min = \"900TiB\"\n");
    let before = home.run(&["check", "--plant", "plant"]).expect(3);
    assert!(before.out.contains("less than storage.free_min"), "{}", before.out);
    let plant = home.start();
    let refused = plant.run(&["write", "press/temperature", "22.5"]).expect_problem("disk-full");
    assert!(
        refused.err.contains("writing takes 900 TiB, for storage.free_min and the log"),
        "{}",
        refused.err
    );
    assert!(
        refused.err.contains(" more must be free") && refused.err.contains("storage.keep"),
        "{}",
        refused.err
    );
    assert_eq!(refused.err.to_lowercase().matches("writing goes on").count(), 1, "{}", refused.err);
    let told = plant.get("/health/ready").send().expect_problem(503, "disk-full");
    assert!(told["detail"].as_str().is_some_and(|text| text.starts_with("new values are refused")), "{told}");
    let health = plant.get("/health").send().expect(503).json();
    assert!(health["message"].as_str().is_some_and(|text| text.contains("Free space")), "{health}");
    let told = plant.run(&["check"]).expect(3).out;
    assert!(told.contains("new values are refused: the disk has") && told.lines().count() == 1, "{told}");
    // Reads go on, and the probe of life.
    assert_eq!(plant.sql("SELECT count(*) FROM samples WHERE signal LIKE 'press/%'")[0][0], 1);
    plant.get("/health/live").send().expect(200);
}

/// The key holds from the next start: until then nothing is refused, and nobody is told so.
#[test]
fn what_was_saved_for_the_next_start_is_not_told_as_if_it_held() {
    let plant = Plant::start();
    plant.home.file("plant/tidemill.toml", "[storage]\nfree_min = \"900TiB\"\n");
    let told = plant.run(&["check"]).expect(3).out;
    assert!(told.contains("from the next start new values are refused"), "{told}");
    assert!(!told.lines().any(|line| line.starts_with("problem:")), "{told}");
    plant.ok(&["write", "a", "1"]);
}

/// What `audit verify` tells: nothing, or each finding. Of a plant that runs and of one that does not.
#[track_caller]
fn audited(run: impl Fn(&[&str]) -> crate::plant::Ran) -> Vec<String> {
    let answer = run(&["audit", "verify", "--json"]);
    let problems = answer.json()["problems"].as_array().expect("a list").clone();
    assert_eq!(answer.code, Some(if problems.is_empty() { 0 } else { 3 }), "{}", answer.err);
    problems.iter().map(|problem| problem.as_str().unwrap_or_default().to_owned()).collect()
}

fn of_stopped(home: &Home) -> Vec<String> {
    audited(|words| home.run(&[words, &["--plant", "plant"]].concat()))
}

fn recorded_damage(plant: &Plant) -> Json {
    plant.sql("SELECT detail FROM sys.audit WHERE action = 'audit.damage' ORDER BY seq")
}

#[test]
fn a_foreign_file_among_those_of_the_audit_is_named_and_moved_away_once() {
    let home = stopped();
    let audit = home.plant().join("data/guard/audit");
    let (first, foreign) = (audit.join("00000000000000000001.tma"), "00000000000000000900.tma");
    std::fs::copy(&first, audit.join(foreign)).expect("a file of the audit");
    let named = |found: &[String]| {
        assert!(found.len() == 1 && found[0].starts_with(foreign), "{found:?}");
        assert!(found[0].contains("no part of the chain") && found[0].contains("move it"), "{found:?}");
    };
    named(&of_stopped(&home));
    let checked = home.run(&["check", "--plant", "plant"]).expect(3).out;
    assert!(checked.contains(foreign), "{checked}");
    let plant = home.start();
    plant.token("after", &["write:press/#"]);
    assert_eq!(audited(|words| plant.run(words)), [""; 0], "it was moved away");
    assert!(recorded_damage(&plant)[0][0].as_str().is_some_and(|detail| detail.contains(foreign)));
    assert!(plant.home.plant().join("data/guard/audit.foreign").join(foreign).is_file());
    // One that is put there while the plant runs.
    std::fs::copy(&first, audit.join(foreign)).expect("a file of the audit");
    named(&audited(|words| plant.run(words)));
    std::fs::remove_file(audit.join(foreign)).expect("it is there");
    let plant = plant.stop().start();
    plant.token("again", &["write:press/#"]);
    assert_eq!(audited(|words| plant.run(words)), [""; 0]);
    assert_eq!(recorded_damage(&plant).as_array().map(Vec::len), Some(1), "told once");
}

#[test]
fn an_audit_that_was_removed_is_missed_and_recorded_once() {
    for beside_too in [false, true] {
        let home = stopped();
        let guard = home.plant().join("data/guard");
        std::fs::remove_dir_all(guard.join("audit")).expect("it is there");
        if beside_too {
            std::fs::remove_file(guard.join("audit.mark")).expect("it is there");
        }
        let found = of_stopped(&home);
        let part = if beside_too { "there are tokens" } else { "entries 1 to" };
        assert!(found.len() == 1 && found[0].contains(part), "{found:?}");
        assert!(home.run(&["check", "--plant", "plant"]).expect(3).out.contains(part));
        let plant = home.start();
        plant.token("after", &["write:press/#"]);
        let plant = plant.stop().start();
        plant.token("again", &["write:press/#"]);
        let damage = recorded_damage(&plant);
        assert_eq!(damage.as_array().map(Vec::len), Some(1), "{damage}");
        let seqs = plant.sql("SELECT count(*), count(DISTINCT seq) FROM sys.audit");
        assert_eq!(seqs[0][0], seqs[0][1], "no number is given twice");
        for found in [audited(|words| plant.run(words)), of_stopped(&plant.stop())] {
            assert!(found.len() == 1 && found[0].contains("the chain begins with entry"), "{found:?}");
        }
    }
}

#[test]
fn a_flipped_byte_in_the_head_of_the_journal_is_damage_and_no_power_cut() {
    let plant = Plant::start();
    plant.ok(&["write", "a/b", "1", "--time", "2026-03-01T00:00:00Z"]);
    let home = plant.stop().start().stop();
    for segment in files_below(&home.plant().join("data/journal"), "segment") {
        let mut bytes = std::fs::read(&segment).expect("ours");
        bytes[30] ^= 4;
        std::fs::write(&segment, bytes).expect("ours");
    }
    let told = home.run(&["check", "--plant", "plant"]).expect(3).out;
    assert!(told.contains("of the journal is damaged in its head") && !told.contains("power cut"), "{told}");
    let mut plant = home.start();
    assert_eq!(plant.sql("SELECT count(*) FROM samples WHERE signal = 'a/b'"), serde_json::json!([[1]]));
    assert!(!plant.process.log_so_far().iter().any(|line| line.contains("journal.lost")));
    // Told while it is there: what is written since stands behind a sound head, and then the log lets it go.
    plant.ok(&["write", "a/b", "2"]);
    plant.stop().start().stop().run(&["check", "--plant", "plant"]).expect(0);
}

#[test]
fn a_flipped_byte_in_a_head_of_the_journal_after_a_kill_stops_no_writes() {
    for byte in [8, 20] {
        let plant = Plant::start();
        plant.ok(&["write", "a/b", "1", "--time", "2026-03-01T00:00:00Z"]);
        let home = plant.kill();
        let segments = files_below(&home.plant().join("data/journal"), "segment");
        let newest = segments.into_iter().max().expect("there is one");
        let mut bytes = std::fs::read(&newest).expect("ours");
        bytes[byte] ^= 4;
        std::fs::write(&newest, bytes).expect("ours");
        let told = home.run(&["check", "--plant", "plant"]).expect(3).out;
        assert!(told.contains("of the journal is damaged in its head"), "{told}");
        let mut plant = home.start();
        assert!(!plant.process.log_so_far().iter().any(|line| line.contains("journal.torn")));
        // Also once the log has looked at how far behind its engines are, which it does twice a second.
        let begun = std::time::Instant::now();
        while begun.elapsed() < std::time::Duration::from_secs(2) {
            plant.ok(&["write", "a/b", "2", "--time", "2026-03-01T00:00:01Z"]);
        }
        let plant = plant.stop().start();
        assert_eq!(
            plant.sql("SELECT sum(value) FROM samples WHERE signal = 'a/b'"),
            serde_json::json!([[3.0]])
        );
        plant.stop().run(&["check", "--plant", "plant"]).expect(0);
    }
}
