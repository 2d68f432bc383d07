//! What everyone meets first: help with examples, JSON for machines, errors with a code and a way on, the next step.

use std::io::{Read, Write};
use std::time::Instant;

use serde_json::{Value as Json, json};

use crate::plant::{Home, PATIENCE, Plant, Process, ran};

const COMMANDS: &[&str] = &[
    "run", "demo", "check", "write", "read", "watch", "sql", "signals", "why", "import", "token", "access",
    "audit",
];

/// The subcommands that a command's help lists.
fn below(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let home = Home::new();
    let root = home.run(&["--help"]).expect(0).out;
    let mut all: Vec<Vec<String>> = below(&root).into_iter().map(|name| vec![name]).collect();
    for name in COMMANDS {
        assert!(all.iter().any(|words| words == &[*name]), "{name} is not in the help");
    }
    let mut seen = 0;
    while let Some(words) = all.pop() {
        let asked: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let help = home.run(&asked).expect(0).out;
        let example = format!("tidemill {}", words[0]);
        let examples = help.split("Example").nth(1).unwrap_or(&help);
        assert!(
            words[0] == "completions" || examples.contains(&example),
            "{words:?} has no example:\n{help}"
        );
        all.extend(below(&help).into_iter().map(|name| [words.clone(), vec![name]].concat()));
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn every_answer_has_a_form_for_machines() {
    let plant = Plant::start();
    let csv = plant.home.file("t.csv", "time,value\n2026-03-01 00:00:00,1\n").display().to_string();
    let is_json = |text: &str| {
        let json: Result<Json, _> = serde_json::from_str(text);
        json.map(|_| ()).map_err(|error| format!("{error}: {text}"))
    };
    for words in [
        &["write", "a/b", "1"][..],
        &["read", "a/b"],
        &["sql", "SELECT * FROM samples"],
        &["signals"],
        &["signals", "set", "a/b", "unit=bar"],
        &["why", "a/b"],
        &["import", &csv],
        &["import", &csv, "--dry-run"],
        &["token", "create", "t", "--allow", "read:#"],
        &["token", "list"],
        &["token", "rotate", "t"],
        &["access", "list"],
        &["access", "why", "t", "read", "a/b"],
        &["token", "revoke", "t"],
        &["audit"],
        &["audit", "verify"],
        &["check"],
        &[],
    ] {
        let ran = plant.run(&[words, &["--json"]].concat()).expect(0);
        assert_eq!(is_json(&ran.out), Ok(()), "{words:?}");
    }
    // Errors too, on standard error, with nothing on standard output.
    for (words, code) in [
        (&["read", "a//b"][..], 2),
        (&["raed"], 2),
        (&["read", "--points", "many"], 2),
        (&["read", "--from", "noon"], 2),
        (&["why", "nowhere"], 1),
        (&["sql", "SELEC 1"], 1),
        (&["token", "revoke", "nobody"], 1),
    ] {
        let ran = plant.run(&[words, &["--json"]].concat()).expect(code);
        assert_eq!(ran.out, "", "{words:?}");
        let problem: Json = serde_json::from_str(&ran.err).expect("a problem in JSON");
        for member in ["code", "detail", "hint"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "no {member}: {problem}");
        }
    }
    for (words, lines) in
        [(&["read", "a/b", "--format", "ndjson"][..], 1), (&["read", "a/b", "--format", "csv"], 2)]
    {
        assert_eq!(plant.ok(words).lines().count(), lines, "{words:?}");
    }
}

#[test]
fn errors_have_a_code_and_a_way_on() {
    let plant = Plant::start();
    plant.ok(&["write", "a/b", "1"]);
    for (words, code) in [
        (&["sql", "SELECT * FROM sampels"][..], "bad-sql"),
        (&["sql", "DROP TABLE samples"], "bad-sql"),
        (&["why", "a/c"], "not-found"),
        (&["signals", "set", "a/c", "unit=bar"], "not-found"),
        (&["signals", "rename", "a/c", "a/d"], "not-found"),
        (&["signals", "delete", "a/c", "--reason", "x"], "not-found"),
        (&["token", "revoke", "t"], "not-found"),
        (&["token", "rotate", "t"], "not-found"),
        (&["access", "why", "t", "read", "a/b"], "not-found"),
        (&["import", "nowhere.csv"], "not-found"),
        (&["read", "--url", "http://127.0.0.1:1"], "not-running"),
        (&["watch", "--url", "http://127.0.0.1:1"], "not-running"),
        (&["read", "--output", "nowhere/x.csv"], "file-unwritable"),
        (&["sql", "SELECT 1", "--output", "nowhere/x.csv"], "file-unwritable"),
        (&["run", "--plant", "plant"], "plant-locked"),
        (&["run", "--plant", "other", "--log-file", "nowhere/x.log"], "file-unwritable"),
        (&["demo", "--headless", "--dir", "plant"], "plant-locked"),
        (&["check", "--plant", "nowhere"], "no-plant"),
        (&["audit", "--plant", "nowhere"], "no-plant"),
    ] {
        plant.run(words).expect_problem(code);
    }
    // What was typed cannot be understood: that is usage, whoever finds it out.
    for (words, code) in [
        (&["read", "--from", "yesterday"][..], "bad-time"),
        (&["read", "--to", "2026-02-30"], "bad-time"),
        (&["read", "--at", "never"], "bad-time"),
        (&["read", "--from", "now", "--to", "-1h"], "bad-parameter"),
        (&["read", "--mode", "fast"], "bad-parameter"),
        (&["read", "--points", "0"], "bad-parameter"),
        (&["read", "--at", "now", "--mode", "raw"], "bad-parameter"),
        (&["write", "a/b", "1", "--time", "noon"], "bad-time"),
        (&["write", "a/b", "1", "--quality", "nice"], "bad-quality"),
        (&["write", "a/b", "x", "--kind", "integer"], "bad-value"),
        (&["write", "a/b", "1e400"], "bad-value"),
        (&["write", "a/b", "-1e400"], "bad-value"),
        (&["write", "a/b", "1e400", "--kind", "float"], "bad-value"),
        (&["write", "a/b", "x", "--kind", "number"], "bad-value"),
        (&["why", "a/b", "--at", "noon"], "bad-time"),
        (&["signals", "set", "a/b", "stale_after=soon"], "bad-time"),
        (&["signals", "set", "a/b", "untit=bar"], "bad-parameter"),
        (&["signals", "set", "a/b", "unit"], "bad-parameter"),
        (&["signals", "delete", "a/b", "--from", "x", "--to", "now", "--reason", "x"], "bad-time"),
        (&["import", "t.csv", "--timezone", "Mars/Base"], "bad-time"),
        (&["token", "create", "t", "--allow", "raed:#"], "bad-parameter"),
        (&["token", "create", "t", "--allow", "read:#", "--expires", "soon"], "bad-parameter"),
        (&["token", "rotate", "t", "--overlap", "soon"], "bad-parameter"),
        (&["read", "--url", "ftp://x"], "bad-parameter"),
    ] {
        plant.run(words).expect_usage(code);
    }
    for words in [
        &["raed"][..],
        &["read", "--form", "csv"],
        &["read", "--format", "xml"],
        &["read", "--points", "many"],
        &["read", "--at", "now", "--from", "-1h"],
        &["read", "--at", "now", "--points", "9"],
        &["write", "a/b"],
        &["write", "a//b", "1"],
        &["read", "a/#/b"],
        &["watch", "--count", "-1"],
        &["read", "--points", "-5"],
        &["read", "--limit", "-5"],
        &["audit", "--limit", "-5"],
        &["demo", "--days", "-5"],
        &["sql"],
        &["signals", "delete", "a/b", "--from", "-1h", "--to", "now"],
        &["why"],
        &["import"],
        &["import", "t.csv", "--time-format", "dym"],
        &["token", "create", "t"],
        &["access", "why", "t", "raed", "a/b"],
        &["audit", "--limit", "few"],
        &["demo", "--speed", "0"],
        &["run", "plant"],
        &["check", "plant"],
        &["completions", "tcsh"],
    ] {
        let ran = plant.run(words).expect(2);
        assert!(ran.err.contains("error:") && ran.err.contains("--help"), "{}", ran.err);
    }
    // A near miss is named, and nobody is told to pass a mistyped option as a value.
    assert!(plant.run(&["raed"]).err.contains("'read'"));
    assert!(plant.run(&["read", "--form", "csv"]).err.contains("a similar argument exists"));
    for words in [&["signals", "--under", "x"][..], &["read", "--form", "csv"], &["import", "--under"]] {
        let told = plant.run(words).expect(2).err;
        assert!(told.contains(words[1]) && !told.contains("as a value"), "{told}");
    }
    // Where a value is expected it is the value that is judged.
    for words in [
        &["read", "--points", "-5"][..],
        &["read", "--limit", "-5"],
        &["watch", "--count", "-1"],
        &["audit", "--limit", "-5"],
        &["demo", "--speed", "-1"],
        &["write", "a/b", "1", "--quality", "-5"],
    ] {
        let told = plant.run(words).expect(2).err;
        assert!(!told.contains("unexpected argument") && told.contains(words[words.len() - 1]), "{told}");
    }
    let csv = plant.home.file("n.csv", "time,a\n2026-03-01 00:00:00,1\n").display().to_string();
    let told = plant.run(&["import", &csv, "--value", "-1"]).expect_problem("bad-import");
    assert!(told.err.contains("has no column '-1'"), "{}", told.err);
    // A place in a body that nobody typed is none.
    let told = plant.run(&["write", "a/b", "x", "--time", "2400-01-01T00:00:00Z"]).expect(2);
    assert!(!told.err.contains("line 1"), "{}", told.err);
    let long = "x".repeat(2_000);
    let told = plant.run(&["write", "a/b", &long]);
    assert!(!told.err.contains("(line ") && told.code == Some(2), "{}", told.err);
}

/// What was changed is told to machines; a file that was written as well.
#[test]
fn what_was_done_has_a_form_for_machines() {
    let plant = Plant::start();
    plant.ok(&["write", "a/b", "1"]);
    plant.token("t", &["read:#"]);
    let file = plant.home.path("x.csv").display().to_string();
    for (words, done) in [
        (&["signals", "set", "a/b", "unit=bar"][..], json!({ "signal": "a/b", "done": "set" })),
        (&["signals", "rename", "a/b", "a/c"], json!({ "signal": "a/c", "was": "a/b", "done": "renamed" })),
        (&["signals", "delete", "a/c"], json!({ "signal": "a/c", "done": "deleted" })),
        (&["token", "revoke", "t"], json!({ "name": "t", "done": "revoked" })),
    ] {
        let ran = plant.run(&[words, &["--json"]].concat()).expect(0);
        assert_eq!((ran.json(), ran.err.as_str()), (done, ""), "{words:?}");
    }
    plant.ok(&["write", "a/b", "1"]);
    for words in [&["read", "#"][..], &["sql", "SELECT signal FROM samples"]] {
        let ran = plant.run(&[words, &["--output", &file, "--json"]].concat()).expect(0);
        let written = std::fs::metadata(&file).expect("it is there").len();
        assert!(written > 5, "{words:?}");
        assert_eq!(
            (ran.json(), ran.err.as_str()),
            (json!({ "file": file, "bytes": written }), ""),
            "{words:?}"
        );
        // - is no file.
        let words = [words, &["--format", "csv"]].concat();
        assert_eq!(plant.ok(&[&words[..], &["-o", "-"]].concat()), plant.ok(&words));
    }
    assert!(!plant.home.path("-").exists());
}

/// An answer that ends in its middle: what is wrong is the plant that ceased, not the program.
#[test]
fn an_answer_that_is_cut_says_so() {
    let home = Home::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it listens"));
    let mut process = Process::spawn(home.command(&["read", "#", "--format", "csv", "--url", &url]));
    let (mut wire, _) = listener.accept().expect("it connects");
    assert!(wire.read(&mut [0; 4096]).expect("a request") > 0);
    wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ncontent-length: 1000\r\n\r\nsignal,time\n")
        .expect("it reads");
    process.line("signal,time");
    drop(wire);
    process.log_line("error [not-running]: the plant ceased to answer, and what came is not whole");
    assert_eq!(process.end().code(), Some(1));
}

/// A plant that begins its answer and does not end it: Ctrl-C then leaves no half file.
#[test]
fn an_export_that_is_interrupted_leaves_no_file() {
    let home = Home::new();
    for words in [&["read", "#"][..], &["sql", "SELECT 1"]] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        let words = [words, &["--output", "x.csv", "--url", &url]].concat();
        let mut process = Process::spawn(home.command(&words));
        let (mut wire, _) = listener.accept().expect("it connects");
        assert!(wire.read(&mut [0; 4096]).expect("a request") > 0);
        let begin = "HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ncontent-length: 1000\r\n\r\nsignal,time";
        wire.write_all(begin.as_bytes()).expect("it reads");
        let until = Instant::now() + PATIENCE;
        while !home.path(".x.csv.part").exists() {
            assert!(Instant::now() < until, "the export does not begin");
            std::thread::yield_now();
        }
        process.signal(rustix::process::Signal::INT);
        assert_eq!(process.end().code(), Some(130), "{words:?}");
        for name in [".x.csv.part", "x.csv"] {
            assert!(!home.path(name).exists(), "{words:?} left {name}");
        }
    }
}

