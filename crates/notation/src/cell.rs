//! What stands in one cell: a number with a decimal point or comma, a boolean, a word of absence, or text. Which of
//! them a column holds is not decided here, but from all of its cells.

use tidemill_core::{Kind, Quality, Value};

use crate::words;

/// What separates whole from broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decimal {
    /// 1.5
    Point,
    /// 1,5
    Comma,
}

impl Decimal {
    /// The words for `--decimal`.
    pub fn from_name(name: &str) -> Option<Decimal> {
        match name {
            "point" | "." => Some(Decimal::Point),
            "comma" | "," => Some(Decimal::Comma),
            _ => None,
        }
    }
}

/// What a number's spelling tells of the decimal mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// Digits alone.
    Plain,
    /// `1.5`, `1,234.5`.
    Point,
    /// `1,5`, `1.234,5`.
    Comma,
    /// `1,234`: 1.234 with a comma, 1234 with a point. (`1.234` is read with a point unless other numbers have commas.)
    CommaOrGroup,
    /// `1.234`.
    PointOrGroup,
}

/// How a number is spelled, if it is one.
pub fn spelling(text: &str) -> Option<Spelling> {
    spelled(text).map(|(spelling, _)| spelling)
}

/// How a number is spelled, and the number: with a point where it may be either.
pub fn spelled(text: &str) -> Option<(Spelling, f64)> {
    let first = text.chars().next()?;
    if !(first.is_ascii_digit() || matches!(first, '-' | '+' | '.' | ',' | '\u{2212}')) {
        return None;
    }
    let point = number(text, Decimal::Point);
    let Some(mark) = text.rfind([',', '.']) else { return point.map(|number| (Spelling::Plain, number)) };
    // Only a group of three may stand behind the other mark.
    let comma = match (point, text.contains(',')) {
        (Some(_), false) if !ends_in_group(text.get(mark + 1..)?) => None,
        _ => number(text, Decimal::Comma),
    };
    match (point, comma) {
        (None, None) => None,
        (Some(number), None) => Some((Spelling::Point, number)),
        (None, Some(number)) => Some((Spelling::Comma, number)),
        (Some(number), Some(_)) if text.contains(',') => Some((Spelling::CommaOrGroup, number)),
        (Some(number), Some(_)) => Some((Spelling::PointOrGroup, number)),
    }
}

/// A number of digits and at most one mark that is surely no time and no group of thousands, as most are: what
/// [`spelled`] says of it, without looking at any other form.
pub fn bare(text: &str) -> Option<(Spelling, f64)> {
    let digits = text.as_bytes();
    let body = digits.strip_prefix(b"-").unwrap_or(digits);
    let whole = body.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (_, rest) = body.split_at(whole);
    let (spelling, fraction) = match rest {
        [] => (Spelling::Plain, None),
        [b'.', fraction @ ..] => (Spelling::Point, Some(fraction)),
        [b',', fraction @ ..] => (Spelling::Comma, Some(fraction)),
        _ => return None,
    };
    if !fraction.unwrap_or_default().iter().all(u8::is_ascii_digit) {
        return None;
    }
    let fraction = fraction.map(<[u8]>::len);
    // Dates and times of day without marks between their numbers have 4, 6, 8, 10, 12 or 14 digits.
    let is_no_time =
        body.len() < digits.len() || matches!(whole, 1..=3 | 5 | 7) || (whole == 4 && fraction.is_some());
    if !is_no_time || whole == 0 || whole > BARE_DIGITS_MAX || matches!(fraction, Some(0 | 3)) {
        return None;
    }
    let number = if spelling == Spelling::Comma { with_comma(text) } else { text.parse().ok() };
    Some((spelling, number?))
}

/// More are a count since 1970, or none that a float holds.
const BARE_DIGITS_MAX: usize = 15;

/// The longest number with a comma that is read without room of its own.
const COMMA_BYTES_MAX: usize = 32;

/// A short number of nothing but digits and a comma between them.
fn with_comma(text: &str) -> Option<f64> {
    let mut room = [0; COMMA_BYTES_MAX];
    let room = room.get_mut(..text.len())?;
    room.copy_from_slice(text.as_bytes());
    let body = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = body.split_once(',')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(whole) && digits(fraction)).then_some(())?;
    *room.get_mut(text.len() - fraction.len() - 1)? = b'.';
    std::str::from_utf8(room).ok()?.parse().ok()
}

fn ends_in_group(behind: &str) -> bool {
    behind.split(['e', 'E']).next().is_some_and(|digits| digits.len() == 3)
}

