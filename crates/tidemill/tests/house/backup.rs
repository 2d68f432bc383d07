//! Backups and what is made of them: the restore drill. A plant that goes on is backed up, made again elsewhere, and is the
//! same: by SQL, by its tokens, its names, its audit, and to DuckDB. What is damaged, missing or interrupted makes no plant.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value as Json, json};

use crate::client::Request;
use crate::partners;
use crate::plant::{Home, PATIENCE, Plant, Process, files_below, ran};

const BEGAN_NS: i64 = 1_772_323_200_000_000_000;
const STEP_NS: i64 = 60_000_000_000;

/// Lines whose times go on from a number, with values that no packing makes small.
fn lines(from: u64, to: u64) -> String {
    let line = |number: u64| {
        let value = (number.wrapping_mul(6_364_136_223_846_793_005) >> 11) as f64 / 3.0;
        format!("press,line={} pressure={value} {}\n", number % 5, BEGAN_NS + number as i64 * STEP_NS)
    };
    (from..to).map(line).collect()
}

fn write(address: std::net::SocketAddr, token: &str, from: u64, to: u64) -> bool {
    let request = Request::new(address, "POST", "/api/v1/write").token(token);
    request.body("text/plain", lines(from, to)).try_send().is_some_and(|answer| answer.status == 204)
}

/// Everything up to a number, to the last bit.
fn checksums(plant: &Plant, upto: u64) -> Json {
    plant.sql(&format!(
        "SELECT signal, count(*), sum(value), min(value), max(value), CAST(min(time) AS BIGINT), CAST(max(time) AS BIGINT), \
         bit_xor(CAST(time AS BIGINT) / {STEP_NS} * 31 + CAST(value AS BIGINT)) \
         FROM samples WHERE signal LIKE 'press/%' AND CAST(time AS BIGINT) < {} GROUP BY 1 ORDER BY 1",
        BEGAN_NS + upto as i64 * STEP_NS
    ))
}

fn path(home: &Home, name: &str) -> String {
    home.path(name).display().to_string()
}

/// What is made of a backup takes the place of the plant that it was made from.
fn restored(home: Home, file: &str) -> Home {
    let again = path(&home, "again");
    home.run(&["restore", file, "--plant", &again]).expect(0);
    std::fs::rename(home.plant(), home.path("old")).expect("it stands still");
    std::fs::rename(&again, home.plant()).expect("it stands still");
    home
}

