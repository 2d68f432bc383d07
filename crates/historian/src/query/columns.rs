//! Samples as Arrow columns: the schema of `samples`, and how a scanned batch becomes a record batch. Numbers are
//! reinterpreted without a copy where all of a batch are floats. What is not here: choosing signals or times.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, Float64Array, Int64Array, NullBufferBuilder, RecordBatch, RecordBatchOptions,
    StringBuilder, StringViewArray, TimestampNanosecondArray, UInt32Array,
};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use hashbrown::HashMap;
use tidemill_core::{Bus, Column, Kind, SampleBatch, SourceId, ValueRef};

use super::names::Names;
use tidemill_lake::{Columns, ScanBatch};

/// A column of `samples`, with what the reference page says of it.
pub(crate) struct SampleColumn {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) nullable: bool,
    kind: fn() -> DataType,
}

/// The time zone of all times: Arrow's word for it.
pub(crate) const UTC: &str = "UTC";

pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into()))
}

pub(crate) const SIGNAL: usize = 0;
pub(crate) const TIME: usize = 1;
const VALUE: usize = 2;
const INTEGER: usize = 3;
const TEXT: usize = 4;
const QUALITY: usize = 5;
const RECEIVED: usize = 6;
const KIND: usize = 7;
const SOURCE: usize = 8;

const fn column(
    name: &'static str,
    nullable: bool,
    kind: fn() -> DataType,
    description: &'static str,
) -> SampleColumn {
    SampleColumn { name, description, nullable, kind }
}

/// The columns of `samples`, in order.
pub(crate) static SAMPLE_COLUMNS: [SampleColumn; 9] = [
    column("signal", false, || DataType::Utf8View, "The signal's path"),
    column("time", false, time_type, "The source's time"),
    column(
        "value",
        true,
        || DataType::Float64,
        "The value as a number: floats, integers, and booleans as 0 and 1; NULL for text and for no value",
    ),
    column("integer", true, || DataType::Int64, "The value where it is an integer, with all its digits"),
    column(
        "text",
        true,
        || DataType::Utf8,
        "The value where it is text or JSON; bytes as 0x…; the digits of an unsigned integer beyond BIGINT",
    ),
    column("quality", false, || DataType::UInt32, "The OPC UA status code; 0 is Good"),
    column(
        "received",
        true,
        time_type,
        "When the server received it, where that differs from time by more than a second",
    ),
    column(
        "kind",
        false,
        || DataType::Utf8View,
        "none, float, integer, unsigned, boolean, text, json or bytes",
    ),
    column("source", true, || DataType::Utf8View, "Who wrote it, by name"),
];

/// The schema of `samples`.
pub(crate) static SAMPLES: LazyLock<SchemaRef> = LazyLock::new(|| {
    let fields: Vec<Field> = SAMPLE_COLUMNS
        .iter()
        .map(|column| Field::new(column.name, (column.kind)(), column.nullable))
        .collect();
    Arc::new(Schema::new(fields))
});

/// Which columns of an export in Arrow or Parquet stand in which order.
pub(crate) const EXPORT: [usize; 7] = [SIGNAL, TIME, VALUE, INTEGER, TEXT, KIND, QUALITY];

static KIND_NAMES: LazyLock<StringViewArray> =
    LazyLock::new(|| StringViewArray::from_iter_values(Kind::ALL.iter().map(|kind| kind.name())));

/// Makes record batches with some of the columns of `samples`.
pub(crate) struct Shape {
    schema: SchemaRef,
    wanted: Vec<usize>,
    names: Arc<Names>,
    bus: Arc<dyn Bus>,
    sources: HashMap<SourceId, Arc<str>>,
}

