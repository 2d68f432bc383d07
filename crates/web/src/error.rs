//! What the doors of this room refuse by themselves, with the place in the request. What other rooms refuse comes as
//! a [`Problem`] and passes through unchanged.

use tidemill_core::{Code, Problem, codes};

/// Why a request, or one line or sample of it, was refused.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("the line has no measurement: write measurement,tag=value field=value time")]
    NoMeasurement,
    #[error("the line has no field: write measurement field=value")]
    NoFields,
    #[error("a tag has no name: write name=value between commas")]
    NoTagKey,
    #[error("the tag '{0}' has no value: leave the tag out, or give it one")]
    NoTagValue(String),
    #[error("the tag '{0}' stands twice: a line has each tag once")]
    TagTwice(String),
    #[error("the tag '{0}' has an '=' in its value: write it as \\=")]
    TagEquals(String),
    #[error("a field has no name: write name=value")]
    NoFieldKey,
    #[error("the field '{0}' has no value: write 1.5, 3i, 3u, true or \"text\"")]
    NoFieldValue(String),
    #[error("the field '{0}' stands twice: a line has each field once")]
    FieldTwice(String),
    #[error("the line has more than {0} fields: write it as several lines")]
    ManyFields(usize),
    #[error(
        "'{0}' is no field value: write 1.5, 3i, 3u, true or \"text\"; NaN and infinities have no form here"
    )]
    FieldValue(String),
    #[error("'{0}' does not fit a 64-bit integer: leave the suffix away to write a float")]
    IntegerRange(String),
    #[error("'{0}u' is negative, and the suffix u is for whole numbers from 0: write '{0}i'")]
    Negative(String),
    #[error("'{0}' does not fit a 64-bit float")]
    FloatRange(String),
    #[error("the text has no closing quote")]
    OpenText,
    #[error("'{0}' is no timestamp: write a whole number in the unit of precision=")]
    Timestamp(String),
    #[error("the time {0} in the given unit is outside the years 1677 to 2262: is precision= right?")]
    TimeRange(String),
    #[error("the time {0} has an exponent: write all its digits")]
    TimeExponent(String),
    #[error("something follows the timestamp: '{0}'")]
    AfterTimestamp(String),
    #[error("the text is not UTF-8")]
    NotUtf8,
    #[error("the body is no protobuf of remote write: {0}")]
    Protobuf(&'static str),
    #[error("the series has no label __name__: it says how the metric is called")]
    NoMetricName,
    #[error("a label has no name")]
    NoLabelName,
    #[error("the label '{0}' stands twice: a series has each label once")]
    LabelTwice(String),
    #[error("the series has more than {0} labels: drop some by write_relabel_configs")]
    ManyLabels(usize),
    #[error(
        "native histograms have no form here: send classic ones, or drop them by send_native_histograms: false"
    )]
    Histogram,
    #[error("the time {0} ms is outside the years 1677 to 2262")]
    MillisRange(i64),
    #[error("the JSON cannot be read: {0}")]
    Json(&'static str),
    #[error("the JSON is nested deeper than {0} levels")]
    JsonDepth(usize),
    #[error("the member '{0}' stands twice in one object")]
    JsonTwice(String),
    #[error("a sample has no member '{0}': known are signal, time, value, quality, kind, unit")]
    JsonMember(String),
    #[error("the sample has no '{0}'")]
    JsonMissing(&'static str),
    #[error("'{member}' must be {wanted}")]
    JsonType { member: &'static str, wanted: &'static str },
    #[error(
        "the unit is '{said}', and that of {signal} is '{unit}': convert the value, or change the unit of the signal"
    )]
    OtherUnit { signal: String, said: String, unit: String },
    #[error("the unit has {bytes} bytes and at most {bytes_max} are kept: shorten it, or leave it out")]
    UnitTooLong { bytes: usize, bytes_max: usize },
    #[error("the value is not of the kind '{kind}': {why}")]
    KindMismatch { kind: String, why: &'static str },
    #[error(
        "the text has {bytes} bytes and limits.text_sample_bytes is {bytes_max}: shorten it, or raise the limit"
    )]
    TextTooLong { bytes: usize, bytes_max: usize },
    #[error(
        "the text of the field '{field}' has {bytes} bytes and limits.text_sample_bytes is {bytes_max}: shorten it, or raise the limit"
    )]
    FieldTooLong { field: String, bytes: usize, bytes_max: usize },
    #[error(
        "{time} is further {direction} the clock than {limit} allows: check the sender's clock and unit, or raise the limit"
    )]
    FarTime { time: String, direction: &'static str, limit: &'static str },
    #[error("'{0}' is no time: write RFC 3339 with an offset, now, -1h, or a number with unit=s|ms|us|ns")]
    Time(String),
    #[error(transparent)]
    Problem(Box<Problem>),
}