#[test]
fn a_plant_that_goes_on_is_the_same_elsewhere() {
    let plant = Plant::start();
    let token = plant.token("press", &["write:#", "read:#"]);
    let (mut sent, step) = (0, 500);
    for part in 0..12 {
        assert!(write(plant.address, &token, sent, sent + step));
        sent += step;
        if part == 5 {
            // What is deleted is in files, and so is all before it.
            let to = "2026-03-01T01:00:00Z";
            let (from, signal) = ("2026-03-01T00:00:00Z", "press/line=0/pressure");
            plant.ok(&["signals", "delete", signal, "--from", from, "--to", to, "--reason", "test"]);
        }
    }
    plant.ok(&["signals", "set", "press/line=1/pressure", "unit=bar", "description=main"]);
    plant.ok(&["signals", "rename", "press/line=2/pressure", "press/two"]);
    let acknowledged = sent;
    let before = checksums(&plant, acknowledged);
    assert_eq!(before.as_array().map(Vec::len), Some(5), "{before}");

    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(acknowledged));
    let (address, file) = (plant.address, path(&plant.home, "monday.tdm"));
    let told = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let from = written.load(Ordering::Relaxed);
                assert!(write(address, &token, from, from + 50), "the plant goes on");
                written.store(from + 50, Ordering::Relaxed);
            }
        });
        let told = plant.run(&["backup", &file, "--json"]);
        stop.store(true, Ordering::Relaxed);
        told
    });
    let told = told.expect(0).json();
    assert!(told["journal"].as_u64().is_some() && told["notes"] == json!([]), "{told}");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).expect("the backup").permissions());
    assert_eq!(mode & 0o777, 0o600, "it holds keys and hashes of tokens");
    assert!(written.load(Ordering::Relaxed) > acknowledged, "nothing was written meanwhile");
    let verified = plant.home.run(&["backup", "verify", &file, "--json"]).expect(0).json();
    assert_eq!((&verified["intact"], &verified["backup"]["sha256"]), (&json!(true), &told["sha256"]));
    // After the backup: not in it.
    plant.token("later", &["read:#"]);

    let home = restored(plant.kill(), &file);
    home.run(&["check", "--plant", "plant"]).expect(0);
    let plant = home.start();
    assert_eq!(checksums(&plant, acknowledged), before);
    let names =
        plant.sql("SELECT signal, unit, description FROM signals WHERE signal LIKE 'press/%' ORDER BY 1");
    assert_eq!(names[1], json!(["press/line=1/pressure", "bar", "main"]), "{names}");
    assert_eq!(names[4][0], "press/two");
    // The same tokens, and whoever came later is unknown.
    assert!(write(plant.address, &token, acknowledged, acknowledged + 10));
    let tokens = plant.run(&["token", "list", "--json"]).expect(0).json();
    assert!(tokens.to_string().contains("press") && !tokens.to_string().contains("later"), "{tokens}");
    // The chain goes on, and says what happened.
    assert!(plant.ok(&["audit", "verify"]).contains("the chain is intact"));
    let audit = plant.run(&["audit", "--json", "--limit", "500"]).expect(0).out;
    assert!(
        audit.contains("plant.restore") && audit.contains(told["sha256"].as_str().unwrap_or("-")),
        "{audit}"
    );
    assert!(audit.contains("backup.take"));
    // Told once.
    let plant = plant.stop().start();
    let audit = plant.run(&["audit", "--json", "--limit", "500"]).expect(0).out;
    assert_eq!(audit.matches("plant.restore").count(), 1);
    plant.run(&["check"]).expect(0);
}

#[test]
fn others_read_what_was_restored() {
    let Some(python) = partners::python("others_read_what_was_restored") else { return };
    let plant = Plant::start();
    let token = plant.token("press", &["write:#"]);
    assert!(write(plant.address, &token, 0, 3_000));
    let home = plant.stop();
    let file = path(&home, "stopped.tdm");
    home.run(&["backup", &file, "--plant", "plant"]).expect(0);
    let home = restored(home, &file);
    let lake = home.plant().join("data/lake/samples").display().to_string();
    for partner in ["duckdb", "deltalake"] {
        let mut command = Command::new(&python);
        command.args(["-c", partners::READERS, &lake, partner]);
        let rows: Json = ran(command).expect(0).json();
        // Beside the plant's own figures.
        let ours = |row: &&Json| row[0].as_str().is_some_and(|signal| signal.starts_with("press/"));
        let counts = rows.as_array().into_iter().flatten().filter(ours).filter_map(|row| row[1].as_u64());
        assert_eq!(counts.sum::<u64>(), 3_000, "{partner}: {rows}");
    }
}

/// A small backup of a plant that stands still.
fn small() -> (Home, String) {
    let plant = Plant::start();
    let token = plant.token("press", &["write:#"]);
    assert!(write(plant.address, &token, 0, 200));
    let home = plant.stop();
    std::fs::create_dir_all(home.plant().join("displays/deep")).expect("ours");
    std::fs::write(home.plant().join("displays/deep/läufer.json"), "{}").expect("ours");
    let file = path(&home, "small.tdm");
    home.run(&["backup", &file, "--plant", "plant"]).expect(0);
    (home, file)
}

