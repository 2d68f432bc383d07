//! What drives the real binary from outside: `bench` measures it, `crash` strikes it, and both stand on what it takes to
//! run a plant, ask it over HTTP and have foreign programs beside it. The developer commands that need no plant under load
//! stand in xtask, which lists these two among its own.
//!
//! **Invariants**: no room of the house is linked, so that what checks the house shares no code with it; what is known of
//! it here is its command line, its ready line and its protocols. Builds in seconds: nothing heavy.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a developer's command talks to a terminal, and is never simulated: the real clock and disk are meant"
)]

pub mod bench;
pub mod binary;
pub mod crash;
pub mod dice;
pub mod http;
pub mod partners;
pub mod shell;

/// What a command returns: its error is one text that says what failed, on what, and what to do.
pub type Outcome = Result<(), Box<dyn std::error::Error>>;

/// One developer command, as `cargo xtask` lists and runs it.
pub struct Command {
    /// The word that calls it.
    pub name: &'static str,
    /// What may follow, for its help.
    pub arguments: &'static str,
    /// One line of the overview.
    pub summary: &'static str,
    /// The rest of its help.
    pub help: &'static str,
    /// What it does with the words behind its name.
    pub run: fn(&[String]) -> Outcome,
}
