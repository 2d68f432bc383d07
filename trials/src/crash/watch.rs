//! What a plant says of itself in its log about work under way: by these events a strike is aimed, and afterwards it is
//! known what it hit. A killed process leaves every line that it wrote.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The filter of the log under which the events below are written.
pub(super) const FILTER: (&str, &str) = ("TIDEMILL_LOG", "info,tidemill_lake=debug");

/// Work that leaves marks in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Flush,
    Merge,
}

impl Work {
    /// How its events begin.
    fn name(self) -> &'static str {
        match self {
            Work::Flush => "flush",
            Work::Merge => "merge",
        }
    }
}

/// The log of one life of a plant, from where it began.
pub(super) struct Watch {
    path: PathBuf,
    from: u64,
}

impl Watch {
    /// To be made before the plant starts.
    pub(super) fn from_here(log: &Path) -> Watch {
        Watch { path: log.to_owned(), from: log.metadata().map_or(0, |about| about.len()) }
    }

    /// Whether this work has begun and not ended.
    pub(super) fn is_under_way(&self, work: Work) -> Result<bool, String> {
        let mut text = String::new();
        File::open(&self.path)
            .and_then(|mut file| {
                file.seek(SeekFrom::Start(self.from))?;
                file.read_to_string(&mut text)
            })
            .map_err(|error| format!("{}: {error}", self.path.display()))?;
        Ok(is_open(&text, work))
    }
}

fn is_open(log: &str, work: Work) -> bool {
    let said = |what: &str| log.matches(&format!("event=\"{}.{what}\"", work.name())).count();
    said("began") > said("ended")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_and_did_not_end_is_under_way_and_earlier_lives_do_not_count() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        std::fs::write(&log, "DEBUG event=\"merge.began\" files=3\n").expect("written");
        let watch = Watch::from_here(&log);
        let state = || (watch.is_under_way(Work::Flush), watch.is_under_way(Work::Merge));
        assert_eq!(state(), (Ok(false), Ok(false)));
        for (line, flush, merge) in [
            ("DEBUG event=\"flush.began\"\n", true, false),
            ("DEBUG event=\"merge.began\" files=2\n", true, true),
            ("DEBUG event=\"flush.ended\" good=true\n", false, true),
            ("DEBUG event=\"merge.ended\" good=false\n", false, false),
        ] {
            let text = std::fs::read_to_string(&log).expect("read") + line;
            std::fs::write(&log, text).expect("written");
            assert_eq!(state(), (Ok(flush), Ok(merge)), "{line}");
        }
    }
}
