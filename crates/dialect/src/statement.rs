//! From text to one statement that only reads: bounded in length and depth, checked against a list of what is allowed,
//! with its parameters put in as literals. What is not here: planning and running it.

use std::collections::HashMap;
use std::ops::ControlFlow;

use arrow::datatypes::DECIMAL128_MAX_PRECISION;
use datafusion::common::{DataFusionError, Result};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    Array, BinaryOperator, CastKind, DataType as SqlType, ExactNumberInfo, Expr, Ident, ObjectName, Query,
    Select, SelectItem, SetExpr, Statement as SqlStatement, TableFactor, UnaryOperator, Value as Literal,
    Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect};
use datafusion::sql::sqlparser::tokenizer::Tokenizer;
use serde_json::{Map, Value as Json};
use tidemill_core::{Problem, Value, codes};

use crate::error::{bad, from_problem};
use crate::walk::{change, look};
use crate::{exists, postgres, similar, weight};

/// The longest query text.
pub const TEXT_BYTES_MAX: usize = 64 << 10;
/// The most words and signs of a query: planning takes more than linear time, and nothing can interrupt it.
pub const TOKENS_MAX: usize = 8_192;
/// How deep parentheses and subqueries may nest.
pub const DEPTH_MAX: usize = 64;

/// How deep operators may nest, as in a chain of sums: planning takes time by the square of it.
pub const CHAIN_MAX: usize = 250;

/// How many tables and subqueries a query may mean.
pub const TABLES_MAX: usize = 1_000;

/// How many parts a query's expressions may mean, where what is said more than once counts each time.
pub const MEANT_MAX: usize = 16_384;

/// The highest number of a parameter.
pub const PARAMETERS_MAX: usize = 1_000;

/// Reads the text and puts the parameters in.
///
/// # Errors
/// `bad-sql`: it cannot be read, is no single query, or names a parameter that was not given.
pub fn read(text: &str, parameters: &[Value]) -> Result<Statement> {
    Ok(with(text, Some(parameters))?.0)
}

/// The same with its parameters left open, and how many it takes.
///
/// # Errors
/// `bad-sql`: it cannot be read, or is no single query.
pub fn open(text: &str) -> Result<(Statement, usize)> {
    with(text, None)
}

fn with(text: &str, parameters: Option<&[Value]>) -> Result<(Statement, usize)> {
    let mut statement = parse(text, &GenericDialect {})?;
    check(&statement)?;
    measure(&statement)?;
    name(&mut statement);
    let highest = bind(&mut statement, parameters)?;
    weight::weigh(&statement, MEANT_MAX)?;
    Ok((statement, highest))
}

/// Reads the text, in bounded time and memory.
///
/// # Errors
/// `bad-sql`: it cannot be read, or is no single statement.
pub fn parse(text: &str, dialect: &dyn Dialect) -> Result<Statement> {
    if text.len() > TEXT_BYTES_MAX {
        let detail = format!("the query has {} bytes; at most {TEXT_BYTES_MAX} are allowed", text.len());
        return Err(from_problem(
            Problem::new(&codes::BAD_SQL, detail).hint("Say it in fewer words, or with parameters"),
        ));
    }
    let tokens = Tokenizer::new(dialect, text)
        .tokenize_with_location()
        .map_err(|error| DataFusionError::SQL(Box::new(error.into()), None))?;
    if tokens.len() > TOKENS_MAX {
        let detail =
            format!("the query has {} words and signs; at most {TOKENS_MAX} are allowed", tokens.len());
        return Err(from_problem(
            Problem::new(&codes::BAD_SQL, detail).hint("Ask several questions instead of one"),
        ));
    }
    let mut statements = DFParserBuilder::new(tokens)
        .with_dialect(dialect)
        .with_recursion_limit(DEPTH_MAX)
        .build()?
        .parse_statements()?;
    let (Some(statement), None) = (statements.pop_front(), statements.pop_front()) else {
        return Err(from_problem(
            Problem::new(&codes::BAD_SQL, "one query is expected, and only one")
                .hint("Send queries one by one"),
        ));
    };
    Ok(statement)
}

/// A column that is computed is called what was typed: planning would put its table before each name.
fn name(statement: &mut Statement) {
    let Statement::Statement(inner) = statement else { return };
    let SqlStatement::Query(query) = inner.as_mut() else { return };
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        if !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            let alias = Ident::with_quote('"', expr.to_string());
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}

/// Only what reads. What this lets through is looked at once more when it is planned.
pub fn check(statement: &Statement) -> Result<()> {
    match statement {
        Statement::Statement(inner) => match inner.as_ref() {
            SqlStatement::Query(_)
            | SqlStatement::ExplainTable { .. }
            | SqlStatement::ShowTables { .. }
            | SqlStatement::ShowColumns { .. } => Ok(()),
            other => Err(refused(&first_word(&other.to_string()))),
        },
        Statement::Explain(explain) => check(&explain.statement),
        Statement::CreateExternalTable(_) => Err(refused("CREATE")),
        Statement::CopyTo(_) => Err(refused("COPY")),
        Statement::Reset(_) => Err(refused("RESET")),
    }
}

