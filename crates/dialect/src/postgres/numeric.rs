//! PostgreSQL's `numeric` over decimals of 38 digits: which decimal a number becomes, `round`, and what becomes of it as a
//! whole number. A float stays one and is only told as `numeric`: no decimal holds all floats. What is not here: where in a
//! statement they are called ([`super::casts`]).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef, Float64Type, Int64Type,
};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use tidemill_core::{Problem, codes};

use super::types;
use crate::error::{bad, does_not_fit, from_problem};

/// `numeric(value)` and `numeric(value, precision, scale)`.
pub(crate) const NUMERIC: &str = "tidemill_numeric";
/// `round(value)` and `round(value, places)`.
pub(crate) const ROUND: &str = "tidemill_round";
/// The places that a rounded number may have: as many digits are left before the point at least.
pub(crate) const PLACES_MAX: i8 = 20;
/// A float becomes a numeric by so many digits, as PostgreSQL has it.
const FLOAT_DIGITS: usize = 15;

/// The functions.
pub(crate) fn all() -> [Arc<ScalarUDF>; 2] {
    [NUMERIC, ROUND].map(function)
}

/// The function of that name, one of these.
pub(crate) fn function(name: &'static str) -> Arc<ScalarUDF> {
    let signature = Signature::variadic_any(Volatility::Immutable);
    Arc::new(ScalarUDF::from(Exact { name, signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Exact {
    name: &'static str,
    signature: Signature,
}

/// A number as its digits: `sign`, all digits without a point, and how many of them stand behind it.
struct Digits {
    negative: bool,
    digits: String,
    scale: i32,
}

impl Digits {
    /// As SQL writes numbers, with an exponent or without.
    fn of(text: &str) -> Option<Digits> {
        let text = text.trim();
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i16>().ok()?),
            None => (text, 0),
        };
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{decimals}");
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let scale = i32::try_from(decimals.len()).ok()? - i32::from(exponent);
        Some(Digits { negative, digits: digits.trim_start_matches('0').to_owned(), scale })
    }

    /// Precision and scale of the decimal that holds every digit.
    fn holds(&self) -> Option<(u8, i8)> {
        let scale = i8::try_from(self.scale.max(0)).ok()?;
        let zeros = usize::try_from(-self.scale).unwrap_or_default();
        let digits = (self.digits.len() + zeros).max(usize::try_from(scale).ok()?).max(1);
        let precision = u8::try_from(digits).ok().filter(|digits| *digits <= DECIMAL128_MAX_PRECISION)?;
        Some((precision, scale))
    }

    /// The number in units of that many places, halves away from zero.
    fn scaled(&self, scale: i8) -> Option<i128> {
        let shift = i32::from(scale) - self.scale;
        let size = match usize::try_from(shift) {
            Ok(_) if self.digits.is_empty() => Some(0),
            Ok(zeros) if zeros + self.digits.len() > usize::from(DECIMAL128_MAX_PRECISION) => None,
            Ok(zeros) => format!("{}{}", self.digits, "0".repeat(zeros)).parse().ok(),
            Err(_) => {
                let kept = self.digits.len().checked_sub(usize::try_from(-shift).ok()?);
                let (kept, next) = match kept {
                    Some(kept) => (self.digits.get(..kept)?, self.digits.as_bytes().get(kept)),
                    None => ("", None),
                };
                let size: i128 = if kept.is_empty() { 0 } else { kept.parse().ok()? };
                Some(size + i128::from(next.is_some_and(|digit| *digit >= b'5')))
            }
        }?;
        Some(if self.negative { -size } else { size })
    }
}

/// Precision and scale of the decimal that holds every digit of all these numbers.
pub(crate) fn holding<'a>(numbers: impl Iterator<Item = &'a str>) -> Option<(u8, i8)> {
    let (mut whole, mut decimals) = (1, 0);
    for number in numbers {
        let (precision, scale) = Digits::of(number)?.holds()?;
        whole = whole.max(precision.saturating_sub(scale.unsigned_abs()));
        decimals = decimals.max(scale);
    }
    let precision = whole.saturating_add(decimals.unsigned_abs());
    (precision <= DECIMAL128_MAX_PRECISION).then_some((precision, decimals))
}

/// What a call gives.
enum Gives {
    Decimal(u8, i8),
    /// A float that is told as a numeric.
    Float,
    /// A float without decimals.
    Whole,
}

/// A text that is no number, or one with too many digits.
fn refused(text: &str) -> datafusion::common::DataFusionError {
    let shown: String = text.chars().take(40).collect();
    match Digits::of(text) {
        None => bad(format!("'{shown}' is no numeric")),
        Some(_) => does_not_fit(format!("'{shown}' as a numeric, which has at most 38 digits here")),
    }
}

/// A float that no decimal is.
fn not_finite(text: &str, precision: u8, scale: i8) -> datafusion::common::DataFusionError {
    let what = format!("a number does not fit: {text} as numeric({precision}, {scale})");
    from_problem(Problem::new(&codes::BAD_SQL, what).hint(
        "Leave such rows out: FILTER (WHERE value NOT IN ('NaN', 'Infinity', '-Infinity')), or nullif(value, 'NaN')",
    ))
}

fn constant(value: Option<&Option<&ScalarValue>>) -> Option<i64> {
    match value.copied().flatten()?.cast_to(&DataType::Int64).ok()? {
        ScalarValue::Int64(number) => number,
        _ => None,
    }
}

impl Exact {
    fn gives(&self, kind: &DataType, constants: &[Option<&ScalarValue>]) -> Result<Gives> {
        let number = |place: usize| constant(constants.get(place));
        if self.name == ROUND {
            return Ok(match (number(1), kind) {
                (Some(places), _) => {
                    let places = i8::try_from(places).ok().filter(|places| *places <= PLACES_MAX);
                    let places = places.ok_or_else(|| bad("too many places to round to"))?;
                    Gives::Decimal(DECIMAL128_MAX_PRECISION, places.max(0))
                }
                (None, kind) if kind.is_decimal() => Gives::Decimal(DECIMAL128_MAX_PRECISION, 0),
                _ => Gives::Whole,
            });
        }
        if constants.len() > 1 {
            let precision = number(1).and_then(|number| u8::try_from(number).ok());
            let scale = number(2).and_then(|number| i8::try_from(number).ok());
            return match precision.zip(scale) {
                Some((precision, scale))
                    if (1..=DECIMAL128_MAX_PRECISION).contains(&precision)
                        && (0..=precision.cast_signed()).contains(&scale) =>
                {
                    Ok(Gives::Decimal(precision, scale))
                }
                _ => Err(bad("a numeric has 1 to 38 digits here, and no more of them behind the point")),
            };
        }
        Ok(match kind {
            DataType::UInt64 => Gives::Decimal(20, 0),
            kind if kind.is_integer() => Gives::Decimal(19, 0),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale) => Gives::Decimal(*precision, *scale),
            kind if kind.is_floating() => Gives::Float,
            DataType::Null => Gives::Decimal(DECIMAL128_MAX_PRECISION, 0),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                match constants.first().copied().flatten().and_then(|text| text.try_as_str()).flatten() {
                    None => {
                        return Err(bad("text that is no constant needs its digits: write numeric(38, 10)"));
                    }
                    Some(text) => {
                        let holds = Digits::of(text).and_then(|digits| digits.holds());
                        let (precision, scale) = holds.ok_or_else(|| refused(text))?;
                        Gives::Decimal(precision, scale)
                    }
                }
            }
            other => return Err(bad(format!("{other} is no numeric"))),
        })
    }
}

