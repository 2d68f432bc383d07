//! What the API offers beyond samples and signals, so that every command of the command line has its twin: tokens,
//! rights, the audit log, rereading the configuration, and where a value came from. The binary implements [`Admin`];
//! here are its words, its addresses, and the check that the caller may.

use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidemill_core::{
    Boxed, Chunks, Format, Identity, Pattern, Problem, SignalPath, SqlQuery, Verb, codes, parse_duration,
    rfc3339,
};
use utoipa::ToSchema;

use crate::Web;
use crate::answer::{Answer, json, nothing, with_json};
use crate::caller::Caller;
use crate::params::Params;
use crate::read::{format_of, stream_chunks, stream_typed};
use crate::shapes::Table;
use crate::sql::{read_json, read_json_bytes};

/// A token to be made.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenOrder {
    /// Its name.
    pub name: String,
    /// Rights as `verb:pattern`.
    pub allow: Vec<String>,
    /// After how many seconds it expires; absent for never.
    #[serde(default)]
    pub expires_s: Option<u64>,
}

/// A token as it is shown, once.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub struct TokenSecret {
    /// Its name.
    pub name: String,
    /// The token itself. It is not kept and cannot be shown again.
    pub token: String,
    /// When it expires, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// What may be told about a token.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct TokenFacts {
    /// Its name.
    pub name: String,
    /// Its rights as `verb:pattern`.
    pub allow: Vec<String>,
    /// When it was made, RFC 3339.
    pub created: String,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// When it was last used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<String>,
    /// Whether an older token of this name is still valid beside it, during rotation.
    #[serde(default)]
    pub rotating: bool,
}

/// May they?
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct AccessQuestion {
    /// The identity: `token:press-line`, or a token's bare name.
    pub who: String,
    /// The verb.
    pub verb: String,
    /// The path.
    pub path: String,
}

/// Whether they may, and why.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct AccessAnswer {
    /// Yes or no.
    pub allowed: bool,
    /// The rule that decided.
    pub rule: String,
    /// The signal's present name, for which rights hold, where another of its names was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_now: Option<String>,
}

/// A rule of access.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Rule {
    /// Whose.
    pub who: String,
    /// `verb:pattern`.
    pub right: String,
    /// Where it is written: a file, a token.
    pub from: String,
}

/// What a question about rights is answered with.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Access {
    /// All rules, where nobody is named.
    Rules(Vec<Rule>),
    /// Whether one may.
    Answer(AccessAnswer),
}

/// What verifying the audit chain found.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct AuditReport {
    /// Whether every entry is as it was written.
    pub intact: bool,
    /// Entries looked at.
    pub entries: u64,
    /// The number of the last entry; 0 if there is none.
    pub last: u64,
    /// The hash of the last line: kept elsewhere, it tells whether the chain is written anew.
    pub hash: String,
    /// What is wrong, one sentence each.
    pub problems: Vec<String>,
}

/// What rereading the configuration did.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Reloaded {
    /// Whether anything is in force now that was not before.
    pub changed: bool,
    /// What changed, one sentence each.
    pub notes: Vec<String>,
    /// What needs a restart, one sentence each.
    pub restart: Vec<String>,
}

/// Something that is wrong with a file or the environment.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct CheckFinding {
    /// On what: a file with its line, an address, a folder.
    pub on: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub mend: String,
    /// The plant runs all the same.
    pub warning: bool,
}

/// A backup to be made.
#[derive(Clone, Debug, Default)]
pub struct BackupOrder {
    /// The manifest of an earlier backup: what that holds is left out.
    pub since: Option<Bytes>,
    /// Bytes a second at most; none for what leaves the disk to those who write.
    pub rate_bytes_per_s: Option<u64>,
}

/// Something that is wrong with the plant, or will be.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct HealthWarning {
    /// Which kind; docs/reference/health.md lists all.
    pub code: String,
    /// About what: a limit, a token, an engine; empty for the plant as a whole.
    pub subject: String,
    /// Something is lost or refused now; else it will be.
    pub now: bool,
    /// What is wrong.
    pub problem: String,
    /// What it affects.
    pub affects: String,
    /// What to do.
    pub mend: String,
    /// Since when, RFC 3339.
    pub since: String,
}

