//! The web face: HTTP and WebSocket API, line protocol, problem documents, OpenAPI. Decodes bytes, asks the rooms
//! behind core's traits, encodes answers. What does not live here: any right (that is the authority), any storage, any
//! configuration file, any SQL.
//!
//! Invariants
//! - A write is acknowledged only after every part of it is durable; it is checked whole before anything is published.
//! - Every read has a scope; every handler that needs one takes a `Caller`, whom the authority has identified.
//! - No byte from outside panics a decoder, and none makes one hold more than a named bound.
//! - Ids of signals never leave the plant; live subscribers get numbers of their own.
//! - Secrets are in no log, no error and no debug print.

mod about;
mod admin;
mod answer;
mod answered;
pub mod bench; // what examples/bench.rs measures inside
mod body;
mod caller;
mod certificate;
mod compress;
mod error;
mod health;
mod influx;
pub mod line;
mod live;
mod middleware;
mod openapi;
mod params;
mod read;
mod refusals;
pub mod remote;
pub mod samples;
mod serve;
mod settings;
mod shapes;
mod signals;
mod sql;
pub mod times;
mod tls;
mod write;

pub use admin::{
    AccessAnswer, AccessQuestion, Admin, AuditReport, BackupOrder, CheckFinding, HealthWarning, Reloaded,
    Rule, TokenFacts, TokenOrder, TokenSecret, WhyAnswer,
};
pub use caller::Connection;
pub use error::{Error, Fault, Refused};
pub use openapi::api_description;
pub use serve::Serves;
pub use settings::{PlantFacts, Settings, TrustedProxy};
pub use tls::Acceptors;
pub use write::namer::{DefaultKept, SERIES_TAG, Shared};

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use tidemill_core::{Authority, Bus, History, Problem};
use tidemill_ground::{Clock, Counter, Limit, Metrics, Peers};

use crate::answered::Answered;
use crate::write::collect::Desk;

/// Says whether the plant takes work, values as well as questions; else why not.
pub type Ready = Arc<dyn Fn() -> Result<(), Problem> + Send + Sync>;

/// Everything the doors need from the house.
#[derive(Clone)]
#[allow(missing_docs, reason = "the rooms by their names")]
pub struct Doors {
    pub bus: Arc<dyn Bus>,
    pub history: Arc<dyn History>,
    pub authority: Arc<dyn Authority>,
    pub admin: Arc<dyn Admin>,
    pub metrics: Metrics,
    pub clock: Arc<dyn Clock>,
    pub plant: PlantFacts,
    pub settings: Settings,
    /// Asked by `/health/ready` and `/health`. Calls of the API are not held up by it: what can be done is done, also while
    /// something else cannot.
    pub ready: Ready,
}

/// The web face. Clones are the same.
#[derive(Clone)]
pub struct Web(Arc<House>);

struct House {
    doors: Doors,
    settings: RwLock<Arc<Settings>>,
    limits: Limits,
    counters: Counters,
    desk: Desk,
    requests: std::sync::atomic::AtomicU64,
    databases: influx::query::Databases,
}

struct Limits {
    bodies: Limit,
    connections: Limit,
    control: Limit,
    peers: Peers,
    handshakes: Limit,
    handshake_peers: Peers,
    live: Limit,
    bindings: Limit,
}

struct Counters {
    samples: Counter,
    refused_lines: Counter,
    panics: Counter,
    live_lagged: Counter,
    headers_late: Counter,
    answered: Answered,
    tls_plain: Counter,
    tls_failed: Counter,
    tls_late: Counter,
}

