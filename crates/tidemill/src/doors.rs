//! The doors beside HTTP: each listens where its key says, by none where nothing is said. A taken port is a warning, and
//! the plant runs without that door. What is spoken there is the business of their rooms.

use std::net::SocketAddr;
use std::sync::Arc;

use tidemill_core::Problem;
use tidemill_ground::{Ground, Stop};
use tidemill_sqldoors::{Listening, SqlDoors};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::config::{Config, Listener};
use crate::house::{Rooms, served_by, spawn};
use crate::plant;

/// A door: its name to the guard, the beginning of its address as clients write it without and with TLS, its key, what it
/// speaks within TLS (ALPN), and how it serves.
struct Door {
    name: &'static str,
    schemes: [&'static str; 2],
    key: &'static str,
    protocol: &'static str,
    serve: fn(&Runtime, &SqlDoors, Listening, Stop),
}

const DOORS: [Door; 2] = [
    Door {
        name: "postgres",
        schemes: ["postgresql", "postgresql"],
        key: "postgres.listen",
        protocol: "postgresql",
        serve: |runtime, doors, listening, stop| runtime.block_on(doors.serve_postgres(listening, stop)),
    },
    Door {
        name: "flight",
        schemes: ["grpc", "grpc+tls"],
        key: "flight.listen",
        protocol: "h2",
        serve: |runtime, doors, listening, stop| runtime.block_on(doors.serve_flight(listening, stop)),
    },
];

/// Listens wherever the configuration says; the addresses of what listens.
pub(crate) fn open(
    ground: &Ground,
    config: &Config,
    rooms: &Rooms,
    runtime: &Arc<Runtime>,
) -> Result<Vec<String>, Problem> {
    let mut addresses = Vec::new();
    let listeners = config.listeners();
    for door in &DOORS {
        let listeners = listeners.iter().filter(|(key, _)| *key == door.key);
        for listener in listeners.flat_map(|(_, listeners)| listeners.iter()) {
            let Some((tcp, address)) = listen(door, listener) else { continue };
            let (serve, runtime, doors) = (door.serve, runtime.clone(), rooms.sql.clone());
            let zone = listener.zone.clone();
            let serves = zone.map(|zone| served_by(rooms.guard.clone(), zone, door.name, address));
            let encrypts = config.encrypts(listener);
            let tls = encrypts.then(|| rooms.guard.tls().acceptors(&[door.protocol])).transpose()?;
            addresses.push(format!("{}://{address}", door.schemes[usize::from(encrypts)]));
            spawn(ground, &format!("{} {address}", door.name), move |stop| {
                serve(&runtime, &doors, Listening { tcp, tls, serves }, stop);
            })?;
        }
    }
    Ok(addresses)
}

fn listen(door: &Door, listener: &Listener) -> Option<(TcpListener, SocketAddr)> {
    let bound = std::net::TcpListener::bind(listener.address).and_then(|socket| {
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok((TcpListener::from_std(socket)?, address))
    });
    match bound {
        Ok(bound) => Some(bound),
        Err(error) => {
            let holder = plant::holder_of(listener.address).unwrap_or_default();
            tracing::warn!(
                event = "door.not_open", door = door.name, address = %listener.address, holder, %error,
                "nothing listens there for this door; the plant runs without it"
            );
            None
        }
    }
}
