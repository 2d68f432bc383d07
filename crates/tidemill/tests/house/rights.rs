//! Who may do what: a token sees and changes what it was given and nothing else, by every way out of the plant; the
//! folder's owner needs no token, nobody else passes as the owner; and who did what is kept and cannot be altered unseen.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::time::Instant;

use serde_json::{Value as Json, json};

use crate::client::Request;
use crate::plant::{Home, PATIENCE, Plant, Process, ran};

/// A plant with one signal that the reader may see, and one that it may not.
fn two_branches() -> (Plant, String) {
    let plant = Plant::start();
    plant.ok(&["write", "open/level", "1"]);
    plant.ok(&["write", "secret/recipe", "42"]);
    plant.ok(&["signals", "set", "secret/recipe", "description=secret sauce"]);
    let reader = plant.token("reader", &["read:open/#", "write:open/in/#"]);
    (plant, reader)
}

#[test]
fn a_reader_sees_its_signals_and_no_trace_of_others() {
    let (plant, reader) = two_branches();
    let as_reader = |words: &[&str]| plant.run_as(&reader, words).expect(0).out;
    let mut told = vec![
        as_reader(&["read", "#", "--json"]),
        as_reader(&["read", "secret/recipe", "--json"]),
        as_reader(&["read", "#", "--at", "now", "--json"]),
        as_reader(&["signals", "--json"]),
        as_reader(&["sql", "--json", "SELECT * FROM samples"]),
        as_reader(&["sql", "--json", "SELECT * FROM signals"]),
        as_reader(&["sql", "--json", "SELECT a.signal, b.value FROM signals a JOIN samples b ON true"]),
        as_reader(&["sql", "--json", "SELECT count(*), max(value) FROM samples"]),
    ];
    assert!(
        told[0].contains("open/level") && told[3].contains("open/level") && told[4].contains("open/level")
    );
    let counted: serde_json::Value = serde_json::from_str(&told[7]).expect("JSON");
    assert_eq!(counted["rows"], json!([[1, 1.0]]));
    let tables = plant.sql(
        "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_schema = 'sys'",
    );
    assert!(tables.as_array().is_some_and(|rows| rows.len() > 5), "{tables}");
    for table in tables.as_array().into_iter().flatten() {
        let query = format!("SELECT * FROM {}", table[0].as_str().expect("a name"));
        let ran = plant.run_as(&reader, &["sql", "--json", &query]);
        told.push(format!("{query}: {} {}", ran.out, ran.err));
    }
    for why in [
        &["why", "secret/recipe"][..],
        &["signals", "set", "secret/recipe", "unit=bar"],
        &["signals", "delete", "secret/recipe", "--reason", "x"],
    ] {
        let ran = plant.run_as(&reader, why).expect(1);
        assert!(!ran.err.contains("sauce") && !ran.err.contains("42"), "{}", ran.err);
    }
    for text in told {
        assert!(!text.contains("secret") && !text.contains("42.0"), "{text}");
    }
}

#[test]
fn a_live_subscription_sees_only_what_may_be_read_and_ends_with_its_token() {
    let (plant, reader) = two_branches();
    let mut command = plant.home.command(&["watch", "#", "--json"]);
    command.env("TIDEMILL_URL", format!("http://{}", plant.address)).env("TIDEMILL_TOKEN", &reader);
    let mut watch = Process::spawn(command);
    // The last values come first: then it is subscribed.
    watch.line("open/level");
    plant.ok(&["write", "secret/recipe", "43"]);
    plant.ok(&["write", "open/level", "2"]);
    let line = watch.line("open/level");
    assert!(line.contains("2"), "{line}");
    assert!(watch.lines_so_far().iter().all(|line| !line.contains("secret")));
    plant.ok(&["token", "revoke", "reader"]);
    watch.end();
}

