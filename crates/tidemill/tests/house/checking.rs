//! `tidemill check` on plants that something happened to: each finding names what it is about and says what to do, and the
//! command ends with 3.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::plant::{Home, Plant, Process, files_below, ran};

/// A stopped plant with history, a journal, names, tokens and an audit log.
fn stopped() -> Home {
    let plant = Plant::start();
    let token = plant.token("press", &["write:#"]);
    let lines: String = (0..20_000)
        .map(|index| format!("line/s{} value={} {index}000000000\n", index % 5, index % 977))
        .collect();
    plant.post("/api/v1/write").token(&token).body("text/plain", lines).send().expect(204);
    plant.stop()
}

fn file(folder: &Path, ending: &str) -> PathBuf {
    files_below(folder, ending).pop().unwrap_or_else(|| panic!("no {ending} below {}", folder.display()))
}

/// Flips one bit at this part of the file.
fn flip(file: &Path, part: f64) {
    let mut bytes = std::fs::read(file).expect("it is ours");
    let at = (bytes.len() as f64 * part) as usize;
    bytes[at] ^= 0x10;
    std::fs::write(file, bytes).expect("it is ours");
}

fn cut(file: &Path, bytes: usize) {
    let whole = std::fs::read(file).expect("it is ours");
    std::fs::write(file, &whole[..bytes]).expect("it is ours");
}

/// What `check` says of the plant: every line has a problem, a place and a mend.
#[track_caller]
fn told(home: &Home) -> String {
    let ran = home.run(&["check", "--plant", "plant"]).expect(3);
    for line in ran.out.lines() {
        assert!(line.starts_with("problem: ") && line.split(". ").count() > 1, "no mend: {line}");
    }
    ran.out
}

