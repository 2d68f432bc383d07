//! Puts the rows of one signal together from several places: by time, then arrival; identical samples once; a row that
//! replaces takes the place of what arrived before it at its time. One mechanism for scans, flushes and merges.
//! What does not live here: where the rows come from, and where they go.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use super::chunk::Chunk;
use super::lane::Lane;
use super::rows::Rows;
use crate::Error;

/// Rows that are given at once where places overlap.
const BLOCK_ROWS: usize = 4_096;

/// A place that has rows of the signal.
pub(crate) struct Place {
    pub(crate) min: i64,
    pub(crate) max: i64,
    pub(crate) from: From,
    /// Its rows are part of the result. In a flush those of files are not: they are there already.
    pub(crate) emit: bool,
    /// It has no time twice, or its rows are exact as they stand.
    pub(crate) exact: bool,
}

/// Where rows come from.
pub(crate) enum From {
    /// The first want of this lane.
    Lane(usize),
    Chunk(Arc<Chunk>),
    /// Sorted by time.
    Rows(Rows),
}

/// A row that a later one replaced, or that a deletion took.
#[derive(Debug)]
pub(crate) struct Killed {
    /// The lane it stood in; none for the buffer.
    pub(crate) lane: Option<usize>,
    /// The one row.
    pub(crate) old: Rows,
    /// The row that took its place.
    pub(crate) by: Rows,
}

/// Streams the rows of one signal.
pub(crate) struct Merge {
    /// Sets of places that overlap each other, by time.
    clusters: VecDeque<Vec<Place>>,
    cursors: Vec<Cursor>,
    heap: BinaryHeap<Reverse<(i64, usize)>>,
    /// Only rows in this time count.
    from: i64,
    last: i64,
    /// Where replaced rows are told, if anybody asks.
    pub(crate) killed: Option<Vec<Killed>>,
    /// Times (first, last) whose rows in files count as gone.
    pub(crate) gone: Vec<(i64, i64)>,
}

struct Cursor {
    from: Option<From>,
    lane: Option<usize>,
    emit: bool,
    exact: bool,
    block: Rows,
    at: usize,
}

impl Cursor {
    fn time(&self) -> Option<i64> {
        self.block.time.get(self.at).copied()
    }

    /// Sees to it that there is a row at hand, unless there is none left.
    fn fill(&mut self, lanes: &mut [Lane], time: (i64, i64), gone: &[(i64, i64)]) -> Result<bool, Error> {
        while self.at >= self.block.len() {
            (self.at, self.block) = (0, Rows::default());
            self.block = match self.from.take() {
                None => return Ok(false),
                Some(From::Rows(rows)) => rows.cut(time.0, time.1),
                Some(From::Chunk(chunk)) => chunk.open().cut(time.0, time.1),
                Some(From::Lane(lane)) => match lanes.get_mut(lane).map(Lane::next).transpose()?.flatten() {
                    None => return Ok(false),
                    Some(rows) => {
                        self.from = Some(From::Lane(lane));
                        gone.iter().fold(rows, |rows, (from, last)| rows.without(*from, *last))
                    }
                },
            };
        }
        Ok(true)
    }
}

impl Merge {
    /// `places` in order of arrival.
    pub(crate) fn new(places: Vec<Place>, from: i64, last: i64) -> Merge {
        let mut order: Vec<(i64, usize)> =
            places.iter().enumerate().map(|(at, place)| (place.min, at)).collect();
        order.sort_unstable();
        let mut clusters: VecDeque<(i64, Vec<usize>)> = VecDeque::new();
        for (min, at) in order {
            let max = places.get(at).map_or(i64::MIN, |place| place.max);
            match clusters.back_mut() {
                Some((end, cluster)) if *end >= min => {
                    *end = max.max(*end);
                    cluster.push(at);
                }
                _ => clusters.push_back((max, vec![at])),
            }
        }
        let mut places: Vec<Option<Place>> = places.into_iter().map(Some).collect();
        let clusters = clusters.into_iter().map(|(_, mut cluster)| {
            cluster.sort_unstable(); // by arrival again
            cluster.into_iter().filter_map(|at| places.get_mut(at)?.take()).collect()
        });
        let clusters = clusters.collect();
        Merge {
            clusters,
            cursors: Vec::new(),
            heap: BinaryHeap::new(),
            from,
            last,
            killed: None,
            gone: Vec::new(),
        }
    }

