//! The chain against crashes, full disks, broken disks, and people.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use tidemill_core::{AuditEntry, AuditResult, Identity, IdentityKind, Peer};
use tidemill_ground::sim::Operation;
use tidemill_ground::{Disk, Open, SimDisk};

use super::line::Chain;
use super::mark::{Mark, Marks};
use super::verify::Durable;
use super::writer::{Pending, Writer};
use super::*;
use crate::settings::Limits;

mod foreign;
mod rows;

const DATA: &str = "/plant/data";

fn dir() -> PathBuf {
    Path::new(DATA).join(FOLDER)
}

fn entry(number: u64) -> AuditEntry {
    AuditEntry {
        who: Identity {
            name: "owner:anna".into(),
            kind: IdentityKind::Owner,
            peer: Peer { door: "http", address: Some("10.0.0.5".parse().unwrap()) },
        },
        action: "signal.delete",
        target: format!("acme/leeds/press \"{number}\"\n/ä"),
        result: AuditResult::Done,
        detail: "{\"after\": \"x\", \"before\": 1}".to_owned(),
    }
}

fn limits() -> Limits {
    Limits { audit_file_bytes_max: 4096, ..Limits::default() }
}

fn open(disk: &SimDisk, limits: Limits) -> (Writer, Vec<AuditEntry>) {
    Writer::open(Arc::new(disk.clone()), dir(), limits, 0).unwrap()
}

fn pending(writer: &Writer, entries: impl IntoIterator<Item = AuditEntry>) -> Vec<Pending> {
    let first = writer.chain().seq + 1;
    let numbered = entries.into_iter().zip(first..);
    numbered
        .map(|(entry, seq)| Pending { seq, time: seq as i64 * 1_000_000_000, entry, removes: None })
        .collect()
}

fn append(writer: &mut Writer, count: u64) -> Result<(), crate::Error> {
    let first = writer.chain().seq + 1;
    let group = pending(writer, (0..count).map(|number| entry(first + number)));
    writer.append(&group)?;
    writer.sync_mark();
    Ok(())
}

/// A chain of several files with `count` entries.
fn chain(disk: &SimDisk, count: u64) -> Writer {
    let (mut writer, notes) = open(disk, limits());
    assert!(notes.is_empty());
    for _ in 0..count {
        append(&mut writer, 1).unwrap();
    }
    writer
}

fn check(disk: &SimDisk) -> Report {
    verify(disk, Path::new(DATA)).unwrap()
}

fn show(report: &Report) -> String {
    let mut text: String = report.findings.iter().map(|finding| format!("{finding}\n")).collect();
    if let Some(torn) = &report.torn {
        text += &format!("torn: {} from {}, {} bytes\n", torn.file, torn.from, torn.bytes);
    }
    text
}

fn contents(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
    let names = disk.list(&dir()).unwrap().into_iter().map(|entry| entry.name);
    names.map(|name| (name.clone(), tidemill_ground::read(disk, &dir().join(name)).unwrap())).collect()
}

fn put(disk: &SimDisk, name: &str, bytes: &[u8]) {
    tidemill_ground::create_dirs(disk, &dir()).unwrap();
    tidemill_ground::replace(disk, &dir().join(name), bytes).unwrap();
}

#[test]
fn a_chain_is_sound_and_goes_on_after_a_restart() {
    let disk = SimDisk::new(1);
    drop(chain(&disk, 30));
    let (mut writer, notes) = open(&disk, limits());
    assert!(notes.is_empty() && writer.chain().seq == 30);
    append(&mut writer, 3).unwrap();
    let report = check(&disk);
    assert_eq!((report.entries, report.first, report.last, show(&report)), (33, 1, 33, String::new()));
    assert!(report.files > 2, "{}", report.files);
    assert_eq!(report.hash, writer.chain().hash.to_string());
}

