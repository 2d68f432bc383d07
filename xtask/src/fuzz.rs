//! `cargo xtask fuzz`: builds the fuzz targets with coverage on the stable toolchain and runs them, two at a time where
//! there are two cores. What is fed to what stands in `fuzz/`; what was found is kept there and said with how to replay it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use trials::{Command, Outcome, shell};

pub(crate) const COMMAND: Command = Command {
    name: "fuzz",
    arguments: "[TARGET…] [--seconds S | --runs N] [--seed N] [--replay FILE]",
    summary: "Feed every decoder of foreign bytes with libFuzzer",
    help: "Targets: journal, import, configuration, names, line, flight, postgres, json, remote, rights, backup. Without one all run,\n\
           for 30 s each. 10,000,000 runs of every target take an hour or more on two cores.\n\
           sql and decode (Arrow, Parquet) run when they are named: as tests of the historian, by random changes\n\
           without coverage, for under libFuzzer they would build DataFusion once more.\n\
           Inputs come from fuzz/seeds/ (tracked) and grow in fuzz/corpus/ (not tracked); what fails goes to\n\
           fuzz/artifacts/TARGET/ and is run again with --replay. Needs a C++ compiler, not nightly.\n\n\
           Example: cargo xtask fuzz line --runs 10000000",
    run,
};

/// The names in `fuzz/src/main.rs`, those first that take longest, so that two at a time end at about the same time.
const TARGETS: &[&str] = &[
    "journal",
    "import",
    "configuration",
    "names",
    "line",
    "flight",
    "postgres",
    "json",
    "remote",
    "rights",
    "backup",
];

/// Tests of the historian in `query/fuzz_tests.rs`, which take their length and seed from the environment.
const TESTED: &[&str] = &["sql", "decode"];

const SECONDS_DEFAULT: u64 = 30;
/// One input may take so long before it counts as a hang; ten times what any may take on a quiet machine.
const INPUT_SECONDS_MAX: u64 = 10;
const MEMORY_MIB_MAX: u64 = 2048;
const INPUT_BYTES_MAX: u64 = 4096;
/// How much of a failing target's last words is shown.
const TAIL_LINES: usize = 30;
/// Lines of a target's that are kept: a backtrace, an input, the statistics.
const WORDS_LINES_MAX: usize = 2_000;
/// A target says so often how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(30);

/// What libFuzzer asks of the compiler, without its `-fsanitize` and thus without nightly: counters at every edge and
/// the operands of comparisons.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Seconds(u64),
    Runs(u64),
}

#[derive(Debug, PartialEq, Eq)]
struct Options {
    targets: Vec<&'static str>,
    /// Of those in the historian.
    tested: Vec<&'static str>,
    length: Length,
    seed: Option<u64>,
    replay: Option<PathBuf>,
}

/// How one target went.
struct Report {
    target: &'static str,
    runs: u64,
    runs_per_second: u64,
    /// Last words, where it failed.
    failure: Option<String>,
}

fn run(arguments: &[String]) -> Outcome {
    let options = understood(arguments)?;
    for target in &options.tested {
        tested(target, &options)?;
    }
    if options.targets.is_empty() {
        return Ok(());
    }
    let program = build()?;
    if let (Some(file), [target]) = (&options.replay, options.targets.as_slice()) {
        let mut replay = shell::program(&program.to_string_lossy());
        replay.env("TIDEMILL_FUZZ_TARGET", target).arg(file);
        return shell::pass(replay).map_err(Into::into);
    }
    let began = Instant::now();
    let next = AtomicUsize::new(0);
    let reports = Mutex::new(Vec::new());
    let at_once = std::thread::available_parallelism().map_or(1, usize::from).min(options.targets.len());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(target) = options.targets.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let report = fuzz(&program, target, options.length);
                    let word = if report.failure.is_some() { "FAILED" } else { "no fault" };
                    let (runs, rate) = (grouped(report.runs), grouped(report.runs_per_second));
                    println!("{target}: {word} in {runs} runs, {rate} a second");
                    if let Ok(mut reports) = reports.lock() {
                        reports.push(report);
                    }
                }
            });
        }
    });
    let reports = reports.into_inner().unwrap_or_default();
    summarise(&reports, began.elapsed());
    judged(&reports, options.targets.len()).map_err(Into::into)
}

