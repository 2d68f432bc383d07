//! `sys.*`: tables that engines declared, and what the historian says of itself. A table with a column of paths is cut to
//! the reader's scope row by row; the others exist only for those who may read tables. What is not here: who declares
//! what.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use tidemill_core::{ColumnKind, ColumnSpec, ReadScope, SignalPath, TableSpec, Value, ValueRef, column};
use tidemill_ground::Reading;

use super::columns::{SAMPLE_COLUMNS, SAMPLES, UTC, time_type};
use super::engine::{Declared, Inner};
use super::errors::from_store;
use super::functions::Function;
use super::push::{self, Times};
use super::read_function::READ_IS;
use super::relation::{BatchIterator, Open, Partitions, Relation, Request};
use super::session::SYSTEM;
use super::signals;
use tidemill_formats::sql_type;
use tidemill_lake::{FileFact, View};

/// What `samples` is.
pub(crate) const SAMPLES_ARE: &str = "Every sample of every signal, with its value, quality and time";
/// What `signals` is.
pub(crate) const SIGNALS_ARE: &str = "Every signal with what is known about it, and its last value";

/// How many rows a batch of facts has.
const FACT_ROWS: usize = 8_192;

/// What tables there are.
pub(crate) static TABLES: TableSpec = TableSpec {
    name: "tables",
    description: "The tables that you may read, and what they are",
    stream: None,
    columns: &[
        column("name", ColumnKind::Text, "The table's name in SQL"),
        column("description", ColumnKind::Text, "What it is"),
    ],
    path_columns: &[],
};

/// What columns they have.
pub(crate) static COLUMNS: TableSpec = TableSpec {
    name: "columns",
    description: "The columns of the tables that you may read, and what they hold",
    stream: None,
    columns: &[
        column("table_name", ColumnKind::Text, "The table's name in SQL"),
        column("column_name", ColumnKind::Text, "The column's name"),
        column("type", ColumnKind::Text, "Its type in SQL"),
        column("description", ColumnKind::Text, "What it holds"),
    ],
    path_columns: &[],
};

/// The files of history.
pub(crate) static FILES: TableSpec = TableSpec {
    name: "files",
    description: "The history files that a query reads now; the newest samples are in memory",
    stream: None,
    columns: &[
        column("name", ColumnKind::Text, "The file's name in the folder of samples"),
        column("bytes", ColumnKind::Int, "Its size"),
        column("rows", ColumnKind::Int, "How many samples it holds"),
        column("first_time", ColumnKind::Time, "The time of its first sample"),
        column("last_time", ColumnKind::Time, "The time of its last sample"),
        column("level", ColumnKind::Text, "flush, day or window: how often it was merged"),
    ],
    path_columns: &[],
};

/// The limits of the house.
pub(crate) static LIMITS: TableSpec = TableSpec {
    name: "limits",
    description: "The named limits: what may be held at once, what is held, and how often more was refused",
    stream: None,
    columns: &[
        column("name", ColumnKind::Text, "The limit's name"),
        column("max", ColumnKind::Float, "What may be held at once"),
        column("used", ColumnKind::Float, "What is held now"),
        column("high_water", ColumnKind::Float, "The most that was ever held"),
        column("refused", ColumnKind::Float, "How often more was asked for"),
        column("share", ColumnKind::Float, "How near it is: what is held, as a share of what may be"),
        column("key", ColumnKind::Text, "The key of tidemill.toml that raises it; NULL where it is fixed"),
        column("description", ColumnKind::Text, "What it bounds, and what happens beyond"),
    ],
    path_columns: &[],
};

/// Questions that run, and slow ones.
pub(crate) static QUERIES: TableSpec = TableSpec {
    name: "queries",
    description: "The queries that run now, and the last hundred that took longer than limits.slow_query",
    stream: None,
    columns: &[
        column("number", ColumnKind::Int, "Its number since the start of the plant"),
        column(
            "state",
            ColumnKind::Text,
            "waiting, running, idle: nobody takes the answer, or slow: ended after longer than limits.slow_query",
        ),
        column("who", ColumnKind::Text, "Who asked"),
        column("door", ColumnKind::Text, "By which door"),
        column(
            "kind",
            ColumnKind::Text,
            "sql or wire, read or export for samples, shape for the columns of a query alone",
        ),
        column("query", ColumnKind::Text, "What was asked, its first 1,000 bytes; parameters are not kept"),
        column("began", ColumnKind::Time, "When it was asked"),
        column(
            "seconds",
            ColumnKind::Float,
            "How long it took, without the time in which nobody took the answer",
        ),
        column("rows", ColumnKind::Int, "Rows so far"),
        column("bytes", ColumnKind::Int, "Bytes of the answer so far"),
        column("memory_bytes", ColumnKind::Int, "The most memory that it held"),
        column("outcome", ColumnKind::Text, "done, cancelled, or the code of what ended it"),
    ],
    path_columns: &[],
};

