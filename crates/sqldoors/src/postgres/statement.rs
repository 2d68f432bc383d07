//! Statements apart from each other, and which of them speak of the session instead of data: transactions, settings,
//! cursors. They are known by their first words; everything else is for the history, which reads it whole. What is not
//! here: doing what they say.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::copy_options::{self, CopyForm};
use crate::Error;

/// A statement, as far as the door tells statements apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Statement {
    /// Nothing but space and comments.
    Empty,
    /// Asks for rows; with the first word of its tag.
    Rows {
        /// As the history is to read it.
        text: String,
        /// `SELECT`, `SHOW`, `EXPLAIN`.
        tag: &'static str,
    },
    /// Begins a transaction; with its tag.
    Begin(&'static str),
    /// Ends one well.
    Commit,
    /// Ends one otherwise.
    Rollback,
    /// Within one; nothing is to be done.
    Within(&'static str),
    /// Sets a setting; to its default where there is no value.
    Set {
        /// In lower case.
        name: String,
        /// As it is written, without quotes.
        value: Option<String>,
    },
    /// Forgets all settings.
    ResetAll,
    /// Forgets everything of the session.
    Discard,
    /// Forgets a prepared statement, or all of them.
    Deallocate(Option<String>),
    /// Done by saying so; with its tag.
    Done(&'static str),
    /// Opens a cursor.
    Declare {
        /// Its name.
        name: String,
        /// What it asks.
        text: String,
    },
    /// Takes rows of a cursor.
    Fetch {
        /// Its name.
        name: String,
        /// At most so many; 0 for all.
        rows: u32,
    },
    /// Forgets a cursor, or all of them.
    CloseCursor(Option<String>),
    /// Rows as data of COPY.
    Copy {
        /// What it asks.
        text: String,
        /// How rows are written.
        form: CopyForm,
    },
}

/// The first words of what would change something.
const CHANGES: [&str; 27] = [
    "INSERT",
    "UPDATE",
    "DELETE",
    "MERGE",
    "CREATE",
    "ALTER",
    "DROP",
    "TRUNCATE",
    "GRANT",
    "REVOKE",
    "COMMENT",
    "VACUUM",
    "ANALYZE",
    "REINDEX",
    "CLUSTER",
    "REFRESH",
    "LOCK",
    "DO",
    "CALL",
    "IMPORT",
    "SECURITY",
    "REASSIGN",
    "CHECKPOINT",
    "LOAD",
    "NOTIFY",
    "LISTEN",
    "PREPARE TRANSACTION",
];

/// The statements of a text, without their semicolons; what is within quotes and comments does not end one.
pub(crate) fn split(text: &str) -> Vec<&str> {
    let mut statements = Vec::new();
    let mut begin = 0;
    for (place, byte) in (Scanner { text, at: 0 }) {
        if byte == b';' {
            statements.push(text.get(begin..place).unwrap_or_default());
            begin = place.saturating_add(1);
        }
    }
    let rest = text.get(begin..).unwrap_or_default();
    if !is_empty(rest) || statements.is_empty() {
        statements.push(rest);
    }
    statements
}

fn is_empty(text: &str) -> bool {
    Words::of(text).next().is_none()
}

/// Walks over what is neither within quotes nor a comment.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl Scanner<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Goes behind the next place of a word, or to the end.
    fn behind(&mut self, from: usize, word: &str) {
        let start = self.at.saturating_add(from);
        let found = self.text.get(start..).and_then(|rest| rest.find(word));
        self.at =
            found.map_or(self.text.len(), |place| start.saturating_add(place).saturating_add(word.len()));
    }

    /// Behind a quoted text, whose quotes are doubled within; and escaped too, where it is one of `E'…'`.
    fn behind_quotes(&mut self, quote: u8, escapes: bool) {
        let mut bytes = self.rest().bytes().enumerate().skip(1).peekable();
        let mut end = None;
        while let Some((place, byte)) = bytes.next() {
            if escapes && byte == b'\\' {
                bytes.next();
            } else if byte == quote {
                if bytes.peek().is_some_and(|(_, next)| *next == quote) {
                    bytes.next();
                } else {
                    end = Some(place);
                    break;
                }
            }
        }
        self.at = end.map_or(self.text.len(), |place| self.at.saturating_add(place).saturating_add(1));
    }

    /// Behind a comment, in which others may stand.
    fn behind_comment(&mut self) {
        let mut depth = 0_usize;
        let bytes = self.text.as_bytes();
        while self.at < bytes.len() {
            match bytes.get(self.at..self.at.saturating_add(2)) {
                Some(b"/*") => depth = depth.saturating_add(1),
                Some(b"*/") => depth = depth.saturating_sub(1),
                _ => {
                    self.at = self.at.saturating_add(1);
                    continue;
                }
            }
            self.at = self.at.saturating_add(2);
            if depth == 0 {
                return;
            }
        }
    }

    /// `$$` or `$tag$`, if a text begins with one.
    fn dollars(&self) -> Option<String> {
        let rest = self.rest().strip_prefix('$')?;
        let (tag, _) = rest.split_once('$')?;
        let named = tag.chars().all(|c| c.is_alphanumeric() || c == '_');
        (named && !tag.starts_with(|c: char| c.is_ascii_digit())).then(|| format!("${tag}$"))
    }
}

/// How many bytes a letter has that begins with this one.
fn width(first: u8) -> usize {
    match first {
        0xF0.. => 4,
        0xE0.. => 3,
        0xC0.. => 2,
        _ => 1,
    }
}

impl Iterator for Scanner<'_> {
    type Item = (usize, u8);

    fn next(&mut self) -> Option<(usize, u8)> {
        loop {
            let rest = self.rest();
            let byte = rest.bytes().next()?;
            let place = self.at;
            match byte {
                b'\'' => {
                    let before = place.checked_sub(1).and_then(|place| self.text.as_bytes().get(place));
                    let word = place.checked_sub(2).and_then(|place| self.text.as_bytes().get(place));
                    let alone = word.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
                    let escapes = alone && before.is_some_and(|byte| byte.eq_ignore_ascii_case(&b'e'));
                    self.behind_quotes(b'\'', escapes);
                    // What is quoted is part of a word all the same.
                    return Some((place, b'\''));
                }
                b'"' => {
                    self.behind_quotes(b'"', false);
                    return Some((place, b'"'));
                }
                b'-' if rest.starts_with("--") => self.behind(0, "\n"),
                b'/' if rest.starts_with("/*") => self.behind_comment(),
                b'$' => match self.dollars() {
                    Some(tag) => self.behind(tag.len(), &tag),
                    None => {
                        self.at = self.at.saturating_add(1);
                        return Some((place, byte));
                    }
                },
                _ => {
                    self.at = self.at.saturating_add(width(byte));
                    return Some((place, byte));
                }
            }
        }
    }
}

