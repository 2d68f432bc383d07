//! The real binary as a user starts it: built, run on a plant of its own, asked for a token, stopped or killed. Nothing
//! of the house is linked; all that is known of it here is its command line and its ready line.

use crate::shell;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The longest a start may take before it counts as failed. A cold dev build on a busy machine needs a few seconds.
const READY_MAX: Duration = Duration::from_secs(60);
/// The longest an orderly stop may take.
const STOP_MAX: Duration = Duration::from_secs(60);

/// A built binary.
#[derive(Clone, Debug)]
pub struct Binary {
    /// The program.
    pub path: PathBuf,
}

/// How a plant is started.
#[derive(Clone, Debug)]
pub struct Start {
    /// Its folder.
    pub plant: PathBuf,
    /// Standard error goes to the end of this file.
    pub log: PathBuf,
    /// Settings by environment, beside the address.
    pub settings: Vec<(String, String)>,
}

/// A process that was started.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    /// Where it serves HTTP.
    pub address: SocketAddr,
    /// When it was started.
    pub began: Instant,
}

impl Binary {
    /// Builds it with cargo in one of the workspace's profiles.
    pub fn build(profile: &str) -> Result<Binary, String> {
        Binary::linked(profile, &[])
    }

    /// The same, with these arguments for the linker.
    pub fn linked(profile: &str, arguments: &[&str]) -> Result<Binary, String> {
        let mut cargo = shell::cargo();
        cargo.args(["rustc", "--package", "tidemill", "--bin", "tidemill", "--profile", profile, "--"]);
        cargo.args(arguments.iter().map(|argument| format!("-Clink-arg={argument}")));
        shell::pass(cargo)?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = target.unwrap_or_else(|| shell::root().join("target"));
        let path = target.join(if profile == "dev" { "debug" } else { profile }).join("tidemill");
        if path.is_file() { Ok(Binary { path }) } else { Err(format!("{} was not built", path.display())) }
    }

    /// Starts the plant on a free port of loopback; does not wait until it is ready.
    pub fn start(&self, start: &Start) -> Result<Running, String> {
        let failed = |what: &str, error: std::io::Error| format!("{what}: {error}");
        let address = free_address().map_err(|error| failed("no free port", error))?;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&start.log);
        let log = log.map_err(|error| failed(&start.log.to_string_lossy(), error))?;
        let mut command = self.command(&start.plant);
        // What is written and counted is all there is: no own figures of the plant beside it.
        command.args(["--json", "run"]).env("TIDEMILL_HEALTH_FIGURES", "off");
        command.envs(start.settings.iter().map(|(name, value)| (name, value)));
        command.env("TIDEMILL_HTTP_LISTEN", format!("[\"{address}\"]"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let began = Instant::now();
        let mut child = command.spawn().map_err(|error| failed(&self.path.to_string_lossy(), error))?;
        let (said, lines) = channel();
        if let Some(out) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if said.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Running { child, lines, address, began })
    }

    /// The program with a plant, without settings of whoever runs this.
    pub fn command(&self, plant: &Path) -> Command {
        let mut command = Command::new(&self.path);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TIDEMILL_") || name == "INVOCATION_ID" {
                command.env_remove(&name);
            }
        }
        command.arg("--plant").arg(plant);
        command
    }

    /// Makes a token that may write and read everything; the plant must be running.
    pub fn token(&self, plant: &Path, name: &str) -> Result<String, String> {
        let mut command = self.command(plant);
        command.args(["token", "create", name, "--allow", "write:#", "--allow", "read:#"]);
        let out = shell::capture(command)?;
        let secret = out.lines().map(str::trim).find(|line| !line.is_empty());
        secret.map(str::to_owned).ok_or_else(|| "`token create` printed no token".to_owned())
    }
}