#[test]
fn what_a_token_may_not_is_refused_with_a_code() {
    let (plant, reader) = two_branches();
    let forbidden = plant.run_as(&reader, &["write", "secret/recipe", "1"]).expect_problem("forbidden");
    assert!(forbidden.err.contains("secret/recipe"), "{}", forbidden.err);
    plant.run_as(&reader, &["write", "open/level", "1"]).expect_problem("forbidden");
    plant.run_as(&reader, &["write", "open/in/level", "1"]).expect(0);
    for words in [
        &["token", "create", "mine", "--allow", "administer:#"][..],
        &["token", "list"],
        &["audit"],
        &["audit", "verify"],
        &["access", "list"],
    ] {
        plant.run_as(&reader, words).expect_problem("forbidden");
    }
    assert_eq!(plant.sql("SELECT value FROM samples WHERE signal = 'secret/recipe'"), json!([[42.0]]));
}

/// Not even by the owner, whatever a token was given, and by no way around: a name there would be one to write to.
#[test]
fn the_house_alone_writes_its_branch() {
    let home = Home::new();
    std::fs::create_dir_all(home.plant().join("connections")).expect("a folder in the temporary folder");
    let template = "[[template]]\nmatch = { measurement = \"cpu\" }\npath = \"tidemill/{host}/{field}\"\n";
    home.file("plant/connections/line-protocol.toml", template);
    home.file("plant/tidemill.toml", "");
    home.file("rows.csv", "time,x\n2026-03-01T00:00:00Z,1\n");
    let plant = home.start();
    plant.ok(&["write", "open/level", "1"]);
    let token = plant.token("all", &["write:#", "configure:#", "command:#", "read:#", "administer:#"]);
    let commands: [&[&str]; 6] = [
        &["write", "tidemill/x", "1"],
        &["write", "tidemill", "1"],
        &["signals", "rename", "open/level", "tidemill/time"],
        &["signals", "rename", "open/level", "tidemill"],
        &["signals", "set", "tidemill/time", "unit=bar"],
        &["signals", "delete", "tidemill/time", "--reason", "x"],
    ];
    for words in commands {
        plant.run(words).expect_problem("forbidden");
        plant.run_as(&token, words).expect_problem("forbidden");
    }
    assert_ne!(plant.run(&["import", "rows.csv", "--prefix", "tidemill"]).code, Some(0));
    for edit in ["alias", "rename"] {
        let patch = Request::new(plant.address, "PATCH", "/api/v1/signals?signal=open/level").token(&token);
        let body = json!({ edit: "tidemill/x" }).to_string();
        patch.body("application/json", body).send().expect_problem(403, "forbidden");
    }
    for (number, door) in ["/api/v1/write", "/write", "/api/v2/write", "/api/v3/write_lp"].iter().enumerate()
    {
        // Each by another: of a flood the audit keeps its beginning.
        let token = plant.token(&format!("all{number}"), &["write:#"]);
        // The last is named so by the template.
        for line in ["tidemill/x value=5", "tidemill x=5", "cpu,host=a idle=5"] {
            let answer = plant.post(door).token(&token).body("text/plain", line).send();
            assert!((400..500).contains(&answer.status), "{door} {line}: {}", answer.text());
        }
    }
    // Who looks through the audit learns why, by whichever door it was.
    let refused = plant.run(&["audit", "--json"]).expect(0).json();
    let refused: Vec<String> = refused["rows"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|row| row[5] == "access.refused")
        .map(|row| format!("{} {}", row[6].as_str().unwrap_or_default(), row[8].as_str().unwrap_or_default()))
        .collect();
    assert!(!refused.iter().any(|row| row.contains("\"why\":\"\"")), "{refused:#?}");
    for door in ["POST /write ", "POST /api/v2/write ", "POST /api/v3/write_lp "] {
        let told = refused.iter().any(|row| row.starts_with(door) && row.contains("by the house alone"));
        assert!(told, "{door}: {refused:#?}");
    }
    let named = "SELECT count(*) FROM signals WHERE signal LIKE 'tidemill%' OR aliases LIKE '%tidemill%'";
    assert_eq!(plant.sql(named), json!([[0]]));
    for right in ["write:tidemill/#", "configure:tidemill/x", "command:tidemill/#"] {
        plant.run(&["token", "create", "no", "--allow", right]).expect_usage("bad-parameter");
    }
}