#[test]
fn what_is_damaged_makes_no_plant() {
    let (home, file) = small();
    let whole = std::fs::read(&file).expect("a backup");
    let find = |what: &[u8]| {
        whole.windows(what.len()).position(|part| part == what).unwrap_or_else(|| panic!("{what:?}"))
    };
    let with = |at: usize, new: &[u8]| {
        let mut bad = whole.clone();
        bad[at..at + new.len()].copy_from_slice(new);
        bad
    };
    let parquet = find(b"PAR1");
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("cut off", whole[..whole.len() / 2].to_vec(), "no whole backup"),
        ("without its end", whole[..whole.len() - 1_536].to_vec(), "no whole backup"),
        ("empty", Vec::new(), "no whole backup"),
        ("more behind it", [&whole[..], &[0; 512]].concat(), "no whole backup"),
        ("a bit of history", with(parquet + 9, &[whole[parquet + 9] ^ 4]), ".parquet"),
        (
            "a bit of the journal",
            {
                let at = find(b"data/journal/0000000001.segment") + 600;
                with(at, &[whole[at] ^ 1])
            },
            "data/journal/0000000001.segment",
        ),
        (
            "a name that leads out",
            with(find(b"tidemill.toml.zst\0"), b"../../etc/pwd.zst\0"),
            "tidemill.toml",
        ),
        ("a link", with(find(b"tidemill.toml.zst\0") + 156, b"2"), "tidemill.toml"),
        ("the list", with(find(b"\"plant\":\""), b"\"plant\":'"), "manifest"),
        ("a later format", with(find(b"tidemill-backup 1\n"), b"tidemill-backup 7\n"), "format 7"),
    ];
    let bad = path(&home, "bad.tdm");
    for (name, bytes, named) in cases {
        std::fs::write(&bad, bytes).expect("room");
        let verified = home.run(&["backup", "verify", &bad]).expect(3);
        assert!(verified.out.contains(named) && verified.out.contains("bad.tdm"), "{name}: {}", verified.out);
        let verified = home.run(&["backup", "verify", &bad, "--json"]).expect(3).json();
        assert_eq!(verified["intact"], false, "{name}");
        let code = if named == "format 7" { "newer-format" } else { "backup-damaged" };
        let refused = home.run(&["restore", &bad, "--plant", "again"]).expect_problem(code);
        assert!(refused.err.contains(named), "{name}: {}", refused.err);
        assert!(!home.path("again").exists() && !home.path(".again.restoring").exists(), "{name}");
    }
    // The whole one is whole, and nothing else was touched.
    home.run(&["restore", &file, "--plant", "again"]).expect(0);
    assert_eq!(std::fs::read(home.path("again/displays/deep/läufer.json")).expect("restored"), b"{}");
    assert!(!home.path("etc").exists());
    home.run(&["restore", &file, "--plant", "again"]).expect_problem("not-empty");
    home.run(&["backup", &file, "--plant", "plant"]).expect_problem("exists");
    let inside = path(&home, "plant/data/me.tdm");
    home.run(&["backup", &inside, "--plant", "plant"]).expect_usage("bad-parameter");
    home.run(&["restore", &file]).expect_usage("bad-parameter");
}

#[test]
fn a_backup_of_a_stopped_plant_tells_of_damaged_files_as_one_of_a_running_plant_does() {
    let (home, _) = small();
    let lake = home.plant().join("data/lake");
    let newest = |folder: &str| files_below(&lake.join(folder), "parquet").pop().expect("there is one");
    let files = [newest("samples"), newest("tables/audit")];
    for file in &files {
        let mut bytes = std::fs::read(file).expect("ours");
        bytes[40] ^= 1;
        std::fs::write(file, bytes).expect("ours");
    }
    let notes = |told: Json| {
        let notes = told["notes"].as_array().expect("a list").clone();
        let notes: Vec<String> = notes.iter().map(|note| note.as_str().unwrap_or("").to_owned()).collect();
        assert_eq!(notes.len(), 2, "{notes:?}");
        for file in &files {
            let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
            assert!(notes.iter().any(|note| note.contains(name) && note.contains("checksum")), "{notes:?}");
        }
        notes
    };
    let stopped = home.run(&["backup", &path(&home, "stopped.tdm"), "--plant", "plant", "--json"]);
    let stopped = notes(stopped.expect(3).json());
    let plant = home.start();
    let running = plant.run(&["backup", &path(&plant.home, "running.tdm"), "--json"]);
    assert_eq!(notes(running.expect(3).json()), stopped);
}