impl Running {
    /// Its number among the processes.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the ready line.
    pub fn wait_ready(&mut self) -> Result<Duration, String> {
        let until = self.began + READY_MAX;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains("\"ready\":true") => return Ok(self.began.elapsed()),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("no ready line after {}", shell::spoken(READY_MAX)));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let ended =
                        self.child.wait().map_or_else(|error| error.to_string(), |ended| ended.to_string());
                    return Err(format!("it ended before it was ready: {ended}"));
                }
            }
        }
    }

    /// Whether it has said so by now; for who does not wait.
    pub fn is_ready(&self) -> bool {
        self.lines.try_iter().any(|line| line.contains("\"ready\":true"))
    }

    /// The status, if it has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Ends it at once, as a power switch does: SIGKILL.
    pub fn kill(self) {
        drop(self);
    }

    /// Stops every thread where it is, and waits until each stands still: calls into the kernel that were under way
    /// have come back by then.
    pub fn freeze(&self) -> Result<(), String> {
        self.signal("STOP")?;
        let tasks = format!("/proc/{}/task", self.child.id());
        let began = Instant::now();
        while began.elapsed() < STOP_MAX {
            let entries = std::fs::read_dir(&tasks).map_err(|error| format!("{tasks}: {error}"))?;
            let mut stats = entries
                .filter_map(Result::ok)
                .filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
            // The state is the word after the name in brackets.
            if stats
                .all(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T')))
            {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(format!("its threads did not stand still within {}", shell::spoken(STOP_MAX)))
    }

    /// Sends a signal by its name: STOP, CONT, TERM.
    pub fn signal(&self, name: &str) -> Result<(), String> {
        let mut kill = Command::new("sh");
        kill.args(["-c", &format!("kill -{name} {}", self.child.id())]);
        shell::capture(kill).map(|_| ())
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) -> Result<Duration, String> {
        let began = Instant::now();
        self.signal("TERM")?;
        while began.elapsed() < STOP_MAX {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(began.elapsed()),
                Ok(Some(status)) => return Err(format!("after SIGTERM it ended with {status}")),
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => return Err(error.to_string()),
            }
        }
        self.kill();
        Err(format!("it did not stop within {} after SIGTERM", shell::spoken(STOP_MAX)))
    }
}

impl Drop for Running {
    /// Nobody who gives up leaves a plant behind.
    fn drop(&mut self) {
        // An error means that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of loopback that nobody listens on.
pub fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that says what a plant says, in three lines of shell.
    fn pretender(folder: &Path, script: &str) -> Binary {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join("pretender");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).expect("permitted");
        Binary { path }
    }

    fn start(folder: &Path) -> Start {
        Start { plant: folder.join("plant"), log: folder.join("log"), settings: Vec::new() }
    }

    #[test]
    fn the_ready_line_is_waited_for_and_an_early_end_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let good = pretender(folder.path(), "echo hello; echo '{\"ready\":true}'; exec sleep 60");
        let mut running = good.start(&start(folder.path())).expect("started");
        running.wait_ready().expect("ready");
        assert!(running.ended().is_none());
        running.kill();
        let bad = pretender(folder.path(), "exit 4");
        let mut running = bad.start(&start(folder.path())).expect("started");
        assert!(running.wait_ready().is_err_and(|error| error.contains('4')));
    }

    #[test]
    fn a_stop_that_fails_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let stubborn = pretender(
            folder.path(),
            "trap 'exit 3' TERM; echo '{\"ready\":true}'; while :; do sleep 0.01; done",
        );
        let mut running = stubborn.start(&start(folder.path())).expect("started");
        running.wait_ready().expect("ready");
        assert!(running.stop().is_err_and(|error| error.contains('3')));
    }

    #[test]
    fn frozen_it_says_nothing_and_thawed_it_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let busy =
            pretender(folder.path(), "echo '{\"ready\":true}'; while :; do echo more; sleep 0.001; done");
        let mut running = busy.start(&start(folder.path())).expect("started");
        running.wait_ready().expect("ready");
        running.freeze().expect("frozen");
        while running.lines.recv_timeout(Duration::from_millis(100)).is_ok() {}
        assert!(running.lines.try_recv().is_err());
        running.signal("CONT").expect("thawed");
        running.lines.recv_timeout(Duration::from_secs(60)).expect("it goes on");
        running.kill();
    }

    #[test]
    fn the_token_is_the_first_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let binary = pretender(folder.path(), "echo; echo secret-of-$5; echo note >&2");
        assert_eq!(binary.token(&folder.path().join("plant"), "load"), Ok("secret-of-load".into()));
    }
}
