//! What is known about signals, and changing it: names with their history, ranges deleted with a reason, values that
//! have grown old, owners.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::client::Request;
use crate::plant::Plant;

#[test]
fn a_renamed_signal_keeps_its_history_and_answers_to_its_old_name() {
    let plant = Plant::start();
    plant.ok(&["write", "press/t1", "1", "--time", "2026-03-01T00:00:00Z"]);
    plant.ok(&["signals", "set", "press/t1", "unit=°C", "description=Oil at the pump", "tag.maker=acme"]);
    plant.ok(&["signals", "rename", "press/t1", "press/oil/temperature"]);
    // A device that was not told goes on under the old name.
    plant.ok(&["write", "press/t1", "2", "--time", "2026-03-01T00:00:01Z"]);
    let check = |plant: &Plant| {
        let expected = json!([["press/oil/temperature", 1.0], ["press/oil/temperature", 2.0]]);
        assert_eq!(plant.sql("SELECT signal, value FROM samples ORDER BY time"), expected);
        for name in ["press/oil/temperature", "press/t1", "press/oil/#"] {
            let read = plant.run(&["read", name, "--from", "2026-01-01", "--json"]).expect(0).json();
            let values: Vec<_> =
                read.as_array().into_iter().flatten().map(|sample| &sample["value"]).collect();
            assert_eq!(values, [1.0, 2.0], "{name}: {read}");
            assert_eq!(read[0]["signal"], "press/oil/temperature");
        }
        let signals = plant.run(&["signals", "--json"]).expect(0).json();
        assert_eq!(signals.as_array().map(Vec::len), Some(1), "{signals}");
        let signal = &signals[0];
        assert_eq!(signal["aliases"], json!(["press/t1"]));
        assert_eq!(signal["unit"], "°C");
        assert_eq!(signal["description"], "Oil at the pump");
        assert_eq!(signal["tags"]["maker"], "acme");
        let why = plant.ok(&["why", "press/t1"]);
        assert!(why.contains("press/oil/temperature") && why.contains("owner:"), "{why}");
    };
    check(&plant);
    let plant = plant.kill_and_restart();
    check(&plant);
    plant.ok(&["write", "other", "1"]);
    plant.run(&["signals", "rename", "other", "press/t1"]).expect_problem("exists");
    plant.run(&["signals", "rename", "nowhere", "x"]).expect_problem("not-found");
    plant.run(&["signals", "set", "other", "unti=bar"]).expect_usage("bad-parameter");
    plant.ok(&["signals", "set", "other", "alias=others/first", "ucum=bar", "stale_after=90s"]);
    plant.ok(&["write", "others/first", "2"]);
    let other = plant.run(&["signals", "other", "--json"]).expect(0).json()[0].clone();
    assert_eq!(other["aliases"], json!(["others/first"]));
    assert_eq!(
        (&other["ucum"], &other["stale_after"], &other["unit"]),
        (&json!("bar"), &json!("1m30s"), &json!(null))
    );
    plant.ok(&["signals", "set", "other", "stale_after=0", "ucum="]);
    let other = plant.run(&["signals", "other", "--json"]).expect(0).json()[0].clone();
    assert_eq!((&other["ucum"], &other["stale_after"]), (&json!(null), &json!(null)));
    // A reason is for what is kept of a range; a signal goes without one.
    plant.ok(&["signals", "delete", "other"]);
}

#[test]
fn the_last_before_a_time_is_found_among_forecasts_too() {
    let plant = Plant::start();
    for (value, time) in [("1", "2024-01-01"), ("2", "2100-01-01"), ("3", "2150-01-01")] {
        plant.ok(&["write", "demand", value, "--time", &format!("{time}T00:00:00Z")]);
    }
    let check = |plant: &Plant| {
        let last_values = plant.sql("SELECT last_value FROM signals WHERE signal = 'demand'");
        assert_eq!(last_values, json!([[1.0]]), "what is far ahead is no last value");
        for (at, expected) in [("2026-03-01", 1.0), ("2120-01-01", 2.0), ("2200-01-01", 3.0)] {
            let read = plant.run(&["read", "demand", "--at", at, "--json"]).expect(0).json();
            assert_eq!(read[0]["value"], expected, "at {at}: {read}");
        }
    };
    check(&plant);
    check(&plant.kill_and_restart());
}

