//! Reads files of samples: footers and directories are kept in a bounded cache, every byte is checked against its
//! sum before it is believed, and only the pages that a question needs are decoded. What does not live here: putting
//! several files together (`merge_rows`, `view`).

use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
    RowSelection,
};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::writer::SerializedRowGroupWriter;
use tidemill_core::SourceId;
use tidemill_ground::{Counter, Disk, File, Metrics, Open, read_exact_at};

use super::columns::Decoded;
use super::directory::{Directory, Entry};
use super::files::FileEntry;
use super::rows::Rows;
use super::schema::{FORMAT, FORMAT_KEY, column};
use super::sink::{BLOCK_BYTES, Sink};
use super::write::DIRECTORY_KEY;
use crate::Columns;
use crate::Error;

/// A footer with its directory is at most so large; a larger one is damage.
const TAIL_BYTES_MAX: u64 = 256 << 20;

/// What is known of an open file.
pub(crate) struct Footer {
    source: Checked,
    parquet: ArrowReaderMetadata,
    pub(crate) directory: Directory,
    bytes: usize,
}

impl Footer {
    /// What an error of Parquet's stands for: only the bytes below know the range.
    pub(crate) fn failed(&self, source: ParquetError) -> Error {
        let bytes = &self.source.0;
        let trouble = bytes.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        let file = bytes.name.clone();
        match trouble {
            Some(Trouble::Damage(from, to, detail)) => Error::Damaged { file, from, to, detail },
            Some(Trouble::Disk(kind, text)) => {
                Error::Disk { what: "read", path: file.into(), source: io::Error::new(kind, text) }
            }
            None => Error::Format { what: "decoded", file, source },
        }
    }
}

/// Row groups as they stand, for those who copy them.
impl Footer {
    /// The rows of each row group.
    pub(crate) fn groups(&self) -> Vec<Range<u64>> {
        let mut end = 0;
        let groups = self.parquet.metadata().row_groups().iter();
        groups
            .map(|group| {
                let start = end;
                end += group.num_rows().unsigned_abs();
                start..end
            })
            .collect()
    }

    /// The first and the last path by name in a row group; long ones are cut, outwards.
    pub(crate) fn paths_of_group(&self, index: usize) -> Option<(String, String)> {
        let group = self.parquet.metadata().row_groups().get(index)?;
        let statistics = group.columns().get(column::SIGNAL)?.statistics()?;
        let text = |bytes: Option<&[u8]>| Some(std::str::from_utf8(bytes?).ok()?.to_owned());
        Some((text(statistics.min_bytes_opt())?, text(statistics.max_bytes_opt())?))
    }

    /// See [`narrow`].
    pub(crate) fn narrow(&self, want: &mut Want, from: i64, last: i64) {
        narrow(&time_pages(&self.parquet), want, from, last);
    }

    /// Writes a row group as it stands: the same pages, statistics and page index at their new place.
    pub(crate) fn copy_group(
        &self,
        index: usize,
        into: &mut SerializedRowGroupWriter<'_, Sink>,
    ) -> Result<(), ParquetError> {
        let metadata = self.parquet.metadata();
        let group = metadata.row_group(index);
        for (at, column) in group.columns().iter().enumerate() {
            let (start, length) = column.byte_range();
            let bytes = self.source.get_bytes(start, length as usize)?;
            let close = ColumnCloseResult {
                bytes_written: length,
                rows_written: group.num_rows().unsigned_abs(),
                metadata: column.clone(),
                bloom_filter: None,
                column_index: metadata.column_index().and_then(|all| all.get(index)?.get(at)).cloned(),
                offset_index: metadata.offset_index().and_then(|all| all.get(index)?.get(at)).cloned(),
            };
            into.append_column(&Piece { start, bytes }, close)?;
        }
        Ok(())
    }
}

/// Some bytes of a file, from `start` on.
struct Piece {
    start: u64,
    bytes: Bytes,
}

