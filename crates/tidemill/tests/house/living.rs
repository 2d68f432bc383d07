//! A plant that lives: values as they come, settings read again while it runs, an orderly end, and a demo that goes on
//! where it was.

use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value as Json, json};
use tokio_tungstenite::tungstenite::{self, protocol::CloseFrame};

use crate::plant::{Home, PATIENCE, Plant, Process, say_the_zone};

#[test]
fn watch_shows_values_as_they_come_with_names_units_and_quality() {
    let plant = Plant::start();
    plant.ok(&["write", "press/temperature", "20.5"]);
    plant.ok(&["signals", "set", "press/temperature", "unit=°C"]);
    let mut watch = plant.spawn(&["watch", "press/#"]);
    let mut json = plant.spawn(&["watch", "press/temperature", "--json", "--count", "3"]);
    let line = watch.line("press/temperature");
    assert!(line.contains("20.5 °C"), "no unit: {line}");
    json.line("20.5");
    plant.ok(&["write", "press/temperature", "21", "--quality", "uncertain"]);
    let line = watch.line("press/temperature");
    assert!(line.contains("21") && line.contains("Uncertain"), "{line}");
    // A name that came into being after the subscription.
    plant.ok(&["write", "press/new", "1"]);
    watch.line("press/new");
    plant.ok(&["write", "elsewhere", "1"]);
    plant.ok(&["write", "press/temperature", "22"]);
    watch.line("22");
    assert!(watch.lines_so_far().iter().all(|line| !line.contains("elsewhere")));
    let third: Json = serde_json::from_str(&json.line("22")).expect("an object a line");
    assert_eq!(third["signal"], "press/temperature");
    assert!(json.end().success(), "--count did not end it");
    // When the plant stops the reader is told, not left waiting.
    plant.stop();
    assert_eq!(watch.end().code(), Some(1));
}

