//! The table `signals`: names, metadata and last values, from the registry. No sample is scanned for it, so the last
//! value of every signal costs a look into memory. What is not here: last values before some time ([`super::modes`]).

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use hashbrown::HashMap;
use tidemill_core::{
    Bus, ColumnKind, ColumnSpec, LastValue, NumberKind, ReadScope, Signal, SignalId, Value, ValueRef, column,
};

use super::push;
use super::relation::{BatchIterator, Open, Partitions, Relation, Request};
use super::samples::ordering;
use super::system::{array, arrow_type};
use tidemill_formats::json_string;

/// How many signals a batch has.
const BATCH_SIGNALS: usize = 8_192;
/// The columns that need the last value.
const LAST: [&str; 7] =
    ["kind", "source", "last_time", "last_value", "last_quality", "last_integer", "last_text"];

/// The columns, in order.
pub(crate) static COLUMNS: [ColumnSpec; 19] = [
    column("signal", ColumnKind::Text, "The signal's path"),
    column("unit", ColumnKind::Text, "The unit as shown, such as °C"),
    column("description", ColumnKind::Text, "A sentence for people"),
    column(
        "kind",
        ColumnKind::Text,
        "What its last value is: none, float, integer, unsigned, boolean, text, json or bytes",
    ),
    column("source", ColumnKind::Text, "Who wrote last, by name"),
    column("tags", ColumnKind::Text, "Further facts by name, as a JSON object"),
    column("last_time", ColumnKind::Time, "The time of the last sample"),
    column("last_value", ColumnKind::Float, "The last value as a number"),
    column(
        "last_quality",
        ColumnKind::Int,
        "The OPC UA status code of the last value; Uncertain_LastUsableValue when it is older than stale_after",
    ),
    column("last_integer", ColumnKind::Int, "The last value where it is an integer, with all its digits"),
    column(
        "last_text",
        ColumnKind::Text,
        "The last value where it is text or JSON; bytes as 0x…; the digits of an unsigned integer beyond BIGINT",
    ),
    column("unit_ucum", ColumnKind::Text, "The unit as a UCUM code, such as Cel"),
    column("number", ColumnKind::Text, "What a bare number written to it becomes: float or integer"),
    column("stepped", ColumnKind::Bool, "Whether a value holds until the next; NULL: by kind"),
    column("owner", ColumnKind::Text, "Who alone may write it"),
    column(
        "stale_after",
        ColumnKind::Float,
        "After how many seconds without a sample the last value is stale; NULL for never",
    ),
    column("aliases", ColumnKind::Text, "Its other names that you may read, as a JSON array"),
    column("creator", ColumnKind::Text, "Who wrote it first"),
    column("created", ColumnKind::Time, "When it was first seen"),
];

fn schema() -> SchemaRef {
    let field = |(number, column): (usize, &ColumnSpec)| match number {
        // The same type as in `samples`, so that joins need no conversion.
        0 => Field::new(column.name, DataType::Utf8View, false),
        _ => Field::new(column.name, arrow_type(column.kind), true),
    };
    Arc::new(Schema::new(COLUMNS.iter().enumerate().map(field).collect::<Vec<_>>()))
}

/// The table.
pub(crate) struct Signals {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) scope: ReadScope,
}

impl Relation for Signals {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn path_column(&self) -> Option<&'static str> {
        Some("signal")
    }

    fn described(&self) -> (&'static str, Vec<&'static str>) {
        (super::system::SIGNALS_ARE, COLUMNS.iter().map(|column| column.description).collect())
    }

    fn takes(&self, filter: &Expr) -> TableProviderFilterPushDown {
        match push::is_about_signal(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        }
    }

    fn scan(&self, request: Request<'_>) -> Result<Partitions> {
        let (names, _) = push::select(request.session, self.bus.as_ref(), &self.scope, request.filters)?;
        let ordering = ordering(&[("signal", request.wanted.iter().position(|column| *column == 0))]);
        let (bus, scope) = (self.bus.clone(), self.scope.clone());
        let (names, wanted) = (Arc::new(names), request.wanted);
        let open: Open = Box::new(move || {
            let (bus, scope, wanted, names) = (bus.clone(), scope.clone(), wanted.clone(), names.clone());
            let starts = (0..names.len()).step_by(BATCH_SIGNALS);
            Ok(Box::new(starts.map(move |start| {
                let signals: Vec<&Arc<Signal>> =
                    names.signals().iter().skip(start).take(BATCH_SIGNALS).collect();
                batch(bus.as_ref(), &scope, &signals, &wanted)
            })) as BatchIterator)
        });
        Ok(Partitions { open: vec![open], ordering })
    }
}

