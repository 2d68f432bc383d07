//! Columns of a body, row by row: texts, times, qualities and values of every type that other programs write them in.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, Float64Array, Int64Array,
    LargeBinaryArray, LargeStringArray, StringArray, StringViewArray, UInt64Array,
};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType, UInt64Type};
use tidemill_core::{Kind, Problem, Quality, ValueRef, codes, parse_rfc3339};

/// A row that cannot be taken, and why.
type Refused = (usize, Problem);

fn unfit(name: &str, kind: &DataType) -> Problem {
    Problem::new(&codes::BAD_ARROW, format!("the column '{name}' has the type {kind}, which it cannot have"))
}

/// Text in any of Arrow's forms. A dictionary is looked up row by row: unfolding it could take any amount of memory.
pub(super) enum Texts<'a> {
    Plain(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
    Dictionary { keys: Vec<usize>, array: &'a ArrayRef, values: Box<Texts<'a>> },
    Nothing,
}

impl<'a> Texts<'a> {
    pub(super) fn of(name: &str, column: &'a ArrayRef) -> Result<Texts<'a>, Problem> {
        Ok(match column.data_type() {
            DataType::Utf8 => Texts::Plain(column.as_string()),
            DataType::LargeUtf8 => Texts::Large(column.as_string()),
            DataType::Utf8View => Texts::View(column.as_string_view()),
            DataType::Null => Texts::Nothing,
            DataType::Dictionary(_, _) => {
                let dictionary =
                    column.as_any_dictionary_opt().ok_or_else(|| unfit(name, column.data_type()))?;
                // An empty dictionary has no keys that mean anything.
                let keys =
                    if dictionary.values().is_empty() { Vec::new() } else { dictionary.normalized_keys() };
                Texts::Dictionary {
                    keys,
                    array: column,
                    values: Box::new(Texts::of(name, dictionary.values())?),
                }
            }
            other => return Err(unfit(name, other)),
        })
    }

    pub(super) fn at(&self, row: usize) -> Option<&'a str> {
        match self {
            Texts::Plain(array) => array.is_valid(row).then(|| array.value(row)),
            Texts::Large(array) => array.is_valid(row).then(|| array.value(row)),
            Texts::View(array) => array.is_valid(row).then(|| array.value(row)),
            Texts::Dictionary { keys, array, values } if array.is_valid(row) => values.at(*keys.get(row)?),
            Texts::Dictionary { .. } | Texts::Nothing => None,
        }
    }
}

/// Why a time is none.
pub(super) const OUTSIDE: &str =
    "the time lies outside the years 1677 to 2262 that nanoseconds in 64 bits can hold";

/// Times in ns UTC; none where the server is to stamp. A timestamp without a zone is UTC, an integer is nanoseconds.
pub(super) fn times(column: &ArrayRef) -> Result<Vec<Option<i64>>, Refused> {
    let outside = |row| (row, Problem::new(&codes::BAD_TIME, OUTSIDE));
    match column.data_type() {
        DataType::Timestamp(_, zone) => {
            let wanted = DataType::Timestamp(TimeUnit::Nanosecond, zone.clone());
            let times = cast(column, &wanted).map_err(|_| outside(0))?;
            // What does not fit was made NULL by the cast.
            if let Some(row) = (0..column.len()).find(|row| times.is_null(*row) && column.is_valid(*row)) {
                return Err(outside(row));
            }
            Ok(times.as_primitive::<TimestampNanosecondType>().iter().collect())
        }
        DataType::Int64 => Ok(column.as_primitive::<Int64Type>().iter().collect()),
        _ => {
            let texts = Texts::of("time", column).map_err(|problem| (0, problem))?;
            let read = |row| {
                texts.at(row).map(|text| parse_rfc3339(text).map_err(|error| (row, error.into()))).transpose()
            };
            (0..column.len()).map(read).collect()
        }
    }
}

/// Numbers from 1 to here are qualities of OPC DA, most of them Bad. As status codes of OPC UA all would be Good, and no
/// device sends them: the upper 16 bits say what such a code means (OPC 10000-4, 7.39).
const OPC_DA_MAX: i64 = 255;