/// Who watches is told why it ended, in words and in JSON.
#[test]
fn watch_says_why_it_ended() {
    let plant = Plant::start();
    plant.ok(&["write", "press/t", "1"]);
    for (name, json) in [("words", false), ("json", true)] {
        let token = plant.token(name, &["read:#"]);
        let mut command = plant.home.command(&["watch"]);
        command.env("TIDEMILL_URL", format!("http://{}", plant.address)).env("TIDEMILL_TOKEN", token);
        command.args(json.then_some("--json"));
        let mut watch = Process::spawn(command);
        watch.line("press/t");
        plant.ok(&["token", "revoke", name]);
        let told = watch.log_line("the token is no longer valid");
        assert_eq!(watch.end().code(), Some(1));
        assert!(told.contains(if json { r#""code":"forbidden""# } else { "error [forbidden]" }), "{told}");
    }
    plant.run_as("no-such-token", &["watch"]).expect_problem("unauthenticated");
}

/// Whatever the reason in the close frame is: it is shown, and a stop is no mistake of the program.
#[test]
fn watch_shows_the_reason_of_the_close_frame() {
    let home = Home::new();
    let frame = |code: u16, reason: &str| Some(CloseFrame { code: code.into(), reason: reason.into() });
    for (close, told) in [
        (
            frame(1012, "the plant is stopping"),
            "error [stopping]: the plant ended the live connection: the plant is stopping",
        ),
        (frame(1001, ""), "error [stopping]: the plant ended the live connection: it did not say why"),
        (frame(1008, "not today"), "error [forbidden]: the plant ended the live connection: not today"),
        (
            frame(4321, "a new reason"),
            "error [not-running]: the plant ended the live connection: a new reason",
        ),
        (None, "error [not-running]: the plant ended the live connection: it did not say why"),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        let mut watch = Process::spawn(home.command(&["watch", "--url", &url]));
        say_the_zone(&listener);
        let (wire, _) = listener.accept().expect("it connects");
        let mut live = tungstenite::accept(wire).expect("it shakes hands");
        live.read().expect("it subscribes");
        live.close(close).expect("it listens");
        while live.read().is_ok() {}
        watch.log_line(told);
        assert_eq!(watch.end().code(), Some(1));
    }
}

#[test]
fn watch_follows_a_unit_that_is_changed_with_and_without_the_name() {
    let plant = Plant::start();
    plant.ok(&["write", "press/oil", "10"]);
    plant.ok(&["signals", "set", "press/oil", "unit=°C"]);
    let mut watch = plant.spawn(&["watch", "press/#"]);
    watch.line("press/oil  10");
    let mut shown = |name: &str, value: &str, unit: &str| {
        plant.ok(&["write", name, value]);
        let line = watch.line(&format!("{name}  {value}"));
        assert!(line.ends_with(&format!("{value} {unit}")), "not {unit}: {line}");
    };
    shown("press/oil", "11", "°C");
    plant.ok(&["signals", "set", "press/oil", "unit=bar"]);
    shown("press/oil", "12", "bar");
    plant.ok(&["signals", "rename", "press/oil", "press/pump"]);
    shown("press/pump", "13", "bar");
    plant.ok(&["signals", "set", "press/pump", "unit=psi"]);
    shown("press/pump", "14", "psi");
}

#[test]
fn a_saved_file_is_applied_while_running_and_a_bad_one_changes_nothing() {
    let settings = |signals: &str| format!("[plant]\nname = \"p\"\n[limits]\nsignals = {signals}\n");
    let mut plant = Plant::start_with(&settings("2"));
    for name in ["a", "b"] {
        plant.ok(&["write", name, "1"]);
    }
    let third = |plant: &Plant| plant.run(&["write", "c", "1"]);
    third(&plant).expect_problem("signals-limit");
    plant.ok(&["write", "a", "2"]);
    let again = |plant: &mut Plant, text: &str, event: &str| {
        plant.home.file("plant/tidemill.toml", text);
        plant.process.signal(Signal::HUP);
        plant.process.log_line(event)
    };
    let told = again(&mut plant, &settings("\"many\""), "configuration.refused");
    assert!(told.contains("tidemill.toml:4"), "{told}");
    third(&plant).expect_problem("signals-limit");
    again(&mut plant, &settings("3"), "configuration.read");
    third(&plant).expect(0);
    plant.run(&["write", "d", "1"]).expect_problem("signals-limit");
    let told = again(&mut plant, &settings("3").replace("\"p\"", "\"q\""), "configuration.read");
    assert!(told.contains("plant.name"), "it is not said what holds from the next start only: {told}");
}

/// Saved, and nobody tells the plant.
#[test]
fn a_saved_file_is_seen_and_a_bad_one_is_told_once() {
    let settings = |signals: &str| format!("[limits]\nsignals = {signals}\n");
    let mut plant = Plant::start_with(&settings("1"));
    plant.ok(&["write", "a", "1"]);
    plant.run(&["write", "b", "1"]).expect_problem("signals-limit");
    let save = |plant: &mut Plant, file: &str, text: &str, event: &str| {
        plant.home.file(&format!("plant/{file}"), text);
        plant.process.log_line(event)
    };
    save(&mut plant, "tidemill.toml", &settings("2"), "configuration.read");
    plant.ok(&["write", "b", "1"]);
    let told = save(&mut plant, "tidemill.toml", &settings("\"many\""), "configuration.refused");
    assert!(told.contains("tidemill.toml:2"), "{told}");
    plant.ok(&["write", "b", "2"]);
    plant.run(&["write", "c", "1"]).expect_problem("signals-limit");
    let check = plant.run(&["check"]).expect(3);
    assert!(check.out.contains("not in force"), "{}", check.out);
    save(&mut plant, "tidemill.toml", &settings("3"), "configuration.read");
    plant.ok(&["write", "c", "1"]);
    // That a limit refused something is told for a while.
    let check = plant.run(&["check"]).expect(3);
    assert!(check.out.contains("limit-refused") && !check.out.contains("not in force"), "{}", check.out);
    let refused = plant.process.log_so_far().iter().filter(|line| line.contains("configuration.refused"));
    assert_eq!(refused.count(), 1, "told more than once");
    // The other file of settings.
    std::fs::create_dir(plant.home.path("plant/connections")).expect("it is ours");
    save(&mut plant, "connections/line-protocol.toml", "nonsense = 1\n", "configuration.refused");
    let read = |plant: &mut Plant, text: &str, changed: &str| {
        let told = save(plant, "connections/line-protocol.toml", text, "configuration.read");
        assert!(told.contains(&format!("changed={changed}")), "{text}: {told}");
    };
    read(&mut plant, "", "false");
    let template = "[[template]]\nmatch = { measurement = \"cpu\" }\npath = \"{host}/{field}\"\n";
    read(&mut plant, template, "true");
    read(&mut plant, &format!("# The same.\n{template}"), "false");
    let audit = plant.ok(&["audit"]);
    assert!(audit.contains("house:file") && audit.contains("configuration.apply"), "{audit}");
}

#[test]
fn sigterm_drains_and_everything_is_there_after_the_next_start() {
    let plant = Plant::start();
    let token = plant.token("press", &["write:#", "read:#"]);
    let lines: String =
        (0..5_000).map(|index| format!("line/s{} value={index} {index}\n", index % 50)).collect();
    plant.post("/api/v1/write").token(&token).body("text/plain", lines).send().expect(204);
    plant.ok(&["signals", "set", "line/s7", "unit=bar"]);
    // An idle connection and a live one do not hold it up.
    let _idle = std::net::TcpStream::connect(plant.address).expect("the plant accepts connections");
    let mut watch = plant.spawn(&["watch", "line/s7"]);
    watch.line("line/s7");
    let begun = Instant::now();
    let home = plant.stop();
    assert!(begun.elapsed().as_secs() < 15, "the end took {:?}", begun.elapsed());
    home.run(&["read", "--plant", "plant"]).expect_problem("not-running");
    home.run(&["check", "--plant", "plant"]).expect(0);
    let plant = home.start();
    assert_eq!(
        plant.sql("SELECT count(*), sum(value), count(DISTINCT signal) FROM samples"),
        json!([[5_000, 12_497_500.0, 50]])
    );
    plant.get("/api/v1/read?signal=line/s7&limit=1").token(&token).send().expect(200);
    let signal = plant.run(&["signals", "line/s7", "--json"]).expect(0).json();
    assert_eq!(
        (&signal[0]["unit"], &signal[0]["last"]["value"]),
        (&json!("bar"), &json!(4_957.0)),
        "{signal}"
    );
    // Stamps go on increasing, also over restarts.
    plant.ok(&["write", "stamped", "1"]);
    let plant = plant.stop().start();
    plant.ok(&["write", "stamped", "2"]);
    assert_eq!(
        plant.sql("SELECT value FROM samples WHERE signal = 'stamped' ORDER BY time"),
        json!([[1.0], [2.0]])
    );
}

fn demo(home: &Home) -> (Process, u64) {
    let mut process = Process::spawn(home.command(&["demo", "--headless", "--days", "2", "--dir", "works"]));
    process.line("DEMO plant ready");
    let line = process.line("samples of 2 days");
    let words: Vec<&str> = line.split_whitespace().collect();
    let samples = words.iter().position(|word| word.starts_with("samples")).expect("the word");
    let samples = words[samples - 1].parse().expect("a number before it");
    (process, samples)
}

#[test]
fn the_demo_fills_its_days_moves_and_goes_on_without_doubling() {
    let home = Home::new();
    let before = Instant::now();
    let (mut process, filled) = demo(&home);
    let ran = |words: &[&str]| home.run(&[words, &["--plant", "works"]].concat()).expect(0);
    let count = |until: &str| {
        let query = format!("SELECT count(*), count(DISTINCT signal) FROM samples WHERE time <= '{until}'");
        ran(&["sql", "--json", &query]).json()["rows"][0].clone()
    };
    assert!(filled > 60_000, "{filled}");
    let mut watch = Process::spawn(home.command(&[
        "watch",
        "works/leeds/energy/power",
        "--json",
        "--plant",
        "works",
        "--count",
        "3",
    ]));
    let times: Vec<String> = (0..3)
        .map(|_| {
            serde_json::from_str::<Json>(&watch.line("power")).expect("JSON")["time"]
                .as_str()
                .expect("a time")
                .to_owned()
        })
        .collect();
    assert!(times[0] < times[1] && times[1] < times[2], "the values do not move: {times:?}");
    let first = ran(&["sql", "--json", "SELECT min(time), max(time) FROM samples"]).json()["rows"][0].clone();
    // Up to the first live sample that we saw, all that was said to be filled in is there, and nothing twice.
    let total = count(&times[0]);
    let signals = total[1].as_u64().expect("a number");
    assert!((50..=80).contains(&signals), "{total}");
    let live_max = signals * (before.elapsed().as_secs() + 2);
    let kept = total[0].as_u64().expect("a number");
    assert!(kept >= filled && kept <= filled + live_max, "{kept} kept, {filled} filled in");
    process.signal(Signal::TERM);
    assert!(process.end().success());
    let (mut process, again) = demo(&home);
    assert!(again < filled / 10, "{again} filled in again");
    assert_eq!(count(&times[0]), total, "the past changed with a second start");
    let second =
        ran(&["sql", "--json", "SELECT min(time), max(time) FROM samples"]).json()["rows"][0].clone();
    assert_eq!(first[0], second[0]);
    process.signal(Signal::TERM);
    assert!(process.end().success());
    assert!(before.elapsed() < 2 * PATIENCE);
}

#[test]
fn the_demo_says_what_there_is_as_json() {
    let home = Home::new();
    let mut process = Process::spawn(home.command(&["demo", "--json", "--days", "1", "--dir", "works"]));
    let hello: Json = serde_json::from_str(&process.line("\"ready\"")).expect("an object on one line");
    assert_eq!(process.lines_so_far().len(), 1, "{:?}", process.lines_so_far());
    assert_eq!(
        (&hello["ready"], &hello["demo"], &hello["days"]),
        (&json!(true), &json!(true), &json!(1)),
        "{hello}"
    );
    let address =
        hello["http"][0].as_str().and_then(|text| text.strip_prefix("http://")).expect("an address");
    let address = address.parse().expect("host and port");
    crate::client::Request::new(address, "GET", "/health/ready").send().expect(200);
    let signals = home.run(&["signals", "works/#", "--json", "--plant", "works"]).expect(0).json();
    assert_eq!(signals.as_array().map(Vec::len), hello["signals"].as_u64().map(|count| count as usize));
    assert!(hello["samples"].as_u64() > Some(30_000) && hello["seconds"].as_f64() > Some(0.0), "{hello}");
    // What it says to try can be tried.
    let commands = hello["try"].as_array().expect("a list");
    assert!(!commands.is_empty() && commands.iter().all(Json::is_string), "{hello}");
    process.signal(Signal::TERM);
    assert!(process.end().success());
}

/// Killed in the middle of its filling, each time further on, the demo goes on so that no minute is missing and none has
/// two values.
#[test]
fn a_demo_killed_while_it_fills_leaves_no_hole_and_nothing_twice() {
    const DAYS: u64 = 4;
    let home = Home::new();
    let words = ["demo", "--headless", "--days", "4", "--dir", "works"];
    let rows = |query: &str| {
        let ran = home.run(&["sql", "--json", query, "--plant", "works"]);
        (ran.code == Some(0)).then(|| ran.json()["rows"].clone())
    };
    for part in 1..=5 {
        let mut process = Process::spawn(home.command(&words));
        let until = Instant::now() + PATIENCE;
        let wanted = DAYS * 1_440 * 50 * part / 7;
        let samples = || rows("SELECT count(*) FROM samples").and_then(|rows| rows[0][0].as_u64());
        while samples().is_none_or(|samples| samples < wanted) {
            assert!(Instant::now() < until, "the demo does not fill its days");
        }
        process.signal(Signal::KILL);
        process.end();
    }
    let mut process = Process::spawn(home.command(&words));
    process.line("DEMO plant ready");
    // Numbers are sent every minute; the machines' own steps, a second apart, come after the last minute.
    let minutes = "SELECT signal, time, count(*) AS values, \
         lag(time) OVER (PARTITION BY signal ORDER BY time) AS before FROM samples \
         WHERE signal IN ('works/leeds/energy/power', 'works/leeds/oven/zone2/temperature', 'works/leeds/press/st3/vibration') \
         AND CAST(time AS BIGINT) % 60000000000 = 0 GROUP BY signal, time";
    let found = rows(&format!(
        "SELECT count(*) > {least}, max(values), max(CAST(time AS BIGINT) - CAST(before AS BIGINT)) FROM ({minutes})",
        least = 3 * (DAYS * 1_440 - 1)
    ));
    assert_eq!(found, Some(json!([[true, 1, 60_000_000_000_i64]])));
    // No step lies between the minutes, but for the live ones.
    let others = rows(
        "SELECT count(*) FROM samples WHERE CAST(time AS BIGINT) % 60000000000 <> 0 AND time < now() - INTERVAL '5 minutes'",
    );
    assert_eq!(others, Some(json!([[0]])));
}
