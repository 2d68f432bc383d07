//! The binary: wiring, command line, first run, demo plant. What does not live here: anything that an
//! engine or a face does. The wiring stands on one page, `house.rs`.

mod admin;
mod backup;
mod client;
mod command;
mod demo;
mod doors;
mod events;
mod facts;
mod health;
mod house;
mod inspect;
mod log;
mod measured;
mod output;
mod owner;
mod progress;
mod saved;
mod service;
mod settings;
mod time;
mod trusted;
mod vitals;

use std::process::ExitCode;

use clap::builder::Resettable;
use clap::{CommandFactory, FromArgMatches};
use tidemill_config::{self as config, plant};

use command::CommandLine;

/// Takes less memory for the same samples, and less time than the C library's; measured in docs/adr/dependencies.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let line = match typed() {
        Ok(line) => line,
        Err(error) => return command::not_understood(error),
    };
    let json = line.global.json;
    match line.execute() {
        Ok(outcome) => ExitCode::from(outcome as u8),
        Err(problem) => command::failed(&problem, json),
    }
}

/// What was typed. A variable of the environment that is empty is not set.
fn typed() -> Result<CommandLine, clap::Error> {
    let is_empty =
        |arg: &clap::Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    let mut command =
        CommandLine::command().mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg });
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    CommandLine::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// The program as the user started it, for hints that can be copied.
pub(crate) fn program() -> String {
    std::env::args_os().next().map_or_else(|| "tidemill".to_owned(), |name| quoted(&name.to_string_lossy()))
}

/// A word as a POSIX shell reads it, in quotes only where it needs them.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
