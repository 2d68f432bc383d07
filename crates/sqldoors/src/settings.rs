//! What the doors need to know and may not find out for themselves. The binary reads it from the plant's files.

use std::time::Duration;

use tidemill_core::Budget;

/// Bounds. Every one has a counter: see `/metrics`, `tidemill_limit_*`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Connections at once, of each door; one address may have half of them.
    pub connections_max: u64,
    /// The largest message of a client.
    pub message_bytes_max: usize,
    /// How long a new connection may take until it has said who it is.
    pub begin_max: Duration,
    /// How long a client may be silent between two statements, or take nothing of an answer.
    pub idle_max: Duration,
    /// How long one message may take to arrive.
    pub send_max: Duration,
    /// What one statement may cost.
    pub query: Budget,
    /// How long running statements may go on once the plant stops.
    pub drain: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            connections_max: 256,
            message_bytes_max: 1 << 20,
            begin_max: Duration::from_secs(10),
            idle_max: Duration::from_secs(3_600),
            send_max: Duration::from_secs(60),
            query: Budget { time: Duration::from_secs(30), memory_bytes: 256 << 20, rows: 10_000_000 },
            drain: Duration::from_secs(5),
        }
    }
}
