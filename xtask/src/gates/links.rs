//! Links of Markdown pages to files of the repository and to headings in them. Addresses on the network are not
//! followed: a gate must give the same answer without one.

use std::collections::{BTreeMap, BTreeSet};

/// Every link that leads nowhere. `pages` are the Markdown files by path, `files` all that there are.
pub(super) fn broken(pages: &BTreeMap<String, String>, files: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in pages {
        for (line, target) in targets(text) {
            if let Err(why) = follow(path, &target, pages, files) {
                found.push(format!("{path}:{line}: the link `{target}` {why}"));
            }
        }
    }
    found
}

fn follow(
    page: &str,
    target: &str,
    pages: &BTreeMap<String, String>,
    files: &[String],
) -> Result<(), &'static str> {
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let place =
        if file.is_empty() { page.to_owned() } else { joined(page, file).ok_or("leaves the repository")? };
    let folder = format!("{}/", place.trim_end_matches('/'));
    let is_there = place.is_empty() || files.iter().any(|one| *one == place || one.starts_with(&folder));
    if !is_there {
        return Err("leads to no file");
    }
    match pages.get(&place) {
        Some(text) if !heading.is_empty() && !headings(text).contains(heading) => Err("leads to no heading"),
        _ => Ok(()),
    }
}

/// A target resolved against the folder of its page; a leading slash is the root.
fn joined(page: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = if target.starts_with('/') { Vec::new() } else { page.split('/').collect() };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The targets of inline links and of reference definitions, with their line; code is not looked at.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let mut rest = line.as_str();
        while let Some((_, after)) = rest.split_once("](") {
            let end = after.find([')', ' ']).unwrap_or(after.len());
            let (target, tail) = after.split_at(end);
            found.push((number, target.trim_matches(['<', '>']).to_owned()));
            rest = tail;
        }
        let definition = line.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        if let Some(target) = definition.and_then(|(_, target)| target.split_whitespace().next()) {
            found.push((number, target.to_owned()));
        }
    }
    found.retain(|(_, target)| {
        !target.contains("://") && !target.starts_with("mailto:") && !target.is_empty()
    });
    found
}

/// The lines outside fenced code, without inline code, numbered from one.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let plain: Vec<&str> = line.split('`').step_by(2).collect();
            lines.push((index + 1, plain.join("")));
        }
    }
    lines
}

/// The anchors that GitHub gives to the headings of a page.
fn headings(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut fenced = false;
    let mut anchors = BTreeSet::new();
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let title = line.trim_start_matches('#');
        if fenced || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = title.trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let times = seen.entry(anchor.clone()).or_default();
        anchors.insert(if *times == 0 { anchor } else { format!("{anchor}-{times}") });
        *times += 1;
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: &str =
        "# The house\n## What `core` is (today)\n## Again\n## Again\n```\n# no heading\n```\n";

    fn found(page: &str) -> Vec<String> {
        let pages = BTreeMap::from([
            ("docs/a.md".to_owned(), page.to_owned()),
            ("docs/adr/b.md".to_owned(), OTHER.to_owned()),
        ]);
        let files = ["README.md", "docs/a.md", "docs/adr/b.md", "docs/x.svg"].map(str::to_owned);
        broken(&pages, &files)
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        let page = "# Top\n[b](adr/b.md) [up](../README.md) [root](/README.md) [dir](adr/) [dir](adr) [top](#top)\n\
                    ![x](x.svg \"title\") [h](adr/b.md#what-core-is-today) [two](adr/b.md#again-1)\n\
                    [net](https://example.org/a.md) [mail](mailto:a@example.org) `[code](nowhere.md)`\n\
                    ```\n[code](nowhere.md)\n```\n[ref]: adr/b.md\n[house](..)\n";
        assert_eq!(found(page), Vec::<String>::new());
    }

    #[test]
    fn links_that_lead_nowhere_are_found_with_their_line() {
        let table = [
            ("[b](b.md)", "docs/a.md:1: the link `b.md` leads to no file"),
            ("\n[ok](adr/b.md) [b](adr/c.md)", "docs/a.md:2: the link `adr/c.md` leads to no file"),
            ("[b](adr/b.md#attic)", "leads to no heading"),
            ("[b](adr/b.md#no-heading)", "leads to no heading"),
            ("[b](adr/b.md#again-2)", "leads to no heading"),
            ("[me](#nothing)", "leads to no heading"),
            ("[out](../../secret.md)", "leaves the repository"),
            ("[ref]: gone.md", "leads to no file"),
            ("![x](y.svg)", "leads to no file"),
        ];
        for (page, expected) in table {
            let found = found(page);
            assert!(found.len() == 1 && found[0].contains(expected), "{page}: {found:?}");
        }
    }
}