#[test]
fn without_arguments_it_says_what_runs_and_what_is_next() {
    let home = Home::new();
    let nothing = home.run(&[]).expect(0).out;
    for part in ["demo", "run"] {
        assert!(nothing.contains(part), "no {part}: {nothing}");
    }
    let plant = home.start();
    let running = plant.home.run(&[]).expect(0).out;
    assert!(running.contains(&plant.home.plant().display().to_string()), "{running}");
    // Hints name the program by the path it was started with.
    assert!(running.contains(&format!("{} signals", env!("CARGO_BIN_EXE_tidemill"))), "{running}");
    for shell in ["bash", "zsh", "fish"] {
        assert!(plant.ok(&["completions", shell]).contains("tidemill"));
    }
}

/// Also where nothing else runs: nobody is sent to make a second plant beside it.
#[test]
fn a_stopped_plant_is_told_of_wherever_commands_mean_it() {
    let home = Plant::start().stop();
    let plant = home.plant().display().to_string();
    // In the folder above it, by the switch, and by the environment.
    let above = home.run(&[]).expect(0).out;
    let by_switch = home.run(&["--plant", &plant]).expect(0).out;
    let mut command = home.command(&[]);
    command.env("TIDEMILL_PLANT", &plant).current_dir("/");
    let by_environment = ran(command).expect(0).out;
    for told in [&above, &by_switch, &by_environment] {
        assert!(told.contains("plant is a plant; it does not run."), "{told}");
        assert!(!told.contains("make a plant"), "{told}");
    }
    // What is to be typed means the same one.
    assert!(by_switch.contains(&format!(" run --plant {plant} ")), "{by_switch}");
    assert!(!by_environment.contains("--plant"), "{by_environment}");
    assert_eq!(home.run(&["--json", "--plant", &plant]).expect(0).json()["stopped"], plant);
}

