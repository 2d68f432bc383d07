//! `cargo xtask gates`: what must be true of the source before it is merged, as a table of named gates, each with the
//! lesson it teaches when it fails. What can only be seen by running the house is a test and is found in `test`.

mod advisories;
mod docs;
mod floors;
mod heads;
mod licences;
mod links;
mod metadata;
mod spdx;
mod targets;
mod unify;
mod words;

use crate::generate;
use std::time::{Duration, Instant};
use trials::{Command, Outcome, shell};

pub(crate) const COMMAND: Command = Command {
    name: "gates",
    arguments: "[--list] [NAME…]",
    summary: "Check format, lints, floors, file heads, features, licences, docs and words",
    help: "Runs every gate, or those named, prints a table, and fails if one of them does.\n\n\
           Example: cargo xtask gates floors heads",
    run,
};

/// How a gate ended. A failure carries what was found, one finding a line.
enum Verdict {
    Passed(String),
    Skipped(String),
    Failed(Vec<String>),
}

/// One gate.
struct Gate {
    name: &'static str,
    check: fn() -> Result<Verdict, String>,
    /// Why it is asked for, and how a failure is mended: one line.
    lesson: &'static str,
}

const GATES: &[Gate] = &[
    Gate {
        name: "format",
        check: format,
        lesson: "one format for everyone keeps diffs about meaning: run `cargo fmt --all`",
    },
    Gate {
        name: "heads",
        check: heads::check,
        lesson: "a reader asks first what lives here and what does not: begin the file with one //! paragraph, \
                 give lib.rs its Invariants, and split what has grown too long",
    },
    Gate {
        name: "words",
        check: words::check,
        lesson: "the repository speaks of the product alone, and what is unfinished is finished or filed: \
                 reword the line, or mend the link",
    },
    Gate {
        name: "floors",
        check: floors::check,
        lesson: "a room depends only on floors below, so that an edit rebuilds little and engines stay exchangeable: \
                 meet in a trait of core and let the binary wire it",
    },
    Gate {
        name: "licences",
        check: licences::check,
        lesson: "what we ship must be free to ship, and some crates are kept out for good reasons: \
                 take another crate, or add it to deny.toml with the reason",
    },
    Gate {
        name: "advisories",
        check: advisories::check,
        lesson: "a known hole is not shipped: update the crate, or accept the id in deny.toml with the reason",
    },
    Gate {
        name: "unify",
        check: unify::check,
        lesson: "a package built with two sets of features is built twice, and DataFusion with it: \
                 name the features in the root manifest, and a package that the room does not use itself under \
                 \"only for their features\" of its manifest",
    },
    Gate {
        name: "clippy",
        check: clippy,
        lesson: "each lint stands with its reason in Cargo.toml or clippy.toml: do what it says, or `expect` it \
                 on the spot with a reason",
    },
    Gate {
        name: "docs",
        check: docs::check,
        lesson: "documentation that does not build is not read: mend the link or the markup that rustdoc names",
    },
    Gate {
        name: "targets",
        check: targets::check,
        lesson: "the house is to build on machines that nobody here has: keep what one system alone has behind cfg, in the \
                 places where it stands already",
    },
    Gate {
        name: "generated",
        check: generated,
        lesson: "a generated file that lags behind the code tells users wrong: run `cargo xtask generate`",
    },
];

fn run(arguments: &[String]) -> Outcome {
    if arguments.iter().any(|argument| argument == "--list") {
        for gate in GATES {
            println!("{:<11} {}", gate.name, gate.lesson);
        }
        return Ok(());
    }
    let chosen = chosen(arguments)?;
    let mut results = Vec::new();
    for gate in chosen {
        println!("==> gate {}", gate.name);
        let began = Instant::now();
        let verdict = (gate.check)().unwrap_or_else(|error| Verdict::Failed(vec![error]));
        if let Verdict::Failed(findings) = &verdict {
            for finding in findings {
                println!("{finding}");
            }
        }
        results.push((gate, verdict, began.elapsed()));
    }
    print!("{}", table(&results));
    let failed: Vec<&str> = results
        .iter()
        .filter(|(_, verdict, _)| matches!(verdict, Verdict::Failed(_)))
        .map(|(gate, ..)| gate.name)
        .collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("gates failed: {}", failed.join(", ")).into()) }
}

