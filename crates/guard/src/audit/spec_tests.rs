//! The page that describes the format, held against the code: its example, and its program.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use tidemill_core::{AuditEntry, AuditResult, Identity, IdentityKind, Peer, parse_rfc3339};
use tidemill_ground::{Disk, RealDisk, SimDisk};

use super::writer::{Pending, Writer};
use super::*;
use crate::settings::Limits;

const PAGE: &str = include_str!("../../../../docs/spec/audit.md");

/// The code block of this language.
fn block(language: &str) -> &'static str {
    let (_, behind) = PAGE.split_once(&format!("```{language}\n")).unwrap();
    behind.split_once("```").unwrap().0
}

fn write(disk: Arc<dyn Disk>, data_dir: &Path, limits: Limits) -> Writer {
    let entry = |name: &str, address: Option<&str>, action, target: &str, result, detail: &str| AuditEntry {
        who: Identity {
            name: name.into(),
            kind: IdentityKind::Owner,
            peer: Peer {
                door: if address.is_some() { "http" } else { "control" },
                address: address.map(|address| address.parse().unwrap()),
            },
        },
        action,
        target: target.to_owned(),
        result,
        detail: detail.to_owned(),
    };
    let allow = "{\"allow\":[\"write:acme/leeds/#\"],\"expires_ns\":null}";
    let entries = [
        entry("owner:anna", None, "token.create", "token:press-line", AuditResult::Intended, allow),
        entry("owner:anna", None, "token.create", "token:press-line", AuditResult::Done, allow),
        entry(
            "unknown",
            Some("192.0.2.7"),
            "access.refused",
            "",
            AuditResult::Refused,
            "{\"why\":\"not a token\"}",
        ),
    ];
    let (mut writer, _) = Writer::open(disk, data_dir.join(FOLDER), limits, 0).unwrap();
    let time = parse_rfc3339("2026-03-01T06:00:00.25Z").unwrap();
    for (entry, seq) in entries.into_iter().zip(1..) {
        let time = time + seq as i64 * 4_000_000;
        writer.append(&[Pending { seq, time, entry, removes: None }]).unwrap();
        writer.sync_mark();
    }
    writer
}

#[test]
fn the_example_is_what_is_written() {
    let disk = Arc::new(SimDisk::new(1));
    let data_dir = Path::new("/data");
    write(disk.clone(), data_dir, Limits::default());
    let bytes = tidemill_ground::read(disk.as_ref(), &data_dir.join(FOLDER).join(file_name(1))).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), block("jsonl"), "put this into docs/spec/audit.md");
}

#[test]
fn the_program_accepts_what_is_written_and_finds_what_is_changed() {
    if Command::new("python3").arg("--version").output().is_err() {
        // The example above is then all that is checked.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // So small that every entry begins a file.
    let limits = Limits { audit_file_bytes_max: 1, ..Limits::default() };
    let writer = write(Arc::new(RealDisk), folder.path(), limits);
    let audit = folder.path().join(FOLDER);
    let run = || {
        let output = Command::new("python3").arg("-c").arg(block("python")).arg(&audit).output().unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    assert_eq!(run(), (true, format!("entry 3, hash {}\n", writer.chain().hash)));
    let second = audit.join(file_name(2));
    let good = tidemill_ground::read(&RealDisk, &second).unwrap();
    let altered = String::from_utf8(good.clone()).unwrap().replace("anna", "otto");
    tidemill_ground::replace(&RealDisk, &second, altered.as_bytes()).unwrap();
    assert_eq!(run(), (false, format!("{} line 2 does not follow from the line before\n", file_name(2))));
    tidemill_ground::replace(&RealDisk, &second, &good).unwrap();
    RealDisk.remove(&audit.join(file_name(3))).unwrap();
    assert_eq!(run(), (false, "entries 3 to 3 are missing at the end\n".to_owned()));
}