fn batch(
    bus: &dyn Bus,
    scope: &ReadScope,
    signals: &[&Arc<Signal>],
    wanted: &[usize],
) -> Result<RecordBatch> {
    let names: Vec<&'static str> =
        wanted.iter().filter_map(|number| COLUMNS.get(*number)).map(|column| column.name).collect();
    let last = match names.iter().any(|name| LAST.contains(name)) {
        true => last_values(bus, scope, signals),
        false => HashMap::new(),
    };
    let schema = Arc::new(schema().project(wanted)?);
    let columns = names
        .iter()
        .zip(wanted.iter().filter_map(|number| COLUMNS.get(*number)))
        .zip(schema.fields())
        .map(|((name, column), field)| {
            let values: Vec<Value> =
                signals.iter().map(|signal| value(bus, scope, name, signal, last.get(&signal.id))).collect();
            arrow::compute::cast(&array(column.kind, values.iter()), field.data_type())
        })
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(signals.len()));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

fn last_values(bus: &dyn Bus, scope: &ReadScope, signals: &[&Arc<Signal>]) -> HashMap<SignalId, LastValue> {
    let ids: Vec<SignalId> = signals.iter().map(|signal| signal.id).collect();
    let mut last = Vec::with_capacity(ids.len());
    bus.last(scope, &ids, &mut last);
    last.into_iter().map(|value| (value.id, value)).collect()
}

fn value(bus: &dyn Bus, scope: &ReadScope, column: &str, signal: &Signal, last: Option<&LastValue>) -> Value {
    let text = |text: &Arc<str>| if text.is_empty() { Value::None } else { Value::Text(text.clone()) };
    let meta = &signal.meta;
    match column {
        "signal" => Value::Text(signal.path.shared().clone()),
        "unit" => text(&meta.unit),
        "description" => text(&meta.description),
        "tags" => tags(signal),
        name if LAST.contains(&name) => last.map_or(Value::None, |last| of_last(bus, column, last)),
        "unit_ucum" => text(&meta.unit_ucum),
        "number" => Value::Text(match meta.number {
            NumberKind::Float => "float".into(),
            NumberKind::Integer => "integer".into(),
        }),
        "stepped" => meta.stepped.map_or(Value::None, Value::Bool),
        "owner" => text(&meta.owner),
        #[expect(clippy::cast_precision_loss, reason = "seconds with a fraction are meant")]
        "stale_after" if meta.stale_after_ns > 0 => Value::Float(meta.stale_after_ns as f64 / 1e9),
        "aliases" => aliases(scope, signal),
        "creator" => text(&signal.creator),
        "created" => Value::Int(signal.created),
        _ => Value::None,
    }
}

fn of_last(bus: &dyn Bus, column: &str, last: &LastValue) -> Value {
    let value = last.value.as_ref();
    match column {
        "kind" => Value::Text(value.kind().name().into()),
        "source" => {
            Some(bus.source(last.source)).filter(|name| !name.is_empty()).map_or(Value::None, Value::Text)
        }
        "last_time" => Value::Int(last.time),
        "last_value" => value.as_f64().map_or(Value::None, Value::Float),
        "last_integer" => match value {
            ValueRef::Int(_) | ValueRef::UInt(_) => last.value.clone(),
            _ => Value::None,
        },
        "last_text" => match value {
            ValueRef::Text(_) | ValueRef::Json(_) | ValueRef::Bytes(_) => last.value.clone(),
            ValueRef::UInt(number) if i64::try_from(number).is_err() => last.value.clone(),
            _ => Value::None,
        },
        _ => Value::Int(i64::from(last.quality.0)),
    }
}

fn tags(signal: &Signal) -> Value {
    if signal.meta.tags.is_empty() {
        return Value::None;
    }
    let mut text = String::from("{");
    for (number, (name, value)) in signal.meta.tags.iter().enumerate() {
        if number > 0 {
            text.push(',');
        }
        json_string(name, &mut text);
        text.push(':');
        json_string(value, &mut text);
    }
    text.push('}');
    Value::Text(text.into())
}

/// The names that the reader may know of: an earlier name may tell of a part of the plant that is none of theirs.
fn aliases(scope: &ReadScope, signal: &Signal) -> Value {
    let known: Vec<_> = signal.aliases.iter().filter(|alias| scope.allows(alias)).collect();
    if known.is_empty() {
        return Value::None;
    }
    let mut text = String::from("[");
    for (number, alias) in known.into_iter().enumerate() {
        if number > 0 {
            text.push(',');
        }
        json_string(alias.as_str(), &mut text);
    }
    text.push(']');
    Value::Text(text.into())
}
