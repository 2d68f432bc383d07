//! What columns of an answer are called: as PostgreSQL calls them, each told from the others of its name. What is not here:
//! what they hold.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Select, SelectItem, SetExpr, Value as Literal, VisitorMut,
};

use super::dialect::part;
use super::types;
use crate::walk::change;

/// Stands between a column's name and a number that tells it from another of that name: PostgreSQL allows them, the planner
/// does not.
const MARK: char = '\u{1}';

/// A column's name as it is told.
pub(crate) fn shown_name(name: &str) -> &str {
    name.split(MARK).next().unwrap_or_default()
}

/// Names the columns of every query in a statement. Before values of parameters stand there, which have no say in it, and before
/// anything is said otherwise.
pub(crate) fn name(statement: &mut Statement) {
    match statement {
        Statement::Statement(inner) => {
            let _ = change(inner.as_mut(), &mut Names);
        }
        Statement::Explain(explain) => name(&mut explain.statement),
        _ => {}
    }
}

struct Names;

impl VisitorMut for Names {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        name_columns(select);
        ControlFlow::Continue(())
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
                let expr = std::mem::replace(expr, Expr::Value(Literal::Null.into()));
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
            SelectItem::ExprWithAlias { alias: known, .. } if marked => {
                *known = Ident::with_quote('"', alias);
            }
            _ => {}
        }
    }
}

fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(name) => !is_function(name),
        expr => matches!(expr, Expr::CompoundIdentifier(_)),
    }
}

/// Whether a name alone is a call.
pub(crate) fn is_function(name: &Ident) -> bool {
    let name = (name.quote_style.is_none()).then(|| name.value.to_lowercase());
    matches!(name.as_deref(), Some("current_schema" | "current_role"))
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
                // Lists are called what their items are.
                let spelled = spelled.split('(').next().unwrap_or_default().trim_end_matches("[]").to_owned();
                let known = types::by_name(&spelled).and_then(types::by_number);
                known.map_or(spelled, |known| known.name.to_owned())
            })
        }
        Expr::Function(function) => part(function.name.0.last()?),
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
