//! What has been applied and is not yet in files: the buffer that grows, and the frozen one that is being flushed.
//! What does not live here: the rows themselves (`buffer`), the flush.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tidemill_core::{Seq, StreamId};

use super::buffer::Buffer;
use super::view::Deletion;

/// Records of declared tables in order of arrival, by stream.
pub(crate) type Records = BTreeMap<StreamId, Arc<Vec<(Seq, Bytes)>>>;

/// What grows.
pub(crate) struct Active {
    pub(crate) buffer: Arc<Buffer>,
    pub(crate) records: Records,
    /// Bytes of the journal that it stands for.
    pub(crate) journal_bytes: u64,
}

impl Active {
    pub(crate) fn new(open_bytes_max: usize) -> Active {
        Active { buffer: Arc::new(Buffer::new(open_bytes_max)), records: Records::new(), journal_bytes: 0 }
    }

    pub(crate) fn add_record(&mut self, stream: StreamId, seq: Seq, value: Bytes) {
        // Copies only while someone looks at the rows before.
        Arc::make_mut(self.records.entry(stream).or_default()).push((seq, value));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.buffer.fill().rows == 0
    }
}

/// What is being flushed: everything up to and including `upto` that is not in files.
pub(crate) struct Frozen {
    pub(crate) buffer: Arc<Buffer>,
    pub(crate) records: Records,
    pub(crate) deletions: Arc<Vec<Deletion>>,
    pub(crate) upto: Seq,
    /// Bytes of the journal that it stands for.
    pub(crate) journal_bytes: u64,
    /// Requests to flush up to this number are fulfilled by it.
    pub(crate) covers: u64,
}
