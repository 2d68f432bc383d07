//! What went wrong, as every door tells it: RFC 9457 problem documents with stable codes. Rooms have error enums of
//! their own; at the edge each becomes a [`Problem`]. The codes stand once, here; docs/reference/problems.md is made
//! from this table.

use std::fmt;
use std::io::ErrorKind;

/// A stable code with what is always true of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// The code that clients may rely on.
    pub id: &'static str,
    /// The HTTP status it goes with.
    pub status: u16,
    /// What it means, in one line.
    pub title: &'static str,
    /// What to do about it, where the problem itself has no better hint.
    pub mend: &'static str,
}

macro_rules! problem_codes {
    ($($constant:ident $id:literal $status:literal $title:literal $mend:literal;)*) => {
        /// Every code there is.
        pub mod codes {
            use super::Code;
            $(#[doc = concat!("`", $id, "`: ", $title)]
            pub static $constant: Code = Code { id: $id, status: $status, title: $title, mend: $mend };)*
            /// All of them, in the order of this file.
            pub static ALL: &[&Code] = &[$(&$constant),*];
        }
    };
}

problem_codes! {
    BAD_PATH "bad-path" 400 "the name is no legal path" "Write 1 to 16 segments joined by '/'; see docs/reference/names.md";
    BAD_PATTERN "bad-pattern" 400 "the pattern cannot be read" "Use + or * for one level, # or ** for the rest";
    BAD_TIME "bad-time" 400 "the time cannot be read" "Write RFC 3339 with an offset, or a number in the stated unit";
    BAD_VALUE "bad-value" 400 "the value cannot be kept" "Send a finite number, true or false, text, or a JSON document";
    BAD_QUALITY "bad-quality" 400 "the quality cannot be read" "Use good, uncertain, bad or an OPC UA status code";
    BAD_UNIT "bad-unit" 400 "the unit is not the signal's" "Convert the values, or change the unit of the signal: tidemill signals set NAME unit=…";
    BAD_LINE "bad-line" 400 "a line of line protocol cannot be read" "Mend the line: docs/reference/line-protocol.md says how it is written";
    BAD_SERIES "bad-series" 400 "the labels of a series cannot be a name" "Give each series one __name__ and each label once: docs/reference/line-protocol.md says what they become";
    PARTIAL_WRITE "partial-write" 400 "a part of the request was refused" "Mend what the detail names; what was kept is durable and need not be sent again";
    BAD_JSON "bad-json" 400 "the JSON cannot be read" "Send {\"signal\", \"time\", \"value\", \"quality\"} objects, in an array or one a line";
    BAD_ARROW "bad-arrow" 400 "the Arrow or Parquet data cannot be read" "Send columns signal, time, value and optionally quality";
    BAD_PARAMETER "bad-parameter" 400 "a parameter is unknown or cannot be read" "See /api/v1/openapi.json for this call's parameters";
    BAD_SQL "bad-sql" 400 "the SQL query cannot be run" "See docs/reference/sql.md for tables and functions";
    BAD_ENCODING "bad-encoding" 400 "the request body is not what its headers say" "Check Content-Encoding (gzip, zstd, snappy) and that the text is UTF-8";
    BAD_HOST "bad-host" 400 "the request does not say which host it asks, or says it twice" "Send one Host header, as HTTP/1.1 demands (RFC 9112, 3.2)";
    BAD_CONFIGURATION "bad-configuration" 400 "a configuration file has problems" "Mend what is listed; the old configuration stays in force";
    BAD_IMPORT "bad-import" 400 "the file cannot be imported as it is" "Name what cannot be recognised with --time, --value, --signal or --timezone";
    IMPORT_CUT "import-cut" 400 "the file breaks off; what stands before that was read" "Fetch the whole file and import it in the same way: what is there already is not doubled";
    UNSUPPORTED_FORMAT "unsupported-format" 415 "this format is not spoken here" "See /api/v1/openapi.json for the formats of this call";
    TOO_SLOW "too-slow" 408 "the body of the request did not come in time" "Send smaller requests, or over a better connection";
    TOO_LARGE "too-large" 413 "the request is larger than allowed" "Send it in parts";
    ADDRESS_TOO_LONG "address-too-long" 414 "the address of the request is too long" "Ask with wider patterns, or in several requests";
    HEAD_TOO_LARGE "head-too-large" 431 "the headers of the request are too large" "Send fewer or shorter headers: cookies and forwarding headers grow unseen";
    UNAUTHENTICATED "unauthenticated" 401 "it is not known who you are" "Send Authorization: Bearer TOKEN; `tidemill token create` makes one";
    FORBIDDEN "forbidden" 403 "you may not do this" "`tidemill access why WHO VERB PATH` says which rule decides";
    RIGHTS_CHANGED "rights-changed" 409 "what you may read has changed" "Ask again from the beginning: the answer is then what you may read now";
    READ_ONLY "read-only" 403 "this door only reads" "Use SELECT, EXPLAIN or SHOW; values are written by HTTP (/api/v1/write), MQTT or `tidemill import`";
    UNTRUSTED "untrusted" 502 "the certificate of the other side is not trusted" "If it is the plant's own, fetch its authority's certificate (`tidemill trust` on the plant's machine says where it is) and name it: --ca FILE";
    TLS_REQUIRED "tls-required" 400 "this listener speaks TLS" "Use https:// instead of http://; `tidemill trust` says how clients come to trust the plant's certificate. A token that was sent without TLS may be known to others: rotate it";
    NOT_OWNER "not-owner" 403 "the signal belongs to another writer" "Write as its owner, or change `owner` with `tidemill signals set`";
    NOT_FOUND "not-found" 404 "there is no such thing" "Check the name; `tidemill signals` lists what there is";
    NOT_ALLOWED "method-not-allowed" 405 "this address does not take that method" "See /api/v1/openapi.json";
    CONFLICT "conflict" 409 "someone else changed it meanwhile" "Read it again, then repeat the change";
    EXISTS "exists" 409 "there is already one of that name" "Choose another name";
    SIGNALS_LIMIT "signals-limit" 429 "no more signals are allowed" "Raise limits.signals, or delete signals that are not needed";
    SIGNALS_RATE "signals-rate" 429 "too many new signals in an hour from this identity" "Raise limits.signals_new_per_hour, or check why names keep changing";
    SHARE_EXCEEDED "share-exceeded" 429 "you have more waiting than your share" "Wait for acknowledgements before sending more";
    BUSY "busy" 503 "more is waiting for the disk than may wait" "Repeat after the time in Retry-After";
    DISK_FULL "disk-full" 507 "the disk is full, or has less room than storage.free_min and the log need" "Free space; writing goes on by itself";
    NOT_DURABLE "not-durable" 503 "it could not be made durable; the outcome is unknown" "Repeat the write: samples with times and requests with an Idempotency-Key are kept once";
    UNFINISHED "unfinished" 504 "it is recorded and is not done yet" "Nothing is to be sent again: it goes on by itself, also after a restart";
    STOPPING "stopping" 503 "the plant is stopping or starting" "Repeat in a moment";
    DAMAGED "damaged" 500 "a file is damaged" "Restore it from a backup; `tidemill check` lists what is affected";
    AUDIT_UNWRITABLE "audit-unwritable" 503 "the audit log cannot be written, so changes are refused" "See `tidemill check`; data goes on";
    QUERY_TIME "query-time" 422 "the query took longer than allowed" "Ask for less time, fewer signals, or points=";
    QUERY_MEMORY "query-memory" 422 "the query needs more memory than allowed" "Ask for less, or raise limits.memory";
    QUERY_ROWS "query-rows" 422 "the answer has more rows than allowed" "Add LIMIT, use points=, or export to a file";
    FILE_UNWRITABLE "file-unwritable" 500 "a file cannot be written" "Name another one, or see that its folder is yours and has room";
    FILE_UNREADABLE "file-unreadable" 500 "a file cannot be read" "See that it belongs to the user who asks, or to the plant's, and that the disk is well";
    NO_PLANT "no-plant" 404 "no plant was found" "`tidemill run` makes one; --plant DIR names one";
    MANY_PLANTS "many-plants" 409 "several plants run here" "Name one with --plant DIR";
    PLANT_LOCKED "plant-locked" 409 "the plant is already running" "Stop the other process, or use the commands that talk to it";
    NOT_RUNNING "not-running" 503 "the plant does not run" "Start it with `tidemill run`";
    ADDRESS_TAKEN "address-taken" 409 "another program listens there" "Stop it, or choose another address in tidemill.toml";
    BACKUP_DAMAGED "backup-damaged" 422 "the backup is damaged or not whole" "Use another backup; `tidemill backup verify FILE` lists what is wrong with this one";
    BACKUP_BASE "backup-base" 422 "a backup that this one builds upon is missing or another" "Put it beside this one, or name its file or folder with --base";
    NOT_EMPTY "not-empty" 409 "there is something already where the plant would go" "Name a folder that is new or empty";
    NEWER_FORMAT "newer-format" 409 "a file was written by a newer version" "Install that version or a later one; nothing was changed";
    INTERNAL "internal" 500 "something that should not happen did" "Please report it with the log lines around it; nothing acknowledged is lost";
}

