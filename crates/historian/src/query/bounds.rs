//! Bounds on the functions of SQL by which a short query could make an endless value: memory that no pool counts, or work
//! that nothing can interrupt. Each is measured before it is called, or at least after. Functions that only serve to make
//! arrays of any length are left out; `generate_series` in FROM does the same row by row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{DFSchema, Result};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use tidemill_core::{Problem, codes};

use super::errors::from_problem;

/// The most that one call may make for a batch of rows.
const CALL_BYTES_MAX: u64 = 32 << 20;
/// The most pairs of letters that one call may compare.
const PAIRS_MAX: u64 = 100_000_000;

/// Left out: they make arrays of any length from a number.
const LEFT_OUT: [&str; 4] = ["range", "generate_series", "array_repeat", "array_resize"];

/// How much a call can make at most, judged by its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Rule {
    /// All arguments one after the other.
    Sum,
    /// The first as often as the second says.
    Times,
    /// As long as the second says.
    Length,
    /// The third in place of every letter of the first.
    Replace,
    /// The second between the items of the first.
    Join,
    /// Every letter of the first with every one of the second.
    Pairs,
    /// Only what came out.
    After,
}

const RULES: [(&str, Rule); 17] = [
    ("concat", Rule::Sum),
    ("concat_ws", Rule::After),
    ("repeat", Rule::Times),
    ("lpad", Rule::Length),
    ("rpad", Rule::Length),
    ("replace", Rule::Replace),
    ("regexp_replace", Rule::Replace),
    ("array_to_string", Rule::Join),
    ("levenshtein", Rule::Pairs),
    ("overlay", Rule::After),
    ("make_array", Rule::After),
    ("array_append", Rule::After),
    ("array_prepend", Rule::After),
    ("array_concat", Rule::After),
    ("struct", Rule::After),
    ("named_struct", Rule::After),
    ("map", Rule::After),
];

/// The functions with their bounds.
pub(crate) fn bounded(functions: Vec<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    let kept = functions.into_iter().filter(|function| !LEFT_OUT.contains(&function.name()));
    kept.map(|function| match RULES.iter().find(|(name, _)| *name == function.name()) {
        Some((_, rule)) => Arc::new(ScalarUDF::from(Bounded { inner: function, rule: *rule })),
        None => function,
    })
    .collect()
}

/// The planners of expressions; the first puts a bound on `||`.
pub(crate) fn planners() -> Vec<Arc<dyn ExprPlanner>> {
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(Joined)];
    planners.extend(SessionStateDefaults::default_expr_planners());
    planners
}

#[derive(Debug)]
struct Joined;

impl ExprPlanner for Joined {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let nested = |part: &Expr| part.get_type(schema).is_ok_and(|kind| kind.is_nested());
        if expr.op != BinaryOperator::StringConcat || nested(&expr.left) || nested(&expr.right) {
            return Ok(PlannerResult::Original(expr));
        }
        let joined = BinaryExpr::new(Box::new(expr.left), Operator::StringConcat, Box::new(expr.right));
        let measured = Arc::new(ScalarUDF::from(Measured(Signature::any(1, Volatility::Immutable))));
        let call = ScalarFunction::new_udf(measured, vec![Expr::BinaryExpr(joined)]);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}

fn too_much(what: &str) -> datafusion::common::DataFusionError {
    let detail = format!("{what} would make more than {CALL_BYTES_MAX} bytes for a batch of rows");
    from_problem(Problem::new(&codes::QUERY_MEMORY, detail).hint("Make shorter values"))
}

fn measure(made: ColumnarValue, what: &str) -> Result<ColumnarValue> {
    let bytes = match &made {
        ColumnarValue::Array(array) => array.get_array_memory_size(),
        ColumnarValue::Scalar(scalar) => scalar.size(),
    };
    if u64::try_from(bytes).unwrap_or(u64::MAX) > CALL_BYTES_MAX {
        return Err(too_much(what));
    }
    Ok(made)
}

/// What `||` made, measured.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Measured(Signature);

