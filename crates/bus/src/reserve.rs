//! Numbers are reserved on disk, in blocks, before they are given out. What was given out and lost with a crash stays
//! unused for ever: nobody who saw such a number can ever mistake it for another's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidemill_core::SIGNAL_NUMBER_MAX;
use tidemill_ground::{Disk, read, replace};

use crate::error::Error;

/// The reserve beside the registry's snapshot.
pub(crate) const FILE_NAME: &str = "registry.ids";
const MAGIC: &[u8; 4] = b"TMID";
const VERSION: u16 = 1;
const FILE_BYTES: usize = 18;

/// The first block, and the largest: blocks double while they are used up, so that a hundred thousand new names cost a
/// few syncs and a crash of a small plant wastes few numbers.
const BLOCK_MIN: u32 = 256;
const BLOCK_MAX: u32 = 8_192;

/// One counter: the next number, and up to where numbers are reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    next: u32,
    reserved: u32,
    block: u32,
}

impl Run {
    fn from(next: u32, reserved: u32) -> Run {
        let next = next.max(reserved.saturating_add(1));
        Run { next, reserved: next - 1, block: BLOCK_MIN }
    }
}

/// Which numbers of signals and sources may be given out.
pub(crate) struct Reserve {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    signals: Run,
    sources: Run,
}

impl Reserve {
    /// Goes on after what was reserved, and after what the registry knows.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        signals_end: u32,
        sources_end: u32,
    ) -> Result<Reserve, Error> {
        let path = dir.join(FILE_NAME);
        let file = |source| Error::File { file: path.clone(), action: "read", source };
        let (signals, sources) = if disk.exists(&path).map_err(file)? {
            parse(&read(disk.as_ref(), &path).map_err(file)?, &path)?
        } else {
            (0, 0)
        };
        let (signals, sources) = (Run::from(signals_end, signals), Run::from(sources_end, sources));
        Ok(Reserve { disk, path, signals, sources })
    }

    /// Goes on after what was found meanwhile.
    pub(crate) fn known(&mut self, signals_end: u32, sources_end: u32) {
        let after = |run: Run, end: u32| {
            if end > run.next { Run { next: end, reserved: end - 1, ..run } } else { run }
        };
        self.signals = after(self.signals, signals_end);
        self.sources = after(self.sources, sources_end);
    }

    /// One more than the highest number that a signal may have.
    pub(crate) fn signals_end(&self) -> u32 {
        self.signals.reserved.saturating_add(1).max(self.signals.next)
    }

    /// The next number of a signal; durable before it is given.
    pub(crate) fn next_signal(&mut self) -> Result<u32, Error> {
        let run = self.extended(self.signals, "signals", SIGNAL_NUMBER_MAX, |reserve, run| {
            reserve.write(run, reserve.sources)
        })?;
        self.signals = Run { next: run.next + 1, ..run };
        Ok(run.next)
    }

    /// The next number of a source; durable before it is given.
    pub(crate) fn next_source(&mut self) -> Result<u32, Error> {
        let run = self.extended(self.sources, "sources", u32::MAX - 1, |reserve, run| {
            reserve.write(reserve.signals, run)
        })?;
        self.sources = Run { next: run.next + 1, ..run };
        Ok(run.next)
    }

    /// Gives back the numbers of signals from this one on. Nobody may have seen them.
    pub(crate) fn take_back(&mut self, from: u32) {
        self.signals.next = self.signals.next.min(from);
    }

    fn extended(
        &self,
        run: Run,
        what: &'static str,
        max: u32,
        write: impl FnOnce(&Reserve, Run) -> Result<(), Error>,
    ) -> Result<Run, Error> {
        if run.next <= run.reserved {
            return Ok(run);
        }
        let reserved = run.next.saturating_add(run.block - 1).min(max);
        if reserved < run.next {
            return Err(Error::Exhausted { what, max });
        }
        let run = Run { reserved, block: run.block.saturating_mul(2).min(BLOCK_MAX), ..run };
        write(self, run)?;
        Ok(run)
    }

    /// Gives back what was reserved and not used, at an orderly stop.
    pub(crate) fn give_back(&mut self) -> Result<(), Error> {
        let exact = |run: Run| Run { reserved: run.next - 1, ..run };
        let (signals, sources) = (exact(self.signals), exact(self.sources));
        self.write(signals, sources)?;
        (self.signals, self.sources) = (signals, sources);
        Ok(())
    }

    fn write(&self, signals: Run, sources: Run) -> Result<(), Error> {
        let mut bytes = Vec::with_capacity(FILE_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&signals.reserved.to_le_bytes());
        bytes.extend_from_slice(&sources.reserved.to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        replace(self.disk.as_ref(), &self.path, &bytes).map_err(|source| Error::File {
            file: self.path.clone(),
            action: "written",
            source,
        })
    }
}