impl Length for Piece {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Piece {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.get_bytes(start, (self.len().saturating_sub(start)) as usize)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let from = start.checked_sub(self.start).map(|from| from as usize);
        let range = from.and_then(|from| Some(from..from.checked_add(length)?));
        let range = range.filter(|range| range.end <= self.bytes.len());
        let outside = || ParquetError::EOF("a column begins where its file does not say".into());
        Ok(self.bytes.slice(range.ok_or_else(outside)?))
    }
}

/// The bytes of a file, checked as they are read.
#[derive(Clone)]
struct Checked(Arc<Bytesource>);

struct Bytesource {
    file: Arc<dyn File>,
    name: String,
    len: u64,
    tail_at: u64,
    tail: Bytes,
    /// CRC32C of each block of the data; the last one may be short.
    blocks: Vec<u32>,
    /// What went wrong last, for the error; Parquet's own errors carry no range.
    trouble: Mutex<Option<Trouble>>,
}

#[derive(Clone)]
enum Trouble {
    /// Bytes from, to, and what shows it.
    Damage(u64, u64, String),
    /// The disk refused; the bytes may be well.
    Disk(io::ErrorKind, String),
}

impl Bytesource {
    fn damaged(&self, from: u64, to: u64, detail: &str) -> ParquetError {
        self.note(Trouble::Damage(from, to, detail.to_owned()));
        ParquetError::General(format!("damaged in bytes {from}..{to}: {detail}"))
    }

    fn note(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
    }

    fn get(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start.saturating_add(length as u64);
        if end > self.len {
            return Err(self.damaged(start, end, "it ends before"));
        }
        if start >= self.tail_at {
            let from = (start - self.tail_at) as usize;
            return Ok(self.tail.slice(from..from + length));
        }
        if end > self.tail_at {
            return Err(self.damaged(start, end, "data and footer overlap"));
        }
        let block = BLOCK_BYTES as u64;
        let (from, to) = (start - start % block, end.next_multiple_of(block).min(self.tail_at));
        let mut bytes = vec![0; (to - from) as usize];
        if let Err(error) = read_exact_at(&*self.file, &mut bytes, from) {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                return Err(self.damaged(from, to, &error.to_string()));
            }
            self.note(Trouble::Disk(error.kind(), error.to_string()));
            return Err(error.into());
        }
        for (index, part) in bytes.chunks(BLOCK_BYTES).enumerate() {
            let at = from + (index * BLOCK_BYTES) as u64;
            if self.blocks.get((at / block) as usize) != Some(&crc32c::crc32c(part)) {
                return Err(self.damaged(at, at + part.len() as u64, "the checksum differs"));
            }
        }
        Ok(Bytes::from(bytes).slice((start - from) as usize..(end - from) as usize))
    }
}

impl Length for Checked {
    fn len(&self) -> u64 {
        self.0.len
    }
}

impl ChunkReader for Checked {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        // Only asked where no page index is: then to the end of the data or of the file.
        let end = if start < self.0.tail_at { self.0.tail_at } else { self.0.len };
        Ok(self.0.get(start, (end.saturating_sub(start)) as usize)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.0.get(start, length)
    }
}

/// Opens files, and remembers the footers of those used last.
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// For messages.
    name: String,
    bytes_max: usize,
    cache: Mutex<Cache>,
    opened: Counter,
    damaged: Counter,
}

#[derive(Default)]
struct Cache {
    footers: HashMap<String, (Arc<Footer>, u64)>,
    bytes: usize,
    uses: u64,
}

