//! The shape of a statement: its words without what it says of values, for places where those must not be read. What does not
//! live here: where it is written (the log of slow queries).

use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect, PostgreSqlDialect};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

/// What stands for a literal.
const LITERAL: &str = "?";

/// A statement, or the beginning of one, with `?` for each literal, without remarks and on one line. None where the two
/// spellings that are spoken here read it differently: a text in the one might be words in the other.
pub fn outline(text: &str) -> Option<String> {
    let house = outline_in(text, &GenericDialect {});
    (house == outline_in(text, &PostgreSqlDialect {})).then_some(house)
}

fn outline_in(text: &str, dialect: &dyn Dialect) -> String {
    let mut tokens: Vec<TokenWithSpan> = Vec::new();
    // What is cut off in the middle of a text ends before it.
    let _ = Tokenizer::new(dialect, text).tokenize_with_location_into_buf(&mut tokens);
    let mut shape = String::new();
    let mut is_apart = false;
    for TokenWithSpan { token, .. } in tokens {
        let word = match &token {
            Token::EOF => break,
            Token::Whitespace(_) => {
                is_apart = !shape.is_empty();
                continue;
            }
            Token::Word(_) | Token::Placeholder(_) => token.to_string(),
            _ => {
                let word = token.to_string();
                let is_sign = |letter: char| letter.is_ascii_punctuation() && !matches!(letter, '\'' | '"');
                if word.chars().all(is_sign) { word } else { LITERAL.to_owned() }
            }
        };
        if std::mem::take(&mut is_apart) {
            shape.push(' ');
        }
        shape.push_str(&word);
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::outline;

    #[test]
    fn no_literal_is_left() {
        for (text, expected) in [
            (
                "SELECT value, 7 FROM samples\n  WHERE signal = 'secret' AND value > -1.5e3 -- secret\nLIMIT 10",
                "SELECT value, ? FROM samples WHERE signal = ? AND value > -? LIMIT ?",
            ),
            (
                "select /* secret */ \"Value\"::text || 'it''s secret' from read('secret/#', '-1h')",
                "select \"Value\"::text || ? from read(?, ?)",
            ),
            (
                "SELECT $1, DATE '2026-01-01', X'5EC3', N'secret', ARRAY[1, 2]",
                "SELECT $1, DATE ?, ?, ?, ARRAY[?, ?]",
            ),
            ("SELECT E'\\x41 secret', $$secret$$, $tag$secret$tag$", "SELECT ?, ?, ?"),
            ("SELECT 'the end is cut off in a secr", "SELECT"),
            ("", ""),
        ] {
            assert_eq!(outline(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_two_spellings_read_differently_has_no_shape() {
        assert_eq!(outline("SELECT 'a' `b 'secret` c"), None);
    }
}
