//! From PostgreSQL's spelling to DataFusion's: rules over the syntax tree, none of them about one client. What is asked of
//! the catalogue and cannot be said to the planner is said in another way that means the same. What is not here: parameters
//! ([`super::parameters`]), and what is known to be empty ([`super::empty`]).

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::common::DataFusionError;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Array, BinaryOperator, DataType as SqlType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, LimitClause, ObjectName, ObjectNamePart,
    Query, Select, SelectItem, SetExpr, Statement as SqlStatement, TableFactor, Value as Literal, VisitMut,
    VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::contents::schema_number;
use super::empty;
use super::functions::{NO_ITEMS, REGISTERED, is_known};
use super::parameters::item_type;
use super::tables::{self, CatalogueTable, INFORMATION_SCHEMA, PG_CATALOG};
use super::types;

/// Stands between a column's name and a number that tells it from another of that name: PostgreSQL allows them, the planner
/// does not.
const MARK: char = '\u{1}';

/// A column's name as it is told.
pub(crate) fn shown_name(name: &str) -> &str {
    name.split(MARK).next().unwrap_or_default()
}

/// Functions that are another's under a further name.
const SAME: [(&str, &str); 7] = [
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
pub(crate) fn rewrite(statement: &mut Statement) -> Vec<&'static CatalogueTable> {
    match statement {
        Statement::Statement(inner) => {
            let mut rewriter = Rewriter::default();
            let _ = inner.as_mut().visit(&mut rewriter);
            if let SqlStatement::Query(query) = inner.as_mut() {
                shown(query);
            }
            rewriter.used
        }
        Statement::Explain(explain) => rewrite(&mut explain.statement),
        _ => Vec::new(),
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
        // Nothing here is changed, so that nothing needs to be locked.
        query.locks.clear();
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
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        if let Some(other) = rewritten(expr) {
            *expr = other;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<DataFusionError> {
        name_columns(select);
        ControlFlow::Continue(())
    }
}

fn part(part: &ObjectNamePart) -> String {
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
        (called, arguments) => {
            format!("(SELECT {called}({}) AS {column}) AS {alias}", arguments.join(", "))
        }
    };
    let dialect = PostgreSqlDialect {};
    Parser::new(&dialect).try_with_sql(&text).ok()?.parse_table_factor().ok()
}

fn rewritten(expr: &mut Expr) -> Option<Expr> {
    match expr {
        Expr::Collate { expr, .. } => Some(std::mem::replace(expr.as_mut(), null())),
        Expr::Cast { expr: inner, data_type, .. } => cast(inner, data_type),
        Expr::Function(function) => call(function),
        Expr::Identifier(name) if name.quote_style.is_none() => {
            let name = name.value.to_lowercase();
            matches!(name.as_str(), "current_schema" | "current_role").then(|| calling(&name, Vec::new()))
        }
        Expr::BinaryOp { op, .. } => {
            if let BinaryOperator::PGCustomBinaryOperator(name) = op {
                let wanted = name.last()?;
                let (_, known) = OPERATORS.iter().find(|(name, _)| name == wanted)?;
                *op = known.clone();
            }
            None
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
                **right = array(items, &SqlType::Text);
            }
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
        Expr::Subquery(query) if empty::query(query) => Some(null()),
        Expr::Subquery(query) => {
            one_row(query);
            None
        }
        _ => None,
    }
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
fn argument_of<'a>(expr: &'a Expr, name: &str) -> Option<&'a Expr> {
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
    let [only] = function.name.0.as_slice() else { return None };
    let name = part(only);
    if let Some((_, same)) = SAME.iter().find(|(known, _)| *known == name) {
        function.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(*same))]);
    }
    match (name.as_str(), &mut function.args) {
        // The first item of a list has this place.
        ("array_lower", _) => Some(Expr::Value(Literal::Number("1".to_owned(), false).into())),
        ("current_schemas", _) => {
            Some(array(vec![Some("pg_catalog".to_owned()), Some("public".to_owned())], &SqlType::Text))
        }
        // ARRAY(SELECT …)
        ("array", FunctionArguments::Subquery(query)) => {
            if empty::query(query) {
                return Some(array(Vec::new(), &SqlType::Text));
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

fn cast(inner: &mut Expr, to: &mut SqlType) -> Option<Expr> {
    let mut take = || std::mem::replace(inner, null());
    let name = to.to_string().to_lowercase().replace('"', "");
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    if let Some((_, into, _)) = REGISTERED.iter().find(|(known, ..)| *known == name) {
        return Some(calling(into, vec![take()]));
    }
    // 'name'::regclass::oid is the number, and number::regclass::text the name.
    if let Some((_, into, out)) = REGISTERED.iter().find(|(_, into, _)| argument_of(inner, into).is_some()) {
        let number = argument_of(inner, into)?.clone();
        return match types::by_name(name) {
            Some(types::OID | types::INT4 | types::INT8) => Some(std::mem::replace(inner, null())),
            _ => Some(calling(out, vec![number])),
        };
    }
    match (types::by_name(name), &to) {
        (Some(types::OID), _) => *to = SqlType::IntUnsigned(None),
        (_, SqlType::Custom(..) | SqlType::Array(_)) | (None, _)
            if name.ends_with("[]") || name.ends_with("vector") =>
        {
            let literal = match inner {
                Expr::Value(value) => value.value.clone().into_string(),
                _ => None,
            };
            return match literal.and_then(|text| items(&text)) {
                Some(items) => Some(array(items, &item_type(types::by_name(name).unwrap_or_default()))),
                None if matches!(inner, Expr::Array(_)) => None,
                // Lists of one kind of text are those of another.
                None => Some(std::mem::replace(inner, null())),
            };
        }
        // Kinds of text that only PostgreSQL tells apart.
        (_, SqlType::Custom(..) | SqlType::JSON | SqlType::JSONB | SqlType::Uuid)
        | (
            _,
            SqlType::Character(_)
            | SqlType::CharacterVarying(_)
            | SqlType::CharVarying(_)
            | SqlType::Varchar(_),
        ) => {
            *to = SqlType::Text;
        }
        (_, SqlType::Timestamp(Some(_), zone)) => *to = SqlType::Timestamp(None, *zone),
        _ => {}
    }
    None
}

/// The items of an array as PostgreSQL writes it, of one dimension: `{1,"a b",NULL}`.
pub(crate) fn items(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut items = Vec::new();
    let mut item = String::new();
    let (mut quoted, mut was_quoted) = (false, false);
    let mut letters = inner.chars();
    let done = |item: &mut String, was_quoted: bool| {
        let text = std::mem::take(item);
        let text = if was_quoted { text } else { text.trim().to_owned() };
        (was_quoted || !text.eq_ignore_ascii_case("null")).then_some(text)
    };
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => item.extend(letters.next()),
            '"' => {
                quoted = !quoted;
                was_quoted = true;
            }
            ',' if !quoted => {
                items.push(done(&mut item, was_quoted));
                was_quoted = false;
            }
            '{' if !quoted => return None,
            letter => item.push(letter),
        }
    }
    if !inner.trim().is_empty() {
        items.push(done(&mut item, was_quoted));
    }
    (!quoted).then_some(items)
}

/// An array of literals of one type.
pub(crate) fn array(items: Vec<Option<String>>, kind: &SqlType) -> Expr {
    let of = |item: Option<String>| {
        let literal = item.map_or_else(null, |item| text(&item));
        if *kind == SqlType::Text { literal } else { casting(literal, kind.clone()) }
    };
    // A list without items has a type too.
    if items.is_empty() {
        let none = calling(NO_ITEMS, Vec::new());
        let item = match kind {
            SqlType::Text => return none,
            SqlType::SmallInt(_) => "Int16",
            SqlType::Integer(_) => "Int32",
            SqlType::BigInt(_) => "Int64",
            SqlType::IntUnsigned(_) => "UInt32",
            SqlType::Real => "Float32",
            SqlType::DoublePrecision => "Float64",
            SqlType::Boolean => "Boolean",
            _ => "Utf8",
        };
        return calling("arrow_cast", vec![none, text(&format!("List({item})"))]);
    }
    Expr::Array(Array { elem: items.into_iter().map(of).collect(), named: true })
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

/// Names columns as PostgreSQL does, each once. Columns of two tables may have one name while their tables are told.
fn name_columns(select: &mut Select) {
    let stars = select
        .projection
        .iter()
        .any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
    // The name, and what it stands for where that is a column of a named table.
    let mut seen: Vec<(String, Option<String>)> = Vec::new();
    for (number, item) in select.projection.iter_mut().enumerate() {
        let (name, plain, of_table) = match item {
            SelectItem::UnnamedExpr(expr) => {
                let of_table = matches!(expr, Expr::CompoundIdentifier(_)).then(|| expr.to_string());
                (column_name(expr), is_column(expr), of_table)
            }
            SelectItem::ExprWithAlias { alias, .. } => (alias.value.clone(), false, None),
            _ => continue,
        };
        let taken = seen.iter().any(|(known, other)| {
            *known == name && (of_table.is_none() || other.is_none() || *other == of_table)
        });
        let marked = taken || (stars && plain);
        let alias = if marked { format!("{name}{MARK}{number}") } else { name.clone() };
        seen.push((name, of_table));
        match item {
            SelectItem::UnnamedExpr(expr) if marked || !plain => {
                let alias = Ident::with_quote('"', alias);
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
            SelectItem::ExprWithAlias { alias: known, .. } if marked => {
                *known = Ident::with_quote('"', alias);
            }
            _ => {}
        }
    }
}

fn is_column(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}

/// The name that PostgreSQL gives a column.
pub(crate) fn column_name(expr: &Expr) -> String {
    named(expr).unwrap_or_else(|| "?column?".to_owned())
}

fn named(expr: &Expr) -> Option<String> {
    let written = |name: &Ident| match name.quote_style {
        None => name.value.to_lowercase(),
        Some(_) => name.value.clone(),
    };
    Some(match expr {
        Expr::Identifier(name) => written(name),
        Expr::CompoundIdentifier(names) => written(names.last()?),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => return named(inner),
        Expr::Cast { expr, data_type, .. } => {
            // The last of several types names what has no name of its own.
            let own = if matches!(expr.as_ref(), Expr::Cast { .. }) { None } else { named(expr) };
            own.unwrap_or_else(|| {
                let spelled = data_type.to_string().to_lowercase();
                let known = types::by_name(&spelled).and_then(types::by_number);
                known.map_or(spelled, |known| known.name.to_owned())
            })
        }
        Expr::Function(function) => {
            let name = part(function.name.0.last()?);
            match REGISTERED.iter().find(|(_, into, out)| *into == name || *out == name) {
                Some((kind, ..)) => (*kind).to_owned(),
                None => name,
            }
        }
        Expr::Case { .. } => "case".to_owned(),
        Expr::Exists { .. } => "exists".to_owned(),
        Expr::Array(_) => "array".to_owned(),
        Expr::Extract { .. } => "extract".to_owned(),
        Expr::Ceil { .. } => "ceil".to_owned(),
        Expr::Floor { .. } => "floor".to_owned(),
        Expr::Position { .. } => "position".to_owned(),
        Expr::Substring { .. } => "substring".to_owned(),
        Expr::Trim { .. } => "btrim".to_owned(),
        Expr::Overlay { .. } => "overlay".to_owned(),
        Expr::AtTimeZone { .. } => "timezone".to_owned(),
        Expr::Interval(_) => "interval".to_owned(),
        Expr::TypedString(typed) => typed.data_type.to_string().to_lowercase(),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.first()? {
                SelectItem::UnnamedExpr(expr) => return named(expr),
                SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
                _ => return None,
            },
            _ => return None,
        },
        _ => return None,
    })
}