/// Who wrote is kept with the values: also in files, and of those that were followed by others.
#[test]
fn why_says_who_wrote_an_earlier_value() {
    let plant = Plant::start_with("[storage]\nflush_after = \"100ms\"\n");
    let write = |who: &str, value: &str, time: &str| {
        let sample = json!([{ "signal": "press/o'il", "value": value, "time": time }]).to_string();
        let token = plant.token(who, &["write:press/#"]);
        plant.post("/api/v1/write").token(&token).body("application/json", sample).send().expect(204);
    };
    write("first", "a", "2026-03-01T00:00:00Z");
    write("second", "b", "2026-03-02T00:00:00Z");
    write("third", "c", "2026-03-02T00:00:00Z");
    write("fourth", "d", "2026-03-03T00:00:00Z");
    plant.ok(&["signals", "rename", "press/o'il", "press/it's"]);
    plant.ok(&["token", "revoke", "fourth"]);
    let check = |plant: &Plant| {
        let facts = |at: &str| {
            let why = plant.run(&["why", "press/o'il", "--at", at, "--json"]).expect(0).json();
            let facts = why["facts"].as_array().cloned().unwrap_or_default();
            let of = |label: &str| {
                let of = facts.iter().filter(|fact| fact[0] == label);
                of.map(|fact| fact[1].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
            };
            assert_eq!(of("received").len(), 1, "{why}");
            (of("source"), of("may write by").join(" "))
        };
        let (source, rule) = facts("2026-03-01T12:00:00Z");
        assert_eq!(source, ["token:first"]);
        assert!(rule.contains("write:press/#"), "{rule}");
        assert_eq!(facts("2026-03-02T12:00:00Z").0, ["token:second", "token:third"]);
        let (source, rule) = facts("2026-03-04T00:00:00Z");
        assert_eq!(source, ["token:fourth"]);
        assert!(rule.contains("nobody of that name"), "{rule}");
    };
    check(&plant);
    check(&plant.stop().start());
}

#[test]
fn a_range_is_deleted_with_a_reason_that_is_kept() {
    let plant = Plant::start();
    for minute in 0..4 {
        plant.ok(&["write", "a", &minute.to_string(), "--time", &format!("2026-03-01T00:0{minute}:00Z")]);
    }
    let delete = ["signals", "delete", "a", "--from", "2026-03-01T00:01:00Z", "--to", "2026-03-01T00:03:00Z"];
    // Without a reason it is usage that is wrong.
    plant.run(&delete).expect(2);
    let delete = [&delete[..], &["--reason", "sensor was unplugged"]].concat();
    assert_eq!(plant.run(&delete).expect(0).err.trim(), "2 samples deleted");
    let nothing = plant.run(&delete).expect(3);
    let nothing_told = "a has no samples in this time: nothing was deleted";
    assert_eq!(nothing.err.trim(), nothing_told);
    let nothing = plant.run(&[&delete[..], &["--json"]].concat()).expect(3).json();
    assert_eq!(nothing, json!({ "signal": "a", "done": "deleted", "samples": 0 }));
    // What arrived again is one sample: in a file, for a deletion brings it there, and in the log.
    let late = ["write", "a", "9", "--time", "2026-03-01T00:01:30Z"];
    plant.ok(&late);
    let elsewhere =
        ["signals", "delete", "a", "--from", "2026-02-01", "--to", "2026-02-02", "--reason", "none there"];
    plant.run(&elsewhere).expect(3);
    plant.ok(&late);
    // Who may configure and not read is told by the deletion itself what it took.
    let token = plant.token("gardener", &["configure:#"]);
    let range = "from=2026-03-01T00:01:00Z&to=2026-03-01T00:03:00Z&reason=late";
    let address = format!("/api/v1/signals?signal=a&{range}");
    let answer = Request::new(plant.address, "DELETE", &address).token(&token).send();
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"samples":1}"#));
    assert_eq!(plant.run_as(&token, &delete).expect(3).err.trim(), nothing_told);
    plant.ok(&late);
    assert_eq!(plant.run_as(&token, &delete).expect(0).err.trim(), "1 sample deleted");
    let values = |plant: &Plant| {
        assert_eq!(plant.sql("SELECT value FROM samples ORDER BY time"), json!([[0.0], [3.0]]));
        let read = plant.run(&["read", "a", "--from", "2026-01-01", "--json"]).expect(0).json();
        assert_eq!(read.as_array().map(Vec::len), Some(2), "{read}");
    };
    values(&plant);
    let kept = plant.run(&["sql", "--json", "SELECT * FROM sys.corrections"]).expect(0);
    assert!(kept.out.contains("sensor was unplugged"), "{}", kept.out);
    let plant = plant.kill_and_restart();
    values(&plant);
    // What comes again for that range is news, and kept.
    plant.ok(&["write", "a", "7", "--time", "2026-03-01T00:02:00Z"]);
    assert!(plant.ok(&["audit", "--json"]).contains("sensor was unplugged"));
    assert_eq!(plant.sql("SELECT value FROM samples ORDER BY time"), json!([[0.0], [7.0], [3.0]]));
    plant.ok(&["signals", "delete", "a", "--reason", "no more"]);
    assert_eq!(plant.run(&["signals", "--json"]).expect(0).json(), json!([]));
    plant.run(&["why", "a"]).expect_problem("not-found");
}

