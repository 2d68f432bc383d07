//! Rows to the columns of a file and back, bit by bit. What does not live here: whose rows they are, and encodings.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryBuilder, DictionaryArray, Float64Array, Int8Array, Int16Array,
    Int64Array, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{Int32Type, SchemaRef};
use tidemill_core::{Column, Kind, Quality, SourceId};

use super::decimal;
use super::rows::{ReceivedAt, Rows, at, push};
use super::runs::Runs;

/// The scale of a run of floats is found anew after so many rows.
const SCALE_ROWS: usize = 4_096;

/// Builds the columns of rows of several signals.
#[derive(Default)]
pub(crate) struct Columns {
    pub(crate) runs: Repeated,
    time: Vec<i64>,
    float: Vec<f64>,
    scaled: Vec<i64>,
    /// Which of `float` and of `scaled` are there.
    has_float: Vec<bool>,
    has_scaled: Vec<bool>,
    /// (row, text) and (row, bytes); rows between have none.
    text: Vec<(usize, String)>,
    bytes: Vec<(usize, Vec<u8>)>,
    received: Vec<Option<i64>>,
    heap_bytes: usize,
}

/// The columns that are kept as runs, of all rows that are in no row group yet.
#[derive(Default)]
pub(crate) struct Repeated {
    pub(crate) signal: Runs<Arc<str>>,
    pub(crate) nanos: Runs<i16>,
    pub(crate) kind: Runs<Kind>,
    pub(crate) scale: Runs<u8>,
    pub(crate) quality: Runs<Quality>,
    pub(crate) source: Runs<SourceId>,
}

impl Columns {
    pub(crate) fn len(&self) -> usize {
        self.time.len()
    }

    /// About how many bytes of text wait here.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }

    /// Adds the rows of a signal. `open` keeps floats as they are.
    pub(crate) fn add(&mut self, signal: &Arc<str>, rows: &Rows, open: bool) {
        self.runs.signal.push(Some(signal.clone()), rows.len());
        self.time.extend(rows.time.iter().map(|time| time.div_euclid(1_000)));
        self.runs.nanos.extend(rows.time.iter().map(|time| time.rem_euclid(1_000) as i16));
        match &rows.quality {
            Column::Same(quality) => self.runs.quality.push(Some(*quality), rows.len()),
            Column::Each(values) => self.runs.quality.extend(values.iter().copied()),
        }
        match &rows.received {
            Column::Same(same) => self.received.resize(self.time.len(), same.map(ReceivedAt::micros)),
            Column::Each(values) => {
                self.received.extend(values.iter().map(|received| received.map(ReceivedAt::micros)));
            }
        }
        match &rows.source {
            Column::Same(source) => self.runs.source.push(Some(*source), rows.len()),
            Column::Each(sources) => self.runs.source.extend(sources.iter().copied()),
        }
        let mut start = 0;
        while start < rows.len() {
            let end = (start + SCALE_ROWS).min(rows.len());
            let bits = rows.bits.get(start..end).unwrap_or_default();
            let plain = match rows.kind {
                Column::Same(kind) => self.plain(kind, bits, open),
                Column::Each(_) => false,
            };
            if !plain {
                self.values(rows, start, end, open);
            }
            start = end;
        }
    }

    /// Adds numbers of one kind that all fit one spelling, column by column. False, and nothing added, where they do not.
    fn plain(&mut self, kind: Kind, bits: &[u64], open: bool) -> bool {
        let (before, after) = (self.scaled.len(), self.scaled.len() + bits.len());
        let floats = || bits.iter().map(|bits| f64::from_bits(*bits));
        let scale = match kind {
            Kind::Int | Kind::Bool => {
                self.scaled.extend(bits.iter().map(|bits| bits.cast_signed()));
                Some(0)
            }
            Kind::Float if open => None,
            Kind::Float => decimal::common_scale(floats()),
            _ => return false,
        };
        if let (Kind::Float, Some(scale)) = (kind, scale) {
            self.scaled.extend(floats().map_while(|float| decimal::scaled(float, scale)));
            if self.scaled.len() < after {
                self.scaled.truncate(before);
                return false;
            }
        }
        if scale.is_none() {
            self.float.extend(floats());
        }
        self.runs.kind.push(Some(kind), bits.len());
        self.float.resize(after, 0.0);
        self.has_float.resize(after, scale.is_none());
        self.scaled.resize(after, 0);
        self.runs.scale.push(scale, bits.len());
        self.has_scaled.resize(after, scale.is_some());
        true
    }

