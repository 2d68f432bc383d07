//! The functions that PostgreSQL's clients ask its catalogue with, as one table: each answers from the contents of the
//! catalogue, a row at a time. What is not here: functions that compute (those are DataFusion's).

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListBuilder, StringArray, StringBuilder, UInt32Array,
};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use tidemill_core::TypeNumber;

use super::contents::{Callable, Contents, schema_number};
use super::procedures::{self, Procedure};
use super::tables::Cell;
use super::types;
use crate::error::bad;

/// What a function gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gives {
    Bool,
    Number,
    Oid,
    Text,
    /// A list of texts.
    Items,
}

type Arguments<'a> = &'a [Option<&'a str>];
type Body = fn(&Contents, Arguments<'_>) -> Result<Cell>;

/// A function: its name, with how many arguments it may be called, what it gives, and how.
struct Function {
    name: &'static str,
    arguments: std::ops::RangeInclusive<usize>,
    gives: Gives,
    body: Body,
}

const fn of(
    name: &'static str,
    arguments: std::ops::RangeInclusive<usize>,
    gives: Gives,
    body: Body,
) -> Function {
    Function { name, arguments, gives, body }
}

/// How `::regclass` and its like are said as functions, to and from a number.
pub(crate) const REGISTERED: [(&str, &str, &str); 6] = [
    ("regclass", "tidemill_regclass_in", "tidemill_regclass_out"),
    ("regtype", "tidemill_regtype_in", "tidemill_regtype_out"),
    ("regproc", "tidemill_regproc_in", "tidemill_regproc_out"),
    ("regprocedure", "tidemill_regproc_in", "tidemill_regproc_out"),
    ("regnamespace", "tidemill_regnamespace_in", "tidemill_regnamespace_out"),
    ("regrole", "tidemill_regrole_in", "tidemill_regrole_out"),
];

/// A list without items, which has no spelling of its own.
pub(crate) const NO_ITEMS: &str = "tidemill_no_items";

static FUNCTIONS: &[Function] = &[
    of(NO_ITEMS, 0..=0, Gives::Items, |_, _| Ok(Cell::Items(Vec::new()))),
    // Who and where.
    of("version", 0..=0, Gives::Text, |of, _| text(&of.session.version)),
    of("current_database", 0..=0, Gives::Text, |of, _| text(&of.session.database)),
    of("current_catalog", 0..=0, Gives::Text, |of, _| text(&of.session.database)),
    of("current_schema", 0..=0, Gives::Text, |_, _| text("public")),
    of("current_user", 0..=0, Gives::Text, |of, _| text(&of.session.user)),
    of("session_user", 0..=0, Gives::Text, |of, _| text(&of.session.user)),
    of("current_role", 0..=0, Gives::Text, |of, _| text(&of.session.user)),
    of("user", 0..=0, Gives::Text, |of, _| text(&of.session.user)),
    of("pg_backend_pid", 0..=0, Gives::Number, |of, _| Ok(of.session.process.into())),
    of("pg_is_in_recovery", 0..=0, Gives::Bool, no),
    of("inet_server_addr", 0..=0, Gives::Text, null),
    of("inet_client_addr", 0..=0, Gives::Text, null),
    of("inet_server_port", 0..=0, Gives::Number, null),
    of("inet_client_port", 0..=0, Gives::Number, null),
    of("current_setting", 1..=2, Gives::Text, setting),
    of("set_config", 3..=3, Gives::Text, |_, given| Ok(at(given, 1).map_or(Cell::Null, Cell::from))),
    of("pg_client_encoding", 0..=0, Gives::Text, |_, _| text("UTF8")),
    of("getdatabaseencoding", 0..=0, Gives::Text, |_, _| text("UTF8")),
    of("pg_encoding_to_char", 1..=1, Gives::Text, |_, _| text("UTF8")),
    of("pg_char_to_encoding", 1..=1, Gives::Number, |_, _| Ok(6.into())),
    of("pg_my_temp_schema", 0..=0, Gives::Oid, |_, _| Ok(0.into())),
    of("pg_is_other_temp_schema", 1..=1, Gives::Bool, no),
    of("pg_advisory_unlock_all", 0..=0, Gives::Text, |_, _| text("")),
    // What may be seen, and what one may.
    of("pg_table_is_visible", 1..=1, Gives::Bool, visible),
    of("pg_type_is_visible", 1..=1, Gives::Bool, yes),
    of("pg_function_is_visible", 1..=1, Gives::Bool, yes),
    of("pg_operator_is_visible", 1..=1, Gives::Bool, yes),
    of("pg_opclass_is_visible", 1..=1, Gives::Bool, yes),
    of("pg_opfamily_is_visible", 1..=1, Gives::Bool, yes),
    of("pg_collation_is_visible", 1..=1, Gives::Bool, yes),
    of("pg_conversion_is_visible", 1..=1, Gives::Bool, yes),
    of("pg_statistics_obj_is_visible", 1..=1, Gives::Bool, yes),
    of("pg_ts_config_is_visible", 1..=1, Gives::Bool, yes),
    of("pg_ts_dict_is_visible", 1..=1, Gives::Bool, yes),
    of("pg_ts_parser_is_visible", 1..=1, Gives::Bool, yes),
    of("pg_ts_template_is_visible", 1..=1, Gives::Bool, yes),
    of("has_table_privilege", 2..=3, Gives::Bool, may),
    of("has_any_column_privilege", 2..=3, Gives::Bool, may),
    of("has_column_privilege", 3..=4, Gives::Bool, may),
    of("has_schema_privilege", 2..=3, Gives::Bool, may),
    of("has_database_privilege", 2..=3, Gives::Bool, may),
    of("has_function_privilege", 2..=3, Gives::Bool, may),
    of("has_language_privilege", 2..=3, Gives::Bool, may),
    of("has_type_privilege", 2..=3, Gives::Bool, may),
    of("has_sequence_privilege", 2..=3, Gives::Bool, no),
    of("has_tablespace_privilege", 2..=3, Gives::Bool, no),
    of("has_server_privilege", 2..=3, Gives::Bool, no),
    of("pg_has_role", 2..=3, Gives::Bool, may),
    // Names of numbers, and back.
    of("format_type", 2..=2, Gives::Text, |_, given| {
        Ok(number(given, 0).map_or(Cell::Null, |n| types::spelled(n).into()))
    }),
    of("pg_get_userbyid", 1..=1, Gives::Text, |of, given| {
        let name = |n| of.role(n).map_or_else(|| format!("unknown (OID={n})"), str::to_owned);
        Ok(number(given, 0).map_or(Cell::Null, |n| name(n).into()))
    }),
    of("to_regclass", 1..=1, Gives::Oid, |of, given| found(at(given, 0).and_then(|name| of.table(name)))),
    of("to_regtype", 1..=1, Gives::Oid, |_, given| found(at(given, 0).and_then(types::by_name))),
    of("to_regnamespace", 1..=1, Gives::Oid, |_, given| found(at(given, 0).and_then(schema_number))),
    of("to_regproc", 1..=1, Gives::Oid, |of, given| {
        found(at(given, 0).and_then(|name| of.function_number(name)))
    }),
    of(REGISTERED[0].1, 1..=1, Gives::Oid, |of, given| known(given, "relation", |name| of.table(name))),
    of(REGISTERED[1].1, 1..=1, Gives::Oid, |_, given| known(given, "type", types::by_name)),
    of(REGISTERED[2].1, 1..=1, Gives::Oid, |of, given| {
        known(given, "function", |name| of.function_number(name))
    }),
    of(REGISTERED[4].1, 1..=1, Gives::Oid, |_, given| known(given, "schema", schema_number)),
    of(REGISTERED[5].1, 1..=1, Gives::Oid, |of, given| {
        known(given, "role", |name| (1..=20_000).find(|number| of.role(*number) == Some(name)))
    }),
    of(REGISTERED[0].2, 1..=1, Gives::Text, |of, given| {
        named(given, |n| {
            let (schema, name) = of.name(n)?;
            let name = identifier(name);
            Some(if matches!(schema, "public" | "pg_catalog") { name } else { format!("{schema}.{name}") })
        })
    }),
    of(REGISTERED[1].2, 1..=1, Gives::Text, |_, given| named(given, |n| Some(types::spelled(n)))),
    of(REGISTERED[2].2, 1..=1, Gives::Text, |of, given| {
        named(given, |n| {
            let own = of.function(n).map(|function| function.name);
            own.or_else(|| procedures::by_number(n).map(|known| known.name)).map(str::to_owned)
        })
    }),
    of(REGISTERED[4].2, 1..=1, Gives::Text, |_, given| {
        named(given, |n| {
            super::contents::SCHEMAS
                .iter()
                .find(|(_, number, _)| *number == n)
                .map(|(name, ..)| (*name).to_owned())
        })
    }),
    of(REGISTERED[5].2, 1..=1, Gives::Text, |of, given| named(given, |n| of.role(n).map(str::to_owned))),
    of("quote_ident", 1..=1, Gives::Text, |_, given| {
        Ok(at(given, 0).map_or(Cell::Null, |name| identifier(name).into()))
    }),
    of("quote_literal", 1..=1, Gives::Text, |_, given| {
        Ok(at(given, 0).map_or(Cell::Null, |text| literal(text).into()))
    }),
    of("quote_nullable", 1..=1, Gives::Text, |_, given| {
        text(&at(given, 0).map_or("NULL".to_owned(), literal))
    }),
    of("parse_ident", 1..=2, Gives::Items, |_, given| {
        Ok(match at(given, 0) {
            None => Cell::Null,
            Some(name) => Cell::Items(parts(name).ok_or_else(|| bad(format!("'{name}' is no name")))?),
        })
    }),
    // What is said of things.
    of("obj_description", 1..=2, Gives::Text, |of, given| {
        Ok(number(given, 0).and_then(|n| of.description(n, 0)).map_or(Cell::Null, Cell::from))
    }),
    of("col_description", 2..=2, Gives::Text, |of, given| {
        let column = at(given, 1).and_then(|text| text.parse().ok());
        let told = number(given, 0).zip(column).filter(|(_, column)| *column > 0);
        Ok(told.and_then(|(n, column)| of.description(n, column)).map_or(Cell::Null, Cell::from))
    }),
    of("shobj_description", 2..=2, Gives::Text, null),
    // What nothing here has: defaults, keys, rules, partitions, sequences; and sizes, which nobody counts by table.
    of("pg_get_expr", 2..=3, Gives::Text, null),
    of("pg_get_viewdef", 1..=2, Gives::Text, null),
    of("pg_get_indexdef", 1..=3, Gives::Text, null),
    of("pg_get_constraintdef", 1..=2, Gives::Text, null),
    of("pg_get_triggerdef", 1..=2, Gives::Text, null),
    of("pg_get_ruledef", 1..=2, Gives::Text, null),
    of("pg_get_partkeydef", 1..=1, Gives::Text, null),
    of("pg_get_partition_constraintdef", 1..=1, Gives::Text, null),
    of("pg_get_statisticsobjdef", 1..=1, Gives::Text, null),
    of("pg_get_statisticsobjdef_columns", 1..=1, Gives::Text, null),
    of("pg_get_functiondef", 1..=1, Gives::Text, |of, given| function(of, given, Callable::definition)),
    of("pg_get_function_result", 1..=1, Gives::Text, |of, given| {
        routine(of, given, |own| own.gives.to_owned(), |theirs| types::spelled(theirs.gives))
    }),
    of("pg_get_function_arguments", 1..=1, Gives::Text, |of, given| {
        routine(of, given, Callable::arguments, Procedure::arguments)
    }),
    of("pg_get_function_identity_arguments", 1..=1, Gives::Text, |of, given| {
        let own = |own: &Callable| Callable { optional: 0, ..own.clone() }.arguments();
        routine(of, given, own, Procedure::arguments)
    }),
    of("pg_get_function_arg_default", 2..=2, Gives::Text, null),
    of("pg_get_function_sqlbody", 1..=1, Gives::Text, null),
    of("pg_get_serial_sequence", 2..=2, Gives::Text, null),
    of("pg_get_replica_identity_index", 1..=1, Gives::Oid, null),
    of("pg_relation_is_publishable", 1..=1, Gives::Bool, no),
    of("pg_relation_filenode", 1..=1, Gives::Oid, null),
    of("pg_tablespace_location", 1..=1, Gives::Text, |_, _| text("")),
    of("pg_relation_size", 1..=2, Gives::Number, null),
    of("pg_table_size", 1..=1, Gives::Number, null),
    of("pg_indexes_size", 1..=1, Gives::Number, null),
    of("pg_total_relation_size", 1..=1, Gives::Number, null),
    of("pg_database_size", 1..=1, Gives::Number, null),
    of("pg_tablespace_size", 1..=1, Gives::Number, null),
    of("pg_size_pretty", 1..=1, Gives::Text, |_, given| {
        Ok(at(given, 0).map_or(Cell::Null, |n| format!("{n} bytes").into()))
    }),
    of("pg_stat_get_numscans", 1..=1, Gives::Number, null),
];

fn yes(_: &Contents, _: Arguments<'_>) -> Result<Cell> {
    Ok(true.into())
}

fn no(_: &Contents, _: Arguments<'_>) -> Result<Cell> {
    Ok(false.into())
}

fn null(_: &Contents, _: Arguments<'_>) -> Result<Cell> {
    Ok(Cell::Null)
}

fn text(text: &str) -> Result<Cell> {
    Ok(text.into())
}

fn at<'a>(given: Arguments<'a>, place: usize) -> Option<&'a str> {
    given.get(place).copied().flatten()
}

