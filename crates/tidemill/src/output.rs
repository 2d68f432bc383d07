//! What commands print: lines, tables, JSON. A reader that goes away (`| head`) ends the command quietly.

use std::io::{self, IsTerminal, Write};

use serde_json::Value as Json;
use tidemill_core::Problem;

use crate::config;

/// Prints a line to standard output.
pub(crate) fn line(text: &str) {
    let mut out = io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Prints bytes as they are.
pub(crate) fn raw(bytes: &[u8]) {
    if io::stdout().lock().write_all(bytes).is_err() {
        std::process::exit(0);
    }
}

/// Tells a person something beside the result.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Tells what went wrong.
pub(crate) fn problem(problem: &Problem, json: bool) {
    if json {
        note(&problem_json(problem).to_string());
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

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether colour is wanted where it can be shown (<https://no-color.org>).
pub(crate) fn colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|said| said.is_empty())
}

/// Prints rows in columns as wide as they need; the last column is left as it is.
pub(crate) fn table(headers: &[&str], rows: &[Vec<String>]) {
    for text in table_lines(headers, rows) {
        line(&text);
    }
}

pub(crate) fn table_lines(headers: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let width_of = |text: &str| text.chars().count();
    let mut widths: Vec<usize> = headers.iter().map(|header| width_of(header)).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(width_of(cell));
        }
    }
    let show = |cells: Vec<&str>| {
        let mut text = String::new();
        for (index, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            text.push_str(cell);
            if index + 1 < cells.len() {
                text.extend(std::iter::repeat_n(' ', width - width_of(cell) + 2));
            }
        }
        text.trim_end().to_owned()
    };
    std::iter::once(show(headers.to_vec()))
        .chain(rows.iter().map(|row| show(row.iter().map(String::as_str).collect())))
        .collect()
}

/// A JSON value as a cell for people: text bare, null empty, whole numbers without a point, all else as JSON.
pub(crate) fn cell(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        Json::Number(number) => {
            let text = number.to_string();
            text.strip_suffix(".0").filter(|whole| *whole != "-0").map_or(text.clone(), str::to_owned)
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
