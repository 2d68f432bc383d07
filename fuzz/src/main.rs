//! One binary with every fuzz target, so that the house is built once: the environment says which one runs. What a target
//! feeds its decoder, and what must hold besides that nothing panics, stands in its own file.
#![no_main]

mod configuration;
mod import;
mod journal;
mod json;
mod line;
mod names;
mod rights;
mod survival;

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

/// The targets by name. `xtask/src/fuzz.rs` lists the same names, and its tests see to it.
const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("line", line::run),
    ("json", json::run),
    ("journal", journal::run),
    ("names", names::run),
    ("rights", rights::run),
    ("configuration", configuration::run),
    ("import", import::run),
];

static CHOSEN: OnceLock<fn(&[u8])> = OnceLock::new();

fn chosen() -> fn(&[u8]) {
    let name = std::env::var("TIDEMILL_FUZZ_TARGET").unwrap_or_default();
    let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) else {
        let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        eprintln!("TIDEMILL_FUZZ_TARGET is `{name}`; there are: {}", names.join(", "));
        std::process::exit(2);
    };
    *target
}

fuzz_target!(|data: &[u8]| CHOSEN.get_or_init(chosen)(data));
