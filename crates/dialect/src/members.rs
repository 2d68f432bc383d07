//! `IN (SELECT …)` where something is not known: `x NOT IN (SELECT y …)` is neither true nor false where a `y` is NULL and no other
//! is `x`. The planner knows that of a condition that stands alone; within another one it takes what is not known for false, and
//! `NOT` would make that true. What is not here: `IN` with items that are written out, and `= ANY (SELECT …)`, which the
//! planner has right.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, and, not,
    or,
};

use crate::error::bad;

/// A step whose condition keeps what is not known apart from what is false.
///
/// # Errors
/// `bad-sql`: a membership is asked of a membership.
pub fn known(step: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Filter(filter) = step else { return Ok(Transformed::no(step)) };
    let schema = filter.input.schema().clone();
    told(filter.predicate, &schema, Place::Alone)?
        .map_data(|predicate| Ok(LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?)))
}

/// Where in a condition an expression stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// By itself, or beside others by AND: the planner knows all three answers.
    Alone,
    /// Where what is not known is as good as false.
    Kept,
}

fn told(expr: Expr, schema: &DFSchema, place: Place) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let place = if op == Operator::Or { Place::Kept } else { place };
            let (left, right) = (told(*left, schema, place)?, told(*right, schema, place)?);
            let changed = left.transformed || right.transformed;
            let both = BinaryExpr::new(Box::new(left.data), op, Box::new(right.data));
            Ok(Transformed::new_transformed(Expr::BinaryExpr(both), changed))
        }
        Expr::InSubquery(ref among) if (place == Place::Alone || !among.negated) && is_plain(among) => {
            Ok(Transformed::no(expr))
        }
        Expr::Not(ref inner)
            if place == Place::Alone
                && matches!(inner.as_ref(), Expr::InSubquery(among) if is_plain(among)) =>
        {
            Ok(Transformed::no(expr))
        }
        other => other.transform_up(|part| match part {
            Expr::InSubquery(among) => three_valued(among, schema),
            part => Ok(Transformed::no(part)),
        }),
    }
}

/// Whether nothing else is asked of rows before what is asked here.
fn is_plain(among: &InSubquery) -> bool {
    !among.expr.exists(|part| Ok(matches!(part, Expr::InSubquery(_) | Expr::Exists(_)))).unwrap_or(true)
}

/// True where it is found, else not known where either side has a NULL, else false.
fn three_valued(among: InSubquery, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let plan = among.subquery.subquery.clone();
    let (table, field) = plan.schema().qualified_field(0);
    let mut unknown = Vec::new();
    if field.is_nullable() {
        let item = Expr::Column(Column::from((table, field)));
        let rows = LogicalPlanBuilder::from(plan.as_ref().clone()).filter(item.is_null())?.build()?;
        unknown.push(exists(&among, Arc::new(rows)));
    }
    if among.expr.nullable(schema)? {
        unknown.push(and(among.expr.as_ref().clone().is_null(), exists(&among, plan)));
    }
    let Some(unknown) = unknown.into_iter().reduce(or) else {
        return Ok(Transformed::no(Expr::InSubquery(among)));
    };
    if !is_plain(&among) {
        return Err(bad("IN (SELECT …) of what IN or EXISTS tells is not supported"));
    }
    let negated = among.negated;
    let found = Expr::InSubquery(InSubquery { negated: false, ..among });
    let told = or(found, and(unknown, Expr::Literal(ScalarValue::Boolean(None), None)));
    Ok(Transformed::yes(if negated { not(told) } else { told }))
}

fn exists(among: &InSubquery, rows: Arc<LogicalPlan>) -> Expr {
    Expr::Exists(Exists { subquery: Subquery { subquery: rows, ..among.subquery.clone() }, negated: false })
}