#[test]
fn damage_to_a_stopped_plant_is_found_and_named() {
    let home = stopped();
    home.run(&["check", "--plant", "plant"]).expect(0);
    let data = home.plant().join("data");
    let samples = data.join("lake/samples");
    type Harm<'a> = &'a dyn Fn();
    let audit = data.join("lake/tables/audit");
    let harms: [(Harm<'_>, PathBuf, &[&str]); 9] = [
        (
            &|| flip(&file(&samples, "parquet"), 0.3),
            file(&samples, "parquet"),
            &["lake", ".parquet is damaged", "checksum", "backup"],
        ),
        (&|| cut(&file(&samples, "parquet"), 100), file(&samples, "parquet"), &["has 100 bytes instead of"]),
        (
            &|| std::fs::remove_file(file(&samples, "parquet")).expect("it is ours"),
            file(&samples, "parquet"),
            &["is missing"],
        ),
        // A table that an engine declared, as that of the samples.
        (
            &|| flip(&file(&audit, "parquet"), 0.3),
            file(&audit, "parquet"),
            &["tables/audit", ".parquet is damaged", "checksum", "backup"],
        ),
        (
            &|| std::fs::remove_file(file(&audit, "parquet")).expect("it is ours"),
            file(&audit, "parquet"),
            &["tables/audit", "is missing"],
        ),
        (
            &|| cut(&data.join("bus/registry.tms"), 60),
            data.join("bus/registry.tms"),
            &["registry.tms is damaged", "Restore"],
        ),
        (
            &|| flip(&file(&data.join("guard/audit"), "tma"), 0.5),
            file(&data.join("guard/audit"), "tma"),
            &["data/guard/audit: ", ".tma line", "audit verify"],
        ),
        (
            &|| cut(&data.join("guard/tokens.json"), 20),
            data.join("guard/tokens.json"),
            &["tokens.json is damaged"],
        ),
        (
            &|| {
                let text = "[plant]\nname = \"p\"\n[storage]\nkep = \"1y\"\nfree_min = true\n[nonsense]\n";
                std::fs::write(home.plant().join("tidemill.toml"), text).expect("it is ours");
            },
            home.plant().join("tidemill.toml"),
            &["tidemill.toml:4: ", "'keep'", "tidemill.toml:5: free_min = true", "tidemill.toml:6: "],
        ),
    ];
    for (harm, touched, parts) in harms {
        let whole = std::fs::read(&touched).expect("it is ours");
        harm();
        let told = told(&home);
        for part in parts {
            assert!(told.contains(part), "no '{part}': {told}");
        }
        std::fs::write(&touched, whole).expect("it is ours");
        home.run(&["check", "--plant", "plant"]).expect(0);
    }
}

/// A relaxed log that lost its end, as a power cut leaves it: a segment with its head, whose parcels the files of the history
/// know.
#[test]
fn a_relaxed_log_that_lost_parcels_says_so_in_the_log_and_in_check() {
    let settings = "[plant]\nname = \"p\"\n[storage]\ndurability = \"relaxed\"\n";
    let plant = Plant::start_with(settings);
    plant.ok(&["write", "a", "1"]);
    let mut plant = plant.stop().start();
    plant.ok(&["write", "b", "2"]);
    plant.run(&["check"]).expect(0);
    assert!(!plant.process.log_so_far().iter().any(|line| line.contains("journal.lost")));
    let home = plant.stop();
    const SEGMENT_HEAD_BYTES: usize = 64;
    cut(&file(&home.plant().join("data/journal"), "segment"), SEGMENT_HEAD_BYTES);
    let mut plant = home.start();
    let line = plant.process.log_line("journal.lost");
    for part in ["first=", "last=", "relaxed"] {
        assert!(line.contains(part), "no {part}: {line}");
    }
    let told = plant.run(&["check"]).expect(3).out;
    for part in ["warning: data/journal: it lost its end at a power cut", "durability = \"disk\""] {
        assert!(told.contains(part), "no '{part}': {told}");
    }
    // What the history files hold is there, and the log goes on.
    plant.ok(&["write", "c", "3"]);
    let rows = plant.sql("SELECT signal, value FROM samples ORDER BY signal");
    assert_eq!(rows, serde_json::json!([["a", 1.0], ["b", 2.0], ["c", 3.0]]));
}

#[test]
fn a_running_plant_tells_of_a_flipped_bit_and_a_taken_port() {
    let home = stopped();
    flip(&file(&home.plant().join("data/lake/samples"), "parquet"), 0.3);
    let plant = home.start();
    let told = told(&plant.home);
    assert!(told.contains("data/lake: ") && told.contains("checksum"), "{told}");
    // A second plant that wants the first one's port.
    let taken = format!("[http]\nlisten = \"{}\"\n", plant.address);
    std::fs::create_dir(plant.home.path("second")).expect("a folder in the temporary folder");
    plant.home.file("second/tidemill.toml", taken);
    let mut command = plant.home.command(&["check", "--plant", "second"]);
    command.env_remove("TIDEMILL_HTTP_LISTEN");
    let ran = crate::plant::ran(command).expect(3);
    for part in ["another program listens on", &plant.address.to_string(), "tidemill", "http.listen"] {
        assert!(ran.out.contains(part), "no '{part}': {}", ran.out);
    }
}

#[test]
fn a_plant_that_does_not_answer_is_told_and_not_waited_for() {
    let plant = Plant::start();
    plant.process.signal(rustix::process::Signal::STOP);
    let told = told(&plant.home);
    for part in ["data: the plant holds its lock and does not answer", "kill -CONT"] {
        assert!(told.contains(part), "no '{part}': {told}");
    }
    let url = format!("http://{}", plant.address);
    plant.home.run(&["check", "--url", &url]).expect_problem("not-running");
    plant.process.signal(rustix::process::Signal::CONT);
    plant.run(&["check"]).expect(0);
}

#[test]
fn a_plant_that_lost_its_tokens_says_so_in_the_log_and_in_check() {
    let home = stopped();
    std::fs::remove_file(home.plant().join("data/guard/tokens.json")).expect("it is ours");
    let mut plant = home.start();
    let line = plant.process.log_line("tokens.missing");
    assert!(line.contains("tokens.json is missing") && line.contains("tidemill token create"), "{line}");
    let told = told(&plant.home);
    assert!(told.contains("data/guard: ") && told.contains("tokens.json is missing"), "{told}");
    plant.token("press", &["write:#"]);
    plant.run(&["check"]).expect(0);
}

/// With --url the plant there is asked, not the folder that happens to be here.
#[test]
fn a_plant_elsewhere_says_itself_what_is_wrong() {
    let plant = Plant::start();
    let token = plant.token("looker", &["administer:#"]);
    let well = plant.run_as(&token, &["check"]).expect(0).out;
    assert_eq!(well, format!("http://{}: all is well\n", plant.address));
    plant.ok(&["write", "Oven/t", "1"]);
    plant.ok(&["write", "oven/t", "1"]);
    let told = plant.run_as(&token, &["check"]).expect(3).out;
    assert!(told.contains("oven/t: differs from Oven/t only in case"), "{told}");
    let told = plant.run_as(&token, &["check", "--json"]).expect(3).json();
    assert_eq!((&told[0]["file"], &told[0]["warning"]), (&"oven/t".into(), &true.into()), "{told}");
    let weak = plant.token("reader", &["read:#"]);
    plant.run_as(&weak, &["check"]).expect_problem("forbidden");
    plant.run(&["check", "--url", "http://127.0.0.1:1"]).expect_problem("not-running");
}

/// What keeps `run` from the plant is a finding of `check`, with the same reason; the plant is left as it is.
#[test]
fn a_plant_that_this_user_cannot_run_is_not_well() {
    let home = stopped();
    let data = home.plant().join("data");
    let set = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    for path in [home.path(""), home.plant(), data.clone(), data.join("bus")] {
        set(&path, 0o755);
    }
    set(&home.plant().join("tidemill.toml"), 0o644);
    // The binary may stand where only root may go: a copy beside the plant.
    let program = home.path("program");
    std::fs::copy(env!("CARGO_BIN_EXE_tidemill"), &program).expect("room for a copy");
    // Root may write everywhere, and so tries as somebody else.
    let root = rustix::process::getuid().is_root();
    let other = |word: &str| {
        let mut command = if root { Command::new(&program) } else { home.command(&[]) };
        command.args([word, "--plant"]).arg(home.plant());
        if root {
            command.env_clear().env("TIDEMILL_HTTP_LISTEN", "127.0.0.1:0").uid(65_534).gid(65_534);
        }
        ran(command)
    };
    let told_of = |folder: &Path, reason: &str| {
        let said = other("check").expect(3).out;
        let place = format!("problem: {}: the plant cannot be run: ", folder.display());
        let line = said.lines().find(|line| line.starts_with(&place)).unwrap_or_else(|| panic!("{said}"));
        assert!(line.contains(reason) && line.split(". ").count() > 1, "{line}");
    };
    // A folder that may not be looked into is not one without a plant.
    set(&home.plant(), 0o000);
    for word in ["check", "signals", "run"] {
        let told = other(word).expect_problem("file-unreadable");
        assert!(told.err.contains("tidemill.toml cannot be looked at: Permission denied"), "{}", told.err);
    }
    set(&home.plant(), 0o755);
    if !root {
        set(&data, 0o555);
    }
    told_of(&data, "Permission denied");
    other("run").expect_problem("file-unwritable");
    set(&data, if root { 0o777 } else { 0o755 });
    if !root {
        set(&data.join("bus"), 0o555);
    }
    let found = other("check").expect(3).out;
    assert!(found.contains("cannot be run: the folder") && found.contains("data/"), "{found}");
    // Who may look at the folders and not read the files of the audit is told that, not of a mistake of the program.
    for folder in ["guard", "guard/audit"] {
        set(&data.join(folder), 0o755);
    }
    if !root {
        set(&data.join("guard/audit/mark"), 0o000);
    }
    let unread = {
        let mut command = if root { Command::new(&program) } else { home.command(&[]) };
        command.args(["audit", "verify", "--plant"]).arg(home.plant());
        if root {
            command.env_clear().uid(65_534).gid(65_534);
        }
        ran(command).expect_problem("file-unreadable")
    };
    assert!(unread.err.contains("guard/audit/mark failed (Permission denied"), "{}", unread.err);
    set(&data.join("guard/audit/mark"), 0o600);
    // Something else stands in the place of the lock: nobody can run it.
    for path in [&data, &data.join("bus")] {
        set(path, 0o755);
    }
    std::fs::remove_file(data.join("lock")).expect("a plant that ran left one");
    home.run(&["check", "--plant", "plant"]).expect(0);
    assert!(!data.join("lock").exists(), "check made something");
    std::fs::create_dir(data.join("lock")).expect("it is ours");
    let found = told(&home);
    assert!(found.contains("data/lock cannot be locked: Is a directory"), "{found}");
}

/// A variable whose name is mistyped does nothing: the log says so at the start, and `check` while it runs and while it does not.
#[test]
fn a_variable_that_names_no_setting_is_told_with_what_was_meant() {
    let home = Home::new();
    let with_typo = |words: &[&str]| {
        let mut command = home.command(words);
        command.env("TIDEMILL_STORGE_KEEP", "1y").env("TIDEMILL_SERVICE_HOST", "10.0.0.11");
        command
    };
    let mut process = Process::spawn(with_typo(&["run", "--plant", "plant"]));
    let line = process.log_line("variable.unknown");
    for part in ["WARN", "environment variable TIDEMILL_STORGE_KEEP", "Did you mean TIDEMILL_STORAGE_KEEP?"] {
        assert!(line.contains(part), "no '{part}': {line}");
    }
    process.line("ready: ");
    let expected = "warning: environment variable TIDEMILL_STORGE_KEEP: no setting has this name, and it does nothing. \
                    Did you mean TIDEMILL_STORAGE_KEEP?\n";
    // What counts is what the plant was started with.
    let told = home.run(&["check", "--plant", "plant"]).expect(3).out;
    assert_eq!(told, expected);
    process.signal(rustix::process::Signal::TERM);
    assert!(process.end().success());
    assert_eq!(ran(with_typo(&["check", "--plant", "plant"])).expect(3).out, expected);
    home.run(&["check", "--plant", "plant"]).expect(0);
}

/// What others can change or read is told where they can come: a closed folder above closes all of it.
#[test]
fn what_others_may_write_or_read_is_told() {
    let home = stopped();
    let data = home.plant().join("data");
    let key = data.join("guard/ca.key");
    std::fs::write(&key, "a key").expect("it is ours");
    std::fs::write(data.join("guard/ca.pem"), "its certificate").expect("it is ours");
    let set = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    let told = |path: &Path, words: &str| {
        let place = format!("problem: {}: others may {words}", path.display());
        home.run(&["check", "--plant", "plant"]).out.contains(&place)
    };
    // (what, which mode the folders above it have, its own, what is said)
    let (plant, settings) = (home.plant(), home.plant().join("tidemill.toml"));
    let (guard, tokens) = (data.join("guard"), data.join("guard/tokens.json"));
    let journal = data.join("journal");
    for (path, above, mode, words, expected) in [
        (&plant, 0o700, 0o770, "write in this folder, and so change this plant's settings", true),
        (&settings, 0o755, 0o666, "write this file, and so change this plant's settings", true),
        (&settings, 0o700, 0o666, "", false),
        (&data, 0o755, 0o757, "write in this folder, and so change what it keeps", true),
        (&journal, 0o711, 0o772, "write in this folder, and so change what it keeps", true),
        (&guard, 0o755, 0o775, "write in this folder, and so change what it keeps", true),
        (&tokens, 0o755, 0o666, "write this file, and so change who may do what", true),
        (&tokens, 0o755, 0o644, "", false),
        (&key, 0o755, 0o640, "read this key", true),
        (&key, 0o705, 0o640, "read this key", false),
        (&key, 0o700, 0o644, "read this key", false),
        (&key, 0o755, 0o600, "", false),
    ] {
        for folder in [&plant, &data, &guard].into_iter().filter(|folder| *folder != path) {
            set(folder, above);
        }
        set(path, mode);
        assert_eq!(told(path, words), expected, "{}: {mode:o} below {above:o}", path.display());
        set(path, if path.is_dir() { 0o700 } else { 0o600 });
    }
}
