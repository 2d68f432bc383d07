//! One wrapper around every function of SQL. Before a call it asks whether the query may go on and whether the call would
//! make too much; what was made is charged to the query for as long as it lives. Functions that only serve to make
//! arrays of any length are left out; `generate_series` in FROM does the same row by row. What is not here: how a call
//! is judged ([`super::rules`]) and what is charged ([`super::meter`]).

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{ExprSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, StructFieldMapping, Volatility,
};
use tidemill_dialect::bad;

use super::clock;
use super::earliest::{self, DATE_TRUNC};
use super::meter::{CONSTANT_BYTES_MAX, Meter, bytes_of, is_of_any_length, too_much};
use super::rules::{CALL_BYTES_MAX, Rule};

/// Left out: they make arrays of any length from a number.
const LEFT_OUT: [&str; 4] = ["range", "generate_series", "array_repeat", "array_resize"];

/// The functions with their bounds.
pub(crate) fn bounded(functions: Vec<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    let kept = functions.into_iter().filter(|function| !LEFT_OUT.contains(&function.name()));
    kept.map(|function| bound(&function)).collect()
}

/// A function with its bounds.
fn bound(function: &Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    if function.inner().is::<Bounded>() || function.inner().is::<Charged>() {
        return function.clone();
    }
    let rule = Rule::of(function.name());
    Arc::new(ScalarUDF::from(Bounded { inner: function.clone(), rule }))
}

/// The expression with bounds on every function in it, also on those that the planner put there.
pub(crate) fn with_bounds(expr: Expr) -> Result<Transformed<Expr>> {
    expr.transform_up(|part| match part {
        Expr::ScalarFunction(call) => {
            let func = bound(&call.func);
            let same = Arc::ptr_eq(&func, &call.func);
            let part = Expr::ScalarFunction(ScalarFunction { func, args: call.args });
            Ok(if same { Transformed::no(part) } else { Transformed::yes(part) })
        }
        other => Ok(Transformed::no(other)),
    })
}

/// The expression, whose values are charged.
pub(crate) fn charged(expr: Expr) -> Expr {
    let charged = Arc::new(ScalarUDF::from(Charged(Signature::any(1, Volatility::Immutable))));
    Expr::ScalarFunction(ScalarFunction::new_udf(charged, vec![expr]))
}

/// The constant as a column that is charged before it is made; a constant that stays one would be repeated for each row
/// by whoever uses it.
pub(crate) fn spread(constant: Expr) -> Expr {
    let spread = Arc::new(ScalarUDF::from(Charged(Signature::any(1, Volatility::Volatile))));
    Expr::ScalarFunction(ScalarFunction::new_udf(spread, vec![constant]))
}

/// How many parts a nested type may have: a struct of two equal structs of two equal structs… doubles at each step, and
/// a list of a fixed length has room for all its items even where it is NULL.
const TYPE_PARTS_MAX: usize = 1_000;

/// Counts the parts of a type, up to one more than may be.
fn type_parts(kind: &DataType, left: usize) -> usize {
    let of = |fields: &mut dyn Iterator<Item = &DataType>| {
        fields.fold(1, |sum, kind| if sum > left { sum } else { sum + type_parts(kind, left - sum) })
    };
    let times = |parts: usize, length: i32| parts.saturating_mul(usize::try_from(length).unwrap_or_default());
    match kind {
        DataType::FixedSizeBinary(length) => times(1, *length),
        DataType::FixedSizeList(item, length) => times(type_parts(item.data_type(), left), *length),
        DataType::Struct(fields) => of(&mut fields.iter().map(|field| field.data_type())),
        DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => {
            of(&mut std::iter::once(item.data_type()))
        }
        _ => 1,
    }
}

/// Refuses a type whose values are large whatever is in them.
pub(crate) fn measured_type(kind: &DataType) -> Result<()> {
    if type_parts(kind, TYPE_PARTS_MAX) > TYPE_PARTS_MAX {
        return Err(bad("a value is nested in more parts than are allowed"));
    }
    Ok(())
}

/// Whether a call works out a constant of the plan. Planning also asks a condition of the names of all signals: those are rows,
/// which the plan does not keep.
fn is_constant(meter: &Meter, rows: usize) -> bool {
    meter.is_planning() && rows <= 1
}

/// Charges what a call made. A constant that is long becomes a column, which can be charged until nobody needs it.
fn keep(made: ColumnarValue, rows: usize, meter: Option<&Arc<Meter>>, what: &str) -> Result<ColumnarValue> {
    let Some(meter) = meter else { return Ok(made) };
    let constant = is_constant(meter, rows);
    match made {
        ColumnarValue::Array(array) => {
            let bytes = bytes_of(&array);
            if constant && bytes > CONSTANT_BYTES_MAX {
                return Err(too_much(what));
            }
            meter.charge(&array, bytes, what)?;
            Ok(ColumnarValue::Array(array))
        }
        ColumnarValue::Scalar(value) => {
            if !is_of_any_length(&value.data_type()) || value.size() <= CONSTANT_BYTES_MAX {
                return Ok(ColumnarValue::Scalar(value));
            }
            if constant {
                return Err(too_much(what));
            }
            let needed = meter.borrow(value.size().saturating_mul(rows), what)?;
            let array = value.to_array_of_size(rows)?;
            drop(needed);
            meter.charge(&array, bytes_of(&array), what)?;
            Ok(ColumnarValue::Array(array))
        }
    }
}

