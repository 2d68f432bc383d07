//! A statement as a form sends it: in the address's own spelling, or as one part of several (RFC 7578), as `curl -F` does and a
//! browser's form with a file. What does not live here: what it means (`statement`), and how long a body may be.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use axum::http::{HeaderMap, header};
use tidemill_core::{Problem, codes};

use crate::params::Params;

/// Parts of one form.
const PARTS_MAX: usize = 100;
/// What stands between them has at most so many characters (RFC 2046, 5.1.1).
const BOUNDARY_MAX: usize = 70;

/// The field of that name in a body.
///
/// # Errors
/// It stands twice, it is no text, or the parts cannot be told apart.
pub(super) fn field(headers: &HeaderMap, body: &[u8], name: &str) -> Result<Option<String>, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match parameter(kind, "multipart/form-data", "boundary") {
        Some(boundary) if boundary.len() > BOUNDARY_MAX => {
            Err(unreadable(&format!("its boundary has more than {BOUNDARY_MAX} characters")))
        }
        Some(boundary) => part(body, &boundary, name),
        None if is(kind, "multipart/form-data") => Err(unreadable("it names no boundary")),
        None => Ok(Params::parse(&String::from_utf8_lossy(body))?.one(name)?.map(str::to_owned)),
    }
}

fn unreadable(why: &str) -> Problem {
    Problem::new(&codes::BAD_PARAMETER, format!("the form cannot be read: {why}"))
        .hint("Send the statement as q=, for instance with curl --data-urlencode")
}

/// The content of the part of that name.
fn part(body: &[u8], boundary: &str, name: &str) -> Result<Option<String>, Problem> {
    let mark = format!("--{boundary}");
    // Every mark stands at the beginning of a line; the first may be the first of all.
    let (mut rest, mut found) = (behind(body, mark.as_bytes()), None);
    let mark = format!("\r\n{mark}");
    for _ in 0..PARTS_MAX {
        let Some(from) = rest.filter(|rest| !rest.starts_with(b"--")) else {
            return match rest {
                Some(_) => Ok(found),
                None => Err(unreadable("its last part has no end")),
            };
        };
        let end = find(from, mark.as_bytes()).ok_or_else(|| unreadable("its last part has no end"))?;
        let (whole, next) = from.split_at_checked(end).unwrap_or_default();
        rest = next.get(mark.len()..);
        let Some(at) = find(whole, b"\r\n\r\n") else { continue };
        let (head, content) = whole.split_at_checked(at).unwrap_or_default();
        let is_meant = String::from_utf8_lossy(head).lines().any(|line| {
            let value = line.split_once(':').filter(|(key, _)| is(key, "content-disposition"));
            value.and_then(|(_, value)| parameter(value, "form-data", "name")).as_deref() == Some(name)
        });
        if !is_meant {
            continue;
        }
        if found.is_some() {
            return Err(unreadable(&format!("'{name}' stands twice")));
        }
        let content = content.get(4..).unwrap_or_default();
        let text = std::str::from_utf8(content).map_err(|_| unreadable(&format!("'{name}' is no UTF-8")))?;
        found = Some(text.to_owned());
    }
    Err(unreadable(&format!("it has more than {PARTS_MAX} parts")))
}

fn is(text: &str, word: &str) -> bool {
    text.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(word)
}

/// A parameter of a header's value that begins with this word.
fn parameter(value: &str, word: &str, name: &str) -> Option<String> {
    if !is(value, word) {
        return None;
    }
    let value = value.split(';').skip(1).find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then_some(value.trim())
    })?;
    let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    (!bare.is_empty()).then(|| bare.to_owned())
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, what)
}

fn behind<'a>(text: &'a [u8], what: &[u8]) -> Option<&'a [u8]> {
    text.get(find(text, what)?.saturating_add(what.len())..)
}

#[cfg(test)]
#[path = "form_tests.rs"]
mod tests;
