//! Markdown as the walk reads it: a page's fenced blocks, in their order, each with what the comments above it say. What a
//! block does when it is walked does not live here.
//!
//! A comment `<!-- test: WORD … -->` right above a block is for that block; several may stand there:
//!
//! - `skip, REASON`: it is not run, and the reason is told;
//! - `file PATH`: it is the content of that file, which is written;
//! - `background`: its one command goes on; the lines shown are waited for. An earlier one of the same command, or of what
//!   `background, ends COMMAND` names, is ended;
//! - `ends COMMAND`: what goes on by these first two words is ended before;
//! - `given COMMANDS`: what has happened before, and its reader does not type;
//! - `until`: it is repeated until it shows what stands there, for what comes true a moment later;
//! - `exit CODE`: its last command ends so; `needs PROGRAM`: skipped by name without that program;
//! - `foreign`: TOML or YAML that is somebody else's configuration; `duckdb`: SQL that DuckDB is asked.
//!
//! `<!-- test: page skip, REASON -->` is for all blocks of a page that say nothing themselves, `<!-- test: page folder /DIR -->`
//! makes a folder of that name, within the page's own; `<!-- test: page plant -->` starts a plant before its first block,
//! `<!-- test: page plant golden -->` the newest of those that releases left, and `<!-- test: page given COMMAND -->` runs what
//! its reader has done before.

use std::path::{Path, PathBuf};

pub(super) struct Page {
    /// From the root of the checkout.
    pub(super) path: PathBuf,
    pub(super) blocks: Vec<Block>,
    /// Folders outside that its commands name.
    pub(super) folders: Vec<String>,
    /// Whether a plant runs beside it from the beginning.
    pub(super) has_plant: bool,
    /// Whether that is one that a release left.
    pub(super) is_golden: bool,
    /// Commands before its first.
    pub(super) given: Vec<String>,
}

pub(super) struct Block {
    pub(super) language: String,
    pub(super) text: String,
    /// Where its fence stands in the page, from 1.
    pub(super) line: usize,
    pub(super) words: Vec<String>,
}

impl Page {
    pub(super) fn read(root: &Path, path: &Path) -> Page {
        let text = std::fs::read_to_string(root.join(path))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (blocks, folders, given) = (Vec::new(), Vec::new(), Vec::new());
        let mut page =
            Page { path: path.to_owned(), blocks, folders, has_plant: false, is_golden: false, given };
        let (mut said, mut of_page) = (Vec::new(), None);
        let mut lines = text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            let indent = line.len() - line.trim_start().len();
            let bare = line.trim();
            if let Some(word) =
                bare.strip_prefix("<!-- test: ").and_then(|rest| rest.strip_suffix("-->")).map(str::trim)
            {
                match word.strip_prefix("page ") {
                    Some(word @ ("plant" | "plant golden")) => {
                        page.has_plant = true;
                        page.is_golden = word == "plant golden";
                    }
                    Some(word) if word.starts_with("folder ") => {
                        page.folders.push(word["folder ".len()..].to_owned());
                    }
                    Some(word) if word.starts_with("given ") => {
                        page.given.push(word["given ".len()..].to_owned());
                    }
                    Some(word) => of_page = Some(word.to_owned()),
                    None => said.push(word.to_owned()),
                }
            } else if let Some(language) = bare.strip_prefix("```") {
                let content: Vec<&str> = lines
                    .by_ref()
                    .map(|(_, line)| line)
                    .take_while(|line| line.trim() != "```")
                    .map(|line| line.get(indent..).unwrap_or_default())
                    .collect();
                let mut words = std::mem::take(&mut said);
                if words.is_empty() {
                    words.extend(of_page.clone());
                }
                page.blocks.push(Block {
                    language: language.to_owned(),
                    text: content.join("\n"),
                    line: number + 1,
                    words,
                });
            } else if !bare.is_empty() {
                let above = format!("{}:{}", path.display(), number + 1);
                assert!(said.is_empty(), "{above}: a comment for the test stands above no block: {said:?}");
            }
        }
        page
    }
}

impl Block {
    /// What follows this word, where it was said.
    pub(super) fn said(&self, word: &str) -> Option<&str> {
        self.words.iter().find_map(|said| {
            let rest = said.strip_prefix(word)?;
            (rest.is_empty() || rest.starts_with([' ', ','])).then(|| rest.trim_start_matches([' ', ',']))
        })
    }

    /// The commands of a block as a terminal shows it, each with the lines that follow it. A line that begins with `> `
    /// goes on with the command above.
    pub(super) fn commands(&self) -> Vec<(String, String)> {
        let mut commands: Vec<(String, Vec<&str>)> = Vec::new();
        for line in self.text.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                commands.push((command.to_owned(), Vec::new()));
            } else if let (Some(rest), Some((command, shown))) =
                (line.strip_prefix("> "), commands.last_mut())
                && shown.is_empty()
            {
                command.push('\n');
                command.push_str(rest);
            } else if let Some((_, shown)) = commands.last_mut() {
                shown.push(line);
            } else {
                panic!("line {}: a terminal's block begins with '$ '", self.line);
            }
        }
        commands.into_iter().map(|(command, shown)| (command, shown.join("\n"))).collect()
    }
}

/// Every page of the documentation, from the root.
pub(super) fn all(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("README.md")];
    found.extend(
        crate::plant::files_below(&root.join("docs"), "md")
            .iter()
            .map(|path| path.strip_prefix(root).expect("below the root").to_owned()),
    );
    found
}

/// Whether what came is what is shown: line by line, where `…` is whatever it is there, and a line of `…` alone any lines.
pub(super) fn is_shown(shown: &str, came: &str) -> bool {
    let lines =
        |text: &str| -> Vec<String> { text.trim().lines().map(|line| line.trim_end().to_owned()).collect() };
    fn rest(shown: &[String], came: &[String]) -> bool {
        match (shown.split_first(), came.split_first()) {
            (None, None) => true,
            (Some((any, after)), _) if any.trim() == "…" => {
                rest(after, came) || came.split_first().is_some_and(|(_, less)| rest(shown, less))
            }
            (Some((first, after)), Some((line, less))) => is_line(first, line) && rest(after, less),
            _ => false,
        }
    }
    rest(&lines(shown), &lines(came))
}

/// A line where `…` is anything, or nothing.
fn is_line(shown: &str, came: &str) -> bool {
    // How wide a column of a table is depends on what varies in it.
    let narrow = |text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ").replace(" …", "…").replace("… ", "…")
    };
    let (shown, came) = (narrow(shown), narrow(came));
    let mut parts = shown.split('…');
    let Some(mut left) = came.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return left.is_empty() };
    for part in middle {
        let Some((_, after)) = left.split_once(part) else { return false };
        left = after;
    }
    left.ends_with(last)
}

#[test]
fn what_is_shown_is_compared_by_its_stable_parts() {
    for (shown, came, expected) in [
        ("a  1", "a 1\n", true),
        ("a 1", "a 2", false),
        ("a …", "a 2026-03-01", true),
        ("a … b", "a 1 2 b", true),
        ("a … b …", "a b", true),
        ("a … b", "a 1 2 c", false),
        ("…\nz", "x\ny\nz", true),
        ("…\nz", "x\ny", false),
        ("x\n…", "x", true),
        ("x", "x\ny", false),
        ("", "", true),
        ("", "x", false),
    ] {
        assert_eq!(is_shown(shown, came), expected, "{shown:?} {came:?}");
    }
}
