//! `SIMILAR TO` as the standard has it, said as a regular expression: the planner's own looks for a regular expression anywhere
//! in the text. What is not here: `LIKE` and `~`, which the planner understands.

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Value as Literal};

use crate::error::bad;

/// Says `text SIMILAR TO 'pattern'` in another way; where the pattern is a parameter that is left open, nothing is said yet.
///
/// # Errors
/// The pattern is neither written out nor NULL.
pub(crate) fn said(expr: &mut Expr) -> Result<()> {
    let Expr::SimilarTo { negated, expr: of, pattern, escape_char } = expr else { return Ok(()) };
    let escape = match escape_char.take().map(|escape| escape.value.into_string().unwrap_or_default()) {
        None => Some('\\'),
        Some(escape) => escape.chars().next(),
    };
    let Expr::Value(value) = pattern.as_ref() else {
        return Err(bad("the pattern of SIMILAR TO is to be written out"));
    };
    let said = match &value.value {
        Literal::Placeholder(_) => return Ok(()),
        Literal::Null => Literal::Null,
        other => match other.clone().into_string() {
            Some(pattern) => Literal::SingleQuotedString(regular(&pattern, escape)),
            None => return Err(bad("the pattern of SIMILAR TO is a text")),
        },
    };
    let op = if *negated { BinaryOperator::PGRegexNotMatch } else { BinaryOperator::PGRegexMatch };
    let left = of.clone();
    *expr = Expr::Nested(Box::new(Expr::BinaryOp { left, op, right: Box::new(Expr::Value(said.into())) }));
    Ok(())
}

/// The regular expression of a pattern, of the whole text.
fn regular(pattern: &str, escape: Option<char>) -> String {
    let mut out = String::from("(?s)^(?:");
    let mut letters = pattern.chars();
    let mut within = false;
    while let Some(letter) = letters.next() {
        match letter {
            letter if Some(letter) == escape => {
                letters.next().into_iter().for_each(|next| plain(next, &mut out))
            }
            '[' if !within => {
                within = true;
                out.push('[');
            }
            ']' => {
                within = false;
                out.push(']');
            }
            '^' | '-' | ':' if within => out.push(letter),
            // Classes such as [:alpha:].
            '[' if letters.as_str().starts_with(':') => {
                let rest = letters.as_str();
                let length = rest.find(":]").map_or(0, |end| end + 2);
                let (class, after) = rest.split_at(length);
                out.push('[');
                out.push_str(class);
                letters = after.chars();
            }
            letter if within => plain(letter, &mut out),
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '|' | '*' | '+' | '?' | '{' | '}' | '(' | ')' => out.push(letter),
            letter => plain(letter, &mut out),
        }
    }
    out.push_str(")$");
    out
}

/// A letter that stands for itself.
fn plain(letter: char, out: &mut String) {
    if letter.is_ascii_punctuation() {
        out.push('\\');
    }
    out.push(letter);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_of_the_whole_text() {
        for (pattern, escape, expected) in [
            ("%o", Some('\\'), "(?s)^(?:.*o)$"),
            ("a(b|x)c", Some('\\'), "(?s)^(?:a(b|x)c)$"),
            ("a.c_", Some('\\'), r"(?s)^(?:a\.c.)$"),
            (r"50\%", Some('\\'), r"(?s)^(?:50\%)$"),
            ("50#%", Some('#'), r"(?s)^(?:50\%)$"),
            ("[a-c%]{2}", None, r"(?s)^(?:[a-c\%]{2})$"),
            ("[[:digit:]]+", Some('\\'), "(?s)^(?:[[:digit:]]+)$"),
            ("[^x]", Some('\\'), "(?s)^(?:[^x])$"),
            ("$^", Some('\\'), r"(?s)^(?:\$\^)$"),
        ] {
            assert_eq!(regular(pattern, escape), expected, "{pattern}");
        }
    }
}
