//! What the doors need to know and may not find out for themselves: bounds, names, templates. The binary reads them
//! from the plant's files; here are only types and the defaults that surface.md promises.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tidemill_core::Budget;

use crate::line::template::Templates;

/// Says whether an address is one of `[http] trusted_proxies`.
pub type TrustedProxy = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Bounds, names and templates. Every bound has a counter: see `/metrics`, `tidemill_limit_*`.
#[derive(Clone)]
pub struct Settings {
    /// Whose forwarded requests are believed.
    pub trusted_proxy: TrustedProxy,
    /// Names under which a loopback listener may be asked for, besides `localhost` and loopback addresses.
    pub names: Vec<String>,
    /// The largest request body, after decompression.
    pub body_bytes_max: usize,
    /// Bytes of request bodies and of the batches made from them, all requests together.
    pub bodies_bytes_max: u64,
    /// Connections by network at once; one address may have half of them. The control socket has its own.
    pub connections_max: u64,
    /// TLS handshakes at once that have not ended; one address may have half of them.
    pub handshakes_max: u64,
    /// `live` subscribers at once.
    pub live_max: u64,
    /// Bindings (series and field to signal) that are remembered, all identities together.
    pub bindings_max: u64,
    /// Text longer than this is refused (`[limits] text_sample_bytes`).
    pub text_sample_bytes: usize,
    /// Samples further ahead of the clock are refused (`[limits] future`); none takes and counts them.
    pub ahead_max_ns: Option<i64>,
    /// Samples further behind the clock are refused (`[limits] past`).
    pub behind_max_ns: Option<i64>,
    /// Samples older than what is kept are refused (`[storage] keep`): they would be gone again at once.
    pub keep_max_ns: Option<i64>,
    /// What one query may cost.
    pub query: Budget,
    /// How long a TLS handshake may take.
    pub handshake_max: Duration,
    /// How long a new connection may take for the headers of its first request.
    pub header_max: Duration,
    /// How long the next request's headers, or the next piece of a body, may take.
    pub idle_max: Duration,
    /// How long a whole request body may take.
    pub body_time_max: Duration,
    /// How long running requests may go on once the plant stops.
    pub drain: Duration,
    /// Plant names for foreign series (connections/line-protocol.toml).
    pub templates: Templates,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            trusted_proxy: Arc::new(|_| false),
            names: Vec::new(),
            body_bytes_max: 64 << 20,
            bodies_bytes_max: 192 << 20,
            connections_max: 1024,
            handshakes_max: 256,
            live_max: 256,
            bindings_max: 200_000,
            text_sample_bytes: 1024,
            ahead_max_ns: None,
            behind_max_ns: None,
            keep_max_ns: None,
            query: Budget { time: Duration::from_secs(60), memory_bytes: 256 << 20, rows: 50_000_000 },
            handshake_max: Duration::from_secs(10),
            header_max: Duration::from_secs(10),
            idle_max: Duration::from_secs(30),
            body_time_max: Duration::from_secs(300),
            drain: Duration::from_secs(10),
            templates: Templates::default(),
        }
    }
}

/// What the doors tell about the plant.
#[derive(Clone, Debug)]
pub struct PlantFacts {
    /// Its name.
    pub name: Arc<str>,
    /// The program's version.
    pub version: Arc<str>,
    /// The IANA name of its time zone; none where the machine does not tell it.
    pub timezone: Option<Arc<str>>,
}
