//! The live table in the terminal: names, values, units, quality, and what to try next.

use std::fmt::Write as _;

use super::feed::{PREFIX, Values, show};
use super::works::SIGNALS;
use crate::house::Running;
use crate::output;

/// How wide one signal is.
const CELL_COLUMNS: usize = 50;
/// Lines that are no signals and no commands: the head, what there is more, the invitation.
const HEAD_LINES: usize = 5;
/// At least so many rows are shown, however small the window.
const ROWS_MIN: usize = 5;

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

    /// Draws the table over the last one, as much of it as the terminal has room for.
    pub(crate) fn show(&mut self, values: &Values) {
        let (columns, lines) = rustix::termios::tcgetwinsize(std::io::stdout())
            .map_or((0, 0), |size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        // A terminal that does not know its size has none.
        let size = if columns == 0 || lines == 0 { (80, 24) } else { (columns, lines) };
        let text = format!("\x1b[H\x1b[2J{}", self.drawn(values, size));
        output::raw(text.as_bytes());
    }

    fn drawn(&self, values: &Values, (columns, lines): (usize, usize)) -> String {
        let mut text = format!("DEMO  Tidemill Works  {}  (Ctrl-C ends)\n\n", self.address);
        let mut cells: Vec<String> = SIGNALS
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
        let across = if columns >= 2 * CELL_COLUMNS { 2 } else { 1 };
        // Long commands take more lines than one.
        let tries: usize =
            self.commands.iter().map(|command| (command.chars().count() + 2).div_ceil(columns)).sum();
        let room = lines.saturating_sub(HEAD_LINES + tries).max(ROWS_MIN) * across;
        let more = cells.len().saturating_sub(room);
        cells.truncate(room);
        let rows = cells.len().div_ceil(across);
        for row in 0..rows {
            let right = cells.get(row + rows).map(String::as_str).unwrap_or_default();
            let left = cells.get(row).map(String::as_str).unwrap_or_default();
            let _ = writeln!(text, "{}", format!("{left:<CELL_COLUMNS$} {right}").trim_end());
        }
        let _ = match more {
            0 => writeln!(text, "\nTry in another terminal:"),
            more => writeln!(text, "({more} more in a larger window)\nTry in another terminal:"),
        };
        for command in &self.commands {
            let _ = writeln!(text, "  {command}");
        }
        // Without the last line feed: it would scroll the first line away.
        text.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use tidemill_core::Quality;

    use super::super::works::Reading;
    use super::*;

    #[test]
    fn the_table_fits_the_terminal() {
        let screen = Screen { commands: vec!["tidemill why a".to_owned(); 5], address: String::new() };
        let values: Values = SIGNALS.iter().map(|_| (Reading::Number(1.5), Quality::GOOD)).collect();
        for (columns, lines) in [(80, 24), (120, 50), (200, 60), (110, 30)] {
            let text = screen.drawn(&values, (columns, lines));
            assert!(text.lines().count() <= lines, "{columns}x{lines}: {} lines", text.lines().count());
            assert!(text.lines().all(|line| line.chars().count() <= columns), "{columns}x{lines}");
            assert_eq!(text.contains("more in a larger window"), lines <= 30, "{columns}x{lines}");
        }
    }
}
