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
    let is_power = |expr: &Expr| matches!(expr, Expr::BinaryOp { op: BinaryOperator::PGExp, .. });
    if !is_power(expr) {
        return None;
    }
    let mut first = expr;
    while is_power(first) {
        let Expr::BinaryOp { left, .. } = first else { return None };
        first = left;
    }
    Some(first)
}

/// `(1 + @x) + 2`, as the parser reads `1 + @x + 2`, becomes `1 + @(x + 2)`; before anything is changed inside.
pub(crate) fn prefix(expr: &mut Expr) {
    let Expr::BinaryOp { left, op, right } = expr else { return };
    if !matches!(op, BinaryOperator::Plus | BinaryOperator::Minus) {
        return;
    }
    prefix(left);
    let Some(last) = last_prefixed(left) else { return };
    let (first, op, right) = (Box::new(taken(last)), op.clone(), Box::new(taken(right)));
    *last = Expr::BinaryOp { left: first, op, right };
    *expr = taken(left);
}

/// What the last of such operators stands before, at the end of an expression.
fn last_prefixed(expr: &mut Expr) -> Option<&mut Expr> {
    let (mut depth, mut found, mut at) = (0_usize, None, &*expr);
    while let Some(last) = last(at) {
        depth += 1;
        if is_prefix(at) {
            found = Some(depth);
        }
        at = last;
    }
    let mut at = expr;
    for _ in 0..found? {
        at = match at {
            Expr::UnaryOp { expr: last, .. } | Expr::BinaryOp { right: last, .. } => last,
            _ => return None,
        };
    }
    Some(at)
}

/// What an expression ends with.
fn last(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::BinaryOp { right, .. } => Some(right),
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: last } => Some(last),
        Expr::UnaryOp { expr: last, .. } if is_prefix(expr) => Some(last),
        _ => None,
    }
}

fn is_prefix(expr: &Expr) -> bool {
    let Expr::UnaryOp { op, .. } = expr else { return false };
    matches!(
        op,
        UnaryOperator::PGAbs
            | UnaryOperator::PGSquareRoot
            | UnaryOperator::PGCubeRoot
            | UnaryOperator::BitwiseNot
    )
}

#[cfg(test)]
mod tests {
    use crate::postgres::spelling::PostgreSql;
    use crate::statement::parse;

    use super::super::dialect::rewrite;

    fn said(expression: &str) -> String {
        let mut statement = parse(&format!("SELECT {expression}"), &PostgreSql).expect(expression);
        rewrite(&mut statement).expect(expression);
        statement.to_string()
    }

    #[test]
    fn long_chains_are_told_at_once() {
        // Looked at twice at each level, these would take hours.
        for chain in [
            format!("-2{}", " ^ 1".repeat(120)),
            format!("2{}", " ^ -1 ^ 1".repeat(20)),
            format!("1{}", " + @ -1".repeat(120)),
            format!("{}1 + 2", "@ ".repeat(60)),
        ] {
            said(&chain);
        }
    }

    #[test]
    fn what_stands_before_a_sum_takes_what_follows() {
        assert_eq!(said("1 + @ x + 2"), "SELECT 1 + abs(x + 2)");
        assert_eq!(said("1 - @ x - 2 + y"), "SELECT 1 - abs(x - 2 + y)");
        assert_eq!(said("3 + 2 * @ x + 1"), "SELECT 3 + 2 * abs(x + 1)");
        assert_eq!(said("1 - @ (x) + 3 < y"), "SELECT 1 - abs((x) + 3) < y");
        assert_eq!(said("(1 + @ x) + 2"), "SELECT (1 + abs(x)) + 2");
    }
}
