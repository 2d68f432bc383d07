//! Casts that are told apart: the planner calls an expression by what is in it without its casts, so that `sum(value)` and
//! `sum(CAST(value AS DECIMAL(20, 3)))` have one name, which no two columns of a step may have. Where that happens, casts are said
//! as a function that gives what it is given and is called what was written. What is not here: what the answer's columns are
//! called.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr as Planned, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    CastKind, Expr, GroupByExpr, Select, SelectItem, Value as Literal, Visitor, VisitorMut,
};

use crate::error::bad;
use crate::postgres::calling;
use crate::walk::{change, look};

/// The function's name.
const APART: &str = "tidemill_as_written";

/// Says casts otherwise where the planner would confuse what they stand in. Whether it did: then the planner needs
/// [`function`].
pub fn tell(statement: &mut Statement) -> bool {
    let inner = match statement {
        Statement::Statement(inner) => inner,
        Statement::Explain(explain) => return tell(&mut explain.statement),
        _ => return false,
    };
    let mut tables = Tables::default();
    let _ = look(inner.as_ref(), &mut tables);
    let with_tables = tables.0.values().any(|tables| tables.len() > 1);
    let mut names = Names { with_tables, known: HashMap::new() };
    let _ = look(inner.as_ref(), &mut names);
    let confused = names.known.into_iter().filter(|(_, written)| written.len() > 1);
    let wanted: HashSet<String> =
        confused.flat_map(|(name, written)| written.into_iter().filter(move |text| *text != name)).collect();
    if !wanted.is_empty() {
        let _ = change(inner.as_mut(), &mut Wanted { with_tables, wanted });
        return true;
    }
    false
}

/// Of which tables columns of one name are said to be. Where they are of several, a table tells them apart; else it may be left
/// out in one place and said in another.
#[derive(Default)]
struct Tables(HashMap<String, HashSet<String>>);

impl Visitor for Tables {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(names) = expr
            && let Some((column, table)) = names.split_last()
        {
            let table: Vec<String> = table.iter().map(|name| name.value.to_lowercase()).collect();
            self.0.entry(column.value.to_lowercase()).or_default().insert(table.join("."));
        }
        ControlFlow::Continue(())
    }
}

/// What expressions are called, and as what they are written.
struct Names {
    with_tables: bool,
    known: HashMap<String, HashSet<String>>,
}

impl Names {
    fn note(&mut self, expr: &Expr) {
        let name = spelled(expr, false, self.with_tables);
        self.known.entry(name).or_default().insert(spelled(expr, true, self.with_tables));
    }
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let GroupByExpr::Expressions(keys, _) = &select.group_by else { return ControlFlow::Continue(()) };
        keys.iter().for_each(|key| self.note(key));
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) => self.note(expr),
                // A group may be meant by its column.
                SelectItem::ExprWithAlias { expr, .. } if !keys.is_empty() => self.note(expr),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::Function(_)) {
            self.note(expr);
        }
        ControlFlow::Continue(())
    }
}

/// An expression in one spelling of the many that mean the same to the planner; with its casts or without.
fn spelled(expr: &Expr, with_casts: bool, with_tables: bool) -> String {
    let mut expr = expr.clone();
    let _ = change(&mut expr, &mut Spelling { with_casts, with_tables });
    expr.to_string().to_lowercase()
}

struct Spelling {
    with_casts: bool,
    with_tables: bool,
}

impl VisitorMut for Spelling {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Nested(inner) => *expr = taken(inner),
            Expr::Cast { expr: inner, .. } if !self.with_casts => *expr = taken(inner),
            Expr::Cast { kind: kind @ CastKind::DoubleColon, .. } => *kind = CastKind::Cast,
            Expr::CompoundIdentifier(names) if !self.with_tables => {
                if let Some(last) = names.pop() {
                    *expr = Expr::Identifier(last);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn taken(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::Value(Literal::Null.into()))
}

/// Says the casts in these expressions otherwise, wherever they stand.
struct Wanted {
    with_tables: bool,
    wanted: HashSet<String>,
}

impl VisitorMut for Wanted {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::Function(_) | Expr::Cast { .. })
            && self.wanted.contains(&spelled(expr, true, self.with_tables))
        {
            let _ = change(expr, &mut Casts { with_tables: self.with_tables, depth: 0 });
        }
        ControlFlow::Continue(())
    }
}

