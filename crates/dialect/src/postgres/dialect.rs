//! From PostgreSQL's spelling to DataFusion's: rules over the syntax tree, none of them about one client. What is asked of
//! the catalogue and cannot be said to the planner is said in another way that means the same. What is not here: parameters
//! ([`super::parameters`]), and what is known to be empty ([`super::empty`]).

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType as SqlType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, LimitClause, ObjectName, ObjectNamePart,
    Query, Select, SelectItem, SetExpr, Statement as SqlStatement, TableAlias, TableAliasColumnDef,
    TableFactor, UnaryOperator, Value as Literal, VisitorMut,
};
use datafusion::sql::sqlparser::parser::Parser;
use tidemill_core::{Problem, codes};

use super::contents::schema_number;
use super::functions::{REGISTERED, is_known};
use super::list_text::{self, items};
use super::names::is_function;
use super::spelling::PostgreSql;
use super::tables::{self, CatalogueTable, INFORMATION_SCHEMA, PG_CATALOG};
use super::{casts, empty, lists, numeric, precedence, times, tuples};
use crate::error::{bad, from_problem};
use crate::statement;
use crate::walk::change;

/// Functions that are another's under a further name.
const SAME: [(&str, &str); 8] = [
    ("sign", "signum"),
    ("array_upper", "array_length"),
    ("clock_timestamp", "now"),
    ("statement_timestamp", "now"),
    ("transaction_timestamp", "now"),
    ("every", "bool_and"),
    ("timeofday", "now"),
    ("char_length", "character_length"),
];

/// Operators by their names in `OPERATOR(pg_catalog.…)`.
const OPERATORS: [(&str, BinaryOperator); 14] = [
    ("~", BinaryOperator::PGRegexMatch),
    ("~*", BinaryOperator::PGRegexIMatch),
    ("!~", BinaryOperator::PGRegexNotMatch),
    ("!~*", BinaryOperator::PGRegexNotIMatch),
    ("~~", BinaryOperator::PGLikeMatch),
    ("~~*", BinaryOperator::PGILikeMatch),
    ("!~~", BinaryOperator::PGNotLikeMatch),
    ("!~~*", BinaryOperator::PGNotILikeMatch),
    ("=", BinaryOperator::Eq),
    ("<>", BinaryOperator::NotEq),
    ("<", BinaryOperator::Lt),
    (">", BinaryOperator::Gt),
    ("||", BinaryOperator::StringConcat),
    ("+", BinaryOperator::Plus),
];

/// Applies every rule; the tables of the catalogue that are used.
///
/// # Errors
/// What is written is no value of the type that it is cast to.
pub(crate) fn rewrite(statement: &mut Statement) -> Result<Vec<&'static CatalogueTable>> {
    match statement {
        Statement::Statement(inner) => {
            let mut rewriter = Rewriter::default();
            if let ControlFlow::Break(error) = change(inner.as_mut(), &mut rewriter) {
                return Err(error);
            }
            if let SqlStatement::Query(query) = inner.as_mut() {
                shown(query);
            }
            Ok(rewriter.used)
        }
        Statement::Explain(explain) => rewrite(&mut explain.statement),
        _ => Ok(Vec::new()),
    }
}

#[derive(Default)]
struct Rewriter {
    /// Names that WITH gives: no tables of the catalogue.
    named: HashSet<String>,
    used: Vec<&'static CatalogueTable>,
}

