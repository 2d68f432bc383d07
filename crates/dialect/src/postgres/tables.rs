//! The tables of PostgreSQL's catalogue: their names, numbers and columns, from one list (`tables.txt`), and how rows of
//! them become Arrow. What is not here: what stands in the rows ([`super::contents`]).

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Int16Array, Int32Array, Int64Array, ListBuilder, RecordBatch,
    StringArray, StringBuilder, TimestampMicrosecondArray, UInt32Array, UInt32Builder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::Result;
use tidemill_core::TypeNumber;

use super::types;

/// The time zone of all times: Arrow's word for it.
const UTC: &str = "UTC";

/// A table of the catalogue.
#[derive(Debug)]
pub(crate) struct CatalogueTable {
    pub(crate) schema: &'static str,
    pub(crate) name: &'static str,
    pub(crate) number: u32,
    /// Whether nothing ever stands in it.
    pub(crate) empty: bool,
    pub(crate) columns: Vec<(&'static str, TypeNumber)>,
    pub(crate) arrow: SchemaRef,
}

/// All of them, in the order of the list.
pub(crate) static TABLES: LazyLock<Vec<CatalogueTable>> = LazyLock::new(|| {
    let lines = include_str!("tables.txt").lines();
    lines.filter(|line| !line.starts_with('#')).filter_map(table).collect()
});

/// The table of that name; without a schema it is one of `pg_catalog`.
pub(crate) fn find(schema: Option<&str>, name: &str) -> Option<&'static CatalogueTable> {
    let schema = schema.unwrap_or(PG_CATALOG);
    TABLES.iter().find(|table| table.schema == schema && table.name == name)
}

pub(crate) const PG_CATALOG: &str = "pg_catalog";
pub(crate) const INFORMATION_SCHEMA: &str = "information_schema";

fn table(line: &'static str) -> Option<CatalogueTable> {
    let (head, columns) = line.split_once(": ")?;
    let (name, number) = head.split_once(' ')?;
    let (schema, name) = name.split_once('.')?;
    let empty = !number.ends_with('+');
    let number = match number.trim_end_matches('+').parse().ok()? {
        0 => number_of(schema, name),
        number => number,
    };
    let columns: Vec<(&'static str, TypeNumber)> = columns
        .split(", ")
        .filter_map(|column| {
            let (name, kind) = column.split_once(' ')?;
            Some((name, types::named(kind)?))
        })
        .collect();
    let fields: Vec<Field> = columns.iter().map(|(name, kind)| field(name, *kind)).collect();
    Some(CatalogueTable { schema, name, number, empty, columns, arrow: Arc::new(Schema::new(fields)) })
}

/// A number for what has none in PostgreSQL: the same at every start, and far from those that PostgreSQL gives
/// (FNV-1a).
pub(crate) fn number_of(schema: &str, name: &str) -> u32 {
    let hash = schema
        .bytes()
        .chain([b'.'])
        .chain(name.bytes())
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash >> 4 | 0x1000_0000
}

fn field(name: &str, kind: TypeNumber) -> Field {
    types::told_as(Field::new(name, arrow_type(kind), true), kind)
}

/// How values of a type are kept.
pub(crate) fn arrow_type(kind: TypeNumber) -> DataType {
    match kind {
        types::BOOL => DataType::Boolean,
        types::INT2 => DataType::Int16,
        types::INT4 => DataType::Int32,
        types::INT8 => DataType::Int64,
        types::OID | types::REGPROC | types::XID => DataType::UInt32,
        types::FLOAT4 => DataType::Float32,
        types::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        kind => match types::item_of(kind) {
            Some(item) => DataType::List(Arc::new(Field::new("item", arrow_type(item.number), true))),
            None => DataType::Utf8,
        },
    }
}

/// What stands in a cell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Bool(bool),
    Number(i64),
    Text(String),
    Items(Vec<String>),
}

impl From<bool> for Cell {
    fn from(value: bool) -> Cell {
        Cell::Bool(value)
    }
}

impl From<u32> for Cell {
    fn from(value: u32) -> Cell {
        Cell::Number(i64::from(value))
    }
}

impl From<i32> for Cell {
    fn from(value: i32) -> Cell {
        Cell::Number(i64::from(value))
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Cell {
        Cell::Text(value.to_owned())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Cell {
        Cell::Text(value)
    }
}

/// A row: what it says, by column. Of the others PostgreSQL has no NULL for numbers, truths and single letters; texts and
/// lists are NULL.
pub(crate) type Row = HashMap<&'static str, Cell>;

impl CatalogueTable {
    /// Rows as one batch.
    pub(crate) fn batch(&self, rows: &[Row]) -> Result<RecordBatch> {
        let columns = self.columns.iter().map(|(name, kind)| column(name, *kind, rows)).collect();
        Ok(RecordBatch::try_new(self.arrow.clone(), columns)?)
    }
}

fn column(name: &str, kind: TypeNumber, rows: &[Row]) -> ArrayRef {
    let cells = rows.iter().map(|row| row.get(name));
    let numbers = || {
        cells.clone().map(|cell| match cell {
            Some(Cell::Number(number)) => Some(*number),
            Some(_) => None,
            None => Some(0),
        })
    };
    let empty = matches!(kind, types::CHAR | types::NAME);
    match kind {
        types::BOOL => {
            let truths = cells.map(|cell| match cell {
                Some(Cell::Bool(truth)) => Some(*truth),
                Some(_) => None,
                None => Some(false),
            });
            Arc::new(truths.collect::<BooleanArray>())
        }
        types::INT2 => Arc::new(numbers().map(|n| n.and_then(|n| n.try_into().ok())).collect::<Int16Array>()),
        types::INT4 => Arc::new(numbers().map(|n| n.and_then(|n| n.try_into().ok())).collect::<Int32Array>()),
        types::INT8 => Arc::new(numbers().collect::<Int64Array>()),
        types::OID | types::REGPROC | types::XID => {
            Arc::new(numbers().map(|n| n.and_then(|n| n.try_into().ok())).collect::<UInt32Array>())
        }
        types::FLOAT4 => Arc::new(numbers().map(|n| n.map(|n| n as f32)).collect::<Float32Array>()),
        types::TIMESTAMPTZ => {
            let none: TimestampMicrosecondArray = rows.iter().map(|_| None::<i64>).collect();
            Arc::new(none.with_timezone(UTC))
        }
        kind => match types::item_of(kind).map(|item| item.number) {
            Some(types::OID) => nothing(ListBuilder::new(UInt32Builder::new()), rows.len()),
            Some(types::INT2) => nothing(ListBuilder::new(arrow::array::Int16Builder::new()), rows.len()),
            Some(_) => nothing(ListBuilder::new(StringBuilder::new()), rows.len()),
            None => {
                let texts = cells.map(|cell| match cell {
                    Some(Cell::Text(text)) => Some(text.as_str()),
                    None if empty => Some(""),
                    _ => None,
                });
                Arc::new(texts.collect::<StringArray>())
            }
        },
    }
}

/// Lists are never given here.
fn nothing<B: arrow::array::ArrayBuilder>(mut lists: ListBuilder<B>, rows: usize) -> ArrayRef {
    (0..rows).for_each(|_| lists.append_null());
    Arc::new(lists.finish())
}
