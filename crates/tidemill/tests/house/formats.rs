//! Files and their versions (docs/spec/formats.md): every file of a plant has a rule, the plants of earlier releases open, and
//! what a later release writes is refused with the file, the version found and the one known, and left as it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::plant::{Home, Plant, files_below};

/// Where plants of releases are kept; `cargo xtask golden` makes one.
pub(crate) fn golden() -> Vec<PathBuf> {
    let found = files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), "tdm");
    assert!(!found.is_empty(), "`cargo xtask golden` makes one");
    found
}

/// What was said of the plant of a release when it was made.
fn said_of(file: &Path) -> Json {
    let said = std::fs::read(file.with_extension("json")).expect("what SQL said of it");
    serde_json::from_slice(&said).expect("JSON")
}

/// A folder with the plant of a release, restored.
pub(crate) fn restored(file: &Path) -> Home {
    let home = Home::new();
    let file = file.display().to_string();
    home.run(&["backup", "verify", &file]).expect(0);
    home.run(&["restore", &file, "--plant", "plant"]).expect(0);
    home
}

pub(crate) fn newest() -> Home {
    restored(golden().last().expect("there is one"))
}

#[test]
fn plants_of_every_release_open_and_hold_what_they_held() {
    for file in golden() {
        let said = said_of(&file);
        let home = restored(&file);
        home.run(&["check", "--plant", "plant"]).expect(0);
        let mut plant = home.start();
        // As it was restored, and again when all of it is in files of this release.
        for life in ["restored", "restarted"] {
            for query in said["queries"].as_array().expect("queries") {
                let sql = query["sql"].as_str().expect("text");
                assert_eq!(plant.sql(sql), query["rows"], "{} {life}: {sql}", file.display());
            }
            for right in said["rights"].as_array().expect("rights") {
                let word = |at: usize| right[at].as_str().unwrap_or_default().to_owned();
                let (who, verb, path) = (word(0), word(1), word(2));
                let may = plant.run(&["access", "why", &who, &verb, &path, "--json"]).json();
                assert_eq!(may["allowed"], right[3], "{life}: {right}");
            }
            assert!(plant.ok(&["audit", "verify"]).contains("the chain is intact"), "{life}");
            plant.run(&["check"]).expect(0);
            plant = plant.stop().start();
        }
        let trusted = plant.run(&["trust", "--json"]).expect(0).json();
        assert_eq!(trusted["sha256"], said["authority"], "who trusts it goes on doing so");
        let token = said["token"].as_str().expect("a token");
        let line = "cpu,host=edge2 idle=1 1772323200000000000\n";
        plant.post("/api/v1/write").token(token).body("text/plain", line).send().expect(204);
        let named = plant.sql("SELECT count(*) FROM signals WHERE signal = 'edge2/cpu/idle'");
        assert_eq!(named, json!([[1]]), "the template names it");
    }
}

/// The versions of files as a page lists them: the file, and its version now.
fn versions(page: &str) -> BTreeMap<String, u64> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        Some(((*cells.first()?).to_owned(), cells.last()?.parse().ok()?))
    };
    page.lines().filter_map(row).collect()
}

/// What CHANGELOG.md has to say in the first line of a release about the formats of files, after those of the release before.
fn formats_line(before: Option<&BTreeMap<String, u64>>, now: &BTreeMap<String, u64>) -> String {
    let Some(before) = before else { return "Formats: all are new.".to_owned() };
    let changed: Vec<String> = now
        .iter()
        .filter(|(file, version)| before.get(*file) != Some(version))
        .map(|(file, version)| format!("{file} is {version} now"))
        .collect();
    match changed.is_empty() {
        true => "Formats: none changed.".to_owned(),
        false => format!("Formats: {}.", changed.join("; ")),
    }
}

