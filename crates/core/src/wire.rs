//! SQL as PostgreSQL's clients ask it: a statement in their dialect, values in text, and answers that are finished messages
//! of their protocol (version 3, <https://www.postgresql.org/docs/current/protocol-message-formats.html>), so that the door
//! passes bytes and only the historian knows columns. What does not live here: the conversation around them.

use std::sync::Arc;

use bytes::Bytes;

/// A type by its number in `pg_type`; 0 where it is not said.
pub type TypeNumber = u32;

/// A value for a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireValue {
    /// What the text is to be read as; 0 and text (25) leave it as it is.
    pub kind: TypeNumber,
    /// As PostgreSQL writes it; none for NULL.
    pub text: Option<String>,
}

/// What statements may ask about the session that they stand in.
#[derive(Clone, Debug, Default)]
pub struct WireSession {
    /// `current_user`.
    pub user: String,
    /// `current_database()`.
    pub database: String,
    /// `version()`.
    pub version: String,
    /// `pg_backend_pid()`.
    pub process: i32,
    /// `current_setting(name)`, and the rows of `pg_settings`: names in lower case.
    pub settings: Vec<(String, String)>,
}

/// A statement to run.
#[derive(Clone, Debug)]
pub struct WireQuery {
    /// One statement, in PostgreSQL's spelling of DataFusion's dialect.
    pub text: String,
    /// For `$1`, `$2`, …
    pub parameters: Vec<WireValue>,
    /// Which columns are wanted in binary: none for all in text, one for all of them, or one for each.
    pub binary: Vec<bool>,
    /// Who asks in which session.
    pub session: Arc<WireSession>,
}

/// What a statement takes and gives, before it is run.
#[derive(Clone, Debug)]
pub struct WireShape {
    /// The types of its parameters, none of them 0.
    pub parameters: Vec<TypeNumber>,
    /// A finished `RowDescription` message, all columns in text.
    pub columns: Bytes,
}