/// One thing that went wrong: what failed, on what, and what to do next.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Which kind.
    pub code: &'static Code,
    /// What failed, on what.
    pub detail: String,
    /// What to do; empty for the code's own mend.
    pub hint: String,
    /// The first place in the request, where there is one: line and column, both from 1.
    pub place: Option<(u64, u64)>,
    /// How many seconds to wait before repeating.
    pub retry_after_s: Option<u32>,
}

impl Problem {
    /// A problem with its code's own hint.
    pub fn new(code: &'static Code, detail: impl Into<String>) -> Problem {
        Problem { code, detail: detail.into(), hint: String::new(), place: None, retry_after_s: None }
    }

    /// With a better hint than the code's own.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = hint.into();
        self
    }

    /// With the place in the request.
    #[must_use]
    pub fn at(mut self, line: u64, column: u64) -> Problem {
        self.place = Some((line, column));
        self
    }

    /// With a time to wait.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Problem {
        self.retry_after_s = Some(seconds);
        self
    }

    /// What to do next.
    pub fn mend(&self) -> &str {
        if self.hint.is_empty() { self.code.mend } else { &self.hint }
    }
}

impl Code {
    /// What a disk that refused means: [`codes::DISK_FULL`] where there is no room, else this.
    pub fn or_full(&'static self, refused: &std::io::Error) -> &'static Code {
        if is_full(refused) { &codes::DISK_FULL } else { self }
    }
}

/// Whether a disk refused because it has no room, or its user has none left.
pub fn is_full(refused: &std::io::Error) -> bool {
    matches!(refused.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.code.id, self.detail)?;
        if let Some((line, column)) = self.place {
            write!(out, " (line {line}, column {column})")?;
        }
        write!(out, ". {}", self.mend())
    }
}