impl House {
    fn settings(&self) -> Arc<Settings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Shows the bounds on single samples and queries beside those on what is held: of them nothing is held. Times are in seconds; one
/// that is off is as long as the span of all times.
fn show_bounds(house: &Arc<House>) {
    type Ask = fn(&Settings) -> f64;
    let bounds: [(&'static str, Ask); 6] = [
        ("future", |settings| span_s(settings.ahead_max_ns)),
        ("past", |settings| span_s(settings.behind_max_ns)),
        ("keep", |settings| span_s(settings.keep_max_ns)),
        ("text_sample_bytes", |settings| settings.text_sample_bytes as f64),
        ("query_time", |settings| settings.query.time.as_secs_f64()),
        ("query_rows", |settings| settings.query.rows as f64),
    ];
    for (name, max) in bounds {
        let of = Arc::downgrade(house);
        let max = move || of.upgrade().map_or(0.0, |house| max(&house.settings()));
        Limit::show(&house.doors.metrics, name, || 0.0, max);
    }
}

fn span_s(ns: Option<i64>) -> f64 {
    ns.unwrap_or(i64::MAX) as f64 / 1e9
}

impl Web {
    /// The face over these rooms.
    pub fn new(doors: Doors) -> Web {
        let (metrics, settings) = (&doors.metrics, &doors.settings);
        let limits = Limits {
            bodies: Limit::new(metrics, "http_bodies_bytes", settings.bodies_bytes_max),
            connections: Limit::new(metrics, "http_connections", settings.connections_max),
            control: Limit::new(metrics, "http_control_connections", serve::CONTROL_CONNECTIONS_MAX),
            peers: Peers::new(metrics, "tidemill_http_peer_refused", &[]),
            handshakes: Limit::new(metrics, "http_handshakes", settings.handshakes_max),
            handshake_peers: Peers::new(metrics, "tidemill_http_handshake_peer_refused", &[]),
            live: Limit::new(metrics, "http_live", settings.live_max),
            bindings: Limit::new(metrics, "http_bindings", settings.bindings_max),
        };
        let counters = Counters {
            answered: Answered::new(metrics),
            samples: metrics.counter("tidemill_http_samples_written", "Samples made durable by HTTP."),
            refused_lines: metrics
                .counter("tidemill_http_lines_refused", "Lines and samples that were refused."),
            panics: metrics
                .counter("tidemill_http_panics", "Requests that failed by a defect of the program."),
            live_lagged: metrics
                .counter("tidemill_http_live_lagged", "Parcels that slow live subscribers missed."),
            headers_late: metrics.counter(
                "tidemill_http_headers_late",
                "Connections closed because the headers of their first request did not come in time.",
            ),
            tls_plain: metrics
                .counter("tidemill_http_tls_plain", "Connections without TLS to a listener that speaks it."),
            tls_failed: metrics.counter("tidemill_http_tls_failed", "TLS handshakes that failed."),
            tls_late: metrics.counter(
                "tidemill_http_tls_late",
                "Connections closed because their TLS handshake took too long.",
            ),
        };
        let house = House {
            settings: RwLock::new(Arc::new(settings.clone())),
            desk: Desk::new(doors.bus.clone(), doors.clock.clone(), metrics, limits.bindings.clone()),
            requests: std::sync::atomic::AtomicU64::new(0),
            databases: Default::default(),
            limits,
            counters,
            doors,
        };
        let house = Arc::new(house);
        show_bounds(&house);
        Web(house)
    }

    /// Takes other settings: for requests that come from now on.
    pub fn set_settings(&self, settings: Settings) {
        let limits = &self.0.limits;
        limits.bodies.set_max(settings.bodies_bytes_max);
        limits.connections.set_max(settings.connections_max);
        limits.handshakes.set_max(settings.handshakes_max);
        limits.live.set_max(settings.live_max);
        limits.bindings.set_max(settings.bindings_max);
        let others = settings.templates != self.settings().templates;
        *self.0.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        if others {
            self.0.desk.namer.forget();
        }
    }

    /// The templates in force.
    pub fn templates(&self) -> line::template::Templates {
        self.settings().templates.clone()
    }

    /// Series that keep their default names though a template is meant for them, for `tidemill check`.
    pub fn default_kept(&self) -> Vec<DefaultKept> {
        self.0.desk.namer.default_kept()
    }

    /// Signals that are written from two databases, for `tidemill check`.
    pub fn shared(&self) -> Vec<Shared> {
        self.0.desk.namer.shared()
    }

    /// All calls, the same for every listener and for the control socket. Whoever serves it puts a [`Connection`]
    /// into each request's extensions; [`Web::serve_tcp`] and [`Web::serve_unix`] do.
    pub fn router(&self) -> Router {
        middleware::wrap(self, openapi::routes()).with_state(self.clone())
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.0.settings()
    }

    pub(crate) fn doors(&self) -> &Doors {
        &self.0.doors
    }
}

#[cfg(test)]
mod tests;