#[test]
fn lines_are_for_people() {
    let disk = SimDisk::new(1);
    chain(&disk, 1);
    let (_, bytes) = contents(&disk).swap_remove(0);
    expect_test::expect![[r#"
        {"tidemill-audit":1,"first":1,"reopened":false,"prev":"0000000000000000000000000000000000000000000000000000000000000000","hash":"5ce3d04e182eecbaa429fde849cf8b84ae0b7250333695986194a70f90fc277a"}
        {"seq":1,"time":"1970-01-01T00:00:01Z","who":"owner:anna","door":"http","address":"10.0.0.5","action":"signal.delete","target":"acme/leeds/press \"1\"\n/ä","result":"done","detail":{"after":"x","before":1},"hash":"9236efa1a54a180823798cc701c829cfb9d74fba2d88baf5b9dc41618ccf3055"}
    "#]].assert_eq(&String::from_utf8(bytes).unwrap());
}

#[test]
fn no_chain_is_sound() {
    let disk = SimDisk::new(1);
    assert!(check(&disk).is_sound());
}

/// Does something to the lines of one file, and shows what is found.
fn tampered(change: impl Fn(&mut Vec<String>), expected: expect_test::Expect) {
    let disk = SimDisk::new(1);
    let (mut writer, _) = open(&disk, Limits::default());
    append(&mut writer, 9).unwrap();
    let (name, bytes) = contents(&disk).swap_remove(0);
    let mut lines: Vec<String> =
        String::from_utf8(bytes).unwrap().split_inclusive('\n').map(str::to_owned).collect();
    change(&mut lines);
    put(&disk, &name, lines.concat().as_bytes());
    expected.assert_eq(&show(&check(&disk)));
}

#[test]
fn what_was_done_is_named() {
    use expect_test::expect;
    // The header is lines[0]: entry N is lines[N].
    tampered(|_| {}, expect![""]);
    tampered(
        |lines| lines[4] = lines[4].replace("anna", "otto"),
        expect![[r#"
        00000000000000000001.tma line 5: entry 4 was altered
    "#]],
    );
    tampered(
        |lines| drop(lines.remove(4)),
        expect![[r#"
        00000000000000000001.tma line 5: entry 4 is missing before this line
    "#]],
    );
    tampered(
        |lines| drop(lines.drain(4..7)),
        expect![[r#"
        00000000000000000001.tma line 5: entries 4 to 6 are missing before this line
    "#]],
    );
    tampered(
        |lines| lines.swap(4, 5),
        expect![[r#"
        00000000000000000001.tma line 5: entry 4 is missing before this line
        00000000000000000001.tma line 6: entry 4 stands again, or not in its place
    "#]],
    );
    tampered(
        |lines| lines.insert(7, lines[4].clone()),
        expect![[r#"
        00000000000000000001.tma line 8: entry 4 stands again, or not in its place
    "#]],
    );
    tampered(
        |lines| lines.truncate(8),
        expect![[r#"
        mark: entries 8 to 9 are missing at the end: the mark says that they were there
    "#]],
    );
    tampered(
        |lines| {
            let end = lines[9].len() - 20;
            lines[9].truncate(end)
        },
        expect![[r#"
        00000000000000000001.tma line 10: no entry can be read where entry 9 should stand
        mark: entries 9 to 9 are missing at the end: the mark says that they were there
    "#]],
    );
    tampered(
        |lines| {
            let end = lines[4].len() - 20;
            lines[4].truncate(end)
        },
        expect![[r#"
        00000000000000000001.tma line 5: entry 4 was altered
        00000000000000000001.tma line 6: entry 5 is missing before this line
    "#]],
    );
    tampered(
        |lines| lines[0] = lines[0].replace("false", "true"),
        expect![[r#"
        00000000000000000001.tma line 1: the first line of the file was altered
    "#]],
    );
    tampered(
        |lines| lines[0] = lines[0].replace("audit\":1,", "audit\":2,"),
        expect![[r#"
        00000000000000000001.tma line 1: the first line of the file was altered: it says format 2, which its hash does not bear out (this version reads formats up to 1)
    "#]],
    );
    tampered(
        |lines| lines.push("{\"seq\":10}\n".to_owned()),
        expect![[r#"
        torn: 00000000000000000001.tma from 2734, 11 bytes
    "#]],
    );
}

#[test]
fn a_chain_written_anew_does_not_meet_the_mark() {
    let disk = SimDisk::new(1);
    chain(&disk, 5);
    let (name, bytes) = contents(&disk).swap_remove(0);
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let mut forged = lines[0].to_vec();
    let mut prev = line::split(&lines[0][..lines[0].len() - 1]).unwrap().1;
    for number in 1..=5 {
        let mut other = entry(number);
        other.target = "nothing".to_owned();
        prev = line::seal(&mut forged, &prev, line::entry_body(number, 0, &other).as_bytes());
    }
    put(&disk, &name, &forged);
    expect_test::expect![[r#"
        00000000000000000001.tma line 6: entry 5 is not the one that the mark remembers: the chain was written anew
    "#]].assert_eq(&show(&check(&disk)));
}

#[test]
fn files_that_are_gone_moved_or_strange_are_named() {
    let disk = SimDisk::new(1);
    chain(&disk, 40);
    let all = contents(&disk);
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    let copy = || {
        let disk = SimDisk::new(2);
        all.iter().for_each(|(name, bytes)| put(&disk, name, bytes));
        disk
    };
    let mut text = String::new();
    let mut after = |what: &str, change: &dyn Fn(&SimDisk)| {
        let disk = copy();
        change(&disk);
        text += &format!("{what}:\n{}", show(&check(&disk)));
    };
    after("first file removed", &|disk| disk.remove(&dir().join(names[0])).unwrap());
    after("second file removed", &|disk| disk.remove(&dir().join(names[1])).unwrap());
    after("last file removed", &|disk| disk.remove(&dir().join(names[names.len() - 2])).unwrap());
    after("mark removed", &|disk| disk.remove(&dir().join("mark")).unwrap());
    after("mark overwritten", &|disk| put(disk, "mark", &[b'x'; 8192]));
    after("a stranger", &|disk| put(disk, "notes.txt", b"x"));
    after("second file under another name, and a start", &|disk| {
        disk.rename(&dir().join(names[1]), &dir().join(file_name(1_000_000))).unwrap();
        let _ = open(disk, limits());
    });
    expect_test::expect![[r#"
        first file removed:
        00000000000000000015.tma line 1: the chain begins with entry 15, and no entry records that earlier ones were removed
        second file removed:
        00000000000000000029.tma line 1: entries 15 to 28 are missing before this line
        last file removed:
        mark: entries 29 to 40 are missing at the end: the mark says that they were there
        mark removed:
        mark: the mark is missing, so a cut end may go unnoticed
        mark overwritten:
        mark: the mark cannot be read, so a cut end may go unnoticed
        a stranger:
        notes.txt: the file does not belong here: find out who put it there, and move it elsewhere
        second file under another name, and a start:
        00000000000001000000.tma: the file is no part of the chain: find out who put it there, and move it elsewhere (the next start moves it to data/guard/audit.foreign)
        00000000000000000029.tma line 1: entries 15 to 28 are missing before this line
    "#]].assert_eq(&text);
}

/// One change to the bytes of the files, as an adversary or a bad disk would make it.
#[derive(Clone, Debug)]
enum Mutation {
    Flip { byte: usize, bit: u8 },
    Delete { line: usize },
    Copy { line: usize, to: usize },
    Swap { one: usize, other: usize },
    Cut { byte: usize, count: usize },
    Insert { byte: usize, what: u8 },
    Truncate { byte: usize },
}

fn mutate(bytes: &[u8], mutation: &Mutation) -> Vec<u8> {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let mut changed = bytes.to_vec();
    match *mutation {
        Mutation::Flip { byte, bit } => changed[byte % bytes.len()] ^= 1 << bit,
        Mutation::Delete { line } => {
            let mut lines = lines;
            lines.remove(line % lines.len());
            changed = lines.concat();
        }
        Mutation::Copy { line, to } => {
            let mut lines = lines;
            lines.insert(to % (lines.len() + 1), lines[line % lines.len()]);
            changed = lines.concat();
        }
        Mutation::Swap { one, other } => {
            let mut lines = lines;
            let len = lines.len();
            lines.swap(one % len, other % len);
            changed = lines.concat();
        }
        Mutation::Cut { byte, count } => {
            let from = byte % bytes.len();
            changed.drain(from..(from + count).min(bytes.len()));
        }
        Mutation::Insert { byte, what } => changed.insert(byte % bytes.len(), what),
        Mutation::Truncate { byte } => changed.truncate(byte % bytes.len()),
    }
    changed
}

fn mutations() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => (any::<usize>(), 0..8u8).prop_map(|(byte, bit)| Mutation::Flip { byte, bit }),
        1 => any::<usize>().prop_map(|line| Mutation::Delete { line }),
        1 => any::<(usize, usize)>().prop_map(|(line, to)| Mutation::Copy { line, to }),
        1 => any::<(usize, usize)>().prop_map(|(one, other)| Mutation::Swap { one, other }),
        1 => (any::<usize>(), 1..400usize).prop_map(|(byte, count)| Mutation::Cut { byte, count }),
        1 => any::<(usize, u8)>().prop_map(|(byte, what)| Mutation::Insert { byte, what }),
        1 => any::<usize>().prop_map(|byte| Mutation::Truncate { byte }),
    ]
}

#[test]
fn ten_thousand_changes_are_all_found() {
    let disk = SimDisk::new(1);
    let (mut writer, _) = open(&disk, Limits { audit_file_bytes_max: 1024, ..limits() });
    (0..9).for_each(|_| append(&mut writer, 1).unwrap());
    let all = contents(&disk);
    let files: Vec<&(String, Vec<u8>)> = all.iter().filter(|(name, _)| name != "mark").collect();
    assert!(files.len() >= 2);
    let marks = Marks::read(&disk, &dir()).unwrap();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = (0..files.len(), mutations());
    let (mut tried, mut found) = (0, 0);
    while tried < 10_000 {
        let (which, mutation) = strategy.new_tree(&mut runner).unwrap().current();
        let mut bytes: Vec<(u64, Vec<u8>)> =
            files.iter().map(|(name, bytes)| (first_of(name).unwrap(), bytes.clone())).collect();
        let changed = mutate(&bytes[which].1, &mutation);
        if changed == bytes[which].1 {
            continue;
        }
        bytes[which].1 = changed;
        tried += 1;
        let report = verify::verify_bytes(marks, &bytes);
        assert!(!report.is_sound(), "{mutation:?} in file {which} was not found");
        found += 1;
    }
    assert_eq!(found, 10_000);
    let sound: Vec<(u64, Vec<u8>)> =
        files.iter().map(|(name, bytes)| (first_of(name).unwrap(), bytes.clone())).collect();
    assert!(verify::verify_bytes(marks, &sound).is_sound(), "the control");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Power cuts at any operation, with entries in groups, several lives long: what was acknowledged is there, the
    /// chain is sound, and what was torn is on record.
    #[test]
    fn crashes_lose_nothing_that_was_acknowledged(seed: u64, lives in proptest::collection::vec((0..60u64, 1..5u64), 1..6)) {
        let disk = SimDisk::new(seed);
        let mut acknowledged: Vec<(u64, Chain)> = Vec::new();
        for (operations, group) in lives {
            disk.cut_power_after(operations);
            if let Ok((mut writer, notes)) = Writer::open(Arc::new(disk.clone()), dir(), limits(), 0) {
                prop_assert!(notes.iter().all(|note| note.action == "audit.heal"), "{:?}", notes);
                let noted = pending(&writer, notes);
                if noted.is_empty() || writer.append(&noted).is_ok() {
                    while append(&mut writer, group).is_ok() {
                        acknowledged.push((writer.chain().seq, writer.chain()));
                    }
                }
            }
            disk.crash();
        }
        let (mut writer, notes) = open(&disk, limits());
        prop_assert!(notes.iter().all(|note| note.action == "audit.heal"), "{:?}", notes);
        let noted = pending(&writer, notes);
        if !noted.is_empty() {
            writer.append(&noted).unwrap();
        }
        append(&mut writer, 1).unwrap();
        let report = check(&disk);
        prop_assert_eq!(show(&report), "");
        let text: String = contents(&disk).into_iter().filter(|(name, _)| name != "mark").map(|(_, bytes)| String::from_utf8(bytes).unwrap()).collect();
        for (seq, chain) in acknowledged {
            prop_assert!(text.contains(&format!("\"hash\":\"{}\"", chain.hash)), "entry {} was acknowledged and is gone", seq);
        }
    }
}

#[test]
fn a_disk_that_lies_about_syncing_shows_that_the_test_can_fail() {
    let lost = (0..20).any(|seed| {
        let disk = SimDisk::new(seed);
        disk.set_sync_lies(true);
        chain(&disk, 10);
        disk.crash();
        check(&disk).last < 10
    });
    assert!(lost);
}

#[test]
fn a_failed_sync_is_not_tried_again_on_the_same_file() {
    let disk = SimDisk::new(1);
    let mut writer = chain(&disk, 3);
    disk.fail_next(Operation::Sync, std::io::ErrorKind::Other);
    assert!(append(&mut writer, 2).is_err());
    assert_eq!(writer.chain().seq, 3, "what was not acknowledged does not count");
    append(&mut writer, 2).unwrap();
    assert_eq!((writer.chain().seq, writer.durable_end().unwrap().first), (5, 4), "a new file");
    assert_eq!(show(&check(&disk)), "");
    // The bytes that failed may come back with the power.
    for salt in 0..50 {
        let disk = disk.fork_after_crash(salt);
        let report = check(&disk);
        assert_eq!((show(&report), report.last), (String::new(), 5));
    }
}

#[test]
fn a_full_disk_refuses_and_heals() {
    let disk = SimDisk::new(1);
    let mut writer = chain(&disk, 3);
    disk.set_capacity(0);
    let mut written = 0;
    while append(&mut writer, 1).is_ok() {
        written += 1;
    }
    assert!(written >= 5, "the file's room was reserved: {written}");
    disk.set_capacity(1 << 30);
    append(&mut writer, 1).unwrap();
    let report = check(&disk);
    assert_eq!((show(&report), report.last), (String::new(), 3 + written + 1));
}

#[test]
fn a_torn_tail_is_cut_and_recorded() {
    let disk = SimDisk::new(1);
    let writer = chain(&disk, 3);
    let Durable { first, bytes, .. } = writer.durable_end().unwrap();
    drop(writer);
    let file = disk.open(&dir().join(file_name(first)), Open::ReadWrite).unwrap();
    file.write_at(b"{\"seq\":4,\"time\":\"20", bytes).unwrap();
    file.sync_all().unwrap();
    let report = check(&disk);
    assert!(report.is_sound(), "the mark does not vouch for it");
    assert_eq!(report.torn, Some(Torn { file: file_name(first), from: bytes, bytes: 19 }));
    let (mut writer, notes) = open(&disk, limits());
    assert_eq!(
        notes.iter().map(|note| (note.action, note.detail.clone())).collect::<Vec<_>>(),
        [("audit.heal", format!("{{\"bytes\":19,\"file\":\"{}\",\"from\":{bytes}}}", file_name(first)))]
    );
    let group = pending(&writer, notes);
    writer.append(&group).unwrap();
    let report = check(&disk);
    assert_eq!((show(&report), report.torn, report.last), (String::new(), None, 4));
}

#[test]
fn an_end_below_the_mark_is_missed_for_ever() {
    let disk = SimDisk::new(1);
    let writer = chain(&disk, 6);
    let Durable { first, bytes, .. } = writer.durable_end().unwrap();
    drop(writer);
    let file = disk.open(&dir().join(file_name(first)), Open::ReadWrite).unwrap();
    file.set_len(bytes - 10).unwrap();
    file.sync_all().unwrap();
    let (mut writer, notes) = open(&disk, limits());
    assert_eq!((notes.len(), notes[0].action), (1, "audit.damage"));
    let group = pending(&writer, notes);
    assert_eq!(group[0].seq, 7, "the number of the missing one is not given again");
    writer.append(&group).unwrap();
    writer.sync_mark();
    append(&mut writer, 2).unwrap();
    expect_test::expect![[r#"
        00000000000000000001.tma line 7: no entry can be read where entry 6 should stand
    "#]]
    .assert_eq(&show(&check(&disk)));
}

#[test]
fn retention_removes_whole_files_and_says_so() {
    let disk = SimDisk::new(1);
    let limits = Limits { audit_file_bytes_max: 4096, audit_bytes_max: 3 * 4096, ..Limits::default() };
    let (mut writer, _) = open(&disk, limits);
    for _ in 0..200 {
        append(&mut writer, 1).unwrap();
        for (first, entry) in writer.trims(i64::MAX).unwrap() {
            let mut group = pending(&writer, [entry]);
            group[0].removes = Some(first);
            writer.append(&group).unwrap();
            writer.sync_mark();
        }
    }
    let report = check(&disk);
    assert_eq!(show(&report), "");
    assert!(report.first > 100 && report.files <= 5, "{report:?}");
    // Someone who removes one file more has no entry that says so.
    let oldest = contents(&disk).swap_remove(0).0;
    disk.remove(&dir().join(oldest)).unwrap();
    let report = check(&disk);
    assert!(
        matches!(report.findings.as_slice(), [Finding { what: What::Beginning(_), .. }]),
        "{}",
        show(&report)
    );
}

#[test]
fn retention_by_age() {
    let disk = SimDisk::new(1);
    let limits = Limits { audit_age_max: Some(std::time::Duration::from_secs(30)), ..limits() };
    let (mut writer, _) = open(&disk, limits);
    for _ in 0..60 {
        append(&mut writer, 1).unwrap();
    }
    // Entry N was written in second N.
    let trims = writer.trims(60_000_000_000).unwrap();
    assert!(!trims.is_empty());
    for (first, entry) in &trims {
        assert!(*first < 30, "{first}: {}", entry.detail);
    }
}

#[test]
fn a_newer_file_is_refused() {
    let disk = SimDisk::new(1);
    let mut bytes = Vec::new();
    let body =
        format!("{{\"tidemill-audit\":2,\"first\":1,\"reopened\":false,\"prev\":\"{}\"", line::Hash::ZERO);
    line::seal(&mut bytes, &line::Hash::ZERO, body.as_bytes());
    put(&disk, &file_name(1), &bytes);
    assert!(matches!(verify(&disk, Path::new(DATA)), Err(crate::Error::Newer { found: 2, .. })));
    assert!(matches!(Writer::open(Arc::new(disk), dir(), limits(), 0), Err(crate::Error::Newer { .. })));
}

#[test]
fn the_newest_entries_are_read_from_the_files_alone() {
    let disk = SimDisk::new(1);
    drop(chain(&disk, 40));
    let seqs = |count: usize| -> Vec<u64> {
        let rows = latest(&disk, Path::new(DATA), count).unwrap();
        assert!(rows.iter().all(|row| row.len() == AUDIT_TABLE.columns.len()));
        rows.iter().map(|row| row[1].as_u64().unwrap()).collect()
    };
    assert_eq!(seqs(3), [40, 39, 38]);
    assert_eq!(seqs(100), (1..=40).rev().collect::<Vec<u64>>());
    let row = latest(&disk, Path::new(DATA), 1).unwrap().remove(0);
    assert_eq!((row[2].as_str(), row[5].as_str()), (Some("owner:anna"), Some("signal.delete")));
    // A line that cannot be read is left out, and the rest is told.
    let files = contents(&disk).into_iter().filter(|(name, _)| name.ends_with(".tma"));
    let (name, mut bytes) = files.max().unwrap();
    let last = bytes.len() - 100;
    bytes[last] ^= 0x80;
    put(&disk, &name, &bytes);
    assert_eq!(seqs(2), [39, 38]);
}

#[test]
fn a_chain_that_begins_during_its_check_is_no_damage() {
    // The first entry becomes durable at one of the places where the check asks how far the chain is, or after.
    for begins_at in 0..4 {
        for asked_first in [false, true] {
            let disk = SimDisk::new(1);
            let writer = std::cell::RefCell::new(open(&disk, limits()).0);
            let asked = std::cell::Cell::new(0);
            let until = || {
                let before = writer.borrow().durable_end();
                if asked.get() == begins_at {
                    append(&mut writer.borrow_mut(), 2).unwrap();
                }
                asked.set(asked.get() + 1);
                if asked_first { before } else { writer.borrow().durable_end() }
            };
            let report = verify::verify_until(&disk, &dir(), until).unwrap();
            assert_eq!(show(&report), "", "begins at {begins_at}, asked first: {asked_first}");
        }
    }
    // And a mark that somebody took away is still missed.
    let disk = SimDisk::new(1);
    let writer = chain(&disk, 3);
    disk.remove(&dir().join(MARK)).unwrap();
    let report = verify::verify_until(&disk, &dir(), || writer.durable_end()).unwrap();
    assert!(show(&report).contains("mark"), "{}", show(&report));
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_a_panic(files in proptest::collection::vec((1..50u64, "(\\{\"seq\":[0-9]{1,20},)?\\PC{0,80}\n?"), 0..4), mark: u64) {
        let bytes: Vec<(u64, Vec<u8>)> = files.into_iter().map(|(first, text)| (first, text.into_bytes())).collect();
        let inside = Mark::At(Chain { seq: mark >> 2, hash: line::Hash::ZERO });
        let marks = Marks { inside, ..Marks::NONE };
        let _ = verify::verify_bytes(marks, &bytes);
    }

    #[test]
    fn entries_of_any_text_make_a_sound_chain(target in "\\PC{0,40}", detail in "\\PC{0,40}|\\{\"a\": [1, null]\\}", long in 0..20_000usize) {
        let disk = SimDisk::new(1);
        let (mut writer, _) = open(&disk, Limits::default());
        let entry = AuditEntry { target: format!("{target}\n{}", "ä".repeat(long)), detail: detail + &"x".repeat(long), ..entry(1) };
        let group = pending(&writer, [entry]);
        writer.append(&group).unwrap();
        writer.sync_mark();
        let report = check(&disk);
        prop_assert_eq!((show(&report), report.entries), (String::new(), 1));
        let (_, bytes) = contents(&disk).swap_remove(0);
        prop_assert!(bytes.len() < 2 * (TARGET_BYTES_MAX + DETAIL_BYTES_MAX) + 1024);
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(line).is_ok());
        }
    }
}
