//! The small plant that questions are asked of, and asking it. What is not here: any question.

use std::sync::Arc;

use expect_test::Expect;
use tidemill_core::{ColumnKind, ColumnSpec, Facts, Quality, ReadScope, SignalPath, TableSpec, Value};

use super::fake::*;

/// A small plant: two lines, every kind of value, a late sample, a bad one, two at one time, a renamed signal.
pub(crate) fn plant() -> Arc<Plant> {
    let plant = Arc::new(Plant::default());
    plant.signal_with("acme/press/temperature", |signal| {
        signal.meta.unit = "°C".into();
        signal.meta.unit_ucum = "Cel".into();
        signal.meta.description = "Oil, \"tank\" 3".into();
        signal.meta.stale_after_ns = 1_500_000_000;
        signal.meta.stepped = Some(false);
        signal.meta.tags.insert("host".into(), "edge1".into());
        signal.aliases.push(SignalPath::new("old/temperature").unwrap());
    });
    for (second, value) in [(0, 20.0), (1, 20.5), (2, 21.25), (60, 19.0)] {
        plant.put("acme/press/temperature", T0 + second * SECOND, Value::Float(value));
    }
    let bad = Quality::BAD_NO_COMMUNICATION;
    plant.put_with("acme/press/temperature", T0 + 3 * SECOND, Value::None, bad, None);
    plant.put_with(
        "acme/press/count",
        T0,
        Value::Int(9_007_199_254_740_993),
        Quality::GOOD,
        Some(T0 + 5 * SECOND),
    );
    plant.put("acme/press/count", T0 + SECOND, Value::UInt(u64::MAX));
    plant.put("acme/press/running", T0, Value::Bool(true));
    plant.put("acme/press/state", T0, Value::Text("idle, \"cold\"".into()));
    plant.put("acme/press/state", T0, Value::Text("warm".into()));
    plant.put("acme/press/recipe", T0, Value::Json("{\"a\": [1]}".into()));
    plant.put("acme/press/raw", T0, Value::Bytes([1u8, 255].as_slice().into()));
    plant.put("beta/mill/temperature", T0, Value::Float(99.5));
    plant.signal_with("beta/mill/gone", |signal| signal.retired = true);
    plant.put("beta/mill/gone", T0, Value::Float(1.0));
    plant.batch_rows.store(3, std::sync::atomic::Ordering::Relaxed);
    plant
}

pub(crate) static EVENTS: TableSpec = TableSpec {
    name: "events",
    description: "Things that happened",
    stream: Some(tidemill_core::StreamId(100)),
    columns: &[
        ColumnSpec { name: "time", kind: ColumnKind::Time, description: "When" },
        ColumnSpec { name: "signal", kind: ColumnKind::Text, description: "Where" },
        ColumnSpec { name: "what", kind: ColumnKind::Text, description: "What" },
        ColumnSpec { name: "count", kind: ColumnKind::Int, description: "How often" },
    ],
    path_columns: &["signal"],
};

pub(crate) static DOORS: TableSpec = TableSpec {
    name: "doors",
    description: "The doors that are open",
    stream: None,
    columns: &[
        ColumnSpec { name: "name", kind: ColumnKind::Text, description: "Its name" },
        ColumnSpec { name: "open", kind: ColumnKind::Bool, description: "Whether it is open" },
        ColumnSpec { name: "load", kind: ColumnKind::Float, description: "How busy it is" },
        ColumnSpec { name: "since", kind: ColumnKind::Time, description: "Since when" },
    ],
    path_columns: &[],
};

pub(crate) struct OpenDoors;

impl Facts for OpenDoors {
    fn rows(&self) -> Vec<Vec<Value>> {
        vec![
            vec![Value::Text("http".into()), Value::Bool(true), Value::Float(0.5), Value::Int(T0)],
            vec![Value::Text("mqtt".into()), Value::Bool(false), Value::None, Value::None],
        ]
    }
}

pub(crate) fn engine_of(plant: &Arc<Plant>) -> crate::query::Engine {
    let rows: Vec<Vec<Value>> = ["acme/press/temperature", "beta/mill/temperature"]
        .iter()
        .zip(1..)
        .map(|(path, second)| {
            vec![
                Value::Int(T0 + second * SECOND),
                Value::Text((*path).into()),
                Value::Text("high".into()),
                Value::Int(second),
            ]
        })
        .collect();
    plant.records("events", crate::query::system::batch(EVENTS.columns, &rows).unwrap());
    let engine = engine(plant);
    engine.table(&EVENTS, None);
    engine.table(&DOORS, Some(Arc::new(OpenDoors)));
    engine
}

/// Asks one after the other; one engine, so that nothing of a query stays behind.
pub(crate) fn check(queries: &[&str], expected: Expect) {
    let engine = engine_of(&plant());
    let mut shown = String::new();
    for query in queries {
        let answer = ask(&engine, &ReadScope::everything(), query);
        shown += &format!("> {query}\n{}\n\n", answer.trim_end());
    }
    expected.assert_eq(&shown);
}
