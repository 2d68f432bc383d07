//! Patterns over paths: MQTT's filters (MQTT 5.0, 4.7.1). `+` is one level, `#` the rest (the parent included);
//! `*` and `**` mean the same outside MQTT, because shells and URLs spoil the others.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::path::{self, PATH_BYTES_MAX, PATH_SEGMENTS_MAX, SignalPath};

/// A pattern over paths.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern {
    /// In MQTT's spelling.
    text: Box<str>,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum PatternError {
    #[error("a pattern is empty: '#' means everything")]
    Empty,
    #[error("the pattern has {0} bytes; at most {PATH_BYTES_MAX} are allowed")]
    TooLong(usize),
    #[error("the pattern has {0} levels; at most {PATH_SEGMENTS_MAX} are allowed")]
    TooDeep(usize),
    #[error("'{0}' has '#' or '**' before its end: they stand for all the rest and come last")]
    RestNotLast(String),
    #[error("'{0}' mixes a wildcard with other characters in one level: '+' or '*' stand for a whole level")]
    Mixed(String),
    #[error("'{0}' has an empty level: remove the doubled, leading or trailing '/'")]
    EmptyLevel(String),
    #[error("'{pattern}' holds {character:?}, which no path holds")]
    Character { pattern: String, character: char },
}

impl Pattern {
    /// Everything: `#`.
    pub fn everything() -> Pattern {
        Pattern { text: "#".into() }
    }

    /// Exactly this path.
    pub fn exactly(path: &SignalPath) -> Pattern {
        Pattern { text: path.as_str().into() }
    }

    /// Reads a pattern in either spelling.
    ///
    /// # Errors
    /// See [`PatternError`].
    pub fn new(text: &str) -> Result<Pattern, PatternError> {
        if text.is_ascii() {
            return Pattern::of_normal(text);
        }
        if text.len() > PATH_BYTES_MAX * 4 {
            return Err(PatternError::TooLong(text.len()));
        }
        // As paths are, and before the length is looked at: in NFC a text may be shorter, and now and then longer.
        Pattern::of_normal(&text.nfc().collect::<String>())
    }