#[test]
fn values_that_begin_with_a_minus_and_odd_times_are_understood() {
    let plant = Plant::start();
    for (value, kind, shown) in
        [("-5", "float", "-5"), ("7", "integer", "7"), ("true", "boolean", "true"), ("7", "text", "7")]
    {
        let name = format!("k/{kind}");
        plant.ok(&["write", &name, value, "--kind", kind, "--time", "-1h"]);
        let read = plant.ok(&["read", &name, "--from", "-2h", "--to", "-30m"]);
        assert!(
            read.lines().last().is_some_and(|line| line.split_whitespace().any(|word| word == shown)),
            "{read}"
        );
        let at = plant.ok(&["read", &name, "--at", "now"]);
        assert!(at.contains(&name), "{at}");
        assert_eq!(at, plant.ok(&["read", &name, "--at", "now", "--mode", "last"]));
        assert!(!plant.ok(&["read", &name, "--at", "-2h"]).contains(&name));
    }
    plant.ok(&["write", "k/state", "running"]);
    for (time, shown) in [
        ("1772323200", "2026-03-01 00:00:00"),
        ("1772323200123", "2026-03-01 00:00:00.123"),
        ("2026-03-01T01:00:00+02:00", "2026-02-28 23:00:00"),
        ("2026-03-01", "2026-03-01 00:00:00"),
    ] {
        plant.ok(&["write", &format!("t/{shown}").replace(':', "."), "1", "--time", time]);
        let read = plant.ok(&["read", "t/#", "--from", "2026-01-01"]);
        assert!(read.contains(&format!("{shown}+00:00")), "{time}: {read}");
    }
    // Text from standard input, and decimation that loses no extreme.
    for second in 0..50 {
        let value = if second == 33 { 99 } else { second % 3 };
        plant
            .post("/api/v1/write")
            .token(&plant_token(&plant))
            .body("text/plain", format!("d value={value} {}", second * 1_000_000_000_i64))
            .send()
            .expect(204);
    }
    let few = plant.ok(&[
        "read",
        "d",
        "--from",
        "1970-01-01",
        "--to",
        "1970-01-02",
        "--points",
        "2",
        "--format",
        "csv",
    ]);
    assert!(few.lines().count() < 12 && few.contains(",99"), "{few}");
}

