//! Rows as data of COPY, made from finished `DataRow` messages: PostgreSQL's own text, CSV, or binary. What is not here:
//! where rows come from.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::statement::CopyForm;

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

/// Writes a row, given as the body of its `DataRow`.
pub(crate) fn row(form: CopyForm, row: &[u8], out: &mut Vec<u8>) {
    match form {
        // The same but for its frame.
        CopyForm::Binary => out.extend(row),
        CopyForm::Text => {
            for (number, cell) in cells(row).enumerate() {
                if number > 0 {
                    out.push(b'\t');
                }
                match cell {
                    None => out.extend(b"\\N"),
                    Some(cell) => cell.iter().for_each(|byte| escaped(*byte, out)),
                }
            }
            out.push(b'\n');
        }
        CopyForm::Csv { .. } => {
            for (number, cell) in cells(row).enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                if let Some(cell) = cell {
                    field(cell, out);
                }
            }
            out.push(b'\n');
        }
    }
}

fn escaped(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'\\' => out.extend(b"\\\\"),
        b'\n' => out.extend(b"\\n"),
        b'\r' => out.extend(b"\\r"),
        b'\t' => out.extend(b"\\t"),
        byte => out.push(byte),
    }
}

/// A field of CSV. An empty text is quoted: nothing between commas is NULL.
pub(crate) fn field(text: &[u8], out: &mut Vec<u8>) {
    if !text.is_empty() && !text.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        out.extend(text);
        return;
    }
    out.push(b'"');
    for byte in text {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_in_each_form() {
        let data = b"\0\x03\0\0\0\x03a\tb\xff\xff\xff\xff\0\0\0\x02\",";
        let told = |form| {
            let mut out = Vec::new();
            row(form, data, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        assert_eq!(told(CopyForm::Text), "a\\tb\t\\N\t\",\n");
        assert_eq!(told(CopyForm::Csv { header: false }), "a\tb,,\"\"\",\"\n");
    }
}