/// Reads a number, the nearest float to what is written. Groups of three digits may be set apart by the other mark, by
/// blanks or by apostrophes. NaN and infinities are none.
pub fn number(text: &str, decimal: Decimal) -> Option<f64> {
    let plain = decimal == Decimal::Point
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
    let comma = || if decimal == Decimal::Comma { with_comma(text) } else { None };
    let value: f64 = match plain {
        true => text.parse().ok()?,
        false => comma().or_else(|| regular(text, decimal)?.parse().ok())?,
    };
    value.is_finite().then_some(value)
}

/// The number as Rust spells it.
fn regular(text: &str, decimal: Decimal) -> Option<String> {
    let (point, group) = if decimal == Decimal::Point { ('.', ',') } else { (',', '.') };
    let body = text.strip_prefix(['-', '+', '\u{2212}']).unwrap_or(text);
    let negative = text.starts_with(['-', '\u{2212}']);
    let exponent_at = body.find(['e', 'E']).unwrap_or(body.len());
    let (mantissa, exponent) = body.split_at(exponent_at);
    let (whole, fraction) =
        mantissa.split_once(point).map_or((mantissa, None), |(whole, rest)| (whole, Some(rest)));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if fraction.is_some_and(|fraction| !digits(fraction)) || !is_exponent(exponent) {
        return None;
    }
    let mut out = String::with_capacity(text.len() + 1);
    if negative {
        out.push('-');
    }
    if digits(whole) {
        if whole.is_empty() && fraction.is_none_or(str::is_empty) {
            return None;
        }
        out.push_str(whole);
    } else {
        push_groups(whole, group, &mut out)?;
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out.push_str(exponent);
    Some(out)
}

/// Whether a text is infinite or, as a number, beyond every float: `inf`, `-Infinity`, `1e999`.
pub fn is_infinite(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+', '\u{2212}']).unwrap_or(text);
    // `1.#INF`, as the libraries of C write it.
    if body.eq_ignore_ascii_case("1.#inf") {
        return true;
    }
    if !body.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '.' | ',')) {
        return ["inf", "infinity", "\u{221e}"].iter().any(|word| body.eq_ignore_ascii_case(word));
    }
    let beyond =
        |decimal| regular(text, decimal).and_then(|number| number.parse().ok()).is_some_and(f64::is_infinite);
    beyond(Decimal::Point) || beyond(Decimal::Comma)
}

fn is_exponent(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(['e', 'E']) else { return text.is_empty() };
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())
}

/// `1.234.567`, `1 234 567`, `1'234'567`: one mark, groups of three, no leading zero.
fn push_groups(whole: &str, group: char, out: &mut String) -> Option<()> {
    let mark = whole.chars().find(|character| !character.is_ascii_digit())?;
    if mark != group && !matches!(mark, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' | '\'' | '\u{2019}') {
        return None;
    }
    for (index, part) in whole.split(mark).enumerate() {
        let length = if index == 0 { 1..=3 } else { 3..=3 };
        let leading_zero = index == 0 && part.starts_with('0');
        if !length.contains(&part.len()) || leading_zero || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        out.push_str(part);
    }
    Some(())
}

/// Words for true and false, as Excel writes them in some languages, and the states of a switch.
pub fn boolean(text: &str) -> Option<bool> {
    const TRUE: &[&str] = &["true", "wahr", "vrai", "verdadero", "vero", "waar", "on"];
    const FALSE: &[&str] = &["false", "falsch", "faux", "falso", "onwaar", "off"];
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(TRUE) { Some(true) } else { is(FALSE).then_some(false) }
}

/// What the cells of a column are read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    /// A number.
    Float(Decimal),
    /// A number with this unit behind it, or none.
    United(Decimal, &'static str),
    /// True or false.
    Bool,
    /// A text, or a word that nobody means as one.
    Text,
    /// By each cell: the narrow form, where rows belong to different signals.
    Any(Decimal),
    /// As the column's type says, where the file has types.
    Stated(Kind),
}

impl CellKind {
    /// Whether the file says what its cells are.
    pub fn is_stated(self) -> bool {
        matches!(self, CellKind::Stated(_))
    }
}

/// A cell that is read: a value with the quality of its absence.
pub type Read = (Value, Quality);

