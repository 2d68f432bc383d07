//! What can go wrong with a query, said plainly: DataFusion's errors become problems with a stable code, a place in the
//! text, and the nearest name where one is unknown. Never a dump of its insides.

use datafusion::common::{Column, DataFusionError, SchemaError};
use datafusion::sql::sqlparser::parser::ParserError;
use tidemill_core::{Problem, codes, nearest};
use tidemill_dialect::from_problem;

use tidemill_lake::Error;

/// The longest detail of a problem; what is longer is cut.
const DETAIL_BYTES_MAX: usize = 500;

/// An error of the store on its way through DataFusion.
pub(crate) fn from_store(error: Error) -> DataFusionError {
    from_problem(error.into())
}

/// The names of tables, as messages know them.
#[derive(Default)]
pub(crate) struct Tables {
    /// That may be hinted at.
    pub(crate) open: Vec<String>,
    /// That are there, for administrators only.
    pub(crate) closed: Vec<String>,
}

/// What the planner says of a subquery that it has left in an expression.
const OUTSIDE: [&str; 4] = ["OuterReferenceColumn(", "ScalarSubquery(", "Exists(", "InSubquery("];

/// What the caller is told.
pub(crate) fn to_problem(error: &DataFusionError, tables: &Tables) -> Problem {
    match error {
        DataFusionError::External(inner) => match inner.downcast_ref::<Problem>() {
            Some(problem) => problem.clone(),
            None => Problem::new(&codes::BAD_SQL, plain(&inner.to_string())),
        },
        DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
            arrow::error::ArrowError::ExternalError(inner) => match inner.downcast_ref::<Problem>() {
                Some(problem) => problem.clone(),
                None => Problem::new(&codes::BAD_SQL, plain(&inner.to_string())),
            },
            other => of_engine(plain(&other.to_string())),
        },
        DataFusionError::Context(_, inner) => to_problem(inner, tables),
        DataFusionError::Shared(inner) => to_problem(inner, tables),
        DataFusionError::Collection(errors) => match errors.first() {
            Some(first) => to_problem(first, tables),
            None => internal("a list of errors without one"),
        },
        DataFusionError::Diagnostic(diagnostic, inner) => {
            let problem = to_problem(inner, tables);
            match (&diagnostic.span, problem.place) {
                (Some(span), None) => problem.at(span.start.line, span.start.column),
                _ => problem,
            }
        }
        DataFusionError::SQL(inner, _) => parse(inner),
        DataFusionError::SchemaError(inner, _) => schema(inner),
        DataFusionError::ResourcesExhausted(_) => Problem::new(
            &codes::QUERY_MEMORY,
            "sorting, grouping or joining needs more memory than a query may have",
        ),
        DataFusionError::Internal(text) if text.starts_with("Cannot run range queries") => {
            Problem::new(&codes::BAD_SQL, "a window cannot be ordered by what it is ordered by")
                .hint("Order by a number, as by extract(epoch FROM …), or say which ROWS")
        }
        DataFusionError::Internal(text) => internal(text),
        DataFusionError::ExecutionJoin(_) => internal("a part of the query stopped"),
        DataFusionError::NotImplemented(text) if OUTSIDE.iter().any(|words| text.contains(words)) => {
            let detail =
                "a subquery refers to the query around it where the planner cannot make a join of it";
            Problem::new(&codes::BAD_SQL, detail).hint(
                "Join what it asks, or ask it for one aggregate, as (SELECT max(…) FROM … WHERE …); EXISTS stands in WHERE",
            )
        }
        DataFusionError::NotImplemented(text) => {
            Problem::new(&codes::BAD_SQL, format!("this is not supported: {}", plain(text)))
        }
        DataFusionError::Plan(text) | DataFusionError::Execution(text) => missing(text, tables),
        other => of_engine(plain(&other.strip_backtrace())),
    }
}

/// What the engine says of a query, with the mend where there is one.
fn of_engine(told: String) -> Problem {
    const TOO_LARGE: [&str; 5] =
        ["is too large to store in", "Can't cast value", "overflow", "Overflow", "max scale"];
    if told.starts_with("Divide by zero") {
        return Problem::new(&codes::BAD_SQL, "division by zero").hint("Divide by NULLIF(…, 0)");
    }
    let left = told.starts_with("value of ") && told.contains(" is out of range");
    if left || TOO_LARGE.iter().any(|words| told.contains(words)) {
        let told = told.strip_prefix("Arithmetic overflow: Overflow happened on: ").unwrap_or(&told);
        return Problem::new(&codes::BAD_SQL, format!("a number does not fit: {told}"));
    }
    let is_time = told.starts_with("Error parsing timestamp");
    let problem = Problem::new(&codes::BAD_SQL, told);
    if !is_time {
        return problem;
    }
    problem.hint(
        "Write times as '2026-03-01T20:00:00Z', or with the offset of a place: '2026-03-01T20:00:00+01:00'",
    )
}

/// Something that should not happen; the details go to the log, not to the caller.
pub(crate) fn internal(what: &str) -> Problem {
    tracing::error!(event = "query.failed", what, "a query failed inside");
    Problem::new(&codes::INTERNAL, "the query failed inside, which it should not")
}

