//! A lane: the rows of one file that a scan wants, decoded piece by piece in the order of the file. What does not live
//! here: which rows those are (`view`, `pages`), and putting several lanes together (`merge_rows`).

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use tidemill_core::SourceId;

use super::columns::Decoded;
use super::directory::Entry;
use super::files::FileEntry;
use super::pages::{narrow, time_pages};
use super::read::{Files, Footer};
use super::rows::Rows;
use super::schema::column;
use crate::Error;
use crate::{Account, Columns};

/// Rows of a file that are decoded at once, where nobody says otherwise.
pub(crate) const BATCH_ROWS: usize = 4_096;

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

/// Streams wanted rows of one file, in the order of the file. The file is opened when its first row is wanted, and let go
/// with the last one: a scan over many files holds those that it is in the midst of.
pub(crate) struct Lane {
    files: Arc<Files>,
    pub(crate) file: Arc<FileEntry>,
    wants: VecDeque<Want>,
    /// Only rows in this time are given.
    from: i64,
    last: i64,
    pub(crate) columns: Columns,
    pub(crate) batch_rows: usize,
    reading: Option<Reading>,
    /// Rows of the first want that were given.
    given: u64,
    /// Rows of all wants that were not given yet.
    left: u64,
    pub(crate) held: Held,
}

/// What a lane holds while it is in the midst of its file.
struct Reading {
    footer: Arc<Footer>,
    reader: ParquetRecordBatchReader,
    batch: Decoded,
    /// Rows of `batch` that were given.
    used: usize,
}

impl Lane {
    /// `wants` must be in the order of the file. Reads every column, unless told otherwise.
    pub(crate) fn new(
        files: &Arc<Files>,
        file: &Arc<FileEntry>,
        footer: &Footer,
        mut wants: Vec<Want>,
        time: (i64, i64),
    ) -> Lane {
        let (from, last) = time;
        if wants.iter().any(|want| want.from < from || want.last > last) {
            // Wants of which only a part lies in time, by the pages of the time column.
            let pages = time_pages(&footer.parquet);
            wants.iter_mut().for_each(|want| narrow(&pages, want, from, last));
        }
        Lane {
            files: files.clone(),
            file: file.clone(),
            left: wants.iter().map(|want| want.rows).sum(),
            wants: wants.into(),
            from,
            last,
            columns: Columns::ALL,
            batch_rows: BATCH_ROWS,
            reading: None,
            given: 0,
            held: Held::default(),
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
            if self.reading.as_ref().is_none_or(|reading| reading.used >= reading.batch.rows) {
                self.decode()?;
            }
            let Some(reading) = &mut self.reading else { return Ok(None) };
            let end = reading.batch.rows.min(reading.used + missing);
            let rows = reading.batch.rows(reading.used, end).cut(self.from, self.last);
            let given = (end - reading.used) as u64;
            reading.used = end;
            self.given += given;
            self.left = self.left.saturating_sub(given);
            if self.left == 0 {
                self.reading = None;
                self.held.set(0)?;
            }
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
    }

    /// Sees to the next batch.
    fn decode(&mut self) -> Result<(), Error> {
        let (footer, mut reader) = match self.reading.take() {
            Some(reading) => (reading.footer, reading.reader),
            None => {
                let footer = self.files.footer(&self.file)?;
                self.held.set(footer.bytes())?;
                let reader = self.start(&footer).map_err(|source| footer.failed(source))?;
                (footer, reader)
            }
        };
        let ends = || ParquetError::EOF("it has fewer rows than its directory says".into());
        let batch = reader.next().ok_or_else(ends).and_then(|batch| batch.map_err(ParquetError::from));
        let batch = batch.map_err(|source| footer.failed(source))?;
        // The pages that the reader is in, the batch, and the rows that are made of it.
        self.held.set(
            footer.bytes() + footer.page_bytes(&projection(self.columns)) + 2 * batch.get_array_memory_size(),
        )?;
        let sources = &footer.directory.sources;
        let source_of = |name: &str| {
            let known = sources.iter().find(|(_, known)| known == name);
            known.map_or(SourceId(0), |(number, _)| SourceId(*number))
        };
        let decoded = Decoded::new(&batch, &source_of);
        let strange = || footer.failed(ParquetError::General("its columns are not those of samples".into()));
        let batch = decoded.ok_or_else(strange)?;
        self.reading = Some(Reading { footer, reader, batch, used: 0 });
        Ok(())
    }

    /// A reader of the rows of all wants, in order.
    fn start(&self, footer: &Footer) -> Result<ParquetRecordBatchReader, ParquetError> {
        let metadata = footer.parquet.metadata();
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
        let schema = footer.parquet.parquet_schema();
        let mask = ProjectionMask::roots(schema, filled(metadata, &groups, projection(self.columns)));
        let selection = RowSelection::from_consecutive_ranges(ranges.into_iter(), chosen_rows);
        ParquetRecordBatchReaderBuilder::new_with_metadata(footer.source.clone(), footer.parquet.clone())
            .with_row_groups(groups)
            .with_projection(mask)
            .with_row_selection(selection)
            .with_batch_size(self.batch_rows)
            .build()
    }
}

/// Bytes that are held, as an account is told of them.
#[derive(Default)]
pub(crate) struct Held {
    account: Option<Arc<dyn Account>>,
    bytes: usize,
}

impl Held {
    pub(crate) fn told_to(account: Option<&Arc<dyn Account>>) -> Held {
        Held { account: account.cloned(), bytes: 0 }
    }

