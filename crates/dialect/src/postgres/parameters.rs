//! Parameters: which types the text itself gives them, and values in their places. Values become literals in the tree, not
//! in the text, so that no parameter can become syntax. What is not here: reading values of the wire (their door).

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    DataType as SqlType, Expr, LimitClause, Query, Value as Literal, Visitor, VisitorMut,
};
use tidemill_core::{TypeNumber, WireValue};

use super::dialect::{calling, casting, null, taken, text};
use super::numeric::NUMERIC;
use super::{intervals, list_text, lists, types};
use crate::error::bad;
use crate::statement;
use crate::walk::{change, look};

/// The most parameters of a statement, as PostgreSQL has it.
pub(crate) const PARAMETERS_MAX: usize = 65_535;

/// How a value is put in.
pub(crate) enum Values<'a> {
    /// As it is given.
    Given(&'a [WireValue]),
    /// By its type alone: for what the answer will look like. What has no type stays a parameter.
    Types(&'a [TypeNumber]),
}

/// The types of all parameters that the text names: what is given where that says something, else what the text casts
/// them to, else 0.
pub(crate) fn types_of(statement: &Statement, given: &[TypeNumber]) -> Result<Vec<TypeNumber>> {
    let mut known = Known::default();
    visit(statement, &mut known)?;
    let count = known.count.max(given.len());
    if count > PARAMETERS_MAX {
        return Err(bad(format!("a statement has at most {PARAMETERS_MAX} parameters")));
    }
    let one = |number: usize| match given.get(number).copied().unwrap_or_default() {
        0 | UNKNOWN => known.types.get(&(number + 1)).copied().unwrap_or_default(),
        given => given,
    };
    Ok((0..count).map(one).collect())
}

/// A type that says as little as none.
const UNKNOWN: TypeNumber = 705;

fn visit(statement: &Statement, known: &mut Known) -> Result<()> {
    match statement {
        Statement::Statement(inner) => match look(inner.as_ref(), known) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        },
        Statement::Explain(explain) => visit(&explain.statement, known),
        _ => Ok(()),
    }
}

/// `$1` is 1.
fn number(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Literal::Placeholder(name) => Some(name),
            _ => None,
        },
        Expr::Nested(inner) => number(inner),
        _ => None,
    }
}

fn place(name: &str) -> Result<usize> {
    let number = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
    number
        .filter(|number| (1..=PARAMETERS_MAX).contains(number))
        .ok_or_else(|| bad(format!("'{name}' is no parameter: write $1, $2, …")))
}

#[derive(Default)]
struct Known {
    count: usize,
    types: HashMap<usize, TypeNumber>,
}

impl Visitor for Known {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<DataFusionError> {
        // How many rows is a whole number.
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            let counts = limit.iter().chain(offset.iter().map(|offset| &offset.value));
            for place in counts.filter_map(|count| place(number(count)?).ok()) {
                self.types.entry(place).or_insert(types::INT8);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<DataFusionError> {
        if let Some(name) = number(expr) {
            match place(name) {
                Ok(place) => self.count = self.count.max(place),
                Err(error) => return ControlFlow::Break(error),
            }
        }
        if let Expr::Cast { expr, data_type, .. } = expr
            && let Some(place) = number(expr).and_then(|name| place(name).ok())
            && let Some(kind) = types::by_name(&data_type.to_string().replace('"', ""))
        {
            self.types.entry(place).or_insert(kind);
        }
        ControlFlow::Continue(())
    }
}

/// Says `x = ANY($1)` as `x = $1`, whose type the planner tells; which parameters are lists.
pub fn singled(statement: &mut Statement) -> Vec<usize> {
    let mut lists = Lists::default();
    if let Statement::Statement(inner) = statement {
        let _ = change(inner.as_mut(), &mut lists);
    }
    lists.0
}

#[derive(Default)]
struct Lists(Vec<usize>);

impl VisitorMut for Lists {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::AnyOp { left, compare_op, right, .. } | Expr::AllOp { left, compare_op, right } = expr
            && let Some(place) = number(right).and_then(|name| place(name).ok())
        {
            self.0.push(place);
            let (left, right) = (Box::new(taken(left)), Box::new(taken(right)));
            *expr = Expr::BinaryOp { left, op: compare_op.clone(), right };
        }
        ControlFlow::Continue(())
    }
}

/// Puts values in.
///
/// # Errors
/// A parameter without a value, a value that its type does not read, or expressions that nest too deeply.
pub(crate) fn bind(statement: &mut Statement, values: &Values<'_>) -> Result<()> {
    statement::put(statement, &mut |name| value(values, place(name)?))
}

fn value(values: &Values<'_>, place: usize) -> Result<Option<Expr>> {
    match values {
        Values::Types(types) => match types.get(place - 1).copied().unwrap_or_default() {
            0 => Ok(None),
            kind => literal(kind, None).map(Some),
        },
        Values::Given(values) => {
            let Some(value) = values.get(place - 1) else {
                let count = values.len();
                return Err(bad(format!("the statement uses ${place} and {count} parameters were given")));
            };
            literal(value.kind, value.text.as_deref()).map(Some)
        }
    }
}

/// A value as a literal of its type.
///
/// # Errors
/// It is none of that type.
pub(crate) fn literal(kind: TypeNumber, value: Option<&str>) -> Result<Expr> {
    let wrong = || {
        let shown: String = value.unwrap_or_default().chars().take(40).collect();
        bad(format!("'{shown}' is no {}", types::spelled(kind)))
    };
    if let Some(item) = types::item_of(kind) {
        return match value {
            None => Ok(lists::none(item.number)),
            Some(value) => lists::list(&list_text::items(value).ok_or_else(wrong)?, item.number),
        };
    }
    Ok(match (kind, value) {
        (types::NUMERIC, None) => calling(NUMERIC, vec![null()]),
        // A float that is told as a numeric.
        (types::NUMERIC, Some(special @ ("NaN" | "Infinity" | "-Infinity"))) => {
            calling(NUMERIC, vec![casting(text(special), SqlType::DoublePrecision)])
        }
        // Its digits decide which.
        (types::NUMERIC, Some(digits)) => calling(NUMERIC, vec![text(digits)]),
        (types::BYTEA, Some(value)) => {
            let digits = value.strip_prefix("\\x").filter(|digits| {
                digits.len().is_multiple_of(2) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
            });
            Expr::Value(Literal::HexStringLiteral(digits.ok_or_else(wrong)?.to_owned()).into())
        }
        (types::INTERVAL, Some(value)) => {
            casting(text(&intervals::said(value).map_err(|_| wrong())?), lists::sql(kind))
        }
        (kind, value) => match (lists::sql(kind), value) {
            (SqlType::Text, Some(value)) => text(value),
            (to, value) => casting(value.map_or_else(null, text), to),
        },
    })
}
