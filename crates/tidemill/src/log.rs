//! Where log lines go: standard error, or a file that is rotated by size. Events have stable names; values of signals
//! and secrets are never logged.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tidemill_core::{Problem, codes};
use tidemill_ground::{Disk, RealDisk};
use tracing_subscriber::{EnvFilter, fmt};

/// A log file begins anew at this size.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// So many older files are kept, as NAME.1 (the newest) to NAME.5.
const OLD_FILES_MAX: u32 = 5;

/// Begins logging. `TIDEMILL_LOG` filters, e.g. `debug` or `tidemill_web=debug`; `json` writes a JSON object a line.
pub(crate) fn begin(file: Option<&Path>, json: bool) -> Result<(), Problem> {
    let filter = EnvFilter::try_from_env("TIDEMILL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let writer = match file {
        None => Target::Stderr,
        Some(path) => Target::File(Arc::new(Mutex::new(Rotating::open(path).map_err(|error| {
            Problem::new(
                &codes::FILE_UNWRITABLE,
                format!("the log file {} cannot be written: {error}", path.display()),
            )
            .hint("Choose another --log-file")
        })?))),
    };
    // No colour: it would need a library more, and files and journals want none.
    // What cannot be logged is no reason to end: the library would say so on standard error, and panic where that is shut.
    let builder = fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_target(false)
        .log_internal_errors(false)
        .with_writer(move || writer.clone());
    let begun = if json { builder.json().try_init() } else { builder.compact().try_init() };
    begun.map_err(|error| Problem::new(&codes::INTERNAL, error.to_string()))
}

/// Logs that what was to be read on standard output was not printed. A plant goes on: it is there for others than whoever
/// reads its first lines.
pub(crate) fn unless_printed(printed: io::Result<()>) {
    if let Err(error) = printed {
        tracing::warn!(event = "output.unwritable", %error, "standard output cannot be written; the plant goes on");
    }
}

#[derive(Clone)]
enum Target {
    Stderr,
    File(Arc<Mutex<Rotating>>),
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Target::Stderr => io::stderr().write(bytes),
            Target::File(file) => {
                let written = file.lock().unwrap_or_else(PoisonError::into_inner).write(bytes);
                // Better there than nowhere.
                written.or_else(|_| io::stderr().write(bytes))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Rotating {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Rotating {
    fn open(path: &Path) -> io::Result<Rotating> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Rotating { path: path.to_owned(), bytes: file.metadata()?.len(), file })
    }

    fn old(&self, number: u32) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..OLD_FILES_MAX).rev() {
            if RealDisk.exists(&self.old(number))? {
                RealDisk.rename(&self.old(number), &self.old(number + 1))?;
            }
        }
        RealDisk.rename(&self.path, &self.old(1))?;
        *self = Rotating::open(&self.path)?;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes >= FILE_BYTES_MAX {
            self.rotate()?;
        }
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotates_and_keeps_a_few() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tidemill.log");
        let mut log = Rotating::open(&path).unwrap();
        for round in 0..8u8 {
            log.write(&[b'0' + round]).unwrap();
            log.bytes = FILE_BYTES_MAX;
        }
        let text = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert_eq!(text(&path), "7");
        assert_eq!((text(&log.old(1)), text(&log.old(5))), ("6".to_owned(), "2".to_owned()));
        assert!(!log.old(6).exists());
    }
}
