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
