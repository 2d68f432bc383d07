//! Lists: of items that are written out, and as lists of another type. What is not here: how their text is read
//! ([`super::list_text`]), how lists are told ([`super::values`]), and casts of single values ([`super::casts`]).

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, DataType as SqlType, ExactNumberInfo, Expr, TimezoneInfo, Value as Literal,
};
use tidemill_core::TypeNumber;

use super::dialect::{calling, casting, null, number, taken, text};
use super::functions::NO_ITEMS;
use super::list_text::items;
use super::numeric::{self, NUMERIC};
use super::parameters::literal;
use super::{casts, types};
use crate::error::{bad, does_not_fit};

/// A list of items of one type, as they are written.
///
/// # Errors
/// An item that its type does not read.
pub(crate) fn list(items: &[Option<String>], item: TypeNumber) -> Result<Expr> {
    let elem = match item {
        types::NUMERIC => numerics(items)?,
        item => items.iter().map(|one| literal(item, one.as_deref())).collect::<Result<_>>()?,
    };
    Ok(of(elem, item))
}

/// A list of texts.
pub(crate) fn texts(items: &[Option<&str>]) -> Expr {
    of(items.iter().map(|item| item.map_or_else(null, text)).collect(), types::TEXT)
}

fn of(elem: Vec<Expr>, item: TypeNumber) -> Expr {
    if elem.is_empty() {
        return typed(calling(NO_ITEMS, Vec::new()), item);
    }
    Expr::Array(Array { elem, named: true })
}

/// All by as many decimals as the one that has most: a list has one type.
fn numerics(items: &[Option<String>]) -> Result<Vec<Expr>> {
    let digits = || items.iter().flatten().map(String::as_str);
    let value = |item: &Option<String>| item.as_deref().map_or_else(null, text);
    if let Some((precision, scale)) = numeric::holding(digits()) {
        let measures = [number(&precision.to_string()), number(&scale.to_string())];
        let one = |item| calling(NUMERIC, [value(item)].into_iter().chain(measures.clone()).collect());
        return Ok(items.iter().map(one).collect());
    }
    // No decimal is one of these.
    if digits().any(|item| matches!(item, "NaN" | "Infinity" | "-Infinity")) {
        return Ok(items.iter().map(|item| casting(value(item), SqlType::DoublePrecision)).collect());
    }
    match digits().find(|item| numeric::holding(std::iter::once(*item)).is_none()) {
        Some(item) => Err(bad(format!("'{}' is no numeric", item.chars().take(40).collect::<String>()))),
        None => Err(does_not_fit("numerics in one list, which together have more than 38 digits")),
    }
}

/// No list, of items of that type.
pub(crate) fn none(item: TypeNumber) -> Expr {
    typed(null(), item)
}

/// A list whose items do not tell their type.
fn typed(list: Expr, item: TypeNumber) -> Expr {
    let kind = arrow(item).unwrap_or(if item == types::NUMERIC { "Decimal128(38, 0)" } else { "Utf8" });
    calling("arrow_cast", vec![list, text(&format!("List({kind})"))])
}

/// The planner's name of a type whose values are all of one: not of numerics, and not of what is told as text.
fn arrow(item: TypeNumber) -> Option<&'static str> {
    Some(match item {
        types::INT2 => "Int16",
        types::INT4 => "Int32",
        types::INT8 => "Int64",
        types::OID => "UInt32",
        types::FLOAT4 => "Float32",
        types::FLOAT8 => "Float64",
        types::BOOL => "Boolean",
        types::BYTEA => "Binary",
        types::DATE => "Date32",
        types::TIME => "Time64(ns)",
        types::TIMESTAMPTZ => "Timestamp(ns, \"UTC\")",
        types::TIMESTAMP => "Timestamp(ns)",
        types::INTERVAL => "Interval(MonthDayNano)",
        types::TEXT | types::NAME | 1042 | 1043 => "Utf8",
        _ => return None,
    })
}

