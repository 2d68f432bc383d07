//! The gate `words`: no file of the repository holds a path of somebody's machine, a note of unfinished work or a test
//! that is switched off, and every link of a Markdown page leads somewhere. Spelling and style are for people.

use super::{Verdict, links, verdict};
use std::collections::BTreeMap;
use trials::shell;

/// Words that do not belong, each with the reason. They are written in two parts so that this file passes.
const WORDS: &[(&str, &str)] = &[
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/tmp", "/t/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/ho", "me/"), "a path of one machine"),
    (concat!("arti", "factory"), "a registry of one network"),
    (concat!("TO", "DO"), "finish it, or file it where the work is planned"),
    (concat!("FIX", "ME"), "mend it, or file it where the work is planned"),
    (concat!("ignore", ")]"), "a test that is not run does not test: make it fast, or make it a command"),
    (concat!("#[", "ignore"), "a test that is not run does not test: make it fast, or make it a command"),
    (concat!("todo", "!("), "unfinished code"),
    (concat!("unimplemented", "!("), "unfinished code"),
];

pub(super) fn check() -> Result<Verdict, String> {
    let mut findings = Vec::new();
    let mut pages = BTreeMap::new();
    let files = shell::files()?;
    for path in &files {
        let Some(text) = shell::text(path)? else { continue };
        findings.extend(misplaced(path, &text));
        if path.ends_with(".md") {
            pages.insert(path.clone(), text);
        }
    }
    findings.extend(links::broken(&pages, &files));
    Ok(verdict(findings, format!("{} files, {} pages", files.len(), pages.len())))
}

fn misplaced(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (word, reason) in WORDS.iter().filter(|(word, _)| stands(line, word)) {
            found.push(format!("{path}:{}: `{word}`: {reason}", number + 1));
        }
    }
    found
}

/// Whether `word` stands in `line` by itself: a letter or digit at either end makes it part of another word.
fn stands(line: &str, word: &str) -> bool {
    let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    line.match_indices(word).any(|(at, _)| {
        let (before, after) =
            (line.get(..at).unwrap_or_default(), line.get(at + word.len()..).unwrap_or_default());
        let opens = word.starts_with(|c: char| c.is_alphanumeric() || c == '/');
        let closes = word.ends_with(char::is_alphanumeric);
        !(opens && inside(before.chars().next_back()) || closes && inside(after.chars().next()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_where_it_stands_by_itself() {
        for (word, reason) in WORDS {
            let found = misplaced("a.rs", &format!("fine\nsee {word} here\n"));
            assert_eq!(found, [format!("a.rs:2: `{word}`: {reason}")]);
        }
    }

    #[test]
    fn a_part_of_another_word_is_not_found() {
        let machine = WORDS[0].0;
        for line in [
            format!("acme{machine}order"),
            "TODOS_MAX".replace("TODOS", concat!("TO", "DOS")),
            "todo = \"warn\"".into(),
        ] {
            assert_eq!(misplaced("a.rs", &line), Vec::<String>::new(), "{line}");
        }
    }
}
