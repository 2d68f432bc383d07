//! Samples out of Arrow streams and Parquet files: measured by their heads before anything is unpacked, then read a few
//! thousand rows at a time, and never trusted. What is not here: names, rights and limits of samples (the sink's), and
//! text formats (they are the doors').

mod column;
mod far;
mod local;
mod messages;
mod numbers;
mod pages;
mod parts;
mod table;
mod values;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use bytes::Bytes;
use hashbrown::HashSet;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::reader::ChunkReader;
use tidemill_core::{
    ColumnMeasure, ColumnSample, Format, Problem, Quality, SampleSink, ValueRef, codes, nearest,
};
use tidemill_ground::quietly;

pub use self::parts::{ColumnFile, Naming, Part, Untimed};
pub use self::table::ColumnText;
pub use self::values::values;

use self::column::{Sources, Texts};

/// The most bytes that a body may become, as columns and as samples (tests make do with less). A request is at most
/// 64 MiB, packed.
const DECODED_BYTES_MAX: usize = if cfg!(test) { 32 << 20 } else { 512 << 20 };
/// The longest foot of a Parquet file that is read: a description of its row groups, a kilobyte or so each.
const FOOT_BYTES_MAX: usize = 4 << 20;
/// The most samples of one body.
const ROWS_MAX: usize = 16 << 20;
/// How many rows are looked at, and of a Parquet file decoded, at once.
const STEP_ROWS: usize = 8_192;
/// The same where each text may be as long as all texts of its page together: they are spelled as what they share with
/// the one before (DELTA_BYTE_ARRAY).
const STEP_ROWS_SHARED: usize = 64;

/// What columns may stand in a body. Those after `kind` are of exports and carry nothing that is taken.
const KNOWN: [&str; 9] =
    ["signal", "time", "value", "integer", "text", "quality", "kind", "received", "source"];
const IGNORED_FROM: usize = 7;

/// What a body will take; see [`tidemill_core::History::measure`].
///
/// # Errors
/// It is no body of this format, or would take too much.
pub fn measure(format: Format, body: &Bytes) -> Result<ColumnMeasure, Problem> {
    Ok(guarded(|| Plan::of(format, body))?.measure())
}

/// The samples of a body in order; see [`tidemill_core::History::decode`].
///
/// # Errors
/// It is no body of this format, or would take too much; or what the sink says.
pub fn decode(format: Format, body: Bytes, sink: &mut dyn SampleSink) -> Result<(), Problem> {
    let mut batches = guarded(|| Plan::of(format, &body)?.batches(body))?;
    let mut first_row = 0;
    let mut measure = Measure::default();
    while let Some(batch) = guarded(|| batches.next())? {
        let rows = batch.num_rows();
        // Also of no rows its columns are looked at.
        for from in (0..rows.max(1)).step_by(STEP_ROWS) {
            let step = batch.slice(from, STEP_ROWS.min(rows - from));
            Step { rows: &step, first_row: first_row + from }.pour(&mut measure, sink)?;
        }
        first_row += rows;
    }
    Ok(())
}

/// What third-party code makes of hostile bytes is caught, should it panic.
fn guarded<T>(read: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    quietly(read).unwrap_or_else(|caught| {
        tracing::warn!(event = "decode.panic", place = caught.place, "a library could not stand a body");
        Err(unreadable("its parts contradict each other"))
    })
}

