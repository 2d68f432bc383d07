//! What the door says: messages of the PostgreSQL protocol, written one behind the other. Rows are not here: they come
//! finished.

use tidemill_core::{Code, Problem, codes};

use crate::Error;

/// Messages that wait to be sent.
#[derive(Debug, Default)]
pub(crate) struct Out(pub(crate) Vec<u8>);

/// Where a session stands, as `ReadyForQuery` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transaction {
    /// In none.
    Idle,
    /// In one.
    Open,
    /// In one in which something failed.
    Failed,
}

impl Out {
    fn message(&mut self, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
        self.0.push(tag);
        let place = self.0.len();
        self.0.extend([0; 4]);
        body(&mut self.0);
        let length = u32::try_from(self.0.len() - place).unwrap_or(u32::MAX);
        if let Some(room) = self.0.get_mut(place..place + 4) {
            room.copy_from_slice(&length.to_be_bytes());
        }
    }

    pub(crate) fn ask_password(&mut self) {
        self.message(b'R', |out| out.extend(3_u32.to_be_bytes()));
    }

    pub(crate) fn welcome(&mut self) {
        self.message(b'R', |out| out.extend(0_u32.to_be_bytes()));
    }

    /// Only 3.0 is spoken, and none of these options.
    pub(crate) fn negotiate(&mut self, options: &[&str]) {
        self.message(b'v', |out| {
            out.extend(0_u32.to_be_bytes());
            out.extend(u32::try_from(options.len()).unwrap_or(u32::MAX).to_be_bytes());
            options.iter().for_each(|option| text(option, out));
        });
    }

    pub(crate) fn setting(&mut self, name: &str, value: &str) {
        self.message(b'S', |out| {
            text(name, out);
            text(value, out);
        });
    }

    pub(crate) fn key(&mut self, process: i32, secret: [u8; 4]) {
        self.message(b'K', |out| {
            out.extend(process.to_be_bytes());
            out.extend(secret);
        });
    }

    pub(crate) fn ready(&mut self, transaction: Transaction) {
        let letter = match transaction {
            Transaction::Idle => b'I',
            Transaction::Open => b'T',
            Transaction::Failed => b'E',
        };
        self.message(b'Z', |out| out.push(letter));
    }

    pub(crate) fn complete(&mut self, tag: &str) {
        self.message(b'C', |out| text(tag, out));
    }

    /// A message without a body: `EmptyQueryResponse`, `ParseComplete` and their like.
    pub(crate) fn plain(&mut self, tag: u8) {
        self.message(tag, |_| ());
    }

    /// The types of a statement's parameters.
    pub(crate) fn parameters(&mut self, types: &[u32]) {
        self.message(b't', |out| {
            out.extend(u16::try_from(types.len()).unwrap_or(u16::MAX).to_be_bytes());
            types.iter().for_each(|kind| out.extend(kind.to_be_bytes()));
        });
    }

    /// Rows follow as data of COPY, of so many columns.
    pub(crate) fn copy_begins(&mut self, columns: u16, binary: bool) {
        self.message(b'H', |out| {
            out.push(u8::from(binary));
            out.extend(columns.to_be_bytes());
            (0..columns).for_each(|_| out.extend(u16::from(binary).to_be_bytes()));
        });
    }

    pub(crate) fn copy(&mut self, data: &[u8]) {
        self.message(b'd', |out| out.extend(data));
    }

    pub(crate) fn copy_ends(&mut self) {
        self.message(b'c', |_| ());
    }

    /// Something worth saying that is no error.
    pub(crate) fn warning(&mut self, what: &str, hint: &str) {
        self.message(b'N', |out| {
            field(b'S', "WARNING", out);
            field(b'V', "WARNING", out);
            field(b'C', "01000", out);
            field(b'M', what, out);
            field(b'H', hint, out);
            out.push(0);
        });
    }

    pub(crate) fn error(&mut self, told: &Told) {
        let severity = if told.fatal { "FATAL" } else { "ERROR" };
        self.message(b'E', |out| {
            field(b'S', severity, out);
            field(b'V', severity, out);
            field(b'C', told.state, out);
            field(b'M', &told.what, out);
            field(b'D', &format!("code {}", told.code.id), out);
            field(b'H', &told.hint, out);
            if let Some(position) = told.position {
                field(b'P', &position.to_string(), out);
            }
            out.push(0);
        });
    }
}

/// Text up to its closing zero; it never holds one.
fn text(text: &str, out: &mut Vec<u8>) {
    out.extend(text.bytes().filter(|byte| *byte != 0));
    out.push(0);
}

fn field(tag: u8, value: &str, out: &mut Vec<u8>) {
    if !value.is_empty() {
        out.push(tag);
        text(value, out);
    }
}

