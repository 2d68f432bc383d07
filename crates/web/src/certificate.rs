//! The certificate of the plant's own authority, for the machines that are to trust it. It is no secret; whoever takes it from
//! here compares its fingerprint with what `tidemill trust` says on the plant's machine.

use axum::extract::State;
use axum::http::StatusCode;
use tidemill_core::{Problem, codes};

use crate::Web;
use crate::answer::{Answer, bytes_of};

/// What browsers take for a certificate that they may be asked to trust.
const MEDIA_TYPE: &str = "application/x-x509-ca-cert";

/// The certificate of the plant's own authority, as PEM. Compare its fingerprint with what `tidemill trust` says on the plant's
/// machine before you trust it.
#[utoipa::path(get, path = "/api/v1/ca.pem", tag = "control",
    responses((status = 200, description = "The certificate", body = String, content_type = MEDIA_TYPE)))]
pub(crate) async fn authority(State(web): State<Web>) -> Answer {
    let pem = web.doors().admin.authority().ok_or_else(|| {
        Problem::new(&codes::NOT_FOUND, "this plant has no certificate authority")
            .hint("It makes one at the start when a listener speaks TLS and no certificate of yours is named")
    })?;
    Ok(bytes_of(StatusCode::OK, MEDIA_TYPE, pem))
}
