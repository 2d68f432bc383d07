//! How PostgreSQL's texts are read: as the parser reads them, but for names of arguments, which are names alone. The parser would
//! take any expression for a name at first, and read each argument twice: calls within calls take it time without end. What is
//! not here: what a statement means.

use std::any::TypeId;

use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

/// PostgreSQL's spelling.
#[derive(Debug)]
pub(crate) struct PostgreSql;

const INNER: PostgreSqlDialect = PostgreSqlDialect {};

/// What is so in the parser's own.
macro_rules! as_there {
    ($($name:ident)*) => { $(fn $name(&self) -> bool { INNER.$name() })* };
}

impl Dialect for PostgreSql {
    fn dialect(&self) -> TypeId {
        INNER.dialect()
    }

    fn identifier_quote_style(&self, name: &str) -> Option<char> {
        INNER.identifier_quote_style(name)
    }

    fn is_delimited_identifier_start(&self, letter: char) -> bool {
        INNER.is_delimited_identifier_start(letter)
    }

    fn is_identifier_start(&self, letter: char) -> bool {
        INNER.is_identifier_start(letter)
    }

    fn is_identifier_part(&self, letter: char) -> bool {
        INNER.is_identifier_part(letter)
    }

    fn is_reserved_for_identifier(&self, word: Keyword) -> bool {
        INNER.is_reserved_for_identifier(word)
    }

    fn is_custom_operator_part(&self, letter: char) -> bool {
        INNER.is_custom_operator_part(letter)
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        INNER.get_next_precedence(parser)
    }

    fn prec_value(&self, of: Precedence) -> u8 {
        INNER.prec_value(of)
    }

    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        false
    }

    as_there! {
        supports_unicode_string_literal
        supports_filter_during_aggregation
        supports_group_by_expr
        allow_extract_custom
        allow_extract_single_quotes
        supports_create_index_with_clause
        supports_explain_with_utility_options
        supports_listen_notify
        supports_factorial_operator
        supports_bitwise_shift_operators
        supports_comment_on
        supports_load_extension
        supports_named_fn_args_with_colon_operator
        supports_empty_projections
        supports_nested_comments
        supports_string_escape_constant
        supports_numeric_literal_underscores
        supports_array_typedef_with_brackets
        supports_geometric_types
        supports_set_names
        supports_alter_column_type_using
        supports_notnull_operator
        supports_interval_options
        supports_insert_table_alias
        supports_create_table_like_parenthesized
        supports_select_wildcard_with_alias
        supports_comma_separated_trim
        supports_xml_expressions
        supports_comment_optimizer_hint
    }
}

#[cfg(test)]
mod tests {
    use super::PostgreSql;
    use crate::statement::parse;

    const LEVELS: usize = 30;

    #[test]
    fn calls_within_calls_are_read_at_once() {
        for level in
            ["coalesce(y, ?)", "abs(-?)", "(CASE WHEN y THEN 1 ELSE ? END)", "((?, 1) < (2, 3))", "ARRAY[?]"]
        {
            // Read twice at each level, this would take hours.
            let text = (0..LEVELS).fold("x".to_owned(), |inner, _| level.replace('?', &inner));
            parse(&format!("SELECT {text}"), &PostgreSql).expect(level);
        }
    }

    #[test]
    fn arguments_have_names() {
        for text in [
            "SELECT f(a => 1)",
            "SELECT f(a := 1, b => 'x')",
            "SELECT DISTINCT ON (a) a FROM t",
            "SELECT !!5",
        ] {
            assert!(parse(text, &PostgreSql).is_ok(), "{text}");
        }
    }
}
