//! The licences of others that the program carries: a list of the crates, then every text once with the crates that it came
//! with, as their licences ask for. Which licences are accepted at all is said in deny.toml and checked by a gate.

use super::parts::Part;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Files that begin so hold a licence or a notice.
const NAMES: &[&str] = &["licen", "copying", "copyright", "notice", "unlicense"];
/// No licence text is longer; what is, is no licence text.
const TEXT_BYTES_MAX: u64 = 256 << 10;

pub(crate) fn text(parts: &[Part]) -> Result<String, String> {
    let others: Vec<&Part> = parts.iter().filter(|part| !part.is_ours()).collect();
    let mut out = format!(
        "Tidemill contains code of {} libraries of others. Each is named here with its licence (an SPDX expression; where it \
         says OR, the\nchoice is yours) and its home; the texts follow, each with the libraries in whose packages it stands.\n\n",
        others.len()
    );
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for part in &others {
        let home = part.repository.as_deref().unwrap_or("crates.io");
        let found = texts_of(part)?;
        let note = if found.is_empty() { "; its package holds no text of it" } else { "" };
        let _ = writeln!(out, "{} {}: {}, {home}{note}", part.name, part.version, part.licence);
        for text in found {
            texts.entry(text).or_default().push(format!("{} {}", part.name, part.version));
        }
    }
    // In the order of the first library that has it.
    let mut texts: Vec<(String, Vec<String>)> = texts.into_iter().collect();
    texts.sort_by(|(_, one), (_, other)| one.cmp(other));
    for (text, names) in texts {
        let _ = write!(out, "\n{}\n{}\n\n{text}\n", "=".repeat(80), names.join(", "));
    }
    Ok(out)
}

/// The texts in the folder of a crate, in the order of their files' names.
fn texts_of(part: &Part) -> Result<Vec<String>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", part.folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&part.folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let about = std::fs::metadata(&path).map_err(failed)?;
        if about.is_file()
            && about.len() <= TEXT_BYTES_MAX
            && NAMES.iter().any(|begin| name.starts_with(begin))
        {
            files.push(path);
        }
    }
    files.sort();
    let mut texts = Vec::new();
    for file in files {
        let bytes = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.trim().lines().map(str::trim_end).collect();
        texts.push(lines.join("\n"));
    }
    texts.dedup();
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_stands_once_with_those_who_have_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let part = |name: &str, text: &str| {
            let place = folder.path().join(name);
            std::fs::create_dir(&place).expect("a folder");
            if !text.is_empty() {
                std::fs::write(place.join("LICENSE-MIT"), text).expect("written");
            }
            std::fs::write(place.join("lib.rs"), "no licence").expect("written");
            Part {
                name: name.to_owned(),
                version: "1.0.0".to_owned(),
                licence: "MIT".to_owned(),
                repository: None,
                checksum: Some("ab".to_owned()),
                folder: place,
                needs: Default::default(),
            }
        };
        let parts = [part("b", "same \r\n"), part("a", "same\n"), part("c", "")];
        let text = text(&parts).expect("collected");
        assert_eq!(text.matches("\nsame\n").count(), 1);
        assert!(text.contains("\nb 1.0.0, a 1.0.0\n\nsame\n"), "{text}");
        assert!(text.contains("c 1.0.0: MIT, crates.io; its package holds no text of it\n"), "{text}");
        assert!(!text.contains("no licence"));
    }
}