/// An old name leads to the signal, and not past the rights on its new one.
#[test]
fn an_old_name_does_not_lead_past_the_rights() {
    let (plant, reader) = two_branches();
    plant.ok(&["write", "open/plan", "4711"]);
    plant.ok(&["signals", "rename", "open/plan", "secret/plan"]);
    assert!(plant.ok(&["why", "open/plan"]).contains("secret/plan"));
    let told = plant.run_as(&reader, &["why", "open/plan"]).expect_problem("not-found");
    assert!(!told.err.contains("secret") && !told.err.contains("4711"), "{}", told.err);
}

/// The other way round: what counts is the present name. Whoever may read the signal by it may type any of its names, and
/// every question finds it; none tells a name that was not typed.
#[test]
fn a_name_outside_the_scope_leads_to_a_signal_that_may_be_read() {
    let (plant, reader) = two_branches();
    plant.ok(&["write", "secret/level", "4711"]);
    plant.ok(&["signals", "rename", "secret/level", "open/depth"]);
    plant.ok(&["signals", "set", "open/depth", "alias=secret/third"]);
    let questions: [&[&str]; 6] = [
        &["why", "secret/level"],
        &["why", "secret/level", "--at", "now"],
        &["why", "open/depth"],
        &["read", "secret/level"],
        &["sql", "SELECT signal, value FROM samples WHERE signal = 'secret/level'"],
        &["sql", "SELECT signal, value FROM read('secret/level')"],
    ];
    for words in questions {
        let told = plant.run_as(&reader, words).expect(0).out;
        assert!(told.contains("open/depth") && told.contains("4711"), "{words:?}: {told}");
        assert!(!told.contains("third"), "{words:?}: {told}");
    }
    // A name that leads nowhere and one that leads past the rights are told alike.
    let told =
        |name| plant.run_as(&reader, &["why", name]).expect_problem("not-found").err.replace(name, "*");
    assert_eq!(told("secret/recipe"), told("secret/nothing"));
}

#[test]
fn without_a_token_nothing_is_told_and_a_revoked_one_is_none() {
    let (plant, reader) = two_branches();
    for path in [
        "/api/v1/read?signal=**",
        "/api/v1/signals",
        "/api/v1/live",
        "/api/v1/tokens",
        "/api/v1/audit",
        "/api/v1/access",
    ] {
        plant.get(path).send().expect_problem(401, "unauthenticated");
        plant
            .get(path)
            .token("tm_0000000000000000000000000000")
            .send()
            .expect_problem(401, "unauthenticated");
    }
    for path in ["/api/v1/write", "/api/v1/sql", "/api/v1/tokens", "/api/v1/reload"] {
        plant
            .post(path)
            .body("text/plain", "open/in/x value=1")
            .send()
            .expect_problem(401, "unauthenticated");
    }
    plant.run_as("", &["read"]).expect_problem("unauthenticated");
    for path in ["/health/live", "/health/ready", "/health", "/ready", "/api/v1/openapi.json", "/metrics"] {
        plant.get(path).send().expect(200);
    }
    let read = |token: &str| plant.get("/api/v1/read?signal=open/level").token(token).send();
    read(&reader).expect(200);
    let fresh = plant.ok(&["token", "rotate", "reader"]).trim().to_owned();
    assert_ne!(fresh, reader);
    read(&reader).expect(200);
    read(&fresh).expect(200);
    plant.ok(&["token", "revoke", "reader"]);
    read(&reader).expect_problem(401, "unauthenticated");
    read(&fresh).expect_problem(401, "unauthenticated");
    assert!(!plant.ok(&["token", "list"]).contains("reader"));
    // A secret is nowhere in the plant's files.
    let (token, folder) = (plant.token("press", &["write:#"]), plant.home.plant());
    assert!(token.len() <= 32, "{token}");
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("our own folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if let Ok(bytes) = std::fs::read(entry.path()) {
                let hit = bytes.windows(token.len()).any(|window| window == token.as_bytes());
                assert!(!hit, "{} holds a secret", entry.path().display());
            }
        }
    }
}