/// Where a value came from.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct WhyAnswer {
    /// The signal.
    pub signal: String,
    /// The facts in the order of the story: label and text.
    pub facts: Vec<(String, String)>,
}

/// What the binary does for the control calls. Rights were checked by the caller: administer on everything, except
/// where a method says otherwise. Each does its own auditing.
pub trait Admin: Send + Sync {
    /// Makes a token. The rights must lie within the caller's own.
    fn token_create<'a>(
        &'a self,
        who: &'a Identity,
        order: TokenOrder,
    ) -> Boxed<'a, Result<TokenSecret, Problem>>;
    /// All tokens.
    fn tokens<'a>(&'a self, who: &'a Identity) -> Boxed<'a, Result<Vec<TokenFacts>, Problem>>;
    /// Takes a token's rights away at once.
    fn token_revoke<'a>(&'a self, who: &'a Identity, name: &'a str) -> Boxed<'a, Result<(), Problem>>;
    /// Makes a second token of that name; the first stays valid for `overlap`.
    fn token_rotate<'a>(
        &'a self,
        who: &'a Identity,
        name: &'a str,
        overlap: Duration,
    ) -> Boxed<'a, Result<TokenSecret, Problem>>;
    /// May they, by whichever of the signal's names, and which rule says so?
    fn access_why<'a>(
        &'a self,
        who: &'a Identity,
        question: AccessQuestion,
    ) -> Boxed<'a, Result<AccessAnswer, Problem>>;
    /// All rules.
    fn access_list<'a>(&'a self, who: &'a Identity) -> Boxed<'a, Result<Vec<Rule>, Problem>>;
    /// Checks the audit chain.
    fn audit_verify<'a>(&'a self, who: &'a Identity) -> Boxed<'a, Result<AuditReport, Problem>>;
    /// Rereads the configuration, as SIGHUP does.
    fn reload<'a>(&'a self, who: &'a Identity) -> Boxed<'a, Result<Reloaded, Problem>>;
    /// The certificate of the plant's own authority (PEM); none while nothing needed one.
    fn authority(&self) -> Option<String>;
    /// Checks every file and the environment, as `tidemill check` does.
    fn check<'a>(&'a self, who: &'a Identity) -> Boxed<'a, Result<Vec<CheckFinding>, Problem>>;
    /// Everything that the plant is made of, as one file that is made while it is sent (docs/spec/backup.md).
    fn backup<'a>(
        &'a self,
        who: &'a Identity,
        order: BackupOrder,
    ) -> Boxed<'a, Result<Box<dyn Chunks>, Problem>>;
    /// What the plant warns of now. The caller may read all of `tidemill/#`.
    fn health(&self) -> Vec<HealthWarning> {
        Vec::new()
    }
    /// Where the value of a signal at a time (now if none) came from, by whichever of its names, as `read` finds it.
    /// `not-found`, as for a name that does not exist, where the caller may not read it under its present name.
    fn why<'a>(
        &'a self,
        who: &'a Identity,
        path: SignalPath,
        at: Option<i64>,
    ) -> Boxed<'a, Result<WhyAnswer, Problem>>;
}

/// The longest manifest of a backup: some 300,000 files.
const BACKUP_MANIFEST_BYTES_MAX: usize = 64 << 20;
/// The most entries of the audit log in one answer.
const AUDIT_ENTRIES_MAX: usize = 10_000;
/// How long two tokens of a name overlap unless asked otherwise: time to change every device by hand.
const OVERLAP: Duration = Duration::from_secs(86_400);

fn administrator(web: &Web, caller: &Caller) -> Result<(), Problem> {
    let decision =
        web.doors().authority.decide_all(&caller.identity, Verb::Administer, &Pattern::everything());
    if decision.allowed {
        return Ok(());
    }
    Err(Problem::new(&codes::FORBIDDEN, format!("this needs administer on everything: {}", decision.rule)))
}

/// Lists tokens.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "control",
    responses((status = 200, body = Vec<TokenFacts>)))]
pub(crate) async fn tokens(State(web): State<Web>, caller: Caller) -> Answer {
    administrator(&web, &caller)?;
    Ok(json(&web.doors().admin.tokens(&caller.identity).await?))
}