/// What can be called.
pub(crate) static FUNCTIONS: TableSpec = TableSpec {
    name: "functions",
    description: "The functions that Tidemill adds to SQL",
    stream: None,
    columns: &[
        column("call", ColumnKind::Text, "How it is called"),
        column("description", ColumnKind::Text, "What it gives"),
    ],
    path_columns: &[],
};

/// The historian's own tables that everyone may read, and those for who may read tables.
pub(crate) static OWN: [&TableSpec; 6] = [&TABLES, &COLUMNS, &FUNCTIONS, &FILES, &LIMITS, &QUERIES];
const FOR_ALL: usize = 3;

/// The Arrow type of a declared column.
pub(crate) fn arrow_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Time => time_type(),
        ColumnKind::Float => DataType::Float64,
        ColumnKind::Int => DataType::Int64,
        ColumnKind::Bool => DataType::Boolean,
        ColumnKind::Text => DataType::Utf8,
    }
}

/// The schema of declared columns; everything may be NULL.
pub(crate) fn schema(columns: &[ColumnSpec]) -> SchemaRef {
    let fields: Vec<Field> =
        columns.iter().map(|column| Field::new(column.name, arrow_type(column.kind), true)).collect();
    Arc::new(Schema::new(fields))
}

/// A column of values; what is not of the kind is NULL.
pub(crate) fn array<'a>(kind: ColumnKind, values: impl Iterator<Item = &'a Value>) -> ArrayRef {
    let whole = |value: &Value| match value.as_ref() {
        ValueRef::Int(number) => Some(number),
        ValueRef::UInt(number) => i64::try_from(number).ok(),
        ValueRef::Bool(truth) => Some(i64::from(truth)),
        _ => None,
    };
    match kind {
        ColumnKind::Time => {
            Arc::new(values.map(whole).collect::<TimestampNanosecondArray>().with_timezone(UTC))
        }
        ColumnKind::Int => Arc::new(values.map(whole).collect::<Int64Array>()),
        ColumnKind::Float => Arc::new(values.map(|value| value.as_ref().as_f64()).collect::<Float64Array>()),
        ColumnKind::Bool => Arc::new(
            values
                .map(|value| match value {
                    Value::Bool(truth) => Some(*truth),
                    _ => None,
                })
                .collect::<BooleanArray>(),
        ),
        ColumnKind::Text => Arc::new(
            values
                .map(|value| match value {
                    Value::None => None,
                    value => Some(value.to_string()),
                })
                .collect::<StringArray>(),
        ),
    }
}

/// Rows in the order of the columns, as one batch.
pub(crate) fn batch(columns: &[ColumnSpec], rows: &[Vec<Value>]) -> Result<RecordBatch> {
    let none = Value::None;
    let arrays = columns
        .iter()
        .enumerate()
        .map(|(number, column)| array(column.kind, rows.iter().map(|row| row.get(number).unwrap_or(&none))))
        .collect();
    Ok(RecordBatch::try_new(schema(columns), arrays)?)
}

type Rows = Arc<dyn Fn() -> Vec<Vec<Value>> + Send + Sync>;

enum Content {
    Facts(Rows),
    Records(Arc<dyn View>),
}

/// A table of the system.
pub(crate) struct System {
    spec: &'static TableSpec,
    content: Arc<Content>,
    scope: ReadScope,
}

impl System {
    /// The column that it is sorted and cut by.
    fn time(&self) -> Option<&'static str> {
        self.spec.columns.iter().find(|column| column.kind == ColumnKind::Time).map(|column| column.name)
    }
}

impl Relation for System {
    fn schema(&self) -> SchemaRef {
        schema(self.spec.columns)
    }

    fn described(&self) -> (&'static str, Vec<&'static str>) {
        (self.spec.description, self.spec.columns.iter().map(|column| column.description).collect())
    }

