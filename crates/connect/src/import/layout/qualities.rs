//! Which columns say how good values are, and of which values. A status is never dropped in silence: a word that is
//! none rejects its row, and a column of which no word is known is asked for, or a signal of its own.

use super::super::columns::Column;
use super::super::error::Error;
use super::super::names;
use super::super::words::{self, Meaning};
use super::{Look, StatusNumbers};

impl Look<'_> {
    /// Columns with qualities, and those with values. Where one value is asked for, a column called its quality that is none
    /// that is known would be gone with what it says.
    pub(super) fn split(&self, rest: Vec<usize>) -> Result<(Vec<usize>, Vec<usize>), Error> {
        let called = |at: &usize| self.means(*at, Meaning::Quality) && !self.is_asked_for(*at);
        let one_asked = self.options.value.is_some() || self.options.signal.is_some();
        let alone = one_asked || rest.iter().filter(|at| !called(at)).count() == 1;
        let is_known = |at: usize| if alone { self.is_known_of_one(at) } else { self.is_known_of_all(at) };
        let is_unknown = |at: &&usize| called(at) && !is_known(**at) && self.column(**at).filled > 0;
        if let Some(at) = rest.iter().find(is_unknown).filter(|_| one_asked) {
            return Err(self.unknown_quality(*at));
        }
        Ok(rest.into_iter().partition(|at| match words::quality_of(self.sheet.header(*at)) {
            _ if self.is_asked_for(*at) => false,
            Some(_) if self.tells_of_another(*at) => self.column(*at).says_quality(),
            Some(_) => self.column(*at).is_status() && !self.column(*at).is_rating(),
            None => self.means(*at, Meaning::Quality) && is_known(*at),
        }))
    }

    fn is_asked_for(&self, at: usize) -> bool {
        self.options.value.as_deref().is_some_and(|value| self.sheet.find(value) == Some(at))
    }

    fn is_known_of_all(&self, at: usize) -> bool {
        is_quality_of_all(self.sheet.header(at), self.column(at))
    }

    /// The same beside one value: a status there is PI's.
    fn is_known_of_one(&self, at: usize) -> bool {
        let (header, column) = (self.sheet.header(at), self.column(at));
        let is_status = StatusNumbers::of(&mut std::iter::once((header, column))) == StatusNumbers::Status;
        self.is_known_of_all(at) || (is_status && column.says_quality())
    }

    /// A column called a quality of which it cannot be said what it says.
    fn unknown_quality(&self, at: usize) -> Error {
        let shown = match &self.column(at).no_status {
            Some((line, text)) => format!("'{text}' (line {line}), and no word that is a quality"),
            None => "numbers that are hardly codes of a quality".to_owned(),
        };
        let hint = "Write Good, Uncertain or Bad there, or give it another name: it is then left out";
        self.column_problem(at, shown, hint)
    }

    /// Whether a column is called the quality of another, or of all.
    fn tells_of_another(&self, at: usize) -> bool {
        let Some(base) = words::quality_of(self.sheet.header(at)) else {
            return self.means(at, Meaning::Quality);
        };
        let is_base = |other: &String| other == base || names::name_and_unit(other).0 == base;
        self.sheet.header.iter().any(is_base)
    }

    /// Says which values are called a quality of others and are none.
    pub(super) fn note_other_words(&mut self, values: &[usize]) {
        if values.len() < 2 {
            return;
        }
        let called = values.iter().filter(|at| self.tells_of_another(**at) && self.column(**at).filled > 0);
        let note = |at: &usize| {
            format!("{} holds no quality that is known, and is a signal of its own", self.sheet.shown(*at))
        };
        let notes: Vec<String> = called.map(note).collect();
        self.notes.extend(notes);
    }

    /// The column with the qualities of the narrow form. Of two, or of one in which no word is known, it cannot be said
    /// how good the values are.
    pub(super) fn narrow_quality(&self, rest: &[usize]) -> Result<Option<usize>, Error> {
        let called = |at: &usize| self.means(*at, Meaning::Quality) && self.column(*at).filled > 0;
        let called: Vec<usize> = rest.iter().copied().filter(called).collect();
        let mut known = called.iter().copied().filter(|at| self.is_known_of_one(*at));
        match (known.next(), known.next(), called.first()) {
            (Some(first), Some(second), _) => {
                let what = format!("qualities, and so has '{}'", self.sheet.shown(first));
                let hint = "Give the one that does not count another name: it is then left out";
                Err(self.column_problem(second, what, hint))
            }
            (Some(only), None, _) => Ok(Some(only)),
            (None, _, Some(at)) => Err(self.unknown_quality(*at)),
            (None, _, None) => Ok(None),
        }
    }

    /// The column with the values of the narrow form: of two with the same name either could be meant.
    pub(super) fn one_value(&self, rest: &[usize]) -> Result<Option<usize>, Error> {
        let mut called = rest.iter().copied().filter(|at| self.means(*at, Meaning::Value));
        let Some(first) = called.next() else { return Ok(None) };
        let name = |at: usize| words::plain(self.sheet.header(at));
        match called.find(|at| name(*at) == name(first)) {
            Some(second) => {
                let what = format!("the name of another, '{}'", self.sheet.shown(first));
                let hint = "Either could be meant: rename one, or say which with --value and its number";
                Err(self.column_problem(second, what, hint))
            }
            None => Ok(Some(first)),
        }
    }

    /// The quality column of a value column: by its name, the only one, or the next to the right before another value.
    pub(super) fn quality_for(&self, value: usize, values: &[usize], status: &[usize]) -> Option<usize> {
        let header = self.sheet.header(value);
        let (name, _) = names::name_and_unit(header);
        let base = |at: &usize| words::quality_of(self.sheet.header(*at));
        let by_name =
            status.iter().copied().find(|at| base(at).is_some_and(|base| base == name || base == header));
        let bare: Vec<usize> = status.iter().copied().filter(|at| base(at).is_none()).collect();
        let beside = || {
            let next = values.iter().copied().filter(|at| *at > value).min().unwrap_or(usize::MAX);
            bare.iter().copied().find(|at| *at > value && *at < next)
        };
        by_name.or(match bare.as_slice() {
            [only] => Some(*only),
            _ => beside(),
        })
    }

    /// What numbers mean in the quality columns.
    pub(super) fn numbers(&self, columns: &[usize]) -> StatusNumbers {
        StatusNumbers::of(&mut columns.iter().map(|at| (self.sheet.header(*at), self.column(*at))))
    }
}

