//! The real, the simulated and the shadow disk do the same, and the durable patterns are durable.

use super::*;
use crate::real::RealDisk;
use crate::shadow::Shadow;
use crate::sim::SimDisk;
use proptest::prelude::*;
use std::io::ErrorKind;

/// One thing asked of a disk. Paths and handles are few, so that they meet.
#[derive(Clone, Debug)]
enum Step {
    Open(String, Open),
    Close(usize),
    Write(usize, u64, usize, u8),
    Read(usize, u64, usize),
    SetLen(usize, u64),
    Allocate(usize, u64),
    Sync(usize),
    Lock(usize),
    Length(usize),
    CreateDirs(String),
    Rename(String, String),
    Remove(String),
    RemoveDir(String),
    List(String),
    SyncDir(String),
    Exists(String),
    PathLength(String),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let path = || {
        proptest::sample::select(vec!["a", "b", "d", "d/a", "d/e", "d/e/a", "d/e/f"]).prop_map(String::from)
    };
    let how =
        proptest::sample::select(vec![Open::Read, Open::ReadWrite, Open::CreateNew, Open::CreateOrOpen]);
    let slot = || 0..4_usize;
    let offset = || prop_oneof![0..40_u64, 4_080..4_120_u64, 0..20_000_u64];
    prop::collection::vec(
        prop_oneof![
            6 => (path(), how).prop_map(|(path, how)| Step::Open(path, how)),
            2 => slot().prop_map(Step::Close),
            8 => (slot(), offset(), 0..9_000_usize, any::<u8>()).prop_map(|(s, o, l, b)| Step::Write(s, o, l, b)),
            6 => (slot(), offset(), 0..9_000_usize).prop_map(|(s, o, l)| Step::Read(s, o, l)),
            3 => (slot(), offset()).prop_map(|(s, l)| Step::SetLen(s, l)),
            1 => (slot(), offset()).prop_map(|(s, l)| Step::Allocate(s, l)),
            1 => slot().prop_map(Step::Sync),
            2 => slot().prop_map(Step::Lock),
            2 => slot().prop_map(Step::Length),
            3 => path().prop_map(Step::CreateDirs),
            5 => (path(), path()).prop_map(|(from, to)| Step::Rename(from, to)),
            2 => path().prop_map(Step::Remove),
            2 => path().prop_map(Step::RemoveDir),
            2 => path().prop_map(Step::List),
            1 => path().prop_map(Step::SyncDir),
            2 => path().prop_map(Step::Exists),
            2 => path().prop_map(Step::PathLength),
        ],
        1..60,
    )
}

/// What came of a step, as text, so that the two can be compared and read.
fn outcome<T: std::fmt::Debug>(result: io::Result<T>) -> String {
    // Kinds that the standard library has no stable name for are all the same to a caller.
    let known = [
        ErrorKind::NotFound,
        ErrorKind::AlreadyExists,
        ErrorKind::IsADirectory,
        ErrorKind::NotADirectory,
        ErrorKind::DirectoryNotEmpty,
    ];
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) if known.contains(&error.kind()) => format!("{:?}", error.kind()),
        Err(_) => "some other error".to_owned(),
    }
}

fn run(disk: &dyn Disk, root: &Path, steps: &[Step]) -> Vec<String> {
    let mut handles: [Option<Arc<dyn File>>; 4] = Default::default();
    let mut next = 0;
    let mut outcomes = Vec::new();
    for step in steps {
        let at = |path: &String| root.join(path);
        let with = |slot: &usize, work: &dyn Fn(&dyn File) -> String| {
            handles[*slot].as_deref().map_or_else(|| "closed".to_owned(), work)
        };
        let said = match step {
            Step::Open(path, how) => {
                let opened = disk.open(&at(path), *how);
                let said = outcome(opened.as_ref().map(|_| ()).map_err(|error| error.kind().into()));
                if let Ok(file) = opened {
                    handles[next % 4] = Some(file);
                    next += 1;
                }
                said
            }
            Step::Close(slot) => {
                handles[*slot] = None;
                String::new()
            }
            Step::Write(slot, offset, len, byte) => {
                with(slot, &|file| outcome(file.write_at(&vec![*byte; *len], *offset)))
            }
            Step::Read(slot, offset, len) => with(slot, &|file| {
                let mut bytes = vec![0xEE; *len];
                let count = file.read_at(&mut bytes, *offset);
                outcome(count) + &runs(&bytes)
            }),
            Step::SetLen(slot, len) => with(slot, &|file| outcome(file.set_len(*len))),
            Step::Allocate(slot, len) => with(slot, &|file| outcome(file.allocate(*len).map(drop))),
            Step::Sync(slot) => with(slot, &|file| outcome(file.sync_data())),
            Step::Lock(slot) => with(slot, &|file| outcome(file.try_lock())),
            Step::Length(slot) => with(slot, &|file| outcome(file.len())),
            Step::CreateDirs(path) => outcome(disk.create_dir_all(&at(path))),
            Step::Rename(from, to) => outcome(disk.rename(&at(from), &at(to))),
            Step::Remove(path) => outcome(disk.remove(&at(path))),
            Step::RemoveDir(path) => outcome(disk.remove_dir(&at(path))),
            Step::List(path) => outcome(disk.list(&at(path))),
            Step::SyncDir(path) => outcome(disk.sync_dir(&at(path))),
            Step::Exists(path) => outcome(disk.exists(&at(path))),
            Step::PathLength(path) => outcome(disk.len(&at(path))),
        };
        outcomes.push(format!("{step:?}: {said}"));
    }
    outcomes.extend(dump(disk, root));
    outcomes
}

