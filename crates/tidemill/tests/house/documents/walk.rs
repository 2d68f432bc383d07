//! A page walked as its reader walks it: its commands in their order, in one terminal and one fresh folder, beside the plant
//! that it starts, compared with what it shows. What a page's comments mean stands in `pages`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::process::Signal;

use super::pages::{Block, Page, is_shown};
use crate::formats::golden;
use crate::plant::{Home, PATIENCE, Process, ran, skip};

/// The line behind which a command's status stands.
const END: &str = "-- the command ended with ";
/// The ports that the pages speak of; tests run beside whatever has them here.
const PORTS: [&str; 4] = ["8440", "8441", "8443", "5432"];
/// How the pages load DuckDB's extension, which needs its servers; the partners have the file.
const EXTENSION: &str = "INSTALL delta; LOAD delta";
const ASK_DUCKDB: &str = "for row in duckdb.sql(open(sys.argv[1]).read()).fetchall(): print(*row)\n";
/// Not through the end of the interpreter: threads of readers' own pools are at times still there, and it aborts.
const END_PYTHON: &str = "\nimport os as _os, sys as _sys\n_sys.stdout.flush()\n_os._exit(0)\n";
const FIND_EXTENSION: &str = "import importlib.metadata as m
print(next(f for f in m.files('duckdb-ext-delta') if str(f).endswith('.duckdb_extension')).locate())";

/// What became of the blocks of a page.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) run: usize,
    /// Where, and why not.
    pub(super) skipped: Vec<String>,
}

struct Walk<'a> {
    page: &'a Page,
    home: Home,
    /// What stands in the page, and what stands for it here.
    instead: Vec<(String, String)>,
    background: Vec<(String, Process)>,
    terminal: Terminal,
    has_partners: bool,
    tally: Tally,
}

/// A shell that keeps its variables and aliases from one command to the next.
struct Terminal {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Terminal {
    fn open(mut command: Command) -> Terminal {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("there is a shell");
        let mut input = child.stdin.take().expect("its input is ours");
        input.write_all(b"exec 2>&1\n").expect("the shell reads");
        let output = child.stdout.take().expect("its output is ours");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Terminal { child, input, lines }
    }

