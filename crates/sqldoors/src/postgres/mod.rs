//! The door of the PostgreSQL protocol. Nothing is spoken here yet.

use std::sync::Arc;

use tidemill_ground::{Limit, Stop};

use crate::peers::Peers;
use crate::serve::{self, Listening};
use crate::{Doors, House};

/// What the door holds.
pub(crate) struct Held {
    pub(crate) connections: Limit,
    peers: Peers,
}

impl Held {
    pub(crate) fn new(doors: &Doors) -> Held {
        let max = doors.settings.connections_max;
        Held {
            connections: Limit::new(&doors.metrics, "postgres_connections", max),
            peers: Peers::new(&doors.metrics, "postgres"),
        }
    }
}

pub(crate) async fn serve(house: &Arc<House>, listening: Listening, stop: Stop) {
    let held = &house.postgres;
    let drain = house.settings().drain;
    serve::serve(
        "postgres",
        (&held.connections, &held.peers),
        listening,
        drain,
        stop,
        |stream, visit| async move {
            drop((stream, visit));
        },
    )
    .await;
}
