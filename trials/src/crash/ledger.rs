//! The ledger outside the plant: one line for each acknowledgement, on disk before it counts. Many writers share one
//! sync, as in the log they check; what the lines mean is for `check`.

use super::load::RequestId;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

/// An append-only file that several writers wait on.
pub(super) struct Ledger {
    file: File,
    state: Mutex<Shared>,
    synced: Condvar,
}

#[derive(Default)]
struct Shared {
    pending: Vec<u8>,
    /// The number of the group that is being filled.
    filling: u64,
    /// Groups below this are on disk.
    durable: u64,
    is_writing: bool,
    failed: bool,
}

impl Ledger {
    pub(super) fn create(path: &Path) -> io::Result<Ledger> {
        let file = File::create(path)?;
        Ok(Ledger { file, state: Mutex::default(), synced: Condvar::new() })
    }

    /// Writes down that a request was acknowledged; returns when that is on disk.
    pub(super) fn acknowledged(&self, id: RequestId) -> io::Result<()> {
        let mut shared = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(shared.pending, "{id}")?;
        let mine = shared.filling;
        loop {
            if shared.failed {
                return Err(io::Error::other("the ledger could not be written"));
            }
            if shared.durable > mine {
                return Ok(());
            }
            if shared.is_writing {
                shared = self.synced.wait(shared).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            shared.is_writing = true;
            shared.filling += 1;
            let group = std::mem::take(&mut shared.pending);
            drop(shared);
            let written = (&self.file).write_all(&group).and_then(|()| self.file.sync_data());
            shared = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            shared.is_writing = false;
            shared.durable = shared.filling;
            shared.failed |= written.is_err();
            self.synced.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_there_when_its_writer_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger");
        let ledger = Ledger::create(&path).expect("a file");
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let (ledger, path) = (&ledger, &path);
                scope.spawn(move || {
                    for number in 0..20 {
                        let id = RequestId { cycle: 1, writer, number };
                        ledger.acknowledged(id).expect("written");
                        let text = std::fs::read_to_string(path).expect("readable");
                        assert!(text.lines().any(|line| line == id.to_string()));
                    }
                });
            }
        });
        assert_eq!(std::fs::read_to_string(&path).expect("readable").lines().count(), 160);
    }
}
