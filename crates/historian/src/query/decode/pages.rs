//! How much a Parquet file becomes when it is unpacked, from the headers of its pages, before a page is touched: a few
//! kilobytes of zstd can say "two gigabytes". The headers are Thrift structs in the compact protocol
//! (parquet-format, PageHeader: 1 type, 2 uncompressed size, 3 compressed size); all other fields are skipped.

use parquet::file::metadata::ParquetMetaData;
use tidemill_core::Problem;

use super::unreadable;

/// How deep structs in a page header nest at most (statistics in a data page header: 2).
const DEPTH_MAX: usize = 8;

/// The sum of what all pages become.
pub(super) fn unpacked_bytes(metadata: &ParquetMetaData, body: &[u8]) -> Result<usize, Problem> {
    let mut total = 0usize;
    for group in metadata.row_groups() {
        for column in group.columns() {
            let (start, len) = column.byte_range();
            let chunk = usize::try_from(start)
                .ok()
                .zip(usize::try_from(len).ok())
                .and_then(|(start, len)| body.get(start..start.checked_add(len)?))
                .ok_or_else(|| unreadable("a column lies outside the file"))?;
            total =
                total.saturating_add(of_chunk(chunk).ok_or_else(|| unreadable("a page header is broken"))?);
        }
    }
    Ok(total)
}

/// None where a header cannot be read.
fn of_chunk(chunk: &[u8]) -> Option<usize> {
    let mut total = 0usize;
    let mut rest = chunk;
    while !rest.is_empty() {
        let mut header = Compact { rest };
        let (unpacked, packed) = header.page_sizes()?;
        total = total.saturating_add(usize::try_from(unpacked).ok()?);
        rest = header.rest.get(usize::try_from(packed).ok()?..)?;
    }
    Some(total)
}

/// Thrift's compact protocol, as much as skipping needs.
struct Compact<'a> {
    rest: &'a [u8],
}

impl Compact<'_> {
    fn page_sizes(&mut self) -> Option<(i64, i64)> {
        let (mut unpacked, mut packed) = (None, None);
        let mut field = 0i64;
        while let Some((id, kind)) = self.field(field)? {
            field = id;
            match (id, kind) {
                (2, 5) => unpacked = Some(self.zigzag()?),
                (3, 5) => packed = Some(self.zigzag()?),
                (_, kind) => self.skip(kind, 0)?,
            }
        }
        Some((unpacked?, packed?))
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
