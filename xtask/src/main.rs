//! `cargo xtask …`: the developer commands of this repository, one file a command, found by the table below; those that
//! put the real binary under load stand in `trials`. Nothing that a user of Tidemill needs lives here, and no room of the
//! house is linked: this must build in seconds on a fresh machine, before anything else does.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a developer's command talks to a terminal, and is never simulated: the real clock and disk are meant"
)]

mod dist;
mod fuzz;
mod gates;
mod generate;
mod golden;
mod sim;
mod test;

use std::process::ExitCode;
use trials::{Command, Outcome, bench, crash};

/// Every command, in the order in which help lists them.
const COMMANDS: &[Command] = &[
    test::COMMAND,
    gates::COMMAND,
    generate::COMMAND,
    golden::COMMAND,
    crash::COMMAND,
    fuzz::COMMAND,
    sim::COMMAND,
    bench::COMMAND,
    dist::COMMAND,
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        None => {
            print!("{}", overview());
            ExitCode::SUCCESS
        }
        Some((first, _)) if ["help", "-h", "--help"].contains(&first.as_str()) => {
            print!("{}", overview());
            ExitCode::SUCCESS
        }
        Some((name, rest)) => match run(name, rest) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

/// Runs the command `name`, as `cargo xtask name …` does; commands call each other through here.
pub(crate) fn run(name: &str, arguments: &[String]) -> Outcome {
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        let names: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
        return Err(format!("there is no command `{name}`; there are: {}", names.join(", ")).into());
    };
    if arguments.iter().any(|argument| argument == "-h" || argument == "--help") {
        println!(
            "cargo xtask {} {}\n\n{}\n\n{}",
            command.name, command.arguments, command.summary, command.help
        );
        return Ok(());
    }
    (command.run)(arguments)
}

fn overview() -> String {
    let mut text = String::from(
        "The developer commands of Tidemill.\n\nUsage: cargo xtask COMMAND [ARGUMENTS]\n\nCommands:\n",
    );
    for command in COMMANDS {
        text.push_str(&format!("  {:<10} {}\n", command.name, command.summary));
    }
    text.push_str("\n`cargo xtask COMMAND --help` says more about one of them.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_listed_and_an_unknown_one_names_them() {
        let text = overview();
        let error = run("tset", &[]).expect_err("there is no such command").to_string();
        for command in COMMANDS {
            assert!(text.contains(command.summary), "{} is not in the overview", command.name);
            assert!(error.contains(command.name), "{} is not offered", command.name);
        }
    }
}