fn number(given: Arguments<'_>, place: usize) -> Option<u32> {
    at(given, place)?.parse().ok()
}

fn found(number: Option<TypeNumber>) -> Result<Cell> {
    Ok(number.map_or(Cell::Null, Cell::from))
}

/// `'name'::regclass`: a number stays one, `-` is none, and a name must be known.
fn known(given: Arguments<'_>, what: &str, find: impl Fn(&str) -> Option<u32>) -> Result<Cell> {
    let Some(name) = at(given, 0) else { return Ok(Cell::Null) };
    if let Ok(number) = name.parse::<u32>() {
        return Ok(number.into());
    }
    if name == "-" {
        return Ok(0.into());
    }
    match find(name) {
        Some(number) => Ok(number.into()),
        None => Err(bad(format!("there is no {what} '{name}'"))),
    }
}

/// `number::regclass::text`: a number without a name stays one.
fn named(given: Arguments<'_>, find: impl Fn(u32) -> Option<String>) -> Result<Cell> {
    Ok(match number(given, 0) {
        None => at(given, 0).map_or(Cell::Null, Cell::from),
        Some(0) => "-".into(),
        Some(number) => find(number).unwrap_or_else(|| number.to_string()).into(),
    })
}

/// What is told of a function of ours.
fn function(of: &Contents, given: Arguments<'_>, told: impl Fn(&Callable) -> String) -> Result<Cell> {
    let function = number(given, 0).and_then(|number| of.function(number));
    Ok(function.map_or(Cell::Null, |function| told(function).into()))
}

