//! Tables as an Arrow IPC stream or an Apache Parquet file, in types that every reader knows: text as plain UTF-8, never
//! as views or dictionaries.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::TableEncoder;

/// A row group is closed at this many rows, or earlier when it has grown to [`GROUP_BYTES`].
const GROUP_ROWS: usize = 131_072;
/// What a row group may hold in memory while it is written.
const GROUP_BYTES: usize = 16 << 20;

/// The same rows in types that other programs know.
fn portable(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| match column.data_type() == field.data_type() {
            true => Ok(column.clone()),
            false => cast(column, field.data_type()),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

fn portable_schema(schema: &SchemaRef) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().map(portable_field).collect::<Vec<_>>()))
}

fn portable_field(field: &FieldRef) -> FieldRef {
    let kind = portable_type(field.data_type());
    Arc::new(Field::new(field.name(), kind, field.is_nullable()))
}

fn portable_type(kind: &DataType) -> DataType {
    match kind {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, value) => portable_type(value),
        DataType::List(item) => DataType::List(portable_field(item)),
        DataType::LargeList(item) => DataType::LargeList(portable_field(item)),
        DataType::FixedSizeList(item, len) => DataType::FixedSizeList(portable_field(item), *len),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(portable_field).collect()),
        other => other.clone(),
    }
}

/// Where the writers of the libraries put their bytes.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn take(&self, into: &mut Vec<u8>) {
        into.append(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn not_begun() -> ArrowError {
    ArrowError::InvalidArgumentError("rows came before the schema".to_owned())
}

/// An Arrow IPC stream.
#[derive(Default)]
pub(crate) struct ArrowStream {
    shared: Shared,
    writer: Option<(StreamWriter<Shared>, SchemaRef)>,
    out: Vec<u8>,
}

impl TableEncoder for ArrowStream {
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), ArrowError> {
        let schema = portable_schema(schema);
        self.writer = Some((StreamWriter::try_new(self.shared.clone(), &schema)?, schema));
        Ok(())
    }

    fn rows(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let (writer, schema) = self.writer.as_mut().ok_or_else(not_begun)?;
        writer.write(&portable(batch, schema)?)
    }

    fn end(&mut self) -> Result<(), ArrowError> {
        self.writer.as_mut().ok_or_else(not_begun)?.0.finish()
    }

    fn written(&mut self) -> &mut Vec<u8> {
        self.shared.take(&mut self.out);
        &mut self.out
    }
}

/// A Parquet file.
#[derive(Default)]
pub(crate) struct ParquetFile {
    shared: Shared,
    writer: Option<(ArrowWriter<Shared>, SchemaRef)>,
    out: Vec<u8>,
}

impl TableEncoder for ParquetFile {
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), ArrowError> {
        let schema = portable_schema(schema);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_created_by(concat!("tidemill ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = ArrowWriter::try_new(self.shared.clone(), schema.clone(), Some(properties))?;
        self.writer = Some((writer, schema));
        Ok(())
    }

    fn rows(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let (writer, schema) = self.writer.as_mut().ok_or_else(not_begun)?;
        writer.write(&portable(batch, schema)?)?;
        if writer.memory_size() > GROUP_BYTES {
            writer.flush()?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), ArrowError> {
        let (writer, _) = self.writer.take().ok_or_else(not_begun)?;
        writer.close()?;
        Ok(())
    }

    fn written(&mut self) -> &mut Vec<u8> {
        self.shared.take(&mut self.out);
        &mut self.out
    }
}
