//! Every rule at the head of `sim` by example; `bytes` and `names` put random runs against the rules.

mod bytes;
mod names;

use super::*;
use crate::disk::{create_dirs, read, replace};
use std::collections::BTreeSet;

const OUTCOMES: u64 = 300;

fn at(path: &str) -> &Path {
    Path::new(path)
}

/// A file of one durable name.
fn file(disk: &SimDisk, path: &str) -> Arc<dyn File> {
    let file = disk.open(at(path), Open::CreateOrOpen).unwrap();
    disk.sync_dir(at(path).parent().unwrap()).unwrap();
    file
}

/// What a power cut now may leave of a file: runs of equal bytes, each outcome once.
fn outcomes(disk: &SimDisk, path: &str) -> BTreeSet<String> {
    (0..OUTCOMES)
        .map(|salt| match read(&disk.fork_after_crash(salt), at(path)) {
            Ok(bytes) => {
                bytes.chunk_by(|a, b| a == b).map(|run| format!("{}*{} ", run[0], run.len())).collect()
            }
            Err(error) => format!("{:?}", error.kind()),
        })
        .collect()
}

fn kind<T>(result: io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn rules_1_and_2_what_is_synced_stays_and_what_is_not_is_torn_by_sectors() {
    let disk = SimDisk::new(1);
    let file = file(&disk, "/f");
    file.write_at(&[1; 1024], 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(outcomes(&disk, "/f"), BTreeSet::from(["1*1024 ".to_owned()]));
    file.write_at(&[2; 1024], 0).unwrap();
    let torn = ["1*1024 ", "1*512 2*512 ", "2*1024 ", "2*512 1*512 "].map(str::to_owned);
    assert_eq!(outcomes(&disk, "/f"), BTreeSet::from(torn));
    disk.tear_pages(true);
    let whole = ["1*1024 ", "2*1024 "].map(str::to_owned);
    assert_eq!(outcomes(&disk, "/f"), BTreeSet::from(whole), "one page is not torn");
    file.sync_all().unwrap();
    assert_eq!(outcomes(&disk, "/f"), BTreeSet::from(["2*1024 ".to_owned()]));
}

#[test]
fn rule_2_a_version_between_may_be_what_stays() {
    let mut between = 0;
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let file = file(&disk, "/f");
        for version in [1, 2, 3] {
            file.write_at(&[version; 512], 0).unwrap();
        }
        between += usize::from(outcomes(&disk, "/f").contains("2*512 "));
    }
    assert!((1..40).contains(&between), "{between}");
}

#[test]
fn rule_3_the_length_comes_without_the_bytes_or_not_at_all() {
    let disk = SimDisk::new(2);
    let file = file(&disk, "/f");
    file.write_at(&[7; 600], 0).unwrap();
    let seen = outcomes(&disk, "/f");
    for expected in ["", "7*600 ", "0*600 ", "0*512 7*88 ", "7*512 0*88 "] {
        assert!(seen.contains(expected), "{expected:?} in {seen:?}");
    }
    assert!(
        seen.iter().any(|found| found.starts_with("7*") && !found.contains("600") && !found.contains("0*")),
        "a length between"
    );

    file.sync_data().unwrap();
    file.set_len(100).unwrap();
    let seen = outcomes(&disk, "/f");
    for expected in ["7*600 ", "7*100 "] {
        assert!(seen.contains(expected), "{expected:?} in {seen:?}");
    }
    assert!(seen.iter().all(|found| found.starts_with("7*")), "what was not cut off stays: {seen:?}");
}

#[test]
fn rule_4_a_failed_sync_loses_what_the_cache_still_shows() {
    let disk = SimDisk::new(3);
    let file = file(&disk, "/f");
    file.write_at(&[1; 512], 0).unwrap();
    file.sync_data().unwrap();
    let mut lost = 0;
    for _ in 0..20 {
        file.write_at(&[2; 512], 0).unwrap();
        disk.fail_next(Operation::Sync, ErrorKind::Other);
        assert_eq!(kind(file.sync_data()), Some(ErrorKind::Other));
        file.sync_data().unwrap();
        assert_eq!(read(&disk, at("/f")).unwrap(), [2; 512], "the cache shows it");
        let seen = outcomes(&disk, "/f");
        assert_eq!(seen.len(), 1, "it is decided: {seen:?}");
        lost += usize::from(seen.contains("1*512 "));
        file.write_at(&[3; 8], 2048).unwrap();
        file.sync_data().unwrap();
        let first =
            |found: &BTreeSet<String>| found.iter().map(|runs| runs[..2].to_owned()).collect::<Vec<_>>();
        assert_eq!(first(&outcomes(&disk, "/f")), first(&seen), "a neighbour's sync does not mend it");
        file.set_len(512).unwrap();
        file.write_at(&[1; 512], 0).unwrap();
        file.sync_data().unwrap();
        assert_eq!(
            outcomes(&disk, "/f"),
            BTreeSet::from(["1*512 ".to_owned()]),
            "written again, it is durable"
        );
    }
    assert!((1..20).contains(&lost), "{lost}");
}

#[test]
fn rule_5_names_are_durable_by_their_folder_only() {
    let disk = SimDisk::new(4);
    let file = disk.open(at("/f"), Open::CreateNew).unwrap();
    file.write_at(&[1; 10], 0).unwrap();
    file.sync_all().unwrap();
    let both = ["1*10 ", "NotFound"].map(str::to_owned);
    assert_eq!(outcomes(&disk, "/f"), BTreeSet::from(both.clone()));
    disk.sync_dir(at("/")).unwrap();
    assert_eq!(outcomes(&disk, "/f"), BTreeSet::from(["1*10 ".to_owned()]));
    disk.remove(at("/f")).unwrap();
    assert_eq!(outcomes(&disk, "/f"), BTreeSet::from(both));
    disk.sync_dir(at("/")).unwrap();
    assert_eq!(outcomes(&disk, "/f"), BTreeSet::from(["NotFound".to_owned()]));

    create_dirs(&disk, at("/other")).unwrap();
    create_dirs(&disk, at("/d")).unwrap();
    disk.open(at("/d/h"), Open::CreateNew).unwrap().sync_all().unwrap();
    disk.sync_dir(at("/other")).unwrap();
    disk.sync_dir(at("/")).unwrap();
    assert!(outcomes(&disk, "/d/h").contains("NotFound"), "other folders were synced");

    disk.create_dir_all(at("/d/e")).unwrap();
    replace(&disk, at("/d/e/g"), b"x").unwrap();
    assert!(outcomes(&disk, "/d/e/g").contains("NotFound"), "/d was not synced after /d/e was made");
}

#[test]
fn rule_6_a_rename_is_whole_and_a_taken_name_loses_nothing() {
    let disk = SimDisk::new(5);
    replace(&disk, at("/a"), &[1; 3]).unwrap();
    replace(&disk, at("/b"), &[2; 3]).unwrap();
    disk.rename(at("/a"), at("/c")).unwrap(); // rotate: a → c, then b → a
    disk.rename(at("/b"), at("/a")).unwrap();
    let seen: BTreeSet<String> = (0..OUTCOMES)
        .map(|salt| {
            let after = disk.fork_after_crash(salt);
            let list = after.list(at("/")).unwrap();
            list.iter()
                .map(|entry| {
                    format!("{}={} ", entry.name, read(&after, &at("/").join(&entry.name)).unwrap()[0])
                })
                .collect()
        })
        .collect();
    assert_eq!(seen, BTreeSet::from(["a=1 b=2 ", "b=2 c=1 ", "a=2 c=1 "].map(str::to_owned)));

    // Over another file: the old or the new.
    let disk = SimDisk::new(6);
    replace(&disk, at("/a"), &[1; 3]).unwrap();
    replace(&disk, at("/b"), &[2; 3]).unwrap();
    disk.rename(at("/a"), at("/b")).unwrap();
    assert_eq!(outcomes(&disk, "/b"), BTreeSet::from(["1*3 ", "2*3 "].map(str::to_owned)));
    disk.sync_dir(at("/")).unwrap();
    assert_eq!(outcomes(&disk, "/b"), BTreeSet::from(["1*3 ".to_owned()]));
}

#[test]
fn rule_6_renames_between_folders_and_names_without_bytes() {
    for synced in ["/x", "/y"] {
        let disk = SimDisk::new(7);
        create_dirs(&disk, at("/x")).unwrap();
        create_dirs(&disk, at("/y")).unwrap();
        replace(&disk, at("/x/f"), &[1; 3]).unwrap();
        disk.rename(at("/x/f"), at("/y/f")).unwrap();
        disk.sync_dir(at(synced)).unwrap();
        assert_eq!(outcomes(&disk, "/y/f"), BTreeSet::from(["1*3 ".to_owned()]), "{synced}");
        assert_eq!(outcomes(&disk, "/x/f"), BTreeSet::from(["NotFound".to_owned()]), "{synced}");
    }
    let disk = SimDisk::new(8);
    replace(&disk, at("/f"), &[1; 3]).unwrap();
    let fresh = disk.open(at("/new"), Open::CreateNew).unwrap();
    fresh.write_at(&[2; 3], 0).unwrap();
    disk.rename(at("/new"), at("/f")).unwrap();
    disk.sync_dir(at("/")).unwrap();
    assert!(
        outcomes(&disk, "/f").contains(""),
        "renamed before its bytes were synced: the file may be empty"
    );
}

#[test]
fn rule_6_folders_take_along_what_is_in_them() {
    // What was moved out of a folder is not lost with the folder.
    let disk = SimDisk::new(20);
    create_dirs(&disk, at("/x")).unwrap();
    replace(&disk, at("/x/f"), &[1; 3]).unwrap();
    disk.rename(at("/x/f"), at("/f")).unwrap();
    disk.remove_dir(at("/x")).unwrap();
    let seen = places(&disk);
    assert_eq!(seen, BTreeSet::from(["/f 1 ", "/f 1 /x/ ", "/x/ /x/f 1 "].map(str::to_owned)));

    // A folder takes another name with what was moved in before.
    let disk = SimDisk::new(21);
    create_dirs(&disk, at("/x")).unwrap();
    replace(&disk, at("/f"), &[1; 3]).unwrap();
    disk.rename(at("/f"), at("/x/f")).unwrap();
    disk.rename(at("/x"), at("/y")).unwrap();
    let seen = places(&disk);
    assert_eq!(seen, BTreeSet::from(["/f 1 /x/ ", "/x/ /x/f 1 ", "/y/ /y/f 1 "].map(str::to_owned)));
    disk.sync_dir(at("/")).unwrap();
    assert_eq!(places(&disk), BTreeSet::from(["/y/ /y/f 1 ".to_owned()]));
}

/// Every outcome of a power cut now: all names, and the first byte of each file.
fn places(disk: &SimDisk) -> BTreeSet<String> {
    fn below(disk: &SimDisk, dir: &Path) -> String {
        let entries = disk.list(dir).unwrap().into_iter();
        let line = |entry: Entry| {
            let path = dir.join(&entry.name);
            if entry.is_dir {
                format!("{}/ {}", path.display(), below(disk, &path))
            } else {
                format!("{} {} ", path.display(), read(disk, &path).unwrap()[0])
            }
        };
        entries.map(line).collect()
    }
    (0..OUTCOMES).map(|salt| below(&disk.fork_after_crash(salt), at("/"))).collect()
}

#[test]
fn rule_7_a_failed_sync_of_a_folder_may_be_tried_again() {
    let disk = SimDisk::new(9);
    disk.open(at("/f"), Open::CreateNew).unwrap();
    disk.fail_next(Operation::SyncDir, ErrorKind::Other);
    assert!(disk.sync_dir(at("/")).is_err());
    assert!(outcomes(&disk, "/f").contains("NotFound"));
    disk.sync_dir(at("/")).unwrap();
    assert_eq!(outcomes(&disk, "/f"), BTreeSet::from([String::new()]));
}

#[test]
fn room_is_counted_in_pages_and_reserved_room_is_kept() {
    let disk = SimDisk::new(10);
    disk.set_capacity(4 * 4096);
    let free = || disk.space(at("/")).unwrap().free_bytes / 4096;
    let first = file(&disk, "/a");
    first.write_at(&[1; 5000], 0).unwrap();
    assert_eq!(free(), 2);
    first.set_len(1 << 30).unwrap();
    assert_eq!(free(), 2, "holes are free");
    first.set_len(4096).unwrap();
    assert_eq!(free(), 3);
    let second = file(&disk, "/b");
    assert!(second.allocate(8192).unwrap());
    assert!(!second.is_empty().is_ok_and(|empty| !empty), "the length stays");
    assert_eq!(free(), 1);
    assert_eq!(kind(first.write_at(&[2; 9000], 4096)), Some(ErrorKind::StorageFull));
    assert_eq!((first.len().unwrap(), free()), (8192, 0), "the page that fitted was written");
    assert_eq!(kind(first.write_at(&[2; 1], 8192)), Some(ErrorKind::StorageFull));
    first.write_at(&[3; 8192], 0).unwrap();
    second.write_at(&[4; 8192], 0).unwrap();
    assert_eq!(kind(second.allocate(8193)), Some(ErrorKind::StorageFull));
    disk.remove(at("/a")).unwrap();
    assert_eq!(free(), 0, "it is still open");
    drop(first);
    assert_eq!(free(), 2);
    file(&disk, "/c").write_at(&[5; 1], 0).unwrap();
    file(&disk, "/d").write_at(&[5; 1], 0).unwrap();
    assert_eq!(free(), 0);
    disk.rename(at("/c"), at("/d")).unwrap();
    assert_eq!(free(), 1, "the file that was replaced");
    disk.remove(at("/d")).unwrap();
    second.set_len(0).unwrap();
    assert_eq!(free(), 4);
    assert!(second.allocate(4096).unwrap());
    second.sync_data().unwrap();
    assert!(second.allocate(8192).unwrap());
    assert_eq!(free(), 2);
    disk.crash();
    assert_eq!(free(), 3, "the reservation that was synced");
    let second = file(&disk, "/b");
    second.set_len(second.len().unwrap()).unwrap();
    assert_eq!(free(), 4, "a length that stays gives back what was reserved behind it");
}

#[test]
fn a_killed_process_loses_its_files_and_locks_and_no_byte() {
    let disk = SimDisk::new(11);
    let file = disk.open(at("/f"), Open::CreateNew).unwrap();
    file.write_at(b"written", 0).unwrap();
    assert!(file.try_lock().unwrap() && file.try_lock().unwrap());
    let other = disk.open(at("/f"), Open::Read).unwrap();
    assert!(!other.try_lock().unwrap());
    disk.kill();
    assert_eq!(read(&disk, at("/f")).unwrap(), b"written");
    assert!(file.write_at(b"x", 0).is_err() && file.len().is_err());
    let again = disk.open(at("/f"), Open::Read).unwrap();
    assert!(again.try_lock().unwrap());
    drop((file, other));
    assert!(
        !disk.open(at("/f"), Open::Read).unwrap().try_lock().unwrap(),
        "old handles free nothing of the new life"
    );
    drop(again);
    assert!(disk.open(at("/f"), Open::Read).unwrap().try_lock().unwrap());
    disk.crash();
    assert!(!disk.exists(at("/f")).unwrap() || read(&disk, at("/f")).is_ok());
}

#[test]
fn faults_come_when_planned() {
    let disk = SimDisk::new(12);
    let file = file(&disk, "/f");
    disk.fail_after(Operation::Write, 1, ErrorKind::StorageFull);
    disk.fail_next(Operation::Write, ErrorKind::TimedOut);
    disk.fail_next(Operation::Read, ErrorKind::Other);
    let kinds = [(); 4].map(|()| kind(file.write_at(&[9; 64], 0)));
    assert_eq!(kinds, [Some(ErrorKind::TimedOut), Some(ErrorKind::StorageFull), None, None]);
    assert_eq!(kind(file.read_at(&mut [0; 4], 0)), Some(ErrorKind::Other));
    assert_eq!(file.read_at(&mut [0; 4], 0).unwrap(), 4);

    disk.set_error_probability(0.3);
    let failed = (0..1000).filter(|_| disk.exists(at("/f")).is_err()).count();
    assert!((200..400).contains(&failed), "{failed}");
    disk.set_error_probability(0.0);

    disk.cut_power_after(2);
    assert!(file.sync_data().is_ok() && file.len().is_ok());
    assert!(file.len().is_err() && disk.list(at("/")).is_err() && disk.open(at("/f"), Open::Read).is_err());
    disk.crash();
    assert_eq!(read(&disk, at("/f")).unwrap(), [9; 64]);
}

#[test]
fn a_read_only_disk_is_read_and_not_changed() {
    let disk = SimDisk::new(13);
    let file = file(&disk, "/f");
    file.write_at(b"x", 0).unwrap();
    create_dirs(&disk, at("/d")).unwrap();
    disk.set_read_only(true);
    let refused = [
        kind(file.write_at(b"y", 0)),
        kind(file.set_len(0)),
        kind(file.allocate(9)),
        kind(disk.open(at("/f"), Open::ReadWrite)),
        kind(disk.open(at("/g"), Open::CreateNew)),
        kind(disk.create_dir_all(at("/d/e"))),
        kind(disk.rename(at("/f"), at("/g"))),
        kind(disk.remove(at("/f"))),
        kind(disk.remove_dir(at("/d"))),
    ];
    assert_eq!(refused, [Some(ErrorKind::ReadOnlyFilesystem); 9]);
    assert_eq!(read(&disk, at("/f")).unwrap(), b"x");
    disk.set_read_only(false);
    file.write_at(b"z", 0).unwrap();
}

#[test]
fn a_flipped_bit_is_seen_and_survives() {
    let disk = SimDisk::new(14);
    replace(&disk, at("/f"), &[0; 5000]).unwrap();
    disk.flip_bit(at("/f"), 4999, 7).unwrap();
    assert_eq!(read(&disk, at("/f")).unwrap()[4999], 128);
    disk.crash();
    assert_eq!(read(&disk, at("/f")).unwrap()[4999], 128);
    assert_eq!(kind(disk.flip_bit(at("/f"), 5000, 0)), Some(ErrorKind::UnexpectedEof));
    let mut expected = read(&disk, at("/f")).unwrap();
    let places = disk.flip_random_bits(at("/f"), 50).unwrap();
    places.iter().for_each(|(offset, bit)| expected[*offset as usize] ^= 1 << bit);
    assert_eq!((places.len(), read(&disk, at("/f")).unwrap()), (50, expected));
}

#[test]
fn what_is_out_of_bounds_is_refused() {
    let disk = SimDisk::new(15);
    let file = file(&disk, "/f");
    let refused =
        [kind(file.write_at(b"x", u64::MAX)), kind(file.set_len(u64::MAX)), kind(file.allocate(u64::MAX))];
    assert_eq!(refused, [Some(ErrorKind::FileTooLarge); 3]);
    assert_eq!(file.read_at(&mut [0; 9], u64::MAX).unwrap(), 0);
    assert_eq!(kind(disk.exists(at("/../f"))), Some(ErrorKind::InvalidInput));
    assert_eq!(kind(disk.open(at("/"), Open::Read)), Some(ErrorKind::IsADirectory));
}

/// A run that uses everything that is random.
fn busy(seed: u64) -> (Trace, Vec<String>, Vec<u8>) {
    let disk = SimDisk::new(seed);
    disk.keep_log(1000);
    disk.set_error_probability(0.05);
    disk.set_short_read_probability(0.5);
    let mut bytes = Vec::new();
    for round in 0..20_u8 {
        let Ok(file) = disk.open(at("/f"), Open::CreateOrOpen) else { continue };
        let _ = file.write_at(&[round; 3000], u64::from(round) * 700);
        let _ = if round % 3 == 0 { file.sync_data() } else { disk.sync_dir(at("/")) };
        let mut buf = [0; 2000];
        if let Ok(count) = file.read_at(&mut buf, 100) {
            bytes.extend(&buf[..count]);
        }
        if round % 5 == 4 {
            disk.crash();
        }
    }
    (disk.trace(), disk.log(), bytes)
}

#[test]
fn one_seed_is_one_run() {
    let runs: Vec<_> = (0..50).map(|seed| (busy(seed), busy(seed))).collect();
    assert!(runs.iter().all(|(one, other)| one == other));
    let hashes: BTreeSet<u64> = runs.iter().map(|(run, _)| run.0.hash).collect();
    assert_eq!(hashes.len(), 50, "another seed is another run");
    let disk = SimDisk::new(1);
    disk.keep_log(1);
    let _ = disk.remove(at("/a"));
    let _ = disk.open(at("/b"), Open::CreateNew);
    assert_eq!(disk.log(), ["2 Open /b 0 0 ok"]);
}
