//! The last change to a plan before it becomes one that runs: every expression that may make long values is charged, and
//! no long constant is left to be repeated for each row by whoever uses it. What is not here: charging itself ([`super::bounds`]).

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};
use tidemill_dialect::bad;

use super::bounds::{CHARGED, charged, spread, with_bounds};
use super::meter::{CONSTANT_BYTES_MAX, is_of_any_length};

/// The plan, guarded at every depth.
pub(crate) fn guarded(plan: LogicalPlan) -> Result<LogicalPlan> {
    let guarded = plan.transform_up_with_subqueries(|step| {
        // What a scan is given narrows what is read, and makes nothing.
        if matches!(step, LogicalPlan::TableScan(_) | LogicalPlan::Limit(_)) {
            return Ok(Transformed::no(step));
        }
        let schema = merge_schema(&step.inputs());
        let joins = matches!(step, LogicalPlan::Join(_));
        // Conditions and orders within aggregates and windows show a function by its own name, and theirs with it.
        let names = NamePreserver::new(&step);
        step.map_expressions(|expr| {
            let name = names.save(&expr);
            let guarded = with_bounds(expr)?.transform_data(|expr| guard(expr, &schema))?;
            let guarded = guarded.update_data(|expr| name.restore(expr));
            if joins { guarded.map_data(|expr| Ok(bare_cast(expr))) } else { Ok(guarded) }
        })
    });
    Ok(guarded?.data)
}

/// A key of a join that is a column in another type stays one: the planner makes a column of it that has its name.
fn bare_cast(expr: Expr) -> Expr {
    match expr {
        Expr::ScalarFunction(mut call)
            if call.name() == CHARGED
                && matches!(call.args.as_slice(), [Expr::Cast(_) | Expr::TryCast(_)]) =>
        {
            call.args.remove(0)
        }
        other => other,
    }
}

fn guard(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_up(|part| {
        // What cannot be told is charged.
        let short = |part: &Expr| part.get_type(schema).is_ok_and(|kind| !is_of_any_length(&kind));
        if let Expr::AggregateFunction(call) = &part {
            measured_sketch(call)?;
        }
        Ok(match &part {
            Expr::Literal(value, _) => match is_of_any_length(&value.data_type()) {
                true if value.size() > CONSTANT_BYTES_MAX => Transformed::yes(spread(part)),
                _ => Transformed::no(part),
            },
            Expr::ScalarSubquery(_) if !short(&part) => Transformed::yes(spread(part)),
            Expr::Case(_) | Expr::Cast(_) | Expr::TryCast(_) | Expr::HigherOrderFunction(_)
                if !short(&part) =>
            {
                Transformed::yes(charged(part))
            }
            Expr::BinaryExpr(BinaryExpr { op: Operator::StringConcat, .. }) => {
                Transformed::yes(charged(part))
            }
            _ => Transformed::no(part),
        })
    })
}

/// How many centroids a sketch of a distribution may keep; room for all of them is made before the first value.
const CENTROIDS_MAX: i64 = 10_000;

fn measured_sketch(call: &AggregateFunction) -> Result<()> {
    let sketch = call.func.name().starts_with("approx_percentile_cont");
    let counts = call.params.args.iter().skip(1).filter_map(|argument| match argument {
        Expr::Literal(value, _) if value.data_type().is_integer() => value.cast_to(&DataType::Int64).ok(),
        _ => None,
    });
    for count in counts {
        if sketch && !matches!(count, ScalarValue::Int64(Some(count)) if count <= CENTROIDS_MAX) {
            return Err(bad(format!("'{}' keeps at most {CENTROIDS_MAX} centroids", call.func.name())));
        }
    }
    Ok(())
}
