//! `+`, `-` and `*` of integers, refused where the result does not fit: DataFusion's wrap around. They are put in place of
//! those at the end of planning; who puts them there keeps the names. What is not here: sums over rows ([`super::sum`]), other types, and
//! constants, which the planner has worked out before.

use std::sync::Arc;

use arrow::array::{ArrayRef, Datum};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use tidemill_core::{Problem, codes};
use tidemill_dialect::{bad, from_problem};

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

/// The operation over integers, refusing what does not fit; none for any other.
pub(crate) fn checked(operation: &BinaryExpr) -> Option<Expr> {
    kernel(operation.op)?;
    let signature = Signature::any(2, Volatility::Immutable);
    let checked = Arc::new(ScalarUDF::from(Checked { operation: operation.op, signature }));
    let sides = [&operation.left, &operation.right].map(|side| side.as_ref().clone());
    Some(Expr::ScalarFunction(ScalarFunction::new_udf(checked, sides.into())))
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
    let problem = Problem::new(&codes::BAD_SQL, format!("{what} does not fit into an integer of that type"));
    from_problem(problem.hint("Compute with CAST(… AS DECIMAL(38, 0)), or with value, which is a float; CASE WHEN keeps rows out, AND does not"))
}