impl std::error::Error for Problem {}

macro_rules! from_errors {
    ($($error:ty => $code:ident),* $(,)?) => {
        $(impl From<$error> for Problem {
            fn from(error: $error) -> Problem {
                Problem::new(&codes::$code, error.to_string())
            }
        })*
    };
}

from_errors! {
    crate::PathError => BAD_PATH,
    crate::PatternError => BAD_PATTERN,
    crate::TimeError => BAD_TIME,
    crate::QualityError => BAD_QUALITY,
    crate::Damaged => DAMAGED,
}

impl From<crate::NotDurable> for Problem {
    fn from(error: crate::NotDurable) -> Problem {
        let code = match error {
            crate::NotDurable::Disk(_) => &codes::NOT_DURABLE,
            crate::NotDurable::Full(_) => &codes::DISK_FULL,
            crate::NotDurable::Stopping => &codes::STOPPING,
        };
        Problem::new(code, error.to_string()).retry_after(1)
    }
}

impl From<crate::Busy> for Problem {
    fn from(error: crate::Busy) -> Problem {
        let code = match error {
            crate::Busy::Unsynced { .. } => &codes::BUSY,
            crate::Busy::Share { .. } => &codes::SHARE_EXCEEDED,
            crate::Busy::DiskFull { .. } => &codes::DISK_FULL,
            crate::Busy::Unwritable(_) => &codes::NOT_DURABLE,
            crate::Busy::Stopping => &codes::STOPPING,
            crate::Busy::TooLarge { .. } => return Problem::new(&codes::TOO_LARGE, error.to_string()),
        };
        let problem = Problem::new(code, error.to_string()).retry_after(1);
        match error {
            crate::Busy::DiskFull { .. } => problem.hint(
                "Free space, or keep less (storage.keep), or let writing use more of the disk (storage.free_min); writing goes on by itself",
            ),
            _ => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_lacks_little_says_how_little() {
        let full = crate::Busy::DiskFull { free_bytes: 1_288_490_189, needed_bytes: 1_288_510_669 };
        let problem = Problem::from(full);
        assert_eq!(
            problem.detail,
            "the disk has 1.2 GiB free, and writing takes 1.2 GiB, for storage.free_min and the log: 20.0 KiB more must be free"
        );
        assert!(problem.mend().contains("storage.keep") && problem.mend().contains("storage.free_min"));
    }

    #[test]
    fn codes_are_unique_and_complete() {
        let mut seen = std::collections::BTreeSet::new();
        for code in codes::ALL {
            assert!(seen.insert(code.id), "{} stands twice", code.id);
            assert!((400..600).contains(&code.status), "{}", code.id);
            assert!(!code.title.is_empty() && !code.mend.is_empty(), "{}", code.id);
            assert!(code.id.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", code.id);
        }
    }

    #[test]
    fn a_full_disk_is_told_from_a_broken_one() {
        let kinds = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::PermissionDenied];
        let told = kinds.map(|kind| codes::INTERNAL.or_full(&kind.into()).id);
        assert_eq!(told, ["disk-full", "disk-full", "internal"]);
        let told = kinds.map(|kind| Problem::from(crate::NotDurable::of(&kind.into())).code.id);
        assert_eq!(told, ["disk-full", "disk-full", "not-durable"]);
    }

    #[test]
    fn says_what_where_and_what_next() {
        let problem = Problem::new(&codes::BAD_LINE, "the field 't' has no value").at(3, 14);
        expect_test::expect!["bad-line: the field 't' has no value (line 3, column 14). Mend the line: docs/reference/line-protocol.md says how it is written"]
            .assert_eq(&problem.to_string());
    }
}
