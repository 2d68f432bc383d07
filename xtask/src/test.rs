//! `cargo xtask test`: foreign partners, then every test there is, step by step from one table. What a test does
//! stands with the code it tests; what is checked without running the house stands in `gates`.

use std::time::Instant;
use trials::{Command, Outcome, partners, shell};

pub(crate) const COMMAND: Command = Command {
    name: "test",
    arguments: "[--strict] [FILTER]",
    summary: "Set up the test partners and run every test",
    help: "Partners (deltalake, DuckDB, …) go into .partners/ of the checkout; on a terminal you are asked first.\n\
           Tests whose partner is missing are skipped, named and counted; --strict, or CI=true, makes that a failure.\n\
           With FILTER only the tests of `cargo test` whose name contains it are run.\n\n\
           Tests see TIDEMILL_PARTNERS (the folder; python is python/bin/python in it) and TIDEMILL_STRICT=1.\n\n\
           Example: cargo xtask test torn_tail",
    run,
};

/// What runs after `cargo test`: our own commands with their arguments, each a test of the whole house.
const STEPS: &[&[&str]] = &[
    &["crash", "--cycles", "20", "--samples", "200000"],
    &["crash", "--telegraf", "60"],
    &["fuzz", "--seconds", "30"],
    &["dist", "--test"],
];

fn run(arguments: &[String]) -> Outcome {
    let began = Instant::now();
    let (strict, filter) = understood(arguments)?;
    let ready = partners::ready()?;

    let mut tests = shell::cargo();
    tests.args(["test", "--workspace"]).args(&filter).env("TIDEMILL_PARTNERS", &ready.folder);
    if strict {
        tests.env("TIDEMILL_STRICT", "1");
    }
    let mut failures = Vec::new();
    step(&shell::shown(&tests), &mut failures, || shell::pass(tests).map_err(Into::into));
    if filter.is_none() {
        for words in STEPS {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            if let Some((name, rest)) = words.split_first() {
                step(&format!("cargo xtask {}", words.join(" ")), &mut failures, || crate::run(name, rest));
            }
        }
    }

    for partner in &ready.missing {
        println!("skipped for want of {partner}");
    }
    println!(
        "tests took {}; {} partners missing; {} steps failed",
        shell::spoken(began.elapsed()),
        ready.missing.len(),
        failures.len()
    );
    judged(failures, ready.missing.len(), strict).map_err(Into::into)
}

fn judged(failures: Vec<String>, missing: usize, strict: bool) -> Result<(), String> {
    if !failures.is_empty() {
        return Err(failures.join("\n"));
    }
    if strict && missing > 0 {
        return Err(format!("{missing} partners are missing, and --strict (or CI=true) does without none"));
    }
    Ok(())
}

fn understood(arguments: &[String]) -> Result<(bool, Option<String>), String> {
    let (mut strict, mut filter) = (shell::is_ci(), None);
    for argument in arguments {
        match argument.as_str() {
            "--strict" => strict = true,
            other if other.starts_with('-') => {
                return Err(format!("`{other}` is not an option of test (--strict)"));
            }
            other if filter.is_none() => filter = Some(other.to_owned()),
            other => return Err(format!("one FILTER at most; `{other}` is a second")),
        }
    }
    Ok((strict, filter))
}

fn step(name: &str, failures: &mut Vec<String>, work: impl FnOnce() -> Outcome) {
    println!("==> {name}");
    let began = Instant::now();
    let result = work();
    let word = if result.is_ok() { "done" } else { "FAILED" };
    println!("<== {name}: {word} in {}", shell::spoken(began.elapsed()));
    if let Err(error) = result {
        failures.push(error.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_understood_or_refused() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            understood(&words("--strict torn")).map(|(strict, filter)| (strict, filter.unwrap())),
            Ok((true, "torn".into()))
        );
        assert!(understood(&words("--strikt")).is_err());
        assert!(understood(&words("one two")).is_err());
    }

    #[test]
    fn a_failing_step_is_kept_and_the_next_one_still_runs() {
        let mut failures = Vec::new();
        step("first", &mut failures, || Err("broken".into()));
        step("second", &mut failures, || Ok(()));
        assert_eq!(failures, ["broken"]);
    }

    #[test]
    fn a_missing_partner_fails_only_where_it_is_asked_for() {
        assert_eq!(judged(Vec::new(), 1, false), Ok(()));
        assert_eq!(judged(Vec::new(), 0, true), Ok(()));
        assert!(judged(Vec::new(), 1, true).is_err_and(|error| error.contains("1 partners are missing")));
        assert_eq!(judged(vec!["broken".into()], 1, true), Err("broken".into()));
    }

    #[test]
    fn every_step_is_a_command() {
        for words in STEPS {
            assert!(crate::COMMANDS.iter().any(|command| Some(&command.name) == words.first()), "{words:?}");
        }
    }
}
