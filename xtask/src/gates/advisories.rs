//! The gate `advisories`: open security advisories of the lock file, told by a snapshot of the RustSec database that
//! stands beside the checkout or where TIDEMILL_ADVISORIES points: `advisories.py` and `advisories.json`. Nothing is
//! fetched here, so that the answer is the same twice; without a snapshot the gate says so.

use super::{Verdict, verdict};
use std::path::{Path, PathBuf};
use toml::{Table, Value};
use trials::shell;

/// The house's, and that of what fuzzes it.
const LOCKS: [&str; 2] = ["Cargo.lock", "fuzz/Cargo.lock"];

pub(super) fn check() -> Result<Verdict, String> {
    let deny = shell::text("deny.toml")?.ok_or("deny.toml is not UTF-8")?;
    let mut findings = without_reason(&deny)?;
    let folder = std::env::var_os("TIDEMILL_ADVISORIES")
        .map(PathBuf::from)
        .unwrap_or_else(|| shell::root().join("../shared/tools"));
    let mut notes = Vec::new();
    for lock in LOCKS {
        match ask(&folder, lock)? {
            None if findings.is_empty() => return Ok(Verdict::Skipped("no advisory snapshot".into())),
            None => {}
            Some(Ok(answer)) => notes.push(answer.lines().last().unwrap_or_default().to_owned()),
            Some(Err(error)) => findings.push(format!("{lock}: {error}")),
        }
    }
    Ok(verdict(findings, notes.join(", ")))
}

/// What the snapshot in `folder` says of a lock file; `None` without a snapshot.
fn ask(folder: &Path, lock: &str) -> Result<Option<Result<String, String>>, String> {
    let (script, snapshot) = (folder.join("advisories.py"), folder.join("advisories.json"));
    if !(script.is_file() && snapshot.is_file()) {
        return Ok(None);
    }
    let mut python = shell::program("python3");
    python.arg(&script).args(["check", lock]).arg(&snapshot);
    // Shown to people without the machine's own paths.
    let answer = shell::capture(python).map_err(|error| error.replace(&*folder.to_string_lossy(), "…"));
    if let Ok(text) = &answer {
        print!("{text}");
    }
    Ok(Some(answer))
}

/// The ids that deny.toml accepts without saying why.
fn without_reason(deny: &str) -> Result<Vec<String>, String> {
    let table: Table = deny.parse().map_err(|error| format!("deny.toml: {error}"))?;
    let ignored = table.get("advisories").and_then(|section| section.get("ignore")).and_then(Value::as_array);
    let reasonless = ignored.into_iter().flatten().filter(|entry| {
        let reason = entry.get("reason").and_then(Value::as_str);
        reason.is_none_or(|reason| reason.trim().is_empty())
    });
    Ok(reasonless.map(|entry| format!("deny.toml accepts {entry} without a reason")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accepted_id_needs_a_reason() {
        let good = "[advisories]\nignore = [{ id = \"RUSTSEC-2024-0001\", reason = \"not reachable\" }]";
        assert_eq!(without_reason(good), Ok(Vec::new()));
        assert_eq!(without_reason("[advisories]"), Ok(Vec::new()));
        for bad in
            ["ignore = [\"RUSTSEC-2024-0001\"]", "ignore = [{ id = \"RUSTSEC-2024-0001\", reason = \" \" }]"]
        {
            let found = without_reason(&format!("[advisories]\n{bad}")).expect("it is TOML");
            assert!(found.len() == 1 && found[0].contains("RUSTSEC-2024-0001"), "{found:?}");
        }
    }

    #[test]
    fn an_open_advisory_fails_a_clean_lock_passes_and_no_snapshot_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(ask(folder.path(), LOCKS[0]), Ok(None));
        std::fs::write(folder.path().join("advisories.json"), "[]").expect("written");
        let script = |text: &str| std::fs::write(folder.path().join("advisories.py"), text).expect("written");
        script("print('0 open advisories')");
        assert_eq!(ask(folder.path(), LOCKS[0]), Ok(Some(Ok("0 open advisories\n".into()))));
        script("import sys; print('VULNERABLE time 0.1'); sys.exit(1)");
        let answer = ask(folder.path(), LOCKS[0]).expect("asked").expect("there is a snapshot");
        assert!(answer.is_err_and(|error| error.contains("VULNERABLE time 0.1")));
    }
}
