//! How much one call of a function may make, judged by its arguments before it is made: a short query must not be able to
//! ask for an endless value, or for work that nothing can interrupt. What is not here: what the calls of a query hold
//! together ([`super::meter`]), and who asks ([`super::bounds`]).

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::meter::too_much;

/// The most that one call may make for a batch of rows.
pub(crate) const CALL_BYTES_MAX: u64 = 32 << 20;
/// The most pairs of letters or items that one call may compare.
const PAIRS_MAX: u64 = 100_000_000;

/// How much a call can make at most, judged by its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    /// All arguments one after the other.
    Sum,
    /// The first as often as the second says.
    Times,
    /// As long as the second says.
    Length,
    /// The third in place of every letter of the first.
    Replace,
    /// The second between the items of the first.
    Join,
    /// Every letter of the first with every one of the second.
    Letters,
    /// Every item of the first with every one of the second.
    Items,
}

const RULES: [(&str, Rule); 10] = [
    ("concat", Rule::Sum),
    ("repeat", Rule::Times),
    ("lpad", Rule::Length),
    ("rpad", Rule::Length),
    ("replace", Rule::Replace),
    ("regexp_replace", Rule::Replace),
    ("array_to_string", Rule::Join),
    ("levenshtein", Rule::Letters),
    ("array_has_all", Rule::Items),
    ("array_has_any", Rule::Items),
];

impl Rule {
    /// The rule of a function; most need none, as they make about as much as they are given.
    pub(crate) fn of(name: &str) -> Option<Rule> {
        RULES.iter().find(|(ruled, _)| *ruled == name).map(|(_, rule)| *rule)
    }

    /// Judges a call, which may make so many bytes.
    ///
    /// # Errors
    /// `query-memory`: it would make too much.
    pub(crate) fn check(self, name: &str, call: &ScalarFunctionArgs, bytes_max: u64) -> Result<()> {
        let rows = call.number_rows.max(1);
        let argument = |number: usize| call.args.get(number);
        let max = match self {
            Rule::Letters | Rule::Items => PAIRS_MAX,
            _ => bytes_max,
        };
        let total = match self {
            Rule::Sum => {
                call.args.iter().map(|argument| Ok(sum(&lengths(argument, rows)?))).sum::<Result<u64>>()?
            }
            Rule::Times => product(&lengths_of(argument(0), rows)?, &numbers_of(argument(1), rows)?),
            Rule::Length => sum(&numbers_of(argument(1), rows)?).saturating_mul(4),
            Rule::Replace => {
                let lengths: Vec<u64> =
                    lengths_of(argument(0), rows)?.iter().map(|length| length + 1).collect();
                product(&lengths, &lengths_of(argument(2), rows)?).saturating_mul(2)
            }
            Rule::Join => items(argument(0))?.saturating_mul(largest(&lengths_of(argument(1), rows)?)),
            Rule::Letters => product(&lengths_of(argument(0), rows)?, &lengths_of(argument(1), rows)?),
            Rule::Items => items(argument(0))?.saturating_mul(longest(argument(1))?),
        };
        match total > max {
            true => Err(too_much(&format!("one call of '{name}'"))),
            false => Ok(()),
        }
    }
}

fn sum(values: &[u64]) -> u64 {
    values.iter().fold(0, |sum, value| sum.saturating_add(*value))
}

fn largest(values: &[u64]) -> u64 {
    values.iter().copied().max().unwrap_or_default()
}

fn product(one: &[u64], other: &[u64]) -> u64 {
    one.iter().zip(other).fold(0, |sum, (one, other)| sum.saturating_add(one.saturating_mul(*other)))
}

fn lengths_of(argument: Option<&ColumnarValue>, rows: usize) -> Result<Vec<u64>> {
    argument.map_or(Ok(vec![0; rows]), |argument| lengths(argument, rows))
}

/// How long the texts are in each row; what is no text counts as short.
fn lengths(argument: &ColumnarValue, rows: usize) -> Result<Vec<u64>> {
    let array = array(argument)?;
    let of = |texts: &StringViewArray| texts.iter().map(|text| text.map_or(0, str::len) as u64).collect();
    let mut lengths: Vec<u64> = match array.data_type() {
        DataType::Utf8View => of(array.as_string_view()),
        DataType::Utf8 | DataType::LargeUtf8 => of(cast(&array, &DataType::Utf8View)?.as_string_view()),
        _ => vec![32; array.len()],
    };
    spread(&mut lengths, rows);
    Ok(lengths)
}

fn numbers_of(argument: Option<&ColumnarValue>, rows: usize) -> Result<Vec<u64>> {
    let Some(argument) = argument else { return Ok(vec![0; rows]) };
    let array = cast(&array(argument)?, &DataType::Int64)?;
    let numbers: &Int64Array = array.as_primitive::<Int64Type>();
    let mut numbers: Vec<u64> =
        numbers.iter().map(|number| u64::try_from(number.unwrap_or_default()).unwrap_or_default()).collect();
    spread(&mut numbers, rows);
    Ok(numbers)
}

fn items(argument: Option<&ColumnarValue>) -> Result<u64> {
    let Some(argument) = argument else { return Ok(0) };
    let array = array(argument)?;
    let items = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().values().len(),
        DataType::LargeList(_) => array.as_list::<i64>().values().len(),
        _ => array.len(),
    };
    Ok(items as u64)
}

/// How many items the longest list has.
fn longest(argument: Option<&ColumnarValue>) -> Result<u64> {
    let Some(argument) = argument else { return Ok(0) };
    let array = array(argument)?;
    let most = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().iter().flatten().map(|list| list.len()).max(),
        DataType::LargeList(_) => array.as_list::<i64>().iter().flatten().map(|list| list.len()).max(),
        _ => Some(1),
    };
    Ok(most.unwrap_or_default() as u64)
}

/// A scalar stays one value, so that looking at it costs nothing.
fn array(argument: &ColumnarValue) -> Result<ArrayRef> {
    match argument {
        ColumnarValue::Array(array) => Ok(array.clone()),
        ColumnarValue::Scalar(scalar) => scalar.to_array(),
    }
}

fn spread(values: &mut Vec<u64>, rows: usize) {
    if let [only] = values.as_slice() {
        *values = vec![*only; rows];
    }
}
