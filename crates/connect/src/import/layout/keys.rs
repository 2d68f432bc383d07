//! Columns that say what rows are about: those of `--key`, and those that may be one. Where rows of one time differ in such
//! a column and it stands in no name, values of different things would be one signal: that is asked for.

use tidemill_core::Kind;

use super::super::cell::CellKind;
use super::super::error::Error;
use super::super::members::MEMBERS_MAX;
use super::super::names;
use super::super::watch::{Role, Watch};
use super::super::words::{self, Meaning};
use super::{Keyed, Look, Shape, Times};

impl Look<'_> {
    /// The columns of `--key`. An empty one says that there is none.
    pub(super) fn keys(&self) -> Result<Vec<usize>, Error> {
        self.options.keys.iter().filter(|key| !key.is_empty()).map(|key| self.wanted(key)).collect()
    }

    /// Those of them that are outer members of objects.
    pub(super) fn member_keys(&self) -> impl Iterator<Item = usize> {
        self.options.keys.iter().filter(|key| !key.is_empty()).filter_map(|key| self.sheet.find(key))
    }

    /// What is to be watched while all rows are looked through.
    pub(in super::super) fn watch(&self, times: Times) -> Watch {
        let mut watch = Watch::default();
        let keys = self.keys().unwrap_or_default();
        let all = || 0..self.sheet.width();
        let has_value = self.options.value.is_some() || all().any(|at| self.means(at, Meaning::Value));
        let signal = all().find(|at| self.means(*at, Meaning::Signal) && !self.column(*at).is_number());
        let own = [times.at, times.of_day, signal.filter(|_| has_value)];
        let own: Vec<usize> = own.into_iter().flatten().chain(keys).collect();
        own.iter().for_each(|at| watch.set(*at, Role::Own));
        let is_text = |at: &usize| {
            let column = self.column(*at);
            let times = column.is_date_time() || column.is_date() || column.is_day_time();
            column.filled > 0 && column.numbers == 0 && column.booleans == 0 && !times
        };
        let is_whole =
            |at: &usize| self.column(*at).is_whole() && words::quality_of(self.sheet.header(*at)).is_none();
        let is_key = |at: &usize| words::is_key(self.sheet.header(*at));
        let is_free = |at: &usize| !own.contains(at);
        let is_other =
            |at: &usize| is_free(at) && !is_key(at) && self.meanings.get(*at).copied().flatten().is_none();
        all().filter(|at| is_free(at) && is_key(at)).for_each(|at| watch.set(at, Role::Key));
        all().filter(|at| is_other(at) && is_text(at)).for_each(|at| watch.set(at, Role::Key));
        all().filter(|at| is_other(at) && is_whole(at)).for_each(|at| watch.set(at, Role::Number));
        watch
    }

    /// Judges the columns that may say what rows are about, and are not in the names.
    pub(super) fn judge_keys(&mut self, taken: &[usize]) -> Result<(), Error> {
        if self.options.keys.iter().any(String::is_empty) {
            return Ok(());
        }
        let seen = self.watch.columns().filter(|watched| !taken.contains(&watched.at));
        let is_number = |at: usize| self.column(at).numbers > 0;
        let split = seen.clone().filter(|watched| watched.may_be_key(is_number(watched.at)));
        let split: Vec<(usize, (u64, u64))> =
            split.filter_map(|watched| Some((watched.at, watched.split?))).collect();
        let is_called = |at: usize| self.other(at).is_some() || words::is_key(self.sheet.header(at));
        if let Some((at, lines)) = split.iter().find(|(at, _)| is_called(*at)) {
            let columns = split.iter().filter(|(at, _)| is_called(*at));
            return Err(Error::Split {
                file: self.file.to_owned(),
                columns: columns.map(|(at, _)| self.shown(*at)).collect::<Vec<_>>().join(", "),
                unit: "lines",
                places: *lines,
                hint: format!(
                    "Put it into the names with --key {}; or say with --key '' that they are one signal all the same",
                    self.key_word(*at)
                ),
            });
        }
        let number = self.watch.number().filter(|_| split.is_empty());
        let number = number.and_then(|watched| Some((watched.at, watched.split?)));
        let others = split.iter().chain(&number).map(|(at, lines)| {
            let (shown, key) = (self.shown(*at), self.key_word(*at));
            format!(
                "rows of one time differ in {shown} (lines {} and {}): --key {key} puts it into the names",
                lines.0, lines.1
            )
        });
        let is_text = |at: usize| match self.stated(at) {
            Some(stated) => stated == CellKind::Stated(Kind::Text),
            None => self.column(at).numbers == 0 && self.column(at).booleans == 0,
        };
        let may_be = |at: usize, repeats: bool| is_called(at) && (is_text(at) || repeats);
        let mays = seen.clone().filter(|watched| may_be(watched.at, watched.repeats)).map(|watched| {
            let (shown, key) = (self.shown(watched.at), self.key_word(watched.at));
            format!("{shown} may say what each row is about: --key {key} puts it into the names")
        });
        let notes: Vec<String> = others.chain(mays).collect();
        self.notes.extend(notes);
        Ok(())
    }

    /// A member that lies within another.
    fn other(&self, at: usize) -> Option<&str> {
        at.checked_sub(MEMBERS_MAX).and_then(|other| self.others.get(other)).map(String::as_str)
    }

    fn shown(&self, at: usize) -> String {
        self.other(at).map_or_else(|| self.sheet.shown(at), str::to_owned)
    }

    /// A column as `--key` takes it.
    fn key_word(&self, at: usize) -> String {
        match self.other(at).unwrap_or_else(|| self.sheet.header(at)) {
            "" => (at + 1).to_string(),
            name if name.contains(' ') => format!("'{name}'"),
            name => name.to_owned(),
        }
    }

    /// What stands in the names besides those of the columns.
    pub(super) fn keyed(&self, columns: Vec<usize>, shape: &Shape) -> Result<Option<Keyed>, Error> {
        if columns.is_empty() {
            return Ok(None);
        }
        if self.options.signal.is_some() {
            return Err(Error::Named(self.file.to_owned()));
        }
        let prefix = self.options.base(self.file)?;
        let names = match shape {
            Shape::Narrow(_) => Vec::new(),
            Shape::Wide { columns } => {
                let named: Vec<(usize, String)> = columns
                    .iter()
                    .map(|wide| (wide.index, self.sheet.header(wide.index).to_owned()))
                    .collect();
                match named.as_slice() {
                    [(_, header)] if words::meaning(header) == Some(Meaning::Value) => vec![String::new()],
                    _ => names::distinct(&named).into_iter().map(|(name, _)| name).collect(),
                }
            }
        };
        Ok(Some(Keyed { prefix, columns, names }))
    }
}
