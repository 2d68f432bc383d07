//! Which problems each call may answer with: the one table behind the description. What a call does not list it never
//! answers; while the program is built for tests every answer is held against it.

use tidemill_core::{Code, codes::*};

/// Codes that belong together.
pub(crate) type Codes = &'static [&'static Code];

/// What any call refuses, before it is known which one it is.
pub(crate) static EVERYWHERE: Codes = &[&BAD_HOST, &FORBIDDEN, &ADDRESS_TOO_LONG, &HEAD_TOO_LARGE, &INTERNAL];

/// What of it a call may also answer by itself, in its own form.
pub(crate) static BEHIND_THE_DOOR: Codes = &[&FORBIDDEN, &INTERNAL];

static CALLER: Codes = &[&UNAUTHENTICATED, &BAD_ENCODING, &BAD_PARAMETER];
static PARAMETERS: Codes = &[&BAD_PARAMETER, &BAD_ENCODING];
static PATTERNS: Codes = &[&BAD_PATTERN];
static TIMES: Codes = &[&BAD_TIME];
static SIGNAL: Codes = &[&BAD_PATH];
static FORMAT: Codes = &[&UNSUPPORTED_FORMAT];
static BODY: Codes = &[&BAD_ENCODING, &TOO_SLOW, &TOO_LARGE, &UNSUPPORTED_FORMAT, &BUSY];
static DOCUMENT: Codes = &[&BAD_JSON];
static STATEMENT: Codes = &[&BAD_SQL];
/// What bytes and samples are refused for.
static SAMPLES: Codes = &[
    &BAD_LINE,
    &BAD_JSON,
    &BAD_ARROW,
    &BAD_PATH,
    &BAD_TIME,
    &BAD_VALUE,
    &BAD_QUALITY,
    &BAD_UNIT,
    &BAD_ENCODING,
    &NOT_OWNER,
    &CONFLICT,
    &EXISTS,
    &SIGNALS_LIMIT,
    &SIGNALS_RATE,
];
/// What the log refuses.
static LOG: Codes = &[&TOO_LARGE, &SHARE_EXCEEDED, &BUSY, &DISK_FULL, &NOT_DURABLE, &STOPPING, &DAMAGED];
/// What reading history meets.
static HISTORY: Codes = &[
    &QUERY_TIME,
    &QUERY_MEMORY,
    &QUERY_ROWS,
    &BUSY,
    &STOPPING,
    &DAMAGED,
    &NEWER_FORMAT,
    &CONFLICT,
    &DISK_FULL,
    &BAD_PARAMETER,
];
/// What changing a signal meets.
static SIGNAL_CHANGE: Codes = &[&NOT_FOUND, &CONFLICT, &NOT_OWNER, &AUDIT_UNWRITABLE, &BAD_TIME, &BAD_UNIT];
static NAME: Codes = &[&EXISTS, &SIGNALS_LIMIT, &SIGNALS_RATE];
/// What the calls of an administrator meet; their own answers are checked, audited and kept in files.
static CONTROL: Codes =
    &[&STOPPING, &BUSY, &AUDIT_UNWRITABLE, &DAMAGED, &NEWER_FORMAT, &DISK_FULL, &NOT_DURABLE];
static TOKEN: Codes = &[&NOT_FOUND, &EXISTS, &BAD_PARAMETER, &BAD_PATTERN];

