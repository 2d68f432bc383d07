//! Rows that are written out, `(a, b)` or `ROW(a, b)`, said by their items: compared from the left to the first that decides, and
//! unknown where that is NULL, as in PostgreSQL. The planner would compare them as one value. What is not here: rows of answers
//! ([`super::rows`]).

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};

use datafusion::common::Result;

use super::dialect::{expressions, part};
use crate::error::bad;

/// The pairs of two rows that are put in order.
const PAIRS_MAX: usize = 16;

/// The items of a row.
fn items(expr: &Expr) -> Option<Vec<&Expr>> {
    match expr {
        Expr::Tuple(items) => Some(items.iter().collect()),
        Expr::Function(call) if call.name.0.last().map(part).as_deref() == Some("row") => {
            Some(expressions(&call.args))
        }
        Expr::Nested(inner) => items(inner),
        _ => None,
    }
    .filter(|items| !items.is_empty())
}

/// Refuses to put long rows in order.
///
/// # Errors
/// They have more than [`PAIRS_MAX`] items.
pub(crate) fn check(expr: &Expr) -> Result<()> {
    let too_long = |row: &Expr| items(row).is_some_and(|items| items.len() > PAIRS_MAX);
    let ordered = match expr {
        Expr::BinaryOp { left, op, .. } => {
            !matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq) && too_long(left)
        }
        Expr::Between { expr, .. } => too_long(expr),
        _ => false,
    };
    match ordered {
        true => {
            Err(bad(format!("rows of more than {PAIRS_MAX} items cannot be put in order: compare fewer")))
        }
        false => Ok(()),
    }
}

/// The condition by the items of its rows; none where it has none, or rows of other lengths.
pub(crate) fn condition(expr: &mut Expr) -> Option<Expr> {
    match expr {
        Expr::BinaryOp { left, op, right } => compared(&items(left)?, op, &items(right)?),
        Expr::IsNull(row) => each(&items(row)?, |item| Expr::IsNull(Box::new(item))),
        Expr::IsNotNull(row) => each(&items(row)?, |item| Expr::IsNotNull(Box::new(item))),
        Expr::InList { expr, list, negated } => {
            let row = items(expr)?;
            let equal = |other: &Expr| compared(&row, &BinaryOperator::Eq, &items(other)?);
            let any = joined(list.iter().map(equal).collect::<Option<_>>()?, &BinaryOperator::Or)?;
            Some(unless(*negated, any))
        }
        Expr::Between { expr, negated, low, high } => {
            let row = items(expr)?;
            let from = compared(&row, &BinaryOperator::GtEq, &items(low)?)?;
            let to = compared(&row, &BinaryOperator::LtEq, &items(high)?)?;
            Some(unless(*negated, operation(from, &BinaryOperator::And, to)))
        }
        _ => None,
    }
}

fn unless(negated: bool, condition: Expr) -> Expr {
    if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(condition) } } else { condition }
}

fn each(items: &[&Expr], tested: impl Fn(Expr) -> Expr) -> Option<Expr> {
    joined(items.iter().map(|&item| tested(item.clone())).collect(), &BinaryOperator::And)
}

fn compared(left: &[&Expr], op: &BinaryOperator, right: &[&Expr]) -> Option<Expr> {
    if left.len() != right.len() {
        return None;
    }
    let pairs = || left.iter().zip(right).map(|(&left, &right)| (left.clone(), right.clone()));
    let all = |op: &BinaryOperator, by: &BinaryOperator| {
        joined(pairs().map(|(left, right)| operation(left, op, right)).collect(), by)
    };
    let strict = match op {
        BinaryOperator::Eq => return all(op, &BinaryOperator::And),
        BinaryOperator::NotEq => return all(op, &BinaryOperator::Or),
        BinaryOperator::Lt | BinaryOperator::LtEq => BinaryOperator::Lt,
        BinaryOperator::Gt | BinaryOperator::GtEq => BinaryOperator::Gt,
        _ => return None,
    };
    // Each pair nests the ones behind it.
    if left.len() > PAIRS_MAX {
        return None;
    }
    // a < c OR a = c AND (b < d): from the last pair on.
    let mut pairs = pairs().rev();
    let (left, right) = pairs.next()?;
    let last = operation(left, op, right);
    Some(pairs.fold(last, |rest, (left, right)| {
        let same = operation(left.clone(), &BinaryOperator::Eq, right.clone());
        let rest = operation(same, &BinaryOperator::And, rest);
        operation(operation(left, &strict, right), &BinaryOperator::Or, rest)
    }))
}

/// In halves, so that many conditions nest no deeper than their count has digits.
fn joined(mut conditions: Vec<Expr>, by: &BinaryOperator) -> Option<Expr> {
    if conditions.len() < 2 {
        return conditions.pop();
    }
    let behind = conditions.split_off(conditions.len() / 2);
    Some(operation(joined(conditions, by)?, by, joined(behind, by)?))
}

fn operation(left: Expr, op: &BinaryOperator, right: Expr) -> Expr {
    let whole = Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) };
    Expr::Nested(Box::new(whole))
}