/// What a function may need for itself: about as much as it is given, counted once for each argument. Many turn a constant
/// into a column first.
fn needed(call: &ScalarFunctionArgs) -> usize {
    let of = |argument: &ColumnarValue| match argument {
        ColumnarValue::Scalar(value) if call.number_rows > 1 && is_of_any_length(&value.data_type()) => {
            value.size().saturating_mul(call.number_rows)
        }
        ColumnarValue::Scalar(_) => 0,
        ColumnarValue::Array(array) if is_of_any_length(array.data_type()) => bytes_of(array),
        ColumnarValue::Array(_) => 0,
    };
    call.args.iter().map(of).fold(0, usize::saturating_add)
}

/// The name of what charges.
pub(crate) const CHARGED: &str = "charged";

/// Gives what it is given, charged.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Charged(Signature);

impl ScalarUDFImpl for Charged {
    fn name(&self) -> &str {
        CHARGED
    }

    fn display_name(&self, arguments: &[Expr]) -> Result<String> {
        self.schema_name(arguments)
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        arguments.first().map_or(Ok(String::new()), |inner| Ok(inner.schema_name().to_string()))
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = arguments.arg_fields.first().cloned();
        field.ok_or_else(|| bad("a value is missing"))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let meter = Meter::of(&call.config_options);
        if let Some(meter) = meter {
            meter.go_on()?;
        }
        match call.args.into_iter().next() {
            Some(made) => keep(made, call.number_rows, meter, "an expression"),
            None => Err(bad("a value is missing")),
        }
    }
}

/// A function of DataFusion with its bounds; in all else it is the function.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    rule: Option<Rule>,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn display_name(&self, arguments: &[Expr]) -> Result<String> {
        #[expect(deprecated, reason = "what the wrapper says must be what the function says")]
        self.inner.display_name(arguments)
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        self.inner.schema_name(arguments)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let kind = self.inner.return_type(arguments)?;
        measured_type(&kind)?;
        Ok(kind)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = self.inner.return_field_from_args(arguments)?;
        measured_type(field.data_type())?;
        // Of the earliest times there is none.
        if self.name() == DATE_TRUNC {
            return Ok(Arc::new(field.as_ref().clone().with_nullable(true)));
        }
        Ok(field)
    }

    fn is_nullable(&self, arguments: &[Expr], schema: &dyn ExprSchema) -> bool {
        #[expect(deprecated, reason = "what the wrapper says must be what the function says")]
        self.inner.is_nullable(arguments, schema)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let inner = Arc::new(self.inner.inner().with_updated_config(config)?);
        Some(ScalarUDF::from(Bounded { inner, rule: self.rule }))
    }

    fn simplify(&self, arguments: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        // What has a rule stays as it is: joining constants while planning is what the rule is there to bound.
        if self.rule.is_some() {
            return Ok(ExprSimplifyResult::Original(arguments));
        }
        Ok(match self.inner.simplify(arguments, context)? {
            ExprSimplifyResult::Simplified(expr) => ExprSimplifyResult::Simplified(with_bounds(expr)?.data),
            original => original,
        })
    }

    fn preimage(
        &self,
        arguments: &[Expr],
        value: &Expr,
        context: &SimplifyContext,
    ) -> Result<PreimageResult> {
        if self.inner.name() == earliest::DATE_PART && !earliest::is_whole_year(value) {
            return Ok(PreimageResult::None);
        }
        self.inner.preimage(arguments, value, context)
    }

    fn conditional_arguments<'a>(&self, arguments: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(arguments)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        self.inner.evaluate_bounds(inputs)
    }

    fn propagate_constraints(
        &self,
        interval: &Interval,
        inputs: &[&Interval],
    ) -> Result<Option<Vec<Interval>>> {
        self.inner.propagate_constraints(interval, inputs)
    }

    fn struct_field_mapping(&self, literals: &[Option<ScalarValue>]) -> Option<StructFieldMapping> {
        self.inner.struct_field_mapping(literals)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.preserves_lex_ordering(inputs)
    }

    fn strictly_order_preserving(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.inner().strictly_order_preserving(inputs)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn placement(&self, arguments: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.inner.placement(arguments)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (config, rows) = (call.config_options.clone(), call.number_rows);
        let meter = Meter::of(&config);
        let mut borrowed = None;
        if let Some(meter) = meter {
            meter.go_on()?;
            borrowed = Some(meter.borrow(needed(&call), self.inner.name())?);
        }
        if let Some(rule) = self.rule {
            let bytes_max = match meter.is_some_and(|meter| is_constant(meter, rows)) {
                true => CONSTANT_BYTES_MAX as u64,
                false => CALL_BYTES_MAX,
            };
            rule.check(self.inner.name(), &call, bytes_max)?;
        }
        let made = match self.name() {
            DATE_TRUNC => earliest::truncated(&self.inner, call)?,
            earliest::DATE_PART => clock::part(&self.inner, call)?,
            clock::TO_TIMESTAMP => clock::time(&self.inner, call)?,
            clock::TO_CHAR => clock::told(&self.inner, call)?,
            _ => self.inner.invoke_with_args(call)?,
        };
        drop(borrowed);
        keep(made, rows, meter, self.inner.name())
    }
}
