//! Settings of a session: what clients read of them, what they may change, and which changes they are told of. Few mean
//! anything here; the others are kept, so that who sets one reads it back.

use tidemill_core::WireSession;

use crate::Error;

/// The most settings that a client may add.
const ADDED_MAX: usize = 100;
/// The longest value of one.
const VALUE_BYTES_MAX: usize = 1_024;

/// The version of PostgreSQL whose catalogue and functions are told.
pub(crate) const VERSION: &str = "15.0";

/// What a setting may become.
#[derive(Clone, Copy, PartialEq, Eq)]
enum May {
    /// Anything.
    Change,
    /// Only this, in any case of letters, under one of its names.
    Stay(&'static [&'static str]),
    /// Nothing.
    Never,
}

/// In SQL_ASCII bytes are what they are, and here they are UTF-8.
const UTF8: &[&str] = &["utf8", "utf-8", "unicode", "sql_ascii"];

/// A setting: its name as clients are told it, what it is, what it may become, and whether clients are told at once.
struct Setting(&'static str, &'static str, May, bool);

const SETTINGS: [Setting; 41] = [
    Setting("application_name", "", May::Change, true),
    Setting("bytea_output", "hex", May::Stay(&["hex"]), false),
    Setting("client_encoding", "UTF8", May::Stay(UTF8), true),
    Setting("client_min_messages", "notice", May::Change, false),
    Setting("DateStyle", "ISO, MDY", May::Stay(&["iso", "iso, mdy", "iso, dmy", "iso, ymd"]), true),
    Setting("default_table_access_method", "heap", May::Change, false),
    Setting("default_tablespace", "", May::Change, false),
    Setting("default_transaction_isolation", "read committed", May::Change, false),
    Setting("default_transaction_read_only", "on", May::Change, true),
    Setting("escape_string_warning", "on", May::Change, false),
    Setting("extra_float_digits", "1", May::Change, false),
    Setting("idle_in_transaction_session_timeout", "0", May::Change, false),
    Setting("in_hot_standby", "off", May::Never, true),
    Setting("integer_datetimes", "on", May::Never, true),
    Setting("IntervalStyle", "postgres", May::Stay(&["postgres"]), true),
    Setting("is_superuser", "off", May::Never, true),
    Setting("jit", "off", May::Change, false),
    Setting("lc_collate", "C", May::Never, false),
    Setting("lc_ctype", "C", May::Never, false),
    Setting("lc_messages", "C", May::Change, false),
    Setting("lc_monetary", "C", May::Change, false),
    Setting("lc_numeric", "C", May::Change, false),
    Setting("lc_time", "C", May::Change, false),
    Setting("lock_timeout", "0", May::Change, false),
    Setting("max_identifier_length", "63", May::Never, false),
    Setting("max_index_keys", "32", May::Never, false),
    Setting("quote_all_identifiers", "off", May::Change, false),
    Setting("row_security", "on", May::Change, false),
    Setting("search_path", "public", May::Change, false),
    Setting("server_encoding", "UTF8", May::Never, true),
    Setting("server_version", VERSION, May::Never, true),
    Setting("server_version_num", "150000", May::Never, false),
    Setting("session_authorization", "", May::Never, true),
    Setting("ssl", "off", May::Never, false),
    Setting("standard_conforming_strings", "on", May::Stay(&["on", "true", "1"]), true),
    Setting("statement_timeout", "0", May::Change, false),
    Setting("synchronous_commit", "on", May::Change, false),
    Setting("TimeZone", "UTC", May::Stay(&["utc", "gmt", "etc/utc", "zulu", "universal"]), true),
    Setting("transaction_isolation", "read committed", May::Change, false),
    Setting("transaction_read_only", "on", May::Change, false),
    Setting("xmloption", "content", May::Change, false),
];

fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.0.eq_ignore_ascii_case(name))
}

/// What a change of a setting comes to.
pub(crate) enum Changed {
    /// It is so.
    Quietly,
    /// It is so, and the client is told.
    Told(&'static str),
    /// It stays as it is, which the client is warned of.
    Stays(&'static str),
}

/// All settings as they are at the start.
pub(crate) fn all(version: &str, user: &str, encrypted: bool) -> Vec<(String, String)> {
    let value = |setting: &Setting| match setting.0 {
        "server_version" => format!("{VERSION} (Tidemill {version})"),
        "session_authorization" => user.to_owned(),
        "ssl" if encrypted => "on".to_owned(),
        _ => setting.1.to_owned(),
    };
    SETTINGS.iter().map(|setting| (setting.0.to_lowercase(), value(setting))).collect()
}

/// What clients are told of at the start.
pub(crate) fn reported(session: &WireSession) -> impl Iterator<Item = (&'static str, &str)> {
    SETTINGS
        .iter()
        .filter(|setting| setting.3)
        .filter_map(|setting| Some((setting.0, get(session, setting.0)?)))
}

/// A setting's value.
pub(crate) fn get<'a>(session: &'a WireSession, name: &str) -> Option<&'a str> {
    let found = session.settings.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

/// Changes one; to its default where no value is given.
///
/// # Errors
/// It cannot be changed, is too long, or is one too many.
pub(crate) fn set(session: &mut WireSession, name: &str, value: Option<&str>) -> Result<Changed, Error> {
    let known = find(name);
    let may = known.map_or(May::Change, |setting| setting.2);
    let value = value.or(known.map(|setting| setting.1)).unwrap_or_default();
    if value.len() > VALUE_BYTES_MAX || name.len() > VALUE_BYTES_MAX {
        return Err(Error::TooMany { what: "bytes in a setting", max: VALUE_BYTES_MAX });
    }
    match may {
        May::Never => return Err(Error::Fixed(name.to_owned())),
        // Some put quotes around what they send as it is.
        May::Stay(names) if names.contains(&value.trim_matches(['\'', '"']).to_lowercase().as_str()) => {
            return Ok(Changed::Quietly);
        }
        May::Stay(_) if name.eq_ignore_ascii_case("client_encoding") && !value.is_empty() => {
            return Err(Error::Encoding(value.to_owned()));
        }
        May::Stay(_) => return Ok(Changed::Stays(known.map_or("", |setting| setting.1))),
        May::Change => {}
    }
    let many = session.settings.len() >= SETTINGS.len() + ADDED_MAX;
    match session.settings.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        Some((_, kept)) => value.clone_into(kept),
        None if many => {
            return Err(Error::TooMany { what: "settings of its own", max: ADDED_MAX });
        }
        None => session.settings.push((name.to_lowercase(), value.to_owned())),
    }
    Ok(known.filter(|setting| setting.3).map_or(Changed::Quietly, |setting| Changed::Told(setting.0)))
}

/// The time that the client itself allows a statement; none for as long as the house does.
pub(crate) fn statement_timeout(session: &WireSession) -> Option<std::time::Duration> {
    let text = get(session, "statement_timeout")?.trim();
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    let number: u64 = digits.parse().ok().filter(|number| *number > 0)?;
    let ms = match text.get(digits.len()..).unwrap_or_default().trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(std::time::Duration::from_millis(number.saturating_mul(ms)))
}
