//! Whether rows of one time differ in a column that may say what they are about: without it in their names, values of
//! different things would be one signal. Looked at in room that does not grow with the file; what follows from it is
//! decided in `layout`.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _};

use hashbrown::{DefaultHashBuilder, HashMap};

use super::cell;
use super::columns::few;

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
    /// It holds whole numbers, which may be values or say what the row is about.
    Number,
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
    is_number: bool,
    /// Whether it is but a value: it does not tell rows of one time apart, or has too many numbers.
    is_value: bool,
}

#[derive(Debug, Clone)]
struct Row {
    line: u64,
    keys: Vec<u64>,
    /// The sum of the hashes of its values, those of [`Role::Number`] among them.
    values: u64,
}

/// What a cell says, to be compared: `1` and `1.0` are one number.
#[derive(Hash)]
pub(super) enum Meant<'a> {
    Text(&'a str),
    Number(u64),
    /// One beyond those of which floats hold each.
    Whole(i128),
}

impl Meant<'_> {
    pub(super) fn of(text: &str) -> Meant<'_> {
        const EXACT_MAX: f64 = (1_u64 << 53) as f64;
        let number = cell::bare(text).map(|(_, number)| number).or_else(|| text.parse().ok());
        match number.filter(|number| number.is_finite()) {
            None => Meant::Text(text),
            // Zero has one sign.
            Some(number) if number.abs() < EXACT_MAX => Meant::Number((number + 0.0).to_bits()),
            #[allow(clippy::cast_possible_truncation, reason = "it is whole, and 128 bits hold it")]
            Some(number) if number.abs() < 1e38 => Meant::Whole(text.parse().unwrap_or(number as i128)),
            Some(number) => Meant::Number(number.to_bits()),
        }
    }
}

/// The columns of one file that are watched.
#[derive(Debug, Default, Clone)]
pub(super) struct Watch {
    roles: Vec<Role>,
    columns: Vec<Watched>,
    rows: HashMap<u64, Row>,
    /// The row before, and what is its own.
    last: Option<(u64, Row)>,
    /// How many rows had what is their own in common with another.
    again: usize,
    hashes: DefaultHashBuilder,
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
        if matches!(role, Role::Key | Role::Number) {
            if self.columns.len() >= COLUMNS_MAX {
                return;
            }
            self.columns.push(Watched { at, is_number: role == Role::Number, ..Watched::default() });
        }
        if self.roles.len() <= at {
            self.roles.resize(at + 1, Role::Value);
        }
        if let Some(own) = self.roles.get_mut(at) {
            *own = role;
        }
    }

    /// What was seen of those that may say what rows are about by what they are called, or as texts.
    pub(super) fn columns(&self) -> impl Iterator<Item = &Watched> + Clone {
        self.columns.iter().filter(|watched| !watched.is_number)
    }

    /// The column of numbers that tells rows of one time apart, where there are many such rows.
    pub(super) fn number(&self) -> Option<&Watched> {
        let is_one = |watched: &&Watched| {
            watched.is_number && watched.split.is_some() && watched.repeats && !watched.is_value
        };
        let fewest = self.columns.iter().filter(is_one).min_by_key(|watched| watched.cells.len());
        fewest.filter(|_| !few(self.again, self.rows.len()))
    }

    /// Adds a row by its cells and the numbers of their columns.
    pub(super) fn add<'a>(&mut self, line: u64, cells: impl Iterator<Item = (usize, &'a str)>) {
        if self.columns.is_empty() {
            return;
        }
        let (mut own, mut values) = (self.hashes.build_hasher(), 0u64);
        let mut keys = vec![0; self.columns.len()];
        for (at, cell) in cells {
            let role = self.roles.get(at).copied().unwrap_or_default();
            if role == Role::Own {
                (at, cell).hash(&mut own);
                continue;
            }
            let hash = match role {
                Role::Key => self.hashes.hash_one((at, cell)),
                _ => self.hashes.hash_one((at, Meant::of(cell))),
            };
            if role != Role::Key {
                values = values.wrapping_add(hash);
            }
            if role != Role::Value {
                let place = self.columns.iter().position(|watched| watched.at == at);
                if let Some(key) = place.and_then(|place| keys.get_mut(place)) {
                    *key = hash;
                }
            }
        }
        self.row(own.finish(), Row { line, keys, values });
    }

    fn row(&mut self, own: u64, row: Row) {
        for (watched, key) in self.columns.iter_mut().zip(&row.keys) {
            watched.is_value |= watched.is_number && watched.cells.len() > ONCE_MAX;
            match watched.cells.get(key) {
                _ if watched.is_value => {}
                Some(other) => watched.repeats |= *other != own,
                None if watched.cells.len() < REMEMBERED_MAX => drop(watched.cells.insert(*key, own)),
                None => {}
            }
        }
        let before = self.last.as_ref().filter(|(last, _)| *last == own).map(|(_, row)| row);
        if let Some(other) = before.or_else(|| self.rows.get(&own)).filter(|other| other.values != row.values)
        {
            self.again += 1;
            for ((watched, one), two) in self.columns.iter_mut().zip(&other.keys).zip(&row.keys) {
                // A number is among the values: others must differ too.
                let is_all =
                    watched.is_number && other.values.wrapping_sub(*one) == row.values.wrapping_sub(*two);
                match one != two {
                    true if !is_all => drop(watched.split.get_or_insert((other.line, row.line))),
                    true => {}
                    false => watched.is_value |= watched.is_number,
                }
            }
        }
        if self.rows.len() < REMEMBERED_MAX {
            self.rows.entry(own).or_insert_with(|| row.clone());
        }
        self.last = Some((own, row));
    }
}
