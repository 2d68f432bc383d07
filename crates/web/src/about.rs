//! What the plant is: for whoever may call at all. What does not live here: how it is (`health`).

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Web;
use crate::answer::{Answer, json};
use crate::caller::Caller;

/// What the plant is.
#[derive(Serialize, ToSchema)]
pub(crate) struct AboutPlant {
    /// Its name.
    #[schema(value_type = String)]
    name: std::sync::Arc<str>,
    /// The program's version.
    #[schema(value_type = String)]
    version: std::sync::Arc<str>,
    /// The IANA name of the time zone of days, and of times that clients take without an offset; null where the machine does
    /// not tell it.
    #[schema(value_type = Option<String>)]
    timezone: Option<std::sync::Arc<str>>,
}

/// The plant's name, version and time zone. The API itself takes times with their offset only; clients that take them without
/// mean this zone.
#[utoipa::path(get, path = "/api/v1/plant", tag = "health", operation_id = "plant", responses((status = 200, body = AboutPlant)))]
pub(crate) async fn plant(State(web): State<Web>, _: Caller) -> Answer {
    let facts = &web.doors().plant;
    Ok(json(&AboutPlant {
        name: facts.name.clone(),
        version: facts.version.clone(),
        timezone: facts.timezone.clone(),
    }))
}