impl ScalarUDFImpl for Exact {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(bad("what this gives depends on what it is given"))
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let kind = call.arg_fields.first().map_or(&DataType::Null, |field| field.data_type());
        let field = |kind| Field::new(self.name, kind, true);
        Ok(Arc::new(match self.gives(kind, call.scalar_arguments)? {
            Gives::Decimal(precision, scale) => field(DataType::Decimal128(precision, scale)),
            Gives::Whole => field(DataType::Float64),
            Gives::Float => types::told_as(field(DataType::Float64), types::NUMERIC),
        }))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = call.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let constants: Vec<Option<&ScalarValue>> = call
            .args
            .iter()
            .map(|argument| match argument {
                ColumnarValue::Scalar(value) => Some(value),
                ColumnarValue::Array(_) => None,
            })
            .collect();
        let Some(value) = call.args.first() else { return Err(bad("a value is missing")) };
        let column = value.to_array(if scalar { 1 } else { call.number_rows })?;
        let tens = constant(constants.get(1)).filter(|_| self.name == ROUND);
        let made: ArrayRef = match self.gives(column.data_type(), &constants)? {
            Gives::Float => Arc::new(floats(&column)?.unary::<_, Float64Type>(shortened)),
            Gives::Whole => Arc::new(floats(&column)?.unary::<_, Float64Type>(f64::round_ties_even)),
            Gives::Decimal(precision, scale) => {
                let tens = tens.and_then(|places| i8::try_from(places).ok()).filter(|places| *places < 0);
                Arc::new(decimals(&column, precision, scale, tens)?)
            }
        };
        Ok(match scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(made),
        })
    }
}