fn plant_token(plant: &Plant) -> String {
    // Made once: a second of that name is refused.
    plant.run(&["token", "revoke", "d"]);
    plant.token("d", &["write:d"])
}

/// What a newcomer would otherwise stare at: an empty table, a number that became a text, a binary answer.
#[test]
fn surprises_are_told() {
    let plant = Plant::start();
    plant.ok(&["write", "press/t", "1", "--time", "2026-03-01T00:00:00Z"]);
    for (words, told) in [
        (&["read", "press/temprature"][..], "no signal matches press/temprature"),
        (&["read", "press/t"], "the newest is of 2026-03-01 00:00:00+00:00"),
        (&["write", "press/t", "20,5"], "is kept as text"),
        (&["write", "press/t", "-20.5°C"], "is kept as text"),
        (&["access", "why", "owner", "write", "press/t"], ""),
        (&["token", "create", "a b", "--allow", "read:#"], "\n  Use 1 to 64 letters"),
    ] {
        let ran = plant.run(words);
        assert!(ran.err.contains(told), "{words:?}: no '{told}': {}", ran.err);
        assert_eq!(ran.code, Some(if words[0] == "token" { 2 } else { 0 }), "{words:?}: {}", ran.err);
    }
    for words in [
        &["write", "press/state", "running"][..],
        &["write", "press/order", "2026-03-01/4711"],
        &["write", "press/n", "1e3"],
        &["read", "press/t", "--at", "2026-04-01"],
        &["write", "press/t", "20,5", "--kind", "text"],
    ] {
        assert_eq!(plant.run(words).expect(0).err, "", "{words:?}");
    }
}