/// What a reader of the last lines wants to see.
fn summarise(reports: &[Report], took: Duration) {
    println!("\n{:<14} {:>13} {:>10}  faults", "target", "runs", "a second");
    for report in reports {
        let faults = if report.failure.is_some() { "FAILED" } else { "none" };
        let (runs, rate) = (grouped(report.runs), grouped(report.runs_per_second));
        println!("{:<14} {runs:>13} {rate:>10}  {faults}", report.target);
    }
    let runs = grouped(reports.iter().map(|report| report.runs).sum());
    println!("{} targets fuzzed in {}, {runs} runs in all", reports.len(), shell::spoken(took));
}

/// A number as people read it: `10,000,000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn judged(reports: &[Report], wanted: usize) -> Result<(), String> {
    let mut failed = Vec::new();
    for report in reports {
        if let Some(words) = &report.failure {
            println!("---- {}\n{words}", report.target);
            failed.push(format!(
                "{} failed: `cargo xtask fuzz {} --replay fuzz/artifacts/{}/FILE` runs the input again",
                report.target, report.target, report.target
            ));
        } else if report.runs == 0 {
            failed.push(format!("{} ran nothing", report.target));
        }
    }
    if reports.len() < wanted {
        failed.push(format!("{} of {wanted} targets ran", reports.len()));
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

fn understood(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options {
        targets: Vec::new(),
        tested: Vec::new(),
        length: Length::Seconds(SECONDS_DEFAULT),
        seed: None,
        replay: None,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => options.length = Length::Seconds(shell::number(word, words.next())?),
            "--runs" => options.length = Length::Runs(shell::number(word, words.next())?),
            "--seed" => options.seed = Some(shell::number(word, words.next())?),
            "--replay" => {
                options.replay = Some(words.next().map(PathBuf::from).ok_or("`--replay` takes a file")?);
            }
            other => {
                let known = |list: &[&'static str]| list.iter().copied().find(|target| *target == other);
                match (known(TARGETS), known(TESTED)) {
                    (Some(target), _) => options.targets.push(target),
                    (None, Some(target)) => options.tested.push(target),
                    (None, None) => {
                        let all = [TARGETS, TESTED].concat().join(", ");
                        return Err(format!("there is no target `{other}`; there are: {all}"));
                    }
                }
            }
        }
    }
    if options.replay.is_some() && (options.targets.len() != 1 || !options.tested.is_empty()) {
        return Err("`--replay` takes one TARGET: `cargo xtask fuzz TARGET --replay FILE`".into());
    }
    if options.seed.is_some() && options.tested.is_empty() {
        return Err(format!("`--seed` is for {}: the others grow a corpus", TESTED.join(" and ")));
    }
    if options.targets.is_empty() && options.tested.is_empty() {
        options.targets = TARGETS.to_vec();
    }
    Ok(options)
}

/// Runs a target that is a test. Its output is its own: progress, then how many inputs there were and at what rate.
fn tested(target: &str, options: &Options) -> Result<(), String> {
    let mut cargo = shell::cargo();
    let test = format!("query::fuzz_tests::{target}");
    cargo.args(["test", "--package", "tidemill-historian", "--lib", &test, "--", "--exact", "--nocapture"]);
    let seed = options.seed.unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |time| time.as_secs())
    });
    cargo.env("TIDEMILL_FUZZ_SEED", seed.to_string());
    match options.length {
        Length::Seconds(seconds) => cargo.env("TIDEMILL_FUZZ_SECONDS", seconds.to_string()),
        Length::Runs(runs) => cargo.env("TIDEMILL_FUZZ_RUNS", runs.to_string()),
    };
    shell::pass(cargo).map_err(|error| {
        format!(
            "{error}\nThe message above names input and seed: `--seed {seed}` gives the same inputs again"
        )
    })
}

