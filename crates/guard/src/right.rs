//! A right as it is written: `verb:pattern`. What rights mean together stands in `policy`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tidemill_core::{Pattern, Verb};

/// The first segment of what the house writes about itself.
pub(crate) const HOUSE: &str = "tidemill";

/// One right: a verb on all paths of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Right {
    /// What may be done.
    pub verb: Verb,
    /// On which paths.
    pub pattern: Pattern,
}

/// Why a text is no right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RightError {
    /// Without a colon.
    #[error("'{0}' is no right: write VERB:PATTERN, e.g. read:line-3/#")]
    NoColon(String),
    /// Not one of the verbs.
    #[error("'{verb}' in '{text}' is no verb{near}: use read, write, command, configure or administer")]
    Verb {
        /// The whole text.
        text: String,
        /// What stands for the verb.
        verb: String,
        /// A guess at what was meant.
        near: String,
    },
    /// The pattern cannot be read.
    #[error("the pattern of '{text}' cannot be read: {why}")]
    Pattern {
        /// The whole text.
        text: String,
        /// Why.
        why: String,
    },
}

impl Right {
    /// Reads `verb:pattern`.
    ///
    /// # Errors
    /// See [`RightError`].
    pub fn parse(text: &str) -> Result<Right, RightError> {
        let Some((verb, pattern)) = text.split_once(':') else {
            return Err(RightError::NoColon(shown(text)));
        };
        let Some(verb) = Verb::from_name(verb) else {
            let near = nearest(verb).map_or_else(String::new, |name| format!(" (did you mean '{name}'?)"));
            return Err(RightError::Verb { text: shown(text), verb: shown(verb), near });
        };
        match Pattern::new(pattern) {
            Ok(pattern) => Ok(Right { verb, pattern }),
            // The error of a pattern repeats it: what is not shown once is not shown at all.
            Err(error) => Err(RightError::Pattern { text: shown(text), why: shown(&error.to_string()) }),
        }
    }

    /// Whether it would let someone change what only the house changes, and nothing else.
    pub(crate) fn is_reserved(&self) -> bool {
        changes(self.verb) && self.pattern.levels().next() == Some(HOUSE)
    }
}

/// Whether a verb changes a signal: its samples, its names, what is known about it, the machine behind it. In the
/// house's own branch that is the house's alone; a name there, or one taken away from there, would be a way in.
pub(crate) fn changes(verb: Verb) -> bool {
    match verb {
        Verb::Write | Verb::Command | Verb::Configure => true,
        // To administer is to give rights, and a right there changes nothing.
        Verb::Read | Verb::Administer => false,
    }
}

/// The verb that was probably meant: another case, a plural, a short form, or one slip of the finger.
fn nearest(text: &str) -> Option<&'static str> {
    let text = text.trim().to_lowercase();
    if text.is_empty() || text.len() > 24 {
        return None;
    }
    Verb::ALL.into_iter().map(Verb::name).find(|name| name.starts_with(&text) || slips(name, &text) <= 2)
}

/// Letters that differ, where they stand and in number: enough to tell `wirte` from `read`.
fn slips(one: &str, other: &str) -> usize {
    let differing = one.chars().zip(other.chars()).filter(|(one, other)| one != other).count();
    differing + one.chars().count().abs_diff(other.chars().count())
}

/// A foreign text as an error shows it: short, and never a token that was pasted into the wrong place.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 240;
    if text.contains(crate::token::PREFIX) {
        return "(not shown: it looks like a token)".to_owned();
    }
    let mut short: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

impl fmt::Display for Right {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.verb, self.pattern)
    }
}

impl FromStr for Right {
    type Err = RightError;
    fn from_str(text: &str) -> Result<Right, RightError> {
        Right::parse(text)
    }
}

impl TryFrom<String> for Right {
    type Error = RightError;
    fn try_from(text: String) -> Result<Right, RightError> {
        Right::parse(&text)
    }
}

impl From<Right> for String {
    fn from(right: Right) -> String {
        right.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn check(text: &str, expected: Expect) {
        let found = match Right::parse(text) {
            Ok(right) => format!("{right}"),
            Err(error) => format!("! {error}"),
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn read_and_refused() {
        check("write:acme/leeds/#", expect!["write:acme/leeds/#"]);
        check("read:**", expect!["read:#"]);
        check("command:a:b/*/c", expect!["command:a:b/+/c"]);
        check("acme/#", expect!["! 'acme/#' is no right: write VERB:PATTERN, e.g. read:line-3/#"]);
        check(
            "wirte:a",
            expect![
                "! 'wirte' in 'wirte:a' is no verb (did you mean 'write'?): use read, write, command, configure or administer"
            ],
        );
        check(
            "admin:#",
            expect![
                "! 'admin' in 'admin:#' is no verb (did you mean 'administer'?): use read, write, command, configure or administer"
            ],
        );
        check(
            "publish:#",
            expect![
                "! 'publish' in 'publish:#' is no verb: use read, write, command, configure or administer"
            ],
        );
        check(
            "read:",
            expect!["! the pattern of 'read:' cannot be read: a pattern is empty: '#' means everything"],
        );
        check(
            "read:#/a",
            expect![
                "! the pattern of 'read:#/a' cannot be read: '#/a' has '#' or '**' before its end: they stand for all the rest and come last"
            ],
        );
        check(
            "tm_0123456789abcdefghij",
            expect![
                "! '(not shown: it looks like a token)' is no right: write VERB:PATTERN, e.g. read:line-3/#"
            ],
        );
    }

    #[test]
    fn what_only_the_house_writes() {
        for (text, reserved) in [
            ("write:tidemill/#", true),
            ("write:tidemill", true),
            ("configure:tidemill/#", true),
            ("command:tidemill/a", true),
            ("administer:tidemill/#", false),
            ("read:tidemill/#", false),
            ("write:#", false),
        ] {
            assert_eq!(Right::parse(text).unwrap().is_reserved(), reserved, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_is_written(text in "((read|write|admin|\\PC{0,4}):)?\\PC{0,40}") {
            if let Ok(right) = Right::parse(&text) {
                prop_assert_eq!(Right::parse(&right.to_string()).unwrap(), right);
            }
        }
    }
}
