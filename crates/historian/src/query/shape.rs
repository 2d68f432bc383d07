//! What a query takes and gives, told without running it: planned as it would be, and spelled as Arrow without rows. What is
//! not here: planning itself.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use datafusion::common::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement;
use tidemill_core::{Bus, Format, Problem, ReadScope, SqlQuery, SqlShape, Value};
use tidemill_dialect::postgres::singled;
use tidemill_dialect::statement;

use super::errors::internal;
use super::formats::of_table;
use super::meter::Meter;
use super::planning;

/// The columns of a query and its open parameters.
pub(crate) struct Shape {
    columns: SchemaRef,
    parameters: SchemaRef,
}

impl Shape {
    /// Plans the query. Blocking, for as long as the query may go on.
    pub(crate) async fn of(
        state: &SessionState,
        query: &SqlQuery,
        meter: &Arc<Meter>,
        names: (&dyn Bus, &ReadScope),
    ) -> Result<Shape> {
        if !query.parameters.is_empty() {
            let statement = statement::read(&query.text, &query.parameters)?;
            let columns = planned(state, statement, meter, names).await?;
            return Ok(Shape { columns, parameters: Arc::new(Schema::empty()) });
        }
        let (mut statement, count) = statement::open(&query.text)?;
        if count == 0 {
            // As it will be run, so that the answer has the very same columns.
            let columns = planned(state, statement, meter, names).await?;
            return Ok(Shape { columns, parameters: Arc::new(Schema::empty()) });
        }
        let lists = singled(&mut statement);
        let (columns, parameters) = match planning::read(state, statement, meter).await {
            Ok(plan) => (Arc::clone(plan.schema().inner()), parameters(&plan, count, &lists)?),
            // Where nothing tells a parameter's type, an expression around it may have none either.
            Err(error) => {
                let none = vec![Value::None; count];
                let statement = statement::read(&query.text, &none)?;
                let columns = planned(state, statement, meter, names).await.map_err(|_| error)?;
                (columns, vec![DataType::Utf8; count])
            }
        };
        let field = |(index, kind)| Field::new(format!("${}", index + 1), kind, true);
        let parameters = parameters.into_iter().enumerate().map(field).collect::<Vec<_>>();
        Ok(Shape { columns, parameters: Arc::new(Schema::new(parameters)) })
    }

    /// As others read it.
    pub(crate) fn spelled(&self) -> Result<SqlShape, Problem> {
        let spell = |schema: &SchemaRef| -> Result<Bytes, Problem> {
            let mut encoder = of_table(Format::Arrow);
            encoder.begin(schema).map_err(|error| internal(&error.to_string()))?;
            Ok(Bytes::from(std::mem::take(encoder.written())))
        };
        Ok(SqlShape { columns: spell(&self.columns)?, parameters: spell(&self.parameters)? })
    }
}

async fn planned(
    state: &SessionState,
    statement: Statement,
    meter: &Arc<Meter>,
    names: (&dyn Bus, &ReadScope),
) -> Result<SchemaRef> {
    Ok(planning::plan(state, statement, meter, names).await?.columns)
}

/// The types of `$1`, `$2`, … as far as what they stand beside tells; text takes any other. Those numbers are of lists.
fn parameters(plan: &LogicalPlan, count: usize, lists: &[usize]) -> Result<Vec<DataType>> {
    let told = plan.get_parameter_types()?;
    let kind = |number: usize| {
        let kind = match told.get(&format!("${number}")) {
            Some(Some(kind)) if *kind != DataType::Null => kind.clone(),
            _ => DataType::Utf8,
        };
        if lists.contains(&number) { DataType::new_list(kind, true) } else { kind }
    };
    Ok((1..=count).map(kind).collect())
}
