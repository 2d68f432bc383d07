//! The store as the historian sees it: one consistent picture of samples and tables, taken in one moment. What does not
//! live here: how samples are scanned (`view`) and tables are read (`tables`).

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use bytes::Bytes;
use tidemill_core::{Seq, StreamId, TableSpec};

use super::frozen::{Deletions, Layer, Records, with_deletions};
use super::tables::{Table, TableVersion, row_of};
use super::view::{BufferView, Samples};
use super::{State, Store};
use crate::{Error, FileFact, SampleSource, Scan, ScanSpec, TableScan, View};

/// A table in a view.
struct TableView {
    table: Arc<Table>,
    version: TableVersion,
    buffered: Vec<Arc<Vec<(Seq, Bytes)>>>,
}

struct StoreView {
    samples: Arc<Samples>,
    tables: BTreeMap<StreamId, TableView>,
}

impl View for StoreView {
    fn scan(&self, spec: &ScanSpec, partitions: usize) -> Vec<Scan> {
        self.samples.scan(spec, partitions)
    }

    fn scan_table(&self, spec: &'static TableSpec, from: i64, last: i64) -> TableScan {
        let Some(view) = spec.stream.and_then(|stream| self.tables.get(&stream)) else {
            return Box::new(std::iter::empty());
        };
        let records = view.buffered.iter().flat_map(|records| records.iter());
        let above = records.filter(|(seq, _)| *seq > view.version.applied);
        let rows = above.map(|(_, value)| row_of(view.table.spec, value)).collect();
        let damaged = self.samples.files.damaged();
        let met = move |rows: &Result<RecordBatch, Error>| {
            rows.as_ref().err().into_iter().for_each(|error| damaged.met(error))
        };
        Box::new(view.table.scan(&view.version, rows, from, last).inspect(met))
    }

    fn files(&self) -> Vec<FileFact> {
        self.samples.version.files.iter().map(|file| file.fact()).collect()
    }

    fn kept_bytes(&self) -> usize {
        self.samples.buffers.iter().map(|buffer| buffer.watch.kept_bytes()).sum()
    }
}

impl Store {
    /// What the state has of samples.
    pub(crate) fn samples_of(&self, state: &State) -> Arc<Samples> {
        let mut layers = state.frozen.as_ref().map(|frozen| frozen.layers.clone()).unwrap_or_default();
        layers.extend(state.active.layers(state.applied));
        let layers = with_deletions(&layers);
        let deletions = layers.first().map(|(_, all)| all.clone()).unwrap_or_default();
        let view =
            |(layer, deletions): (&Layer, Deletions)| BufferView { watch: layer.buffer.watch(), deletions };
        let buffers = layers.into_iter().map(view).collect();
        let (version, files, bus) = (state.version.clone(), self.files.clone(), self.bus.clone());
        Arc::new(Samples { version, buffers, deletions, files, bus })
    }

    fn samples_view(&self) -> (Arc<Samples>, BTreeMap<StreamId, TableView>) {
        let state = self.lock();
        let records = |records: &Records, stream| records.get(stream).cloned();
        let tables = state.tables.iter().map(|(stream, (table, version))| {
            let frozen = state.frozen.as_ref().and_then(|frozen| records(&frozen.records, stream));
            let buffered = frozen.into_iter().chain(records(&state.active.records, stream)).collect();
            (*stream, TableView { table: table.clone(), version: version.clone(), buffered })
        });
        (self.samples_of(&state), tables.collect())
    }
}

impl SampleSource for Store {
    fn view(&self) -> Arc<dyn View> {
        let (samples, tables) = self.samples_view();
        Arc::new(StoreView { samples, tables })
    }

    fn applied(&self) -> Seq {
        self.lock().applied
    }

    fn wait_applied(&self, seq: Seq, deadline: Duration) -> bool {
        let state = self.lock();
        let waited = self.changed.wait_timeout_while(state, deadline, |state| {
            // One who is served takes the mark away; the others set it again.
            state.awaited = state.awaited.min(seq);
            state.applied < seq
        });
        waited.unwrap_or_else(PoisonError::into_inner).0.applied >= seq
    }
}
