//! A file of columns (Parquet, Arrow IPC) in parts that a plant takes: read group by group or message by message, so
//! that a file of any size needs the memory of one of them. Each part is spelled as the body of a write. What is not
//! here: sending, and what the columns mean (the plant checks that, as with every body).

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchReader, StringBuilder, UInt64Array};
use arrow::buffer::Buffer;
use arrow::compute::{concat_batches, take, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::reader::StreamDecoder;
use bytes::Bytes;
use hashbrown::HashSet;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use tidemill_core::{Format, Problem, codes, is_own};

use super::column::Texts;
use super::far;
use super::local;
use super::numbers::{self, Qualities};
use super::pages;
use super::{IGNORED_FROM, KNOWN, STEP_ROWS, guarded, known, once, seen, stream_in_file, unreadable, wrong};
use crate::encode::of_table;

/// How many rows a part has at most.
const PART_ROWS_MAX: usize = 32_768;
/// A part ends once its columns have grown to this.
const PART_BYTES: usize = 8 << 20;
/// Within so many bytes a file of Arrow begins its stream: behind a mark, aligned to at most 64.
const HEAD_BYTES: u64 = 256;
/// How much of an Arrow file is read at once.
const READ_BYTES: usize = 1 << 20;
/// How many cells of a Parquet file are decoded at once.
const STEP_CELLS: usize = 16 * STEP_ROWS;
/// How many distinct names are counted; the plant has a limit of its own.
const NAMES_MAX: usize = 100_000;

/// How the signals of a file are named.
#[derive(Clone, Debug, Default)]
pub struct Naming {
    /// What stands before the names of the file.
    pub prefix: Option<String>,
    /// The signal of a file without a column `signal`.
    pub signal: Option<String>,
}

/// A file of columns, being read.
pub struct ColumnFile {
    format: &'static str,
    /// For its place in the file: it shares that with the reader's.
    file: File,
    rows: Option<u64>,
    source: Source,
    /// None: all columns are read as they are.
    naming: Option<Naming>,
    qualities: Qualities,
    note: Option<&'static str>,
    ready: VecDeque<RecordBatch>,
    names: HashSet<String>,
}

enum Source {
    Parquet {
        reader: Box<ParquetRecordBatchReader>,
        file: File,
    },
    Arrow {
        file: File,
        /// Whether a foot follows the stream.
        foot: bool,
        decoder: Box<StreamDecoder>,
        /// Read and not yet decoded.
        rest: Buffer,
        /// Those that say something, once the schema is known.
        columns: Option<Vec<usize>>,
    },
}

/// Some rows of a file.
pub struct Part {
    /// As they stand there, under the names that are wanted.
    rows: RecordBatch,
    /// Their times, where those of the file say no offset.
    times: Option<ArrayRef>,
    /// Which rows of the part as it was read they are, where others were taken out.
    places: Option<Vec<usize>>,
}

/// A row that was taken out of a part, because it has no time.
#[derive(Debug)]
pub struct Untimed {
    /// Its place in the part, from 0.
    pub row: usize,
    /// The row as a line of JSON.
    pub line: String,
    /// Why.
    pub reason: String,
}

impl ColumnFile {
    /// Whether bytes begin as such a file does; eight tell.
    pub fn is_one(head: &[u8]) -> bool {
        // An Arrow stream begins with a mark, the length of its first message, and that message.
        let stream = head.starts_with(&[0xFF; 4]) && head.get(6..8) == Some(&[0, 0]);
        head.starts_with(b"PAR1") || head.starts_with(b"ARROW1") || stream
    }

    /// Begins to read a file.
    ///
    /// # Errors
    /// `bad-arrow`: it is damaged, compressed in a way that is not known, or its columns are no samples; `bad-import`:
    /// its integers may mean two things.
    pub fn open(mut file: File, naming: Naming) -> Result<ColumnFile, Problem> {
        // The place in a file is shared by all that read it.
        let start = file.stream_position().map_err(|error| broken(&error))?;
        let mut all = ColumnFile::of_all(file.try_clone().map_err(|error| broken(&error))?)?;
        let (qualities, note) = numbers::qualities(&mut all)?;
        file.seek(SeekFrom::Start(start)).map_err(|error| broken(&error))?;
        Ok(ColumnFile { qualities, note, ..ColumnFile::begin(file, Some(naming))? })
    }

    /// Begins to read all columns of a file, whatever they are.
    pub(super) fn of_all(file: File) -> Result<ColumnFile, Problem> {
        ColumnFile::begin(file, None)
    }

    fn begin(mut file: File, naming: Option<Naming>) -> Result<ColumnFile, Problem> {
        let shared = file.try_clone().map_err(|error| broken(&error))?;
        let mut head = Vec::new();
        (&mut file).take(HEAD_BYTES).read_to_end(&mut head).map_err(|error| broken(&error))?;
        file.seek(SeekFrom::Start(0)).map_err(|error| broken(&error))?;
        let new = |format, rows, source| {
            let (ready, names) = (VecDeque::new(), HashSet::new());
            let (naming, qualities, note) = (naming.clone(), Qualities::default(), None);
            ColumnFile { format, file: shared, rows, source, naming, qualities, note, ready, names }
        };
        if head.starts_with(b"PAR1") {
            let again = file.try_clone().map_err(|error| broken(&error))?;
            let (reader, rows) = guarded(|| parquet(again, naming.as_ref()))?;
            let reader = Box::new(reader);
            return Ok(new("a Parquet file", Some(rows), Source::Parquet { reader, file }));
        }
        let start = stream_in_file(&head);
        let foot = start.is_some();
        let format = if foot { "an Arrow file" } else { "an Arrow stream" };
        file.seek(SeekFrom::Start(start.unwrap_or_default() as u64)).map_err(|error| broken(&error))?;
        let decoder = Box::new(StreamDecoder::new().with_require_alignment(false));
        let rest = Buffer::from(Vec::<u8>::new());
        Ok(new(format, None, Source::Arrow { file, foot, decoder, rest, columns: None }))
    }

    /// What it is, for people.
    pub fn format(&self) -> &'static str {
        self.format
    }

    /// What is to be told of it.
    pub fn note(&self) -> Option<&'static str> {
        self.note
    }

    /// How many rows it has, where its head or foot says so.
    pub fn rows(&self) -> Option<u64> {
        self.rows
    }

    /// How long it is, in bytes.
    pub fn bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |known| known.len())
    }

    /// How far it was read, in bytes.
    pub fn position(&mut self) -> u64 {
        self.file.stream_position().unwrap_or_default()
    }

    /// How many signals were seen so far, at most 100,000.
    pub fn signals(&self) -> usize {
        self.names.len()
    }

    /// The next rows; none at the end.
    ///
    /// # Errors
    /// `bad-arrow`: the file is damaged here.
    pub fn next_part(&mut self) -> Result<Option<Part>, Problem> {
        let (mut batches, mut rows, mut bytes) = (Vec::new(), 0, 0);
        while rows < PART_ROWS_MAX && bytes < PART_BYTES {
            let Some(batch) = self.batch()? else { break };
            rows += batch.num_rows();
            bytes += batch.get_array_memory_size();
            batches.push(batch);
        }
        let Some(first) = batches.first() else { return Ok(None) };
        let rows = concat_batches(first.schema_ref(), &batches).map_err(|error| wrong(&error))?;
        let rows = match &self.naming {
            Some(naming) => named(&rows, naming)?,
            None => rows,
        };
        let rows = match self.qualities {
            Qualities::OpcDa => with_qualities(rows, numbers::of_opc_da)?,
            Qualities::OpcUa => rows,
        };
        if let Some(signals) = rows.column_by_name("signal") {
            let texts = Texts::of("signal", signals)?;
            for name in (0..rows.num_rows()).filter_map(|row| texts.at(row)) {
                if self.names.len() < NAMES_MAX && !self.names.contains(name) {
                    self.names.insert(name.to_owned());
                }
            }
        }
        Ok(Some(Part { rows, times: None, places: None }))
    }

    /// Whether its times say no offset, or, where they are texts, may say none.
    ///
    /// # Errors
    /// `bad-arrow`: the file is damaged in its first rows.
    pub fn has_local_times(&mut self) -> Result<bool, Problem> {
        let is_local = |kind: &DataType| local::is_open(kind) || is_text(kind);
        Ok(self.schema()?.field_with_name("time").is_ok_and(|time| is_local(time.data_type())))
    }

    /// The columns that are read. What is decoded for that is kept.
    pub(super) fn schema(&mut self) -> Result<SchemaRef, Problem> {
        if self.ready.is_empty()
            && let Some(batch) = self.batch()?
        {
            self.ready.push_front(batch);
        }
        let of_empty = match &self.source {
            Source::Parquet { reader, .. } => Some(reader.schema()),
            Source::Arrow { decoder, .. } => decoder.schema(),
        };
        let of_rows = self.ready.front().map(RecordBatch::schema);
        of_rows.or(of_empty).ok_or_else(|| unreadable("it is empty"))
    }

    /// A few thousand rows.
    pub(super) fn batch(&mut self) -> Result<Option<RecordBatch>, Problem> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            let (source, naming) = (&mut self.source, self.naming.as_ref());
            let Some(batch) = guarded(|| source.next(naming))? else { return Ok(None) };
            let rows = batch.num_rows();
            let steps = (0..rows).step_by(STEP_ROWS);
            self.ready.extend(steps.map(|from| batch.slice(from, STEP_ROWS.min(rows - from))));
        }
    }
}