/// Method, path, and what the call refuses besides [`EVERYWHERE`].
static CALLS: &[(&str, &str, &[Codes])] = &[
    ("post", "/api/v1/write", &[CALLER, PARAMETERS, BODY, SAMPLES, LOG, &[&BAD_SERIES, &PARTIAL_WRITE]]),
    ("get", "/api/v1/read", &[CALLER, PARAMETERS, PATTERNS, TIMES, FORMAT, HISTORY]),
    (
        "post",
        "/api/v1/sql",
        &[CALLER, PARAMETERS, FORMAT, BODY, DOCUMENT, STATEMENT, PATTERNS, TIMES, HISTORY],
    ),
    ("get", "/api/v1/signals", &[CALLER, PARAMETERS, PATTERNS]),
    ("patch", "/api/v1/signals", &[CALLER, PARAMETERS, SIGNAL, BODY, DOCUMENT, SIGNAL_CHANGE, NAME, LOG]),
    (
        "delete",
        "/api/v1/signals",
        &[CALLER, PARAMETERS, SIGNAL, TIMES, SIGNAL_CHANGE, LOG, HISTORY, &[&UNFINISHED]],
    ),
    ("get", "/api/v1/live", &[CALLER, PARAMETERS, PATTERNS, &[&BUSY]]),
    ("post", "/write", &[CALLER, PARAMETERS, BODY, SAMPLES, LOG, &[&PARTIAL_WRITE]]),
    ("post", "/api/v2/write", &[CALLER, PARAMETERS, BODY, SAMPLES, LOG, &[&PARTIAL_WRITE]]),
    ("post", "/api/v3/write_lp", &[CALLER, PARAMETERS, BODY, SAMPLES, LOG, &[&PARTIAL_WRITE]]),
    ("get", "/query", &[CALLER, PARAMETERS, BODY, STATEMENT]),
    ("post", "/query", &[CALLER, PARAMETERS, BODY, STATEMENT]),
    ("get", "/ping", &[]),
    ("get", "/health", &[]),
    ("get", "/ready", &[]),
    ("get", "/api/v1/tokens", &[CALLER, CONTROL]),
    ("post", "/api/v1/tokens", &[CALLER, BODY, PARAMETERS, DOCUMENT, TOKEN, CONTROL]),
    ("delete", "/api/v1/tokens/{name}", &[CALLER, TOKEN, CONTROL]),
    ("post", "/api/v1/tokens/{name}/rotate", &[CALLER, PARAMETERS, TOKEN, CONTROL]),
    ("get", "/api/v1/access", &[CALLER, PARAMETERS, SIGNAL, &[&NOT_FOUND], CONTROL]),
    ("get", "/api/v1/audit", &[CALLER, PARAMETERS, TIMES, FORMAT, STATEMENT, HISTORY]),
    ("post", "/api/v1/audit/verify", &[CALLER, CONTROL]),
    ("post", "/api/v1/reload", &[CALLER, CONTROL, &[&BAD_CONFIGURATION]]),
    ("get", "/api/v1/check", &[CALLER, CONTROL]),
    ("get", "/api/v1/plant", &[CALLER]),
    ("get", "/api/v1/health", &[CALLER, CONTROL]),
    ("post", "/api/v1/backup", &[CALLER, PARAMETERS, BODY, CONTROL, &[&BACKUP_DAMAGED, &FILE_UNREADABLE]]),
    ("get", "/api/v1/why", &[CALLER, PARAMETERS, SIGNAL, TIMES, &[&NOT_FOUND], HISTORY, CONTROL]),
    ("get", "/api/v1/ca.pem", &[&[&NOT_FOUND]]),
    ("get", "/health/live", &[]),
    // Why the plant is not ready is told by the code; the status is 503 whatever it has elsewhere.
    ("get", "/health/ready", &[]),
    ("get", "/metrics", &[CALLER]),
];

/// What a call refuses by itself, sorted by status, each code once.
pub(crate) fn of(method: &str, path: &str) -> Option<Vec<&'static Code>> {
    let (_, _, groups) = CALLS.iter().find(|(a_method, a_path, _)| *a_method == method && *a_path == path)?;
    let mut codes: Vec<&'static Code> = groups.iter().copied().flatten().copied().collect();
    codes.sort_by_key(|code| (code.status, code.id));
    codes.dedup();
    Some(codes)
}

/// Whether an answer with this status, and this code where it is a problem, is what the call lists. Addresses that are
/// not described promise nothing.
pub(crate) fn lists(method: &str, path: &str, code: &'static Code) -> bool {
    let method =
        if method.eq_ignore_ascii_case("head") { "get".to_owned() } else { method.to_ascii_lowercase() };
    of(&method, path).is_none_or(|own| own.contains(&code) || EVERYWHERE.contains(&code))
}
