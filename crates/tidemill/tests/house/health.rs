//! What the plant says of itself: warnings that begin when something is really wrong and end when it is not, the same in
//! `tidemill`, in `check`, in SQL, in the API, in the log and as a signal; its own figures; slow queries; the log as files.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value as Json, json};

use crate::full_disk::Mounted;
use crate::plant::{Home, PATIENCE, Plant, Process, files_below, skip};

/// A plant that writes its own figures every two seconds.
fn start(home: Home, settings: &str) -> Plant {
    if !home.plant().is_dir() {
        std::fs::create_dir(home.plant()).expect("a folder in the temporary folder");
    }
    home.file("plant/tidemill.toml", settings);
    let mut command = home.command(&["run", "--plant", "plant"]);
    command.env("TIDEMILL_HEALTH_FIGURES", "2s");
    let process = Process::spawn(command);
    Plant::ready(home, process)
}

/// The plant with other settings, read by itself.
fn save(plant: &Plant, settings: &str) {
    plant.home.file("plant/tidemill.toml", settings);
}

/// Waits until a warning is told, sees it everywhere, and gives its row of `sys.health`.
#[track_caller]
fn began(plant: &mut Plant, code: &str) -> Json {
    plant.process.log_line(&format!("code=\"{code}\""));
    let rows = plant
        .sql(&format!("SELECT subject, problem, affects, mend, now FROM sys.health WHERE code = '{code}'"));
    let row = rows[0].clone();
    let problem = row[1].as_str().unwrap_or_else(|| panic!("{code} is not in sys.health: {rows}")).to_owned();
    let told = plant.run(&[]).expect(0).out;
    assert!(told.contains(&problem), "`tidemill` does not say '{problem}': {told}");
    let checked = plant.run(&["check"]).expect(3).out;
    let words = problem.rsplit(": ").next().unwrap_or_default();
    assert!(checked.contains(words), "`check` does not say '{words}': {checked}");
    let health = plant.get("/metrics").send().expect(200).text();
    assert!(
        health.contains(&format!("tidemill_health_warnings{{code=\"{code}\"}} 1")),
        "{code} is not in /metrics"
    );
    let mut watched = plant.spawn(&["watch", &format!("tidemill/health/{code}")]);
    watched.line("true");
    row
}

/// Waits until the warning is told no longer.
#[track_caller]
fn ended(plant: &mut Plant, code: &str) {
    plant.process.log_line(&format!("event=\"health.ended\" code=\"{code}\""));
    assert_eq!(plant.sql(&format!("SELECT count(*) FROM sys.health WHERE code = '{code}'")), json!([[0]]));
    plant.spawn(&["watch", &format!("tidemill/health/{code}")]).line("false");
}

#[test]
fn a_limit_that_is_near_is_told_until_it_is_raised() {
    let mut plant = start(Home::new(), "[limits]\nsignals = 10");
    for number in 0..8 {
        plant.ok(&["write", &format!("press/{number}"), "1"]);
    }
    let row = began(&mut plant, "limit-near");
    assert_eq!(
        (&row[0], &row[1]),
        (&json!("signals"), &json!("the limit signals is 8 of 10")),
        "the house's own do not count"
    );
    assert_eq!(row[3], json!("Raise limits.signals, if there is more to come"));
    assert_eq!(
        plant.sql("SELECT used, share, key FROM sys.limits WHERE name = 'signals'"),
        json!([[8.0, 0.8, "limits.signals"]])
    );
    save(&plant, "[limits]\nsignals = 100");
    ended(&mut plant, "limit-near");
    plant.ok(&["check"]);
}

#[test]
fn a_token_is_told_before_it_expires_and_after() {
    let mut plant = start(Home::new(), "");
    plant.ok(&["token", "create", "press", "--allow", "write:press", "--expires", "20s"]);
    let token = plant.token("other", &["write:press"]);
    plant.run_as(&token, &["write", "press", "1"]).expect(0);
    assert_eq!(began(&mut plant, "token-expiring")[0], json!("press"));
    // It was never used: that it has expired hurts nobody.
    ended(&mut plant, "token-expiring");
    let secret = plant.ok(&["token", "create", "line", "--allow", "write:press", "--expires", "20s"]);
    plant.run_as(secret.trim(), &["write", "press", "1"]).expect(0);
    let row = began(&mut plant, "token-expired");
    assert!(
        row[1].as_str().is_some_and(|what| what.starts_with("the token line, which was in use, expired at ")),
        "{row}"
    );
    let home = plant.stop();
    let checked = home.run(&["check", "--plant", "plant"]).expect(3).out;
    assert!(
        checked.contains("the token line, which was in use, expired at "),
        "also of a plant that stands: {checked}"
    );
    let mut plant = home.start();
    plant.process.log_line("code=\"token-expired\"");
    plant.ok(&["token", "revoke", "line"]);
    plant.process.log_line("event=\"health.ended\" code=\"token-expired\"");
}