impl Files {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        name: &str,
        bytes_max: usize,
        metrics: &Metrics,
    ) -> Files {
        Files {
            disk,
            dir,
            name: name.into(),
            bytes_max,
            cache: Mutex::default(),
            opened: metrics.counter("historian_footers_read", "Footers of files that were read from disk."),
            damaged: metrics
                .counter("historian_damage", "Reads that met a damaged file; the damage was not served."),
        }
    }

    /// The footer of a file.
    pub(crate) fn footer(&self, file: &FileEntry) -> Result<Arc<Footer>, Error> {
        {
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.uses += 1;
            let uses = cache.uses;
            if let Some((footer, used)) = cache.footers.get_mut(file.name()) {
                *used = uses;
                return Ok(footer.clone());
            }
        }
        let footer = Arc::new(self.open(file).inspect_err(|error| {
            if matches!(error, Error::Damaged { .. }) {
                self.damaged.add(1);
            }
        })?);
        self.opened.add(1);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let used = cache.uses;
        cache.bytes += footer.bytes;
        if let Some((old, _)) = cache.footers.insert(file.name().to_owned(), (footer.clone(), used)) {
            cache.bytes = cache.bytes.saturating_sub(old.bytes);
        }
        while cache.bytes > self.bytes_max && cache.footers.len() > 1 {
            let Some(oldest) =
                cache.footers.iter().min_by_key(|(_, (_, used))| *used).map(|(name, _)| name.clone())
            else {
                break;
            };
            if let Some((old, _)) = cache.footers.remove(&oldest) {
                cache.bytes = cache.bytes.saturating_sub(old.bytes);
            }
        }
        Ok(footer)
    }

    /// Reads a file whole and checks every block of it. What is kept of other files stays as it is.
    pub(crate) fn verify(&self, entry: &FileEntry) -> Result<(), Error> {
        self.present(entry)?;
        let footer = self.open(entry)?;
        let source = &footer.source.0;
        let mut at = 0;
        while at < source.tail_at {
            let length = BLOCK_BYTES.min((source.tail_at - at) as usize);
            source.get(at, length).map_err(|error| footer.failed(error))?;
            at += length as u64;
        }
        Ok(())
    }

    /// Whether a file stands there in its length.
    pub(crate) fn present(&self, entry: &FileEntry) -> Result<(), Error> {
        let (name, bytes, path) = (entry.name(), entry.add.size, self.dir.join(entry.name()));
        let damaged = |detail| {
            Err(Error::Damaged { file: format!("{}/{name}", self.name), from: 0, to: bytes, detail })
        };
        match self.disk.len(&path) {
            Ok(len) if len == bytes => Ok(()),
            Ok(len) => damaged(format!("it has {len} bytes instead of {bytes}")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => damaged("it is missing".to_owned()),
            Err(source) => Err(Error::Disk { what: "looked at", path, source }),
        }
    }

    /// Forgets a file that is about to be removed.
    pub(crate) fn forget(&self, name: &str) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((old, _)) = cache.footers.remove(name) {
            cache.bytes = cache.bytes.saturating_sub(old.bytes);
        }
    }

    fn open(&self, entry: &FileEntry) -> Result<Footer, Error> {
        let path = self.dir.join(entry.name());
        let name = format!("{}/{}", self.name, entry.name());
        let disk = |what: &'static str| {
            let path = path.clone();
            move |source: io::Error| Error::Disk { what, path, source }
        };
        let damaged = |from: u64, to: u64, detail: &str| Error::Damaged {
            file: name.clone(),
            from,
            to,
            detail: detail.to_owned(),
        };
        let file = match self.disk.open(&path, Open::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(damaged(0, entry.add.size, "it is missing"));
            }
            other => other.map_err(disk("opened"))?,
        };
        let len = file.len().map_err(disk("read"))?;
        let (tail_at, sum) = entry.tail.unwrap_or((0, 0));
        if len != entry.add.size || tail_at > len || len - tail_at > TAIL_BYTES_MAX {
            return Err(damaged(len.min(entry.add.size), len.max(entry.add.size), "its length differs"));
        }
        let mut tail = vec![0; (len - tail_at) as usize];
        read_exact_at(&*file, &mut tail, tail_at).map_err(disk("read"))?;
        if crc32c::crc32c(&tail) != sum {
            return Err(damaged(tail_at, len, "the checksum of the footer differs"));
        }
        let mut source = Bytesource {
            file,
            name: name.clone(),
            len,
            tail_at,
            tail: tail.into(),
            blocks: Vec::new(),
            trouble: Mutex::default(),
        };
        // The tail is checked as a whole, so that what follows can only fail where the writer was wrong.
        let probe = Checked(Arc::new(Bytesource {
            file: source.file.clone(),
            name: name.clone(),
            tail: source.tail.clone(),
            blocks: Vec::new(),
            trouble: Mutex::default(),
            ..source
        }));
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let parquet = ArrowReaderMetadata::load(&probe, options).map_err(|source| Error::Format {
            what: "decoded",
            file: name.clone(),
            source,
        })?;
        let keys = parquet.metadata().file_metadata().key_value_metadata();
        let key = |key: &str| keys?.iter().find(|pair| pair.key == key)?.value.as_deref();
        let found = key(FORMAT_KEY).and_then(|format| format.parse().ok()).unwrap_or(0);
        if found > FORMAT {
            return Err(Error::NewerFormat { file: name, found, known: FORMAT });
        }
        let (directory, blocks) = key(DIRECTORY_KEY)
            .and_then(|place| tail_parts(&source, place))
            .ok_or_else(|| damaged(tail_at, len, "it has no directory of signals"))?;
        source.blocks = blocks;
        let bytes = parquet.metadata().memory_size()
            + directory.bytes()
            + source.blocks.len() * 4
            + source.tail.len();
        Ok(Footer { source: Checked(Arc::new(source)), parquet, directory, bytes })
    }
}