fn floats(column: &ArrayRef) -> Result<Float64Array> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(column, &DataType::Float64, &strict)?.as_primitive::<Float64Type>().clone())
}

/// The float of its first digits.
fn shortened(value: f64) -> f64 {
    let text = format!("{value:.*e}", FLOAT_DIGITS - 1);
    if value.is_finite() { text.parse().unwrap_or(value) } else { value }
}

/// Numbers as decimals, halves away from zero; to whole tens, hundreds, … where `tens` is below zero.
fn decimals(column: &ArrayRef, precision: u8, scale: i8, tens: Option<i8>) -> Result<Decimal128Array> {
    let digits = texts(column)?;
    let limit = 10_i128.pow(u32::from(precision));
    let mut made = Vec::with_capacity(column.len());
    for row in 0..column.len() {
        let Some(text) = digits(row) else {
            made.push(None);
            continue;
        };
        let number = Digits::of(&text).ok_or_else(|| match column.data_type().is_floating() {
            true => not_finite(&text, precision, scale),
            false => refused(&text),
        })?;
        let units = match tens {
            None => number.scaled(scale),
            Some(tens) => number
                .scaled(tens)
                .and_then(|units| units.checked_mul(10_i128.checked_pow(u32::from(tens.unsigned_abs()))?)),
        };
        let units = units.filter(|units| units.abs() < limit);
        made.push(Some(
            units.ok_or_else(|| does_not_fit(format!("{} as numeric({precision}, {scale})", text.trim())))?,
        ));
    }
    Ok(Decimal128Array::from(made).with_precision_and_scale(precision, scale)?)
}

/// How each row is written.
fn texts(column: &ArrayRef) -> Result<Box<dyn Fn(usize) -> Option<String> + '_>> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let some = |row: usize| column.is_valid(row).then_some(row);
    Ok(match column.data_type() {
        kind if kind.is_floating() => {
            let numbers = floats(column)?;
            Box::new(move |row| some(row).map(|row| format!("{:.*e}", FLOAT_DIGITS - 1, numbers.value(row))))
        }
        DataType::Decimal128(..) => {
            let numbers = column.as_primitive::<Decimal128Type>();
            Box::new(move |row| some(row).map(|row| numbers.value_as_string(row)))
        }
        kind if kind.is_signed_integer() => {
            let numbers = cast_with_options(column, &DataType::Int64, &strict)?;
            let numbers = numbers.as_primitive::<Int64Type>().clone();
            Box::new(move |row| some(row).map(|row| numbers.value(row).to_string()))
        }
        _ => {
            let texts = cast_with_options(column, &DataType::Utf8, &strict)?.as_string::<i32>().clone();
            Box::new(move |row| texts.is_valid(row).then(|| texts.value(row).to_owned()))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_held_and_rounded_as_written() {
        for (text, holds, places, scaled) in [
            ("12345678901234567890.123456789012", Some((32, 12)), 0, Some(12_345_678_901_234_567_890)),
            ("0.1", Some((1, 1)), 3, Some(100)),
            ("1e-7", Some((7, 7)), 7, Some(1)),
            ("2.50e2", Some((3, 0)), -2, Some(3)),
            ("-2.345", Some((4, 3)), 2, Some(-235)),
            ("0.05", Some((2, 2)), 0, Some(0)),
            ("0.5", Some((1, 1)), 0, Some(1)),
            ("0", Some((1, 0)), 5, Some(0)),
            ("1e40", None, 0, None),
            ("0.000000000000000000000000000000000000001", None, 2, Some(0)),
        ] {
            let digits = Digits::of(text).expect("a number");
            assert_eq!((digits.holds(), digits.scaled(places)), (holds, scaled), "{text}");
        }
        for text in ["", ".", "1.2.3", "x", "1e", "NaN", "--1"] {
            assert!(Digits::of(text).is_none(), "{text}");
        }
    }
}
