//! Sees that a file of the plant's settings was saved, by looking at what the system knows of it once in a while. What does
//! not live here: reading and applying it.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::config;
use crate::plant::Plant;

/// How often it is looked; what was saved is applied after the second look that sees the same.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the system knows of a file, none where there is none: its number, its size, and when it and what is known of it
/// were changed. A file that is copied over with its old time, or put in another's place, differs in one of them.
type Mark = Option<(u64, u64, [i64; 4])>;

/// The files of settings as they were read, and as they were seen last.
#[derive(Debug)]
pub(crate) struct Saved {
    files: [PathBuf; 2],
    read: [Mark; 2],
    seen: [Mark; 2],
}

impl Saved {
    /// As they are now, before they are read.
    pub(crate) fn new(plant: &Plant) -> Saved {
        let files = [plant.file(), plant.folder.join(config::templates::FILE)];
        let now = marks(&files);
        Saved { files, read: now, seen: now }
    }

    /// They are read now.
    pub(crate) fn reading(&mut self) {
        self.read = marks(&self.files);
    }

    /// Whether one is another than the one that was read, and no longer being written: an editor may empty a file before it
    /// fills it, and an empty one is valid. Says so once.
    pub(crate) fn look(&mut self) -> bool {
        let now = marks(&self.files);
        let settled = now == self.seen;
        self.seen = now;
        let anew = settled && now != self.read;
        if anew {
            self.read = now;
        }
        anew
    }
}

fn marks(files: &[PathBuf; 2]) -> [Mark; 2] {
    files.each_ref().map(|file| {
        let about = std::fs::metadata(file).ok()?;
        let changed = [about.mtime(), about.mtime_nsec(), about.ctime(), about.ctime_nsec()];
        Some((about.ino(), about.size(), changed))
    })
}

#[cfg(test)]
mod tests {
    use tidemill_ground::{Disk, RealDisk, replace};

    use super::*;

    #[test]
    fn a_saved_file_is_told_once_and_only_when_it_stands_still() {
        let folder = tempfile::tempdir().unwrap();
        let plant = Plant::at(folder.path());
        let save = |text: &str| replace(&RealDisk, &plant.file(), text.as_bytes()).unwrap();
        save("a");
        let mut saved = Saved::new(&plant);
        let mut looks = |count: usize| (0..count).map(|_| saved.look()).collect::<Vec<_>>();
        assert_eq!(looks(2), [false, false], "nothing was saved");
        save("b");
        assert_eq!(looks(4), [false, true, false, false]);
        save("");
        assert_eq!(looks(1), [false]);
        save("c");
        assert_eq!(looks(3), [false, true, false], "it was told while it was being written");
        RealDisk.remove(&plant.file()).unwrap();
        assert_eq!(looks(3), [false, true, false], "a file that is gone");
        std::fs::create_dir(folder.path().join("connections")).unwrap();
        replace(&RealDisk, &folder.path().join(config::templates::FILE), b"").unwrap();
        assert_eq!(looks(3), [false, true, false], "the other file");
        save("d");
        saved.reading();
        assert!(!saved.look() && !saved.look(), "what was read by itself is told again");
    }
}
