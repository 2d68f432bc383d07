//! As much of XML 1.0 as office programs write: tags with attributes, texts, entities, in UTF-8 and in bounded room. A
//! document type is refused: entities of its own are how such files blow up.

#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::io::{self, BufRead};

/// The longest tag, and the longest text between two tags.
const PIECE_BYTES_MAX: usize = 1 << 20;

/// What stands next in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// `<name a="b">`; also `<name/>`, which is followed by its `Close`.
    Open(Tag),
    /// `</name>`, without its namespace.
    Close(String),
    Text(String),
    End,
}

/// A tag's name without its namespace, and its attributes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    /// An attribute by its name, with the namespace if it has one.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// An attribute of a namespace by its name, whatever the document calls that namespace.
    pub(super) fn attribute_of_any(&self, name: &str) -> Option<&str> {
        let is_it = |own: &str| own.split_once(':').is_some_and(|(_, local)| local == name);
        self.attributes.iter().find(|(own, _)| is_it(own)).map(|(_, value)| value.as_str())
    }
}

/// Reads a document piece by piece.
pub(super) struct Xml<R> {
    input: R,
    closing: Option<String>,
    /// Whether the beginning of a tag was taken.
    in_tag: bool,
    piece: Vec<u8>,
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("its XML cannot be read: {what}"))
}

impl<R: BufRead> Xml<R> {
    pub(super) fn new(input: R) -> Xml<R> {
        Xml { input, closing: None, in_tag: false, piece: Vec::new() }
    }

    /// The next piece.
    pub(super) fn next(&mut self) -> io::Result<Event> {
        if let Some(name) = self.closing.take() {
            return Ok(Event::Close(name));
        }
        loop {
            if !std::mem::take(&mut self.in_tag) {
                self.in_tag = self.until(b'<')?;
                if !self.piece.is_empty() {
                    return decoded(&self.piece).map(Event::Text);
                }
                if !std::mem::take(&mut self.in_tag) {
                    return Ok(Event::End);
                }
            }
            if let Some(event) = self.tag()? {
                return Ok(event);
            }
        }
    }

    /// Fills the piece up to a byte, which is taken; false at the end.
    fn until(&mut self, wanted: u8) -> io::Result<bool> {
        self.piece.clear();
        self.more(wanted)
    }

    fn more(&mut self, wanted: u8) -> io::Result<bool> {
        let room = (PIECE_BYTES_MAX - self.piece.len().min(PIECE_BYTES_MAX)) as u64;
        let count = io::Read::take(&mut self.input, room).read_until(wanted, &mut self.piece)?;
        if self.piece.last() == Some(&wanted) && count > 0 {
            self.piece.pop();
            return Ok(true);
        }
        if self.piece.len() >= PIECE_BYTES_MAX {
            return Err(bad("a text or tag is longer than 1 MiB"));
        }
        Ok(false)
    }

    /// What stands behind a `<`; none for what tells nothing.
    fn tag(&mut self) -> io::Result<Option<Event>> {
        let cut = || bad("it is cut");
        if !self.until(b'>')? {
            return Err(cut());
        }
        // Comments and raw texts may hold a `>`.
        for (begin, end) in [(&b"!--"[..], &b"--"[..]), (b"![CDATA[", b"]]")] {
            if !self.piece.starts_with(begin) {
                continue;
            }
            while !(self.piece.ends_with(end) && self.piece.len() >= begin.len() + end.len()) {
                self.piece.push(b'>');
                if !self.more(b'>')? {
                    return Err(cut());
                }
            }
            let text = self.piece.get(begin.len()..self.piece.len() - end.len()).unwrap_or_default();
            let text = String::from_utf8_lossy(text).into_owned();
            return Ok((begin == b"![CDATA[" && !text.is_empty()).then_some(Event::Text(text)));
        }
        if self.piece.starts_with(b"?") {
            return Ok(None);
        }
        if self.piece.starts_with(b"!") {
            return Err(bad("it has a document type"));
        }
        // A `>` within quotes belongs to an attribute.
        while self.piece.iter().filter(|byte| **byte == b'"').count() % 2 == 1 {
            self.piece.push(b'>');
            if !self.more(b'>')? {
                return Err(cut());
            }
        }
        let text = String::from_utf8(std::mem::take(&mut self.piece)).map_err(|_| bad("it is no UTF-8"))?;
        if let Some(name) = text.strip_prefix('/') {
            return Ok(Some(Event::Close(local(name.trim()).to_owned())));
        }
        let (text, empty) = text.strip_suffix('/').map_or((text.as_str(), false), |text| (text, true));
        let tag = tag(text)?;
        if empty {
            self.closing = Some(tag.name.clone());
        }
        Ok(Some(Event::Open(tag)))
    }
}

fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

fn tag(text: &str) -> io::Result<Tag> {
    let end = text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end);
    let mut tag = Tag { name: local(name).to_owned(), attributes: Vec::new() };
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let quote =
            after.chars().next().filter(|quote| matches!(quote, '"' | '\'')).ok_or_else(|| bad(text))?;
        let (value, next) =
            after.get(1..).and_then(|after| after.split_once(quote)).ok_or_else(|| bad(text))?;
        tag.attributes.push((name.trim().to_owned(), decoded(value.as_bytes())?));
        rest = next;
    }
    Ok(tag)
}

/// A text with its entities replaced.
fn decoded(bytes: &[u8]) -> io::Result<String> {
    let text = std::str::from_utf8(bytes).map_err(|_| bad("it is no UTF-8"))?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (entity, next) = after.split_once(';').ok_or_else(|| bad("an entity is not closed"))?;
        let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => match (entity.strip_prefix("#x"), entity.strip_prefix('#')) {
                (Some(hex), _) => number(hex, 16),
                (None, Some(digits)) => number(digits, 10),
                (None, None) => None,
            }
            .ok_or_else(|| bad("it has an entity of its own"))?,
        });
        rest = next;
    }
    out.push_str(rest);
    Ok(out)
}
