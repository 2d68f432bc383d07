//! `+`, `-` and `*` of integers, refused where the result does not fit: DataFusion's wrap around. They are put in place of
//! those before the planner works out constants. What is not here: sums over rows ([`super::sum`]), and other types.

use std::sync::Arc;

use arrow::array::{ArrayRef, Datum};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;
use tidemill_dialect::{bad, does_not_fit};

/// The kernel of an operation that may leave its type.
type Kernel = fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError>;

fn kernel(operation: Operator) -> Option<Kernel> {
    match operation {
        Operator::Plus => Some(numeric::add),
        Operator::Minus => Some(numeric::sub),
        Operator::Multiply => Some(numeric::mul),
        _ => None,
    }
}

/// Puts them in place, in every plan, before anything is worked out.
#[derive(Debug)]
pub(crate) struct Integers;

impl AnalyzerRule for Integers {
    fn name(&self) -> &str {
        "integers do not wrap around"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let checked = plan.transform_up_with_subqueries(|step| {
            let schema = merge_schema(&step.inputs());
            let names = NamePreserver::new(&step);
            step.map_expressions(|expr| {
                let name = names.save(&expr);
                let checked = expr.transform_up(|part| checked(part, &schema))?;
                Ok(checked.update_data(|expr| name.restore(expr)))
            })
        });
        Ok(checked?.data)
    }
}

fn checked(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let side = match &expr {
        Expr::BinaryExpr(operation) if kernel(operation.op).is_some() => &operation.left,
        Expr::Negative(of) => of,
        _ => return Ok(Transformed::no(expr)),
    };
    let kind = side.get_type(schema);
    let Some(kind) = kind.ok().filter(|kind| kind.is_integer()) else { return Ok(Transformed::no(expr)) };
    let (operation, sides) = match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => (op, vec![*left, *right]),
        Expr::Negative(of) => (Operator::Minus, vec![lit(ScalarValue::new_zero(&kind)?), *of]),
        other => return Ok(Transformed::no(other)),
    };
    let signature = Signature::any(2, Volatility::Immutable);
    let checked = Arc::new(ScalarUDF::from(Checked { operation, signature }));
    Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(checked, sides))))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operation: Operator,
    signature: Signature,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        "checked"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, sides: &[DataType]) -> Result<DataType> {
        sides.first().cloned().ok_or_else(|| bad("a value is missing"))
    }

    fn return_field_from_args(&self, sides: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let kinds: Vec<DataType> = sides.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = sides.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&kinds)?, nullable)))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ([left, right], Some(kernel)) = (call.args.as_slice(), kernel(self.operation)) else {
            return Err(bad("a value is missing"));
        };
        let made = kernel(datum(left)?.as_ref(), datum(right)?.as_ref()).map_err(refused)?;
        Ok(match (left, right) {
            (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?)
            }
            _ => ColumnarValue::Array(made),
        })
    }
}

fn datum(side: &ColumnarValue) -> Result<Box<dyn Datum>> {
    Ok(match side {
        ColumnarValue::Array(array) => Box::new(array.clone()),
        ColumnarValue::Scalar(value) => Box::new(value.to_scalar()?),
    })
}

fn refused(error: ArrowError) -> datafusion::common::DataFusionError {
    let ArrowError::ArithmeticOverflow(what) = error else { return error.into() };
    let what = what.trim_start_matches("Overflow happened on: ");
    does_not_fit(format!("{what} in an integer of that type"))
}
