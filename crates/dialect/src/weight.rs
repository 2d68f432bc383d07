//! How much the expressions of a statement mean. Some are said by what is in them more than once, here or by the planner:
//! `x BETWEEN a AND b` as two comparisons of `x`. Where those nest, each level doubles, so that a few hundred letters would be
//! more than any memory holds. What is not here: how many tables a statement means ([`super::statement`]).

use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, DataType as SqlType, Expr, Function, FunctionArguments, UnaryOperator,
    Value as Literal, Visitor,
};
use tidemill_core::{Problem, codes};

use crate::error::from_problem;
use crate::walk::look;

/// Functions that the planner says as CASE: what is not NULL is tested and given.
const CHOOSING: [&str; 4] = ["coalesce", "nvl", "ifnull", "nvl2"];
/// How often what is tested stands in such a CASE, which may become a condition itself.
const CHOSEN: usize = 3;
/// How often what ANY and ALL compare is said at most, either side, where the list is not written out.
const COMPARED: usize = 8;

/// Refuses a statement whose expressions mean more than so many parts, beside the values that stand in it: a list of names may
/// be long, as long as it is said once.
///
/// # Errors
/// `bad-sql`: they do.
pub(crate) fn weigh(statement: &Statement, most: usize) -> Result<()> {
    match statement {
        Statement::Statement(inner) => {
            let mut literals = Literals(0);
            let _ = look(inner.as_ref(), &mut literals);
            match look(inner.as_ref(), &mut Weight { most, values: literals.0, ..Weight::default() }) {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(error) => Err(error),
            }
        }
        Statement::Explain(explain) => weigh(&explain.statement, most),
        _ => Ok(()),
    }
}

/// How many values are written out.
struct Literals(usize);

impl Visitor for Literals {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.0 += usize::from(matches!(expr, Expr::Value(_)));
        ControlFlow::Continue(())
    }
}

#[derive(Default)]
struct Weight {
    most: usize,
    /// So many values more.
    values: usize,
    /// Of what stands in no expression.
    whole: usize,
    /// The parts of each expression that is being looked into, in the order in which they are met.
    open: Vec<Vec<usize>>,
}

impl Visitor for Weight {
    type Break = DataFusionError;

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<DataFusionError> {
        self.open.push(Vec::new());
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<DataFusionError> {
        let parts = self.open.pop().unwrap_or_default();
        let weight = of(expr, &parts).saturating_add(1);
        let met = match self.open.last_mut() {
            Some(outer) => {
                outer.push(weight);
                weight
            }
            None => {
                self.whole = self.whole.saturating_add(weight);
                self.whole
            }
        };
        if met > self.most.saturating_add(self.values) {
            let detail = format!("the query's expressions mean more than {} parts", self.most);
            let hint = "BETWEEN, CASE, coalesce and comparisons of rows count what they test more than once: \
                        nest them less, or ask several questions";
            return ControlFlow::Break(from_problem(Problem::new(&codes::BAD_SQL, detail).hint(hint)));
        }
        ControlFlow::Continue(())
    }
}

/// What the parts of an expression weigh, each as often as it will be said.
fn of(expr: &Expr, parts: &[usize]) -> usize {
    let sum = |parts: &[usize]| parts.iter().fold(0_usize, |sum, part| sum.saturating_add(*part));
    let first = parts.first().copied().unwrap_or_default();
    let all = sum(parts);
    let again = match expr {
        Expr::Between { expr, .. } if is_row(expr) => all.saturating_mul(3),
        Expr::Between { .. } => first,
        Expr::BinaryOp { left, right, .. } if is_row(left) && is_row(right) => all,
        Expr::InList { expr, list, .. } if is_row(expr) => first.saturating_mul(list.len()),
        Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => match right.as_ref() {
            Expr::Array(list) => {
                let plain = list.elem.iter().filter(|item| matches!(item, Expr::Value(_))).count();
                let more = all.saturating_sub(first).saturating_sub(plain + 1);
                first.saturating_mul(list.elem.len()).saturating_add(more.saturating_mul(COMPARED - 1))
            }
            Expr::Subquery(_) => all,
            _ => all.saturating_mul(COMPARED - 1),
        },
        Expr::Function(call) if is_one_of(call, &CHOOSING) => {
            let tested = parts.split_last().map_or(0, |(_, tested)| sum(tested));
            tested.saturating_mul(CHOSEN - 1)
        }
        Expr::Function(call) if is_one_of(call, &["date_trunc"]) => parts.get(2).copied().unwrap_or_default(),
        Expr::Case { operand, conditions, .. } => {
            let count = conditions.len();
            if count > 2 && !conditions.iter().any(|when| may_be_truth(&when.result)) {
                0
            } else {
                // Each condition is said once more behind each that follows it, and once for what is left.
                let conditions = parts.iter().skip(usize::from(operand.is_some())).step_by(2).take(count);
                let each = conditions.zip(1..).map(|(part, number)| part.saturating_mul(count + 1 - number));
                each.fold(0, usize::saturating_add)
            }
        }
        _ => 0,
    };
    all.saturating_add(again)
}

fn is_one_of(call: &Function, names: &[&str]) -> bool {
    let name = call.name.0.last().map(ToString::to_string).unwrap_or_default();
    names.iter().any(|known| name.trim_matches('"').eq_ignore_ascii_case(known))
}

fn is_row(expr: &Expr) -> bool {
    match expr {
        Expr::Tuple(_) => true,
        Expr::Function(call) => is_one_of(call, &["row"]),
        Expr::Nested(inner) => is_row(inner),
        _ => false,
    }
}

/// Whether this may come to true or false while planning, where the planner says CASE as a condition.
fn may_be_truth(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => may_be_truth(inner),
        Expr::Value(value) => matches!(value.value, Literal::Boolean(_)),
        Expr::Cast { data_type, .. } => matches!(data_type, SqlType::Boolean | SqlType::Bool),
        Expr::UnaryOp { op, expr } => matches!(op, UnaryOperator::Not) || may_be_truth(expr),
        Expr::BinaryOp { op, .. } => !matches!(
            op,
            BinaryOperator::Plus
                | BinaryOperator::Minus
                | BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::Modulo
                | BinaryOperator::StringConcat
        ),
        Expr::Case { conditions, else_result, .. } => {
            let results = conditions.iter().map(|CaseWhen { result, .. }| result);
            results.chain(else_result.as_deref()).any(may_be_truth)
        }
        Expr::Function(call) => {
            is_one_of(call, &CHOOSING) || matches!(call.args, FunctionArguments::None) || !names_columns(expr)
        }
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Subquery(_) => false,
        Expr::Interval(_) | Expr::TypedString(_) | Expr::Array(_) | Expr::Extract { .. } => false,
        Expr::Ceil { .. } | Expr::Floor { .. } | Expr::Position { .. } => false,
        Expr::Substring { .. } | Expr::Trim { .. } | Expr::Overlay { .. } => false,
        _ => true,
    }
}