fn tail_parts(source: &Bytesource, place: &str) -> Option<(Directory, Vec<u32>)> {
    let mut numbers = place.split(',').map(str::parse::<u64>);
    let mut next = || numbers.next()?.ok();
    let (offset, directory, blocks) = (next()?, next()?, next()?);
    let at = usize::try_from(offset.checked_sub(source.tail_at)?).ok()?;
    let (directory, blocks) = (usize::try_from(directory).ok()?, usize::try_from(blocks).ok()?);
    let packed = source.tail.get(at..at.checked_add(directory)?)?;
    let sums = source.tail.get(at + directory..(at + directory).checked_add(blocks)?)?;
    let unpacked = zstd::stream::decode_all(packed).ok()?;
    let sums = sums.as_chunks::<4>().0.iter().map(|sum| u32::from_le_bytes(*sum)).collect();
    Some((Directory::decode(&unpacked)?, sums))
}

/// Rows of a file that are wanted, as the `position`-th signal of a scan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    pub(crate) position: usize,
    pub(crate) first_row: u64,
    pub(crate) rows: u64,
    pub(crate) from: i64,
    pub(crate) last: i64,
}

impl Want {
    pub(crate) fn of(position: usize, entry: &Entry) -> Want {
        Want { position, first_row: entry.first_row, rows: entry.rows, from: entry.from, last: entry.last }
    }
}

/// Streams wanted rows of one file, in the order of the file.
pub(crate) struct Lane {
    pub(crate) file: Arc<FileEntry>,
    footer: Arc<Footer>,
    wants: VecDeque<Want>,
    /// Only rows in this time are given.
    from: i64,
    last: i64,
    columns: Columns,
    batch_rows: usize,
    reader: Option<ParquetRecordBatchReader>,
    batch: Option<Decoded>,
    /// Rows of `batch` that were given.
    used: usize,
    /// Rows of the first want that were given.
    given: u64,
}

impl Lane {
    /// `wants` must be in the order of the file.
    pub(crate) fn new(
        file: Arc<FileEntry>,
        footer: Arc<Footer>,
        wants: Vec<Want>,
        time: (i64, i64),
        columns: Columns,
        batch_rows: usize,
    ) -> Lane {
        let (from, last) = time;
        let mut lane = Lane {
            file,
            footer,
            wants: wants.into(),
            from,
            last,
            columns,
            batch_rows,
            reader: None,
            batch: None,
            used: 0,
            given: 0,
        };
        lane.prune();
        lane
    }