#[test]
fn settings_that_are_refused_or_wait_are_told_until_they_are_not() {
    let mut plant = start(Home::new(), "");
    save(&plant, "[limits]\nsignals = \"many\"");
    let row = began(&mut plant, "configuration-refused");
    assert!(
        row[1].as_str().is_some_and(|what| what.contains("signals = \"many\"")) && row[4] == json!(true),
        "{row}"
    );
    for line in plant.process.log_so_far() {
        assert!(line.contains(" event=\""), "each line is an event: {line}");
    }
    save(&plant, "[storage]\nmerge_every = \"30s\"");
    ended(&mut plant, "configuration-refused");
    // Its line came beside the other's.
    let waits = || plant.sql("SELECT problem FROM sys.health WHERE code = 'restart-waiting'");
    let told = waits();
    assert!(told[0][0].as_str().is_none_or(|what| what.contains("storage.merge_every")), "{told}");
    save(&plant, "");
    plant.process.log_line("event=\"health.ended\" code=\"restart-waiting\"");
    assert_eq!(
        plant.get("/api/v1/health").token(&plant.token("all", &["read:#"])).send().expect(200).json()["status"],
        "well"
    );
}

#[test]
fn a_disk_with_little_room_is_told_and_a_full_one() {
    let home = Home::new();
    let mounted = match Mounted::at(home.plant()) {
        Ok(mounted) => mounted,
        Err(why) => return skip("a disk with little room", &why),
    };
    let mut plant = start(home, "");
    let _mounted = mounted;
    plant.ok(&["write", "press", "1"]);
    let folder = plant.home.plant();
    let leave = |free_mib: usize, name: &str| {
        let about = rustix::fs::statvfs(&folder).expect("it is mounted");
        let free = usize::try_from(about.f_bavail * about.f_frsize).expect("a small disk");
        std::fs::write(folder.join(name), vec![1; free.saturating_sub(free_mib << 20)]).expect("room for it");
        folder.join(name)
    };
    // A twentieth of it stays free, 10 MiB; above that the journal wants a few segments.
    let ballast = leave(14, "ballast");
    let row = began(&mut plant, "disk-low");
    assert!(row[1].as_str().is_some_and(|what| what.contains("MiB free")), "{row}");
    let more = leave(6, "more");
    plant.process.log_line("code=\"refusing-values\"");
    let told = plant.run(&[]).expect(0).out;
    assert!(told.contains("problem: new values are refused") && told.contains("Reading goes on"), "{told}");
    for file in [more, ballast] {
        std::fs::remove_file(file).expect("it is there");
    }
    plant.process.log_line("event=\"health.ended\" code=\"refusing-values\"");
    plant.ok(&["write", "press", "2"]);
    plant.ok(&["check"]);
}