/// What is written is kept to its last digit, and what looks like a number and is none is told.
#[test]
fn a_number_is_kept_as_it_is_written() {
    let plant = Plant::start();
    plant.ok(&["write", "n/counter", "1"]);
    plant.ok(&["signals", "set", "n/counter", "number=integer"]);
    for (signal, value, kept, told) in [
        ("n/whole", "9007199254740992", "9007199254740992.0,float", ""),
        ("n/larger", "9007199254740993", "9007199254740993,integer", "kept as an integer"),
        ("n/largest", "18446744073709551615", "18446744073709551615,unsigned", "kept as an integer"),
        ("n/beyond", "99999999999999999999", "1e20,float", ""),
        ("n/zero", "-0", "-0.0,float", ""),
        ("n/counter", "3", "3,integer", ""),
        ("n/counter", "3.5", "3.5,float", ""),
        ("n/nan", "NaN", "NaN,text", "--kind float"),
        ("n/infinite", "-inf", "-inf,text", "--kind float"),
        ("n/hex", "0x10", "0x10,text", "kept as text"),
    ] {
        let ran = plant.run(&["write", signal, value]).expect(0);
        assert!(ran.err.contains(told) && ran.err.is_empty() == told.is_empty(), "{value}: {}", ran.err);
        let read = plant.ok(&["read", signal, "--from", "-1h", "--format", "csv"]);
        let last = read.lines().last().unwrap_or_default();
        assert!(last.contains(&format!(",{kept},")), "{value}: {last}");
    }
}