#[test]
fn access_why_names_the_rule() {
    let (plant, _) = two_branches();
    let yes = plant.run(&["access", "why", "reader", "read", "open/level"]).expect(0);
    assert!(yes.out.contains("yes") && yes.out.contains("read:open/#"), "{}", yes.out);
    let no = plant.run(&["access", "why", "token:reader", "write", "secret/recipe"]).expect(3);
    assert!(no.out.contains("no"), "{}", no.out);
    plant.ok(&["token", "create", "both", "--allow", "read:a/#", "write:a/#", "--allow", "read:b/#"]);
    let rights = plant.ok(&["token", "list"]);
    assert!(rights.contains("read:a/# write:a/# read:b/#"), "{rights}");
    plant.run(&["access", "why", "nobody", "read", "open/level"]).expect_problem("not-found");
    plant.run(&["access", "why", "reader", "raed", "open/level"]).expect(2);
    assert!(plant.ok(&["access", "list"]).contains("read:open/#"));
}

/// `access why` says of earlier and further names what the doors do: what counts is the present one.
#[test]
fn access_why_answers_for_every_name_as_the_doors_do() {
    let plant = Plant::start();
    for (name, further) in [("pub/z", "sec/y"), ("sec/h", "pub/h"), ("pub/o", "pub/p")] {
        plant.ok(&["write", name, "1"]);
        plant.ok(&["signals", "set", name, &format!("alias={further}")]);
    }
    plant.ok(&["write", "sec/was", "1"]);
    plant.ok(&["signals", "rename", "sec/was", "pub/is"]);
    plant.ok(&["signals", "set", "pub/o", "owner=token:other"]);
    let token = plant.token("both", &["read:pub/#", "write:pub/#"]);
    plant.token("other", &["write:pub/#"]);
    // What is asked, the name now, and whether it may be.
    let asked = [
        ("read", "sec/y", Some("pub/z"), true),
        ("read", "pub/h", Some("sec/h"), false),
        ("read", "sec/was", Some("pub/is"), true),
        ("read", "pub/z", None, true),
        ("read", "pub/nothing", None, true),
        ("write", "pub/h", Some("sec/h"), false),
        ("write", "sec/y", Some("pub/z"), false),
        ("write", "pub/z", None, true),
        ("write", "pub/p", Some("pub/o"), false),
    ];
    for (verb, name, now, may) in asked {
        let said = plant.run(&["access", "why", "both", verb, name]).expect(if may { 0 } else { 3 }).out;
        assert_eq!(said.starts_with("yes: "), may, "{verb} {name}: {said}");
        match now {
            Some(now) => assert!(said.contains(&format!("(the name now: {now})")), "{verb} {name}: {said}"),
            None => assert!(!said.contains("now"), "{verb} {name}: {said}"),
        }
        let done = match verb {
            "read" => {
                let got = plant.get(&format!("/api/v1/read?signal={name}")).token(&token).send().expect(200);
                got.json() != json!([])
            }
            _ => {
                let sample = json!([{ "signal": name, "value": 2 }]).to_string();
                let write = plant.post("/api/v1/write").token(&token).body("application/json", sample);
                write.send().status == 204
            }
        };
        assert_eq!(done, may && name != "pub/nothing", "{verb} {name}: the door does otherwise");
    }
    let other = plant.run(&["access", "why", "other", "write", "pub/p"]).expect(0);
    assert!(other.out.contains("(the name now: pub/o)"), "{}", other.out);
    let json = plant.run(&["access", "why", "owner", "read", "sec/y", "--json"]).expect(0).json();
    assert_eq!((&json["allowed"], &json["name_now"]), (&json!(true), &json!("pub/z")));
}

