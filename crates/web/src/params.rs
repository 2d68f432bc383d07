//! Query strings: decoded as forms are, with what surface.md promises for patterns and times. A parameter that a call
//! does not know is refused, so that a misspelt one never changes an answer silently.

use axum::http::Uri;
use tidemill_core::{Pattern, Problem, SignalPath, codes};

use crate::times::{TimeUnit, parse_query_time};

/// The parameters of a request, in order.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads the query string of a request that knows these parameters.
    pub(crate) fn of(uri: &Uri, known: &[&str]) -> Result<Params, Problem> {
        let params = Params::parse(uri.query().unwrap_or_default())?;
        if let Some((name, _)) = params.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            let name: String = name.chars().take(40).collect();
            let detail = format!("this call has no parameter '{name}'; it knows {}", known.join(", "));
            return Err(Problem::new(&codes::BAD_PARAMETER, detail));
        }
        Ok(params)
    }

    /// Reads a query string with whatever parameters.
    pub(crate) fn parse(query: &str) -> Result<Params, Problem> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let decoded = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((form_decode(name)?, form_decode(value)?))
        });
        decoded.collect::<Result<_, Problem>>().map(Params)
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that may stand once.
    pub(crate) fn one<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, Problem> {
        let mut values = self.all(name);
        let first = values.next();
        match values.next() {
            Some(_) => {
                Err(Problem::new(&codes::BAD_PARAMETER, format!("the parameter '{name}' stands twice")))
            }
            None => Ok(first),
        }
    }

    /// A parameter of few known values.
    pub(crate) fn choice<T>(
        &self,
        name: &str,
        default: T,
        known: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Problem> {
        match self.one(name)? {
            None => Ok(default),
            Some(text) => read(text).ok_or_else(|| bad(name, text, known)),
        }
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let read = |text: &str| text.parse().map_err(|_| bad(name, text, "a whole number from 0"));
        self.one(name)?.map(read).transpose()
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        self.choice(name, false, "true or false", |text| match text {
            "true" | "1" | "" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        })
    }

    /// A time, relative to `now` if it says so; `unit=` says what a number counts.
    pub(crate) fn time(&self, name: &str, now: i64) -> Result<Option<i64>, Problem> {
        let unit = match self.one("unit")? {
            None => None,
            Some(text) => {
                Some(TimeUnit::from_name(text).ok_or_else(|| bad("unit", text, "ns, us, ms or s"))?)
            }
        };
        let read = |text: &str| parse_query_time(text, unit, now).map_err(Problem::from);
        self.one(name)?.map(read).transpose()
    }

    pub(crate) fn path(&self, name: &str) -> Result<SignalPath, Problem> {
        let missing = || {
            Problem::new(&codes::BAD_PARAMETER, format!("{name}= is missing in the address"))
                .hint(format!("Write it behind the path: ?{name}=acme/press/temperature"))
        };
        Ok(SignalPath::new(self.one(name)?.ok_or_else(missing)?)?)
    }
}

fn bad(name: &str, text: &str, known: &str) -> Problem {
    let text: String = text.chars().take(40).collect();
    Problem::new(&codes::BAD_PARAMETER, format!("{name}={text} cannot be read: write {known}"))
}

/// A pattern from a query string. A segment that is one space was a `+` before form decoding.
pub(crate) fn pattern(text: &str) -> Result<Pattern, Problem> {
    if !text.split('/').any(|level| level == " ") {
        return Ok(Pattern::new(text)?);
    }
    let levels: Vec<&str> = text.split('/').map(|level| if level == " " { "+" } else { level }).collect();
    Ok(Pattern::new(&levels.join("/"))?)
}

/// Undoes `application/x-www-form-urlencoded`: `+` is a space, `%XX` a byte; what is no escape stays as it is.
fn form_decode(text: &str) -> Result<String, Problem> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = after;
                }
                _ => out.push(byte),
            },
            (other, _) => out.push(other),
        }
    }
    String::from_utf8(out).map_err(|_| {
        Problem::new(&codes::BAD_ENCODING, "the query string is not UTF-8 after percent decoding")
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