    /// Runs the commands of this file; gives what they printed and how the last one ended.
    fn run(&mut self, file: &std::path::Path) -> (String, i32) {
        let file = file.display();
        let asked = writeln!(self.input, ". '{file}' </dev/null\nprintf '\\n{END}%s\\n' $?");
        let (mut came, until) = (String::new(), Instant::now() + PATIENCE);
        while asked.is_ok() {
            let Ok(line) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) else {
                break;
            };
            if let Some(status) = line.strip_prefix(END) {
                return (came, status.parse().expect("a status"));
            }
            came.push_str(&line);
            came.push('\n');
        }
        (format!("{came}(the terminal ended, or stood still)"), -1)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Walks the page to its end.
pub(super) fn walk(page: &Page) -> Tally {
    let home = Home::new();
    std::fs::create_dir_all(home.path("bin")).expect("a folder");
    for name in ["bin/tidemill", "target/release/tidemill"] {
        std::fs::create_dir_all(home.path(name).parent().expect("a folder")).expect("a folder");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tidemill"), home.path(name)).expect("a link");
    }
    // Where a page says `cargo run --release -- demo`, this stands: the binary that the tests were built with.
    let cargo =
        format!("#!/bin/sh\nshift 3\nexec '{}' \"$@\" --headless --days 1\n", env!("CARGO_BIN_EXE_tidemill"));
    let cargo = home.file("bin/cargo", cargo);
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(cargo, executable).expect("our own file");
    // All are held until all are known, so that no two are the same.
    let held: Vec<TcpListener> =
        PORTS.iter().map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    let ports = held.iter().map(|held| held.local_addr().expect("an address").port().to_string());
    let mut instead: Vec<(String, String)> = PORTS.iter().map(|port| (*port).to_owned()).zip(ports).collect();
    drop(held);
    for folder in &page.folders {
        let here = home.path(folder.trim_start_matches('/'));
        std::fs::create_dir_all(&here).expect("a folder");
        instead.push((folder.clone(), here.display().to_string()));
    }
    let partners = std::env::var_os("TIDEMILL_PARTNERS").map(PathBuf::from);
    let terminal = Terminal::open(shell(&home, page, &instead, partners.as_ref()));
    let has_partners = partners.is_some_and(|folder| folder.join("python/bin/python").is_file());
    let tally = Tally::default();
    let mut walk = Walk { page, home, instead, background: Vec::new(), terminal, has_partners, tally };
    if has_partners {
        let (found, status) = walk.script(&format!("python3 -c \"{FIND_EXTENSION}\""));
        assert_eq!(status, 0, "{found}");
        walk.instead.push((EXTENSION.to_owned(), format!("LOAD '{}'", found.trim())));
    }
    let place = page.path.display().to_string();
    if page.is_golden {
        let file = golden().pop().expect("a release left one").display().to_string();
        walk.home.run(&["restore", &file, "--plant", "plant"]).expect(0);
    }
    if page.has_plant {
        let words = vec!["background".to_owned()];
        let block = Block { language: "sh".to_owned(), text: "tidemill run".to_owned(), line: 0, words };
        walk.background(&block, &place);
    }
    for command in &page.given {
        let (came, status) = walk.script(&walk.here(command));
        assert_eq!(status, 0, "{place}: `{command}`: {came}");
    }
    for block in &page.blocks {
        walk.block(block);
    }
    walk.tally
}

/// A shell in the page's folder, with the binary and the partners in its path.
fn shell(home: &Home, page: &Page, instead: &[(String, String)], partners: Option<&PathBuf>) -> Command {
    let like = home.command(&[]);
    let mut shell = Command::new("sh");
    shell.current_dir(home.path("")).env_clear();
    shell.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // What the plant does by itself, its reader sees.
    shell.env_remove("TIDEMILL_HEALTH_FIGURES").env("HOME", home.path("")).env("LANG", "C.UTF-8");
    shell.env("TMPDIR", home.path(""));
    match page.blocks.iter().any(|block| block.text.contains("[http]")) {
        true => shell.env_remove("TIDEMILL_HTTP_LISTEN"),
        false => shell.env("TIDEMILL_HTTP_LISTEN", format!("[\"127.0.0.1:{}\"]", instead[0].1)),
    };
    let mut path = vec![home.path("bin")];
    for folder in ["python/bin", "debian/usr/bin"] {
        path.extend(partners.map(|partners| partners.join(folder)));
    }
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    shell.env("PATH", std::env::join_paths(path).expect("no colon in a path"));
    shell
}

impl Walk<'_> {
    fn block(&mut self, block: &Block) {
        let place = format!("{}:{}", self.page.path.display(), block.line);
        if let Some(reason) = block.said("skip") {
            assert!(reason.split_whitespace().count() > 1, "{place}: why is it skipped?");
            self.tally.skipped.push(format!("{place}: {reason}"));
            return;
        }
        let language = block.language.as_str();
        if let Some(missing) = self.missing(block).first() {
            skip(&place, &format!("{missing} is not there"));
            return;
        }
        self.tally.run += 1;
        if let Some(commands) = block.said("given") {
            let (came, status) = self.script(&self.here(commands));
            assert_eq!(status, 0, "{place}: `{commands}`: {came}");
        }
        if let Some(name) = block.said("ends") {
            assert!(self.end(name, &place), "{place}: `{name}` does not go on");
        }
        if let Some(file) = block.said("file") {
            self.write(file, &block.text);
        }
        match language {
            "console" | "sh" if block.said("background").is_some() => self.background(block, &place),
            "console" => self.console(block, &place),
            "sh" => {
                let (came, status) = self.script(&format!("set -e\n{}\nset +e", self.here(&block.text)));
                assert_eq!(status, 0, "{place}: {came}");
            }
            "sql" | "python" => self.ask(block, &place),
            "toml" => self.settings(block, &place),
            "json" => {
                let read = serde_json::from_str::<serde_json::Value>(&block.text);
                assert!(read.is_ok(), "{place}: {read:?}");
            }
            "yaml" => {
                self.write("block.yaml", &block.text);
                let (came, status) =
                    self.script("python3 -c 'import yaml; yaml.safe_load(open(\"block.yaml\"))'");
                assert_eq!(status, 0, "{place}: {came}");
            }
            _ if block.said("file").is_some() => {}
            _ => panic!("{place}: a block that is neither run nor skipped with a reason"),
        }
    }

    /// Programs that it needs and that are not here.
    fn missing(&mut self, block: &Block) -> Vec<String> {
        let mut needed: Vec<&str> = block.said("needs").into_iter().flat_map(str::split_whitespace).collect();
        needed.extend(["curl", "psql"].into_iter().filter(|name| block.text.contains(&format!("$ {name} "))));
        let mut missing: Vec<String> = needed
            .into_iter()
            .filter(|name| self.script(&format!("command -v {name} >/dev/null")).1 != 0)
            .map(str::to_owned)
            .collect();
        let wants_python = ["python", "yaml"].contains(&block.language.as_str())
            || block.said("duckdb").is_some()
            || block.text.contains("$ python3 ");
        if wants_python && !self.has_partners {
            missing.push("the partners' Python".to_owned());
        }
        missing
    }

    /// What the page says, for this folder and these ports.
    fn here(&self, text: &str) -> String {
        self.instead.iter().fold(text.to_owned(), |text, (there, here)| text.replace(there, here))
    }

    /// What came from here, as the page says it.
    fn there(&self, text: &str) -> String {
        self.instead.iter().rev().fold(text.to_owned(), |text, (there, here)| text.replace(here, there))
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.home.path(&self.here(file));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, format!("{}\n", self.here(text))).expect("a file in the temporary folder");
    }