impl Shape {
    pub(crate) fn new(wanted: Vec<usize>, names: Arc<Names>, bus: Arc<dyn Bus>) -> Result<Shape, ArrowError> {
        let schema = Arc::new(SAMPLES.project(&wanted)?);
        Ok(Shape { schema, wanted, names, bus, sources: HashMap::new() })
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What a scan must fill for these columns.
    pub(crate) fn needs(wanted: &[usize]) -> Columns {
        let any = |columns: &[usize]| wanted.iter().any(|column| columns.contains(column));
        Columns {
            time: any(&[TIME]),
            value: any(&[VALUE, INTEGER, TEXT, KIND]),
            quality: any(&[QUALITY]),
            received: any(&[RECEIVED]),
            source: any(&[SOURCE]),
        }
    }

    /// One batch. Rows of signals that are not among the names are left out.
    pub(crate) fn batch(&mut self, batch: &ScanBatch) -> Result<RecordBatch, ArrowError> {
        if self.names.len() == 0 {
            return Ok(RecordBatch::new_empty(self.schema.clone()));
        }
        let rows = batch.samples.len();
        let (places, hidden) = self.places(&batch.samples);
        let mut columns = Vec::with_capacity(self.wanted.len());
        for wanted in self.wanted.clone() {
            columns.push(match wanted {
                SIGNAL => self.names.column(places.clone())?,
                TIME => times(batch.samples.time.clone(), rows, None),
                VALUE => values(&batch.samples),
                INTEGER => integers(&batch.samples),
                TEXT => texts(&batch.samples),
                QUALITY => qualities(&batch.samples),
                RECEIVED => received(&batch.received, rows),
                KIND => kinds(&batch.samples)?,
                _ => self.source_names(&batch.source, rows),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let made = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        match hidden {
            None => Ok(made),
            Some(seen) => arrow::compute::filter_record_batch(&made, &seen.into()),
        }
    }

    /// Where each row's signal stands, and which rows may be seen when some may not.
    fn places(&self, samples: &SampleBatch) -> (Vec<u32>, Option<Vec<bool>>) {
        let mut places = Vec::with_capacity(samples.len());
        let mut seen: Option<Vec<bool>> = None;
        for run in samples.signal.chunk_by(|one, other| one == other) {
            let place = run.first().and_then(|id| self.names.place(*id));
            if place.is_none() && seen.is_none() {
                seen = Some(vec![true; places.len()]);
            }
            if let Some(seen) = &mut seen {
                seen.resize(places.len() + run.len(), place.is_some());
            }
            // Hidden rows borrow the first name until they are filtered out.
            places.resize(places.len() + run.len(), place.unwrap_or(0));
        }
        (places, seen)
    }

    fn source_names(&mut self, sources: &Column<SourceId>, rows: usize) -> ArrayRef {
        let name = |bus: &dyn Bus, known: &mut HashMap<SourceId, Arc<str>>, id: SourceId| {
            (id != SourceId::default()).then(|| known.entry(id).or_insert_with(|| bus.source(id)).clone())
        };
        let column: StringViewArray = match sources {
            Column::Same(id) => {
                let name = name(self.bus.as_ref(), &mut self.sources, *id);
                std::iter::repeat_n(name.as_deref(), rows).collect()
            }
            Column::Each(ids) => {
                let names: Vec<_> =
                    ids.iter().map(|id| name(self.bus.as_ref(), &mut self.sources, *id)).collect();
                names.iter().map(Option::as_deref).collect()
            }
        };
        Arc::new(column)
    }
}

fn times(mut times: Vec<i64>, rows: usize, nulls: Option<NullBuffer>) -> ArrayRef {
    times.resize(rows, 0);
    let array = TimestampNanosecondArray::new(times.into(), nulls);
    Arc::new(array.with_timezone(UTC))
}

fn received(received: &Column<Option<i64>>, rows: usize) -> ArrayRef {
    let times = match received {
        Column::Same(time) => TimestampNanosecondArray::from_iter(std::iter::repeat_n(*time, rows)),
        Column::Each(times) => times.iter().copied().collect(),
    };
    Arc::new(times.with_timezone(UTC))
}

fn values(samples: &SampleBatch) -> ArrayRef {
    let rows = samples.len();
    if samples.kind == Column::Same(Kind::Float) && samples.bits.len() == rows {
        // The same 64 bits, read as floats.
        let bits = ScalarBuffer::<f64>::from(Buffer::from_vec(samples.bits.clone()));
        return Arc::new(Float64Array::new(bits, None));
    }
    let mut numbers = Vec::with_capacity(rows);
    let mut present = NullBufferBuilder::new(rows);
    for row in 0..rows {
        // Text is not looked at: only its kind, so that a scan without text costs nothing here.
        let number = match samples.kind.at(row) {
            Some(kind) if kind.is_number() => samples.value(row).as_f64(),
            _ => None,
        };
        numbers.push(number.unwrap_or_default());
        present.append(number.is_some());
    }
    Arc::new(Float64Array::new(numbers.into(), present.finish()))
}

fn integers(samples: &SampleBatch) -> ArrayRef {
    let integer = |row| match samples.value(row) {
        ValueRef::Int(value) => Some(value),
        ValueRef::UInt(value) => i64::try_from(value).ok(),
        _ => None,
    };
    match samples.kind {
        Column::Same(kind) if !matches!(kind, Kind::Int | Kind::UInt) => {
            Arc::new(Int64Array::new_null(samples.len()))
        }
        _ => Arc::new((0..samples.len()).map(integer).collect::<Int64Array>()),
    }
}

fn texts(samples: &SampleBatch) -> ArrayRef {
    let mut column = StringBuilder::with_capacity(samples.len(), samples.heap.len());
    for row in 0..samples.len() {
        match samples.value(row) {
            ValueRef::Text(text) | ValueRef::Json(text) => column.append_value(text),
            value @ ValueRef::Bytes(_) => column.append_value(value.to_string()),
            ValueRef::UInt(value) if i64::try_from(value).is_err() => column.append_value(value.to_string()),
            _ => column.append_null(),
        }
    }
    Arc::new(column.finish())
}

fn qualities(samples: &SampleBatch) -> ArrayRef {
    let column: UInt32Array = match &samples.quality {
        Column::Same(quality) => UInt32Array::from_value(quality.0, samples.len()),
        Column::Each(qualities) => qualities.iter().map(|quality| quality.0).collect::<Vec<_>>().into(),
    };
    Arc::new(column)
}

fn kinds(samples: &SampleBatch) -> Result<ArrayRef, ArrowError> {
    let numbers: UInt32Array = match &samples.kind {
        Column::Same(kind) => UInt32Array::from_value(u32::from(*kind as u8), samples.len()),
        Column::Each(kinds) => kinds.iter().map(|kind| u32::from(*kind as u8)).collect::<Vec<_>>().into(),
    };
    take(&*KIND_NAMES as &dyn Array, &numbers, None)
}
