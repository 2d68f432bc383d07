//! A standard output that cannot be written: on a full disk it is a failure that says so, with a reader that went away (`| head`)
//! it is none, and a plant that runs goes on over both.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;

use crate::plant::{Home, Plant, Ran};

/// Takes nothing: every write ends with ENOSPC. Every Linux has it.
const FULL: &str = "/dev/full";

fn full() -> File {
    File::options().write(true).open(FULL).expect("the device is there")
}

/// A pipe that nobody reads any more.
fn unread() -> Stdio {
    std::io::pipe().expect("a pipe").1.into()
}

fn terminate(child: &Child) {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(id.expect("a process has a number"), Signal::TERM).expect("it is ours");
}

/// Runs a command whose standard output leads there.
fn ran_into(mut command: Command, out: impl Into<Stdio>) -> Ran {
    let child = command.stdin(Stdio::null()).stdout(out.into()).stderr(Stdio::piped()).spawn();
    let output = child.and_then(Child::wait_with_output).expect("the binary starts");
    Ran {
        code: output.status.code(),
        out: String::new(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn an_output_that_cannot_be_written_is_a_failure_and_one_that_nobody_reads_is_none() {
    let plant = Plant::start();
    plant.ok(&["write", "a/b", "1"]);
    plant.token("t", &["read:#"]);
    let owner = |words: &[&str]| {
        let mut command = plant.home.command(words);
        command.env("TIDEMILL_PLANT", plant.home.plant());
        command
    };
    for words in [
        &["read", "#"][..],
        &["read", "#", "--format", "csv"],
        &["read", "#", "--format", "parquet"],
        &["sql", "SELECT * FROM samples"],
        &["sql", "SELECT * FROM samples", "--format", "arrow"],
        &["signals"],
        &["why", "a/b"],
        &["watch", "--count", "1"],
        &["write", "a/b", "2", "--json"],
        &["token", "list"],
        &["access", "list"],
        &["access", "why", "t", "read", "a/b"],
        &["audit"],
        &["audit", "verify"],
        &["check"],
        &["completions", "bash"],
        &["reference", "problems"],
        &["--help"],
        &["read", "--help"],
        &["--version"],
        &[],
    ] {
        let ran = ran_into(owner(words), full()).expect(1);
        assert!(ran.err.contains("file-unwritable"), "{words:?}: {}", ran.err);
        assert!(ran.err.contains(FULL) && ran.err.contains("No space left"), "{words:?}: {}", ran.err);
        let ran = ran_into(owner(words), unread());
        assert!(ran.code == Some(0) && !ran.err.contains("error"), "{words:?}: {ran:?}");
    }
    let ran = ran_into(owner(&["read", "#", "--json"]), full()).expect(1);
    let problem: Json = serde_json::from_str(&ran.err).expect("a problem in JSON");
    assert_eq!(problem["code"], "file-unwritable");
}

/// Whoever makes a secret and does not see it has to know: it stands.
#[test]
fn a_secret_that_was_not_shown_is_told_of() {
    let plant = Plant::start();
    for (name, json) in [("one", false), ("two", true)] {
        for out in [full().into(), unread()] {
            let mut command = plant.home.command(&["token", "create", name, "--allow", "read:#"]);
            command.env("TIDEMILL_PLANT", plant.home.plant()).args(json.then_some("--json"));
            let ran = ran_into(command, out).expect(1);
            for part in ["secret could not be shown", &format!("token revoke {name}")] {
                assert!(ran.err.contains(part), "{}", ran.err);
            }
            // It told the truth.
            plant.ok(&["token", "rotate", name]);
            let mut command = plant.home.command(&["token", "rotate", name]);
            command.env("TIDEMILL_PLANT", plant.home.plant());
            let ran = ran_into(command, full()).expect_problem("file-unwritable");
            assert!(ran.err.contains("the old one works for 1d"), "{}", ran.err);
            plant.ok(&["token", "revoke", name]);
        }
    }
}

#[test]
fn files_are_brought_in_whoever_reads_what_became_of_them() {
    let plant = Plant::start();
    for (name, out, code) in [("full", full().into(), 1), ("unread", unread(), 0)] {
        for file in ["a", "b"] {
            plant.home.file(&format!("{name}-{file}.csv"), "time,v\n2026-03-01 00:00:00,1\n");
        }
        let (one, two) = (format!("{name}-a.csv"), format!("{name}-b.csv"));
        let mut command = plant.home.command(&["import", &one, &two]);
        command.env("TIDEMILL_PLANT", plant.home.plant());
        let ran = ran_into(command, out).expect(code);
        assert_eq!(ran.err.contains("error [file-unwritable]"), code == 1, "{}", ran.err);
        let kept = plant.ok(&["signals", &format!("{name}-b")]);
        assert!(kept.contains(&format!("{name}-b ")), "{kept}");
    }
}

/// Neither the ready line nor the log is a reason to end, or to stop without draining.
#[test]
fn a_plant_runs_on_whoever_reads_its_lines() {
    let home = Home::new();
    for round in 0..4 {
        let log = format!("log{round}");
        let mut words = vec!["run", "--plant", "plant"];
        if round < 3 {
            words.extend(["--log-file", &log]);
        }
        let mut command = home.command(&words);
        match round {
            0 => command.stdout(full()).stderr(Stdio::null()),
            1 => command.stdout(unread()).stderr(unread()),
            2 => command.stdout(full()).stderr(full()),
            // Not even a log.
            _ => command.stdout(unread()).stderr(unread()),
        };
        let mut child = command.stdin(Stdio::null()).spawn().expect("the binary starts");
        let until = std::time::Instant::now() + crate::plant::PATIENCE;
        while home.run(&["write", "a/b", "1", "--plant", "plant"]).code != Some(0) {
            assert!(child.try_wait().expect("it is ours").is_none(), "round {round}: it ended");
            assert!(std::time::Instant::now() < until, "round {round}: it does not answer");
            std::thread::yield_now();
        }
        terminate(&child);
        assert!(child.wait().expect("it is ours").success(), "round {round}");
        if round < 3 {
            let log = std::fs::read_to_string(home.path(&log)).expect("a log");
            for event in ["plant.ready", "output.unwritable", "plant.stopped"] {
                assert!(log.contains(event), "round {round}: no {event}: {log}");
            }
        }
    }
}

#[test]
fn a_demo_lives_on_whoever_reads_its_greeting() {
    let home = Home::new();
    let mut command = home.command(&["demo", "--headless", "--days", "1", "--dir", "works"]);
    let child = command.stdin(Stdio::null()).stdout(full()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the binary starts");
    let log = BufReader::new(child.stderr.take().expect("it is ours"));
    let mut log = log.lines().map_while(Result::ok);
    assert!(log.any(|line| line.contains("output.unwritable")), "it ended without a word");
    assert!(child.try_wait().expect("it is ours").is_none(), "it ended");
    home.run(&["signals", "--plant", "works"]).expect(0);
    terminate(&child);
    assert!(log.any(|line| line.contains("plant.stopped")), "it did not drain");
    assert!(child.wait().expect("it is ours").success());
}

#[test]
fn what_was_found_stands_whoever_reads_it() {
    let home = Home::new();
    std::fs::create_dir_all(home.plant()).expect("a folder");
    std::fs::write(home.plant().join("tidemill.toml"), "[plant]\nnmae = \"x\"\n").expect("a file");
    for words in [&["check"][..], &["check", "--json"]] {
        let mut command = home.command(words);
        command.env("TIDEMILL_PLANT", home.plant());
        assert_eq!(ran_into(command, unread()).code, Some(3), "{words:?}");
    }
}