impl VisitorMut for Rewriter {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        let names = query.with.iter().flat_map(|with| &with.cte_tables);
        self.named.extend(names.map(|cte| cte.alias.name.value.to_lowercase()));
        if !query.locks.is_empty() {
            return ControlFlow::Break(read_only(
                "rows are not locked here: leave FOR UPDATE and its like out",
            ));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &mut ObjectName) -> ControlFlow<DataFusionError> {
        let parts: Vec<String> = name.0.iter().map(part).collect();
        let found = match parts.as_slice() {
            [name] if !self.named.contains(name) => tables::find(None, name),
            [.., schema, name] => tables::find(Some(schema), name),
            _ => None,
        };
        // With the name of a database before it.
        if parts.len() == 3 && parts.get(1).is_some_and(|schema| schema_number(schema).is_some()) {
            name.0.remove(0);
        }
        if let Some(table) = found {
            if parts.len() == 1 {
                name.0.insert(0, ObjectNamePart::Identifier(Ident::new(PG_CATALOG)));
            }
            if !self.used.iter().any(|used| std::ptr::eq(*used, table)) {
                self.used.push(table);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<DataFusionError> {
        if let TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } = factor {
            unqualified(name);
            if let Some(other) = function_as_table(factor) {
                *factor = other;
            }
        }
        if let TableFactor::Table { name, args: Some(_), alias: Some(alias), .. } = factor {
            let called = name.0.last().map(part).unwrap_or_default();
            one_column(alias, matches!(called.as_str(), "generate_series" | "range"));
        }
        if let TableFactor::UNNEST { array_exprs, alias: Some(alias), with_offset: false, .. } = factor {
            one_column(alias, array_exprs.len() == 1);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        precedence::prefix(expr);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        precedence::sign(expr);
        precedence::power(expr);
        if let Err(error) = list_text::check(expr).and_then(|()| tuples::check(expr)) {
            return ControlFlow::Break(error);
        }
        let other = match &mut *expr {
            Expr::Cast { expr: inner, data_type, .. } => casts::cast(inner, data_type),
            Expr::Interval(interval) if interval.leading_field.is_none() => {
                casts::interval(&mut interval.value).map(|()| None)
            }
            other => Ok(rewritten(other)),
        };
        match other {
            Ok(Some(other)) => *expr = other,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<DataFusionError> {
        if select.into.is_some() {
            return ControlFlow::Break(read_only("SELECT INTO would make a table"));
        }
        if let Some(name) = select.projection.iter().find_map(quoted_as_text) {
            let what = format!(
                "'{name}' stands where a name would: write \"{name}\" for a name, and || between texts"
            );
            return ControlFlow::Break(bad(what));
        }
        empty::drop_kinds(select);
        let mut numbers = TableNumbers::of(select);
        if !numbers.0.is_empty() {
            let _ = change(select, &mut numbers);
        }
        ControlFlow::Continue(())
    }
}

fn read_only(what: &str) -> DataFusionError {
    from_problem(Problem::new(&codes::READ_ONLY, what))
}

/// The name of a column that is quoted as a text: a text behind another, which PostgreSQL joins where a line ends between them.
fn quoted_as_text(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } if alias.quote_style == Some('\'') => {
            Some(alias.value.clone())
        }
        _ => None,
    }
}

/// By which names tables are asked, with their numbers: what `t.tableoid` is.
struct TableNumbers(Vec<(String, u32)>);

impl TableNumbers {
    fn of(select: &Select) -> TableNumbers {
        let number = |factor: &TableFactor| {
            let TableFactor::Table { name, alias, args: None, .. } = factor else { return None };
            let parts: Vec<String> = name.0.iter().map(part).collect();
            let (schema, name) = match parts.as_slice() {
                [name] => (None, name),
                [.., schema, name] => (Some(schema.as_str()), name),
                [] => return None,
            };
            let number = match tables::find(schema, name) {
                Some(table) => table.number,
                None => tables::number_of(schema.unwrap_or("public"), name),
            };
            Some((
                alias.as_ref().map_or_else(|| name.clone(), |alias| alias.name.value.to_lowercase()),
                number,
            ))
        };
        let from = select.from.iter();
        let factors = from.flat_map(|from| {
            std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
        });
        TableNumbers(factors.filter_map(number).collect())
    }
}

impl VisitorMut for TableNumbers {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(names) = expr
            && let [table, column] = names.as_slice()
            && column.value.eq_ignore_ascii_case("tableoid")
            && let Some((_, known)) = self.0.iter().find(|(name, _)| *name == table.value.to_lowercase())
        {
            *expr = casting(number(&known.to_string()), SqlType::IntUnsigned(None));
        }
        ControlFlow::Continue(())
    }
}

/// The one column of a function in FROM has the name of its alias.
fn one_column(alias: &mut TableAlias, one: bool) {
    if one && alias.columns.is_empty() {
        alias.columns = vec![TableAliasColumnDef::from_name(alias.name.value.as_str())];
    }
}

pub(crate) fn part(part: &ObjectNamePart) -> String {
    match part {
        ObjectNamePart::Identifier(name) if name.quote_style.is_none() => name.value.to_lowercase(),
        ObjectNamePart::Identifier(name) => name.value.clone(),
        ObjectNamePart::Function(_) => String::new(),
    }
}

/// Takes the schema of PostgreSQL's own functions away: the planner knows functions by one name.
fn unqualified(name: &mut ObjectName) {
    let theirs = |schema: &str| matches!(schema, PG_CATALOG | INFORMATION_SCHEMA | "public");
    while name.0.len() > 1 && name.0.first().is_some_and(|first| theirs(&part(first))) {
        name.0.remove(0);
    }
}

/// A function in FROM that gives one row or counts the places of a list; others are known to the planner.
fn function_as_table(factor: &TableFactor) -> Option<TableFactor> {
    /// Lists in a statement, and what is split from a setting, have fewer items.
    const PLACES_MAX: usize = 65_536;
    let TableFactor::Table { name, args: Some(arguments), alias, .. } = factor else { return None };
    let [only] = name.0.as_slice() else { return None };
    let called = part(only);
    let column = alias.as_ref().and_then(|alias| alias.columns.first()).map(|column| column.name.clone());
    let alias = alias.as_ref().map_or_else(|| Ident::new(called.as_str()), |alias| alias.name.clone());
    let column = column.unwrap_or_else(|| alias.clone());
    let arguments: Vec<String> = arguments.args.iter().map(ToString::to_string).collect();
    let text = match (called.as_str(), arguments.as_slice()) {
        ("generate_series", [from, to]) if from.contains("array_lower") || to.contains("array_") => {
            format!(
                "(SELECT value AS {column} FROM generate_series(1, {PLACES_MAX}) AS g(value) WHERE value BETWEEN {from} AND {to}) AS {alias}"
            )
        }
        ("generate_series" | "range" | "read" | "unnest", _) => return None,
        // Those beyond the standard's: what must be quoted is told apart by nobody here.
        ("pg_get_keywords", []) => {
            format!(
                "(SELECT CAST(NULL AS TEXT) AS word, CAST(NULL AS TEXT) AS catcode WHERE false) AS {alias}"
            )
        }
        ("pg_listening_channels", []) => {
            format!("(SELECT CAST(NULL AS TEXT) AS {column} WHERE false) AS {alias}")
        }
        // Nothing is divided.
        ("pg_partition_tree", [_]) => {
            let columns = "0 AS relid, 0 AS parentrelid, false AS isleaf, 0 AS level";
            format!("(SELECT {columns} WHERE false) AS {alias}")
        }
        (called, []) if tables::find(None, called).is_some() => format!("{PG_CATALOG}.{called} AS {alias}"),
        (called, arguments) => {
            format!("(SELECT {called}({}) AS {column}) AS {alias}", arguments.join(", "))
        }
    };
    Parser::new(&PostgreSql).try_with_sql(&text).ok()?.parse_table_factor().ok()
}

fn rewritten(expr: &mut Expr) -> Option<Expr> {
    match expr {
        Expr::Collate { expr, .. } => Some(taken(expr)),
        Expr::Function(function) => call(function),
        Expr::Identifier(name) => is_function(name).then(|| calling(&name.value.to_lowercase(), Vec::new())),
        Expr::UnaryOp { op, expr } => unary(*op, expr),
        Expr::AtTimeZone { timestamp, time_zone } => {
            Some(calling(times::AT_ZONE, vec![taken(timestamp), taken(time_zone)]))
        }
        Expr::Extract { field: DateTimeField::Second | DateTimeField::Seconds, expr, .. } => {
            Some(seconds(taken(expr)))
        }
        Expr::Between { expr, negated, low, high } if [&low, &high].iter().any(|end| is_numeric(end)) => {
            Some(between(expr, low, high, *negated))
        }
        Expr::Between { .. } | Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::InList { .. } => {
            tuples::condition(expr)
        }
        Expr::BinaryOp { left, op, right } => {
            casts::unpad(left);
            casts::unpad(right);
            if let BinaryOperator::PGCustomBinaryOperator(name) = op {
                let wanted = name.last()?;
                let (_, known) = OPERATORS.iter().find(|(name, _)| name == wanted)?;
                *op = known.clone();
            }
            tuples::condition(expr)
        }
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
            let escape = escape_char.as_ref().and_then(|escape| escape.value.clone().into_string());
            if let Some(escape) = escape
                && escape != "\\"
                && is_constant(pattern)
            {
                escape_otherwise(pattern, &escape);
                *escape_char = None;
            }
            None
        }
        Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => {
            if let Expr::Value(value) = right.as_ref()
                && let Some(items) = value.value.clone().into_string().and_then(|text| items(&text))
            {
                **right = lists::texts(&items.iter().map(Option::as_deref).collect::<Vec<_>>());
            }
            statement::among(expr);
            None
        }
        Expr::Value(value) => {
            if let Literal::EscapedStringLiteral(text) = &value.value {
                value.value = Literal::SingleQuotedString(text.clone());
            }
            None
        }
        Expr::Exists { subquery, negated } if empty::query(subquery) => Some(truth(*negated)),
        Expr::InSubquery { subquery, negated, .. } if empty::query(subquery) => Some(truth(*negated)),
        Expr::InSubquery { expr, subquery, negated } if only_functions(subquery) => {
            gathered(subquery);
            let among = calling("array_has", vec![Expr::Subquery(subquery.clone()), taken(expr)]);
            Some(if *negated {
                Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(among) }
            } else {
                among
            })
        }
        Expr::Subquery(query) if empty::query(query) => Some(null()),
        Expr::Subquery(query) => {
            one_row(query);
            None
        }
        _ => None,
    }
}

