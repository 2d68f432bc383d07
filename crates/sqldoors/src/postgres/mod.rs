//! The door of the PostgreSQL protocol, version 3: psql, Grafana, DBeaver and whatever else speaks it. The conversation is
//! ours; statements are read and answered by the history, as finished messages.

mod cancel;
mod command;
mod copy;
mod copy_options;
pub(crate) mod message;
mod open;
pub(crate) mod parameter;
mod reply;
mod rows;
mod session;
mod setting;
pub(crate) mod statement;
mod wire;

use std::sync::Arc;

use tidemill_ground::{Counter, Limit, Peers, Stop};
use tokio::net::TcpStream;

use crate::serve::{self, Listening, Visit};
use crate::{Doors, House};
use cancel::Cancels;

/// How many connections may be at their beginning at once, before anyone has shown who they are.
const BEGINNING_MAX: u64 = 64;

/// What the door holds.
pub(crate) struct Held {
    pub(crate) connections: Limit,
    peers: Peers,
    beginning: Limit,
    cancels: Cancels,
    statements: Counter,
    queries: Counter,
    malformed: Counter,
    late: Counter,
    silent: Counter,
    crowded: Counter,
}

impl Held {
    pub(crate) fn new(doors: &Doors) -> Held {
        let metrics = &doors.metrics;
        let counter = |name: &str, help: &str| metrics.counter(&format!("tidemill_postgres_{name}"), help);
        Held {
            connections: Limit::new(metrics, "postgres_connections", doors.settings.connections_max),
            peers: Peers::new(metrics, "tidemill_sql_peer_refused", &[("door", "postgres")]),
            beginning: Limit::new(metrics, "postgres_beginning", BEGINNING_MAX),
            cancels: Cancels::new(doors.entropy.clone()),
            statements: counter("statements", "Statements of PostgreSQL's clients."),
            queries: counter("queries", "Statements among them that asked for rows."),
            malformed: counter("malformed", "Messages that were none of the protocol, or too large."),
            late: counter(
                "late",
                "Connections closed because a message did not come, or its beginning took too long.",
            ),
            silent: counter("silent", "Sessions closed because they said nothing for too long."),
            crowded: counter(
                "crowded",
                "Prepared statements and portals refused because there were too many.",
            ),
        }
    }
}

pub(crate) async fn serve(house: &Arc<House>, listening: Listening, stop: Stop) {
    let held = &house.postgres;
    let drain = house.settings().drain;
    let one = |stream, visit| serve_one(house.clone(), stream, visit);
    let (doors, clock) = ((&held.connections, &held.peers), house.doors.clock.as_ref());
    serve::serve("postgres", doors, clock, listening, drain, stop, one).await;
}

async fn serve_one(house: Arc<House>, stream: TcpStream, visit: Visit) {
    let held = &house.postgres;
    // Beyond the limit the connection is closed at once; it counts it.
    let Some(beginning) = held.beginning.try_take(1) else { return };
    let opening = open::open(&house, stream, visit);
    match tokio::time::timeout(house.settings().begin_max, opening).await {
        Err(_) => held.late.add(1),
        Ok(Ok(Some(session))) => {
            drop(beginning);
            session.converse().await;
        }
        Ok(Ok(None) | Err(_)) => {}
    }
}

/// What a stranger's bytes go through before anything is asked of the history, for the fuzz target: an opening packet, a
/// message, a parameter in binary, and statements apart from each other. The first byte chooses.
pub fn fuzz_postgres(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    match choice % 4 {
        0 => drop(message::opening(data)),
        1 => {
            let Some((tag, body)) = data.split_first() else { return };
            drop(message::message(*tag, body));
        }
        2 => {
            let Some((kind, value)) = data.split_first_chunk::<2>() else { return };
            drop(parameter::text(u32::from(u16::from_be_bytes(*kind)), value));
        }
        _ => {
            let Ok(text) = std::str::from_utf8(data) else { return };
            for part in statement::split(text) {
                assert!(part.len() <= text.len());
                drop(statement::read(part));
            }
        }
    }
}
