//! The open piece of a signal: the rows that are not sealed. Of most signals there are a few that are alike, and with a column
//! for each property the columns would be several times larger than what is in them. What does not live here: when a piece is sealed.

use std::ops::Range;

use tidemill_core::{Column, Kind, Quality, SourceId};

use crate::rows::{ReceivedAt, Rows, at, push};

/// So many rows are kept as [`Few`].
const FEW_ROWS_MAX: usize = 8;

/// Rows of one signal in order of arrival.
pub(super) enum Open {
    Few(Few),
    Many(Box<Rows>),
}

/// Rows that differ in time, value and receipt alone, none of them with text.
#[derive(Default)]
pub(super) struct Few {
    rows: Box<[FewRow]>,
    like: Like,
}

#[derive(Clone, Copy)]
struct FewRow {
    time: i64,
    bits: u64,
    received: Option<ReceivedAt>,
}

/// What few rows have in common.
#[derive(Clone, Copy, Default, PartialEq)]
struct Like {
    kind: Kind,
    quality: Quality,
    source: SourceId,
    replace: bool,
}

impl Like {
    fn of(rows: &Rows, row: usize) -> Like {
        Like {
            kind: at(&rows.kind, row),
            quality: at(&rows.quality, row),
            source: at(&rows.source, row),
            replace: at(&rows.replace, row),
        }
    }
}

impl Default for Open {
    fn default() -> Open {
        Open::Few(Few::default())
    }
}

impl Open {
    pub(super) fn len(&self) -> usize {
        match self {
            Open::Few(few) => few.rows.len(),
            Open::Many(rows) => rows.len(),
        }
    }

    /// Adds the rows `range` of others.
    pub(super) fn extend(&mut self, other: &Rows, range: Range<usize>) {
        match self {
            Open::Few(few) if few.takes(other, range.clone()) => few.extend(other, range),
            _ => self.many().extend(other, range),
        }
    }

    /// The rows, to be sealed or for more of them.
    pub(super) fn many(&mut self) -> &mut Rows {
        if let Open::Few(few) = self {
            *self = Open::Many(Box::new(few.rows(few.rows.len())));
        }
        match self {
            Open::Many(rows) => rows,
            Open::Few(_) => unreachable!("it is made of many above"),
        }
    }

    /// The first so many of the rows.
    pub(super) fn first(&self, count: usize) -> Rows {
        match self {
            Open::Few(few) => few.rows(count),
            Open::Many(rows) if count >= rows.len() => Rows::clone(rows),
            Open::Many(rows) => rows.slice(0..count),
        }
    }

    /// How much memory it takes beside itself, with the room that is kept for more.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Open::Few(few) => size_of_val(&*few.rows),
            Open::Many(rows) => size_of::<Rows>() + rows.bytes(),
        }
    }
}

impl Few {
    fn takes(&self, other: &Rows, range: Range<usize>) -> bool {
        if range.is_empty() || self.rows.len() + range.len() > FEW_ROWS_MAX {
            return false;
        }
        let like = if self.rows.is_empty() { Like::of(other, range.start) } else { self.like };
        !like.kind.is_heap()
            && range.end <= other.len()
            && range.into_iter().all(|row| Like::of(other, row) == like)
    }

    fn extend(&mut self, other: &Rows, range: Range<usize>) {
        if self.rows.is_empty() {
            self.like = Like::of(other, range.start);
        }
        let mut rows = std::mem::take(&mut self.rows).into_vec();
        // Room for these alone: what comes next may come in an hour.
        rows.reserve_exact(range.len());
        rows.extend(range.map(|row| {
            let row = other.row(row);
            FewRow { time: row.time, bits: row.bits, received: row.received }
        }));
        self.rows = rows.into();
    }

    fn rows(&self, count: usize) -> Rows {
        let few = self.rows.get(..count).unwrap_or(&self.rows);
        let Like { kind, quality, source, replace } = self.like;
        let mut rows = Rows {
            time: few.iter().map(|row| row.time).collect(),
            kind: Column::Same(kind),
            bits: few.iter().map(|row| row.bits).collect(),
            quality: Column::Same(quality),
            source: Column::Same(source),
            replace: Column::Same(replace),
            ..Rows::default()
        };
        for (before, row) in few.iter().enumerate() {
            push(&mut rows.received, row.received, before);
        }
        rows
    }
}

#[cfg(test)]
mod tests;