    /// So many are held from now on.
    pub(crate) fn set(&mut self, bytes: usize) -> Result<(), Error> {
        if let Some(account) = &self.account {
            if bytes > self.bytes && !account.grow(bytes - self.bytes) {
                return Err(Error::Memory);
            }
            account.shrink(self.bytes.saturating_sub(bytes));
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(account) = &self.account {
            account.shrink(self.bytes);
        }
    }
}

/// Of these columns those that have a value in any of these row groups; most signals have neither texts nor bytes. The others
/// are those that rows may do without.
fn filled(metadata: &ParquetMetaData, groups: &[usize], mut columns: Vec<usize>) -> Vec<usize> {
    let is_empty = |group: &usize, column| {
        let group = metadata.row_group(*group);
        let nulls = group.column(column).statistics().and_then(|statistics| statistics.null_count_opt());
        nulls == Some(group.num_rows().unsigned_abs())
    };
    let may_miss = [column::FLOAT, column::TEXT, column::BYTES, column::RECEIVED];
    columns
        .retain(|column| !may_miss.contains(column) || !groups.iter().all(|group| is_empty(group, *column)));
    columns
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::World;
    use crate::schema::GROUP_ROWS;
    use tidemill_core::{BatchBuilder, Flags, Parcel, Quality, SignalId, Stamp, ValueRef};

    #[test]
    fn what_no_row_of_a_group_has_is_not_read() {
        let world = World::new(1, &["a", "b"]);
        let mut batch = BatchBuilder::new(SourceId(1), Flags::default());
        let mut push = |signal, time, value| {
            let signal = SignalId::new(signal).unwrap();
            batch.push(signal, Stamp::At(time), value, Quality::GOOD).unwrap();
        };
        (0..GROUP_ROWS as i64).for_each(|time| push(1, time, ValueRef::Float(time as f64 / 4.0)));
        push(2, 0, ValueRef::Text("on"));
        push(2, 1, ValueRef::Float(std::f64::consts::PI));
        world.write(Parcel::of_samples(batch.finish(0, Flags::default())));
        world.flush().unwrap();
        let file = world.store.lock().version.files[0].clone();
        let footer = world.store.files.footer(&file).unwrap();
        let columns = Columns { received: false, source: false, ..Columns::ALL };
        let read = |groups: &[usize]| filled(footer.parquet.metadata(), groups, projection(columns));
        let plain =
            [column::TIME, column::NANOS, column::KIND, column::SCALED, column::SCALE, column::QUALITY];
        assert_eq!(read(&[0]), plain, "decimals alone");
        assert!([column::FLOAT, column::TEXT].iter().all(|column| read(&[1]).contains(column)));
        assert!(read(&[0, 1]).contains(&column::TEXT) && !read(&[0, 1]).contains(&column::BYTES));
    }
}