impl Part {
    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The place of a row in the part as it was read, from 0.
    pub fn place(&self, row: usize) -> usize {
        self.places.as_ref().and_then(|places| places.get(row).copied()).unwrap_or(row)
    }

    /// Makes instants of times that say no offset, and takes out the rows that have no time. `read` is given a signal
    /// and the nanoseconds since 1970 that its clock showed; it gives the instant, or says why there is none.
    ///
    /// # Errors
    /// `bad-arrow`: the columns have types that they cannot have.
    pub fn localize(
        &mut self,
        read: &mut dyn FnMut(&str, i64) -> Result<i64, String>,
    ) -> Result<Vec<Untimed>, Problem> {
        let column = |name| self.rows.column_by_name(name);
        let (Some(signals), Some(times)) = (column("signal"), column("time")) else { return Ok(Vec::new()) };
        let signals = Texts::of("signal", signals)?;
        let (times, untimed) =
            local::instants(times, &mut |row, shown| read(signals.at(row).unwrap_or_default(), shown))?;
        let told = |(row, reason)| Ok(Untimed { row, line: self.line(row)?, reason });
        let untimed = untimed.into_iter().map(told).collect::<Result<Vec<_>, Problem>>()?;
        self.times = times;
        if !untimed.is_empty() {
            let mut out = untimed.iter().map(|untimed| untimed.row).peekable();
            self.keep((0..self.len()).filter(|row| out.next_if_eq(row).is_none()).collect())?;
        }
        Ok(untimed)
    }