/// Builds all targets into one program.
fn build() -> Result<PathBuf, String> {
    let mut rustc = shell::program("rustc");
    rustc.args(["--print", "host-tuple"]);
    let host = shell::capture(rustc)?;
    let host = host.trim();
    let target = shell::root().join("fuzz/target");
    let mut cargo = shell::cargo();
    // With --target the flags are for what is fuzzed, not for build scripts.
    cargo.args(["build", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target", host]);
    cargo.arg("--target-dir").arg(&target).env("RUSTFLAGS", FLAGS);
    shell::pass(cargo)?;
    Ok(target.join(host).join("release/tidemill-fuzz"))
}

fn fuzz(program: &Path, target: &'static str, length: Length) -> Report {
    let mut report = Report { target, runs: 0, runs_per_second: 0, failure: None };
    match words_of(program, target, length) {
        Ok((words, good)) => {
            report.runs = statistic(&words, "number_of_executed_units");
            report.runs_per_second = statistic(&words, "average_exec_per_sec");
            report.failure = (!good).then(|| tail(&words));
        }
        Err(error) => report.failure = Some(error),
    }
    report
}

/// Runs one target; what it said, and whether all went well.
fn words_of(program: &Path, target: &str, length: Length) -> Result<(String, bool), String> {
    let folder = |name: &str| {
        let path = shell::root().join("fuzz").join(name).join(target);
        std::fs::create_dir_all(&path)
            .map(|()| path)
            .map_err(|error| format!("fuzz/{name}/{target}: {error}"))
    };
    let (corpus, seeds, artifacts) = (folder("corpus")?, folder("seeds")?, folder("artifacts")?);
    let mut fuzz = shell::program(&program.to_string_lossy());
    fuzz.arg(&corpus).arg(&seeds).env("TIDEMILL_FUZZ_TARGET", target);
    fuzz.arg(match length {
        Length::Seconds(seconds) => format!("-max_total_time={seconds}"),
        Length::Runs(runs) => format!("-runs={runs}"),
    });
    fuzz.arg(format!("-artifact_prefix={}/", artifacts.display()));
    fuzz.args([
        "-print_final_stats=1".to_owned(),
        format!("-timeout={INPUT_SECONDS_MAX}"),
        format!("-rss_limit_mb={MEMORY_MIB_MAX}"),
        format!("-max_len={INPUT_BYTES_MAX}"),
    ]);
    fuzz.env("RUST_BACKTRACE", "1").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let failed = |error: std::io::Error| format!("{}: {error}", program.display());
    let mut child = fuzz.spawn().map_err(failed)?;
    let words = child.stderr.take().map(|words| followed(BufReader::new(words), target, length));
    let status = child.wait().map_err(failed)?;
    Ok((words.unwrap_or_default(), status.success()))
}

/// Reads what a target says to its end, shows now and then how far it is, and gives what is no progress.
fn followed(mut words: impl BufRead, target: &str, length: Length) -> String {
    let mut kept: VecDeque<String> = VecDeque::new();
    let (mut line, mut shown) = (Vec::new(), Instant::now());
    while words.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        match progress(&text) {
            Some((runs, rate)) if shown.elapsed() >= PROGRESS_EVERY => {
                shown = Instant::now();
                let wanted = match length {
                    Length::Runs(wanted) => format!(" of {}", grouped(wanted)),
                    Length::Seconds(_) => String::new(),
                };
                println!("  {target}: {}{wanted} runs, {} a second", grouped(runs), grouped(rate));
            }
            Some(_) => {}
            None => {
                if kept.len() == WORDS_LINES_MAX {
                    kept.pop_front();
                }
                kept.push_back(text);
            }
        }
    }
    kept.make_contiguous().join("\n")
}

/// Runs so far and runs a second, from a line such as `#524288 pulse  cov: 811 … exec/s: 9532 rss: 61Mb`.
fn progress(line: &str) -> Option<(u64, u64)> {
    let runs = line.strip_prefix('#')?.split_whitespace().next()?.parse().ok()?;
    let rate = line.split_once("exec/s: ")?.1.split_whitespace().next()?.parse().ok()?;
    Some((runs, rate))
}

/// A number of libFuzzer's final statistics.
fn statistic(words: &str, name: &str) -> u64 {
    let line =
        words.lines().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

/// What panicked and where, or the last words.
fn tail(words: &str) -> String {
    let lines: Vec<&str> = words.lines().collect();
    let panicked = lines.iter().position(|line| line.contains("panicked at"));
    let from = panicked.unwrap_or(lines.len().saturating_sub(TAIL_LINES));
    let artifact = lines.iter().filter(|line| line.contains("Test unit written to"));
    lines.iter().skip(from).take(TAIL_LINES).chain(artifact).copied().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_understood_or_refused() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let options = understood(&words("line json --runs 10_000_000")).expect("good");
        assert_eq!((options.targets, options.length), (vec!["line", "json"], Length::Runs(10_000_000)));
        assert_eq!(understood(&[]).expect("good").targets, TARGETS);
        let options = understood(&words("sql --runs 5 --seed 7")).expect("good");
        assert_eq!((options.targets, options.tested, options.seed), (vec![], vec!["sql"], Some(7)));
        for bad in [
            "line --seed 7",
            "sql --replay file",
            "lin",
            "--seconds",
            "--replay file",
            "line json --replay file",
            "--time 3",
        ] {
            assert!(understood(&words(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_program_has_the_same_targets_and_help_names_them_all() {
        let source = shell::text("fuzz/src/main.rs").expect("readable").expect("text");
        let table = source.split_once("= &[").and_then(|(_, rest)| rest.split_once("];")).expect("a table").0;
        let names: Vec<&str> = table.split('"').skip(1).step_by(2).collect();
        assert_eq!(names, TARGETS);
        let tests = shell::text("crates/historian/src/query/fuzz_tests.rs").expect("readable").expect("text");
        for target in TESTED {
            assert!(tests.contains(&format!("#[test]\nfn {target}() {{")), "{target}");
        }
        for target in [TARGETS, TESTED].concat() {
            assert!(COMMAND.help.contains(target), "{target}");
        }
    }

    #[test]
    fn progress_is_told_from_words_that_are_kept() {
        let words = "INFO: Seed: 1\n#2\tINITED cov: 4 exec/s: 0 rss: 30Mb\n#1048576\tpulse  cov: 8 exec/s: 9532 rss: 61Mb\n\
                     thread panicked at src/x.rs:1:1:\n#0 0x55 in main\nstat::number_of_executed_units: 1048577\n";
        assert_eq!(
            followed(words.as_bytes(), "line", Length::Seconds(1)),
            "INFO: Seed: 1\nthread panicked at src/x.rs:1:1:\n#0 0x55 in main\nstat::number_of_executed_units: 1048577"
        );
        assert_eq!(progress("#1048576\tpulse  cov: 8 exec/s: 9532 rss: 61Mb"), Some((1_048_576, 9_532)));
        assert_eq!([0, 999, 1_000, 10_000_000].map(grouped), ["0", "999", "1,000", "10,000,000"]);
    }

    #[test]
    fn a_failure_and_a_target_that_ran_nothing_fail_the_command() {
        let words =
            "#123 DONE\nstat::number_of_executed_units: 2870000\nstat::average_exec_per_sec:     92600\n";
        assert_eq!(statistic(words, "number_of_executed_units"), 2_870_000);
        assert_eq!(statistic(words, "average_exec_per_sec"), 92_600);
        let report = |runs, failure: Option<&str>| Report {
            target: "line",
            runs,
            runs_per_second: 1,
            failure: failure.map(str::to_owned),
        };
        assert_eq!(judged(&[report(5, None)], 1), Ok(()));
        assert!(judged(&[report(5, Some("panicked"))], 1).is_err_and(|error| error.contains("--replay")));
        assert!(judged(&[report(0, None)], 1).is_err());
        assert!(judged(&[report(5, None)], 2).is_err());
    }
}