#[test]
fn the_changelog_says_in_each_release_whether_a_format_changed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = |name: &str| std::fs::read_to_string(root.join(name)).expect("a page");
    let now = versions(&text("docs/spec/formats.md"));
    assert!(now.len() > 8, "{now:?}");
    // Those of the releases, the oldest first; the one that is in the making may have its plant already.
    let mut releases: Vec<(String, BTreeMap<String, u64>)> = golden()
        .iter()
        .map(|file| said_of(file))
        .filter(|said| said["version"] != env!("CARGO_PKG_VERSION"))
        .map(|said| {
            let formats = serde_json::from_value(said["formats"].clone()).expect("versions of files");
            (said["version"].as_str().unwrap_or_default().to_owned(), formats)
        })
        .collect();
    releases.push(("Unreleased".to_owned(), now));
    let changelog = text("CHANGELOG.md");
    let mut before = None;
    for (version, formats) in &releases {
        let wanted = formats_line(before, formats);
        let part = changelog.split("\n## ").find(|part| part.starts_with(version.as_str()));
        let said = part.and_then(|part| part.lines().skip(1).find(|line| !line.is_empty()));
        assert_eq!(said, Some(wanted.as_str()), "the first line of {version} in CHANGELOG.md");
        before = Some(formats);
    }
    // Every other one has the line as well.
    let parts = changelog.split("\n## ").skip(1);
    assert!(parts.clone().all(|part| part.lines().nth(2).is_some_and(|line| line.starts_with("Formats: "))));
}

#[test]
fn a_changed_format_is_what_the_changelog_has_to_name() {
    let of =
        |rows: &[(&str, u64)]| rows.iter().map(|(file, version)| ((*file).to_owned(), *version)).collect();
    let before = of(&[("`a`", 1), ("`b`", 1)]);
    let said = |now: &[(&str, u64)]| formats_line(Some(&before), &of(now));
    assert_eq!(said(&[("`a`", 1), ("`b`", 1)]), "Formats: none changed.");
    assert_eq!(said(&[("`a`", 2), ("`b`", 1), ("`c`", 1)]), "Formats: `a` is 2 now; `c` is 1 now.");
    assert_eq!(formats_line(None, &before), "Formats: all are new.");
}

