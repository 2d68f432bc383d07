//! Tables that engines declare: their records become rows of a Delta table of its own under `lake/tables/`, with its
//! own place in the journal. Small, so a file is written and read as a whole. What does not live here: what the rows
//! mean, and samples.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int16Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;
use tidemill_core::{ColumnKind, Seq, TableSpec, Value, parse_rfc3339};
use tidemill_ground::{Disk, Open, read};

use super::damage::DamagedFiles;
use super::delta::{Action, Add, CommitInfo, Log, Remove, TableState, Txn, timestamp_ms};
use super::schema::{self, FORMAT, FORMAT_KEY, timestamp_us};
use crate::Error;
use crate::{TableCopy, TableScan, table_schema};

/// Rows of a file at most.
const FILE_ROWS_MAX: usize = 1 << 20;
/// So many small files are merged into one.
const FILES_SMALL_MAX: usize = 32;
const SMALL_BYTES: u64 = 16 << 20;

/// One row in the order of the table's columns.
pub(crate) type TableRow = Vec<Value>;

/// A declared table. One whose log cannot be understood is closed: it has no rows to show and takes none, and the rest of the
/// plant goes on without it.
pub(crate) struct Table {
    pub(crate) spec: &'static TableSpec,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Or why it is closed.
    log: Result<Mutex<Log>, Closed>,
}

/// Why a table is closed.
enum Closed {
    /// What a later version wrote is sound: no backup is to be put in its place.
    Newer { file: String, found: u64, known: u64 },
    /// It cannot be understood.
    Broken(String),
}

/// One version of a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableVersion {
    pub(crate) files: Vec<Add>,
    /// Rows of records up to here are in the files.
    pub(crate) applied: Seq,
}

impl TableVersion {
    fn of(state: &TableState) -> TableVersion {
        let mut files: Vec<Add> = state.files.values().cloned().collect();
        files.sort_by_key(order);
        TableVersion { files, applied: Seq(state.applied) }
    }
}

/// The version in which a file's rows came.
const ORDER_KEY: &str = "tidemill.order";

fn order(file: &Add) -> u64 {
    file.tags.as_ref().and_then(|tags| tags.get(ORDER_KEY)?.parse().ok()).unwrap_or(0)
}

fn set_order(file: &mut Add, order: u64) {
    file.tags.get_or_insert_default().insert(ORDER_KEY.to_owned(), order.to_string());
}

fn nanos_name(name: &str) -> String {
    format!("{name}_nanos")
}

/// The columns of a table's files. Times have their nanoseconds beside them, for Delta keeps microseconds.
pub(crate) fn file_schema(spec: &TableSpec) -> SchemaRef {
    let mut fields = Vec::new();
    for column in spec.columns {
        match column.kind {
            ColumnKind::Time => {
                fields.push(Field::new(column.name, timestamp_us(), true));
                fields.push(Field::new(nanos_name(column.name), DataType::Int16, true));
            }
            ColumnKind::Float => fields.push(Field::new(column.name, DataType::Float64, true)),
            ColumnKind::Int => fields.push(Field::new(column.name, DataType::Int64, true)),
            ColumnKind::Bool => fields.push(Field::new(column.name, DataType::Boolean, true)),
            ColumnKind::Text => fields.push(Field::new(column.name, DataType::Utf8, true)),
        }
    }
    Arc::new(Schema::new(fields))
}

impl Table {
    /// A table with its log, or with the reason why that cannot be opened.
    pub(crate) fn new(
        spec: &'static TableSpec,
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        log: Result<Log, Error>,
    ) -> Table {
        let closed = |error| match error {
            Error::NewerFormat { file, found, known } => Closed::Newer { file, found, known },
            error => Closed::Broken(error.to_string()),
        };
        Table { spec, disk, dir, log: log.map(Mutex::new).map_err(closed) }
    }

