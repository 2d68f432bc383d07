//! The gate `heads`: what the head and the length of a source file owe to its reader. What the sentences say is for
//! people to judge; here it is only seen that they are there.

use super::{Verdict, verdict};
use std::collections::BTreeMap;
use trials::shell;

/// Tests are long where they are tables: what a crate weighs is its code.
fn is_test(file: &str) -> bool {
    file.contains("tests/") || file.ends_with("tests.rs") || file.ends_with("fakes.rs")
}

/// Shorter than this, a head says nothing.
const HEAD_CHARS_MIN: usize = 40;
const FILE_LINES_MAX: usize = 700;
const FILE_LINES_WARN: usize = 500;
/// A larger crate holds more than one idea.
const CRATE_LINES_MAX: usize = 10_000;

pub(super) fn check() -> Result<Verdict, String> {
    let mut findings = Vec::new();
    let mut crates: BTreeMap<String, usize> = BTreeMap::new();
    let mut files = 0;
    for path in shell::files()?.iter().filter(|path| path.ends_with(".rs")) {
        let Some(text) = shell::text(path)? else {
            findings.push(format!("{path}: is not UTF-8"));
            continue;
        };
        files += 1;
        let lines = text.lines().count();
        findings.extend(faults(path, &text));
        if let Some((room, file)) = path.split_once("/src/")
            && !is_test(file)
        {
            *crates.entry(room.to_owned()).or_default() += lines;
        }
        if (FILE_LINES_WARN + 1..=FILE_LINES_MAX).contains(&lines) {
            println!("note: {path} has {lines} lines; over {FILE_LINES_WARN} is seldom needed");
        }
    }
    findings.extend(too_large(&crates));
    Ok(verdict(findings, format!("{files} files, {} lines", crates.values().sum::<usize>())))
}

fn faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let head: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let paragraph: Vec<&str> =
        head.iter().map(|line| line.trim()).take_while(|line| !line.is_empty()).collect();
    if paragraph.is_empty() {
        faults.push(format!("{path}:1: does not begin with a //! paragraph"));
    } else if paragraph.join(" ").chars().count() < HEAD_CHARS_MIN {
        faults.push(format!("{path}:1: its head is too short to say what lives here and what does not"));
    }
    if path.ends_with("src/lib.rs") && !head.iter().any(|line| line.contains("Invariants")) {
        faults.push(format!("{path}:1: the head of a crate names its Invariants"));
    }
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        faults.push(format!("{path}: {lines} lines, {FILE_LINES_MAX} at most"));
    }
    faults
}

fn too_large(crates: &BTreeMap<String, usize>) -> Vec<String> {
    let large = crates.iter().filter(|(_, lines)| **lines > CRATE_LINES_MAX);
    large.map(|(room, lines)| format!("{room}: {lines} lines of source, {CRATE_LINES_MAX} at most")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "//! Paths and what may stand in them. How they are stored is the bus's matter.\n";

    #[test]
    fn a_file_with_a_head_passes_and_each_lack_is_found() {
        let long = format!("{HEAD}{}", "// line\n".repeat(FILE_LINES_MAX));
        let invariants = format!("{HEAD}//!\n//! **Invariants**: no I/O.\n");
        let table = [
            ("crates/core/src/path.rs", HEAD, None),
            ("crates/core/src/lib.rs", invariants.as_str(), None),
            ("crates/core/src/lib.rs", HEAD, Some("Invariants")),
            ("crates/core/src/path.rs", "use std::fmt;\n", Some("does not begin")),
            ("crates/core/src/path.rs", "", Some("does not begin")),
            ("crates/core/src/path.rs", "/// Not of the file.\nstruct S;\n", Some("does not begin")),
            ("crates/core/src/path.rs", "//!\n//! After an empty line.\n", Some("does not begin")),
            ("crates/core/src/path.rs", "//! Paths.\n", Some("too short")),
            ("crates/core/src/path.rs", long.as_str(), Some("701 lines, 700 at most")),
        ];
        for (path, text, expected) in table {
            let found = faults(path, text);
            match expected {
                None => assert_eq!(found, Vec::<String>::new(), "{path}"),
                Some(word) => assert!(found.len() == 1 && found[0].contains(word), "{path}: {found:?}"),
            }
        }
    }

    #[test]
    fn tests_do_not_weigh() {
        assert!(is_test("model_tests.rs") && is_test("query/tests/sql.rs") && is_test("tests.rs"));
        assert!(!is_test("merge/mod.rs"));
    }

    #[test]
    fn a_crate_that_has_outgrown_its_room_is_found() {
        let crates = BTreeMap::from([
            ("crates/bus".into(), CRATE_LINES_MAX),
            ("crates/web".into(), CRATE_LINES_MAX + 1),
        ]);
        assert_eq!(too_large(&crates), ["crates/web: 10001 lines of source, 10000 at most"]);
    }
}
