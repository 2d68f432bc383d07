//! SPDX licence expressions (specification 2.3, annex D): parsed, and asked whether a set of accepted licences
//! satisfies them. The slash of old manifests (`MIT/Apache-2.0`) is OR. Which licences are accepted stands in
//! deny.toml, not here.

/// A licence expression.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expression {
    /// One licence, with its exception if it has one: `Apache-2.0 WITH LLVM-exception`.
    Licence(String),
    /// All of them bind.
    And(Vec<Expression>),
    /// One of them may be chosen.
    Or(Vec<Expression>),
}

impl Expression {
    /// Parses an expression; the error says where it stopped making sense.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let spaced = text.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let mut tokens = Tokens { words: spaced.split_whitespace().collect(), next: 0 };
        let expression = either(&mut tokens)?;
        match tokens.peek() {
            None => Ok(expression),
            Some(word) => Err(format!("`{word}` is not expected in `{text}`")),
        }
    }

    /// Whether the licences that `accepted` says yes to are enough.
    pub(super) fn satisfied(&self, accepted: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::Licence(name) => accepted(name),
            Self::And(parts) => parts.iter().all(|part| part.satisfied(accepted)),
            Self::Or(parts) => parts.iter().any(|part| part.satisfied(accepted)),
        }
    }
}

struct Tokens<'a> {
    words: Vec<&'a str>,
    next: usize,
}

impl<'a> Tokens<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).copied()
    }

    fn take(&mut self) -> Option<&'a str> {
        let word = self.peek();
        self.next += 1;
        word
    }

    fn take_if(&mut self, wanted: &str) -> bool {
        let found = self.peek().is_some_and(|word| word.eq_ignore_ascii_case(wanted));
        self.next += usize::from(found);
        found
    }
}

fn either(tokens: &mut Tokens<'_>) -> Result<Expression, String> {
    let mut parts = vec![both(tokens)?];
    while tokens.take_if("OR") {
        parts.push(both(tokens)?);
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Or(parts) })
}

fn both(tokens: &mut Tokens<'_>) -> Result<Expression, String> {
    let mut parts = vec![one(tokens)?];
    while tokens.take_if("AND") {
        parts.push(one(tokens)?);
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::And(parts) })
}

fn one(tokens: &mut Tokens<'_>) -> Result<Expression, String> {
    if tokens.take_if("(") {
        let inner = either(tokens)?;
        return if tokens.take_if(")") { Ok(inner) } else { Err("a `)` is missing".into()) };
    }
    let name = identifier(tokens)?;
    if tokens.take_if("WITH") {
        return Ok(Expression::Licence(format!("{name} WITH {}", identifier(tokens)?)));
    }
    Ok(Expression::Licence(name.to_owned()))
}

fn identifier<'a>(tokens: &mut Tokens<'a>) -> Result<&'a str, String> {
    let word = tokens.take().ok_or("a licence is missing at the end")?;
    let is_word = ["AND", "OR", "WITH", "(", ")"].iter().any(|key| word.eq_ignore_ascii_case(key));
    let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-.+:".contains(c));
    if is_word || !is_plain { Err(format!("`{word}` stands where a licence should")) } else { Ok(word) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_satisfied_as_the_specification_says() {
        let accepted = |name: &str| ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].contains(&name);
        let table = [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("MIT OR GPL-3.0-only", true),
            ("MIT AND GPL-3.0-only", false),
            ("MIT/Apache-2.0", true),
            ("GPL-2.0/GPL-3.0", false),
            ("GPL-2.0 / MIT", true),
            // AND binds closer than OR.
            ("MIT OR GPL-3.0-only AND LGPL-3.0-only", true),
            ("GPL-3.0-only AND MIT OR Apache-2.0", true),
            ("(GPL-3.0-only OR MIT) AND Apache-2.0", true),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", false),
            ("((MIT))", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("MIT WITH Classpath-exception-2.0", false),
            ("GPL-3.0-only WITH Classpath-exception-2.0 OR MIT", true),
            ("mit or Apache-2.0", true),
            ("GPL-2.0+ or MIT", true),
        ];
        for (text, expected) in table {
            let expression = Expression::parse(text).expect(text);
            assert_eq!(expression.satisfied(&accepted), expected, "{text}");
        }
    }

    #[test]
    fn nonsense_is_an_error_never_a_pass() {
        for text in [
            "",
            "MIT OR",
            "AND MIT",
            "(MIT",
            "MIT)",
            "MIT Apache-2.0",
            "MIT WITH",
            "MIT WITH (X)",
            "/",
            "MIT,X",
        ] {
            assert!(Expression::parse(text).is_err(), "{text}");
        }
    }
}
