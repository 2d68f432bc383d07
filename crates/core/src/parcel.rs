//! A parcel: everything that belongs to one publish, all or nothing at recovery. Its bytes are the journal's business.

use std::sync::Arc;

use bytes::Bytes;

use crate::batch::SampleBatch;

/// A place in the log, known when a commit resolves. Seq 0 is before the first parcel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(pub u64);

/// How durable a publish must be before it counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Acknowledged after fsync.
    Commit,
    /// In the log with the next commit; forces no sync of its own.
    Ride,
    /// Routed, not in the log.
    Live,
}

/// Which of its own streams a record belongs to. Numbers are frozen: they stand in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u16);

impl StreamId {
    /// Definitions and edits of signals and sources (bus).
    pub const REGISTRY: StreamId = StreamId(1);
    /// The audit table (guard).
    pub const AUDIT: StreamId = StreamId(2);
    /// The record of corrections: what was replaced or deleted, by whom and why (historian).
    pub const CORRECTIONS: StreamId = StreamId(3);
}

/// Where a message came from, so that a bridge drops its own echo. 0 is here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OriginId(pub u32);

/// Who numbers its publishes so that a repeated one is known, e.g. an HTTP `Idempotency-Key` or an edge's outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProducerId(pub u64);

/// A message as it came, for those who subscribe to bytes rather than values.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "MQTT's words (MQTT 5.0, 3.3)")]
pub struct Message {
    pub topic: Bytes,
    pub payload: Bytes,
    pub properties: Bytes,
    pub retain: bool,
    pub qos: u8,
    pub origin: OriginId,
}

/// A record of an engine: a definition, a session, an audit entry, a row of a declared table.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "an engine's own key and value")]
pub struct Record {
    pub stream: StreamId,
    pub key: Bytes,
    pub value: Bytes,
}

/// Everything that belongs to one publish.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parcel {
    /// Decoded samples.
    pub samples: Option<Arc<SampleBatch>>,
    /// Raw messages that a queue or a retained topic needs.
    pub messages: Vec<Message>,
    /// Engines' records; definitions of ids first used in `samples` among them.
    pub records: Vec<Record>,
    /// The producer's own number, by which a repeated publish is known.
    pub once: Option<(ProducerId, u64)>,
}

impl Parcel {
    /// A parcel of samples alone.
    pub fn of_samples(batch: SampleBatch) -> Parcel {
        Parcel { samples: Some(Arc::new(batch)), ..Parcel::default() }
    }

    /// A parcel of one record.
    pub fn of_record(stream: StreamId, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Parcel {
        Parcel { records: vec![Record { stream, key: key.into(), value: value.into() }], ..Parcel::default() }
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        let samples = self.samples.as_ref().map_or(0, |batch| batch.bytes());
        let messages: usize =
            self.messages.iter().map(|m| m.topic.len() + m.payload.len() + m.properties.len() + 64).sum();
        let records: usize =
            self.records.iter().map(|record| record.key.len() + record.value.len() + 64).sum();
        size_of::<Self>() + samples + messages + records
    }
}
