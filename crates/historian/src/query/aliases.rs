//! Earlier names in SQL: a path that a query compares the signal with is the signal that has that name now, or had it. The
//! comparison is rewritten before the plan is optimised, so that it means the same wherever the condition ends up. What
//! is not here: `read(…)` and scans, which look names up themselves, and tables of records, which keep the names that
//! were true when they were written.

use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Distinct, Expr, LogicalPlan, Operator};
use tidemill_core::{Bus, Pattern, ReadScope, SignalPath};

use super::functions::MATCHES;
use super::names;
use super::relation::Table;

/// The plan, in which earlier names of signals that the scope allows are their names of now.
pub(crate) fn resolved(plan: LogicalPlan, bus: &dyn Bus, scope: &ReadScope) -> Result<LogicalPlan> {
    let resolved = plan.transform_up_with_subqueries(|step| {
        let inputs: Vec<LogicalPlan> = step.inputs().into_iter().cloned().collect();
        let is_path = |part: &Expr| match part {
            Expr::Column(column) => inputs.iter().any(|input| means_path(input, column)),
            _ => false,
        };
        // A column that is made keeps the name that the query gave it, or the steps above would not find it.
        let names = NamePreserver::new(&step);
        step.map_expressions(|expr| {
            let name = names.save(&expr);
            let now = |path: &str| name_now(path, bus, scope);
            let made = expr.transform_up(|part| Ok(rewritten(part, &is_path, &now)))?;
            Ok(made.update_data(|expr| name.restore(expr)))
        })
    });
    Ok(resolved?.data)
}

/// The name that a signal has now, where the path is an earlier one.
fn name_now(path: &str, bus: &dyn Bus, scope: &ReadScope) -> Option<SignalPath> {
    let path = SignalPath::new(path).ok()?;
    let signal = names::find(bus, scope, &path)?;
    (signal.path != path).then(|| signal.path.clone())
}

fn rewritten(
    part: Expr,
    is_path: &dyn Fn(&Expr) -> bool,
    now: &dyn Fn(&str) -> Option<SignalPath>,
) -> Transformed<Expr> {
    match part {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Eq | Operator::NotEq), right }) => {
            let (left, right) = match (is_path(&left), is_path(&right)) {
                (true, false) => (*left, renamed(*right, now)),
                (false, true) => (renamed(*left, now), *right),
                _ => (*left, *right),
            };
            Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
        }
        Expr::InList(InList { expr, list, negated }) if is_path(&expr) => {
            let list = list.into_iter().map(|item| renamed(item, now)).collect();
            Transformed::yes(Expr::InList(InList { expr, list, negated }))
        }
        Expr::ScalarFunction(mut call)
            if call.name() == MATCHES && call.args.first().is_some_and(is_path) =>
        {
            let exact = |text: &str| Pattern::new(text).is_ok_and(|pattern| pattern.as_path().is_some());
            if let Some(Expr::Literal(value, _)) = call.args.get(1)
                && value.try_as_str().flatten().is_some_and(exact)
            {
                let pattern = call.args.remove(1);
                call.args.insert(1, renamed(pattern, now));
            }
            Transformed::yes(Expr::ScalarFunction(call))
        }
        other => Transformed::no(other),
    }
}

fn renamed(part: Expr, now: &dyn Fn(&str) -> Option<SignalPath>) -> Expr {
    match &part {
        Expr::Literal(value, _) => match value.try_as_str().flatten().and_then(now) {
            Some(path) => Expr::Literal(ScalarValue::from(path.as_str()), None),
            None => part,
        },
        _ => part,
    }
}

/// Whether a column of a step is the path of signals, from wherever it comes unchanged.
fn means_path(step: &LogicalPlan, column: &Column) -> bool {
    let below = |column: &Column| step.inputs().into_iter().any(|input| means_path(input, column));
    if !step.schema().has_column(column) {
        return false;
    }
    match step {
        LogicalPlan::TableScan(scan) => {
            let provider = source_as_provider(&scan.source);
            let table = provider.as_ref().ok().and_then(|provider| provider.downcast_ref::<Table>());
            table.is_some_and(|table| table.0.path_column() == Some(column.name()))
        }
        LogicalPlan::SubqueryAlias(alias) => means_path(&alias.input, &Column::from_name(column.name())),
        LogicalPlan::Projection(projection) => {
            let made = step.schema().maybe_index_of_column(column).and_then(|at| projection.expr.get(at));
            let mut made = made;
            while let Some(Expr::Alias(alias)) = made {
                made = Some(&alias.expr);
            }
            matches!(made, Some(Expr::Column(from)) if means_path(&projection.input, from))
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Distinct(Distinct::All(_))
        | LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::Subquery(_) => below(column),
        _ => false,
    }
}
