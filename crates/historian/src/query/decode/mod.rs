//! Samples out of Arrow streams and Parquet files: checked whole before any name is asked for, bounded in rows and bytes,
//! and never trusted. What is not here: publishing, and text formats (they are the doors').

mod column;
mod pages;
mod parts;

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use bytes::Bytes;
use hashbrown::HashMap;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use tidemill_core::{
    BatchBuilder, Bus, Flags, Format, Grant, Identity, NewNames, Problem, Publish, Quality, SignalPath,
    Stamp, ValueRef, codes,
};

pub use self::parts::{ColumnFile, Naming, Part};

use self::column::{Sources, Texts};
use super::errors::nearest;

/// The most bytes that a body may become, as columns and as samples (tests make do with less). A request is at most
/// 64 MiB, packed.
const DECODED_BYTES_MAX: usize = if cfg!(test) { 32 << 20 } else { 512 << 20 };
/// The most samples of one body.
const ROWS_MAX: usize = 16 << 20;
/// How many rows of a Parquet file are decoded at once.
const STEP_ROWS: usize = 8_192;

/// What columns may stand in a body. Those after `kind` are of exports and carry nothing that is taken.
const KNOWN: [&str; 9] =
    ["signal", "time", "value", "integer", "text", "quality", "kind", "received", "source"];
const IGNORED_FROM: usize = 7;

/// A body's samples, bound for `who`, in order.
pub(crate) fn decode(
    format: Format,
    body: Bytes,
    who: &Identity,
    bus: &dyn Bus,
) -> Result<Vec<Publish>, Problem> {
    let batches = columns(format, body)?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let mut checked = Vec::with_capacity(batches.len());
    let mut paths = Paths::default();
    let mut first_row = 0;
    let mut measure = Measure::default();
    for batch in &batches {
        checked.push(Checked::of(batch, first_row, &mut paths, &mut measure)?);
        first_row += batch.num_rows();
    }
    let mut names = NewNames::default();
    let grants = paths
        .list
        .iter()
        .map(|path| names.bind(bus, who, path, Arc::default))
        .collect::<Result<Vec<Grant>, Problem>>()?;
    let mut parts = publishes(&batches, &checked, &grants, rows, || bus.batch(who, Flags::default()))?;
    let names = names.into_list();
    parts.iter_mut().for_each(|part| part.names = names.clone());
    Ok(parts)
}

/// The columns of a body. What third-party code makes of hostile bytes is caught, should it panic.
pub(crate) fn columns(format: Format, body: Bytes) -> Result<Vec<RecordBatch>, Problem> {
    let read = || match format {
        Format::Arrow => arrow_stream(body),
        Format::Parquet => parquet_file(body),
        other => {
            let detail = format!("{} is not decoded here", other.media_type());
            Err(Problem::new(&codes::UNSUPPORTED_FORMAT, detail))
        }
    };
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(unreadable("its parts contradict each other")))
}

fn unreadable(why: &str) -> Problem {
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = (0..=200.min(why.len())).rev().find(|end| why.is_char_boundary(*end)).unwrap_or(0);
    Problem::new(
        &codes::BAD_ARROW,
        format!("the data cannot be read: {}", why.get(..end).unwrap_or_default()),
    )
}

fn wrong(error: &ArrowError) -> Problem {
    unreadable(&error.to_string())
}

fn too_large(what: &str) -> Problem {
    Problem::new(&codes::TOO_LARGE, format!("the body holds {what}"))
}

/// Counts what comes out of a body.
#[derive(Default)]
struct Measure {
    rows: usize,
    bytes: usize,
}

impl Measure {
    fn add(&mut self, rows: usize, bytes: usize) -> Result<(), Problem> {
        self.rows = self.rows.saturating_add(rows);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.rows > ROWS_MAX {
            return Err(too_large(&format!("more than {ROWS_MAX} samples")));
        }
        if self.bytes > DECODED_BYTES_MAX {
            return Err(too_large(&format!("more than {DECODED_BYTES_MAX} bytes, unpacked")));
        }
        Ok(())
    }
}

