//! `cargo xtask sim`: many crash cycles of the log on a simulated disk, as fast as the machine goes. The simulation
//! itself belongs to the journal; here it is built and started.

use trials::{Command, Outcome, shell};

pub(crate) const COMMAND: Command = Command {
    name: "sim",
    arguments: "[--cycles N] [--seed S]",
    summary: "Crash the log on a simulated disk, thousands of times",
    help: "Power cuts, torn writes, failed syncs, full disks and flipped bits, in one thread and repeatable by seed. Every\n\
           test run does 1,000 cycles; this does as many as are asked for (default 100,000), in a release build.\n\n\
           Example: cargo xtask sim --cycles 100000 --seed 1",
    run,
};

const CYCLES_DEFAULT: u64 = 100_000;

fn run(arguments: &[String]) -> Outcome {
    let (cycles, seed) = understood(arguments)?;
    let mut cargo = shell::cargo();
    cargo.args(["run", "--release", "--package", "tidemill-journal", "--example", "simulate", "--"]);
    cargo.args(["--cycles", &cycles.to_string(), "--seed", &seed.to_string()]);
    shell::pass(cargo).map_err(Into::into)
}

fn understood(arguments: &[String]) -> Result<(u64, u64), String> {
    let (mut cycles, mut seed) = (CYCLES_DEFAULT, 1);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--cycles" => cycles = shell::number(word, words.next())?,
            "--seed" => seed = shell::number(word, words.next())?,
            other => return Err(format!("`{other}` is not an option of sim ({})", COMMAND.arguments)),
        }
    }
    Ok((cycles, seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_understood_or_refused() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(understood(&words("--cycles 10 --seed 4")), Ok((10, 4)));
        assert_eq!(understood(&[]), Ok((CYCLES_DEFAULT, 1)));
        assert!(understood(&words("--cycles")).is_err());
        assert!(understood(&words("--sead 4")).is_err());
    }
}
