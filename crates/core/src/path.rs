//! The one name of a signal: a path such as `acme/leeds/press/st3/temperature`. Here: what a path is and why a
//! text is none. How a path is spelled in other protocols stands in [`crate::Escape`].

use std::fmt;
use std::sync::Arc;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// The longest path, in bytes of UTF-8.
pub const PATH_BYTES_MAX: usize = 512;
/// The deepest path (ISA-95 needs seven; the rest is for parts of parts).
pub const PATH_SEGMENTS_MAX: usize = 16;

/// A legal path: 1 to 16 segments joined by `/`, UTF-8 in NFC, at most 512 bytes. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SignalPath(Arc<str>);

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum PathError {
    #[error("a path is empty: write segments joined by '/', like acme/leeds/press/temperature")]
    Empty,
    #[error("the path has {0} bytes; at most {PATH_BYTES_MAX} are allowed: shorten its segments")]
    TooLong(usize),
    #[error("the path has {0} segments; at most {PATH_SEGMENTS_MAX} are allowed: join some of them")]
    TooDeep(usize),
    #[error("'{0}' has an empty segment: remove the doubled, leading or trailing '/'")]
    EmptySegment(String),
    #[error(
        "'{path}' holds {character:?}, which no path may hold: it is reserved for patterns, or a control character"
    )]
    Character { path: String, character: char },
    #[error("'{0}' has a segment '.' or '..', which mean folders: give it a name")]
    Dots(String),
    #[error("'{0}' has a space at the start or end of a segment: remove it")]
    Space(String),
    #[error("'{0}' begins with '$', which MQTT keeps for brokers: choose another first character")]
    Dollar(String),
}

impl SignalPath {
    /// Reads a path. A text that is not in Unicode's NFC is normalised, so that one name has one spelling.
    ///
    /// # Errors
    /// See [`PathError`].
    pub fn new(text: &str) -> Result<SignalPath, PathError> {
        if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
            check(text)?;
            return Ok(SignalPath(text.into()));
        }
        if text.len() > PATH_BYTES_MAX * 4 {
            return Err(PathError::TooLong(text.len()));
        }
        let normal: String = text.nfc().collect();
        check(&normal)?;
        Ok(SignalPath(normal.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments, first to last.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last segment.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The shared text, for those who keep it.
    pub fn shared(&self) -> &Arc<str> {
        &self.0
    }
}

fn check(text: &str) -> Result<(), PathError> {
    if text.is_empty() {
        return Err(PathError::Empty);
    }
    if text.len() > PATH_BYTES_MAX {
        return Err(PathError::TooLong(text.len()));
    }
    if let Some(character) = text.chars().find(|&character| is_forbidden(character)) {
        return Err(PathError::Character { path: text.to_owned(), character });
    }
    if text.starts_with('$') {
        return Err(PathError::Dollar(text.to_owned()));
    }
    let mut count = 0;
    for segment in text.split('/') {
        count += 1;
        if segment.is_empty() {
            return Err(PathError::EmptySegment(text.to_owned()));
        }
        if segment == "." || segment == ".." {
            return Err(PathError::Dots(text.to_owned()));
        }
        if segment.starts_with(char::is_whitespace) || segment.ends_with(char::is_whitespace) {
            return Err(PathError::Space(text.to_owned()));
        }
    }
    if count > PATH_SEGMENTS_MAX {
        return Err(PathError::TooDeep(count));
    }
    Ok(())
}

/// What may stand nowhere in a path besides the separator: wildcards, control characters, and the characters that
/// Unicode reserves as non-characters (MQTT 5.0, 1.5.4).
pub(crate) fn is_forbidden(character: char) -> bool {
    matches!(character, '+' | '#' | '*') || character.is_control() || is_noncharacter(character)
}

fn is_noncharacter(character: char) -> bool {
    let code = u32::from(character);
    (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
}

impl fmt::Display for SignalPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl AsRef<str> for SignalPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for SignalPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for SignalPath {
    type Err = PathError;
    fn from_str(text: &str) -> Result<SignalPath, PathError> {
        SignalPath::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn legal() {
        for text in [
            "a",
            "acme/leeds/press/st3/temperature",
            "a.b;c/d=e,f g/ä",
            "cpu/cpu=cpu0,host=edge1/idle",
            "a$b/$c",
        ] {
            assert_eq!(SignalPath::new(text).unwrap().as_str(), text);
        }
        let deepest = ["s"; PATH_SEGMENTS_MAX].join("/");
        assert!(SignalPath::new(&deepest).is_ok());
        assert!(SignalPath::new(&"x".repeat(PATH_BYTES_MAX)).is_ok());
    }

    #[test]
    fn decomposed_is_the_same_name() {
        assert_eq!(SignalPath::new("mu\u{308}hle").unwrap(), SignalPath::new("mühle").unwrap());
    }

    #[test]
    fn refused() {
        let deep = ["s"; PATH_SEGMENTS_MAX + 1].join("/");
        let long = "x".repeat(PATH_BYTES_MAX + 1);
        for text in [
            "",
            "/a",
            "a/",
            "a//b",
            "a/./b",
            "..",
            "a/ b",
            "a /b",
            "a/b\u{a0}",
            "a+b",
            "a/#",
            "*",
            "$SYS/x",
            "a\nb",
            "a\u{7f}",
            "a\u{fffe}",
            "a\u{fdd0}",
            &deep,
            &long,
        ] {
            assert!(SignalPath::new(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_path_is_its_own_spelling(text in "\\PC{0,60}") {
            if let Ok(path) = SignalPath::new(&text) {
                prop_assert_eq!(SignalPath::new(path.as_str()).unwrap(), path.clone());
                prop_assert_eq!(path.segments().collect::<Vec<_>>().join("/"), path.as_str());
            }
        }
    }
}
