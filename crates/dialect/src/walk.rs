//! One walk through a statement for everybody who looks at it or changes it. The parser's own is made anew for each type of
//! visitor and for every kind of node, which is nearly a megabyte of program each time; here there is one of each.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, Select, Statement, TableFactor, ValueWithSpan, Visit, VisitMut, Visitor,
    VisitorMut,
};

/// Looks at a node and all below it; what the visitor broke off with.
pub(crate) fn look<N: Visit, V: Visitor>(node: &N, visitor: &mut V) -> ControlFlow<V::Break> {
    let mut kept = Kept { visitor, broke: None };
    let _ = node.visit(&mut Any(&mut kept as &mut dyn Visitor<Break = ()>));
    kept.broke.map_or(ControlFlow::Continue(()), ControlFlow::Break)
}

/// Changes a node and all below it; what the visitor broke off with.
pub(crate) fn change<N: VisitMut, V: VisitorMut>(node: &mut N, visitor: &mut V) -> ControlFlow<V::Break> {
    let mut kept = Kept { visitor, broke: None };
    let _ = node.visit(&mut Any(&mut kept as &mut dyn VisitorMut<Break = ()>));
    kept.broke.map_or(ControlFlow::Continue(()), ControlFlow::Break)
}

/// A visitor, and what it broke off with, so that the walk need not know of it.
struct Kept<'a, V, B> {
    visitor: &'a mut V,
    broke: Option<B>,
}

impl<V, B> Kept<'_, V, B> {
    fn keep(&mut self, said: ControlFlow<B>) -> ControlFlow<()> {
        match said {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(what) => {
                self.broke = Some(what);
                ControlFlow::Break(())
            }
        }
    }
}

/// Whoever it is.
struct Any<'a, V: ?Sized>(&'a mut V);

type Seen<'a, N> = &'a N;
type Changed<'a, N> = &'a mut N;

macro_rules! walks {
    ($visitor:ident, $by:ident, $($method:ident $node:ident),+) => {
        impl<V: $visitor> $visitor for Kept<'_, V, V::Break> {
            type Break = ();

            $(fn $method(&mut self, node: $by<'_, $node>) -> ControlFlow<()> {
                let said = self.visitor.$method(node);
                self.keep(said)
            })+
        }

        impl $visitor for Any<'_, dyn $visitor<Break = ()> + '_> {
            type Break = ();

            $(fn $method(&mut self, node: $by<'_, $node>) -> ControlFlow<()> {
                self.0.$method(node)
            })+
        }
    };
    ($visitor:ident, $by:ident) => {
        walks!(
            $visitor, $by,
            pre_visit_query Query, post_visit_query Query,
            pre_visit_select Select, post_visit_select Select,
            pre_visit_relation ObjectName, post_visit_relation ObjectName,
            pre_visit_table_factor TableFactor, post_visit_table_factor TableFactor,
            pre_visit_expr Expr, post_visit_expr Expr,
            pre_visit_statement Statement, post_visit_statement Statement,
            pre_visit_value ValueWithSpan, post_visit_value ValueWithSpan
        );
    };
}

walks!(Visitor, Seen);
walks!(VisitorMut, Changed);