fn unreadable(why: &str) -> Problem {
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = (0..=200.min(why.len())).rev().find(|end| why.is_char_boundary(*end)).unwrap_or(0);
    Problem::new(
        &codes::BAD_ARROW,
        format!("the data cannot be read: {}", why.get(..end).unwrap_or_default()),
    )
    .hint("Fetch or send it again, whole; if it stays so, write it anew")
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

/// How a body is to be read: made from its heads, and within the bounds.
enum Plan {
    Arrow(messages::Messages),
    Parquet { rows: usize, unpacked: pages::Unpacked },
}

impl Plan {
    fn of(format: Format, body: &Bytes) -> Result<Plan, Problem> {
        let plan = match format {
            Format::Arrow => Plan::Arrow(messages::Messages::of(body)?),
            Format::Parquet => {
                check_foot(body)?;
                let found = parquet_builder(body.clone(), None)?;
                known(found.schema())?;
                let rows = usize::try_from(found.metadata().file_metadata().num_rows()).unwrap_or(usize::MAX);
                Plan::Parquet { rows, unpacked: pages::unpacked(found.metadata(), body)? }
            }
            other => {
                let detail = format!("{} is not decoded here", other.media_type());
                return Err(Problem::new(&codes::UNSUPPORTED_FORMAT, detail));
            }
        };
        let (rows, total_bytes) = match &plan {
            Plan::Arrow(messages) => (messages.rows, messages.unpacked_bytes),
            Plan::Parquet { rows, unpacked } => (*rows, unpacked.total_bytes),
        };
        Measure::default().add(rows, total_bytes)?;
        let at_once_bytes = plan.at_once_bytes();
        Measure::default().add(0, at_once_bytes)?;
        Ok(plan)
    }

    /// What is unpacked at one time: Arrow's dictionaries and a batch; of Parquet the pages of a row group.
    fn at_once_bytes(&self) -> usize {
        match self {
            Plan::Arrow(messages) => messages.at_once_bytes,
            Plan::Parquet { rows, unpacked } => {
                let step_rows = STEP_ROWS_SHARED.min(*rows);
                let shared_bytes = unpacked.shared_page_bytes.saturating_mul(step_rows);
                unpacked.group_bytes.saturating_add(shared_bytes)
            }
        }
    }

    fn measure(&self) -> ColumnMeasure {
        let (Plan::Arrow(messages::Messages { rows, .. }) | Plan::Parquet { rows, .. }) = self;
        ColumnMeasure { rows: *rows as u64, unpacked_bytes: self.at_once_bytes() as u64 }
    }

    fn batches(self, body: Bytes) -> Result<BodyBatches, Problem> {
        match self {
            // The decoder takes slices of the body itself: a length that lies finds no bytes.
            Plan::Arrow(messages) => Ok(BodyBatches::Arrow {
                decoder: Box::new(StreamDecoder::new().with_require_alignment(false)),
                rest: Buffer::from(body.slice(messages.place)),
            }),
            Plan::Parquet { unpacked, .. } => {
                let found = parquet_builder(body.clone(), None)?;
                let schema = seen(&found, &far::columns(body.clone())?);
                let step_rows = if unpacked.shared_page_bytes > 0 { STEP_ROWS_SHARED } else { STEP_ROWS };
                let reader = parquet_builder(body.clone(), Some(schema))?
                    .with_batch_size(step_rows)
                    .build()
                    .map_err(|error| unreadable(&error.to_string()))?;
                Ok(BodyBatches::Parquet { reader: Box::new(reader), body })
            }
        }
    }
}

/// A foot is read into structures of many times its length.
fn check_foot(body: &[u8]) -> Result<(), Problem> {
    let said = body.len().checked_sub(8).and_then(|at| body.get(at..)?.first_chunk());
    let foot_bytes = said.map_or(0, |bytes| u32::from_le_bytes(*bytes)) as usize;
    // One that is longer than the file says so by itself.
    if foot_bytes > FOOT_BYTES_MAX && foot_bytes < body.len() {
        return Err(too_large(&format!("a foot of more than {FOOT_BYTES_MAX} bytes")));
    }
    Ok(())
}

fn parquet_builder(
    body: Bytes,
    schema: Option<SchemaRef>,
) -> Result<ParquetRecordBatchReaderBuilder<Bytes>, Problem> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let options = match schema {
        Some(schema) => options.with_schema(schema),
        None => options,
    };
    ParquetRecordBatchReaderBuilder::try_new_with_options(body, options)
        .map_err(|error| unreadable(&error.to_string()))
}

/// A body, being read.
enum BodyBatches {
    Arrow { decoder: Box<StreamDecoder>, rest: Buffer },
    Parquet { reader: Box<ParquetRecordBatchReader>, body: Bytes },
}

impl BodyBatches {
    fn next(&mut self) -> Result<Option<RecordBatch>, Problem> {
        match self {
            BodyBatches::Parquet { reader, body } => {
                reader.next().transpose().map_err(|error| pages::failed(&error, body.clone()))
            }
            BodyBatches::Arrow { decoder, rest } => {
                while !rest.is_empty() {
                    if let Some(batch) = decoder.decode(rest).map_err(|error| wrong(&error))? {
                        return Ok(Some(batch));
                    }
                }
                decoder.finish().map_err(|error| wrong(&error))?;
                match decoder.schema() {
                    None => Err(unreadable("it is empty")),
                    Some(_) => Ok(None),
                }
            }
        }
    }
}

/// Where the stream begins that an Arrow file holds behind its mark, and before a foot that only seeking needs.
fn stream_in_file(head: &[u8]) -> Option<usize> {
    let padded = head.strip_prefix(b"ARROW1")?;
    let padding = padded.iter().position(|byte| *byte != 0).unwrap_or(padded.len());
    Some(head.len() - padded.len() + padding)
}