impl ScalarUDFImpl for Measured {
    fn name(&self) -> &str {
        "joined"
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        arguments.first().map_or(Ok(String::new()), |joined| Ok(joined.schema_name().to_string()))
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match call.args.into_iter().next() {
            Some(made) => measure(made, "'||'"),
            None => Err(super::errors::bad("'||' needs two values")),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    rule: Rule,
}

impl Bounded {
    fn check(&self, call: &ScalarFunctionArgs) -> Result<()> {
        let rows = call.number_rows.max(1);
        let argument = |number: usize| call.args.get(number);
        let max = match self.rule {
            Rule::After => return Ok(()),
            Rule::Pairs => PAIRS_MAX,
            _ => CALL_BYTES_MAX,
        };
        let total = match self.rule {
            Rule::Sum => call.args.iter().map(|argument| sum(&lengths(argument, rows)?)).sum::<Result<u64>>()?,
            Rule::Times => product(&lengths_of(argument(0), rows)?, &numbers_of(argument(1), rows)?),
            Rule::Length => sum(&numbers_of(argument(1), rows)?)?.saturating_mul(4),
            Rule::Replace => {
                let lengths: Vec<u64> = lengths_of(argument(0), rows)?.iter().map(|length| length + 1).collect();
                product(&lengths, &lengths_of(argument(2), rows)?).saturating_mul(2)
            }
            Rule::Join => items(argument(0), rows)?.saturating_mul(largest(&lengths_of(argument(1), rows)?)),
            _ => product(&lengths_of(argument(0), rows)?, &lengths_of(argument(1), rows)?),
        };
        if total > max {
            return Err(too_much(self.inner.name()));
        }
        Ok(())
    }
}

fn sum(values: &[u64]) -> Result<u64> {
    Ok(values.iter().fold(0, |sum, value| sum.saturating_add(*value)))
}

fn largest(values: &[u64]) -> u64 {
    values.iter().copied().max().unwrap_or_default()
}

fn product(one: &[u64], other: &[u64]) -> u64 {
    one.iter().zip(other).fold(0, |sum, (one, other)| sum.saturating_add(one.saturating_mul(*other)))
}

fn lengths_of(argument: Option<&ColumnarValue>, rows: usize) -> Result<Vec<u64>> {
    argument.map_or(Ok(vec![0; rows]), |argument| lengths(argument, rows))
}

/// How long the texts are in each row; what is no text counts as short.
fn lengths(argument: &ColumnarValue, rows: usize) -> Result<Vec<u64>> {
    let array = array(argument, rows)?;
    let of = |texts: &StringViewArray| texts.iter().map(|text| text.map_or(0, str::len) as u64).collect();
    let mut lengths: Vec<u64> = match array.data_type() {
        DataType::Utf8View => of(array.as_string_view()),
        DataType::Utf8 | DataType::LargeUtf8 => of(cast(&array, &DataType::Utf8View)?.as_string_view()),
        _ => vec![32; array.len()],
    };
    spread(&mut lengths, rows);
    Ok(lengths)
}

fn numbers_of(argument: Option<&ColumnarValue>, rows: usize) -> Result<Vec<u64>> {
    let Some(argument) = argument else { return Ok(vec![0; rows]) };
    let array = cast(&array(argument, rows)?, &DataType::Int64)?;
    let numbers: &Int64Array = array.as_primitive::<Int64Type>();
    let mut numbers: Vec<u64> =
        numbers.iter().map(|number| u64::try_from(number.unwrap_or_default()).unwrap_or_default()).collect();
    spread(&mut numbers, rows);
    Ok(numbers)
}

fn items(argument: Option<&ColumnarValue>, rows: usize) -> Result<u64> {
    let Some(argument) = argument else { return Ok(0) };
    let array = array(argument, rows)?;
    let items = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().values().len(),
        DataType::LargeList(_) => array.as_list::<i64>().values().len(),
        _ => array.len(),
    };
    Ok(items as u64)
}

/// A scalar stays one value, so that looking at it costs nothing.
fn array(argument: &ColumnarValue, _rows: usize) -> Result<ArrayRef> {
    match argument {
        ColumnarValue::Array(array) => Ok(array.clone()),
        ColumnarValue::Scalar(scalar) => scalar.to_array(),
    }
}

fn spread(values: &mut Vec<u64>, rows: usize) {
    if let [only] = values.as_slice() {
        *values = vec![*only; rows];
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(arguments)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn documentation(&self) -> Option<&datafusion::logical_expr::Documentation> {
        self.inner.documentation()
    }

    // Without `simplify`: it would put the function without its bound into the plan.

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&call)?;
        let made = self.inner.invoke_with_args(call)?;
        measure(made, self.inner.name())
    }
}
