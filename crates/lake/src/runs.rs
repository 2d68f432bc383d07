//! Columns that hold one value for many rows, kept and encoded as runs: what they cost grows with the changes, not with the
//! rows. A chunk is a dictionary and pages of keys (Apache Parquet, Encodings.md: "Dictionary Encoding", "Run Length Encoding /
//! Bit-Packing Hybrid"; data pages of version 1). What does not live here: which columns these are (`columns`), and the others.

use std::collections::HashMap;
use std::hash::Hash;

use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding, PageType, Type, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats,
};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use super::schema::{PAGE_ROWS, ZSTD_LEVEL};

/// A chunk of fewer bytes is not compressed: opening a compressed page costs more than reading so little.
const PLAIN_BYTES_MAX: usize = 2_048;
/// The key of no value.
const NONE: u32 = u32::MAX;

/// Values with the number of rows that each holds for, in the order of the rows; None where a row has no value.
pub(crate) struct Runs<T> {
    runs: Vec<(Option<T>, u32)>,
}

impl<T> Default for Runs<T> {
    fn default() -> Self {
        Runs { runs: Vec::new() }
    }
}

impl<T: Clone + Eq> Runs<T> {
    /// Adds a value of so many rows.
    pub(crate) fn push(&mut self, value: Option<T>, rows: usize) {
        match self.runs.last_mut() {
            _ if rows == 0 => {}
            Some((last, count)) if *last == value => *count += rows as u32,
            _ => self.runs.push((value, rows as u32)),
        }
    }

    /// Adds a value for each row.
    pub(crate) fn extend(&mut self, values: impl IntoIterator<Item = T>) {
        let mut values = values.into_iter();
        let Some(mut current) = values.next() else { return };
        let mut rows = 1;
        for value in values {
            if value == current {
                rows += 1;
            } else {
                self.push(Some(std::mem::replace(&mut current, value)), std::mem::replace(&mut rows, 1));
            }
        }
        self.push(Some(current), rows);
    }

    /// Takes the first so many rows away.
    fn take(&mut self, rows: usize) -> Vec<(Option<T>, u32)> {
        let mut left = rows as u32;
        let whole = self.runs.iter().take_while(|(_, count)| {
            let fits = *count <= left;
            left -= if fits { *count } else { 0 };
            fits
        });
        let whole = whole.count();
        let mut taken: Vec<_> = self.runs.drain(..whole).collect();
        if left > 0
            && let Some((value, count)) = self.runs.first_mut()
        {
            taken.push((value.clone(), left));
            *count -= left;
        }
        taken
    }
}

