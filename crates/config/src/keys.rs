//! Every key of tidemill.toml, once: its type, its default, what it means. The commented file of a new plant, the
//! messages of `tidemill check`, the environment variables and docs/reference/configuration.md are made from this table.

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Any text.
    Text,
    /// A whole number from .. to.
    Integer(i64, i64),
    /// `2ms`, `5s`, `1h`, `30d`: from .. to, as they are written.
    Duration(&'static str, &'static str),
    /// `5%`, or bytes: at most so many percent.
    Share(&'static str),
    /// Addresses to listen on: `["127.0.0.1:8440"]`, or tables `{ address = "…", zone = "…" }`.
    Listeners,
    /// Networks: `["192.168.1.0/24"]`.
    Networks,
    /// Names or addresses of a machine: `["tidemill.example.org"]`.
    Names,
    /// A file, by its path from the plant's folder; empty for none.
    File,
    /// Rights: `["write:farm/sensors/#"]`.
    Rights,
    /// One of these words.
    Word(&'static [&'static str]),
    /// This word, or a duration from .. to.
    WordOrDuration(&'static str, &'static str, &'static str),
    /// This word, or bytes from .. to.
    WordOrBytes(&'static str, &'static str, &'static str),
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// The table it stands in.
    pub section: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// What it takes.
    pub kind: KeyKind,
    /// As it stands in the file.
    pub default: &'static str,
    /// One sentence or two, for the file, the page and `check`.
    pub meaning: &'static str,
    /// Whether a saved change holds at once; others hold from the next start.
    pub live: bool,
}

macro_rules! keys {
    ($($section:ident . $name:ident : $kind:expr, $default:literal, $live:literal, $meaning:literal;)*) => {
        /// The table.
        pub static KEYS: &[Key] = &[$(Key {
            section: stringify!($section), name: stringify!($name), kind: $kind, default: $default, live: $live, meaning: $meaning,
        }),*];
    };
}

keys! {
    plant.name: KeyKind::Text, "\"plant\"", false,
        "What this plant is called.";
    plant.timezone: KeyKind::Text, "\"system\"", false,
        "The IANA time zone of days, shifts, charts and times without an offset, e.g. \"Europe/Berlin\"; \"system\" is the machine's.";
    http.listen: KeyKind::Listeners, "[\"127.0.0.1:8440\", \"[::1]:8440\"]", false,
        "Where HTTP listens. Loopback is plain; any other address is TLS (8443 is usual), unless its zone says plain = true.";
    http.trusted_proxies: KeyKind::Networks, "[]", true,
        "Addresses or networks of proxies whose forwarded requests may have a zone's rights.";
    tls.certificate: KeyKind::File, "\"\"", true,
        "Your certificate with its chain, as PEM, from the plant's folder. Empty: the plant's own authority issues one and renews it. A changed file is taken up within half a minute; a bad one leaves the one before in force.";
    tls.key: KeyKind::File, "\"\"", true,
        "The private key of that certificate, as PEM without a passphrase.";
    tls.names: KeyKind::Names, "[]", true,
        "Names and addresses by which clients reach this machine, e.g. [\"tidemill.example.org\"], for the certificate that the plant issues. The machine's name, localhost and the addresses that clients reach stand in it anyway.";
    postgres.listen: KeyKind::Listeners, "[]", false,
        "Where SQL is answered by the PostgreSQL protocol: [\"127.0.0.1:5432\"] when wanted. A token is the password.";
    flight.listen: KeyKind::Listeners, "[]", false,
        "Where SQL is answered by Flight SQL (ADBC, JDBC): [\"127.0.0.1:8441\"] when wanted.";
    storage.commit_window: KeyKind::Duration("0s", "1s"), "\"2ms\"", false,
        "The longest that an acknowledgement waits for company; a lone one does not wait.";
    storage.durability: KeyKind::Word(&["disk", "relaxed"]), "\"disk\"", false,
        "\"disk\": acknowledged means on disk. \"relaxed\": acknowledged up to one second before it is on disk; a power cut can lose that second, and the next start says so.";
    storage.keep: KeyKind::WordOrDuration("forever", "1h", "200y"), "\"forever\"", false,
        "How long samples are kept: \"forever\", or e.g. \"5y\". Older ones are refused, and those that have become older leave the history a file at a time, counted and logged.";
    storage.free_min: KeyKind::Share("90%"), "\"5%\"", false,
        "Below this much free disk new values are refused with a code; reads go on.";
    storage.flush_after: KeyKind::Duration("100ms", "30d"), "\"1h\"", false,
        "Samples older than this go from the log into history files, if memory does not ask for it sooner.";
    storage.flush_young_after: KeyKind::Duration("100ms", "30d"), "\"10s\"", false,
        "The same where memory holds at least a quarter of what the files hold: other readers of the files need not wait for a young table, nor for a large import.";
    storage.values: KeyKind::Word(&["compact", "open"]), "\"compact\"", false,
        "How history files keep numbers: \"compact\" writes decimals as scaled integers; \"open\" keeps every float as one, about a byte more per sample and nothing to compute for other readers.";
    storage.merge_every: KeyKind::Duration("100ms", "1d"), "\"20s\"", false,
        "How often it is looked whether small history files should become fewer and larger ones.";
    limits.memory: KeyKind::WordOrBytes("auto", "128MiB", "1TiB"), "\"auto\"", false,
        "Memory for buffers, queries and caches. \"auto\": a quarter of the machine or the container, at least 128 MiB and at most 1 GiB.";
    limits.signals: KeyKind::Integer(1, 100_000_000), "100000", true,
        "New names above this are refused (signals-limit) and counted.";
    limits.signals_new_per_hour: KeyKind::Integer(1, 100_000_000), "10000", true,
        "New names per identity and hour: a flood of random names stays a flood of names.";
    limits.text_sample_bytes: KeyKind::Integer(1, 1_048_576), "1024", true,
        "Longer text is not kept as a sample.";
    limits.query_time: KeyKind::Duration("100ms", "1d"), "\"30s\"", true,
        "The longest that one query may work; for samples as they are, until the next piece of them comes. The time in which nobody takes the answer does not count.";
    limits.slow_query: KeyKind::WordOrDuration("off", "1ms", "1d"), "\"5s\"", true,
        "A query that takes longer is logged and stands in sys.queries.";
    limits.query_rows: KeyKind::Integer(1, 1_000_000_000), "10000000", true,
        "The most rows that an answer of SQL or with points may have; samples as they are have no limit.";
    limits.future: KeyKind::WordOrDuration("off", "1s", "200y"), "\"off\"", true,
        "Samples with a time further ahead of the clock than this are refused; \"off\" accepts, marks and counts them.";
    limits.past: KeyKind::WordOrDuration("off", "1s", "200y"), "\"off\"", true,
        "Samples with a time further behind the clock than this are refused; \"off\" accepts them.";
    health.figures: KeyKind::WordOrDuration("off", "2s", "1h"), "\"10s\"", true,
        "How often the plant writes its own figures as signals under tidemill/, those that changed; \"off\" writes none.";
    health.backup_age: KeyKind::WordOrDuration("off", "1s", "10y"), "\"30d\"", true,
        "A plant of which a backup was ever made warns when the last one is older; \"off\" never does.";
}

/// The keys of a zone: `[zone.NAME]`.
pub static ZONE_KEYS: &[Key] = &[
    Key {
        section: "zone",
        name: "cidr",
        kind: KeyKind::Networks,
        default: "[]",
        live: true,
        meaning: "The networks of this zone, e.g. [\"192.168.1.0/24\"].",
    },
    Key {
        section: "zone",
        name: "plain",
        kind: KeyKind::Word(&["true", "false"]),
        default: "false",
        live: false,
        meaning: "Unencrypted listeners, for this zone's addresses only.",
    },
    Key {
        section: "zone",
        name: "anonymous",
        kind: KeyKind::Rights,
        default: "[]",
        live: true,
        meaning: "Rights without a token, e.g. [\"write:farm/sensors/#\"]: read and write only.",
    },
];

/// What stands above each section in a new plant's file.
pub static SECTIONS: &[(&str, &str)] = &[
    ("plant", "Who we are."),
    ("http", "HTTP and WebSocket: API, health, metrics."),
    (
        "tls",
        "What listeners beyond loopback show to clients. `tidemill trust` says how clients come to trust it.",
    ),
    ("postgres", "SQL for psql, Grafana, DBeaver and their like: docs/reference/sql-clients.md"),
    ("flight", "SQL in columns, for ADBC and JDBC."),
    ("storage", "What happens on disk."),
    ("limits", "Bounds. Each has a counter: SELECT * FROM sys.limits"),
    ("health", "How the plant looks after itself: docs/reference/health.md"),
];

/// The environment variable that overrides a key: `TIDEMILL_STORAGE_KEEP`.
pub fn variable(key: &Key) -> String {
    format!("TIDEMILL_{}_{}", key.section, key.name).to_uppercase()
}
