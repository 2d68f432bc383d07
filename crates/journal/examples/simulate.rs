//! Many crash cycles of the log on a simulated disk: `cargo run --release -p tidemill-journal --example simulate --
//! --cycles 100000 --seed 1`. Each seed runs 1000 cycles on a disk of its own. Ends with 1 at the first wrong thing, and
//! says the seed that does it again.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs, reason = "a program for a terminal")]

#[path = "../tests/simulation/mod.rs"]
mod simulation;

use std::process::ExitCode;

const CYCLES_PER_SEED: u64 = 1000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, otherwise: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let (cycles, first_seed) = (number("--cycles", 1000), number("--seed", 1));
    let (mut done, mut seed) = (0, first_seed);
    let mut sums = [0_u64; 6];
    while done < cycles {
        let report = simulation::run(seed, CYCLES_PER_SEED.min(cycles - done), false);
        done += report.cycles;
        let more = [
            report.acknowledged,
            report.failed,
            report.refused,
            report.damaged,
            report.trimmed,
            report.torn_tails,
        ];
        sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        if let Some(wrong) = report.wrong {
            eprintln!("{wrong}\nagain with: --seed {seed} --cycles {CYCLES_PER_SEED}");
            return ExitCode::from(1);
        }
        seed += 1;
    }
    let [acknowledged, failed, refused, damaged, trimmed, power_cuts] = sums;
    println!(
        "{done} cycles, {power_cuts} power cuts, {acknowledged} parcels acknowledged: 0 lost, 0 invented, {damaged} reported as \
         damaged after bit flips, {trimmed} trimmed; {failed} failed and {refused} refused by faults of the disk"
    );
    ExitCode::SUCCESS
}