/// The problem with what does not only read.
pub fn refused(what: &str) -> DataFusionError {
    let problem = Problem::new(&codes::BAD_SQL, format!("{what} is not allowed: this door only reads"));
    from_problem(
        problem.hint("Use SELECT, EXPLAIN, DESCRIBE or SHOW TABLES; values are written by /api/v1/write"),
    )
}

fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().to_uppercase()
}

/// Refuses what would become too many tables: each use of a name from WITH is what it names once more, so that twenty names
/// that use the one before them twice are a million tables.
pub fn measure(statement: &Statement) -> Result<()> {
    let mut meant = Meant::default();
    match statement {
        Statement::Statement(inner) => match look(inner.as_ref(), &mut meant) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        },
        Statement::Explain(explain) => measure(&explain.statement),
        _ => Ok(()),
    }
}

/// How many tables a statement means.
#[derive(Default)]
struct Meant {
    /// Of each query that is being looked into, from the outside in.
    counts: Vec<usize>,
    /// Which queries have a name.
    named: HashMap<*const Query, String>,
    /// How many tables a name means; where it is given twice, the most.
    of_name: HashMap<String, usize>,
}

impl Visitor for Meant {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<DataFusionError> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.named.insert(&raw const *cte.query, cte.alias.name.value.to_lowercase());
        }
        self.counts.push(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<DataFusionError> {
        let tables = self.of_name.get(&name.to_string().replace('"', "").to_lowercase()).copied();
        if let Some(count) = self.counts.last_mut() {
            *count = count.saturating_add(tables.unwrap_or(1));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<DataFusionError> {
        let count = self.counts.pop().unwrap_or_default();
        if count > TABLES_MAX {
            let detail = format!("the query means more than {TABLES_MAX} tables and subqueries");
            let hint = "Name fewer things in terms of each other, or ask several questions";
            return ControlFlow::Break(from_problem(Problem::new(&codes::BAD_SQL, detail).hint(hint)));
        }
        if let Some(name) = self.named.remove(&(&raw const *query)) {
            // It counts where it is used.
            let known = self.of_name.entry(name).or_default();
            *known = count.max(*known);
        } else if let Some(outer) = self.counts.last_mut() {
            *outer = outer.saturating_add(count);
        }
        ControlFlow::Continue(())
    }
}

/// Puts expressions where placeholders stand; None leaves one open. In the tree, not in the text, so that no parameter can
/// become syntax.
///
/// # Errors
/// Those of `with`; `bad-sql` where expressions nest too deeply.
pub(crate) fn put(
    statement: &mut Statement,
    with: &mut dyn FnMut(&str) -> Result<Option<Expr>>,
) -> Result<()> {
    match statement {
        Statement::Statement(inner) => match change(inner.as_mut(), &mut Binder { with, depth: 0 }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        },
        Statement::Explain(explain) => put(&mut explain.statement, with),
        _ => Ok(()),
    }
}

/// A sign stands before the whole interval: the planner would put it before its first number alone.
fn whole_interval(expr: &mut Expr) {
    if let Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } = expr
        && matches!(inner.as_ref(), Expr::Interval(_))
    {
        let interval = std::mem::replace(inner.as_mut(), Expr::Value(Literal::Null.into()));
        **inner = Expr::Nested(Box::new(interval));
    }
}

struct Binder<'a> {
    with: &'a mut dyn FnMut(&str) -> Result<Option<Expr>>,
    /// How many expressions are being looked into.
    depth: usize,
}