fn names_columns(expr: &Expr) -> bool {
    struct Columns;
    impl Visitor for Columns {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    look(expr, &mut Columns).is_break()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::{MEANT_MAX, parse};
    use datafusion::sql::sqlparser::dialect::GenericDialect;

    fn weighed(expression: &str) -> Result<()> {
        weigh(&parse(&format!("SELECT {expression}"), &GenericDialect {}).expect(expression), MEANT_MAX)
    }

    fn nested(times: usize, level: &str) -> String {
        (0..times).fold("x".to_owned(), |inner, _| level.replace('?', &inner))
    }

    #[test]
    fn what_doubles_at_each_level_is_refused() {
        for level in [
            "((?, true) < (true, true))",
            "((true, ?) >= (true, true))",
            "(ROW(?, true) = ROW(true, true))",
            "((?, true) IN ((true, true), (false, true), (true, false), (false, false)))",
            "((? BETWEEN 0::numeric AND 2)::int)",
            "((? NOT BETWEEN 0 AND 2)::int)",
            "coalesce(?, y)",
            "nvl(?, y)",
            "nvl2(?, y, z)",
            "(CASE WHEN ? THEN y ELSE z END)",
            "(CASE WHEN a THEN b WHEN ? THEN y END)",
            "(CASE WHEN ? THEN true WHEN a THEN false WHEN b THEN false END)",
            "date_trunc('day', t, ?)",
            "((? < ANY (y))::int)",
            "ARRAY[y = ALL (?)]",
            "((? < ANY (ARRAY[1, 2, 3]))::int)",
        ] {
            assert!(weighed(&nested(4, level)).is_ok(), "{level}");
            let refused = weighed(&nested(16, level)).expect_err(level).to_string();
            assert!(refused.contains("more than 16384 parts"), "{level}: {refused}");
        }
        // Each condition is said again behind each that follows.
        let conditions =
            |result: &str| format!("CASE {} END", format!("WHEN x = 1 THEN {result} ").repeat(400));
        assert!(weighed(&conditions("false")).is_err());
        assert!(weighed(&conditions("false = true")).is_err());
    }

    #[test]
    fn what_is_long_or_deep_and_does_not_double_is_taken() {
        let items = (0..4_000).map(|item| item.to_string()).collect::<Vec<_>>().join(",");
        let rows = (0..1_000).map(|item| format!("({item},1)")).collect::<Vec<_>>().join(",");
        let cases = "WHEN x = 1 THEN 'one' ".repeat(500);
        let numbers = "WHEN x<1 THEN round(x*2) ".repeat(300);
        for expression in [
            format!("coalesce(x IN ({items}), false)"),
            format!("(x, y) IN ({rows})"),
            format!("x <> ALL (ARRAY[{items}])"),
            format!("x < ANY (ARRAY[{items}])"),
            format!("CASE {cases} END"),
            format!("CASE {numbers} END"),
            nested(40, "coalesce(y, ?)"),
            nested(30, "(CASE WHEN y THEN 1 ELSE ? END)"),
            nested(6, "coalesce(?, y)"),
            format!("x BETWEEN 1 AND 2 {}", "AND y BETWEEN 1 AND 2 ".repeat(200)),
        ] {
            assert!(weighed(&expression).is_ok(), "{}", expression.chars().take(80).collect::<String>());
        }
    }
}
