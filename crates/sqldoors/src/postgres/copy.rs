//! Rows as data of COPY, made from finished `DataRow` messages: PostgreSQL's own text, CSV, or binary. What is not here:
//! where rows come from.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::copy_options::{CopyForm, CopyOptions};

/// What data in binary begins with: a signature, no flags, no further header.
pub(crate) const BINARY_BEGINS: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
pub(crate) const BINARY_ENDS: &[u8] = &[0xFF, 0xFF];

/// The cells of a `DataRow`, behind its count.
fn cells(row: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = row.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            rest = behind;
            return Some(None);
        };
        let (cell, behind) = behind.split_at_checked(length)?;
        rest = behind;
        Some(Some(cell))
    })
}

/// Writes a row, given as the body of its `DataRow`; which columns are quoted, needed or not, is for CSV.
pub(crate) fn row(form: &CopyForm, quoted: &[bool], row: &[u8], out: &mut Vec<u8>) {
    match form {
        // The same but for its frame.
        CopyForm::Binary => out.extend(row),
        CopyForm::Text(_) | CopyForm::Csv(_) => line(form, quoted, cells(row), out),
    }
}

/// Writes a line of cells.
pub(crate) fn line<'a>(
    form: &CopyForm,
    quoted: &[bool],
    cells: impl Iterator<Item = Option<&'a [u8]>>,
    out: &mut Vec<u8>,
) {
    let (CopyForm::Text(options) | CopyForm::Csv(options)) = form else { return };
    let mut cells = cells.enumerate().peekable();
    while let Some((number, cell)) = cells.next() {
        if number > 0 {
            out.push(options.delimiter);
        }
        match (form, cell) {
            (_, None) => out.extend(options.null.as_bytes()),
            (CopyForm::Csv(_), Some(cell)) => {
                // Alone in its line that would be read as the end of the data.
                let ends = cell == b"\\." && number == 0 && cells.peek().is_none();
                field(options, ends || quoted.get(number) == Some(&true), cell, out);
            }
            (_, Some(cell)) => cell.iter().for_each(|byte| escaped(options.delimiter, *byte, out)),
        }
    }
    out.push(b'\n');
}

fn escaped(delimiter: u8, byte: u8, out: &mut Vec<u8>) {
    let letter = match byte {
        b'\\' => b'\\',
        b'\x08' => b'b',
        b'\x0C' => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        b'\x0B' => b'v',
        byte if byte == delimiter => byte,
        byte => return out.push(byte),
    };
    out.extend([b'\\', letter]);
}

/// A field of CSV: quoted where it holds what separates fields, or would be read as NULL.
fn field(options: &CopyOptions, quoted: bool, text: &[u8], out: &mut Vec<u8>) {
    let separates = |byte: &u8| [options.delimiter, options.quote, b'\n', b'\r'].contains(byte);
    if !quoted && text != options.null.as_bytes() && !text.iter().any(separates) {
        out.extend(text);
        return;
    }
    out.push(options.quote);
    for byte in text {
        if *byte == options.quote || *byte == options.escape {
            out.push(options.escape);
        }
        out.push(*byte);
    }
    out.push(options.quote);
}

#[cfg(test)]
mod tests {
    use super::super::copy_options::ForceQuote;
    use super::*;

    /// Each as PostgreSQL 15 writes it.
    #[test]
    fn rows_in_each_form() {
        let data = b"\0\x03\0\0\0\x03a\tb\xff\xff\xff\xff\0\0\0\x02\",";
        for (options, expected) in [
            ("", "a\\tb\t\\N\t\",\n"),
            ("csv", "a\tb,,\"\"\",\"\n"),
            ("delimiter ','", "a\\tb,\\N,\"\\,\n"),
            ("with csv delimiter as ';' null as 'nix'", "a\tb;nix;\"\"\",\"\n"),
            ("(format csv, delimiter E'\\t', quote '~', null '\",')", "~a\tb~\t\",\t~\",~\n"),
            ("(format csv, quote '\"', escape '\\', header, encoding 'utf8')", "a\tb,,\"\\\",\"\n"),
            ("(format csv, force_quote *)", "\"a\tb\",,\"\"\",\"\n"),
        ] {
            let form = super::super::copy_options::read(options).expect(options);
            let all = matches!(&form, CopyForm::Csv(told) if told.force_quote == ForceQuote::All);
            let mut out = Vec::new();
            row(&form, &[all; 3], data, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{options}");
        }
        let mut out = Vec::new();
        let csv = super::super::copy_options::read("csv").expect("csv");
        row(&csv, &[], b"\0\x01\0\0\0\x02\\.", &mut out);
        assert_eq!(out, b"\"\\.\"\n");
    }

    #[test]
    fn options_that_mean_nothing_here_are_refused() {
        for options in [
            "(format parquet)",
            "(format csv, freeze)",
            "(format csv, delimiter ';;')",
            "(format csv, delimiter '\"')",
            "(delimiter 'a')",
            "(force_quote *)",
            "quote 'x'",
            "(format csv, null ',')",
            "(format csv, encoding 'LATIN1')",
            "(format binary, header)",
            "(format csv, header match)",
            "(format csv",
            "(format csv) where 1",
            "using delimiters ';'",
            "csv header header",
            "delimiter ;",
        ] {
            let read = super::super::copy_options::read(options);
            assert!(read.is_err(), "{options}: {read:?}");
        }
    }
}
