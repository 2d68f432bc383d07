//! The log so far as one Parquet file (protocol, "Checkpoints"): a row an action, a column a kind of action. The JSON
//! of the log entries is the one spelling of actions; arrow turns it into columns and back.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::json::{LineDelimitedWriter, ReaderBuilder};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::action::Action;

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn number(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

fn truth(name: &str) -> Field {
    Field::new(name, DataType::Boolean, true)
}

fn map(name: &str) -> Field {
    let entries = Fields::from(vec![Field::new("key", DataType::Utf8, false), text("value")]);
    let entries = Field::new("key_value", DataType::Struct(entries), false);
    Field::new(name, DataType::Map(Arc::new(entries), false), true)
}

fn of(name: &str, fields: Vec<Field>) -> Field {
    Field::new(name, DataType::Struct(fields.into()), true)
}

fn schema() -> Schema {
    let version = |name| Field::new(name, DataType::Int32, true);
    let element = Field::new("element", DataType::Utf8, true);
    Schema::new(vec![
        of("txn", vec![text("appId"), number("version"), number("lastUpdated")]),
        of(
            "add",
            vec![
                text("path"),
                map("partitionValues"),
                number("size"),
                number("modificationTime"),
                truth("dataChange"),
                text("stats"),
                map("tags"),
            ],
        ),
        of("remove", vec![text("path"), number("deletionTimestamp"), truth("dataChange")]),
        of(
            "metaData",
            vec![
                text("id"),
                text("name"),
                of("format", vec![text("provider"), map("options")]),
                text("schemaString"),
                Field::new("partitionColumns", DataType::List(Arc::new(element)), true),
                map("configuration"),
                number("createdTime"),
            ],
        ),
        of("protocol", vec![version("minReaderVersion"), version("minWriterVersion")]),
    ])
}

/// The bytes of a checkpoint.
pub(super) fn encode(actions: &[Action]) -> Result<Vec<u8>, String> {
    let told = |error: &dyn std::error::Error| error.to_string();
    let schema = Arc::new(schema());
    let mut decoder = ReaderBuilder::new(schema.clone())
        .with_batch_size(actions.len().max(1))
        .build_decoder()
        .map_err(|error| told(&error))?;
    decoder.serialize(actions).map_err(|error| told(&error))?;
    let batch = decoder
        .flush()
        .map_err(|error| told(&error))?
        .unwrap_or_else(|| RecordBatch::new_empty(schema.clone()));
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(parquet::basic::ZstdLevel::default()))
        .build();
    let mut bytes = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, schema, Some(properties)).map_err(|error| told(&error))?;
    writer.write(&batch).map_err(|error| told(&error))?;
    writer.close().map_err(|error| told(&error))?;
    Ok(bytes)
}

/// The actions of a checkpoint.
pub(super) fn decode(bytes: Vec<u8>) -> Result<Vec<Action>, String> {
    let told = |error: &dyn std::error::Error| error.to_string();
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes))
        .and_then(|builder| builder.build())
        .map_err(|error| told(&error))?;
    let mut json = Vec::new();
    let mut writer = LineDelimitedWriter::new(&mut json);
    for batch in reader {
        writer.write(&batch.map_err(|error| told(&error))?).map_err(|error| told(&error))?;
    }
    writer.finish().map_err(|error| told(&error))?;
    drop(writer);
    json.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).map_err(|error| told(&error)))
        .collect()
}

#[cfg(test)]
mod tests;