#[test]
fn the_control_socket_is_for_the_owner() {
    let (plant, _) = two_branches();
    let data = plant.home.plant().join("data");
    let mode = std::fs::metadata(&data).expect("it stands").permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "others reach the control socket");
    if !rustix::process::getuid().is_root() {
        // Only root can try as somebody else; the folder's mode was looked at.
        return;
    }
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    // The binary may stand where only root may go: a copy beside the plant.
    let program = plant.home.path("program");
    std::fs::copy(env!("CARGO_BIN_EXE_tidemill"), &program).expect("room for a copy");
    let as_nobody = |words: &[&str]| {
        let mut command = std::process::Command::new(&program);
        command
            .args(words)
            .env_clear()
            .env("TIDEMILL_PLANT", plant.home.plant())
            .current_dir("/")
            .uid(65_534)
            .gid(65_534);
        ran(command)
    };
    open(&plant.home.path(""), 0o755);
    open(&plant.home.plant(), 0o755);
    open(&plant.home.plant().join("tidemill.toml"), 0o644);
    let refused = as_nobody(&["read", "secret/recipe"]).expect_problem("forbidden");
    for part in ["control socket", "the user who owns the folder", "--token"] {
        assert!(refused.err.contains(part), "no '{part}': {}", refused.err);
    }
    assert!(!refused.err.contains("does not run"), "{}", refused.err);
    // Even where somebody opened the folders and the socket: the kernel says who calls.
    open(&data, 0o755);
    open(&data.join("control.sock"), 0o777);
    for words in [
        &["read", "secret/recipe"][..],
        &["sql", "SELECT * FROM samples"],
        &["token", "create", "x", "--allow", "read:#"],
    ] {
        let ran = as_nobody(words).expect(1);
        assert!(
            ran.err.contains("error [unauthenticated]") || ran.err.contains("error [forbidden]"),
            "{}",
            ran.err
        );
        assert!(!ran.out.contains("42"), "{}", ran.out);
    }
}

