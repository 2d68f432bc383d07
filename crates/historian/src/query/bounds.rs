//! Bounds on the functions of SQL by which a short query could make an endless value: memory that no pool counts, or work
//! that nothing can interrupt. Each is measured before it is called, or at least after. Functions that only serve to make
//! arrays of any length are left out; `generate_series` in FROM does the same row by row.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{DFSchema, Result};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawDictionaryExpr};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use tidemill_core::{Problem, codes};

use super::errors::from_problem;

/// The most that one call may make for a batch of rows.
pub(crate) const CALL_BYTES_MAX: u64 = 32 << 20;
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

/// The planners of expressions; the first puts bounds on what has a syntax of its own.
pub(crate) fn planners() -> Vec<Arc<dyn ExprPlanner>> {
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(Literals)];
    planners.extend(SessionStateDefaults::default_expr_planners());
    planners
}

/// The bounded function of that name, for syntax that means it.
fn call(name: &str, arguments: Vec<Expr>) -> Result<Expr> {
    static BOUNDED: LazyLock<Vec<Arc<ScalarUDF>>> =
        LazyLock::new(|| bounded(SessionStateDefaults::default_scalar_functions()));
    let found = BOUNDED.iter().find(|function| function.name() == name);
    let function = found.ok_or_else(|| super::errors::bad(format!("there is no function '{name}'")))?;
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(function.clone(), arguments)))
}

/// Syntax that makes values: `||`, `[…]`, `{…}`, MAP, OVERLAY. DataFusion's own planners would call the functions without
/// their bounds.
#[derive(Debug)]
struct Literals;

impl ExprPlanner for Literals {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(expr));
        }
        let nested = |part: &Expr| part.get_type(schema).is_ok_and(|kind| kind.is_nested());
        let name = match (nested(&expr.left), nested(&expr.right)) {
            (true, true) => "array_concat",
            (true, false) => "array_append",
            (false, true) => "array_prepend",
            (false, false) => {
                let joined =
                    BinaryExpr::new(Box::new(expr.left), Operator::StringConcat, Box::new(expr.right));
                let measured = Arc::new(ScalarUDF::from(Measured(Signature::any(1, Volatility::Immutable))));
                let call = ScalarFunction::new_udf(measured, vec![Expr::BinaryExpr(joined)]);
                return Ok(PlannerResult::Planned(Expr::ScalarFunction(call)));
            }
        };
        Ok(PlannerResult::Planned(call(name, vec![expr.left, expr.right])?))
    }

    fn plan_array_literal(&self, items: Vec<Expr>, _: &DFSchema) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call("make_array", items)?))
    }

    fn plan_struct_literal(&self, parts: Vec<Expr>, named: bool) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call(if named { "named_struct" } else { "struct" }, parts)?))
    }

    fn plan_dictionary_literal(
        &self,
        literal: RawDictionaryExpr,
        _: &DFSchema,
    ) -> Result<PlannerResult<RawDictionaryExpr>> {
        let pairs = literal.keys.into_iter().zip(literal.values);
        let parts = pairs.flat_map(|(key, value)| [key, value]).collect();
        Ok(PlannerResult::Planned(call("named_struct", parts)?))
    }

    fn plan_make_map(&self, parts: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        let mut sides = [Vec::new(), Vec::new()];
        for (number, part) in parts.into_iter().enumerate() {
            if let Some(side) = sides.get_mut(number % 2) {
                side.push(part);
            }
        }
        let [keys, values] = sides;
        if keys.len() != values.len() {
            return Err(super::errors::bad("a map needs a value for each key"));
        }
        let sides = vec![call("make_array", keys)?, call("make_array", values)?];
        Ok(PlannerResult::Planned(call("map", sides)?))
    }

    fn plan_overlay(&self, parts: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call("overlay", parts)?))
    }
}

/// How many parts a nested type may have: a struct of two equal structs of two equal structs… doubles at each step.
const TYPE_PARTS_MAX: usize = 1_000;

/// Counts the parts of a type, up to one more than may be.
fn type_parts(kind: &DataType, left: usize) -> usize {
    let of = |fields: &mut dyn Iterator<Item = &DataType>| {
        fields.fold(1, |sum, kind| if sum > left { sum } else { sum + type_parts(kind, left - sum) })
    };
    match kind {
        DataType::Struct(fields) => of(&mut fields.iter().map(|field| field.data_type())),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => of(&mut std::iter::once(item.data_type())),
        _ => 1,
    }
}

fn measured_type(kind: &DataType) -> Result<()> {
    if type_parts(kind, TYPE_PARTS_MAX) > TYPE_PARTS_MAX {
        return Err(super::errors::bad("a value is nested in more parts than are allowed"));
    }
    Ok(())
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
            Rule::Sum => {
                call.args.iter().map(|argument| sum(&lengths(argument, rows)?)).sum::<Result<u64>>()?
            }
            Rule::Times => product(&lengths_of(argument(0), rows)?, &numbers_of(argument(1), rows)?),
            Rule::Length => sum(&numbers_of(argument(1), rows)?)?.saturating_mul(4),
            Rule::Replace => {
                let lengths: Vec<u64> =
                    lengths_of(argument(0), rows)?.iter().map(|length| length + 1).collect();
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
        let kind = self.inner.return_type(arguments)?;
        measured_type(&kind)?;
        Ok(kind)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = self.inner.return_field_from_args(arguments)?;
        measured_type(field.data_type())?;
        Ok(field)
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
