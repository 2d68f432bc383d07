//! The pages of a Parquet file: how much they become when they are unpacked, from their headers, before one is touched
//! (a few kilobytes of zstd can say "two gigabytes"); and which of them is damaged. The headers are Thrift structs in the compact protocol
//! (parquet-format, PageHeader: 1 type, 2 uncompressed size, 3 compressed size, 5 and 8 the heads of data pages with
//! their encoding); all other fields are skipped.

use arrow::error::ArrowError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use tidemill_core::Problem;

use super::{unreadable, wrong};

/// How deep structs in a page header nest at most (statistics in a data page header: 2).
const DEPTH_MAX: usize = 8;

/// DELTA_BYTE_ARRAY: a text is spelled as what it shares with the one before, and the rest.
const SHARED: i64 = 7;

/// What pages become.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unpacked {
    /// All of them.
    pub(super) total_bytes: usize,
    /// Those of the row group in which they are most.
    pub(super) group_bytes: usize,
    /// The largest whose texts share bytes: each of them may become as long as the page. 0 where there is none.
    pub(super) shared_page_bytes: usize,
}

pub(super) fn unpacked(metadata: &ParquetMetaData, body: &[u8]) -> Result<Unpacked, Problem> {
    let mut all = Unpacked::default();
    for group in metadata.row_groups() {
        let before_bytes = all.total_bytes;
        for column in group.columns() {
            let (start, len) = column.byte_range();
            let chunk = usize::try_from(start)
                .ok()
                .zip(usize::try_from(len).ok())
                .and_then(|(start, len)| body.get(start..start.checked_add(len)?))
                .ok_or_else(|| unreadable("a column lies outside the file"))?;
            all.add_chunk(chunk).ok_or_else(|| unreadable("a page header is broken"))?;
        }
        all.group_bytes = all.group_bytes.max(all.total_bytes.saturating_sub(before_bytes));
    }
    Ok(all)
}

/// Why rows cannot be read, with the first page that is damaged.
pub(super) fn failed(error: &ArrowError, file: impl ChunkReader + 'static) -> Problem {
    match damaged(file) {
        Some(place) => unreadable(&format!("{place}: {error}")),
        None => wrong(error),
    }
}

fn damaged(file: impl ChunkReader + 'static) -> Option<String> {
    let reader = SerializedFileReader::new(file).ok()?;
    for (number, group) in reader.metadata().row_groups().iter().enumerate() {
        let pages = reader.get_row_group(number).ok()?;
        for (column, chunk) in group.columns().iter().enumerate() {
            let page = pages.get_column_page_reader(column).ok()?.position(|page| page.is_err());
            if let Some(page) = page {
                let (name, group, page) = (chunk.column_path().string(), number + 1, page + 1);
                return Some(format!("page {page} of the column '{name:.80}' in row group {group}"));
            }
        }
    }
    None
}

impl Unpacked {
    /// None where a header cannot be read.
    fn add_chunk(&mut self, chunk: &[u8]) -> Option<()> {
        let mut rest = chunk;
        while !rest.is_empty() {
            let mut header = Compact { rest };
            let page = header.page()?;
            let page_bytes = usize::try_from(page.unpacked).ok()?;
            self.total_bytes = self.total_bytes.saturating_add(page_bytes);
            if page.encoding == Some(SHARED) {
                self.shared_page_bytes = self.shared_page_bytes.max(page_bytes);
            }
            rest = header.rest.get(usize::try_from(page.packed).ok()?..)?;
        }
        Some(())
    }
}

struct Page {
    unpacked: i64,
    packed: i64,
    encoding: Option<i64>,
}

/// Thrift's compact protocol, as much as skipping needs.
struct Compact<'a> {
    rest: &'a [u8],
}

impl Compact<'_> {
    fn page(&mut self) -> Option<Page> {
        let (mut unpacked, mut packed, mut encoding) = (None, None, None);
        let mut field = 0i64;
        while let Some((id, kind)) = self.field(field)? {
            field = id;
            match (id, kind) {
                (2, 5) => unpacked = Some(self.zigzag()?),
                (3, 5) => packed = Some(self.zigzag()?),
                (5, 12) => encoding = self.number_in(2)?,
                (8, 12) => encoding = self.number_in(4)?,
                (_, kind) => self.skip(kind, 0)?,
            }
        }
        Some(Page { unpacked: unpacked?, packed: packed?, encoding })
    }

    /// A 32-bit number among the fields of a struct.
    fn number_in(&mut self, wanted: i64) -> Option<Option<i64>> {
        let mut found = None;
        let mut field = 0;
        while let Some((id, kind)) = self.field(field)? {
            field = id;
            match (id, kind) {
                (id, 5) if id == wanted => found = Some(self.zigzag()?),
                (_, kind) => self.skip(kind, 1)?,
            }
        }
        Some(found)
    }

    /// The next field's id and type; an inner none at the struct's end.
    fn field(&mut self, before: i64) -> Option<Option<(i64, u8)>> {
        let head = self.byte()?;
        if head == 0 {
            return Some(None);
        }
        let id = match head >> 4 {
            0 => self.zigzag()?,
            delta => before.checked_add(i64::from(delta))?,
        };
        Some(Some((id, head & 0x0F)))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        match kind {
            1 | 2 => {}
            3 => drop(self.byte()?),
            4..=6 => drop(self.varint()?),
            7 => self.jump(8)?,
            8 => {
                let len = self.varint()?;
                self.jump(usize::try_from(len).ok()?)?;
            }
            9 | 10 => self.skip_list(depth)?,
            12 => {
                let mut field = 0;
                while let Some((id, kind)) = self.field(field)? {
                    field = id;
                    self.skip(kind, depth + 1)?;
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn skip_list(&mut self, depth: usize) -> Option<()> {
        let head = self.byte()?;
        let len = match head >> 4 {
            15 => self.varint()?,
            len => u64::from(len),
        };
        for _ in 0..len {
            match head & 0x0F {
                // Truth values in a list take a byte each.
                1 | 2 => drop(self.byte()?),
                kind => self.skip(kind, depth + 1)?,
            }
        }
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn jump(&mut self, len: usize) -> Option<()> {
        self.rest = self.rest.get(len..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }
}