/// Qualities; NULL is Good. A number is an OPC UA status code, of which 0 is Good. What exports have is taken to the bit.
pub(super) fn qualities(column: &ArrayRef, exported: bool) -> Result<Vec<Quality>, Refused> {
    if column.data_type().is_integer() {
        let codes_column =
            cast(column, &DataType::Int64).map_err(|_| (0, unfit("quality", column.data_type())))?;
        let code = |(row, code): (usize, Option<i64>)| match code.map(u32::try_from) {
            None => Ok(Quality::GOOD),
            Some(Ok(code)) if !exported && (1..=OPC_DA_MAX).contains(&i64::from(code)) => {
                let detail = format!("the quality {code} is no status code of OPC UA that a device sends");
                Err((row, Problem::new(&codes::BAD_QUALITY, detail).hint(OPC_DA_HINT)))
            }
            Some(Ok(code)) => Ok(Quality(code)),
            Some(Err(_)) => {
                Err((row, Problem::new(&codes::BAD_QUALITY, "the quality is no 32-bit status code")))
            }
        };
        return codes_column.as_primitive::<Int64Type>().iter().enumerate().map(code).collect();
    }
    let texts = Texts::of("quality", column).map_err(|problem| (0, problem))?;
    let mut before: Option<(&str, Quality)> = None;
    let mut made = Vec::with_capacity(column.len());
    for row in 0..column.len() {
        let quality = match (texts.at(row), before) {
            (None, _) => Quality::GOOD,
            (Some(text), Some((known, quality))) if known == text => quality,
            (Some(text), _) => {
                let quality = Quality::parse(text).map_err(|error| (row, error.into()))?;
                before = Some((text, quality));
                quality
            }
        };
        made.push(quality);
    }
    Ok(made)
}

const OPC_DA_HINT: &str = "Write numbers of OPC DA as text (\"192\"), or use good, uncertain, bad, or status codes of OPC UA, where 0 is Good";