#[test]
fn history_that_was_damaged_on_monday_and_is_mended_on_tuesday_is_in_tuesdays_backup() {
    let (home, _) = small();
    let file = files_below(&home.plant().join("data/lake/samples"), "parquet").pop().expect("there is one");
    let right = std::fs::read(&file).expect("ours");
    let mut wrong = right.clone();
    wrong[40] ^= 1;
    std::fs::write(&file, wrong).expect("ours");
    let days: Vec<String> =
        ["monday", "tuesday", "wednesday"].map(|day| path(&home, &format!("{day}.tdm"))).into();
    let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
    let noted = |out: &str| assert!(out.contains(name) && out.contains("as it stands"), "{out}");
    noted(&home.run(&["backup", &days[0], "--plant", "plant"]).expect(3).out);
    // Not mended: told again, by all who look.
    noted(&home.run(&["backup", &days[1], "--plant", "plant", "--since", &days[0]]).expect(3).out);
    noted(&home.run(&["backup", "verify", &days[1]]).out);
    std::fs::write(&file, &right).expect("ours");
    home.run(&["backup", &days[2], "--plant", "plant", "--since", &days[1]]).expect(0);
    home.run(&["backup", "verify", &days[2]]).expect(0);
    home.run(&["restore", &days[2], "--plant", "again"]).expect(0);
    let again = home.path("again/data/lake/samples").join(name);
    assert!(std::fs::read(again).expect("restored") == right, "Monday's bytes were taken");
}

#[test]
fn no_backup_is_made_that_could_not_be_restored() {
    let (home, monday) = small();
    let (tuesday, wednesday) = (path(&home, "tuesday.tdm"), path(&home, "wednesday.tdm"));
    home.run(&["backup", &tuesday, "--plant", "plant", "--since", &monday]).expect(0);
    std::fs::create_dir(home.path("vault")).expect("ours");
    std::fs::rename(&monday, home.path("vault/monday")).expect("ours");
    let words = ["backup", &wednesday, "--plant", "plant", "--since", &tuesday];
    let refused = home.run(&words).expect_problem("backup-base").err;
    assert!(refused.contains("--base") && !Path::new(&wednesday).exists(), "{refused}");
    home.run(&[&words[..], &["--base", "vault"]].concat()).expect(0);
    home.run(&["restore", &wednesday, "--plant", "again", "--base", "vault"]).expect(0);
}