/// The columns of a Parquet file as they are decoded. It has no durations and no times in seconds: that an integer is one
/// only the writer's own schema says, of which no more is taken. Times of columns in `far` go beyond nanoseconds.
fn seen<T: ChunkReader + 'static>(
    found: &ParquetRecordBatchReaderBuilder<T>,
    far: &HashSet<String>,
) -> SchemaRef {
    let file_meta = found.metadata().file_metadata();
    let said = parquet_to_arrow_schema(file_meta.schema_descr(), file_meta.key_value_metadata()).ok();
    let said = |name: &str| Some(said.as_ref()?.field_with_name(name).ok()?.data_type().clone());
    let field = |field: &Arc<Field>| match said(field.name()) {
        _ if far.contains(field.name()) => {
            field.as_ref().clone().with_data_type(DataType::Timestamp(TimeUnit::Microsecond, None))
        }
        Some(kind @ (DataType::Duration(_) | DataType::Timestamp(_, _)))
            if *field.data_type() == DataType::Int64 =>
        {
            field.as_ref().clone().with_data_type(kind)
        }
        _ => viewed(field),
    };
    Arc::new(Schema::new(found.schema().fields().iter().map(field).collect::<Vec<Field>>()))
}

/// As views a text that stands a million times is held once.
fn viewed(field: &Field) -> Field {
    let kind = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        other => other.clone(),
    };
    Field::new(field.name(), kind, field.is_nullable())
}

/// Some rows of a body.
struct Step<'a> {
    rows: &'a RecordBatch,
    /// Their place in it, from 0.
    first_row: usize,
}

impl Step<'_> {
    /// Gives all rows to the sink.
    fn pour(&self, measure: &mut Measure, sink: &mut dyn SampleSink) -> Result<(), Problem> {
        let column = |name: &str| self.rows.column_by_name(name);
        known(self.rows.schema_ref())?;
        let signals = Texts::of("signal", self.needed("signal")?)?;
        let times =
            column::times(self.needed("time")?).map_err(|(row, problem)| self.at(row, "time", problem))?;
        let qualities = match column("quality") {
            Some(column) => {
                let exported = numbers::is_export(self.rows.schema_ref());
                column::qualities(column, exported)
                    .map_err(|(row, problem)| self.at(row, "quality", problem))?
            }
            None => vec![Quality::GOOD; self.rows.num_rows()],
        };
        let sources = Sources::of(self.needed("value")?, column("integer"), column("text"), column("kind"))?;
        let mut bytes = Vec::new();
        for (row, (time, quality)) in times.into_iter().zip(qualities).enumerate() {
            let Some(signal) = signals.at(row) else {
                let problem = Problem::new(&codes::BAD_PATH, "the signal has no name");
                return Err(self.at(row, "signal", problem));
            };
            let value = sources.at(row, &mut bytes).map_err(|problem| self.at(row, "value", problem))?;
            measure.add(1, size_of_value(value))?;
            // As at the other doors: no value is ever good.
            let missing = value == ValueRef::None && quality.is_good();
            let quality = if missing { Quality::BAD } else { quality };
            sink.sample(&ColumnSample { signal, time, value, quality })
                .map_err(|(name, problem)| self.at(row, name, problem))?;
        }
        Ok(())
    }

    fn needed(&self, name: &'static str) -> Result<&arrow::array::ArrayRef, Problem> {
        self.rows.column_by_name(name).ok_or_else(|| {
            let fields = self.rows.schema_ref().fields().iter();
            let there = fields.map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
            Problem::new(&codes::BAD_ARROW, format!("there is no column '{name}' among: {there}"))
        })
    }

    fn at(&self, row: usize, name: &str, problem: Problem) -> Problem {
        let place = self.rows.schema_ref().index_of(name).unwrap_or_default();
        problem.at((self.first_row + row) as u64 + 1, place as u64 + 1)
    }
}

/// Columns of samples: each is known, and stands once.
fn known(schema: &Schema) -> Result<(), Problem> {
    once(schema)?;
    let Some(name) =
        schema.fields().iter().map(|field| field.name()).find(|name| !KNOWN.contains(&name.as_str()))
    else {
        return Ok(());
    };
    let problem = Problem::new(&codes::BAD_ARROW, format!("the column '{name}' is not known"));
    let names: Vec<String> = KNOWN.iter().take(IGNORED_FROM).map(|name| (*name).to_owned()).collect();
    Err(match nearest(name, &names) {
        Some(near) => problem.hint(format!("Did you mean '{near}'?")),
        None => problem
            .hint(format!("There may be: {}. A wide table needs its columns as rows", names.join(", "))),
    })
}

/// Of two columns with one name either could be meant.
fn once(schema: &Schema) -> Result<(), Problem> {
    let mut names = HashSet::new();
    let twice = schema.fields().iter().map(|field| field.name()).find(|name| !names.insert(*name));
    let Some(name) = twice else { return Ok(()) };
    Err(Problem::new(&codes::BAD_ARROW, format!("the column '{name:.80}' stands twice"))
        .hint("Rename one of both, or leave it out"))
}

fn size_of_value(value: ValueRef<'_>) -> usize {
    24 + match value {
        ValueRef::Text(text) | ValueRef::Json(text) => text.len(),
        ValueRef::Bytes(bytes) => bytes.len(),
        _ => 0,
    }
}