fn unary(op: UnaryOperator, expr: &mut Expr) -> Option<Expr> {
    Some(match op {
        UnaryOperator::PGAbs => calling("abs", vec![taken(expr)]),
        UnaryOperator::PGSquareRoot => calling("sqrt", vec![taken(expr)]),
        UnaryOperator::PGCubeRoot => calling("cbrt", vec![taken(expr)]),
        // All bits turned over.
        UnaryOperator::BitwiseNot => operation(taken(expr), BinaryOperator::PGBitwiseXor, number("-1")),
        _ => return None,
    })
}

fn operation(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::Nested(Box::new(Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }))
}

pub(crate) fn number(digits: &str) -> Expr {
    Expr::Value(Literal::Number(digits.to_owned(), false).into())
}

/// Seconds of a time with their decimals: the planner's have none.
fn seconds(of: Expr) -> Expr {
    let micros = calling("date_part", vec![text("microsecond"), of]);
    operation(casting(micros, SqlType::DoublePrecision), BinaryOperator::Divide, number("1000000"))
}

fn is_numeric(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_numeric(inner),
        Expr::Function(function) => function.name.to_string() == numeric::NUMERIC,
        _ => false,
    }
}

/// In two comparisons, each of which is between types that meet (the planner looks for one type of all three).
fn between(expr: &mut Expr, low: &mut Expr, high: &mut Expr, negated: bool) -> Expr {
    let value = taken(expr);
    let from = operation(value.clone(), BinaryOperator::GtEq, taken(low));
    let to = operation(value, BinaryOperator::LtEq, taken(high));
    let both = operation(from, BinaryOperator::And, to);
    if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(both) } } else { both }
}

