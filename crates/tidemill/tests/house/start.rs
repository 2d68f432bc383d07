//! The first start, and every start that must not be: what is made, who may see it, where it listens, what is refused.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::plant::{Home, Plant, Process, ran};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it stands").permissions().mode() & 0o777
}

/// Who types in the folder of a stopped plant means that one, whatever else runs.
#[test]
fn a_stopped_plant_is_not_hidden_by_one_that_runs() {
    let plant = Plant::start();
    let other = plant.home.path("other");
    std::fs::create_dir(&other).expect("a folder");
    plant.home.file("other/tidemill.toml", "");
    let mut command = plant.home.command(&[]);
    command.current_dir(&other);
    let told = ran(command).expect(0).out;
    assert!(told.contains(&format!("{}: all is well", plant.home.plant().display())), "{told}");
    assert!(told.contains(&format!("mean {}; it does not run", other.display())), "{told}");
    assert!(told.contains("tidemill run "), "{told}");
}

#[test]
fn a_first_start_makes_commented_defaults_for_the_owner_only() {
    let plant = Plant::start();
    let folder = plant.home.plant();
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("data")), 0o700);
    assert_eq!(mode(&folder.join("tidemill.toml")), 0o600);
    let text = std::fs::read_to_string(folder.join("tidemill.toml")).expect("it is made");
    for line in text.lines().filter(|line| !line.is_empty()) {
        let defaults = line.starts_with('#') || line.starts_with('[') || line.starts_with("name = \"plant\"");
        assert!(defaults, "not a commented default: {line}");
    }
    for key in ["listen", "durability", "keep", "free_min", "memory", "signals", "timezone"] {
        assert!(
            text.lines().any(|line| line.starts_with(&format!("#{key} = "))),
            "{key} is not there:\n{text}"
        );
    }
    // Taking the '#' away from every default changes nothing that `check` minds.
    let taken: String = text
        .lines()
        .map(|line| {
            let is_key = line.strip_prefix('#').is_some_and(|rest| !rest.starts_with(' '));
            format!("{}\n", if is_key { &line[1..] } else { line })
        })
        .collect();
    assert_ne!(taken, text);
    std::fs::write(folder.join("tidemill.toml"), taken).expect("the owner may write");
    plant.run(&["check"]).expect(0);
}

/// The addresses on which a process listens: its sockets by inode, in the kernel's tables.
fn listens_on(process: u32) -> Vec<String> {
    let sockets: Vec<String> = std::fs::read_dir(format!("/proc/{process}/fd"))
        .expect("our own process")
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let mut addresses = Vec::new();
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let text = std::fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let listens = fields[3] == "0A" || table.starts_with("udp");
            if listens && sockets.iter().any(|inode| inode == fields[9]) {
                addresses.push(fields[1].split(':').next().unwrap_or_default().to_owned());
            }
        }
    }
    addresses
}