    /// Takes out the rows of signals that the house writes of itself, and says how many they were.
    ///
    /// # Errors
    /// `bad-arrow`: the column of signals has a type that it cannot have.
    pub fn leave_out_own(&mut self) -> Result<u64, Problem> {
        let Some(signals) = self.rows.column_by_name("signal") else { return Ok(0) };
        let signals = Texts::of("signal", signals)?;
        let others: Vec<usize> =
            (0..self.len()).filter(|row| !signals.at(*row).is_some_and(is_own)).collect();
        let own = self.len() - others.len();
        if own > 0 {
            self.keep(others)?;
        }
        Ok(own as u64)
    }

    /// Keeps some of the rows.
    fn keep(&mut self, rows: Vec<usize>) -> Result<(), Problem> {
        let places = rows.iter().map(|row| self.place(*row)).collect();
        let kept: UInt64Array = rows.iter().map(|row| *row as u64).collect();
        self.rows = take_record_batch(&self.rows, &kept).map_err(|error| wrong(&error))?;
        if let Some(times) = &mut self.times {
            *times = take(times, &kept, None).map_err(|error| wrong(&error))?;
        }
        self.places = Some(places);
        Ok(())
    }

    /// Rows as a body of [`Part::MEDIA_TYPE`], from the first (from 0, included) to the last (excluded).
    ///
    /// # Errors
    /// `bad-arrow`: they cannot be spelled.
    pub fn body(&self, from: usize, to: usize) -> Result<Bytes, Problem> {
        match &self.times {
            None => spelled(&self.rows, Format::Arrow, from, to),
            Some(times) => spelled(&replaced(&self.rows, "time", times)?, Format::Arrow, from, to),
        }
    }