/// Reads a cell that is not empty.
///
/// # Errors
/// What it is not.
pub fn read(text: &str, kind: CellKind) -> Result<Read, String> {
    let good = |value| Ok((value, Quality::GOOD));
    let missing = |among_numbers| words::absent(text, among_numbers).map(|quality| (Value::None, quality));
    let shown = || text.chars().take(40).collect::<String>();
    match kind {
        CellKind::Float(decimal) => match number(text, decimal) {
            Some(value) => good(float_or_whole(text, value)),
            None => missing(true).ok_or_else(|| format!("'{}' is no finite number", shown())),
        },
        CellKind::United(decimal, unit) => {
            let bare = text.strip_suffix(unit).map_or(text, str::trim_end);
            // Beside per cent a bare number may be a share of one.
            if unit == "%" && bare.len() == text.len() && number(text, decimal).is_some_and(|it| it != 0.0) {
                return Err(format!("'{}' has no %, as the others have", shown()));
            }
            read(bare, CellKind::Float(decimal)).map_err(|_| format!("'{}' is no number of {unit}", shown()))
        }
        CellKind::Bool => match boolean(text) {
            Some(value) => good(Value::Bool(value)),
            None => missing(true).ok_or_else(|| format!("'{}' is neither true nor false", shown())),
        },
        CellKind::Text => missing(false).map_or_else(|| good(Value::Text(text.into())), Ok),
        CellKind::Any(decimal) => {
            if let Some(value) = number(text, decimal) {
                return good(float_or_whole(text, value));
            }
            if let Some(missing) = missing(false) {
                return Ok(missing);
            }
            if is_infinite(text) {
                return Err(format!("'{}' is no finite number", shown()));
            }
            good(boolean(text).map_or_else(|| Value::Text(text.into()), Value::Bool))
        }
        CellKind::Stated(kind) => read_stated(text, kind).map(|value| (value, Quality::GOOD)),
    }
}

/// A bare number is a float; but a whole one of 64 bits that no float holds is kept as the integer that it is.
pub fn float_or_whole(text: &str, nearest: f64) -> Value {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let whole = if nearest.abs() < EXACT_MAX { None } else { text.parse::<i128>().ok() };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is beyond 128 bits is no 64-bit integer either"
    )]
    let whole = whole.filter(|whole| nearest as i128 != *whole);
    let signed = whole.and_then(|whole| i64::try_from(whole).ok()).map(Value::Int);
    let unsigned = whole.and_then(|whole| u64::try_from(whole).ok()).map(Value::UInt);
    signed.or(unsigned).unwrap_or(Value::Float(nearest))
}

/// The floats without digits, as exports spell them (docs/reference/formats.md).
pub const NOT_FINITE: [(&str, f64); 3] =
    [("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY), ("NaN", f64::NAN)];

/// Reads a value whose kind is stated, as our own exports do. An empty cell is an empty text, and nothing else.
///
/// # Errors
/// It is none of that kind.
pub fn read_stated(text: &str, kind: Kind) -> Result<Value, String> {
    let no = || format!("'{}' is no {}", text.chars().take(40).collect::<String>(), kind.name());
    match kind {
        Kind::None if text.is_empty() => Ok(Value::None),
        Kind::None => Err(format!("the kind is none, but there is the value '{text}'")),
        Kind::Float => {
            let special = NOT_FINITE.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
            special.or_else(|| number(text, Decimal::Point)).map(Value::Float).ok_or_else(no)
        }
        Kind::Int => text.parse().map(Value::Int).map_err(|_| no()),
        Kind::UInt => text.parse().map(Value::UInt).map_err(|_| no()),
        Kind::Bool => boolean(text).map(Value::Bool).ok_or_else(no),
        Kind::Text => Ok(Value::Text(text.into())),
        Kind::Json => {
            serde_json::from_str::<&serde_json::value::RawValue>(text).map_err(|_| no())?;
            // Said to be a document, it is kept as it stands, as at the door for JSON: an export comes back to the last bit.
            Ok(Value::Json(text.into()))
        }
        Kind::Bytes => hex(text).map(|bytes| Value::Bytes(bytes.into())).ok_or_else(no),
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::civil;

    proptest! {
        #[test]
        fn a_bare_number_is_that_number_and_no_time(text in "-?[0-9]{0,17}([.,][0-9]{0,8})?") {
            if let Some((spelling, number)) = bare(&text) {
                // The words of Rust are the measure: a comma is its point.
                prop_assert_eq!(text.replace(',', ".").parse(), Ok(number));
                prop_assert_eq!(spelled(&text), Some((spelling, number)));
                prop_assert!(text.starts_with('-') || civil::parse(&text, None).is_none());
            }
        }
    }

    #[test]
    fn what_may_be_a_time_or_thousands_is_not_bare() {
        for text in ["1200", "120000", "20240131", "2024013112", "1.234", "1,234", ".5", "5.", "", "-", "1e5"]
        {
            assert_eq!(bare(text), None, "{text}");
        }
    }
}
