//! A reader of JSON (RFC 8259) that copies nothing it need not copy, keeps numbers and documents as they were written,
//! refuses members that stand twice, and goes no deeper than it is told. It knows nothing of samples.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use std::borrow::Cow;
use std::collections::HashSet;

use crate::error::{Error, Fault};

/// How deep objects and arrays may be nested.
pub const JSON_DEPTH_MAX: usize = 32;

/// A JSON value; numbers, arrays and objects as their text.
#[derive(Clone, Debug, PartialEq)]
pub enum Member<'a> {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number, unread.
    Number(&'a str),
    /// A string without its escapes.
    Text(Cow<'a, str>),
    /// An object or array, checked.
    Document(&'a str),
}

/// Whether a text is one value that this reader takes, `depth` levels down. Space around it does no harm.
pub(super) fn is_document(text: &str, depth: usize) -> bool {
    let mut reader = Reader::new(text, 0);
    let read = reader.value(depth).is_ok();
    reader.skip_space();
    read && reader.peek().is_none()
}

pub(super) struct Reader<'a> {
    body: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader of `body` from an offset on.
    pub(super) fn new(body: &'a str, at: usize) -> Reader<'a> {
        Reader { body, at }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn fault(&self, error: Error) -> Fault {
        Fault { at: self.at, error }
    }

    fn wrong(&self, what: &'static str) -> Fault {
        self.fault(Error::Json(what))
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.body.as_bytes().get(self.at).copied()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    pub(super) fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.step();
        }
    }

    /// Takes the byte if it is next after white space.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let hit = self.peek() == Some(byte);
        if hit {
            self.step();
        }
        hit
    }

    pub(super) fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Fault> {
        if self.take(byte) { Ok(()) } else { Err(self.wrong(what)) }
    }

    /// The members of an object whose `{` was taken, one call each: where the key stands, and the key, with the reader
    /// before its value.
    pub(super) fn next_key(&mut self, first: bool) -> Result<Option<(usize, Cow<'a, str>)>, Fault> {
        if self.take(b'}') {
            return Ok(None);
        }
        if !first {
            self.expect(b',', "expected ',' or '}' after a member")?;
        }
        self.skip_space();
        if self.peek() != Some(b'"') {
            return Err(self.wrong("expected a member's name in double quotes"));
        }
        let at = self.at;
        let key = self.string()?;
        self.expect(b':', "expected ':' after a member's name")?;
        self.skip_space();
        Ok(Some((at, key)))
    }

    /// Any value; `depth` is how deep its surroundings are.
    pub(super) fn value(&mut self, depth: usize) -> Result<Member<'a>, Fault> {
        self.skip_space();
        let start = self.at;
        match self.peek() {
            Some(b'"') => Ok(Member::Text(self.string()?)),
            Some(b'{') => {
                self.object(depth.saturating_add(1))?;
                Ok(Member::Document(self.body.get(start..self.at).unwrap_or_default()))
            }
            Some(b'[') => {
                self.array(depth.saturating_add(1))?;
                Ok(Member::Document(self.body.get(start..self.at).unwrap_or_default()))
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                Ok(Member::Number(self.body.get(start..self.at).unwrap_or_default()))
            }
            Some(b't') => self.word("true", Member::Bool(true)),
            Some(b'f') => self.word("false", Member::Bool(false)),
            Some(b'n') => self.word("null", Member::Null),
            Some(_) => Err(self.wrong("expected a value; NaN and infinities are written \"NaN\", \"Infinity\", \"-Infinity\" with \"kind\": \"float\"")),
            None => Err(self.wrong("it ends where a value is expected")),
        }
    }

    fn word(&mut self, word: &str, member: Member<'a>) -> Result<Member<'a>, Fault> {
        let end = self.at.saturating_add(word.len());
        if self.body.as_bytes().get(self.at..end) != Some(word.as_bytes()) {
            return Err(self.wrong("expected true, false or null"));
        }
        self.at = end;
        Ok(member)
    }

    fn object(&mut self, depth: usize) -> Result<(), Fault> {
        self.check_depth(depth)?;
        self.step();
        let mut keys = HashSet::new();
        loop {
            let Some((at, key)) = self.next_key(keys.is_empty())? else { return Ok(()) };
            if let Some(twice) = keys.replace(key) {
                return Err(Fault { at, error: Error::JsonTwice(twice.chars().take(40).collect()) });
            }
            self.value(depth)?;
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Fault> {
        self.check_depth(depth)?;
        self.step();
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.value(depth)?;
            if self.take(b']') {
                return Ok(());
            }
            self.expect(b',', "expected ',' or ']' after an element")?;
        }
    }

    fn check_depth(&self, depth: usize) -> Result<(), Fault> {
        if depth > JSON_DEPTH_MAX { Err(self.fault(Error::JsonDepth(JSON_DEPTH_MAX))) } else { Ok(()) }
    }

    fn digits(&mut self) -> Result<(), Fault> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.wrong("expected a digit"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.step();
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.step();
        }
        if self.peek() == Some(b'0') {
            self.step();
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.wrong("a number begins with a needless 0"));
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.step();
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.step();
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.step();
            }
            self.digits()?;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.step();
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let text = self.body.get(start..self.at).unwrap_or_default();
                    self.step();
                    return Ok(Cow::Borrowed(text));
                }
                Some(b'\\') => break,
                Some(0..=0x1F) => {
                    return Err(self.wrong("a string holds a control character: write it as \\u00XX"));
                }
                Some(_) => self.step(),
                None => return Err(self.wrong("a string has no closing quote")),
            }
        }
        let mut text = self.body.get(start..self.at).unwrap_or_default().to_owned();
        self.escaped_string(&mut text)?;
        Ok(Cow::Owned(text))
    }

    /// The rest of a string from its first escape on.
    fn escaped_string(&mut self, text: &mut String) -> Result<(), Fault> {
        loop {
            let start = self.at;
            while matches!(self.peek(), Some(byte) if byte >= 0x20 && byte != b'"' && byte != b'\\') {
                self.step();
            }
            text.push_str(self.body.get(start..self.at).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.step();
                    return Ok(());
                }
                Some(b'\\') => {
                    self.step();
                    text.push(self.escape()?);
                }
                Some(_) => return Err(self.wrong("a string holds a control character: write it as \\u00XX")),
                None => return Err(self.wrong("a string has no closing quote")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let character = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.step();
                return self.unicode();
            }
            _ => return Err(self.wrong("a string has an escape that JSON does not know")),
        };
        self.step();
        Ok(character)
    }

    fn unicode(&mut self) -> Result<char, Fault> {
        let high = self.hex4()?;
        if !(0xD800..0xDC00).contains(&high) {
            return char::from_u32(high).ok_or_else(|| self.wrong("a string has half of a surrogate pair"));
        }
        if self.body.as_bytes().get(self.at..self.at.saturating_add(2)) != Some(b"\\u") {
            return Err(self.wrong("a string has half of a surrogate pair"));
        }
        self.at = self.at.saturating_add(2);
        let low = self.hex4()?;
        if !(0xDC00..0xE000).contains(&low) {
            return Err(self.wrong("a string has half of a surrogate pair"));
        }
        let code = 0x10000u32.saturating_add((high & 0x3FF) << 10 | (low & 0x3FF));
        char::from_u32(code).ok_or_else(|| self.wrong("a string has half of a surrogate pair"))
    }

    fn hex4(&mut self) -> Result<u32, Fault> {
        let end = self.at.saturating_add(4);
        let digits =
            self.body.as_bytes().get(self.at..end).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let number = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let number = number.ok_or_else(|| self.wrong("\\u needs four hexadecimal digits"))?;
        self.at = end;
        Ok(number)
    }
}