#[test]
fn it_listens_on_loopback_only() {
    let home = Home::new();
    let mut command = home.command(&["run"]);
    command.env("TIDEMILL_HTTP_LISTEN", r#"["127.0.0.1:0", "[::1]:0"]"#);
    let mut process = Process::spawn(command);
    let ready = process.line("ready: ");
    let addresses = listens_on(process.id());
    // As the kernel writes 127.0.0.1 and ::1 on little- and big-endian machines.
    let loopback =
        ["0100007F", "7F000001", "00000000000000000000000001000000", "00000000000000000000000000000001"];
    assert!(!addresses.is_empty(), "{ready}");
    assert!(addresses.iter().all(|address| loopback.contains(&address.as_str())), "{addresses:?}");
    assert_eq!(
        addresses.len(),
        ready.matches("http://").count(),
        "the ready line has every address: {ready}"
    );
    // And the defaults, which a test cannot take from this machine, are loopback too.
    let file =
        std::fs::read_to_string(home.path("plant/tidemill.toml")).expect("./plant is the default folder");
    assert!(file.contains(r#"#listen = ["127.0.0.1:8440", "[::1]:8440"]"#), "{file}");
}

#[test]
fn beyond_loopback_nothing_plain_listens_without_a_zone_that_says_so() {
    let home = Home::new();
    let mut command = home.command(&["run"]);
    command.env("TIDEMILL_HTTP_LISTEN", r#"[{ address = "0.0.0.0:0", tls = false }]"#);
    let ran = crate::plant::ran(command).expect_problem("bad-configuration");
    assert!(ran.err.contains("beyond loopback"), "{}", ran.err);
}

#[test]
fn a_second_start_says_that_the_plant_runs() {
    let plant = Plant::start();
    let second = plant.home.run(&["run", "--plant", "plant"]).expect_problem("plant-locked");
    assert!(second.err.contains(&plant.home.plant().display().to_string()), "{}", second.err);
    plant.ok(&["write", "a/b", "1"]);
}

#[test]
fn a_taken_port_says_who_holds_it() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = holder.local_addr().expect("it is bound");
    let home = Home::new();
    let mut command = home.command(&["run"]);
    command.env("TIDEMILL_HTTP_LISTEN", format!(r#"["{address}"]"#));
    let ran = crate::plant::ran(command).expect_problem("address-taken");
    assert!(ran.err.contains(&address.to_string()), "{}", ran.err);
    assert!(ran.err.contains(&format!("process {}", std::process::id())), "{}", ran.err);
}

#[test]
fn a_wrong_key_is_named_with_its_line_and_the_nearest_known_one() {
    let home = Home::new();
    std::fs::create_dir(home.plant()).expect("a folder");
    home.file(
        "plant/tidemill.toml",
        "[plant]\nname = \"p\"\n[storage]\nkep = \"1y\"\n[limits]\nsignals = \"many\"\n",
    );
    let run = home.run(&["run", "--plant", "plant"]).expect_problem("bad-configuration");
    let check = home.run(&["check", "--plant", "plant"]).expect(3);
    for told in [&run.err, &check.out] {
        for part in ["tidemill.toml:4", "kep", "'keep'", "tidemill.toml:6", "signals"] {
            assert!(told.contains(part), "no {part}: {told}");
        }
    }
    let json = home.run(&["check", "--plant", "plant", "--json"]).expect(3).json();
    assert_eq!(json[0]["line"], 4, "{json}");
    assert!(!home.plant().join("data/journal").exists(), "a plant with a bad file was opened");
    // A variable of the environment is checked and named the same way.
    let mut command = home.command(&["run", "--plant", "other"]);
    command.env("TIDEMILL_STORAGE_KEEP", "soon");
    let ran = crate::plant::ran(command).expect_problem("bad-configuration");
    assert!(ran.err.contains("TIDEMILL_STORAGE_KEEP"), "{}", ran.err);
}

#[test]
fn under_a_service_manager_a_missing_folder_is_an_error() {
    let home = Home::new();
    let mut command = home.command(&["run", "--plant", "mistyped"]);
    command.env("INVOCATION_ID", "0123456789abcdef0123456789abcdef");
    crate::plant::ran(command).expect_problem("no-plant");
    assert!(!home.path("mistyped").exists(), "a mistyped path became a plant");
    // An installer says that a new one is wanted; what stands is left as it is.
    for _ in 0..2 {
        let mut command = home.command(&["run", "--init", "--plant", "wanted"]);
        command.env("INVOCATION_ID", "0123456789abcdef0123456789abcdef");
        crate::plant::ran(command).expect(0);
        assert_eq!(mode(&home.path("wanted")), 0o700);
        let file = home.path("wanted/tidemill.toml");
        assert!(std::fs::read_to_string(&file).is_ok_and(|text| text.contains("name = \"wanted\"")));
    }
    // And by hand, a folder that holds something else is not taken over.
    std::fs::create_dir(home.path("photos")).expect("a folder");
    home.file("photos/one.jpg", "x");
    home.run(&["run", "--plant", "photos"]).expect_problem("no-plant");
    assert!(!home.path("photos/data").exists());
}

#[test]
fn a_service_manager_is_told_when_the_plant_is_ready_and_when_it_stops() {
    let home = Home::new();
    let socket = std::os::unix::net::UnixDatagram::bind(home.path("notify")).expect("bound");
    socket.set_read_timeout(Some(crate::plant::PATIENCE)).expect("set");
    let heard = || {
        let mut text = [0; 1024];
        let length = socket.recv(&mut text).expect("the plant says something");
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    let mut command = home.command(&["run"]);
    command.env("NOTIFY_SOCKET", home.path("notify")).env("WATCHDOG_USEC", "200000");
    let mut process = Process::spawn(command);
    let ready = heard();
    assert!(ready.starts_with("READY=1\nSTATUS=ready: http://127.0.0.1:"), "{ready}");
    assert_eq!(heard(), "WATCHDOG=1");
    assert!(process.line("ready: ").contains(ready.rsplit(' ').next().unwrap_or_default()));
    process.signal(rustix::process::Signal::TERM);
    let last = std::iter::repeat_with(heard).find(|text| text != "WATCHDOG=1");
    assert!(last.is_some_and(|text| text.starts_with("STOPPING=1\n")));
}

#[test]
fn without_a_plant_commands_say_so_and_with_several_they_list_them() {
    let home = Home::new();
    home.run(&["read"]).expect_problem("no-plant");
    home.run(&["read", "--plant", "nowhere"]).expect_problem("no-plant");
    let mut one = Process::spawn(home.command(&["run", "--plant", "one"]));
    one.line("ready: ");
    // The only one that runs is meant.
    home.run(&["write", "a/b", "1"]).expect(0);
    let mut two = Process::spawn(home.command(&["run", "--plant", "two"]));
    two.line("ready: ");
    let ran = home.run(&["read"]).expect_problem("many-plants");
    assert!(ran.err.contains("/one") && ran.err.contains("/two"), "{}", ran.err);
    home.run(&["read", "--plant", "one"]).expect(0);
    // Where `run` made `./plant`, that one is meant, whatever else runs.
    let mut here = Process::spawn(home.command(&["run"]));
    here.line("ready: ");
    home.run(&["write", "of/here", "1"]).expect(0);
    assert!(home.run(&["signals", "--plant", "plant"]).expect(0).out.contains("of/here"));
    assert!(!home.run(&["signals", "--plant", "one"]).expect(0).out.contains("of/here"));
    drop(one);
    // One that does not run says how it is started.
    let ran = home.run(&["read", "--plant", "one"]).expect_problem("not-running");
    assert!(ran.err.contains("run --plant"), "{}", ran.err);
}

/// On a terminal, as its first user has it: output that only a terminal sees must not fail.
#[test]
fn it_speaks_to_a_terminal() {
    let plant = Plant::start();
    let ours = plant.home.command(&[]);
    let mut command = std::process::Command::new("script");
    command.args(["-qec", concat!(env!("CARGO_BIN_EXE_tidemill"), " run --plant plant"), "/dev/null"]);
    command.current_dir(plant.home.path("")).env_clear();
    command.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
    match command.stdin(std::process::Stdio::null()).output() {
        Err(_) => crate::plant::skip("it_speaks_to_a_terminal", "there is no `script` (bsdutils) here"),
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(output.status.code(), Some(1), "{told}");
            assert!(told.starts_with("error [plant-locked]: "), "{told}");
        }
    }
}

/// What failed, on what, and why; also for `root`, who may write everywhere.
#[test]
fn a_folder_that_cannot_be_made_or_written_is_named_with_the_reason() {
    let home = Home::new();
    home.file("file", "not a folder");
    for words in [&["run", "--plant", "file/plant"][..], &["demo", "--headless", "--dir", "file/plant"]] {
        let ran = home.run(words).expect_problem("file-unwritable");
        for part in ["folder", "file/plant/data", "cannot be made", "Not a directory"] {
            assert!(ran.err.contains(part), "no {part}: {}", ran.err);
        }
    }
    // Whose plant it is does not matter then, and is not in the mend.
    std::os::unix::fs::symlink(home.path("nowhere/plant"), home.path("link")).expect("a link");
    for (place, why, mend) in [
        ("file", "Not a directory", "Something else stands there"),
        ("link", "File exists", "Something else stands there"),
        ("/proc/plant", "No such file", "Nothing can be made in that place"),
    ] {
        let ran = home.run(&["run", "--plant", place]).expect_problem("file-unwritable");
        assert!(ran.err.contains(why) && ran.err.contains(mend), "{place}: {}", ran.err);
        assert!(!ran.err.contains("Run as the user"), "{place}: {}", ran.err);
    }
    std::fs::create_dir_all(home.path("plant/data/lock")).expect("a folder in the temporary folder");
    home.file("plant/tidemill.toml", "");
    let ran = home.run(&["run", "--plant", "plant"]).expect_problem("file-unwritable");
    for part in ["plant/data/lock", "cannot be locked", "Is a directory"] {
        assert!(ran.err.contains(part), "no {part}: {}", ran.err);
    }
}

#[test]
fn a_demo_goes_into_no_folder_that_others_prepared() {
    let home = Home::new();
    let user = std::fs::metadata(home.path("")).expect("it stands").uid();
    let folder = home.path(&format!("tidemill-demo-{user}"));
    let demo = || {
        let mut command = home.command(&["demo", "--headless"]);
        command.env("TMPDIR", home.path(""));
        ran(command).expect_problem("file-unwritable")
    };
    std::fs::create_dir(home.path("victim")).expect("it is ours");
    std::os::unix::fs::symlink(home.path("victim"), &folder).expect("a link");
    assert!(demo().err.contains("is no folder"));
    std::fs::remove_file(&folder).expect("it is ours");
    std::fs::create_dir(&folder).expect("it is ours");
    std::fs::set_permissions(&folder, Permissions::from_mode(0o777)).expect("it is ours");
    assert!(demo().err.contains("can be written by other users"));
    assert_eq!(std::fs::read_dir(home.path("victim")).expect("it stands").count(), 0);
    assert_eq!(std::fs::read_dir(&folder).expect("it stands").count(), 0);
}

#[test]
fn a_demo_that_cannot_go_on_ends() {
    let home = Home::new();
    std::fs::create_dir(home.path("works")).expect("it is ours");
    home.file("works/tidemill.toml", "[limits]\nsignals = 5\n");
    home.run(&["demo", "--headless", "--days", "1", "--dir", "works"]).expect_problem("signals-limit");
}