/// Two would take away what the other writes, and what one left that was cut off is nobody's plant.
#[test]
fn one_restore_at_a_time_works_in_a_folder_and_one_that_was_cut_off_says_so() {
    let (home, file) = small();
    std::fs::create_dir_all(home.path("again/.restoring/data")).expect("ours");
    std::fs::create_dir_all(home.path("again/connections")).expect("ours");
    let marker = home.path("again/.restoring/restoring");
    std::fs::write(&marker, r#"{"by":"another","moves":["connections","data","tidemill.toml"]}"#)
        .expect("ours");
    let held = std::fs::File::open(&marker).expect("ours");
    held.lock().expect("nobody else's");
    let refused = home.run(&["restore", &file, "--plant", "again"]).expect_problem("busy").err;
    assert!(refused.contains("another restore into this folder is at work"), "{refused}");
    drop(held);
    let refused = home.run(&["run", "--plant", "again"]).expect_problem("no-plant").err;
    assert!(refused.contains("was cut off") && refused.contains("tidemill restore"), "{refused}");
    let made = home.run(&["restore", &file, "--plant", "again"]).expect(0);
    assert!(made.err.contains("was cut off: what it had left was cleared first"), "{}", made.err);
    assert!(!home.path("again/.restoring").exists());
    home.run(&["check", "--plant", "again"]).expect(0);
}

#[test]
fn an_empty_folder_is_restored_into_whatever_it_is() {
    let (home, file) = small();
    // As the root of a new file system, and a link to a folder on another disk.
    std::fs::create_dir_all(home.path("disk/lost+found")).expect("ours");
    std::os::unix::fs::symlink("disk", home.path("link")).expect("ours");
    home.run(&["restore", &file, "--plant", "link"]).expect(0);
    assert!(home.path("disk/tidemill.toml").is_file() && home.path("link").is_symlink());
    assert!(!home.path("disk/.restoring").exists() && !home.path(".link.restoring").exists());
    home.run(&["check", "--plant", "link"]).expect(0);
    // A new plant begins there just so.
    std::fs::create_dir_all(home.path("fresh/lost+found")).expect("ours");
    home.run(&["run", "--init", "--plant", "fresh"]).expect(0);
    std::fs::write(home.path("fresh/lost+found/#12"), "saved").expect("ours");
    std::fs::remove_file(home.path("fresh/tidemill.toml")).expect("ours");
    home.run(&["run", "--init", "--plant", "fresh"]).expect_problem("no-plant");
    // Before anything is written.
    std::os::unix::fs::symlink("nowhere", home.path("dangling")).expect("ours");
    home.run(&["restore", &file, "--plant", "dangling"]).expect_problem("not-empty");
    assert!(!home.path(".dangling.restoring").exists());
    let inner = home.run(&["restore", &file, "--plant", "plant/data/inner"]).expect_usage("bad-parameter");
    assert!(inner.err.contains("lies among the files of the plant"), "{}", inner.err);
}

#[test]
fn what_is_no_file_is_told_and_waited_for_by_nobody() {
    let (home, file) = small();
    let pipe = |name: &str| {
        let mut command = Command::new("mkfifo");
        command.arg(home.path(name));
        ran(command).expect(0);
    };
    pipe("plant/displays/pipe.json");
    std::os::unix::fs::symlink("nowhere", home.plant().join("displays/link.json")).expect("ours");
    std::os::unix::fs::symlink("/mnt/nowhere", home.plant().join("goals")).expect("ours");
    let told = home.run(&["backup", &path(&home, "odd one.tdm"), "--plant", "plant"]).expect(3);
    for name in ["displays/pipe.json", "displays/link.json", "goals"] {
        assert!(told.out.contains(&format!("warning: {name} is not in the backup: ")), "{}", told.out);
    }
    assert!(told.err.contains("odd one.tdm'`"), "what is to be typed is in quotes: {}", told.err);
    pipe("pipe.tdm");
    home.run(&["backup", "verify", "pipe.tdm"]).expect_problem("file-unreadable");
    home.run(&["backup", "verify", &file, "--base", "pipe.tdm"]).expect_problem("file-unreadable");
}

/// Only root can do it; the tests of a developer skip it, those of CI run as root.
#[test]
fn root_leaves_nothing_in_the_plant_of_another_that_its_owner_cannot_read() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (home, _) = small();
    let nobody = 65_534;
    let mut command = Command::new("chown");
    command.args(["-R", "nobody"]).arg(home.plant());
    ran(command).expect(0);
    let refused = home.run(&["run", "--plant", "plant"]).expect_problem("file-unwritable").err;
    assert!(refused.contains("the user nobody") && refused.contains("sudo -u nobody "), "{refused}");
    home.run(&["backup", &path(&home, "by-root.tdm"), "--plant", "plant"]).expect(0);
    let owner = |path: std::path::PathBuf| {
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(path).expect("it is there"))
    };
    for name in ["data/backup-made.json", "data/lock"] {
        assert_eq!(owner(home.plant().join(name)), nobody, "{name}");
    }
    // One that was made and never ran has no lock before.
    home.run(&["run", "--init", "--plant", "fresh"]).expect(0);
    let mut command = Command::new("chown");
    command.args(["-R", "nobody"]).arg(home.path("fresh"));
    ran(command).expect(0);
    home.run(&["backup", &path(&home, "fresh.tdm"), "--plant", "fresh"]).expect(0);
    let mut command = Command::new("find");
    command.arg(home.path("fresh")).args(["!", "-user", "nobody"]);
    assert_eq!(ran(command).expect(0).out, "", "files that the owner cannot write");
}

