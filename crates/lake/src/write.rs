//! Writes one file of samples: signals in order of their paths, each with its rows in order of time. What does not
//! live here: which rows (flush, merge, amend decide), and the commit that makes the file part of the table.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::writer::SerializedFileWriter;
use tidemill_core::{Kind, Quality, SignalId, SourceId};
use tidemill_ground::Disk;
use zstd::bulk::Compressor;

use super::columns::Columns;
use super::directory::{Directory, Entry};
use super::read::Footer;
use super::rows::Rows;
use super::runs::chunk;
use super::schema::{self, FORMAT, FORMAT_KEY, column};
use super::sink::Sink;
use crate::Error;

/// Where in a file the tail's directory and checksums are: `offset,length,blocks` in bytes.
pub(crate) const DIRECTORY_KEY: &str = "tidemill.directory";
/// Rows that are encoded at once.
const ENCODE_ROWS: usize = 16_384;
const ENCODE_HEAP_BYTES: usize = 4 << 20;

/// Whether a column is kept as runs.
fn is_runs(number: usize) -> bool {
    use column::{KIND, NANOS, QUALITY, SCALE, SIGNAL, SOURCE};
    [SIGNAL, NANOS, KIND, SCALE, QUALITY, SOURCE].contains(&number)
}

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
    parquet: SerializedFileWriter<Sink>,
    groups: ArrowRowGroupWriterFactory,
    /// Those columns of the row group that is being written that are no runs, by number; empty between two.
    group: Vec<(usize, ArrowColumnWriter)>,
    group_rows: usize,
    columns: Columns,
    compressor: Compressor<'static>,
    directory: Directory,
    rows: u64,
    from: i64,
    last: i64,
    /// The first and the last path by name.
    paths: Option<(Arc<str>, Arc<str>)>,
    path: Arc<str>,
}

impl FileWriter {
    pub(crate) fn create(place: &Place, name: String) -> Result<FileWriter, Error> {
        let sink = Sink::create(&*place.disk, &place.dir.join(&name), place.pace.clone())?;
        let failed = |source| Error::Format { what: "encoded", file: name.clone(), source };
        let schema = schema::samples();
        let (parquet, groups) =
            ArrowWriter::try_new(sink, schema.clone(), Some(schema::samples_properties()))
                .and_then(ArrowWriter::into_serialized_writer)
                .map_err(failed)?;
        let compressor = Compressor::new(schema::ZSTD_LEVEL).map_err(|error| failed(error.into()))?;
        let plain: Vec<usize> = (0..schema.fields().len()).filter(|number| !is_runs(*number)).collect();
        let schema = schema.project(&plain).map_err(|error| failed(error.into()))?;
        Ok(FileWriter {
            place: place.clone(),
            name,
            schema: Arc::new(schema),
            parquet,
            groups,
            group: Vec::new(),
            group_rows: 0,
            columns: Columns::default(),
            compressor,
            directory: Directory::default(),
            rows: 0,
            from: i64::MAX,
            last: i64::MIN,
            paths: None,
            path: "".into(),
        })
    }

    fn failed(&self, source: ParquetError) -> Error {
        Error::Format { what: "encoded", file: format!("{}/{}", self.place.name, self.name), source }
    }

    /// Begins the rows of a signal, or goes on with them behind some that were copied. Paths come in order, but for names
    /// that changed since the file was written of which this one is made.
    pub(crate) fn begin(&mut self, signal: SignalId, path: &Arc<str>) {
        self.path = path.clone();
        self.span_paths(path.clone(), path.clone());
        self.enter(signal);
    }

    fn span_paths(&mut self, first: Arc<str>, last: Arc<str>) {
        self.paths = Some(match self.paths.take() {
            None => (first, last),
            Some((lowest, highest)) => (lowest.min(first), highest.max(last)),
        });
    }

    /// Sees to it that the last entry of the directory is that of a signal.
    fn enter(&mut self, signal: SignalId) {
        if self.directory.entries.last().is_none_or(|entry| entry.signal != signal) {
            let (from, last) = (i64::MAX, i64::MIN);
            self.directory.entries.push(Entry { signal, first_row: self.rows, rows: 0, from, last });
        }
    }

    /// Counts rows to the last entry.
    fn count(&mut self, rows: u64, from: i64, last: i64) {
        if let Some(entry) = self.directory.entries.last_mut() {
            entry.rows += rows;
            entry.from = entry.from.min(from);
            entry.last = entry.last.max(last);
        }
        self.rows += rows;
        self.from = self.from.min(from);
        self.last = self.last.max(last);
    }

    /// Adds rows of the signal that was begun, in order of time.
    pub(crate) fn add(&mut self, rows: &Rows) -> Result<(), Error> {
        let (Some(from), Some(last)) = (rows.time.first().copied(), rows.time.last().copied()) else {
            return Ok(());
        };
        self.count(rows.len() as u64, from, last);
        self.columns.add(&self.path, rows, self.place.open_values);
        if self.columns.len() >= ENCODE_ROWS || self.columns.heap_bytes() >= ENCODE_HEAP_BYTES {
            self.encode()?;
        }
        Ok(())
    }

    fn encode(&mut self) -> Result<(), Error> {
        let batch = self.columns.take(&self.schema).map_err(|error| self.failed(error.into()))?;
        self.add_batch(&batch).map_err(|source| self.failed(source))
    }