/// Whether a pattern of LIKE is written out, in one piece or in several.
fn is_constant(pattern: &Expr) -> bool {
    match pattern {
        Expr::Value(_) => true,
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is_constant(inner),
        Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } => {
            is_constant(left) && is_constant(right)
        }
        _ => false,
    }
}

fn escape_otherwise(pattern: &mut Expr, escape: &str) {
    match pattern {
        Expr::Value(value) => {
            if let Literal::SingleQuotedString(text) = &mut value.value {
                *text = escaped_by_backslash(text, escape);
            }
        }
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => escape_otherwise(inner, escape),
        Expr::BinaryOp { left, right, .. } => {
            escape_otherwise(left, escape);
            escape_otherwise(right, escape);
        }
        _ => {}
    }
}

/// A pattern of LIKE with the escape that the planner knows.
fn escaped_by_backslash(pattern: &str, escape: &str) -> String {
    let escape = escape.chars().next();
    let mut out = String::with_capacity(pattern.len());
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if Some(letter) == escape {
            out.push('\\');
            out.extend(letters.next());
        } else {
            if letter == '\\' {
                out.push('\\');
            }
            out.push(letter);
        }
    }
    out
}

/// The expression, with NULL left in its place.
pub(crate) fn taken(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, null())
}

pub(crate) fn null() -> Expr {
    Expr::Value(Literal::Null.into())
}

