//! How the commands meet the machine: running programs in the root of the checkout, listing its files, asking the
//! person at the terminal. No command's own knowledge lives here.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The root of the checkout. Read at run time, so that a moved or copied target folder cannot point elsewhere.
pub fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = here.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    here.parent().map(Path::to_path_buf).unwrap_or(here)
}

/// A program to be run in the root, without what `cargo run` put into the environment: inside, cargo must behave as it
/// does when typed by hand, or it would build things twice.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    for (key, _) in std::env::vars_os() {
        let name = key.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "CARGO_BIN_NAME" {
            command.env_remove(&key);
        }
    }
    command
}

/// The cargo that runs this program.
pub fn cargo() -> Command {
    program(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
}

/// How a command line is shown to people.
pub fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let mut line = name.to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

/// Runs a program with its output on ours.
pub fn pass(mut command: Command) -> Result<(), String> {
    let line = shown(&command);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{line}` ended with {status}")),
        Err(error) => Err(format!("`{line}` could not be started: {error}")),
    }
}

/// Runs a program and returns what it wrote to standard output; its complaints are the error.
pub fn capture(mut command: Command) -> Result<String, String> {
    let line = shown(&command);
    let output = command.output().map_err(|error| format!("`{line}` could not be started: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{line}` ended with {}\n{text}{}", output.status, complaint.trim_end()))
}

/// The files of the repository, as paths from the root: those git knows and those it would add.
pub fn files() -> Result<Vec<String>, String> {
    let mut git = program("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let mut files: Vec<String> =
        capture(git)?.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    files.retain(|path| root().join(path).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

/// Reads one file of the checkout; `None` when it is not text.
pub fn text(path: &str) -> Result<Option<String>, String> {
    let bytes =
        std::fs::read(root().join(path)).map_err(|error| format!("{path} could not be read: {error}"))?;
    Ok(String::from_utf8(bytes).ok())
}

/// Whether this is a build machine: it never asks, and what is missing is a failure.
pub fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !["", "0", "false"].contains(&value.as_str()))
}

/// Whether a person is there to be asked.
pub fn is_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Whether this process may install for the whole machine.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0)
}

/// Asks a yes-or-no question; no answer is yes.
pub fn confirmed(question: &str) -> bool {
    print!("{question} [Y/n] ");
    let mut answer = String::new();
    let heard = std::io::stdout().flush().and_then(|()| std::io::stdin().read_line(&mut answer));
    heard.is_ok_and(|bytes| bytes > 0) && ["", "y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

/// The number that follows an option.
pub fn number<T: std::str::FromStr>(option: &str, word: Option<&String>) -> Result<T, String> {
    let read = word.and_then(|word| word.replace('_', "").parse().ok());
    read.ok_or_else(|| format!("`{option}` takes a number, not `{}`", word.map_or("nothing", |word| word)))
}

/// A duration as people say it.
pub fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}
