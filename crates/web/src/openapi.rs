//! All addresses in one table, and their description made from the code. A call that is not described here is not
//! served: the test walks both.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use axum::routing::{delete, get, post};
use tidemill_core::{Code, Format, codes};
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Ref, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, Content, RefOr, Response as Described};

use crate::answer::{ProblemDocument, json};
use crate::influx::{Complaint, ComplaintWithCode};
use crate::write::PartialWrite;
use crate::{Web, about, admin, certificate, health, influx, live, read, refusals, signals, sql, write};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tidemill",
        description = "A sample is {signal, time, value, quality}. Errors are RFC 9457 problem documents with a stable code.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        write::write,
        read::read,
        sql::sql,
        signals::list,
        signals::edit,
        signals::delete,
        live::live,
        influx::write_1,
        influx::write_2,
        influx::write_3,
        influx::query::query_in_address,
        influx::query::query,
        influx::ping,
        influx::health,
        influx::ready,
        admin::tokens,
        admin::token_create,
        admin::token_revoke,
        admin::token_rotate,
        admin::access,
        admin::audit_verify,
        admin::reload,
        admin::audit,
        admin::check,
        admin::backup,
        admin::why,
        certificate::authority,
        about::plant,
        health::live,
        health::ready,
        health::plant,
        health::metrics,
    ),
    components(schemas(PartialWrite, ProblemDocument, Complaint, ComplaintWithCode, live::Subscribe))
)]
struct Api;

/// The addresses and who answers there.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/", get(health::page))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/api/v1/plant", get(about::plant))
        .route("/api/v1/health", get(health::plant))
        .route("/api/v1/openapi.json", get(description))
        .route("/api/v1/write", post(write::write))
        .route("/api/v1/read", get(read::read))
        .route("/api/v1/sql", post(sql::sql))
        .route("/api/v1/signals", get(signals::list).patch(signals::edit).delete(signals::delete))
        .route("/api/v1/live", get(live::live))
        .route("/write", post(influx::write_1))
        .route("/api/v2/write", post(influx::write_2))
        .route("/api/v3/write_lp", post(influx::write_3))
        .route("/query", get(influx::query::query_in_address).post(influx::query::query))
        .route("/ping", get(influx::ping))
        .route("/health", get(influx::health))
        .route("/ready", get(influx::ready))
        .route("/api/v1/tokens", get(admin::tokens).post(admin::token_create))
        .route("/api/v1/tokens/{name}", delete(admin::token_revoke))
        .route("/api/v1/tokens/{name}/rotate", post(admin::token_rotate))
        .route("/api/v1/access", get(admin::access))
        .route("/api/v1/audit", get(admin::audit))
        .route("/api/v1/audit/verify", post(admin::audit_verify))
        .route("/api/v1/reload", post(admin::reload))
        .route("/api/v1/check", get(admin::check))
        .route("/api/v1/backup", post(admin::backup))
        .route("/api/v1/why", get(admin::why))
        .route("/api/v1/ca.pem", get(certificate::authority))
}

/// The description, for this plant's version.
async fn description(State(web): State<Web>) -> Response<Body> {
    json(&described(&web.doors().plant.version))
}

/// The description of the API, for a page of the reference.
pub fn api_description(version: &str) -> serde_json::Value {
    serde_json::to_value(described(version)).unwrap_or_default()
}

/// Calls whose answer comes in every [`Format`], JSON being the one with a schema.
const IN_EVERY_FORMAT: [(&str, &str); 3] =
    [("get", "/api/v1/read"), ("post", "/api/v1/sql"), ("get", "/api/v1/audit")];

pub(crate) fn described(version: &str) -> utoipa::openapi::OpenApi {
    let mut api = Api::openapi();
    version.clone_into(&mut api.info.version);
    describe_who_calls(api.components.get_or_insert_default());
    for (path, item) in &mut api.paths.paths {
        for (method, operation) in operations(item) {
            let codes = refusals::of(method, path).unwrap_or_default();
            // Clients of InfluxDB are told in its form; what refuses before it is known who is asked has our own.
            let influx = operation.tags.iter().flatten().any(|tag| tag == "influxdb");
            match (influx, path == "/api/v2/write") {
                (false, _) => tell(operation, &[&codes, refusals::EVERYWHERE], problem),
                (true, version_2) => {
                    let form = if version_2 { "ComplaintWithCode" } else { "Complaint" };
                    // Rights are asked for, and defects met, also where its form is spoken.
                    let late = if codes.is_empty() { &[] } else { refusals::BEHIND_THE_DOOR };
                    tell(operation, &[&codes, late], |_| complaint(form));
                    tell(operation, &[refusals::EVERYWHERE], problem);
                }
            }
            operation.security = Some(who_calls(path, &codes));
            if IN_EVERY_FORMAT.contains(&(method, path)) {
                add_formats(operation);
            }
            describe_bodies(operation);
        }
    }
    api
}