/// What is told of a function of ours, or of one that the catalogue names.
fn routine(
    of: &Contents,
    given: Arguments<'_>,
    own: impl Fn(&Callable) -> String,
    theirs: impl Fn(&Procedure) -> String,
) -> Result<Cell> {
    match number(given, 0).and_then(procedures::by_number) {
        Some(known) => Ok(theirs(known).into()),
        None => function(of, given, own),
    }
}

fn setting(of: &Contents, given: Arguments<'_>) -> Result<Cell> {
    let Some(name) = at(given, 0) else { return Ok(Cell::Null) };
    let wanted = name.to_lowercase();
    match of.session.settings.iter().find(|(known, _)| *known == wanted) {
        Some((_, value)) => text(value),
        None if at(given, 1) == Some("true") => Ok(Cell::Null),
        None => Err(bad(format!("there is no setting '{name}'"))),
    }
}

fn visible(of: &Contents, given: Arguments<'_>) -> Result<Cell> {
    let table = number(given, 0).and_then(|number| of.name(number));
    Ok(table.map_or(Cell::Null, |(schema, _)| matches!(schema, "public" | "pg_catalog").into()))
}

/// Everything may be read, and nothing else may be done.
fn may(_: &Contents, given: Arguments<'_>) -> Result<Cell> {
    const READING: [&str; 5] = ["select", "usage", "connect", "execute", "member"];
    let asked = given.last().copied().flatten().unwrap_or_default().to_lowercase();
    Ok(asked.split(',').any(|right| READING.contains(&right.trim())).into())
}

