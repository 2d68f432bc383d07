//! `tidemill sql`: SQL over everything the caller may read.

use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use hyper::Method;
use serde_json::{Value as Json, json};
use tidemill_core::{Format, Problem, codes};

use super::read::{self, ReadFormat};
use super::{CommandResult, Global, Outcome};
use crate::client::{Body, query};
use crate::output;

/// Asks in SQL.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tidemill sql \"SELECT signal, avg(value) FROM samples WHERE time > now() - INTERVAL '1 hour' GROUP BY signal\"\n  tidemill sql 'SELECT * FROM signals' --format csv\n  tidemill sql 'SELECT * FROM sys.limits'\nSee docs/reference/sql.md for tables and functions."
)]
pub(crate) struct Sql {
    /// The query; - reads it from standard input
    query: String,
    /// How to print [default: table; by the file's ending with --output]
    #[arg(long, value_enum)]
    format: Option<ReadFormat>,
    /// Write to this file; - is standard output
    #[arg(long, short)]
    output: Option<PathBuf>,
}

impl Sql {
    pub(crate) async fn execute(mut self, global: &Global) -> CommandResult {
        self.output = self.output.filter(|file| read::is_file(file));
        let format = ReadFormat::chosen(self.format, global, self.output.as_ref())?;
        format.fits(self.output.as_ref())?;
        let text = if self.query == "-" {
            std::io::read_to_string(std::io::stdin())
                .map_err(|error| Problem::new(&codes::BAD_SQL, error.to_string()))?
        } else {
            self.query
        };
        let wire = format.wire().unwrap_or(Format::Json);
        let path = format!("/api/v1/sql{}", query(&[("format", wire.name().to_owned())]));
        let body = Body::from(Bytes::from(json!({ "query": text }).to_string()));
        let reply =
            global.client()?.send(Method::POST, &path, &[("content-type", "application/json")], body).await?;
        match (&self.output, format) {
            (Some(file), _) => read::save(reply, file, global.json).await?,
            (None, ReadFormat::Table) => print_table(&reply.json().await?, &[])?,
            (None, _) => read::print(reply).await?,
        }
        Ok(Outcome::Done)
    }
}

/// Prints `{"columns", "rows"}`, but for the columns that are left out.
pub(crate) fn print_table(answer: &Json, left_out: &[&str]) -> Result<(), Problem> {
    let array = |value: Option<&Json>| value.and_then(Json::as_array).cloned().unwrap_or_default();
    let columns: Vec<String> =
        array(answer.get("columns")).iter().map(|column| output::cell(&column["name"])).collect();
    let shown = |column: &String| !left_out.contains(&column.as_str());
    let rows: Vec<Vec<String>> = array(answer.get("rows"))
        .iter()
        .map(|row| {
            array(Some(row))
                .iter()
                .zip(&columns)
                .filter(|(_, column)| shown(column))
                .map(|(cell, _)| output::cell(cell))
                .collect()
        })
        .collect();
    let headers: Vec<&str> = columns.iter().filter(|column| shown(column)).map(String::as_str).collect();
    output::table(&headers, &rows)?;
    output::note(&format!("{} row{}", rows.len(), if rows.len() == 1 { "" } else { "s" }));
    Ok(())
}