/// How a token is shown.
fn describe_who_calls(components: &mut Components) {
    let scheme = |scheme, description: &str| {
        let mut http = Http::new(scheme);
        http.description = Some(description.to_owned());
        SecurityScheme::Http(http)
    };
    let bearer =
        "A token; `Token` instead of `Bearer` will do. Without one a request has the rights of its zone.";
    components.add_security_scheme("bearer", scheme(HttpAuthScheme::Bearer, bearer));
    let basic = "Any name, with the token as password.";
    components.add_security_scheme("basic", scheme(HttpAuthScheme::Basic, basic));
}

/// A call that can refuse whom it does not know asks who calls.
fn who_calls(path: &str, codes: &[&'static Code]) -> Vec<SecurityRequirement> {
    if !codes.contains(&&codes::UNAUTHENTICATED) {
        return Vec::new();
    }
    let none: [&str; 0] = [];
    let mut ways = vec![SecurityRequirement::new("bearer", none), SecurityRequirement::new("basic", none)];
    if path == "/metrics" {
        // From this machine nothing need be shown.
        ways.push(SecurityRequirement::default());
    }
    ways
}

/// The other formats of an answer beside JSON.
fn add_formats(operation: &mut Operation) {
    if let Some(RefOr::T(answer)) = operation.responses.responses.get_mut("200") {
        for format in Format::ALL.into_iter().filter(|format| *format != Format::Json) {
            answer.content.insert(format.media_type().to_owned(), Content::default().into());
        }
    }
}

/// An answer whose body says it all still needs a description; columns as bytes have no schema.
fn describe_bodies(operation: &mut Operation) {
    for answer in operation.responses.responses.values_mut() {
        if let RefOr::T(answer) = answer
            && answer.description.is_empty()
        {
            "Done".clone_into(&mut answer.description);
        }
    }
    let Some(RefOr::T(taken)) = &mut operation.request_body else { return };
    for (media_type, content) in &mut taken.content {
        let columns = [Format::Arrow, Format::Parquet].iter().any(|format| format.media_type() == media_type);
        if columns || media_type == "application/x-protobuf" {
            *content = Content::default().into();
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, post, patch, delete, .. } = item;
    let all = [("get", get), ("post", post), ("patch", patch), ("delete", delete)];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Adds to each status which codes it comes with, all of them in one form: a call is told of once in each.
fn tell(
    operation: &mut Operation,
    groups: &[&[&'static Code]],
    form: impl Fn(&[&'static Code]) -> (&'static str, Content),
) {
    let mut codes: Vec<&'static Code> = groups.concat();
    codes.sort_by_key(|code| (code.status, code.id));
    codes.dedup();
    for same in codes.chunk_by(|one, other| one.status == other.status) {
        let Some(first) = same.first() else { continue };
        let entry = operation.responses.responses.entry(first.status.to_string());
        let RefOr::T(answer) = entry.or_insert_with(|| RefOr::T(Described::new(""))) else { continue };
        for code in same {
            let known = format!("`{}`: ", code.id);
            if !answer.description.contains(&known) {
                let gap = if answer.description.is_empty() { "" } else { "; " };
                answer.description += &format!("{gap}{known}{}", code.title);
            }
        }
        let (media_type, content) = form(same);
        answer.content.insert(media_type.to_owned(), content.into());
    }
}

/// A problem document with one of these codes.
fn problem(codes: &[&'static Code]) -> (&'static str, Content) {
    let known = codes.iter().map(|code| code.id);
    let code = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(known));
    let document = AllOfBuilder::new()
        .item(Ref::from_schema_name("ProblemDocument"))
        .item(ObjectBuilder::new().property("code", code));
    ("application/problem+json", Content::new(Some(document)))
}

fn complaint(schema: &str) -> (&'static str, Content) {
    ("application/json", Content::new(Some(Ref::from_schema_name(schema))))
}