    /// A row as a line of JSON, for the list of rows that were refused.
    ///
    /// # Errors
    /// `bad-arrow`: it cannot be spelled.
    pub fn line(&self, row: usize) -> Result<String, Problem> {
        let row = with_qualities(self.rows.slice(row.min(self.len()), 1), numbers::of_opc_ua)?;
        let line = spelled(&row, Format::JsonLines, 0, 1)?;
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// What bodies are.
    pub const MEDIA_TYPE: &'static str = "application/vnd.apache.arrow.stream";
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_text(values),
        kind => kind.is_string(),
    }
}

/// The rows with another column of that name.
fn replaced(rows: &RecordBatch, name: &str, column: &ArrayRef) -> Result<RecordBatch, Problem> {
    let (schema, mut columns) = (rows.schema(), rows.columns().to_vec());
    let mut fields = schema.fields().to_vec();
    let place = schema.index_of(name).map_err(|error| wrong(&error))?;
    if let (Some(field), Some(before)) = (fields.get_mut(place), columns.get_mut(place)) {
        *field = Arc::new(Field::new(name, column.data_type().clone(), true));
        *before = column.clone();
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|error| wrong(&error))
}

/// The rows with integers in `quality` as words.
fn with_qualities(
    rows: RecordBatch,
    read: fn(&ArrayRef) -> Result<ArrayRef, Problem>,
) -> Result<RecordBatch, Problem> {
    match rows.column_by_name("quality").filter(|column| column.data_type().is_integer()) {
        Some(column) => replaced(&rows, "quality", &read(column)?),
        None => Ok(rows),
    }
}

fn spelled(rows: &RecordBatch, format: Format, from: usize, to: usize) -> Result<Bytes, Problem> {
    let to = to.min(rows.num_rows());
    let rows = rows.slice(from.min(to), to.saturating_sub(from));
    let mut encoder = of_table(format);
    let told = |error| wrong(&error);
    encoder.begin(rows.schema_ref()).map_err(told)?;
    encoder.rows(&rows).map_err(told)?;
    encoder.end().map_err(told)?;
    Ok(std::mem::take(encoder.written()).into())
}

impl Source {
    fn next(&mut self, naming: Option<&Naming>) -> Result<Option<RecordBatch>, Problem> {
        let (file, foot, decoder, rest, columns) = match self {
            Source::Parquet { reader, file } => {
                let told = |error| match file.try_clone() {
                    Ok(file) => pages::failed(&error, file),
                    Err(_) => wrong(&error),
                };
                return reader.next().transpose().map_err(told);
            }
            Source::Arrow { file, foot, decoder, rest, columns } => (file, *foot, decoder, rest, columns),
        };
        loop {
            if rest.is_empty() {
                let mut bytes = vec![0; READ_BYTES];
                let count = file.read(&mut bytes).map_err(|error| broken(&error))?;
                bytes.truncate(count);
                *rest = Buffer::from(bytes);
            }
            if rest.is_empty() {
                decoder.finish().map_err(|error| wrong(&error))?;
                return Ok(None);
            }
            let decoded = match decoder.decode(rest) {
                Err(_) if foot && columns.is_some() && decoder.finish().is_ok() => {
                    *rest = Buffer::from(Vec::<u8>::new());
                    file.seek(SeekFrom::End(0)).map_err(|error| broken(&error))?;
                    return Ok(None);
                }
                other => other.map_err(|error| wrong(&error))?,
            };
            if columns.is_none()
                && let Some(schema) = decoder.schema()
            {
                *columns = Some(wanted(&schema, naming)?);
            }
            if let (Some(batch), Some(columns)) = (decoded, &columns) {
                return batch.project(columns).map(Some).map_err(|error| wrong(&error));
            }
        }
    }
}