fn chosen(names: &[String]) -> Result<Vec<&'static Gate>, String> {
    if let Some(name) = names.iter().find(|name| GATES.iter().all(|gate| gate.name != name.as_str())) {
        let all: Vec<&str> = GATES.iter().map(|gate| gate.name).collect();
        return Err(format!("there is no gate `{name}`; there are: {}", all.join(", ")));
    }
    Ok(GATES.iter().filter(|gate| names.is_empty() || names.iter().any(|name| name == gate.name)).collect())
}

fn table(results: &[(&Gate, Verdict, Duration)]) -> String {
    let mut text = String::from("\n");
    for (gate, verdict, took) in results {
        let (word, note) = match verdict {
            Verdict::Passed(note) => ("passed", note.clone()),
            Verdict::Skipped(why) => ("skipped", why.clone()),
            Verdict::Failed(findings) => ("FAILED", format!("{} found; {}", findings.len(), gate.lesson)),
        };
        let line = format!("{:<11} {word:<7} {:>12}  {note}", gate.name, shell::spoken(*took));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The workspace, and the fuzz targets that stand outside it.
fn format() -> Result<Verdict, String> {
    let mut findings = Vec::new();
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        if shell::root().join(manifest).is_file() {
            let arguments = ["fmt", "--all", "--check", "--manifest-path", manifest];
            if let Verdict::Failed(found) = tool(&arguments, None) {
                findings.extend(found);
            }
        }
    }
    Ok(verdict(findings, String::new()))
}

/// A gate that is a cargo command: what it finds it prints itself.
fn tool(arguments: &[&str], setting: Option<(&str, &str)>) -> Verdict {
    let mut cargo = shell::cargo();
    cargo.args(arguments).envs(setting);
    judged(cargo)
}

/// Of the house, and of what fuzzes it.
fn clippy() -> Result<Verdict, String> {
    let of = |what: &[&str]| tool(&[&["clippy"], what, &["--", "-D", "warnings"]].concat(), None);
    match of(&["--workspace", "--all-targets"]) {
        Verdict::Passed(_) => Ok(of(&["--manifest-path", "fuzz/Cargo.toml"])),
        failed => Ok(failed),
    }
}

fn judged(command: std::process::Command) -> Verdict {
    match shell::pass(command) {
        Ok(()) => Verdict::Passed(String::new()),
        Err(error) => Verdict::Failed(vec![error]),
    }
}

/// Findings, or the note that says what was looked at.
fn verdict(findings: Vec<String>, note: String) -> Verdict {
    if findings.is_empty() { Verdict::Passed(note) } else { Verdict::Failed(findings) }
}

fn generated() -> Result<Verdict, String> {
    let stale = generate::stale()?;
    Ok(verdict(
        stale.iter().map(|file| format!("{} is not what the code gives", file.path)).collect(),
        format!("{} files", generate::GENERATED.len()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_gate_is_refused_and_a_known_one_runs_alone() {
        assert!(chosen(&["flors".into()]).err().is_some_and(|error| error.contains("floors")));
        assert_eq!(chosen(&["floors".into()]).map(|gates| gates.len()), Ok(1));
        assert_eq!(chosen(&[]).map(|gates| gates.len()), Ok(GATES.len()));
    }

    #[test]
    fn the_table_teaches_where_a_gate_failed() {
        let results = [
            (&GATES[0], Verdict::Passed("12 files".into()), Duration::from_millis(1234)),
            (&GATES[1], Verdict::Failed(vec!["a".into(), "b".into()]), Duration::from_secs(61)),
        ];
        let text = table(&results);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], [GATES[0].name, "passed", "1.2", "s", "12", "files"]);
        assert_eq!(lines[2][..8], [GATES[1].name, "FAILED", "1", "min", "01", "s", "2", "found;"]);
        assert!(text.contains(GATES[1].lesson), "{text}");
    }

    #[test]
    fn a_cargo_command_that_fails_fails_its_gate() {
        let mut cargo = shell::cargo();
        cargo.arg("there-is-no-such-subcommand").stderr(std::process::Stdio::null());
        assert!(matches!(judged(cargo), Verdict::Failed(_)));
    }
}
