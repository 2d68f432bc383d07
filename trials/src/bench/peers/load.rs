//! The load that all programs of `bench peers` get: a year of 200 slow signals, one of them dense, then two hours of 2,000 at
//! 1 Hz, in order of time but for one line in fifty, which comes up to five minutes late. Series carry tags, as Telegraf
//! writes them; each measurement has one kind of value, as InfluxDB 1 wants it. The same every time.

use super::super::generate::{Form, LINES};
use crate::dice::Dice;
use std::collections::BTreeMap;
use std::fmt::Write;

/// All of it: 200 slow signals and 2,000 fast ones.
pub(super) const SAMPLES: u64 = 26_600_000;
/// 2025-10-01T00:00:00Z: nothing lies ahead of today's clocks.
pub(super) const BEGIN_S: i64 = 1_759_276_800;
const YEAR_DAYS: i64 = 365;
const FAST_S: i64 = 7_200;
const SLOW: usize = 200;
const FAST: usize = 2_000;
/// The slow signals' beat: the first has a sample at each, nine at every sixth, the others at every 138th.
const BEAT_S: i64 = 10;
const MINUTE_BEATS: i64 = 6;
const RARE_BEATS: i64 = 138;
const LATE_ONE_IN: u64 = 50;
const LATE_MAX_S: u64 = 300;

/// Requests, and what is in them.
pub(super) struct Load {
    pub bodies: Vec<Vec<u8>>,
    pub samples: u64,
    pub signals: usize,
    /// When the slow signals begin and end, s UTC; the fast ones begin where they end.
    pub slow: (i64, i64),
    /// When the last sample is, at the latest, s UTC.
    pub end: i64,
    /// Of the densest slow signal.
    pub dense: u64,
    /// Of the fast signal [`FAST_ID`] in the first hour, or what there is of one.
    pub fast_hour: u64,
}

/// The slow signal with most samples, and a fast one: both sensors with two decimals.
pub(super) const DENSE_ID: &str = "y000";
pub(super) const FAST_ID: &str = "s0000";

struct Signal {
    series: String,
    form: Form,
}

fn signal(id: &str, number: usize, dice: &mut Dice) -> Signal {
    let form = Form::of(number as u64, dice);
    let measurement = match form {
        Form::Rounded(_) | Form::Full(_) => "sensor",
        Form::Counter(_) | Form::State(_) => "counter",
        Form::Switch(_) => "switch",
    };
    let (line, cell) = (number / 500, number / 50 % 10);
    Signal { series: format!("{measurement},cell=c{cell},id={id},line=l{line}"), form }
}

/// Lines, cut into requests.
struct Requests {
    bodies: Vec<Vec<u8>>,
    body: String,
    lines: u64,
    samples: u64,
}

impl Requests {
    fn line(&mut self, line: &str) {
        self.body.push_str(line);
        self.lines += 1;
        self.samples += 1;
        if self.lines == LINES {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.lines > 0 {
            self.bodies.push(std::mem::take(&mut self.body).into_bytes());
            self.body.reserve(LINES as usize * 80);
            self.lines = 0;
        }
    }
}

impl Load {
    /// About so many samples: fewer make the year and the hours shorter, not the signals fewer.
    pub(super) fn of(samples: u64) -> Load {
        let share = samples as f64 / SAMPLES as f64;
        let days = ((YEAR_DAYS as f64 * share).round() as i64).max(1);
        let seconds = ((FAST_S as f64 * share).round() as i64).max(1);
        let mut dice = Dice::of(26, &[]);
        let mut out = Requests { bodies: Vec::new(), body: String::new(), lines: 0, samples: 0 };
        let dense = slow(days, &mut dice, &mut out);
        let turn = BEGIN_S + days * 86_400;
        fast(turn, seconds, &mut dice, &mut out);
        out.cut();
        Load {
            bodies: out.bodies,
            samples: out.samples,
            signals: SLOW + FAST,
            slow: (BEGIN_S, turn),
            end: turn + seconds,
            dense,
            fast_hour: seconds.min(3_600) as u64,
        }
    }
}

/// Returns how many samples the first signal got.
fn slow(days: i64, dice: &mut Dice, out: &mut Requests) -> u64 {
    let mut signals: Vec<Signal> =
        (0..SLOW).map(|number| signal(&format!("y{number:03}"), number, dice)).collect();
    let beats = days * 86_400 / BEAT_S;
    let mut line = String::new();
    for beat in 0..beats {
        for (number, signal) in signals.iter_mut().enumerate() {
            let due = match number {
                0 => true,
                1..10 => beat % MINUTE_BEATS == 0,
                _ => beat % RARE_BEATS == number as i64 * 7 % RARE_BEATS,
            };
            if due {
                write_line(signal, BEGIN_S + beat * BEAT_S, dice, &mut line);
                out.line(&line);
            }
        }
    }
    beats as u64
}

fn fast(turn: i64, seconds: i64, dice: &mut Dice, out: &mut Requests) {
    let mut signals: Vec<Signal> =
        (0..FAST).map(|number| signal(&format!("s{number:04}"), number, dice)).collect();
    // By the second in which they come.
    let mut late: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    let mut line = String::new();
    for second in 0..seconds {
        for signal in &mut signals {
            write_line(signal, turn + second, dice, &mut line);
            if dice.one_in(LATE_ONE_IN) {
                let due = second + 1 + dice.below(LATE_MAX_S) as i64;
                late.entry(due).or_default().push(line.clone());
            } else {
                out.line(&line);
            }
        }
        for line in late.remove(&second).unwrap_or_default() {
            out.line(&line);
        }
    }
    for line in late.into_values().flatten() {
        out.line(&line);
    }
}

fn write_line(signal: &mut Signal, second: i64, dice: &mut Dice, line: &mut String) {
    line.clear();
    line.push_str(&signal.series);
    line.push_str(" value=");
    signal.form.step(dice, line);
    let written = writeln!(line, " {second}000000000");
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_comes_once_and_some_come_late() {
        let load = Load::of(300_000);
        let text = String::from_utf8(load.bodies.concat()).expect("text");
        let mut keys: Vec<(&str, &str)> = text
            .lines()
            .filter_map(|line| Some((line.split_once(' ')?.0, line.rsplit_once(' ')?.1)))
            .collect();
        assert_eq!(keys.len() as u64, load.samples);
        let of = |id: &str| keys.iter().filter(|(series, _)| series.contains(id)).count() as u64;
        assert_eq!((of("id=y000,"), of("id=s0000,")), (load.dense, load.fast_hour));
        let late = keys.windows(2).filter(|pair| pair[1].1 < pair[0].1).count();
        assert!(late > 100, "{late} late lines");
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len() as u64, load.samples, "no time of a series twice");
        let mut series: Vec<&str> = keys.iter().map(|key| key.0).collect();
        series.dedup();
        assert_eq!(series.len(), load.signals);
        assert_eq!(load.bodies, Load::of(300_000).bodies);
        assert!(
            load.bodies
                .iter()
                .rev()
                .skip(1)
                .all(|body| body.iter().filter(|b| **b == b'\n').count() == 5_000)
        );
    }
}