    fn lock(&self) -> Result<std::sync::MutexGuard<'_, Log>, Error> {
        match &self.log {
            Ok(log) => Ok(log.lock().unwrap_or_else(PoisonError::into_inner)),
            Err(Closed::Newer { file, found, known }) => {
                Err(Error::NewerFormat { file: file.clone(), found: *found, known: *known })
            }
            Err(Closed::Broken(why)) => Err(Error::Closed { table: self.spec.name, why: why.clone() }),
        }
    }

    /// What is wrong with the table's files, or why it is closed.
    pub(crate) fn check(&self) -> Vec<Error> {
        match self.lock().map(|log| TableVersion::of(&log.state)) {
            Ok(version) => {
                check(&*self.disk, &self.dir, &format!("tables/{}", self.spec.name), &version.files)
            }
            Err(closed) => vec![closed],
        }
    }

    /// Whether a file is what was written.
    pub(crate) fn verify(&self, file: &Add) -> Result<(), Error> {
        sound_bytes(&*self.disk, &self.dir, &format!("tables/{}", self.spec.name), file).map(drop)
    }

    /// Which files make its present version.
    pub(crate) fn copy(&self) -> Result<TableCopy, Error> {
        self.lock()?.copy(&format!("tables/{}", self.spec.name))
    }

    /// Why the table is closed, if it is.
    pub(crate) fn closed(&self) -> Option<Error> {
        self.lock().err()
    }

    pub(crate) fn version(&self) -> TableVersion {
        self.lock().map(|log| TableVersion::of(&log.state)).unwrap_or_default()
    }

    pub(crate) fn path_of(&self, file: &Add) -> PathBuf {
        self.dir.join(&file.path)
    }

    /// Removes files that a crash left behind before their commit.
    pub(crate) fn remove_orphans(&self) -> Result<u64, Error> {
        super::vacuum::remove_orphans(&*self.disk, &self.dir, &*self.lock()?)
    }

    /// Whether a file is or was part of the table.
    pub(crate) fn knows(&self, file: &str) -> bool {
        self.lock()
            .is_ok_and(|log| log.state.files.contains_key(file) || log.state.removed.contains_key(file))
    }

    fn failed(&self, file: &str, source: parquet::errors::ParquetError, what: &'static str) -> Error {
        Error::Format { what, file: format!("tables/{}/{file}", self.spec.name), source }
    }

    /// Writes rows to synced files that are not yet part of the table.
    pub(crate) fn write(
        &self,
        rows: &[TableRow],
        name: &dyn Fn() -> String,
        wall: i64,
    ) -> Result<Vec<Add>, Error> {
        let mut files = Vec::new();
        for part in rows.chunks(FILE_ROWS_MAX) {
            let batch = encode(self.spec, part).map_err(|error| self.failed("", error.into(), "encoded"))?;
            files.push(self.write_file(&[batch], name(), wall)?);
        }
        Ok(files)
    }

    fn write_file(&self, batches: &[RecordBatch], name: String, wall: i64) -> Result<Add, Error> {
        let failed = |source| self.failed(&name, source, "encoded");
        let mut writer =
            ArrowWriter::try_new(Vec::new(), file_schema(self.spec), Some(schema::table_properties()))
                .map_err(failed)?;
        batches.iter().try_for_each(|batch| writer.write(batch)).map_err(failed)?;
        writer.append_key_value_metadata(KeyValue::new(FORMAT_KEY.into(), FORMAT.to_string()));
        let bytes = writer.into_inner().map_err(failed)?;
        let path = self.dir.join(&name);
        let written = self.disk.open(&path, Open::CreateNew).and_then(|file| {
            file.write_at(&bytes, 0)?;
            file.sync_all()
        });
        written.and_then(|()| self.disk.sync_dir(&self.dir)).map_err(|source| Error::Disk {
            what: "written",
            path,
            source,
        })?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let (from, last) = batches
            .iter()
            .filter_map(|batch| time_span(self.spec, batch))
            .fold((i64::MAX, i64::MIN), |(from, last), (min, max)| (from.min(min), last.max(max)));
        let tags = [
            ("tidemill.crc32c", crc32c::crc32c(&bytes).to_string()),
            ("tidemill.from_us", from.to_string()),
            ("tidemill.last_us", last.to_string()),
        ];
        Ok(Add {
            path: name.clone(),
            partition_values: Default::default(),
            size: bytes.len() as u64,
            modification_time: timestamp_ms(wall),
            data_change: true,
            stats: Some(serde_json::json!({ "numRecords": rows }).to_string()),
            tags: Some(tags.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        })
    }

    /// Makes files part of the table, and says how far the journal is in it.
    pub(crate) fn commit(&self, added: Vec<Add>, upto: Option<Seq>, wall: i64) -> Result<(), Error> {
        let mut actions = vec![Action::CommitInfo(CommitInfo {
            timestamp: timestamp_ms(wall),
            operation: "WRITE".into(),
            operation_parameters: Default::default(),
            engine_info: Some(concat!("tidemill/", env!("CARGO_PKG_VERSION")).into()),
        })];
        actions.extend(upto.map(|seq| {
            Action::Txn(Txn {
                app_id: super::delta::APP_ID.into(),
                version: seq.0,
                last_updated: Some(timestamp_ms(wall)),
            })
        }));
        let mut log = self.lock()?;
        let version = log.state.version + 1;
        actions.extend(added.into_iter().map(|mut add| {
            set_order(&mut add, version);
            Action::Add(Box::new(add))
        }));
        log.commit(actions)?;
        log.tidy()
    }

    /// Merges small files into one when there are many; damaged ones stay as they are. Says whether it did.
    pub(crate) fn merge(
        &self,
        name: &dyn Fn() -> String,
        wall: i64,
        damaged: &DamagedFiles,
    ) -> Result<bool, Error> {
        let is_small = |file: &Add| file.size < SMALL_BYTES / FILES_SMALL_MAX as u64;
        let files = self.version().files.into_iter();
        let small: Vec<Add> = files.filter(|file| is_small(file) && !damaged.has_name(&file.path)).collect();
        if small.len() < FILES_SMALL_MAX {
            return Ok(false);
        }
        let mut batches = Vec::new();
        for file in &small {
            batches.extend(self.read(file).inspect_err(|error| damaged.note(error))?);
        }
        let mut merged = self.write_file(&batches, name(), wall)?;
        merged.data_change = false;
        set_order(&mut merged, small.iter().map(order).max().unwrap_or(0));
        let mut actions = vec![Action::Add(Box::new(merged))];
        actions.extend(small.into_iter().map(|file| {
            Action::Remove(Remove {
                path: file.path,
                deletion_timestamp: Some(timestamp_ms(wall)),
                data_change: false,
            })
        }));
        let mut log = self.lock()?;
        log.commit(actions)?;
        log.tidy()?;
        Ok(true)
    }

    /// Removes files from disk that left the table before a time.
    pub(crate) fn vacuum(&self, before_ms: i64) -> Result<u64, Error> {
        let mut log = self.lock()?;
        super::vacuum::remove_old(&*self.disk, &self.dir, &mut log, before_ms, &|_| true)
    }

    fn read(&self, file: &Add) -> Result<Vec<RecordBatch>, Error> {
        let bytes = sound_bytes(&*self.disk, &self.dir, &format!("tables/{}", self.spec.name), file)?;
        let failed = |source| self.failed(&file.path, source, "decoded");
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).and_then(|builder| builder.build());
        reader.map_err(failed)?.map(|batch| batch.map_err(|error| failed(error.into()))).collect()
    }

    /// The rows of a version and those above it, in the columns of the spec.
    pub(crate) fn scan(
        self: &Arc<Self>,
        version: &TableVersion,
        buffered: Vec<TableRow>,
        from: i64,
        last: i64,
    ) -> TableScan {
        if let Some(closed) = self.closed() {
            return Box::new(std::iter::once(Err(closed)));
        }
        let table = self.clone();
        let tag = |file: &Add, name: &str| file.tags.as_ref()?.get(name)?.parse::<i64>().ok();
        let overlaps = |file: &&Add| {
            tag(file, "tidemill.from_us").is_none_or(|time| time <= last.div_euclid(1_000))
                && tag(file, "tidemill.last_us").is_none_or(|time| time >= from.div_euclid(1_000))
        };
        let files: Vec<Add> = version.files.iter().filter(overlaps).cloned().collect();
        let in_files = files.into_iter().flat_map(move |file| {
            let batches = table.read(&file).and_then(|batches| {
                batches
                    .iter()
                    .map(|batch| {
                        decode(table.spec, batch)
                            .map_err(|error| table.failed(&file.path, error.into(), "decoded"))
                    })
                    .collect()
            });
            match batches {
                Ok(batches) => Vec::into_iter(batches).map(Ok).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            }
        });
        let table = self.clone();
        let in_memory = (!buffered.is_empty()).then(|| {
            encode(table.spec, &buffered)
                .and_then(|batch| decode(table.spec, &batch))
                .map_err(|error| table.failed("the buffer", error.into(), "encoded"))
        });
        Box::new(in_files.chain(in_memory))
    }
}

