//! A lane: the rows of one file that a scan wants, decoded piece by piece in the order of the file. What does not live
//! here: which rows those are (`view`, `pages`), and putting several lanes together (`merge_rows`).

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::errors::ParquetError;
use tidemill_core::SourceId;

use super::columns::Decoded;
use super::directory::Entry;
use super::files::FileEntry;
use super::pages::{narrow, time_pages};
use super::read::Footer;
use super::rows::Rows;
use super::schema::column;
use crate::Columns;
use crate::Error;

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
