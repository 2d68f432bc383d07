//! `cargo xtask bench`: measures rooms by their own examples, and the whole house from outside. Prints figures beside the
//! limit or the other program that they are compared with, in the same run; writes nothing. docs/benchmarks.md keeps
//! what was measured once.

mod generate;
mod house;
mod process;

use crate::binary::Binary;
use crate::{Command, Outcome, shell};
use std::path::PathBuf;

pub(crate) const COMMAND: Command = Command {
    name: "bench",
    arguments: "[journal|bus|web|historian|house]… [--samples N] [--import DIR] [--binary FILE]",
    summary: "Measure the rooms, and the whole house over HTTP",
    help: "A room's figures come from its example `bench`. `house` builds the release binary and measures it from\n\
           outside: 4 connections write line protocol, 5,000 lines a request, 2,000 signals (--samples in all,\n\
           4,000,000 if not said); then flush, size on disk, lone writes against fdatasync, start, and SQL against\n\
           DuckDB on the same files. --import DIR does instead with the CSV files below DIR what `import` does.\n\
           --binary measures a binary that stands already.\n\n\
           Example: cargo xtask bench house --samples 10000000",
    run,
};

/// The rooms with an example `bench`.
const ROOMS: &[&str] = &["journal", "bus", "web", "historian"];
const HOUSE: &str = "house";
const SAMPLES_DEFAULT: u64 = 4_000_000;

#[derive(Debug, PartialEq, Eq)]
struct Options {
    names: Vec<String>,
    samples: u64,
    import: Option<String>,
    binary: Option<PathBuf>,
}

fn run(arguments: &[String]) -> Outcome {
    let options = understood(arguments)?;
    let wants = |name: &str| options.names.is_empty() || options.names.iter().any(|wanted| wanted == name);
    for room in ROOMS.iter().filter(|room| wants(room)) {
        println!("==> {room}");
        let package = format!("tidemill-{room}");
        let mut cargo = shell::cargo();
        cargo.args(["run", "--release", "--package", &package, "--example", "bench"]);
        shell::pass(cargo)?;
    }
    if wants(HOUSE) {
        println!("==> {HOUSE}");
        let binary = match &options.binary {
            Some(path) => Binary { path: path.clone() },
            None => Binary::build(true)?,
        };
        house::run(binary, options.samples, options.import.as_deref())?;
    }
    Ok(())
}

fn understood(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options { names: Vec::new(), samples: SAMPLES_DEFAULT, import: None, binary: None };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--samples" => options.samples = shell::number(word, words.next())?,
            "--import" => options.import = Some(words.next().cloned().ok_or("`--import` takes a folder")?),
            "--binary" => {
                options.binary = Some(words.next().map(PathBuf::from).ok_or("`--binary` takes a file")?)
            }
            name if ROOMS.contains(&name) || name == HOUSE => options.names.push(name.to_owned()),
            other => {
                return Err(format!(
                    "there is no benchmark `{other}`; there are: {}, {HOUSE}",
                    ROOMS.join(", ")
                ));
            }
        }
    }
    if options.import.is_some() && options.names.is_empty() {
        options.names.push(HOUSE.to_owned());
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
        assert_eq!((options.names, options.samples), (vec!["journal".into(), "house".into()], 5_000));
        assert_eq!(understood(&words("--import data")).expect("good").names, ["house"]);
        assert!(understood(&words("jurnal")).is_err_and(|error| error.contains("journal")));
    }
}