/// Whether a column that is called quality or status, and not of what, says how good the values beside it are. It may
/// rate them, as a wine from 3 to 8, or count what a machine does: then it is a signal of its own.
pub(in super::super) fn is_quality_of_all(header: &str, column: &Column) -> bool {
    let rates = match StatusNumbers::of(&mut std::iter::once((header, column))) {
        StatusNumbers::Validity => false,
        StatusNumbers::Status => column.is_rating() && !column.is_mostly_zero(),
        StatusNumbers::OpcDa => column.is_rating(),
    };
    column.says_quality() && !rates
}

impl StatusNumbers {
    /// What the numbers of the quality columns mean. A column called quality has OPC DA's, unless all are OPC UA's; in one
    /// called status a 0 is good, unless it also has numbers that only OPC DA knows.
    pub(in super::super) fn of(columns: &mut dyn Iterator<Item = (&str, &Column)>) -> StatusNumbers {
        let mut numbers = StatusNumbers::Status;
        for (header, column) in columns {
            if column.is_opc_ua() {
                continue;
            }
            let header = header.to_lowercase();
            let says = |words: &[&str]| words.iter().any(|word| header.contains(word));
            if column.da_numbers > 0 || says(&["quali", "opc"]) {
                return StatusNumbers::OpcDa;
            }
            if says(&["valid", "gültig", "gueltig"]) {
                numbers = StatusNumbers::Validity;
            }
        }
        numbers
    }
}
