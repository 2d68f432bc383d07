//! A plant that nobody has, made of what plants have: 2,000 signals at 1 Hz, most of them sensors that give two decimals,
//! some of full precision, counters, states and switches. The same every time. Sending it is `house`.

use crate::dice::Dice;
use std::fmt::Write;

/// Signals, each with one sample a second.
pub(super) const SIGNALS: u64 = 2_000;
/// Lines of a request, usually.
pub(super) const LINES: u64 = 5_000;
/// 2026-01-01T00:00:00Z.
pub(super) const BEGIN_NS: i64 = 1_767_225_600_000_000_000;

/// What a signal's values are like, with the present one.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// A random walk, shown with two decimals.
    Rounded(f64),
    /// The same with all digits.
    Full(f64),
    Counter(i64),
    /// A number that stays for minutes.
    State(i64),
    Switch(bool),
}

impl Form {
    /// That of the signal with this number: of twenty, twelve are rounded.
    pub(super) fn of(number: u64, dice: &mut Dice) -> Form {
        match number % 20 {
            0..12 => Form::Rounded(20.0 + dice.share() * 80.0),
            12..15 => Form::Full(dice.share() * 10.0),
            15..17 => Form::Counter(dice.below(1_000_000) as i64),
            17..19 => Form::State(dice.below(8) as i64),
            _ => Form::Switch(false),
        }
    }

    /// Writes the next value as a field of line protocol has it.
    pub(super) fn step(&mut self, dice: &mut Dice, out: &mut String) {
        let step = (dice.share() - 0.5) * 0.2;
        let written = match self {
            Form::Rounded(value) => {
                *value += step;
                write!(out, "{value:.2}")
            }
            Form::Full(value) => {
                *value += step;
                write!(out, "{value:?}")
            }
            Form::Counter(value) => {
                *value += dice.below(4) as i64;
                write!(out, "{value}i")
            }
            Form::State(value) => {
                if dice.one_in(200) {
                    *value = dice.below(8) as i64;
                }
                write!(out, "{value}i")
            }
            Form::Switch(value) => {
                *value ^= dice.one_in(100);
                write!(out, "{value}")
            }
        };
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
}

/// All signals with their present values.
pub(super) struct Plant {
    dice: Dice,
    signals: Vec<(String, Form)>,
    /// Samples made so far.
    made: u64,
}

impl Plant {
    pub(super) fn new() -> Plant {
        let mut dice = Dice::of(2_000, &[]);
        let signals = (0..SIGNALS).map(|number| {
            let form = Form::of(number, &mut dice);
            let (line, cell) = (number / 500, number / 50 % 10);
            (format!("acme/leeds/line{line}/cell{cell}/s{number:04}"), form)
        });
        let signals = signals.collect();
        Plant { dice, signals, made: 0 }
    }

    /// Bodies of line protocol for the next so many samples, in order of time.
    pub(super) fn bodies(&mut self, samples: u64, lines: u64) -> Vec<Vec<u8>> {
        let lines = lines.max(1);
        let mut bodies = Vec::new();
        let mut body = String::new();
        for number in 0..samples {
            let second = (self.made / SIGNALS) as i64;
            self.line((self.made % SIGNALS) as usize, BEGIN_NS + second * 1_000_000_000, &mut body);
            self.made += 1;
            if (number + 1) % lines == 0 || number + 1 == samples {
                bodies.push(std::mem::take(&mut body).into_bytes());
                body.reserve(lines as usize * 64);
            }
        }
        bodies
    }

    fn line(&mut self, place: usize, time: i64, out: &mut String) {
        let Some((name, form)) = self.signals.get_mut(place) else { return };
        out.push_str(name);
        out.push_str(" value=");
        form.step(&mut self.dice, out);
        let written = writeln!(out, " {time}");
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_samples_as_asked_for_and_the_same_every_time() {
        let bodies = Plant::new().bodies(12_001, LINES);
        let lines = |body: &Vec<u8>| body.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(bodies.iter().map(lines).collect::<Vec<_>>(), [5_000, 5_000, 2_001]);
        assert_eq!(bodies, Plant::new().bodies(12_001, LINES));
        let mut plant = Plant::new();
        let (mut one, other) = (plant.bodies(2_500, 1_000), plant.bodies(2_500, 1_000));
        one.extend(other);
        assert_eq!(one.concat(), Plant::new().bodies(5_000, LINES).concat());
    }
}
