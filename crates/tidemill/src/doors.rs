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
            let holder = holder_of(listener.address).unwrap_or_default();
            tracing::warn!(
                event = "door.not_open", door = door.name, address = %listener.address, holder, %error,
                "nothing listens there for this door; the plant runs without it"
            );
            None
        }
    }
}

/// Which process listens on an address, as far as this user may see: `process 4711 (nginx)`.
pub(crate) fn holder_of(address: std::net::SocketAddr) -> Option<String> {
    let table = if address.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
    let port = format!(":{:04X}", address.port());
    let text = std::fs::read_to_string(table).ok()?;
    // Columns: number, local address, remote address, state (0A listens), …, inode (the tenth).
    let inode = text.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let hit = fields.get(1)?.ends_with(&port) && *fields.get(3)? == "0A";
        hit.then(|| fields.get(9).map(|inode| format!("socket:[{inode}]"))).flatten()
    })?;
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let files = std::fs::read_dir(process.path().join("fd")).ok()?;
        let holds = files
            .flatten()
            .any(|file| std::fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == inode.as_str()));
        let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        holds.then(|| format!("process {} ({})", process.file_name().to_string_lossy(), name.trim()))
    })
}