/// As SQL spells it to the planner, where that has such a type; text for all others.
pub(crate) fn sql(kind: TypeNumber) -> SqlType {
    match kind {
        types::BOOL => SqlType::Boolean,
        types::INT2 => SqlType::SmallInt(None),
        types::INT4 => SqlType::Integer(None),
        types::INT8 => SqlType::BigInt(None),
        types::OID => SqlType::IntUnsigned(None),
        types::FLOAT4 => SqlType::Real,
        types::FLOAT8 => SqlType::DoublePrecision,
        types::NUMERIC => SqlType::Numeric(ExactNumberInfo::None),
        types::BYTEA => SqlType::Bytea,
        types::DATE => SqlType::Date,
        types::TIME => SqlType::Time(None, TimezoneInfo::None),
        types::TIMESTAMP => SqlType::Timestamp(None, TimezoneInfo::None),
        types::TIMESTAMPTZ => SqlType::Timestamp(None, TimezoneInfo::Tz),
        types::INTERVAL => SqlType::Interval { fields: None, precision: None },
        _ => SqlType::Text,
    }
}

/// `::type[]`: item by item where they are written out. Lists of what only PostgreSQL tells apart stay as they are.
///
/// # Errors
/// What is written is no list of one dimension, or an item is none of that type.
pub(crate) fn cast(inner: &mut Expr, to: &SqlType, name: &str) -> Result<Expr> {
    let bare = name.split_once('(').map(|(name, rest)| {
        let behind = rest.split_once(')').map_or("", |(_, behind)| behind);
        format!("{}{}", name.trim_end(), behind)
    });
    let known = types::by_name(bare.as_deref().unwrap_or(name)).and_then(types::item_of);
    let item = known.map_or(types::TEXT, |item| item.number);
    let one = match to {
        SqlType::Array(
            ArrayElemTypeDef::SquareBracket(one, _)
            | ArrayElemTypeDef::AngleBracket(one)
            | ArrayElemTypeDef::Parenthesis(one),
        ) => one.as_ref().clone(),
        _ => sql(item),
    };
    let written = match &*inner {
        Expr::Value(value) if value.value == Literal::Null => return Ok(none(item)),
        Expr::Value(value) => value.value.clone().into_string(),
        _ => None,
    };
    if let Some(written) = written.filter(|_| known.is_some() || name.ends_with("[]")) {
        let items = items(&written).ok_or_else(|| {
            let shown: String = written.chars().take(40).collect();
            bad(format!("'{shown}' is no array of one dimension, such as '{{1,2,NULL}}'"))
        })?;
        if bare.is_none() {
            return list(&items, item);
        }
        // With measures, as of numeric(10, 2), each is cut by itself.
        let elem = items.iter().map(|item| each(item.as_deref().map_or_else(null, text), &one));
        return Ok(of(elem.collect::<Result<_>>()?, item));
    }
    Ok(match inner {
        Expr::Array(array) if array.elem.iter().all(is_null) => {
            let items: Vec<Option<String>> = array.elem.iter().map(|_| None).collect();
            list(&items, item)?
        }
        Expr::Array(array) => {
            let elem = std::mem::take(&mut array.elem).into_iter().map(|item| each(item, &one));
            Expr::Array(Array { elem: elem.collect::<Result<_>>()?, named: true })
        }
        inner => match known.and_then(|item| arrow(item.number)) {
            Some(kind) => calling("arrow_cast", vec![taken(inner), text(&format!("List({kind})"))]),
            None => taken(inner),
        },
    })
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if value.value == Literal::Null)
}

/// An item as one of another type.
fn each(mut item: Expr, to: &SqlType) -> Result<Expr> {
    if let Expr::Array(inner) = &mut item {
        for one in &mut inner.elem {
            *one = each(taken(one), to)?;
        }
        return Ok(item);
    }
    // Of any decimals.
    if is_null(&item) && matches!(to, SqlType::Numeric(_) | SqlType::Decimal(_) | SqlType::Dec(_)) {
        return Ok(item);
    }
    let mut to = to.clone();
    Ok(match casts::cast(&mut item, &mut to)? {
        Some(other) => other,
        // Signals are found by names that are written out.
        None if to == SqlType::Text && matches!(&item, Expr::Value(_)) => item,
        None => casting(item, to),
    })
}
