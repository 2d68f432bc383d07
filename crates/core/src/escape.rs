//! How a path is spelled where its characters cannot go: one table for all protocols, reversible by percent escapes
//! (RFC 3986, 2.1, over UTF-8). docs/reference/names.md is made from it.

use std::borrow::Cow;

use crate::path::{PathError, SignalPath};

/// Whose spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// An AMQP routing key or address: dots for slashes.
    Amqp,
    /// The string identifier of an OPC UA node (`ns=…;s=`): as it is.
    OpcUa,
    /// A path in a file system: a folder a segment.
    File,
    /// A PI tag: dots for slashes.
    Pi,
    /// One segment of a path that is made from foreign text, such as a line protocol's measurement or tag.
    Segment,
}

/// One row of the table.
#[derive(Debug)]
pub struct EscapeRule {
    /// Whose spelling.
    pub escape: Escape,
    /// For people.
    pub name: &'static str,
    /// What stands between segments.
    pub separator: char,
    /// What is escaped besides `%`, the separator and control characters.
    pub reserved: &'static str,
    /// An example: the spelling of `acme/leeds v2.1/t`.
    pub example: &'static str,
}

/// The table.
pub fn escape_rules() -> &'static [EscapeRule] {
    &[
        EscapeRule {
            escape: Escape::Amqp,
            name: "AMQP routing key",
            separator: '.',
            reserved: "*#",
            example: "acme.leeds v2%2E1.t",
        },
        EscapeRule {
            escape: Escape::OpcUa,
            name: "OPC UA string identifier",
            separator: '/',
            reserved: "",
            example: "acme/leeds v2.1/t",
        },
        EscapeRule {
            escape: Escape::File,
            name: "file and folder",
            separator: '/',
            reserved: "<>:\"|?*\\",
            example: "acme/leeds v2.1/t",
        },
        EscapeRule {
            escape: Escape::Pi,
            name: "PI tag",
            separator: '.',
            reserved: "*'?;{}[]|\\`\"",
            example: "acme.leeds v2%2E1.t",
        },
        EscapeRule {
            escape: Escape::Segment,
            name: "segment from foreign text",
            separator: '/',
            reserved: "+#*",
            example: "acme%2Fleeds v2.1%2Ft",
        },
    ]
}

impl Escape {
    fn rule(self) -> &'static EscapeRule {
        let rules = escape_rules();
        rules.iter().find(|rule| rule.escape == self).unwrap_or(&rules[0])
    }

    /// The path in this spelling.
    pub fn encode(self, path: &SignalPath) -> String {
        let rule = self.rule();
        let mut out = String::with_capacity(path.as_str().len() + 8);
        for (index, segment) in path.segments().enumerate() {
            if index > 0 {
                out.push(rule.separator);
            }
            escape_into(segment, rule, &mut out);
        }
        out
    }

    /// The path that is spelled so.
    ///
    /// # Errors
    /// What is left after unescaping is no path.
    pub fn decode(self, text: &str) -> Result<SignalPath, PathError> {
        if self == Escape::OpcUa {
            return SignalPath::new(text);
        }
        let separator = self.rule().separator;
        let segments: Vec<String> = text.split(separator).map(|part| unescape(part).into_owned()).collect();
        // A slash that was escaped must not become a separator.
        if let Some(part) = segments.iter().find(|segment| segment.contains('/')) {
            return Err(PathError::Character { path: part.clone(), character: '/' });
        }
        SignalPath::new(&segments.join("/"))
    }

    /// One segment from foreign text: what no segment may hold is escaped, so are spaces at its ends and the names `.`
    /// and `..`. The caller sees to its length and to empty text.
    pub fn segment(text: &str) -> Cow<'_, str> {
        let rule = Escape::Segment.rule();
        let dots = text == "." || text == "..";
        let spaced = text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace);
        let dollar = text.starts_with('$');
        if !dots && !spaced && !dollar && !text.chars().any(|character| is_escaped(character, rule)) {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len() + 8);
        let last = text.char_indices().last().map_or(0, |(index, _)| index);
        for (index, character) in text.char_indices() {
            let at_end = (index == 0 || index == last) && character.is_whitespace();
            let first_dollar = index == 0 && character == '$';
            if dots || at_end || first_dollar || is_escaped(character, rule) {
                percent(character, &mut out);
            } else {
                out.push(character);
            }
        }
        Cow::Owned(out)
    }
}

fn is_escaped(character: char, rule: &EscapeRule) -> bool {
    character == '%'
        || character == rule.separator
        || character.is_control()
        || rule.reserved.contains(character)
        || (rule.escape == Escape::Segment && crate::path::is_forbidden(character))
}

fn escape_into(segment: &str, rule: &EscapeRule, out: &mut String) {
    for character in segment.chars() {
        // OPC UA takes every character: nothing is escaped, so that ids read as paths.
        if rule.escape != Escape::OpcUa && is_escaped(character, rule) {
            percent(character, out);
        } else {
            out.push(character);
        }
    }
}

fn percent(character: char, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut buffer = [0; 4];
    for byte in character.encode_utf8(&mut buffer).bytes() {
        out.push('%');
        out.push(char::from(HEX[usize::from(byte >> 4)]));
        out.push(char::from(HEX[usize::from(byte & 15)]));
    }
}

/// Undoes percent escapes; what is none stays as it is.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digit = |index: usize| bytes.get(index).and_then(|byte| char::from(*byte).to_digit(16));
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn examples_of_the_table_hold() {
        let path = SignalPath::new("acme/leeds v2.1/t").unwrap();
        for rule in escape_rules().iter().filter(|rule| rule.escape != Escape::Segment) {
            assert_eq!(rule.escape.encode(&path), rule.example, "{}", rule.name);
        }
        assert_eq!(Escape::segment("acme/leeds v2.1/t"), "acme%2Fleeds v2.1%2Ft");
        assert_eq!(Escape::segment("."), "%2E");
        assert_eq!(Escape::segment(" a+b "), "%20a%2Bb%20");
    }

    proptest! {
        #[test]
        fn reversible(names in proptest::collection::vec("[a-c%. äß:;'\\\\=,]{1,5}", 1..5)) {
            let Ok(path) = SignalPath::new(&names.join("/")) else { return Ok(()) };
            for escape in [Escape::Amqp, Escape::OpcUa, Escape::File, Escape::Pi] {
                prop_assert_eq!(escape.decode(&escape.encode(&path)).unwrap(), path.clone(), "{:?}", escape);
            }
        }

        #[test]
        fn any_text_makes_a_segment(text in "\\PC{1,40}") {
            let segment = Escape::segment(&text);
            prop_assert!(SignalPath::new(&segment).is_ok(), "{} -> {}", text, segment);
            prop_assert_eq!(SignalPath::new(&segment).unwrap().segments().count(), 1);
        }
    }
}
