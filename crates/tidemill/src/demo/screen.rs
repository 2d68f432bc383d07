//! The live table in the terminal: names, values, units, quality, and what to try next.

use std::fmt::Write as _;

use super::feed::{PREFIX, Values, show};
use super::works::SIGNALS;
use crate::house::Running;
use crate::output;

/// Commands that show what the plant can do.
pub(crate) fn commands(running: &Running) -> Vec<String> {
    let program = format!("{} --plant {}", crate::program(), running.plant.folder.display());
    vec![
        format!("{program} watch '{PREFIX}/press/#'"),
        format!("{program} read {PREFIX}/oven/zone2/temperature --from -30d --points 60"),
        format!(
            "{program} sql \"SELECT signal, avg(value) FROM samples WHERE matches(signal, '{PREFIX}/energy/#') GROUP BY signal\""
        ),
        format!("{program} why {PREFIX}/press/st3/vibration"),
        format!("{program} read '#' --from -30d --output works.parquet"),
    ]
}

pub(crate) struct Screen {
    commands: Vec<String>,
    address: String,
}

impl Screen {
    pub(crate) fn new(running: &Running) -> Screen {
        Screen {
            commands: commands(running),
            address: running.addresses.first().cloned().unwrap_or_default(),
        }
    }

    /// Draws the table over the last one.
    pub(crate) fn show(&mut self, values: &Values) {
        let mut text = String::from("\x1b[H\x1b[2J");
        let _ = writeln!(text, "DEMO  Tidemill Works  {}  (Ctrl-C ends)\n", self.address);
        let cells: Vec<String> = SIGNALS
            .iter()
            .zip(values)
            .map(|(signal, (reading, quality))| {
                // Quality is shown where it is not good: colour only for the abnormal.
                let mark = match (quality.is_good(), output::colour()) {
                    (true, _) => String::new(),
                    (false, true) => format!(" \x1b[31m! {quality}\x1b[0m"),
                    (false, false) => format!(" ! {quality}"),
                };
                format!("{:<30} {:>9} {:<6}{mark}", signal.path, show(reading), signal.unit)
            })
            .collect();
        let rows = cells.len().div_ceil(2);
        for row in 0..rows {
            let right = cells.get(row + rows).map(String::as_str).unwrap_or_default();
            let left = cells.get(row).map(String::as_str).unwrap_or_default();
            let _ = writeln!(text, "{left:<50} {right}");
        }
        text.push_str("\nTry in another terminal:\n");
        for command in &self.commands {
            let _ = writeln!(text, "  {command}");
        }
        output::raw(text.as_bytes());
    }
}
