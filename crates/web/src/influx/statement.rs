//! The statements of InfluxQL that clients send before they write, read as InfluxDB 1.8 reads them: several with semicolons
//! between them, all of them or none. What is answered is decided by others (`query.rs`).

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use tidemill_core::{Problem, codes};

/// The most statements of one request.
const STATEMENTS_MAX: usize = 100;

/// A statement that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// Of that name, and whether a policy is to come with it.
    CreateDatabase {
        name: String,
        policy: bool,
    },
    CreateRetentionPolicy,
    ShowDatabases,
    ShowRetentionPolicies,
}

/// Reads the statements of a request.
///
/// # Errors
/// There is none, there are too many, one is not spoken here or is not whole.
pub(super) fn parse(text: &str) -> Result<Vec<Statement>, Problem> {
    let mut tokens = Tokens { text, at: 0 };
    let mut statements = Vec::new();
    loop {
        match tokens.next() {
            Token { kind: Kind::End, .. } => break,
            Token { kind: Kind::Semicolon, .. } => {}
            _ if statements.len() >= STATEMENTS_MAX => {
                let detail = format!("the request has more than {STATEMENTS_MAX} statements");
                return Err(Problem::new(&codes::BAD_SQL, detail).hint("Send them in several requests"));
            }
            first => statements.push(tokens.statement(&first)?),
        }
    }
    if statements.is_empty() {
        return Err(Problem::new(&codes::BAD_PARAMETER, "the statement is missing").hint("Send it as q="));
    }
    Ok(statements)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A keyword, or a name without quotes.
    Word,
    /// A name between double quotes.
    Name,
    /// What stands between single quotes.
    Text,
    Semicolon,
    End,
}

#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    kind: Kind,
    /// Without its quotes.
    text: &'a str,
    /// Where it begins.
    at: usize,
}

impl Token<'_> {
    fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(keyword)
    }
}

#[derive(Clone, Copy)]
struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Token<'a> {
        let blank = self.rest().len().saturating_sub(self.rest().trim_start().len());
        self.at = self.at.saturating_add(blank);
        let (at, rest) = (self.at, self.rest());
        let (kind, length, quotes) = match rest.bytes().next() {
            None => (Kind::End, 0, 0),
            Some(b';') => (Kind::Semicolon, 1, 0),
            Some(quote @ (b'"' | b'\'')) => {
                let kind = if quote == b'"' { Kind::Name } else { Kind::Text };
                (kind, quoted_bytes(rest, quote), 1)
            }
            Some(_) => {
                let ends =
                    |character: char| character.is_whitespace() || matches!(character, ';' | '"' | '\'');
                (Kind::Word, rest.find(ends).unwrap_or(rest.len()), 0)
            }
        };
        self.at = at.saturating_add(length);
        let text = rest.get(quotes..length.saturating_sub(quotes)).unwrap_or_default();
        Token { kind, text, at }
    }

    /// Reads on behind the first word of a statement, up to its semicolon.
    fn statement(&mut self, first: &Token<'_>) -> Result<Statement, Problem> {
        let second = self.next();
        let statement = if first.is("CREATE") && second.is("DATABASE") {
            let name = self.name()?.replace("\\\"", "\"");
            let policy = self.takes("WITH");
            if policy {
                self.policy()?;
            }
            Statement::CreateDatabase { name, policy }
        } else if first.is("CREATE") && second.is("RETENTION") && self.takes("POLICY") {
            self.name()?;
            self.expect("ON")?;
            self.name()?;
            self.policy()?;
            Statement::CreateRetentionPolicy
        } else if first.is("SHOW") && second.is("DATABASES") {
            Statement::ShowDatabases
        } else if first.is("SHOW") && second.is("RETENTION") && self.takes("POLICIES") {
            if self.takes("ON") {
                self.name()?;
            }
            Statement::ShowRetentionPolicies
        } else {
            return Err(not_spoken(first.text));
        };
        match self.next() {
            Token { kind: Kind::End | Kind::Semicolon, .. } => Ok(statement),
            other => Err(self.found(&other, ";")),
        }
    }

    /// The terms of a policy, which are not looked at: none is made.
    fn policy(&mut self) -> Result<(), Problem> {
        let first = self.next();
        if !["DURATION", "NAME", "REPLICATION", "SHARD"].iter().any(|keyword| first.is(keyword)) {
            return Err(self.found(&first, "DURATION, NAME, REPLICATION, SHARD"));
        }
        loop {
            let before = self.at;
            if matches!(self.next().kind, Kind::End | Kind::Semicolon) {
                self.at = before;
                return Ok(());
            }
        }
    }

    /// Whether this keyword comes next; it is passed if it does.
    fn takes(&mut self, keyword: &str) -> bool {
        let before = self.at;
        let takes = self.next().is(keyword);
        if !takes {
            self.at = before;
        }
        takes
    }

    fn expect(&mut self, keyword: &str) -> Result<(), Problem> {
        let next = self.next();
        if next.is(keyword) { Ok(()) } else { Err(self.found(&next, keyword)) }
    }

    fn name(&mut self) -> Result<&'a str, Problem> {
        let next = self.next();
        let is_name = match next.kind {
            Kind::Name => !next.text.is_empty(),
            Kind::Word => !next.text.starts_with(|character: char| character.is_ascii_digit()),
            _ => false,
        };
        if is_name { Ok(next.text) } else { Err(self.found(&next, "identifier")) }
    }

    /// In InfluxDB's words.
    fn found(&self, token: &Token<'_>, expected: &str) -> Problem {
        let before = self.text.get(..token.at).unwrap_or_default();
        let line = before.matches('\n').count().saturating_add(1);
        let column =
            before.chars().rev().take_while(|character| *character != '\n').count().saturating_add(1);
        let (found, column) = match token.kind {
            // It counts the end as one more.
            Kind::End => ("EOF".to_owned(), column.saturating_add(1)),
            Kind::Semicolon => (";".to_owned(), column),
            _ => (token.text.chars().take(40).collect(), column),
        };
        let detail =
            format!("error parsing query: found {found}, expected {expected} at line {line}, char {column}");
        Problem::new(&codes::BAD_SQL, detail).hint("None of the statements was run")
    }
}

/// How long a text between quotes is, both counted; a backslash takes the next character into it.
fn quoted_bytes(text: &str, quote: u8) -> usize {
    let mut escaped = false;
    let end = text.bytes().enumerate().skip(1).find(|(_, byte)| {
        let ends = *byte == quote && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at.saturating_add(1))
}

fn not_spoken(verb: &str) -> Problem {
    let hint = match verb.to_ascii_uppercase().as_str() {
        "DROP" | "DELETE" | "ALTER" | "KILL" => {
            "Nothing was changed. `tidemill signals delete` deletes, and storage.keep says how long samples are kept"
        }
        "SHOW" => {
            "Ask in SQL: POST /api/v1/sql {\"query\": \"SELECT signal, tags FROM signals\"} says what there is"
        }
        _ => {
            "Ask in SQL: POST /api/v1/sql {\"query\": \"SELECT time, value FROM samples WHERE signal = 'cpu/host=edge1/idle'\"}"
        }
    };
    let detail = "InfluxQL is not spoken here beyond CREATE DATABASE, CREATE RETENTION POLICY, SHOW DATABASES and \
                  SHOW RETENTION POLICIES";
    Problem::new(&codes::BAD_SQL, detail).hint(hint)
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