#[test]
fn three_backups_that_build_upon_each_other() {
    let plant = Plant::start();
    let token = plant.token("press", &["write:#"]);
    let files: Vec<String> =
        ["one.tdm", "two.tdm", "three.tdm"].iter().map(|name| path(&plant.home, name)).collect();
    let mut plant = plant;
    let mut told = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let from = number as u64 * 2_000;
        assert!(write(plant.address, &token, from, from + 2_000));
        // A stop puts it into files.
        plant = plant.stop().start();
        let mut words = vec!["backup", file, "--json"];
        if let Some(older) = number.checked_sub(1) {
            words.extend(["--since", &files[older]]);
        }
        told.push(plant.run(&words).expect(0).json());
    }
    let size = |number: usize| told[number]["bytes"].as_u64().unwrap_or_default();
    assert!(told[2]["plant_bytes"].as_u64() > told[0]["plant_bytes"].as_u64(), "{told:?}");
    assert_eq!(told[1]["bases"], json!([told[0]["sha256"]]));
    assert_eq!(told[2]["bases"].as_array().map(Vec::len), Some(2));
    assert!(size(2) < told[2]["plant_bytes"].as_u64().unwrap_or_default(), "{told:?}");
    let before = checksums(&plant, 6_000);
    let home = plant.kill();
    std::fs::create_dir(home.path("vault")).expect("ours");
    std::fs::rename(&files[0], home.path("vault/renamed")).expect("ours");
    let base = told[0]["sha256"].as_str().unwrap_or_default();
    let verified = home.run(&["backup", "verify", &files[2]]).expect(3);
    assert!(verified.out.contains(base), "the missing one is named: {}", verified.out);
    let refused = home.run(&["restore", &files[2], "--plant", "again"]).expect_problem("backup-base");
    assert!(refused.err.contains(base), "{}", refused.err);
    assert!(!home.path("again").exists());
    home.run(&["backup", "verify", &files[2], "--base", "vault"]).expect(0);
    // A damaged copy that is found first is named, and the whole one is taken.
    let mut copy = std::fs::read(home.path("vault/renamed")).expect("a backup");
    let parquet = copy.windows(4).position(|part| part == b"PAR1").expect("history") + 9;
    copy[parquet] ^= 4;
    std::fs::write(home.path("vault/damaged"), copy).expect("room");
    let verified = home.run(&["backup", "verify", &files[2], "--base", "vault"]).expect(0).out;
    assert!(verified.contains("note: vault/damaged is damaged at byte "), "{verified}");
    let restored = home.run(&["restore", &files[2], "--plant", "again", "--base", "vault"]).expect(0).out;
    assert!(restored.contains("vault/damaged is damaged") && restored.contains("was taken"), "{restored}");
    std::fs::rename(home.plant(), home.path("old")).expect("it stands still");
    std::fs::rename(home.path("again"), home.plant()).expect("it stands still");
    let plant = home.start();
    assert_eq!(checksums(&plant, 6_000), before);
}

#[test]
fn a_plant_that_is_killed_leaves_no_backup_and_a_restore_that_is_killed_no_plant() {
    let plant = Plant::start();
    let token = plant.token("press", &["write:#"]);
    for part in 0..8 {
        assert!(write(plant.address, &token, part * 5_000, (part + 1) * 5_000));
    }
    let file = path(&plant.home, "slow.tdm");
    let partial = plant.home.path(".slow.tdm.part");
    let mut backup = plant.spawn(&["backup", &file, "--rate", "1KiB"]);
    wait_for(|| plant.run(&["audit", "--json"]).out.contains("backup.take"), "it begins");
    // One at a time.
    plant.run(&["backup", &path(&plant.home, "other.tdm")]).expect_problem("busy");
    let home = plant.kill();
    assert_eq!(backup.end().code(), Some(1));
    assert!(!Path::new(&file).exists() && !partial.exists());
    home.run(&["backup", &file, "--plant", "plant"]).expect(0);

    let unfinished = home.path(".again.restoring");
    for _ in 0..5 {
        let mut restore = Process::spawn(home.command(&["restore", &file, "--plant", "again"]));
        wait_for(|| unfinished.exists() || home.path("again").exists(), "the restore begins");
        restore.signal(Signal::KILL);
        restore.end();
        if home.path("again").exists() {
            // It was quicker: then all of it is there.
            home.run(&["check", "--plant", "again"]).expect(0);
            std::fs::remove_dir_all(home.path("again")).expect("ours");
        }
    }
    let home = restored(home, &file);
    assert!(!unfinished.exists());
    let plant = home.start();
    let count = plant.sql("SELECT count(*) FROM samples WHERE signal LIKE 'press/%'");
    assert_eq!(count, json!([[40_000]]));
}

