//! Zero with a minus is zero: by IEEE 754 and by PostgreSQL the two are equal, for Arrow they are not. DataFusion's operators mind
//! it; `nullif` and `CASE x WHEN` ask Arrow, and are given numbers without the sign.

use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator};

/// What compares numbers without an operator, as a comparison of numbers whose zero has no sign.
pub(crate) fn compared(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(Transformed::yes(match expr {
        Expr::ScalarFunction(mut call) if call.name() == "nullif" => {
            call.args = call.args.into_iter().map(|given| unsigned(given, schema)).collect::<Result<_>>()?;
            Expr::ScalarFunction(call)
        }
        Expr::Case(mut case) if case.expr.is_some() => {
            case.expr = case.expr.map(|of| unsigned(*of, schema)).transpose()?.map(Box::new);
            for (when, _) in &mut case.when_then_expr {
                **when = unsigned(std::mem::take(when.as_mut()), schema)?;
            }
            Expr::Case(case)
        }
        other => return Ok(Transformed::no(other)),
    }))
}

/// A number to which 0.0 is added: the sum of zeros of both signs has none (IEEE 754, 6.3).
fn unsigned(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let kind = expr.get_type(schema)?;
    if !kind.is_floating() {
        return Ok(expr);
    }
    let zero = Expr::Literal(ScalarValue::new_zero(&kind)?, None);
    Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(expr), Operator::Plus, Box::new(zero))))
}
