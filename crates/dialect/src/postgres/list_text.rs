//! Lists as PostgreSQL writes them out. What is not here: what they are cast to ([`super::lists`]), and how lists are told
//! ([`super::values`]).

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::Expr;

use crate::error::bad;

/// Refuses what is written out as a list behind `ANY` or `ALL` and is none. Lists of lists stay as they are written.
///
/// # Errors
/// It is none in PostgreSQL.
pub(crate) fn check(expr: &Expr) -> Result<()> {
    let written = match expr {
        Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => right,
        _ => return Ok(()),
    };
    let Expr::Value(value) = written.as_ref() else { return Ok(()) };
    let Some(text) = value.value.clone().into_string() else { return Ok(()) };
    if text.trim_start().starts_with("{{") || items(&text).is_some() {
        return Ok(());
    }
    let shown: String = text.chars().take(40).collect();
    Err(bad(format!("'{shown}' is no list, such as '{{1,2,NULL}}'")))
}

/// The items of an array as PostgreSQL writes it, of one dimension: `{1,"a b",NULL}`. None where PostgreSQL refuses it, as it
/// does an item without letters, or with letters beside its quotes.
pub(crate) fn items(text: &str) -> Option<Vec<Option<String>>> {
    let mut rest = text.trim().strip_prefix('{')?.trim_start();
    let mut items = Vec::new();
    if rest == "}" {
        return Some(items);
    }
    loop {
        let (item, behind) =
            if let Some(quoted) = rest.strip_prefix('"') { quoted_item(quoted)? } else { plain_item(rest)? };
        items.push(item);
        let behind = behind.trim_start();
        match behind.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None => return (behind == "}").then_some(items),
        }
    }
}

/// An item up to its closing quote, and what stands behind that.
fn quoted_item(text: &str) -> Option<(Option<String>, &str)> {
    let mut item = String::new();
    let mut letters = text.chars();
    loop {
        match letters.next()? {
            '"' => return Some((Some(item), letters.as_str())),
            '\\' => item.push(letters.next()?),
            letter => item.push(letter),
        }
    }
}

/// An item up to the comma or brace behind it, without the blanks before that.
fn plain_item(text: &str) -> Option<(Option<String>, &str)> {
    let mut item = String::new();
    let (mut kept, mut escaped) = (0, false);
    let mut letters = text.chars();
    loop {
        let behind = letters.as_str();
        match letters.next()? {
            ',' | '}' => {
                item.truncate(kept);
                let null = !escaped && item.eq_ignore_ascii_case("null");
                return (kept > 0).then_some(((!null).then_some(item), behind));
            }
            '"' | '{' => return None,
            '\\' => {
                item.push(letters.next()?);
                (kept, escaped) = (item.len(), true);
            }
            letter => {
                item.push(letter);
                if !letter.is_whitespace() {
                    kept = item.len();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values are those of PostgreSQL 15.
    #[test]
    fn items_are_read_as_postgresql_reads_them() {
        for (text, expected) in [
            ("{}", vec![]),
            (" { } ", vec![]),
            (r#"{"t/b", "t/u"}"#, vec![Some("t/b"), Some("t/u")]),
            (r#"{ "a" , b }"#, vec![Some("a"), Some("b")]),
            ("{a b , c}", vec![Some("a b"), Some("c")]),
            (r#"{null,"null",n\ull}"#, vec![None, Some("null"), Some("null")]),
            (r#"{a\,b,\ }"#, vec![Some("a,b"), Some(" ")]),
            (r#"{"","d\"e"}"#, vec![Some(""), Some("d\"e")]),
        ] {
            let items = items(text).expect("a list");
            assert_eq!(items.iter().map(Option::as_deref).collect::<Vec<_>>(), expected, "{text}");
        }
        for text in
            ["", "{", "a", "{a", "{a,}", "{,}", "{a,,b}", r#"{a"b"}"#, r#"{"a"x}"#, "{{a}}", "{a}x", "{a\\"]
        {
            assert!(items(text).is_none(), "{text}");
        }
    }
}