fn parse(bytes: &[u8], path: &Path) -> Result<(u32, u32), Error> {
    let damaged = |what| Error::Damaged { file: path.to_owned(), what };
    let word = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let version = bytes.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_le_bytes);
    if bytes.get(..4) != Some(MAGIC) {
        return Err(damaged("it does not begin as it should"));
    }
    match version {
        Some(VERSION) => {}
        Some(found) if found > VERSION => {
            let what = path.display().to_string();
            return Err(Error::Newer { what, found: u32::from(found), known: u32::from(VERSION) });
        }
        _ => return Err(damaged("its version is none")),
    }
    let sum = bytes.get(..FILE_BYTES - 4).map(crc32c::crc32c);
    match (word(6), word(10), word(14)) {
        (Some(signals), Some(sources), found) if found == sum && bytes.len() == FILE_BYTES => {
            Ok((signals, sources))
        }
        _ => Err(damaged("its checksum does not hold")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_ground::Ground;

    fn open(ground: &Ground, signals_end: u32) -> Result<Reserve, Error> {
        Reserve::open(ground.disk.clone(), Path::new("/data"), signals_end, 1)
    }

    #[test]
    fn a_crash_skips_and_a_stop_gives_back() {
        let (ground, _) = Ground::simulated(1);
        ground.disk.create_dir_all(Path::new("/data")).unwrap();
        let mut reserve = open(&ground, 1).unwrap();
        assert_eq!((reserve.next_signal().unwrap(), reserve.next_signal().unwrap()), (1, 2));
        assert_eq!(reserve.next_source().unwrap(), 1);
        let mut after_crash = open(&ground, 1).unwrap();
        assert_eq!(after_crash.next_signal().unwrap(), 1 + BLOCK_MIN);
        after_crash.give_back().unwrap();
        let mut after_stop = open(&ground, 1).unwrap();
        assert_eq!(after_stop.next_signal().unwrap(), 2 + BLOCK_MIN);
        assert_eq!(open(&ground, 5_000).unwrap().next_signal().unwrap(), 5_000);
        assert_eq!(after_stop.next_source().unwrap(), 2 + BLOCK_MIN - 1);
    }

    #[test]
    fn damage_and_newer_formats_are_refused() {
        let (ground, _) = Ground::simulated(1);
        ground.disk.create_dir_all(Path::new("/data")).unwrap();
        open(&ground, 1).unwrap().next_signal().unwrap();
        let path = Path::new("/data").join(FILE_NAME);
        let good = read(ground.disk.as_ref(), &path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            replace(ground.disk.as_ref(), &path, &bad).unwrap();
            assert!(open(&ground, 1).is_err(), "byte {at}");
        }
        let mut newer = good;
        newer[4] = 2;
        replace(ground.disk.as_ref(), &path, &newer).unwrap();
        assert!(matches!(open(&ground, 1), Err(Error::Newer { found: 2, .. })));
    }
}
