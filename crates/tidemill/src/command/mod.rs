//! The command line: what can be typed, one file a command. Every command has its twin in the API.

mod access;
pub(crate) mod audit;
mod backup;
mod check;
mod import;
mod read;
mod reference;
mod restore;
mod run;
mod signals;
mod sql;
mod status;
mod token;
mod trust;
mod watch;
mod why;
mod write;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, Parser, Subcommand};
use jiff::tz::TimeZone;
use tidemill_core::{Problem, codes};

use crate::client::Client;
use crate::{house, output, plant, time};

/// How a command ended. The numbers are the process's exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done = 0,
    Failed = 1,
    /// What was typed cannot be understood.
    Usage = 2,
    /// Looked and found problems.
    Found = 3,
}

impl Outcome {
    /// How a command ended that told this problem.
    pub(crate) fn of(problem: &Problem) -> Outcome {
        let usage = [
            &codes::BAD_PATH,
            &codes::BAD_PATTERN,
            &codes::BAD_TIME,
            &codes::BAD_VALUE,
            &codes::BAD_QUALITY,
            &codes::BAD_PARAMETER,
            &codes::UNSUPPORTED_FORMAT,
        ];
        if usage.contains(&problem.code) { Outcome::Usage } else { Outcome::Failed }
    }
}

/// Tells what is wrong with what was typed, or gives the help that was asked for.
pub(crate) fn not_understood(mut error: clap::Error) -> ExitCode {
    without_misleading_tips(&mut error);
    let json = std::env::args_os().take_while(|word| word != "--").any(|word| word == "--json");
    if !error.use_stderr() {
        // Whoever reads it may have gone away.
        return match error.print().and_then(|()| std::io::stdout().flush()) {
            Err(error) if !output::is_gone(&error) => failed(&output::unwritable(&error), json),
            _ => ExitCode::from(Outcome::Done as u8),
        };
    }
    if !json {
        let _ = error.print();
        return ExitCode::from(Outcome::Usage as u8);
    }
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let detail = paragraphs.next().unwrap_or_default();
    let hint = paragraphs.next().unwrap_or_default();
    let detail = detail.strip_prefix("error: ").unwrap_or(&detail);
    failed(&Problem::new(&codes::BAD_PARAMETER, detail).hint(hint), true)
}