/// A name that was typed from memory, and a branch.
#[test]
fn who_reads_no_signal_is_told_what_they_may_have_meant() {
    let plant = Plant::start();
    for signal in ["farm/weather/Temperature", "farm/soil/moisture"] {
        plant.ok(&["write", signal, "1"]);
    }
    for (named, told) in [
        ("farm/weather/temperature", "did you mean farm/weather/Temperature?"),
        ("farm", "below it are 2: 'farm/#'"),
    ] {
        let err = plant.run(&["read", named]).expect(0).err;
        assert_eq!(err.trim(), format!("no signal matches {named}; {told}"));
    }
    // What is to be typed can be: a shell reads it as it is meant.
    plant.ok(&["write", "o'brien/x", "1"]);
    let err = plant.run(&["read", "o'brien"]).expect(0).err;
    assert_eq!(err.trim(), r"no signal matches o'brien; below it are 1: 'o'\''brien/#'");
    // Names that begin alike for long differ at their end, and the nearest is near there.
    let long = "enterprise/site/area/a-machine-with-a-long-name/a-station-with-a-long-name";
    plant.ok(&["write", &format!("{long}/pressure"), "1"]);
    let err = plant.run(&["read", &format!("{long}/temperature")]).expect(0).err;
    assert!(err.contains("signals` lists them"), "{err}");
    let err = plant.run(&["read", &format!("{long}/presure")]).expect(0).err;
    assert!(err.contains(&format!("did you mean {long}/pressure?")), "{err}");
    let err = plant.run(&["read", "x"]).expect(0).err;
    assert!(err.contains("no signal matches x") && err.contains("signals` lists them"), "{err}");
}

/// A plant may have a hundred thousand names: they are looked through where they are.
#[test]
fn the_hint_of_what_was_meant_does_not_fetch_every_name() {
    let plant = Plant::start();
    let token = plant.token("press", &["read:#", "write:#"]);
    let lines: String = (0..2_000).map(|index| format!("line/machine{index:05} value=1 1\n")).collect();
    plant.post("/api/v1/write").token(&token).body("text/plain", lines).send().expect(204);
    // Between the command line and the plant, and counts what the plant says.
    let between = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", between.local_addr().expect("an address"));
    let (address, said) = (plant.address, Arc::new(AtomicUsize::new(0)));
    let counted = said.clone();
    std::thread::spawn(move || {
        for near in between.incoming().map_while(Result::ok) {
            let far = TcpStream::connect(address).expect("the plant listens");
            let (mut asked, mut asks) =
                (near.try_clone().expect("one more"), far.try_clone().expect("one more"));
            std::thread::spawn(move || {
                std::io::copy(&mut asked, &mut asks).map(|_| asks.shutdown(Shutdown::Write))
            });
            let (mut far, mut near, counted) = (far, near, counted.clone());
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Some(read) = far.read(&mut piece).ok().filter(|read| *read > 0) {
                    counted.fetch_add(read, Ordering::Relaxed);
                    near.write_all(&piece[..read]).expect("it reads");
                }
            });
        }
    });
    let ran = plant.run(&["read", "line/machin00007", "--url", &url, "--token", &token]).expect(0);
    assert_eq!(ran.err.trim(), "no signal matches line/machin00007; did you mean line/machine00007?");
    let bytes = said.load(Ordering::Relaxed);
    assert!((100..20_000).contains(&bytes), "{bytes} bytes for a hint");
}