    fn add_batch(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        let mut done = 0;
        while done < batch.num_rows() {
            if self.group.is_empty() {
                let writers = self.groups.create_column_writers(self.parquet.flushed_row_groups().len())?;
                self.group =
                    writers.into_iter().enumerate().filter(|(number, _)| !is_runs(*number)).collect();
            }
            let rows = (schema::GROUP_ROWS - self.group_rows).min(batch.num_rows() - done);
            let part = batch.slice(done, rows);
            let columns = self.schema.fields().iter().zip(part.columns());
            for ((field, column), (_, writer)) in columns.zip(&mut self.group) {
                // No column of ours is nested: each has one leaf.
                for leaf in compute_leaves(field, column)? {
                    writer.write(&leaf)?;
                }
            }
            (done, self.group_rows) = (done + rows, self.group_rows + rows);
            if self.group_rows >= schema::GROUP_ROWS {
                self.end_group()?;
            }
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), ParquetError> {
        if self.group_rows == 0 {
            return Ok(());
        }
        let mut writers = self.group.drain(..).peekable();
        let descriptors = self.parquet.schema_descr().columns().to_vec();
        let mut group = self.parquet.next_row_group()?;
        for (number, of) in descriptors.iter().enumerate() {
            if let Some((_, writer)) = writers.next_if(|(at, _)| *at == number) {
                writer.close()?.append_to_row_group(&mut group)?;
                continue;
            }
            let (runs, rows, compressor) = (&mut self.columns.runs, self.group_rows, &mut self.compressor);
            let (bytes, close) = match number {
                column::SIGNAL => {
                    chunk(of, &mut runs.signal, rows, true, |path| path.as_bytes().to_vec(), compressor)
                }
                column::NANOS => {
                    let int = |nanos: &i16| i32::from(*nanos).to_le_bytes().to_vec();
                    chunk(of, &mut runs.nanos, rows, false, int, compressor)
                }
                column::KIND => {
                    let int = |kind: &Kind| i32::from(*kind as u8).to_le_bytes().to_vec();
                    chunk(of, &mut runs.kind, rows, false, int, compressor)
                }
                column::SCALE => {
                    let int = |scale: &u8| i32::from(*scale).to_le_bytes().to_vec();
                    chunk(of, &mut runs.scale, rows, false, int, compressor)
                }
                column::QUALITY => {
                    let long = |quality: &Quality| i64::from(quality.0).to_le_bytes().to_vec();
                    chunk(of, &mut runs.quality, rows, true, long, compressor)
                }
                _ => {
                    let name_of = &self.place.source;
                    let directory = &mut self.directory.sources;
                    let name = |source: &SourceId| {
                        let name = name_of(*source);
                        if !directory.iter().any(|(number, _)| *number == source.0) {
                            directory.push((source.0, name.to_string()));
                        }
                        name.as_bytes().to_vec()
                    };
                    chunk(of, &mut runs.source, rows, false, name, compressor)
                }
            }?;
            group.append_column(&bytes, close)?;
        }
        group.close()?;
        self.group_rows = 0;
        Ok(())
    }

    /// Adds a row group of another file as it stands there, checked as it is read; `parts` are the rows of signals in it.
    pub(crate) fn copy(&mut self, footer: &Footer, index: usize, parts: &[Entry]) -> Result<(), Error> {
        if self.columns.len() > 0 {
            self.encode()?;
        }
        self.end_group().map_err(|source| self.failed(source))?;
        let copied = self.parquet.next_row_group().and_then(|mut group| {
            footer.copy_group(index, &mut group)?;
            group.close().map(drop)
        });
        copied.map_err(|source| footer.failed(source))?;
        if let Some((first, last)) = footer.paths_of_group(index) {
            self.span_paths(first.into(), last.into());
        }
        for source in &footer.directory.sources {
            if !self.directory.sources.iter().any(|(number, _)| *number == source.0) {
                self.directory.sources.push(source.clone());
            }
        }
        for part in parts {
            self.enter(part.signal);
            self.count(part.rows, part.from, part.last);
        }
        Ok(())
    }

    /// About how many bytes the file has so far.
    pub(crate) fn bytes(&self) -> u64 {
        let group: usize = self.group.iter().map(|(_, column)| column.get_estimated_total_bytes()).sum();
        (self.parquet.bytes_written() + group) as u64
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

        self.end_group().map_err(failed)?;
        // What the writer of Parquet still holds belongs to the data.
        self.parquet.flush().map_err(failed_io)?;
        let blocks = self.parquet.inner_mut().end_data();
        let offset = self.parquet.bytes_written();
        let directory = zstd::bulk::compress(&self.directory.encode(), 3).map_err(failed_io)?;
        self.parquet.write_all(&directory).map_err(failed_io)?;
        let sums: Vec<u8> = blocks.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        self.parquet.write_all(&sums).map_err(failed_io)?;
        let place_of = format!("{offset},{},{}", directory.len(), sums.len());
        self.parquet.append_key_value_metadata(KeyValue::new(FORMAT_KEY.into(), FORMAT.to_string()));
        self.parquet.append_key_value_metadata(KeyValue::new(DIRECTORY_KEY.into(), place_of));
        let sink = self.parquet.into_inner().map_err(failed)?;
        let (bytes, tail_at, tail_sum) = sink.finish()?;
        let (first_path, last_path) = self.paths.unwrap_or_default();
        Ok(Written {
            name: self.name,
            bytes,
            rows: self.rows,
            from: self.from,
            last: self.last,
            first_path: first_path.to_string(),
            last_path: last_path.to_string(),
            tail: (tail_at, tail_sum),
        })
    }
}