/// Bytes as runs of equal ones.
fn runs(bytes: &[u8]) -> String {
    bytes.chunk_by(|a, b| a == b).map(|run| format!(" {}*{}", run[0], run.len())).collect()
}

/// Everything below a folder, with its bytes.
fn dump(disk: &dyn Disk, dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in disk.list(dir).unwrap() {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            lines.push(format!("{}/", entry.name));
            lines.extend(dump(disk, &path));
        } else {
            let bytes = read(disk, &path).unwrap();
            lines.push(format!("{} {}{}", entry.name, entry.len, runs(&bytes)));
        }
    }
    lines
}

proptest! {
    #[test]
    #[cfg(unix)]
    fn real_and_simulated_disk_do_the_same(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let real = run(&RealDisk, folder.path(), &steps);
        let disk = SimDisk::new(1);
        let simulated = run(&disk, Path::new("/"), &steps);
        prop_assert!(disk.room_is_right());
        prop_assert_eq!(real, simulated);
    }

    #[test]
    fn a_shadow_does_the_same_and_leaves_what_is_below_it(before in steps(), after in steps()) {
        let root = Path::new("/");
        let (below, whole) = (SimDisk::new(1), SimDisk::new(1));
        run(&below, root, &before);
        run(&whole, root, &before);
        let was = dump(&below, root);
        // Whoever holds a lock of the disk below holds it there.
        let after: Vec<Step> = after.into_iter().filter(|step| !matches!(step, Step::Lock(_))).collect();
        let shadow = Shadow::over(Arc::new(below.clone()), 1 << 30);
        prop_assert_eq!(run(&shadow, root, &after), run(&whole, root, &after));
        prop_assert_eq!(dump(&below, root), was);
    }
}

#[test]
fn a_shadow_has_a_bound_and_gives_back_what_is_dropped() {
    let below = SimDisk::new(1);
    replace(&below, Path::new("/there"), &[1; 5_000]).unwrap();
    let shadow = Shadow::over(Arc::new(below.clone()), 16_384);
    let file = shadow.open(Path::new("/new"), Open::CreateNew).unwrap();
    file.write_at(&vec![0; 1 << 20], 0).expect("zeros take no room");
    file.write_at(&[7; 16_384], 4_096).unwrap();
    let full = file.write_at(&[7; 1], 0).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    drop(file);
    shadow.remove(Path::new("/new")).unwrap();
    let there = shadow.open(Path::new("/there"), Open::ReadWrite).unwrap();
    there.write_at(&[0; 5_000], 0).expect("room is given back, and zeros over bytes are kept");
    assert_eq!(runs(&read(&shadow, Path::new("/there")).unwrap()), " 0*5000");
    assert_eq!(runs(&read(&below, Path::new("/there")).unwrap()), " 1*5000");
}

/// Whatever is asked of a disk: the operations that the durable patterns take, and the largest salt tried for each.
const SALTS: u64 = 40;

#[test]
fn replace_leaves_the_old_or_the_new_whenever_the_power_goes() {
    let path = Path::new("/plant/settings");
    let (old, new) = (vec![1; 5_000], vec![2; 9_000]);
    let mut seen = [false, false];
    for operations in 0.. {
        let disk = SimDisk::new(operations);
        create_dirs(&disk, Path::new("/plant")).unwrap();
        replace(&disk, path, &old).unwrap();
        disk.cut_power_after(operations);
        let done = replace(&disk, path, &new).is_ok();
        for salt in 0..SALTS {
            let after = disk.fork_after_crash(salt);
            let found = read(&after, path).unwrap();
            assert!(
                found == new || (!done && found == old),
                "cut after {operations}, salt {salt}: {}",
                runs(&found)
            );
            seen[usize::from(found == new)] = true;
            replace(&after, path, &old).unwrap();
            let names: Vec<_> =
                after.list(Path::new("/plant")).unwrap().into_iter().map(|entry| entry.name).collect();
            assert_eq!(names, ["settings"], "what the crash left is cleared");
        }
        if done {
            break;
        }
    }
    assert_eq!(seen, [true, true], "the cuts must show both");
}

