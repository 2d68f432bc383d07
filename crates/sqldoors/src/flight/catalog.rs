//! What there is, as Flight SQL asks for it: catalogues, schemas, tables with their columns, keys that nobody has. Read from
//! `information_schema` within the caller's scope, so that it is what a query would find. What is not here: SQL itself.

use futures_util::future::try_join_all;
use serde_json::Value as Json;
use tidemill_core::{Budget, Format, History, Problem, ReadScope, SqlQuery, Value, codes};

use super::info;
use super::ipc::{Message, schema_of};
use super::messages::{Command, Search};
use super::table::{self, Column, INT32, Kind, UINT8, Values, column, nullable};
use crate::Error;

/// How many columns' heads are asked for at once.
const DESCRIBED_AT_ONCE: usize = 4;
/// The answer of `information_schema` is small: tables of engines, some dozens.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// The kinds of tables: those of samples and signals, and all others, which tell of the system.
const TYPES: [&str; 2] = ["SYSTEM TABLE", "TABLE"];

/// Tables, their types as Flight SQL has them, sorted as it asks. NULL parameters leave their condition out.
const TABLES: &str = r"
SELECT catalog, schema, name, type FROM (
    SELECT table_catalog AS catalog, table_schema AS schema, table_name AS name,
        CASE WHEN table_schema = 'public' THEN 'TABLE' ELSE 'SYSTEM TABLE' END AS type
    FROM information_schema.tables
)
WHERE ($1 IS NULL OR catalog = $1) AND ($2 IS NULL OR schema LIKE $2) AND ($3 IS NULL OR name LIKE $3)
ORDER BY catalog, schema, name";

const SCHEMAS: &str = r"
SELECT DISTINCT catalog_name AS catalog, schema_name AS schema FROM information_schema.schemata
WHERE ($1 IS NULL OR catalog_name = $1) AND ($2 IS NULL OR schema_name LIKE $2)
ORDER BY 1, 2";

const CATALOGS: &str = "SELECT DISTINCT catalog_name FROM information_schema.schemata ORDER BY 1";

/// Who asks, and what it may cost.
pub(super) struct Catalog<'a> {
    pub(super) history: &'a dyn History,
    pub(super) scope: &'a ReadScope,
    pub(super) budget: Budget,
    pub(super) version: &'a str,
}

/// The columns of the answer to a question about the catalogue; none where it is another question.
pub(super) fn columns(command: &Command) -> Option<Vec<Column>> {
    let text = |name| column(name, Kind::Text);
    let may = |name| nullable(name, Kind::Text);
    Some(match command {
        Command::Catalogs => vec![text("catalog_name")],
        Command::Schemas(_) => vec![may("catalog_name"), text("db_schema_name")],
        Command::Tables(search) => {
            let mut columns =
                vec![may("catalog_name"), may("db_schema_name"), text("table_name"), text("table_type")];
            columns.extend(search.include_schema.then(|| column("table_schema", Kind::Binary)));
            columns
        }
        Command::TableTypes => vec![text("table_type")],
        Command::PrimaryKeys => vec![
            may("catalog_name"),
            may("db_schema_name"),
            text("table_name"),
            text("column_name"),
            may("key_name"),
            column("key_sequence", INT32),
        ],
        Command::ForeignKeys => vec![
            may("pk_catalog_name"),
            may("pk_db_schema_name"),
            text("pk_table_name"),
            text("pk_column_name"),
            may("fk_catalog_name"),
            may("fk_db_schema_name"),
            text("fk_table_name"),
            text("fk_column_name"),
            column("key_sequence", INT32),
            may("fk_key_name"),
            may("pk_key_name"),
            column("update_rule", UINT8),
            column("delete_rule", UINT8),
        ],
        Command::SqlInfo(_) => info::columns(),
        Command::TypeInfo(_) => info::type_columns(),
        _ => return None,
    })
}