/// Whoever mistypes an option means no value: the advice to pass it as one behind `--` would lead them astray.
fn without_misleading_tips(error: &mut clap::Error) {
    let Some(ContextValue::StyledStrs(mut tips)) = error.remove(ContextKind::Suggested) else { return };
    tips.retain(|tip| !tip.to_string().contains(" as a value, use "));
    if !tips.is_empty() {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
}

/// Tells why a command failed, and ends so.
pub(crate) fn failed(problem: &Problem, json: bool) -> ExitCode {
    output::problem(problem, json);
    ExitCode::from(Outcome::of(problem) as u8)
}

pub(crate) type CommandResult = Result<Outcome, Problem>;

/// An open Industry 4.0 platform in one binary: values in, kept, and out again by name and by SQL.
#[derive(Parser, Debug)]
#[command(
    name = "tidemill",
    version,
    max_term_width = 100,
    after_help = "Without a command it says what runs here and what to do next."
)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What every command takes.
#[derive(Args, Debug, Clone)]
pub(crate) struct Global {
    /// The plant's folder [default: the current folder if it is a plant, else the only plant that runs]
    #[arg(long, global = true, env = "TIDEMILL_PLANT", value_name = "DIR")]
    pub(crate) plant: Option<PathBuf>,
    /// Talk to a plant over HTTP instead of its control socket
    #[arg(long, global = true, env = "TIDEMILL_URL")]
    pub(crate) url: Option<String>,
    /// The token to show there
    #[arg(long, global = true, env = "TIDEMILL_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Trust only the authorities in this file (PEM) over https, instead of this machine's and its plants'
    #[arg(long, global = true, env = "TIDEMILL_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Print JSON, for machines
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Global {
    pub(crate) fn client(&self) -> Result<Client, Problem> {
        Client::new(self.plant.as_deref(), self.url.as_deref(), self.token.as_deref(), self.ca.as_deref())
    }

    /// The zone in which these times are to be read; the plant is asked only where one of them has no offset.
    pub(crate) async fn zone_of(&self, typed: &[&str]) -> Result<TimeZone, Problem> {
        match typed.iter().any(|text| time::is_local(text, now())) {
            true => self.zone().await,
            false => Ok(TimeZone::UTC),
        }
    }

    /// The zone of times without an offset: the plant's. One that runs says it, of another its file does.
    ///
    /// # Errors
    /// The plant behind `--url` does not answer, or refuses.
    pub(crate) async fn zone(&self) -> Result<TimeZone, Problem> {
        let told = match self.client() {
            Ok(client) => client.get("/api/v1/plant").await,
            Err(problem) => Err(problem),
        };
        let named = match told {
            Ok(about) => about["timezone"].as_str().and_then(|name| time::zone(name).ok()),
            Err(_) if self.url.is_none() => {
                let config = plant::meant(self.plant.as_deref()).and_then(|plant| house::load(&plant));
                return Ok(config
                    .and_then(|config| time::zone(&config.timezone))
                    .unwrap_or_else(|_| TimeZone::system()));
            }
            // An older plant.
            Err(problem) if problem.code == &codes::NOT_FOUND => None,
            Err(problem) => return Err(problem),
        };
        Ok(named.unwrap_or_else(|| {
            output::note("the plant does not say its time zone: times without an offset are taken in that of this machine");
            TimeZone::system()
        }))
    }
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the plant
    Run(run::Run),
    /// Check every file and the environment
    Check(check::Check),
    /// Write one sample
    Write(write::Write),
    /// Read samples, or export them to a file
    Read(read::Read),
    /// Bring files in: CSV, line protocol, Parquet, JSON lines
    Import(import::Import),
    /// See values as they come
    Watch(watch::Watch),
    /// Ask in SQL
    Sql(sql::Sql),
    /// List signals, or change what is known about them
    Signals(signals::Signals),
    /// Where a value came from
    Why(why::Why),
    /// Tokens for devices and programs
    Token(token::Token),
    /// Who may do what, and why
    Access(access::Access),
    /// How machines come to trust this plant's certificate
    Trust(trust::Trust),
    /// Who did what
    Audit(audit::Audit),
    /// Make a backup, also while the plant runs, or verify one
    Backup(backup::Backup),
    /// Make a plant from a backup
    Restore(restore::Restore),
    /// See a small living plant with 30 days behind it
    Demo(crate::demo::Demo),
    /// Print a page of docs/reference as the code says it
    #[command(hide = true)]
    Reference(reference::Reference),
    /// Print completions for a shell, e.g. `tidemill completions bash > /etc/bash_completion.d/tidemill`
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

impl CommandLine {
    /// Does what was typed.
    pub(crate) fn execute(self) -> CommandResult {
        let global = self.global;
        let Some(command) = self.command else { return status::status(&global) };
        match command {
            Command::Run(command) => command.execute(&global),
            Command::Check(command) => command.execute(&global),
            Command::Write(command) => client_side(command.execute(&global)),
            Command::Read(command) => client_side(command.execute(&global)),
            Command::Import(command) => client_side(command.execute(&global)),
            Command::Watch(command) => client_side(command.execute(&global)),
            Command::Sql(command) => client_side(command.execute(&global)),
            Command::Signals(command) => client_side(command.execute(&global)),
            Command::Why(command) => client_side(command.execute(&global)),
            Command::Token(command) => client_side(command.execute(&global)),
            Command::Access(command) => client_side(command.execute(&global)),
            Command::Trust(command) => client_side(command.execute(&global)),
            Command::Audit(command) => client_side(command.execute(&global)),
            Command::Backup(command) => command.execute(&global),
            Command::Restore(command) => command.execute(&global),
            Command::Demo(command) => command.execute(&global),
            Command::Reference(command) => command.execute(),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut CommandLine::command(), "tidemill", &mut script);
                output::raw(&script)?;
                Ok(Outcome::Done)
            }
        }
    }
}

/// Runs a command that only talks to a plant.
pub(crate) fn client_side<T>(work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Problem::new(&codes::INTERNAL, error.to_string()))?;
    runtime.block_on(work)
}

/// Whether a signal is one of the plant's own figures. Who asks for no pattern asks for what machines say, as `#` of MQTT
/// means no topic that begins with `$`.
fn is_own(signal: &serde_json::Value) -> bool {
    signal.as_str().is_some_and(tidemill_core::is_own)
}

/// Now, as the command line sees it: relative times count from here.
pub(crate) fn now() -> i64 {
    use tidemill_ground::Clock;
    tidemill_ground::RealClock::new().wall()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_command_has_an_example() {
        let command = CommandLine::command();
        command.clone().debug_assert();
        for command in command
            .get_subcommands()
            .filter(|command| !["completions", "reference"].contains(&command.get_name()))
        {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("tidemill "), "{} has no example", command.get_name());
        }
    }

    /// Else they would be taken for slips of the keyboard.
    #[test]
    fn variables_of_the_command_line_are_known_as_such() {
        let command = CommandLine::command();
        let variables = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
        let unknown: Vec<&str> =
            variables.filter(|name| !crate::config::variables::OF_THE_COMMAND_LINE.contains(name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn minus_begins_values_where_a_value_is_expected() {
        for words in [
            ["tidemill", "write", "a/b", "-5"].as_slice(),
            &["tidemill", "read", "a/b", "--from", "-1h"],
            &["tidemill", "why", "a/b", "--at", "-5m"],
        ] {
            CommandLine::try_parse_from(words).unwrap();
        }
    }
}
