//! A plant in a temporary folder, run by the real binary on a free port, and the command line beside it. What does not
//! live here: any way into the plant that its users do not have.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::client::Request;

/// Long enough for a busy machine; waiting that long is a failure, never a way to synchronise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Answers in a plant's place what `watch` asks first: its time zone.
#[track_caller]
pub(crate) fn say_the_zone(listener: &TcpListener) {
    let (mut wire, _) = listener.accept().expect("it connects");
    assert!(wire.read(&mut [0; 4096]).expect("a request") > 0);
    let body = r#"{"timezone":"UTC"}"#;
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json";
    write!(wire, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).expect("it reads");
}

/// A folder for one test: the plant's own, and whatever else the test makes.
pub(crate) struct Home(TempDir);

/// A command that ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A process whose lines can be waited for. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    out: Lines,
    err: Lines,
}

struct Lines {
    receiver: Receiver<String>,
    seen: Vec<String>,
}

/// A running plant.
pub(crate) struct Plant {
    pub(crate) home: Home,
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Home {
    pub(crate) fn new() -> Home {
        Home(TempDir::with_prefix("tidemill-house-").expect("a temporary folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file beside the plant.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file in the temporary folder");
        path
    }

    pub(crate) fn plant(&self) -> PathBuf {
        self.path("plant")
    }

    /// The binary, away from this machine's own plants and settings.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
        command.args(words).current_dir(self.0.path()).env_clear();
        for name in ["PATH", "LANG", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("TIDEMILL_HTTP_LISTEN", r#"["127.0.0.1:0"]"#)
            .env("TIDEMILL_LIMITS_MEMORY", "256MiB")
            // What a test writes and counts is all there is; `health.rs` is about the others.
            .env("TIDEMILL_HEALTH_FIGURES", "off")
            .env("XDG_RUNTIME_DIR", self.0.path())
            .env("TZ", "UTC");
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        ran(self.command(words))
    }

    /// Starts the plant and waits for its ready line.
    pub(crate) fn start(self) -> Plant {
        let process = Process::spawn(self.command(&["run", "--plant", "plant"]));
        Plant::ready(self, process)
    }
}

/// Runs a command to its end.
pub(crate) fn ran(mut command: Command) -> Ran {
    let output = command.stdin(Stdio::null()).output().expect("the binary starts");
    Ran {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Ran {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    /// It failed with this code, said so, and said what to do.
    #[track_caller]
    pub(crate) fn expect_problem(self, code: &str) -> Ran {
        self.expect(1).tells(code)
    }

    /// What was typed was not understood, with this code.
    #[track_caller]
    pub(crate) fn expect_usage(self, code: &str) -> Ran {
        self.expect(2).tells(code)
    }

    #[track_caller]
    fn tells(self, code: &str) -> Ran {
        let ran = self;
        let mut lines = ran.err.lines().skip_while(|line| !line.starts_with("error ["));
        let first = lines.next().unwrap_or_default();
        assert!(first.starts_with(&format!("error [{code}]: ")), "wanted {code}: {}", ran.err);
        assert!(lines.any(|line| line.starts_with("  ") && line.trim().len() > 3), "no mend: {}", ran.err);
        ran
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

impl Lines {
    fn of(source: impl Read + Send + 'static) -> Lines {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Lines { receiver, seen: Vec::new() }
    }

    /// The next line that has this in it; lines before it are kept for messages.
    fn find(&mut self, part: &str) -> Option<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let line = self.receiver.recv_timeout(until.saturating_duration_since(Instant::now())).ok()?;
            self.seen.push(line.clone());
            if line.contains(part) {
                return Some(line);
            }
        }
    }
}

impl Process {
    pub(crate) fn spawn(mut command: Command) -> Process {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let out = Lines::of(child.stdout.take().expect("its output is ours"));
        let err = Lines::of(child.stderr.take().expect("its errors are ours"));
        Process { child, out, err }
    }

    /// Waits for a line of standard output.
    #[track_caller]
    pub(crate) fn line(&mut self, part: &str) -> String {
        self.out.find(part).unwrap_or_else(|| {
            self.err.seen.extend(self.err.receiver.try_iter());
            panic!("no line with '{part}': {:#?}\n{:#?}", self.out.seen, self.err.seen)
        })
    }

    /// Waits for a line of the log.
    #[track_caller]
    pub(crate) fn log_line(&mut self, part: &str) -> String {
        self.err.find(part).unwrap_or_else(|| panic!("no log line with '{part}': {:#?}", self.err.seen))
    }

    /// Every line of standard output that was waited for, and those between.
    pub(crate) fn lines_so_far(&self) -> &[String] {
        &self.out.seen
    }

    /// Every line of the log that came so far.
    pub(crate) fn log_so_far(&mut self) -> &[String] {
        self.err.seen.extend(self.err.receiver.try_iter());
        &self.err.seen
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process has a number");
        kill_process(id, signal).expect("our own process can be signalled");
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        self.child.wait().expect("our own process can be waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Plant {
    pub(crate) fn start() -> Plant {
        Home::new().start()
    }

    /// With these lines in tidemill.toml instead of the commented defaults.
    pub(crate) fn start_with(settings: &str) -> Plant {
        let home = Home::new();
        std::fs::create_dir(home.plant()).expect("a folder in the temporary folder");
        home.file("plant/tidemill.toml", settings);
        home.start()
    }

    /// Runs with settings; two lines of machines have written so many samples each, a second apart.
    pub(crate) fn with_two_lines(settings: &str, samples: i64) -> Plant {
        let plant = Plant::start_with(settings);
        let token = plant.token("press", &["write:#"]);
        let lines: String = (0..samples)
            .map(|index| {
                let time = 1_772_323_200_000_000_000_i64 + index * 1_000_000_000;
                let quarters = index as f64 / 4.0;
                format!("acme/press value={quarters},state=\"up\" {time}\nbeta/mill value={index}i {time}\n")
            })
            .collect();
        plant.post("/api/v1/write").token(&token).body("text/plain", lines).send().expect(204);
        plant
    }

    pub(crate) fn ready(home: Home, mut process: Process) -> Plant {
        let line = process.line("ready: ");
        let address = line.split_whitespace().find_map(|word| word.strip_prefix("http://"));
        let address = address.and_then(|text| text.parse().ok()).expect("the ready line names an address");
        Plant { home, process, address }
    }

    /// As the owner, over the control socket.
    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        let mut command = self.home.command(words);
        command.env("TIDEMILL_PLANT", self.home.plant());
        ran(command)
    }

    /// As the owner; it has to succeed. Gives what was printed.
    #[track_caller]
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        self.run(words).expect(0).out
    }

    /// With a token, over HTTP.
    pub(crate) fn run_as(&self, token: &str, words: &[&str]) -> Ran {
        let mut command = self.home.command(words);
        command.env("TIDEMILL_URL", format!("http://{}", self.address)).env("TIDEMILL_TOKEN", token);
        ran(command)
    }

    /// The rows of a query, as the owner.
    #[track_caller]
    pub(crate) fn sql(&self, query: &str) -> Json {
        self.run(&["sql", "--json", query]).expect(0).json()["rows"].clone()
    }

    /// A new token.
    #[track_caller]
    pub(crate) fn token(&self, name: &str, allow: &[&str]) -> String {
        let mut words = vec!["token", "create", name, "--allow"];
        words.extend(allow);
        self.ok(&words).trim().to_owned()
    }

    pub(crate) fn get(&self, path: &str) -> Request {
        Request::new(self.address, "GET", path)
    }

    pub(crate) fn post(&self, path: &str) -> Request {
        Request::new(self.address, "POST", path)
    }

    /// A command that goes on, such as `watch`.
    pub(crate) fn spawn(&self, words: &[&str]) -> Process {
        let mut command = self.home.command(words);
        command.env("TIDEMILL_PLANT", self.home.plant());
        Process::spawn(command)
    }

    /// kill -9; gives the folder as it was left.
    pub(crate) fn kill(mut self) -> Home {
        self.process.signal(Signal::KILL);
        self.process.end();
        self.home
    }

    /// kill -9, and a new start.
    pub(crate) fn kill_and_restart(self) -> Plant {
        self.kill().start()
    }

    /// SIGTERM; gives the folder once the process has ended well.
    #[track_caller]
    pub(crate) fn stop(mut self) -> Home {
        self.process.signal(Signal::TERM);
        let status = self.process.end();
        assert!(status.success(), "{status}");
        self.home
    }
}

/// Whether what a test needs and the machine lacks is a failure.
pub(crate) fn is_strict() -> bool {
    std::env::var_os("TIDEMILL_STRICT").is_some_and(|value| value == "1")
}

/// Names a test that cannot run here; a failure where nothing may be missing.
#[track_caller]
pub(crate) fn skip(test: &str, why: &str) {
    assert!(!is_strict(), "{test} cannot run: {why}");
    let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("skipped {test}: {why}\n"));
}

/// The files of a folder and below, sorted, with this ending.
pub(crate) fn files_below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|known| known == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
