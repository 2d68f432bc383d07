//! The options of COPY, in both of PostgreSQL's spellings. What is not here is refused by its name: data in another form
//! than was asked for would be read wrongly.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::statement::{HEAD_MAX, Words, name, value};
use crate::Error;

/// So long may the options be: so much of a text is looked at for its words.
const BYTES_MAX: usize = HEAD_MAX;

/// How rows of COPY are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CopyForm {
    /// PostgreSQL's own text.
    Text(CopyOptions),
    /// CSV.
    Csv(CopyOptions),
    /// PostgreSQL's binary.
    Binary,
}

/// What texts of COPY are written with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CopyOptions {
    pub(crate) delimiter: u8,
    pub(crate) null: String,
    pub(crate) header: bool,
    pub(crate) quote: u8,
    pub(crate) escape: u8,
    pub(crate) force_quote: ForceQuote,
}

/// Which columns of CSV are quoted, needed or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ForceQuote {
    /// All.
    All,
    /// Those of these names.
    Columns(Vec<String>),
}

/// The options as they are written.
#[derive(Default)]
struct Written {
    format: Option<String>,
    delimiter: Option<String>,
    null: Option<String>,
    header: Option<bool>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote: Option<ForceQuote>,
}

fn refused(what: String) -> Error {
    Error::Unsupported(format!("COPY with {what}"))
}

/// Reads what stands behind `TO STDOUT`.
///
/// # Errors
/// An option is not known, stands twice, or does not go with the format.
pub(crate) fn read(text: &str) -> Result<CopyForm, Error> {
    if text.len() > BYTES_MAX {
        return Err(refused(format!("more than {BYTES_MAX} bytes of options")));
    }
    let mut words: Vec<&str> = Words::of(text).map(|(word, _)| word).collect();
    words.reverse();
    let mut read = Reading { words, listed: false };
    read.taken("WITH");
    read.listed = read.taken("(");
    let mut written = Written::default();
    while !read.words.is_empty() {
        read.option(&mut written)?;
        if read.listed && !read.taken(",") {
            return match (read.taken(")"), read.words.is_empty()) {
                (true, true) => written.form(),
                _ => Err(refused("options without their closing parenthesis".to_owned())),
            };
        }
    }
    if read.listed {
        Err(refused("options without their closing parenthesis".to_owned()))
    } else {
        written.form()
    }
}

/// Words that are still to be read, the next one last.
struct Reading<'a> {
    words: Vec<&'a str>,
    /// In parentheses, as since PostgreSQL 9.
    listed: bool,
}

impl Reading<'_> {
    /// Takes a word if it is the next one.
    fn taken(&mut self, word: &str) -> bool {
        let next = self.words.last().is_some_and(|next| next.eq_ignore_ascii_case(word));
        if next {
            self.words.pop();
        }
        next
    }

    fn option(&mut self, written: &mut Written) -> Result<(), Error> {
        let word = self.words.pop().unwrap_or_default().to_uppercase();
        let twice = match word.as_str() {
            "FORMAT" if self.listed => written.format.replace(self.text("FORMAT")?.to_lowercase()).is_some(),
            "CSV" | "BINARY" if !self.listed => written.format.replace(word.to_lowercase()).is_some(),
            "DELIMITER" => written.delimiter.replace(self.text("DELIMITER")?).is_some(),
            "NULL" => written.null.replace(self.text("NULL")?).is_some(),
            "QUOTE" => written.quote.replace(self.text("QUOTE")?).is_some(),
            "ESCAPE" => written.escape.replace(self.text("ESCAPE")?).is_some(),
            "HEADER" => written.header.replace(self.truth()?).is_some(),
            "FORCE_QUOTE" if self.listed => written.force_quote.replace(self.columns()?).is_some(),
            "FORCE" if !self.listed && self.taken("QUOTE") => {
                written.force_quote.replace(self.columns()?).is_some()
            }
            "ENCODING" => {
                let encoding = self.text("ENCODING")?;
                if !matches!(encoding.to_uppercase().as_str(), "UTF8" | "UTF-8" | "UNICODE") {
                    return Err(Error::Encoding(encoding));
                }
                false
            }
            _ => return Err(refused(format!("the option {word}"))),
        };
        if twice { Err(refused(format!("{word} twice"))) } else { Ok(()) }
    }

    /// The text of an option: quoted, or a word.
    fn text(&mut self, option: &str) -> Result<String, Error> {
        if !self.listed {
            self.taken("AS");
        }
        let escaped = self.taken("E");
        match self.words.pop() {
            Some(word) if escaped && word.starts_with('\'') => unescaped(&value(word)),
            Some(word)
                if !escaped && (word.starts_with('\'') || self.listed) && !matches!(word, "," | ")") =>
            {
                Ok(value(word))
            }
            _ => Err(refused(format!("{option} without its value"))),
        }
    }

    /// Whether an option is on: that it stands there says so.
    fn truth(&mut self) -> Result<bool, Error> {
        let Some(word) = self.words.last().filter(|word| self.listed && !matches!(**word, "," | ")")) else {
            return Ok(true);
        };
        let truth = match value(word).to_lowercase().as_str() {
            "true" | "on" | "1" => true,
            "false" | "off" | "0" => false,
            other => return Err(refused(format!("HEADER {other}"))),
        };
        self.words.pop();
        Ok(truth)
    }

    /// `*`, or names, in parentheses where the options are.
    fn columns(&mut self) -> Result<ForceQuote, Error> {
        if self.taken("*") {
            return Ok(ForceQuote::All);
        }
        let wrong = || refused("FORCE_QUOTE without its columns".to_owned());
        if self.listed && !self.taken("(") {
            return Err(wrong());
        }
        let mut names = Vec::new();
        loop {
            names.push(name(self.words.pop().ok_or_else(wrong)?));
            if !self.taken(",") {
                break;
            }
        }
        if self.listed && !self.taken(")") {
            return Err(wrong());
        }
        Ok(ForceQuote::Columns(names))
    }
}