/// The decoder takes slices of the body itself: a length that lies finds no bytes, and nothing is set aside for it.
fn arrow_stream(body: Bytes) -> Result<Vec<RecordBatch>, Problem> {
    let start = stream_in_file(&body);
    let is_file = start.is_some();
    let body = body.slice(start.unwrap_or_default()..);
    let mut rest = Buffer::from(body);
    let mut decoder = StreamDecoder::new().with_require_alignment(false);
    let mut batches = Vec::new();
    let mut measure = Measure::default();
    while !rest.is_empty() {
        let decoded = match decoder.decode(&mut rest) {
            Err(_) if is_file && decoder.schema().is_some() && decoder.finish().is_ok() => break,
            other => other.map_err(|error| wrong(&error))?,
        };
        if let Some(batch) = decoded {
            // The columns lie in the body, so that its size bounds them.
            measure.add(batch.num_rows(), 0)?;
            batches.push(batch);
        }
    }
    decoder.finish().map_err(|error| wrong(&error))?;
    if decoder.schema().is_none() {
        return Err(unreadable("it is empty"));
    }
    Ok(batches)
}

/// Where the stream begins that an Arrow file holds behind its mark, and before a foot that only seeking needs.
fn stream_in_file(head: &[u8]) -> Option<usize> {
    let padded = head.strip_prefix(b"ARROW1")?;
    let padding = padded.iter().position(|byte| *byte != 0).unwrap_or(padded.len());
    Some(head.len() - padded.len() + padding)
}

fn parquet_file(body: Bytes) -> Result<Vec<RecordBatch>, Problem> {
    let told = |error: parquet::errors::ParquetError| unreadable(&error.to_string());
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let found = ParquetRecordBatchReaderBuilder::try_new_with_options(body.clone(), options).map_err(told)?;
    for field in found.schema().fields() {
        known(field.name())?;
    }
    let rows = found.metadata().file_metadata().num_rows();
    let mut measure = Measure::default();
    measure.add(usize::try_from(rows).unwrap_or(usize::MAX), 0)?;
    measure.add(0, pages::unpacked_bytes(found.metadata(), &body)?)?;
    // As views a text that stands a million times is held once.
    let schema = found.schema().fields().iter().map(|field| viewed(field)).collect::<Vec<Field>>();
    let options =
        ArrowReaderOptions::new().with_skip_arrow_metadata(true).with_schema(Arc::new(Schema::new(schema)));
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(body, options)
        .map_err(told)?
        .with_batch_size(STEP_ROWS)
        .build()
        .map_err(told)?;
    let mut measure = Measure::default();
    let mut batches = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| wrong(&error))?;
        measure.add(batch.num_rows(), 0)?;
        batches.push(batch);
    }
    Ok(batches)
}

fn viewed(field: &Field) -> Field {
    let kind = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        other => other.clone(),
    };
    Field::new(field.name(), kind, field.is_nullable())
}

/// Distinct paths in order of appearance.
#[derive(Default)]
struct Paths {
    list: Vec<SignalPath>,
    place: HashMap<String, u32>,
}

impl Paths {
    fn place(&mut self, text: &str) -> Result<u32, Problem> {
        if let Some(place) = self.place.get(text) {
            return Ok(*place);
        }
        let path = SignalPath::new(text)?;
        let place = u32::try_from(self.list.len()).map_err(|_| too_large("too many names"))?;
        self.list.push(path);
        self.place.insert(text.to_owned(), place);
        Ok(place)
    }
}

/// A batch whose every row was looked at.
struct Checked<'a> {
    sources: Sources<'a>,
    paths: Vec<u32>,
    times: Vec<Option<i64>>,
    qualities: Vec<Quality>,
}