fn parse(error: &ParserError) -> Problem {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.clone(),
        ParserError::RecursionLimitExceeded => {
            return Problem::new(&codes::BAD_SQL, "the query is nested too deeply")
                .hint("Write it with fewer parentheses or subqueries");
        }
    };
    let (text, place) = place(&text);
    let problem = Problem::new(&codes::BAD_SQL, plain(&text));
    match place {
        Some((line, column)) => problem.at(line, column),
        None => problem,
    }
}

/// The parser puts the place into its sentence: `… at Line: 1, Column: 8`.
fn place(text: &str) -> (String, Option<(u64, u64)>) {
    let found = text.rsplit_once(" at Line: ").and_then(|(before, after)| {
        let (line, column) = after.split_once(", Column: ")?;
        let column: String = column.chars().take_while(char::is_ascii_digit).collect();
        Some((before.to_owned(), (line.parse().ok()?, column.parse().ok()?)))
    });
    match found {
        Some((before, place)) => (before, Some(place)),
        None => (text.to_owned(), None),
    }
}

fn schema(error: &SchemaError) -> Problem {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let problem =
                Problem::new(&codes::BAD_SQL, format!("there is no column '{}'", plain(&field.flat_name())));
            let names: Vec<String> = valid_fields.iter().map(|column| column.name.clone()).collect();
            let problem = match nearest(&field.name, &names) {
                Some(name) => problem.hint(format!("Did you mean {}?", quoted(name))),
                None if names.is_empty() => problem,
                None => problem.hint(format!("There are: {}", listed(valid_fields))),
            };
            match field.spans.0.first() {
                Some(span) => problem.at(span.start.line, span.start.column),
                None => problem,
            }
        }
        SchemaError::AmbiguousReference { field } => Problem::new(
            &codes::BAD_SQL,
            format!("'{}' is a column of more than one table", plain(&field.name)),
        )
        .hint("Write the table's name and a point before it"),
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => {
            Problem::new(&codes::BAD_SQL, format!("two columns have the name '{}'", plain(name)))
                .hint("Give one of them another name with AS")
        }
    }
}

fn listed(columns: &[Column]) -> String {
    const SHOWN_MAX: usize = 12;
    let mut names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    names.dedup();
    let more = if names.len() > SHOWN_MAX { ", …" } else { "" };
    names.truncate(SHOWN_MAX);
    names.join(", ") + more
}

/// A name as it must be written in SQL.
fn quoted(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A table or function that is not there, or any other sentence of the planner.
fn missing(text: &str, tables: &Tables) -> Problem {
    let between = |start: &str| {
        let (_, rest) = text.split_once(start)?;
        rest.split_once('\'').map(|(name, _)| name)
    };
    if let Some(name) = between("able function '").filter(|_| text.contains("not found")) {
        return Problem::new(&codes::BAD_SQL, format!("there is no table function '{}'", plain(name)))
            .hint("There are: read, generate_series, range");
    }
    if let Some(name) = between("able '").filter(|_| text.contains("not found")) {
        let name = name.strip_prefix("tidemill.").unwrap_or(name);
        let name = name.strip_prefix("public.").unwrap_or(name);
        if tables.closed.iter().any(|closed| closed == name) {
            let detail = format!("the table '{name}' is for administrators only");
            return Problem::new(&codes::FORBIDDEN, detail).hint("Ask with a token that has administer:#");
        }
        let problem = Problem::new(&codes::BAD_SQL, format!("there is no table '{}'", plain(name)));
        return match nearest(name, &tables.open) {
            Some(near) => problem.hint(format!("Did you mean {near}?")),
            None => problem.hint(format!("There are: {}", tables.open.join(", "))),
        };
    }
    if let Some(name) = between("Invalid function '") {
        let problem = Problem::new(&codes::BAD_SQL, format!("there is no function '{}'", plain(name)));
        // What people know from elsewhere, where this dialect has an operator.
        if name.eq_ignore_ascii_case("mod") {
            return problem.hint("Write a % b for the remainder of a division");
        }
        // The planner names the nearest function however far it is.
        let near = between("Did you mean '").and_then(|near| nearest(name, &[near.to_owned()]).map(|_| near));
        return match near {
            Some(near) => problem.hint(format!("Did you mean {}?", plain(near))),
            None => problem,
        };
    }
    of_engine(plain(text))
}

/// One line, without the insides' debug forms, of bounded length.
fn plain(text: &str) -> String {
    const PREFIXES: [&str; 8] = [
        "Error during planning: ",
        "Execution error: ",
        "External error: ",
        "Arrow error: ",
        "Internal error: ",
        "Parser error: ",
        "Cast error: ",
        "SQL error: ",
    ];
    // Where the insides begin to speak of themselves.
    const ENDS: [&str; 4] =
        ["\n\nbacktrace", ", errors: ", "This issue was likely caused", "No function matches the given"];
    let first = ENDS.iter().fold(text, |text, end| text.split(end).next().unwrap_or_default());
    let mut line = first.split_whitespace().collect::<Vec<_>>().join(" ");
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| line.strip_prefix(prefix)) {
        line = rest.to_owned();
    }
    line.truncate(line.trim_end_matches(['.', ' ']).len());
    if line.len() > DETAIL_BYTES_MAX {
        let end = (0..=DETAIL_BYTES_MAX).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
        line.truncate(end);
        line.push('…');
    }
    line
}
