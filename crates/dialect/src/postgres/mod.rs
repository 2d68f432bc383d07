//! How PostgreSQL's clients are understood and answered: their dialect, the catalogue that they look things up in, and rows
//! as they read them. What is not here: their conversation, which the door leads.
//!
//! The catalogue is true: it tells of what the caller may read, and is empty where nothing of a kind exists. No rule is
//! about one client.

mod casts;
mod contents;
mod dialect;
mod empty;
mod functions;
mod intervals;
mod list_text;
mod lists;
mod meaning;
mod names;
mod numeric;
mod parameters;
mod precedence;
mod procedures;
mod rows;
mod spelling;
mod tables;
mod texts;
mod times;
mod tuples;
mod types;
mod values;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use datafusion::catalog::{MemTable, MemorySchemaProvider, SchemaProvider};
use datafusion::common::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::ScalarUDF;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use tidemill_core::{Problem, TypeNumber, WireQuery, codes};

pub use contents::{Callable, Contents, Readable};
pub(crate) use dialect::{calling, casting, text};
pub(crate) use intervals::interval;
pub use meaning::{analyzer, planner};
pub use parameters::singled;
pub use rows::WireRows;

use crate::error::from_problem;
use crate::{statement, weight};
use parameters::Values;
use tables::CatalogueTable;

/// How many parts one part may become when it is said in the planner's words: two that are compared, with what joins them.
const REWRITTEN: usize = 4;

/// What a statement was read as.
pub struct Read {
    /// For the planner.
    pub statement: Statement,
    /// The same columns with no rows, where the statement can have none: for when it cannot be planned.
    pub instead: Option<Statement>,
    /// The types of its parameters; 0 where nothing tells.
    pub parameters: Vec<TypeNumber>,
    /// What of the catalogue it uses.
    used: Vec<&'static CatalogueTable>,
}

/// Reads a statement; with the values of its parameters, or by their types alone.
///
/// # Errors
/// What is wrong with the statement, or with a parameter.
pub fn read(query: &WireQuery, with_values: bool) -> Result<Read> {
    let text = &query.text;
    // What only DataFusion spells so is understood too.
    let parsed = statement::parse(text, &spelling::PostgreSql);
    let mut statement =
        parsed.or_else(|error| statement::parse(text, &GenericDialect {}).map_err(|_| error))?;
    statement::check(&statement).map_err(|_| {
        from_problem(Problem::new(&codes::READ_ONLY, "the statement would do something else than read"))
    })?;
    statement::measure(&statement)?;
    let given: Vec<TypeNumber> = query.parameters.iter().map(|value| value.kind).collect();
    let parameters = parameters::types_of(&statement, &given)?;
    let values = if with_values { Values::Given(&query.parameters) } else { Values::Types(&parameters) };
    names::name(&mut statement);
    parameters::bind(&mut statement, &values)?;
    weight::weigh(&statement, statement::MEANT_MAX)?;
    let used = dialect::rewrite(&mut statement)?;
    weight::weigh(&statement, REWRITTEN * statement::MEANT_MAX)?;
    statement::measure(&statement)?;
    let instead = empty::instead(&statement);
    if with_values && instead.is_some() && !parameters.is_empty() && !parameters.contains(&0) {
        // Values change no rows of it, and should not change what is planned: its columns were told without them.
        return read(query, false);
    }
    Ok(Read { statement, instead, parameters, used })
}

impl Read {
    /// The schemas of the catalogue, with the tables that are used.
    ///
    /// # Errors
    /// Rows that are none of their table: a fault of ours.
    pub fn schemas(&self, contents: &Contents) -> Result<Vec<(&'static str, Arc<dyn SchemaProvider>)>> {
        let mut made = Vec::new();
        for schema in [tables::PG_CATALOG, tables::INFORMATION_SCHEMA] {
            let provider = MemorySchemaProvider::new();
            for table in self.used.iter().filter(|table| table.schema == schema) {
                let rows = if table.empty { Vec::new() } else { contents.rows(schema, table.name) };
                let rows = MemTable::try_new(table.arrow.clone(), vec![vec![table.batch(&rows)?]])?;
                provider.register_table(table.name.to_owned(), Arc::new(rows))?;
            }
            made.push((schema, Arc::new(provider) as Arc<dyn SchemaProvider>));
        }
        Ok(made)
    }

    /// Parameters get the types of what they stand beside; text where that tells nothing.
    ///
    /// # Errors
    /// A value of such a type cannot be written.
    pub async fn infer(&mut self, state: &SessionState) -> Result<()> {
        if !self.parameters.contains(&0) {
            return Ok(());
        }
        let mut statement = self.statement.clone();
        let lists = parameters::singled(&mut statement);
        let plan = state.statement_to_plan(statement).await;
        // Where nothing tells a parameter's type, an expression around it may have none either.
        let told = plan.and_then(|plan| plan.get_parameter_types()).unwrap_or_default();
        for (number, kind) in (1_usize..).zip(&mut self.parameters) {
            if *kind == 0 {
                let told = told.get(&format!("${number}")).cloned().flatten();
                let item = told.map_or(types::TEXT, |told| types::of_kind(&told));
                *kind = match types::by_number(item) {
                    Some(item) if lists.contains(&number) => item.array,
                    _ => item,
                };
            }
        }
        parameters::bind(&mut self.statement, &Values::Types(&self.parameters))
    }
}

/// Precision and scale of the decimal that holds a number as it is written; none where it is none, or has too many digits.
pub(crate) fn holding(number: &str) -> Option<(u8, i8)> {
    numeric::holding(std::iter::once(number))
}

/// A `RowDescription` of columns.
pub fn described(schema: &SchemaRef) -> Bytes {
    let columns: Vec<(&str, TypeNumber)> =
        schema.fields().iter().map(|field| (field.name().as_str(), types::of_field(field))).collect();
    let mut message = Vec::new();
    rows::describe(&columns, &[], &mut message);
    message.into()
}

/// The functions that only these clients have: those that answer from the catalogue, and those that their dialect is said in.
pub fn functions(contents: &Arc<Contents>) -> Vec<Arc<ScalarUDF>> {
    let computing = numeric::all().into_iter().chain([times::at_zone()]);
    functions::all(contents).into_iter().chain(computing).collect()
}
