//! What only types tell of PostgreSQL's meaning: how numbers become whole, what a float does beside a numeric, what a date
//! becomes with hours, and times that are written shorter. What is not here: what the syntax tells ([`super::dialect`]).

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator, cast, lit, when,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::times::Scale;
use super::{numeric, texts, times, types};

/// What operators mean between types that meet otherwise in PostgreSQL.
pub fn planner() -> Arc<dyn ExprPlanner> {
    Arc::new(Operators)
}

/// The decimals of a quotient of numerics. DataFusion gives four more than the number that is divided has.
const QUOTIENT_SCALE: i8 = 16;

#[derive(Debug)]
struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(
        &self,
        mut expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        match (&left, &right) {
            // As its text.
            (left, right) if expr.op == BinaryOperator::StringConcat => {
                if texts::differs(left) || is_function(&expr.left, schema) {
                    expr.left = cast(expr.left, DataType::Utf8View);
                }
                if texts::differs(right) || is_function(&expr.right, schema) {
                    expr.right = cast(expr.right, DataType::Utf8View);
                }
            }
            // No decimal holds all floats.
            (left, right) if left.is_floating() && right.is_decimal() => {
                expr.right = cast(expr.right, DataType::Float64);
            }
            (left, right) if left.is_decimal() && right.is_floating() => {
                expr.left = cast(expr.left, DataType::Float64);
            }
            // With sixteen decimals, the last of them rounded.
            (left, right)
                if expr.op == BinaryOperator::Divide
                    && (left.is_decimal() && (right.is_decimal() || right.is_integer())
                        || left.is_integer() && right.is_decimal()) =>
            {
                let scale = QUOTIENT_SCALE - 3;
                let left = match left {
                    DataType::Decimal128(_, decimals) if *decimals > scale => expr.left,
                    _ => cast(expr.left, DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale)),
                };
                let quotient =
                    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), Operator::Divide, Box::new(expr.right)));
                let kind = DataType::Decimal128(DECIMAL128_MAX_PRECISION, QUOTIENT_SCALE);
                return Ok(PlannerResult::Planned(cast(quotient, kind)));
            }
            // A day and an interval are a time.
            (DataType::Date32, DataType::Interval(_))
                if matches!(expr.op, BinaryOperator::Plus | BinaryOperator::Minus) =>
            {
                expr.left = cast(expr.left, DataType::Timestamp(TimeUnit::Nanosecond, None));
            }
            (DataType::Interval(_) | DataType::Duration(_), factor) if factor.is_numeric() => {
                return Ok(match expr.op {
                    BinaryOperator::Multiply => {
                        PlannerResult::Planned(times::scaled(Scale::Times, expr.left, expr.right))
                    }
                    BinaryOperator::Divide => {
                        PlannerResult::Planned(times::scaled(Scale::By, expr.left, expr.right))
                    }
                    _ => PlannerResult::Original(expr),
                });
            }
            (factor, DataType::Interval(_) | DataType::Duration(_))
                if factor.is_numeric() && expr.op == BinaryOperator::Multiply =>
            {
                return Ok(PlannerResult::Planned(times::scaled(Scale::Times, expr.right, expr.left)));
            }
            _ => {}
        }
        Ok(PlannerResult::Original(expr))
    }
}

/// Whether an expression is a function of the catalogue: a number that has a name.
fn is_function(expr: &Expr, schema: &DFSchema) -> bool {
    expr.to_field(schema).is_ok_and(|(_, field)| types::of_field(&field) == types::REGPROC)
}

/// What casts mean, once all types are known.
pub fn analyzer() -> Arc<dyn AnalyzerRule + Send + Sync> {
    Arc::new(Casts)
}

#[derive(Debug)]
struct Casts;

impl AnalyzerRule for Casts {
    fn name(&self) -> &str {
        "casts as PostgreSQL means them"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let meant = plan.transform_up_with_subqueries(|step| {
            let schema = merge_schema(&step.inputs());
            let names = NamePreserver::new(&step);
            step.map_expressions(|expr| {
                let name = names.save(&expr);
                let meant = expr.transform_up(|part| meant(part, &schema))?;
                Ok(meant.update_data(|expr| name.restore(expr)))
            })
        });
        Ok(meant?.data)
    }
}

/// An item of a list, which none has before its first: the planner counts from the end there.
fn item(mut call: ScalarFunction, schema: &DFSchema) -> Transformed<Expr> {
    let place = match call.args.as_slice() {
        [_, place] if call.name() == "array_element" => place.clone(),
        _ => return Transformed::no(Expr::ScalarFunction(call)),
    };
    match (&place, place.get_type(schema)) {
        (Expr::Literal(ScalarValue::Int64(Some(1..)), _), _) => Transformed::no(Expr::ScalarFunction(call)),
        (_, Ok(kind)) if kind.is_integer() => {
            let counts = place.clone().gt(lit(0_i64));
            let none = Expr::Literal(ScalarValue::Int64(None), None);
            if let Ok(place) = when(counts, cast(place, DataType::Int64)).otherwise(none)
                && let Some(second) = call.args.get_mut(1)
            {
                *second = place;
            }
            Transformed::yes(Expr::ScalarFunction(call))
        }
        _ => Transformed::no(Expr::ScalarFunction(call)),
    }
}

fn meant(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if let Expr::ScalarFunction(call) = expr {
        return Ok(item(call, schema));
    }
    let Expr::Cast(Cast { expr: inner, field }) = expr else { return Ok(Transformed::no(expr)) };
    let from = inner.get_type(schema);
    let to = field.data_type();
    if *to == DataType::UInt32 && is_function(&inner, schema) {
        // Its number, which is told as one: by another type, as nothing would be left of a cast to the same.
        let told = types::told_as(field.as_ref().clone(), types::OID);
        let number = cast(inner.as_ref().clone(), DataType::Int64);
        return Ok(Transformed::yes(Expr::Cast(Cast { expr: Box::new(number), field: Arc::new(told) })));
    }
    let other = match (&from, to) {
        (Ok(from), to) if to.is_integer() && from.is_floating() => {
            let round = numeric::function(numeric::ROUND);
            Some(Expr::ScalarFunction(ScalarFunction::new_udf(round, vec![inner.as_ref().clone()])))
        }
        (Ok(from), to) if to.is_integer() && from.is_decimal() => {
            Some(cast(inner.as_ref().clone(), DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0)))
        }
        (Ok(from), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
            if texts::differs(from) || is_function(&inner, schema) =>
        {
            Some(texts::of(inner.as_ref().clone()))
        }
        (Ok(from), DataType::Timestamp(_, zone)) => match inner.as_ref() {
            Expr::Literal(value, metadata) => {
                let mended =
                    value.try_as_str().flatten().and_then(|text| times::mended(text, zone.is_some()));
                mended.map(|text| Expr::Literal(ScalarValue::Utf8(Some(text)), metadata.clone()))
            }
            _ if from.is_string() => Some(times::mending(inner.as_ref().clone(), zone.is_some())),
            _ => None,
        },
        _ => None,
    };
    let changed = other.is_some();
    let expr = Expr::Cast(Cast { expr: other.map_or(inner, Box::new), field });
    Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
}