/// `E'\t'`.
fn unescaped(text: &str) -> Result<String, Error> {
    let mut made = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            made.push(letter);
            continue;
        }
        match letters.next() {
            Some('t') => made.push('\t'),
            Some('n') => made.push('\n'),
            Some('r') => made.push('\r'),
            Some('b') => made.push('\x08'),
            Some('f') => made.push('\x0C'),
            Some('x') => {
                let digits: String = letters.by_ref().take(2).collect();
                match u8::from_str_radix(&digits, 16) {
                    Ok(byte) if byte.is_ascii() && byte > 0 && digits.len() == 2 => {
                        made.push(char::from(byte))
                    }
                    _ => return Err(refused(format!("the text E'{text}'"))),
                }
            }
            Some(same @ ('\\' | '\'')) => made.push(same),
            _ => return Err(refused(format!("the text E'{text}'"))),
        }
    }
    Ok(made)
}

/// One byte, which ends no line.
fn byte(option: &str, text: Option<String>, default: u8) -> Result<u8, Error> {
    let Some(text) = text else { return Ok(default) };
    match text.as_bytes() {
        [byte] if !matches!(byte, b'\n' | b'\r') => Ok(*byte),
        _ => Err(refused(format!("the {option} '{text}', which is not one single byte"))),
    }
}

impl Written {
    fn form(self) -> Result<CopyForm, Error> {
        let csv = match self.format.as_deref() {
            None | Some("text") => false,
            Some("csv") => true,
            Some("binary") => {
                let plain = self.delimiter.is_none()
                    && self.null.is_none()
                    && self.header.is_none()
                    && self.quote.is_none()
                    && self.escape.is_none()
                    && self.force_quote.is_none();
                return if plain {
                    Ok(CopyForm::Binary)
                } else {
                    Err(refused("options of texts in the format binary".to_owned()))
                };
            }
            Some(other) => return Err(refused(format!("the format {other}"))),
        };
        if !csv && (self.quote.is_some() || self.escape.is_some() || self.force_quote.is_some()) {
            return Err(refused("quotes in another format than csv".to_owned()));
        }
        let delimiter = byte("delimiter", self.delimiter, if csv { b',' } else { b'\t' })?;
        let quote = byte("quote", self.quote, b'"')?;
        let options = CopyOptions {
            delimiter,
            null: self.null.unwrap_or_else(|| if csv { String::new() } else { "\\N".to_owned() }),
            header: self.header.unwrap_or_default(),
            quote,
            escape: byte("escape", self.escape, quote)?,
            force_quote: self.force_quote.unwrap_or_else(|| ForceQuote::Columns(Vec::new())),
        };
        let null = options.null.as_bytes();
        let plain =
            |byte: u8| matches!(byte, b'\\' | b'.') || byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if null.iter().any(|byte| matches!(byte, b'\n' | b'\r') || *byte == delimiter)
            || (csv && (quote == delimiter || null.contains(&quote)))
            || (!csv && plain(delimiter))
        {
            return Err(refused("a delimiter, quote and NULL that cannot be told apart".to_owned()));
        }
        Ok(if csv { CopyForm::Csv(options) } else { CopyForm::Text(options) })
    }
}
