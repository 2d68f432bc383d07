//! `EXISTS (SELECT …)` as a column: the planner has it in conditions only, so that among columns it is said as a count. What
//! is not here: `EXISTS` in `WHERE`, which the planner understands.

use std::ops::ControlFlow;

use crate::walk::change;
use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{Expr, Query, Select, TableFactor, VisitorMut};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// One row is enough to know.
const SOME: &str = "(SELECT count(*) <> 0 FROM (SELECT 1 FROM asked LIMIT 1) AS found)";
const NONE: &str = "(SELECT count(*) = 0 FROM (SELECT 1 FROM asked LIMIT 1) AS found)";

/// Says each `EXISTS` among the columns as a count.
///
/// # Errors
/// None in fact: what it is said as can be read.
pub(crate) fn among_columns(select: &mut Select) -> Result<()> {
    let mut columns = Columns { depth: 0 };
    match change(&mut select.projection, &mut columns) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Columns {
    /// How many queries are being looked into: their conditions are their own.
    depth: usize,
}

impl VisitorMut for Columns {
    type Break = datafusion::common::DataFusionError;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<Self::Break> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Self::Break> {
        self.depth = self.depth.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if self.depth == 0
            && let Expr::Exists { subquery, negated } = expr
        {
            match counted(subquery.clone(), *negated) {
                Ok(counted) => *expr = counted,
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }
}

fn counted(query: Box<Query>, negated: bool) -> Result<Expr> {
    let said = if negated { NONE } else { SOME };
    let mut counted = Parser::new(&GenericDialect {}).try_with_sql(said)?.parse_expr()?;
    let _: ControlFlow<()> = change(&mut counted, &mut Put(Some(query)));
    Ok(counted)
}

/// Puts a query where `asked` stands.
struct Put(Option<Box<Query>>);

impl VisitorMut for Put {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if matches!(factor, TableFactor::Table { .. })
            && let Some(subquery) = self.0.take()
        {
            *factor = TableFactor::Derived { lateral: false, subquery, alias: None, sample: None };
        }
        ControlFlow::Continue(())
    }
}