    fn takes(&self, filter: &Expr) -> TableProviderFilterPushDown {
        match self.time().and_then(|time| push::times(filter, time)) {
            // Whole files are left out by it; the filter stays for the rest.
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        }
    }

    fn scan(&self, request: Request<'_>) -> Result<Partitions> {
        let times = request.filters.iter().filter_map(|filter| push::times(filter, self.time()?));
        let times = times.fold(Times::ALL, Times::and);
        let (spec, content, scope) = (self.spec, self.content.clone(), self.scope.clone());
        let wanted = request.wanted;
        let open: Open = Box::new(move || {
            let batches = match content.as_ref() {
                Content::Facts(rows) => facts(spec, rows()),
                Content::Records(view) => {
                    let scan = view.scan_table(spec, times.from, times.last);
                    Box::new(scan.map(|batch| batch.map_err(from_store))) as BatchIterator
                }
            };
            let (scope, wanted) = (scope.clone(), wanted.clone());
            Ok(Box::new(batches.map(move |batch| {
                let batch = conform(spec, &batch?)?;
                Ok(cut(spec, &scope, batch)?.project(&wanted)?)
            })) as BatchIterator)
        });
        Ok(Partitions { open: vec![open], ordering: None })
    }
}

fn facts(spec: &'static TableSpec, rows: Vec<Vec<Value>>) -> BatchIterator {
    let chunks: Vec<Vec<Vec<Value>>> = rows.chunks(FACT_ROWS).map(<[_]>::to_vec).collect();
    Box::new(chunks.into_iter().map(move |rows| batch(spec.columns, &rows)))
}

/// The columns of the spec, whatever a file of an older version has.
fn conform(spec: &TableSpec, batch: &RecordBatch) -> Result<RecordBatch> {
    let wanted = schema(spec.columns);
    if batch.schema() == wanted {
        return Ok(batch.clone());
    }
    let columns = wanted
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) => cast(column, field.data_type()),
            None => Ok(arrow::array::new_null_array(field.data_type(), batch.num_rows())),
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(wanted, columns)?)
}

/// Leaves the rows whose paths may be read.
fn cut(spec: &TableSpec, scope: &ReadScope, mut batch: RecordBatch) -> Result<RecordBatch> {
    if scope.is_everything() {
        return Ok(batch);
    }
    let may = |path: Option<&str>| {
        path.is_some_and(|path| SignalPath::new(path).is_ok_and(|path| scope.allows(&path)))
    };
    for name in spec.path_columns {
        let paths = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        let Some(paths) = paths else { return Ok(batch.slice(0, 0)) };
        let seen: BooleanArray = paths.iter().map(|path| Some(may(path))).collect();
        batch = filter_record_batch(&batch, &seen)?;
    }
    Ok(batch)
}

impl Inner {
    /// The tables under `sys.` that the scope may see, and those that it may not.
    fn parted(&self, scope: &ReadScope) -> (Vec<Declared>, Vec<Declared>) {
        let declared = self.declared.read().unwrap_or_else(PoisonError::into_inner).clone();
        let own = [&FILES, &LIMITS, &QUERIES].map(|spec| Declared { spec, facts: None });
        let may = |table: &Declared| !table.spec.path_columns.is_empty() || scope.allows_tables();
        declared.into_iter().chain(own).partition(may)
    }

    /// The names of the tables that the scope may not see.
    pub(crate) fn closed(&self, scope: &ReadScope) -> Vec<String> {
        self.parted(scope).1.iter().map(|table| format!("{SYSTEM}.{}", table.spec.name)).collect()
    }

    /// The tables under `sys.` that the scope may see, by name.
    pub(crate) fn system(&self, scope: &ReadScope, view: &Arc<dyn View>) -> Vec<(String, Arc<dyn Relation>)> {
        let (seen, _) = self.parted(scope);
        let specs: Vec<&'static TableSpec> =
            OWN.into_iter().take(FOR_ALL).chain(seen.iter().map(|table| table.spec)).collect();
        let mut tables = vec![
            (&TABLES, Content::Facts(list_tables(specs.clone()))),
            (&COLUMNS, Content::Facts(list_columns(specs))),
            (&FUNCTIONS, Content::Facts(Arc::new(list_functions))),
        ];
        for table in seen {
            let content = match (table.spec.name, table.facts) {
                ("files", None) => Content::Facts(list_files(view.clone())),
                ("limits", None) => Content::Facts(self.list_limits()),
                ("queries", None) => Content::Facts(self.list_queries()),
                (_, Some(facts)) => Content::Facts(Arc::new(move || facts.rows())),
                (_, None) => Content::Records(view.clone()),
            };
            tables.push((table.spec, content));
        }
        let relation = |spec, content| -> Arc<dyn Relation> {
            Arc::new(System { spec, content: Arc::new(content), scope: scope.clone() })
        };
        tables.into_iter().map(|(spec, content)| (spec.name.to_owned(), relation(spec, content))).collect()
    }
}

