//! Writes one file of samples: signals in order of their paths, each with its rows in order of time. What does not
//! live here: which rows (flush, merge, amend decide), and the commit that makes the file part of the table.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use tidemill_core::{SignalId, SourceId};
use tidemill_ground::Disk;

use super::columns::Columns;
use super::directory::{Directory, Entry};
use super::rows::Rows;
use super::schema::{self, FORMAT, FORMAT_KEY};
use super::sink::Sink;
use crate::Error;

/// Where in a file the tail's directory and checksums are: `offset,length,blocks` in bytes.
pub(crate) const DIRECTORY_KEY: &str = "tidemill.directory";
/// Rows that are encoded at once.
const ENCODE_ROWS: usize = 16_384;
const ENCODE_HEAP_BYTES: usize = 4 << 20;

/// What a writer of files needs of the world.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) disk: Arc<dyn Disk>,
    /// The table's folder.
    pub(crate) dir: PathBuf,
    /// For messages: the folder relative to the lake.
    pub(crate) name: &'static str,
    /// The name of a source.
    pub(crate) source: Arc<dyn Fn(SourceId) -> Arc<str> + Send + Sync>,
    /// See [`Sink`].
    pub(crate) pace: Arc<dyn Fn(u64) + Send + Sync>,
    /// Keeps floats as floats, also where they are decimals.
    pub(crate) open_values: bool,
}

/// A file that was written and synced; its name in the folder is not.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) from: i64,
    pub(crate) last: i64,
    pub(crate) first_path: String,
    pub(crate) last_path: String,
    /// (where the tail begins, its CRC32C).
    pub(crate) tail: (u64, u32),
}

/// A file of samples that is being written.
pub(crate) struct FileWriter {
    place: Place,
    name: String,
    schema: SchemaRef,
    arrow: ArrowWriter<Sink>,
    columns: Columns,
    directory: Directory,
    rows: u64,
    from: i64,
    last: i64,
    first_path: Option<Arc<str>>,
    path: Arc<str>,
}

impl FileWriter {
    pub(crate) fn create(place: &Place, name: String) -> Result<FileWriter, Error> {
        let sink = Sink::create(&*place.disk, &place.dir.join(&name), place.pace.clone())?;
        let schema = schema::samples();
        let arrow = ArrowWriter::try_new(sink, schema.clone(), Some(schema::samples_properties()))
            .map_err(|source| Error::Format { what: "encoded", file: name.clone(), source })?;
        Ok(FileWriter {
            place: place.clone(),
            name,
            schema,
            arrow,
            columns: Columns::default(),
            directory: Directory::default(),
            rows: 0,
            from: i64::MAX,
            last: i64::MIN,
            first_path: None,
            path: "".into(),
        })
    }

    fn failed(&self, source: parquet::errors::ParquetError) -> Error {
        Error::Format { what: "encoded", file: format!("{}/{}", self.place.name, self.name), source }
    }

    /// Begins the rows of a signal; paths must come in order.
    pub(crate) fn begin(&mut self, signal: SignalId, path: &Arc<str>) {
        self.first_path.get_or_insert_with(|| path.clone());
        self.path = path.clone();
        self.directory.entries.push(Entry {
            signal,
            first_row: self.rows,
            rows: 0,
            from: i64::MAX,
            last: i64::MIN,
        });
    }

    /// Adds rows of the signal that was begun, in order of time.
    pub(crate) fn add(&mut self, rows: &Rows) -> Result<(), Error> {
        let (Some(from), Some(last)) = (rows.time.first().copied(), rows.time.last().copied()) else {
            return Ok(());
        };
        if let Some(entry) = self.directory.entries.last_mut() {
            entry.rows += rows.len() as u64;
            entry.from = entry.from.min(from);
            entry.last = entry.last.max(last);
        }
        self.rows += rows.len() as u64;
        self.from = self.from.min(from);
        self.last = self.last.max(last);
        self.columns.add(&self.path, rows, self.place.open_values);
        if self.columns.len() >= ENCODE_ROWS || self.columns.heap_bytes() >= ENCODE_HEAP_BYTES {
            self.encode()?;
        }
        Ok(())
    }

    fn encode(&mut self) -> Result<(), Error> {
        for source in self.columns.sources() {
            if !self.directory.sources.iter().any(|(number, _)| *number == source.0) {
                self.directory.sources.push((source.0, (self.place.source)(*source).to_string()));
            }
        }
        let name_of = self.place.source.clone();
        let batch = self.columns.take(&self.schema, &*name_of).map_err(|error| self.failed(error.into()))?;
        self.arrow.write(&batch).map_err(|source| self.failed(source))
    }

    /// About how many bytes the file has so far.
    pub(crate) fn bytes(&self) -> u64 {
        (self.arrow.bytes_written() + self.arrow.in_progress_size()) as u64
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Completes and syncs the file.
    pub(crate) fn finish(mut self) -> Result<Written, Error> {
        if self.columns.len() > 0 {
            self.encode()?;
        }
        self.directory.entries.retain(|entry| entry.rows > 0);
        self.directory.entries.sort_by_key(|entry| entry.signal);
        let (name, place) = (self.name.clone(), self.place.name);
        let failed = |source| Error::Format { what: "encoded", file: format!("{place}/{name}"), source };
        let failed_io = |error: std::io::Error| failed(error.into());

        self.arrow.flush().map_err(failed)?;
        self.arrow.sync().map_err(failed_io)?;
        let blocks = self.arrow.inner_mut().end_data();
        let offset = self.arrow.bytes_written();
        let directory = zstd::bulk::compress(&self.directory.encode(), 3).map_err(failed_io)?;
        self.arrow.write_all(&directory).map_err(failed_io)?;
        let sums: Vec<u8> = blocks.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        self.arrow.write_all(&sums).map_err(failed_io)?;
        let place_of = format!("{offset},{},{}", directory.len(), sums.len());
        self.arrow.append_key_value_metadata(KeyValue::new(FORMAT_KEY.into(), FORMAT.to_string()));
        self.arrow.append_key_value_metadata(KeyValue::new(DIRECTORY_KEY.into(), place_of));
        let sink = self.arrow.into_inner().map_err(failed)?;
        let (bytes, tail_at, tail_sum) = sink.finish()?;
        Ok(Written {
            name: self.name,
            bytes,
            rows: self.rows,
            from: self.from,
            last: self.last,
            first_path: self.first_path.as_deref().unwrap_or_default().into(),
            last_path: self.path.to_string(),
            tail: (tail_at, tail_sum),
        })
    }
}