fn truth(value: bool) -> Expr {
    Expr::Value(Literal::Boolean(value).into())
}

pub(crate) fn text(text: &str) -> Expr {
    Expr::Value(Literal::SingleQuotedString(text.to_owned()).into())
}

/// A call of a function.
pub(crate) fn calling(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)));
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: arguments_of(args.collect()),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn arguments_of(args: Vec<FunctionArg>) -> FunctionArguments {
    FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() })
}

/// The one argument of a call of that name.
pub(crate) fn argument_of<'a>(expr: &'a Expr, name: &str) -> Option<&'a Expr> {
    let Expr::Function(function) = expr else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] if function.name.to_string() == name => {
            Some(argument)
        }
        _ => None,
    }
}

fn call(function: &mut Function) -> Option<Expr> {
    unqualified(&mut function.name);
    if let FunctionArguments::List(list) = &mut function.args {
        for argument in &mut list.args {
            if let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument {
                casts::unpad(argument);
            }
        }
    }
    let [only] = function.name.0.as_slice() else { return None };
    let name = part(only);
    if let Some((_, same)) = SAME.iter().find(|(known, _)| *known == name) {
        function.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(*same))]);
    }
    let arguments = expressions(&function.args);
    match (name.as_str(), arguments.as_slice()) {
        ("mod", [left, right]) => {
            return Some(operation((*left).clone(), BinaryOperator::Modulo, (*right).clone()));
        }
        ("length", [Expr::Value(value)]) => {
            // Of bytes: two digits each.
            if let Literal::HexStringLiteral(digits) = &value.value {
                return Some(number(&(digits.len() / 2).to_string()));
            }
        }
        ("date_trunc", [unit, time, zone]) => {
            let local = calling(times::AT_ZONE, vec![(*time).clone(), (*zone).clone()]);
            let cut = calling("date_trunc", vec![(*unit).clone(), local]);
            return Some(calling(times::AT_ZONE, vec![cut, (*zone).clone()]));
        }
        // A number that is written out is a numeric, whose halves go away from zero, as the planner has it.
        ("round", [value]) if !casts::is_decimal(value) => renamed(function, numeric::ROUND),
        ("round", [_, places]) if times::constant_number(places) => renamed(function, numeric::ROUND),
        ("to_char" | "to_date" | "to_timestamp", [value, format]) => {
            let other = times::format(format);
            if name == "to_char" {
                return Some(calling(&name, vec![(*value).clone(), other?]));
            }
            let format = other.as_ref().unwrap_or(format);
            let (value, format) = times::completed((*value).clone(), format);
            return Some(calling(&name, vec![value, format]));
        }
        // A list without items has none, not zero of them.
        ("array_length" | "array_upper", [_, ..]) => {
            let counted =
                calling("array_length", arguments.iter().map(|&argument| argument.clone()).collect());
            return Some(calling("nullif", vec![counted, number("0")]));
        }
        ("array_remove", [..]) => renamed(function, "array_remove_all"),
        ("date_part", [part, value]) if times::is_text(part, &["second", "seconds"]) => {
            return Some(seconds((*value).clone()));
        }
        _ => {}
    }
    match (name.as_str(), &mut function.args) {
        // The first item of a list has this place.
        ("array_lower", _) => Some(Expr::Value(Literal::Number("1".to_owned(), false).into())),
        ("current_schemas", _) => Some(lists::texts(&[Some("pg_catalog"), Some("public")])),
        // ARRAY(SELECT …)
        ("array", FunctionArguments::Subquery(query)) => {
            if empty::query(query) {
                return Some(lists::texts(&[]));
            }
            gathered(query);
            Some(Expr::Subquery(query.clone()))
        }
        (name, args @ FunctionArguments::None) if is_known(name) => {
            *args = arguments_of(Vec::new());
            None
        }
        _ => None,
    }
}