/// What is wrong with files, of which each is read as a whole.
pub(crate) fn check(disk: &dyn Disk, dir: &Path, table: &str, files: &[Add]) -> Vec<Error> {
    files.iter().filter_map(|file| sound_bytes(disk, dir, table, file).err()).collect()
}

/// A file's bytes, if they are what was written.
pub(crate) fn sound_bytes(disk: &dyn Disk, dir: &Path, table: &str, file: &Add) -> Result<Vec<u8>, Error> {
    let damaged = |detail: &str| {
        let (file, to) = (format!("{table}/{}", file.path), file.size);
        Err(Error::Damaged { file, from: 0, to, detail: detail.into() })
    };
    let path = dir.join(&file.path);
    let bytes = match read(disk, &path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return damaged("it is missing"),
        Err(source) => return Err(Error::Disk { what: "read", path, source }),
    };
    let sum = file.tags.as_ref().and_then(|tags| tags.get("tidemill.crc32c"));
    if sum.is_some_and(|sum| *sum != crc32c::crc32c(&bytes).to_string()) {
        return damaged("the checksum differs");
    }
    Ok(bytes)
}

fn time_span(spec: &TableSpec, batch: &RecordBatch) -> Option<(i64, i64)> {
    let column = spec.columns.iter().find(|column| column.kind == ColumnKind::Time)?;
    let times = batch.column_by_name(column.name)?.as_any().downcast_ref::<TimestampMicrosecondArray>()?;
    Some((times.iter().flatten().min()?, times.iter().flatten().max()?))
}

