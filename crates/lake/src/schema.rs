//! What stands in a file of samples: columns, encodings, and what the table says of itself. The page for readers is
//! docs/spec/lake.md. What does not live here: turning rows into columns (`columns`), writing (`write`).

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

/// The version of the format of files and tables. A newer one is refused.
pub(crate) const FORMAT: u64 = 1;
/// In every footer and in the table's configuration.
pub(crate) const FORMAT_KEY: &str = "tidemill.format";

/// Rows of a row group. Tests have few rows, and want several groups of them.
pub(crate) const GROUP_ROWS: usize = if cfg!(test) { 256 } else { 262_144 };
/// Rows of a page at most: what a short question must decode.
pub(crate) const PAGE_ROWS: usize = if cfg!(test) { 64 } else { 16_384 };
const PAGE_BYTES: usize = 128 << 10;
pub(crate) const ZSTD_LEVEL: i32 = 3;

/// Columns by number, in the order of the file.
pub(crate) mod column {
    pub(crate) const SIGNAL: usize = 0;
    pub(crate) const TIME: usize = 1;
    pub(crate) const NANOS: usize = 2;
    pub(crate) const KIND: usize = 3;
    pub(crate) const FLOAT: usize = 4;
    pub(crate) const SCALED: usize = 5;
    pub(crate) const SCALE: usize = 6;
    pub(crate) const TEXT: usize = 7;
    pub(crate) const BYTES: usize = 8;
    pub(crate) const QUALITY: usize = 9;
    pub(crate) const RECEIVED: usize = 10;
    pub(crate) const SOURCE: usize = 11;
}

pub(crate) fn timestamp_us() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The columns of samples.
pub(crate) fn samples() -> SchemaRef {
    let names = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    Arc::new(Schema::new(vec![
        Field::new("signal", names.clone(), false),
        Field::new("time", timestamp_us(), false),
        Field::new("nanos", DataType::Int16, false),
        Field::new("kind", DataType::Int8, false),
        Field::new("float", DataType::Float64, true),
        Field::new("scaled", DataType::Int64, true),
        Field::new("scale", DataType::Int8, true),
        Field::new("text", DataType::Utf8, true),
        Field::new("bytes", DataType::Binary, true),
        Field::new("quality", DataType::Int64, false),
        Field::new("received", timestamp_us(), true),
        Field::new("source", names, true),
    ]))
}

/// The same in the words of the table's log.
pub(crate) fn delta(schema: &Schema) -> String {
    let fields: Vec<serde_json::Value> = schema
        .fields()
        .iter()
        .map(|field| {
            let kind = match field.data_type() {
                DataType::Int8 => "byte",
                DataType::Int16 => "short",
                DataType::Int64 => "long",
                DataType::Float64 => "double",
                DataType::Boolean => "boolean",
                DataType::Binary => "binary",
                DataType::Timestamp(..) => "timestamp",
                _ => "string",
            };
            serde_json::json!({ "name": field.name(), "type": kind, "nullable": field.is_nullable(), "metadata": {} })
        })
        .collect();
    serde_json::json!({ "type": "struct", "fields": fields }).to_string()
}

/// What all files of ours share.
fn base() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default()))
        .set_created_by(concat!("tidemill ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_dictionary_enabled(true)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_write_batch_size(PAGE_ROWS.min(4_096))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
}

/// How the columns of a file of samples are encoded that change from row to row: times and scaled numbers as differences, floats of
/// full precision as streams of bytes; those that repeat are encoded by [`runs`](super::runs). A scaled number says nothing without
/// its scale, so nobody asks for the smallest of a page, and finding it costs more than writing it.
pub(crate) fn samples_properties() -> WriterProperties {
    let plain = |builder: WriterPropertiesBuilder, name: &str, encoding| {
        let path = ColumnPath::from(name);
        builder.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, encoding)
    };
    let builder = plain(base(), "time", Encoding::DELTA_BINARY_PACKED);
    let builder = plain(builder, "scaled", Encoding::DELTA_BINARY_PACKED)
        .set_column_statistics_enabled(ColumnPath::from("scaled"), EnabledStatistics::None);
    let builder = plain(builder, "float", Encoding::BYTE_STREAM_SPLIT);
    let builder = plain(builder, "bytes", Encoding::PLAIN);
    let sorted =
        |column: usize| SortingColumn { column_idx: column as i32, descending: false, nulls_first: false };
    builder
        .set_sorting_columns(Some(vec![sorted(column::SIGNAL), sorted(column::TIME), sorted(column::NANOS)]))
        .build()
}

/// How a file of a declared table is encoded.
pub(crate) fn table_properties() -> WriterProperties {
    base().build()
}
