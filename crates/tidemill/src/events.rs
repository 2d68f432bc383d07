//! The page of docs/reference that says what the log may say, made from the one table in `core`; and the test that no line is
//! logged without a name of that table. What does not live here: where lines go (`log.rs`).

use std::fmt::Write as _;

use tidemill_core::EVENTS;

/// docs/reference/events.md.
pub(crate) fn page() -> String {
    let mut out = String::from(
        "# Events of the log\n\nEvery line of the log has an event. `tidemill run` writes lines to standard error, or with `--log-file FILE` to a file \
         that begins\nanew at `--log-size` (16 MiB) or `--log-age` (30 days) and of which `--log-keep` (5) older ones are kept. A log that cannot be written, \
         as\non a full disk, stops nothing: lines go to standard error meanwhile and are counted (`tidemill_log_lines_lost_total`). `--log-json` writes a JSON \
         object a\nline, with `timestamp`, `level`, `event`, `message` and what the event tells beside; `TIDEMILL_LOG=debug` shows the rest. A line break within an event is\n\
         written as `\\n`. A log file is for its owner and group (0640). One that\nlogrotate moves or empties is begun anew. Values of signals and secrets are in no line: of a slow query only its shape is told, with `?`\nfor \
         each literal. `query.failed` alone may quote what a library says of its own defect.\n\n| event | level | means | what to do |\n|---|---|---|---|\n",
    );
    for event in EVENTS {
        let _ = writeln!(out, "| `{}` | {} | {} | {} |", event.id, event.level, event.meaning, event.mend);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder of the source").flatten() {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }

    /// Level and name of each call in a source; what is not as it should be in words.
    fn calls(text: &str) -> Vec<Result<(&'static str, &str), String>> {
        let mut calls = Vec::new();
        for level in LEVELS {
            let begins = format!("tracing::{level}!(");
            for (at, _) in text.match_indices(&begins) {
                let rest = text[at + begins.len()..].trim_start();
                let named = rest.strip_prefix("event = \"").and_then(|rest| rest.split_once('"'));
                let line = text[..at].matches('\n').count() + 1;
                calls.push(named.map(|(name, _)| (level, name)).ok_or(format!("line {line} has no event")));
            }
        }
        if text.contains("use tracing::") {
            calls.push(Err(
                "macros of tracing are called by their full name, so that they are found".to_owned()
            ));
        }
        calls
    }

    #[test]
    fn every_line_of_the_log_has_an_event_of_the_table_and_every_event_is_logged() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut files = Vec::new();
        for entry in std::fs::read_dir(crates).expect("the rooms").flatten() {
            let source = entry.path().join("src");
            if source.is_dir() {
                sources(&source, &mut files);
            }
        }
        let own = Path::new(file!()).file_name();
        let mut wrong = Vec::new();
        let mut logged = BTreeSet::new();
        for file in files.iter().filter(|file| file.file_name() != own) {
            let text = std::fs::read_to_string(file).expect("a source");
            for call in calls(&text) {
                let problem = call.and_then(|(level, name)| {
                    let event = EVENTS.iter().find(|event| event.id == name);
                    let event = event.ok_or(format!("{name} does not stand in core/src/event.rs"))?;
                    logged.insert(event.id);
                    match event.level.split(", ").any(|known| known == level) {
                        true => Ok(()),
                        false => Err(format!("{name} is logged as {level}")),
                    }
                });
                wrong.extend(problem.err().map(|problem| format!("{}: {problem}", file.display())));
            }
        }
        let unused = EVENTS.iter().filter(|event| !logged.contains(event.id));
        wrong.extend(unused.map(|event| format!("{} is never logged", event.id)));
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn a_call_without_an_event_is_found() {
        let text = "tracing::warn!(event = \"a.b\", x);\ntracing::info!(\n    event = \"c.d\");\n tracing::error!(%error, \"it failed\");";
        let told: Vec<_> =
            calls(text).into_iter().map(|call| call.map(|(level, name)| format!("{level} {name}"))).collect();
        assert_eq!(
            told,
            [Err("line 4 has no event".to_owned()), Ok("warn a.b".to_owned()), Ok("info c.d".to_owned())]
        );
    }
}