/// What a file says of its own version.
enum Rule {
    /// It says so, and this program writes this one.
    Version(fn(&[u8]) -> Option<u64>, u64),
    /// People write it, or nothing is read from it.
    None,
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let field = bytes.get(at..at + width)?;
    Some(field.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

fn text_after(bytes: &[u8], marker: &str) -> Option<u64> {
    let text = String::from_utf8_lossy(bytes);
    let rest = &text[text.find(marker)? + marker.len()..];
    let digits: String =
        rest.chars().skip_while(|c| " \":\\".contains(*c)).take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The rule of a file by its place. Each has a row in docs/spec/formats.md.
fn rule(path: &str) -> Option<Rule> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    Some(match (folder, name, ending) {
        ("", "tidemill.toml", _) | (_, _, "toml") => Rule::None,
        _ if folder.starts_with("displays") => Rule::None,
        ("data", "lock" | "control.sock", _) => Rule::None,
        ("data", "restored.json", _) => Rule::Version(|bytes| text_after(bytes, "\"tidemill-restored\""), 1),
        ("data", "backup-made.json", _) => {
            Rule::Version(|bytes| text_after(bytes, "\"tidemill-backup-made\""), 1)
        }
        ("data/lake", "damage.json", _) => {
            Rule::Version(|bytes| text_after(bytes, "\"tidemill-lake-damage\""), 1)
        }
        ("data/journal", _, "segment") => Rule::Version(|bytes| number(bytes, 8, 4), 1),
        ("data/journal", "cursors", _) => Rule::Version(
            |bytes| {
                number(bytes, 8, 4).filter(|found| *found > 0).or_else(|| number(bytes, (256 << 10) + 8, 4))
            },
            1,
        ),
        ("data/journal", "damage" | "damage.told", _) => {
            Rule::Version(|bytes| text_after(bytes, "tidemill journal damage"), 1)
        }
        ("data/journal", _, _)
            if name == "lock" || name.starts_with("spare") || name.starts_with("reserve") =>
        {
            Rule::None
        }
        ("data/bus", "registry.tms" | "registry.ids", _) => Rule::Version(|bytes| number(bytes, 4, 2), 1),
        ("data/guard", "tokens.json", _) => Rule::Version(|bytes| text_after(bytes, "\"version\""), 1),
        ("data/guard/audit", _, "tma") => Rule::Version(|bytes| text_after(bytes, "\"tidemill-audit\""), 1),
        ("data/guard/audit", "mark", _) | ("data/guard", "audit.mark", _) => {
            Rule::Version(|bytes| text_after(bytes, "\"version\""), 1)
        }
        (_, _, "pem" | "key") if folder.starts_with("data/guard") => Rule::None,
        (_, "_last_checkpoint", _) if folder.ends_with("/_delta_log") => Rule::None,
        (_, "00000000000000000000.json", _) if folder.ends_with("/_delta_log") => {
            Rule::Version(|bytes| text_after(bytes, "\"tidemill.format\""), 1)
        }
        // Its table's first entry or checkpoint says it.
        (_, _, "json" | "parquet") if folder.ends_with("/_delta_log") => Rule::None,
        (_, _, "parquet") if folder.starts_with("data/lake/") => Rule::Version(
            |bytes| {
                let marker = b"tidemill.format";
                let at = bytes.windows(marker.len()).rposition(|part| part == marker)? + marker.len();
                let digit = bytes.get(at..at + 4)?.iter().find(|byte| byte.is_ascii_digit())?;
                Some(u64::from(digit - b'0'))
            },
            1,
        ),
        _ => return None,
    })
}

fn all_files(folder: &Path, below: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("ours").flatten() {
        let path = entry.path();
        if path.is_dir() {
            all_files(&path, below, found);
        } else {
            found.push(path.strip_prefix(below).expect("below it").display().to_string());
        }
    }
}

#[test]
fn every_file_has_a_rule_for_its_version() {
    // One that runs, and one that was restored and never ran.
    let plant = Plant::start();
    plant.ok(&["write", "a/b", "1"]);
    plant.token("a", &["read:#"]);
    plant.ok(&["signals", "delete", "a/b", "--reason", "test"]);
    let plant = plant.stop().start();
    plant.ok(&["write", "a/c", "1"]);
    look(&plant.home.plant());
    look(&newest().plant());
}

fn look(folder: &Path) {
    let mut files = Vec::new();
    all_files(folder, folder, &mut files);
    assert!(files.len() > 10, "{files:?}");
    for path in files {
        match rule(&path) {
            None => panic!("{path} has no rule: give it one here and a row in docs/spec/formats.md"),
            Some(Rule::None) => {}
            Some(Rule::Version(read, now)) => {
                let bytes = std::fs::read(folder.join(&path)).expect("ours");
                assert_eq!(read(&bytes), Some(now), "{path}");
            }
        }
    }
}

/// Writes another version into bytes, with the checksums that belong to it.
type Bump = fn(&mut Vec<u8>);

fn bump_segment(bytes: &mut [u8]) {
    bytes[8] = 9;
    let sum = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&sum.to_le_bytes());
}

fn bump_cursors(bytes: &mut [u8]) {
    let slots: Vec<usize> = [0, 256 << 10].into_iter().filter(|at| bytes.get(at + 8) == Some(&1)).collect();
    for at in slots {
        bytes[at + 8] = 9;
        let sum = crc32c::crc32c(&bytes[at..at + 28]);
        bytes[at + 28..at + 32].copy_from_slice(&sum.to_le_bytes());
    }
}

fn bump_registry(bytes: &mut [u8]) {
    bytes[4] = 9;
    let end = bytes.len() - 4;
    let sum = crc32c::crc32c(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
}

fn replace(bytes: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8(bytes.clone()).expect("text");
    assert!(text.contains(from), "{text}");
    *bytes = text.replacen(from, to, 1).into_bytes();
}

/// A file of a later version that goes on where the chain ends.
fn later_audit(home: &Home) -> PathBuf {
    let audit = home.run(&["audit", "verify", "--plant", "plant", "--json"]).expect(0).json();
    let (last, prev) = (audit["last"].as_u64().expect("a number"), audit["hash"].as_str().expect("a hash"));
    let body =
        format!("{{\"tidemill-audit\":9,\"first\":{},\"reopened\":false,\"prev\":\"{prev}\"", last + 1);
    let bytes: Vec<u8> = (0..32)
        .map(|at| u8::from_str_radix(&prev[2 * at..2 * at + 2], 16).expect("digits"))
        .chain(body.bytes())
        .collect();
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let file = home.plant().join(format!("data/guard/audit/{:020}.tma", last + 1));
    std::fs::write(&file, format!("{body},\"hash\":\"{hash}\"}}\n")).expect("ours");
    file
}

#[test]
fn what_a_later_release_wrote_is_refused_with_its_reason() {
    let cases: [(&str, Bump); 8] = [
        ("data/journal/*.segment", |bytes| bump_segment(bytes)),
        ("data/journal/cursors", |bytes| bump_cursors(bytes)),
        ("data/journal/damage", |bytes| *bytes = b"tidemill journal damage 9\n".to_vec()),
        ("data/bus/registry.tms", |bytes| bump_registry(bytes)),
        ("data/bus/registry.ids", |bytes| bump_registry(bytes)),
        ("data/guard/tokens.json", |bytes| replace(bytes, "\"version\": 1", "\"version\": 9")),
        ("data/lake/samples/_delta_log/00000000000000000000.json", |bytes| {
            replace(bytes, "\"tidemill.format\":\"1\"", "\"tidemill.format\":\"9\"");
        }),
        ("data/lake/samples/_delta_log/00000000000000000000.json", |bytes| {
            replace(bytes, "\"minReaderVersion\":1", "\"minReaderVersion\":9");
        }),
    ];
    let home = newest();
    let file = home.plant().join("data/restored.json");
    let mut later = std::fs::read(&file).expect("it was restored");
    // A later format may say more.
    replace(&mut later, "\"tidemill-restored\": 1", "\"tidemill-restored\": 9, \"why\": \"drill\"");
    let before = std::fs::read(&file).expect("it was restored");
    std::fs::write(&file, later).expect("ours");
    home.run(&["run", "--plant", "plant"]).expect_problem("newer-format");
    assert!(file.exists(), "what is not understood stays");
    std::fs::write(&file, before).expect("ours");
    for (path, bump) in cases {
        let file = match path.split_once("*.") {
            Some((folder, ending)) => files_below(&home.plant().join(folder), ending).pop().expect("one"),
            None => home.plant().join(path),
        };
        let before = std::fs::read(&file).ok();
        let mut later = before.clone().unwrap_or_default();
        bump(&mut later);
        std::fs::write(&file, &later).expect("ours");
        refused(&home, &file, path);
        assert_eq!(std::fs::read(&file).expect("it is there"), later, "{path}: it was changed");
        match before {
            Some(before) => std::fs::write(&file, before).expect("ours"),
            None => std::fs::remove_file(&file).expect("ours"),
        }
    }
    let file = later_audit(&home);
    refused(&home, &file, "data/guard/audit");
    std::fs::remove_file(&file).expect("ours");
    // Without a table beside the samples a plant runs: that one it says so of, and asks for no backup.
    let file = home.plant().join("data/lake/tables/audit/_delta_log/00000000000000000000.json");
    let before = std::fs::read(&file).expect("it is there");
    let mut later = before.clone();
    replace(&mut later, "\"tidemill.format\":\"1\"", "\"tidemill.format\":\"9\"");
    std::fs::write(&file, &later).expect("ours");
    one_mend(&home.run(&["check", "--plant", "plant"]).expect(3).out, "tables/audit");
    let home = {
        let plant = home.start();
        let sql = plant.run(&["sql", "SELECT * FROM sys.audit"]).expect_problem("newer-format");
        assert!(sql.err.contains("tables/audit") && !sql.err.contains("backup"), "{}", sql.err);
        plant.stop()
    };
    std::fs::write(&file, before).expect("ours");
    // With everything as it was it runs.
    home.start().run(&["check"]).expect(0);
}

/// `run` refuses: the code, the file, the version found and the one known; and `check` tells the same.
fn refused(home: &Home, file: &Path, case: &str) {
    let run = home.run(&["run", "--plant", "plant"]).expect_problem("newer-format");
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    let error = run.err.lines().find(|line| line.starts_with("error [")).unwrap_or_default();
    let named = error.contains(&name) || error.contains("samples");
    assert!(named && error.contains('9') && error.contains(['1', '2']), "{case}: {error}");
    let told = home.run(&["check", "--plant", "plant"]).expect(3).out;
    assert!(told.contains('9') && (told.contains(&name) || told.contains("samples")), "{case}: {told}");
    one_mend(&told, case);
}

/// One thing is said, with one mend: the file is sound, and no backup is asked for.
fn one_mend(told: &str, case: &str) {
    assert!(
        told.contains("Install that version or a later one") && !told.contains("backup"),
        "{case}: {told}"
    );
    assert_eq!(told.lines().count(), 1, "{case}: {told}");
}