/// What the column `value` holds.
enum Values<'a> {
    Nothing,
    Float(Float64Array),
    Int(Int64Array),
    UInt(UInt64Array),
    Bool(&'a BooleanArray),
    Text(Texts<'a>),
    Binary(&'a BinaryArray),
    LargeBinary(&'a LargeBinaryArray),
    BinaryView(&'a BinaryViewArray),
}

/// Where values come from: `value`, and in exports `integer`, `text` and `kind` beside it.
pub(super) struct Sources<'a> {
    values: Values<'a>,
    integers: Option<Int64Array>,
    texts: Option<Texts<'a>>,
    kinds: Option<Texts<'a>>,
}

impl<'a> Sources<'a> {
    pub(super) fn of(
        value: &'a ArrayRef,
        integer: Option<&'a ArrayRef>,
        text: Option<&'a ArrayRef>,
        kind: Option<&'a ArrayRef>,
    ) -> Result<Sources<'a>, Problem> {
        let widened = |name: &str, column: &ArrayRef, wanted: &DataType| {
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(column, wanted, &strict).map_err(|_| unfit(name, column.data_type()))
        };
        let values = match value.data_type() {
            DataType::Null => Values::Nothing,
            DataType::Boolean => Values::Bool(value.as_boolean()),
            found if found.is_signed_integer() => {
                Values::Int(widened("value", value, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            found if found.is_unsigned_integer() => {
                Values::UInt(widened("value", value, &DataType::UInt64)?.as_primitive::<UInt64Type>().clone())
            }
            found if found.is_floating() => Values::Float(
                widened("value", value, &DataType::Float64)?.as_primitive::<Float64Type>().clone(),
            ),
            DataType::Binary => Values::Binary(value.as_binary()),
            DataType::LargeBinary => Values::LargeBinary(value.as_binary()),
            DataType::BinaryView => Values::BinaryView(value.as_binary_view()),
            _ => Values::Text(Texts::of("value", value)?),
        };
        let integers = match integer {
            Some(column) if column.data_type().is_integer() => {
                Some(widened("integer", column, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            Some(column) if *column.data_type() != DataType::Null => {
                return Err(unfit("integer", column.data_type()));
            }
            _ => None,
        };
        let texts = text.map(|column| Texts::of("text", column)).transpose()?;
        let kinds = kind.map(|column| Texts::of("kind", column)).transpose()?;
        Ok(Sources { values, integers, texts, kinds })
    }

    /// A row's value; it may borrow from `bytes`, into which hexadecimal digits are read.
    pub(super) fn at<'b>(&'b self, row: usize, bytes: &'b mut Vec<u8>) -> Result<ValueRef<'b>, Problem> {
        let stated = self.kinds.as_ref().and_then(|kinds| kinds.at(row));
        let kind = match stated.map(|name| (name, Kind::from_name(name))) {
            Some((name, None)) => {
                return Err(Problem::new(&codes::BAD_VALUE, format!("'{name:.40}' is no kind of value")));
            }
            Some((_, kind)) => kind,
            None => None,
        };
        if self.contradicts(row, kind) {
            let detail = "the columns value, integer and kind say different things of one sample";
            return Err(Problem::new(&codes::BAD_ARROW, detail)
                .hint("Leave out all of them but the one that holds the value"));
        }
        let Some(kind) = kind else { return Ok(self.plain(row)) };
        self.of_kind(row, kind, bytes).ok_or_else(|| {
            let detail = format!("there is no value of kind {} here", kind.name());
            Problem::new(&codes::BAD_VALUE, detail)
                .hint("Leave out the column kind, or put integers into `integer` and text into `text`")
        })
    }

    /// Whether `value`, `integer` and `kind` say different things: in exports `value` is the nearest float of the integer
    /// beside it, and nothing where a text stands.
    fn contradicts(&self, row: usize, kind: Option<Kind>) -> bool {
        let (value, integer) = (self.value(row), self.integer(row));
        let beside = self.texts.as_ref().and_then(|texts| texts.at(row));
        let is_number = value.as_f64().is_some();
        match (kind, integer) {
            (Some(Kind::None), _) => value != ValueRef::None || integer.is_some() || beside.is_some(),
            // Without any text it is none of its kind.
            (Some(Kind::Text | Kind::Json | Kind::Bytes), _) => {
                self.text(row).is_some() && (is_number || integer.is_some())
            }
            (_, None) => false,
            (_, Some(integer)) => match value {
                ValueRef::None => false,
                ValueRef::Int(value) => value != integer,
                value => value.as_f64() != ValueRef::Int(integer).as_f64(),
            },
        }
    }

    /// Without a kind: by the type of the column, then whatever else stands in the row.
    fn plain(&self, row: usize) -> ValueRef<'_> {
        match self.value(row) {
            ValueRef::None => self
                .integer(row)
                .map(ValueRef::Int)
                .or_else(|| self.text(row).map(ValueRef::Text))
                .unwrap_or(ValueRef::None),
            value => value,
        }
    }

    fn of_kind<'b>(&'b self, row: usize, kind: Kind, bytes: &'b mut Vec<u8>) -> Option<ValueRef<'b>> {
        let value = self.value(row);
        let digits = || self.text(row);
        Some(match kind {
            Kind::None => ValueRef::None,
            Kind::Float => ValueRef::Float(value.as_f64()?),
            Kind::Int => ValueRef::Int(match value {
                ValueRef::Int(number) => number,
                ValueRef::UInt(number) => i64::try_from(number).ok()?,
                _ => self.integer(row)?,
            }),
            Kind::UInt => ValueRef::UInt(match value {
                ValueRef::UInt(number) => number,
                ValueRef::Int(number) => u64::try_from(number).ok()?,
                _ => match self.integer(row) {
                    Some(number) => u64::try_from(number).ok()?,
                    None => digits()?.parse().ok()?,
                },
            }),
            Kind::Bool => ValueRef::Bool(match value {
                ValueRef::Bool(truth) => truth,
                other => match other.as_f64()? {
                    0.0 => false,
                    1.0 => true,
                    _ => return None,
                },
            }),
            Kind::Text => ValueRef::Text(self.text(row)?),
            Kind::Json => ValueRef::Json(self.text(row).filter(|text| is_document(text))?),
            Kind::Bytes => match value {
                ValueRef::Bytes(plain) => ValueRef::Bytes(plain),
                _ => {
                    read_hex(digits()?, bytes)?;
                    ValueRef::Bytes(bytes)
                }
            },
        })
    }

    fn value(&self, row: usize) -> ValueRef<'_> {
        fn at<A: Array>(array: &A, row: usize) -> Option<&A> {
            array.is_valid(row).then_some(array)
        }
        let found = match &self.values {
            Values::Nothing => None,
            Values::Float(array) => at(array, row).map(|array| ValueRef::Float(array.value(row))),
            Values::Int(array) => at(array, row).map(|array| ValueRef::Int(array.value(row))),
            Values::UInt(array) => at(array, row).map(|array| ValueRef::UInt(array.value(row))),
            Values::Bool(array) => at(*array, row).map(|array| ValueRef::Bool(array.value(row))),
            Values::Text(texts) => texts.at(row).map(ValueRef::Text),
            Values::Binary(array) => at(*array, row).map(|array| ValueRef::Bytes(array.value(row))),
            Values::LargeBinary(array) => at(*array, row).map(|array| ValueRef::Bytes(array.value(row))),
            Values::BinaryView(array) => at(*array, row).map(|array| ValueRef::Bytes(array.value(row))),
        };
        found.unwrap_or(ValueRef::None)
    }

    fn integer(&self, row: usize) -> Option<i64> {
        self.integers.as_ref().filter(|array| array.is_valid(row)).map(|array| array.value(row))
    }

    fn text(&self, row: usize) -> Option<&str> {
        let beside = self.texts.as_ref().and_then(|texts| texts.at(row));
        beside.or_else(|| match &self.values {
            Values::Text(texts) => texts.at(row),
            _ => None,
        })
    }
}

fn is_document(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// `0x` and pairs of digits.
fn read_hex(text: &str, bytes: &mut Vec<u8>) -> Option<()> {
    bytes.clear();
    let digits = text.strip_prefix("0x")?;
    for pair in digits.as_bytes().chunks(2) {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        bytes.push(u8::from_str_radix(pair, 16).ok()?);
    }
    Some(())
}
