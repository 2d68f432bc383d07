//! One descriptor in reserve for whoever takes connections: where the system has no more to give, it lets one at a time in, to
//! be told so; and when that is told in the log. What does not live here: sockets, and what is said to whom.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// A shortage that lasts is told again after this time.
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// A file that stands on every system of ours, takes no room and can always be opened.
const NOTHING: &str = "/dev/null";

/// What an acceptor knows of connections that it could not take.
#[derive(Debug)]
pub struct Reserve {
    kept: Option<fs::File>,
    /// The last one found no descriptor; the one before it neither.
    is_short: bool,
    was_short: bool,
    told: Option<Duration>,
    untold: u64,
}

impl Default for Reserve {
    fn default() -> Reserve {
        Reserve::new()
    }
}

impl Reserve {
    /// Takes the descriptor; where there is none, it is tried again by [`Reserve::fill`].
    pub fn new() -> Reserve {
        let mut reserve = Reserve { kept: None, is_short: false, was_short: false, told: None, untold: 0 };
        reserve.fill();
        reserve
    }

    /// A connection was taken as usual.
    pub fn taken(&mut self) {
        self.is_short = false;
    }

    /// A connection could not be taken at this moment (monotonic). As the first in a minute it is to be told, with how many there
    /// were since the last that was.
    pub fn failed(&mut self, error: &io::Error, now: Duration) -> Option<u64> {
        self.was_short = std::mem::replace(&mut self.is_short, is_of_descriptors(error));
        self.untold += 1;
        if self.told.is_some_and(|told| now.saturating_sub(told) < TOLD_EVERY) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }

    /// Gives the descriptor back, so that one connection can be taken. Not at the first that fails for want of one: another may
    /// end meanwhile. False where it was not given.
    pub fn spend(&mut self) -> bool {
        self.is_short && self.was_short && self.kept.take().is_some()
    }

    /// Takes a descriptor again, if it has none.
    pub fn fill(&mut self) {
        if self.kept.is_none() {
            self.kept = fs::File::open(Path::new(NOTHING)).ok();
        }
    }
}

/// Whether this failed because neither the process nor the system has descriptors left.
fn is_of_descriptors(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        [Errno::MFILE, Errno::NFILE].iter().any(|none| error.raw_os_error() == Some(none.raw_os_error()))
    }
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn none_left() -> io::Error {
        io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error())
    }

    #[test]
    fn a_shortage_is_told_once_a_minute_with_its_count() {
        let mut reserve = Reserve::new();
        // Ten a second, for three minutes.
        let told: Vec<(u64, u64)> = (0..1_800)
            .filter_map(|tenth| {
                Some((tenth, reserve.failed(&none_left(), Duration::from_millis(tenth * 100))?))
            })
            .collect();
        assert_eq!(told, [(0, 1), (600, 600), (1_200, 600)]);
    }

    #[test]
    fn the_descriptor_is_spent_at_the_second_want_in_a_row_and_taken_again() {
        let mut reserve = Reserve::new();
        let mut wants = |errors: &[Option<io::Error>]| {
            for error in errors {
                match error {
                    None => reserve.taken(),
                    Some(error) => drop(reserve.failed(error, Duration::ZERO)),
                }
            }
            let spent = reserve.spend();
            assert!(!reserve.spend(), "there is one only");
            reserve.fill();
            spent
        };
        let reset = || Some(io::Error::from(io::ErrorKind::ConnectionReset));
        let none = || Some(none_left());
        for (errors, spent) in [
            (vec![none()], false),
            (vec![none()], true),
            (vec![none()], true),
            (vec![None, none()], false),
            (vec![reset(), none()], false),
            (vec![none(), reset()], false),
        ] {
            assert_eq!(wants(&errors), spent, "{errors:?}");
        }
    }
}