    /// The next rows, by time; none at the end.
    pub(crate) fn next(&mut self, lanes: &mut [Lane]) -> Result<Option<Rows>, Error> {
        loop {
            if self.heap.is_empty() && !self.begin(lanes)? {
                return Ok(None);
            }
            if let [only] = &mut *self.cursors
                && only.exact
                && only.emit
            {
                self.heap.clear();
                if only.fill(lanes, (self.from, self.last), &self.gone)? {
                    let block = std::mem::take(&mut only.block);
                    let rows = if only.at == 0 { block } else { block.slice(only.at..block.len()) };
                    only.at = 0;
                    self.heap.push(Reverse((0, 0))); // the cluster goes on
                    return Ok(Some(rows));
                }
                continue;
            }
            let mut out = Rows::default();
            while out.len() < BLOCK_ROWS && !self.heap.is_empty() {
                self.step(lanes, &mut out)?;
            }
            if !out.is_empty() {
                return Ok(Some(out));
            }
        }
    }

    /// Begins the next cluster.
    fn begin(&mut self, lanes: &mut [Lane]) -> Result<bool, Error> {
        self.cursors.clear();
        let Some(cluster) = self.clusters.pop_front() else { return Ok(false) };
        for place in cluster {
            let lane = match &place.from {
                From::Lane(lane) => Some(*lane),
                _ => None,
            };
            let (emit, exact) = (place.emit, place.exact);
            self.cursors.push(Cursor {
                from: Some(place.from),
                lane,
                emit,
                exact,
                block: Rows::default(),
                at: 0,
            });
        }
        let time = (self.from, self.last);
        for (index, cursor) in self.cursors.iter_mut().enumerate() {
            if cursor.fill(lanes, time, &self.gone)?
                && let Some(time) = cursor.time()
            {
                self.heap.push(Reverse((time, index)));
            }
        }
        Ok(true)
    }

    fn step(&mut self, lanes: &mut [Lane], out: &mut Rows) -> Result<(), Error> {
        let Some(Reverse((time, index))) = self.heap.pop() else { return Ok(()) };
        let next = self.heap.peek().map_or(i64::MAX, |Reverse((time, _))| *time);
        let limits = (self.from, self.last);
        let Some(cursor) = self.cursors.get_mut(index) else { return Ok(()) };
        if cursor.exact && time < next {
            // Alone up to the next one's time: in one piece.
            let rest = cursor.block.time.get(cursor.at..).unwrap_or_default();
            let count = if next == i64::MAX { rest.len() } else { rest.partition_point(|time| *time < next) };
            if cursor.emit {
                out.extend(&cursor.block, cursor.at..cursor.at + count);
            }
            cursor.at += count;
        } else {
            self.heap.push(Reverse((time, index)));
            return self.group(time, lanes, out);
        }
        if cursor.fill(lanes, limits, &self.gone)?
            && let Some(time) = cursor.time()
        {
            self.heap.push(Reverse((time, index)));
        }
        Ok(())
    }

    /// All rows of one time, in order of arrival.
    fn group(&mut self, time: i64, lanes: &mut [Lane], out: &mut Rows) -> Result<(), Error> {
        let mut group = Rows::default();
        let mut origins: Vec<(Option<usize>, bool)> = Vec::new();
        let limits = (self.from, self.last);
        while let Some(Reverse((at, index))) = self.heap.peek().copied() {
            if at != time {
                break;
            }
            self.heap.pop();
            let Some(cursor) = self.cursors.get_mut(index) else { continue };
            while cursor.time() == Some(time) {
                group.push(&cursor.block.row(cursor.at));
                origins.push((cursor.lane, cursor.emit));
                cursor.at += 1;
                cursor.fill(lanes, limits, &self.gone)?;
            }
            if let Some(time) = cursor.time() {
                self.heap.push(Reverse((time, index)));
            }
        }
        for row in fold(&group, &origins, self.killed.as_mut()) {
            if origins.get(row).is_some_and(|(_, emit)| *emit) {
                out.push(&group.row(row));
            }
        }
        Ok(())
    }
}

/// Which rows of one time are left, by the rules of this file.
fn fold(group: &Rows, origins: &[(Option<usize>, bool)], mut killed: Option<&mut Vec<Killed>>) -> Vec<usize> {
    let mut left: Vec<usize> = Vec::with_capacity(group.len());
    for row in 0..group.len() {
        let now = group.row(row);
        let known = left.iter().any(|other| group.row(*other).same_as(&now));
        if now.replace && !(known && left.len() == 1) {
            for other in left.drain(..) {
                if let Some(killed) = &mut killed {
                    let lane = origins.get(other).and_then(|(lane, _)| *lane);
                    let (old, by) = (group.slice(other..other + 1), group.slice(row..row + 1));
                    killed.push(Killed { lane, old, by });
                }
            }
            left.push(row);
        } else if !known {
            left.push(row);
        }
    }
    left
}
