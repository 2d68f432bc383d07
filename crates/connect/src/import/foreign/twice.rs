//! Rows of InfluxDB that are alike in their name, time and tags, and yet differ: it keeps one point of such, so that a tag of
//! theirs is missing, or stands among the values as a number. Looked for in room that does not grow with the file.

use std::hash::{BuildHasher as _, Hash};

use hashbrown::{DefaultHashBuilder, HashMap, HashSet};

use super::super::cell;
use super::super::watch::Meant;

/// So many points of the beginning of a file are remembered, and so many cells of them.
const POINTS_MAX: usize = 4_096;
const CELLS_MAX: usize = 1 << 19;
/// A column of more values is no tag that is proposed.
const VALUES_MAX: usize = 1_000;

/// What is known of the columns of a file, and of rows that cannot both be points.
#[derive(Default)]
pub(super) struct Seen {
    /// All columns, by which `--key` may name one.
    pub(super) names: Vec<String>,
    pub(super) missing: Option<Missing>,
}

/// Rows of which a tag is missing.
pub(super) struct Missing {
    /// In which they differ, the likely tags first.
    pub(super) columns: Vec<String>,
    /// The column that is likely a tag.
    pub(super) key: Option<String>,
    /// Where two of them stand.
    pub(super) places: (u64, u64),
}

/// Adds what only the other has: rows of one point may each have some of its cells.
fn complete(row: &mut Row, other: &Row) {
    if row.len() < other.len() {
        row.resize(other.len(), None);
    }
    row.iter_mut().zip(other).for_each(|(own, other)| *own = own.or(*other));
}

impl Seen {
    /// The number of a column.
    pub(super) fn column(&mut self, name: &str) -> usize {
        self.names.iter().position(|own| own == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        })
    }
}

/// Points by what is their own.
#[derive(Default)]
pub(super) struct Twice {
    points: HashMap<u64, Row>,
    remembered: usize,
    last: Option<(u64, Row)>,
    columns: Vec<Column>,
    /// How many rows differ from another of the same point, and where the first two stand.
    pairs: u64,
    places: Option<(u64, u64)>,
    hashes: DefaultHashBuilder,
}

/// What is known of a point: its cells, each with the place where it stands. An empty one has none.
type Row = Vec<Option<(u64, u64)>>;

#[derive(Clone, Default)]
struct Column {
    filled: usize,
    /// In how many pairs it differs: a tag that is missing does in all.
    differs: u64,
    /// Whether it holds what is measured or counted on: a fraction, or a boolean.
    is_value: bool,
    values: HashSet<u64>,
}

impl Twice {
    pub(super) fn hash(&self, own: impl Hash) -> u64 {
        self.hashes.hash_one(own)
    }

    /// Adds a row by what is its own, and its other cells with the numbers of their columns.
    pub(super) fn add<'a>(&mut self, place: u64, own: u64, cells: impl Iterator<Item = (usize, &'a str)>) {
        let mut row = Row::new();
        for (at, text) in cells.filter(|(_, text)| !text.is_empty()) {
            if self.columns.len() <= at {
                self.columns.resize(at + 1, Column::default());
            }
            if row.len() <= at {
                row.resize(at + 1, None);
            }
            let hash = self.hashes.hash_one(Meant::of(text));
            if let (Some(column), Some(cell)) = (self.columns.get_mut(at), row.get_mut(at)) {
                *cell = Some((hash, place));
                column.filled += 1;
                let is_fraction = text.parse::<i64>().is_err() && text.parse::<f64>().is_ok();
                column.is_value |= is_fraction || cell::boolean(text).is_some();
                if column.values.len() <= VALUES_MAX && !column.is_value {
                    column.values.insert(hash);
                }
            }
        }
        let before = self.last.take().filter(|(last, _)| *last == own).map(|(_, row)| row);
        if let Some(other) = before.or_else(|| self.points.get(&own).cloned()) {
            let mut first = None;
            for (column, (one, two)) in self.columns.iter_mut().zip(other.iter().zip(&row)) {
                // What only one of them has is no contradiction.
                if let (Some((one, at)), Some((two, _))) = (one, two)
                    && one != two
                {
                    column.differs += 1;
                    first = first.or(Some((*at, place)));
                }
            }
            self.pairs += u64::from(first.is_some());
            self.places = self.places.or(first);
            complete(&mut row, &other);
        }
        if let Some(point) = self.points.get_mut(&own) {
            self.remembered += row.len().saturating_sub(point.len());
            complete(point, &row);
        } else if self.points.len() < POINTS_MAX && self.remembered < CELLS_MAX {
            self.remembered += row.len();
            self.points.insert(own, row.clone());
        }
        self.last = Some((own, row));
    }

    /// What is missing, by the names of the columns.
    pub(super) fn missing(&self, names: &[String]) -> Option<Missing> {
        let places = self.places?;
        let differing = |all: bool| {
            let is_one = move |column: &Column| match all {
                true => column.differs == self.pairs,
                false => column.differs > 0,
            };
            self.columns.iter().enumerate().filter(move |(_, column)| is_one(column))
        };
        let mut found: Vec<(usize, &Column)> = differing(true).collect();
        if found.is_empty() {
            found = differing(false).collect();
        }
        // A tag comes again at other times, and something is left that it is a tag of.
        let is_tag = |column: &Column| {
            !column.is_value && column.values.len() <= VALUES_MAX && column.values.len() * 2 <= column.filled
        };
        let is_alone = self.columns.iter().filter(|column| column.filled > 0).count() < 2;
        if found.iter().any(|(_, column)| is_tag(column)) {
            found.retain(|(_, column)| is_tag(column));
            found.sort_by_key(|(_, column)| column.values.len());
        }
        let name = |at: usize| names.get(at).cloned();
        let key = found.first().filter(|(_, column)| is_tag(column) && !is_alone);
        let key = key.and_then(|(at, _)| name(*at));
        Some(Missing { columns: found.iter().filter_map(|(at, _)| name(*at)).collect(), key, places })
    }
}
