//! Where log lines go: standard error, or a file that is begun anew by size and age. Events have stable names
//! (`tidemill_core::EVENTS`); values of signals and secrets are never logged. A log that cannot be written stops nothing.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use clap::Args;
use tidemill_core::{Problem, codes, is_full, parse_duration};
use tidemill_ground::{Clock, Counter, Disk, RealClock, RealDisk};
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::quantity;

/// How lines are kept.
#[derive(Args, Clone, Debug)]
pub(crate) struct Keep {
    /// Log to this file instead of standard error
    #[arg(long, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
    /// Log JSON objects, one a line
    #[arg(long)]
    pub(crate) log_json: bool,
    /// The log file begins anew at this size
    #[arg(long, value_name = "BYTES", default_value = "16MiB", value_parser = size)]
    pub(crate) log_size: u64,
    /// The log file begins anew at this age
    #[arg(long, value_name = "AGE", default_value = "30d", value_parser = age)]
    pub(crate) log_age: Duration,
    /// So many older log files are kept, as FILE.1 (the newest), FILE.2, …
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) log_keep: u32,
}

impl Keep {
    /// In this file, or on standard error, with the defaults of the command line.
    pub(crate) fn plain(log_file: Option<PathBuf>) -> Keep {
        Keep {
            log_file,
            log_json: false,
            log_size: 16 << 20,
            log_age: Duration::from_secs(30 * 86_400),
            log_keep: 5,
        }
    }
}

fn size(text: &str) -> Result<u64, String> {
    let bytes = quantity::bytes(text).filter(|bytes| *bytes >= 4096);
    bytes.ok_or_else(|| "write a size such as 16MiB, at least 4KiB".to_owned())
}

fn age(text: &str) -> Result<Duration, String> {
    let age = parse_duration(text).filter(|age| *age >= Duration::from_secs(1));
    age.ok_or_else(|| "write an age such as 30d, at least 1s".to_owned())
}

/// Lines that could not be written to the log file; they went to standard error.
static LOST: std::sync::LazyLock<Counter> = std::sync::LazyLock::new(Counter::default);

/// The log file, once logging has begun with one.
static FILE: OnceLock<PathBuf> = OnceLock::new();

/// Where lines are written; none: to standard error alone.
pub(crate) fn file() -> Option<PathBuf> {
    FILE.get().cloned()
}

/// The counter of lines that went to standard error because their file could not be written.
pub(crate) fn lost() -> &'static Counter {
    &LOST
}

/// Begins logging. `TIDEMILL_LOG` filters, e.g. `debug` or `tidemill_web=debug`.
pub(crate) fn begin(keep: &Keep) -> Result<(), Problem> {
    let filter = EnvFilter::try_from_env("TIDEMILL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let writer = match &keep.log_file {
        None => Target::Stderr,
        Some(path) => {
            let opened = Rotating::open(path, keep, Arc::new(RealClock::new())).map_err(|error| {
                Problem::new(
                    &codes::FILE_UNWRITABLE,
                    format!("the log file {} cannot be written: {error}", path.display()),
                )
                .hint("Choose another --log-file")
            })?;
            // As it is found from any folder.
            FILE.get_or_init(|| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
            Target::File(Arc::new(Mutex::new(opened)))
        }
    };
    // No colour: it would need a library more, and files and journals want none.
    // What cannot be logged is no reason to end: the library would say so on standard error, and panic where that is shut.
    let builder = fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_target(false)
        .log_internal_errors(false)
        .with_writer(move || writer.clone());
    let begun = if keep.log_json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.compact().try_init()
    };
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
    /// Takes one event.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = one_line(event);
        let written = match self {
            Target::Stderr => io::stderr().write_all(&line),
            Target::File(file) => {
                let written = file.lock().unwrap_or_else(PoisonError::into_inner).write(&line);
                // Better there than nowhere.
                written.or_else(|_| {
                    LOST.add(1);
                    io::stderr().write_all(&line)
                })
            }
        };
        written.map(|()| event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An event in one line: what it quotes may have several, and whoever reads the log takes each for an event.
fn one_line(event: &[u8]) -> Cow<'_, [u8]> {
    let text = event.strip_suffix(b"\n").unwrap_or(event);
    if !text.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Cow::Borrowed(event);
    }
    let mut line = Vec::with_capacity(event.len() + 16);
    for byte in text {
        match byte {
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            byte => line.push(*byte),
        }
    }
    line.push(b'\n');
    Cow::Owned(line)
}