impl Catalog<'_> {
    /// The answer, as messages of Arrow.
    pub(super) async fn answer(&self, command: &Command) -> Result<Vec<Message>, Error> {
        let columns = columns(command).unwrap_or_default();
        let values = match command {
            Command::Catalogs => texts(&self.rows(CATALOGS, Vec::new()).await?, 1),
            Command::Schemas(search) => {
                texts(&self.rows(SCHEMAS, vec![value(&search.catalog), value(&search.schema)]).await?, 2)
            }
            Command::Tables(search) => self.tables(search).await?,
            Command::TableTypes => vec![Values::texts(&TYPES.map(Some))],
            Command::SqlInfo(wanted) => info::values(wanted, self.version),
            Command::TypeInfo(wanted) => info::type_values(*wanted),
            _ => columns.iter().map(|column| Values::none(&column.kind)).collect(),
        };
        Ok(table::table(&columns, &values))
    }

    async fn tables(&self, search: &Search) -> Result<Vec<Values>, Error> {
        let parameters = vec![value(&search.catalog), value(&search.schema), value(&search.table)];
        let mut rows = self.rows(TABLES, parameters).await?;
        let wanted = |row: &Vec<Option<String>>| {
            let kind = row.get(3).and_then(Option::as_deref).unwrap_or_default();
            search.types.is_empty() || search.types.iter().any(|wanted| wanted == kind)
        };
        rows.retain(wanted);
        let mut values = texts(&rows, 4);
        if search.include_schema {
            let mut schemas: Vec<Option<Vec<u8>>> = Vec::with_capacity(rows.len());
            for some in rows.chunks(DESCRIBED_AT_ONCE) {
                schemas.extend(try_join_all(some.iter().map(|row| self.columns_of(row))).await?);
            }
            values.push(Values::texts(&schemas));
        }
        Ok(values)
    }

    /// The columns of a table, as a message of Arrow.
    async fn columns_of(&self, row: &[Option<String>]) -> Result<Option<Vec<u8>>, Error> {
        let name = |part: &Option<String>| {
            format!("\"{}\"", part.as_deref().unwrap_or_default().replace('"', "\"\""))
        };
        let name: Vec<String> = row.iter().take(3).map(name).collect();
        let query = SqlQuery { text: format!("SELECT * FROM {}", name.join(".")), parameters: Vec::new() };
        let shape = self.history.sql_shape(self.scope, query, self.budget).await?;
        let schema = schema_of(&shape.columns).ok_or_else(not_arrow)?;
        Ok(Some(schema.encapsulated()))
    }

    /// The rows of a small answer, as texts.
    async fn rows(&self, text: &str, parameters: Vec<Value>) -> Result<Vec<Vec<Option<String>>>, Error> {
        let query = SqlQuery { text: text.to_owned(), parameters };
        let mut chunks = self.history.sql(self.scope, query, Format::Json, self.budget).await?;
        let mut json = Vec::new();
        while let Some(chunk) = chunks.next().await {
            json.extend_from_slice(&chunk?);
            if json.len() > ANSWER_BYTES_MAX {
                let detail = "the list of tables is longer than this door reads";
                return Err(Problem::new(&codes::QUERY_ROWS, detail).into());
            }
        }
        let answer: Json = serde_json::from_slice(&json).map_err(|_| not_arrow())?;
        let cell = |cell: &Json| cell.as_str().map(str::to_owned);
        let row = |row: &Json| row.as_array().into_iter().flatten().map(cell).collect();
        Ok(answer.get("rows").and_then(Json::as_array).into_iter().flatten().map(row).collect())
    }
}

/// An answer of the history that is not what it should be.
pub(super) fn not_arrow() -> Error {
    Problem::new(&codes::INTERNAL, "the answer has no form that this door knows").into()
}

fn value(text: &Option<String>) -> Value {
    text.as_deref().map_or(Value::None, |text| Value::Text(text.into()))
}

/// The columns of rows of texts.
fn texts(rows: &[Vec<Option<String>>], columns: usize) -> Vec<Values> {
    let cell = |row: &Vec<Option<String>>, place: usize| row.get(place).cloned().flatten();
    let column = |place| Values::texts(&rows.iter().map(|row| cell(row, place)).collect::<Vec<_>>());
    (0..columns).map(column).collect()
}