#[test]
fn a_terminal_obeys_no_value_and_no_name() {
    let plant = Plant::start();
    let token = plant.token("stranger", &["write:#"]);
    let body = r#"[{"signal": "press/\u202emsg", "value": "\u001b]0;x\u0007\u009b2Jok\u200b", "time": "2026-01-01T00:00:00Z"}]"#;
    plant.post("/api/v1/write").token(&token).body("application/json", body).send().expect(204);
    plant.ok(&["signals", "set", "press/\u{202e}msg", "unit=\u{2066}bar"]);
    let bad = |text: &str| {
        text.chars().any(|c| c != '\n' && (c.is_control() || "\u{202e}\u{2066}\u{200b}".contains(c)))
    };
    let shown = r"\u{1b}]0;x\u{7}\u{9b}2Jok\u{200b}";
    for words in [
        &["read", "press/#", "--from", "2025-12-31"][..],
        &["sql", "SELECT signal, text FROM samples WHERE signal LIKE 'press/%'"],
        &["signals", "press/#"],
        &["why", "press/\u{202e}msg"],
        &["watch", "press/#", "--count", "1"],
    ] {
        let out = plant.ok(words);
        assert!(!bad(&out), "{words:?}: {out:?}");
        assert!(out.contains(r"\u{202e}msg"), "{words:?}: {out}");
        assert!(words[0] == "signals" || out.contains(shown), "{words:?}: {out}");
    }
    // What machines read is left as it is.
    let csv = plant.ok(&["read", "press/#", "--from", "2025-12-31", "--format", "csv"]);
    assert!(csv.contains('\u{1b}') && csv.contains('\u{202e}'), "{csv:?}");
    let json = plant.run(&["read", "press/#", "--from", "2025-12-31", "--json"]).expect(0).json();
    assert!(json.to_string().contains('\u{202e}'), "{json}");
    // An error repeats what was typed.
    let told = plant.run(&["why", "press/no\u{202e}such"]).expect_problem("not-found");
    assert!(!bad(&told.err), "{:?}", told.err);
}

#[test]
fn an_end_that_is_none_is_told_as_what_it_is() {
    let plant = Plant::start();
    for (expires, part) in [("-5d", "in the past"), ("0s", "at least"), ("soon", "is no duration")] {
        let words = ["token", "create", "t", "--allow", "read:#", "--expires", expires];
        let told = plant.run(&words).expect_usage("bad-parameter");
        assert!(told.err.contains(part), "{expires}: {}", told.err);
    }
    let told = plant.run(&["read", "#", "--to", "2262-04-12"]).expect_usage("bad-time");
    assert!(told.err.contains("1677-09-21") && told.err.contains("2262-04-11"), "{}", told.err);
}

#[test]
fn a_variable_that_is_empty_is_not_set() {
    let plant = Plant::start();
    let folder = plant.home.plant().display().to_string();
    let run = |words: &[&str]| {
        let mut command = plant.home.command(words);
        for name in ["TIDEMILL_PLANT", "TIDEMILL_URL", "TIDEMILL_TOKEN", "TIDEMILL_CA"] {
            command.env(name, "");
        }
        ran(command)
    };
    run(&["write", "oven/temperature", "21.5", "--plant", &folder]).expect(0);
    // The only plant that runs here.
    assert!(run(&["read", "oven/temperature"]).expect(0).out.contains("21.5"));
    // What is typed counts as it is.
    run(&["read", "oven/temperature", "--plant", ""]).expect(2);
}
