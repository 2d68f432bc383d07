//! Random making, moving and removing of files and folders, and after a power cut the rules for names (5 to 7): every
//! file has the bytes it always had, stands once, under a name it had, and nothing that was durable is gone.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

#[derive(Clone, Debug)]
enum Step {
    Create(PathBuf),
    CreateDir(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    RemoveDir(PathBuf),
    SyncDir(PathBuf),
    SyncAll,
}

fn path() -> impl Strategy<Value = PathBuf> {
    let paths = ["/a", "/b", "/x", "/y", "/x/a", "/x/b", "/y/a", "/x/y", "/y/x", "/x/y/a", "/y/x/b"];
    proptest::sample::select(paths.to_vec()).prop_map(PathBuf::from)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let dir = proptest::sample::select(vec!["/", "/x", "/y", "/x/y", "/y/x"]).prop_map(PathBuf::from);
    let step = prop_oneof![
        6 => path().prop_map(Step::Create),
        4 => path().prop_map(Step::CreateDir),
        8 => (path(), path()).prop_map(|(from, to)| Step::Rename(from, to)),
        2 => path().prop_map(Step::Remove),
        2 => path().prop_map(Step::RemoveDir),
        3 => dir.prop_map(Step::SyncDir),
        1 => Just(Step::SyncAll),
    ];
    prop::collection::vec(step, 1..40)
}

/// Every file below a folder, by the number that its bytes are.
fn files(disk: &SimDisk, dir: &Path, found: &mut Vec<(u64, PathBuf)>, dirs: &mut Vec<PathBuf>) {
    dirs.push(dir.to_owned());
    for entry in disk.list(dir).unwrap() {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            files(disk, &path, found, dirs);
        } else {
            let bytes = read(disk, &path).unwrap();
            found.push((
                u64::from_le_bytes(bytes.as_slice().try_into().expect("synced bytes are whole")),
                path,
            ));
        }
    }
}

fn all(disk: &SimDisk) -> (Vec<(u64, PathBuf)>, Vec<PathBuf>) {
    let (mut found, mut dirs) = (Vec::new(), Vec::new());
    files(disk, Path::new("/"), &mut found, &mut dirs);
    (found, dirs)
}

/// A second, simpler account: which files must be there, and under which names they ever stood.
#[derive(Default)]
struct Account {
    next: u64,
    /// Files that were all durable at some time and were not removed or replaced since.
    durable: Vec<u64>,
    names: HashMap<u64, BTreeSet<String>>,
    /// Folders whose names all are durable, by what stands in them.
    settled: BTreeMap<PathBuf, Vec<Entry>>,
}

impl Account {
    fn apply(&mut self, disk: &SimDisk, step: &Step) {
        let done = match step {
            Step::Create(path) => self.create(disk, path),
            Step::CreateDir(path) => disk.create_dir_all(path),
            Step::Rename(from, to) => disk.rename(from, to),
            Step::Remove(path) => disk.remove(path),
            Step::RemoveDir(path) => disk.remove_dir(path),
            Step::SyncDir(dir) => disk.sync_dir(dir),
            Step::SyncAll => all(disk).1.iter().try_for_each(|dir| disk.sync_dir(dir)),
        };
        let (found, dirs) = all(disk);
        for (id, path) in &found {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            self.names.entry(*id).or_default().insert(name);
        }
        match (step, done) {
            (Step::SyncAll, Ok(())) => {
                self.durable = found.iter().map(|(id, _)| *id).collect();
                self.settled = dirs.iter().map(|dir| (dir.clone(), disk.list(dir).unwrap())).collect();
            }
            (Step::SyncDir(dir), Ok(())) if *dir == Path::new("/") => {
                self.settled.insert(dir.clone(), disk.list(dir).unwrap());
            }
            (Step::SyncDir(_), _) => {}
            // Whatever else changed any name: what is settled is settled again by the next sync only.
            _ => {
                self.durable.retain(|id| found.iter().any(|(there, _)| there == id));
                self.settled.retain(|dir, names| disk.list(dir).is_ok_and(|now| now == *names));
            }
        }
    }

    fn create(&mut self, disk: &SimDisk, path: &Path) -> io::Result<()> {
        let file = disk.open(path, Open::CreateNew)?;
        file.write_at(&self.next.to_le_bytes(), 0)?;
        self.next += 1;
        file.sync_all()
    }

    fn check(&self, after: &SimDisk) -> Result<(), TestCaseError> {
        let (found, _) = all(after);
        let ids: BTreeSet<u64> = found.iter().map(|(id, _)| *id).collect();
        prop_assert_eq!(ids.len(), found.len(), "a file stands twice: {:?}", found);
        for id in &self.durable {
            prop_assert!(ids.contains(id), "file {} was durable and is gone: {:?}", id, found);
        }
        for (id, path) in &found {
            let name = path.file_name().unwrap().to_string_lossy();
            prop_assert!(self.names[id].contains(name.as_ref()), "file {} was never called {}", id, name);
        }
        if let Some(names) = self.settled.get(Path::new("/")) {
            prop_assert_eq!(&after.list(Path::new("/")).unwrap(), names);
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn nothing_durable_is_lost_and_nothing_stands_twice(steps in steps(), seed: u64) {
        let disk = SimDisk::new(seed);
        let mut account = Account::default();
        for step in &steps {
            account.apply(&disk, step);
            prop_assert!(disk.room_is_right());
            for salt in 0..3 {
                account.check(&disk.fork_after_crash(salt))?;
            }
        }
        let settled = all(&disk);
        settled.1.iter().for_each(|dir| disk.sync_dir(dir).unwrap());
        disk.crash();
        prop_assert_eq!(all(&disk), settled, "after syncing every folder a crash changes nothing");
    }
}

/// The account must be able to fail: a sync that does nothing breaks it.
#[test]
fn a_disk_that_lies_is_found_out() {
    let disk = SimDisk::new(1);
    let mut account = Account::default();
    account.apply(&disk, &Step::Create(PathBuf::from("/a")));
    account.apply(&disk, &Step::Create(PathBuf::from("/b")));
    disk.set_sync_lies(true);
    account.apply(&disk, &Step::SyncAll);
    let caught = (0..OUTCOMES).filter(|salt| account.check(&disk.fork_after_crash(*salt)).is_err());
    assert!(caught.count() > OUTCOMES as usize / 2);
}
