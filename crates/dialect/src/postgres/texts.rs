//! The text of a value as PostgreSQL writes it, where the planner writes it otherwise: of times, floats and intervals.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::values::Cells;
use crate::error::bad;

/// Whether values of a type have another text than the planner gives them.
pub(crate) fn differs(kind: &DataType) -> bool {
    kind.is_floating()
        || matches!(
            kind,
            DataType::Timestamp(..)
                | DataType::Time32(_)
                | DataType::Time64(_)
                | DataType::Interval(_)
                | DataType::Duration(_)
        )
}

/// The text of a value.
pub(crate) fn of(value: Expr) -> Expr {
    let function = Arc::new(ScalarUDF::from(Text(Signature::any(1, Volatility::Immutable))));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![value]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Text(Signature);

impl ScalarUDFImpl for Text {
    fn name(&self) -> &str {
        "tidemill_text"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (Some(value), Some(field)) = (call.args.first(), call.arg_fields.first()) else {
            return Err(bad("a value is missing"));
        };
        let scalar = matches!(value, ColumnarValue::Scalar(_));
        let rows = if scalar { 1 } else { call.number_rows };
        let cells = Cells::of(field, &value.to_array(rows)?)?;
        let mut texts = StringViewBuilder::with_capacity(rows);
        let mut cell = Vec::new();
        for row in 0..rows {
            cell.clear();
            let told = cells.write(row, false, &mut cell)?;
            texts.append_option(told.then(|| String::from_utf8_lossy(&cell)));
        }
        let texts: ArrayRef = Arc::new(texts.finish());
        Ok(match scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&texts, 0)?),
            false => ColumnarValue::Array(texts),
        })
    }
}