    fn of_normal(text: &str) -> Result<Pattern, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > PATH_BYTES_MAX {
            return Err(PatternError::TooLong(text.len()));
        }
        let mut normal = String::with_capacity(text.len());
        let count = text.split('/').count();
        if count > PATH_SEGMENTS_MAX + 1 {
            return Err(PatternError::TooDeep(count));
        }
        for (index, level) in text.split('/').enumerate() {
            if index > 0 {
                normal.push('/');
            }
            match level {
                "" => return Err(PatternError::EmptyLevel(text.to_owned())),
                "+" | "*" => normal.push('+'),
                "#" | "**" if index + 1 == count => normal.push('#'),
                "#" | "**" => return Err(PatternError::RestNotLast(text.to_owned())),
                name if name.contains(['+', '#', '*']) => return Err(PatternError::Mixed(text.to_owned())),
                name => match name.chars().find(|&character| path::is_forbidden(character)) {
                    Some(character) => {
                        return Err(PatternError::Character { pattern: text.to_owned(), character });
                    }
                    None => normal.push_str(name),
                },
            }
        }
        Ok(Pattern { text: normal.into() })
    }

    /// In MQTT's spelling.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The levels, `+` and `#` among them.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.text.split('/')
    }

    /// Whether the path is meant. The naive way, for one pattern; many patterns go into a [`crate::PatternTrie`].
    pub fn matches(&self, path: &SignalPath) -> bool {
        let mut names = path.segments();
        for level in self.levels() {
            match (level, names.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (level, Some(name)) if level == name => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }

    /// Whether every path that `other` means is meant by this pattern too.
    pub fn covers(&self, other: &Pattern) -> bool {
        let mut theirs = other.levels();
        for level in self.levels() {
            match (level, theirs.next()) {
                ("#", _) => return true,
                (_, None | Some("#")) => return false,
                ("+", Some(_)) => {}
                (level, Some(their)) if level == their => {}
                _ => return false,
            }
        }
        theirs.next().is_none()
    }

    /// The path, if the pattern has no wildcard.
    pub fn as_path(&self) -> Option<SignalPath> {
        SignalPath::new(&self.text).ok()
    }

    /// The text before the first wildcard, which every path it means begins with.
    pub fn prefix(&self) -> &str {
        let end = self.text.find(['+', '#']).unwrap_or(self.text.len());
        self.text[..end].trim_end_matches('/')
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl std::str::FromStr for Pattern {
    type Err = PatternError;
    fn from_str(text: &str) -> Result<Pattern, PatternError> {
        Pattern::new(text)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text).unwrap()
    }

    fn path(text: &str) -> SignalPath {
        SignalPath::new(text).unwrap()
    }

    /// Paths over few names, so that patterns meet them.
    pub(crate) fn paths() -> impl Strategy<Value = SignalPath> {
        proptest::collection::vec(prop_oneof!["[abc]", "ab", "ä"], 1..5)
            .prop_map(|names| path(&names.join("/")))
    }

    pub(crate) fn patterns() -> impl Strategy<Value = Pattern> {
        let level = prop_oneof![3 => "[abc]", 1 => Just("ab".to_owned()), 1 => Just("ä".to_owned()), 2 => Just("+".to_owned())];
        (proptest::collection::vec(level, 0..4), any::<bool>()).prop_map(|(mut levels, rest)| {
            if rest || levels.is_empty() {
                levels.push("#".to_owned());
            }
            pattern(&levels.join("/"))
        })
    }

    #[test]
    fn matching_as_mqtt_does() {
        let table = [
            ("#", "a/b", true),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/+", "a", false),
            ("a/+", "a/b", true),
            ("a/+", "a/b/c", false),
            ("+/b", "a/b", true),
            ("a/b", "a/b", true),
            ("a/**", "a/b/c", true),
            ("*/b", "a/b", true),
            ("a/+/#", "a", false),
            ("a/+/#", "a/b", true),
        ];
        for (filter, name, expected) in table {
            assert_eq!(pattern(filter).matches(&path(name)), expected, "{filter} {name}");
        }
        assert_eq!(pattern("*/b/**").as_str(), "+/b/#");
        assert_eq!(pattern("a/b/+").prefix(), "a/b");
    }

    #[test]
    fn refused() {
        for text in ["", "a//b", "/", "#/a", "a+", "temp*", "a/**/b", "a\nb"] {
            assert!(Pattern::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_length_is_that_of_the_spelling_that_is_kept() {
        for (text, bytes) in [("\u{344}", 4), ("e\u{301}", 2)] {
            let fits = PATH_BYTES_MAX / bytes;
            let longest = pattern(&text.repeat(fits));
            assert_eq!(Pattern::new(longest.as_str()), Ok(longest.clone()), "it is its own spelling");
            assert!(
                longest.matches(&path(&text.repeat(fits))),
                "what a path may be called a pattern may name"
            );
            let too_long = Pattern::new(&text.repeat(fits + 1));
            assert!(matches!(too_long, Err(PatternError::TooLong(_))), "{too_long:?}");
        }
    }

    proptest! {
        #[test]
        fn covering_means_matching_more(wide in patterns(), narrow in patterns(), name in paths()) {
            if wide.covers(&narrow) && narrow.matches(&name) {
                prop_assert!(wide.matches(&name));
            }
        }

        #[test]
        fn a_path_matches_itself(name in paths()) {
            prop_assert!(Pattern::exactly(&name).matches(&name));
            prop_assert!(Pattern::everything().matches(&name));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            if let Ok(pattern) = Pattern::new(&text) {
                prop_assert_eq!(Pattern::new(pattern.as_str()).unwrap(), pattern);
            }
        }
    }
}
