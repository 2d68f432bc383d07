//! What can have no rows, because it asks a table of the catalogue in which nothing ever stands: indexes, keys, triggers,
//! partitions. Subqueries of that kind are answered without asking, and a query of that kind has its columns and nothing
//! else, whatever it would compute. What is not here: which tables those are ([`super::tables`]).

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType as SqlType, Expr, Function, FunctionArg, FunctionArgExpr, GroupByExpr, Ident,
    JoinOperator, Query, Select, SelectItem, SetExpr, Statement as SqlStatement, TableFactor, TableWithJoins,
    Visitor, VisitorMut,
};

use super::dialect::{casting, null, part};
use super::names::column_name;
use super::{tables, types};
use crate::walk::{change, look};

/// Whether a query can have no rows.
pub(crate) fn query(query: &Query) -> bool {
    query_with(query, &[])
}

/// With the names that a query around it gives to what has no rows.
fn query_with(query: &Query, none: &[String]) -> bool {
    let Some(with) = &query.with else { return body(&query.body, none) };
    let mut none = none.to_vec();
    for cte in &with.cte_tables {
        let name = written(&cte.alias.name);
        none.retain(|known| *known != name);
        if !with.recursive && query_with(&cte.query, &none) {
            none.push(name);
        }
    }
    body(&query.body, &none)
}

fn written(name: &Ident) -> String {
    if name.quote_style.is_none() { name.value.to_lowercase() } else { name.value.clone() }
}

fn body(body: &SetExpr, none: &[String]) -> bool {
    match body {
        SetExpr::Select(select) => nothing(select, none),
        SetExpr::Query(inner) => query_with(inner, none),
        SetExpr::SetOperation { left, right, .. } => self::body(left, none) && self::body(right, none),
        _ => false,
    }
}

fn nothing(select: &Select, none: &[String]) -> bool {
    // Without groups there is one row however little there is to count.
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    let counts = select.projection.iter().any(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => aggregates(expr),
        _ => false,
    });
    (grouped || !counts) && select.from.iter().any(|from| joined(from, none))
}

fn joined(from: &TableWithJoins, none: &[String]) -> bool {
    let mut empty = relation(&from.relation, none);
    for join in &from.joins {
        let right = relation(&join.relation, none);
        empty = match join.join_operator {
            JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_) => empty || right,
            JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => empty,
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => right,
            _ => empty && right,
        };
    }
    empty
}

fn relation(factor: &TableFactor, none: &[String]) -> bool {
    match factor {
        TableFactor::Table { name, args: None, .. } => {
            let parts: Vec<String> = name.0.iter().map(part).collect();
            // Names of the catalogue are written in full by then.
            match parts.as_slice() {
                [name] => none.contains(name),
                [schema, name] => tables::find(Some(schema), name).is_some_and(|table| table.empty),
                _ => false,
            }
        }
        // Every list in the catalogue is NULL.
        TableFactor::UNNEST { array_exprs, .. } => array_exprs.iter().any(is_list),
        TableFactor::Table { name, args: Some(arguments), .. } => {
            let unnests = name.to_string().trim_start_matches("pg_catalog.").eq_ignore_ascii_case("unnest");
            unnests
                && arguments.args.iter().any(|argument| match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) => is_list(argument),
                    _ => false,
                })
        }
        TableFactor::Derived { subquery, .. } => query_with(subquery, none),
        TableFactor::NestedJoin { table_with_joins, .. } => joined(table_with_joins, none),
        _ => false,
    }
}

/// Whether an expression is a column of lists of the catalogue, by its name alone: it is asked of these only.
fn is_list(expr: &Expr) -> bool {
    let name = match expr {
        Expr::Identifier(name) => name,
        Expr::CompoundIdentifier(names) => match names.last() {
            Some(name) => name,
            None => return false,
        },
        _ => return false,
    };
    let lists = tables::TABLES
        .iter()
        .filter(|table| table.schema == tables::PG_CATALOG)
        .flat_map(|table| &table.columns);
    let mut lists = lists.filter(|(_, kind)| types::item_of(*kind).is_some());
    lists.any(|(known, _)| name.value.eq_ignore_ascii_case(known))
}

