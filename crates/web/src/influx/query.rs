//! `/query` of InfluxDB 1: the statements that clients send before they write. There are no databases and no retention
//! policies to make; what is asked for beyond that is told how to ask in SQL, which is not spoken here.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use serde::Serialize;
use serde_json::{Value as Json, json as value};
use tidemill_core::{NANOS_PER_SECOND, Pattern, Problem, codes};
use utoipa::ToSchema;

use super::statement::{self, Statement};
use super::{Version, error, form};
use crate::Web;
use crate::answer::{Refusal, json};
use crate::caller::Caller;
use crate::line::origin;
use crate::params::Params;
use crate::sql::read_question;

/// What statements are answered with.
#[derive(Serialize, ToSchema)]
pub(crate) struct Results {
    results: Vec<StatementResult>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct StatementResult {
    statement_id: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    series: Vec<ResultSeries>,
    /// What was not done of a statement that was taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Message>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ResultSeries {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    columns: Vec<&'static str>,
    values: Vec<Vec<Json>>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Message {
    level: &'static str,
    text: &'static str,
}

/// The statements of POST, in the address.
#[utoipa::path(get, path = "/query", tag = "influxdb", operation_id = "influx_query_in_address",
    params(
        ("q" = Option<String>, Query, description = "The statement"),
        ("u" = Option<String>, Query, description = "Anything; with it the token may stand in p"),
        ("p" = Option<String>, Query, description = "The token"),
    ),
    responses((status = 200, description = "Results as InfluxDB 1 gives them", body = Results)))]
pub(crate) async fn query_in_address(
    web: State<Web>,
    caller: Result<Caller, Refusal>,
    request: Request,
) -> Response<Body> {
    query(web, caller, request).await
}

/// Answers the statements that clients send before they write: CREATE DATABASE and SHOW DATABASES.
#[utoipa::path(post, path = "/query", tag = "influxdb", operation_id = "influx_query",
    params(
        ("q" = Option<String>, Query, description = "The statement; also as a form in the body, of either kind"),
        ("u" = Option<String>, Query, description = "Anything; with it the token may stand in p"),
        ("p" = Option<String>, Query, description = "The token"),
    ),
    responses((status = 200, description = "Results as InfluxDB 1 gives them", body = Results)))]
pub(crate) async fn query(
    State(web): State<Web>,
    caller: Result<Caller, Refusal>,
    request: Request,
) -> Response<Body> {
    let answered = match caller {
        Ok(caller) => answer(&web, &caller, request).await,
        Err(Refusal(problem)) => Err(problem),
    };
    answered.unwrap_or_else(|problem| error(Version::One, &problem))
}

async fn answer(web: &Web, caller: &Caller, request: Request) -> Result<Response<Body>, Problem> {
    let mut asked = Params::parse(request.uri().query().unwrap_or_default())?.one("q")?.map(str::to_owned);
    if asked.is_none() {
        let (parts, body) = request.into_parts();
        let whole = read_question(web, &parts.headers, body, BODY_BYTES_MAX).await?;
        asked = form::field(&parts.headers, &whole.bytes, "q")?;
    }
    let asked = asked.ok_or_else(|| {
        Problem::new(&codes::BAD_PARAMETER, "missing required parameter \"q\"")
            .hint("Send the statement as q=")
    })?;
    let results = statement::parse(&asked)?.into_iter().zip(0..);
    let results = results.map(|(statement, number)| run(web, caller, statement, number));
    Ok(json(&Results { results: results.collect() }))
}

fn run(web: &Web, caller: &Caller, statement: Statement, statement_id: u32) -> StatementResult {
    let (mut series, mut messages) = (Vec::new(), Vec::new());
    let mut asks_for_policy = false;
    match statement {
        // Nothing needs to be made: a database is a tag. Who asks for it next is told that it is there.
        Statement::CreateDatabase { name, policy } => {
            asks_for_policy = policy;
            web.0.databases.note(caller, name);
        }
        Statement::CreateRetentionPolicy => asks_for_policy = true,
        Statement::ShowDatabases => {
            let values = databases(web, caller).into_iter().map(|name| vec![name.into()]).collect();
            series.push(ResultSeries { name: Some("databases"), columns: vec!["name"], values });
        }
        Statement::ShowRetentionPolicies => {
            let columns = vec!["name", "duration", "shardGroupDuration", "replicaN", "default"];
            let keep_s = web.settings().keep_max_ns.unwrap_or_default() / NANOS_PER_SECOND;
            let policy = vec![
                "autogen".into(),
                duration(keep_s).into(),
                duration(86_400).into(),
                1.into(),
                value!(true),
            ];
            series.push(ResultSeries { name: None, columns, values: vec![policy] });
        }
    }
    if asks_for_policy {
        let text =
            "no retention policy is made: how long samples are kept is said by storage.keep in tidemill.toml";
        messages.push(Message { level: "warning", text });
    }
    StatementResult { statement_id, series, messages }
}

/// As InfluxDB writes durations; 0 is for ever.
fn duration(seconds: i64) -> String {
    match seconds {
        0 => "0s".into(),
        seconds => format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60),
    }
}

/// The databases and buckets of the signals that the caller may read.
fn databases(web: &Web, caller: &Caller) -> BTreeSet<String> {
    let scope = caller.grant.scope();
    let signals = web.doors().bus.describe(scope, &Pattern::everything());
    let kept = signals.iter().flat_map(|signal| origin::databases(&signal.meta.tags));
    kept.map(|name| name.to_string()).chain(web.0.databases.of(caller)).collect()
}

/// The longest form, the parts that are not asked for included.
const BODY_BYTES_MAX: usize = 1 << 20;
/// So many databases without samples are remembered of each who asks, with names that long.
const DATABASES_MAX: usize = 100;
const DATABASE_BYTES_MAX: usize = 256;

/// The databases that were asked for since the start: each is shown to who asked for it, also before it has samples.
#[derive(Default)]
pub(crate) struct Databases(Mutex<BTreeSet<(Arc<str>, String)>>);

impl Databases {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<(Arc<str>, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, caller: &Caller, name: String) {
        let mut made = self.lock();
        let theirs = made.iter().filter(|(who, _)| *who == caller.identity.name).count();
        if theirs < DATABASES_MAX && name.len() <= DATABASE_BYTES_MAX {
            made.insert((caller.identity.name.clone(), name));
        }
    }

    fn of(&self, caller: &Caller) -> Vec<String> {
        let is_theirs = |(who, _): &&(Arc<str>, String)| *who == caller.identity.name;
        self.lock().iter().filter(is_theirs).map(|(_, name)| name.clone()).collect()
    }
}