/// Lines that have no room are counted and go to standard error, and the file goes on with whole ones.
#[test]
fn a_log_on_a_full_disk_stops_nothing_and_its_loss_is_told() {
    let home = Home::new();
    let mounted = match Mounted::at(home.path("logs")) {
        Ok(mounted) => mounted,
        Err(why) => return skip("a log on a full disk", &why),
    };
    let mut command = home.command(&["run", "--plant", "plant", "--log-file", "logs/log"]);
    // A line for each request.
    command.env("TIDEMILL_LOG", "info,tidemill_web=debug");
    let mut plant = Plant::ready(home, Process::spawn(command));
    let _mounted = mounted;
    let (log, ballast) = (plant.home.path("logs/log"), plant.home.path("logs/ballast"));
    let mut file = std::fs::File::create(&ballast).expect("there is room");
    let full = std::io::copy(&mut std::io::repeat(1), &mut file).expect_err("it has an end");
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    drop(file);
    let told = || plant.sql("SELECT problem FROM sys.health WHERE code = 'log-unwritten'")[0][0].clone();
    let until = Instant::now() + PATIENCE;
    while told().is_null() {
        assert!(Instant::now() < until, "nobody tells that the log has no room");
        plant.ok(&["write", "press", "1"]);
    }
    let checked = plant.run(&["check"]).expect(3).out;
    let told = format!("of the log could not be written to {} since the start", log.display());
    assert!(checked.contains(&told), "{checked}");
    plant.process.log_line("event=\"http.request\"");
    plant.process.log_line("code=\"log-unwritten\"");
    let before = std::fs::metadata(&log).expect("it is there").len();
    std::fs::remove_file(ballast).expect("it is there");
    while std::fs::metadata(&log).expect("it is there").len() <= before {
        assert!(Instant::now() < until + PATIENCE, "there is room, and nothing is logged");
        plant.ok(&["write", "press", "2"]);
    }
    let _home = plant.stop();
    let text = std::fs::read_to_string(&log).expect("it is text");
    assert!(text.ends_with('\n') && text.contains("event=\"plant.stopped\""), "{text}");
    for line in text.lines() {
        assert!(line.starts_with("20") && line.contains(" event=\""), "a whole line is an event: {line}");
    }
}

/// When the last backup was made is known after a restart too.
#[test]
fn a_backup_that_grew_old_is_told_until_none_is_wanted() {
    const SETTINGS: &str = "[health]\nbackup_age = \"1s\"";
    let mut plant = start(Home::new(), SETTINGS);
    plant.spawn(&["watch", "tidemill/health"]).line("tidemill/health");
    plant.ok(&["check"]);
    let backup = plant.home.path("backup.tar");
    plant.ok(&["backup", backup.to_str().expect("a name of ours")]);
    let row = began(&mut plant, "backup-old");
    let what = row[1].as_str().unwrap_or_default();
    assert!(what.starts_with("the last backup was made less than a minute ago, at "), "{row}");
    let bytes = std::fs::metadata(&backup).expect("it is there").len();
    let kept = plant.sql("SELECT value FROM samples WHERE signal = 'tidemill/backup/size'");
    assert_eq!(kept, json!([[bytes as f64]]));
    let mut plant = start(plant.stop(), SETTINGS);
    began(&mut plant, "backup-old");
    save(&plant, "[health]\nbackup_age = \"off\"");
    ended(&mut plant, "backup-old");
}

/// One of a plant that stood still counts too, and the audit knows of it.
#[test]
fn a_backup_of_a_stopped_plant_counts_as_the_last_one() {
    const SETTINGS: &str = "[health]\nbackup_age = \"1s\"";
    let home = start(Home::new(), SETTINGS).stop();
    let (one, two) = (home.path("one.tar"), home.path("two.tar"));
    for file in [&one, &two] {
        home.run(&["backup", file.to_str().expect("a name of ours"), "--plant", "plant"]).expect(0);
    }
    let mut plant = start(home, SETTINGS);
    let row = began(&mut plant, "backup-old");
    assert!(row[1].as_str().is_some_and(|what| what.starts_with("the last backup was made less")), "{row}");
    let bytes = |file: &PathBuf| std::fs::metadata(file).expect("it is there").len() as f64;
    let kept = "SELECT value FROM samples WHERE signal = 'tidemill/backup/size' ORDER BY time";
    assert_eq!(plant.sql(kept), json!([[bytes(&one)], [bytes(&two)]]));
    let plant = plant.stop().start();
    assert_eq!(plant.sql(kept), json!([[bytes(&one)], [bytes(&two)]]), "told once");
    let audit = plant.run(&["audit", "--json", "--limit", "500"]).expect(0).out;
    assert_eq!(audit.matches("backup.take").count(), 2, "each with who made it: {audit}");
    let by = format!("user number {}", rustix::process::getuid().as_raw());
    assert_eq!(audit.matches(&by).count(), 2, "{audit}");
    // What a backup holds knows nothing of itself.
    let listed = std::process::Command::new("tar").args(["-tf"]).arg(&two).output().expect("tar is there");
    assert!(!String::from_utf8_lossy(&listed.stdout).contains("backup-made"));
}