/// The outermost casts.
struct Casts {
    with_tables: bool,
    depth: usize,
}

impl VisitorMut for Casts {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.depth += usize::from(covers(expr));
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if covers(expr) {
            self.depth = self.depth.saturating_sub(1);
            if self.depth == 0 && matches!(expr, Expr::Cast { .. }) {
                let written =
                    Expr::Value(Literal::SingleQuotedString(spelled(expr, true, self.with_tables)).into());
                *expr = calling(APART, vec![taken(expr), written]);
            }
        }
        ControlFlow::Continue(())
    }
}

/// Whether casts within need nothing more.
fn covers(expr: &Expr) -> bool {
    match expr {
        Expr::Cast { .. } => true,
        Expr::Function(function) => function.name.to_string() == APART,
        _ => false,
    }
}

/// Gives its first argument, and is called what the second says.
pub fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(AsWritten(Signature::any(2, Volatility::Immutable))))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AsWritten(Signature);

impl ScalarUDFImpl for AsWritten {
    fn name(&self) -> &str {
        APART
    }

    fn schema_name(&self, arguments: &[Planned]) -> Result<String> {
        Ok(match arguments {
            [_, Planned::Literal(written, _)] => written.try_as_str().flatten().unwrap_or(APART).to_owned(),
            _ => APART.to_owned(),
        })
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        arguments.first().cloned().ok_or_else(|| bad("a value is missing"))
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        call.arg_fields.first().cloned().ok_or_else(|| bad("a value is missing"))
    }

    fn simplify(&self, arguments: Vec<Planned>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let mut arguments = arguments.into_iter();
        let given = arguments.next().ok_or_else(|| bad("a value is missing"))?;
        Ok(ExprSimplifyResult::Simplified(given))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        call.args.into_iter().next().ok_or_else(|| bad("a value is missing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;

    #[test]
    fn only_what_the_planner_would_confuse_is_said_otherwise() {
        const SUM: &str = "sum(tidemill_as_written(CAST(v AS DECIMAL(20,3)), 'cast(v as decimal(20,3))'))";
        for (text, expected) in [
            ("SELECT sum(CAST(v AS DECIMAL(20,3))) FROM s", None),
            ("SELECT sum(v), min(CAST(v AS INT)) FROM s", None),
            ("SELECT sum(v), sum((s.V)) FROM s", None),
            ("SELECT avg(a.v::int), avg(b.v::int), avg(c.v) FROM a, b, c", None),
            (
                "SELECT sum(a.v), sum(a.v::int), sum(b.v::int) FROM a, b",
                Some(
                    "SELECT sum(a.v), sum(tidemill_as_written(a.v::INT, 'cast(a.v as int)')), sum(b.v::INT) FROM a, b"
                        .to_owned(),
                ),
            ),
            ("SELECT sum(v), sum(CAST(v AS DECIMAL(20,3))) FROM s", Some(format!("SELECT sum(v), {SUM} FROM s"))),
            (
                "SELECT a, round(sum(CAST(v AS DECIMAL(20,3))), 1) FROM s GROUP BY a HAVING sum(v) > 1",
                Some(format!("SELECT a, round({SUM}, 1) FROM s GROUP BY a HAVING sum(v) > 1")),
            ),
            (
                "SELECT CAST(t AS DATE) AS d, t FROM s GROUP BY 1, t ORDER BY t::date",
                Some(
                    "SELECT tidemill_as_written(CAST(t AS DATE), 'cast(t as date)') AS d, t FROM s GROUP BY 1, t \
                     ORDER BY tidemill_as_written(t::DATE, 'cast(t as date)')"
                        .to_owned(),
                ),
            ),
        ] {
            let mut read = statement::parse(text, &PostgreSqlDialect {}).expect(text);
            let told = tell(&mut read).then(|| read.to_string());
            assert_eq!(told, expected, "{text}");
        }
    }
}