impl Inner {
    fn list_limits(&self) -> Rows {
        let metrics = self.settings.metrics.clone();
        Arc::new(move || limits(&metrics.snapshot()))
    }

    fn list_queries(&self) -> Rows {
        let ledger = self.admission.ledger.clone();
        Arc::new(move || ledger.rows())
    }
}

/// The series of limits, a row for each limit.
fn limits(readings: &[Reading]) -> Vec<Vec<Value>> {
    const PARTS: [&str; 4] = ["max", "used", "high_water", "refused"];
    let mut rows: BTreeMap<String, [Option<f64>; 4]> = BTreeMap::new();
    for reading in readings {
        let part = reading.name.strip_prefix("tidemill_limit_");
        let Some(place) = PARTS.iter().position(|name| part.is_some_and(|part| part.starts_with(name)))
        else {
            continue;
        };
        let Some((_, limit)) = reading.labels.iter().find(|(label, _)| *label == "limit") else { continue };
        if let Some(slot) = rows.entry(limit.clone()).or_default().get_mut(place) {
            *slot = Some(reading.value);
        }
    }
    rows.into_iter()
        .map(|(name, parts)| {
            let [max, used, ..] = parts;
            let share = used.zip(max.filter(|max| *max > 0.0)).map(|(used, max)| used / max);
            let known = tidemill_ground::LIMITS.iter().find(|known| known.name == name);
            let words = |words: &str| if words.is_empty() { Value::None } else { text(words) };
            let numbers = parts.into_iter().chain([share]).map(|part| part.map_or(Value::None, Value::Float));
            let told =
                [words(known.map_or("", |known| known.key)), words(known.map_or("", |known| known.bounds))];
            std::iter::once(text(&name)).chain(numbers).chain(told).collect()
        })
        .collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn integer(number: u64) -> Value {
    Value::UInt(number)
}

fn list_files(view: Arc<dyn View>) -> Rows {
    Arc::new(move || {
        let row = |file: FileFact| {
            vec![
                text(&file.name),
                integer(file.bytes),
                integer(file.rows),
                Value::Int(file.from),
                Value::Int(file.last),
                text(file.level),
            ]
        };
        view.files().into_iter().map(row).collect()
    })
}

fn list_tables(specs: Vec<&'static TableSpec>) -> Rows {
    Arc::new(move || {
        let own = [("samples", SAMPLES_ARE), ("signals", SIGNALS_ARE)];
        let own = own.into_iter().map(|(name, what)| vec![text(name), text(what)]);
        let system =
            specs.iter().map(|spec| vec![text(&format!("sys.{}", spec.name)), text(spec.description)]);
        own.chain(system).collect()
    })
}

fn list_functions() -> Vec<Vec<Value>> {
    let own = Function::ALL.map(Function::description).into_iter();
    own.chain([READ_IS]).map(|(call, gives)| vec![text(call), text(gives)]).collect()
}

fn list_columns(specs: Vec<&'static TableSpec>) -> Rows {
    Arc::new(move || {
        let row = |table: &str, name: &str, kind: &DataType, what: &str| {
            vec![text(table), text(name), text(&sql_type(kind)), text(what)]
        };
        let samples = SAMPLE_COLUMNS
            .iter()
            .zip(SAMPLES.fields())
            .map(|(column, field)| row("samples", column.name, field.data_type(), column.description));
        let signals = signals::COLUMNS
            .iter()
            .map(|column| row("signals", column.name, &arrow_type(column.kind), column.description));
        let system = specs.iter().flat_map(|spec| {
            let table = format!("sys.{}", spec.name);
            spec.columns
                .iter()
                .map(move |column| row(&table, column.name, &arrow_type(column.kind), column.description))
        });
        samples.chain(signals).chain(system).collect()
    })
}
