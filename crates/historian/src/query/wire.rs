//! Answers to PostgreSQL's clients: the session that a statement is read in, its shape, and its rows. What is not here:
//! admission, planning and running, which are those of every query.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use datafusion::common::Result;
use datafusion::execution::FunctionRegistry;
use tidemill_core::{Boxed, Budget, Chunks, Problem, ReadScope, WireQuery, WireShape};
use tokio::runtime::Handle;

use tidemill_dialect::postgres::{
    Callable, Contents, Read, Readable, WireRows, analyzer, described, functions, planner, read,
};

use super::engine::{Asked, Engine, Inner, stopped};
use super::errors::internal;
use super::formats::TableEncoder;
use super::functions::Function;
use super::ledger::Question;
use super::pace::Within;
use super::planning::{self, Planned};
use super::read_function::{READ, READ_IS};
use super::relation::Table;
use super::run::{panicked, run};
use super::session::{CATALOG, PUBLIC, SYSTEM};

/// The rows of a wire as those of any format.
struct Wired(WireRows);

impl TableEncoder for Wired {
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), ArrowError> {
        self.0.begin(schema)
    }

    fn rows(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.0.rows(batch)
    }

    fn end(&mut self) -> Result<(), ArrowError> {
        Ok(())
    }

    fn written(&mut self) -> &mut Vec<u8> {
        self.0.written()
    }
}

impl Engine {
    /// See [`tidemill_core::History::wire_shape`].
    pub(crate) fn wire_shape<'a>(
        &'a self,
        scope: &ReadScope,
        query: WireQuery,
        budget: Budget,
    ) -> Boxed<'a, Result<WireShape, Problem>> {
        let (inner, scope, threads) = (self.inner.clone(), scope.clone(), self.threads());
        Box::pin(async move {
            let threads = threads.ok_or_else(stopped)?;
            let admission = inner.admission.asked(Question::sql(&scope, "shape", &query.text));
            let mut answer = run(threads, admission, budget, Within::All, move |sink| async move {
                let view = inner.source.view();
                let mut asked = Asked::of(&inner, &scope, &view, budget, sink.pace())?;
                let (place, handle) = (sink.pace(), Handle::current());
                let work = move || {
                    let _place = place;
                    let shaped = handle.block_on(async { shape(&mut asked, &inner, &query, &scope).await });
                    shaped.map_err(|error| asked.told(&error))
                };
                sink.send(tokio::task::spawn_blocking(work).await.map_err(panicked)??).await;
                Ok(())
            })
            .await?;
            answer.piece().await.unwrap_or_else(|| Err(internal("a statement without a shape")))
        })
    }

    /// See [`tidemill_core::History::wire`].
    pub(crate) fn wire<'a>(
        &'a self,
        scope: &ReadScope,
        query: WireQuery,
        budget: Budget,
    ) -> Boxed<'a, Result<Box<dyn Chunks>, Problem>> {
        let (inner, scope, threads) = (self.inner.clone(), scope.clone(), self.threads());
        Box::pin(async move {
            let threads = threads.ok_or_else(stopped)?;
            let admission = inner.admission.asked(Question::sql(&scope, "wire", &query.text));
            let answer = run(threads, admission, budget, Within::All, move |sink| async move {
                let view = inner.clone().view(budget.time).await?;
                let mut asked = Asked::of(&inner, &scope, &view, budget, sink.pace())?;
                let rows = Box::new(Wired(WireRows::new(query.binary.clone())));
                let (place, handle) = (sink.pace(), Handle::current());
                let work = move || {
                    let _place = place;
                    let planned = handle.block_on(async {
                        let read = prepared(&mut asked, &query, true).await?;
                        planned(read, &asked, &inner, &scope).await
                    });
                    (planned.map_err(|error| asked.told(&error)), asked)
                };
                let (planned, asked) = tokio::task::spawn_blocking(work).await.map_err(panicked)?;
                asked.stream(planned?, rows, budget, &sink).await
            })
            .await?;
            Ok(Box::new(answer) as Box<dyn Chunks>)
        })
    }
}

/// What a statement takes and gives. It is planned as it will be run, so that the answer has the very same columns.
async fn shape(
    asked: &mut Asked,
    inner: &Arc<Inner>,
    query: &WireQuery,
    scope: &ReadScope,
) -> Result<WireShape> {
    let mut read = prepared(asked, query, false).await?;
    read.infer(&asked.state).await?;
    let parameters = read.parameters.clone();
    let plan = planned(read, asked, inner, scope).await?;
    Ok(WireShape { parameters, columns: described(&plan.columns) })
}

async fn planned(read: Read, asked: &Asked, inner: &Arc<Inner>, scope: &ReadScope) -> Result<Planned> {
    let plan = |statement| planning::plan(&asked.state, statement, &asked.meter, (inner.bus.as_ref(), scope));
    match (plan(read.statement).await, read.instead) {
        (Err(_), Some(instead)) => plan(instead).await,
        (planned, _) => planned,
    }
}

/// Reads the statement, and makes the session one of PostgreSQL's: with its catalogue instead of DataFusion's.
async fn prepared(asked: &mut Asked, query: &WireQuery, with_values: bool) -> Result<Read> {
    let read = read(query, with_values)?;
    let Some(catalog) = asked.state.catalog_list().catalog(CATALOG) else { return Ok(read) };
    let mut readable = Vec::new();
    for schema in [PUBLIC, SYSTEM] {
        let Some(provider) = catalog.schema(schema) else { continue };
        let mut names = provider.table_names();
        names.sort();
        for name in names {
            let Some(table) = provider.table(&name).await? else { continue };
            let told = table.downcast_ref::<Table>().map(|table| table.0.described()).unwrap_or_default();
            let (description, descriptions) = (told.0.to_owned(), told.1);
            readable.push(Readable { schema, name, description, columns: table.schema(), descriptions });
        }
    }
    let contents = Arc::new(Contents { readable, callable: callable(), session: query.session.clone() });
    for (name, schema) in read.schemas(&contents)? {
        catalog.register_schema(name, schema)?;
    }
    asked.state.config_mut().options_mut().catalog.information_schema = false;
    for function in functions(&contents) {
        asked.state.register_udf(function)?;
    }
    asked.state.register_expr_planner(planner())?;
    asked.state.add_analyzer_rule(analyzer());
    Ok(read)
}

/// The functions of ours, as the catalogue tells them.
fn callable() -> Vec<Callable> {
    let of = |function: Function| Callable {
        name: function.name(),
        arguments: match function {
            Function::Matches => vec![("signal", "text"), ("pattern", "text")],
            _ => vec![("quality", "bigint")],
        },
        optional: 0,
        gives: if function == Function::QualityName { "text" } else { "boolean" },
        description: function.description().1,
    };
    let read = Callable {
        name: READ,
        arguments: vec![
            ("pattern", "text"),
            ("\"from\"", "timestamp with time zone"),
            ("\"to\"", "timestamp with time zone"),
            ("mode", "text"),
            ("every", "bigint"),
        ],
        optional: 4,
        gives: "SETOF record",
        description: READ_IS.1,
    };
    Function::ALL.into_iter().map(of).chain([read]).collect()
}