impl VisitorMut for Binder<'_> {
    type Break = DataFusionError;

    fn pre_visit_expr(&mut self, _: &mut Expr) -> ControlFlow<DataFusionError> {
        self.depth += 1;
        if self.depth > CHAIN_MAX {
            let detail = format!("more than {CHAIN_MAX} operators follow on each other in one expression");
            let problem = Problem::new(&codes::BAD_SQL, detail).hint("Use IN (…) or a table of VALUES");
            return ControlFlow::Break(from_problem(problem));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        self.depth = self.depth.saturating_sub(1);
        if let Expr::Value(value) = expr
            && let Literal::Placeholder(name) = &value.value
        {
            match (self.with)(name) {
                Ok(Some(other)) => *expr = other,
                Ok(None) => {}
                Err(error) => return ControlFlow::Break(error),
            }
        }
        among(expr);
        whole_interval(expr);
        match similar::said(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<DataFusionError> {
        match exists::among_columns(select) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<DataFusionError> {
        match factor {
            // The planner would leave the column out.
            TableFactor::Table { with_ordinality: true, .. }
            | TableFactor::Function { with_ordinality: true, .. }
            | TableFactor::UNNEST { with_ordinality: true, .. } => {
                let problem = Problem::new(&codes::BAD_SQL, "WITH ORDINALITY is not supported");
                ControlFlow::Break(from_problem(problem.hint("Count with row_number() OVER (ORDER BY …)")))
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Says `x = ANY(ARRAY[…])` as `x IN (…)` and `x <> ALL(ARRAY[…])` as `x NOT IN (…)`: the planner brings what is compared to one
/// type, and finds signals by it.
pub(crate) fn among(expr: &mut Expr) {
    let (left, right, negated) = match expr {
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => (left, right, false),
        Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } => (left, right, true),
        _ => return,
    };
    if let Expr::Array(Array { elem, .. }) = right.as_mut()
        && !elem.is_empty()
    {
        let list = std::mem::take(elem);
        *expr = Expr::InList { expr: left.clone(), list, negated };
    }
}

/// Puts the parameters in, or leaves them open where there are none; the highest number that was met.
fn bind(statement: &mut Statement, parameters: Option<&[Value]>) -> Result<usize> {
    let mut highest = 0;
    put(statement, &mut |name| {
        let number = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
        let Some(number) = number.filter(|number| (1..=PARAMETERS_MAX).contains(number)) else {
            return Err(bad(format!("'{name}' is no parameter: write $1, $2, … up to ${PARAMETERS_MAX}")));
        };
        highest = highest.max(number);
        let Some(parameters) = parameters else { return Ok(None) };
        let Some(value) = parameters.get(number - 1) else {
            return Err(bad(format!(
                "the query uses ${number} and {} parameters were given",
                parameters.len()
            )));
        };
        Ok(Some(literal(value)))
    })?;
    Ok(highest)
}

fn literal(value: &Value) -> Expr {
    let plain = |literal: Literal| Expr::Value(literal.into());
    match value {
        Value::None => plain(Literal::Null),
        Value::Bool(value) => plain(Literal::Boolean(*value)),
        Value::Int(value) => plain(Literal::Number(value.to_string(), false)),
        Value::UInt(value) => plain(Literal::Number(value.to_string(), false)),
        // Through text, which keeps every bit of a finite float and can spell the others.
        Value::Float(value) => Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(plain(Literal::SingleQuotedString(value.to_string()))),
            data_type: SqlType::Double(ExactNumberInfo::None),
            array: false,
            format: None,
        },
        Value::Json(text) => serde_json::from_str(text)
            .ok()
            .and_then(structured)
            .unwrap_or_else(|| plain(Literal::SingleQuotedString(text.to_string()))),
        Value::Text(text) => plain(Literal::SingleQuotedString(text.to_string())),
        Value::Bytes(bytes) => {
            plain(Literal::HexStringLiteral(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
        }
    }
}

/// A JSON array as a list, and an object that tells the type of a value as that value.
fn structured(json: Json) -> Option<Expr> {
    match json {
        Json::Array(items) => {
            let elem = items.into_iter().map(item).collect::<Option<_>>()?;
            Some(Expr::Array(Array { elem, named: true }))
        }
        Json::Object(members) => typed(&members),
        _ => None,
    }
}

fn item(json: Json) -> Option<Expr> {
    Some(literal(&match json {
        Json::Null => Value::None,
        Json::Bool(value) => Value::Bool(value),
        Json::String(text) => Value::Text(text.into()),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::UInt(number),
            (None, None) => Value::Float(number.as_f64()?),
        },
        Json::Object(members) => return typed(&members),
        Json::Array(_) => return None,
    }))
}

/// `{"decimal": "12.50", "digits": 10}`, of which the digits may be left out, and `{"duration": 90, "unit": "s"}`.
fn typed(members: &Map<String, Json>) -> Option<Expr> {
    let number = |name: &str| members.get(name).and_then(Json::as_i64);
    if let Some(text) = members.get("decimal").and_then(Json::as_str) {
        let (precision, scale) = postgres::holding(text)?;
        let digits = number("digits").and_then(|digits| u8::try_from(digits).ok()).unwrap_or_default();
        let precision = u64::from(precision.max(digits.min(DECIMAL128_MAX_PRECISION)));
        let kind = SqlType::Decimal(ExactNumberInfo::PrecisionAndScale(precision, i64::from(scale)));
        return Some(postgres::casting(postgres::text(text), kind));
    }
    let unit = match members.get("unit")?.as_str()? {
        "s" => "Second",
        "ms" => "Millisecond",
        "us" | "µs" => "Microsecond",
        "ns" => "Nanosecond",
        _ => return None,
    };
    let count = Expr::Value(Literal::Number(number("duration")?.to_string(), false).into());
    Some(postgres::calling("arrow_cast", vec![count, postgres::text(&format!("Duration({unit})"))]))
}
