//! Where a plant may be restored to: new folders, empty ones that stay, and what is never written over.

use super::*;

/// A mounted disk, a link, or the only folder that a user may write to: it stays, and the plant is made in it.
#[test]
fn an_empty_folder_stays_and_gets_the_plant() {
    const WHOLE: &str = "connections data lost+found tidemill.toml";
    let names = |disk: &dyn Disk| {
        let names = disk.list(Path::new("/mount")).unwrap().into_iter().map(|entry| entry.name);
        names.collect::<Vec<String>>().join(" ")
    };
    // Wherever a write, a new name or a sync fails, nothing stays.
    for operation in [Operation::Write, Operation::Rename, Operation::SyncDir] {
        let (ground, sim) = Ground::simulated(1);
        let disk = &*ground.disk;
        create_dirs(disk, Path::new("/mount/lost+found")).unwrap();
        put(disk, "/one.tdm", &pack(&small(), None).0);
        let chain = Chain::open(disk, Path::new("/one.tdm"), &[]).unwrap();
        let make = || restore(disk, &chain, Path::new("/mount"), &told(), &mut |_| {});
        let mut failed = 0;
        for skip in 0.. {
            sim.disk.fail_after(operation, skip, io::ErrorKind::Other);
            if make().is_ok() {
                break;
            }
            failed += 1;
            assert_eq!(names(disk), "lost+found", "{operation:?} {skip}");
        }
        assert!(failed > 2, "{operation:?} {failed}");
        assert_eq!(names(disk), WHOLE);
        assert!(matches!(make(), Err(Error::NotEmpty { .. })));
    }
    // What a restore left that was killed is cleared.
    let disk = disk();
    create_dirs(&*disk, Path::new("/mount/.restoring/data")).unwrap();
    create_dirs(&*disk, Path::new("/mount/lost+found")).unwrap();
    put(&*disk, "/mount/.restoring/restoring", b"");
    put(&*disk, "/mount/.restoring/data/half", b"half");
    put(&*disk, FILE, &pack(&small(), None).0);
    let chain = Chain::open(&*disk, Path::new(FILE), &[]).unwrap();
    restore(&*disk, &chain, Path::new("/mount"), &told(), &mut |_| {}).unwrap();
    assert_eq!(names(&*disk), WHOLE);
    assert!(!disk.exists(Path::new("/mount/data/half")).unwrap());
    // What was saved of a broken file system is somebody's.
    create_dirs(&*disk, Path::new("/saved/lost+found")).unwrap();
    put(&*disk, "/saved/lost+found/#12", b"x");
    assert!(!is_vacant(&*disk, Path::new("/saved")).unwrap());
    let refused = restore(&*disk, &chain, Path::new("/saved"), &told(), &mut |_| {});
    assert!(matches!(refused, Err(Error::NotEmpty { .. })));
}

#[test]
fn a_plant_is_never_written_over() {
    let disk = disk();
    put(&*disk, FILE, &pack(&small(), None).0);
    create_dirs(&*disk, Path::new("/plant")).unwrap();
    restored(&*disk, FILE, "/plant").expect("an empty folder is nobody's");
    let refused = restored(&*disk, FILE, "/plant").unwrap_err();
    assert!(matches!(refused, Error::NotEmpty { .. }), "{refused}");
    // What an unfinished restore left is cleared, what another left is not.
    create_dirs(&*disk, Path::new("/.new.restoring/data/x")).unwrap();
    put(&*disk, "/.new.restoring/data/x/y", b"half");
    let refused = restored(&*disk, FILE, "/new").unwrap_err();
    assert!(matches!(refused, Error::NotEmpty { .. }), "{refused}");
    put(&*disk, "/.new.restoring/restoring", b"");
    assert_eq!(restored(&*disk, FILE, "/new").unwrap(), small());
    assert!(!disk.exists(Path::new("/.new.restoring")).unwrap());
}

/// Two would take away what the other writes: the second is refused, and what another program took away is missed at the end.
#[test]
fn a_second_restore_into_one_folder_is_refused() {
    for folder in ["/plant", "/new"] {
        let disk = disk();
        create_dirs(&*disk, Path::new("/plant")).unwrap();
        put(&*disk, FILE, &pack(&small(), None).0);
        let chain = Chain::open(&*disk, Path::new(FILE), &[]).unwrap();
        let again = || restore(&*disk, &chain, Path::new(folder), &told(), &mut |_| {});
        let mut refused = Vec::new();
        restore(&*disk, &chain, Path::new(folder), &told(), &mut |_| {
            refused.push(again().unwrap_err());
        })
        .unwrap();
        assert!(refused.len() > 1);
        for error in refused {
            assert!(error.to_string().starts_with("another restore into this folder is at work"), "{error}");
        }
        assert!(matches!(again(), Err(Error::NotEmpty { .. })));
        for (path, bytes) in small() {
            assert_eq!(read(&*disk, &Path::new(folder).join(path)).unwrap(), bytes);
        }
    }
    for gone in ["tidemill.toml", "connections/line-protocol.toml", "restoring"] {
        let disk = disk();
        put(&*disk, FILE, &pack(&small(), None).0);
        let chain = Chain::open(&*disk, Path::new(FILE), &[]).unwrap();
        let path = Path::new("/.new.restoring").join(gone);
        // The largest is the first, the last is written in one piece.
        let mut bytes = 0;
        let total: usize = small().values().map(Vec::len).sum();
        let made = restore(&*disk, &chain, Path::new("/new"), &told(), &mut |more| {
            bytes += more;
            if bytes == total as u64 {
                disk.remove(&path).unwrap();
            }
        });
        let error = made.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("another program changed {} while the plant was being restored", path.display())
        );
        assert!(!disk.exists(Path::new("/new")).unwrap());
    }
}

/// Wherever the power is cut, the next restore clears what was left and makes the plant, or it is there.
#[test]
fn a_restore_that_was_cut_off_is_cleared_by_the_next() {
    let (mut moved, mut whole) = (0, 0);
    for operations in 0.. {
        let (ground, sim) = Ground::simulated(operations);
        let disk = &*ground.disk;
        create_dirs(disk, Path::new("/mount/lost+found")).unwrap();
        put(disk, "/one.tdm", &pack(&small(), None).0);
        let file = disk.open(Path::new("/one.tdm"), Open::ReadWrite).unwrap();
        file.sync_all().unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        let chain = Chain::open(disk, Path::new("/one.tdm"), &[]).unwrap();
        sim.disk.cut_power_after(operations);
        let ended = restore(disk, &chain, Path::new("/mount"), &told(), &mut |_| {});
        sim.disk.crash();
        let toml = disk.exists(Path::new("/mount/tidemill.toml")).unwrap();
        let has_moved = disk.exists(Path::new("/mount/data")).unwrap();
        moved += u32::from(has_moved && !toml);
        let chain = Chain::open(disk, Path::new("/one.tdm"), &[]).unwrap();
        let again = restore(disk, &chain, Path::new("/mount"), &told(), &mut |_| {});
        if toml {
            assert!(matches!(again, Err(Error::NotEmpty { .. })), "{operations}");
            whole += 1;
        } else {
            again.unwrap_or_else(|error| panic!("{operations}: {error}"));
        }
        for (path, bytes) in small() {
            assert_eq!(read(disk, &Path::new("/mount").join(path)).unwrap(), bytes, "{operations}");
        }
        if ended.is_ok() {
            break;
        }
    }
    assert!(moved > 0 && whole > 0, "{moved} {whole}");
}