/// A plant, and a file of its history.
fn with_a_file() -> (Plant, PathBuf) {
    let plant = start(Home::new(), "[storage]\nflush_young_after = \"100ms\"");
    let samples = plant.home.plant().join("data/lake/samples");
    plant.ok(&["write", "press", "1"]);
    // A file stands there before it belongs to the history; each question is a moment in which a flush may come.
    let file = loop {
        if let Some(name) = plant.sql("SELECT name FROM sys.files")[0][0].as_str() {
            break samples.join(name);
        }
    };
    (plant, file)
}

#[test]
fn a_damaged_file_of_history_is_told_until_it_is_whole() {
    let (mut plant, file) = with_a_file();
    let name = file.file_name().expect("a file").to_string_lossy().into_owned();
    let bytes = std::fs::read(&file).expect("it is there");
    let put = |byte: u8| {
        let file = std::fs::OpenOptions::new().write(true).open(&file).expect("it is there");
        file.write_all_at(&[byte], 16).expect("it can be written");
    };
    put(bytes[16] ^ 1);
    let question = "SELECT avg(value) FROM samples";
    plant.run(&["sql", question]).expect_problem("damaged");
    let line = plant.process.log_line("event=\"file.damaged\"");
    assert!(line.contains(&name), "{line}");
    let row = began(&mut plant, "history-unreadable");
    assert!(row[1].as_str().is_some_and(|problem| problem.contains(&name)), "{row}");
    // What to do is said once, wherever one meets it.
    let line = |args: &[&str], code: i32| {
        let said = plant.run(args).expect(code);
        let of_file = |text: &str| text.lines().find(|line| line.contains(&name)).map(str::to_owned);
        of_file(&said.out).unwrap_or_else(|| panic!("{args:?} says nothing of it: {}", said.out))
    };
    for line in [line(&[], 0), line(&["check"], 3)] {
        assert_eq!(line.to_lowercase().matches("from a backup").count(), 1, "{line}");
    }
    let metrics = plant.get("/metrics").send().expect(200).text();
    let met = metrics.lines().find_map(|line| line.strip_prefix("tidemill_historian_damage_total "));
    assert!(met.is_some_and(|met| met != "0"), "{met:?}");
    let backup = plant.home.path("damaged.tdm").to_string_lossy().into_owned();
    let told = plant.run(&["backup", &backup]).expect(3).out;
    assert!(told.contains(&format!("{name} is in the backup as it stands")), "{told}");
    // A restart mends nothing, and nobody need ask again.
    let mut plant = start(plant.stop(), "");
    let row = began(&mut plant, "history-unreadable");
    assert!(row[1].as_str().is_some_and(|problem| problem.contains(&name)), "{row}");
    put(bytes[16]);
    ended(&mut plant, "history-unreadable");
    plant.ok(&["sql", question]);
    plant.stop().start().ok(&["check"]);
}

#[test]
fn a_damaged_file_of_a_table_is_told_until_it_is_whole_and_takes_no_samples_with_it() {
    let plant = Plant::start();
    plant.token("press", &["write:#"]);
    let home = plant.stop();
    let files = files_below(&home.plant().join("data/lake/tables/audit"), "parquet");
    let file = files.last().expect("what was audited is in a file");
    let name = file.file_name().expect("a file").to_string_lossy().into_owned();
    let bytes = std::fs::read(file).expect("it is there");
    let mut altered = bytes.clone();
    altered[16] ^= 1;
    std::fs::write(file, altered).expect("it can be written");
    let question = "SELECT count(*) FROM sys.audit";
    let mut plant = start(home, "");
    plant.run(&["sql", question]).expect_problem("damaged");
    for again in [true, false] {
        let row = began(&mut plant, "history-unreadable");
        assert!(row[1].as_str().is_some_and(|problem| problem.contains(&name)), "{row}");
        plant.get("/health/ready").send().expect(200);
        if again {
            plant = start(plant.stop(), "");
        }
    }
    std::fs::write(file, bytes).expect("it can be written");
    ended(&mut plant, "history-unreadable");
    plant.ok(&["sql", question]);
}

#[test]
fn a_file_of_history_that_is_gone_is_told_until_it_is_back() {
    let (mut plant, file) = with_a_file();
    let away = plant.home.path("away");
    std::fs::rename(&file, &away).expect("it can be moved");
    let row = began(&mut plant, "history-unreadable");
    assert_eq!(row[4], json!(true), "{row}");
    std::fs::rename(&away, &file).expect("it can be moved");
    ended(&mut plant, "history-unreadable");
}