/// One command shows times as another takes them.
#[test]
fn where_a_value_came_from_is_told_in_the_time_of_the_plant() {
    let plant = Plant::start_with("[plant]\nname = \"p\"\ntimezone = \"Asia/Kolkata\"\n");
    plant.ok(&["write", "a", "1", "--time", "2026-03-01T06:00:00Z"]);
    let told = plant.run(&["why", "a"]).expect(0).out;
    assert!(
        told.lines().any(|line| line.starts_with("time ") && line.ends_with(" 2026-03-01 11:30:00+05:30")),
        "{told}"
    );
    let facts = plant.run(&["why", "a", "--json"]).expect(0).json()["facts"].clone();
    assert!(
        facts.as_array().is_some_and(|all| all.contains(&json!(["time", "2026-03-01T06:00:00Z"]))),
        "{facts}"
    );
}

#[test]
fn a_value_that_has_grown_old_is_uncertain_not_gone() {
    let plant = Plant::start();
    plant.ok(&["write", "level", "3.5", "--time", "-10m"]);
    let quality =
        || plant.run(&["signals", "level", "--json"]).expect(0).json()[0]["last"]["quality"].clone();
    assert!(quality().is_null() || quality() == "Good", "{}", quality());
    plant.ok(&["signals", "set", "level", "stale_after=5m"]);
    assert_eq!(quality(), "Uncertain_LastUsableValue");
    assert!(plant.ok(&["signals"]).contains("Uncertain_LastUsableValue"));
    // What was written stays as it was written.
    assert_eq!(plant.sql("SELECT value, quality FROM samples"), json!([[3.5, 0]]));
    plant.ok(&["write", "level", "4"]);
    assert!(quality().is_null() || quality() == "Good", "{}", quality());
}

#[test]
fn a_signal_with_an_owner_refuses_other_writers() {
    let plant = Plant::start();
    let (line, other) = (plant.token("line", &["write:a/#"]), plant.token("other", &["write:a/#"]));
    plant.run_as(&line, &["write", "a/b", "1"]).expect(0);
    plant.ok(&["signals", "set", "a/b", "owner=token:line"]);
    plant.run_as(&other, &["write", "a/b", "2"]).expect_problem("not-owner");
    plant.run_as(&line, &["write", "a/b", "3"]).expect(0);
    assert_eq!(plant.sql("SELECT value FROM samples ORDER BY time"), json!([[1.0], [3.0]]));
    assert_eq!(
        plant.sql("SELECT source FROM samples ORDER BY time"),
        json!([["token:line"], ["token:line"]])
    );
}

/// A row holds two names: it is for those alone who may read both.
#[test]
fn near_twins_are_told_to_who_may_read_both_names() {
    let plant = Plant::start();
    for (older, later) in [
        ("open/level", "open/Level"),
        ("Open/flow", "open/flow"),
        ("open/depth", "Open/depth"),
        ("x/a", "X/a"),
    ] {
        plant.ok(&["write", older, "1"]);
        plant.ok(&["write", later, "1"]);
    }
    let told = |answer: crate::plant::Ran| answer.expect(0).json()["rows"].clone();
    let query = ["sql", "--json", "SELECT signal, similar FROM sys.near_twins ORDER BY signal"];
    let as_reader = |allow: &[&str]| {
        let name = format!("reader{}", allow.len());
        told(plant.run_as(&plant.token(&name, allow), &query))
    };
    assert_eq!(as_reader(&["read:open/#"]), json!([["open/Level", "open/level"]]));
    assert_eq!(
        as_reader(&["read:open/#", "read:Open/flow"]),
        json!([["open/Level", "open/level"], ["open/flow", "Open/flow"]])
    );
    assert_eq!(as_reader(&["read:open/flow", "read:Open/depth", "read:X/#"]), json!([]));
    let all = told(plant.run(&query));
    assert_eq!(all.as_array().map(Vec::len), Some(4), "{all}");
}
