//! Syntax that makes values: `||`, `[…]`, `{…}`, MAP, OVERLAY, EXTRACT. DataFusion's own planners would call the functions without
//! their bounds. What is not here: the bounds ([`super::bounds`]).

use std::sync::{Arc, LazyLock};

use datafusion::common::{DFSchema, Result};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawDictionaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, ScalarUDF};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use tidemill_dialect::bad;

use super::bounds::{bounded, charged};
use super::earliest::DATE_PART;

/// The planners of expressions; the first puts bounds on what has a syntax of its own.
pub(crate) fn planners() -> Vec<Arc<dyn ExprPlanner>> {
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(Literals)];
    planners.extend(SessionStateDefaults::default_expr_planners());
    planners
}

/// The bounded function of that name, for syntax that means it.
fn call(name: &str, arguments: Vec<Expr>) -> Result<Expr> {
    static BOUNDED: LazyLock<Vec<Arc<ScalarUDF>>> =
        LazyLock::new(|| bounded(SessionStateDefaults::default_scalar_functions()));
    let found = BOUNDED.iter().find(|function| function.name() == name);
    let function = found.ok_or_else(|| bad(format!("there is no function '{name}'")))?;
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(function.clone(), arguments)))
}

/// The planner of what makes values.
#[derive(Debug)]
struct Literals;

impl ExprPlanner for Literals {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(expr));
        }
        let nested = |part: &Expr| part.get_type(schema).is_ok_and(|kind| kind.is_nested());
        let name = match (nested(&expr.left), nested(&expr.right)) {
            (true, true) => "array_concat",
            (true, false) => "array_append",
            (false, true) => "array_prepend",
            (false, false) => {
                let joined =
                    BinaryExpr::new(Box::new(expr.left), Operator::StringConcat, Box::new(expr.right));
                return Ok(PlannerResult::Planned(charged(Expr::BinaryExpr(joined))));
            }
        };
        Ok(PlannerResult::Planned(call(name, vec![expr.left, expr.right])?))
    }

    fn plan_extract(&self, parts: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call(DATE_PART, parts)?))
    }

    fn plan_array_literal(&self, items: Vec<Expr>, _: &DFSchema) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call("make_array", items)?))
    }

    fn plan_struct_literal(&self, parts: Vec<Expr>, named: bool) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call(if named { "named_struct" } else { "struct" }, parts)?))
    }

    fn plan_dictionary_literal(
        &self,
        literal: RawDictionaryExpr,
        _: &DFSchema,
    ) -> Result<PlannerResult<RawDictionaryExpr>> {
        let pairs = literal.keys.into_iter().zip(literal.values);
        let parts = pairs.flat_map(|(key, value)| [key, value]).collect();
        Ok(PlannerResult::Planned(call("named_struct", parts)?))
    }

    fn plan_make_map(&self, parts: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        let mut sides = [Vec::new(), Vec::new()];
        for (number, part) in parts.into_iter().enumerate() {
            if let Some(side) = sides.get_mut(number % 2) {
                side.push(part);
            }
        }
        let [keys, values] = sides;
        if keys.len() != values.len() {
            return Err(bad("a map needs a value for each key"));
        }
        let sides = vec![call("make_array", keys)?, call("make_array", values)?];
        Ok(PlannerResult::Planned(call("map", sides)?))
    }

    fn plan_overlay(&self, parts: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call("overlay", parts)?))
    }
}