#[test]
fn the_plants_own_figures_are_signals_that_nobody_else_writes() {
    let plant = start(Home::new(), "[limits]\nsignals = 1");
    plant.spawn(&["watch", "tidemill/samples/rate"]).line("tidemill/samples/rate");
    plant.ok(&["write", "press", "1"]);
    let rows = plant.sql("SELECT signal, unit, source FROM signals WHERE signal IN ('tidemill/memory/resident', 'tidemill/health') ORDER BY signal");
    assert_eq!(
        rows,
        json!([["tidemill/health", "1", "house:vitals"], ["tidemill/memory/resident", "By", "house:vitals"]])
    );
    plant.run(&["write", "tidemill/memory/resident", "1"]).expect_problem("forbidden");
    plant.run(&["write", "second", "1"]).expect_problem("signals-limit");
    let some = plant.token("some", &["read:press"]);
    assert_eq!(
        plant
            .get("/api/v1/read?signal=%23")
            .token(&some)
            .send()
            .expect(200)
            .text()
            .matches("tidemill/")
            .count(),
        0
    );
    plant.get("/api/v1/health").token(&some).send().expect_problem(403, "forbidden");
    let own = plant.token("own", &["read:tidemill/#"]);
    let health = plant.get("/api/v1/health").token(&own).send().expect(200).json();
    // One of one signal: that is what the plant warns of, or will in a moment.
    assert!(
        health["warnings"].as_array().is_some_and(|all| all.iter().all(|one| one["code"] == "limit-near")),
        "{health}"
    );
    assert_eq!(
        plant.sql("SELECT count(*) > 0 FROM samples WHERE signal = 'tidemill/disk/free'"),
        json!([[true]])
    );
}

#[test]
fn slow_queries_are_logged_and_listed_with_who_asked() {
    let mut plant = start(Home::new(), "[limits]\nslow_query = \"1ms\"");
    let token = plant.token("slow", &["read:#"]);
    plant
        .run_as(&token, &["sql", "SELECT count(*) FROM samples WHERE value > 17 AND signal <> 'a secret'"])
        .expect(0);
    let line = plant.process.log_line("query.slow");
    let shape = "text=\"SELECT count(*) FROM samples WHERE value > ? AND signal <> ?\"";
    assert!(line.contains("who=\"token:slow\"") && line.contains(shape), "{line}");
    let rows = plant.sql(
        "SELECT who, door, kind, rows, outcome FROM sys.queries WHERE state = 'slow' AND query LIKE '%> 17%secret%'",
    );
    assert!(
        !plant.process.log_so_far().iter().any(|line| line.contains("secret")),
        "literals are in no line"
    );
    assert_eq!(rows[0], json!(["token:slow", "http", "sql", 1, "done"]));
    save(&plant, "[limits]\nslow_query = \"off\"");
    plant.process.log_line("configuration.read");
    plant.sql("SELECT 4711");
    assert_eq!(
        plant.sql("SELECT count(*) FROM sys.queries WHERE state = 'slow' AND query LIKE '%4711'"),
        json!([[0]])
    );
}

fn lines(file: &Path) -> Vec<Json> {
    let text = std::fs::read_to_string(file).expect("a log file");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn the_log_is_json_with_events_in_files_that_begin_anew() {
    let home = Home::new();
    let words = [
        "run",
        "--plant",
        "plant",
        "--log-json",
        "--log-file",
        "log",
        "--log-size",
        "4KiB",
        "--log-keep",
        "2",
    ];
    let mut command = home.command(&words);
    command.env("TIDEMILL_LOG", "debug");
    let plant = Plant::ready(home, Process::spawn(command));
    let (log, old) = (plant.home.path("log"), plant.home.path("log.2"));
    while !old.exists() {
        plant.get("/health/live").send().expect(200);
    }
    let home = plant.stop();
    assert!(!home.path("log.3").exists());
    for file in [log, old] {
        assert!(std::fs::metadata(&file).expect("it is there").len() < 8 << 10);
        for line in lines(&file) {
            // Libraries log as well, where debug asks for it.
            let ours = line["event"].as_str();
            assert!(ours.is_none_or(|event| event.contains('.')) && line["level"].is_string(), "{line}");
        }
    }
}