impl<'a> Checked<'a> {
    fn of(
        batch: &'a RecordBatch,
        first_row: usize,
        paths: &mut Paths,
        measure: &mut Measure,
    ) -> Result<Checked<'a>, Problem> {
        let schema = batch.schema_ref();
        let column = |name: &str| batch.column_by_name(name);
        let needed = |name: &'static str| {
            let missing = || {
                let there =
                    schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
                Problem::new(&codes::BAD_ARROW, format!("there is no column '{name}' among: {there}"))
            };
            column(name).ok_or_else(missing)
        };
        for field in schema.fields() {
            known(field.name())?;
        }
        let at = |row: usize, name: &str, problem: Problem| {
            let place = schema.index_of(name).unwrap_or_default();
            problem.at((first_row + row) as u64 + 1, place as u64 + 1)
        };
        let signals = Texts::of("signal", needed("signal")?)?;
        let rows = batch.num_rows();
        let mut places = Vec::with_capacity(rows);
        let mut before: Option<(&str, u32)> = None;
        for row in 0..rows {
            let Some(text) = signals.at(row) else {
                let problem = Problem::new(&codes::BAD_PATH, "the signal has no name");
                return Err(at(row, "signal", problem));
            };
            let place = match before {
                Some((known, place)) if known == text => place,
                _ => paths.place(text).map_err(|problem| at(row, "signal", problem))?,
            };
            before = Some((text, place));
            places.push(place);
        }
        let times = column::times(needed("time")?).map_err(|(row, problem)| at(row, "time", problem))?;
        let qualities = match column("quality") {
            Some(column) => {
                column::qualities(column).map_err(|(row, problem)| at(row, "quality", problem))?
            }
            None => vec![Quality::GOOD; rows],
        };
        let sources = Sources::of(needed("value")?, column("integer"), column("text"), column("kind"))?;
        let mut bytes = Vec::new();
        for row in 0..rows {
            let value = sources.at(row, &mut bytes).map_err(|problem| at(row, "value", problem))?;
            measure.add(1, size_of_value(value))?;
        }
        Ok(Checked { sources, paths: places, times, qualities })
    }
}

fn known(name: &str) -> Result<(), Problem> {
    if KNOWN.contains(&name) {
        return Ok(());
    }
    let problem = Problem::new(&codes::BAD_ARROW, format!("the column '{name}' is not known"));
    let names: Vec<String> = KNOWN.iter().take(IGNORED_FROM).map(|name| (*name).to_owned()).collect();
    Err(match nearest(name, &names) {
        Some(near) => problem.hint(format!("Did you mean '{near}'?")),
        None => problem
            .hint(format!("There may be: {}. A wide table needs its columns as rows", names.join(", "))),
    })
}

fn publishes(
    batches: &[RecordBatch],
    checked: &[Checked<'_>],
    grants: &[Grant],
    rows: usize,
    builder: impl Fn() -> Result<BatchBuilder, Problem>,
) -> Result<Vec<Publish>, Problem> {
    let mut done = Vec::new();
    let mut filling = builder()?;
    filling.reserve(rows);
    let mut stamp = 0;
    let mut bytes = Vec::new();
    for (batch, checked) in batches.iter().zip(checked) {
        for row in 0..batch.num_rows() {
            let (Some(place), Some(time), Some(quality)) =
                (checked.paths.get(row), checked.times.get(row), checked.qualities.get(row))
            else {
                continue;
            };
            let Some(grant) = grants.get(*place as usize) else { continue };
            let value = checked.sources.at(row, &mut bytes)?;
            // As at the other doors: no value is ever good.
            let missing = value == ValueRef::None && quality.is_good();
            let quality = if missing { &Quality::BAD } else { quality };
            let time = match time {
                Some(time) => Stamp::At(*time),
                None => {
                    stamp += 1;
                    Stamp::Server(stamp)
                }
            };
            if filling.push(grant.id, time, value, *quality).is_err() {
                let full = std::mem::replace(&mut filling, builder()?);
                done.push(Publish { samples: Some(full), ..Publish::default() });
                filling
                    .push(grant.id, time, value, *quality)
                    .map_err(|_| too_large("a value of more than 4 GiB"))?;
            }
        }
    }
    if !filling.is_empty() {
        done.push(Publish { samples: Some(filling), ..Publish::default() });
    }
    Ok(done)
}

fn size_of_value(value: ValueRef<'_>) -> usize {
    24 + match value {
        ValueRef::Text(text) | ValueRef::Json(text) => text.len(),
        ValueRef::Bytes(bytes) => bytes.len(),
        _ => 0,
    }
}