/// A record's JSON object as a row. What cannot be read as its column is NULL.
pub(crate) fn row_of(spec: &TableSpec, json: &[u8]) -> TableRow {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(json).unwrap_or_default();
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.as_str().into(),
        other => other.to_string().into(),
    };
    let of = |kind: ColumnKind, value: &serde_json::Value| -> Option<Value> {
        Some(match kind {
            _ if value.is_null() => return None,
            ColumnKind::Time => Value::Int(match value {
                serde_json::Value::String(text) => parse_rfc3339(text).ok()?,
                number => number.as_i64()?,
            }),
            ColumnKind::Float => Value::Float(value.as_f64()?),
            ColumnKind::Int => Value::Int(value.as_i64()?),
            ColumnKind::Bool => Value::Bool(value.as_bool()?),
            ColumnKind::Text => Value::Text(text(value)),
        })
    };
    let column = |name: &str, kind| object.get(name).and_then(|value| of(kind, value)).unwrap_or_default();
    spec.columns.iter().map(|spec| column(spec.name, spec.kind)).collect()
}

fn encode(spec: &TableSpec, rows: &[TableRow]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (index, column) in spec.columns.iter().enumerate() {
        let values = || rows.iter().map(|row| row.get(index).unwrap_or(&Value::None));
        let int = |value: &Value| match value {
            Value::Int(value) => Some(*value),
            _ => None,
        };
        match column.kind {
            ColumnKind::Time => {
                let us = values().map(|value| int(value).map(|ns| ns.div_euclid(1_000)));
                columns.push(Arc::new(us.collect::<TimestampMicrosecondArray>().with_timezone("UTC")));
                let nanos = values().map(|value| int(value).map(|ns| ns.rem_euclid(1_000) as i16));
                columns.push(Arc::new(nanos.collect::<Int16Array>()));
            }
            ColumnKind::Float => columns
                .push(Arc::new(values().map(|value| value.as_ref().as_f64()).collect::<Float64Array>())),
            ColumnKind::Int => columns.push(Arc::new(values().map(int).collect::<Int64Array>())),
            ColumnKind::Bool => {
                let truth = |value: &Value| match value {
                    Value::Bool(value) => Some(*value),
                    _ => None,
                };
                columns.push(Arc::new(values().map(truth).collect::<BooleanArray>()));
            }
            ColumnKind::Text => {
                let text = |value: &Value| match value {
                    Value::Text(text) | Value::Json(text) => Some(text.to_string()),
                    _ => None,
                };
                columns.push(Arc::new(values().map(text).collect::<StringArray>()));
            }
        }
    }
    RecordBatch::try_new(file_schema(spec), columns)
}

/// A batch of a file in the columns of the spec. A column that an older file does not have is NULL.
fn decode(spec: &TableSpec, batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    let schema = table_schema(spec);
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (column, field) in spec.columns.iter().zip(schema.fields()) {
        let found = batch.column_by_name(column.name);
        let array = match (column.kind, found) {
            (_, None) => arrow::array::new_null_array(field.data_type(), batch.num_rows()),
            (ColumnKind::Time, Some(us)) => {
                let us = us.as_any().downcast_ref::<TimestampMicrosecondArray>();
                let nanos = batch.column_by_name(&nanos_name(column.name));
                let nanos = nanos.and_then(|nanos| nanos.as_any().downcast_ref::<Int16Array>());
                let of = |row: usize| {
                    let us = us.filter(|us| us.is_valid(row))?.value(row);
                    let nanos = nanos.filter(|nanos| nanos.is_valid(row)).map_or(0, |nanos| nanos.value(row));
                    Some(us.wrapping_mul(1_000).wrapping_add(i64::from(nanos)))
                };
                let times: TimestampNanosecondArray = (0..batch.num_rows()).map(of).collect();
                Arc::new(times.with_timezone("UTC"))
            }
            (_, Some(array)) if array.data_type() == field.data_type() => array.clone(),
            (_, Some(array)) => arrow::compute::cast(array, field.data_type())?,
        };
        columns.push(array);
    }
    RecordBatch::try_new(schema, columns)
}
