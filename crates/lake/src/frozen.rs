//! What has been applied and is not yet in files: layers of samples with the deletions between them, the last of which grows,
//! and the frozen ones that are being flushed. What does not live here: the rows themselves (`buffer`), the flush.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tidemill_core::{Deletion, Seq, StreamId};

use super::buffer::{Buffer, Fill};

/// Layers that wait at most: each deletion that finds new samples begins one. Beyond it the journal waits.
pub(crate) const LAYERS_MAX: usize = if cfg!(test) { 4 } else { 64 };

/// Records of declared tables in order of arrival, by stream.
pub(crate) type Records = BTreeMap<StreamId, Arc<Vec<(Seq, Bytes)>>>;

/// Deletions in order of arrival.
pub(crate) type Deletions = Vec<Arc<Deletion>>;

/// Samples in order of arrival, and the deletions that came behind them: these concern the layer, those before it and the
/// files, and nothing that came later.
#[derive(Clone)]
pub(crate) struct Layer {
    pub(crate) buffer: Arc<Buffer>,
    pub(crate) deletions: Deletions,
    /// Where the log is at its end.
    pub(crate) upto: Seq,
}

/// Each layer with all deletions that concern it.
pub(crate) fn with_deletions(layers: &[Layer]) -> Vec<(&Layer, Deletions)> {
    let mut later = Deletions::new();
    let mut all: Vec<_> = layers
        .iter()
        .rev()
        .map(|layer| {
            later.splice(0..0, layer.deletions.iter().cloned());
            (layer, later.clone())
        })
        .collect();
    all.reverse();
    all
}

/// What grows.
pub(crate) struct Active {
    /// Layers that a deletion closed.
    pub(crate) closed: Vec<Layer>,
    /// What came after the last deletion.
    pub(crate) buffer: Arc<Buffer>,
    pub(crate) records: Records,
    /// Bytes of the journal that it stands for.
    pub(crate) journal_bytes: u64,
    open_bytes_max: usize,
}

impl Active {
    pub(crate) fn new(open_bytes_max: usize) -> Active {
        Active {
            closed: Vec::new(),
            buffer: Arc::new(Buffer::new(open_bytes_max)),
            records: Records::new(),
            journal_bytes: 0,
            open_bytes_max,
        }
    }

    pub(crate) fn add_record(&mut self, stream: StreamId, seq: Seq, value: Bytes) {
        // Copies only while someone looks at the rows before.
        Arc::make_mut(self.records.entry(stream).or_default()).push((seq, value));
    }

    /// What comes from now on is not concerned by the deletion. Deletions that come one behind the other share a layer.
    pub(crate) fn delete(&mut self, seq: Seq, deletion: Deletion) {
        let deletion = Arc::new(deletion);
        match self.closed.last_mut() {
            Some(layer) if self.buffer.fill().rows == 0 => {
                layer.deletions.push(deletion);
                layer.upto = seq;
            }
            _ => {
                let buffer = std::mem::replace(&mut self.buffer, Arc::new(Buffer::new(self.open_bytes_max)));
                self.closed.push(Layer { buffer, deletions: vec![deletion], upto: seq });
            }
        }
    }

    /// All layers, the last one being what grows.
    pub(crate) fn layers(&self, upto: Seq) -> Vec<Layer> {
        let last = Layer { buffer: self.buffer.clone(), deletions: Deletions::new(), upto };
        self.closed.iter().cloned().chain([last]).collect()
    }

    pub(crate) fn fill(&self) -> Fill {
        self.closed.iter().fold(self.buffer.fill(), |sum, layer| sum + layer.buffer.fill())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.closed.is_empty() && self.buffer.fill().rows == 0
    }
}

/// What is being flushed: everything up to and including `upto` that is not in files.
#[derive(Clone)]
pub(crate) struct Frozen {
    pub(crate) layers: Vec<Layer>,
    pub(crate) records: Records,
    pub(crate) upto: Seq,
    /// Bytes of the journal that it stands for.
    pub(crate) journal_bytes: u64,
    /// Requests to flush up to this number are fulfilled by it.
    pub(crate) covers: u64,
    /// Its beginning is in files already: the rest of it comes from the journal once more.
    pub(crate) begun: bool,
}

impl Frozen {
    /// All its deletions: they concern the files.
    pub(crate) fn deletions(&self) -> Deletions {
        self.layers.iter().flat_map(|layer| layer.deletions.iter().cloned()).collect()
    }

    /// What is left of it when files hold everything up to a place. A layer stays until all of it is in files: its samples are then
    /// in both, and told as one, as identical ones always are.
    pub(crate) fn behind(&self, place: Seq) -> Option<Frozen> {
        let mut rest = Frozen { begun: true, ..self.clone() };
        rest.layers.retain(|layer| layer.upto > place);
        (place < self.upto).then_some(rest)
    }

    pub(crate) fn fill(&self) -> Fill {
        self.layers.iter().fold(Fill::default(), |sum, layer| sum + layer.buffer.fill())
    }
}
