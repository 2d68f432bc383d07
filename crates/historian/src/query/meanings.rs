//! What SQL means where DataFusion means something else, said in the plan before anything is worked out: numbers that do not
//! fit ([`super::whole`]), zeros with a minus ([`super::zeros`]), intervals by their length ([`super::intervals`]) and what
//! becomes one ([`spans`]), a subquery for one value that finds no row, and a subquery for a list with a NULL ([`tidemill_dialect::members`]).

use std::cell::Cell;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use tidemill_dialect::{bad, members, spans};

use super::planning::bounded;
use super::{intervals, whole, zeros};

/// The rule.
#[derive(Debug)]
pub(crate) struct Meanings;

impl AnalyzerRule for Meanings {
    fn name(&self) -> &str {
        "operations mean what SQL means"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let absent = Cell::new(false);
        let meant = plan.transform_up_with_subqueries(|step| {
            let schema = merge_schema(&step.inputs());
            intervals::told_apart(&step, &schema)?;
            let names = NamePreserver::new(&step);
            let ordered = intervals::is_ordered(&step);
            let step = step.map_expressions(|expr| {
                let name = names.save(&expr);
                let meant = expr.transform_up(|part| meant(part, &schema, &absent))?;
                let meant = match ordered {
                    true => meant.transform_data(|expr| intervals::by_length(expr, &schema))?,
                    false => meant,
                };
                Ok(meant.update_data(|expr| name.restore(expr)))
            })?;
            let step = match absent.get() {
                // What was always there may be NULL now.
                true => step.map_data(LogicalPlan::recompute_schema)?,
                false => step,
            };
            step.transform_data(members::known)
        });
        // A membership within another names its rows more than once.
        bounded(meant?.data)
    }
}

fn meant(expr: Expr, schema: &DFSchema, absent: &Cell<bool>) -> Result<Transformed<Expr>> {
    let expr = whole::checked(expr, schema)?;
    let expr = expr.transform_data(|expr| spans::cast(expr, schema))?;
    let expr = expr.transform_data(|expr| intervals::compared(expr, schema))?;
    let expr = expr.transform_data(|expr| zeros::compared(expr, schema))?;
    expr.transform_data(|expr| {
        if !may_find_nothing(&expr) {
            return Ok(Transformed::no(expr));
        }
        absent.set(true);
        let absent = Arc::new(ScalarUDF::from(Absent(Signature::any(1, Volatility::Immutable))));
        Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(absent, vec![expr]))))
    })
}

/// Whether this is a subquery for one value that is NULL only where there is no row. One that looks outside is a join, which
/// knows.
fn may_find_nothing(expr: &Expr) -> bool {
    let Expr::ScalarSubquery(query) = expr else { return false };
    let always = match query.subquery.as_ref() {
        LogicalPlan::Projection(made) => {
            matches!(made.input.as_ref(), LogicalPlan::EmptyRelation(one) if one.produce_one_row)
        }
        _ => false,
    };
    let nullable = query.subquery.schema().fields().first().is_none_or(|field| field.is_nullable());
    !always && !nullable && query.outer_ref_columns.is_empty()
}

/// Gives what it is given, which may be NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Absent(Signature);

impl ScalarUDFImpl for Absent {
    fn name(&self) -> &str {
        "absent"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        arguments.first().cloned().ok_or_else(|| bad("a value is missing"))
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let kinds: Vec<DataType> = call.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(Field::new(self.name(), self.return_type(&kinds)?, true)))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        call.args.into_iter().next().ok_or_else(|| bad("a value is missing"))
    }
}