    fn script(&mut self, text: &str) -> (String, i32) {
        let file = self.home.file("bin/block.sh", format!("{text}\n"));
        let (came, status) = self.terminal.run(&file);
        (self.there(&came), status)
    }

    fn console(&mut self, block: &Block, place: &str) {
        let commands = block.commands();
        let last = commands.len().saturating_sub(1);
        for (number, (command, shown)) in commands.iter().enumerate() {
            let expected = match block.said("exit") {
                Some(code) if number == last => code.parse().expect("a code"),
                _ => 0,
            };
            let command = self.here(command);
            let until = Instant::now() + PATIENCE;
            loop {
                let (came, status) = self.script(&command);
                if status == expected && is_shown(shown, &came) {
                    break;
                }
                let is_late = block.said("until").is_none() || Instant::now() > until;
                assert!(
                    !is_late,
                    "{place}: `{command}` ended with {status}\n-- shown:\n{shown}\n-- came:\n{came}"
                );
                std::thread::yield_now();
            }
        }
    }

    /// A program that goes on, such as the plant, in a terminal of its own.
    fn background(&mut self, block: &Block, place: &str) {
        let commands = match block.language.as_str() {
            // Nothing is shown there, so what is waited for is what a plant says when it takes values.
            "sh" => vec![(block.text.clone(), "ready".to_owned())],
            _ => block.commands(),
        };
        let [(command, shown)] = commands.as_slice() else {
            panic!("{place}: one command goes on in a terminal")
        };
        let name: Vec<&str> = command.split_whitespace().take(2).collect();
        let name = name.join(" ");
        let ended = block.said("background").and_then(|said| said.strip_prefix("ends ")).unwrap_or(&name);
        self.end(ended, place);
        // In this terminal's environment, which a page may have changed.
        self.script("export -p > \"$HOME/bin/variables.sh\"");
        let command = self.here(command);
        let script =
            format!(". '{}'\nexec 2>&1\nexec {command}\n", self.home.path("bin/variables.sh").display());
        let script = self.home.file("bin/background.sh", script);
        let mut shell = Command::new("sh");
        // Of the tests' own variables a reader has none, and the plant would tell of them.
        shell.arg(script).current_dir(self.home.path("")).env_clear();
        let mut process = Process::spawn(shell);
        for line in shown.lines().filter(|line| line.trim() != "…") {
            let stable = line.split('…').max_by_key(|part| part.len()).unwrap_or_default().trim();
            process.line(&self.here(stable));
        }
        self.background.push((name, process));
    }

    /// Ends what goes on by this name; whether it did.
    fn end(&mut self, name: &str, place: &str) -> bool {
        let Some(before) = self.background.iter().position(|(known, _)| known == name) else { return false };
        let (_, mut process) = self.background.remove(before);
        process.signal(Signal::TERM);
        assert!(process.end().success(), "{place}: the one before did not end well");
        true
    }

    fn ask(&mut self, block: &Block, place: &str) {
        let text = self.here(&block.text);
        let command = if block.language == "python" {
            self.home.file("bin/block.py", format!("{text}{END_PYTHON}"));
            "python3 \"$HOME/bin/block.py\""
        } else if block.said("duckdb").is_some() {
            let load = self.here(EXTENSION);
            self.home.file(
                "bin/block.py",
                format!("import duckdb, sys\nduckdb.sql(\"{load}\")\n{ASK_DUCKDB}{END_PYTHON}"),
            );
            self.home.file("bin/block.sql", text);
            "python3 \"$HOME/bin/block.py\" \"$HOME/bin/block.sql\""
        } else {
            self.home.file("bin/block.sql", text);
            "tidemill sql - < \"$HOME/bin/block.sql\""
        };
        let until = Instant::now() + PATIENCE;
        loop {
            let (came, status) = self.script(command);
            if status == 0 && (block.said("until").is_none() || !came.trim().is_empty()) {
                return;
            }
            let is_late = block.said("until").is_none() || Instant::now() > until;
            assert!(!is_late, "{place}: ended with {status}: {came}");
        }
    }

    /// Settings are looked at by the program, in a plant of their own; somebody else's have to be TOML.
    fn settings(&mut self, block: &Block, place: &str) {
        if block.said("foreign").is_some() {
            let read = block.text.parse::<toml::Table>();
            assert!(read.is_ok(), "{place}: {read:?}");
            return;
        }
        let name = block.said("file").and_then(|path| path.strip_prefix("plant/")).unwrap_or("tidemill.toml");
        let fresh = Home::new();
        fresh.run(&["run", "--init", "--plant", "plant"]).expect(0);
        let path = fresh.plant().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, &block.text).expect("a file in the temporary folder");
        let mut check = fresh.command(&["check", "--plant", "plant"]);
        check.env_remove("TIDEMILL_HTTP_LISTEN");
        let found = ran(check);
        let wrong: Vec<&str> = found.out.lines().filter(|line| line.contains(".toml:")).collect();
        assert!(wrong.iter().all(|line| line.contains("listens on")), "{place}: {wrong:?} {}", found.err);
    }
}
