//! The live table in the terminal: names, values, units, quality, and what to try next, in the room that the terminal has.

use std::io;

use crate::feed::{Values, show};
use crate::works::SIGNALS;

/// A value's columns, its unit's, and those between.
const VALUE_COLUMNS: usize = 17;
const NAME_COLUMNS: usize = 32;
/// From so many columns on, signals stand in two columns: a name, its value, and a word about its quality.
const TWO_FROM: usize = 110;
/// Terminals with fewer rows show values only.
const COMMANDS_FROM: usize = 24;
/// One row of so many is for commands.
const COMMANDS_SHARE: usize = 3;
/// A terminal that does not say how large it is.
const USUAL: Size = Size { columns: 80, rows: 24 };

/// The table, as often as it is asked for.
pub struct Screen {
    commands: Vec<String>,
    address: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    columns: usize,
    rows: usize,
}

impl Size {
    /// Asked anew for each picture: people resize windows.
    fn now() -> Size {
        let asked = rustix::termios::tcgetwinsize(io::stdout());
        let told = asked.ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        told.map_or(USUAL, |size| Size { columns: size.ws_col.into(), rows: size.ws_row.into() })
    }
}

impl Screen {
    /// Of the plant at an address as people open it, with commands that show what it can do.
    pub fn new(address: String, commands: Vec<String>) -> Screen {
        Screen { commands, address }
    }

    /// The table for the terminal as large as it is now, to be drawn over the last one.
    pub fn picture(&self, values: &Values, colour: bool) -> String {
        // Without an end to the last line: it would scroll a full screen.
        format!("\x1b[H\x1b[2J{}", self.lines(values, Size::now(), colour).join("\n"))
    }

    fn lines(&self, values: &Values, size: Size, colour: bool) -> Vec<String> {
        let Size { columns, rows } = size;
        let mut lines = vec![cut(&format!("DEMO  Tidemill Works  {}  (Ctrl-C ends)", self.address), columns)];
        let mut below = Vec::new();
        let mut below_rows = 0;
        if rows >= COMMANDS_FROM {
            lines.push(String::new());
            below.extend([String::new(), cut("Try in another terminal:", columns)]);
            below.extend(self.whole_commands(columns, rows / COMMANDS_SHARE));
            below_rows = below.iter().map(|line| rows_of(line, columns)).sum();
        }
        lines.extend(table(values, columns, rows.saturating_sub(lines.len() + below_rows), colour));
        lines.extend(below);
        lines
    }

    /// The first commands that take at most so many rows. None is cut, for people copy them: the terminal wraps them.
    fn whole_commands(&self, columns: usize, rows: usize) -> impl Iterator<Item = String> {
        let mut used = 0;
        let fits = move |command: &&String| {
            used += rows_of(command, columns);
            used <= rows
        };
        self.commands.iter().take_while(fits).cloned()
    }
}

/// The signals in at most so many lines; the last says how many more there are.
fn table(values: &Values, columns: usize, rows: usize, colour: bool) -> Vec<String> {
    let across = if columns >= TWO_FROM { 2 } else { 1 };
    let width = (columns + 1) / across - 1;
    let all = SIGNALS.len().min(values.len());
    let fits = all.div_ceil(across) <= rows;
    let down = if fits { all.div_ceil(across) } else { rows.saturating_sub(1) };
    let cell = |index: usize| {
        let (signal, (reading, quality)) = (SIGNALS.get(index)?, values.get(index)?);
        let name_columns = width.saturating_sub(VALUE_COLUMNS).clamp(1, NAME_COLUMNS);
        let name = cut(signal.path, name_columns);
        let text = cut(&format!("{name:<name_columns$} {:>9} {:<6}", show(reading), signal.unit), width);
        let used = text.chars().count();
        let pad = " ".repeat(width.saturating_sub(used));
        // Quality is shown where it is not good: colour only for the abnormal.
        if quality.is_good() || pad.is_empty() {
            return Some(format!("{text}{pad}"));
        }
        let mark = cut(&format!(" ! {quality}"), width - used);
        let pad = " ".repeat(width.saturating_sub(used + mark.chars().count()));
        Some(if colour { format!("{text}\x1b[31m{mark}\x1b[0m{pad}") } else { format!("{text}{mark}{pad}") })
    };
    let line = |row: usize| {
        let cells: Vec<String> = (0..across).filter_map(|column| cell(row + column * down)).collect();
        cells.join(" ").trim_end().to_owned()
    };
    let mut lines: Vec<String> = (0..down).map(line).collect();
    if !fits && rows > 0 {
        lines.push(cut(&format!("and {} more", all - down * across), columns));
    }
    lines
}

/// How many rows of the terminal a line takes.
fn rows_of(line: &str, columns: usize) -> usize {
    line.chars().count().div_ceil(columns.max(1)).max(1)
}

/// At most so many characters; a text that was longer ends in `…`.
fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns.saturating_sub(1)).chain((columns > 0).then_some('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::works::Reading;
    use tidemill_core::Quality;

    fn screen() -> Screen {
        Screen {
            commands: vec!["tidemill watch 'works/#'".repeat(8)],
            address: "http://127.0.0.1:8440".to_owned(),
        }
    }

    fn values() -> Values {
        let quality = |index: usize| if index == 1 { Quality::BAD_NO_COMMUNICATION } else { Quality::GOOD };
        (0..SIGNALS.len()).map(|index| (Reading::Number(1234.5), quality(index))).collect()
    }

    /// As many columns as a terminal uses for a line: colours take none.
    fn columns_of(line: &str) -> usize {
        line.replace("\x1b[31m", "").replace("\x1b[0m", "").chars().count()
    }

    #[test]
    fn every_size_is_kept() {
        for rows in [1, 2, 3, 15, 24, 40, 72, 200] {
            for columns in [1, 2, 10, 18, 40, 80, 109, 110, 111, 163, 400] {
                let lines = screen().lines(&values(), Size { columns, rows }, true);
                let drawn = |line: &String| columns_of(line).div_ceil(columns).max(1);
                let taken: usize = lines.iter().map(drawn).sum();
                assert!(taken <= rows, "{taken} rows in {columns}x{rows}");
                let wrapped = lines.iter().filter(|line| columns_of(line) > columns);
                assert!(wrapped.into_iter().all(|line| screen().commands.contains(line)), "{columns}x{rows}");
            }
        }
    }

    #[test]
    fn a_narrow_one_says_how_much_more_there_is() {
        let lines = screen().lines(&values(), Size { columns: 40, rows: 15 }, true);
        assert_eq!(lines.len(), 15);
        assert!(lines[0].ends_with('…'), "{}", lines[0]);
        assert_eq!(lines[14], format!("and {} more", SIGNALS.len() - 13));
        assert!(lines[2].contains("1234.5"), "{}", lines[2]);
    }

    #[test]
    fn a_large_one_shows_all_and_what_to_try() {
        let text = screen().lines(&values(), Size { columns: 200, rows: 60 }, true).join("\n");
        assert!(SIGNALS.iter().all(|signal| text.contains(signal.path)), "{text}");
        assert!(text.contains("Try in another terminal") && !text.contains("more"), "{text}");
        assert!(text.contains("\x1b[31m ! "), "{text}");
    }
}
