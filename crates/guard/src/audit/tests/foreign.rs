//! Files that somebody put among those of the chain, and files that somebody took away: told by every check, on record
//! after one start, and never gone on from.

use expect_test::{Expect, expect};
use tidemill_ground::read;

use super::*;

/// The chain of 40 entries that every case begins with: files 1, 15 and 29.
fn forty() -> SimDisk {
    let disk = SimDisk::new(1);
    drop(chain(&disk, 40));
    disk
}

fn copy(disk: &SimDisk, from: u64, to: u64) {
    let bytes = read(disk, &dir().join(file_name(from))).unwrap();
    put(disk, &file_name(to), &bytes);
}

/// A file that is whole in itself and begins with this entry, as a chain of another plant does.
fn other_chain(first: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let before = Chain { seq: first - 1, hash: line::Hash([7; 32]) };
    let hash = line::Header::write(&mut bytes, before, false);
    line::seal(&mut bytes, &hash, line::entry_body(first, 0, &entry(first)).as_bytes());
    bytes
}

/// What somebody did to a chain while its plant stood still.
type Change = fn(&SimDisk);

/// Checks, starts, writes, starts and writes again, as a plant does, and shows what each told.
fn told(change: Change) -> String {
    let disk = forty();
    change(&disk);
    let mut text = format!("check:\n{}", show(&check(&disk)));
    for start in 1..=2 {
        let (mut writer, notes) = open(&disk, limits());
        for note in &notes {
            text += &format!("start {start}: {} {}\n", note.action, note.detail);
        }
        let group = pending(&writer, notes);
        if !group.is_empty() {
            writer.append(&group).unwrap();
        }
        append(&mut writer, 1).unwrap();
        text += &format!("entry {}\n", writer.chain().seq);
        let running = verify::verify_until(&disk, &dir(), || writer.durable_end()).unwrap();
        assert_eq!(show(&running), show(&check(&disk)), "running and stopped tell the same");
    }
    text += &format!("check:\n{}", show(&check(&disk)));
    if let Ok(entries) = disk.list(&foreign_dir(&dir())) {
        entries.iter().for_each(|entry| text += &format!("aside: {}\n", entry.name));
    }
    text
}

#[track_caller]
fn tells(change: Change, expected: Expect) {
    expected.assert_eq(&told(change));
}