fn parquet(file: File, naming: Option<&Naming>) -> Result<(ParquetRecordBatchReader, u64), Problem> {
    let told = |error: parquet::errors::ParquetError| {
        let problem = unreadable(&error.to_string());
        match error.to_string().contains("Disabled feature") {
            true => problem.hint("Write it with compression snappy, zstd, gzip, lz4 or none"),
            false => problem,
        }
    };
    let options = || ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let again = file.try_clone().map_err(|error| broken(&error))?;
    let found = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options()).map_err(told)?;
    let rows = u64::try_from(found.metadata().file_metadata().num_rows()).unwrap_or_default();
    let columns = wanted(found.schema(), naming)?;
    let step_rows = (STEP_CELLS / columns.len().max(1)).clamp(1, STEP_ROWS);
    let far = far::columns(again.try_clone().map_err(|error| broken(&error))?)?;
    let schema = seen(&found, &far);
    let options = options().with_schema(schema);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(again, options).map_err(told)?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), columns);
    let reader = builder.with_batch_size(step_rows).with_projection(mask).build().map_err(told)?;
    Ok((reader, rows))
}

/// The columns that say something, by their numbers.
fn wanted(schema: &SchemaRef, naming: Option<&Naming>) -> Result<Vec<usize>, Problem> {
    let Some(naming) = naming else {
        return once(schema).map(|()| (0..schema.fields().len()).collect());
    };
    known(schema)?;
    let mut columns = Vec::new();
    for (number, field) in schema.fields().iter().enumerate() {
        if KNOWN.iter().take(IGNORED_FROM).any(|name| name == field.name()) {
            columns.push(number);
        }
    }
    let has_signal = schema.index_of("signal").is_ok();
    match (has_signal, &naming.signal) {
        (true, Some(_)) => {
            Err(Problem::new(&codes::BAD_IMPORT, "each row names its signal, so that --signal cannot")
                .hint("Use --prefix PATH to put something before the names"))
        }
        _ => Ok(columns),
    }
}

/// The rows under the names that are wanted.
fn named(rows: &RecordBatch, naming: &Naming) -> Result<RecordBatch, Problem> {
    let (mut fields, mut columns): (Vec<Field>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    for (field, column) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        let renamed = naming.prefix.as_ref().filter(|_| field.name() == "signal");
        columns.push(match renamed {
            None => column.clone(),
            Some(prefix) => {
                let texts = Texts::of("signal", column)?;
                let mut names = StringBuilder::new();
                for row in 0..column.len() {
                    names.append_option(texts.at(row).map(|name| format!("{prefix}/{name}")));
                }
                Arc::new(names.finish())
            }
        });
        fields.push(match renamed {
            None => field.as_ref().clone(),
            Some(_) => Field::new("signal", DataType::Utf8, true),
        });
    }
    if let Some(signal) = &naming.signal {
        let mut names = StringBuilder::new();
        (0..rows.num_rows()).for_each(|_| names.append_value(signal));
        fields.push(Field::new("signal", DataType::Utf8, true));
        columns.push(Arc::new(names.finish()));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|error| wrong(&error))
}

fn broken(error: &std::io::Error) -> Problem {
    unreadable(&error.to_string())
}