/// A file that cannot be begun anew grows to so many times its size; then lines go to standard error.
const OVERGROWN: u64 = 2;
/// How often it is tried again to open a file that could not be, or to begin it anew.
const RETRY_EVERY: Duration = Duration::from_secs(10);

/// The device and the number of a file on it.
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(about: &std::fs::Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    Some((about.dev(), about.ino()))
}

/// Whether a file has no name any more: what is written to it nobody can read.
#[cfg(unix)]
fn is_removed(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|about| about.nlink() == 0)
}

#[cfg(not(unix))]
fn is_removed(_file: &File) -> bool {
    false
}

#[cfg(not(unix))]
fn identity(_about: &std::fs::Metadata) -> Option<Identity> {
    None
}

struct Rotating {
    path: PathBuf,
    keep: Keep,
    clock: Arc<dyn Clock>,
    /// None while the disk has no room for it.
    file: Option<File>,
    /// Which file that is, where the system can say it.
    is: Option<Identity>,
    bytes: u64,
    /// When the file was begun, by the wall.
    begun_ns: i64,
    retry_at: Duration,
}

impl Rotating {
    /// A full disk is no error: the plant starts without its log file, and it is tried again.
    fn open(path: &Path, keep: &Keep, clock: Arc<dyn Clock>) -> io::Result<Rotating> {
        let mut log = Rotating {
            path: path.to_owned(),
            keep: keep.clone(),
            clock,
            file: None,
            is: None,
            bytes: 0,
            begun_ns: 0,
            retry_at: Duration::ZERO,
        };
        match log.reopen() {
            Err(error) if !is_full(&error) => Err(error),
            _ => Ok(log),
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        let mut options = File::options();
        options.create(true).append(true);
        // It names who asked for what: for its owner, and the group that reads logs.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
        let file = options.open(&self.path)?;
        let about = file.metadata()?;
        let begun = about.created().or_else(|_| about.modified()).ok();
        let begun = begun.and_then(|begun| begun.duration_since(UNIX_EPOCH).ok());
        self.begun_ns =
            begun.and_then(|begun| i64::try_from(begun.as_nanos()).ok()).unwrap_or_else(|| self.clock.wall());
        (self.bytes, self.is) = (about.len(), identity(&about));
        self.file = Some(file);
        Ok(())
    }

    /// Whether somebody else, such as logrotate, took the file away or put another in its place; one that was emptied is the same.
    fn is_moved(&mut self) -> bool {
        match std::fs::metadata(&self.path) {
            Ok(about) if identity(&about) == self.is => {
                self.bytes = about.len();
                false
            }
            _ => true,
        }
    }

    fn old(&self, number: u32) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }

    fn is_due(&self) -> bool {
        let age_max_ns = i64::try_from(self.keep.log_age.as_nanos()).unwrap_or(i64::MAX);
        let age_ns = self.clock.wall().saturating_sub(self.begun_ns);
        self.bytes > 0 && (self.bytes >= self.keep.log_size || age_ns >= age_max_ns)
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.keep.log_keep).rev() {
            if RealDisk.exists(&self.old(number))? {
                RealDisk.rename(&self.old(number), &self.old(number + 1))?;
            }
        }
        match self.keep.log_keep {
            0 => RealDisk.remove(&self.path)?,
            _ => RealDisk.rename(&self.path, &self.old(1))?,
        }
        self.file = None;
        self.reopen()
    }

    /// Writes one line, whole or not at all.
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let now = self.clock.monotonic();
        let reopen = self.file.is_none() || self.is_moved();
        if (reopen || self.is_due()) && now >= self.retry_at {
            let outcome = if reopen { self.reopen() } else { self.rotate() };
            if outcome.is_err() {
                self.retry_at = now + RETRY_EVERY;
            }
        }
        if reopen && self.file.as_ref().is_some_and(is_removed) {
            self.file = None;
        }
        let overgrown = self.bytes >= self.keep.log_size.saturating_mul(OVERGROWN);
        let Some(file) = self.file.as_mut().filter(|_| !overgrown) else {
            return Err(io::ErrorKind::StorageFull.into());
        };
        if let Err(error) = file.write_all(line) {
            // Half a line is none.
            let _ = file.set_len(self.bytes);
            return Err(error);
        }
        self.bytes += line.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tidemill_ground::SimClock;

    use super::*;

    fn text(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    fn log(path: &Path, keep: u32) -> (Rotating, Arc<SimClock>) {
        let clock = Arc::new(SimClock::new(RealClock::new().wall()));
        let keep = Keep { log_keep: keep, log_size: 4, ..Keep::plain(None) };
        (Rotating::open(path, &keep, clock.clone()).unwrap(), clock)
    }

    #[test]
    fn an_event_is_one_line() {
        for (event, line) in [
            ("a\n", "a\n"),
            ("a", "a"),
            ("", ""),
            ("at line 2:\n  x = 1\r\n\n", "at line 2:\\n  x = 1\\r\\n\n"),
        ] {
            assert_eq!(one_line(event.as_bytes()), line.as_bytes(), "{event:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_log_is_not_for_everyone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tidemill.log");
        drop(log(&path, 1));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0);
    }

    #[test]
    fn rotates_by_size_and_keeps_as_many_as_asked() {
        for keep in [0, 1, 3] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("tidemill.log");
            let (mut log, _) = log(&path, keep);
            for round in 0..6u8 {
                log.write(&[b'0' + round; 4]).unwrap();
            }
            assert_eq!(text(&path), "5555");
            for number in 1..=keep {
                assert_eq!(text(&log.old(number)), (5 - number).to_string().repeat(4));
            }
            assert!(!log.old(keep + 1).exists());
        }
    }

    #[test]
    fn rotates_by_age_also_across_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tidemill.log");
        let (mut first, clock) = log(&path, 5);
        first.write(b"a").unwrap();
        clock.advance(Duration::from_secs(29 * 86_400));
        first.write(b"b").unwrap();
        assert_eq!(text(&path), "ab");
        let mut second = Rotating::open(&path, &first.keep, clock.clone()).unwrap();
        clock.advance(Duration::from_secs(2 * 86_400));
        second.write(b"c").unwrap();
        assert_eq!((text(&path), text(&second.old(1))), ("c".to_owned(), "ab".to_owned()));
    }

    /// As logrotate does: with `create` or without, and with `copytruncate`.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "what somebody else does with the file")]
    fn a_file_that_somebody_moves_or_empties_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tidemill.log");
        let moved = folder.path().join("tidemill.log-1");
        let (mut log, clock) = log(&path, 1);
        log.write(b"one").unwrap();
        std::fs::rename(&path, &moved).unwrap();
        log.write(b"two").unwrap();
        assert_eq!((text(&moved), text(&path)), ("one".to_owned(), "two".to_owned()));
        std::fs::rename(&path, &moved).unwrap();
        std::fs::write(&path, "").unwrap();
        log.write(b"six").unwrap();
        assert_eq!((text(&moved), text(&path)), ("two".to_owned(), "six".to_owned()));
        std::fs::copy(&path, &moved).unwrap();
        std::fs::write(&path, "").unwrap();
        log.write(b"ten").unwrap();
        assert_eq!((text(&path), log.bytes), ("ten".to_owned(), 3));
        // Where none can be begun, lines go on where the file is now.
        std::fs::rename(&path, &moved).unwrap();
        std::fs::create_dir(&path).unwrap();
        log.write(b"new").unwrap();
        assert_eq!(text(&moved), "tennew");
        std::fs::remove_dir(&path).unwrap();
        clock.advance(RETRY_EVERY);
        log.write(b"end").unwrap();
        assert_eq!(text(&path), "end");
    }

    #[cfg(unix)]
    #[test]
    fn lines_of_a_log_whose_folder_was_removed_are_not_lost_in_silence() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("logs");
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("tidemill.log");
        let (mut log, clock) = log(&path, 1);
        log.write(b"one").unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(log.write(b"two").is_err(), "whoever writes hears it, and takes standard error");
        assert!(log.write(b"six").is_err(), "and so between two tries");
        std::fs::create_dir(&folder).unwrap();
        clock.advance(RETRY_EVERY);
        log.write(b"ten").unwrap();
        assert_eq!(text(&path), "ten");
    }

    #[test]
    fn what_cannot_be_begun_anew_grows_a_little_and_no_further() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tidemill.log");
        let (mut log, clock) = log(&path, 1);
        // A folder with something in it cannot be replaced by a file.
        let in_the_way = log.old(1);
        std::fs::create_dir_all(in_the_way.join("x")).unwrap();
        let written = (0..5).filter(|_| log.write(b"1234").is_ok()).count();
        assert_eq!((written, text(&path).len()), (2, 8));
        std::fs::remove_dir_all(&in_the_way).unwrap();
        assert!(log.write(b"1234").is_err(), "it is not tried again at once");
        clock.advance(RETRY_EVERY);
        log.write(b"5678").unwrap();
        assert_eq!((text(&path), text(&in_the_way)), ("5678".to_owned(), "12341234".to_owned()));
    }
}