/// Makes a token; it is shown in this answer and never again.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "control", request_body = TokenOrder,
    responses((status = 201, body = TokenSecret)))]
pub(crate) async fn token_create(State(web): State<Web>, caller: Caller, request: Request) -> Answer {
    administrator(&web, &caller)?;
    let order = read_json(&web, request).await?;
    let secret = web.doors().admin.token_create(&caller.identity, order).await?;
    Ok(with_json(StatusCode::CREATED, &secret))
}

/// Takes a token's rights away at once.
#[utoipa::path(delete, path = "/api/v1/tokens/{name}", tag = "control",
    params(("name" = String, Path, description = "The token's name")),
    responses((status = 204, description = "Done")))]
pub(crate) async fn token_revoke(State(web): State<Web>, caller: Caller, Path(name): Path<String>) -> Answer {
    administrator(&web, &caller)?;
    web.doors().admin.token_revoke(&caller.identity, &name).await?;
    Ok(nothing())
}

/// Makes a new secret for a token; the old one stays valid for a while.
#[utoipa::path(post, path = "/api/v1/tokens/{name}/rotate", tag = "control",
    params(
        ("name" = String, Path, description = "The token's name"),
        ("overlap" = Option<String>, Query, description = "How long the first stays valid, such as 1h; default 24h"),
    ),
    responses((status = 201, body = TokenSecret)))]
pub(crate) async fn token_rotate(
    State(web): State<Web>,
    caller: Caller,
    Path(name): Path<String>,
    request: Request,
) -> Answer {
    let params = Params::of(request.uri(), &["overlap"])?;
    administrator(&web, &caller)?;
    let overlap = match params.one("overlap")? {
        None => OVERLAP,
        Some(text) => parse_duration(text).ok_or_else(|| {
            Problem::new(&codes::BAD_PARAMETER, format!("overlap={text} is no duration"))
                .hint("Write it like 1h, 24h, 7d")
        })?,
    };
    let secret = web.doors().admin.token_rotate(&caller.identity, &name, overlap).await?;
    Ok(with_json(StatusCode::CREATED, &secret))
}

/// Lists rules, or with `who`, `verb` and `path` says whether someone may, and which rule decides.
#[utoipa::path(get, path = "/api/v1/access", tag = "control",
    params(
        ("who" = Option<String>, Query, description = "The identity"),
        ("verb" = Option<String>, Query, description = "read, write, command, configure, administer"),
        ("path" = Option<String>, Query, description = "The path"),
    ),
    responses((status = 200, description = "Rules, or {allowed, rule, name_now}", body = Access)))]
pub(crate) async fn access(State(web): State<Web>, caller: Caller, request: Request) -> Answer {
    let params = Params::of(request.uri(), &["who", "verb", "path"])?;
    administrator(&web, &caller)?;
    let admin = &web.doors().admin;
    match (params.one("who")?, params.one("verb")?, params.one("path")?) {
        (None, None, None) => Ok(json(&Access::Rules(admin.access_list(&caller.identity).await?))),
        (Some(who), Some(verb), Some(path)) => {
            let question =
                AccessQuestion { who: who.to_owned(), verb: verb.to_owned(), path: path.to_owned() };
            Ok(json(&Access::Answer(admin.access_why(&caller.identity, question).await?)))
        }
        _ => Err(Problem::new(&codes::BAD_PARAMETER, "give who=, verb= and path=, or none of them").into()),
    }
}

/// Lists the newest entries of the audit log: the table `sys.audit`.
#[utoipa::path(get, path = "/api/v1/audit", tag = "control",
    params(
        ("from" = Option<String>, Query, description = "From this time, included"),
        ("to" = Option<String>, Query, description = "To this time, excluded"),
        ("unit" = Option<String>, Query, description = "What a number in from and to counts"),
        ("limit" = Option<usize>, Query, description = "At most so many; default 100"),
        ("format" = Option<String>, Query, description = "As for SQL"),
    ),
    responses((status = 200, description = "As for SQL", body = Table)))]