/// An error as it is told.
#[derive(Debug)]
pub(crate) struct Told {
    state: &'static str,
    code: &'static Code,
    what: String,
    hint: String,
    /// In letters from 1.
    position: Option<usize>,
    /// Whether the connection ends with it.
    pub(crate) fatal: bool,
}

/// Invalid password.
pub(crate) const WRONG_PASSWORD: &str = "28P01";
/// In a failed transaction.
const FAILED: &str = "25P02";

impl Told {
    /// Of an error, in this text.
    pub(crate) fn of(error: Error, text: &str) -> Told {
        let own = match &error {
            Error::Protocol(_) => Some("08P01"),
            Error::TooLarge { .. } | Error::TooMany { .. } => Some("54000"),
            Error::Unsupported(_) => Some("0A000"),
            Error::Unknown { what: "cursor" | "portal", .. } => Some("34000"),
            Error::Unknown { what: "setting", .. } => Some("42704"),
            Error::Unknown { .. } => Some("26000"),
            Error::Parameter(_) => Some("22P02"),
            Error::InFailed => Some(FAILED),
            Error::Cancelled => Some("57014"),
            Error::Encoding(_) => Some("22023"),
            Error::Fixed(_) => Some("55P02"),
            Error::NotUtf8 => Some("22021"),
            Error::ReadOnly(_) | Error::Problem(_) => None,
        };
        let fatal = matches!(error, Error::Protocol(_) | Error::TooLarge { .. });
        let problem = error.into_problem();
        let state = own.unwrap_or_else(|| state_of(&problem));
        let position = problem.place.and_then(|place| position(text, place));
        let hint = problem.mend().to_owned();
        Told { state, code: problem.code, what: problem.detail, hint, position, fatal }
    }

    /// With a state of its own; the session ends with it.
    pub(crate) fn fatal(state: &'static str, problem: Problem) -> Told {
        Told { state, fatal: true, ..Told::of(problem.into(), "") }
    }
}

impl Told {
    /// Of a statement that is a part of a text: its place is told in the whole.
    pub(crate) fn within(self, text: &str, one: &str) -> Told {
        let begin = (one.as_ptr() as usize).checked_sub(text.as_ptr() as usize);
        let before = begin.and_then(|begin| text.get(..begin)).map_or(0, |before| before.chars().count());
        Told { position: self.position.map(|position| position + before), ..self }
    }
}

/// The SQLSTATE of a problem.
fn state_of(problem: &Problem) -> &'static str {
    const STATES: [(&Code, &str); 16] = [
        (&codes::READ_ONLY, "25006"),
        (&codes::QUERY_TIME, "57014"),
        (&codes::QUERY_MEMORY, "53200"),
        (&codes::QUERY_ROWS, "54000"),
        (&codes::BUSY, "53300"),
        (&codes::SHARE_EXCEEDED, "53300"),
        (&codes::FORBIDDEN, "42501"),
        (&codes::UNAUTHENTICATED, WRONG_PASSWORD),
        // What a client may begin again.
        (&codes::RIGHTS_CHANGED, "40001"),
        (&codes::STOPPING, "57P01"),
        (&codes::DAMAGED, "XX001"),
        (&codes::UNSUPPORTED_FORMAT, "0A000"),
        (&codes::TOO_LARGE, "54000"),
        (&codes::BAD_TIME, "22007"),
        (&codes::BAD_PARAMETER, "22023"),
        (&codes::BAD_PATH, "22023"),
    ];
    // What cannot be run is told apart by what is said of it.
    const SAID: [(&str, &str); 9] = [
        ("division by zero", "22012"),
        ("a number does not fit", "22003"),
        ("Cannot cast string", "22P02"),
        ("Error parsing timestamp", "22007"),
        ("there is no table function", "42883"),
        ("there is no table", "42P01"),
        ("there is no relation", "42P01"),
        ("there is no column", "42703"),
        ("there is no function", "42883"),
    ];
    if problem.code.id == codes::BAD_SQL.id {
        let said = SAID.iter().find(|(words, _)| problem.detail.starts_with(words));
        return said.map_or("42601", |(_, state)| state);
    }
    STATES.iter().find(|(code, _)| code.id == problem.code.id).map_or("XX000", |(_, state)| state)
}

/// Where a place is, in letters from 1.
fn position(text: &str, (line, column): (u64, u64)) -> Option<usize> {
    let line = usize::try_from(line.checked_sub(1)?).ok()?;
    let column = usize::try_from(column).ok().filter(|column| *column > 0)?;
    let before: usize = text.split('\n').take(line).map(|line| line.chars().count() + 1).sum();
    Some(before + column)
}
