//! What the doors of this room refuse by themselves. What other rooms refuse comes as a [`Problem`] and passes through
//! unchanged.

use tidemill_core::{Code, Problem, codes};

/// Why something a client sent was refused.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("the client sent what is no message of the protocol: {0}")]
    Protocol(&'static str),
    #[error("a message of {bytes} bytes is more than the {bytes_max} that are read at once")]
    TooLarge { bytes: u64, bytes_max: u64 },
    #[error("{0} is not allowed: this door only reads")]
    ReadOnly(String),
    #[error("{0} is not supported here")]
    Unsupported(String),
    #[error("a session keeps at most {max} {what}")]
    TooMany { what: &'static str, max: usize },
    #[error("there is no {what} '{name}' in this session")]
    Unknown { what: &'static str, name: String },
    #[error("{0}")]
    Parameter(String),
    #[error("the encoding '{0}' is not spoken; UTF8 is")]
    Encoding(String),
    #[error("the setting '{0}' cannot be changed")]
    Fixed(String),
    #[error("a text is not UTF-8")]
    NotUtf8,
    #[error("the transaction failed: nothing runs in it before its end")]
    InFailed,
    #[error("the query was cancelled")]
    Cancelled,
    #[error(transparent)]
    Problem(Box<Problem>),
}

impl Error {
    /// The code that clients may rely on.
    pub fn code(&self) -> &'static Code {
        match self {
            Error::Protocol(_)
            | Error::Unknown { .. }
            | Error::Parameter(_)
            | Error::Encoding(_)
            | Error::Fixed(_)
            | Error::NotUtf8
            | Error::InFailed => &codes::BAD_PARAMETER,
            Error::TooLarge { .. } | Error::TooMany { .. } => &codes::TOO_LARGE,
            Error::ReadOnly(_) => &codes::READ_ONLY,
            Error::Unsupported(_) => &codes::UNSUPPORTED_FORMAT,
            Error::Cancelled => &codes::QUERY_TIME,
            Error::Problem(problem) => problem.code,
        }
    }

    /// As both doors tell it: with a hint for those who came by them.
    pub fn into_problem(self) -> Problem {
        let (code, hint, detail) = (self.code(), self.hint(), self.to_string());
        match self {
            Error::Problem(problem) if problem.hint.is_empty() => problem.hint(hint),
            Error::Problem(problem) => *problem,
            _ => Problem::new(code, detail).hint(hint),
        }
    }

    /// What to do next. Codes have hints of their own, and some of those speak of HTTP.
    fn hint(&self) -> &'static str {
        const SPOKEN: &str = "See docs/reference/sql-clients.md for what this door speaks";
        const LONG: &str = "Say it in fewer words, or with parameters";
        match self {
            Error::Protocol(_) | Error::Unsupported(_) => SPOKEN,
            Error::Parameter(_) => "Give a value of the parameter's type, or cast it: $1::text",
            Error::TooLarge { .. } => LONG,
            Error::TooMany { .. } => "Close some (CLOSE, DEALLOCATE), or open another connection",
            Error::Unknown { what: "cursor", .. } => "DECLARE it first; it ends with its transaction",
            Error::Unknown { what: "setting", .. } => "SHOW ALL lists those that there are",
            Error::Unknown { .. } => "Prepare it first, by this connection",
            Error::NotUtf8 => "Send UTF-8: client_encoding is UTF8",
            Error::Encoding(_) => {
                "Set PGCLIENTENCODING=UTF8 for the client; on Windows also the console: chcp 65001"
            }
            Error::Fixed(_) => "SHOW ALL lists the settings and what they are",
            Error::InFailed => "End the transaction with ROLLBACK",
            Error::Cancelled => "Ask again if it is still wanted",
            Error::ReadOnly(_) => codes::READ_ONLY.mend,
            Error::Problem(problem) => match problem.code.id {
                "bad-parameter" | "unsupported-format" => SPOKEN,
                "too-large" => LONG,
                "bad-arrow" => {
                    "Send a column for each parameter, and a row for each time that the query runs"
                }
                "query-time" => "Ask for less time or fewer signals, or for means of intervals (date_bin)",
                "query-rows" => "Add LIMIT, or ask for means of intervals (date_bin)",
                "busy" => "Repeat in a moment",
                _ => problem.code.mend,
            },
        }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Error {
        Error::Problem(Box::new(problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_encoding_says_what_to_set() {
        let problem = Error::Encoding("WIN1252".to_owned()).into_problem();
        expect_test::expect!["the encoding 'WIN1252' is not spoken; UTF8 is. Set PGCLIENTENCODING=UTF8 for the client; on Windows also the console: chcp 65001"]
            .assert_eq(&format!("{}. {}", problem.detail, problem.mend()));
    }

    /// Nobody who speaks SQL by these doors is sent to the HTTP API, but to write.
    #[test]
    fn hints_fit_the_door() {
        let refused = codes::ALL.iter().map(|code| Error::from(Problem::new(code, "x")));
        let own = [
            Error::Protocol("x"),
            Error::TooLarge { bytes: 2, bytes_max: 1 },
            Error::Unsupported("x".to_owned()),
            Error::TooMany { what: "cursors", max: 1 },
            Error::Unknown { what: "cursor", name: "x".to_owned() },
            Error::Parameter("x".to_owned()),
            Error::Encoding("x".to_owned()),
            Error::Fixed("x".to_owned()),
            Error::NotUtf8,
            Error::InFailed,
            Error::Cancelled,
        ];
        // What only writing, importing and the HTTP API are refused with never comes by here.
        const ELSEWHERE: [&str; 4] = ["method-not-allowed", "read-only", "unauthenticated", "tls-required"];
        for error in own.into_iter().chain(refused) {
            let (code, problem) = (error.code().id, error.into_problem());
            let hint = problem.mend();
            let of_http =
                ["openapi", "points=", "Retry-After", "/api/", "http"].iter().any(|word| hint.contains(word));
            assert!(!hint.is_empty() && (!of_http || ELSEWHERE.contains(&code)), "{code}: {hint}");
        }
    }
}