/// A name as it is written in SQL.
fn identifier(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// The parts of a name as it is written in SQL.
fn parts(name: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = name.trim();
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut part = String::new();
            let mut letters = quoted.char_indices().peekable();
            let end = loop {
                match letters.next()? {
                    (_, '"') if letters.next_if(|(_, next)| *next == '"').is_some() => part.push('"'),
                    (end, '"') => break end,
                    (_, letter) => part.push(letter),
                }
            };
            parts.push(part);
            rest = quoted.get(end + 1..)?.trim_start();
        } else {
            let end =
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
            let (part, after) = rest.split_at_checked(end)?;
            part.chars().next().filter(|first| !first.is_ascii_digit())?;
            parts.push(part.to_lowercase());
            rest = after.trim_start();
        }
        match rest.strip_prefix('.') {
            Some(after) => rest = after.trim_start(),
            None => return rest.is_empty().then_some(parts),
        }
    }
}

fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!(" E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// Whether a function of that name stands here, and so may be called without parentheses where PostgreSQL allows it.
pub(crate) fn is_known(name: &str) -> bool {
    FUNCTIONS.iter().any(|function| function.name == name)
}

/// All of them, answering from these contents.
pub(crate) fn all(contents: &Arc<Contents>) -> Vec<Arc<ScalarUDF>> {
    let one = |function: &'static Function| {
        let arities = function.arguments.clone().map(|count| match count {
            0 => TypeSignature::Nullary,
            count => TypeSignature::Any(count),
        });
        let signature = Signature::one_of(arities.collect(), Volatility::Stable);
        Arc::new(ScalarUDF::from(Udf { function, signature, contents: contents.clone() }))
    };
    FUNCTIONS.iter().map(one).collect()
}