/// The control: a disk whose syncs do nothing must be caught by the very same check.
#[test]
fn without_syncs_replace_is_not_durable() {
    let disk = SimDisk::new(1);
    let path = Path::new("/settings");
    replace(&disk, path, &[1; 5_000]).unwrap();
    disk.set_sync_lies(true);
    replace(&disk, path, &[2; 5_000]).unwrap();
    let outcomes: Vec<String> =
        (0..SALTS).map(|salt| runs(&read(&disk.fork_after_crash(salt), path).unwrap())).collect();
    assert!(outcomes.iter().any(|found| found == " 1*5000"), "lost");
    assert!(outcomes.iter().any(|found| found == " 2*5000"), "kept");
    assert!(outcomes.iter().any(|found| found.contains('0')), "torn: {outcomes:?}");
}

#[test]
fn a_failed_replace_keeps_the_old_and_clears_up() {
    use crate::sim::Operation;
    let path = Path::new("/settings");
    for operation in [Operation::Open, Operation::Write, Operation::Sync, Operation::Rename] {
        let disk = SimDisk::new(3);
        replace(&disk, path, b"old").unwrap();
        disk.fail_next(operation, ErrorKind::StorageFull);
        assert_eq!(replace(&disk, path, b"new").unwrap_err().kind(), ErrorKind::StorageFull, "{operation:?}");
        assert_eq!(read(&disk, path).unwrap(), b"old", "{operation:?}");
        assert_eq!(disk.list(Path::new("/")).unwrap().len(), 1, "{operation:?}");
    }
}

#[test]
fn made_folders_survive_and_plainly_made_ones_need_not() {
    let deep = Path::new("/a/b/c");
    let survivors = |make: &dyn Fn(&SimDisk)| {
        let disk = SimDisk::new(5);
        make(&disk);
        (0..SALTS).filter(|salt| disk.fork_after_crash(*salt).exists(deep).unwrap()).count()
    };
    assert_eq!(survivors(&|disk| create_dirs(disk, deep).unwrap()), SALTS as usize);
    let plain = survivors(&|disk| disk.create_dir_all(deep).unwrap());
    assert!(plain > 0 && plain < SALTS as usize, "{plain}");
    let without_parents = survivors(&|disk| {
        disk.create_dir_all(deep).unwrap();
        disk.sync_dir(Path::new("/a/b")).unwrap();
    });
    assert!(without_parents < SALTS as usize, "a folder's own name is in its parent");
}

#[test]
fn the_patterns_work_on_the_real_disk() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("x/y");
    create_dirs(&RealDisk, &dir).unwrap();
    create_dirs(&RealDisk, &dir).unwrap();
    let path = dir.join("file");
    for bytes in [&b"first"[..], b"", b"third"] {
        replace(&RealDisk, &path, bytes).unwrap();
        assert_eq!(read(&RealDisk, &path).unwrap(), bytes);
    }
    assert_eq!(
        RealDisk.list(&dir).unwrap(),
        [Entry { name: "file".to_owned(), is_dir: false, is_file: true, len: 5 }]
    );
    assert!(replace(&RealDisk, Path::new("/"), b"").is_err());
}

#[test]
#[cfg(unix)]
fn files_and_folders_belong_to_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("deep/er");
    create_dirs(&RealDisk, &dir).unwrap();
    replace(&RealDisk, &dir.join("file"), b"secret").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let modes = [mode(&folder.path().join("deep")), mode(&dir), mode(&dir.join("file"))];
    assert_eq!(modes, [0o700, 0o700, 0o600]);
}

#[test]
#[cfg(target_os = "linux")]
fn reserved_room_is_real_and_the_length_stays() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segment");
    let file = RealDisk.open(&path, Open::CreateNew).unwrap();
    if file.allocate(1 << 20).unwrap() {
        let about = std::fs::metadata(&path).unwrap();
        assert_eq!((about.len(), about.blocks() * 512 >= 1 << 20), (0, true));
        file.set_len(0).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().blocks(), 0, "the room is given back");
    }
    let space = RealDisk.space(&path).unwrap();
    assert!(space.free_bytes <= space.total_bytes && space.total_bytes > 0);
}

#[test]
fn reading_exactly_goes_on_after_short_reads_and_says_where_the_file_ends() {
    let disk = SimDisk::new(7);
    let path = Path::new("/f");
    let bytes: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
    replace(&disk, path, &bytes).unwrap();
    disk.set_short_read_probability(0.9);
    assert_eq!(read(&disk, path).unwrap(), bytes);
    let file = disk.open(path, Open::Read).unwrap();
    let error = read_exact_at(file.as_ref(), &mut [0; 20], 9_990).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::UnexpectedEof, "the file ends at byte 10000, 10 bytes too early")
    );
}

#[test]
fn a_file_too_large_to_be_read_at_once_is_refused() {
    let disk = SimDisk::new(7);
    let file = disk.open(Path::new("/f"), Open::CreateNew).unwrap();
    file.set_len(READ_BYTES_MAX + 1).unwrap();
    assert_eq!(read(&disk, Path::new("/f")).unwrap_err().kind(), ErrorKind::FileTooLarge);
}
