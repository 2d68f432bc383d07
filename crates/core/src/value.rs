//! Values and their kinds. The numbers of [`Kind`] stand in every journal and every history file: frozen.
//! How a value is spelled in JSON, CSV or line protocol is the business of the doors, not of this file.

use std::fmt;
use std::sync::Arc;

/// What a value is. The numbers are frozen: they are written to disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// No value: the sample says only that there is none (its quality is Bad or Uncertain).
    #[default]
    None = 0,
    /// IEEE 754 binary64.
    Float = 1,
    /// Signed 64-bit integer.
    Int = 2,
    /// Unsigned 64-bit integer.
    UInt = 3,
    /// Boolean.
    Bool = 4,
    /// UTF-8 text.
    Text = 5,
    /// A JSON document, kept as its text.
    Json = 6,
    /// Bytes without further meaning.
    Bytes = 7,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Kind; 8] =
        [Kind::None, Kind::Float, Kind::Int, Kind::UInt, Kind::Bool, Kind::Text, Kind::Json, Kind::Bytes];

    /// The kind with this number, if there is one.
    pub fn from_number(number: u8) -> Option<Kind> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The word used in APIs, exports and SQL.
    pub fn name(self) -> &'static str {
        match self {
            Kind::None => "none",
            Kind::Float => "float",
            Kind::Int => "integer",
            Kind::UInt => "unsigned",
            Kind::Bool => "boolean",
            Kind::Text => "text",
            Kind::Json => "json",
            Kind::Bytes => "bytes",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Kind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether the value lives in a batch's heap instead of its 64 bits.
    pub fn is_heap(self) -> bool {
        matches!(self, Kind::Text | Kind::Json | Kind::Bytes)
    }

    /// Whether the value can be computed with as a number (booleans count as 0 and 1).
    pub fn is_number(self) -> bool {
        matches!(self, Kind::Float | Kind::Int | Kind::UInt | Kind::Bool)
    }
}

/// A value that owns its bytes. For single values; rows travel in [`crate::SampleBatch`].
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the variants are those of Kind")]
pub enum Value {
    #[default]
    None,
    Float(f64),
    Int(i64),
    UInt(u64),
    Bool(bool),
    Text(Arc<str>),
    Json(Arc<str>),
    Bytes(Arc<[u8]>),
}

/// A borrowed value.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the variants are those of Kind")]
pub enum ValueRef<'a> {
    None,
    Float(f64),
    Int(i64),
    UInt(u64),
    Bool(bool),
    Text(&'a str),
    Json(&'a str),
    Bytes(&'a [u8]),
}

impl Value {
    /// Borrows the value.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Value::None => ValueRef::None,
            Value::Float(value) => ValueRef::Float(*value),
            Value::Int(value) => ValueRef::Int(*value),
            Value::UInt(value) => ValueRef::UInt(*value),
            Value::Bool(value) => ValueRef::Bool(*value),
            Value::Text(value) => ValueRef::Text(value),
            Value::Json(value) => ValueRef::Json(value),
            Value::Bytes(value) => ValueRef::Bytes(value),
        }
    }
}

impl ValueRef<'_> {
    /// The kind of this value.
    pub fn kind(&self) -> Kind {
        match self {
            ValueRef::None => Kind::None,
            ValueRef::Float(_) => Kind::Float,
            ValueRef::Int(_) => Kind::Int,
            ValueRef::UInt(_) => Kind::UInt,
            ValueRef::Bool(_) => Kind::Bool,
            ValueRef::Text(_) => Kind::Text,
            ValueRef::Json(_) => Kind::Json,
            ValueRef::Bytes(_) => Kind::Bytes,
        }
    }

    /// Copies the value out.
    pub fn to_value(&self) -> Value {
        match *self {
            ValueRef::None => Value::None,
            ValueRef::Float(value) => Value::Float(value),
            ValueRef::Int(value) => Value::Int(value),
            ValueRef::UInt(value) => Value::UInt(value),
            ValueRef::Bool(value) => Value::Bool(value),
            ValueRef::Text(value) => Value::Text(value.into()),
            ValueRef::Json(value) => Value::Json(value.into()),
            ValueRef::Bytes(value) => Value::Bytes(value.into()),
        }
    }

    /// The value as a number, as SQL's `value` column shows it. Integers beyond 2^53 lose their last digits
    /// here; they are whole in the `integer` column.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            ValueRef::Float(value) => Some(value),
            #[allow(clippy::cast_precision_loss, reason = "said in the doc comment")]
            ValueRef::Int(value) => Some(value as f64),
            #[allow(clippy::cast_precision_loss, reason = "said in the doc comment")]
            ValueRef::UInt(value) => Some(value as f64),
            ValueRef::Bool(value) => Some(f64::from(u8::from(value))),
            _ => None,
        }
    }
}

/// The plain spelling for people: numbers shortest and exact, text as it is, bytes as `0x…`.
impl fmt::Display for ValueRef<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ValueRef::None => out.write_str("-"),
            ValueRef::Float(value) => write!(out, "{value}"),
            ValueRef::Int(value) => write!(out, "{value}"),
            ValueRef::UInt(value) => write!(out, "{value}"),
            ValueRef::Bool(value) => write!(out, "{value}"),
            ValueRef::Text(value) | ValueRef::Json(value) => out.write_str(value),
            ValueRef::Bytes(value) => {
                out.write_str("0x")?;
                value.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
            }
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_kinds_are_frozen() {
        let numbers: Vec<_> = Kind::ALL.iter().map(|kind| (*kind as u8, kind.name())).collect();
        assert_eq!(
            numbers,
            [
                (0, "none"),
                (1, "float"),
                (2, "integer"),
                (3, "unsigned"),
                (4, "boolean"),
                (5, "text"),
                (6, "json"),
                (7, "bytes")
            ]
        );
        for kind in Kind::ALL {
            assert_eq!(Kind::from_number(kind as u8), Some(kind));
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Kind::from_number(8), None);
    }
}