/// Takes away what CASE has for kinds of types that do not exist, such as domains: their answers are queries that the planner
/// need not understand.
pub(crate) fn drop_kinds(select: &mut Select) {
    let relations = select
        .from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
    let types = relations.filter_map(|factor| match factor {
        TableFactor::Table { name, alias: Some(alias), args: None, .. }
            if name.0.last().is_some_and(|last| part(last) == "pg_type") =>
        {
            Some(alias.name.value.clone())
        }
        _ => None,
    });
    let mut kinds = Kinds(types.collect());
    if !kinds.0.is_empty() {
        let _ = change(&mut select.projection, &mut kinds);
    }
}

/// By which names `pg_type` is asked.
struct Kinds(Vec<String>);

impl Kinds {
    /// Whether a condition asks for a kind that no type has.
    fn never(&self, condition: &Expr) -> bool {
        let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else { return false };
        let (Expr::CompoundIdentifier(names), Expr::Value(value)) = (left.as_ref(), right.as_ref()) else {
            return false;
        };
        let column = matches!(names.as_slice(), [table, column]
            if self.0.contains(&table.value) && column.value == "typtype");
        let kind = value.value.clone().into_string();
        column && kind.is_some_and(|kind| !types::KINDS.contains(&kind.as_str()))
    }
}

impl VisitorMut for Kinds {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Case { operand: None, conditions, else_result, .. } = expr {
            conditions.retain(|when| !self.never(&when.condition));
            if conditions.is_empty() {
                *expr = else_result.take().map_or_else(null, |otherwise| *otherwise);
            }
        }
        ControlFlow::Continue(())
    }
}

/// Whether an expression counts or gathers rows.
pub(crate) fn aggregates(expr: &Expr) -> bool {
    look(expr, &mut Aggregates::default()).is_break()
}

/// What counts within a subquery counts for that alone.
#[derive(Default)]
struct Aggregates {
    depth: usize,
}

impl Visitor for Aggregates {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth = self.depth.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        const NAMES: [&str; 12] = [
            "count",
            "sum",
            "avg",
            "min",
            "max",
            "array_agg",
            "string_agg",
            "bool_and",
            "bool_or",
            "first_value",
            "last_value",
            "json_agg",
        ];
        match expr {
            Expr::Function(Function { name, over: None, .. })
                if self.depth == 0 && NAMES.contains(&name.to_string().to_lowercase().as_str()) =>
            {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// The same columns with no rows, for a query that has none and cannot be planned; all are told as text.
pub(crate) fn instead(statement: &Statement) -> Option<Statement> {
    let Statement::Statement(inner) = statement else { return None };
    let SqlStatement::Query(asked) = inner.as_ref() else { return None };
    if !query(asked) {
        return None;
    }
    let mut made = asked.clone();
    let select = first(&mut made.body)?;
    for item in &mut select.projection {
        let name = match item {
            SelectItem::UnnamedExpr(expr) => column_name(expr),
            SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
            _ => return None,
        };
        *item = SelectItem::ExprWithAlias {
            expr: casting(null(), SqlType::Text),
            alias: Ident::with_quote('"', name),
        };
    }
    select.distinct = None;
    select.from.clear();
    select.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
    select.having = None;
    select.named_window.clear();
    select.selection = Some(Expr::Value(datafusion::sql::sqlparser::ast::Value::Boolean(false).into()));
    let select = select.clone();
    let query = Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(select))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        ..*made
    };
    Some(Statement::Statement(Box::new(SqlStatement::Query(Box::new(query)))))
}

fn first(body: &mut SetExpr) -> Option<&mut Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(inner) => first(&mut inner.body),
        SetExpr::SetOperation { left, .. } => first(left),
        _ => None,
    }
}