/// The words and signs of a statement, as they are written, each with where it ends.
pub(super) struct Words<'a> {
    text: &'a str,
    places: Vec<(usize, u8)>,
    next: usize,
}

/// So many words tell what a statement is.
const WORDS_MAX: usize = 64;
/// What is looked at of a text to find them.
pub(super) const HEAD_MAX: usize = 4_096;

impl<'a> Words<'a> {
    pub(super) fn of(text: &'a str) -> Words<'a> {
        let places = Scanner { text, at: 0 }.take(HEAD_MAX).collect();
        Words { text, places, next: 0 }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = (&'a str, usize);

    fn next(&mut self) -> Option<(&'a str, usize)> {
        let at = |place: usize| self.places.get(place).copied();
        while at(self.next).is_some_and(|(_, byte)| byte.is_ascii_whitespace()) {
            self.next = self.next.saturating_add(1);
        }
        let (begin, first) = at(self.next)?;
        self.next = self.next.saturating_add(1);
        let in_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.' || byte >= 0x80;
        let mut end = begin.saturating_add(width(first));
        if first == b'\'' || first == b'"' {
            let mut scanner = Scanner { text: self.text, at: begin };
            scanner.next();
            return Some((self.text.get(begin..scanner.at).unwrap_or_default(), scanner.at));
        }
        if in_word(first) {
            while let Some((place, byte)) = at(self.next) {
                if place != end || !in_word(byte) {
                    break;
                }
                end = place.saturating_add(width(byte));
                self.next = self.next.saturating_add(1);
            }
        }
        Some((self.text.get(begin..end).unwrap_or_default(), end))
    }
}

/// A name as it is meant: without quotes, or in lower case.
pub(super) fn name(word: &str) -> String {
    match word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => word.to_lowercase(),
    }
}

/// A setting's value as it is meant.
pub(super) fn value(word: &str) -> String {
    match word.strip_prefix('\'').and_then(|word| word.strip_suffix('\'')) {
        Some(quoted) => quoted.replace("''", "'"),
        None => word.trim_matches('"').to_owned(),
    }
}

/// Tells what a statement is.
///
/// # Errors
/// It would change something, or is nothing that this door knows.
pub(crate) fn read(text: &str) -> Result<Statement, Error> {
    let words: Vec<(&str, usize)> = Words::of(text).take(WORDS_MAX).collect();
    let upper: Vec<String> = words.iter().map(|(word, _)| word.to_uppercase()).collect();
    let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
    let rows = |tag| Ok(Statement::Rows { text: text.to_owned(), tag });
    let named = |place: usize| words.get(place).map(|(word, _)| name(word)).unwrap_or_default();
    let behind = |place: usize| {
        let end = words.get(place).map_or(text.len(), |(_, end)| *end);
        text.get(end..).unwrap_or_default().trim().to_owned()
    };
    match upper.as_slice() {
        [] => Ok(Statement::Empty),
        ["BEGIN", ..] => Ok(Statement::Begin("BEGIN")),
        ["START", "TRANSACTION", ..] => Ok(Statement::Begin("START TRANSACTION")),
        ["COMMIT" | "END", ..] => Ok(Statement::Commit),
        ["ROLLBACK" | "ABORT", "TO", ..] | ["ROLLBACK" | "ABORT", _, "TO", ..] => {
            Ok(Statement::Within("ROLLBACK"))
        }
        ["ROLLBACK" | "ABORT", ..] => Ok(Statement::Rollback),
        ["SAVEPOINT", ..] => Ok(Statement::Within("SAVEPOINT")),
        ["RELEASE", ..] => Ok(Statement::Within("RELEASE")),
        ["SET", ..] => set(&words, &upper, text),
        ["RESET", "ALL"] => Ok(Statement::ResetAll),
        ["RESET", "TIME", "ZONE"] => Ok(Statement::Set { name: "timezone".to_owned(), value: None }),
        ["RESET", _] => Ok(Statement::Set { name: named(1), value: None }),
        ["DISCARD", ..] => Ok(Statement::Discard),
        ["DEALLOCATE", "ALL"] | ["DEALLOCATE", "PREPARE", "ALL"] => Ok(Statement::Deallocate(None)),
        ["DEALLOCATE", "PREPARE", _] => Ok(Statement::Deallocate(Some(named(2)))),
        ["DEALLOCATE", _] => Ok(Statement::Deallocate(Some(named(1)))),
        ["UNLISTEN", ..] => Ok(Statement::Done("UNLISTEN")),
        ["CLOSE", "ALL"] => Ok(Statement::CloseCursor(None)),
        ["CLOSE", _] => Ok(Statement::CloseCursor(Some(named(1)))),
        ["DECLARE", ..] => {
            let place = upper.iter().position(|word| *word == "FOR");
            let place = place.ok_or_else(|| Error::Unsupported("DECLARE without FOR".to_owned()))?;
            Ok(Statement::Declare { name: named(1), text: behind(place) })
        }
        ["FETCH", ..] => fetch(&words, &upper),
        ["SHOW", rest @ ..] => Ok(show(rest, text)),
        ["EXPLAIN", ..] => rows("EXPLAIN"),
        ["TABLE", _] => Ok(Statement::Rows { text: format!("SELECT * FROM {}", behind(0)), tag: "SELECT" }),
        ["COPY", ..] => copy(&words, &upper, text),
        ["MOVE" | "PREPARE" | "EXECUTE", ..] => {
            Err(Error::Unsupported(format!("{} as a statement", upper.first().copied().unwrap_or_default())))
        }
        [first, ..] if CHANGES.contains(first) => Err(Error::ReadOnly((*first).to_owned())),
        _ => rows("SELECT"),
    }
}

/// `SET [SESSION | LOCAL] name { TO | = } value`, and its further spellings.
fn set(words: &[(&str, usize)], upper: &[&str], text: &str) -> Result<Statement, Error> {
    let begin: usize = match upper {
        ["SET", "SESSION", "CHARACTERISTICS", ..] | ["SET", "TRANSACTION", ..] => {
            return Ok(Statement::Done("SET"));
        }
        ["SET", "LOCAL", "TRANSACTION", ..] => return Ok(Statement::Done("SET")),
        ["SET", "CONSTRAINTS", ..] => return Ok(Statement::Done("SET CONSTRAINTS")),
        ["SET", "ROLE", ..] | ["SET", "SESSION", "AUTHORIZATION", ..] => {
            return Err(Error::Unsupported("to be somebody else than whose token was shown".to_owned()));
        }
        ["SET", "SESSION" | "LOCAL", ..] => 2,
        _ => 1,
    };
    let at = |place: usize| words.get(begin.saturating_add(place)).copied().unwrap_or(("", text.len()));
    let word = |place: usize| upper.get(begin.saturating_add(place)).copied().unwrap_or_default();
    let (name, place) = match (word(0), word(1)) {
        ("TIME", "ZONE") => ("timezone".to_owned(), 1),
        ("NAMES", _) => ("client_encoding".to_owned(), 0),
        (_, "TO" | "=") => (self::name(at(0).0), 1),
        _ => return Err(Error::Unsupported("this form of SET".to_owned())),
    };
    let rest = text.get(at(place).1..).unwrap_or_default().trim();
    let value = (!rest.eq_ignore_ascii_case("default")).then(|| {
        // A list is kept as it is written.
        if rest.contains(',') { rest.to_owned() } else { value(rest) }
    });
    Ok(Statement::Set { name, value })
}

/// What `SHOW TABLES` shows: a word of other databases, which our own hints name.
const TABLES: &str = "SELECT table_catalog, table_schema, table_name, table_type FROM information_schema.tables \
                      WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 2, 3";

/// `SHOW name`: a setting as a column of its name. Others are DataFusion's.
fn show(rest: &[&str], text: &str) -> Statement {
    let setting = |name: &str| {
        let name = name.to_lowercase().replace('"', "");
        let text = format!(
            "SELECT current_setting('{}') AS \"{}\"",
            name.replace('\'', "''"),
            name.replace('"', "\"\"")
        );
        Statement::Rows { text, tag: "SHOW" }
    };
    match rest {
        ["TRANSACTION", "ISOLATION", "LEVEL"] => setting("transaction_isolation"),
        ["TIME", "ZONE"] => setting("timezone"),
        ["SESSION", "AUTHORIZATION"] => setting("session_authorization"),
        ["ALL"] => Statement::Rows {
            text: "SELECT name, setting, short_desc AS description FROM pg_catalog.pg_settings ORDER BY name"
                .to_owned(),
            tag: "SHOW",
        },
        ["TABLES"] => Statement::Rows { text: TABLES.to_owned(), tag: "SHOW" },
        [name] if !matches!(*name, "FUNCTIONS" | "COLUMNS") => setting(name),
        _ => Statement::Rows { text: text.to_owned(), tag: "SHOW" },
    }
}

/// `FETCH [FORWARD] [n | ALL | NEXT] [FROM | IN] name`.
fn fetch(words: &[(&str, usize)], upper: &[&str]) -> Result<Statement, Error> {
    let mut rows = 1;
    let (last, rest) = match upper {
        ["FETCH", rest @ .., _] => (words.last().map(|(word, _)| name(word)).unwrap_or_default(), rest),
        _ => return Err(Error::Unsupported("FETCH without a cursor".to_owned())),
    };
    for word in rest {
        match *word {
            "FORWARD" | "NEXT" | "FROM" | "IN" => {}
            "ALL" => rows = 0,
            number => {
                rows = number
                    .parse()
                    .map_err(|_| Error::Unsupported(format!("FETCH {number}: cursors only go forward")))?;
                if rows == 0 {
                    return Err(Error::Unsupported("FETCH 0".to_owned()));
                }
            }
        }
    }
    Ok(Statement::Fetch { name: last, rows })
}

/// `COPY { (query) | table } TO STDOUT [WITH] [(…)]`.
fn copy(words: &[(&str, usize)], upper: &[&str], text: &str) -> Result<Statement, Error> {
    let at = |place: usize| words.get(place).map_or(text.len(), |(_, end)| *end);
    let (query, tail) = if upper.get(1) == Some(&"(") {
        // To the parenthesis that closes the first.
        let start = at(1);
        let mut depth = 1_usize;
        let inner = text.get(start..).unwrap_or_default();
        let end = Scanner { text: inner, at: 0 }.find_map(|(place, byte)| {
            match byte {
                b'(' => depth = depth.saturating_add(1),
                b')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            (depth == 0).then_some(place)
        });
        let end = end.ok_or_else(|| Error::Unsupported("COPY without its closing parenthesis".to_owned()))?;
        (
            inner.get(..end).unwrap_or_default().to_owned(),
            inner.get(end.saturating_add(1)..).unwrap_or_default(),
        )
    } else {
        let place = upper.iter().position(|word| matches!(*word, "TO" | "FROM")).unwrap_or(upper.len());
        let columns = text.get(at(1)..at(place.saturating_sub(1))).unwrap_or_default().trim();
        let columns = columns.strip_prefix('(').and_then(|columns| columns.strip_suffix(')')).unwrap_or("*");
        let table = words.get(1).map(|(word, _)| *word).unwrap_or_default();
        (
            format!("SELECT {columns} FROM {table}"),
            text.get(at(place.saturating_sub(1))..).unwrap_or_default(),
        )
    };
    let head: Vec<(&str, usize)> = Words::of(tail).take(2).collect();
    let head_upper: Vec<String> = head.iter().map(|(word, _)| word.to_uppercase()).collect();
    let head_upper: Vec<&str> = head_upper.iter().map(String::as_str).collect();
    match head_upper.as_slice() {
        ["TO", "STDOUT"] => {
            let end = head.last().map_or(tail.len(), |(_, end)| *end);
            let form = copy_options::read(tail.get(end..).unwrap_or_default())?;
            Ok(Statement::Copy { text: query, form })
        }
        ["TO", ..] => Err(Error::Unsupported("COPY to anything but STDOUT".to_owned())),
        _ => Err(Error::ReadOnly("COPY FROM".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_of_their_own() {
        for (text, expected) in [
            ("", vec![""]),
            (";", vec![""]),
            ("a; b ;", vec!["a", " b "]),
            ("select ';' ; x", vec!["select ';' ", " x"]),
            ("select 'it''s;' ; x", vec!["select 'it''s;' ", " x"]),
            (r"select E'\';' ; x", vec![r"select E'\';' ", " x"]),
            (r"select '\' ; x", vec![r"select '\' ", " x"]),
            ("select \";\" ; x", vec!["select \";\" ", " x"]),
            ("a -- ;\n; b", vec!["a -- ;\n", " b"]),
            ("a /* ; /* ; */ ; */ ; b", vec!["a /* ; /* ; */ ; */ ", " b"]),
            ("select $$;$$, $t$;$$;$t$; b", vec!["select $$;$$, $t$;$$;$t$", " b"]),
            ("select $1; b", vec!["select $1", " b"]),
            ("select 'open; b", vec!["select 'open; b"]),
            ("ä;ö", vec!["ä", "ö"]),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }

    #[test]
    fn what_statements_are() {
        let rows = |text: &str, tag| Statement::Rows { text: text.to_owned(), tag };
        let set = |name: &str, value: Option<&str>| Statement::Set {
            name: name.to_owned(),
            value: value.map(str::to_owned),
        };
        let copied = |text: &str, options: &str| Statement::Copy {
            text: text.to_owned(),
            form: copy_options::read(options).expect(options),
        };
        let table = [
            (" -- nothing\n", Statement::Empty),
            ("select 1", rows("select 1", "SELECT")),
            (
                "/* hi */ WITH a AS (SELECT 1) SELECT * FROM a",
                rows("/* hi */ WITH a AS (SELECT 1) SELECT * FROM a", "SELECT"),
            ),
            ("begin transaction isolation level serializable", Statement::Begin("BEGIN")),
            ("END", Statement::Commit),
            ("rollback to savepoint a", Statement::Within("ROLLBACK")),
            ("SET extra_float_digits = 3", set("extra_float_digits", Some("3"))),
            ("SET SESSION application_name TO 'a ''b'''", set("application_name", Some("a 'b'"))),
            ("set time zone 'UTC'", set("timezone", Some("UTC"))),
            ("SET search_path = a, b", set("search_path", Some("a, b"))),
            ("SET DateStyle TO DEFAULT", set("datestyle", None)),
            ("SET TRANSACTION READ ONLY", Statement::Done("SET")),
            (
                "show transaction isolation level",
                rows("SELECT current_setting('transaction_isolation') AS \"transaction_isolation\"", "SHOW"),
            ),
            (
                "SHOW server_version",
                rows("SELECT current_setting('server_version') AS \"server_version\"", "SHOW"),
            ),
            ("SHOW TABLES", rows(TABLES, "SHOW")),
            ("FETCH FORWARD 10 FROM \"C 1\"", Statement::Fetch { name: "C 1".to_owned(), rows: 10 }),
            ("fetch all in c", Statement::Fetch { name: "c".to_owned(), rows: 0 }),
            (
                "DECLARE \"c\" CURSOR WITHOUT HOLD FOR SELECT 1",
                Statement::Declare { name: "c".to_owned(), text: "SELECT 1".to_owned() },
            ),
            (
                "COPY (SELECT ')' , (1)) TO STDOUT (FORMAT csv, HEADER)",
                copied("SELECT ')' , (1)", "(HEADER true, FORMAT 'csv')"),
            ),
            (
                "COPY samples (signal, time) TO STDOUT",
                copied("SELECT signal, time FROM samples", "with (format text)"),
            ),
            ("copy samples to stdout with binary", copied("SELECT * FROM samples", "(format binary)")),
            ("DEALLOCATE \"s1\"", Statement::Deallocate(Some("s1".to_owned()))),
        ];
        for (text, expected) in table {
            assert_eq!(read(text).expect(text), expected, "{text}");
        }
        for text in
            ["insert into samples values (1)", "DROP TABLE x", "copy samples from stdin", "/**/ VACUUM"]
        {
            assert!(matches!(read(text), Err(Error::ReadOnly(_))), "{text}");
        }
    }
}
