//! PostgreSQL's functions that its catalogue names: those that read and write values of its types, and some that clients ask
//! for. They are told of and not called. What is not here: functions that answer ([`mod@super::functions`]).

use std::sync::LazyLock;

use tidemill_core::TypeNumber;

use super::types;

/// A function as `pg_proc` has it.
#[derive(Debug)]
pub(crate) struct Procedure {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    /// `pg_proc.provolatile`.
    pub(crate) varies: char,
    pub(crate) strict: bool,
    pub(crate) leakproof: bool,
    pub(crate) gives: TypeNumber,
    pub(crate) takes: Vec<TypeNumber>,
}

/// All of them, by number, from one list (`procedures.txt`).
pub(crate) static PROCEDURES: LazyLock<Vec<Procedure>> =
    LazyLock::new(|| include_str!("procedures.txt").lines().filter_map(of_line).collect());

impl Procedure {
    /// The types that it takes, as `pg_get_function_arguments` tells them.
    pub(crate) fn arguments(&self) -> String {
        self.takes.iter().map(|kind| types::spelled(*kind)).collect::<Vec<_>>().join(", ")
    }
}

fn of_line(line: &'static str) -> Option<Procedure> {
    let (rest, takes) = line.split_once(':').filter(|_| !line.starts_with('#'))?;
    let mut words = rest.split(' ');
    let (number, name) = (words.next()?.parse().ok()?, words.next()?);
    let mut letters = words.next()?.chars();
    let (varies, strict, leakproof) = (letters.next()?, letters.next()? == 't', letters.next()? == 't');
    let gives = words.next()?.parse().ok()?;
    let takes = takes.split_whitespace().filter_map(|kind| kind.parse().ok()).collect();
    Some(Procedure { number, name, varies, strict, leakproof, gives, takes })
}

/// The number of the one of that name.
pub(crate) fn number(name: &str) -> Option<u32> {
    PROCEDURES.iter().find(|known| known.name == name).map(|known| known.number)
}

/// The one of that number.
pub(crate) fn by_number(number: u32) -> Option<&'static Procedure> {
    let place = PROCEDURES.binary_search_by_key(&number, |known| known.number).ok()?;
    PROCEDURES.get(place)
}

#[cfg(test)]
mod tests {
    use super::super::types::TYPES;
    use super::*;

    /// A line that is not read would be missed by nobody.
    #[test]
    fn every_line_is_read() {
        let lines = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(PROCEDURES.len(), lines(include_str!("procedures.txt")));
        assert_eq!(TYPES.len(), lines(include_str!("types.txt")));
        assert!(PROCEDURES.is_sorted_by_key(|known| known.number));
        assert!(TYPES.iter().all(|kind| kind.functions[0] != 0 && kind.functions[1] != 0));
    }
}
