//! Progress of long work: on a terminal a bar; of an import also a line now and then where there is none.

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use tidemill_ground::{Clock as _, RealClock};

use crate::output;

/// Counts bytes of an unknown total.
pub(crate) fn bytes(verb: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
    let style = ProgressStyle::with_template("{bytes} {msg}, {bytes_per_sec}, {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_message(verb)
}

/// Fills up to a known total of bytes; the message says what was counted so far.
pub(crate) fn bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(5));
    let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar.with_style(style)
}

/// How often the progress of an import is told where there is no terminal.
const TOLD_EVERY: Duration = Duration::from_secs(30);

/// The progress of an import: a bar on a terminal, else a line now and then, so that a log of a long one shows that it lives.
pub(crate) struct Import {
    bar: ProgressBar,
    name: String,
    bytes: u64,
    is_terminal: bool,
    /// Since the beginning.
    clock: RealClock,
    /// When a line was told, and the samples that were there at the beginning.
    told: Cell<Duration>,
    first: Cell<Option<u64>>,
}

/// Of a file of about so many bytes.
pub(crate) fn import(name: &str, bytes: u64) -> Import {
    let (clock, is_terminal) = (RealClock::new(), std::io::stderr().is_terminal());
    let (told, first) = (Cell::new(Duration::ZERO), Cell::new(None));
    Import { bar: bar(bytes), name: name.to_owned(), bytes, is_terminal, clock, told, first }
}

impl Import {
    /// The bar itself.
    pub(crate) fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// How far the file was looked through.
    pub(crate) fn looked(&self, position: u64) {
        self.bar.set_message("looked through");
        self.bar.set_position(position);
        self.tell(position, "looked through");
    }

    /// How far the file was read, and how many samples are durable.
    pub(crate) fn at(&self, position: u64, samples: u64) {
        let first = self.first.get().unwrap_or(samples);
        self.first.set(Some(first));
        let rate = (samples - first.min(samples)) as f64 / self.clock.monotonic().as_secs_f64().max(0.001);
        let text = format!("{samples} samples, {rate:.0}/s");
        self.bar.set_message(text.clone());
        self.bar.set_position(position.max(self.bar.position()));
        self.tell(position, &text);
    }

    fn tell(&self, position: u64, what: &str) {
        if self.is_terminal || self.clock.monotonic() < self.told.get() + TOLD_EVERY {
            return;
        }
        self.told.set(self.clock.monotonic());
        let share = position.min(self.bytes) as f64 / self.bytes.max(1) as f64;
        let left = self.clock.monotonic().as_secs_f64() * (1.0 - share) / share.max(0.001);
        output::note(&format!("{}: {:.0}% {what}, about {left:.0} s left", self.name, share * 100.0));
    }

    /// Takes the bar away.
    pub(crate) fn finish_and_clear(&self) {
        self.bar.finish_and_clear();
    }
}
