//! `cargo xtask bench`: measures rooms by their own examples, and the whole house from outside. Prints figures beside the
//! limit or the other program that they are compared with, in the same run; writes nothing. docs/benchmarks.md keeps
//! what was measured once.

mod bytes;
mod figure;
mod generate;
mod house;
mod import;
mod peers;
mod process;
mod restart;
mod stand;

use crate::binary::Binary;
use crate::{Command, Outcome, shell};
use std::path::PathBuf;

/// `cargo xtask bench`.
pub const COMMAND: Command = Command {
    name: "bench",
    arguments: "[journal|bus|web|lake|house|bytes|restart|peers|import]… [--samples N] [--runs N] [--import DIR]… [--log-mb N] [--lines N] [--binary FILE]",
    summary: "Measure the rooms, and the whole house over HTTP",
    help: "A room's figures come from its example `bench`. The others build the release binary and measure it from\n\
           outside (--binary takes one that stands already); without a name all are measured but `restart`, `peers` and `import`:\n\
           house    4 connections write line protocol, 5,000 lines a request, 2,000 signals (--samples in all, 4,000,000\n\
           \x20        if not said); then flush, size, lone writes against fdatasync, start, and SQL against DuckDB on\n\
           \x20        the same files; medians of 3 runs\n\
           bytes    bytes a sample of the generated plant, and of the CSV files below each --import DIR\n\
           restart  kill -9 with --log-mb (1,000) of log that is in no file, written with --lines (1,000) samples a\n\
           \x20        request: until a write is accepted, until everything is visible; from memory and from the disk.\n\
           \x20        Takes 6 GiB of memory; root for the disk\n\
           peers    beside VictoriaMetrics, InfluxDB 1, DuckDB and chdb: --samples (26,600,000) of 2,200 signals over 4\n\
           \x20        connections, what kill -9 leaves, memory, bytes, questions; medians of --runs (3), half an hour\n\
           import   files of --samples (10,000,000) values, narrow, wide and objects, into a plant that runs: rows a second and\n\
           \x20        memory, beside DuckDB and chdb into tables of their own; quarter of an hour, 3 GB of disk\n\n\
           Example: cargo xtask bench bytes --import ../data/nab",
    run,
};

/// The rooms with an example `bench`.
const ROOMS: &[&str] = &["journal", "bus", "web", "lake"];
/// What is measured from outside.
const OUTSIDE: &[&str] = &["house", "bytes", "restart", "peers", "import"];
/// Measured only when they are named.
const LARGE: &[&str] = &["restart", "peers", "import"];

/// What `house` and `bytes` send unless it is said.
const SAMPLES: u64 = 4_000_000;

#[derive(Debug, PartialEq, Eq)]
struct Options {
    names: Vec<String>,
    samples: Option<u64>,
    runs: u64,
    imports: Vec<PathBuf>,
    log_mb: u64,
    lines: u64,
    binary: Option<PathBuf>,
}

fn run(arguments: &[String]) -> Outcome {
    let options = understood(arguments)?;
    let wants = |name: &str| {
        let named = options.names.iter().any(|wanted| wanted == name);
        named || options.names.is_empty() && !LARGE.contains(&name)
    };
    for room in ROOMS.iter().filter(|room| wants(room)) {
        println!("==> {room}");
        let package = format!("tidemill-{room}");
        let mut cargo = shell::cargo();
        cargo.args(["run", "--release", "--package", &package, "--example", "bench"]);
        shell::pass(cargo)?;
    }
    let outside: Vec<&str> = OUTSIDE.iter().copied().filter(|name| wants(name)).collect();
    if outside.is_empty() {
        return Ok(());
    }
    let binary = match &options.binary {
        Some(path) => Binary { path: path.clone() },
        None => Binary::build("release")?,
    };
    for name in outside {
        println!("==> {name}");
        match name {
            "house" => house::run(&binary, options.samples.unwrap_or(SAMPLES))?,
            "bytes" => bytes::run(&binary, options.samples.unwrap_or(SAMPLES), &options.imports)?,
            "import" => import::run(&binary, options.samples.unwrap_or(import::ROWS))?,
            "peers" => peers::run(&binary, options.samples.unwrap_or(peers::SAMPLES), options.runs)?,
            _ => restart::run(&binary, options.log_mb * 1_000_000, options.lines)?,
        }
    }
    Ok(())
}

fn understood(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options {
        names: Vec::new(),
        samples: None,
        runs: 3,
        imports: Vec::new(),
        log_mb: 1_000,
        lines: 1_000,
        binary: None,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--samples" => options.samples = Some(shell::number(word, words.next())?),
            "--runs" => options.runs = shell::number::<u64>(word, words.next())?.max(1),
            "--log-mb" => options.log_mb = shell::number(word, words.next())?,
            "--lines" => options.lines = shell::number(word, words.next())?,
            "--import" => {
                options.imports.push(words.next().map(PathBuf::from).ok_or("`--import` takes a folder")?)
            }
            "--binary" => {
                options.binary = Some(words.next().map(PathBuf::from).ok_or("`--binary` takes a file")?);
            }
            name if ROOMS.contains(&name) || OUTSIDE.contains(&name) => options.names.push(name.to_owned()),
            other => {
                let known: Vec<&str> = ROOMS.iter().chain(OUTSIDE).copied().collect();
                return Err(format!("there is no benchmark `{other}`; there are: {}", known.join(", ")));
            }
        }
    }
    if let Some(missing) = options.imports.iter().find(|folder| !folder.is_dir()) {
        return Err(format!("{} is no folder", missing.display()));
    }
    if !options.imports.is_empty() && options.names.is_empty() {
        options.names.push("bytes".to_owned());
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_understood_or_refused() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let options = understood(&words("journal house --samples 5_000")).expect("good");
        assert_eq!((options.names, options.samples), (vec!["journal".into(), "house".into()], Some(5_000)));
        assert_eq!(understood(&words("--import /")).expect("good").names, ["bytes"]);
        assert!(understood(&words("--import there/is/no/such/folder")).is_err());
        assert!(understood(&words("jurnal")).is_err_and(|error| error.contains("journal")));
    }
}