impl Error {
    /// The code that clients may rely on.
    pub fn code(&self) -> &'static Code {
        match self {
            Error::NotUtf8 | Error::Protobuf(_) => &codes::BAD_ENCODING,
            Error::Timestamp(_)
            | Error::TimeRange(_)
            | Error::TimeExponent(_)
            | Error::MillisRange(_)
            | Error::AfterTimestamp(_)
            | Error::FarTime { .. }
            | Error::Time(_) => &codes::BAD_TIME,
            Error::FieldValue(_)
            | Error::IntegerRange(_)
            | Error::Negative(_)
            | Error::FloatRange(_)
            | Error::KindMismatch { .. }
            | Error::Histogram
            | Error::TextTooLong { .. }
            | Error::FieldTooLong { .. } => &codes::BAD_VALUE,
            Error::OtherUnit { .. } | Error::UnitTooLong { .. } => &codes::BAD_UNIT,
            Error::Json(_)
            | Error::JsonDepth(_)
            | Error::JsonTwice(_)
            | Error::JsonMember(_)
            | Error::JsonMissing(_)
            | Error::JsonType { .. } => &codes::BAD_JSON,
            Error::NoMetricName | Error::NoLabelName | Error::LabelTwice(_) | Error::ManyLabels(_) => {
                &codes::BAD_SERIES
            }
            Error::Problem(problem) => problem.code,
            _ => &codes::BAD_LINE,
        }
    }

    /// The same of a field of a line, where it is its text.
    pub(crate) fn of_field(self, key: &[u8]) -> Error {
        match self {
            Error::TextTooLong { bytes, bytes_max } => {
                Error::FieldTooLong { field: excerpt(key), bytes, bytes_max }
            }
            other => other,
        }
    }

    /// What to do, where the code knows too little of it: its own speaks of how people write times and values.
    fn hint(&self) -> &'static str {
        match self {
            Error::Timestamp(_) | Error::AfterTimestamp(_) | Error::TimeRange(_) => {
                "Write a number of nanoseconds, or say with precision= what it counts (us, ms, s)"
            }
            Error::MillisRange(_) => "Check the clock of what is scraped: times are milliseconds since 1970",
            Error::Histogram => "Keep the classic ones: always_scrape_classic_histograms: true",
            Error::Protobuf(_) => "Send prometheus.WriteRequest (remote write 1.0) in snappy's block format",
            Error::FarTime { .. } => "Check the sender's clock and the unit of its times, or raise the limit",
            _ => "",
        }
    }

    /// As every door tells it.
    pub fn into_problem(self) -> Problem {
        match self {
            Error::Problem(problem) => *problem,
            error => {
                let problem = Problem::new(error.code(), error.to_string());
                match error.hint() {
                    "" => problem,
                    hint => problem.hint(hint),
                }
            }
        }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Error {
        Error::Problem(Box::new(problem))
    }
}

/// A line or a sample that was refused, and where it stands: line and column from 1, the column in characters.
#[derive(Debug)]
pub struct Refused {
    /// Its line.
    pub line: u64,
    /// The column where reading stopped making sense.
    pub column: u64,
    /// Why.
    pub error: Error,
}

impl Refused {
    /// As a problem with its place.
    pub fn into_problem(self) -> Problem {
        self.error.into_problem().at(self.line, self.column)
    }
}

/// An error at an offset of the body, before its line and column are known.
#[derive(Debug)]
pub struct Fault {
    /// Bytes from the start of the body.
    pub at: usize,
    /// Why.
    pub error: Error,
}

impl Fault {
    /// The same in a text of which this one's begins at an offset.
    #[must_use]
    pub fn within(self, start: usize) -> Fault {
        Fault { at: start.saturating_add(self.at), ..self }
    }
}

/// The beginning of foreign text, for a message: at most 40 characters.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    let head = bytes.get(..160).unwrap_or(bytes);
    String::from_utf8_lossy(head).chars().take(40).collect()
}

/// Where a text begins: behind the byte order mark that editors put there, which belongs to nothing.
pub(crate) fn text_start(body: &[u8]) -> usize {
    let mark = "\u{feff}".as_bytes();
    if body.starts_with(mark) { mark.len() } else { 0 }
}

/// The column of an offset, in characters from 1.
pub(crate) fn column(body: &[u8], line_start: usize, at: usize) -> u64 {
    let before = body.get(line_start..at).unwrap_or_default();
    let characters = String::from_utf8_lossy(before).chars().count();
    u64::try_from(characters).unwrap_or(u64::MAX).saturating_add(1)
}
