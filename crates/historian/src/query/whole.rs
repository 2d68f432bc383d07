//! Operations of integers and decimals, refused where the result does not fit: DataFusion's integers wrap around, and its
//! decimals take more than their 38 digits and then show the first of them. They are put in place of those before the planner
//! works out constants. What is not here: sums over rows ([`super::sum`]), and other types.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum, Scalar, new_empty_array};
use arrow::compute::kernels::numeric;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DECIMAL32_MAX_PRECISION, DECIMAL64_MAX_PRECISION, DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION,
    DataType, Decimal256Type, Field, FieldRef,
};
use arrow::error::ArrowError;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, lit,
};
use tidemill_core::{Problem, codes};
use tidemill_dialect::{bad, does_not_fit, from_problem};

/// The kernel of an operation that may leave its type.
type Kernel = fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError>;

fn kernel(operation: Operator) -> Option<Kernel> {
    match operation {
        Operator::Plus => Some(numeric::add),
        Operator::Minus => Some(numeric::sub),
        Operator::Multiply => Some(numeric::mul),
        Operator::Divide => Some(numeric::div),
        Operator::Modulo => Some(numeric::rem),
        _ => None,
    }
}

/// Whether the result may leave its type unseen. Of integers, a quotient fails where it must; decimals have room for
/// each result, but for those that would have more digits than there are.
fn may_leave(operation: Operator, left: &DataType, right: &DataType) -> Result<bool> {
    if left.is_integer() {
        return Ok(!matches!(operation, Operator::Divide | Operator::Modulo));
    }
    Ok(match result(operation, left, right)? {
        DataType::Decimal32(digits, _) => digits >= DECIMAL32_MAX_PRECISION,
        DataType::Decimal64(digits, _) => digits >= DECIMAL64_MAX_PRECISION,
        DataType::Decimal128(digits, _) => digits >= DECIMAL128_MAX_PRECISION,
        DataType::Decimal256(digits, _) => digits >= DECIMAL256_MAX_PRECISION,
        _ => false,
    })
}

/// The type that the kernel gives.
fn result(operation: Operator, left: &DataType, right: &DataType) -> Result<DataType> {
    let kernel = kernel(operation).ok_or_else(|| bad("there is no such operation"))?;
    Ok(kernel(&new_empty_array(left), &new_empty_array(right))?.data_type().clone())
}

/// The operation, checked where its result may leave its type.
pub(crate) fn checked(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (operation, left, right) = match &expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if kernel(*op).is_some() => (*op, left, right),
        Expr::Negative(of) => (Operator::Minus, of, of),
        _ => return Ok(Transformed::no(expr)),
    };
    let (Ok(kind), Ok(other)) = (left.get_type(schema), right.get_type(schema)) else {
        return Ok(Transformed::no(expr));
    };
    let numbers = kind.is_integer() && other.is_integer() || kind.is_decimal() && other.is_decimal();
    // A decimal without its sign has as many digits.
    let sign = kind.is_decimal() && matches!(expr, Expr::Negative(_));
    if !numbers || sign || !may_leave(operation, &kind, &other)? {
        return Ok(Transformed::no(expr));
    }
    let sides = match expr {
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) => vec![*left, *right],
        Expr::Negative(of) => vec![lit(ScalarValue::new_zero(&kind)?), *of],
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
        let [left, right] = sides else { return Err(bad("a value is missing")) };
        result(self.operation, left, right)
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
        let kind = self.return_type(&[left.data_type(), right.data_type()])?;
        let made = match kind.is_decimal() {
            true => wide(kernel, left, right, &kind)?,
            false => kernel(datum(left)?.as_ref(), datum(right)?.as_ref()).map_err(refused)?,
        };
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

/// An operation of decimals with all the digits that there are, in the type that it has if it fits.
fn wide(kernel: Kernel, left: &ColumnarValue, right: &ColumnarValue, kind: &DataType) -> Result<ArrayRef> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let widened = |side: &ColumnarValue| -> Result<Box<dyn Datum>> {
        let kind = DataType::Decimal256(DECIMAL256_MAX_PRECISION, scale(&side.data_type()));
        Ok(match side {
            ColumnarValue::Array(array) => Box::new(cast_with_options(array, &kind, &strict)?),
            ColumnarValue::Scalar(value) => {
                Box::new(Scalar::new(cast_with_options(&value.to_array()?, &kind, &strict)?))
            }
        })
    };
    let made = kernel(widened(left)?.as_ref(), widened(right)?.as_ref());
    let made = made.map_err(|error| match error {
        ArrowError::ArithmeticOverflow(_) => too_many_digits(),
        error => error.into(),
    })?;
    if let (DataType::Decimal256(digits, places), Some(decimals)) =
        (kind, made.as_primitive_opt::<Decimal256Type>().filter(|decimals| decimals.scale() == scale(kind)))
    {
        decimals.validate_decimal_precision(*digits).map_err(|_| too_many_digits())?;
        return Ok(Arc::new(decimals.clone().with_precision_and_scale(*digits, *places)?));
    }
    cast_with_options(&made, kind, &strict).map_err(|_| too_many_digits())
}

fn scale(kind: &DataType) -> i8 {
    match kind {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => *scale,
        _ => 0,
    }
}

/// A decimal with more digits than its type has.
pub(crate) fn too_many_digits() -> DataFusionError {
    let what = "a number does not fit: the result has more digits than a decimal, which has at most 38";
    let hint = "Round what is computed with, as in CAST(… AS DECIMAL(20, 6))";
    from_problem(Problem::new(&codes::BAD_SQL, what).hint(hint))
}

fn refused(error: ArrowError) -> DataFusionError {
    let ArrowError::ArithmeticOverflow(what) = error else { return error.into() };
    let what = what.trim_start_matches("Overflow happened on: ");
    does_not_fit(format!("{what} in an integer of that type"))
}
