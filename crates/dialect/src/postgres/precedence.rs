//! How tightly operators bind in PostgreSQL, where the parser has it otherwise: a sign binds tighter than `^`, and `@`, `|/`, `||/`
//! and `~` before a number less tightly than `+` and `-`. What is in parentheses stays as it is.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};

use super::dialect::taken;

/// `-(x ^ 2)`, as the parser reads `-x ^ 2`, becomes `(-x) ^ 2`; once for all that is inside.
pub(crate) fn sign(expr: &mut Expr) {
    let Expr::UnaryOp { op: op @ (UnaryOperator::Minus | UnaryOperator::Plus), expr: inner } = expr else {
        return;
    };
    let op = *op;
    let mut power = taken(inner);
    if let Some(base) = base(&mut power) {
        *base = Expr::UnaryOp { op, expr: Box::new(taken(base)) };
        *expr = power;
    } else {
        **inner = power;
    }
}

/// `x ^ (-y ^ 2)`, as [`sign`] leaves `x ^ -y ^ 2`, becomes `(x ^ -y) ^ 2`: powers are computed from the left. One in
/// parentheses stays.
pub(crate) fn power(expr: &mut Expr) {
    let Expr::BinaryOp { left, op: op @ BinaryOperator::PGExp, right } = expr else { return };
    let (op, mut whole) = (op.clone(), taken(right));
    if let Some(base) = base(&mut whole) {
        let first = Expr::BinaryOp { left: Box::new(taken(left)), op, right: Box::new(taken(base)) };
        *base = first;
        *expr = whole;
    } else {
        **right = whole;
    }
}

/// The first number of `x ^ 2 ^ 3`.
fn base(expr: &mut Expr) -> Option<&mut Expr> {
    let Expr::BinaryOp { left, op: BinaryOperator::PGExp, .. } = expr else { return None };
    // Looked for twice, because what is found is lent.
    if base(left).is_some() { base(left) } else { Some(left) }
}

/// `(@x) + 1`, as the parser reads `@x + 1`, becomes `@(x + 1)`; before anything is changed inside.
pub(crate) fn prefix(expr: &mut Expr) {
    let Some(op) = first_prefix(expr) else { return };
    let mut sum = taken(expr);
    without_prefix(&mut sum);
    *expr = Expr::UnaryOp { op, expr: Box::new(sum) };
}

fn is_sum(op: &BinaryOperator) -> bool {
    matches!(op, BinaryOperator::Plus | BinaryOperator::Minus)
}

/// What stands before the first number of a sum.
fn first_prefix(expr: &Expr) -> Option<UnaryOperator> {
    let Expr::BinaryOp { left, op, .. } = expr else { return None };
    match left.as_ref() {
        Expr::UnaryOp {
            op:
                prefix @ (UnaryOperator::PGAbs
                | UnaryOperator::PGSquareRoot
                | UnaryOperator::PGCubeRoot
                | UnaryOperator::BitwiseNot),
            ..
        } if is_sum(op) => Some(*prefix),
        left if is_sum(op) => first_prefix(left),
        _ => None,
    }
}

fn without_prefix(sum: &mut Expr) {
    if let Expr::BinaryOp { left, .. } = sum {
        match left.as_mut() {
            Expr::UnaryOp { expr, .. } => **left = taken(expr),
            left => without_prefix(left),
        }
    }
}
