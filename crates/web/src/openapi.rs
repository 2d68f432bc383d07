//! All addresses in one table, and their description made from the code. A call that is not described here is not
//! served: the test walks both.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use axum::routing::{delete, get, post};
use utoipa::OpenApi;

use crate::answer::{ProblemDocument, json};
use crate::write::PartialWrite;
use crate::{Web, admin, health, influx, live, read, signals, sql, write};

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
        influx::query,
        influx::ping,
        influx::health,
        admin::tokens,
        admin::token_create,
        admin::token_revoke,
        admin::token_rotate,
        admin::access,
        admin::audit_verify,
        admin::reload,
        admin::audit,
        admin::check,
        admin::why,
        health::live,
        health::ready,
        health::metrics,
    ),
    components(schemas(PartialWrite, ProblemDocument))
)]
struct Api;

/// The addresses and who answers there.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/", get(health::page))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/api/v1/openapi.json", get(description))
        .route("/api/v1/write", post(write::write))
        .route("/api/v1/read", get(read::read))
        .route("/api/v1/sql", post(sql::sql))
        .route("/api/v1/signals", get(signals::list).patch(signals::edit).delete(signals::delete))
        .route("/api/v1/live", get(live::live))
        .route("/write", post(influx::write_1))
        .route("/api/v2/write", post(influx::write_2))
        .route("/api/v3/write_lp", post(influx::write_3))
        .route("/query", get(influx::query).post(influx::query))
        .route("/ping", get(influx::ping))
        .route("/health", get(influx::health))
        .route("/api/v1/tokens", get(admin::tokens).post(admin::token_create))
        .route("/api/v1/tokens/{name}", delete(admin::token_revoke))
        .route("/api/v1/tokens/{name}/rotate", post(admin::token_rotate))
        .route("/api/v1/access", get(admin::access))
        .route("/api/v1/audit", get(admin::audit))
        .route("/api/v1/audit/verify", post(admin::audit_verify))
        .route("/api/v1/reload", post(admin::reload))
        .route("/api/v1/check", get(admin::check))
        .route("/api/v1/why", get(admin::why))
}

/// The description, for this plant's version.
async fn description(State(web): State<Web>) -> Response<Body> {
    let mut api = Api::openapi();
    api.info.version = web.doors().plant.version.to_string();
    json(&api)
}