    fn values(&mut self, rows: &Rows, start: usize, end: usize, open: bool) {
        let floats = || {
            let of = rows.bits.get(start..end).unwrap_or_default().iter().enumerate();
            of.filter(|(row, _)| at(&rows.kind, start + row) == Kind::Float)
                .map(|(_, bits)| f64::from_bits(*bits))
        };
        let scale = if open { None } else { decimal::common_scale(floats()) };
        for row in start..end {
            let kind = at(&rows.kind, row);
            let bits = rows.bits.get(row).copied().unwrap_or_default();
            let (mut float, mut scaled) = (None, None);
            match kind {
                Kind::Float => {
                    let value = f64::from_bits(bits);
                    scaled = scale.and_then(|scale| Some((decimal::scaled(value, scale)?, scale)));
                    float = scaled.is_none().then_some(value);
                }
                Kind::Int | Kind::Bool => scaled = Some((bits.cast_signed(), 0)),
                // Beyond BIGINT the number is exact in `text`, and near in `float` for those who only compute.
                Kind::UInt if bits > i64::MAX.cast_unsigned() => {
                    float = Some(bits as f64);
                    self.text.push((self.scaled.len(), bits.to_string()));
                }
                Kind::UInt => scaled = Some((bits.cast_signed(), 0)),
                Kind::Text | Kind::Json => {
                    let text = String::from_utf8_lossy(rows.row(row).bytes).into_owned();
                    self.heap_bytes += text.len();
                    self.text.push((self.scaled.len(), text));
                }
                Kind::Bytes => {
                    let bytes = rows.row(row).bytes.to_vec();
                    self.heap_bytes += bytes.len();
                    self.bytes.push((self.scaled.len(), bytes));
                }
                Kind::None => {}
            }
            self.runs.kind.push(Some(kind), 1);
            self.float.push(float.unwrap_or_default());
            self.has_float.push(float.is_some());
            self.scaled.push(scaled.map_or(0, |(integer, _)| integer));
            self.runs.scale.push(scaled.map(|(_, scale)| scale), 1);
            self.has_scaled.push(scaled.is_some());
        }
    }

    /// The columns of the schema that are no runs; of these this begins again with none.
    pub(crate) fn take(&mut self, schema: &SchemaRef) -> Result<RecordBatch, arrow::error::ArrowError> {
        let runs = std::mem::take(&mut self.runs);
        let this = std::mem::replace(self, Columns { runs, ..Columns::default() });
        let rows = this.time.len();
        let text: ArrayRef = if this.text.is_empty() {
            Arc::new(StringArray::new_null(rows))
        } else {
            let mut text = StringBuilder::new();
            let mut next = this.text.iter().peekable();
            (0..rows).for_each(|row| {
                text.append_option(next.next_if(|(at, _)| *at == row).map(|(_, text)| text));
            });
            Arc::new(text.finish())
        };
        let bytes: ArrayRef = if this.bytes.is_empty() {
            Arc::new(BinaryArray::new_null(rows))
        } else {
            let mut bytes = BinaryBuilder::new();
            let mut next = this.bytes.iter().peekable();
            (0..rows).for_each(|row| {
                bytes.append_option(next.next_if(|(at, _)| *at == row).map(|(_, bytes)| bytes));
            });
            Arc::new(bytes.finish())
        };
        let some = |there: Vec<bool>| Some(NullBuffer::from(there)).filter(|nulls| nulls.null_count() > 0);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(TimestampMicrosecondArray::from(this.time).with_timezone("UTC")),
            Arc::new(Float64Array::new(this.float.into(), some(this.has_float))),
            Arc::new(Int64Array::new(this.scaled.into(), some(this.has_scaled))),
            text,
            bytes,
            Arc::new(TimestampMicrosecondArray::from(this.received).with_timezone("UTC")),
        ];
        RecordBatch::try_new(schema.clone(), columns)
    }
}

/// Columns of a file, some of which may not have been read.
#[derive(Clone)]
pub(crate) struct Decoded {
    pub(crate) rows: usize,
    time: Option<(ScalarBuffer<i64>, ScalarBuffer<i16>)>,
    values: Option<Values>,
    quality: Option<ScalarBuffer<i64>>,
    received: Option<TimestampMicrosecondArray>,
    source: Option<Vec<SourceId>>,
}

/// What nobody has here may be missing.
#[derive(Clone)]
struct Values {
    kind: ScalarBuffer<i8>,
    float: Option<Float64Array>,
    scaled: Int64Array,
    scale: Int8Array,
    text: Option<StringArray>,
    bytes: Option<BinaryArray>,
}

fn as_array<T: Array + Clone + 'static>(batch: &RecordBatch, name: &str) -> Option<T> {
    batch.column_by_name(name)?.as_any().downcast_ref::<T>().cloned()
}

impl Decoded {
    /// Takes the columns apart. None where they are not those of a file of samples.
    pub(crate) fn new(batch: &RecordBatch, source_of: &dyn Fn(&str) -> SourceId) -> Option<Decoded> {
        let time = as_array::<TimestampMicrosecondArray>(batch, "time")
            .zip(as_array::<Int16Array>(batch, "nanos"))
            .map(|(time, nanos)| (time.values().clone(), nanos.values().clone()));
        let values = match as_array::<Int8Array>(batch, "kind") {
            None => None,
            Some(kind) => Some(Values {
                kind: kind.values().clone(),
                float: as_array(batch, "float"),
                scaled: as_array(batch, "scaled")?,
                scale: as_array(batch, "scale")?,
                text: as_array(batch, "text"),
                bytes: as_array(batch, "bytes"),
            }),
        };
        let source = match batch.column_by_name("source") {
            None => None,
            Some(column) => {
                let names = column.as_any().downcast_ref::<DictionaryArray<Int32Type>>()?;
                let texts = names.values().as_any().downcast_ref::<StringArray>()?;
                let ids: Vec<SourceId> =
                    texts.iter().map(|name| source_of(name.unwrap_or_default())).collect();
                let of = |key: Option<i32>| key.and_then(|key| ids.get(key as usize).copied());
                Some(names.keys().iter().map(|key| of(key).unwrap_or_default()).collect())
            }
        };
        Some(Decoded {
            rows: batch.num_rows(),
            time,
            values,
            quality: as_array::<Int64Array>(batch, "quality").map(|quality| quality.values().clone()),
            received: as_array(batch, "received"),
            source,
        })
    }