#[test]
fn a_foreign_file_is_named_moved_away_once_and_never_gone_on_from() {
    tells(
        |_| (),
        expect![[r#"
        check:
        entry 41
        entry 42
        check:
    "#]],
    );
    tells(
        |disk| copy(disk, 15, 1_000_000),
        expect![[r#"
        check:
        00000000000001000000.tma: the file is no part of the chain: find out who put it there, and move it elsewhere (the next start moves it to data/guard/audit.foreign)
        start 1: audit.damage {"files":1,"foreign":["00000000000001000000.tma"],"moved_to":"audit.foreign"}
        entry 42
        entry 43
        check:
        aside: 00000000000001000000.tma
    "#]],
    );
    tells(
        |disk| put(disk, &file_name(1_000_000), &other_chain(1_000_000)),
        expect![[r#"
        check:
        00000000000001000000.tma: the file is no part of the chain: find out who put it there, and move it elsewhere (the next start moves it to data/guard/audit.foreign)
        start 1: audit.damage {"files":1,"foreign":["00000000000001000000.tma"],"moved_to":"audit.foreign"}
        entry 42
        entry 43
        check:
        aside: 00000000000001000000.tma
    "#]],
    );
    tells(
        |disk| put(disk, &file_name(1_000_000), b"notes of mine\n"),
        expect![[r#"
        check:
        00000000000001000000.tma: the file is no part of the chain: find out who put it there, and move it elsewhere (the next start moves it to data/guard/audit.foreign)
        start 1: audit.damage {"files":1,"foreign":["00000000000001000000.tma"],"moved_to":"audit.foreign"}
        entry 42
        entry 43
        check:
        aside: 00000000000001000000.tma
    "#]],
    );
    // Numbers that the open file holds already, and the one that comes next.
    tells(
        |disk| copy(disk, 1, 35),
        expect![[r#"
        check:
        00000000000000000035.tma: the file is no part of the chain: find out who put it there, and move it elsewhere (the next start moves it to data/guard/audit.foreign)
        start 1: audit.damage {"files":1,"foreign":["00000000000000000035.tma"],"moved_to":"audit.foreign"}
        entry 42
        entry 43
        check:
        aside: 00000000000000000035.tma
    "#]],
    );
    tells(
        |disk| put(disk, &file_name(35), &other_chain(35)),
        expect![[r#"
        check:
        00000000000000000035.tma: the file is no part of the chain: find out who put it there, and move it elsewhere (the next start moves it to data/guard/audit.foreign)
        start 1: audit.damage {"files":1,"foreign":["00000000000000000035.tma"],"moved_to":"audit.foreign"}
        entry 42
        entry 43
        check:
        aside: 00000000000000000035.tma
    "#]],
    );
    tells(
        |disk| put(disk, &file_name(41), &other_chain(41)),
        expect![[r#"
        check:
        00000000000000000041.tma: the file is no part of the chain: find out who put it there, and move it elsewhere (the next start moves it to data/guard/audit.foreign)
        start 1: audit.damage {"files":1,"foreign":["00000000000000000041.tma"],"moved_to":"audit.foreign"}
        entry 42
        entry 43
        check:
        aside: 00000000000000000041.tma
    "#]],
    );
    // Without marks nothing vouches for an order; a number that is not the file's own tells nevertheless.
    tells(
        |disk| {
            for mark in mark_paths(&dir()) {
                disk.remove(&mark).unwrap();
            }
            copy(disk, 15, 1_000_000);
        },
        expect![[r#"
            check:
            00000000000001000000.tma: the file is no part of the chain: find out who put it there, and move it elsewhere (the next start moves it to data/guard/audit.foreign)
            mark: the mark is missing, so a cut end may go unnoticed
            start 1: audit.damage {"files":1,"foreign":["00000000000001000000.tma"],"moved_to":"audit.foreign"}
            entry 42
            entry 43
            check:
            aside: 00000000000001000000.tma
        "#]],
    );
}

#[test]
fn what_was_taken_away_is_told_once_and_its_numbers_are_not_given_again() {
    // The whole folder, as it is and with tokens but without the mark beside it.
    tells(
        remove_all,
        expect![[r#"
        check:
        audit.mark: entries 1 to 40 are missing at the end: the mark says that they were there
        start 1: audit.damage {"missing_from":1,"missing_to":40}
        entry 42
        entry 43
        check:
        00000000000000000041.tma line 1: the chain begins with entry 41, and no entry records that earlier ones were removed
    "#]],
    );
    tells(
        |disk| {
            remove_all(disk);
            disk.remove(&mark_paths(&dir())[1]).unwrap();
            tidemill_ground::replace(disk, &dir().with_file_name(crate::store::FILE), b"{}").unwrap();
        },
        expect![[r#"
            check:
            audit: there are tokens, whose making is always recorded, and no entries: put the folder back from a backup
            start 1: audit.damage {"missing":"all","why":"there are tokens, and no record of their making"}
            entry 2
            entry 3
            check:
            00000000000000000001.tma line 2: entry 1 records that all entries before were gone and the chain began anew: find out who removed them, and look for them in a backup
        "#]],
    );
    // The newest file, with the mark that would tell of it; then with a mark set back.
    tells(
        |disk| {
            disk.remove(&dir().join(file_name(29))).unwrap();
            disk.remove(&dir().join(MARK)).unwrap();
        },
        expect![[r#"
            check:
            audit.mark: entries 29 to 40 are missing at the end: the mark says that they were there
            mark: the mark is missing, so a cut end may go unnoticed
            start 1: audit.damage {"missing":"mark"}
            start 1: audit.damage {"missing_from":29,"missing_to":40}
            entry 43
            entry 44
            check:
            00000000000000000041.tma line 1: entries 29 to 40 are missing before this line
        "#]],
    );
    tells(
        |disk| {
            let before = SimDisk::new(2);
            chain(&before, 28);
            put(disk, MARK, &read(&before, &dir().join(MARK)).unwrap());
            disk.remove(&dir().join(file_name(29))).unwrap();
        },
        expect![[r#"
            check:
            audit.mark: entries 29 to 40 are missing at the end: the mark says that they were there
            start 1: audit.damage {"missing_from":29,"missing_to":40}
            entry 42
            entry 43
            check:
            00000000000000000041.tma line 1: entries 29 to 40 are missing before this line
        "#]],
    );
    // The mark alone; that of the folder, and the one beside it, which older chains do not have.
    tells(
        |disk| disk.remove(&dir().join(MARK)).unwrap(),
        expect![[r#"
        check:
        mark: the mark is missing, so a cut end may go unnoticed
        start 1: audit.damage {"missing":"mark"}
        entry 42
        entry 43
        check:
    "#]],
    );
    tells(
        |disk| disk.remove(&mark_paths(&dir())[1]).unwrap(),
        expect![[r#"
        check:
        entry 41
        entry 42
        check:
    "#]],
    );
}

#[test]
fn where_the_table_alone_knows_of_entries_their_numbers_are_not_given_again() {
    let disk = forty();
    remove_all(&disk);
    disk.remove(&mark_paths(&dir())[1]).unwrap();
    let (mut writer, notes) = Writer::open(Arc::new(disk.clone()), dir(), limits(), 40).unwrap();
    expect![[r#"{"missing_from":1,"missing_to":40}"#]].assert_eq(&notes[0].detail);
    let group = pending(&writer, notes);
    writer.append(&group).unwrap();
    drop(writer);
    append(&mut open(&disk, limits()).0, 20).unwrap();
    expect![[r#"
        00000000000000000041.tma line 1: the chain begins with entry 41, and no entry records that earlier ones were removed
    "#]]
    .assert_eq(&show(&check(&disk)));
}

#[test]
fn a_chain_written_anew_with_its_mark_does_not_meet_the_one_beside() {
    tells(
        |disk| {
            let beside = read(disk, &mark_paths(&dir())[1]).unwrap();
            remove_all(disk);
            disk.remove(&mark_paths(&dir())[1]).unwrap();
            let (mut writer, _) = open(disk, limits());
            for number in 1..=40 {
                let group = pending(&writer, [AuditEntry { target: "nothing".to_owned(), ..entry(number) }]);
                writer.append(&group).unwrap();
            }
            tidemill_ground::replace(disk, &mark_paths(&dir())[1], &beside).unwrap();
        },
        expect![[r#"
            check:
            00000000000000000031.tma line 11: entry 40 is not the one that the mark remembers: the chain was written anew
            start 1: audit.damage {"rewritten":40}
            entry 42
            entry 43
            check:
        "#]],
    );
}

fn remove_all(disk: &SimDisk) {
    for (name, _) in contents(disk) {
        disk.remove(&dir().join(name)).unwrap();
    }
    disk.remove_dir(&dir()).unwrap();
}

#[test]
fn a_file_put_there_while_entries_are_written_is_named_and_not_removed() {
    let disk = forty();
    let (mut writer, _) = open(&disk, limits());
    let running = |writer: &Writer, writing: bool| {
        let until = || writer.durable_end().map(|end| Durable { writing, ..end });
        show(&verify::verify_until(&disk, &dir(), until).unwrap())
    };
    // The number of the next file, which a group on its way may be about to begin.
    put(&disk, &file_name(41), b"notes of mine\n");
    assert_eq!(running(&writer, true), "");
    assert!(running(&writer, false).contains("00000000000000000041.tma: the file is no part of the chain"));
    // Files whose numbers the chain comes to are moved away and recorded before it does.
    for first in [43, 1_000_000] {
        put(&disk, &file_name(first), &other_chain(first));
    }
    while writer.chain().seq < 43 {
        assert!(writer.noticed().is_empty());
        append(&mut writer, 1).unwrap();
    }
    assert_eq!(writer.durable_end().unwrap().first, 43, "the case is the one that is meant");
    expect![[r#"{"files":3,"foreign":["00000000000000000041.tma","00000000000000000043.tma","00000000000001000000.tma"],"moved_to":"audit.foreign"}"#]]
        .assert_eq(&writer.noticed()[0].detail);
    assert!(writer.noticed().is_empty(), "once");
    assert_eq!(running(&writer, false), "");
    assert_eq!(show(&check(&disk)), "");
    assert_eq!(disk.list(&foreign_dir(&dir())).unwrap().len(), 3);
    // One that is put there now does not make the file that is written look like one that is closed and old.
    put(&disk, &file_name(1_000_000), &other_chain(1_000_000));
    writer.set_limits(Limits { audit_age_max: Some(std::time::Duration::from_secs(1)), ..limits() });
    let old: Vec<u64> = writer.trims(i64::MAX).unwrap().into_iter().map(|(first, _)| first).collect();
    assert_eq!(old, [1, 15, 29]);
    assert!(
        running(&writer, false).starts_with("00000000000001000000.tma: the file is no part of the chain")
    );
    // And the folder may go while its file is written.
    remove_all(&disk);
    expect![[r#"
        audit.mark: entries 1 to 43 are missing at the end: the mark says that they were there
    "#]]
    .assert_eq(&running(&writer, false));
}

#[test]
fn the_newest_entries_are_not_those_of_a_foreign_file() {
    let disk = forty();
    copy(&disk, 15, 1_000_000);
    let rows = latest(&disk, Path::new(DATA), 2).unwrap();
    assert_eq!(rows.iter().map(|row| row[1].as_u64().unwrap()).collect::<Vec<_>>(), [40, 39]);
}

#[test]
fn files_beyond_a_mark_that_lags_are_of_the_chain() {
    let disk = SimDisk::new(1);
    let (mut writer, _) = open(&disk, limits());
    append(&mut writer, 10).unwrap();
    let marks = mark_paths(&dir()).map(|path| (read(&disk, &path).unwrap(), path));
    for _ in 0..60 {
        append(&mut writer, 1).unwrap();
    }
    for (bytes, path) in &marks {
        tidemill_ground::replace(&disk, path, bytes).unwrap();
    }
    let report = check(&disk);
    assert_eq!((show(&report), report.last), (String::new(), 70));
    let (writer, notes) = open(&disk, limits());
    assert_eq!((writer.chain().seq, notes.len()), (70, 0));
}

#[test]
fn what_cannot_be_a_file_of_the_chain_is_foreign() {
    // A folder that bears a number behind the chain, and one within it.
    for number in [500, 20] {
        let disk = forty();
        tidemill_ground::create_dirs(&disk, &dir().join(file_name(number))).unwrap();
        let named = format!("{}: the file is no part of the chain", file_name(number));
        assert!(show(&check(&disk)).starts_with(&named), "{}", show(&check(&disk)));
        let (mut writer, notes) = open(&disk, limits());
        assert!(notes[0].detail.contains(&file_name(number)), "{}", notes[0].detail);
        let group = pending(&writer, notes);
        writer.append(&group).unwrap();
        assert_eq!(show(&check(&disk)), "");
        assert!(disk.list(&foreign_dir(&dir())).unwrap()[0].is_dir);
    }
    // One that is put there while the plant runs does not keep the next file from being begun.
    let disk = forty();
    let (mut writer, _) = open(&disk, limits());
    tidemill_ground::create_dirs(&disk, &dir().join(file_name(43))).unwrap();
    (0..20).for_each(|_| append(&mut writer, 1).unwrap());
    assert_eq!(show(&check(&disk)), "");
}

#[test]
fn a_newer_file_that_does_not_go_on_from_the_chain_is_foreign() {
    let newer = |first: u64, prev: line::Hash| {
        let body = format!("{{\"tidemill-audit\":2,\"first\":{first},\"reopened\":false,\"prev\":\"{prev}\"");
        let mut bytes = Vec::new();
        line::seal(&mut bytes, &prev, body.as_bytes());
        bytes
    };
    for (first, prev) in [(500, 0), (41, 0), (20, 0), (41, 7)] {
        let disk = forty();
        put(&disk, &file_name(first), &newer(first, line::Hash([prev; 32])));
        let found = show(&check(&disk));
        assert!(found.contains(&format!("{}: the file is no part", file_name(first))), "{found}");
        let (mut writer, notes) = open(&disk, limits());
        let group = pending(&writer, notes);
        writer.append(&group).unwrap();
        assert_eq!(show(&check(&disk)), "", "{first}");
    }
    // One that does is not touched.
    let disk = SimDisk::new(1);
    let end = chain(&disk, 40).chain();
    put(&disk, &file_name(41), &newer(41, end.hash));
    assert!(matches!(verify(&disk, Path::new(DATA)), Err(crate::Error::Newer { found: 2, .. })));
    assert!(matches!(Writer::open(Arc::new(disk), dir(), limits(), 0), Err(crate::Error::Newer { .. })));
}

#[test]
fn a_pipe_is_never_opened() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, dir) = (Arc::new(tidemill_ground::RealDisk), folder.path().join(FOLDER));
    let (mut writer, _) = Writer::open(disk.clone(), dir.clone(), limits(), 0).unwrap();
    append(&mut writer, 2).unwrap();
    drop(writer);
    let pipes = [dir.join(file_name(1000)), dir.join(file_name(2))];
    std::fs::remove_file(dir.join(MARK)).unwrap();
    let made = std::process::Command::new("mkfifo").args(&pipes).arg(dir.join(MARK)).status().unwrap();
    assert!(made.success());
    expect![[r#"
        00000000000000000002.tma: the file is no part of the chain: find out who put it there, and move it elsewhere (the next start moves it to data/guard/audit.foreign)
        00000000000000001000.tma: the file is no part of the chain: find out who put it there, and move it elsewhere (the next start moves it to data/guard/audit.foreign)
        mark: the mark cannot be read, so a cut end may go unnoticed
    "#]]
    .assert_eq(&show(&verify(disk.as_ref(), folder.path()).unwrap()));
    let (mut writer, notes) = Writer::open(disk, dir, limits(), 0).unwrap();
    let group = pending(&writer, notes);
    writer.append(&group).unwrap();
    assert!(pipes.iter().all(|pipe| !pipe.exists()));
}

#[test]
fn nothing_is_acknowledged_that_goes_into_a_file_nobody_can_find() {
    let taken: [(Change, &str); 3] = [
        (|disk| disk.remove(&dir().join(file_name(29))).unwrap(), "entries 29 to 40 are missing"),
        (|disk| put(disk, &file_name(29), b"notes of mine\n"), "the first line of the file was altered"),
        (remove_all, "the chain begins with entry 41"),
    ];
    for (change, named) in taken {
        let disk = forty();
        let (mut writer, _) = open(&disk, limits());
        change(&disk);
        let refused = append(&mut writer, 1).unwrap_err().to_string();
        assert!(refused.contains("removed or replaced"), "{refused}");
        assert!(writer.noticed().is_empty(), "nothing is written yet");
        append(&mut writer, 1).unwrap();
        let noticed = writer.noticed();
        expect![[r#"{"file":"00000000000000000029.tma","missing":"file"}"#]].assert_eq(&noticed[0].detail);
        let group = pending(&writer, noticed);
        writer.append(&group).unwrap();
        writer.sync_mark();
        let report = check(&disk);
        assert!(report.last == 42 && show(&report).contains(named), "{}", show(&report));
        assert_eq!(open(&disk, limits()).0.chain().seq, 42, "and the next start goes on there");
    }
}

#[test]
fn a_large_foreign_file_does_not_drive_out_those_of_the_chain() {
    let disk = forty();
    let (mut writer, _) = open(&disk, limits());
    // Larger than all that may be kept, and whole in itself.
    let mut large = other_chain(20);
    large.resize(1 << 20, b'x');
    put(&disk, &file_name(20), &large);
    writer.set_limits(Limits { audit_bytes_max: 64 << 10, ..limits() });
    while writer.durable_end().unwrap().first == 29 {
        append(&mut writer, 1).unwrap();
    }
    assert!(writer.trims(i64::MAX).unwrap().is_empty());
    // And those of the chain go when they are too many themselves.
    writer.set_limits(Limits { audit_bytes_max: 10 << 10, ..limits() });
    let last = writer.durable_end().unwrap().first;
    while writer.durable_end().unwrap().first == last {
        append(&mut writer, 1).unwrap();
    }
    let old: Vec<u64> = writer.trims(i64::MAX).unwrap().into_iter().map(|(first, _)| first).collect();
    assert_eq!(old, [1, 15]);
}

#[test]
fn a_file_that_cannot_be_read_is_no_mistake_of_the_program() {
    let disk = forty();
    disk.fail_next(Operation::Read, std::io::ErrorKind::PermissionDenied);
    let problem = tidemill_core::Problem::from(verify(&disk, Path::new(DATA)).unwrap_err());
    expect!["file-unreadable: reading /plant/data/audit/mark failed (simulated: Read fails). see that the disk is well and that the folder belongs to this user"]
        .assert_eq(&problem.to_string());
}
