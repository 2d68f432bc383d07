//! Why a file cannot be imported as it is, what is asked, and the option that answers.

use tidemill_core::{Problem, codes};

use super::columns::Place;

/// What stops an import before its first sample.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub(crate) enum Error {
    #[error("{0} cannot be read: {1}")]
    Io(String, std::io::Error),
    #[error("{0} is empty")]
    Empty(String),
    #[error("{0} is {1}, and cannot be read as it is")]
    Foreign(String, &'static str, &'static str),
    #[error("{0} has no rows with anything in them")]
    NoRows(String),
    #[error(
        "{0} is neither CSV, line protocol, JSON, Parquet nor Arrow: its rows have no common number of fields"
    )]
    Unknown(String),
    #[error("{file} has no column with times. {seen}")]
    NoTime { file: String, seen: String, hint: &'static str },
    #[error("the column '{column}' of {file} has {what}")]
    Column { file: String, column: String, what: String, hint: &'static str },
    #[error("{file} has no column '{wanted}'. Its columns: {columns}")]
    NoColumn { file: String, wanted: String, columns: String },
    #[error("{file} has no column with values besides its times")]
    NoValue { file: String },
    #[error("{file} has {columns} columns with values, and --signal names one: {names}")]
    ManyValues { file: String, columns: usize, names: String },
    #[error("each row of {0} names its signal, so that --signal cannot")]
    Named(String),
    #[error("the header of {file} has {header} fields, its rows have {rows}")]
    HeaderWidth { file: String, header: usize, rows: usize },
    #[error("{place} may be {readings}, and no row of the file decides it")]
    DayOrMonth { place: String, readings: String, hint: &'static str },
    #[error(
        "{file} has dates that can only be day first ('{day_first}') and others that can only be month first ('{month_first}')"
    )]
    BothOrders { file: String, day_first: String, month_first: String },
    #[error("{place} may be {comma} ({comma_is}) or {point} ({point_is}), and no row of the file decides it")]
    DecimalMark {
        place: String,
        comma: String,
        comma_is: &'static str,
        point: String,
        point_is: &'static str,
    },
    #[error(
        "the one column of {0} adds nothing to the prefix, so that the values of all these files would be one signal"
    )]
    Merged(String),
    #[error(
        "{0} and {1} would have their values in the same signals: their names are those of the files, and are alike"
    )]
    Twins(String, String),
    #[error(
        "rows of {file} that have one time differ in '{columns}' ({unit} {} and {}), so that values of different things would be one signal",
        places.0, places.1
    )]
    Split { file: String, columns: String, unit: &'static str, places: (u64, u64), hint: String },
    #[error("{option} says nothing of {file}: each of its lines says itself what it is")]
    Useless { file: String, option: &'static str },
    #[error("{0} holds more than one table: in line {1} another begins below a header of its own")]
    TwoHeaders(String, u64),
    #[error("{0} has no column that counts from the start")]
    NoStep(String),
    #[error("{0} breaks off: its packed stream has no end. The {1} rows before that were read")]
    Cut(String, u64),
    #[error("{0}")]
    Path(String),
}

impl Error {
    /// Times of the sizes of two units: some may be faults.
    pub(super) fn epoch_sizes(file: &str, column: &str, (line, most): &Place, (other, few): &Place) -> Error {
        let what = format!(
            "numbers of two sizes: some are like '{most}' (line {line}), and others like '{few}' (line {other})"
        );
        let hint = "Say the unit of them all with --time-format s, ms, us or ns";
        Error::Column { file: file.to_owned(), column: column.to_owned(), what, hint }
    }

    /// Whether another reading of the same bytes may fare better.
    pub(super) fn is_unrecognised(&self) -> bool {
        matches!(
            self,
            Error::NoTime { .. }
                | Error::NoRows(_)
                | Error::NoValue { .. }
                | Error::Unknown(_)
                | Error::HeaderWidth { .. }
        )
    }

    /// Whether the rest of the file may hold the answer.
    pub(super) fn is_question(&self) -> bool {
        matches!(self, Error::DayOrMonth { .. } | Error::DecimalMark { .. } | Error::Column { .. })
    }

    fn hint(&self) -> &str {
        match self {
            // The system has a number for what it refuses.
            Error::Io(_, cause) if cause.raw_os_error().is_none() => "It is damaged: fetch it again, whole",
            Error::Io(..) => "Check the name and that the file may be read",
            Error::Empty(_) | Error::NoRows(_) => "Check that the export was finished",
            Error::Foreign(_, _, hint) | Error::Column { hint, .. } | Error::NoTime { hint, .. } => hint,
            Error::Unknown(_) => "Export it as CSV with a header, separated by ',' or ';'",
            Error::NoColumn { .. } => "Name a column as the header spells it, or by its number from 1",
            Error::NoValue { .. } => "Name the column with --value COLUMN",
            Error::ManyValues { .. } => {
                "Name one with --value COLUMN, or give --prefix PATH to import them all"
            }
            Error::Named(_) => "Use --prefix PATH to put something before the names",
            Error::HeaderWidth { .. } => {
                "Mend the header so that each column has one name; where numbers have decimal commas, separate the columns by ';'"
            }
            Error::DayOrMonth { hint, .. } => hint,
            Error::BothOrders { .. } => {
                "Say which with --time-format dmy or --time-format mdy; rows of the other order are then rejected"
            }
            Error::DecimalMark { .. } => "Say which with --decimal comma or --decimal point",
            Error::Merged(_) => {
                "Name each file in the prefix: --prefix 'PATH/{file}'; or say that they are one: --signal PATH"
            }
            Error::Twins(..) => {
                "Tell them apart by their folders: --prefix 'PATH/{folder}/{file}'; or, if they are of one thing, import one after the other"
            }
            Error::Split { hint, .. } => hint,
            Error::Useless { .. } => "Import it without that option",
            Error::TwoHeaders(..) => "Cut it into one file for each header, and import each",
            Error::NoStep(_) => "Say how far apart its rows are: --step 3m, 1d, 1mo",
            Error::Cut(..) => {
                "Fetch the whole file and import it in the same way: what is there already is not doubled"
            }
            Error::Path(_) => "Name it with --signal PATH or --prefix PATH; see docs/reference/names.md",
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let code = match &error {
            Error::Path(_) => &codes::BAD_PATH,
            Error::Cut(..) => &codes::IMPORT_CUT,
            Error::Io(_, cause) if cause.kind() == std::io::ErrorKind::NotFound => &codes::NOT_FOUND,
            _ => &codes::BAD_IMPORT,
        };
        Problem::new(code, error.to_string()).hint(error.hint())
    }
}