/// Asks until it is so: what is waited for is another process.
#[track_caller]
fn wait_for(is_so: impl Fn() -> bool, what: &str) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn who_administers_everything_may_take_a_backup_over_http() {
    let plant = Plant::start();
    plant.ok(&["write", "a/b", "1"]);
    let (file, all) = (path(&plant.home, "remote.tdm"), plant.token("keeper", &["administer:#"]));
    let some = plant.token("some", &["administer:a/#", "read:#"]);
    plant.run_as(&some, &["backup", &file]).expect_problem("forbidden");
    assert!(!Path::new(&file).exists());
    plant.run_as(&all, &["backup", &file]).expect(0);
    plant.home.run(&["backup", "verify", &file]).expect(0);
    let metrics = plant.get("/metrics").send().expect(200).text();
    assert!(metrics.contains("tidemill_backups_total 1\n"), "{metrics}");
    // A page of another site could not ask for it: it would have to say that it sends JSON.
    plant
        .post("/api/v1/backup")
        .token(&all)
        .body("text/plain", "{}")
        .send()
        .expect_problem(415, "unsupported-format");
    let bad = plant.post("/api/v1/backup").token(&all).body("application/json", "{\"files\":[]}").send();
    bad.expect_problem(422, "backup-damaged");
}

/// A new authority would be one that no client trusts: nothing but a person decides for it.
#[test]
fn a_plant_that_comes_back_without_the_key_of_its_authority_says_what_to_do() {
    let plant = crate::formats::newest().start();
    std::fs::remove_file(plant.home.plant().join("data/guard/ca.key")).expect("the release left one");
    let checked = plant.run(&["check"]).out;
    assert!(checked.contains("the key of the plant's certificate authority is missing"), "{checked}");
    let noted =
        |told: String| assert!(told.contains("data/guard/ca.key is missing: what is restored"), "{told}");
    noted(plant.run(&["backup", &path(&plant.home, "running.tdm")]).expect(3).out);
    let home = plant.stop();
    let file = path(&home, "keyless.tdm");
    noted(home.run(&["backup", &file, "--plant", "plant"]).expect(3).out);
    let told = home.run(&["restore", &file, "--plant", "again"]).expect(3).out;
    assert!(
        told.contains("ca.key cannot be used (it is missing)")
            && told.contains("Or move ca.key and ca.pem away"),
        "{told}"
    );
    let refused = home.run(&["run", "--plant", "again"]).expect_problem("damaged");
    assert!(
        refused.err.contains("ca.key") && refused.err.contains("move ca.key and ca.pem away"),
        "{}",
        refused.err
    );
    // What it says is what helps.
    std::fs::rename(home.path("again/data/guard/ca.pem"), home.path("ca.pem")).expect("ours");
    std::fs::rename(home.plant(), home.path("old")).expect("it stands still");
    std::fs::rename(home.path("again"), home.plant()).expect("it stands still");
    let mut command = home.command(&["run", "--plant", "plant"]);
    command.env("TIDEMILL_HTTP_LISTEN", r#"["127.0.0.1:0", { address = "127.0.0.1:0", tls = true }]"#);
    let process = Process::spawn(command);
    let plant = Plant::ready(home, process);
    let trusted = plant.ok(&["trust", "--json"]);
    assert!(
        !trusted.contains(std::fs::read_to_string(plant.home.path("ca.pem")).expect("ours").trim()),
        "{trusted}"
    );
}

#[test]
fn a_name_that_is_none_of_a_backup_is_told_so() {
    let (home, _) = small();
    let refused = home.run(&["backup", "-", "--plant", "plant"]).expect_usage("bad-parameter").err;
    assert!(refused.contains("standard output") && refused.contains("POST /api/v1/backup"), "{refused}");
    assert!(!home.path("-").exists());
    let other = path(&home, "other");
    for words in [&["backup", "verify", "nothere.tdm"][..], &["restore", "nothere.tdm", "--plant", &other]] {
        let refused = home.run(words).expect_problem("file-unreadable").err;
        assert!(refused.contains("nothere.tdm") && refused.contains("Look at the name"), "{refused}");
    }
}