    /// Narrows wants of which only a part lies in time, by the pages of the time column.
    fn prune(&mut self) {
        let (from, last) = (self.from, self.last);
        if self.wants.iter().all(|want| want.from >= from && want.last <= last) {
            return;
        }
        let pages = time_pages(&self.footer.parquet);
        for want in &mut self.wants {
            narrow(&pages, want, from, last);
        }
    }

    /// The next rows of the first want; none at its end, and the next one is first.
    pub(crate) fn next(&mut self) -> Result<Option<Rows>, Error> {
        loop {
            let Some(want) = self.wants.front() else { return Ok(None) };
            if self.given >= want.rows {
                self.wants.pop_front();
                self.given = 0;
                return Ok(None);
            }
            let missing = (want.rows - self.given) as usize;
            if self.batch.as_ref().is_none_or(|batch| self.used >= batch.rows) {
                self.batch = Some(self.decode()?);
                self.used = 0;
            }
            let Some(batch) = &self.batch else { return Ok(None) };
            let end = batch.rows.min(self.used + missing);
            let rows = batch.rows(self.used, end).cut(self.from, self.last);
            self.given += (end - self.used) as u64;
            self.used = end;
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
    }

    fn failed(&self, source: ParquetError) -> Error {
        self.footer.failed(source)
    }

    fn decode(&mut self) -> Result<Decoded, Error> {
        if self.reader.is_none() {
            let reader = self.start().map_err(|source| self.failed(source))?;
            self.reader = Some(reader);
        }
        let batch = self.reader.as_mut().and_then(Iterator::next);
        let ends = || ParquetError::EOF("it has fewer rows than its directory says".into());
        let batch = batch.ok_or_else(ends).and_then(|batch| batch.map_err(ParquetError::from));
        let batch = batch.map_err(|source| self.failed(source))?;
        let sources = &self.footer.directory.sources;
        let source_of = |name: &str| {
            let known = sources.iter().find(|(_, known)| known == name);
            known.map_or(SourceId(0), |(number, _)| SourceId(*number))
        };
        Decoded::new(&batch, &source_of)
            .ok_or_else(|| self.failed(ParquetError::General("its columns are not those of samples".into())))
    }

    /// A reader of the rows of all wants, in order.
    fn start(&self) -> Result<ParquetRecordBatchReader, ParquetError> {
        let metadata = self.footer.parquet.metadata();
        let (mut groups, mut ranges, mut chosen_rows) = (Vec::new(), Vec::<Range<usize>>::new(), 0usize);
        let mut wants = self.wants.iter().filter(|want| want.rows > 0).peekable();
        let mut group_start = 0u64;
        for (index, group) in metadata.row_groups().iter().enumerate() {
            let group_rows = group.num_rows().unsigned_abs();
            let group_end = group_start + group_rows;
            let mut used = false;
            while let Some(want) = wants.peek() {
                let (start, end) =
                    (want.first_row.max(group_start), (want.first_row + want.rows).min(group_end));
                if start >= end {
                    break;
                }
                used = true;
                let shift = |row: u64| chosen_rows + (row - group_start) as usize;
                match ranges.last_mut() {
                    Some(range) if range.end == shift(start) => range.end = shift(end),
                    _ => ranges.push(shift(start)..shift(end)),
                }
                if want.first_row + want.rows > group_end {
                    break;
                }
                wants.next();
            }
            if used {
                groups.push(index);
                chosen_rows += group_rows as usize;
            }
            group_start = group_end;
        }
        let schema = self.footer.parquet.parquet_schema();
        let mask = ProjectionMask::roots(schema, projection(self.columns));
        let selection = RowSelection::from_consecutive_ranges(ranges.into_iter(), chosen_rows);
        ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.footer.source.clone(),
            self.footer.parquet.clone(),
        )
        .with_row_groups(groups)
        .with_projection(mask)
        .with_row_selection(selection)
        .with_batch_size(self.batch_rows)
        .build()
    }
}

