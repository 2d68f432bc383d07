//! What is known about a signal besides its samples: its durable id, its path, its metadata.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::path::SignalPath;
use crate::value::ValueRef;

/// Above the names of signals whose own are lost.
pub const UNKNOWN: &str = "tidemill/unknown";

/// What the house writes of itself has names that begin so.
pub const OWN: &str = "tidemill/";

/// Whether a signal is one that the house writes of itself, by its name. One whose own name is lost is not: it is its owner's.
pub fn is_own(name: &str) -> bool {
    name.starts_with(OWN) && !name.strip_prefix(UNKNOWN).is_some_and(|rest| rest.starts_with('/'))
}

/// A plant-local number for a signal: durable, never used twice, never shown outside the plant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SignalId(pub NonZeroU32);

impl SignalId {
    /// The id that is given first.
    pub const FIRST: SignalId = SignalId(NonZeroU32::MIN);

    /// The id with this number; none for 0.
    pub fn new(number: u32) -> Option<SignalId> {
        NonZeroU32::new(number).map(SignalId)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// The name of a signal whose own is lost: what was written stays readable, and its owner gives it a name again.
    pub fn unknown_name(self) -> String {
        format!("{UNKNOWN}/{}", self.get())
    }

    /// As an index into arrays that begin with id 1.
    pub fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// A plant-local number for who wrote: an identity or a connector. 0 is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub u32);

/// What a bare or JSON number of a signal becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NumberKind {
    /// A float, also for numbers written without a point. The default.
    #[default]
    Float,
    /// An integer where the number is written as one and fits 64 bits, else a float.
    Integer,
}

impl NumberKind {
    /// What a bare number becomes: how it was written, and the float that it is. Whoever writes a point or an exponent
    /// means a float; digits that a float would round are read as they stand.
    pub fn value(self, written: &str, float: f64) -> ValueRef<'static> {
        match self {
            NumberKind::Float => ValueRef::Float(float),
            NumberKind::Integer => written.parse().map_or(ValueRef::Float(float), ValueRef::Int),
        }
    }

    /// What a number becomes of which there is a float alone: an integer where it is one to the bit.
    pub fn of_float(self, float: f64) -> ValueRef<'static> {
        let whole = float as i64;
        match self {
            NumberKind::Integer if (whole as f64).to_bits() == float.to_bits() && whole != i64::MAX => {
                ValueRef::Int(whole)
            }
            _ => ValueRef::Float(float),
        }
    }
}

/// What people and connectors say about a signal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meta {
    /// The unit as shown, e.g. `°C`; empty where there is none.
    pub unit: Arc<str>,
    /// The same unit as a UCUM code (<https://ucum.org/ucum>), e.g. `Cel`; empty where it is not known.
    pub unit_ucum: Arc<str>,
    /// A sentence for people.
    pub description: Arc<str>,
    /// What a bare number becomes.
    pub number: NumberKind,
    /// Whether a value holds until the next (steps) instead of sloping to it. `None`: by kind (numbers with a
    /// fraction slope, all others step).
    pub stepped: Option<bool>,
    /// The identity or connector that alone may write, by name; empty for anyone with the right.
    pub owner: Arc<str>,
    /// After how many nanoseconds without a sample the last value reads as Uncertain_LastUsableValue; 0 for never.
    pub stale_after_ns: i64,
    /// Further facts by name: a line protocol's tags, a bucket, a device's serial number.
    pub tags: BTreeMap<Arc<str>, Arc<str>>,
}

/// A signal as the registry knows it. Immutable: an edit makes a new one.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Its number.
    pub id: SignalId,
    /// Its name now.
    pub path: SignalPath,
    /// Its earlier names, and names that others gave it.
    pub aliases: Vec<SignalPath>,
    /// What is said about it.
    pub meta: Meta,
    /// Who first wrote it, by name.
    pub creator: Arc<str>,
    /// When it was first seen, ns UTC.
    pub created: i64,
    /// Deleted: it has no samples that can be read, and its id is never given to another.
    pub retired: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_becomes_an_integer_only_where_it_is_one_to_the_bit() {
        for (float, expected) in [
            (3.0, ValueRef::Int(3)),
            (-9_007_199_254_740_992.0, ValueRef::Int(-9_007_199_254_740_992)),
            (-9_223_372_036_854_775_808.0, ValueRef::Int(i64::MIN)),
            (9_223_372_036_854_775_808.0, ValueRef::Float(9_223_372_036_854_775_808.0)),
            (3.5, ValueRef::Float(3.5)),
            (f64::INFINITY, ValueRef::Float(f64::INFINITY)),
        ] {
            assert_eq!(NumberKind::Integer.of_float(float), expected);
            assert_eq!(NumberKind::Float.of_float(float), ValueRef::Float(float));
        }
        let ValueRef::Float(zero) = NumberKind::Integer.of_float(-0.0) else { panic!("it has a sign") };
        assert!(zero.is_sign_negative());
    }
}
