//! Casts as PostgreSQL means them: `regclass` and its like, numerics by their digits, bytes, texts that are cut. What is not
//! here: how numerics are made ([`super::numeric`]), and casts whose meaning only types tell ([`super::meaning`]).

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{
    CharacterLength, DataType as SqlType, ExactNumberInfo, Expr, UnaryOperator, Value as Literal,
};

use super::dialect::{argument_of, calling, casting, expressions, taken, text};
use super::functions::REGISTERED;
use super::numeric::NUMERIC;
use super::{intervals, lists, types};

/// The cast in another way, or its type in the planner's words.
///
/// # Errors
/// What is written is no value of that type.
pub(crate) fn cast(inner: &mut Expr, to: &mut SqlType) -> Result<Option<Expr>> {
    unpad(inner);
    let name = to.to_string().to_lowercase().replace('"', "");
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    if let Some((_, into, _)) = REGISTERED.iter().find(|(known, ..)| *known == name) {
        return Ok(Some(calling(into, vec![taken(inner)])));
    }
    // 'name'::regclass::oid is the number, and number::regclass::text the name.
    let registered =
        REGISTERED.iter().find_map(|(_, into, out)| Some((argument_of(inner, into)?.clone(), out)));
    if let Some((number, out)) = registered {
        return Ok(Some(match types::by_name(name) {
            // No longer told by its name.
            Some(types::OID | types::INT4 | types::INT8) => Expr::Nested(Box::new(taken(inner))),
            _ => calling(out, vec![number]),
        }));
    }
    match (types::by_name(name), &to) {
        (Some(types::OID), _) => *to = SqlType::IntUnsigned(None),
        (_, SqlType::Numeric(info) | SqlType::Decimal(info) | SqlType::Dec(info)) => {
            let info = *info;
            return Ok(Some(numeric(inner, info)));
        }
        (Some(types::INT2 | types::INT4 | types::INT8), _) => {
            if let Some(exact) = decimals(inner) {
                *inner = exact;
            }
        }
        (_, SqlType::Bytea) => return Ok(bytes(inner)),
        (_, SqlType::Interval { .. }) => interval(inner)?,
        (kind, SqlType::Custom(..) | SqlType::Array(_))
            if kind.is_some_and(|kind| types::item_of(kind).is_some())
                || name.ends_with("[]")
                || name.ends_with("vector") =>
        {
            return lists::cast(inner, to, name).map(Some);
        }
        (
            _,
            SqlType::Character(length)
            | SqlType::Char(length)
            | SqlType::CharacterVarying(length)
            | SqlType::CharVarying(length)
            | SqlType::Varchar(length),
        ) => {
            let pads = matches!(to, SqlType::Character(_) | SqlType::Char(_));
            let length = match length {
                Some(CharacterLength::IntegerLength { length, .. }) => Some(*length),
                _ => pads.then_some(1),
            };
            if let Some(length) = length {
                return Ok(Some(cut(taken(inner), length, pads)));
            }
            *to = SqlType::Text;
        }
        // Kinds of text that only PostgreSQL tells apart.
        (_, SqlType::Custom(..) | SqlType::JSON | SqlType::JSONB | SqlType::Uuid) => *to = SqlType::Text,
        (_, SqlType::Timestamp(Some(_), zone)) => *to = SqlType::Timestamp(None, *zone),
        _ => {}
    }
    Ok(None)
}

/// An interval that is written out, in words that the planner reads.
///
/// # Errors
/// It is none.
pub(crate) fn interval(written: &mut Expr) -> Result<()> {
    if let Expr::Value(value) = written
        && let Literal::SingleQuotedString(text) = &mut value.value
    {
        *text = intervals::said(text)?;
    }
    Ok(())
}

/// `::numeric`, of what is written out by its digits.
fn numeric(inner: &mut Expr, info: ExactNumberInfo) -> Expr {
    let value = match digits(inner) {
        Some(digits) => text(&digits),
        None => taken(inner),
    };
    let number = |number: i64| Expr::Value(Literal::Number(number.to_string(), false).into());
    let measures = match info {
        ExactNumberInfo::None => Vec::new(),
        ExactNumberInfo::Precision(precision) => vec![precision.cast_signed(), 0],
        ExactNumberInfo::PrecisionAndScale(precision, scale) => vec![precision.cast_signed(), scale],
    };
    calling(NUMERIC, std::iter::once(value).chain(measures.into_iter().map(number)).collect())
}

/// The digits of a number that is written out.
fn digits(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => match &value.value {
            Literal::Number(digits, _) => Some(digits.clone()),
            _ => None,
        },
        Expr::Nested(inner) => digits(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            let digits = digits(expr)?;
            Some(digits.strip_prefix('-').map_or_else(|| format!("-{digits}"), str::to_owned))
        }
        _ => None,
    }
}

/// A number that is written out with decimals, as a numeric: what a whole number is made of.
fn decimals(expr: &Expr) -> Option<Expr> {
    let digits = digits(expr)?;
    digits.contains(['.', 'e', 'E']).then(|| calling(NUMERIC, vec![text(&digits)]))
}

/// Whether a number is written out with decimals: a numeric in PostgreSQL.
pub(crate) fn is_decimal(expr: &Expr) -> bool {
    decimals(expr).is_some()
}

/// The first characters of a text, filled up with blanks where the type says so.
fn cut(expr: Expr, length: u64, pads: bool) -> Expr {
    let count = || Expr::Value(Literal::Number(length.to_string(), false).into());
    let cut = calling("left", vec![casting(expr, SqlType::Text), count()]);
    if pads { casting(calling("rpad", vec![cut, count()]), SqlType::Char(None)) } else { cut }
}

/// A text without the blanks that it is filled up with, which do not count but where it is shown.
pub(crate) fn unpad(expr: &mut Expr) {
    match expr {
        Expr::Nested(inner) => unpad(inner),
        Expr::Cast { expr: inner, data_type: SqlType::Char(None), .. } => {
            if let Expr::Function(padding) = inner.as_ref()
                && let Some(text) = expressions(&padding.args).first()
            {
                *expr = calling("rtrim", vec![(*text).clone()]);
            }
        }
        _ => {}
    }
}

/// Bytes that are written out: `\x00ff`, or letters with `\\` and `\ooo`.
fn bytes(inner: &Expr) -> Option<Expr> {
    let Expr::Value(value) = inner else { return None };
    // Digits that are bytes already.
    if matches!(value.value, Literal::HexStringLiteral(_)) {
        return None;
    }
    let text = value.value.clone().into_string()?;
    let hexadecimal = match text.strip_prefix("\\x") {
        Some(digits) => digits.split_whitespace().collect(),
        None => escaped(&text)?.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
    };
    let whole = hexadecimal.len() % 2 == 0 && hexadecimal.bytes().all(|digit| digit.is_ascii_hexdigit());
    // What is no such text is refused when it is planned.
    whole.then(|| Expr::Value(Literal::HexStringLiteral(hexadecimal).into()))
}

fn escaped(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'\\', [b'\\', after @ ..]) => {
                out.push(b'\\');
                rest = after;
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            (b'\\', _) => return None,
            (byte, _) => out.push(*byte),
        }
    }
    Some(out)
}