fn projection(columns: Columns) -> Vec<usize> {
    let mut wanted = vec![column::TIME, column::NANOS];
    if columns.value {
        wanted.extend([
            column::KIND,
            column::FLOAT,
            column::SCALED,
            column::SCALE,
            column::TEXT,
            column::BYTES,
        ]);
    }
    wanted.extend(columns.quality.then_some(column::QUALITY));
    wanted.extend(columns.received.then_some(column::RECEIVED));
    wanted.extend(columns.source.then_some(column::SOURCE));
    wanted
}

/// Narrows a want of which only a part may lie in time.
fn narrow(pages: &[TimePage], want: &mut Want, from: i64, last: i64) {
    if pages.is_empty() || (want.from >= from && want.last <= last) {
        return;
    }
    let end = want.first_row + want.rows;
    let first = pages.partition_point(|page| page.rows.end <= want.first_row);
    let of_want = pages.get(first..).unwrap_or_default();
    let of_want = of_want.get(..of_want.partition_point(|page| page.rows.start < end)).unwrap_or_default();
    let (from_us, last_us) = (from.div_euclid(1_000), last.div_euclid(1_000));
    let own = |page: &&TimePage| page.rows.start >= want.first_row && page.rows.end <= end;
    let may_have = |(at, page): (usize, &TimePage)| {
        if own(&page) {
            return page.min_us <= last_us && page.max_us >= from_us;
        }
        // A page that other signals share says nothing about this one's times, but its neighbours do: rows are sorted.
        let before = at.checked_sub(1).and_then(|at| of_want.get(at)).filter(own);
        let after = of_want.get(at + 1).filter(own);
        before.is_none_or(|page| page.max_us <= last_us) && after.is_none_or(|page| page.min_us >= from_us)
    };
    let mut wanted =
        of_want.iter().enumerate().filter(|(at, page)| may_have((*at, page))).map(|(_, page)| page);
    let Some(begin) = wanted.next() else {
        want.rows = 0;
        return;
    };
    let stop = wanted.next_back().unwrap_or(begin).rows.end.min(end);
    want.first_row = want.first_row.max(begin.rows.start);
    want.rows = stop - want.first_row;
}

struct TimePage {
    rows: Range<u64>,
    min_us: i64,
    max_us: i64,
}

fn time_pages(parquet: &ArrowReaderMetadata) -> Vec<TimePage> {
    use parquet::file::page_index::column_index::ColumnIndexMetaData;
    let metadata = parquet.metadata();
    let (Some(offsets), Some(indexes)) = (metadata.offset_index(), metadata.column_index()) else {
        return Vec::new();
    };
    let mut pages = Vec::new();
    let mut start = 0u64;
    for (index, group) in metadata.row_groups().iter().enumerate() {
        let end = start + group.num_rows().unsigned_abs();
        let locations = offsets.get(index).and_then(|columns| columns.get(column::TIME));
        let limits = indexes.get(index).and_then(|columns| columns.get(column::TIME));
        if let (Some(locations), Some(ColumnIndexMetaData::INT64(limits))) = (locations, limits) {
            let firsts: Vec<u64> = locations
                .page_locations()
                .iter()
                .map(|page| start + page.first_row_index.unsigned_abs())
                .collect();
            for (page, first) in firsts.iter().enumerate() {
                pages.push(TimePage {
                    rows: *first..firsts.get(page + 1).copied().unwrap_or(end),
                    min_us: limits.min_value(page).copied().unwrap_or(i64::MIN),
                    max_us: limits.max_value(page).copied().unwrap_or(i64::MAX),
                });
            }
        }
        start = end;
    }
    pages
}
