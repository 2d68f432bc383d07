//! One binary with every fuzz target, so that the house is built once: the environment says which one runs. What a target
//! feeds its decoder, and what must hold besides that nothing panics, stands in its own file.
#![no_main]

mod backup;
mod configuration;
mod flight;
mod import;
mod journal;
mod json;
mod line;
mod names;
mod postgres;
mod remote;
mod rights;
mod survival;

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is done with the bytes that the fuzzer makes.
type Target = fn(&[u8]);

/// The targets by name, those first that take longest. `xtask/src/fuzz.rs` lists the same names, and its tests see to it.
const TARGETS: &[(&str, Target)] = &[
    ("journal", journal::run),
    ("import", import::run),
    ("configuration", configuration::run),
    ("names", names::run),
    ("line", line::run),
    ("flight", flight::run),
    ("postgres", postgres::run),
    ("json", json::run),
    ("remote", remote::run),
    ("rights", rights::run),
    ("backup", backup::run),
];

/// So many executions open the log whatever they are: the seeds and the corpus come first, and so does a replay.
const OPENED_FIRST: u64 = 1_000;
/// Behind them one in so many opens it: that costs ten times what reading its bytes does.
const OPENED_EVERY: u32 = 32;

static RUN: AtomicU64 = AtomicU64::new(0);

/// Whether this input is also tried with a log that is opened on a simulated disk. A choice by the input's own bytes, so
/// that no mutation leads to it or away from it.
pub(crate) fn is_opened(data: &[u8]) -> bool {
    RUN.load(Ordering::Relaxed) <= OPENED_FIRST || crc32c::crc32c(data).is_multiple_of(OPENED_EVERY)
}

/// What a door refuses has a place and words; the next line or sample is read.
pub(crate) fn is_told(refused: &tidemill_web::Refused) -> std::ops::ControlFlow<()> {
    assert!(refused.line > 0 && refused.column > 0);
    let _ = refused.error.to_string();
    std::ops::ControlFlow::Continue(())
}

static CHOSEN: OnceLock<Target> = OnceLock::new();

fn chosen() -> fn(&[u8]) {
    let name = std::env::var("TIDEMILL_FUZZ_TARGET").unwrap_or_default();
    let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) else {
        let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        eprintln!("TIDEMILL_FUZZ_TARGET is `{name}`; there are: {}", names.join(", "));
        std::process::exit(2);
    };
    *target
}

fuzz_target!(|data: &[u8]| {
    RUN.fetch_add(1, Ordering::Relaxed);
    CHOSEN.get_or_init(chosen)(data);
});