/// A function with what it answers from.
struct Udf {
    function: &'static Function,
    signature: Signature,
    contents: Arc<Contents>,
}

impl std::fmt::Debug for Udf {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.function.name)
    }
}

impl PartialEq for Udf {
    fn eq(&self, other: &Udf) -> bool {
        self.function.name == other.function.name && Arc::ptr_eq(&self.contents, &other.contents)
    }
}

impl Eq for Udf {}

impl Hash for Udf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name.hash(state);
    }
}

impl ScalarUDFImpl for Udf {
    fn name(&self) -> &str {
        self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.function.gives {
            Gives::Bool => DataType::Boolean,
            Gives::Number => DataType::Int64,
            Gives::Oid => DataType::UInt32,
            Gives::Text => DataType::Utf8,
            Gives::Items => DataType::new_list(DataType::Utf8, true),
        })
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = call.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { call.number_rows };
        let texts: Vec<Option<ArrayRef>> = call
            .args
            .into_iter()
            .map(|argument| {
                let array = argument.into_array(rows)?;
                // What is no text, such as a list, says nothing to these.
                Ok(cast(&array, &DataType::Utf8).ok())
            })
            .collect::<Result<_>>()?;
        let mut cells = Vec::with_capacity(rows);
        for row in 0..rows {
            let given: Vec<Option<&str>> = texts
                .iter()
                .map(|texts| {
                    let texts = texts.as_ref()?.as_string::<i32>();
                    texts.is_valid(row).then(|| texts.value(row))
                })
                .collect();
            cells.push((self.function.body)(&self.contents, &given)?);
        }
        let made = made(self.function.gives, &cells);
        Ok(match scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(made),
        })
    }
}

fn made(gives: Gives, cells: &[Cell]) -> ArrayRef {
    let number = |cell: &Cell| match cell {
        Cell::Number(number) => Some(*number),
        _ => None,
    };
    match gives {
        Gives::Items => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for cell in cells {
                match cell {
                    Cell::Items(items) => lists.append_value(items.iter().map(Some)),
                    _ => lists.append_null(),
                }
            }
            Arc::new(lists.finish())
        }
        Gives::Bool => Arc::new(
            cells
                .iter()
                .map(|cell| match cell {
                    Cell::Bool(truth) => Some(*truth),
                    _ => None,
                })
                .collect::<BooleanArray>(),
        ),
        Gives::Number => Arc::new(cells.iter().map(number).collect::<Int64Array>()),
        Gives::Oid => {
            let numbers = cells.iter().map(|cell| number(cell).and_then(|number| number.try_into().ok()));
            Arc::new(numbers.collect::<UInt32Array>())
        }
        Gives::Text => Arc::new(
            cells
                .iter()
                .map(|cell| match cell {
                    Cell::Text(text) => Some(text.as_str()),
                    _ => None,
                })
                .collect::<StringArray>(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn names_have_parts() {
        for (name, expected) in [
            ("Samples", Some(vec!["samples"])),
            ("public.\"My Table\"", Some(vec!["public", "My Table"])),
            ("\"a\"\"b\" . c", Some(vec!["a\"b", "c"])),
            ("a.", None),
            ("\"a", None),
            ("1a", None),
            ("", None),
            ("a b", None),
        ] {
            let expected = expected.map(|parts| parts.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(parts(name), expected, "{name}");
        }
    }
}
