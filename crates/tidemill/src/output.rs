//! What commands print: lines, tables, JSON. A reader that goes away (`| head`) ends the command quietly; an output that
//! cannot be written, such as a file on a full disk, is a failure. Names and values come from strangers: what people read is
//! made visible first, what machines read is left as it is.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use serde_json::Value as Json;
use tidemill_core::{Problem, codes};

use crate::config;

/// Prints a line, or several, to standard output, for people. Where nobody reads any more the command ends here.
///
/// # Errors
/// It cannot be written there.
pub(crate) fn line(text: &str) -> Result<(), Problem> {
    needed(try_line(text))
}

/// Prints a line of JSON to standard output, for machines, as [`line()`] does.
pub(crate) fn json(value: &Json) -> Result<(), Problem> {
    needed(try_json(value))
}

/// Prints bytes as they are, as [`line()`] does.
pub(crate) fn raw(bytes: &[u8]) -> Result<(), Problem> {
    needed(try_raw(bytes))
}

/// Prints what was looked for and found, for people. How the command ends stands, whoever reads it.
///
/// # Errors
/// It cannot be written there.
pub(crate) fn verdict(text: &str) -> Result<(), Problem> {
    unless_gone(try_line(text))
}

/// The same for machines.
pub(crate) fn verdict_json(value: &Json) -> Result<(), Problem> {
    unless_gone(try_json(value))
}

fn unless_gone(printed: io::Result<()>) -> Result<(), Problem> {
    match printed {
        Err(error) if !is_gone(&error) => Err(unwritable(&error)),
        _ => Ok(()),
    }
}

/// Prints lines for people, where the work goes on whoever reads them.
pub(crate) fn try_line(text: &str) -> io::Result<()> {
    try_raw(format!("{}\n", visible_lines(text)).as_bytes())
}

/// Prints a line of JSON, where the work goes on whoever reads it.
pub(crate) fn try_json(value: &Json) -> io::Result<()> {
    try_raw(format!("{value}\n").as_bytes())
}

/// Prints bytes as they are, where the work goes on whoever reads them. They are out when it returns: what the process
/// writes at its end fails unheard.
pub(crate) fn try_raw(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush())
}

fn needed(printed: io::Result<()>) -> Result<(), Problem> {
    match printed {
        Err(error) if is_gone(&error) => std::process::exit(0),
        printed => printed.map_err(|error| unwritable(&error)),
    }
}

/// Whether the reader of standard output went away.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Standard output that cannot be written: which file it is, where the system tells, and why.
pub(crate) fn unwritable(error: &io::Error) -> Problem {
    let file = std::fs::read_link("/proc/self/fd/1").ok().filter(|file| file.is_absolute());
    let file = file.map(|file| format!(" ({})", file.display())).unwrap_or_default();
    let detail = format!("standard output{file} cannot be written: {error}");
    Problem::new(&codes::FILE_UNWRITABLE, detail).hint(
        "What was printed is not whole: see that there is room, or send it elsewhere, and repeat the command",
    )
}

/// Tells a person something beside the result.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", visible_lines(text));
}

/// Tells what went wrong.
pub(crate) fn problem(problem: &Problem, json: bool) {
    if json {
        let _ = writeln!(io::stderr().lock(), "{}", problem_json(problem));
        return;
    }
    let place =
        problem.place.map(|(line, column)| format!(" (line {line}, column {column})")).unwrap_or_default();
    note(&format!("error [{}]: {}{place}", problem.code.id, problem.detail));
    note(&format!("  {}", config::sentence(problem.mend())));
}

fn problem_json(problem: &Problem) -> Json {
    let mut document = serde_json::json!({
        "code": problem.code.id, "title": problem.code.title, "detail": problem.detail, "hint": problem.mend(),
    });
    if let Some((line, column)) = problem.place {
        document["line"] = line.into();
        document["column"] = column.into();
    }
    document
}

/// The text without anything that a terminal obeys instead of showing it, or that hides or reorders what stands around it:
/// control characters (escape sequences begin with one), marks of direction, characters of no width. Each is shown as
/// `\u{1b}`; a tab and a line's end as `\t` and `\n`.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            unseen if is_unseen(unseen) => drop(write!(out, "\\u{{{:x}}}", u32::from(unseen))),
            seen => out.push(seen),
        }
    }
    Cow::Owned(out)
}

/// The same for a text whose lines are ours.
fn visible_lines(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether colour is wanted where it can be shown (<https://no-color.org>).
pub(crate) fn colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|said| said.is_empty())
}

/// Prints rows in columns as wide as they need; the last column is left as it is.
///
/// # Errors
/// They cannot be written.
pub(crate) fn table(headers: &[&str], rows: &[Vec<String>]) -> Result<(), Problem> {
    table_lines(headers, rows).iter().try_for_each(|text| line(text))
}

pub(crate) fn table_lines(headers: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let headers: Vec<Cow<'_, str>> = headers.iter().map(|header| visible(header)).collect();
    let rows: Vec<Vec<Cow<'_, str>>> =
        rows.iter().map(|row| row.iter().map(|cell| visible(cell)).collect()).collect();
    let width_of = |text: &str| text.chars().count();
    let mut widths: Vec<usize> = headers.iter().map(|header| width_of(header)).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(width_of(cell));
        }
    }
    let show = |cells: &[Cow<'_, str>]| {
        let mut text = String::new();
        for (index, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            text.push_str(cell);
            if index + 1 < cells.len() {
                text.extend(std::iter::repeat_n(' ', width - width_of(cell) + 2));
            }
        }
        text.trim_end().to_owned()
    };
    std::iter::once(show(&headers)).chain(rows.iter().map(|row| show(row))).collect()
}

/// A JSON value as a cell for people: text bare and visible, null empty, whole numbers without a point, all else as JSON.
pub(crate) fn cell(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => visible(text).into_owned(),
        Json::Number(number) => {
            let text = number.to_string();
            text.strip_suffix(".0").filter(|whole| *whole != "-0").map_or(text.clone(), str::to_owned)
        }
        other => visible(&other.to_string()).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_unseen_reaches_a_terminal() {
        let table = [
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\u{202e}b\u{2066}c", "a\\u{202e}b\\u{2066}c"),
            ("pu\u{200b}mp\u{feff}", "pu\\u{200b}mp\\u{feff}"),
            ("two\nlines\tand\rone", "two\\nlines\\tand\\rone"),
            ("Mühle 3 °C ✓ 漢字 العربية", "Mühle 3 °C ✓ 漢字 العربية"),
        ];
        for (text, shown) in table {
            assert_eq!(visible(text), shown);
            assert_eq!(cell(&Json::from(text)), shown);
            assert_eq!(table_lines(&[text], &[vec![text.to_owned()]]), [shown, shown]);
        }
        assert_eq!(visible_lines("a\n\u{1b}b"), "a\n\\u{1b}b");
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_obeys_nobody(text: String) {
            proptest::prop_assert!(!visible(&text).chars().any(is_unseen));
        }
    }

    #[test]
    fn columns() {
        let rows = vec![vec!["a/b".to_owned(), "20.5".to_owned()], vec!["mühle".to_owned(), String::new()]];
        expect_test::expect![[r#"
            signal  value
            a/b     20.5
            mühle"#]]
        .assert_eq(&table_lines(&["signal", "value"], &rows).join("\n"));
    }
}