/// Encodes the first rows of a column. `bytes_of` gives a value as PLAIN has it, a name without its length; the values' order is that of
/// the column. Gives the chunk and what a file says of it.
pub(crate) fn chunk<T: Clone + Ord + Hash>(
    column: &ColumnDescPtr,
    runs: &mut Runs<T>,
    rows: usize,
    statistics: bool,
    mut bytes_of: impl FnMut(&T) -> Vec<u8>,
    compressor: &mut Compressor<'static>,
) -> Result<(Bytes, ColumnCloseResult), ParquetError> {
    let runs = runs.take(rows);
    let mut keys = HashMap::new();
    let mut words = Vec::new();
    let mut dictionary = Vec::new();
    let keyed: Vec<(u32, u32)> = runs
        .iter()
        .map(|(value, count)| {
            let Some(value) = value else { return (NONE, *count) };
            let key = *keys.entry(value).or_insert_with(|| {
                let word = bytes_of(value);
                if column.physical_type() == Type::BYTE_ARRAY {
                    dictionary.extend_from_slice(&(word.len() as u32).to_le_bytes());
                }
                dictionary.extend_from_slice(&word);
                words.push((value, word));
                words.len() as u32 - 1
            });
            (key, *count)
        })
        .collect();
    let pages = pages(&keyed, words.len(), column.max_def_level() > 0);

    let mut sink = TrackedWrite::new(Vec::new());
    let mut writer = SerializedPageWriter::new(&mut sink);
    let small = dictionary.len() + pages.iter().map(|page| page.body.len()).sum::<usize>() < PLAIN_BYTES_MAX;
    let mut packed = |body: Vec<u8>| -> Result<(Bytes, usize), ParquetError> {
        let length = body.len();
        let body = if small { body } else { compressor.compress(&body)? };
        Ok((body.into(), length))
    };
    let (buf, length) = packed(dictionary)?;
    let page = Page::DictionaryPage {
        buf,
        num_values: words.len() as u32,
        encoding: Encoding::PLAIN,
        is_sorted: false,
    };
    let spec = writer.write_page(CompressedPage::new(page, length))?;
    let (mut compressed, mut uncompressed) = (spec.compressed_size, spec.uncompressed_size);
    let data_offset = spec.bytes_written as i64;

    let mut offsets = OffsetIndexBuilder::new();
    let mut limits = ColumnIndexBuilder::new(column.physical_type());
    let (mut nulls, mut before, mut ascending) = (0, None, true);
    let count = pages.len() as i32;
    for page in pages {
        let word = |key: Option<u32>| key.and_then(|key| words.get(key as usize));
        let by_value = |key: &u32| words.get(*key as usize).map(|(value, _)| *value);
        let min = word(page.keys.iter().copied().min_by_key(by_value));
        let max = word(page.keys.iter().copied().max_by_key(by_value));
        let bytes = |word: Option<&(&T, Vec<u8>)>| word.map(|(_, bytes)| bytes.clone()).unwrap_or_default();
        limits.append(min.is_none(), bytes(min), bytes(max), page.nulls);
        ascending &= before <= min.map(|(value, _)| *value);
        before = max.map(|(value, _)| *value);
        nulls += page.nulls;
        offsets.append_row_count(i64::from(page.rows));
        let (buf, length) = packed(page.body)?;
        let spec = writer.write_page(CompressedPage::new(
            Page::DataPage {
                buf,
                num_values: page.rows,
                encoding: Encoding::RLE_DICTIONARY,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            },
            length,
        ))?;
        offsets.append_offset_and_size(spec.offset as i64, spec.compressed_size as i32);
        (compressed, uncompressed) =
            (compressed + spec.compressed_size, uncompressed + spec.uncompressed_size);
    }
    if ascending && nulls == 0 {
        limits.set_boundary_order(BoundaryOrder::ASCENDING);
    }

    let stats = |page_type, encoding, count| PageEncodingStats { page_type, encoding, count };
    let level = ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default();
    let mut metadata = ColumnChunkMetaData::builder(column.clone())
        .set_encodings(vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY])
        .set_compression(if small { Compression::UNCOMPRESSED } else { Compression::ZSTD(level) })
        .set_num_values(rows as i64)
        .set_total_compressed_size(compressed as i64)
        .set_total_uncompressed_size(uncompressed as i64)
        .set_dictionary_page_offset(Some(0))
        .set_data_page_offset(data_offset)
        .set_page_encoding_stats(vec![
            stats(PageType::DICTIONARY_PAGE, Encoding::PLAIN, 1),
            stats(PageType::DATA_PAGE, Encoding::RLE_DICTIONARY, count),
        ]);
    if statistics {
        let least = words.iter().min_by_key(|(value, _)| *value).map(|(_, bytes)| bytes.as_slice());
        let most = words.iter().max_by_key(|(value, _)| *value).map(|(_, bytes)| bytes.as_slice());
        metadata =
            metadata.set_statistics(limits_of(column.physical_type(), least, most, nulls.unsigned_abs()));
    }
    let close = ColumnCloseResult {
        bytes_written: compressed as u64,
        rows_written: rows as u64,
        metadata: metadata.build()?,
        bloom_filter: None,
        column_index: if statistics { Some(limits.build()?) } else { None },
        offset_index: Some(offsets.build()),
    };
    Ok((sink.into_inner()?.into(), close))
}

