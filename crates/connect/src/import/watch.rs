//! Whether rows of one time differ in a column that may say what they are about: without it in their names, values of
//! different things would be one signal. Looked at in room that does not grow with the file; what follows from it is
//! decided in `layout`.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// How many times, and cells of a column, are remembered from the beginning of a file.
const REMEMBERED_MAX: usize = 4_096;

/// So many texts that stand but once may still be names of things.
const ONCE_MAX: usize = 50;

/// How many columns are watched.
const COLUMNS_MAX: usize = 16;

/// What a column is to those that are watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// It says with others when a row was, and of which signal.
    Own,
    /// It may say what the row is about.
    Key,
    #[default]
    Value,
}

/// What was seen of a column that may say what rows are about.
#[derive(Debug, Default, Clone)]
pub(super) struct Watched {
    pub(super) at: usize,
    /// The lines of two rows that are alike in what is their own, and differ in it and in their values.
    pub(super) split: Option<(u64, u64)>,
    /// Whether a cell of it comes again at another time, which that of a counter does not.
    pub(super) repeats: bool,
    cells: HashMap<u64, u64>,
}

#[derive(Debug, Clone)]
struct Row {
    line: u64,
    keys: Vec<u64>,
    values: u64,
}

/// The columns of one file that are watched.
#[derive(Debug, Default, Clone)]
pub(super) struct Watch {
    roles: Vec<Role>,
    columns: Vec<Watched>,
    rows: HashMap<u64, Row>,
    /// The row before, and what is its own.
    last: Option<(u64, Row)>,
}

impl Watched {
    /// Whether it may be what rows are about: the number of a row, and a code that each row has for itself, never come again.
    pub(super) fn may_be_key(&self, is_number: bool) -> bool {
        self.repeats || (!is_number && self.cells.len() < ONCE_MAX)
    }
}

impl Watch {
    /// Says what a column is.
    pub(super) fn set(&mut self, at: usize, role: Role) {
        if role == Role::Key {
            if self.columns.len() >= COLUMNS_MAX {
                return;
            }
            self.columns.push(Watched { at, ..Watched::default() });
        }
        if self.roles.len() <= at {
            self.roles.resize(at + 1, Role::Value);
        }
        if let Some(own) = self.roles.get_mut(at) {
            *own = role;
        }
    }

    /// What was seen.
    pub(super) fn columns(&self) -> &[Watched] {
        &self.columns
    }

    /// Adds a row by its cells and the numbers of their columns.
    pub(super) fn add<'a>(&mut self, line: u64, cells: impl Iterator<Item = (usize, &'a str)>) {
        if self.columns.is_empty() {
            return;
        }
        let (mut own, mut values) = (DefaultHasher::new(), DefaultHasher::new());
        let mut keys = vec![0; self.columns.len()];
        for (at, cell) in cells {
            match self.roles.get(at).copied().unwrap_or_default() {
                Role::Own => (at, cell).hash(&mut own),
                Role::Value => (at, cell).hash(&mut values),
                Role::Key => {
                    let place = self.columns.iter().position(|watched| watched.at == at);
                    if let Some(key) = place.and_then(|place| keys.get_mut(place)) {
                        let mut hasher = DefaultHasher::new();
                        cell.hash(&mut hasher);
                        *key = hasher.finish();
                    }
                }
            }
        }
        self.row(own.finish(), Row { line, keys, values: values.finish() });
    }

    fn row(&mut self, own: u64, row: Row) {
        for (watched, key) in self.columns.iter_mut().zip(&row.keys) {
            match watched.cells.get(key) {
                Some(other) => watched.repeats |= *other != own,
                None if watched.cells.len() < REMEMBERED_MAX => drop(watched.cells.insert(*key, own)),
                None => {}
            }
        }
        let before = self.last.as_ref().filter(|(last, _)| *last == own).map(|(_, row)| row);
        if let Some(other) = before.or_else(|| self.rows.get(&own)).filter(|other| other.values != row.values)
        {
            for ((watched, one), two) in self.columns.iter_mut().zip(&other.keys).zip(&row.keys) {
                if one != two {
                    watched.split.get_or_insert((other.line, row.line));
                }
            }
        }
        if self.rows.len() < REMEMBERED_MAX {
            self.rows.entry(own).or_insert_with(|| row.clone());
        }
        self.last = Some((own, row));
    }
}