#[test]
fn foreign_names_and_origins_are_refused() {
    let (plant, reader) = two_branches();
    let get = |host: &str| plant.get("/api/v1/signals").token(&reader).header("Host", host).send();
    for host in ["localhost", "127.0.0.1:9999", &plant.address.to_string(), "[::1]"] {
        get(host).expect(200);
    }
    for host in ["evil.example", "evil.example:8440", "127.0.0.1.evil.example", "localhost.evil.example"] {
        let answer = get(host);
        assert!((400..500).contains(&answer.status), "{host}: {}", answer.text());
        assert!(!answer.text().contains("open/level"), "{host}");
    }
    let write = |origin: &str| {
        let request = plant.post("/api/v1/write").token(&reader).header("Origin", origin);
        request.body("text/plain", "open/in/x value=1").send()
    };
    write(&format!("http://{}", plant.address)).expect(204);
    write("http://evil.example").expect_problem(403, "forbidden");
    // Nobody's other pages may read: there is no CORS.
    let answer = plant.get("/api/v1/signals").token(&reader).header("Origin", "http://evil.example").send();
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn the_audit_log_says_who_did_what_and_a_flipped_byte_is_found() {
    let (plant, reader) = two_branches();
    plant.run_as(&reader, &["token", "list"]).expect_problem("forbidden");
    // A refusal is answered before it stands there: nobody waits for it.
    let until = Instant::now() + PATIENCE;
    let entries = loop {
        let entries = plant.ok(&["audit", "--json"]);
        if entries.contains("refused") || Instant::now() > until {
            break entries;
        }
    };
    for part in ["token.create", "token:reader", "signal.edit", "owner:", "refused"] {
        assert!(entries.contains(part), "no {part}: {entries}");
    }
    assert!(!entries.contains(&reader), "the audit log holds a secret");
    // Text, JSON and the line in the file say the same: what is kept elsewhere must be found again.
    let seen = plant.run(&["audit", "verify", "--json"]).expect(0).json();
    let last = format!("entry {}, hash {}", seen["last"], seen["hash"].as_str().unwrap_or_default());
    let printed = plant.run(&["audit", "verify"]).expect(0).out;
    assert_eq!(printed.lines().last(), Some(last.as_str()), "{printed}");
    let rows = plant.sql("SELECT count(*) FROM sys.audit WHERE action = 'token.create' AND result = 'done'");
    assert_eq!(rows, json!([[1]]));
    let folder = plant.home.plant().join("data/guard/audit");
    let file = crate::plant::files_below(&folder, "tma").pop().expect("a file of the audit log");
    let whole = std::fs::read(&file).expect("it is ours");
    let place = whole.windows(12).position(|window| window == b"token:reader").expect("the entry") + 8;
    let mut altered = whole.clone();
    altered[place] ^= 1;
    std::fs::write(&file, &altered).expect("it is ours");
    let found = plant.run(&["audit", "verify"]).expect(3);
    assert!(found.out.contains("broken"), "{}", found.out);
    std::fs::write(&file, &whole).expect("it is ours");
    plant.run(&["audit", "verify", "--json"]).expect(0);
    // A plant that does not run, or cannot, is verified and read all the same, by its owner.
    let home = plant.stop();
    let verify = |code: i32| home.run(&["audit", "verify", "--plant", "plant"]).expect(code).out;
    assert!(verify(0).contains("intact"));
    let stopped = home.run(&["audit", "verify", "--plant", "plant", "--json"]).expect(0).json();
    let newest = std::fs::read_to_string(&file).expect("it is ours");
    let newest: Json = serde_json::from_str(newest.lines().last().unwrap_or_default()).expect("an entry");
    assert_eq!((&stopped["last"], &stopped["hash"]), (&newest["seq"], &newest["hash"]), "{stopped}");
    assert!(verify(0).ends_with(&format!(
        "entry {}, hash {}\n",
        newest["seq"],
        newest["hash"].as_str().unwrap_or_default()
    )));
    let listed = home.run(&["audit", "--plant", "plant", "--json"]).expect(0).json();
    assert!(listed["rows"].to_string().contains("token.create"), "{listed}");
    let table = home.run(&["audit", "--plant", "plant", "--limit", "3"]).expect(0).out;
    assert_eq!(table.lines().count(), 4, "{table}");
    std::fs::write(&file, &altered).expect("it is ours");
    assert!(verify(3).contains("broken"));
}

#[test]
fn what_was_answered_is_in_the_audit_table_at_once() {
    let mut plant = Plant::start();
    for round in 0..5 {
        plant.token(&format!("t{round}"), &["read:#"]);
        let newest = plant.run(&["audit", "--limit", "1", "--json"]).expect(0).json();
        let row = newest["rows"][0].to_string();
        assert!(row.contains("token.create") && row.contains(&format!("\"token:t{round}\"")), "{row}");
    }
    // Rereading the files by a signal is a change like any other.
    plant.home.file("plant/tidemill.toml", "[limits]\nsignals = 7\n");
    plant.process.signal(rustix::process::Signal::HUP);
    plant.process.log_line("configuration.read");
    plant.home.file("plant/tidemill.toml", "[limits]\nsignals = true\n");
    plant.process.signal(rustix::process::Signal::HUP);
    plant.process.log_line("configuration.refused");
    let applied = plant
        .sql("SELECT who, result, detail FROM sys.audit WHERE action = 'configuration.apply' ORDER BY seq");
    let told: Vec<String> = applied.as_array().into_iter().flatten().map(ToString::to_string).collect();
    assert_eq!(told.len(), 4, "{told:?}");
    for (row, part) in told.iter().zip(["intended", "changed", "intended", "signals = true"]) {
        assert!(row.contains("house:signal") && row.contains(part), "no {part}: {row}");
    }
}

/// The page names every table of the system, whichever room declares it.
#[test]
fn tables_of_the_system_stand_on_their_page() {
    let page = include_str!("../../../../docs/reference/sql.md");
    let plant = Plant::start();
    let rows = plant.sql("SELECT name FROM sys.tables WHERE name LIKE 'sys.%'");
    let names: Vec<&str> = rows.as_array().into_iter().flatten().filter_map(|row| row[0].as_str()).collect();
    assert!(names.contains(&"sys.audit"), "{names:?}");
    for name in names {
        assert!(page.contains(&format!("`{name}`")) || page.contains(&format!("**{name}**")), "{name}");
    }
}