fn limits_of(kind: Type, least: Option<&[u8]>, most: Option<&[u8]>, nulls: u64) -> Statistics {
    let long =
        |bytes: Option<&[u8]>| bytes.and_then(|bytes| Some(i64::from_le_bytes(bytes.try_into().ok()?)));
    let int = |bytes: Option<&[u8]>| bytes.and_then(|bytes| Some(i32::from_le_bytes(bytes.try_into().ok()?)));
    let text = |bytes: Option<&[u8]>| bytes.map(ByteArray::from);
    match kind {
        Type::INT64 => Statistics::int64(long(least), long(most), None, Some(nulls), false),
        Type::INT32 => Statistics::int32(int(least), int(most), None, Some(nulls), false),
        _ => Statistics::byte_array(text(least), text(most), None, Some(nulls), false),
    }
}

/// A data page before it is compressed.
struct Encoded {
    rows: u32,
    nulls: i64,
    /// Of the runs, without those of no value.
    keys: Vec<u32>,
    body: Vec<u8>,
}

/// Cuts runs into pages.
fn pages(runs: &[(u32, u32)], words: usize, nullable: bool) -> Vec<Encoded> {
    let width = u32::BITS - (words.saturating_sub(1) as u32).leading_zeros();
    let mut pages = Vec::new();
    let mut runs = runs.iter().copied();
    let mut open = runs.next();
    while open.is_some() {
        let (mut levels, mut values) = (Hybrid::new(1), Hybrid::new(width));
        let (mut rows, mut nulls, mut keys) = (0, 0, Vec::new());
        while let Some((key, count)) = open
            && rows < PAGE_ROWS as u32
        {
            let now = count.min(PAGE_ROWS as u32 - rows);
            rows += now;
            levels.push(u32::from(key != NONE), now as usize);
            if key == NONE {
                nulls += i64::from(now);
            } else {
                values.push(key, now as usize);
                keys.push(key);
            }
            open = if now < count { Some((key, count - now)) } else { runs.next() };
        }
        let mut body = Vec::new();
        if nullable {
            let levels = levels.finish();
            body.extend_from_slice(&(levels.len() as u32).to_le_bytes());
            body.extend_from_slice(&levels);
        }
        body.push(width as u8);
        body.append(&mut values.finish());
        pages.push(Encoded { rows, nulls, keys, body });
    }
    pages
}

/// The hybrid of runs and packed values: what repeats eight times or more is a run, other values are packed by eights.
struct Hybrid {
    /// Bits of a value.
    width: u32,
    bytes: Vec<u8>,
    /// Values that wait to be packed.
    waiting: Vec<u32>,
}

impl Hybrid {
    fn new(width: u32) -> Hybrid {
        Hybrid { width, bytes: Vec::new(), waiting: Vec::new() }
    }

    fn push(&mut self, value: u32, rows: usize) {
        // Packed values are a multiple of eight, so that a run may begin behind them.
        let fill = (self.waiting.len().next_multiple_of(8) - self.waiting.len()).min(rows);
        let rest = rows - fill;
        let packed = if rest < 8 { rows } else { fill };
        self.waiting.resize(self.waiting.len() + packed, value);
        if rest >= 8 {
            self.pack();
            self.header((rest as u64) << 1);
            self.bytes.extend(value.to_le_bytes().iter().take(self.width.div_ceil(8) as usize));
        }
    }

    fn pack(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        self.waiting.resize(self.waiting.len().next_multiple_of(8), 0);
        self.header(((self.waiting.len() as u64 / 8) << 1) | 1);
        let (mut bits, mut filled) = (0u64, 0);
        for value in self.waiting.drain(..) {
            bits |= u64::from(value) << filled;
            filled += self.width;
            while filled >= 8 {
                self.bytes.push(bits as u8);
                bits >>= 8;
                filled -= 8;
            }
        }
    }

    /// ULEB128.
    fn header(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    fn finish(mut self) -> Vec<u8> {
        self.pack();
        self.bytes
    }
}

#[cfg(test)]
mod tests;
