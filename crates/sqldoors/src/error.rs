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
    #[error("a session keeps at most {max} {what}: close some, or open another connection")]
    TooMany { what: &'static str, max: usize },
    #[error("there is no {what} '{name}' in this session")]
    Unknown { what: &'static str, name: String },
    #[error("{0}")]
    Parameter(String),
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
            | Error::NotUtf8
            | Error::InFailed => &codes::BAD_PARAMETER,
            Error::TooLarge { .. } | Error::TooMany { .. } => &codes::TOO_LARGE,
            Error::ReadOnly(_) => &codes::READ_ONLY,
            Error::Unsupported(_) => &codes::UNSUPPORTED_FORMAT,
            Error::Cancelled => &codes::QUERY_TIME,
            Error::Problem(problem) => problem.code,
        }
    }

    /// As every door tells it.
    pub fn into_problem(self) -> Problem {
        match self {
            Error::Problem(problem) => *problem,
            Error::Cancelled => {
                Problem::new(self.code(), self.to_string()).hint("Ask again if it is still wanted")
            }
            error => Problem::new(error.code(), error.to_string()),
        }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Error {
        Error::Problem(Box::new(problem))
    }
}