fn renamed(function: &mut Function, name: &str) {
    function.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]);
}

/// The arguments of a call that are plain expressions.
pub(crate) fn expressions(arguments: &FunctionArguments) -> Vec<&Expr> {
    let FunctionArguments::List(list) = arguments else { return Vec::new() };
    let plain = |argument| match argument {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr)) => Some(expr),
        _ => None,
    };
    list.args.iter().filter_map(plain).collect()
}

/// Whether a query asks nothing but functions, such as the items of a setting: it stands for itself, and the planner takes it
/// as one list where it would not take the query.
fn only_functions(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let function = |factor: &TableFactor| match factor {
        TableFactor::Table { args, .. } => args.is_some(),
        TableFactor::Derived { subquery, .. } => only_functions(subquery),
        _ => false,
    };
    query.with.is_none()
        && query.limit_clause.is_none()
        && select.distinct.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty())
        && select.from.iter().all(|from| from.joins.is_empty() && function(&from.relation))
}

/// The first column of a query as one list.
fn gathered(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    if let Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) =
        select.projection.first_mut()
    {
        *expr = calling("array_agg", vec![expr.clone()]);
    }
    query.order_by = None;
}

pub(crate) fn casting(expr: Expr, to: SqlType) -> Expr {
    Expr::Cast {
        kind: datafusion::sql::sqlparser::ast::CastKind::Cast,
        expr: Box::new(expr),
        data_type: to,
        array: false,
        format: None,
    }
}

/// A subquery that stands for one value is made to give one: the planner asks for it where it looks outside. Only the
/// catalogue's: there, whoever asks for one value knows that there is one.
fn one_row(query: &mut Query) {
    let skips = matches!(
        &query.limit_clause,
        Some(LimitClause::LimitOffset { offset: Some(_), .. } | LimitClause::OffsetCommaLimit { .. })
    );
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let ungrouped = matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    let catalogue = select.from.iter().all(|from| match &from.relation {
        TableFactor::Table { name, .. } => {
            let parts: Vec<String> = name.0.iter().map(part).collect();
            matches!(parts.as_slice(), [schema, _] if schema == PG_CATALOG || schema == INFORMATION_SCHEMA)
        }
        _ => false,
    });
    if !catalogue || select.from.is_empty() || !ungrouped || select.distinct.is_some() || skips {
        return;
    }
    if let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] =
        select.projection.as_mut_slice()
        && !empty::aggregates(expr)
    {
        *expr = calling("first_value", vec![expr.clone()]);
        query.order_by = None;
        query.limit_clause = None;
        query.fetch = None;
    }
}

/// Columns of the answer that are `regclass` and its like are told by name.
fn shown(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    for item in &mut select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { continue };
        if let Some((_, _, out)) = REGISTERED.iter().find(|(_, into, _)| argument_of(expr, into).is_some()) {
            *expr = calling(out, vec![expr.clone()]);
        }
    }
}
