//! The gate `targets`: the Rust of the house compiles for machines that this one is not, where rustup has the standard library
//! of the target. It says what it looked at and what not; a target that cannot be looked at here is no failure. The C that some
//! crates bring along is not compiled, and nothing is linked or run.

use super::{Verdict, verdict};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use trials::shell;

/// A target, and as much of the house as is looked at for it.
struct Target {
    name: &'static str,
    rooms: &'static [&'static str],
    /// Why not all of it.
    without: &'static str,
}

const TARGETS: &[Target] = &[
    Target { name: "aarch64-unknown-linux-gnu", rooms: &["tidemill"], without: "" },
    Target { name: "aarch64-apple-darwin", rooms: &["tidemill"], without: "" },
    Target {
        name: "x86_64-pc-windows-gnu",
        rooms: &[
            "tidemill-core",
            "tidemill-ground",
            "tidemill-journal",
            "tidemill-bus",
            "tidemill-lake",
            "tidemill-historian",
            "tidemill-guard",
            "tidemill-connect",
            "tidemill-backup",
            "tidemill-sqldoors",
        ],
        without: "not web and the program: the control socket, its owner's number and signals are Unix's",
    },
];

/// A server that does not answer is no reason to wait longer.
const FETCH_MAX: Duration = Duration::from_secs(120);

pub(super) fn check() -> Result<Verdict, String> {
    let (mut findings, mut notes, mut checked) = (Vec::new(), Vec::new(), 0);
    for target in TARGETS {
        if let Err(why) = ready(target) {
            println!("{}: not looked at: {why}", target.name);
            notes.push(format!("{} not", target.name));
            continue;
        }
        let mut cargo = shell::cargo();
        cargo.args(["check", "--quiet", "--target", target.name]);
        for room in target.rooms {
            cargo.args(["--package", room]);
        }
        // Build scripts would compile C; a compiler that does nothing is enough where nothing is linked.
        let variable = target.name.replace('-', "_");
        cargo.env(format!("CC_{variable}"), "true").env(format!("AR_{variable}"), "true");
        match shell::pass(cargo) {
            Err(error) => findings.push(format!("{}: {error}", target.name)),
            Ok(()) => {
                println!("{}: {} compile; {}", target.name, target.rooms.join(", "), rest(target));
                notes.push(format!("{} {}", target.name, share(target)));
                checked += 1;
            }
        }
    }
    if checked == 0 && findings.is_empty() {
        return Ok(Verdict::Skipped("no target but this machine's is set up here".into()));
    }
    Ok(verdict(findings, notes.join(", ")))
}

fn rest(target: &Target) -> &'static str {
    if target.without.is_empty() { "that is all of it" } else { target.without }
}

fn share(target: &Target) -> &'static str {
    if target.without.is_empty() { "whole" } else { "in part" }
}

/// Whether it can be looked at; the standard library is fetched where that may be done unasked.
fn ready(target: &Target) -> Result<(), String> {
    let unasked = shell::is_ci() || (shell::is_root() && !shell::is_terminal());
    if installed().contains(target.name) {
        return Ok(());
    }
    if !unasked {
        return Err(format!("run `rustup target add {}`", target.name));
    }
    let mut rustup = shell::program("rustup");
    rustup.args(["target", "add", target.name]);
    within(rustup, FETCH_MAX)
}

/// The targets whose standard library is here.
fn installed() -> BTreeSet<String> {
    let mut rustup = shell::program("rustup");
    rustup.args(["target", "list", "--installed"]);
    shell::capture(rustup).unwrap_or_default().lines().map(|line| line.trim().to_owned()).collect()
}

/// Runs a program, and ends it where it takes longer.
fn within(mut command: std::process::Command, limit: Duration) -> Result<(), String> {
    let line = shell::shown(&command);
    let failed = |error: std::io::Error| format!("`{line}`: {error}");
    let quiet = std::process::Stdio::null;
    let mut child = command.stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn().map_err(failed)?;
    let began = Instant::now();
    loop {
        match child.try_wait().map_err(failed)? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("`{line}` ended with {status}")),
            None if began.elapsed() > limit => {
                child.kill().and_then(|()| child.wait()).map_err(failed)?;
                return Err(format!("`{line}` took longer than {}", shell::spoken(limit)));
            }
            None => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_room_is_looked_at_somewhere_or_the_reason_stands() {
        for target in TARGETS {
            assert!(!target.rooms.is_empty());
            assert_eq!(target.without.is_empty(), target.rooms.contains(&"tidemill"), "{}", target.name);
            for room in target.rooms {
                let folder = shell::root().join("crates").join(room.trim_start_matches("tidemill-"));
                assert!(folder.is_dir(), "{room}");
            }
        }
    }

    #[test]
    fn what_takes_too_long_is_ended() {
        let mut sleep = shell::program("sleep");
        sleep.arg("600");
        assert!(within(sleep, Duration::from_millis(50)).is_err_and(|error| error.contains("longer")));
        assert_eq!(within(shell::program("true"), FETCH_MAX), Ok(()));
        assert!(within(shell::program("false"), FETCH_MAX).is_err());
    }
}
