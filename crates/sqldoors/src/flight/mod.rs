//! The door of Flight SQL: gRPC over HTTP/2, queries in SQL, answers in Arrow as the history spells them. What does not live
//! here: columns and rows (bytes pass through), rights, the acceptance of connections (`serve`).

mod calls;
mod catalog;
mod connection;
mod flatbuffer;
mod fuzz;
mod grpc;
mod info;
mod ipc;
mod messages;
mod rows;
mod statements;
mod table;
mod wire;

pub use fuzz::flight as fuzz_flight;

use std::sync::Arc;

use tidemill_ground::{Counter, Limit, Peers, Stop};

use crate::serve::{self, Listening};
use crate::{Doors, House};

/// How many connections may be there at once by which nobody was identified yet.
const BEGINNING_MAX: u64 = 64;
/// How many calls are answered at once, of all connections.
const CALLS_MAX: u64 = 1_024;
/// What all calls together hold of what was sent to them.
const SENT_BYTES_MAX: u64 = 32 << 20;

/// What the door holds.
pub(crate) struct Held {
    pub(crate) connections: Limit,
    peers: Peers,
    beginning: Limit,
    calls: Limit,
    sent: Limit,
    statements: statements::Statements,
    /// Connections that were closed: nobody said who they are, or they spoke something else.
    unknown: Counter,
    not_tls: Counter,
    not_http_2: Counter,
}

impl Held {
    pub(crate) fn new(doors: &Doors) -> Held {
        let (metrics, max) = (&doors.metrics, doors.settings.connections_max);
        let closed = |why| {
            let help = "Connections of Flight SQL that were closed, and why.";
            metrics.counter_with("tidemill_flight_connections_closed", help, &[("why", why)])
        };
        Held {
            connections: Limit::new(metrics, "flight_connections", max),
            peers: Peers::new(metrics, "tidemill_sql_peer_refused", &[("door", "flight")]),
            beginning: Limit::new(metrics, "flight_beginning", BEGINNING_MAX),
            calls: Limit::new(metrics, "flight_calls", CALLS_MAX),
            sent: Limit::new(metrics, "flight_sent_bytes", SENT_BYTES_MAX),
            statements: statements::Statements::new(metrics, doors.clock.clone(), doors.entropy.clone()),
            unknown: closed("unknown"),
            not_tls: closed("not_tls"),
            not_http_2: closed("not_http_2"),
        }
    }
}

pub(crate) async fn serve(house: &Arc<House>, listening: Listening, stop: Stop) {
    let held = &house.flight;
    let drain = house.settings().drain;
    let doors = (&held.connections, &held.peers);
    serve::serve("flight", doors, house.doors.clock.as_ref(), listening, drain, stop, |stream, visit| {
        connection::serve(house.clone(), stream, visit)
    })
    .await;
}