    /// Rows `start..end`, which are of one signal.
    pub(crate) fn rows(&self, start: usize, end: usize) -> Rows {
        let mut rows = Rows::default();
        if let Some((time, nanos)) = &self.time {
            let both = part(time, start, end).iter().zip(part(nanos, start, end));
            rows.time =
                both.map(|(us, nanos)| us.wrapping_mul(1_000).wrapping_add(i64::from(*nanos))).collect();
        }
        if let Some(values) = &self.values {
            values.rows(start, end, &mut rows);
        } else {
            rows.bits = vec![0; end - start];
        }
        if let Some(quality) = &self.quality {
            rows.quality = same_or_each(part(quality, start, end), |quality| Quality(quality as u32));
        }
        if let Some(received) = &self.received
            && received.null_count() < received.len()
        {
            let of = |row| received.is_valid(row).then(|| ReceivedAt::of_micros(received.value(row)));
            (start..end).enumerate().for_each(|(row, at)| push(&mut rows.received, of(at), row));
        }
        if let Some(source) = &self.source {
            rows.source = same_or_each(part(source, start, end), |source| source);
        }
        rows
    }
}

fn part<T>(values: &[T], start: usize, end: usize) -> &[T] {
    values.get(start..end).unwrap_or_default()
}

/// Values that are mostly one and the same: that is found out for many rows at once.
fn same_or_each<T: Copy + PartialEq, V: Copy + PartialEq + Default>(
    values: &[T],
    of: impl Fn(T) -> V,
) -> Column<V> {
    match values.split_first() {
        None => Column::Same(V::default()),
        Some((first, rest)) if rest.iter().all(|value| value == first) => Column::Same(of(*first)),
        Some(_) => Column::Each(values.iter().map(|value| of(*value)).collect()),
    }
}

impl Values {
    fn rows(&self, start: usize, end: usize, rows: &mut Rows) {
        let kinds = part(&self.kind, start, end);
        let kind = |number: i8| u8::try_from(number).ok().and_then(Kind::from_number).unwrap_or_default();
        rows.kind = same_or_each(kinds, kind);
        if rows.kind == Column::Same(Kind::Float) && self.plain(start, end, rows) {
            return;
        }
        rows.bits.reserve(end - start);
        let text = |row| self.text.as_ref().map_or("", |text| text.value(row));
        for (row, number) in (start..end).zip(kinds) {
            let kind = kind(*number);
            let float =
                || self.float.as_ref().filter(|float| float.is_valid(row)).map(|float| float.value(row));
            let bits = match kind {
                Kind::None => 0,
                Kind::Float => float().unwrap_or_else(|| self.decimal(row)).to_bits(),
                Kind::UInt if self.scaled.is_null(row) => text(row).parse().unwrap_or_default(),
                Kind::Int | Kind::UInt => self.scaled.value(row).cast_unsigned(),
                Kind::Bool => u64::from(self.scaled.value(row) != 0),
                Kind::Text | Kind::Json => keep(&mut rows.heap, text(row).as_bytes()),
                Kind::Bytes => {
                    keep(&mut rows.heap, self.bytes.as_ref().map_or(&[], |bytes| bytes.value(row)))
                }
            };
            rows.bits.push(bits);
        }
    }

    fn decimal(&self, row: usize) -> f64 {
        decimal::value(self.scaled.value(row), self.scale.value(row).cast_unsigned())
    }

    /// Floats that are all of one spelling, in one pass.
    fn plain(&self, start: usize, end: usize, rows: &mut Rows) -> bool {
        if let Some(float) = &self.float {
            let float = float.slice(start, end - start);
            if float.null_count() == 0 {
                rows.bits = float.values().iter().map(|float| float.to_bits()).collect();
                return true;
            }
            if float.null_count() < float.len() {
                return false;
            }
        }
        let Column::Same(scale) = same_or_each(part(self.scale.values(), start, end), |scale| scale) else {
            return false;
        };
        let power = decimal::power(scale.cast_unsigned());
        let scaled = part(self.scaled.values(), start, end);
        rows.bits = scaled.iter().map(|scaled| (*scaled as f64 / power).to_bits()).collect();
        true
    }
}

fn keep(heap: &mut Vec<u8>, bytes: &[u8]) -> u64 {
    let offset = heap.len() as u64;
    heap.extend_from_slice(bytes);
    offset << 32 | bytes.len() as u64
}