pub(crate) async fn audit(State(web): State<Web>, caller: Caller, request: Request) -> Answer {
    let params = Params::of(request.uri(), &["from", "to", "unit", "limit", "format"])?;
    administrator(&web, &caller)?;
    let now = web.doors().clock.wall();
    let limit = params.number("limit")?.unwrap_or(100usize).min(AUDIT_ENTRIES_MAX);
    // Times written here, never text of the request: nothing of the caller's becomes SQL.
    let bound = |name: &str, operator: &str| -> Result<String, Problem> {
        let time = params.time(name, now)?;
        Ok(time.map(|time| format!(" AND time {operator} TIMESTAMP '{}'", rfc3339(time))).unwrap_or_default())
    };
    let (from, to) = (bound("from", ">=")?, bound("to", "<")?);
    let text = format!("SELECT * FROM sys.audit WHERE true{from}{to} ORDER BY time DESC LIMIT {limit}");
    let format = format_of(&params, request.headers(), Format::Json)?;
    let doors = web.doors();
    let query = SqlQuery { text, parameters: Vec::new() };
    let chunks = doors.history.sql(caller.grant.scope(), query, format, web.settings().query).await?;
    stream_chunks(chunks, format, caller, request.headers()).await
}

/// Checks the audit chain.
#[utoipa::path(post, path = "/api/v1/audit/verify", tag = "control",
    responses((status = 200, body = AuditReport)))]
pub(crate) async fn audit_verify(State(web): State<Web>, caller: Caller) -> Answer {
    administrator(&web, &caller)?;
    Ok(json(&web.doors().admin.audit_verify(&caller.identity).await?))
}

/// Rereads the configuration.
#[utoipa::path(post, path = "/api/v1/reload", tag = "control",
    responses((status = 200, body = Reloaded)))]
pub(crate) async fn reload(State(web): State<Web>, caller: Caller) -> Answer {
    administrator(&web, &caller)?;
    Ok(json(&web.doors().admin.reload(&caller.identity).await?))
}

/// Checks every file and the environment.
#[utoipa::path(get, path = "/api/v1/check", tag = "control",
    responses((status = 200, body = Vec<CheckFinding>)))]
pub(crate) async fn check(State(web): State<Web>, caller: Caller) -> Answer {
    administrator(&web, &caller)?;
    Ok(json(&web.doors().admin.check(&caller.identity).await?))
}

/// Everything that the plant is made of, as one tar archive that is made while it is sent: docs/spec/backup.md. The body is `{}`,
/// or the manifest of an earlier backup, of which what it holds is left out.
#[utoipa::path(post, path = "/api/v1/backup", tag = "control",
    params(("rate" = Option<u64>, Query, description = "Bytes a second at most; default 67108864")),
    request_body(content = Object, content_type = "application/json"),
    responses((status = 200, description = "The backup", content_type = "application/x-tar", body = Vec<u8>)))]
pub(crate) async fn backup(State(web): State<Web>, caller: Caller, request: Request) -> Answer {
    let params = Params::of(request.uri(), &["rate"])?;
    let rate_bytes_per_s = params.number("rate")?;
    administrator(&web, &caller)?;
    let headers = request.headers().clone();
    let body = read_json_bytes(&web, request, BACKUP_MANIFEST_BYTES_MAX).await?;
    let since = (!matches!(body.trim_ascii(), b"" | b"{}")).then_some(body);
    let order = BackupOrder { since, rate_bytes_per_s };
    let chunks = web.doors().admin.backup(&caller.identity, order).await?;
    stream_typed(chunks, "application/x-tar", caller, &headers).await
}

/// Where a value came from.
#[utoipa::path(get, path = "/api/v1/why", tag = "control",
    params(
        ("signal" = String, Query, description = "Its name"),
        ("at" = Option<String>, Query, description = "The value at this time; default now"),
        ("unit" = Option<String>, Query, description = "What a number in at counts"),
    ),
    responses((status = 200, body = WhyAnswer)))]
pub(crate) async fn why(State(web): State<Web>, caller: Caller, request: Request) -> Answer {
    let params = Params::of(request.uri(), &["signal", "at", "unit"])?;
    let path = params.path("signal")?;
    let at = params.time("at", web.doors().clock.wall())?;
    Ok(json(&web.doors().admin.why(&caller.identity, path, at).await?))
}
