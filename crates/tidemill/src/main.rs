//! The binary: configuration, wiring, command line, first run, demo plant. What does not live here: anything that an
//! engine or a face does. The wiring stands on one page, `house.rs`.

mod admin;
mod client;
mod command;
mod config;
mod demo;
mod facts;
mod house;
mod import;
mod log;
mod output;
mod plant;
mod progress;
mod settings;
mod time;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let line = command::CommandLine::parse();
    let json = line.global.json;
    match line.execute() {
        Ok(outcome) => ExitCode::from(outcome as u8),
        Err(problem) => {
            output::problem(&problem, json);
            ExitCode::from(1)
        }
    }
}

/// The program as the user started it, for hints that can be copied.
pub(crate) fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "tidemill".to_owned())
}
